//! Callers who are called when their build is over, or waits for an answer. Invariants: a build has one call at most for its
//! end, and one for each question that it waits for, of which nobody is called who was not promised the first, or when the
//! default holds; a try is on disk before a telephone rings, so that nothing rings twice for one try, whoever is killed when;
//! what was begun by a daemon that was killed is never rung for again by itself (`interrupted`), and never forgotten: it is
//! told when the caller calls; at most `limits::RETURN_CALLS_WAITING_MAX` wait. Deliberately absent: when and how often it is
//! tried (`call::return_call`), ringing.

use super::call::time;
use super::event::{append, derived_id};
use super::reader::{page, page_limit};
use super::{Build, Commit, EventKind, Page, Store, StoreError, build};
use crate::limits::{RETURN_CALLS_KEPT_MAX, RETURN_CALLS_WAITING_MAX};
use crate::time::Wallclock;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};
use serde::Serialize;
use serde_json::json;
use std::time::Duration;

/// A build that was never handed over is waited for so long.
const NO_BUILD_MAX: Duration = Duration::from_secs(24 * 3600);
/// What was not told by telephone is told to who calls within this time.
const OWED_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// Why calls are withdrawn of an agent that calls nobody; it is no wish of their callers, who hear the news when they call.
const AGENT_CALLS_NOBODY: &str =
    "its agent calls nobody any more: [agents.return_call] when = \"never\", or the agent is gone from [[agents]]";

/// How a return call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReturnState {
    /// The build goes on, or the next try is not due yet.
    Waiting,
    /// A try is on its way.
    Ringing,
    /// Somebody answered.
    Answered,
    /// The caller has heard it.
    Told,
    /// Nobody was reached.
    GivenUp,
    /// The daemon was killed in the middle of a try.
    Interrupted,
    /// There is nothing to tell, the caller wants no call, or the agent calls nobody any more.
    Withdrawn,
}

impl ReturnState {
    const ALL: [Self; 7] =
        [Self::Waiting, Self::Ringing, Self::Answered, Self::Told, Self::GivenUp, Self::Interrupted, Self::Withdrawn];

    /// As stored and shown.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Ringing => "ringing",
            Self::Answered => "answered",
            Self::Told => "told",
            Self::GivenUp => "given_up",
            Self::Interrupted => "interrupted",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// On what ground a caller is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReturnConsent {
    /// The caller said yes.
    Asked,
    /// The operator of this box has written so, and the caller was told.
    Configured,
}

/// A call that is promised to a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnWish {
    /// What is to be told of; it need not be handed over yet.
    pub build_id: String,
    /// Where it was ordered.
    pub conversation_id: String,
    /// The agent that calls.
    pub agent: String,
    /// Who, as kept conversations know callers.
    pub caller: String,
    /// `sip:…`, `trunk:NAME:NUMBER` or `extension:NUMBER`.
    pub target: String,
    /// On what ground.
    pub consent: ReturnConsent,
    /// The call on which the caller is now.
    pub on_call: String,
}

/// One return call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReturnCall {
    /// `ret_…`, derived from the build's id.
    pub id: String,
    /// What is told of.
    pub build_id: String,
    /// The question of the build that is asked, by its name; null: it is told how the build ended.
    pub question: Option<String>,
    /// Where it was ordered.
    pub conversation_id: String,
    /// The agent that calls.
    pub agent: String,
    /// Whom.
    #[serde(rename = "to")]
    pub target: String,
    /// On what ground.
    pub consent: ReturnConsent,
    /// How it stands.
    pub state: ReturnState,
    /// Tries so far, the one on its way included.
    pub tries: u32,
    /// When it is tried next, while it waits; the build has to be over by then.
    #[serde(serialize_with = "time")]
    pub due: Wallclock,
    /// The call on which the caller is, or was last.
    #[serde(skip)]
    pub on_call: Option<String>,
    /// The last call that was placed.
    pub call_id: Option<String>,
    /// Why the last try failed, or why there is none.
    pub failure: Option<String>,
    /// When it was promised.
    #[serde(serialize_with = "time")]
    pub requested: Wallclock,
    /// Last change.
    #[serde(serialize_with = "time")]
    pub updated: Wallclock,
}

