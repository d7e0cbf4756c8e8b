//! `/v1/deliveries`: apps' messages to webhooks, those that wait and those that were given up; a POST tries one again.

use super::problem::{Problem, read};
use super::state::AppState;
use crate::limits::PAGE_ROWS_MAX;
use crate::os::clock;
use crate::store::{Delivery, DeliveryState, Page};
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;

/// Rows of a page unless said.
const ROWS: usize = 50;

/// Which ones.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DeliveriesQuery {
    state: Option<String>,
    app: Option<String>,
    before: Option<i64>,
    limit: Option<usize>,
}

pub(super) async fn list(
    State(state): State<AppState>,
    Query(query): Query<DeliveriesQuery>,
) -> Result<Json<Page<Delivery>>, Problem> {
    let wanted = match query.state.as_deref() {
        None => None,
        Some(word) => Some(
            DeliveryState::of(word)
                .ok_or_else(|| Problem::new(StatusCode::BAD_REQUEST, "state is one of waiting, delivered, dead"))?,
        ),
    };
    let rows = query.limit.unwrap_or(ROWS).clamp(1, PAGE_ROWS_MAX);
    let found = read(move || state.store.deliveries().list(wanted, query.app.as_deref(), query.before, rows));
    Ok(Json(found.await?))
}

/// Sends a message again that was given up.
pub(super) async fn retry(State(state): State<AppState>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    match state.store.deliveries().retry(&id, clock::wall()).await? {
        Some(true) => Ok(StatusCode::ACCEPTED),
        Some(false) => Err(Problem::new(StatusCode::CONFLICT, "it was not given up")),
        None => Err(Problem::not_found("there is no such delivery")),
    }
}
