//! The build queue: durable over the store. Purpose: which build a thread takes next. Owning thread: any; `take` blocks.
//! Invariants: what is in the queue is what the store says, so a restart loses and doubles nothing; a build is with one thread
//! at a time, under a lease of the store. Deliberately absent: the work itself (`pool`), order by anything but age.

use crate::conversation::BuildStage;
use crate::limits::BUILD_LEASE;
use crate::os::clock;
use crate::pipeline::manifest::BuildManifest;
use crate::store::{Build, Store, StoreError, Submitted};
use crate::telemetry::metric;
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The store is asked again after this even if nobody rang.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Why a manifest was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The queue is full; say it and ask to come back.
    #[error("{waiting} builds are waiting already; please ask again in a minute")]
    Slow {
        /// Builds that wait.
        waiting: usize,
    },
    /// The manifest lacks something that every build needs.
    #[error("the manifest cannot be built: {0}")]
    Invalid(String),
    /// It could not be written down.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The queue of one daemon.
#[derive(Debug)]
pub(super) struct Queue {
    store: Store,
    state: Mutex<State>,
    bell: Condvar,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    /// Counted up by everything that may make a build due.
    rung: u64,
    /// Builds that could not be given back since the store did not take it; their leases would block them.
    stranded: Vec<Build>,
    /// Builds that threads of this process have, whatever the clock says of their leases.
    held: BTreeMap<String, Build>,
}

impl Queue {
    pub(super) fn new(store: Store) -> Self {
        Self { store, state: Mutex::default(), bell: Condvar::new() }
    }

    /// Writes the request down; returns its build and whether it is new. Then `ring` wakes a thread for it.
    pub(super) async fn submit(&self, manifest: BuildManifest) -> Result<(Build, bool), SubmitError> {
        check(&manifest).map_err(SubmitError::Invalid)?;
        match self.store.builds().submit(manifest, clock::wall()).await? {
            Submitted::New(build) => Ok((build, true)),
            Submitted::Known(build) => Ok((build, false)),
            Submitted::NoApp { slug } => Err(SubmitError::Invalid(format!("there is no app called {slug} to change"))),
            Submitted::Slow { waiting } => {
                metric::build_slow();
                Err(SubmitError::Slow { waiting })
            }
        }
    }

    /// There is a new build.
    pub(super) fn ring(&self) {
        self.lock().rung += 1;
        self.bell.notify_one();
    }

    /// The oldest build that is due, now this thread's; waits for one. None: the queue is closed.
    pub(super) fn take(&self) -> Option<Build> {
        loop {
            let (rung, stranded) = {
                let mut state = self.lock();
                if state.closed {
                    return None;
                }
                (state.rung, std::mem::take(&mut state.stranded))
            };
            for build in stranded {
                self.give_back(&build);
            }
            let wait = match self.claim() {
                Ok(Ok(build)) => return Some(build),
                Ok(Err(wait)) => wait,
                Err(error) => {
                    tracing::error!(%error, "the build queue cannot be read");
                    LOOK_AGAIN
                }
            };
            let state = self.lock();
            // What was rung for since the look is not slept over.
            if state.rung == rung && !state.closed {
                drop(self.bell.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner));
            }
        }
    }

    /// The thread is done with the build for now, whether it is over or not.
    pub(super) fn give_back(&self, build: &Build) {
        self.lock().held.remove(&build.id);
        if let Err(error) = self.store.builds().let_go(build).wait() {
            tracing::warn!(build = build.id, %error, "a build was not given back yet");
            self.lock().stranded.push(build.clone());
            return;
        }
        self.lock().rung += 1;
        self.bell.notify_all();
    }

    /// Every `take` returns None from now on.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.bell.notify_all();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// A build, or how long to wait for one.
    fn claim(&self) -> Result<Result<Build, Duration>, StoreError> {
        loop {
            let now = clock::wall();
            let (due, next) = self.store.builds().due(now)?;
            let Some(id) = due else {
                let next = next.map_or(LOOK_AGAIN, |at| Duration::from_millis(at.0.saturating_sub(now.0)));
                return Ok(Err(next.min(LOOK_AGAIN)));
            };
            let held = self.lock().held.get(&id).cloned();
            if let Some(held) = held {
                // The clock was set forward.
                match self.store.builds().renew(&held, now, BUILD_LEASE).wait()? {
                    true => continue,
                    // It is over, and about to be given back.
                    false => return Ok(Err(LOOK_AGAIN)),
                }
            }
            // Otherwise another thread was faster.
            if let Some(build) = self.store.builds().claim(&id, now, BUILD_LEASE).wait()? {
                if build.stage != BuildStage::Requested {
                    tracing::info!(build = build.id, stage = ?build.stage, "a build goes on");
                }
                self.lock().held.insert(build.id.clone(), build.clone());
                return Ok(Ok(build));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check(manifest: &BuildManifest) -> Result<(), String> {
    let id = &manifest.manifest_id;
    if id.is_empty() || id.len() > 200 {
        return Err("manifest_id must have 1 to 200 characters".into());
    }
    if manifest.title.trim().is_empty() || manifest.title.chars().count() > 80 {
        return Err("title must have 1 to 80 characters".into());
    }
    if manifest.features.len() > 64 {
        return Err("at most 64 features".into());
    }
    if !(0.0..=1.0).contains(&manifest.confidence) {
        return Err("confidence must be within 0 and 1".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::manifest::{BuildType, CreatedFrom};
    use crate::time::Wallclock;
    use serde_json::Map;

    #[tokio::test]
    async fn a_clock_that_is_set_forward_gives_a_build_to_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let queue = Queue::new(store.clone());
        let manifest = BuildManifest {
            manifest_id: "m1".into(),
            build_type: BuildType::BuildCrm,
            title: "CRM".into(),
            description: "A CRM.".into(),
            features: vec!["contacts".into()],
            tech_stack: vec![],
            constraints: Map::new(),
            integrations: vec![],
            conversation_id: "conv_1".into(),
            created_from: CreatedFrom::Voice,
            confidence: 0.93,
            metadata: Map::new(),
        };
        queue.submit(manifest).await.unwrap();
        let build = queue.take().unwrap();
        // As a step of the clock does: the lease is over, the thread works on.
        assert!(store.builds().renew(&build, Wallclock(0), Duration::ZERO).await.unwrap());
        assert!(queue.claim().unwrap().is_err());
        queue.give_back(&build);
        assert_eq!(queue.claim().unwrap().unwrap().fence, build.fence + 1);
    }
}
