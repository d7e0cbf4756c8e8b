//! Session timers (RFC 4028), both roles. Purpose: a call whose other end has vanished does not stay for ever. The whole of
//! it is inside the agent: the interval and who refreshes are agreed in INVITE, re-INVITE and UPDATE; the refresher sends
//! UPDATE where the peer allows it, else a re-INVITE with the last description octet for octet (so its `o=` version stays),
//! at half the interval; either side hangs up `min(32 s, interval/3)` before the end of one that was not refreshed (§10).
//! Invariant: an interval under [`limits::SIP_SESSION_MIN`] is never agreed to.

use std::time::Duration;

use super::leg::{Leg, Phase};
use super::renewal::Renewal;
use super::table::{ClientTransaction, TimerId};
use super::{Agent, AgentConfig, EndedBy, LegId, SipEvent};
use crate::limits;
use crate::sip::message::{Message, Method, Name};
use crate::time::Tick;

/// Largest interval that is believed, seconds: a day.
const INTERVAL_MAX_S: u32 = 86_400;
/// How often one INVITE is sent again because its interval was too small.
const TRIES_MAX: u8 = 3;
/// A refresh that was refused for no lasting reason is tried again after so long.
const AGAIN: Duration = Duration::from_secs(5);

/// The running timer of a leg.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct SessionTimer {
    /// Seconds; `None` = the session has no end of its own.
    interval_s: Option<u32>,
    we_refresh: bool,
    /// Largest Min-SE that anybody asked for, seconds.
    min_s: u32,
    refresh_at: Option<Tick>,
    end_at: Option<Tick>,
}

/// What a request of the peer asks for, and what our 2xx says to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SessionWish {
    interval_s: u32,
    peer_refreshes: bool,
}

/// Session-Expires.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Expires {
    interval_s: u32,
    /// `Some(true)` = the client of the request.
    client_refreshes: Option<bool>,
}

impl SessionTimer {
    pub(super) fn poll_timeout(&self) -> Option<Tick> {
        [self.refresh_at, self.end_at].into_iter().flatten().min()
    }

    fn start(&mut self, now: Tick, interval_s: u32, we_refresh: bool) {
        let interval = Duration::from_secs(u64::from(interval_s));
        self.interval_s = Some(interval_s);
        self.we_refresh = we_refresh;
        self.refresh_at = we_refresh.then(|| now + interval / 2);
        self.end_at = Some(now + (interval - Duration::from_secs(32).min(interval / 3)));
    }

    fn stop(&mut self) {
        *self = Self { min_s: self.min_s, ..Self::default() };
    }

    /// Takes over what our 2xx says.
    pub(super) fn agree(&mut self, now: Tick, wish: Option<SessionWish>) {
        match wish {
            Some(wish) => self.start(now, wish.interval_s, !wish.peer_refreshes),
            None => self.stop(),
        }
    }

    /// Takes over what the 2xx to our INVITE or UPDATE says (§7.2).
    pub(super) fn agree_by_response(&mut self, now: Tick, response: &Message) {
        match expires(response) {
            // Whoever does not say leaves it to us: we asked.
            Some(e) => self.start(now, e.interval_s.clamp(min_s(), INTERVAL_MAX_S), e.client_refreshes.unwrap_or(true)),
            None => self.stop(),
        }
    }

    /// Header fields of a request of ours within the dialog.
    pub(super) fn headers(&self) -> Vec<(&'static str, String)> {
        let Some(interval_s) = self.interval_s else { return vec![] };
        let refresher = if self.we_refresh { "uac" } else { "uas" };
        let interval_s = interval_s.max(self.min_s);
        vec![("Session-Expires", format!("{interval_s};refresher={refresher}")), min_header(self.min_s)]
    }

    /// The peer found the interval too small (422); `false` = it does not say what would do.
    pub(super) fn raise(&mut self, response: &Message) -> bool {
        let Some(wanted) = min_of(response).filter(|min| *min > self.min_s && *min <= INTERVAL_MAX_S) else {
            return false;
        };
        self.min_s = wanted;
        true
    }

    /// Our refresh did not work, but the session is not over yet.
    pub(super) fn try_again(&mut self, now: Tick) {
        if self.interval_s.is_some() && self.we_refresh {
            self.refresh_at = Some(now + AGAIN);
        }
    }
}

