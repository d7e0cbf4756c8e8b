//! The threads that build. Purpose: carry builds through their stages without taking a cycle from a call.
//! Owning threads: `build-N`, SCHED_IDLE, blocking. Invariants: a stage counts only once its result is committed; a panic in a
//! stage ends that try and nothing else; at shutdown the stage under way is finished, the next start goes on from there.
//! Deliberately absent: what a stage does (`stage`), what follows (`scheduler`).

use super::queue::Queue;
use super::scheduler::{self, AfterFailure, StageError};
use super::stage::{self, Works};
use crate::conversation::{BuildQuestion, BuildStage, BuildUpdate, Outcome};
use crate::limits::BUILD_LEASE;
use crate::os::{batch, clock};
use crate::store::{Advance, Build, QuestionState, Store, StoreError};
use crate::telemetry::metric;
use crate::time::Wallclock;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::task::AbortHandle;

/// A build waits this long when the store does not take its progress.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// A lease is prolonged so often while a stage runs.
const RENEW_EVERY: Duration = Duration::from_secs(60);

/// The pool; `join` after closing its queue.
#[derive(Debug)]
pub(super) struct Pool {
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    pub(super) fn start(
        threads: usize,
        queue: &Arc<Queue>,
        works: &Arc<Works>,
        updates: &broadcast::Sender<BuildUpdate>,
    ) -> io::Result<Self> {
        let spawn = |number: usize| {
            let worker = Worker { queue: Arc::clone(queue), works: Arc::clone(works), updates: updates.clone() };
            thread::Builder::new().name(format!("build-{number}")).spawn(move || worker.run())
        };
        Ok(Self { threads: (0..threads).map(spawn).collect::<Result<_, _>>()? })
    }

    /// Whether all of its threads are there.
    pub(super) fn is_whole(&self) -> bool {
        self.threads.iter().all(|thread| !thread.is_finished())
    }

    /// Waits for the stages under way. Blocking.
    pub(super) fn join(self) {
        for thread in self.threads {
            // A panic outside a stage was printed by the runtime.
            let _ = thread.join();
        }
    }
}

struct Worker {
    queue: Arc<Queue>,
    works: Arc<Works>,
    updates: broadcast::Sender<BuildUpdate>,
}

impl Worker {
    fn run(self) {
        if let Err(error) = batch::sched_idle() {
            tracing::warn!(%error, "builds run at normal priority: the kernel refused SCHED_IDLE");
        }
        while let Some(build) = self.queue.take() {
            let build = self.carry(build);
            self.queue.give_back(&build);
        }
    }

