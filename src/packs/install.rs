//! From a name or a file to a pack that serves.
//!
//! Owning thread: the installing one; it waits for network, disk and the child that verifies. Invariants: one installation
//! at a time on one shelf; the shelf changes by one rename, after the child said that the pack works; whatever fails before
//! that leaves the shelf as it was. Deliberately absent: what is printed (`cli::models`), when it is done unasked (`offer`).

use super::error::PackError;
use super::fetch::{Fetched, Fetcher, Patience, Wanted};
use super::verify;
use crate::limits::PACK_ROOM_SPARE;
use crate::os::disk;
use callwright_models::Assets;
use callwright_models::pack::archive::{self, Bounds, octets_in_words};
use callwright_models::pack::manifest;
use callwright_models::pack::shelf::{Lock, PACK_FILE, Record, Shelf};
use callwright_models::pack::{Installed, Pack, catalogue, digest, known, probe};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Octets that a pack needs on the disk for one of its archive, beside the archive.
const UNPACKED: u64 = 3;

/// Where an installation is.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// Octets come in.
    Fetching {
        /// Which file.
        url: &'a str,
        /// Octets here.
        got: u64,
        /// Octets in all, exact or about.
        total: u64,
    },
    /// The network failed; it is tried again.
    Waiting {
        /// What happened.
        why: &'a PackError,
        /// Until the next attempt.
        pause: Duration,
    },
    /// The archive is unpacked.
    Unpacking,
    /// A child process loads the pack.
    Verifying,
}

/// What an installation came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The pack.
    pub installed: Installed,
    /// It was there already, undamaged.
    pub was_there: bool,
    /// What its verification said.
    pub verified: String,
    /// Whether its digest was known before.
    pub pinned: bool,
    /// What it can do without and has to, in sentences.
    pub notes: Vec<String>,
}

/// How a pack is tried: in the daemon and the command by a child of our own program.
pub type Judge = dyn Fn(&Pack, &Path) -> Result<String, PackError> + Send;

/// Installs packs on one shelf.
pub struct Installer {
    shelf: Shelf,
    fetcher: Fetcher,
    judge: Box<Judge>,
    mirror: Option<String>,
    online: bool,
    free: fn(&Path) -> io::Result<u64>,
}

impl std::fmt::Debug for Installer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Installer").field("shelf", &self.shelf).finish_non_exhaustive()
    }
}

impl Installer {
    /// `program` is our own executable, which verifies as a child.
    #[must_use]
    pub fn new(shelf: Shelf, program: PathBuf, patience: Patience) -> Self {
        let judge = move |pack: &Pack, directory: &Path| {
            let said = verify::in_child(&program, &pack.name, directory, false)?;
            // The daemon need not try it again at its next start.
            let installed = Installed { pack: pack.clone(), directory: directory.to_path_buf() };
            // What cannot be written down is tried again at the next start.
            let _ = probe::note(&Assets::locate(), &installed, &said);
            Ok(said)
        };
        Self::with_judge(shelf, Box::new(judge), patience)
    }

    /// With another way to try packs.
    #[must_use]
    pub fn with_judge(shelf: Shelf, judge: Box<Judge>, patience: Patience) -> Self {
        let fetcher = Fetcher::new(shelf.downloads(), patience);
        Self { shelf, fetcher, judge, mirror: None, online: true, free: disk::free_octets }
    }

    /// Files are fetched from below this URL by their last segment, instead of from where the manifest says.
    #[must_use]
    pub fn from_mirror(mut self, url: Option<String>) -> Self {
        self.mirror = url.filter(|url| !url.is_empty());
        self
    }

    /// Nothing is fetched at all.
    #[must_use]
    pub fn offline(mut self, offline: bool) -> Self {
        self.online = !offline;
        self
    }

    /// Another way to learn how much room there is.
    #[must_use]
    pub fn with_room(mut self, free: fn(&Path) -> io::Result<u64>) -> Self {
        self.free = free;
        self
    }

