//! What engines write, as the dialogue reads it, and how sure they are (pure). Purpose: lower-case words without
//! punctuation, figures as words ("10:15" is "ten fifteen"): one form, whoever heard. Invariant: plain words stay as they
//! are. Deliberately absent: what the words mean.

use crate::conversation::Expectation;
use crate::conversation::spoken::{SMALL, say};
use crate::speech::normalise;
use callwright_models::asr::Hypothesis;

/// What callers say letter by letter and mean as a word.
const ACRONYMS: [&str; 7] = ["crm", "api", "url", "sql", "pdf", "csv", "sms"];

/// A result in plain words. Its word times are kept as they are.
pub(in crate::speech) fn plain_hypothesis(heard: Hypothesis, expectation: Expectation) -> Hypothesis {
    Hypothesis {
        text: plain(&heard.text, expectation),
        alternatives: heard.alternatives.iter().map(|other| plain(other, expectation)).collect(),
        ..heard
    }
}

/// Geometric mean of probabilities; zero when there are none.
pub(in crate::speech) fn confidence(probabilities: impl Iterator<Item = f32>) -> f32 {
    let (mut logs, mut count) = (0.0_f32, 0_u32);
    for probability in probabilities.filter(|probability| !probability.is_nan()) {
        logs += probability.clamp(1e-6, 1.0).ln();
        count += 1;
    }
    if count == 0 { 0.0 } else { (logs / count as f32).exp() }
}

/// A text in plain words. Where digits are expected, every figure is a word of its own.
pub(in crate::speech) fn plain(text: &str, expectation: Expectation) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut pieces = text.split_whitespace().peekable();
    let mut after_figures = false;
    while let Some(written) = pieces.next() {
        let figures = written.bytes().any(|octet| octet.is_ascii_digit());
        let behind_figures = std::mem::replace(&mut after_figures, figures);
        let half = half_of_the_day(written).filter(|_| behind_figures);
        let amount = pieces.peek().and_then(|unit| price(written, unit));
        if let Some(amount) = amount {
            pieces.next();
            words.extend(normalise(&amount).into_iter().flat_map(|word| letters(&word.spoken)));
        } else if figures && matches!(expectation, Expectation::Digits { .. }) {
            words.extend(
                written.bytes().filter(u8::is_ascii_digit).map(|digit| SMALL[usize::from(digit - b'0')].to_owned()),
            );
        } else if matches!(expectation, Expectation::Digits { .. }) {
            let said = letters(written).into_iter();
            words.extend(said.map(|word| if word == "o" { "oh".to_owned() } else { word }));
        } else if let Some(half) = half {
            words.extend(half.map(str::to_owned));
        } else if let Some(year) = year(written) {
            words.extend(year.split(' ').map(str::to_owned));
        } else if figures {
            let spoken = normalise(written).into_iter().flat_map(|word| letters(&word.spoken)).collect::<Vec<_>>();
            words.extend(spoken);
        } else {
            words.extend(letters(written));
        }
    }
    // A spelled name stays spelled.
    if !matches!(expectation, Expectation::Name) {
        join_letters(&mut words);
    }
    words.join(" ")
}

/// "c", "r", "m" → "crm".
fn join_letters(words: &mut Vec<String>) {
    for acronym in ACRONYMS {
        let spells =
            |words: &[String]| words.iter().map(String::as_str).eq(acronym.split("").filter(|c| !c.is_empty()));
        while let Some(at) = words.windows(acronym.len()).position(spells) {
            words.splice(at..at + acronym.len(), [acronym.to_owned()]);
        }
    }
}

/// An amount whose unit some engines write behind it ("14.50 dollars"), as it is written elsewhere.
fn price(amount: &str, unit: &str) -> Option<String> {
    let sign = match unit {
        "dollars" => '$',
        "euros" => '€',
        "pounds" => '£',
        _ => return None,
    };
    let (whole, cents) = amount.split_once('.')?;
    let figures = |part: &str| !part.is_empty() && part.bytes().all(|octet| octet.is_ascii_digit());
    (figures(whole) && cents.len() == 2 && figures(cents)).then(|| format!("{sign}{amount}"))
}

