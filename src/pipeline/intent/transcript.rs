//! A heard sentence made comparable: case, punctuation, fillers, contractions, spelled and misheard acronyms.
//!
//! Pure. Invariant: the words of a transcript are lower case and non-empty; [`PAUSE`] stands for punctuation, never at
//! the ends and never twice in a row. Deliberately absent: meaning.

use super::words::{GERUND, GET, MAKE, MAKE_WITH};
use crate::limits::HEARD_TEXT_MAX;

/// Stands between words where the recogniser wrote punctuation.
pub(super) const PAUSE: &str = "|";

/// Sounds that carry no meaning. "hmm" is not among them: it is an answer of a kind.
const FILLERS: &[&str] = &["um", "umm", "uh", "uhm", "er", "erm", "ah", "eh"];

/// What people and recognisers write for the same words.
const REWRITES: &[(&str, &[&str])] = &[
    ("dont", &["don't"]),
    ("cant", &["can't"]),
    ("wont", &["won't"]),
    ("didnt", &["didn't"]),
    ("doesnt", &["doesn't"]),
    ("isnt", &["isn't"]),
    ("lets", &["let's"]),
    ("im", &["i'm"]),
    ("hows", &["how's"]),
    ("whats", &["what's"]),
    ("thats", &["that's"]),
    ("wanna", &["want", "to"]),
    ("gonna", &["going", "to"]),
    ("gimme", &["give", "me"]),
    ("lemme", &["let", "me"]),
    ("nevermind", &["never", "mind"]),
    ("ok", &["okay"]),
    ("o.k", &["okay"]),
    ("programme", &["program"]),
    ("homepage", &["website"]),
    ("webshop", &["shop"]),
    ("ecommerce", &["shop"]),
];

/// Letter names as recognisers write them, per letter of an acronym, and the acronym.
const ACRONYMS: &[(&[&[&str]], &str)] = &[
    (
        &[
            &["c", "see", "sea", "si", "cee"],
            &["r", "are", "our", "ar", "or", "hour"],
            &["m", "em", "am", "m's", "ems", "m."],
        ],
        "crm",
    ),
    // No sentence has these words in a row.
    (&[&["she"], &["our", "are"], &["and", "an", "am", "em", "him"]], "crm"),
    (&[&["see", "sea"], &["our", "are"], &["end", "en", "n"]], "crm"),
    (&[&["as"], &["he", "she"], &["are", "our"], &["in", "an", "and", "end", "em", "m"]], "crm"),
    (&[&["c", "see", "sea"], &["rm", "rms"]], "crm"),
    (&[&["sea", "cee"], &["arm", "arms", "aram", "haram", "alarm", "harem"]], "crm"),
    (&[&["c", "sea"], &["r", "are", "our", "or"], &["n", "in", "an", "and"]], "crm"),
    (&[&["cr"], &["m", "em", "ms"]], "crm"),
    (&[&["a", "ay"], &["p", "pea", "pee"], &["i", "eye", "i's", "eyes", "is"]], "api"),
];

/// Longer names of the same thing.
const PHRASES: &[(&[&str], &str)] = &[
    (&["customer", "relationship", "management"], "crm"),
    (&["customer", "relationship", "manager"], "crm"),
    (&["customer", "relations", "management"], "crm"),
    (&["customer", "relation", "management"], "crm"),
    (&["client", "relationship", "management"], "crm"),
    (&["web", "site"], "website"),
    (&["home", "page"], "website"),
    (&["landing", "page"], "website"),
    (&["e", "commerce"], "shop"),
    (&["block", "chain"], "blockchain"),
    (&["smart", "contract"], "blockchain"),
    (&["dash", "board"], "dashboard"),
    (&["data", "base"], "database"),
    (&["good", "bye"], "goodbye"),
    (&["e", "mail"], "email"),
    (&["e", "mails"], "emails"),
    (&["of", "course"], "ofcourse"),
];

/// The words of one heard turn.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Transcript {
    words: Vec<String>,
    /// Words without pauses, joined by blanks, with a blank at both ends: for phrases.
    spaced: String,
}

