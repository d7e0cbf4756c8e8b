//! What counts as audible. Purpose: one threshold for both directions and for every figure. Pure.
//! Deliberately absent: judging speech (that is a detector's); a figure needs something that anybody can recompute.

/// Audible from this sample value on: −36 dBFS, above line noise and below the softest vowel.
pub const VOICED: i16 = 512;

/// Index of the first audible sample.
pub fn first_voiced(pcm: &[i16]) -> Option<usize> {
    pcm.iter().position(|s| s.unsigned_abs() >= VOICED.unsigned_abs())
}

/// Index of the last audible sample.
pub fn last_voiced(pcm: &[i16]) -> Option<usize> {
    pcm.iter().rposition(|s| s.unsigned_abs() >= VOICED.unsigned_abs())
}
