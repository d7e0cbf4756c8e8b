//! WAV files in and out (RIFF, integer PCM). Purpose: what `--play`, `play =` and `--record` name. Any thread, before or
//! after the call, never during it. Deliberately absent: compressed and floating-point WAV (the message says so).

use std::path::Path;

use callwright_dsp::resample::{DELAY_16K, Downsampler2};

/// The rate of everything on the phone, Hz.
pub const RATE_HZ: u32 = 8000;

/// Reads a file as 8 kHz mono: the mean of its channels, 16 kHz brought down, other rates refused.
///
/// # Errors
/// A sentence that names the file and what to change.
pub fn read(path: &Path) -> Result<Vec<i16>, String> {
    let name = path.display();
    let mut reader = hound::WavReader::open(path).map_err(|e| format!("{name}: cannot be read as WAV: {e}"))?;
    let spec = reader.spec();
    if spec.sample_format != hound::SampleFormat::Int || spec.bits_per_sample > 32 || spec.channels == 0 {
        return Err(format!(
            "{name}: only integer PCM is played; convert with `sox in.wav -r 8000 -c 1 -b 16 out.wav`"
        ));
    }
    let shift = i32::from(spec.bits_per_sample) - 16;
    let channels = usize::from(spec.channels);
    let mut mono = Vec::with_capacity(reader.duration() as usize);
    let (mut sum, mut filled) = (0i64, 0usize);
    for sample in reader.samples::<i32>() {
        let sample = sample.map_err(|e| format!("{name}: broken after {} samples: {e}", mono.len()))?;
        sum += i64::from(if shift >= 0 { sample >> shift } else { sample << -shift });
        filled += 1;
        if filled == channels {
            mono.push((sum / channels as i64).clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16);
            (sum, filled) = (0, 0);
        }
    }
    match spec.sample_rate {
        RATE_HZ => Ok(mono),
        16_000 => Ok(halve(&mono)),
        other => {
            Err(format!("{name}: {other} Hz; give 8000 or 16000 Hz, e.g. `sox in.wav -r 8000 -c 1 -b 16 out.wav`"))
        }
    }
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
    fn what_is_written_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        write(&path, 1, &[1, -2, i16::MAX, i16::MIN]).unwrap();
        assert_eq!(read(&path).unwrap(), [1, -2, i16::MAX, i16::MIN]);
        write(&path, 2, &[10, 20, -10, -30]).unwrap();
        assert_eq!(read(&path).unwrap(), [15, -20]);
    }

    #[test]
    fn other_depths_and_rates_are_brought_down() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("b.wav");
        write_spec(&path, spec(1, 8000, 24), &[256, -512]);
        assert_eq!(read(&path).unwrap(), [1, -2]);
        let tone: Vec<i32> = (0..16_000).map(|n| (8000.0 * (f64::from(n) * 0.1).sin()) as i32).collect();
        write_spec(&path, spec(1, 16_000, 16), &tone);
        let half = read(&path).unwrap();
        assert_eq!(half.len(), 8000);
        let worst = (100..7900).map(|n| (i32::from(half[n]) - tone[2 * n]).abs()).max().unwrap();
        assert!(worst < 60, "in step: {worst}");
    }

    #[test]
    fn what_cannot_be_played_says_how_to_convert() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.wav");
        write_spec(&path, spec(1, 44_100, 16), &[1]);
        assert!(read(&path).unwrap_err().contains("sox"));
        std::fs::write(&path, b"no wave").unwrap();
        assert!(read(&path).unwrap_err().contains("cannot be read as WAV"));
        assert!(read(&dir.path().join("none.wav")).unwrap_err().contains("none.wav"));
    }
}
