//! `/incoming`, `/incoming/status` and `/media`: where Twilio's calls come in. Purpose: requests and sockets in the words of the
//! door. Tokio tasks. Invariants: these three bear no token of ours, since Twilio signs them; what is not signed gets 403 and no
//! more. Deliberately absent: who has signed (`twilio::door`), what the socket says (`twilio::leg`).

use super::connection::Secured;
use super::problem::Problem;
use super::state::AppState;
use crate::limits::TWILIO_MESSAGE_MAX;
use crate::twilio::ed25519::{NotProven, Proof};
use crate::twilio::{Door, DoorError, Heard, Socket, Webhook, twiml};
use axum::body::Bytes;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, State};
use axum::http::{Extensions, HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

impl From<DoorError> for Problem {
    fn from(error: DoorError) -> Self {
        let status = match error {
            DoorError::Malformed => StatusCode::BAD_REQUEST,
            DoorError::Full | DoorError::NotProven(NotProven::Full) => StatusCode::SERVICE_UNAVAILABLE,
            DoorError::Off
            | DoorError::TelnyxOff
            | DoorError::Unsigned
            | DoorError::NotProven(_)
            | DoorError::OtherAccount
            | DoorError::NoToken(_) => StatusCode::FORBIDDEN,
        };
        Self::new(status, error.to_string())
    }
}

fn door(state: &AppState) -> Result<Arc<Door>, Problem> {
    state.twilio.clone().ok_or_else(|| DoorError::Off.into())
}

/// What the door needs to know of a request.
fn webhook<'a>(extensions: &Extensions, uri: &'a Uri, headers: &'a HeaderMap, body: &'a [u8]) -> Webhook<'a> {
    let field = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let kind = field(header::CONTENT_TYPE.as_str()).unwrap_or_default();
    Webhook {
        peer: peer(extensions),
        secure: extensions.get::<Secured>().is_some(),
        host: field(header::HOST.as_str()),
        forwarded_proto: field("x-forwarded-proto"),
        forwarded_host: field("x-forwarded-host"),
        signature: field("x-twilio-signature"),
        telnyx: field("telnyx-signature-ed25519")
            .zip(field("telnyx-timestamp"))
            .map(|(signature, timestamp)| Proof { signature, timestamp }),
        path_and_query: uri.path_and_query().map_or("/", |path| path.as_str()),
        body,
        is_form: kind.trim().to_ascii_lowercase().starts_with("application/x-www-form-urlencoded"),
    }
}

/// Whose connection it is.
fn peer(extensions: &Extensions) -> SocketAddr {
    // A server without addresses does not exist.
    extensions.get::<ConnectInfo<SocketAddr>>().map_or((Ipv4Addr::UNSPECIFIED, 0).into(), |info| info.0)
}

/// A call comes in: TwiML that connects it.
pub(super) async fn incoming(
    State(state): State<AppState>,
    uri: Uri,
    extensions: Extensions,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let document = door(&state)?.incoming(&webhook(&extensions, &uri, &headers, &body))?;
    Ok(([(header::CONTENT_TYPE, twiml::CONTENT_TYPE)], document).into_response())
}

/// What became of a call.
pub(super) async fn status(
    State(state): State<AppState>,
    uri: Uri,
    extensions: Extensions,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    door(&state)?.status(&webhook(&extensions, &uri, &headers, &body))?;
    Ok(StatusCode::NO_CONTENT)
}

/// The audio of a call.
pub(super) async fn media(
    State(state): State<AppState>,
    uri: Uri,
    extensions: Extensions,
    headers: HeaderMap,
    socket: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let (door, peer) = (door(&state)?, peer(&extensions));
    let request = webhook(&extensions, &uri, &headers, &[]);
    let token = door.token_of_socket(request.path_and_query);
    if token.is_none() {
        door.admit_socket(&request)?;
    }
    let socket = socket.map_err(|refused| {
        Problem::new(refused.status(), format!("connect with a WebSocket client: {}", refused.body_text()))
    })?;
    let socket = socket.max_message_size(TWILIO_MESSAGE_MAX).max_frame_size(TWILIO_MESSAGE_MAX);
    Ok(socket.on_upgrade(move |socket| door.serve(Connection(socket), peer, token)))
}

struct Connection(WebSocket);

impl Socket for Connection {
    async fn next(&mut self) -> Option<Heard> {
        Some(match self.0.recv().await? {
            Ok(Message::Text(text)) => Heard::Text(text.as_str().to_owned()),
            Ok(Message::Binary(_)) => Heard::Octets,
            Ok(Message::Ping(_) | Message::Pong(_)) => Heard::Nothing,
            Ok(Message::Close(_)) => return None,
            Err(error) => Heard::Broken(error.to_string()),
        })
    }

    async fn send(&mut self, text: String) -> bool {
        self.0.send(Message::Text(text.into())).await.is_ok()
    }

    async fn close(&mut self, code: u16, reason: &'static str) {
        // The other side may be gone.
        let _ = self.0.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await;
    }
}
