//! The outbox: every event in the order of its commit. Invariants: an event is written in the same transaction as its
//! cause; its id is derived from type, subject and key, so that repeating the cause adds no second event.
//! Deliberately absent: delivery (`bus`).

use super::{Commit, Store, StoreError};
use crate::limits::EVENTS_KEPT_MAX;
use crate::time::Wallclock;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// Everything that this daemon reports about itself. The names are a contract with subscribers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// A call came in or went out.
    CallStarted,
    /// It rings: a placed call there, one that waits for an answer by hand here.
    CallRinging,
    /// It was answered.
    CallAnswered,
    /// We hold the other side, or took it back.
    CallHeld,
    /// A key was pressed on a call that is steered from outside.
    CallDigit,
    /// Something was said on such a call.
    CallHeard,
    /// What was ordered to be said or played has been.
    CallPlayed,
    /// It is in a room with others, or has come back.
    CallBridged,
    /// A caller is being handed to somebody else: how far that is.
    CallTransfer,
    /// A person or a machine has answered the call that we placed.
    CallDetected,
    /// A caller has left a message.
    MessageTaken,
    /// A call to an emergency number went out, caps or not.
    CallEmergency,
    /// It is over.
    CallEnded,
    /// The first sound of a call is in a file.
    RecordingStarted,
    /// A recording is over: whole, stopped or recovered.
    RecordingEnded,
    /// Somebody said something.
    ConversationTurn,
    /// A caller wants to be called back.
    CallBackRequested,
    /// A caller was promised a call when the build is over.
    ReturnCallPromised,
    /// A try of it begins.
    ReturnCallPlaced,
    /// It was answered, told, given up, interrupted or withdrawn.
    ReturnCallOver,
    /// A text wants something, and surely enough to act on it.
    IntentRecognised,
    /// A caller approved a manifest.
    BuildRequestCreated,
    /// A build completed a stage, or was parked or failed.
    BuildStageChanged,
    /// A build asks something that its order leaves open.
    BuildQuestionAsked,
    /// It was answered.
    BuildQuestionAnswered,
    /// A build was refused since too many wait.
    BuildSlow,
    /// An app answers on its address.
    AppLive,
    /// An app ended and could not be started again yet.
    AppDown,
    /// An app went back to an earlier version.
    AppRolledBack,
    /// An app was taken away.
    AppDeleted,
}

impl EventKind {
    /// As in the envelope's `type`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CallStarted => "call.started",
            Self::CallRinging => "call.ringing",
            Self::CallAnswered => "call.answered",
            Self::CallHeld => "call.held",
            Self::CallDigit => "call.digit",
            Self::CallHeard => "call.heard",
            Self::CallPlayed => "call.played",
            Self::CallBridged => "call.bridged",
            Self::CallTransfer => "call.transfer",
            Self::CallDetected => "call.detected",
            Self::MessageTaken => "message.taken",
            Self::CallEmergency => "call.emergency",
            Self::CallEnded => "call.ended",
            Self::RecordingStarted => "recording.started",
            Self::RecordingEnded => "recording.ended",
            Self::ConversationTurn => "conversation.turn",
            Self::CallBackRequested => "call_back.requested",
            Self::ReturnCallPromised => "return_call.promised",
            Self::ReturnCallPlaced => "return_call.placed",
            Self::ReturnCallOver => "return_call.over",
            Self::IntentRecognised => "intent.recognised",
            Self::BuildRequestCreated => "build.request.created",
            Self::BuildStageChanged => "build.stage.changed",
            Self::BuildQuestionAsked => "build.question.asked",
            Self::BuildQuestionAnswered => "build.question.answered",
            Self::BuildSlow => "build.slow",
            Self::AppLive => "app.live",
            Self::AppDown => "app.down",
            Self::AppRolledBack => "app.rolled_back",
            Self::AppDeleted => "app.deleted",
        }
    }
}

/// The one envelope, for SSE, webhooks and replay alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Position in the outbox, counted from 1; the cursor of replay.
    pub seq: u64,
    /// Derived; equal for repeats of the same happening.
    pub id: String,
    /// E.g. `build.request.created`.
    pub kind: String,
    /// When it was written.
    pub time: Wallclock,
    /// What it is about: a call, conversation, build or app id.
    pub subject: String,
    /// Fields by kind.
    pub data: Value,
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_struct("Event", 6)?;
        map.serialize_field("seq", &self.seq)?;
        map.serialize_field("id", &self.id)?;
        map.serialize_field("type", &self.kind)?;
        map.serialize_field("time", &self.time.to_string())?;
        map.serialize_field("subject", &self.subject)?;
        map.serialize_field("data", &self.data)?;
        map.end()
    }
}

/// Writes an event in the running transaction; false when it was there already.
/// `key` tells happenings of one kind on one subject apart (a stage, a turn's number).
pub(super) fn append(
    db: &Connection,
    kind: EventKind,
    subject: &str,
    key: &str,
    time: Wallclock,
    data: &Value,
) -> Result<bool, StoreError> {
    let id = derived_id("evt", &[kind.name(), subject, key]);
    let mut insert = db.prepare_cached(
        "INSERT INTO events(id, type, time, subject, data) VALUES(?1, ?2, ?3, ?4, ?5) ON CONFLICT(id) DO NOTHING",
    )?;
    Ok(insert.execute(params![id, kind.name(), time.0.cast_signed(), subject, data.to_string()])? > 0)
}

