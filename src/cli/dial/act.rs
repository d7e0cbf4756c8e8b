//! A script in action. Purpose: decide what the caller does next from what it hears, in virtual time. Sans-IO: time and
//! the line's state come in as arguments, what is to be done comes out of [`Actor::poll`]. Owner: the phone's loop.
//!
//! Only words that the agent began to say after the caller's last action count for an expectation: an answer that was
//! there before the question proves nothing. Deliberately absent: audio, recognition, signalling.

use std::time::Duration;

use super::score::{Part, PartKind};
use super::script::{Action, Entry, Step};
use super::words::Heard;
use crate::time::Tick;

/// Agent audio in a row: pauses shorter than this lie inside one stretch of speech.
pub const PAUSE: Duration = Duration::from_millis(300);

/// What the line knows about the agent at this moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LineView {
    /// When the agent became audible after a pause, the last time it did.
    pub onset: Option<Tick>,
    /// When the agent was audible last.
    pub last_audible: Option<Tick>,
    /// The last part that has been sent completely (0 = none).
    pub finished_part: u32,
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Send step `step`'s audio or digits as part `part`.
    Send {
        /// Index into the steps.
        step: usize,
        /// Number in the capture.
        part: u32,
    },
    /// The script is over, well or badly: end the call.
    HangUp,
}

/// How a step went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Index into the steps.
    pub step: usize,
    /// When it was over.
    pub at: Tick,
    /// None when it went well, else what went wrong.
    pub failure: Option<String>,
    /// What had been heard when an expectation was met or given up.
    pub heard: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// Waiting for the condition of the current step.
    Waiting,
    /// Sending part `part`.
    Sending { part: u32 },
    /// Nothing more to do.
    Done,
}

/// Plays a script.
#[derive(Debug)]
pub struct Actor {
    steps: Vec<Step>,
    at: usize,
    doing: Doing,
    /// When the current step began.
    began: Tick,
    /// When the caller began its last action: earlier words of the agent answer something else.
    acted: Tick,
    /// When the caller's last action was over.
    rested: Tick,
    heard: Heard,
    /// The same as another recogniser reads it.
    also: Heard,
    parts: Vec<Part>,
    outcomes: Vec<Outcome>,
    hung_up: bool,
}

impl Actor {
    /// Begins at `answered`.
    pub fn new(steps: Vec<Step>, answered: Tick) -> Self {
        Self {
            steps,
            at: 0,
            doing: Doing::Waiting,
            began: answered,
            acted: answered,
            rested: answered,
            heard: Heard::default(),
            also: Heard::default(),
            parts: Vec::new(),
            outcomes: Vec::new(),
            hung_up: false,
        }
    }

    /// A piece of the agent's speech was recognised; it began at `from`.
    pub fn handle_words(&mut self, from: Tick, text: &str) {
        if from >= self.acted {
            self.heard.push(text);
        }
    }

    /// The words of [`handle_words`](Self::handle_words) as another recogniser reads them: a phrase was said when one of
    /// the two has heard all of it.
    pub fn handle_other_reading(&mut self, from: Tick, text: &str) {
        if from >= self.acted {
            self.also.push(text);
        }
    }

    /// The far end hung up.
    pub fn handle_hung_up(&mut self, now: Tick) {
        self.hung_up = true;
        let open = self.steps.get(self.at..).unwrap_or_default();
        // Words that are still being recognised may yet meet an expectation, so only `finish` judges those.
        if self.doing != Doing::Done && open.iter().all(|s| s.action == Action::HangUp) {
            self.end(now, None);
        }
    }

    /// No more input will come: whatever is still open has failed.
    pub fn finish(&mut self, now: Tick, why: &str) {
        self.poll(now, &LineView { finished_part: u32::MAX, ..LineView::default() });
        if self.doing != Doing::Done {
            let why = match self.expected() {
                Some(missing) => format!("{why} before the agent said {missing}"),
                None => format!("{why} before this step was done"),
            };
            self.end(now, Some(why));
        }
    }

    /// Whether everything has been done.
    pub fn is_done(&self) -> bool {
        self.doing == Doing::Done
    }

