//! Kernels: what turns a spec into files. Purpose: one static table from build type and capability to the kernel that has it.
//! Adding a kernel is one file and one row of [`all`]. All of them speak the frames of [`frame`], those of this program too, each in
//! a process of its own ([`host`]); the daemon's side is [`session`] (pure) and [`drive`]. Invariant: nothing that a kernel says is
//! trusted; the bundle's tests decide. Deliberately absent: a configuration of kernels of other people, of whose processes nothing here
//! sees to more than that they end (`os::guard`; [`host`] confines itself).

mod client;
pub mod crm;
mod dashboard;
mod design;
mod document;
pub mod drive;
pub mod frame;
pub mod host;
mod parts;
mod rest;
pub mod session;
mod shop;
mod sql;
mod trial;
mod website;

use self::frame::Ask;
use super::manifest::{BuildManifest, BuildType};
use super::spec::Spec;
use crate::apphost::bundle::Files;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// What a part of an app needs done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// Tables, constraints, indexes, queries.
    Database,
    /// What is done with the data: actions, rules, what happens by itself.
    Coding,
    /// JSON endpoints and their description.
    Api,
    /// Pages.
    Frontend,
    /// Scenarios that must hold.
    Testing,
}

impl Capability {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Database, Self::Coding, Self::Api, Self::Frontend, Self::Testing];
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
    /// What the order leaves open and matters, each with the default that `generate` goes by.
    fn questions(&self, _manifest: &BuildManifest, _spec: &Spec) -> Vec<Ask> {
        Vec::new()
    }
    /// How its process is started for one task, in the empty directory `scratch`; it speaks [`frame`] on standard input and output.
    /// `None`: it is a generator that speaks within this process.
    fn command(&self, _program: &Path, _scratch: &Path) -> Option<Command> {
        None
    }
}

/// Every kernel of this program; the first that can is taken.
#[must_use]
pub fn all() -> Vec<Box<dyn Kernel>> {
    BUILT_IN.iter().map(|kernel| Box::new(*kernel) as Box<dyn Kernel>).collect()
}

/// The kernels of this program: name, type, generator.
const BUILT_IN: [BuiltIn; 5] = [
    BuiltIn { name: "crm", of: BuildType::BuildCrm, make: crm::generate, asks: nothing },
    BuiltIn { name: "website", of: BuildType::BuildWebsite, make: website::generate, asks: nothing },
    BuiltIn { name: "shop", of: BuildType::BuildEcommerce, make: shop::generate, asks: shop::questions },
    BuiltIn { name: "api", of: BuildType::BuildApi, make: rest::generate, asks: nothing },
    BuiltIn { name: "dashboard", of: BuildType::BuildDashboard, make: dashboard::generate, asks: nothing },
];

/// A generator of this program.
#[derive(Debug, Clone, Copy)]
struct BuiltIn {
    name: &'static str,
    of: BuildType,
    make: fn(&Spec, &BuildManifest) -> Files,
    asks: fn(&BuildManifest, &Spec) -> Vec<Ask>,
}

const fn nothing(_: &BuildManifest, _: &Spec) -> Vec<Ask> {
    Vec::new()
}

impl Kernel for BuiltIn {
    fn name(&self) -> &'static str {
        self.name
    }

    fn can(&self, build_type: BuildType, _: Capability) -> bool {
        build_type == self.of
    }

    fn generate(&self, manifest: &BuildManifest, spec: &Spec) -> Result<Files, String> {
        Ok((self.make)(spec, manifest))
    }

    fn questions(&self, manifest: &BuildManifest, spec: &Spec) -> Vec<Ask> {
        (self.asks)(manifest, spec)
    }

    fn command(&self, program: &Path, scratch: &Path) -> Option<Command> {
        let mut command = Command::new(program);
        command.arg0(env!("CARGO_PKG_NAME")).arg("kernel").arg(self.name).arg("--scratch").arg(scratch);
        Some(command)
    }
}
