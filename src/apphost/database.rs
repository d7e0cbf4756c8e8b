//! One app's SQLite file. Purpose: bring it to the bundle's schema and run the bundle's SQL within a fence.
//! Owner: the app process's only thread. Invariants: SQL of the bundle never attaches files, never sets pragmas, never
//! loads code, never opens or ends transactions itself, never
//! sees the runtime's own tables (their names begin with an underscore); no request takes more steps, rows or time than its limits; an
//! action is one transaction: all of its statements or none; what several requests change together is confirmed to none of them before
//! all of it is on the disk.
//! Deliberately absent: any SQL about the app's own tables: that is the bundle's.

use super::bundle::{Bundle, Limits, SqlFile};
use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Steps between two looks at the budget.
const STEPS_PER_LOOK: i32 = 1_000;

/// Backups kept of the data as it was before a migration.
const BACKUPS_MAX: usize = 3;
/// Copies are named `backup-000001-schema-3.db`: their number, and the schema that they have.
const BACKUP_PREFIX: &str = "backup-";

/// The runtime's own tables; SQL of the bundle does not see them.
const OWN_TABLES: &str = "
CREATE TABLE IF NOT EXISTS _accounts (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE COLLATE NOCASE, role TEXT NOT NULL,
    password TEXT NOT NULL, created_at TEXT NOT NULL DEFAULT (datetime('now')) ) STRICT;
CREATE TABLE IF NOT EXISTS _sessions (hash TEXT PRIMARY KEY, account INTEGER NOT NULL REFERENCES _accounts (id)
    ON DELETE CASCADE, expires INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS _keys (id INTEGER PRIMARY KEY, name TEXT NOT NULL, hash TEXT NOT NULL UNIQUE, role TEXT NOT NULL,
    per_minute INTEGER NOT NULL, created_at TEXT NOT NULL DEFAULT (datetime('now')) ) STRICT;
CREATE TABLE IF NOT EXISTS _hooks (id INTEGER PRIMARY KEY, url TEXT NOT NULL UNIQUE, secret TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS _outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, url TEXT NOT NULL, event TEXT NOT NULL,
    body TEXT NOT NULL, signature TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 0, due INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS _tally (kind TEXT NOT NULL, name TEXT NOT NULL, day TEXT NOT NULL, n INTEGER NOT NULL,
    PRIMARY KEY (kind, name, day)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS _secrets (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
";

/// A row as JSON, columns in order.
pub type Row = Map<String, Value>;
/// Named parameters of a statement, without the colon.
pub type Parameters = BTreeMap<String, Value>;

/// Why SQL did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The database file cannot be opened; the operator's.
    #[error("cannot open the database {path}: {what}; check the data directory's owner and free space")]
    Open {
        /// The file.
        path: String,
        /// SQLite's words.
        what: String,
    },
    /// The file was written by a newer bundle; deploy that one or restore a backup.
    #[error("the database is at schema {found}, this bundle knows only {known}; deploy the newer version again")]
    FromTheFuture {
        /// `user_version` of the file.
        found: u32,
        /// Migrations of the bundle.
        known: u32,
    },
    /// Bad SQL in the bundle; the generator's.
    #[error("{path}: {what}")]
    BadSql {
        /// The file of the bundle.
        path: String,
        /// SQLite's words.
        what: String,
    },
    /// A rule of the schema refused the data; the request's.
    #[error("refused by the rule {0}")]
    Rule(Rule),
    /// Steps, time or rows used up; the request's. Retry makes no sense.
    #[error("the request needed more than the app's limits allow")]
    Budget,
    /// The database reached its size limit or the disk is full; the operator's.
    #[error("the app's database is full")]
    Full,
    /// Anything else SQLite says; see the log.
    #[error("database: {0}")]
    Other(String),
}

/// A rule of the schema that refused data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// Named `CHECK`, or the message of a trigger.
    Check(String),
    /// A reference to or from another record.
    ForeignKey,
    /// Column that must be filled in, `table.column`.
    NotNull(String),
    /// Column whose values must differ, `table.column`.
    Unique(String),
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Check(name) => f.write_str(name),
            Self::ForeignKey => f.write_str("foreign key"),
            Self::NotNull(column) => write!(f, "not null: {column}"),
            Self::Unique(column) => write!(f, "unique: {column}"),
        }
    }
}

