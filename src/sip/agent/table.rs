//! The agent itself: its tables, timers and queues. Purpose: one place where legs and transactions are made, found,
//! timed and forgotten. Invariants: every table is bounded by `limits`; every entry with a deadline is in `timers` once;
//! nothing outlives its leg by more than 64·T1 + T4.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::admission::Admission;
use super::credentials::{Accounts, Answered};
use super::doorman::Doorman;
use super::failover::Failure;
use super::leg::{Leg, Phase, TransactionId};
use super::lines::{Line, LineId};
use super::out_of_dialog::RequestId;
use super::reason::Reason;
use super::refer::TheirRefer;
use super::response::ResponseSeed;
use super::{AgentConfig, AgentStatus, LegId, SipEvent, Transmit, is_loopback_or_private};
use crate::limits;
use crate::sip::dialog::{Dialog, DialogId, DialogRequest};
use crate::sip::hop::{Hop, Transport};
use crate::sip::message::Via;
use crate::sip::peer::Directory;
use crate::sip::transaction::{
    ClientKey, Expiry, InviteClient, InviteServer, NonInviteClient, NonInviteServer, ServerKey, State,
};
use crate::time::Tick;

/// A SIP user agent for any number of calls, without sockets and clocks.
///
/// Methods are of three kinds: `handle_*` (input), verbs on a leg (`ring`, `accept`, …), `poll_*` (output). After every
/// input or verb, poll `poll_transmit` and `poll_event` until `None`; then call [`Agent::handle_timeout`] when
/// [`Agent::poll_timeout`] is reached.
#[derive(Debug)]
pub struct Agent {
    pub(super) config: AgentConfig,
    pub(super) admission: Admission,
    pub(super) legs: HashMap<LegId, Leg>,
    pub(super) dialogs: HashMap<DialogId, LegId>,
    pub(super) servers: HashMap<TransactionId, ServerTransaction>,
    pub(super) server_keys: HashMap<ServerKey, TransactionId>,
    /// Initial INVITEs by Call-ID, From tag and CSeq number, to see one that came by two ways (RFC 3261 §8.2.2.2).
    pub(super) merge_keys: HashMap<MergeKey, TransactionId>,
    pub(super) clients: HashMap<TransactionId, ClientTransaction>,
    pub(super) client_keys: HashMap<ClientKey, TransactionId>,
    /// Peers of calls and requests of ours, with their number.
    peers: HashMap<IpAddr, usize>,
    timers: BTreeSet<(Tick, TimerId)>,
    armed: HashMap<TimerId, Tick>,
    transmits: VecDeque<Transmit>,
    pub(super) dead_hops: VecDeque<Hop>,
    /// Our address as peers have told us that they see it, by theirs.
    pub(super) seen_as: HashMap<IpAddr, SocketAddr>,
    events: VecDeque<SipEvent>,
    pub(super) counters: AgentStatus,
    pub(super) draining: bool,
    next_id: u64,
    pub(super) secret: [u8; 32],
    pub(super) accounts: Accounts,
    pub(super) lines: BTreeMap<LineId, Line>,
    pub(super) trunk_hops: HashMap<Arc<str>, Vec<Hop>>,
    /// Our address as trunks see it, where the operator has said so.
    pub(super) publics: HashMap<Arc<str>, IpAddr>,
    pub(super) directory: Directory,
    pub(super) doorman: Doorman,
}

pub(super) type MergeKey = (Vec<u8>, Vec<u8>, u32);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum TimerId {
    Server(TransactionId),
    Client(TransactionId),
    Leg(LegId),
    Line(LineId),
}

#[derive(Debug)]
pub(super) struct ServerTransaction {
    pub(super) machine: ServerMachine,
    pub(super) key: ServerKey,
    pub(super) seed: ResponseSeed,
    pub(super) sequence: u32,
    pub(super) last: Vec<u8>,
    pub(super) leg: Option<LegId>,
    pub(super) merge_key: Option<MergeKey>,
}

