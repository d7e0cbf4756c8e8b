//! How others speak to the task that owns the agent. Purpose: any verb of the agent, from any task, by one bounded channel;
//! the usual ones have a method. Any thread. Invariant: a command runs on the agent's task between two messages, so what
//! it does is whole before anything that follows from it can happen.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::dead_hops::DeadHops;
use super::door::{DoorVerb, Doors, OpenDoor};
use super::resolve::{ResolveError, SipResolver};
use crate::sip::agent::{Agent, AgentError, AgentStatus, LegId, Placement};
use crate::sip::hop::{Hop, Transport};
use crate::time::Tick;
use crate::tls::{TlsError, TlsIdentity};

/// Why a command failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SipError {
    /// The agent refused it.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The transport has been shut down.
    #[error("SIP is shut down")]
    Closed,
}

/// Gives commands to the agent; cheap to clone.
#[derive(Clone, Debug)]
pub struct SipHandle {
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
}

/// What is known of the transport without asking its task.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) local: SocketAddr,
    pub(super) listeners: Vec<(Transport, SocketAddr)>,
    pub(super) identity: Option<Arc<TlsIdentity>>,
    pub(super) resolver: Arc<SipResolver>,
    pub(super) dead: Arc<DeadHops>,
    pub(super) clock: fn() -> Tick,
    pub(super) doors: Doors,
}

/// Something to do with the agent; must not block.
pub(super) struct Verb(pub(super) Box<Deed>);

type Deed = dyn FnOnce(&mut Agent, Tick) + Send;

impl std::fmt::Debug for Verb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verb")
    }
}

#[derive(Debug)]
pub(super) enum Command {
    Do(Verb),
    Close(Duration),
}

impl SipHandle {
    pub(super) fn new(commands: mpsc::Sender<Command>, shared: Shared) -> Self {
        Self { commands, shared: Arc::new(shared) }
    }

