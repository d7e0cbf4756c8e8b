//! Keeps one app's process alive. Purpose: start, see that it is well, start again with growing pauses when it ends, stop.
//! Owning thread: one tokio task per instance, in the supervisor's process (for trials in the daemon's). Invariants:
//! `Health::Ready` only after it answered for itself; the listening socket outlives the process, so that what comes while it
//! is started again waits; dropping the instance ends the process. Deliberately absent: what the process may do
//! (`os::sandbox`, in the child itself).

use super::upstream;
use crate::apphost::child::{self, AppChild, Plan};
use crate::apphost::service::Purpose;
use crate::limits::{APP_DATA_FILES_MAX, APP_DATA_MAX};
use crate::os::process;
use serde::{Deserialize, Serialize};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
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
/// Requests under way get this long when an app is stopped.
const GRACE: Duration = Duration::from_secs(2);
/// How often the size of its data is looked at.
const WEIGH: Duration = Duration::from_secs(1);
/// An app's log is begun anew beyond this, octets.
const LOG_MAX: u64 = 4 << 20;

/// How an app does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
    /// File for its log.
    pub log: PathBuf,
}

/// How an instance stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) health: Health,
    /// Ends of its process that nobody asked for.
    pub(super) ends: u64,
    /// Why, the last time.
    pub(super) why: String,
}

/// One running app.
#[derive(Debug)]
pub struct Instance {
    socket: PathBuf,
    standing: watch::Receiver<Standing>,
    stop: watch::Sender<bool>,
    keeper: JoinHandle<()>,
}

impl Instance {
    /// Starts the process; returns without waiting for it. Needs a tokio runtime.
    #[must_use]
    pub fn start(plan: InstancePlan) -> Self {
        let begin = Standing { health: Health::Starting, ends: 0, why: String::new() };
        let (teller, standing) = watch::channel(begin);
        let (stop, stopping) = watch::channel(false);
        let socket = plan.socket.clone();
        let keeper = tokio::spawn(keep(plan, teller, stopping));
        Self { socket, standing, stop, keeper }
    }