/// What becomes of a try in which nobody was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotReached {
    /// In words.
    pub why: String,
    /// When it is tried again; `None`: it is given up.
    pub again: Option<Wallclock>,
    /// Whether a telephone may have rung: then the try counts.
    pub counts: bool,
}

/// The return calls of a [`Store`].
#[derive(Debug, Clone, Copy)]
pub struct ReturnCalls<'a>(pub(super) &'a Store);

impl ReturnCalls<'_> {
    /// Promises a call; the same promise again changes nothing, one that was taken back counts again. False: too many wait.
    #[must_use = "a promise that is not awaited may not be on disk"]
    pub fn promise(&self, wish: ReturnWish, now: Wallclock) -> Commit<bool> {
        self.0.write(move |db| {
            let waiting: i64 =
                db.query_row("SELECT count(*) FROM return_calls WHERE state = 'waiting'", [], |row| row.get(0))?;
            if waiting >= RETURN_CALLS_WAITING_MAX {
                return Ok(false);
            }
            let id = derived_id("ret", &[&wish.build_id]);
            let consent = match wish.consent {
                ReturnConsent::Asked => "asked",
                ReturnConsent::Configured => "configured",
            };
            let at = now.0.cast_signed();
            let changed = db.execute(
                "INSERT INTO return_calls(id, build_id, conversation_id, agent, caller, target, consent, state, due, on_call,
                   requested, updated)
                 VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, 'waiting', ?8, ?9, ?8, ?8)
                 ON CONFLICT(build_id, question) DO UPDATE SET state = 'waiting', consent = excluded.consent, failure = NULL,
                   on_call = excluded.on_call, updated = excluded.updated WHERE state = 'withdrawn'",
                params![
                    id,
                    wish.build_id,
                    wish.conversation_id,
                    wish.agent,
                    wish.caller,
                    wish.target,
                    consent,
                    at,
                    wish.on_call
                ],
            )?;
            if changed > 0 {
                tell(db, EventKind::ReturnCallPromised, &id, &at.to_string(), now)?;
            }
            tidy(db, now)?;
            Ok(true)
        })
    }

    /// The caller wants no call, or there is nothing to tell: false, when none waits.
    #[must_use = "a change that is not awaited may not be on disk"]
    pub fn withdraw(&self, build_id: &str, why: &str, now: Wallclock) -> Commit<bool> {
        let sql = "UPDATE return_calls SET state = 'withdrawn', failure = ?2, updated = ?3
                   WHERE build_id = ?1 AND state = 'waiting' RETURNING id";
        self.over(sql, build_id, why, now)
    }

    /// The caller has heard how the build ended: no call is needed any more, or it has done what it was for.
    #[must_use = "a change that is not awaited may not be on disk"]
    pub fn told(&self, build_id: &str, now: Wallclock) -> Commit<bool> {
        // Who is not called since the agent calls nobody hears it once, too.
        let sql = "UPDATE return_calls SET state = 'told', failure = NULL, updated = ?3
                   WHERE build_id = ?1 AND question = '' AND state != 'told' AND (state != 'withdrawn' OR failure = ?2) RETURNING id";
        self.over(sql, build_id, AGENT_CALLS_NOBODY, now)
    }

    /// Agents for whom callers wait.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn agents_waited_for(&self) -> Result<Vec<String>, StoreError> {
        self.0.read(|db| {
            let mut rows = db.prepare_cached("SELECT DISTINCT agent FROM return_calls WHERE state = 'waiting'")?;
            Ok(rows.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
        })
    }

    /// The agent calls nobody any more: what waits for it is withdrawn. Its callers did not take it back, so they hear the news
    /// when they call, and [`Self::retry`] calls them once the agent may. Returns how many there were.
    #[must_use = "a change that is not awaited may not be on disk"]
    pub fn withdraw_agent(&self, agent: &str, now: Wallclock) -> Commit<usize> {
        let agent = agent.to_owned();
        self.0.write(move |db| {
            let sql = "UPDATE return_calls SET state = 'withdrawn', failure = ?2, updated = ?3
                       WHERE agent = ?1 AND state = 'waiting' RETURNING id";
            let with = params![agent, AGENT_CALLS_NOBODY, now.0.cast_signed()];
            let ids = many(db, sql, with)?;
            for id in &ids {
                tell(db, EventKind::ReturnCallOver, id, &now.0.to_string(), now)?;
            }
            Ok(ids.len())
        })
    }

    /// Whether [`Self::mind_questions`] has anything to do.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn questions_changed(&self, now: Wallclock) -> Result<bool, StoreError> {
        self.0.read(|db| {
            let sql = format!(
                "SELECT EXISTS (SELECT 1 {NOT_PROMISED}) OR EXISTS (SELECT 1 FROM return_calls
                   WHERE question != '' AND state = 'waiting' AND NOT ({ASKS}))"
            );
            Ok(db.prepare_cached(&sql)?.query_row([now.0.cast_signed()], |row| row.get(0))?)
        })
    }

    /// Whoever is promised a call when the build is over is called for what it waits for, too; where the answer, or the time for it,
    /// has come, nobody is called any more. Returns how many are called for a question now.
    #[must_use = "a change that is not awaited may not be on disk"]
    pub fn mind_questions(&self, now: Wallclock) -> Commit<usize> {
        self.0.write(move |db| {
            let at = now.0.cast_signed();
            let sql = format!(
                "UPDATE return_calls SET state = 'withdrawn', failure = 'it is answered, or its default holds', updated = ?1
                 WHERE question != '' AND state = 'waiting' AND NOT ({ASKS}) RETURNING id"
            );
            for id in many(db, &sql, params![at])? {
                tell(db, EventKind::ReturnCallOver, &id, &at.to_string(), now)?;
            }
            let sql = format!(
                "INSERT INTO return_calls(id, build_id, question, conversation_id, agent, caller, target, consent, state, due,
                   on_call, requested, updated)
                 SELECT 'ret_' || substr(q.id, 5), r.build_id, q.name, r.conversation_id, r.agent, r.caller, r.target, r.consent,
                   'waiting', ?1, r.on_call, ?1, ?1 {NOT_PROMISED} RETURNING id"
            );
            let ids = many(db, &sql, params![at])?;
            for id in &ids {
                tell(db, EventKind::ReturnCallPromised, id, &at.to_string(), now)?;
            }
            Ok(ids.len())
        })
    }

    fn over(&self, sql: &'static str, build_id: &str, why: &str, now: Wallclock) -> Commit<bool> {
        let (build_id, why) = (build_id.to_owned(), why.to_owned());
        self.0.write(move |db| {
            let ids = many(db, sql, params![build_id, why, now.0.cast_signed()])?;
            for id in &ids {
                tell(db, EventKind::ReturnCallOver, id, &now.0.to_string(), now)?;
            }
            Ok(!ids.is_empty())
        })
    }

    /// The caller is on this call now, and would hear it there.
    #[must_use = "a change that is not awaited may not be on disk"]
    pub fn on_line(&self, build_id: &str, call: &str) -> Commit<()> {
        let (build_id, call) = (build_id.to_owned(), call.to_owned());
        self.0.write(move |db| {
            db.execute("UPDATE return_calls SET on_call = ?2 WHERE build_id = ?1", params![build_id, call])?;
            Ok(())
        })
    }

    /// What `agents` may ring for at `now`, each with the build, which is over, or waits for an answer; the longest due first. All of it, for whoever is
    /// passed over (out of hours, on the line) must not hide another: `limits::RETURN_CALLS_WAITING_MAX` at most.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn due(&self, now: Wallclock, agents: &[String]) -> Result<Vec<(ReturnCall, Build)>, StoreError> {
        if agents.is_empty() {
            return Ok(Vec::new());
        }
        self.0.read(|db| {
            let sql = format!(
                "SELECT {COLUMNS} FROM return_calls WHERE state = 'waiting' AND due <= ?1
                   AND agent IN (SELECT value FROM json_each(?2))
                   AND CASE question WHEN '' THEN build_id IN (SELECT id FROM builds WHERE {OVER}) ELSE {ASKS} END
                   ORDER BY due, row"
            );
            let mut rows = db.prepare_cached(&sql)?;
            let found = rows.query_map(params![now.0.cast_signed(), json!(agents).to_string()], from_row)?;
            let found: Vec<(i64, ReturnCall)> = found.collect::<Result<_, _>>()?;
            found.into_iter().filter_map(|(_, call)| with_build(db, call).transpose()).collect()
        })
    }

    /// Begins a try by `call`, before anything rings; `None`: another was faster, or it waits no more.
    #[must_use = "a try that is not awaited may not be on disk"]
    pub fn claim(&self, id: &str, call: &str, now: Wallclock) -> Commit<Option<ReturnCall>> {
        let (id, call) = (id.to_owned(), call.to_owned());
        self.0.write(move |db| {
            let sql = "UPDATE return_calls SET state = 'ringing', tries = tries + 1, call_id = ?2, failure = NULL, updated = ?3
                       WHERE id = ?1 AND state = 'waiting' AND due <= ?3 RETURNING id";
            if one(db, sql, params![id, call, now.0.cast_signed()])?.is_none() {
                return Ok(None);
            }
            tell(db, EventKind::ReturnCallPlaced, &id, &call, now)?;
            find(db, "id", &id)
        })
    }

    /// Somebody has answered the try by `call`: it is not rung for again.
    #[must_use = "a change that is not awaited may not be on disk"]
    pub fn answered(&self, id: &str, call: &str, now: Wallclock) -> Commit<()> {
        let (id, call) = (id.to_owned(), call.to_owned());
        self.0.write(move |db| {
            let sql = "UPDATE return_calls SET state = 'answered', updated = ?3
                       WHERE id = ?1 AND call_id = ?2 AND state = 'ringing' RETURNING id";
            if one(db, sql, params![id, call, now.0.cast_signed()])?.is_some() {
                tell(db, EventKind::ReturnCallOver, &id, &call, now)?;
            }
            Ok(())
        })
    }

    /// Nobody was reached in the try by `call`.
    #[must_use = "a change that is not awaited may not be on disk"]
    pub fn not_reached(&self, id: &str, call: &str, outcome: NotReached, now: Wallclock) -> Commit<()> {
        let (id, call) = (id.to_owned(), call.to_owned());
        self.0.write(move |db| {
            let state = if outcome.again.is_some() { ReturnState::Waiting } else { ReturnState::GivenUp };
            let sql = "UPDATE return_calls SET state = ?3, due = coalesce(?4, due), tries = tries - ?5, failure = ?6, updated = ?7
                       WHERE id = ?1 AND call_id = ?2 AND state = 'ringing' RETURNING id";
            let again = outcome.again.map(|at| at.0.cast_signed());
            let back = i64::from(!outcome.counts);
            let at = now.0.cast_signed();
            let changed = one(db, sql, params![id, call, state.word(), again, back, outcome.why, at])?;
            if changed.is_some() && state == ReturnState::GivenUp {
                tell(db, EventKind::ReturnCallOver, &id, &call, now)?;
            }
            Ok(())
        })
    }

    /// Tries that a daemon before this one has begun: those that were answered are done, the others interrupted. Returns how
    /// many there were.
    #[must_use = "await it to know that it is done"]
    pub fn take_over(&self, now: Wallclock) -> Commit<usize> {
        self.0.write(move |db| {
            let sql = "UPDATE return_calls SET updated = ?1,
                         state = CASE WHEN EXISTS (SELECT 1 FROM calls WHERE calls.id = call_id AND answered IS NOT NULL)
                                 THEN 'answered' ELSE 'interrupted' END,
                         failure = CASE WHEN EXISTS (SELECT 1 FROM calls WHERE calls.id = call_id AND answered IS NOT NULL)
                                   THEN NULL ELSE 'the daemon was killed during the try' END
                       WHERE state = 'ringing' RETURNING id";
            let mut rows = db.prepare_cached(sql)?;
            let ids: Vec<String> =
                rows.query_map([now.0.cast_signed()], |row| row.get(0))?.collect::<Result<_, _>>()?;
            for id in &ids {
                tell(db, EventKind::ReturnCallOver, id, &now.0.to_string(), now)?;
            }
            Ok(ids.len())
        })
    }

    /// Tries again what was given up or interrupted, withdrawn with its agent, or answered by somebody who did not hear the news,
    /// from the beginning. `None`: there is none of that id; false: it is neither.
    #[must_use = "a change that is not awaited may not be on disk"]
    pub fn retry(&self, id: &str, now: Wallclock) -> Commit<Option<bool>> {
        let id = id.to_owned();
        self.0.write(move |db| {
            let sql = "UPDATE return_calls SET state = 'waiting', tries = 0, due = ?2, updated = ?2
                       WHERE id = ?1 AND (state IN ('given_up', 'interrupted', 'answered')
                                          OR state = 'withdrawn' AND failure = ?3)";
            if db.execute(sql, params![id, now.0.cast_signed(), AGENT_CALLS_NOBODY])? == 1 {
                return Ok(Some(true));
            }
            Ok(find(db, "id", &id)?.map(|_| false))
        })
    }

    /// The news that this caller was to be called for and has not heard, with the build, which is over, or waits for an answer; the
    /// newest.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn owed(&self, caller: &str, agent: &str, now: Wallclock) -> Result<Option<(ReturnCall, Build)>, StoreError> {
        let since = now.0.saturating_sub(milliseconds(OWED_MAX).cast_unsigned()).cast_signed();
        self.0.read(|db| {
            let sql = format!(
                "SELECT {COLUMNS} FROM return_calls WHERE caller = ?2 AND agent = ?3 AND requested >= ?4
                   AND (state IN ('waiting', 'given_up', 'interrupted', 'answered')
                        OR state = 'withdrawn' AND failure = ?5)
                   AND CASE question WHEN '' THEN build_id IN (SELECT id FROM builds WHERE {OVER} AND stage != 'failed')
                       ELSE {ASKS} END ORDER BY row DESC LIMIT 1"
            );
            let with = params![now.0.cast_signed(), caller, agent, since, AGENT_CALLS_NOBODY];
            let found = db.query_row(&sql, with, from_row).optional()?;
            found.map_or(Ok(None), |(_, call)| with_build(db, call))
        })
    }

    /// The return call that `call` was placed for, with its build.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn of_call(&self, call: &str) -> Result<Option<(ReturnCall, Build)>, StoreError> {
        self.0.read(|db| find(db, "call_id", call)?.map_or(Ok(None), |call| with_build(db, call)))
    }

    /// One return call.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn get(&self, id: &str) -> Result<Option<ReturnCall>, StoreError> {
        self.0.read(|db| find(db, "id", id))
    }

    /// A page of return calls, newest first, older than the row `before`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn list(&self, before: Option<i64>, limit: usize) -> Result<Page<ReturnCall>, StoreError> {
        self.0.read(|db| {
            let sql = format!("SELECT {COLUMNS} FROM return_calls WHERE row < ?1 ORDER BY row DESC LIMIT ?2");
            let mut rows = db.prepare_cached(&sql)?;
            let found = rows.query_map(params![before.unwrap_or(i64::MAX), page_limit(limit)], from_row)?;
            Ok(page(found.collect::<Result<_, _>>()?, limit))
        })
    }
}

