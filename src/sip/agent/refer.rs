//! Transfer (RFC 3515), blind and attended, both roles: REFER, its implicit subscription with NOTIFY of message/sipfrag (RFC
//! 3420), Replaces in Refer-To and in INVITE (RFC 3891), Referred-By (RFC 3892), Refer-Sub (RFC 4488). Purpose: ask a peer to
//! call somebody else, or be asked. Invariants: one transfer a leg in each direction; every subscription ends, at the latest
//! after [`WATCHED_MAX`]; notifications of ours leave one after the other, so that none overtakes another. Deliberately
//! absent: placing the call that we are asked for, and hanging up after it: the call side decides both; notifications to a
//! peer that has hung up already (nobody listens).

use std::time::Duration;

use super::inbound::InDialog;
use super::leg::{Leg, Phase, TransactionId};
use super::request::Outgoing;
use super::table::{Purpose, ServerMachine, ServerTransaction, TimerId};
use super::verbs::wrong_state;
use super::{Agent, AgentError, EndedBy, LegId, SipEvent};
use crate::limits;
use crate::sip::dialog::DialogId;
use crate::sip::message::{Address, Message, Method, Name, Scheme, Uri, reason_phrase, to_text};
use crate::sip::transaction::{GIVE_UP, NonInviteServer};
use crate::time::Tick;

/// The longest that a transfer is watched: ringing, and what surrounds it.
const WATCHED_MAX: Duration = Duration::from_secs(limits::SIP_RINGING_MAX.as_secs() + 40);
/// A REFER that the call side leaves undecided for so long is refused.
const DECIDED_WITHIN: Duration = Duration::from_secs(20);
/// Type of our notifications' bodies.
const SIPFRAG: &str = "message/sipfrag;version=2.0";

/// A transfer that we asked for.
#[derive(Debug)]
pub(super) struct OurRefer {
    transaction: TransactionId,
    /// CSeq number of the REFER: the id of its subscription.
    sequence: u32,
    over: bool,
    /// A notification has come.
    heard: bool,
    pub(super) give_up: Option<Tick>,
}

/// A transfer that we were asked for.
#[derive(Debug)]
pub(super) struct TheirRefer {
    /// The REFER, until it is decided.
    undecided: Option<TransactionId>,
    sequence: u32,
    /// The peer wants to be told.
    watched: bool,
    notifying: bool,
    /// What to tell next; what came before it and was not told is not interesting any more.
    next: Option<u16>,
    last: u16,
    pub(super) give_up: Option<Tick>,
}

impl TheirRefer {
    /// The REFER that has no answer yet.
    pub(super) const fn undecided(&self) -> Option<TransactionId> {
        self.undecided
    }
}

/// The value of a Replaces header field for this dialog, as its other end sees it.
#[must_use]
pub fn replaces_value(dialog: &DialogId) -> String {
    format!(
        "{};to-tag={};from-tag={}",
        to_text(&dialog.call_id),
        to_text(&dialog.local_tag),
        to_text(&dialog.remote_tag)
    )
}

