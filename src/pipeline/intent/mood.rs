//! In which mood a verb stands: an order, a wish, a polite question, or a report, a refusal, a supposition.
//!
//! Pure. The words before a verb are read right to left until they say who does it. Each answer is a confidence 0..=1 that
//! somebody asks for it here and now. Deliberately absent: which verb, and what the rest of the turn says (`request`).

use super::Transcript;
use super::transcript::PAUSE;
use super::words::*;

/// A chain of verbs ("I asked you to try to build") is followed this deep.
const DEPTH_MAX: u8 = 4;

pub(super) const REFUSED: f64 = 0.05;
pub(super) const SOMEBODY_ELSE: f64 = 0.1;
pub(super) const SUPPOSED: f64 = 0.3;
pub(super) const UNCLEAR: f64 = 0.5;
pub(super) const LIKELY: f64 = 0.85;
pub(super) const POLITE: f64 = 0.92;
pub(super) const CLEAR: f64 = 0.96;

/// Somebody's words or deeds follow.
const REPORTING: &[&str] =
    &["said", "says", "told", "asked", "wrote", "goes", "he", "she", "they", "must", "should", "them", "him", "her"];

/// What kind of verb governs the artefact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// Brings a thing into being: "build", "set up".
    Make,
    /// Obtains it: "get", "give", "order".
    Get,
    /// "building", "getting".
    Gerund,
    /// "want", "need", "looking for".
    Wish,
    /// "wants", "needs".
    WishOfThird,
    /// "asked", "told".
    Ask,
}

/// The words of a turn, read right to left.
pub(super) struct Clause<'a> {
    pub(super) heard: &'a Transcript,
}

