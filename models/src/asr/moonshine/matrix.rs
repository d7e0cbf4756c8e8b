//! Products with the decoder's tables (pure). Purpose: tables of octets times vectors of reals, which is nearly all that a
//! token costs. Owning thread: any; a table is immutable. Invariants: the table's octets are used as they are;
//! vectors are rounded to 11 to 15 bits and a sign (12 to 15 at the widths of the published models), which moves no result
//! by more than a thousandth of the largest number times the table's; a vector with a number that is none has only such
//! results. Deliberately absent: what the results mean (`decoder`, `likeliest`).

use crate::ffi::pages;
use callwright_dsp::kernel::{self, HALVED_MAX, Halved, Kernels, Line};
use std::fmt;

/// Octets of a table that stay in the processor's first cache while all vectors pass.
const OCTETS_AT_ONCE: usize = 24 * 1024;
const ROWS_AT_ONCE: usize = 64;
/// Octets of a line of the processor's cache: of a row that begins elsewhere, each read takes two.
const LINE: usize = size_of::<Line>();
/// Wider ones would leave too few bits for the vectors: 11 and a sign.
const WIDTH_MAX: usize = 4096;

/// The octets of several tables in one piece, each at the beginning of a line of the processor's cache.
pub(super) struct Store {
    /// Around zero: an octet less 128.
    octets: Vec<i8>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("octets", &self.octets.len()).finish()
    }
}

impl Store {
    /// `room`: octets that will come, about.
    pub(super) fn new(room: usize) -> Self {
        let mut octets = Vec::with_capacity(room);
        pages::advise(octets.spare_capacity_mut());
        Self { octets }
    }

    fn push(&mut self, octets: impl Iterator<Item = u8>) -> usize {
        let end = self.octets.as_ptr().addr() + self.octets.len();
        let from = self.octets.len() + end.next_multiple_of(LINE) - end;
        self.octets.resize(from, 0);
        self.octets.extend(octets.map(|octet| (octet ^ 0x80).cast_signed()));
        from
    }
}

/// A table in a store: rows of octets, each of which stands for `(octet − zero) · scale`.
#[derive(Debug)]
pub(super) struct Matrix {
    from: usize,
    rows: usize,
    width: usize,
    scale: f32,
    /// What stands for zero in the store.
    zero: i32,
}

impl Matrix {
    /// `octets`: `shape` of them, rows first; each stands for `(octet − zero) · scale`.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn new(
        store: &mut Store,
        octets: &[u8],
        shape: (u64, u64),
        scale: f32,
        zero: u8,
    ) -> Result<Self, String> {
        let (rows, width) = sizes(octets, shape, scale)?;
        let from = store.push(octets.iter().copied());
        Ok(Self { from, rows, width, scale, zero: i32::from(zero) - 128 })
    }

    /// The same of octets that lie column by column: `shape` is that of the file, columns of the table first.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn turned(
        store: &mut Store,
        octets: &[u8],
        shape: (u64, u64),
        scale: f32,
        zero: u8,
    ) -> Result<Self, String> {
        let (rows, width) = sizes(octets, (shape.1, shape.0), scale)?;
        let from = store.push((0..rows).flat_map(|row| octets.iter().skip(row).step_by(rows).copied()));
        Ok(Self { from, rows, width, scale, zero: i32::from(zero) - 128 })
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Numbers in a vector.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// One row in reals; `None`: there is none of that number.
    pub(super) fn row<'a>(&'a self, store: &'a Store, row: usize) -> Option<impl Iterator<Item = f32> + 'a> {
        let from = row.checked_mul(self.width)?;
        let weights = self.weights(store).get(from..from + self.width)?;
        Some(weights.iter().map(|weight| (i32::from(*weight) - self.zero) as f32 * self.scale))
    }

    fn weights<'a>(&self, store: &'a Store) -> &'a [i8] {
        store.octets.get(self.from..self.from + self.rows * self.width).unwrap_or_default()
    }

    /// The product with each vector, one behind the other: `out` holds [`rows`](Self::rows) for each. Vectors of another
    /// width have none.
    pub(super) fn times(&self, store: &Store, vectors: &Rounded, out: &mut [f32]) {
        if vectors.width != self.width {
            return;
        }
        let kernels = Kernels::best();
        let at_once = (OCTETS_AT_ONCE / self.width / 4 * 4).clamp(4, ROWS_AT_ONCE);
        let halved: Vec<Halved<'_>> = (0..vectors.units.len()).map(|n| vectors.halved(n)).collect();
        let mut sums = vec![0_i32; at_once * halved.len()];
        for (block, weights) in self.weights(store).chunks(at_once * self.width).enumerate() {
            let rows = weights.len() / self.width;
            kernels.project_all(weights, &halved, &mut sums[..rows * halved.len()]);
            let of_each = sums.chunks_exact(rows).zip(&vectors.units).zip(&halved);
            for (((sums, unit), vector), out) in of_each.zip(out.chunks_exact_mut(self.rows)) {
                let (scale, less) = (unit * self.scale, vector.sum.wrapping_mul(self.zero));
                for (out, sum) in out[block * at_once..].iter_mut().zip(sums) {
                    *out = sum.wrapping_sub(less) as f32 * scale;
                }
            }
        }
    }
}

