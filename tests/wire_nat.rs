//! Our address as a trunk sees it, on the wire: the daemon registers through a box that translates addresses, as routers do, and
//! learns by `received` and `rport` (RFC 3581) where it is. Calls come and go by what it has learnt, and are heard both ways. What
//! is said to private addresses is nobody's business, so the trunk and the router have public ones, in a network namespace that
//! the test makes for itself and in which there is nobody else.

mod rig;

use callwright::rtp::Codec;
use rig::ua::{Ua, purity};
use rig::{Daemon, eventually};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const OWN: f64 = 700.0;
const PATIENCE: Duration = Duration::from_secs(30);
/// What the other side of the box sees of whoever is behind it.
const OUTSIDE: &str = "192.0.2.9";
/// Where the daemon sees the PBX.
const TRUNK: &str = "192.0.2.8";
/// Set where there is that network.
const INSIDE: &str = "CALLWRIGHT_TEST_NAMESPACE";

/// Translates the addresses between one daemon and one PBX, one call at a time. Signalling has a port of its own outside; audio
/// keeps its port, as a router's does where that is free. Inside the PBX is seen at the router, wherever it says that it is: what is
/// far away on a network of one machine would else be reached past the router.
struct Nat {
    inside: SocketAddr,
    outside: SocketAddr,
    /// What the daemon has said.
    said: Arc<Mutex<Vec<String>>>,
}

/// Where the two ends of a call want their audio, and by which socket the router sends for them.
#[derive(Default)]
struct Audio {
    near: Option<(UdpSocket, SocketAddr)>,
    far: Option<(UdpSocket, SocketAddr)>,
}

/// The port of the audio that a message describes.
fn described(message: &str) -> Option<u16> {
    message.lines().find_map(|line| line.strip_prefix("m=audio ")?.split(' ').next()?.parse().ok())
}

/// A socket for one end of a call; what it hears goes to that end by the other's socket.
fn carry(audio: &Arc<Mutex<Audio>>, (address, port): (&str, u16), far: bool) {
    let end = SocketAddr::from(([127, 0, 0, 1], port));
    let mut ends = audio.lock().expect("no test has failed");
    let known = if far { &mut ends.far } else { &mut ends.near };
    if known.as_ref().is_some_and(|(_, known)| *known == end) {
        return;
    }
    let socket = UdpSocket::bind((address, port)).expect("its port is free outside");
    *known = Some((socket.try_clone().expect("twice"), end));
    let audio = Arc::clone(audio);
    // Ends with the test.
    std::thread::spawn(move || {
        let mut packet = [0; 2000];
        while let Ok((n, _)) = socket.recv_from(&mut packet) {
            let ends = audio.lock().expect("no test has failed");
            if let (Some((_, to)), Some((by, _))) = if far { (&ends.far, &ends.near) } else { (&ends.near, &ends.far) }
            {
                // As on any network, a packet may be lost.
                let _ = by.send_to(&packet[..n], to);
            }
        }
    });
}

/// What the PBX says, as it is seen inside.
fn seen_inside(message: &str, pbx: SocketAddr, inside: SocketAddr) -> String {
    let line = |line: &str| match line.split_once(':') {
        Some(("Contact", _)) => line.replace(&pbx.to_string(), &inside.to_string()),
        // As long as it was.
        _ if line.starts_with("c=IN IP4 ") => line.replace("127.0.0.1", TRUNK),
        _ => line.to_owned(),
    };
    message.split_inclusive('\n').map(line).collect()
}

impl Nat {
    fn start(pbx: SocketAddr) -> Self {
        let bind = |address: &str| UdpSocket::bind((address, 0)).expect("an address of this network");
        let (near, far) = (bind(TRUNK), bind(OUTSIDE));
        let (said, audio) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Audio::default())));
        let nat = Self {
            inside: near.local_addr().expect("bound"),
            outside: far.local_addr().expect("bound"),
            said: Arc::clone(&said),
        };
        let (daemon, inside) = (Arc::new(Mutex::new(None)), nat.inside);
        let (known, heard) = (Arc::clone(&daemon), Arc::clone(&audio));
        let (near_too, far_too) = (near.try_clone().expect("twice"), far.try_clone().expect("twice"));
        // Both end with the test.
        std::thread::spawn(move || {
            let mut datagram = [0; 16_384];
            while let Ok((n, from)) = near.recv_from(&mut datagram) {
                *known.lock().expect("no test has failed") = Some(from);
                let text = String::from_utf8_lossy(&datagram[..n]).into_owned();
                if let Some(port) = described(&text) {
                    carry(&heard, (OUTSIDE, port), false);
                }
                said.lock().expect("no test has failed").push(text);
                let _ = far.send_to(&datagram[..n], pbx);
            }
        });
        std::thread::spawn(move || {
            let mut datagram = [0; 16_384];
            while let Ok((n, _)) = far_too.recv_from(&mut datagram) {
                let text = seen_inside(&String::from_utf8_lossy(&datagram[..n]), pbx, inside);
                if let Some(port) = described(&text) {
                    carry(&audio, (TRUNK, port), true);
                }
                let to = *daemon.lock().expect("no test has failed");
                to.map(|to| near_too.send_to(text.as_bytes(), to));
            }
        });
        nat
    }

    /// The messages of the daemon that begin so.
    fn said(&self, begin: &str) -> Vec<String> {
        let said = self.said.lock().expect("no test has failed");
        said.iter().filter(|text| text.starts_with(begin)).cloned().collect()
    }
}

