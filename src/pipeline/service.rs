//! The pipeline as the rest of the daemon sees it. Purpose: start, submit, follow, ask, stop. Cheap to clone.
//! Invariants: `submit` returns after the request is on disk; builds go on when their caller hangs up and when the daemon
//! restarts. Deliberately absent: talking (updates carry a line, `conversation` says it).

use super::courier::{Courier, CourierError, Patience};
use super::deploy::{AppsConfig, DeployError, Fleet, Meta, RollBackError};
use super::kernel::{self, Kernel};
use super::manifest::BuildManifest;
use super::pool::{self, Pool};
use super::queue::{Queue, SubmitError};
use super::report;
use super::stage::{self, Works};
use super::tracker::Traffic;
use crate::config::Network;
use crate::conversation::{AppFacts, BuildQuestion, BuildStage, BuildUpdate};
use crate::limits::{BUILD_THREADS, BUILD_UPDATES_MAX};
use crate::os::{clock, sandbox};
use crate::store::{Answered, AnsweredBy, App, Build, Cancelled, Store, StoreError};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{broadcast, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// How often dashboards are brought this box's figures.
const FIGURES_EVERY: Duration = Duration::from_secs(60);
/// What became of the apps' requests is written down every so many times of that.
const OUTCOMES_EVERY: u32 = 15;

/// The start waits this long for the apps to be back; telephones do not wait longer for them.
const BACK_WAIT: Duration = Duration::from_secs(10);
/// Pause before apps that did not come back are tried again; it doubles up to the second.
const BACK_AGAIN: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

/// What the pipeline needs to know.
#[derive(Debug)]
pub struct PipelineConfig {
    /// The daemon's data directory; apps live beneath.
    pub data: PathBuf,
    /// This program; runs the apps (`apphost`).
    pub program: PathBuf,
    /// Where apps are reached.
    pub apps: AppsConfig,
    /// How long messages to apps' webhooks are tried.
    pub patience: Patience,
    /// Networks of this site that they may go to.
    pub webhook_networks: Vec<Network>,
    /// Threads that build; 0 takes requests and leaves them waiting.
    pub threads: usize,
    /// Generators, asked in order.
    pub kernels: Vec<Box<dyn Kernel>>,
    /// Whether this system can confine generators and apps; what it lacks and how to mend it.
    pub confines: Result<(), String>,
}

impl PipelineConfig {
    /// Everything as usual for this data directory and program.
    #[must_use]
    pub fn new(data: PathBuf, program: PathBuf) -> Self {
        Self {
            data,
            program,
            apps: AppsConfig::default(),
            patience: Patience::default(),
            webhook_networks: Vec::new(),
            threads: BUILD_THREADS,
            kernels: kernel::all(),
            confines: sandbox::supported().map_err(|error| error.to_string()),
        }
    }
}

/// Why the pipeline did not start.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// No threads.
    #[error("build threads cannot be started: {0}")]
    Threads(#[from] io::Error),
    /// The builds of before cannot be taken over.
    #[error("builds cannot be taken over: {0}")]
    Store(#[from] StoreError),
    /// No courier.
    #[error(transparent)]
    Courier(#[from] CourierError),
    /// The apps of before cannot be looked up.
    #[error("apps cannot be brought back: {0}")]
    Deploy(#[from] DeployError),
}

/// The pipeline; clones share it. Call [`Pipeline::shutdown`] before the end of the runtime.
#[derive(Clone)]
pub struct Pipeline {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Arc<Queue>,
    works: Arc<Works>,
    updates: broadcast::Sender<BuildUpdate>,
    pool: Mutex<Option<Pool>>,
    outcomes: Mutex<Option<JoinHandle<()>>>,
    back: Mutex<Option<JoinHandle<()>>>,
    courier: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pipeline")
    }
}

impl Pipeline {
    /// Brings live apps back, then goes on with unfinished builds. On the tokio runtime that will serve the apps. Apps that do not
    /// come back are tried again while everything else goes on.
    ///
    /// # Errors
    /// The store cannot be read, or threads cannot be made.
    pub async fn start(config: PipelineConfig, store: Store) -> Result<Self, PipelineError> {
        let fleet = Fleet::new(config.data, config.program, config.apps, store.clone());
        fleet.clear_run_dir().map_err(DeployError::from)?;
        let held = store.builds().take_over().await?;
        if held > 0 {
            tracing::info!(builds = held, "builds of a daemon that was killed go on");
        }
        stage::recall::seed(&store).await;
        let queue = Arc::new(Queue::new(store.clone()));
        if let Err(why) = &config.confines {
            tracing::error!(
                why,
                "nothing can be built and no app be run: this system cannot confine them; see `callwright doctor`"
            );
        }
        let (kernels, confines) = (config.kernels, config.confines);
        let works = Works { store, kernels, fleet, runtime: Handle::current(), queue: Arc::clone(&queue), confines };
        let works = Arc::new(works);
        let (fleet, (tried, first)) = (Arc::clone(&works), oneshot::channel());
        let back = tokio::spawn(async move { bring_back(&fleet.fleet, tried).await });
        if timeout(BACK_WAIT, first).await.is_err() {
            tracing::error!("the apps take long to come back; everything else goes on");
        }
        let (updates, _) = broadcast::channel(BUILD_UPDATES_MAX);
        let pool = Pool::start(config.threads, &queue, &works, &updates)?;
        let fleet = Arc::clone(&works);
        let outcomes = tokio::spawn(async move {
            loop {
                for _ in 0..OUTCOMES_EVERY {
                    sleep(FIGURES_EVERY).await;
                    fleet.fleet.bring_figures().await;
                }
                fleet.fleet.write_outcomes().await;
            }
        });
        let courier = Courier::new(Arc::clone(&works), config.patience, config.webhook_networks)?;
        let courier = Mutex::new(Some(tokio::spawn(courier.run())));
        let (pool, outcomes) = (Mutex::new(Some(pool)), Mutex::new(Some(outcomes)));
        let back = Mutex::new(Some(back));
        Ok(Self { shared: Arc::new(Shared { queue, works, updates, pool, outcomes, back, courier }) })
    }

    /// Writes an approved manifest down (with the event `build.request.created`) and returns its build. Submitting it again
    /// returns the same build and starts nothing.
    ///
    /// # Errors
    /// [`SubmitError::Slow`] when as many builds wait as the queue holds; an unusable manifest; the store.
    pub async fn submit(&self, manifest: BuildManifest) -> Result<Build, SubmitError> {
        let (build, new) = self.shared.queue.submit(manifest).await?;
        if new {
            tracing::info!(build = build.id, title = build.title, "a build was requested");
            let update = BuildUpdate {
                build_id: build.id.clone(),
                stage: BuildStage::Requested,
                say: None,
                outcome: None,
                ask: None,
            };
            // Nobody listening is no fault.
            let _ = self.shared.updates.send(update);
            self.shared.queue.ring();
        }
        Ok(build)
    }

    /// Every stage that any build reaches from now on. A listener that lags loses the oldest; the store has them all.
    #[must_use]
    pub fn updates(&self) -> broadcast::Receiver<BuildUpdate> {
        self.shared.updates.subscribe()
    }

    /// Where a build stands now, as its newest update: for a listener that lagged. `None`: there is no such build.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn standing(&self, build: &str) -> Result<Option<BuildUpdate>, StoreError> {
        let (store, id) = (self.shared.works.store.clone(), build.to_owned());
        let found = tokio::task::spawn_blocking(move || {
            let ask = pool::question(&store, &id);
            store.builds().get(&id).map(|build| build.map(|build| (build, ask)))
        });
        // The read neither panics nor is it cancelled while the daemon runs.
        let build = found.await.map_err(|e| StoreError::Other(e.to_string()))??;
        Ok(build.map(|(b, ask)| BuildUpdate {
            outcome: pool::outcome(&b),
            build_id: b.id,
            stage: b.stage,
            say: None,
            ask,
        }))
    }

    /// What a build asks and nobody has answered yet.
    #[must_use]
    pub fn question(&self, build: &str) -> Option<BuildQuestion> {
        pool::question(&self.shared.works.store, build)
    }

    /// What is so now of the app called `subject`, as people say it ("the CRM").
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn facts(&self, subject: &str) -> Result<AppFacts, StoreError> {
        report::facts(&self.shared.works.store, &self.shared.works.fleet, subject).await
    }

    /// What was measured of an app.
    #[must_use]
    pub fn traffic(&self, slug: &str) -> Option<Traffic> {
        self.shared.works.fleet.traffic(slug)
    }

    /// Writes down what became of the apps' requests, and brings the dashboards this box's figures, as is done from time to time.
    pub async fn bring_figures(&self) {
        self.shared.works.fleet.write_outcomes().await;
        self.shared.works.fleet.bring_figures().await;
    }

    /// Brings the dashboards this box's figures, without writing anything down.
    pub async fn bring_newest_figures(&self) {
        self.shared.works.fleet.bring_figures().await;
    }

    /// What an app says of itself.
    ///
    /// # Errors
    /// It is not on line or does not answer.
    pub async fn meta(&self, slug: &str) -> Result<Meta, DeployError> {
        self.shared.works.fleet.meta(slug).await
    }

    /// The code with which an app's first account is made, while there is none.
    ///
    /// # Errors
    /// It is not on line or does not answer.
    pub async fn setup_code(&self, slug: &str) -> Result<Option<String>, DeployError> {
        self.shared.works.fleet.setup_code(slug).await
    }

    /// How it does: whether it builds, and what to know.
    #[must_use]
    pub fn health(&self) -> (bool, String) {
        let pool = self.shared.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if !pool.as_ref().is_some_and(Pool::is_whole) {
            return (false, "a build thread has ended; restart the daemon".to_owned());
        }
        let down = self.shared.works.fleet.down();
        let down = down.into_iter().map(|(app, why)| format!("{app} is down: {why}"));
        let unconfined = self.shared.works.confines.as_ref().err();
        let unconfined =
            unconfined.map(|why| format!("nothing can be built here, since nothing can be confined: {why}"));
        (true, unconfined.into_iter().chain(down).collect::<Vec<_>>().join("; "))
    }

    /// Answers what a build asks; on disk, with what follows from it, before anything is done.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn answer(
        &self,
        build: &str,
        question: &str,
        value: &str,
        by: AnsweredBy,
    ) -> Result<Answered, StoreError> {
        let commit = self.shared.works.store.questions().answer(build, question, value, by, clock::wall());
        let answered = commit.await?;
        tracing::info!(build, question, value, ?by, "a question of a build was answered");
        if matches!(answered, Answered::GoesOn | Answered::FollowUp(_)) {
            self.shared.queue.ring();
        }
        Ok(answered)
    }

    /// Ends a build that does not go live yet.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn cancel(&self, build: &str) -> Result<Cancelled, StoreError> {
        let cancelled = self.shared.works.store.builds().cancel(build, clock::wall()).await?;
        if let Cancelled::Done(build) = &cancelled {
            tracing::info!(build = build.id, "a build was cancelled");
            let update = BuildUpdate {
                build_id: build.id.clone(),
                stage: build.stage,
                say: None,
                outcome: pool::outcome(build),
                ask: None,
            };
            // Nobody listening is no fault.
            let _ = self.shared.updates.send(update);
        }
        Ok(cancelled)
    }

    /// Brings the version of an app before the live one back; with `lose_data` also where that means to go back to its data.
    ///
    /// # Errors
    /// See [`RollBackError`]; the app then serves as before.
    pub async fn roll_back(&self, slug: &str, lose_data: bool) -> Result<App, RollBackError> {
        self.shared.works.fleet.roll_back(slug, lose_data).await
    }

    /// Takes an app away; its files are kept aside. False: there is none of that name.
    ///
    /// # Errors
    /// The store or the file system refuses.
    pub async fn delete(&self, slug: &str) -> Result<bool, DeployError> {
        let gone = self.shared.works.fleet.delete(slug).await?;
        if gone {
            self.shared.works.fleet.forget_messages(&self.shared.works.store, slug).await;
        }
        Ok(gone)
    }

    /// Finishes the stages under way, takes the apps off line and ends them. A second call does nothing.
    pub async fn shutdown(&self) {
        self.shared.queue.close();
        let back = self.shared.back.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(back) = back {
            back.abort();
        }
        let pool = self.shared.pool.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(pool) = pool {
            // A panicked join was printed; the apps still have to be ended.
            let _ = tokio::task::spawn_blocking(|| pool.join()).await;
        }
        let courier = self.shared.courier.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(courier) = courier {
            // What is on its way is sent again after the next start.
            courier.abort();
        }
        let outcomes = self.shared.outcomes.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(outcomes) = outcomes {
            outcomes.abort();
            self.shared.works.fleet.write_outcomes().await;
        }
        self.shared.works.fleet.shutdown().await;
    }
}

