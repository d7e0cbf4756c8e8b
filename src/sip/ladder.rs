//! What was said by SIP in each call, for whoever looks for a fault: as text, and as a capture that Wireshark reads. Pure.
//!
//! Invariants: bounded in calls, messages and octets, the oldest going first; nothing secret is kept: credentials, keys of SRTP
//! and digits are masked before anything is stored. Deliberately absent: media, and messages that belong to no call.

use crate::limits::{LADDER_CALLS_MAX, LADDER_MESSAGE_MAX, LADDER_MESSAGES_MAX};
use crate::sip::hop::{Hop, Transport};
use crate::time::Wallclock;
use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

/// Ethernet-less packets: the file's packets begin with an IP header.
const LINKTYPE_RAW: u32 = 101;
/// What stands in place of a secret.
const MASK: &str = "***";

/// One message.
#[derive(Clone, Debug)]
struct Passed {
    at: Wallclock,
    /// We sent it.
    sent: bool,
    ours: SocketAddr,
    theirs: SocketAddr,
    transport: Transport,
    text: Vec<u8>,
    /// It was longer.
    cut: bool,
}

/// The messages of the last calls, by Call-ID.
#[derive(Debug, Default)]
pub struct Ladder {
    calls: HashMap<String, VecDeque<Passed>>,
    order: VecDeque<String>,
}

impl Ladder {
    /// Keeps a message that came from `hop` or was sent there; `ours` is our address.
    pub fn note(&mut self, at: Wallclock, sent: bool, ours: SocketAddr, hop: &Hop, message: &[u8]) {
        let Some(call) = call_id(message) else { return };
        if !self.calls.contains_key(&call) {
            // Only an INVITE begins a call: OPTIONS, REGISTER and what scanners send would drive the calls out.
            if !message.starts_with(b"INVITE ") {
                return;
            }
            if self.order.len() >= LADDER_CALLS_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.calls.remove(&oldest);
            }
            self.order.push_back(call.clone());
        }
        let messages = self.calls.entry(call).or_default();
        if messages.len() >= LADDER_MESSAGES_MAX {
            // The beginning tells most: what is lost is from the middle.
            messages.remove(LADDER_MESSAGES_MAX / 2);
        }
        let mut text = redacted(message);
        let cut = text.len() > LADDER_MESSAGE_MAX;
        text.truncate(LADDER_MESSAGE_MAX);
        messages.push_back(Passed { at, sent, ours, theirs: hop.address, transport: hop.transport, text, cut });
    }

    /// The messages of these Call-IDs in their order, as a ladder and in full.
    #[must_use]
    pub fn text(&self, calls: &[String]) -> Option<String> {
        let messages = self.of(calls)?;
        let first = messages.first()?.at;
        let mut text = String::new();
        for message in &messages {
            let arrow = if message.sent { "-->" } else { "<--" };
            let since = message.at.0.saturating_sub(first.0);
            let line = message.text.split(|b| *b == b'\n').next().unwrap_or_default();
            let line = String::from_utf8_lossy(line);
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{} +{:>7} ms  {} {arrow} {} {}  {}",
                message.at,
                since,
                message.ours,
                message.theirs,
                message.transport.name(),
                line.trim_end()
            );
        }
        for message in &messages {
            let way = if message.sent { "to" } else { "from" };
            let _ = writeln!(text, "\n=== {} {way} {} {}", message.at, message.theirs, message.transport.name());
            text.push_str(&String::from_utf8_lossy(&message.text).replace('\r', ""));
            if message.cut {
                text.push_str("\n… (cut)\n");
            }
        }
        Some(text)
    }

    /// The same as a capture file (pcap, microseconds). Streams are shown as datagrams, one a message.
    #[must_use]
    pub fn pcap(&self, calls: &[String]) -> Option<Vec<u8>> {
        let messages = self.of(calls)?;
        let mut file = Vec::new();
        for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, LINKTYPE_RAW] {
            file.extend(word.to_le_bytes());
        }
        for message in messages {
            let (from, to) = if message.sent { (message.ours, message.theirs) } else { (message.theirs, message.ours) };
            let packet = packet(from, to, &message.text);
            // Seconds wrap in 2106, and a message has a bound.
            let (seconds, micros) = ((message.at.0 / 1000) as u32, (message.at.0 % 1000) as u32 * 1000);
            let length = packet.len() as u32;
            for word in [seconds, micros, length, length] {
                file.extend(word.to_le_bytes());
            }
            file.extend(packet);
        }
        Some(file)
    }

    fn of(&self, calls: &[String]) -> Option<Vec<&Passed>> {
        let mut messages: Vec<&Passed> = calls.iter().filter_map(|call| self.calls.get(call)).flatten().collect();
        messages.sort_by_key(|message| message.at);
        (!messages.is_empty()).then_some(messages)
    }
}

