//! Two legs, joined.

use super::*;
use crate::media::coders::path_rate;
use crate::media::recorder::{self, Side, Tap};
use crate::rtp::TelephoneEvent;
use proptest::prelude::*;

/// Both legs of a bridge, without the worker.
pub(super) struct Pair {
    pub(super) a: Rig,
    pub(super) b: Rig,
}

impl Pair {
    pub(super) fn new(a: Formats, b: Formats) -> Self {
        Self::recorded(a, b, [None, None])
    }

    /// With the taps of A and B.
    pub(super) fn recorded(a: Formats, b: Formats, taps: [Option<Tap>; 2]) -> Self {
        let rate = path_rate(&a, &b);
        let mut taps = taps.into_iter();
        let mut leg = |formats, partner| {
            let role = Role::Bridge { partner: CallId(partner) };
            let tap = taps.next().flatten();
            let mut rig = Rig::with(role, |plan| (plan.formats, plan.rate, plan.recording) = (formats, rate, tap));
            rig.session.set_partner_slot(Some(0));
            rig
        };
        let (mut a, mut b) = (leg(a, 2), leg(b, 1));
        // Both phones have spoken.
        for rig in [&mut a, &mut b] {
            rig.session.answered = true;
        }
        Self { a, b }
    }

    /// A packet from phone A; how many leave towards phone B.
    pub(super) fn packet(&mut self, at: Tick, header: Header, payload: &[u8]) -> usize {
        let mut datagram = vec![0; HEADER_LEN];
        header.write((&mut datagram[..]).try_into().unwrap());
        datagram.extend_from_slice(payload);
        self.b.run(at);
        let (a, b) = (&mut self.a, &mut self.b);
        let before = b.sent.len();
        a.now = at;
        let mut pass = Pass {
            now: at,
            marks: &a.marks,
            reports: &mut a.reports,
            outbox: &mut a.outbox,
            wake_speech: &mut a.woken,
            complexity: 5,
        };
        let from = &mut a.session;
        if let Heard::Onward(onward) = from.handle_datagram(&mut pass, phone(), at, &mut datagram) {
            b.pass(at, |to, pass| to.handle_onward(pass, from, &onward));
        }
        assert!(a.outbox.is_empty());
        b.sent.len() - before
    }

    /// So many packets of a talker, without those that `lost` says.
    pub(super) fn talk(&mut self, talker: &mut Talker, ptime: usize, packets: usize, lost: impl Fn(usize) -> bool) {
        for n in 0..packets {
            let (header, payload) = talker.packet(ptime);
            if !lost(n) {
                self.packet(ms(((n + 1) * ptime) as u64), header, &payload);
            }
        }
    }
}

#[test]
fn the_same_codec_is_relayed_octet_for_octet() {
    for format in ALL {
        let theirs = Format { payload_type: 120, ..format };
        let mut pair = Pair::new(Formats::of(format), Formats::of(theirs));
        let mut talker = Talker::new(format, 700.0);
        let (mut first, mut ours) = (None, None);
        for n in 0..50u64 {
            let (header, payload) = talker.packet(20);
            // One is lost on the way in, two arrive in the wrong order.
            if n == 20 {
                continue;
            }
            let header = Header { marker: n == 30, ..header };
            assert_eq!(pair.packet(ms(n * 20), header, &payload), 1);
            let (at, out, octets) = pair.b.sent.last().unwrap();
            assert_eq!((*at, octets), (ms(n * 20), &payload));
            let (first, ours) = (*first.get_or_insert(header), *ours.get_or_insert(*out));
            assert_eq!((out.payload_type, out.ssrc), (120, ours.ssrc));
            assert_ne!(out.ssrc, 7);
            assert_eq!(out.sequence.wrapping_sub(ours.sequence), header.sequence.wrapping_sub(first.sequence));
            assert_eq!(out.timestamp.wrapping_sub(ours.timestamp), header.timestamp.wrapping_sub(first.timestamp));
            assert_eq!(out.marker, n == 0 || n == 30);
        }
        assert_eq!(pair.b.marks.route_bridge.count(), 49);
    }
}

