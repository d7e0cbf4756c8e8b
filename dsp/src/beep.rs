//! Hears an answering machine's beep. Purpose: say when a machine has finished its greeting and records. Media workers;
//! inline state, no heap. Invariants: a beep is reported once, when it is over and it is certain that no other tone
//! follows; pieces of any length give the same reports as the whole. Deliberately absent: telling a machine from a person
//! by how it greets.
//!
//! Blocks of 10 ms. A sine follows `x[n+1] + x[n−1] = 2 cos ω · x[n]`, so three correlations give a block's frequency and how
//! much of it is one sine (Pisarenko's decomposition, which white noise does not bias). Two blocks that agree start a
//! track; from there on the phase from block to block gives the frequency to a hertz. A beep keeps frequency and level,
//! holds nearly all of the energy, and stands alone: keys, ringback and chords are more than one sine, melodies and
//! special information tones are one sine after another, busy tones repeat.
//!
//! Where ringback and busy are a single sine (400 to 450 Hz in most of Europe and Asia) the first burst looks like a beep.
//! At these frequencies it counts only after a voice and when it does not come again within 0.7 s; a ringback of 1 s
//! directly after an announcement is still taken for one.

use crate::level::DBM0_OF_FULL_SCALE_SINE;
use crate::resample::{Rate, RateError, Resampler};
use std::f32::consts::TAU;

/// Samples in one block at 8 kHz (10 ms).
const BLOCK: usize = 80;
const RATE_HZ: f32 = 8000.0;
/// Blocks looked at together when a track begins.
const KEPT: usize = 3;

/// Beeps lie between these, Hz.
const LOWEST_HZ: f32 = 350.0;
const HIGHEST_HZ: f32 = 2600.0;
/// Frequency readings of a block are off by this much at most in 15 dB of noise, Hz.
const READING_HZ: f32 = 10.0;
/// Share of a block's energy that one sine must hold to start a track.
const PURITY_START: f32 = 0.75;
/// The same for blocks of a track, and for their mean: keys with 8 dB of twist have 0.86.
const PURITY_BLOCK: f32 = 0.80;
const PURITY_MEAN: f32 = 0.90;
/// Quietest tone, dBm0.
const QUIETEST_DBM0: f32 = -40.0;
/// Sound above this level counts as a voice before the tone, dBm0.
const VOICE_DBM0: f32 = -38.0;
/// Change of power from block to block at most (3 dB), either way.
const LEVEL_CHANGE_MAX: f32 = 2.0;
/// Frequency may stray from the track's mean by this part, or by so many Hz.
const STRAY_PART: f32 = 0.006;
const STRAY_HZ: f32 = 5.0;
/// Blocks without the tone that are bridged: one lost packet.
const MISSES_MAX: u32 = 3;
/// Shortest and longest beep, samples (80 ms, 4 s).
const SHORTEST: u64 = 640;
const LONGEST: u64 = 32_000;
/// A track is a tone from this many blocks on.
const TONE_BLOCKS: u32 = 4;
/// A tone that begins this soon after another (150 ms), or follows it within the wait, makes both a melody.
const MELODY: u64 = 1_200;
/// The same frequency again within this (6 s) is a cadence.
const CADENCE: u64 = 48_000;
const SAME_PART: f32 = 0.015;
/// Samples of quiet after a beep before it is reported (100 ms; 700 ms at frequencies of progress tones).
const QUIET: u64 = 800;
const QUIET_PROGRESS: u64 = 5_600;
/// Blocks of the quiet that may be louder than the tone less 8 dB.
const LOUD_MAX: u32 = 2;
const QUIET_PART: f32 = 0.16;
/// Frequencies of single-sine progress tones (E.180): 400, 425, 440, 450 Hz, with tolerance.
const PROGRESS_HZ: (f32, f32) = (394.0, 457.0);
/// Blocks of voice before a beep at such a frequency, and how long ago at most (3 s).
const VOICE_BLOCKS: u32 = 50;
const VOICE_AGO: u64 = 24_000;
/// A fax answers with 2100 Hz for 2.6 to 4 s (T.30): no beep.
const FAX_HZ: (f32, f32) = (2085.0, 2115.0);
const FAX_SHORTEST: u64 = 17_600;

/// A report.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Beep {
    /// Where it began: samples since the detector began, at its rate, to about 10 ms.
    pub at_sample: u64,
    /// How long it lasted, samples at the detector's rate.
    pub samples: u64,
    /// Frequency, Hz.
    pub frequency_hz: f32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Phasor {
    re: f32,
    im: f32,
}

