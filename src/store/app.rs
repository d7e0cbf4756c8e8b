//! Deployed apps. Invariant: one row per app; the row is what a restarted daemon redeploys from.
//! Deliberately absent: the apps' own data, and who runs them (`pipeline::deploy`).

use super::call::time;
use super::event::append;
use super::{Commit, EventKind, Store, StoreError};
use crate::time::Wallclock;
use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;
use serde_json::json;

/// Whether an app shall run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// It serves, and is started again with the daemon.
    Live,
    /// It was taken down.
    Stopped,
}

/// One deployed app.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct App {
    /// Name for paths; unique on this box.
    pub slug: String,
    /// Spoken name.
    pub title: String,
    /// E.g. `build_crm`.
    pub build_type: String,
    /// The build that made this version.
    pub build_id: String,
    /// Counted from 1; tag `vN` in the app's repository.
    pub version: u32,
    /// Git commit of the bundle that runs.
    pub revision: String,
    /// Directory of that bundle.
    pub bundle: String,
    /// Directory of its data.
    pub data: String,
    /// Port of its own listener.
    pub port: u16,
    /// Where people reach it.
    pub url: String,
    /// Whether it shall run.
    pub state: RunState,
    /// When this version went live.
    #[serde(serialize_with = "time")]
    pub deployed: Wallclock,
}

/// The apps of a [`Store`].
#[derive(Debug, Clone, Copy)]
pub struct Apps<'a>(pub(super) &'a Store);

impl Apps<'_> {
    /// Writes an app, new or a new version, with its event `app.live`.
    #[must_use = "a deployment that is not awaited may not be on disk"]
    pub fn record(&self, app: App) -> Commit<()> {
        self.0.write(move |db| {
            let state = match app.state {
                RunState::Live => "live",
                RunState::Stopped => "stopped",
            };
            db.execute(
                "INSERT INTO apps(slug, title, build_type, build_id, version, revision, bundle, data, port, url, state, deployed)
                 VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
                 ON CONFLICT(slug) DO UPDATE SET build_id = excluded.build_id, version = excluded.version,
                   revision = excluded.revision, bundle = excluded.bundle, data = excluded.data, port = excluded.port,
                   url = excluded.url, state = excluded.state, deployed = excluded.deployed",
                params![
                    app.slug, app.title, app.build_type, app.build_id, app.version, app.revision, app.bundle, app.data,
                    app.port, app.url, state, app.deployed.0.cast_signed(),
                ],
            )?;
            if app.state == RunState::Live {
                let key = format!("v{} {}", app.version, app.build_id);
                let data = json!({"title": app.title, "version": app.version, "url": app.url, "build_id": app.build_id});
                append(db, EventKind::AppLive, &app.slug, &key, app.deployed, &data)?;
            }
            Ok(())
        })
    }

    /// One app.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn get(&self, slug: &str) -> Result<Option<App>, StoreError> {
        self.0.read(|db| {
            let sql = format!("SELECT {COLUMNS} FROM apps WHERE slug = ?1");
            Ok(db.query_row(&sql, [slug], from_row).optional()?)
        })
    }

    /// All apps, newest deployment first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn list(&self) -> Result<Vec<App>, StoreError> {
        self.0.read(|db| {
            let sql = format!("SELECT {COLUMNS} FROM apps ORDER BY deployed DESC, slug");
            let mut rows = db.prepare_cached(&sql)?;
            Ok(rows.query_map([], from_row)?.collect::<Result<_, _>>()?)
        })
    }
}

const COLUMNS: &str = "slug, title, build_type, build_id, version, revision, bundle, data, port, url, state, deployed";

fn from_row(row: &Row<'_>) -> rusqlite::Result<App> {
    let live = row.get_ref(10)?.as_str()? == "live";
    Ok(App {
        slug: row.get(0)?,
        title: row.get(1)?,
        build_type: row.get(2)?,
        build_id: row.get(3)?,
        version: row.get(4)?,
        revision: row.get(5)?,
        bundle: row.get(6)?,
        data: row.get(7)?,
        port: row.get(8)?,
        url: row.get(9)?,
        state: if live { RunState::Live } else { RunState::Stopped },
        deployed: Wallclock(row.get::<_, i64>(11)?.cast_unsigned()),
    })
}
