//! Resampling between all pairs of 8, 16, 24 and 48 kHz: delay, passband, stopband, pieces, saturation.

use callwright_dsp::kernel::{Kernels, Level};
use callwright_dsp::resample::{Progress, Rate, Resampler};
use callwright_dsp::tone::Tone;
use proptest::prelude::*;
use std::f64::consts::TAU;

const RATES: [u32; 4] = [8_000, 16_000, 24_000, 48_000];

fn resampler(from: u32, to: u32) -> Resampler {
    Resampler::new(Rate::try_from(from).unwrap(), Rate::try_from(to).unwrap())
}

fn pairs() -> impl Iterator<Item = (u32, u32)> {
    RATES.into_iter().flat_map(|from| RATES.into_iter().map(move |to| (from, to))).filter(|(from, to)| from != to)
}

/// Edges of what must pass and of what must be stopped when the lower rate is this.
fn edges(lower_hz: u32) -> (f64, f64) {
    match lower_hz {
        8_000 => (3_400.0, 4_600.0),
        16_000 => (7_000.0, 9_000.0),
        _ => (11_000.0, 13_000.0),
    }
}

fn convert(from: u32, to: u32, pcm: &[i16]) -> Vec<i16> {
    let mut stream = resampler(from, to);
    let mut out = vec![0; stream.output_len(pcm.len())];
    let progress = stream.process(pcm, &mut out);
    assert_eq!(progress, Progress { read: pcm.len(), written: out.len() });
    out
}

fn tone(hz: f64, rate: u32, samples: usize, dbfs: f64) -> Vec<i16> {
    let mut pcm = vec![0; samples];
    Tone::new(hz, rate, dbfs).fill(&mut pcm);
    pcm
}

/// One frequency's amplitude (full scale 1) and phase; a window keeps the others out.
fn component(pcm: &[i16], hz: f64, rate: u32) -> (f64, f64) {
    let n = pcm.len() as f64;
    let (mut re, mut im, mut weight) = (0.0, 0.0, 0.0);
    for (at, sample) in pcm.iter().enumerate() {
        let turn = TAU * (at as f64 + 0.5) / n;
        // Blackman and Harris, four terms: side lobes 92 dB down.
        let window = 0.358_75 - 0.488_29 * turn.cos() + 0.141_28 * (2.0 * turn).cos() - 0.011_68 * (3.0 * turn).cos();
        let angle = TAU * hz * at as f64 / f64::from(rate);
        re += window * f64::from(*sample) * angle.cos();
        im -= window * f64::from(*sample) * angle.sin();
        weight += window;
    }
    (2.0 * re.hypot(im) / weight / 32_768.0, im.atan2(re))
}

fn db(amplitude: f64) -> f64 {
    20.0 * amplitude.max(1e-9).log10()
}

/// Half a second, and the part of it that is measured, past the start.
fn measured(pcm: &[i16], rate: u32) -> &[i16] {
    &pcm[rate as usize / 20..]
}

#[test]
fn delay_is_one_constant_under_a_millisecond() {
    for (from, to) in pairs() {
        let stream = resampler(from, to);
        let promised = stream.delay_ms();
        assert!(promised < 1.0, "{from} to {to}: {promised} ms");
        // Group delay by the slope of the phase, through the band of interest of the lower rate.
        let (passed, _) = edges(from.min(to));
        let mut hz = 200.0;
        while hz + 40.0 < passed {
            let phase = |hz: f64| {
                let input = tone(hz, from, from as usize / 2, -6.0);
                let output = convert(from, to, &input);
                // Phases at the same moment.
                component(&output, hz, to).1 - component(&input, hz, from).1
            };
            let turned = (phase(hz) - phase(hz + 40.0)).rem_euclid(TAU);
            let delay_ms = 1_000.0 * turned / (TAU * 40.0);
            assert!((delay_ms - promised).abs() < 0.03, "{from} to {to} at {hz} Hz: {delay_ms} ms, not {promised}");
            hz += passed / 7.0;
        }
    }
}

#[test]
fn a_click_arrives_within_a_millisecond() {
    for (from, to) in pairs() {
        let mut click = vec![0; from as usize / 50];
        let at = click.len() / 2;
        click[at] = 30_000;
        let out = convert(from, to, &click);
        // The centre of gravity of the response, times in ms.
        let (mut moment, mut mass) = (0.0, 0.0);
        for (n, sample) in out.iter().enumerate() {
            let weight = f64::from(*sample).powi(2);
            moment += weight * 1_000.0 * n as f64 / f64::from(to);
            mass += weight;
        }
        let delay = moment / mass - 1_000.0 * at as f64 / f64::from(from);
        let promised = resampler(from, to).delay_ms();
        assert!(delay < 1.0 && (delay - promised).abs() < 0.1, "{from} to {to}: {delay} ms, not {promised}");
    }
}

