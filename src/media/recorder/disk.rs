//! Recordings on disk: `recordings/YYYY/MM/DD/<call>.{wav,opus}` below the data directory. Purpose: the only file of
//! `media` that opens files. Recorder and keeper threads, never a worker. Invariants: files are readable by the owner
//! only; what is being written ends in `.part` and plays all the same; a name without it is complete. Nothing outside
//! the date directories is touched, and no symbolic link is followed.
//! Deliberately absent: what is in the files (`wav`, `ogg`), who may hear them (`api`).

use super::ogg::{self, PAGE_MAX, Page};
use super::wav;
use crate::time::Wallclock;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const ROOT: &str = "recordings";
const PART: &str = ".part";
/// Pages before the audio: identification and comments.
const OGG_HEAD_PAGES: u32 = 2;

/// How audio is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// PCM 16 bit: 115 MB an hour, nothing lost.
    Wav,
    /// Ogg Opus: about 20 MB an hour.
    Opus,
}

impl Format {
    /// As in file names and records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Opus => "opus",
        }
    }

    fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "wav" => Some(Self::Wav),
            "opus" => Some(Self::Opus),
            _ => None,
        }
    }
}

/// The data directory, as far as recordings go.
#[derive(Clone, Debug)]
pub(super) struct Place {
    data: PathBuf,
}

/// One recording being written.
#[derive(Debug)]
pub(super) struct Part {
    file: File,
    part: PathBuf,
    whole: PathBuf,
    format: Format,
}

/// What became of a file that an earlier process left unfinished.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Repair {
    /// It plays to its end.
    Plays {
        /// Stereo samples.
        samples: u64,
        /// Size of the file.
        octets: u64,
    },
    /// It held no audio and is gone.
    Empty,
    /// It is none of ours; left alone.
    Foreign,
}

/// Where a call's recording lies, relative to the data directory.
pub(super) fn name(call: &str, started: Wallclock, format: Format) -> String {
    let date = started.to_string()[..10].replace('-', "/");
    format!("{ROOT}/{date}/{call}.{}", format.name())
}

fn with_part(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(PART);
    PathBuf::from(name)
}

/// Where the file named in a record lies now: complete, or still being written. `None`: it is gone.
#[must_use]
pub fn locate(data: &Path, name: &str) -> Option<PathBuf> {
    let whole = data.join(name);
    let part = with_part(&whole);
    // The part is looked for last and first: it may be renamed in between.
    [&whole, &part, &whole].into_iter().find(|path| path.is_file()).cloned()
}

impl Place {
    /// Makes the directory.
    pub(super) fn open(data: &Path) -> io::Result<Self> {
        let place = Self { data: data.to_owned() };
        make(&place.root())?;
        Ok(place)
    }

    pub(super) fn root(&self) -> PathBuf {
        self.data.join(ROOT)
    }

    /// Begins a file. Error: the disk is full, or the directory is not ours.
    pub(super) fn create(&self, name: &str, format: Format) -> io::Result<Part> {
        let whole = self.data.join(name);
        if let Some(day) = whole.parent() {
            make(day)?;
        }
        let part = with_part(&whole);
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&part)?;
        Ok(Part { file, part, whole, format })
    }

    /// Files that an earlier process did not finish, relative to the data directory and without `.part`.
    pub(super) fn leftovers(&self) -> Vec<String> {
        let mut found = Vec::new();
        self.walk(&mut |path, _| {
            if let Some(name) = self.relative(path).and_then(|name| name.strip_suffix(PART)) {
                found.push(name.to_owned());
            }
        });
        found
    }

    /// Makes a file that was cut off play to its end, and gives it its name.
    pub(super) fn repair(&self, name: &str) -> io::Result<Repair> {
        let whole = self.data.join(name);
        let part = with_part(&whole);
        let Some(format) = Format::of(&whole) else { return Ok(Repair::Foreign) };
        let file = OpenOptions::new().read(true).write(true).open(&part)?;
        let part = Part { file, part, whole, format };
        let outcome = part.repair()?;
        match outcome {
            Repair::Plays { .. } => part.finish()?,
            Repair::Empty => part.remove()?,
            Repair::Foreign => {}
        }
        Ok(outcome)
    }

    /// Deletes what was last written longer ago than `keep`; returns the names.
    pub(super) fn purge(&self, keep: Duration, now: Wallclock) -> (Vec<String>, Option<io::Error>) {
        let (mut gone, mut failed) = (Vec::new(), None);
        let oldest = Duration::from_millis(now.0).saturating_sub(keep);
        self.walk(&mut |path, written| {
            if written < oldest
                && let Some(name) = self.relative(path)
            {
                match fs::remove_file(path) {
                    Ok(()) => gone.push(name.strip_suffix(PART).unwrap_or(name).to_owned()),
                    Err(error) => failed = Some(error),
                }
            }
        });
        // Directories that became empty; one that did not refuses to go.
        for name in &gone {
            for directory in self.data.join(name).ancestors().skip(1).take(3) {
                let _ = fs::remove_dir(directory);
            }
        }
        (gone, failed)
    }

    fn relative<'a>(&self, path: &'a Path) -> Option<&'a str> {
        path.strip_prefix(&self.data).ok()?.to_str()
    }

    /// Every recording with its time of last writing since the epoch. What cannot be read is passed over: the next walk
    /// meets it again.
    fn walk(&self, each: &mut impl FnMut(&Path, Duration)) {
        let mut levels = vec![self.root()];
        for digits in [4, 2, 2] {
            levels = levels.iter().flat_map(|above| directories(above, digits)).collect();
        }
        for entry in levels.iter().filter_map(|day| fs::read_dir(day).ok()).flatten().flatten() {
            let path = entry.path();
            let named = entry.file_name();
            let named = named.to_str().unwrap_or_default();
            let plain = named.strip_suffix(PART).unwrap_or(named);
            let ours = named.starts_with("call_") && Format::of(Path::new(plain)).is_some();
            // `DirEntry::metadata` does not follow links.
            if let Ok(about) = entry.metadata()
                && ours
                && about.is_file()
            {
                let written = about.modified().unwrap_or_else(|_| SystemTime::now());
                each(&path, written.duration_since(UNIX_EPOCH).unwrap_or_default());
            }
        }
    }
}

