//! Build jobs: the durable side of the build queue. Invariants: one build per manifest; a build is with one worker, under a
//! lease; stage, attempt and fencing number are compared before anything is set, so that a worker whose lease was given to
//! another changes nothing; builds of one app run one after the other; every change has its event in the same transaction.
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
use std::time::Duration;

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
    /// Which holder of the build this is a copy of, counted from 1; 0: nobody's.
    #[serde(skip)]
    pub fence: u64,
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
    /// It amends an app that is not there; nothing was written.
    NoApp {
        /// Its name for paths.
        slug: String,
    },
    /// As many builds wait as the queue holds; nothing was written but the event `build.slow`.
    Slow {
        /// Builds that wait.
        waiting: usize,
    },
}

/// What became of a wish to cancel a build.
#[derive(Clone, Debug, PartialEq)]
pub enum Cancelled {
    /// It is over; whoever works on it will be refused.
    Done(Build),
    /// It is over already, or so far that it goes live.
    TooLate(Build),
    /// There is no such build.
    Unknown,
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

/// The id that the build of a manifest has, or will have.
#[must_use]
pub fn build_id(manifest_id: &str) -> String {
    derived_id("build", &[manifest_id])
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

    /// The build that a worker should take at `now`, or else when to look again (None: only after a change).
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn due(&self, now: Wallclock) -> Result<(Option<String>, Option<Wallclock>), StoreError> {
        self.0.read(|db| {
            let sql = format!("SELECT id FROM builds WHERE {DUE} ORDER BY begun IS NULL, number LIMIT 1");
            let found = db.prepare_cached(&sql)?.query_row([now.0.cast_signed()], |row| row.get(0)).optional()?;
            let sql = format!(
                "SELECT min(max(not_before, coalesce(lease_until, 0))) FROM builds
                 WHERE {OPEN} AND max(not_before, coalesce(lease_until, 0)) > ?1"
            );
            let next = db.prepare_cached(&sql)?.query_row([now.0.cast_signed()], |row| row.get::<_, Option<i64>>(0))?;
            Ok((found, next.map(|at| Wallclock(at.cast_unsigned()))))
        })
    }

    /// Takes a build that is due, for `lease`; None when another was faster.
    #[must_use = "a claim that is not awaited may not be on disk"]
    pub fn claim(&self, id: &str, now: Wallclock, lease: Duration) -> Commit<Option<Build>> {
        let id = id.to_owned();
        self.0.write(move |db| {
            let sql = format!(
                "UPDATE builds SET fence = fence + 1, lease_until = ?3, begun = coalesce(begun, ?1), updated = ?1
                 WHERE id = ?2 AND {DUE}"
            );
            let taken = db.execute(&sql, params![now.0.cast_signed(), id, until(now, lease)])?;
            if taken == 0 { Ok(None) } else { find(db, "id", &id) }
        })
    }

    /// Prolongs the lease; false when the build is another worker's now, or over.
    #[must_use = "a lease that is not awaited may not be on disk"]
    pub fn renew(&self, build: &Build, now: Wallclock, lease: Duration) -> Commit<bool> {
        let (id, fence) = (build.id.clone(), build.fence.cast_signed());
        self.0.write(move |db| {
            let sql = format!("UPDATE builds SET lease_until = ?3 WHERE id = ?1 AND fence = ?2 AND {OPEN}");
            Ok(db.execute(&sql, params![id, fence, until(now, lease)])? > 0)
        })
    }

    /// Sets the stage if the build still stands where this worker has it; returns the build as it then is, its lease prolonged.
    /// Fails with [`StoreError::Conflict`] when the build is another worker's now.
    #[must_use = "a step that is not awaited may not be on disk"]
    pub fn advance(
        &self,
        build: &Build,
        to: BuildStage,
        advance: Advance,
        now: Wallclock,
        lease: Duration,
    ) -> Commit<Build> {
        let (id, from, attempt, fence) = (build.id.clone(), build.stage, build.attempt, build.fence.cast_signed());
        self.0.write(move |db| {
            let changed = db.execute(
                "UPDATE builds SET stage = ?4, attempt = 0, updated = ?5, plan = coalesce(?6, plan),
                   bundle_commit = coalesce(?7, bundle_commit), failure = ?8, url = coalesce(?9, url),
                   approved = CASE WHEN ?4 = 'approved' THEN ?5 ELSE approved END,
                   live = CASE WHEN ?4 = 'live' THEN ?5 ELSE live END,
                   lease_until = CASE WHEN ?4 IN ('tracked', 'parked', 'failed') THEN NULL ELSE ?11 END
                 WHERE id = ?1 AND stage = ?2 AND attempt = ?3 AND fence = ?10",
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
                    fence,
                    until(now, lease),
                ],
            )?;
            let build = find(db, "id", &id)?.ok_or_else(|| StoreError::Conflict(format!("no build {id}")))?;
            if changed == 0 {
                return Err(StoreError::Conflict(format!("{id} moved on to {} meanwhile", stage_name(build.stage))));
            }
            changed_stage(db, &build, now)?;
            Ok(build)
        })
    }

