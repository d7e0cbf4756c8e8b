//! In-band keys against the limits of ITU-T Q.24 (its AT&T column, which is the strictest for durations and frequencies)
//! and against what must not be taken for a key.

mod sounds;

use callwright_dsp::codec::{Codec, Decoder, Encoder, EncoderSettings};
use callwright_dsp::dtmf::{Detected, Detector, Generator, KEYPAD, frequencies};
use callwright_dsp::plc::Concealment;
use sounds::{Dice, add_noise, add_silence, add_tones, through_alaw, through_ulaw};

fn keys() -> impl Iterator<Item = char> {
    KEYPAD.into_iter().flatten()
}

fn reports(pcm: &[i16]) -> Vec<Detected> {
    let mut heard = Vec::new();
    let mut detector = Detector::new(8000).unwrap();
    for packet in pcm.chunks(160) {
        detector.handle_audio(packet, &mut |report| heard.push(report));
    }
    heard
}

fn digits(pcm: &[i16]) -> String {
    reports(pcm).iter().filter(|r| !r.ended).map(|r| r.digit).collect()
}

/// Silence, a key with its own frequency factors and levels, silence.
fn press(key: char, samples: usize, factors: (f64, f64), dbm0: (f64, f64), dice: &mut Dice) -> Vec<i16> {
    let (low, high) = frequencies(key).unwrap();
    let mut pcm = vec![0; (dice.between(0.03, 0.05) * 8000.0) as usize];
    add_tones(&mut pcm, &[(low * factors.0, dbm0.0), (high * factors.1, dbm0.1)], samples, dice);
    add_silence(&mut pcm, 800);
    pcm
}

const NOMINAL: (f64, f64) = (1.0, 1.0);
const LEVEL: (f64, f64) = (-8.0, -6.0);

#[test]
fn all_keys_of_the_generator_are_read_through_both_laws() {
    let all: String = keys().collect();
    for (on, off) in [(100, 80), (80, 60), (40, 40)] {
        let mut generator = Generator::new(8000).unwrap().with_timing(on, off);
        generator.queue(&all).unwrap();
        let mut pcm = vec![0; 8 * (16 * (on + off) as usize + 100)];
        generator.fill(&mut pcm);
        assert_eq!(digits(&pcm), all, "{on}");
        assert_eq!(digits(&through_ulaw(&pcm)), all, "{on}");
        assert_eq!(digits(&through_alaw(&pcm)), all, "{on}");
    }
}

/// Of all codecs, not of G.711 alone: a phone that offers Opus may still send its keys as tones.
#[test]
fn the_generator_is_read_through_every_codec() {
    let all: String = keys().collect();
    let mut generator = Generator::new(8000).unwrap();
    generator.queue(&all).unwrap();
    let mut pcm = vec![0; 8 * 16 * 180 + 1600];
    generator.fill(&mut pcm);
    let settings = EncoderSettings::for_rate(8000);
    for codec in Codec::ALL {
        let (Ok(mut encoder), Ok(mut decoder)) = (Encoder::new(codec, 8000, settings), Decoder::new(codec, 8000))
        else {
            continue;
        };
        let (mut line, mut payload, mut out) = (Vec::new(), [0; 1500], [0; 960]);
        for frame in pcm.chunks_exact(160) {
            let octets = encoder.encode(frame, &mut payload).unwrap();
            let samples = decoder.decode(&payload[..octets], &mut out).unwrap();
            line.extend(&out[..samples]);
        }
        assert_eq!(digits(&line), all, "{codec:?}");
    }
}

#[test]
fn sixteen_kilohertz_is_read_and_counted_at_its_own_rate() {
    let mut generator = Generator::new(16_000).unwrap();
    generator.queue("5").unwrap();
    let mut pcm = vec![0; 1600];
    pcm.resize(1600 + 16 * 300, 0);
    generator.fill(&mut pcm[1600..]);
    let mut heard = Vec::new();
    let mut detector = Detector::new(16_000).unwrap();
    for part in pcm.chunks(333) {
        detector.handle_audio(part, &mut |r| heard.push(r));
    }
    assert_eq!(heard.len(), 2, "{heard:?}");
    assert!(heard[0].digit == '5' && !heard[0].ended && heard[1].ended);
    assert!(heard[0].at_sample.abs_diff(1600) <= 100, "{heard:?}");
    assert!(heard[1].at_sample.abs_diff(3200) <= 100, "{heard:?}");
    assert!(Detector::new(44_100).is_err());
}

#[test]
fn a_press_is_placed_to_five_milliseconds() {
    let mut dice = Dice::new(3);
    for key in keys() {
        let lead = 300 + (dice.roll() * 80.0) as usize;
        let (low, high) = frequencies(key).unwrap();
        let mut pcm = vec![0; lead];
        add_tones(&mut pcm, &[(low, -8.0), (high, -6.0)], 700, &mut dice);
        add_silence(&mut pcm, 800);
        let heard = reports(&pcm);
        assert_eq!(heard.len(), 2, "{heard:?}");
        assert!(heard[0].at_sample.abs_diff(lead as u64) <= 40, "{lead} {heard:?}");
        assert!(heard[1].at_sample.abs_diff(lead as u64 + 700) <= 40, "{lead} {heard:?}");
    }
}

