//! The task that owns the agent and all sockets. Purpose: one place where messages, commands and time meet the agent; it
//! waits for all of them and for no single peer. Invariants: datagrams are sent as the agent hands them out; streams have
//! tasks and bounded queues of their own; when the receiver of events is slow, the agent refuses new calls (503) rather than
//! queue without bound; a fault in reading one message does not silence the telephone. Deliberately absent: anything of the
//! media plane.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::connection::{Connection, FlowEvent, Patience};
use super::dead_hops::DeadHops;
use super::figures::Figures;
use super::flow_table::{Flow, FlowTable, NotPushed};
use super::handle::Command;
use super::listen::{Switchboard, dial};
use crate::limits;
use crate::sip::agent::{Agent, SipEvent, Transmit};
use crate::sip::hop::{FlowId, Hop, Transport};
use crate::time::Tick;

/// Datagrams or messages of streams that are taken before timers and commands get their turn.
const READS_PER_TURN: usize = 64;

pub(super) struct Driver {
    /// The first; a second for IPv6 alone.
    pub(super) sockets: (UdpSocket, Option<UdpSocket>),
    pub(super) agent: Agent,
    pub(super) clock: fn() -> Tick,
    pub(super) events: mpsc::Sender<SipEvent>,
    pub(super) closing: Option<Tick>,
    pub(super) flows: FlowTable,
    pub(super) board: Switchboard,
    pub(super) dead: Arc<DeadHops>,
    pub(super) figures: Figures,
}

enum Wake {
    Readable(bool, io::Result<()>),
    Flow(Option<FlowEvent>),
    Command(Option<Command>),
    /// Time has come, or the receiver of events has room again.
    Flush,
}

