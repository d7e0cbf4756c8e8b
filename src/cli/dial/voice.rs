//! The caller's voice. Purpose: sentences of a script → 8 kHz audio, all of it before the call, so that synthesis takes no
//! time from the call that is measured. Owner: the command, before it dials. Deliberately absent: the agent's own voice
//! (`script::check_voice` refuses it).

use std::ops::ControlFlow;

use callwright_models::tts::Flite;
use callwright_models::{AssetError, Assets};

use super::script::spoken_and_pauses;
use super::{level, wave};

/// Who speaks when nobody says otherwise: a man, so that nobody takes him for the agent.
pub const DEFAULT_VOICE: &str = "rms";

/// A voice that is ready to speak.
#[derive(Debug)]
pub struct Voice(Flite);

impl Voice {
    /// Loads a voice by name.
    ///
    /// # Errors
    /// [`AssetError`] names what to install.
    pub fn load(assets: &Assets, name: &str) -> Result<Self, AssetError> {
        Flite::load(assets, name).map(Self)
    }

    /// A text with pauses ("with [0.9] contacts") as 8 kHz audio.
    ///
    /// # Errors
    /// As [`spoken_and_pauses`].
    pub fn speak_with_pauses(&mut self, text: &str) -> Result<Vec<i16>, String> {
        let parts = spoken_and_pauses(text)?;
        let alone = parts.len() == 1;
        let mut pcm = Vec::new();
        for (said, pause) in parts {
            let speech = if said.is_empty() { Vec::new() } else { self.speak(said) };
            // A pause is as long as it says: without the silence that a voice puts around what it says.
            let voiced = level::first_voiced(&speech).zip(level::last_voiced(&speech)).filter(|_| !alone);
            pcm.extend_from_slice(voiced.map_or(&speech[..], |(first, last)| &speech[first..=last]));
            pcm.extend(std::iter::repeat_n(0, usize::try_from(pause.as_micros() / 125).unwrap_or(0)));
        }
        Ok(pcm)
    }

    /// One text as 8 kHz audio.
    pub fn speak(&mut self, text: &str) -> Vec<i16> {
        let mut wide = Vec::new();
        self.0.speak(text, &mut |chunk| {
            wide.extend_from_slice(chunk);
            ControlFlow::Continue(())
        });
        wave::halve(&wide)
    }
}
