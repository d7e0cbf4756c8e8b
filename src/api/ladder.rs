//! `/v1/calls/{id}/ladder`: the SIP messages of a call, as text and as a capture; while they are kept. Secrets were masked
//! before.

use super::problem::{Problem, read};
use super::state::AppState;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use std::sync::PoisonError;

pub(super) async fn text(State(state): State<AppState>, Path(id): Path<String>) -> Result<Response, Problem> {
    let calls = sip_calls(&state, id).await?;
    let ladder = state.ladder.lock().unwrap_or_else(PoisonError::into_inner);
    let text = ladder.text(&calls).ok_or_else(gone)?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")], text)
        .into_response())
}

pub(super) async fn pcap(State(state): State<AppState>, Path(id): Path<String>) -> Result<Response, Problem> {
    let calls = sip_calls(&state, id.clone()).await?;
    let ladder = state.ladder.lock().unwrap_or_else(PoisonError::into_inner);
    let capture = ladder.pcap(&calls).ok_or_else(gone)?;
    let fields = [
        (header::CONTENT_TYPE, "application/vnd.tcpdump.pcap".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{id}.pcap\"")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((fields, capture).into_response())
}

fn gone() -> Problem {
    Problem::not_found("the messages of this call are not kept any more")
}

/// The Call-IDs of a call.
async fn sip_calls(state: &AppState, id: String) -> Result<Vec<String>, Problem> {
    let store = state.store.clone();
    let found = read(move || store.calls().get(&id)).await?;
    let call = found.ok_or_else(|| Problem::not_found("there is no such call"))?;
    let ids = call.details.as_ref().and_then(|details| details.get("sip_call_ids")?.as_array().cloned());
    Ok(ids.into_iter().flatten().filter_map(|id| id.as_str().map(str::to_owned)).collect())
}
