//! SIPp plays both roles in calls of every shape (`tests/sipp/in_*.xml` it calls the daemon's echo, `out_*.xml` it is called).
//! Where a scenario has sound, a phone beside SIPp (`ear`) says something and hears it come back. A scenario is a row of
//! [`CALLS_IN`] or [`CALLS_OUT`]; what it writes as `@{…}` is in `parts`.

mod ear;
mod parts;
#[path = "../rig/mod.rs"]
mod rig;

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use ear::Ear;
use rig::{Daemon, eventually, free_udp, get, request};
use serde_json::{Value, json};

/// What is done on the daemon's side while the scenario runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Then {
    /// Nothing: SIPp does it all.
    Nothing,
    /// The call is answered by the API, once it has rung for a while.
    Answer,
    /// The call is ended by the API, once it has been up for a while.
    HangUp,
}

/// A call to the daemon.
struct In {
    scenario: &'static str,
    /// Who is called: `echo`, or `desk`, where it rings.
    service: &'static str,
    /// Frames that must come back at each of the phone's ports.
    echoed: &'static [usize],
    then: Then,
    /// What the daemon must have for it; see [`LANDED`].
    feature: &'static str,
}

/// A call from the daemon.
struct Out {
    scenario: &'static str,
    echoed: usize,
    then: Then,
    /// How long it may ring, seconds.
    timeout_s: u64,
    /// Status code that the call's record must bear; 200 = none that matters.
    code: u64,
    feature: &'static str,
}

/// Features of [`In`] and [`Out`] that the daemon has; rows of others wait.
const LANDED: &[&str] = &["call", "change", "timer", "reliable", "transfer", "fork", "place"];

const fn call(scenario: &'static str, feature: &'static str) -> In {
    In { scenario, service: "echo", echoed: &[20], then: Then::Nothing, feature }
}

/// Without sound.
const fn mute(scenario: &'static str, feature: &'static str) -> In {
    In { scenario, service: "echo", echoed: &[], then: Then::Nothing, feature }
}

/// It rings.
const fn desk(scenario: &'static str, then: Then, feature: &'static str) -> In {
    In { scenario, service: "desk", echoed: &[], then, feature }
}

const CALLS_IN: &[In] = &[
    call("in_early_offer", "call"),
    call("in_delayed_offer", "call"),
    call("in_hold_sendonly", "change"),
    call("in_hold_inactive", "change"),
    call("in_hold_null_address", "change"),
    // Sound in the law that is no longer spoken does not come back.
    In { echoed: &[10], ..call("in_codec_change", "change") },
    In { echoed: &[10, 20], ..call("in_address_change", "change") },
    call("in_identical_refresh", "change"),
    call("in_offerless_reinvite", "change"),
    desk("in_cancel_at_100", Then::Nothing, "call"),
    desk("in_cancel_at_180", Then::Nothing, "call"),
    call("in_cancel_after_200", "call"),
    mute("in_bye_before_ack", "call"),
    call("in_repeated_200", "call"),
    call("in_late_ack", "call"),
    mute("in_info_digits", "call"),
    call("in_options_in_call", "call"),
    mute("in_unknown_methods", "call"),
    call("in_unknown_methods_in_call", "call"),
    mute("in_require_420", "call"),
    desk("in_prack", Then::Answer, "reliable"),
    call("in_update", "change"),
    call("in_session_timer", "timer"),
    call("in_refer", "transfer"),
    In { then: Then::HangUp, ..call("in_loose_route", "call") },
    In { then: Then::HangUp, ..call("in_strict_route", "call") },
    mute("in_srtp_refused", "call"),
    call("in_two_lines", "call"),
    call("in_fax_refused", "change"),
    mute("in_mwi", "call"),
    call("in_latin_1_name", "call"),
    call("in_folded_compact", "call"),
    call("in_no_content_length", "call"),
    mute("in_only_telephone_event", "call"),
    In { then: Then::HangUp, ..call("in_merged", "call") },
    call("in_no_hops", "call"),
    call("in_old_number", "call"),
];

const fn place(scenario: &'static str, feature: &'static str) -> Out {
    Out { scenario, echoed: 20, then: Then::HangUp, timeout_s: 20, code: 200, feature }
}

const fn refused(scenario: &'static str, code: u64) -> Out {
    Out { scenario, echoed: 0, then: Then::Nothing, timeout_s: 20, code, feature: "place" }
}

