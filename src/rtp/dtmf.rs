//! Telephone events, RFC 4733. Purpose: read event payloads, report each key once however many packets repeat it, and
//! send keys. Runs on the media worker; no heap. Invariants: one event timestamp is reported at most once; a flood is
//! limited to a rate that fingers can reach. Deliberately absent: tones in the audio (a detector would live in `dsp`).

use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Octets of an event payload.
pub const EVENT_LEN: usize = 4;
/// Keys that one `Digits` holds.
pub const DIGITS_MAX: usize = 32;
/// Two keys cannot start closer than this (samples, 40 ms): ITU-T Q.24 asks receivers for at least 40 ms of tone.
const START_GAP_MIN: u32 = 320;
/// Length of a sent key, samples (100 ms).
const SEND_SAMPLES: u16 = 800;
/// Pause after a sent key, samples (60 ms).
const SEND_PAUSE: u32 = 480;
/// Samples between packets of a sent key.
const SEND_STEP: u16 = 160;
/// The final packet is sent this often (RFC 4733 section 2.5.1.4).
const END_REPEATS: u8 = 3;
/// Power of a sent key, −dBm0.
const SEND_VOLUME: u8 = 10;
/// Longest duration that one event packet can state; longer presses go on in a new segment (section 2.5.1.3).
const SEGMENT_MAX: u16 = 0xffff;

const KEYS: &[u8; 16] = b"0123456789*#ABCD";

/// One event payload (section 2.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// Event code; 0 to 15 are keys.
    pub code: u8,
    /// Last packet of the event.
    pub end: bool,
    /// −dBm0, 0 to 63.
    pub volume: u8,
    /// Samples since the event's timestamp.
    pub duration: u16,
}

impl Event {
    /// Reads the first event of a payload; `None` when it is shorter than one.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let [code, flags, high, low, ..] = *payload else { return None };
        Some(Self { code, end: flags & 0x80 != 0, volume: flags & 0x3f, duration: u16::from_be_bytes([high, low]) })
    }

    /// The payload.
    #[must_use]
    pub fn octets(self) -> [u8; EVENT_LEN] {
        let [high, low] = self.duration.to_be_bytes();
        [self.code, (u8::from(self.end) << 7) | (self.volume & 0x3f), high, low]
    }

    /// The key, if the event is one.
    #[must_use]
    pub fn key(self) -> Option<char> {
        KEYS.get(usize::from(self.code)).map(|k| char::from(*k))
    }
}

#[derive(Clone, Copy, Debug)]
struct Current {
    code: u8,
    timestamp: u32,
    duration: u16,
    ended: bool,
}

/// Receive side of one source.
#[derive(Clone, Copy, Debug, Default)]
pub struct Receiver {
    current: Option<Current>,
}

impl Receiver {
    /// Takes one event packet; returns the key at the first packet of its event, else `None`.
    pub fn handle_event(&mut self, timestamp: u32, event: Event) -> Option<char> {
        let key = event.key()?;
        if let Some(current) = &mut self.current {
            // Signed distance on the 32-bit circle.
            let ahead = timestamp.wrapping_sub(current.timestamp) as i32;
            if ahead == 0 {
                current.ended |= event.end;
                current.duration = current.duration.max(event.duration);
                return None;
            }
            if ahead < 0 {
                return None; // a late repeat of an earlier key
            }
            let same = current.code == event.code && !current.ended;
            let segment = same && current.duration == SEGMENT_MAX && ahead == i32::from(SEGMENT_MAX);
            // Some senders move the timestamp on in every packet while the duration grows: still one press.
            let creeping = same && ahead <= 480 && event.duration > current.duration;
            if segment || creeping {
                *current = Current { code: event.code, timestamp, duration: event.duration, ended: event.end };
                return None;
            }
            if ahead.unsigned_abs() < START_GAP_MIN {
                return None;
            }
        }
        self.current = Some(Current { code: event.code, timestamp, duration: event.duration, ended: event.end });
        Some(key)
    }
}

/// Up to `DIGITS_MAX` keys, inline.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Digits {
    codes: [u8; DIGITS_MAX],
    len: u8,
}

/// The operator's fault: correct the digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum DigitsError {
    /// A character that is no key.
    #[error("{0:?} is not a telephone key: use 0-9, *, #, A-D")]
    NotAKey(char),
    /// Too many.
    #[error("more than {DIGITS_MAX} digits at once: send them in parts")]
    TooMany,
}

