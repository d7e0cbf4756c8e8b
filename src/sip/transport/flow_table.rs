//! Which connections stand. Purpose: find the connection for a hop, and hand it a message without waiting. The table belongs
//! to the driver. Invariants: a connection's queue is bounded, and one that is full means a peer that does not read: the
//! connection is given up, nobody waits; connections that came to us are used only for what names them, never because their
//! address fits. Deliberately absent: sockets.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use super::census::Seat;
use crate::limits;
use crate::sip::hop::{FlowId, Hop, Transport};

/// Numbers for flows, never twice.
#[derive(Debug, Default)]
pub(super) struct FlowNumbers(AtomicU64);

impl FlowNumbers {
    pub(super) fn next(&self) -> FlowId {
        FlowId(self.0.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// A connection as the driver sees it.
#[derive(Debug)]
pub(super) struct Flow {
    /// The other end, with the flow's own number.
    pub(super) hop: Hop,
    /// Messages for it.
    pub(super) queue: mpsc::Sender<Vec<u8>>,
    /// The place of a connection that came to us; `None` for those that we opened.
    pub(super) seat: Option<Seat>,
}

/// Why a message could not be handed over; it comes back.
#[derive(Debug)]
pub(super) enum NotPushed {
    /// The connection is gone.
    Gone(Vec<u8>),
    /// The peer does not read.
    Stuck,
}

type End = (Transport, SocketAddr, Option<Arc<str>>);

/// All connections that stand or are being opened.
#[derive(Debug, Default)]
pub(super) struct FlowTable {
    flows: HashMap<FlowId, Flow>,
    /// Those that we opened, by where they lead.
    opened: HashMap<End, FlowId>,
}

fn end_of(hop: &Hop) -> End {
    (hop.transport, hop.address, hop.host.clone())
}

impl FlowTable {
    pub(super) fn insert(&mut self, id: FlowId, flow: Flow) {
        if flow.seat.is_none() {
            self.opened.insert(end_of(&flow.hop), id);
        }
        self.flows.insert(id, flow);
    }

    pub(super) fn get(&self, id: FlowId) -> Option<&Flow> {
        self.flows.get(&id)
    }

    pub(super) fn remove(&mut self, id: FlowId) -> Option<Flow> {
        let flow = self.flows.remove(&id)?;
        let end = end_of(&flow.hop);
        if self.opened.get(&end) == Some(&id) {
            self.opened.remove(&end);
        }
        Some(flow)
    }

    /// The connection for a hop: the one that it names, or one of ours to the same end.
    pub(super) fn find(&self, hop: &Hop) -> Option<FlowId> {
        let named = hop.flow.filter(|id| self.flows.get(id).is_some_and(|f| f.hop.transport == hop.transport));
        named.or_else(|| self.opened.get(&end_of(hop)).copied())
    }

    /// Whether there is room for one more that we open.
    pub(super) fn has_room(&self) -> bool {
        self.opened.len() < limits::SIP_FLOWS_OPENED_MAX
    }

    pub(super) fn push(&self, id: FlowId, bytes: Vec<u8>) -> Result<(), NotPushed> {
        let Some(flow) = self.flows.get(&id) else { return Err(NotPushed::Gone(bytes)) };
        flow.queue.try_send(bytes).map_err(|error| match error {
            mpsc::error::TrySendError::Closed(bytes) => NotPushed::Gone(bytes),
            mpsc::error::TrySendError::Full(_) => NotPushed::Stuck,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::census::Census;
    use super::*;

    fn hop(port: u16) -> Hop {
        Hop::tcp(SocketAddr::from(([192, 0, 2, 1], port)))
    }

    #[test]
    fn connections_are_found_by_name_or_by_the_end_that_we_dialled() {
        let mut table = FlowTable::default();
        let (queue, mut sent) = mpsc::channel(1);
        let seat = Census::new(1, 1).admit("192.0.2.1".parse().unwrap());
        table.insert(FlowId(1), Flow { hop: hop(40_000).on(FlowId(1)), queue: queue.clone(), seat });
        table.insert(FlowId(2), Flow { hop: hop(5060).on(FlowId(2)), queue, seat: None });
        assert_eq!(table.find(&hop(40_000)), None, "who came to us is not dialled by his address");
        assert_eq!(table.find(&hop(5070).on(FlowId(1))), Some(FlowId(1)));
        assert_eq!(table.find(&hop(5060)), Some(FlowId(2)));
        assert_eq!(table.find(&hop(5060).on(FlowId(9))), Some(FlowId(2)), "the flow is gone: another to the same end");
        let tls = Hop { transport: Transport::Tls, ..hop(5060).on(FlowId(2)) };
        assert_eq!(table.find(&tls), None, "what is to be encrypted does not go in the clear");
        assert!(table.push(FlowId(2), vec![1]).is_ok());
        assert!(matches!(table.push(FlowId(2), vec![2]), Err(NotPushed::Stuck)));
        assert_eq!(sent.try_recv().unwrap(), [1]);
        drop(sent);
        assert!(matches!(table.push(FlowId(2), vec![3]), Err(NotPushed::Gone(bytes)) if bytes == [3]));
        assert!(table.remove(FlowId(2)).is_some() && table.find(&hop(5060)).is_none());
    }
}
