//! The stages: one file each, blocking, on a build thread. Purpose: one job in, its result out. Adding a stage is a file and a
//! row in [`run`] and in the scheduler's table. Invariant: every stage may be run again after a kill at any point and comes to
//! the same result. Deliberately absent: order and retries (`scheduler`).

mod approve;
mod carry;
mod generate;
mod plan;
pub(super) mod recall;
mod release;
mod specify;
mod test;
mod track;
mod try_out;

use super::deploy::Fleet;
use super::kernel::Kernel;
use super::manifest::BuildManifest;
use super::queue::Queue;
use super::repository::RepositoryError;
use super::scheduler::{Job, StageError};
use super::spec::Spec;
use crate::store::{Advance, Build, Store, StoreError};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::runtime::Handle;

/// What the stages work with.
#[derive(Debug)]
pub(super) struct Works {
    pub(super) store: Store,
    pub(super) kernels: Vec<Box<dyn Kernel>>,
    pub(super) fleet: Fleet,
    pub(super) runtime: Handle,
    pub(super) queue: Arc<Queue>,
    /// Whether this system can confine generators and apps; what it lacks.
    pub(super) confines: Result<(), String>,
}

/// What a stage came to.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) advance: Advance,
    /// A line for the caller.
    pub(super) say: Option<String>,
}

pub(super) fn run(job: Job, works: &Works, build: &Build) -> Result<Done, StageError> {
    match job {
        Job::Approve => approve::run(works, build),
        Job::Specify => specify::run(works, build),
        Job::Plan => plan::run(works, build),
        Job::Generate => generate::run(works, build),
        Job::Test => test::run(works, build),
        Job::Stage => try_out::run(works, build),
        Job::Release => release::run(works, build),
        Job::Track => track::run(works, build),
    }
}

/// As in metrics.
pub(super) const fn name(job: Job) -> &'static str {
    match job {
        Job::Approve => "approve",
        Job::Specify => "specify",
        Job::Plan => "plan",
        Job::Generate => "generate",
        Job::Test => "test",
        Job::Stage => "stage",
        Job::Release => "release",
        Job::Track => "track",
    }
}

impl Works {
    /// What was asked for, with what was answered since.
    fn manifest(&self, build: &Build) -> Result<BuildManifest, StageError> {
        let found = self.store.manifests().get(&build.manifest_id)?;
        let mut manifest = found.ok_or_else(|| fault(format!("no manifest {}", build.manifest_id)))?;
        for question in self.store.questions().of_build(&build.id)? {
            if let Some(answer) = question.answer {
                manifest.constraints.insert(question.name, answer.into());
            }
        }
        Ok(manifest)
    }

    fn spec(&self, build: &Build) -> Result<Spec, StageError> {
        let found = self.store.world().get(specify::CATEGORY, &build.id)?;
        let document = found.ok_or_else(|| fault(format!("no spec of {}", build.id)))?.document;
        serde_json::from_value(document).map_err(|e| fault(format!("the spec of {} does not parse: {e}", build.id)))
    }

    /// The generated bundle's commit and its directory.
    fn bundle(&self, build: &Build) -> Result<(String, PathBuf), StageError> {
        let commit = build.bundle_commit.clone().ok_or_else(|| fault(format!("{} has no bundle", build.id)))?;
        let dir = self.fleet.bundle_dir(&build.slug, &commit)?;
        Ok((commit, dir))
    }
}

fn fault(what: impl Into<String>) -> StageError {
    StageError::Fault { what: what.into() }
}

fn check(say: impl Into<String>) -> StageError {
    StageError::Check { say: say.into() }
}

impl From<StoreError> for StageError {
    fn from(e: StoreError) -> Self {
        fault(e.to_string())
    }
}

impl From<RepositoryError> for StageError {
    fn from(e: RepositoryError) -> Self {
        fault(e.to_string())
    }
}