const COLUMNS: &str = "row, id, build_id, conversation_id, agent, target, consent, state, tries, due, on_call, call_id, failure, \
                       requested, updated, question";
/// A build of which there is something to tell.
const OVER: &str = "stage IN ('live', 'tracked', 'parked', 'failed')";

/// The question of a return call is open still at the moment ?1, and its build waits for it.
const ASKS: &str = "EXISTS (SELECT 1 FROM questions q JOIN builds b ON b.id = q.build_id
                      WHERE q.build_id = return_calls.build_id AND q.name = return_calls.question AND q.state = 'open'
                        AND q.due > ?1 AND b.stage = 'planned')";
/// Questions `q` that are waited for at the moment ?1, of builds whose callers are promised a call `r` and none for the question. Who
/// was on the line when it was asked has heard it there.
const NOT_PROMISED: &str =
    "FROM return_calls r JOIN questions q ON q.build_id = r.build_id JOIN builds b ON b.id = r.build_id
                            WHERE r.question = '' AND r.state = 'waiting' AND q.state = 'open' AND q.due > ?1
                              AND b.stage = 'planned' AND NOT EXISTS (
                                SELECT 1 FROM return_calls x WHERE x.build_id = q.build_id AND x.question = q.name)
                              AND NOT EXISTS (SELECT 1 FROM calls c WHERE c.id = r.on_call
                                                AND (c.ended IS NULL OR c.ended > q.asked))";

