//! What the agent asks, and how it asks again. Purpose: every question in one place, the first words and the later ones. Pure.
//! Invariant: after [`PROMPTS_MAX`] prompts without progress the call ends. Deliberately absent: what follows an answer
//! (`dialogue`).

use super::return_call::ASK_RETURN_CALL;
use super::{Dialogue, Draft, Question};
use crate::conversation::{Expectation, Reply};

/// Digits of a number that is spoken: a national number with its area code. Keys may be more.
pub(super) const CALL_BACK_DIGITS: u8 = 10;
pub(super) const ASK_CALL_BACK: &str = "Shall somebody call you back?";
pub(super) const ASK_NUMBER: &str = "On which number? Say it digit by digit.";
pub(super) const ASK_NAME: &str = "And your name? You can spell it.";
pub(super) const ASK_RIGHT: &str = "Is that right?";
pub(super) const ASK_PIN: &str = "Please key in your PIN, and end with pound.";
pub(super) const ASK_GO_ON: &str = "Shall we go on?";

/// Prompts without progress, the first question included, after which the agent says goodbye.
pub(super) const PROMPTS_MAX: u8 = 3;

pub(super) const ASK_WHAT: &str = "What shall I build for you?";
pub(super) const ASK_OFFER: &str = "Shall I build a CRM for you?";
pub(super) const ASK_FEATURES: &str = "What shall it keep: contacts, deals, or both?";
pub(super) const ASK_APPROVAL: &str = "Shall I build it?";
pub(super) const HOW_TO_APPROVE: &str = "Say yes or press one.";

impl Dialogue {
    pub(super) fn ask_what(&mut self) -> Reply {
        self.question = Question::What;
        self.reply(vec![ASK_WHAT.to_owned()], Expectation::Open)
    }

    pub(super) fn ask_change(&mut self) -> Reply {
        self.question = Question::Change;
        let say = vec!["What shall I change?".into(), "Say, for example: without deals, or: add notes.".into()];
        self.reply(say, Expectation::Open)
    }

    /// Reads the draft back after `first`, and asks whether to build it.
    pub(super) fn read_back(&mut self, first: Vec<String>) -> Reply {
        self.read_back_heard = false;
        self.ask_approval(first)
    }

    /// Asks whether to build what was read back; where that was not heard, it is read back once more.
    pub(super) fn ask_approval(&mut self, mut say: Vec<String>) -> Reply {
        self.question = Question::Approval;
        let expect = self.ask_again(&mut say);
        self.reply(say, expect)
    }

    /// Adds the pending question to `say`; what is expected then.
    pub(super) fn ask_again(&self, say: &mut Vec<String>) -> Expectation {
        if self.question == Question::Approval && !self.read_back_heard {
            say.extend(self.draft.iter().flat_map(Draft::read_back));
        }
        let question: &[&str] = match self.question {
            Question::What => &[ASK_WHAT],
            Question::Offer => &[ASK_OFFER],
            Question::Instead => &["Shall it be a CRM?"],
            Question::Features => &[ASK_FEATURES],
            Question::Approval => &[ASK_APPROVAL, HOW_TO_APPROVE],
            Question::Change => &["What shall I change?"],
            Question::Nothing | Question::OfBuild => &[],
            Question::CallBack => &[ASK_CALL_BACK],
            Question::Number => &[ASK_NUMBER],
            Question::Name => &[ASK_NAME],
            Question::NumberRight | Question::NameRight => &[ASK_RIGHT],
            Question::Consent | Question::Sure => &[],
            Question::Pin => &[ASK_PIN],
            Question::GoOn => &[ASK_GO_ON],
            Question::ReturnCall => &[ASK_RETURN_CALL],
        };
        if self.question == Question::Consent {
            say.extend(self.consent_text());
        }
        say.extend(question.iter().map(|q| (*q).to_owned()));
        match self.question {
            Question::Approval
            | Question::Instead
            | Question::Offer
            | Question::CallBack
            | Question::NumberRight
            | Question::NameRight
            | Question::Consent
            | Question::ReturnCall
            | Question::GoOn => Expectation::YesNo,
            Question::Pin => self.pin_expectation(),
            Question::Number => Expectation::Digits { max: CALL_BACK_DIGITS },
            Question::Name => Expectation::Name,
            _ => Expectation::Open,
        }
    }

