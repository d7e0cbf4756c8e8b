//! What counts as audible. Purpose: the daemon's own definitions, so that its response times and ours mean the same.
//! Pure. Deliberately absent: judging speech (that is a detector's); a figure needs something that anybody can recompute.

use callwright_dsp::level;

use super::wave::RATE_HZ;

/// Index of the first sample that a person would hear on a telephone.
pub fn first_audible(pcm: &[i16]) -> Option<usize> {
    level::first_voiced(pcm, RATE_HZ, level::AUDIBLE_DBFS)
}

/// Index of the last sample that a person would hear on a telephone.
pub fn last_audible(pcm: &[i16]) -> Option<usize> {
    level::last_voiced(pcm, RATE_HZ, level::AUDIBLE_DBFS)
}

/// Index of the first sample of the caller's voice.
pub fn first_voiced(pcm: &[i16]) -> Option<usize> {
    level::first_voiced(pcm, RATE_HZ, level::VOICED_DBFS)
}

/// Index of the last sample of the caller's voice: from here on the caller waits for an answer.
pub fn last_voiced(pcm: &[i16]) -> Option<usize> {
    level::last_voiced(pcm, RATE_HZ, level::VOICED_DBFS)
}
