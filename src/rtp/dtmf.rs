//! Telephone events, RFC 4733, on any clock. Purpose: read event payloads, report each key once however many packets
//! repeat it, and send keys. Runs on the media worker; no heap. Invariants: one event timestamp is reported at most once;
//! keys cannot follow each other faster, in the stream's own time, than fingers can press; every length is kept in
//! milliseconds here and becomes timestamp units of the agreed clock at the edge. Deliberately absent: payload types (that
//! is `format`), tones in the audio (`dsp::dtmf`).

use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Octets of an event payload.
pub const EVENT_LEN: usize = 4;
/// Keys that one `Digits` holds.
pub const DIGITS_MAX: usize = 32;
/// Clock of an audio stream that says nothing else, Hz.
const CLOCK_DEFAULT: u32 = 8_000;
/// Highest clock, Hz: keeps all lengths below within 16 bits.
const CLOCK_MAX: u32 = 192_000;
/// Two keys cannot start closer than this, ms: ITU-T Q.24 asks receivers for at least 40 ms of tone.
const START_GAP_MIN_MS: u32 = 40;
/// A press whose timestamp moves on by no more than this, ms, while its duration grows is still the same press.
const CREEP_MAX_MS: u32 = 60;
/// A packet this far behind, ms, is no late repeat: two of them in a row prove that the sender set its clock back.
const BEHIND_MAX_MS: u32 = 5_000;
/// Length of a sent key, ms.
const SEND_MS: u32 = 100;
/// Pause after a sent key, ms.
const SEND_PAUSE_MS: u32 = 60;
/// Time between packets of a sent key, ms.
const SEND_STEP_MS: u32 = 20;
/// The final packet is sent this often (RFC 4733 section 2.5.1.4).
const END_REPEATS: u8 = 3;
/// Power of a sent key, −dBm0.
const SEND_VOLUME: u8 = 10;
/// Longest duration that one event packet can state; longer presses go on in a new segment (section 2.5.1.3). At
/// 48 kHz that is only 1.37 s.
pub(crate) const SEGMENT_MAX: u16 = 0xffff;

const _: () = assert!(CLOCK_MAX / 1000 * SEND_MS <= SEGMENT_MAX as u32);

/// Timestamp units of `ms` milliseconds.
const fn units(clock: u32, ms: u32) -> u32 {
    clock / 1000 * ms
}

/// A press whose timestamp moves on by no more than this, units of `clock`, while its duration grows is still the same one.
pub(crate) const fn creep_max(clock: u32) -> u32 {
    units(clock, CREEP_MAX_MS)
}

/// A clock that the arithmetic above holds for.
const fn bounded(clock: u32) -> u32 {
    if clock < 1000 {
        CLOCK_DEFAULT
    } else if clock > CLOCK_MAX {
        CLOCK_MAX
    } else {
        clock
    }
}

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
    /// Timestamp units (of the stream's clock) since the event's timestamp.
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

    /// The same event for a stream with another clock, as a bridge needs it. A press longer than one segment of the new
    /// clock keeps the longest duration that can be said.
    #[must_use]
    pub fn at_clock(self, from: u32, to: u32) -> Self {
        let duration = u64::from(self.duration) * u64::from(bounded(to)) / u64::from(bounded(from));
        Self { duration: u16::try_from(duration).unwrap_or(SEGMENT_MAX), ..self }
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
    /// Where the press began; `timestamp` moves on with each segment of a long one.
    began: u32,
    timestamp: u32,
    duration: u16,
    ended: bool,
}

/// Receive side of one source.
#[derive(Clone, Copy, Debug)]
pub struct Receiver {
    clock: u32,
    current: Option<Current>,
    /// Timestamp far behind the current press; a second packet with it proves that the sender set its clock back.
    suspect: Option<u32>,
}

impl Default for Receiver {
    /// On the 8 kHz clock.
    fn default() -> Self {
        Self::new(CLOCK_DEFAULT)
    }
}

impl Receiver {
    /// For events on `clock` Hz ([`TelephoneEvent::clock`](crate::rtp::TelephoneEvent)).
    #[must_use]
    pub const fn new(clock: u32) -> Self {
        Self { clock: bounded(clock), current: None, suspect: None }
    }

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
                // Positive: an earlier segment of the same press.
                let from_begin = timestamp.wrapping_sub(current.began) as i32;
                let repeat = from_begin >= 0 || from_begin.unsigned_abs() <= units(self.clock, BEHIND_MAX_MS);
                if repeat || self.suspect != Some(timestamp) {
                    self.suspect = (!repeat).then_some(timestamp);
                    return None;
                }
            } else {
                let ahead = ahead.unsigned_abs();
                let creep = creep_max(self.clock);
                let same = current.code == event.code && !current.ended;
                if same
                    && (continues(current.duration, ahead, creep)
                        || ahead <= creep && event.duration > current.duration)
                {
                    *current = Current { timestamp, duration: event.duration, ended: event.end, ..*current };
                    return None;
                }
                if ahead < units(self.clock, START_GAP_MIN_MS) {
                    return None;
                }
            }
        }
        self.suspect = None;
        self.current =
            Some(Current { code: event.code, began: timestamp, timestamp, duration: event.duration, ended: event.end });
        Some(key)
    }
}

