//! A key that is passed on. Purpose: all packets of one press leave with the timestamp of its start and the duration since
//! then (RFC 4733 section 2.3), whatever lies between them: audio, a loss, a new segment on the sender's faster clock.
//! Media workers; a few words. Invariant: packets of one press never look like two. Deliberately absent: sequence numbers
//! (`numbering`), reports (`rtp::dtmf::Receiver`).

use crate::rtp::TelephoneEvent;
use crate::rtp::dtmf::{Event, SEGMENT_MAX, continues, creep_max};

/// The press that was passed on last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Press {
    code: u8,
    /// The sender's timestamps of its start and of its present segment.
    began: u32,
    timestamp: u32,
    /// In the present segment.
    duration: u16,
    ended: bool,
    /// Our timestamp of its start.
    ours: u32,
}

impl Press {
    /// A press that begins with this packet.
    pub(super) const fn new(event: Event, timestamp: u32, ours: u32) -> Self {
        let Event { code, end, duration, .. } = event;
        Self { code, began: timestamp, timestamp, duration, ended: end, ours }
    }

    /// Whether a packet is of this press; `clock`: Hz, of the event.
    pub(super) fn takes(&mut self, event: Event, timestamp: u32, clock: u32) -> bool {
        if event.code != self.code {
            return false;
        }
        let ahead = timestamp.wrapping_sub(self.timestamp);
        if ahead == 0 {
            self.duration = self.duration.max(event.duration);
            self.ended |= event.end;
            return true;
        }
        // A late packet of an earlier segment.
        if timestamp.wrapping_sub(self.began) < self.timestamp.wrapping_sub(self.began) {
            return true;
        }
        let creep = creep_max(clock);
        let creeps = ahead <= creep && event.duration > self.duration;
        if self.ended || !(creeps || continues(self.duration, ahead, creep)) {
            return false;
        }
        if creeps {
            // Its duration has grown from the first packet on: the start has moved, not the end.
            self.began = self.began.wrapping_add(ahead);
        }
        (self.timestamp, self.duration, self.ended) = (timestamp, event.duration, event.end);
        true
    }

    /// Whether a packet is of something that was pressed before, and comes late; `clock`: Hz, of the event.
    pub(super) fn is_after(&self, timestamp: u32, clock: u32) -> bool {
        let behind = self.began.wrapping_sub(timestamp);
        // Further behind, the sender has set its clock back.
        (1..clock.saturating_mul(BEHIND_MAX_SECONDS)).contains(&behind)
    }

    /// How long it had been pressed then, units of the event's clock.
    pub(super) fn lasted(&self, event: Event, timestamp: u32) -> u64 {
        u64::from(timestamp.wrapping_sub(self.began)) + u64::from(event.duration)
    }

    /// Our timestamp and event for a packet of this press.
    pub(super) fn outgoing(
        &self,
        event: Event,
        timestamp: u32,
        from: TelephoneEvent,
        to: TelephoneEvent,
    ) -> (u32, Event) {
        let whole = self.lasted(event, timestamp) * u64::from(to.clock) / u64::from(from.clock.max(1));
        // Our own segments, where the duration does not fit (section 2.5.1.3).
        let segment = u64::from(SEGMENT_MAX);
        let before = whole.saturating_sub(1) / segment * segment;
        // Timestamps are modulo 2^32; the rest of a division by 2^16 − 1, or that.
        (self.ours.wrapping_add(before as u32), Event { duration: (whole - before) as u16, ..event })
    }
}

const BEHIND_MAX_SECONDS: u32 = 5;
