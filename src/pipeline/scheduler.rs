//! Which job a build needs next. Purpose: the build's stage machine as one table. Pure: state in, job out; no clock, store
//! or thread. Invariant: every stage leads on to exactly one job or is an end; a failed check parks, a fault of the box is
//! tried again a bounded number of times. Deliberately absent: doing the jobs (`stage`), waiting (`queue`, `pool`).

use crate::conversation::BuildStage;
use crate::limits::BUILD_STAGE_ATTEMPTS_MAX;
use crate::time::Wallclock;
use std::time::Duration;

/// One blocking piece of work on a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Job {
    /// See that the manifest is complete and approved.
    Approve,
    /// Manifest to typed spec.
    Specify,
    /// Spec to task graph.
    Plan,
    /// Tasks to files in the app's repository.
    Generate,
    /// Run the bundle's own scenarios on a throw-away instance.
    Test,
    /// Run the bundle beside and look at it.
    Stage,
    /// Serve it.
    Release,
    /// See that its traffic is measured, and note the deployment.
    Track,
}

/// The stage machine: what is complete, what comes next, what is complete after it.
const TABLE: [(BuildStage, Job, BuildStage); 8] = [
    (BuildStage::Requested, Job::Approve, BuildStage::Approved),
    (BuildStage::Approved, Job::Specify, BuildStage::Specified),
    (BuildStage::Specified, Job::Plan, BuildStage::Planned),
    (BuildStage::Planned, Job::Generate, BuildStage::Generated),
    (BuildStage::Generated, Job::Test, BuildStage::Tested),
    (BuildStage::Tested, Job::Stage, BuildStage::Staged),
    (BuildStage::Staged, Job::Release, BuildStage::Live),
    (BuildStage::Live, Job::Track, BuildStage::Tracked),
];

/// The job after `stage` and the stage that it leads to; None at an end.
#[must_use]
pub fn next(stage: BuildStage) -> Option<(Job, BuildStage)> {
    TABLE.iter().find(|(from, _, _)| *from == stage).map(|(_, job, to)| (*job, *to))
}

/// Why a job did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StageError {
    /// A check did not hold; trying again changes nothing. `say` names it in spoken words.
    #[error("{say}")]
    Check {
        /// For the caller.
        say: String,
    },
    /// The box could not do it now (disk, process, lock).
    #[error("{what}")]
    Fault {
        /// For the operator's log.
        what: String,
    },
    /// The daemon stops; nothing came of it, and nothing is wrong with it.
    #[error("the daemon stops")]
    Stopped,
    /// It waits for an answer; there is a default for when none comes.
    #[error("it waits for an answer")]
    Waits {
        /// So long.
        until: Wallclock,
    },
}

/// What follows a failed job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AfterFailure {
    /// The same job again.
    Retry {
        /// After this long.
        after: Duration,
    },
    /// The same job again when there is an answer, or none has come.
    Wait {
        /// So long.
        until: Wallclock,
    },
    /// The same job again when the daemon is back; this was no try.
    GiveBack,
    /// The build is parked; a person has to look.
    Park {
        /// Why, in spoken words.
        say: String,
    },
}

/// What follows when `job` failed for the `attempt`-th time (counted from 1).
#[must_use]
pub fn after_failure(job: Job, attempt: u32, error: &StageError) -> AfterFailure {
    match error {
        StageError::Check { say } => AfterFailure::Park { say: say.clone() },
        StageError::Waits { until } => AfterFailure::Wait { until: *until },
        StageError::Stopped => AfterFailure::GiveBack,
        StageError::Fault { .. } if attempt < BUILD_STAGE_ATTEMPTS_MAX => {
            AfterFailure::Retry { after: Duration::from_millis(250) * 4_u32.pow(attempt.saturating_sub(1)) }
        }
        StageError::Fault { .. } => AfterFailure::Park {
            say: format!(
                "I tried {attempt} times, but {}. The people who look after this system must help.",
                words(job)
            ),
        },
    }
}

/// What could not be done, for the ear.
const fn words(job: Job) -> &'static str {
    match job {
        Job::Approve => "I could not read the request back from disk",
        Job::Specify | Job::Plan => "I could not write the plan down",
        Job::Generate => "I could not write the files",
        Job::Test => "I could not run the tests",
        Job::Stage => "the app did not start",
        Job::Release => "I could not put the app on line",
        Job::Track => "the app does not answer on its address",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_leads_from_requested_to_tracked_through_every_stage_once() {
        let mut stage = BuildStage::Requested;
        let mut seen = vec![stage];
        while let Some((_, to)) = next(stage) {
            assert!(to > stage, "{to:?} after {stage:?}");
            stage = to;
            seen.push(stage);
        }
        assert_eq!(stage, BuildStage::Tracked);
        assert_eq!(seen.len(), TABLE.len() + 1);
        for end in [BuildStage::Tracked, BuildStage::Parked, BuildStage::Failed] {
            assert_eq!(next(end), None);
        }
    }

    #[test]
    fn a_failed_check_parks_at_once_and_a_fault_after_bounded_tries() {
        let check = StageError::Check { say: "the test \"add a contact\" failed".into() };
        assert_eq!(
            after_failure(Job::Test, 1, &check),
            AfterFailure::Park { say: "the test \"add a contact\" failed".into() }
        );
        let fault = StageError::Fault { what: "fork: out of memory".into() };
        let waits: Vec<_> = (1..BUILD_STAGE_ATTEMPTS_MAX).map(|n| after_failure(Job::Stage, n, &fault)).collect();
        assert_eq!(
            waits,
            [
                AfterFailure::Retry { after: Duration::from_millis(250) },
                AfterFailure::Retry { after: Duration::from_secs(1) }
            ]
        );
        let until = Wallclock(7);
        let waits = after_failure(Job::Generate, BUILD_STAGE_ATTEMPTS_MAX, &StageError::Waits { until });
        assert_eq!(waits, AfterFailure::Wait { until }, "a question is no failure");
        let stopped = after_failure(Job::Generate, BUILD_STAGE_ATTEMPTS_MAX, &StageError::Stopped);
        assert_eq!(stopped, AfterFailure::GiveBack, "nor is a restart");
        let AfterFailure::Park { say } = after_failure(Job::Stage, BUILD_STAGE_ATTEMPTS_MAX, &fault) else {
            panic!("still trying")
        };
        assert!(say.contains("the app did not start") && !say.contains("fork"), "{say}");
    }
}
