//! `/v1/trunks`: how the trunks stand: where they are, whether we are registered there, and what of them is in use.

use super::problem::Problem;
use super::state::AppState;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

pub(super) async fn list(State(state): State<AppState>) -> Result<Json<Value>, Problem> {
    let items = match &state.trunks {
        Some(trunks) => trunks().await.map_err(|why| Problem::new(StatusCode::SERVICE_UNAVAILABLE, why))?,
        None => Vec::new(),
    };
    Ok(Json(json!({"items": items})))
}
