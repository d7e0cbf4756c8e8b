//! Deployed apps and their versions. Invariant: one row per app, what a restarted daemon redeploys from, and one for each version
//! that ever went live.
//! Deliberately absent: the apps' own data, and who runs them (`pipeline::deploy`).

use super::call::time;
use super::event::append;
use super::{Commit, EventKind, Store, StoreError};
use crate::time::Wallclock;
use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;
use serde_json::json;

/// The version that `revision` has, or gets when it goes live, given the versions that ever did: a repeat after a kill is no new
/// one, and numbers are not given out again after a rollback.
#[must_use]
pub fn version_for(revision: &str, versions: &[AppVersion]) -> u32 {
    let known = versions.iter().find(|v| v.revision == revision).map(|v| v.version);
    known.unwrap_or_else(|| versions.iter().map(|v| v.version).max().unwrap_or(0) + 1)
}

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

/// One version of an app that went live.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AppVersion {
    /// Counted from 1.
    pub version: u32,
    /// The build that made it.
    pub build_id: String,
    /// Git commit of its bundle.
    pub revision: String,
    /// When it first went live.
    #[serde(serialize_with = "time")]
    pub deployed: Wallclock,
    /// The version that served when this one came; None: none did.
    pub before: Option<u32>,
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
            let before: Option<u32> = db
                .query_row(
                    "SELECT version FROM apps WHERE slug = ?1 AND version <> ?2 AND state = 'live'",
                    params![app.slug, app.version],
                    |row| row.get(0),
                )
                .optional()?;
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
                db.execute(
                    "INSERT INTO app_versions(slug, version, build_id, revision, deployed, before) VALUES(?1, ?2, ?3, ?4, ?5, ?6)
                     ON CONFLICT(slug, version) DO NOTHING",
                    params![app.slug, app.version, app.build_id, app.revision, app.deployed.0.cast_signed(), before],
                )?;
                let key = format!("v{} {}", app.version, app.build_id);
                let data = json!({"title": app.title, "version": app.version, "url": app.url, "build_id": app.build_id});
                append(db, EventKind::AppLive, &app.slug, &key, app.deployed, &data)?;
            }
            Ok(())
        })
    }

    /// The versions of an app, newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn versions(&self, slug: &str) -> Result<Vec<AppVersion>, StoreError> {
        self.0.read(|db| {
            let mut rows = db.prepare_cached(
                "SELECT version, build_id, revision, deployed, before FROM app_versions WHERE slug = ?1
                 ORDER BY version DESC",
            )?;
            let found = rows.query_map([slug], |row| {
                Ok(AppVersion {
                    version: row.get(0)?,
                    build_id: row.get(1)?,
                    revision: row.get(2)?,
                    deployed: Wallclock(row.get::<_, i64>(3)?.cast_unsigned()),
                    before: row.get(4)?,
                })
            })?;
            Ok(found.collect::<Result<_, _>>()?)
        })
    }

    /// Notes that the app's data are about to be exchanged for those of `to_version`. [`Apps::roll_back`] ends it.
    #[must_use = "an intention that is not awaited may not be on disk"]
    pub fn begin_exchange(&self, slug: &str, to_version: u32) -> Commit<()> {
        let slug = slug.to_owned();
        self.0.write(move |db| {
            let sql = "INSERT INTO app_exchanges(slug, to_version) VALUES(?1, ?2)
                       ON CONFLICT(slug) DO UPDATE SET to_version = excluded.to_version";
            db.execute(sql, params![slug, to_version])?;
            Ok(())
        })
    }

    /// Exchanges of data that were begun and not ended: app and version.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn exchanges(&self) -> Result<Vec<(String, u32)>, StoreError> {
        self.0.read(|db| {
            let mut rows = db.prepare_cached("SELECT slug, to_version FROM app_exchanges ORDER BY slug")?;
            Ok(rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
        })
    }

    /// Notes that an app went back to an earlier version, with its event `app.rolled_back` unless it is at that version; an
    /// exchange of its data is over with that.
    #[must_use = "a change that is not awaited may not be on disk"]
    pub fn roll_back(&self, app: &App, to: &AppVersion, now: Wallclock) -> Commit<()> {
        let (slug, from, to) = (app.slug.clone(), app.version, to.clone());
        self.0.write(move |db| {
            db.execute("DELETE FROM app_exchanges WHERE slug = ?1", [&slug])?;
            if from == to.version {
                return Ok(());
            }
            let changed = db.execute(
                "UPDATE apps SET version = ?2, build_id = ?3, revision = ?4, deployed = ?5 WHERE slug = ?1 AND version = ?6",
                params![slug, to.version, to.build_id, to.revision, now.0.cast_signed(), from],
            )?;
            if changed == 0 {
                return Err(StoreError::Conflict(format!("{slug} changed meanwhile")));
            }
            let data = json!({"from": from, "to": to.version, "build_id": to.build_id});
            append(db, EventKind::AppRolledBack, &slug, &now.0.to_string(), now, &data)?;
            Ok(())
        })
    }

    /// Forgets an app and its versions, with its event `app.deleted`; false when there is none.
    #[must_use = "a deletion that is not awaited may not be on disk"]
    pub fn delete(&self, slug: &str, now: Wallclock) -> Commit<bool> {
        let slug = slug.to_owned();
        self.0.write(move |db| {
            db.execute("DELETE FROM app_versions WHERE slug = ?1", [&slug])?;
            db.execute("DELETE FROM app_exchanges WHERE slug = ?1", [&slug])?;
            db.execute("DELETE FROM memory WHERE key IN (SELECT id FROM builds WHERE slug = ?1)", [&slug])?;
            if db.execute("DELETE FROM apps WHERE slug = ?1", [&slug])? == 0 {
                return Ok(false);
            }
            super::build::end_with_app(db, &slug, now)?;
            append(db, EventKind::AppDeleted, &slug, &now.0.to_string(), now, &json!({}))?;
            Ok(true)
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
