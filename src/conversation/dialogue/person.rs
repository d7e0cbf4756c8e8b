//! A caller who wants a person, whatever is asked at that moment. Purpose: key 0 and "a person, please" lead to somebody where
//! somebody is configured, and to a call back where nobody is, or nobody answers. Pure.
//!
//! The caller is told, then put through; who takes it back while being told ("no, wait", star) stays. Nothing that was known
//! of an order is lost by it: where nobody answers, the question of before is asked again. Invariant: once it was asked for,
//! only the caller takes it back. Deliberately absent: ringing (`call`).

use super::call_back::CallBack;
use super::prompt::ASK_CALL_BACK;
use super::{Dialogue, Question};
use crate::conversation::{Expectation, Heard, Intent, Reply};
use crate::pipeline::intent::{Act, Context, understand};

pub(super) const NOBODY: &str = "I am sorry. There is no operator set up here.";
const UNREACHED: &str = "I am sorry, nobody could take your call.";

impl Dialogue {
    /// Whether there is somebody to put callers through to.
    pub(super) const fn has_person(&self) -> bool {
        self.persona.putting_through.is_some()
    }

    /// The caller wants a person.
    pub(super) fn operator(&mut self) -> Reply {
        let Some(line) = self.persona.putting_through.clone() else {
            let reply = self.without_person(NOBODY);
            return Reply { intent: Some(Intent::Operator), ..reply };
        };
        self.putting_through = true;
        let expect = self.last_expect;
        Reply { intent: Some(Intent::PutThrough), ..self.reply(vec![line], expect) }
    }

    /// Nobody has taken the call that [`Intent::PutThrough`] asked for; the caller is here again.
    pub fn not_put_through(&mut self) -> Reply {
        self.putting_through = false;
        self.without_person(UNREACHED)
    }

    /// The caller said something while being told.
    pub(super) fn hear_before_person(&mut self, heard: &Heard) -> Reply {
        let understood = understand(&heard.text, Context::Free);
        match understood.act {
            Act::Goodbye => {
                self.putting_through = false;
                self.hang_up(&["Thank you for calling.", "Goodbye."])
            }
            Act::Cancel | Act::Reject => self.stay(),
            _ if understood.answer.rejects() => self.stay(),
            _ => self.put_through(),
        }
    }

    /// The same of a key.
    pub(super) fn key_before_person(&mut self, key: char) -> Reply {
        if matches!(key, '*' | '2') { self.stay() } else { self.put_through() }
    }

    pub(super) fn put_through(&mut self) -> Reply {
        Reply { intent: Some(Intent::PutThrough), expect: self.last_expect, ..Reply::default() }
    }

    /// Not to a person after all.
    fn stay(&mut self) -> Reply {
        self.putting_through = false;
        let mut say = vec!["All right.".to_owned()];
        let expect = self.ask_again(&mut say);
        self.reply(say, expect)
    }

    fn without_person(&mut self, sorry: &str) -> Reply {
        let mut say = vec![sorry.to_owned()];
        let opening = matches!(self.question, Question::Consent | Question::Pin | Question::GoOn);
        // In the middle of an order, the order comes first.
        if self.building() || self.draft.is_some() || self.call_back.is_some() || (opening && self.has_person()) {
            let expect = self.ask_again(&mut say);
            return self.reply(say, expect);
        }
        self.call_back = Some(CallBack::after(self.question));
        self.question = Question::CallBack;
        say.push(ASK_CALL_BACK.to_owned());
        self.reply(say, Expectation::YesNo)
    }
}
