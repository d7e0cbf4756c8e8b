//! What the words so far say about whether more will come. Pure. Deliberately absent: sound, time, weights.

/// Words after which people go on: conjunctions, prepositions, articles, hesitation, openers of an object, verbs that
/// mostly have one.
const UNFINISHED: &[&str] = &[
    "a",
    "about",
    "also",
    "am",
    "an",
    "and",
    "are",
    "as",
    "ask",
    "asked",
    "at",
    "because",
    "been",
    "between",
    "bring",
    "build",
    "but",
    "buy",
    "by",
    "calling",
    "can",
    "could",
    "er",
    "erm",
    "every",
    "except",
    "expect",
    "explain",
    "find",
    "for",
    "from",
    "get",
    "getting",
    "give",
    "got",
    "has",
    "have",
    "hear",
    "hmm",
    "hope",
    "i",
    "i'd",
    "i'll",
    "i'm",
    "i've",
    "if",
    "in",
    "include",
    "including",
    "into",
    "is",
    "it's",
    "its",
    "just",
    "keep",
    "knew",
    "know",
    "let's",
    "like",
    "looking",
    "make",
    "maybe",
    "mean",
    "means",
    "mm",
    "my",
    "need",
    "of",
    "on",
    "or",
    "order",
    "our",
    "plus",
    "put",
    "putting",
    "remember",
    "said",
    "say",
    "saying",
    "says",
    "see",
    "seen",
    "send",
    "sent",
    "set",
    "shall",
    "should",
    "show",
    "since",
    "so",
    "some",
    "take",
    "tell",
    "than",
    "that's",
    "the",
    "their",
    "then",
    "there's",
    "they",
    "think",
    "this",
    "to",
    "told",
    "trying",
    "uh",
    "um",
    "understand",
    "until",
    "use",
    "very",
    "want",
    "wanted",
    "was",
    "we",
    "we're",
    "we've",
    "well",
    "were",
    "when",
    "where",
    "whether",
    "which",
    "while",
    "who",
    "will",
    "with",
    "without",
    "wonder",
    "wondering",
    "would",
    "you're",
    "your",
];

/// Of these, those that end many a sentence as well: "what do you have", "log me in".
const OFTEN_LAST: &[&str] = &[
    "about",
    "also",
    "are",
    "ask",
    "asked",
    "bring",
    "build",
    "buy",
    "calling",
    "can",
    "expect",
    "explain",
    "find",
    "for",
    "get",
    "getting",
    "give",
    "got",
    "have",
    "hear",
    "hope",
    "in",
    "include",
    "is",
    "just",
    "keep",
    "knew",
    "know",
    "like",
    "looking",
    "mean",
    "means",
    "need",
    "on",
    "order",
    "put",
    "putting",
    "remember",
    "said",
    "say",
    "saying",
    "says",
    "see",
    "seen",
    "send",
    "sent",
    "set",
    "show",
    "so",
    "take",
    "tell",
    "then",
    "they",
    "think",
    "this",
    "to",
    "told",
    "trying",
    "understand",
    "use",
    "want",
    "wanted",
    "was",
    "we",
    "well",
    "where",
    "will",
    "with",
    "wonder",
    "wondering",
];

/// Words of which a short answer is made.
const ANSWER: &[&str] = &[
    "absolutely",
    "agreed",
    "ahead",
    "all",
    "alright",
    "bye",
    "correct",
    "definitely",
    "do",
    "exactly",
    "fine",
    "go",
    "good",
    "goodbye",
    "great",
    "hello",
    "hi",
    "is",
    "it",
    "nah",
    "no",
    "nope",
    "not",
    "now",
    "ok",
    "okay",
    "perfect",
    "please",
    "right",
    "sure",
    "thank",
    "thanks",
    "that",
    "that's",
    "yeah",
    "yep",
    "yes",
    "yet",
    "you",
];
/// An answer of more words than this is a sentence.
const ANSWER_WORDS_MAX: usize = 4;

/// Spoken digits, as dictated.
const DIGITS: &[&str] = &["zero", "oh", "o", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

/// Number words that are often followed by a smaller one.
const OPEN_NUMBERS: &[&str] = &[
    "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "hundred", "thousand", "point",
    "number", "dot", "dash", "double", "triple",
];

/// How the words so far end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// Nothing has been recognised.
    Nothing,
    /// "yes please", "that's right".
    Answer,
    /// A single other word: "actually", "contacts".
    Lone,
    /// Several words, and the last needs no other.
    Whole,
    /// The last word may end a sentence and often does not: "what do you want", "i want".
    Loose,
    /// The last word wants another: "and", "the", "um".
    Wanting,
    /// A number that may go on: "twenty", "four one".
    OpenNumber,
}

