//! Kernels: from a spec to the files of a bundle. Purpose: one generator per build type behind one function.
//! Pure: the same spec and manifest give the same bytes. Deliberately absent: writing files, running tests.

pub mod crm;

use super::manifest::{BuildManifest, BuildType};
use super::spec::Spec;
use crate::apphost::bundle::Files;

/// Generates the bundle of `spec`.
#[must_use]
pub fn generate(spec: &Spec, manifest: &BuildManifest) -> Files {
    match spec.build_type {
        BuildType::BuildCrm => crm::generate(spec, manifest),
    }
}
