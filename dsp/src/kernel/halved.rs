//! Vectors as the products of octets take them. Purpose: numbers of 16 bits as upper and lower octets with a sign, which some
//! processors multiply in a third of the instructions. Any thread; no state, no heap. Invariant: 256 times the upper and the
//! lower are the number. Deliberately absent: the products.

/// Octets that begin at a line of the processor's cache and fill it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(64))]
pub struct Line(pub [i8; 64]);

/// A vector beside its numbers' upper and lower octets, both with a sign, which some processors multiply faster.
#[derive(Clone, Copy, Debug)]
pub struct Halved<'a> {
    pub x: &'a [i16],
    /// As [`halve`] makes them; none where it made none.
    pub upper: &'a [Line],
    pub lower: &'a [Line],
    /// Of `x`.
    pub sum: i32,
}

/// A number above this is no upper octet with a sign and a lower one with a sign.
pub const HALVED_MAX: i16 = 127 * 256 + 127;

/// Takes numbers apart: each is 256 times its upper octet and its lower one. Both have room for as many lines as `x` needs; what
/// is behind its end becomes zero. Answers with the sum of the numbers; `None`: one is larger than [`HALVED_MAX`], or there
/// is no room.
#[must_use]
pub fn halve(x: &[i16], upper: &mut [Line], lower: &mut [Line]) -> Option<i32> {
    let lines = x.chunks(64);
    if upper.len() < lines.len() || lower.len() < lines.len() {
        return None;
    }
    let (mut sum, mut largest) = (0_i32, i16::MIN);
    for ((x, upper), lower) in lines.zip(upper).zip(lower) {
        let mut line = [0_i16; 64];
        line[..x.len()].copy_from_slice(x);
        for ((x, upper), lower) in line.iter().zip(&mut upper.0).zip(&mut lower.0) {
            // `as` keeps the lower octet.
            *lower = *x as i8;
            *upper = (x.saturating_add(128) >> 8) as i8;
            sum = sum.wrapping_add(i32::from(*x));
            largest = largest.max(*x);
        }
    }
    (largest <= HALVED_MAX).then_some(sum)
}
