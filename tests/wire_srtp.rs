//! SRTP by SDES over real sockets: a phone with keys of its own calls the daemon; what is protected is heard, what is not is
//! counted and changes nothing.

mod rig;

use callwright::os::random;
use callwright::rtp::header::HEADER_LEN;
use callwright::rtp::srtp::{OVERHEAD_MAX, Profile, SrtpContext};
use callwright::rtp::{Codec, Header, Packet};
use callwright::sip::agent::SipEvent;
use callwright::sip::sdp::{Direction, LocalMedia, Negotiated, Preference, SdpSession, Srtp};
use callwright_dsp::codec::{Decoder, Encoder, EncoderSettings};
use rig::phone::Phone;
use rig::ua::{Ua, purity};
use rig::{Daemon, eventually, get};
use serde_json::Value;
use std::f64::consts::TAU;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

const LOW: f64 = 500.0;
const HIGH: f64 = 1100.0;

fn session(port: u16, srtp: Srtp) -> SdpSession {
    let address = "127.0.0.1".parse().expect("an address");
    let local = LocalMedia { address, port, session_id: 9, session_version: 1 };
    SdpSession::preferring(local, Preference::of_peer(&[Codec::Pcmu]).protecting(srtp)).drawing(random::fill)
}

/// One protected stream each way.
struct Line {
    socket: UdpSocket,
    to: SocketAddr,
    out: SrtpContext,
    back: SrtpContext,
    header: Header,
    /// Datagrams that were not authentic.
    foreign: usize,
}

impl Line {
    fn new(socket: &UdpSocket, agreed: &Negotiated) -> Self {
        let keys = agreed.keys.as_ref().expect("SRTP was agreed");
        Self {
            socket: socket.try_clone().expect("a socket"),
            to: agreed.remote,
            out: SrtpContext::with(&keys.ours),
            back: SrtpContext::with(&keys.theirs),
            // The number wraps soon: the rollover counter is part of what is protected.
            header: Header { ssrc: 0x1234, sequence: 65_520, timestamp: 1000, ..Header::default() },
            foreign: 0,
        }
    }

    fn rekey(&mut self, agreed: &Negotiated) {
        let keys = agreed.keys.as_ref().expect("SRTP was agreed");
        (self.out, self.back) = (SrtpContext::with(&keys.ours), SrtpContext::with(&keys.theirs));
    }

    /// Sends a tone, protected or not, and gives what is heard meanwhile.
    fn talk(&mut self, hz: f64, ms: u64, protected: bool) -> Vec<i16> {
        let mut encoder = Encoder::new(Codec::Pcmu, 8_000, EncoderSettings::default()).expect("the codec opens");
        let mut decoder = Decoder::new(Codec::Pcmu, 8_000).expect("the codec opens");
        let (begin, mut heard) = (Instant::now(), Vec::new());
        for slot in 0..ms / 20 + 5 {
            let due = begin + Duration::from_millis(slot * 20);
            while let Some(left) = due.checked_duration_since(Instant::now()).filter(|d| !d.is_zero()) {
                self.socket.set_read_timeout(Some(left)).expect("a timeout");
                let mut datagram = [0; 2000];
                let Ok(len) = self.socket.recv(&mut datagram) else { continue };
                let Ok(len) = self.back.unprotect_rtp(&mut datagram[..len]) else {
                    self.foreign += 1;
                    continue;
                };
                let packet = Packet::parse(&datagram[..len]).expect("the daemon sends RTP");
                let mut pcm = [0; 960];
                let samples = decoder.decode(packet.payload, &mut pcm).expect("the payload is of its codec");
                heard.extend(&pcm[..samples]);
            }
            if slot >= ms / 20 {
                continue;
            }
            let at = |n: u64| TAU * hz * (slot * 160 + n) as f64 / 8000.0;
            let pcm: Vec<i16> = (0..160).map(|n| (8000.0 * at(n).sin()) as i16).collect();
            let mut datagram = [0; HEADER_LEN + 160 + OVERHEAD_MAX];
            self.header.write(datagram.first_chunk_mut().expect("its length"));
            let mut len = HEADER_LEN + encoder.encode(&pcm, &mut datagram[HEADER_LEN..]).expect("20 ms are encoded");
            if protected {
                len = self.out.protect_rtp(&mut datagram, len).expect("there is room");
            }
            self.socket.send_to(&datagram[..len], self.to).expect("loopback takes it");
            self.header.sequence = self.header.sequence.wrapping_add(1);
            self.header.timestamp = self.header.timestamp.wrapping_add(160);
        }
        heard
    }
}

