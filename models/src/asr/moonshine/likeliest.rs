//! The tokens that a model holds likeliest, and how likely (pure). Purpose: of each text in each step some dozens of 32,768
//! tokens matter, and the sum of all. Any thread. Invariants: what is no number, or infinite, is not likely; the end of the
//! text is always among them. Deliberately absent: what a guide thinks of them (`beam`).
//!
//! Looked at as a whole only for the sum and for the largest of each block: most blocks hold none of the likeliest.

use super::tokens::END;

/// What is this much less likely than the likeliest (natural log) adds nothing that can be seen.
const NEGLIGIBLE: f32 = 24.0;
/// Tokens that share a largest.
const BLOCK: usize = 32;
/// Sums that are kept apart, so that they can be taken side by side.
const LANES: usize = 16;

/// The `count` likeliest tokens with the log of their probabilities, the likeliest first; the end is always among them.
pub(super) fn likeliest(logits: &[f32], count: usize, best: &mut Vec<(u32, f32)>) {
    best.clear();
    let mut largest: Vec<f32> = logits.chunks(BLOCK).map(most).collect();
    let top = most(&largest);
    if !top.is_finite() || count == 0 {
        return;
    }
    let blocks: Vec<(usize, f32)> = largest.iter().copied().enumerate().collect();
    // So many blocks hold one that is as large: what is smaller is not among the likeliest.
    let bound = if count < largest.len() {
        *largest.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a)).1
    } else {
        f32::NEG_INFINITY
    };
    let bound = bound.max(top - NEGLIGIBLE);
    for (block, _) in blocks.into_iter().filter(|(_, most)| *most >= bound) {
        for (n, &value) in logits.iter().enumerate().skip(block * BLOCK).take(BLOCK) {
            // A comparison with not-a-number is false.
            if value >= bound && value.is_finite() && (best.len() < count || value > best[count - 1].1) {
                let place = best.partition_point(|(_, other)| *other >= value);
                // Vocabularies are smaller than this.
                best.insert(place, (n as u32, value));
                best.truncate(count);
            }
        }
    }
    if let Some(&end) = logits.get(END as usize)
        && end.is_finite()
        && best.iter().all(|(token, _)| *token != END)
    {
        best.push((END, end));
    }
    let total = top + sum(logits, top).ln();
    for (_, value) in best {
        *value = (*value - total).min(0.0);
    }
}

/// The largest that is a number.
fn most(values: &[f32]) -> f32 {
    let larger = |most: f32, value: f32| if value > most && value < f32::INFINITY { value } else { most };
    let (groups, rest) = values.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for group in groups {
        for (lane, value) in lanes.iter_mut().zip(group) {
            *lane = larger(*lane, *value);
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |most, value| larger(most, *value))
}

/// Sum of the exponentials of what is about as large as `top`, less `top`.
fn sum(values: &[f32], top: f32) -> f32 {
    let term = |value: f32| {
        let below = value - top;
        if below > -NEGLIGIBLE && below <= 0.0 { exp(below) } else { 0.0 }
    };
    let (groups, rest) = values.as_chunks::<LANES>();
    let mut lanes = [0.0_f32; LANES];
    for group in groups {
        for (lane, value) in lanes.iter_mut().zip(group) {
            *lane += term(*value);
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().map(|value| term(*value)).sum::<f32>()
}

/// The exponential of −24 to 0 to 2·10⁻⁷ of itself: in a form that is computed for many numbers side by side. Anything of
/// other numbers.
#[inline]
fn exp(x: f32) -> f32 {
    /// 1.5 · 2²³: adding it leaves no place for what comes after the point.
    const ROUNDS: f32 = 12_582_912.0;
    let shifted = x * std::f32::consts::LOG2_E + ROUNDS;
    let whole = shifted - ROUNDS;
    // ln 2 in two parts, so that little is lost.
    let rest = x - whole * 0.693_359_4 + whole * 2.121_944_4e-4;
    // Taylor's to the sixth power: the rest lies within ±0.35.
    let series = [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
    let value = series.into_iter().fold(0.0_f32, |sum, factor| sum * rest + factor);
    // The whole part, moved to where a number has its power of two; wraps for numbers that are none of ours.
    f32::from_bits(value.to_bits().wrapping_add(shifted.to_bits() << 23))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same, one after the other.
    fn plain(logits: &[f32], count: usize) -> Vec<(u32, f32)> {
        let finite = |value: &f32| value.is_finite();
        let top = logits.iter().copied().filter(finite).fold(f32::NEG_INFINITY, f32::max);
        if !top.is_finite() {
            return Vec::new();
        }
        let seen = |value: f32| value.is_finite() && value >= top - NEGLIGIBLE;
        let mut all: Vec<(u32, f32)> = (0..).zip(logits.iter().copied()).filter(|(_, value)| seen(*value)).collect();
        let total: f64 = all.iter().map(|(_, value)| f64::from(value - top).exp()).sum();
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        all.truncate(count);
        if let Some(end) = logits.get(END as usize).filter(|end| end.is_finite())
            && all.iter().all(|(token, _)| *token != END)
        {
            all.push((END, *end));
        }
        all.into_iter().map(|(token, value)| (token, (value - top - total.ln() as f32).min(0.0))).collect()
    }

    fn logit() -> impl Strategy<Value = f32> {
        prop_oneof![
            20 => -40.0_f32..20.0,
            4 => (-8_i32..8).prop_map(|n| n as f32),
            1 => Just(f32::NAN),
            1 => Just(f32::INFINITY),
            1 => Just(f32::NEG_INFINITY),
        ]
    }

    proptest! {
        #[test]
        fn they_are_the_largest_in_their_order(logits in prop::collection::vec(logit(), 0..700), count in 1_usize..40) {
            let mut best = Vec::new();
            likeliest(&logits, count, &mut best);
            let expected = plain(&logits, count);
            let tokens = |of: &[(u32, f32)]| of.iter().map(|(token, _)| *token).collect::<Vec<_>>();
            prop_assert_eq!(tokens(&best), tokens(&expected));
            for ((_, made), (_, expected)) in best.iter().zip(&expected) {
                prop_assert!((made - expected).abs() < 1e-4, "{made} {expected}");
            }
        }

        #[test]
        fn the_exponential_is_right(x in -24.0_f32..=0.0) {
            let right = f64::from(x).exp();
            prop_assert!((f64::from(exp(x)) / right - 1.0).abs() < 4e-7, "{x}");
        }
    }

    #[test]
    fn nothing_is_likely_where_nothing_is_a_number() {
        let mut best = vec![(1, 1.0)];
        for logits in [&[][..], &[f32::NAN; 40], &[f32::INFINITY, f32::NEG_INFINITY, f32::NAN]] {
            likeliest(logits, 4, &mut best);
            assert_eq!(best, []);
        }
        likeliest(&[0.0, 0.0, 0.0], 3, &mut best);
        assert!(best.iter().all(|(_, log)| (log - (1.0_f32 / 3.0).ln()).abs() < 1e-5), "{best:?}");
    }
}
