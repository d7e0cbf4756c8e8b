//! HTTP to an app over its unix socket. Purpose: one question of ours, one connection; people's requests over connections that are
//! kept ([`Kept`]), since opening one costs as much as the request. Owning thread: tokio tasks. Invariants: a kept connection carries
//! one exchange at a time, is not as old as the app's patience with silence, and goes when the app does or is replaced by another
//! version; a request is sent again only where nothing of it was sent. Deliberately absent: retries of what an app may have seen.

use crate::apphost::child::Meta;
use crate::limits::{APP_ANSWER_MAX, GATEWAY_KEPT_MAX};
use http_body_util::{BodyExt, Empty, Full, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// Octets of `/_/meta` at most.
const META_MAX: usize = 64 << 10;
/// An app answers for its own state within this, or it is not well.
const META_WAIT: Duration = Duration::from_secs(3);

/// A connection without a request is closed after this: well before the app does it.
const KEPT_FOR: Duration = Duration::from_secs(10);

/// Why an app did not answer.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// Nobody listens.
    #[error("the app is not running: {0}")]
    Down(std::io::Error),
    /// It closed the connection or spoke no HTTP.
    #[error("the app broke off: {0}")]
    Broken(#[from] hyper::Error),
    /// It took too long.
    #[error("the app did not answer in time")]
    Slow,
    /// `/_/meta` is not as agreed.
    #[error("the app's own report cannot be read: {0}")]
    Meta(String),
}

/// Connections to one app that wait for the next request.
#[derive(Debug)]
pub(super) struct Kept<B> {
    idle: Mutex<Idle<B>>,
}

#[derive(Debug)]
struct Idle<B> {
    /// Whose they are.
    socket: PathBuf,
    /// Each with the time of its last request.
    senders: Vec<(http1::SendRequest<B>, Instant)>,
}

/// A connection that goes back to the others when the answer's body is through.
#[derive(Debug)]
pub(super) struct Lent<B> {
    kept: Arc<Kept<B>>,
    socket: PathBuf,
    sender: Option<http1::SendRequest<B>>,
}

impl<B> Drop for Lent<B> {
    fn drop(&mut self) {
        if let Some(sender) = self.sender.take() {
            self.kept.give_back(&self.socket, sender);
        }
    }
}

impl<B> Default for Kept<B> {
    fn default() -> Self {
        Self { idle: Mutex::new(Idle { socket: PathBuf::new(), senders: Vec::new() }) }
    }
}

impl<B> Kept<B> {
    fn lock(&self) -> MutexGuard<'_, Idle<B>> {
        // What it guards is whole between any two statements, so a panic elsewhere does not spoil it.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes what waits: another version serves from now on.
    pub(super) fn clear(&self) {
        self.lock().senders.clear();
    }

    fn give_back(&self, socket: &Path, sender: http1::SendRequest<B>) {
        let mut idle = self.lock();
        if idle.socket == socket && idle.senders.len() < GATEWAY_KEPT_MAX && !sender.is_closed() {
            idle.senders.push((sender, Instant::now()));
        }
    }

    /// The one that was used last: others grow old and go.
    fn take(&self, socket: &Path) -> Option<http1::SendRequest<B>> {
        let mut idle = self.lock();
        if idle.socket != socket {
            idle.senders.clear();
            idle.socket = socket.to_owned();
        }
        let now = Instant::now();
        idle.senders.retain(|(sender, used)| !sender.is_closed() && now.duration_since(*used) < KEPT_FOR);
        let at = idle.senders.iter().rposition(|(sender, _)| sender.is_ready())?;
        Some(idle.senders.remove(at).0)
    }
}

/// Sends `request` to the app that listens on `socket`, over a connection that is kept or a new one, and returns its answer as soon as
/// the head is there; what is lent is to be held until the body is through.
///
/// # Errors
/// See [`UpstreamError`].
pub(super) async fn send_kept<B>(
    kept: &Arc<Kept<B>>,
    socket: &Path,
    mut request: Request<B>,
) -> Result<(Response<Incoming>, Lent<B>), UpstreamError>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let lent = |sender| Lent { kept: Arc::clone(kept), socket: socket.to_owned(), sender: Some(sender) };
    let exchange = async {
        while let Some(mut sender) = kept.take(socket) {
            match sender.try_send_request(request).await {
                Ok(answer) => return Ok((answer, lent(sender))),
                // The app has closed it, and nothing was sent.
                Err(mut error) => match error.take_message() {
                    Some(again) => request = again,
                    None => return Err(error.into_error().into()),
                },
            }
        }
        let stream = UnixStream::connect(socket).await.map_err(UpstreamError::Down)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let answer = sender.send_request(request).await?;
        Ok((answer, lent(sender)))
    };
    timeout(APP_ANSWER_MAX, exchange).await.unwrap_or(Err(UpstreamError::Slow))
}

