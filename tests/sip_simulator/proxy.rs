//! A proxy that lets two phones ring at once (RFC 3261 §16), as simple as can be: it finds its branches again from what the
//! messages say, answers nothing itself, and keeps a refusal back until all have refused.

use std::collections::BTreeMap;

pub(crate) const ADDRESS: &str = "10.0.0.8:5060";
const TARGETS: [&str; 2] = ["10.0.0.2:5060", "10.0.0.3:5060"];

/// What has been heard of one INVITE.
#[derive(Debug, Default)]
struct Branches {
    invite: String,
    refused: BTreeMap<usize, String>,
    won: bool,
}

/// The proxy, without clock: whatever is lost, the ends send again.
#[derive(Debug, Default)]
pub(crate) struct Proxy {
    calls: BTreeMap<String, Branches>,
    /// It stays in the route of what follows.
    records_route: bool,
}

fn header<'a>(message: &'a str, name: &str) -> &'a str {
    message.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default()
}

fn branch(via: &str) -> &str {
    via.split("branch=").nth(1).unwrap_or_default().split(';').next().unwrap_or_default()
}

fn start_line(message: &str) -> &str {
    message.split("\r\n").next().unwrap_or_default()
}

impl Proxy {
    pub(crate) fn new(records_route: bool) -> Self {
        Self { records_route, ..Self::default() }
    }

    /// What it sends when this comes: address and message.
    pub(crate) fn handle(&mut self, message: &str) -> Vec<(String, String)> {
        if message.starts_with("SIP/2.0 ") { self.response(message) } else { self.request(message) }
    }

    fn request(&mut self, message: &str) -> Vec<(String, String)> {
        let start = start_line(message);
        let (method, rest) = start.split_once(' ').unwrap();
        let above = branch(header(message, "Via")).to_owned();
        let forked = !header(message, "To").contains(";tag=") || self.calls.contains_key(&above);
        if !forked {
            // Within a dialog: we are in the route, and the Request-URI says where to.
            let target = rest.split('@').nth(1).unwrap().split([';', ' ', '>']).next().unwrap().to_owned();
            let routeless: String = message.split_inclusive("\r\n").filter(|l| !l.starts_with("Route: ")).collect();
            let via = format!("{start}\r\nVia: SIP/2.0/UDP {ADDRESS};branch=z9hG4bKp{above}");
            return vec![(target, routeless.replacen(start, &via, 1))];
        }
        let call = self.calls.entry(above.clone()).or_default();
        if method == "INVITE" {
            call.invite = message.to_owned();
            if call.refused.len() == TARGETS.len() {
                return vec![(sender(message), call.refused[&0].clone())];
            }
        }
        if method == "ACK" {
            return vec![]; // each branch has had its own
        }
        let record = if self.records_route { format!("Record-Route: <sip:{ADDRESS};lr>\r\n") } else { String::new() };
        let forward = |(n, target): (usize, &&str)| {
            let via = format!("Via: SIP/2.0/UDP {ADDRESS};branch=z9hG4bKf{n}{above}\r\n");
            let new_start = format!("{method} sip:phone@{target} SIP/2.0\r\n{via}{record}");
            ((*target).to_owned(), message.replacen(&format!("{start}\r\n"), &new_start, 1))
        };
        TARGETS.iter().enumerate().filter(|(n, _)| !call.refused.contains_key(n)).map(forward).collect()
    }

    fn response(&mut self, message: &str) -> Vec<(String, String)> {
        let via = header(message, "Via");
        let own = branch(via).to_owned();
        let below = message.replacen(&format!("Via: {via}\r\n"), "", 1);
        let code: u16 = message[8..11].parse().unwrap();
        let to_sender = vec![(sender(&below), below.clone())];
        let Some((n, above)) = own.strip_prefix("z9hG4bKf").and_then(|rest| rest.split_at_checked(1)) else {
            return to_sender;
        };
        let n: usize = n.parse().unwrap();
        let is_invite = header(message, "CSeq").ends_with(" INVITE");
        if !is_invite || code < 200 {
            return to_sender;
        }
        let Some(call) = self.calls.get_mut(above) else { return to_sender };
        if code < 300 {
            call.won = true;
            return to_sender;
        }
        let invite_uri = format!("sip:phone@{}", TARGETS[n]);
        let field = |name| format!("{name}: {}\r\n", header(message, name));
        let sequence = header(message, "CSeq").replace("INVITE", "ACK");
        let ack = format!(
            "ACK {invite_uri} SIP/2.0\r\nVia: SIP/2.0/UDP {ADDRESS};branch={own}\r\nMax-Forwards: 70\r\n{}{}{}CSeq: {sequence}\r\nContent-Length: 0\r\n\r\n",
            field("From"),
            field("To"),
            field("Call-ID")
        );
        call.refused.insert(n, below);
        let mut out = vec![(TARGETS[n].to_owned(), ack)];
        if call.refused.len() == TARGETS.len() && !call.won {
            out.push((sender(&call.refused[&0]), call.refused[&0].clone()));
        }
        out
    }
}

/// Where a response goes: the address in its topmost Via.
fn sender(message: &str) -> String {
    let via = header(message, "Via");
    let sent_by = via.split_whitespace().nth(1).unwrap_or_default();
    sent_by.split(';').next().unwrap_or_default().to_owned()
}