    /// Takes a build as far as it goes; returns it as this thread has it last.
    fn carry(&self, mut build: Build) -> Build {
        let builds = self.works.store.builds();
        while let Some((job, to)) = scheduler::next(build.stage) {
            if self.queue.is_closed() {
                return build;
            }
            // Seen before a stage acts: a build that was cancelled, or given to another since this thread stood still.
            match builds.renew(&build, clock::wall(), BUILD_LEASE).wait() {
                Ok(true) => {}
                Ok(false) => {
                    tracing::info!(build = build.id, "the build is not this thread's any more");
                    return build;
                }
                Err(error) => return store_trouble(build, &error),
            }
            let began = clock::monotonic();
            let lease = self.hold(&build);
            let outcome = catch_unwind(AssertUnwindSafe(|| stage::run(job, &self.works, &build)));
            lease.abort();
            let outcome = outcome.unwrap_or_else(|_| Err(StageError::Fault { what: "the stage panicked".into() }));
            let took = clock::monotonic().since(began);
            let (stage, advance, say, result) = match outcome {
                Ok(done) => (to, done.advance, done.say, "done"),
                Err(StageError::Stopped) => {
                    tracing::info!(build = build.id, ?job, "a build goes on after the restart");
                    return build;
                }
                Err(error) => {
                    tracing::warn!(build = build.id, ?job, %error, "a build stage failed");
                    match scheduler::after_failure(job, build.attempt + 1, &error) {
                        AfterFailure::Retry { after } => {
                            metric::build_stage(stage::name(job), "retry", took);
                            let now = clock::wall();
                            let again = Wallclock(now.0 + u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
                            if let Err(error) = builds.retry_later(&build, again, now).wait() {
                                return store_trouble(build, &error);
                            }
                            return build;
                        }
                        AfterFailure::Wait { until } => {
                            if let Err(error) = builds.wait_for_answer(&build, until, clock::wall()).wait() {
                                return store_trouble(build, &error);
                            }
                            self.announce(&build, None);
                            return build;
                        }
                        AfterFailure::GiveBack => return build,
                        AfterFailure::Park { say } => {
                            let advance = Advance { failure: Some(say.clone()), ..Advance::default() };
                            (BuildStage::Parked, advance, Some(say), "parked")
                        }
                    }
                }
            };
            metric::build_stage(stage::name(job), result, took);
            match builds.advance(&build, stage, advance, clock::wall(), BUILD_LEASE).wait() {
                Ok(advanced) => build = advanced,
                Err(error) => return store_trouble(build, &error),
            }
            tracing::info!(build = build.id, stage = ?build.stage, took_ms = took.as_millis(), "build stage {result}");
            self.announce(&build, say);
        }
        build
    }

    /// Prolongs the lease as long as a stage runs.
    fn hold(&self, build: &Build) -> AbortHandle {
        let (store, build) = (self.works.store.clone(), build.clone());
        let holding = self.works.runtime.spawn(async move {
            loop {
                tokio::time::sleep(RENEW_EVERY).await;
                match store.builds().renew(&build, clock::wall(), BUILD_LEASE).await {
                    Ok(true) => {}
                    // The stage's result will be refused.
                    Ok(false) => return,
                    Err(error) => tracing::warn!(build = build.id, %error, "the lease of a build was not prolonged"),
                }
            }
        });
        holding.abort_handle()
    }

    fn announce(&self, build: &Build, say: Option<String>) {
        let outcome = match build.stage {
            // The caller knows that it is live.
            BuildStage::Tracked => None,
            _ => outcome(build),
        };
        if let (BuildStage::Live, Some(live)) = (build.stage, build.live) {
            metric::build_live(Duration::from_millis(live.0.saturating_sub(build.requested.0)));
        }
        // Asked when the app is live, unless the build waits for it.
        let asks = matches!(outcome, Some(Outcome::Live { .. })) || build.stage == BuildStage::Planned;
        let ask = asks.then(|| question(&self.works.store, &build.id)).flatten();
        // Nobody listening (the caller hung up) is no fault.
        let _ = self.updates.send(BuildUpdate { build_id: build.id.clone(), stage: build.stage, say, outcome, ask });
    }
}

/// What a build asks and nobody has answered yet, for the ear.
pub(super) fn question(store: &Store, build: &str) -> Option<BuildQuestion> {
    let all = store.questions().of_build(build).unwrap_or_else(|error| {
        tracing::warn!(build, %error, "whether a build asks something is not known");
        Vec::new()
    });
    let open = all.into_iter().find(|question| question.state == QuestionState::Open)?;
    Some(BuildQuestion {
        build_id: open.build_id,
        name: open.name,
        question: open.question,
        choices: open.choices.into_iter().map(|choice| (choice.value, choice.say)).collect(),
        default: open.default,
    })
}

/// How a build ended; `None` while it goes on.
pub(super) fn outcome(build: &Build) -> Option<Outcome> {
    match build.stage {
        BuildStage::Live | BuildStage::Tracked => {
            build.url.clone().map(|url| Outcome::Live { url, app: build.slug.clone() })
        }
        BuildStage::Parked | BuildStage::Failed => {
            Some(Outcome::Parked { say: build.failure.clone().unwrap_or_default() })
        }
        _ => None,
    }
}

fn store_trouble(build: Build, error: &StoreError) -> Build {
    match error {
        StoreError::Conflict(_) => tracing::info!(build = build.id, %error, "a step came too late and changed nothing"),
        _ => {
            tracing::error!(build = build.id, %error, "the progress of a build was not written; the stage will be done again");
            // Not at once: the disk may need a moment.
            thread::sleep(STORE_RETRY);
        }
    }
    build
}
