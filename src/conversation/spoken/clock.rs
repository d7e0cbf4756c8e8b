//! Times of day. Purpose: when a caller wants something. Pure.
//!
//! Reads "three fifteen", "half past three", "a quarter to five", "eight o'clock", "eight thirty p m", "noon". Deliberately
//! absent: guessing the half of the day that was not said.

use super::number::below_hundred;

/// A time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeOfDay {
    /// Minutes after midnight, below 1440; of the first half of the day while `half` is open.
    pub minute: u16,
    /// Whether the half of the day is known: "p m", "noon", "seventeen thirty".
    pub sure: bool,
}

/// The time that all of `words` say.
#[must_use]
pub fn time_of_day(words: &[&str]) -> Option<TimeOfDay> {
    let words = words.strip_prefix(&["at"]).unwrap_or(words);
    match words {
        ["noon" | "midday"] => return Some(TimeOfDay { minute: 720, sure: true }),
        ["midnight"] => return Some(TimeOfDay { minute: 0, sure: true }),
        _ => {}
    }
    let (words, afternoon) = match words {
        [rest @ .., "a", "m"] | [rest @ .., "am"] | [rest @ .., "in", "the", "morning"] => (rest, Some(false)),
        [rest @ .., "p", "m"] | [rest @ .., "pm"] | [rest @ .., "in", "the", "afternoon" | "evening"] => {
            (rest, Some(true))
        }
        _ => (words, None),
    };
    let (hour, minute) = match words {
        ["half", "past", rest @ ..] => (whole(rest)?, 30),
        ["a", "quarter", "past", rest @ ..] | ["quarter", "past", rest @ ..] => (whole(rest)?, 15),
        ["a", "quarter", "to", rest @ ..] | ["quarter", "to", rest @ ..] => {
            // A quarter to one is 12:45.
            (whole(rest).filter(|hour| (1..=12).contains(hour)).map(|hour| if hour == 1 { 12 } else { hour - 1 })?, 45)
        }
        [rest @ .., "o'clock"] => (whole(rest)?, 0),
        _ => {
            let (hour, taken) = below_hundred(words)?;
            match &words[taken..] {
                [] => (hour, 0),
                ["oh" | "o", unit] => (hour, below_hundred(&[*unit]).filter(|(unit, _)| (1..10).contains(unit))?.0),
                rest => (hour, below_hundred(rest).filter(|(m, taken)| *m >= 10 && *taken == rest.len())?.0),
            }
        }
    };
    if hour > 23 || minute > 59 || (afternoon.is_some() && !(1..=12).contains(&hour)) {
        return None;
    }
    let hour = match afternoon {
        Some(afternoon) => hour % 12 + if afternoon { 12 } else { 0 },
        None => hour,
    };
    let sure = afternoon.is_some() || hour > 12 || hour == 0;
    Some(TimeOfDay { minute: u16::try_from(hour * 60 + minute).ok()?, sure })
}

fn whole(words: &[&str]) -> Option<u64> {
    below_hundred(words).filter(|(_, taken)| *taken == words.len()).map(|(hour, _)| hour)
}

#[cfg(test)]
mod tests {
    use super::super::number::say;
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Option<(u16, bool)> {
        time_of_day(&text.split(' ').collect::<Vec<_>>()).map(|time| (time.minute, time.sure))
    }

    #[test]
    fn times_as_people_say_them() {
        assert_eq!(read("half past three"), Some((210, false)));
        assert_eq!(read("a quarter to five"), Some((285, false)));
        assert_eq!(read("quarter to one"), Some((765, false)));
        assert_eq!(read("eight thirty p m"), Some((1230, true)));
        assert_eq!(read("twelve a m"), Some((0, true)));
        assert_eq!(read("eight thirty pm"), Some((1230, true)), "as recognisers write it");
        assert_eq!(read("at nine oh five"), Some((545, false)));
        assert_eq!(read("five o'clock in the afternoon"), Some((1020, true)));
        assert_eq!(read("noon"), Some((720, true)));
        for nothing in
            ["", "half past", "twenty five", "three five", "nineteen p m", "half past three four", "three sixty"]
        {
            assert_eq!(read(nothing), None, "{nothing}");
        }
    }

    proptest! {
        #[test]
        fn what_is_said_is_read_back(hour in 0_u64..24, minute in 10_u64..60) {
            let said = format!("{} {}", say(hour), say(minute));
            prop_assert_eq!(read(&said).map(|(at, _)| u64::from(at)), Some(hour * 60 + minute), "{}", said);
        }
    }
}
