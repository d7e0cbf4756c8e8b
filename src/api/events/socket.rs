//! Events by WebSocket, for those whom server-sent events do not suit: one text message an event, the same envelope. Purpose: the
//! resources that stream events answer `Upgrade: websocket` in this way, from the same position (`?after=`) and for the same
//! token. Owning thread: one tokio task a client. Invariants: no event is left out: what a client has not read yet stays in the
//! store and is bounded here (one batch of it, and what the socket holds), and who reads nothing for [`SEND_MAX`] is closed with
//! 1013 and told after which event to go on; who is silent for [`SILENT_MAX`], pongs included, is gone; the room in which a client
//! follows is given back with the task. A browser, which can set no header field, bears the token as subprotocol `bearer.TOKEN`
//! beside [`PROTOCOL`]. Deliberately absent: messages of clients, which are closed with 1003.

use super::Following;
use crate::api::problem::Problem;
use crate::api::stream::is_own_page;
use crate::telemetry::metric;
use axum::extract::FromRequestParts;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

/// The subprotocol that is chosen where it is offered.
pub(in crate::api) const PROTOCOL: &str = "callwright.events";
/// Before a token among the subprotocols.
pub(in crate::api) const BEARER: &str = "bearer.";
/// Pings are sent this often.
const PING: Duration = Duration::from_secs(15);
/// A client that sends nothing, not even pongs, is gone.
const SILENT_MAX: Duration = Duration::from_secs(50);
/// A client that does not read.
const SEND_MAX: Duration = Duration::from_secs(10);
/// Nothing of clients is taken; this is room for a close frame and a pong.
const MESSAGE_MAX: usize = 1024;

/// What the client wants: a WebSocket, or none.
#[derive(Debug)]
pub(in crate::api) struct Wanted(pub(super) Option<WebSocketUpgrade>);

impl<S: Send + Sync> FromRequestParts<S> for Wanted {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        if !is_wanted(&parts.headers) {
            return Ok(Self(None));
        }
        let refused = |status, why: String| Problem::new(status, format!("this is no WebSocket: {why}"));
        let socket = WebSocketUpgrade::from_request_parts(parts, state);
        let socket = socket.await.map_err(|e| refused(e.status(), e.body_text()))?;
        Ok(Self(Some(socket.max_message_size(MESSAGE_MAX).max_frame_size(MESSAGE_MAX).protocols([PROTOCOL]))))
    }
}

impl Wanted {
    /// Browsers let any page open WebSockets to loopback, and say which page it was; answers to other requests they show to our
    /// own pages alone.
    pub(in crate::api) fn by_own_page(self, headers: &HeaderMap) -> Result<Self, Problem> {
        match self.0.is_none() || is_own_page(headers) {
            true => Ok(self),
            false => Err(Problem::new(StatusCode::FORBIDDEN, "pages of other origins may not listen in")),
        }
    }
}

/// Whether a request is to become a WebSocket.
pub(in crate::api) fn is_wanted(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// The token among the subprotocols of a request that is to become a WebSocket.
pub(in crate::api) fn token(headers: &HeaderMap) -> Option<&str> {
    let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    let mut offered = offered.flat_map(|value| value.split(',')).map(str::trim);
    is_wanted(headers).then(|| offered.find_map(|one| one.strip_prefix(BEARER))).flatten()
}

/// Why a client is told no more.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Gone,
    Because(u16, String),
}

pub(super) fn answer(socket: WebSocketUpgrade, mut following: Following) -> Response {
    socket.on_upgrade(async move |mut socket| {
        let Ended::Because(code, reason) = tell(&mut socket, &mut following).await else { return };
        tracing::debug!(code, reason, "a client is told no more events");
        let frame = CloseFrame { code, reason: Utf8Bytes::from(reason) };
        if matches!(timeout(SEND_MAX, socket.send(Message::Close(Some(frame)))).await, Ok(Ok(()))) {
            // The client's own closing message, so that the connection ends without a reset.
            let farewell = async { while let Some(Ok(_)) = socket.recv().await {} };
            let _ = timeout(Duration::from_secs(2), farewell).await;
        }
    })
}

async fn tell(socket: &mut WebSocket, following: &mut Following) -> Ended {
    let (mut heard, mut last) = (Instant::now(), None);
    let mut pings = interval_at(Instant::now() + PING, PING);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let message = tokio::select! {
            event = following.next() => match event {
                Ok(Some(event)) => {
                    // An envelope of text and numbers always serialises.
                    let text = serde_json::to_string(&*event).unwrap_or_default();
                    last = Some(event.seq);
                    Message::Text(text.into())
                }
                Ok(None) => return Ended::Because(close_code::NORMAL, "the call is over".to_owned()),
                Err(_) => return Ended::Because(close_code::RESTART, "the service is stopping".to_owned()),
            },
            message = socket.recv() => match message {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {
                    heard = Instant::now();
                    continue;
                }
                Some(Ok(Message::Text(_) | Message::Binary(_))) => {
                    return Ended::Because(close_code::UNSUPPORTED, "nothing is taken here".to_owned());
                }
                // Too long is as unwanted, and has broken the framing.
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Ended::Gone,
            },
            _ = pings.tick() => {
                if heard.elapsed() > SILENT_MAX {
                    return Ended::Gone;
                }
                Message::Ping(Vec::new().into())
            }
        };
        match timeout(SEND_MAX, socket.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Ended::Gone,
            Err(_) => {
                metric::event_stream_slow();
                let after = last.map_or(String::new(), |seq| format!("; go on with ?after={}", seq.saturating_sub(1)));
                return Ended::Because(close_code::AGAIN, format!("events are not read{after}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_from_a_socket_alone() {
        let headers = |fields: &[(&'static str, &'static str)]| {
            fields.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect::<HeaderMap>()
        };
        let (upgrade, offered) =
            (("upgrade", "WebSocket"), ("sec-websocket-protocol", "callwright.events, bearer.s3cret"));
        assert_eq!(token(&headers(&[upgrade, offered])), Some("s3cret"));
        assert_eq!(token(&headers(&[offered])), None);
        assert_eq!(token(&headers(&[upgrade])), None);
        assert_eq!(token(&headers(&[upgrade, ("sec-websocket-protocol", "callwright.events")])), None);
        assert!(!is_wanted(&headers(&[("upgrade", "h2c")])) && is_wanted(&headers(&[upgrade])));
    }
}
