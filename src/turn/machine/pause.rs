//! The caller's pauses: whether they are the end of the turn, and what is learnt of them. Part of [`super`], same owner.
//! Deliberately absent: how long a pause may be (`endpoint`).

use super::super::endpoint::Evidence;
use super::super::transitions::Input;
use super::{AFTER_LONGEST_TURN, TurnEvent, TurnMachine};
use crate::limits::TURN_MAX;
use std::time::Duration;

/// From this probability on the end of a turn is worth preparing for.
const LIKELY: f32 = 0.6;
/// No sooner: stops in words are shorter, and the words of the last syllables are still to come.
const LIKELY_AFTER: Duration = Duration::from_millis(160);

impl TurnMachine {
    pub(super) fn judge_pause(&mut self) {
        let waited = self.now.since(self.last_voiced);
        let too_long = self.now.since(self.turn_started) >= TURN_MAX;
        let evidence = self.evidence();
        let (over, sounded) = (waited >= evidence.wait(), evidence.sounded);
        if !over {
            self.announce_end(waited, None);
        }
        if over || too_long {
            self.deaf = waited < AFTER_LONGEST_TURN;
            self.run = None;
            self.turn_voiced_to = self.last_voiced;
            self.ended = Some(sounded);
            self.push(TurnEvent::EndOfTurn { at: self.now, waited });
            self.enter(Input::PauseOver);
        }
    }

    /// Tells, once a pause, that the caller has probably finished. `voiced`: voice of one who is not known to have the turn.
    pub(super) fn announce_end(&mut self, waited: Duration, voiced: Option<Duration>) {
        let evidence = Evidence { voiced: voiced.or(Some(self.voiced)), ..self.evidence() };
        if !self.partial.is_empty()
            && self.announced < self.last_voiced
            && waited >= LIKELY_AFTER
            && evidence.probability_after(waited) >= LIKELY
        {
            self.announced = self.last_voiced;
            self.push(TurnEvent::LikelyEnd { at: self.now });
        }
    }

    /// What speaks for the end in this pause.
    fn evidence(&self) -> Evidence<'_> {
        Evidence {
            expect: self.expect,
            text: &self.partial,
            whole: self.whole && !self.partial.is_empty(),
            sounded: self.sounded.filter(|(at, _)| *at > self.last_voiced).map(|(_, probability)| probability),
            contour: self.contour,
            pauses: self.pauses,
            voiced: Some(self.voiced),
        }
    }

    /// The turn before was over as decided: what is said now is another.
    pub(super) fn confirm_end(&mut self) {
        if let Some(sounded) = self.ended.take() {
            self.pauses.end(sounded);
        }
    }

    /// The turn before was not over: whoever took it for over is believed less.
    pub(super) fn was_no_end(&mut self) {
        if let Some(sounded) = self.ended.take().flatten() {
            self.sounded = None;
            self.pauses.went_on(sounded);
        }
    }

    /// The caller went on after a pause: it counts once the voice has lasted.
    pub(super) fn learn_pause(&mut self) {
        let lasted = self.run.is_some_and(|run| run.voiced >= self.config.start_after);
        if lasted && let Some(pause) = self.paused.take() {
            self.pauses.learn(pause);
            if let Some((_, sounded)) = self.sounded.take_if(|(at, _)| *at <= self.last_voiced) {
                self.pauses.went_on(sounded);
            }
        }
    }
}
