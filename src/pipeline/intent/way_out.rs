//! Turns that are about the call and not about a build: greetings, good-byes, "say that again", "a person, please".
//!
//! Pure. Deliberately absent: answers to a question of the agent (`answer`), what to say to them (the dialogue).

use super::artefact::{Artefact, mentions};
use super::command::Act;
use super::words::NEGATORS;
use super::{Transcript, transcript::PAUSE};

/// Whole turns that greet.
const GREETINGS: &[&str] = &[
    "hello",
    "hi",
    "hey",
    "good morning",
    "good afternoon",
    "good evening",
    "hello there",
    "hi there",
    "hello grace",
    "hi grace",
    "hello hello",
    "are you there",
    "hello are you there",
    "can you hear me",
    "hello can you hear me",
    "anybody there",
    "is anybody there",
    "how are you",
    "how are you doing",
    "how are you today",
    "who is this",
    "who's this",
    "hello who is this",
    "who am i speaking to",
    "how's it going",
    "good day",
    "is this grace",
    "who is speaking",
    "who is there",
    "who's there",
    "what's up",
];
const GOODBYES: &[&str] = &[
    "goodbye",
    "good bye",
    "good by",
    "bye",
    "bye bye",
    "that's all",
    "that is all",
    "hang up",
    "see you later",
    "talk to you later",
    "have a nice day",
    "have a good day",
    "have a good one",
    "nothing else",
    "have a nice evening",
    "i have to hang up",
    "i'm done",
    "we're done",
    "i am done",
    "good night",
    "that will be all",
    "that'll be all",
    "wrong number",
    "i have to go",
    "i've got to go",
    "i have got to go",
    "i must go",
    "talk to you soon",
    "speak to you soon",
    "see you soon",
    "have a good evening",
    "have a lovely day",
    "have a nice weekend",
    "have a good weekend",
    "i'll call back",
    "no more questions",
    "that is it for",
    "that's it for",
    "that would be all",
    "take care",
];
/// The last words of a turn of any length that takes leave.
const LEAVES: &[&str] = &[
    "goodbye",
    "bye",
    "bye bye",
    "take care",
    "have a nice day",
    "have a good day",
    "have a good one",
    "good night",
    "have a good evening",
    "have a nice evening",
    "talk to you soon",
];
const REPEATS: &[&str] = &[
    "repeat",
    "say that again",
    "say it again",
    "once more",
    "come again",
    "pardon",
    "i beg your pardon",
    "what did you say",
    "didn't catch that",
    "didn't get that",
    "didn't hear that",
    "didn't hear you",
    "what was that",
    "one more time",
    "didn't understand",
    "read it again",
    "tell me again",
    "read that back",
    "couldn't hear you",
    "could not hear you",
    "can't hear you",
    "cannot hear you",
    "did not hear you",
    "didn't hear what",
    "did not hear what",
    "did not understand",
    "did not catch",
    "did not get that",
    "missed that",
    "missed the last part",
    "missed the last bit",
    "missed the last word",
    "missed the end",
    "missed what you",
    "say again",
    "say that once",
    "what did you just say",
    "line was bad",
    "line is bad",
    "line is so bad",
];
const HELPS: &[&str] = &[
    "what can you do",
    "what can i say",
    "what do you do",
    "what can you build",
    "how does this work",
    "my options",
    "the options",
    "who are you",
    "what are you",
    "what can i do",
    "what can you make",
    "what else can you do",
    "what can i ask",
    "what do i say",
    "what should i say",
    "what do i have to say",
    "some help",
];
/// The same in longer turns, too.
const HELPS_AT_LENGTH: &[&str] = &[
    "how this works",
    "how it works here",
    "supposed to say",
    "supposed to do",
    "what is this for",
    "what this is for",
    "what this is about",
    "this service",
    "this number for",
    "what are my choices",
    "what there is",
    "the possibilities",
    "it that you offer",
    "it that you do",
    "can i order",
    "can one do",
    "one can do here",
    "can i get here",
    "can i get from you",
    "can i have from you",
];
const OPERATORS: &[&str] = &[
    "operator",
    "real person",
    "human",
    "human being",
    "representative",
    "talk to someone",
    "speak to someone",
    "talk to somebody",
    "speak to somebody",
    "speak to a person",
    "talk to a person",
    "speak with a person",
    "talk with a person",
    "speak with someone",
    "live person",
    "your manager",
    "your supervisor",
    "customer service",
    "actual person",
    "somebody from your",
    "someone from your",
    "somebody in charge",
    "someone in charge",
];
pub(super) const CANCELS: &[&str] = &[
    "cancel",
    "never mind",
    "forget it",
    "forget about it",
    "forget the whole thing",
    "forget about the whole thing",
    "abort",
    "scrap it",
    "scrap that",
    "scrap the whole thing",
    "don't build",
    "do not build",
    "not build",
    "don't make",
    "changed my mind",
    "start over",
    "don't bother",
    "drop it",
    "stop it",
    "stop that",
    "stop building",
    "stop the build",
    "don't start",
    "don't create",
    "don't want it",
    "don't want anything",
    "i don't want that",
];