impl Agent {
    /// Asks the peer to call `target` in our place (blind), or to take the place of `replaces` in the call to its other end
    /// (attended); an empty target then means the other end of that leg. What becomes of it comes as
    /// [`SipEvent::ReferProgress`]; hanging up afterwards is up to the caller of this.
    ///
    /// # Errors
    /// [`AgentError::BadTarget`]; [`AgentError::WrongState`] before the call is answered, and while a transfer is under way.
    pub fn refer(&mut self, now: Tick, leg: LegId, target: &str, replaces: Option<LegId>) -> Result<(), AgentError> {
        let other = match replaces {
            Some(other) => {
                let state = self.legs.get(&other).ok_or(AgentError::UnknownLeg(other))?;
                let dialog = state.dialog.as_ref().ok_or_else(|| wrong_state(other, state, "refer"))?;
                let id = &dialog.id;
                let seen = DialogId {
                    call_id: id.call_id.clone(),
                    local_tag: id.remote_tag.clone(),
                    remote_tag: id.local_tag.clone(),
                };
                Some((seen, dialog.remote_target().to_vec()))
            }
            None => None,
        };
        let state = self.established(leg, "refer")?;
        if state.hang_up.is_some() || state.refer.as_ref().is_some_and(|r| !r.over) {
            return Err(wrong_state(leg, state, "refer"));
        }
        let uri = match (&other, target) {
            (Some((_, uri)), "") => Uri::parse(uri),
            (_, target) => Uri::parse(target.as_bytes()),
        };
        let uri = uri.map_err(|_| AgentError::BadTarget)?;
        let mut refer_to = format!("<{}", to_text(uri.without_headers()));
        if let Some((seen, _)) = &other {
            refer_to.push_str("?Replaces=");
            refer_to.push_str(&escaped(&replaces_value(seen)));
        }
        refer_to.push('>');
        let ours = state.dialog.as_ref().map(super::super::dialog::Dialog::local_uri).unwrap_or_default();
        let headers = vec![("Refer-To", refer_to), ("Referred-By", format!("<{}>", to_text(&ours)))];
        let outgoing = Outgoing { method: Method::Refer, headers, body: None, purpose: Purpose::Refer(leg) };
        let transaction = self.send_in_dialog(now, leg, None, outgoing)?;
        let sequence = self.clients.get(&transaction).map_or(0, |client| client.request.sequence);
        if let Some(state) = self.legs.get_mut(&leg) {
            let give_up = Some(now + WATCHED_MAX);
            state.refer = Some(OurRefer { transaction, sequence, over: false, heard: false, give_up });
        }
        self.rearm(TimerId::Leg(leg));
        Ok(())
    }

    /// What the peer says to our REFER.
    pub(super) fn handle_refer_response(
        &mut self,
        now: Tick,
        id: TransactionId,
        leg_id: LegId,
        code: u16,
        response: &Message,
    ) {
        let Some(leg) = self.legs.get_mut(&leg_id) else { return };
        let Some(refer) = leg.refer.as_mut().filter(|refer| refer.transaction == id && !refer.over) else { return };
        match code {
            100..200 => {}
            200..300 => {
                let silent = response.header(&Name::ReferSub).is_some_and(|v| v.eq_ignore_ascii_case(b"false"));
                if silent {
                    return self.refer_told(leg_id, 202, true);
                }
                // The first notification comes at once (RFC 3515 §2.4.4, RFC 6665 timer N).
                if !refer.heard {
                    refer.give_up = Some(now + GIVE_UP);
                }
            }
            481 => self.dialog_gone(now, leg_id, EndedBy::Remote, "the peer does not know the call any more (481)"),
            _ => self.refer_told(leg_id, code, true),
        }
        self.rearm(TimerId::Leg(leg_id));
    }

    /// No answer to our REFER.
    pub(super) fn refer_failed(&mut self, leg_id: LegId, code: u16) {
        self.refer_told(leg_id, code, true);
        self.rearm(TimerId::Leg(leg_id));
    }

    fn refer_told(&mut self, leg_id: LegId, code: u16, over: bool) {
        let Some(refer) = self.legs.get_mut(&leg_id).and_then(|leg| leg.refer.as_mut()) else { return };
        if refer.over {
            return;
        }
        if over {
            (refer.over, refer.give_up) = (true, None);
        }
        if over || !self.is_backlogged() {
            self.emit(SipEvent::ReferProgress { leg: leg_id, code, over });
        }
    }

