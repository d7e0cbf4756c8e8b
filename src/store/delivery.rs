//! Messages of apps to webhooks. Invariants: a message is written once under its id, so that taking it from its app again
//! changes nothing; it waits until it has arrived or is given up (dead), and a dead one is kept to be looked at and sent again;
//! every state is bounded. Deliberately absent: sending (`pipeline::courier`), secrets (they stay with the apps).

use super::call::{time, time_or_null};
use super::reader::{page, page_limit};
use super::{Commit, Page, Store, StoreError};
use crate::limits::{DELIVERIES_DEAD_MAX, DELIVERIES_DONE_MAX, DELIVERIES_PER_URL_MAX, DELIVERIES_WAITING_MAX};
use crate::time::Wallclock;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use std::time::Duration;

/// How a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It is tried, or tried again.
    Waiting,
    /// It was answered with 2xx.
    Delivered,
    /// It was given up.
    Dead,
}

impl DeliveryState {
    /// As stored and shown.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        [Self::Waiting, Self::Delivered, Self::Dead].into_iter().find(|state| state.word() == word)
    }
}

/// A message as its app hands it over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The same each time the app hands it over.
    pub id: String,
    /// Slug of the app.
    pub app: String,
    /// Where to.
    pub url: String,
    /// Name of the event.
    pub event: String,
    /// JSON.
    pub body: String,
}

/// One delivery, without what it carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// `msg_…`; receivers see it as `webhook-id`.
    pub id: String,
    /// Slug of the app.
    pub app: String,
    /// Where to; what follows a question mark is left out, as it may be a secret.
    pub url: String,
    /// Name of the event.
    pub event: String,
    /// How it stands.
    pub state: DeliveryState,
    /// Failed tries.
    pub tries: u32,
    /// When it is tried next, while it waits.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "time_or_null")]
    pub next_try: Option<Wallclock>,
    /// When the app handed it over.
    #[serde(serialize_with = "time")]
    pub queued: Wallclock,
    /// Of the last try, where there was an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why the last try failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// What becomes of a message that did not arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Of the answer, where there was one.
    pub status: Option<u16>,
    /// In words.
    pub why: String,
    /// When it is tried again; `None`: it is given up.
    pub again: Option<Wallclock>,
    /// Whether the try counts.
    pub counts: bool,
}

/// A message that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// What to send.
    pub message: Message,
    /// Tries that failed before.
    pub tries: u32,
    /// When the app handed it over.
    pub queued: Wallclock,
}

/// How many deliveries there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryCounts {
    /// Waiting ones.
    pub waiting: u64,
    /// Dead ones.
    pub dead: u64,
}

/// The deliveries of a [`Store`].
#[derive(Debug, Clone, Copy)]
pub struct Deliveries<'a>(pub(super) &'a Store);

