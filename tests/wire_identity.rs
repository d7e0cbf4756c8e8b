//! What trunks are told of a call, as it stands on the wire: who calls (P-Asserted- and P-Preferred-Identity, Privacy), by whom it
//! was passed on (Diversion, History-Info), and where we are (public address in Via, Contact and SDP). And what is kept of what
//! a trunk says: fields that may be seen, without secrets.

mod rig;

use rig::{Daemon, eventually};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// A carrier that writes what it wants and reads what it gets.
struct Carrier {
    socket: UdpSocket,
    daemon: SocketAddr,
}

/// For what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// An address of its own, which a carrier is known by.
fn at(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind((address, 0)).expect("a loopback address");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket
}

impl Carrier {
    /// The next message that begins so.
    fn next(&self, begin: &str) -> String {
        let mut buffer = [0; 8192];
        loop {
            let (n, _) = self.socket.recv_from(&mut buffer).unwrap_or_else(|error| panic!("no {begin}: {error}"));
            let text = String::from_utf8_lossy(&buffer[..n]).into_owned();
            if text.starts_with(begin) {
                return text;
            }
        }
    }

    /// The INVITE of the call in which the caller says this of itself; repeats of others are passed over.
    fn invited(&self, from: &str) -> String {
        loop {
            let invite = self.next("INVITE ");
            if one(&invite, "From").starts_with(from) {
                return invite;
            }
        }
    }

    fn refuse(&self, request: &str) {
        let copied = ["Via", "From", "Call-ID", "CSeq"].map(|name| format!("{name}: {}\r\n", one(request, name)));
        let response = format!(
            "SIP/2.0 486 Busy Here\r\n{}To: {};tag=busy\r\nContent-Length: 0\r\n\r\n",
            copied.concat(),
            one(request, "To")
        );
        self.socket.send_to(response.as_bytes(), self.daemon).expect("sent");
    }

    /// Calls 300, as often as it takes until the daemon has found out who calls.
    fn invite(&self, call: &str, fields: &str) {
        let me = self.socket.local_addr().expect("bound");
        let sdp =
            format!("v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n", me.ip());
        let more = format!(
            "Contact: <sip:100@{me}>\r\n{fields}Content-Type: application/sdp\r\nContent-Length: {}\r\n",
            sdp.len()
        );
        let to = format!("<sip:300@{}>", self.daemon);
        let invite = format!("{}{more}\r\n{sdp}", self.head("INVITE", call, &to));
        let mut buffer = [0; 8192];
        self.socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
        let heard = (0..60).any(|_| {
            self.socket.send_to(invite.as_bytes(), self.daemon).expect("sent");
            self.socket.recv_from(&mut buffer).is_ok()
        });
        self.socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        assert!(heard, "nobody hears the carrier");
    }

    /// Waits for the refusal of this call, and acknowledges it.
    fn is_refused(&self, call: &str) {
        loop {
            let refusal = self.next("SIP/2.0 486");
            if one(&refusal, "Call-ID") == call {
                let ack = format!("{}Content-Length: 0\r\n\r\n", self.head("ACK", call, &one(&refusal, "To")));
                self.socket.send_to(ack.as_bytes(), self.daemon).expect("sent");
                return;
            }
        }
    }

    fn head(&self, method: &str, call: &str, to: &str) -> String {
        let me = self.socket.local_addr().expect("bound");
        format!(
            "{method} sip:300@{} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{call};rport\r\nMax-Forwards: 60\r\n\
             From: \"Switch\" <sip:100@in.example>;tag=f{call}\r\nTo: {to}\r\nCall-ID: {call}\r\nCSeq: 1 {method}\r\n",
            self.daemon
        )
    }
}

/// All values of a header field.
fn all(message: &str, name: &str) -> Vec<String> {
    let head = message.split("\r\n\r\n").next().unwrap_or_default();
    let of = |line: &str| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned);
    head.lines().filter_map(of).collect()
}

fn one(message: &str, name: &str) -> String {
    all(message, name).into_iter().next().unwrap_or_default()
}

const CALLER: &str = "P-Asserted-Identity: \"Ann\" <sip:+4930123456@in.example>\r\n";