/// True when a packet `ahead` units after the current timestamp is the next segment of one long press. The RFC's segments
/// are exactly `SEGMENT_MAX` long; some senders break at the last whole packet before, which counts only when the press
/// was seen to come that far.
pub(crate) fn continues(duration: u16, ahead: u32, slack: u32) -> bool {
    let full = u32::from(SEGMENT_MAX);
    ahead == full || (u32::from(duration) + slack >= full && ahead <= full && ahead + slack >= full)
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

    /// The keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = char> + '_ {
        let codes = self.codes.iter().take(usize::from(self.len));
        codes.filter_map(|code| KEYS.get(usize::from(*code))).map(|key| char::from(*key))
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
    sent_ms: u32,
    ends_left: u8,
}

/// Send side: asked once per 20 ms frame.
#[derive(Clone, Copy, Debug)]
pub struct Sender {
    clock: u32,
    waiting: Digits,
    press: Option<Press>,
    pause_left_ms: u32,
}

impl Default for Sender {
    /// On the 8 kHz clock.
    fn default() -> Self {
        Self::new(CLOCK_DEFAULT)
    }
}

impl Sender {
    /// For events on `clock` Hz ([`TelephoneEvent::clock`](crate::rtp::TelephoneEvent)).
    #[must_use]
    pub fn new(clock: u32) -> Self {
        Self { clock: bounded(clock), waiting: Digits::default(), press: None, pause_left_ms: 0 }
    }

    /// The stream goes on with another clock. Keys that wait are kept; one that is being sent ends here (its timestamp
    /// means nothing any more, and the far end has heard it begin).
    pub fn set_clock(&mut self, clock: u32) {
        if self.clock != bounded(clock) {
            self.clock = bounded(clock);
            if self.press.take().is_some() {
                self.pause_left_ms = SEND_PAUSE_MS;
            }
        }
    }

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

    /// True while a key is being sent.
    #[must_use]
    pub fn is_pressing(&self) -> bool {
        self.press.is_some()
    }

    /// True when the next frame is the first of a key.
    #[must_use]
    pub fn is_starting(&self) -> bool {
        self.press.is_none() && self.pause_left_ms == 0 && !self.waiting.is_empty()
    }

