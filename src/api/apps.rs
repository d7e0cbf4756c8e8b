//! `/v1/apps`: what runs, what it holds and what goes through it.

use super::problem::{Problem, read};
use super::state::AppState;
use crate::pipeline::deploy::RollBackError;
use crate::store::App;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

/// How far a rollback may go.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RollBackQuery {
    lose_data: bool,
}

/// Brings the version before back.
pub(super) async fn roll_back(
    State(state): State<AppState>,
    Path(name): Path<String>,
    Query(query): Query<RollBackQuery>,
) -> Result<Json<App>, Problem> {
    let app = state.pipeline.roll_back(&name, query.lose_data).await.map_err(|error| {
        let said = error.to_string();
        match error {
            RollBackError::Unknown(_) => Problem::not_found(said),
            RollBackError::First | RollBackError::NoCopy { .. } => Problem::new(StatusCode::CONFLICT, said),
            RollBackError::LosesData { version } => {
                Problem::new(StatusCode::CONFLICT, said).of_kind("loses_data").with("version", version.into())
            }
            RollBackError::Deploy(_) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, said),
        }
    })?;
    Ok(Json(app))
}

/// Takes an app away.
pub(super) async fn delete(State(state): State<AppState>, Path(name): Path<String>) -> Result<StatusCode, Problem> {
    let gone = state.pipeline.delete(&name).await;
    match gone.map_err(|e| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found("there is no app of that name")),
    }
}

pub(super) async fn list(State(state): State<AppState>) -> Result<Json<Value>, Problem> {
    let store = state.store.clone();
    let apps = read(move || store.apps().list()).await?;
    let items: Vec<_> = apps
        .into_iter()
        .map(|app| {
            let traffic = state.pipeline.traffic(&app.slug);
            json!({"app": app, "traffic": traffic})
        })
        .collect();
    Ok(Json(json!({"items": items})))
}

/// The figures that the agent says on the phone; `name` as people say it.
pub(super) async fn facts(State(state): State<AppState>, Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    let facts = state.pipeline.facts(&name).await?;
    if let Some(known) = facts.unknown {
        return Err(Problem::not_found("there is no app of that name").with("known", known.into()));
    }
    Ok(Json(json!({
        "name": facts.name,
        "deployed": facts.deployed,
        "apis_live": facts.apis_live,
        "records": facts.records,
        "requests_per_minute": facts.requests_per_minute,
    })))
}