impl Clause<'_> {
    /// The word before index `i`; empty at the beginning and after a pause.
    pub(super) fn before(&self, i: usize) -> &str {
        match i.checked_sub(1).map_or("", |k| self.heard.at(k)) {
            PAUSE => "",
            word => word,
        }
    }

    /// Whether one of `words` stands within `count` words before `i`, in the same clause.
    pub(super) fn within(&self, i: usize, count: usize, words: &[&str]) -> bool {
        (1..=count)
            .map_while(|back| i.checked_sub(back).map(|k| self.heard.at(k)).filter(|w| *w != PAUSE))
            .any(|w| words.contains(&w))
    }

    /// How much the words before index `i`, where a verb stands, make it a request.
    pub(super) fn mood(&self, mut i: usize, verb: Verb, depth: u8) -> f64 {
        if depth > DEPTH_MAX {
            return SUPPOSED;
        }
        let at = i;
        let mut let_us = false;
        let mut pleaded = false;
        if matches!(self.heard.at(i), "is" | "be" | "was") {
            return if self.within(i, 6, NEGATORS) { REFUSED } else { CLEAR };
        }
        if self.heard.at(i) == "about" {
            return if self.before(i) == "how" || self.heard.at(i + 1) == "a" { LIKELY } else { UNCLEAR };
        }
        if matches!(self.heard.at(i), "time" | "interested") {
            let ours = self.heard.at(i) == "time" || self.within(i, 4, &["i", "we", "i'm", "we're", "i'd", "we'd"]);
            return match ours {
                _ if self.within(i, 4, NEGATORS) || self.before(i) == "no" => REFUSED,
                true if self.within(i, 4, &["it's", "is", "i'm", "we're", "am", "are", "be"]) => LIKELY,
                true => UNCLEAR,
                false => SOMEBODY_ELSE,
            };
        }
        loop {
            let p = self.before(i);
            if NEGATORS.contains(&p) || (p == "no" && verb == Verb::Wish) {
                return REFUSED;
            }
            if ADVERBS.contains(&p) {
                pleaded |= p == "please";
                i -= 1;
            } else if p == "and" && matches!(self.before(i - 1), "ahead" | "come" | "go" | "try") {
                i -= 2;
                if self.before(i) == "go" {
                    i -= 1;
                }
            } else if (p == "and" && (MAKE.contains(&self.before(i - 1)) || GET.contains(&self.before(i - 1))))
                || (matches!(p, "me" | "us") && matches!(self.before(i - 1), "help" | "let"))
            {
                // "design and build", "help me build", "let us have".
                let_us = self.before(i - 1) == "let";
                i -= 2;
            } else {
                break;
            }
        }
        let p = self.before(i);
        let r = self.before(i.saturating_sub(1));
        match p {
            "" => match verb {
                Verb::Make => CLEAR,
                Verb::Get if self.heard.at(at) == "have" && !let_us => SUPPOSED,
                Verb::Get | Verb::Wish => POLITE,
                Verb::Ask => LIKELY,
                Verb::Gerund | Verb::WishOfThird => SUPPOSED,
            },
            "let's" => CLEAR,
            // "no, I said build a CRM".
            "said" if matches!(r, "i" | "we") && matches!(verb, Verb::Make | Verb::Get) => LIKELY,
            _ if verb == Verb::Gerund => self.gerund(p, r, i),
            "to" => self.infinitive(i - 1, depth),
            "you" => self.you(i, r, verb),
            "i" | "we" => self.first_person(i, r, verb),
            "i'd" | "we'd" if matches!(verb, Verb::Wish | Verb::Ask) => CLEAR,
            "i'm" | "we're" | "i've" | "we've" if matches!(verb, Verb::Wish | Verb::Ask) => {
                if self.within(i - 1, 3, &["if"]) { SUPPOSED } else { CLEAR }
            }
            "am" | "are" | "was" | "were" | "been" | "have" if matches!(verb, Verb::Wish | Verb::Ask) => {
                if self.within(i - 1, 2, NEGATORS) {
                    REFUSED
                } else if self.within(i - 1, 3, &["i", "we", "i've", "we've"]) {
                    POLITE
                } else {
                    SOMEBODY_ELSE
                }
            }
            "i'll" | "we'll" => match verb {
                Verb::Wish | Verb::Get => LIKELY,
                _ => SUPPOSED,
            },
            "can" | "could" | "would" | "will" | "should" | "shall" | "might" | "may" | "must" => {
                self.modal(p, i - 1, verb)
            }
            // "can somebody make".
            "someone" | "somebody" | "anyone" | "anybody"
                if matches!(verb, Verb::Make | Verb::Get) && matches!(r, "can" | "could" | "would" | "will") =>
            {
                if self.within(i - 2, 4, QUESTION_WORDS) || self.within(i - 2, 2, &["if", "whether"]) {
                    SUPPOSED
                } else {
                    POLITE
                }
            }
            // "can your people write".
            "people"
                if r == "your"
                    && matches!(verb, Verb::Make | Verb::Get)
                    && self.within(i, 4, &["can", "could", "would", "will"])
                    && !self.within(i, 5, QUESTION_WORDS) =>
            {
                POLITE
            }
            "he" | "she" | "they" | "people" | "everybody" | "everyone" | "he's" | "she's" | "they're" | "someone"
            | "somebody" | "anyone" | "it" | "who" | "that" | "which" => SOMEBODY_ELSE,
            "guys" | "folks" if r == "you" => self.you(i - 1, self.before(i - 2), verb),
            "in" if verb == Verb::Wish && self.heard.at(at) == "market" => LIKELY,
            "in" if verb == Verb::Wish && self.heard.at(at) == "need" => {
                match self.within(i, 4, &["i", "we", "i'm", "we're", "our", "my"]) {
                    _ if self.within(i, 4, NEGATORS) => REFUSED,
                    true => LIKELY,
                    false => SOMEBODY_ELSE,
                }
            }
            _ if self.heard.at(at) == "market" => {
                if self.within(i, 4, &["i'm", "we're", "are", "am"]) {
                    POLITE
                } else {
                    UNCLEAR
                }
            }
            _ if INTERJECTIONS.contains(&p) => match verb {
                Verb::Make | Verb::Get | Verb::Wish => POLITE,
                _ => UNCLEAR,
            },
            // "… search for numbers please make": no ear writes the full stop.
            _ if pleaded
                && matches!(verb, Verb::Make | Verb::Get)
                && !self.within(i, 4, REPORTING)
                && !matches!(self.before(i), "if" | "to" | "not") =>
            {
                LIKELY
            }
            _ => self.noun_subject(i, at, verb),
        }
    }

    /// A noun stands where the subject is: "our team needs", "my boss asked", "… a mess build us".
    fn noun_subject(&self, i: usize, at: usize, verb: Verb) -> f64 {
        let ours = self.within(i, 4, &["my", "our"]);
        let firm = ["company", "team", "office", "business", "boss", "shop", "department", "firm", "management"];
        if ours && NOT_US.contains(&self.before(i)) {
            return SOMEBODY_ELSE;
        }
        // "could your team build".
        if matches!(verb, Verb::Make | Verb::Get)
            && self.within(i, 3, &["your", "you"])
            && self.within(i, 4, &["can", "could", "would", "will"])
        {
            return POLITE;
        }
        match verb {
            Verb::Wish | Verb::WishOfThird | Verb::Ask if ours || firm.contains(&self.before(i)) => LIKELY,
            Verb::Make | Verb::Get if matches!(self.heard.at(at + 1), "me" | "us") => LIKELY,
            Verb::Make | Verb::Get if matches!(self.heard.at(at + 2), "me" | "us") => LIKELY,
            Verb::Make | Verb::Get => UNCLEAR,
            _ => SUPPOSED,
        }
    }

    /// A verb with "to"; `to` is the index of "to".
    fn infinitive(&self, to: usize, depth: u8) -> f64 {
        let mut j = to;
        let people = self.before(j) == "people" && self.before(j - 1) == "you";
        if people || DOERS.contains(&self.before(j)) {
            j -= 1;
            if matches!(self.before(j), "your" | "you" | "of") {
                j -= 1;
            }
            // "I want you and your team to build".
            if self.before(j) == "and" && self.before(j - 1) == "you" {
                j -= 2;
            }
        }
        while ADVERBS.contains(&self.before(j)) {
            j -= 1;
        }
        let m = self.before(j);
        let head = j.saturating_sub(1);
        match m {
            "want" | "need" | "wanted" | "needed" | "like" | "love" | "prefer" | "wish" | "hoping" | "hope"
            | "looking" | "expect" | "trying" | "rather" | "require" => self.mood(head, Verb::Wish, depth + 1),
            "wants" | "needs" => self.mood(head, Verb::WishOfThird, depth + 1),
            m if ASK.contains(&m) => self.mood(head, Verb::Ask, depth + 1),
            "calling" | "call" | "called" | "ringing" | "phoning" | "here" | "phoned" | "rang" => {
                if self.within(head, 3, &["they", "he", "she", "you", "someone"]) { SOMEBODY_ELSE } else { POLITE }
            }
            // "I should get you to build": said to us, it asks.
            "get"
                if self.within(to, 3, &["you"])
                    && matches!(self.before(head), "should" | "must")
                    && matches!(self.before(head - 1), "i" | "we") =>
            {
                if self.within(head, 6, NEGATORS) || self.within(head, 4, &["if"]) { REFUSED } else { LIKELY }
            }
            "get" => self.mood(head, Verb::Get, depth + 1),
            "as" if self.within(head, 3, &["kind", "good", "nice"]) && self.within(head, 6, &["you"]) => {
                if self.within(head, 6, NEGATORS) { SUPPOSED } else { POLITE }
            }
            "able" | "possible" | "great" | "nice" | "good" | "lovely" | "cool" | "helpful" | "useful" | "handy"
            | "ready" | "keen" | "happy" | "time" | "glad" | "fantastic" | "brilliant" | "wonderful" | "interested"
            | "perfect" => {
                if self.within(head, 4, NEGATORS) {
                    REFUSED
                } else if self.within(head, 4, QUESTION_WORDS)
                    || self.within(head, 3, &["they", "he", "she", "was", "were"])
                {
                    SUPPOSED
                } else {
                    LIKELY
                }
            }
            "for" if j < to => LIKELY,
            "is" | "was" if self.within(head, 7, &["i", "we", "my", "our", "i'd"]) => {
                if self.within(head, 6, NEGATORS) { REFUSED } else { POLITE }
            }
            "not" | "never" => REFUSED,
            m if QUESTION_WORDS.contains(&m) || m == "what" => SUPPOSED,
            "decided" | "agreed" if self.within(head, 3, &["i", "we", "i've", "we've"]) => LIKELY,
            // "I have to get a CRM", "I am supposed to order a CRM": here is where one gets it.
            "have" | "supposed" | "meant"
                if matches!(self.heard.at(to + 1), "get" | "order" | "have" | "buy")
                    && (matches!(self.before(head), "i" | "we" | "i'm" | "we're")
                        || matches!(self.before(head), "am" | "are")
                            && matches!(self.before(head - 1), "i" | "we"))
                    && !self.within(head, 3, &["do", "did", "does", "if", "when", "why", "that"])
                    && !self.within(head, 4, NEGATORS) =>
            {
                LIKELY
            }
            "have" | "going" | "planning" => UNCLEAR,
            _ => 0.4,
        }
    }

    /// "you" stands before the verb; `i` is one past it, `r` the word before it.
    fn you(&self, i: usize, r: &str, verb: Verb) -> f64 {
        if matches!(verb, Verb::Wish | Verb::WishOfThird) {
            // "would you like a CRM", "you need a CRM".
            return SOMEBODY_ELSE;
        }
        let left = i.saturating_sub(2);
        match r {
            // "how soon can you get a CRM going".
            "can" | "could" if matches!(self.before(left), "when" | "soon" | "quickly" | "fast") && left <= 4 => LIKELY,
            "can" | "could" | "would" | "will" | "can't" | "couldn't" | "won't" | "wouldn't" | "please" => {
                if self.within(left, 4, QUESTION_WORDS) { SUPPOSED } else { CLEAR }
            }
            "that" if self.before(left) == "possible" && !self.within(left, 6, NEGATORS) => POLITE,
            "don't" if self.before(left) == "why" => POLITE,
            "don't" => REFUSED,
            "about" if matches!(self.before(left), "how" | "what") => POLITE,
            "if" | "whether" => self.conditional(left),
            "have" | "let" | "want" | "like" | "need" | "rather" | "hope" | "suggest" | "wish" => {
                if self.within(left, 3, NEGATORS) { REFUSED } else { LIKELY }
            }
            "" | "okay" | "so" | "and" | "then" | "now" if matches!(self.heard.at(i + 1), "me" | "us") => LIKELY,
            "" | "okay" | "and" | "then" | "do" => UNCLEAR,
            _ => SUPPOSED,
        }
    }

    /// "I" or "we" stands before the verb.
    fn first_person(&self, i: usize, r: &str, verb: Verb) -> f64 {
        let left = i.saturating_sub(2);
        let wish = matches!(verb, Verb::Wish | Verb::Ask);
        match r {
            "do" | "did" | "didn't" | "have" | "had" | "does" => SUPPOSED,
            "don't" if self.before(left) == "why" => LIKELY,
            "don't" => REFUSED,
            "can" | "could" | "may" => {
                if self.within(left, 4, QUESTION_WORDS) {
                    UNCLEAR
                } else {
                    POLITE
                }
            }
            // "might I ask you to".
            "might" if verb == Verb::Ask && self.before(left).is_empty() => LIKELY,
            "shall" | "should" | "must" | "might" => UNCLEAR,
            "if" | "whether" if wish => SUPPOSED,
            "if" | "whether" => self.conditional(left),
            // "I decided that we get a CRM".
            "that" if verb == Verb::Get && matches!(self.before(left), "decided" | "agreed") => {
                if self.within(left, 4, NEGATORS) { REFUSED } else { LIKELY }
            }
            w if QUESTION_WORDS.contains(&w) => SUPPOSED,
            // "I don't think we need"; but not "I don't want a website I want".
            "think" | "believe" | "sure" | "that" | "see" | "suppose" if wish && self.within(left + 1, 4, NEGATORS) => {
                REFUSED
            }
            _ if wish => CLEAR,
            _ => SOMEBODY_ELSE,
        }
    }

    /// A modal verb stands at `m`, before the verb: "you could build", "we will need".
    fn modal(&self, modal: &str, mut m: usize, verb: Verb) -> f64 {
        while matches!(self.before(m), "really" | "just" | "simply" | "definitely") {
            m -= 1;
        }
        let subject = self.before(m);
        let left = m.saturating_sub(1);
        let r = self.before(left);
        let wish = matches!(verb, Verb::Wish | Verb::Ask);
        if self.within(left, 4, NEGATORS) {
            return REFUSED;
        }
        match subject {
            "you" if wish => SOMEBODY_ELSE,
            "you" if self.within(left, 3, QUESTION_WORDS) => SUPPOSED,
            "you" if matches!(r, "if" | "whether") => self.conditional(left.saturating_sub(1)),
            "you" => match modal {
                "can" | "could" | "would" | "will" => LIKELY,
                "might" if matches!(r, "hoping" | "hope" | "hoped") => LIKELY,
                "should" | "must" => UNCLEAR,
                _ => 0.4,
            },
            "i" | "we" if matches!(r, "if" | "whether" | "hoping" | "hope") && !wish => {
                self.conditional(left.saturating_sub(usize::from(r == "if" || r == "whether")))
            }
            "i" | "we" if wish => match modal {
                "would" | "could" | "should" if r != "if" => POLITE,
                "will" => LIKELY,
                _ => 0.4,
            },
            "i" | "we" => match modal {
                "must" if verb == Verb::Get => LIKELY,
                "should" | "must" => 0.6,
                _ => 0.4,
            },
            "someone" | "somebody" | "anyone" | "who" | "that" => {
                if self.within(left, 6, &["need", "want", "looking", "like"])
                    && self.within(left, 8, &["i", "we", "i'd", "i'm", "we're"])
                {
                    0.8
                } else {
                    0.2
                }
            }
            // "our bakery could use".
            _ if wish
                && matches!(modal, "could" | "would")
                && self.within(left + 1, 3, &["my", "our"])
                && !NOT_US.contains(&subject)
                && !self.within(left + 1, 5, QUESTION_WORDS) =>
            {
                LIKELY
            }
            _ => SOMEBODY_ELSE,
        }
    }

    /// "if you could": a request when it is embedded in courtesy, before or after.
    fn conditional(&self, end: usize) -> f64 {
        let courteous = self.within(end, 6, EMBEDS)
            || self.heard.says(&[
                "would be great",
                "would be nice",
                "would be good",
                "would be lovely",
                "that'd be great",
                "be wonderful",
                "i'd appreciate",
                "i would appreciate",
                "be grateful",
                "be perfect",
                "i'd love it",
                "be fantastic",
                "would help",
                "please",
            ]);
        if courteous { 0.88 } else { 0.4 }
    }

    /// "would you mind building", "I'm calling about getting".
    fn gerund(&self, p: &str, r: &str, i: usize) -> f64 {
        match p {
            "mind" if r == "you" => CLEAR,
            "about" => match r {
                "how" | "what" => POLITE,
                _ if self.within(
                    i,
                    5,
                    &["calling", "phoning", "ringing", "talk", "speak", "call", "enquire", "inquire", "ask"],
                ) && !self.within(i, 6, &["was", "were", "they", "he", "she"]) =>
                {
                    LIKELY
                }
                _ => 0.6,
            },
            "in" if r == "interested" && !self.within(i, 5, NEGATORS) => LIKELY,
            "with" if self.within(i, 4, &["help"]) => LIKELY,
            "start" | "begin" | "appreciate" => LIKELY,
            "you" | "your" if matches!(r, "appreciate" | "mind" | "have" | "like") => LIKELY,
            "of" if r == "chance" => LIKELY,
            "of" | "consider" | "considering" => 0.6,
            _ => 0.15,
        }
    }
}