/// Brings the apps back, until all are.
async fn bring_back(fleet: &Fleet, tried: oneshot::Sender<()>) {
    let mut tried = Some(tried);
    let mut pause = BACK_AGAIN.0;
    loop {
        match fleet.redeploy().await {
            Ok(back) if back > 0 => tracing::info!(apps = back, "apps are back on line"),
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "the apps are not back"),
        }
        if let Some(tried) = tried.take() {
            // Whoever waited has gone on.
            let _ = tried.send(());
        }
        if fleet.is_whole() {
            return;
        }
        sleep(pause).await;
        pause = (pause * 2).min(BACK_AGAIN.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::manifest::{BuildManifest, BuildType, CreatedFrom};
    use crate::store::RunState;
    use crate::time::Wallclock;

    #[tokio::test]
    async fn the_daemon_starts_without_its_apps_and_says_which_are_missing() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let config = || PipelineConfig {
            threads: 0,
            // No supervisor can be started with it.
            ..PipelineConfig::new(dir.path().to_owned(), "/nonexistent".into())
        };
        let pipeline = Pipeline::start(config(), store.clone()).await.unwrap();
        let manifest = BuildManifest {
            manifest_id: "m1".into(),
            build_type: BuildType::BuildCrm,
            title: "CRM".into(),
            description: "A CRM.".into(),
            features: vec!["contacts".into()],
            tech_stack: vec![],
            constraints: serde_json::Map::new(),
            integrations: vec![],
            conversation_id: "conv_1".into(),
            created_from: CreatedFrom::Voice,
            confidence: 0.93,
            metadata: serde_json::Map::new(),
        };
        let build = pipeline.submit(manifest).await.unwrap();
        pipeline.shutdown().await;
        let app = App {
            slug: "crm".into(),
            title: "CRM".into(),
            build_type: "build_crm".into(),
            build_id: build.id,
            version: 1,
            revision: "0123456789abcdef".into(),
            bundle: String::new(),
            data: String::new(),
            port: 8100,
            url: String::new(),
            state: RunState::Live,
            deployed: Wallclock(1),
        };
        store.apps().record(app).await.unwrap();
        let pipeline = Pipeline::start(config(), store).await.unwrap();
        let (builds, note) = pipeline.health();
        assert!(builds && note.contains("crm is down: the supervisor of apps cannot be reached"), "{note}");
        pipeline.shutdown().await;
    }
}
