//! Eight correlators over one window. Purpose: amplitude and phase at the eight frequencies of Q.23 in one sweep over the
//! samples that the compiler turns into vector code. Any thread. Invariant: read only once made; made on a control
//! thread by `shared`. Deliberately absent: decisions.
//!
//! The window is a Hann of 20 ms: its side lobes keep the row's tone out of the column's phase (a plain Goertzel of that
//! length leaks enough to spoil a frequency reading), its main lobe of ±100 Hz holds every tolerated offset.

use super::{COLUMNS_HZ, ROWS_HZ};
use std::f64::consts::TAU;
use std::sync::OnceLock;

/// Samples in one window at 8 kHz (20 ms).
pub(super) const WINDOW: usize = 160;
/// Samples from one window to the next (5 ms).
pub(super) const HOP: usize = 40;
/// Rows, then columns.
pub(super) const TONES: usize = 8;
const RATE_HZ: f64 = 8000.0;
/// Width of one bin: the inverse of the window's length.
const BIN_HZ: f64 = RATE_HZ / WINDOW as f64;

/// A correlation: amplitude times half the window's sum, and the phase at the window's middle.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Phasor {
    pub(super) re: f32,
    pub(super) im: f32,
}

impl Phasor {
    pub(super) fn power(self) -> f32 {
        self.re * self.re + self.im * self.im
    }

    /// `self` times the conjugate of `other`.
    fn against(self, other: Self) -> Self {
        Self { re: self.re * other.re + self.im * other.im, im: self.im * other.re - self.re * other.im }
    }
}

/// What one window holds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spectrum {
    /// By tone.
    pub(super) tones: [Phasor; TONES],
}

type Taps = [[f32; 2 * TONES]; WINDOW];

/// The tables.
#[derive(Debug)]
pub(super) struct Bank {
    /// For each sample: window × cosine for all tones, then window × −sine.
    taps: Taps,
    /// The same at twice the frequencies.
    harmonics: Taps,
    window: [f32; WINDOW],
    /// Turn of a tone of nominal frequency from one window to the next.
    advance: [Phasor; TONES],
    /// Makes mean squares of weighted sums: 1 / Σw².
    energy_scale: f32,
    /// Makes a tone's power of a correlation: 2 / (Σw)².
    power_scale: f32,
}

/// Nominal frequency of one of the eight tones, Hz.
pub(super) const fn nominal_hz(tone: usize) -> f64 {
    if tone < 4 { ROWS_HZ[tone] } else { COLUMNS_HZ[tone - 4] }
}

impl Bank {
    /// The one bank of the process. The first call makes it (control threads); later ones read.
    pub(super) fn shared() -> &'static Self {
        static BANK: OnceLock<Bank> = OnceLock::new();
        BANK.get_or_init(Self::new)
    }

    fn new() -> Self {
        let mut bank = Self {
            taps: [[0.0; 2 * TONES]; WINDOW],
            harmonics: [[0.0; 2 * TONES]; WINDOW],
            window: [0.0; WINDOW],
            advance: [Phasor::default(); TONES],
            energy_scale: 0.0,
            power_scale: 0.0,
        };
        let (mut sum, mut squares) = (0.0, 0.0);
        for n in 0..WINDOW {
            let weight = 0.5 - 0.5 * (TAU * (n as f64 + 0.5) / WINDOW as f64).cos();
            sum += weight;
            squares += weight * weight;
            bank.window[n] = weight as f32;
            for tone in 0..TONES {
                let angle = TAU * nominal_hz(tone) / RATE_HZ * (n as f64 - (WINDOW - 1) as f64 / 2.0);
                for (taps, angle) in [(&mut bank.taps, angle), (&mut bank.harmonics, 2.0 * angle)] {
                    taps[n][tone] = (weight * angle.cos()) as f32;
                    taps[n][TONES + tone] = (-weight * angle.sin()) as f32;
                }
            }
        }
        for tone in 0..TONES {
            let angle = TAU * nominal_hz(tone) * HOP as f64 / RATE_HZ;
            bank.advance[tone] = Phasor { re: angle.cos() as f32, im: angle.sin() as f32 };
        }
        bank.energy_scale = (1.0 / squares) as f32;
        bank.power_scale = (2.0 / (sum * sum)) as f32;
        bank
    }

    /// Mean square of the windowed samples.
    pub(super) fn energy(&self, pcm: &[f32; WINDOW]) -> f32 {
        let mut lanes = [0.0f32; 8];
        for (samples, weights) in pcm.chunks_exact(8).zip(self.window.chunks_exact(8)) {
            for lane in 0..8 {
                let value = samples[lane] * weights[lane];
                lanes[lane] += value * value;
            }
        }
        lanes.iter().sum::<f32>() * self.energy_scale
    }

    /// At the nominal frequencies.
    pub(super) fn analyse(&self, pcm: &[f32; WINDOW]) -> Spectrum {
        correlate(&self.taps, pcm)
    }

    /// At twice the nominal frequencies.
    pub(super) fn analyse_harmonics(&self, pcm: &[f32; WINDOW]) -> Spectrum {
        correlate(&self.harmonics, pcm)
    }

    /// Power of the tone behind a correlation, if its frequency is the nominal one.
    pub(super) fn power(&self, phasor: Phasor) -> f32 {
        phasor.power() * self.power_scale
    }

    /// How far the tone is from its nominal frequency, Hz, −100 to 100, by how much it turned since the window before.
    pub(super) fn offset_hz(&self, tone: usize, before: Phasor, now: Phasor) -> f32 {
        let turn = now.against(before).against(self.advance[tone]);
        turn.im.atan2(turn.re) * (RATE_HZ / (TAU * HOP as f64)) as f32
    }
}

