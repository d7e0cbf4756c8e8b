//! Unpacking what strangers packed: `.tar.bz2` and `.tgz` (POSIX.1-1988 ustar, with the long names of GNU and of
//! POSIX.1-2001) and plain directories. Blocks on the disk; any thread.
//!
//! Invariants: nothing is written outside the directory that is given; no link, device or second file of one name is made;
//! owners and modes of the archive are ignored; entries, octets and expansion are bounded before memory or disk is used.
//! Deliberately absent: other compressions, incremental archives, sparse files.

use bzip2::read::MultiBzDecoder;
use flate2::read::MultiGzDecoder;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;
use tar::EntryType;

/// Octets of a long name or of a header of extended attributes.
const HEADER_OCTETS_MAX: u64 = 64 << 10;
/// Octets of one path.
const PATH_OCTETS_MAX: usize = 1024;
/// How a gzip member begins.
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Octets copied at once.
const BLOCK: usize = 1 << 16;

/// What an archive may grow into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Files, directories and headers.
    pub entries: usize,
    /// Octets after decompression, those that are not kept included.
    pub octets: u64,
    /// Octets after decompression for one octet of the archive, beyond the first mebibyte.
    pub expansion: u64,
}

impl Bounds {
    /// Packs: the largest one known unpacks to 1.3 GB in 700 files; weights shrink to a half at most, texts to a tenth.
    pub const PACK: Self = Self { entries: 20_000, octets: 6 << 30, expansion: 40 };
}

/// What was unpacked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Files that were kept.
    pub files: usize,
    /// Their octets.
    pub octets: u64,
}

/// Why an archive is not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Its bytes are not those of an archive, or end early: get it again.
    #[error("the archive is damaged ({0}): fetch it again")]
    Damaged(String),
    /// An entry that would do harm: whoever packed it is careless or hostile.
    #[error("the archive holds {entry:?}, {why}; nothing of it was installed")]
    Hostile {
        /// Path as the archive writes it.
        entry: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// More than [`Bounds`] allow.
    #[error("the archive unpacks to more than {0}; nothing of it was installed")]
    TooLarge(String),
    /// The disk refused.
    #[error("{}: {source}", path.display())]
    Write {
        /// What was written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl ArchiveError {
    fn hostile(entry: &Path, why: &'static str) -> Self {
        Self::Hostile { entry: entry.display().to_string().chars().take(200).collect(), why }
    }

    fn write(path: &Path, source: io::Error) -> Self {
        Self::Write { path: path.to_path_buf(), source }
    }
}

/// Unpacks a `.tar.bz2` or `.tgz` of `archive_octets` into an existing directory; its first octets tell which it is (RFC
/// 1952 section 2.3.1). `keep` sees each file's path as in the archive.
///
/// # Errors
/// [`ArchiveError`]; what had been written by then is left for the caller to delete with the directory.
pub fn unpack(
    mut archive: impl Read,
    archive_octets: u64,
    into: &Path,
    bounds: Bounds,
    keep: &dyn Fn(&Path) -> bool,
) -> Result<Unpacked, ArchiveError> {
    let most = bounds.octets.min(archive_octets.saturating_mul(bounds.expansion).saturating_add(1 << 20));
    let bounds = Bounds { octets: most, ..bounds };
    let mut head = Vec::new();
    let read = archive.by_ref().take(GZIP.len() as u64).read_to_end(&mut head);
    read.map_err(|error| ArchiveError::Damaged(error.to_string()))?;
    let archive = io::Cursor::new(head.clone()).chain(archive);
    if head == GZIP {
        unpack_tar(MultiGzDecoder::new(archive), into, bounds, keep)
    } else {
        unpack_tar(MultiBzDecoder::new(archive), into, bounds, keep)
    }
}

/// Unpacks a `.tar`; otherwise as [`unpack`], with `bounds.octets` alone as the limit of its length.
///
/// # Errors
/// [`ArchiveError`].
pub fn unpack_tar(
    tar: impl Read,
    into: &Path,
    bounds: Bounds,
    keep: &dyn Fn(&Path) -> bool,
) -> Result<Unpacked, ArchiveError> {
    let most = bounds.octets;
    let tar = Metered { inner: tar, left: most, exceeded: Rc::new(Cell::new(false)) };
    let exceeded = Rc::clone(&tar.exceeded);
    let mut sink = Sink::new(into, bounds);
    match read_tar(tar, &mut sink, keep) {
        Err(ArchiveError::Damaged(_)) if exceeded.get() => Err(ArchiveError::TooLarge(octets_in_words(most))),
        outcome => outcome.map(|()| sink.unpacked),
    }
}

/// Copies a directory under the same rules.
///
/// # Errors
/// [`ArchiveError`].
pub fn copy(from: &Path, into: &Path, bounds: Bounds, keep: &dyn Fn(&Path) -> bool) -> Result<Unpacked, ArchiveError> {
    let mut sink = Sink::new(into, bounds);
    copy_level(from, Path::new(""), &mut sink, keep, bounds.octets)?;
    Ok(sink.unpacked)
}

fn copy_level(
    from: &Path,
    below: &Path,
    sink: &mut Sink<'_>,
    keep: &dyn Fn(&Path) -> bool,
    most: u64,
) -> Result<(), ArchiveError> {
    let unreadable = |error: io::Error| ArchiveError::write(&from.join(below), error);
    let mut entries =
        fs::read_dir(from.join(below)).map_err(unreadable)?.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = below.join(entry.file_name());
        // Of the entry itself: a link is not followed.
        let metadata = fs::symlink_metadata(entry.path()).map_err(|error| ArchiveError::write(&entry.path(), error))?;
        let kind = metadata.file_type();
        sink.count()?;
        if kind.is_dir() {
            copy_level(from, &path, sink, keep, most)?;
        } else if !kind.is_file() {
            return Err(ArchiveError::hostile(&path, "which is neither a file nor a directory"));
        } else if keep(&path) {
            let mut source = File::open(entry.path()).map_err(|error| ArchiveError::write(&entry.path(), error))?;
            sink.file(&path, &mut source)?;
            if sink.unpacked.octets > most {
                return Err(ArchiveError::TooLarge(octets_in_words(most)));
            }
        }
    }
    Ok(())
}

