//! `/health`: how the daemon does, for people, load balancers and systemd alike.

use super::connection;
use super::state::AppState;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

/// One engine of speech.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Engine {
    /// `asr`, `tts`, `vad`.
    pub part: String,
    /// Which engine serves.
    pub name: String,
    /// True when it is a fallback of narrow use.
    pub limited: bool,
    /// What to know, and why it is not what was wanted.
    pub note: String,
    /// What was configured: `auto`, or an engine by name.
    pub wanted: String,
    /// Agents that it serves; empty: all.
    pub agents: Vec<String>,
    /// The command that mends it.
    pub mend: Option<String>,
}

/// One part of the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Subsystem {
    /// `sip`, `media`, `speech`, `store`, `pipeline`.
    pub name: String,
    /// Whether it serves.
    pub healthy: bool,
    /// Why not, or what to know.
    pub note: String,
}

/// How the daemon does now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HealthSnapshot {
    /// Engines of speech.
    pub engines: Vec<Engine>,
    /// Scheduling class of the media workers, e.g. `SCHED_FIFO 60` or `nice -20`.
    pub scheduling: String,
    /// Parts of the daemon.
    pub subsystems: Vec<Subsystem>,
}

/// Parts without which calls are taken all the same; they make the daemon degraded, not unready.
const BESIDE_CALLS: [&str; 2] = ["store", "pipeline"];

impl HealthSnapshot {
    fn is_healthy(&self) -> bool {
        self.subsystems.iter().all(|part| part.healthy)
    }
}

pub(super) async fn report(State(state): State<AppState>) -> Json<Value> {
    let snapshot = (state.health)();
    let status = if snapshot.is_healthy() { "ok" } else { "degraded" };
    Json(json!({
        "status": status,
        "version": env!("CARGO_PKG_VERSION"),
        "engines": snapshot.engines,
        "https": state.certificate.as_deref().map(connection::shown),
        "scheduling": snapshot.scheduling,
        "subsystems": snapshot.subsystems,
    }))
}

/// The process answers; nothing more is claimed.
pub(super) async fn live() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// 200 when calls can be taken, else 503 with the parts that are not well.
pub(super) async fn ready(State(state): State<AppState>) -> (StatusCode, Json<Value>) {
    let snapshot = (state.health)();
    let unwell: Vec<_> = snapshot
        .subsystems
        .iter()
        .filter(|part| !part.healthy && !BESIDE_CALLS.contains(&part.name.as_str()))
        .collect();
    if unwell.is_empty() {
        return (StatusCode::OK, Json(json!({"status": "ok"})));
    }
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "unavailable", "subsystems": unwell})))
}