    /// The UDP address that was bound.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.shared.local
    }

    /// What else is listened on: a second UDP address, TCP, TLS.
    #[must_use]
    pub fn listeners(&self) -> &[(Transport, SocketAddr)] {
        &self.shared.listeners
    }

    /// The addresses that we listen on by this transport.
    pub fn addresses(&self, transport: Transport) -> impl Iterator<Item = SocketAddr> {
        let first = (transport == Transport::Udp).then_some(self.shared.local);
        let others = self.shared.listeners.iter().filter(move |(t, _)| *t == transport).map(|(_, address)| *address);
        first.into_iter().chain(others)
    }

    /// The hops for a URI, best first (RFC 3263); those that have just been found dead come last.
    ///
    /// # Errors
    /// [`ResolveError`].
    pub async fn resolve(&self, target: &str) -> Result<Vec<Hop>, ResolveError> {
        let mut hops = self.shared.resolver.resolve(target).await?;
        self.shared.dead.order(&mut hops, (self.shared.clock)());
        Ok(hops)
    }

    /// Reads our TLS certificate again; calls and connections that stand are not touched. `Ok(false)` = there is none.
    ///
    /// # Errors
    /// [`TlsError`]; then the old one stays in use.
    pub fn reload_certificates(&self) -> Result<bool, TlsError> {
        self.shared.identity.as_ref().map_or(Ok(false), |identity| identity.reload_certificates().map(|()| true))
    }

    /// Does something with the agent, on its task, between two messages: it must not block. Whatever the agent wants to
    /// send leaves after it.
    ///
    /// # Errors
    /// [`SipError::Closed`].
    pub async fn with<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&mut Agent, Tick) -> T + Send + 'static,
    ) -> Result<T, SipError> {
        let (outcome, answer) = oneshot::channel();
        let verb = Verb(Box::new(move |agent, now| {
            // Whoever asked may have gone away meanwhile; the outcome is then of no interest.
            let _gone = outcome.send(verb(agent, now)).is_err();
        }));
        self.commands.send(Command::Do(verb)).await.map_err(|_| SipError::Closed)?;
        answer.await.map_err(|_| SipError::Closed)
    }

    /// A leg whose signalling is done elsewhere, until it is dropped, and what calls do to it. `number`: of the caller's choice,
    /// below 2⁶³ and never used twice.
    #[must_use]
    pub fn open_door(&self, number: u64) -> (OpenDoor, mpsc::Receiver<DoorVerb>) {
        self.shared.doors.open(number)
    }

    fn tell_door(&self, leg: LegId, verb: DoorVerb) -> Result<(), SipError> {
        match self.shared.doors.tell(leg, verb) {
            true => Ok(()),
            false => Err(AgentError::UnknownLeg(leg).into()),
        }
    }

    /// [`Agent::ring`].
    ///
    /// # Errors
    /// [`SipError`].
    pub async fn ring(&self, leg: LegId) -> Result<(), SipError> {
        self.progress(leg, 180, None).await
    }

    /// [`Agent::progress`].
    ///
    /// # Errors
    /// [`SipError`].
    pub async fn progress(&self, leg: LegId, code: u16, sdp: Option<Vec<u8>>) -> Result<(), SipError> {
        if leg.is_elsewhere() {
            return self.tell_door(leg, DoorVerb::Progress { code, sdp });
        }
        Ok(self.with(move |agent, now| agent.progress(now, leg, code, sdp.as_deref())).await??)
    }

    /// [`Agent::accept`].
    ///
    /// # Errors
    /// [`SipError`].
    pub async fn accept(&self, leg: LegId, sdp: Vec<u8>) -> Result<(), SipError> {
        if leg.is_elsewhere() {
            return self.tell_door(leg, DoorVerb::Accept { sdp });
        }
        Ok(self.with(move |agent, now| agent.accept(now, leg, &sdp)).await??)
    }

    /// [`Agent::reject`].
    ///
    /// # Errors
    /// [`SipError`].
    pub async fn reject(&self, leg: LegId, code: u16, reason: &str, extra: &[(&str, &str)]) -> Result<(), SipError> {
        let reason = reason.to_owned();
        if leg.is_elsewhere() {
            return self.tell_door(leg, DoorVerb::Reject { code, reason });
        }
        let headers: Vec<_> = extra.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let reject = move |agent: &mut Agent, now| {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            agent.reject(now, leg, code, &reason, &headers)
        };
        Ok(self.with(reject).await??)
    }

    /// [`Agent::hang_up`].
    ///
    /// # Errors
    /// [`SipError`].
    pub async fn hang_up(&self, leg: LegId, reason: Option<&str>) -> Result<(), SipError> {
        let reason = reason.map(str::to_owned);
        if leg.is_elsewhere() {
            return self.tell_door(leg, DoorVerb::HangUp { reason });
        }
        Ok(self.with(move |agent, now| agent.hang_up(now, leg, reason.as_deref())).await??)
    }

    /// [`Agent::answer_reinvite`].
    ///
    /// # Errors
    /// [`SipError`].
    pub async fn answer_reinvite(&self, leg: LegId, sdp: Vec<u8>) -> Result<(), SipError> {
        Ok(self.with(move |agent, now| agent.answer_reinvite(now, leg, &sdp)).await??)
    }

    /// [`Agent::refresh`].
    ///
    /// # Errors
    /// [`SipError`].
    pub async fn refresh(&self, leg: LegId) -> Result<(), SipError> {
        Ok(self.with(move |agent, now| agent.refresh(now, leg)).await??)
    }

    /// [`Agent::refuse_refer`].
    ///
    /// # Errors
    /// [`SipError`].
    pub async fn refuse_refer(&self, leg: LegId, code: u16) -> Result<(), SipError> {
        Ok(self.with(move |agent, now| agent.refuse_refer(now, leg, code)).await??)
    }

    /// [`Agent::invite`].
    ///
    /// # Errors
    /// [`SipError`].
    pub async fn invite(
        &self,
        target: &str,
        destination: SocketAddr,
        from: &str,
        sdp: Vec<u8>,
    ) -> Result<LegId, SipError> {
        self.place(Placement::new(target, Hop::udp(destination), from, sdp), |_| ()).await
    }

    /// [`Agent::place`]; `adopt` hears the leg before the INVITE leaves, so that no event of it can be missed.
    ///
    /// # Errors
    /// [`SipError`].
    pub async fn place(
        &self,
        placement: Placement,
        adopt: impl FnOnce(LegId) + Send + 'static,
    ) -> Result<LegId, SipError> {
        let place = move |agent: &mut Agent, now| {
            let placed = agent.place(now, &placement);
            if let Ok(leg) = placed {
                adopt(leg);
            }
            placed
        };
        Ok(self.with(place).await??)
    }

    /// [`Agent::status`].
    ///
    /// # Errors
    /// [`SipError::Closed`].
    pub async fn status(&self) -> Result<AgentStatus, SipError> {
        self.with(|agent, _| agent.status()).await
    }

    /// [`Agent::set_draining`].
    ///
    /// # Errors
    /// [`SipError::Closed`].
    pub async fn set_draining(&self, draining: bool) -> Result<(), SipError> {
        self.with(move |agent, _| agent.set_draining(draining)).await
    }

    /// Refuses new calls and ends the task once no leg is left and every BYE is answered, or after `linger`. Hang up the
    /// calls first.
    ///
    /// # Errors
    /// [`SipError::Closed`] when it is closed already.
    pub async fn close(&self, linger: Duration) -> Result<(), SipError> {
        self.commands.send(Command::Close(linger)).await.map_err(|_| SipError::Closed)
    }
}
