//! Likeness of two stretches of audio. Purpose: one normalised cross-correlation for pitch search, time stretching and
//! merging. Any thread; no heap. Deliberately absent: voicing decisions (the callers', each with its own threshold).

/// Where something was found, and how alike it is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Match {
    /// Samples from the start of what was searched.
    pub(crate) offset: usize,
    /// Normalised correlation, −1 to 1; 0 when either side is silent.
    pub(crate) likeness: f32,
}

/// Σ a·b over every `step`-th sample.
fn dot(a: &[i16], b: &[i16], step: usize) -> f32 {
    if step > 1 {
        let pairs = a.iter().step_by(step).zip(b.iter().step_by(step));
        return pairs.map(|(a, b)| f32::from(*a) * f32::from(*b)).sum();
    }
    // Eight sums side by side: the compiler may not reorder one.
    let mut sums = [0.0f32; 8];
    let (left, right) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = left
        .remainder()
        .iter()
        .zip(&b[b.len().min(a.len()) / 8 * 8..])
        .map(|(a, b)| f32::from(*a) * f32::from(*b))
        .sum();
    for (a, b) in left.zip(right) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += f32::from(*a) * f32::from(*b);
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// Normalised correlation of two stretches of equal length (the longer one is cut).
fn likeness(a: &[i16], b: &[i16], step: usize) -> f32 {
    let length = a.len().min(b.len());
    let (a, b) = (&a[..length], &b[..length]);
    let energies = dot(a, a, step) * dot(b, b, step);
    // One unit squared a sample: below it nothing can be said.
    if energies < (length * length) as f32 { 0.0 } else { dot(a, b, step) / energies.sqrt() }
}

/// Slides `pattern` along `searched` and returns the best place; the earliest of equals. `step` > 1 looks at every
/// `step`-th place and sample first, and then at all around the best. `None` when `searched` is shorter.
pub(crate) fn best_match(pattern: &[i16], searched: &[i16], step: usize) -> Option<Match> {
    let last = searched.len().checked_sub(pattern.len())?;
    let best_of = |offsets: &mut dyn Iterator<Item = usize>, step: usize| {
        let mut best = Match { offset: 0, likeness: -2.0 };
        for offset in offsets {
            let likeness = likeness(pattern, &searched[offset..offset + pattern.len()], step);
            if likeness > best.likeness {
                best = Match { offset, likeness };
            }
        }
        best
    };
    let coarse = best_of(&mut (0..=last).step_by(step.max(1)), step.max(1));
    if step <= 1 {
        return Some(coarse);
    }
    let around = coarse.offset.saturating_sub(step - 1)..=(coarse.offset + step - 1).min(last);
    Some(best_of(&mut around.into_iter(), 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_found_where_it_is() {
        let noise: Vec<i16> = (0..400u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 18) as i16 - 8192).collect();
        for at in [0, 1, 77, 300] {
            let found = best_match(&noise[at..at + 100], &noise, 1).unwrap();
            assert_eq!(found.offset, at);
            assert!((found.likeness - 1.0).abs() < 1e-4);
        }
        assert_eq!(best_match(&noise, &noise[1..], 1), None);
        assert_eq!(best_match(&[0; 10], &[0; 20], 2).unwrap().likeness, 0.0);
    }

    #[test]
    fn the_coarse_search_finds_a_period() {
        let wave: Vec<i16> =
            (0..640).map(|n| (8000.0 * (n as f32 * core::f32::consts::TAU / 57.0).sin()) as i16).collect();
        let found = best_match(&wave[480..], &wave[400..600], 2).unwrap();
        // Sample 480 lies 80 after the start of what was searched: one period before is 23, two is outside.
        assert_eq!(found.offset % 57, 80 % 57);
        assert!(found.likeness > 0.99);
    }
}
