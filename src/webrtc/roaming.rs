//! A browser that comes from elsewhere under the same names: its NAT has given it another port, or its network another address
//! (RFC 8445 section 7.3.1.5 leaves the controlling side free to nominate again). Purpose: find out whether it is really there before
//! media goes there. Sans-IO; one tokio task. Invariants: a check alone moves nothing, since whoever has seen one can send it again
//! from anywhere: only who answers a check of ours, which takes the browser's password, is followed; each of the browser's checks
//! brings one of ours at most. Deliberately absent: the first nomination, and better pairs of a browser that nominates several
//! (the engine's).

use crate::sip::sdp::IceCredentials;
use is::stun::{StunMessage, TransId};
use is::{DefaultSha1HmacProvider, Sha1HmacProvider};
use std::collections::VecDeque;
use std::net::SocketAddr;

/// Checks of ours that wait for their answers.
const ASKED_MAX: usize = 4;
/// A worse pair is taken when so many checks have nominated it in a row and none the path of now.
const WORSE_AFTER: u32 = 3;
/// Room for a check: two names of 256 octets, and some attributes.
const CHECK_MAX: usize = 800;

/// What is known of where the browser nominates.
#[derive(Debug, Default)]
pub(super) struct Roaming {
    /// Of the path of now, as its checks say.
    priority: u32,
    /// Nominations of other paths in a row.
    elsewhere: u32,
    asked: VecDeque<(SocketAddr, TransId)>,
}

impl Roaming {
    /// An authentic check, while media goes by `path`. What is to be sent back to where it came from: a check of ours.
    pub(super) fn handle_check(
        &mut self,
        from: SocketAddr,
        path: SocketAddr,
        check: &StunMessage<'_>,
        (ours, theirs): (&IceCredentials, &IceCredentials),
    ) -> Option<Vec<u8>> {
        let priority = check.prio().unwrap_or_default();
        if from == path {
            (self.priority, self.elsewhere) = (priority, 0);
            return None;
        }
        if !check.use_candidate() {
            return None;
        }
        self.elsewhere = self.elsewhere.saturating_add(1);
        if priority < self.priority && self.elsewhere < WORSE_AFTER {
            return None;
        }
        let (id, name) = (TransId::new(), format!("{}:{}", theirs.ufrag, ours.ufrag));
        // Lite is never controlling, so nobody compares our tie-breaker.
        let ask = StunMessage::binding_request(&name, id, false, 0, priority, false);
        let mut octets = vec![0; CHECK_MAX];
        let len = ask.to_bytes(Some(theirs.password.as_bytes()), &mut octets, digest).ok()?;
        octets.truncate(len);
        if self.asked.len() >= ASKED_MAX {
            self.asked.pop_front();
        }
        self.asked.push_back((from, id));
        Some(octets)
    }

    /// An answer. `true`: the browser is there.
    pub(super) fn handle_answer(
        &mut self,
        from: SocketAddr,
        answer: &StunMessage<'_>,
        theirs: &IceCredentials,
    ) -> bool {
        let asked = self.asked.contains(&(from, answer.trans_id()));
        let there = asked && answer.verify(theirs.password.as_bytes(), digest);
        if there {
            *self = Self::default();
        }
        there
    }
}

fn digest(key: &[u8], payloads: &[&[u8]]) -> [u8; 20] {
    DefaultSha1HmacProvider.sha1_hmac(key, payloads)
}