/// Name of the copy that [`snapshot`] makes.
pub const SNAPSHOT_FILE: &str = "snapshot.db";

/// Copies the database of the data directory `data` to [`SNAPSHOT_FILE`] beside it, while others use it: one consistent state,
/// without what they have not committed. To be called in the sandbox, as the file is the app's.
///
/// # Errors
/// [`DatabaseError::Open`], [`DatabaseError::Full`], [`DatabaseError::Other`].
pub fn snapshot(data: &Path) -> Result<(), DatabaseError> {
    let (from, to) = (data.join(super::service::DATABASE_FILE), data.join(SNAPSHOT_FILE));
    let failed = |what: String| DatabaseError::Open { path: from.display().to_string(), what };
    match std::fs::remove_file(&to) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(e.to_string())),
        _ => {}
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&from, flags).map_err(|e| failed(e.to_string()))?;
    connection.busy_timeout(Duration::from_secs(10)).map_err(|e| explain(&e))?;
    connection.execute("VACUUM INTO ?1", [to.to_string_lossy()]).map_err(|e| explain(&e))?;
    Ok(())
}

/// How long data matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// A record that was confirmed survives a power cut.
    Durable,
    /// Nobody will miss it.
    ThrowAway,
}

/// What the SQL that is being prepared may do.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Fence {
    /// Our own statements.
    Open,
    /// Migrations: schema changes, nothing outside of the file.
    Schema,
    /// Actions: rows only.
    Rows,
}

/// The app's database.
#[derive(Debug)]
pub struct Database {
    connection: Connection,
    fence: Arc<AtomicU8>,
    budget: Arc<Budget>,
    actions: BTreeMap<String, Vec<String>>,
    tables: Vec<String>,
    rows_max: usize,
    version: u32,
    /// The file as it is right after the migrations; only made by [`Database::forget`].
    empty: Option<Vec<u8>>,
}

#[derive(Debug)]
struct Budget {
    start: Instant,
    steps_max: u64,
    time_max: Duration,
    steps: AtomicU64,
    /// Nanoseconds after `start`.
    deadline: AtomicU64,
}

impl Database {
    /// Opens (or creates) `path`, migrates it to the bundle's schema and prepares every action once, so that a bundle
    /// with bad SQL never starts.
    ///
    /// # Errors
    /// [`DatabaseError::Open`], [`DatabaseError::FromTheFuture`], [`DatabaseError::BadSql`].
    pub fn open(path: &Path, bundle: &Bundle, keeping: Keeping) -> Result<Self, DatabaseError> {
        let limits = &bundle.app.limits;
        let fence = Arc::new(AtomicU8::new(Fence::Open as u8));
        let budget = Arc::new(Budget {
            start: Instant::now(),
            steps_max: limits.sql_steps,
            time_max: Duration::from_millis(limits.request_ms.into()),
            steps: AtomicU64::new(0),
            deadline: AtomicU64::new(u64::MAX),
        });
        let connection = connect(path, limits, keeping, &fence, &budget)?;
        let mut database = Self {
            connection,
            fence,
            budget,
            actions: BTreeMap::new(),
            tables: bundle.app.resources.iter().map(|r| r.name.clone()).collect(),
            rows_max: limits.rows as usize,
            version: 0,
            empty: None,
        };
        let fresh = database.migrate(&bundle.schema, path)?;
        database.own(|c| c.execute_batch(OWN_TABLES))?;
        database.prepare_all(bundle)?;
        if let (true, Some(seed), Keeping::Durable) = (fresh, &bundle.seed, keeping) {
            database.sow(seed)?;
        }
        Ok(database)
    }