fn read_tar(tar: Metered<impl Read>, sink: &mut Sink<'_>, keep: &dyn Fn(&Path) -> bool) -> Result<(), ArchiveError> {
    let damaged = |error: io::Error| ArchiveError::Damaged(error.to_string());
    let mut archive = tar::Archive::new(tar);
    let mut any = false;
    {
        // Raw: this crate reads headers of extended attributes itself, with a bound on their length.
        let entries = archive.entries().map_err(damaged)?.raw(true);
        let mut long_name: Option<Vec<u8>> = None;
        for entry in entries {
            let mut entry = entry.map_err(damaged)?;
            any = true;
            sink.count()?;
            let header_type = entry.header().entry_type();
            match header_type {
                EntryType::GNULongName => {
                    let mut name = header(&mut entry)?;
                    while name.last() == Some(&0) {
                        name.pop();
                    }
                    long_name = Some(name);
                    continue;
                }
                EntryType::XHeader => {
                    long_name = extended_path(&header(&mut entry)?)?.or(long_name);
                    continue;
                }
                EntryType::XGlobalHeader => {
                    header(&mut entry)?;
                    continue;
                }
                _ => {}
            }
            let name = long_name.take().unwrap_or_else(|| entry.path_bytes().into_owned());
            let path = inside(&name)?;
            match header_type {
                EntryType::Directory => {}
                EntryType::Regular | EntryType::Continuous => {
                    if path.as_os_str().is_empty() {
                        return Err(ArchiveError::hostile(&path, "a file without a name"));
                    }
                    if keep(&path) {
                        sink.file(&path, &mut entry)?;
                    }
                }
                EntryType::Symlink | EntryType::Link | EntryType::GNULongLink => {
                    return Err(ArchiveError::hostile(&path, "a link"));
                }
                _ => return Err(ArchiveError::hostile(&path, "which is neither a file nor a directory")),
            }
        }
    }
    if !any {
        return Err(ArchiveError::Damaged("it holds nothing".to_owned()));
    }
    // The rest is padding; reading it checks the last block's CRC.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(damaged)?;
    Ok(())
}

fn header(entry: &mut impl Read) -> Result<Vec<u8>, ArchiveError> {
    let mut octets = Vec::new();
    entry
        .by_ref()
        .take(HEADER_OCTETS_MAX + 1)
        .read_to_end(&mut octets)
        .map_err(|error| ArchiveError::Damaged(error.to_string()))?;
    if octets.len() as u64 > HEADER_OCTETS_MAX {
        return Err(ArchiveError::TooLarge(format!("{} for one header", octets_in_words(HEADER_OCTETS_MAX))));
    }
    Ok(octets)
}

