//! A clause of English in Kokoro's symbols.
//!
//! Purpose: sounds from the CMU dictionary, their stress from Flite's lexicon (the dictionary has none), what neither knows
//! from Flite's letter-to-sound rules; the weak forms of words that sentences swallow; "the" and "to" before vowels; words
//! that are said otherwise as verbs. Any thread; plain data. Invariants: no word is lost; nothing is written that is not in
//! `pack::kokoro::SYMBOLS`. Deliberately absent: numbers and abbreviations (`speech::normalise`), parts of speech.

use super::super::pronunciation::{Dictionary, word_of};
use super::phonemes::{Accent, Phone, Stress, read, write};
use crate::assets::{AssetError, Assets, SETUP_COMMAND};
use crate::pronounce::LetterToSound;

/// Letters in a row that are said as one name ("CRM"); more are spelled one by one.
const INITIALS_MAX: usize = 4;

/// Where sounds come from.
#[derive(Debug)]
pub(super) struct Reading {
    dictionary: Dictionary,
    rules: LetterToSound,
    accent: Accent,
}

/// One word of a clause.
struct Word<'a> {
    /// In lower case.
    plain: String,
    /// A letter's name is meant.
    letter: bool,
    given: Option<&'a str>,
    /// The pause behind it.
    mark: Option<char>,
}

impl Reading {
    /// Reads the dictionary and loads Flite's lexicon.
    pub(super) fn load(assets: &Assets, accent: Accent) -> Result<Self, AssetError> {
        let file = assets.pronunciations()?;
        let dictionary = Dictionary::read(&file).map_err(|error| AssetError::Unusable {
            part: "speech packs",
            file: file.display().to_string(),
            why: error.to_string(),
            command: SETUP_COMMAND,
        })?;
        Ok(Self { dictionary, rules: LetterToSound::load(assets)?, accent })
    }

    /// A clause. `given`: ARPAbet phones of some blank-separated words, by their place.
    pub(super) fn clause(&self, text: &str, given: &[(usize, &str)]) -> String {
        let words = words(text, given);
        // From the end, because a word may depend on how the next begins.
        let mut said: Vec<String> = Vec::with_capacity(words.len());
        let mut vowel_follows = false;
        for (at, word) in words.iter().enumerate().rev() {
            let follows = vowel_follows && word.mark.is_none();
            let symbols = self.word(&words, at, follows);
            if !symbols.is_empty() {
                vowel_follows = symbols.trim_start_matches(['ˈ', 'ˌ']).starts_with(is_vowel);
            }
            said.push(symbols);
        }
        said.reverse();
        let mut clause = String::new();
        for (at, (word, symbols)) in words.iter().zip(&said).enumerate() {
            let (place, length) = initials(&words, at);
            // "C R M" is one name: its last letter has the stress.
            let symbols = if place + 1 < length { symbols.replace('ˈ', "ˌ") } else { symbols.clone() };
            if !clause.is_empty() && !symbols.is_empty() && place == 0 {
                clause.push(' ');
            }
            clause.push_str(&symbols);
            if let Some(mark) = word.mark.filter(|_| !clause.is_empty()) {
                clause.push(mark);
            }
        }
        clause
    }

