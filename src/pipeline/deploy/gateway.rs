//! The reverse proxy before the apps. Purpose: each app on a port (so an origin) of its own, every request measured.
//! Owning thread: tokio tasks, one per connection. Invariants: an app hears only its own listener; `/_/…` (its report to
//! us) is not reachable from outside; hop-by-hop fields do not pass (RFC 9110 section 7.6.1); bodies stream within bounds.
//! Deliberately absent: TLS, WebSocket (Upgrade is not passed on), caching.

use super::page;
use super::supervise::Health;
use super::upstream::{self, Kept, UpstreamError};
use crate::apphost::exchange::ROUTE_HEADER;
use crate::apphost::pace::Paced;
use crate::limits::{GATEWAY_CONNECTIONS_MAX, GATEWAY_REQUESTS_MAX, HTTP_BODY_MAX};
use crate::os::clock;
use crate::pipeline::tracker::{Rollup, Tracker, Traffic, template};
use crate::telemetry::metric;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A client sends its request's head within this.
const HEAD_MAX: Duration = Duration::from_secs(15);
/// A request waits this long for an app that is being started again.
const RESTART_WAIT: Duration = Duration::from_millis(500);

/// Requests under way end within this before an app's requests are held.
const HOLD_DRAIN: Duration = Duration::from_secs(5);
/// A request that is held waits this long.
const HOLD_MAX: Duration = Duration::from_secs(30);

/// A body on its way to a client.
pub type AnswerBody = UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>;

/// Why an app has no listener.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// Every port of the range is taken.
    #[error("no port of [apps] ports {0}-{1} is free; widen the range or take an app down")]
    NoPort(u16, u16),
    /// The system refused the listener.
    #[error("the app's listener on {address} cannot be opened: {what}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// The system's words.
        what: std::io::Error,
    },
    /// The app was never put on line.
    #[error("no app {0} is on line")]
    Unknown(String),
}

/// Where an app listens and whether it is ready.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Its unix socket.
    pub socket: PathBuf,
    /// How it does.
    pub health: watch::Receiver<Health>,
}

/// The gateway: one front per app. Dropping it closes all listeners.
#[derive(Debug)]
pub struct Gateway {
    address: IpAddr,
    ports: RangeInclusive<u16>,
    fronts: Mutex<BTreeMap<String, Front>>,
}

#[derive(Debug)]
struct Front {
    shared: Arc<Shared>,
    port: u16,
    accept: JoinHandle<()>,
    /// Dropped with the front: open connections then end after the request under way.
    _open: watch::Sender<()>,
}

#[derive(Debug)]
struct Shared {
    slug: String,
    title: String,
    loopback: bool,
    upstream: Mutex<Upstream>,
    kept: Arc<Kept<Limited<Incoming>>>,
    tracker: Mutex<Tracker>,
    requests: Arc<Semaphore>,
    /// Requests wait while its data change.
    held: watch::Sender<bool>,
}

