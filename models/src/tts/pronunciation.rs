//! English words in IPA, for voices that were trained on it and bring no dictionary, or not every word.
//!
//! Purpose: Piper and Kitten voices read phonemes as espeak-ng writes them; sherpa-onnx 2 no longer makes those, and drops
//! every word that a pack's lexicon lacks. Words are looked up in what the pack brings, then in the CMU dictionary that the
//! embedded recogniser uses anyway; what is in neither is spelled. Any thread; plain data. Deliberately absent: rules from
//! letters to sounds (whoever knows a word's passes them in), languages other than English.
//!
//! The dictionary writes no stress, so it is guessed: on the first full vowel of a word, and weak words have none.

use crate::assets::{AssetError, Assets, SETUP_COMMAND};
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

/// Longest dictionary.
const OCTETS_MAX: u64 = 64 << 20;

/// A dictionary on disk, in memory: a word and its symbols a line.
pub(super) struct Dictionary {
    text: String,
    /// Where each line begins, by its word.
    lines: Vec<u32>,
}

impl fmt::Debug for Dictionary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dictionary").field("words", &self.lines.len()).finish_non_exhaustive()
    }
}

/// A word as dictionaries have it.
pub(super) fn word_of(raw: &str) -> String {
    raw.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase().replace('’', "'")
}

/// The word that a line is about.
fn head(line: &str) -> &str {
    let end = line.as_bytes().iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    &line[..end]
}

impl Dictionary {
    pub(super) fn read(file: &Path) -> io::Result<Self> {
        if fs::metadata(file)?.len() > OCTETS_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "too large for a dictionary"));
        }
        // Some lexicons capitalise names; the words that are looked up are in lower case.
        Ok(Self::of(String::from_utf8_lossy(&fs::read(file)?).into_owned()))
    }

    pub(super) fn of(text: String) -> Self {
        let mut lines = Vec::new();
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            // Phrases (`word word :: symbols`) are left to those who read in phrases; a single word may have the mark too.
            let word = head(line);
            if !word.is_empty() && (!line.contains(" :: ") || line[word.len()..].trim_start().starts_with(":: ")) {
                lines.push(u32::try_from(at).unwrap_or(u32::MAX));
            }
            at += line.len();
        }
        let word = |line: &u32| head(&text[*line as usize..]);
        // Most dictionaries are in order but for a few lines.
        if !lines.is_sorted_by(|a, b| word(a) <= word(b)) {
            lines.sort_by(|a, b| word(a).cmp(word(b)));
        }
        Self { text, lines }
    }

    /// The symbols of a word.
    pub(super) fn look_up(&self, word: &str) -> Option<&str> {
        let at = self.lines.partition_point(|line| head(&self.text[*line as usize..]) < word);
        let line = self.text[*self.lines.get(at)? as usize..].lines().next()?.trim();
        (head(line) == word).then(|| line[word.len()..].trim().trim_start_matches(":: "))
    }
}

/// Where pronunciations come from.
#[derive(Debug)]
pub(super) struct Pronunciations {
    /// IPA, the pack's own.
    own: Option<Dictionary>,
    /// ARPAbet.
    general: Dictionary,
}

impl Pronunciations {
    /// Reads the general dictionary and, where the pack has one, its own.
    pub(super) fn load(assets: &Assets, own: Option<&Path>) -> Result<Self, AssetError> {
        let file = assets.pronunciations()?;
        let read = |file: &Path| {
            Dictionary::read(file).map_err(|error| AssetError::Unusable {
                part: "speech packs",
                file: file.display().to_string(),
                why: error.to_string(),
                command: SETUP_COMMAND,
            })
        };
        Ok(Self { own: own.map(read).transpose()?, general: read(&file)? })
    }

