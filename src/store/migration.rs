//! Brings a database forward to the schema of this program. Purpose: numbered steps, each applied once, in order, in one
//! transaction with its number (`user_version`). Invariant: a released step is never edited. Deliberately absent: steps back
//! (restore the backup instead).

use super::StoreError;
use rusqlite::Connection;

/// All steps; step N (counted from 1) leads from version N-1 to N.
const STEPS: [&str; 19] = [
    include_str!("migrations/0001_events.sql"),
    include_str!("migrations/0002_calls.sql"),
    include_str!("migrations/0003_conversations.sql"),
    include_str!("migrations/0004_builds.sql"),
    include_str!("migrations/0005_apps.sql"),
    include_str!("migrations/0006_world.sql"),
    include_str!("migrations/0007_recordings.sql"),
    include_str!("migrations/0008_kept.sql"),
    include_str!("migrations/0009_call_details.sql"),
    include_str!("migrations/0010_bindings.sql"),
    include_str!("migrations/0011_versions.sql"),
    include_str!("migrations/0012_deliveries.sql"),
    include_str!("migrations/0013_wrong_pins.sql"),
    include_str!("migrations/0014_ways_back.sql"),
    include_str!("migrations/0015_return_calls.sql"),
    include_str!("migrations/0016_retention.sql"),
    include_str!("migrations/0017_questions.sql"),
    include_str!("migrations/0018_question_calls.sql"),
    include_str!("migrations/0019_memory.sql"),
];

/// Applies every step that `db` lacks.
pub(super) fn forward(db: &mut Connection) -> Result<(), StoreError> {
    forward_to(db, STEPS.len())
}

fn forward_to(db: &mut Connection, target: usize) -> Result<(), StoreError> {
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    let found: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > known {
        return Err(StoreError::TooNew { found, known });
    }
    let found = usize::try_from(found).map_err(|_| StoreError::Corrupt(format!("user_version {found}")))?;
    for (step, sql) in STEPS.iter().enumerate().take(target).skip(found) {
        let transaction = db.transaction()?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", i64::try_from(step + 1).unwrap_or(i64::MAX))?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(db: &Connection) -> Vec<String> {
        let mut rows = db.prepare("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").unwrap();
        rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn every_older_version_reaches_the_same_schema_and_keeps_its_rows() {
        let mut fresh = Connection::open_in_memory().unwrap();
        forward(&mut fresh).unwrap();
        for older in 0..=STEPS.len() {
            let mut db = Connection::open_in_memory().unwrap();
            forward_to(&mut db, older).unwrap();
            if older >= 1 {
                db.execute("INSERT INTO events(id, type, time, subject, data) VALUES('e', 't', 1, 's', '{}')", [])
                    .unwrap();
            }
            forward(&mut db).unwrap();
            assert_eq!(schema(&db), schema(&fresh), "from version {older}");
            let kept: i64 = db.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).unwrap();
            assert_eq!(kept, i64::from(older >= 1), "from version {older}");
            forward(&mut db).unwrap();
        }
    }

    #[test]
    fn builds_and_apps_live_through_the_step_that_makes_their_tables_anew() {
        let mut db = Connection::open_in_memory().unwrap();
        db.pragma_update(None, "foreign_keys", true).unwrap();
        forward_to(&mut db, 10).unwrap();
        db.execute_batch(
            "INSERT INTO manifests(id, document, created) VALUES('m', '{}', 1);
             INSERT INTO builds(number, id, manifest_id, conversation_id, title, slug, stage, requested, updated)
               VALUES(7, 'b', 'm', 'c', 'CRM', 'crm', 'tracked', 1, 1);
             INSERT INTO apps VALUES('crm', 'CRM', 'build_crm', 'b', 1, 'r', 'x', 'y', 8100, 'u', 'live', 5);",
        )
        .unwrap();
        forward(&mut db).unwrap();
        let kept: (i64, String, i64) = db
            .query_row("SELECT number, revision, port FROM apps JOIN builds ON build_id = id", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .unwrap();
        assert_eq!(kept, (7, "r".to_owned(), 8100));
        let version: i64 = db.query_row("SELECT version FROM app_versions", [], |row| row.get(0)).unwrap();
        assert_eq!(version, 1);
        // Numbers that were said on the phone are not given out again.
        db.execute_batch(
            "INSERT INTO manifests(id, document, created) VALUES('n', '{}', 1);
             INSERT INTO builds(id, manifest_id, conversation_id, title, slug, stage, requested, updated)
               VALUES('c', 'n', 'c', 'CRM', 'crm', 'requested', 1, 1);",
        )
        .unwrap();
        assert_eq!(db.query_row("SELECT max(number) FROM builds", [], |row| row.get::<_, i64>(0)).unwrap(), 8);
        assert!(db.execute("DELETE FROM builds WHERE id = 'b'", []).is_err(), "apps still refer to their builds");
    }

    #[test]
    fn a_newer_database_is_refused() {
        let mut db = Connection::open_in_memory().unwrap();
        db.pragma_update(None, "user_version", 99).unwrap();
        assert_eq!(forward(&mut db), Err(StoreError::TooNew { found: 99, known: STEPS.len() as i64 }));
    }
}
