//! Word errors. Purpose: one way to compare what was said with what was heard, whoever heard it: numbers as words,
//! contractions spelled out, punctuation gone. Pure. Invariants: a text against itself has no errors; what two engines merely
//! write differently ("$20", "twenty dollars"; "C. R. M.", "crm"; "I'm", "i am") is no error; a wrong word is one.
//! Deliberately absent: what the words mean (`meaning`).

use callwright::conversation::spoken::{SMALL, TENS};
use std::collections::BTreeMap;
use std::ops::AddAssign;

/// Errors of one text or of many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Errors {
    /// Words heard as others.
    pub substituted: usize,
    /// Words not heard.
    pub deleted: usize,
    /// Words heard that nobody said.
    pub inserted: usize,
    /// Words said.
    pub words: usize,
    /// Texts, and those among them without any error.
    pub texts: usize,
    pub exact: usize,
}

impl Errors {
    /// Word error rate in percent; 100 when nothing was said and something heard.
    pub fn percent(&self) -> f64 {
        let errors = self.substituted + self.deleted + self.inserted;
        if errors == 0 { 0.0 } else { 100.0 * errors as f64 / self.words.max(1) as f64 }
    }

    /// Texts heard without any error, in percent.
    pub fn exact_percent(&self) -> f64 {
        100.0 * self.exact as f64 / self.texts.max(1) as f64
    }
}

impl AddAssign for Errors {
    fn add_assign(&mut self, other: Self) {
        self.substituted += other.substituted;
        self.deleted += other.deleted;
        self.inserted += other.inserted;
        self.words += other.words;
        self.texts += other.texts;
        self.exact += other.exact;
    }
}

/// One step of an alignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Heard as said.
    Same(String),
    /// Said, heard.
    Other(String, String),
    /// Said and not heard.
    Missed(String),
    /// Heard and not said.
    Extra(String),
}

/// Aligns two texts by the fewest errors, a substitution counted like one deletion.
pub fn align(said: &str, heard: &str) -> Vec<Step> {
    let (said, heard) = (words(said), words(heard));
    let width = heard.len() + 1;
    let mut costs = vec![0_usize; (said.len() + 1) * width];
    for (at, cost) in costs.iter_mut().enumerate() {
        let (s, h) = (at / width, at % width);
        if s == 0 || h == 0 {
            *cost = s + h;
        }
    }
    for s in 1..=said.len() {
        for h in 1..=heard.len() {
            let changed = costs[(s - 1) * width + h - 1] + usize::from(said[s - 1] != heard[h - 1]);
            let missed = costs[(s - 1) * width + h] + 1;
            let extra = costs[s * width + h - 1] + 1;
            costs[s * width + h] = changed.min(missed).min(extra);
        }
    }
    let (mut s, mut h) = (said.len(), heard.len());
    let mut steps = Vec::new();
    while s > 0 || h > 0 {
        let cost = costs[s * width + h];
        if s > 0 && h > 0 {
            let same = said[s - 1] == heard[h - 1];
            if cost == costs[(s - 1) * width + h - 1] + usize::from(!same) {
                (s, h) = (s - 1, h - 1);
                let word = said[s].clone();
                steps.push(if same { Step::Same(word) } else { Step::Other(word, heard[h].clone()) });
                continue;
            }
        }
        if s > 0 && cost == costs[(s - 1) * width + h] + 1 {
            s -= 1;
            steps.push(Step::Missed(said[s].clone()));
        } else {
            h -= 1;
            steps.push(Step::Extra(heard[h].clone()));
        }
    }
    steps.reverse();
    steps
}

/// Counts the errors of one text.
pub fn errors(said: &str, heard: &str) -> Errors {
    let mut errors = Errors { texts: 1, ..Errors::default() };
    for step in align(said, heard) {
        match step {
            Step::Same(_) => errors.words += 1,
            Step::Other(..) => (errors.words, errors.substituted) = (errors.words + 1, errors.substituted + 1),
            Step::Missed(_) => (errors.words, errors.deleted) = (errors.words + 1, errors.deleted + 1),
            Step::Extra(_) => errors.inserted += 1,
        }
    }
    errors.exact = usize::from(errors.substituted + errors.deleted + errors.inserted == 0);
    errors
}

