//! SIP over UDP. Purpose: one tokio task owns the socket and the agent; others speak to it through a bounded channel and
//! hear from it through another. Invariants: nothing blocks the task but the socket; when the receiver of events is slow,
//! the agent refuses new calls (503) rather than queue without bound. Deliberately absent: anything of the media plane.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::AttachedSubnets;
use super::handle::{Command, SipHandle};
use crate::limits;
use crate::sip::agent::{Agent, AgentConfig, RandomSource, SipEvent, Transmit};
use crate::sip::hop::Transport;
use crate::time::Tick;

/// Class selector 3, "signalling" in most telephone networks (RFC 2474, RFC 4594 §3): upper six bits of the octet.
const DSCP_CS3: u32 = 24 << 2;
/// Datagrams read before timers and commands get their turn.
const READS_PER_TURN: usize = 64;
/// Peers whose route is remembered.
const ROUTES_MAX: usize = 1024;

/// How to listen.
#[derive(Clone, Copy, Debug)]
pub struct UdpConfig {
    /// Address and port; port 0 = any free one.
    pub bind: SocketAddr,
    /// Socket receive buffer, octets; the kernel may grant less. A burst of INVITEs must fit in.
    pub receive_buffer_octets: usize,
    /// Reads the monotonic clock.
    pub clock: fn() -> Tick,
}

impl UdpConfig {
    /// Listens on `bind` with a buffer of 4 MiB.
    #[must_use]
    pub const fn new(bind: SocketAddr, clock: fn() -> Tick) -> Self {
        Self { bind, receive_buffer_octets: 4 << 20, clock }
    }
}

/// Why SIP over UDP cannot start.
#[derive(Debug, thiserror::Error)]
pub enum UdpError {
    /// The address cannot be had. Stop the other SIP server on this port, or choose another address.
    #[error("cannot listen for SIP on UDP {address}: {source}. Is another telephone server running there?")]
    Bind {
        /// What was asked for.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
}

/// A running agent on a UDP socket.
#[derive(Debug)]
pub struct UdpTransport {
    handle: SipHandle,
    events: mpsc::Receiver<SipEvent>,
    task: JoinHandle<()>,
}

impl UdpTransport {
    /// Binds the socket and starts the task on the current tokio runtime. `agent` makes the agent's configuration from
    /// the address that was bound; start from [`UdpTransport::agent_config`].
    ///
    /// # Errors
    /// [`UdpError`].
    pub fn start(config: UdpConfig, agent: impl FnOnce(SocketAddr) -> AgentConfig) -> Result<Self, UdpError> {
        let (socket, local) = bind(&config).map_err(|source| UdpError::Bind { address: config.bind, source })?;
        let agent = Agent::new(agent(local));
        let (commands, command_receiver) = mpsc::channel(limits::SIP_COMMANDS_MAX);
        let (event_sender, events) = mpsc::channel(limits::SIP_EVENTS_MAX);
        let driver = Driver { socket, agent, clock: config.clock, events: event_sender, closing: None };
        let task = tokio::spawn(driver.run(command_receiver));
        Ok(Self { handle: SipHandle::new(commands, local), events, task })
    }

    /// The usual configuration for a bound address: system randomness, kernel routes, and requests heard from loopback
    /// and attached private subnets only.
    #[must_use]
    pub fn agent_config(local: SocketAddr) -> AgentConfig {
        let attached = RefCell::new(AttachedSubnets::default());
        let routes: RefCell<HashMap<IpAddr, IpAddr>> = RefCell::default();
        AgentConfig {
            accept_from: Box::new(move |address| attached.borrow_mut().contains(address)),
            route_lookup: Some(Box::new(move |peer| {
                let mut routes = routes.borrow_mut();
                if let Some(address) = routes.get(&peer) {
                    return Some(*address);
                }
                let address = local_address_towards(peer).ok()?;
                if routes.len() >= ROUTES_MAX {
                    routes.clear();
                }
                routes.insert(peer, address);
                Some(address)
            })),
            ..AgentConfig::new(local, system_random())
        }
    }

    /// For commands.
    #[must_use]
    pub fn handle(&self) -> SipHandle {
        self.handle.clone()
    }

    /// Next event; `None` once the transport is shut down. Cancel safe.
    pub async fn next_event(&mut self) -> Option<SipEvent> {
        self.events.recv().await
    }

