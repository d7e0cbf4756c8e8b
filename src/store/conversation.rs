//! Conversations and their turns. Invariant: a turn is keyed by (conversation, seq); writing it again corrects it (an
//! interrupted agent turn learns what was heard) and its event says so once more under a new id.

use super::backlog::Worth;
use super::call::{time, time_or_null};
use super::event::append;
use super::{Commit, EventKind, Store, StoreError};
use crate::time::Wallclock;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use serde_json::json;

/// Who said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    /// The person on the phone.
    Caller,
    /// Us.
    Agent,
}

impl Speaker {
    const fn name(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Agent => "agent",
        }
    }
}

/// One thing that was said.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Turn {
    /// The conversation.
    pub conversation_id: String,
    /// Counted from 1 within it.
    pub seq: u32,
    /// Who said it.
    pub who: Speaker,
    /// Caller: the recognised text as understood. Agent: the text as meant.
    pub text: String,
    /// Caller: the recogniser's own words. Agent: what the caller can have heard before an interruption; None: all of it.
    pub heard: Option<String>,
    /// First audible sample.
    #[serde(serialize_with = "time")]
    pub started: Wallclock,
    /// Last audible sample.
    #[serde(serialize_with = "time_or_null")]
    pub ended: Option<Wallclock>,
    /// 0..=1, of the recogniser; None for the agent and for keys.
    pub confidence: Option<f64>,
}

/// Somebody wants to be called back; number and name were read back and confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallBackRequest {
    /// The conversation in which it was said.
    pub conversation_id: String,
    /// Digits only, 3–15.
    pub number: String,
    /// As it is written; `None` when it was not given.
    pub name: Option<String>,
    /// When it was confirmed.
    pub time: Wallclock,
}

/// A conversation, without its turns.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Conversation {
    /// Its id.
    pub id: String,
    /// The call that it is held on.
    pub call_id: Option<String>,
    /// Name of the agent.
    pub agent: String,
    /// When it began.
    #[serde(serialize_with = "time")]
    pub started: Wallclock,
    /// When it ended.
    #[serde(serialize_with = "time_or_null")]
    pub ended: Option<Wallclock>,
}

/// The conversations of a [`Store`].
#[derive(Debug, Clone, Copy)]
pub struct Conversations<'a>(pub(super) &'a Store);

impl Conversations<'_> {
    /// Writes a conversation, new or (to set its end) known before.
    #[must_use = "a record that is not awaited may not be on disk"]
    pub fn record(&self, conversation: Conversation) -> Commit<()> {
        self.0.write(move |db| write(db, &conversation))
    }

    /// The same, as soon as the disk takes it. Turns that are kept later are written after it.
    pub fn keep(&self, conversation: Conversation) {
        self.0.insist("a conversation", Worth::Record, move |db| write(db, &conversation));
    }

    /// Writes a turn of a recorded conversation, new or corrected, with its event `conversation.turn`.
    #[must_use = "a record that is not awaited may not be on disk"]
    pub fn turn(&self, turn: Turn) -> Commit<()> {
        self.0.write(move |db| write_turn(db, &turn))
    }

    /// The same, as soon as the disk takes it.
    pub fn keep_turn(&self, turn: Turn) {
        self.0.insist("a turn", Worth::Detail, move |db| write_turn(db, &turn));
    }

    /// Writes the event `call_back.requested`, which is all that is kept of it; the same wish twice in a conversation is one.
    #[must_use = "a wish that is not awaited may not be on disk"]
    pub fn call_back(&self, wish: CallBackRequest) -> Commit<()> {
        self.0.write(move |db| {
            let CallBackRequest { conversation_id, number, name, time } = wish;
            let key = format!("{number} {}", name.as_deref().unwrap_or_default());
            let data = json!({ "conversation_id": conversation_id, "number": number, "name": name });
            append(db, EventKind::CallBackRequested, &conversation_id, &key, time, &data)?;
            Ok(())
        })
    }

    /// One conversation with its turns in order.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn get(&self, id: &str) -> Result<Option<(Conversation, Vec<Turn>)>, StoreError> {
        self.0.read(|db| {
            let found = db.query_row(
                "SELECT id, call_id, agent, started, ended FROM conversations WHERE id = ?1",
                [id],
                |row| {
                    Ok(Conversation {
                        id: row.get(0)?,
                        call_id: row.get(1)?,
                        agent: row.get(2)?,
                        started: Wallclock(row.get::<_, i64>(3)?.cast_unsigned()),
                        ended: row.get::<_, Option<i64>>(4)?.map(|t| Wallclock(t.cast_unsigned())),
                    })
                },
            );
            let Some(conversation) = found.optional()? else { return Ok(None) };
            let mut rows = db.prepare_cached(
                "SELECT conversation_id, seq, who, text, heard, started, ended, confidence FROM turns
                 WHERE conversation_id = ?1 ORDER BY seq",
            )?;
            let turns = rows.query_map([id], turn_from_row)?.collect::<Result<_, _>>()?;
            Ok(Some((conversation, turns)))
        })
    }
}

fn write(db: &Connection, conversation: &Conversation) -> Result<(), StoreError> {
    db.execute(
        "INSERT INTO conversations(id, call_id, agent, started, ended) VALUES(?1, ?2, ?3, ?4, ?5)
         ON CONFLICT(id) DO UPDATE SET ended = excluded.ended",
        params![
            conversation.id,
            conversation.call_id,
            conversation.agent,
            conversation.started.0.cast_signed(),
            conversation.ended.map(|t| t.0.cast_signed()),
        ],
    )?;
    Ok(())
}

fn write_turn(db: &Connection, turn: &Turn) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO turns(conversation_id, seq, who, text, heard, started, ended, confidence)
         VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT(conversation_id, seq) DO UPDATE SET text = excluded.text, heard = excluded.heard,
           ended = excluded.ended, confidence = excluded.confidence",
    )?
    .execute(params![
        turn.conversation_id,
        turn.seq,
        turn.who.name(),
        turn.text,
        turn.heard,
        turn.started.0.cast_signed(),
        turn.ended.map(|t| t.0.cast_signed()),
        turn.confidence,
    ])?;
    let data = json!({
        "seq": turn.seq,
        "who": turn.who,
        "text": turn.text,
        "heard": turn.heard,
        "started": turn.started.to_string(),
        "ended": turn.ended.map(|t| t.to_string()),
        "confidence": turn.confidence,
    });
    // The content is part of the key: the same turn twice is one event, a corrected turn is another.
    append(db, EventKind::ConversationTurn, &turn.conversation_id, &data.to_string(), turn.started, &data)?;
    Ok(())
}

fn turn_from_row(row: &Row<'_>) -> rusqlite::Result<Turn> {
    let agent = row.get_ref(2)?.as_str()? == "agent";
    Ok(Turn {
        conversation_id: row.get(0)?,
        seq: row.get(1)?,
        who: if agent { Speaker::Agent } else { Speaker::Caller },
        text: row.get(3)?,
        heard: row.get(4)?,
        started: Wallclock(row.get::<_, i64>(5)?.cast_unsigned()),
        ended: row.get::<_, Option<i64>>(6)?.map(|t| Wallclock(t.cast_unsigned())),
        confidence: row.get(7)?,
    })
}
