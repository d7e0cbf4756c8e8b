//! What the agent counts, brought to `/metrics`. Purpose: floods, scanners and lossy trunks are seen in a graph and not in a log.
//! Owned by the driver. Invariant: at most once a second, and what was counted last is told within a second, also where nothing
//! comes any more. Deliberately absent: the counting (the agent's).

use std::time::Duration;

use crate::sip::agent::AgentStatus;
use crate::telemetry::metric::{self, SipFigures};
use crate::time::Tick;

/// How often it is told.
const INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Figures {
    told: Option<AgentStatus>,
    next: Tick,
}

impl Figures {
    /// Tells what is new, if it is time; when to come again, if something is left to tell.
    pub(super) fn tell(&mut self, now: Tick, status: &AgentStatus) -> Option<Tick> {
        if self.told.as_ref() == Some(status) {
            return None;
        }
        if now < self.next {
            return Some(self.next);
        }
        self.told = Some(*status);
        self.next = now + INTERVAL;
        metric::sip(&figures(status));
        None
    }
}

fn figures(status: &AgentStatus) -> SipFigures {
    let alive = |transactions: usize| u32::try_from(transactions).unwrap_or(u32::MAX);
    SipFigures {
        messages: [("in", status.datagrams_in), ("out", status.datagrams_out)],
        dropped: [
            ("source", status.dropped_source),
            ("malformed", status.dropped_malformed),
            ("stray", status.strays),
            ("unsent", status.dropped_transmit),
        ],
        refused: [
            ("malformed", status.refused_malformed),
            ("password", status.refused_password),
            ("rate", status.refused_rate),
            ("capacity", status.refused_capacity),
        ],
        retransmissions: status.retransmissions,
        failovers: status.failovers,
        transactions: [("server", alive(status.server_transactions)), ("client", alive(status.client_transactions))],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_is_told_once_a_second_and_nothing_is_left_untold() {
        let (mut figures, start) = (Figures::default(), Tick(5_000_000_000));
        let after = |ms| start + Duration::from_millis(ms);
        let counted = |datagrams_in| AgentStatus { datagrams_in, ..AgentStatus::default() };
        assert_eq!(figures.tell(start, &counted(1)), None);
        assert_eq!(figures.tell(after(1), &counted(1)), None, "nothing new");
        assert_eq!(figures.tell(after(2), &counted(9)), Some(after(1000)), "too soon: come again");
        assert_eq!(figures.told.unwrap().datagrams_in, 1);
        assert_eq!(figures.tell(after(1000), &counted(9)), None);
        assert_eq!(figures.told.unwrap().datagrams_in, 9);
    }
}