/// Rows and width of such a table.
fn sizes(octets: &[u8], shape: (u64, u64), scale: f32) -> Result<(usize, usize), String> {
    let size = |length: u64| usize::try_from(length).ok().filter(|length| *length > 0);
    let (rows, width) = size(shape.0).zip(size(shape.1)).ok_or("a table is empty")?;
    if width > WIDTH_MAX || rows.checked_mul(width) != Some(octets.len()) || !scale.is_finite() {
        return Err(format!("a table is of {rows} × {width} in {} octets", octets.len()));
    }
    Ok((rows, width))
}

/// Vectors as a table is multiplied with them: rounded.
#[derive(Debug, Default)]
pub(super) struct Rounded {
    width: usize,
    values: Vec<i16>,
    /// Their halves, line by line.
    upper: Vec<Line>,
    lower: Vec<Line>,
    /// Of each vector: what a unit of it stands for, and the sum of its units.
    units: Vec<f32>,
    sums: Vec<i32>,
}

impl Rounded {
    fn halved(&self, n: usize) -> Halved<'_> {
        let lines = self.width.div_ceil(LINE);
        let at = n * lines..(n + 1) * lines;
        let (upper, lower) = (&self.upper[at.clone()], &self.lower[at]);
        Halved { x: &self.values[n * self.width..(n + 1) * self.width], upper, lower, sum: self.sums[n] }
    }

    /// Rounds vectors of `width` numbers, one behind the other; those of before are forgotten.
    pub(super) fn take(&mut self, vectors: &[f32], width: usize) -> &Self {
        self.width = width.max(1);
        self.values.clear();
        self.units.clear();
        self.sums.clear();
        let lines = self.width.div_ceil(LINE);
        let all = lines * (vectors.len() / self.width);
        self.upper.resize(all, Line([0; LINE]));
        self.lower.resize(all, Line([0; LINE]));
        let halves = self.upper.chunks_exact_mut(lines).zip(self.lower.chunks_exact_mut(lines));
        // No sum of products, less what stands for zero, leaves 32 bits.
        let most = (i32::MAX / 255 / i32::try_from(self.width).unwrap_or(i32::MAX)).clamp(1, i32::from(HALVED_MAX));
        for (vector, (upper, lower)) in vectors.chunks_exact(self.width).zip(halves) {
            let largest = largest(vector);
            let unit = largest / most as f32;
            let each = if unit > 0.0 { 1.0 / unit } else { 0.0 };
            let from = self.values.len();
            self.values.extend(vector.iter().map(|value| rounded(value * each)));
            self.units.push(unit);
            // None is larger than what can be halved.
            self.sums.push(kernel::halve(&self.values[from..], upper, lower).unwrap_or(0));
        }
        self
    }
}

/// The largest magnitude; no number where one is none.
fn largest(vector: &[f32]) -> f32 {
    // All bits but the sign's, in the order of magnitudes; what is no number is above all that are.
    let most = vector.iter().fold(0, |most: u32, value| most.max(value.to_bits() & 0x7fff_ffff));
    let most = f32::from_bits(most);
    if most.is_finite() { most } else { f32::NAN }
}

