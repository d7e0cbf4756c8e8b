//! WAV files of a dialled call. Purpose: reads what `--play` and `play =` name, writes what `--record` names. Any thread,
//! before or after the call, never during it. Deliberately absent: formats (`call::player::wave` knows them).

use crate::call::player::wave;
use callwright_dsp::resample::half_band::{DELAY_16K, Downsampler2};
use std::path::Path;

pub use wave::RATE_HZ;

/// Reads a file as 8 kHz mono.
///
/// # Errors
/// A sentence that names the file and what to change.
pub fn read(path: &Path) -> Result<Vec<i16>, String> {
    wave::read(path).map_err(|e| e.to_string())
}

/// 16 kHz → 8 kHz, whole signal, the filter's delay taken out.
pub fn halve(pcm: &[i16]) -> Vec<i16> {
    // The filter stands on the second sample of a pair, so it lags an even number of samples.
    let delay = DELAY_16K / 2;
    let padded: Vec<i16> = pcm.iter().copied().chain(std::iter::repeat_n(0, 2 * delay)).collect();
    let mut out = vec![0; padded.len().div_ceil(2)];
    let written = Downsampler2::default().process(&padded, &mut out);
    out.truncate(written);
    out.drain(..delay.min(out.len()));
    out
}

/// Writes 8 kHz 16-bit samples, interleaved when there are several channels.
///
/// # Errors
/// A sentence that names the file.
pub fn write(path: &Path, channels: u16, samples: &[i16]) -> Result<(), String> {
    let spec =
        hound::WavSpec { channels, sample_rate: RATE_HZ, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let cannot = |e: hound::Error| format!("{}: cannot be written: {e}", path.display());
    let mut writer = hound::WavWriter::create(path, spec).map_err(cannot)?;
    for &s in samples {
        writer.write_sample(s).map_err(cannot)?;
    }
    writer.finalize().map_err(cannot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        write(&path, 1, &[1, -2, i16::MAX, i16::MIN]).unwrap();
        assert_eq!(read(&path).unwrap(), [1, -2, i16::MAX, i16::MIN]);
        write(&path, 2, &[10, 20, -10, -30]).unwrap();
        assert_eq!(read(&path).unwrap(), [15, -20]);
    }
}
