//! Digits of one answer, keyed, spoken, or both: how many, in which form, how long apart, how often asked again.
//!
//! Purpose: one tool for every question that wants digits. Pure; time is the caller's: [`Collector::waits`] says how long
//! after a key the answer counts as complete. Invariants: at most `max` digits are kept; whatever comes, an answer is
//! complete, wrong or given up after a bounded number of keys; a masked answer is printed by nothing (`Debug` included).
//! Deliberately absent: what the digits are for, the questions.

use std::fmt;
use std::time::Duration;

/// Which digits are an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Digits at least, 1 or more.
    pub min: usize,
    /// Digits at most; with so many the answer is complete, unless it ends by `finish`.
    pub max: usize,
    /// Ends the answer: usually `#`.
    pub finish: Option<char>,
    /// After so long without a key the answer counts as complete.
    pub between: Duration,
    /// Which digits: [`Pattern`].
    pub pattern: Option<Pattern>,
    /// How often an answer may be wrong.
    pub attempts: u8,
}

/// A form of digits as telephone people write it: `X` any digit, `Z` 1–9, `N` 2–9, `[24-6]` one of these, a digit itself; `.`
/// at the end: one or more of any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    places: Vec<u16>,
    more: bool,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it and what to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is no form of digits; write for instance \"NXXXXXX\", \"0[67]X.\" or \"4711\"");
        let (mut places, mut more) = (Vec::new(), false);
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            if more {
                return Err(wrong());
            }
            places.push(match c {
                'X' | 'x' => digits_between('0', '9'),
                'Z' | 'z' => digits_between('1', '9'),
                'N' | 'n' => digits_between('2', '9'),
                '0'..='9' => digits_between(c, c),
                '[' => {
                    let mut set = 0;
                    let mut first: Option<char> = None;
                    loop {
                        match rest.next() {
                            Some(']') if set != 0 => break,
                            Some('-') => match (first.take(), rest.next()) {
                                (Some(from), Some(to)) if from <= to && to.is_ascii_digit() => {
                                    set |= digits_between(from, to);
                                }
                                _ => return Err(wrong()),
                            },
                            Some(c) if c.is_ascii_digit() => {
                                set |= digits_between(c, c);
                                first = Some(c);
                            }
                            _ => return Err(wrong()),
                        }
                    }
                    set
                }
                '.' => {
                    more = true;
                    digits_between('0', '9')
                }
                _ => return Err(wrong()),
            });
        }
        if places.is_empty() { Err(wrong()) } else { Ok(Self { places, more }) }
    }

    /// Whether `digits` have this form.
    #[must_use]
    pub fn matches(&self, digits: &str) -> bool {
        let long_enough = if self.more { digits.len() >= self.places.len() } else { digits.len() == self.places.len() };
        let allowed = |(digit, set): (u8, &u16)| digit.is_ascii_digit() && set & (1 << (digit - b'0')) != 0;
        long_enough && digits.bytes().zip(&self.places).all(allowed)
    }
}

/// A set of digits, one bit each.
const fn digits_between(from: char, to: char) -> u16 {
    let (mut set, mut digit) = (0, from as u16);
    while digit <= to as u16 {
        set |= 1 << (digit - '0' as u16);
        digit += 1;
    }
    set
}

/// What an input led to.
#[derive(Clone, PartialEq, Eq)]
pub enum Collected {
    /// Not complete.
    More,
    /// The answer.
    Complete(String),
    /// Complete, but not what was wanted: ask again.
    Wrong,
    /// Wrong too often.
    GivenUp,
    /// A zero alone: the caller wants a person.
    Person,
}

impl fmt::Debug for Collected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::More => "More",
            Self::Complete(_) => "Complete(…)",
            Self::Wrong => "Wrong",
            Self::GivenUp => "GivenUp",
            Self::Person => "Person",
        })
    }
}

/// An answer on its way.
#[derive(Clone)]
pub struct Collector {
    wanted: Wanted,
    digits: String,
    wrong: u8,
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector")
            .field("digits", &self.digits.len())
            .field("wrong", &self.wrong)
            .finish_non_exhaustive()
    }
}

impl Collector {
    /// Nothing keyed yet.
    #[must_use]
    pub const fn new(wanted: Wanted) -> Self {
        Self { wanted, digits: String::new(), wrong: 0 }
    }

    /// A key. Others than digits and the finishing one count as nothing.
    pub fn handle_key(&mut self, key: char) -> Collected {
        if Some(key) == self.wanted.finish {
            return self.finish();
        }
        if key.is_ascii_digit() {
            self.push(key);
            if self.digits.len() == self.wanted.max {
                return self.finish();
            }
        }
        Collected::More
    }

    /// Spoken digits: they follow what was keyed or said before; with fewer than wanted, more may come.
    pub fn handle_spoken(&mut self, digits: &str) -> Collected {
        digits.chars().filter(char::is_ascii_digit).for_each(|digit| self.push(digit));
        if self.digits.len() >= self.wanted.min { self.finish() } else { Collected::More }
    }

    /// Spoken digits that a key followed at once: the answer goes on.
    pub fn handle_part(&mut self, digits: &str) {
        digits.chars().filter(char::is_ascii_digit).for_each(|digit| self.push(digit));
    }

    /// How long to wait for another key; `None` while nothing was keyed.
    #[must_use]
    pub fn waits(&self) -> Option<Duration> {
        (!self.digits.is_empty()).then_some(self.wanted.between)
    }

    /// No key came for [`Collector::waits`].
    pub fn handle_pause(&mut self) -> Collected {
        if self.digits.is_empty() { Collected::More } else { self.finish() }
    }

    /// Begins anew: the question was asked again.
    pub fn clear(&mut self) {
        self.digits.clear();
    }

