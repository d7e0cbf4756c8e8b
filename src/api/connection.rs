//! One connection of the API, from its first octet to its last. Purpose: whoever opens many, says nothing, says it slowly or does not
//! listen is let go in time, and takes no place of others. Tokio tasks, one for each. Invariants: accepting waits for nobody;
//! connections from this machine have places of their own, so a flood from outside locks no operator out; every wait has an end.
//! Deliberately absent: HTTP/2, which would need bounds of its own.

use super::server::DRAIN;
use crate::limits::{
    HTTP_BODY_WAIT_MAX, HTTP_CONNECTIONS_MAX, HTTP_CONNECTIONS_PER_SOURCE_MAX, HTTP_HANDSHAKE_MAX, HTTP_HEAD_MAX,
    HTTP_HEAD_OCTETS_MAX, HTTP_LOCAL_CONNECTIONS_MAX, HTTP_UNREAD_MAX,
};
use crate::os::clock;
use crate::sip::transport::{Census, Seat, network};
use crate::time::Tick;
use crate::tls::{TlsIdentity, spelled};
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Request, header};
use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::AlertDescription;
use socket2::{SockRef, TcpKeepalive};
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// First octet of a TLS handshake record (RFC 8446 §5.1).
const HANDSHAKE_RECORD: u8 = 22;
/// Clients that refuse our certificate are logged at most this often.
const REFUSALS_EVERY: Duration = Duration::from_secs(10);
/// How long a browser keeps to HTTPS (RFC 6797): 30 days, so that a change of mind is possible.
const STRICT: HeaderValue = HeaderValue::from_static("max-age=2592000");
/// What whoever speaks HTTP to the port of HTTPS hears.
const SPEAK_TLS: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n\r\n\
    This port speaks HTTPS: begin the address with https://\n";

/// How many there may be, and how long each may take.
#[derive(Clone, Debug)]
struct Bounds {
    local: usize,
    others: usize,
    per_source: usize,
    handshake: Duration,
    head: Duration,
    body: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            local: HTTP_LOCAL_CONNECTIONS_MAX,
            others: HTTP_CONNECTIONS_MAX,
            per_source: HTTP_CONNECTIONS_PER_SOURCE_MAX,
            handshake: HTTP_HANDSHAKE_MAX,
            head: HTTP_HEAD_MAX,
            body: HTTP_BODY_WAIT_MAX,
        }
    }
}

/// What all connections share.
#[derive(Debug)]
pub(super) struct Door {
    router: Router,
    bounds: Bounds,
    /// Whose certificate lets browsers keep to HTTPS, if somebody else vouches for it.
    strict: Option<Arc<TlsIdentity>>,
    local: Arc<Census>,
    others: Arc<Census>,
    refusal_logged: Mutex<Option<Tick>>,
}

impl Door {
    pub(super) fn new(router: Router, strict: Option<Arc<TlsIdentity>>) -> Arc<Self> {
        Self::bounded(router, strict, Bounds::default())
    }

    fn bounded(router: Router, strict: Option<Arc<TlsIdentity>>, bounds: Bounds) -> Arc<Self> {
        Arc::new(Self {
            router,
            strict,
            local: Census::new(bounds.local, bounds.local),
            others: Census::new(bounds.others, bounds.per_source),
            refusal_logged: Mutex::default(),
            bounds,
        })
    }

    fn admit(&self, source: IpAddr) -> Option<Seat> {
        let source = network(source);
        if source.is_loopback() { self.local.admit(source) } else { self.others.admit(source) }
    }

    /// Says why a handshake failed, where an operator can do something about it.
    fn explain(&self, source: SocketAddr, error: &io::Error) {
        use AlertDescription as Alert;
        let told = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let why = match told {
            Some(rustls::Error::AlertReceived(
                Alert::UnknownCA | Alert::CertificateUnknown | Alert::BadCertificate | Alert::UnsupportedCertificate,
            )) => {
                "it does not trust our certificate (or its name): compare the fingerprint there and accept it, or set [http] certificate"
            }
            Some(rustls::Error::AlertReceived(Alert::CertificateExpired)) => {
                "for it our certificate has expired: look at both clocks, and at [http] certificate"
            }
            _ => return tracing::debug!(%source, %error, "HTTPS: no handshake"),
        };
        let now = clock::monotonic();
        let mut logged = self.refusal_logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.is_none_or(|at| now.since(at) >= REFUSALS_EVERY) {
            *logged = Some(now);
            tracing::info!(%source, why, "a client refused HTTPS");
        }
    }
}

