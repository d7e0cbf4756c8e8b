//! Calls per second: `cargo bench --bench calls [-- calls-per-second seconds]` (`make bench-calls`: 50 for 30 s;
//! `make soak-calls`: for 10 minutes).
//!
//! A phone of our own places that many calls a second to the echo, each INVITE on its own beat whether the ones before are
//! answered or not, holds each for a second and hangs up; requests are sent again by the timers of RFC 3261. First to the
//! daemon, then, in the same run and from the same code, to Asterisk. It counts calls that fail (refused, not answered in
//! eight seconds, BYE not answered) and takes INVITE→100 and INVITE→200, first sending to first receipt. Prints a table and
//! writes `target/bench/calls.json` (flat: metric → number). Fails when a call to the daemon fails, or when Asterisk is missing:
//! it is looked for in a Debian tree below `$CALLWRIGHT_PEERS` (`sid/`, by default `~/.cache/callwright-peers`), else in the
//! system. `CALLWRIGHT_PEER=off` leaves it out, and the table says so.

#![allow(clippy::print_stdout, reason = "a bench prints")]

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Error};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Talking time of a call.
const HOLD: Duration = Duration::from_secs(1);
/// First interval between repeats (RFC 3261 §17.1.1.1).
const T1: Duration = Duration::from_millis(500);
/// When a call that has no answer has failed.
const PATIENCE: Duration = Duration::from_secs(8);
/// When a server that is started must answer.
const START: Duration = Duration::from_secs(60);

fn main() -> io::Result<()> {
    // `cargo bench` passes --bench.
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let per_second = numbers.first().copied().unwrap_or(50).clamp(1, 1000);
    let seconds = numbers.get(1).copied().unwrap_or(30).clamp(1, 3600);
    println!("{per_second} calls/s for {seconds} s, each {} s long", HOLD.as_secs());
    println!(
        "{:<12} {:>7} {:>7} {:>28} {:>28} {:>9}",
        "", "calls", "failed", "INVITE→100 p50/p99/p99.9 ms", "INVITE→200 p50/p99/p99.9 ms", "CPU %"
    );
    let mut json =
        BTreeMap::from([("calls_per_second".to_owned(), per_second as f64), ("seconds".to_owned(), seconds as f64)]);
    let ours = measure("ours", Server::daemon()?, per_second, seconds, &mut json)?;
    if std::env::var("CALLWRIGHT_PEER").is_ok_and(|peer| peer == "off") {
        println!("asterisk     left out, as CALLWRIGHT_PEER says");
    } else {
        measure("asterisk", Server::asterisk()?, per_second, seconds, &mut json)?;
    }
    write(&json)?;
    if ours.failed == 0 {
        Ok(())
    } else {
        Err(Error::other(format!("{} calls to the daemon failed: {:?}", ours.failed, ours.why)))
    }
}

fn write(json: &BTreeMap<String, f64>) -> io::Result<()> {
    let lines: Vec<String> = json.iter().map(|(key, value)| format!("  \"{key}\": {value:.3}")).collect();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    std::fs::create_dir_all(&directory)?;
    std::fs::write(directory.join("calls.json"), format!("{{\n{}\n}}\n", lines.join(",\n")))
}

/// A telephone server under way; ended on drop.
struct Server {
    child: Child,
    sip: SocketAddr,
    /// Its configuration; removed at the end.
    _dir: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_udp() -> io::Result<SocketAddr> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

impl Server {
    /// `target/release/callwright`, or `$CALLWRIGHT_BIN`.
    fn daemon() -> io::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let binary =
            std::env::var_os("CALLWRIGHT_BIN").map_or_else(|| root.join("target/release/callwright"), PathBuf::from);
        let (dir, sip) = (tempfile::tempdir()?, free_udp()?);
        let http = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let config = dir.path().join("callwright.toml");
        let text = format!(
            "[sip]\nudp = \"{sip}\"\nmax_calls = 500\n[rtp]\naddress = \"127.0.0.1\"\nports = \"20000-24999\"\n[http]\nlisten = \"{http}\"\n\
             [data]\ndir = {:?}\n[apps]\nports = \"10900-10919\"\n[[routes]]\nmatch = \"*\"\napp = \"echo\"\n",
            dir.path().join("var")
        );
        std::fs::write(&config, text)?;
        let log = std::fs::File::create(dir.path().join("log"))?;
        let child = Command::new(&binary)
            .args(["serve", "--config"])
            .arg(&config)
            .env("CALLWRIGHT_NATIVE", root.join("native"))
            .env("CALLWRIGHT_OFFLINE", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|e| Error::other(format!("{} cannot be run ({e}): `make compile` makes it", binary.display())))?;
        Self { child, sip, _dir: dir }.ready("the daemon")
    }

