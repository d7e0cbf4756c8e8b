//! Products with the model's tables (pure). Purpose: tables of octets times vectors of reals, which is nearly all that hearing
//! and a token cost. Owning thread: any; a table is immutable. Invariants: the table's octets are used as they are; vectors
//! are rounded to a sign and 11 to 15 bits (or 7, where that is enough), which moves no result by more than a two-thousandth
//! (or a hundredth) of the largest number times the table's; a vector with a number that is none has only such results.
//! Deliberately absent: what the results mean (`encoder`, `decoder`, `likeliest`).

use crate::ffi::pages;
use callwright_dsp::kernel::{self, COLUMNS, Four, HALVED_MAX, Kernels, Line, Packed, ROWS, Vector};
use std::fmt;

/// Lines of a table that stay in the processor's first caches while all vectors pass.
const LINES_AT_ONCE: usize = 512;
/// Wider ones would leave too few bits for the vectors: 11 and a sign.
const WIDTH_MAX: usize = 4096;

/// The octets of several tables in one piece.
pub(super) struct Store {
    lines: Vec<Line>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("lines", &self.lines.len()).finish()
    }
}

impl Store {
    /// `room`: octets that will come, about.
    pub(super) fn new(room: usize) -> Self {
        let mut lines = Vec::with_capacity(room / size_of::<Line>());
        pages::advise(lines.spare_capacity_mut());
        Self { lines }
    }
}

