//! `callwright models probe DIRECTORY`: what the child process does that tries a pack. Main thread; may be ended by the
//! engine, which is why it is a process of its own. Prints what it did, or on stderr why the pack is refused.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the parent reads what is printed")]

use crate::packs::verify::REFUSED;
use callwright_models::Assets;
use callwright_models::pack::shelf::PACK_FILE;
use callwright_models::pack::{Installed, manifest};
use std::path::Path;
use std::process::ExitCode;

pub(super) fn run(directory: &Path, bench: bool) -> ExitCode {
    match installed(directory).and_then(|installed| tried(&installed, bench)) {
        Ok(what) => {
            println!("{what}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(REFUSED)
        }
    }
}

fn installed(directory: &Path) -> Result<Installed, String> {
    let label = directory.join(PACK_FILE);
    let text = std::fs::read_to_string(&label).map_err(|error| format!("{}: {error}", label.display()))?;
    let pack = manifest::parse_one(&text).map_err(|error| format!("{}: {error}", label.display()))?;
    Ok(Installed { pack, directory: directory.to_path_buf() })
}

fn tried(installed: &Installed, _bench: bool) -> Result<String, String> {
    let assets = Assets::locate();
    let mut graphs = 0;
    for (part, file) in installed.pack.files.iter().filter(|(_, file)| file.ends_with(".onnx")) {
        callwright_models::session::open(&assets, "model packs", &installed.directory.join(file))
            .map_err(|error| format!("{part}: {error}"))?;
        graphs += 1;
    }
    Ok(format!("{graphs} graphs opened"))
}
