//! Where speech starts and ends in one call's audio. Sans-IO: chunks and probabilities in, decisions out; owned by the ears.
//!
//! Onset wants [`ONSET_CHUNKS`] voiced chunks in a row, so that a click is none; while somebody speaks a lower probability
//! still counts as voice; [`QUIET_CHUNKS`] without voice end the stretch, so that the next voice is a new onset. Once the turn
//! is over, less does: people who talk in the background would stretch it until the caller's next words are a part of it,
//! and words without an onset are nobody's. The end of
//! speech is found to 4 ms by level, because a model that judges 32 ms with memory hangs on after the last sound.
//! Deliberately absent: how long a pause ends a turn (`turn`), the model (`models::vad`).

use crate::time::MediaTime;
use callwright_models::vad::CHUNK_SAMPLES;

/// Voiced chunks in a row that make an onset: 64 ms.
pub(super) const ONSET_CHUNKS: u32 = 2;
/// Unvoiced chunks that end a stretch of speech: 320 ms.
const QUIET_CHUNKS: u32 = 10;
/// The same when the turn is over: 128 ms. Stops in words are shorter.
const RELEASED_CHUNKS: u32 = 4;
/// Probability that counts as voice while somebody speaks, as a share of the threshold for the onset.
const STAY_SHARE: f32 = 0.7;
/// Probability from which on it may be the beginning of speech, as a share of the same.
const STIR_SHARE: f32 = 0.35;
/// A chunk below this level is silence whatever a model says (about −60 dBFS): comfort noise, or nothing.
const GATE_MEAN_SQUARE: f32 = 33.0 * 33.0;
/// The end of speech is the last block within this of the speech's own level (−30 dB as a ratio of powers).
const TAIL_RATIO: f32 = 0.001;
/// Resolution of the end of speech: 4 ms.
const BLOCK_SAMPLES: usize = 32;

/// What one chunk meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Judgement {
    /// Speech began, at this sample.
    pub(super) onset: Option<MediaTime>,
    /// Somebody is speaking in this chunk.
    pub(super) voiced: bool,
    /// This may be the first chunk of speech.
    pub(super) stirring: bool,
}

/// One call's stretches of speech.
#[derive(Clone, Debug)]
pub(super) struct VoiceTracker {
    /// Probability that counts as voice before the onset.
    threshold: f32,
    speaking: bool,
    /// The turn that this stretch belonged to is over.
    released: bool,
    voiced_in_a_row: u32,
    unvoiced_in_a_row: u32,
    candidate: MediaTime,
    candidate_end: MediaTime,
    last_voiced: MediaTime,
    /// Running mean square of voiced chunks.
    level: f32,
}

/// Mean square of samples.
pub(super) fn mean_square(samples: &[i16]) -> f32 {
    let sum: f32 = samples.iter().map(|s| f32::from(*s) * f32::from(*s)).sum();
    if samples.is_empty() { 0.0 } else { sum / samples.len() as f32 }
}

/// Whether a chunk is loud enough to be worth a model's time.
pub(super) fn above_gate(samples: &[i16]) -> bool {
    mean_square(samples) >= GATE_MEAN_SQUARE
}

impl VoiceTracker {
    /// One that takes chunks for voice from this probability on.
    pub(super) fn new(threshold: f32) -> Self {
        Self {
            threshold,
            speaking: false,
            released: false,
            voiced_in_a_row: 0,
            unvoiced_in_a_row: 0,
            candidate: MediaTime(0),
            candidate_end: MediaTime(0),
            last_voiced: MediaTime(0),
            level: 0.0,
        }
    }

