//! A desk phone with two calls joins their other ends (attended transfer between two calls of ours: REFER with Replaces, RFC
//! 3515 and 3891). Nobody is called: the far end's phone is asked by re-INVITE, and the desk phone is told how it went.

mod rig;

use callwright::rtp::Codec;
use callwright::sip::agent::{LegId, SipEvent};
use rig::ua::{Ua, purity};
use rig::{Daemon, eventually};
use std::time::Duration;

const LOW: f64 = 400.0;
const HIGH: f64 = 1000.0;

fn phone() -> Ua {
    Ua::new(&[Codec::Pcmu])
}

/// A daemon that bridges 300 and 301 to these phones and echoes everybody else.
fn daemon(at_300: &Ua, at_301: &Ua) -> Daemon {
    let route = |number: &str, to: &Ua| {
        format!("[[routes]]\nmatch = \"{number}\"\napp = \"bridge:sip:{{number}}@{}\"\n", to.address())
    };
    let echo = "[[routes]]\nmatch = \"*\"\napp = \"echo\"\n";
    Daemon::start_with(&[route("300", at_300), route("301", at_301), echo.to_owned()].concat())
}

/// The desk phone calls `number`, where this phone answers; its leg.
async fn calls(desk: &mut Ua, daemon: &Daemon, number: &str, callee: &mut Ua) -> LegId {
    desk.invite(daemon.sip, number).await;
    callee.ringing().await;
    callee.accept().await;
    desk.accepted().await;
    desk.leg
}

/// The desk phone's transfer key: what is behind `leg` is to talk with what is behind `other`.
async fn joins(desk: &Ua, leg: LegId, other: LegId) {
    desk.sip.with(move |agent, now| agent.refer(now, leg, "", Some(other))).await.unwrap().expect("in two calls");
}

async fn is_told(desk: &mut Ua) -> u16 {
    desk.until("end of the transfer", |e| match e {
        SipEvent::ReferProgress { code, over: true, .. } => Some(*code),
        _ => None,
    })
    .await
}

/// Both calls of the desk phone are hung up, and it has been told that the transfer has worked; in whatever order.
async fn has_done_it(desk: &mut Ua) {
    let (mut told, mut ended) = (None, 0);
    while told.is_none() || ended < 2 {
        let seen = |e: &SipEvent| match e {
            SipEvent::ReferProgress { code, over: true, .. } => Some(Some(*code)),
            SipEvent::Ended { .. } => Some(None),
            _ => None,
        };
        match desk.until("end of the transfer", seen).await {
            Some(code) => told = Some(code),
            None => ended += 1,
        }
    }
    assert_eq!(told, Some(200));
}

async fn offered_anew(phone: &mut Ua) -> Vec<u8> {
    phone
        .until("re-INVITE", |e| match e {
            SipEvent::Reinvite { offer, .. } => Some(offer.clone().expect("an offer")),
            _ => None,
        })
        .await
}

/// The phone agrees to send its audio where it is asked to.
async fn goes_on(phone: &mut Ua) {
    let offer = offered_anew(phone).await;
    let agreed = phone.session.answer(&offer).expect("a codec in common");
    phone.sip.answer_reinvite(phone.leg, agreed.answer.clone()).await.expect("it waits");
    phone.agreed = Some(agreed);
    phone.until("ACK", |e| matches!(e, SipEvent::Confirmed { .. }).then_some(())).await;
}

