//! Serves the API, plainly and by TLS. Invariants: no address but loopback is served without a token; a certificate that is
//! replaced concerns new connections only. What a connection may take is [`super::connection`]'s matter.

use super::access::Access;
use super::connection::{Door, accept};
use super::routes::router;
use super::state::AppState;
use crate::tls::{TlsError, TlsIdentity};
use rustls::pki_types::UnixTime;
use socket2::{Domain, Protocol, Socket, Type};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{interval, timeout};
use tokio_rustls::TlsAcceptor;

/// Requests under way at shutdown get this long; event streams are cut then.
pub(super) const DRAIN: Duration = Duration::from_secs(1);
/// How often a certificate of our own making is looked at.
const RENEWAL_EVERY: Duration = Duration::from_hours(1);
/// Connections that wait to be accepted: a hundred browsers that come back at once do not wait for a lost SYN.
const BACKLOG: i32 = 1024;

/// Why the API is not served.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The address is for others too, and there is nothing that tells friend from foe.
    #[error(
        "[http] listen or tls_listen = {0} would open the control API to the network without a token; write token_file, or use 127.0.0.1 or ::1"
    )]
    NotLoopback(SocketAddr),
    /// The system refused.
    #[error("the control API cannot listen on {address} ({what}); is another callwright running there?")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// The system's words.
        what: io::Error,
    },
    /// There is no certificate that could be shown.
    #[error("HTTPS: {0}")]
    Tls(#[from] TlsError),
}

/// The API's listeners, open but not yet served (so that a taken port is known at once).
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Vec<(TcpListener, SocketAddr)>,
    identity: Option<Arc<TlsIdentity>>,
}

impl Server {
    /// Opens the listener.
    ///
    /// # Errors
    /// The address is not loopback and `access` needs no token, or it is taken.
    pub async fn bind(address: SocketAddr, access: &Access) -> Result<Self, ApiError> {
        let (listener, address) = open(address, access, false)?;
        Ok(Self { listener, address, tls: Vec::new(), identity: None })
    }

    /// The same with TLS on these addresses; an IPv6 address hears IPv6 alone.
    ///
    /// # Errors
    /// As [`Server::bind`].
    pub fn with_tls(
        mut self,
        addresses: &[SocketAddr],
        identity: Arc<TlsIdentity>,
        access: &Access,
    ) -> Result<Self, ApiError> {
        self.tls = addresses.iter().map(|address| open(*address, access, true)).collect::<Result<_, _>>()?;
        self.identity = Some(identity);
        Ok(self)
    }

    /// Where it listens (the port that port 0 became).
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens for TLS.
    pub fn tls_addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.tls.iter().map(|(_, address)| *address)
    }

    /// Serves until `shutdown` resolves, then finishes the requests under way.
    pub async fn serve(self, mut state: AppState, shutdown: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = JoinSet::new();
        let (closing, closed) = watch::channel(());
        let secure = self.identity.as_ref().map(|identity| identity.server_config_for(None, &["http/1.1"]));
        state.certificate.clone_from(&self.identity);
        // Who may be reached in the clear must not be remembered as one that may not.
        let strict = self.identity.clone().filter(|_| self.address.ip().is_loopback());
        let door = Door::new(router(state), strict);
        tasks.spawn(accept(self.listener, None, Arc::clone(&door), closed.clone()));
        match secure {
            Some(Ok(config)) => {
                for (listener, _) in self.tls {
                    let acceptor = TlsAcceptor::from(Arc::clone(&config));
                    tasks.spawn(accept(listener, Some(acceptor), Arc::clone(&door), closed.clone()));
                }
            }
            Some(Err(error)) => tracing::error!(%error, "HTTPS is not served"),
            None => {}
        }
        if let Some(identity) = self.identity {
            tasks.spawn(renew(identity));
        }
        drop(closed);
        shutdown.await;
        // No new connections; those that stand hear it and end by themselves.
        tasks.shutdown().await;
        closing.send_replace(());
        let _ = timeout(DRAIN * 2, closing.closed()).await;
    }
}

fn open(address: SocketAddr, access: &Access, only_v6: bool) -> Result<(TcpListener, SocketAddr), ApiError> {
    if !address.ip().is_loopback() && !access.is_guarded() {
        return Err(ApiError::NotLoopback(address));
    }
    let opened = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // A restart must not wait for connections of the last run to be forgotten.
        socket.set_reuse_address(true)?;
        if only_v6 && address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from_std(socket.into())?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    opened().map_err(|what| ApiError::Listen { address, what })
}

/// Makes a certificate of our own making anew before it ends.
async fn renew(identity: Arc<TlsIdentity>) {
    let mut due = interval(RENEWAL_EVERY);
    loop {
        due.tick().await;
        let identity = Arc::clone(&identity);
        match spawn_blocking(move || identity.renew_if_due(UnixTime::now())).await {
            Ok(Ok(true)) => {
                tracing::warn!("the certificate of HTTPS was made anew: browsers will ask again whether to trust it")
            }
            Ok(Ok(false)) | Err(_) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the certificate of HTTPS ends soon and cannot be made anew"),
        }
    }
}