    /// Takes the chunk that begins at `at` with the model's probability (0 for one below the gate).
    pub(super) fn handle_chunk(
        &mut self,
        at: MediaTime,
        samples: &[i16; CHUNK_SAMPLES],
        probability: f32,
    ) -> Judgement {
        let threshold = if self.speaking && !self.released { self.threshold * STAY_SHARE } else { self.threshold };
        let voiced = probability >= threshold;
        let mut onset = None;
        if voiced {
            self.unvoiced_in_a_row = 0;
            self.voiced_in_a_row += 1;
            let level = mean_square(samples);
            self.level = if self.voiced_in_a_row == 1 && !self.speaking { level } else { self.level.max(level) };
            if !self.speaking {
                if self.voiced_in_a_row == 1 {
                    self.candidate = MediaTime(at.0 + self.first_loud(samples));
                }
                self.candidate_end = self.end_of_sound(at, samples).unwrap_or(self.candidate_end);
                if self.voiced_in_a_row >= ONSET_CHUNKS {
                    self.speaking = true;
                    onset = Some(self.candidate);
                    self.last_voiced = self.candidate_end.max(self.candidate);
                }
            } else if let Some(end) = self.end_of_sound(at, samples) {
                self.last_voiced = end;
            }
            // The level follows a speaker who turns away: half-life about 1.4 s.
            self.level *= 0.985;
        } else {
            self.voiced_in_a_row = 0;
            self.unvoiced_in_a_row += 1;
            self.end_if_quiet();
        }
        let stirring = !self.speaking && probability >= self.threshold * STIR_SHARE && self.voiced_in_a_row <= 1;
        Judgement { onset, voiced: voiced && self.speaking, stirring }
    }

    /// The turn is over: what is left of the stretch belongs to none, and ends with a short pause.
    pub(super) fn release(&mut self) {
        self.released = self.speaking;
        self.end_if_quiet();
    }

    /// A turn goes on in this stretch after all.
    pub(super) fn claim(&mut self) {
        self.released = false;
    }

    fn end_if_quiet(&mut self) {
        let enough = if self.released { RELEASED_CHUNKS } else { QUIET_CHUNKS };
        if self.speaking && self.unvoiced_in_a_row >= enough {
            (self.speaking, self.released) = (false, false);
        }
    }

    /// What comes next does not follow on what was: whoever speaks then begins to.
    pub(super) fn interrupt(&mut self) {
        (self.speaking, self.released) = (false, false);
        (self.voiced_in_a_row, self.unvoiced_in_a_row) = (0, 0);
    }

    /// End of the last speech so far, zero when there was none.
    pub(super) fn last_voiced(&self) -> MediaTime {
        self.last_voiced
    }

    /// Within a stretch of speech, short pauses included.
    pub(super) fn speaking(&self) -> bool {
        self.speaking
    }

    /// In voice that is, or may become, a stretch of speech.
    pub(super) fn in_voice(&self) -> bool {
        self.speaking || self.voiced_in_a_row > 0
    }

    fn loud(&self, block: &[i16]) -> bool {
        mean_square(block) >= (self.level * TAIL_RATIO).max(GATE_MEAN_SQUARE)
    }

    fn first_loud(&self, samples: &[i16; CHUNK_SAMPLES]) -> u64 {
        let quiet = samples.chunks(BLOCK_SAMPLES).take_while(|block| !self.loud(block)).count();
        (quiet.min(CHUNK_SAMPLES / BLOCK_SAMPLES - 1) * BLOCK_SAMPLES) as u64
    }

