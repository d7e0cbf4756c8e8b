//! Messages of streams that will never be whole (RFC 3261 §18.3). Purpose: whoever wrote one is told what was wrong, if its Via
//! can be read, before the connection is closed. Invariant: the same policy as for whole messages: strangers get silence, ACKs
//! and responses no answer. Deliberately absent: the connection.

use super::Agent;
use crate::sip::hop::Hop;
use crate::sip::message::{Broken, Malformed, parse_datagram};

impl Agent {
    /// `head` is what came of it by `hop`, and `malformed` why no more is read.
    pub fn handle_unfit(&mut self, hop: &Hop, head: &[u8], malformed: Malformed) {
        self.counters.datagrams_in += 1;
        if !self.is_heard(hop.address.ip()) {
            self.counters.dropped_source += 1;
            return;
        }
        let partial = parse_datagram(head).map_or_else(|broken| broken.partial, Some);
        self.refuse_broken(hop, Broken { malformed, partial });
    }
}
