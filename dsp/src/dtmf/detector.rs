//! Hears keys in the audio. Purpose: every key of ITU-T Q.24's limits once, and none in speech or music. Media workers;
//! inline state, no heap. Invariants: a press is reported once when it is certain and once when it has ended; pieces of
//! any length give the same reports as the whole. Deliberately absent: telephone events, dial tone as a background.
//!
//! Windows of 20 ms, 5 ms apart. In each the strongest row and column must hold nearly all of the energy, stand in
//! tolerable twist, turn from window to window as their nominal frequency does, and bring no second harmonic. A press
//! begins with `RUN_MIN` such windows in a row (certain from 34 ms of tone, impossible below 28 ms) and ends after
//! `MISSES_MAX` windows without it (a gap of 20 ms, one lost packet, does not end it; a pause of 40 ms does).

use super::KEYPAD;
use super::bank::{Bank, HOP, Phasor, Spectrum, TONES, WINDOW, nominal_hz, response};
use crate::level::DBM0_OF_FULL_SCALE_SINE;
use crate::resample::{Rate, RateError, Resampler};

/// Windows in a row that make a press.
const RUN_MIN: u8 = 5;
/// Windows without the tones that end a press.
const MISSES_MAX: u8 = 7;
/// Share of the energy that the two tones must hold at least: total-energy guard against speech. Windows that reach over
/// the tones' ends have less of it.
const PURITY_MIN: f32 = 0.80;
/// The same for windows that the tones fill: what 15 dB of noise leave (0.97), with room. The best of speech and music
/// that is in tune lies at 0.85.
const PURITY_FULL: f32 = 0.89;
/// Windows of a run that must be as pure as that; 40 ms of tone fill four.
const FULL_MIN: u8 = 3;
/// The same for a press that goes on.
const PURITY_KEEP: f32 = 0.5;
/// Below this (before the window's loss is made good) a closer look is not worth while.
const PURITY_GLANCE: f32 = 0.3;
/// Frequency offset that is still a key: between the 1.5 % that must be accepted and the 3.5 % that must not.
const OFFSET_MAX: f32 = 0.025;
/// Difference of the two tones' offsets that is still a key: 1.5 % each, in opposite ways, and a little.
const DETUNING_MAX: f32 = 0.036;
/// A frequency ratio as near to 2 as this is a note and its octave. Keys have 1.917 and 2.119; with both tones off, 1.975
/// and 2.056.
const OCTAVE_MARGIN: f32 = 0.012;
/// Power ratio of the two tones, either way: Q.24 asks for 8 dB with the row the stronger and 4 dB the other way round
/// (AT&T), 9 (Brazil) and 10 dB (Australia) either way; 12.5 dB is refused.
const TWIST_MAX: f32 = 12.6; // 11 dB
/// Weakest tone, dBm0: −25 must be accepted, −55 must not.
const WEAKEST_DBM0: f32 = -38.0;
/// Second harmonic relative to its tone: voices have one, keys do not.
const HARMONIC_MAX: f32 = 0.032; // −15 dB
/// A harmonic this near to the other tone cannot be told from it, Hz.
const HARMONIC_CLEARANCE_HZ: f64 = 130.0;
/// A window is taken for full from this many samples before the tone fills it.
const SLACK: u64 = 46;
/// Loss that is bridged at most, samples at 8 kHz; a longer one ends a press.
const LOSS_BRIDGED_MAX: u64 = 800;

/// A report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Detected {
    /// `0`–`9`, `*`, `#`, `A`–`D`.
    pub digit: char,
    /// Where the press began, or, when it has `ended`, where it stopped: samples since the detector began, at its rate,
    /// to about 5 ms.
    pub at_sample: u64,
    /// False for the first report of a press, true for the second. Later presses come after it.
    pub ended: bool,
}

/// What a window says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    /// All that a key is, and whether the tones fill the window.
    Key {
        key: u8,
        full: bool,
    },
    /// Enough of this key for a press that goes on.
    Remains(u8),
    Nothing,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    key: u8,
    windows: u8,
    full: u8,
    began: u64,
}

#[derive(Clone, Copy, Debug)]
struct Press {
    key: u8,
    misses: u8,
    last: u64,
}

