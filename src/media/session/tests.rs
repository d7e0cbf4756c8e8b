//! One call's chain in virtual time: packets in, frames, packets and reports out.

use super::*;
use crate::id::UtteranceId;
use crate::limits::FRAME_SAMPLES;
use crate::media::frame::{InFrame, InboundConsumer, OutFrame, OutboundProducer};
use crate::media::pass::{Outbox, Reports};
use crate::media::plan::Role;
use crate::rtp::Header;
use crate::rtp::header::HEADER_LEN;
use crate::telemetry::Marks;
use crate::time::MediaTime;
use callwright_dsp::codec::g711;
use proptest::prelude::*;
use ringbuf::traits::{Consumer, Producer, Split};
use ringbuf::{HeapCons, HeapRb};
use std::net::UdpSocket;

const EVENTS: u8 = 101;
const START: Tick = Tick(1_000_000_000_000);

fn ms(n: u64) -> Tick {
    START + Duration::from_millis(n)
}

fn phone() -> SocketAddr {
    "192.0.2.7:4000".parse().unwrap()
}

/// A chain with everything around it that the worker would be.
struct Rig {
    session: Session,
    marks: Marks,
    reports: Reports,
    events: HeapCons<MediaEvent>,
    outbox: Outbox,
    woken: bool,
    inbound: Option<InboundConsumer>,
    outbound: Option<OutboundProducer>,
    now: Tick,
    /// What left: time, header, payload.
    sent: Vec<(Tick, Header, Vec<u8>)>,
    heard: Vec<InFrame>,
}

impl Rig {
    fn new(role: Role) -> Self {
        Self::with(role, |_| {})
    }

    fn with(role: Role, change: impl FnOnce(&mut SessionPlan)) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let formats = Formats::of(Format::PCMU).with_events(EVENTS);
        let mut plan = SessionPlan { remote: Some(phone()), ..SessionPlan::new(CallId(1), socket, formats, role) };
        change(&mut plan);
        let (mut prepared, ends) = crate::media::prepare(plan).unwrap();
        prepared.session.handle_opened(START, ms(20));
        let (inbound, outbound) = ends.map(|e| (e.inbound, e.outbound)).unzip();
        let (events_in, events) = HeapRb::new(1024).split();
        Self {
            session: prepared.session,
            marks: Marks::new(),
            reports: Reports::new(events_in),
            events,
            outbox: Outbox::new(),
            woken: false,
            inbound,
            outbound,
            now: START,
            sent: Vec::new(),
            heard: Vec::new(),
        }
    }

    fn pass<R>(&mut self, now: Tick, work: impl FnOnce(&mut Session, &mut Pass<'_>) -> R) -> R {
        self.now = now;
        let mut pass = Pass {
            now,
            marks: &self.marks,
            reports: &mut self.reports,
            outbox: &mut self.outbox,
            wake_speech: &mut self.woken,
        };
        let result = work(&mut self.session, &mut pass);
        for packet in pass.outbox.packets() {
            let parsed = Packet::parse(packet.octets()).unwrap();
            self.sent.push((now, parsed.header, parsed.payload.to_vec()));
        }
        if !pass.outbox.is_empty() {
            let count = pass.outbox.packets().len();
            self.session.handle_sent(&mut pass, now, count);
        }
        self.outbox.clear();
        if let Some(ring) = &mut self.inbound {
            self.heard.extend(std::iter::from_fn(|| ring.try_pop()));
        }
        result
    }

    /// Lets time pass to `until`, serving whatever is due on the way.
    fn run(&mut self, until: Tick) {
        while self.session.poll_timeout() <= until {
            let due = self.session.poll_timeout().max(self.now);
            self.pass(due, |session, pass| session.handle_timeout(pass));
        }
        self.now = until;
    }

    fn packet(&mut self, at: Tick, sequence: u16, timestamp: u32, payload: &[u8]) -> bool {
        self.packet_from(phone(), at, Header { sequence, timestamp, ssrc: 7, ..Header::default() }, payload)
    }

    fn packet_from(&mut self, from: SocketAddr, at: Tick, header: Header, payload: &[u8]) -> bool {
        self.run(at);
        let mut datagram = vec![0; HEADER_LEN];
        header.write((&mut datagram[..]).try_into().unwrap());
        datagram.extend_from_slice(payload);
        self.pass(at, |session, pass| matches!(session.handle_datagram(pass, from, at, &datagram), Heard::Readable))
    }

    fn events(&mut self) -> Vec<MediaEvent> {
        std::iter::from_fn(|| self.events.try_pop()).collect()
    }

    fn say(&mut self, generation: u32, utterance: u32, frames: usize) {
        for n in 1..=frames {
            let frame = OutFrame {
                generation: Generation(generation),
                utterance: UtteranceId(utterance),
                end: n == frames,
                len: FRAME_SAMPLES as u16,
                pcm: [8000; FRAME_SAMPLES],
            };
            self.outbound.as_mut().unwrap().try_push(frame).expect("room in the ring");
        }
    }

    fn audible(&self) -> usize {
        self.sent.iter().filter(|(_, _, payload)| payload.iter().any(|o| *o != 0xff)).count()
    }

    /// Audio time has no hole and no step back.
    fn check_continuous(&self) {
        let mut at = MediaTime(0);
        for frame in &self.heard {
            assert_eq!(frame.at, at);
            assert!((1..=160).contains(&frame.len));
            at = MediaTime(at.0 + u64::from(frame.len));
        }
    }

    fn heard_samples(&self) -> u64 {
        self.heard.iter().map(|f| u64::from(f.len)).sum()
    }

    fn received_octets(&self) -> Vec<u8> {
        let mut octets = Vec::new();
        for frame in self.heard.iter().filter(|f| !f.fed) {
            let mut part = vec![0; usize::from(frame.len)];
            g711::encode_ulaw(frame.samples(), &mut part);
            octets.extend(part);
        }
        octets
    }
}