#[derive(Debug)]
pub(super) enum ServerMachine {
    Invite(InviteServer),
    NonInvite(NonInviteServer),
}

#[derive(Debug)]
pub(super) struct ClientTransaction {
    pub(super) machine: ClientMachine,
    pub(super) key: ClientKey,
    pub(super) request: DialogRequest,
    pub(super) via: Vec<u8>,
    pub(super) bytes: Vec<u8>,
    pub(super) hop: Hop,
    /// Where else the request may go, in order of preference, should this hop be dead or busy before it has said anything
    /// (RFC 3263 §4.3).
    pub(super) alternatives: VecDeque<Hop>,
    /// When it goes to the next of them, should it have heard nothing.
    pub(super) give_way: Option<Tick>,
    /// Our Contact in the request, which names the transport.
    pub(super) contact: Option<Vec<u8>>,
    /// A provisional response other than 100 has come.
    pub(super) heard: bool,
    /// The request has gone on to another hop: what this one says counts no more.
    pub(super) left: bool,
    /// CANCEL has been sent because it was left.
    pub(super) cancelled: bool,
    /// The hop that a request of a dialog goes to as a datagram, should nobody take it by TCP, for which alone it is too large.
    pub(super) datagram: Option<Hop>,
    /// The request has been sent again because its connection was gone.
    pub(super) sent_anew: bool,
    /// Challenges that were answered for it.
    pub(super) answered: Vec<Answered>,
    pub(super) purpose: Purpose,
}

#[derive(Debug)]
pub(super) enum ClientMachine {
    Invite(InviteClient),
    NonInvite(NonInviteClient),
}

#[derive(Clone, Debug)]
pub(super) enum Purpose {
    /// The INVITE of a leg, the dialogs that answered with 2xx (their tag and ACK), and early dialogs that the leg has left.
    Invite { leg: LegId, acknowledged: Vec<(Vec<u8>, Transmit)>, early: Vec<Dialog> },
    /// A re-INVITE of a leg, and the ACK to its 2xx.
    Reinvite { leg: LegId, acknowledged: Option<Transmit> },
    /// An UPDATE of a leg.
    Update(LegId),
    /// The acknowledgement of a provisional response. Nothing depends on its answer.
    Prack,
    /// A REFER of a leg.
    Refer(LegId),
    /// What we tell the peer of the transfer that it asked for.
    Notify(LegId),
    /// A digit.
    Info(LegId),
    /// The question whether the peer still knows the call.
    Options(LegId),
    /// The BYE of a leg, or of a dialog that never became one.
    Bye(Option<LegId>),
    /// A CANCEL.
    Cancel,
    /// Outside of dialogs.
    Request(RequestId),
}

impl ServerTransaction {
    pub(super) const fn new(
        machine: ServerMachine,
        key: ServerKey,
        seed: ResponseSeed,
        sequence: u32,
        leg: Option<LegId>,
    ) -> Self {
        Self { machine, key, seed, sequence, last: Vec::new(), leg, merge_key: None }
    }
}

impl ServerMachine {
    pub(super) const fn state(&self) -> State {
        match self {
            Self::Invite(m) => m.state(),
            Self::NonInvite(m) => m.state(),
        }
    }
    pub(super) fn respond(&mut self, now: Tick, code: u16) -> bool {
        match self {
            Self::Invite(m) => m.respond(now, code),
            Self::NonInvite(m) => m.respond(now, code),
        }
    }
    pub(super) const fn handle_repeat(&self) -> bool {
        match self {
            Self::Invite(m) => m.handle_repeat(),
            Self::NonInvite(m) => m.handle_repeat(),
        }
    }
    fn handle_timeout(&mut self, now: Tick) -> Expiry {
        match self {
            Self::Invite(m) => m.handle_timeout(now),
            Self::NonInvite(m) => m.handle_timeout(now),
        }
    }
    fn poll_timeout(&self) -> Option<Tick> {
        match self {
            Self::Invite(m) => m.poll_timeout(),
            Self::NonInvite(m) => m.poll_timeout(),
        }
    }
}

