//! From a manifest to an app that serves, with the real program as the app's process: stages, reports, crashes, restarts.

use callwright::apphost::bundle::Files;
use callwright::conversation::{AppFacts, BuildStage, BuildUpdate, Outcome};
use callwright::pipeline::kernel::{self, Capability, Kernel};
use callwright::pipeline::manifest::{BuildManifest, BuildType, CreatedFrom};
use callwright::pipeline::spec::Spec;
use callwright::pipeline::{Pipeline, PipelineConfig, SubmitError};
use callwright::store::{Build, CallRecord, Direction, Store};
use callwright::time::Wallclock;
use serde_json::{Map, json};
use std::collections::BTreeSet;
use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::broadcast::Receiver;
use tokio::time::{sleep, timeout};

const PROGRAM: &str = env!("CARGO_BIN_EXE_callwright");
/// Far beyond what a build takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn manifest(id: &str, title: &str) -> BuildManifest {
    BuildManifest {
        manifest_id: id.into(),
        build_type: BuildType::BuildCrm,
        title: title.into(),
        description: "A CRM with contacts and deals.".into(),
        features: vec!["contacts".into(), "deals".into()],
        tech_stack: vec![],
        constraints: Map::new(),
        integrations: vec![],
        conversation_id: "conv_1".into(),
        created_from: CreatedFrom::Voice,
        confidence: 0.93,
        metadata: Map::from_iter([("approval".to_owned(), json!({"by": "key"}))]),
    }
}

/// A configuration whose ports no other test uses.
fn config(data: &Path) -> PipelineConfig {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut config = PipelineConfig::new(data.to_owned(), PROGRAM.into());
    config.apps.ports = free..=free.saturating_add(50);
    config
}

async fn ask(address: &str, request: String) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    (status, answer)
}

fn address(url: &str) -> &str {
    url.strip_prefix("http://").unwrap().trim_end_matches('/')
}

