//! Entry points for `fuzz/`. Purpose: the bodies compile, and run once over a seed, in every test run; the targets are a
//! line each. Not for other use.

use std::net::SocketAddr;

use super::agent::{Agent, AgentConfig, Branch, LegId, Placement, SipEvent};
use super::auth::{Algorithm, Asker, Attempt, Authorization, Login, Password, Session, Verdict, Verifier, challenges};
use super::framing::{Frame, Framer};
use super::hop::Hop;
use super::message::{Address, CoreFields, Name, StartLine, parse_datagram};
use super::peer::{Directory, ExtensionIdentity};
use super::sdp::{Direction, LocalMedia, Preference, Rtcp, SdpSession, Srtp, negotiate, offered_codecs, parse_answer};
use crate::rtp::format::Codec;
use crate::time::Tick;
use std::sync::atomic::{AtomicU64, Ordering};

/// One datagram into the parser; what it accepts must be within the limits.
pub fn message(octets: &[u8]) {
    if let Ok(message) = parse_datagram(octets) {
        assert!(message.headers.len() <= crate::limits::SIP_HEADERS_MAX);
        assert!(message.body.len() <= crate::limits::SIP_BODY_MAX);
        let _ = CoreFields::of(&message);
    }
}

/// A stream, in pieces as its first octet says: the framing is the same as in one piece.
pub fn framing(octets: &[u8]) {
    let Some((step, stream)) = octets.split_first() else { return };
    let cut = |step: usize| {
        let (mut framer, mut frames) = (Framer::default(), Vec::new());
        let mut result = Ok(());
        for chunk in stream.chunks(step) {
            result = framer.handle(chunk, &mut |frame| frames.push(frame));
        }
        (frames, result)
    };
    let whole = cut(stream.len().max(1));
    assert_eq!(whole, cut(usize::from(*step).max(1)));
    for frame in whole.0 {
        if let Frame::Message(message) = frame {
            assert!(message.len() <= crate::limits::SIP_MESSAGE_MAX);
            let _ = parse_datagram(&message);
        }
    }
}

/// Header field values of a peer, as a challenge to us and as an answer to ours: nobody gets in by chance, and what we answer
/// is one line.
pub fn digest(octets: &[u8]) {
    let who = Login { username: "200".to_owned(), password: Password::new("s3cret"), realm: None };
    let covered = Authorization { method: b"REGISTER", uri: b"sip:callwright", body: b"" };
    for asker in [Asker::Server, Asker::Proxy] {
        for (name, start) in
            [(asker.challenge_header(), "SIP/2.0 401 U"), (asker.answer_header(), "REGISTER sip:callwright SIP/2.0")]
        {
            let head = [start.as_bytes(), b"\r\n", name.as_bytes(), b": ", octets, b"\r\n\r\n"].concat();
            let Ok(message) = parse_datagram(&head) else { continue };
            for challenge in challenges(&message, asker) {
                let answer = Session::new(challenge, "c".to_owned()).answer(&who, &covered);
                assert!(!answer.contains(&b'\n'), "one line");
            }
            let realm = "callwright";
            let mut verifier =
                Verifier::new([0; 32], realm, &[Algorithm::Md5, Algorithm::Sha256], std::time::Duration::from_secs(60));
            let attempt = Attempt { request: &message, covered, source: std::net::IpAddr::from([192, 0, 2, 1]) };
            let verdict =
                verifier.check(Tick(1), &attempt, asker, |user| (user == "200").then(|| who.password.clone()));
            assert!(!matches!(verdict, Verdict::Accepted { .. }));
        }
    }
}

