//! Calls that change hands: attended transfer to us (RFC 3891), a ringing call that another phone takes, and a phone that has
//! the other side put through to somebody else (RFC 3515), or gets it back.

mod rig;

use callwright::rtp::Codec;
use callwright::sip::agent::{Placement, SipEvent, replaces_value};
use callwright::sip::dialog::DialogId;
use callwright::sip::hop::Hop;
use callwright::sip::sdp::Direction;
use rig::ua::{Ua, purity};
use rig::{Daemon, eventually, get};
use serde_json::Value;
use std::time::Duration;

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

/// What the one who left took of its trunk comes back, and what the other takes is counted.
#[tokio::test(flavor = "multi_thread")]
async fn trunks_count_who_is_there_after_a_call_has_changed_hands() {
    let (mut first, mut second) = (Ua::new(&[Codec::Pcmu]), Ua::new(&[Codec::Pcmu]));
    let trunk = |name: &str, phone: &Ua| {
        let port = phone.address().port();
        format!("[[trunks]]\nname = \"{name}\"\nhost = \"127.0.0.1\"\nport = {port}\noptions_s = 0\n")
    };
    let echo = "[[routes]]\nmatch = \"*\"\napp = \"echo\"\n".to_owned();
    let daemon = Daemon::start_with(&[echo, trunk("one", &first), trunk("other", &second)].concat());
    let trunks = || get(daemon.http, "/v1/trunks").expect("answered").1;
    let found = || trunks().matches("\"UDP 127.0.0.1:").count() == 2;
    assert!(eventually(Duration::from_secs(20), found), "{}", trunks());
    let count = |one: u64, other: u64| {
        let is_so = || {
            let shown: Value = serde_json::from_str(&trunks()).expect("JSON");
            shown["items"][0]["calls"] == one && shown["items"][1]["calls"] == other
        };
        assert!(eventually(Duration::from_secs(20), is_so), "{}", trunks());
    };
    first.invite(daemon.sip, "echo").await;
    first.accepted().await;
    count(1, 0);
    takes_the_place_of(&first, &mut second, &daemon).await;
    is_hung_up(&mut first).await;
    count(0, 1);
    second.hang_up().await;
    second.ended().await;
    count(0, 0);
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

#[tokio::test(flavor = "multi_thread")]
async fn a_ringing_call_is_taken_at_another_phone() {
    let (mut caller, mut callee) = (Ua::new(&[Codec::Pcmu]), Ua::new(&[Codec::Pcmu]));
    let mut heir = Ua::new(&[Codec::Pcma, Codec::Pcmu]);
    let app = format!("bridge:sip:{{number}}@{}", callee.address());
    let daemon = Daemon::start_with(&format!("[[routes]]\nmatch = \"*\"\napp = \"{app}\""));
    caller.invite(daemon.sip, "300").await;
    callee.ringing().await;
    callee.sip.ring(callee.leg).await.expect("it rings");
    caller.until("ringing", |e| matches!(e, SipEvent::Progress { code: 180, .. }).then_some(())).await;
    takes_the_place_of(&callee, &mut heir, &daemon).await;
    callee.until("CANCEL", |e| matches!(e, SipEvent::Cancelled { .. }).then_some(())).await;
    caller.accepted().await;
    they_hear_each_other(&caller, &heir).await;
    caller.hang_up().await;
    heir.ended().await;
}

/// The phone of `ua` asks for somebody else in its place; gives the last code that it is told.
async fn hands_over(ua: &mut Ua, daemon: &Daemon, number: &str) {
    let (leg, target) = (ua.leg, format!("sip:{number}@{}", daemon.sip));
    ua.sip.with(move |agent, now| agent.refer(now, leg, &target, None)).await.unwrap().expect("in a call");
}

async fn is_told_at_last(ua: &mut Ua) -> u16 {
    ua.until("end of the transfer", |e| match e {
        SipEvent::ReferProgress { code, over: true, .. } => Some(*code),
        _ => None,
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_puts_the_other_side_through_and_gets_it_back_where_that_fails() {
    let phone = || Ua::new(&[Codec::Pcmu]);
    let (mut caller, mut callee, mut busy, mut third) = (phone(), phone(), phone(), phone());
    let route = |number: &str, to: &Ua| {
        format!("[[routes]]\nmatch = \"{number}\"\napp = \"bridge:sip:{{number}}@{}\"\n", to.address())
    };
    let daemon = Daemon::start_with(&[route("300", &callee), route("301", &busy), route("302", &third)].concat());
    caller.invite(daemon.sip, "300").await;
    callee.ringing().await;
    callee.accept().await;
    caller.accepted().await;

    hands_over(&mut caller, &daemon, "301").await;
    busy.ringing().await;
    busy.sip.reject(busy.leg, 486, "", &[]).await.expect("it rings");
    assert_eq!(is_told_at_last(&mut caller).await, 486);
    they_hear_each_other(&caller, &callee).await;

    hands_over(&mut caller, &daemon, "999").await;
    assert_eq!(is_told_at_last(&mut caller).await, 404, "no route");

    hands_over(&mut caller, &daemon, "302").await;
    let (from, _) = third.ringing().await;
    assert!(from.contains("sip:300@"), "who stays is seen calling: {from}");
    third.accept().await;
    assert_eq!(is_told_at_last(&mut caller).await, 200);
    caller.ended().await;
    they_hear_each_other(&third, &callee).await;

    // Whoever was called is a stranger here: at our cost it sends nobody anywhere.
    hands_over(&mut callee, &daemon, "301").await;
    assert_eq!(is_told_at_last(&mut callee).await, 603);
    callee.hang_up().await;
    third.ended().await;
}

/// Where the tone of `hz` is first heard alone for 0.4 s, samples.
fn place(channel: &[i16], hz: f64) -> Option<usize> {
    // The first 0.2 s of each do not count.
    channel.windows(4800).step_by(400).position(|window| purity(window, hz) > 0.8).map(|step| step * 400)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_goes_on_when_the_callers_side_is_handed_over() {
    const MIDDLE: f64 = 700.0;
    let phone = || Ua::new(&[Codec::Pcmu]);
    let (mut caller, mut callee, mut third) = (phone(), phone(), phone());
    let route = |number: &str, to: &Ua| {
        let app = format!("bridge:sip:{{number}}@{}", to.address());
        format!("[[routes]]\nmatch = \"{number}\"\napp = \"{app}\"\nrecord = true\n")
    };
    let routes = [route("300", &callee), route("302", &third)].concat();
    let daemon = Daemon::start_with(&format!("[recording]\nenabled = true\nmin_free_mb = 1\n{routes}"));
    caller.invite(daemon.sip, "300").await;
    callee.ringing().await;
    callee.accept().await;
    caller.accepted().await;
    let _ = tokio::join!(caller.talk(LOW, 900, None), callee.talk(HIGH, 900, None));
    hands_over(&mut caller, &daemon, "302").await;
    third.ringing().await;
    third.accept().await;
    // What it is told of the transfer may come before this or after.
    caller.ended().await;
    let _ = tokio::join!(third.talk(MIDDLE, 900, None), callee.talk(LOW, 900, None));
    third.hang_up().await;
    callee.ended().await;

    let shown = || -> Value {
        let list = get(daemon.http, "/v1/calls").expect("/v1/calls answers").1;
        let list: Value = serde_json::from_str(&list).expect("JSON");
        let Some(id) = list["items"][0]["id"].as_str() else { return Value::Null };
        let (_, call) = get(daemon.http, &format!("/v1/calls/{id}")).expect("the call is shown");
        serde_json::from_str::<Value>(&call).expect("JSON")["recording"].take()
    };
    let complete = || shown()["state"] == "complete";
    assert!(eventually(Duration::from_secs(30), complete), "{}\n{}", shown(), daemon.log());
    let file = daemon.data.join(shown()["file"].as_str().expect("a file"));
    let samples = hound::WavReader::open(file).expect("a WAV file").into_samples::<i16>();
    let samples: Vec<i16> = samples.map(|s| s.expect("a sample")).collect();
    let (left, right): (Vec<i16>, Vec<i16>) = samples.chunks(2).map(|pair| (pair[0], pair[1])).unzip();
    for (whose, channel, before, after) in [("caller", &left, LOW, MIDDLE), ("callee", &right, HIGH, LOW)] {
        let (before, after) = (place(channel, before), place(channel, after));
        // Each talks for 0.9 s.
        let apart = before.zip(after).is_some_and(|(before, after)| after >= before + 3200);
        assert!(apart, "{whose}: {before:?} and {after:?} of {} samples\n{}", channel.len(), daemon.log());
    }
}

/// A desk phone that writes what it wants, and reads what it gets.
struct Slow {
    phone: rig::phone::Phone,
    tag: String,
}

impl Slow {
    fn calls(daemon: &Daemon, (number, call): (&str, &str), callee: impl FnOnce()) -> Self {
        let phone = rig::phone::Phone::new(daemon);
        phone.send(phone.message("INVITE", number, call, 1, "", &phone.sdp()).as_bytes());
        callee();
        let (status, text) = phone.answer(200).expect("a final response");
        assert_eq!(status, 200, "{text}");
        let to = text.lines().find(|line| line.starts_with("To:")).expect("a To");
        let tag = to.split_once("tag=").expect("a tag").1.trim().to_owned();
        phone.send(phone.message("ACK", number, call, 1, &tag, "").as_bytes());
        Self { phone, tag }
    }

    /// The next request that is none of these.
    fn asked(&self, passed: &[&str]) -> String {
        let mut buffer = [0; 4096];
        loop {
            let n = self.phone.socket.recv(&mut buffer).expect("the daemon says something");
            let text = String::from_utf8_lossy(&buffer[..n]).into_owned();
            if !text.starts_with("SIP/2.0") && !passed.contains(&text.as_str()) {
                return text;
            }
        }
    }

    fn answers(&self, request: &str) {
        let same = request.lines().take_while(|line| !line.is_empty());
        let same: Vec<&str> = same
            .filter(|line| ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name)))
            .collect();
        self.phone.send(format!("SIP/2.0 200 OK\r\n{}\r\nContent-Length: 0\r\n\r\n", same.join("\r\n")).as_bytes());
    }
}

/// What a phone was told first it has not answered yet when its transfer is done: it hears the outcome all the same, and the BYE
/// comes after that. So where the other side hangs up meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn who_asked_for_a_transfer_hears_the_outcome_before_it_is_hung_up() {
    let (callee, third) = (Ua::new(&[Codec::Pcmu]), Ua::new(&[Codec::Pcmu]));
    let route = |number: &str, to: &Ua| {
        format!("[[routes]]\nmatch = \"{number}\"\napp = \"bridge:sip:{{number}}@{}\"\n", to.address())
    };
    let daemon = Daemon::start_with(&[route("300", &callee), route("302", &third)].concat());
    let (runtime, phones) = (tokio::runtime::Handle::current(), (callee, third));
    let (mut callee, mut third) = phones;
    let work = move || {
        for (call, given_up, told) in [("done", false, "SIP/2.0 200 "), ("given-up", true, "SIP/2.0 487 ")] {
            let slow = Slow::calls(&daemon, ("300", call), || {
                runtime.block_on(async {
                    callee.ringing().await;
                    callee.accept().await;
                });
            });
            let refer = slow.phone.message("REFER", "300", call, 2, &slow.tag, "");
            let target = format!("Refer-To: <sip:302@{}>\r\nContent-Length:", daemon.sip);
            slow.phone.send(refer.replace("Content-Length:", &target).as_bytes());
            let first = slow.asked(&[]);
            assert!(first.starts_with("NOTIFY ") && first.contains("SIP/2.0 100 "), "{first}");
            runtime.block_on(async {
                third.ringing().await;
                if given_up {
                    callee.hang_up().await;
                    callee.ended().await;
                } else {
                    third.accept().await;
                }
            });
            slow.answers(&first);
            let last = slow.asked(&[&first]);
            assert!(last.starts_with("NOTIFY ") && last.contains(told), "{told}: {last}");
            assert!(last.contains("Subscription-State: terminated"), "{last}");
            slow.answers(&last);
            let bye = slow.asked(&[&first, &last]);
            assert!(bye.starts_with("BYE "), "{bye}");
            slow.answers(&bye);
            runtime.block_on(async {
                if given_up {
                    third.until("CANCEL", |e| matches!(e, SipEvent::Cancelled { .. }).then_some(())).await;
                } else {
                    third.hang_up().await;
                    callee.ended().await;
                }
            });
        }
    };
    tokio::task::spawn_blocking(work).await.expect("all of it is so");
}
