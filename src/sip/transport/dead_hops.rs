//! Hops that did not answer (RFC 3263 §4.3). Purpose: the next call does not wait for a server that has just been found
//! dead; the list is shared between the driver, who finds out, and whoever orders hops. Invariants: bounded; an entry is
//! forgotten after `limits::SIP_DEAD_HOP_KEPT`, so that a server which comes back is tried again. A dead hop is tried last,
//! not never.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use crate::limits;
use crate::sip::hop::{Hop, Transport};
use crate::time::Tick;

/// The list.
#[derive(Debug, Default)]
pub struct DeadHops(Mutex<HashMap<(Transport, SocketAddr), Tick>>);

impl DeadHops {
    /// The hop could not be reached, or said nothing.
    pub fn mark(&self, hop: &Hop, now: Tick) {
        let mut dead = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if dead.len() >= limits::SIP_DEAD_HOPS_MAX {
            dead.retain(|_, until| *until > now);
        }
        if dead.len() < limits::SIP_DEAD_HOPS_MAX {
            dead.insert((hop.transport, hop.address), now + limits::SIP_DEAD_HOP_KEPT);
        }
    }

    /// Whether it was found dead a short while ago.
    #[must_use]
    pub fn is_dead(&self, hop: &Hop, now: Tick) -> bool {
        let dead = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        dead.get(&(hop.transport, hop.address)).is_some_and(|until| *until > now)
    }

    /// Puts those that are dead behind the others; otherwise the order stays.
    pub fn order(&self, hops: &mut [Hop], now: Tick) {
        hops.sort_by_key(|hop| self.is_dead(hop, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dead_are_tried_last_and_not_for_ever() {
        let hop = |n: u8| Hop::udp(SocketAddr::from(([192, 0, 2, n], 5060)));
        let dead = DeadHops::default();
        let now = Tick(5_000_000_000);
        dead.mark(&hop(1), now);
        let mut hops = vec![hop(1), hop(2), hop(3)];
        dead.order(&mut hops, now);
        assert_eq!(hops, [hop(2), hop(3), hop(1)]);
        assert!(!dead.is_dead(&Hop { transport: Transport::Tcp, ..hop(1) }, now), "by TCP it may live");
        assert!(!dead.is_dead(&hop(1), now + limits::SIP_DEAD_HOP_KEPT));
        for n in 0..2_000u32 {
            dead.mark(&Hop::udp(SocketAddr::from((n.to_be_bytes(), 5060))), now);
        }
        assert!(dead.0.lock().unwrap().len() <= limits::SIP_DEAD_HOPS_MAX);
    }
}