/// An app's requests are held as long as this is there.
#[derive(Debug)]
pub(super) struct Hold {
    shared: Arc<Shared>,
    places: Option<OwnedSemaphorePermit>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        // Places first: whoever wakes finds one.
        self.places = None;
        self.shared.held.send_replace(false);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What it guards is whole between any two statements, so a panic elsewhere does not spoil it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gateway {
    /// A gateway that gives out `ports` on `address`.
    #[must_use]
    pub const fn new(address: IpAddr, ports: RangeInclusive<u16>) -> Self {
        Self { address, ports, fronts: Mutex::new(BTreeMap::new()) }
    }

    /// Puts an app on line and returns its port: `wanted` if that is free, else the first free one of the range that is not in
    /// `reserved`. An app that is on line already only changes its upstream (between two requests).
    ///
    /// # Errors
    /// No port is free, or the system refuses.
    pub async fn put(
        &self,
        slug: &str,
        title: &str,
        upstream: Upstream,
        wanted: Option<u16>,
        reserved: &[u16],
    ) -> Result<u16, GatewayError> {
        if let Some(front) = lock(&self.fronts).get(slug) {
            *lock(&front.shared.upstream) = upstream;
            front.shared.kept.clear();
            return Ok(front.port);
        }
        let listener = self.listen(wanted, reserved).await?;
        let port = listener.local_addr().map_err(|what| self.refused(0, what))?.port();
        let shared = Arc::new(Shared {
            slug: slug.to_owned(),
            title: title.to_owned(),
            loopback: self.address.is_loopback(),
            upstream: Mutex::new(upstream),
            kept: Arc::default(),
            tracker: Mutex::new(Tracker::default()),
            requests: Arc::new(Semaphore::new(GATEWAY_REQUESTS_MAX)),
            held: watch::channel(false).0,
        });
        let (open, closing) = watch::channel(());
        let accept = tokio::spawn(accept(listener, Arc::clone(&shared), closing));
        lock(&self.fronts).insert(slug.to_owned(), Front { shared, port, accept, _open: open });
        Ok(port)
    }

    /// Lets an app's requests wait from now on, and returns when those under way have ended or had their time. None: it is not on
    /// line.
    pub(super) async fn hold(&self, slug: &str) -> Option<Hold> {
        let shared = Arc::clone(&lock(&self.fronts).get(slug)?.shared);
        shared.held.send_replace(true);
        let mut hold = Hold { shared, places: None };
        let all = u32::try_from(GATEWAY_REQUESTS_MAX).unwrap_or(u32::MAX);
        let ended = timeout(HOLD_DRAIN, Arc::clone(&hold.shared.requests).acquire_many_owned(all)).await;
        hold.places = ended.ok().and_then(Result::ok);
        Some(hold)
    }

    /// Takes an app off line; unknown names are passed over.
    pub fn remove(&self, slug: &str) {
        lock(&self.fronts).remove(slug);
    }

    /// Takes all apps off line.
    pub fn clear(&self) {
        lock(&self.fronts).clear();
    }

    /// The app's upstream.
    #[must_use]
    pub fn upstream(&self, slug: &str) -> Option<Upstream> {
        lock(&self.fronts).get(slug).map(|front| lock(&front.shared.upstream).clone())
    }

    /// The port that the app is on line at.
    #[must_use]
    pub fn port(&self, slug: &str) -> Option<u16> {
        lock(&self.fronts).get(slug).map(|front| front.port)
    }

    /// What was measured of an app, now.
    #[must_use]
    pub fn traffic(&self, slug: &str) -> Option<Traffic> {
        let shared = Arc::clone(&lock(&self.fronts).get(slug)?.shared);
        let traffic = lock(&shared.tracker).traffic(clock::monotonic());
        Some(traffic)
    }

    /// Requests answered by each app that is on line, since it is.
    #[must_use]
    pub fn answered(&self) -> Vec<(String, u64)> {
        let fronts = lock(&self.fronts);
        fronts.iter().map(|(slug, front)| (slug.clone(), lock(&front.shared.tracker).answered())).collect()
    }

    /// What came since the last call of this, by app; apps without news are left out.
    #[must_use]
    pub fn rollups(&self) -> Vec<(String, Rollup)> {
        let fronts: Vec<Arc<Shared>> = lock(&self.fronts).values().map(|front| Arc::clone(&front.shared)).collect();
        let now = clock::monotonic();
        let news = fronts.iter().filter_map(|shared| {
            let rollup = lock(&shared.tracker).poll_rollup(now)?;
            Some((shared.slug.clone(), rollup))
        });
        news.collect()
    }

    /// What came since the last call of [`Self::rollups`], by app: requests, and those answered by 5xx. It stays to be handed out.
    #[must_use]
    pub fn pending(&self) -> Vec<(String, u64, u64)> {
        let fronts: Vec<Arc<Shared>> = lock(&self.fronts).values().map(|front| Arc::clone(&front.shared)).collect();
        let pending = fronts.iter().map(|shared| {
            let (requests, errors) = lock(&shared.tracker).pending();
            (shared.slug.clone(), requests, errors)
        });
        pending.filter(|(_, requests, _)| *requests > 0).collect()
    }

    /// Apps that do not serve now, each with the reason.
    #[must_use]
    pub fn down(&self) -> Vec<(String, String)> {
        let fronts = lock(&self.fronts);
        let down = fronts.values().filter_map(|front| match &*lock(&front.shared.upstream).health.borrow() {
            Health::Down(why) => Some((front.shared.slug.clone(), why.clone())),
            Health::Starting | Health::Ready => None,
        });
        down.collect()
    }

    async fn listen(&self, wanted: Option<u16>, reserved: &[u16]) -> Result<TcpListener, GatewayError> {
        let free = self.ports.clone().filter(|port| !reserved.contains(port));
        for port in wanted.into_iter().chain(free) {
            match TcpListener::bind((self.address, port)).await {
                Ok(listener) => return Ok(listener),
                Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => {}
                Err(what) => return Err(self.refused(port, what)),
            }
        }
        Err(GatewayError::NoPort(*self.ports.start(), *self.ports.end()))
    }

    fn refused(&self, port: u16, what: std::io::Error) -> GatewayError {
        GatewayError::Listen { address: SocketAddr::new(self.address, port), what }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, closing: watch::Receiver<()>) {
    let connections = Arc::new(Semaphore::new(GATEWAY_CONNECTIONS_MAX));
    loop {
        // The semaphore is never closed, so this waits and does not fail.
        let Ok(permit) = Arc::clone(&connections).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, client)) => {
                let (shared, closing) = (Arc::clone(&shared), closing.clone());
                tokio::spawn(async move {
                    serve(stream, client, shared, closing).await;
                    drop(permit);
                });
            }
            Err(error) => {
                // Out of descriptors, most likely: connections that end will help.
                tracing::warn!(app = shared.slug, %error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, client: SocketAddr, shared: Arc<Shared>, mut closing: watch::Receiver<()>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(measure(request, client, &shared).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_MAX).max_buf_size(64 << 10);
    let connection = http.serve_connection(TokioIo::new(Paced::new(stream)), service);
    tokio::pin!(connection);
    tokio::select! {
        // Errors of a connection are the client's (broken off, no HTTP) and were answered if they could be.
        _ = connection.as_mut() => {}
        _ = closing.changed() => {
            connection.as_mut().graceful_shutdown();
            let _ = timeout(HEAD_MAX, connection).await;
        }
    }
}

async fn measure(request: Request<Incoming>, client: SocketAddr, shared: &Arc<Shared>) -> Response<AnswerBody> {
    let began = clock::monotonic();
    let route = template(request.uri().path());
    let wants_json = page::wants_json(request.uri().path(), request.headers());
    let answer = match forward(request, client, shared).await {
        Ok(answer) => answer,
        Err(refusal) => refusal.answer(&shared.title, wants_json),
    };
    let now = clock::monotonic();
    let took = now.since(began);
    let status = answer.status().as_u16();
    let mut tracker = lock(&shared.tracker);
    let route = tracker.handle_answer(now, &route, status, took).to_owned();
    drop(tracker);
    metric::app_answer(&shared.slug, &route, status, took);
    let shared = Arc::clone(shared);
    answer.map(|body| {
        let counted = body.map_frame(move |frame| {
            let octets = frame.data_ref().map_or(0, |data| data.len() as u64);
            lock(&shared.tracker).handle_octets(&route, octets);
            frame
        });
        counted.boxed_unsync()
    })
}

/// Why the gateway answers itself.
#[derive(Debug)]
enum Refusal {
    /// The path is not for outsiders or not well formed.
    Path(StatusCode),
    /// The Host field names somebody else (DNS rebinding).
    Host,
    /// The body is too large.
    Body,
    /// Too many requests are under way.
    Busy,
    /// The app is not there.
    Down,
    /// The app is too slow.
    Slow,
    /// CONNECT and TRACE.
    Method,
}

impl Refusal {
    fn answer(&self, title: &str, json: bool) -> Response<AnswerBody> {
        let (status, words) = match self {
            Self::Path(status) => (*status, "There is nothing at this address."),
            Self::Host => (StatusCode::MISDIRECTED_REQUEST, "This address is not served here."),
            Self::Body => (StatusCode::PAYLOAD_TOO_LARGE, "What you sent is too large."),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "Too many requests at once. Please try again in a moment."),
            Self::Down => (StatusCode::BAD_GATEWAY, "It is not running right now and is being started again."),
            Self::Slow => (StatusCode::GATEWAY_TIMEOUT, "It did not answer in time. Please try again."),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "This method is not served here."),
        };
        page::answer(status, title, words, json)
    }
}

async fn forward(
    request: Request<Incoming>,
    client: SocketAddr,
    shared: &Shared,
) -> Result<Response<AnswerBody>, Refusal> {
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        return Err(Refusal::Method);
    }
    public_path(request.uri().path())?;
    if shared.loopback && !is_local_host(request.headers()) {
        return Err(Refusal::Host);
    }
    let mut held = shared.held.subscribe();
    let permit = loop {
        let free = timeout(HOLD_MAX, held.wait_for(|held| !held)).await;
        if !matches!(free, Ok(Ok(_))) {
            return Err(Refusal::Busy);
        }
        match Arc::clone(&shared.requests).try_acquire_owned() {
            Ok(permit) => break permit,
            // Held just now.
            Err(_) if *shared.held.borrow() => {}
            Err(_) => return Err(Refusal::Busy),
        }
    };
    let Upstream { socket, mut health } = lock(&shared.upstream).clone();
    if *health.borrow() != Health::Ready {
        let up = timeout(RESTART_WAIT, health.wait_for(|health| *health == Health::Ready)).await;
        if !matches!(up, Ok(Ok(_))) {
            return Err(Refusal::Down);
        }
    }
    let request = outgoing(request, client)?;
    let (answer, lent) = upstream::send_kept(&shared.kept, &socket, request).await.map_err(|error| {
        let refusal = refusal(&error);
        tracing::warn!(app = shared.slug, %error, "a request was not answered by its app");
        refusal
    })?;
    let (mut head, body) = answer.into_parts();
    drop_hop_by_hop(&mut head.headers);
    // For us alone.
    head.headers.remove(ROUTE_HEADER);
    // The permit goes with the body, so that streams count as long as they last; the connection is another's only after it.
    let body = body.map_frame(move |frame| {
        let _ = (&permit, &lent);
        frame
    });
    Ok(Response::from_parts(head, body.map_err(Into::into).boxed_unsync()))
}