/// Digits of a dictated number as one string; `oh` and `o` are zero, other words count as an error mark.
pub fn digits(text: &str) -> String {
    words(text)
        .iter()
        .map(|word| match word.as_str() {
            "oh" | "o" => '0',
            word => SMALL[..10].iter().position(|unit| *unit == word).map_or('?', |n| char::from(b'0' + n as u8)),
        })
        .collect()
}

/// How often each word was heard as which other; the empty word stands for nothing.
#[derive(Clone, Debug, Default)]
pub struct Confusions(BTreeMap<(String, String), usize>);

impl Confusions {
    /// Adds one text.
    pub fn add(&mut self, said: &str, heard: &str) {
        for step in align(said, heard) {
            let pair = match step {
                Step::Same(_) => continue,
                Step::Other(said, heard) => (said, heard),
                Step::Missed(said) => (said, String::new()),
                Step::Extra(heard) => (String::new(), heard),
            };
            *self.0.entry(pair).or_default() += 1;
        }
    }

    /// The most frequent, with their counts.
    pub fn most(&self, count: usize) -> Vec<(&str, &str, usize)> {
        let mut all: Vec<_> = self.0.iter().map(|((said, heard), n)| (said.as_str(), heard.as_str(), *n)).collect();
        all.sort_by(|a, b| b.2.cmp(&a.2).then(a.cmp(b)));
        all.truncate(count);
        all
    }
}

const ORDINALS: [(&str, &str); 8] = [
    ("one", "first"),
    ("two", "second"),
    ("three", "third"),
    ("five", "fifth"),
    ("eight", "eighth"),
    ("nine", "ninth"),
    ("twelve", "twelfth"),
    ("y", "ieth"),
];
/// Acronyms that engines write as letters.
const SPELLED: [&str; 6] = ["crm", "api", "pdf", "csv", "sms", "url"];
/// What "'s" stands for "is" behind.
const IS: [&str; 14] = [
    "it",
    "that",
    "what",
    "who",
    "how",
    "where",
    "there",
    "here",
    "he",
    "she",
    "when",
    "everything",
    "nobody",
    "somebody",
];
const WRITTEN: [(&str, &str); 17] = [
    ("won't", "will not"),
    ("can't", "can not"),
    ("cannot", "can not"),
    ("shan't", "shall not"),
    ("let's", "let us"),
    ("ok", "okay"),
    ("alright", "all right"),
    ("gonna", "going to"),
    ("wanna", "want to"),
    ("yea", "yeah"),
    ("crms", "crm s"),
    ("tshirts", "t shirts"),
    ("t-shirts", "t shirts"),
    ("neighbours", "neighbors"),
    ("favour", "favor"),
    ("goodbye", "good bye"),
    ("voicemail", "voice mail"),
];

/// The words that are compared.
pub fn words(text: &str) -> Vec<String> {
    let mut spoken: Vec<String> = Vec::new();
    let text = text.to_lowercase().replace(['\u{2019}', '\u{2018}'], "'");
    for piece in text.split(|c: char| c.is_whitespace() || matches!(c, '-' | '/' | '–' | '—' | '_')) {
        push(piece.trim_matches(|c: char| !c.is_alphanumeric() && c != '$' && c != '%'), &mut spoken);
    }
    join_numbers(join_letters(spoken))
}

