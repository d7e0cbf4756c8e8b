//! `/v1/apps`: what runs, what it holds and what goes through it.

use super::problem::{Problem, read};
use super::state::AppState;
use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

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
