//! Where telephones and extensions are reached: a small registrar and location table (RFC 3261 §10.3, RFC 3327 Path).
//! Purpose: desk phones register here and are called where they registered from, which works through NAT. Sans-IO; owned by
//! the agent, which has checked who speaks. Invariants: bindings are bounded per extension and in total; a request changes
//! everything that it asks for or nothing; what has expired is never given out. Deliberately absent: digest (`auth`), GRUU,
//! third-party registration, event packages.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::hop::Hop;
use super::message::{Address, CoreFields, Message, Name, Uri, to_text};
use crate::limits;
use crate::time::Tick;

/// One place where an extension is reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Binding {
    /// Contact URI: what a request to it has as Request-URI.
    pub contact: String,
    /// Where it registered from, and so where requests go.
    pub hop: Hop,
    /// Routes towards it, first hop first.
    pub path: Vec<String>,
    /// `+sip.instance`: the same telephone after a restart, wherever it is then.
    pub instance: Option<String>,
    /// Call-ID of its registrations.
    pub call_id: String,
    /// CSeq number of the last one.
    pub sequence: u32,
    /// Preference, thousandths.
    pub q: u16,
    /// Product that registered.
    pub user_agent: String,
    /// End.
    pub until: Tick,
}

type Headers = Vec<(&'static str, String)>;

/// What is answered to a REGISTER.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// 200, 400, 423, 500 or 503.
    pub code: u16,
    /// Header fields beside the usual ones.
    pub headers: Vec<(&'static str, String)>,
    /// Whether the bindings are other ones than before (a refresh counts).
    pub changed: bool,
}

/// Intervals that are granted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Intervals {
    /// Shorter wishes get 423.
    pub least: Duration,
    /// Longer wishes get this.
    pub most: Duration,
}

impl Default for Intervals {
    /// A minute to ten: a telephone that loses its power is not called for long.
    fn default() -> Self {
        Self { least: Duration::from_secs(60), most: Duration::from_secs(600) }
    }
}

/// The location table.
#[derive(Debug)]
pub struct Registrar {
    intervals: Intervals,
    bindings: HashMap<Arc<str>, Vec<Binding>>,
}

/// One wish of a REGISTER.
struct Change {
    contact: String,
    instance: Option<String>,
    q: u16,
    expires: Duration,
}

impl Registrar {
    /// An empty table.
    #[must_use]
    pub fn new(intervals: Intervals) -> Self {
        Self { intervals, bindings: HashMap::new() }
    }

    /// Grants other intervals from now on.
    pub const fn set_intervals(&mut self, intervals: Intervals) {
        self.intervals = intervals;
    }

    /// Where an extension is reached now, the preferred place first, of equal ones the latest.
    #[must_use]
    pub fn lookup(&self, now: Tick, extension: &str) -> Vec<Binding> {
        let mut found: Vec<_> = self.live(now, extension).cloned().collect();
        found.sort_by_key(|b| std::cmp::Reverse((b.q, b.until)));
        found
    }

    /// How many places each extension is reached at.
    #[must_use]
    pub fn count(&self, now: Tick, extension: &str) -> usize {
        self.live(now, extension).count()
    }

    /// Takes bindings of an earlier run up; connections are gone, so that only the addresses are left of their hops.
    pub fn restore(&mut self, now: Tick, extension: &str, bindings: Vec<Binding>) {
        for mut binding in bindings {
            binding.hop.flow = None;
            if binding.until > now && self.total() < limits::SIP_BINDINGS_MAX {
                let kept = self.bindings.entry(extension.into()).or_default();
                if kept.len() < limits::SIP_BINDINGS_PER_EXTENSION {
                    kept.push(binding);
                }
            }
        }
    }

    /// Extensions that are no more lose their bindings.
    pub fn retain(&mut self, is_one: impl Fn(&str) -> bool) {
        self.bindings.retain(|extension, _| is_one(extension));
    }

