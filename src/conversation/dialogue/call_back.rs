//! Whom to call back, and where. Purpose: a caller who wants a person leaves a number and a name. Pure.
//!
//! The number is dictated or keyed and read back in groups; the name is said, spelled or left out, and read back letter by
//! letter. After one failure the keypad is offered. Then the conversation goes on where it was. Invariant: a number leaves
//! only after a yes, or key 1, to its read-back. Deliberately absent: the call itself.

use super::opening::BETWEEN_KEYS;
use super::person::NOBODY;
use super::prompt::{ASK_NAME, ASK_NUMBER, ASK_RIGHT, CALL_BACK_DIGITS};
use super::{Dialogue, Question, YES_TWICE_CONFIDENCE_MIN};
use crate::conversation::collect::{Collected, Collector, Wanted};
use crate::conversation::{Expectation, Heard, Intent, Reply, spoken};
use crate::pipeline::intent::{Act, Context, understand};

/// Digits that are a telephone number: ITU-T E.164 allows 15, short numbers have 3.
const DIGITS_MIN: usize = 3;
const DIGITS_MAX: usize = 15;
/// So many digits, said where a yes was asked for, are the beginning of a number.
const NUMBER_BEGUN: usize = 2;

/// What is known so far.
#[derive(Clone, Debug)]
pub(super) struct CallBack {
    /// What was asked before, and is asked again after.
    before: Question,
    number: String,
    name: Option<String>,
    /// Whether a name was misheard once.
    name_failed: bool,
}

impl CallBack {
    /// Nothing known; `before` is asked again at the end.
    pub(super) const fn after(before: Question) -> Self {
        Self { before, number: String::new(), name: None, name_failed: false }
    }
}

impl Dialogue {
    /// An answer to one of the questions about a call back.
    pub(super) fn hear_call_back(&mut self, heard: &Heard) -> Reply {
        let words: String = heard.text.to_lowercase().replace(|c: char| !c.is_alphanumeric() && c != '\'', " ");
        let words: Vec<&str> = words.split_whitespace().collect();
        let understood = understand(&heard.text, Context::AskedWhat);
        match understood.act {
            Act::Repeat => return self.again(),
            Act::Operator if self.has_person() => return self.operator(),
            Act::Goodbye | Act::Cancel => return self.leave_call_back(&["All right."]),
            // Something else after all.
            Act::Report(_) | Act::Help | Act::BuildOther(_) if self.question == Question::CallBack => {
                return self.drop_call_back(heard);
            }
            Act::BuildCrm if self.question == Question::CallBack && understood.fires() => {
                return self.drop_call_back(heard);
            }
            _ => {}
        }
        match self.question {
            Question::Number => match spoken::digits(&words) {
                Some(digits) => {
                    let outcome = self.collect().handle_spoken(&digits);
                    self.take_collected(outcome)
                }
                None => self.fail(&["Sorry, I did not get that."]),
            },
            Question::Name => match spoken::name(&words) {
                Some(name) => self.take_name(name),
                None => self.fail(&["I did not hear you."]),
            },
            _ => {
                let answer = understood.answer;
                let number = words.iter().filter(|word| spoken::SMALL[..10].contains(word)).count() >= NUMBER_BEGUN;
                if number && self.question == Question::CallBack && answer.no == 0.0 {
                    // "Four one five": who begins to dictate has agreed.
                    self.confirm(true)
                } else if answer.yes > 0.0 && answer.no == 0.0 && heard.confidence >= YES_TWICE_CONFIDENCE_MIN {
                    self.confirm(true)
                } else if answer.no >= 0.9 && answer.yes == 0.0 {
                    self.confirm(false)
                } else {
                    self.fail(&["I need a clear yes or no."])
                }
            }
        }
    }

    /// A key while a call back is asked for; `None` when it is another's.
    pub(super) fn call_back_key(&mut self, key: char) -> Option<Reply> {
        self.call_back.as_ref()?;
        Some(match (self.question, key) {
            (Question::Number, '0'..='9' | '#') => {
                let outcome = self.collect().handle_key(key);
                self.take_collected(outcome)
            }
            (Question::Name, '#') => self.finish_call_back(),
            (Question::CallBack | Question::NumberRight | Question::NameRight, '1') => self.confirm(true),
            (Question::CallBack | Question::NumberRight | Question::NameRight, '2') => self.confirm(false),
            (_, '0') if self.has_person() => self.operator(),
            (_, '0') => self.fail(&[NOBODY]),
            (_, '*') => self.leave_call_back(&["All right."]),
            (_, '3') => self.again(),
            _ => self.fail(&["That key does nothing here."]),
        })
    }