#[test]
fn every_codec_becomes_every_other_one() {
    for from in ALL {
        for to in ALL {
            let mut pair = Pair::new(Formats::of(from), Formats::of(to));
            pair.talk(&mut Talker::new(from, 700.0), 20, 60, |_| false);
            assert_eq!(pair.b.sent.len(), 60, "{from:?} → {to:?}: a frame leaves in the pass that completes it");
            let pcm = decoded(&pair.b.sent, to.codec);
            assert_tone(&pcm, 700.0, to.codec.audio_rate(), &format!("{from:?} → {to:?}"));
        }
    }
}

#[test]
fn packets_of_any_length_become_frames_of_twenty_milliseconds() {
    for ptime in [10usize, 20, 40, 60] {
        for to in [Format::PCMA, OPUS] {
            let mut pair = Pair::new(Formats::of(Format::PCMU), Formats::of(to));
            pair.talk(&mut Talker::new(Format::PCMU, 700.0), ptime, 1200 / ptime, |_| false);
            assert_eq!(pair.b.sent.len(), 60);
            let pcm = decoded(&pair.b.sent, to.codec);
            assert_tone(&pcm, 700.0, to.codec.audio_rate(), &format!("{ptime} ms → {to:?}"));
        }
    }
    // Lengths that fill no frame: 30 ms.
    let mut pair = Pair::new(Formats::of(Format::PCMU), Formats::of(OPUS));
    let header = Header { ssrc: 7, ..Header::default() };
    let counts: Vec<usize> = (0..6u16)
        .map(|n| {
            let header = Header { sequence: n, timestamp: u32::from(n) * 240, ..header };
            pair.packet(ms(u64::from(n + 1) * 30), header, &voice(n, 240))
        })
        .collect();
    assert_eq!(counts, [1, 2, 1, 2, 1, 2]);
}

#[test]
fn a_wide_band_stays_wide_between_wide_codecs() {
    for (from, to) in [(Format::G722, OPUS), (OPUS, Format::G722), (L16_WIDE, Format::G722), (Format::G722, L16_WIDE)] {
        let mut pair = Pair::new(Formats::of(from), Formats::of(to));
        pair.talk(&mut Talker::new(from, 5_000.0), 20, 60, |_| false);
        let pcm = decoded(&pair.b.sent, to.codec);
        let rate = to.codec.audio_rate();
        let level = level_at(&pcm[rate as usize / 5..], 5_000.0, rate);
        assert!((level + 10.0).abs() < 3.0, "{from:?} → {to:?}: {level:.1} dB at 5 kHz");
    }
}

#[test]
fn a_narrow_codec_on_a_wide_path_is_converted() {
    // A sends G.722 by agreement, and may send PCMU.
    let a = Formats {
        receive: [Some(Format::G722), Some(Format::PCMU), None, None, None, None],
        ..Formats::of(Format::G722)
    };
    let mut pair = Pair::new(a, Formats::of(OPUS));
    pair.talk(&mut Talker::new(Format::PCMU, 700.0), 20, 60, |_| false);
    assert_tone(&decoded(&pair.b.sent, Codec::Opus), 700.0, 48_000, "PCMU on a path of 16 kHz");
}

#[test]
fn what_was_lost_stays_a_gap_for_the_far_phone_to_conceal() {
    let mut pair = Pair::new(Formats::of(Format::PCMU), Formats::of(OPUS));
    pair.talk(&mut Talker::new(Format::PCMU, 700.0), 20, 40, |n| n == 10 || n == 20 || n == 21);
    let first = pair.b.sent[0].1;
    let numbers: Vec<u16> = pair.b.sent.iter().map(|(_, h, _)| h.sequence.wrapping_sub(first.sequence)).collect();
    let expected: Vec<u16> = (0..40).filter(|n| ![10, 20, 21].contains(n)).collect();
    assert_eq!(numbers, expected);
    for (_, header, _) in &pair.b.sent {
        let distance = u32::from(header.sequence.wrapping_sub(first.sequence)) * 960;
        assert_eq!(header.timestamp.wrapping_sub(first.timestamp), distance);
        assert_eq!(header.marker, header.sequence == first.sequence);
    }
}