    /// NOTIFY within a dialog.
    pub(super) fn handle_notify(&mut self, now: Tick, leg_id: LegId, request: &Message, with: InDialog<'_>) {
        let event = request.header(&Name::Event).map(to_text).unwrap_or_default();
        let mut parts = event.split(';').map(str::trim);
        match parts.next().unwrap_or_default() {
            "refer" => {}
            "message-summary" => return self.answer_at_once(now, with, 200, &[]),
            _ => return self.answer_at_once(now, with, 489, &[("Allow-Events", "refer".to_owned())]),
        }
        let id: Option<u32> = parts.find_map(|part| part.strip_prefix("id=")?.parse().ok());
        let Some(leg) = self.legs.get_mut(&leg_id) else { return };
        let Some(refer) = leg.refer.as_mut().filter(|refer| id.is_none_or(|id| id == refer.sequence)) else {
            return self.answer_at_once(now, with, 481, &[]);
        };
        let state = request.header(&Name::SubscriptionState).map(to_text).unwrap_or_default().to_ascii_lowercase();
        let terminated = state.split(';').next().is_some_and(|s| s.trim() == "terminated");
        refer.heard = true;
        if !refer.over {
            refer.give_up = Some(now + WATCHED_MAX);
        }
        self.answer_at_once(now, with, 200, &[]);
        match sipfrag_code(&request.body) {
            Some(code) => self.refer_told(leg_id, code, terminated || code >= 200),
            // Ended without a word: whatever became of it, it is not known to have worked.
            None if terminated => self.refer_told(leg_id, 408, true),
            None => {}
        }
        self.rearm(TimerId::Leg(leg_id));
    }

    /// REFER within a dialog.
    pub(super) fn handle_refer(&mut self, now: Tick, leg_id: LegId, request: &Message, with: InDialog<'_>) {
        let Some(leg) = self.legs.get_mut(&leg_id) else { return };
        if !matches!(leg.phase, Phase::Established) || leg.hang_up.is_some() {
            return self.answer_at_once(now, with, 403, &[]);
        }
        let targets: Vec<&[u8]> = request.headers(&Name::ReferTo).collect();
        let &[target] = targets.as_slice() else { return self.answer_at_once(now, with, 400, &[]) };
        let Some((target, replaces)) = read_refer_to(target) else { return self.answer_at_once(now, with, 400, &[]) };
        if leg.referred.is_some() {
            return self.answer_at_once(now, with, 491, &[]);
        }
        if let Some(dialog) = &mut leg.dialog {
            dialog.refresh_target(request);
        }
        let referred_by = request.header(&Name::ReferredBy).map(|value| {
            Address::parse(value).map_or_else(|_| to_text(value), |address| to_text(&address.name_addr()))
        });
        let watched = !request.header(&Name::ReferSub).is_some_and(|v| v.eq_ignore_ascii_case(b"false"));
        let sequence = with.sequence;
        let machine = ServerMachine::NonInvite(NonInviteServer::new(with.seed.hop.transport.is_reliable()));
        let transaction = self.add_server(ServerTransaction::new(machine, with.key, with.seed, sequence, Some(leg_id)));
        if let Some(leg) = self.legs.get_mut(&leg_id) {
            let give_up = Some(now + DECIDED_WITHIN);
            let (notifying, next, last) = (false, None, 100);
            leg.referred =
                Some(TheirRefer { undecided: Some(transaction), sequence, watched, notifying, next, last, give_up });
        }
        self.emit(SipEvent::Refer { leg: leg_id, target, replaces, referred_by });
        self.rearm(TimerId::Leg(leg_id));
    }

    /// Agrees to the transfer that waits (202). The peer is told 100 at once and the rest by [`Agent::notify_refer`].
    ///
    /// # Errors
    /// See [`AgentError`].
    pub fn accept_refer(&mut self, now: Tick, leg: LegId) -> Result<(), AgentError> {
        let state = self.legs.get_mut(&leg).ok_or(AgentError::UnknownLeg(leg))?;
        let Some(transaction) = state.referred.as_mut().and_then(|r| r.undecided.take()) else {
            return Err(wrong_state(leg, state, "accept_refer"));
        };
        let watched = state.referred.as_ref().is_some_and(|r| r.watched);
        let headers = if watched { vec![] } else { vec![("Refer-Sub", "false".to_owned())] };
        let bytes = self.dialog_response(leg, transaction, 202, &headers, None);
        self.respond_with(now, transaction, 202, bytes);
        if let Some(state) = self.legs.get_mut(&leg) {
            match state.referred.as_mut().filter(|_| watched) {
                Some(referred) => (referred.give_up, referred.next) = (Some(now + WATCHED_MAX), Some(100)),
                None => state.referred = None,
            }
        }
        self.notify_next(now, leg);
        self.rearm(TimerId::Leg(leg));
        Ok(())
    }

