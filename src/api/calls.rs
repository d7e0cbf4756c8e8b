//! `/v1/calls`: calls that are up and call detail records.

use super::problem::{Problem, read};
use super::state::AppState;
use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

/// Which page of a list.
#[derive(Debug, Deserialize)]
pub(super) struct PageQuery {
    /// `next` of the page before.
    pub(super) before: Option<i64>,
    /// Rows; 50 unless said.
    pub(super) limit: Option<usize>,
}

impl PageQuery {
    pub(super) fn rows(&self) -> usize {
        self.limit.unwrap_or(50)
    }
}

pub(super) async fn list(
    State(state): State<AppState>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Value>, Problem> {
    let store = state.store.clone();
    let page = read(move || store.calls().list(query.before, query.rows())).await?;
    Ok(Json(json!({"live": (state.live_calls.list)(), "items": page.items, "next": page.next})))
}

/// The record, with what is known of its recording (`null`: it was not recorded).
pub(super) async fn one(State(state): State<AppState>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let live = (state.live_calls.list)().into_iter().find(|live| live.id == id);
    let found = read(move || {
        let Some(call) = state.store.calls().get(&id)? else { return Ok(None) };
        Ok(Some((call, state.store.recordings().get(&id)?)))
    });
    let (mut shown, recording) = match (found.await?, &live) {
        (Some((call, recording)), _) => (json!(call), json!(recording)),
        // So new that its record has not been written.
        (None, Some(live)) => (json!(live), Value::Null),
        (None, None) => return Err(Problem::not_found("there is no such call")),
    };
    shown["state"] = json!(live.map_or_else(|| "ended".to_owned(), |live| live.state));
    shown["recording"] = recording;
    Ok(Json(shown))
}