impl Phasor {
    fn power(self) -> f32 {
        self.re * self.re + self.im * self.im
    }

    fn times(self, other: Self) -> Self {
        Self { re: self.re * other.re - self.im * other.im, im: self.re * other.im + self.im * other.re }
    }

    fn conjugate(self) -> Self {
        Self { re: self.re, im: -self.im }
    }

    fn of_angle(angle: f32) -> Self {
        Self { re: angle.cos(), im: angle.sin() }
    }
}

/// One tone under way.
#[derive(Clone, Copy, Debug)]
struct Track {
    began: u64,
    /// End of the last block with the tone.
    end: u64,
    blocks: u32,
    misses: u32,
    /// Samples of the tone in the first block without it.
    rest: u64,
    /// Sum of the readings, each with its block.
    hz_sum: f32,
    readings: u32,
    purity_sum: f32,
    power: f32,
    before: Option<Phasor>,
    /// Another tone was there just before, or the same one a while ago.
    in_company: bool,
    after_voice: bool,
}

impl Track {
    fn hz(&self) -> f32 {
        self.hz_sum / self.readings.max(1) as f32
    }
}

/// A beep that waits for the quiet after it.
#[derive(Clone, Copy, Debug)]
struct Pending {
    beep: Beep,
    power: f32,
    due: u64,
    loud: u32,
}

/// Beeps in one direction of one call.
#[derive(Clone, Debug)]
pub struct Detector {
    /// Samples outside for each inside: the rate over 8 kHz.
    ratio: u64,
    resampler: Option<Resampler>,
    /// The last blocks, oldest first; the newest is being written.
    pcm: [f32; KEPT * BLOCK],
    fresh: usize,
    /// Samples at 8 kHz so far.
    position: u64,
    /// Frequency of the block before, if it was one sine.
    sine_hz: Option<f32>,
    track: Option<Track>,
    pending: Option<Pending>,
    /// Frequency and end of the last tone.
    last_tone: Option<(f32, u64)>,
    /// Blocks of other sound, and the end of the last.
    voice_blocks: u32,
    voice_end: u64,
}

impl Detector {
    /// For audio at `rate` Hz: 8000, 16000, 24000 or 48000.
    ///
    /// # Errors
    /// [`RateError`] for any other rate.
    pub fn new(rate: u32) -> Result<Self, RateError> {
        let from = Rate::try_from(rate)?;
        Ok(Self {
            ratio: u64::from(rate / 8_000),
            resampler: (from != Rate::Hz8000).then(|| Resampler::new(from, Rate::Hz8000)),
            pcm: [0.0; KEPT * BLOCK],
            fresh: 0,
            position: 0,
            sine_hz: None,
            track: None,
            pending: None,
            last_tone: None,
            voice_blocks: 0,
            voice_end: 0,
        })
    }

    /// Takes the next samples, any number; calls `report` for each beep that is over.
    pub fn handle_audio(&mut self, pcm: &[i16], report: &mut dyn FnMut(Beep)) {
        if self.resampler.is_none() {
            self.take(pcm, report);
        }
        let (mut rest, mut narrow) = (pcm, [0i16; BLOCK]);
        while let Some(resampler) = self.resampler.as_mut().filter(|_| !rest.is_empty()) {
            let progress = resampler.process(rest, &mut narrow);
            rest = &rest[progress.read..];
            self.take(&narrow[..progress.written], report);
        }
    }

    fn take(&mut self, mut pcm: &[i16], report: &mut dyn FnMut(Beep)) {
        while !pcm.is_empty() {
            let (now, rest) = pcm.split_at(pcm.len().min(BLOCK - self.fresh));
            let place = (KEPT - 1) * BLOCK + self.fresh;
            for (slot, sample) in self.pcm[place..].iter_mut().zip(now) {
                *slot = f32::from(*sample);
            }
            self.fresh += now.len();
            self.position += now.len() as u64;
            pcm = rest;
            if self.fresh == BLOCK {
                self.fresh = 0;
                self.handle_block(report);
                self.pcm.copy_within(BLOCK.., 0);
            }
        }
    }

    fn handle_block(&mut self, report: &mut dyn FnMut(Beep)) {
        let energy = mean_square(self.block(0));
        let in_tone = self.track.is_some();
        if let Some(track) = self.track.take() {
            self.track = self.follow(track, energy);
        }
        if self.track.is_none() {
            self.seek(energy);
        } else {
            self.sine_hz = None;
        }
        if !in_tone && self.track.is_none() && energy > power_of(VOICE_DBM0) {
            if self.position - self.voice_end > VOICE_AGO {
                self.voice_blocks = 0;
            }
            self.voice_blocks = self.voice_blocks.saturating_add(1);
            self.voice_end = self.position;
        }
        self.settle(energy, report);
    }