/// Several datagrams (separated by 0xFF 0x00, whose first octet is a wait in units of 100 ms) into an agent whose call side
/// answers everything, and after each does something of its own that the wait's lower bits choose; in the end nothing may be
/// left. Octet 1 in a datagram stands for our tag in the last message that had one, so that dialogs can be reached.
pub fn agent(octets: &[u8]) {
    let local = SocketAddr::from(([10, 0, 0, 2], 5060));
    let phone = SocketAddr::from(([10, 0, 0, 9], 5060));
    let mut drawn = 0u8;
    let random = Box::new(move |out: &mut [u8]| {
        for octet in out {
            drawn = drawn.wrapping_add(1);
            *octet = drawn;
        }
    });
    let mut agent = Agent::new(AgentConfig::new(local, random));
    let mut now = Tick(0);
    let mut legs = Vec::new();
    let who = || Login { username: "200".to_owned(), password: Password::new("s3cret"), realm: None };
    agent.set_account("pbx", Some(who()), Vec::new());
    if octets.first().is_some_and(|o| o & 0x40 != 0) {
        // The same where telephones register and everybody else is a stranger.
        let telephone = ExtensionIdentity { number: "200".into(), login: who(), networks: Vec::new() };
        agent.set_directory(Directory::new(Vec::new(), vec![telephone], false));
    }
    let elsewhere = |turn| Branch {
        target: format!("sip:phone{turn}@10.0.0.9"),
        hops: vec![Hop::udp(phone)],
        routes: Vec::new(),
        turn,
    };
    // Some calls ring at several places.
    let others = if octets.first().is_some_and(|o| o & 0x20 != 0) { vec![elsewhere(0), elsewhere(1)] } else { vec![] };
    let placement = Placement {
        others,
        account: Some("pbx".into()),
        redirects: crate::limits::SIP_REDIRECTS_MAX,
        ..Placement::new("sip:phone@10.0.0.9", Hop::udp(phone), "sip:us@10.0.0.2", b"v=0\r\n".to_vec())
    };
    legs.extend(agent.place(now, &placement).ok());
    let mut tag = Vec::new();
    for part in split(octets) {
        let Some((wait, datagram)) = part.split_first() else { continue };
        now = now + std::time::Duration::from_millis(u64::from(*wait) * 100);
        agent.handle_timeout(now);
        let datagram: Vec<u8> = datagram
            .iter()
            .flat_map(|octet| if *octet == 1 { tag.clone() } else { vec![*octet] })
            .take(crate::limits::SIP_MESSAGE_MAX)
            .collect();
        agent.handle_datagram(now, phone, &datagram);
        if let Some(leg) = legs.last() {
            act(&mut agent, now, *leg, *wait);
        }
        while let Some(transmit) = agent.poll_transmit() {
            let message = parse_datagram(&transmit.bytes).expect("we must not write what we would refuse");
            let ours = if matches!(message.start, StartLine::Status { .. }) { Name::To } else { Name::From };
            if let Ok(address) = Address::parse(message.header(&ours).unwrap_or_default()) {
                tag = address.tag().unwrap_or_default().to_vec();
            }
        }
        while let Some(event) = agent.poll_event() {
            if matches!(event, SipEvent::Incoming { .. }) {
                legs.push(event.leg());
            }
            answer(&mut agent, now, &event, *wait);
        }
    }
    for leg in legs {
        let _ = agent.hang_up(now, leg, None);
    }
    while let Some(due) = agent.poll_timeout() {
        assert!(due >= now, "timers lie ahead");
        now = due;
        agent.handle_timeout(now);
    }
    while agent.poll_transmit().is_some() || agent.poll_event().is_some() {}
    assert!(agent.is_quiescent());
}

/// What the call side does of itself; most of it is not possible at most times.
fn act(agent: &mut Agent, now: Tick, leg: LegId, choice: u8) {
    const SDP: &[u8] = b"v=0\r\ns=2\r\n";
    let _ = match choice % 16 {
        0 => agent.ring(now, leg),
        1 => agent.progress(now, leg, 183, Some(SDP)),
        2 => agent.reinvite(now, leg, Some(SDP)),
        3 => agent.reinvite(now, leg, None),
        4 => agent.update(now, leg, Some(SDP)),
        5 => agent.update(now, leg, None),
        6 => agent.refer(now, leg, "sip:c@h", None),
        7 => agent.refer(now, leg, "", Some(leg)),
        8 => agent.notify_refer(now, leg, 180),
        9 => agent.notify_refer(now, leg, 200),
        10 => agent.send_digit(now, leg, '5', 100),
        11 => agent.probe(now, leg),
        12 => agent.confirm_offer(now, leg, SDP),
        13 => agent.hang_up(now, leg, Some("enough")),
        _ => Ok(()),
    };
}

