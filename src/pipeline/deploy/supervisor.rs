//! The process that apps are children of: `callwright supervise`. Purpose: keep apps running over a restart or a kill of the
//! daemon. Owner: the process's one thread, a tokio runtime. Invariants: one supervisor per data directory (file lock); only
//! processes of the same user (or root) are listened to; when it ends, however that comes, its apps end with it.
//! Deliberately absent: what ought to run (the daemon knows), the network (the gateway's), a store.

use super::control::{self, Ask, LINE_MAX, Order, PROTOCOL, Seen, Told};
use super::supervise::{Instance, InstancePlan};
use crate::limits::{SUPERVISED_APPS_MAX, SUPERVISOR_CLIENTS_MAX};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::future::Future;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, MutexGuard, Semaphore, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// How often it looks whether anybody still wants it.
const LOOK: Duration = Duration::from_secs(1);
/// A supervisor that a daemon started ends when no daemon has come back for this long.
pub const ALONE_MAX: Duration = Duration::from_secs(600);
/// A client takes its lines within this.
const WRITE_MAX: Duration = Duration::from_secs(5);

/// Why there is no supervisor. All of it is for the operator.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// There is one already, which is no fault.
    #[error("apps of {0} are looked after already")]
    InUse(PathBuf),
    /// Files or sockets of its own.
    #[error("the supervisor of apps cannot {what}: {source}")]
    System {
        /// What it tried.
        what: String,
        /// The system's words.
        source: io::Error,
    },
}

fn cannot(what: impl Into<String>) -> impl FnOnce(io::Error) -> SupervisorError {
    move |source| SupervisorError::System { what: what.into(), source }
}

#[derive(Debug)]
struct Shared {
    data: PathBuf,
    program: PathBuf,
    user: u32,
    table: Mutex<BTreeMap<String, Entry>>,
    /// Keys whose process has not ended yet; changed under the lock of the table. Their sockets are still in use.
    ending: std::sync::Mutex<BTreeSet<String>>,
    /// Counted up at every change of what runs or how it does.
    changed: watch::Sender<u64>,
    end: watch::Sender<bool>,
    watchers: Arc<Semaphore>,
}

impl Shared {
    fn ending(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        // A set is whole between any two statements.
        self.ending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Entry {
    order: Order,
    instance: Instance,
}

/// Serves orders until one of them, `stop`, or (with `alone_max`) solitude ends it; then ends every app. `ready` is called once
/// orders are taken.
///
/// # Errors
/// See [`SupervisorError`].
pub async fn serve(
    data: &Path,
    program: PathBuf,
    alone_max: Option<Duration>,
    ready: impl FnOnce(),
    stop: impl Future<Output = ()>,
) -> Result<(), SupervisorError> {
    let home = control::home(data);
    fs::create_dir_all(&home).map_err(cannot(format!("make {}", home.display())))?;
    let data = data.canonicalize().map_err(cannot(format!("find {}", data.display())))?;
    let home = control::home(&data);
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).map_err(cannot("close its directory"))?;
    let lock = File::options().create(true).truncate(false).write(true).open(home.join("lock"));
    let lock = lock.map_err(cannot("open its lock"))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(SupervisorError::InUse(data)),
        Err(TryLockError::Error(e)) => return Err(cannot("lock its directory")(e)),
    }
    // Sockets of a supervisor that was killed; its apps have ended with it.
    for entry in fs::read_dir(&home).map_err(cannot("read its directory"))?.flatten() {
        let name = entry.file_name();
        if name == "control" || Path::new(&name).extension().is_some_and(|e| e == "sock") {
            fs::remove_file(entry.path()).map_err(cannot(format!("remove {}", entry.path().display())))?;
        }
    }
    let socket = control::control_socket(&data);
    let listener = UnixListener::bind(&socket).map_err(cannot(format!("listen on {}", socket.display())))?;
    let bound = fs::metadata(&socket).map_err(cannot("look at its socket"))?;
    let (changed, _) = watch::channel(0);
    let (end, mut ending) = watch::channel(false);
    let shared = Arc::new(Shared {
        data,
        program,
        user: bound.uid(),
        table: Mutex::default(),
        ending: std::sync::Mutex::default(),
        changed,
        end,
        watchers: Arc::new(Semaphore::new(SUPERVISOR_CLIENTS_MAX)),
    });
    ready();
    tracing::info!(data = %shared.data.display(), "apps are looked after");
    let why = tokio::select! {
        () = accept(&listener, &shared) => "it takes no more orders",
        () = stop => "it was told to by a signal",
        _ = ending.wait_for(|end| *end) => "the daemon told it to",
        why = wanted(&shared, &socket, bound.ino(), alone_max) => why,
    };
    tracing::info!(why, "the supervisor of apps ends");
    let apps = std::mem::take(&mut *shared.table.lock().await);
    // All at once: each may take its grace.
    let ends: Vec<_> = apps.into_values().map(|entry| tokio::spawn(entry.instance.stop())).collect();
    for end in ends {
        // A panic there was printed; the process it kept ends with its guard.
        let _ = end.await;
    }
    if fs::metadata(&socket).is_ok_and(|now| now.ino() == bound.ino()) {
        let _ = fs::remove_file(&socket);
    }
    drop(lock);
    Ok(())
}

/// Resolves, with the reason, when nobody can want this supervisor any more.
async fn wanted(shared: &Shared, socket: &Path, inode: u64, alone_max: Option<Duration>) -> &'static str {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = Instant::now();
    loop {
        looks.tick().await;
        if !fs::metadata(socket).is_ok_and(|now| now.ino() == inode) {
            return "its directory is gone";
        }
        if shared.watchers.available_permits() < SUPERVISOR_CLIENTS_MAX {
            seen = Instant::now();
        }
        if alone_max.is_some_and(|max| seen.elapsed() > max) {
            return "no daemon has come back";
        }
    }
}

