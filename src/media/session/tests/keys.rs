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
    rig.session.handle_digits("90*".parse().unwrap());
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