/// A table in a store: rows of octets, each of which stands for `(octet − zero) · scale`.
#[derive(Debug)]
pub(super) struct Matrix {
    from: usize,
    rows: usize,
    width: usize,
    scale: f32,
    zero: u8,
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
        Ok(Self::packed(store, (rows, width), scale, zero, |row, column| octets[row * width + column]))
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
        Ok(Self::packed(store, (rows, width), scale, zero, |row, column| octets[column * rows + row]))
    }

    /// The table of a convolution over time, whose input lies moment by moment: `octets` are `shape` of them (channels out,
    /// channels in, moments), each with a sign.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn convolution(
        store: &mut Store,
        octets: &[u8],
        (out, channels, moments): (u64, u64, u64),
        scale: f32,
        zero: i8,
    ) -> Result<Self, String> {
        let (rows, width) = sizes(octets, (out, channels.checked_mul(moments).unwrap_or(0)), scale)?;
        // Neither is 0, and both are less than the octets.
        let (channels, moments) = (channels as usize, moments as usize);
        let octet = |row, column: usize| {
            let (moment, channel) = (column / channels, column % channels);
            octets[row * width + channel * moments + moment] ^ 0x80
        };
        Ok(Self::packed(store, (rows, width), scale, zero.cast_unsigned() ^ 0x80, octet))
    }

    fn packed(
        store: &mut Store,
        (rows, width): (usize, usize),
        scale: f32,
        zero: u8,
        octet: impl Fn(usize, usize) -> u8,
    ) -> Self {
        let from = store.lines.len();
        store.lines.resize(from + kernel::lines(rows, width), Line([0; _]));
        kernel::pack(rows, width, octet, &mut store.lines[from..]);
        Self { from, rows, width, scale, zero }
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
        let octets = Packed::new(self.lines(store), self.width);
        let real = move |octet: u8| (i32::from(octet) - i32::from(self.zero)) as f32 * self.scale;
        (row < self.rows).then(|| (0..self.width).map(move |column| octets.octet(row, column).map_or(f32::NAN, real)))
    }

    fn lines<'a>(&self, store: &'a Store) -> &'a [Line] {
        store.lines.get(self.from..self.from + kernel::lines(self.rows, self.width)).unwrap_or_default()
    }

    /// The product with each vector, one behind the other: `out` holds [`rows`](Self::rows) for each. Vectors of another
    /// width have none.
    pub(super) fn times(&self, store: &Store, vectors: &Rounded, out: &mut [f32]) {
        if vectors.width != self.width {
            return;
        }
        let kernels = Kernels::best();
        let length = self.width.div_ceil(COLUMNS);
        // Two blocks of rows share the loads of the vectors.
        let blocks = (LINES_AT_ONCE / length).max(2) & !1;
        let all: Vec<Vector<'_>> = (0..vectors.units.len()).map(|n| vectors.vector(n)).collect();
        let mut sums = vec![[0; ROWS]; blocks * all.len()];
        for (n, lines) in self.lines(store).chunks(blocks * length).enumerate() {
            let matrix = Packed::new(lines, self.width);
            let sums = &mut sums[..matrix.blocks() * all.len()];
            kernels.multiply(matrix, &all, sums);
            let rows = n * blocks * ROWS..self.rows.min((n + 1) * blocks * ROWS);
            let of_each = sums.chunks_exact(matrix.blocks()).zip(&vectors.units).zip(&vectors.sums);
            for (((sums, unit), sum), out) in of_each.zip(out.chunks_exact_mut(self.rows)) {
                let (scale, less) = (unit * self.scale, sum.wrapping_mul(i32::from(self.zero)));
                for (out, sum) in out[rows.clone()].iter_mut().zip(sums.as_flattened()) {
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
    values: Vec<Four<i16>>,
    /// Their halves; there are no upper ones where the lower are all.
    upper: Vec<Four<i8>>,
    lower: Vec<Four<i8>>,
    /// Of each vector: what a unit of it stands for, and the sum of its units.
    units: Vec<f32>,
    sums: Vec<i32>,
}

impl Rounded {
    fn vector(&self, n: usize) -> Vector<'_> {
        let length = self.width.div_ceil(COLUMNS);
        let at = n * length..(n + 1) * length;
        let upper = self.upper.get(at.clone()).unwrap_or_default();
        Vector { x: &self.values[at.clone()], upper, lower: &self.lower[at] }
    }

    /// Rounds vectors of `width` numbers, one behind the other; those of before are forgotten.
    pub(super) fn take(&mut self, vectors: &[f32], width: usize) -> &Self {
        self.take_windows(vectors, width, width)
    }

    /// The same of those that begin `stride` apart.
    pub(super) fn take_windows(&mut self, reals: &[f32], width: usize, stride: usize) -> &Self {
        // No sum of products, less what stands for zero, leaves 32 bits.
        let most = i32::MAX / 255 / i32::try_from(width.max(1)).unwrap_or(i32::MAX);
        self.round(reals, (width, stride), most.clamp(1, i32::from(HALVED_MAX)));
        let (values, lower, upper) = (&self.values, &mut self.lower, &mut self.upper);
        lower.resize(values.len(), [0; _]);
        upper.resize(values.len(), [0; _]);
        let length = self.width.div_ceil(COLUMNS);
        let halves = upper.chunks_exact_mut(length).zip(lower.chunks_exact_mut(length));
        // None is larger than what can be halved.
        let sum = |(x, (upper, lower)): (&[_], (&mut [_], &mut [_]))| kernel::halve(x, upper, lower).unwrap_or(0);
        self.sums.extend(values.chunks_exact(length).zip(halves).map(sum));
        self
    }

    /// As [`take`](Self::take), to an octet each: half the work.
    pub(super) fn take_octets(&mut self, vectors: &[f32], width: usize) -> &Self {
        self.round(vectors, (width, width), i32::from(i8::MAX));
        self.upper.clear();
        self.lower.clear();
        // None is larger than an octet holds.
        self.lower.extend(self.values.iter().map(|x| x.map(|x| x as i8)));
        let length = self.width.div_ceil(COLUMNS);
        let sum = |x: &[Four<i16>]| x.as_flattened().iter().map(|x| i32::from(*x)).sum::<i32>();
        self.sums.extend(self.values.chunks_exact(length).map(sum));
        self
    }

    /// The largest number of each vector becomes `most`.
    fn round(&mut self, reals: &[f32], (width, stride): (usize, usize), most: i32) {
        let kernels = Kernels::best();
        self.width = width.max(1);
        self.units.clear();
        self.sums.clear();
        let windows = reals.windows(self.width).step_by(stride.max(1));
        let length = self.width.div_ceil(COLUMNS);
        self.values.clear();
        self.values.resize(windows.len() * length, [0; _]);
        for (vector, values) in windows.zip(self.values.chunks_exact_mut(length)) {
            let unit = kernels.largest(vector) / most as f32;
            let each = if unit > 0.0 { 1.0 / unit } else { 0.0 };
            kernels.round(vector, each, values.as_flattened_mut());
            self.units.push(unit);
        }
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
    fn a_convolution_is_a_product_with_each_window() {
        // 3 channels out, 2 in, 4 moments.
        let octets: Vec<i8> = (0..24_i8).map(|n| n * 5 - 60).collect();
        let raw: Vec<u8> = octets.iter().map(|octet| octet.cast_unsigned()).collect();
        let mut store = Store::new(0);
        let matrix = Matrix::convolution(&mut store, &raw, (3, 2, 4), 0.1, -2).unwrap();
        // 7 moments of 2 channels, every second of which begins a window.
        let input: Vec<f32> = (0..14).map(|n| (n as f32 * 0.9).sin()).collect();
        let mut out = [f32::NAN; 6];
        matrix.times(&store, Rounded::default().take_windows(&input, 8, 4), &mut out);
        for (window, out) in out.chunks(3).enumerate() {
            for (row, out) in out.iter().enumerate() {
                let of = |moment: usize, channel: usize| {
                    let weight = 0.1 * (f32::from(octets[row * 8 + channel * 4 + moment]) + 2.0);
                    weight * input[(2 * window + moment) * 2 + channel]
                };
                let expected: f32 = (0..8).map(|n| of(n / 2, n % 2)).sum();
                assert!((out - expected).abs() < 1e-2, "{window} {row}: {out} {expected}");
            }
        }
        assert!(Matrix::convolution(&mut store, &raw, (3, 2, 5), 0.1, 0).is_err());
        assert!(Matrix::convolution(&mut store, &raw, (3, u64::MAX, 2), 0.1, 0).is_err());
        assert!(Matrix::convolution(&mut store, &raw, (0, 2, 4), 0.1, 0).is_err());
    }

    #[test]
    fn octets_are_enough_for_a_hundredth() {
        let octets: Vec<u8> = (0..40 * 7_u32).map(|n| (n * 37 % 251) as u8).collect();
        let mut store = Store::new(0);
        let matrix = Matrix::new(&mut store, &octets, (7, 40), 0.02, 120).unwrap();
        let vectors: Vec<f32> = (0..120).map(|n| (n as f32 * 1.3).cos()).collect();
        let (mut all, mut some) = (vec![0.0; 21], vec![0.0; 21]);
        let mut rounded = Rounded::default();
        matrix.times(&store, rounded.take(&vectors, 40), &mut all);
        matrix.times(&store, rounded.take_octets(&vectors, 40), &mut some);
        let largest = all.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        assert!(all.iter().zip(&some).all(|(all, some)| (all - some).abs() < largest / 100.0));
        assert_ne!(all, some);
        matrix.times(&store, rounded.take_octets(&[f32::NAN; 40], 40), &mut some);
        assert!(some[..7].iter().all(|x| x.is_nan()));
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