impl SessionWish {
    /// What to answer to a request with these header fields (§9). `Err` = the interval is too small: 422 with this Min-SE.
    pub(super) fn of(request: &Message, config: &AgentConfig) -> Result<Option<Self>, u32> {
        let supports = request.lists(&Name::Supported, "timer") || request.lists(&Name::Require, "timer");
        let ours_s = config.session_interval.map(seconds);
        let floor_s = min_of(request).unwrap_or(0).clamp(min_s(), INTERVAL_MAX_S);
        match (expires(request), ours_s) {
            (Some(asked), _) if asked.interval_s < min_s() && supports => Err(min_s()),
            // Put in by a proxy, for a client that knows nothing of it and could do nothing about 422.
            (Some(asked), _) if asked.interval_s < min_s() => Ok(None),
            (Some(asked), ours_s) => {
                let wanted_s = ours_s.unwrap_or(INTERVAL_MAX_S).clamp(floor_s, INTERVAL_MAX_S);
                let peer_refreshes = supports && asked.client_refreshes.unwrap_or(true);
                Ok(Some(Self { interval_s: asked.interval_s.min(wanted_s), peer_refreshes }))
            }
            // The peer can, but did not ask: the wish is ours, and so is the work.
            (None, Some(ours_s)) if supports => {
                Ok(Some(Self { interval_s: ours_s.clamp(floor_s, INTERVAL_MAX_S), peer_refreshes: false }))
            }
            (None, _) => Ok(None),
        }
    }

    /// Header fields of our 2xx.
    pub(super) fn headers(self) -> Vec<(&'static str, String)> {
        let refresher = if self.peer_refreshes { "uac" } else { "uas" };
        let mut headers = vec![("Session-Expires", format!("{};refresher={refresher}", self.interval_s))];
        if self.peer_refreshes {
            headers.push(("Require", "timer".to_owned()));
        }
        headers
    }
}

/// Header fields of the INVITE that begins a call; `min_s` is the largest Min-SE of a 422.
pub(super) fn invite_headers(config: &AgentConfig, min_s: u32) -> Vec<(&'static str, String)> {
    let Some(interval) = config.session_interval else { return vec![] };
    vec![("Session-Expires", seconds(interval).max(min_s).to_string()), min_header(min_s)]
}

fn min_header(asked_s: u32) -> (&'static str, String) {
    ("Min-SE", asked_s.max(min_s()).to_string())
}

fn min_s() -> u32 {
    seconds(limits::SIP_SESSION_MIN)
}

fn seconds(interval: Duration) -> u32 {
    u32::try_from(interval.max(limits::SIP_SESSION_MIN).as_secs()).unwrap_or(INTERVAL_MAX_S).min(INTERVAL_MAX_S)
}

fn expires(message: &Message) -> Option<Expires> {
    let value = std::str::from_utf8(message.header(&Name::SessionExpires)?).ok()?;
    let mut parts = value.split(';').map(str::trim);
    let interval_s = parts.next()?.parse().ok()?;
    let refresher = parts.find_map(|part| {
        let (name, who) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("refresher").then(|| who.trim().to_ascii_lowercase())
    });
    let client_refreshes = match refresher.as_deref() {
        Some("uac") => Some(true),
        Some("uas") => Some(false),
        _ => None,
    };
    Some(Expires { interval_s, client_refreshes })
}

fn min_of(message: &Message) -> Option<u32> {
    let value = std::str::from_utf8(message.header(&Name::MinSe)?).ok()?;
    value.split(';').next()?.trim().parse().ok()
}

impl Agent {
    /// The session wants refreshing, or is over. `false` = neither.
    pub(super) fn session_timeout(&mut self, now: Tick, leg_id: LegId) -> bool {
        let Some(leg) = self.legs.get_mut(&leg_id) else { return false };
        if leg.session.end_at.is_some_and(|end| end <= now) {
            leg.session.stop();
            let reason = Some("the session timer ran out".to_owned());
            self.send_bye_apart(now, leg_id, &super::Reason::text("session timer expired"));
            self.end_leg(now, leg_id, SipEvent::Ended { leg: leg_id, by: EndedBy::Timeout, reason, cause: None });
            return true;
        }
        if leg.session.refresh_at.is_none_or(|at| at > now) {
            return false;
        }
        leg.session.refresh_at = None;
        // Whatever is under way refreshes the session as well; should it fail, the timer is set again.
        if leg.renewals.is_empty() {
            let method = if leg.takes_update { Method::Update } else { Method::Invite };
            leg.renewals.push_back(Renewal::refresh(method, leg.changes));
            self.advance_renewal(now, leg_id);
        }
        true
    }

