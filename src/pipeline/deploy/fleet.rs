//! All apps of this box. Purpose: try a bundle out, put it on line, bring everything back after a restart, ask apps for their
//! counts. Owning thread: any tokio task. Invariants: an app has one live instance; a new version is ready before it gets the
//! requests, the old one goes after. Deliberately absent: what is deployed (the store knows).

mod figures;
mod version;

pub use version::RollBackError;

use super::attached::{AttachError, Attached, Keeper, Running};
use super::control::Order;
use super::gateway::{Gateway, GatewayError, Upstream};
use super::supervise::{self, Instance, InstancePlan};
use super::upstream::{self, UpstreamError};
use crate::apphost::child::Meta;
use crate::apphost::exchange::percent_encode;
use crate::apphost::service::DATABASE_FILE;
use crate::os::clock;
use crate::pipeline::repository::{Repository, RepositoryError};
use crate::pipeline::scheduler::StageError;
use crate::pipeline::tracker::Traffic;
use crate::store::{App, OUTCOMES, RunState, Store, StoreError};
use crate::time::Wallclock;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use serde_json::json;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

/// Octets of an app's outbox that are read at once: a hundred bodies as large as an app takes them do not fit.
const OUTBOX_MAX: usize = 16 << 20;

/// Where apps are reached; section `[apps]` of the configuration.
#[derive(Debug, Clone)]
pub struct AppsConfig {
    /// Address of their listeners.
    pub address: IpAddr,
    /// Their ports, one each.
    pub ports: RangeInclusive<u16>,
    /// Host name or address in the URLs that are given out; None: `address`.
    pub host: Option<String>,
    /// Who looks after the apps' supervisor.
    pub keeper: Keeper,
}

impl Default for AppsConfig {
    fn default() -> Self {
        Self { address: IpAddr::V4(Ipv4Addr::LOCALHOST), ports: 8100..=8199, host: None, keeper: Keeper::Daemon }
    }
}

/// Why an app is not on line.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// The bundle's fault: it does not start or shows no first page.
    #[error("{0}")]
    Unwell(String),
    /// It was to change an app that is not there any more.
    #[error("the app {0} was taken away meanwhile")]
    Gone(String),
    /// The app's data are not where they were.
    #[error("the data of the app {0} are gone; bring them back from copies/ or from a backup")]
    NoData(String),
    /// The box's fault.
    #[error("the app's files cannot be made: {0}")]
    Files(#[from] io::Error),
    /// No listener.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// No repository.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// No supervisor.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// No answer.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// No record.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<DeployError> for StageError {
    fn from(e: DeployError) -> Self {
        match e {
            DeployError::Gone(_) => {
                Self::Check { say: "the app that it was to change was taken away meanwhile".into() }
            }
            _ => Self::Fault { what: e.to_string() },
        }
    }
}

/// A message to a webhook, as its app keeps it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct Letter {
    /// Number in its app.
    pub id: i64,
    /// When it was written, seconds of Unix time.
    pub at: i64,
    /// Where to.
    pub url: String,
    /// Name of the event.
    pub event: String,
    /// JSON.
    pub body: String,
}

/// The apps that run.
#[derive(Debug)]
pub struct Fleet {
    data: PathBuf,
    program: PathBuf,
    config: AppsConfig,
    store: Store,
    gateway: Gateway,
    attached: Attached,
    instances: Mutex<Instances>,
    /// When the apps' requests were counted last; held while they are, so that none is in the store and pending, or in neither.
    counted: Mutex<Option<Wallclock>>,
    /// Held while an app goes from one version to another, or away.
    changing: Mutex<()>,
    /// Apps that are recorded as live and are not back yet, each with the reason.
    missing: std::sync::Mutex<BTreeMap<String, String>>,
}

#[derive(Debug, Default)]
struct Instances {
    /// Key of the version that serves, by app.
    live: BTreeMap<String, String>,
    /// Makes names of trials unique.
    tried: u64,
    closed: bool,
}