    fn word(&self, words: &[Word<'_>], at: usize, vowel_follows: bool) -> String {
        let word = &words[at];
        let spell = |phones: &[Phone]| write(phones, self.accent, vowel_follows);
        if let Some(phones) = word.given {
            return spell(&settled(read(phones)));
        }
        if word.letter {
            return spell(&self.letter(&word.plain));
        }
        // At the end of a clause every word is said in full.
        let last = word.mark.is_some() || at + 1 == words.len();
        if let Some(weak) = weak(&word.plain, self.accent, vowel_follows).filter(|_| !last) {
            return weak.to_owned();
        }
        let before = at.checked_sub(1).map(|before| &words[before]).filter(|before| before.mark.is_none());
        if let Some(phones) = homograph(&word.plain, before.map(|before| before.plain.as_str())) {
            return spell(&read(phones));
        }
        match self.sounds(&word.plain) {
            Some(phones) => spell(&phones),
            // Letter by letter, digits too.
            None => {
                let letters = word.plain.chars().map(|letter| spell(&self.letter(letter.encode_utf8(&mut [0; 4]))));
                letters.filter(|letter| !letter.is_empty()).collect::<Vec<_>>().join(" ")
            }
        }
    }

    /// Sounds and stress of a word.
    fn sounds(&self, word: &str) -> Option<Vec<Phone>> {
        let known = self.dictionary.look_up(word).map(read).filter(|phones| !phones.is_empty());
        let stressed = read(&self.rules.stressed(word));
        if let Some(known) = known {
            return Some(settled(with_stress(known, &stressed)));
        }
        if let Some(owner) =
            word.strip_suffix("'s").or_else(|| word.strip_suffix("s'")).filter(|owner| !owner.is_empty())
        {
            let mut phones = self.sounds(owner)?;
            phones.extend(match phones.last().map(|last| last.name) {
                Some("S" | "Z" | "SH" | "ZH" | "CH" | "JH") => read("IH0 Z"),
                Some("F" | "K" | "P" | "T" | "TH") => read("S"),
                _ => read("Z"),
            });
            return Some(phones);
        }
        let speakable = stressed.iter().any(|phone| phone.is_vowel());
        speakable.then(|| settled(stressed))
    }

    /// The name of a letter or digit.
    fn letter(&self, letter: &str) -> Vec<Phone> {
        let name = match letter {
            // The article is another word.
            "a" => "EY1",
            "0" => "Z IH1 R OW0",
            "1" => "W AH1 N",
            "2" => "T UW1",
            "3" => "TH R IY1",
            "4" => "F AO1 R",
            "5" => "F AY1 V",
            "6" => "S IH1 K S",
            "7" => "S EH1 V AH0 N",
            "8" => "EY1 T",
            "9" => "N AY1 N",
            "w" => "D AH1 B AH0 L Y UW0",
            // `b.` is the letter in the CMU dictionary; `b` may be an abbreviation.
            other => self.dictionary.look_up(&format!("{other}.")).unwrap_or_default(),
        };
        settled(read(name))
    }
}

/// Where a letter stands in a name of several that is said in one breath, and how many those are; else 0 of 1.
fn initials(words: &[Word<'_>], at: usize) -> (usize, usize) {
    if !words[at].letter {
        return (0, 1);
    }
    let before = words[..at].iter().rev().take_while(|word| word.letter && word.mark.is_none()).count();
    let first = at - before;
    let mut length = 0;
    for word in words[first..].iter().take_while(|word| word.letter) {
        length += 1;
        if word.mark.is_some() {
            break;
        }
    }
    if (2..=INITIALS_MAX).contains(&length) { (before, length) } else { (0, 1) }
}

fn words<'a>(text: &str, given: &[(usize, &'a str)]) -> Vec<Word<'a>> {
    let mut words: Vec<Word<'a>> = Vec::new();
    for (at, raw) in text.split_whitespace().enumerate() {
        let mark = raw.chars().rev().take_while(|c| !c.is_alphanumeric()).find(|c| ",.;:?!".contains(*c));
        let phones = given.iter().find(|(place, _)| *place == at).map(|(_, phones)| *phones);
        let plain = word_of(raw);
        let before = words.len();
        if phones.is_some() {
            words.push(Word { plain, letter: false, given: phones, mark: None });
        } else {
            let core = raw.trim_matches(|c: char| !c.is_alphanumeric());
            let letter = core.chars().count() == 1 && core.chars().all(char::is_uppercase) && core != "I";
            // `twenty-one` is two words without a pause.
            words.extend(
                plain
                    .split(|c: char| !c.is_alphanumeric() && c != '\'')
                    .filter(|part| part.contains(char::is_alphanumeric))
                    .map(|part| Word { plain: part.to_owned(), letter, given: None, mark: None }),
            );
        }
        // A mark that stands alone belongs to what came before it.
        if let Some(word) = words.last_mut().filter(|_| mark.is_some()) {
            word.mark = mark;
        }
        // Initials: of "C R I" the last is a letter, too.
        if words.len() == before + 1 && words[before].plain == "i" && raw.starts_with('I') {
            let initials = words[..before].last().is_some_and(|word| word.letter && word.mark.is_none());
            words[before].letter = initials && words[before].given.is_none();
        }
    }
    words
}