impl Deliveries<'_> {
    /// Takes messages over, those that are known already are passed over. False: the queue is full, nothing was taken. Of a webhook
    /// for which too many wait the oldest die.
    #[must_use = "messages that are not awaited may not be on disk"]
    pub fn take(&self, messages: Vec<Message>, now: Wallclock) -> Commit<bool> {
        self.0.write(move |db| {
            if counts(db)?.waiting + messages.len() as u64 > DELIVERIES_WAITING_MAX {
                return Ok(false);
            }
            let now = now.0.cast_signed();
            for message in &messages {
                // A webhook that is left alone stays so.
                db.prepare_cached(
                    "INSERT INTO deliveries(id, app, url, event, body, state, due, queued, updated)
                     VALUES(?1, ?2, ?3, ?4, ?5, 'waiting',
                       max(?6, coalesce((SELECT max(due) FROM deliveries WHERE url = ?3 AND state = 'waiting'), 0)), ?6, ?6)
                     ON CONFLICT(id) DO NOTHING",
                )?
                .execute(params![message.id, message.app, message.url, message.event, message.body, now])?;
                db.prepare_cached(
                    "UPDATE deliveries SET state = 'dead', updated = ?3, failure = 'too many messages wait for this address'
                     WHERE row IN (SELECT row FROM deliveries WHERE url = ?1 AND state = 'waiting'
                                   ORDER BY row DESC LIMIT -1 OFFSET ?2)",
                )?
                .execute(params![message.url, DELIVERIES_PER_URL_MAX, now])?;
            }
            tidy(db)?;
            Ok(true)
        })
    }

    /// What is due at `now`: of each webhook the oldest message, the oldest ones first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn due(&self, now: Wallclock, limit: usize) -> Result<Vec<Due>, StoreError> {
        self.0.read(|db| {
            let mut rows = db.prepare_cached(
                "SELECT id, app, url, event, body, tries, queued FROM deliveries WHERE row IN
                   (SELECT min(row) FROM deliveries WHERE state = 'waiting' AND due <= ?1 GROUP BY url)
                 ORDER BY row LIMIT ?2",
            )?;
            let found =
                rows.query_map(params![now.0.cast_signed(), i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
                    Ok(Due {
                        message: Message {
                            id: row.get(0)?,
                            app: row.get(1)?,
                            url: row.get(2)?,
                            event: row.get(3)?,
                            body: row.get(4)?,
                        },
                        tries: row.get(5)?,
                        queued: Wallclock(row.get::<_, i64>(6)?.cast_unsigned()),
                    })
                })?;
            Ok(found.collect::<Result<_, _>>()?)
        })
    }

    /// It arrived. What else waits for that webhook need not wait any longer.
    #[must_use = "an arrival that is not awaited may not be on disk"]
    pub fn delivered(&self, id: &str, status: u16, now: Wallclock) -> Commit<()> {
        let id = id.to_owned();
        self.0.write(move |db| {
            let now = now.0.cast_signed();
            db.prepare_cached(
                "UPDATE deliveries SET due = min(due, ?2) WHERE state = 'waiting' AND url =
                 (SELECT url FROM deliveries WHERE id = ?1)",
            )?
            .execute(params![id, now])?;
            db.prepare_cached(
                "UPDATE deliveries SET state = 'delivered', body = '', status = ?2, failure = NULL, updated = ?3
                 WHERE id = ?1",
            )?
            .execute(params![id, status, now])?;
            tidy(db)
        })
    }

    /// It did not arrive. A webhook that fails is left alone: nothing else for it is due before this message is again.
    #[must_use = "a failure that is not awaited may not be on disk"]
    pub fn failed(&self, id: &str, failed: Failed, now: Wallclock) -> Commit<()> {
        let id = id.to_owned();
        self.0.write(move |db| {
            let state = if failed.again.is_some() { DeliveryState::Waiting } else { DeliveryState::Dead };
            let due = failed.again.unwrap_or(now).0.cast_signed();
            db.prepare_cached(
                "UPDATE deliveries SET state = ?2, tries = tries + ?3, due = ?4, status = ?5, failure = ?6, updated = ?7
                 WHERE id = ?1 AND state = 'waiting'",
            )?
            .execute(params![
                id,
                state.word(),
                u32::from(failed.counts),
                due,
                failed.status,
                failed.why,
                now.0.cast_signed()
            ])?;
            if failed.again.is_some() {
                db.prepare_cached(
                    "UPDATE deliveries SET due = max(due, ?2) WHERE state = 'waiting' AND url =
                     (SELECT url FROM deliveries WHERE id = ?1)",
                )?
                .execute(params![id, due])?;
            }
            tidy(db)
        })
    }

    /// Tries a dead message again, from the beginning. `None`: there is none of that id; false: it is not dead.
    #[must_use = "a change that is not awaited may not be on disk"]
    pub fn retry(&self, id: &str, now: Wallclock) -> Commit<Option<bool>> {
        let id = id.to_owned();
        self.0.write(move |db| {
            let sql = "UPDATE deliveries SET state = 'waiting', tries = 0, due = ?2, queued = ?2, updated = ?2
                       WHERE id = ?1 AND state = 'dead'";
            if db.execute(sql, params![id, now.0.cast_signed()])? == 1 {
                return Ok(Some(true));
            }
            let known = db.query_row("SELECT 1 FROM deliveries WHERE id = ?1", [&id], |_| Ok(())).optional()?;
            Ok(known.map(|()| false))
        })
    }

    /// Forgets all deliveries of an app that is gone.
    #[must_use = "a change that is not awaited may not be on disk"]
    pub fn forget(&self, app: &str) -> Commit<()> {
        let app = app.to_owned();
        self.0.write(move |db| {
            db.execute("DELETE FROM deliveries WHERE app = ?1", [&app])?;
            Ok(())
        })
    }

    /// How many there are.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn counts(&self) -> Result<DeliveryCounts, StoreError> {
        self.0.read(counts)
    }

    /// A page of deliveries, newest first, older than the row `before`; of one state, or one app, or all.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn list(
        &self,
        state: Option<DeliveryState>,
        app: Option<&str>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Page<Delivery>, StoreError> {
        self.0.read(|db| {
            let mut rows = db.prepare_cached(
                "SELECT row, id, app, url, event, state, tries, due, queued, status, failure FROM deliveries
                 WHERE row < ?1 AND (?2 IS NULL OR state = ?2) AND (?3 IS NULL OR app = ?3) ORDER BY row DESC LIMIT ?4",
            )?;
            let state = state.map(DeliveryState::word);
            let found = rows.query_map(params![before.unwrap_or(i64::MAX), state, app, page_limit(limit)], from_row)?;
            Ok(page(found.collect::<Result<_, _>>()?, limit))
        })
    }
}