fn refusal(error: &UpstreamError) -> Refusal {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(e) = cause {
        if e.is::<LengthLimitError>() {
            return Refusal::Body;
        }
        cause = e.source();
    }
    if matches!(error, UpstreamError::Slow) { Refusal::Slow } else { Refusal::Down }
}

/// The request as the app gets it: origin form, bounded body, our own word on who the client is.
fn outgoing(request: Request<Incoming>, client: SocketAddr) -> Result<Request<Limited<Incoming>>, Refusal> {
    let (mut head, body) = request.into_parts();
    let announced = head.headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|octets| octets > HTTP_BODY_MAX as u64) {
        return Err(Refusal::Body);
    }
    let path = head.uri.path_and_query().map_or("/", |p| p.as_str());
    head.uri = Uri::try_from(path).map_err(|_| Refusal::Path(StatusCode::BAD_REQUEST))?;
    drop_hop_by_hop(&mut head.headers);
    for name in ["expect", "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"] {
        head.headers.remove(name);
    }
    if let Ok(client) = HeaderValue::try_from(client.ip().to_string()) {
        head.headers.insert("x-forwarded-for", client);
    }
    head.headers.insert("x-forwarded-proto", HeaderValue::from_static("http"));
    if let Some(host) = head.headers.get(header::HOST).cloned() {
        head.headers.insert("x-forwarded-host", host);
    }
    Ok(Request::from_parts(head, Limited::new(body, HTTP_BODY_MAX)))
}

