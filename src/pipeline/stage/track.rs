//! Asks the app for itself through its public address, so that what is announced is what people get and what is measured, and
//! notes the deployment in the world.

use super::{Done, StageError, Works};
use crate::os::clock;
use crate::store::{Advance, Build};
use serde_json::json;

/// Category of deployments in the store's world.
const CATEGORY: &str = "deployment";

pub(super) fn run(works: &Works, build: &Build) -> Result<Done, StageError> {
    let meta = works.runtime.block_on(works.fleet.look_in(&build.slug))?;
    let document = json!({
        "build_id": build.id,
        "slug": build.slug,
        "title": build.title,
        "url": build.url,
        "revision": build.bundle_commit,
        "apis": meta.apis,
        "live": build.live.map(|t| t.to_string()),
    });
    works.store.world().put(CATEGORY, &build.slug, document, clock::wall()).wait()?;
    Ok(Done { advance: Advance::default(), say: None })
}