impl Transcript {
    /// Reads any text; what lies beyond [`HEARD_TEXT_MAX`] characters is not looked at.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut words = split(text);
        rewrite(&mut words);
        merge(&mut words);
        slips(&mut words);
        words.retain(|w| !FILLERS.contains(&w.as_str()));
        free_please(&mut words);
        words.dedup_by(|a, b| a == PAUSE && b == PAUSE);
        while words.first().is_some_and(|w| w == PAUSE) {
            words.remove(0);
        }
        while words.last().is_some_and(|w| w == PAUSE) {
            words.pop();
        }
        let mut spaced = String::from(" ");
        for word in words.iter().filter(|w| *w != PAUSE) {
            spaced.push_str(word);
            spaced.push(' ');
        }
        Self { words, spaced }
    }

    /// The words, with [`PAUSE`] where punctuation was.
    pub(super) fn words(&self) -> &[String] {
        &self.words
    }

    /// The word at `index`; `""` outside.
    pub(super) fn at(&self, index: usize) -> &str {
        self.words.get(index).map_or("", String::as_str)
    }

    /// Words without pauses, joined by single blanks.
    #[must_use]
    pub fn plain(&self) -> &str {
        self.spaced.trim()
    }

    /// How many words, pauses not counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.iter().filter(|w| *w != PAUSE).count()
    }

    /// Whether nothing was said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Whether any of `phrases` (lower case, single blanks) occurs as whole words.
    pub(super) fn says(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|p| {
            self.spaced.match_indices(p).any(|(at, _)| {
                let bytes = self.spaced.as_bytes();
                bytes.get(at.wrapping_sub(1)) == Some(&b' ') && bytes.get(at + p.len()) == Some(&b' ')
            })
        })
    }

    /// Whether the whole turn is one of `phrases`.
    pub(super) fn is_any(&self, phrases: &[&str]) -> bool {
        phrases.contains(&self.plain())
    }
}

/// Lower-case words and pauses. A full stop after a single letter is spelling ("C.R.M."), not a pause.
fn split(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    for c in text.chars().take(HEARD_TEXT_MAX) {
        let c = if c == '\u{2019}' { '\'' } else { c };
        if c.is_alphanumeric() || c == '\'' {
            word.extend(c.to_lowercase());
            continue;
        }
        let letter = word.chars().count() == 1;
        push(&mut words, &mut word);
        let spelling = c == '.' && letter;
        if !c.is_whitespace() && !matches!(c, '-' | '_' | '/') && !spelling {
            words.push(PAUSE.to_owned());
        }
    }
    push(&mut words, &mut word);
    words
}

fn push(words: &mut Vec<String>, word: &mut String) {
    let trimmed = word.trim_matches('\'');
    if !trimmed.is_empty() {
        words.push(trimmed.to_owned());
    }
    word.clear();
}

fn rewrite(words: &mut Vec<String>) {
    let mut out = Vec::with_capacity(words.len());
    for word in words.drain(..) {
        match REWRITES.iter().find(|(from, _)| *from == word) {
            Some((_, to)) => out.extend(to.iter().map(|w| (*w).to_owned())),
            None => out.push(word),
        }
    }
    *words = out;
}

/// Joins spelled acronyms and long names, left to right, the longest first as listed.
fn merge(words: &mut Vec<String>) {
    let mut out: Vec<String> = Vec::with_capacity(words.len());
    let mut i = 0;
    while i < words.len() {
        let rest = &words[i..];
        let acronym = ACRONYMS.iter().find(|(letters, _)| {
            rest.len() >= letters.len() && letters.iter().zip(rest).all(|(names, w)| names.contains(&w.as_str()))
        });
        let phrase =
            PHRASES.iter().find(|(p, _)| rest.len() >= p.len() && p.iter().zip(rest).all(|(name, w)| name == w));
        if let Some((letters, name)) = acronym {
            i += letters.len();
            out.push((*name).to_owned());
        } else if let Some((p, name)) = phrase {
            i += p.len();
            out.push((*name).to_owned());
        } else if rest == ["good", "by"] {
            i = words.len();
            out.push("goodbye".to_owned());
        } else {
            out.push(match words[i].as_str() {
                "crm's" | "crms'" => "crm".to_owned(),
                "apis" | "api's" => "api".to_owned(),
                w => w.to_owned(),
            });
            i += 1;
        }
    }
    *words = out;
}