const CALLS_OUT: &[Out] = &[
    place("out_answered", "place"),
    Out { then: Then::Nothing, ..place("out_ended_by_peer", "place") },
    place("out_early_media", "place"),
    place("out_forked", "fork"),
    refused("out_refused_302", 302),
    refused("out_refused_401", 401),
    refused("out_refused_486", 486),
    refused("out_refused_503", 503),
    refused("out_refused_603", 603),
    place("out_loose_route", "place"),
    Out { timeout_s: 1, ..refused("out_no_answer", 200) },
    place("out_prack", "reliable"),
    Out { then: Then::Nothing, ..place("out_held_by_peer", "change") },
    place("out_two_answers", "fork"),
];

const ROUTES: &str = "[[routes]]\nmatch = \"desk\"\napp = \"manual\"\n[[routes]]\nmatch = \"*\"\napp = \"echo\"\n";

/// How long one scenario may take; the machine may be busy with other tests.
const LIMIT: Duration = Duration::from_secs(40);

/// SIPp's record of what was sent and received.
const MESSAGES: &str = "messages.log";

/// Ports that SIPp binds for media, whether it has any or not; below all others.
fn media_port() -> u16 {
    static USED: AtomicU16 = AtomicU16::new(0);
    let seed = (std::process::id() as u16).wrapping_mul(31);
    let is_free = |port: &u16| [*port, port + 2].iter().all(|port| UdpSocket::bind(("127.0.0.1", *port)).is_ok());
    let mut ports =
        std::iter::repeat_with(|| 6000 + seed.wrapping_add(USED.fetch_add(1, Ordering::Relaxed)) % 390 * 10);
    ports.find(is_free).expect("it goes round for ever")
}

/// A SIPp under way.
struct Sipp {
    child: std::process::Child,
    dir: tempfile::TempDir,
    address: SocketAddr,
}

impl Sipp {
    /// `to`: whom it calls, and which number; `None`: it is called.
    fn start(scenario: &str, to: Option<(SocketAddr, &str)>, ears: &mut [Ear]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/sipp/{scenario}.xml"));
        let text = std::fs::read_to_string(&source).unwrap_or_else(|e| panic!("{}: {e}", source.display()));
        std::fs::write(dir.path().join("scenario.xml"), parts::whole(&text)).expect("the scenario");
        let address = free_udp();
        let mut command = Command::new("sipp");
        command.current_dir(dir.path());
        if let Some((daemon, service)) = to {
            command.arg(daemon.to_string()).args(["-s", service]);
        }
        for (key, ear) in ["audio", "audio2"].into_iter().zip(ears) {
            command.args(["-key", key, &ear.port().to_string()]);
            ear.listen(dir.path().join(MESSAGES));
        }
        let child = command
            .args(["-sf", "scenario.xml", "-i", "127.0.0.1", "-mi", "127.0.0.1", "-p", &address.port().to_string()])
            .args([
                "-mp",
                &media_port().to_string(),
                "-key",
                "fold",
                " ",
                "-m",
                "1",
                "-d",
                "1200",
                "-timeout",
                "30s",
                "-timeout_error",
            ])
            .args(["-nostdin", "-trace_err", "-error_file", "errors.log", "-trace_msg", "-message_file", MESSAGES])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("sipp cannot be run ({e}): `make setup-test` installs it"));
        Self { child, dir, address }
    }

    /// Waits for its end; what it has seen, if it did not go as the scenario says.
    fn finish(mut self) -> Result<(), String> {
        let deadline = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                break status;
            }
            if Instant::now() > deadline {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        if status.success() {
            return Ok(());
        }
        let read = |name: &str| {
            let octets = std::fs::read(self.dir.path().join(name)).unwrap_or_default();
            String::from_utf8_lossy(&octets).into_owned()
        };
        Err(format!("{status}\n{}\n{}", read("errors.log"), read(MESSAGES)))
    }
}