/// Accepts connections until it is aborted.
pub(super) async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    door: Arc<Door>,
    closing: watch::Receiver<()>,
) {
    loop {
        let (stream, source) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, or a connection that was gone before we looked: both pass.
                tracing::debug!(%error, "HTTP accept");
                sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Some(seat) = door.admit(source.ip()) else {
            tracing::debug!(%source, "HTTP connection refused: there are as many as there may be");
            continue;
        };
        tune(&stream);
        let (tls, door, closing) = (tls.clone(), Arc::clone(&door), closing.clone());
        tokio::spawn(async move {
            match tls {
                None => converse(stream, source, false, &door, closing).await,
                Some(acceptor) => match timeout(door.bounds.handshake, shake_hands(&acceptor, stream)).await {
                    Ok(Ok(Some(stream))) => converse(stream, source, true, &door, closing).await,
                    Ok(Ok(None)) => {}
                    Ok(Err(error)) => door.explain(source, &error),
                    Err(_) => tracing::debug!(%source, "HTTPS: no handshake in time"),
                },
            }
            drop(seat);
        });
    }
}

/// Ways to see that the other end is gone, or takes nothing.
fn tune(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    let alive = TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(10));
    let tuned = socket
        .set_tcp_nodelay(true)
        .and_then(|()| socket.set_tcp_keepalive(&alive))
        .and_then(|()| socket.set_tcp_user_timeout(Some(HTTP_UNREAD_MAX)));
    if let Err(error) = tuned {
        tracing::debug!(%error, "HTTP connection's options");
    }
}

/// `None`: it was no TLS, and is told so.
async fn shake_hands(
    acceptor: &TlsAcceptor,
    mut stream: TcpStream,
) -> io::Result<Option<tokio_rustls::server::TlsStream<TcpStream>>> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 1 && first[0].is_ascii_uppercase() && first[0] != HANDSHAKE_RECORD {
        // What was sent is read first, or the answer would be lost with the connection.
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await?;
        stream.write_all(SPEAK_TLS).await?;
        stream.shutdown().await?;
        return Ok(None);
    }
    acceptor.accept(stream).await.map(Some)
}

/// What came by TLS of ours bears this.
#[derive(Clone, Copy, Debug)]
pub(super) struct Secured;

/// Serves requests until either side has enough.
async fn converse<S>(stream: S, source: SocketAddr, secure: bool, door: &Arc<Door>, mut closing: watch::Receiver<()>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let shared = Arc::clone(door);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(source));
        if secure {
            request.extensions_mut().insert(Secured);
        }
        let door = Arc::clone(&shared);
        async move {
            let request = request.map(|body| Body::new(Timely::new(body, door.bounds.body)));
            let mut answer = TowerToHyperService::new(door.router.clone()).call(request).await?;
            // On a certificate that the browser was talked into, this would leave it no way back (RFC 6797 §11.3).
            if secure && door.strict.as_ref().is_some_and(|identity| !identity.facts().self_signed) {
                answer.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, STRICT);
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(door.bounds.head).max_buf_size(HTTP_HEAD_OCTETS_MAX);
    let connection = http.serve_connection(TokioIo::new(stream), service).with_upgrades();
    tokio::pin!(connection);
    tokio::select! {
        // Errors of a connection are the client's (broken off, no HTTP) and were answered if they could be.
        _ = connection.as_mut() => {}
        _ = closing.changed() => {
            connection.as_mut().graceful_shutdown();
            let _ = timeout(DRAIN, connection).await;
        }
    }
}

/// A request's body that must be there in time.
struct Timely {
    body: Incoming,
    late: Pin<Box<Sleep>>,
}