    /// Refuses the transfer that waits; codes other than 300–699 become 603.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub fn refuse_refer(&mut self, now: Tick, leg: LegId, code: u16) -> Result<(), AgentError> {
        let state = self.legs.get_mut(&leg).ok_or(AgentError::UnknownLeg(leg))?;
        let Some(transaction) = state.referred.as_ref().and_then(|r| r.undecided) else {
            return Err(wrong_state(leg, state, "refuse_refer"));
        };
        state.referred = None;
        self.respond(now, transaction, if (300..700).contains(&code) { code } else { 603 }, "", &[]);
        self.rearm(TimerId::Leg(leg));
        Ok(())
    }

    /// Tells the peer how the call that it asked for goes; a final code (200–699) ends the telling. A peer that does not
    /// want to be told is not.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub fn notify_refer(&mut self, now: Tick, leg: LegId, code: u16) -> Result<(), AgentError> {
        let state = self.legs.get_mut(&leg).ok_or(AgentError::UnknownLeg(leg))?;
        match state.referred.as_mut() {
            Some(referred) if referred.undecided.is_none() => referred.next = Some(code.clamp(100, 699)),
            Some(_) => return Err(wrong_state(leg, state, "notify_refer")),
            None => return Ok(()),
        }
        self.notify_next(now, leg);
        Ok(())
    }

    /// Whether the peer has not answered yet to what it was told of its REFER. A BYE before that leaves the rest untold.
    #[must_use]
    pub fn is_notifying(&self, leg: LegId) -> bool {
        let referred = self.legs.get(&leg).and_then(|leg| leg.referred.as_ref());
        referred.is_some_and(|referred| referred.notifying || referred.next.is_some())
    }

    fn notify_next(&mut self, now: Tick, leg_id: LegId) {
        let Some(leg) = self.legs.get_mut(&leg_id) else { return };
        if !matches!(leg.phase, Phase::Established) {
            return;
        }
        let Some(referred) = leg.referred.as_mut().filter(|r| !r.notifying) else { return };
        let Some(code) = referred.next.take() else { return };
        referred.last = code;
        let left = referred.give_up.map_or(0, |at| at.since(now).as_secs());
        let state =
            if code >= 200 { "terminated;reason=noresource".to_owned() } else { format!("active;expires={left}") };
        let headers = vec![("Event", format!("refer;id={}", referred.sequence)), ("Subscription-State", state)];
        let body = format!("SIP/2.0 {code} {}\r\n", reason_phrase(code)).into_bytes();
        referred.notifying = true;
        let purpose = Purpose::Notify(leg_id);
        let outgoing = Outgoing { method: Method::Notify, headers, body: Some((SIPFRAG, &body)), purpose };
        if self.send_in_dialog(now, leg_id, None, outgoing).is_err() {
            self.notified(now, leg_id, 500);
        }
    }

    /// The peer has heard our notification, or does not want any more of them.
    pub(super) fn notified(&mut self, now: Tick, leg_id: LegId, code: u16) {
        if code < 200 {
            return;
        }
        let Some(leg) = self.legs.get_mut(&leg_id) else { return };
        let Some(referred) = leg.referred.as_mut() else { return };
        referred.notifying = false;
        if code >= 300 || referred.last >= 200 {
            leg.referred = None;
        } else {
            self.notify_next(now, leg_id);
        }
        self.rearm(TimerId::Leg(leg_id));
    }

    /// A transfer took too long. `false` = nothing was due.
    pub(super) fn refer_timeout(&mut self, now: Tick, leg_id: LegId) -> bool {
        let Some(leg) = self.legs.get_mut(&leg_id) else { return false };
        if leg.refer.as_ref().is_some_and(|refer| refer.give_up.is_some_and(|at| at <= now)) {
            self.refer_told(leg_id, 408, true);
            return true;
        }
        let Some(referred) = leg.referred.as_mut().filter(|r| r.give_up.is_some_and(|at| at <= now)) else {
            return false;
        };
        referred.give_up = None;
        if let Some(transaction) = referred.undecided {
            leg.referred = None;
            self.respond(now, transaction, 480, "", &[]);
        } else {
            referred.next = Some(408);
            self.notify_next(now, leg_id);
        }
        true
    }

    /// The leg that a Replaces header field means (RFC 3891 §3). `Err` = the code that refuses the INVITE.
    pub(super) fn replaced_leg(&self, invite: &Message) -> Result<Option<LegId>, u16> {
        let values: Vec<&[u8]> = invite.headers(&Name::Replaces).collect();
        let value = match values.as_slice() {
            [] => return Ok(None),
            [value] => to_text(value),
            _ => return Err(400),
        };
        let (dialog, early_only) = read_replaces(&value).ok_or(400u16)?;
        let leg_id = *self.dialogs.get(&dialog).ok_or(481u16)?;
        let leg = self.legs.get(&leg_id).ok_or(481u16)?;
        match &leg.phase {
            Phase::Ending => Err(603),
            Phase::Established if early_only => Err(486),
            Phase::Established | Phase::Calling(_) if leg.hang_up.is_some() => Err(603),
            Phase::Established | Phase::Calling(_) => Ok(Some(leg_id)),
            // An early dialog that we did not begin.
            Phase::Offered { .. } => Err(481),
        }
    }

    /// The leg whose dialog this is, seen from our end: an attended transfer may be from one of our calls to another.
    #[must_use]
    pub fn leg_of(&self, dialog: &DialogId) -> Option<LegId> {
        self.dialogs.get(dialog).copied()
    }

    /// The same, if that leg and `leg` are two answered calls of one telephone, by no trunk: both talk to us from one address.
    #[must_use]
    pub fn leg_of_same_phone(&self, leg: LegId, dialog: &DialogId) -> Option<LegId> {
        let other = self.leg_of(dialog)?;
        let phone = |leg: LegId| {
            let state = self.legs.get(&leg).filter(|_| self.is_answered(leg))?;
            let dialog = state.dialog.as_ref().filter(|dialog| dialog.account().is_none())?;
            Some(dialog.peer().address.ip().to_canonical())
        };
        (phone(leg)? == phone(other)?).then_some(other)
    }

    /// The identity of a leg's dialog; `None` before there is one.
    #[must_use]
    pub fn dialog_of(&self, leg: LegId) -> Option<&DialogId> {
        self.legs.get(&leg).and_then(|leg: &Leg| leg.dialog.as_ref()).map(|dialog| &dialog.id)
    }
}

