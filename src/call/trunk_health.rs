//! Whether the trunks are there. Purpose: one task per trunk asks it (OPTIONS) as `sip::health` says, and the answers are
//! kept for the control API and the log. Control tasks. Invariants: one question per trunk at a time; an answer that never
//! comes is the agent's time-out. Deliberately absent: what follows for calls: a call to a trunk that is down is tried, for
//! nothing tells sooner that it is back.

use crate::config::Trunk;
use crate::os::clock;
use crate::sip::agent::{OutOfDialog, RequestId, Response};
use crate::sip::health::{Health, PeerHealth};
use crate::sip::message::Method;
use crate::sip::transport::SipHandle;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tracing::{info, warn};

/// Answers that are waited for, by the request.
type Awaited = Mutex<HashMap<RequestId, oneshot::Sender<(u16, bool)>>>;

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

    /// How a trunk is, and how long its last answer took; `None`: it is not asked.
    pub(super) fn of(&self, name: &str) -> Option<(Health, Option<Duration>)> {
        locked(&self.peers).get(name).map(|peer| (peer.health().0, peer.round_trip()))
    }

    /// Forgets everything; the tasks of before have been ended.
    pub(super) fn clear(&self) {
        locked(&self.peers).clear();
        locked(&self.awaited).clear();
    }

    /// Asks this trunk, whose Request-URI is `uri`, until the task is ended.
    pub(super) async fn keep_asking(self: Arc<Self>, sip: SipHandle, trunk: Trunk, uri: String) {
        let start = PeerHealth::new(clock::monotonic(), Duration::from_secs(trunk.options_s));
        locked(&self.peers).insert(trunk.name.clone(), start);
        let user = trunk.username.as_deref().unwrap_or("callwright");
        let from = uri.strip_prefix("sip:").map_or_else(|| uri.clone(), |place| format!("<sip:{user}@{place}>"));
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
            let outcome = self.with(&trunk.name, |peer| peer.handle_answer(clock::monotonic(), code, from_peer));
            match outcome.flatten() {
                Some(Health::Down) => warn!(trunk = %trunk.name, code, "the trunk does not answer"),
                Some(Health::Refuses) => {
                    warn!(trunk = %trunk.name, code, "the trunk answers, and refuses us: it may not take calls; check username, password and from_domain");
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
