//! Requests that we send within a dialog (RFC 3261 §12.2.1), and what ends a dialog because of their answers. Purpose: one
//! way to write them, so that route set, CSeq and Contact are right in all of them. Deliberately absent: what each request
//! means (the features' own files).

use super::leg::{Leg, Phase, TransactionId};
use super::reason::Reason;
use super::response::{ALLOW, SUPPORTED};
use super::table::{ClientMachine, ClientTransaction, Purpose};
use super::{Agent, AgentError, EndedBy, LegId, SipEvent, Transmit};
use crate::sip::dialog::{Dialog, DialogId, DialogRequest};
use crate::sip::message::{Method, Name, parse_datagram};
use crate::sip::transaction::{InviteClient, NonInviteClient};
use crate::time::Tick;

/// A request to send within a dialog.
#[derive(Debug)]
pub(super) struct Outgoing<'a> {
    pub(super) method: Method,
    pub(super) headers: Vec<(&'static str, String)>,
    /// Content-Type and octets.
    pub(super) body: Option<(&'static str, &'a [u8])>,
    pub(super) purpose: Purpose,
}

impl ClientTransaction {
    /// The same request once more with a new branch and the next CSeq number, without some header fields and with others
    /// in their place (§22.2, RFC 4028 §7.4); to another target, if there is one (§8.1.3.4).
    pub(super) fn again(
        &self,
        via: &[u8],
        target: Option<&[u8]>,
        without: &[Name],
        with: &[(&'static str, String)],
    ) -> Option<(DialogRequest, Vec<u8>)> {
        let uri = target.unwrap_or(&self.request.uri).to_vec();
        let request = DialogRequest { uri, sequence: self.request.sequence + 1, ..self.request.clone() };
        let bytes = written_again(&self.bytes, &request, via, without, with)?;
        Some((request, bytes))
    }
}

/// The message once more for another request, without some header fields and with others in their place.
pub(super) fn written_again(
    bytes: &[u8],
    request: &DialogRequest,
    via: &[u8],
    without: &[Name],
    with: &[(&'static str, String)],
) -> Option<Vec<u8>> {
    const WRITTEN: [Name; 9] = [
        Name::Via,
        Name::MaxForwards,
        Name::Route,
        Name::From,
        Name::To,
        Name::CallId,
        Name::CSeq,
        Name::ContentLength,
        Name::ContentType,
    ];
    let message = parse_datagram(bytes).ok()?;
    let mut writer = request.write(via);
    // Answers to challenges hold for one request each; whoever sends this adds the next.
    let is_answer = |name: &Name| {
        [&b"Authorization"[..], b"Proxy-Authorization"].iter().any(|n| name.as_bytes().eq_ignore_ascii_case(n))
    };
    let kept = |name: &Name| !WRITTEN.contains(name) && !without.contains(name) && !is_answer(name);
    for header in message.headers.iter().filter(|h| kept(&h.name)) {
        writer.header(header.name.as_bytes(), &header.value);
    }
    for (name, value) in with {
        writer.header(name, value);
    }
    let content_type = message.header(&Name::ContentType).map(|t| String::from_utf8_lossy(t).into_owned());
    Some(writer.finish(content_type.as_deref().map(|t| (t, message.body.as_slice()))))
}

impl Agent {
    /// Sends a request in a dialog of a leg: in the early one with this identity, or in the leg's own.
    pub(super) fn send_in_dialog(
        &mut self,
        now: Tick,
        leg_id: LegId,
        early: Option<&DialogId>,
        outgoing: Outgoing<'_>,
    ) -> Result<TransactionId, AgentError> {
        if !self.has_transaction_room() {
            return Err(AgentError::NoCapacity);
        }
        let leg = self.legs.get_mut(&leg_id).ok_or(AgentError::UnknownLeg(leg_id))?;
        let contact = leg.contact.clone();
        let dialog = match early {
            Some(id) => leg.dialog_mut(id),
            None => leg.dialog.as_mut(),
        };
        let dialog = dialog.ok_or(AgentError::UnknownLeg(leg_id))?;
        let request = dialog.next_request(outgoing.method.clone());
        let dialog = dialog.clone();
        let hop = self.next_hop(&dialog);
        let (via, key) = self.new_via(&hop, outgoing.method.clone());
        let mut writer = request.write(&via);
        if matches!(outgoing.method, Method::Invite | Method::Update | Method::Refer | Method::Notify) {
            writer.header("Contact", &contact);
        }
        if matches!(outgoing.method, Method::Invite | Method::Update) {
            writer.header("Allow", ALLOW).header("Supported", SUPPORTED);
        }
        for (name, value) in &outgoing.headers {
            writer.header(name, value);
        }
        writer.header("User-Agent", &self.config.user_agent);
        let bytes = writer.finish(outgoing.body);
        let reliable = hop.transport.is_reliable();
        let machine = match outgoing.method {
            Method::Invite => ClientMachine::Invite(InviteClient::new(now, reliable)),
            _ => ClientMachine::NonInvite(NonInviteClient::new(now, reliable)),
        };
        let client = ClientTransaction::new(machine, key, request, via, bytes, hop, outgoing.purpose);
        let client = self.fitted(now, leg_id, client);
        Ok(self.add_client(client))
    }

    /// An ACK to a 2xx (§13.2.2.4).
    pub(super) fn write_ack(&mut self, dialog: &Dialog, sequence: u32, answer: Option<&[u8]>) -> Transmit {
        let hop = self.next_hop(dialog);
        let (via, _) = self.new_via(&hop, Method::Ack);
        let body = answer.map(|sdp| (crate::sip::sdp::CONTENT_TYPE, sdp));
        let mut writer = dialog.acknowledge(sequence).write(&via);
        for (name, value) in self.answers_of(dialog, sequence) {
            writer.header(name, value);
        }
        Transmit { hop, bytes: writer.finish(body) }
    }

    /// The peer does not know the call any more (481), or says nothing at all (408): the call is over (§12.2.1.2).
    pub(super) fn dialog_gone(&mut self, now: Tick, leg_id: LegId, by: EndedBy, why: &str) {
        let Some(leg) = self.legs.get(&leg_id) else { return };
        if matches!(leg.phase, Phase::Ending) {
            return; // the answer to our BYE decides
        }
        self.send_bye_apart(now, leg_id, &Reason::default());
        self.end_leg(now, leg_id, SipEvent::Ended { leg: leg_id, by, reason: Some(why.to_owned()), cause: None });
    }

    /// Asks whether the peer still knows the call (OPTIONS in the dialog, §11): 481 or silence ends the leg.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub fn probe(&mut self, now: Tick, leg: LegId) -> Result<(), AgentError> {
        let state = self.established(leg, "probe")?;
        if state.hang_up.is_some() {
            return Ok(());
        }
        let headers = vec![("Accept", crate::sip::sdp::CONTENT_TYPE.to_owned())];
        let outgoing = Outgoing { method: Method::Options, headers, body: None, purpose: Purpose::Options(leg) };
        self.send_in_dialog(now, leg, None, outgoing).map(|_| ())
    }

    /// Whether the call of this leg has been answered, either way, and has not been hung up.
    #[must_use]
    pub fn is_answered(&self, leg: LegId) -> bool {
        self.legs.get(&leg).is_some_and(|state| matches!(state.phase, Phase::Established) && state.hang_up.is_none())
    }

    /// The leg, if it is one that has been answered and is not being hung up.
    pub(super) fn established(&mut self, leg: LegId, verb: &'static str) -> Result<&mut Leg, AgentError> {
        let state = self.legs.get_mut(&leg).ok_or(AgentError::UnknownLeg(leg))?;
        match state.phase {
            Phase::Established => Ok(state),
            _ => Err(super::verbs::wrong_state(leg, state, verb)),
        }
    }

    /// A number below `bound`, for waits that two ends must not choose alike.
    pub(super) fn random_below(&mut self, bound: u32) -> u32 {
        let mut octets = [0; 4];
        (self.config.random)(&mut octets);
        u32::from_le_bytes(octets) % bound.max(1)
    }
}
