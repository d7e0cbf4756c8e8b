//! What comes before the first question: consent to a recording, the PIN of the agent's callers, and where a call that was
//! cut off had been. Pure. Invariants: nothing of a dropped call is told or restored before the PIN; what was pending there
//! is asked again with its read-back, never taken as agreed; a PIN is in no reply, state or print. Deliberately absent:
//! whose call it is and how long it is remembered (`call`, `store`).

use super::super::draft::Draft;
use super::change::LOCKED;
use super::prompt::{ASK_GO_ON, ASK_PIN, ASK_WHAT};
use super::{Build, Dialogue, Question, YES_TWICE_CONFIDENCE_MIN};
use crate::conversation::collect::{Collected, Collector, Wanted};
use crate::conversation::{BuildStage, Consent, Expectation, Heard, Intent, Pin, Reply, spoken};
use crate::pipeline::intent::{Act, Context, understand};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// After so long without a key, what was keyed is the answer.
pub(super) const BETWEEN_KEYS: Duration = Duration::from_secs(4);
/// Wrong PINs before goodbye.
const PINS_MAX: u8 = 3;

/// Where a conversation was, to go on with after its line was cut: the order as far as it had come, or the build that it
/// started. Holds no digits that were keyed, no number or name of a call back, and no approval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    draft: Option<Draft>,
    revision: u32,
    build: Option<KeptBuild>,
    subject: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct KeptBuild {
    id: String,
    title: String,
}

impl Kept {
    /// The build whose news the caller waits for.
    #[must_use]
    pub fn build_id(&self) -> Option<&str> {
        self.build.as_ref().map(|build| build.id.as_str())
    }
}

impl Dialogue {
    /// The same, going on where another one was.
    #[must_use]
    pub fn after(mut self, kept: Kept) -> Self {
        self.pending = Some(kept);
        self.inherited = true;
        self
    }

    /// What is worth going on with should the line be cut now.
    #[must_use]
    pub fn kept(&self) -> Option<Kept> {
        if self.left {
            return None;
        }
        let build = self.build.as_ref().filter(|build| !build.over);
        let build = build.and_then(|build| Some(KeptBuild { id: build.id.clone()?, title: build.title.clone() }));
        match (&self.pending, build) {
            // It was approved and is being handed over: to ask again would be to build it twice.
            (None, None) if self.building() => None,
            (Some(pending), None) => Some(pending.clone()),
            (None, None) if self.draft.is_none() => None,
            (_, build) => Some(Kept {
                // What is being built is no order any more.
                draft: self.draft.clone().filter(|_| build.is_none()),
                revision: self.revision,
                build,
                subject: self.subject.clone(),
            }),
        }
    }

    /// Whether the answer to what is asked now is for nobody's eyes or ears: no transcript, no recording.
    #[must_use]
    pub fn masks(&self) -> bool {
        self.question == Question::Pin
    }

    /// While digits are collected and some have come: how long to wait for another key before [`Dialogue::keys_over`].
    #[must_use]
    pub fn between_keys(&self) -> Option<Duration> {
        self.collector.as_ref().filter(|_| self.is_collecting()).and_then(Collector::waits)
    }

    /// Whether keys are digits of an answer now.
    #[must_use]
    pub fn is_collecting(&self) -> bool {
        matches!(self.question, Question::Pin | Question::Number)
    }

    /// No key came for as long as [`Dialogue::between_keys`].
    pub fn keys_over(&mut self) -> Reply {
        let outcome = self.collector.as_mut().map_or(Collected::More, Collector::handle_pause);
        self.collected(outcome)
    }

    /// The caller said this and went on with keys: both are one answer.
    pub fn said_before_key(&mut self, text: &str) {
        let words = words(text);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if let (true, Some(digits)) = (self.is_collecting(), spoken::digits(&words)) {
            self.collector_of_question().handle_part(&digits);
        }
    }

    /// The first words of the call.
    pub(super) fn begin_call(&mut self) -> Reply {
        let mut say = self.persona.greeting.clone();
        self.say_why_we_call(&mut say);
        match self.persona.consent.clone() {
            Consent::Ask(_) => {
                self.question = Question::Consent;
                say.extend(self.consent_text());
                return self.reply(say, Expectation::YesNo);
            }
            Consent::Announce(text) => say.push(text),
            Consent::Silent => {}
        }
        self.open(say)
    }