fn counts(db: &Connection) -> Result<DeliveryCounts, StoreError> {
    let count = |state: DeliveryState| -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM deliveries WHERE state = ?1";
        let n: i64 = db.prepare_cached(sql)?.query_row([state.word()], |row| row.get(0))?;
        Ok(n.cast_unsigned())
    };
    Ok(DeliveryCounts { waiting: count(DeliveryState::Waiting)?, dead: count(DeliveryState::Dead)? })
}

/// Forgets the oldest of what is over.
fn tidy(db: &Connection) -> Result<(), StoreError> {
    for (state, most) in [(DeliveryState::Delivered, DELIVERIES_DONE_MAX), (DeliveryState::Dead, DELIVERIES_DEAD_MAX)] {
        db.prepare_cached(
            "DELETE FROM deliveries WHERE state = ?1 AND row <=
             (SELECT row FROM deliveries WHERE state = ?1 ORDER BY row DESC LIMIT 1 OFFSET ?2)",
        )?
        .execute(params![state.word(), most])?;
    }
    Ok(())
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<(i64, Delivery)> {
    let state = DeliveryState::of(row.get_ref(5)?.as_str()?).unwrap_or(DeliveryState::Dead);
    let when = |at: usize| -> rusqlite::Result<Wallclock> { Ok(Wallclock(row.get::<_, i64>(at)?.cast_unsigned())) };
    let url: String = row.get(3)?;
    let delivery = Delivery {
        id: row.get(1)?,
        app: row.get(2)?,
        url: url.split(['?', '#']).next().unwrap_or_default().to_owned(),
        event: row.get(4)?,
        state,
        tries: row.get(6)?,
        next_try: if state == DeliveryState::Waiting { Some(when(7)?) } else { None },
        queued: when(8)?,
        status: row.get(9)?,
        failure: row.get(10)?,
    };
    Ok((row.get(0)?, delivery))
}

/// `now` and so much.
#[must_use]
pub fn after(now: Wallclock, wait: Duration) -> Wallclock {
    Wallclock(now.0.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: &str, url: &str) -> Message {
        Message {
            id: id.into(),
            app: "crm".into(),
            url: url.into(),
            event: "contact.created".into(),
            body: "{}".into(),
        }
    }

    fn ids(due: &[Due]) -> Vec<&str> {
        due.iter().map(|due| due.message.id.as_str()).collect()
    }

    #[test]
    fn a_message_is_taken_once_and_each_webhook_has_its_turn() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let deliveries = store.deliveries();
        let all = vec![
            message("a", "http://one.example/"),
            message("b", "http://one.example/"),
            message("c", "http://two.example/?key=k"),
        ];
        for _ in 0..2 {
            assert!(deliveries.take(all.clone(), Wallclock(10)).wait().unwrap());
        }
        assert_eq!(deliveries.counts().unwrap(), DeliveryCounts { waiting: 3, dead: 0 });
        assert!(deliveries.due(Wallclock(9), 9).unwrap().is_empty());
        assert_eq!(ids(&deliveries.due(Wallclock(10), 9).unwrap()), ["a", "c"]);
        deliveries.delivered("a", 204, Wallclock(11)).wait().unwrap();
        assert_eq!(ids(&deliveries.due(Wallclock(11), 9).unwrap()), ["b", "c"]);
        // Handed over again after it has arrived: it is known.
        assert!(deliveries.take(all, Wallclock(12)).wait().unwrap());
        assert_eq!(deliveries.counts().unwrap().waiting, 2);
        let shown = deliveries.list(None, None, None, 10).unwrap().items;
        assert_eq!(shown.iter().map(|d| d.id.as_str()).collect::<Vec<_>>(), ["c", "b", "a"]);
        assert_eq!(shown[0].url, "http://two.example/", "what follows the question mark may be a secret");
        assert_eq!((shown[2].state, shown[2].status, shown[2].next_try), (DeliveryState::Delivered, Some(204), None));
    }

    #[test]
    fn a_webhook_that_fails_is_left_alone_then_given_up_and_tried_again_on_request() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let deliveries = store.deliveries();
        let both = vec![message("a", "http://one.example/"), message("b", "http://one.example/")];
        assert!(deliveries.take(both, Wallclock(0)).wait().unwrap());
        let failed = |again| Failed { status: Some(500), why: "it answered 500".into(), again, counts: true };
        deliveries.failed("a", failed(Some(Wallclock(100))), Wallclock(1)).wait().unwrap();
        assert!(deliveries.take(vec![message("c", "http://one.example/")], Wallclock(2)).wait().unwrap());
        assert!(deliveries.due(Wallclock(99), 9).unwrap().is_empty(), "neither the other nor a new one goes before");
        let due = deliveries.due(Wallclock(100), 9).unwrap();
        assert_eq!((ids(&due), due[0].tries), (vec!["a"], 1));
        deliveries.failed("a", failed(None), Wallclock(101)).wait().unwrap();
        let dead = deliveries.list(Some(DeliveryState::Dead), Some("crm"), None, 10).unwrap().items;
        assert_eq!((dead.len(), dead[0].tries, dead[0].failure.as_deref()), (1, 2, Some("it answered 500")));
        assert_eq!(ids(&deliveries.due(Wallclock(101), 9).unwrap()), ["b"]);
        assert_eq!(deliveries.retry("a", Wallclock(102)).wait().unwrap(), Some(true));
        assert_eq!(deliveries.retry("a", Wallclock(102)).wait().unwrap(), Some(false));
        assert_eq!(deliveries.retry("z", Wallclock(102)).wait().unwrap(), None);
        assert_eq!(deliveries.due(Wallclock(102), 9).unwrap()[0].tries, 0);
        deliveries.forget("crm").wait().unwrap();
        assert_eq!(deliveries.counts().unwrap(), DeliveryCounts::default());
    }

    #[test]
    fn every_state_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let deliveries = store.deliveries();
        let many: Vec<Message> = (0..DELIVERIES_PER_URL_MAX + DELIVERIES_DEAD_MAX + 5)
            .map(|n| message(&n.to_string(), "http://one.example/"))
            .collect();
        for part in many.chunks(500) {
            assert!(deliveries.take(part.to_vec(), Wallclock(1)).wait().unwrap());
        }
        let counts = deliveries.counts().unwrap();
        assert_eq!(counts.waiting, u64::from(DELIVERIES_PER_URL_MAX));
        assert_eq!(counts.dead, u64::from(DELIVERIES_DEAD_MAX));
        let rest = (DELIVERIES_WAITING_MAX - counts.waiting) as usize + 1;
        let others = (0..rest).map(|n| message(&format!("o{n}"), &format!("http://{n}.example/"))).collect();
        assert!(!deliveries.take(others, Wallclock(1)).wait().unwrap(), "a full queue takes nothing");
    }
}
