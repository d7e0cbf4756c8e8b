//! The packs of this machine: one directory each, and one small file that says which is active. Any thread; blocks on the
//! disk. Invariants: a directory becomes a pack by one rename, after everything in it was checked and written; the active
//! ones change by one rename; whoever changes the shelf holds its lock, which the kernel releases even after SIGKILL.
//! Readers need no lock. Deliberately absent: fetching and verifying (`packs` of the daemon).

use super::manifest::{self, ManifestError};
use super::{Installed, Kind, Pack, digest};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// The record of an installation, in the pack's directory.
pub const RECORD_FILE: &str = "installed.toml";
/// What a pack that is not in the catalogue says of itself, in its archive.
pub const PACK_FILE: &str = "pack.toml";
const ACTIVE_FILE: &str = "active.toml";
const LOCK_FILE: &str = ".lock";
/// Directories of ours that no pack may be called.
const STAGING: &str = ".staging";
const REMOVING: &str = ".removing";
/// An older pack while a newer one takes its place.
const REPLACED: &str = ".replaced";
/// Octets of a record.
const RECORD_OCTETS_MAX: u64 = 512 << 10;

/// Why the shelf refuses. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// No such pack on this machine.
    #[error("{name} is not installed; installed here: {installed}")]
    NotInstalled {
        /// What was asked for.
        name: String,
        /// What there is.
        installed: String,
    },
    /// Somebody else is changing the shelf.
    #[error("{}: another callwright is installing or removing packs; wait for it to end", directory.display())]
    Busy {
        /// The shelf.
        directory: PathBuf,
    },
    /// The record of a pack cannot be read.
    #[error("{name}: {why}; install it again: callwright models install {name}")]
    Record {
        /// The pack.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// The disk refused.
    #[error("{doing} {}: {source}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl ShelfError {
    fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { doing, path, source }
    }
}

/// What is known of an installed pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Digest of the archive; empty when it came as a directory.
    #[serde(default)]
    pub sha256: String,
    /// Whether that digest was known before; otherwise the first installation was trusted.
    pub pinned: bool,
    /// Where it came from.
    pub source: String,
    /// What its verification said.
    pub verified: String,
    /// File → SHA-256, so that later damage is told from a bad pack.
    pub digests: BTreeMap<String, String>,
    /// The pack; parts that it did not bring are left out.
    pub pack: Pack,
}

/// The directory of packs. It need not exist: then nothing is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shelf {
    directory: PathBuf,
}