impl ClientMachine {
    fn handle_timeout(&mut self, now: Tick) -> Expiry {
        match self {
            Self::Invite(m) => m.handle_timeout(now),
            Self::NonInvite(m) => m.handle_timeout(now),
        }
    }
    pub(super) fn poll_timeout(&self) -> Option<Tick> {
        match self {
            Self::Invite(m) => m.poll_timeout(),
            Self::NonInvite(m) => m.poll_timeout(),
        }
    }
}

impl Agent {
    /// An agent without calls.
    #[must_use]
    pub fn new(mut config: AgentConfig) -> Self {
        let mut secret = [0; 32];
        (config.random)(&mut secret);
        let secret = config.secret.take().unwrap_or(secret);
        config.legs_max = config.legs_max.min(limits::SIP_LEGS_MAX);
        Self {
            admission: Admission::new(config.dialogs_per_second, config.dialogs_burst),
            config,
            legs: HashMap::new(),
            dialogs: HashMap::new(),
            servers: HashMap::new(),
            server_keys: HashMap::new(),
            merge_keys: HashMap::new(),
            clients: HashMap::new(),
            client_keys: HashMap::new(),
            peers: HashMap::new(),
            timers: BTreeSet::new(),
            armed: HashMap::new(),
            transmits: VecDeque::new(),
            dead_hops: VecDeque::new(),
            seen_as: HashMap::new(),
            events: VecDeque::new(),
            counters: AgentStatus::default(),
            draining: false,
            next_id: 0,
            secret,
            accounts: Accounts::new(),
            lines: BTreeMap::new(),
            trunk_hops: HashMap::new(),
            publics: HashMap::new(),
            directory: Directory::default(),
            doorman: Doorman::new(secret),
        }
    }

    /// Next message to send, if any.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// Next event, if any.
    pub fn poll_event(&mut self) -> Option<SipEvent> {
        self.events.pop_front()
    }

    /// Whether `poll_event` has something.
    #[must_use]
    pub fn has_event(&self) -> bool {
        !self.events.is_empty()
    }