    /// The packet of the frame that starts at `timestamp`; `None` when this frame carries audio.
    pub fn poll_packet(&mut self, timestamp: u32) -> Option<EventPacket> {
        if self.press.is_none() {
            if self.pause_left_ms > 0 {
                self.pause_left_ms = self.pause_left_ms.saturating_sub(SEND_STEP_MS);
                return None;
            }
            let code = self.waiting.take_first()?;
            self.press = Some(Press { code, timestamp, sent_ms: 0, ends_left: END_REPEATS });
        }
        let press = self.press.as_mut()?;
        let marker = press.sent_ms == 0;
        press.sent_ms = (press.sent_ms + SEND_STEP_MS).min(SEND_MS);
        let end = press.sent_ms == SEND_MS;
        if end {
            press.ends_left -= 1;
        }
        // At most `SEND_MS` of `CLOCK_MAX`, which fits (asserted above).
        let duration = units(self.clock, press.sent_ms) as u16;
        let packet = EventPacket {
            marker,
            timestamp: press.timestamp,
            event: Event { code: press.code, end, volume: SEND_VOLUME, duration },
        };
        if press.ends_left == 0 {
            self.press = None;
            self.pause_left_ms = SEND_PAUSE_MS;
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

    const CLOCKS: [u32; 3] = [8_000, 16_000, 48_000];

    /// Sends `keys` frame by frame; gives every packet that leaves.
    fn sent_at(clock: u32, keys: &str) -> Vec<EventPacket> {
        let mut sender = Sender::new(clock);
        let digits: Digits = keys.parse().unwrap();
        assert_eq!(sender.handle_digits(digits), digits.len());
        let mut packets = Vec::new();
        let mut timestamp = u32::MAX - 2000;
        for _ in 0..keys.len() * 20 {
            packets.extend(sender.poll_packet(timestamp));
            timestamp = timestamp.wrapping_add(clock / 50);
        }
        assert!(!sender.is_busy());
        packets
    }

    fn sent(keys: &str) -> Vec<EventPacket> {
        sent_at(8_000, keys)
    }

    fn heard_at(clock: u32, packets: &[EventPacket]) -> String {
        let mut receiver = Receiver::new(clock);
        packets.iter().filter_map(|p| receiver.handle_event(p.timestamp, p.event)).collect()
    }

    fn heard(packets: &[EventPacket]) -> String {
        heard_at(8_000, packets)
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
        for clock in CLOCKS {
            assert_eq!(heard_at(clock, &sent_at(clock, "0123456789*#ABCD")), "0123456789*#ABCD");
            assert_eq!(heard_at(clock, &sent_at(clock, "1111")), "1111");
        }
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
    fn durations_are_in_units_of_the_agreed_clock() {
        let last = |clock| sent_at(clock, "5").last().unwrap().event.duration;
        assert_eq!(CLOCKS.map(last), [800, 1600, 4800]);
        assert_eq!(sent_at(48_000, "5")[0].event.duration, 960);
        assert_eq!(event(5, 800, true).at_clock(8_000, 48_000), event(5, 4800, true));
        assert_eq!(event(5, 4800, false).at_clock(48_000, 8_000), event(5, 800, false));
        assert_eq!(event(5, 40_000, true).at_clock(8_000, 48_000), event(5, 0xffff, true));
        assert_eq!(event(5, 1, true).at_clock(0, u32::MAX), event(5, 24, true), "nonsense does not panic");
    }

    #[test]
    fn a_clock_that_changes_keeps_what_waits() {
        let mut sender = Sender::default();
        sender.handle_digits("12".parse().unwrap());
        assert_eq!(sender.poll_packet(0).unwrap().event.code, 1);
        sender.set_clock(48_000);
        let next = (1..20).find_map(|n| sender.poll_packet(n * 960)).unwrap();
        assert_eq!((next.event.code, next.event.duration, next.marker), (2, 960, true));
    }

    #[test]
    fn a_long_press_is_one_key_whatever_is_lost_of_it() {
        for lost in [0u32, 1, 10] {
            // 3 s at 48 kHz: three segments; the last packets of each never come.
            let mut r = Receiver::new(48_000);
            let mut keys = String::new();
            for segment in 0..3u32 {
                let timestamp = 7000 + segment * 0xffff;
                let packets = if segment == 2 { 20 } else { 68 - lost };
                for n in 1..=packets {
                    keys.extend(
                        r.handle_event(timestamp, event(9, (n * 960).min(0xffff) as u16, segment == 2 && n == 20)),
                    );
                }
            }
            assert_eq!(keys, "9", "{lost} lost");
            assert_eq!(r.handle_event(7000 + 4 * 0xffff, event(9, 960, false)), Some('9'));
        }
        // A sender that breaks at whole packets.
        let mut r = Receiver::default();
        assert_eq!(r.handle_event(0, event(9, 65_440, false)), Some('9'));
        assert_eq!(r.handle_event(65_440, event(9, 160, false)), None);
    }

    #[test]
    fn a_sender_that_sets_its_clock_back_is_believed_at_the_second_packet() {
        let mut r = Receiver::default();
        assert_eq!(r.handle_event(1_000_000, event(1, 160, true)), Some('1'));
        assert_eq!(r.handle_event(10, event(2, 160, false)), None);
        assert_eq!(r.handle_event(10, event(2, 320, false)), Some('2'));
        assert_eq!(r.handle_event(10, event(2, 480, true)), None);
    }

    #[test]
    fn the_first_segment_of_a_long_press_repeated_late_is_no_new_key() {
        let mut r = Receiver::default();
        assert_eq!(r.handle_event(0, event(9, 0xffff, false)), Some('9'));
        assert_eq!(r.handle_event(0xffff, event(9, 160, false)), None);
        for _ in 0..3 {
            assert_eq!(r.handle_event(0, event(9, 0xffff, false)), None);
        }
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
        fn any_repetition_and_loss_reports_each_key_at_most_once(clock in proptest::sample::select(&CLOCKS), keys in "[0-9*#A-D]{1,20}", fate in proptest::collection::vec(0u8..4, 200)) {
            let mut packets = Vec::new();
            for (n, p) in sent_at(clock, &keys).into_iter().enumerate() {
                for _ in 0..fate[n % fate.len()] {
                    packets.push(p);
                }
            }
            // Every key of which one packet came is heard once, in order.
            let mut expected: Vec<(u32, char)> = packets.iter().map(|p| (p.timestamp, p.event.key().unwrap())).collect();
            expected.dedup();
            prop_assert_eq!(heard_at(clock, &packets), expected.into_iter().map(|e| e.1).collect::<String>());
        }

        #[test]
        fn no_payload_panics(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
            crate::rtp::fuzz::dtmf(&octets);
        }
    }
}
