//! `bridge:URI` over real sockets: one phone calls the daemon, which calls another. What either says is heard by the other,
//! and what either does to the call reaches the other.

mod rig;

use callwright::rtp::header::HEADER_LEN;
use callwright::rtp::{Codec, Format, Header, Packet};
use callwright::sip::agent::SipEvent;
use callwright::sip::sdp::{Direction, LocalMedia, Negotiated, Preference, SdpSession};
use rig::phone::Phone;
use rig::ua::{Heard, Ua, purity, talk};
use rig::{Daemon, eventually, get};
use serde_json::{Value, json};
use std::time::Duration;

const LOW: f64 = 500.0;
const HIGH: f64 = 1100.0;

/// A daemon that passes every call on to `callee`, whose address is known by then.
fn daemon_before(callee: &Ua) -> Daemon {
    daemon_to(&format!("bridge:sip:{{number}}@{}", callee.address()))
}

fn daemon_to(app: &str) -> Daemon {
    Daemon::start_with(&format!("[[routes]]\nmatch = \"*\"\napp = \"{app}\""))
}

/// The same, and every call is recorded.
fn recording_before(callee: &Ua) -> Daemon {
    let route = format!("match = \"*\"\napp = \"bridge:sip:{{number}}@{}\"\nrecord = true", callee.address());
    Daemon::start_with(&format!("[recording]\nenabled = true\nmin_free_mb = 1\n[[routes]]\n{route}"))
}

/// Two phones in a call.
async fn connected(caller: &[Codec], callee: &[Codec]) -> (Daemon, Ua, Ua) {
    let (mut caller, mut callee) = (Ua::new(caller), Ua::new(callee));
    let daemon = daemon_before(&callee);
    caller.invite(daemon.sip, "300").await;
    callee.ringing().await;
    callee.sip.ring(callee.leg).await.expect("it rings");
    caller.until("ringing", |e| matches!(e, SipEvent::Progress { code: 180, .. }).then_some(())).await;
    callee.accept().await;
    caller.accepted().await;
    (daemon, caller, callee)
}

/// Both talk at once; each must hear the other and nothing else.
async fn both_are_heard(caller: &Ua, callee: &Ua) -> (Heard, Heard) {
    let (at_caller, at_callee) = tokio::join!(caller.talk(LOW, 900, Some(5)), callee.talk(HIGH, 900, None));
    for (who, heard, theirs, own) in [("caller", &at_caller, HIGH, LOW), ("callee", &at_callee, LOW, HIGH)] {
        let (hears, itself) = (purity(&heard.pcm, theirs), purity(&heard.pcm, own));
        assert!(heard.pcm.len() >= 35 * 160, "{who} hears {} samples", heard.pcm.len());
        assert!(hears > 0.8 && itself < 0.02, "{who} hears {hears:.3} of the other and {itself:.3} of itself");
    }
    assert_eq!((at_callee.digits.as_str(), at_caller.digits.as_str()), ("5", ""), "the key that the caller pressed");
    (at_caller, at_callee)
}

