//! Spec to task graph: what has to be done, in which order, by which kernel.

use super::{Done, StageError, Works, check, fault};
use crate::pipeline::kernel::Capability;
use crate::pipeline::spec::Spec;
use crate::store::{Advance, Build};
use serde::{Deserialize, Serialize};

/// One task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Task {
    /// What it needs.
    pub(super) capability: Capability,
    /// Who does it.
    pub(super) kernel: String,
    /// What must be there before.
    pub(super) after: Vec<Capability>,
}

pub(super) fn run(works: &Works, build: &Build) -> Result<Done, StageError> {
    let spec = works.spec(build)?;
    let mut tasks = Vec::new();
    for (capability, after) in needs(&spec) {
        let kernel = works.kernels.iter().find(|kernel| kernel.can(spec.build_type, capability)).ok_or_else(|| {
            check(format!("nothing on this system can make the {} of such an app", words(capability)))
        })?;
        tasks.push(Task { capability, kernel: kernel.name().to_owned(), after });
    }
    let plan = serde_json::to_value(tasks).map_err(|e| fault(e.to_string()))?;
    Ok(Done { advance: Advance { plan: Some(plan), ..Advance::default() }, say: None })
}

/// The capabilities that a spec needs, each with what must come before it.
fn needs(spec: &Spec) -> Vec<(Capability, Vec<Capability>)> {
    let mut needs = Vec::new();
    if !spec.entities.is_empty() {
        needs.push((Capability::Database, vec![]));
        needs.push((Capability::Coding, vec![Capability::Database]));
    }
    let data: Vec<Capability> = needs.iter().map(|(capability, _)| *capability).collect();
    if !spec.api.is_empty() {
        needs.push((Capability::Api, data.clone()));
    }
    if !spec.pages.is_empty() {
        needs.push((Capability::Frontend, data));
    }
    needs.push((Capability::Testing, needs.iter().map(|(capability, _)| *capability).collect()));
    needs
}

/// The tasks as kernels are given them, in order: each gets in one go whatever of its own may begin. Empty: they wait for each other.
pub(super) fn goes(tasks: &[Task]) -> Vec<(&str, Vec<Capability>)> {
    let mut goes: Vec<(&str, Vec<Capability>)> = Vec::new();
    let (mut open, mut done): (Vec<&Task>, Vec<Capability>) = (tasks.iter().collect(), Vec::new());
    let there = |task: &Task, done: &[Capability]| task.after.iter().all(|capability| done.contains(capability));
    while !open.is_empty() {
        let Some(first) = open.iter().find(|task| there(task, &done)) else { return Vec::new() };
        let (kernel, mut go) = (first.kernel.as_str(), Vec::new());
        while let Some(at) = open.iter().position(|task| task.kernel == kernel && there(task, &done)) {
            let task = open.remove(at);
            done.push(task.capability);
            go.push(task.capability);
        }
        goes.push((kernel, go));
    }
    goes
}

const fn words(capability: Capability) -> &'static str {
    match capability {
        Capability::Database => "database",
        Capability::Coding => "rules",
        Capability::Api => "programming interface",
        Capability::Frontend => "pages",
        Capability::Testing => "tests",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Capability::{Api, Coding, Database, Frontend, Testing};

    fn task(capability: Capability, kernel: &str, after: &[Capability]) -> Task {
        Task { capability, kernel: kernel.into(), after: after.to_vec() }
    }

    #[test]
    fn one_kernel_is_given_all_in_one_go_and_two_in_the_order_of_what_must_be_there_before() {
        let graph = |of: fn(Capability) -> &'static str| -> Vec<Task> {
            let needs: [(Capability, &[Capability]); 5] = [
                (Database, &[]),
                (Coding, &[Database]),
                (Api, &[Database, Coding]),
                (Frontend, &[Database, Coding]),
                (Testing, &[Database, Coding, Api, Frontend]),
            ];
            needs.into_iter().map(|(capability, after)| task(capability, of(capability), after)).collect()
        };
        assert_eq!(goes(&graph(|_| "all")), [("all", vec![Database, Coding, Api, Frontend, Testing])]);
        let two = graph(|capability| if capability == Frontend { "pages" } else { "rest" });
        let wanted = [("rest", vec![Database, Coding, Api]), ("pages", vec![Frontend]), ("rest", vec![Testing])];
        assert_eq!(goes(&two), wanted);
        // Written down in another order, they begin in the same.
        let backwards: Vec<Task> = two.into_iter().rev().collect();
        assert_eq!(goes(&backwards)[0], ("rest", vec![Database, Coding, Api]));
        assert!(goes(&[]).is_empty());
        assert!(goes(&[task(Api, "a", &[Frontend]), task(Frontend, "b", &[Api])]).is_empty());
    }
}