/// Header names and values of the lines before the body; folded lines belong to the one before.
fn call_id(message: &[u8]) -> Option<String> {
    for line in message.split(|b| *b == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return None;
        }
        let Some(colon) = line.iter().position(|b| *b == b':') else { continue };
        let name = line[..colon].trim_ascii();
        if name.eq_ignore_ascii_case(b"call-id") || name.eq_ignore_ascii_case(b"i") {
            return Some(String::from_utf8_lossy(line[colon + 1..].trim_ascii()).into_owned());
        }
    }
    None
}

/// The message without what is secret in it.
fn redacted(message: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(message);
    let mut kept = String::with_capacity(text.len());
    let (mut in_body, mut secret_header, mut digits) = (false, false, false);
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end_matches(['\r', '\n']);
        let end = &line[bare.len()..];
        let lower = bare.to_ascii_lowercase();
        if !in_body {
            if bare.is_empty() {
                in_body = true;
            } else if bare.starts_with([' ', '\t']) {
                if secret_header {
                    continue;
                }
            } else {
                let name = lower.split(':').next().unwrap_or_default().trim();
                secret_header = matches!(name, "authorization" | "proxy-authorization" | "authentication-info");
                // Keys that were pressed may be a PIN.
                digits |= matches!(name, "content-type" | "c") && (lower.contains("dtmf") || lower.contains("text/"));
                if secret_header {
                    let scheme = bare.split_once(':').map_or("", |(_, value)| value.trim()).split(' ').next();
                    let name = bare.split(':').next().unwrap_or_default();
                    let _ = write!(kept, "{name}: {} {MASK}{end}", scheme.unwrap_or_default());
                    continue;
                }
            }
            kept.push_str(line);
        } else if digits {
            kept.push_str(MASK);
            kept.push_str(end);
        } else if let Some(at) = lower.find("inline:").filter(|_| lower.starts_with("a=crypto")) {
            let _ = write!(kept, "{}{MASK}{end}", &bare[..at + "inline:".len()]);
        } else if lower.starts_with("k=") || lower.starts_with("a=ice-pwd") || lower.starts_with("a=key-mgmt") {
            let _ = write!(kept, "{}{MASK}{end}", &bare[..bare.find([':', '=']).map_or(2, |at| at + 1)]);
        } else {
            kept.push_str(line);
        }
    }
    kept.into_bytes()
}

