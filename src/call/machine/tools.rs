//! What a call has done besides talking: builds, look-ups, call backs, a person rung. Part of the call's machine. Invariants:
//! nothing runs twice for one turn (the ledger); an interruption cancels what only looks things up, and takes it up again where
//! it asked for nothing else; the result of what was cancelled is never told; once a person was asked for, only the caller
//! takes it back. Deliberately absent: doing it (the actor).

use super::duties::MASKED;
use super::{CallAction, CallMachine};
use crate::conversation::{AppFacts, Changed, Failure, Intent, Reply, Run, SetUpCode, Tool};
use crate::pipeline::intent::{Act, Context, understand};
use crate::time::Tick;

/// A look-up under way.
#[derive(Debug)]
pub(super) struct Looking {
    run: Run,
    subject: String,
    pub(super) since: Tick,
}

impl CallMachine {
    /// Too many wrong PINs have come, in whatever calls: none is taken any more.
    pub fn close_pin(&mut self) {
        self.dialogue.close_pin();
    }

    /// What a reply wants done.
    pub(super) fn run_tool(&mut self, now: Tick, intent: Intent) {
        let mut begin = |tool, arguments: &str| self.duties.ledger.begin(tool, arguments);
        match intent {
            Intent::Build(manifest) => {
                if begin(Tool::Build, &manifest.manifest_id).is_some() {
                    self.duties.submitting = Some(now);
                    self.actions.push_back(CallAction::Submit(Box::new(manifest)));
                }
            }
            Intent::Report { subject } => self.look_up(now, subject),
            Intent::Change(change) => {
                if begin(Tool::Change, &format!("{change:?}")).is_some() {
                    self.actions.push_back(CallAction::Change(change));
                }
            }
            Intent::Record(allowed) => {
                if begin(Tool::Record, &allowed.to_string()).is_some() {
                    self.actions.push_back(CallAction::Record(allowed));
                }
            }
            Intent::CallBack { number, name } => {
                let arguments = format!("{number} {}", name.as_deref().unwrap_or_default());
                if begin(Tool::CallBack, &arguments).is_some() {
                    self.actions.push_back(CallAction::CallBack { number, name });
                }
            }
            Intent::ReturnCall(wanted) => {
                if begin(Tool::ReturnCall, &wanted.to_string()).is_some() {
                    self.actions.push_back(CallAction::ReturnCall(wanted));
                }
            }
            Intent::Answer { question, value, follow_up } => {
                let arguments = format!("{} {} {value}", question.build_id, question.name);
                if begin(Tool::Answer, &arguments).is_some() {
                    if follow_up {
                        self.duties.submitting = Some(now);
                    }
                    self.actions.push_back(CallAction::Answer { question, value, follow_up });
                }
            }
            Intent::SetUpCode { slug } => {
                if begin(Tool::SetUpCode, &slug).is_some() {
                    self.actions.push_back(CallAction::SetUpCode(slug));
                }
            }
            // Nothing that the caller wants.
            Intent::Told { build_id, line } => return self.duties.telling = Some((build_id, line)),
            Intent::PutThrough => self.duties.putting_through = true,
            // Nobody is configured to take the call, and the dialogue has said so.
            Intent::Operator => {}
        }
        // Whatever else the caller wants, what was interrupted is not gone back to.
        self.duties.interrupted = None;
    }

    /// What the caller asked for in other talk is taken up when nobody has spoken for a while.
    pub(super) fn follow_wish(&mut self, now: Tick) {
        let quiet = self.saying.is_none() && !self.caller_speaking && self.end_of_turn.is_none();
        if !quiet || self.held || self.ended || self.hang_up_after.is_some() || self.duties.transferring {
            return;
        }
        if let Some(reply) = self.dialogue.poll_wish(self.audio_now) {
            self.perform(now, reply);
        }
    }

    fn look_up(&mut self, now: Tick, subject: String) {
        let Some(run) = self.duties.ledger.begin(Tool::LookUp, &subject) else { return };
        self.stop_looking();
        self.facts = None;
        self.duties.looking = Some(Looking { run, subject: subject.clone(), since: now });
        self.actions.push_back(CallAction::LookUp { run, subject });
    }

    pub(super) fn handle_found(&mut self, now: Tick, run: Run, facts: Option<AppFacts>) {
        // What was given up is not told any more.
        let wanted = if facts.is_some() { self.duties.ledger.finish(run) } else { self.duties.ledger.fail(run) };
        if !wanted || self.duties.looking.take_if(|looking| looking.run == run).is_none() {
            return;
        }
        match facts {
            Some(facts) => {
                self.facts = Some(facts);
                self.tell_waiting(now);
            }
            None => self.fail(now, Failure::Tool),
        }
    }

