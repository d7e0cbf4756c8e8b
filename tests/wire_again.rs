//! Callers who come back, over real sockets and by voice: the version before of a live app is brought back, and an order that was left
//! before its approval is gone on with in the next call.

mod rig;

use rig::order::{self, APPROVAL, IN_EUROS, ORDER, READ_BACK};
use rig::{Daemon, eventually, get};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;

/// For whatever a machine that is short of time does in its own time.
const PATIENCE: Duration = Duration::from_secs(90);

fn json_of(daemon: &Daemon, path: &str) -> Value {
    let body = get(daemon.http, path).map(|(_, body)| body).unwrap_or_default();
    serde_json::from_str(&body).unwrap_or(Value::Null)
}

#[track_caller]
fn call(daemon: &Daemon, number: &str, steps: &[&str]) {
    if let Err(shown) = order::call(daemon.sip, number, "candles", steps) {
        panic!("{shown}\n{}", daemon.log());
    }
}

/// What visitors of the shop see.
fn goods(daemon: &Daemon) -> (u16, String) {
    let apps = json_of(daemon, "/v1/apps");
    let url = apps["items"][0]["app"]["url"].as_str().unwrap_or_default();
    let Ok(shop) = url.trim_start_matches("http://").trim_end_matches('/').parse::<SocketAddr>() else {
        return (0, apps.to_string());
    };
    get(shop, "/goods").unwrap_or_default()
}

fn shows(daemon: &Daemon, sign: char) -> bool {
    matches!(goods(daemon), (200, page) if page.contains(sign))
}

#[test]
fn the_version_before_is_brought_back_by_voice_and_answers() {
    let pin = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(pin.path(), "47110815\n").expect("a PIN");
    // Where changes take a PIN, a question of a build would change the app, and is not asked.
    let agents = format!(
        "[[routes]]\nmatch = \"301\"\napp = \"agent:guarded\"\n[[routes]]\nmatch = \"*\"\napp = \"agent:grace\"\n\
         [[agents]]\nname = \"grace\"\n[[agents]]\nname = \"guarded\"\npin_file = {:?}\npin_for = \"changes\"",
        pin.path()
    );
    let daemon = Daemon::start_with(&agents);
    let all: Vec<&str> = ORDER.into_iter().chain(READ_BACK).chain(APPROVAL).chain(IN_EUROS).collect();
    call(&daemon, "300", &all);
    assert!(eventually(PATIENCE, || shows(&daemon, '\u{20ac}')), "{:?}", goods(&daemon));
    let second = [
        "label = \"greeting\"\nexpect = [\"what shall i build for you\"]\ntimeout = 60",
        "label = \"wish\"\nsay = \"Please put the old version of the online shop back.\"",
        "label = \"sure\"\nexpect = [\"shall i bring back the version before of your online shop\"]\ntimeout = 60",
        "label = \"yes\"\nsay = \"Yes.\"",
        "label = \"authority\"\nexpect = [\"key in your pin\"]\ntimeout = 60",
        "label = \"keys\"\npress = \"47110815#\"",
        "label = \"done\"\nexpect = [\"the version before of your online shop is live again\"]\ntimeout = 120",
        "label = \"thanks\"\nsay = \"Thank you, goodbye.\"",
        "hang_up = true",
    ];
    call(&daemon, "301", &second);
    assert!(eventually(PATIENCE, || shows(&daemon, '$')), "{:?}", goods(&daemon));
    assert!(!shows(&daemon, '\u{20ac}'), "{:?}", goods(&daemon));
    let app = json_of(&daemon, "/v1/apps")["items"][0]["app"].clone();
    assert_eq!((&app["version"], &app["state"]), (&1.into(), &"live".into()), "{app}");
    let builds = json_of(&daemon, "/v1/builds")["items"].as_array().map(Vec::len);
    assert_eq!(builds, Some(2), "nothing is built for it");
}

#[test]
fn an_order_that_was_left_before_its_approval_is_gone_on_with_in_the_next_call() {
    let daemon = Daemon::start();
    let left: Vec<&str> = ORDER.into_iter().chain(READ_BACK).chain(["hang_up = true"]).collect();
    call(&daemon, "300", &left);
    let over = || json_of(&daemon, "/v1/calls")["live"].as_array().is_some_and(Vec::is_empty);
    assert!(eventually(PATIENCE, over), "{}", daemon.log());
    assert_eq!(json_of(&daemon, "/v1/builds")["items"], Value::Array(vec![]), "nobody has approved it");
    let back = [
        "label = \"greeting\"\nexpect = [\"we were talking about your online shop\", \"shall we go on\"]\ntimeout = 60",
        "label = \"question\"\nsay = \"Well, where were we?\"",
    ];
    let then = ["label = \"live\"\nexpect = [\"is live\"]\ntimeout = 120", "hang_up = true"];
    let all: Vec<&str> = back.into_iter().chain(READ_BACK).chain(APPROVAL).chain(then).collect();
    call(&daemon, "300", &all);
    let builds = || json_of(&daemon, "/v1/builds")["items"].clone();
    assert!(eventually(PATIENCE, || builds()[0]["stage"] == "tracked"), "{}", builds());
    assert_eq!(builds().as_array().map(Vec::len), Some(1), "{}", builds());
    assert!(eventually(PATIENCE, || goods(&daemon).0 == 200), "{:?}", goods(&daemon));
}
