//! Messages that callers have left. Invariant: one a call; `message.taken` comes out with it.

use super::backlog::Worth;
use super::event::append;
use super::reader::{page, page_limit};
use super::{Commit, EventKind, Page, Store, StoreError};
use crate::store::call::time;
use crate::time::Wallclock;
use rusqlite::{Connection, Row, params};
use serde::Serialize;
use serde_json::json;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// The call on which it was left; its recording, if there is one, is under that id.
    pub call_id: String,
    /// Who called, as written.
    pub caller: String,
    /// The number called.
    pub callee: String,
    /// What was understood, an utterance a line; empty when nothing was.
    pub text: String,
    /// From the beep to the end.
    pub seconds: u32,
    /// When it was left.
    #[serde(serialize_with = "time")]
    pub time: Wallclock,
}

/// The messages of a [`Store`].
#[derive(Debug, Clone, Copy)]
pub struct Messages<'a>(pub(super) &'a Store);

impl Messages<'_> {
    /// Writes a message, once.
    #[must_use = "a message that is not awaited may not be on disk"]
    pub fn take(&self, message: Message) -> Commit<()> {
        self.0.write(move |db| take(db, &message))
    }

    /// Writes a message, once, as soon as the disk takes it: the caller has heard that it is taken.
    pub fn keep(&self, message: Message) {
        self.0.insist("a message", Worth::Record, move |db| take(db, &message));
    }

    /// A page of messages, newest first, older than the row `before`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn list(&self, before: Option<i64>, limit: usize) -> Result<Page<Message>, StoreError> {
        self.0.read(|db| {
            let mut rows = db.prepare_cached(
                "SELECT row, call_id, caller, callee, text, seconds, time FROM messages WHERE row < ?1 ORDER BY row DESC LIMIT ?2",
            )?;
            let found = rows.query_map(params![before.unwrap_or(i64::MAX), page_limit(limit)], from_row)?;
            Ok(page(found.collect::<Result<_, _>>()?, limit))
        })
    }
}

fn take(db: &Connection, message: &Message) -> Result<(), StoreError> {
    db.execute(
        "INSERT INTO messages(call_id, caller, callee, text, seconds, time) VALUES(?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT(call_id) DO NOTHING",
        params![
            message.call_id,
            message.caller,
            message.callee,
            message.text,
            message.seconds,
            message.time.0.cast_signed()
        ],
    )?;
    let Message { caller, callee, text, seconds, .. } = message;
    let data = json!({"caller": caller, "callee": callee, "text": text, "seconds": seconds});
    append(db, EventKind::MessageTaken, &message.call_id, "", message.time, &data)?;
    Ok(())
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<(i64, Message)> {
    let message = Message {
        call_id: row.get(1)?,
        caller: row.get(2)?,
        callee: row.get(3)?,
        text: row.get(4)?,
        seconds: row.get(5)?,
        time: Wallclock(row.get::<_, i64>(6)?.cast_unsigned()),
    };
    Ok((row.get(0)?, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_kept_once_with_its_event() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let message = Message {
            call_id: "call_1".into(),
            caller: "<sip:ann@192.0.2.1>".into(),
            callee: "300".into(),
            text: "call me back".into(),
            seconds: 7,
            time: Wallclock(1000),
        };
        for _ in 0..2 {
            store.messages().take(message.clone()).wait().unwrap();
        }
        let other = Message { call_id: "call_2".into(), ..message.clone() };
        store.messages().take(other.clone()).wait().unwrap();
        let first = store.messages().list(None, 1).unwrap();
        assert_eq!(first.items, [other]);
        assert_eq!(store.messages().list(first.next, 10).unwrap().items, [message]);
        assert_eq!(store.events().after(0, 10).unwrap().iter().filter(|e| e.kind == "message.taken").count(), 2);
    }
}
