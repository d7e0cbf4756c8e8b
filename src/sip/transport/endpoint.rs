//! SIP on all its sockets. Purpose: bind what the configuration names, start the task that owns the agent, and give out the
//! handle and the events. Control threads. Invariant: either everything listens or nothing does. Deliberately absent: what
//! the task does (`driver`) and how sockets are made (`listen`).

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use super::AttachedSubnets;
use super::census::Census;
use super::dead_hops::DeadHops;
use super::door::Doors;
use super::driver::Driver;
use super::figures::Figures;
use super::flow_table::FlowTable;
use super::handle::{Shared, SipHandle};
use super::listen::{ListenConfig, ListenError, Switchboard, accept, bind_stream, bind_udp};
use super::resolve::{Families, SipResolver};
use crate::limits;
use crate::sip::agent::{Agent, AgentConfig, RandomSource, SipEvent};
use crate::sip::hop::Transport;
use crate::telemetry::seldom::Seldom;

/// Peers whose route is remembered.
const ROUTES_MAX: usize = 1024;

/// A running agent on its sockets.
#[derive(Debug)]
pub struct SipTransport {
    handle: SipHandle,
    events: mpsc::Receiver<SipEvent>,
    task: JoinHandle<()>,
}

impl SipTransport {
    /// Binds all sockets and starts the task on the current tokio runtime. `agent` makes the agent's configuration from
    /// the UDP address that was bound; start from [`SipTransport::agent_config`]. What else is listened on is added to it.
    ///
    /// # Errors
    /// [`ListenError`]; then nothing listens.
    pub fn start(config: ListenConfig, agent: impl FnOnce(SocketAddr) -> AgentConfig) -> Result<Self, ListenError> {
        let buffer = config.receive_buffer_octets;
        let first = bind_udp(config.udp, false, buffer)?;
        let second = config.udp_v6.map(|address| bind_udp(address, true, buffer)).transpose()?;
        let mut streams = Vec::new();
        for (transport, addresses) in [(Transport::Tcp, &config.tcp), (Transport::Tls, &config.tls)] {
            for address in addresses {
                streams.push((transport, bind_stream(*address, transport)?));
            }
        }
        let server = match (&config.identity, config.tls.is_empty()) {
            (_, true) => None,
            (Some(identity), false) => Some(identity.server_config(config.client_roots.as_deref())?),
            (None, false) => return Err(ListenError::NoIdentity),
        };
        let unknown = |source| ListenError::Bind { transport: Transport::Udp, address: config.udp, source };
        let local = first.local_addr().map_err(unknown)?;
        let mut listeners = Vec::new();
        if let Some(second) = &second {
            listeners.push((Transport::Udp, second.local_addr().map_err(unknown)?));
        }
        for (transport, listener) in &streams {
            listeners.push((*transport, listener.local_addr().map_err(unknown)?));
        }
        let mut agent = agent(local);
        agent.listeners.clone_from(&listeners);

        let (commands, command_receiver) = mpsc::channel(limits::SIP_COMMANDS_MAX);
        let (event_sender, events) = mpsc::channel(limits::SIP_EVENTS_MAX);
        let (inbox, arrivals) = mpsc::channel(limits::SIP_ARRIVALS_MAX);
        let census = Census::new(limits::SIP_FLOWS_MAX, limits::SIP_FLOWS_PER_SOURCE_MAX);
        let board = Switchboard {
            numbers: Arc::default(),
            census,
            trust: Arc::clone(&config.trust),
            clock: config.clock,
            inbox,
            told: Arc::new(Mutex::new(Seldom::new(limits::LOG_REFUSED_MAX))),
        };
        let mut accepting = JoinSet::new();
        for (transport, listener) in streams {
            let tls = server.clone().filter(|_| transport == Transport::Tls);
            accepting.spawn(accept(listener, tls, board.clone()));
        }
        let dead = Arc::new(DeadHops::default());
        let driver = Driver {
            sockets: (first, second),
            agent: Agent::new(agent),
            clock: config.clock,
            events: event_sender,
            closing: None,
            flows: FlowTable::default(),
            board,
            dead: Arc::clone(&dead),
            figures: Figures::default(),
        };
        let task = tokio::spawn(async move {
            driver.run(command_receiver, arrivals).await;
            drop(accepting); // which ends them
        });
        let both = local.ip().is_unspecified() && local.is_ipv6() && config.udp_v6.is_none();
        let families = Families { v4: local.is_ipv4() || both, v6: local.is_ipv6() || config.udp_v6.is_some() };
        let resolver = Arc::new(SipResolver::new(&config.name_servers, families));
        let shared = Shared {
            local,
            listeners,
            identity: config.identity,
            resolver,
            dead,
            clock: config.clock,
            doors: Doors::default(),
        };
        Ok(Self { handle: SipHandle::new(commands, shared), events, task })
    }

    /// The usual configuration for a bound address: system randomness, kernel routes, and requests heard from loopback
    /// and attached private subnets only.
    #[must_use]
    pub fn agent_config(local: SocketAddr) -> AgentConfig {
        let attached = RefCell::new(AttachedSubnets::default());
        let routes: RefCell<HashMap<IpAddr, IpAddr>> = RefCell::default();
        AgentConfig {
            large_by_tcp: true,
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
