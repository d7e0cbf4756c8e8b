//! Serves the API. Invariant: no address but loopback is served without a token.

use super::access::Access;
use super::routes::router;
use super::state::AppState;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::sleep;

/// Requests under way at shutdown get this long; event streams are cut then.
const DRAIN: Duration = Duration::from_secs(1);

/// Why the API is not served.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The address is for others too, and there is nothing that tells friend from foe.
    #[error(
        "[http] listen = {0} would open the control API to the network without a token; write token_file, or use 127.0.0.1 or ::1"
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
}

/// The API's listener, open but not yet served (so that a taken port is known at once).
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Opens the listener.
    ///
    /// # Errors
    /// The address is not loopback and `access` needs no token, or it is taken.
    pub async fn bind(address: SocketAddr, access: &Access) -> Result<Self, ApiError> {
        if !address.ip().is_loopback() && !access.is_guarded() {
            return Err(ApiError::NotLoopback(address));
        }
        let refused = |what| ApiError::Listen { address, what };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Self { listener, address })
    }

    /// Where it listens (the port that port 0 became).
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` resolves, then finishes the requests under way.
    pub async fn serve(self, state: AppState, shutdown: impl Future<Output = ()> + Send + 'static) {
        let (tell, told) = oneshot::channel();
        let service = router(state).into_make_service_with_connect_info::<SocketAddr>();
        let serving = axum::serve(self.listener, service).with_graceful_shutdown(async move {
            shutdown.await;
            // The other side waits below for as long as this runs.
            let _ = tell.send(());
        });
        tokio::select! {
            ended = serving => if let Err(error) = ended {
                tracing::error!(%error, "the control API ended");
            },
            () = async {
                if told.await.is_ok() {
                    sleep(DRAIN).await;
                } else {
                    std::future::pending().await
                }
            } => {}
        }
    }
}