/// An IP packet with a UDP datagram. Of two families, both are written as IPv6.
fn packet(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let udp_length = (8 + payload.len()).min(65_000) as u16;
    let payload = &payload[..usize::from(udp_length) - 8];
    let mut packet = Vec::with_capacity(48 + payload.len());
    match (from.ip(), to.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            packet.extend([0x45, 0]);
            packet.extend((20 + udp_length).to_be_bytes());
            packet.extend([0, 0, 0x40, 0, 64, 17, 0, 0]);
            packet.extend(source.octets());
            packet.extend(destination.octets());
            let sum =
                packet.chunks_exact(2).fold(0u32, |sum, pair| sum + u32::from(u16::from_be_bytes([pair[0], pair[1]])));
            let folded = (sum & 0xffff) + (sum >> 16);
            let checksum = !((folded & 0xffff) + (folded >> 16)) as u16;
            packet[10..12].copy_from_slice(&checksum.to_be_bytes());
        }
        (source, destination) => {
            let v6 = |ip: IpAddr| match ip {
                IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
                IpAddr::V6(v6) => v6.octets(),
            };
            packet.extend([0x60, 0, 0, 0]);
            packet.extend(udp_length.to_be_bytes());
            packet.extend([17, 64]);
            packet.extend(v6(source));
            packet.extend(v6(destination));
        }
    }
    packet.extend(from.port().to_be_bytes());
    packet.extend(to.port().to_be_bytes());
    packet.extend(udp_length.to_be_bytes());
    // No checksum: allowed in IPv4, and readers of captures do not mind elsewhere.
    packet.extend([0, 0]);
    packet.extend(payload);
    packet
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const INVITE: &[u8] =
        b"INVITE sip:300@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKa\r\nCall-ID: abc@x\r\n\
        Proxy-Authorization: Digest username=\"ann\",\r\n response=\"0123456789abcdef\"\r\nSubject: hello\r\n\
        Content-Type: application/sdp\r\n\r\nv=0\r\nm=audio 1 RTP/SAVP 0\r\n\
        a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0c2VjcmV0|2^31\r\na=sendrecv\r\n";

    fn hop() -> Hop {
        Hop::udp("192.0.2.9:5070".parse().unwrap())
    }

    fn ours() -> SocketAddr {
        "192.0.2.1:5060".parse().unwrap()
    }

    #[test]
    fn a_call_is_told_without_its_secrets() {
        let mut ladder = Ladder::default();
        ladder.note(Wallclock(1_000), false, ours(), &hop(), INVITE);
        ladder.note(Wallclock(1_003), true, ours(), &hop(), b"SIP/2.0 100 Trying\r\ni: abc@x\r\n\r\n");
        let info = b"INFO sip:300@192.0.2.1 SIP/2.0\r\nCall-ID: abc@x\r\nContent-Type: application/dtmf-relay\r\n\r\nSignal=7\r\nDuration=160\r\n";
        ladder.note(Wallclock(2_000), false, ours(), &hop(), info);
        ladder.note(Wallclock(2_000), false, ours(), &hop(), b"OPTIONS sip:x SIP/2.0\r\nCall-ID: other\r\n\r\n");
        let text = ladder.text(&["abc@x".to_owned()]).unwrap();
        for secret in ["0123456789abcdef", "c2VjcmV0", "Signal=7", "2^31"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        for told in [
            "192.0.2.1:5060 <-- 192.0.2.9:5070 UDP  INVITE sip:300",
            "+      3 ms",
            "SIP/2.0 100 Trying",
            "Digest ***",
            "Subject: hello",
            "a=sendrecv",
            "inline:***",
        ] {
            assert!(text.contains(told), "{told}: {text}");
        }
        assert!(ladder.text(&["other".to_owned()]).is_none());
    }

    #[test]
    fn a_capture_is_one_that_readers_know() {
        let mut ladder = Ladder::default();
        ladder.note(Wallclock(1_500), false, ours(), &hop(), INVITE);
        let file = ladder.pcap(&["abc@x".to_owned()]).unwrap();
        let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
        assert_eq!((word(0), word(20), word(24), word(28)), (0xa1b2_c3d4, 101, 1, 500_000));
        assert_eq!(word(32) as usize, file.len() - 40);
        let ip = &file[40..];
        assert_eq!((ip[0], ip[9], &ip[12..16], &ip[16..20]), (0x45, 17, &[192, 0, 2, 9][..], &[192, 0, 2, 1][..]));
        let sum = ip[..20].chunks(2).fold(0u32, |sum, pair| sum + u32::from(u16::from_be_bytes([pair[0], pair[1]])));
        assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff, "the header's checksum");
        assert_eq!(u16::from_be_bytes([ip[2], ip[3]]) as usize, ip.len());
        assert_eq!((u16::from_be_bytes([ip[20], ip[21]]), u16::from_be_bytes([ip[22], ip[23]])), (5070, 5060));
    }

    #[test]
    fn it_is_bounded() {
        let mut ladder = Ladder::default();
        for n in 0..LADDER_CALLS_MAX + 10 {
            let invite = format!("INVITE sip:a SIP/2.0\r\nCall-ID: {n}\r\n\r\n");
            ladder.note(Wallclock(n as u64), false, ours(), &hop(), invite.as_bytes());
        }
        assert_eq!((ladder.calls.len(), ladder.order.len()), (LADDER_CALLS_MAX, LADDER_CALLS_MAX));
        assert!(ladder.text(&["0".to_owned()]).is_none());
        let last = (LADDER_CALLS_MAX + 9).to_string();
        for n in 0..LADDER_MESSAGES_MAX + 50 {
            let bye = format!("BYE sip:{n} SIP/2.0\r\nCall-ID: {last}\r\n\r\n{}", "x".repeat(2 * LADDER_MESSAGE_MAX));
            ladder.note(Wallclock(n as u64), true, ours(), &hop(), bye.as_bytes());
        }
        assert_eq!(ladder.calls[&last].len(), LADDER_MESSAGES_MAX);
        assert!(ladder.calls[&last].iter().all(|message| message.text.len() <= LADDER_MESSAGE_MAX));
    }

    proptest! {
        #[test]
        fn anything_is_kept_or_not(message in prop::collection::vec(any::<u8>(), 0..600)) {
            let mut ladder = Ladder::default();
            ladder.note(Wallclock(1), false, ours(), &hop(), INVITE);
            let mut odd = b"INVITE sip:a SIP/2.0\r\nCall-ID: abc@x\r\n".to_vec();
            odd.extend(message);
            ladder.note(Wallclock(2), true, ours(), &hop(), &odd);
            let calls = ["abc@x".to_owned()];
            prop_assert!(ladder.text(&calls).is_some() && ladder.pcap(&calls).is_some());
        }
    }
}
