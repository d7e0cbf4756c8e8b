//! A PBX that asks for a password at everything, and what is said of it: a challenge to OPTIONS means that somebody is there. It is
//! answered with the trunk's account and no other, not at every question where the password was refused, and what the PBX holds
//! against us is named.

mod rig;

use md5::{Digest, Md5};
use rig::{Daemon, eventually};
use serde_json::Value;
use std::fmt::Write;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// What a PBX was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    /// Without a proof.
    Bare(String),
    /// With the right one.
    Proved(String),
    /// With a wrong one.
    Wrong(String),
}

/// Challenges REGISTER and OPTIONS. It takes one password; at OPTIONS only where it is content.
struct Pbx {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

fn field<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn param<'a>(proof: &'a str, name: &str) -> &'a str {
    let all = proof.trim_start_matches("Digest ").split(", ");
    let found = all.filter_map(|item| item.split_once('=')).find(|(key, _)| *key == name);
    found.map_or("", |(_, value)| value.trim_matches('"'))
}

fn md5(text: &str) -> String {
    Md5::digest(text.as_bytes()).iter().fold(String::new(), |mut hex, octet| {
        let _ = write!(hex, "{octet:02x}"); // writing into a String cannot fail
        hex
    })
}

/// Whether this proves the password (RFC 7616 section 3.4.1, qop=auth).
fn is_proved(method: &str, proof: &str, password: &str) -> bool {
    let of = |name: &str| param(proof, name).to_owned();
    let secret = md5(&format!("{}:pbx:{password}", of("username")));
    let request = md5(&format!("{method}:{}", of("uri")));
    let parts = [secret, of("nonce"), of("nc"), of("cnonce"), of("qop"), request];
    of("username") == "200" && of("response") == md5(&parts.join(":"))
}

impl Pbx {
    fn start(right: &'static str, content: bool) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let (address, asked) = (socket.local_addr().expect("bound"), Arc::new(Mutex::new(Vec::new())));
        let seen = Arc::clone(&asked);
        // Ends with the test.
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok((n, from)) = socket.recv_from(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..n]).into_owned();
                let method = text.split(' ').next().unwrap_or_default().to_owned();
                if !["REGISTER", "OPTIONS"].contains(&method.as_str()) {
                    continue;
                }
                let proof = field(&text, "Authorization");
                let proved = proof.is_some_and(|proof| is_proved(&method, proof, right));
                seen.lock().expect("no test has failed").push(match proof {
                    None => Asked::Bare(method.clone()),
                    Some(_) if proved => Asked::Proved(method.clone()),
                    Some(_) => Asked::Wrong(method.clone()),
                });
                let (status, more) = if proved && (content || method == "REGISTER") {
                    let contact =
                        field(&text, "Contact").map(|contact| format!("Contact: {contact}\r\nExpires: 60\r\n"));
                    ("200 OK", contact.unwrap_or_default())
                } else {
                    let challenge = "Digest realm=\"pbx\", nonce=\"n\", algorithm=MD5, qop=\"auth\"";
                    ("401 Unauthorized", format!("WWW-Authenticate: {challenge}\r\n"))
                };
                let same = ["Via", "From", "Call-ID", "CSeq"]
                    .map(|name| format!("{name}: {}\r\n", field(&text, name).unwrap_or_default()));
                let to = field(&text, "To").unwrap_or_default();
                let answer =
                    format!("SIP/2.0 {status}\r\n{}To: {to};tag=pbx\r\n{more}Content-Length: 0\r\n\r\n", same.concat());
                let _ = socket.send_to(answer.as_bytes(), from);
            }
        });
        Self { address, asked }
    }

    fn options(&self, wanted: impl Fn(&str) -> Asked) -> usize {
        let asked = self.asked.lock().expect("no test has failed");
        asked.iter().filter(|asked| **asked == wanted("OPTIONS")).count()
    }

    fn bare(&self) -> usize {
        self.options(|method| Asked::Bare(method.to_owned()))
    }

    fn proved(&self) -> usize {
        self.options(|method| Asked::Proved(method.to_owned()))
    }

    fn wrong(&self) -> usize {
        self.options(|method| Asked::Wrong(method.to_owned()))
    }

    fn trunk(&self, name: &str, more: &str) -> String {
        let port = self.address.port();
        format!("[[trunks]]\nname = \"{name}\"\nhost = \"127.0.0.1\"\nport = {port}\noptions_s = 5\n{more}\n")
    }
}

fn trunk(daemon: &Daemon, name: &str) -> Value {
    let (_, body) = rig::get(daemon.http, "/v1/trunks").expect("answered");
    let trunks: Value = serde_json::from_str(&body).expect("JSON");
    let found = trunks["items"].as_array().into_iter().flatten().find(|trunk| trunk["name"] == name);
    found.cloned().unwrap_or_default()
}

#[test]
fn a_pbx_that_asks_for_a_password_is_up_and_what_it_holds_against_us_is_named() {
    let registers = "register = true\nusername = \"200\"\npassword = \"s3cret\"";
    let knows = "username = \"200\"\npassword = \"s3cret\"";
    // The first takes the password; the second at REGISTER only; the third has another; the fourth was given none.
    let (good, picky) = (Pbx::start("s3cret", true), Pbx::start("s3cret", false));
    let (other, open) = (Pbx::start("another", true), Pbx::start("s3cret", true));
    let daemon = Daemon::start_with(
        &[
            good.trunk("good", registers),
            picky.trunk("picky", registers),
            other.trunk("other", knows),
            open.trunk("open", ""),
        ]
        .concat(),
    );
    let stands = |name: &str, health: &str, note: &str| {
        let is_so = || {
            let trunk = trunk(&daemon, name);
            let says = trunk["health_note"].as_str().unwrap_or_default();
            trunk["health"] == health && says.contains(note) && says.is_empty() == note.is_empty()
        };
        assert!(eventually(PATIENCE, is_so), "{name}: {}\n{}", trunk(&daemon, name), daemon.log());
    };
    stands("good", "up", "");
    stands("picky", "up", "refuses the account");
    stands("other", "refuses", "refuses the account");
    stands("open", "up", "has none");
    assert!(good.proved() >= 1);
    // Asked again and again, none of them is shown a password that it has refused, and one without an account none at all.
    assert!(eventually(PATIENCE, || picky.bare() >= 3 && other.bare() >= 3 && open.bare() >= 3));
    // What REGISTER has proved may come unasked, and then once more upon the challenge.
    assert!((1..=2).contains(&picky.proved()) && picky.wrong() == 0, "{:?}", picky.asked);
    assert_eq!((other.proved(), other.wrong()), (0, 1));
    assert_eq!((open.proved(), open.wrong(), good.wrong()), (0, 0, 0));
    // Whose password is known brings it unasked.
    assert!(eventually(PATIENCE, || good.proved() >= 3));
    assert!(good.bare() <= 1, "{:?}", good.asked);
    assert!(daemon.log().contains("the trunk answers, with a reservation"), "{}", daemon.log());
    assert!(!daemon.log().contains("s3cret"));
}
