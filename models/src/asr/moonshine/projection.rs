//! From what the decoder thinks to how likely each token is (pure). Purpose: the product of the decoder's last state with
//! the table of all tokens, which costs more than everything before it when it is done in reals. Owning thread: any; a table
//! is immutable and shared. Invariants: the table's octets are used as they are; the state is rounded to 16 bits, which moves
//! no answer by more than a ten-thousandth of the largest; a state that is no number makes no token likely. Deliberately
//! absent: probabilities (`likeliest`).

use callwright_dsp::kernel::Kernels;
use std::fmt;

/// The kernel's sums fit in 32 bits up to this.
const WIDTH_MAX: usize = 511;
/// Rows at a time: they stay in the processor's first cache while all texts pass.
const ROWS_AT_ONCE: usize = 64;

/// The table.
pub(super) struct Projection {
    /// Row by row, around zero.
    weights: Vec<i8>,
    rows: usize,
    width: usize,
    scale: f32,
    /// What stands for zero in `weights`.
    zero: i32,
}

impl fmt::Debug for Projection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Projection").field("rows", &self.rows).field("width", &self.width).finish_non_exhaustive()
    }
}

impl Projection {
    /// `octets`: `shape` of them, rows first; each stands for `(octet − zero) · scale`.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn new(octets: &[u8], shape: (u64, u64), scale: f32, zero: u8) -> Result<Self, String> {
        let size = |length: u64| usize::try_from(length).ok().filter(|length| *length > 0);
        let (rows, width) = size(shape.0).zip(size(shape.1)).ok_or("its table is empty")?;
        if width > WIDTH_MAX || rows.checked_mul(width) != Some(octets.len()) || !scale.is_finite() {
            return Err(format!("its table is of {rows} × {width} in {} octets", octets.len()));
        }
        let weights = octets.iter().map(|octet| (*octet ^ 0x80).cast_signed()).collect();
        Ok(Self { weights, rows, width, scale, zero: i32::from(zero) - 128 })
    }

    /// Tokens.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Numbers in a state.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Of each of several states, one behind the other, the answers to all tokens, one behind the other: `logits` holds
    /// [`rows`](Self::rows) for each. `rounded` is scratch.
    pub(super) fn project(&self, states: &[f32], logits: &mut [f32], rounded: &mut Vec<i16>) {
        let texts = states.len() / self.width;
        rounded.clear();
        let scales: Vec<(f32, i32)> = states.chunks_exact(self.width).map(|state| self.round(state, rounded)).collect();
        let kernels = Kernels::best();
        let mut sums = [0_i32; ROWS_AT_ONCE];
        for (block, weights) in self.weights.chunks(ROWS_AT_ONCE * self.width).enumerate() {
            let rows = weights.len() / self.width;
            for (text, (x, (scale, less))) in rounded.chunks_exact(self.width).zip(&scales).enumerate().take(texts) {
                kernels.project(weights, x, &mut sums[..rows]);
                let from = text * self.rows + block * ROWS_AT_ONCE;
                let Some(logits) = logits.get_mut(from..from + rows) else { return };
                for (logit, sum) in logits.iter_mut().zip(sums) {
                    *logit = sum.wrapping_sub(*less) as f32 * scale;
                }
            }
        }
    }

    /// A state in 16 bits: what a unit of its sums stands for, and what is to be taken from them for the table's zero.
    fn round(&self, state: &[f32], rounded: &mut Vec<i16>) -> (f32, i32) {
        let largest = state.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        let sound = state.iter().all(|value| value.is_finite());
        let unit = if sound { largest / f32::from(i16::MAX) } else { f32::NAN };
        let from = rounded.len();
        rounded.extend(state.iter().map(|value| if unit > 0.0 { (value / unit).round_ties_even() as i16 } else { 0 }));
        let sum: i32 = rounded[from..].iter().map(|value| i32::from(*value)).sum();
        (unit * self.scale, sum * self.zero)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_the_product_in_reals(
            octets in prop::collection::vec(any::<u8>(), 130 * 5),
            states in prop::collection::vec(-8.0_f32..8.0, 10),
            zero in any::<u8>(),
        ) {
            let projection = Projection::new(&octets, (130, 5), 0.01, zero).unwrap();
            let mut logits = vec![f32::NAN; 260];
            projection.project(&states, &mut logits, &mut Vec::new());
            for (text, state) in states.chunks(5).enumerate() {
                for (row, octets) in octets.chunks(5).enumerate() {
                    let real = |octet: u8| 0.01 * (f32::from(octet) - f32::from(zero));
                    let expected: f32 = octets.iter().zip(state).map(|(octet, x)| real(*octet) * x).sum();
                    prop_assert!((logits[text * 130 + row] - expected).abs() < 2e-3, "{text} {row}");
                }
            }
        }
    }

    #[test]
    fn a_state_that_is_no_number_makes_nothing_likely_and_none_is_none() {
        let projection = Projection::new(&[9; 6], (2, 3), 1.0, 1).unwrap();
        let mut logits = [0.0; 4];
        projection.project(&[f32::NAN, 1.0, 2.0, 0.0, 0.0, 0.0], &mut logits, &mut Vec::new());
        assert!(logits[..2].iter().all(|logit| logit.is_nan()) && logits[2..] == [0.0; 2], "{logits:?}");
        projection.project(&[1.0, f32::INFINITY, 2.0], &mut logits, &mut Vec::new());
        assert!(logits[..2].iter().all(|logit| !logit.is_finite()), "{logits:?}");
    }

    #[test]
    fn a_table_of_another_size_is_refused() {
        for (octets, shape, scale) in
            [(5, (2, 3), 1.0), (0, (0, 3), 1.0), (6, (2, 3), f32::NAN), (1024, (2, 512), 1.0), (6, (u64::MAX, 3), 1.0)]
        {
            assert!(Projection::new(&vec![0; octets], shape, scale, 1).is_err());
        }
    }
}
