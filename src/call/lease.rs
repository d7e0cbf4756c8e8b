//! RTP ports on loan. Purpose: a call's port comes back by itself, whatever ends the call. Control threads; one short lock
//! that no media thread ever sees. Invariant: a lease gives its port back once. Deliberately absent: which ports there are
//! (`media::ports`), and the one that browsers may share (`webrtc`), which is only kept here.

use crate::media::{PortPair, PortPool, PortsExhausted};
use crate::os::clock;
use crate::webrtc::SharedPort;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The pool as calls use it: what is taken comes back by itself. Cheap to clone; control threads only.
#[derive(Clone, Debug)]
pub struct Ports {
    pool: Arc<Mutex<PortPool>>,
    shared: Option<Arc<SharedPort>>,
}

/// A pair of ports of one call; dropping it, in a panic too, gives it back.
#[derive(Debug)]
pub struct PortLease {
    pool: Ports,
    port: u16,
}

impl Ports {
    /// Shares `pool`.
    #[must_use]
    pub fn new(pool: PortPool) -> Self {
        Self { pool: Arc::new(Mutex::new(pool)), shared: None }
    }

    /// Beside them, one that calls of browsers share.
    #[must_use]
    pub fn sharing(self, port: Option<SharedPort>) -> Self {
        Self { shared: port.map(Arc::new), ..self }
    }

    /// The one that calls of browsers share, if they do.
    #[must_use]
    pub fn shared(&self) -> Option<&SharedPort> {
        self.shared.as_deref()
    }

    /// Sockets that `peer` can reach, bound to a free pair of ports, and the claim to it. The sockets should be closed by the time the claim is
    /// dropped, or soon after.
    ///
    /// # Errors
    /// As [`PortPool::take_for`].
    pub fn take(&self, peer: IpAddr) -> Result<(PortPair, PortLease), PortsExhausted> {
        let pair = self.lock().take_for(clock::monotonic(), peer)?;
        let lease = PortLease { pool: self.clone(), port: pair.port };
        Ok((pair, lease))
    }

    /// Pairs that could be taken now or after quarantine.
    #[must_use]
    pub fn available(&self) -> usize {
        self.lock().available()
    }

    fn lock(&self) -> MutexGuard<'_, PortPool> {
        // The pool is whole after every statement of its methods, so a panic elsewhere does not spoil it.
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PortLease {
    /// The even port: RTP.
    #[must_use]
    pub const fn number(&self) -> u16 {
        self.port
    }
}

impl Drop for PortLease {
    fn drop(&mut self) {
        self.pool.lock().release(self.port, clock::monotonic());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn a_call_that_panics_gives_its_port_back() {
        let ports = Ports::new(PortPool::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 47_130..=47_133, 3));
        let (_sockets, lease) = ports.take(IpAddr::V4(Ipv4Addr::LOCALHOST)).unwrap();
        assert_eq!(ports.available(), 1);
        let call = std::thread::spawn(move || {
            let _lease = lease;
            panic!("asked for by a test");
        });
        assert!(call.join().is_err());
        assert_eq!(ports.available(), 2);
    }
}
