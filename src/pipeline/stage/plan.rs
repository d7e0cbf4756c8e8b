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
    }
    if !spec.api.is_empty() {
        needs.push((Capability::Api, vec![Capability::Database]));
    }
    if !spec.pages.is_empty() {
        needs.push((Capability::Frontend, vec![Capability::Database]));
    }
    needs.push((Capability::Testing, needs.iter().map(|(capability, _)| *capability).collect()));
    needs
}

const fn words(capability: Capability) -> &'static str {
    match capability {
        Capability::Database => "database",
        Capability::Api => "programming interface",
        Capability::Frontend => "pages",
        Capability::Testing => "tests",
    }
}