    /// The answer was of the right form and yet is not the right one (a PIN): it counts as wrong.
    pub fn refuse(&mut self) -> Collected {
        self.digits.clear();
        self.wrong += 1;
        if self.wrong >= self.wanted.attempts { Collected::GivenUp } else { Collected::Wrong }
    }

    fn push(&mut self, digit: char) {
        // One more than is wanted shows that there were too many.
        if self.digits.len() <= self.wanted.max {
            self.digits.push(digit);
        }
    }

    fn finish(&mut self) -> Collected {
        if self.digits == "0" && self.wanted.min > 1 {
            self.digits.clear();
            return Collected::Person;
        }
        let fits = (self.wanted.min..=self.wanted.max).contains(&self.digits.len())
            && self.wanted.pattern.as_ref().is_none_or(|pattern| pattern.matches(&self.digits));
        if fits { Collected::Complete(std::mem::take(&mut self.digits)) } else { self.refuse() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wanted() -> Wanted {
        Wanted { min: 3, max: 6, finish: Some('#'), between: Duration::from_secs(3), pattern: None, attempts: 3 }
    }

    fn keyed(collector: &mut Collector, keys: &str) -> Collected {
        keys.chars().map(|key| collector.handle_key(key)).last().unwrap_or(Collected::More)
    }

    #[test]
    fn an_answer_ends_by_its_key_its_length_or_a_pause() {
        let mut by_key = Collector::new(wanted());
        assert_eq!(keyed(&mut by_key, "1234#"), Collected::Complete("1234".into()));
        assert_eq!(keyed(&mut by_key, "123456"), Collected::Complete("123456".into()));
        assert_eq!(by_key.waits(), None);
        assert_eq!(keyed(&mut by_key, "123"), Collected::More);
        assert_eq!(by_key.waits(), Some(Duration::from_secs(3)));
        assert_eq!(by_key.handle_pause(), Collected::Complete("123".into()));
        assert_eq!(by_key.handle_pause(), Collected::More, "nothing was keyed");
    }

    #[test]
    fn wrong_answers_are_asked_for_again_until_it_is_enough() {
        let mut collector = Collector::new(Wanted { pattern: Some(Pattern::parse("NXX.").unwrap()), ..wanted() });
        assert_eq!(keyed(&mut collector, "12#"), Collected::Wrong, "too short");
        assert_eq!(keyed(&mut collector, "1234#"), Collected::Wrong, "not of the form");
        assert_eq!(keyed(&mut collector, "#"), Collected::GivenUp, "nothing");
        let mut again = Collector::new(wanted());
        assert_eq!(keyed(&mut again, "4711#"), Collected::Complete("4711".into()));
        assert_eq!(again.refuse(), Collected::Wrong);
    }

    #[test]
    fn speech_and_keys_make_one_answer() {
        let mut collector = Collector::new(wanted());
        assert_eq!(keyed(&mut collector, "12"), Collected::More);
        assert_eq!(collector.handle_spoken("34"), Collected::Complete("1234".into()));
        collector.handle_part("12");
        assert_eq!(keyed(&mut collector, "34#"), Collected::Complete("1234".into()));
        assert_eq!(collector.handle_spoken("1"), Collected::More);
        assert_eq!(collector.handle_spoken("234567"), Collected::Wrong, "one too many");
    }

    #[test]
    fn a_zero_alone_wants_a_person() {
        let mut collector = Collector::new(wanted());
        assert_eq!(keyed(&mut collector, "0#"), Collected::Person);
        assert_eq!(keyed(&mut collector, "0"), Collected::More, "a number may begin with it");
        assert_eq!(collector.handle_pause(), Collected::Person);
        assert_eq!(keyed(&mut collector, "0123#"), Collected::Complete("0123".into()));
    }

    #[test]
    fn patterns_say_what_digits_may_be() {
        let is = |pattern: &str, digits: &str| Pattern::parse(pattern).unwrap().matches(digits);
        assert!(is("NXXXXXX", "5551234") && !is("NXXXXXX", "1551234") && !is("NXXXXXX", "555123"));
        assert!(is("0[67-9]X.", "0712") && !is("0[67-9]X.", "0512") && !is("0[67-9]X.", "071"));
        assert!(is("4711", "4711") && is("Z[13]", "13") && !is("Z", "0"));
        for bad in ["", "a", "[", "[]", "[5-2]", "X.X", "[-3]", "[1-]"] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn no_digit_is_printed() {
        let mut collector = Collector::new(wanted());
        let _ = keyed(&mut collector, "4711");
        let shown = format!("{collector:?} {:?}", collector.handle_key('#'));
        assert!(!shown.contains("47"), "{shown}");
    }

    proptest! {
        #[test]
        fn whatever_is_keyed_the_answer_fits_or_there_is_none(keys in "[0-9*#A-D]{0,60}", spoken in "[0-9]{0,20}") {
            let mut collector = Collector::new(wanted());
            let mut wrong = 0;
            let outcomes = keys.chars().map(|key| collector.handle_key(key)).collect::<Vec<_>>();
            for outcome in outcomes.into_iter().chain([collector.handle_spoken(&spoken)]) {
                match outcome {
                    Collected::Complete(digits) => prop_assert!((3..=6).contains(&digits.len())),
                    Collected::Wrong => { wrong += 1; prop_assert!(wrong < 3); }
                    Collected::GivenUp => break,
                    Collected::More | Collected::Person => {}
                }
            }
        }

        #[test]
        fn no_pattern_panics(text in "\\PC{0,20}", digits in "\\PC{0,12}") {
            if let Ok(pattern) = Pattern::parse(&text) {
                let _ = pattern.matches(&digits);
            }
        }
    }
}
