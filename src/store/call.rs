//! Call detail records. Invariants: `record` may be called at every change of a call with all that is known; the events
//! `call.started`, `call.answered`, `call.ended` come out once each; what has ended stays so, whatever is written late; a call
//! that a killed daemon left open ends at its last sign of life, not at the restart.

use super::backlog::Worth;
use super::event::append;
use super::reader::{page, page_limit};
use super::{Commit, EventKind, Page, Store, StoreError};
use crate::limits::CALL_MAX;
use crate::time::Wallclock;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use std::collections::HashMap;

/// Who called whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Somebody called us.
    Inbound,
    /// We called.
    Outbound,
}

/// One call, from its first message to its record.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallRecord {
    /// `call_…` ([`crate::id::CallId`]).
    pub id: String,
    /// Who called whom.
    pub direction: Direction,
    /// SIP From of the caller, or our own address.
    pub caller: String,
    /// The number or extension dialled.
    pub callee: String,
    /// Network address of the other side.
    pub source: String,
    /// What took it: `echo`, `agent:grace`.
    pub app: String,
    /// The conversation held on it.
    pub conversation_id: Option<String>,
    /// First INVITE.
    #[serde(serialize_with = "time")]
    pub started: Wallclock,
    /// 200 OK sent or received.
    #[serde(serialize_with = "time_or_null")]
    pub answered: Option<Wallclock>,
    /// BYE, CANCEL, refusal or timeout.
    #[serde(serialize_with = "time_or_null")]
    pub ended: Option<Wallclock>,
    /// `remote`, `local`, `timeout`, `transport_error`, `restart`.
    pub ended_by: Option<String>,
    /// In words.
    pub reason: Option<String>,
    /// Packets, loss, jitter of the media session.
    pub media: Option<Value>,
    /// Cause of ITU-T Q.850.
    pub cause: Option<u8>,
    /// Final response to the INVITE, where it was none of 2xx.
    pub sip_code: Option<u16>,
    /// The trunk that it came or went by.
    pub trunk: Option<String>,
    /// X-, P- and other fields of the INVITE that came with it, or that it was placed with; and what else is known.
    pub details: Option<Value>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
pub(super) fn time<S: Serializer>(at: &Wallclock, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(at)
}

#[expect(clippy::ref_option, reason = "serde passes references")]
pub(super) fn time_or_null<S: Serializer>(at: &Option<Wallclock>, to: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => to.collect_str(at),
        None => to.serialize_none(),
    }
}

impl CallRecord {
    /// A call of which the first message was just sent or received.
    #[must_use]
    pub fn begun(id: impl Into<String>, direction: Direction, started: Wallclock) -> Self {
        Self {
            id: id.into(),
            direction,
            caller: String::new(),
            callee: String::new(),
            source: String::new(),
            app: String::new(),
            conversation_id: None,
            started,
            answered: None,
            ended: None,
            ended_by: None,
            reason: None,
            media: None,
            cause: None,
            sip_code: None,
            trunk: None,
            details: None,
        }
    }
}

/// Cause of a call whose daemon died: temporary failure (ITU-T Q.850 table 1).
const CAUSE_OF_ABANDONED: u8 = 41;

/// The calls of a [`Store`].
#[derive(Debug, Clone, Copy)]
pub struct Calls<'a>(pub(super) &'a Store);

