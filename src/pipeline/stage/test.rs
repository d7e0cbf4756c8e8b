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
        for failure in &report.failed {
            tracing::warn!(build = build.id, test = failure.name, said = failure.said, "a scenario does not hold");
        }
        return Err(check(failed(&report.failed)));
    }
    let say = format!("All {} of its tests hold.", report.passed);
    Ok(Done { advance: Advance::default(), say: Some(say) })
}

/// Names what failed, for the ear: the first with the step at which it failed, the others by name or number. What exactly was
/// expected and what came is in the log.
fn failed(failures: &[Failure]) -> String {
    let Some((first, others)) = failures.split_first() else { return String::new() };
    let step = first.said.split(": ").next().unwrap_or_default();
    let mut say = format!("The test \"{}\" failed at the step \"{step}\".", first.name);
    match others {
        [] => {}
        [one] => say += &format!(" So did \"{}\".", one.name),
        more => say += &format!(" So did {} others.", more.len()),
    }
    say + " Nothing was put on line."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_failed_test_is_named_without_jargon() {
        let failure = |name: &str, said: &str| Failure { name: name.into(), said: said.into() };
        let one = failure("a contact can be deleted", "it is gone: expected status 404, got 200: {\"id\":1}");
        assert_eq!(
            failed(std::slice::from_ref(&one)),
            "The test \"a contact can be deleted\" failed at the step \"it is gone\". Nothing was put on line."
        );
        let two = failure("deals are summed", "the board: expected 2");
        assert!(failed(&[one.clone(), two.clone()]).contains("So did \"deals are summed\"."));
        assert!(failed(&[one, two.clone(), two]).contains("So did 2 others."));
    }
}
