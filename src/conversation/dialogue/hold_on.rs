//! A caller who asks for a moment. Purpose: "hold on a second" is neither an answer nor something that was not understood: it is
//! granted, nothing is asked again, and it costs none of the prompts after which a call is given up. Pure. Deliberately absent:
//! "wait" alone, which is a no where something is read back; how long the agent then keeps silent (`turn`).

use super::{Dialogue, Question};
use crate::conversation::{Expectation, Heard, Reply};

/// What is said to that.
pub(super) const TAKE_YOUR_TIME: &str = "Take your time.";

/// Words around it.
const AROUND: &[&str] =
    &["uh", "um", "er", "erm", "okay", "ok", "oh", "sorry", "so", "well", "please", "yes", "yeah", "sure", "hm", "hmm"];
/// Words of which it is made.
const MADE_OF: &[&str] = &[
    "hold", "hang", "on", "wait", "just", "a", "one", "second", "seconds", "sec", "moment", "minute", "for", "give",
    "me", "bear", "with", "let", "think", "see", "i", "need",
];
/// One of these is in it.
const SAYS_SO: &[&[&str]] = &[
    &["hold", "on"],
    &["hang", "on"],
    &["bear", "with", "me"],
    &["let", "me", "think"],
    &["let", "me", "see"],
    &["a", "second"],
    &["one", "second"],
    &["a", "sec"],
    &["one", "sec"],
    &["a", "moment"],
    &["one", "moment"],
    &["a", "minute"],
    &["one", "minute"],
];

impl Dialogue {
    /// The answer to who asks for a moment; `None`: the turn says something else.
    pub(super) fn hear_wait(&mut self, heard: &Heard) -> Option<Reply> {
        let here = matches!(
            self.question,
            Question::What
                | Question::Offer
                | Question::Instead
                | Question::Features
                | Question::Approval
                | Question::Change
                | Question::Nothing
        );
        if !here || !asks_to_wait(&heard.text) {
            return None;
        }
        // The question stands, whatever of it was heard.
        let expect = match self.question {
            Question::Nothing => Expectation::Open,
            _ => self.last_expect,
        };
        Some(Reply { say: vec![TAKE_YOUR_TIME.to_owned()], expect, ..Reply::default() })
    }
}

fn asks_to_wait(text: &str) -> bool {
    let text = text.to_lowercase();
    let words = text.split(|c: char| !(c.is_alphanumeric() || c == '\'')).filter(|word| !word.is_empty());
    let words: Vec<&str> = words.filter(|word| !AROUND.contains(word)).collect();
    words.iter().all(|word| MADE_OF.contains(word))
        && SAYS_SO.iter().any(|said| words.windows(said.len()).any(|window| window == *said))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::Persona;

    #[test]
    fn a_moment_is_told_from_everything_else() {
        for asks in [
            "hold on",
            "Uh, hold on a second.",
            "just a moment please",
            "one second",
            "let me think",
            "okay give me a minute",
            "hang on",
            "wait a moment",
            "bear with me",
        ] {
            assert!(asks_to_wait(asks), "{asks}");
        }
        for other in [
            "",
            "wait",
            "no",
            "yes",
            "one",
            "hold on to the contacts",
            "a second list",
            "build me a crm",
            "see you",
            "on a",
        ] {
            assert!(!asks_to_wait(other), "{other}");
        }
    }

    #[test]
    fn it_is_granted_as_often_as_it_is_asked_for_and_nothing_is_lost_by_it() {
        let mut dialogue = Dialogue::new(Persona::default(), "conv_1");
        dialogue.greet();
        for _ in 0..9 {
            let reply = dialogue.hear(&Heard::certain("hold on a second"));
            assert_eq!((reply.text().as_str(), reply.hang_up), (TAKE_YOUR_TIME, false));
        }
        let read_back = dialogue.hear(&Heard::certain("build a crm with contacts and deals"));
        let said = read_back.text();
        dialogue.cut_off(&said, said.split_whitespace().count());
        let reply = dialogue.hear(&Heard::certain("one moment please"));
        assert_eq!((reply.text().as_str(), reply.expect), (TAKE_YOUR_TIME, read_back.expect));
        dialogue.cut_off(TAKE_YOUR_TIME, 1);
        assert!(dialogue.hear(&Heard::certain("yes")).intent.is_some(), "the question stands");
    }
}
