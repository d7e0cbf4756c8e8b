//! HTTP to an app over its unix socket. Purpose: one request, one connection (a local connect costs some 50 µs and a dead app
//! cannot leave half-used connections behind). Owning thread: tokio tasks. Deliberately absent: retries, pools.

use crate::apphost::child::Meta;
use crate::limits::APP_ANSWER_MAX;
use http_body_util::{BodyExt, Empty, Full, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// Octets of `/_/meta` at most.
const META_MAX: usize = 64 << 10;
/// An app answers for its own state within this, or it is not well.
const META_WAIT: Duration = Duration::from_secs(3);

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
