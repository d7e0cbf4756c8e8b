//! What has happened on this box, hour by hour: for dashboards, which are other programs. Invariants: sums only, so that no number,
//! word or name of a caller is among them; what an hour held stays so once it is over, but for what was late to be written; an
//! answer is bounded. Deliberately absent: who may know it (`pipeline::deploy`), what is charted of it (`pipeline::kernel`).

use super::{Store, StoreError};
use crate::limits::BOX_FIGURES_MAX;
use crate::time::Wallclock;
use rusqlite::{Connection, params};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// Category of the world's documents that say what became of an app's requests.
pub const OUTCOMES: &str = "execution_outcome";

const HOUR_MS: u64 = 3_600_000;

/// One sum of one hour.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct HourFigure {
    /// The hour's first moment.
    #[serde(serialize_with = "hour")]
    pub hour: Wallclock,
    /// What was counted.
    pub series: Series,
    /// Which of them: a class of ends, a stage, an app's name for paths; empty: all.
    pub name: String,
    /// How many.
    pub value: u64,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Series {
    /// Calls that ended in this hour, by class of end.
    Calls,
    /// Those of them that were answered.
    Answered,
    /// How long these lasted together, seconds.
    TalkSeconds,
    /// Builds that were `requested`, went `live` or were `parked`.
    Builds,
    /// Requests to an app, as last written down; who tells an app adds what came since.
    Requests,
    /// Those of them that it could not answer (5xx).
    Errors,
}

/// As SQLite's functions read and compare it: `2026-11-21 14:00`, UTC.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn hour<S: Serializer>(at: &Wallclock, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&at.to_string().get(..16).unwrap_or_default().replace('T', " "))
}

/// The hours of a [`Store`].
#[derive(Debug, Clone, Copy)]
pub struct Hours<'a>(pub(super) &'a Store);

impl Hours<'_> {
    /// The figures of the hours from that of `since` on, the earliest first; beyond `limits::BOX_FIGURES_MAX` the later ones are left
    /// out, to be asked for by a later `since`. What is zero is not there.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn since(&self, since: Wallclock) -> Result<Vec<HourFigure>, StoreError> {
        let since = Wallclock(since.0 - since.0 % HOUR_MS);
        self.0.read(|db| {
            let mut figures = Vec::new();
            calls(db, since, &mut figures)?;
            builds(db, since, &mut figures)?;
            outcomes(db, since, &mut figures)?;
            figures.retain(|figure: &HourFigure| figure.value > 0);
            figures.sort();
            figures.truncate(BOX_FIGURES_MAX);
            Ok(figures)
        })
    }
}

fn calls(db: &Connection, since: Wallclock, figures: &mut Vec<HourFigure>) -> Result<(), StoreError> {
    let sql =
        "SELECT ended / 3600000 * 3600000 AS hour, coalesce(ended_by, 'unknown') AS class, count(*), count(answered),
                 coalesce(sum(CASE WHEN answered IS NOT NULL THEN max(ended - answered, 0) END), 0) / 1000
               FROM calls WHERE ended IS NOT NULL AND ended >= ?1 GROUP BY hour, class";
    let mut rows = db.prepare_cached(sql)?;
    let mut rows = rows.query([since.0.cast_signed()])?;
    // By hour, the answered and how long they lasted.
    let mut sums: BTreeMap<i64, [i64; 2]> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let hour: i64 = row.get(0)?;
        figures.push(figure(hour, Series::Calls, row.get(1)?, row.get(2)?));
        for (sum, column) in sums.entry(hour).or_default().iter_mut().zip(3..) {
            *sum += row.get::<_, i64>(column)?;
        }
    }
    for (hour, [answered, seconds]) in sums {
        figures.push(figure(hour, Series::Answered, String::new(), answered));
        figures.push(figure(hour, Series::TalkSeconds, String::new(), seconds));
    }
    Ok(())
}

fn builds(db: &Connection, since: Wallclock, figures: &mut Vec<HourFigure>) -> Result<(), StoreError> {
    let sql = "SELECT at / 3600000 * 3600000 AS hour, what, count(*) FROM (
                 SELECT requested AS at, 'requested' AS what FROM builds
                 UNION ALL SELECT live, 'live' FROM builds WHERE live IS NOT NULL
                 UNION ALL SELECT updated, 'parked' FROM builds WHERE stage = 'parked')
               WHERE at >= ?1 GROUP BY hour, what";
    let mut rows = db.prepare_cached(sql)?;
    let mut rows = rows.query([since.0.cast_signed()])?;
    while let Some(row) = rows.next()? {
        figures.push(figure(row.get(0)?, Series::Builds, row.get(1)?, row.get(2)?));
    }
    Ok(())
}