fn push(piece: &str, spoken: &mut Vec<String>) {
    let mut say = |text: &str| spoken.extend(text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned));
    if piece.is_empty() {
        return;
    }
    if let Some((_, written)) = WRITTEN.iter().find(|(short, _)| *short == piece) {
        return say(written);
    }
    if let Some(amount) = piece.strip_prefix('$') {
        let (dollars, cents) = amount.split_once('.').unwrap_or((amount, ""));
        push(dollars, spoken);
        spoken.push("dollars".to_owned());
        if cents.len() == 2 && cents != "00" {
            spoken.push("and".to_owned());
            push(cents.trim_start_matches('0'), spoken);
            spoken.push("cents".to_owned());
        }
        return;
    }
    if let Some(share) = piece.strip_suffix('%') {
        push(share, spoken);
        return spoken.push("percent".to_owned());
    }
    if piece.starts_with(|c: char| c.is_ascii_digit()) {
        return number(piece, spoken);
    }
    let letters: String = piece.chars().filter(|c| *c != '.').collect();
    if letters.len() < piece.len() && piece.split('.').all(|part| part.chars().count() <= 1) {
        return letters.chars().for_each(|letter| spoken.push(letter.to_string()));
    }
    for (end, full) in
        [("n't", " not"), ("'m", " am"), ("'re", " are"), ("'ve", " have"), ("'ll", " will"), ("'d", " would")]
    {
        if let Some(stem) = piece.strip_suffix(end).filter(|stem| !stem.is_empty()) {
            return say(&format!("{stem}{full}"));
        }
    }
    if let Some(stem) = piece.strip_suffix("'s").filter(|stem| IS.contains(stem)) {
        return say(&format!("{stem} is"));
    }
    piece.split(|c: char| !(c.is_alphanumeric() || c == '\'')).filter(|part| !part.is_empty()).for_each(say);
}

/// "2,500", "21st", "10:15", "1999", "007", "2.5".
fn number(piece: &str, spoken: &mut Vec<String>) {
    let plain: String = piece.chars().filter(|c| *c != ',').collect();
    let figures: String = plain.chars().take_while(char::is_ascii_digit).collect();
    let rest = &plain[figures.len()..];
    let before = spoken.len();
    match figures.parse::<u64>() {
        Ok(value) if figures.len() == 1 || !figures.starts_with('0') => {
            let year = figures.len() == 4 && !piece.contains(',') && (1100..2000).contains(&value) && rest.is_empty();
            if year {
                cardinal(value / 100, spoken);
                if value % 100 > 0 { cardinal(value % 100, spoken) } else { spoken.push("hundred".to_owned()) }
            } else if value < 1_000_000 {
                cardinal(value, spoken);
            } else {
                spoken.extend(figures.bytes().map(|b| SMALL[usize::from(b - b'0')].to_owned()));
            }
        }
        _ => spoken.extend(figures.bytes().map(|b| SMALL[usize::from(b - b'0')].to_owned())),
    }
    match rest {
        "st" | "nd" | "rd" | "th" => {
            if let Some(last) = spoken[before..].last_mut() {
                *last = ordinal(last);
            }
        }
        "" => {}
        _ => match rest.split_at(1) {
            (":", minutes) if minutes != "00" => push(minutes, spoken),
            (":", _) => {}
            (".", decimals) if decimals.bytes().all(|b| b.is_ascii_digit()) && !decimals.is_empty() => {
                spoken.push("point".to_owned());
                spoken.extend(decimals.bytes().map(|b| SMALL[usize::from(b - b'0')].to_owned()));
            }
            _ => push(rest.trim_matches(|c: char| !c.is_alphanumeric()), spoken),
        },
    }
}

fn ordinal(cardinal: &str) -> String {
    let known = ORDINALS.iter().find_map(|(from, to)| cardinal.strip_suffix(from).map(|stem| format!("{stem}{to}")));
    known.unwrap_or_else(|| format!("{cardinal}th"))
}

/// Below a million.
fn cardinal(value: u64, spoken: &mut Vec<String>) {
    let mut say = |word: &str| spoken.push(word.to_owned());
    match value {
        0..20 => say(SMALL[value as usize]),
        20..100 => {
            say(TENS[value as usize / 10]);
            if !value.is_multiple_of(10) {
                say(SMALL[value as usize % 10]);
            }
        }
        _ => {
            let (unit, name) = if value < 1000 { (100, "hundred") } else { (1000, "thousand") };
            cardinal(value / unit, spoken);
            spoken.push(name.to_owned());
            if !value.is_multiple_of(unit) {
                cardinal(value % unit, spoken);
            }
        }
    }
}

