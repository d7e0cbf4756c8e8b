//! The links of this moment, for whoever is told by HTTP that a browser has moved. Control threads; one short lock. Invariant: a
//! link is found for as long as its leg holds the seat, and not kept alive by being found. Deliberately absent: calls.

use super::driver::{LinkHandle, WeakLink};
use crate::id::CallId;
use crate::sip::sdp::IceCredentials;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// What is known of a link.
#[derive(Clone, Debug)]
pub struct LinkFacts {
    /// Our name and password of now.
    pub ours: IceCredentials,
    /// The peer's of now; `None`: it does no ICE.
    pub theirs: Option<IceCredentials>,
    /// Where we are reached.
    pub candidates: Vec<SocketAddr>,
}

/// All links; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Links(Arc<Mutex<HashMap<CallId, (WeakLink, LinkFacts)>>>);

/// A link's place among them; dropping it takes the link out.
#[derive(Debug)]
pub struct LinkSeat {
    links: Links,
    call: CallId,
}

impl Links {
    /// Takes one in.
    #[must_use]
    pub fn seat(&self, call: CallId, link: &LinkHandle, facts: LinkFacts) -> LinkSeat {
        self.lock().insert(call, (link.downgrade(), facts));
        LinkSeat { links: self.clone(), call }
    }

    /// A call's.
    #[must_use]
    pub fn find(&self, call: CallId) -> Option<(LinkHandle, LinkFacts)> {
        let links = self.lock();
        let (link, facts) = links.get(&call)?;
        Some((link.upgrade()?, facts.clone()))
    }

    /// Gives both sides other names, where ours still is `before`: of several at once one gets through, and the link hears of
    /// them in the order in which they did. The receiver tells when it is done; an error: the link is over. `None`: nothing has
    /// changed.
    #[must_use]
    pub fn restart(
        &self,
        call: CallId,
        before: &IceCredentials,
        ours: &IceCredentials,
        theirs: &IceCredentials,
    ) -> Option<oneshot::Receiver<()>> {
        let mut links = self.lock();
        let (link, facts) = links.get_mut(&call).filter(|(_, facts)| facts.ours == *before)?;
        let begun = link.upgrade()?.restart(ours.clone(), theirs.clone())?;
        (facts.ours, facts.theirs) = (ours.clone(), Some(theirs.clone()));
        Some(begun)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CallId, (WeakLink, LinkFacts)>> {
        // Whole after every statement.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LinkSeat {
    fn drop(&mut self) {
        self.links.lock().remove(&self.call);
    }
}
