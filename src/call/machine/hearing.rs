//! What the caller's audio tells before there is a transcript. Purpose: hands it to the turn-taking machine and acts on what
//! that makes of it. Part of [`super`], same owner. Deliberately absent: transcripts, keys.

use super::{CallInput, CallMachine};
use crate::time::Tick;

impl CallMachine {
    /// Voice, sounds and words so far. Nothing else is meant here.
    pub(super) fn handle_hearing(&mut self, now: Tick, input: CallInput) {
        match input {
            CallInput::Voice { at, voiced, last_voiced, last_voiced_tick, onset_tick, sound } => {
                self.onset = onset_tick.unwrap_or(last_voiced_tick);
                if voiced {
                    self.last_voiced = last_voiced_tick;
                    self.last_voiced_at = self.last_voiced_at.max(last_voiced);
                    self.dialogue.caller_voice(last_voiced);
                }
                self.voiced = voiced;
                self.audio_now = self.audio_now.max(at);
                self.turn.handle_sound(at, sound);
                self.turn.handle_voice(at, voiced, last_voiced);
                let speaking = self.caller_speaking;
                self.follow_turn(now);
                if speaking && !self.caller_speaking {
                    // What had to wait for whoever had the floor.
                    self.tell_waiting(now);
                }
                self.follow_wish(now);
            }
            CallInput::Onset(at) => {
                self.turn.handle_onset(at);
                self.follow_turn(now);
            }
            CallInput::Stirring { at, now: heard_to, received } => {
                self.onset = received;
                self.turn.handle_stirring(at, heard_to);
                self.follow_turn(now);
            }
            CallInput::Heard(to) => {
                self.turn.handle_heard(to);
                self.follow_turn(now);
            }
            CallInput::Partial(text, until) => {
                if self.turn.is_judging()
                    && let Some(said) = &self.saying
                {
                    let (words, asked) = said.said_last();
                    self.turn.agent_has_said(&words, asked);
                }
                // Over a filler: what stands in for the turn that is owed an answer is not what is said meanwhile.
                if !(self.turn.is_judging() && self.end_of_turn.is_some()) {
                    self.duties.partial.clone_from(&text);
                }
                self.turn.handle_partial_to(&text, until);
                self.follow_turn(now);
            }
            CallInput::EndOfTurn { at, probability } => {
                self.turn.handle_end_of_turn(at, probability);
                self.follow_turn(now);
            }
            _ => {}
        }
    }
}
