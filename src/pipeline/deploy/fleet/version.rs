//! From one version of an app to another. Purpose: replace, go back, take away, without losing data unasked. Owning thread: any
//! tokio task, one change at a time. Invariants: before data may change their shape there is a copy of them; a version that
//! does not get well leaves the one before as it was; two versions are kept. Deliberately absent: who may ask for it.

use super::{DeployError, Fleet};
use crate::apphost::child::{self, Plan};
use crate::apphost::service::{DATABASE_FILE, Purpose};
use crate::os::clock;
use crate::store::{App, AppVersion, RunState, StoreError};
use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::spawn_blocking;

/// A copy of an app's data takes this long at most.
const SNAPSHOT_MAX: Duration = Duration::from_secs(60);
/// Releases and copies of data that are kept of an app, the live one included.
const VERSIONS_KEPT: usize = 2;
/// Where SQLite keeps `user_version` in its file: four octets, big-endian.
const USER_VERSION_AT: u64 = 60;

/// Why an app did not go back.
#[derive(Debug, thiserror::Error)]
pub enum RollBackError {
    /// There is no such app, or it does not serve.
    #[error("no app {0} is live")]
    Unknown(String),
    /// It is the first version.
    #[error("there is no version before this one")]
    First,
    /// The data have a shape that the version before does not know; going back means to go back to the data of then.
    #[error("what was written since version {version} went away would be lost; ask for it with lose_data")]
    LosesData {
        /// The version to go back to.
        version: u32,
    },
    /// The copy of the data of then is gone.
    #[error("version {version} does not know the data of today, and the copy of its own is gone")]
    NoCopy {
        /// The version to go back to.
        version: u32,
    },
    /// The version before does not get well any more, or the box's fault; the app serves as before.
    #[error(transparent)]
    Deploy(#[from] DeployError),
}

impl From<StoreError> for RollBackError {
    fn from(e: StoreError) -> Self {
        Self::Deploy(e.into())
    }
}

impl From<io::Error> for RollBackError {
    fn from(e: io::Error) -> Self {
        Self::Deploy(e.into())
    }
}

impl Fleet {
    /// Puts `app` in the place of its live version `before`, of whose data a copy is kept. Returns port and URL.
    ///
    /// # Errors
    /// As [`Fleet::go_live`]; `before` then serves on, on data of its own shape.
    pub async fn replace(&self, before: &App, app: &App) -> Result<(u16, String), DeployError> {
        let _alone = self.changing.lock().await;
        // Under this name it survives a kill: a repeat must not take the copy when the data have changed already.
        let short = app.revision.get(..8).unwrap_or(&app.revision);
        let copy = self.copies(&app.slug).join(format!("v{}.{short}.db", before.version));
        if !copy.exists() {
            let taken = self.snapshot(before).await?;
            fs::create_dir_all(self.copies(&app.slug))?;
            fs::rename(taken, &copy)?;
        }
        let error = match self.go_live(app).await {
            Ok(found) => return Ok(found),
            Err(error) => error,
        };
        let now = self.snapshot(before).await?;
        if schema_of(&now)? > self.migrations(&before.slug, &before.revision) {
            tracing::warn!(app = app.slug, %error, "a version that changed the data did not get well; they are put back");
            self.exchange_data(before, &copy, before).await?;
        }
        fs::remove_file(now)?;
        Err(error)
    }

    /// Brings the version before the live one back. Where that does not know the data of today, those of its own time come back
    /// with it, if `lose_data` allows that; today's are kept as a file.
    ///
    /// # Errors
    /// See [`RollBackError`].
    pub async fn roll_back(&self, slug: &str, lose_data: bool) -> Result<App, RollBackError> {
        let _alone = self.changing.lock().await;
        let (store, name) = (self.store.clone(), slug.to_owned());
        let read =
            spawn_blocking(move || Ok::<_, StoreError>((store.apps().get(&name)?, store.apps().versions(&name)?)));
        let (app, versions) = read.await.map_err(|e| DeployError::Files(e.into()))??;
        let app =
            app.filter(|app| app.state == RunState::Live).ok_or_else(|| RollBackError::Unknown(slug.to_owned()))?;
        let to = versions.into_iter().find(|v| v.version < app.version).ok_or(RollBackError::First)?;
        let target =
            App { version: to.version, build_id: to.build_id.clone(), revision: to.revision.clone(), ..app.clone() };
        self.write_out(&target).await?;
        let taken = self.snapshot(&app).await?;
        let kept = self.copies(slug).join(format!("v{}.rolled-back.db", app.version));
        fs::create_dir_all(self.copies(slug))?;
        fs::rename(taken, &kept)?;
        if schema_of(&kept)? > self.migrations(slug, &to.revision) {
            if !lose_data {
                return Err(RollBackError::LosesData { version: to.version });
            }
            let copy = self.copy_of(slug, to.version)?.ok_or(RollBackError::NoCopy { version: to.version })?;
            if let Err(error) = self.exchange_data(&app, &copy, &target).await {
                self.exchange_data(&target, &kept, &app).await?;
                return Err(error.into());
            }
        } else {
            self.go_live(&target).await?;
        }
        self.store.apps().roll_back(&app, &to, clock::wall()).await?;
        tracing::info!(app = slug, from = app.version, to = to.version, "an app went back to its version before");
        Ok(target)
    }