    /// A REGISTER of `extension`, whose sender has proved to be it, came by `hop` (§10.3).
    pub fn register(&mut self, now: Tick, extension: &str, request: &Message, core: &CoreFields, hop: &Hop) -> Reply {
        let refuse = |code, headers| Reply { code, headers, changed: false };
        let call_id = to_text(&core.call_id);
        self.purge(now);
        let changes = match self.read(request) {
            Ok(changes) => changes,
            Err((code, headers)) => return refuse(code, headers),
        };
        let held = self.bindings.get(extension).map_or(&[][..], Vec::as_slice);
        let changes = match changes {
            Wishes::Query => return self.granted(now, extension, request, false),
            Wishes::ForgetAll => held
                .iter()
                .map(|b| Change { contact: b.contact.clone(), instance: None, q: 0, expires: Duration::ZERO })
                .collect(),
            Wishes::These(changes) => changes,
        };
        // An older request that arrives late must not undo a newer one; all or nothing (§10.3 step 7).
        let is_late =
            |c: &Change| held.iter().any(|b| is_same(b, c) && b.call_id == call_id && b.sequence >= core.cseq.number);
        if changes.iter().any(is_late) {
            return refuse(500, vec![("Retry-After", "1".to_owned())]);
        }
        let new = changes.iter().filter(|c| !c.expires.is_zero() && !held.iter().any(|b| is_same(b, c))).count();
        if self.total() + new > limits::SIP_BINDINGS_MAX {
            return refuse(503, vec![("Retry-After", "60".to_owned())]);
        }
        let path = listed(request, b"Path");
        let user_agent: String = request.header(&Name::UserAgent).map(to_text).unwrap_or_default();
        let kept = self.bindings.entry(extension.into()).or_default();
        for change in changes {
            kept.retain(|b| !is_same(b, &change));
            if change.expires.is_zero() {
                continue;
            }
            if kept.len() >= limits::SIP_BINDINGS_PER_EXTENSION {
                // A telephone that comes from another port each time: its oldest trace goes.
                kept.remove(0);
            }
            kept.push(Binding {
                contact: change.contact,
                hop: hop.clone(),
                path: path.clone(),
                instance: change.instance,
                call_id: call_id.clone(),
                sequence: core.cseq.number,
                q: change.q,
                user_agent: user_agent.chars().take(NAME_MAX).collect(),
                until: now + change.expires,
            });
        }
        self.bindings.retain(|_, kept| !kept.is_empty());
        self.granted(now, extension, request, true)
    }

    fn granted(&self, now: Tick, extension: &str, request: &Message, changed: bool) -> Reply {
        let mut headers: Vec<_> = self
            .live(now, extension)
            .map(|b| {
                let seconds = b.until.since(now).as_secs();
                let q = if b.q == 1000 { String::new() } else { format!(";q=0.{:03}", b.q) };
                ("Contact", format!("<{}>{q};expires={seconds}", b.contact))
            })
            .collect();
        headers.extend(listed(request, b"Path").into_iter().map(|path| ("Path", path)));
        Reply { code: 200, headers, changed }
    }

    /// What a request wants, or the refusal.
    fn read(&self, request: &Message) -> Result<Wishes, (u16, Headers)> {
        let bad = || (400, Vec::new());
        let contacts = request.list(&Name::Contact);
        let header = request.headers.iter().find(|h| h.name.as_bytes().eq_ignore_ascii_case(b"Expires"));
        let default = header.and_then(|h| seconds(&h.value)).unwrap_or(self.intervals.most);
        if contacts.is_empty() {
            return Ok(Wishes::Query);
        }
        if contacts.contains(&&b"*"[..]) {
            return if contacts.len() == 1 && default.is_zero() { Ok(Wishes::ForgetAll) } else { Err(bad()) };
        }
        let mut changes: Vec<Change> = Vec::new();
        for contact in contacts {
            let address = Address::parse(contact).map_err(|_| bad())?;
            let is_usable = Uri::parse(&address.uri).is_ok_and(|u| !u.host.is_empty());
            let uri = String::from_utf8(address.uri.clone()).ok().filter(|u| u.is_ascii() && is_usable);
            let contact = uri.ok_or_else(bad)?;
            let expires = address.param("expires").and_then(seconds).unwrap_or(default).min(self.intervals.most);
            if !expires.is_zero() && expires < self.intervals.least {
                return Err((423, vec![("Min-Expires", self.intervals.least.as_secs().to_string())]));
            }
            let instance = address.param("+sip.instance").map(to_text).filter(|i| i.len() <= NAME_MAX);
            let q = address.param("q").map_or(1000, preference);
            changes.retain(|c| c.contact != contact);
            changes.push(Change { contact, instance, q, expires });
        }
        if changes.len() > limits::SIP_BINDINGS_PER_EXTENSION {
            return Err(bad());
        }
        Ok(Wishes::These(changes))
    }