fn answer(agent: &mut Agent, now: Tick, event: &SipEvent, choice: u8) {
    const SDP: &[u8] = b"v=0\r\n";
    let _ = match event {
        SipEvent::Incoming { leg, .. } if choice.is_multiple_of(4) => agent.progress(now, *leg, 183, Some(SDP)),
        SipEvent::Incoming { leg, .. } => agent.accept(now, *leg, SDP),
        SipEvent::Reinvite { leg, .. } if choice % 4 == 1 => agent.reject(now, *leg, 488, "", &[]),
        SipEvent::Reinvite { leg, .. } if choice % 4 == 2 => Ok(()),
        SipEvent::Reinvite { leg, .. } => agent.refresh(now, *leg),
        SipEvent::ReinviteOffered { leg, .. } if choice.is_multiple_of(2) => agent.confirm_offer(now, *leg, SDP),
        SipEvent::Refer { leg, .. } if choice.is_multiple_of(2) => agent.accept_refer(now, *leg),
        SipEvent::Refer { leg, .. } => agent.refuse_refer(now, *leg, 603),
        _ => Ok(()),
    };
}

fn split(octets: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut rest = octets;
    while let Some(at) = rest.windows(2).position(|w| w == [0xff, 0]) {
        parts.push(&rest[..at]);
        rest = &rest[at + 2..];
    }
    parts.push(rest);
    parts
}

/// One description as offer and as answer; an answer that we give must itself be acceptable, and so must our next offer.
pub fn sdp(octets: &[u8]) {
    let local =
        LocalMedia { address: std::net::IpAddr::from([192, 0, 2, 1]), port: 40000, session_id: 1, session_version: 1 };
    let any = Preference::default();
    if let Ok(agreed) = negotiate(octets, &local, &any) {
        let read = negotiate(&agreed.answer, &local, &any).expect("we accept what we write");
        assert_eq!(read.formats.send, agreed.formats.send);
        assert_eq!(read.formats.telephone_event, agreed.formats.telephone_event);
        assert_eq!(read.formats.comfort_noise, agreed.formats.comfort_noise);
        assert_eq!(read.rtcp == Rtcp::Mux, agreed.rtcp == Rtcp::Mux);
        let of_ours = negotiate(octets, &local, &Preference::of_ours(&Codec::ALL)).expect("another order, not less");
        assert!(offered_codecs(octets, local.address, &any).is_ok_and(|c| c.contains(&of_ours.formats.send.codec)));
    }
    let _ = parse_answer(octets, &local, &Codec::ALL);
    for srtp in [Srtp::Off, Srtp::Answer, Srtp::Require] {
        protected_sdp(octets, local, srtp);
    }
}

/// The same with keys: a protected line is never answered or offered in the clear, and whoever reads what we wrote has the
/// same keys as we have.
fn protected_sdp(octets: &[u8], local: LocalMedia, srtp: Srtp) {
    let any = Preference::default().protecting(srtp);
    let mut session = SdpSession::preferring(local, any.clone()).drawing(draw);
    let mut peer = SdpSession::preferring(local, any).drawing(draw);
    session.offer(Direction::SendRecv);
    let answered = session.accept_answer(octets);
    assert!(answered.is_err() || answered.is_ok_and(|a| a.keys.is_some() == session.offers_srtp()));
    if let Ok(agreed) = session.answer(octets) {
        // At the beginning of a line: a refused m-line may have anything in it.
        let is_protected = |sdp: &[u8]| String::from_utf8_lossy(sdp).lines().any(|l| l.starts_with("a=crypto:"));
        assert_eq!(is_protected(&agreed.answer), agreed.keys.is_some());
        assert!(srtp != Srtp::Require || agreed.keys.is_some(), "required");
        assert!(srtp != Srtp::Off || agreed.keys.is_none(), "off");
        assert_eq!(session.answer(octets).map(|a| a.answer), Ok(agreed.answer.clone()), "a refresh changes nothing");
        let offer = session.offer(Direction::SendRecv);
        assert_eq!(is_protected(&offer), agreed.keys.is_some());
        let read = peer.answer(&offer).expect("our offer is readable");
        let settled = session.accept_answer(&read.answer).expect("and so is the answer to it");
        assert_eq!(settled.keys.map(|k| (k.ours, k.theirs)), read.keys.map(|k| (k.theirs, k.ours)));
    }
}

