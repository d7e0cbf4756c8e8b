//! Tasks to files: every kernel of the plan in order, its files committed to the app's branch `staging`.

use super::plan::Task;
use super::{Done, StageError, Works, carry, check, fault};
use crate::apphost::bundle::{self, Bundle, Files};
use crate::store::{Advance, Build};
use std::collections::BTreeSet;

pub(super) fn run(works: &Works, build: &Build) -> Result<Done, StageError> {
    let (manifest, spec) = (works.manifest(build)?, works.spec(build)?);
    let plan = build.plan.clone().ok_or_else(|| fault(format!("{} has no plan", build.id)))?;
    let tasks: Vec<Task> = serde_json::from_value(plan).map_err(|e| fault(e.to_string()))?;
    let mut files = Files::new();
    let mut asked = BTreeSet::new();
    for task in &tasks {
        // A kernel makes all that the plan gave it in one go.
        if !asked.insert(task.kernel.as_str()) {
            continue;
        }
        let kernel = works.kernels.iter().find(|kernel| kernel.name() == task.kernel);
        let kernel = kernel.ok_or_else(|| fault(format!("the kernel {} is gone", task.kernel)))?;
        for (path, content) in kernel.generate(&manifest, &spec).map_err(check)? {
            if files.insert(path.clone(), content).is_some() {
                return Err(check(format!("two generators wrote the same file, {path}")));
            }
        }
    }
    let live = works.store.apps().get(&build.slug)?;
    if manifest.amends().is_some() && live.is_none() {
        return Err(check("the app that it was to change was taken away meanwhile"));
    }
    if let Some(live) = live {
        let before = works.fleet.bundle_dir(&build.slug, &live.revision)?;
        let before = bundle::read_dir(&before).map_err(|e| fault(e.to_string()))?;
        files = carry::forward(&before, files).map_err(check)?;
    }
    // Looked at before anything is written: paths that climb, sizes, files that contradict each other.
    Bundle::from_files(&files).map_err(|e| check(format!("the generated files do not fit together: {e}")))?;
    let repository = works.fleet.repository(&build.slug)?;
    let message = format!("{}\n\nBuild {} of manifest {}.", spec.title, build.number, build.manifest_id);
    let commit = repository.commit(&files, &message, build.requested)?;
    Ok(Done { advance: Advance { bundle_commit: Some(commit), ..Advance::default() }, say: None })
}
