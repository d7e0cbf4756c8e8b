//! What the agent owes its caller beside answers: no dead air, an honest line for each failure, an end that is told
//! beforehand, keys that become an answer, a recording only with consent and never of a secret, and a trace to go on from
//! should the line be cut. Part of the call's machine. Invariants: a filler is no answer in any figure; after a panic of
//! ours the caller hears one line and the call ends; what is masked leaves the machine neither as a turn nor in the
//! recording. Deliberately absent: turn-taking, the words of the dialogue.

use super::tools::Looking;
use super::watch::{Patience, Step, Watch};
use super::{CallAction, CallInput, CallMachine, KEY_APART_MIN, PROGRESS_DEADLINE, Saying};
use crate::call::record::{CallEnd, EndClass};
use crate::conversation::{Changed, FILLER, Failure, Kept, Ledger, SetUpCode, Then};
use crate::id::UtteranceId;
use crate::time::{MediaTime, Tick};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// What the transcript has in place of a masked answer.
pub(super) const MASKED: &str = "(withheld)";
/// The recording stays silent for so long after a masked answer: the last key may still sound.
const UNMASK_AFTER: Duration = Duration::from_secs(1);
/// An utterance that ends the call has this long to be heard.
const LAST_LINE_MAX: Duration = Duration::from_secs(10);
/// The same when the daemon is stopping, and waits for its calls.
const STOPPING_LINE_MAX: Duration = Duration::from_secs(4);
/// At the end of the longest call, who speaks may finish for so long.
const FINISH_MAX: Duration = Duration::from_secs(10);
/// Lines of somebody outside that wait; further ones are not said.
const ANNOUNCEMENTS_MAX: usize = 8;
/// Failures of the recogniser in a row before the call is given up.
const HEARING_FAILURES_MAX: u8 = 4;
/// How sure a text is that the recogniser did not come to the end of: enough to go on with, never to approve anything.
const PARTIAL_CONFIDENCE: f32 = 0.3;
/// Words of which a farewell is made; a turn of nothing else takes up no conversation.
const FAREWELL: &[&str] = &[
    "bye", "goodbye", "good", "thanks", "thank", "you", "okay", "ok", "see", "ya", "take", "care", "have", "a", "nice",
    "great", "day", "evening", "one", "too", "the", "same", "to", "cheers", "alright", "all", "right", "yes", "yeah",
    "and", "very", "much", "so", "well", "now", "then",
];
const FAREWELL_HEADS: &[&str] = &["bye", "goodbye", "thanks", "thank", "cheers", "see", "care", "okay", "ok", "too"];

/// The state of all that.
#[derive(Debug, Default)]
pub(super) struct Duties {
    pub(super) patience: Patience,
    pub(super) watch: Watch,
    /// The transcript of the turn that is to be answered has come, while somebody had the floor.
    pub(super) whole: bool,
    /// The filler being said.
    pub(super) filler: Option<Saying>,
    /// What the recogniser believes of the turn so far.
    pub(super) partial: String,
    /// The recogniser failed in this turn.
    pub(super) hearing_failed: bool,
    hearing_failures: u8,
    /// What was run for whom.
    pub(super) ledger: Ledger,
    /// What is being looked up since when.
    pub(super) looking: Option<Looking>,
    /// What was being looked up when the caller interrupted.
    pub(super) interrupted: Option<String>,
    /// The caller is to be put through when what is being said is over.
    pub(super) putting_through: bool,
    /// Somebody is being rung for the caller.
    pub(super) transferring: bool,
    /// Nobody has taken the caller, who is to be told.
    pub(super) unreached: bool,
    /// What came of a change, which the caller is to be told.
    pub(super) changed: Option<Changed>,
    /// A build was handed over and not answered since when.
    pub(super) submitting: Option<Tick>,
    /// A line that waits for a pause.
    pub(super) line: Option<String>,
    /// Lines of somebody outside that wait for one.
    pub(super) announcements: VecDeque<String>,
    /// The phone holds the call.
    phone_holds: bool,
    /// The caller is with somebody else.
    away: bool,
    /// When the ACK came.
    pub(super) began: Option<Tick>,
    warned: bool,
    time_up: bool,
    /// When what was keyed is the answer.
    pub(super) key_due: Option<Tick>,
    pub(super) masking: bool,
    pub(super) unmask_at: Option<Tick>,
    /// What is being said for the caller's ear alone.
    pub(super) secrets: Vec<String>,
    /// How this build ended is being told with this sentence.
    pub(super) telling: Option<(String, String)>,
    /// What an app said of its first account, which the caller is to be told.
    pub(super) set_up: Option<Option<SetUpCode>>,
    /// The call ends then, heard or not.
    must_end: Option<Tick>,
    /// The dialogue has moved: see whether what is kept of it has changed.
    pub(super) stale: bool,
    kept: Option<Kept>,
    /// We have panicked.
    broken: bool,
}

