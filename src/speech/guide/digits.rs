//! Dictated digits. Purpose: where a number is asked for, "two" is no "to" and "nine" no "nice". Pure. Invariants: a text is
//! dictated digits, at most `max` of them, perhaps after words that lead up to them, or a short way out ("no, stop"), all as
//! `conversation::spoken::digits` and the intent grammar read them; every other text is forbidden (negative infinity).
//! Deliberately absent: what the digits mean.

use super::NOTHING;
use super::partial::{Partial, Sign, sign};

const ONES: [&str; 12] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "oh", "o"];
const TEENS: [&str; 10] =
    ["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"];
const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const REPEATS: [(&str, u8); 2] = [("double", 2), ("triple", 3)];
/// Words before the digits that the reader of digits passes over.
const LEADS: [&str; 18] = [
    "my", "the", "number", "phone", "is", "it's", "it", "that's", "um", "uh", "okay", "so", "yes", "sure", "well",
    "pin", "code", "please",
];
/// Words between digits that it passes over.
const BETWEEN: [&str; 5] = ["and", "then", "um", "uh", "please"];
/// Words of those who give no number.
const WAYS_OUT: [&str; 22] = [
    "no", "nope", "stop", "cancel", "wait", "goodbye", "bye", "never", "mind", "thanks", "thank", "you", "that", "it",
    "hold", "on", "repeat", "please", "what", "sorry", "pardon", "forget",
];

/// Natural logs. Of a word before or between the digits.
const AROUND: f32 = -2.0;
/// Of "oh": so short between other digits that the model leaves it out or doubles its neighbour. On 72 numbers that no test
/// has, half of them with "oh", 61 were exact with a malus of 0.5 and 63 with this.
const OH: f32 = 0.5;
/// Of pairs and repeats: there is a plainer way to say them.
const PAIR: f32 = -2.0;
/// Of a way out.
const WAY_OUT: f32 = -3.0;
/// Of an answer that ends before it is complete. Callers pause within a number: what is not said yet must not be worth
/// making up. At 7.5 a prototype of the search made whole numbers of a tenth of the pauses.
const INCOMPLETE: f32 = -2.0;
/// Sound that is so unlikely to be these digits, for each of them and the end, is none: a wrong number is worse than a
/// question that is asked again. Chosen in the same prototype, to lose next to nothing that is right.
const DOUBTFUL: f32 = -2.0;

/// Digits of one length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Digits {
    max: u8,
}

/// What is remembered of a text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DigitState {
    digits: u8,
    /// How often the next digit counts; 0 is once.
    repeat: u8,
    /// The last word was one of the tens, whose second digit may follow.
    tens: bool,
    /// A word that leaves.
    leaving: bool,
    /// The figures before this sign are over, and none may follow at once: "5.5" is no digit.
    point: bool,
    partial: Partial,
}

impl Digits {
    /// `max`: digits of a complete answer.
    pub(super) fn new(max: u8) -> Self {
        Self { max: max.max(1) }
    }

    pub(super) fn extend(self, state: DigitState, piece: &str) -> (DigitState, f32) {
        let (mut next, mut bonus) = (state, 0.0);
        for character in piece.chars() {
            let taken = match sign(character) {
                Sign::Letter(letter) => self.letter(&mut next, letter).then_some(0.0),
                Sign::Divider if matches!(character, '$' | '€' | '£' | '%' | '&' | '@' | '+' | '#' | '*' | '/') => {
                    None
                }
                Sign::Divider => {
                    let figures = next.partial.is_number();
                    let closed = self.close(&mut next);
                    next.point = figures && matches!(character, '.' | ':');
                    closed
                }
            };
            match taken {
                Some(more) => bonus += more,
                None => return (state, f32::NEG_INFINITY),
            }
        }
        (next, bonus)
    }

