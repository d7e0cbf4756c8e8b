//! Wrong PINs, across calls. Purpose: who tries PINs out gets a few tries, however often the line is cut, whatever number is
//! shown and however many calls try at once, and a killed daemon forgets none. Invariants: [`TRIES`] wrong ones of one caller
//! within [`WINDOW`] close the PIN to that caller, [`TRIES_OF_ALL`] of all callers together close it to all; a right one clears its
//! caller's; withheld numbers are one caller; a wrong one counts from the moment that it is told, whether or not the disk takes
//! it; at most [`ROWS_MAX`] are kept. Deliberately absent: PINs (no part of one is here), who counts as the same caller.

use super::backlog::Worth;
use super::{Store, StoreError};
use crate::time::Wallclock;
use rusqlite::{Connection, params};
use std::collections::VecDeque;
use std::time::Duration;

/// Wrong PINs of one caller before the PIN is closed to it.
const TRIES: usize = 6;
/// Wrong PINs of all callers of one agent together before it is closed to all.
const TRIES_OF_ALL: usize = 30;
/// For how long a wrong PIN counts.
const WINDOW: Duration = Duration::from_secs(3600);
/// Wrong PINs that are kept; the oldest go first.
const ROWS_MAX: usize = 1000;

/// Every wrong PIN that counts, the oldest first: what is on the disk, and what is on its way there.
pub(super) struct WrongPins(VecDeque<WrongPin>);

struct WrongPin {
    agent: String,
    caller: String,
    /// Milliseconds of Unix time.
    tried: i64,
}

impl WrongPins {
    /// What an earlier daemon has written.
    pub(super) fn load(db: &Connection) -> Result<Self, StoreError> {
        let mut rows = db.prepare("SELECT agent, caller, tried FROM wrong_pins ORDER BY number")?;
        let found =
            rows.query_map([], |row| Ok(WrongPin { agent: row.get(0)?, caller: row.get(1)?, tried: row.get(2)? }))?;
        Ok(Self(found.collect::<Result<_, _>>()?))
    }

    fn handle(&mut self, agent: &str, caller: &str, right: bool, now: i64) {
        if right {
            self.0.retain(|one| one.agent != agent || one.caller != caller);
            return;
        }
        self.0.push_back(WrongPin { agent: agent.to_owned(), caller: caller.to_owned(), tried: now });
        self.0.retain(|one| one.tried >= since(now));
        while self.0.len() > ROWS_MAX {
            self.0.pop_front();
        }
    }
}

/// The wrong PINs of a [`Store`].
#[derive(Debug, Clone, Copy)]
pub struct Lockouts<'a>(pub(super) &'a Store);

impl Lockouts<'_> {
    /// A PIN was tried: it counts when this returns, and is on the disk as soon as that takes it. `caller`: empty where that
    /// is withheld.
    pub fn tried(&self, agent: &str, caller: &str, right: bool, now: Wallclock) {
        let (agent, caller, now) = (agent.to_owned(), caller.to_owned(), now.0.cast_signed());
        // Held until the write is queued, so that the disk hears of it in the same order.
        let mut known = self.0.wrong_pins();
        known.handle(&agent, &caller, right, now);
        self.0.insist("the trial of a PIN", Worth::Record, move |db| {
            if right {
                db.execute("DELETE FROM wrong_pins WHERE agent = ?1 AND caller = ?2", params![agent, caller])?;
                return Ok(());
            }
            db.execute("INSERT INTO wrong_pins(agent, caller, tried) VALUES(?1, ?2, ?3)", params![agent, caller, now])?;
            db.execute("DELETE FROM wrong_pins WHERE tried < ?1", [since(now)])?;
            db.execute(
                "DELETE FROM wrong_pins WHERE number <= (SELECT max(number) FROM wrong_pins) - ?1",
                [i64::try_from(ROWS_MAX).unwrap_or(i64::MAX)],
            )?;
            Ok(())
        });
    }

    /// Whether the PIN of `agent` is closed to `caller` now. `set`: when the PIN was set, which forgets what was before.
    #[must_use]
    pub fn is_locked(&self, agent: &str, caller: &str, set: Wallclock, now: Wallclock) -> bool {
        let from = since(now.0.cast_signed()).max(set.0.cast_signed());
        let known = self.0.wrong_pins();
        let counting = || known.0.iter().filter(|one| one.agent == agent && one.tried >= from);
        counting().count() >= TRIES_OF_ALL || counting().filter(|one| one.caller == caller).count() >= TRIES
    }
}

fn since(now: i64) -> i64 {
    now.saturating_sub(i64::try_from(WINDOW.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::OpenOptions;

    fn at(minutes: u64) -> Wallclock {
        Wallclock(1_700_000_000_000 + minutes * 60_000)
    }

    #[test]
    fn six_wrong_ones_close_it_for_an_hour_across_restarts_and_an_operator_opens_it() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        for n in 0..5 {
            store.lockouts().tried("grace", "493012345", false, at(n));
        }
        assert!(!store.lockouts().is_locked("grace", "493012345", at(0), at(5)));
        store.lockouts().tried("grace", "493012345", false, at(5));
        assert!(store.lockouts().is_locked("grace", "493012345", at(0), at(5)), "at once, on the disk or not");
        drop(store);
        let store = Store::open(directory.path()).unwrap();
        let locked = |caller: &str, now| store.lockouts().is_locked("grace", caller, at(0), now);
        assert!(locked("493012345", at(6)), "it is on disk");
        assert!(!locked("493099999", at(6)) && !store.lockouts().is_locked("max", "493012345", at(0), at(6)));
        assert!(locked("493012345", at(60)) && !locked("493012345", at(61)), "the first counts for an hour");
        assert!(!store.lockouts().is_locked("grace", "493012345", at(1), at(6)), "the PIN was set anew");
    }

    #[test]
    fn a_right_one_clears_its_callers_and_many_callers_together_are_locked_out() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        for _ in 0..5 {
            store.lockouts().tried("grace", "", false, at(0));
        }
        store.lockouts().tried("grace", "", true, at(1));
        store.lockouts().tried("grace", "", false, at(2));
        assert!(!store.lockouts().is_locked("grace", "", at(0), at(2)));
        for n in 0..29 {
            store.lockouts().tried("grace", &format!("caller{n}"), false, at(3));
        }
        assert!(store.lockouts().is_locked("grace", "who never called", at(0), at(4)));
        drop(store);
        let store = Store::open(directory.path()).unwrap();
        assert!(store.lockouts().is_locked("grace", "who never called", at(0), at(4)), "the disk has the same");
        assert!(!store.lockouts().is_locked("grace", "", at(3), at(4)), "cleared there too");
    }

    #[test]
    fn a_store_that_cannot_write_still_counts() {
        let directory = tempfile::tempdir().unwrap();
        drop(Store::open(directory.path()).unwrap());
        let full = OpenOptions { size_max: Some(4096), ..OpenOptions::default() };
        let store = Store::open_with(directory.path(), &full).unwrap();
        let big = "x".repeat(1 << 16);
        let fill = store.write(move |db| Ok(db.execute("INSERT INTO cursors(consumer, seq) VALUES(?1, 1)", [big])?));
        assert_eq!(fill.wait(), Err(StoreError::DiskFull));
        for n in 0..6 {
            assert!(!store.lockouts().is_locked("grace", "493012345", at(0), at(n)));
            store.lockouts().tried("grace", "493012345", false, at(n));
        }
        assert!(store.lockouts().is_locked("grace", "493012345", at(0), at(6)));
    }
}