    /// Takes handle and events apart, for a task that owns the events.
    #[must_use]
    pub fn into_parts(self) -> (SipHandle, mpsc::Receiver<SipEvent>, JoinHandle<()>) {
        (self.handle, self.events, self.task)
    }
}

struct Driver {
    socket: UdpSocket,
    agent: Agent,
    clock: fn() -> Tick,
    events: mpsc::Sender<SipEvent>,
    closing: Option<Tick>,
}

enum Wake {
    Readable(io::Result<()>),
    Command(Option<Command>),
    /// Time has come, or the receiver of events has room again.
    Flush,
}

impl Driver {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut buffer = vec![0; limits::SIP_MESSAGE_MAX];
        loop {
            self.flush().await;
            let now = (self.clock)();
            let status = self.agent.status();
            let idle = status.legs == 0 && status.client_transactions == 0;
            if self.events.is_closed() || self.closing.is_some_and(|end| idle || end <= now) {
                return;
            }
            let due = [self.agent.poll_timeout(), self.closing].into_iter().flatten().min();
            // Without a timer, look again after a while: cheaper than a special case.
            let wait = due.map_or(Duration::from_secs(60), |due| due.since(now));
            let wake = tokio::select! {
                readable = self.socket.readable() => Wake::Readable(readable),
                command = commands.recv() => Wake::Command(command),
                _ = self.events.reserve(), if self.agent.has_event() => Wake::Flush,
                () = tokio::time::sleep(wait) => Wake::Flush,
            };
            match wake {
                Wake::Readable(Ok(())) => self.read(&mut buffer),
                Wake::Readable(Err(error)) => tracing::warn!(%error, "SIP socket"),
                Wake::Command(Some(command)) => self.obey(command),
                Wake::Command(None) => return, // nobody is left who could answer a call
                Wake::Flush => {}
            }
            let now = (self.clock)();
            self.agent.handle_timeout(now);
        }
    }

    fn read(&mut self, buffer: &mut [u8]) {
        for _ in 0..READS_PER_TURN {
            match self.socket.try_recv_from(buffer) {
                Ok((length, source)) => {
                    let now = (self.clock)();
                    let agent = &mut self.agent;
                    // A fault in our reading of one datagram must not silence the telephone. The agent's tables stay
                    // usable after it: entries are whole or absent, and timers end whatever was half done.
                    let outcome =
                        catch_unwind(AssertUnwindSafe(|| agent.handle_datagram(now, source, &buffer[..length])));
                    if outcome.is_err() {
                        tracing::error!(%source, length, "a SIP message made us fail; it was dropped. Please report this.");
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // ICMP errors of earlier sends arrive here on some systems; the transactions' timers handle the loss.
                Err(error) => tracing::debug!(%error, "SIP receive"),
            }
        }
    }

    /// Sends what waits and hands out events as far as there is room.
    async fn flush(&mut self) {
        while let Some(transmit) = self.agent.poll_transmit() {
            let Transmit { hop, bytes } = transmit;
            if hop.transport != Transport::Udp {
                self.agent.handle_transport_failed((self.clock)(), &hop);
                continue;
            }
            if let Err(error) = self.socket.send_to(&bytes, hop.address).await {
                tracing::debug!(%hop, %error, "SIP send");
            }
        }
        while let Ok(permit) = self.events.try_reserve() {
            let Some(event) = self.agent.poll_event() else { break };
            permit.send(event);
        }
    }

    fn obey(&mut self, command: Command) {
        let now = (self.clock)();
        match command {
            Command::Do(verb) => (verb.0)(&mut self.agent, now),
            Command::Close(linger) => {
                self.agent.set_draining(true);
                self.closing = Some(now + linger);
            }
        }
    }
}

fn bind(config: &UdpConfig) -> io::Result<(UdpSocket, SocketAddr)> {
    let domain = Domain::for_address(config.bind);
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    // Buffer and DSCP are wishes: a kernel that refuses them still carries calls.
    if let Err(error) = socket.set_recv_buffer_size(config.receive_buffer_octets) {
        tracing::warn!(%error, "SIP receive buffer");
    }
    let marked = match config.bind {
        SocketAddr::V4(_) => socket.set_tos_v4(DSCP_CS3),
        SocketAddr::V6(_) => socket.set_tclass_v6(DSCP_CS3),
    };
    if let Err(error) = marked {
        tracing::warn!(%error, "SIP DSCP CS3");
    }
    socket.set_nonblocking(true)?;
    socket.bind(&config.bind.into())?;
    let socket = UdpSocket::from_std(socket.into())?;
    let local = socket.local_addr()?;
    Ok((socket, local))
}

/// Our address on the route towards a peer: what to write into SDP for it. Nothing is sent.
///
/// # Errors
/// When there is no route.
pub fn local_address_towards(peer: IpAddr) -> io::Result<IpAddr> {
    let any: IpAddr = if peer.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let probe = std::net::UdpSocket::bind((any, 0))?;
    probe.connect((peer, 9))?; // the port does not matter: connecting a datagram socket only looks the route up
    Ok(probe.local_addr()?.ip())
}

/// The system's random source. Should it ever fail, the task ends rather than give out guessable tags.
#[must_use]
pub fn system_random() -> RandomSource {
    Box::new(|octets| getrandom::fill(octets).expect("the kernel's random source works once the system has booted"))
}
