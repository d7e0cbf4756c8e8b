//! The daemon's hold on the supervisor of its apps. Purpose: find it or start it, order apps from it, know at any moment how each
//! does. Owning threads: any tokio task; one task listens. Invariants: what runs is what the supervisor says, never what is
//! remembered; a supervisor that ends is replaced, and what was wanted is ordered again. Deliberately absent: which apps there
//! ought to be (`fleet`).

use super::control::{self, Ask, Order, PROTOCOL, Seen, Told};
use super::supervise::Health;
use super::supervisor::{line, tell};
use crate::os::clock;
use crate::store::{EventKind, Store};
use crate::telemetry::metric;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// A supervisor that was started answers within this.
const START_MAX: Duration = Duration::from_secs(10);
/// The unit's supervisor may be on its way up for this long.
const UNIT_MAX: Duration = Duration::from_secs(30);
/// Pause between two tries to reach it.
const TRY_AGAIN: Duration = Duration::from_millis(20);
/// Pause before one that ended is replaced.
const REPLACE_PAUSE: Duration = Duration::from_millis(200);
/// An order is carried out within this; an app's grace is part of it.
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// Its log is begun anew beyond this, octets.
const LOG_MAX: u64 = 4 << 20;

/// Who looks after the supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Keeper {
    /// This daemon starts it, and ends it (with its apps) when it stops in order. A kill of the daemon leaves both.
    #[default]
    Daemon,
    /// The service manager does (`callwright-apps.service`); apps go on when the daemon stops.
    Unit,
}

/// Why the supervisor did not do it.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// It is not there and cannot be started, or does not answer.
    #[error("the supervisor of apps cannot be reached: {0}; look into {log}", log = .1.display())]
    Unreachable(io::Error, PathBuf),
    /// The unit's is not there.
    #[error("callwright-apps.service does not answer ({0}): systemctl status callwright-apps")]
    NoUnit(io::Error),
    /// It said no.
    #[error("the supervisor of apps refused: {0}")]
    Refused(String),
    /// It is of another version.
    #[error("the supervisor of apps is of another version (protocol {0}); restart callwright-apps.service")]
    Protocol(u32),
}

/// An app that runs, as the gateway needs it.
#[derive(Debug, Clone)]
pub(super) struct Running {
    pub(super) key: String,
    pub(super) socket: PathBuf,
    pub(super) health: watch::Receiver<Health>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Attached {
    shared: Arc<Shared>,
    listens: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    data: PathBuf,
    program: PathBuf,
    keeper: Keeper,
    store: Store,
    apps: Mutex<BTreeMap<String, Wanted>>,
    /// Ours, if we started it; kept so that it is waited for.
    child: tokio::sync::Mutex<Option<Child>>,
}

#[derive(Debug)]
struct Wanted {
    order: Order,
    health: watch::Sender<Health>,
    /// Ends that were told already; None before the first report.
    ends: Option<u64>,
}

impl Attached {
    pub(super) fn new(data: &Path, program: PathBuf, keeper: Keeper, store: Store) -> Self {
        // The supervisor compares paths with its own, which are canonical.
        let data = data.canonicalize().unwrap_or_else(|_| data.to_owned());
        let shared =
            Shared { data, program, keeper, store, apps: Mutex::default(), child: tokio::sync::Mutex::default() };
        Self { shared: Arc::new(shared), listens: Mutex::default() }
    }

    /// The data directory as the supervisor writes it.
    pub(super) fn data(&self) -> &Path {
        &self.shared.data
    }

    /// Orders an app; returns without waiting for it to be ready. One that runs already is attached to as it is.
    pub(super) async fn start(&self, order: Order) -> Result<Running, AttachError> {
        let (key, socket) = (order.key.clone(), control::app_socket(&self.shared.data, &order.key));
        let (health, new) = {
            let mut apps = lock(&self.shared.apps);
            let new = !apps.contains_key(&key);
            let wanted = apps.entry(key.clone()).or_insert_with(|| Wanted {
                order: order.clone(),
                health: watch::channel(Health::Starting).0,
                ends: None,
            });
            (wanted.health.subscribe(), new)
        };
        let told = self.shared.ask(&Ask::Start(order)).await;
        match told {
            Ok(seen) => self.shared.note(&seen),
            Err(error) => {
                // One that ran before is still wanted.
                if new {
                    lock(&self.shared.apps).remove(&key);
                }
                return Err(error);
            }
        }
        self.listen();
        Ok(Running { key, socket, health })
    }

