//! What an app tells others and what it counts. Purpose: signed messages to webhooks, kept until the daemon has delivered
//! them (this process may not connect), and tallies of visits and calls per day.
//! Owner: the app process's only thread. Invariants: a message is written in the file before the answer leaves; at most
//! [`WAITING_MAX`] wait, the oldest go first; tallies lose at most the last few counts when the process is killed.

use super::database::{Database, DatabaseError, Row};
use super::door::{now, sign};
use rusqlite::OptionalExtension;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Messages that wait for delivery.
const WAITING_MAX: i64 = 10_000;
/// Messages handed out at once.
const BATCH: i64 = 20;
/// Tries before a message is given up.
const TRIES_MAX: i64 = 8;
/// Counts in memory before they are written.
const TALLIES_MAX: u64 = 50;
/// Names that are counted apart.
const NAMES_MAX: usize = 200;

/// Tells `event` about `row` to every webhook.
pub(super) fn tell(database: &Database, event: &str, row: &Row) -> Result<(), DatabaseError> {
    database.own(|c| {
        let hooks: Vec<(String, String)> = c
            .prepare_cached("SELECT url, secret FROM _hooks")?
            .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?
            .collect::<Result<_, _>>()?;
        for (url, secret) in hooks {
            let body = json!({ "event": event, "data": row }).to_string();
            let signature = sign(&secret, now(), body.as_bytes());
            c.execute(
                "INSERT INTO _outbox (url, event, body, signature, due) VALUES (?1, ?2, ?3, ?4, ?5)",
                (url, event, body, signature, now()),
            )?;
            c.execute("DELETE FROM _outbox WHERE id <= (SELECT max(id) FROM _outbox) - ?1", [WAITING_MAX])?;
        }
        Ok(())
    })
}

/// Messages that are due, as the daemon fetches them. A message's signature is made anew, since it carries the time.
pub(super) fn due(database: &Database) -> Result<Value, DatabaseError> {
    database.own(|c| {
        let sql = "SELECT o.id, o.url, o.event, o.body, h.secret FROM _outbox o LEFT JOIN _hooks h ON h.url = o.url
                   WHERE o.due <= ?1 ORDER BY o.id LIMIT ?2";
        let mut statement = c.prepare_cached(sql)?;
        let mut rows = statement.query([now(), BATCH])?;
        let (mut out, mut orphans) = (Vec::new(), Vec::new());
        while let Some(row) = rows.next()? {
            let (id, body): (i64, String) = (row.get(0)?, row.get(3)?);
            match row.get::<_, Option<String>>(4)? {
                Some(secret) => out.push(json!({ "id": id, "url": row.get::<_, String>(1)?,
                    "event": row.get::<_, String>(2)?, "signature": sign(&secret, now(), body.as_bytes()), "body": body })),
                // Its webhook was removed.
                None => orphans.push(id),
            }
        }
        for id in orphans {
            c.execute("DELETE FROM _outbox WHERE id = ?1", [id])?;
        }
        Ok(json!({ "messages": out }))
    })
}

/// A message was delivered, or is tried again later and later.
pub(super) fn settle(database: &Database, id: i64, delivered: bool) -> Result<(), DatabaseError> {
    database.own(|c| {
        let tries: Option<i64> =
            c.query_row("SELECT tries FROM _outbox WHERE id = ?1", [id], |r| r.get(0)).optional()?;
        match tries {
            Some(n) if delivered || n + 1 >= TRIES_MAX => c.execute("DELETE FROM _outbox WHERE id = ?1", [id])?,
            Some(n) => c.execute(
                "UPDATE _outbox SET tries = ?2, due = ?3 WHERE id = ?1",
                (id, n + 1, now() + (10 << n.min(10))),
            )?,
            None => 0,
        };
        Ok(())
    })
}

/// Counts in memory on their way to the file.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    counts: BTreeMap<(&'static str, String), u64>,
    since: u64,
}

impl Tallies {
    pub(super) fn count(&mut self, database: &Database, kind: &'static str, name: &str) {
        if self.counts.len() < NAMES_MAX || self.counts.contains_key(&(kind, name.to_owned())) {
            *self.counts.entry((kind, name.to_owned())).or_default() += 1;
        }
        self.since += 1;
        if self.since >= TALLIES_MAX {
            self.settle(database);
        }
    }

    pub(super) fn settle(&mut self, database: &Database) {
        let counts = std::mem::take(&mut self.counts);
        self.since = 0;
        if counts.is_empty() {
            return;
        }
        let written = database.own(|c| {
            c.execute_batch("BEGIN IMMEDIATE")?;
            for ((kind, name), n) in &counts {
                c.execute(
                    "INSERT INTO _tally (kind, name, day, n) VALUES (?1, ?2, date('now'), ?3)
                     ON CONFLICT DO UPDATE SET n = n + excluded.n",
                    (kind, name, i64::try_from(*n).unwrap_or(i64::MAX)),
                )?;
            }
            c.execute("DELETE FROM _tally WHERE day < date('now', '-400 days')", [])?;
            c.execute_batch("COMMIT")
        });
        if let Err(e) = written {
            _ = database.own(|c| c.execute_batch("ROLLBACK"));
            super::log(&format!("counts are lost: {e}"));
        }
    }
}

/// What was counted, for the daemon's report: `visits_today`, `visits_week`, `calls_today`, `keys`, `accounts`.
pub(super) fn figures(database: &Database) -> Result<BTreeMap<String, i64>, DatabaseError> {
    database.own(|c| {
        let one = |sql: &str| c.query_row(sql, [], |r| r.get::<_, i64>(0));
        let sum = |kind: &str, from: &str| {
            one(&format!(
                "SELECT coalesce(sum(n), 0) FROM _tally WHERE kind = '{kind}' AND day >= date('now', '{from}')"
            ))
        };
        Ok(BTreeMap::from([
            ("visits_today".to_owned(), sum("visit", "-0 days")?),
            ("visits_week".to_owned(), sum("visit", "-6 days")?),
            ("calls_today".to_owned(), sum("call", "-0 days")?),
            ("refused_today".to_owned(), sum("refused", "-0 days")?),
            ("keys".to_owned(), one("SELECT count(*) FROM _keys")?),
            ("accounts".to_owned(), one("SELECT count(*) FROM _accounts")?),
        ]))
    })
}

/// Visits per day of the last `days` days, oldest first, for charts.
pub(super) fn visits(database: &Database, days: i64) -> Result<Vec<Row>, DatabaseError> {
    database.own(|c| {
        let sql = "WITH RECURSIVE d (day, left) AS (SELECT date('now', '-' || ?1 || ' days'), ?1 UNION ALL
                   SELECT date(day, '+1 day'), left - 1 FROM d WHERE left > 0)
                   SELECT d.day, coalesce((SELECT sum(n) FROM _tally t WHERE t.kind = 'visit' AND t.day = d.day), 0) FROM d";
        let mut statement = c.prepare_cached(sql)?;
        let row = |r: &rusqlite::Row<'_>| Ok((r.get::<_, String>(0)?, r.get::<_, i64>(1)?));
        let rows = statement.query_map([days - 1], row)?.collect::<Result<Vec<_>, _>>()?;
        Ok(rows.into_iter().map(|(d, n)| Row::from_iter([("label".into(), d.into()), ("value".into(), n.into())])).collect())
    })
}
