//! Opens the store and hands out its aggregates. Owning thread: any; reads run on the caller's thread.
//! Invariants: one daemon per data directory (file lock); readers cannot write (`query_only`). Deliberately absent: an async
//! face for reads; they take microseconds to milliseconds, callers on tokio use `spawn_blocking`.

use super::backlog::Worth;
use super::lockout::WrongPins;
use super::writer::Writer;
use super::{
    Apps, Builds, Calls, Commit, Conversations, Deliveries, Events, Hours, KeptBindings, KeptConversations, Lockouts,
    Manifests, Memory, Messages, Questions, Recordings, Retention, ReturnCalls, StoreError, World, migration,
};
use crate::limits::{PAGE_ROWS_MAX, STORE_LOCK_WAIT, STORE_READERS};
use crossbeam_channel::{Receiver, Sender, bounded};
use rusqlite::{Connection, OpenFlags};
use serde::Serialize;
use std::fmt;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Pause between two looks at a lock that another daemon holds.
const LOCK_LOOK: Duration = Duration::from_millis(10);

/// The store; cheap to clone. The last clone to go writes what is queued and closes the file.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    writer: Writer,
    wrong_pins: Mutex<WrongPins>,
    free: Sender<Connection>,
    idle: Receiver<Connection>,
    /// Held for the daemon's life; the kernel releases it even after `kill -9`.
    _lock: File,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}

/// How to open a store; the default is what the daemon uses.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// How long a write, and the opening, wait for a foreign lock.
    pub lock_wait: Duration,
    /// The database may grow to this many octets; writes beyond fail as if the disk were full. None: as the disk allows.
    pub size_max: Option<u64>,
    /// Open an existing, up-to-date database for reading only (diagnosis beside a stopped daemon).
    pub read_only: bool,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self { lock_wait: STORE_LOCK_WAIT, size_max: None, read_only: false }
    }
}

/// One page of a list, newest first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Pass as `before` to get the next (older) page; None at the end.
    pub next: Option<i64>,
}

impl Store {
    /// Opens or creates `callwright.db` in the directory `data`, bringing an older schema forward.
    ///
    /// # Errors
    /// The directory cannot be made or written, another daemon uses it, or the file is damaged or of a newer version.
    pub fn open(data: &Path) -> Result<Self, StoreError> {
        Self::open_with(data, &OpenOptions::default())
    }

