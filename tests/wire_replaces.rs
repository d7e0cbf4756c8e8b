//! Attended transfer to us (RFC 3891): a phone hands its call to another, and the call goes on with that one.

mod rig;

use callwright::rtp::Codec;
use callwright::sip::agent::{Placement, SipEvent, replaces_value};
use callwright::sip::dialog::DialogId;
use callwright::sip::hop::Hop;
use callwright::sip::sdp::Direction;
use rig::Daemon;
use rig::ua::{Ua, purity};

const LOW: f64 = 400.0;
const HIGH: f64 = 1000.0;

/// `by` calls the daemon in the place of `phone`, as its REFER would have asked it to.
async fn takes_the_place_of(phone: &Ua, by: &mut Ua, daemon: &Daemon) {
    let leg = phone.leg;
    let dialog = phone.sip.with(move |agent, _| agent.dialog_of(leg).cloned()).await.unwrap().expect("a call");
    let (local_tag, remote_tag) = (dialog.remote_tag, dialog.local_tag);
    let seen_there = DialogId { call_id: dialog.call_id, local_tag, remote_tag };
    let offer = by.session.offer(Direction::SendRecv);
    let target = format!("sip:whoever@{}", daemon.sip);
    let mut placement = Placement::new(&target, Hop::udp(daemon.sip), &format!("<sip:eve@{}>", by.address()), offer);
    placement.headers.push(("Replaces".to_owned(), replaces_value(&seen_there)));
    by.leg = by.sip.place(placement, |_| ()).await.expect("it calls");
    by.accepted().await;
}

async fn is_hung_up(phone: &mut Ua) {
    let reason = phone
        .until("BYE", |e| match e {
            SipEvent::Ended { reason, .. } => Some(reason.clone()),
            _ => None,
        })
        .await;
    assert_eq!(reason.as_deref(), Some("replaced"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_to_us_goes_on_with_another_phone() {
    let daemon = Daemon::start_with("[[routes]]\nmatch = \"*\"\napp = \"echo\"");
    let (mut first, mut second) = (Ua::new(&[Codec::Pcmu]), Ua::new(&[Codec::Pcma]));
    first.invite(daemon.sip, "echo").await;
    first.accepted().await;
    takes_the_place_of(&first, &mut second, &daemon).await;
    is_hung_up(&mut first).await;
    let heard = second.talk(LOW, 900, None).await;
    let own = purity(&heard.pcm, LOW);
    assert!(own > 0.8, "the echo is heard by the new phone: {own:.3} of {} samples", heard.pcm.len());
    second.hang_up().await;
    second.ended().await;
}

/// A bridge between two phones that have not said anything yet.
async fn bridged() -> (Daemon, Ua, Ua) {
    let (mut caller, mut callee) = (Ua::new(&[Codec::Pcmu]), Ua::new(&[Codec::Pcmu]));
    let app = format!("bridge:sip:{{number}}@{}", callee.address());
    let daemon = Daemon::start_with(&format!("[[routes]]\nmatch = \"*\"\napp = \"{app}\""));
    caller.invite(daemon.sip, "300").await;
    callee.ringing().await;
    callee.accept().await;
    caller.accepted().await;
    (daemon, caller, callee)
}

async fn they_hear_each_other(one: &Ua, other: &Ua) {
    let (here, there) = tokio::join!(one.talk(LOW, 900, None), other.talk(HIGH, 900, None));
    let (hears, is_heard) = (purity(&here.pcm, HIGH), purity(&there.pcm, LOW));
    assert!(hears > 0.8 && is_heard > 0.8, "hears {hears:.3}, is heard {is_heard:.3}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_callee_of_a_bridge_is_handed_over_and_the_caller_stays() {
    let (daemon, caller, mut callee) = bridged().await;
    let mut heir = Ua::new(&[Codec::Pcmu]);
    takes_the_place_of(&callee, &mut heir, &daemon).await;
    is_hung_up(&mut callee).await;
    they_hear_each_other(&caller, &heir).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_caller_of_a_bridge_is_handed_over_and_the_callee_stays() {
    let (daemon, mut caller, mut callee) = bridged().await;
    let mut heir = Ua::new(&[Codec::Pcmu]);
    takes_the_place_of(&caller, &mut heir, &daemon).await;
    is_hung_up(&mut caller).await;
    they_hear_each_other(&heir, &callee).await;
    heir.hang_up().await;
    callee.ended().await;
}
