//! Word classes, as far as they say whether more must come. Pure. Closed classes are listed, the rest is told by its ending;
//! what nothing is known of is a noun. Deliberately absent: what follows from them (`completeness`).
//!
//! `models/endpoint.py` reads the lists: one const a class, of the same name in capitals.

use crate::conversation::spoken;

/// What a word is, by itself. A word of several classes has the one that says most about an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// There is no such word: the sentence begins.
    Start,
    Article,
    Demonstrative,
    Quantifier,
    Preposition,
    /// A preposition that ends many a sentence: "leave it out".
    Particle,
    Coordinator,
    Subordinator,
    /// "i", "we": a verb follows.
    Subject,
    /// "it", "you".
    Pronoun,
    /// "me", "them".
    Object,
    /// "something", "everything".
    Thing,
    /// "i'm", "it's", "we'll": half a sentence follows.
    Contracted,
    Be,
    Do,
    Have,
    Modal,
    To,
    Not,
    Wh,
    Filler,
    Opener,
    Polite,
    Answer,
    /// "now", "today", "again".
    Adverb,
    /// "very", "just": belongs to what follows.
    Degree,
    /// Needs an object, and may have a person before it: "give me", "build us".
    Give,
    /// Needs an object.
    Verb,
    /// Needs a sentence: "i think".
    Say,
    /// Needs nothing.
    Go,
    Gerund,
    Past,
    Adjective,
    /// A number that is often followed by a smaller one.
    Tens,
    Unit,
    Letter,
    /// "peter's".
    Possessive,
    Noun,
}

const ARTICLE: &[&str] =
    &["a", "an", "the", "my", "our", "your", "their", "its", "every", "each", "another", "whose", "his"];
const DEMONSTRATIVE: &[&str] = &["this", "that", "these", "those"];
const QUANTIFIER: &[&str] = &[
    "some", "any", "many", "few", "several", "more", "most", "much", "both", "all", "enough", "half", "lots", "plenty",
    "less", "fewer", "such", "other",
];
const PREPOSITION: &[&str] = &[
    "of",
    "with",
    "without",
    "for",
    "from",
    "at",
    "by",
    "into",
    "onto",
    "between",
    "among",
    "against",
    "during",
    "except",
    "including",
    "like",
    "than",
    "as",
    "per",
    "via",
    "until",
    "toward",
    "towards",
    "within",
    "across",
    "behind",
    "beside",
    "near",
    "under",
    "about",
    "after",
    "before",
    "instead",
    "plus",
];
const PARTICLE: &[&str] =
    &["in", "on", "out", "up", "off", "over", "down", "away", "back", "around", "along", "through", "together"];
const COORDINATOR: &[&str] = &["and", "or", "but", "nor"];
const SUBORDINATOR: &[&str] =
    &["because", "if", "whether", "unless", "although", "though", "while", "since", "once", "so", "till"];
const SUBJECT: &[&str] =
    &["i", "we", "they", "he", "she", "who", "somebody", "someone", "nobody", "everybody", "people"];
const PRONOUN: &[&str] = &["it", "you", "there"];
const OBJECT: &[&str] = &["me", "us", "him", "her", "them"];
const THING: &[&str] = &[
    "something",
    "anything",
    "nothing",
    "everything",
    "mine",
    "ours",
    "yours",
    "one",
    "ones",
    "else",
    "myself",
    "ourselves",
    "none",
    "neither",
    "either",
];
const CONTRACTED: &[&str] = &["let's"];
const BE: &[&str] = &["is", "are", "was", "were", "am", "be", "been", "being", "isn't", "aren't", "wasn't", "weren't"];
const DO: &[&str] = &["do", "does", "did", "don't", "doesn't", "didn't"];
const HAVE: &[&str] = &["have", "has", "had", "having", "haven't", "hasn't", "hadn't", "got"];
const MODAL: &[&str] = &[
    "can",
    "could",
    "will",
    "would",
    "shall",
    "should",
    "may",
    "might",
    "must",
    "can't",
    "cannot",
    "couldn't",
    "won't",
    "wouldn't",
    "shouldn't",
];
const TO: &[&str] = &["to"];
const NOT: &[&str] = &["not", "never"];
const WH: &[&str] = &["what", "which", "whom", "where", "when", "why", "how"];
const FILLER: &[&str] = &["um", "uh", "er", "erm", "hmm", "mm", "ah", "eh", "uhm"];
const OPENER: &[&str] =
    &["well", "actually", "basically", "honestly", "hello", "hi", "hey", "morning", "anyway", "listen", "look"];