    /// As [`Store::open`], with options.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_with(data: &Path, options: &OpenOptions) -> Result<Self, StoreError> {
        let unopenable = |path: &Path, what: String| StoreError::Unopenable { path: path.display().to_string(), what };
        fs::create_dir_all(data).map_err(|e| unopenable(data, e.to_string()))?;
        let lock_path = data.join("callwright.lock");
        let lock = File::options().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(|e| unopenable(&lock_path, e.to_string()))?;
        // A program that a killed daemon was just starting holds its lock for a moment longer.
        let deadline = Instant::now() + options.lock_wait;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(LOCK_LOOK),
                Err(TryLockError::WouldBlock) => return Err(StoreError::InUse(data.display().to_string())),
                Err(TryLockError::Error(e)) => return Err(unopenable(&lock_path, e.to_string())),
            }
        }
        let path = data.join("callwright.db");
        let db = connect_writer(&path, options)?;
        let wrong_pins = Mutex::new(WrongPins::load(&db)?);
        let writer = Writer::start(db)?;
        let (free, idle) = bounded(STORE_READERS);
        for _ in 0..STORE_READERS {
            let reader = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE, options)?;
            reader.pragma_update(None, "query_only", true)?;
            // The channel has room for exactly these.
            let _ = free.try_send(reader);
        }
        Ok(Self { shared: Arc::new(Shared { writer, wrong_pins, free, idle, _lock: lock }) })
    }

    /// Call detail records.
    #[must_use]
    pub const fn calls(&self) -> Calls<'_> {
        Calls(self)
    }

    /// Messages that callers have left.
    #[must_use]
    pub const fn messages(&self) -> Messages<'_> {
        Messages(self)
    }
    /// Recorded calls.
    #[must_use]
    pub const fn recordings(&self) -> Recordings<'_> {
        Recordings(self)
    }
    /// What is deleted with time.
    #[must_use]
    pub const fn retention(&self) -> Retention<'_> {
        Retention(self)
    }
    /// Conversations and their turns.
    #[must_use]
    pub const fn conversations(&self) -> Conversations<'_> {
        Conversations(self)
    }

    /// Wrong PINs, across calls.
    #[must_use]
    pub fn lockouts(&self) -> Lockouts<'_> {
        Lockouts(self)
    }

    /// Where telephones are reached.
    #[must_use]
    pub fn bindings(&self) -> KeptBindings<'_> {
        KeptBindings(self)
    }

    /// Where callers were when their line was cut.
    #[must_use]
    pub const fn kept(&self) -> KeptConversations<'_> {
        KeptConversations(self)
    }
    /// What callers asked for.
    #[must_use]
    pub const fn manifests(&self) -> Manifests<'_> {
        Manifests(self)
    }
    /// Build jobs.
    #[must_use]
    pub const fn builds(&self) -> Builds<'_> {
        Builds(self)
    }
    /// Deployed apps.
    #[must_use]
    pub const fn apps(&self) -> Apps<'_> {
        Apps(self)
    }
    /// Messages of apps to webhooks.
    #[must_use]
    pub const fn deliveries(&self) -> Deliveries<'_> {
        Deliveries(self)
    }
    /// Callers who are called when their build is over.
    #[must_use]
    pub const fn return_calls(&self) -> ReturnCalls<'_> {
        ReturnCalls(self)
    }
    /// Questions in the middle of builds.
    #[must_use]
    pub const fn questions(&self) -> Questions<'_> {
        Questions(self)
    }
    /// The outbox.
    #[must_use]
    pub const fn events(&self) -> Events<'_> {
        Events(self)
    }
    /// Sums by the hour.
    #[must_use]
    pub const fn hours(&self) -> Hours<'_> {
        Hours(self)
    }
    /// What is found by its words.
    #[must_use]
    pub const fn memory(&self) -> Memory<'_> {
        Memory(self)
    }
    /// Versioned documents.
    #[must_use]
    pub const fn world(&self) -> World<'_> {
        World(self)
    }

    /// Why nothing is written now; None: all is well.
    #[must_use]
    pub fn trouble(&self) -> Option<StoreError> {
        self.shared.writer.trouble()
    }

    /// Sequence number of the newest event on disk; the receiver wakes after each commit that brought one.
    #[must_use]
    pub fn newest_event(&self) -> watch::Receiver<u64> {
        self.shared.writer.newest_event()
    }

    /// How many records that must not get lost wait for the disk.
    #[must_use]
    pub fn waiting(&self) -> watch::Receiver<usize> {
        self.shared.writer.left()
    }

    pub(super) fn insist(
        &self,
        what: &'static str,
        worth: Worth,
        work: impl Fn(&Connection) -> Result<(), StoreError> + Send + 'static,
    ) {
        self.shared.writer.insist(what, worth, work);
    }

    pub(super) fn wrong_pins(&self) -> MutexGuard<'_, WrongPins> {
        self.shared.wrong_pins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write<T, F>(&self, work: F) -> Commit<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.shared.writer.write(work)
    }

    pub(super) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let db = self.shared.idle.recv().map_err(|_| StoreError::Stopped)?;
        let answer = work(&db);
        let _ = self.shared.free.try_send(db);
        answer
    }
}

fn connect(path: &PathBuf, access: OpenFlags, options: &OpenOptions) -> Result<Connection, StoreError> {
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)
        .map_err(|e| StoreError::Unopenable { path: path.display().to_string(), what: e.to_string() })?;
    db.busy_timeout(options.lock_wait)?;
    db.pragma_update(None, "foreign_keys", true)?;
    Ok(db)
}

fn connect_writer(path: &PathBuf, options: &OpenOptions) -> Result<Connection, StoreError> {
    if options.read_only {
        return connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, options);
    }
    let mut db = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE, options)?;
    let _: String = db.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    // FULL: a commit is on disk when it is acknowledged, also when the power goes.
    db.pragma_update(None, "synchronous", "FULL")?;
    // What is deleted is gone: its place in the file is overwritten.
    let _: i64 = db.query_row("PRAGMA secure_delete = ON", [], |row| row.get(0))?;
    migration::forward(&mut db)?;
    if let Some(octets) = options.size_max {
        let page: i64 = db.query_row("PRAGMA page_size", [], |row| row.get(0))?;
        let pages = i64::try_from(octets).unwrap_or(i64::MAX) / page;
        let _: i64 = db.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |row| row.get(0))?;
    }
    Ok(db)
}

/// Rows to ask for: one more than shown, so that the end is known.
pub(super) fn page_limit(limit: usize) -> i64 {
    i64::try_from(limit.clamp(1, PAGE_ROWS_MAX)).unwrap_or(1) + 1
}

/// Cuts `rows` (row number, item) fetched with [`page_limit`] into a page.
pub(super) fn page<T>(mut rows: Vec<(i64, T)>, limit: usize) -> Page<T> {
    let shown = limit.clamp(1, PAGE_ROWS_MAX);
    let more = rows.len() > shown;
    rows.truncate(shown);
    let next = if more { rows.last().map(|(row, _)| *row) } else { None };
    Page { items: rows.into_iter().map(|(_, item)| item).collect(), next }
}
