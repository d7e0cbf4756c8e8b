//! One line that we keep registered somewhere (RFC 3261 §10.2, RFC 3608 Service-Route, RFC 3581 addresses). Purpose: when to
//! say REGISTER with which Contact, and what the answer means, for months. Sans-IO; owned by the agent, which sends.
//! Invariants: one request at a time; the refresh comes at 75–90 % of what was granted; after a failure we wait 1 s to 60 s,
//! longer where the answer was no, and never give up. Deliberately absent: credentials (the agent answers challenges
//! before we see them), names (the owner resolves them), RFC 5626 outbound flows.

use std::net::SocketAddr;
use std::time::Duration;

use super::message::{Address, Message, Name, Uri, Via, to_text};
use crate::time::Tick;

/// Longest wait after failures that may pass by themselves.
const BACK_OFF_MAX: Duration = Duration::from_secs(60);
/// Wait where the registrar has said no, and after many failures: asking oftener gets accounts locked.
const REFUSED_WAIT: Duration = Duration::from_secs(300);
/// Failures in a row after which the wait is the longer one.
const PATIENCE: u32 = 10;
/// A registrar may ask us to wait so long, and not longer.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);
/// Longest interval that a registrar may insist on.
const EXPIRES_MAX: Duration = Duration::from_secs(24 * 3600);
/// Changes of our address that are followed at once; then with the next refresh only.
const CHANGES_AT_ONCE: u8 = 3;
/// Routes taken from one answer.
const SERVICE_ROUTES_MAX: usize = 8;

/// What is said in one REGISTER.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wish {
    /// Contact values with their `expires`, the current one first.
    pub contacts: Vec<Vec<u8>>,
    /// Expires, seconds; 0 = unregister.
    pub expires_s: u64,
}

/// How a line stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LineState {
    /// Not asked for yet, or its host has no address.
    Waiting,
    /// The first REGISTER is on its way.
    Registering,
    /// Calls reach us.
    Registered,
    /// The last REGISTER failed and nothing is registered; it is tried again.
    Failed,
    /// Unregistered on purpose.
    Unregistered,
}

impl LineState {
    /// In a word, for people and programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Registering => "registering",
            Self::Registered => "registered",
            Self::Failed => "failed",
            Self::Unregistered => "unregistered",
        }
    }
}

/// The machine of one line.
#[derive(Debug)]
pub struct Registration {
    state: LineState,
    /// Interval that we ask for.
    wanted: Duration,
    /// A REGISTER is under way, with this Contact URI.
    asking: Option<Asked>,
    /// Contact URI that is registered, and until when.
    bound: Option<(Vec<u8>, Tick)>,
    due: Option<Tick>,
    failures: u32,
    changes: u8,
    leaving: bool,
    service_route: Vec<Vec<u8>>,
    last_answer: Option<(u16, String)>,
}

#[derive(Debug)]
struct Asked {
    contact: Vec<u8>,
    expires: Duration,
}

impl Registration {
    /// A line that registers as soon as it is asked for its wish. `wanted` is the interval to ask for.
    #[must_use]
    pub const fn new(now: Tick, wanted: Duration) -> Self {
        Self {
            state: LineState::Waiting,
            wanted,
            asking: None,
            bound: None,
            due: Some(now),
            failures: 0,
            changes: 0,
            leaving: false,
            service_route: Vec::new(),
            last_answer: None,
        }
    }

    /// State.
    #[must_use]
    pub const fn state(&self) -> LineState {
        self.state
    }

    /// When the registration ends unless it is refreshed.
    #[must_use]
    pub fn bound_until(&self) -> Option<Tick> {
        self.bound.as_ref().map(|(_, until)| *until)
    }

    /// Contact URI that is registered.
    #[must_use]
    pub fn contact(&self) -> Option<&[u8]> {
        self.bound.as_ref().map(|(contact, _)| contact.as_slice())
    }

    /// Routes that requests of this line take first (RFC 3608).
    #[must_use]
    pub fn service_route(&self) -> &[Vec<u8>] {
        &self.service_route
    }

    /// Code and reason of the last final answer; 408 and 503 may be our own.
    #[must_use]
    pub fn last_answer(&self) -> Option<(u16, &str)> {
        self.last_answer.as_ref().map(|(code, reason)| (*code, reason.as_str()))
    }

