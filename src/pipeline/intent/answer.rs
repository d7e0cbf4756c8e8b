//! Yes or no. Purpose: decide whether a caller has approved, and never by accident.
//!
//! Pure. Affirmative and negative words are scored apart; an approval needs a strong affirmative, no negative, no
//! hedge, and nothing else in the turn that could be a condition. So "yes but", "yeah no", "hmm", "okay" and silence
//! are none. Deliberately absent: keys (the dialogue reads them).

use super::Transcript;

/// Words that say yes by themselves.
const STRONG: &[&str] =
    &["yes", "yeah", "yep", "yup", "yea", "absolutely", "definitely", "ofcourse", "affirmative", "certainly"];

/// Phrases that say "do it".
const GO: &[&str] = &[
    "go ahead",
    "go for it",
    "do it",
    "do that",
    "build it",
    "build that",
    "build the crm",
    "please do",
    "let's do it",
    "let's go",
    "make it so",
    "make it",
    "start it",
    "start building",
    "build away",
    "get going",
    "carry on and build",
];

/// Words that agree with something, but perhaps only with having heard it.
const WEAK: &[&str] = &[
    "okay",
    "sure",
    "right",
    "alright",
    "fine",
    "good",
    "correct",
    "great",
    "perfect",
    "cool",
    "exactly",
    "uhhuh",
    "mhm",
    "lovely",
    "nice",
    "super",
    "wonderful",
    "excellent",
    "indeed",
    "agreed",
    "fantastic",
    "brilliant",
    "terrific",
    "splendid",
    "superb",
];

/// Words that refuse, doubt, delay or attach a condition.
const NEGATIVE: &[&str] = &[
    "no",
    "nope",
    "nah",
    "not",
    "don't",
    "never",
    "stop",
    "wait",
    "hold",
    "cancel",
    "wrong",
    "isn't",
    "won't",
    "can't",
    "doesn't",
    "didn't",
    "wouldn't",
    "shouldn't",
    "nothing",
    "nobody",
    "none",
    "negative",
    "neither",
    "without",
];

/// Words that find fault: a no to what was read back.
const FAULTS: &[&str] = &[
    "incorrect",
    "mistake",
    "mistaken",
    "misunderstood",
    "misheard",
    "misunderstanding",
    "disagree",
    "refuse",
    "false",
];

/// Negators that turn the go-ahead or the strong word next to them round: "do not do that", "absolutely not".
const TURNS: &[&str] = &["not", "don't", "never", "won't", "can't", "shouldn't", "wouldn't", "mustn't", "didn't"];

/// Words that open a question; a question approves nothing: "is that absolutely right".
const ASKS: &[&str] = &["is", "isn't", "are", "aren't", "does", "did", "has", "should", "shall", "will"];

/// Phrases that say no more than what is put for them. Whole words; the first that fits a place.
const SAME_AS: &[(&str, &str)] = &[
    ("thank you", "thanks"),
    ("let us", "let's"),
    ("what i wanted", "it"),
    ("what i want", "it"),
    ("what i need", "it"),
    ("what we wanted", "it"),
    ("what we want", "it"),
    ("what we need", "it"),
    ("what i asked for", "it"),
    ("what we asked for", "it"),
    ("what i had in mind", "it"),
    ("what i meant", "it"),
    ("what i said", "it"),
    ("what i asked you for", "it"),
    ("all i need", "it"),
    ("all i want", "it"),
    ("all we need", "it"),
    ("all we want", "it"),
    ("like that", "that"),
    ("we are", "i'm"),
    ("you are right", "that's right"),
    ("you're right", "that's right"),
    ("you heard me right", "that's right"),
    ("you heard right", "that's right"),
    ("i would like that", "i want that"),
    ("we would like that", "i want that"),
    ("i would love that", "i want that"),
    ("we would love that", "i want that"),
    ("i'd like that", "i want that"),
    ("we'd like that", "i want that"),
    ("i'd love that", "i want that"),
    ("we'd love that", "i want that"),
    ("i would like it", "i want it"),
    ("i would love it", "i want it"),
    ("we would like it", "i want it"),
    ("we would love it", "i want it"),
    ("i would be happy", "i'm happy"),
    ("we would be happy", "i'm happy"),
    ("i'd be happy", "i'm happy"),
    ("that will do", "that's good"),
    ("that'll do", "that's good"),
    ("that suits me", "that's good"),
    ("that suits us", "that's good"),
    ("how i want it", "it"),
    ("how we want it", "it"),
    ("the way i want it", "it"),
    ("the way we want it", "it"),
    ("all of that is", "that's"),
    ("all of it is", "that's"),
    ("that works", "that's good"),
    ("works for me", "good"),
    ("works for us", "good"),
    ("good to me", "good"),
    ("good to us", "good"),
    ("right with me", "right"),
    ("everything is", "that's"),
    ("everything sounds", "that's"),
    ("everything looks", "that's"),
    ("happy with that", "that's right"),
    ("happy with it", "that's right"),
    ("you got it", "that's right"),
    ("you have got it", "that's right"),
    ("you've got it", "that's right"),
    ("you have understood me correctly", "that's right"),
    ("you understood me correctly", "that's right"),
    ("you understood correctly", "that's right"),
    ("you have understood me", "that's right"),
    ("you understood me", "that's right"),
    ("i am sure", "i'm sure"),
    ("i am", "i'm"),
    ("i agree", "that's right"),
    ("we agree", "that's right"),
    ("for sure", "sure"),
    ("sure thing", "sure"),
    ("by all means", "go ahead"),
    ("go right ahead", "go ahead"),
    ("get on with it", "start it"),
    ("begin building", "start building"),
];

