//! Matrices of octets as their products with vectors take them. Purpose: the layout in which sixteen rows are multiplied at
//! once and no sum runs across a register, and numbers of 16 bits as upper and lower octets, of which some processors
//! multiply four in one instruction. Any thread; no state, no heap. Invariants: what is behind the last row or column is
//! zero; 256 times an upper octet and its lower one are the number. Deliberately absent: the products.

/// Rows of a block, and columns of a line.
pub const ROWS: usize = 16;
pub const COLUMNS: usize = 4;

/// Four columns of sixteen rows, row by row: a line of the processor's cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(64))]
pub struct Line(pub [u8; ROWS * COLUMNS]);

/// Four numbers of a vector.
pub type Four<T> = [T; COLUMNS];

/// A matrix of octets without a sign: block by block of [`ROWS`] rows, each line by line.
#[derive(Clone, Copy, Debug)]
pub struct Packed<'a> {
    pub(super) lines: &'a [Line],
    /// Lines of a block.
    pub(super) length: usize,
}

impl<'a> Packed<'a> {
    /// A matrix of so many columns, as [`pack`] has written it; lines that make no whole block are left out.
    #[must_use]
    pub fn new(lines: &'a [Line], columns: usize) -> Self {
        let length = columns.div_ceil(COLUMNS).max(1);
        Self { lines: &lines[..lines.len() / length * length], length }
    }

    /// Blocks of rows.
    #[must_use]
    pub const fn blocks(&self) -> usize {
        self.lines.len() / self.length
    }

    /// The octet of a place; `None`: there is none.
    #[must_use]
    pub fn octet(&self, row: usize, column: usize) -> Option<u8> {
        let inside = column / COLUMNS < self.length;
        let line = self.lines.get(row / ROWS * self.length + column / COLUMNS).filter(|_| inside)?;
        Some(line.0[row % ROWS * COLUMNS + column % COLUMNS])
    }
}

/// Lines that a matrix takes.
#[must_use]
pub const fn lines(rows: usize, columns: usize) -> usize {
    rows.div_ceil(ROWS) * columns.div_ceil(COLUMNS)
}

/// Writes a matrix, of which `octet` tells the octet of a row and a column, into [`lines`] of `to`; what is missing there is
/// left out.
pub fn pack(rows: usize, columns: usize, octet: impl Fn(usize, usize) -> u8, to: &mut [Line]) {
    let length = columns.div_ceil(COLUMNS).max(1);
    for (block, lines) in to.chunks_mut(length).enumerate().take(rows.div_ceil(ROWS)) {
        for (group, line) in lines.iter_mut().enumerate() {
            for (n, to) in line.0.iter_mut().enumerate() {
                let (row, column) = (block * ROWS + n / COLUMNS, group * COLUMNS + n % COLUMNS);
                *to = if row < rows && column < columns { octet(row, column) } else { 0 };
            }
        }
    }
}

/// A vector, zeros behind its end, beside its numbers' octets.
#[derive(Clone, Copy, Debug)]
pub struct Vector<'a> {
    pub x: &'a [Four<i16>],
    /// As [`halve`] makes them; none where one octet holds each number.
    pub upper: &'a [Four<i8>],
    /// None where `x` cannot be taken apart.
    pub lower: &'a [Four<i8>],
}

/// A number above this is no upper octet with a sign and a lower one with a sign.
pub const HALVED_MAX: i16 = 127 * 256 + 127;

/// Takes numbers apart: each is 256 times its upper octet and its lower one. Answers with their sum; `None`: one is larger
/// than [`HALVED_MAX`], or there is no room.
#[must_use]
#[inline]
pub fn halve(x: &[Four<i16>], upper: &mut [Four<i8>], lower: &mut [Four<i8>]) -> Option<i32> {
    if upper.len() < x.len() || lower.len() < x.len() {
        return None;
    }
    let (mut sum, mut largest) = (0_i32, i16::MIN);
    let to = upper.as_flattened_mut().iter_mut().zip(lower.as_flattened_mut());
    for (x, (upper, lower)) in x.as_flattened().iter().zip(to) {
        // `as` keeps the lower octet.
        *lower = *x as i8;
        *upper = (x.saturating_add(128) >> 8) as i8;
        sum = sum.wrapping_add(i32::from(*x));
        largest = largest.max(*x);
    }
    (largest <= HALVED_MAX).then_some(sum)
}