    /// Where it answers.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// How it stands, from now on.
    pub(super) fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.clone()
    }

    /// Waits until it answers; the reason when it ended instead or took too long.
    ///
    /// # Errors
    /// In words for the log.
    pub async fn ready(&self) -> Result<(), String> {
        let mut standing = self.standing.clone();
        let settled = timeout(READY_MAX + PAUSE_FIRST, standing.wait_for(|s| s.health != Health::Starting)).await;
        match settled {
            Ok(Ok(standing)) => in_words(&standing.health),
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

/// Waits until an app that the supervisor keeps answers; as [`Instance::ready`].
pub(super) async fn ready(health: &watch::Receiver<Health>) -> Result<(), String> {
    let mut health = health.clone();
    match timeout(READY_MAX * 2, health.wait_for(|h| *h != Health::Starting)).await {
        Ok(Ok(health)) => in_words(&health),
        Ok(Err(_)) => Err("nobody keeps it any more".into()),
        Err(_) => Err("it did not get ready in time".into()),
    }
}

fn in_words(health: &Health) -> Result<(), String> {
    match health {
        Health::Down(why) => Err(why.clone()),
        _ => Ok(()),
    }
}

async fn keep(plan: InstancePlan, teller: watch::Sender<Standing>, mut stopping: watch::Receiver<bool>) {
    let mut pause = PAUSE_FIRST;
    let health = |health| teller.send_modify(|standing| standing.health = health);
    let mut listener = None;
    while !is_stopped(&stopping) {
        let began = Instant::now();
        let why = match start_process(&plan, &mut listener) {
            Ok(mut process) => {
                let why = watch_over(&plan, &mut process, &health, &mut stopping).await;
                // Ends it if it lives. Should the runtime be ending too, dropping it does the same.
                let _ = spawn_blocking(move || process.stop(GRACE)).await;
                why
            }
            Err(why) => why,
        };
        if is_stopped(&stopping) {
            break;
        }
        if began.elapsed() >= PROVEN {
            pause = PAUSE_FIRST;
        }
        tracing::warn!(app = plan.slug, why, again_ms = pause.as_millis(), "an app ended and is started again");
        teller.send_modify(|standing| {
            standing.ends += 1;
            standing.why.clone_from(&why);
            standing.health = Health::Down(why);
        });
        tokio::select! {
            () = sleep(pause) => {}
            () = stopped(&mut stopping) => break,
        }
        pause = (pause * 2).min(PAUSE_MAX);
        health(Health::Starting);
    }
    // Its listener is closed with this task.
    let _ = std::fs::remove_file(&plan.socket);
    health(Health::Down("it was stopped".into()));
}

fn is_stopped(stopping: &watch::Receiver<bool>) -> bool {
    *stopping.borrow() || stopping.has_changed().is_err()
}

/// Resolves when the instance is told to stop or is dropped.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stop| *stop).await;
}

fn start_process(plan: &InstancePlan, listener: &mut Option<UnixListener>) -> Result<AppChild, String> {
    if std::fs::metadata(&plan.log).is_ok_and(|log| log.len() > LOG_MAX) {
        // Nothing is lost that anybody could still want; a log that cannot be removed only stays long.
        let _ = std::fs::remove_file(&plan.log);
    }
    let made = match listener.take() {
        Some(made) => made,
        None => child::listen(&plan.socket).map_err(|e| e.to_string())?,
    };
    let passed = made.try_clone().map_err(|e| e.to_string());
    *listener = Some(made);
    let plan = Plan {
        // Looked for each time: a package may have put another one there, or have taken it away.
        exe: process::at_or_own(&plan.program),
        bundle: plan.bundle.clone(),
        data: plan.data.clone(),
        socket: plan.socket.clone(),
        log: plan.log.clone(),
        purpose: Purpose::Serve,
    };
    child::spawn_on(&plan, passed?).map_err(|e| e.to_string())
}

/// Looks at all that is in `data`: the sandbox bounds one file (and lets it make no directory), this their sum and their number.
///
/// # Errors
/// What there is too much of.
fn weigh(data: &Path) -> Result<(), String> {
    let (mut octets, mut files) = (0_u64, 0_usize);
    // A directory or a file that goes meanwhile weighs nothing.
    for entry in std::fs::read_dir(data).into_iter().flatten().flatten() {
        octets = octets.saturating_add(entry.metadata().map_or(0, |file| file.len()));
        files += 1;
        if octets > APP_DATA_MAX {
            return Err(format!("its data is larger than {} MB", APP_DATA_MAX >> 20));
        }
        if files > APP_DATA_FILES_MAX {
            return Err(format!("its data is more than {APP_DATA_FILES_MAX} files"));
        }
    }
    Ok(())
}

/// Returns why the process is no more, once it is no more (or shall be).
async fn watch_over(
    plan: &InstancePlan,
    process: &mut AppChild,
    health: &impl Fn(Health),
    stopping: &mut watch::Receiver<bool>,
) -> String {
    let began = Instant::now();
    let socket = process.socket().to_owned();
    let mut ready = false;
    let mut weighed = began;
    loop {
        if weighed.elapsed() > WEIGH {
            weighed = Instant::now();
            if let Err(why) = weigh(&plan.data) {
                return why;
            }
        }
        if !process.is_running() {
            return format!("its process ended: {}", process.last_words());
        }
        let probe = async { if ready { std::future::pending().await } else { upstream::meta(&socket).await } };
        tokio::select! {
            answer = probe => match answer {
                Ok(_) => {
                    ready = true;
                    health(Health::Ready);
                }
                Err(upstream::UpstreamError::Meta(what)) => return what,
                Err(_) => sleep(PROBE).await,
            },
            () = sleep(LOOK) => {}
            () = stopped(stopping) => return "it was stopped".into(),
        }
        if !ready && began.elapsed() > READY_MAX {
            return format!("it did not get ready in time: {}", process.last_words());
        }
    }
}
