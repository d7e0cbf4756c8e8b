//! `/metrics`: everything that is counted, in the Prometheus text format 0.0.4.

use super::state::AppState;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

pub(super) async fn text(State(state): State<AppState>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], (state.metrics)())
}