/// Target without headers, and the dialog in its Replaces.
fn read_refer_to(value: &[u8]) -> Option<(String, Option<DialogId>)> {
    let uri = Uri::parse(&Address::parse(value).ok()?.uri).ok()?;
    if uri.scheme == Scheme::Other {
        return None;
    }
    let target = uri.without_headers();
    let headers = to_text(&uri.raw[target.len()..]);
    let replaces = headers.trim_start_matches('?').split('&').find_map(|header| {
        let (name, value) = header.split_once('=')?;
        name.eq_ignore_ascii_case("Replaces").then(|| unescaped(value))
    });
    let replaces = match replaces {
        Some(value) => Some(read_replaces(&value?)?.0),
        None => None,
    };
    Some((to_text(target), replaces))
}

/// `call-id;to-tag=…;from-tag=…[;early-only]`, and whether it was early-only.
fn read_replaces(value: &str) -> Option<(DialogId, bool)> {
    let mut parts = value.split(';').map(str::trim);
    let call_id = parts.next().filter(|id| !id.is_empty())?.as_bytes().to_vec();
    let (mut to, mut from, mut early_only) = (None, None, false);
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "to-tag" if to.is_none() => to = Some(value.trim().as_bytes().to_vec()),
            "from-tag" if from.is_none() => from = Some(value.trim().as_bytes().to_vec()),
            "to-tag" | "from-tag" => return None,
            "early-only" => early_only = true,
            _ => {}
        }
    }
    Some((DialogId { call_id, local_tag: to?, remote_tag: from? }, early_only))
}