    /// When [`Registration::wish`] has something to say.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Tick> {
        if self.asking.is_some() { None } else { self.due }
    }

    /// Time has come to say REGISTER, as reachable at `contact` (a URI): say this, then give the answer.
    pub fn wish(&mut self, now: Tick, contact: &[u8]) -> Option<Wish> {
        if self.asking.is_some() || self.due.is_none_or(|due| due > now) {
            return None;
        }
        self.due = None;
        let expires = if self.leaving { Duration::ZERO } else { self.wanted };
        let value = |uri: &[u8], seconds: u64| [b"<", uri, format!(">;expires={seconds}").as_bytes()].concat();
        let mut contacts = Vec::new();
        match &self.bound {
            Some((bound, _)) if self.leaving => contacts.push(value(bound, 0)),
            Some((bound, _)) if bound != contact => {
                // The new one and the end of the old one in one request: callers never find both.
                contacts.extend([value(contact, expires.as_secs()), value(bound, 0)]);
            }
            _ => contacts.push(value(contact, expires.as_secs())),
        }
        // A line that has failed stays so until it is registered: what comes and goes with every attempt is no news.
        if self.state == LineState::Waiting {
            self.state = LineState::Registering;
        }
        self.asking = Some(Asked { contact: contact.to_vec(), expires });
        Some(Wish { contacts, expires_s: expires.as_secs() })
    }

    /// The registrar could not be asked at all (no address); the answer to the wish that was not sent.
    pub fn handle_unsent(&mut self, now: Tick, random: u8) {
        self.asking = None;
        self.fail(now, random, Duration::ZERO, false);
    }

    /// The final answer has come, or `None` = none did. `random` spreads refreshes and retries.
    pub fn handle_answer(&mut self, now: Tick, answer: Option<(u16, &Message)>, random: u8) {
        let Some(asked) = self.asking.take() else { return };
        let Some((code, message)) = answer else {
            self.last_answer = Some((408, "no answer".to_owned()));
            return self.fail(now, random, Duration::ZERO, false);
        };
        let phrase = match &message.start {
            super::message::StartLine::Status { reason, .. } => to_text(reason),
            super::message::StartLine::Request { .. } => String::new(),
        };
        self.last_answer = Some((code, phrase));
        match code {
            200..300 if asked.expires.is_zero() => self.left(now),
            200..300 => self.granted(now, message, asked, random),
            423 => {
                let least = seconds_of(message, b"Min-Expires").unwrap_or_default().min(EXPIRES_MAX);
                if least > self.wanted {
                    self.wanted = least;
                    self.due = Some(now);
                } else {
                    self.fail(now, random, Duration::ZERO, true);
                }
            }
            _ => {
                let wait = seconds_of(message, b"Retry-After").unwrap_or_default().min(RETRY_AFTER_MAX);
                // What will not change by itself: wrong password, unknown number, forbidden.
                let refused = matches!(code, 400..=407 | 410 | 416 | 420 | 484 | 600..);
                self.fail(now, random, wait, refused);
            }
        }
    }

    /// Our address towards the registrar is not the registered one any more: say so, a few times at once, then with the
    /// next refresh.
    pub fn handle_address_changed(&mut self, now: Tick) {
        if self.asking.is_none() && self.state == LineState::Registered && self.changes < CHANGES_AT_ONCE {
            self.changes += 1;
            self.due = Some(now);
        }
    }

    /// What we register by was lost (its connection, its route) or has new addresses: try at once.
    pub fn handle_path_changed(&mut self, now: Tick) {
        if self.asking.is_none() && !self.leaving {
            self.due = Some(now);
        }
    }

    /// Unregisters; `true`: there is something to say.
    pub fn leave(&mut self, now: Tick) -> bool {
        self.leaving = true;
        // A REGISTER that is under way may still succeed after this; its answer brings us back here.
        if self.bound.is_none() && self.asking.is_none() {
            self.left(now);
            return false;
        }
        self.due = Some(now);
        true
    }

    fn left(&mut self, _now: Tick) {
        self.state = LineState::Unregistered;
        (self.bound, self.due) = (None, None);
        self.service_route.clear();
    }

    fn granted(&mut self, now: Tick, message: &Message, asked: Asked, random: u8) {
        let listed = message.list(&Name::Contact).into_iter().filter_map(|c| Address::parse(c).ok());
        let ours = listed.into_iter().find(|c| is_same_contact(&c.uri, &asked.contact));
        let said = ours.and_then(|c| std::str::from_utf8(c.param("expires")?).ok()?.parse::<u64>().ok());
        let granted = said.map(Duration::from_secs).or_else(|| seconds_of(message, b"Expires"));
        let granted = granted.unwrap_or(asked.expires).min(EXPIRES_MAX);
        if granted.is_zero() {
            return self.fail(now, random, Duration::ZERO, true);
        }
        let moved = self.bound.as_ref().is_none_or(|(bound, _)| *bound != asked.contact);
        if !moved {
            self.changes = 0;
        }
        self.service_route = message
            .headers
            .iter()
            .filter(|h| h.name.as_bytes().eq_ignore_ascii_case(b"Service-Route"))
            .flat_map(|h| super::message::split_list(&h.value))
            .take(SERVICE_ROUTES_MAX)
            .map(<[u8]>::to_vec)
            .collect();
        self.bound = Some((asked.contact, now + granted));
        self.state = LineState::Registered;
        self.failures = 0;
        // 75–90 %: late enough to be cheap, early enough for a retry or two.
        let part = 0.75 + 0.15 * f64::from(random) / 255.0;
        self.due = Some(if self.leaving { now } else { now + granted.mul_f64(part) });
    }

    fn fail(&mut self, now: Tick, random: u8, at_least: Duration, refused: bool) {
        if self.leaving {
            return self.left(now);
        }
        self.failures = self.failures.saturating_add(1);
        if self.bound.as_ref().is_none_or(|(_, until)| *until <= now) || refused {
            self.bound = None;
            self.state = LineState::Failed;
        }
        let wait = if refused || self.failures > PATIENCE {
            REFUSED_WAIT
        } else {
            (Duration::from_secs(1) * (1 << (self.failures - 1).min(6))).min(BACK_OFF_MAX)
        };
        // Lines that failed together do not come back together.
        let spread = 0.75 + 0.25 * f64::from(random) / 255.0;
        self.due = Some(now + wait.mul_f64(spread).max(at_least));
    }
}