/// `path` of a POSIX.1-2001 header: records of "LENGTH KEY=VALUE\n", where the length is the whole record's, so that a value
/// may hold anything. A `size` there means a file beyond 8 GiB, which no pack has.
fn extended_path(mut octets: &[u8]) -> Result<Option<Vec<u8>>, ArchiveError> {
    let malformed = || ArchiveError::Damaged("a malformed extended header".to_owned());
    let mut path = None;
    while !octets.is_empty() {
        let space = octets.iter().take(8).position(|octet| *octet == b' ').ok_or_else(malformed)?;
        let length: usize =
            std::str::from_utf8(&octets[..space]).ok().and_then(|text| text.parse().ok()).ok_or_else(malformed)?;
        let record = octets.get(space + 1..length).and_then(|r| r.strip_suffix(b"\n")).ok_or_else(malformed)?;
        let equals = record.iter().position(|octet| *octet == b'=').ok_or_else(malformed)?;
        match &record[..equals] {
            b"path" => path = Some(record[equals + 1..].to_vec()),
            b"size" => return Err(ArchiveError::TooLarge("8 GiB in one file".to_owned())),
            _ => {}
        }
        octets = &octets[length..];
    }
    Ok(path)
}

/// The path, if it stays inside; `.` is left out.
fn inside(name: &[u8]) -> Result<PathBuf, ArchiveError> {
    let text = String::from_utf8_lossy(name).into_owned();
    let hostile = |why| ArchiveError::hostile(Path::new(&text), why);
    if name.len() > PATH_OCTETS_MAX {
        return Err(hostile("a path of more than 1024 octets"));
    }
    if std::str::from_utf8(name).is_err() || name.contains(&0) || name.contains(&b'\\') {
        return Err(hostile("whose name is no plain text"));
    }
    let mut path = PathBuf::new();
    for component in Path::new(&text).components() {
        match component {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            Component::ParentDir => return Err(hostile("which leads out of its directory")),
            Component::RootDir | Component::Prefix(_) => return Err(hostile("an absolute path")),
        }
    }
    Ok(path)
}

/// Where files land.
struct Sink<'a> {
    into: &'a Path,
    entries_left: usize,
    entries: usize,
    /// File → nothing; directories are made as files need them.
    made: BTreeMap<PathBuf, ()>,
    unpacked: Unpacked,
}

impl<'a> Sink<'a> {
    fn new(into: &'a Path, bounds: Bounds) -> Self {
        Self {
            into,
            entries_left: bounds.entries,
            entries: bounds.entries,
            made: BTreeMap::new(),
            unpacked: Unpacked::default(),
        }
    }

    fn count(&mut self) -> Result<(), ArchiveError> {
        self.entries_left = self
            .entries_left
            .checked_sub(1)
            .ok_or_else(|| ArchiveError::TooLarge(format!("{} files and directories", self.entries)))?;
        Ok(())
    }

    fn file(&mut self, path: &Path, source: &mut impl Read) -> Result<(), ArchiveError> {
        if self.made.insert(path.to_path_buf(), ()).is_some() {
            return Err(ArchiveError::hostile(path, "twice"));
        }
        let target = self.into.join(path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(|error| ArchiveError::write(parent, error))?;
        }
        let mut file = File::create_new(&target).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => ArchiveError::hostile(path, "twice"),
            _ => ArchiveError::write(&target, error),
        })?;
        let mut block = vec![0; BLOCK];
        loop {
            let n = match source.read(&mut block) {
                Ok(0) => break,
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(ArchiveError::Damaged(error.to_string())),
            };
            file.write_all(&block[..n]).map_err(|error| ArchiveError::write(&target, error))?;
            self.unpacked.octets += n as u64;
        }
        file.sync_all().map_err(|error| ArchiveError::write(&target, error))?;
        self.unpacked.files += 1;
        Ok(())
    }
}

/// A stream that ends in an error when it has given too much.
struct Metered<R> {
    inner: R,
    left: u64,
    exceeded: Rc<Cell<bool>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(into)?;
        match self.left.checked_sub(n as u64) {
            Some(left) => self.left = left,
            None => {
                self.exceeded.set(true);
                return Err(io::Error::other("more than was allowed"));
            }
        }
        Ok(n)
    }
}

/// `310 MB`: as people say sizes of files, rounded.
#[must_use]
pub fn octets_in_words(octets: u64) -> String {
    let rounded = |unit: u64| octets.saturating_add(unit / 2) / unit;
    match octets {
        0..1_000 => format!("{octets} octets"),
        1_000..999_500 => format!("{} kB", rounded(1_000)),
        999_500..10_000_000_000 => format!("{} MB", rounded(1_000_000)),
        _ => format!("{} GB", rounded(1_000_000_000)),
    }
}

#[cfg(test)]
#[path = "archive_tests.rs"]
mod tests;
