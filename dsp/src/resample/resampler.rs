//! The stream. Purpose: hand blocks to the kernel and remember what the next one needs. Owner: who owns the signal.

use super::filter::{self, Filter, ROW_MAX, Rate};
use crate::kernel::Kernels;

/// Input that goes through the kernel at a time: 10 ms at 48 kHz.
const BLOCK: usize = 480;

/// What one call of [`Resampler::process`] did.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Progress {
    /// Samples of the input that were taken.
    pub read: usize,
    /// Samples of the output that were filled.
    pub written: usize,
}

/// One signal on its way from one rate to another.
#[derive(Clone, Debug)]
pub struct Resampler {
    filter: &'static Filter,
    kernels: &'static Kernels,
    from: Rate,
    /// Where the next output lies: samples of the common rate after the first input that is still to come.
    next: usize,
    /// The last `row - 1` samples of the input, then room for a block.
    window: [i16; ROW_MAX - 1 + BLOCK],
}

impl Resampler {
    /// Ready for the first sample, with silence before it. Equal rates are copied, without delay.
    #[must_use]
    pub fn new(from: Rate, to: Rate) -> Self {
        Self::with_kernels(from, to, Kernels::best())
    }

    /// The same with a set of kernels other than the best: for tests and benchmarks, the result does not differ.
    #[must_use]
    pub const fn with_kernels(from: Rate, to: Rate, kernels: &'static Kernels) -> Self {
        let filter = filter::find(from, to);
        // An output may use every input up to the end of the step that it belongs to.
        let next = filter.polyphase.decimate() - 1;
        Self { filter, kernels, from, next, window: [0; ROW_MAX - 1 + BLOCK] }
    }

    /// Samples that the next call gives for `input` more samples: over time exactly `input · to / from`, less what waits.
    #[must_use]
    pub const fn output_len(&self, input: usize) -> usize {
        let polyphase = &self.filter.polyphase;
        (input * polyphase.interpolate()).saturating_sub(self.next).div_ceil(polyphase.decimate())
    }

    /// Delay of every frequency in the passband, milliseconds: output sample `m` is what the input was at
    /// `m / to − delay`.
    #[must_use]
    pub fn delay_ms(&self) -> f64 {
        let polyphase = &self.filter.polyphase;
        let samples = self.filter.middle + 1 - polyphase.decimate();
        let common_hz = self.from.hz() as usize * polyphase.interpolate();
        1_000.0 * samples as f64 / common_hz as f64
    }

    /// Takes samples and gives those that are due. Room for [`output_len`](Self::output_len) is enough for all of `input`;
    /// with less, input is left over (see [`Progress::read`]) and belongs at the front of the next call.
    pub fn process(&mut self, input: &[i16], output: &mut [i16]) -> Progress {
        let polyphase = &self.filter.polyphase;
        let (interpolate, decimate) = (polyphase.interpolate(), polyphase.decimate());
        let past = polyphase.row() - 1;
        let mut progress = Progress::default();
        loop {
            let (input, output) = (&input[progress.read..], &mut output[progress.written..]);
            let fits = (output.len() * decimate + self.next) / interpolate;
            let read = input.len().min(BLOCK).min(fits);
            if read == 0 {
                return progress;
            }
            let written = self.output_len(read);
            self.window[past..past + read].copy_from_slice(&input[..read]);
            self.kernels.polyphase(polyphase, &self.window[..past + read], self.next, &mut output[..written]);
            self.window.copy_within(read..read + past, 0);
            self.next = self.next + written * decimate - read * interpolate;
            progress.read += read;
            progress.written += written;
        }
    }

    /// Forgets the signal.
    pub fn reset(&mut self) {
        self.next = self.filter.polyphase.decimate() - 1;
        self.window.fill(0);
    }
}