async fn get(url: &str, path: &str) -> (u16, String) {
    let host = address(url);
    ask(host, format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await
}

async fn add_contact(url: &str, name: &str) {
    let (host, body) = (address(url), json!({"name": name}).to_string());
    let (status, answer) = ask(
        host,
        format!(
            "POST /api/contacts HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    )
    .await;
    assert_eq!(status, 201, "{answer}");
}

/// Follows a build to its end; returns the stages seen and the outcome.
async fn follow(updates: &mut Receiver<BuildUpdate>, id: &str) -> (Vec<BuildUpdate>, Outcome) {
    let mut seen = Vec::new();
    loop {
        let update = timeout(PATIENCE, updates.recv()).await.expect("the build takes too long").unwrap();
        if update.build_id != id {
            continue;
        }
        seen.push(update.clone());
        if let Some(outcome) = update.outcome {
            return (seen, outcome);
        }
    }
}

async fn live(updates: &mut Receiver<BuildUpdate>, id: &str) -> String {
    match follow(updates, id).await.1 {
        Outcome::Live { url, .. } => url,
        Outcome::Parked { say } => panic!("parked: {say}"),
    }
}

async fn reaches(store: &Store, id: &str, stage: BuildStage) -> Build {
    let begun = Instant::now();
    loop {
        let build = store.builds().get(id).unwrap().unwrap();
        if build.stage == stage {
            return build;
        }
        assert!(build.stage != BuildStage::Parked && begun.elapsed() < PATIENCE, "{build:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Processes of apps whose files are under `data`.
fn app_processes(data: &Path) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse() else { continue };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        if line.contains("apphost") && line.contains(&*data.to_string_lossy()) {
            found.push(pid);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approved_manifest_goes_live_in_under_ten_seconds() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let pipeline = Pipeline::start(config(dir.path()), store.clone()).await.unwrap();
    let mut updates = pipeline.updates();
    let begun = Instant::now();
    let build = pipeline.submit(manifest("m1", "Harbour CRM")).await.unwrap();
    let (seen, outcome) = follow(&mut updates, &build.id).await;
    let took = begun.elapsed();
    writeln!(std::io::stdout(), "approval to live: {} ms", took.as_millis()).unwrap();
    let Outcome::Live { url, app } = outcome else { panic!("{outcome:?}") };
    assert_eq!(app, "harbour-crm");
    assert!(took < Duration::from_secs(10), "{took:?}");
    let stages: Vec<_> = seen.iter().map(|u| u.stage).collect();
    use BuildStage::*;
    assert_eq!(stages, [Requested, Approved, Specified, Planned, Generated, Tested, Staged, Live]);
    assert!(seen.iter().any(|u| u.say.as_ref().is_some_and(|say| say.contains("tests hold"))));
    let build = reaches(&store, &build.id, Tracked).await;

    let (status, page) = get(&url, "/").await;
    assert_eq!(status, 200);
    assert!(page.contains("Harbour CRM"));
    assert_eq!(get(&url, "/_/meta").await.0, 404);
    assert_eq!(get(&url, "/contacts").await.0, 200);

    // What ran is what was tested and what is in the repository.
    let apps = store.apps().list().unwrap();
    assert_eq!(
        (apps.len(), apps[0].version, apps[0].revision.as_str()),
        (1, 1, build.bundle_commit.as_deref().unwrap())
    );
    let git = |arguments: &[&str]| {
        let out = Command::new("git")
            .arg("--git-dir")
            .arg(dir.path().join("apps/harbour-crm/repository.git"))
            .args(arguments)
            .output();
        String::from_utf8(out.unwrap().stdout).unwrap().trim().to_owned()
    };
    let commit = build.bundle_commit.unwrap();
    assert_eq!(
        [git(&["rev-parse", "main"]), git(&["rev-parse", "staging"]), git(&["rev-parse", "v1^{commit}"])],
        [const { "" }; 3].map(|_| commit.clone())
    );
    assert!(git(&["ls-tree", "--name-only", "main"]).contains("app.toml"));
    let spec = store.world().get("build_spec", &build.id).unwrap().unwrap().document;
    assert_eq!(spec["slug"], "harbour-crm");
    assert_eq!(store.world().get("deployment", "harbour-crm").unwrap().unwrap().document["url"], url.as_str());
    let kinds: Vec<_> = store.events().after(0, 100).unwrap().into_iter().map(|e| e.kind).collect();
    assert_eq!(kinds[0], "build.request.created");
    assert!(kinds.contains(&"app.live".to_owned()));
    pipeline.shutdown().await;
    assert_eq!(app_processes(dir.path()), Vec::<u32>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_goes_live_and_reports() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let pipeline = Pipeline::start(config(dir.path()), store.clone()).await.unwrap();
    let mut updates = pipeline.updates();
    let types = [
        (BuildType::BuildWebsite, "Bakery", vec!["blog", "contact_form", "booking"], "/manage", "visits_today"),
        (BuildType::BuildEcommerce, "Quay Goods", vec![], "/goods", "orders_open"),
        (BuildType::BuildApi, "Stock API", vec!["products"], "/openapi.json", "products"),
        (BuildType::BuildDashboard, "Figures", vec![], "/sign-in", "series"),
    ];
    for (build_type, title, features, path, figure) in types {
        let features = features.into_iter().map(str::to_owned).collect();
        let wanted = BuildManifest { build_type, features, ..manifest(title, title) };
        let begun = Instant::now();
        let build = pipeline.submit(wanted).await.unwrap();
        let url = live(&mut updates, &build.id).await;
        writeln!(std::io::stdout(), "{build_type:?}: approval to live in {} ms", begun.elapsed().as_millis()).unwrap();
        reaches(&store, &build.id, BuildStage::Tracked).await;
        assert!([200, 303].contains(&get(&url, "/").await.0), "{title}");
        assert!([200, 303].contains(&get(&url, path).await.0), "{title} {path}");
        assert_eq!(get(&url, "/_/meta").await.0, 404);
        let facts = pipeline.facts(title).await.unwrap();
        assert!(facts.deployed && facts.figures.contains_key(figure), "{facts:?}");
        let spec = store.world().get("build_spec", &build.id).unwrap().unwrap().document;
        assert!(spec["flows"].as_array().is_some_and(|f| !f.is_empty()), "{title}");
    }
    // Understood, and declined.
    let chain = BuildManifest { build_type: BuildType::BuildBlockchain, ..manifest("m9", "Chain") };
    let build = pipeline.submit(chain).await.unwrap();
    let (_, outcome) = follow(&mut updates, &build.id).await;
    assert!(matches!(&outcome, Outcome::Parked { say } if say.contains("nothing here builds one yet")), "{outcome:?}");
    pipeline.shutdown().await;
}

/// A call that ended just now.
fn call(id: &str, seconds: u64, class: &str) -> CallRecord {
    let now =
        u64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()).unwrap();
    CallRecord {
        caller: "sip:+441632960123@example.org".into(),
        callee: "200".into(),
        answered: Some(Wallclock(now - seconds * 1_000)),
        ended: Some(Wallclock(now)),
        ended_by: Some(class.into()),
        ..CallRecord::begun(id, Direction::Inbound, Wallclock(now - seconds * 1_000))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dashboard_of_this_box_shows_what_the_store_holds_and_nobody_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    for (n, seconds) in [(1, 90), (2, 30), (3, 60)] {
        store.calls().record(call(&format!("call_{n}"), seconds, "caller_hung_up")).await.unwrap();
    }
    let pipeline = Pipeline::start(config(dir.path()), store.clone()).await.unwrap();
    let mut updates = pipeline.updates();
    let wanted = |id: &str, title: &str, features: &[&str]| BuildManifest {
        build_type: BuildType::BuildDashboard,
        features: features.iter().map(|f| (*f).to_owned()).collect(),
        ..manifest(id, title)
    };
    let build = pipeline.submit(wanted("m1", "Board", &["calls"])).await.unwrap();
    let url = live(&mut updates, &build.id).await;
    reaches(&store, &build.id, BuildStage::Tracked).await;
    // There before anybody has opened it.
    let meta = pipeline.meta("board").await.unwrap();
    assert_eq!((meta.figures["box_calls_today"], meta.figures["box_minutes_today"]), (3, 3), "{meta:?}");
    // Refreshed, and what an app was asked for is in it, too; twice brings nothing twice.
    store.calls().record(call("call_4", 120, "agent_hung_up")).await.unwrap();
    for _ in 0..5 {
        assert_eq!(get(&url, "/sign-in").await.0, 303);
    }
    pipeline.bring_figures().await;
    pipeline.bring_figures().await;
    let meta = pipeline.meta("board").await.unwrap();
    assert_eq!((meta.figures["box_calls_today"], meta.figures["box_minutes_today"]), (4, 5), "{meta:?}");

    // The page itself, as whoever was told the code sees it.
    let code = pipeline.setup_code("board").await.unwrap().unwrap();
    let cookie = first_account(&url, &code).await;
    let host = address(&url);
    let page = |path: &str| {
        ask(host, format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"))
    };
    let (status, shown) = page("/").await;
    assert_eq!(status, 200, "{shown}");
    for part in [
        "<strong>4</strong>",
        "4 answered",
        "<strong>1:15</strong>",
        "Highest 3 at caller hung up, lowest 1 at agent hung up",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(shown.contains(" values from board to board."), "its own requests: {shown}");
    // The page just now is not written down yet, but brought.
    let asked = pipeline.traffic("board").unwrap().requests;
    pipeline.bring_newest_figures().await;
    let (_, shown) = page("/").await;
    assert!(shown.contains(&format!("Highest {asked} at board")), "{asked} requests: {shown}");
    assert_eq!(page("/values").await.0, 200, "what is brought by hand has its page");
    // From outside nobody brings anything.
    let body = r#"{"version":1,"figures":[{"hour":"2026-11-21 14:00","series":"calls","name":"x","value":9}]}"#;
    let forged = format!(
        "POST /_/figures HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    assert_eq!(ask(host, forged).await.0, 404);
    // Nothing of a caller is in the app's data.
    for file in std::fs::read_dir(dir.path().join("apps/board/data")).unwrap() {
        let octets = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!octets.windows(10).any(|part| part == b"1632960123"));
    }

    // One that was not asked for calls keeps to what it is given.
    let build = pipeline.submit(wanted("m2", "Sales", &["charts"])).await.unwrap();
    live(&mut updates, &build.id).await;
    reaches(&store, &build.id, BuildStage::Tracked).await;
    assert!(!pipeline.meta("sales").await.unwrap().figures.contains_key("box_calls_today"));
    pipeline.shutdown().await;
}

/// Makes the app's first account; returns the cookies.
async fn first_account(url: &str, code: &str) -> String {
    let host = address(url);
    let (status, page) = get(url, "/setup").await;
    assert_eq!(status, 200, "{page}");
    let cookie = |answer: &str| {
        let lines = answer.lines().filter_map(|line| line.strip_prefix("set-cookie: "));
        lines.filter_map(|line| line.split(';').next()).map(str::to_owned).collect::<Vec<_>>().join("; ")
    };
    let visitor = cookie(&page);
    let token = page.split_once("name=\"csrf\" value=\"").and_then(|(_, rest)| rest.split_once('"')).unwrap().0;
    let body = format!("code={code}&name=ada&password=correct+horse+battery&csrf={token}");
    let request = format!(
        "POST /setup HTTP/1.1\r\nHost: {host}\r\nCookie: {visitor}\r\nConnection: close\r\nContent-Type: \
         application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let (status, answer) = ask(host, request).await;
    assert_eq!(status, 303, "{answer}");
    format!("{visitor}; {}", cookie(&answer))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_counts_what_was_put_in() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let pipeline = Pipeline::start(config(dir.path()), store.clone()).await.unwrap();
    let mut updates = pipeline.updates();
    assert_eq!(pipeline.facts("the CRM").await.unwrap().unknown, Some(vec![]));
    let build = pipeline.submit(manifest("m1", "CRM")).await.unwrap();
    let url = live(&mut updates, &build.id).await;
    reaches(&store, &build.id, BuildStage::Tracked).await;

    // Chosen by the clock: nobody can have written it down.
    let records =
        5 + u64::from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().subsec_nanos() % 23);
    let before = pipeline.traffic("crm").unwrap().requests;
    for n in 0..records {
        add_contact(&url, &format!("Person {n}")).await;
    }
    let facts = pipeline.facts("the C R M").await.unwrap();
    let expected = AppFacts {
        name: "CRM".into(),
        by_kind: false,
        deployed: true,
        silent: false,
        apis_live: 5,
        records,
        requests_per_minute: facts.requests_per_minute,
        latency_ms: facts.latency_ms,
        figures: facts.figures.clone(),
        currency: "USD".into(),
        version: 1,
        server_errors: 0,
        stopped: None,
        slug: "crm".into(),
        manifest: facts.manifest.clone(),
        unknown: None,
    };
    assert!(facts.manifest.is_some() && facts.latency_ms.is_some_and(|ms| ms > 0.0));
    assert_eq!(facts, expected);
    let traffic = pipeline.traffic("crm").unwrap();
    assert_eq!(traffic.requests, before + records);
    assert!(facts.requests_per_minute >= records as f64);
    assert_eq!(traffic.routes.iter().find(|r| r.route == "/api/contacts").unwrap().requests, records);
    assert_eq!(pipeline.facts("the website").await.unwrap().unknown, Some(vec!["CRM".to_owned()]));
    assert!(traffic.octets > 0 && pipeline.health() == (true, String::new()), "{:?}", pipeline.health());
    pipeline.shutdown().await;
    assert!(!pipeline.facts("crm").await.unwrap().deployed, "what does not run is not called deployed");
    assert!(!pipeline.health().0);
    let outcome = store.world().get("execution_outcome", "crm").unwrap().unwrap().document;
    assert_eq!((&outcome["version"], &outcome["outcome"]["requests"]), (&json!(1), &json!(before + records)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_is_found_by_its_kind_where_it_is_the_only_one_and_a_silent_one_is_deployed() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let pipeline = Pipeline::start(config(dir.path()), store.clone()).await.unwrap();
    let mut updates = pipeline.updates();
    let build = pipeline.submit(manifest("m1", "Harbour Contacts")).await.unwrap();
    live(&mut updates, &build.id).await;
    reaches(&store, &build.id, BuildStage::Tracked).await;
    for (subject, by_kind) in [("crm", true), ("a C R M", true), ("harbour", false), ("harbour contacts", false)] {
        let facts = pipeline.facts(subject).await.unwrap();
        let found = (facts.name.as_str(), facts.by_kind, facts.deployed, facts.silent);
        assert_eq!(found, ("Harbour Contacts", by_kind, true, false), "{subject}");
    }
    assert_eq!(pipeline.facts("dashboard").await.unwrap().unknown, Some(vec!["Harbour Contacts".to_owned()]));
    let signal = |name: &str| {
        for process in app_processes(dir.path()) {
            assert!(Command::new("kill").args([name, &process.to_string()]).status().unwrap().success());
        }
    };
    signal("-STOP");
    let facts = pipeline.facts("crm").await.unwrap();
    signal("-CONT");
    assert_eq!((facts.name.as_str(), facts.deployed, facts.silent), ("Harbour Contacts", false, true));
    // Of several none is guessed.
    let build = pipeline.submit(manifest("m2", "Quay Contacts")).await.unwrap();
    live(&mut updates, &build.id).await;
    let known = pipeline.facts("crm").await.unwrap().unknown.unwrap();
    assert_eq!(BTreeSet::from_iter(known), BTreeSet::from(["Harbour Contacts".to_owned(), "Quay Contacts".to_owned()]));
    pipeline.shutdown().await;
}

/// The usual kernels, with their output changed.
struct Mutant {
    inner: Box<dyn Kernel>,
    change: fn(&mut Files),
}

impl fmt::Debug for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mutant")
    }
}

impl Kernel for Mutant {
    fn name(&self) -> &'static str {
        self.inner.name()
    }
    fn can(&self, build_type: BuildType, capability: Capability) -> bool {
        self.inner.can(build_type, capability)
    }
    fn generate(&self, manifest: &BuildManifest, spec: &Spec) -> Result<Files, String> {
        let mut files = self.inner.generate(manifest, spec)?;
        (self.change)(&mut files);
        Ok(files)
    }
}

fn mutants(change: fn(&mut Files)) -> Vec<Box<dyn Kernel>> {
    kernel::all().into_iter().map(|inner| Box::new(Mutant { inner, change }) as Box<dyn Kernel>).collect()
}

fn edit(files: &mut Files, path: &str, from: &str, to: &str) {
    let text = String::from_utf8(files[path].clone()).unwrap();
    assert!(text.contains(from), "{path}: {text}");
    files.insert(path.to_owned(), text.replace(from, to).into_bytes());
}

async fn parked(change: fn(&mut Files)) -> String {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let config = PipelineConfig { kernels: mutants(change), ..config(dir.path()) };
    let pipeline = Pipeline::start(config, store.clone()).await.unwrap();
    let mut updates = pipeline.updates();
    let build = pipeline.submit(manifest("m1", "CRM")).await.unwrap();
    let (_, outcome) = follow(&mut updates, &build.id).await;
    let Outcome::Parked { say } = outcome else { panic!("{outcome:?}") };
    assert_eq!(store.builds().get(&build.id).unwrap().unwrap().failure.as_ref(), Some(&say));
    assert!(store.apps().list().unwrap().is_empty(), "nothing may be on line");
    pipeline.shutdown().await;
    assert_eq!(app_processes(dir.path()), Vec::<u32>::new());
    say
}

#[tokio::test(flavor = "multi_thread")]
async fn mutated_sql_parks_the_build_and_the_failing_test_is_named() {
    let say = parked(|files| {
        edit(files, "actions/contacts_delete.sql", "DELETE FROM contacts", "DELETE FROM contacts WHERE 0 AND 1 --")
    })
    .await;
    assert!(say.contains("a contact can be added, read, changed and deleted"), "{say}");
    assert!(say.contains("failed at the step \"it is gone\""), "{say}");
    assert!(say.contains("Nothing was put on line") && !say.contains('{'), "{say}");
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_files_and_an_app_without_tests_park_the_build() {
    let say = parked(|files| edit(files, "app.toml", "format = 1", "format = 99")).await;
    assert!(say.contains("do not fit together"), "{say}");
    let say = parked(|files| files.retain(|path, _| !path.starts_with("tests/"))).await;
    assert!(say.contains("no tests"), "{say}");
    let say = parked(|files| _ = files.insert("../../evil".into(), b"x".to_vec())).await;
    assert!(say.contains("do not fit together"), "{say}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_that_does_not_run_is_parked_after_bounded_tries() {
    let say =
        parked(|files| edit(files, "schema/0001_contacts.sql", "CREATE TABLE contacts", "CREATE TABEL contacts")).await;
    assert!(say.contains("I could not run the tests"), "{say}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generator_that_panics_ends_its_build_and_nothing_else() {
    #[derive(Debug)]
    struct Panics;
    impl Kernel for Panics {
        fn name(&self) -> &'static str {
            "panics"
        }
        fn can(&self, _: BuildType, _: Capability) -> bool {
            true
        }
        fn generate(&self, manifest: &BuildManifest, _: &Spec) -> Result<Files, String> {
            assert!(manifest.title != "Bad", "a defect");
            Err("this generator makes nothing".into())
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let config = PipelineConfig { threads: 1, kernels: vec![Box::new(Panics)], ..config(dir.path()) };
    let pipeline = Pipeline::start(config, store).await.unwrap();
    let mut updates = pipeline.updates();
    for (id, title, words) in [("m1", "Bad", "could not write the files"), ("m2", "Good", "makes nothing")] {
        let build = pipeline.submit(manifest(id, title)).await.unwrap();
        let (_, outcome) = follow(&mut updates, &build.id).await;
        assert!(matches!(&outcome, Outcome::Parked { say } if say.contains(words)), "{outcome:?}");
    }
    pipeline.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn builds_run_on_their_own_idle_threads() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let pipeline = Pipeline::start(config(dir.path()), store).await.unwrap();
    let classes = || {
        let mut classes = Vec::new();
        for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
            // Threads of others come and go.
            let Ok(stat) = std::fs::read_to_string(task.path().join("stat")) else { continue };
            let (name, rest) = stat.split_once('(').unwrap().1.rsplit_once(") ").unwrap();
            if name.starts_with("build-") {
                // proc(5): field 41 is the policy; `rest` begins with field 3. 5 is SCHED_IDLE.
                classes.push(rest.split(' ').nth(41 - 3).unwrap().to_owned());
            }
        }
        classes
    };
    // A thread names itself and sets its class as the first things that it does, which on a busy machine may be later.
    let begun = Instant::now();
    while classes() != ["5", "5"] {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", classes());
        sleep(Duration::from_millis(10)).await;
    }
    pipeline.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_approval_nothing_is_built() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let pipeline = Pipeline::start(config(dir.path()), store).await.unwrap();
    let mut updates = pipeline.updates();
    let unapproved = BuildManifest { metadata: Map::new(), ..manifest("m1", "CRM") };
    let build = pipeline.submit(unapproved).await.unwrap();
    let (seen, outcome) = follow(&mut updates, &build.id).await;
    assert!(matches!(outcome, Outcome::Parked { say } if say.contains("approved")));
    assert_eq!(seen.last().unwrap().stage, BuildStage::Parked);
    pipeline.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_build_goes_on_when_the_caller_hangs_up_and_two_callers_get_two_apps() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let pipeline = Pipeline::start(config(dir.path()), store.clone()).await.unwrap();
    let updates = pipeline.updates();
    let one = pipeline.submit(manifest("m1", "CRM")).await.unwrap();
    let two = pipeline.submit(manifest("m2", "CRM")).await.unwrap();
    assert_eq!(pipeline.submit(manifest("m1", "CRM")).await.unwrap().id, one.id);
    // The call's end: nobody listens any more.
    drop(updates);
    let one = reaches(&store, &one.id, BuildStage::Tracked).await;
    let two = reaches(&store, &two.id, BuildStage::Tracked).await;
    assert_ne!(one.url, two.url);
    assert_eq!([one.slug.as_str(), two.slug.as_str()], ["crm", "crm-2"]);
    add_contact(one.url.as_ref().unwrap(), "Ann").await;
    assert_eq!(pipeline.meta("crm").await.unwrap().records, 1);
    assert_eq!(pipeline.meta("crm-2").await.unwrap().records, 0);
    pipeline.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fifth_waiting_build_is_slow() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let pipeline = Pipeline::start(PipelineConfig { threads: 0, ..config(dir.path()) }, store).await.unwrap();
    for n in 0..4 {
        pipeline.submit(manifest(&format!("m{n}"), "CRM")).await.unwrap();
    }
    let slow = pipeline.submit(manifest("m4", "CRM")).await.unwrap_err();
    assert_eq!(slow, SubmitError::Slow { waiting: 4 });
    // A repeat of a known one is no new load.
    pipeline.submit(manifest("m0", "CRM")).await.unwrap();
    pipeline.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_dies_is_started_again_with_its_data() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let pipeline = Pipeline::start(config(dir.path()), store.clone()).await.unwrap();
    let mut updates = pipeline.updates();
    let build = pipeline.submit(manifest("m1", "CRM")).await.unwrap();
    let url = live(&mut updates, &build.id).await;
    reaches(&store, &build.id, BuildStage::Tracked).await;
    add_contact(&url, "Ann").await;
    let before = app_processes(dir.path());
    assert_eq!(before.len(), 1, "one process per app");
    let killed = Command::new("kill").args(["-9", &before[0].to_string()]).status().unwrap();
    assert!(killed.success());
    let begun = Instant::now();
    loop {
        let (status, _) = get(&url, "/contacts").await;
        if status == 200 && app_processes(dir.path()) != before {
            break;
        }
        assert!(matches!(status, 200 | 502), "{status}");
        assert!(begun.elapsed() < PATIENCE);
        sleep(Duration::from_millis(20)).await;
    }
    writeln!(std::io::stdout(), "back after {} ms", begun.elapsed().as_millis()).unwrap();
    assert_eq!(pipeline.meta("crm").await.unwrap().records, 1);
    assert!(store.events().after(0, 1000).unwrap().iter().any(|e| e.kind == "app.down" && e.subject == "crm"));
    pipeline.shutdown().await;
}

#[test]
fn live_apps_come_back_at_their_address_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let ports = config(dir.path()).apps.ports;
    let start = async |store: &Store| {
        let mut config = config(dir.path());
        config.apps.ports = ports.clone();
        Pipeline::start(config, store.clone()).await.unwrap()
    };
    let runtime = || tokio::runtime::Runtime::new().unwrap();
    let url = runtime().block_on(async {
        let store = Store::open(dir.path()).unwrap();
        let pipeline = start(&store).await;
        let build = pipeline.submit(manifest("m1", "CRM")).await.unwrap();
        let url = reaches(&store, &build.id, BuildStage::Tracked).await.url.unwrap();
        add_contact(&url, "Ann").await;
        pipeline.shutdown().await;
        url
    });
    // As if somebody tidied up: the bundle is written again from the repository.
    std::fs::remove_dir_all(dir.path().join("apps/crm/releases")).unwrap();
    runtime().block_on(async {
        let store = Store::open(dir.path()).unwrap();
        let pipeline = start(&store).await;
        let begun = Instant::now();
        while get(&url, "/").await.0 != 200 {
            assert!(begun.elapsed() < PATIENCE);
            sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(pipeline.facts("crm").await.unwrap().records, 1);
        pipeline.shutdown().await;
    });
}

/// The other half of `a_build_goes_on_after_kill_9_in_any_stage`: builds and says which stage it reached, until it is killed.
#[test]
fn builder_that_is_killed() {
    let Some(dir) = std::env::var_os("PIPELINE_TEST_DIR").map(PathBuf::from) else { return };
    let submit = std::env::var_os("PIPELINE_TEST_SUBMIT").is_some();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store = Store::open(&dir).unwrap();
        let pipeline = Pipeline::start(config(&dir), store.clone()).await.unwrap();
        let mut updates = pipeline.updates();
        if submit {
            pipeline.submit(manifest("m1", "CRM")).await.unwrap();
        }
        loop {
            let update = updates.recv().await.unwrap();
            writeln!(std::io::stdout(), "stage {:?}", update.stage).unwrap();
        }
    });
}

#[test]
fn a_build_goes_on_after_kill_9_in_any_stage() {
    let dir = tempfile::tempdir().unwrap();
    let order = [
        "Requested",
        "Drafted",
        "Approved",
        "Specified",
        "Planned",
        "Generated",
        "Tested",
        "Staged",
        "Live",
        "Tracked",
    ];
    let place = |stage: &str| order.iter().position(|known| *known == stage);
    let mut reached = None;
    // Each round is killed as soon as it reached a further stage, so while it is in the one after; on a machine that hesitates
    // to kill it, it has come further, and the rounds that it has done meanwhile are left out.
    for stage in ["Requested", "Planned", "Generated", "Tested", "Staged"] {
        if reached >= place(stage) {
            continue;
        }
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "builder_that_is_killed", "--nocapture"]).env("PIPELINE_TEST_DIR", dir.path());
        if reached.is_none() {
            command.env("PIPELINE_TEST_SUBMIT", "1");
        }
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let told = |line: String| line.split_once("stage ").and_then(|(_, stage)| place(stage)) >= place(stage);
        assert!(lines.any(told), "never reached {stage}");
        child.kill().unwrap();
        child.wait().unwrap();
        let store = Store::open(dir.path()).unwrap();
        reached = place(&format!("{:?}", store.builds().list(None, 1).unwrap().items[0].stage));
        assert!(reached >= place(stage), "what was told is written down");
    }
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store = Store::open(dir.path()).unwrap();
        let id = store.builds().list(None, 10).unwrap().items[0].id.clone();
        let pipeline = Pipeline::start(config(dir.path()), store.clone()).await.unwrap();
        let build = reaches(&store, &id, BuildStage::Tracked).await;
        assert_eq!(get(build.url.as_ref().unwrap(), "/").await.0, 200);
        let apps = store.apps().list().unwrap();
        assert_eq!((apps.len(), apps[0].version), (1, 1), "exactly one live version");
        let events = store.events().after(0, 1000).unwrap();
        let ids: BTreeSet<_> = events.iter().map(|e| &e.id).collect();
        assert_eq!(ids.len(), events.len());
        let stages = events.iter().filter(|e| e.kind == "build.stage.changed").count();
        assert_eq!(stages, 8, "each stage is told once");
        assert_eq!(app_processes(dir.path()).len(), 1, "no app of a killed daemon is left over");
        pipeline.shutdown().await;
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_page_and_a_dead_link_park_the_build() {
    let say = parked(|files| _ = files.insert("views/detail.html".into(), b"{{ no.such.thing }}".to_vec())).await;
    assert!(say.contains("failed at the step") && say.contains("Nothing was put on line"), "{say}");
    let say = parked(|files| {
        let mut layout = files["views/layout.html"].clone();
        layout.extend_from_slice(b"<a href=\"/nowhere\">More</a>");
        files.insert("views/layout.html".into(), layout);
    })
    .await;
    assert!(say.contains("every page") && say.contains("Nothing was put on line"), "{say}");
}
