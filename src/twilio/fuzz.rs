//! Entry points for `fuzz/`. Purpose: the bodies compile, and run over mutated seeds in every test run; the targets are a line
//! each. Not for other use.

use super::ed25519::{Proof, Verifier};
use super::media_stream::MediaStream;
use super::signature;
use crate::limits::TWILIO_PAYLOAD_MAX;
use crate::rtp::Packet;
use crate::time::{Tick, Wallclock};
use std::time::Duration;

/// Messages of a socket, one a line, 20 ms apart, with packets and clears of ours between them: what comes out is RTP, and
/// bounded.
pub fn twilio_json(octets: &[u8]) {
    let mut stream = MediaStream::new();
    let mut now = Tick(1_000_000_000);
    let mut frame = [7; 172];
    frame[0] = 0x80;
    frame[1] = 0;
    for (n, line) in octets.split(|octet| *octet == b'\n').enumerate() {
        now = now + Duration::from_millis(20);
        match std::str::from_utf8(line) {
            Ok(text) => drop(stream.handle_text(now, text)),
            Err(_) => stream.handle_garbage(),
        }
        let mut samples = 0;
        while let Some(made) = stream.poll_packet() {
            samples += Packet::parse(made.octets()).expect("what is made is RTP").payload.len();
        }
        assert!(samples <= TWILIO_PAYLOAD_MAX + 4, "{samples} octets of one message");
        if stream.may_send(now).is_ok() {
            stream.handle_packet(now, &frame);
        }
        if n % 7 == 6 {
            stream.handle_cleared(now);
        }
        while let Some(message) = stream.poll_message() {
            assert!(serde_json::from_str::<serde_json::Value>(&message).is_ok(), "{message}");
        }
        let _ = stream.delay(now);
    }
}

/// The body of a webhook: fields, or none.
pub fn twilio_form(octets: &[u8]) {
    if let Some(fields) = signature::fields(octets, 64) {
        assert!(fields.len() <= 64);
    }
}

/// Key of RFC 8032 section 7.1, test 1, and a webhook that was signed with it.
const KEY: [u8; 32] = [
    0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e, 0xe1, 0x72,
    0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
];
/// Its time, its signature, its body, as `telnyx_webhook` takes them.
pub const SIGNED: &str = concat!(
    "1800000000\n",
    "p1e2+6q/p7tSuptd/dxIXBzqa3zUONULo5pP3PanSIsKgYhYU7XWJaa59ZscGntPNXm7rjHwLfzS3qzSVjceDg==\n",
    "CallSid=v3%3A9X2v&From=%2B35319605860&To=%2B13129457420"
);

/// Time, signature and body of a webhook of Telnyx's, a line each, the body to the end: only what was signed is taken, once.
pub fn telnyx_webhook(octets: &[u8]) {
    fn split(octets: &[u8]) -> Option<(&str, &str, &[u8])> {
        let mut parts = octets.splitn(3, |octet| *octet == b'\n');
        let (timestamp, signature) = (str::from_utf8(parts.next()?).ok()?, str::from_utf8(parts.next()?).ok()?);
        Some((timestamp, signature, parts.next()?))
    }
    let Some((timestamp, signature, body)) = split(octets) else { return };
    let mut verifier = Verifier::new(KEY, Duration::from_secs(300));
    let mut take = || verifier.take(Wallclock(1_800_000_000_000), Proof { signature, timestamp }, body);
    let taken = take();
    let (time, good, signed) = split(SIGNED.as_bytes()).expect("three parts");
    assert_eq!(taken.is_ok(), (timestamp, signature.trim(), body) == (time, good, signed), "{taken:?}");
    assert!(take().is_err(), "good twice");
}

#[cfg(test)]
mod tests {
    const SEED: &str = concat!(
        r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#,
        "\n",
        r#"{"event":"start","sequenceNumber":"1","streamSid":"MZ1","start":{"accountSid":"AC1","callSid":"CA1","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},"customParameters":{"token":"t"}}}"#,
        "\n",
        r#"{"event":"media","sequenceNumber":"2","streamSid":"MZ1","media":{"track":"inbound","chunk":"1","timestamp":"5","payload":"no+JhoaJ"}}"#,
        "\n",
        r#"{"event":"dtmf","streamSid":"MZ1","sequenceNumber":"3","dtmf":{"track":"inbound_track","digit":"1"}}"#,
        "\n",
        r#"{"event":"mark","sequenceNumber":"4","streamSid":"MZ1","mark":{"name":"p1"}}"#,
        "\n",
        r#"{"event":"media","stream_id":"MZ1","media":{"chunk":99,"payload":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}}"#,
        "\n",
        r#"{"event":"stop","sequenceNumber":"5","streamSid":"MZ1","stop":{"accountSid":"AC1","callSid":"CA1"}}"#,
    );

    #[test]
    fn what_was_signed_is_taken_and_its_mutations_are_not() {
        let mut state = 3u64;
        let mut next = |n: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % n.max(1)
        };
        super::telnyx_webhook(super::SIGNED.as_bytes());
        for _ in 0..2_000 {
            let mut octets = super::SIGNED.as_bytes().to_vec();
            let at = next(octets.len());
            match next(3) {
                0 => octets[at] = next(256) as u8,
                1 => drop(octets.remove(at)),
                _ => octets.insert(at, b"=|+\n 0&"[next(7)]),
            }
            super::telnyx_webhook(&octets);
        }
    }

    #[test]
    fn thousands_of_mutations_are_taken_or_refused() {
        let mut state = 7u64;
        let mut next = |n: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % n.max(1)
        };
        for _ in 0..3_000 {
            let mut octets = SEED.as_bytes().to_vec();
            for _ in 0..=next(6) {
                let at = next(octets.len());
                match next(4) {
                    0 => octets[at] = next(256) as u8,
                    1 => drop(octets.remove(at)),
                    2 => octets.insert(at, b"\"{}[]:,0\n"[next(9)]),
                    _ => {
                        let piece = octets[at..(at + next(80)).min(octets.len())].to_vec();
                        octets.splice(at..at, piece);
                    }
                }
            }
            super::twilio_json(&octets);
            super::twilio_form(&octets);
        }
    }
}