/// Go-aheads when nothing follows that they begin: "get started", but not "get started on a CRM".
const STARTS: &[(&str, &str)] = &[
    ("get started", "start it"),
    ("get to work", "start it"),
    ("start right away", "start it"),
    ("start now", "start it"),
    ("proceed", "go ahead"),
    ("get it done", "do it"),
    ("get to it", "do it"),
];
const AFTER_START: &[&str] = &["please", "now", "then", "thanks", "thank", "right", "straight", "immediately", "yes"];

/// "You can go ahead" gives leave only where nothing is said before it but yes: "so you can build it" repeats or asks.
const LEAVE: &[(&str, &str)] = &[
    ("you can go ahead", "go ahead"),
    ("you may go ahead", "go ahead"),
    ("you may start", "start it"),
    ("you may begin", "start it"),
    ("you can start", "start it"),
    ("you can begin", "start it"),
    ("you can build", "build"),
    ("you may build", "build"),
    ("we can start", "start it"),
    ("i want you to build", "build"),
    ("we want you to build", "build"),
    ("i want you to start", "start it"),
    ("we want you to start", "start it"),
];
const BEFORE_LEAVE: &[&str] = &["sure", "okay", "fine", "alright", "great", "perfect", "please", "good"];

/// Words that leave a yes open.
const HEDGES: &[&str] = &[
    "but", "however", "except", "although", "though", "unless", "if", "maybe", "perhaps", "hmm", "hm", "later",
    "instead", "actually", "think", "guess", "suppose", "probably", "almost", "nearly", "first", "before", "until",
    "only", "change", "when", "what", "why", "how", "who", "which",
];

/// Words that may stand beside a yes without changing it.
const HARMLESS: &[&str] = &[
    "please",
    "thanks",
    "thank",
    "that's",
    "that",
    "is",
    "it",
    "it's",
    "now",
    "then",
    "the",
    "a",
    "an",
    "and",
    "oh",
    "well",
    "so",
    "just",
    "grace",
    "crm",
    "all",
    "sounds",
    "looks",
    "want",
    "i",
    "i'm",
    "very",
    "much",
    "right",
    "away",
    "me",
    "us",
    "for",
    "this",
    "do",
    "build",
    "make",
    "start",
    "go",
    "going",
    "get",
    "ahead",
    "let's",
    "ready",
    "with",
    "on",
    "carry",
    "happy",
    "we",
    "our",
    "my",
    "building",
    "straight",
    "immediately",
    "begin",
];

/// How far a turn says yes and how far it says no.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Answer {
    /// 0..=1.
    pub yes: f64,
    /// 0..=1; hedges count half.
    pub no: f64,
    /// Words beside a yes that could be a condition or a wish.
    pub other_words: usize,
    /// How often it says yes: "yes, go ahead" twice, "yes" once.
    pub assents: usize,
}

impl Answer {
    /// Scores a turn.
    pub(super) fn of(heard: &Transcript) -> Self {
        let mut yes: f64 = 0.0;
        let mut no: f64 = 0.0;
        let (mut other_words, mut assents) = (0, 0);
        let plain = plainer(heard);
        let words: Vec<&str> = plain.split(' ').filter(|w| !w.is_empty()).collect();
        let at = |k: usize| words.get(k).copied().unwrap_or("");
        // "yes, is that all", but not "yes, that is it".
        let asks_on = words.windows(3).any(|w| {
            w[1] == "is"
                && matches!(w[2], "that" | "it" | "this")
                && !matches!(w[0], "that" | "this" | "it" | "all" | "which" | "what")
        });
        if asks_on || ASKS.contains(&at(0)) {
            no = 0.5;
        }
        for (k, &word) in words.iter().enumerate() {
            assents += usize::from(STRONG.contains(&word) || WEAK.contains(&word) || word == "please");
            if STRONG.contains(&word) {
                let turned =
                    matches!(word, "absolutely" | "definitely" | "certainly" | "ofcourse") && at(k + 1) == "not";
                yes = yes.max(if turned { 0.0 } else { 0.95 });
            } else if NEGATIVE.contains(&word) {
                no = no.max(0.95);
            } else if FAULTS.contains(&word) {
                no = no.max(FAULT);
            } else if HEDGES.contains(&word) {
                no = no.max(0.5);
            } else if WEAK.contains(&word) {
                yes = yes.max(0.5);
            } else if is_said_of_it(&words, k) {
                // "that would be great": any other "would be" counts.
            } else if !HARMLESS.contains(&word) {
                other_words += 1;
            }
        }
        if goes_ahead(&words) {
            yes = yes.max(0.95);
            assents += 1;
        }
        Self { yes, no, other_words, assents }
    }