impl Calls<'_> {
    /// Writes all that is known of a call, new or known before.
    #[must_use = "a record that is not awaited may not be on disk"]
    pub fn record(&self, call: CallRecord) -> Commit<()> {
        self.0.write(move |db| record(db, &call))
    }

    /// Writes how a call ended, as soon as the disk takes it.
    pub fn keep(&self, call: CallRecord) {
        self.0.insist("a call's record", Worth::Record, move |db| record(db, &call));
    }

    /// These calls are up now. Should the daemon be killed, they end no earlier.
    #[must_use = "await it to know that it is done"]
    pub fn seen(&self, calls: Vec<String>, now: Wallclock) -> Commit<()> {
        self.0.write(move |db| {
            let mut update = db.prepare_cached("UPDATE calls SET seen = ?2 WHERE id = ?1 AND ended IS NULL")?;
            calls.iter().try_for_each(|id| update.execute(params![id, now.0.cast_signed()]).map(drop))?;
            Ok(())
        })
    }

    /// Ends the calls and conversations that a daemon left open when it died, at their last sign of life; returns how many
    /// calls.
    #[must_use = "await it to know that it is done"]
    pub fn close_abandoned(&self, now: Wallclock) -> Commit<usize> {
        self.0.write(move |db| {
            let open = abandoned(db)?;
            for (call, seen) in &open {
                let begun = call.answered.unwrap_or(call.started);
                let most = u64::try_from(CALL_MAX.as_millis()).unwrap_or(u64::MAX);
                let latest = begun.0.saturating_add(most).min(now.0.max(begun.0));
                let ended = CallRecord {
                    ended: Some(Wallclock((*seen).clamp(begun.0, latest))),
                    ended_by: Some("restart".into()),
                    reason: Some("the daemon ended while the call was up".into()),
                    cause: Some(CAUSE_OF_ABANDONED),
                    ..call.clone()
                };
                record(db, &ended)?;
            }
            db.execute(
                "UPDATE conversations SET ended = max(started, coalesce(
                   (SELECT calls.ended FROM calls WHERE calls.id = call_id),
                   (SELECT max(coalesce(turns.ended, turns.started)) FROM turns WHERE conversation_id = conversations.id),
                   started)) WHERE ended IS NULL",
                [],
            )?;
            Ok(open.len())
        })
    }

    /// One call.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn get(&self, id: &str) -> Result<Option<CallRecord>, StoreError> {
        self.0.read(|db| {
            let sql = format!("SELECT {COLUMNS} FROM calls WHERE id = ?1");
            Ok(db.query_row(&sql, [id], from_row).optional()?.map(|(_, call)| call))
        })
    }

    /// A page of calls, newest first, older than the row `before`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn list(&self, before: Option<i64>, limit: usize) -> Result<Page<CallRecord>, StoreError> {
        self.0.read(|db| {
            let sql = format!("SELECT {COLUMNS} FROM calls WHERE row < ?1 ORDER BY row DESC LIMIT ?2");
            let mut rows = db.prepare_cached(&sql)?;
            let found = rows.query_map(params![before.unwrap_or(i64::MAX), page_limit(limit)], from_row)?;
            Ok(page(found.collect::<Result<_, _>>()?, limit))
        })
    }
}

const COLUMNS: &str = "row, id, direction, caller, callee, source, app, conversation_id, started, answered, ended, ended_by, \
                       reason, media, cause, sip_code, trunk, details";

fn record(db: &Connection, call: &CallRecord) -> Result<(), StoreError> {
    let direction = match call.direction {
        Direction::Inbound => "inbound",
        Direction::Outbound => "outbound",
    };
    db.prepare_cached(
        "INSERT INTO calls(id, direction, caller, callee, source, app, conversation_id, started, answered, ended, ended_by,
                           reason, media, cause, sip_code, trunk, details)
         VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
         ON CONFLICT(id) DO UPDATE SET app = excluded.app, conversation_id = excluded.conversation_id,
           answered = excluded.answered, ended = excluded.ended, ended_by = excluded.ended_by,
           reason = excluded.reason, media = excluded.media, cause = excluded.cause, sip_code = excluded.sip_code,
           source = excluded.source, trunk = excluded.trunk, details = excluded.details
         WHERE calls.ended IS NULL OR excluded.ended IS NOT NULL",
    )?
    .execute(params![
        call.id,
        direction,
        call.caller,
        call.callee,
        call.source,
        call.app,
        call.conversation_id,
        call.started.0.cast_signed(),
        call.answered.map(|t| t.0.cast_signed()),
        call.ended.map(|t| t.0.cast_signed()),
        call.ended_by,
        call.reason,
        call.media.as_ref().map(Value::to_string),
        call.cause,
        call.sip_code,
        call.trunk,
        call.details.as_ref().map(Value::to_string),
    ])?;
    let mut started = json!({"direction": direction, "caller": call.caller, "callee": call.callee, "app": call.app});
    // What the INVITE said besides, for whoever acts upon calls.
    if let Some(headers) = call.details.as_ref().and_then(|details| details.get("headers")).filter(|h| h.is_array()) {
        started["headers"] = headers.clone();
    }
    append(db, EventKind::CallStarted, &call.id, "", call.started, &started)?;
    if let Some(at) = call.answered {
        append(db, EventKind::CallAnswered, &call.id, "", at, &json!({"conversation_id": call.conversation_id}))?;
    }
    if let Some(at) = call.ended {
        let seconds = call.answered.map(|answered| at.0.saturating_sub(answered.0) / 1000);
        let data = json!({
            "ended_by": call.ended_by, "reason": call.reason, "answered_seconds": seconds, "cause": call.cause, "sip_code": call.sip_code,
        });
        append(db, EventKind::CallEnded, &call.id, "", at, &data)?;
    }
    Ok(())
}

