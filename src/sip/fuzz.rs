//! Entry points for `fuzz/`. Purpose: the bodies compile, and run once over a seed, in every test run; the targets are a
//! line each. Not for other use.

use std::net::SocketAddr;

use super::agent::{Agent, AgentConfig, SipEvent};
use super::framing::{Frame, Framer};
use super::message::{CoreFields, parse_datagram};
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

/// Several datagrams (separated by 0xFF 0x00, whose first octet is a wait in units of 100 ms) into an agent whose call side
/// answers everything; in the end nothing may be left.
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
    let placed = agent.invite(now, "sip:phone@10.0.0.9", phone, "sip:us@10.0.0.2", b"v=0\r\n");
    legs.extend(placed.ok());
    for part in split(octets) {
        let Some((wait, datagram)) = part.split_first() else { continue };
        now = now + std::time::Duration::from_millis(u64::from(*wait) * 100);
        agent.handle_timeout(now);
        agent.handle_datagram(now, phone, datagram);
        while let Some(transmit) = agent.poll_transmit() {
            assert!(parse_datagram(&transmit.bytes).is_ok(), "we must not write what we would refuse");
        }
        while let Some(event) = agent.poll_event() {
            if let SipEvent::Incoming { leg, .. } = &event {
                legs.push(*leg);
                let _ = agent.accept(now, *leg, b"v=0\r\n");
            } else if let SipEvent::Reinvite { leg, .. } = &event {
                let _ = agent.refresh(now, *leg);
            }
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
    const SDP: &[u8] = b"v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\ns=-\r\nc=IN IP4 1.1.1.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=sendonly\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n";
    const PROTECTED: &[u8] = b"v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\ns=-\r\nc=IN IP4 1.1.1.1\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0 8\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj|2^20\r\na=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\nm=audio 4002 RTP/AVP 0\r\n";

    fn mutated(seed: &'static [u8]) -> impl Strategy<Value = Vec<u8>> {
        let edit = (any::<usize>(), 0usize..12, proptest::collection::vec(any::<u8>(), 0..6));
        proptest::collection::vec(edit, 0..6).prop_map(move |edits| {
            let mut octets = seed.to_vec();
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
        fn targets_hold(sip in mutated(INVITE), sdp in mutated(SDP), protected in mutated(PROTECTED), noise in proptest::collection::vec(any::<u8>(), 0..300)) {
            for octets in [&sip, &sdp, &protected, &noise] {
                super::message(octets);
                super::agent(octets);
                super::framing(octets);
                super::sdp(octets);
            }
        }
    }
}
