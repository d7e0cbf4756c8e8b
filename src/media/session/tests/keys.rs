//! Keys in the audio, and the recording: who else hears a call.

use super::*;
use callwright_dsp::dtmf::{Detector, Generator};

fn keys_in(pcm: &[i16]) -> String {
    let (mut detector, mut keys) = (Detector::new(8_000).unwrap(), String::new());
    detector.handle_audio(pcm, &mut |key| keys.extend((!key.ended).then_some(key.digit)));
    keys
}

fn reported(rig: &mut Rig) -> String {
    let digit = |e| match e {
        MediaEvent::Digit { digit, .. } => Some(digit),
        _ => None,
    };
    rig.events().into_iter().filter_map(digit).collect()
}

/// Plays keys to the rig as PCMU; a packet at a time.
fn press(rig: &mut Rig, keys: &str, lost: impl Fn(u16) -> bool) {
    let mut generator = Generator::new(8_000).unwrap();
    generator.queue(keys).unwrap();
    for n in 0..200u16 {
        let (mut pcm, mut octets) = ([0; 160], [0; 160]);
        generator.fill(&mut pcm);
        g711::encode_ulaw(&pcm, &mut octets);
        if !lost(n) {
            rig.packet(ms(u64::from(n) * 20 + 20), n, u32::from(n) * 160, &octets);
        }
    }
}

#[test]
fn keys_in_the_audio_are_reported_where_no_events_were_agreed() {
    let mut rig = Rig::with(Role::Speech, |plan| plan.formats.telephone_event = None);
    press(&mut rig, "159*0#D2", |_| false);
    assert_eq!(reported(&mut rig), "159*0#D2");
    assert_eq!(rig.session.stats().digits, 8);
}

#[test]
fn keys_in_the_audio_survive_a_loss_and_are_not_reported_beside_events() {
    let mut rig = Rig::with(Role::Speech, |plan| plan.formats.telephone_event = None);
    // In the middle of a press.
    press(&mut rig, "1122", |n| n == 2);
    assert_eq!(reported(&mut rig), "1122");
    let mut rig = Rig::new(Role::Speech);
    press(&mut rig, "1122", |_| false);
    assert_eq!(reported(&mut rig), "");
}

#[test]
fn keys_are_sent_as_tones_where_no_events_were_agreed() {
    let mut rig = Rig::with(Role::Speech, |plan| plan.formats.telephone_event = None);
    rig.packet(ms(1), 0, 0, &voice(0, 160));
    rig.say(0, 1, 5);
    rig.session.handle_digits(rig.now, "90*".parse().unwrap());
    rig.run(ms(1500));
    let pcm = decoded(&rig.sent, Codec::Pcmu);
    assert_eq!(keys_in(&pcm), "90*");
    // What was being said waits for the keys, and is said whole.
    let said = rig.sent.iter().filter(|(_, _, p)| p.iter().all(|o| *o == p[0]) && p[0] != 0xff).count();
    assert_eq!(said, 5);
}

#[test]
fn a_key_event_becomes_tones_for_a_leg_without_events() {
    for to in [Format::PCMU, Format::PCMA, OPUS] {
        let a = Formats::of(Format::PCMU).with_events(EVENTS);
        let mut pair = bridge::Pair::new(a, Formats::of(to));
        let mut talker = Talker::new(Format::PCMU, 300.0);
        pair.talk(&mut talker, 20, 10, |_| false);
        let before = pair.b.sent.len();
        for (press, code) in [5u8, 11].into_iter().enumerate() {
            let base = 400 + press as u64 * 400;
            for (n, duration) in [160u16, 320, 480, 640, 800, 960, 960, 960].into_iter().enumerate() {
                let event = Event { code, end: duration == 960, volume: 10, duration };
                let header = Header { payload_type: EVENTS, ..talker.header };
                talker.header.sequence = talker.header.sequence.wrapping_add(1);
                pair.packet(ms(base + n as u64 * 20), header, &event.octets());
            }
            talker.header.timestamp = talker.header.timestamp.wrapping_add(8 * 160);
            for n in 0..5 {
                let (header, payload) = talker.packet(20);
                pair.packet(ms(base + 200 + n * 20), header, &payload);
            }
        }
        // 120 ms of tones and 100 ms of voice, twice.
        let after = &pair.b.sent[before..];
        assert!((22..=24).contains(&after.len()), "{to:?}: {} packets", after.len());
        let rate = to.codec.audio_rate();
        let mut decoder = Decoder::new(to.codec, rate).unwrap();
        let (mut pcm, mut whole) = (vec![0; 960], Vec::new());
        for (_, _, payload) in after {
            let samples = decoder.decode(payload, &mut pcm).unwrap();
            whole.extend_from_slice(&pcm[..samples]);
        }
        let (mut detector, mut keys) = (Detector::new(rate).unwrap(), String::new());
        detector.handle_audio(&whole, &mut |key| keys.extend((!key.ended).then_some(key.digit)));
        assert_eq!(keys, "5#", "{to:?}");
        assert!(pair.b.sent.windows(2).all(|p| p[1].1.sequence == p[0].1.sequence.wrapping_add(1)));
    }
}

