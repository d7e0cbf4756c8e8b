//! From one version of an app to another. Purpose: replace, go back, take away, without losing data unasked. Owning thread: any
//! tokio task, one change at a time. Invariants: before data may change their shape there is a copy of them; a version that
//! does not get well leaves the one before as it was; two versions are kept. Deliberately absent: who may ask for it.

use super::{DeployError, Fleet};
use crate::apphost::child::{self, Plan};
use crate::apphost::service::{DATABASE_FILE, Purpose};
use crate::os::clock;
use crate::pipeline::repository::Repository;
use crate::store::{App, AppVersion, RunState, StoreError};
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::spawn_blocking;

/// A copy of an app's data takes this long at most.
const SNAPSHOT_MAX: Duration = Duration::from_secs(60);
/// Copies of data that are kept of an app.
const COPIES_KEPT: usize = 2;
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
    /// Puts `app` on line, in the place of the version that is live now if there is one, and records it. Returns it with its port
    /// and URL.
    ///
    /// # Errors
    /// As [`Fleet::go_live`]; the version before then serves on, on data of its own shape. [`DeployError::Gone`]: it `amends` an app
    /// that was taken away.
    pub async fn release(&self, mut app: App, amends: bool) -> Result<App, DeployError> {
        let _alone = self.changing.lock().await;
        // Looked up here, as the one that was live when the build began may have gone back or away since.
        let (before, _) = self.look_up(&app.slug).await?;
        let live = before.as_ref().filter(|before| before.state == RunState::Live);
        if amends && live.is_none() {
            return Err(DeployError::Gone(app.slug));
        }
        app.port = before.as_ref().map_or(0, |before| before.port);
        (app.port, app.url) = match live {
            Some(before) if before.revision != app.revision => self.replace(before, &app).await?,
            _ => self.go_live(&app).await?,
        };
        let (home, revision, version) = (self.app_dir(&app.slug), app.revision.clone(), app.version);
        let tagged = spawn_blocking(move || Repository::open(&home)?.release(&revision, version));
        tagged.await.map_err(|e| DeployError::Files(e.into()))??;
        self.store.apps().record(app.clone()).await?;
        Ok(app)
    }

    /// Puts `app` in the place of its live version `before`, of whose data a copy is kept. Returns port and URL.
    async fn replace(&self, before: &App, app: &App) -> Result<(u16, String), DeployError> {
        self.write_out(before).await?;
        let shape = self.shape(&before.slug, &before.revision);
        // Where the data may have to be put back, nothing is confirmed between the copy and the end of it.
        let _held = match shape != self.shape(&app.slug, &app.revision) {
            true => self.gateway.hold(&app.slug).await,
            false => None,
        };
        // Under this name it survives a kill: a repeat must not take the copy when the data have changed already.
        let copy = self.copies(&app.slug).join(copy_name(before.version, &app.revision));
        let taken = self.snapshot(before).await?;
        if schema_of(&taken)? <= shape.len() {
            self.keep(&taken, &copy)?;
        } else {
            fs::remove_file(taken)?;
        }
        let error = match self.go_live(app).await {
            Ok(found) => return Ok(found),
            Err(error) => error,
        };
        let now = self.snapshot(before).await?;
        if schema_of(&now)? > shape.len() {
            tracing::warn!(app = app.slug, %error, "a version that changed the data did not get well; they are put back");
            self.prepare(before, &copy)?;
            self.exchange(before, before).await?;
            let (_, versions) = self.look_up(&before.slug).await?;
            if let Some(same) = versions.iter().find(|v| v.version == before.version) {
                self.store.apps().roll_back(before, same, clock::wall()).await?;
            }
        }
        fs::remove_file(now)?;
        Err(error)
    }

    /// Brings the version back that the live one replaced. Where that does not know the data of today, those of its own time come
    /// back with it, if `lose_data` allows that; today's are kept as a file.
    ///
    /// # Errors
    /// See [`RollBackError`].
    pub async fn roll_back(&self, slug: &str, lose_data: bool) -> Result<App, RollBackError> {
        let _alone = self.changing.lock().await;
        let (app, versions) = self.look_up(slug).await?;
        let app =
            app.filter(|app| app.state == RunState::Live).ok_or_else(|| RollBackError::Unknown(slug.to_owned()))?;
        let version = |number| versions.iter().find(|v| v.version == number);
        let current = version(app.version).ok_or(RollBackError::First)?;
        let to = current.before.and_then(version).ok_or(RollBackError::First)?;
        let target =
            App { version: to.version, build_id: to.build_id.clone(), revision: to.revision.clone(), ..app.clone() };
        self.write_out(&target).await?;
        let taken = self.snapshot(&app).await?;
        let kept = self.copies(slug).join(format!("v{}.rolled-back.db", app.version));
        // The hold ends when it is known which version serves.
        let mut held = None;
        if self.knows(&target, &app, schema_of(&taken)?) {
            self.keep(&taken, &kept)?;
            self.go_live(&target).await?;
        } else {
            fs::remove_file(taken)?;
            if !lose_data {
                return Err(RollBackError::LosesData { version: to.version });
            }
            let copy = self.copies(slug).join(copy_name(to.version, &app.revision));
            if !copy.exists() {
                return Err(RollBackError::NoCopy { version: to.version });
            }
            // Before anything changes: the disk may be full.
            self.prepare(&target, &copy)?;
            held = self.gateway.hold(slug).await;
            // What was confirmed until now is in the copy that is kept.
            self.attached.stop(&self.order(&app).key).await.map_err(DeployError::from)?;
            let last = self.snapshot(&app).await.and_then(|taken| Ok(self.keep(&taken, &kept)?));
            if let Err(error) = last {
                self.go_live(&app).await?;
                return Err(error.into());
            }
            if let Err(error) = self.exchange(&app, &target).await {
                self.prepare(&app, &kept)?;
                self.exchange(&target, &app).await?;
                self.store.apps().roll_back(&app, current, clock::wall()).await?;
                return Err(error.into());
            }
        }
        self.store.apps().roll_back(&app, to, clock::wall()).await?;
        drop(held);
        tracing::info!(app = slug, from = app.version, to = to.version, "an app went back to its version before");
        Ok(target)
    }

    /// Ends the exchange of data that a daemon before began and did not end. To be called while nothing changes.
    pub(super) async fn finish_exchange(&self, slug: &str, to_version: u32) -> Result<(), DeployError> {
        let (app, versions) = self.look_up(slug).await?;
        let (Some(app), Some(to)) = (app, versions.iter().find(|v| v.version == to_version)) else { return Ok(()) };
        let target = App { version: to.version, revision: to.revision.clone(), ..app.clone() };
        // Without that file the data are in their place already, and may have been written since.
        if self.coming(&target).exists() {
            for version in [&app, &target] {
                self.attached.stop(&self.order(version).key).await?;
            }
            self.put_in_place(&target)?;
        }
        self.store.apps().roll_back(&app, to, clock::wall()).await?;
        tracing::warn!(
            app = slug,
            version = to_version,
            "the data of an app are those of that version, as was begun before"
        );
        Ok(())
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
        let back = versions.iter().find(|v| v.version == live).and_then(|v| v.before);
        let kept = versions.iter().filter(|v| v.version == live || Some(v.version) == back);
        let kept: Vec<PathBuf> = kept.map(|v| self.release_dir(slug, &v.revision)).collect();
        for version in versions.iter().filter(|v| v.version < live) {
            let dir = self.release_dir(slug, &version.revision);
            if !kept.contains(&dir) && dir.exists() {
                remove(slug, fs::remove_dir_all(&dir));
            }
        }
        let copies = newest_first(&self.copies(slug)).unwrap_or_default();
        for old in copies.into_iter().skip(COPIES_KEPT) {
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

    /// Ends `from`, puts the data that were prepared for `to` in the place of its data, and puts `to` on line.
    async fn exchange(&self, from: &App, to: &App) -> Result<(), DeployError> {
        self.store.apps().begin_exchange(&to.slug, to.version).await?;
        self.attached.stop(&self.order(from).key).await?;
        self.put_in_place(to)?;
        self.go_live(to).await.map(drop)
    }

    /// Lays a copy of `copy` ready for [`Self::exchange`], whole or not at all.
    fn prepare(&self, to: &App, copy: &Path) -> io::Result<()> {
        let coming = self.coming(to);
        let part = coming.with_extension("part");
        fs::copy(copy, &part)?;
        fs::File::open(&part)?.sync_all()?;
        fs::rename(part, &coming)?;
        sync_directory(&coming)
    }

    fn put_in_place(&self, to: &App) -> io::Result<()> {
        let database = self.data_dir(&to.slug).join(DATABASE_FILE);
        // These belong to the old file; whoever found them beside the new one would spoil it.
        for tail in ["-wal", "-shm"] {
            let mut name = database.clone().into_os_string();
            name.push(tail);
            match fs::remove_file(name) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        fs::rename(self.coming(to), &database)?;
        sync_directory(&database)
    }

    fn coming(&self, to: &App) -> PathBuf {
        self.data_dir(&to.slug).join(format!("v{}.coming", to.version))
    }

    /// Moves a snapshot to where it is kept; it is on disk then.
    fn keep(&self, taken: &Path, kept: &Path) -> io::Result<()> {
        if let Some(directory) = kept.parent() {
            fs::create_dir_all(directory)?;
        }
        fs::File::open(taken)?.sync_all()?;
        fs::rename(taken, kept)?;
        sync_directory(kept)
    }

    /// The app as it is recorded, and its versions.
    async fn look_up(&self, slug: &str) -> Result<(Option<App>, Vec<AppVersion>), DeployError> {
        let (store, name) = (self.store.clone(), slug.to_owned());
        let read =
            spawn_blocking(move || Ok::<_, StoreError>((store.apps().get(&name)?, store.apps().versions(&name)?)));
        Ok(read.await.map_err(|e| DeployError::Files(e.into()))??)
    }

    /// Whether `to` knows the data of `from`, which have seen so many of its migrations.
    fn knows(&self, to: &App, from: &App, seen: usize) -> bool {
        let (to, from) = (self.shape(&to.slug, &to.revision), self.shape(&from.slug, &from.revision));
        to.get(..seen).is_some_and(|known| from.get(..seen) == Some(known))
    }

    /// The migrations of a version, in order.
    fn shape(&self, slug: &str, revision: &str) -> Vec<Vec<u8>> {
        let files = fs::read_dir(self.release_dir(slug, revision).join("schema")).into_iter().flatten().flatten();
        let files = files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|e| e == "sql"));
        let files: BTreeSet<PathBuf> = files.collect();
        files.into_iter().map(|path| fs::read(path).unwrap_or_default()).collect()
    }

    fn copies(&self, slug: &str) -> PathBuf {
        self.app_dir(slug).join("copies")
    }
}

/// Name of the copy of the data of `version` as they were when `revision` replaced it.
fn copy_name(version: u32, revision: &str) -> String {
    format!("v{version}.{}.db", revision.get(..8).unwrap_or(revision))
}

/// What was renamed to `path` has that name after a power cut too.
fn sync_directory(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |directory| fs::File::open(directory)?.sync_all())
}

/// Migrations that the data of a [`Fleet::snapshot`] have seen.
fn schema_of(snapshot: &Path) -> io::Result<usize> {
    let mut octets = [0; 4];
    let mut file = fs::File::open(snapshot)?;
    file.seek(SeekFrom::Start(USER_VERSION_AT))?;
    file.read_exact(&mut octets)?;
    Ok(usize::try_from(u32::from_be_bytes(octets)).unwrap_or(usize::MAX))
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