    /// Counts a try of the stage under way that came to nothing and gives the build back; it is due again at `again`.
    #[must_use = "a count that is not awaited may not be on disk"]
    pub fn retry_later(&self, build: &Build, again: Wallclock, now: Wallclock) -> Commit<()> {
        let (id, stage, attempt, fence) = (build.id.clone(), build.stage, build.attempt, build.fence.cast_signed());
        self.0.write(move |db| {
            let changed = db.execute(
                "UPDATE builds SET attempt = attempt + 1, lease_until = NULL, not_before = ?5, updated = ?6
                 WHERE id = ?1 AND stage = ?2 AND attempt = ?3 AND fence = ?4",
                params![id, stage_name(stage), attempt, fence, again.0.cast_signed(), now.0.cast_signed()],
            )?;
            if changed == 0 { Err(StoreError::Conflict(format!("{id} moved on meanwhile"))) } else { Ok(()) }
        })
    }

    /// Gives the build back until its question is answered, or `until` has come; no try is counted.
    #[must_use = "it is not given back before it is on disk"]
    pub fn wait_for_answer(&self, build: &Build, until: Wallclock, now: Wallclock) -> Commit<()> {
        let (id, fence) = (build.id.clone(), build.fence.cast_signed());
        self.0.write(move |db| {
            let changed = db.execute(
                "UPDATE builds SET lease_until = NULL, not_before = ?3, updated = ?4 WHERE id = ?1 AND fence = ?2",
                params![id, fence, until.0.cast_signed(), now.0.cast_signed()],
            )?;
            if changed == 0 { Err(StoreError::Conflict(format!("{id} moved on meanwhile"))) } else { Ok(()) }
        })
    }

    /// Gives the build back as it stands; nothing when it is another worker's already.
    #[must_use = "it is not given back before it is on disk"]
    pub fn let_go(&self, build: &Build) -> Commit<()> {
        let (id, fence) = (build.id.clone(), build.fence.cast_signed());
        self.0.write(move |db| {
            db.execute("UPDATE builds SET lease_until = NULL WHERE id = ?1 AND fence = ?2", params![id, fence])?;
            Ok(())
        })
    }

    /// What a process before this one held is free: it has gone, as the data directory is ours. Returns how many.
    #[must_use = "await it to know that it is done"]
    pub fn take_over(&self) -> Commit<usize> {
        self.0.write(|db| Ok(db.execute("UPDATE builds SET lease_until = NULL WHERE lease_until IS NOT NULL", [])?))
    }