    /// What the caller sent so far; part `n` of the capture is index `n − 1`.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The step that is being done.
    pub fn current(&self) -> Option<&Step> {
        self.steps.get(self.at).filter(|_| self.doing != Doing::Done)
    }

    /// How each step went, in order; the last one may have failed and then ends the list.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// All steps.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Call often (10 ms). Returns what to do now, at most one thing at a time.
    pub fn poll(&mut self, now: Tick, line: &LineView) -> Option<Deed> {
        loop {
            match self.doing {
                Doing::Done => return None,
                Doing::Sending { part } if line.finished_part < part => return None,
                Doing::Sending { .. } => {
                    self.rested = now;
                    self.advance(now);
                }
                Doing::Waiting => {}
            }
            let Some(step) = self.steps.get(self.at) else {
                self.doing = Doing::Done;
                return Some(Deed::HangUp);
            };
            match step.action.clone() {
                Action::HangUp => {
                    self.end(now, None);
                    return Some(Deed::HangUp);
                }
                Action::Wait { time } if now.since(self.began) < time => return None,
                Action::Wait { .. } => self.advance(now),
                Action::Expect { phrases, timeout } => {
                    if self.missing(&phrases).is_none() {
                        self.advance(now);
                    } else if now.since(self.began) < timeout {
                        return None;
                    } else {
                        let wanted = self.missing(&phrases).unwrap_or_default();
                        return self
                            .fail(now, format!("the agent did not say {wanted} within {} s", timeout.as_secs_f64()));
                    }
                }
                Action::Press { digits } => return Some(self.send(now, PartKind::Press, digits, false)),
                Action::Say { text, entry } => match self.enter(now, line, entry) {
                    Ok(true) => return Some(self.send(now, PartKind::Say, text, interrupts(entry))),
                    Ok(false) => return None,
                    Err(why) => return self.fail(now, why),
                },
                Action::Play { file, entry } => match self.enter(now, line, entry) {
                    Ok(true) => {
                        let name = file.display().to_string();
                        return Some(self.send(now, PartKind::Play, name, interrupts(entry)));
                    }
                    Ok(false) => return None,
                    Err(why) => return self.fail(now, why),
                },
            }
        }
    }

    /// Whether the caller may speak now.
    fn enter(&self, now: Tick, line: &LineView, entry: Entry) -> Result<bool, String> {
        match entry {
            Entry::Quiet { quiet, patience } => {
                let since = line.last_audible.map_or(self.rested, |t| t.max(self.rested));
                if now.since(since) >= quiet {
                    return Ok(true);
                }
                if now.since(self.began) >= patience {
                    return Err(format!(
                        "the agent was never quiet for {} s within {} s; raise timeout, or interrupt_after to barge in",
                        quiet.as_secs_f64(),
                        patience.as_secs_f64()
                    ));
                }
            }
            Entry::Interrupt { after, patience } => {
                let talking = line.last_audible.is_some_and(|t| now.since(t) < PAUSE);
                if line.onset.is_some_and(|t| talking && t >= self.rested && now.since(t) >= after) {
                    return Ok(true);
                }
                if now.since(self.began) >= patience {
                    return Err(format!(
                        "the agent did not talk for {} s at a stretch within {} s, so there was nothing to interrupt",
                        after.as_secs_f64(),
                        patience.as_secs_f64()
                    ));
                }
            }
        }
        Ok(false)
    }

    fn send(&mut self, now: Tick, kind: PartKind, content: String, interrupts: bool) -> Deed {
        let label = self.steps.get(self.at).and_then(|s| s.label.clone());
        self.parts.push(Part { label, kind, content, interrupts });
        let part = u32::try_from(self.parts.len()).unwrap_or(u32::MAX);
        self.doing = Doing::Sending { part };
        self.acted = now;
        self.heard.clear();
        self.also.clear();
        Deed::Send { step: self.at, part }
    }

    fn advance(&mut self, now: Tick) {
        self.note(now, None);
        self.at += 1;
        self.began = now;
        self.doing = Doing::Waiting;
    }