impl Driver {
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>, mut inbox: mpsc::Receiver<FlowEvent>) {
        let mut buffer = vec![0; limits::SIP_MESSAGE_MAX];
        loop {
            self.flush().await;
            let now = (self.clock)();
            let status = self.agent.status();
            let idle = status.legs == 0 && status.client_transactions == 0;
            if self.events.is_closed() || self.closing.is_some_and(|end| idle || end <= now) {
                return;
            }
            let untold = self.figures.tell(now, &status);
            let due = [self.agent.poll_timeout(), self.closing, untold].into_iter().flatten().min();
            // Without a timer, look again after a while: cheaper than a special case.
            let wait = due.map_or(Duration::from_secs(60), |due| due.since(now));
            let wake = tokio::select! {
                readable = self.sockets.0.readable() => Wake::Readable(false, readable),
                readable = readable(self.sockets.1.as_ref()) => Wake::Readable(true, readable),
                event = inbox.recv() => Wake::Flow(event),
                command = commands.recv() => Wake::Command(command),
                _ = self.events.reserve(), if self.agent.has_event() => Wake::Flush,
                () = tokio::time::sleep(wait) => Wake::Flush,
            };
            match wake {
                Wake::Readable(second, Ok(())) => self.read(second, &mut buffer),
                Wake::Readable(_, Err(error)) => tracing::warn!(%error, "SIP socket"),
                Wake::Flow(Some(event)) => {
                    self.handle_flow(event).await;
                    for _ in 1..READS_PER_TURN {
                        let Ok(event) = inbox.try_recv() else { break };
                        self.handle_flow(event).await;
                    }
                }
                Wake::Flow(None) => {} // not while we hold a sender
                Wake::Command(Some(command)) => self.obey(command),
                Wake::Command(None) => return, // nobody is left who could answer a call
                Wake::Flush => {}
            }
            let now = (self.clock)();
            self.agent.handle_timeout(now);
        }
    }

    fn read(&mut self, second: bool, buffer: &mut [u8]) {
        for _ in 0..READS_PER_TURN {
            let socket = if second { self.sockets.1.as_ref().unwrap_or(&self.sockets.0) } else { &self.sockets.0 };
            match socket.try_recv_from(buffer) {
                Ok((length, source)) => self.take(&Hop::udp(source), &buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // ICMP errors of earlier sends arrive here on some systems; the transactions' timers handle the loss.
                Err(error) => tracing::debug!(%error, "SIP receive"),
            }
        }
    }

    fn take(&mut self, hop: &Hop, bytes: &[u8]) {
        self.guarded(hop, bytes.len(), |agent, now| agent.handle_message(now, hop, bytes));
    }

    fn guarded(&mut self, hop: &Hop, length: usize, handle: impl FnOnce(&mut Agent, Tick)) {
        let now = (self.clock)();
        let agent = &mut self.agent;
        // The agent's tables stay usable after a fault: entries are whole or absent, and timers end whatever was half done.
        let outcome = catch_unwind(AssertUnwindSafe(|| handle(agent, now)));
        if outcome.is_err() {
            tracing::error!(%hop, length, "a SIP message made us fail; it was dropped. Please report this.");
        }
    }

    async fn handle_flow(&mut self, event: FlowEvent) {
        match event {
            FlowEvent::Accepted { flow, connection } => {
                // Whoever would not be heard need not be read; dropping the queue closes the connection.
                if self.agent.hears(connection.hop.address.ip()) {
                    self.flows.insert(flow, connection);
                } else {
                    tracing::debug!(hop = %connection.hop, "SIP connection of a stranger closed");
                }
            }
            FlowEvent::Message { flow, bytes } => {
                let Some(hop) = self.flows.get(flow).map(|f| f.hop.clone()) else { return };
                self.take(&hop, &bytes);
            }
            FlowEvent::Unfit { flow, head, why, answered } => {
                let Some(hop) = self.flows.get(flow).map(|f| f.hop.clone()) else { return };
                self.guarded(&hop, head.len(), |agent, _| agent.handle_unfit(&hop, &head, why));
                // The answer is to lie in the connection's queue before that is closed.
                self.flush().await;
                drop(answered);
            }
            FlowEvent::Closed { flow, unsent, reached } => self.flow_closed(flow, unsent, reached).await,
        }
    }

    /// Answers that were not sent get another connection; requests are the agent's to repeat or to give up.
    async fn flow_closed(&mut self, id: FlowId, unsent: Vec<Vec<u8>>, reached: bool) {
        let Some(flow) = self.flows.remove(id) else { return };
        let now = (self.clock)();
        let hop = if reached { flow.hop.clone() } else { Hop { flow: None, ..flow.hop.clone() } };
        if !reached {
            self.dead.mark(&hop, now);
        }
        self.agent.handle_transport_failed(now, &hop);
        if reached && flow.seat.is_none() {
            for bytes in unsent.into_iter().filter(|bytes| is_answer(bytes)) {
                self.send(Transmit { hop: Hop { flow: None, ..flow.hop.clone() }, bytes }).await;
            }
        }
    }

    /// Sends what waits and hands out events as far as there is room.
    async fn flush(&mut self) {
        while let Some(transmit) = self.agent.poll_transmit() {
            self.send(transmit).await;
        }
        while let Some(hop) = self.agent.poll_dead_hop() {
            self.dead.mark(&hop, (self.clock)());
        }
        while let Ok(permit) = self.events.try_reserve() {
            let Some(event) = self.agent.poll_event() else { break };
            permit.send(event);
        }
    }

    async fn send(&mut self, transmit: Transmit) {
        let Transmit { hop, bytes } = transmit;
        if hop.transport == Transport::Udp {
            let (socket, address) = self.socket_for(hop.address);
            if let Err(error) = socket.send_to(&bytes, address).await {
                tracing::debug!(%hop, %error, "SIP send");
            }
            return;
        }
        let bytes = match self.flows.find(&hop) {
            None => bytes,
            Some(flow) => match self.flows.push(flow, bytes) {
                Ok(()) => return,
                Err(NotPushed::Stuck) => {
                    tracing::warn!(%hop, "SIP connection given up: the peer does not read");
                    self.flows.remove(flow);
                    return self.agent.handle_transport_failed((self.clock)(), &Hop { flow: Some(flow), ..hop });
                }
                // Its task has just ended and the news of it is on its way.
                Err(NotPushed::Gone(bytes)) => {
                    self.flows.remove(flow);
                    bytes
                }
            },
        };
        if !self.flows.has_room() {
            tracing::warn!(%hop, "no SIP connection opened: {} are open", limits::SIP_FLOWS_OPENED_MAX);
            return self.agent.handle_transport_failed((self.clock)(), &Hop { flow: None, ..hop });
        }
        let flow = self.open(&hop);
        // A new queue has room.
        let _full = self.flows.push(flow, bytes).is_err();
    }

    /// Begins to open a connection; messages for it wait in its queue.
    fn open(&mut self, hop: &Hop) -> FlowId {
        let flow = self.board.numbers.next();
        let (queue, messages) = mpsc::channel(limits::SIP_FLOW_QUEUE_MAX);
        let hop = Hop { flow: Some(flow), ..hop.clone() };
        self.flows.insert(flow, Flow { hop: hop.clone(), queue, seat: None });
        let connection = Connection {
            patience: Patience::of(flow),
            flow,
            dialled: true,
            quiet: None,
            inbox: self.board.inbox.clone(),
            queue: messages,
        };
        tokio::spawn(dial(hop, connection, Arc::clone(&self.board.trust)));
        flow
    }

    /// The socket of the address's family; an IPv6 socket that hears both is written to in its own notation.
    fn socket_for(&self, address: SocketAddr) -> (&UdpSocket, SocketAddr) {
        let is_v6 = |socket: &UdpSocket| socket.local_addr().is_ok_and(|a| a.is_ipv6());
        let (first, second) = (&self.sockets.0, self.sockets.1.as_ref());
        match (address.ip(), second) {
            (IpAddr::V6(v6), Some(second)) if v6.to_ipv4_mapped().is_none() => (second, address),
            (IpAddr::V4(v4), _) if is_v6(first) => (first, SocketAddr::new(v4.to_ipv6_mapped().into(), address.port())),
            _ => (first, address),
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

/// Whether a message is a response or an ACK: nothing that the agent repeats for want of an answer.
fn is_answer(message: &[u8]) -> bool {
    message.starts_with(b"SIP/2.0 ") || message.starts_with(b"ACK ")
}

async fn readable(socket: Option<&UdpSocket>) -> io::Result<()> {
    match socket {
        Some(socket) => socket.readable().await,
        None => std::future::pending().await,
    }
}
