//! Where callers were when their line was cut. Purpose: who calls back goes on there. Invariants: one row for a caller and an
//! agent; a conversation that began earlier never overwrites or removes what a later one has written; what is older than
//! [`KEPT_MAX`] is gone. Deliberately absent: what is kept (the dialogue's own document), who counts as the same caller.

use super::{Commit, Store, StoreError};
use crate::time::Wallclock;
use rusqlite::{OptionalExtension, params};
use std::time::Duration;

/// Nothing is kept longer, whatever the configuration says.
const KEPT_MAX: Duration = Duration::from_secs(24 * 3600);

/// Whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptFor {
    /// The caller's number or address.
    pub caller: String,
    /// The agent.
    pub agent: String,
    /// The conversation that writes.
    pub conversation_id: String,
    /// When that began.
    pub begun: Wallclock,
}

/// What is kept of conversations, in a [`Store`].
#[derive(Debug, Clone, Copy)]
pub struct KeptConversations<'a>(pub(super) &'a Store);

impl KeptConversations<'_> {
    /// Writes where the conversation is now; `None`: there is nothing to go on with.
    #[must_use = "what is not awaited may not be on disk"]
    pub fn keep(&self, whose: KeptFor, document: Option<String>, now: Wallclock) -> Commit<()> {
        self.0.write(move |db| {
            let (begun, now) = (whose.begun.0.cast_signed(), now.0.cast_signed());
            let KeptFor { caller, agent, conversation_id, .. } = whose;
            match document {
                Some(document) => db.execute(
                    "INSERT INTO kept(caller, agent, conversation_id, begun, updated, document)
                     VALUES(?1, ?2, ?3, ?4, ?5, ?6)
                     ON CONFLICT(caller, agent) DO UPDATE SET conversation_id = excluded.conversation_id,
                       begun = excluded.begun, updated = excluded.updated, document = excluded.document
                     WHERE excluded.begun >= kept.begun",
                    params![caller, agent, conversation_id, begun, now, document],
                )?,
                None => db.execute(
                    "DELETE FROM kept WHERE caller = ?1 AND agent = ?2 AND begun <= ?3",
                    params![caller, agent, begun],
                )?,
            };
            let oldest = now.saturating_sub(milliseconds(KEPT_MAX));
            db.execute("DELETE FROM kept WHERE updated < ?1", [oldest])?;
            Ok(())
        })
    }

    /// What this caller and this agent talked about, unless it is older than `since`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn find(&self, caller: &str, agent: &str, since: Wallclock) -> Result<Option<String>, StoreError> {
        self.0.read(|db| {
            let found = db.query_row(
                "SELECT document FROM kept WHERE caller = ?1 AND agent = ?2 AND updated >= ?3",
                params![caller, agent, since.0.cast_signed()],
                |row| row.get(0),
            );
            Ok(found.optional()?)
        })
    }
}

fn milliseconds(of: Duration) -> i64 {
    i64::try_from(of.as_millis()).unwrap_or(i64::MAX)
}