/// Our address as the registrar saw it: `received` and `rport` of our own Via (RFC 3581 §4). `None`: it says nothing.
#[must_use]
pub fn seen_as(response: &Message) -> Option<SocketAddr> {
    let vias = response.list(&Name::Via);
    let via = Via::parse(vias.first()?).ok()?;
    let value = |name: &str| {
        let found = via.params.iter().find(|p| p.name == name)?.value.as_deref()?;
        std::str::from_utf8(found).ok()
    };
    let port = value("rport")?.parse().ok().filter(|p| *p != 0)?;
    let host = value("received").unwrap_or(&via.host).trim_start_matches('[').trim_end_matches(']');
    Some(SocketAddr::new(host.parse().ok()?, port))
}

/// Whether a registrar's Contact is ours: user, host and port; it may have added or dropped parameters.
fn is_same_contact(listed: &[u8], ours: &[u8]) -> bool {
    if listed == ours {
        return true;
    }
    match (Uri::parse(listed), Uri::parse(ours)) {
        (Ok(a), Ok(b)) => {
            let same_line = a.param("line") == b.param("line");
            a.user == b.user && a.host.eq_ignore_ascii_case(&b.host) && a.port == b.port && same_line
        }
        _ => false,
    }
}

/// Seconds of a header field such as `Expires: 3600` or `Retry-After: 18 (comment);duration=3600`.
fn seconds_of(message: &Message, name: &[u8]) -> Option<Duration> {
    let value = &message.headers.iter().find(|h| h.name.as_bytes().eq_ignore_ascii_case(name))?.value;
    let digits: Vec<u8> = value.iter().copied().take_while(u8::is_ascii_digit).take(10).collect();
    std::str::from_utf8(&digits).ok()?.parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::message::parse_datagram;

    const CONTACT: &[u8] = b"sip:100@192.0.2.1:5060;line=ab";
    const MOVED: &[u8] = b"sip:100@203.0.113.7:41000;line=ab";

    fn answer(code: u16, headers: &str) -> Message {
        let via = "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;received=203.0.113.7;rport=41000\r\n";
        parse_datagram(format!("SIP/2.0 {code} Text\r\n{via}{headers}\r\n").as_bytes()).unwrap()
    }

    const fn at(s: u64) -> Tick {
        Tick(s * 1_000_000_000)
    }

    fn registered(grant: u64) -> Registration {
        let mut line = Registration::new(at(0), Duration::from_secs(600));
        let wish = line.wish(at(0), CONTACT).unwrap();
        assert_eq!(wish.contacts, [[b"<", CONTACT, b">;expires=600"].concat()]);
        assert_eq!(line.state(), LineState::Registering);
        let ok = answer(
            200,
            &format!("Contact: <sip:other@h>;expires=5, <sip:100@192.0.2.1:5060;line=ab>;expires={grant}\r\n"),
        );
        line.handle_answer(at(0), Some((200, &ok)), 0);
        assert_eq!(line.state(), LineState::Registered);
        line
    }

    #[test]
    fn refreshed_at_75_to_90_percent_of_what_was_granted() {
        for (random, due) in [(0, 75), (255, 90)] {
            let mut line = Registration::new(at(0), Duration::from_secs(600));
            line.wish(at(0), CONTACT).unwrap();
            let ok = answer(200, "Contact: <sip:100@192.0.2.1:5060;line=ab>;expires=100\r\n");
            line.handle_answer(at(0), Some((200, &ok)), random);
            assert_eq!(line.poll_timeout(), Some(at(due)));
            assert_eq!(line.wish(at(due - 1), CONTACT), None);
            assert_eq!(line.wish(at(due), CONTACT).unwrap().expires_s, 600);
            assert_eq!(line.state(), LineState::Registered, "a refresh is no outage");
        }
    }

    #[test]
    fn the_header_counts_where_the_contact_says_nothing() {
        let mut line = Registration::new(at(0), Duration::from_secs(600));
        line.wish(at(0), CONTACT).unwrap();
        line.handle_answer(at(0), Some((200, &answer(200, "Expires: 120\r\n"))), 0);
        assert_eq!(line.bound_until(), Some(at(120)));
    }

    #[test]
    fn an_interval_too_brief_is_asked_again_at_once_with_the_longer_one() {
        let mut line = Registration::new(at(0), Duration::from_secs(60));
        line.wish(at(0), CONTACT).unwrap();
        line.handle_answer(at(0), Some((423, &answer(423, "Min-Expires: 1800\r\n"))), 0);
        assert_eq!(line.wish(at(0), CONTACT).unwrap().expires_s, 1800);
        line.handle_answer(at(0), Some((423, &answer(423, "Min-Expires: 1800\r\n"))), 0);
        assert_eq!(line.state(), LineState::Failed, "it contradicts itself");
        assert!(line.poll_timeout() > Some(at(60)));
    }

    #[test]
    fn failures_are_backed_off_from_a_second_to_a_minute_then_five() {
        let mut line = Registration::new(at(0), Duration::from_secs(600));
        let (mut now, mut waits) = (at(0), Vec::new());
        for _ in 0..13 {
            line.wish(now, CONTACT).unwrap();
            line.handle_answer(now, None, 255);
            assert_eq!(line.state(), LineState::Failed);
            let due = line.poll_timeout().unwrap();
            waits.push(due.since(now).as_secs());
            now = due;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 300, 300, 300]);
        line.wish(now, CONTACT).unwrap();
        line.handle_answer(now, Some((200, &answer(200, "Expires: 600\r\n"))), 255);
        assert_eq!(line.state(), LineState::Registered);
    }

    #[test]
    fn a_no_is_not_asked_again_soon_and_a_503_says_when() {
        for (code, headers, least) in [(403, "", 225), (503, "Retry-After: 90 (soon);duration=5\r\n", 90), (500, "", 0)]
        {
            let mut line = Registration::new(at(0), Duration::from_secs(600));
            line.wish(at(0), CONTACT).unwrap();
            line.handle_answer(at(0), Some((code, &answer(code, headers))), 0);
            let wait = line.poll_timeout().unwrap().since(at(0));
            assert!(wait >= Duration::from_secs(least) && wait <= Duration::from_secs(300), "{code}: {wait:?}");
            assert_eq!(line.last_answer(), Some((code, "Text")));
        }
    }

    #[test]
    fn a_failed_refresh_is_an_outage_only_once_the_registration_has_run_out() {
        let mut line = registered(100);
        line.wish(at(75), CONTACT).unwrap();
        line.handle_answer(at(90), None, 255);
        assert_eq!(line.state(), LineState::Registered);
        let due = line.poll_timeout().unwrap();
        assert_eq!(due, at(91));
        line.wish(due, CONTACT).unwrap();
        line.handle_answer(at(123), None, 255);
        assert_eq!(line.state(), LineState::Failed);
    }

    #[test]
    fn a_changed_address_replaces_the_old_contact_in_one_request() {
        let mut line = registered(600);
        assert_eq!(seen_as(&answer(200, "")).unwrap().to_string(), "203.0.113.7:41000");
        line.handle_address_changed(at(1));
        let wish = line.wish(at(1), MOVED).unwrap();
        let value = |uri: &[u8], s: &str| [b"<", uri, b">;expires=", s.as_bytes()].concat();
        assert_eq!(wish.contacts, [value(MOVED, "600"), value(CONTACT, "0")]);
        let ok = answer(200, "Contact: <sip:100@203.0.113.7:41000;line=ab>;expires=600\r\n");
        line.handle_answer(at(1), Some((200, &ok)), 0);
        assert_eq!(line.contact(), Some(MOVED));
    }

    #[test]
    fn a_network_that_changes_our_address_all_the_time_is_not_followed_for_ever() {
        let mut line = registered(600);
        let mut asked = 0;
        for n in 0..10 {
            line.handle_address_changed(at(n));
            let contact = format!("sip:100@203.0.113.7:{n}");
            if line.wish(at(n), contact.as_bytes()).is_some() {
                asked += 1;
                line.handle_answer(at(n), Some((200, &answer(200, "Expires: 600\r\n"))), 0);
            }
        }
        assert_eq!(asked, 3);
        assert!(line.poll_timeout() > Some(at(400)));
    }

    #[test]
    fn the_service_route_is_kept_until_the_next_answer() {
        let mut line = registered(600);
        line.wish(at(450), CONTACT).unwrap();
        let ok = answer(
            200,
            "Expires: 600\r\nService-Route: <sip:p1.example;lr>, <sip:p2.example;lr>\r\nservice-route: <sip:p3;lr>\r\n",
        );
        line.handle_answer(at(450), Some((200, &ok)), 0);
        assert_eq!(line.service_route(), [&b"<sip:p1.example;lr>"[..], b"<sip:p2.example;lr>", b"<sip:p3;lr>"]);
    }

    #[test]
    fn it_unregisters_even_while_a_register_is_under_way() {
        let mut line = registered(600);
        assert!(line.leave(at(1)));
        let wish = line.wish(at(1), MOVED).unwrap();
        assert_eq!((wish.expires_s, wish.contacts), (0, vec![[b"<", CONTACT, b">;expires=0"].concat()]));
        line.handle_answer(at(1), Some((200, &answer(200, ""))), 0);
        assert_eq!((line.state(), line.poll_timeout()), (LineState::Unregistered, None));

        let mut line = Registration::new(at(0), Duration::from_secs(600));
        line.wish(at(0), CONTACT).unwrap();
        assert!(line.leave(at(0)));
        assert_eq!(line.poll_timeout(), None, "one request at a time");
        line.handle_answer(at(1), Some((200, &answer(200, "Expires: 600\r\n"))), 0);
        assert_eq!(line.wish(at(1), CONTACT).unwrap().expires_s, 0);
        line.handle_answer(at(2), None, 0);
        assert_eq!(line.state(), LineState::Unregistered, "it has been said; we go");
        assert!(!Registration::new(at(0), Duration::from_secs(1)).leave(at(0)), "nothing to take back");
    }
}