#[test]
fn trunks_are_told_what_they_want_to_know_and_see_us_where_we_are() {
    let (incoming, outgoing, plain) = (at("127.0.0.2"), at("127.0.0.3"), at("127.0.0.4"));
    let entry = |name: &str, socket: &UdpSocket, more: &str| {
        let at = socket.local_addr().expect("bound");
        format!("[[trunks]]\nname = \"{name}\"\nhost = \"{}\"\nport = {}\noptions_s = 0\n{more}\n", at.ip(), at.port())
    };
    let told = "identity = \"asserted\"\nforwarded = \"both\"\npublic_address = \"192.0.2.7\"";
    let route = "match = \"300\"\napp = \"bridge:trunk:told:+49171\"\nfallback = \"bridge:trunk:plain:+49171\"\n";
    let config = [
        format!("[[routes]]\n{route}"),
        entry("in", &incoming, "trusts_identity = true"),
        entry("told", &outgoing, told),
        entry("plain", &plain, "identity = \"preferred\""),
    ];
    let daemon = Daemon::start_with(&config.concat());
    let carrier = |socket: UdpSocket| Carrier { socket, daemon: daemon.sip };
    let (incoming, outgoing, plain) = (carrier(incoming), carrier(outgoing), carrier(plain));

    // Who calls is known and may be seen.
    let fields =
        "Diversion: <sip:200@in.example>;reason=user-busy\r\nX-Order: 4711-0815\r\nX-Api-Token: sesame-sesame\r\n";
    incoming.invite("seen", &format!("{CALLER}{fields}"));
    let seen = "\"Ann\" <sip:+4930123456@127.0.0.";
    let invite = outgoing.invited(seen);
    assert!(one(&invite, "From").starts_with("\"Ann\" <sip:+4930123456@127.0.0.3>;tag="), "{invite}");
    assert_eq!(all(&invite, "P-Asserted-Identity"), ["\"Ann\" <sip:+4930123456@127.0.0.3>"]);
    assert!(all(&invite, "Privacy").is_empty() && all(&invite, "X-Api-Token").is_empty(), "{invite}");
    let diverted = all(&invite, "Diversion");
    let by_us = "<sip:300@192.0.2.7>;reason=unconditional;counter=1";
    assert_eq!(diverted, [by_us, "<sip:200@in.example>;reason=user-busy"]);
    let history = one(&invite, "History-Info");
    assert!(history.starts_with("<sip:300@192.0.2.7>;index=1, <sip:+49171@127.0.0.3"), "{history}");
    assert!(history.ends_with(";index=1.1;mp=1"), "{history}");
    // It sees us where the operator says that it does.
    let via = one(&invite, "Via");
    assert!(via.starts_with(&format!("SIP/2.0/UDP 192.0.2.7:{};", daemon.sip.port())), "{via}");
    assert!(one(&invite, "Contact").contains(&format!("@192.0.2.7:{}", daemon.sip.port())), "{invite}");
    assert!(invite.contains("\r\nc=IN IP4 192.0.2.7\r\n") && !invite.contains("IP4 127.0.0.1"), "{invite}");
    outgoing.refuse(&invite);
    outgoing.next("ACK ");

    // The fallback knows nothing of that address, and asserts for itself.
    let invite = plain.invited(seen);
    assert_eq!(all(&invite, "P-Preferred-Identity"), ["\"Ann\" <sip:+4930123456@127.0.0.4>"]);
    assert!(all(&invite, "Diversion").is_empty() && all(&invite, "History-Info").is_empty(), "{invite}");
    assert!(invite.contains("\r\nc=IN IP4 127.0.0.1\r\n") && !invite.contains("192.0.2.7"), "{invite}");
    plain.refuse(&invite);
    incoming.is_refused("seen");

    // What the record says of it.
    let shown = || rig::get(daemon.http, "/v1/calls").expect("answered").1;
    assert!(eventually(Duration::from_secs(10), || shown().contains("4711-0815")), "{}", shown());
    assert!(!shown().contains("sesame-sesame"), "{}", shown());

    // Who does not want to be seen is known to those who carry the call, and kept in no record.
    let hidden = CALLER.replace("+4930123456", "+4940987654");
    incoming.invite("withheld", &format!("{hidden}Privacy: id\r\n"));
    let nobody = "\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=";
    let invite = outgoing.invited(nobody);
    assert_eq!(all(&invite, "P-Asserted-Identity"), ["\"Ann\" <sip:+4940987654@127.0.0.3>"]);
    assert_eq!(all(&invite, "Privacy"), ["id"]);
    outgoing.refuse(&invite);
    outgoing.next("ACK ");
    let invite = plain.invited(nobody);
    assert_eq!(all(&invite, "P-Preferred-Identity"), ["\"Ann\" <sip:+4940987654@127.0.0.4>"]);
    plain.refuse(&invite);
    incoming.is_refused("withheld");
    assert!(!shown().contains("4940987654"), "{}", shown());
}
