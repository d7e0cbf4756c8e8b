//! Several signals in one. Purpose: lay one over another, and the core of a conference: everyone hears the sum of the
//! others. Any thread; memory is inline, no heap. Invariants: sums never wrap; while the others together stay within full
//! scale they are passed on to the last bit. Deliberately absent: rates, jitter and codecs of the parties, and choosing
//! who is heard.

use crate::kernel::Kernels;
use crate::limiter::Limiter;

/// Longest frame that a [`Mixer`] takes: 20 ms at 48 kHz.
pub const FRAME_MAX: usize = 960;
/// Parties of which the sum fits 32 bits, whatever they say.
pub const PARTIES_MAX: usize = 65_535;

/// `dst[n] += src[n]`, saturating; the longer one's rest is left alone.
pub fn mix(dst: &mut [i16], src: &[i16]) {
    Kernels::best().mix(dst, src);
}

/// The sum of one frame of all parties, from which each one's own voice is taken out again: N parties cost N additions and
/// N subtractions, not N².
#[derive(Clone, Debug)]
pub struct Mixer {
    kernels: &'static Kernels,
    total: [i32; FRAME_MAX],
    length: usize,
    parties: usize,
}

impl Default for Mixer {
    fn default() -> Self {
        Self::new()
    }
}

impl Mixer {
    /// Silent.
    #[must_use]
    pub fn new() -> Self {
        Self { kernels: Kernels::best(), total: [0; FRAME_MAX], length: 0, parties: 0 }
    }

    /// Begins a frame of `samples`, at most [`FRAME_MAX`].
    pub fn begin(&mut self, samples: usize) {
        self.length = samples.min(FRAME_MAX);
        self.total[..self.length].fill(0);
        self.parties = 0;
    }

    /// Adds one party's frame. A shorter one is silent behind its end, of a longer one the end is not heard, and who comes
    /// after [`PARTIES_MAX`] others is not heard: `false` then.
    pub fn add(&mut self, pcm: &[i16]) -> bool {
        if self.parties == PARTIES_MAX {
            return false;
        }
        self.parties += 1;
        self.kernels.accumulate(&mut self.total[..self.length], pcm);
        true
    }

    /// What a party hears who has added `own` to this frame: the others, kept within full scale by its own `limiter`. One
    /// who has added nothing gives an empty slice and hears everybody. Returns the number of samples written: the frame's,
    /// or as many as there is room for.
    pub fn hear(&self, own: &[i16], limiter: &mut Limiter, out: &mut [i16]) -> usize {
        let length = self.length.min(out.len());
        let (total, out) = (&self.total[..length], &mut out[..length]);
        if let Some(own) = own.get(..length) {
            limiter.process(self.kernels, total, own, out);
        } else {
            let mut padded = [0; FRAME_MAX];
            padded[..own.len()].copy_from_slice(own);
            limiter.process(self.kernels, total, &padded[..length], out);
        }
        length
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resample::Rate;
    use proptest::prelude::*;

    fn limiter() -> Limiter {
        Limiter::new(Rate::Hz8000)
    }

    #[test]
    fn sums_saturate() {
        let mut dst = [i16::MAX, i16::MIN, 5, 6];
        mix(&mut dst, &[1, -1, 2]);
        assert_eq!(dst, [i16::MAX, i16::MIN, 7, 6]);
    }

    #[test]
    fn everyone_hears_the_others() {
        let parties = [[100i16; 160], [20; 160], [-3; 160]];
        let mut mixer = Mixer::new();
        mixer.begin(160);
        for pcm in &parties {
            assert!(mixer.add(pcm));
        }
        let mut out = [0; 200];
        for (pcm, expected) in parties.iter().zip([17, 97, 120]) {
            assert_eq!(mixer.hear(pcm, &mut limiter(), &mut out), 160);
            assert!(out[..160].iter().all(|s| *s == expected));
        }
        assert_eq!(mixer.hear(&[], &mut limiter(), &mut out), 160);
        assert!(out[..160].iter().all(|s| *s == 117));
        mixer.begin(80);
        assert_eq!(mixer.hear(&[], &mut limiter(), &mut out), 80);
        assert_eq!(out[..80], [0; 80]);
    }

    #[test]
    fn one_voice_comes_through_to_the_last_bit() {
        let loud: Vec<i16> = (0..160).map(|n| if n % 7 < 3 { i16::MIN } else { i16::MAX }).collect();
        let mut mixer = Mixer::new();
        mixer.begin(160);
        mixer.add(&loud);
        mixer.add(&[5; 160]);
        let mut out = [0; 160];
        mixer.hear(&[5; 160], &mut limiter(), &mut out);
        assert_eq!(out[..], loud[..]);
    }

    #[test]
    fn a_thousand_shouting_do_not_wrap() {
        let mut mixer = Mixer::new();
        let mut ear = limiter();
        let mut out = [0; 160];
        for frame in 0..3 {
            mixer.begin(160);
            for _ in 0..1000 {
                mixer.add(&[i16::MIN; 160]);
            }
            mixer.hear(&[i16::MIN; 160], &mut ear, &mut out);
            assert!(out.iter().all(|s| *s < -32_000), "frame {frame}: {out:?}");
        }
    }

    proptest! {
        #[test]
        fn any_frames_are_summed(
            parties in prop::collection::vec(prop::collection::vec(any::<i16>(), 0..200), 0..8),
            samples in 0..1200usize,
            room in 0..1200usize,
        ) {
            let mut mixer = Mixer::new();
            mixer.begin(samples);
            for pcm in &parties {
                mixer.add(pcm);
            }
            for own in parties.iter().map(Vec::as_slice).chain([&[][..]]) {
                let mut out = vec![0; room];
                let written = mixer.hear(own, &mut limiter(), &mut out);
                prop_assert_eq!(written, samples.min(room).min(FRAME_MAX));
                let at = |pcm: &[i16], n: usize| pcm.get(n).map_or(0, |s| i32::from(*s));
                let sums: Vec<i32> =
                    (0..written).map(|n| parties.iter().map(|pcm| at(pcm, n)).sum::<i32>() - at(own, n)).collect();
                let quiet = sums.iter().all(|s| i16::try_from(*s).is_ok());
                for (sum, out) in sums.iter().zip(&out) {
                    prop_assert!(sum.signum() * i32::from(*out).signum() >= 0);
                    prop_assert!(!quiet || *sum == i32::from(*out));
                }
            }
        }
    }
}
