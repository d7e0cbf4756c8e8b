//! `/v1/conversations`: what was said.

use super::problem::{Problem, read};
use super::state::AppState;
use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

pub(super) async fn one(State(state): State<AppState>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let found = read(move || state.store.conversations().get(&id)).await?;
    let (conversation, turns) = found.ok_or_else(|| Problem::not_found("there is no such conversation"))?;
    Ok(Json(json!({"conversation": conversation, "turns": turns})))
}
