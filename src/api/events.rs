//! `/v1/events`: everything that happens, as server-sent events or by WebSocket (`socket`); `/v1/calls/{id}/events`: what happens
//! on one call. Replays from `Last-Event-ID` (or `?after=`), then goes on live; without either it begins with what happens next.

mod socket;

use super::problem::{Problem, read};
use super::seat::Seat;
use super::state::AppState;
use crate::bus::{BusError, EventKind, Subscription};
use crate::call::browser::Browsers;
use crate::id::CallId;
use crate::limits::{BROWSER_STREAMS_MAX, EVENT_STREAMS_MAX};
use crate::store::Event as Happening;
use crate::telemetry::metric;
use crate::time::Wallclock;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

pub(super) use socket::{Wanted, token};

/// Whence to start for everything that happens from this time on, unless the client says itself.
pub(super) async fn since(
    state: &AppState,
    start: Start,
    headers: &HeaderMap,
    time: Option<Wallclock>,
) -> Result<Start, Problem> {
    let said = start.after.is_some() || headers.contains_key("last-event-id");
    let Some(time) = time.filter(|_| !said) else { return Ok(start) };
    let store = state.store.clone();
    let position = read(move || store.events().before(time)).await?;
    Ok(Start { after: Some(position.to_string()) })
}

/// Where to start.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Start {
    /// A position or an event's id.
    after: Option<String>,
}

pub(super) async fn stream(
    State(state): State<AppState>,
    Query(start): Query<Start>,
    headers: HeaderMap,
    wanted: Wanted,
) -> Result<Response, Problem> {
    let wanted = wanted.by_own_page(&headers)?;
    let room = Box::new(seat(&state)?);
    let after = start_of(&state, start, &headers).await?;
    Ok(answer(Following::new(&state, after, None, room), wanted))
}

/// The call's own events and those of the conversation on it. Ends with the call.
pub(super) async fn of_call(
    State(state): State<AppState>,
    Path(id): Path<String>,
    Query(start): Query<Start>,
    headers: HeaderMap,
    wanted: Wanted,
) -> Result<Response, Problem> {
    let wanted = wanted.by_own_page(&headers)?;
    let (store, call) = (state.store.clone(), id.clone());
    let known = read(move || store.calls().get(&call)).await?.is_some();
    if !known && !(state.live_calls.list)().iter().any(|live| live.id == id) {
        return Err(Problem::not_found("there is no such call"));
    }
    let browser = state.browsers.as_ref().zip(id.parse().ok()).filter(|(browsers, call)| browsers.is_in(*call));
    let (room, before): (Room, u64) = match browser {
        None => (Box::new(seat(&state)?), 0),
        Some((browsers, call)) => room_of(browsers, call)?,
    };
    let after = start_of(&state, start, &headers).await?.map(|after| after.max(before));
    Ok(answer(Following::new(&state, after, Some(id), room), wanted))
}

/// The same for a browser, which knows its part of the call by another name where it has taken it.
pub(super) async fn of_browser(
    state: &AppState,
    browsers: &Browsers,
    (part, whole): (CallId, CallId),
    start: Start,
    headers: &HeaderMap,
    wanted: Wanted,
) -> Result<Response, Problem> {
    let (room, before) = room_of(browsers, part)?;
    let after = start_of(state, start, headers).await?.map(|after| after.max(before));
    Ok(answer(Following::new(state, after, Some(whole.to_string()), room), wanted))
}

/// A browser's call has room of its own, so that nobody who calls takes that of others; and nothing before it is looked at.
fn room_of(browsers: &Browsers, call: CallId) -> Result<(Room, u64), Problem> {
    let follower = browsers.follow(call).ok_or_else(|| {
        let why = format!("{BROWSER_STREAMS_MAX} clients follow the events of this call already");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, why)
    })?;
    let before = follower.before;
    Ok((Box::new(follower), before))
}

/// Behind which event to begin.
async fn start_of(state: &AppState, start: Start, headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let last = headers.get("last-event-id").and_then(|v| v.to_str().ok()).map(str::to_owned).or(start.after);
    match last {
        None => Ok(None),
        Some(last) => position(state, last).await.map(Some),
    }
}

/// A client that is told what happens.
pub(super) struct Following {
    subscription: Subscription,
    /// What it is told of; `None`: everything.
    subjects: Option<Vec<String>>,
    over: bool,
    _room: Room,
}

impl Following {
    fn new(state: &AppState, after: Option<u64>, call: Option<String>, room: Room) -> Self {
        // A conversation has the number of its call.
        let conversation = call.as_ref().map(|id| id.replacen("call_", "conv_", 1));
        let subjects = call.map(|id| conversation.into_iter().chain([id]).collect());
        Self { subscription: state.bus.subscribe(after), subjects, over: false, _room: room }
    }

    /// The next event; `None`: that was the call's last. Cancel safe.
    async fn next(&mut self) -> Result<Option<Arc<Happening>>, BusError> {
        while !self.over {
            let event = self.subscription.next().await?;
            if self.subjects.as_ref().is_some_and(|subjects| !subjects.contains(&event.subject)) {
                continue;
            }
            self.over = self.subjects.is_some() && event.kind == EventKind::CallEnded.name();
            return Ok(Some(event));
        }
        Ok(None)
    }
}

fn answer(following: Following, wanted: Wanted) -> Response {
    if let Some(socket) = wanted.0 {
        return socket::answer(socket, following);
    }
    let events = stream::unfold(following, async |mut following| {
        let event = match following.next().await {
            Ok(event) => event?,
            Err(error) => {
                tracing::debug!(%error, "an event stream ended");
                return None;
            }
        };
        // An envelope of text and numbers always serialises; an empty message would only be passed over.
        let data = serde_json::to_string(&*event).unwrap_or_default();
        let message = Event::default().id(event.seq.to_string()).event(event.kind.clone()).data(data);
        Some((Ok::<_, Infallible>(message), following))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))).into_response()
}

/// A position as number, or that of the event with this id.
async fn position(state: &AppState, last: String) -> Result<u64, Problem> {
    if let Ok(position) = last.parse() {
        return Ok(position);
    }
    let store = state.store.clone();
    let found = read(move || store.events().position(&last)).await?;
    found.ok_or_else(|| Problem::not_found("there is no event with that id (any more); start without Last-Event-ID"))
}

/// What a stream takes, for as long as somebody follows.
type Room = Box<dyn Send>;

/// A place at the event stream.
fn seat(state: &AppState) -> Result<Seat, Problem> {
    Seat::take(&state.streams, metric::event_streams).map_err(|_| {
        let why = format!("{EVENT_STREAMS_MAX} clients follow the events already");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, why)
    })
}
