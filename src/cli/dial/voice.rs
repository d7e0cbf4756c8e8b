//! The caller's voice. Purpose: sentences of a script → 8 kHz audio, all of it before the call, so that synthesis takes no
//! time from the call that is measured. Owner: the command, before it dials. Deliberately absent: the agent's own voice
//! (`script::check_voice` refuses it).

use std::ops::ControlFlow;

use callwright_models::tts::Flite;
use callwright_models::{AssetError, Assets};

use super::wave;

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
