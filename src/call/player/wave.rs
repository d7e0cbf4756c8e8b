//! WAV files as telephone audio (RIFF, integer PCM). Purpose: what `play:FILE` and the simulated caller's `--play` name.
//! Any thread that may wait for the disk. Invariants: at most [`AUDIO_FILE_MAX`] is kept, whatever the file says of itself;
//! every refusal names the file and what to do. Deliberately absent: compressed and floating-point WAV (the message says
//! so), writing.

use crate::limits::AUDIO_FILE_MAX;
use callwright_dsp::resample::{Rate, Resampler};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The rate of everything on the phone, Hz.
pub const RATE_HZ: u32 = 8000;
/// Samples that are resampled at a time.
const BLOCK: usize = 4800;

/// Why a file cannot be played: the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum WaveError {
    /// It is not there, not allowed or no WAV.
    #[error("{path}: cannot be read as WAV: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        source: hound::Error,
    },
    /// Samples that are not integers.
    #[error("{path}: only integer PCM is played; convert with `sox in.wav -r 8000 -c 1 -b 16 out.wav`")]
    Encoding {
        /// The file.
        path: PathBuf,
    },
    /// A rate that no filter is there for.
    #[error("{path}: {rate} Hz; give 8000, 16000, 24000 or 48000 Hz, e.g. `sox in.wav -r 8000 -c 1 -b 16 out.wav`")]
    Rate {
        /// The file.
        path: PathBuf,
        /// Its rate.
        rate: u32,
    },
    /// More than is kept.
    #[error("{path}: longer than {} minutes; cut it, e.g. `sox in.wav out.wav trim 0 {}`", AUDIO_FILE_MAX.as_secs() / 60, AUDIO_FILE_MAX.as_secs())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
}

/// Reads a file as 8 kHz mono: the mean of its channels, 16, 24 and 48 kHz brought down.
///
/// # Errors
/// [`WaveError`].
pub fn read(path: &Path) -> Result<Vec<i16>, WaveError> {
    let unreadable = |source| WaveError::Unreadable { path: path.to_path_buf(), source };
    let reader = hound::WavReader::open(path).map_err(unreadable)?;
    let spec = reader.spec();
    if spec.sample_format != hound::SampleFormat::Int || spec.bits_per_sample > 32 || spec.channels == 0 {
        return Err(WaveError::Encoding { path: path.to_path_buf() });
    }
    let rate = Rate::try_from(spec.sample_rate)
        .map_err(|_| WaveError::Rate { path: path.to_path_buf(), rate: spec.sample_rate })?;
    if u64::from(reader.duration()) > AUDIO_FILE_MAX.as_secs() * u64::from(spec.sample_rate) {
        return Err(WaveError::TooLong { path: path.to_path_buf() });
    }
    let mut narrow = Narrow::new(rate);
    each_mono(reader, |sample| narrow.push(sample)).map_err(unreadable)?;
    Ok(narrow.finish())
}

/// The mean of the channels, sample by sample, at 16 bits.
fn each_mono<R: Read>(mut reader: hound::WavReader<R>, mut take: impl FnMut(i16)) -> Result<(), hound::Error> {
    let spec = reader.spec();
    let shift = i32::from(spec.bits_per_sample) - 16;
    let channels = usize::from(spec.channels);
    let (mut sum, mut filled) = (0i64, 0usize);
    for sample in reader.samples::<i32>() {
        let sample = sample?;
        sum += i64::from(if shift >= 0 { sample >> shift } else { sample << -shift });
        filled += 1;
        if filled == channels {
            take((sum / channels as i64).clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16);
            (sum, filled) = (0, 0);
        }
    }
    Ok(())
}

/// A signal on its way to 8 kHz, a block at a time.
struct Narrow {
    resampler: Resampler,
    from: Rate,
    block: Vec<i16>,
    out: Vec<i16>,
}

impl Narrow {
    fn new(from: Rate) -> Self {
        Self { resampler: Resampler::new(from, Rate::Hz8000), from, block: Vec::with_capacity(BLOCK), out: Vec::new() }
    }

