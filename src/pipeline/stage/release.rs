//! Puts the bundle on line: on its own data, supervised, behind the gateway; `main` and a tag say which commit.

use super::{Done, StageError, Works, fault};
use crate::os::clock;
use crate::store::{Advance, App, Build, RunState, version_for};

pub(super) fn run(works: &Works, build: &Build) -> Result<Done, StageError> {
    let spec = works.spec(build)?;
    let (commit, dir) = works.bundle(build)?;
    let before = works.store.apps().get(&build.slug)?;
    let version = version_for(&commit, &works.store.apps().versions(&build.slug)?);
    let build_type = serde_json::to_value(spec.build_type).map_err(|e| fault(e.to_string()))?;
    let mut app = App {
        slug: build.slug.clone(),
        title: spec.title.clone(),
        build_type: build_type.as_str().unwrap_or_default().to_owned(),
        build_id: build.id.clone(),
        version,
        revision: commit.clone(),
        bundle: dir.display().to_string(),
        data: works.fleet.data_dir(&build.slug).display().to_string(),
        port: before.as_ref().map_or(0, |app| app.port),
        url: String::new(),
        state: RunState::Live,
        deployed: clock::wall(),
    };
    let replaced = before.filter(|before| before.revision != commit && before.state == RunState::Live);
    (app.port, app.url) = match &replaced {
        Some(before) => works.runtime.block_on(works.fleet.replace(before, &app))?,
        None => works.runtime.block_on(works.fleet.go_live(&app))?,
    };
    works.fleet.repository(&build.slug)?.release(&commit, version)?;
    let url = app.url.clone();
    let slug = app.slug.clone();
    works.store.apps().record(app).wait()?;
    works.fleet.tidy(&slug, &works.store.apps().versions(&slug)?, version);
    Ok(Done { advance: Advance { url: Some(url), ..Advance::default() }, say: None })
}