#[test]
fn a_lost_opus_packet_is_recovered_and_earlier_ones_are_left_out() {
    let mut pair = Pair::new(Formats::of(OPUS), Formats::of(Format::PCMU));
    pair.talk(&mut Talker::new(OPUS, 500.0), 20, 50, |n| n == 20 || n == 30 || n == 31);
    let first = pair.b.sent[0].1.sequence;
    let numbers: Vec<u16> = pair.b.sent.iter().map(|(_, h, _)| h.sequence.wrapping_sub(first)).collect();
    // Of two in a row only the second can be had from the packet after them.
    let expected: Vec<u16> = (0..50).filter(|n| *n != 30).collect();
    assert_eq!(numbers, expected);
    let recovered = &pair.b.sent[20].2;
    let mut pcm = [0; 160];
    g711::decode_ulaw(recovered, &mut pcm);
    assert!(callwright_dsp::level::dbfs(&pcm) > -20.0, "the recovered packet is heard");
}

#[test]
fn a_pause_without_packets_is_a_pause_and_no_loss() {
    let mut pair = Pair::new(Formats::of(Format::PCMU), Formats::of(Format::PCMA));
    let header = Header { ssrc: 7, ..Header::default() };
    for n in 0..20u16 {
        // Silence suppression for half a second after the tenth packet.
        let late = if n < 10 { 0 } else { 500 };
        let timestamp = u32::from(n) * 160 + late * 8;
        let header = Header { sequence: n, timestamp, ..header };
        pair.packet(ms(u64::from(n) * 20 + u64::from(late)), header, &voice(n, 160));
    }
    let first = pair.b.sent[0].1;
    for (n, (_, header, _)) in pair.b.sent.iter().enumerate() {
        let late = if n < 10 { 0 } else { 500 };
        assert_eq!(header.sequence, first.sequence.wrapping_add(n as u16));
        assert_eq!(header.timestamp, first.timestamp.wrapping_add((n * 160 + late * 8) as u32));
        assert_eq!(header.marker, n == 0 || n == 10);
    }
}

#[test]
fn packets_out_of_order_are_relayed_and_not_transcoded() {
    for (to, expected) in [(Format::PCMU, 4), (Format::PCMA, 3)] {
        let mut pair = Pair::new(Formats::of(Format::PCMU), Formats::of(to));
        let header = Header { ssrc: 7, ..Header::default() };
        for n in [0u16, 2, 1, 3] {
            let header = Header { sequence: n, timestamp: u32::from(n) * 160, ..header };
            pair.packet(ms(u64::from(n) * 20), header, &voice(n, 160));
        }
        assert_eq!(pair.b.sent.len(), expected);
        let numbers: Vec<u16> =
            pair.b.sent.iter().map(|(_, h, _)| h.sequence.wrapping_sub(pair.b.sent[0].1.sequence)).collect();
        assert_eq!(numbers, if expected == 4 { vec![0, 2, 1, 3] } else { vec![0, 2, 3] });
    }
}

#[test]
fn keys_are_translated_to_the_other_legs_type_and_clock() {
    let wide = TelephoneEvent { payload_type: 110, clock: 48_000 };
    let b = Formats { telephone_event: Some(wide), ..Formats::of(OPUS) };
    let mut pair = Pair::new(Formats::of(Format::PCMU).with_events(EVENTS), b);
    let mut talker = Talker::new(Format::PCMU, 700.0);
    pair.talk(&mut talker, 20, 10, |_| false);
    let start = talker.header.timestamp;
    for (n, duration) in [160u16, 320, 480, 640, 800, 800, 800].into_iter().enumerate() {
        let event = Event { code: 5, end: duration == 800, volume: 10, duration };
        let header = Header { payload_type: EVENTS, marker: n == 0, timestamp: start, ..talker.header };
        talker.header.sequence = talker.header.sequence.wrapping_add(1);
        assert_eq!(pair.packet(ms(200 + n as u64 * 20), header, &event.octets()), 1);
    }
    talker.header.timestamp = start.wrapping_add(7 * 160);
    for n in 0..10 {
        let (header, payload) = talker.packet(20);
        pair.packet(ms(340 + n * 20), header, &payload);
    }
    let first = pair.b.sent[0].1;
    let events: Vec<_> = pair.b.sent.iter().filter(|(_, h, _)| h.payload_type == 110).collect();
    assert_eq!(events.len(), 7);
    let mut keys = Receiver::new(48_000);
    let heard: String =
        events.iter().filter_map(|(_, h, p)| keys.handle_event(h.timestamp, Event::parse(p).unwrap())).collect();
    assert_eq!(heard, "5");
    assert_eq!(Event::parse(&events[6].2).unwrap(), Event { code: 5, end: true, volume: 10, duration: 4800 });
    assert!(events.iter().all(|(_, h, _)| h.timestamp == events[0].1.timestamp));
    assert!(pair.b.sent.windows(2).all(|p| p[1].1.sequence == p[0].1.sequence.wrapping_add(1)));
    // Audio goes on where it is in time: ten frames, the key of 140 ms, nine frames.
    let last = pair.b.sent.last().unwrap().1;
    assert_eq!(last.timestamp.wrapping_sub(first.timestamp), (10 + 7 + 9) * 960);
    assert!(pair.a.events().iter().any(|e| matches!(e, MediaEvent::Digit { digit: '5', .. })));
}

