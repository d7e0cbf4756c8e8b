//! Amounts of money. Purpose: prices and deals as people say them. Pure.
//!
//! Reads "four hundred and twenty dollars", "five dollars and ten cents", "five dollars ten", "fifty cents", and a price
//! without its unit ("twelve fifty", "nineteen ninety nine") as main unit and hundredths. Deliberately absent: conversion.

use super::number::{below_hundred, take};

const UNITS: [(&str, &str); 10] = [
    ("dollar", "USD"),
    ("dollars", "USD"),
    ("bucks", "USD"),
    ("euro", "EUR"),
    ("euros", "EUR"),
    ("pound", "GBP"),
    ("pounds", "GBP"),
    ("francs", "CHF"),
    ("franc", "CHF"),
    ("quid", "GBP"),
];
const HUNDREDTHS: [&str; 4] = ["cent", "cents", "penny", "pence"];

/// An amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Money {
    /// In hundredths of the unit.
    pub cents: u64,
    /// ISO 4217 code; `None` when no unit was said.
    pub currency: Option<&'static str>,
}

/// The amount that all of `words` say.
#[must_use]
pub fn money(words: &[&str]) -> Option<Money> {
    let (value, taken) = take(words)?;
    let rest = &words[taken..];
    if let [unit] = rest
        && HUNDREDTHS.contains(unit)
    {
        return Some(Money { cents: value, currency: None });
    }
    let cents = value.checked_mul(100)?;
    let Some((unit, rest)) = rest.split_first() else { return Some(Money { cents, currency: None }) };
    let Some((_, currency)) = UNITS.iter().find(|(name, _)| name == unit) else {
        // "twelve fifty": a price without its unit; never "two hundred fifty", which is a number.
        let pair_words = &words[taken..];
        let (pair, taken) = below_hundred(pair_words)?;
        let whole = taken == pair_words.len();
        return (whole && value < 100 && pair >= 10).then_some(Money { cents: cents + pair, currency: None });
    };
    let currency = Some(*currency);
    if rest.is_empty() {
        return Some(Money { cents, currency });
    }
    let rest = rest.strip_prefix(&["and"]).unwrap_or(rest);
    let (hundredths, taken) = below_hundred(rest)?;
    let ended = rest.len() == taken || (rest.len() == taken + 1 && HUNDREDTHS.contains(&rest[taken]));
    ended.then_some(Money { cents: cents + hundredths, currency })
}

#[cfg(test)]
mod tests {
    use super::super::number::say;
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Option<(u64, Option<&'static str>)> {
        money(&text.split(' ').collect::<Vec<_>>()).map(|amount| (amount.cents, amount.currency))
    }

    #[test]
    fn amounts_as_people_say_them() {
        assert_eq!(read("four hundred and twenty dollars"), Some((42_000, Some("USD"))));
        assert_eq!(read("five dollars and ten cents"), Some((510, Some("USD"))));
        assert_eq!(read("five euros fifty"), Some((550, Some("EUR"))));
        assert_eq!(read("fifty cents"), Some((50, None)));
        assert_eq!(read("twelve fifty"), Some((1250, None)));
        assert_eq!(read("nineteen ninety nine"), Some((1999, None)));
        assert_eq!(read("two hundred fifty"), Some((25_000, None)));
        for nothing in ["", "dollars", "five dollars and", "five apples", "five dollars ten euros", "twelve five"] {
            assert_eq!(read(nothing), None, "{nothing}");
        }
    }

    proptest! {
        #[test]
        fn what_is_said_is_read_back(dollars in 1_u64..5_000_000, cents in 0_u64..100) {
            let said = match cents {
                0 => format!("{} dollars", say(dollars)),
                _ => format!("{} dollars and {} cents", say(dollars), say(cents)),
            };
            prop_assert_eq!(read(&said), Some((dollars * 100 + cents, Some("USD"))), "{}", said);
        }
    }
}
