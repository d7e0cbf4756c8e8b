//! Sockets: binding, accepting, dialling. Purpose: everything that asks the kernel for a socket, with the marks that
//! telephone networks expect, and errors that say what to do. Invariants: accepting never waits for a peer (handshakes run
//! in the connection's own task, with a deadline); a source over its limit is closed before anything is read. Deliberately
//! absent: what comes over the sockets.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ServerConfig;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::census::{Census, Quiet, network};
use super::connection::{Connection, FlowEvent, Patience, Stream};
use super::flow_table::{Flow, FlowNumbers};
use super::tls::{TlsTrust, server_name};
use crate::limits;
use crate::sip::hop::{Hop, Transport};
use crate::telemetry::metric;
use crate::telemetry::seldom::Seldom;
use crate::time::Tick;
use crate::tls::{TlsError, TlsIdentity};

/// Class selector 3, "signalling" in most telephone networks (RFC 2474, RFC 4594 §3): upper six bits of the octet.
const DSCP_CS3: u32 = 24 << 2;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;

/// Where to listen, and whom to trust.
#[derive(Clone, Debug)]
pub struct ListenConfig {
    /// UDP address and port; port 0 = any free one. An IPv6 wildcard hears IPv4 too, unless `udp_v6` is set.
    pub udp: SocketAddr,
    /// A second UDP address, for IPv6 alone.
    pub udp_v6: Option<SocketAddr>,
    /// TCP addresses.
    pub tcp: Vec<SocketAddr>,
    /// TLS addresses; they need an `identity`.
    pub tls: Vec<SocketAddr>,
    /// Our certificate.
    pub identity: Option<Arc<TlsIdentity>>,
    /// Roots of the certificates that peers must show to connect by TLS; `None` = they need none.
    pub client_roots: Option<PathBuf>,
    /// Whom we trust when we dial.
    pub trust: Arc<TlsTrust>,
    /// Name servers to ask for hops; none = those of the system.
    pub name_servers: Vec<SocketAddr>,
    /// UDP receive buffer, octets; the kernel may grant less. A burst of INVITEs must fit in.
    pub receive_buffer_octets: usize,
    /// Reads the monotonic clock.
    pub clock: fn() -> Tick,
}

impl ListenConfig {
    /// UDP on `bind` alone, with a buffer of 4 MiB. Streams can be dialled all the same.
    #[must_use]
    pub fn new(bind: SocketAddr, clock: fn() -> Tick) -> Self {
        Self {
            udp: bind,
            udp_v6: None,
            tcp: Vec::new(),
            tls: Vec::new(),
            identity: None,
            client_roots: None,
            trust: Arc::default(),
            name_servers: Vec::new(),
            receive_buffer_octets: 4 << 20,
            clock,
        }
    }
}

/// Why SIP cannot be listened for.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address cannot be had.
    #[error("cannot listen for SIP on {} {address}: {source}. {}", .transport.name(), remedy(.source, *.address))]
    Bind {
        /// On what.
        transport: Transport,
        /// What was asked for.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// TLS without a usable certificate.
    #[error("SIP over TLS: {0}")]
    Tls(#[from] TlsError),
    /// TLS without any certificate.
    #[error("SIP over TLS needs a certificate: set [sip] certificate and key")]
    NoIdentity,
}

/// What to do about a socket that cannot be bound.
#[must_use]
pub fn remedy(error: &io::Error, address: SocketAddr) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let port = address.port();
            format!("Is another telephone server running there? `ss -lnp 'sport = :{port}'` shows which")
        }
        io::ErrorKind::PermissionDenied if address.port() < 1024 => {
            let port = address.port();
            format!(
                "Ports below 1024 are the system's, and the service has no privilege on purpose: choose a higher one, or allow \
                 this one with `sysctl net.ipv4.ip_unprivileged_port_start={port}`"
            )
        }
        io::ErrorKind::AddrNotAvailable => {
            "This machine has no such address (`ip address` shows those it has); 0.0.0.0 or [::] means all".to_owned()
        }
        io::ErrorKind::Unsupported => "IPv6 seems to be switched off on this machine".to_owned(),
        _ => "Check [sip] in the configuration".to_owned(),
    }
}

/// What all connections share.
#[derive(Clone, Debug)]
pub(super) struct Switchboard {
    pub(super) numbers: Arc<FlowNumbers>,
    pub(super) census: Arc<Census>,
    pub(super) trust: Arc<TlsTrust>,
    /// Reads the monotonic clock.
    pub(super) clock: fn() -> Tick,
    pub(super) inbox: mpsc::Sender<FlowEvent>,
    /// Which failed handshakes are told: anybody can cause them.
    pub(super) told: Arc<Mutex<Seldom>>,
}

pub(super) fn bind_udp(address: SocketAddr, only_v6: bool, buffer_octets: usize) -> Result<UdpSocket, ListenError> {
    let bound = || {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        // Buffer and DSCP are wishes: a kernel that refuses them still carries calls.
        if let Err(error) = socket.set_recv_buffer_size(buffer_octets) {
            tracing::warn!(%error, "SIP receive buffer");
        }
        mark(SockRef::from(&socket), address);
        if only_v6 {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        UdpSocket::from_std(socket.into())
    };
    bound().map_err(|source| ListenError::Bind { transport: Transport::Udp, address, source })
}

pub(super) fn bind_stream(address: SocketAddr, transport: Transport) -> Result<TcpListener, ListenError> {
    let bound = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // A restart must not wait for connections of the last run to be forgotten.
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        mark(SockRef::from(&socket), address);
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    bound().map_err(|source| ListenError::Bind { transport, address, source })
}

fn mark(socket: SockRef<'_>, address: SocketAddr) {
    let marked = match address {
        SocketAddr::V4(_) => socket.set_tos_v4(DSCP_CS3),
        SocketAddr::V6(_) => socket.set_tclass_v6(DSCP_CS3),
    };
    if let Err(error) = marked {
        tracing::warn!(%error, "SIP DSCP CS3");
    }
}

/// Marks, and ways to see that the other end is gone.
fn tune(socket: SockRef<'_>, address: SocketAddr) {
    let alive = TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(10));
    let tuned = socket
        .set_tcp_nodelay(true)
        .and_then(|()| socket.set_tcp_keepalive(&alive))
        .and_then(|()| socket.set_tcp_user_timeout(Some(limits::SIP_FLOW_WRITE_MAX)));
    if let Err(error) = tuned {
        tracing::debug!(%error, "SIP connection's options");
    }
    mark(socket, address);
}