/// In-band keys of one direction of one call.
#[derive(Clone, Debug)]
pub struct Detector {
    bank: &'static Bank,
    /// Samples outside for each inside: the rate over 8 kHz.
    ratio: u64,
    resampler: Option<Resampler>,
    /// The last 20 ms, oldest first; the newest `HOP` are being written.
    window: [f32; WINDOW],
    /// Of the newest hop, how many are there.
    fresh: usize,
    /// Windows from now that hold a part of a loss: finding nothing in them means nothing.
    blind: u8,
    before: Option<Spectrum>,
    /// Samples at 8 kHz so far.
    position: u64,
    run: Option<Run>,
    press: Option<Press>,
}

impl Detector {
    /// For audio at `rate` Hz: 8000, 16000, 24000 or 48000. Control threads (the first one makes tables).
    ///
    /// # Errors
    /// [`RateError`] for any other rate.
    pub fn new(rate: u32) -> Result<Self, RateError> {
        let from = Rate::try_from(rate)?;
        Ok(Self {
            bank: Bank::shared(),
            ratio: u64::from(rate / 8_000),
            resampler: (from != Rate::Hz8000).then(|| Resampler::new(from, Rate::Hz8000)),
            window: [0.0; WINDOW],
            fresh: 0,
            blind: 0,
            before: None,
            position: 0,
            run: None,
            press: None,
        })
    }

    /// Takes the next samples, any number; calls `report` for what they make certain.
    pub fn handle_audio(&mut self, pcm: &[i16], report: &mut dyn FnMut(Detected)) {
        if self.resampler.is_none() {
            self.take(pcm, report);
        }
        let (mut rest, mut narrow) = (pcm, [0i16; HOP]);
        while let Some(resampler) = self.resampler.as_mut().filter(|_| !rest.is_empty()) {
            let progress = resampler.process(rest, &mut narrow);
            rest = &rest[progress.read..];
            self.take(&narrow[..progress.written], report);
        }
    }

    /// Says that the next `samples` were lost: what stands in for them is not to be given to `handle_audio`. A press goes
    /// on over a loss of up to 100 ms, and none begins in it.
    pub fn handle_lost(&mut self, samples: usize, report: &mut dyn FnMut(Detected)) {
        self.position += samples as u64 / self.ratio;
        self.fresh = 0;
        self.blind = (WINDOW / HOP - 1) as u8;
        self.before = None;
        self.window = [0.0; WINDOW];
        if self.press.is_some_and(|p| self.position.saturating_sub(p.last) > LOSS_BRIDGED_MAX) {
            self.end(report);
        }
    }

    /// Forgets the past but not the position: another sender begins. A press under way ends.
    pub fn reset(&mut self, report: &mut dyn FnMut(Detected)) {
        self.handle_lost(0, report);
        self.blind = 0;
        self.run = None;
        self.end(report);
    }

    fn take(&mut self, mut pcm: &[i16], report: &mut dyn FnMut(Detected)) {
        while !pcm.is_empty() {
            let (now, rest) = pcm.split_at(pcm.len().min(HOP - self.fresh));
            let place = WINDOW - HOP + self.fresh;
            for (slot, sample) in self.window[place..].iter_mut().zip(now) {
                *slot = f32::from(*sample);
            }
            self.fresh += now.len();
            self.position += now.len() as u64;
            pcm = rest;
            if self.fresh == HOP {
                self.fresh = 0;
                let verdict = self.judge();
                self.blind = self.blind.saturating_sub(1);
                if self.blind == 0 || verdict != Verdict::Nothing {
                    self.follow(verdict, report);
                }
                self.window.copy_within(HOP.., 0);
            }
        }
    }

