//! The build queue: durable over the store. Purpose: which build a thread takes next. Owning thread: any; `take` blocks.
//! Invariants: what is in the queue is what the store says, so a restart loses and doubles nothing; one build is with one
//! thread at a time. Deliberately absent: the work itself (`pool`), order by anything but age.

use crate::conversation::BuildStage;
use crate::os::clock;
use crate::pipeline::manifest::BuildManifest;
use crate::store::{Build, Store, StoreError, Submitted};
use crate::telemetry::metric;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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
    taken: BTreeSet<String>,
    not_before: BTreeMap<String, Instant>,
    closed: bool,
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
            Submitted::Slow { waiting } => {
                metric::build_slow();
                Err(SubmitError::Slow { waiting })
            }
        }
    }

    /// There is a new build.
    pub(super) fn ring(&self) {
        // Taken so that the bell is not rung between a thread's look and its wait.
        drop(self.lock());
        self.bell.notify_one();
    }

    /// The oldest build that nobody works on; waits for one. None: the queue is closed.
    pub(super) fn take(&self) -> Option<Build> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            let (found, wait) = match self.candidate(&state) {
                Ok(found) => found,
                Err(error) => {
                    tracing::error!(%error, "the build queue cannot be read");
                    (None, LOOK_AGAIN)
                }
            };
            if let Some(build) = found {
                state.taken.insert(build.id.clone());
                state.not_before.remove(&build.id);
                drop(state);
                return self.begun(build);
            }
            state = self.bell.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The thread is done with the build, for good or (with `after`) for a while.
    pub(super) fn give_back(&self, id: &str, after: Option<Duration>) {
        let mut state = self.lock();
        state.taken.remove(id);
        if let Some(after) = after {
            state.not_before.insert(id.to_owned(), Instant::now() + after);
        }
        drop(state);
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

    fn candidate(&self, state: &State) -> Result<(Option<Build>, Duration), StoreError> {
        let now = Instant::now();
        let mut wait = LOOK_AGAIN;
        for build in self.store.builds().open()? {
            if state.taken.contains(&build.id) {
                continue;
            }
            match state.not_before.get(&build.id) {
                Some(at) if *at > now => wait = wait.min(*at - now),
                _ => return Ok((Some(build), wait)),
            }
        }
        Ok((None, wait))
    }

    /// Notes on disk that the build no longer waits. Should that fail, it is built all the same and only counts as waiting.
    fn begun(&self, mut build: Build) -> Option<Build> {
        if build.begun.is_none() {
            let now = clock::wall();
            if let Err(error) = self.store.builds().begin(&build.id, now).wait() {
                tracing::warn!(build = build.id, %error, "the start of a build was not noted");
            }
            build.begun = Some(now);
        } else if build.stage != BuildStage::Requested {
            tracing::info!(build = build.id, stage = ?build.stage, "a build goes on");
        }
        Some(build)
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