    /// Ends an app and returns when it is gone.
    pub(super) async fn stop(&self, key: &str) -> Result<(), AttachError> {
        lock(&self.shared.apps).remove(key);
        self.shared.ask(&Ask::Stop { key: key.to_owned() }).await.map(drop)
    }

    /// What runs, whoever ordered it: key by key.
    pub(super) async fn list(&self) -> Result<Vec<String>, AttachError> {
        Ok(self.shared.ask(&Ask::List).await?.into_iter().map(|seen| seen.order.key).collect())
    }

    /// The daemon stops in order: its own supervisor ends with its apps, the unit's goes on.
    pub(super) async fn leave(&self) {
        if let Some(listens) = lock(&self.listens).take() {
            listens.abort();
        }
        for wanted in std::mem::take(&mut *lock(&self.shared.apps)).into_values() {
            wanted.health.send_replace(Health::Down("the daemon stops".into()));
        }
        if self.shared.keeper == Keeper::Unit {
            return;
        }
        // One that is gone already has nothing left to end.
        let Ok(stream) = UnixStream::connect(control::control_socket(&self.shared.data)).await else { return };
        let _ = exchange(stream, &Ask::End).await;
        let gone = async {
            match self.shared.child.lock().await.as_mut() {
                Some(child) => _ = child.wait().await,
                None => {
                    while UnixStream::connect(control::control_socket(&self.shared.data)).await.is_ok() {
                        sleep(TRY_AGAIN).await;
                    }
                }
            }
        };
        if timeout(ANSWER_MAX, gone).await.is_err() {
            tracing::warn!("the supervisor of apps takes long to end");
        }
    }

    fn listen(&self) {
        let mut listens = lock(&self.listens);
        if listens.as_ref().is_none_or(JoinHandle::is_finished) {
            *listens = Some(tokio::spawn(listen(Arc::clone(&self.shared))));
        }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        if let Some(listens) = lock(&self.listens).take() {
            listens.abort();
        }
    }
}

/// Follows the supervisor for ever; replaces it when it ends.
async fn listen(shared: Arc<Shared>) {
    loop {
        if let Err(error) = shared.follow().await {
            tracing::debug!(%error, "the supervisor of apps hung up");
        }
        for wanted in lock(&shared.apps).values() {
            wanted.health.send_replace(Health::Down("the supervisor of apps ended".into()));
        }
        sleep(REPLACE_PAUSE).await;
        let orders: Vec<Order> = lock(&shared.apps).values().map(|wanted| wanted.order.clone()).collect();
        tracing::warn!(apps = orders.len(), "the supervisor of apps ended; they are started again");
        for order in orders {
            let key = order.key.clone();
            if let Err(error) = shared.ask(&Ask::Start(order)).await {
                tracing::error!(app = key, %error, "an app could not be started again");
            }
        }
    }
}

impl Shared {
    /// Takes reports until the connection ends.
    async fn follow(&self) -> io::Result<()> {
        let stream = self.reach().await.map_err(io::Error::other)?;
        let (read, mut write) = stream.into_split();
        tell(&mut write, &Ask::Watch).await?;
        let mut lines = BufReader::new(read);
        while let Some(line) = line(&mut lines).await? {
            if let Ok(Told::Running { apps, .. }) = serde_json::from_str(&line) {
                self.note(&apps);
            }
        }
        Ok(())
    }