    /// What follows once the recording is settled: the PIN, then where we were, then the first question.
    fn open(&mut self, mut say: Vec<String>) -> Reply {
        if self.persona.pin.is_some() && self.persona.pin_at_start && !self.pin_passed {
            if self.persona.locked {
                return self.pin_closed();
            }
            self.question = Question::Pin;
            say.push(ASK_PIN.to_owned());
            let expect = self.pin_expectation();
            return self.reply(say, expect);
        }
        if let Some(reply) = self.tell_news(&mut say) {
            return reply;
        }
        if let Some(build) = self.pending.as_ref().and_then(|kept| kept.build.clone()) {
            say.push(format!("We were building your {} when the call ended.", build.title));
            say.push("Ask me any time how it is doing.".to_owned());
            self.revision = self.pending.take().map_or(0, |kept| kept.revision);
            self.subject = Some(build.title.to_lowercase());
            self.question = Question::Nothing;
            self.build =
                Some(Build { id: Some(build.id), title: build.title, stage: BuildStage::Approved, over: false });
            return self.reply(say, Expectation::Open);
        }
        if let Some(title) = self.pending.as_ref().and_then(|kept| kept.draft.as_ref()).map(Draft::title) {
            self.question = Question::GoOn;
            say.push(format!("We were talking about your {title}."));
            say.push(ASK_GO_ON.to_owned());
            return self.reply(say, Expectation::YesNo);
        }
        self.pending = None;
        self.question = Question::What;
        say.push(ASK_WHAT.to_owned());
        self.reply(say, Expectation::Open)
    }

    pub(super) fn consent_text(&self) -> Option<String> {
        match &self.persona.consent {
            Consent::Ask(text) => Some(text.clone()),
            Consent::Announce(_) | Consent::Silent => None,
        }
    }

    pub(super) fn pin_expectation(&self) -> Expectation {
        let digits = self.persona.pin.as_ref().map_or(*Pin::LENGTH.end(), Pin::digits);
        // At most 12.
        Expectation::Digits { max: digits as u8 }
    }

    /// An answer to one of the questions before the first.
    pub(super) fn hear_opening(&mut self, heard: &Heard) -> Reply {
        let understood = understand(&heard.text, Context::AskedWhat);
        match understood.act {
            Act::Repeat => return self.again(),
            Act::Cancel if self.pin_is_for_change() => return self.pin_failed_by_choice(),
            Act::Operator if self.pin_is_for_change() => {
                self.drop_change();
                return self.operator();
            }
            Act::Goodbye => return self.hang_up(&["Thank you for calling.", "Goodbye."]),
            Act::Operator => return self.operator(),
            _ => {}
        }
        if self.question == Question::Pin {
            let words = words(&heard.text);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let outcome = match spoken::digits(&words) {
                Some(digits) => self.collector_of_question().handle_spoken(&digits),
                None if heard.text.is_empty() => return self.fail(&["I did not hear you."]),
                None => self.collector_of_question().refuse(),
            };
            return self.collected(outcome);
        }
        // Whoever asks is read what was talked about, and approves anew.
        if self.question == Question::GoOn && asks_where_we_were(&heard.text) {
            return self.settle(true);
        }
        let answer = &understood.answer;
        if answer.yes > 0.0 && answer.no == 0.0 && heard.confidence >= YES_TWICE_CONFIDENCE_MIN {
            return self.settle(true);
        }
        if answer.no >= 0.9 && answer.yes == 0.0 {
            return self.settle(false);
        }
        match self.question {
            // What was kept waits for nobody who wants something else.
            Question::GoOn if understood.fires() || matches!(understood.act, Act::BuildOther(_) | Act::Report(_)) => {
                self.pending = None;
                self.question = Question::What;
                self.hear(heard)
            }
            // Neither yes nor no is no consent.
            Question::Consent if std::mem::replace(&mut self.consent_unclear, true) => {
                let reply = self.settle(false);
                if self.question != Question::What || heard.text.is_empty() {
                    return reply;
                }
                Reply { intent: reply.intent, ..self.hear(heard) }
            }
            _ => self.fail(&["I need a clear yes or no."]),
        }
    }

