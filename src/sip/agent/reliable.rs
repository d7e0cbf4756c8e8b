//! Provisional responses of ours and their acknowledgement (RFC 3262, 100rel; RFC 3261 §13.3.1.1). Purpose: the peer really
//! hears that it rings, and early media is agreed on before anybody depends on it. Reliable are: all of them when the INVITE
//! requires it, else those with a description when the INVITE supports it. Invariants: one unacknowledged at a time, the
//! rest wait in order; a 2xx waits for the PRACK of a description (§3); an exchange in PRACK is whole before the 2xx; after
//! 64·T1 without PRACK the INVITE gets 504. The client's half, which sends PRACK, is in `fork`.

use std::collections::VecDeque;
use std::time::Duration;

use super::inbound::{InDialog, session_description};
use super::leg::{AskedBy, Phase};
use super::table::{ServerMachine, TimerId};
use super::{Agent, AgentError, EndedBy, LegId, SipEvent, Transmit};
use crate::limits;
use crate::sip::hop::Hop;
use crate::sip::message::{Message, Name};
use crate::sip::transaction::{GIVE_UP, NonInviteServer, Repeat};
use crate::time::Tick;

/// Proxies give a call up that says nothing for three minutes, so the last provisional response is said again (§13.3.1.1).
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// What the INVITE says about 100rel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Reliability {
    #[default]
    Unknown,
    Supported,
    Required,
}

/// The provisional responses of a call that we are offered.
#[derive(Debug, Default)]
pub(super) struct Provisional {
    reliability: Reliability,
    /// The INVITE had an offer.
    offer_came: bool,
    /// CSeq number of the INVITE.
    sequence: u32,
    /// Descriptions have been exchanged reliably.
    settled: bool,
    /// RSeq of the last reliable one; 0 = none yet.
    last_rseq: u32,
    outstanding: Option<Outstanding>,
    waiting: VecDeque<(u16, Option<Vec<u8>>)>,
    /// The call is answered with this as soon as the PRACK has come.
    accept: Option<Vec<u8>>,
    said: Option<(u16, Tick)>,
}

#[derive(Debug)]
struct Outstanding {
    rseq: u32,
    bytes: Vec<u8>,
    hop: Hop,
    carries: Carries,
    /// `None` once a final response has been sent.
    repeat: Option<(Repeat, Tick)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Carries {
    Nothing,
    Answer,
    Offer,
}

impl Provisional {
    pub(super) fn of(invite: &Message, sequence: u32, offer_came: bool) -> Self {
        let reliability = if invite.lists(&Name::Require, "100rel") {
            Reliability::Required
        } else if invite.lists(&Name::Supported, "100rel") {
            Reliability::Supported
        } else {
            Reliability::Unknown
        };
        Self { reliability, offer_came, sequence, ..Self::default() }
    }

    pub(super) fn poll_timeout(&self) -> Option<Tick> {
        let repeat = self.outstanding.as_ref().and_then(|o| o.repeat).map(|(repeat, end)| repeat.due.min(end));
        [repeat, self.said.map(|(_, at)| at + SAY_AGAIN)].into_iter().flatten().min()
    }

    /// Descriptions have been exchanged, so that either side may send UPDATE with another.
    pub(super) const fn is_settled(&self) -> bool {
        self.settled
    }

    /// Our offer waits for the answer in PRACK.
    pub(super) fn is_offering(&self) -> bool {
        self.outstanding.as_ref().is_some_and(|o| o.carries == Carries::Offer)
    }

    /// Whether a 2xx must wait.
    fn holds_2xx(&self) -> bool {
        self.outstanding.as_ref().is_some_and(|o| o.repeat.is_some() && o.carries != Carries::Nothing)
    }

    /// A final response has been sent: nothing is repeated, but a PRACK that is still on its way is welcome.
    pub(super) fn finish(&mut self) {
        self.waiting.clear();
        (self.said, self.accept) = (None, None);
        if let Some(outstanding) = &mut self.outstanding {
            outstanding.repeat = None;
        }
    }
}

impl Agent {
    /// Lets the caller hear ringing (180).
    ///
    /// # Errors
    /// See [`AgentError`].
    pub fn ring(&mut self, now: Tick, leg: LegId) -> Result<(), AgentError> {
        self.progress(now, leg, 180, None)
    }

