//! What a moment of the caller's line sounds like, beside its being voice or not. Plain data, made by the ears. Deliberately
//! absent: words, judgement.

use callwright_dsp::prosody::Contour;

/// One judgement's sound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sound {
    /// Level of the chunk, dBFS.
    pub level_dbfs: f32,
    /// The first chunk that may be voice: too little to call it speech, enough to fall silent for.
    pub stirring: bool,
    /// How the last voice ended; only in a pause.
    pub contour: Option<Contour>,
}

impl Default for Sound {
    /// Silence.
    fn default() -> Self {
        Self { level_dbfs: -96.0, stirring: false, contour: None }
    }
}
