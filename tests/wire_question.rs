//! Questions in the middle of builds, over real sockets with a real caller: a shop whose order names no currency. Asked on the line,
//! the answer is its next version; where the build waits for it and the caller has hung up, the caller is called and asked.

mod rig;

use callwright::apphost::bundle::Files;
use callwright::config::Config;
use callwright::daemon;
use callwright::pipeline::kernel::frame::Ask;
use callwright::pipeline::kernel::{self, Capability, Kernel};
use callwright::pipeline::manifest::{BuildManifest, BuildType};
use callwright::pipeline::spec::Spec;
use callwright::rtp::Codec;
use rig::order::{APPROVAL, IN_EUROS, ORDER, READ_BACK, speech};
use rig::ua::Ua;
use rig::{Daemon, eventually, get, order};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// For whatever a machine that is short of time does in its own time.
const PATIENCE: Duration = Duration::from_secs(90);

fn json_of(http: SocketAddr, path: &str) -> Value {
    let body = get(http, path).map(|(_, body)| body).unwrap_or_default();
    serde_json::from_str(&body).unwrap_or(Value::Null)
}

/// The order, its read-back and its yes, and what follows.
#[track_caller]
fn call(to: SocketAddr, from: &str, steps: &[&str]) {
    let all: Vec<&str> = ORDER.into_iter().chain(READ_BACK).chain(APPROVAL).chain(steps.iter().copied()).collect();
    if let Err(shown) = order::call(to, "300", from, &all) {
        panic!("{shown}");
    }
}

/// The builds of the shop, the oldest first.
fn builds(http: SocketAddr) -> Vec<Value> {
    let mut builds = json_of(http, "/v1/builds")["items"].as_array().cloned().unwrap_or_default();
    builds.sort_by_key(|build| build["number"].as_u64());
    builds
}

/// Waits until there are so many builds and all of them serve; returns them.
#[track_caller]
fn tracked(http: SocketAddr, count: usize) -> Vec<Value> {
    let stands = eventually(PATIENCE, || {
        let builds = builds(http);
        builds.len() == count && builds.iter().all(|build| build["stage"] == "tracked")
    });
    assert!(stands, "not {count} builds that serve: {:?}", builds(http));
    builds(http)
}

fn question(http: SocketAddr, build: &Value) -> Value {
    json_of(http, &format!("/v1/builds/{}", build["id"].as_str().unwrap_or_default()))["questions"][0].clone()
}

/// What the shop's prices are in, as its visitors see it.
fn currency(http: SocketAddr) -> Value {
    let shop = json_of(http, "/v1/builds")["items"][0].clone();
    json_of(http, &format!("/v1/builds/{}", shop["id"].as_str().unwrap_or_default()))["spec"]["currency"].clone()
}

#[test]
fn a_question_on_the_line_is_answered_and_the_answer_is_the_next_version() {
    let daemon = Daemon::start();
    call(daemon.sip, "candles", &IN_EUROS);
    let builds = tracked(daemon.http, 2);
    let asked = question(daemon.http, &builds[0]);
    assert_eq!(
        (&asked["state"], &asked["answer"], &asked["answered_by"]),
        (&"answered".into(), &"EUR".into(), &"voice".into()),
        "{asked}"
    );
    assert_eq!(asked["follow_up"], builds[1]["id"], "{asked}");
    assert!(question(daemon.http, &builds[1]).is_null(), "it is asked once");
    assert_eq!(builds[0]["slug"], builds[1]["slug"], "the same shop");
    assert_eq!(currency(daemon.http), "EUR");
}

/// The generator of shops, which is not done before the caller has gone, and whose build waits for what it asks. Those of this
/// program take a second and wait for nothing.
#[derive(Debug)]
struct Late {
    inner: Box<dyn Kernel>,
    gone: Arc<AtomicBool>,
}