fn keys_of(rig: &Rig, clock: u32) -> String {
    let events = rig.sent.iter().filter(|(_, h, _)| h.payload_type == EVENTS);
    let mut keys = Receiver::new(clock);
    events.filter_map(|(_, h, p)| keys.handle_event(h.timestamp, Event::parse(p).unwrap())).collect()
}

#[test]
fn keys_that_came_by_signalling_leave_on_the_leg_of_a_bridge() {
    for from in [Format::PCMU, OPUS] {
        let to = Formats::of(Format::PCMU).with_events(EVENTS);
        let mut pair = bridge::Pair::new(Formats::of(from), to);
        let mut talker = Talker::new(from, 300.0);
        pair.talk(&mut talker, 20, 10, |_| false);
        pair.b.pass(ms(205), |s, p| s.handle_digits(p.now, "17#".parse().unwrap()));
        for n in 0..60 {
            let (header, payload) = talker.packet(20);
            pair.packet(ms(220 + n * 20), header, &payload);
        }
        assert_eq!(keys_of(&pair.b, 8_000), "17#", "{from:?}");
        let sent = &pair.b.sent;
        assert!(sent.windows(2).all(|p| p[1].1.sequence == p[0].1.sequence.wrapping_add(1)), "{from:?}");
        // Nothing else is sent at the time of a key, and time goes on by itself.
        let events: Vec<_> = sent.iter().filter(|(_, h, _)| h.payload_type == EVENTS).collect();
        assert_eq!(events.len(), 3 * 7);
        for key in events.chunks(7) {
            let beside = sent.iter().filter(|(at, h, _)| h.payload_type == 0 && (key[0].0..=key[6].0).contains(at));
            assert_eq!(beside.count(), 0);
            assert!(key.iter().all(|(_, h, _)| h.timestamp == key[0].1.timestamp));
            assert_eq!(key[6].0.since(key[0].0), Duration::from_millis(120));
        }
        let (first, last) = (&sent[0], sent.last().unwrap());
        let passed = last.0.since(first.0).as_millis() as u32 * 8;
        let stamped = last.1.timestamp.wrapping_sub(first.1.timestamp);
        assert!(stamped.abs_diff(passed) <= 480, "{from:?}: {stamped} units in the time of {passed}");
    }
}

#[test]
fn keys_that_came_by_signalling_become_tones_where_no_events_were_agreed() {
    for to in [Format::PCMU, Format::PCMA, OPUS] {
        let mut pair = bridge::Pair::new(Formats::of(Format::PCMU), Formats::of(to));
        let mut talker = Talker::new(Format::PCMU, 300.0);
        pair.talk(&mut talker, 20, 10, |_| false);
        pair.b.pass(ms(205), |s, p| s.handle_digits(p.now, "4*".parse().unwrap()));
        for n in 0..40 {
            let (header, payload) = talker.packet(20);
            pair.packet(ms(220 + n * 20), header, &payload);
        }
        let rate = to.codec.audio_rate();
        let mut decoder = Decoder::new(to.codec, rate).unwrap();
        let (mut pcm, mut whole) = (vec![0; 960], Vec::new());
        for (_, _, payload) in &pair.b.sent {
            let samples = decoder.decode(payload, &mut pcm).unwrap();
            whole.extend_from_slice(&pcm[..samples]);
        }
        let (mut detector, mut keys) = (Detector::new(rate).unwrap(), String::new());
        detector.handle_audio(&whole, &mut |key| keys.extend((!key.ended).then_some(key.digit)));
        assert_eq!(keys, "4*", "{to:?}");
        assert!(pair.b.sent.windows(2).all(|p| p[1].1.sequence == p[0].1.sequence.wrapping_add(1)));
        assert_eq!(pair.b.session.poll_timeout(), pair.b.session.housekeeping_due, "no wake-ups without keys");
    }
}

#[test]
fn keys_for_a_leg_on_hold_are_dropped_and_keys_need_no_audio() {
    let agreed = Formats::of(Format::PCMU).with_events(EVENTS);
    let mut pair = bridge::Pair::new(agreed, agreed);
    pair.b.pass(ms(1), |s, p| s.handle_hold(p.now, true));
    pair.b.pass(ms(2), |s, p| s.handle_digits(p.now, "1".parse().unwrap()));
    pair.b.run(ms(1000));
    pair.b.pass(ms(1001), |s, p| s.handle_hold(p.now, false));
    pair.b.pass(ms(1002), |s, p| s.handle_digits(p.now, "2".parse().unwrap()));
    pair.b.run(ms(2000));
    assert_eq!(keys_of(&pair.b, 8_000), "2");
    // An address that never answered gets two seconds of them.
    pair.b.session.answered = false;
    for n in 0..10 {
        pair.b.pass(ms(2000 + n * 6000), |s, p| s.handle_digits(p.now, "12345678901234567890".parse().unwrap()));
        pair.b.run(ms(2000 + (n + 1) * 6000));
    }
    assert_eq!(pair.b.sent.len(), 7 + 100);
}