    /// Looks for the beginning of a tone.
    fn seek(&mut self, energy: f32) {
        let before = self.sine_hz.take();
        if energy < power_of(QUIETEST_DBM0) {
            return;
        }
        let Some(hz) = sine_hz(&self.pcm[(KEPT - 1) * BLOCK - 2..]) else { return };
        self.sine_hz = Some(hz);
        let Some(before) = before.filter(|b| (b - hz).abs() <= 2.0 * READING_HZ + STRAY_PART * hz) else { return };
        let guess = 0.5 * (before + hz);
        let (first, second) = (correlate(self.block(1), guess), correlate(self.block(0), guess));
        let hz = guess + stray_hz(guess, first, second);
        let (older, first, second) =
            (correlate(self.block(2), hz), correlate(self.block(1), hz), correlate(self.block(0), hz));
        let power = second.power();
        // The first blocks may hold the tone in part: as much as their amplitude says.
        let mut began = self.position - BLOCK as u64 - part_of_block(first, power);
        if first.power() > 0.8 * power {
            began = began.saturating_sub(part_of_block(older, power));
        }
        let in_company = self.last_tone.is_some_and(|(last_hz, end)| {
            let ago = began.saturating_sub(end);
            ago < MELODY || (ago < CADENCE && (last_hz - hz).abs() < SAME_PART * hz)
        });
        let after_voice = self.voice_blocks >= VOICE_BLOCKS && began.saturating_sub(self.voice_end) <= VOICE_AGO;
        self.track = Some(Track {
            began,
            end: self.position,
            blocks: 2,
            misses: 0,
            rest: 0,
            hz_sum: hz,
            readings: 1,
            purity_sum: 0.0,
            power,
            before: Some(second),
            in_company,
            after_voice,
        });
    }

    /// Takes the newest block as the track's next one; `None` when the track is over.
    fn follow(&mut self, mut track: Track, energy: f32) -> Option<Track> {
        let hz = track.hz();
        let tone = correlate(self.block(0), hz);
        let purity = tone.power() / energy.max(1.0);
        let ratio = tone.power() / track.power.max(1.0);
        let stray = track.before.map(|before| stray_hz(hz, before, tone));
        let steady = stray.is_none_or(|s| s.abs() <= STRAY_HZ.max(STRAY_PART * hz));
        if purity >= PURITY_BLOCK && (1.0 / LEVEL_CHANGE_MAX..=LEVEL_CHANGE_MAX).contains(&ratio) && steady {
            if let Some(stray) = stray {
                track.hz_sum += hz + stray;
                track.readings += 1;
            }
            track.end = self.position;
            track.blocks += 1;
            track.misses = 0;
            track.purity_sum += purity;
            track.power += 0.25 * (tone.power() - track.power);
            track.before = Some(tone);
            if track.blocks == TONE_BLOCKS {
                // What seemed to stand alone is followed by this.
                self.pending = None;
            }
            return Some(track);
        }
        if track.misses == 0 {
            track.rest = part_of_block(tone, track.power);
        }
        track.before = None;
        track.misses += 1;
        if track.misses <= MISSES_MAX && track.blocks >= TONE_BLOCKS {
            return Some(track);
        }
        if track.blocks >= TONE_BLOCKS {
            self.finish(&track);
        }
        None
    }

    /// A tone is over: is it a beep?
    fn finish(&mut self, track: &Track) {
        let hz = track.hz();
        let end = track.end + track.rest;
        let samples = end - track.began;
        self.last_tone = Some((hz, end));
        let mean = track.purity_sum / (track.blocks - 2).max(1) as f32;
        let progress = within(hz, PROGRESS_HZ);
        let fax = within(hz, FAX_HZ) && samples >= FAX_SHORTEST;
        let alone = !track.in_company && (track.after_voice || !progress);
        let lasts = (SHORTEST..=LONGEST).contains(&samples);
        if within(hz, (LOWEST_HZ, HIGHEST_HZ)) && mean >= PURITY_MEAN && alone && lasts && !fax {
            let quiet = if progress { QUIET_PROGRESS } else { QUIET };
            let beep = Beep { at_sample: track.began * self.ratio, samples: samples * self.ratio, frequency_hz: hz };
            self.pending = Some(Pending { beep, power: track.power, due: end + quiet, loud: 0 });
        }
    }

