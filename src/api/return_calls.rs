//! `/v1/return_calls`: callers who are called when their build is over; a POST calls again for what was given up.

use super::calls::PageQuery;
use super::problem::{Problem, read};
use super::state::AppState;
use crate::os::clock;
use crate::store::{Page, ReturnCall};
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;

pub(super) async fn list(
    State(state): State<AppState>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<ReturnCall>>, Problem> {
    Ok(Json(read(move || state.store.return_calls().list(query.before, query.rows())).await?))
}

/// Calls again for what was given up or interrupted.
pub(super) async fn retry(State(state): State<AppState>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    match state.store.return_calls().retry(&id, clock::wall()).await? {
        Some(true) => Ok(StatusCode::ACCEPTED),
        Some(false) => Err(Problem::new(StatusCode::CONFLICT, "it was neither given up nor interrupted")),
        None => Err(Problem::not_found("there is no such return call")),
    }
}