    /// Runs the action called `name` as one transaction; returns the rows of its last statement.
    ///
    /// # Errors
    /// [`DatabaseError::Rule`], [`DatabaseError::Budget`], [`DatabaseError::Full`], [`DatabaseError::Other`].
    pub fn run(&self, name: &str, parameters: &Parameters) -> Result<Vec<Row>, DatabaseError> {
        let statements = self.actions.get(name).ok_or_else(|| DatabaseError::Other(format!("no action {name}")))?;
        self.budget.refill();
        if let [only] = statements.as_slice() {
            return self.fenced(Fence::Rows, || self.query(only, parameters));
        }
        self.transaction(|| {
            let mut rows = Vec::new();
            for sql in statements {
                rows = self.fenced(Fence::Rows, || self.query(sql, parameters))?;
            }
            Ok((rows, true))
        })
    }

    /// Runs foreign SQL, as an action would, and undoes whatever it did unless it is to be kept; for scenarios.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn probe(&self, sql: &str, keep: bool) -> Result<Vec<Row>, DatabaseError> {
        self.budget.refill();
        self.transaction(|| {
            let mut rows = Vec::new();
            for sql in split(sql) {
                if !only_rows(&sql) {
                    return Err(DatabaseError::Other("not a statement that reads or writes rows".to_owned()));
                }
                rows = self.fenced(Fence::Rows, || self.query(&sql, &Parameters::new()))?;
            }
            Ok((rows, keep))
        })
    }

    /// Throws all data away and goes on with an empty file; for scenarios.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn forget(&mut self, path: &Path, bundle: &Bundle) -> Result<(), DatabaseError> {
        let failed = |e: std::io::Error| DatabaseError::Open { path: path.display().to_string(), what: e.to_string() };
        // An in-memory database lets go of the file before it is removed.
        let memory = Connection::open_in_memory().map_err(|e| explain(&e))?;
        drop(std::mem::replace(&mut self.connection, memory));
        for tail in ["", "-wal", "-shm"] {
            let mut name = path.as_os_str().to_owned();
            name.push(tail);
            match std::fs::remove_file(&name) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(e)),
                _ => {}
            }
        }
        if let Some(empty) = &self.empty {
            // Migrations and preparation have been checked; the copy of their result is as good and much faster.
            std::fs::write(path, empty).map_err(failed)?;
            self.connection = connect(path, &bundle.app.limits, Keeping::ThrowAway, &self.fence, &self.budget)?;
            return Ok(());
        }
        *self = Self::open(path, bundle, Keeping::ThrowAway)?;
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(|e| explain(&e))?;
        self.empty = Some(std::fs::read(path).map_err(failed)?);
        Ok(())
    }

    /// Fills a new database with what the bundle starts with.
    ///
    /// # Errors
    /// [`DatabaseError::BadSql`].
    pub fn sow(&self, seed: &SqlFile) -> Result<(), DatabaseError> {
        let bad = |e: DatabaseError| DatabaseError::BadSql { path: seed.path.clone(), what: e.to_string() };
        self.probe(&seed.sql, true).map(|_| ()).map_err(bad)
    }

    /// Runs the runtime's own SQL on its own tables.
    pub(super) fn own<T>(&self, body: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, DatabaseError> {
        self.budget.refill();
        body(&self.connection).map_err(|e| explain(&e))
    }

    /// Counts transactions that wrote something from now on.
    #[cfg(test)]
    pub(super) fn commits(&mut self) -> Arc<AtomicU64> {
        let commits = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&commits);
        let hook = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            false
        };
        self.connection.commit_hook(Some(hook)).unwrap();
        commits
    }

    /// Rows per table of the app, in the bundle's order.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn counts(&self) -> Result<Vec<(String, u64)>, DatabaseError> {
        self.budget.refill();
        let count = |table: &String| {
            // Table names are identifiers: `bundle::app` refuses anything else.
            let sql = format!("SELECT count(*) FROM {table}");
            let n = self.connection.prepare_cached(&sql).and_then(|mut s| s.query_row([], |r| r.get::<_, i64>(0)));
            n.map(|n| (table.clone(), n.unsigned_abs())).map_err(|e| explain(&e))
        };
        self.tables.iter().map(count).collect()
    }

    /// SQLite's `user_version`: how many migrations the file has seen.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Whether the file was new.
    fn migrate(&mut self, schema: &[SqlFile], path: &Path) -> Result<bool, DatabaseError> {
        let known = u32::try_from(schema.len()).unwrap_or(u32::MAX);
        let found = self.connection.query_row("PRAGMA user_version", [], |r| r.get::<_, u32>(0));
        let found = found.map_err(|e| explain(&e))?;
        if found > known {
            return Err(DatabaseError::FromTheFuture { found, known });
        }
        if (1..known).contains(&found) {
            back_up(path, found)?;
        }
        for (index, file) in schema.iter().enumerate().skip(found as usize) {
            let version = u32::try_from(index + 1).unwrap_or(u32::MAX);
            self.budget.refill();
            self.transaction(|| {
                self.fenced(Fence::Schema, || {
                    self.connection
                        .execute_batch(&file.sql)
                        .map_err(|e| DatabaseError::BadSql { path: file.path.clone(), what: e.to_string() })
                })?;
                self.connection.pragma_update(None, "user_version", version).map_err(|e| explain(&e))?;
                Ok(((), true))
            })?;
        }
        self.version = known;
        Ok(found == 0)
    }

    fn prepare_all(&mut self, bundle: &Bundle) -> Result<(), DatabaseError> {
        let mut known: BTreeSet<&str> =
            ["id", "slug", "visitor", "match", "limit", "parent", "after_key", "after_id"].into_iter().collect();
        known.extend(super::figures::PARAMETERS);
        known.extend(bundle.app.parameters());
        for (name, file) in &bundle.actions {
            let bad = |what: String| DatabaseError::BadSql { path: file.path.clone(), what };
            let statements = split(&file.sql);
            if statements.is_empty() {
                return Err(bad("holds no statement".to_owned()));
            }
            for sql in &statements {
                if !only_rows(sql) {
                    return Err(bad("holds a statement that does more than read and write rows".to_owned()));
                }
                self.fenced(Fence::Rows, || {
                    let statement = self.connection.prepare_cached(sql).map_err(|e| bad(e.to_string()))?;
                    for i in 1..=statement.parameter_count() {
                        match statement.parameter_name(i).and_then(|n| n.strip_prefix(':')) {
                            Some(n) if known.contains(n) => {}
                            n => return Err(bad(format!("has the unknown parameter {}", n.unwrap_or("?")))),
                        }
                    }
                    Ok(())
                })?;
            }
            self.actions.insert(name.clone(), statements);
        }
        Ok(())
    }

    /// Opens a transaction for requests that came together: they share one lock and one write to the disk. False: it cannot be had,
    /// and each goes by itself.
    pub(super) fn begin(&self, changes: bool) -> bool {
        self.fence.store(Fence::Open as u8, Ordering::Relaxed);
        let begin = if changes { "BEGIN IMMEDIATE" } else { "BEGIN" };
        self.own(|c| c.prepare_cached(begin)?.execute([])).is_ok()
    }

    /// Whether a transaction is open. SQLite itself takes back all of one where the disk is full, or where a budget ends in the
    /// middle of a change.
    pub(super) fn is_within(&self) -> bool {
        !self.connection.is_autocommit()
    }

    /// Keeps what was done since [`Self::begin`]: it is on the disk when this returns true. False: nothing of it was kept.
    pub(super) fn commit(&self) -> bool {
        let kept = self.is_within() && self.own(|c| c.prepare_cached("COMMIT")?.execute([])).is_ok();
        if !kept {
            self.abandon();
        }
        kept
    }

    /// Takes back what was done since [`Self::begin`], if that is still open.
    pub(super) fn abandon(&self) {
        self.fence.store(Fence::Open as u8, Ordering::Relaxed);
        if self.is_within() {
            // It fails where SQLite has done it already.
            _ = self.own(|c| c.execute_batch("ROLLBACK"));
        }
    }

    /// Runs actions as one: all are kept if `body` returns `true` beside its value, else none.
    pub(super) fn together<T>(&self, body: impl FnOnce() -> (T, bool)) -> Result<T, DatabaseError> {
        self.transaction(|| Ok(body()))
    }

    /// Runs `body` in a transaction, or a part of one, that is kept if it returns `true` beside its value.
    fn transaction<T>(&self, body: impl FnOnce() -> Result<(T, bool), DatabaseError>) -> Result<T, DatabaseError> {
        let (begin, keep, undo) = match self.connection.is_autocommit() {
            true => ("BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"),
            false => ("SAVEPOINT part", "RELEASE part", "ROLLBACK TO part; RELEASE part"),
        };
        self.connection.execute_batch(begin).map_err(|e| explain(&e))?;
        let result = body();
        let end = if matches!(result, Ok((_, true))) { keep } else { undo };
        // A spent budget must not keep the transaction open.
        self.budget.refill();
        let ended = self.connection.execute_batch(end);
        match (result, ended) {
            (Ok((value, _)), Ok(())) => Ok(value),
            (Ok(_), Err(e)) => {
                // A COMMIT that failed (disk full) leaves the transaction open.
                _ = self.connection.execute_batch(undo);
                Err(explain(&e))
            }
            (Err(e), _) => Err(e),
        }
    }

    fn fenced<T>(&self, fence: Fence, body: impl FnOnce() -> T) -> T {
        self.fence.store(fence as u8, Ordering::Relaxed);
        let value = body();
        self.fence.store(Fence::Open as u8, Ordering::Relaxed);
        value
    }

    fn query(&self, sql: &str, parameters: &Parameters) -> Result<Vec<Row>, DatabaseError> {
        let run = || -> Result<Vec<Row>, rusqlite::Error> {
            let mut statement = self.connection.prepare_cached(sql)?;
            for i in 1..=statement.parameter_count() {
                let name = statement.parameter_name(i).unwrap_or_default().trim_start_matches(':').to_owned();
                match parameters.get(&name) {
                    Some(Value::String(s)) => statement.raw_bind_parameter(i, s)?,
                    Some(Value::Number(n)) if n.is_i64() => statement.raw_bind_parameter(i, n.as_i64())?,
                    Some(Value::Number(n)) => statement.raw_bind_parameter(i, n.as_f64())?,
                    Some(Value::Bool(b)) => statement.raw_bind_parameter(i, b)?,
                    _ => statement.raw_bind_parameter(i, rusqlite::types::Null)?,
                }
            }
            let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
            let mut rows = statement.raw_query();
            let mut out = Vec::new();
            while let Some(row) = rows.next()? {
                if out.len() == self.rows_max {
                    break;
                }
                let cell = |(i, name): (usize, &String)| Ok((name.clone(), json(row.get_ref(i)?)));
                out.push(names.iter().enumerate().map(cell).collect::<Result<Row, rusqlite::Error>>()?);
            }
            Ok(out)
        };
        run().map_err(|e| explain(&e))
    }
}