/// The status code of a message/sipfrag body.
fn sipfrag_code(body: &[u8]) -> Option<u16> {
    let line = body.split(|&b| b == b'\r' || b == b'\n').find(|line| !line.is_empty())?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let version = words.next()?.eq_ignore_ascii_case("SIP/2.0");
    words.next()?.parse().ok().filter(|code| version && (100..700).contains(code))
}

/// As a header of a URI (RFC 3261 §19.1.1).
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()[]/:+$".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn unescaped(text: &str) -> Option<String> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let (high, low) = (char::from(bytes.next()?).to_digit(16)?, char::from(bytes.next()?).to_digit(16)?);
        out.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(out).ok().filter(|text| !text.contains(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_of_transfers() {
        let dialog = DialogId { call_id: b"a@b c".to_vec(), local_tag: b"t;1".to_vec(), remote_tag: b"f".to_vec() };
        let value = format!("\"Bob\" <sip:bob@h;x=y?Subject=hi&Replaces={}>", escaped(&replaces_value(&dialog)));
        let (target, replaces) = read_refer_to(value.as_bytes()).unwrap();
        assert_eq!(target, "sip:bob@h;x=y");
        assert_eq!(replaces.unwrap().call_id, b"a@b c");
        assert_eq!(read_refer_to(b"<sip:bob@h>"), Some(("sip:bob@h".into(), None)));
        assert_eq!(read_refer_to(b"tel:+491"), Some(("tel:+491".into(), None)));
        for bad in [
            &b"<sip:bob@h?Replaces=x>"[..],
            b"<sip:bob@h?Replaces=x%3Bto-tag%3Da>",
            b"<sip:bob@h?Replaces=x%3Bto-tag%3Da%3Bfrom-tag%3Db%0D%0AX>",
            b"<sip:bob@h?Replaces=%zz>",
            b"<sip:bob@h?Replaces=%2>",
            b"<mailto:x@y>",
            b"",
        ] {
            assert_eq!(read_refer_to(bad), None, "{}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn replaces() {
        let (dialog, early) = read_replaces("12@h; to-tag=7; From-Tag=8;early-only").unwrap();
        assert_eq!((dialog.local_tag.as_slice(), dialog.remote_tag.as_slice(), early), (&b"7"[..], &b"8"[..], true));
        assert_eq!(replaces_value(&dialog), "12@h;to-tag=7;from-tag=8");
        for bad in ["", "12@h", "12@h;to-tag=1", "12@h;to-tag=1;to-tag=2;from-tag=3", ";to-tag=1;from-tag=2"] {
            assert_eq!(read_replaces(bad), None, "{bad}");
        }
    }

    #[test]
    fn fragments() {
        assert_eq!(sipfrag_code(b"SIP/2.0 200 OK\r\n"), Some(200));
        assert_eq!(sipfrag_code(b"\r\nSIP/2.0 180"), Some(180));
        for bad in [&b""[..], b"SIP/2.0", b"SIP/2.0 99 x", b"HTTP/1.1 200 OK", b"SIP/2.0 abc\r\n"] {
            assert_eq!(sipfrag_code(bad), None);
        }
    }
}
