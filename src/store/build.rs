//! Build jobs: the durable side of the build queue. Invariants: one build per manifest; stage and attempt are compared
//! before they are set, so that a stale worker changes nothing; every change has its event in the same transaction.
//! Deliberately absent: which stage comes next (`pipeline::scheduler`).

use super::call::{time, time_or_null};
use super::event::{append, derived_id};
use super::reader::{page, page_limit};
use super::{Commit, EventKind, Page, Store, StoreError, manifest};
use crate::conversation::BuildStage;
use crate::limits::BUILD_QUEUE_MAX;
use crate::pipeline::manifest::BuildManifest;
use crate::pipeline::spec::slug;
use crate::time::Wallclock;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use serde_json::{Value, json};

/// One build.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Build {
    /// Short number to say on the phone, counted from 1.
    pub number: i64,
    /// `build_…`, derived from the manifest's id.
    pub id: String,
    /// What is built.
    pub manifest_id: String,
    /// Where it was asked for.
    pub conversation_id: String,
    /// Spoken name.
    pub title: String,
    /// Name of the app for paths; unique on this box.
    pub slug: String,
    /// Last stage that is complete; `parked` and `failed` end it.
    pub stage: BuildStage,
    /// Tries of the stage under way that came to nothing.
    pub attempt: u32,
    /// When a worker first took it; None: it waits in the queue.
    #[serde(serialize_with = "time_or_null")]
    pub begun: Option<Wallclock>,
    /// Task graph.
    pub plan: Option<Value>,
    /// Git commit of the generated bundle.
    pub bundle_commit: Option<String>,
    /// Why it was parked, in spoken words.
    pub failure: Option<String>,
    /// Where the app answers.
    pub url: Option<String>,
    /// When it was asked for.
    #[serde(serialize_with = "time")]
    pub requested: Wallclock,
    /// When it was approved.
    #[serde(serialize_with = "time_or_null")]
    pub approved: Option<Wallclock>,
    /// When the app went live.
    #[serde(serialize_with = "time_or_null")]
    pub live: Option<Wallclock>,
    /// Last change.
    #[serde(serialize_with = "time")]
    pub updated: Wallclock,
}

/// What became of a submitted manifest.
#[derive(Clone, Debug, PartialEq)]
pub enum Submitted {
    /// A new build waits in the queue.
    New(Build),
    /// The same manifest was submitted before; this is its build, as it stands.
    Known(Build),
    /// As many builds wait as the queue holds; nothing was written but the event `build.slow`.
    Slow {
        /// Builds that wait.
        waiting: usize,
    },
}

/// What a completed stage adds to its build. Fields that are None stay as they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Advance {
    /// Task graph.
    pub plan: Option<Value>,
    /// Git commit of the generated bundle.
    pub bundle_commit: Option<String>,
    /// Why it was parked.
    pub failure: Option<String>,
    /// Where the app answers.
    pub url: Option<String>,
}

/// The builds of a [`Store`].
#[derive(Debug, Clone, Copy)]
pub struct Builds<'a>(pub(super) &'a Store);