/// A payload that tells which packet it was; loud, so that it is no pause.
fn voice(n: u16, len: usize) -> Vec<u8> {
    (0..len).map(|i| if i % 2 == 0 { 0x10 } else { 0x90 } | (n % 16) as u8).collect()
}

#[test]
fn a_packet_in_order_is_readable_in_the_pass_that_brought_it() {
    let mut rig = Rig::new(Role::Speech);
    for n in 0..100u16 {
        let at = ms(u64::from(n) * 20 + 20);
        assert!(rig.packet(at, n, u32::from(n) * 160, &voice(n, 160)));
        let last = rig.heard.last().unwrap();
        assert!(!last.fed && last.received == at);
    }
    rig.check_continuous();
    let expected: Vec<u8> = (0..100).flat_map(|n| voice(n, 160)).collect();
    assert_eq!(rig.received_octets(), expected);
    assert!(rig.heard.iter().all(|f| !f.fed));
}

#[test]
fn silence_is_fed_sixty_milliseconds_after_the_due_time_and_time_never_stops() {
    let mut rig = Rig::new(Role::Speech);
    rig.run(ms(79));
    assert!(rig.heard.is_empty());
    rig.run(ms(80));
    assert_eq!((rig.heard.len(), rig.heard[0].fed), (1, true));
    rig.run(ms(10_000));
    assert_eq!(rig.heard_samples(), (10_000 - 60) * 8);
    rig.check_continuous();
    assert_eq!(rig.marks.silence_frames_fed.get(), 497);
}

#[test]
fn a_pause_without_packets_is_as_long_in_audio_time() {
    let mut rig = Rig::new(Role::Speech);
    for n in 0..10u16 {
        rig.packet(ms(u64::from(n) * 20 + 20), n, u32::from(n) * 160, &voice(n, 160));
    }
    // Silence suppression: 1 s without packets, the next in sequence, its timestamp moved on.
    for n in 10..20u16 {
        rig.packet(ms(u64::from(n) * 20 + 1020), n, u32::from(n) * 160 + 8000, &voice(n, 160));
    }
    rig.check_continuous();
    assert_eq!(rig.heard_samples(), 20 * 160 + 8000);
    assert_eq!(rig.session.stats().silence_samples, 8000);
    assert_eq!(rig.session.stats().late, 0);
}

