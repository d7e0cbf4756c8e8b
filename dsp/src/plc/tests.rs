//! Concealment against voices, tones and noise.

use super::*;
use proptest::prelude::*;

/// A vowel: harmonics of `pitch` Hz that fall by 6 dB an octave.
fn vowel(rate: usize, pitch: f32, samples: usize) -> Vec<i16> {
    (0..samples)
        .map(|n| {
            let t = n as f32 / rate as f32 * pitch * core::f32::consts::TAU;
            let sum: f32 = (1..12).map(|k| (k as f32 * t + k as f32).sin() / k as f32).sum();
            (4000.0 * sum) as i16
        })
        .collect()
}

fn noise(samples: usize) -> Vec<i16> {
    let mut seed = 7u32;
    (0..samples)
        .map(|_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((seed >> 20) as i16) - 2048
        })
        .collect()
}

fn energy(pcm: &[i16]) -> f64 {
    pcm.iter().map(|s| f64::from(*s).powi(2)).sum()
}

#[test]
fn without_loss_nothing_changes() {
    let mut plc = Concealment::default();
    let wave = vowel(8000, 140.0, 8000);
    for part in wave.chunks(160) {
        let mut pcm = part.to_vec();
        plc.handle_received(&mut pcm);
        assert_eq!(pcm, part);
    }
}

#[test]
fn a_vowel_goes_on_at_its_pitch() {
    for (rate, frame) in [(8000, 160), (16_000, 320), (8000, 80), (8000, 240)] {
        for pitch in [80.0, 113.0, 171.0] {
            let mut plc = Concealment::new(rate as u32);
            let wave = vowel(rate, pitch, rate);
            let start = rate / 2;
            plc.handle_received(&mut wave[..start].to_vec());
            let mut pcm = vec![0; rate / 100];
            plc.conceal(&mut pcm);
            let error: f64 = pcm.iter().zip(&wave[start..]).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
            let ratio = energy(&pcm) / error.max(1.0);
            assert!(ratio > 20.0, "{rate} Hz, {pitch} Hz: {:.1} dB", 10.0 * ratio.log10());

            // The merge leaves no step that the vowel itself does not have.
            let rest = frame - pcm.len().min(frame);
            let mut more = vec![0; rest];
            plc.conceal(&mut more);
            let at = start + pcm.len() + rest;
            let mut good = wave[at..at + frame].to_vec();
            plc.handle_received(&mut good);
            let steepest = |pcm: &[i16]| pcm.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs()).max();
            let joined: Vec<i16> = [&wave[start - 40..start], &pcm, &more, &good].concat();
            assert!(steepest(&joined) <= steepest(&wave).map(|s| s * 3 / 2), "{rate} Hz, {pitch} Hz");
        }
    }
}

#[test]
fn a_long_loss_dies_away_to_silence() {
    for (rate, source) in [(8000usize, vowel(8000, 120.0, 4000)), (16_000, noise(8000)), (8000, noise(4000))] {
        let mut plc = Concealment::new(rate as u32);
        plc.handle_received(&mut source.clone());
        let mut pcm = vec![1; rate / 10];
        plc.conceal(&mut pcm);
        let loudest = source[source.len() - rate / 20..].iter().map(|s| s.unsigned_abs()).max().unwrap();
        assert!(pcm.iter().all(|s| s.unsigned_abs() <= loudest));
        let parts: Vec<f64> = pcm.chunks(rate / 100).map(energy).collect();
        assert!(parts[0] > 0.5 * energy(&source[source.len() - rate / 100..]), "full level at first: {parts:?}");
        for pair in parts.windows(2).skip(1) {
            assert!(pair[1] <= pair[0] * 1.05, "{parts:?}");
        }
        assert!(pcm[rate * 6 / 100..].iter().all(|s| *s == 0));
    }
}

#[test]
fn nothing_heard_yet_is_silence() {
    let mut plc = Concealment::default();
    let mut pcm = [1i16; 100];
    plc.conceal(&mut pcm);
    assert_eq!(pcm, [0; 100]);
}

#[test]
fn pieces_of_any_length_are_the_same_audio() {
    let wave = vowel(8000, 101.0, 8000);
    let run = |piece: usize| {
        let mut plc = Concealment::default();
        let mut out = Vec::new();
        for (n, part) in wave.chunks(160).enumerate() {
            let mut pcm = part.to_vec();
            for part in pcm.chunks_mut(piece) {
                if n % 5 == 3 { plc.conceal(part) } else { plc.handle_received(part) }
            }
            out.extend(pcm);
        }
        out
    };
    assert_eq!(run(160), run(7));
    assert_eq!(run(160), run(1));
}

#[test]
fn speech_after_a_mute_is_faded_in_within_4_ms() {
    let mut plc = Concealment::default();
    plc.handle_received(&mut vowel(8000, 120.0, 1600));
    plc.conceal(&mut [0; 800]);
    let mut good = [10_000i16; 160];
    plc.handle_received(&mut good);
    assert!(good[0] < 1000);
    assert!(good[..32].windows(2).all(|w| w[0] < w[1]));
    assert!(good[32..].iter().all(|s| *s == 10_000));
}

#[test]
fn a_hiss_is_not_turned_into_a_tone() {
    let mut plc = Concealment::default();
    plc.handle_received(&mut noise(1600));
    let mut pcm = [0; 160];
    plc.conceal(&mut pcm);
    assert_eq!(plc.period, 120);
}

proptest! {
    #[test]
    fn any_order_of_events_is_survived(
        rate in prop::sample::select(vec![8000u32, 16_000, 11_025]),
        events in prop::collection::vec((any::<bool>(), 0usize..700, any::<i16>(), any::<i16>()), 0..40),
    ) {
        let mut plc = Concealment::new(rate);
        let mut last_lost = 0;
        for (received, length, a, b) in events {
            let mut pcm: Vec<i16> = (0..length).map(|n| if n % 7 < 3 { a } else { b }).collect();
            if received {
                let before = pcm.clone();
                plc.handle_received(&mut pcm);
                prop_assert_eq!(&pcm[pcm.len().min(160)..], &before[before.len().min(160)..]);
                last_lost = 0;
            } else {
                plc.conceal(&mut pcm);
                let muted = 960usize.saturating_sub(last_lost);
                if length > muted {
                    prop_assert!(pcm[muted..].iter().all(|s| *s == 0));
                }
                last_lost += length;
            }
        }
    }
}
