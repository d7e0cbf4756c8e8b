//! A pack is tried once before the daemon itself loads it. Purpose: a start costs no trial of what has not changed since
//! the last, and no engine ends the daemon. Owning thread: whichever starts the speech plane; waits for the child.
//! Invariants: the daemon loads a pack only after this has said what it is. Deliberately absent: the child (`verify`), what
//! it does (`models::pack::probe`).

use super::error::PackError;
use super::verify;
use callwright_models::Assets;
use callwright_models::pack::{Installed, check, probe};
use std::path::Path;

/// Why the daemon does not load a pack. Another pack serves, or the embedded engine; retrying helps when the pack was
/// mended.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// Its files are not what they should be.
    #[error(transparent)]
    Check(#[from] check::CheckError),
    /// The child that loaded it said no, or died of it.
    #[error("{name} does not work here: {why}; try it again with: callwright models verify {name}")]
    Fails {
        /// The pack.
        name: String,
        /// In a sentence.
        why: String,
    },
}

/// Says what the pack is: at once where these files were tried with this library before, else after a child of `program`
/// (our own) has loaded it and used it once.
///
/// # Errors
/// [`TrialError`]: why not to load it.
pub fn once(program: &Path, assets: &Assets, installed: &Installed) -> Result<String, TrialError> {
    let name = &installed.pack.name;
    // Takes no time, and has better words than a child that died.
    check::check(installed)?;
    if let Some(said) = probe::tried(assets, installed) {
        return Ok(said);
    }
    // What hung or died once would hold up or harm every start: it is not tried unasked again while nothing has changed.
    if let Some(why) = probe::refused(assets, installed) {
        return Err(TrialError::Fails { name: name.clone(), why });
    }
    let said = verify::at_start(program, name, installed.directory()).map_err(|error| match error {
        PackError::Verification { name, why } => {
            if !why.starts_with(verify::NOT_STARTED)
                && let Err(error) = probe::note_refusal(assets, installed, &why)
            {
                tracing::info!(%name, %error, "that this pack does not work cannot be written down; it is tried again at the next start");
            }
            TrialError::Fails { name, why }
        }
        other => TrialError::Fails { name: name.clone(), why: other.to_string() },
    })?;
    if let Err(error) = probe::note(assets, installed, &said) {
        tracing::info!(%name, %error, "the trial of this pack cannot be written down; it is tried again at the next start");
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use callwright_models::double;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn program(directory: &Path, body: &str) -> std::path::PathBuf {
        let file = directory.join("program");
        fs::write(&file, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        file
    }

    fn pack(directory: &Path) -> Installed {
        let directory = directory.join("pack");
        fs::create_dir_all(&directory).unwrap();
        for file in double::pack().files.values() {
            fs::write(directory.join(file), "nothing").unwrap();
        }
        Installed { pack: double::pack(), directory }
    }

    #[test]
    fn what_cannot_be_a_pack_is_not_even_tried() {
        let directory = tempfile::tempdir().unwrap();
        let mark = directory.path().join("mark");
        let program = program(directory.path(), &format!("touch '{}'; echo fine", mark.display()));
        let error = once(&program, &Assets::at("/nonexistent"), &pack(directory.path())).unwrap_err().to_string();
        assert!(error.contains("model.onnx is damaged"), "{error}");
        assert!(!mark.exists());
    }

    #[test]
    fn a_pack_is_tried_once_whatever_comes_of_it() {
        let assets = Assets::locate();
        let Ok(double) = double::installed(&assets) else { return };
        let directory = tempfile::tempdir().unwrap();
        let pack = pack(directory.path());
        for file in pack.pack.files.values() {
            fs::copy(double.directory().join(file), pack.directory().join(file)).unwrap();
        }
        let count = directory.path().join("count");
        let tries = |body: &str| {
            let program = program(directory.path(), &format!("echo x >>'{}'; {body}", count.display()));
            let said = once(&program, &assets, &pack).map_err(|error| error.to_string());
            (said, fs::read_to_string(&count).unwrap().lines().count())
        };
        let (said, count) = tries("echo 'tokens.txt: bad' >&2; exit 255");
        assert!(said.is_err_and(|why| why.contains("tokens.txt: bad")) && count == 1);
        // The refusal is known now, and costs the next start nothing.
        let (said, count) = tries("sleep 100");
        assert!(said.is_err_and(|why| why.contains("tokens.txt: bad") && why.contains("models verify")) && count == 1);
        // Other files are another matter.
        let tokens = fs::read(pack.file("tokens").unwrap()).unwrap();
        fs::write(pack.file("tokens").unwrap(), tokens).unwrap();
        assert_eq!(tries("echo it works"), (Ok("it works".to_owned()), 2));
        assert_eq!(tries("exit 255"), (Ok("it works".to_owned()), 2));
    }
}