/// Sends `request` to the app that listens on `socket` and returns its answer as soon as the head is there.
///
/// # Errors
/// See [`UpstreamError`].
pub(super) async fn send<B>(socket: &Path, request: Request<B>) -> Result<Response<Incoming>, UpstreamError>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let exchange = async {
        let stream = UnixStream::connect(socket).await.map_err(UpstreamError::Down)?;
        exchange(stream, request).await
    };
    timeout(APP_ANSWER_MAX, exchange).await.unwrap_or(Err(UpstreamError::Slow))
}

/// Sends `request` to `address` and returns the answer's status.
///
/// # Errors
/// See [`UpstreamError`].
pub(super) async fn ask_tcp(address: SocketAddr, request: Request<Empty<Bytes>>) -> Result<StatusCode, UpstreamError> {
    let exchange = async {
        let stream = TcpStream::connect(address).await.map_err(UpstreamError::Down)?;
        Ok(exchange(stream, request).await?.status())
    };
    timeout(META_WAIT, exchange).await.unwrap_or(Err(UpstreamError::Slow))
}

async fn exchange<S, B>(stream: S, request: Request<B>) -> Result<Response<Incoming>, UpstreamError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with the answer's body; its error is seen there too.
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}

/// `GET path` with a small answer read whole.
///
/// # Errors
/// See [`UpstreamError`].
pub(super) async fn get(socket: &Path, path: &str) -> Result<(StatusCode, Bytes), UpstreamError> {
    get_up_to(socket, path, META_MAX).await
}

/// The same with an answer of so many octets at most.
///
/// # Errors
/// See [`UpstreamError`].
pub(super) async fn get_up_to(socket: &Path, path: &str, octets: usize) -> Result<(StatusCode, Bytes), UpstreamError> {
    let request = Request::get(path).header("host", "localhost").body(Empty::<Bytes>::new());
    whole(socket, request.map_err(|e| UpstreamError::Meta(e.to_string()))?, octets).await
}

/// `POST path` with a small answer read whole.
///
/// # Errors
/// See [`UpstreamError`].
pub(super) async fn post(socket: &Path, path: &str, body: Bytes) -> Result<(StatusCode, Bytes), UpstreamError> {
    let request = Request::post(path).header("host", "localhost").body(Full::new(body));
    whole(socket, request.map_err(|e| UpstreamError::Meta(e.to_string()))?, META_MAX).await
}

async fn whole<B>(socket: &Path, request: Request<B>, octets: usize) -> Result<(StatusCode, Bytes), UpstreamError>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let exchange = async {
        let (head, body) = send(socket, request).await?.into_parts();
        let body = Limited::new(body, octets).collect().await.map_err(|e| UpstreamError::Meta(e.to_string()))?;
        Ok((head.status, body.to_bytes()))
    };
    timeout(META_WAIT, exchange).await.unwrap_or(Err(UpstreamError::Slow))
}

/// What the app says of itself.
///
/// # Errors
/// See [`UpstreamError`].
pub(super) async fn meta(socket: &Path) -> Result<Meta, UpstreamError> {
    let (status, body) = get(socket, "/_/meta").await?;
    if !status.is_success() {
        return Err(UpstreamError::Meta(format!("{status}: {}", String::from_utf8_lossy(&body))));
    }
    serde_json::from_slice(&body).map_err(|e| UpstreamError::Meta(e.to_string()))
}