fn one(db: &Connection, sql: &str, with: &[&dyn ToSql]) -> Result<Option<String>, StoreError> {
    Ok(many(db, sql, with)?.into_iter().next())
}

fn many(db: &Connection, sql: &str, with: &[&dyn ToSql]) -> Result<Vec<String>, StoreError> {
    // To its end: a statement that returns rows does its work by being stepped.
    let mut rows = db.prepare_cached(sql)?;
    Ok(rows.query_map(with, |row| row.get(0))?.collect::<Result<_, _>>()?)
}

fn find(db: &Connection, column: &str, value: &str) -> Result<Option<ReturnCall>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM return_calls WHERE {column} = ?1");
    Ok(db.query_row(&sql, [value], from_row).optional()?.map(|(_, call)| call))
}

fn with_build(db: &Connection, call: ReturnCall) -> Result<Option<(ReturnCall, Build)>, StoreError> {
    Ok(build::find(db, "id", &call.build_id)?.map(|build| (call, build)))
}

fn tell(db: &Connection, kind: EventKind, id: &str, key: &str, now: Wallclock) -> Result<(), StoreError> {
    if let Some(call) = find(db, "id", id)? {
        let data = json!({"build_id": call.build_id, "question": call.question, "state": call.state, "tries": call.tries, "to": call.target,
            "call_id": call.call_id, "failure": call.failure});
        append(db, kind, id, key, now, &data)?;
    }
    Ok(())
}

