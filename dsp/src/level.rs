//! Loudness. Purpose: one definition of "how loud" and of "last voiced sample" for the daemon and for `dial`, so that
//! their response times mean the same. Any thread. Deliberately absent: deciding what is speech (a model does that).

use crate::kernel::Kernels;

/// Level of a window above which it counts as voiced, dB relative to a full-scale square wave.
pub const VOICED_DBFS: f32 = -40.0;
/// Level above which a person hears a frame on a telephone, same scale.
pub const AUDIBLE_DBFS: f32 = -55.0;
/// Level of a full-scale sine where telephony counts from its digital milliwatt, dBm0 (G.711: 3.14 for A-law, 3.17 for
/// μ-law).
#[expect(clippy::approx_constant, reason = "a level that happens to look like π")]
pub const DBM0_OF_FULL_SCALE_SINE: f32 = 3.14;
/// What silence measures.
pub const FLOOR_DBFS: f32 = -100.0;

/// Root mean square, 0 to 32768; 0 for an empty slice.
#[must_use]
pub fn rms(pcm: &[i16]) -> f32 {
    if pcm.is_empty() {
        return 0.0;
    }
    // A level needs no 53 bits.
    let mean = Kernels::best().energy(pcm) as f64 / pcm.len() as f64;
    // At most 32768.
    mean.sqrt() as f32
}

/// Level in dB relative to full scale (RMS 32768 = 0), not below `FLOOR_DBFS`.
#[must_use]
pub fn dbfs(pcm: &[i16]) -> f32 {
    let rms = rms(pcm);
    if rms < 1e-6 { FLOOR_DBFS } else { (20.0 * (rms / 32_768.0).log10()).max(FLOOR_DBFS) }
}

/// True when the slice is louder than `threshold_dbfs`.
#[must_use]
pub fn is_louder(pcm: &[i16], threshold_dbfs: f32) -> bool {
    !pcm.is_empty() && rms(pcm) > amplitude(threshold_dbfs)
}

/// Index of the last sample that belongs to a 5 ms window louder than `threshold_dbfs`; windows lie side by side from the
/// first sample, a shorter rest at the end counts as one. `None` when there is none. `rate_hz` is 8000, 16000 …
#[must_use]
pub fn last_voiced(pcm: &[i16], rate_hz: u32, threshold_dbfs: f32) -> Option<usize> {
    let window = window(rate_hz);
    let count = pcm.len().div_ceil(window);
    (0..count).rev().find_map(|n| {
        let end = ((n + 1) * window).min(pcm.len());
        is_louder(&pcm[n * window..end], threshold_dbfs).then(|| end - 1)
    })
}

/// Index of the first sample that belongs to a 5 ms window louder than `threshold_dbfs`, windows as in `last_voiced`.
#[must_use]
pub fn first_voiced(pcm: &[i16], rate_hz: u32, threshold_dbfs: f32) -> Option<usize> {
    let window = window(rate_hz);
    pcm.chunks(window).position(|w| is_louder(w, threshold_dbfs)).map(|n| n * window)
}

fn window(rate_hz: u32) -> usize {
    usize::try_from(rate_hz / 200).unwrap_or(1).max(1)
}

fn amplitude(dbfs: f32) -> f32 {
    32_768.0 * 10f32.powf(dbfs / 20.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone::Tone;

    #[test]
    fn full_scale_sine_is_three_decibels_below_a_square() {
        let mut pcm = [0i16; 8000];
        Tone::new(1000.0, 8000, 0.0).fill(&mut pcm);
        assert!((dbfs(&pcm) + 3.01).abs() < 0.05, "{}", dbfs(&pcm));
        assert!((dbfs(&[-32_768; 10])).abs() < 1e-3);
        assert!((dbfs(&[0; 10]) - FLOOR_DBFS).abs() < f32::EPSILON);
        assert!(rms(&[]).abs() < f32::EPSILON);
    }

    #[test]
    fn voiced_edges_are_found_to_one_window() {
        let mut pcm = vec![0i16; 8000];
        Tone::new(400.0, 8000, -20.0).fill(&mut pcm[2000..4000]);
        assert_eq!(first_voiced(&pcm, 8000, VOICED_DBFS), Some(2000));
        assert_eq!(last_voiced(&pcm, 8000, VOICED_DBFS), Some(3999));
        assert_eq!(last_voiced(&pcm[..1990], 8000, VOICED_DBFS), None);
        assert_eq!(last_voiced(&[], 8000, VOICED_DBFS), None);
        // A rest shorter than a window counts too.
        assert_eq!(last_voiced(&pcm[..3990], 8000, VOICED_DBFS), Some(3989));
    }

    #[test]
    fn noise_below_the_threshold_is_not_voice() {
        let pcm: Vec<i16> = (0..8000).map(|n| if n % 2 == 0 { 100 } else { -100 }).collect();
        assert_eq!(last_voiced(&pcm, 8000, VOICED_DBFS), None);
        assert!(is_louder(&pcm, AUDIBLE_DBFS));
    }
}
