//! Keys as pairs of tones in the audio (ITU-T Q.23, Q.24). [`Detector`] hears them, [`Generator`] makes them, for legs that
//! agreed on no telephone events (RFC 4733 is `rtp`'s). Media workers; inline state, no heap after `new`.
//! Deliberately absent: what a key means, and the choice between tones and events.

mod bank;
mod detector;
mod generator;

pub use detector::{Detected, Detector};
pub use generator::{Generator, QUEUE_MAX, QueueError};

/// Lower frequency of a key: its row on the keypad, Hz (Q.23 section 6).
pub const ROWS_HZ: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
/// Higher frequency of a key: its column, Hz.
pub const COLUMNS_HZ: [f64; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
/// Keys by row and column.
pub const KEYPAD: [[char; 4]; 4] =
    [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];

/// The two frequencies of a key, Hz; `None` for what is no key. `A`–`D` in either case.
#[must_use]
pub fn frequencies(key: char) -> Option<(f64, f64)> {
    let key = key.to_ascii_uppercase();
    KEYPAD.iter().zip(ROWS_HZ).find_map(|(keys, row)| {
        let column = keys.iter().position(|k| *k == key)?;
        Some((row, COLUMNS_HZ[column]))
    })
}