#[test]
fn a_loss_is_concealed_in_place() {
    let mut rig = Rig::new(Role::Speech);
    for n in (0..20u16).filter(|n| *n != 7) {
        rig.packet(ms(u64::from(n) * 20 + 20), n, u32::from(n) * 160, &voice(n, 160));
    }
    rig.check_continuous();
    assert_eq!(rig.heard_samples(), 20 * 160);
    let stats = rig.session.stats();
    assert_eq!((stats.concealed_samples, stats.silence_samples, stats.lost), (160, 0, 1));
    let seventh = &rig.heard[7];
    assert!(seventh.fed && seventh.pcm[0] != 0);
    assert_eq!(rig.marks.jitter_buffer.count(), 2);
    assert!(rig.marks.jitter_buffer.max() <= Duration::from_millis(40));
}

#[test]
fn two_packets_in_the_wrong_order_are_put_right() {
    let mut rig = Rig::new(Role::Speech);
    for (n, at) in [(0u16, 20), (2, 40), (1, 45), (3, 80)] {
        rig.packet(ms(at), n, u32::from(n) * 160, &voice(n, 160));
    }
    let expected: Vec<u8> = (0..4).flat_map(|n| voice(n, 160)).collect();
    assert_eq!(rig.received_octets(), expected);
    assert_eq!(rig.session.stats().lost, 0);
}

#[test]
fn a_stall_followed_by_a_burst_keeps_every_word_and_gives_the_time_back_in_a_pause() {
    let mut rig = Rig::new(Role::Speech);
    for n in 0..10u16 {
        rig.packet(ms(u64::from(n) * 20 + 20), n, u32::from(n) * 160, &voice(n, 160));
    }
    // 300 ms nothing, then all at once.
    for n in 10..25u16 {
        rig.packet(ms(520), n, u32::from(n) * 160, &voice(n, 160));
    }
    let words: Vec<u8> = (0..25).flat_map(|n| voice(n, 160)).collect();
    assert_eq!(rig.received_octets(), words);
    let ahead = rig.heard_samples() - 520 * 8;
    assert!(ahead > 1500, "{ahead}");
    // The caller pauses: quiet packets are left out until audio time is back at the wall clock.
    for n in 25..100u16 {
        rig.packet(ms(u64::from(n) * 20 + 20), n, u32::from(n) * 160, &[0xff; 160]);
    }
    rig.check_continuous();
    let behind = rig.heard_samples().abs_diff(2000 * 8);
    assert!(behind <= 640, "{behind}");
}

#[test]
fn audio_never_runs_half_a_second_ahead() {
    let mut rig = Rig::new(Role::Speech);
    for n in 0..200u16 {
        rig.packet(ms(20 + u64::from(n)), n, u32::from(n) * 160, &voice(n, 160));
        assert!(rig.heard_samples() <= (20 + u64::from(n)) * 8 + 4000);
    }
    assert!(rig.session.stats().late > 100);
    rig.check_continuous();
}

#[test]
fn timestamp_jumps_do_not_move_audio_time() {
    let mut rig = Rig::new(Role::Speech);
    let mut timestamp = 0u32;
    for n in 0..100u16 {
        if n % 10 == 5 {
            timestamp = timestamp.wrapping_add(0x7fff_0000);
        }
        rig.packet(ms(u64::from(n) * 20 + 20), n, timestamp, &voice(n, 160));
        timestamp = timestamp.wrapping_add(160);
    }
    rig.check_continuous();
    assert_eq!(rig.heard_samples(), 100 * 160);
}

#[test]
fn another_ssrc_is_followed_from_its_second_packet() {
    let mut rig = Rig::new(Role::Speech);
    for n in 0..5u16 {
        rig.packet(ms(u64::from(n) * 20 + 20), n, u32::from(n) * 160, &voice(n, 160));
    }
    let other =
        |sequence: u16| Header { sequence, timestamp: u32::from(sequence) * 160, ssrc: 99, ..Header::default() };
    for n in 0..5u16 {
        rig.packet_from(phone(), ms(u64::from(n) * 20 + 120), other(9000 + n), &voice(n, 160));
    }
    rig.check_continuous();
    assert_eq!(rig.received_octets().len(), 9 * 160);
    // A single stray packet is not.
    rig.packet_from(phone(), ms(230), Header { ssrc: 123, ..other(1) }, &voice(1, 160));
    assert_eq!(rig.received_octets().len(), 9 * 160);
}

