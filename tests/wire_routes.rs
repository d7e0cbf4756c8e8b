//! Routes over real sockets: fallbacks, and messages where nobody takes the call.

mod rig;

use callwright::rtp::Codec;
use callwright::sip::agent::SipEvent;
use rig::ua::{Ua, purity};
use rig::{Daemon, eventually, get};
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

fn json_of(daemon: &Daemon, path: &str) -> Value {
    let (_, body) = get(daemon.http, path).expect("the API answers");
    serde_json::from_str(&body).unwrap_or(Value::Null)
}

/// The newest record, once the call is over.
fn newest(daemon: &Daemon) -> Value {
    let found = || json_of(daemon, "/v1/calls")["items"][0].clone();
    assert!(eventually(Duration::from_secs(5), || found()["ended_by"].is_string()), "{}\n{}", found(), daemon.log());
    found()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_not_taken_goes_to_the_fallback() {
    let (mut caller, mut desk) = (Ua::new(&[Codec::Pcmu]), Ua::new(&[Codec::Pcmu]));
    let daemon = Daemon::start_with(&format!(
        "[[routes]]\nmatch = \"7*\"\napp = \"bridge:sip:desk@{0}\"\nfallback = \"tone:450\"\n\
         [[routes]]\nmatch = \"8*\"\napp = \"manual\"\nringing_s = 1\nfallback = \"tone:700\"\n\
         [[routes]]\nmatch = \"9\"\napp = \"bridge:sip:desk@{0}\"\n\
         [[routes]]\nmatch = \"*\"\nfrom = \"nobody\"\napp = \"echo\"",
        desk.address()
    ));
    // Busy.
    caller.invite(daemon.sip, "71").await;
    desk.ringing().await;
    desk.sip.reject(desk.leg, 486, "Busy Here", &[]).await.expect("it rings");
    caller.accepted().await;
    assert!(caller.hears(1000.0, 450.0).await);
    caller.hang_up().await;
    let record = newest(&daemon);
    assert_eq!(
        (record["app"].as_str(), record["ended_by"].as_str()),
        (Some("tone:450"), Some("caller_hung_up")),
        "{record}"
    );
    // Taken: the fallback is not heard of.
    caller.invite(daemon.sip, "71").await;
    desk.ringing().await;
    desk.accept().await;
    caller.accepted().await;
    let (at_caller, at_desk) = tokio::join!(caller.talk(500.0, 900, None), desk.talk(1100.0, 900, None));
    assert!(purity(&at_caller.pcm, 1100.0) > 0.8 && purity(&at_desk.pcm, 500.0) > 0.8);
    caller.hang_up().await;
    desk.ended().await;
    // Nobody answers by hand.
    caller.invite(daemon.sip, "80").await;
    caller.until("ringing", |e| matches!(e, SipEvent::Progress { code: 180, .. }).then_some(())).await;
    caller.accepted().await;
    assert!(caller.hears(1000.0, 700.0).await);
    caller.hang_up().await;
    // Without a fallback the caller hears how it is, and without a route that there is none.
    caller.invite(daemon.sip, "9").await;
    desk.ringing().await;
    desk.sip.reject(desk.leg, 486, "Busy Here", &[]).await.expect("it rings");
    let refused = |e: &SipEvent| if let SipEvent::Refused { code, .. } = e { Some(*code) } else { None };
    assert_eq!(caller.until("refusal", refused).await, 486);
    caller.invite(daemon.sip, "5").await;
    assert_eq!(caller.until("refusal", refused).await, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_taken_written_down_and_kept() {
    let daemon = Daemon::start_with(
        "[recording]\nenabled = true\nmin_free_mb = 1\n[[routes]]\nmatch = \"*\"\napp = \"message:Please speak.\"",
    );
    let dir = tempfile::tempdir().expect("a directory");
    let script = dir.path().join("script.toml");
    std::fs::write(&script, "[[step]]\nwait = 4.0\n[[step]]\nsay = \"please call me back tomorrow\"\n[[step]]\nwait = 2.0\n[[step]]\nhang_up = true\n")
        .expect("the script is written");
    let sip = daemon.sip;
    let dialled = tokio::task::spawn_blocking(move || {
        Command::new(env!("CARGO_BIN_EXE_callwright"))
            .args(["dial", &format!("sip:300@{sip}"), "--script"])
            .arg(&script)
            .env("CALLWRIGHT_NATIVE", rig::native())
            .output()
            .expect("the binary starts")
    });
    let out = dialled.await.expect("it dials");
    assert!(
        eventually(Duration::from_secs(8), || json_of(&daemon, "/v1/messages")["items"][0].is_object()),
        "{}{}\n{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr),
        daemon.log()
    );
    let message = json_of(&daemon, "/v1/messages")["items"][0].clone();
    let text = message["text"].as_str().expect("a text").to_owned();
    assert!(text.contains("call") || text.contains("back") || text.contains("tomorrow"), "{message}");
    assert_eq!(message["callee"], "300");
    let call = message["call_id"].as_str().expect("its call");
    assert!(
        eventually(Duration::from_secs(5), || json_of(&daemon, &format!("/v1/calls/{call}"))["recording"]["state"]
            == "complete"),
        "{}",
        json_of(&daemon, &format!("/v1/calls/{call}"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_rings_and_the_first_to_answer_has_the_caller() {
    let mut caller = Ua::new(&[Codec::Pcmu]);
    let (mut one, mut two) = (Ua::new(&[Codec::Pcmu]), Ua::new(&[Codec::Pcmu]));
    let members = format!("members = [\"sip:a@{}\", \"sip:b@{}\"]", one.address(), two.address());
    let daemon = Daemon::start_with(&format!(
        "[[groups]]\nname = \"all\"\n{members}\n[[groups]]\nname = \"turns\"\nstrategy = \"one_by_one\"\nringing_s = 1\n{members}\n\
         [[routes]]\nmatch = \"1\"\napp = \"group:all\"\n[[routes]]\nmatch = \"2\"\napp = \"group:turns\"\nfallback = \"tone:450\""
    ));
    caller.invite(daemon.sip, "1").await;
    let (from, _) = one.ringing().await;
    assert!(from.contains("\"Ann\"") && from.contains("sip:ann@"), "who calls is passed on: {from}");
    two.ringing().await;
    two.accept().await;
    one.until("CANCEL", |e| matches!(e, SipEvent::Cancelled { .. }).then_some(())).await;
    caller.accepted().await;
    assert!(
        eventually(Duration::from_secs(3), || {
            let live = json_of(&daemon, "/v1/calls")["live"].as_array().cloned().unwrap_or_default();
            live.len() == 2 && live.iter().all(|call| call["state"] == "bridged")
        }),
        "{}\n{}",
        json_of(&daemon, "/v1/calls"),
        daemon.log()
    );
    let (at_caller, at_two) = tokio::join!(caller.talk(500.0, 1800, None), two.talk(1100.0, 1800, None));
    let late = |pcm: &[i16]| pcm[pcm.len().min(6000)..].to_vec();
    assert!(purity(&late(&at_caller.pcm), 1100.0) > 0.8 && purity(&late(&at_two.pcm), 500.0) > 0.8);
    two.hang_up().await;
    caller.ended().await;
    // One after the other, and then the fallback.
    caller.invite(daemon.sip, "2").await;
    one.ringing().await;
    one.until("CANCEL", |e| matches!(e, SipEvent::Cancelled { .. }).then_some(())).await;
    two.ringing().await;
    two.sip.reject(two.leg, 486, "Busy Here", &[]).await.expect("it rings");
    caller.accepted().await;
    assert!(caller.hears(1000.0, 450.0).await);
    caller.hang_up().await;
    caller.ended().await;
    // Who does not want to be seen is not.
    caller.invite_saying(daemon.sip, "1", &[("Privacy", "id")]).await;
    let (from, _) = one.ringing().await;
    assert!(from.contains("anonymous@anonymous.invalid") && !from.contains("ann@"), "{from}");
    two.ringing().await;
    caller.hang_up().await;
    for phone in [&mut one, &mut two] {
        phone.until("CANCEL", |e| matches!(e, SipEvent::Cancelled { .. }).then_some(())).await;
    }
    // A caller who gives up stops them.
    caller.invite(daemon.sip, "1").await;
    one.ringing().await;
    two.ringing().await;
    caller.hang_up().await;
    for phone in [&mut one, &mut two] {
        phone.until("CANCEL", |e| matches!(e, SipEvent::Cancelled { .. }).then_some(())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_routes_and_no_call() {
    let daemon = Daemon::start_with("[[routes]]\nmatch = \"1\"\napp = \"tone:450\"");
    let mut phone = Ua::new(&[Codec::Pcmu]);
    phone.invite(daemon.sip, "1").await;
    phone.accepted().await;
    let file = daemon.data.parent().expect("its directory").join("callwright.toml");
    let before = std::fs::read_to_string(&file).expect("its configuration");
    let reload = || {
        let (status, body) =
            rig::request(daemon.http, "POST", "/v1/reload", "application/json", "{}").expect("answered");
        (status, serde_json::from_str::<Value>(&body).unwrap_or(Value::Null))
    };
    std::fs::write(&file, before.replace("tone:450", "tone:nonsense")).expect("written");
    let (status, problem) = reload();
    assert!(status == 409 && problem["detail"].as_str().is_some_and(|d| d.contains("nonsense")), "{problem}");
    std::fs::write(&file, before.replace("tone:450", "tone:700").replace("max_calls = 200", "max_calls = 7"))
        .expect("written");
    let (status, done) = reload();
    assert_eq!(
        (status, &done["applied"], &done["needs_restart"]),
        (200, &serde_json::json!(["routes"]), &serde_json::json!(["sip"]))
    );
    let still = phone.talk(1000.0, 900, None).await;
    assert!(purity(&still.pcm, 450.0) > 0.9, "the call goes on as it was");
    phone.hang_up().await;
    phone.ended().await;
    phone.invite(daemon.sip, "1").await;
    phone.accepted().await;
    assert!(phone.hears(1000.0, 700.0).await);
    // And by signal.
    std::fs::write(&file, before.replace("tone:450", "tone:850")).expect("written");
    rig::signal(daemon.pid(), "HUP");
    assert!(
        eventually(Duration::from_secs(3), || daemon.log().matches("the configuration was read again").count() == 2)
    );
    phone.hang_up().await;
    phone.ended().await;
    phone.invite(daemon.sip, "1").await;
    phone.accepted().await;
    assert!(phone.hears(1000.0, 850.0).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_has_its_routes_its_channels_and_its_way_of_writing_numbers() {
    let (mut caller, mut carrier) = (Ua::new(&[Codec::Pcmu]), Ua::new(&[Codec::Pcmu]));
    let daemon = Daemon::start_with(&format!(
        "[numbers]\ncountry = \"49\"\n[[trunks]]\nname = \"carrier\"\nhost = \"127.0.0.1\"\nport = {}\ncidr = [\"127.0.0.1\"]\nmax_calls = 1\n\
         number_form = \"e164\"\noptions_s = 0\n\
         [[routes]]\nmatch = \"+4930*\"\ntrunk = \"carrier\"\napp = \"tone:450\"\n[[routes]]\nmatch = \"*\"\napp = \"echo\"",
        carrier.address().port()
    ));
    let trunk = || json_of(&daemon, "/v1/trunks")["items"][0].clone();
    assert!(eventually(Duration::from_secs(3), || trunk()["addresses"][0].is_string()), "{}", trunk());
    assert_eq!((&trunk()["name"], &trunk()["calls"], &trunk()["max_calls"]), (&"carrier".into(), &0.into(), &1.into()));
    // It calls: by its own route, whichever way it writes the number, and once at a time.
    caller.invite(daemon.sip, "030123456").await;
    caller.accepted().await;
    assert!(caller.hears(1000.0, 450.0).await);
    assert_eq!(trunk()["calls"], 1);
    let mut second = Ua::new(&[Codec::Pcmu]);
    second.invite(daemon.sip, "030123456").await;
    let refused = |e: &SipEvent| if let SipEvent::Refused { code, .. } = e { Some(*code) } else { None };
    assert_eq!(second.until("refusal", refused).await, 480);
    let place =
        |body: &str| rig::request(daemon.http, "POST", "/v1/calls", "application/json", body).expect("answered");
    let wish = r#"{"to":"030987654","trunk":"carrier","from":"\"Ann\" <sip:+4930123456@box.example>","withheld":true}"#;
    assert_eq!(place(wish).0, 503, "no channel is free");
    caller.hang_up().await;
    caller.ended().await;
    assert_eq!(newest(&daemon)["trunk"], "carrier");
    // We call: the number as it wants it, and nobody but it knows who calls.
    assert!(eventually(Duration::from_secs(3), || trunk()["calls"] == 0));
    assert_eq!(place(&wish.replace("carrier", "other")).0, 422);
    let (status, body) = place(wish);
    assert_eq!(status, 202, "{body}");
    let (leg, number, from, headers) = carrier
        .until("call", |e| match e {
            SipEvent::Incoming { leg, request_user, from, headers, .. } => {
                Some((*leg, request_user.clone(), from.clone(), headers.clone()))
            }
            _ => None,
        })
        .await;
    assert_eq!(number, "+4930987654");
    assert!(from.contains("anonymous.invalid") && !from.contains("123456"), "{from}");
    let field = |name: &str| headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone());
    assert!(field("P-Asserted-Identity").is_some_and(|value| value.contains("+4930123456")), "{headers:?}");
    assert_eq!(field("Privacy").as_deref(), Some("id"));
    carrier.sip.reject(leg, 486, "Busy Here", &[]).await.expect("it rings");
    assert!(eventually(Duration::from_secs(3), || trunk()["calls"] == 0));
}