/// Openings before another greeting: "hello, are you still there".
const OPENINGS: &[&str] = &[
    "hello",
    "hi",
    "hey",
    "good",
    "morning",
    "afternoon",
    "evening",
    "day",
    "there",
    "okay",
    "yes",
    "so",
    "well",
    "sorry",
    "grace",
    "and",
];
/// Words that a greeting may have or lack.
const LOOSE: &[&str] =
    &["still", "there", "today", "please", "me", "you", "this", "morning", "now", "grace", "on", "line", "the"];

/// Whether the whole turn greets, or asks whether somebody listens.
pub(super) fn greets(heard: &Transcript) -> bool {
    if heard.is_any(GREETINGS) {
        return true;
    }
    let words: Vec<&str> = heard.words().iter().map(String::as_str).filter(|w| *w != PAUSE).collect();
    let Some(from) = words.iter().position(|w| !OPENINGS.contains(w)) else {
        return words.len() <= 5
            && words.iter().any(|w| matches!(*w, "hello" | "hi" | "hey" | "morning" | "afternoon" | "evening"));
    };
    let rest = &words[from..];
    if GREETINGS.contains(&rest.join(" ").as_str()) {
        return true;
    }
    let after = match rest {
        ["is", "there", who, after @ ..] | ["is" | "isn't", who, after @ ..]
            if matches!(*who, "anybody" | "anyone" | "someone" | "somebody") =>
        {
            after
        }
        ["are", "you", after @ ..] if after.contains(&"there") => after,
        ["can", "anybody" | "anyone" | "somebody" | "someone", "hear", after @ ..] if after.contains(&"me") => after,
        ["is", "this", "on" | "working"] => &[],
        // "good morning to you".
        ["to", "you", after @ ..] if from > 0 => after,
        ["can" | "do", "you", "hear", after @ ..] | ["how", "are", "you", after @ ..] => after,
        _ => return false,
    };
    after.len() <= 4 && after.iter().all(|w| LOOSE.contains(w))
}

/// Verbs of being connected.
const CONNECT: &[&str] = &["talk", "speak", "connect", "transfer", "through", "pass"];
/// People who work where the call was taken.
const PEOPLE: &[&str] = &[
    "person",
    "human",
    "someone",
    "somebody",
    "anybody",
    "anyone",
    "agent",
    "boss",
    "manager",
    "colleague",
    "colleagues",
    "employee",
    "staff",
    "supervisor",
    "representative",
    "assistant",
];

/// "Could you connect me with a person", "I want to speak to your boss": a verb of being connected and somebody of the house.
fn wants_a_person(heard: &Transcript) -> bool {
    let at = |k: usize| heard.at(k);
    // "is there a colleague of yours that I could talk to".
    let asks = heard.says(&["is there", "isn't there", "are there"])
        && heard.says(&[
            "i can talk to",
            "i could talk to",
            "i may talk to",
            "we can talk to",
            "we could talk to",
            "i can speak to",
            "i could speak to",
            "i can speak with",
            "i could speak with",
            "i can talk with",
            "i could talk with",
        ]);
    asks || heard.words().iter().enumerate().any(|(k, verb)| {
        let to = (k + 1..k + 4).find(|t| matches!(at(*t), "to" | "with"));
        let somebody =
            to.and_then(|t| (t + 1..t + 6).take_while(|p| at(*p) != PAUSE).find(|p| PEOPLE.contains(&at(*p))));
        CONNECT.contains(&verb.as_str())
            && to.zip(somebody).is_some_and(|(t, p)| {
                (t + 1..p).all(|b| !matches!(at(b), "my" | "his" | "her" | "their" | "our" | "about"))
            })
            && !(k.saturating_sub(5)..k)
                .any(|b| NEGATORS.contains(&at(b)) || matches!(at(b), "they" | "he" | "she" | "used"))
    })
}