impl Timely {
    fn new(body: Incoming, within: Duration) -> Self {
        Self { body, late: Box::pin(sleep(within)) }
    }
}

impl HttpBody for Timely {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        self.late.as_mut().poll(context).map(|()| Some(Err("the request's body did not come in time".into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What is said of a certificate in `/health`.
pub(super) fn shown(identity: &TlsIdentity) -> serde_json::Value {
    let facts = identity.facts();
    serde_json::json!({
        "fingerprint": spelled(&facts.fingerprint),
        "self_signed": facts.self_signed,
        "valid_until": facts.last_day(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::Making;
    use axum::routing::{get, post};
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
    use std::path::Path;
    use tokio_rustls::TlsConnector;

    const ASK: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    const SHORT: Duration = Duration::from_millis(200);
    const LONG: Duration = Duration::from_secs(60);

    fn bounds() -> Bounds {
        Bounds { handshake: LONG, head: LONG, body: LONG, ..Bounds::default() }
    }

    struct Served {
        address: SocketAddr,
        _closing: watch::Sender<()>,
    }

    async fn serve(identity: Option<&Arc<TlsIdentity>>, bounds: Bounds) -> Served {
        let router = Router::new().route("/", get(async || "here")).route("/", post(async |body: String| body));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor =
            identity.map(|identity| TlsAcceptor::from(identity.server_config_for(None, &["http/1.1"]).unwrap()));
        let (closing, closed) = watch::channel(());
        tokio::spawn(accept(listener, acceptor, Door::bounded(router, identity.cloned(), bounds), closed));
        Served { address, _closing: closing }
    }

    async fn connect(at: &Served) -> TcpStream {
        TcpStream::connect(at.address).await.unwrap()
    }

    /// What comes until the other side closes. The end may be a reset, where something of ours was never read.
    async fn rest(mut stream: impl AsyncRead + Unpin) -> String {
        let (mut all, mut piece) = (Vec::new(), [0; 1024]);
        while let Ok(read @ 1..) = timeout(LONG, stream.read(&mut piece)).await.expect("it closes") {
            all.extend_from_slice(&piece[..read]);
        }
        String::from_utf8_lossy(&all).into_owned()
    }

    async fn answer(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> String {
        stream.write_all(ASK).await.unwrap();
        let (mut all, mut piece) = (Vec::new(), [0; 1024]);
        while !all.ends_with(b"here") {
            let read = timeout(LONG, stream.read(&mut piece)).await.expect("it answers").unwrap();
            assert!(read > 0, "{}", String::from_utf8_lossy(&all));
            all.extend_from_slice(&piece[..read]);
        }
        String::from_utf8_lossy(&all).to_lowercase()
    }

    /// A client that trusts what this file holds.
    fn trusting(file: &Path) -> TlsConnector {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(file).unwrap()).unwrap();
        let config = rustls::ClientConfig::builder_with_provider(crate::tls::provider());
        let config = config.with_safe_default_protocol_versions().unwrap();
        TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
    }

    fn own(directory: &Path) -> Arc<TlsIdentity> {
        TlsIdentity::own(directory, "http", Making::for_browsers(vec!["localhost".to_owned()])).unwrap()
    }

    fn name() -> ServerName<'static> {
        ServerName::try_from("localhost").unwrap()
    }

    #[tokio::test]
    async fn whoever_says_nothing_or_says_it_slowly_is_let_go() {
        let dir = tempfile::tempdir().unwrap();
        let identity = own(dir.path());
        // Half a handshake: nothing, and its first octets.
        let at = serve(Some(&identity), Bounds { handshake: SHORT, ..bounds() }).await;
        for said in [&b""[..], &[22, 3, 1, 2]] {
            let mut stream = connect(&at).await;
            stream.write_all(said).await.unwrap();
            assert_eq!(rest(stream).await, "");
        }
        // Half a head, and silence after an answer.
        let at = serve(None, Bounds { head: SHORT, ..bounds() }).await;
        for said in [&b"GET / HTTP/1.1\r\nHost: l"[..], ASK] {
            let mut stream = connect(&at).await;
            stream.write_all(said).await.unwrap();
            assert_eq!(rest(stream).await.contains("200 OK"), said == ASK);
        }
        // Half a body.
        let at = serve(None, Bounds { body: SHORT, ..bounds() }).await;
        let mut stream = connect(&at).await;
        stream.write_all(b"POST / HTTP/1.1\r\nHost: l\r\nContent-Length: 9\r\n\r\nhal").await.unwrap();
        let heard = rest(stream).await;
        assert!(heard.starts_with("HTTP/1.1 400"), "{heard}");
    }

    #[tokio::test]
    async fn places_are_counted_and_come_back() {
        let at = serve(None, Bounds { local: 2, ..bounds() }).await;
        let (mut one, mut two) = (connect(&at).await, connect(&at).await);
        answer(&mut one).await;
        answer(&mut two).await;
        assert_eq!(rest(connect(&at).await).await, "", "there is no third place");
        answer(&mut two).await;
        drop(one);
        // When the place comes back is the scheduler's matter.
        for tried in 0.. {
            let mut next = connect(&at).await;
            let _ = next.write_all(b"GET / HTTP/1.1\r\nHost: l\r\nConnection: close\r\n\r\n").await;
            if rest(next).await.contains("200 OK") {
                break;
            }
            assert!(tried < 6000, "the place never came back");
            sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn outsiders_have_places_of_their_own_and_each_its_share() {
        let door = Door::bounded(Router::new(), None, Bounds { local: 1, others: 3, per_source: 2, ..bounds() });
        let seat = |text: &str| door.admit(text.parse().unwrap());
        let outside = [seat("192.0.2.1"), seat("192.0.2.1"), seat("2001:db8::1")];
        assert!(outside.iter().all(Option::is_some));
        assert!(seat("192.0.2.9").is_none(), "all places of outsiders are taken");
        assert!(seat("127.0.0.1").is_some() && seat("::1").is_some(), "this machine gets in all the same");
        drop(outside);
        let network = [seat("2001:db8::1"), seat("2001:db8::2")];
        assert!(network.iter().all(Option::is_some) && seat("2001:db8::3").is_none() && seat("192.0.2.1").is_some());
    }

    #[tokio::test]
    async fn plain_http_on_the_port_of_https_is_told_so() {
        let dir = tempfile::tempdir().unwrap();
        let at = serve(Some(&own(dir.path())), bounds()).await;
        let mut stream = connect(&at).await;
        stream.write_all(ASK).await.unwrap();
        let heard = rest(stream).await;
        assert!(heard.starts_with("HTTP/1.1 400") && heard.contains("https://"), "{heard}");
    }

    #[tokio::test]
    async fn only_a_certificate_that_somebody_vouches_for_keeps_browsers_to_https() {
        let dir = tempfile::tempdir().unwrap();
        let identity = own(dir.path());
        let at = serve(Some(&identity), bounds()).await;
        let mut tls = trusting(identity.certificate_path()).connect(name(), connect(&at).await).await.unwrap();
        let heard = answer(&mut tls).await;
        assert!(!heard.contains("strict-transport-security"), "{heard}");

        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
        let pem = |label: &str, der: &[u8]| {
            use base64::Engine;
            let text = base64::engine::general_purpose::STANDARD.encode(der);
            format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
        };
        let at = |what: &str| dir.path().join(what);
        std::fs::write(at("ca.pem"), pem("CERTIFICATE", authority.der())).unwrap();
        std::fs::write(at("c.pem"), pem("CERTIFICATE", leaf.der())).unwrap();
        std::fs::write(at("k.pem"), pem("PRIVATE KEY", &key.serialize_der())).unwrap();
        let vouched = TlsIdentity::read(&at("c.pem"), &at("k.pem")).unwrap();
        assert!(!vouched.facts().self_signed);
        let served = serve(Some(&vouched), bounds()).await;
        let mut tls = trusting(&at("ca.pem")).connect(name(), connect(&served).await).await.unwrap();
        let heard = answer(&mut tls).await;
        assert!(heard.contains("strict-transport-security: max-age=2592000"), "{heard}");
    }
}
