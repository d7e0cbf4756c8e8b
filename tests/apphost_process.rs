//! The app as a process: it starts confined, answers, reports, and ends with its parent.

use callwright::apphost::bundle::{self, Files};
use callwright::apphost::child::{AppChild, ChildError, Plan, spawn};
use callwright::apphost::exchange::Request;
use callwright::apphost::scenario;
use callwright::apphost::service::Purpose;
use callwright::pipeline::kernel;
use callwright::pipeline::manifest::{BuildManifest, BuildType, CreatedFrom};
use callwright::pipeline::spec::Spec;
use std::path::{Path, PathBuf};
use std::time::Duration;

const EXE: &str = env!("CARGO_BIN_EXE_callwright");

fn generated() -> Files {
    let manifest = BuildManifest {
        manifest_id: "man_1".to_owned(),
        build_type: BuildType::BuildCrm,
        title: "CRM".to_owned(),
        description: "Keeps customers.".to_owned(),
        features: ["contacts", "deals"].map(str::to_owned).to_vec(),
        tech_stack: Vec::new(),
        constraints: serde_json::Map::new(),
        integrations: Vec::new(),
        conversation_id: "conv_1".to_owned(),
        created_from: CreatedFrom::Voice,
        confidence: 0.9,
        metadata: serde_json::Map::new(),
    };
    kernel::crm::generate(&Spec::compose(&manifest), &manifest)
}

fn plan(home: &Path, files: &Files, purpose: Purpose) -> Plan {
    bundle::write_dir(files, &home.join("bundle")).unwrap();
    Plan {
        exe: PathBuf::from(EXE),
        bundle: home.join("bundle"),
        data: home.join("data"),
        socket: home.join("app.sock"),
        log: home.join("app.log"),
        purpose,
    }
}

fn start(home: &Path) -> AppChild {
    let mut child = spawn(&plan(home, &generated(), Purpose::Serve)).unwrap();
    child.wait_ready(Duration::from_secs(10)).unwrap_or_else(|e| panic!("{e}"));
    child
}

fn post(child: &AppChild, target: &str, json: &serde_json::Value) -> u16 {
    let mut request = Request::new("POST", target);
    request.headers.insert("content-type".to_owned(), "application/json".to_owned());
    request.body = json.to_string().into_bytes();
    child.ask(&request).unwrap().status
}

#[test]
fn it_reports_five_apis_and_real_records_and_keeps_them() {
    let home = tempfile::tempdir().unwrap();
    let mut child = start(home.path());
    for n in 0..7 {
        assert_eq!(post(&child, "/api/contacts", &serde_json::json!({ "name": format!("Contact {n}") })), 201);
    }
    for n in 0..3 {
        let deal = serde_json::json!({ "title": format!("Deal {n}"), "contact_id": 1 });
        assert_eq!(post(&child, "/api/deals", &deal), 201);
    }
    let meta = child.meta().unwrap();
    assert_eq!((meta.apis, meta.records, meta.operations), (5, 10, 13));
    assert_eq!(meta.tables["contacts"], 7);
    // Killed, not stopped: what was confirmed is there.
    drop(child);
    child = start(home.path());
    assert_eq!(child.meta().unwrap().records, 10);
    assert!(child.last_words().contains("confined: Landlock"), "{}", child.last_words());
}

#[test]
fn it_ends_when_its_parent_lets_go() {
    let home = tempfile::tempdir().unwrap();
    let mut child = start(home.path());
    let begun = std::time::Instant::now();
    child.stop(Duration::from_secs(30));
    assert!(!child.is_running());
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert!(!child.socket().exists());
}

#[test]
fn a_bundle_passes_its_scenarios_in_the_sandbox() {
    let home = tempfile::tempdir().unwrap();
    bundle::write_dir(&generated(), &home.path().join("bundle")).unwrap();
    let scratch = home.path().join("scratch");
    let report = scenario::run_bundle(Path::new(EXE), &home.path().join("bundle"), &scratch).unwrap();
    assert_eq!(report.failed, []);
    assert_eq!(report.passed, 18);
    assert_eq!(std::fs::read_dir(&scratch).unwrap().count(), 0, "scratch files are left");
}

#[test]
fn a_broken_bundle_says_which_file_is_broken() {
    let home = tempfile::tempdir().unwrap();
    let mut files = generated();
    files.insert("actions/contacts_get.sql".to_owned(), b"SELECT a FROM nowhere WHERE b = :id;".to_vec());
    let mut child = spawn(&plan(home.path(), &files, Purpose::Serve)).unwrap();
    let Err(ChildError::Ended { said }) = child.wait_ready(Duration::from_secs(10)) else { panic!("it started") };
    assert!(said.contains("actions/contacts_get.sql: no such table: nowhere"), "{said}");
}

#[test]
fn only_scenarios_may_probe_and_reset() {
    let home = tempfile::tempdir().unwrap();
    let child = start(home.path());
    for path in ["/_/probe", "/_/reset", "/_/"] {
        assert_eq!(child.ask(&Request::new("POST", path)).unwrap().status, 404, "{path}");
    }
}

#[test]
fn oversized_and_malformed_requests_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let child = start(home.path());
    let mut request = Request::new("POST", "/api/contacts");
    request.headers.insert("content-type".to_owned(), "application/json".to_owned());
    request.body = vec![b' '; 520 << 10];
    assert_eq!(child.ask(&request).unwrap().status, 413);
    request.body = b"{\"name\": \"\\ud800\"}".to_vec();
    assert_eq!(child.ask(&request).unwrap().status, 400);
    request.body = b"[1]".to_vec();
    assert_eq!(child.ask(&request).unwrap().status, 400);
    let head = child.ask(&Request::new("HEAD", "/contacts"));
    assert!(head.is_err() || head.is_ok_and(|a| a.body.is_empty()));
    assert_eq!(child.ask(&Request::new("GET", "/contacts/99999999999999999999")).unwrap().status, 404);
    assert_eq!(child.ask(&Request::new("GET", "/static/../app.toml")).unwrap().status, 404);
    assert_eq!(child.ask(&Request::new("GET", "/static/%2e%2e%2fapp.toml")).unwrap().status, 404);
}