#[test]
fn keys_that_the_other_leg_has_no_type_for_leave_no_gap() {
    let mut pair = Pair::new(Formats::of(Format::PCMU).with_events(EVENTS), Formats::of(Format::PCMU));
    let mut talker = Talker::new(Format::PCMU, 700.0);
    pair.talk(&mut talker, 20, 5, |_| false);
    for _ in 0..3 {
        let event = Event { code: 5, end: true, volume: 10, duration: 800 };
        let header = Header { payload_type: EVENTS, ..talker.header };
        talker.header.sequence = talker.header.sequence.wrapping_add(1);
        pair.packet(ms(110), header, &event.octets());
    }
    talker.header.timestamp = talker.header.timestamp.wrapping_add(480);
    let audio = pair.b.sent.len();
    for n in 0..5 {
        let (header, payload) = talker.packet(20);
        pair.packet(ms(160 + n * 20), header, &payload);
    }
    let (before, after) = (pair.b.sent[4].1, pair.b.sent[audio].1);
    assert_eq!(after.sequence, before.sequence.wrapping_add((audio - 4) as u16));
    assert_eq!(after.timestamp, before.timestamp.wrapping_add(160 + 480));
}

#[test]
fn nobody_is_flooded_and_nobody_unheard_gets_more_than_two_seconds() {
    let mut pair = Pair::new(Formats::of(OPUS), Formats::of(Format::PCMU));
    pair.b.session.answered = false;
    let mut talker = Talker::new(OPUS, 700.0);
    pair.talk(&mut talker, 20, 500, |_| false);
    assert_eq!(pair.b.sent.len(), 100);
    assert_eq!(pair.a.session.stats().unbridged, 400);
    // B answers; a flood of tiny packets is held to real time and two seconds.
    pair.b.session.answered = true;
    for _ in 0..1000 {
        let (header, payload) = talker.packet(60);
        pair.packet(ms(10_001), header, &payload);
    }
    assert!(pair.b.sent.len() - 100 <= 103, "{} frames at once", pair.b.sent.len() - 100);
    assert!(pair.b.session.stats().late > 900);
}

#[test]
fn hold_stops_what_goes_out_and_a_new_sender_goes_on_in_our_numbers() {
    let mut pair = Pair::new(Formats::of(Format::PCMU), Formats::of(Format::PCMU));
    let mut talker = Talker::new(Format::PCMU, 700.0);
    pair.talk(&mut talker, 20, 10, |_| false);
    pair.b.pass(ms(201), |s, p| s.handle_hold(p.now, true));
    for n in 0..50 {
        let (header, payload) = talker.packet(20);
        assert_eq!(pair.packet(ms(220 + n * 20), header, &payload), 0);
    }
    assert_eq!(pair.a.session.stats().unbridged, 50);
    pair.b.pass(ms(1201), |s, p| s.handle_hold(p.now, false));
    let mut other = Talker::new(Format::PCMU, 500.0);
    other.header.ssrc = 99;
    for n in 0..3 {
        let (header, payload) = other.packet(20);
        pair.packet(ms(1220 + n * 20), header, &payload);
    }
    // The first packet with another SSRC proves nothing.
    assert_eq!(pair.b.sent.len(), 12);
    let (before, after) = (pair.b.sent[9].1, pair.b.sent[10].1);
    assert_eq!(after.sequence, before.sequence.wrapping_add(1));
    assert!(after.marker);
    // The second went by with the wall clock: 1040 ms after the last one.
    assert_eq!(after.timestamp.wrapping_sub(before.timestamp), 160 + 1040 * 8);
    assert_eq!(after.ssrc, before.ssrc);
}