    /// Tells the caller how far the call is (101–199, others become 183), with the answer to its offer when media flows
    /// already, or with our offer when it made none (the answer comes as [`SipEvent::EarlyAnswer`]; a caller that cannot
    /// acknowledge it is told without). A caller that supports it gets descriptions reliably (RFC 3262); sent unreliably,
    /// [`Agent::accept`] must repeat the same description (RFC 3261 §13.2.1).
    ///
    /// # Errors
    /// See [`AgentError`].
    pub fn progress(&mut self, now: Tick, leg: LegId, code: u16, sdp: Option<&[u8]>) -> Result<(), AgentError> {
        self.offered(leg, "progress")?;
        let code = if (101..200).contains(&code) { code } else { 183 };
        let Some(state) = self.legs.get_mut(&leg) else { return Ok(()) };
        if state.provisional.accept.is_some() {
            return Ok(()); // it is answered but for the PRACK
        }
        if state.provisional.outstanding.as_ref().is_some_and(|o| o.repeat.is_some()) {
            if state.provisional.waiting.len() < limits::SIP_PROVISIONALS_MAX {
                state.provisional.waiting.push_back((code, sdp.map(<[u8]>::to_vec)));
            }
            return Ok(());
        }
        self.say(now, leg, code, sdp);
        Ok(())
    }

    fn say(&mut self, now: Tick, leg: LegId, code: u16, sdp: Option<&[u8]>) {
        let Some(state) = self.legs.get_mut(&leg) else { return };
        let Phase::Offered { transaction } = state.phase else { return };
        let provisional = &mut state.provisional;
        let able = provisional.reliability != Reliability::Unknown;
        // What has been agreed on reliably is not said twice; an offer is not made where it cannot be answered.
        let sdp = sdp.filter(|_| !provisional.settled && (provisional.offer_came || able));
        let needs_offer = !provisional.offer_came && !provisional.settled && sdp.is_none();
        let reliable = match provisional.reliability {
            // The first reliable response to an INVITE without offer must make one (RFC 3261 §13.2.1).
            Reliability::Required if needs_offer => return,
            Reliability::Required => true,
            Reliability::Supported => sdp.is_some(),
            Reliability::Unknown => false,
        };
        provisional.said = Some((code, now));
        if !reliable {
            let bytes = self.dialog_response(leg, transaction, code, &[], sdp);
            self.respond_with(now, transaction, code, bytes);
            return self.rearm(TimerId::Leg(leg));
        }
        let carries = match (sdp.is_some(), provisional.offer_came) {
            (false, _) => Carries::Nothing,
            (true, true) => Carries::Answer,
            (true, false) => Carries::Offer,
        };
        if let Some(sdp) = sdp {
            state.describe(sdp);
        }
        let last = self.legs.get(&leg).map_or(0, |state| state.provisional.last_rseq);
        let rseq = if last == 0 { 1 + self.random_below(0x3fff_ffff) } else { last + 1 };
        let headers = [("Require", "100rel".to_owned()), ("RSeq", rseq.to_string())];
        let bytes = self.dialog_response(leg, transaction, code, &headers, sdp);
        let Some(hop) = self.servers.get(&transaction).map(|server| server.seed.hop.clone()) else { return };
        if let Some(state) = self.legs.get_mut(&leg) {
            // Doubled without a ceiling, on streams too (RFC 3262 §3).
            let repeat = Some((Repeat::start(now, Duration::MAX), now + GIVE_UP));
            state.provisional.last_rseq = rseq;
            state.provisional.outstanding = Some(Outstanding { rseq, bytes: bytes.clone(), hop, carries, repeat });
        }
        self.respond_with(now, transaction, code, bytes);
        self.rearm(TimerId::Leg(leg));
    }

    /// Answers the call (200) with our answer, or with our offer when the INVITE had none. Repeated until the ACK comes
    /// ([`SipEvent::Confirmed`]); after 64·T1 without one the leg ends with `Timeout`. A description that was said reliably
    /// before is not said again, and the 200 waits until it has been acknowledged.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub fn accept(&mut self, now: Tick, leg: LegId, sdp: &[u8]) -> Result<(), AgentError> {
        self.offered(leg, "accept")?;
        let Some(state) = self.legs.get_mut(&leg) else { return Ok(()) };
        if state.provisional.accept.is_some() {
            return Err(super::verbs::wrong_state(leg, state, "accept"));
        }
        let exchanging = state.asked.as_ref().is_some_and(|asked| asked.method == AskedBy::Prack);
        if state.provisional.holds_2xx() || exchanging {
            state.provisional.waiting.clear();
            state.provisional.accept = Some(sdp.to_vec());
            return Ok(());
        }
        self.accept_now(now, leg, sdp);
        Ok(())
    }

    fn accept_now(&mut self, now: Tick, leg: LegId, sdp: &[u8]) {
        let Some(state) = self.legs.get_mut(&leg) else { return };
        let Phase::Offered { transaction } = state.phase else { return };
        let (settled, offers) = (state.provisional.settled, !state.provisional.offer_came);
        state.provisional.finish();
        let wish = state.session_wish.take();
        let sdp = (!settled).then_some(sdp);
        if let Some(sdp) = sdp {
            state.describe(sdp);
        }
        self.answer_invite(now, leg, transaction, sdp, wish, offers && !settled);
    }