    /// A clause in IPA: words with blanks between, and the marks at which the voice pauses. `given`: ARPAbet phones of
    /// some blank-separated words, by their place.
    pub(super) fn clause(&self, text: &str, given: &[(usize, &str)]) -> String {
        let mut ipa = String::new();
        for (at, raw) in text.split_whitespace().enumerate() {
            let word = word_of(raw);
            if !word.is_empty() {
                if !ipa.is_empty() {
                    ipa.push(' ');
                }
                match given.iter().find(|(place, _)| *place == at) {
                    Some((_, phones)) => ipa.push_str(&self::ipa(phones)),
                    // `twenty-one` is two words without a pause.
                    None => {
                        let parts: Vec<String> =
                            word.split('-').filter(|part| !part.is_empty()).map(|part| self.word(part)).collect();
                        ipa.push_str(&parts.join(" "));
                    }
                }
            }
            let mark = raw.chars().rev().take_while(|c| !c.is_alphanumeric()).find(|c| ",.;:?!".contains(*c));
            if let Some(mark) = mark.filter(|_| !ipa.is_empty()) {
                ipa.push(mark);
            }
        }
        if ipa.ends_with(|c: char| !",.;:?!".contains(c)) {
            // Without an end the voice swallows the last sound.
            ipa.push('.');
        }
        ipa
    }

    fn word(&self, word: &str) -> String {
        if let Some(weak) = weak(word) {
            return weak.to_owned();
        }
        if let Some(symbols) = self.own.as_ref().and_then(|own| own.look_up(word)) {
            return symbols.split_whitespace().collect();
        }
        if let Some(phones) = self.general.look_up(word) {
            return ipa(phones);
        }
        // A possessive of a known word, then letter by letter.
        if let Some(owner) = word.strip_suffix("'s").filter(|owner| !owner.is_empty()) {
            return format!("{}z", self.word(owner));
        }
        word.chars().filter_map(|letter| self.letter(letter)).collect::<Vec<_>>().join(" ")
    }

    fn letter(&self, letter: char) -> Option<String> {
        let name = match letter {
            // The article is another word.
            'a' => "EY",
            '0' => "Z IH R OW",
            '1' => "W AH N",
            '2' => "T UW",
            '3' => "TH R IY",
            '4' => "F AO R",
            '5' => "F AY V",
            '6' => "S IH K S",
            '7' => "S EH V AH N",
            '8' => "EY T",
            '9' => "N AY N",
            _ => {
                let mut octets = [0; 4];
                let letter: &str = letter.encode_utf8(&mut octets);
                // `b.` is the letter in the CMU dictionary; `b` may be an abbreviation.
                self.general.look_up(&format!("{letter}.")).or_else(|| self.general.look_up(letter))?
            }
        };
        Some(ipa(name))
    }
}

/// Words that sentences swallow, as espeak-ng says them.
fn weak(word: &str) -> Option<&'static str> {
    Some(match word {
        "a" => "ɐ",
        "an" => "ɐn",
        "the" => "ðə",
        "of" => "ʌv",
        "to" => "tə",
        "and" => "ænd",
        "for" => "fɔːɹ",
        "or" => "ɔːɹ",
        "at" => "æt",
        "as" => "æz",
        "in" => "ɪn",
        "is" => "ɪz",
        "it" => "ɪt",
        _ => return None,
    })
}

/// The sounds of a vowel, and whether it is a full one.
fn vowel(phone: &str) -> Option<(&'static str, &'static str, bool)> {
    // Stressed, unstressed.
    Some(match phone {
        "AA" => ("ɑː", "ɑː", true),
        "AE" => ("æ", "æ", true),
        "AH" => ("ʌ", "ə", false),
        "AO" => ("ɔː", "ɔː", true),
        "AW" => ("aʊ", "aʊ", true),
        "AX" => ("ə", "ə", false),
        "AY" => ("aɪ", "aɪ", true),
        "EH" => ("ɛ", "ɛ", true),
        "ER" => ("ɜː", "ɚ", false),
        "EY" => ("eɪ", "eɪ", true),
        "IH" => ("ɪ", "ɪ", true),
        "IY" => ("iː", "i", true),
        "OW" => ("oʊ", "oʊ", true),
        "OY" => ("ɔɪ", "ɔɪ", true),
        "UH" => ("ʊ", "ʊ", true),
        "UW" => ("uː", "uː", true),
        _ => return None,
    })
}

fn consonant(phone: &str) -> Option<&'static str> {
    Some(match phone {
        "B" => "b",
        "CH" => "tʃ",
        "D" => "d",
        "DH" => "ð",
        "F" => "f",
        "G" => "ɡ",
        "HH" => "h",
        "JH" => "dʒ",
        "K" => "k",
        "L" => "l",
        "M" => "m",
        "N" => "n",
        "NG" => "ŋ",
        "P" => "p",
        "R" => "ɹ",
        "S" => "s",
        "SH" => "ʃ",
        "T" => "t",
        "TH" => "θ",
        "V" => "v",
        "W" => "w",
        "Y" => "j",
        "Z" => "z",
        "ZH" => "ʒ",
        _ => return None,
    })
}