/// To the nearest integer, ties to even, of what 16 bits hold. The compiler has no such instruction for every processor.
fn rounded(value: f32) -> i16 {
    /// 1.5 · 2²³: what is added to it keeps no fraction, and stands in its lowest bits.
    const NO_FRACTION: f32 = 12_582_912.0;
    (value + NO_FRACTION).to_bits() as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_the_product_in_reals(
            octets in prop::collection::vec(any::<u8>(), 130 * 5),
            vectors in prop::collection::vec(-8.0_f32..8.0, 10),
            zero in any::<u8>(),
        ) {
            let mut store = Store::new(1);
            let matrix = Matrix::new(&mut store, &octets, (130, 5), 0.01, zero).unwrap();
            let columns: Vec<u8> = (0..5).flat_map(|column| octets.chunks(5).map(move |row| row[column])).collect();
            let turned = Matrix::turned(&mut store, &columns, (5, 130), 0.01, zero).unwrap();
            let mut rounded = Rounded::default();
            let (mut out, mut same) = (vec![f32::NAN; 260], vec![f32::NAN; 260]);
            matrix.times(&store, rounded.take(&vectors, 5), &mut out);
            turned.times(&store, &rounded, &mut same);
            prop_assert_eq!(&out, &same);
            for (text, vector) in vectors.chunks(5).enumerate() {
                for (row, octets) in octets.chunks(5).enumerate() {
                    let reals: Vec<f32> = matrix.row(&store, row).unwrap().collect();
                    let real = |octet: u8| 0.01 * (f32::from(octet) - f32::from(zero));
                    prop_assert!(octets.iter().zip(&reals).all(|(octet, is)| (real(*octet) - is).abs() < 1e-5));
                    let expected: f32 = reals.iter().zip(vector).map(|(weight, x)| weight * x).sum();
                    prop_assert!((out[text * 130 + row] - expected).abs() < 2e-3, "{text} {row}");
                }
            }
        }
    }

    #[test]
    fn numbers_are_rounded_to_the_nearest() {
        for (value, expected) in [(0.0, 0), (0.5, 0), (1.5, 2), (-1.5, -2), (-0.4, 0), (32_639.0, 32_639), (-9.6, -10)]
        {
            assert_eq!(rounded(value), expected);
        }
        assert!(largest(&[1.0, -3.0, f32::NAN]).is_nan() && largest(&[f32::NEG_INFINITY]).is_nan());
        assert!((largest(&[1.0, -3.0]) - 3.0).abs() < 1e-9 && largest(&[]).abs() < 1e-9);
    }

    #[test]
    fn the_largest_sums_of_the_widest_tables_fit() {
        for width in [1_usize, 36, 511, 1664, WIDTH_MAX] {
            for (octet, zero) in [(255, 0), (0, 255), (128, 128)] {
                let mut store = Store::new(0);
                let matrix = Matrix::new(&mut store, &vec![octet; 5 * width], (5, width as u64), 1.0, zero).unwrap();
                let mut out = [f32::NAN; 5];
                matrix.times(&store, Rounded::default().take(&vec![-3.0; width], width), &mut out);
                let expected = -3.0 * (f32::from(octet) - f32::from(zero)) * width as f32;
                assert!(out.iter().all(|out| (out - expected).abs() <= expected.abs() * 1e-3), "{width}: {out:?}");
            }
        }
    }

    #[test]
    fn a_vector_that_is_no_number_has_no_product_and_none_is_none() {
        let mut store = Store::new(0);
        let matrix = Matrix::new(&mut store, &[9; 6], (2, 3), 1.0, 1).unwrap();
        let mut out = [0.0; 4];
        let mut rounded = Rounded::default();
        matrix.times(&store, rounded.take(&[f32::NAN, 1.0, 2.0, 0.0, 0.0, 0.0], 3), &mut out);
        assert!(out[..2].iter().all(|out| out.is_nan()) && out[2..] == [0.0; 2], "{out:?}");
        matrix.times(&store, rounded.take(&[1.0, f32::INFINITY, 2.0], 3), &mut out);
        matrix.times(&store, rounded.take(&[f32::from_bits(0x7fc0_8000), 1.0, 2.0], 3), &mut out);
        assert!(out[..2].iter().all(|out| !out.is_finite()), "{out:?}");
        // Of another width.
        let mut out = [7.0; 2];
        matrix.times(&store, rounded.take(&[1.0, 2.0], 2), &mut out);
        assert_eq!((out, matrix.row(&store, 2).is_none()), ([7.0; 2], true));
    }

    #[test]
    fn a_table_of_another_size_is_refused() {
        for (octets, shape, scale) in
            [(5, (2, 3), 1.0), (0, (0, 3), 1.0), (6, (2, 3), f32::NAN), (4097, (1, 4097), 1.0), (6, (u64::MAX, 3), 1.0)]
        {
            let mut store = Store::new(0);
            assert!(Matrix::new(&mut store, &vec![0; octets], shape, scale, 1).is_err());
            assert!(Matrix::turned(&mut store, &vec![0; octets], (shape.1, shape.0), scale, 1).is_err());
        }
    }
}