/// The newest documents of each app, until they are too old: there are many, and they are large.
fn outcomes(db: &Connection, since: Wallclock, figures: &mut Vec<HourFigure>) -> Result<(), StoreError> {
    let mut apps = db.prepare_cached("SELECT slug FROM apps ORDER BY slug")?;
    let apps = apps.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    let sql = "SELECT time, document ->> '$.outcome.requests', document ->> '$.outcome.server_errors' FROM world
               WHERE category = ?1 AND key = ?2 ORDER BY version DESC";
    let mut rows = db.prepare_cached(sql)?;
    for app in apps {
        let mut sums: BTreeMap<i64, [i64; 2]> = BTreeMap::new();
        let mut rows = rows.query(params![OUTCOMES, app])?;
        while let Some(row) = rows.next()? {
            let at: i64 = row.get(0)?;
            if at < since.0.cast_signed() {
                break;
            }
            let sum = sums.entry(at - at.rem_euclid(HOUR_MS.cast_signed())).or_default();
            for (sum, column) in sum.iter_mut().zip(1..) {
                *sum = sum.saturating_add(row.get::<_, Option<i64>>(column)?.unwrap_or(0));
            }
        }
        for (hour, [requests, errors]) in sums {
            figures.push(figure(hour, Series::Requests, app.clone(), requests));
            figures.push(figure(hour, Series::Errors, app.clone(), errors));
        }
    }
    Ok(())
}

fn figure(hour: i64, series: Series, name: String, value: i64) -> HourFigure {
    HourFigure { hour: Wallclock(hour.unsigned_abs()), series, name, value: value.unsigned_abs() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{CallRecord, Direction};
    use serde_json::json;

    /// 2026-11-21T14:00:00Z.
    const TWO: u64 = 1_795_269_600_000;

    fn call(id: &str, started: u64, seconds: Option<u64>, class: &str) -> CallRecord {
        CallRecord {
            caller: "sip:+441632960123@example.org".into(),
            callee: "200".into(),
            answered: seconds.map(|_| Wallclock(started)),
            ended: Some(Wallclock(started + seconds.unwrap_or(5) * 1_000)),
            ended_by: Some(class.into()),
            reason: Some("said by 441632960123".into()),
            ..CallRecord::begun(id, Direction::Inbound, Wallclock(started))
        }
    }

    #[tokio::test]
    async fn calls_are_summed_by_the_hour_in_which_they_ended_and_nobody_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        for call in [
            call("call_1", TWO + 60_000, Some(90), "caller_hung_up"),
            call("call_2", TWO + 120_000, Some(30), "caller_hung_up"),
            call("call_3", TWO + 180_000, None, "cancelled"),
            // Begun before the hour, ended in it; the next in the hour after.
            call("call_4", TWO - 10_000, Some(20), "agent_hung_up"),
            call("call_5", TWO + 3_599_000, Some(61), "agent_hung_up"),
            call("call_6", TWO - 7_200_000, Some(10), "agent_hung_up"),
            CallRecord::begun("call_7", Direction::Inbound, Wallclock(TWO)),
        ] {
            store.calls().record(call).await.unwrap();
        }
        let figures = store.hours().since(Wallclock(TWO + 1_234)).unwrap();
        let seen = serde_json::to_value(&figures).unwrap();
        let row = |hour: &str, series: &str, name: &str, value: u64| json!({"hour": hour, "series": series, "name": name, "value": value});
        let (two, three) = ("2026-11-21 14:00", "2026-11-21 15:00");
        assert_eq!(
            seen,
            json!([
                row(two, "calls", "agent_hung_up", 1),
                row(two, "calls", "caller_hung_up", 2),
                row(two, "calls", "cancelled", 1),
                row(two, "answered", "", 3),
                row(two, "talk_seconds", "", 140),
                row(three, "calls", "agent_hung_up", 1),
                row(three, "answered", "", 1),
                row(three, "talk_seconds", "", 61),
            ])
        );
        assert!(!seen.to_string().contains("1632960123"));
        assert_eq!(store.hours().since(Wallclock(TWO + 7_200_000)).unwrap(), []);
    }

    #[tokio::test]
    async fn what_became_of_requests_is_summed_by_app_from_the_newest_documents() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let insert = "INSERT INTO manifests(id, document, created) VALUES('m', '{}', 0);
            INSERT INTO builds(id, manifest_id, conversation_id, title, slug, stage, requested, live, updated)
              VALUES('b', 'm', 'c', 'CRM', 'crm', 'tracked', 1795269600000, 1795273200000, 1795273200000);
            INSERT INTO apps(slug, title, build_type, build_id, version, revision, bundle, data, port, url, state, deployed)
              VALUES('crm', 'CRM', 'build_crm', 'b', 1, 'r', '', '', 1, '', 'live', 0)";
        store.write(move |db| Ok(db.execute_batch(insert)?)).await.unwrap();
        for (minute, requests, errors) in [(0, 100, 7), (61, 5, 0), (75, 6, 1), (90, 0, 0), (125, 2, 0)] {
            let document = json!({"outcome": {"requests": requests, "server_errors": errors, "octets": minute}});
            store.world().put(OUTCOMES, "crm", document, Wallclock(TWO + minute * 60_000)).await.unwrap();
        }
        let seen: Vec<_> = store.hours().since(Wallclock(TWO + 3_600_000)).unwrap();
        let seen: Vec<_> =
            seen.iter().map(|f| ((f.hour.0 - TWO) / HOUR_MS, f.series, f.name.as_str(), f.value)).collect();
        assert_eq!(
            seen,
            [
                (1, Series::Builds, "live", 1),
                (1, Series::Requests, "crm", 11),
                (1, Series::Errors, "crm", 1),
                (2, Series::Requests, "crm", 2),
            ]
        );
    }
}
