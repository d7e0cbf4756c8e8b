//! Software ordered by phone, from call audio to a page that answers and a report that is heard: a voice through the
//! telephone channel, the recogniser that needs no key, the read-back, a yes, the build, HTTP, "how is it doing?".
//!
//! All five, and a dashboard of the box's own calls, with `CALLWRIGHT_PHONE_TYPES=all` (`make phone-types`, which runs it in a network namespace of its own, where there is
//! nobody to ask for help), or those that it names; each app is then used in headless Chromium. Without, nothing is done here: a call takes 40 s, `wire_demo` makes one
//! for everybody, and `spoken_types` hears and understands the same orders.

mod rig;

use rig::Daemon;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Each type: its script, how its name for paths begins, and a path of it that answers a stranger with this in it. The board is a
/// dashboard of the box's own calls, those of this test among them.
const TYPES: [(&str, &str, &str, &str); 6] = [
    ("website", "website", "/", "<html"),
    ("shop", "online-shop", "/", "<html"),
    ("api", "api", "/openapi.json", "\"openapi\""),
    ("dashboard", "dashboard", "/setup", "<html"),
    ("crm", "crm", "/", "<html"),
    ("board", "dashboard", "/setup", "<html"),
];

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/phone_types").join(format!("{name}.toml"))
}

/// One scripted call; what was said, and whether the script was followed to its end.
fn call(daemon: &Daemon, name: &str) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_callwright"))
        .arg("dial")
        .arg(format!("sip:300@{}", daemon.sip))
        .args(["--from", &format!("<sip:{name}@127.0.0.1>"), "--script"])
        .arg(script(name))
        .output()
        .expect("the binary starts");
    let shown = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), shown)
}

/// The newest live build of this name: where it is, and the code for its first account.
fn live(daemon: &Daemon, slug: &str) -> Option<(String, String)> {
    let (_, body) = rig::get(daemon.http, "/v1/builds").ok()?;
    let builds: Value = serde_json::from_str(&body).ok()?;
    // The newest come first.
    let ours =
        builds["items"].as_array()?.iter().find(|build| build["slug"].as_str().is_some_and(|s| s.starts_with(slug)))?;
    let (_, body) = rig::get(daemon.http, &format!("/v1/builds/{}", ours["id"].as_str()?)).ok()?;
    let build: Value = serde_json::from_str(&body).ok()?;
    Some((ours["url"].as_str()?.to_owned(), build["setup"]["code"].as_str()?.to_owned()))
}

/// Chromium signs in, creates, edits, searches, deletes, checks out or looks at charts: what it could not do.
fn used(name: &str, url: &str, code: &str, calls: usize) -> Result<(), String> {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("node")
        .args(["--experimental-websocket", "tests/browser/types.mjs", "--live", name, url, code, "target/phone-types"])
        .env("CALLS", calls.to_string())
        .current_dir(tree)
        .output()
        .map_err(|error| format!("node does not start: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.success() { Ok(()) } else { Err(format!("{said}{}", String::from_utf8_lossy(&output.stderr))) }
}

/// Nothing but ourselves can be reached from here.
fn is_alone() -> bool {
    let routes = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
    let devices = std::fs::read_to_string("/proc/net/dev").unwrap_or_default();
    let devices: Vec<&str> = devices.lines().skip(2).filter_map(|line| line.trim().split(':').next()).collect();
    routes.lines().count() <= 1 && devices == ["lo"]
}

#[test]
#[expect(clippy::print_stderr, reason = "make phone-types prints its table")]
fn software_is_ordered_by_phone_built_served_and_reported() {
    let Ok(wanted) = std::env::var("CALLWRIGHT_PHONE_TYPES") else { return };
    let all = wanted == "all";
    assert!(!all || is_alone(), "run this by make phone-types: there is a network here");
    let daemon = Daemon::start();
    let mut failed = Vec::new();
    let ordered = TYPES.into_iter().filter(|(name, ..)| all || wanted.split(',').any(|w| w == *name));
    for (calls, (name, slug, path, marker)) in (1..).zip(ordered) {
        let (followed, shown) = call(&daemon, name);
        let place = live(&daemon, slug);
        let page = place.as_ref().is_some_and(|(url, _)| {
            let to = url.trim_start_matches("http://").trim_end_matches('/').parse::<SocketAddr>();
            let page = to.ok().and_then(|to| rig::get(to, path).ok());
            page.is_some_and(|(status, body)| status == 200 && body.contains(marker))
        });
        let browser = match &place {
            Some((url, code)) if page => used(name, url, code, calls),
            _ => Ok(()),
        };
        let verdict = match (followed, page, &browser) {
            (_, true, Err(why)) => format!("live, but of no use in a browser: {why}"),
            (true, true, Ok(())) => "ordered, read back, built, reported, used in Chromium".to_owned(),
            (false, true, Ok(())) => "live, but the call was not followed to its end".to_owned(),
            (true, false, _) => "reported, but nothing answers".to_owned(),
            (false, false, _) => "not built".to_owned(),
        };
        eprintln!("{name:10} {verdict}");
        if !followed || !page || browser.is_err() {
            failed.push(format!("── {name}: {verdict}\n{shown}"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(!daemon.log().contains("panicked"));
}
