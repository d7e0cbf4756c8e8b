//! A browser whose audio goes by a TURN server alone: Chromium on the daemon's own page, and coturn, which knows the daemon's secret.
//! What the page says comes back from the echo, by the relay, and the server has let nobody else in.

#![expect(clippy::print_stderr, reason = "a skipped test says so")]

mod browser;
mod chromium;
mod rig;

use browser::ask;
use chromium::{Browser, LONG};
use rig::{Daemon, eventually, free_udp};
use serde_json::{Value, json};
use std::process::{Child, Command, Stdio};

struct Turn(Child);

impl Drop for Turn {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn program() -> Option<String> {
    let name = std::env::var("CALLWRIGHT_TURNSERVER").unwrap_or_else(|_| "turnserver".to_owned());
    let there = Command::new(&name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    there.is_ok_and(|status| status.success()).then_some(name)
}

#[test]
fn a_browser_is_heard_by_a_relay_with_credentials_of_the_page() {
    let (Some(program), true) = (program(), Browser::can_be_had()) else {
        eprintln!("skipped: there is no turnserver (apt install coturn) or no chromium");
        return;
    };
    let at = free_udp();
    let directory = tempfile::tempdir().expect("a directory");
    let log = directory.path().join("turn.log");
    let server = Command::new(program)
        .args([
            "-n",
            "--listening-ip=127.0.0.1",
            "--relay-ip=127.0.0.1",
            "--allow-loopback-peers",
            "--realm=box.example",
        ])
        .args([
            "--use-auth-secret",
            "--static-auth-secret=north",
            "--no-cli",
            "--no-tls",
            "--no-dtls",
            "--simple-log",
            "-v",
        ])
        .arg(format!("--listening-port={}", at.port()))
        .arg(format!("--log-file={}", log.display()))
        .arg(format!("--pidfile={}", directory.path().join("pid").display()))
        .arg(format!("--userdb={}", directory.path().join("db").display()))
        .current_dir(directory.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("coturn starts");
    let _server = Turn(server);
    let said = || std::fs::read_to_string(&log).unwrap_or_default();
    assert!(eventually(LONG, || said().contains("listener opened")), "{}", said());
    let daemon = Daemon::start_with(&format!(
        "[webrtc]\nnumber = \"echo\"\n[webrtc.turn]\nurls = [\"turn:{at}?transport=udp\"]\nsecret = \"north\"\nonly = true\n"
    ));
    let facts = ask(daemon.http, "GET", "/v1/webrtc", &[], "");
    assert_eq!(facts.field("cache-control"), Some("no-store"));
    let facts: Value = serde_json::from_str(&facts.body).expect("JSON");
    assert_eq!(facts["ice_transport_policy"], "relay");
    assert!(facts["ice_servers"][0]["username"].as_str().is_some_and(|name| name.ends_with(":callwright")), "{facts}");

    let mut browser = Browser::start(&[]);
    let tab = browser.tab();
    browser.microphone("granted");
    browser.open(&tab, &format!("http://{}/call", daemon.http));
    // A page whose credentials are none gets no relay.
    let relays = |servers: &Value| {
        format!(
            "(async () => {{ const p = new RTCPeerConnection({{ iceServers: {servers}, iceTransportPolicy: 'relay' }});
               p.createDataChannel('x'); let n = 0; p.onicecandidate = (e) => {{ if (e.candidate?.candidate) n++; }};
               await p.setLocalDescription();
               for (let k = 0; k < 400 && p.iceGatheringState !== 'complete' && !n; k++) await new Promise((r) => setTimeout(r, 50));
               p.close(); return n; }})()"
        )
    };
    let mut wrong = facts["ice_servers"].clone();
    wrong[0]["credential"] = json!("bm9ib2R5IGtub3dzIHRoaXMgb25lLi4=");
    assert_eq!(browser.eval(&tab, &relays(&wrong)), json!(0), "{}", said());
    assert!(browser.eval(&tab, &relays(&facts["ice_servers"])).as_u64() > Some(0), "{}", said());

    browser.eval(
        &tab,
        "globalThis.heard = 0; globalThis.state = '';
         globalThis.made = []; const P = RTCPeerConnection;
         globalThis.RTCPeerConnection = class extends P { constructor(...a) { super(...a); made.push(this); } };
         globalThis.mine = callwright.call({ to: 'echo', onState: (s, why) => { state = s + (why ? ' ' + why.message : ''); },
           onLevel: ({ theirs }) => { heard = Math.max(heard, theirs); } }); true",
    );
    browser.until(&tab, "heard > 0.02");
    let pair = "(async () => { const all = [...(await made[0].getStats()).values()];
        const pair = all.find((s) => s.type === 'candidate-pair' && s.nominated && s.state === 'succeeded');
        return all.find((s) => s.id === pair?.localCandidateId)?.candidateType ?? ''; })()";
    assert_eq!(browser.eval(&tab, pair), json!("relay"));
    assert!(said().contains(":callwright"), "{}", said());
    browser.eval(&tab, "mine.hangUp(); true");
}
