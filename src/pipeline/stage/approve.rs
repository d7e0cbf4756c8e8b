//! Sees that somebody approved the manifest. The dialogue and the API set `metadata.approval`; without it nothing is built.

use super::{Done, StageError, Works, check};
use crate::store::Build;
use serde_json::Value;

pub(super) fn run(works: &Works, build: &Build) -> Result<Done, StageError> {
    let manifest = works.manifest(build)?;
    match manifest.metadata.get("approval") {
        None | Some(Value::Null | Value::Bool(false)) => Err(check("nobody has approved this plan yet")),
        Some(_) => Ok(Done::default()),
    }
}