    fn fail(&mut self, now: Tick, why: String) -> Option<Deed> {
        self.end(now, Some(why));
        Some(Deed::HangUp)
    }

    fn end(&mut self, now: Tick, failure: Option<String>) {
        self.note(now, failure);
        self.doing = Doing::Done;
    }

    fn note(&mut self, now: Tick, failure: Option<String>) {
        let expects = self.steps.get(self.at).is_some_and(|s| matches!(s.action, Action::Expect { .. }));
        let heard = if self.heard.is_empty() { &self.also } else { &self.heard };
        let heard = if expects { heard.text() } else { String::new() };
        self.outcomes.push(Outcome { step: self.at, at: now, failure, heard });
    }

    /// What the current step still waits to hear, when it is an expectation.
    fn expected(&self) -> Option<String> {
        match &self.steps.get(self.at)?.action {
            Action::Expect { phrases, .. } => self.missing(phrases),
            _ => None,
        }
    }

    fn missing(&self, phrases: &[String]) -> Option<String> {
        if phrases.is_empty() {
            return (self.heard.is_empty() && self.also.is_empty()).then(|| "anything".to_owned());
        }
        let missing: Vec<String> = phrases
            .iter()
            .filter(|p| !self.heard.contains(p) && !self.also.contains(p))
            .map(|p| format!("\"{p}\""))
            .collect();
        (!missing.is_empty()).then(|| missing.join(" and "))
    }
}

