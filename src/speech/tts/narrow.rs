//! Any engine's rate to the line's 8 kHz, piece by piece. Owner: one voice. Invariants: pieces give the same samples as the
//! whole; nothing above 4.6 kHz folds back by more than −40 dB; what comes out lies where the input lies, to the
//! millisecond (start-up delay is taken out, and the end is pushed through by [`Narrow::finish`]). Off the packet path.
//!
//! | from, kHz | by |
//! |---|---|
//! | 8 | as it is |
//! | 16 | the half-band filter that the engines were tried with |
//! | 24, 48 | the line's own polyphase filter |
//! | others from 8 to 192 | an FFT resampler in blocks of about 20 ms |

use callwright_dsp::resample::half_band::{DELAY_16K, Downsampler2};
use callwright_dsp::resample::{Rate, Resampler};
use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Fft, FixedSync, Indexing, Resampler as _, WindowFunction};

/// The line's rate, Hz.
const LINE_HZ: u32 = 8000;
/// Samples that the filters with a table take at a time.
const BLOCK: usize = 4096;

/// One engine's way to the line.
pub(super) struct Narrow {
    from: u32,
    filter: Filter,
    /// Samples of start-up delay that are still to be dropped.
    drop: usize,
    room: Vec<i16>,
}

enum Filter {
    Same,
    Half(Box<Downsampler2>),
    Table(Box<Resampler>),
    Blocks(Box<Blocks>),
}

/// The FFT resampler takes whole blocks only.
struct Blocks {
    engine: Fft<f32>,
    waiting: Vec<f32>,
    output: Vec<f32>,
}

impl Narrow {
    /// From this many samples a second.
    ///
    /// # Errors
    /// In words, when there is no way from that rate.
    pub(super) fn new(from: u32) -> Result<Self, String> {
        let filter = match (from, Rate::try_from(from)) {
            (LINE_HZ, _) => Filter::Same,
            (16_000, _) => Filter::Half(Box::default()),
            (_, Ok(rate)) => Filter::Table(Box::new(Resampler::new(rate, Rate::Hz8000))),
            (8_001..=192_000, Err(_)) => Filter::Blocks(Box::new(Blocks::new(from)?)),
            _ => return Err(format!("a voice at {from} Hz cannot be brought to the line: 8,000 to 192,000 Hz can")),
        };
        let mut narrow = Self { from, filter, drop: 0, room: vec![0; BLOCK] };
        narrow.drop = narrow.delay();
        Ok(narrow)
    }

    /// Samples at 8 kHz by which the filter lags.
    fn delay(&self) -> usize {
        match &self.filter {
            Filter::Same => 0,
            Filter::Half(_) => DELAY_16K / 2,
            Filter::Table(resampler) => (resampler.delay_ms() * f64::from(LINE_HZ) / 1000.0).round() as usize,
            Filter::Blocks(blocks) => blocks.engine.output_delay(),
        }
    }

    /// Takes samples and appends those that are due to `out`.
    pub(super) fn process(&mut self, input: &[i16], out: &mut Vec<i16>) {
        let before = out.len();
        for part in input.chunks(BLOCK) {
            let room = &mut self.room;
            match &mut self.filter {
                Filter::Same => out.extend_from_slice(part),
                Filter::Half(half) => {
                    let made = half.process(part, room);
                    out.extend_from_slice(&room[..made]);
                }
                Filter::Table(resampler) => {
                    let made = resampler.process(part, room).written;
                    out.extend_from_slice(&room[..made]);
                }
                Filter::Blocks(blocks) => blocks.process(part, out),
            }
        }
        let dropped = self.drop.min(out.len() - before);
        out.drain(before..before + dropped);
        self.drop -= dropped;
    }

    /// Pushes the rest of the signal through and is ready for another.
    pub(super) fn finish(&mut self, out: &mut Vec<i16>) {
        // Silence for as long as the filter lags, and for a whole block where it works in blocks.
        let block = if let Filter::Blocks(blocks) = &self.filter { blocks.engine.input_frames_max() } else { 0 };
        let lag = self.delay() * self.from.div_ceil(LINE_HZ) as usize + block;
        self.process(&vec![0; lag], out);
        self.reset();
    }

    /// Forgets the signal.
    pub(super) fn reset(&mut self) {
        match &mut self.filter {
            Filter::Same => {}
            Filter::Half(half) => **half = Downsampler2::default(),
            Filter::Table(resampler) => resampler.reset(),
            Filter::Blocks(blocks) => {
                blocks.engine.reset();
                blocks.waiting.clear();
            }
        }
        self.drop = self.delay();
    }
}

impl Blocks {
    fn new(from: u32) -> Result<Self, String> {
        let (from, to) = (from as usize, LINE_HZ as usize);
        let window = WindowFunction::BlackmanHarris2;
        let engine = Fft::new_custom(from, to, from / 50, 1, 1, window, FixedSync::Both)
            .map_err(|error| format!("a voice at {from} Hz cannot be brought to the line: {error}"))?;
        let output = vec![0.0; engine.output_frames_max()];
        Ok(Self { engine, waiting: Vec::new(), output })
    }

