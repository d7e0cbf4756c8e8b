//! One UDP port for all calls of browsers. Purpose: a firewall with one hole. tokio; one task for each family of addresses.
//!
//! How it works: a listener is bound to the port, and every call has a socket of its own on the same port, which hears nothing
//! until the call's checks have shown where its browser is; then it is connected to that address, and from then on the kernel
//! gives it what comes from there, and nothing else. The listener has what comes from everywhere else: first checks, the
//! handshake, a browser that comes back from another network; the name in the check says whose it is (`seats`). So a media
//! worker has one socket a call as ever, and its loop does not know of any of this.
//!
//! Why connected sockets, and no ring from one reader to the workers: measured here (Linux 6.18, loopback, 172 octets, best of
//! 30), sending and delivering took 2.76 µs on one port with 100 connected sockets and 2.76 µs with a port each, 2.87 and 2.87 at
//! 1000, 3.45 and 3.36 at 5000. A reader in between costs a second wake-up (14 µs and more, see `media`), and all calls would
//! share one receive buffer with whoever floods the port. What it costs: a datagram of a stranger is compared with every
//! connected socket by the kernel (3.5 µs with 100 calls, 9.7 with 1000, 50 with 5000), and before Linux 6.13, which keeps
//! connected sockets by both addresses, so is everybody's: beyond some hundreds of browsers take a range of ports there.
//!
//! Invariants: no datagram of one call reaches another call's socket, also not while that is bound and not connected yet (the
//! group of sockets has a program that chooses the listener, always); nobody but this process binds the port as long as it
//! lives; a flood from elsewhere takes nothing from calls that are up. Deliberately absent: ICE (`link`), TCP.

use super::seats::{Arrived, Dropped, Place, Seats};
use crate::limits::RTP_DATAGRAM_MAX;
use crate::media::socket;
use crate::os::clock;
use crate::telemetry::metric;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// The port cannot be had; the operator's fault.
#[derive(Debug, thiserror::Error)]
#[error("cannot take UDP port {number} of {address} for calls of browsers: {source}; choose another [webrtc] udp_port")]
pub struct PortTaken {
    number: u16,
    address: IpAddr,
    source: io::Error,
}

/// Why a call has no place on the port.
#[derive(Debug, thiserror::Error)]
pub enum NoPlace {
    /// Ours or the machine's fault; another try may succeed.
    #[error("no socket on the port of [webrtc] udp_port: {0}")]
    Socket(#[from] io::Error),
    /// Too many.
    #[error("all places on the port of [webrtc] udp_port are taken; wait for calls to end")]
    Full,
    /// The machine has no addresses of that family.
    #[error("the port of [webrtc] udp_port has no address of the family of {0}")]
    Family(IpAddr),
}

/// One port, on all addresses or on one of each family.
#[derive(Debug)]
pub struct SharedPort {
    number: u16,
    listeners: Vec<Listener>,
    seats: Seats,
}

#[derive(Debug)]
struct Listener {
    bound: SocketAddr,
    /// For the next call. A socket that is bound joins the group of the newest one on its address, and one that is connected has
    /// left it: so the newest one is never connected.
    spare: Mutex<UdpSocket>,
    socket: Arc<tokio::net::UdpSocket>,
    task: JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One call's part of the port; dropping it releases it.
#[derive(Debug)]
pub struct PortSeat {
    place: Place,
    come: mpsc::Receiver<Arrived>,
    /// Another handle of the socket that the worker has.
    own: UdpSocket,
    /// As bound, before it was connected.
    bound: IpAddr,
    listener: Arc<tokio::net::UdpSocket>,
}

impl SharedPort {
    /// Takes the port: of `address`, and of all addresses of the other family. Within a runtime.
    ///
    /// # Errors
    /// [`PortTaken`].
    pub fn open(address: IpAddr, number: u16) -> Result<Self, PortTaken> {
        let seats = Seats::default();
        let other: IpAddr = match address {
            IpAddr::V4(_) => Ipv6Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED.into(),
        };
        let taken = |address| move |source| PortTaken { number, address, source };
        let mut listeners = vec![Listener::start(SocketAddr::new(address, number), &seats).map_err(taken(address))?];
        let number = listeners[0].bound.port();
        match Listener::start(SocketAddr::new(other, number), &seats) {
            Ok(listener) => listeners.push(listener),
            // A machine without that family.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL)) => {
                tracing::info!(%other, %error, "browsers reach no address of this family");
            }
            Err(error) => return Err(taken(other)(error)),
        }
        Ok(Self { number, listeners, seats })
    }