#[test]
fn packets_without_audio_flood_nobody_either() {
    let agreed = Formats { comfort_noise: Some(13), ..Formats::of(Format::PCMU).with_events(EVENTS) };
    for payload_type in [13, EVENTS, Format::PCMU.payload_type] {
        let mut pair = Pair::new(agreed, agreed);
        let flood = |pair: &mut Pair, from: u16| {
            let event = Event { code: 5, end: false, volume: 10, duration: 160 };
            // One sample of audio is a tenth of a packet's headers.
            let payload = if payload_type == EVENTS { event.octets().to_vec() } else { vec![60] };
            let before = pair.b.sent.len();
            for n in 0..2000u16 {
                let sequence = from.wrapping_add(n);
                let header = Header { payload_type, sequence, timestamp: u32::from(sequence), ssrc: 7, marker: false };
                pair.packet(ms(u64::from(from) + u64::from(n) / 20), header, &payload);
            }
            pair.b.sent.len() - before
        };
        pair.b.session.answered = false;
        let unheard = flood(&mut pair, 1);
        assert!(unheard <= 810, "{unheard} packets of type {payload_type} to an address that never answered");
        pair.b.session.answered = true;
        let heard = flood(&mut pair, 10_000);
        assert!(heard <= 870, "{heard} packets of type {payload_type} in a tenth of a second");
        assert!(payload_type == 0 || heard <= 110 && unheard <= 100);
    }
}

#[test]
fn a_leg_that_only_sends_is_heard_by_the_other_one() {
    for to in [Format::PCMU, Format::PCMA] {
        let mut pair = Pair::new(Formats::of(Format::PCMU).with_events(EVENTS), Formats::of(to).with_events(EVENTS));
        pair.a.pass(ms(0), |s, p| s.handle_hold(p.now, true));
        let mut talker = Talker::new(Format::PCMU, 700.0);
        pair.talk(&mut talker, 20, 60, |_| false);
        assert_tone(&decoded(&pair.b.sent, to.codec), 700.0, 8_000, "music on hold");
        let event = Event { code: 5, end: true, volume: 10, duration: 800 };
        let header = Header { payload_type: EVENTS, ..talker.header };
        assert_eq!(pair.packet(ms(1300), header, &event.octets()), 1);
        assert!(pair.a.events().iter().any(|e| matches!(e, MediaEvent::Digit { digit: '5', .. })));
        // Going on both ways leaves no hole.
        pair.a.pass(ms(1301), |s, p| s.handle_hold(p.now, false));
        talker.header.sequence = talker.header.sequence.wrapping_add(1);
        let (header, payload) = talker.packet(20);
        assert_eq!(pair.packet(ms(1320), header, &payload), 1);
        assert!(pair.b.sent.windows(2).all(|p| p[1].1.sequence == p[0].1.sequence.wrapping_add(1)));
        // Nothing goes to it while it is held.
        pair.a.pass(ms(1321), |s, p| s.handle_hold(p.now, true));
        std::mem::swap(&mut pair.a, &mut pair.b);
        assert_eq!(pair.packet(ms(1400), Header { ssrc: 8, ..Header::default() }, &voice(1, 160)), 0);
        assert!(pair.b.sent.is_empty());
    }
}

#[test]
fn both_recordings_of_a_bridge_keep_to_the_senders_time() {
    for (from, to) in [(Format::PCMU, Format::PCMU), (Format::PCMU, Format::PCMA)] {
        let (one, two) = (recorder::tap(), recorder::tap());
        let mut pair = Pair::recorded(Formats::of(from), Formats::of(to), [Some(one.0), Some(two.0)]);
        let mut frames = [one.1, two.1];
        let mut seen = 0;
        for n in 0..1000u16 {
            // Losses of three in a row, and half a second of standstill in every second and a half.
            if n % 30 < 3 && n > 0 {
                continue;
            }
            let at = if n % 75 < 50 { n } else { n.next_multiple_of(75) };
            let header = Header { sequence: n, timestamp: u32::from(n) * 160, ssrc: 7, ..Header::default() };
            pair.packet(ms(u64::from(at) * 20), header, &voice(n, 160));
            for (ring, side) in frames.iter_mut().zip([Side::Caller, Side::Agent]) {
                while let Some(frame) = ring.try_pop() {
                    assert_eq!((frame.side, frame.at.0), (side, u64::from(n) * 160), "{from:?} → {to:?}");
                    seen += 1;
                }
            }
        }
        assert_eq!(seen, 2 * (1000 - 101), "{from:?} → {to:?}");
    }
}