/// A phone that says SIP by hand.
struct Caller {
    phone: Phone,
    session: SdpSession,
    call: String,
    tag: String,
    sequence: u32,
}

impl Caller {
    fn new(daemon: &Daemon, srtp: Srtp) -> Self {
        let phone = Phone::new(daemon);
        let port = phone.rtp.local_addr().expect("bound").port();
        Self { phone, session: session(port, srtp), call: random::hex(8), tag: String::new(), sequence: 0 }
    }

    fn say(&self, method: &str, number: &str, body: &str) {
        let message = self.phone.message(method, number, &self.call, self.sequence, &self.tag, body);
        self.phone.send(message.as_bytes());
    }

    /// INVITE or re-INVITE: status and body of the final response.
    fn invite(&mut self, number: &str, body: &str) -> (u16, String) {
        self.sequence += 1;
        self.say("INVITE", number, body);
        let (status, text) = self.phone.answer(200).expect("a final response");
        let to = text.lines().find_map(|l| l.strip_prefix("To: ")).expect("a To");
        let tag = to.split_once("tag=").expect("a tag").1.trim().to_owned();
        if status == 200 {
            self.tag = tag;
        } else {
            // The ACK of a refusal belongs to its INVITE (RFC 3261 section 17.1.1.3).
            let ack = self.phone.message("ACK", number, &self.call, self.sequence, &tag, "");
            let ack = ack.replace(&format!("{}ACK;rport", self.sequence), &format!("{}INVITE;rport", self.sequence));
            self.phone.send(ack.as_bytes());
        }
        (status, text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
    }

    /// Offers SRTP in these suites.
    fn agree(&mut self, number: &str, suites: &[Profile]) -> Negotiated {
        let offer = String::from_utf8(self.session.offer(Direction::SendRecv)).expect("our SDP is text");
        let suits =
            |l: &&str| !l.starts_with("a=crypto") || suites.iter().any(|s| l.contains(&format!(" {} ", s.suite())));
        let offer: String = offer.split_inclusive('\n').filter(suits).collect();
        let (status, answer) = self.invite(number, &offer);
        assert_eq!(status, 200, "{answer}");
        self.say("ACK", number, "");
        self.session.accept_answer(answer.as_bytes()).expect("an answer to the offer")
    }

    fn bye(&mut self, number: &str) {
        self.sequence += 1;
        self.say("BYE", number, "");
        assert_eq!(self.phone.answer(200).map(|a| a.0), Some(200), "BYE is answered");
    }
}

/// The newest record, once it has ended.
fn record(daemon: &Daemon) -> Value {
    let newest = || {
        let (_, body) = get(daemon.http, "/v1/calls").ok()?;
        let json: Value = serde_json::from_str(&body).ok()?;
        let ended = json["live"].as_array()?.is_empty() && json["items"][0]["ended_by"].is_string();
        ended.then(|| json["items"][0].clone())
    };
    assert!(eventually(Duration::from_secs(5), || newest().is_some()), "the call ends\n{}", daemon.log());
    newest().expect("it was there")
}

/// A tone comes back whole.
fn is_heard(pcm: &[i16], hz: f64) {
    let pure = purity(pcm, hz);
    assert!(pcm.len() >= 25 * 160 && pure > 0.9, "{} samples, {pure:.3}", pcm.len());
}

fn no_key_in(daemon: &Daemon) {
    let log = daemon.log();
    assert!(log.contains("audio is protected by SRTP"), "{log}");
    // As text, and as the octets of `inline:`.
    assert!(!log.contains("inline:") && !log.contains("105, 110, 108, 105, 110, 101, 58"), "a key in the log");
}

#[test]
fn every_suite_is_heard_in_the_echo() {
    let daemon = Daemon::start();
    for profile in Profile::ALL {
        let mut caller = Caller::new(&daemon, Srtp::Require);
        let agreed = caller.agree("echo", &[profile]);
        assert_eq!(agreed.keys.as_ref().map(|k| k.theirs.profile()), Some(profile));
        let mut line = Line::new(&caller.phone.rtp, &agreed);
        is_heard(&line.talk(LOW, 700, true), LOW);
        assert_eq!(line.foreign, 0, "all that came was authentic");
        caller.bye("echo");
        let record = record(&daemon);
        assert_eq!(record["media"]["srtp_failed"], 0, "{record:#}");
    }
    no_key_in(&daemon);
}

#[test]
fn plain_packets_change_nothing() {
    let daemon = Daemon::start();
    let mut caller = Caller::new(&daemon, Srtp::Require);
    let agreed = caller.agree("echo", &Profile::ALL);
    let mut line = Line::new(&caller.phone.rtp, &agreed);
    let before = line.talk(HIGH, 300, false);
    assert!(before.is_empty() && line.foreign == 0, "nothing is said to whoever has no key");
    is_heard(&line.talk(LOW, 700, true), LOW);
    assert!(line.talk(HIGH, 300, false).len() <= 160, "plain packets are not heard");
    is_heard(&line.talk(LOW, 700, true), LOW);
    assert_eq!(line.foreign, 0);
    caller.bye("echo");
    let record = record(&daemon);
    assert_eq!(record["media"]["srtp_failed"], 30, "{record:#}");
}

#[test]
fn a_call_goes_on_under_new_keys_and_a_refresh_changes_none() {
    let daemon = Daemon::start();
    let mut caller = Caller::new(&daemon, Srtp::Require);
    let agreed = caller.agree("echo", &[Profile::AesCm128HmacSha1With80]);
    let mut line = Line::new(&caller.phone.rtp, &agreed);
    is_heard(&line.talk(LOW, 700, true), LOW);
    // The same again: nothing changes, and contexts go on.
    let again = caller.agree("echo", &Profile::ALL);
    assert_eq!((&again.keys, &again.answer), (&agreed.keys, &agreed.answer));
    is_heard(&line.talk(LOW, 700, true), LOW);
    // On hold and back: the answer changes, the keys do not.
    for (direction, status) in [(Direction::SendOnly, 200), (Direction::SendRecv, 200)] {
        let offer = caller.session.offer(direction);
        let (said, answer) = caller.invite("echo", std::str::from_utf8(&offer).expect("text"));
        caller.say("ACK", "echo", "");
        assert_eq!(said, status, "{answer}");
        assert_eq!(caller.session.accept_answer(answer.as_bytes()).expect("an answer").keys, agreed.keys);
    }
    is_heard(&line.talk(LOW, 700, true), LOW);
    // Another key and another suite.
    let port = caller.phone.rtp.local_addr().expect("bound").port();
    caller.session = session(port, Srtp::Require);
    let other = caller.agree("echo", &[Profile::AeadAes256Gcm]);
    let (before, after) = (agreed.keys.as_ref().expect("keys"), other.keys.as_ref().expect("keys"));
    assert!(before.theirs != after.theirs && after.theirs.profile() == Profile::AeadAes256Gcm);
    line.rekey(&other);
    is_heard(&line.talk(LOW, 700, true), LOW);
    // And never in the clear: the call goes on as it was.
    let mut plain = session(port, Srtp::Off);
    let offer = plain.offer(Direction::SendRecv);
    assert_eq!(caller.invite("echo", std::str::from_utf8(&offer).expect("text")).0, 488);
    is_heard(&line.talk(LOW, 700, true), LOW);
    caller.bye("echo");
    no_key_in(&daemon);
}

#[test]
fn the_answer_to_our_own_offer_may_come_with_the_ack() {
    let daemon = Daemon::start_with("[media]\nsrtp = \"require\"");
    let mut caller = Caller::new(&daemon, Srtp::Answer);
    let (status, offer) = caller.invite("echo", "");
    assert_eq!((status, offer.matches("a=crypto:").count()), (200, 4), "{offer}");
    let agreed = caller.session.answer(offer.as_bytes()).expect("a suite in common");
    let mut line = Line::new(&caller.phone.rtp, &agreed);
    // Before the ACK nobody is heard, key or no key.
    assert!(line.talk(HIGH, 100, false).is_empty() && line.talk(HIGH, 100, true).is_empty());
    caller.say("ACK", "echo", std::str::from_utf8(&agreed.answer).expect("text"));
    is_heard(&line.talk(LOW, 900, true), LOW);
    caller.bye("echo");
}

#[test]
fn policy_refuses_what_it_does_not_want() {
    for (policy, offered) in [("require", Srtp::Off), ("off", Srtp::Require)] {
        let daemon = Daemon::start_with(&format!("[media]\nsrtp = \"{policy}\""));
        let mut caller = Caller::new(&daemon, offered);
        let offer = caller.session.offer(Direction::SendRecv);
        assert_eq!(caller.invite("echo", std::str::from_utf8(&offer).expect("text")).0, 488, "{policy}");
    }
}

/// A phone that is called, and the daemon that calls it.
fn bridged(policy: &str, of_callee: Srtp) -> (Daemon, Ua) {
    let mut callee = Ua::new(&[Codec::Pcmu]);
    callee.session = session(callee.rtp.local_addr().expect("bound").port(), of_callee);
    let to = callee.address();
    let daemon = Daemon::start_with(&format!(
        "[media]\nsrtp = \"{policy}\"\n[[routes]]\nmatch = \"*\"\napp = \"bridge:sip:{{number}}@{to}\""
    ));
    (daemon, callee)
}

async fn connected(mut caller: Caller, callee: &mut Ua) -> (Caller, Negotiated) {
    let calling = tokio::task::spawn_blocking(move || {
        let agreed = caller.agree("300", &Profile::ALL);
        (caller, agreed)
    });
    callee.ringing().await;
    callee.accept().await;
    calling.await.expect("it calls")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protected_leg_speaks_with_a_plain_one() {
    let (daemon, mut callee) = bridged("answer", Srtp::Off);
    let (caller, agreed) = connected(Caller::new(&daemon, Srtp::Require), &mut callee).await;
    assert!(callee.agreed.as_ref().is_some_and(|a| a.keys.is_none()), "the other leg is plain");
    let mut line = Line::new(&caller.phone.rtp, &agreed);
    let talking = tokio::task::spawn_blocking(move || (line.talk(LOW, 900, true), line.foreign));
    let at_callee = callee.talk(HIGH, 900, None).await;
    let (at_caller, foreign) = talking.await.expect("it talks");
    is_heard(&at_caller, HIGH);
    is_heard(&at_callee.pcm, LOW);
    assert_eq!(foreign, 0);
    callee.hang_up().await;
    let record = record(&daemon);
    assert_eq!((&record["media"]["srtp_failed"], &record["media"]["callee"]["srtp_failed"]), (&0.into(), &0.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_it_is_required_both_legs_are_protected_each_by_its_own_keys() {
    let (daemon, mut callee) = bridged("require", Srtp::Answer);
    let (caller, agreed) = connected(Caller::new(&daemon, Srtp::Require), &mut callee).await;
    let there = callee.agreed.clone().expect("agreed");
    let (one, two) = (agreed.keys.clone().expect("keys"), there.keys.clone().expect("keys"));
    assert!(one.theirs != two.theirs && one.ours != two.ours && one.ours != two.theirs);
    let (mut here, mut there) = (Line::new(&caller.phone.rtp, &agreed), Line::new(&callee.rtp, &there));
    let talking = tokio::task::spawn_blocking(move || (here.talk(LOW, 900, true), here.foreign));
    let listening = tokio::task::spawn_blocking(move || (there.talk(HIGH, 900, true), there.foreign));
    let ((at_caller, a), (at_callee, b)) = (talking.await.expect("it talks"), listening.await.expect("it talks"));
    is_heard(&at_caller, HIGH);
    is_heard(&at_callee, LOW);
    assert_eq!((a, b), (0, 0));
    no_key_in(&daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_it_is_required_a_callee_without_it_is_not_reached() {
    let (daemon, mut callee) = bridged("require", Srtp::Off);
    let mut caller = Caller::new(&daemon, Srtp::Require);
    let calling = tokio::task::spawn_blocking(move || {
        let offer = caller.session.offer(Direction::SendRecv);
        caller.invite("300", std::str::from_utf8(&offer).expect("text")).0
    });
    let (leg, offer) = callee
        .until("call", |e| match e {
            SipEvent::Incoming { leg, offer, .. } => Some((*leg, offer.clone().expect("an offer"))),
            _ => None,
        })
        .await;
    assert!(callee.session.answer(&offer).is_err(), "it is offered nothing in the clear");
    callee.sip.reject(leg, 488, "", &[]).await.expect("it rings");
    assert_eq!(calling.await.expect("it calls"), 488);
}
