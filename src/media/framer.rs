//! Samples of any number → frames of 20 ms. Purpose: for encoders that take whole frames only, and for what is sent at
//! 20 ms whatever came in. Media workers; inline. Invariants: no sample is lost, repeated or reordered; less than a frame
//! waits. Deliberately absent: time.

/// Samples that wait for the rest of their frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Framer {
    pcm: [i16; Self::FRAME_MAX],
    len: usize,
}

impl Framer {
    /// Samples in 20 ms at the highest rate of a path, 16 kHz.
    pub(super) const FRAME_MAX: usize = 320;

    pub(super) const fn new() -> Self {
        Self { pcm: [0; Self::FRAME_MAX], len: 0 }
    }

    /// Samples in 20 ms.
    pub(super) fn frame(rate: u32) -> usize {
        (rate as usize / 50).clamp(1, Self::FRAME_MAX)
    }

    /// Takes samples at `rate` off the front of `pcm`; a frame, once one is complete. Call until `None`.
    pub(super) fn poll_frame(&mut self, rate: u32, pcm: &mut &[i16]) -> Option<&[i16]> {
        let frame = Self::frame(rate);
        // Another rate than before, with samples left: they are of no use.
        if self.len >= frame {
            self.len = 0;
        }
        let (head, rest) = pcm.split_at((frame - self.len).min(pcm.len()));
        self.pcm[self.len..self.len + head.len()].copy_from_slice(head);
        self.len += head.len();
        *pcm = rest;
        if self.len < frame {
            return None;
        }
        self.len = 0;
        Some(&self.pcm[..frame])
    }

    /// Samples that wait.
    pub(super) const fn waiting(&self) -> usize {
        self.len
    }

    /// Forgets what waits.
    pub(super) const fn clear(&mut self) {
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_sample_comes_out_in_order(lens in proptest::collection::vec(1usize..=960, 1..40), wide: bool) {
            let rate = if wide { 16_000 } else { 8_000 };
            let (mut framer, mut next, mut expected) = (Framer::new(), 0i16, 0i16);
            for len in lens {
                let samples: Vec<i16> = (0..len).map(|_| { next = next.wrapping_add(1); next }).collect();
                let mut left = &samples[..];
                while let Some(frame) = framer.poll_frame(rate, &mut left) {
                    prop_assert_eq!(frame.len(), Framer::frame(rate));
                    for sample in frame {
                        expected = expected.wrapping_add(1);
                        prop_assert_eq!(*sample, expected);
                    }
                }
                prop_assert!(left.is_empty() && framer.waiting() < Framer::frame(rate));
            }
        }
    }
}
