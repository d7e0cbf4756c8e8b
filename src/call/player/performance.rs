//! What one caller is played, frame by frame. Sans-IO. Invariants: every performance ends, with one frame that says so; a
//! file is played from its first sample to its last. Deliberately absent: threads, files.

use crate::id::{Generation, UtteranceId};
use crate::limits::{FRAME_SAMPLES, TONE_MAX};
use crate::media::OutFrame;
use callwright_dsp::tone::{Cadence, Signal};
use std::sync::Arc;
use std::time::Duration;

use super::wave::RATE_HZ;

/// Silence after a file: the far end's buffer plays its last syllable before the BYE comes.
const TAIL: Duration = Duration::from_millis(300);

/// What is played.
#[derive(Clone, Debug)]
pub enum Source {
    /// A call-progress or test tone.
    Tone(Signal),
    /// A file's samples, 8 kHz.
    File(Arc<[i16]>),
}

/// One caller's.
#[derive(Debug)]
pub(super) struct Performance {
    voice: Voice,
    /// Samples that were made, and that will have been.
    position: u64,
    end: u64,
}

#[derive(Debug)]
enum Voice {
    Tone(Box<Cadence>),
    File(Arc<[i16]>),
}

impl Performance {
    pub(super) fn new(source: Source) -> Self {
        let samples = |length: Duration| length.as_secs() * u64::from(RATE_HZ) + u64::from(length.subsec_millis()) * 8;
        let (voice, end) = match source {
            Source::Tone(signal) => (Voice::Tone(Box::new(Cadence::new(signal, RATE_HZ))), samples(TONE_MAX)),
            Source::File(pcm) => {
                let end = pcm.len() as u64 + samples(TAIL);
                (Voice::File(pcm), end)
            }
        };
        Self { voice, position: 0, end }
    }

    /// The next frame; `None` after the last.
    pub(super) fn poll_frame(&mut self) -> Option<OutFrame> {
        if self.position >= self.end {
            return None;
        }
        let mut pcm = [0; FRAME_SAMPLES];
        match &mut self.voice {
            Voice::Tone(cadence) => cadence.fill(&mut pcm),
            Voice::File(file) => {
                // Beyond the file's end there is silence.
                let rest = usize::try_from(self.position).ok().and_then(|at| file.get(at..)).unwrap_or_default();
                let here = rest.len().min(FRAME_SAMPLES);
                pcm[..here].copy_from_slice(&rest[..here]);
            }
        }
        self.position += FRAME_SAMPLES as u64;
        Some(OutFrame {
            generation: Generation(0),
            utterance: UtteranceId(0),
            end: self.position >= self.end,
            // A constant below 65,536.
            len: FRAME_SAMPLES as u16,
            pcm,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(source: Source) -> Vec<OutFrame> {
        let mut performance = Performance::new(source);
        std::iter::from_fn(|| performance.poll_frame()).collect()
    }

    #[test]
    fn a_file_is_played_whole_then_silence_then_it_ends() {
        for length in [0usize, 1, 159, 160, 161, 4000] {
            let pcm: Arc<[i16]> = (1..=length).map(|n| n as i16).collect();
            let frames = all(Source::File(Arc::clone(&pcm)));
            let played: Vec<i16> = frames.iter().flat_map(|f| f.pcm).collect();
            assert_eq!(&played[..length], &*pcm);
            assert!(played[length..].iter().all(|s| *s == 0));
            assert!((2400..2560).contains(&(played.len() - length)), "{}", played.len() - length);
            assert_eq!(frames.iter().filter(|f| f.end).count(), 1);
            assert!(frames.last().unwrap().end);
        }
    }

    #[test]
    fn a_tone_lasts_as_long_as_a_tone_may() {
        let mut performance = Performance::new(Source::Tone(Signal::default()));
        let mut frames = 0u64;
        while let Some(frame) = performance.poll_frame() {
            frames += 1;
            assert_eq!(frame.end, frames == TONE_MAX.as_secs() * 50);
        }
        assert_eq!(frames, TONE_MAX.as_secs() * 50);
    }
}
