//! Trying a pack: loading it whole and using it once, in a process that may end doing so.
//!
//! Purpose: what [`check`](super::check) cannot see (a graph that does not run, an engine that gives up) costs a child
//! process and not the daemon. [`load`] is what the child does; [`in_child`] starts it, and writes down that it went well,
//! so that a pack is tried once and not at every start. Any thread; blocks for as long as a model takes to load.
//! Invariants: the note is worth something only for the very files and the very library that were tried. Deliberately
//! absent: the command line of the child (`callwright models probe DIRECTORY`).

use super::check::{self, CheckError};
use super::{Installed, Kind};
use crate::asr::{AsrError, OfflineEngine, OfflinePlan, OnlineEngine, OnlinePlan};
use crate::assets::{AssetError, Assets};
use crate::session::{self, SessionError};
use crate::sherpa;
use crate::tts::{SherpaVoice, TtsError, VoicePlan};
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

/// Beside the pack's files: what was tried, and what came of it.
const STAMP: &str = ".probed";
/// What the child says is kept up to this length: the end is what tells.
const SAID_MAX: usize = 64 << 10;
/// How often the child is looked at.
const POLL: Duration = Duration::from_millis(10);

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
    /// The child could not be started or read. Worth a retry.
    #[error("{pack}: cannot be tried in a process of its own: {source}")]
    Child {
        /// The pack.
        pack: String,
        /// What the system said.
        source: io::Error,
    },
    /// The child ended otherwise than by its own will.
    #[error(
        "{pack}: the engine gave up on it ({how}): {said}; install it again with: callwright models install {pack}"
    )]
    Died {
        /// The pack.
        pack: String,
        /// Exit status or signal.
        how: String,
        /// The last that it said.
        said: String,
    },
    /// The child took too long.
    #[error("{pack}: not loaded after {seconds} s; the machine is overloaded, or too small for this pack")]
    Late {
        /// The pack.
        pack: String,
        /// How long was waited.
        seconds: u64,
    },
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

/// Tries the pack in a child, `executable models probe DIRECTORY`, unless these files were tried before with this library.
/// Returns what the child said.
///
/// # Errors
/// [`ProbeError`].
pub fn in_child(
    executable: &Path,
    assets: &Assets,
    installed: &Installed,
    patience: Duration,
) -> Result<String, ProbeError> {
    // Cheap, and its words are better than those of a child that died.
    check::check(installed)?;
    if installed.pack.kind != Kind::EndOfTurn {
        sherpa::version(assets)?;
    }
    let stamp = stamp(assets, installed);
    let file = installed.directory().join(STAMP);
    if let Ok(found) = fs::read_to_string(&file)
        && let Some(said) = found.strip_prefix(&stamp)
    {
        return Ok(said.trim().to_owned());
    }
    let mut command = Command::new(executable);
    command.args(["models", "probe"]).arg(installed.directory());
    let said = run(&mut command, &installed.pack.name, patience)?;
    // A pack in a place that cannot be written to is tried at every start.
    drop(fs::write(&file, format!("{stamp}{said}\n")));
    Ok(said)
}

/// Runs the child to its end; its standard output is the answer.
fn run(command: &mut Command, pack: &str, patience: Duration) -> Result<String, ProbeError> {
    let failed = |source| ProbeError::Child { pack: pack.to_owned(), source };
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed)?;
    let reader = |pipe: Option<Box<dyn Read + Send>>| thread::spawn(move || pipe.map_or_else(Vec::new, tail));
    let answer = reader(child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>));
    let complaint = reader(child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>));
    let started = Instant::now();
    let status = loop {
        match child.try_wait().map_err(failed)? {
            Some(status) => break Some(status),
            None if started.elapsed() >= patience => {
                // It may have ended in this very moment, which is as well.
                drop(child.kill());
                drop(child.wait());
                break None;
            }
            None => thread::sleep(POLL),
        }
    };
    // A reader cannot panic, and ends with the child.
    let text = |reader: thread::JoinHandle<Vec<u8>>| {
        String::from_utf8_lossy(&reader.join().unwrap_or_default()).trim().to_owned()
    };
    let (answer, complaint) = (text(answer), text(complaint));
    match status {
        None => Err(ProbeError::Late { pack: pack.to_owned(), seconds: patience.as_secs() }),
        Some(status) if status.success() => Ok(answer),
        Some(status) => {
            let said = complaint.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
            Err(ProbeError::Died { pack: pack.to_owned(), how: ending(status), said: said.trim().to_owned() })
        }
    }
}

/// How a child ended, in words.
fn ending(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "for no known reason".to_owned(),
    }
}

/// Reads to the end and keeps the end.
fn tail(mut pipe: Box<dyn Read + Send>) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut some = [0; 4096];
    while let Ok(read) = pipe.read(&mut some) {
        if read == 0 {
            break;
        }
        kept.extend_from_slice(&some[..read]);
        if kept.len() > SAID_MAX {
            kept.drain(..kept.len() - SAID_MAX / 2);
        }
    }
    kept
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
    for (part, names) in &installed.pack.files {
        for name in names.split(',') {
            file(part, &installed.directory().join(name.trim()));
        }
    }
    stamp.push('\n');
    stamp
}
