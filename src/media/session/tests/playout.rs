//! What speech says.

use super::*;

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

/// Frames whose samples all tell where they are.
fn say_ramp(rig: &mut Rig, frames: i16) {
    for n in 0..frames {
        let pcm = core::array::from_fn(|k| 8000 + n * 160 + k as i16);
        let frame =
            OutFrame { generation: Generation(0), utterance: UtteranceId(1), end: n + 1 == frames, len: 160, pcm };
        rig.outbound.as_mut().unwrap().try_push(frame).unwrap();
    }
}

fn heard_by_phone(rig: &Rig) -> Vec<Vec<i16>> {
    let formats = Format { payload_type: 96, codec: Codec::L16At8k };
    rig.sent
        .iter()
        .map(|(_, _, payload)| {
            let mut pcm = vec![0; 160];
            Decoder::new(formats.codec, 8_000).unwrap().decode(payload, &mut pcm).unwrap();
            pcm
        })
        .collect()
}

fn ramp_rig(frames: i16) -> Rig {
    let formats = Formats::of(Format { payload_type: 96, codec: Codec::L16At8k });
    let mut rig = Rig::with(Role::Speech, |plan| plan.formats = formats);
    rig.packet_from(phone(), ms(1), Header { payload_type: 96, ssrc: 7, ..Header::default() }, &[1; 320]);
    say_ramp(&mut rig, frames);
    rig
}

#[test]
fn ducked_it_fades_within_a_frame_and_goes_on_from_the_very_sample() {
    let mut rig = ramp_rig(50);
    rig.run(ms(205));
    assert_eq!(rig.sent.len(), 10);
    rig.events();
    rig.pass(ms(206), |s, _| s.handle_duck(true));
    rig.run(ms(505));
    let ducked: Vec<Tick> = rig
        .events()
        .iter()
        .filter_map(|e| match e {
            MediaEvent::Ducked { at, utterance: UtteranceId(1), .. } => Some(*at),
            _ => None,
        })
        .collect();
    assert_eq!(ducked, [ms(220)]);
    rig.pass(ms(506), |s, _| s.handle_duck(false));
    rig.run(ms(3000));
    let heard = heard_by_phone(&rig);
    // The eleventh frame fades in 5 ms: a tenth of it is left after 4.5 ms.
    assert_eq!(heard[10][0], 8000 + 1600);
    assert!(heard[10][36] <= 9636 / 10 && heard[10][40..].iter().all(|s| *s == 0));
    assert!(heard[11..25].iter().flatten().all(|s| *s == 0), "silence until it goes on");
    // The same frame again, whole but for its first 5 ms, and no sample of the rest is missing.
    assert!(heard[25][0] < 500 && heard[25][39] == 8000 + 1600 + 39);
    let rest: Vec<i16> = heard[25..65].concat();
    assert!((40..160 * 40).all(|n| rest[n] == 8000 + 1600 + n as i16));
    assert!(rig.sent.windows(2).all(|p| p[1].1.timestamp == p[0].1.timestamp.wrapping_add(160)));
    // Every sample is credited once.
    let played = rig.events().iter().rev().find_map(|e| match e {
        MediaEvent::Played { samples, end: true, .. } => Some(*samples),
        _ => None,
    });
    assert_eq!(played, Some(50 * 160));
}

#[test]
fn a_duck_taken_back_before_its_frame_is_not_heard_and_a_flush_ends_one() {
    let mut rig = ramp_rig(20);
    rig.run(ms(105));
    rig.pass(ms(106), |s, _| s.handle_duck(true));
    rig.pass(ms(110), |s, _| s.handle_duck(false));
    rig.run(ms(125));
    assert!(heard_by_phone(&rig)[5].iter().enumerate().all(|(n, s)| *s == 8000 + 800 + n as i16));
    rig.pass(ms(126), |s, _| s.handle_duck(true));
    rig.run(ms(205));
    rig.events();
    rig.pass(ms(206), |s, p| s.handle_flush(p, Generation(1)));
    // What was only faded was not said.
    assert!(matches!(rig.events()[..], [MediaEvent::Flushed { samples: 960, .. }]));
    rig.say(1, 2, 3);
    rig.run(ms(300));
    let heard = heard_by_phone(&rig);
    assert!(heard[10].iter().all(|s| *s == 8000), "the next utterance is whole");
    // Ducked while nothing is said: nothing to report, and the next utterance waits.
    rig.events();
    rig.pass(ms(301), |s, _| s.handle_duck(true));
    rig.say(1, 3, 2);
    rig.run(ms(400));
    assert!(rig.events().iter().all(|e| !matches!(e, MediaEvent::Ducked { .. } | MediaEvent::FirstAudible { .. })));
    rig.pass(ms(401), |s, _| s.handle_duck(false));
    rig.run(ms(500));
    assert!(rig.events().iter().any(|e| matches!(e, MediaEvent::FirstAudible { utterance: UtteranceId(3), .. })));
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
fn digits_are_sent_between_frames_of_speech() {
    let mut rig = Rig::new(Role::Speech);
    rig.packet(ms(1), 0, 0, &voice(0, 160));
    rig.say(0, 1, 5);
    rig.session.handle_digits(rig.now, "19".parse().unwrap());
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