impl FromStr for Digits {
    type Err = DigitsError;
    fn from_str(s: &str) -> Result<Self, DigitsError> {
        let mut digits = Self::default();
        for c in s.chars() {
            let code = KEYS.iter().position(|k| char::from(*k) == c.to_ascii_uppercase());
            let code = code.and_then(|c| u8::try_from(c).ok()).ok_or(DigitsError::NotAKey(c))?;
            digits.push(code).ok_or(DigitsError::TooMany)?;
        }
        Ok(digits)
    }
}

impl fmt::Debug for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // PINs are keyed too: never print them.
        write!(f, "Digits({} keys)", self.len)
    }
}

impl Digits {
    fn push(&mut self, code: u8) -> Option<()> {
        *self.codes.get_mut(usize::from(self.len))? = code;
        self.len += 1;
        Some(())
    }

    /// How many keys.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// No keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn take_first(&mut self) -> Option<u8> {
        let first = (self.len > 0).then_some(self.codes[0])?;
        self.codes.copy_within(1.., 0);
        self.len -= 1;
        Some(first)
    }
}

/// One packet that the sender wants on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventPacket {
    /// Set on the first packet of an event.
    pub marker: bool,
    /// Timestamp of the event's start, the same in all its packets.
    pub timestamp: u32,
    /// Payload.
    pub event: Event,
}

#[derive(Clone, Copy, Debug)]
struct Press {
    code: u8,
    timestamp: u32,
    duration: u16,
    ends_left: u8,
}

/// Send side: asked once per 20 ms frame.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sender {
    waiting: Digits,
    press: Option<Press>,
    pause_left: u32,
}

impl Sender {
    /// Appends keys; those beyond `DIGITS_MAX` waiting are dropped. Returns how many were taken.
    pub fn handle_digits(&mut self, mut digits: Digits) -> usize {
        let mut taken = 0;
        while let Some(code) = digits.take_first() {
            if self.waiting.push(code).is_none() {
                break;
            }
            taken += 1;
        }
        taken
    }