#[test]
fn the_band_of_interest_passes() {
    for (from, to) in pairs() {
        let (passed, _) = edges(from.min(to));
        let most: f64 = if from.min(to) == 8_000 { 0.36 } else { 0.2 };
        for step in 0..=16 {
            let hz = (passed * f64::from(step) / 16.0).max(100.0);
            let out = convert(from, to, &tone(hz, from, from as usize / 2, -6.0));
            let level = db(component(measured(&out, to), hz, to).0) + 6.0;
            assert!(level.abs() <= most, "{from} to {to} at {hz} Hz: {level} dB");
        }
    }
}

#[test]
fn what_would_fold_onto_speech_is_stopped() {
    for (from, to) in pairs() {
        let (passed, stopped) = edges(from.min(to));
        let least: f64 = if from.min(to) == 8_000 { 52.5 } else { 58.0 };
        let (lower, half) = (f64::from(from.min(to)), f64::from(from.max(to)) / 2.0);
        for step in 0..=24 {
            if from > to {
                // Going down: a tone above the stopband's edge, wherever it comes out.
                let hz = stopped + (half - 50.0 - stopped) * f64::from(step) / 24.0;
                let out = convert(from, to, &tone(hz, from, from as usize / 2, -3.0));
                let folded = (hz - lower * (hz / lower).round()).abs();
                let level = db(component(measured(&out, to), folded, to).0) + 3.0;
                assert!(level <= -least, "{from} to {to}: {hz} Hz comes out at {folded} Hz with {level} dB");
            } else {
                // Going up: every image of a tone in the band of interest.
                let hz = (passed * f64::from(step) / 24.0).max(100.0);
                let out = convert(from, to, &tone(hz, from, from as usize / 2, -3.0));
                let mut multiple = lower;
                while multiple - hz < half {
                    for image in [multiple - hz, multiple + hz] {
                        if image < half {
                            let level = db(component(measured(&out, to), image, to).0) + 3.0;
                            assert!(level <= -least, "{from} to {to}: {hz} Hz has an image at {image} Hz, {level} dB");
                        }
                    }
                    multiple += lower;
                }
            }
        }
    }
}

#[test]
fn equal_rates_copy() {
    for rate in RATES {
        let pcm: Vec<i16> = (0..2000).map(|n| ((n * 7919) % 65_536 - 32_768) as i16).collect();
        assert_eq!(convert(rate, rate, &pcm), pcm);
        assert!(resampler(rate, rate).delay_ms().abs() < f64::EPSILON);
    }
}

#[test]
fn as_much_comes_out_as_the_ratio_says() {
    for (from, to) in pairs() {
        let mut stream = resampler(from, to);
        let (mut read, mut written) = (0, 0);
        let (pcm, mut out) = ([0; 97], [0; 600]);
        for part in (1..97).cycle().take(500) {
            let progress = stream.process(&pcm[..part], &mut out);
            read += progress.read;
            written += progress.written;
            assert_eq!(written, read * to as usize / from as usize);
        }
    }
}

#[test]
fn input_without_room_waits_for_the_next_call() {
    for (from, to) in pairs() {
        let pcm = tone(700.0, from, 1000, -3.0);
        let whole = convert(from, to, &pcm);
        let mut stream = resampler(from, to);
        let (mut made, mut rest) = (Vec::new(), &pcm[..]);
        let mut room = [0; 7];
        for size in [7, 0, 3, 1].into_iter().cycle() {
            let progress = stream.process(rest, &mut room[..size]);
            made.extend_from_slice(&room[..progress.written]);
            rest = &rest[progress.read..];
            if rest.is_empty() {
                break;
            }
        }
        assert_eq!(made, whole, "{from} to {to}");
    }
}

#[test]
fn full_scale_saturates_and_silence_stays_silent() {
    for (from, to) in pairs() {
        assert!(convert(from, to, &vec![0; 500]).iter().all(|s| *s == 0));
        let width = from as usize / 250;
        let square: Vec<i16> =
            (0..from as usize / 10).map(|n| if (n / width).is_multiple_of(2) { i16::MAX } else { i16::MIN }).collect();
        let out = convert(from, to, &square);
        // Half a period later the sign is the other one: a wrapped overshoot would break that. Edges apart.
        let lag = resampler(from, to).delay_ms() * f64::from(to) / 1_000.0;
        for (n, sample) in out.iter().enumerate().skip(width) {
            let phase = (n as f64 - lag) / f64::from(to) * 250.0;
            let inside = (phase.fract() - 0.5).abs() < 0.25;
            let positive = phase.floor().rem_euclid(2.0) < 1.0;
            assert!(!inside || (*sample > 20_000) == positive, "{from} to {to} at {n}: {sample}");
        }
        assert!(out.contains(&i16::MAX) && out.contains(&i16::MIN), "{from} to {to}");
    }
}