    /// A key while one of these questions is asked; `None` when it is another's.
    pub(super) fn opening_key(&mut self, key: char) -> Option<Reply> {
        match (self.question, key) {
            (Question::Consent | Question::GoOn, '1') => Some(self.settle(true)),
            (Question::Consent | Question::GoOn, '2') => Some(self.settle(false)),
            (Question::Pin, '*') if self.pin_is_for_change() => Some(self.pin_failed_by_choice()),
            (Question::Pin, '*') => {
                let expect = self.pin_expectation();
                Some(self.reply(vec![ASK_PIN.to_owned()], expect))
            }
            (Question::Pin, _) => {
                let outcome = self.collector_of_question().handle_key(key);
                Some(self.collected(outcome))
            }
            _ => None,
        }
    }

    /// Yes or no to consent, or to going on.
    fn settle(&mut self, yes: bool) -> Reply {
        self.failures = 0;
        if self.question == Question::Consent {
            let first = if yes { "Thank you." } else { "All right, nothing is recorded." };
            return Reply { intent: Some(Intent::Record(yes)), ..self.open(vec![first.to_owned()]) };
        }
        let kept = self.pending.take().filter(|_| yes);
        self.question = Question::What;
        match kept {
            Some(kept) => {
                (self.draft, self.revision, self.subject) = (kept.draft, kept.revision, kept.subject);
                // Nothing that was heard in another call counts as heard in this one.
                self.read_back_heard = false;
                self.proceed()
            }
            None => {
                let mut say = vec!["All right.".to_owned()];
                let expect = self.ask_again(&mut say);
                self.reply(say, expect)
            }
        }
    }

    /// Too many wrong PINs have come, in this call or in others: none is judged any more.
    pub fn close_pin(&mut self) {
        self.persona.locked = true;
    }

    fn collected(&mut self, outcome: Collected) -> Reply {
        if self.question != Question::Pin {
            return self.take_collected(outcome);
        }
        let whole = matches!(outcome, Collected::Complete(_) | Collected::Wrong | Collected::GivenUp);
        if whole && self.persona.locked {
            return self.pin_closed();
        }
        let right = |digits: &str| self.persona.pin.as_ref().is_some_and(|pin| pin.is(digits));
        let outcome = match outcome {
            Collected::Complete(digits) if right(&digits) => {
                (self.pin_passed, self.collector, self.failures) = (true, None, 0);
                let reply =
                    if self.pin_is_for_change() { self.pin_right() } else { self.open(vec!["Thank you.".to_owned()]) };
                return Reply { pin: Some(true), ..reply };
            }
            Collected::Complete(_) => self.collector_of_question().refuse(),
            other => other,
        };
        // Short ones count as well: whoever guesses is told nothing by the length.
        let wrong = matches!(outcome, Collected::Wrong | Collected::GivenUp).then_some(false);
        let reply = self.pin_refused(outcome);
        Reply { pin: wrong, ..reply }
    }

    /// The PIN is closed, right or wrong.
    fn pin_closed(&mut self) -> Reply {
        self.collector = None;
        if self.pin_is_for_change() {
            return self.pin_failed(LOCKED);
        }
        self.hang_up(&["There have been too many wrong PINs. Please try again later.", "Goodbye."])
    }

    fn pin_refused(&mut self, outcome: Collected) -> Reply {
        match outcome {
            Collected::Wrong => {
                let expect = self.pin_expectation();
                self.reply(vec!["That PIN is not right.".to_owned(), ASK_PIN.to_owned()], expect)
            }
            Collected::Person if self.pin_is_for_change() => {
                self.drop_change();
                self.operator()
            }
            Collected::Person => self.operator(),
            Collected::GivenUp if self.pin_is_for_change() => {
                self.pin_failed("I am sorry, that was not right either. I leave it as it is.")
            }
            Collected::GivenUp => self.hang_up(&["I am sorry, that was not right either.", "Goodbye."]),
            // Nothing is said between keys.
            Collected::More | Collected::Complete(_) => Reply { expect: self.last_expect, ..Reply::default() },
        }
    }

