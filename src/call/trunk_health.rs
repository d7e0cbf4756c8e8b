//! Whether the trunks are there. Purpose: one task per trunk asks it (OPTIONS) as `sip::health` says, and the answers are
//! kept for the control API and the log. Control tasks. Invariants: one question per trunk at a time; an answer that never
//! comes is the agent's time-out; a challenge is answered with the trunk's own account. Deliberately absent: what follows for calls: a call to a trunk that is down is tried, for
//! nothing tells sooner that it is back.

use crate::config::Trunk;
use crate::os::clock;
use crate::sip::agent::{OutOfDialog, RequestId, Response};
use crate::sip::health::{Account, Doubt, Health, PeerHealth};
use crate::sip::message::Method;
use crate::sip::registration::LineState;
use crate::sip::transport::SipHandle;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tracing::{info, warn};

/// Answers that are waited for, by the request.
type Awaited = Mutex<HashMap<RequestId, oneshot::Sender<(u16, bool)>>>;

/// What is known of one trunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) health: Health,
    /// What it holds against us.
    pub(super) doubt: Option<Doubt>,
    /// How long its last answer took.
    pub(super) round_trip: Option<Duration>,
}

/// What is known of all trunks.
#[derive(Debug, Default)]
pub(super) struct Watch {
    peers: Mutex<BTreeMap<String, PeerHealth>>,
    awaited: Arc<Awaited>,
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    /// Takes the answer to a question of ours; `false`: it was none.
    pub(super) fn handle(&self, request: RequestId, response: &Response) -> bool {
        let Some(asker) = locked(&self.awaited).remove(&request) else { return false };
        // Whoever asked may have been told to stop meanwhile.
        let _gone = asker.send((response.code, response.from_peer)).is_err();
        true
    }

    /// How a trunk is; `None`: it is not asked.
    pub(super) fn of(&self, name: &str) -> Option<Known> {
        let known =
            |peer: &PeerHealth| Known { health: peer.health().0, doubt: peer.doubt(), round_trip: peer.round_trip() };
        locked(&self.peers).get(name).map(known)
    }

    /// Forgets everything; the tasks of before have been ended.
    pub(super) fn clear(&self) {
        locked(&self.peers).clear();
        locked(&self.awaited).clear();
    }

    /// Asks this trunk, whose Request-URI is `uri`, as `from` until the task is ended. `account`: it has a password.
    pub(super) async fn keep_asking(
        self: Arc<Self>,
        sip: SipHandle,
        trunk: Trunk,
        (uri, from): (String, String),
        account: bool,
    ) {
        let start = PeerHealth::new(clock::monotonic(), Duration::from_secs(trunk.options_s));
        locked(&self.peers).insert(trunk.name.clone(), start);
        // The look-up begins at the same moment as this; a literal address is there at once.
        tokio::time::sleep(Duration::from_millis(500)).await;
        loop {
            let due = self.with(&trunk.name, |peer| peer.poll_timeout()).flatten();
            let wait = due.map_or(Duration::from_secs(1), |due| due.since(clock::monotonic()));
            tokio::time::sleep(wait).await;
            if !self.with(&trunk.name, |peer| peer.handle_timeout(clock::monotonic())).unwrap_or_default() {
                continue;
            }
            let (answered, answer) = oneshot::channel();
            let awaited = Arc::clone(&self.awaited);
            let mut question = OutOfDialog::new(Method::Options, &uri, Vec::new(), &from);
            let name = trunk.name.clone();
            let proves = self.with(&trunk.name, |peer| peer.proves()).unwrap_or_default();
            question.account = (account && proves).then(|| name.as_str().into());
            let sent = sip.with(move |agent, now| {
                question.hops = agent.trunk_hops(&name).to_vec();
                // Before anything can come: the agent's events are handed out after this.
                agent.request(now, &question).map(|request| locked(&awaited).insert(request, answered)).is_ok()
            });
            let (code, from_peer) = match sent.await {
                Ok(true) => answer.await.unwrap_or((408, false)),
                Ok(false) => (503, false), // nowhere to go: its host has not been found
                Err(_) => return,          // signalling is shut down
            };
            let account = match account {
                true if is_registered(&sip, &trunk.name).await => Account::Registered,
                true => Account::Configured,
                false => Account::Missing,
            };
            let told = |peer: &mut PeerHealth| {
                peer.handle_answer(clock::monotonic(), code, from_peer, account).map(|health| (health, peer.doubt()))
            };
            match self.with(&trunk.name, told).flatten() {
                Some((Health::Down, _)) => warn!(trunk = %trunk.name, code, "the trunk does not answer"),
                Some((health, Some(doubt))) => {
                    let (health, why) = (health.name(), doubt.advice());
                    warn!(trunk = %trunk.name, code, health, why, "the trunk answers, with a reservation");
                }
                Some(_) => info!(trunk = %trunk.name, code, "the trunk answers"),
                None => {}
            }
        }
    }

    fn with<T>(&self, name: &str, what: impl FnOnce(&mut PeerHealth) -> T) -> Option<T> {
        locked(&self.peers).get_mut(name).map(what)
    }
}

/// Whether calls by this trunk reach us.
async fn is_registered(sip: &SipHandle, trunk: &str) -> bool {
    let trunk = trunk.to_owned();
    let line = sip.with(move |agent, _| agent.lines().into_iter().find(|line| *line.account == *trunk));
    line.await.ok().flatten().is_some_and(|line| line.state == LineState::Registered)
}