/// "What kind of things can you do", "what services do you offer", "tell me what you do".
fn asks_what_is_done_here(heard: &Transcript) -> bool {
    let at = |k: usize| heard.at(k);
    let verb = |k: usize| {
        matches!(at(k), "do" | "offer" | "build" | "make" | "provide" | "sell" | "help")
            && !matches!(at(k + 1), "with" | "about" | "of" | "to" | "that" | "it" | "think" | "if" | "when")
    };
    heard.words().iter().enumerate().any(|(k, word)| {
        matches!(word.as_str(), "what" | "which")
            && (k + 1..k + 5).any(|m| {
                matches!((at(m), at(m + 1)), ("can" | "could" | "do", "you") | ("you", "can")) && verb(m + 2)
                    || (at(m), at(m + 1), at(m + 2), at(m + 3)) == ("are", "you", "able", "to") && verb(m + 4)
                    || m == k + 1 && at(m) == "you" && verb(m + 1)
            })
    })
}

/// Whether a turn that asks for nothing ends with a goodbye: "I was only curious, have a nice day".
pub(super) fn ends_with_goodbye(heard: &Transcript) -> bool {
    let plain = heard.plain();
    LEAVES.iter().any(|leave| plain.strip_suffix(leave).is_some_and(|rest| rest.is_empty() || rest.ends_with(' ')))
        && !heard.says(&["said goodbye", "say goodbye", "says goodbye", "said bye", "say bye", "to take care"])
}

/// The way out of a question that a turn takes, if any.
pub(super) fn way_out(heard: &Transcript) -> Option<Act> {
    let short = heard.len() <= 8;
    // "you didn't understand" is a no.
    let misunderstood = heard.says(&["you didn't understand", "you did not understand", "you haven't understood"]);
    if heard.says(REPEATS) && !misunderstood
        || heard.is_any(&["again", "again please", "what", "sorry", "sorry what", "excuse me", "huh"])
    {
        return Some(Act::Repeat);
    }
    if wants_a_person(heard) || heard.says(OPERATORS) && !heard.says(&["not human", "the human"]) {
        return Some(Act::Operator);
    }
    if short && heard.says(GOODBYES) {
        return Some(Act::Goodbye);
    }
    let asks = ["help", "help me", "help please", "please help", "i need help", "some help please"];
    // "what can you do about our CRM" is about the CRM.
    let names = || mentions(heard).iter().any(|m| m.what == Artefact::Crm);
    let lost = heard.says(&["know what to say", "know what to ask", "know what i can say", "know what i can ask"]);
    let wonders = heard.len() <= 12 && (lost || asks_what_is_done_here(heard)) && !names();
    if (short && heard.says(HELPS))
        || (heard.len() <= 10 && heard.says(HELPS_AT_LENGTH) && !names())
        || wonders
        || heard.is_any(&asks)
    {
        return Some(Act::Help);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out(text: &str) -> Option<Act> {
        way_out(&Transcript::new(text))
    }

    #[test]
    fn greetings() {
        for text in [
            "hello",
            "hello, is there anybody there",
            "good morning, can you hear me",
            "hello, are you still there",
            "hi, how are you this morning",
            "good afternoon, is anyone there",
            "hi there, are you there",
            "good day, how are you",
            "hello, can anybody hear me",
        ] {
            assert!(greets(&Transcript::new(text)), "{text}");
        }
        for text in [
            "",
            "okay",
            "good",
            "yes",
            "hello, can you hear the rain",
            "is anyone using it",
            "how are you getting on with it",
            "are you building it there",
            "is somebody paying for it",
            "can anybody hear the rain",
            "there is a dog",
            "is this one working",
            "hello, build a crm",
        ] {
            assert!(!greets(&Transcript::new(text)), "{text}");
        }
    }

    #[test]
    fn a_person() {
        for text in [
            "could you connect me with a person",
            "I would like to speak with a member of staff",
            "I want to speak to your boss",
            "put me through to a real person please",
        ] {
            assert_eq!(out(text), Some(Act::Operator), "{text}");
        }
        for text in [
            "I have to talk to my husband first",
            "I must speak to my boss about it",
            "I don't want to speak to your boss",
            "they used to speak to an agent here",
            "my daughter is talking to me",
            "a person should not talk so much",
        ] {
            assert_eq!(out(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_done_here() {
        for text in [
            "so tell me, what can you do for me",
            "what kind of things can you do",
            "what services do you offer",
            "can you tell me what you do",
            "what are you able to do",
        ] {
            assert_eq!(out(text), Some(Act::Help), "{text}");
        }
        for text in [
            "what do you do with my numbers, I wonder",
            "what could you do for our crm",
            "what did you do",
            "what I do is plumbing, mostly",
            "what do you make of it, my friend, honestly now",
        ] {
            assert_ne!(out(text), Some(Act::Help), "{text}");
        }
    }

    #[test]
    fn again() {
        for text in ["I could not hear you", "I did not understand", "would you say again"] {
            assert_eq!(out(text), Some(Act::Repeat), "{text}");
        }
        for text in ["you did not understand me", "I could hear you", "I understand", "I said that"] {
            assert_eq!(out(text), None, "{text}");
        }
    }
}