    /// The shelf.
    #[must_use]
    pub fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// Whether the host of a pack answers within `limit`.
    ///
    /// # Errors
    /// [`PackError`]: why not.
    pub async fn answers(&self, pack: &Pack, limit: Duration) -> Result<(), PackError> {
        let url = self.address(&pack.url)?;
        if !self.online {
            return Err(PackError::Offline { url });
        }
        self.fetcher.answers(&url, limit).await
    }

    /// Fetches, checks, tries and places a pack. One that is there undamaged stays as it is.
    ///
    /// # Errors
    /// [`PackError`]; the shelf is then as it was.
    pub async fn install(&self, pack: &Pack, watch: &mut dyn FnMut(Step<'_>)) -> Result<Outcome, PackError> {
        let lock = self.shelf.lock()?;
        let outcome = self.install_locked(&lock, pack, watch).await;
        self.cleared(&lock, outcome)
    }

    async fn install_locked(
        &self,
        lock: &Lock,
        pack: &Pack,
        watch: &mut dyn FnMut(Step<'_>),
    ) -> Result<Outcome, PackError> {
        if let Ok(record) = self.shelf.record(&pack.name)
            && record.pack.family == pack.family
            && let directory = self.shelf.directory().join(&pack.name)
            && pack.sha256.as_ref().is_none_or(|digest| digest.eq_ignore_ascii_case(&record.sha256))
            // What could not be had before is asked for again, where it can be.
            && (!self.online || pack.extra.iter().all(|extra| record.digests.contains_key(&extra.file)))
            && record.damage(&directory).is_none()
            && let installed = (Installed { pack: record.pack, directory })
            // One that failed at a start is tried again, and fetched again only when it fails again.
            && (probe::refused(&Assets::locate(), &installed).is_none()
                || (self.judge)(&installed.pack, installed.directory()).is_ok())
        {
            // Chosen by hand or by default, it is to serve from now on.
            self.shelf.activate(lock, &pack.name)?;
            let (verified, pinned) = (record.verified, record.pinned);
            return Ok(Outcome { installed, was_there: true, verified, pinned, notes: Vec::new() });
        }
        self.room_for(pack)?;
        let url = self.address(&pack.url)?;
        // What the manifest does not know was trusted once; from then on it has to stay the same.
        let before = self.shelf.record(&pack.name).ok();
        let trusted = before.as_ref().map(|record| &record.sha256).filter(|digest| !digest.is_empty());
        let archive = self.fetch(&url, pack.sha256.as_ref().or(trusted), pack.size, watch).await?;
        let (mut extras, mut notes) = (Vec::new(), Vec::new());
        for extra in &pack.extra {
            let trusted = before.as_ref().and_then(|record| record.digests.get(&extra.file));
            match self.fetch(&self.address(&extra.url)?, extra.sha256.as_ref().or(trusted), extra.size, watch).await {
                Ok(fetched) => {
                    if extra.sha256.is_none() {
                        notes.push(unknown_digest(&extra.file));
                    }
                    extras.push((fetched.path, extra.file.clone()));
                }
                Err(error) if pack.can_spare(&extra.file) && !error.is_full_disk() => {
                    notes.push(format!("without {}: {error}", extra.file));
                }
                Err(error) => return Err(error),
            }
        }
        let staging = self.shelf.staging(lock)?;
        watch(Step::Unpacking);
        let root = self.unpack(pack, &archive.path, &url, &staging)?;
        for (path, file) in &extras {
            put(path, &root.join(file))?;
        }
        let outcome = self.finish(lock, pack, &root, (&url, &archive.sha256), notes, watch)?;
        self.fetcher.forget(&archive.path);
        for (path, _) in &extras {
            self.fetcher.forget(path);
        }
        Ok(outcome)
    }

    /// The same from an archive, a model file or a directory on this machine. A pack that is in the catalogue is held to
    /// its digest; any other brings a `pack.toml`. Files that the archive does not hold are looked for beside it.
    ///
    /// # Errors
    /// [`PackError`]; the shelf is then as it was.
    pub async fn install_from(
        &self,
        path: &Path,
        name: Option<&str>,
        watch: &mut dyn FnMut(Step<'_>),
    ) -> Result<Outcome, PackError> {
        let lock = self.shelf.lock()?;
        let outcome = self.install_from_locked(&lock, path, name, watch).await;
        self.cleared(&lock, outcome)
    }

    async fn install_from_locked(
        &self,
        lock: &Lock,
        path: &Path,
        name: Option<&str>,
        watch: &mut dyn FnMut(Step<'_>),
    ) -> Result<Outcome, PackError> {
        let metadata = fs::metadata(path).map_err(PackError::io("opening", path))?;
        let label = name.map_or_else(|| label_of(path), str::to_owned);
        let named = known(&label);
        self.room_to_unpack(named.map_or(0, Pack::download_octets).max(metadata.len()))?;
        let origin = path.display().to_string();
        let sha256 = if metadata.is_dir() {
            String::new()
        } else {
            let found = digest::of_file(path).map_err(PackError::io("reading", path))?;
            if let Some(expected) = named.and_then(|pack| pack.sha256.as_ref()).filter(|expected| **expected != found) {
                return Err(PackError::Digest { origin, expected: expected.clone(), found });
            }
            found
        };
        let staging = self.shelf.staging(lock)?;
        watch(Step::Unpacking);
        let pack = match named {
            Some(pack) => pack.clone(),
            None => told_by_itself(path, name, metadata.is_dir(), &staging)?,
        };
        let root = if metadata.is_dir() {
            archive::copy(path, &staging, Bounds::PACK, &keeper(&pack))?;
            root_of(&pack, &staging)
        } else {
            self.unpack(&pack, path, &origin, &staging)?
        };
        let mut notes = Vec::new();
        for extra in &pack.extra {
            let target = root.join(&extra.file);
            let beside = path.with_file_name(file_name(&extra.file));
            if target.exists() {
                continue;
            }
            if beside.is_file() {
                put(&beside, &target)?;
                continue;
            }
            match self.fetch(&self.address(&extra.url)?, extra.sha256.as_ref(), extra.size, watch).await {
                Ok(fetched) => {
                    put(&fetched.path, &target)?;
                    self.fetcher.forget(&fetched.path);
                    if extra.sha256.is_none() {
                        notes.push(unknown_digest(&extra.file));
                    }
                }
                Err(error) if error.is_full_disk() => return Err(error),
                // What the pack cannot do without is missed below, with where it can be had.
                Err(error) => notes.push(format!("without {}: {error}", extra.file)),
            }
        }
        let mut outcome = self.finish(lock, &pack, &root, (&origin, &sha256), notes, watch)?;
        if metadata.is_dir() && pack.sha256.is_some() {
            let note = "it came as a directory: its files were not compared with what is known of its archive";
            outcome.notes.push(note.to_owned());
        }
        Ok(outcome)
    }

    /// Tries an installed pack again, after looking for damage.
    ///
    /// # Errors
    /// [`PackError::Verification`], [`PackError::Shelf`].
    pub fn verify(&self, name: &str) -> Result<String, PackError> {
        let record = self.shelf.record(name)?;
        let directory = self.shelf.directory().join(name);
        if let Some(why) = record.damage(&directory) {
            return Err(PackError::Verification { name: name.to_owned(), why });
        }
        (self.judge)(&record.pack, &directory)
    }

    /// What failed leaves no half-made pack on the disk.
    fn cleared(&self, lock: &Lock, outcome: Result<Outcome, PackError>) -> Result<Outcome, PackError> {
        match (outcome, self.shelf.clear(lock)) {
            (Ok(_), Err(error)) => Err(error.into()),
            (outcome, _) => outcome,
        }
    }

    fn address(&self, url: &str) -> Result<String, PackError> {
        match (&self.mirror, url.rsplit('/').next()) {
            (Some(mirror), _) if manifest::has_credentials(mirror) => Err(PackError::Credentials),
            (Some(mirror), Some(file)) => Ok(format!("{}/{file}", mirror.trim_end_matches('/'))),
            _ => Ok(url.to_owned()),
        }
    }

    async fn fetch(
        &self,
        url: &str,
        sha256: Option<&String>,
        size: u64,
        watch: &mut dyn FnMut(Step<'_>),
    ) -> Result<Fetched, PackError> {
        if !self.online {
            return Err(PackError::Offline { url: url.to_owned() });
        }
        self.fetcher.fetch(Wanted { url, sha256: sha256.map(String::as_str), size }, watch).await
    }

    /// Before the first octet: a disk that is filled stops everybody else.
    fn room_for(&self, pack: &Pack) -> Result<(), PackError> {
        let here: u64 = std::iter::once(&pack.url)
            .chain(pack.extra.iter().map(|extra| &extra.url))
            .filter_map(|url| self.address(url).ok())
            .map(|url| self.fetcher.progress(&url))
            .sum();
        self.room(pack.download_octets().saturating_mul(1 + UNPACKED).saturating_sub(here))
    }

    /// The same for an archive of this many octets that is here already.
    fn room_to_unpack(&self, octets: u64) -> Result<(), PackError> {
        self.room(octets.saturating_mul(UNPACKED))
    }

    fn room(&self, octets: u64) -> Result<(), PackError> {
        let (directory, needed) = (self.shelf.directory(), octets.saturating_add(PACK_ROOM_SPARE));
        let free = (self.free)(directory).map_err(PackError::io("looking at", directory))?;
        if free < needed {
            return Err(PackError::NoRoom {
                path: directory.to_path_buf(),
                needed: octets_in_words(needed),
                free: octets_in_words(free),
            });
        }
        Ok(())
    }

    /// Returns the directory that holds the pack's files.
    fn unpack(&self, pack: &Pack, from: &Path, origin: &str, staging: &Path) -> Result<PathBuf, PackError> {
        if !is_archive(origin) {
            // One model file, or rather: a pack of one part.
            let Some(file) = pack.files.values().next().filter(|_| pack.files.len() == 1) else {
                return Err(PackError::Unlabelled {
                    path: from.to_path_buf(),
                    why: "it is no .tar.bz2 or .tgz and the pack has several files".to_owned(),
                });
            };
            put(from, &staging.join(file))?;
            return Ok(staging.to_path_buf());
        }
        let file = File::open(from).map_err(PackError::io("opening", from))?;
        let octets = file.metadata().map_err(PackError::io("opening", from))?.len();
        archive::unpack(io::BufReader::new(file), octets, staging, Bounds::PACK, &keeper(pack))?;
        Ok(root_of(pack, staging))
    }

    /// Looks whether all is there, tries it, places it and lets it serve.
    fn finish(
        &self,
        lock: &Lock,
        pack: &Pack,
        root: &Path,
        (source, sha256): (&str, &str),
        mut notes: Vec<String>,
        watch: &mut dyn FnMut(Step<'_>),
    ) -> Result<Outcome, PackError> {
        let mut pack = pack.clone();
        for (part, files) in pack.files.clone() {
            let whole = |file: &str| fs::metadata(root.join(file)).is_ok_and(|m| m.is_file() && m.len() > 0);
            let Some(file) = manifest::files_of(&files).find(|file| !whole(file)) else { continue };
            if !pack.is_optional(&part) {
                let from = pack.extra.iter().find(|extra| extra.file == file).map(|extra| extra.url.clone());
                return Err(PackError::Lacks { name: pack.name.clone(), part, file: file.to_owned(), from });
            }
            if !notes.iter().any(|note| note.starts_with(&format!("without {file}"))) {
                notes.push(format!("without {file}, which it does not bring"));
            }
            pack.files.remove(&part);
        }
        pack.extra.retain(|extra| pack.files.values().any(|files| manifest::files_of(files).any(|f| f == extra.file)));
        for extra in &pack.extra {
            let Some(expected) = &extra.sha256 else { continue };
            let path = root.join(&extra.file);
            let found = digest::of_file(&path).map_err(PackError::io("reading", &path))?;
            if found != *expected {
                return Err(PackError::Digest { origin: extra.file.clone(), expected: expected.clone(), found });
            }
        }
        let label = root.join(PACK_FILE);
        let text = toml::to_string(&pack).unwrap_or_default();
        fs::write(&label, text).map_err(PackError::io("writing", &label))?;
        let digests = Record::digests(&pack, root).map_err(PackError::io("reading", root))?;
        watch(Step::Verifying);
        let verified = (self.judge)(&pack, root)?;
        let pinned = pack.sha256.is_some() && !sha256.is_empty();
        let record = Record {
            sha256: sha256.to_owned(),
            pinned,
            source: source.to_owned(),
            verified: verified.clone(),
            digests,
            pack,
        };
        let installed = self.shelf.place(lock, root, &record)?;
        self.shelf.activate(lock, &record.pack.name)?;
        Ok(Outcome { installed, was_there: false, verified, pinned, notes })
    }
}

fn unknown_digest(file: &str) -> String {
    format!("the digest of {file} was not known before: it was trusted, and recorded for the next time")
}

/// What a pack that is not in the catalogue says of itself.
fn told_by_itself(path: &Path, name: Option<&str>, directory: bool, scratch: &Path) -> Result<Pack, PackError> {
    let unlabelled = |why: String| PackError::Unlabelled { path: path.to_path_buf(), why };
    let text = if directory {
        read_small(&path.join(PACK_FILE))
    } else if is_archive(&path.display().to_string()) {
        pack_file_of(path, scratch)?
    } else {
        None
    };
    let text = text.ok_or_else(|| match name {
        Some(name) => unlabelled(format!("no pack is called {name:?} and it holds no {PACK_FILE}")),
        None => unlabelled(format!("its name is not that of a known pack and it holds no {PACK_FILE}")),
    })?;
    let mut pack = manifest::parse_one(&text).map_err(|error| unlabelled(format!("{PACK_FILE}: {error}")))?;
    if let Some(name) = name {
        if !manifest::is_name(name) {
            return Err(PackError::Unknown { name: name.to_owned(), nearest: None });
        }
        name.clone_into(&mut pack.name);
    }
    // A known name stands for a known digest.
    if known(&pack.name).is_some() {
        return Err(unlabelled(format!("it calls itself {}, which is another pack", pack.name)));
    }
    Ok(pack)
}

/// A pack of the catalogue, or a sentence with the nearest name.
///
/// # Errors
/// [`PackError::Unknown`].
pub fn by_name(name: &str) -> Result<&'static Pack, PackError> {
    if let Some(pack) = known(name) {
        return Ok(pack);
    }
    // A part of a name that only one pack has is as good as the name.
    let mut like = catalogue().iter().filter(|pack| !name.is_empty() && pack.name.contains(name));
    match (like.next(), like.next()) {
        (Some(pack), None) => Ok(pack),
        (first, _) => {
            let nearest = first.map(|pack| pack.name.clone()).or_else(|| nearest_to(name));
            Err(PackError::Unknown { name: name.chars().take(manifest::NAME_MAX).collect(), nearest })
        }
    }
}

/// The pack that shares most words with what was typed.
fn nearest_to(name: &str) -> Option<String> {
    let words = |text: &str| -> BTreeSet<String> {
        text.to_ascii_lowercase().split(|c: char| !c.is_ascii_alphanumeric()).map(str::to_owned).collect()
    };
    let typed = words(name);
    let score = |pack: &&Pack| words(&pack.name).intersection(&typed).filter(|word| word.len() > 1).count();
    catalogue().iter().max_by_key(score).filter(|pack| score(pack) > 0).map(|pack| pack.name.clone())
}

/// How names of archives end.
const ARCHIVES: [&str; 4] = [".tar.bz2", ".tbz2", ".tar.gz", ".tgz"];

fn is_archive(origin: &str) -> bool {
    ARCHIVES.iter().any(|end| origin.ends_with(end))
}

/// The name that a file or directory suggests.
fn label_of(path: &Path) -> String {
    let name = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let name = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // Some archives are called otherwise than their pack.
    if let Some(pack) = catalogue().iter().find(|pack| pack.url.rsplit('/').next() == Some(&*name)) {
        return pack.name.clone();
    }
    let ends = ARCHIVES.iter().chain(&[".onnx"]);
    ends.clone().find_map(|end| name.strip_suffix(end)).unwrap_or(&name).to_owned()
}

fn file_name(file: &str) -> &str {
    file.rsplit('/').next().unwrap_or(file)
}

/// What of an archive is kept: the pack's files, and what says whose they are.
fn keeper(pack: &Pack) -> impl Fn(&Path) -> bool + use<> {
    let wanted: BTreeSet<PathBuf> = pack.all_files().map(PathBuf::from).collect();
    move |path: &Path| {
        let below: PathBuf = path.components().skip(1).collect();
        let paper = |path: &Path| {
            let name = path.to_string_lossy();
            !name.contains('/')
                && ["README", "LICENSE", "LICENCE", "COPYING", "NOTICE", "MODEL_CARD"]
                    .iter()
                    .any(|paper| name.to_uppercase().starts_with(paper))
        };
        wanted.contains(path) || wanted.contains(&below) || paper(path) || paper(&below)
    }
}

/// Archives hold one directory of their own name, or the files themselves.
fn root_of(pack: &Pack, staging: &Path) -> PathBuf {
    let has_any = |directory: &Path| pack.all_files().any(|file| directory.join(file).exists());
    if has_any(staging) {
        return staging.to_path_buf();
    }
    let inside = fs::read_dir(staging).into_iter().flatten().flatten().map(|entry| entry.path());
    inside.filter(|path| path.is_dir()).find(|path| has_any(path)).unwrap_or_else(|| staging.to_path_buf())
}

/// The `pack.toml` in an archive, which is read to its end for it.
fn pack_file_of(path: &Path, scratch: &Path) -> Result<Option<String>, PackError> {
    let scratch = scratch.join(".label");
    fs::create_dir(&scratch).map_err(PackError::io("making", &scratch))?;
    let file = File::open(path).map_err(PackError::io("opening", path))?;
    let octets = file.metadata().map_err(PackError::io("opening", path))?.len();
    let label = |path: &Path| path.components().count() <= 2 && path.file_name().is_some_and(|f| f == PACK_FILE);
    archive::unpack(io::BufReader::new(file), octets, &scratch, Bounds::PACK, &label)?;
    let below = fs::read_dir(&scratch).into_iter().flatten().flatten().map(|entry| entry.path().join(PACK_FILE));
    let text = std::iter::once(scratch.join(PACK_FILE)).chain(below).find_map(|path| read_small(&path));
    fs::remove_dir_all(&scratch).map_err(PackError::io("deleting", &scratch))?;
    Ok(text)
}

fn read_small(path: &Path) -> Option<String> {
    if fs::metadata(path).ok()?.len() > manifest::MANIFEST_OCTETS_MAX as u64 {
        return None;
    }
    fs::read_to_string(path).ok()
}

fn put(from: &Path, to: &Path) -> Result<(), PackError> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).map_err(PackError::io("making", parent))?;
    }
    let copy = || {
        let mut target = File::create(to)?;
        io::copy(&mut File::open(from)?, &mut target)?;
        target.sync_all()
    };
    copy().map_err(PackError::io("writing", to))
}
