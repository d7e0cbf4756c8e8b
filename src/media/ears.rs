//! Who else hears a call: the recording, and the detector of keys in the audio. Purpose: both get what speech gets, on the
//! call's own audio time. Media workers; made by control. Invariants: nothing here waits; keys are looked for in the audio
//! only while the peer has agreed on no telephone events (it would say each key twice). Deliberately absent: files
//! (`recorder`), what a key means.

use crate::media::placing::{Placed, Placing, STEP_MAX, Stamp};
use crate::media::recorder::{Side, Tap};
use crate::time::MediaTime;
use callwright_dsp::dtmf::Detector;

/// Keys found in one go, at most: 60 ms hold one, and one that ends.
const FOUND_MAX: usize = 4;

/// Listeners of one call.
#[derive(Default)]
pub(super) struct Ears {
    tap: Option<Tap>,
    detector: Option<Box<Detector>>,
    /// Keys are looked for.
    searching: bool,
    found: [Option<char>; FOUND_MAX],
    /// Of either side, for audio without a position of its own.
    placing: [Placing; 2],
}

impl Ears {
    pub(super) fn new(tap: Option<Tap>, detector: Option<Box<Detector>>) -> Self {
        Self { tap, detector, ..Self::default() }
    }

    /// Whether keys are to be looked for in the audio.
    pub(super) fn set_searching(&mut self, searching: bool) {
        if self.searching != searching {
            self.searching = searching;
            if let Some(detector) = &mut self.detector {
                detector.reset(&mut |_| {});
            }
        }
    }

    /// Whether the call is recorded.
    pub(super) fn is_recording(&self) -> bool {
        self.tap.is_some()
    }

    /// The recording, to go on in another session.
    pub(super) fn take_tap(&mut self) -> Option<Tap> {
        self.tap.take()
    }

    /// The caller said this, and what answers it is placed alike.
    pub(super) fn handle_heard(&mut self, at: MediaTime, pcm: &[i16]) {
        if let Some(tap) = &mut self.tap {
            tap.push_samples(Side::Caller, at, pcm);
        }
        self.search(pcm);
    }

    /// The caller said this, while the other side of the call goes by the wall clock. `wall`: audio time by it; `stamp`: when
    /// the caller's phone says that it began.
    pub(super) fn handle_spoken(&mut self, wall: MediaTime, stamp: Stamp, pcm: &[i16]) {
        self.handle_passing(Side::Caller, wall, Some(stamp), pcm);
        self.search(pcm);
    }

    fn search(&mut self, pcm: &[i16]) {
        let found = &mut self.found;
        if let Some(detector) = self.detector.as_mut().filter(|_| self.searching) {
            detector.handle_audio(pcm, &mut |key| {
                if !key.ended
                    && let Some(place) = found.iter_mut().find(|place| place.is_none())
                {
                    *place = Some(key.digit);
                }
            });
        }
    }

    /// This stands in for what the caller said; empty for a pause of `samples`. As [`Self::handle_spoken`]; without a stamp
    /// it follows what was before.
    pub(super) fn handle_missing(&mut self, wall: MediaTime, stamp: Option<Stamp>, pcm: &[i16], samples: usize) {
        self.handle_passing(Side::Caller, wall, stamp, pcm);
        if let Some(detector) = self.detector.as_mut().filter(|_| self.searching) {
            detector.handle_lost(samples, &mut |_| {});
        }
    }

    /// This was sent to the caller.
    pub(super) fn handle_said(&mut self, at: MediaTime, pcm: &[i16]) {
        if let Some(tap) = &mut self.tap {
            tap.push_samples(Side::Agent, at, pcm);
        }
    }

    /// Audio of one side of a bridge, which keeps no audio time of its own. `wall`: audio time by the clock; `stamp`: when
    /// its sender says that it began, unless it is of our own making.
    pub(super) fn handle_passing(&mut self, side: Side, wall: MediaTime, stamp: Option<Stamp>, pcm: &[i16]) {
        let Some(tap) = self.tap.as_mut().filter(|_| !pcm.is_empty()) else { return };
        let Placed { at, fill, trim } = self.placing[usize::from(side == Side::Agent)].place(wall.0, stamp, pcm.len());
        // A millisecond backwards joins on without a click.
        let mut filling = [0; STEP_MAX];
        let filling = &mut filling[..fill.min(STEP_MAX).min(pcm.len())];
        for (filled, sample) in filling.iter_mut().rev().zip(pcm) {
            *filled = *sample;
        }
        tap.push_samples(side, MediaTime(at), filling);
        tap.push_samples(side, MediaTime(at + fill as u64), pcm.get(trim..).unwrap_or_default());
    }

    /// The next key that was found.
    pub(super) fn poll_key(&mut self) -> Option<char> {
        self.found.iter_mut().find_map(Option::take)
    }
}
