//! Asks the app for itself through its public address, so that what is announced is what people get and what is measured, and
//! notes the deployment in the world. A dashboard that charts this box is brought its figures.

use super::{Done, StageError, Works};
use crate::os::clock;
use crate::store::{Advance, Build};
use serde_json::json;

/// Category of deployments in the store's world.
const CATEGORY: &str = "deployment";

pub(super) fn run(works: &Works, build: &Build) -> Result<Done, StageError> {
    let meta = works.runtime.block_on(works.fleet.look_in(&build.slug))?;
    // Whoever opens it now sees them; if not, they come within a minute.
    if let Err(error) = works.runtime.block_on(works.fleet.bring_figures_to(&build.slug)) {
        tracing::warn!(app = build.slug, %error, "the box's figures were not brought yet");
    }
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
    super::recall::note_live(works, build)?;
    Ok(Done { advance: Advance::default(), say: None })
}