/// Accepts connections until the driver is gone.
pub(super) async fn accept(listener: TcpListener, tls: Option<Arc<ServerConfig>>, board: Switchboard) {
    let acceptor = tls.map(TlsAcceptor::from);
    while !board.inbox.is_closed() {
        let (stream, source) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, or a connection that was gone before we looked: both pass.
                tracing::debug!(%error, "SIP accept");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Some((seat, mut quiet)) = board.census.admit_quiet(source.ip()) else {
            tracing::debug!(%source, "SIP connection refused: this source has as many as it may");
            continue;
        };
        tune(SockRef::from(&stream), source);
        let flow = board.numbers.next();
        let (queue, messages) = mpsc::channel(limits::SIP_FLOW_QUEUE_MAX);
        let (inbox, acceptor, board) = (board.inbox.clone(), acceptor.clone(), board.clone());
        tokio::spawn(async move {
            let (transport, stream): (_, Box<dyn Stream>) = match acceptor {
                None => (Transport::Tcp, Box::new(stream)),
                Some(acceptor) => match shake(&acceptor, stream, &mut quiet).await {
                    Ok(stream) => (Transport::Tls, stream),
                    Err(why) => return board.tell(source, &why),
                },
            };
            let connection = Connection {
                patience: Patience::of(flow),
                flow,
                dialled: false,
                quiet: Some(quiet),
                inbox: board.inbox.clone(),
                queue: messages,
            };
            let hop = Hop { transport, address: source, flow: Some(flow), host: None };
            let accepted = FlowEvent::Accepted { flow, connection: Flow { hop, queue, seat: Some(seat) } };
            if inbox.send(accepted).await.is_ok() {
                connection.run(stream).await;
            }
        });
    }
}

/// The handshake, as far as it is waited for; an error says what went wrong.
async fn shake(acceptor: &TlsAcceptor, stream: TcpStream, quiet: &mut Quiet) -> Result<Box<dyn Stream>, String> {
    tokio::select! {
        shaken = timeout(limits::SIP_HANDSHAKE_MAX, acceptor.accept(stream)) => match shaken {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("not done after {} s", limits::SIP_HANDSHAKE_MAX.as_secs())),
        },
        () = quiet.given_up() => Err("others wanted the place meanwhile".to_owned()),
    }
}

impl Switchboard {
    /// Somebody connected to the port for TLS, and there was no handshake.
    fn tell(&self, source: SocketAddr, why: &str) {
        metric::sip_handshake_failed();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let admitted = told.admit((self.clock)(), network(source.ip()));
        drop(told);
        if let Some(withheld) = admitted {
            tracing::info!(%source, why, withheld, "SIP over TLS: no handshake");
        }
    }
}

/// Opens the connection for which the driver has made a queue already; messages wait in it.
pub(super) async fn dial(hop: Hop, connection: Connection, trust: Arc<TlsTrust>) {
    match timeout(limits::SIP_DIAL_MAX, open(&hop, &trust)).await {
        Ok(Ok(stream)) => connection.run(stream).await,
        Ok(Err(error)) => {
            tracing::warn!(%hop, %error, "SIP connection could not be opened");
            connection.report(false).await;
        }
        Err(_) => {
            tracing::warn!(%hop, "SIP connection was not open within {} s", limits::SIP_DIAL_MAX.as_secs());
            connection.report(false).await;
        }
    }
}

async fn open(hop: &Hop, trust: &Arc<TlsTrust>) -> io::Result<Box<dyn Stream>> {
    let stream = connect(hop.address).await?;
    if hop.transport != Transport::Tls {
        return Ok(Box::new(stream));
    }
    let host = hop.host.as_deref();
    let name = server_name(host, hop.address.ip());
    let name = name.ok_or_else(|| io::Error::other(format!("{} is no name for TLS", host.unwrap_or_default())))?;
    let (trust, asked) = (Arc::clone(trust), name.to_str().into_owned());
    // The roots are files, and many.
    let config = tokio::task::spawn_blocking(move || trust.for_host(&asked)).await.map_err(io::Error::other)?;
    let config = config.map_err(io::Error::other)?;
    let stream = TlsConnector::from(config).connect(name, stream).await?;
    Ok(Box::new(stream))
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    tune(SockRef::from(&socket), address);
    socket.connect(address).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_to_do() {
        let say = |kind: io::ErrorKind, port: u16| {
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            ListenError::Bind { transport: Transport::Tls, address, source: kind.into() }.to_string()
        };
        let taken = say(io::ErrorKind::AddrInUse, 5061);
        assert!(
            taken.starts_with("cannot listen for SIP on TLS 127.0.0.1:5061") && taken.contains(":5061'`"),
            "{taken}"
        );
        assert!(say(io::ErrorKind::PermissionDenied, 443).contains("ip_unprivileged_port_start=443`"));
        assert!(say(io::ErrorKind::AddrNotAvailable, 5060).contains("`ip address`"));
    }
}
