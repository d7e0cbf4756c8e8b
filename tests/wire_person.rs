//! A caller who wants a person, over real sockets: key 0 rings whoever is configured, the agent has the caller back where
//! nobody takes the call, and who takes it hears the caller.

mod rig;

use callwright::rtp::Codec;
use rig::ua::{Ua, purity};
use rig::{Daemon, eventually, get};
use serde_json::Value;
use std::time::Duration;

/// For whatever a machine that is short of time does in its own time.
const PATIENCE: Duration = Duration::from_secs(30);

fn json_of(daemon: &Daemon, path: &str) -> Value {
    let body = get(daemon.http, path).map(|(_, body)| body).unwrap_or_default();
    serde_json::from_str(&body).unwrap_or(Value::Null)
}

fn live(daemon: &Daemon) -> Vec<Value> {
    json_of(daemon, "/v1/calls")["live"].as_array().cloned().unwrap_or_default()
}

/// Presses 0 until the desk is being rung: a key is heard or, on a machine that lost it, pressed again, as people do.
async fn zero(daemon: &Daemon, caller: &Ua, desk: &mut Ua) {
    for _ in 0..3 {
        caller.talk(0.0, 600, Some(0)).await;
        if eventually(PATIENCE / 3, || live(daemon).len() == 2) {
            desk.ringing().await;
            return;
        }
    }
    panic!("the desk is not rung: {:?}\n{}", live(daemon), daemon.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_one_does_not_take_the_call_the_next_of_the_group_is_rung() {
    let [mut caller, mut first, mut second] = std::array::from_fn(|_| Ua::new(&[Codec::Pcmu]));
    let daemon = Daemon::start_with(&format!(
        "[[groups]]\nname = \"desks\"\nmembers = [\"sip:one@{}\", \"sip:two@{}\"]\nstrategy = \"one_by_one\"\n\
         [[agents]]\nname = \"grace\"\noperator = \"group:desks\"",
        first.address(),
        second.address()
    ));
    caller.invite(daemon.sip, "300").await;
    caller.accepted().await;
    zero(&daemon, &caller, &mut first).await;
    first.sip.reject(first.leg, 486, "Busy Here", &[]).await.expect("it rings");
    second.ringing().await;
    second.accept().await;
    let met = eventually(PATIENCE, || live(&daemon).iter().filter(|call| call["state"] == "bridged").count() == 2);
    assert!(met, "{:?}\n{}", live(&daemon), daemon.log());
    second.hang_up().await;
    caller.ended().await;
    assert!(!daemon.log().contains("nobody could take your call"), "{}", daemon.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn key_0_rings_a_person_and_a_caller_whom_nobody_takes_is_told() {
    let (mut caller, mut desk) = (Ua::new(&[Codec::Pcmu]), Ua::new(&[Codec::Pcmu]));
    let daemon = Daemon::start_with(&format!(
        "[[routes]]\nmatch = \"*\"\napp = \"agent:grace\"\noperator = \"sip:desk@{}\"\n\
         [[agents]]\nname = \"grace\"\noperator = \"sip:nobody@127.0.0.1:9\"",
        desk.address()
    ));
    caller.invite(daemon.sip, "300").await;
    caller.accepted().await;
    zero(&daemon, &caller, &mut desk).await;
    desk.sip.reject(desk.leg, 486, "Busy Here", &[]).await.expect("it rings");
    let conversation = || {
        let conversation = live(&daemon).first().map(|call| call["conversation_id"].clone()).unwrap_or_default();
        json_of(&daemon, &format!("/v1/conversations/{}", conversation.as_str().unwrap_or_default())).to_string()
    };
    // What is said is written down once it was heard.
    let told = || conversation().contains("nobody could take your call");
    for _ in 0..PATIENCE.as_secs() {
        caller.talk(0.0, 1000, None).await;
        if told() {
            break;
        }
    }
    assert!(told(), "{}\n{}", conversation(), daemon.log());
    // Once more, and somebody is there.
    zero(&daemon, &caller, &mut desk).await;
    desk.accept().await;
    let met = eventually(PATIENCE, || live(&daemon).iter().filter(|call| call["state"] == "bridged").count() == 2);
    assert!(met, "{:?}\n{}", live(&daemon), daemon.log());
    let mut heard = (0.0, 0.0);
    for _ in 0..PATIENCE.as_secs() {
        let (at_caller, at_desk) = tokio::join!(caller.talk(500.0, 1000, None), desk.talk(1100.0, 1000, None));
        let late = |pcm: &[i16]| pcm[pcm.len() / 2..].to_vec();
        heard = (purity(&late(&at_caller.pcm), 1100.0), purity(&late(&at_desk.pcm), 500.0));
        if heard.0 > 0.8 && heard.1 > 0.8 {
            break;
        }
    }
    assert!(heard.0 > 0.8 && heard.1 > 0.8, "{heard:?}\n{}", daemon.log());
    desk.hang_up().await;
    caller.ended().await;
}
