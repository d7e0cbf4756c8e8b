//! `POST /v1/reload`: puts the configuration file in force as far as that goes without a restart. Calls that are up go on.

use super::problem::Problem;
use super::state::AppState;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use tokio::task::spawn_blocking;

/// What a reload has done.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Sections {
    /// In force from the next call on
    applied: Vec<String>,
    /// Changed, and waiting for a restart
    needs_restart: Vec<String>,
}

pub(super) async fn reload(
    State(state): State<AppState>,
    headers: HeaderMap,
    octets: axum::body::Bytes,
) -> Result<Json<Sections>, Problem> {
    let Value::Object(_) = super::steer::body::<Value>(&headers, &octets)? else {
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "send an empty object"));
    };
    let reload = state.reload.clone().ok_or_else(|| Problem::not_found("nothing can be reloaded here"))?;
    let done = spawn_blocking(move || reload()).await;
    let broken = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the reload was not finished");
    let reloaded = done.map_err(broken)?.map_err(|why| Problem::new(StatusCode::CONFLICT, why))?;
    Ok(Json(Sections { applied: reloaded.applied, needs_restart: reloaded.needs_restart }))
}