/// The calls without an end, and when (milliseconds of Unix time) each was last known to be up: by the daemon's own word, by what
/// was said, by its events.
fn abandoned(db: &Connection) -> Result<Vec<(CallRecord, u64)>, StoreError> {
    let mut open: Vec<(CallRecord, u64)> = {
        let mut rows = db.prepare(&format!("SELECT {COLUMNS}, seen FROM calls WHERE ended IS NULL"))?;
        let found = rows.query_map([], |row| {
            let seen: Option<i64> = row.get(18)?;
            Ok((from_row(row)?.1, seen.unwrap_or_default().cast_unsigned()))
        })?;
        found.collect::<Result<_, _>>()?
    };
    let Some(oldest) = open.iter().map(|(call, _)| call.started.0.cast_signed()).min() else { return Ok(open) };
    let mut last: HashMap<String, i64> = HashMap::new();
    for (call, _) in &open {
        last.extend([Some(&call.id), call.conversation_id.as_ref()].into_iter().flatten().map(|id| (id.clone(), 0)));
    }
    let mut events = db.prepare("SELECT subject, time FROM events WHERE time >= ?1")?;
    let mut events = events.query([oldest])?;
    while let Some(event) = events.next()? {
        if let Some(known) = last.get_mut(event.get_ref(0)?.as_str().unwrap_or_default()) {
            *known = (*known).max(event.get(1)?);
        }
    }
    let mut turns = db.prepare("SELECT max(max(started, coalesce(ended, 0))) FROM turns WHERE conversation_id = ?1")?;
    for (call, seen) in &mut open {
        let ids = [Some(&call.id), call.conversation_id.as_ref()].into_iter().flatten();
        let told = ids.filter_map(|id| last.get(id)).max().copied().unwrap_or_default();
        let said: Option<i64> = turns.query_row([&call.conversation_id], |row| row.get(0))?;
        *seen = (*seen).max(told.max(said.unwrap_or_default()).cast_unsigned());
    }
    Ok(open)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<(i64, CallRecord)> {
    let at =
        |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(|t| Wallclock(t.cast_unsigned())));
    let outbound = row.get_ref(2)?.as_str()? == "outbound";
    let call = CallRecord {
        id: row.get(1)?,
        direction: if outbound { Direction::Outbound } else { Direction::Inbound },
        caller: row.get(3)?,
        callee: row.get(4)?,
        source: row.get(5)?,
        app: row.get(6)?,
        conversation_id: row.get(7)?,
        started: at(8)?.unwrap_or_default(),
        answered: at(9)?,
        ended: at(10)?,
        ended_by: row.get(11)?,
        reason: row.get(12)?,
        media: json_at(row, 13)?,
        cause: row.get(14)?,
        sip_code: row.get(15)?,
        trunk: row.get(16)?,
        details: json_at(row, 17)?,
    };
    Ok((row.get(0)?, call))
}

fn json_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Value>> {
    Ok(row.get::<_, Option<String>>(column)?.and_then(|text| serde_json::from_str(&text).ok()))
}
