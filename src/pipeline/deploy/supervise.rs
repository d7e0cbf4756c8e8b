//! Keeps one app's process alive. Purpose: start, see that it is well, start again with growing pauses when it ends, stop.
//! Owning thread: one tokio task per instance. Invariants: the listening socket is ours and outlives the process, so that no
//! request meets a closed door while it is started again; `Health::Ready` only after it answered for itself; dropping the
//! instance ends the process. Deliberately absent: what the process may do (`os::sandbox`, in the child itself).

use super::fleet::Meta;
use super::upstream;
use crate::apphost::child;
use crate::telemetry::metric;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// How often a process is looked after.
const LOOK: Duration = Duration::from_millis(100);
/// How often a starting process is asked whether it is ready.
const PROBE: Duration = Duration::from_millis(10);
/// A process that is not ready by then is ended.
const READY_MAX: Duration = Duration::from_secs(10);
/// First pause before a process is started again; it doubles with each start that did not last.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A process that lived this long has proven itself: the pauses begin anew.
const PROVEN: Duration = Duration::from_secs(10);
/// Longest path of a unix socket, octets (sun_path).
const SOCKET_PATH_MAX: usize = 107;

/// How an app does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Its process is starting.
    Starting,
    /// It answers.
    Ready,
    /// Its process ended or did not get ready; why, for the log.
    Down(String),
}

/// What to run.
#[derive(Clone, Debug)]
pub struct InstancePlan {
    /// Name of the app, for the log.
    pub slug: String,
    /// This program.
    pub program: PathBuf,
    /// Directory of the bundle, read only for the app.
    pub bundle: PathBuf,
    /// Directory of its data.
    pub data: PathBuf,
    /// Where its socket shall be.
    pub socket: PathBuf,
}

/// One running app.
#[derive(Debug)]
pub struct Instance {
    socket: PathBuf,
    health: watch::Receiver<Health>,
    stop: watch::Sender<bool>,
    keeper: JoinHandle<()>,
}

impl Instance {
    /// Opens the socket and starts the process; returns without waiting for it. Needs a tokio runtime.
    ///
    /// # Errors
    /// The socket or the data directory cannot be made.
    pub fn start(plan: InstancePlan) -> io::Result<Self> {
        std::fs::create_dir_all(&plan.data)?;
        let listener = listen(&plan.socket)?;
        let (health, watcher) = watch::channel(Health::Starting);
        let (stop, stopping) = watch::channel(false);
        let socket = plan.socket.clone();
        let keeper = tokio::spawn(keep(plan, listener, health, stopping));
        Ok(Self { socket, health: watcher, stop, keeper })
    }

    /// For the gateway.
    #[must_use]
    pub fn upstream(&self) -> super::Upstream {
        super::Upstream { socket: self.socket.clone(), health: self.health.clone() }
    }

    /// Waits until it answers; the reason when it ended instead or took too long.
    ///
    /// # Errors
    /// In words for the log.
    pub async fn ready(&self) -> Result<(), String> {
        let mut health = self.health.clone();
        let settled = timeout(READY_MAX + PAUSE_FIRST, health.wait_for(|h| *h != Health::Starting)).await;
        match settled {
            Ok(Ok(health)) => match &*health {
                Health::Down(why) => Err(why.clone()),
                _ => Ok(()),
            },
            Ok(Err(_)) => Err("its keeper ended".into()),
            Err(_) => Err("it did not get ready in time".into()),
        }
    }

    /// Ends the process and removes the socket; returns when it is gone.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        // The keeper never panics on purpose; should it, the process ends with its guard.
        let _ = self.keeper.await;
    }
}

fn listen(socket: &Path) -> io::Result<Arc<UnixListener>> {
    if socket.as_os_str().len() > SOCKET_PATH_MAX {
        let what = format!("the path {} is too long for a socket; give [data] dir a shorter path", socket.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    if let Some(parent) = socket.parent() {
        std::fs::create_dir_all(parent)?;
        std::fs::set_permissions(parent, std::fs::Permissions::from_mode(0o700))?;
    }
    match std::fs::remove_file(socket) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    Ok(Arc::new(UnixListener::bind(socket)?))
}

/// Ends the process when it is dropped, whatever happened.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn keep(
    plan: InstancePlan,
    listener: Arc<UnixListener>,
    health: watch::Sender<Health>,
    mut stopping: watch::Receiver<bool>,
) {
    let mut pause = PAUSE_FIRST;
    while !is_stopped(&stopping) {
        let began = Instant::now();
        metric::app_started(&plan.slug);
        let why = match child::spawn(&plan.program, &plan.bundle, &plan.data, &listener) {
            Ok(child) => watch_over(&plan, Guard(child), &health, &mut stopping).await,
            Err(error) => error.to_string(),
        };
        if is_stopped(&stopping) {
            break;
        }
        if began.elapsed() >= PROVEN {
            pause = PAUSE_FIRST;
        }
        tracing::warn!(app = plan.slug, why, again_ms = pause.as_millis(), "an app ended and is started again");
        health.send_replace(Health::Down(why));
        tokio::select! {
            () = sleep(pause) => {}
            () = stopped(&mut stopping) => break,
        }
        pause = (pause * 2).min(PAUSE_MAX);
        health.send_replace(Health::Starting);
    }
    let _ = std::fs::remove_file(&plan.socket);
    health.send_replace(Health::Down("it was stopped".into()));
}

fn is_stopped(stopping: &watch::Receiver<bool>) -> bool {
    *stopping.borrow() || stopping.has_changed().is_err()
}

/// Resolves when the instance is told to stop or is dropped.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// Returns why the process is no more, once it is no more (or shall be).
async fn watch_over(
    plan: &InstancePlan,
    mut guard: Guard,
    health: &watch::Sender<Health>,
    stopping: &mut watch::Receiver<bool>,
) -> String {
    let began = Instant::now();
    let mut ready = false;
    loop {
        match guard.0.try_wait() {
            Ok(None) => {}
            Ok(Some(status)) => return format!("its process ended with {status}"),
            Err(error) => return format!("its process cannot be watched: {error}"),
        }
        let probe = async { if ready { std::future::pending().await } else { Meta::of(&plan.socket).await } };
        tokio::select! {
            answer = probe => match answer {
                Ok(_) => {
                    ready = true;
                    health.send_replace(Health::Ready);
                }
                Err(upstream::UpstreamError::Meta(what)) => return what,
                Err(_) => sleep(PROBE).await,
            },
            () = sleep(LOOK) => {}
            () = stopped(stopping) => return "it was stopped".into(),
        }
        if !ready && began.elapsed() > READY_MAX {
            return "it did not get ready in time".into();
        }
    }
}