    /// When to call [`Agent::handle_timeout`]; `None` = only after other input.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Tick> {
        self.timers.first().map(|(due, _)| *due)
    }

    /// Counters and what is alive.
    #[must_use]
    pub fn status(&self) -> AgentStatus {
        AgentStatus {
            legs: self.legs.len(),
            server_transactions: self.servers.len(),
            client_transactions: self.clients.len(),
            ..self.counters
        }
    }

    /// Whether nothing is alive and nothing waits: true at the latest 64·T1 + T4 after the last leg ended.
    #[must_use]
    pub fn is_quiescent(&self) -> bool {
        self.legs.is_empty()
            && self.dialogs.is_empty()
            && self.servers.is_empty()
            && self.server_keys.is_empty()
            && self.merge_keys.is_empty()
            && self.clients.is_empty()
            && self.client_keys.is_empty()
            && self.peers.is_empty()
            && self.timers.is_empty()
            && self.armed.is_empty()
            && self.transmits.is_empty()
            && self.events.is_empty()
    }

    /// While draining, OPTIONS and new INVITEs get 503 with Retry-After; calls go on.
    pub const fn set_draining(&mut self, draining: bool) {
        self.draining = draining;
    }

    /// Time has come; call at or after [`Agent::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Tick) {
        while let Some(&(due, id)) = self.timers.first() {
            if due > now {
                break;
            }
            // Taken out before it is handled: whatever goes wrong there, this loop moves on.
            self.timers.pop_first();
            self.armed.remove(&id);
            match id {
                TimerId::Server(id) => self.server_timeout(now, id),
                TimerId::Client(id) => self.client_timeout(now, id),
                TimerId::Leg(id) => self.leg_timeout(now, id),
                TimerId::Line(id) => self.line_timeout(now, id),
            }
            self.rearm(id);
        }
    }

    fn server_timeout(&mut self, now: Tick, id: TransactionId) {
        let Some(server) = self.servers.get_mut(&id) else { return };
        match server.machine.handle_timeout(now) {
            Expiry::Nothing => {}
            Expiry::Resend => {
                let transmit = Transmit { hop: server.seed.hop.clone(), bytes: server.last.clone() };
                self.counters.retransmissions += 1;
                self.transmit(transmit);
            }
            // An unacknowledged refusal concerns nobody: the leg ended with it.
            Expiry::TimedOut | Expiry::Terminated => self.forget_server(id),
        }
    }

    fn client_timeout(&mut self, now: Tick, id: TransactionId) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        if client.patience().is_some_and(|due| due <= now) {
            return self.lose_patience(now, id);
        }
        match client.machine.handle_timeout(now) {
            Expiry::Nothing => {}
            Expiry::Resend => {
                let transmit = Transmit { hop: client.hop.clone(), bytes: client.bytes.clone() };
                self.counters.retransmissions += 1;
                self.transmit(transmit);
            }
            Expiry::TimedOut => self.client_failed(now, id, Failure::Silence),
            Expiry::Terminated => {
                self.forget_client(id);
            }
        }
    }

    /// Brings the timer of an entry in line with what the entry wants (nothing, if it is gone).
    pub(super) fn rearm(&mut self, id: TimerId) {
        let wanted = match id {
            TimerId::Server(id) => self.servers.get(&id).and_then(|s| s.machine.poll_timeout()),
            TimerId::Client(id) => self.clients.get(&id).and_then(ClientTransaction::poll_timeout),
            TimerId::Leg(id) => self.legs.get(&id).and_then(Leg::poll_timeout),
            TimerId::Line(id) => self.lines.get(&id).and_then(Line::poll_timeout),
        };
        let armed = self.armed.get(&id).copied();
        if armed == wanted {
            return;
        }
        if let Some(due) = armed {
            self.timers.remove(&(due, id));
            self.armed.remove(&id);
        }
        if let Some(due) = wanted {
            self.timers.insert((due, id));
            self.armed.insert(id, due);
        }
    }

    pub(super) fn transmit(&mut self, transmit: Transmit) {
        if self.transmits.len() >= limits::SIP_TRANSMITS_MAX {
            self.transmits.pop_front();
            self.counters.dropped_transmit += 1;
        }
        self.counters.datagrams_out += 1;
        if let Some(watcher) = &self.config.watcher {
            watcher(true, self.config.advertised.unwrap_or(self.config.local), &transmit.hop, &transmit.bytes);
        }
        self.transmits.push_back(transmit);
    }

    pub(super) fn emit(&mut self, event: SipEvent) {
        self.events.push_back(event);
    }

    /// Whether the call side is so far behind that it should get no more than it must.
    pub(super) fn is_backlogged(&self) -> bool {
        self.events.len() >= limits::SIP_EVENTS_MAX
    }

    pub(super) fn has_transaction_room(&self) -> bool {
        self.servers.len() + self.clients.len() < limits::SIP_TRANSACTIONS_MAX
    }

    pub(super) const fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// 128 random bits in hexadecimal: tags, branches, Call-IDs.
    pub(super) fn token(&mut self) -> Vec<u8> {
        let mut octets = [0; 16];
        (self.config.random)(&mut octets);
        hexadecimal(&octets)
    }

    /// The To tag of a response for which nothing is remembered: the same for every repeat of the request (§8.2.7).
    pub(super) fn stateless_tag(&self, seed: &ResponseSeed) -> Vec<u8> {
        let mut hash = Sha256::new();
        hash.update(self.secret);
        for part in seed.fingerprint() {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hexadecimal(&hash.finalize()[..16])
    }

    /// Our address as a peer should see it on this transport.
    pub(super) fn address_towards(&self, hop: &Hop) -> SocketAddr {
        let peer = hop.address.ip().to_canonical();
        let local = self.config.local_for(hop.transport, peer);
        // What the operator says of one trunk holds wherever that is, be it beside us.
        if let Some(public) = self.public_at_trunk(peer) {
            return SocketAddr::new(public, local.port());
        }
        if peer.is_loopback() && (local.ip().is_unspecified() || local.ip().is_loopback()) {
            let loopback: IpAddr = if peer.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
            let ip = if local.ip().is_loopback() { local.ip() } else { loopback };
            return SocketAddr::new(ip, local.port());
        }
        if let Some(advertised) = self.config.advertised.filter(|a| a.is_ipv4() == peer.is_ipv4()) {
            return SocketAddr::new(advertised.ip(), self.config.advertised_port(hop.transport, advertised, local));
        }
        if let Some(seen) = self.seen_as.get(&peer) {
            // On streams the port that the peer has seen is of no use to anybody else.
            return if hop.transport == Transport::Udp { *seen } else { SocketAddr::new(seen.ip(), local.port()) };
        }
        if local.ip().is_unspecified()
            && let Some(ip) = self.config.route_lookup.as_ref().and_then(|look_up| look_up(peer))
        {
            return SocketAddr::new(ip, local.port());
        }
        local
    }

    /// Learns from a response what our address is outside of a NAT (RFC 3581 §4): only from a peer in the public
    /// network, and only when the operator has not said it.
    pub(super) fn learn_place(&mut self, hop: &Hop, via: &Via) {
        let peer = hop.address.ip().to_canonical();
        if self.config.advertised.is_some() || is_loopback_or_private(peer) {
            return;
        }
        let Some(seen) = via.received() else { return };
        let local = self.config.local_for(hop.transport, peer);
        let by_datagram = hop.transport == Transport::Udp;
        if !by_datagram && (local.ip() == seen.ip() || self.seen_as.contains_key(&peer)) {
            return;
        }
        let seen = if by_datagram { seen } else { SocketAddr::new(seen.ip(), local.port()) };
        let here = local.ip() == seen.ip() && local.port() == seen.port();
        if here || seen.is_ipv4() != peer.is_ipv4() || is_loopback_or_private(seen.ip()) {
            return;
        }
        if self.seen_as.len() >= limits::SIP_SEEN_AS_MAX && !self.seen_as.contains_key(&peer) {
            self.seen_as.clear();
        }
        self.seen_as.insert(peer, seen);
    }

    /// Our address as this peer has told us that it sees us: what to write into SDP for it, when nothing is configured.
    #[must_use]
    pub fn seen_as(&self, peer: IpAddr) -> Option<IpAddr> {
        self.seen_as.get(&peer.to_canonical()).map(SocketAddr::ip)
    }

    /// Goes by this address of ours in everything that is said to a trunk; `None`: by what is said to all.
    pub fn set_public_address(&mut self, trunk: &str, address: Option<IpAddr>) {
        match address {
            Some(address) => self.publics.insert(trunk.into(), address),
            None => self.publics.remove(trunk),
        };
    }

    /// Our address as the trunk at this address sees it, where the operator has said so.
    #[must_use]
    pub fn public_at_trunk(&self, peer: IpAddr) -> Option<IpAddr> {
        let peer = peer.to_canonical();
        let is_there = |hop: &Hop| hop.address.ip().to_canonical() == peer;
        let is_its = |name: &Arc<str>| self.trunk_hops.get(name).is_some_and(|hops| hops.iter().any(is_there));
        let said = self.publics.iter().filter(|(_, public)| public.is_ipv4() == peer.is_ipv4());
        said.filter(|(name, _)| is_its(name)).map(|(_, public)| *public).next()
    }

    /// Our Contact value towards a peer, with the transport unless that is UDP, which everybody takes it to be.
    pub(super) fn contact_towards(&self, hop: &Hop) -> Vec<u8> {
        let parameter = match hop.transport {
            Transport::Udp => String::new(),
            other => format!(";transport={}", other.parameter()),
        };
        format!("<sip:{}@{}{parameter}>", self.config.contact_user, self.address_towards(hop)).into_bytes()
    }

    /// Whether we have business with this address on our own account.
    pub(super) fn is_peer(&self, address: IpAddr) -> bool {
        self.peers.contains_key(&address)
    }

    pub(super) fn add_peer(&mut self, address: IpAddr) {
        *self.peers.entry(address).or_insert(0) += 1;
    }

    pub(super) fn drop_peer(&mut self, address: IpAddr) {
        if let Some(count) = self.peers.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.peers.remove(&address);
            }
        }
    }

    pub(super) fn add_server(&mut self, server: ServerTransaction) -> TransactionId {
        let id = self.new_id();
        self.server_keys.insert(server.key.clone(), id);
        if let Some(key) = &server.merge_key {
            self.merge_keys.insert(key.clone(), id);
        }
        self.servers.insert(id, server);
        id
    }

    pub(super) fn forget_server(&mut self, id: TransactionId) {
        if let Some(server) = self.servers.remove(&id) {
            self.server_keys.remove(&server.key);
            if let Some(key) = &server.merge_key
                && self.merge_keys.get(key) == Some(&id)
            {
                self.merge_keys.remove(key);
            }
        }
        self.rearm(TimerId::Server(id));
    }

    /// Sends a response by its transaction; `false` = the transaction is past that.
    pub(super) fn respond_with(&mut self, now: Tick, id: TransactionId, code: u16, bytes: Vec<u8>) -> bool {
        let Some(server) = self.servers.get_mut(&id) else { return false };
        if !server.machine.respond(now, code) {
            return false;
        }
        server.last.clone_from(&bytes);
        let hop = server.seed.hop.clone();
        let over = server.machine.state() == State::Terminated;
        self.transmit(Transmit { hop, bytes });
        if over {
            self.forget_server(id);
        }
        self.rearm(TimerId::Server(id));
        true
    }

    pub(super) fn add_client(&mut self, mut client: ClientTransaction) -> TransactionId {
        let id = self.new_id();
        self.authorize(&mut client);
        self.insert_client(id, client);
        id
    }

    /// Sends a request and waits for its answers under this number.
    pub(super) fn insert_client(&mut self, id: TransactionId, client: ClientTransaction) {
        self.transmit(Transmit { hop: client.hop.clone(), bytes: client.bytes.clone() });
        self.add_peer(client.hop.address.ip());
        self.client_keys.insert(client.key.clone(), id);
        self.clients.insert(id, client);
        self.rearm(TimerId::Client(id));
    }

    pub(super) fn forget_client(&mut self, id: TransactionId) -> Option<ClientTransaction> {
        let client = self.clients.remove(&id)?;
        self.client_keys.remove(&client.key);
        self.drop_peer(client.hop.address.ip());
        self.rearm(TimerId::Client(id));
        Some(client)
    }

    /// Ends a leg with its terminal event; INVITEs of the peer that still wait get 487.
    pub(super) fn end_leg(&mut self, now: Tick, id: LegId, event: SipEvent) {
        self.leave_places(now, id, None, &Reason::default());
        self.leave_forks(id, None, true);
        self.abandon_renewal(now, id);
        let Some(leg) = self.legs.remove(&id) else { return };
        let offered = match leg.phase {
            Phase::Offered { transaction } => Some(transaction),
            _ => None,
        };
        let undecided = leg.referred.as_ref().and_then(TheirRefer::undecided);
        for transaction in offered.into_iter().chain(leg.asked.map(|asked| asked.transaction)).chain(undecided) {
            self.respond(now, transaction, 487, "", &[]);
        }
        if let Some(dialog) = &leg.dialog {
            self.dialogs.remove(&dialog.id);
        }
        // No copy that was forked can meet a call that is over: what comes now is another call (§8.2.2.2).
        if let Some(key) = &leg.merge_key {
            self.merge_keys.remove(key);
        }
        if let Some(peer) = leg.placed_to {
            self.drop_peer(peer.address.ip());
        }
        self.rearm(TimerId::Leg(id));
        self.emit(event);
    }
}

fn hexadecimal(octets: &[u8]) -> Vec<u8> {
    octets.iter().flat_map(|b| [b >> 4, b & 15]).map(|n| b"0123456789abcdef"[usize::from(n)]).collect()
}