impl Builds<'_> {
    /// Writes manifest, build and event `build.request.created` in one transaction.
    #[must_use = "a request that is not awaited may not be on disk"]
    pub fn submit(&self, manifest: BuildManifest, now: Wallclock) -> Commit<Submitted> {
        self.0.write(move |db| submit(db, &manifest, now))
    }

    /// Notes that a worker has taken the build out of the queue.
    #[must_use = "a claim that is not awaited may not be on disk"]
    pub fn begin(&self, id: &str, now: Wallclock) -> Commit<()> {
        let id = id.to_owned();
        self.0.write(move |db| {
            db.execute(
                "UPDATE builds SET begun = coalesce(begun, ?2), updated = ?2 WHERE id = ?1",
                params![id, now.0.cast_signed()],
            )?;
            Ok(())
        })
    }

    /// Sets the stage if the build still stands at (`from`, `attempt`); returns the build as it then is.
    /// Fails with [`StoreError::Conflict`] when another worker was faster.
    #[must_use = "a step that is not awaited may not be on disk"]
    pub fn advance(
        &self,
        id: &str,
        from: BuildStage,
        attempt: u32,
        to: BuildStage,
        advance: Advance,
        now: Wallclock,
    ) -> Commit<Build> {
        let id = id.to_owned();
        self.0.write(move |db| {
            let changed = db.execute(
                "UPDATE builds SET stage = ?4, attempt = 0, updated = ?5, plan = coalesce(?6, plan),
                   bundle_commit = coalesce(?7, bundle_commit), failure = ?8, url = coalesce(?9, url),
                   approved = CASE WHEN ?4 = 'approved' THEN ?5 ELSE approved END,
                   live = CASE WHEN ?4 = 'live' THEN ?5 ELSE live END
                 WHERE id = ?1 AND stage = ?2 AND attempt = ?3",
                params![
                    id,
                    stage_name(from),
                    attempt,
                    stage_name(to),
                    now.0.cast_signed(),
                    advance.plan.as_ref().map(Value::to_string),
                    advance.bundle_commit,
                    advance.failure,
                    advance.url,
                ],
            )?;
            let build = find(db, "id", &id)?.ok_or_else(|| StoreError::Conflict(format!("no build {id}")))?;
            if changed == 0 {
                return Err(StoreError::Conflict(format!("{id} moved on to {} meanwhile", stage_name(build.stage))));
            }
            let data = json!({
                "number": build.number, "stage": build.stage, "title": build.title, "slug": build.slug,
                "failure": build.failure, "url": build.url, "conversation_id": build.conversation_id,
            });
            append(db, EventKind::BuildStageChanged, &id, stage_name(to), now, &data)?;
            Ok(build)
        })
    }

    /// Notes a try of the stage under way that came to nothing; returns the tries so far.
    #[must_use = "a count that is not awaited may not be on disk"]
    pub fn count_attempt(&self, id: &str, stage: BuildStage, attempt: u32, now: Wallclock) -> Commit<u32> {
        let id = id.to_owned();
        self.0.write(move |db| {
            let changed = db.execute(
                "UPDATE builds SET attempt = ?3 + 1, updated = ?4 WHERE id = ?1 AND stage = ?2 AND attempt = ?3",
                params![id, stage_name(stage), attempt, now.0.cast_signed()],
            )?;
            if changed == 0 {
                return Err(StoreError::Conflict(format!("{id} moved on meanwhile")));
            }
            Ok(attempt + 1)
        })
    }

    /// Builds that are not over, those a worker took first, else oldest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn open(&self) -> Result<Vec<Build>, StoreError> {
        self.0.read(|db| {
            let sql = format!("SELECT {COLUMNS} FROM builds WHERE {OPEN} ORDER BY begun IS NULL, number");
            let mut rows = db.prepare_cached(&sql)?;
            Ok(rows.query_map([], from_row)?.collect::<Result<_, _>>()?)
        })
    }

    /// One build.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn get(&self, id: &str) -> Result<Option<Build>, StoreError> {
        self.0.read(|db| find(db, "id", id))
    }

    /// A page of builds, newest first, older than the number `before`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn list(&self, before: Option<i64>, limit: usize) -> Result<Page<Build>, StoreError> {
        self.0.read(|db| {
            let sql = format!("SELECT {COLUMNS} FROM builds WHERE number < ?1 ORDER BY number DESC LIMIT ?2");
            let mut rows = db.prepare_cached(&sql)?;
            let found = rows.query_map(params![before.unwrap_or(i64::MAX), page_limit(limit)], |row| {
                Ok((row.get(0)?, from_row(row)?))
            })?;
            Ok(page(found.collect::<Result<_, _>>()?, limit))
        })
    }
}

const COLUMNS: &str = "number, id, manifest_id, conversation_id, title, slug, stage, attempt, begun, plan, bundle_commit, \
                       failure, url, requested, approved, live, updated";