/// The dictionary's sounds with the other's stress. Where they are not the same word after all ("record" and "record"), the
/// other's sounds have it.
fn with_stress(known: Vec<Phone>, stressed: &[Phone]) -> Vec<Phone> {
    let theirs: Vec<Phone> = stressed.iter().copied().filter(|phone| phone.is_vowel()).collect();
    let ours = known.iter().filter(|phone| phone.is_vowel());
    if ours.clone().count() != theirs.len() {
        return known;
    }
    // What has the stress is never the vowel of "about".
    let other = |(ours, theirs): (&Phone, &Phone)| {
        ours.name == "AH" && theirs.stress != Stress::None && !matches!(theirs.name, "AH" | "AX")
    };
    if ours.zip(&theirs).any(other) {
        return stressed.to_vec();
    }
    let mut theirs = theirs.into_iter();
    let mut known = known;
    for phone in known.iter_mut().filter(|phone| phone.is_vowel()) {
        phone.stress = theirs.next().map_or(Stress::None, |theirs| theirs.stress);
    }
    known
}

/// One primary stress: where none is marked, on the first full vowel; where several are (Flite tells no second ones), on the
/// one that the ending asks for, else on the first.
fn settled(mut phones: Vec<Phone>) -> Vec<Phone> {
    let heavy: Vec<usize> = (0..phones.len()).filter(|n| phones[*n].stress == Stress::Primary).collect();
    let vowels: Vec<usize> = (0..phones.len()).filter(|n| phones[*n].is_vowel()).collect();
    let main = match heavy.as_slice() {
        [] => {
            let full = |n: &&usize| !matches!(phones[**n].name, "AH" | "AX" | "ER");
            vowels.iter().find(full).or_else(|| vowels.first()).copied()
        }
        [only] => Some(*only),
        [first, .., last] => {
            let names: Vec<&str> = phones.iter().map(|phone| phone.name).collect();
            let behind = &names[last + 1..];
            // "information", "automatic", "possibility", "engineer"
            let pulls = match behind {
                ["SH" | "ZH", "AH" | "AX", "N" | "L", ..] | ["IH", "K", ..] | ["AH" | "AX" | "IH", "T", "IY", ..] => {
                    true
                }
                [_, "IH", "K", ..] | [_, "AH" | "AX" | "IH", "T", "IY", ..] => true,
                ["R"] => names[*last] == "IH",
                _ => false,
            };
            Some(if pulls { *last } else { *first })
        }
    };
    for n in heavy {
        phones[n].stress = Stress::Secondary;
    }
    if let Some(main) = main {
        phones[main].stress = Stress::Primary;
    }
    phones
}

