//! Keeps one app's process alive. Purpose: start, see that it is well, start again with growing pauses when it ends, stop.
//! Owning thread: one tokio task per instance. Invariants: `Health::Ready` only after it answered for itself; dropping the
//! instance ends the process. Deliberately absent: what the process may do (`os::sandbox`, in the child itself).

use super::upstream;
use crate::apphost::child::{self, AppChild, Plan};
use crate::apphost::service::Purpose;
use crate::os::clock;
use crate::store::{EventKind, Store};
use crate::telemetry::metric;
use serde_json::json;
use std::path::PathBuf;
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
/// An app's log is begun anew beyond this, octets.
const LOG_MAX: u64 = 4 << 20;

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
    /// File for its log.
    pub log: PathBuf,
    /// Where an end that nobody asked for is written down; None: nowhere (trials).
    pub outages: Option<Store>,
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
    /// Starts the process; returns without waiting for it. Needs a tokio runtime.
    #[must_use]
    pub fn start(plan: InstancePlan) -> Self {
        let (health, watcher) = watch::channel(Health::Starting);
        let (stop, stopping) = watch::channel(false);
        let socket = plan.socket.clone();
        let keeper = tokio::spawn(keep(plan, health, stopping));
        Self { socket, health: watcher, stop, keeper }
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

async fn keep(plan: InstancePlan, health: watch::Sender<Health>, mut stopping: watch::Receiver<bool>) {
    let mut pause = PAUSE_FIRST;
    while !is_stopped(&stopping) {
        let began = Instant::now();
        metric::app_started(&plan.slug);
        let why = match start_process(&plan) {
            Ok(mut process) => {
                let why = watch_over(&mut process, &health, &mut stopping).await;
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
        if let Some(store) = &plan.outages {
            let now = clock::wall();
            let data = json!({"why": why, "again_ms": pause.as_millis()});
            // Not waited for: the app comes first, and the log has it already.
            drop(store.events().append(EventKind::AppDown, &plan.slug, &now.0.to_string(), now, data));
        }
        health.send_replace(Health::Down(why));
        tokio::select! {
            () = sleep(pause) => {}
            () = stopped(&mut stopping) => break,
        }
        pause = (pause * 2).min(PAUSE_MAX);
        health.send_replace(Health::Starting);
    }
    health.send_replace(Health::Down("it was stopped".into()));
}

fn is_stopped(stopping: &watch::Receiver<bool>) -> bool {
    *stopping.borrow() || stopping.has_changed().is_err()
}

/// Resolves when the instance is told to stop or is dropped.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stop| *stop).await;
}

fn start_process(plan: &InstancePlan) -> Result<AppChild, String> {
    if std::fs::metadata(&plan.log).is_ok_and(|log| log.len() > LOG_MAX) {
        // Nothing is lost that anybody could still want; a log that cannot be removed only stays long.
        let _ = std::fs::remove_file(&plan.log);
    }
    let plan = Plan {
        exe: plan.program.clone(),
        bundle: plan.bundle.clone(),
        data: plan.data.clone(),
        socket: plan.socket.clone(),
        log: plan.log.clone(),
        purpose: Purpose::Serve,
    };
    child::spawn(&plan).map_err(|e| e.to_string())
}

/// Returns why the process is no more, once it is no more (or shall be).
async fn watch_over(
    process: &mut AppChild,
    health: &watch::Sender<Health>,
    stopping: &mut watch::Receiver<bool>,
) -> String {
    let began = Instant::now();
    let socket = process.socket().to_owned();
    let mut ready = false;
    loop {
        if !process.is_running() {
            return format!("its process ended: {}", process.last_words());
        }
        let probe = async { if ready { std::future::pending().await } else { upstream::meta(&socket).await } };
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
            return format!("it did not get ready in time: {}", process.last_words());
        }
    }
}