/// ARPAbet (`S IY AA R EH M`, with stress digits or without) in IPA.
fn ipa(phones: &str) -> String {
    let phones: Vec<(String, Option<u8>)> = phones
        .split_whitespace()
        .map(|phone| {
            let stress = phone.bytes().last().filter(u8::is_ascii_digit).map(|digit| digit - b'0');
            (phone.trim_end_matches(|c: char| c.is_ascii_digit()).to_uppercase(), stress)
        })
        .collect();
    let vowels: Vec<usize> = (0..phones.len()).filter(|n| vowel(&phones[*n].0).is_some()).collect();
    let marked = phones.iter().any(|(_, stress)| stress.is_some());
    let full = |n: &&usize| vowel(&phones[**n].0).is_some_and(|(_, _, full)| full);
    let guessed = vowels.iter().find(full).or_else(|| vowels.first()).copied();
    let mut ipa = String::new();
    for (n, (phone, stress)) in phones.iter().enumerate() {
        let stressed = if marked { *stress == Some(1) } else { Some(n) == guessed };
        if let Some((strong, weak, _)) = vowel(phone) {
            if stressed {
                ipa.push('ˈ');
            } else if *stress == Some(2) {
                ipa.push('ˌ');
            }
            ipa.push_str(if stressed || *stress == Some(2) { strong } else { weak });
        } else if let Some(sound) = consonant(phone) {
            ipa.push_str(sound);
        }
    }
    ipa
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pronunciations(own: Option<&str>) -> Pronunciations {
        let general = "a AH\nb. B IY\nhello HH AH L OW\nhello(2) HH EH L OW\nworld W ER L D\nx. EH K S\ny. W AY\n";
        Pronunciations { own: own.map(|own| Dictionary::of(own.into())), general: Dictionary::of(general.into()) }
    }

    #[test]
    fn clauses_are_written_as_the_voices_read_them() {
        let p = pronunciations(None);
        assert_eq!(p.clause("Hello, the world!", &[]), "həlˈoʊ, ðə wˈɜːld!");
        assert_eq!(p.clause("hello world", &[]), "həlˈoʊ wˈɜːld.");
        assert_eq!(p.clause("hello-world's", &[]), "həlˈoʊ wˈɜːldz.");
        assert_eq!(p.clause(" — ", &[]), "");
    }

    #[test]
    fn no_word_is_lost() {
        let p = pronunciations(None);
        assert_eq!(p.clause("ab7", &[]), "ˈeɪ bˈiː sˈɛvən.");
        // As an agent's lexicon writes it.
        assert_eq!(p.clause("hello CRM, hello", &[(1, "s iy0 aa0 r eh1 m")]), "həlˈoʊ siɑːɹˈɛm, həlˈoʊ.");
    }

    #[test]
    fn the_packs_own_dictionary_comes_first() {
        let p = pronunciations(Some("hello h ə l ˈ o ʊ\nof course :: ʌ v k\nzebra :: zˈiːbɹə\n"));
        assert_eq!(p.clause("hello zebra.", &[]), "həlˈoʊ zˈiːbɹə.");
        assert_eq!(p.clause("zebra", &[(0, "z eh1 b r ax0")]), "zˈɛbɹə.");
        assert_eq!(p.own.as_ref().unwrap().look_up("of"), None);
        assert_eq!(p.own.as_ref().unwrap().look_up("zz"), None);
        assert_eq!(Dictionary::of(String::new()).look_up("a"), None);
    }

    #[test]
    fn stress_digits_are_kept_where_there_are_some() {
        assert_eq!(ipa("AH0 B AW1 T"), "əbˈaʊt");
        assert_eq!(ipa("T EH1 L AH0 F OW2 N"), "tˈɛləfˌoʊn");
        assert_eq!(ipa("K AH S T AH M ER"), "kˈʌstəmɚ");
        assert_eq!(ipa("frob"), "");
    }
}