fn live_calls(daemon: &Daemon) -> usize {
    let (status, body) = rig::get(daemon.http, "/v1/calls").expect("answered");
    assert_eq!(status, 200, "{body}");
    let calls: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    calls["live"].as_array().expect("a list").len()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_far_ends_talk_once_the_phone_between_has_joined_them() {
    let (mut desk, mut ann, mut bob) = (phone(), phone(), phone());
    let daemon = daemon(&ann, &bob);
    let first = calls(&mut desk, &daemon, "300", &mut ann).await;
    let second = calls(&mut desk, &daemon, "301", &mut bob).await;

    // Neither phone agrees: nothing has changed, and the desk phone knows.
    joins(&desk, first, second).await;
    for phone in [&mut bob, &mut ann] {
        offered_anew(phone).await;
        phone.sip.reject(phone.leg, 488, "", &[]).await.expect("it waits");
    }
    assert_eq!(is_told(&mut desk).await, 603);
    assert_eq!(live_calls(&daemon), 2);

    joins(&desk, first, second).await;
    goes_on(&mut bob).await;
    has_done_it(&mut desk).await;
    let (here, there) = tokio::join!(ann.talk(LOW, 900, None), bob.talk(HIGH, 900, None));
    let (hears, is_heard) = (purity(&here.pcm, HIGH), purity(&there.pcm, LOW));
    assert!(hears > 0.8 && is_heard > 0.8, "hears {hears:.3}, is heard {is_heard:.3}");
    assert!(eventually(Duration::from_secs(10), || live_calls(&daemon) == 1), "one call is left");
    ann.hang_up().await;
    bob.ended().await;
    assert!(eventually(Duration::from_secs(10), || live_calls(&daemon) == 0), "none is left");
    let (_, records) = rig::get(daemon.http, "/v1/calls").expect("answered");
    assert!(records.contains("handed over to call_"), "{records}");
}

/// What answers here, be it an agent or an echo, goes on with the far end of the phone's other call, whichever it names first.
#[tokio::test(flavor = "multi_thread")]
async fn who_talks_here_goes_on_with_the_far_end_of_the_other_call() {
    let (mut desk, ann, mut bob) = (phone(), phone(), phone());
    let daemon = daemon(&ann, &bob);
    for echo_first in [true, false] {
        desk.invite(daemon.sip, "echo").await;
        desk.accepted().await;
        let echo = desk.leg;
        let bridged = calls(&mut desk, &daemon, "301", &mut bob).await;
        let (leg, other) = if echo_first { (echo, bridged) } else { (bridged, echo) };
        joins(&desk, leg, other).await;
        goes_on(&mut bob).await;
        has_done_it(&mut desk).await;
        let heard = bob.talk(LOW, 900, None).await;
        let own = purity(&heard.pcm, LOW);
        assert!(own > 0.8, "the echo is heard by the far end: {own:.3} of {} samples", heard.pcm.len());
        bob.hang_up().await;
        bob.ended().await;
        assert!(eventually(Duration::from_secs(10), || live_calls(&daemon) == 0), "none is left");
    }
    // Two echoes have nobody to talk to each other.
    desk.invite(daemon.sip, "echo").await;
    desk.accepted().await;
    let one = desk.leg;
    desk.invite(daemon.sip, "echo").await;
    desk.accepted().await;
    joins(&desk, one, desk.leg).await;
    assert_eq!(is_told(&mut desk).await, 603);
    assert_eq!(live_calls(&daemon), 2);
}

/// Calls by this trunk now, as whoever runs the box sees it.
fn in_use(daemon: &Daemon, name: &str) -> u64 {
    let (_, body) = rig::get(daemon.http, "/v1/trunks").expect("answered");
    let trunks: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    let trunk = trunks["items"].as_array().expect("a list").iter().find(|trunk| trunk["name"] == name);
    trunk.expect("configured")["calls"].as_u64().expect("a number")
}

/// One of the far ends is behind a carrier: its trunk counts who is there, not which call it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_counts_the_far_end_that_goes_on_in_another_call() {
    // Who has the carrier's address is the carrier.
    let (mut desk, mut ann, mut bob) = (phone(), phone(), Ua::at("127.0.0.5", &[Codec::Pcmu]));
    let daemon = Daemon::start_with(&format!(
        "[[routes]]\nmatch = \"300\"\napp = \"bridge:sip:{{number}}@{}\"\n\
         [[routes]]\nmatch = \"301\"\napp = \"bridge:trunk:carrier:301\"\n[[routes]]\nmatch = \"*\"\napp = \"echo\"\n\
         [[trunks]]\nname = \"carrier\"\nhost = \"127.0.0.5\"\nport = {}\nmax_calls = 1\noptions_s = 0\n",
        ann.address(),
        bob.address().port()
    ));
    let counts = |calls: u64| {
        let is_so = || in_use(&daemon, "carrier") == calls;
        assert!(eventually(Duration::from_secs(20), is_so), "{}, not {calls}", in_use(&daemon, "carrier"));
    };
    // The carrier's leg goes on in the other call, or stays where it is.
    for carrier_first in [true, false] {
        let (one, other) = if carrier_first { ("301", "300") } else { ("300", "301") };
        let first = calls(&mut desk, &daemon, one, if carrier_first { &mut bob } else { &mut ann }).await;
        let second = calls(&mut desk, &daemon, other, if carrier_first { &mut ann } else { &mut bob }).await;
        counts(1);
        joins(&desk, first, second).await;
        goes_on(if carrier_first { &mut ann } else { &mut bob }).await;
        has_done_it(&mut desk).await;
        assert!(eventually(Duration::from_secs(20), || live_calls(&daemon) == 1), "one call is left");
        counts(1);
        bob.hang_up().await;
        ann.ended().await;
        counts(0);
    }
    // Or with who talks here.
    desk.invite(daemon.sip, "echo").await;
    desk.accepted().await;
    let echo = desk.leg;
    let bridged = calls(&mut desk, &daemon, "301", &mut bob).await;
    joins(&desk, echo, bridged).await;
    goes_on(&mut bob).await;
    has_done_it(&mut desk).await;
    assert!(eventually(Duration::from_secs(20), || live_calls(&daemon) == 1), "one call is left");
    counts(1);
    bob.hang_up().await;
    bob.ended().await;
    counts(0);
}
