//! Runs the bundle's own scenarios on a throw-away instance. A scenario that does not hold parks the build and is named.

use super::{Done, StageError, Works, check, fault};
use crate::apphost::scenario::{Failure, ScenarioError, run_bundle};
use crate::store::{Advance, Build};

pub(super) fn run(works: &Works, build: &Build) -> Result<Done, StageError> {
    let (_, dir) = works.bundle(build)?;
    let scratch = works.fleet.run_dir().map_err(|e| fault(e.to_string()))?;
    let report = match run_bundle(works.fleet.program(), &dir, &scratch) {
        Ok(report) => report,
        Err(ScenarioError::Bundle(e)) => return Err(check(format!("the generated app cannot be read: {e}"))),
        // A bundle that does not start may also be a machine that cannot start it: tried again, then parked.
        Err(e) => return Err(fault(e.to_string())),
    };
    if report.passed + report.failed.len() == 0 {
        return Err(check("the generated app has no tests, so I cannot say that it works"));
    }
    if !report.failed.is_empty() {
        return Err(check(failed(&report.failed)));
    }
    let say = format!("All {} of its tests hold.", report.passed);
    Ok(Done { advance: Advance::default(), say: Some(say) })
}

/// Names what failed; the first in full, the others by name.
fn failed(failures: &[Failure]) -> String {
    let Some((first, others)) = failures.split_first() else { return String::new() };
    let mut say = format!("The test \u{201c}{}\u{201d} failed: {}", first.name, first.said.trim_end_matches('.'));
    say.push('.');
    match others {
        [] => {}
        [one] => say.push_str(&format!(" So did \u{201c}{}\u{201d}.", one.name)),
        more => say.push_str(&format!(" So did {} others.", more.len())),
    }
    say.push_str(" Nothing was put on line.");
    say
}