    /// Asterisk with the modules that a call to its echo needs.
    fn asterisk() -> io::Result<Self> {
        let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
        let peers =
            std::env::var_os("CALLWRIGHT_PEERS").map_or_else(|| home.join(".cache/callwright-peers"), PathBuf::from);
        let tree = peers.join("sid");
        let tree = tree.join("usr/sbin/asterisk").exists().then_some(tree);
        let (dir, sip) = (
            tempfile::tempdir_in(tree.as_ref().map_or_else(std::env::temp_dir, |tree| tree.join("tmp")))?,
            free_udp()?,
        );
        let inside = match &tree {
            Some(tree) => Path::new("/").join(dir.path().strip_prefix(tree).map_err(Error::other)?),
            None => dir.path().to_owned(),
        };
        for (file, text) in asterisk_files(&inside, sip) {
            std::fs::write(dir.path().join(file), text)?;
        }
        let mut command = match &tree {
            Some(tree) => {
                let mut command = Command::new("chroot");
                command.arg(tree).arg("asterisk");
                command
            }
            None => Command::new("asterisk"),
        };
        command.arg("-C").arg(inside.join("asterisk.conf")).args(["-f", "-n"]);
        let log = std::fs::File::create(dir.path().join("log"))?;
        let child = command.current_dir("/").stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn();
        let child = child.map_err(|e| {
            Error::other(format!("Asterisk, the peer of this bench, is missing ({e}): install it, name its tree in CALLWRIGHT_PEERS, or set CALLWRIGHT_PEER=off"))
        })?;
        Self { child, sip, _dir: dir }.ready("Asterisk")
    }

    /// Waits until it answers OPTIONS.
    fn ready(mut self, name: &str) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_read_timeout(Some(Duration::from_millis(250)))?;
        let (me, deadline) = (socket.local_addr()?, Instant::now() + START);
        for n in 0.. {
            let ask = format!(
                "OPTIONS sip:echo@{} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bKo{n};rport\r\nMax-Forwards: 70\r\nFrom: <sip:bench@{me}>;tag=o{n}\r\n\
                 To: <sip:echo@{}>\r\nCall-ID: options-{n}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
                self.sip, self.sip
            );
            let _ = socket.send_to(ask.as_bytes(), self.sip);
            if socket.recv(&mut [0; 4096]).is_ok() {
                // What it does at first only (models, caches) is not what is measured.
                std::thread::sleep(Duration::from_secs(2));
                return Ok(self);
            }
            let ended = self.child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let log = std::fs::read_to_string(self._dir.path().join("log")).unwrap_or_default();
                return Err(Error::other(format!("{name} does not answer at {} ({ended:?}):\n{log}", self.sip)));
            }
        }
        unreachable!("the loop ends by itself")
    }

    /// CPU time of the process so far.
    fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
        let ticks: u64 = [11, 12].iter().filter_map(|n| fields.get(*n)?.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * 10)
    }
}

fn asterisk_files(at: &Path, sip: SocketAddr) -> Vec<(&'static str, String)> {
    let (at, modules) = (at.display(), "/usr/lib/x86_64-linux-gnu/asterisk/modules");
    let modules = if cfg!(target_arch = "aarch64") { modules.replace("x86_64", "aarch64") } else { modules.to_owned() };
    let wanted = [
        "pbx_config",
        "res_timing_timerfd",
        "res_sorcery_config",
        "res_sorcery_memory",
        "res_sorcery_astdb",
        "res_statsd",
        "res_pjproject",
        "res_rtp_asterisk",
        "res_http_websocket",
        "res_pjsip",
        "res_pjsip_pubsub",
        "res_pjsip_session",
        "res_pjsip_sdp_rtp",
        "res_pjsip_caller_id",
        "res_pjsip_endpoint_identifier_anonymous",
        "res_pjsip_nat",
        "chan_pjsip",
        "bridge_simple",
        "app_echo",
        "codec_ulaw",
    ];
    let load: String = wanted.iter().map(|module| format!("load={module}.so\n")).collect();
    let empty = [
        "acl.conf",
        "ccss.conf",
        "cdr.conf",
        "cel.conf",
        "features.conf",
        "indications.conf",
        "pjproject.conf",
        "stasis.conf",
        "udptl.conf",
    ];
    let mut files = vec![
        (
            "asterisk.conf",
            format!(
                "[directories]\nastetcdir => {at}\nastmoddir => {modules}\nastvarlibdir => /var/lib/asterisk\nastdbdir => {at}\nastkeydir => /var/lib/asterisk\n\
                 astdatadir => /usr/share/asterisk\nastagidir => /usr/share/asterisk/agi-bin\nastspooldir => {at}\nastrundir => {at}\nastlogdir => {at}\n\
                 [options]\nverbose = 0\ndebug = 0\nmaxfiles = 60000\n"
            ),
        ),
        ("modules.conf", format!("[modules]\nautoload=no\n{load}")),
        ("logger.conf", "[general]\n[logfiles]\nmessages => warning,error\n".to_owned()),
        ("rtp.conf", "[general]\nrtpstart=25000\nrtpend=29999\nstrictrtp=no\nicesupport=no\n".to_owned()),
        ("extensions.conf", "[default]\nexten => echo,1,Answer()\n same => n,Echo()\n same => n,Hangup()\n".to_owned()),
        (
            "pjsip.conf",
            format!(
                "[global]\ntype=global\nendpoint_identifier_order=anonymous\n[system]\ntype=system\nthreadpool_initial_size=4\n\
                 [udp]\ntype=transport\nprotocol=udp\nbind={sip}\n\
                 [anonymous]\ntype=endpoint\ncontext=default\ntransport=udp\nallow=!all,ulaw\ndirect_media=no\n"
            ),
        ),
    ];
    files.extend(empty.map(|file| (file, String::new())));
    files
}

