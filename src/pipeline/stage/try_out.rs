//! Starts the tested bundle beside what is live, on data of its own, and looks at it: it must be well and show its first page.

use super::{Done, StageError, Works};
use crate::store::Build;

pub(super) fn run(works: &Works, build: &Build) -> Result<Done, StageError> {
    let (_, dir) = works.bundle(build)?;
    works.runtime.block_on(works.fleet.try_out(&build.slug, &dir))?;
    Ok(Done::default())
}
