//! How likely each intent is by the words alone: softmax regression over features, trained by `models/intents.py`.
//!
//! Pure; some tens of microseconds a turn. The weights are part of the program (`weights.bin`, 4 bits each, one scale an
//! intent) and are those of the features that count most; what else is said has none. The temperature makes the greatest of the
//! probabilities mean what it says. Deliberately absent: the grammar and what was asked before (`fuse`).

use super::label::Label;
use super::vectorise::features;

/// "CWI2", labels (u16), 0 (u16), features (u32), temperature (f32), scales and biases (f32 a label); features are sorted by
/// their keys of 24 bits: for each value of the uppermost 8 how many there are up to it (u16), then the lower 16 bits of each
/// (u16), then its weights, label by label, 4 bits each (8 is nothing; the even label in the lower half; one half is left over).
/// Little endian.
static WEIGHTS: &[u8] = include_bytes!("weights.bin");
const COUNT: usize = Label::ALL.len();
const FEATURES: usize = WEIGHTS[8] as usize | (WEIGHTS[9] as usize) << 8 | (WEIGHTS[10] as usize) << 16;
const SCALES: usize = 16;
const BIASES: usize = SCALES + 4 * COUNT;
const GROUPS: usize = BIASES + 4 * COUNT;
const KEYS: usize = GROUPS + 2 * 256;
const TABLE: usize = KEYS + 2 * FEATURES;
/// Octets of a feature's weights.
const ROW: usize = COUNT.div_ceil(2);
// The file and the code belong together; a build with another file does not compile.
const _: () = assert!(WEIGHTS.len() == TABLE + FEATURES * ROW && WEIGHTS[3] == b'2' && WEIGHTS[4] as usize == COUNT);

/// One probability an intent, in the order of [`Label::ALL`]; they sum to one.
pub(super) type Odds = [f64; COUNT];

fn float(at: usize) -> f64 {
    f64::from(f32::from_le_bytes([WEIGHTS[at], WEIGHTS[at + 1], WEIGHTS[at + 2], WEIGHTS[at + 3]]))
}

fn short(at: usize) -> usize {
    usize::from(u16::from_le_bytes([WEIGHTS[at], WEIGHTS[at + 1]]))
}

/// The weights of the feature with this key, if it has any.
fn row(key: u32) -> Option<&'static [u8]> {
    let (group, lower) = ((key >> 16) as usize & 0xff, key as usize & 0xffff);
    let mut from = if group == 0 { 0 } else { short(GROUPS + 2 * (group - 1)) };
    let mut to = short(GROUPS + 2 * group);
    while from < to {
        let middle = (from + to) / 2;
        match short(KEYS + 2 * middle).cmp(&lower) {
            std::cmp::Ordering::Equal => return Some(&WEIGHTS[TABLE + middle * ROW..][..ROW]),
            std::cmp::Ordering::Less => from = middle + 1,
            std::cmp::Ordering::Greater => to = middle,
        }
    }
    None
}

/// Of normalised words.
pub(super) fn odds(words: &[String]) -> Odds {
    let mut sums = [0.0_f64; COUNT];
    for (key, value) in features(words) {
        let Some(row) = row(key) else { continue };
        for (pair, both) in sums.chunks_mut(2).zip(row) {
            for (sum, weight) in pair.iter_mut().zip([both & 15, both >> 4]) {
                *sum += (f64::from(weight) - 8.0) * f64::from(value);
            }
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