fn post(daemon: &Daemon, path: &str, body: &Value) -> (u16, Value) {
    let (status, text) =
        request(daemon.http, "POST", path, "application/json", &body.to_string()).expect("the API answers");
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

fn json_of(daemon: &Daemon, path: &str) -> Value {
    let (_, body) = get(daemon.http, path).expect("the API answers");
    serde_json::from_str(&body).unwrap_or(Value::Null)
}

/// The live call with this port in its peer, once it is in that state.
fn live(daemon: &Daemon, port: u16, state: &str) -> Option<String> {
    let mut found = None;
    eventually(Duration::from_secs(8), || {
        let calls = json_of(daemon, "/v1/calls")["live"].as_array().cloned().unwrap_or_default();
        let ours = calls.iter().find(|c| c["state"] == state && c.to_string().contains(&format!(":{port}")));
        found = ours.and_then(|c| c["id"].as_str()).map(str::to_owned);
        found.is_some()
    });
    found
}

/// What the daemon's side does.
fn steer(daemon: &Daemon, port: u16, then: Then) -> Result<(), String> {
    let (state, verb) = match then {
        Then::Nothing => return Ok(()),
        Then::Answer => ("ringing", "answer"),
        Then::HangUp => ("answered", "hangup"),
    };
    let id =
        live(daemon, port, state).ok_or_else(|| format!("no call is {state}: {}", json_of(daemon, "/v1/calls")))?;
    std::thread::sleep(Duration::from_millis(1200));
    let (status, said) = post(daemon, &format!("/v1/calls/{id}/{verb}"), &json!({}));
    if status == 204 { Ok(()) } else { Err(format!("{verb}: {status} {said}")) }
}

fn heard(ears: Vec<Ear>, wanted: &[usize]) -> Result<(), String> {
    for (ear, wanted) in ears.into_iter().zip(wanted) {
        let (echoed, received) = ear.finish();
        if echoed < *wanted {
            return Err(format!("{echoed} frames came back whole, {wanted} should ({received} packets came)"));
        }
    }
    Ok(())
}

fn call_in(daemon: &Daemon, row: &In) -> Result<(), String> {
    let mut ears: Vec<Ear> = (0..row.echoed.len().max(1)).map(|_| Ear::new()).collect();
    let sipp = Sipp::start(row.scenario, Some((daemon.sip, row.service)), &mut ears);
    let steered = steer(daemon, sipp.address.port(), row.then);
    sipp.finish().and(steered)?;
    heard(ears, row.echoed)
}

fn call_out(daemon: &Daemon, row: &Out) -> Result<(), String> {
    let mut ears = vec![Ear::new()];
    let sipp = Sipp::start(row.scenario, None, &mut ears);
    // It says nowhere that it listens; what comes too early is sent again.
    std::thread::sleep(Duration::from_millis(300));
    let order = json!({"to": format!("sip:sipp@{}", sipp.address), "app": "echo", "timeout_s": row.timeout_s});
    let (status, placed) = post(daemon, "/v1/calls", &order);
    let id = placed["id"].as_str().filter(|_| status == 202).ok_or_else(|| format!("not placed: {status} {placed}"))?;
    let steered = steer(daemon, sipp.address.port(), row.then);
    sipp.finish().and(steered)?;
    let path = format!("/v1/calls/{id}");
    let over = eventually(Duration::from_secs(8), || json_of(daemon, &path)["ended_by"].is_string());
    let record = json_of(daemon, &path);
    if !over || (row.code != 200 && record["sip_code"] != row.code) {
        return Err(format!("{} should be the code of {record}", row.code));
    }
    heard(ears, &[row.echoed])
}

/// All rows at one daemon, some at a time.
fn all<R: Sync>(
    rows: &[R],
    feature: fn(&R) -> &'static str,
    run: fn(&Daemon, &R) -> Result<(), String>,
    name: fn(&R) -> &'static str,
) {
    let mut daemon = Daemon::start_with(ROUTES);
    let only = std::env::var("CALLWRIGHT_SCENARIO").unwrap_or_default();
    let waiting: Mutex<VecDeque<&R>> =
        Mutex::new(rows.iter().filter(|r| LANDED.contains(&feature(r)) && name(r).contains(&only)).collect());
    let wrong: Mutex<Vec<String>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some(row) = waiting.lock().expect("no thread fails with it").pop_front() else { return };
                    if let Err(why) = run(&daemon, row) {
                        wrong.lock().expect("no thread fails with it").push(format!("== {}: {why}", name(row)));
                    }
                }
            });
        }
    });
    assert!(daemon.alive());
    let wrong = wrong.into_inner().expect("no thread has failed with it");
    assert!(wrong.is_empty(), "{} of {} scenarios\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    let over = || json_of(&daemon, "/v1/calls")["live"].as_array().is_some_and(Vec::is_empty);
    assert!(eventually(Duration::from_secs(35), over), "{}", json_of(&daemon, "/v1/calls"));
}

#[test]
fn sipp_calls() {
    all(CALLS_IN, |r| r.feature, call_in, |r| r.scenario);
}

#[test]
fn sipp_is_called() {
    all(CALLS_OUT, |r| r.feature, call_out, |r| r.scenario);
}

#[test]
fn every_scenario_has_its_row() {
    let rows = || CALLS_IN.iter().map(|r| r.scenario).chain(CALLS_OUT.iter().map(|r| r.scenario));
    assert!(rows().count() >= 30);
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sipp");
    for file in std::fs::read_dir(dir).expect("the scenarios").flatten() {
        let file = file.file_name().to_string_lossy().into_owned();
        let name = file.trim_end_matches(".xml");
        assert!(
            !(name.starts_with("in_") || name.starts_with("out_")) || rows().any(|r| r == name),
            "{name} has no row"
        );
    }
}