fn directories(above: &Path, digits: usize) -> Vec<PathBuf> {
    let dated = |name: &str| name.len() == digits && name.bytes().all(|b| b.is_ascii_digit());
    let entries = fs::read_dir(above).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter(|entry| entry.file_name().to_str().is_some_and(dated))
        .map(|entry| entry.path())
        .collect()
}

fn make(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

impl Part {
    /// Writes at a place of the file.
    pub(super) fn write_at(&self, octets: &[u8], at: u64) -> io::Result<()> {
        self.file.write_all_at(octets, at)
    }

    /// On the disk, not in its cache only.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Takes `.part` off the name.
    pub(super) fn finish(&self) -> io::Result<()> {
        fs::rename(&self.part, &self.whole)
    }

    /// Deletes a file that holds nothing.
    pub(super) fn remove(&self) -> io::Result<()> {
        fs::remove_file(&self.part)
    }

    /// Makes the name as durable as the content.
    pub(super) fn sync_name(&self) -> io::Result<()> {
        self.whole.parent().map_or(Ok(()), |day| File::open(day)?.sync_all())
    }

    /// Octets written.
    pub(super) fn length(&self) -> u64 {
        self.file.metadata().map_or(0, |about| about.len())
    }

    /// Makes the file play to its end.
    pub(super) fn repair(&self) -> io::Result<Repair> {
        match self.format {
            Format::Wav => self.repair_wav(),
            Format::Opus => self.repair_ogg(),
        }
    }

    fn repair_wav(&self) -> io::Result<Repair> {
        let length = self.length();
        let mut head = [0; wav::HEAD_LEN];
        if length <= wav::HEAD_LEN as u64 {
            return Ok(Repair::Empty);
        }
        self.file.read_exact_at(&mut head, 0)?;
        let Some((repaired, data)) = wav::repaired(&head, length) else { return Ok(Repair::Foreign) };
        if data == 0 {
            return Ok(Repair::Empty);
        }
        self.file.write_all_at(&repaired, 0)?;
        self.file.set_len(wav::HEAD_LEN as u64 + data)?;
        Ok(Repair::Plays { samples: data / wav::PAIR_LEN, octets: wav::HEAD_LEN as u64 + data })
    }

    /// The file ends after its last whole page, which is marked as the last one.
    fn repair_ogg(&self) -> io::Result<Repair> {
        let mut window = vec![0; 4 * PAGE_MAX];
        let (mut at, mut last, mut pages, mut granule) = (0, 0, 0, 0);
        // The window holds the file from `base` on.
        let (mut base, mut have) = (0, read_at_most(&self.file, &mut window, 0)?);
        loop {
            let here = usize::try_from(at - base).unwrap_or(have).min(have);
            let Some((page, len)) = Page::parse(&window[here..have]) else {
                if base == at {
                    break;
                }
                // Cut off by the window, perhaps: look again from here.
                base = at;
                have = read_at_most(&self.file, &mut window, base)?;
                continue;
            };
            if page.sequence != pages {
                break;
            }
            (last, at) = (at, at + len as u64);
            (pages, granule) = (pages + 1, page.granule);
            if page.flags & ogg::LAST != 0 {
                break;
            }
        }
        if pages == 0 && self.length() > 0 {
            return Ok(Repair::Foreign);
        }
        if pages <= OGG_HEAD_PAGES {
            return Ok(Repair::Empty);
        }
        self.file.set_len(at)?;
        let have = read_at_most(&self.file, &mut window, last)?;
        if let Some(marked) = ogg::marked_last(&window[..have]) {
            self.file.write_all_at(&marked, last)?;
        }
        // Six granules a sample; the look-ahead of a few milliseconds is not worth a second look at the first page.
        Ok(Repair::Plays { samples: granule / 6, octets: at })
    }
}

fn read_at_most(file: &File, window: &mut [u8], at: u64) -> io::Result<usize> {
    let mut have = 0;
    while have < window.len() {
        match file.read_at(&mut window[have..], at + have as u64)? {
            0 => break,
            more => have += more,
        }
    }
    Ok(have)
}
