//! `/v1/webrtc/phones/{number}`: a page waits for calls to a number, as a telephone does that has registered. Purpose: an event
//! stream that tells what rings; a call that rings is taken by an offer (`POST /v1/webrtc?answer=…`) and declined by `DELETE`.
//! Invariants: nobody waits without the token where one is asked for; a page waits for as long as its stream is open. Deliberately
//! absent: what rings where (`call::phones`), offers (`webrtc`).

use super::access::Anonymous;
use super::problem::Problem;
use super::state::AppState;
use super::webrtc::{guarded, refused, shared};
use crate::call::browser::{News, NotWaiting, Seat};
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::mpsc;

/// A proxy that closes what is silent closes nothing here.
const ALIVE_EVERY: Duration = Duration::from_secs(15);

/// What one stream goes by.
struct Waiting {
    /// Said first, so that the page knows that it waits.
    first: Option<Event>,
    news: mpsc::Receiver<News>,
    _seat: Seat,
}

pub(super) async fn wait(
    State(state): State<AppState>,
    Path(number): Path<String>,
    anonymous: Option<Extension<Anonymous>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (browsers, origin) = guarded(&state, &headers)?;
    only_with_token(anonymous)?;
    let (seat, news) = browsers.wait(&number).map_err(|error| match error {
        NotWaiting::Disabled(error) => refused(error),
        NotWaiting::Unknown(_) => Problem::not_found(error.to_string()),
        NotWaiting::NoSeat(_) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    })?;
    let waiting = Waiting { first: Some(event("waiting", &json!({"number": number}))), news, _seat: seat };
    let events = stream::unfold(waiting, |mut waiting| async move {
        let told = match waiting.first.take() {
            Some(first) => first,
            None => told(waiting.news.recv().await?),
        };
        Some((Ok::<_, Infallible>(told), waiting))
    });
    Ok(shared(Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE_EVERY)).into_response(), origin))
}

/// Calls of others are not for whoever may call without a token.
pub(super) fn only_with_token(anonymous: Option<Extension<Anonymous>>) -> Result<(), Problem> {
    match anonymous {
        None => Ok(()),
        Some(_) => Err(Problem::new(StatusCode::UNAUTHORIZED, "calls are taken with the token of [http] only")),
    }
}

fn told(news: News) -> Event {
    match news {
        News::Rings(call) => event("ring", &json!(call)),
        News::Silent { id, why } => event("stop", &json!({"id": id, "why": why.name()})),
    }
}

fn event(name: &str, data: &Value) -> Event {
    Event::default().event(name).data(data.to_string())
}
