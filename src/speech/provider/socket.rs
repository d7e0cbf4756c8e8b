//! A WebSocket (RFC 6455) to a provider. Purpose: opened by the HTTP client, so that proxies, certificates and error
//! answers are the same as for requests. Owning thread: the cloud. Invariant: a message larger than
//! `limits::PROVIDER_MESSAGE_MAX` ends the connection. Deliberately absent: what the messages say.

use super::failure::ProviderError;
use super::request::answer_error;
use crate::limits::PROVIDER_MESSAGE_MAX;
use futures_util::{SinkExt, StreamExt};
use reqwest::header::{CONNECTION, HeaderMap, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use reqwest::{Client, StatusCode, Upgraded, Url};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    Text(String),
    /// The other side ends the connection; its code (RFC 6455 section 7.4) and reason.
    Closed {
        code: u16,
        reason: String,
    },
    /// Nothing for us.
    Other,
}

/// The code that stands for "no code" (RFC 6455 section 7.1.5).
const NO_STATUS: u16 = 1005;

/// An open connection.
#[derive(Debug)]
pub(super) struct Socket {
    stream: WebSocketStream<Upgraded>,
}

impl Socket {
    /// Opens it. `redact` takes the key out of what an error answer says.
    pub(super) async fn open(
        client: &Client,
        url: Url,
        headers: HeaderMap,
        redact: impl Fn(&str) -> String,
    ) -> Result<Self, ProviderError> {
        let key = generate_key();
        let response = client
            .get(url)
            .headers(headers)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, &key)
            .send()
            .await
            .map_err(ProviderError::of_request)?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(answer_error(response, redact).await);
        }
        let accepted = response.headers().get(SEC_WEBSOCKET_ACCEPT).map(|value| value.as_bytes().to_vec());
        if accepted.as_deref() != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
            return Err(ProviderError::Garbage("it is no WebSocket server".into()));
        }
        let upgraded = response.upgrade().await.map_err(ProviderError::of_request)?;
        let config = WebSocketConfig::default()
            .max_message_size(Some(PROVIDER_MESSAGE_MAX))
            .max_frame_size(Some(PROVIDER_MESSAGE_MAX));
        Ok(Self { stream: WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(config)).await })
    }

    pub(super) async fn send_octets(&mut self, octets: Vec<u8>) -> Result<(), ProviderError> {
        self.stream.send(Message::binary(octets)).await.map_err(failed)
    }

    pub(super) async fn send_text(&mut self, text: &'static str) -> Result<(), ProviderError> {
        self.stream.send(Message::text(text)).await.map_err(failed)
    }

    /// The next message. Losing the race in a `select!` loses no message.
    pub(super) async fn next(&mut self) -> Result<Incoming, ProviderError> {
        match self.stream.next().await {
            Some(Ok(Message::Text(text))) => Ok(Incoming::Text(text.as_str().to_owned())),
            Some(Ok(Message::Close(frame))) => Ok(frame.map_or_else(
                || Incoming::Closed { code: NO_STATUS, reason: String::new() },
                |frame| Incoming::Closed { code: frame.code.into(), reason: frame.reason.as_str().to_owned() },
            )),
            Some(Ok(_)) => Ok(Incoming::Other),
            Some(Err(error)) => Err(failed(error)),
            None => Err(ProviderError::Closed("without a word".into())),
        }
    }
}

fn failed(error: Error) -> ProviderError {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { .. }) => ProviderError::Oversized,
        Error::Utf8(_) => ProviderError::Garbage("text that is no UTF-8".into()),
        other => ProviderError::Closed(other.to_string()),
    }
}