/// Words that sentences swallow: American, British.
const WEAK: [(&str, &str, &str); 50] = [
    ("a", "ɐ", "ɐ"),
    ("an", "ɐn", "ɐn"),
    ("and", "ænd", "and"),
    ("am", "ɐm", "ɐm"),
    ("are", "ɑɹ", "ɑː"),
    ("as", "æz", "az"),
    ("at", "æt", "at"),
    ("be", "bi", "biː"),
    ("been", "bɪn", "biːn"),
    ("but", "bʌt", "bʌt"),
    ("by", "bI", "bI"),
    ("can", "kæn", "kan"),
    ("could", "kʊd", "kʊd"),
    ("for", "fɔɹ", "fɔː"),
    ("from", "fɹʌm", "fɹɒm"),
    ("had", "hæd", "had"),
    ("has", "hæz", "haz"),
    ("have", "hæv", "hav"),
    ("he", "hi", "hiː"),
    ("her", "hɜɹ", "hɜː"),
    ("his", "hɪz", "hɪz"),
    ("i", "ˌI", "ˌI"),
    ("i'll", "Il", "Il"),
    ("i'm", "ˌIm", "ˌIm"),
    ("i've", "Iv", "Iv"),
    ("if", "ɪf", "ɪf"),
    ("in", "ɪn", "ɪn"),
    ("is", "ɪz", "ɪz"),
    ("it", "ɪt", "ɪt"),
    ("it's", "ɪts", "ɪts"),
    ("its", "ɪts", "ɪts"),
    ("me", "mi", "miː"),
    ("my", "mI", "mI"),
    ("of", "ʌv", "ɒv"),
    ("on", "ɔn", "ɒn"),
    ("or", "ɔɹ", "ɔː"),
    ("our", "Wəɹ", "Wə"),
    ("she", "ʃi", "ʃiː"),
    ("should", "ʃʊd", "ʃʊd"),
    ("that", "ðæt", "ðat"),
    ("they", "ðA", "ðA"),
    ("this", "ðɪs", "ðɪs"),
    ("was", "wʌz", "wɒz"),
    ("we", "wi", "wiː"),
    ("were", "wɜɹ", "wɜː"),
    ("will", "wɪl", "wɪl"),
    ("with", "wɪð", "wɪð"),
    ("would", "wʊd", "wʊd"),
    ("you", "ju", "juː"),
    ("your", "jʊɹ", "jɔː"),
];

/// Those whose R is heard again before a vowel in Britain.
const LINKED: [(&str, &str); 6] =
    [("are", "ɑːɹ"), ("for", "fɔːɹ"), ("or", "ɔːɹ"), ("our", "Wəɹ"), ("your", "jɔːɹ"), ("were", "wɜːɹ")];

fn weak(word: &str, accent: Accent, vowel_follows: bool) -> Option<&'static str> {
    match (word, vowel_follows) {
        ("the", true) => return Some("ði"),
        ("the", false) => return Some("ðə"),
        ("to", true) => return Some("tʊ"),
        ("to", false) => return Some("tə"),
        _ => {}
    }
    if accent == Accent::British
        && vowel_follows
        && let Some((_, linked)) = LINKED.iter().find(|(known, _)| *known == word)
    {
        return Some(linked);
    }
    let (_, american, british) = WEAK.iter().find(|(known, ..)| *known == word)?;
    Some(if accent == Accent::American { american } else { british })
}

/// Words before a verb.
const BEFORE_VERBS: [&str; 28] = [
    "to", "will", "can", "could", "should", "would", "may", "might", "must", "do", "don't", "not", "let's", "you",
    "we", "they", "i", "i'll", "we'll", "you'll", "please", "me", "cannot", "can't", "and", "then", "just", "shall",
];

/// What is written alike and said otherwise: as a verb, else. `before`: the word before it in its breath; none begins one,
/// where verbs are orders.
fn homograph(word: &str, before: Option<&str>) -> Option<&'static str> {
    let verb = before.is_none_or(|before| BEFORE_VERBS.contains(&before));
    let subject = before.is_some_and(|before| ["i", "we", "you", "they", "who", "people"].contains(&before));
    Some(match (word, verb, subject) {
        ("read", true, _) => "R IY1 D",
        ("read", ..) => "R EH1 D",
        ("use", true, _) => "Y UW1 Z",
        ("use", ..) => "Y UW1 S",
        ("close", true, _) => "K L OW1 Z",
        ("close", ..) => "K L OW1 S",
        ("record", true, _) => "R IH0 K AO1 R D",
        ("record", ..) => "R EH1 K ER0 D",
        ("live", _, true) => "L IH1 V",
        ("live", ..) => "L AY1 V",
        _ => return None,
    })
}

/// A vowel, or a diphthong's letter.
fn is_vowel(symbol: char) -> bool {
    "AIOQWYaiuæɐɑɒɔəɛɜɪʊʌᵊᵻ".contains(symbol)
}

#[cfg(test)]
#[path = "reading_tests.rs"]
mod tests;