const POLITE: &[&str] = &["please", "thanks", "thank", "sorry", "goodbye", "bye"];
const ANSWER: &[&str] = &[
    "yes",
    "no",
    "yeah",
    "yep",
    "nope",
    "nah",
    "okay",
    "ok",
    "sure",
    "right",
    "correct",
    "exactly",
    "absolutely",
    "definitely",
    "agreed",
    "alright",
    "fine",
    "great",
    "perfect",
    "good",
    "true",
    "wrong",
];
const ADVERB: &[&str] = &[
    "now",
    "today",
    "tomorrow",
    "yesterday",
    "tonight",
    "again",
    "too",
    "here",
    "later",
    "soon",
    "anymore",
    "ago",
    "yet",
    "ahead",
    "already",
    "then",
    "instead",
    "online",
    "forever",
    "anywhere",
    "somewhere",
    "everywhere",
    "home",
    "outside",
    "alone",
    "first",
    "once",
    "twice",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];
const DEGREE: &[&str] = &[
    "very",
    "really",
    "quite",
    "just",
    "only",
    "also",
    "almost",
    "maybe",
    "perhaps",
    "still",
    "even",
    "always",
    "mostly",
    "mainly",
    "probably",
    "rather",
    "too",
    "exactly",
    "nearly",
    "apparently",
    "possibly",
    "especially",
];
const GIVE: &[&str] = &[
    "give", "tell", "show", "send", "make", "build", "get", "bring", "buy", "sell", "find", "put", "ask", "write",
    "set", "create", "teach", "pay", "offer", "lend", "gave", "told", "sent", "made", "built", "brought", "bought",
    "sold", "found",
];
const VERB: &[&str] = &[
    "need", "want", "take", "use", "keep", "add", "remove", "leave", "design", "develop", "include", "change",
    "replace", "see", "hear", "like", "love", "hate", "prefer", "order", "track", "store", "let", "help", "lose",
    "lost", "took", "kept", "needs", "wants", "wanted", "needed", "keeps", "makes", "drop", "delete", "check",
    "cancel", "meet", "try", "throw", "run", "own", "manage", "save", "open", "close", "book", "call", "reach",
    "start", "stop", "said", "saw", "used", "repeat", "forget", "forgot", "handle", "hold", "knows", "loses", "expect",
];
const SAY: &[&str] = &[
    "say",
    "says",
    "think",
    "thought",
    "know",
    "knew",
    "mean",
    "means",
    "hope",
    "wonder",
    "wondering",
    "believe",
    "guess",
    "suppose",
    "understand",
    "remember",
    "heard",
    "imagine",
    "afraid",
    "decide",
    "explain",
    "promise",
    "promised",
    "looking",
    "calling",
    "trying",
    "hoping",
    "seems",
    "feel",
];
const GO: &[&str] = &[
    "go", "goes", "come", "comes", "work", "works", "wait", "happen", "happens", "happened", "talk", "speak", "went",
    "came", "listen", "sleep", "arrive", "stay", "die", "live", "matter", "matters", "crashed", "arrived", "broken",
    "gone", "done",
];
/// With those of `conversation::spoken`.
const TENS: &[&str] = &["hundred", "thousand", "million", "point", "number", "dot", "dash", "double", "triple"];
/// The same.
const UNIT: &[&str] = &["oh"];
const ADJECTIVE: &[&str] = &[
    "new", "old", "small", "little", "big", "large", "simple", "easy", "nice", "bad", "long", "short", "free", "ready",
    "busy", "late", "early", "same", "last", "next", "proper", "own", "few", "real", "whole", "cheap", "hard",
    "better", "best", "wide",
];
/// Endings of words that are none of the above, the first that fits; with the letters that must stand before.
const ENDINGS: &[(&str, usize, Class)] = &[
    ("'ll", 1, Class::Contracted),
    ("'ve", 1, Class::Contracted),
    ("'re", 1, Class::Contracted),
    ("'m", 1, Class::Contracted),
    ("'d", 1, Class::Contracted),
    ("n't", 1, Class::Modal),
    ("'s", 1, Class::Possessive),
    ("ly", 3, Class::Degree),
    ("ing", 3, Class::Gerund),
    ("ed", 3, Class::Past),
    ("ful", 2, Class::Adjective),
    ("ous", 2, Class::Adjective),
    ("able", 2, Class::Adjective),
    ("ible", 2, Class::Adjective),
    ("ive", 3, Class::Adjective),
    ("less", 2, Class::Adjective),
    ("ical", 2, Class::Adjective),
    ("ic", 4, Class::Adjective),
];
/// Of these "'s" is a verb.
const IS: &[&str] = &["it", "that", "there", "he", "she", "what", "who", "how", "where", "here", "let", "when", "why"];

