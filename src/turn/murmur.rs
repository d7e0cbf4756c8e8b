//! Whether a voice has only murmured so far ("mm-hm"). Purpose: people agree with closed lips, and recognisers make nothing or
//! anything of it; a sentence opens them within some syllables. Pure. Deliberately absent: words.

use callwright_dsp::brightness::BELOW_LOUDEST_DB;

/// So many chunks of the voice of late count: half a second.
const CHUNKS: usize = 16;
/// Fewer say nothing.
const CHUNKS_MIN: usize = 8;
/// A chunk of which less lies above 750 Hz is dark, dB.
const DARK_DB: f32 = -21.0;
/// So many chunks that are not may be an "h".
const BRIGHT_MAX: usize = 1;

/// Level and brightness of a voice's chunks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Murmur {
    chunks: [(f32, f32); CHUNKS],
    heard: usize,
}

impl Murmur {
    /// A chunk's level, dBFS, and how much of it lies above 750 Hz, dB.
    pub(super) fn push(&mut self, level_dbfs: f32, bright_db: f32) {
        self.chunks[self.heard % CHUNKS] = (level_dbfs, bright_db);
        self.heard += 1;
    }

    /// Whatever of it is loud is dark.
    pub(super) fn is_closed(&self) -> bool {
        let chunks = &self.chunks[..self.heard.min(CHUNKS)];
        let loudest = chunks.iter().map(|(level, _)| *level).fold(f32::MIN, f32::max);
        let loud = || chunks.iter().filter(|(level, _)| *level >= loudest - BELOW_LOUDEST_DB);
        self.heard >= CHUNKS_MIN && loud().filter(|(_, bright)| *bright > DARK_DB).count() <= BRIGHT_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(chunks: &[(f32, f32)]) -> bool {
        let mut murmur = Murmur::default();
        chunks.iter().for_each(|(level, bright)| murmur.push(*level, *bright));
        murmur.is_closed()
    }

    #[test]
    fn closed_lips_are_told_from_words() {
        let hum = [(-24.0, -28.0); 12];
        assert!(heard(&hum));
        assert!(!heard(&hum[..5]), "too little");
        // "mm-hm": its breath is faint.
        let breath = [(-38.0, -2.0); 3];
        assert!(heard(&[&hum[..5], &breath, &hum[..5]].concat()));
        // "maybe": its vowel comes third.
        let vowel = [(-22.0, -9.0); 6];
        assert!(!heard(&[&hum[..3], &vowel].concat()));
        // Who murmured and went on to speak.
        assert!(!heard(&[&hum, &hum, &vowel[..2]].concat()));
    }
}
