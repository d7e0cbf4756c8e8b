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
    /// Share of the chunk that has a pitch, 0 to 1.
    pub pitched: f32,
    /// Energy above 750 Hz against all of it, dB: of a murmur with closed lips, next to none.
    pub bright_db: f32,
    /// It may be the agent's own voice out of the caller's speaker, which is not certain yet. (What is so for certain is not
    /// reported as voice.)
    pub maybe_echo: bool,
    /// The caller's speaker returns the agent's voice, for certain or perhaps.
    pub echoes: bool,
    /// How the last voice ended; only in a pause.
    pub contour: Option<Contour>,
}

impl Default for Sound {
    /// Silence.
    fn default() -> Self {
        Self {
            level_dbfs: -96.0,
            stirring: false,
            pitched: 0.0,
            bright_db: 0.0,
            maybe_echo: false,
            echoes: false,
            contour: None,
        }
    }
}