impl CallMachine {
    /// The same with other times.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.duties.patience = patience;
        self
    }

    /// The same, where this is remembered already: it is not told anew.
    #[must_use]
    pub fn remembering(mut self, kept: Kept) -> Self {
        self.duties.kept = Some(kept);
        self
    }

    /// Takes one input. A panic on the way is one line to the caller and the end of the call.
    pub(super) fn guarded(&mut self, now: Tick, work: impl FnOnce(&mut Self)) {
        if self.duties.broken {
            return;
        }
        if catch_unwind(AssertUnwindSafe(|| work(self))).is_err() {
            tracing::error!(
                "the call's machine failed; the caller is told and the call ends. Please report this with the lines above"
            );
            self.break_down(now);
        }
    }

    /// Nothing of what was known is trusted any more.
    fn break_down(&mut self, now: Tick) {
        let patience = self.duties.patience;
        self.duties = Duties { patience, broken: true, must_end: Some(now + LAST_LINE_MAX), ..Duties::default() };
        (self.saying, self.end_of_turn, self.ducked) = (None, None, None);
        self.cuts.clear();
        self.generation.0 += 1;
        self.utterances += 1;
        let (utterance, generation) = (UtteranceId(self.utterances), self.generation);
        let text = Failure::Fault.line().to_owned();
        self.actions.push_back(CallAction::Flush(generation));
        self.actions.push_back(CallAction::Speak { utterance, generation, text });
    }

    /// After a panic: the last line is played, or not, and then the call ends.
    pub(super) fn handle_broken(&mut self, now: Tick, input: &CallInput) -> bool {
        if !self.duties.broken {
            return false;
        }
        let last = UtteranceId(self.utterances);
        let played = matches!(input, CallInput::Played { utterance, end: true, .. } if *utterance == last);
        if matches!(input, CallInput::Over) {
            self.ended = true;
        } else if played || self.duties.must_end.is_some_and(|due| now >= due) {
            self.ended = true;
            self.actions.push_back(CallAction::HangUp(CallEnd::new(EndClass::Failed, "a fault of ours, see the log")));
        }
        true
    }

    /// When something of this is due.
    pub(super) fn duties_due(&self) -> Option<Tick> {
        let duties = &self.duties;
        let flowing = self.is_flowing();
        let tool =
            [duties.looking.as_ref().map(|looking| looking.since), duties.submitting].into_iter().flatten().min();
        let filler = duties.filler.as_ref().filter(|_| flowing).map(|filler| filler.progress + PROGRESS_DEADLINE);
        [
            // Who has the floor is not told that something is late.
            duties.watch.due().filter(|_| flowing && !self.caller_speaking),
            filler,
            tool.map(|since| since + duties.patience.tool),
            duties.key_due.filter(|_| !duties.away),
            duties.unmask_at,
            duties.must_end,
            self.time_due(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Of the longest call: the warning, the end, and the end of patience with who speaks then.
    fn time_due(&self) -> Option<Tick> {
        let Duties { began: Some(began), patience, warned, time_up, .. } = &self.duties else { return None };
        let end = *began + patience.longest;
        if *time_up {
            return self.hang_up_after.is_none().then_some(end + FINISH_MAX);
        }
        let warns = !warned && patience.longest >= patience.warning * 2;
        Some(if warns { *began + (patience.longest - patience.warning) } else { end })
    }

    pub(super) fn handle_duties(&mut self, now: Tick) {
        let is_due = |due: Option<Tick>| due.is_some_and(|due| now >= due);
        if is_due(self.duties.must_end) {
            let end = self.hang_up_after.take();
            return self
                .hang_up(end.unwrap_or_else(|| CallEnd::new(EndClass::Failed, "the last words were not heard")));
        }
        if is_due(self.duties.unmask_at) {
            (self.duties.unmask_at, self.duties.masking) = (None, false);
            self.actions.push_back(CallAction::Withhold(false));
        }
        if is_due(self.duties.key_due.filter(|_| !self.duties.away)) {
            self.duties.key_due = None;
            let reply = self.dialogue.keys_over();
            self.perform(now, reply);
        }
        let patience = self.duties.patience.tool;
        if self.duties.looking.as_ref().is_some_and(|looking| now >= looking.since + patience) {
            self.fail(now, Failure::Tool);
        }
        if self.duties.submitting.is_some_and(|since| now >= since + patience) {
            self.duties.submitting = None;
            self.duties.line = Some(Failure::ToolSlow.line().to_owned());
        }
        let stuck = |filler: &Saying| now >= filler.progress + PROGRESS_DEADLINE;
        if self.is_flowing() && self.duties.filler.as_ref().is_some_and(stuck) {
            self.finish_filler(now);
        }
        if self.is_flowing()
            && !self.caller_speaking
            && let Some(step) = self.duties.watch.poll(now)
        {
            self.handle_dead_air(now, step);
        }
        if is_due(self.time_due()) {
            self.handle_time(now);
        }
        self.tell_waiting(now);
    }

    /// Whoever spoke over the agent only agreed: an answer that is owed is made, or waited for, as before.
    pub(super) fn take_floor_back(&mut self, now: Tick) {
        let (floor, whole) = (std::mem::take(&mut self.caller_speaking), std::mem::take(&mut self.duties.whole));
        match self.end_of_turn {
            Some(turn) if whole => self.conclude_turn(now, turn.decided),
            None if floor => self.carried.clear(),
            _ => {}
        }
    }

    /// Nothing of the answer has been heard for too long.
    fn handle_dead_air(&mut self, now: Tick, step: Step) {
        match step {
            Step::Filler => self.fill(now),
            Step::Fallback => {
                // What stands in for the recogniser is what it believed so far.
                let partial = std::mem::take(&mut self.duties.partial);
                if let Some(turn) = self.end_of_turn.filter(|_| !partial.is_empty()) {
                    self.given_up = Some(self.audio_now);
                    self.carry_partial(&partial, PARTIAL_CONFIDENCE);
                    self.conclude_turn(now, turn.decided);
                }
            }
            Step::Honest => {
                if let Some(turn) = self.end_of_turn {
                    // Should it come after all, it comes too late.
                    self.given_up = Some(self.audio_now);
                    self.duties.hearing_failed = true;
                    self.conclude_turn(now, turn.decided);
                } else if self.saying.as_ref().is_some_and(|said| !said.audible) {
                    self.handle_mute(now);
                } else if self.duties.looking.is_some() {
                    self.say(now, Failure::ToolSlow.line().to_owned());
                }
            }
        }
    }

    /// The phone holds the call, or takes it back.
    pub(super) fn handle_phone_held(&mut self, now: Tick, held: bool) {
        self.duties.phone_holds = held;
        self.handle_held(now, held || self.duties.away);
    }

    /// The caller goes to somebody else, or comes back: to the agent it is as if on hold.
    pub(super) fn handle_away(&mut self, now: Tick, away: bool) {
        if away && !self.duties.away {
            (self.caller_speaking, self.duties.whole) = (false, false);
            self.cut_playout();
            self.follow_turn(now);
        }
        self.duties.away = away;
        if !away {
            self.duties.transferring = false;
            // What was to be said to nobody is said no more; a key is waited for anew.
            if self.saying.as_ref().is_some_and(|said| !said.audible) {
                self.cut_playout();
            }
            self.duties.key_due = self.dialogue.between_keys().map(|wait| now + wait);
        }
        self.handle_held(now, away || self.duties.phone_holds);
    }

    /// Somebody outside has something said.
    pub(super) fn handle_announcement(&mut self, now: Tick, line: String) {
        if self.duties.announcements.len() < ANNOUNCEMENTS_MAX {
            self.duties.announcements.push_back(line);
        }
        self.tell_waiting(now);
    }

    /// The voice brings nothing: what was synthesised ahead can still be said, once.
    pub(super) fn handle_mute(&mut self, now: Tick) {
        if self.put_through() {
            return;
        }
        if let Some(end) = self.hang_up_after.take() {
            return self.hang_up(end);
        }
        self.fail(now, Failure::Voice);
    }

    /// Says the line of a failure, and what follows follows.
    pub(super) fn fail(&mut self, now: Tick, failure: Failure) {
        match failure {
            Failure::Tool => self.stop_looking(),
            Failure::Hearing if self.end_of_turn.is_some() || self.caller_speaking => {
                // Its turn is still answered, with nothing.
                self.duties.hearing_failed = true;
                return;
            }
            Failure::Hearing => return,
            _ => {}
        }
        if failure.then() == Then::HangUp {
            if self.hang_up_after.as_ref().is_some_and(is_final) {
                return;
            }
            let (class, why) = match failure {
                Failure::Stopping => (EndClass::Drained, "the service is stopping"),
                Failure::TooLong => (EndClass::TooLong, "it lasted as long as a call may last"),
                Failure::Voice => (EndClass::Failed, "the voice failed and no other could speak"),
                _ => (EndClass::Failed, "a fault of ours, see the log"),
            };
            self.hang_up_after = Some(CallEnd::new(class, why));
            let limit = if failure == Failure::Stopping { STOPPING_LINE_MAX } else { LAST_LINE_MAX };
            self.duties.must_end = Some(now + limit);
            self.end_of_turn = None;
            self.stop_looking();
            return self.say(now, failure.line().to_owned());
        }
        if self.caller_speaking || self.saying.is_some() || self.end_of_turn.is_some() || self.duties.away {
            self.duties.line = Some(failure.line().to_owned());
        } else {
            self.say(now, failure.line().to_owned());
        }
    }

    /// A turn of which the recogniser brought nothing because it failed.
    pub(super) fn handle_unheard(&mut self, now: Tick) {
        self.duties.hearing_failures += 1;
        let failure = match self.duties.hearing_failures {
            1 => Failure::Hearing,
            n if n <= HEARING_FAILURES_MAX => Failure::HearingAgain,
            _ => return self.fail(now, Failure::Fault),
        };
        self.say(now, failure.line().to_owned());
    }

    /// The recogniser has brought words.
    pub(super) fn note_heard(&mut self) {
        self.duties.hearing_failures = 0;
    }

    /// Stopping: the caller is told, if there is anybody to hear it.
    pub(super) fn handle_drain(&mut self, now: Tick) {
        if self.answered && self.is_flowing() {
            self.fail(now, Failure::Stopping);
        } else {
            self.hang_up(CallEnd::new(EndClass::Drained, "the service is stopping"));
        }
    }

    fn handle_time(&mut self, now: Tick) {
        let Some(began) = self.duties.began else { return };
        let end = began + self.duties.patience.longest;
        if now < end {
            self.duties.warned = true;
            let minutes = self.duties.patience.warning.as_secs() / 60;
            let left = if minutes <= 1 { "one minute".to_owned() } else { format!("{minutes} minutes") };
            self.duties.line = Some(format!("We have {left} left."));
            return;
        }
        self.duties.time_up = true;
        let busy = self.saying.is_some() || self.caller_speaking || self.end_of_turn.is_some();
        if !busy || self.held || now >= end + FINISH_MAX {
            self.fail(now, Failure::TooLong);
        }
    }

    /// Whether the time is up and only a pause is waited for.
    pub(super) fn is_time_up(&self) -> bool {
        self.duties.time_up && self.hang_up_after.is_none()
    }

    /// Says that an answer is on its way, ahead of one whose voice is late.
    fn fill(&mut self, now: Tick) {
        if self.caller_speaking || self.duties.filler.is_some() || self.hang_up_after.as_ref().is_some_and(is_final) {
            return;
        }
        self.utterances += 1;
        let utterance = UtteranceId(self.utterances);
        let text = FILLER.to_owned();
        self.actions.push_back(CallAction::Fill { utterance, generation: self.generation, text: text.clone() });
        self.duties.filler = Some(Saying::new(utterance, text, now, None));
        if self.saying.is_none() {
            self.turn.agent_speaking(utterance);
            self.follow_turn(now);
        }
    }

    /// The filler is over, or was not said.
    pub(super) fn finish_filler(&mut self, now: Tick) {
        let Some(filler) = self.duties.filler.take() else { return };
        self.turn.agent_silent(filler.utterance);
        if filler.audible {
            self.note_agent(filler.text, None);
        }
        if self.saying.is_none() {
            self.go_on();
            // The turn goes on being answered.
            self.follow_turn(now);
            self.tell_waiting(now);
        }
    }

    /// A key while digits are collected: what the caller said just before belongs to the answer.
    pub(super) fn take_said_before_key(&mut self) {
        if self.dialogue.is_collecting() {
            let said = format!("{} {}", self.carried, self.duties.partial);
            self.dialogue.said_before_key(&said);
        }
    }

    /// A caller's turn as the transcript has it.
    pub(super) fn noted(&self, text: &str) -> String {
        if self.dialogue.masks() && !text.is_empty() { MASKED.to_owned() } else { text.to_owned() }
    }

    /// The dialogue may have moved: what is recorded and what is kept follow it.
    pub(super) fn follow_dialogue(&mut self, now: Tick) {
        if self.ended || !std::mem::take(&mut self.duties.stale) {
            return;
        }
        let masks = self.dialogue.masks() || !self.duties.secrets.is_empty();
        if masks && (!self.duties.masking || self.duties.unmask_at.is_some()) {
            if !std::mem::replace(&mut self.duties.masking, true) {
                self.actions.push_back(CallAction::Withhold(true));
            }
            self.duties.unmask_at = None;
        } else if !masks && self.duties.masking && self.duties.unmask_at.is_none() {
            self.duties.unmask_at = Some(now + UNMASK_AFTER);
        }
        self.duties.key_due = self.dialogue.between_keys().map(|wait| now + wait);
        let kept = self.dialogue.kept();
        if kept != self.duties.kept {
            self.duties.kept.clone_from(&kept);
            self.actions.push_back(CallAction::Keep(kept.map(Box::new)));
        }
    }

    /// Whether what we send is heard.
    pub(super) fn is_flowing(&self) -> bool {
        // On hold nothing is sent, and to a phone that never sent anything hardly more: an utterance then waits, and the
        // end of the call is the media timeout's or the longest call's business.
        self.caller_sends && !self.held
    }

    /// Whether a key is not for us: it comes too soon after the last one, or too late, or is meant for somebody else.
    pub(super) fn is_vain_key(&self, now: Tick) -> bool {
        // No hand and no dialler is that fast, and every answer costs the voice that all calls share.
        self.keyed.is_some_and(|keyed| now.since(keyed) < KEY_APART_MIN)
            || self.hang_up_after.as_ref().is_some_and(is_final)
            || self.duties.away
    }

    /// Where the given up transcripts of a key end.
    pub(super) fn audio_now_or(&self, at: MediaTime) -> MediaTime {
        self.audio_now.max(at)
    }
}

/// Whether nothing that the caller does takes the conversation up again.
pub(super) fn is_final(end: &CallEnd) -> bool {
    end.class != EndClass::AgentHungUp
}

/// Whether a turn over our goodbye is a goodbye itself.
pub(super) fn is_farewell(text: &str) -> bool {
    let text = text.to_lowercase();
    let mut words =
        text.split(|c: char| !(c.is_alphanumeric() || c == '\'')).filter(|word| !word.is_empty()).peekable();
    let mut headed = false;
    words.peek().is_some()
        && words.all(|word| {
            headed |= FAREWELL_HEADS.contains(&word);
            FAREWELL.contains(&word)
        })
        && headed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::{Dialogue, Heard, Persona, WordTime};
    use crate::turn::{TurnConfig, TurnMachine};

    fn machine() -> CallMachine {
        let mut machine =
            CallMachine::new(Dialogue::new(Persona::default(), "conv_1"), TurnMachine::new(TurnConfig::default()));
        machine.handle(Tick(0), CallInput::FirstPacket);
        machine.handle(Tick(0), CallInput::Confirmed);
        while machine.poll_action().is_some() {}
        machine
    }

    #[test]
    fn a_panic_of_ours_is_one_line_and_the_end() {
        for heard in [true, false] {
            let mut machine = machine();
            machine.guarded(Tick(1), |_| panic!("scripted"));
            let mut said = None;
            while let Some(action) = machine.poll_action() {
                if let CallAction::Speak { utterance, text, .. } = action {
                    assert_eq!(text, Failure::Fault.line());
                    said = Some(utterance);
                }
            }
            let utterance = said.expect("a line");
            machine.handle(Tick(2), CallInput::Digit('1', MediaTime(0)));
            assert!(machine.poll_action().is_none(), "nothing else is done");
            if heard {
                machine.handle(Tick(3), CallInput::Played { utterance, samples: 8_000, end: true });
            } else {
                let due = machine.poll_timeout().expect("an end");
                machine.handle(due, CallInput::Timeout);
            }
            assert!(matches!(machine.poll_action(), Some(CallAction::HangUp(end)) if end.class == EndClass::Failed));
            machine.handle(Tick(u64::MAX), CallInput::Timeout);
            assert!(machine.poll_action().is_none());
        }
    }

    /// What was said from here on, and whether a build was handed over; it is heard as it is said.
    fn follow(machine: &mut CallMachine, now: Tick) -> (Vec<String>, bool) {
        let (mut said, mut submitted) = (Vec::new(), false);
        while let Some(action) = machine.poll_action() {
            match action {
                CallAction::Speak { utterance, text, .. } => {
                    let words = (0u32..).zip(text.split_whitespace());
                    let words = words.map(|(n, word)| WordTime {
                        word: word.to_owned(),
                        start_ms: n * 10,
                        end_ms: n * 10 + 10,
                    });
                    machine.handle(now, CallInput::SpeakStarted(utterance));
                    machine.handle(now, CallInput::Spoken { utterance, words: words.collect() });
                    machine.handle(now, CallInput::FirstAudible(utterance, now));
                    machine.handle(now, CallInput::Played { utterance, samples: 800_000, end: true });
                    said.push(text);
                }
                CallAction::Submit(_) => submitted = true,
                CallAction::HangUp(end) => panic!("hung up: {end:?}"),
                _ => {}
            }
        }
        (said, submitted)
    }

    #[test]
    fn keys_for_somebody_else_approve_nothing_and_cost_no_voice() {
        let mut machine = machine();
        let greeting = machine.saying.as_ref().map(|said| said.utterance).expect("a greeting");
        machine.handle(Tick(1), CallInput::FirstAudible(greeting, Tick(1)));
        machine.handle(Tick(2), CallInput::Played { utterance: greeting, samples: 8_000, end: true });
        let reply = machine.dialogue.hear_at(&Heard::certain("i need a crm with contacts and deals"), MediaTime(800));
        machine.perform(Tick(3), reply);
        let (said, _) = follow(&mut machine, Tick(4));
        assert!(said.last().is_some_and(|said| said.contains("Shall I build it")), "{said:?}");
        machine.handle(Tick(5), CallInput::Away(true));
        let second = |n: u64| Tick(n * 1_000_000_000);
        for n in 1..20 {
            machine.handle(second(n), CallInput::Digit(if n % 2 == 0 { '1' } else { '9' }, MediaTime(n * 8_000)));
            machine.handle(second(n), CallInput::Timeout);
        }
        assert_eq!(follow(&mut machine, second(20)), (Vec::new(), false), "they are meant for somebody else");
        machine.handle(second(21), CallInput::Away(false));
        machine.handle(second(21), CallInput::Announce("Nobody could take your call.".to_owned()));
        let (said, submitted) = follow(&mut machine, second(21));
        assert_eq!((said.first().map(String::as_str), submitted), (Some("Nobody could take your call."), false));
        for n in 22..32 {
            machine.handle(second(n), CallInput::Timeout);
            follow(&mut machine, second(n));
        }
        machine.handle(second(33), CallInput::Digit('1', MediaTime(33 * 8_000)));
        assert!(follow(&mut machine, second(33)).1, "now it is the answer");
    }

    #[test]
    fn what_fails_while_the_caller_is_away_is_said_afterwards() {
        let mut machine = machine();
        let greeting = machine.saying.as_ref().map(|said| said.utterance).expect("a greeting");
        machine.handle(Tick(1), CallInput::FirstAudible(greeting, Tick(1)));
        machine.handle(Tick(2), CallInput::Played { utterance: greeting, samples: 8_000, end: true });
        machine.handle(Tick(3), CallInput::Away(true));
        while machine.poll_action().is_some() {}
        machine.handle(Tick(4), CallInput::Failed(Failure::Disk));
        assert_eq!(follow(&mut machine, Tick(5)).0, Vec::<String>::new());
        machine.handle(Tick(6), CallInput::Away(false));
        assert_eq!(follow(&mut machine, Tick(7)).0, [Failure::Disk.line()]);
    }

    #[test]
    fn what_is_secret_stays_so_while_it_is_said_again() {
        let mut machine = machine();
        let code = "The set-up code is four eight one.";
        machine.keep_secret(code);
        // A key repeats it before the account of the first time has come.
        machine.keep_secret(code);
        for left in [1, 0] {
            let (mut text, mut heard) = (code.to_owned(), Some("The set-up code is four".to_owned()));
            machine.was_said(&mut text, &mut heard);
            assert!(!text.contains("four") && !heard.unwrap().contains("four"));
            machine.follow_dialogue(Tick(1));
            assert_eq!((machine.duties.secrets.len(), machine.duties.unmask_at.is_none()), (left, left == 1));
        }
    }

    #[test]
    fn farewells_are_told_from_words() {
        for farewell in ["bye", "Goodbye!", "thank you bye bye", "okay thanks", "you too", "see you"] {
            assert!(is_farewell(farewell), "{farewell}");
        }
        for other in ["", "how is the crm", "wait", "yes", "thank you but one more thing", "no"] {
            assert!(!is_farewell(other), "{other}");
        }
    }
}
