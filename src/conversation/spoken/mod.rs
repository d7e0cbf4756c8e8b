//! Values in spoken words: numbers, digits, money, dates, times of day and spelled letters.
//!
//! | file | reads | gives |
//! |---|---|---|
//! | `number` | "four hundred and twenty", "nineteen eighty four" | a whole number |
//! | `digits` | "five five oh, double four" | a string of digits |
//! | `money` | "twelve fifty", "five dollars and ten cents" | an amount in cents |
//! | `date` | "the third of march", "next friday" | a day, not yet placed in a calendar |
//! | `clock` | "half past three", "eight thirty p m" | a time of day |
//! | `letters` | "s m i t h", "b as in bravo" | a spelled word |
//!
//! Pure. Every reader takes words (lower case, no punctuation) and is strict: what it cannot place makes the answer `None`,
//! because a wrong number is worse than a question. Owning thread: any. Invariants: no input panics; each reader gives back
//! what the matching `say` wrote (property tests). Deliberately absent: looking for values inside a sentence of other words,
//! calendars and time zones, languages other than English.

mod clock;
mod date;
mod digits;
mod letters;
mod money;
mod number;

pub use clock::{TimeOfDay, time_of_day};
pub use date::{SpokenDate, Weekday, date};
pub use digits::{digits, groups};
pub use letters::{ALPHABET, letters, name};
pub use money::{Money, money};
pub use number::{SMALL, TENS, number, ordinal, say, say_ordinal};

pub(super) use date::{MONTHS, WEEKDAYS};