    fn push(&mut self, sample: i16) {
        self.block.push(sample);
        if self.block.len() == BLOCK {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let (held, due) = (self.out.len(), self.resampler.output_len(self.block.len()));
        self.out.resize(held + due, 0);
        self.resampler.process(&self.block, &mut self.out[held..]);
        self.block.clear();
    }

    fn finish(mut self) -> Vec<i16> {
        let per_ms = f64::from(RATE_HZ) / 1_000.0;
        // A handful of samples.
        let delay = (self.resampler.delay_ms() * per_ms).round() as usize;
        let step = (self.from.hz() / RATE_HZ) as usize;
        for _ in 0..step * delay {
            self.push(0);
        }
        self.flush();
        self.out.drain(..delay.min(self.out.len()));
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_spec(path: &Path, spec: hound::WavSpec, samples: &[i32]) {
        let mut writer = hound::WavWriter::create(path, spec).unwrap();
        for &s in samples {
            writer.write_sample(s).unwrap();
        }
        writer.finalize().unwrap();
    }

    fn spec(channels: u16, sample_rate: u32, bits_per_sample: u16) -> hound::WavSpec {
        hound::WavSpec { channels, sample_rate, bits_per_sample, sample_format: hound::SampleFormat::Int }
    }

    #[test]
    fn samples_are_read_as_they_are_and_channels_as_their_mean() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        write_spec(&path, spec(1, 8000, 16), &[1, -2, 32_767, -32_768]);
        assert_eq!(read(&path).unwrap(), [1, -2, i16::MAX, i16::MIN]);
        write_spec(&path, spec(2, 8000, 16), &[10, 20, -10, -30]);
        assert_eq!(read(&path).unwrap(), [15, -20]);
    }

    #[test]
    fn other_depths_and_rates_are_brought_down() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("b.wav");
        write_spec(&path, spec(1, 8000, 24), &[256, -512]);
        assert_eq!(read(&path).unwrap(), [1, -2]);
        for rate in [16_000, 24_000, 48_000] {
            let turn = 2_000.0 / f64::from(rate);
            let tone: Vec<i32> = (0..rate).map(|n| (8000.0 * (f64::from(n) * turn).sin()) as i32).collect();
            write_spec(&path, spec(1, u32::try_from(rate).unwrap(), 16), &tone);
            let brought = read(&path).unwrap();
            assert_eq!(brought.len(), 8000);
            let step = tone.len() / brought.len();
            let worst = (100..7900).map(|n| (i32::from(brought[n]) - tone[step * n]).abs()).max().unwrap();
            // The filter's ripple is 4 %, one sample out of step 25 %.
            assert!(worst < 1000, "{rate} Hz in step: {worst}");
        }
    }

    #[test]
    fn what_cannot_be_played_says_how_to_convert() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.wav");
        write_spec(&path, spec(1, 44_100, 16), &[1]);
        let refused = |path: &Path| read(path).unwrap_err().to_string();
        assert!(refused(&path).contains("sox"));
        std::fs::write(&path, b"no wave").unwrap();
        assert!(refused(&path).contains("cannot be read as WAV"));
        assert!(refused(&dir.path().join("none.wav")).contains("none.wav"));
    }

    #[test]
    fn a_file_that_is_too_long_or_lies_about_its_length_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d.wav");
        write_spec(&path, spec(1, 8000, 16), &[1; 100]);
        let mut octets = std::fs::read(&path).unwrap();
        let at = octets.windows(4).position(|w| w == b"data").unwrap() + 4;
        octets[at..at + 4].copy_from_slice(&(u32::MAX - 1).to_le_bytes());
        std::fs::write(&path, &octets).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("trim"));
        // Shorter than it says: what is there ends in the middle.
        octets[at..at + 4].copy_from_slice(&400u32.to_le_bytes());
        std::fs::write(&path, &octets).unwrap();
        assert!(matches!(read(&path), Err(WaveError::Unreadable { .. })));
    }
}