fn draw(octets: &mut [u8]) {
    static DRAWN: AtomicU64 = AtomicU64::new(0);
    for part in octets.chunks_mut(8) {
        let number = DRAWN.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        part.copy_from_slice(&number[..part.len()]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    const INVITE: &[u8] = b"\x01INVITE sip:a@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK1\r\nFrom: <sip:b@h>;tag=1\r\nTo: <sip:a@h>\r\n\
        Call-ID: 1\r\nCSeq: 1 INVITE\r\nContact: <sip:b@10.0.0.9>\r\n\r\nv=0\r\n\xff\x00\x05CANCEL sip:a@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK1\r\n\
        From: <sip:b@h>;tag=1\r\nTo: <sip:a@h>\r\nCall-ID: 1\r\nCSeq: 1 CANCEL\r\n\r\n";
    /// A call with all that may happen in one: PRACK, ACK, UPDATE, re-INVITE, REFER, NOTIFY, INFO, BYE.
    const DIALOG: &str = "\u{0}INVITE sip:a@10.0.0.2 SIP/2.0|Supported: 100rel, timer|Session-Expires: 90|CSeq: 1 INVITE||v=0#\
        \u{1}PRACK sip:a@10.0.0.2 SIP/2.0|RAck: 1 1 INVITE|CSeq: 2 PRACK||#\
        \u{3}ACK sip:a@10.0.0.2 SIP/2.0|CSeq: 1 ACK||#\
        \u{4}UPDATE sip:a@10.0.0.2 SIP/2.0|Supported: timer|CSeq: 3 UPDATE||v=1#\
        \u{2}INVITE sip:a@10.0.0.2 SIP/2.0|CSeq: 4 INVITE||v=2#\
        \u{6}ACK sip:a@10.0.0.2 SIP/2.0|CSeq: 4 ACK||#\
        \u{8}REFER sip:a@10.0.0.2 SIP/2.0|Refer-To: <sip:b@h?Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2>|CSeq: 5 REFER||#\
        \u{9}NOTIFY sip:a@10.0.0.2 SIP/2.0|Event: refer|Subscription-State: terminated|CSeq: 6 NOTIFY||SIP/2.0 200 OK#\
        \u{5}INFO sip:a@10.0.0.2 SIP/2.0|Content-Type: application/dtmf|CSeq: 7 INFO||5#\
        \u{0}BYE sip:a@10.0.0.2 SIP/2.0|Reason: Q.850;cause=16|CSeq: 8 BYE||";

    fn dialog() -> Vec<u8> {
        let mut octets = Vec::new();
        for (n, message) in DIALOG.split('#').enumerate() {
            let (start, rest) = message.split_once('|').unwrap();
            let tag = if n == 0 { "" } else { ";tag=\u{1}" };
            let same = format!(
                "Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK{n}|From: <sip:b@h>;tag=1|To: <sip:a@h>{tag}|Call-ID: 1|Contact: <sip:b@10.0.0.9>|Allow: UPDATE|"
            );
            octets.extend(format!("{start}|{same}{rest}").replace('|', "\r\n").into_bytes());
            octets.extend([0xff, 0]);
        }
        octets
    }

    #[test]
    fn a_whole_call_is_a_seed() {
        super::agent(&dialog());
    }

    const SDP: &[u8] = b"v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\ns=-\r\nc=IN IP4 1.1.1.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=sendonly\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n";
    const PROTECTED: &[u8] = b"v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\ns=-\r\nc=IN IP4 1.1.1.1\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0 8\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj|2^20\r\na=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\nm=audio 4002 RTP/AVP 0\r\n";

    fn mutated(seed: impl Into<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
        let seed = seed.into();
        let edit = (any::<usize>(), 0usize..12, proptest::collection::vec(any::<u8>(), 0..6));
        proptest::collection::vec(edit, 0..6).prop_map(move |edits| {
            let mut octets = seed.clone();
            for (at, remove, insert) in edits {
                let at = at % (octets.len() + 1);
                let end = (at + remove).min(octets.len());
                octets.splice(at..end, insert);
            }
            octets
        })
    }

    proptest! {
        #[test]
        fn targets_hold(sip in mutated(INVITE), call in mutated(dialog()), sdp in mutated(SDP), protected in mutated(PROTECTED), noise in proptest::collection::vec(any::<u8>(), 0..300)) {
            for octets in [&sip, &call, &sdp, &protected, &noise] {
                super::message(octets);
                super::agent(octets);
                super::framing(octets);
                super::sdp(octets);
                super::digest(octets);
            }
        }
    }
}