    fn process(&mut self, input: &[i16], out: &mut Vec<i16>) {
        self.waiting.extend(input.iter().map(|sample| f32::from(*sample)));
        loop {
            let needed = self.engine.input_frames_next();
            if self.waiting.len() < needed {
                return;
            }
            let room = self.output.len();
            let made = SequentialSlice::new(&self.waiting[..needed], 1, needed).ok().and_then(|source| {
                let mut sink = SequentialSlice::new_mut(&mut self.output[..], 1, room).ok()?;
                let (_, made) = self.engine.process_into_buffer(&source, &mut sink, None::<&Indexing>).ok()?;
                Some(made)
            });
            // Neither can fail with buffers of the sizes that the engine asked for; should they, silence is the answer.
            let made = made.unwrap_or(0).min(room);
            // A sample beyond full scale by the filter's ripple saturates.
            out.extend(self.output[..made].iter().map(|sample| sample.round() as i16));
            self.waiting.drain(..needed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use callwright_dsp::tone::Tone;

    const RATES: [u32; 9] = [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000];

    fn tone(hz: f64, rate: u32, seconds: f64) -> Vec<i16> {
        let mut pcm = vec![0; (f64::from(rate) * seconds) as usize];
        Tone::new(hz, rate, -6.0).fill(&mut pcm);
        pcm
    }

    fn narrowed(rate: u32, pcm: &[i16], piece: usize) -> Vec<i16> {
        let mut narrow = Narrow::new(rate).unwrap();
        let mut out = Vec::new();
        for part in pcm.chunks(piece) {
            narrow.process(part, &mut out);
        }
        narrow.finish(&mut out);
        out
    }

    /// Level of one frequency (a correlation), dB relative to a full-scale sine.
    fn level_at(pcm: &[i16], hz: f64) -> f64 {
        let (mut re, mut im) = (0.0, 0.0);
        for (n, s) in pcm.iter().enumerate() {
            let angle = std::f64::consts::TAU * hz * n as f64 / 8000.0;
            re += f64::from(*s) * angle.cos();
            im += f64::from(*s) * angle.sin();
        }
        20.0 * (2.0 * re.hypot(im) / pcm.len() as f64 / 32_768.0).max(1e-9).log10()
    }

    #[test]
    fn speech_passes_at_its_level_from_every_rate() {
        for rate in RATES {
            for hz in [200.0, 1000.0, 2500.0, 3200.0] {
                let out = narrowed(rate, &tone(hz, rate, 0.6), 700);
                let level = level_at(&out[800..4000], hz);
                assert!((level + 6.0).abs() < 0.6, "{rate} Hz, {hz}: {level}");
            }
        }
    }

    #[test]
    fn nothing_folds_back_into_speech() {
        for rate in RATES.into_iter().filter(|rate| *rate > 11_025) {
            for hz in [4800.0, 5500.0, 7000.0, 7900.0].into_iter().filter(|hz| *hz < f64::from(rate) / 2.0 - 50.0) {
                let out = narrowed(rate, &tone(hz, rate, 0.6), 700);
                let alias = level_at(&out[800..4000], 8000.0 - hz);
                assert!(alias < -6.0 - 40.0, "{rate} Hz: alias of {hz} at {alias}");
            }
        }
    }

    #[test]
    fn pieces_make_the_same_as_the_whole_and_nothing_is_lost_or_moved() {
        for rate in RATES {
            // A click in the middle of a second.
            let mut pcm = vec![0_i16; rate as usize];
            let at = rate as usize / 2;
            pcm[at..at + rate as usize / 4000].fill(20_000);
            let whole = narrowed(rate, &pcm, pcm.len());
            assert_eq!(whole, narrowed(rate, &pcm, 37), "{rate} Hz");
            let peak = (0..whole.len()).max_by_key(|n| whole[*n].unsigned_abs()).unwrap();
            assert!(peak.abs_diff(4000) <= 8, "{rate} Hz: the click is {} samples off", peak as i64 - 4000);
            assert!(whole.len() >= 8000 - 8, "{rate} Hz: {} samples", whole.len());
        }
    }

    #[test]
    fn a_rate_that_cannot_be_is_refused_in_words() {
        for rate in [0, 4000, 1_000_000] {
            assert!(Narrow::new(rate).is_err_and(|why| why.contains("cannot be brought to the line")));
        }
    }

    #[test]
    fn after_the_end_it_begins_anew() {
        let mut narrow = Narrow::new(22_050).unwrap();
        let pcm = tone(500.0, 22_050, 0.3);
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for out in [&mut first, &mut second] {
            narrow.process(&pcm, out);
            narrow.finish(out);
        }
        assert_eq!(first, second);
    }
}
