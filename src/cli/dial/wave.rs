//! WAV files in and out (RIFF, integer PCM). Purpose: what `--play`, `play =` and `--record` name. Any thread, before or
//! after the call, never during it. Deliberately absent: compressed and floating-point WAV (the message says so).

use std::path::Path;

use callwright_dsp::resample::{Rate, Resampler};

/// The rate of everything on the phone, Hz.
pub const RATE_HZ: u32 = 8000;

/// Reads a file as 8 kHz mono: the mean of its channels, 16, 24 and 48 kHz brought down, other rates refused.
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
    match Rate::try_from(spec.sample_rate) {
        Ok(rate) => Ok(resampled(&mono, rate)),
        Err(_) => Err(format!(
            "{name}: {} Hz; give 8000, 16000, 24000 or 48000 Hz, e.g. `sox in.wav -r 8000 -c 1 -b 16 out.wav`",
            spec.sample_rate
        )),
    }
}

/// 16 kHz → 8 kHz, whole signal, the filter's delay taken out.
pub fn halve(pcm: &[i16]) -> Vec<i16> {
    resampled(pcm, Rate::Hz16000)
}

/// From any of the resampler's rates to 8 kHz, whole signal, the filter's delay taken out to the nearest sample.
fn resampled(pcm: &[i16], from: Rate) -> Vec<i16> {
    let mut down = Resampler::new(from, Rate::Hz8000);
    let per_ms = f64::from(RATE_HZ) / 1_000.0;
    // A handful of samples.
    let delay = (down.delay_ms() * per_ms).round() as usize;
    let step = (from.hz() / RATE_HZ) as usize;
    let padded: Vec<i16> = pcm.iter().copied().chain(std::iter::repeat_n(0, step * delay)).collect();
    let mut out = vec![0; down.output_len(padded.len())];
    down.process(&padded, &mut out);
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
        assert!(read(&path).unwrap_err().contains("sox"));
        std::fs::write(&path, b"no wave").unwrap();
        assert!(read(&path).unwrap_err().contains("cannot be read as WAV"));
        assert!(read(&dir.path().join("none.wav")).unwrap_err().contains("none.wav"));
    }
}