/// "am" behind a time is no verb.
fn half_of_the_day(written: &str) -> Option<[&'static str; 2]> {
    let letters: String = written.chars().filter(|c| c.is_alphanumeric()).collect();
    [("am", "a"), ("pm", "p")]
        .into_iter()
        .find_map(|(half, letter)| letters.eq_ignore_ascii_case(half).then_some([letter, "m"]))
}

/// A year of the last century, which is said in pairs.
fn year(written: &str) -> Option<String> {
    let written = written.trim_end_matches(|c: char| c.is_ascii_punctuation());
    let pair = written.strip_prefix("19").filter(|pair| pair.len() == 2)?.parse().ok().filter(|pair| *pair >= 10)?;
    Some(format!("nineteen {}", say(pair)))
}

/// The words of a piece without figures: "read-back," is two, "C.R.M." is one.
fn letters(piece: &str) -> Vec<String> {
    let piece = piece.replace(['’', 'ʼ'], "'").to_lowercase();
    let dotted = piece.trim_end_matches(|c: char| !c.is_alphanumeric() && c != '.');
    let labels: Vec<&str> = dotted.trim_end_matches('.').split('.').collect();
    let letter = |label: &&str| label.chars().count() == 1 && label.chars().all(char::is_alphanumeric);
    if labels.len() > 1 && labels.iter().all(letter) {
        return vec![labels.concat()];
    }
    piece
        .split(|c: char| !c.is_alphanumeric() && c != '\'')
        .map(|word| word.trim_matches('\'').to_owned())
        .filter(|word| !word.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn written_sentences_become_what_is_heard() {
        for (written, heard) in [
            ("Build me a C.R.M., please!", "build me a crm please"),
            ("I’d like 25 contacts — no, 30.", "i'd like twenty five contacts no thirty"),
            ("A read-back, then \"yes\".", "a read back then yes"),
            ("It costs $5.", "it costs five dollars"),
            ("Call me at 9:30.", "call me at nine thirty"),
            ("It was $14.50.", "it was fourteen dollars and fifty cents"),
            ("14.50 dollars a month", "fourteen dollars and fifty cents a month"),
            ("1200 euros on the 3rd", "one thousand two hundred euros on the third"),
            ("in 1999 and 2007", "in nineteen ninety nine and two thousand seven"),
            ("at 10:15 on the 21st", "at ten fifteen on the twenty first"),
            ("112 of 2500", "one hundred twelve of two thousand five hundred"),
            ("at 10 am", "at ten a m"),
            ("at 8:30 P.M., I am there", "at eight thirty p m i am there"),
            ("a C R M, and a C.R.M.", "a crm and a crm"),
            ("", ""),
            ("… — ?!", ""),
            ("'Tis the customers' CRM", "tis the customers crm"),
        ] {
            assert_eq!(plain(written, Expectation::Open), heard, "{written}");
        }
    }

    #[test]
    fn digits_are_words_one_by_one_where_they_are_asked_for() {
        let digits = Expectation::Digits { max: 10 };
        assert_eq!(plain("It's 1234, then 5-6.", digits), "it's one two three four then five six");
        assert_eq!(plain("(555) 010-9999", digits), "five five five zero one zero nine nine nine nine");
        assert_eq!(plain("one two", digits), "one two");
        assert_eq!(plain("Five O, o oh seven.", digits), "five oh oh oh seven");
    }

    proptest! {
        #[test]
        fn anything_becomes_lower_case_words_and_stays_so(text in ".{0,80}") {
            for expectation in [Expectation::Open, Expectation::Digits { max: 4 }] {
                let once = plain(&text, expectation);
                prop_assert!(!once.contains("  ") && once.trim() == once);
                prop_assert_eq!(plain(&once, expectation), once);
            }
        }
    }
}
