//! What the words themselves say of the end of a turn, beyond their classes: "again" ends one, "if" near its beginning leaves it
//! open. Pure. Rows of `wording.bin`, which `models/endpoint_words.py` trains and writes beside the table of classes: keys that
//! rise, 32 bits each, then a step of [`STEP`] each. No allocation. Deliberately absent: classes by themselves (`table`).

use super::word::Class;
use std::fmt::{self, Write};

static ROWS: &[u8] = include_bytes!("wording.bin");
/// Octets of a key, and of a row.
const KEY: usize = 4;
const ROW: usize = KEY + 1;
/// Log odds of a step.
const STEP: f32 = 0.04;
/// From so many words on a turn is simply long.
const LENGTH_MOST: usize = 30;
const LONG_MOST: usize = 8;

/// Log odds, to be added to those of the classes.
pub(super) fn odds(words: &[&str], classes: &[Class]) -> f32 {
    let ([.., last], [.., class]) = (words, classes) else { return 0.0 };
    let length = words.len();
    let mut steps = step(format_args!("word {last}"))
        + step(format_args!("length {}", length.min(LENGTH_MOST)))
        + step(format_args!("long {}", (length / 3).min(LONG_MOST)));
    for (n, word) in words.iter().enumerate() {
        if !words[..n].contains(word) {
            steps += step(format_args!("has {word}"));
        }
    }
    if let ([.., before, _], [.., class_before, _]) = (words, classes) {
        steps += step(format_args!("words {before} {last}"))
            + step(format_args!("class-word {class_before:?} {last}"))
            + step(format_args!("word-class {before} {class:?}"))
            + step(format_args!("begins {} {}", words[0], words[1]));
    }
    STEP * steps as f32
}

fn step(sign: fmt::Arguments<'_>) -> i32 {
    let mut key = Key(0x811c_9dc5);
    if key.write_fmt(sign).is_err() {
        return 0;
    }
    let (keys, steps) = ROWS.split_at(ROWS.len() / ROW * KEY);
    let (keys, _) = keys.as_chunks::<KEY>();
    let row = keys.binary_search_by_key(&key.0, |key| u32::from_le_bytes(*key));
    row.ok().and_then(|row| steps.get(row)).map_or(0, |step| i32::from(step.cast_signed()))
}

/// FNV-1a, 32 bits.
struct Key(u32);

impl Write for Key {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for octet in text.bytes() {
            self.0 = (self.0 ^ u32::from(octet)).wrapping_mul(0x0100_0193);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_are_whole_and_their_keys_rise() {
        assert_eq!(ROWS.len() % ROW, 0);
        let (keys, _) = ROWS[..ROWS.len() / ROW * KEY].as_chunks::<KEY>();
        let keys: Vec<u32> = keys.iter().map(|key| u32::from_le_bytes(*key)).collect();
        assert!(keys.len() > 1000 && keys.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn no_words_say_nothing() {
        assert_eq!(odds(&[], &[]), 0.0);
    }
}