/// Removes the fields that are for one connection only, those named in Connection among them.
fn drop_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ] {
        headers.remove(name);
    }
}

/// Refuses `/_/…` however it is written, and paths that climb.
fn public_path(path: &str) -> Result<(), Refusal> {
    let decoded = percent_decoded(path).ok_or(Refusal::Path(StatusCode::BAD_REQUEST))?;
    let mut segments = decoded.split(|b| *b == b'/' || *b == b'\\').filter(|s| !s.is_empty() && *s != b".").peekable();
    if segments.peek().is_some_and(|first| *first == b"_") {
        return Err(Refusal::Path(StatusCode::NOT_FOUND));
    }
    if segments.any(|segment| segment == b"..") {
        return Err(Refusal::Path(StatusCode::BAD_REQUEST));
    }
    Ok(())
}

fn percent_decoded(path: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut octets = path.bytes();
    while let Some(octet) = octets.next() {
        if octet == b'%' {
            let high = char::from(octets.next()?).to_digit(16)?;
            let low = char::from(octets.next()?).to_digit(16)?;
            // Two hexadecimal digits fit into an octet.
            decoded.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            decoded.push(octet);
        }
    }
    Some(decoded)
}

/// On a loopback listener only names of this machine are served, so that no foreign web page can reach it by a name that it
/// points here.
pub fn is_local_host(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|value| value.to_str().ok()) else { return false };
    if host.parse::<SocketAddr>().is_ok() || host.parse::<IpAddr>().is_ok() {
        return true;
    }
    let name = host.rsplit_once(':').map_or(
        host,
        |(name, port)| {
            if port.bytes().all(|b| b.is_ascii_digit()) { name } else { host }
        },
    );
    name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_paths_are_refused_however_they_are_written() {
        for path in ["/_/meta", "/_", "//_/meta", "/./_/meta", "/%5f/meta", "/%5F%2fmeta", "/%2e/_/meta", "/\\_\\meta"]
        {
            assert!(matches!(public_path(path), Err(Refusal::Path(StatusCode::NOT_FOUND))), "{path}");
        }
        for path in ["/a/../_/meta", "/a/%2e%2e/_/meta", "/%", "/%zz", "/%4"] {
            assert!(matches!(public_path(path), Err(Refusal::Path(StatusCode::BAD_REQUEST))), "{path}");
        }
        for path in ["/", "/contacts/17", "/_x", "/a/_/b", "/%C3%A4"] {
            assert!(public_path(path).is_ok(), "{path}");
        }
    }

    #[tokio::test]
    async fn what_is_held_waits_and_is_answered_then() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("app.sock");
        let app = tokio::net::UnixListener::bind(&socket).unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = app.accept().await.unwrap();
                assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
                stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await.unwrap();
                // It goes when the gateway does.
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
        });
        let local = IpAddr::from([127, 0, 0, 1]);
        let free = TcpListener::bind((local, 0)).await.unwrap().local_addr().unwrap().port();
        let gateway = Gateway::new(local, free..=free.saturating_add(20));
        let (_health, health) = watch::channel(Health::Ready);
        let port = gateway.put("crm", "CRM", Upstream { socket, health }, None, &[]).await.unwrap();
        assert!(gateway.hold("shop").await.is_none());
        let hold = gateway.hold("crm").await.unwrap();
        let mut client = TcpStream::connect((local, port)).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        assert!(timeout(Duration::from_millis(100), client.read_to_string(&mut answer)).await.is_err());
        drop(hold);
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    }

    #[test]
    fn hop_by_hop_fields_do_not_pass() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Private"),
            ("x-private", "1"),
            ("upgrade", "websocket"),
            ("te", "trailers"),
            ("content-type", "text/html"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        drop_hop_by_hop(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["content-type"]);
    }

    #[test]
    fn only_names_of_this_machine_are_local() {
        let local = |host: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            is_local_host(&headers)
        };
        assert!(
            ["127.0.0.1:8100", "localhost", "localhost:8100", "[::1]:8100", "crm.localhost:80", "192.168.1.5"]
                .map(local)
                .iter()
                .all(|l| *l)
        );
        assert!(!["evil.example:8100", "localhost.evil.example", "", "evil.example"].map(local).iter().any(|l| *l));
        assert!(!is_local_host(&HeaderMap::new()));
    }
}