/// Ends what waits for a build that never came, and forgets the oldest of what is over.
fn tidy(db: &Connection, now: Wallclock) -> Result<(), StoreError> {
    let now = now.0.cast_signed();
    db.execute(
        "UPDATE return_calls SET state = 'withdrawn', failure = 'there is no such build', updated = ?1
         WHERE state = 'waiting' AND requested < ?2 AND build_id NOT IN (SELECT id FROM builds)",
        params![now, now.saturating_sub(milliseconds(NO_BUILD_MAX))],
    )?;
    db.execute(
        "DELETE FROM return_calls WHERE row IN (SELECT row FROM return_calls WHERE state NOT IN ('waiting', 'ringing')
         ORDER BY row DESC LIMIT -1 OFFSET ?1)",
        [RETURN_CALLS_KEPT_MAX],
    )?;
    Ok(())
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<(i64, ReturnCall)> {
    let at = |column| Ok::<_, rusqlite::Error>(Wallclock(row.get::<_, i64>(column)?.cast_unsigned()));
    let consent = row.get_ref(6)?.as_str()? == "asked";
    let word = row.get_ref(7)?.as_str()?;
    let call = ReturnCall {
        id: row.get(1)?,
        build_id: row.get(2)?,
        conversation_id: row.get(3)?,
        agent: row.get(4)?,
        target: row.get(5)?,
        consent: if consent { ReturnConsent::Asked } else { ReturnConsent::Configured },
        // The table takes no other words.
        state: ReturnState::ALL.into_iter().find(|state| state.word() == word).unwrap_or(ReturnState::Withdrawn),
        tries: row.get(8)?,
        due: at(9)?,
        on_call: row.get(10)?,
        call_id: row.get(11)?,
        failure: row.get(12)?,
        requested: at(13)?,
        updated: at(14)?,
        question: Some(row.get::<_, String>(15)?).filter(|name| !name.is_empty()),
    };
    Ok((row.get(0)?, call))
}

fn milliseconds(of: Duration) -> i64 {
    i64::try_from(of.as_millis()).unwrap_or(i64::MAX)
}