    /// What came of a change to what there is.
    pub(super) fn handle_changed(&mut self, now: Tick, outcome: Changed) {
        self.duties.changed = Some(outcome);
        self.tell_waiting(now);
    }

    /// What the app says of its first account.
    pub(super) fn handle_set_up_code(&mut self, now: Tick, found: Option<SetUpCode>) {
        self.duties.set_up = Some(found);
        self.tell_waiting(now);
    }

    /// An utterance was said as far as `heard`, `None`: to its end. News in it count as told when their sentence was heard; what
    /// is secret is not in the transcript.
    pub(super) fn was_said(&mut self, text: &mut String, heard: &mut Option<String>) {
        let reached = |line: &str| match &heard {
            None => text.contains(line),
            Some(heard) => heard.contains(line),
        };
        if let Some((build, _)) = self.duties.telling.take_if(|(_, line)| reached(line)) {
            self.actions.push_back(CallAction::Told(build));
        }
        if let Some(at) = self.duties.secrets.iter().position(|secret| secret == text) {
            // One of them: the same may be being said again.
            self.duties.secrets.remove(at);
            MASKED.clone_into(text);
            *heard = heard.as_ref().map(|_| MASKED.to_owned());
            self.duties.stale = true;
        }
    }

    /// What is about to be said is for the caller's ear alone: the recording is silent meanwhile.
    pub(super) fn keep_secret(&mut self, text: &str) {
        if !std::mem::replace(&mut self.duties.masking, true) {
            self.actions.push_back(CallAction::Withhold(true));
        }
        self.duties.unmask_at = None;
        self.duties.secrets.push(text.to_owned());
    }

    /// The next thing that waits for a pause, in the order in which it is told.
    pub(super) fn next_told(&mut self) -> Option<Reply> {
        if std::mem::take(&mut self.duties.unreached) {
            return Some(self.dialogue.not_put_through());
        }
        if let Some(why) = self.refused.take() {
            return Some(self.dialogue.build_refused(&why));
        }
        if let Some(outcome) = self.duties.changed.take() {
            return Some(self.dialogue.changed(outcome)).filter(|reply| !reply.say.is_empty());
        }
        if let Some(found) = self.duties.set_up.take() {
            return Some(self.dialogue.set_up_code(found));
        }
        self.facts.take().map(|facts| self.dialogue.facts(&facts))
    }

    /// It takes too long, or something else is looked up.
    pub(super) fn stop_looking(&mut self) {
        if let Some(looking) = self.duties.looking.take() {
            self.duties.ledger.fail(looking.run);
            self.actions.push_back(CallAction::Cancel(looking.run));
        }
    }

    /// The caller takes the turn: what may be cancelled is.
    pub(super) fn cancel_tools(&mut self) {
        for (run, ..) in self.duties.ledger.interrupt() {
            self.actions.push_back(CallAction::Cancel(run));
            if let Some(looking) = self.duties.looking.take_if(|looking| looking.run == run) {
                self.duties.interrupted = Some(looking.subject);
            }
        }
    }

    /// Whether a look-up that was interrupted goes on: the caller has asked for nothing else ("hello?", a noise).
    pub(super) fn look_up_again(&mut self, now: Tick, text: &str) -> bool {
        let Some(subject) = self.duties.interrupted.take() else { return false };
        let act = understand(text, Context::Free).act;
        if !matches!(act, Act::Nothing | Act::Greeting | Act::Other | Act::Unsure) {
            return false;
        }
        self.look_up(now, subject);
        let patience = self.duties.patience;
        self.duties.watch.begin(now, &patience);
        self.turn.nothing_to_say();
        self.follow_turn(now);
        true
    }

    /// Where the caller is to be put through: begins it. Whether that was so.
    pub(super) fn put_through(&mut self) -> bool {
        if !std::mem::take(&mut self.duties.putting_through) {
            return false;
        }
        if !std::mem::replace(&mut self.duties.transferring, true) {
            self.duties.watch.stop();
            self.duties.ledger.begin(Tool::PutThrough, "");
            self.actions.push_back(CallAction::PutThrough);
        }
        true
    }

    /// Nobody has taken the caller.
    pub(super) fn handle_not_put_through(&mut self, now: Tick) {
        (self.duties.transferring, self.duties.unreached) = (false, true);
        self.duties.ledger.next_turn();
        self.tell_waiting(now);
    }
}