    pub(super) fn end(self, mut state: DigitState) -> f32 {
        let Some(bonus) = self.close(&mut state) else { return f32::NEG_INFINITY };
        if state.repeat > 0 {
            return f32::NEG_INFINITY;
        }
        bonus
            + match state.digits {
                0 if state.leaving => 0.0,
                0 => NOTHING,
                digits => self.incomplete(digits, state.tens),
            }
    }

    /// The least that model and guide may give for this text.
    pub(super) fn least(self, mut state: DigitState) -> f32 {
        if self.close(&mut state).is_none() || state.digits == 0 {
            return f32::NEG_INFINITY;
        }
        DOUBTFUL * (f32::from(state.digits) + 1.0) + self.incomplete(state.digits, state.tens)
    }

    fn incomplete(self, digits: u8, tens: bool) -> f32 {
        if self.all(digits, tens) { 0.0 } else { INCOMPLETE }
    }

    /// "Forty" at the end has two digits.
    fn all(self, digits: u8, tens: bool) -> bool {
        digits + u8::from(tens) >= self.max
    }

    /// Whether a word that may stand here begins so.
    fn letter(self, state: &mut DigitState, letter: u8) -> bool {
        if letter.is_ascii_digit() {
            let fits = !state.point && !state.leaving && (state.partial.is_empty() || state.partial.is_number());
            state.partial.push(letter);
            let figures = state.partial.word().len();
            return fits && figures > 0 && self.room(*state, figures).is_some();
        }
        if state.partial.is_number() {
            return false;
        }
        state.partial.push(letter);
        let begun = state.partial.word();
        let any = |words: &[&str]| words.iter().any(|word| word.starts_with(begun));
        state.partial.is_empty()
            || !begun.is_empty()
                && (!state.leaving
                    && (any(&ONES)
                        || any(&TEENS)
                        || any(&TENS)
                        || REPEATS.iter().any(|(word, _)| word.starts_with(begun)))
                    || state.digits == 0 && state.repeat == 0 && (any(&WAYS_OUT) || !state.leaving && any(&LEADS))
                    || state.digits > 0 && any(&BETWEEN))
    }

    /// The digits there are after `more`; `None` when those are too many.
    fn room(self, state: DigitState, more: usize) -> Option<u8> {
        let digits = usize::from(state.digits) + usize::from(state.tens) + more * usize::from(state.repeat.max(1));
        u8::try_from(digits).ok().filter(|digits| *digits <= self.max)
    }

    /// The word is over: its bonus; `None` when it cannot stand here.
    fn close(self, state: &mut DigitState) -> Option<f32> {
        let partial = std::mem::take(&mut state.partial);
        if partial.is_empty() {
            return Some(0.0);
        }
        let word = partial.word();
        if partial.is_number() {
            return self.count(state, word.len(), 0.0);
        }
        if state.leaving {
            return WAYS_OUT.contains(&word).then_some(0.0);
        }
        if state.tens && ONES[1..10].contains(&word) {
            // The second of a pair.
            state.tens = false;
            return self.count(state, 1, 0.0);
        }
        if ONES.contains(&word) {
            return self.count(state, 1, if matches!(word, "oh" | "o") { OH } else { 0.0 });
        }
        // What is repeated is one digit.
        let once = state.repeat == 0;
        if TEENS.contains(&word) && once {
            return self.count(state, 2, PAIR);
        }
        if TENS.contains(&word) && once {
            let bonus = self.count(state, 1, PAIR)?;
            state.tens = true;
            return self.room(*state, 0).map(|_| bonus);
        }
        if let Some((_, times)) = REPEATS.iter().find(|(repeat, _)| *repeat == word)
            && once
        {
            state.digits += u8::from(std::mem::take(&mut state.tens));
            state.repeat = *times;
            return self.room(*state, 1).map(|_| PAIR);
        }
        let around: &[&str] = if state.digits == 0 { &LEADS } else { &BETWEEN };
        if around.contains(&word) && once {
            // "Twenty and one" are three digits.
            state.digits += u8::from(std::mem::take(&mut state.tens));
            return Some(AROUND);
        }
        if state.digits == 0 && once && WAYS_OUT.contains(&word) {
            state.leaving = true;
            return Some(WAY_OUT);
        }
        None
    }

