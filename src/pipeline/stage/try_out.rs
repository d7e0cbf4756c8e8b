//! Starts the tested bundle beside what is live, on data of its own, and looks at it: it must be well and show its first page. The
//! new version of a live app gets a copy of that app's data, so that what its migrations do to them is seen here first.

use super::{Done, StageError, Works};
use crate::store::{Build, RunState};

pub(super) fn run(works: &Works, build: &Build) -> Result<Done, StageError> {
    let (_, dir) = works.bundle(build)?;
    let live = works.store.apps().get(&build.slug)?.filter(|app| app.state == RunState::Live);
    works.runtime.block_on(works.fleet.try_out(&build.slug, &dir, live.as_ref()))?;
    Ok(Done::default())
}
