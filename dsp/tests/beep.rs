//! Beeps of answering machines after their greetings, and what must not be taken for one.

mod sounds;

use callwright_dsp::beep::{Beep, Detector};
use callwright_dsp::dtmf::Generator;
use sounds::{Dice, add_noise, add_silence, add_tones, through_alaw, through_ulaw};

fn beeps(pcm: &[i16]) -> Vec<Beep> {
    let mut heard = Vec::new();
    let mut detector = Detector::new(8000).unwrap();
    for packet in pcm.chunks(160) {
        detector.handle_audio(packet, &mut |beep| heard.push(beep));
    }
    heard
}

/// A greeting of about 3 s where there is a voice (espeak-ng). Made-up vowels are no voice to the rule that parts a beep
/// at 394 to 457 Hz from ringback.
fn greeting() -> Option<Vec<i16>> {
    sounds::speech_of(&sounds::VOICES[..1], &["Hello, nobody is at home. Please speak after the tone."])
}

fn is(beep: &Beep, hz: f64, at: usize, samples: usize) -> bool {
    (f64::from(beep.frequency_hz) - hz).abs() <= 0.004 * hz
        && beep.at_sample.abs_diff(at as u64) <= 120
        && beep.samples.abs_diff(samples as u64) <= 200
}

#[test]
fn a_beep_after_a_greeting_is_heard_once_with_its_place_length_and_frequency() {
    let mut dice = Dice::new(1);
    let Some(greeting) = greeting() else { return };
    for hz in [440.0, 1000.0, 1400.0, 2000.0, 852.0, 2550.0] {
        for ms in [100, 150, 250, 500, 1000, 1500, 2500] {
            for (level, noise) in [(-10.0, None), (-22.0, None), (-12.0, Some(-27.0))] {
                let mut pcm = greeting.clone();
                let pause = (dice.between(0.0, 0.6) * 8000.0) as usize;
                add_silence(&mut pcm, pause);
                let at = pcm.len();
                add_tones(&mut pcm, &[(hz, level)], ms * 8, &mut dice);
                add_silence(&mut pcm, 8000);
                if let Some(noise) = noise {
                    add_noise(&mut pcm, noise, &mut dice);
                }
                for line in [through_ulaw(&pcm), through_alaw(&pcm)] {
                    let heard = beeps(&line);
                    assert!(
                        heard.len() == 1 && is(&heard[0], hz, at, ms * 8),
                        "{hz} Hz, {ms} ms, {level} dBm0, noise {noise:?}, at {at}: {heard:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_lost_packet_does_not_part_a_beep() {
    let mut dice = Dice::new(2);
    for hz in [660.0, 1000.0, 1400.0] {
        let mut pcm = vec![0; 4000];
        add_tones(&mut pcm, &[(hz, -12.0)], 6400, &mut dice);
        add_silence(&mut pcm, 4000);
        pcm[6400..6560].fill(0);
        let heard = beeps(&pcm);
        assert!(heard.len() == 1 && is(&heard[0], hz, 4000, 6400), "{heard:?}");
    }
}

#[test]
fn sixteen_kilohertz_counts_at_its_own_rate() {
    let mut pcm = vec![0; 8000];
    let mut tone = callwright_dsp::tone::Tone::new(1000.0, 16_000, -12.0);
    pcm.resize(8000 + 8000, 0);
    tone.fill(&mut pcm[8000..]);
    pcm.resize(16_000 + 8000, 0);
    let mut heard = Vec::new();
    let mut detector = Detector::new(16_000).unwrap();
    for part in pcm.chunks(321) {
        detector.handle_audio(part, &mut |b| heard.push(b));
    }
    assert_eq!(heard.len(), 1);
    assert!(heard[0].at_sample.abs_diff(8000) < 200 && heard[0].samples.abs_diff(8000) < 300, "{heard:?}");
    assert!(Detector::new(44_100).is_err());
}

#[test]
fn no_beep_is_heard_in_speech() {
    if let Some(speech) = sounds::speech() {
        for pcm in [through_alaw(&speech), speech] {
            assert_eq!(beeps(&pcm), [], "in {} s of speech", pcm.len() / 8000);
        }
    }
    for seed in 0..2 {
        assert_eq!(beeps(&sounds::vowels(60, seed)), [], "vowels {seed}");
    }
}

#[test]
fn no_beep_is_heard_in_music_and_noise() {
    for seed in 1..4 {
        assert_eq!(beeps(&sounds::music(40, seed)), [], "music {seed}");
    }
    let mut dice = Dice::new(3);
    let mut noise = vec![0; 8000 * 30];
    add_noise(&mut noise, -10.0, &mut dice);
    assert_eq!(beeps(&noise), []);
    // One voice, one note after another.
    let mut pcm = Vec::new();
    for _ in 0..60 {
        let hz = 440.0 * 2f64.powf(dice.between(0.0, 20.0).floor() / 12.0);
        add_tones(&mut pcm, &[(hz, -12.0)], 2400, &mut dice);
    }
    assert_eq!(beeps(&pcm), []);
}

#[test]
fn keys_are_no_beeps() {
    let mut generator = Generator::new(8000).unwrap().with_timing(300, 300);
    generator.queue("0123456789*#ABCD").unwrap();
    let mut pcm = vec![0; 16 * 8 * 600];
    generator.fill(&mut pcm);
    assert_eq!(beeps(&through_ulaw(&pcm)), []);
    let mut dice = Dice::new(4);
    for (low, high) in [(-6.0, -14.0), (-14.0, -6.0)] {
        let mut pcm = vec![0; 800];
        add_tones(&mut pcm, &[(770.0, low), (1336.0, high)], 2400, &mut dice);
        add_silence(&mut pcm, 4000);
        assert_eq!(beeps(&pcm), [], "{low} {high}");
    }
}

/// Sines, then ms on and off in turn.
type Cadence = (&'static [f64], &'static [usize]);

#[test]
fn call_progress_tones_are_no_beeps() {
    let plans: [Cadence; 12] = [
        (&[350.0, 440.0], &[5000, 0]),
        (&[440.0, 480.0], &[2000, 4000]),
        (&[480.0, 620.0], &[500, 500]),
        (&[480.0, 620.0], &[250, 250]),
        (&[400.0, 450.0], &[400, 200, 400, 2000]),
        (&[400.0], &[375, 375]),
        (&[400.0], &[400, 350, 225, 525]),
        (&[425.0], &[1000, 4000]),
        (&[425.0], &[480, 480]),
        (&[425.0], &[5000, 0]),
        (&[440.0], &[1500, 3500]),
        (&[440.0], &[500, 500]),
    ];
    let mut dice = Dice::new(5);
    for (sines, cadence) in plans {
        let mut pcm = vec![0; 333];
        let tones: Vec<(f64, f64)> = sines.iter().map(|hz| (*hz, -13.0)).collect();
        for _ in 0..3 {
            for pair in cadence.chunks(2) {
                add_tones(&mut pcm, &tones, pair[0] * 8, &mut dice);
                add_silence(&mut pcm, pair[1] * 8);
            }
        }
        add_silence(&mut pcm, 8000);
        assert_eq!(beeps(&through_alaw(&pcm)), [], "{sines:?} {cadence:?}");
        // The other side hangs up: busy after a voice.
        if sines.len() == 1 && cadence[0] < 600 {
            let Some(mut call) = greeting() else { return };
            call.extend(&pcm[333..]);
            assert_eq!(beeps(&through_alaw(&call)), [], "{sines:?} {cadence:?} after a voice");
        }
    }
    // Special information tones (E.180 section 8) and a fax that answers (T.30).
    let mut pcm = vec![0; 800];
    for hz in [950.0, 1400.0, 1800.0] {
        add_tones(&mut pcm, &[(hz, -13.0)], 330 * 8, &mut dice);
    }
    add_silence(&mut pcm, 8000);
    add_tones(&mut pcm, &[(2100.0, -13.0)], 3000 * 8, &mut dice);
    add_silence(&mut pcm, 8000);
    assert_eq!(beeps(&through_ulaw(&pcm)), []);
}

#[test]
fn pieces_of_any_length_give_the_same_beeps() {
    let mut dice = Dice::new(6);
    let mut pcm = vec![0; 3000];
    add_tones(&mut pcm, &[(1400.0, -12.0)], 3000, &mut dice);
    add_silence(&mut pcm, 3000);
    let whole = beeps(&pcm);
    assert_eq!(whole.len(), 1);
    for _ in 0..50 {
        let (mut rest, mut pieces) = (pcm.as_slice(), Vec::new());
        let mut detector = Detector::new(8000).unwrap();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min((dice.roll() * 300.0) as usize));
            detector.handle_audio(now, &mut |b| pieces.push(b));
            rest = later;
        }
        assert_eq!(pieces, whole);
    }
}
