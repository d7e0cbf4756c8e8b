//! What can go wrong with the store, and whose fault it is.

use rusqlite::ErrorCode;

/// Why the store could not do it. Only [`StoreError::retry`] ones are worth another try.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The file system is full; nothing of the transaction was written.
    #[error("the disk that holds the database is full; free space on it, the daemon then goes on by itself")]
    DiskFull,
    /// The file or its directory cannot be written.
    #[error("the database cannot be written ({0}); check owner and mount options of the data directory")]
    ReadOnly(String),
    /// The device or the file system failed.
    #[error("the disk that holds the database reports an error ({0}); look at the system's log")]
    Disk(String),
    /// Another program holds the database for longer than we wait.
    #[error(
        "another program holds a lock on the database; close it (for example a sqlite3 shell with an open transaction)"
    )]
    Locked,
    /// Another daemon runs on the same data directory.
    #[error("another callwright runs on the data directory {0}; stop it or give this one its own [data] dir")]
    InUse(String),
    /// The file could not be opened or created.
    #[error("the database {path} cannot be opened: {what}")]
    Unopenable {
        /// Path of the file.
        path: String,
        /// The system's words.
        what: String,
    },
    /// The database is of a later version of this program.
    #[error("the database has schema version {found}, this program knows {known}; install the newer version again")]
    TooNew {
        /// `user_version` found.
        found: i64,
        /// Newest version known here.
        known: i64,
    },
    /// The file is damaged or no database.
    #[error("the database is damaged ({0}); stop the daemon and restore it from a backup")]
    Corrupt(String),
    /// Too many writes are waiting.
    #[error("the store is behind: too many writes are waiting for the disk; try again shortly")]
    Overloaded,
    /// The writer has ended (shutdown).
    #[error("the store is closed")]
    Stopped,
    /// The row changed meanwhile or breaks a rule of the schema.
    #[error("the record is not as expected: {0}")]
    Conflict(String),
    /// A stored document does not parse.
    #[error("a stored document is not readable: {0}")]
    Document(String),
    /// Anything else that SQLite reports.
    #[error("the database reports: {0}")]
    Other(String),
}

impl StoreError {
    /// True when the same call may succeed later without anybody changing a program.
    #[must_use]
    pub const fn retry(&self) -> bool {
        matches!(self, Self::DiskFull | Self::Disk(_) | Self::ReadOnly(_) | Self::Locked | Self::Overloaded)
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(e: rusqlite::Error) -> Self {
        let text = e.to_string();
        match e.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::ReadOnly(text),
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => Self::Disk(text),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt(text),
            Some(ErrorCode::ConstraintViolation) => Self::Conflict(text),
            _ => Self::Other(text),
        }
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(e: serde_json::Error) -> Self {
        Self::Document(e.to_string())
    }
}