#[test]
fn reset_forgets() {
    for (from, to) in pairs() {
        let mut stream = resampler(from, to);
        let (mut first, mut second) = (vec![0; 6000], vec![0; 6000]);
        let pcm = tone(500.0, from, 997, -3.0);
        let n = stream.process(&pcm, &mut first);
        stream.reset();
        assert_eq!(stream.process(&pcm, &mut second), n);
        assert_eq!(first, second);
    }
}

/// A vowel that glides, between two noises: what speech puts through a filter.
fn speech(rate: u32) -> Vec<i16> {
    let samples = rate as usize;
    let (mut phase, mut seed) = (0.0, 7u32);
    let mut hiss = 0.0;
    (0..samples)
        .map(|n| {
            let t = n as f64 / samples as f64;
            phase += (110.0 + 60.0 * t) / f64::from(rate);
            let voice: f64 = (1..=24).map(|h| (TAU * phase * f64::from(h)).sin() / (1.0 + f64::from(h) * 0.5)).sum();
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Low-passed, so that it lies in the band of interest of 8 kHz at every rate.
            hiss += (f64::from(seed >> 8) / f64::from(1 << 23) - 1.0 - hiss) * (4_000.0 / f64::from(rate)).min(1.0);
            (2_500.0 * voice * (TAU * 2.0 * t).sin().powi(2) + 300.0 * hiss) as i16
        })
        .collect()
}

#[test]
fn speech_survives_the_way_up_and_down() {
    for (low, high) in pairs().filter(|(low, high)| low < high) {
        let pcm = speech(low);
        let back = convert(high, low, &convert(low, high, &pcm));
        let delay = (resampler(low, high).delay_ms() + resampler(high, low).delay_ms()) / 1_000.0;
        // Compared component by component through the band, as the delay is no whole number of samples.
        let (passed, _) = edges(low);
        let (mut signal, mut error) = (0.0, 0.0);
        let length = low as usize / 2;
        let (pcm, back) = (&pcm[1000..1000 + length], &back[1000..1000 + length]);
        let mut hz = 100.0;
        while hz <= passed.min(3_400.0) {
            let (a, a_phase) = component(pcm, hz, low);
            let (b, b_phase) = component(back, hz, low);
            let shifted = a_phase - TAU * hz * delay;
            signal += a * a;
            error += (a * shifted.cos() - b * b_phase.cos()).powi(2) + (a * shifted.sin() - b * b_phase.sin()).powi(2);
            hz += 10.0;
        }
        let snr = 10.0 * (signal / error).log10();
        assert!(snr > 25.0, "{low} to {high} and back: {snr} dB");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pieces_give_the_same_as_the_whole(
        from in 0..4usize,
        to in 0..4usize,
        pcm in prop::collection::vec(any::<i16>(), 0..3000),
        cuts in prop::collection::vec(0..700usize, 1..40),
    ) {
        let (from, to) = (RATES[from], RATES[to]);
        let whole = convert(from, to, &pcm);
        let mut stream = resampler(from, to);
        let (mut made, mut rest) = (Vec::new(), &pcm[..]);
        for cut in cuts.into_iter().chain([usize::MAX]) {
            let (part, later) = rest.split_at(cut.min(rest.len()));
            rest = later;
            let mut out = vec![0; stream.output_len(part.len())];
            let progress = stream.process(part, &mut out);
            prop_assert_eq!(progress, Progress { read: part.len(), written: out.len() });
            made.extend_from_slice(&out);
        }
        prop_assert_eq!(made, whole);
    }

    #[test]
    fn every_set_of_kernels_gives_the_same(
        from in 0..4usize,
        to in 0..4usize,
        pcm in prop::collection::vec(prop_oneof![any::<i16>(), Just(i16::MIN), Just(i16::MAX)], 0..1500),
    ) {
        let mut expected = None;
        for kernels in Level::ALL.into_iter().filter_map(Kernels::of) {
            let mut stream = Resampler::with_kernels(Rate::ALL[from], Rate::ALL[to], kernels);
            let mut out = vec![0; stream.output_len(pcm.len())];
            stream.process(&pcm, &mut out);
            let expected = expected.get_or_insert_with(|| out.clone());
            prop_assert_eq!(&*expected, &out, "{:?}", kernels.level());
        }
    }
}