/// A press as packets: what lies between them is up to `between`.
fn hold_key(pair: &mut bridge::Pair, talker: &mut Talker, packets: u16, step: u16, between: impl Fn(u16) -> bool) {
    let start = talker.header.timestamp;
    let mut at = 1000;
    for n in 1..=packets + 2 {
        let whole = u32::from(n.min(packets)) * u32::from(step);
        let before = (whole - 1) / 0xffff * 0xffff;
        let event = Event { code: 5, end: n >= packets, volume: 10, duration: (whole - before) as u16 };
        let header = Header { payload_type: EVENTS, timestamp: start.wrapping_add(before), ..talker.header };
        talker.header.sequence = talker.header.sequence.wrapping_add(1);
        at += 20;
        pair.packet(ms(at), header, &event.octets());
        if between(n) {
            let (header, payload) = talker.packet(20);
            pair.packet(ms(at), header, &payload);
        }
    }
    for _ in 0..10 {
        let (header, payload) = talker.packet(20);
        at += 20;
        pair.packet(ms(at), header, &payload);
    }
}

#[test]
fn a_key_stays_one_whatever_comes_between_its_packets() {
    let wide = |clock| TelephoneEvent { payload_type: EVENTS, clock };
    let of = |format, clock| Formats { telephone_event: Some(wide(clock)), ..Formats::of(format) };
    for (from, to, packets, step) in [
        (of(Format::PCMU, 8_000), of(Format::PCMA, 8_000), 8u16, 160u16),
        (of(Format::PCMU, 8_000), of(Format::PCMU, 8_000), 8, 160),
        (of(OPUS, 8_000), of(OPUS, 8_000), 8, 160),
        (of(OPUS, 48_000), of(Format::PCMU, 8_000), 200, 960),
        (of(OPUS, 48_000), of(OPUS, 48_000), 200, 960),
        (of(Format::PCMU, 8_000), of(OPUS, 48_000), 200, 160),
    ] {
        for beside in [0, 3, 1] {
            let what = format!("{from:?} → {to:?}, audio after every {beside}");
            let mut pair = bridge::Pair::new(from, to);
            let mut talker = Talker::new(from.send, 300.0);
            pair.talk(&mut talker, 20, 10, |_| false);
            hold_key(&mut pair, &mut talker, packets, step, |n| beside > 0 && n % beside == 0);
            let clock = to.telephone_event.unwrap().clock;
            assert_eq!(keys_of(&pair.b, clock), "5", "{what}");
            let events: Vec<_> = pair.b.sent.iter().filter(|(_, h, _)| h.payload_type == EVENTS).collect();
            assert_eq!(events.len(), usize::from(packets) + 2, "{what}");
            let (first, last) = (events[0].1, events.last().unwrap());
            let lasted =
                last.1.timestamp.wrapping_sub(first.timestamp) + u32::from(Event::parse(&last.2).unwrap().duration);
            assert_eq!(lasted, u32::from(packets) * clock / 50, "{what}");
            assert!(pair.b.sent.windows(2).all(|p| p[1].1.sequence == p[0].1.sequence.wrapping_add(1)), "{what}");
        }
    }
}

#[test]
fn tones_for_keys_keep_to_the_pace_and_outlast_a_change_of_sender() {
    let mut pair = bridge::Pair::new(Formats::of(Format::PCMU).with_events(EVENTS), Formats::of(Format::PCMA));
    let key = |pair: &mut bridge::Pair, at, ssrc, sequence: u16, timestamp, duration| {
        let event = Event { code: 5, end: false, volume: 10, duration };
        let header = Header { payload_type: EVENTS, sequence, timestamp, ssrc, marker: false };
        pair.packet(ms(at), header, &event.octets())
    };
    let before: usize =
        (0..5).map(|n| key(&mut pair, 20 + n * 20, 7, n as u16, 3_000_000_000, 160 * (n as u16 + 1))).sum();
    assert_eq!(before, 5);
    // Another phone, whose timestamps are lower.
    let after: usize = (0..6).map(|n| key(&mut pair, 200 + n * 20, 8, n as u16, 1_000, 160 * (n as u16 + 1))).sum();
    assert!(after >= 5, "{after}");
    // A new key with every packet, as long as one can be.
    let flood: usize = (0..3000u16)
        .map(|n| key(&mut pair, 400 + u64::from(n) / 10, 8, 10 + n, 10_000 + u32::from(n) * 1000, 0xffff))
        .sum();
    assert!(flood <= 125, "{flood} packets of tones in 0.3 s");
}