fn interrupts(entry: Entry) -> bool {
    matches!(entry, Entry::Interrupt { .. })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::script::Script;
    use super::*;

    /// A line in virtual time: steps of 10 ms.
    struct Stage {
        actor: Actor,
        now: Tick,
        line: LineView,
        deeds: Vec<(u64, Deed)>,
    }

    impl Stage {
        fn new(script: &str) -> Self {
            let script = Script::parse(script, &BTreeMap::new()).unwrap();
            Self {
                actor: Actor::new(script.steps, Tick(0)),
                now: Tick(0),
                line: LineView::default(),
                deeds: Vec::new(),
            }
        }

        fn run(&mut self, ms: u64) -> &mut Self {
            for _ in 0..ms / 10 {
                if let Some(deed) = self.actor.poll(self.now, &self.line) {
                    self.deeds.push((self.now.0 / 1_000_000, deed));
                }
                self.now = self.now + Duration::from_millis(10);
            }
            self
        }

        /// The agent talks for this long; its words are recognised 600 ms after its end.
        fn agent(&mut self, ms: u64, text: &str) -> &mut Self {
            let from = self.now;
            self.line.onset = Some(from);
            for _ in 0..ms / 10 {
                self.line.last_audible = Some(self.now);
                self.run(10);
            }
            self.run(600);
            self.actor.handle_words(from, text);
            self.run(10)
        }

        fn sent(&mut self) -> &mut Self {
            self.line.finished_part += 1;
            self.run(10)
        }

        fn failure(&self) -> Option<&str> {
            self.actor.outcomes().last().and_then(|o| o.failure.as_deref())
        }
    }

    #[test]
    fn a_conversation_runs_to_its_end() {
        let mut s = Stage::new(
            "[[step]]\nexpect = [\"help\"]\n[[step]]\nsay = \"a CRM\"\n[[step]]\nexpect = [\"7 records\"]\n\
             [[step]]\npress = \"1\"\n[[step]]\nwait = 0.3\n[[step]]\nhang_up = true\n",
        );
        s.agent(2000, "how can i help").run(300);
        assert_eq!(s.deeds, [(2600, Deed::Send { step: 1, part: 1 })]);
        s.run(1000).sent().agent(1000, "you have seven records");
        assert_eq!(s.deeds[1].1, Deed::Send { step: 3, part: 2 });
        s.sent().run(1000);
        assert_eq!(s.deeds[2].1, Deed::HangUp);
        assert_eq!(s.deeds[2].0 - s.deeds[1].0, 310);
        assert!(s.actor.is_done());
        assert!(s.actor.outcomes().iter().all(|o| o.failure.is_none()));
        assert_eq!(s.actor.outcomes().len(), 6);
        assert_eq!(s.actor.outcomes()[2].heard, "you have seven records");
        assert_eq!(s.actor.parts()[1].content, "1");
    }

    #[test]
    fn a_wrong_number_fails() {
        let mut s = Stage::new("[[step]]\nexpect = [\"7 records\"]\ntimeout = 5\n");
        s.agent(1000, "you have seventeen records").run(6000);
        assert_eq!(s.failure(), Some("the agent did not say \"7 records\" within 5 s"));
        assert_eq!(s.deeds.last().map(|d| &d.1), Some(&Deed::HangUp));
        assert_eq!(s.actor.outcomes()[0].heard, "you have seventeen records");
    }

    #[test]
    fn words_from_before_the_question_do_not_answer_it() {
        let mut s = Stage::new("[[step]]\nsay = \"how many\"\n[[step]]\nexpect = [\"ten\"]\ntimeout = 5\n");
        s.run(600);
        assert_eq!(s.deeds.len(), 1);
        s.actor.handle_words(Tick(100_000_000), "ten");
        s.sent().run(3000);
        assert!(!s.actor.is_done());
        s.agent(500, "ten");
        assert!(s.actor.outcomes()[1].failure.is_none());
    }

    #[test]
    fn the_caller_waits_until_the_agent_is_quiet() {
        let mut s = Stage::new("[[step]]\nsay = \"hi\"\n");
        s.run(300).agent(1000, "hello");
        assert_eq!(s.deeds, [(300 + 990 + 500, Deed::Send { step: 0, part: 1 })]);
    }

    #[test]
    fn an_agent_that_never_stops_fails_the_step() {
        let mut s = Stage::new("[[step]]\nsay = \"hi\"\ntimeout = 2\n");
        s.agent(3000, "bla");
        assert!(s.failure().unwrap().contains("never quiet"), "{:?}", s.failure());
    }

    #[test]
    fn an_interruption_comes_into_the_agents_speech() {
        let mut s = Stage::new("[[step]]\nsay = \"hi\"\n[[step]]\nsay = \"stop\"\ninterrupt_after = 0.8\n");
        s.run(600).sent().run(400);
        let from = s.now.0 / 1_000_000;
        s.agent(2000, "long");
        assert_eq!(s.deeds[1], (from + 800, Deed::Send { step: 1, part: 2 }));
        assert!(s.actor.parts()[1].interrupts);
    }

    #[test]
    fn nothing_to_interrupt_is_a_failure() {
        let mut s = Stage::new("[[step]]\nsay = \"stop\"\ninterrupt_after = 0.8\ntimeout = 3\n");
        s.agent(500, "short").run(4000);
        assert!(s.failure().unwrap().contains("nothing to interrupt"), "{:?}", s.failure());
    }

    #[test]
    fn an_empty_expectation_wants_any_words() {
        let mut s = Stage::new("[[step]]\nexpect = []\ntimeout = 3\n");
        s.run(1000).agent(500, "anything at all");
        assert!(s.actor.is_done());
        assert_eq!(s.failure(), None);
        let mut s = Stage::new("[[step]]\nexpect = []\ntimeout = 3\n");
        s.run(4000);
        assert_eq!(s.failure(), Some("the agent did not say anything within 3 s"));
    }

    #[test]
    fn a_hang_up_of_the_agent_fails_what_is_open_but_not_a_hang_up() {
        let mut s = Stage::new("[[step]]\nexpect = [\"bye\"]\n[[step]]\nhang_up = true\n");
        s.run(100);
        s.actor.handle_hung_up(s.now);
        assert!(!s.actor.is_done());
        s.actor.handle_words(s.now, "bye");
        s.actor.finish(s.now, "the agent hung up");
        assert!(s.actor.is_done());
        assert_eq!(s.failure(), None);
        let mut s = Stage::new("[[step]]\nexpect = [\"bye\"]\n");
        s.run(100);
        s.actor.handle_hung_up(s.now);
        s.actor.finish(s.now, "the agent hung up");
        assert_eq!(s.failure(), Some("the agent hung up before the agent said \"bye\""));
    }
}