    /// True while a key is being sent or waits.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.press.is_some() || !self.waiting.is_empty()
    }

    /// The packet of the frame that starts at `timestamp`; `None` when this frame carries audio.
    pub fn poll_packet(&mut self, timestamp: u32) -> Option<EventPacket> {
        if self.press.is_none() {
            if self.pause_left > 0 {
                self.pause_left = self.pause_left.saturating_sub(u32::from(SEND_STEP));
                return None;
            }
            let code = self.waiting.take_first()?;
            self.press = Some(Press { code, timestamp, duration: 0, ends_left: END_REPEATS });
        }
        let press = self.press.as_mut()?;
        let marker = press.duration == 0;
        press.duration = (press.duration + SEND_STEP).min(SEND_SAMPLES);
        let end = press.duration == SEND_SAMPLES;
        if end {
            press.ends_left -= 1;
        }
        let packet = EventPacket {
            marker,
            timestamp: press.timestamp,
            event: Event { code: press.code, end, volume: SEND_VOLUME, duration: press.duration },
        };
        if press.ends_left == 0 {
            self.press = None;
            self.pause_left = SEND_PAUSE;
        }
        Some(packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event(code: u8, duration: u16, end: bool) -> Event {
        Event { code, end, volume: 10, duration }
    }

    /// Sends `keys` frame by frame; gives every packet that leaves.
    fn sent(keys: &str) -> Vec<EventPacket> {
        let mut sender = Sender::default();
        let digits: Digits = keys.parse().unwrap();
        assert_eq!(sender.handle_digits(digits), digits.len());
        let mut packets = Vec::new();
        let mut timestamp = u32::MAX - 2000;
        for _ in 0..keys.len() * 20 {
            packets.extend(sender.poll_packet(timestamp));
            timestamp = timestamp.wrapping_add(160);
        }
        assert!(!sender.is_busy());
        packets
    }

    fn heard(packets: &[EventPacket]) -> String {
        let mut receiver = Receiver::default();
        packets.iter().filter_map(|p| receiver.handle_event(p.timestamp, p.event)).collect()
    }

    #[test]
    fn payload_layout_is_the_rfcs() {
        let e = Event { code: 11, end: true, volume: 10, duration: 0x0320 };
        assert_eq!(e.octets(), [11, 0x8a, 0x03, 0x20]);
        assert_eq!(Event::parse(&e.octets()), Some(e));
        assert_eq!(Event::parse(&[1, 2, 3]), None);
        assert_eq!(event(16, 0, false).key(), None);
    }

    #[test]
    fn a_key_is_five_packets_of_growing_duration_and_three_ends() {
        let packets = sent("5");
        let durations: Vec<u16> = packets.iter().map(|p| p.event.duration).collect();
        assert_eq!(durations, [160, 320, 480, 640, 800, 800, 800]);
        assert_eq!(
            packets.iter().map(|p| p.event.end).collect::<Vec<_>>(),
            [false, false, false, false, true, true, true]
        );
        assert!(packets[0].marker && !packets[1].marker);
        assert!(packets.iter().all(|p| p.timestamp == packets[0].timestamp));
    }

    #[test]
    fn each_key_is_reported_once() {
        assert_eq!(heard(&sent("0123456789*#ABCD")), "0123456789*#ABCD");
        assert_eq!(heard(&sent("1111")), "1111");
    }

    #[test]
    fn lost_ends_and_late_repeats_change_nothing() {
        let packets = sent("112");
        let without_ends: Vec<EventPacket> = packets.iter().copied().filter(|p| !p.event.end).collect();
        assert_eq!(heard(&without_ends), "112");
        let only_ends: Vec<EventPacket> = packets.iter().copied().filter(|p| p.event.end).collect();
        assert_eq!(heard(&only_ends), "112");
        let mut late = packets.clone();
        late.push(packets[0]);
        late.push(packets[6]);
        assert_eq!(heard(&late), "112");
    }

    #[test]
    fn a_press_longer_than_one_segment_is_one_key() {
        let mut r = Receiver::default();
        assert_eq!(r.handle_event(1000, event(7, 0xffff, false)), Some('7'));
        assert_eq!(r.handle_event(1000 + 0xffff, event(7, 160, false)), None);
        assert_eq!(r.handle_event(1000 + 0xffff, event(7, 320, true)), None);
    }

    #[test]
    fn a_sender_that_moves_its_timestamp_is_one_key() {
        let mut r = Receiver::default();
        assert_eq!(r.handle_event(0, event(3, 160, false)), Some('3'));
        assert_eq!(r.handle_event(160, event(3, 320, false)), None);
        assert_eq!(r.handle_event(320, event(3, 480, true)), None);
        assert_eq!(r.handle_event(2000, event(3, 160, false)), Some('3'));
    }

    #[test]
    fn a_flood_is_held_to_a_rate_of_fingers() {
        let mut r = Receiver::default();
        let reported = (0..8000u32).filter(|t| r.handle_event(*t, event((t % 10) as u8, 160, true)).is_some()).count();
        assert!(reported <= 25, "{reported} keys in one second");
    }

    #[test]
    fn digits_are_checked_and_never_printed() {
        assert_eq!("12x".parse::<Digits>(), Err(DigitsError::NotAKey('x')));
        assert_eq!("1".repeat(33).parse::<Digits>(), Err(DigitsError::TooMany));
        let pin: Digits = "4711".parse().unwrap();
        assert_eq!(format!("{pin:?}"), "Digits(4 keys)");
    }

    proptest! {
        #[test]
        fn any_repetition_and_loss_reports_each_key_at_most_once(keys in "[0-9*#A-D]{1,20}", fate in proptest::collection::vec(0u8..4, 200)) {
            let mut packets = Vec::new();
            for (n, p) in sent(&keys).into_iter().enumerate() {
                for _ in 0..fate[n % fate.len()] {
                    packets.push(p);
                }
            }
            // Every key of which one packet came is heard once, in order.
            let mut expected: Vec<(u32, char)> = packets.iter().map(|p| (p.timestamp, p.event.key().unwrap())).collect();
            expected.dedup();
            prop_assert_eq!(heard(&packets), expected.into_iter().map(|e| e.1).collect::<String>());
        }

        #[test]
        fn no_payload_panics(packets in proptest::collection::vec((any::<u32>(), proptest::collection::vec(any::<u8>(), 0..6)), 0..100)) {
            let mut r = Receiver::default();
            for (timestamp, payload) in packets {
                if let Some(e) = Event::parse(&payload) {
                    r.handle_event(timestamp, e);
                }
            }
        }
    }
}