    /// What has been keyed or said of the number.
    pub(super) fn take_collected(&mut self, outcome: Collected) -> Reply {
        match outcome {
            // Nothing is said between keys.
            Collected::More => Reply { expect: self.last_expect, ..Reply::default() },
            Collected::Complete(digits) => self.take_number(digits),
            Collected::Wrong | Collected::GivenUp => self.fail(&["That is no telephone number."]),
            Collected::Person if self.has_person() => self.operator(),
            // There is nobody: that is why a number is asked for.
            Collected::Person => self.fail(&[NOBODY]),
        }
    }

    pub(super) fn collect(&mut self) -> &mut Collector {
        self.collector.get_or_insert_with(|| {
            Collector::new(Wanted {
                min: DIGITS_MIN,
                max: DIGITS_MAX,
                finish: Some('#'),
                between: BETWEEN_KEYS,
                pattern: None,
                // The dialogue's own prompts are counted.
                attempts: u8::MAX,
            })
        })
    }

    fn take_number(&mut self, digits: String) -> Reply {
        self.collector = None;
        let Some(call_back) = &mut self.call_back else { return self.ask_what() };
        let say = vec![format!("I have {}.", spoken::groups(&digits)), ASK_RIGHT.to_owned()];
        call_back.number = digits;
        self.question = Question::NumberRight;
        self.reply(say, Expectation::YesNo)
    }

    fn take_name(&mut self, name: String) -> Reply {
        let Some(call_back) = &mut self.call_back else { return self.ask_what() };
        let letters: Vec<String> =
            name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_uppercase().to_string()).collect();
        let say = vec![format!("I have {name}, spelled {}.", letters.join(" ")), ASK_RIGHT.to_owned()];
        call_back.name = Some(name);
        self.question = Question::NameRight;
        self.reply(say, Expectation::YesNo)
    }

    fn confirm(&mut self, yes: bool) -> Reply {
        match (self.question, yes) {
            (Question::CallBack, true) => self.ask_number(&[]),
            (Question::CallBack, false) => self.leave_call_back(&["All right."]),
            (Question::NumberRight, true) => {
                self.failures = 0;
                self.question = Question::Name;
                self.reply(vec![ASK_NAME.to_owned()], Expectation::Name)
            }
            (Question::NumberRight, false) => {
                self.question = Question::Number;
                self.fail(&["All right, once more."])
            }
            (Question::NameRight, false) => {
                let failed_before = self.call_back.as_mut().is_some_and(|c| {
                    c.name = None;
                    std::mem::replace(&mut c.name_failed, true)
                });
                if failed_before {
                    return self.finish_call_back();
                }
                self.question = Question::Name;
                self.reply(
                    vec!["Please spell it, as in: a for alpha. Or press pound to go on without it.".to_owned()],
                    Expectation::Name,
                )
            }
            _ => self.finish_call_back(),
        }
    }

    fn ask_number(&mut self, first: &[&str]) -> Reply {
        self.failures = 0;
        self.question = Question::Number;
        let mut say: Vec<String> = first.iter().map(|line| (*line).to_owned()).collect();
        say.push(ASK_NUMBER.to_owned());
        self.reply(say, Expectation::Digits { max: CALL_BACK_DIGITS })
    }

    fn finish_call_back(&mut self) -> Reply {
        let Some(CallBack { before, number, name, .. }) = self.call_back.take() else { return self.ask_what() };
        (self.question, self.failures) = (before, 0);
        let mut say = vec!["Thank you. I have noted it down.".to_owned()];
        let expect = self.ask_again(&mut say);
        Reply { intent: Some(Intent::CallBack { number, name }), ..self.reply(say, expect) }
    }

    /// The conversation goes on with `heard` where it was.
    fn drop_call_back(&mut self, heard: &Heard) -> Reply {
        self.question = self.call_back.take().map_or(Question::What, |call_back| call_back.before);
        self.hear(heard)
    }

    /// Back to what was asked before; nothing is noted.
    fn leave_call_back(&mut self, first: &[&str]) -> Reply {
        if let Some(call_back) = self.call_back.take() {
            self.question = call_back.before;
        }
        // No progress: whoever is misheard as wanting a person is not to be led around for ever.
        let mut say: Vec<String> = first.iter().map(|line| (*line).to_owned()).collect();
        let expect = self.ask_again(&mut say);
        self.reply(say, expect)
    }
}
