//! A sound over the agent's voice that is under judgement, and one that was let pass. Purpose: what [`super::machine`] has
//! gathered of it so far. Pure. Deliberately absent: the verdict (`interruption`).

use super::interruption::FALLEN_DB;
use super::murmur::Murmur;
use super::sound::Sound;
use crate::time::MediaTime;
use std::time::Duration;

/// At most so much quieter than its loudest, it is about as loud.
const SOUNDING_DB: f32 = 12.0;

/// Voice with only short gaps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) start: MediaTime,
    pub(super) voiced: Duration,
    pub(super) end: MediaTime,
}

/// A sound that was no interruption and went on when it was judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passed {
    pub(super) was: Suspicion,
    pub(super) end: MediaTime,
}

/// A sound under judgement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Suspicion {
    pub(super) onset: MediaTime,
    /// Where it began to sound: before that, where it was let pass until it was known for a voice.
    pub(super) began: MediaTime,
    /// Voice in it, pauses left out, and what of that had a pitch.
    pub(super) voiced: Duration,
    pub(super) pitched: Duration,
    pub(super) last_voice: MediaTime,
    /// Voice just before it that was taken for an aside, where there was no pause between.
    pub(super) before: Duration,
    /// What the recogniser last said is of the audio up to here.
    pub(super) told_to: MediaTime,
    /// Its loudest, dBFS.
    pub(super) peak: f32,
    /// When it was last about as loud as that.
    pub(super) loud_at: MediaTime,
    /// Since when it has been much quieter than that.
    pub(super) fallen_since: Option<MediaTime>,
    pub(super) murmur: Murmur,
    /// It was let pass before there was enough of it to be judged.
    pub(super) early: bool,
    /// It is known for a voice, or looks like one.
    pub(super) voice: bool,
    /// Whoever makes it has been given the floor.
    pub(super) floor: bool,
}

impl Suspicion {
    /// What the audio from `began` to `at` sounds like.
    pub(super) fn handle_sound(&mut self, began: MediaTime, at: MediaTime, sound: Sound) {
        self.peak = self.peak.max(sound.level_dbfs);
        if sound.level_dbfs >= self.peak - SOUNDING_DB {
            self.loud_at = at;
        }
        self.murmur.push(sound.level_dbfs, sound.bright_db);
        let fallen = sound.level_dbfs < self.peak - FALLEN_DB;
        self.fallen_since = fallen.then(|| self.fallen_since.unwrap_or(began));
        self.voice |= sound.stirring;
    }
}