    /// Ends a build that does not go live yet. A worker that has it is refused from then on.
    #[must_use = "a wish that is not awaited may not be on disk"]
    pub fn cancel(&self, id: &str, now: Wallclock) -> Commit<Cancelled> {
        let id = id.to_owned();
        self.0.write(move |db| {
            let changed = db.execute(
                "UPDATE builds SET stage = 'failed', failure = 'It was cancelled.', fence = fence + 1, lease_until = NULL,
                   updated = ?2
                 WHERE id = ?1 AND stage NOT IN ('staged', 'live', 'tracked', 'parked', 'failed')",
                params![id, now.0.cast_signed()],
            )?;
            let Some(build) = find(db, "id", &id)? else { return Ok(Cancelled::Unknown) };
            if changed == 0 {
                return Ok(Cancelled::TooLate(build));
            }
            changed_stage(db, &build, now)?;
            Ok(Cancelled::Done(build))
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
                       failure, url, requested, approved, live, updated, fence";
const OPEN: &str = "stage NOT IN ('tracked', 'parked', 'failed')";
/// Open, with nobody, its time come, and no older build of the same app open; `?1` is now.
const DUE: &str = "stage NOT IN ('tracked', 'parked', 'failed') AND coalesce(lease_until, 0) <= ?1 AND not_before <= ?1
                   AND NOT EXISTS (SELECT 1 FROM builds older WHERE older.slug = builds.slug AND older.number < builds.number
                                   AND older.stage NOT IN ('tracked', 'parked', 'failed'))";

fn until(now: Wallclock, lease: Duration) -> i64 {
    let lease = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
    now.0.saturating_add(lease).cast_signed()
}

fn changed_stage(db: &Connection, build: &Build, now: Wallclock) -> Result<(), StoreError> {
    let data = json!({
        "number": build.number, "stage": build.stage, "title": build.title, "slug": build.slug,
        "failure": build.failure, "url": build.url, "conversation_id": build.conversation_id,
    });
    append(db, EventKind::BuildStageChanged, &build.id, stage_name(build.stage), now, &data)?;
    Ok(())
}

pub(super) fn submit(db: &Connection, request: &BuildManifest, now: Wallclock) -> Result<Submitted, StoreError> {
    if let Some(build) = find(db, "manifest_id", &request.manifest_id)? {
        return Ok(Submitted::Known(build));
    }
    let slug = match request.amends() {
        None => free_slug(db, &request.title)?,
        Some(slug) => {
            let mut live = db.prepare_cached("SELECT 1 FROM apps WHERE slug = ?1 AND state = 'live'")?;
            if !live.exists([slug])? {
                return Ok(Submitted::NoApp { slug: slug.to_owned() });
            }
            slug.to_owned()
        }
    };
    let sql = format!("SELECT count(*) FROM builds WHERE begun IS NULL AND {OPEN}");
    let waiting: i64 = db.query_row(&sql, [], |row| row.get(0))?;
    let waiting = usize::try_from(waiting).unwrap_or(usize::MAX);
    if waiting >= BUILD_QUEUE_MAX {
        let data = json!({"type": "slow", "waiting": waiting, "title": request.title});
        append(db, EventKind::BuildSlow, &request.manifest_id, &now.0.to_string(), now, &data)?;
        return Ok(Submitted::Slow { waiting });
    }
    manifest::insert(db, request, now)?;
    let id = build_id(&request.manifest_id);
    db.execute(
        "INSERT INTO builds(id, manifest_id, conversation_id, title, slug, stage, requested, updated)
         VALUES(?1, ?2, ?3, ?4, ?5, 'requested', ?6, ?6)",
        params![id, request.manifest_id, request.conversation_id, request.title, slug, now.0.cast_signed(),],
    )?;
    let build = find(db, "id", &id)?.ok_or_else(|| StoreError::Conflict(format!("{id} was not written")))?;
    let data = json!({"number": build.number, "slug": build.slug, "manifest": serde_json::to_value(request)?});
    append(db, EventKind::BuildRequestCreated, &id, "", now, &data)?;
    Ok(Submitted::New(build))
}

/// Ends the builds of an app that is taken away, but for one that is live with it.
pub(super) fn end_with_app(db: &Connection, slug: &str, now: Wallclock) -> Result<(), StoreError> {
    let ended = "UPDATE builds SET stage = 'failed', failure = 'The app was taken away.', fence = fence + 1, lease_until = NULL,
                   updated = ?2
                 WHERE slug = ?1 AND stage NOT IN ('live', 'tracked', 'parked', 'failed') RETURNING id";
    let mut rows = db.prepare_cached(ended)?;
    let ids: Vec<String> =
        rows.query_map(params![slug, now.0.cast_signed()], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for id in ids {
        if let Some(build) = find(db, "id", &id)? {
            changed_stage(db, &build, now)?;
        }
    }
    Ok(())
}

/// The title's slug, with a number where another build has it: only a request that says so replaces somebody's app.
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

pub(super) fn find(db: &Connection, column: &str, value: &str) -> Result<Option<Build>, StoreError> {
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
        fence: row.get::<_, i64>(17)?.cast_unsigned(),
    })
}