#[test]
fn forty_milliseconds_are_a_key_and_twenty_five_are_none() {
    let mut dice = Dice::new(1);
    for key in keys() {
        for _ in 0..40 {
            let pcm = press(key, 320, NOMINAL, LEVEL, &mut dice);
            assert_eq!(digits(&pcm), key.to_string());
            assert_eq!(digits(&through_ulaw(&pcm)), key.to_string());
            assert_eq!(digits(&press(key, 200, NOMINAL, LEVEL, &mut dice)), "");
            assert_eq!(digits(&press(key, 184, NOMINAL, LEVEL, &mut dice)), "");
        }
    }
}

#[test]
fn a_pause_of_forty_milliseconds_parts_two_keys_and_a_gap_of_twenty_does_not() {
    let mut dice = Dice::new(2);
    for key in keys() {
        let (low, high) = frequencies(key).unwrap();
        let tones = [(low, -8.0), (high, -6.0)];
        for _ in 0..20 {
            for (gap, times) in [(80, 1), (160, 1), (320, 2)] {
                let mut pcm = vec![0; (dice.roll() * 80.0) as usize];
                add_tones(&mut pcm, &tones, 400, &mut dice);
                add_silence(&mut pcm, gap);
                add_tones(&mut pcm, &tones, 400, &mut dice);
                add_silence(&mut pcm, 800);
                assert_eq!(digits(&pcm), key.to_string().repeat(times), "{gap}");
            }
        }
    }
}

#[test]
fn one_and_a_half_percent_is_in_tune_and_three_and_a_half_is_not() {
    let mut dice = Dice::new(4);
    for key in keys() {
        for row in [-1.5, 0.0, 1.5] {
            for column in [-1.5, 0.0, 1.5] {
                let factors = (1.0 + row / 100.0, 1.0 + column / 100.0);
                let pcm = press(key, 400, factors, LEVEL, &mut dice);
                assert_eq!(digits(&through_alaw(&pcm)), key.to_string(), "{factors:?}");
                let mut noisy = press(key, 400, factors, LEVEL, &mut dice);
                add_noise(&mut noisy, -19.0, &mut dice);
                assert_eq!(digits(&noisy), key.to_string(), "{factors:?}");
            }
        }
        for (row, column) in [(-3.5, 0.0), (3.5, 0.0), (0.0, -3.5), (0.0, 3.5), (3.5, 3.5), (-3.5, -3.5)] {
            let factors = (1.0 + row / 100.0, 1.0 + column / 100.0);
            assert_eq!(digits(&press(key, 800, factors, LEVEL, &mut dice)), "", "{key} {factors:?}");
        }
    }
}

#[test]
fn twist_is_taken_to_ten_decibels_either_way_and_refused_at_twelve_and_a_half() {
    let mut dice = Dice::new(5);
    for key in keys() {
        for (low, high) in [(-6.0, -16.0), (-16.0, -6.0), (-6.0, -14.0), (-10.0, -6.0), (-15.0, -25.0), (-25.0, -15.0)]
        {
            let pcm = press(key, 400, NOMINAL, (low, high), &mut dice);
            assert_eq!(digits(&through_ulaw(&pcm)), key.to_string(), "{low} {high}");
        }
        for (low, high) in [(-6.0, -18.5), (-18.5, -6.0)] {
            assert_eq!(digits(&press(key, 800, NOMINAL, (low, high), &mut dice)), "", "{low} {high}");
        }
    }
}

#[test]
fn levels_from_zero_to_minus_twenty_five_are_read_and_minus_fifty_five_is_not() {
    let mut dice = Dice::new(6);
    for key in keys() {
        for level in [0.0, -3.0, -10.0, -20.0, -25.0, -33.0] {
            let pcm = press(key, 320, NOMINAL, (level, level), &mut dice);
            assert_eq!(digits(&through_ulaw(&pcm)), key.to_string(), "{level}");
            assert_eq!(digits(&through_alaw(&pcm)), key.to_string(), "{level}");
        }
        assert_eq!(digits(&press(key, 800, NOMINAL, (-55.0, -55.0), &mut dice)), "");
    }
}

#[test]
fn a_thousand_keys_in_noise_are_read_once_each() {
    let mut dice = Dice::new(7);
    let (mut pcm, mut sent) = (Vec::new(), String::new());
    for _ in 0..1000 {
        let key = KEYPAD[(dice.roll() * 4.0) as usize][(dice.roll() * 4.0) as usize];
        let (low, high) = frequencies(key).unwrap();
        add_tones(&mut pcm, &[(low, -10.0), (high, -10.0)], 400, &mut dice);
        let pause = (dice.between(0.05, 0.08) * 8000.0) as usize;
        add_silence(&mut pcm, pause);
        sent.push(key);
    }
    // 15 dB below the sum of the two tones.
    add_noise(&mut pcm, -7.0 - 15.0, &mut dice);
    assert_eq!(digits(&pcm), sent);
    assert_eq!(digits(&through_ulaw(&pcm)), sent);
}