const LISTS: &[(&[&str], Class)] = &[
    (ARTICLE, Class::Article),
    (DEMONSTRATIVE, Class::Demonstrative),
    (QUANTIFIER, Class::Quantifier),
    (PREPOSITION, Class::Preposition),
    (PARTICLE, Class::Particle),
    (COORDINATOR, Class::Coordinator),
    (SUBORDINATOR, Class::Subordinator),
    (SUBJECT, Class::Subject),
    (PRONOUN, Class::Pronoun),
    (OBJECT, Class::Object),
    (THING, Class::Thing),
    (CONTRACTED, Class::Contracted),
    (BE, Class::Be),
    (DO, Class::Do),
    (HAVE, Class::Have),
    (MODAL, Class::Modal),
    (TO, Class::To),
    (NOT, Class::Not),
    (WH, Class::Wh),
    (FILLER, Class::Filler),
    (OPENER, Class::Opener),
    (POLITE, Class::Polite),
    (ANSWER, Class::Answer),
    (ADVERB, Class::Adverb),
    (DEGREE, Class::Degree),
    (GIVE, Class::Give),
    (VERB, Class::Verb),
    (SAY, Class::Say),
    (GO, Class::Go),
    (TENS, Class::Tens),
    (UNIT, Class::Unit),
    (ADJECTIVE, Class::Adjective),
];

impl Class {
    /// Of a word in lower case.
    pub(super) fn of(word: &str) -> Self {
        if let Some((_, class)) = LISTS.iter().find(|(list, _)| list.contains(&word)) {
            return *class;
        }
        if spoken::TENS.contains(&word) {
            return Self::Tens;
        }
        if spoken::SMALL.contains(&word) || word.bytes().all(|octet| octet.is_ascii_digit()) {
            return Self::Unit;
        }
        if word.chars().count() == 1 {
            return Self::Letter;
        }
        if word.strip_suffix("'s").is_some_and(|before| IS.contains(&before)) {
            return Self::Contracted;
        }
        let fits = |(end, before, _): &&(&str, usize, Self)| word.ends_with(end) && word.len() >= end.len() + before;
        ENDINGS.iter().find(fits).map_or(Self::Noun, |(_, _, class)| *class)
    }

    /// It may be a sentence's verb.
    pub(super) const fn is_verb(self) -> bool {
        matches!(
            self,
            Self::Contracted
                | Self::Be
                | Self::Do
                | Self::Have
                | Self::Modal
                | Self::Give
                | Self::Verb
                | Self::Say
                | Self::Go
                | Self::Gerund
                | Self::Past
        )
    }
}