    /// An explicit yes or go-ahead with nothing against it and nothing besides it.
    #[must_use]
    pub fn approves(&self) -> bool {
        self.yes >= 0.9 && self.no == 0.0 && self.other_words == 0
    }

    /// How sure the recogniser must be of it: less of what says yes more than once, which nothing else sounds like by chance.
    #[must_use]
    pub fn confidence_min(&self) -> f32 {
        if self.assents > 1 { YES_AGAIN_CONFIDENCE_MIN } else { YES_CONFIDENCE_MIN }
    }

    /// A no with no yes beside it.
    #[must_use]
    pub fn rejects(&self) -> bool {
        self.no >= FAULT && self.yes < 0.9
    }

    /// A no in so many words, not only a fault found.
    pub(super) fn says_no(&self) -> bool {
        self.no > FAULT && self.yes < 0.9
    }
}

/// A spoken yes below this confidence of the recogniser is asked for again.
const YES_CONFIDENCE_MIN: f32 = 0.5;
/// The same of "yes, go ahead": of 120 spoken answers that were none, at 20 and 30 dB, not one was heard as two words of
/// assent.
const YES_AGAIN_CONFIDENCE_MIN: f32 = 0.25;

/// How far a fault found says no; a spoken no says more.
const FAULT: f64 = 0.9;

/// The turn with its longer phrases put shortly.
fn plainer(heard: &Transcript) -> String {
    let words: Vec<&str> = heard.plain().split(' ').filter(|w| !w.is_empty()).collect();
    let mut out: Vec<&str> = Vec::with_capacity(words.len());
    let mut k = 0;
    while k < words.len() {
        let begins = |phrase: &str| {
            let count = phrase.split(' ').count();
            (words.len() >= k + count && phrase.split(' ').eq(words[k..k + count].iter().copied())).then_some(count)
        };
        let leave = match out.last() {
            None => words[k..].starts_with(&["you", "may"]) || words[k..].starts_with(&["you", "can", "go"]),
            Some(before) => STRONG.contains(before) || BEFORE_LEAVE.contains(before),
        };
        let found = SAME_AS
            .iter()
            .chain(LEAVE.iter().filter(|_| leave))
            .find_map(|(phrase, plain)| begins(phrase).map(|count| (count, *plain)))
            .or_else(|| {
                STARTS.iter().find_map(|(phrase, plain)| {
                    let count = begins(phrase)?;
                    words.get(k + count).is_none_or(|next| AFTER_START.contains(next)).then_some((count, *plain))
                })
            });
        match found {
            Some((count, plain)) => {
                out.extend(plain.split(' '));
                k += count;
            }
            None => {
                out.push(words[k]);
                k += 1;
            }
        }
    }
    out.join(" ")
}

/// Whether word `k` is of "that would be great", "it will be very nice".
fn is_said_of_it(words: &[&str], k: usize) -> bool {
    let from = if words[k] == "be" { k.checked_sub(1) } else { Some(k) };
    let Some(before) = from.and_then(|from| from.checked_sub(1)) else { return false };
    match &words[before..] {
        ["that" | "it" | "this", "would" | "will", "be", "very" | "just" | "quite", good, ..]
        | ["that" | "it" | "this", "would" | "will", "be", good, ..] => WEAK.contains(good),
        _ => false,
    }
}