/// The words so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) tail: Tail,
    pub(super) words: usize,
    /// Digits dictated: "five five one" is three, "double four" is two, "42" is two.
    pub(super) digits: usize,
    /// Single letters at the end.
    pub(super) letters: usize,
    /// The letters at the end make a word that was said before them.
    pub(super) spelled_out: bool,
}

impl Said {
    /// Any case, with or without punctuation.
    pub(super) fn of(text: &str) -> Self {
        let text = text.to_lowercase().replace('\u{2019}', "'");
        let words: Vec<&str> =
            text.split(|c: char| !(c.is_alphanumeric() || c == '\'')).filter(|word| !word.is_empty()).collect();
        let letters = words.iter().rev().take_while(|word| is_letter(word)).count();
        let (before, spelling) = words.split_at(words.len() - letters);
        let spelling = spelling.concat();
        Self {
            tail: tail(&words),
            words: words.len(),
            digits: digits(&words),
            letters,
            spelled_out: letters >= 2 && before.contains(&spelling.as_str()),
        }
    }
}

fn tail(words: &[&str]) -> Tail {
    let Some(last) = words.last() else { return Tail::Nothing };
    let many = words.len() > 1;
    if words.len() <= ANSWER_WORDS_MAX && words.iter().all(|word| ANSWER.contains(word)) && *last != "not" {
        // "that is" and "is it" lack something where "that is right" does not.
        return if *last == "is" || *last == "that's" || *last == "that" { Tail::Loose } else { Tail::Answer };
    }
    if OPEN_NUMBERS.contains(last) || (many && is_digit(last)) {
        return Tail::OpenNumber;
    }
    if UNFINISHED.contains(last) || *last == "not" || *last == "no" {
        return if many && OFTEN_LAST.contains(last) { Tail::Loose } else { Tail::Wanting };
    }
    if many { Tail::Whole } else { Tail::Lone }
}

fn digits(words: &[&str]) -> usize {
    let mut count = 0;
    let mut repeat = 1;
    for word in words {
        match *word {
            "double" => repeat = 2,
            "triple" => repeat = 3,
            word if DIGITS.contains(&word) => count += std::mem::replace(&mut repeat, 1),
            word if word.bytes().all(|octet| octet.is_ascii_digit()) => {
                count += word.len() * std::mem::replace(&mut repeat, 1);
            }
            _ => repeat = 1,
        }
    }
    count
}

fn is_digit(word: &str) -> bool {
    DIGITS.contains(&word) || word.bytes().all(|octet| octet.is_ascii_digit())
}

fn is_letter(word: &str) -> bool {
    let mut letters = word.chars();
    letters.next().is_some_and(char::is_alphabetic) && letters.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_sentences_end() {
        for (text, tail) in [
            ("", Tail::Nothing),
            (" ... ", Tail::Nothing),
            ("Yes, please.", Tail::Answer),
            ("that is right", Tail::Answer),
            ("that is", Tail::Loose),
            ("actually", Tail::Lone),
            ("build me a CRM", Tail::Whole),
            ("Build me a CRM with", Tail::Loose),
            ("contacts and, um", Tail::Wanting),
            ("the", Tail::Wanting),
            ("put me on the", Tail::Wanting),
            ("my partner said no", Tail::Wanting),
            ("no", Tail::Answer),
            ("we have twenty", Tail::OpenNumber),
            ("call four one", Tail::OpenNumber),
            ("what do you want", Tail::Loose),
        ] {
            assert_eq!(Said::of(text).tail, tail, "{text}");
        }
    }

    #[test]
    fn digits_and_letters_are_counted() {
        for (text, digits, letters) in [
            ("five five one", 3, 0),
            ("double four, oh", 3, 0),
            ("it's 415 555", 6, 0),
            ("triple 7", 3, 0),
            ("m a r", 0, 3),
            ("clark c l", 0, 2),
            ("no", 0, 0),
        ] {
            let said = Said::of(text);
            assert_eq!((said.digits, said.letters), (digits, letters), "{text}");
        }
        assert!(Said::of("Clark: C L A R K").spelled_out);
        assert!(!Said::of("clark c l a").spelled_out && !Said::of("a").spelled_out);
    }
}
