//! Kernels: what turns a spec into files. Purpose: one static table from build type and capability to the kernel that has it.
//! Adding a kernel is one file and one row of [`all`]. Invariant: nothing that a kernel says is trusted; the bundle's tests
//! decide. Deliberately absent: processes and protocols of outside kernels.

pub mod crm;

use super::manifest::{BuildManifest, BuildType};
use super::spec::Spec;
use crate::apphost::bundle::Files;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a part of an app needs done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// Tables, constraints, indexes, queries.
    Database,
    /// JSON endpoints and their description.
    Api,
    /// Pages.
    Frontend,
    /// Scenarios that must hold.
    Testing,
}

/// Turns specs of the build types it knows into the files of a bundle. Deterministic: the same input gives the same files.
pub trait Kernel: Send + Sync + fmt::Debug {
    /// Its name, for plans and messages.
    fn name(&self) -> &'static str;
    /// Whether it can do this for that type of app.
    fn can(&self, build_type: BuildType, capability: Capability) -> bool;
    /// The files for all capabilities that the plan gave it.
    ///
    /// # Errors
    /// In words for the caller, when the spec asks for what it cannot make.
    fn generate(&self, manifest: &BuildManifest, spec: &Spec) -> Result<Files, String>;
}

/// Every kernel of this program; the first that can is taken.
#[must_use]
pub fn all() -> Vec<Box<dyn Kernel>> {
    vec![Box::new(Crm)]
}

/// The CRM generator.
#[derive(Debug, Clone, Copy)]
struct Crm;

impl Kernel for Crm {
    fn name(&self) -> &'static str {
        "crm"
    }

    fn can(&self, build_type: BuildType, _: Capability) -> bool {
        build_type == BuildType::BuildCrm
    }

    fn generate(&self, manifest: &BuildManifest, spec: &Spec) -> Result<Files, String> {
        Ok(crm::generate(spec, manifest))
    }
}