    /// Reports a beep once it was quiet for long enough.
    fn settle(&mut self, energy: f32, report: &mut dyn FnMut(Beep)) {
        let Some(mut pending) = self.pending.take() else { return };
        pending.loud += u32::from(energy > QUIET_PART * pending.power);
        let wait = pending.loud > LOUD_MAX && !within(pending.beep.frequency_hz, PROGRESS_HZ);
        if wait {
            return;
        }
        // A tone that has just begun decides first.
        if self.position >= pending.due && self.track.is_none() {
            report(pending.beep);
        } else {
            self.pending = Some(pending);
        }
    }

    /// The newest block is 0.
    fn block(&self, age: usize) -> &[f32] {
        let end = (KEPT - age) * BLOCK;
        &self.pcm[end - BLOCK..end]
    }
}

fn within(value: f32, (low, high): (f32, f32)) -> bool {
    (low..=high).contains(&value)
}

fn power_of(dbm0: f32) -> f32 {
    let amplitude = 32_768.0 * 10f32.powf((dbm0 - DBM0_OF_FULL_SCALE_SINE) / 20.0);
    amplitude * amplitude / 2.0
}

fn mean_square(pcm: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 8];
    for part in pcm.chunks_exact(8) {
        for (lane, sample) in lanes.iter_mut().zip(part) {
            *lane += sample * sample;
        }
    }
    lanes.iter().sum::<f32>() / BLOCK as f32
}

/// Frequency of a block of which one sine makes up nearly all. `pcm` begins two samples before the block.
fn sine_hz(pcm: &[f32]) -> Option<f32> {
    let mut lanes = [[0.0f32; 8]; 3];
    for n in (2..pcm.len()).step_by(8) {
        let (now, one, two) = (&pcm[n..n + 8], &pcm[n - 1..n + 7], &pcm[n - 2..n + 6]);
        for lane in 0..8 {
            lanes[0][lane] += now[lane] * now[lane];
            lanes[1][lane] += now[lane] * one[lane];
            lanes[2][lane] += now[lane] * two[lane];
        }
    }
    let [r0, r1, r2] = lanes.map(|lanes| lanes.iter().sum::<f32>());
    let cosine = 2.0 * r1 / ((r2 * r2 + 8.0 * r1 * r1).sqrt() - r2).max(1.0);
    let double = 2.0 * cosine * cosine - 1.0;
    let power = (r1 * cosine + r2 * double) / (cosine * cosine + double * double);
    let hz = cosine.clamp(-1.0, 1.0).acos() * RATE_HZ / TAU;
    (power >= PURITY_START * r0 && within(hz, (LOWEST_HZ - READING_HZ, HIGHEST_HZ + READING_HZ))).then_some(hz)
}

/// Square of the result: power of a sine of `hz`. Phase as of the block's middle.
fn correlate(block: &[f32], hz: f32) -> Phasor {
    let angle = TAU * hz / RATE_HZ;
    let step = Phasor::of_angle(-angle);
    // Two at a time: the turning is a chain that one of them would wait for.
    let double = step.times(step);
    let start = Phasor::of_angle(angle * (BLOCK - 1) as f32 / 2.0);
    let mut turns = [start, start.times(step)];
    let mut sums = [Phasor::default(); 2];
    for pair in block.chunks_exact(2) {
        for lane in 0..2 {
            sums[lane].re += pair[lane] * turns[lane].re;
            sums[lane].im += pair[lane] * turns[lane].im;
            turns[lane] = turns[lane].times(double);
        }
    }
    let scale = 2f32.sqrt() / BLOCK as f32;
    Phasor { re: (sums[0].re + sums[1].re) * scale, im: (sums[0].im + sums[1].im) * scale }
}

/// How far from `hz` a tone is that was `before` in one block and is `now` in the next, Hz, −50 to 50.
fn stray_hz(hz: f32, before: Phasor, now: Phasor) -> f32 {
    let block = BLOCK as f32 / RATE_HZ;
    let turn = now.times(before.conjugate()).times(Phasor::of_angle(-TAU * (hz * block).fract()));
    turn.im.atan2(turn.re) / (TAU * block)
}

/// Samples of a block in which a tone of `power` stood, by what is left of its amplitude.
fn part_of_block(tone: Phasor, power: f32) -> u64 {
    // Between 0 and a block.
    ((tone.power() / power.max(1.0)).sqrt().min(1.0) * BLOCK as f32) as u64
}
