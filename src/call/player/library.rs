//! The files that callers are played. Purpose: each is read once and shared by all calls; a file that was replaced is read
//! again by the next call. Threads that may wait for the disk. Invariants: as many files are kept as the configuration
//! names, each of `limits::AUDIO_FILE_MAX` at most. Deliberately absent: which file is for whom.

use super::wave::{self, WaveError};
use crate::config::{App, Config};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// What tells one version of a file from the next.
type Version = (Option<SystemTime>, u64);
type Files = HashMap<PathBuf, (Version, Arc<[i16]>)>;

/// Samples by file.
#[derive(Debug, Default)]
pub struct Library {
    files: Mutex<Files>,
}

impl Library {
    /// The samples of a file, 8 kHz mono. Waits for the disk.
    ///
    /// # Errors
    /// [`WaveError`].
    pub fn get(&self, path: &Path) -> Result<Arc<[i16]>, WaveError> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let version = std::fs::metadata(path).map(|m| (m.modified().ok(), m.len())).ok();
        if let (Some(version), Some((kept, pcm))) = (version, files.get(path))
            && version == *kept
        {
            return Ok(Arc::clone(pcm));
        }
        // What cannot be read now is not played from memory: the operator took it away.
        files.remove(path);
        let pcm: Arc<[i16]> = wave::read(path)?.into();
        if let Some(version) = version {
            files.insert(path.to_path_buf(), (version, Arc::clone(&pcm)));
        }
        Ok(pcm)
    }

    /// Reads every file that the configuration names, so that a mistake is found before the first caller.
    ///
    /// # Errors
    /// [`WaveError`] of the first that cannot be played.
    pub fn check(&self, config: &Config) -> Result<(), WaveError> {
        let apps = config.routes.iter().flat_map(|route| [Some(&route.app), route.fallback.as_ref()]).flatten();
        apps.into_iter().try_for_each(|app| match app {
            App::Play(path) => self.get(path).map(drop),
            _ => Ok(()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, samples: &[i16]) {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 8000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(path, spec).unwrap();
        samples.iter().for_each(|s| writer.write_sample(*s).unwrap());
        writer.finalize().unwrap();
    }

    #[test]
    fn a_file_is_read_once_until_it_changes_and_not_at_all_when_it_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        write(&path, &[1, 2, 3]);
        let library = Library::default();
        let first = library.get(&path).unwrap();
        assert!(Arc::ptr_eq(&first, &library.get(&path).unwrap()));
        write(&path, &[4, 5]);
        assert_eq!(*library.get(&path).unwrap(), [4, 5]);
        std::fs::remove_file(&path).unwrap();
        assert!(library.get(&path).unwrap_err().to_string().contains("a.wav"));
    }
}
