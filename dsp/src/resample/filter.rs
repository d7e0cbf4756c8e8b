//! Which filter joins which rates, cut into phases. Purpose: turn the prototypes into rows of 16-bit taps at compile time.
//! Invariant (checked by the compiler): no sum of products of a row and any samples leaves 32 bits.

use super::prototype;
use crate::kernel::{Polyphase, TAP_ONE};

/// Taps of the longest row: 48 to 8 kHz.
pub(super) const ROW_MAX: usize = 96;

/// A sampling rate that is joined with all the others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Rate {
    /// 8 kHz: telephony.
    Hz8000,
    /// 16 kHz: wideband telephony, recognisers.
    Hz16000,
    /// 24 kHz: voices.
    Hz24000,
    /// 48 kHz: Opus, browsers.
    Hz48000,
}

impl Rate {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Hz8000, Self::Hz16000, Self::Hz24000, Self::Hz48000];

    /// In samples per second.
    #[must_use]
    pub const fn hz(self) -> u32 {
        match self {
            Self::Hz8000 => 8_000,
            Self::Hz16000 => 16_000,
            Self::Hz24000 => 24_000,
            Self::Hz48000 => 48_000,
        }
    }
}

impl TryFrom<u32> for Rate {
    type Error = RateError;

    fn try_from(hz: u32) -> Result<Self, RateError> {
        Self::ALL.into_iter().find(|rate| rate.hz() == hz).ok_or(RateError { hz })
    }
}

/// No filter for this rate. The fault of whoever chose it; asking again does not help.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RateError {
    /// Asked for, Hz.
    pub hz: u32,
}

impl core::fmt::Display for RateError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} Hz cannot be resampled: give 8000, 16000, 24000 or 48000 Hz", self.hz)
    }
}

impl core::error::Error for RateError {}

/// The filter for one pair of rates and its delay in samples of the common rate, before output is moved to the end of the
/// input that it comes with.
#[derive(Debug)]
pub(super) struct Filter {
    pub(super) polyphase: Polyphase,
    pub(super) middle: usize,
}

/// The filter of a pair; equal rates have one of a single tap, which changes nothing.
pub(super) const fn find(from: Rate, to: Rate) -> &'static Filter {
    use Rate::{Hz8000, Hz16000, Hz24000, Hz48000};
    match (from, to) {
        (Hz8000, Hz16000) => &UP_8_16,
        (Hz8000, Hz24000) => &UP_8_24,
        (Hz8000, Hz48000) => &UP_8_48,
        (Hz16000, Hz8000) => &DOWN_16_8,
        (Hz16000, Hz24000) => &UP_16_24,
        (Hz16000, Hz48000) => &UP_16_48,
        (Hz24000, Hz8000) => &DOWN_24_8,
        (Hz24000, Hz16000) => &DOWN_24_16,
        (Hz24000, Hz48000) => &UP_24_48,
        (Hz48000, Hz8000) => &DOWN_48_8,
        (Hz48000, Hz16000) => &DOWN_48_16,
        (Hz48000, Hz24000) => &DOWN_48_24,
        (Hz8000, Hz8000) | (Hz16000, Hz16000) | (Hz24000, Hz24000) | (Hz48000, Hz48000) => &SAME,
    }
}

static SAME: Filter = filter(&const { rows::<1, 16, 1>(&[1.0]) }, 1, 1);
static UP_8_16: Filter = filter(&const { rows::<2, 16, 16>(&prototype::TELEPHONE_AT_16K) }, 1, 16);
static UP_8_24: Filter = filter(&const { rows::<3, 16, 23>(&prototype::TELEPHONE_AT_24K) }, 1, 23);
static UP_8_48: Filter = filter(&const { rows::<6, 16, 46>(&prototype::TELEPHONE_AT_48K) }, 1, 46);
static DOWN_16_8: Filter = filter(&const { rows::<1, 32, 16>(&prototype::TELEPHONE_AT_16K) }, 2, 16);
static UP_16_24: Filter = filter(&const { rows::<3, 32, 32>(&prototype::WIDEBAND_AT_48K) }, 2, 32);
static UP_16_48: Filter = filter(&const { rows::<3, 32, 32>(&prototype::WIDEBAND_AT_48K) }, 1, 32);
static DOWN_24_8: Filter = filter(&const { rows::<1, 48, 23>(&prototype::TELEPHONE_AT_24K) }, 3, 23);
static DOWN_24_16: Filter = filter(&const { rows::<2, 32, 32>(&prototype::WIDEBAND_AT_48K) }, 3, 32);
static UP_24_48: Filter = filter(&const { rows::<2, 32, 32>(&prototype::SUPERWIDEBAND_AT_48K) }, 1, 32);
static DOWN_48_8: Filter = filter(&const { rows::<1, 96, 46>(&prototype::TELEPHONE_AT_48K) }, 6, 46);
static DOWN_48_16: Filter = filter(&const { rows::<1, 64, 32>(&prototype::WIDEBAND_AT_48K) }, 3, 32);
static DOWN_48_24: Filter = filter(&const { rows::<1, 64, 32>(&prototype::SUPERWIDEBAND_AT_48K) }, 2, 32);

const fn filter<const L: usize, const ROW: usize>(
    rows: &'static [[i16; ROW]; L],
    decimate: usize,
    half: usize,
) -> Filter {
    assert!(ROW <= ROW_MAX);
    Filter { polyphase: Polyphase::new(rows, decimate), middle: half - 1 }
}

/// One row of taps per phase, the tap of the oldest sample first and zeros before it. `half` is the first half of a
/// symmetric prototype with its middle; the taps are raised by `L`, which makes up for the zeros between the samples.
const fn rows<const L: usize, const ROW: usize, const HALF: usize>(half: &[f64; HALF]) -> [[i16; ROW]; L] {
    let taps = 2 * HALF - 1;
    assert!(taps <= L * ROW);
    let mut rows = [[0; ROW]; L];
    let mut at = 0;
    while at < taps {
        let tap = half[if at < HALF { at } else { taps - 1 - at }];
        // Every tap is below 1 in magnitude, so the rounded one fits 16 bits.
        rows[at % L][ROW - 1 - at / L] = (tap * L as f64 * TAP_ONE as f64).round() as i16;
        at += 1;
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_of_music_is_refused() {
        assert_eq!(Rate::try_from(24_000), Ok(Rate::Hz24000));
        let error = Rate::try_from(44_100).unwrap_err();
        assert_eq!(error.to_string(), "44100 Hz cannot be resampled: give 8000, 16000, 24000 or 48000 Hz");
    }

    #[test]
    fn every_pair_runs_at_its_ratio() {
        for from in Rate::ALL {
            for to in Rate::ALL {
                let polyphase = &find(from, to).polyphase;
                assert_eq!(from.hz() as usize * polyphase.interpolate(), to.hz() as usize * polyphase.decimate());
            }
        }
    }
}