/// Whether a go-ahead is said that no negator just before it turns round.
fn goes_ahead(words: &[&str]) -> bool {
    GO.iter().any(|phrase| {
        let count = phrase.split(' ').count();
        words.windows(count).enumerate().any(|(at, window)| {
            phrase.split(' ').eq(window.iter().copied())
                // "please do" in "please do not".
                && words.get(at + count).is_none_or(|next| *next != "not")
                && !match words[..at] {
                    [.., "why", "don't", "you"] => false,
                    [.., negator, "want" | "need", "you", "to"] => TURNS.contains(&negator),
                    [.., negator, "please" | "just" | "you" | "ever" | "to"] => TURNS.contains(&negator),
                    [.., negator] => TURNS.contains(&negator),
                    [] => false,
                }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Answer {
        Answer::of(&Transcript::new(text))
    }

    #[test]
    fn explicit_approvals() {
        for text in [
            "yes",
            "Yes.",
            "yeah",
            "yes please",
            "yep, go ahead",
            "go ahead",
            "do it",
            "build it now please",
            "yes yes yes",
            "yes, that's right",
            "okay go for it",
            "please do",
            "of course",
            "yes build the c r m",
            "yes, thank you Grace",
            "absolutely",
            "yes that is what I want",
            "yes, I would like that very much",
            "yes please, that is just what I wanted",
            "sure, you can go ahead",
            "you may start",
            "yes, start building it now",
            "yes, that would be great",
            "yes, that works for me",
            "yes, everything is correct",
            "yes, all of that is right",
            "yes, that will be fine",
            "yes, I would be happy with that",
            "yes, that is how we want it",
            "yes, I would love it",
            "yes, please begin",
            "oh yes, that would be very nice",
            "yes, I want you to build it",
            "yes, we are ready",
            "yes, exactly like that",
            "yes, that is all I need",
            "yes, get it done",
            "yes, that is it",
            "certainly",
            "yes, by all means",
            "yes, we want exactly that",
            "yes, I am happy with that",
            "let's get started",
            "yes, you got it",
            "yes indeed, build our crm straight away",
        ] {
            assert!(answer(text).approves(), "{text}");
        }
    }

    #[test]
    fn everything_else_is_no_approval() {
        for text in [
            "",
            "hmm",
            "um",
            "okay",
            "right",
            "sure",
            "mm-hm",
            "uh-huh",
            "no",
            "nope",
            "yes but",
            "yes, but without deals",
            "yeah no",
            "no yes",
            "yes and add notes",
            "yes if it is free",
            "not yet",
            "yes wait",
            "don't do it",
            "maybe yes",
            "do I have to say yes",
            "should I say yes",
            "yes to the contacts",
            "I guess yes",
            "yesterday",
            "stop",
            "what happens if I say yes",
            "go ahead and call me tomorrow",
            "sounds good",
            "the yes men",
            "yes, hold on",
            "build it later",
            "so you build it",
            "can you build it in blue",
            "yes when you have added search",
            "I would like that",
            "yes, I would like that changed",
            "yes, what I wanted was blue",
            "that is not what I wanted",
            "so you can go ahead",
            "so you can build it",
            "you can build it",
            "I'm happy that you can build it",
            "can you go ahead",
            "yes, you can start on monday",
            "sure, you can go ahead with notes",
            "if you can go ahead",
            "would that be great",
            "yes, it would be better in blue",
            "that works",
            "yes, that works when we have search",
            "yes, everything but the deals",
            "everything is fine",
            "certainly not",
            "absolutely not",
            "by no means",
            "I want you to build it",
            "I do not want you to build it",
            "yes, I want you to build it in blue",
            "yes, something like that",
            "not like that",
            "yes, that would be very late",
            "yes, all I need is notes",
            "did you get it done",
            "when we are ready",
            "yes, once we are ready",
            "we can start",
            "that is all I need",
            "yes, is that all",
            "yeah, is it ready now",
            "will that be fine",
            "yes, that will be later",
            "I would be happy with notes",
            "how I want it is none of your business",
            "yes, I would love it in blue",
            "please begin",
            "all of that is right",
            "I would like it",
            "yes, you got it wrong",
            "I am not sure",
            "are you sure you can start",
            "is that absolutely right",
            "is it definitely ready",
            "will you start now",
            "when do we get started",
            "do not proceed",
            "please don't start right away",
            "you can start then",
            "yes, get started on a website",
            "let's get started on some kind of crm",
            "why don't you get going",
            "we agree on nothing",
            "I would not say yes",
            "yes, that is a mistake",
            "yes, our crm has no deals",
        ] {
            assert!(!answer(text).approves(), "{text}");
        }
    }

    #[test]
    fn a_plain_no() {
        assert!(answer("no").rejects() && answer("no thanks").rejects() && answer("don't").rejects());
        for text in [
            "please do not do that",
            "I do not want you to build it",
            "absolutely not",
            "definitely not",
            "do not start it",
            "that is incorrect",
            "you misunderstood me",
            "that's a mistake",
        ] {
            assert!(answer(text).rejects(), "{text}");
        }
        for text in ["no, do it", "don't wait, build it", "absolutely", "not only that, yes"] {
            assert!(!answer(text).rejects(), "{text}");
        }
        assert!(!answer("that's a mistake").says_no() && answer("no").says_no());
        assert!(!answer("yeah no").rejects() && !answer("").rejects() && !answer("hmm").rejects());
    }
}
