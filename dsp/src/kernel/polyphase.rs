//! The shape of a polyphase filter. Purpose: rows of taps that have been checked once, so that the loops need not.

/// 1.0 in a tap: 14 bits of fraction.
pub const TAP_ONE: i32 = 1 << TAP_BITS;
pub(super) const TAP_BITS: u32 = 14;
/// What is added before the fraction is cut off.
pub(super) const HALF: i32 = TAP_ONE / 2;
/// Rows are a whole number of AVX2 vectors long.
pub(super) const ROW_STEP: usize = 16;

/// Taps of a filter that changes the rate by `interpolate / decimate`, one row for each phase. Output `m` stands at
/// `t = first + m · decimate` of the common rate: row `t % interpolate` meets the samples from `t / interpolate` on.
/// Invariant: a row times any samples, rounded, fits 32 bits in any order of summation.
#[derive(Debug)]
pub struct Polyphase {
    pub(super) taps: &'static [i16],
    pub(super) row: usize,
    pub(super) interpolate: usize,
    pub(super) decimate: usize,
}

impl Polyphase {
    /// Rows of one length, the tap of the oldest sample first.
    ///
    /// # Panics
    /// Unless the length is a multiple of 16, the step is at least 1 and the magnitudes of each row's taps sum to less than
    /// 2¹⁶ − 1: filters are constants, so this is the compiler's error.
    #[must_use]
    pub const fn new<const INTERPOLATE: usize, const ROW: usize>(
        rows: &'static [[i16; ROW]; INTERPOLATE],
        decimate: usize,
    ) -> Self {
        assert!(INTERPOLATE > 0 && decimate > 0 && ROW > 0 && ROW.is_multiple_of(ROW_STEP));
        let mut phase = 0;
        while phase < INTERPOLATE {
            let (mut at, mut sum) = (0, 0);
            while at < ROW {
                sum += rows[phase][at].unsigned_abs() as u32;
                at += 1;
            }
            assert!(sum < u16::MAX as u32);
            phase += 1;
        }
        Self { taps: rows.as_flattened(), row: ROW, interpolate: INTERPOLATE, decimate }
    }

    /// Length of a row.
    #[must_use]
    pub const fn row(&self) -> usize {
        self.row
    }

    /// Phases: samples of the common rate for each one of the input.
    #[must_use]
    pub const fn interpolate(&self) -> usize {
        self.interpolate
    }

    /// Samples of the common rate for each one of the output.
    #[must_use]
    pub const fn decimate(&self) -> usize {
        self.decimate
    }

    /// Outputs whose samples all lie in the first `length`, when the first output stands at `first`.
    pub(super) const fn reach(&self, length: usize, first: usize) -> usize {
        ((length + 1).saturating_sub(self.row) * self.interpolate).saturating_sub(first).div_ceil(self.decimate)
    }
}

/// Walks the outputs of one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    /// First sample and phase of the next output.
    at: usize,
    phase: usize,
    whole: usize,
    part: usize,
    interpolate: usize,
}

impl Walk {
    #[inline]
    pub(super) const fn new(filter: &Polyphase, first: usize) -> Self {
        let interpolate = filter.interpolate;
        Self {
            at: first / interpolate,
            phase: first % interpolate,
            whole: filter.decimate / interpolate,
            part: filter.decimate % interpolate,
            interpolate,
        }
    }

    /// First sample and phase, and on to the next output.
    #[inline]
    pub(super) const fn step(&mut self) -> (usize, usize) {
        let here = (self.at, self.phase);
        self.at += self.whole;
        self.phase += self.part;
        if self.phase >= self.interpolate {
            self.phase -= self.interpolate;
            self.at += 1;
        }
        here
    }
}

/// Outputs in the shortest run that is whole vectors of four and ends in the phase that it began in.
#[cfg(target_arch = "x86_64")]
pub(super) const fn group(interpolate: usize) -> usize {
    if interpolate.is_multiple_of(4) {
        interpolate
    } else if interpolate.is_multiple_of(2) {
        2 * interpolate
    } else {
        4 * interpolate
    }
}

/// Outputs before the first in phase 0; `None` when there is none.
#[cfg(target_arch = "x86_64")]
pub(super) fn before_phase_0(filter: &Polyphase, first: usize) -> Option<usize> {
    (0..filter.interpolate).find(|n| (first + n * filter.decimate).is_multiple_of(filter.interpolate))
}