/// The newest record, once it and all before it are written.
fn record(daemon: &Daemon) -> Value {
    let offered = daemon.log().matches("call offered").count();
    let mut newest = None;
    let written = || {
        newest = get(daemon.http, "/v1/calls").ok().and_then(|(_, body)| {
            let json: Value = serde_json::from_str(&body).ok()?;
            let items = json["items"].as_array()?;
            let ended = json["live"].as_array()?.is_empty() && items.iter().all(|item| item["ended_by"].is_string());
            (ended && items.len() == offered).then(|| items[0].clone())
        });
        newest.is_some()
    };
    assert!(eventually(Duration::from_secs(5), written), "the call ends\n{}", daemon.log());
    newest.expect("it was written")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_codec_that_both_have_passes_unchanged() {
    let (daemon, mut caller, mut callee) = connected(&[Codec::Pcmu], &[Codec::Pcma, Codec::Pcmu]).await;
    assert_eq!(callee.formats().send, Format::PCMU, "the caller's codec was offered first");
    let (at_caller, at_callee) = both_are_heard(&caller, &callee).await;
    for (sent, heard) in [(&at_caller.sent, &at_callee), (&at_callee.sent, &at_caller)] {
        let same = heard.payloads.iter().filter(|p| sent.contains(p)).count();
        assert_eq!(same, heard.payloads.len(), "every octet is the sender's");
        let gaps: Vec<u16> = heard.headers.windows(2).map(|w| w[1].sequence.wrapping_sub(w[0].sequence)).collect();
        // The key took five numbers.
        assert!(gaps.iter().all(|g| *g == 1 || *g == 6), "{gaps:?}");
        assert_eq!(heard.headers.iter().filter(|h| h.ssrc != heard.headers[0].ssrc).count(), 0, "one stream");
    }
    caller.hang_up().await;
    callee.ended().await;
    let record = record(&daemon);
    assert_eq!(record["ended_by"], "caller_hung_up", "{record:#}");
    assert!(record["answered"].is_string() && record["app"].as_str().is_some_and(|a| a.starts_with("bridge:sip:")));
    for end in [&record["media"], &record["media"]["callee"]] {
        assert_eq!(end["codec"], "PCMU", "{record:#}");
        assert!(end["packets_received"].as_u64() > Some(30) && end["packets_sent"].as_u64() > Some(30), "{record:#}");
    }
}

/// What a caller's phone says of its pauses reaches the called one, which has agreed to it; a caller that does not know of
/// such things invites nobody to do so.
#[tokio::test(flavor = "multi_thread")]
async fn comfort_noise_is_offered_on_and_passes() {
    for knows in [true, false] {
        let (mut caller, mut callee) = (Ua::new(&[Codec::Pcmu]), Ua::new(&[Codec::Pcmu]));
        caller.session.prefer(Preference::of_peer(&[Codec::Pcmu]).with_comfort_noise(knows));
        let daemon = daemon_before(&callee);
        caller.invite(daemon.sip, "300").await;
        callee.ringing().await;
        callee.accept().await;
        caller.accepted().await;
        let noise = knows.then_some(13);
        assert_eq!((caller.formats().comfort_noise, callee.formats().comfort_noise), (noise, noise));
        if !knows {
            continue;
        }
        let to = caller.agreed.as_ref().expect("agreed").remote;
        callee.rtp.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        let mut datagram = [0; 200];
        for n in 0..10u16 {
            let payload_type = if n == 9 { 13 } else { 0 };
            let header = Header { sequence: n, timestamp: u32::from(n) * 160, ssrc: 9, payload_type, marker: n == 0 };
            header.write(datagram.first_chunk_mut().expect("room for a header"));
            let len = HEADER_LEN + if n == 9 { 3 } else { 160 };
            caller.rtp.send_to(&datagram[..len], to).expect("it is sent");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut types = Vec::new();
        while types.last() != Some(&13) {
            let len = callee.rtp.recv(&mut datagram).unwrap_or_else(|e| panic!("{types:?} and then {e}"));
            let packet = Packet::parse(&datagram[..len]).expect("RTP");
            types.push(packet.header.payload_type);
        }
        assert!(types.len() >= 5 && types[..types.len() - 1].iter().all(|t| *t == 0), "{types:?}");
        caller.hang_up().await;
        callee.ended().await;
    }
}

/// Both channels of the newest call's recording, once it is whole; `None`: it was not recorded.
fn recorded(daemon: &Daemon) -> Option<(Vec<i16>, Vec<i16>)> {
    let id = record(daemon)["id"].as_str().expect("an id").to_owned();
    let shown = || -> Value {
        let (_, body) = get(daemon.http, &format!("/v1/calls/{id}")).expect("the call is shown");
        serde_json::from_str::<Value>(&body).expect("JSON")["recording"].take()
    };
    let settled = || shown()["state"] != "recording";
    assert!(eventually(Duration::from_secs(5), settled), "{}\n{}", shown(), daemon.log());
    let file = daemon.data.join(shown()["file"].as_str()?);
    let samples = hound::WavReader::open(file).expect("a WAV file").into_samples::<i16>();
    let samples: Vec<i16> = samples.map(|s| s.expect("a sample")).collect();
    Some(samples.chunks(2).map(|pair| (pair[0], pair[1])).unzip())
}

#[tokio::test(flavor = "multi_thread")]
async fn both_parties_of_a_wideband_call_are_in_its_recording() {
    for (one, other) in [(Codec::G722, Codec::G722), (Codec::Opus, Codec::G722)] {
        let (mut caller, mut callee) = (Ua::new(&[one]), Ua::new(&[other]));
        let daemon = recording_before(&callee);
        caller.invite(daemon.sip, "300").await;
        callee.ringing().await;
        callee.accept().await;
        caller.accepted().await;
        // Without a key in it, which would break the tone in two.
        let _ = tokio::join!(caller.talk(LOW, 900, None), callee.talk(HIGH, 900, None));
        caller.hang_up().await;
        callee.ended().await;
        let (left, right) = recorded(&daemon).expect("a recording");
        let (caller, callee) = (purity(&left, LOW), purity(&right, HIGH));
        assert!(left.len() > 35 * 160, "{} samples", left.len());
        assert!(
            caller > 0.6 && callee > 0.6,
            "{one:?}, {other:?}: {caller:.3} of the caller, {callee:.3} of the callee"
        );
        assert!(purity(&left, HIGH) < 0.02 && purity(&right, LOW) < 0.02, "each in a channel of its own");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_recorded_before_the_answer() {
    for answered in [false, true] {
        let (mut caller, mut callee) = (Ua::new(&[Codec::Pcma]), Ua::new(&[Codec::Pcma]));
        let daemon = recording_before(&callee);
        caller.invite(daemon.sip, "300").await;
        callee.ringing().await;
        let answer = callee.agreed.as_ref().map(|a| a.answer.clone());
        callee.sip.progress(callee.leg, 183, answer).await.expect("it rings");
        caller.early().await;
        let (at_caller, _) = tokio::join!(caller.talk(LOW, 500, None), callee.talk(LOW, 500, None));
        assert!(!at_caller.pcm.is_empty(), "there is early audio");
        if answered {
            callee.accept().await;
            caller.accepted().await;
            let _ = tokio::join!(caller.talk(HIGH, 700, None), callee.talk(HIGH, 700, None));
        }
        caller.hang_up().await;
        caller.ended().await;
        let heard = recorded(&daemon);
        assert_eq!(heard.is_some(), answered, "a call without an answer leaves no file");
        for channel in heard.into_iter().flat_map(|(left, right)| [left, right]) {
            let (early, late) = (purity(&channel, LOW), purity(&channel, HIGH));
            // The silence before the answer takes its time in the file.
            assert!(early < 0.02 && late > 0.4, "{early:.3} from before the answer, {late:.3} from after it");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mu_law_speaks_with_a_law() {
    let (daemon, caller, mut callee) = connected(&[Codec::Pcmu], &[Codec::Pcma]).await;
    both_are_heard(&caller, &callee).await;
    let mut caller = caller;
    callee.hang_up().await;
    caller.ended().await;
    let record = record(&daemon);
    assert_eq!(record["ended_by"], "callee_hung_up", "{record:#}");
    assert_eq!((&record["media"]["codec"], &record["media"]["callee"]["codec"]), (&"PCMU".into(), &"PCMA".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn mu_law_speaks_with_opus() {
    let (_daemon, caller, callee) = connected(&[Codec::Pcmu], &[Codec::Opus]).await;
    assert_eq!(callee.formats().telephone_event.map(|e| e.clock), Some(48_000), "keys go at the clock of Opus");
    both_are_heard(&caller, &callee).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opus_speaks_with_g722() {
    let (_daemon, caller, callee) = connected(&[Codec::Opus], &[Codec::G722]).await;
    both_are_heard(&caller, &callee).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_called_partys_codec_wins_where_the_caller_has_it() {
    let (_daemon, caller, callee) = connected(&[Codec::Opus, Codec::G722, Codec::Pcma], &[Codec::Pcma]).await;
    assert_eq!((caller.formats().send, callee.formats().send), (Format::PCMA, Format::PCMA));
}

/// A phone that says SIP by hand, since the product's own never changes its mind in a call.
struct Changeable {
    phone: Phone,
    session: SdpSession,
    tag: String,
    sequence: u32,
    direction: Direction,
}

impl Changeable {
    fn new(daemon: &Daemon) -> Self {
        let phone = Phone::new(daemon);
        let port = phone.rtp.local_addr().expect("bound").port();
        let address = "127.0.0.1".parse().expect("an address");
        let session = SdpSession::new(LocalMedia { address, port, session_id: 9, session_version: 1 });
        Self { phone, session, tag: String::new(), sequence: 0, direction: Direction::SendRecv }
    }

    /// INVITE or re-INVITE with an offer of these; gives what was agreed.
    fn agree(&mut self, number: &str, codecs: &[Codec]) -> Negotiated {
        let offer = self.session.offer_of(codecs, self.direction);
        let answer = self.invite(number, &String::from_utf8(offer).expect("our SDP is text"));
        self.say("ACK", number, "");
        self.session.accept_answer(answer.as_bytes()).expect("an answer to the offer")
    }

    /// INVITE without an offer: the answer to theirs goes with the ACK.
    fn agree_to_theirs(&mut self, number: &str) -> Negotiated {
        let offer = self.invite(number, "");
        let agreed = self.session.answer(offer.as_bytes()).expect("a codec in common");
        self.say("ACK", number, &String::from_utf8(agreed.answer.clone()).expect("our SDP is text"));
        agreed
    }

    fn say(&self, method: &str, number: &str, body: &str) {
        let message = self.phone.message(method, number, "change", self.sequence, &self.tag, body);
        self.phone.send(message.as_bytes());
    }

    /// Gives the description in the 200.
    fn invite(&mut self, number: &str, body: &str) -> String {
        self.sequence += 1;
        self.say("INVITE", number, body);
        let (status, text) = self.phone.answer(200).expect("a final response");
        assert_eq!(status, 200, "{text}");
        let to = text.lines().find_map(|l| l.strip_prefix("To: ")).expect("a To");
        self.tag = to.split_once("tag=").expect("a tag").1.trim().to_owned();
        text.split_once("\r\n\r\n").expect("a body").1.to_owned()
    }

    async fn talk(&self, agreed: &Negotiated, hz: f64) -> Heard {
        let (socket, agreed) = (self.phone.rtp.try_clone().expect("a socket"), agreed.clone());
        tokio::task::spawn_blocking(move || talk(&socket, agreed.remote, &agreed.formats, hz, 800, None))
            .await
            .expect("it talks")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_codec_changes_in_mid_call_and_the_other_leg_does_not_notice() {
    let mut callee = Ua::new(&[Codec::Pcmu]);
    let daemon = daemon_before(&callee);
    let mut caller = Changeable::new(&daemon);
    let answering = async {
        callee.ringing().await;
        callee.accept().await;
        callee
    };
    let calling = tokio::task::spawn_blocking(move || {
        let agreed = caller.agree("300", &[Codec::Pcmu]);
        (caller, agreed)
    });
    let (callee, called) = tokio::join!(answering, calling);
    let (mut caller, mut agreed) = called.expect("it calls");
    for codec in [Codec::Pcmu, Codec::Opus, Codec::G722, Codec::Pcma, Codec::Pcmu] {
        if agreed.formats.send.codec != codec {
            agreed = caller.agree("300", &[codec]);
        }
        let (at_caller, at_callee) = tokio::join!(caller.talk(&agreed, LOW), callee.talk(HIGH, 800, None));
        let (here, there) = (purity(&at_caller.pcm, HIGH), purity(&at_callee.pcm, LOW));
        assert!(here > 0.8 && there > 0.8, "{codec:?}: the caller hears {here:.3}, the callee {there:.3}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_echo_follows_the_codec() {
    let daemon = Daemon::start();
    let mut caller = Changeable::new(&daemon);
    for codec in [Codec::Opus, Codec::Pcmu, Codec::G722, Codec::L16At16k, Codec::Pcma] {
        let agreed = caller.agree("echo", &[codec]);
        let heard = caller.talk(&agreed, LOW).await;
        let pure = purity(&heard.pcm, LOW);
        assert!(heard.pcm.len() > 30 * 160 && pure > 0.8, "{codec:?}: {} samples, {pure:.3}", heard.pcm.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn early_audio_is_heard_before_the_answer() {
    let (mut caller, mut callee) = (Ua::new(&[Codec::Pcma]), Ua::new(&[Codec::Pcma]));
    let daemon = daemon_before(&callee);
    caller.invite(daemon.sip, "300").await;
    callee.ringing().await;
    let answer = callee.agreed.as_ref().map(|a| a.answer.clone());
    callee.sip.progress(callee.leg, 183, answer).await.expect("it rings");
    let early = caller.early().await;
    let (at_caller, _) = tokio::join!(caller.talk(LOW, 600, None), callee.talk(HIGH, 600, None));
    assert!(purity(&at_caller.pcm, HIGH) > 0.9, "the announcement is heard");
    callee.accept().await;
    let said = caller
        .until("answer", |e| match e {
            SipEvent::Accepted { answer, .. } => Some(answer.clone()),
            _ => None,
        })
        .await;
    assert_eq!(said, early, "the answer says what the 183 said");
    both_are_heard(&caller, &callee).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_reach_the_caller() {
    let mut callee = Ua::new(&[Codec::Pcmu]);
    let daemon = daemon_before(&callee);
    for (code, seen) in [(486, 486), (603, 603), (401, 502)] {
        let mut caller = Ua::new(&[Codec::Pcmu]);
        caller.invite(daemon.sip, "300").await;
        let (from, hops) = callee.ringing().await;
        assert_eq!(hops, 69, "one hop less than the caller's 70");
        assert!(from.starts_with("\"Ann\" <sip:ann@127.0.0.1"), "the callee sees who calls: {from}");
        callee.sip.reject(callee.leg, code, "", &[]).await.expect("it rings");
        let refused = caller
            .until("refusal", |e| match e {
                SipEvent::Refused { code, .. } => Some(*code),
                _ => None,
            })
            .await;
        assert_eq!(refused, seen);
    }
    let record = record(&daemon);
    assert_eq!(record["ended_by"], "refused", "{record:#}");
    assert_eq!((&record["sip_code"], &record["cause"]), (&json!(502), &json!(38)), "{record:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_chooses_the_number_and_neither_host_nor_name() {
    let mut callee = Ua::new(&[Codec::Pcmu]);
    let daemon = daemon_before(&callee);
    let trap = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    trap.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
    let elsewhere = trap.local_addr().expect("bound");
    let phone = Phone::new(&daemon);
    let own = format!("sip:300@{}", daemon.sip);
    for (n, target) in [format!("tel:1@{elsewhere}?x"), format!("sip:evil.example?x@{}", daemon.sip)].iter().enumerate()
    {
        let invite = phone.message("INVITE", "300", &format!("elsewhere{n}"), 1, "", &phone.sdp());
        phone.send(invite.replacen(&own, target, 1).as_bytes());
        let (status, text) = phone.answer(200).expect("a final response");
        assert!((400..500).contains(&status), "{target}: {text}");
        let mut datagram = [0; 2000];
        assert!(trap.recv(&mut datagram).is_err(), "{target} reached another host");
    }
    assert!(daemon.log().contains("is no number that can be passed on"), "{}", daemon.log());
    let invite = phone
        .message("INVITE", "300", "elsewhere9", 1, "", &phone.sdp())
        .replace("Max-Forwards: 70", "Max-Forwards: 255");
    let (before, after) = invite.split_once("From: <").expect("a From");
    let (_, after) = after.split_once('>').expect("a URI");
    phone.send(format!("{before}From: <tel:+1@evil?x>{after}").as_bytes());
    let (from, hops) = callee.ringing().await;
    assert!(from.starts_with("<sip:anonymous@127.0.0.1"), "{from}");
    assert_eq!(hops, 69, "no caller makes a loop longer than we would");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_gives_up_stops_the_ringing() {
    let (mut caller, mut callee) = (Ua::new(&[Codec::Pcmu]), Ua::new(&[Codec::Pcmu]));
    let daemon = daemon_before(&callee);
    caller.invite(daemon.sip, "300").await;
    callee.ringing().await;
    callee.sip.ring(callee.leg).await.expect("it rings");
    caller.until("ringing", |e| matches!(e, SipEvent::Progress { code: 180, .. }).then_some(())).await;
    caller.hang_up().await;
    callee.until("CANCEL", |e| matches!(e, SipEvent::Cancelled { .. }).then_some(())).await;
    caller.ended().await;
    assert_eq!(record(&daemon)["ended_by"], "cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_on_hold_hears_nothing_and_comes_back() {
    let mut callee = Ua::new(&[Codec::Pcmu]);
    let daemon = daemon_before(&callee);
    let mut caller = Changeable::new(&daemon);
    let answering = async {
        callee.ringing().await;
        callee.accept().await;
        callee
    };
    let calling = tokio::task::spawn_blocking(move || {
        caller.agree("300", &[Codec::Pcmu]);
        caller
    });
    let (callee, called) = tokio::join!(answering, calling);
    let mut caller = called.expect("it calls");
    caller.direction = Direction::SendOnly;
    let held = caller.agree("300", &[Codec::Pcmu]);
    assert_eq!(held.direction, Direction::SendOnly, "the daemon only receives");
    let (at_caller, at_callee) = tokio::join!(caller.talk(&held, LOW), callee.talk(HIGH, 800, None));
    assert!(at_caller.pcm.is_empty(), "{} samples while on hold", at_caller.pcm.len());
    drop(at_callee);
    caller.direction = Direction::SendRecv;
    let back = caller.agree("300", &[Codec::Pcmu]);
    let (at_caller, at_callee) = tokio::join!(caller.talk(&back, LOW), callee.talk(HIGH, 800, None));
    assert!(purity(&at_caller.pcm, HIGH) > 0.8 && purity(&at_callee.pcm, LOW) > 0.8, "both are heard again");
}

#[tokio::test(flavor = "multi_thread")]
async fn bridges_give_everything_back() {
    let mut callee = Ua::new(&[Codec::Pcmu]);
    let daemon = daemon_before(&callee);
    let mut before = None;
    for n in 0..12 {
        let mut caller = Ua::new(&[Codec::Pcma]);
        caller.invite(daemon.sip, "300").await;
        callee.ringing().await;
        match n % 3 {
            0 => {
                callee.accept().await;
                caller.accepted().await;
                caller.hang_up().await;
                callee.ended().await;
            }
            1 => {
                caller.hang_up().await;
                callee.until("CANCEL", |e| matches!(e, SipEvent::Cancelled { .. }).then_some(())).await;
            }
            _ => callee.sip.reject(callee.leg, 486, "", &[]).await.expect("it rings"),
        }
        caller.until("end", |e| e.is_terminal().then_some(())).await;
        record(&daemon);
        // What is made on first use is there after the first round.
        before = before.or((n == 2).then(|| daemon.resources()));
    }
    let before = before.expect("a round was made");
    let back = || {
        let now = daemon.resources();
        now.0 <= before.0 + 1 && now.1 <= before.1 + 2
    };
    assert!(eventually(Duration::from_secs(20), back), "{before:?} before, {:?} after", daemon.resources());
    assert!(daemon.metric("calls_active") < 0.5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_an_offer_is_bridged_as_well() {
    let mut callee = Ua::new(&[Codec::Pcma]);
    let daemon = daemon_before(&callee);
    let mut caller = Changeable::new(&daemon);
    let answering = async {
        callee.ringing().await;
        callee.accept().await;
        callee
    };
    let calling = tokio::task::spawn_blocking(move || {
        let agreed = caller.agree_to_theirs("300");
        (caller, agreed)
    });
    let (callee, called) = tokio::join!(answering, calling);
    let (caller, agreed) = called.expect("it calls");
    let (at_caller, at_callee) = tokio::join!(caller.talk(&agreed, LOW), callee.talk(HIGH, 800, None));
    let (here, there) = (purity(&at_caller.pcm, HIGH), purity(&at_callee.pcm, LOW));
    assert!(here > 0.8 && there > 0.8, "the caller hears {here:.3}, the callee {there:.3}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_not_there_is_a_bad_gateway() {
    let daemon = daemon_to("bridge:sip:{number}@nowhere.invalid");
    let mut caller = Ua::new(&[Codec::Pcmu]);
    caller.invite(daemon.sip, "300").await;
    let code = caller
        .until("refusal", |e| match e {
            SipEvent::Refused { code, .. } => Some(*code),
            _ => None,
        })
        .await;
    assert_eq!(code, 502);
    let record = record(&daemon);
    assert!(record["reason"].as_str().is_some_and(|r| r.contains("nowhere.invalid")), "{record:#}");
}