/// RFC 3389 at −40 dBov in the place of a pause of 200 ms; what left towards B.
fn with_a_pause(b: Formats) -> (Pair, Talker) {
    let agreed = Formats { comfort_noise: Some(13), ..Formats::of(Format::PCMU) };
    let mut pair = Pair::new(agreed, b);
    let mut talker = Talker::new(Format::PCMU, 700.0);
    pair.talk(&mut talker, 20, 3, |_| false);
    let noise = Header { payload_type: 13, ..talker.header };
    talker.header.sequence = talker.header.sequence.wrapping_add(1);
    talker.header.timestamp = talker.header.timestamp.wrapping_add(10 * 160);
    pair.packet(ms(80), noise, &[40]);
    (pair, talker)
}

#[test]
fn comfort_noise_goes_on_where_it_was_agreed_and_is_heard_elsewhere() {
    let agreed = Formats { comfort_noise: Some(13), ..Formats::of(Format::PCMU) };
    for (b, expected) in [
        (agreed, 7),
        (Formats::of(Format::PCMU), 16),
        (Formats::of(Format::PCMA), 16),
        (Formats { comfort_noise: Some(13), ..Formats::of(Format::PCMA) }, 16),
        (Formats::of(Format::G722), 16),
    ] {
        let (mut pair, mut talker) = with_a_pause(b);
        for n in 0..3 {
            let (header, payload) = talker.packet(20);
            pair.packet(ms(280 + n * 20), header, &payload);
        }
        let sent = &pair.b.sent;
        assert_eq!(sent.len(), expected, "{b:?}");
        assert!(sent.windows(2).all(|p| p[1].1.sequence == p[0].1.sequence.wrapping_add(1)));
        let (first, last) = (sent[0].1, sent[expected - 1].1);
        assert_eq!(last.timestamp.wrapping_sub(first.timestamp), (3 + 10 + 2) * 160);
        if expected == 7 {
            assert_eq!((sent[3].1.payload_type, &sent[3].2[..]), (13, &[40u8][..]));
            continue;
        }
        // A frame each 20 ms, as loud as was said.
        let pause = &sent[3..13];
        assert!(pause.iter().zip(4..).all(|(p, n)| p.0 == ms(n * 20 + 10)), "{b:?}");
        assert!(sent.windows(2).all(|p| p[1].1.timestamp.wrapping_sub(p[0].1.timestamp) == 160));
        let pcm = decoded(sent, b.send.codec);
        let frame = pcm.len() / 16;
        let level = callwright_dsp::level::dbfs(&pcm[4 * frame..13 * frame]);
        assert!((level + 40.0).abs() < 1.5, "{b:?}: {level} dB");
        assert!(callwright_dsp::level::dbfs(&pcm[14 * frame..]) > -16.0, "{b:?}: the voice comes back");
    }
}

#[test]
fn noise_of_a_pause_ends_with_hold_with_keys_with_another_sender_and_by_itself() {
    let pcma = Formats::of(Format::PCMA).with_events(EVENTS);
    let left = |pair: &mut Pair, from: u64| {
        let before = pair.b.sent.len();
        pair.b.run(ms(from + 500));
        pair.b.sent.len() - before
    };
    let (mut pair, _) = with_a_pause(pcma);
    assert_eq!(left(&mut pair, 80), 25);
    pair.b.pass(ms(581), |s, p| s.handle_hold(p.now, true));
    assert_eq!(left(&mut pair, 581), 0, "held");
    pair.b.pass(ms(1082), |s, p| s.handle_hold(p.now, false));
    assert_eq!(left(&mut pair, 1082), 0, "what was described before the hold is over");

    let (mut pair, _) = with_a_pause(pcma);
    pair.b.pass(ms(90), |s, p| s.handle_digits(p.now, "1".parse().unwrap()));
    let before = pair.b.sent.len();
    left(&mut pair, 90);
    let keys = pair.b.sent[before..].iter().filter(|p| p.1.payload_type == EVENTS).count();
    assert!(keys >= 5 && pair.b.sent.windows(2).all(|p| p[1].1.sequence == p[0].1.sequence.wrapping_add(1)));

    let (mut pair, talker) = with_a_pause(pcma);
    // A packet from before the pause comes after its description: it is late, and the noise goes on.
    let old = Header { sequence: talker.header.sequence.wrapping_sub(2), ..talker.header };
    assert_eq!(pair.packet(ms(90), old, &[0x55; 160]), 0);
    assert!(left(&mut pair, 90) >= 24);
    pair.b.session.set_partner_slot(None);
    assert_eq!(left(&mut pair, 600), 0, "the other leg is gone");

    let (mut pair, _) = with_a_pause(pcma);
    pair.b.run(ms(80) + MEDIA_TIMEOUT * 2);
    let most = MEDIA_TIMEOUT.as_millis() / 20;
    assert_eq!(pair.b.sent.len() as u128, 3 + most, "a sender that has vanished is not stood in for for ever");
}

