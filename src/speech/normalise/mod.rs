//! How written text is said: numbers, dates, money, addresses, acronyms, signs. Pure. The answer has one entry for each
//! blank-separated word of the text, so that times of spoken words can be given back as times of written ones.
//!
//! | file | says |
//! |---|---|
//! | `read` | every word of a text, by the readers in their order |
//! | `token` | words made plain: accents, emoji and markup away |
//! | `sayings` | abbreviations, names and signs, as tables |
//! | `cardinal` | numbers in words |
//! | `quantity` | money, percentages, units, ranges, versions |
//! | `calendar` | dates and times of day |
//! | `telephone` | telephone numbers and codes, digit by digit |
//! | `address` | addresses of the net, files, paths |
//! | `letters` | acronyms, capitals, camelCase, Roman numerals |
//! | `lexicon` | what an agent's operator wants said otherwise |
//! | `arpabet` | sounds that the lexicon may give |
//!
//! The spoken form holds ASCII letters, blanks, apostrophes and marks of punctuation behind words: what every engine
//! understands alike. Invariants: any text ends, in an answer of bounded length; one entry a written word. Deliberately
//! absent: languages other than English.

mod address;
mod arpabet;
mod calendar;
mod cardinal;
mod letters;
mod lexicon;
mod quantity;
mod read;
mod sayings;
mod telephone;
#[cfg(test)]
mod tests;
mod token;

use read::Said;

pub use arpabet::Phones;
pub use lexicon::{Lexicon, LexiconError};
pub use read::{DateOrder, Reading, SpokenWord, normalise, normalise_as};