    fn end_of_sound(&self, at: MediaTime, samples: &[i16; CHUNK_SAMPLES]) -> Option<MediaTime> {
        let last = samples.chunks(BLOCK_SAMPLES).rposition(|block| self.loud(block))?;
        Some(MediaTime(at.0 + ((last + 1) * BLOCK_SAMPLES) as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOUD: [i16; CHUNK_SAMPLES] = [3000; CHUNK_SAMPLES];
    const SILENT: [i16; CHUNK_SAMPLES] = [0; CHUNK_SAMPLES];

    fn run(tracker: &mut VoiceTracker, at: &mut u64, chunk: &[i16; CHUNK_SAMPLES], probability: f32) -> Judgement {
        let judgement = tracker.handle_chunk(MediaTime(*at), chunk, probability);
        *at += CHUNK_SAMPLES as u64;
        judgement
    }

    #[test]
    fn a_click_is_no_onset_and_two_chunks_are() {
        let (mut tracker, mut at) = (VoiceTracker::new(0.6), 0);
        assert_eq!(run(&mut tracker, &mut at, &LOUD, 0.9), Judgement { onset: None, voiced: false, stirring: true });
        run(&mut tracker, &mut at, &SILENT, 0.1);
        let mut half = SILENT;
        half[128..].fill(3000);
        assert_eq!(run(&mut tracker, &mut at, &half, 0.9).onset, None);
        let judgement = run(&mut tracker, &mut at, &LOUD, 0.9);
        assert_eq!(judgement, Judgement { onset: Some(MediaTime(2 * 256 + 128)), voiced: true, stirring: false });
        assert_eq!(tracker.last_voiced(), MediaTime(4 * 256));
    }

    #[test]
    fn speech_ends_where_the_sound_ends_not_where_the_model_lets_go() {
        let (mut tracker, mut at) = (VoiceTracker::new(0.6), 0);
        for _ in 0..10 {
            run(&mut tracker, &mut at, &LOUD, 0.9);
        }
        let mut tail = LOUD;
        tail[64..].fill(0);
        run(&mut tracker, &mut at, &tail, 0.8);
        for _ in 0..3 {
            assert!(run(&mut tracker, &mut at, &SILENT, 0.45).voiced, "the model hangs on");
        }
        assert_eq!(tracker.last_voiced(), MediaTime(10 * 256 + 64));
    }

    #[test]
    fn a_pause_within_speech_is_bridged_and_a_long_one_makes_a_new_onset() {
        let (mut tracker, mut at) = (VoiceTracker::new(0.6), 0);
        let mut onsets = 0;
        for (chunks, probability) in [(5, 0.9), (9, 0.0), (5, 0.45), (10, 0.0), (5, 0.55), (5, 0.9)] {
            for _ in 0..chunks {
                onsets += u32::from(run(&mut tracker, &mut at, &LOUD, probability).onset.is_some());
            }
        }
        assert_eq!(onsets, 2);
        assert!(tracker.speaking());
    }

    #[test]
    fn once_the_turn_is_over_a_short_pause_or_mere_murmur_makes_the_next_voice_an_onset() {
        // Chunks and probability between two voices; whether the turn is over before them or behind them; whether the next
        // voice is an onset.
        for (between, probability, over, late, expected) in [
            (9, 0.0, false, false, false),
            (4, 0.0, true, false, true),
            (4, 0.0, true, true, true),
            (3, 0.0, true, false, false),
            (3, 0.0, true, true, false),
            (40, 0.5, false, false, false),
            (40, 0.5, true, false, true),
            // Whoever speaks on without a pause began before.
            (40, 0.7, true, false, false),
        ] {
            let (mut tracker, mut at) = (VoiceTracker::new(0.6), 0);
            let mut voice = |tracker: &mut VoiceTracker, chunks: u32, probability: f32| {
                (0..chunks).filter(|_| run(tracker, &mut at, &LOUD, probability).onset.is_some()).count()
            };
            assert_eq!(voice(&mut tracker, 5, 0.9), 1);
            if over && !late {
                tracker.release();
            }
            voice(&mut tracker, between, probability);
            if over && late {
                tracker.release();
            }
            let onsets = voice(&mut tracker, 5, 0.9);
            assert_eq!(onsets == 1, expected, "{between} chunks of {probability}, over: {over}, late: {late}");
            // The next stretch is as long as any.
            voice(&mut tracker, 9, 0.45);
            assert!(!expected || tracker.speaking());
        }
    }

    #[test]
    fn the_threshold_is_the_operators_and_the_hysteresis_follows() {
        for threshold in [0.3, 0.6, 0.9] {
            let (mut tracker, mut at) = (VoiceTracker::new(threshold), 0);
            for _ in 0..5 {
                assert!(!run(&mut tracker, &mut at, &LOUD, threshold - 0.01).voiced);
            }
            run(&mut tracker, &mut at, &LOUD, threshold);
            assert!(run(&mut tracker, &mut at, &LOUD, threshold).onset.is_some());
            assert!(run(&mut tracker, &mut at, &LOUD, threshold * 0.7 + 0.01).voiced);
            assert!(!run(&mut tracker, &mut at, &LOUD, threshold * 0.7 - 0.01).voiced);
        }
    }
}
