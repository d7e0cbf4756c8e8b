//! Trying a pack: loading it whole and using it once, in a process that may end doing so.
//!
//! Purpose: what [`check`] cannot see (a graph that does not run, an engine that gives up) must cost a child
//! process and not the daemon: [`load`] is what the child does (`callwright models probe DIRECTORY`). That it went well is
//! written down beside the pack's files, so that a pack is tried once and not at every start. Any thread; blocks for as long
//! as a model takes to load. Invariants: the note is worth something only for the very files and the very library that were
//! tried. Deliberately absent: starting the child (`packs` of the daemon).

use super::check::{self, CheckError};
use super::kokoro;
use super::{Family, Installed, Kind};
use crate::asr::{AsrError, OfflineEngine, OfflinePlan, OnlineEngine, OnlinePlan};
use crate::assets::{AssetError, Assets};
use crate::session::{self, SessionError};
use crate::sherpa;
use crate::tts::{KokoroPlan, KokoroVoice, SherpaVoice, TtsError, VoicePlan};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Instant, UNIX_EPOCH};

/// Beside the pack's files: what was tried, and what came of it.
const STAMP: &str = ".probed";
/// The same of a try that failed.
const REFUSAL: &str = ".refused";

/// Why a pack cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Its files are not what they should be.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// A library is missing or of another version: the operator installs it.
    #[error(transparent)]
    Asset(#[from] AssetError),
    /// ONNX Runtime refuses a graph.
    #[error("{pack}: {file} is damaged: {why}; install it again with: callwright models install {pack}")]
    Graph {
        /// The pack.
        pack: String,
        /// The file.
        file: PathBuf,
        /// What the runtime said.
        why: String,
    },
    /// The recogniser cannot be made.
    #[error(transparent)]
    Asr(#[from] AsrError),
    /// The voice cannot be made, or says nothing.
    #[error(transparent)]
    Tts(#[from] TtsError),
}

/// Loads the pack's engine and uses it once: a second of silence is recognised, or a word is said. Says what it is, for
/// people. Where the pack is bad beyond what can be checked this may end the process.
///
/// # Errors
/// [`ProbeError`].
pub fn load(assets: &Assets, installed: &Installed) -> Result<String, ProbeError> {
    let checked = check::check(installed)?;
    let pack = &installed.pack;
    let started = Instant::now();
    let mut about = match pack.kind {
        Kind::StreamingAsr => {
            let version = sherpa::version(assets)?;
            graphs(assets, installed)?;
            let mut engine = OnlineEngine::load(assets, installed, &OnlinePlan::default())?;
            // Two turns at once, because calls will be decoded together.
            let mut turns = [engine.begin()?, engine.begin()?];
            for turn in &mut turns {
                turn.accept(&[0; 8000]);
                engine.finish(turn);
            }
            engine.decode(turns.iter_mut(), usize::MAX);
            for turn in &turns {
                engine.result(turn);
            }
            version
        }
        Kind::OfflineAsr => {
            let version = sherpa::version(assets)?;
            graphs(assets, installed)?;
            OfflineEngine::load(assets, installed, &OfflinePlan::default())?.recognise(&[0; 8000])?;
            version
        }
        Kind::Tts if pack.family == Family::KokoroGraph => {
            let mut voice = KokoroVoice::load(assets, installed, &KokoroPlan::default())?;
            let mut samples = 0;
            voice.speak("Hello.", &mut |chunk| {
                samples += chunk.len();
                ControlFlow::Continue(())
            })?;
            // Of the others the length alone was looked at.
            for file in installed.files("voices") {
                kokoro::styles(&file).map_err(|error| CheckError::Damaged {
                    pack: pack.name.clone(),
                    file,
                    why: error.to_string(),
                })?;
            }
            let speakers = pack.speakers().len();
            format!("ONNX Runtime, {} Hz, {speakers} voices, {} symbols", voice.sample_rate(), voice.symbols())
        }
        Kind::Tts => {
            let version = sherpa::version(assets)?;
            graphs(assets, installed)?;
            let mut voice = SherpaVoice::load(assets, installed, VoicePlan::default())?;
            let mut samples = 0;
            voice.speak("Hello.", &mut |chunk| {
                samples += chunk.len();
                ControlFlow::Continue(())
            })?;
            let speakers = match voice.speakers() {
                1 => String::new(),
                many => format!(", {many} voices"),
            };
            format!("{version}, {} Hz{speakers}", voice.sample_rate())
        }
        Kind::EndOfTurn => {
            graphs(assets, installed)?;
            "ONNX Runtime".to_owned()
        }
    };
    if let Some(tokens) = &checked.tokens {
        // Writing to a string cannot fail.
        let _ = write!(about, ", {} symbols", tokens.len());
    }
    let _ = write!(about, ", loaded in {:.1} s", started.elapsed().as_secs_f32());
    Ok(format!("{}: {} on {about}", pack.name, check::name(pack.family)))
}

/// Every graph, as ONNX Runtime reads it: its words say more than the engine's.
fn graphs(assets: &Assets, installed: &Installed) -> Result<(), ProbeError> {
    for part in check::graphs(installed.pack.family) {
        let Some(file) = installed.file(part) else { continue };
        match session::open(assets, "speech packs", &file) {
            Ok(_) => {}
            Err(SessionError::Asset(error)) => return Err(error.into()),
            Err(SessionError::Runtime(error)) => {
                return Err(ProbeError::Graph { pack: installed.pack.name.clone(), file, why: error.to_string() });
            }
        }
    }
    Ok(())
}

/// What an earlier try said of these very files with this very library; `None`: it has to be tried (again).
#[must_use]
pub fn tried(assets: &Assets, installed: &Installed) -> Option<String> {
    noted(STAMP, assets, installed)
}

/// Why an earlier try of these very files with this very library failed; `None`: it did not, or has to be tried again.
#[must_use]
pub fn refused(assets: &Assets, installed: &Installed) -> Option<String> {
    noted(REFUSAL, assets, installed)
}

fn noted(file: &str, assets: &Assets, installed: &Installed) -> Option<String> {
    let found = fs::read_to_string(installed.directory().join(file)).ok()?;
    Some(found.strip_prefix(&stamp(assets, installed))?.trim().to_owned())
}

/// Writes down that the pack was tried and what it said. A pack in a place that cannot be written to is tried again at every
/// start, which is slower and nothing else.
///
/// # Errors
/// The disk.
pub fn note(assets: &Assets, installed: &Installed, said: &str) -> io::Result<()> {
    write_note(STAMP, assets, installed, said)?;
    // Whatever failed before has gone well now.
    match fs::remove_file(installed.directory().join(REFUSAL)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Writes down that a try failed, and why.
///
/// # Errors
/// The disk.
pub fn note_refusal(assets: &Assets, installed: &Installed, why: &str) -> io::Result<()> {
    write_note(REFUSAL, assets, installed, why)
}

fn write_note(file: &str, assets: &Assets, installed: &Installed, said: &str) -> io::Result<()> {
    let partial = installed.directory().join(format!("{file}.partial"));
    fs::write(&partial, format!("{}{said}\n", stamp(assets, installed)))?;
    fs::rename(partial, installed.directory().join(file))
}

/// What was tried: the library and every file of the pack, by length and time of its last change.
fn stamp(assets: &Assets, installed: &Installed) -> String {
    let mut stamp = format!("{}\n", env!("CARGO_PKG_VERSION"));
    let mut file = |name: &str, path: &Path| {
        let (length, changed) = fs::metadata(path).map_or((0, 0), |found| {
            let changed = found.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            (found.len(), changed.map_or(0, |time| time.as_millis()))
        });
        // Writing to a string cannot fail.
        let _ = writeln!(stamp, "{name} {length} {changed}");
    };
    for library in [assets.sherpa(), assets.onnx_runtime()].into_iter().flatten() {
        file(&library.display().to_string(), &library);
    }
    for part in installed.pack.files.keys() {
        for path in installed.files(part) {
            file(part, &path);
        }
    }
    stamp.push('\n');
    stamp
}
