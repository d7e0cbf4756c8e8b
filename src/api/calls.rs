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
    let found = read(move || {
        let Some(call) = state.store.calls().get(&id)? else { return Ok(None) };
        Ok(Some((call, state.store.recordings().get(&id)?)))
    });
    let (call, recording) = found.await?.ok_or_else(|| Problem::not_found("there is no such call"))?;
    let mut shown = json!(call);
    shown["recording"] = json!(recording);
    Ok(Json(shown))
}