impl Budget {
    fn refill(&self) {
        self.steps.store(0, Ordering::Relaxed);
        let now = self.start.elapsed() + self.time_max;
        self.deadline.store(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn spent(&self) -> bool {
        let per_look = u64::from(STEPS_PER_LOOK.unsigned_abs());
        let steps = self.steps.fetch_add(per_look, Ordering::Relaxed) + per_look;
        steps > self.steps_max || self.start.elapsed().as_nanos() > u128::from(self.deadline.load(Ordering::Relaxed))
    }
}

/// Copies the file beside itself before a migration changes it; the newest few copies are kept. The sandbox lets an app make
/// files in its data directory, no directories.
fn back_up(path: &Path, version: u32) -> Result<(), DatabaseError> {
    let failed = |what: String| DatabaseError::Open { path: path.display().to_string(), what };
    let directory = path.parent().map(Path::to_path_buf).unwrap_or_default();
    let number_of = |p: &Path| p.file_name()?.to_str()?.strip_prefix(BACKUP_PREFIX)?.get(..6)?.parse::<u32>().ok();
    let names = || -> std::io::Result<Vec<std::path::PathBuf>> {
        let mut names: Vec<_> = std::fs::read_dir(&directory)?.flatten().map(|e| e.path()).collect();
        names.retain(|p| number_of(p).is_some());
        names.sort();
        Ok(names)
    };
    let taken = names().map_err(|e| failed(e.to_string()))?;
    let number = taken.last().and_then(|p| number_of(p)).unwrap_or(0) + 1;
    let target = directory.join(format!("{BACKUP_PREFIX}{number:06}-schema-{version}.db"));
    let copy = || -> rusqlite::Result<()> {
        // A connection of its own: the fenced one attaches nothing, which VACUUM INTO does.
        let connection = Connection::open(path)?;
        connection.execute("VACUUM INTO ?1", [target.display().to_string()])?;
        Ok(())
    };
    copy().map_err(|e| failed(format!("no backup could be made before the migration: {e}")))?;
    for old in taken.iter().take((taken.len() + 1).saturating_sub(BACKUPS_MAX)) {
        std::fs::remove_file(old).map_err(|e| failed(e.to_string()))?;
    }
    Ok(())
}

/// A connection within the fence and the budget.
fn connect(
    path: &Path,
    limits: &Limits,
    keeping: Keeping,
    fence: &Arc<AtomicU8>,
    budget: &Arc<Budget>,
) -> Result<Connection, DatabaseError> {
    let open = || -> rusqlite::Result<Connection> {
        let mut connection = Connection::open(path)?;
        settle(&connection, limits, keeping)?;
        let (fence, budget) = (Arc::clone(fence), Arc::clone(budget));
        connection.authorizer(Some(move |context: AuthContext<'_>| judge(fence.load(Ordering::Relaxed), &context)))?;
        connection.progress_handler(STEPS_PER_LOOK, Some(move || budget.spent()))?;
        Ok(connection)
    };
    open().map_err(|e| DatabaseError::Open { path: path.display().to_string(), what: e.to_string() })
}

/// Durable, defensive, small.
fn settle(connection: &Connection, limits: &Limits, keeping: Keeping) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(256);
    connection.busy_timeout(Duration::from_secs(2))?;
    connection.execute_batch(match keeping {
        Keeping::Durable => "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;",
        Keeping::ThrowAway => "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;",
    })?;
    connection.execute_batch(
        "PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;
         PRAGMA cache_size = -2000; PRAGMA mmap_size = 0; PRAGMA journal_size_limit = 8388608;",
    )?;
    let page_size: u32 = connection.query_row("PRAGMA page_size", [], |r| r.get(0))?;
    let pages = (u64::from(limits.database_mb) << 20) / u64::from(page_size.max(512));
    // `max_page_count` answers with a row, so it is queried.
    connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    for (limit, value) in [
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
        (Limit::SQLITE_LIMIT_COLUMN, 200),
        (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 20),
        (Limit::SQLITE_LIMIT_EXPR_DEPTH, 100),
        (Limit::SQLITE_LIMIT_LENGTH, 4 << 20),
        (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1_000),
        (Limit::SQLITE_LIMIT_SQL_LENGTH, 512 << 10),
        (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 10),
    ] {
        connection.set_limit(limit, value)?;
    }
    Ok(())
}

/// SQLite asks this for every thing that a statement would do, when it is prepared.
fn judge(fence: u8, context: &AuthContext<'_>) -> Authorization {
    if fence == Fence::Open as u8 {
        return Authorization::Allow;
    }
    let schema = fence == Fence::Schema as u8;
    let table = match context.action {
        AuthAction::Read { table_name, .. }
        | AuthAction::Insert { table_name }
        | AuthAction::Update { table_name, .. }
        | AuthAction::Delete { table_name }
        | AuthAction::CreateTable { table_name }
        | AuthAction::DropTable { table_name }
        | AuthAction::CreateTrigger { table_name, .. }
        | AuthAction::AlterTable { table_name, .. } => table_name,
        _ => "",
    };
    if table.starts_with('_') {
        return Authorization::Deny;
    }
    let allowed = match context.action {
        AuthAction::Select
        | AuthAction::Read { .. }
        | AuthAction::Recursive
        | AuthAction::Insert { .. }
        | AuthAction::Update { .. }
        | AuthAction::Delete { .. } => true,
        AuthAction::Function { function_name } => {
            !["load_extension", "fts3_tokenizer"].contains(&function_name.to_ascii_lowercase().as_str())
        }
        // FTS5 asks this of itself.
        AuthAction::Pragma { pragma_name, pragma_value: None } => pragma_name.eq_ignore_ascii_case("data_version"),
        // A column that is added with a rule has SQLite look whether the rows keep it.
        AuthAction::Pragma { pragma_name, .. } if schema => pragma_name.eq_ignore_ascii_case("quick_check"),
        AuthAction::CreateTable { .. }
        | AuthAction::CreateIndex { .. }
        | AuthAction::CreateTrigger { .. }
        | AuthAction::CreateView { .. }
        | AuthAction::DropTable { .. }
        | AuthAction::DropIndex { .. }
        | AuthAction::DropTrigger { .. }
        | AuthAction::DropView { .. }
        | AuthAction::AlterTable { .. }
        | AuthAction::Reindex { .. } => schema,
        AuthAction::CreateVtable { module_name, .. } | AuthAction::DropVtable { module_name, .. } => {
            schema && module_name.eq_ignore_ascii_case("fts5")
        }
        _ => false,
    };
    if allowed { Authorization::Allow } else { Authorization::Deny }
}

fn explain(error: &rusqlite::Error) -> DatabaseError {
    let rusqlite::Error::SqliteFailure(code, message) = error else {
        return DatabaseError::Other(error.to_string());
    };
    let message = message.clone().unwrap_or_default();
    match code.code {
        ErrorCode::ConstraintViolation => DatabaseError::Rule(rule(code.extended_code, &message)),
        ErrorCode::OperationInterrupted => DatabaseError::Budget,
        ErrorCode::DiskFull => DatabaseError::Full,
        _ => DatabaseError::Other(format!("{message} ({})", code.extended_code)),
    }
}

fn rule(extended: i32, message: &str) -> Rule {
    let subject = message.split_once("failed: ").map_or(message, |(_, s)| s).to_owned();
    match extended {
        rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY => Rule::ForeignKey,
        // ON DELETE RESTRICT is a trigger to SQLite, which says so in the code only.
        rusqlite::ffi::SQLITE_CONSTRAINT_TRIGGER if message.starts_with("FOREIGN KEY") => Rule::ForeignKey,
        rusqlite::ffi::SQLITE_CONSTRAINT_NOTNULL => Rule::NotNull(subject),
        rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE | rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY => Rule::Unique(subject),
        _ => Rule::Check(subject),
    }
}

fn json(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(i) => i.into(),
        ValueRef::Real(r) => r.into(),
        ValueRef::Text(t) => String::from_utf8_lossy(t).into_owned().into(),
        ValueRef::Blob(b) => format!("{} octets", b.len()).into(),
    }
}

/// Whether a statement begins like one about rows; a few others (VACUUM) are never shown to the authorizer.
fn only_rows(sql: &str) -> bool {
    let verb = sql.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default().to_ascii_uppercase();
    ["DELETE", "INSERT", "REPLACE", "SELECT", "UPDATE", "VALUES", "WITH"].contains(&verb.as_str())
}

/// Cuts SQL into statements at semicolons outside of quotes and comments; comments are dropped.
fn split(sql: &str) -> Vec<String> {
    let mut statements = vec![String::new()];
    let mut rest = sql.chars().peekable();
    let mut quote: Option<char> = None;
    while let Some(c) = rest.next() {
        let current = statements.last_mut().expect("starts with one and only grows");
        match (quote, c) {
            (Some(q), _) => {
                current.push(c);
                if c == q {
                    quote = None;
                }
            }
            (None, '\'' | '"' | '`') => {
                quote = Some(c);
                current.push(c);
            }
            (None, '-') if rest.peek() == Some(&'-') => {
                for c in rest.by_ref() {
                    if c == '\n' {
                        break;
                    }
                }
                current.push('\n');
            }
            (None, '/') if rest.peek() == Some(&'*') => {
                let mut last = ' ';
                // The opening star is not the closing one.
                rest.next();
                for c in rest.by_ref() {
                    if last == '*' && c == '/' {
                        break;
                    }
                    last = c;
                }
                current.push(' ');
            }
            (None, ';') => statements.push(String::new()),
            (None, c) => current.push(c),
        }
    }
    statements.into_iter().map(|s| s.trim().to_owned()).filter(|s| !s.is_empty()).collect()
}

#[cfg(test)]
mod tests;