    fn live<'a>(&'a self, now: Tick, extension: &str) -> impl Iterator<Item = &'a Binding> {
        self.bindings.get(extension).into_iter().flatten().filter(move |b| b.until > now)
    }

    fn total(&self) -> usize {
        self.bindings.values().map(Vec::len).sum()
    }

    fn purge(&mut self, now: Tick) {
        self.bindings.retain(|_, kept| {
            kept.retain(|b| b.until > now);
            !kept.is_empty()
        });
    }
}

enum Wishes {
    Query,
    ForgetAll,
    These(Vec<Change>),
}

/// Characters of a product or instance name.
const NAME_MAX: usize = 120;
/// Routes towards one binding.
const PATHS_MAX: usize = 8;

/// Whether a wish is about this binding: the same URI, or the same telephone at another address.
fn is_same(binding: &Binding, change: &Change) -> bool {
    let instance = change.instance.is_some() && binding.instance == change.instance;
    instance || binding.contact == change.contact || is_equivalent(&binding.contact, &change.contact)
}

/// §19.1.4 as far as telephones differ from themselves: host in another case, a default port.
fn is_equivalent(a: &str, b: &str) -> bool {
    match (Uri::parse(a.as_bytes()), Uri::parse(b.as_bytes())) {
        (Ok(a), Ok(b)) => {
            a.scheme == b.scheme
                && a.user == b.user
                && a.host.eq_ignore_ascii_case(&b.host)
                && a.port == b.port
                && a.tail.eq_ignore_ascii_case(&b.tail)
        }
        _ => false,
    }
}

fn listed(request: &Message, name: &[u8]) -> Vec<String> {
    let values = request.headers.iter().filter(|h| h.name.as_bytes().eq_ignore_ascii_case(name));
    values.flat_map(|h| super::message::split_list(&h.value)).take(PATHS_MAX).map(to_text).collect()
}

fn seconds(value: &[u8]) -> Option<Duration> {
    let text = std::str::from_utf8(value.trim_ascii()).ok().filter(|t| t.bytes().all(|b| b.is_ascii_digit()))?;
    // Up to 2³²−1 by the grammar; a longer number is a long time all the same.
    (!text.is_empty()).then(|| Duration::from_secs(text.parse::<u32>().unwrap_or(u32::MAX).into()))
}

