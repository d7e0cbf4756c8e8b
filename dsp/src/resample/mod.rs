//! Rates: any of 8, 16, 24 and 48 kHz from any other. Purpose: what stands between two legs, or a leg and a model, whose
//! rates differ, for less than a millisecond. Any thread; inline state, no heap.
//!
//! A polyphase FIR: conceptually the input is padded with zeros to the smallest common multiple of both rates, low-pass
//! filtered there and thinned out; in fact only the taps that meet samples are ever multiplied. Linear phase, so the delay
//! is one constant:
//!
//! | from → to, kHz | delay, ms | passes (within) | stopped (by at least) |
//! |---|---|---|---|
//! | 8 → 16, 8 → 48 | 0.938 | 3.4 kHz (0.36 dB) | from 4.6 kHz (52 dB) |
//! | 8 → 24 | 0.917 | 3.4 kHz (0.36 dB) | from 4.6 kHz (52 dB) |
//! | 16 → 8 | 0.875 | 3.4 kHz (0.36 dB) | from 4.6 kHz (52 dB) |
//! | 24 → 8, 48 → 8 | 0.833 | 3.4 kHz (0.36 dB) | from 4.6 kHz (52 dB) |
//! | 16 → 24 | 0.625 | 7 kHz (0.2 dB) | from 9 kHz (58 dB) |
//! | 16 → 48 | 0.646 | 7 kHz (0.2 dB) | from 9 kHz (58 dB) |
//! | 24 → 16, 48 → 16 | 0.604 | 7 kHz (0.2 dB) | from 9 kHz (58 dB) |
//! | 24 → 48 | 0.646 | 11 kHz (0.2 dB) | from 13 kHz (58 dB) |
//! | 48 → 24 | 0.625 | 11 kHz (0.2 dB) | from 13 kHz (58 dB) |
//!
//! "Stopped" counts what would fold onto the passband: an alias when going down, an image when going up. Why linear phase
//! and these lengths: `dsp/design/prototype.py`. Invariants: pieces give the same samples as the whole; the same on every
//! processor, to the last bit. `half_band` is the older filter, kept for the speech engines. Deliberately absent: other rates, and following a clock that drifts.

pub mod half_band;

mod filter;
mod prototype;
mod resampler;

pub use filter::{Rate, RateError};
pub use resampler::{Progress, Resampler};