/// "c", "r", "m" → "crm".
fn join_letters(words: Vec<String>) -> Vec<String> {
    let mut joined: Vec<String> = Vec::with_capacity(words.len());
    let mut at = 0;
    while at < words.len() {
        let spelled = SPELLED.iter().find(|name| {
            let letters = words.get(at..at + name.len());
            letters.is_some_and(|w| w.iter().zip(name.chars()).all(|(w, c)| w.chars().eq([c])))
        });
        match spelled {
            Some(name) => {
                joined.push((*name).to_owned());
                at += name.len();
            }
            None => {
                joined.push(words[at].clone());
                at += 1;
            }
        }
    }
    joined
}

/// "one hundred and twelve" → "one hundred twelve"; "e mail" → "email".
fn join_numbers(words: Vec<String>) -> Vec<String> {
    let is_number =
        |word: &String| SMALL.contains(&word.as_str()) || TENS.contains(&word.as_str()) || word == "hundred";
    let mut joined: Vec<String> = Vec::with_capacity(words.len());
    for (at, word) in words.iter().enumerate() {
        let inside = word == "and"
            && joined.last().is_some_and(|last| last == "hundred" || last == "thousand")
            && words.get(at + 1).is_some_and(is_number);
        if inside {
            continue;
        }
        if word == "mail" && joined.last().is_some_and(|last| last == "e") {
            joined.pop();
            joined.push("email".to_owned());
        } else {
            joined.push(word.clone());
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str) {
        assert_eq!(words(a), words(b), "{a:?} and {b:?}");
    }

    #[test]
    fn what_is_written_differently_is_the_same() {
        same("I'm sure it's a C.R.M., isn't it?", "i am sure it is a c r m is not it");
        same("$2,500", "two thousand five hundred dollars");
        same("fourteen dollars and fifty cents", "$14.50");
        same("one hundred and twelve", "112");
        same("the 21st of December", "the twenty first of december");
        same("Tuesday the 3rd at 10:15", "tuesday the third at ten fifteen");
        same("20th", "twentieth");
        same("12th", "twelfth");
        same("in 1999", "in nineteen ninety nine");
        same("in 2007", "in two thousand and seven");
        same("007", "zero zero seven");
        same("an e-mail", "an email");
        same("we cannot", "we can't");
        same("50 %", "fifty percent");
        same("a see-through CRM", "a see through crm");
        assert_eq!(words("notes and a hundred and one"), ["notes", "and", "a", "hundred", "one"]);
        assert_eq!(words("the agency's people"), ["the", "agency's", "people"]);
    }

    #[test]
    fn a_text_against_itself_has_no_errors() {
        for text in ["", "yes", "build me a crm with contacts and deals", "$3.50 for 12 apples, isn't it?"] {
            let errors = errors(text, text);
            assert_eq!((errors.percent(), errors.exact), (0.0, 1), "{text}");
        }
    }

    #[test]
    fn errors_are_told_apart() {
        let found = errors("please build me a crm", "please built a new crm");
        assert_eq!((found.substituted + found.deleted + found.inserted, found.words), (3, 5));
        assert_eq!(errors("a b c d", "").percent(), 100.0);
        assert_eq!(errors("a b c d", "a b c").deleted, 1);
        assert_eq!(errors("a b", "a x b").inserted, 1);
        assert_eq!(errors("a b", "a c").substituted, 1);
        assert!(errors("", "hello").percent() > 0.0);
        let mut sum = errors("a b", "a b");
        sum += errors("c d", "c");
        assert_eq!((sum.percent(), sum.exact_percent()), (25.0, 50.0));
    }

    #[test]
    fn digits_are_compared_as_one_number() {
        assert_eq!(digits("five oh two, zero nine"), "50209");
        assert_eq!(digits("5 5 5"), "555");
        assert_eq!(digits("five and two"), "5?2");
    }

    #[test]
    fn confusions_are_counted() {
        let mut confusions = Confusions::default();
        confusions.add("with deals", "with meals");
        confusions.add("the deals", "the meals");
        confusions.add("notes", "");
        assert_eq!(confusions.most(2), [("deals", "meals", 2), ("notes", "", 1)]);
    }
}