    /// Takes an app away: off line, ended, forgotten; its files go to `deleted/` in the data directory, for an operator who finds
    /// that this was wrong. False: there is no such app.
    ///
    /// # Errors
    /// The store or the file system refuses.
    pub async fn delete(&self, slug: &str) -> Result<bool, DeployError> {
        let _alone = self.changing.lock().await;
        let now = clock::wall();
        // First, so that a kill in between does not bring it back.
        if !self.store.apps().delete(slug, now).await? {
            return Ok(false);
        }
        self.gateway.remove(slug);
        let gone = self.instances.lock().await.live.remove(slug);
        if let Some(key) = gone {
            self.attached.stop(&key).await?;
        }
        let to = self.data.join("deleted");
        fs::create_dir_all(&to)?;
        fs::rename(self.app_dir(slug), to.join(format!("{slug}.{}", now.0)))?;
        tracing::info!(app = slug, "an app was deleted");
        Ok(true)
    }

    /// Removes releases and copies of data that are older than what one may go back to.
    pub fn tidy(&self, slug: &str, versions: &[AppVersion], live: u32) {
        let kept: Vec<PathBuf> = versions
            .iter()
            .filter(|v| v.version <= live)
            .take(VERSIONS_KEPT)
            .map(|v| self.release_dir(slug, &v.revision))
            .collect();
        for version in versions.iter().filter(|v| v.version < live) {
            let dir = self.release_dir(slug, &version.revision);
            if !kept.contains(&dir) && dir.exists() {
                remove(slug, fs::remove_dir_all(&dir));
            }
        }
        let copies = newest_first(&self.copies(slug)).unwrap_or_default();
        for old in copies.into_iter().skip(VERSIONS_KEPT) {
            remove(slug, fs::remove_file(old));
        }
    }

    /// A consistent copy of the app's data, taken while it serves; the caller moves it away.
    pub(super) async fn snapshot(&self, app: &App) -> Result<PathBuf, DeployError> {
        let order = self.order(app);
        let plan = Plan {
            exe: self.program.clone(),
            bundle: order.bundle,
            data: order.data,
            socket: PathBuf::new(),
            log: order.log,
            purpose: Purpose::Serve,
        };
        let taken = spawn_blocking(move || child::snapshot(&plan, SNAPSHOT_MAX)).await;
        taken.map_err(|e| DeployError::Files(e.into()))?.map_err(|e| DeployError::Unwell(e.to_string()))
    }

    /// Ends `from`, puts `copy` in the place of its data, and puts `to` on line.
    async fn exchange_data(&self, from: &App, copy: &Path, to: &App) -> Result<(), DeployError> {
        self.attached.stop(&self.order(from).key).await?;
        let database = self.data_dir(&from.slug).join(DATABASE_FILE);
        for tail in ["-wal", "-shm", ""] {
            let mut name = database.clone().into_os_string();
            name.push(tail);
            match fs::remove_file(name) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e.into()),
                _ => {}
            }
        }
        // Beside it first, so that a kill leaves no half of a file under the name.
        let whole = database.with_extension("coming");
        fs::copy(copy, &whole)?;
        fs::rename(whole, database)?;
        self.go_live(to).await.map(drop)
    }

    /// The newest copy of the data as they were when `version` was replaced.
    fn copy_of(&self, slug: &str, version: u32) -> io::Result<Option<PathBuf>> {
        let prefix = format!("v{version}.");
        let copies = newest_first(&self.copies(slug))?;
        Ok(copies.into_iter().find(|path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(&prefix))))
    }

    fn migrations(&self, slug: &str, revision: &str) -> u32 {
        let files = fs::read_dir(self.release_dir(slug, revision).join("schema")).into_iter().flatten().flatten();
        let files = files.filter(|file| file.path().extension().is_some_and(|e| e == "sql")).count();
        u32::try_from(files).unwrap_or(u32::MAX)
    }

    fn copies(&self, slug: &str) -> PathBuf {
        self.app_dir(slug).join("copies")
    }
}

/// Migrations that the data of a [`Fleet::snapshot`] have seen.
fn schema_of(snapshot: &Path) -> io::Result<u32> {
    let mut octets = [0; 4];
    let mut file = fs::File::open(snapshot)?;
    file.seek(SeekFrom::Start(USER_VERSION_AT))?;
    file.read_exact(&mut octets)?;
    Ok(u32::from_be_bytes(octets))
}

fn newest_first(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        files.push((entry.metadata()?.modified()?, entry.path()));
    }
    files.sort();
    Ok(files.into_iter().rev().map(|(_, path)| path).collect())
}

fn remove(slug: &str, removed: io::Result<()>) {
    if let Err(error) = removed {
        tracing::warn!(app = slug, %error, "files of an old version stay");
    }
}