/// `0.7` in thousandths.
fn preference(value: &[u8]) -> u16 {
    let text = std::str::from_utf8(value).unwrap_or_default();
    let q = text.parse::<f32>().ok().filter(|q| (0.0..=1.0).contains(q)).unwrap_or(1.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000, as filtered")]
    let thousandths = (q * 1000.0).round() as u16;
    thousandths
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::message::parse_datagram;
    use proptest::prelude::*;

    const fn at(s: u64) -> Tick {
        Tick(s * 1_000_000_000)
    }

    fn phone() -> Hop {
        Hop::udp("192.0.2.9:40000".parse().unwrap())
    }

    fn say(registrar: &mut Registrar, now: Tick, call_id: &str, sequence: u32, headers: &str) -> Reply {
        let text = format!(
            "REGISTER sip:pbx SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK1\r\nFrom: <sip:200@pbx>;tag=1\r\nTo: <sip:200@pbx>\r\n\
             Call-ID: {call_id}\r\nCSeq: {sequence} REGISTER\r\nUser-Agent: Desk 1\r\n{headers}\r\n"
        );
        let request = parse_datagram(text.as_bytes()).unwrap();
        let core = CoreFields::of(&request).unwrap();
        registrar.register(now, "200", &request, &core, &phone())
    }

    fn table() -> Registrar {
        Registrar::new(Intervals { least: Duration::from_secs(60), most: Duration::from_secs(3600) })
    }

    fn contacts(reply: &Reply) -> Vec<&str> {
        assert_eq!(reply.code, 200, "{reply:?}");
        reply.headers.iter().filter(|(n, _)| *n == "Contact").map(|(_, v)| v.as_str()).collect()
    }

    #[test]
    fn registers_refreshes_queries_and_expires() {
        let mut r = table();
        let reply = say(&mut r, at(0), "c", 1, "Contact: \"Ann\" <sip:200@10.0.0.9:5070;ob>;q=0.5\r\nExpires: 120\r\n");
        assert_eq!(contacts(&reply), ["<sip:200@10.0.0.9:5070;ob>;q=0.500;expires=120"]);
        assert!(reply.changed);
        let reply = say(&mut r, at(20), "c", 2, "");
        assert_eq!(contacts(&reply), ["<sip:200@10.0.0.9:5070;ob>;q=0.500;expires=100"]);
        assert!(!reply.changed, "it has only asked");
        say(&mut r, at(100), "c", 3, "Contact: <sip:200@10.0.0.9:5070;ob>;expires=60\r\nExpires: 3600\r\n");
        assert_eq!(r.lookup(at(159), "200").len(), 1, "the parameter counts before the header");
        let found = &r.lookup(at(159), "200")[0];
        assert_eq!(
            (found.contact.as_str(), found.hop.clone()),
            ("sip:200@10.0.0.9:5070;ob", phone()),
            "NAT: where it came from"
        );
        assert_eq!(found.user_agent, "Desk 1");
        assert!(r.lookup(at(160), "200").is_empty());
        assert_eq!(say(&mut r, at(160), "c", 4, "").headers, []);
    }

    #[test]
    fn intervals_have_bounds() {
        let mut r = table();
        let reply = say(&mut r, at(0), "c", 1, "Contact: <sip:200@h>;expires=59\r\n");
        assert_eq!((reply.code, reply.headers), (423, vec![("Min-Expires", "60".to_owned())]));
        for (headers, granted) in
            [("", 3600), ("Expires: 99999999999999\r\n", 3600), ("Expires: x\r\n", 3600), ("Expires: 90\r\n", 90)]
        {
            let reply = say(
                &mut r,
                at(0),
                &format!("c{granted}{}", headers.len()),
                1,
                &format!("Contact: <sip:200@h>\r\n{headers}"),
            );
            assert_eq!(contacts(&reply), [format!("<sip:200@h>;expires={granted}")]);
        }
    }

    #[test]
    fn a_star_forgets_all_and_only_with_zero() {
        let mut r = table();
        say(&mut r, at(0), "c", 1, "Contact: <sip:200@a>, <sip:200@b>\r\n");
        assert_eq!(say(&mut r, at(0), "c", 2, "Contact: *\r\n").code, 400);
        assert_eq!(say(&mut r, at(0), "c", 2, "Contact: *\r\nExpires: 60\r\n").code, 400);
        assert_eq!(say(&mut r, at(0), "c", 2, "Contact: *, <sip:200@a>\r\nExpires: 0\r\n").code, 400);
        assert_eq!(r.count(at(0), "200"), 2, "nothing or all");
        assert_eq!(
            say(&mut r, at(0), "c", 1, "Contact: *\r\nExpires: 0\r\n").code,
            500,
            "older than what it would undo"
        );
        let reply = say(&mut r, at(0), "c", 2, "Contact: *\r\nExpires: 0\r\n");
        assert!(contacts(&reply).is_empty() && reply.changed);
    }

    #[test]
    fn one_contact_goes_and_the_other_stays() {
        let mut r = table();
        say(&mut r, at(0), "c", 1, "Contact: <sip:200@a:5060>;q=0.1, <sip:200@b>;q=0.9\r\n");
        assert_eq!(r.lookup(at(0), "200")[0].contact, "sip:200@b", "the preferred one first");
        let reply = say(&mut r, at(0), "c", 2, "Contact: <sip:200@A:5060>;expires=0\r\n");
        assert_eq!(contacts(&reply), ["<sip:200@b>;q=0.900;expires=3600"]);
    }

    #[test]
    fn the_same_telephone_elsewhere_replaces_itself() {
        let mut r = table();
        let instance = ";+sip.instance=\"<urn:uuid:1>\"";
        say(&mut r, at(0), "c", 1, &format!("Contact: <sip:200@10.0.0.9:5070>{instance}\r\n"));
        let reply = say(&mut r, at(1), "d", 1, &format!("Contact: <sip:200@10.0.0.9:40001>{instance}\r\n"));
        assert_eq!(contacts(&reply), ["<sip:200@10.0.0.9:40001>;expires=3600"]);
    }

    #[test]
    fn a_late_repeat_changes_nothing() {
        let mut r = table();
        say(&mut r, at(0), "c", 5, "Contact: <sip:200@a>\r\n");
        let reply = say(&mut r, at(1), "c", 4, "Contact: <sip:200@a>;expires=0, <sip:200@b>\r\n");
        assert_eq!((reply.code, r.count(at(1), "200")), (500, 1));
        assert_eq!(say(&mut r, at(1), "another", 1, "Contact: <sip:200@a>;expires=0\r\n").code, 200);
    }

    #[test]
    fn bindings_are_bounded_per_extension_and_in_total() {
        let mut r = table();
        for n in 0..limits::SIP_BINDINGS_PER_EXTENSION + 3 {
            say(&mut r, at(n as u64), "c", n as u32 + 1, &format!("Contact: <sip:200@h:{}>\r\n", 1000 + n));
        }
        assert_eq!(r.count(at(20), "200"), limits::SIP_BINDINGS_PER_EXTENSION);
        assert!(!r.lookup(at(20), "200").iter().any(|b| b.contact.ends_with(":1000")), "the oldest has gone");
        let many = vec![r.lookup(at(20), "200").remove(0)];
        for n in 0..limits::SIP_BINDINGS_MAX {
            r.restore(at(20), &n.to_string(), many.clone());
        }
        assert_eq!(r.total(), limits::SIP_BINDINGS_MAX);
        r.retain(|e| e != "200");
        assert_eq!(say(&mut r, at(21), "x", 1, "Contact: <sip:200@new>\r\n").code, 200);
    }

    #[test]
    fn a_path_is_given_back_and_kept() {
        let mut r = table();
        let reply = say(&mut r, at(0), "c", 1, "Contact: <sip:200@a>\r\nPath: <sip:edge1;lr>, <sip:edge2;lr>\r\n");
        let path: Vec<_> = reply.headers.iter().filter(|(n, _)| *n == "Path").map(|(_, v)| v.as_str()).collect();
        assert_eq!(path, ["<sip:edge1;lr>", "<sip:edge2;lr>"]);
        assert_eq!(r.lookup(at(0), "200")[0].path, path);
    }

    #[test]
    fn what_was_kept_over_a_restart_has_addresses_but_no_connections() {
        let mut r = table();
        say(&mut r, at(0), "c", 1, "Contact: <sip:200@a>;expires=60\r\n");
        let mut kept = r.lookup(at(0), "200");
        kept[0].hop = kept[0].hop.clone().on(super::super::hop::FlowId(3));
        let mut next = table();
        next.restore(at(59), "200", kept.clone());
        assert_eq!(next.lookup(at(59), "200")[0].hop, phone());
        next.restore(at(60), "201", kept);
        assert_eq!(next.count(at(60), "201"), 0, "it has expired meanwhile");
    }

    #[test]
    fn senseless_contacts_are_refused_whole() {
        let mut r = table();
        for bad in ["<sip:200@>", "<>", "tel:+1", "<sip:a b@h>", "<http://example.com>", "<sip:\u{fc}@h>"] {
            assert_eq!(say(&mut r, at(0), "c", 1, &format!("Contact: <sip:200@ok>, {bad}\r\n")).code, 400, "{bad}");
        }
        assert_eq!(r.total(), 0);
    }

    proptest! {
        /// Whatever is said, in whatever order: the bounds hold and nothing that has expired is given out.
        #[test]
        fn the_table_holds(steps in proptest::collection::vec((0u32..6, 0u64..4000, 0u8..12, 0u64..200), 0..60)) {
            let mut r = table();
            let mut now = at(0);
            for (n, (sequence, expires, host, wait)) in steps.into_iter().enumerate() {
                now = now + Duration::from_secs(wait);
                let contact = if host == 0 { "*".to_owned() } else { format!("<sip:200@h{host}>;expires={expires}") };
                let reply = say(&mut r, now, &format!("{}", n % 3), sequence, &format!("Contact: {contact}\r\nExpires: 0\r\n"));
                prop_assert!([200, 400, 423, 500].contains(&reply.code));
                let found = r.lookup(now, "200");
                prop_assert!(found.len() <= limits::SIP_BINDINGS_PER_EXTENSION);
                prop_assert!(found.iter().all(|b| b.until > now && b.until <= now + Duration::from_secs(3600)));
            }
        }
    }
}