    fn collector_of_question(&mut self) -> &mut Collector {
        if self.question != Question::Pin {
            return self.collect();
        }
        let digits = self.persona.pin.as_ref().map_or(*Pin::LENGTH.end(), Pin::digits);
        self.collector.get_or_insert_with(|| {
            Collector::new(Wanted {
                // A shorter one is as wrong as another one, and says so when it ends.
                min: *Pin::LENGTH.start(),
                max: digits,
                finish: Some('#'),
                between: BETWEEN_KEYS,
                pattern: None,
                attempts: PINS_MAX,
            })
        })
    }
}

/// "Where were we?", "what were we talking about?".
fn asks_where_we_were(text: &str) -> bool {
    let words = words(text);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    words.windows(3).any(|said| {
        matches!(said, ["where" | "what", "were", "we"] | ["where", "we", "were" | "stopped"] | ["where", "did", "we"])
    })
}

/// Words of a heard text, as the readers of digits want them.
fn words(text: &str) -> Vec<String> {
    let text = text.to_lowercase().replace(|c: char| !c.is_alphanumeric() && c != '\'', " ");
    text.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::Persona;

    fn with(change: impl FnOnce(&mut Persona)) -> Dialogue {
        let mut persona = Persona::named("Grace");
        change(&mut persona);
        Dialogue::new(persona, "conv_1")
    }

    fn asks(dialogue: &mut Dialogue, text: &str) -> Reply {
        dialogue.hear(&Heard::certain(text))
    }

    #[test]
    fn nothing_is_recorded_before_a_yes() {
        let asked = || {
            let mut dialogue = with(|p| p.consent = Consent::Ask("May I record this call?".into()));
            assert_eq!(dialogue.greet().text(), "Hello, this is Grace. May I record this call?");
            dialogue
        };
        for (answer, allowed) in [("yes", true), ("sure", true), ("no", false), ("no thanks", false)] {
            let reply = asks(&mut asked(), answer);
            assert_eq!(reply.intent, Some(Intent::Record(allowed)), "{answer}");
            assert!(reply.text().ends_with(ASK_WHAT), "{answer}: {}", reply.text());
        }
        assert_eq!(asked().key('1').intent, Some(Intent::Record(true)));
        assert_eq!(asked().key('2').intent, Some(Intent::Record(false)));
        let mut unclear = asked();
        assert_eq!(asks(&mut unclear, "build me a crm with deals").intent, None);
        let reply = asks(&mut unclear, "build me a crm with deals");
        assert_eq!(reply.intent, Some(Intent::Record(false)), "neither yes nor no");
        assert!(reply.text().contains("Shall I build it?"), "and the request is answered: {}", reply.text());
        let doubtful = asked().hear(&Heard::once("yes", 0.2));
        assert_eq!(doubtful.intent, None, "a yes that may be none");
    }

    #[test]
    fn an_announcement_is_only_said() {
        let mut dialogue = with(|p| p.consent = Consent::Announce("This call is recorded.".into()));
        assert_eq!(dialogue.greet().text(), format!("Hello, this is Grace. This call is recorded. {ASK_WHAT}"));
    }

    #[test]
    fn a_pin_opens_by_keys_by_speech_and_by_both() {
        let asked = || {
            let mut dialogue = with(|p| p.pin = Pin::new("4711"));
            assert!(dialogue.greet().text().ends_with(ASK_PIN) && dialogue.masks());
            dialogue
        };
        let mut keyed = asked();
        let last = "4711".chars().map(|key| keyed.key(key)).last().unwrap();
        assert_eq!(last.text(), format!("Thank you. {ASK_WHAT}"), "the fourth digit completes it");
        assert!(!keyed.masks());
        assert!(asks(&mut asked(), "four seven one one").text().starts_with("Thank you."));
        let mut both = asked();
        both.key('4');
        both.key('7');
        assert!(asks(&mut both, "one one").text().starts_with("Thank you."));
        let mut both = asked();
        both.said_before_key("four seven");
        both.key('1');
        assert!(both.key('1').text().starts_with("Thank you."));
    }

    #[test]
    fn three_wrong_pins_are_enough_and_none_is_told() {
        // Eight digits: what is printed holds times, and those of four may be among them.
        let mut dialogue = with(|p| p.pin = Pin::new("47110815"));
        dialogue.greet();
        for attempt in 1..=3 {
            let last = "47110816".chars().map(|key| dialogue.key(key)).last().unwrap();
            assert_eq!(last.hang_up, attempt == 3);
            assert!(!last.text().contains("47"), "{}", last.text());
        }
        assert!(!format!("{dialogue:?}").contains("47110815"));
        let mut short = with(|p| p.pin = Pin::new("4711"));
        short.greet();
        short.key('4');
        assert_eq!(short.between_keys(), Some(BETWEEN_KEYS));
        assert!(short.keys_over().text().starts_with("That PIN is not right."));
    }

    #[test]
    fn a_pin_that_other_calls_have_closed_is_taken_from_nobody() {
        let mut dialogue = with(|p| p.pin = Pin::new("4711"));
        dialogue.greet();
        "471".chars().for_each(|key| drop(dialogue.key(key)));
        dialogue.close_pin();
        let right = dialogue.key('1');
        assert!(right.hang_up && right.pin.is_none() && right.text().contains("too many wrong PINs"), "{right:?}");
        // Who has given it before has given it.
        let mut passed = with(|p| p.pin = Pin::new("4711"));
        passed.greet();
        "4711".chars().for_each(|key| drop(passed.key(key)));
        passed.close_pin();
        assert!(!asks(&mut passed, "build a crm with contacts").hang_up);
    }

    #[test]
    fn a_request_gets_past_no_pin() {
        let mut dialogue = with(|p| p.pin = Pin::new("4711"));
        dialogue.greet();
        for text in ["build me a crm with contacts", "yes", "how is the crm"] {
            let reply = asks(&mut dialogue, text);
            assert!(reply.intent.is_none() && dialogue.slots().asked == Question::Pin || reply.hang_up, "{text}");
        }
    }

    #[test]
    fn a_dropped_order_is_told_read_back_and_asked_again() {
        let mut first = with(|_| {});
        first.greet();
        assert_eq!(first.kept(), None);
        asks(&mut first, "build a crm with contacts and deals");
        let kept = first.kept().expect("an order");
        let written = serde_json::to_string(&kept).unwrap();
        let mut second = with(|_| {}).after(serde_json::from_str(&written).unwrap());
        let greeting = second.greet().text();
        assert!(greeting.contains("We were talking about your CRM. Shall we go on?"), "{greeting}");
        assert_eq!(second.kept(), Some(kept.clone()), "a line that is cut again loses nothing");
        let reply = asks(&mut second, "yes");
        assert!(reply.intent.is_none() && reply.text().contains("deals"), "{}", reply.text());
        assert!(reply.text().contains("Shall I build it?"));
        assert!(matches!(asks(&mut second, "yes").intent, Some(Intent::Build(_))), "its own yes");

        for question in ["where were we?", "Well, what were we talking about?", "let's go on where we stopped"] {
            let mut asked = with(|_| {}).after(kept.clone());
            asked.greet();
            let reply = asks(&mut asked, question);
            assert!(
                reply.intent.is_none() && reply.text().contains("Shall I build it?"),
                "{question}: {}",
                reply.text()
            );
        }
        let mut declined = with(|_| {}).after(kept.clone());
        declined.greet();
        assert!(asks(&mut declined, "no").text().ends_with(ASK_WHAT));
        assert_eq!(declined.kept(), None);
        let mut other = with(|_| {}).after(kept);
        other.greet();
        assert!(matches!(asks(&mut other, "how is the crm").intent, Some(Intent::Report { .. })));
    }

    #[test]
    fn a_pin_comes_before_what_was_kept_and_a_goodbye_keeps_nothing() {
        let mut first = with(|_| {});
        first.greet();
        asks(&mut first, "build a crm with contacts and deals");
        let kept = first.kept().unwrap();
        let mut second = with(|p| p.pin = Pin::new("4711")).after(kept.clone());
        assert!(!second.greet().text().contains("CRM"));
        let last = "4711".chars().map(|key| second.key(key)).last().unwrap();
        assert!(last.text().contains("We were talking about your CRM."), "{}", last.text());
        asks(&mut first, "goodbye");
        assert_eq!(first.kept(), None);
        let mut silent = with(|_| {}).after(kept);
        silent.greet();
        asks(&mut silent, "yes");
        let mut over = false;
        while !over {
            over = silent.no_input().hang_up;
        }
        assert!(silent.kept().is_some(), "who was cut off says nothing either");
    }
}