fn correlate(taps: &Taps, pcm: &[f32; WINDOW]) -> Spectrum {
    let mut sums = [0.0f32; 2 * TONES];
    for (sample, taps) in pcm.iter().zip(taps) {
        for (sum, tap) in sums.iter_mut().zip(taps) {
            *sum += sample * tap;
        }
    }
    let mut spectrum = Spectrum::default();
    for (tone, phasor) in spectrum.tones.iter_mut().enumerate() {
        *phasor = Phasor { re: sums[tone], im: sums[TONES + tone] };
    }
    spectrum
}

/// What the window leaves of the power of a tone that lies `offset_hz` beside the correlator, 0 to 1.
pub(super) fn response(offset_hz: f32) -> f32 {
    let bins = (f64::from(offset_hz) / BIN_HZ).abs();
    let amplitude = if bins < 1e-3 {
        1.0
    } else if (bins - 1.0).abs() < 1e-3 {
        0.5
    } else {
        (TAU / 2.0 * bins).sin() / (TAU / 2.0 * bins) / (1.0 - bins * bins)
    };
    (amplitude * amplitude) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone::Tone;

    fn two_windows(hz: f64) -> ([f32; WINDOW], [f32; WINDOW]) {
        let mut pcm = [0i16; WINDOW + HOP];
        Tone::new(hz, 8000, -12.0).fill(&mut pcm);
        (std::array::from_fn(|n| f32::from(pcm[n])), std::array::from_fn(|n| f32::from(pcm[HOP + n])))
    }

    #[test]
    fn harmonics_are_read_at_twice_the_frequency() {
        let bank = Bank::shared();
        for tone in 0..TONES {
            let (window, _) = two_windows(2.0 * nominal_hz(tone));
            let power = bank.power(bank.analyse_harmonics(&window).tones[tone]);
            assert!((power / bank.energy(&window) - 1.0).abs() < 0.03);
        }
    }

    #[test]
    fn power_and_frequency_are_read_from_the_windows() {
        let bank = Bank::shared();
        let full = 32_767.0f32 * 10f32.powf(-12.0 / 20.0);
        for tone in 0..TONES {
            for percent in [-3.5, -1.5, 0.0, 1.5, 3.5] {
                let hz = nominal_hz(tone) * (1.0 + percent / 100.0);
                let (first, second) = two_windows(hz);
                let (before, now) = (bank.analyse(&first).tones[tone], bank.analyse(&second).tones[tone]);
                let offset = bank.offset_hz(tone, before, now);
                assert!((f64::from(offset) - (hz - nominal_hz(tone))).abs() < 0.5, "{hz}: {offset}");
                let power = bank.power(now) / response(offset);
                assert!((power / (full * full / 2.0) - 1.0).abs() < 0.02, "{hz}: {power}");
                assert!((bank.energy(&second) / (full * full / 2.0) - 1.0).abs() < 0.05);
            }
        }
    }
}