/// Held by whoever changes a shelf; ends with the value, or with the process.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Shelf {
    /// The shelf in this directory.
    #[must_use]
    pub fn open(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// Where downloads wait until they are whole; they survive the process.
    #[must_use]
    pub fn downloads(&self) -> PathBuf {
        self.directory.join(".fetch")
    }

    /// Where the packs lie.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Every pack that can be used, by name.
    #[must_use]
    pub fn installed(&self) -> Vec<Installed> {
        self.names().iter().filter_map(|name| self.find(name)).collect()
    }

    /// Packs whose record cannot be read, with the reason.
    #[must_use]
    pub fn broken(&self) -> Vec<ShelfError> {
        self.names().iter().filter_map(|name| self.record(name).err()).collect()
    }

    /// One pack.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Installed> {
        let record = self.record(name).ok()?;
        Some(Installed { pack: record.pack, directory: self.directory.join(name) })
    }

    /// What is known of an installed pack.
    ///
    /// # Errors
    /// [`ShelfError::NotInstalled`], [`ShelfError::Record`].
    pub fn record(&self, name: &str) -> Result<Record, ShelfError> {
        let directory = self.directory.join(name);
        if !manifest::is_name(name) || !directory.is_dir() {
            return Err(self.not_installed(name));
        }
        let path = directory.join(RECORD_FILE);
        let broken = |why: String| ShelfError::Record { name: name.to_owned(), why };
        let text = read_text(&path).map_err(|error| broken(error.to_string()))?;
        let record: Record = toml::from_str(&text).map_err(|error| broken(error.to_string()))?;
        manifest::check(&record.pack).map_err(|error: ManifestError| broken(error.to_string()))?;
        if record.pack.name != name {
            return Err(broken(format!("its record is that of {}", record.pack.name)));
        }
        Ok(record)
    }

    /// The pack that serves for a kind.
    #[must_use]
    pub fn active(&self, kind: Kind) -> Option<Installed> {
        let name = self.choices().remove(kind.name())?;
        self.find(&name).filter(|installed| installed.pack.kind == kind)
    }

    /// Takes the right to change the shelf, and clears what a killed predecessor left.
    ///
    /// # Errors
    /// [`ShelfError::Busy`] when another process or thread has it; [`ShelfError::Io`].
    pub fn lock(&self) -> Result<Lock, ShelfError> {
        fs::create_dir_all(&self.directory).map_err(ShelfError::io("making", &self.directory))?;
        let path = self.directory.join(LOCK_FILE);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(ShelfError::io("opening", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(ShelfError::Busy { directory: self.directory.clone() }),
            Err(fs::TryLockError::Error(error)) => return Err(ShelfError::io("locking", &path)(error)),
        }
        self.put_back()?;
        for left in [STAGING, REMOVING] {
            delete(&self.directory.join(left))?;
        }
        Ok(Lock { _file: file })
    }

    /// A pack that had made room for one that never came is put back.
    fn put_back(&self) -> Result<(), ShelfError> {
        let aside = self.directory.join(REPLACED);
        let record = read_text(&aside.join(RECORD_FILE)).ok().and_then(|text| toml::from_str::<Record>(&text).ok());
        if let Some(name) = record.map(|record| record.pack.name).filter(|name| manifest::is_name(name)) {
            let target = self.directory.join(name);
            if !target.exists() {
                return fs::rename(&aside, &target).map_err(ShelfError::io("putting back", &target));
            }
        }
        delete(&aside)
    }

    /// An empty directory on the shelf's own file system, for a pack in the making.
    ///
    /// # Errors
    /// [`ShelfError::Io`].
    pub fn staging(&self, _lock: &Lock) -> Result<PathBuf, ShelfError> {
        let path = self.directory.join(STAGING);
        delete(&path)?;
        fs::create_dir_all(&path).map_err(ShelfError::io("making", &path))?;
        Ok(path)
    }

    /// Puts a finished directory on the shelf, in the place of an older pack of that name.
    ///
    /// # Errors
    /// [`ShelfError::Io`]; the older pack is then still there, unless the system refused to put it back.
    pub fn place(&self, _lock: &Lock, from: &Path, record: &Record) -> Result<Installed, ShelfError> {
        let name = &record.pack.name;
        let text = toml::to_string(record)
            .map_err(|error| ShelfError::Record { name: name.clone(), why: error.to_string() })?;
        write_whole(&from.join(RECORD_FILE), &text)?;
        let target = self.directory.join(name);
        let aside = self.directory.join(REPLACED);
        delete(&aside)?;
        let had_one = target.exists();
        if had_one {
            fs::rename(&target, &aside).map_err(ShelfError::io("moving aside", &target))?;
        }
        if let Err(error) = fs::rename(from, &target) {
            if had_one {
                fs::rename(&aside, &target).map_err(ShelfError::io("putting back", &target))?;
            }
            return Err(ShelfError::io("moving into place", &target)(error));
        }
        sync_directory(&self.directory)?;
        delete(&aside)?;
        Ok(Installed { pack: record.pack.clone(), directory: target })
    }

    /// Makes a pack the one that serves for its kind.
    ///
    /// # Errors
    /// [`ShelfError::NotInstalled`], [`ShelfError::Record`], [`ShelfError::Io`].
    pub fn activate(&self, _lock: &Lock, name: &str) -> Result<Installed, ShelfError> {
        let pack = self.record(name)?.pack;
        let mut choices = self.choices();
        choices.insert(pack.kind.name().to_owned(), name.to_owned());
        self.choose(&choices)?;
        Ok(Installed { pack, directory: self.directory.join(name) })
    }

    /// No pack serves for this kind: the embedded engine does.
    ///
    /// # Errors
    /// [`ShelfError::Io`].
    pub fn deactivate(&self, _lock: &Lock, kind: Kind) -> Result<(), ShelfError> {
        let mut choices = self.choices();
        choices.remove(kind.name());
        self.choose(&choices)
    }

    /// Takes a pack off the shelf, damaged ones too; returns the kind that it served for.
    ///
    /// # Errors
    /// [`ShelfError::NotInstalled`], [`ShelfError::Io`].
    pub fn remove(&self, lock: &Lock, name: &str) -> Result<Option<Kind>, ShelfError> {
        let path = self.directory.join(name);
        if !manifest::is_name(name) || !path.is_dir() {
            return Err(self.not_installed(name));
        }
        // First it serves no more, then it is gone: killed in between, nobody looks for it in vain.
        let served = Kind::ALL.into_iter().find(|kind| self.choices().get(kind.name()).is_some_and(|n| n == name));
        if let Some(kind) = served {
            self.deactivate(lock, kind)?;
        }
        let aside = self.directory.join(REMOVING);
        delete(&aside)?;
        fs::rename(&path, &aside).map_err(ShelfError::io("moving aside", &path))?;
        delete(&aside)?;
        Ok(served)
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(&self.directory)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| manifest::is_name(name) && self.directory.join(name).is_dir())
            .collect();
        names.sort();
        names
    }

    fn not_installed(&self, name: &str) -> ShelfError {
        let installed = self.names();
        let installed = if installed.is_empty() { "none".to_owned() } else { installed.join(", ") };
        ShelfError::NotInstalled { name: name.chars().take(manifest::NAME_MAX).collect(), installed }
    }

    /// Kind → name. A file that cannot be read is as good as none: the embedded engines serve.
    fn choices(&self) -> BTreeMap<String, String> {
        let text = read_text(&self.directory.join(ACTIVE_FILE)).unwrap_or_default();
        toml::from_str(&text).unwrap_or_default()
    }

    fn choose(&self, choices: &BTreeMap<String, String>) -> Result<(), ShelfError> {
        let text = toml::to_string(choices)
            .map_err(|error| ShelfError::Record { name: ACTIVE_FILE.to_owned(), why: error.to_string() })?;
        let path = self.directory.join(ACTIVE_FILE);
        let beside = self.directory.join(".active.partial");
        write_whole(&beside, &text)?;
        fs::rename(&beside, &path).map_err(ShelfError::io("replacing", &path))?;
        sync_directory(&self.directory)
    }
}