impl Kernel for Late {
    fn name(&self) -> &'static str {
        self.inner.name()
    }
    fn can(&self, build_type: BuildType, capability: Capability) -> bool {
        self.inner.can(build_type, capability)
    }
    fn generate(&self, manifest: &BuildManifest, spec: &Spec) -> Result<Files, String> {
        let begun = Instant::now();
        while !self.gone.load(Ordering::Acquire) {
            if begun.elapsed() > 3 * PATIENCE {
                return Err("the caller is still there".into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.inner.generate(manifest, spec)
    }
    fn questions(&self, manifest: &BuildManifest, spec: &Spec) -> Vec<Ask> {
        self.inner.questions(manifest, spec).into_iter().map(|ask| Ask { wait_s: 3_600, ..ask }).collect()
    }
}

/// A daemon within this process, so that its kernels are the test's; everything else is as ever.
struct Inner {
    runtime: Runtime,
    daemon: daemon::Daemon,
    sip: SocketAddr,
    http: SocketAddr,
    _dir: tempfile::TempDir,
}

impl Inner {
    fn start(agents: &str, gone: &Arc<AtomicBool>) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let (sip, http) = (rig::free_udp(), rig::free_tcp());
        let (rtp, apps) = (rig::free_rtp_range(), rig::free_app_range());
        let file = dir.path().join("callwright.toml");
        let text = format!(
            "[sip]\nudp = \"{sip}\"\n[rtp]\naddress = \"127.0.0.1\"\nports = \"{}-{}\"\n[http]\nlisten = \"{http}\"\n[data]\ndir = {:?}\n\
             [apps]\nports = \"{}-{}\"\n{agents}\n",
            rtp.0,
            rtp.1,
            dir.path().join("var"),
            apps.0,
            apps.1
        );
        std::fs::write(&file, text).expect("the configuration is written");
        let config = Config::load(Some(&file), std::iter::empty()).expect("a configuration");
        let runtime = Runtime::new().expect("a runtime");
        let late = |inner| Box::new(Late { inner, gone: Arc::clone(gone) }) as Box<dyn Kernel>;
        let kernels = kernel::all().into_iter().map(late).collect();
        let starts = daemon::Daemon::start_with(config, Some(file), |mut builds| {
            (builds.program, builds.kernels) = (env!("CARGO_BIN_EXE_callwright").into(), kernels);
            builds
        });
        let daemon = runtime.block_on(starts).expect("the daemon starts");
        Self { runtime, daemon, sip, http, _dir: dir }
    }

    fn stop(self) {
        self.runtime.block_on(self.daemon.stop());
    }
}

/// The call that is promised for this question, or for the end of the build.
fn return_call(http: SocketAddr, question: Option<&str>) -> Value {
    let all = json_of(http, "/v1/return_calls")["items"].as_array().cloned().unwrap_or_default();
    all.into_iter().find(|call| call["question"].as_str() == question).unwrap_or(Value::Null)
}

/// What was said in a call, turn by turn.
fn said(http: SocketAddr, call: &str) -> String {
    let record = json_of(http, &format!("/v1/calls/{call}"));
    json_of(http, &format!("/v1/conversations/{}", record["conversation_id"].as_str().unwrap_or_default()))["turns"]
        .to_string()
}

#[test]
fn a_build_that_waits_calls_its_caller_who_has_hung_up_and_goes_live_with_the_answer() {
    let line = Runtime::new().expect("a runtime");
    let mut phone = line.block_on(async { Ua::new(&[Codec::Pcmu]) });
    let gone = Arc::new(AtomicBool::new(false));
    let agents = format!(
        "[[agents]]\nname = \"grace\"\n[agents.return_call]\nwhen = \"ask\"\nby = \"sip:{{number}}@{}\"\nringing_s = 120",
        phone.address()
    );
    let daemon = Inner::start(&agents, &gone);
    let http = daemon.http;
    call(
        daemon.sip,
        "493012345",
        &[
            "label = \"asked\"\nexpect = [\"shall i call you when it is live\"]\ntimeout = 60",
            "label = \"consent\"\nsay = \"Yes, please.\"",
            "label = \"promise\"\nexpect = [\"i will call you when it is live\"]\ntimeout = 60",
            "hang_up = true",
        ],
    );
    let ended = |call: &Value| !call["ended"].is_null();
    let over = || json_of(http, "/v1/calls")["items"].as_array().and_then(|calls| calls.first()).is_some_and(ended);
    assert!(eventually(PATIENCE, over), "{}", json_of(http, "/v1/calls"));
    let promised = return_call(http, None);
    assert_eq!((&promised["state"], &promised["consent"]), (&"waiting".into(), &"asked".into()), "{promised}");
    // Nobody is there to be asked on the line.
    gone.store(true, Ordering::Release);
    let rings = eventually(PATIENCE, || return_call(http, Some("currency"))["state"] == "ringing");
    assert!(rings, "{}\n{:?}", json_of(http, "/v1/return_calls"), builds(http));
    let build = builds(http)[0].clone();
    assert_eq!((&build["stage"], &question(http, &build)["state"]), (&"planned".into(), &"open".into()), "{build}");
    line.block_on(async {
        phone.ringing().await;
        phone.accept().await;
    });
    let ringing = return_call(http, Some("currency"));
    let call = ringing["call_id"].as_str().expect("a call was placed").to_owned();
    // Talks on, silent or with a sentence, until this holds.
    let talk_until = |sentence: &[i16], seconds: u64, holds: &dyn Fn() -> bool| {
        let begun = Instant::now();
        line.block_on(async {
            if !sentence.is_empty() {
                phone.say(sentence.to_vec()).await;
            }
            while !holds() && begun.elapsed() < Duration::from_secs(seconds) {
                phone.talk(0.0, 500, None).await;
            }
        });
        holds()
    };
    let asks = talk_until(&[], PATIENCE.as_secs(), &|| said(http, &call).contains("unless you say"));
    assert!(asks, "{}", said(http, &call));
    for part in ["You asked me to call you back.", "waits for an answer.", "Which currency are your prices in?"] {
        assert!(said(http, &call).contains(part), "{part}: {}", said(http, &call));
    }
    let euros = speech("Euros, please.");
    let answered = || question(http, &build)["state"] == "answered";
    let mut taken = talk_until(&euros, 20, &answered);
    // Who is not understood presses the key that is offered then, again where a busy machine loses it.
    for _ in 0..2 {
        if !taken {
            line.block_on(phone.talk(0.0, 600, Some(2)));
            taken = talk_until(&[], 20, &answered);
        }
    }
    assert!(taken, "{}\n{}", question(http, &build), said(http, &call));
    // It goes on at once, and the caller hears the end of it in the same call.
    let told = talk_until(&[], PATIENCE.as_secs(), &|| return_call(http, None)["state"] == "told");
    assert!(told, "{}\n{}", json_of(http, "/v1/return_calls"), said(http, &call));
    assert!(said(http, &call).contains("is live."), "{}", said(http, &call));
    line.block_on(phone.hang_up());
    let builds = tracked(http, 1);
    let asked = question(http, &builds[0]);
    assert_eq!((&asked["answer"], &asked["answered_by"]), (&"EUR".into(), &"voice".into()), "{asked}");
    assert_eq!(currency(http), "EUR");
    let url = builds[0]["url"].as_str().expect("it is somewhere");
    let shop: SocketAddr = url.trim_start_matches("http://").trim_end_matches('/').parse().expect("an address");
    let (status, page) = get(shop, "/goods").expect("the shop answers");
    assert!(status == 200 && page.contains('\u{20ac}'), "{status} {page}");
    let rung = [return_call(http, Some("currency")), return_call(http, None)].map(|call| call["tries"].clone());
    assert_eq!(rung, [1, 0], "a telephone rang once for all of it");
    daemon.stop();
}

#[test]
fn who_talks_over_an_order_that_is_on_its_way_does_not_end_it_and_hears_once_that_it_is_live() {
    let gone = Arc::new(AtomicBool::new(false));
    let daemon = Inner::start("", &gone);
    let (sip, http) = (daemon.sip, daemon.http);
    let caller = std::thread::spawn(move || {
        let steps = [
            ORDER[0],
            "label = \"order\"\nsay = \"Build me a C R M with contacts.\"",
            "label = \"read-back\"\nexpect = [\"contacts\", \"shall i build it\"]\ntimeout = 60",
            "label = \"approval\"\nsay = \"Yes.\"",
            "label = \"interruption\"\nsay = \"Wait, what about the weather in Boston?\"\ninterrupt_after = 0.5",
            "label = \"live\"\nexpect = [\"is live\"]\ntimeout = 60",
            "hang_up = true",
        ];
        order::call(sip, "300", "ann", &steps)
    });
    let told = || {
        let live = json_of(http, "/v1/calls")["items"][0]["id"].as_str().map(|call| said(http, call));
        live.unwrap_or_default()
    };
    // The order is with the builders; what was said of it was cut off, and the caller's words have been answered.
    let interrupted = eventually(PATIENCE, || told().to_lowercase().contains("boston") || caller.is_finished());
    gone.store(true, Ordering::Release);
    let followed = caller.join().expect("the caller's thread");
    assert!(interrupted && followed.is_ok(), "{}\n{}", followed.err().unwrap_or_default(), told());
    let once = |part: &str| told().matches(part).count() == 1;
    assert!(eventually(PATIENCE, || once("Your CRM is live.")), "{}", told());
    let turns = told();
    let order = turns.split("I\'m on it.").nth(1).unwrap_or_default();
    assert!(
        order.split("\"heard\":").nth(1).is_some_and(|heard| !heard.starts_with("null")),
        "it was cut off: {turns}"
    );
    assert_eq!(tracked(http, 1).len(), 1);
    daemon.stop();
}