    /// 422 to the INVITE of a call: sends it again with the interval that the peer wants (§7.4). `false` = that cannot help.
    pub(super) fn retry_with_interval(
        &mut self,
        now: Tick,
        refused: super::leg::TransactionId,
        leg_id: LegId,
        response: &Message,
    ) -> bool {
        let Some(leg) = self.legs.get_mut(&leg_id) else { return false };
        let Phase::Calling(calling) = &mut leg.phase else { return false };
        if leg.hang_up.is_some() || calling.intervals_tried >= TRIES_MAX || !leg.session.raise(response) {
            return false;
        }
        calling.intervals_tried += 1;
        let min_s = leg.session.min_s;
        let Some(client) = self.clients.get(&refused) else { return false };
        let (hop, purpose, contact) = (client.hop.clone(), client.purpose.clone(), client.contact.clone());
        let (via, key) = self.new_via(&hop, Method::Invite);
        let Some(client) = self.clients.get(&refused) else { return false };
        let headers = invite_headers(&self.config, min_s);
        let Some((request, bytes)) = client.again(&via, None, &[Name::SessionExpires, Name::MinSe], &headers) else {
            return false;
        };
        let machine = client.machine.again(now, &hop);
        let again = ClientTransaction::new(machine, key, request, via, bytes, hop.clone(), purpose);
        let transaction = self.add_client(ClientTransaction { contact: contact.clone(), ..again });
        if let Some(Leg { phase: Phase::Calling(calling), .. }) = self.legs.get_mut(&leg_id) {
            calling.early_answer = None;
        }
        self.leave_forks(leg_id, Some(refused), false);
        self.leg_goes_on(leg_id, refused, transaction, &hop, contact);
        self.rearm(TimerId::Leg(leg_id));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::message::parse_datagram;

    fn message(fields: &str) -> Message {
        parse_datagram(format!("INVITE sip:a@h SIP/2.0\r\n{fields}\r\n").as_bytes()).unwrap()
    }

    fn config(interval_s: Option<u64>) -> AgentConfig {
        let mut config = AgentConfig::new("10.0.0.1:5060".parse().unwrap(), Box::new(|_| ()));
        config.session_interval = interval_s.map(Duration::from_secs);
        config
    }

    /// RFC 4028 table 2, and what stands around it in §9.
    #[test]
    fn who_refreshes_and_how_often() {
        let wish = |fields: &str, ours| SessionWish::of(&message(fields), &config(ours));
        let agreed = |interval_s, peer_refreshes| Ok(Some(SessionWish { interval_s, peer_refreshes }));
        let timer = "Supported: timer\r\n";
        assert_eq!(wish("", Some(1800)), Ok(None), "the peer knows nothing of it");
        assert_eq!(wish(timer, Some(1800)), agreed(1800, false));
        assert_eq!(wish(timer, None), Ok(None));
        assert_eq!(wish(&format!("{timer}Session-Expires: 600\r\n"), Some(1800)), agreed(600, true));
        assert_eq!(wish(&format!("{timer}x: 3600;refresher=uas\r\n"), Some(1800)), agreed(1800, false));
        assert_eq!(wish(&format!("{timer}x: 3600 ; Refresher = UAC\r\n"), None), agreed(3600, true));
        assert_eq!(wish(&format!("{timer}x: 3600\r\nMin-SE: 2400\r\n"), Some(1800)), agreed(2400, true));
        assert_eq!(wish("x: 3600\r\n", Some(1800)), agreed(1800, false), "a proxy's wish: the work is ours");
        assert_eq!(wish(&format!("{timer}x: 60\r\n"), Some(1800)), Err(90));
        assert_eq!(wish("x: 60\r\n", Some(1800)), Ok(None));
        assert_eq!(wish(&format!("{timer}x: many\r\n"), None), Ok(None));
    }

    #[test]
    fn refreshed_at_half_and_over_before_the_end() {
        let at = |s: u64| Tick(s * 1_000_000_000);
        let mut timer = SessionTimer::default();
        timer.agree_by_response(at(0), &message("Session-Expires: 1800;refresher=uac\r\n"));
        assert_eq!((timer.refresh_at, timer.end_at), (Some(at(900)), Some(at(1768))));
        timer.agree_by_response(at(100), &message("Session-Expires: 90;refresher=uas\r\n"));
        assert_eq!((timer.refresh_at, timer.end_at), (None, Some(at(160))));
        assert_eq!(timer.headers()[0].1, "90;refresher=uas");
        timer.agree_by_response(at(100), &message("Session-Expires: 1;refresher=uac\r\n"));
        assert_eq!(timer.refresh_at, Some(at(145)), "no storm of refreshes");
        timer.agree_by_response(at(100), &message(""));
        assert_eq!(timer.poll_timeout(), None);
        assert!(timer.headers().is_empty());
        assert!(timer.raise(&message("Min-SE: 300\r\n")) && !timer.raise(&message("Min-SE: 300\r\n")));
        assert!(!timer.raise(&message("")) && !timer.raise(&message("Min-SE: 999999999\r\n")));
    }
}