fn fields<'a>(message: &'a str, name: &str) -> Vec<&'a str> {
    message.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).collect()
}

/// The caller hears its own tone come back.
async fn echoes(caller: &Ua) {
    let heard = caller.talk(OWN, 1500, None).await;
    let alike = purity(&heard.pcm, OWN);
    assert!(heard.pcm.len() >= 30 * 160 && alike > 0.8, "{} samples, {alike:.3} of them its own", heard.pcm.len());
}

/// Runs this test again in a network of its own.
#[expect(clippy::print_stderr, reason = "a test that did not test must say so")]
fn in_a_namespace(test: &str) {
    let script = format!(
        "ip link set lo up && ip address add {OUTSIDE}/32 dev lo && ip address add {TRUNK}/32 dev lo && exec \"$0\" \"$@\""
    );
    let unshare = |options: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(options).args(["--net", "sh", "-c"]);
        command
    };
    // Who is root keeps the right to be scheduled as calls want it.
    let can = |options: &&&[&str]| {
        let tried = unshare(options).arg("ip link set lo up").stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    };
    let ways: [&[&str]; 2] = [&[], &["--map-root-user"]];
    let Some(options) = ways.iter().find(can) else {
        eprintln!("\n*** NOT TESTED: network namespaces cannot be made here (unshare, iproute2) ***\n");
        return;
    };
    let program = std::env::current_exe().expect("this program");
    let mut again = unshare(options);
    again.arg(script).arg(program).args([test, "--exact", "--nocapture"]).env(INSIDE, "1");
    let output = again.output().expect("it runs");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn a_daemon_behind_a_router_learns_where_it_is_seen_and_calls_work_both_ways() {
    if std::env::var_os(INSIDE).is_none() {
        return in_a_namespace("a_daemon_behind_a_router_learns_where_it_is_seen_and_calls_work_both_ways");
    }
    tokio::runtime::Runtime::new().expect("a runtime").block_on(learns_where_it_is_seen());
}

async fn learns_where_it_is_seen() {
    let pbx = Daemon::start_with(
        "[[extensions]]\nnumber = \"200\"\ncidr = [\"192.0.2.0/24\"]\npassword = \"s3cret\"\n[[routes]]\nmatch = \"echo\"\napp = \"echo\"",
    );
    let nat = Nat::start(pbx.sip);
    let daemon = Daemon::start_with(&format!(
        "[[routes]]\nmatch = \"200\"\napp = \"echo\"\n[[routes]]\nmatch = \"9\"\napp = \"bridge:trunk:pbx:echo\"\n\
         [[trunks]]\nname = \"pbx\"\nhost = \"{TRUNK}\"\nport = {}\nregister = true\nregister_s = 60\nusername = \"200\"\n\
         from_user = \"200\"\npassword = \"s3cret\"\n",
        nat.inside.port()
    ));
    let seen = format!("sip:200@{}", nat.outside);
    let learnt = || {
        let (_, trunks) = rig::get(daemon.http, "/v1/trunks").expect("answered");
        trunks.contains("\"registered\"") && trunks.contains(&seen)
    };
    assert!(eventually(PATIENCE, learnt), "{:#?}\n{}", nat.said("REGISTER "), daemon.log());
    let registers = nat.said("REGISTER ");
    let own = format!("sip:200@{}", daemon.sip);
    let first = fields(&registers[0], "Contact");
    assert!(first.len() == 1 && first[0].contains(&own), "it knows no better: {first:?}");
    // The place where nobody reaches it is taken back with the one that is right.
    let moved = registers.iter().find(|text| fields(text, "Contact").iter().any(|c| c.contains(&seen)));
    let moved = fields(moved.expect("it has said where it is seen"), "Contact");
    assert!(moved.iter().any(|c| c.contains(&own) && c.contains("expires=0")), "{moved:?}");

    // In: the PBX knows only where the router is.
    let mut caller = Ua::new(&[Codec::Pcmu]);
    caller.invite(pbx.sip, "200").await;
    caller.accepted().await;
    echoes(&caller).await;
    caller.hang_up().await;
    caller.ended().await;
    let accepted: Vec<String> = nat.said("SIP/2.0 200 ").into_iter().filter(|text| text.contains("m=audio ")).collect();
    // Out.
    let mut caller = Ua::new(&[Codec::Pcmu]);
    caller.invite(daemon.sip, "9").await;
    caller.accepted().await;
    echoes(&caller).await;
    caller.hang_up().await;
    caller.ended().await;
    let invites = nat.said("INVITE ");
    assert!(!accepted.is_empty() && !invites.is_empty());
    for message in accepted.iter().chain(&invites) {
        let contact = fields(message, "Contact");
        assert!(contact.len() == 1 && contact[0].contains(&seen), "{message}");
        let described: Vec<&str> = message.lines().filter(|line| line.starts_with("c=")).collect();
        assert_eq!(described, [format!("c=IN IP4 {OUTSIDE}")], "{message}");
    }
}
