//! `callwright models`: the packs of this machine. One file per concern: [`table`] for what is listed, [`bar`] for what is
//! fetched, [`probe`] for the child that tries a pack. Main thread; waits for network and disk.

mod act;
mod bar;
mod probe;
mod table;

use crate::config::Config;
use crate::packs::PackError;
use callwright_models::pack::Shelf;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `models`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Packs make callwright understand people better and speak more naturally than its embedded engines do. They lie in
models/ below data.dir, are checked against the SHA-256 that this version knows, and are loaded once by a child
process before they serve. The daemon takes them up at its next start. Without network:

  on a machine with network   curl -LO URL            (URLs: callwright models list --json)
  here                        callwright models install --from-file sherpa-onnx-….tar.bz2

CALLWRIGHT_OFFLINE=1 forbids the network; CALLWRIGHT_MODELS_MIRROR=URL fetches from below URL by file name instead.
Exit codes: 0 done; 1 failed; 2 wrong arguments, unknown pack or configuration; 3 the network or another
installation is in the way, the same command may succeed later.")]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
    /// Configuration file (TOML), which says where data.dir is; without it the defaults hold.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// What there is, what is installed (○) and what serves (●).
    List {
        /// Only what is installed here.
        #[arg(long)]
        installed: bool,
        /// For programs, with URLs and digests.
        #[arg(long)]
        json: bool,
    },
    /// Fetch a pack, check it, try it, and let it serve.
    #[command(after_help = "A fetch that was cut goes on where it stopped: give the same command again.")]
    Install(Install),
    /// Look for damage and load the pack again, in a child process.
    Verify {
        /// One pack; without it all that are installed.
        name: Option<String>,
    },
    /// Take a pack off this machine; if it served, the embedded engine serves again.
    Remove {
        /// The pack.
        name: String,
    },
    /// Let an installed pack serve for its kind.
    Use {
        /// The pack, or `embedded:KIND` for the embedded engine: streaming-asr, offline-asr, tts, end-of-turn.
        name: String,
    },
    /// Measure an installed pack on this machine: real-time factor, first audio.
    Bench {
        /// The pack.
        name: String,
    },
    /// Load the pack in a directory and use it once (the other subcommands start this).
    #[command(hide = true)]
    Probe {
        /// With its pack.toml.
        directory: PathBuf,
        /// Measure, too.
        #[arg(long)]
        bench: bool,
    },
}

#[derive(Debug, clap::Args)]
struct Install {
    /// Names, or parts of a name that only one pack has (`20M`, `ljspeech-medium`).
    #[arg(required_unless_present_any = ["recommended", "from_file"])]
    names: Vec<String>,
    /// A streaming recogniser and a voice: under 160 MB, free to use.
    #[arg(long, conflicts_with_all = ["names", "from_file"])]
    recommended: bool,
    /// With --recommended: only what is missing, only if the host answers within 5 s, and never a failure (set-up does
    /// this; CI and CALLWRIGHT_OFFLINE prevent it).
    #[arg(long, requires = "recommended")]
    quick: bool,
    /// An archive, a model file or a directory on this machine instead of the network. What the pack needs beside its
    /// archive is looked for in the same directory.
    #[arg(long, value_name = "PATH", conflicts_with = "names")]
    from_file: Option<PathBuf>,
    /// With --from-file: which pack it is, where its file name does not say so.
    #[arg(long, value_name = "NAME", requires = "from_file")]
    name: Option<String>,
    /// Fetch from below this URL by file name, instead of from the releases [env: CALLWRIGHT_MODELS_MIRROR].
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
}

/// Runs the chosen action. Exit codes: see `--help`.
pub fn run(arguments: &Arguments) -> ExitCode {
    if let Action::Probe { directory, bench } = &arguments.action {
        return probe::run(directory, *bench);
    }
    let config = match Config::load(arguments.config.as_deref(), std::env::vars()) {
        Ok(config) => config,
        Err(error) => {
            bar::fault(&error);
            return ExitCode::from(2);
        }
    };
    let shelf = Shelf::open(crate::packs::directory(&config.data.dir));
    let outcome = match &arguments.action {
        Action::List { installed, json } => {
            table::print(&shelf, *installed, *json);
            Ok(())
        }
        Action::Install(install) => act::install(shelf, install),
        Action::Verify { name } => act::verify(shelf, name.as_deref()),
        Action::Remove { name } => act::remove(&shelf, name),
        Action::Use { name } => act::choose(&shelf, name),
        Action::Bench { name } => act::bench(&shelf, name),
        Action::Probe { .. } => Ok(()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            bar::fault(&error);
            match error {
                PackError::Unknown { .. } => ExitCode::from(2),
                error if error.is_passing() => ExitCode::from(3),
                _ => ExitCode::FAILURE,
            }
        }
    }
}
