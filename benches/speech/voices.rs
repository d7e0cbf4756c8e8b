//! The callers' voices. Purpose: each sentence said once by each synthetic voice, kept on the disk, so that every engine and
//! every run hears the same samples. One thread. Deliberately absent: the line (`channel`), the agent's voice (`mouth`).

use super::channel::to_telephone;
use super::random::Random;
use super::screen::Progress;
use callwright_dsp::level;
use callwright_models::Assets;
use callwright_models::tts::Flite;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// The voices that count, and one aside: a diphone voice, which no person sounds like.
pub const VOICES: [&str; 3] = ["rms", "awb", "slt"];
pub const ASIDE: &str = "kal16";
/// Changes when the samples would.
const EDITION: &str = "1";
/// What stands around speech and is no speech, dB to full scale.
const SILENCE_DBFS: f32 = -45.0;

/// Says `text`, or fetches what was said before: telephone band, 8 kHz, no silence around it.
pub struct Voices {
    directory: PathBuf,
    assets: Assets,
    loaded: Vec<(String, Flite)>,
}

impl Voices {
    pub fn new(cache: &Path) -> Self {
        Self { directory: cache.join("voices").join(EDITION), assets: Assets::locate(), loaded: Vec::new() }
    }

    /// All texts by one voice, in order.
    pub fn say_all(&mut self, voice: &str, texts: &[String]) -> Result<Vec<Vec<i16>>, String> {
        let progress = Progress::new(&format!("voice {voice}"), texts.len());
        let mut said = Vec::with_capacity(texts.len());
        for text in texts {
            said.push(self.say(voice, text)?);
            progress.step();
        }
        Ok(said)
    }

    pub fn say(&mut self, voice: &str, text: &str) -> Result<Vec<i16>, String> {
        let file = self.directory.join(format!("{voice}-{:016x}.raw", Random::of(text).bits()));
        if let Ok(octets) = fs::read(&file) {
            return Ok(octets.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect());
        }
        let mut wide = Vec::new();
        self.load(voice)?.speak(text, &mut |chunk| {
            wide.extend_from_slice(chunk);
            ControlFlow::Continue(())
        });
        let narrow = to_telephone(&wide);
        let first = level::first_voiced(&narrow, 8000, SILENCE_DBFS).unwrap_or(0);
        let last = level::last_voiced(&narrow, 8000, SILENCE_DBFS).unwrap_or(0);
        let speech = narrow.get(first..=last).unwrap_or_default().to_vec();
        fs::create_dir_all(&self.directory).map_err(|e| format!("{}: {e}", self.directory.display()))?;
        let octets: Vec<u8> = speech.iter().flat_map(|s| s.to_le_bytes()).collect();
        // Whole or not at all: an interrupted run leaves no half sentence behind.
        let partial = file.with_extension("partial");
        fs::write(&partial, octets)
            .and_then(|()| fs::rename(&partial, &file))
            .map_err(|e| format!("{}: {e}", file.display()))?;
        Ok(speech)
    }

    fn load(&mut self, voice: &str) -> Result<&mut Flite, String> {
        let at = match self.loaded.iter().position(|(name, _)| name == voice) {
            Some(at) => at,
            None => {
                let flite = Flite::load(&self.assets, voice).map_err(|e| e.to_string())?;
                self.loaded.push((voice.to_owned(), flite));
                self.loaded.len() - 1
            }
        };
        Ok(&mut self.loaded[at].1)
    }
}