#[test]
fn what_does_not_belong_is_counted_and_changes_nothing() {
    let mut rig = Rig::new(Role::Speech);
    rig.packet(ms(20), 0, 0, &voice(0, 160));
    let stranger: SocketAddr = "192.0.2.66:666".parse().unwrap();
    let header = Header { sequence: 1, timestamp: 160, ssrc: 7, ..Header::default() };
    for n in 0..50u16 {
        rig.packet_from(stranger, ms(21), Header { sequence: n, ..header }, &voice(n, 160));
    }
    rig.pass(ms(22), |s, p| _ = s.handle_datagram(p, phone(), ms(22), b"\x00\x01stun?"));
    rig.pass(ms(22), |s, p| _ = s.handle_datagram(p, phone(), ms(22), &[]));
    rig.packet_from(phone(), ms(23), Header { payload_type: 18, ..header }, &voice(1, 20));
    rig.packet_from(phone(), ms(24), header, &voice(1, 481));
    rig.packet_from(phone(), ms(25), header, &[]);
    rig.packet(ms(40), 1, 160, &voice(1, 160));
    let stats = rig.session.stats();
    assert_eq!((stats.forged, stats.garbage, stats.wrong_payload), (50, 4, 1));
    assert_eq!(stats.packets_received, 2);
    assert_eq!(rig.received_octets().len(), 320);
    assert_eq!(rig.session.destination(), Some(phone()));
}

#[test]
fn keys_are_reported_once_each_and_leave_audio_time_going() {
    let mut rig = Rig::new(Role::Speech);
    let mut sequence = 0u16;
    let mut at = 20;
    for (n, code) in [4u8, 2, 2].into_iter().enumerate() {
        let timestamp = n as u32 * 4000;
        for duration in [160u16, 320, 480, 640, 800, 800, 800] {
            let event = Event { code, end: duration == 800, volume: 10, duration };
            let header = Header { payload_type: EVENTS, sequence, timestamp, ssrc: 7, marker: duration == 160 };
            rig.packet_from(phone(), ms(at), header, &event.octets());
            sequence += 1;
            at += 20;
        }
    }
    rig.run(ms(2000));
    let digits: String = rig
        .events()
        .into_iter()
        .filter_map(|e| match e {
            MediaEvent::Digit { digit, .. } => Some(digit),
            _ => None,
        })
        .collect();
    assert_eq!(digits, "422");
    rig.check_continuous();
    assert_eq!(rig.heard_samples(), (2000 - 60) * 8);
}

#[test]
fn a_frame_leaves_every_twenty_milliseconds_come_what_may() {
    let mut rig = Rig::new(Role::Speech);
    rig.packet(ms(1), 0, 0, &voice(0, 160));
    rig.say(0, 1, 30);
    rig.run(ms(2000));
    assert_eq!(rig.sent.len(), 100);
    for (n, pair) in rig.sent.windows(2).enumerate() {
        assert_eq!(pair[1].0.since(pair[0].0), FRAME);
        assert_eq!(pair[1].1.sequence, pair[0].1.sequence.wrapping_add(1));
        assert_eq!(pair[1].1.timestamp, pair[0].1.timestamp.wrapping_add(160));
        assert!(!pair[1].1.marker, "packet {}: packets are contiguous, hence no talkspurt starts", n + 1);
    }
    assert!(rig.sent[0].1.marker);
    assert_eq!(rig.audible(), 30);
    assert!(rig.sent[30..].iter().all(|(_, _, p)| p == &[0xff; 160]));
}

#[test]
fn what_was_sent_of_an_utterance_is_reported() {
    let mut rig = Rig::new(Role::Speech);
    rig.packet(ms(1), 0, 0, &voice(0, 160));
    rig.say(0, 5, 12);
    rig.run(ms(1000));
    let reports: Vec<String> = rig
        .events()
        .iter()
        .filter_map(|e| match e {
            MediaEvent::FirstAudible { utterance, at, .. } => {
                Some(format!("audible {} {}", utterance.0, at.since(START).as_millis()))
            }
            MediaEvent::Played { utterance, samples, end, .. } => Some(format!("{} {samples} {end}", utterance.0)),
            _ => None,
        })
        .collect();
    assert_eq!(reports, ["audible 5 20", "5 800 false", "5 1600 false", "5 1920 true"]);
}