/// What stands in for a lost packet.
#[derive(Clone, Copy, Debug)]
enum StandIn {
    Silence,
    Repetition,
    Said,
}

/// Keys of 100 ms and 80 ms over a line that loses 5 % of its packets of 20 ms.
#[test]
fn lost_packets_do_not_double_a_key() {
    let all: String = keys().collect();
    for concealment in [StandIn::Silence, StandIn::Repetition, StandIn::Said] {
        let mut dice = Dice::new(8);
        let (mut sent, mut read, mut doubled) = (0, 0, 0);
        for _ in 0..40 {
            let mut generator = Generator::new(8000).unwrap();
            generator.queue(&all).unwrap();
            let mut pcm = vec![0; 8 * (16 * 180 + 200)];
            generator.fill(&mut pcm);
            let pcm = through_ulaw(&pcm);
            let mut detector = Detector::new(8000).unwrap();
            let mut plc = Concealment::new(8000);
            let mut heard = String::new();
            let mut lost_before = false;
            for packet in pcm.chunks_exact(160) {
                let mut take = |r: Detected| {
                    if !r.ended {
                        heard.push(r.digit)
                    }
                };
                // Single losses: two in a row are a gap of 40 ms, which is a pause by Q.24.
                let lost = !lost_before && dice.roll() < 0.05;
                lost_before = lost;
                let mut made = [0; 160];
                match (lost, concealment) {
                    (false, _) => {
                        made.copy_from_slice(packet);
                        plc.handle_received(&mut made);
                        detector.handle_audio(&made, &mut take);
                    }
                    (true, StandIn::Silence) => detector.handle_audio(&made, &mut take),
                    (true, StandIn::Repetition) => {
                        plc.conceal(&mut made);
                        detector.handle_audio(&made, &mut take);
                    }
                    (true, StandIn::Said) => detector.handle_lost(160, &mut take),
                }
            }
            sent += all.len();
            let mut expected = all.chars().peekable();
            let mut last = None;
            for key in heard.chars() {
                if last == Some(key) {
                    doubled += 1;
                    continue;
                }
                last = Some(key);
                while expected.peek().is_some_and(|k| *k != key) {
                    expected.next();
                }
                assert_eq!(expected.next(), Some(key), "{concealment:?}: {heard}");
                read += 1;
            }
        }
        assert_eq!(doubled, 0, "{concealment:?}");
        assert!(read * 1000 >= sent * 985, "{concealment:?}: {read} of {sent}");
    }
}

#[test]
fn no_key_is_heard_in_speech() {
    if let Some(speech) = sounds::speech() {
        for pcm in [through_ulaw(&speech), speech] {
            let heard = digits(&pcm);
            assert_eq!(heard, "", "in {} s of speech", pcm.len() / 8000);
        }
    }
    for seed in 0..2 {
        assert_eq!(digits(&sounds::vowels(60, seed)), "", "vowels {seed}");
    }
}

#[test]
fn no_key_is_heard_in_music_noise_and_call_progress() {
    for seed in [1, 3] {
        assert_eq!(digits(&sounds::music(60, seed)), "", "music {seed}");
    }
    let mut dice = Dice::new(9);
    let mut noise = vec![0; 8000 * 30];
    add_noise(&mut noise, -10.0, &mut dice);
    assert_eq!(digits(&noise), "");
    for tones in [[350.0, 440.0], [440.0, 480.0], [480.0, 620.0], [425.0, 425.0], [941.0, 941.0], [1209.0, 1336.0]] {
        let mut pcm = Vec::new();
        add_tones(&mut pcm, &[(tones[0], -10.0), (tones[1], -10.0)], 8000, &mut dice);
        assert_eq!(digits(&pcm), "", "{tones:?}");
    }
}

#[test]
fn keys_are_read_while_somebody_speaks_softly() {
    let mut dice = Dice::new(10);
    for key in keys() {
        let mut pcm = press(key, 640, NOMINAL, LEVEL, &mut dice);
        let mut voice = sounds::vowels(1, 11);
        sounds::bring_to(&mut voice, -22.0);
        for (sample, other) in pcm.iter_mut().zip(&voice) {
            *sample = sample.saturating_add(*other);
        }
        assert_eq!(digits(&pcm), key.to_string());
    }
}

#[test]
fn pieces_of_any_length_give_the_same_reports() {
    let mut dice = Dice::new(12);
    let mut generator = Generator::new(8000).unwrap();
    generator.queue("159D").unwrap();
    let mut pcm = vec![0; 8000];
    generator.fill(&mut pcm);
    let whole = reports(&pcm);
    assert_eq!(whole.len(), 8);
    for _ in 0..50 {
        let (mut rest, mut pieces) = (pcm.as_slice(), Vec::new());
        let mut detector = Detector::new(8000).unwrap();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min((dice.roll() * 300.0) as usize));
            detector.handle_audio(now, &mut |r| pieces.push(r));
            rest = later;
        }
        assert_eq!(pieces, whole);
    }
}