    fn judge(&mut self) -> Verdict {
        let before = self.before.take();
        let energy = self.bank.energy(&self.window);
        let weakest = weakest_power();
        if energy < 2.0 * weakest * PURITY_KEEP {
            return Verdict::Nothing;
        }
        let spectrum = self.bank.analyse(&self.window);
        self.before = Some(spectrum);
        let (row, column) = (strongest(&spectrum, 0), strongest(&spectrum, 4));
        let (low, high) = (self.bank.power(spectrum.tones[row]), self.bank.power(spectrum.tones[column]));
        if low + high < PURITY_GLANCE * energy {
            return Verdict::Nothing;
        }
        let key = (row * 4 + column - 4) as u8;
        let remains = if low + high >= PURITY_KEEP * energy { Verdict::Remains(key) } else { Verdict::Nothing };
        let Some(before) = before else { return remains };
        let offset = |tone: usize| self.bank.offset_hz(tone, before.tones[tone], spectrum.tones[tone]);
        let (row_offset, column_offset) = (offset(row), offset(column));
        if !in_tune(row, row_offset, column, column_offset) {
            return remains;
        }
        let (low, high) = (low / response(row_offset), high / response(column_offset));
        let purity = (low + high) / energy;
        let balanced = low <= TWIST_MAX * high && high <= TWIST_MAX * low;
        if purity >= PURITY_MIN && balanced && low.min(high) >= weakest && !self.has_harmonics(row, low, column, high) {
            Verdict::Key { key, full: purity >= PURITY_FULL }
        } else {
            remains
        }
    }

    fn has_harmonics(&self, row: usize, low: f32, column: usize, high: f32) -> bool {
        let harmonics = self.bank.analyse_harmonics(&self.window);
        let power = |tone: usize| self.bank.power(harmonics.tones[tone]);
        let apart = (2.0 * nominal_hz(row) - nominal_hz(column)).abs() > HARMONIC_CLEARANCE_HZ;
        power(column) > HARMONIC_MAX * high || (apart && power(row) > HARMONIC_MAX * low)
    }

    fn follow(&mut self, verdict: Verdict, report: &mut dyn FnMut(Detected)) {
        if let Some(press) = &mut self.press {
            if matches!(verdict, Verdict::Key { key, .. } | Verdict::Remains(key) if key == press.key) {
                press.misses = 0;
                if matches!(verdict, Verdict::Key { .. }) {
                    press.last = self.position;
                }
                self.run = None;
                return;
            }
            press.misses += 1;
            if press.misses >= MISSES_MAX {
                self.end(report);
            }
        }
        let Verdict::Key { key, full } = verdict else {
            self.run = None;
            return;
        };
        let fresh = Run { key, windows: 0, full: 0, began: (self.position + SLACK).saturating_sub(WINDOW as u64) };
        let mut run = self.run.filter(|run| run.key == key).unwrap_or(fresh);
        run.windows = run.windows.saturating_add(1);
        run.full = run.full.saturating_add(u8::from(full));
        self.run = Some(run);
        if run.windows >= RUN_MIN && run.full >= FULL_MIN {
            self.end(report);
            self.run = None;
            self.press = Some(Press { key, misses: 0, last: self.position });
            report(Detected { digit: digit(key), at_sample: self.outward(run.began), ended: false });
        }
    }

    fn end(&mut self, report: &mut dyn FnMut(Detected)) {
        if let Some(press) = self.press.take() {
            let at_sample = self.outward(press.last.saturating_sub(SLACK));
            report(Detected { digit: digit(press.key), at_sample, ended: true });
        }
    }

    const fn outward(&self, position: u64) -> u64 {
        position * self.ratio
    }
}

fn digit(key: u8) -> char {
    KEYPAD[usize::from(key >> 2) & 3][usize::from(key & 3)]
}

fn weakest_power() -> f32 {
    let amplitude = 32_768.0 * 10f32.powf((WEAKEST_DBM0 - DBM0_OF_FULL_SCALE_SINE) / 20.0);
    amplitude * amplitude / 2.0
}

/// Of the four tones from `first`.
fn strongest(spectrum: &Spectrum, first: usize) -> usize {
    let power = |tone: usize| spectrum.tones.get(tone).copied().map_or(0.0, Phasor::power);
    (first..TONES.min(first + 4)).fold(first, |best, tone| if power(tone) > power(best) { tone } else { best })
}

fn in_tune(row: usize, row_offset_hz: f32, column: usize, column_offset_hz: f32) -> bool {
    let (row_hz, column_hz) = (nominal_hz(row) as f32, nominal_hz(column) as f32);
    let (row_part, column_part) = (row_offset_hz / row_hz, column_offset_hz / column_hz);
    row_part.abs() <= OFFSET_MAX
        && column_part.abs() <= OFFSET_MAX
        && (row_part - column_part).abs() <= DETUNING_MAX
        && ((column_hz + column_offset_hz) / (row_hz + row_offset_hz) - 2.0).abs() > OCTAVE_MARGIN
}
