//! Several signals in one. Purpose: lay one over another. Any thread; no heap. Invariant: sums saturate, they do not wrap.

use crate::kernel::Kernels;

/// `dst[n] += src[n]`, saturating; the longer one's rest is left alone.
pub fn mix(dst: &mut [i16], src: &[i16]) {
    Kernels::best().mix(dst, src);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_saturate() {
        let mut dst = [i16::MAX, i16::MIN, 5, 6];
        mix(&mut dst, &[1, -1, 2]);
        assert_eq!(dst, [i16::MAX, i16::MIN, 7, 6]);
    }
}