impl Fleet {
    /// An empty fleet. `data` is the daemon's data directory, `program` the binary that runs apps.
    #[must_use]
    pub fn new(data: PathBuf, program: PathBuf, config: AppsConfig, store: Store) -> Self {
        let gateway = Gateway::new(config.address, config.ports.clone());
        let attached = Attached::new(&data, program.clone(), config.keeper, store.clone());
        // Paths as the supervisor sees them.
        let data = attached.data().to_owned();
        Self {
            data,
            program,
            config,
            store,
            gateway,
            attached,
            instances: Mutex::default(),
            counted: Mutex::default(),
            changing: Mutex::default(),
            missing: std::sync::Mutex::default(),
        }
    }

    /// The app's repository; made if need be. Blocking.
    ///
    /// # Errors
    /// Git or the file system refuses.
    pub fn repository(&self, slug: &str) -> Result<Repository, RepositoryError> {
        Repository::open(&self.app_dir(slug))
    }

    /// Directory with the files of a commit; written out if need be. Blocking.
    ///
    /// # Errors
    /// Git or the file system refuses.
    pub fn bundle_dir(&self, slug: &str, commit: &str) -> Result<PathBuf, RepositoryError> {
        let dir = self.release_dir(slug, commit);
        if !dir.exists() {
            self.repository(slug)?.export(commit, &dir)?;
        }
        Ok(dir)
    }

    /// Directory of the app's data.
    #[must_use]
    pub fn data_dir(&self, slug: &str) -> PathBuf {
        self.app_dir(slug).join("data")
    }