    /// PRACK.
    pub(super) fn handle_prack(&mut self, now: Tick, leg_id: LegId, request: &Message, with: InDialog<'_>) {
        let description = match session_description(request) {
            Ok(description) => description,
            Err(headers) => return self.answer_at_once(now, with, 415, &headers),
        };
        let Some(leg) = self.legs.get_mut(&leg_id) else { return };
        let provisional = &mut leg.provisional;
        let named = request.header(&Name::RAck).and_then(read_rack);
        let sequence = provisional.sequence;
        let Some(outstanding) = provisional.outstanding.take_if(|o| named == Some((o.rseq, sequence))) else {
            return self.answer_at_once(now, with, 481, &[]);
        };
        match (outstanding.carries, description) {
            (Carries::Offer, Some(answer)) => {
                provisional.settled = true;
                leg.remote_sdp.clone_from(&answer);
                self.answer_at_once(now, with, 200, &[]);
                self.emit(SipEvent::EarlyAnswer { leg: leg_id, answer });
            }
            // Another offer, once the first is settled (§5).
            (Carries::Answer, Some(offer)) => {
                provisional.settled = true;
                let unchanged = offer == leg.remote_sdp;
                let machine = ServerMachine::NonInvite(NonInviteServer::new(with.seed.hop.transport.is_reliable()));
                self.take_in(leg_id, machine, with, AskedBy::Prack, Some(offer.clone()), None, now);
                self.emit(SipEvent::Reinvite { leg: leg_id, offer: Some(offer), unchanged });
                return self.rearm(TimerId::Leg(leg_id)); // the 2xx waits for our answer
            }
            (Carries::Nothing, Some(_)) => self.answer_at_once(now, with, 488, &[]),
            (carries, None) => {
                // Our offer without an answer to it leaves the exchange to the 2xx.
                provisional.settled |= carries == Carries::Answer;
                self.answer_at_once(now, with, 200, &[]);
            }
        }
        self.provisional_acknowledged(now, leg_id);
        self.rearm(TimerId::Leg(leg_id));
    }

    /// What waited for the PRACK may go on.
    pub(super) fn provisional_acknowledged(&mut self, now: Tick, leg_id: LegId) {
        let Some(leg) = self.legs.get_mut(&leg_id) else { return };
        if let Some(sdp) = leg.provisional.accept.take() {
            self.accept_now(now, leg_id, &sdp);
        } else if let Some((code, sdp)) = leg.provisional.waiting.pop_front() {
            self.say(now, leg_id, code, sdp.as_deref());
        }
        self.advance_renewal(now, leg_id);
    }

    /// A provisional response wants repeating, or nobody acknowledges it. `false` = nothing was due.
    pub(super) fn provisional_timeout(&mut self, now: Tick, leg_id: LegId) -> bool {
        let Some(leg) = self.legs.get_mut(&leg_id) else { return false };
        let Phase::Offered { transaction } = leg.phase else { return false };
        if let Some(outstanding) = &mut leg.provisional.outstanding
            && let Some((repeat, end)) = &mut outstanding.repeat
        {
            if *end <= now {
                self.respond(now, transaction, 504, "", &[]);
                let reason = Some("no PRACK came for our provisional response".to_owned());
                self.end_leg(now, leg_id, SipEvent::Ended { leg: leg_id, by: EndedBy::Timeout, reason, cause: None });
                return true;
            }
            if repeat.fire(now) {
                let transmit = Transmit { hop: outstanding.hop.clone(), bytes: outstanding.bytes.clone() };
                self.counters.retransmissions += 1;
                self.transmit(transmit);
                return true;
            }
        }
        let Some((code, _)) = leg.provisional.said.filter(|(_, at)| *at + SAY_AGAIN <= now) else { return false };
        leg.provisional.said = Some((code, now));
        // While one waits for its PRACK, that one is being said already.
        if leg.provisional.outstanding.as_ref().is_none_or(|o| o.repeat.is_none()) {
            self.say(now, leg_id, code, None);
        }
        true
    }
}

/// `RAck: 776656 1 INVITE`: RSeq and CSeq number.
fn read_rack(value: &[u8]) -> Option<(u32, u32)> {
    let mut words = std::str::from_utf8(value).ok()?.split_ascii_whitespace();
    let (rseq, sequence) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    (words.next()? == "INVITE" && words.next().is_none()).then_some((rseq, sequence))
}

#[cfg(test)]
mod tests {
    use super::read_rack;

    #[test]
    fn rack() {
        assert_eq!(read_rack(b"776656  1 INVITE"), Some((776_656, 1)));
        for bad in [&b""[..], b"1", b"1 2", b"1 2 BYE", b"1 2 INVITE x", b"-1 2 INVITE", b"4294967296 1 INVITE"] {
            assert_eq!(read_rack(bad), None);
        }
    }
}
