//! `/v1/messages`: what callers have left where nobody took their call.

use super::calls::PageQuery;
use super::problem::{Problem, read};
use super::state::AppState;
use crate::store::{Message, Page};
use axum::Json;
use axum::extract::{Query, State};

pub(super) async fn list(
    State(state): State<AppState>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<Message>>, Problem> {
    Ok(Json(read(move || state.store.messages().list(query.before, query.rows())).await?))
}