/// One call.
struct Call {
    invited: Instant,
    trying: Option<Duration>,
    answered: Option<Duration>,
    /// When to hang up.
    over: Option<Instant>,
    /// To as the answer has it, and where requests of the call go.
    dialog: (String, String),
    bye: bool,
    /// What is sent again, when, and after what wait.
    pending: Option<(Vec<u8>, Instant, Duration)>,
    /// Of the request that is under way.
    since: Instant,
}

/// What came of all.
#[derive(Default)]
struct Outcome {
    calls: u64,
    failed: u64,
    why: BTreeMap<String, u64>,
    trying: Vec<Duration>,
    answered: Vec<Duration>,
}

struct Phone {
    socket: UdpSocket,
    me: SocketAddr,
    server: SocketAddr,
    calls: HashMap<u64, Call>,
    outcome: Outcome,
}

fn field<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.lines().take_while(|l| !l.is_empty()).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

impl Phone {
    fn write(&self, method: &str, sequence: u32, n: u64, uri: &str, to: &str, body: &str) -> Vec<u8> {
        let (me, kind) = (self.me, if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" });
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{n}x{method};rport\r\nMax-Forwards: 70\r\nFrom: <sip:bench@{me}>;tag=b{n}\r\n\
             To: {to}\r\nCall-ID: bench-{n}@{me}\r\nCSeq: {sequence} {method}\r\nContact: <sip:bench@{me}>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }

    fn invite(&mut self, n: u64, audio: u16) -> io::Result<()> {
        let sdp = format!(
            "v=0\r\no=b 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {audio} RTP/AVP 0\r\n"
        );
        let uri = format!("sip:echo@{}", self.server);
        let invite = self.write("INVITE", 1, n, &uri, &format!("<{uri}>"), &sdp);
        let now = Instant::now();
        self.socket.send_to(&invite, self.server)?;
        let pending = Some((invite, now + T1, T1));
        let call = Call {
            invited: now,
            trying: None,
            answered: None,
            over: None,
            dialog: Default::default(),
            bye: false,
            pending,
            since: now,
        };
        self.calls.insert(n, call);
        self.outcome.calls += 1;
        Ok(())
    }

    fn fail(&mut self, n: u64, why: &str) {
        if self.calls.remove(&n).is_some() {
            self.outcome.failed += 1;
            *self.outcome.why.entry(why.to_owned()).or_default() += 1;
        }
    }

    fn receive(&mut self, message: &str, now: Instant) -> io::Result<()> {
        let Some(code) = message.strip_prefix("SIP/2.0 ").and_then(|m| m.get(..3)?.parse::<u16>().ok()) else {
            return Ok(());
        };
        let number =
            field(message, "Call-ID").and_then(|id| id.strip_prefix("bench-")?.split('@').next()?.parse::<u64>().ok());
        let Some(n) = number.filter(|n| self.calls.contains_key(n)) else { return Ok(()) };
        let is_invite = field(message, "CSeq").is_some_and(|c| c.ends_with("INVITE"));
        let to = field(message, "To").unwrap_or_default().to_owned();
        let contact = field(message, "Contact").unwrap_or_default();
        let uri =
            contact.split_once('<').map_or(contact, |(_, uri)| uri.split('>').next().unwrap_or_default()).to_owned();
        let Some(call) = self.calls.get_mut(&n) else { return Ok(()) };
        match (is_invite, code) {
            (true, 100..200) => {
                call.trying.get_or_insert(now - call.invited);
                call.pending = None;
            }
            (true, 200..300) => {
                call.trying.get_or_insert(now - call.invited);
                call.pending = call.pending.take().filter(|_| call.bye);
                if call.answered.is_none() {
                    call.answered = Some(now - call.invited);
                    call.over = Some(now + HOLD);
                    call.dialog = (uri.clone(), to.clone());
                }
                let ack = self.write("ACK", 1, n, &uri, &to, "");
                self.socket.send_to(&ack, self.server)?;
            }
            (true, _) => {
                let uri = format!("sip:echo@{}", self.server);
                let ack = String::from_utf8_lossy(&self.write("ACK", 1, n, &uri, &to, "")).replace("xACK;", "xINVITE;");
                self.socket.send_to(ack.as_bytes(), self.server)?;
                self.fail(n, &format!("refused with {code}"));
            }
            (false, 200..300) => {
                if let Some(call) = self.calls.remove(&n) {
                    self.outcome.trying.extend(call.trying);
                    self.outcome.answered.extend(call.answered);
                }
            }
            (false, _) => self.fail(n, &format!("BYE answered with {code}")),
        }
        Ok(())
    }

    /// What time asks for: repeats, hanging up, giving up.
    fn beat(&mut self, now: Instant) -> io::Result<()> {
        let numbers: Vec<u64> = self.calls.keys().copied().collect();
        for n in numbers {
            let Some(call) = self.calls.get_mut(&n) else { continue };
            if call.since + PATIENCE < now && (call.bye || call.answered.is_none()) {
                let why = if call.bye { "BYE not answered" } else { "not answered" };
                self.fail(n, why);
                continue;
            }
            if let Some((octets, due, wait)) = &mut call.pending
                && *due <= now
            {
                self.socket.send_to(octets, self.server)?;
                *wait *= 2;
                *due = now + *wait;
            }
            if !call.bye && call.over.is_some_and(|over| over <= now) {
                let (uri, to) = call.dialog.clone();
                let bye = self.write("BYE", 2, n, &uri, &to, "");
                self.socket.send_to(&bye, self.server)?;
                if let Some(call) = self.calls.get_mut(&n) {
                    (call.bye, call.since, call.pending) = (true, now, Some((bye, now + T1, T1)));
                }
            }
        }
        Ok(())
    }
}

fn measure(
    name: &str,
    server: Server,
    per_second: u64,
    seconds: u64,
    json: &mut BTreeMap<String, f64>,
) -> io::Result<Outcome> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let audio = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let (me, port) = (socket.local_addr()?, audio.local_addr()?.port());
    let mut phone = Phone { socket, me, server: server.sip, calls: HashMap::new(), outcome: Outcome::default() };
    let (started, cpu) = (Instant::now(), server.cpu());
    let total = per_second * seconds;
    let due = |n: u64| started + Duration::from_nanos(n * 1_000_000_000 / per_second);
    let (mut placed, mut beat, mut datagram) = (0, started, vec![0; 65_536]);
    while placed < total || !phone.calls.is_empty() {
        let now = Instant::now();
        while placed < total && due(placed) <= now {
            phone.invite(placed, port)?;
            placed += 1;
        }
        if beat <= now {
            phone.beat(now)?;
            beat = now + Duration::from_millis(5);
        }
        let next = if placed < total { due(placed).min(beat) } else { beat };
        let wait = next.saturating_duration_since(Instant::now()).max(Duration::from_micros(100));
        phone.socket.set_read_timeout(Some(wait))?;
        if let Ok(length) = phone.socket.recv(&mut datagram) {
            let at = Instant::now();
            phone.receive(&String::from_utf8_lossy(&datagram[..length]), at)?;
        }
    }
    let spent = (server.cpu() - cpu).as_secs_f64() / started.elapsed().as_secs_f64() * 100.0;
    let mut outcome = phone.outcome;
    let mut row = Vec::new();
    for (part, delays) in [("invite_100", &mut outcome.trying), ("invite_200", &mut outcome.answered)] {
        delays.sort_unstable();
        let at = |share: f64| {
            let index = ((delays.len() as f64 * share).ceil() as usize).clamp(1, delays.len().max(1)) - 1;
            delays.get(index).map_or(f64::NAN, |d| d.as_secs_f64() * 1000.0)
        };
        let values = [("p50", at(0.5)), ("p99", at(0.99)), ("p999", at(0.999))];
        row.push(values.map(|(_, ms)| format!("{ms:.2}")).join(" / "));
        json.extend(values.map(|(q, ms)| (format!("{name}_{part}_{q}_ms"), ms)));
    }
    println!("{name:<12} {:>7} {:>7} {:>28} {:>28} {spent:>9.1}", outcome.calls, outcome.failed, row[0], row[1]);
    json.extend([
        (format!("{name}_calls"), outcome.calls as f64),
        (format!("{name}_failed"), outcome.failed as f64),
        (format!("{name}_cpu_percent"), spent),
    ]);
    Ok(outcome)
}