/// Opus that is discontinuous in a pause becomes continuous μ-law: what the decoder makes of the pause goes on.
#[test]
fn discontinuous_opus_leaves_no_hole_in_another_codec() {
    let mut pair = Pair::new(Formats::of(OPUS), Formats::of(Format::PCMU));
    let settings = EncoderSettings { dtx: true, ..EncoderSettings::for_rate(8_000) };
    let mut encoder = Encoder::new(Codec::Opus, 8_000, settings).unwrap();
    let (mut tone, mut hiss) = (Tone::new(700.0, 8_000, -10.0), callwright_dsp::cng::ComfortNoise::new(5));
    hiss.handle_parameters(&NoiseParameters::white(40.0));
    let (mut sequence, mut packets, mut quiet) = (0u16, 0, Quiet::default());
    for n in 0..300u32 {
        let (mut pcm, mut payload) = ([0; 160], [0; 1000]);
        if (50..250).contains(&n) {
            hiss.fill(&mut pcm);
        } else {
            tone.fill(&mut pcm);
        }
        if let Some(len) = quiet.packet(encoder.encode(&pcm, &mut payload).unwrap(), &mut payload) {
            let header = Header { payload_type: 111, sequence, timestamp: n * 960, ssrc: 7, ..Header::default() };
            pair.packet(ms(u64::from(n) * 20 + 20), header, &payload[..len]);
            (sequence, packets) = (sequence.wrapping_add(1), packets + 1);
        }
    }
    assert!(packets < 240, "the encoder kept silent in {} of 200 frames", 300 - packets);
    let sent = &pair.b.sent;
    assert!(sent.len() >= 298, "{} of 300 frames", sent.len());
    assert!(sent.windows(2).all(|p| p[1].1.sequence == p[0].1.sequence.wrapping_add(1)));
    assert!(sent.windows(2).all(|p| p[1].0.since(p[0].0) <= Duration::from_millis(40)), "no hole");
    let pcm = decoded(&sent[..240], Codec::Pcmu);
    let level = callwright_dsp::level::dbfs(&pcm[120 * 160..230 * 160]);
    assert!((-75.0..-50.0).contains(&level), "the hiss of −58 dB goes on at {level} dB");
    assert_eq!(pair.b.session.stats().late, 0);
}

proptest! {
    /// No datagram on one leg can panic the other one, whatever the codecs.
    #[test]
    fn no_datagram_panics_a_bridge(from in 0usize..6, to in 0usize..6,
        datagrams in proptest::collection::vec((0u64..200, 0u16..6, any::<u32>(), proptest::collection::vec(any::<u8>(), 0..1400)), 1..40)) {
        let mut pair = Pair::new(Formats::of(ALL[from]).with_events(EVENTS), Formats::of(ALL[to]));
        let (mut now, mut sequence) = (0, 0u16);
        for (wait, step, jump, payload) in datagrams {
            now += wait;
            sequence = sequence.wrapping_add(step);
            let payload_type = match step { 4 => EVENTS, 5 => 13, _ => ALL[from].payload_type };
            let timestamp = u32::from(sequence) * 160 + if jump % 7 == 0 { jump } else { 0 };
            pair.packet(ms(now), Header { payload_type, sequence, timestamp, ssrc: 7, marker: step == 1 }, &payload);
        }
    }
}
