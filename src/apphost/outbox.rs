//! What an app tells others and what it counts. Purpose: messages to webhooks, kept until the daemon has taken them
//! over (this process may not connect), the secrets that they are signed with, and tallies of visits and calls per day.
//! Owner: the app process's only thread. Invariants: a message is written in the file before the answer leaves; at most
//! [`WAITING_MAX`] wait, the oldest go first; tallies lose at most the last few counts when the process is killed.

use super::database::{Database, DatabaseError, Row};
use super::door::now;
use rusqlite::OptionalExtension;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Messages that wait for delivery.
const WAITING_MAX: i64 = 10_000;
/// Messages handed out at once.
const BATCH: i64 = 100;
/// And their octets, but for the last one.
const BATCH_OCTETS: usize = 1 << 20;
/// Counts in memory before they are written.
const TALLIES_MAX: u64 = 50;
/// Names that are counted apart.
const NAMES_MAX: usize = 200;

/// Tells `event` about `row` to every webhook.
pub(super) fn tell(database: &Database, event: &str, row: &Row) -> Result<(), DatabaseError> {
    database.own(|c| {
        let mut statement = c.prepare_cached("SELECT url FROM _hooks")?;
        let hooks = statement.query_map([], |r| r.get(0))?.collect::<Result<Vec<String>, _>>()?;
        for url in hooks {
            let body = json!({ "event": event, "data": row }).to_string();
            // It is signed when it is sent: the signature carries the time.
            c.execute(
                "INSERT INTO _outbox (url, event, body, signature, due) VALUES (?1, ?2, ?3, '', ?4)",
                (url, event, body, now()),
            )?;
            c.execute("DELETE FROM _outbox WHERE id <= (SELECT max(id) FROM _outbox) - ?1", [WAITING_MAX])?;
        }
        Ok(())
    })
}

/// The oldest messages that wait, as the daemon fetches them; `at` tells one from another of the same number after older data
/// came back. Those whose webhook was removed are forgotten.
pub(super) fn waiting(database: &Database) -> Result<Value, DatabaseError> {
    database.own(|c| {
        c.prepare_cached("DELETE FROM _outbox WHERE url NOT IN (SELECT url FROM _hooks)")?.execute([])?;
        let mut statement = c.prepare_cached("SELECT id, due, url, event, body FROM _outbox ORDER BY id LIMIT ?1")?;
        let row = |row: &rusqlite::Row<'_>| {
            Ok(json!({ "id": row.get::<_, i64>(0)?, "at": row.get::<_, i64>(1)?, "url": row.get::<_, String>(2)?,
                "event": row.get::<_, String>(3)?, "body": row.get::<_, String>(4)? }))
        };
        let (mut messages, mut octets) = (Vec::new(), 0);
        for message in statement.query_map([BATCH], row)? {
            let message: Value = message?;
            octets += message["body"].as_str().map_or(0, str::len);
            messages.push(message);
            if octets > BATCH_OCTETS {
                break;
            }
        }
        Ok(json!({ "messages": messages }))
    })
}

/// The daemon has taken over everything up to the message `id`.
pub(super) fn taken(database: &Database, id: i64) -> Result<(), DatabaseError> {
    database.own(|c| c.execute("DELETE FROM _outbox WHERE id <= ?1", [id]).map(drop))
}

/// What messages to the webhook `url` are signed with; `None`: there is no such webhook any more.
pub(super) fn secret(database: &Database, url: &str) -> Result<Option<String>, DatabaseError> {
    let sql = "SELECT secret FROM _hooks WHERE url = ?1";
    database.own(|c| c.query_row(sql, [url], |row| row.get(0)).optional())
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
        let write = || {
            database.own(|c| {
                for ((kind, name), n) in &counts {
                    c.prepare_cached(
                        "INSERT INTO _tally (kind, name, day, n) VALUES (?1, ?2, date('now'), ?3)
                         ON CONFLICT DO UPDATE SET n = n + excluded.n",
                    )?
                    .execute((kind, name, i64::try_from(*n).unwrap_or(i64::MAX)))?;
                }
                c.prepare_cached("DELETE FROM _tally WHERE day < date('now', '-400 days')")?.execute([]).map(drop)
            })
        };
        let written = database.together(|| {
            let written = write();
            let kept = written.is_ok();
            (written, kept)
        });
        if let Err(e) = written.and_then(|written| written) {
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
