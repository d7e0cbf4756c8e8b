//! What happens to files that are not being written. Purpose: bring finished ones to the disk, mend what an earlier
//! process left, delete what is too old. Owning thread: `recordings`; it may wait for the disk as long as it likes, which
//! the recorder may not. Invariant: a call's recording is reported as ended after its name is final.
//! Deliberately absent: writing audio.

use super::disk::{Part, Place, Repair};
use super::{Ended, Outcome, Report, Reports};
use crate::os::{batch, clock};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// Old files are looked for this often.
const PURGE_EVERY: Duration = Duration::from_secs(3600);

/// A finished file.
pub(super) struct Finished {
    /// `None`: nothing was heard, so no file was made.
    pub(super) part: Option<Part>,
    pub(super) ended: Ended,
}

pub(super) struct Keeper {
    pub(super) place: Place,
    pub(super) keep: Duration,
    pub(super) leftovers: Vec<String>,
    pub(super) finished: Receiver<Finished>,
    pub(super) reports: Reports,
}

impl Keeper {
    /// Runs until the recorder is gone and its last file is kept.
    pub(super) fn run(mut self) {
        // Refused on no kernel that we know; it would only be less considerate.
        let _ = batch::step_back(10);
        for name in std::mem::take(&mut self.leftovers) {
            self.mend(name);
        }
        self.purge();
        let mut purged = clock::monotonic();
        loop {
            let left = PURGE_EVERY.saturating_sub(clock::monotonic().since(purged));
            match self.finished.recv_timeout(left) {
                Ok(finished) => self.keep(finished),
                Err(RecvTimeoutError::Timeout) => {
                    self.purge();
                    purged = clock::monotonic();
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn mend(&self, name: String) {
        (self.reports)(match self.place.repair(&name) {
            Ok(Repair::Plays { samples, octets }) => Report::Recovered { name, samples, octets },
            Ok(Repair::Empty) => Report::Purged { name },
            Ok(Repair::Foreign) => Report::Failed { what: format!("{name}.part is no recording of ours; left alone") },
            Err(error) => Report::Failed { what: format!("{name}.part cannot be mended: {error}") },
        });
    }

    fn purge(&self) {
        let (gone, failed) = self.place.purge(self.keep, clock::wall());
        for name in gone {
            (self.reports)(Report::Purged { name });
        }
        if let Some(error) = failed {
            (self.reports)(Report::Failed { what: format!("an old recording cannot be deleted: {error}") });
        }
    }

    /// Brings a finished file to the disk and gives it its name.
    pub(super) fn keep(&self, finished: Finished) {
        let Finished { part, mut ended } = finished;
        if let Some(part) = part {
            let mut kept = || {
                if matches!(ended.outcome, Outcome::Stopped(_)) {
                    match part.repair()? {
                        Repair::Plays { samples, .. } => ended.samples = samples,
                        Repair::Empty => {
                            ended.samples = 0;
                            return part.remove();
                        }
                        Repair::Foreign => {}
                    }
                }
                part.sync()?;
                part.finish()?;
                part.sync_name()
            };
            if let Err(error) = kept() {
                (self.reports)(Report::Failed { what: format!("{} is not safe on the disk: {error}", ended.name) });
            }
            ended.octets = part.length();
        }
        (self.reports)(Report::Ended(ended));
    }
}
