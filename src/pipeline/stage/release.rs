//! Puts the bundle on line: on its own data, supervised, behind the gateway; `main` and a tag say which commit.

use super::{Done, StageError, Works, fault};
use crate::os::clock;
use crate::store::{Advance, App, Build, RunState, version_for};

pub(super) fn run(works: &Works, build: &Build) -> Result<Done, StageError> {
    let (manifest, spec) = (works.manifest(build)?, works.spec(build)?);
    let (commit, dir) = works.bundle(build)?;
    let version = version_for(&commit, &works.store.apps().versions(&build.slug)?);
    let build_type = serde_json::to_value(spec.build_type).map_err(|e| fault(e.to_string()))?;
    let app = App {
        slug: build.slug.clone(),
        title: spec.title.clone(),
        build_type: build_type.as_str().unwrap_or_default().to_owned(),
        build_id: build.id.clone(),
        version,
        revision: commit,
        bundle: dir.display().to_string(),
        data: works.fleet.data_dir(&build.slug).display().to_string(),
        port: 0,
        url: String::new(),
        state: RunState::Live,
        deployed: clock::wall(),
    };
    let app = works.runtime.block_on(works.fleet.release(app, manifest.amends().is_some()))?;
    works.fleet.tidy(&app.slug, &works.store.apps().versions(&app.slug)?, version);
    Ok(Done { advance: Advance { url: Some(app.url), ..Advance::default() }, say: None })
}