    /// Its number.
    #[must_use]
    pub const fn number(&self) -> u16 {
        self.number
    }

    /// A socket for a call's worker that hears nothing yet, and the call's part of the port. `ufrag`: our name in its checks.
    ///
    /// # Errors
    /// [`NoPlace`].
    pub fn take(&self, peer: IpAddr, ufrag: &str) -> Result<(UdpSocket, PortSeat), NoPlace> {
        let peer = peer.to_canonical();
        let listener = self.listeners.iter().find(|l| l.bound.is_ipv4() == peer.is_ipv4());
        let listener = listener.ok_or(NoPlace::Family(peer))?;
        let own = listener.next()?;
        let (place, come) = self.seats.take(ufrag).ok_or(NoPlace::Full)?;
        let (bound, listener) = (listener.bound.ip(), Arc::clone(&listener.socket));
        Ok((own.try_clone()?, PortSeat { place, come, own, bound, listener }))
    }
}

impl Listener {
    fn start(address: SocketAddr, seats: &Seats) -> io::Result<Self> {
        // Bound before it is shared: another process on the port is a fault, and no partner.
        let socket: UdpSocket = unbound(address)?.into();
        bind(&socket, address)?;
        socket::share_port(&socket)?;
        socket::set_up(&socket)?;
        let bound = socket.local_addr()?;
        // There is a group as soon as there are two.
        let spare = Mutex::new(joining(bound)?);
        socket::prefer_first(&socket)?;
        let socket = Arc::new(tokio::net::UdpSocket::from_std(socket)?);
        let task = tokio::spawn(listen(Arc::clone(&socket), seats.clone()));
        Ok(Self { bound, spare, socket, task })
    }

    fn next(&self) -> io::Result<UdpSocket> {
        // Whole after every statement.
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::replace(&mut *spare, joining(self.bound)?))
    }
}

async fn listen(socket: Arc<tokio::net::UdpSocket>, seats: Seats) {
    let mut buffer = [0; RTP_DATAGRAM_MAX];
    loop {
        // An error is an ICMP message for an answer of before.
        if let Ok((len, from)) = socket.recv_from(&mut buffer).await
            && let Err(why) = seats.route(from, &buffer[..len])
        {
            metric::shared_port_dropped(why.name());
        }
    }
}

fn unbound(of: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(of), Type::DGRAM, Some(Protocol::UDP))?;
    if of.is_ipv6() {
        // Each family has its own.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A socket in the group.
fn joining(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket: UdpSocket = unbound(address)?.into();
    socket::share_port(&socket)?;
    bind(&socket, address)?;
    socket::set_up(&socket)?;
    Ok(socket)
}

fn bind(socket: &UdpSocket, to: SocketAddr) -> io::Result<()> {
    socket2::SockRef::from(socket).bind(&to.into())
}

impl PortSeat {
    /// The next datagram that came by the listener. An address that another call holds is not listened to. Does not end.
    pub(super) async fn receive(&mut self) -> (SocketAddr, Vec<u8>) {
        loop {
            match self.come.recv().await {
                Some(Arrived { from, octets }) if self.place.claim(clock::monotonic(), from) => return (from, octets),
                Some(_) => metric::shared_port_dropped(Dropped::Taken.name()),
                None => return std::future::pending().await,
            }
        }
    }

    /// Whence authentic checks have come; what else came is forgotten.
    pub(super) fn keep(&self, sources: &[SocketAddr]) {
        self.place.keep(sources);
    }

    /// Our name in checks from now on.
    pub(super) fn rename(&self, ufrag: &str) {
        self.place.rename(ufrag);
    }

    /// What the network does not take is lost.
    pub(super) fn send(&self, to: SocketAddr, datagram: &[u8]) -> io::Result<()> {
        self.listener.try_send_to(datagram, to).map(|_| ())
    }

    /// From now on the worker's socket hears what comes from `peer`, and nothing else.
    pub(super) fn connect(&self, peer: SocketAddr) -> io::Result<()> {
        // The first time the kernel chooses our address, and stays with it. When the browser is reached from another one of ours
        // by now, it has to choose anew.
        let ours = self.own.local_addr()?.ip();
        if self.bound.is_unspecified() && !ours.is_unspecified() {
            let probe: UdpSocket = unbound(peer)?.into();
            probe.connect(peer)?;
            if probe.local_addr()?.ip() != ours {
                socket::disconnect(&self.own)?;
            }
        }
        self.own.connect(peer)?;
        self.place.settle(peer);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
