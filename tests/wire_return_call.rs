//! A caller who has hung up is called when the app is live, over real sockets: a telephone that is busy is left, one that
//! answers hears the agent; after kill -9 in the middle of a try nothing rings again, and what became of it can be looked up.

mod rig;

use callwright::pipeline::manifest::{BuildManifest, BuildType, CreatedFrom};
use callwright::rtp::Codec;
use callwright::store::{ReturnConsent, ReturnWish, Store, build_id};
use callwright::time::Wallclock;
use rig::ua::Ua;
use rig::{Daemon, eventually, get, request};
use serde_json::{Map, Value, json};
use std::net::SocketAddr;
use std::time::Duration;

/// For whatever a machine that is short of time does in its own time.
const PATIENCE: Duration = Duration::from_secs(60);

fn json_of(daemon: &Daemon, path: &str) -> Value {
    let body = get(daemon.http, path).map(|(_, body)| body).unwrap_or_default();
    serde_json::from_str(&body).unwrap_or(Value::Null)
}

/// An order of a caller who is not on the line any more, as a daemon of before has left it.
fn order(store: &Store, name: &str, desk: SocketAddr) {
    let now = Wallclock(1_700_000_000_000);
    let wish = ReturnWish {
        build_id: build_id(name),
        conversation_id: "conv_1".into(),
        agent: "grace".into(),
        caller: "493012345".into(),
        target: format!("sip:493012345@{desk}"),
        consent: ReturnConsent::Asked,
        on_call: "call_00000000000000aa".into(),
    };
    assert!(store.return_calls().promise(wish, now).wait().expect("it is written"));
    let manifest = BuildManifest {
        manifest_id: name.into(),
        build_type: BuildType::BuildCrm,
        title: format!("{name} CRM"),
        description: "A CRM with contacts.".into(),
        features: vec!["contacts".into()],
        tech_stack: vec![],
        constraints: Map::new(),
        integrations: vec![],
        conversation_id: "conv_1".into(),
        created_from: CreatedFrom::Voice,
        confidence: 0.93,
        metadata: Map::from_iter([("approval".to_owned(), json!({"by": "key"}))]),
    };
    drop(store.builds().submit(manifest, now).wait().expect("it is written"));
}

fn state_of(daemon: &Daemon, build: &str) -> Value {
    let all = json_of(daemon, "/v1/return_calls");
    let items = all["items"].as_array().cloned().unwrap_or_default();
    items.into_iter().find(|call| call["build_id"] == build).unwrap_or(Value::Null)
}

#[track_caller]
fn until(daemon: &Daemon, build: &str, state: &str) -> Value {
    let stands = eventually(PATIENCE, || state_of(daemon, build)["state"] == state);
    assert!(stands, "not {state}: {}\n{}", state_of(daemon, build), daemon.log());
    state_of(daemon, build)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_is_called_when_the_app_is_live_and_never_twice_for_one_try() {
    let phone = || Ua::new(&[Codec::Pcmu]);
    let (mut busy, mut taken, mut silent) = (phone(), phone(), phone());
    let (harbour, marina, quay) = (build_id("harbour"), build_id("marina"), build_id("quay"));
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("var");
    std::fs::create_dir_all(&data).expect("a directory");
    let store = Store::open(&data).expect("a store");
    order(&store, "harbour", busy.address());
    order(&store, "marina", taken.address());
    order(&store, "quay", silent.address());
    drop(store);
    let agent =
        "[[agents]]\nname = \"grace\"\n[agents.return_call]\nwhen = \"ask\"\npause_minutes = 1440\nringing_s = 120";
    let daemon = Daemon::start_in(dir, 20, agent);
    // Busy: it is left, and tried again tomorrow.
    until(&daemon, &harbour, "ringing");
    busy.ringing().await;
    busy.sip.reject(busy.leg, 486, "Busy Here", &[]).await.expect("it rings");
    let left = until(&daemon, &harbour, "waiting");
    assert_eq!((left["tries"].as_u64(), left["consent"].as_str()), (Some(1), Some("asked")), "{left}");
    assert!(left["failure"].as_str().is_some_and(|why| why.contains("486")), "{left}");
    // Taken: whoever ordered it hears that it is live.
    until(&daemon, &marina, "ringing");
    taken.ringing().await;
    taken.accept().await;
    for _ in 0..PATIENCE.as_secs() {
        taken.talk(0.0, 1_000, None).await;
        if state_of(&daemon, &marina)["state"] == "told" {
            break;
        }
    }
    let told = until(&daemon, &marina, "told");
    let call = json_of(&daemon, &format!("/v1/calls/{}", told["call_id"].as_str().expect("a call was placed")));
    assert_eq!(call["details"]["build_id"], marina.as_str(), "{call}");
    let said = json_of(&daemon, &format!("/v1/conversations/{}", call["conversation_id"].as_str().unwrap_or_default()));
    assert!(said.to_string().contains("You asked me to call you back. Your marina CRM is live."), "{said}");
    // Killed while it rings: nothing rings again by itself, and all of it can be looked at.
    until(&daemon, &quay, "ringing");
    silent.ringing().await;
    let daemon = Daemon::start_in(daemon.kill(), 20, agent);
    let cut = until(&daemon, &quay, "interrupted");
    assert_eq!(cut["tries"].as_u64(), Some(1), "{cut}");
    assert_eq!(state_of(&daemon, &marina)["state"], "told");
    assert_eq!(state_of(&daemon, &harbour)["state"], "waiting");
    let live = json_of(&daemon, "/v1/calls")["live"].clone();
    assert_eq!(live.as_array().map(Vec::len), Some(0), "{live}");
    // But by hand.
    let retry = format!("/v1/return_calls/{}/retry", cut["id"].as_str().expect("an id"));
    assert_eq!(request(daemon.http, "POST", &retry, "application/json", "").expect("it answers").0, 202);
    until(&daemon, &quay, "ringing");
}
