//! Where a stretch of audio resembles another best. Purpose: pitch search, time stretching and merging. Any thread; no
//! heap. Deliberately absent: voicing decisions (the callers', each with its own threshold).

use crate::correlation;

/// Places that are compared at most: 16 ms at 16 kHz.
const PLACES_MAX: usize = 256;

/// Where something was found, and how alike it is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Match {
    /// Samples from the start of what was searched.
    pub(crate) offset: usize,
    /// Normalised correlation, −1 to 1; 0 when either side is silent.
    pub(crate) likeness: f32,
}

/// Slides `pattern` along `searched` and returns the best place among the first 256; the earliest of equals. `None` when
/// `searched` is shorter.
pub(crate) fn best_match(pattern: &[i16], searched: &[i16]) -> Option<Match> {
    let places = (searched.len() + 1).checked_sub(pattern.len())?.min(PLACES_MAX);
    let mut likenesses = [0.0; PLACES_MAX];
    correlation::normalised(pattern, searched, &mut likenesses[..places]);
    let mut best = None;
    for (offset, likeness) in likenesses[..places].iter().copied().enumerate() {
        if best.is_none_or(|best: Match| likeness > best.likeness) {
            best = Some(Match { offset, likeness });
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_found_where_it_is() {
        let noise: Vec<i16> = (0..350u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 18) as i16 - 8192).collect();
        for at in [0, 1, 77, 250] {
            let found = best_match(&noise[at..at + 100], &noise).unwrap();
            assert_eq!(found.offset, at);
            assert!((found.likeness - 1.0).abs() < 1e-4);
        }
        assert_eq!(best_match(&noise, &noise[1..]), None);
        assert_eq!(best_match(&[0; 10], &[0; 20]).unwrap().likeness, 0.0);
    }

    #[test]
    fn a_period_is_found() {
        let wave: Vec<i16> =
            (0..640).map(|n| (8000.0 * (n as f32 * core::f32::consts::TAU / 57.0).sin()) as i16).collect();
        let found = best_match(&wave[480..], &wave[400..600]).unwrap();
        // Sample 480 lies 80 after the start of what was searched: one period before is 23.
        assert_eq!((found.offset, found.likeness > 0.99), (23, true));
    }
}