    /// A prompt without progress: says `first`, then asks in other words; at the third it is goodbye.
    pub(super) fn fail(&mut self, first: &[&str]) -> Reply {
        self.failures += 1;
        if self.failures >= PROMPTS_MAX {
            return self.give_up();
        }
        let mut say: Vec<String> = first.iter().map(|s| (*s).to_owned()).collect();
        let second = self.failures == 2;
        let prompt: &[&str] = match self.question {
            Question::What if second => &["I can build a CRM, or tell you how one is doing.", ASK_WHAT],
            Question::What => &["Say, for example: build a CRM with contacts and deals.", ASK_WHAT],
            Question::Offer => &[ASK_OFFER, "Say yes or no."],
            Question::Instead => &["Shall it be a CRM?", "Say yes or no."],
            Question::Features if second => {
                if let Some(draft) = &mut self.draft {
                    draft.take_usual();
                    say.push("I take contacts and deals.".to_owned());
                    return self.read_back(say);
                }
                &[ASK_WHAT]
            }
            Question::Features => &[ASK_FEATURES],
            Question::Approval if second => {
                say.push("Press two to change it, or star to stop.".to_owned());
                return self.ask_approval(say);
            }
            Question::Approval => return self.ask_approval(say),
            Question::Change => {
                &["Say, for example: without deals, or: add notes.", "Or press three to hear it again."]
            }
            Question::Nothing | Question::Sure | Question::ReturnCall | Question::OfBuild => {
                &["Ask me how it is doing, or say goodbye."]
            }
            Question::CallBack | Question::NumberRight | Question::NameRight | Question::Consent | Question::GoOn => {
                say.push("Say yes or no, or press one or two.".to_owned());
                let expect = self.ask_again(&mut say);
                return self.reply(say, expect);
            }
            Question::Pin => {
                let expect = self.ask_again(&mut say);
                return self.reply(say, expect);
            }
            // Digits over the telephone are hard for everybody; keys are not.
            Question::Number => {
                say.push("Please key the number in, and end with pound.".to_owned());
                return self.reply(say, Expectation::Digits { max: CALL_BACK_DIGITS });
            }
            Question::Name => {
                say.push("Please spell your name, or press pound to go on without it.".to_owned());
                return self.reply(say, Expectation::Name);
            }
        };
        say.extend(prompt.iter().map(|p| (*p).to_owned()));
        let closed = matches!(self.question, Question::Instead | Question::Offer);
        let expect = if closed { Expectation::YesNo } else { Expectation::Open };
        self.reply(say, expect)
    }

    pub(super) fn give_up(&mut self) -> Reply {
        if self.build.is_some() {
            return self.hang_up(&["I say goodbye for now."]);
        }
        self.draft = None;
        self.hang_up(&["I am sorry, I can't help you like this.", "Nothing has been started.", "Goodbye."])
    }

    pub(super) fn hang_up(&mut self, say: &[&str]) -> Reply {
        let mut reply = self.say(say);
        reply.hang_up = true;
        self.left = true;
        reply
    }

    /// Says lines that ask nothing new.
    pub(super) fn say(&mut self, lines: &[&str]) -> Reply {
        self.reply(lines.iter().map(|l| (*l).to_owned()).collect(), Expectation::Open)
    }

    pub(super) fn reply(&mut self, say: Vec<String>, expect: Expectation) -> Reply {
        self.question_heard = say.iter().any(|c| c == ASK_APPROVAL);
        self.offer_heard = true;
        // Whoever asks without the read-back had it heard before.
        self.reads_back = self.question_heard && !self.read_back_heard;
        self.read_back_heard |= self.reads_back;
        (self.unsure_yes, self.last_secret) = (false, false);
        if let Some(collector) = &mut self.collector {
            // What is asked again is keyed from its beginning.
            collector.clear();
        }
        self.last_say.clone_from(&say);
        self.last_expect = expect;
        Reply { say, expect, ..Reply::default() }
    }
}
