//! Manifest to typed spec, kept as a document of the world.

use super::{Done, StageError, Works, check};
use crate::os::clock;
use crate::pipeline::spec::Spec;
use crate::store::{Advance, Build};

/// Category of specs in the store's world.
pub(super) const CATEGORY: &str = "build_spec";

pub(super) fn run(works: &Works, build: &Build) -> Result<Done, StageError> {
    let manifest = works.manifest(build)?;
    if !manifest.build_type.is_buildable() {
        let (article, noun) = (manifest.build_type.article(), manifest.build_type.noun());
        return Err(check(format!("I know what {article} {noun} is, but nothing here builds one yet")));
    }
    let mut spec = Spec::compose(&manifest);
    let taken_over = super::recall::build_on(works, build, &manifest, &mut spec);
    // The title's own slug may belong to another app of this box.
    spec.slug.clone_from(&build.slug);
    let say = [spec.say_open_points(), taken_over.unwrap_or_default()].join(" ").trim().to_owned();
    let document = serde_json::to_value(&spec).map_err(|e| super::fault(e.to_string()))?;
    works.store.world().put(CATEGORY, &build.id, document, clock::wall()).wait()?;
    Ok(Done { advance: Advance::default(), say: (!say.is_empty()).then_some(say) })
}