const OPEN: &str = "stage NOT IN ('tracked', 'parked', 'failed')";

fn submit(db: &Connection, request: &BuildManifest, now: Wallclock) -> Result<Submitted, StoreError> {
    if let Some(build) = find(db, "manifest_id", &request.manifest_id)? {
        return Ok(Submitted::Known(build));
    }
    let waiting: i64 = db.query_row("SELECT count(*) FROM builds WHERE begun IS NULL", [], |row| row.get(0))?;
    let waiting = usize::try_from(waiting).unwrap_or(usize::MAX);
    if waiting >= BUILD_QUEUE_MAX {
        let data = json!({"type": "slow", "waiting": waiting, "title": request.title});
        append(db, EventKind::BuildSlow, &request.manifest_id, &now.0.to_string(), now, &data)?;
        return Ok(Submitted::Slow { waiting });
    }
    manifest::insert(db, request, now)?;
    let id = derived_id("build", &[&request.manifest_id]);
    db.execute(
        "INSERT INTO builds(id, manifest_id, conversation_id, title, slug, stage, requested, updated)
         VALUES(?1, ?2, ?3, ?4, ?5, 'requested', ?6, ?6)",
        params![
            id,
            request.manifest_id,
            request.conversation_id,
            request.title,
            free_slug(db, &request.title)?,
            now.0.cast_signed(),
        ],
    )?;
    let build = find(db, "id", &id)?.ok_or_else(|| StoreError::Conflict(format!("{id} was not written")))?;
    let data = json!({"number": build.number, "slug": build.slug, "manifest": serde_json::to_value(request)?});
    append(db, EventKind::BuildRequestCreated, &id, "", now, &data)?;
    Ok(Submitted::New(build))
}

/// The title's slug, with a number where another build has it: a request never replaces somebody's app.
fn free_slug(db: &Connection, title: &str) -> Result<String, StoreError> {
    let plain = slug(title);
    let mut taken = db.prepare_cached("SELECT 1 FROM builds WHERE slug = ?1")?;
    let mut candidate = plain.clone();
    let mut number = 2_u32;
    while taken.exists([&candidate])? {
        candidate = format!("{plain}-{number}");
        number += 1;
    }
    Ok(candidate)
}

fn find(db: &Connection, column: &str, value: &str) -> Result<Option<Build>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM builds WHERE {column} = ?1");
    Ok(db.query_row(&sql, [value], from_row).optional()?)
}

/// As stored and as in JSON.
const fn stage_name(stage: BuildStage) -> &'static str {
    match stage {
        BuildStage::Requested => "requested",
        BuildStage::Drafted => "drafted",
        BuildStage::Approved => "approved",
        BuildStage::Specified => "specified",
        BuildStage::Planned => "planned",
        BuildStage::Generated => "generated",
        BuildStage::Tested => "tested",
        BuildStage::Staged => "staged",
        BuildStage::Live => "live",
        BuildStage::Tracked => "tracked",
        BuildStage::Parked => "parked",
        BuildStage::Failed => "failed",
    }
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Build> {
    let at =
        |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(|t| Wallclock(t.cast_unsigned())));
    let stage = serde_json::from_value(Value::String(row.get(6)?))
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(6, Type::Text, Box::new(e)))?;
    Ok(Build {
        number: row.get(0)?,
        id: row.get(1)?,
        manifest_id: row.get(2)?,
        conversation_id: row.get(3)?,
        title: row.get(4)?,
        slug: row.get(5)?,
        stage,
        attempt: row.get(7)?,
        begun: at(8)?,
        plan: row.get::<_, Option<String>>(9)?.and_then(|text| serde_json::from_str(&text).ok()),
        bundle_commit: row.get(10)?,
        failure: row.get(11)?,
        url: row.get(12)?,
        requested: at(13)?.unwrap_or_default(),
        approved: at(14)?,
        live: at(15)?,
        updated: at(16)?.unwrap_or_default(),
    })
}