    /// Directory for sockets and throw-away data; made if need be, for this user only.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn run_dir(&self) -> io::Result<PathBuf> {
        let dir = self.data.join("run");
        std::fs::create_dir_all(&dir)?;
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700))?;
        Ok(dir)
    }

    /// The binary that runs apps.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Starts the bundle beside what is live, looks at its report and its first page, and ends it. It gets empty data, or a copy
    /// of those of `live`.
    ///
    /// # Errors
    /// [`DeployError::Unwell`] in the app's words, or a fault of the box.
    pub async fn try_out(&self, slug: &str, bundle: &Path, live: Option<&App>) -> Result<Meta, DeployError> {
        let data = self.run_dir()?.join(format!("{slug}.try-out"));
        if data.exists() {
            std::fs::remove_dir_all(&data)?;
        }
        if let Some(live) = live {
            std::fs::create_dir_all(&data)?;
            std::fs::rename(self.snapshot(live).await?, data.join(DATABASE_FILE))?;
        }
        let instance = Instance::start(self.trial(slug, bundle, &data).await);
        let looked = async {
            instance.ready().await.map_err(DeployError::Unwell)?;
            smoke(instance.socket()).await
        };
        let looked = looked.await;
        instance.stop().await;
        std::fs::remove_dir_all(&data)?;
        looked
    }

    /// Starts the app on its own data beside the version before and, once it is ready and shows its first page, gives it the
    /// requests (between two of them); the version before then goes. Returns port and URL.
    ///
    /// # Errors
    /// As [`Fleet::try_out`], or no port is free; the version before then still serves.
    pub async fn go_live(&self, app: &App) -> Result<(u16, String), DeployError> {
        let order = self.order(app);
        let running = self.attached.start(order).await?;
        let looked = async {
            supervise::ready(&running.health).await.map_err(DeployError::Unwell)?;
            smoke(&running.socket).await
        };
        if let Err(error) = looked.await {
            let serves = self.instances.lock().await.live.get(&app.slug) == Some(&running.key);
            if !serves {
                self.attached.stop(&running.key).await?;
            }
            return Err(error);
        }
        self.put(app, running).await
    }

    /// Removes sockets and throw-away data of a daemon that was killed.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn clear_run_dir(&self) -> io::Result<()> {
        std::fs::remove_dir_all(self.run_dir()?)?;
        self.run_dir().map(drop)
    }

    /// Brings every app back that the store calls live and that is not back yet, without waiting for them to be ready. Those that
    /// outlived the daemon before are found running and stay as they are; whatever else still runs is ended. Returns how many came
    /// back; [`Fleet::is_whole`] says whether all are.
    ///
    /// # Errors
    /// The store cannot be read, or the supervisor not be reached. An app that cannot be brought back is logged and does not stop
    /// the others.
    pub async fn redeploy(&self) -> Result<usize, DeployError> {
        let _alone = self.changing.lock().await;
        let back = self.bring_all_back().await;
        if let Err(error) = &back {
            tracing::error!(%error, "the apps could not be brought back; it is tried again");
            let live = self.apps().await?.into_iter().filter(|app| app.state == RunState::Live);
            let served = self.instances.lock().await.live.clone();
            let missing = live.filter(|app| !served.contains_key(&app.slug)).map(|app| (app.slug, error.to_string()));
            *self.missing() = missing.collect();
        }
        back
    }

    /// Whether all apps are back that the store calls live.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.missing().is_empty()
    }

    fn missing(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        // It is replaced whole or changed by one entry.
        self.missing.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn bring_all_back(&self) -> Result<usize, DeployError> {
        let store = self.store.clone();
        let begun =
            spawn_blocking(move || store.apps().exchanges()).await.map_err(|e| DeployError::Files(e.into()))??;
        let mut stuck = BTreeMap::new();
        for (slug, version) in begun {
            if let Err(error) = self.finish_exchange(&slug, version).await {
                stuck.insert(slug, error);
            }
        }
        let live: Vec<App> = self.apps().await?.into_iter().filter(|app| app.state == RunState::Live).collect();
        if live.is_empty() && !super::control::control_socket(&self.data).exists() {
            // A box without apps has no supervisor yet.
            self.missing().clear();
            return Ok(0);
        }
        let wanted: Vec<String> = live.iter().map(|app| self.order(app).key).collect();
        for key in self.attached.list().await? {
            if !wanted.contains(&key) {
                tracing::info!(key, "a version that is not live any more is ended");
                self.attached.stop(&key).await?;
            }
        }
        let mut back = 0;
        let mut missing = BTreeMap::new();
        for app in &live {
            let instances = self.instances.lock().await;
            if instances.closed || instances.live.contains_key(&app.slug) {
                continue;
            }
            drop(instances);
            let brought = match stuck.remove(&app.slug) {
                Some(error) => Err(error),
                None => self.bring_back(app).await,
            };
            match brought {
                Ok(()) => back += 1,
                Err(error) => {
                    tracing::error!(app = app.slug, %error, "an app could not be brought back");
                    missing.insert(app.slug.clone(), error.to_string());
                }
            }
        }
        *self.missing() = missing;
        Ok(back)
    }

    /// What the app says of itself.
    ///
    /// # Errors
    /// It is not on line or does not answer.
    pub async fn meta(&self, slug: &str) -> Result<Meta, DeployError> {
        let upstream = self.gateway.upstream(slug).ok_or_else(|| GatewayError::Unknown(slug.to_owned()))?;
        Ok(upstream::meta(&upstream.socket).await?)
    }

    /// The code with which the app's first account is made; `None` when there is one, or the app knows no accounts.
    ///
    /// # Errors
    /// It is not on line or does not answer.
    pub async fn setup_code(&self, slug: &str) -> Result<Option<String>, DeployError> {
        #[derive(serde::Deserialize)]
        struct Setup {
            code: Option<String>,
        }
        let (status, body) = upstream::get(&self.socket(slug)?, "/_/setup").await?;
        // A version of before has no code, and no question for one.
        if !status.is_success() {
            return Ok(None);
        }
        Ok(read_json::<Setup>(&body)?.code)
    }

    /// Messages to webhooks that wait in the app, the oldest first; a bounded part of them.
    ///
    /// # Errors
    /// It is not on line or does not answer.
    pub async fn outbox(&self, slug: &str) -> Result<Vec<Letter>, DeployError> {
        #[derive(serde::Deserialize)]
        struct Outbox {
            messages: Vec<Letter>,
        }
        let (status, body) = upstream::get_up_to(&self.socket(slug)?, "/_/outbox", OUTBOX_MAX).await?;
        if !status.is_success() {
            return Err(UpstreamError::Meta(format!("its outbox answers {status}")).into());
        }
        Ok(read_json::<Outbox>(&body)?.messages)
    }

    /// Has the app forget the messages up to this one.
    ///
    /// # Errors
    /// It is not on line or does not answer.
    pub async fn taken(&self, slug: &str, id: i64) -> Result<(), DeployError> {
        let asked = upstream::post(&self.socket(slug)?, &format!("/_/outbox?taken={id}"), Bytes::new()).await?;
        match asked {
            (status, _) if status.is_success() => Ok(()),
            (status, _) => Err(UpstreamError::Meta(format!("its outbox answers {status}")).into()),
        }
    }

    /// What messages to the app's webhook `url` are signed with; `None`: it has no such webhook any more.
    ///
    /// # Errors
    /// It is not on line or does not answer.
    pub async fn hook_secret(&self, slug: &str, url: &str) -> Result<Option<String>, DeployError> {
        #[derive(serde::Deserialize)]
        struct Hook {
            secret: String,
        }
        let path = format!("/_/secret?url={}", percent_encode(url));
        let (status, answer) = upstream::get(&self.socket(slug)?, &path).await?;
        match status {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => Ok(Some(read_json::<Hook>(&answer)?.secret)),
            status => Err(UpstreamError::Meta(format!("its webhook's secret answers {status}")).into()),
        }
    }

    /// Apps that are on line, each with the number of requests that it has answered.
    #[must_use]
    pub fn on_line(&self) -> Vec<(String, u64)> {
        self.gateway.answered()
    }

    fn socket(&self, slug: &str) -> Result<PathBuf, GatewayError> {
        let upstream = self.gateway.upstream(slug);
        upstream.map(|upstream| upstream.socket).ok_or_else(|| GatewayError::Unknown(slug.to_owned()))
    }

    /// What was measured of the app.
    #[must_use]
    pub fn traffic(&self, slug: &str) -> Option<Traffic> {
        self.gateway.traffic(slug)
    }

    /// Writes down what became of the apps' requests since the last time: one document for each app that had any.
    pub async fn write_outcomes(&self) {
        let mut counted = self.counted.lock().await;
        self.write_outcomes_at(&mut counted, clock::wall()).await;
    }

    /// The same, as of `now`.
    async fn write_outcomes_at(&self, counted: &mut Option<Wallclock>, now: Wallclock) {
        *counted = Some(now);
        for (slug, rollup) in self.gateway.rollups() {
            let (store, name) = (self.store.clone(), slug.clone());
            let app = spawn_blocking(move || store.apps().get(&name)).await;
            let version = app.ok().and_then(Result::ok).flatten().map(|app| (app.version, app.build_id));
            let document = json!({
                "app": slug,
                "version": version.as_ref().map(|(version, _)| version),
                "build_id": version.as_ref().map(|(_, build)| build),
                "until": now.to_string(),
                "outcome": rollup,
            });
            if let Err(error) = self.store.world().put(OUTCOMES, &slug, document, now).await {
                tracing::warn!(app = slug, %error, "what became of its requests was not written down");
            }
        }
    }

    /// Apps that do not serve now, each with the reason.
    #[must_use]
    pub fn down(&self) -> Vec<(String, String)> {
        let mut down = self.gateway.down();
        down.extend(self.missing().iter().map(|(slug, why)| (slug.clone(), why.clone())));
        down
    }

    /// Asks the app for its first page through its public address, and for its report.
    ///
    /// # Errors
    /// It does not answer there.
    pub async fn look_in(&self, slug: &str) -> Result<Meta, DeployError> {
        let port = self.gateway.port(slug).ok_or_else(|| GatewayError::Unknown(slug.to_owned()))?;
        let host =
            if self.config.address.is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { self.config.address };
        let request = Request::get("/").header("host", host.to_string()).body(Empty::<Bytes>::new());
        let request = request.map_err(|e| DeployError::Unwell(e.to_string()))?;
        let status = upstream::ask_tcp((host, port).into(), request).await?;
        // An app with accounts leads to its sign-in.
        if !status.is_success() && !status.is_redirection() {
            return Err(DeployError::Unwell(format!("its address answers {status}")));
        }
        self.meta(slug).await
    }

    /// Takes everything off line; apps end with it unless the service manager looks after them.
    pub async fn shutdown(&self) {
        self.gateway.clear();
        let mut instances = self.instances.lock().await;
        instances.closed = true;
        instances.live.clear();
        drop(instances);
        self.attached.leave().await;
    }

    async fn apps(&self) -> Result<Vec<App>, DeployError> {
        let store = self.store.clone();
        Ok(spawn_blocking(move || store.apps().list()).await.map_err(|e| DeployError::Files(e.into()))??)
    }

    async fn bring_back(&self, app: &App) -> Result<(), DeployError> {
        // An app makes what is not there: empty data would look like a loss.
        if !self.data_dir(&app.slug).join(DATABASE_FILE).exists() {
            return Err(DeployError::NoData(app.slug.clone()));
        }
        self.write_out(app).await?;
        let running = self.attached.start(self.order(app)).await?;
        let (port, url) = self.put(app, running).await?;
        if port != app.port {
            tracing::warn!(app = app.slug, from = app.port, to = port, "an app moved, its port is taken");
            self.store.apps().record(App { port, url, ..app.clone() }).await?;
        }
        Ok(())
    }

    /// Sees that the bundle of the app's revision is there.
    async fn write_out(&self, app: &App) -> Result<(), DeployError> {
        let bundle = self.release_dir(&app.slug, &app.revision);
        if !bundle.exists() {
            let (home, revision) = (self.app_dir(&app.slug), app.revision.clone());
            let written = spawn_blocking(move || Repository::open(&home)?.export(&revision, &bundle));
            written.await.map_err(|e| DeployError::Files(e.into()))??;
        }
        Ok(())
    }

    async fn put(&self, app: &App, running: Running) -> Result<(u16, String), DeployError> {
        let others = self.apps().await?;
        let reserved: Vec<u16> = others.iter().filter(|other| other.slug != app.slug).map(|other| other.port).collect();
        let wanted = (app.port != 0).then_some(app.port);
        let upstream = Upstream { socket: running.socket, health: running.health };
        let put = self.gateway.put(&app.slug, &app.title, upstream, wanted, &reserved).await;
        let mut instances = self.instances.lock().await;
        let (port, gone) = match put {
            Ok(port) if !instances.closed => (Ok(port), instances.live.insert(app.slug.clone(), running.key.clone())),
            Ok(port) => (Ok(port), None),
            Err(error) => (Err(error), Some(running.key.clone())),
        };
        drop(instances);
        if let Some(gone) = gone
            && (port.is_err() || gone != running.key)
        {
            // Requests under way end first: that is the grace of `stop`.
            self.attached.stop(&gone).await?;
        }
        let port = port?;
        Ok((port, self.url(port)))
    }

    fn order(&self, app: &App) -> Order {
        Order {
            // One revision on one set of data: what runs under this name is the same, whoever started it.
            key: format!("{}.{}", app.slug, app.revision.get(..8).unwrap_or(&app.revision)),
            slug: app.slug.clone(),
            // Not as recorded: the data directory may have moved since.
            bundle: self.release_dir(&app.slug, &app.revision),
            data: self.data_dir(&app.slug),
            log: self.app_dir(&app.slug).join("app.log"),
        }
    }

    async fn trial(&self, slug: &str, bundle: &Path, data: &Path) -> InstancePlan {
        let mut instances = self.instances.lock().await;
        instances.tried += 1;
        InstancePlan {
            slug: slug.to_owned(),
            program: self.program.clone(),
            bundle: bundle.to_owned(),
            data: data.to_owned(),
            log: self.app_dir(slug).join("trial.log"),
            socket: self.data.join("run").join(format!("{slug}.{}.sock", instances.tried)),
        }
    }

    fn url(&self, port: u16) -> String {
        match (&self.config.host, self.config.address) {
            (Some(host), _) => format!("http://{host}:{port}/"),
            (None, IpAddr::V6(address)) => format!("http://[{address}]:{port}/"),
            (None, IpAddr::V4(address)) => format!("http://{address}:{port}/"),
        }
    }

    fn release_dir(&self, slug: &str, commit: &str) -> PathBuf {
        self.app_dir(slug).join("releases").join(commit.get(..16).unwrap_or(commit))
    }

    fn app_dir(&self, slug: &str) -> PathBuf {
        self.data.join("apps").join(slug)
    }
}

fn read_json<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, UpstreamError> {
    serde_json::from_slice(body).map_err(|e| UpstreamError::Meta(e.to_string()))
}

/// What must hold before people see an app: it reports, and its first page comes (or leads on, to a sign-in for instance).
async fn smoke(socket: &Path) -> Result<Meta, DeployError> {
    let meta = upstream::meta(socket).await?;
    let (status, _) = upstream::get(socket, "/").await?;
    if !status.is_success() && !status.is_redirection() {
        return Err(DeployError::Unwell(format!("its first page answers {status}")));
    }
    Ok(meta)
}