    /// Passes on how the apps do, and writes down what ended.
    fn note(&self, seen: &[Seen]) {
        let mut apps = lock(&self.apps);
        for seen in seen {
            let Some(wanted) = apps.get_mut(&seen.order.key) else { continue };
            let before = wanted.ends.replace(seen.ends);
            if before.is_none() {
                metric::app_started(&seen.order.slug);
            }
            if before.is_some_and(|before| seen.ends > before) {
                metric::app_started(&seen.order.slug);
                tracing::warn!(app = seen.order.slug, why = seen.why, "an app ended and is started again");
                let now = clock::wall();
                let data = json!({"why": seen.why, "ends": seen.ends});
                // Not waited for: the app comes first, and the log has it already.
                drop(self.store.events().append(
                    EventKind::AppDown,
                    &seen.order.slug,
                    &format!("{} {}", now.0, seen.ends),
                    now,
                    data,
                ));
            }
            wanted.health.send_if_modified(|health| {
                let other = *health != seen.health;
                health.clone_from(&seen.health);
                other
            });
        }
    }

    async fn ask(&self, ask: &Ask) -> Result<Vec<Seen>, AttachError> {
        let stream = self.reach().await?;
        let answer = timeout(ANSWER_MAX, exchange(stream, ask)).await.unwrap_or(Err(io::ErrorKind::TimedOut.into()));
        match answer.map_err(|e| self.unreachable(e))? {
            Told::Refused { why } => Err(AttachError::Refused(why)),
            Told::Running { protocol, .. } if protocol != PROTOCOL => Err(AttachError::Protocol(protocol)),
            Told::Running { apps, .. } => Ok(apps),
        }
    }

    fn unreachable(&self, error: io::Error) -> AttachError {
        match self.keeper {
            Keeper::Unit => AttachError::NoUnit(error),
            Keeper::Daemon => AttachError::Unreachable(error, self.log()),
        }
    }

    fn log(&self) -> PathBuf {
        control::home(&self.data).join("supervisor.log")
    }

    /// A connection to the supervisor, which is started if need be.
    async fn reach(&self) -> Result<UnixStream, AttachError> {
        let socket = control::control_socket(&self.data);
        let began = Instant::now();
        let mut started = false;
        loop {
            let refused = match UnixStream::connect(&socket).await {
                Ok(stream) => {
                    // Whoever may write our directory could have put a socket there.
                    let own = fs::metadata(&self.data).map(|d| d.uid());
                    let peer = stream.peer_cred().map(|peer| peer.uid());
                    return match (own, peer) {
                        (Ok(own), Ok(peer)) if own == peer || peer == 0 => Ok(stream),
                        _ => Err(self.unreachable(io::ErrorKind::PermissionDenied.into())),
                    };
                }
                Err(refused) => refused,
            };
            let patience = match self.keeper {
                Keeper::Unit => UNIT_MAX,
                Keeper::Daemon => START_MAX,
            };
            if began.elapsed() > patience {
                return Err(self.unreachable(refused));
            }
            if self.keeper == Keeper::Daemon && !started {
                self.run().await.map_err(|e| self.unreachable(e))?;
                started = true;
            }
            sleep(TRY_AGAIN).await;
        }
    }

    /// Starts one of our own; where another task or daemon was faster, it ends by itself.
    async fn run(&self) -> io::Result<()> {
        let mut child = self.child.lock().await;
        if let Some(running) = child.as_mut()
            && running.try_wait()?.is_none()
        {
            return Ok(());
        }
        let home = control::home(&self.data);
        fs::create_dir_all(&home)?;
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700))?;
        let log = self.log();
        let long = fs::metadata(&log).is_ok_and(|log| log.len() > LOG_MAX);
        let log = File::options().create(true).append(!long).write(true).truncate(long).open(log)?;
        let mut command = Command::new(&self.program);
        command
            .arg0(env!("CARGO_PKG_NAME"))
            .args(["supervise", "--of-daemon", "--data"])
            .arg(&self.data)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            // Ctrl-C on the daemon's terminal is the daemon's to act on.
            .process_group(0);
        *child = Some(command.spawn()?);
        Ok(())
    }
}

async fn exchange(stream: UnixStream, ask: &Ask) -> io::Result<Told> {
    let (read, mut write) = stream.into_split();
    tell(&mut write, ask).await?;
    let answer = line(&mut BufReader::new(read)).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok(serde_json::from_str(&answer)?)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What it guards is whole between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