    fn count(self, state: &mut DigitState, more: usize, bonus: f32) -> Option<f32> {
        state.digits = self.room(*state, more)?;
        state.tens = false;
        state.repeat = 0;
        Some(bonus)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::spoken;
    use proptest::prelude::*;

    fn worth(max: u8, text: &str) -> f32 {
        let digits = Digits::new(max);
        let (state, bonus) = digits.extend(DigitState::default(), text);
        bonus + digits.end(state)
    }

    #[test]
    fn digits_as_people_dictate_them() {
        for text in [
            " Five, five, five, one two three, four five six seven.",
            " 555-123-4567.",
            " (555) 1234567",
            " Double five five one two three 4567",
            " Twenty three, forty, 4567 eleven",
            // As the model writes it.
            " Five O five, one two O, 4567",
        ] {
            assert!(worth(10, text) > -9.0, "{text}: {}", worth(10, text));
        }
        assert_eq!(worth(4, " Nine, six, six, four."), 0.0);
        assert_eq!(worth(4, " 9664."), 0.0);
        assert_eq!(worth(4, " Forty forty"), 2.0 * PAIR);
        assert_eq!(worth(4, " my pin is one two three four"), 3.0 * AROUND);
        assert!(worth(4, " one two three") < worth(4, " one two three four"));
        assert_eq!(worth(10, " one two three four five six seven eight nine"), INCOMPLETE);
        assert_eq!(worth(10, " No, thank you."), WAY_OUT);
        assert_eq!(worth(10, ""), NOTHING);
    }

    #[test]
    fn what_is_too_unlikely_for_its_digits_is_not_believed() {
        let least = |text| {
            let digits = Digits::new(4);
            digits.least(digits.extend(DigitState::default(), text).0)
        };
        assert_eq!(least(" one two three four"), 5.0 * DOUBTFUL);
        assert_eq!(least(" 3."), 2.0 * DOUBTFUL + INCOMPLETE);
        // A way out and what leads up to digits are believed as ever.
        assert_eq!((least(" no, stop"), least(" it's")), (f32::NEG_INFINITY, f32::NEG_INFINITY));
    }

    #[test]
    fn nothing_else_is_possible() {
        for text in [
            " To",
            " Nine to three",
            " four for",
            " free",
            " one two three four five",
            " one two three forty",
            " one five twenty and one",
            " double five five five five",
            " five double",
            " double ten",
            " 5.5",
            " 5:5",
            " $5",
            " 5th",
            " 12345",
            " no five",
            " five no",
            " fiver",
            " five my",
            " fünf",
            " it's a",
        ] {
            assert_eq!(worth(4, text), f32::NEG_INFINITY, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_possible_is_read_as_digits(
            words in proptest::collection::vec(
                prop::sample::select([&ONES[..], &TEENS, &TENS, &["double", "triple", "and", "7", "42"]].concat()), 1..8),
            max in 1_u8..12,
        ) {
            let text = words.join(" ");
            if worth(max, &text).is_finite() {
                let digits = spoken::digits(&words);
                if words.iter().any(|word| *word != "and") {
                    let digits = digits.unwrap_or_default();
                    prop_assert!((1..=usize::from(max)).contains(&digits.len()), "{}: {}", text, digits);
                }
            }
        }

        #[test]
        fn any_characters_are_judged(text in "\\PC{0,30}", max in 0_u8..=255) {
            prop_assert!(!worth(max, &text).is_nan());
        }
    }

    #[test]
    fn words_around_the_digits_are_passed_over() {
        for word in LEADS {
            assert_eq!(spoken::digits(&[word, "five"]).as_deref(), Some("5"), "{word}");
        }
        for word in BETWEEN {
            assert_eq!(spoken::digits(&["five", word, "five"]).as_deref(), Some("55"), "{word}");
        }
    }
}