/// What recognisers write for words that sound alike, where only one of the two can stand: "need is crm" for "need a crm",
/// "right me" for "write me", "you good make" for "you could make".
fn slips(words: &mut Vec<String>) {
    for i in 1..words.len() {
        let before = words[i - 1].as_str();
        let next = words.get(i + 1).map_or("", String::as_str);
        let heard = match words[i].as_str() {
            "is" if next == "crm" && can_take_an_object(before) => "a",
            // "want to C R M": the article is swallowed by the letter.
            "to" if next == "crm" && matches!(before, "want" | "like" | "need" | "love" | "us" | "me" | "get") => "a",
            "as" | "his" if next == "crm" && matches!(before, "me" | "us" | "build" | "make" | "need" | "want") => "a",
            "good" if matches!(before, "you" | "we") && (MAKE.contains(&next) || MAKE_WITH.contains(&next)) => "could",
            "right" if matches!(next, "me" | "us") && matches!(before, "to" | "please" | "you" | "and") => "write",
            _ => continue,
        };
        heard.clone_into(&mut words[i]);
    }
    // "what we need is crm" lacks its article.
    let mut i = 1;
    while i < words.len() {
        if words[i] == "crm"
            && words[i - 1] == "is"
            && words[..i - 1].iter().any(|w| matches!(w.as_str(), "what" | "all" | "job"))
        {
            words.insert(i, "a".to_owned());
        }
        i += 1;
    }
}

/// Verbs and those for whom something is made: an "is" behind them is an "a" misheard.
fn can_take_an_object(word: &str) -> bool {
    matches!(word, "me" | "us" | "need" | "want" | "up" | "together" | "with" | "for" | "on" | "about")
        || MAKE.contains(&word)
        || GET.contains(&word)
        || GERUND.contains(&word)
}

/// "build me, please, a CRM": the pauses around a please say nothing.
fn free_please(words: &mut Vec<String>) {
    let mut i = 1;
    while i + 1 < words.len() {
        if words[i] == "please" && words[i - 1] == PAUSE && words[i + 1] == PAUSE {
            words.remove(i + 1);
            words.remove(i - 1);
        } else {
            i += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(text: &str) -> String {
        Transcript::new(text).plain().to_owned()
    }

    #[test]
    fn spelled_and_misheard_acronyms() {
        for heard in
            ["a C.R.M.", "a c r m", "a see our em", "a sea are em", "a C-R-M", "a cr m", "a crm's", "a she our and"]
        {
            assert_eq!(plain(heard), "a crm", "{heard}");
        }
        assert_eq!(plain("five a pea eye"), "five api");
        assert_eq!(plain("a customer relationship management system"), "a crm system");
        assert_eq!(plain("customer relationship is everything"), "customer relationship is everything");
    }

    #[test]
    fn words_that_sound_alike() {
        assert_eq!(plain("build us is crm"), "build us a crm");
        assert_eq!(plain("what we're missing is crm"), "what we're missing is a crm");
        assert_eq!(plain("i was hoping you good make a crm"), "i was hoping you could make a crm");
        assert_eq!(plain("can i get you to right me a crm"), "can i get you to write me a crm");
        for kept in ["is crm down", "how is crm doing", "right what i want", "you good people", "all right me too"] {
            assert_eq!(plain(kept), kept);
        }
    }

    #[test]
    fn fillers_go_and_pauses_stay() {
        let t = Transcript::new("Um, no, uh… without deals.");
        assert_eq!(t.words(), ["no", PAUSE, "without", "deals"]);
        assert_eq!(plain("gimme, please, a CRM"), "give me please a crm");
        assert!(Transcript::new("...").is_empty());
    }

    #[test]
    fn phrases_are_whole_words() {
        let t = Transcript::new("go ahead");
        assert!(t.says(&["go ahead"]) && !t.says(&["go a"]) && !t.says(&["ahea"]));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "\\PC{0,200}") {
            let t = Transcript::new(&text);
            prop_assert!(t.words().iter().all(|w| !w.is_empty()));
            prop_assert!(t.words().first().is_none_or(|w| w != PAUSE));
            prop_assert!(t.words().last().is_none_or(|w| w != PAUSE));
            let _ = t.says(&["yes", "é"]);
        }
    }
}