impl Record {
    /// Digests of every file of a pack's parts below `directory`.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn digests(pack: &Pack, directory: &Path) -> io::Result<BTreeMap<String, String>> {
        pack.all_files().map(|file| Ok((file.to_owned(), digest::of_file(&directory.join(file))?))).collect()
    }

    /// The first file that is not what was installed, in words.
    #[must_use]
    pub fn damage(&self, directory: &Path) -> Option<String> {
        self.digests.iter().find_map(|(file, digest)| match digest::of_file(&directory.join(file)) {
            Ok(found) if found == *digest => None,
            Ok(_) => Some(format!("{file} has changed since it was installed")),
            Err(error) => Some(format!("{file}: {error}")),
        })
    }
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(RECORD_OCTETS_MAX).read_to_string(&mut text)?;
    Ok(text)
}

fn write_whole(path: &Path, text: &str) -> Result<(), ShelfError> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(ShelfError::io("writing", path))
}

fn sync_directory(path: &Path) -> Result<(), ShelfError> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(ShelfError::io("syncing", path))
}

fn delete(path: &Path) -> Result<(), ShelfError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(ShelfError::io("deleting", path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::Family;

    fn pack(name: &str, family: Family) -> Pack {
        let files = family.parts().iter().map(|part| ((*part).to_owned(), format!("{part}.bin"))).collect();
        Pack {
            name: name.to_owned(),
            kind: family.kind(),
            family,
            url: String::new(),
            sha256: None,
            size: 0,
            licence: String::new(),
            rate: 8000,
            languages: Vec::new(),
            about: String::new(),
            files,
            extra: Vec::new(),
            recommended: false,
        }
    }

    fn put(shelf: &Shelf, lock: &Lock, name: &str, family: Family, content: &str) -> Installed {
        let staging = shelf.staging(lock).unwrap();
        let pack = pack(name, family);
        for file in pack.files.values() {
            fs::write(staging.join(file), content).unwrap();
        }
        let digests = Record::digests(&pack, &staging).unwrap();
        let (source, verified) = ("here".to_owned(), "spoken".to_owned());
        let record = Record { sha256: String::new(), pinned: false, source, verified, digests, pack };
        shelf.place(lock, &staging, &record).unwrap()
    }

    fn shelf() -> (tempfile::TempDir, Shelf) {
        let directory = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(directory.path().join("models"));
        (directory, shelf)
    }

    #[test]
    fn a_shelf_that_is_not_there_is_empty() {
        let shelf = Shelf::open("/nonexistent/models");
        assert!(shelf.installed().is_empty() && shelf.broken().is_empty());
        assert_eq!(shelf.active(Kind::Tts), None);
        assert!(shelf.record("x").unwrap_err().to_string().contains("installed here: none"));
    }

    #[test]
    fn packs_are_placed_found_chosen_and_removed() {
        let (_keep, shelf) = shelf();
        let lock = shelf.lock().unwrap();
        let first = put(&shelf, &lock, "voice-a", Family::Vits, "1");
        put(&shelf, &lock, "voice-b", Family::Vits, "2");
        put(&shelf, &lock, "ear", Family::OnlineToneCtc, "3");
        assert_eq!(shelf.installed().len(), 3);
        assert_eq!(shelf.find("voice-a"), Some(first.clone()));
        assert_eq!(fs::read_to_string(first.file("model").unwrap()).unwrap(), "1");
        assert_eq!(shelf.active(Kind::Tts), None);
        shelf.activate(&lock, "voice-b").unwrap();
        shelf.activate(&lock, "ear").unwrap();
        shelf.activate(&lock, "voice-a").unwrap();
        assert_eq!(shelf.active(Kind::Tts), Some(first));
        assert_eq!(shelf.active(Kind::StreamingAsr).unwrap().pack.name, "ear");
        assert_eq!(shelf.remove(&lock, "voice-a").unwrap(), Some(Kind::Tts));
        assert_eq!(shelf.remove(&lock, "voice-b").unwrap(), None);
        assert_eq!((shelf.active(Kind::Tts), shelf.installed().len()), (None, 1));
        assert!(matches!(shelf.remove(&lock, "voice-b"), Err(ShelfError::NotInstalled { .. })));
        assert!(matches!(shelf.activate(&lock, "../ear"), Err(ShelfError::NotInstalled { .. })));
    }

    #[test]
    fn a_newer_pack_takes_the_place_of_an_older_one() {
        let (_keep, shelf) = shelf();
        let lock = shelf.lock().unwrap();
        put(&shelf, &lock, "voice", Family::Vits, "old");
        shelf.activate(&lock, "voice").unwrap();
        put(&shelf, &lock, "voice", Family::Vits, "new");
        let file = shelf.active(Kind::Tts).unwrap().file("model").unwrap();
        assert_eq!(fs::read_to_string(file).unwrap(), "new");
        assert!(!shelf.directory().join(REPLACED).exists());
    }

    #[test]
    fn an_older_pack_comes_back_when_the_newer_one_never_came() {
        let (_keep, shelf) = shelf();
        let lock = shelf.lock().unwrap();
        let installed = put(&shelf, &lock, "voice", Family::Vits, "old");
        shelf.activate(&lock, "voice").unwrap();
        fs::rename(&installed.directory, shelf.directory().join(REPLACED)).unwrap();
        assert_eq!(shelf.active(Kind::Tts), None);
        drop(lock);
        let lock = shelf.lock().unwrap();
        assert_eq!(shelf.active(Kind::Tts), Some(installed.clone()));
        // Killed after the newer one had come: the older one goes.
        fs::create_dir(shelf.directory().join(REPLACED)).unwrap();
        fs::copy(installed.directory.join(RECORD_FILE), shelf.directory().join(REPLACED).join(RECORD_FILE)).unwrap();
        drop(lock);
        shelf.lock().unwrap();
        assert!(!shelf.directory().join(REPLACED).exists() && shelf.find("voice").is_some());
    }

    #[test]
    fn one_changes_at_a_time() {
        let (_keep, shelf) = shelf();
        let lock = shelf.lock().unwrap();
        assert!(matches!(shelf.lock(), Err(ShelfError::Busy { .. })));
        drop(lock);
        shelf.lock().unwrap();
    }

    #[test]
    fn what_a_killed_installation_left_is_no_pack_and_goes_away() {
        let (_keep, shelf) = shelf();
        let lock = shelf.lock().unwrap();
        let staging = shelf.staging(&lock).unwrap();
        fs::write(staging.join("half"), "x").unwrap();
        fs::create_dir(shelf.directory().join("bare")).unwrap();
        assert!(shelf.installed().is_empty());
        assert_eq!(shelf.broken().len(), 1, "a directory without a record is named");
        drop(lock);
        shelf.lock().unwrap();
        assert!(!staging.exists());
    }

    #[test]
    fn damage_is_told_with_the_file() {
        let (_keep, shelf) = shelf();
        let lock = shelf.lock().unwrap();
        let installed = put(&shelf, &lock, "voice", Family::Vits, "whole");
        let record = shelf.record("voice").unwrap();
        assert_eq!(record.damage(&installed.directory), None);
        fs::write(installed.file("tokens").unwrap(), "other").unwrap();
        assert!(record.damage(&installed.directory).unwrap().contains("tokens.bin has changed"));
        fs::remove_file(installed.file("model").unwrap()).unwrap();
        assert!(record.damage(&installed.directory).unwrap().contains("model.bin"));
    }

    #[test]
    fn a_record_that_lies_is_refused() {
        let (_keep, shelf) = shelf();
        let lock = shelf.lock().unwrap();
        let installed = put(&shelf, &lock, "voice", Family::Vits, "x");
        let path = installed.directory.join(RECORD_FILE);
        let text = fs::read_to_string(&path).unwrap();
        for (from, to) in [("name = \"voice\"", "name = \"other\""), ("model.bin", "../../model.bin"), ("[pack]", "[")]
        {
            fs::write(&path, text.replace(from, to)).unwrap();
            let said = shelf.record("voice").unwrap_err().to_string();
            assert!(said.contains("models install voice"), "{said}");
            assert!(shelf.find("voice").is_none());
        }
        fs::write(shelf.directory().join(ACTIVE_FILE), "tts = 3").unwrap();
        assert_eq!(shelf.active(Kind::Tts), None);
        shelf.remove(&lock, "voice").unwrap();
    }
}
