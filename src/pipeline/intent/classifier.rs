//! How likely each intent is by the words alone: softmax regression over hashed features, trained by `models/intents.py`.
//!
//! Pure; some tens of microseconds a turn. The weights are part of the program (`weights.bin`, 8 bits each, one scale an
//! intent); the temperature makes the greatest of the probabilities mean what it says. Deliberately absent: the grammar and
//! what was asked before (`fuse`).

use super::label::Label;
use super::vectorise::{BUCKETS, features};

/// "CWI1", labels (u16), 0 (u16), buckets (u32), temperature (f32), scales and biases (f32 a label), weights (i8, label by
/// label within a bucket); little endian.
static WEIGHTS: &[u8] = include_bytes!("weights.bin");
const COUNT: usize = Label::ALL.len();
const SCALES: usize = 16;
const BIASES: usize = SCALES + 4 * COUNT;
const TABLE: usize = BIASES + 4 * COUNT;
// The file and the code belong together; a build with another file does not link.
const _: () = assert!(WEIGHTS.len() == TABLE + BUCKETS * COUNT && WEIGHTS[4] as usize == COUNT);

/// One probability an intent, in the order of [`Label::ALL`]; they sum to one.
pub(super) type Odds = [f64; COUNT];

fn float(at: usize) -> f64 {
    f64::from(f32::from_le_bytes([WEIGHTS[at], WEIGHTS[at + 1], WEIGHTS[at + 2], WEIGHTS[at + 3]]))
}

/// Of normalised words.
pub(super) fn odds(words: &[String]) -> Odds {
    let mut sums = [0.0_f64; COUNT];
    for (bucket, value) in features(words) {
        let row = &WEIGHTS[TABLE + bucket * COUNT..][..COUNT];
        for (sum, weight) in sums.iter_mut().zip(row) {
            *sum += f64::from(weight.cast_signed()) * f64::from(value);
        }
    }
    let temperature = float(12);
    for (label, sum) in sums.iter_mut().enumerate() {
        *sum = (*sum * float(SCALES + 4 * label) + float(BIASES + 4 * label)) / temperature;
    }
    let greatest = sums.iter().copied().fold(f64::MIN, f64::max);
    let mut odds = sums.map(|sum| (sum - greatest).exp());
    let total: f64 = odds.iter().sum();
    odds.iter_mut().for_each(|p| *p /= total);
    odds
}

#[cfg(test)]
mod tests {
    use super::super::vectorise::normalise;
    use super::*;

    /// What the trainer itself says of some sentences: both read a turn in the same way.
    #[test]
    fn as_trained() {
        for line in include_str!("../../../tests/fixtures/intents/classifier.txt").lines() {
            let mut parts = line.splitn(3, ' ');
            let (label, sure, text) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap_or_default());
            let odds = odds(&normalise(text));
            let best = Label::ALL.into_iter().max_by(|a, b| odds[a.index()].total_cmp(&odds[b.index()])).unwrap();
            let sure: f64 = sure.parse().unwrap();
            assert_eq!(best.name(), label, "{text}");
            assert!(
                (odds[best.index()] - sure).abs() < 2e-3,
                "{text}: {} where {sure} was trained",
                odds[best.index()]
            );
        }
    }
}