/// `prefix_` and 128 bits of a digest over the parts, each preceded by its length so that no two lists collide.
pub(super) fn derived_id(prefix: &str, parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    let mut id = format!("{prefix}_");
    for octet in digest.finalize().iter().take(16) {
        // Writing to a String cannot fail.
        let _ = write!(id, "{octet:02x}");
    }
    id
}

/// The events of a [`Store`].
#[derive(Debug, Clone, Copy)]
pub struct Events<'a>(pub(super) &'a Store);

impl Events<'_> {
    /// At most `limit` events after `seq`, oldest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn after(&self, seq: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        self.0.read(|db| {
            let mut rows = db.prepare_cached(
                "SELECT seq, id, type, time, subject, data FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2",
            )?;
            let found =
                rows.query_map(params![seq.cast_signed(), i64::try_from(limit).unwrap_or(i64::MAX)], from_row)?;
            found.map(|row| row.map_err(StoreError::from)).collect()
        })
    }

    /// Position of the event with this id.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn position(&self, id: &str) -> Result<Option<u64>, StoreError> {
        self.0.read(|db| {
            let found = db.query_row("SELECT seq FROM events WHERE id = ?1", [id], |row| row.get::<_, i64>(0));
            Ok(found.optional()?.map(i64::cast_unsigned))
        })
    }

    /// Position of the newest event before this time; 0: there is none. Looks backwards, so a recent time is found at once.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn before(&self, time: Wallclock) -> Result<u64, StoreError> {
        self.0.read(|db| {
            let time = i64::try_from(time.0).unwrap_or(i64::MAX);
            let found =
                db.query_row("SELECT seq FROM events WHERE time < ?1 ORDER BY seq DESC LIMIT 1", [time], |row| {
                    row.get::<_, i64>(0)
                });
            Ok(found.optional()?.unwrap_or(0).cast_unsigned())
        })
    }

    /// How far the named consumer has come; 0 when it is new.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn cursor(&self, consumer: &str) -> Result<u64, StoreError> {
        self.0.read(|db| {
            let found =
                db.query_row("SELECT seq FROM cursors WHERE consumer = ?1", [consumer], |row| row.get::<_, i64>(0));
            Ok(found.optional()?.unwrap_or(0).cast_unsigned())
        })
    }

    /// Notes that the named consumer is done with everything up to `seq`; never moves back.
    #[must_use = "a cursor that is not awaited may not be on disk"]
    pub fn set_cursor(&self, consumer: &str, seq: u64) -> Commit<()> {
        let consumer = consumer.to_owned();
        self.0.write(move |db| {
            db.execute(
                "INSERT INTO cursors(consumer, seq) VALUES(?1, ?2)
                 ON CONFLICT(consumer) DO UPDATE SET seq = max(seq, excluded.seq)",
                params![consumer, seq.cast_signed()],
            )?;
            Ok(())
        })
    }

    /// Drops the oldest events beyond `EVENTS_KEPT_MAX` that every named consumer has passed, and beyond four times as many
    /// those that a consumer (which then has been away for very long) has not; returns how many.
    #[must_use = "await it to know that it is done"]
    pub fn prune(&self) -> Commit<u64> {
        self.prune_to(EVENTS_KEPT_MAX)
    }

    fn prune_to(&self, kept: u64) -> Commit<u64> {
        self.0.write(move |db| {
            let dropped = db.execute(
                "DELETE FROM events WHERE seq <= (SELECT max(seq) FROM events) - ?1
                 AND (seq <= coalesce((SELECT min(seq) FROM cursors), seq) OR seq <= (SELECT max(seq) FROM events) - 4 * ?1)",
                [kept.cast_signed()],
            )?;
            Ok(dropped as u64)
        })
    }

    /// Writes an event that has no other row as its cause. `key` as in the derived id.
    #[must_use = "an event that is not awaited may not be on disk"]
    pub fn append(&self, kind: EventKind, subject: &str, key: &str, time: Wallclock, data: Value) -> Commit<bool> {
        let (subject, key) = (subject.to_owned(), key.to_owned());
        self.0.write(move |db| append(db, kind, &subject, &key, time, &data))
    }
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Event> {
    let data: String = row.get(5)?;
    Ok(Event {
        seq: row.get::<_, i64>(0)?.cast_unsigned(),
        id: row.get(1)?,
        kind: row.get(2)?,
        time: Wallclock(row.get::<_, i64>(3)?.cast_unsigned()),
        subject: row.get(4)?,
        // Only this program writes the column; a damaged row still must not stop the stream.
        data: serde_json::from_str(&data).unwrap_or(Value::Null),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_events_go_but_not_from_under_a_consumer() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        for n in 0..100 {
            store.events().append(EventKind::AppDown, "crm", &n.to_string(), Wallclock(n), Value::Null).wait().unwrap();
        }
        store.events().set_cursor("nats", 70).wait().unwrap();
        assert_eq!(store.events().prune_to(20).wait(), Ok(70));
        assert_eq!(store.events().after(0, 1).unwrap()[0].seq, 71);
        assert_eq!(store.events().before(Wallclock(90)).unwrap(), 90);
        assert_eq!(store.events().before(Wallclock(3)).unwrap(), 0, "it is gone");
        store.events().set_cursor("away", 1).wait().unwrap();
        assert_eq!(store.events().prune_to(20).wait(), Ok(0));
        assert_eq!(store.events().prune_to(5).wait(), Ok(10), "all beyond four times as many");
        assert_eq!(store.events().cursor("away"), Ok(1));
        store.events().set_cursor("nats", 3).wait().unwrap();
        assert_eq!(store.events().cursor("nats"), Ok(70), "never back");
    }
}
