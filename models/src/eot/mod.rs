//! End-of-turn models: whether a pause ends what the caller has to say.
//!
//! | file | holds |
//! |---|---|
//! | `features` | what the model looks at |
//!
//! Purpose: smart-turn's third version behind one function, as it was embedded at set-up or from a pack. Owning thread: whichever made it; about as much work
//! at once as 0.1 s of recognition, so never on the thread that hears. Invariants: computes on the caller's thread alone;
//! the same samples give the same answer. Deliberately absent: when to ask (`speech`), what follows from it (`turn`).
//!
//! Graph (smart-turn 3): `input_features` f32 [batch, 80, 800] → probability f32 [batch, 1] that the speaker has finished.

mod features;

pub use features::{Features, RATE_HZ, WINDOW_SAMPLES};

use crate::assets::{AssetError, Assets, SETUP_COMMAND};
use crate::pack::{Family, Installed, digest, known};
use crate::session::{self, SessionError};
use features::{BANDS, FRAMES};
use ort::session::Session;
use ort::value::{TensorElementType, TensorRef};
use std::path::Path;

/// Who wants the graph, for messages.
const PART: &str = "end of turn";
const INPUT: &str = "input_features";
/// The pack that the embedded file is, octet for octet.
pub const EMBEDDED: &str = "smart-turn-v3.2-cpu";

/// Why ends of turns cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum EotError {
    /// ONNX Runtime is missing: the operator installs it.
    #[error(transparent)]
    Asset(#[from] AssetError),
    /// The pack is no model of this kind, or is damaged: the operator installs another.
    #[error("end of turn: pack {pack}: {why}; install it again with: callwright models install {pack}")]
    Pack {
        /// Its name.
        pack: String,
        /// What is wrong.
        why: String,
    },
    /// The file that set-up put there is not the one that was pinned, or cannot be run: the operator sets up again.
    #[error("end of turn: the embedded {EMBEDDED}: {why}; install it again with: {SETUP_COMMAND}")]
    Embedded {
        /// What is wrong.
        why: String,
    },
}

/// A loaded model.
#[derive(Debug)]
pub struct EndOfTurn {
    /// Its pack; none is the embedded one.
    pack: Option<String>,
    session: Session,
    features: Features,
}

impl EndOfTurn {
    /// Loads a pack and asks it once, so that the first question of a call costs no more than the others.
    ///
    /// # Errors
    /// [`EotError`]: what to install.
    pub fn load(assets: &Assets, installed: &Installed) -> Result<Self, EotError> {
        let pack = installed.pack.name.clone();
        let refused = |why: String| EotError::Pack { pack: pack.clone(), why };
        if installed.pack.family != Family::SmartTurn {
            return Err(refused("it holds no end-of-turn model".into()));
        }
        let file = installed.file("model").ok_or_else(|| refused("it names no file for its model".into()))?;
        Self::open(assets, Some(pack), &file)
    }

    /// Loads the model that set-up put into `native/`, after its digest: what is damaged is not given to the runtime.
    ///
    /// # Errors
    /// [`EotError`]: what to install.
    pub fn embedded(assets: &Assets) -> Result<Self, EotError> {
        let file = assets.end_of_turn()?;
        let damaged = |why: String| EotError::Embedded { why };
        let found = digest::of_file(&file).map_err(|error| damaged(error.to_string()))?;
        if known(EMBEDDED).is_none_or(|pack| pack.sha256.as_ref() != Some(&found)) {
            return Err(damaged("the file is damaged".to_owned()));
        }
        Self::open(assets, None, &file)
    }

    fn open(assets: &Assets, pack: Option<String>, file: &Path) -> Result<Self, EotError> {
        let session = session::open(assets, PART, file).map_err(|error| match error {
            SessionError::Asset(error) => EotError::Asset(error),
            SessionError::Runtime(error) => refused(pack.as_deref(), error.to_string()),
        })?;
        check(&session).map_err(|why| refused(pack.as_deref(), why))?;
        let mut model = Self { pack, session, features: Features::new() };
        model.probability(&[])?;
        Ok(model)
    }

    /// Probability 0–1 that the speaker has finished. `samples`: 16 kHz, of the turn so far; the last 8 s count.
    ///
    /// # Errors
    /// [`EotError`] when the model cannot be run or answers with something else.
    pub fn probability(&mut self, samples: &[i16]) -> Result<f32, EotError> {
        let features = self.features.compute(samples);
        let answer = ask(&mut self.session, features);
        let pack = self.pack.as_deref();
        let answer = answer.map_err(|error| refused(pack, error.to_string()))?;
        answer
            .filter(|probability| (0.0..=1.0).contains(probability))
            .ok_or_else(|| refused(pack, "its answer is no probability".into()))
    }
}

fn refused(pack: Option<&str>, why: String) -> EotError {
    match pack {
        Some(pack) => EotError::Pack { pack: pack.to_owned(), why },
        None => EotError::Embedded { why },
    }
}

fn ask(session: &mut Session, features: &[f32]) -> ort::Result<Option<f32>> {
    let outputs = session.run(ort::inputs! {
        INPUT => TensorRef::from_array_view(([1_usize, BANDS, FRAMES], features))?,
    })?;
    // Its name says "logits" in some releases; it is the only one.
    let Some(output) = outputs.values().next() else { return Ok(None) };
    Ok(output.try_extract_tensor::<f32>()?.1.first().copied())
}

/// Whether the graph takes what we have.
fn check(session: &Session) -> Result<(), String> {
    let [input] = session.inputs() else { return Err("its model has more than one input".into()) };
    if input.name() != INPUT {
        return Err(format!("its model's input is called {}, not {INPUT}", input.name()));
    }
    let shape = input.dtype().tensor_shape().map(|shape| shape.to_vec()).unwrap_or_default();
    let fits = matches!(shape.as_slice(), [_, bands, frames]
        if (*bands == BANDS as i64 || *bands < 0) && (*frames == FRAMES as i64 || *frames < 0));
    if !fits || input.dtype().tensor_type() != Some(TensorElementType::Float32) {
        return Err(format!("its model takes {} of {shape:?}, not [_, {BANDS}, {FRAMES}]", input.dtype()));
    }
    if session.outputs().len() != 1 {
        return Err("its model has more than one output".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