async fn accept(listener: &UnixListener, shared: &Arc<Shared>) {
    let clients = Arc::new(Semaphore::new(SUPERVISOR_CLIENTS_MAX));
    loop {
        // The semaphore is never closed, so this waits and does not fail.
        let Ok(place) = Arc::clone(&clients).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                // By the kernel's word, not the peer's.
                let user = stream.peer_cred().map(|peer| peer.uid());
                if !matches!(user, Ok(user) if user == shared.user || user == 0) {
                    tracing::warn!(?user, "somebody else asked the supervisor of apps and was sent away");
                    continue;
                }
                let shared = Arc::clone(shared);
                tokio::spawn(async move {
                    // A client that broke off has what it wanted.
                    let _ = talk(stream, &shared).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "an order for apps was not taken");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn talk(stream: UnixStream, shared: &Arc<Shared>) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read);
    while let Some(line) = line(&mut lines).await? {
        let told = match serde_json::from_str(&line) {
            Ok(Ask::Watch) => return watch_on(lines, write, shared).await,
            Ok(ask) => act(ask, shared).await,
            Err(e) => Told::Refused { why: format!("this is no order: {e}") },
        };
        tell(&mut write, &told).await?;
    }
    Ok(())
}

/// The next line; None at the end.
pub(super) async fn line(from: &mut BufReader<OwnedReadHalf>) -> io::Result<Option<String>> {
    let mut line = String::new();
    let octets = from.take(LINE_MAX as u64).read_line(&mut line).await?;
    if octets > 0 && !line.ends_with('\n') {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is too long or cut short"));
    }
    Ok((octets > 0).then_some(line))
}

/// Writes one line.
pub(super) async fn tell(to: &mut OwnedWriteHalf, what: &impl serde::Serialize) -> io::Result<()> {
    let mut text = serde_json::to_string(what)?;
    text.push('\n');
    timeout(WRITE_MAX, to.write_all(text.as_bytes())).await.map_err(|_| io::ErrorKind::TimedOut)?
}

async fn watch_on(mut from: BufReader<OwnedReadHalf>, mut to: OwnedWriteHalf, shared: &Shared) -> io::Result<()> {
    // As many as there are places for clients.
    let _watching = shared.watchers.acquire().await.map_err(io::Error::other)?;
    let mut changed = shared.changed.subscribe();
    loop {
        changed.mark_unchanged();
        tell(&mut to, &running(shared).await).await?;
        tokio::select! {
            change = changed.changed() => change.map_err(io::Error::other)?,
            // It says nothing more; its end is the end.
            _ = line(&mut from) => return Ok(()),
        }
    }
}

async fn act(ask: Ask, shared: &Arc<Shared>) -> Told {
    match ask {
        Ask::List | Ask::Watch => {}
        Ask::End => {
            let _ = shared.end.send(true);
        }
        Ask::Stop { key } => {
            let mut table = free(&key, shared).await;
            let gone = table.remove(&key);
            if gone.is_some() {
                shared.ending().insert(key.clone());
            }
            drop(table);
            if let Some(entry) = gone {
                entry.instance.stop().await;
                shared.ending().remove(&key);
                shared.changed.send_modify(|n| *n += 1);
            }
        }
        Ask::Start(order) => {
            if let Err(why) = start(order, shared).await {
                return Told::Refused { why };
            }
        }
    }
    running(shared).await
}

/// The table, once no process of that key is ending.
async fn free<'a>(key: &str, shared: &'a Shared) -> MutexGuard<'a, BTreeMap<String, Entry>> {
    let mut changed = shared.changed.subscribe();
    loop {
        let table = shared.table.lock().await;
        if !shared.ending().contains(key) {
            return table;
        }
        drop(table);
        // The sender is in `shared`, so this waits and does not fail.
        let _ = changed.changed().await;
    }
}

async fn start(order: Order, shared: &Arc<Shared>) -> Result<(), String> {
    order.check(&shared.data)?;
    let mut table = free(&order.key, shared).await;
    if let Some(entry) = table.get(&order.key) {
        return if entry.order == order { Ok(()) } else { Err(format!("{} runs with other files", order.key)) };
    }
    if table.len() >= SUPERVISED_APPS_MAX {
        return Err(format!("{SUPERVISED_APPS_MAX} apps run already"));
    }
    let instance = Instance::start(InstancePlan {
        slug: order.slug.clone(),
        program: shared.program.clone(),
        bundle: order.bundle.clone(),
        data: order.data.clone(),
        socket: control::app_socket(&shared.data, &order.key),
        log: order.log.clone(),
    });
    let mut standing = instance.standing();
    let told = Arc::clone(shared);
    tokio::spawn(async move {
        // Ends with the instance.
        while standing.changed().await.is_ok() {
            told.changed.send_modify(|n| *n += 1);
        }
    });
    table.insert(order.key.clone(), Entry { order, instance });
    drop(table);
    shared.changed.send_modify(|n| *n += 1);
    Ok(())
}

async fn running(shared: &Shared) -> Told {
    let table = shared.table.lock().await;
    let apps = table.values().map(|entry| {
        let standing = entry.instance.standing().borrow().clone();
        Seen { order: entry.order.clone(), health: standing.health, ends: standing.ends, why: standing.why }
    });
    Told::Running { protocol: PROTOCOL, apps: apps.collect() }
}