#[test]
fn a_flush_stops_at_once_and_says_how_far_it_got() {
    let mut rig = Rig::new(Role::Speech);
    rig.packet(ms(1), 0, 0, &voice(0, 160));
    rig.say(0, 1, 50);
    rig.run(ms(205));
    let before = rig.audible();
    assert_eq!(before, 10);
    rig.events();
    rig.pass(ms(206), |s, p| s.handle_flush(p, Generation(1)));
    let events = rig.events();
    let [MediaEvent::Flushed { utterance, samples, last_audible, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((*utterance, *samples, *last_audible), (Some(UtteranceId(1)), 1600, Some(ms(200))));
    // Stragglers of the old generation that speech was still pushing are dropped, the new one plays.
    rig.say(0, 1, 3);
    rig.say(1, 2, 2);
    rig.run(ms(400));
    assert_eq!(rig.audible(), before + 2);
    assert_eq!(rig.marks.frames_flushed.get(), 43);
    // Flushing silence reports that nothing was cut off.
    rig.events();
    rig.pass(ms(401), |s, p| s.handle_flush(p, Generation(2)));
    assert!(matches!(rig.events()[..], [MediaEvent::Flushed { utterance: None, samples: 0, last_audible: None, .. }]));
}

#[test]
fn a_late_wake_up_skips_forward_and_sends_no_burst() {
    let mut rig = Rig::new(Role::Speech);
    rig.packet(ms(1), 0, 0, &voice(0, 160));
    rig.say(0, 1, 20);
    rig.run(ms(100));
    let (count, last) = (rig.sent.len(), rig.sent.last().unwrap().1);
    // The frame due at 120 is served at 215: those of 140, 160, 180 and 200 have gone by.
    rig.pass(ms(215), |s, p| s.handle_timeout(p));
    assert_eq!(rig.sent.len(), count + 1);
    let header = rig.sent.last().unwrap().1;
    assert_eq!(header.sequence, last.sequence.wrapping_add(1));
    assert_eq!(header.timestamp, last.timestamp.wrapping_add(5 * 160));
    assert!(header.marker);
    assert_eq!(rig.session.stats().frames_skipped, 4);
    rig.run(ms(235));
    assert_eq!(rig.sent.last().unwrap().0, ms(220), "back on the old grid");
    // Nothing of the utterance is lost.
    rig.run(ms(2000));
    assert_eq!(rig.audible(), 20);
}

#[test]
fn an_address_that_never_answers_gets_two_seconds_of_media() {
    let mut rig = Rig::new(Role::Speech);
    rig.say(0, 1, 100);
    rig.run(ms(5000));
    assert_eq!(rig.sent.len(), 100);
    // It answers: media goes on. Another address gets its own two seconds.
    rig.packet(ms(5001), 0, 0, &voice(0, 160));
    rig.run(ms(5101));
    assert_eq!(rig.sent.len(), 105);
    assert!(rig.sent[100].1.marker);
    let moved = "198.51.100.1:4000".parse().unwrap();
    rig.pass(ms(5101), |s, p| s.handle_remote(p, moved, Formats::of(Format::PCMU), None));
    rig.run(ms(12_000));
    assert_eq!(rig.sent.len(), 205);
}

#[test]
fn without_an_address_nothing_is_sent() {
    let mut rig = Rig::with(Role::Speech, |plan| plan.remote = None);
    rig.run(ms(500));
    assert!(rig.sent.is_empty());
    // Learnt from five packets.
    for n in 0..5u16 {
        rig.packet(ms(500 + u64::from(n) * 20), n, u32::from(n) * 160, &voice(n, 160));
    }
    rig.run(ms(700));
    assert!(!rig.sent.is_empty());
    assert_eq!(rig.received_octets().len(), 160);
}

#[test]
fn hold_is_silent_both_ways_and_is_no_missing_media() {
    let mut rig = Rig::new(Role::Speech);
    rig.packet(ms(1), 0, 0, &voice(0, 160));
    rig.say(0, 1, 20);
    rig.run(ms(100));
    rig.pass(ms(101), |s, p| s.handle_hold(p.now, true));
    let sent = rig.sent.len();
    rig.packet(ms(150), 1, 160, &voice(1, 160));
    rig.run(ms(70_000));
    assert_eq!(rig.sent.len(), sent);
    assert_eq!(rig.received_octets().len(), 160);
    assert!(!rig.events().iter().any(|e| matches!(e, MediaEvent::MediaTimeout { .. })));
    rig.pass(ms(70_001), |s, p| s.handle_hold(p.now, false));
    rig.run(ms(72_000));
    // The rest of the utterance is played, marked as a new talkspurt.
    assert_eq!(rig.audible(), 20);
    assert!(rig.sent[sent].1.marker);
    rig.check_continuous();
}

#[test]
fn missing_media_is_reported_once_until_it_comes_back() {
    let mut rig = Rig::new(Role::Speech);
    rig.packet(ms(1), 0, 0, &voice(0, 160));
    rig.run(ms(60_000));
    let timeouts = |rig: &mut Rig| rig.events().iter().filter(|e| matches!(e, MediaEvent::MediaTimeout { .. })).count();
    assert_eq!(timeouts(&mut rig), 0);
    rig.run(ms(200_000));
    assert_eq!(timeouts(&mut rig), 1);
    rig.packet(ms(200_001), 1, 160, &voice(0, 160));
    rig.run(ms(270_000));
    assert_eq!(timeouts(&mut rig), 1);
}

#[test]
fn digits_are_sent_between_frames_of_speech() {
    let mut rig = Rig::new(Role::Speech);
    rig.packet(ms(1), 0, 0, &voice(0, 160));
    rig.say(0, 1, 5);
    rig.session.handle_digits("19".parse().unwrap());
    rig.run(ms(1000));
    let events: Vec<_> = rig.sent.iter().filter(|(_, h, _)| h.payload_type == EVENTS).collect();
    assert_eq!(events.len(), 14);
    let mut keys = Receiver::default();
    let heard: String =
        events.iter().filter_map(|(_, h, p)| keys.handle_event(h.timestamp, Event::parse(p).unwrap())).collect();
    assert_eq!(heard, "19");
    assert_eq!(rig.audible() - events.len(), 5);
    assert!(rig.sent.windows(2).all(|p| p[1].1.sequence == p[0].1.sequence.wrapping_add(1)));
}

#[test]
fn an_echo_call_answers_each_packet_in_kind() {
    let mut rig = Rig::new(Role::Echo);
    let mut timestamp = 4_294_960_000u32;
    for (n, len) in [160usize, 80, 240, 480, 160, 320].into_iter().enumerate() {
        let n = n as u16;
        rig.packet(ms(u64::from(n) * 20 + 5), 65_533u16.wrapping_add(n), timestamp, &voice(n, len));
        let (at, header, payload) = rig.sent.last().unwrap();
        assert_eq!((*at, payload), (rig.now, &voice(n, len)));
        assert_ne!(header.ssrc, 7);
        let (_, first, _) = &rig.sent[0];
        assert_eq!(header.sequence, first.sequence.wrapping_add(n));
        assert_eq!(header.timestamp.wrapping_sub(first.timestamp), timestamp.wrapping_sub(4_294_960_000));
        timestamp = timestamp.wrapping_add(len as u32);
    }
    // Twice the same: answered once. A key: reported, not echoed.
    rig.packet(ms(200), 65_533u16.wrapping_add(5), timestamp, &voice(1, 160));
    let event = Event { code: 1, end: false, volume: 10, duration: 160 };
    let header = Header { payload_type: EVENTS, sequence: 65_533u16.wrapping_add(6), timestamp, ssrc: 7, marker: true };
    rig.packet_from(phone(), ms(210), header, &event.octets());
    assert_eq!(rig.sent.len(), 6);
    assert!(rig.events().iter().any(|e| matches!(e, MediaEvent::Digit { digit: '1', .. })));
    assert_eq!(rig.marks.route_bridge.count(), 6);
}

#[test]
fn an_echo_call_goes_on_in_its_own_numbers_when_the_sender_changes() {
    let mut rig = Rig::new(Role::Echo);
    for n in 0..5u16 {
        rig.packet(ms(u64::from(n) * 20 + 20), n, u32::from(n) * 160, &voice(n, 160));
    }
    let other =
        |n: u16| Header { sequence: 30_000 + n, timestamp: 77 + u32::from(n) * 160, ssrc: 99, ..Header::default() };
    for n in 0..4 {
        rig.packet_from(phone(), ms(u64::from(n) * 20 + 120), other(n), &voice(n, 160));
    }
    assert_eq!(rig.sent.len(), 8);
    for pair in rig.sent.windows(2) {
        assert_eq!(pair[1].1.sequence, pair[0].1.sequence.wrapping_add(1));
        assert_eq!(pair[1].1.timestamp, pair[0].1.timestamp.wrapping_add(160));
    }
}

proptest! {
    /// Packets of any allowed length are re-framed without losing, repeating or reordering a sample.
    #[test]
    fn re_framing_keeps_every_sample(lens in proptest::collection::vec(1usize..=480, 1..60), start: u16, stamp: u32) {
        let mut rig = Rig::new(Role::Speech);
        let (mut samples, mut expected) = (0u64, Vec::new());
        for (n, len) in lens.iter().enumerate() {
            let payload = voice(n as u16, *len);
            // A packet arrives when its last sample was spoken.
            samples += *len as u64;
            let at = START + Duration::from_micros(samples * 125);
            let timestamp = stamp.wrapping_add((samples - *len as u64) as u32);
            rig.packet(at, start.wrapping_add(n as u16), timestamp, &payload);
            expected.extend(payload);
        }
        rig.check_continuous();
        prop_assert_eq!(rig.received_octets(), expected);
        prop_assert!(rig.heard.iter().all(|f| !f.fed));
    }

    /// Whatever the network does, audio time has no hole, follows the wall clock, and nothing panics.
    #[test]
    fn audio_time_survives_any_network(packets in proptest::collection::vec(
        (0u64..120, any::<i8>(), -2000i32..2000, 0usize..500, 0u8..20), 1..200)) {
        let mut rig = Rig::new(Role::Speech);
        let (mut now, mut sequence, mut timestamp) = (20u64, 0u16, 0u32);
        for (wait, jump, skew, len, odd) in packets {
            now += wait;
            sequence = sequence.wrapping_add(1);
            timestamp = timestamp.wrapping_add(160);
            let header = Header {
                marker: odd == 1,
                payload_type: if odd == 2 { EVENTS } else if odd == 3 { 13 } else { 0 },
                sequence: if odd < 10 { sequence } else { sequence.wrapping_add_signed(i16::from(jump)) },
                timestamp: if odd < 15 { timestamp } else { timestamp.wrapping_add_signed(skew) },
                ssrc: if odd == 4 { 8 } else { 7 },
            };
            rig.packet_from(phone(), ms(now), header, &voice(sequence, len));
            rig.check_continuous();
            let wall = now * 8;
            prop_assert!(rig.heard_samples() <= wall + 4000 + 160);
            prop_assert!(rig.heard_samples() + 640 >= wall.min(wall - wall % 160), "{} {}", rig.heard_samples(), wall);
        }
    }

    /// No datagram can panic a chain.
    #[test]
    fn no_datagram_panics(datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..600), 1..50), echo: bool) {
        let mut rig = Rig::new(if echo { Role::Echo } else { Role::Speech });
        for (n, mut datagram) in datagrams.into_iter().enumerate() {
            if n % 2 == 0 && datagram.len() > 12 {
                datagram[0] = 0x80 | (datagram[0] & 0x3f);
                datagram[1] &= 0x80;
                datagram[8..12].copy_from_slice(&[0, 0, 0, 1]);
            }
            let at = ms(20 + n as u64 * 7);
            rig.run(at);
            rig.pass(at, |s, p| _ = s.handle_datagram(p, phone(), at, &datagram));
        }
    }
}
