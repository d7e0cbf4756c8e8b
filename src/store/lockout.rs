//! Wrong PINs, across calls. Purpose: who tries PINs out gets a few tries, however often the line is cut and whatever number is
//! shown, and a killed daemon forgets none. Invariants: [`TRIES`] wrong ones of one caller within [`WINDOW`] close the PIN to that
//! caller, [`TRIES_OF_ALL`] of all callers together close it to all; a right one clears its caller's; withheld numbers are one
//! caller; at most [`ROWS_MAX`] rows. Deliberately absent: PINs (no part of one is here), who counts as the same caller.

use super::{Commit, Store, StoreError};
use crate::time::Wallclock;
use rusqlite::params;
use std::time::Duration;

/// Wrong PINs of one caller before the PIN is closed to it.
const TRIES: u32 = 6;
/// Wrong PINs of all callers of one agent together before it is closed to all.
const TRIES_OF_ALL: u32 = 30;
/// For how long a wrong PIN counts.
const WINDOW: Duration = Duration::from_secs(3600);
/// Rows that are kept; the oldest go first.
const ROWS_MAX: u32 = 1000;

/// The wrong PINs of a [`Store`].
#[derive(Debug, Clone, Copy)]
pub struct Lockouts<'a>(pub(super) &'a Store);

impl Lockouts<'_> {
    /// A PIN was tried. `caller`: empty where that is withheld.
    #[must_use = "what is not awaited may not be on disk"]
    pub fn tried(&self, agent: &str, caller: &str, right: bool, now: Wallclock) -> Commit<()> {
        let (agent, caller, now) = (agent.to_owned(), caller.to_owned(), now.0.cast_signed());
        self.0.write(move |db| {
            if right {
                db.execute("DELETE FROM wrong_pins WHERE agent = ?1 AND caller = ?2", params![agent, caller])?;
                return Ok(());
            }
            db.execute("INSERT INTO wrong_pins(agent, caller, tried) VALUES(?1, ?2, ?3)", params![agent, caller, now])?;
            db.execute("DELETE FROM wrong_pins WHERE tried < ?1", [since(now)])?;
            db.execute(
                "DELETE FROM wrong_pins WHERE number <= (SELECT max(number) FROM wrong_pins) - ?1",
                [i64::from(ROWS_MAX)],
            )?;
            Ok(())
        })
    }

    /// Whether the PIN of `agent` is closed to `caller` now. `set`: when the PIN was set, which forgets what was before.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn is_locked(&self, agent: &str, caller: &str, set: Wallclock, now: Wallclock) -> Result<bool, StoreError> {
        self.0.read(|db| {
            let (own, all): (u32, u32) = db.query_row(
                "SELECT count(*) FILTER (WHERE caller = ?2), count(*) FROM wrong_pins WHERE agent = ?1 AND tried >= ?3",
                params![agent, caller, since(now.0.cast_signed()).max(set.0.cast_signed())],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            Ok(own >= TRIES || all >= TRIES_OF_ALL)
        })
    }
}

fn since(now: i64) -> i64 {
    now.saturating_sub(i64::try_from(WINDOW.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: u64) -> Wallclock {
        Wallclock(1_700_000_000_000 + minutes * 60_000)
    }

    #[tokio::test]
    async fn six_wrong_ones_close_it_for_an_hour_across_restarts_and_an_operator_opens_it() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        for n in 0..5 {
            store.lockouts().tried("grace", "493012345", false, at(n)).await.unwrap();
        }
        assert!(!store.lockouts().is_locked("grace", "493012345", at(0), at(5)).unwrap());
        store.lockouts().tried("grace", "493012345", false, at(5)).await.unwrap();
        drop(store);
        let store = Store::open(directory.path()).unwrap();
        let locked = |caller: &str, now| store.lockouts().is_locked("grace", caller, at(0), now).unwrap();
        assert!(locked("493012345", at(6)), "it is on disk");
        assert!(!locked("493099999", at(6)) && !store.lockouts().is_locked("max", "493012345", at(0), at(6)).unwrap());
        assert!(locked("493012345", at(60)) && !locked("493012345", at(61)), "the first counts for an hour");
        assert!(!store.lockouts().is_locked("grace", "493012345", at(1), at(6)).unwrap(), "the PIN was set anew");
    }

    #[tokio::test]
    async fn a_right_one_clears_its_callers_and_many_callers_together_are_locked_out() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        for _ in 0..5 {
            store.lockouts().tried("grace", "", false, at(0)).await.unwrap();
        }
        store.lockouts().tried("grace", "", true, at(1)).await.unwrap();
        store.lockouts().tried("grace", "", false, at(2)).await.unwrap();
        assert!(!store.lockouts().is_locked("grace", "", at(0), at(2)).unwrap());
        for n in 0..29 {
            store.lockouts().tried("grace", &format!("caller{n}"), false, at(3)).await.unwrap();
        }
        assert!(store.lockouts().is_locked("grace", "who never called", at(0), at(4)).unwrap());
    }
}
