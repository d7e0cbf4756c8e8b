//! One app over several versions: amended on its own data, left alone by a version that does not get well, rolled back, deleted.

use callwright::apphost::bundle::Files;
use callwright::conversation::BuildStage;
use callwright::pipeline::deploy::RollBackError;
use callwright::pipeline::kernel::{self, Capability, Kernel};
use callwright::pipeline::manifest::{BuildManifest, BuildType, CreatedFrom};
use callwright::pipeline::spec::Spec;
use callwright::pipeline::{Pipeline, PipelineConfig, SubmitError};
use callwright::store::{Build, Cancelled, Store};
use serde_json::{Map, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Far beyond what a build takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn manifest(id: &str, features: &[&str], amends: Option<&str>) -> BuildManifest {
    let mut metadata = Map::from_iter([("approval".to_owned(), json!({"by": "key"}))]);
    if let Some(slug) = amends {
        metadata.insert("amends".into(), json!(slug));
    }
    BuildManifest {
        manifest_id: id.into(),
        build_type: BuildType::BuildCrm,
        title: "CRM".into(),
        description: "A CRM.".into(),
        features: features.iter().map(|f| (*f).to_owned()).collect(),
        tech_stack: vec![],
        constraints: Map::new(),
        integrations: vec![],
        conversation_id: "conv_1".into(),
        created_from: CreatedFrom::Voice,
        confidence: 0.93,
        metadata,
    }
}

/// The usual kernel; what it makes for a description with the word "broken" has a page that cannot be shown.
#[derive(Debug)]
struct Sometimes(Box<dyn Kernel>);

impl Kernel for Sometimes {
    fn name(&self) -> &'static str {
        self.0.name()
    }
    fn can(&self, build_type: BuildType, capability: Capability) -> bool {
        self.0.can(build_type, capability)
    }
    fn generate(&self, manifest: &BuildManifest, spec: &Spec) -> Result<Files, String> {
        let mut files = self.0.generate(manifest, spec)?;
        if manifest.description.contains("broken") {
            files.retain(|path, _| !path.starts_with("views/") || path.contains("layout"));
        }
        if manifest.description.contains("reshaped") {
            let schema = files.keys().find(|path| path.starts_with("schema/0001")).cloned().unwrap();
            let text = String::from_utf8(files[&schema].clone()).unwrap();
            files.insert(schema, text.replace("length(name) <= ", "length(name) <= 1").into_bytes());
        }
        if manifest.description.contains("grown") {
            let schema = files.keys().find(|path| path.starts_with("schema/0001")).cloned().unwrap();
            let text = String::from_utf8(files[&schema].clone()).unwrap();
            let column = "    nickname TEXT NOT NULL DEFAULT '',\n    created_at TEXT";
            let rule = "\n    CONSTRAINT nickname_is_odd CHECK (nickname <> 'x'),\n    CONSTRAINT name_is_needed";
            let text =
                text.replacen("    created_at TEXT", column, 1).replacen("\n    CONSTRAINT name_is_needed", rule, 1);
            let text = text.replacen("AFTER UPDATE OF ", "AFTER UPDATE OF nickname, ", 1);
            files.insert(schema, text.into_bytes());
        }
        Ok(files)
    }
}

fn config(data: &Path) -> PipelineConfig {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut config = PipelineConfig::new(data.to_owned(), env!("CARGO_BIN_EXE_callwright").into());
    config.apps.ports = free..=free.saturating_add(50);
    config.kernels = kernel::all().into_iter().map(|inner| Box::new(Sometimes(inner)) as Box<dyn Kernel>).collect();
    config
}

fn ask(url: &str, method: &str, path: &str, body: &str) -> u16 {
    let host = url.strip_prefix("http://").unwrap().trim_end_matches('/');
    let Ok(mut stream) = TcpStream::connect(host) else { return 0 };
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    let mut answer = String::new();
    if stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_string(&mut answer)).is_err() {
        return 0;
    }
    answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0)
}

/// Waits until it serves again.
async fn well(url: &str) {
    let begun = Instant::now();
    while ask(url, "GET", "/contacts", "") != 200 {
        assert!(begun.elapsed() < PATIENCE, "{url}");
        sleep(Duration::from_millis(10)).await;
    }
}

async fn ends(store: &Store, build: &Build) -> Build {
    let begun = Instant::now();
    loop {
        let build = store.builds().get(&build.id).unwrap().unwrap();
        if matches!(build.stage, BuildStage::Tracked | BuildStage::Parked | BuildStage::Failed) {
            return build;
        }
        assert!(begun.elapsed() < PATIENCE, "{build:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_is_amended_rolled_back_and_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let pipeline = Pipeline::start(config(dir.path()), store.clone()).await.unwrap();
    let build = async |manifest| ends(&store, &pipeline.submit(manifest).await.unwrap()).await;
    let app = || store.apps().get("crm").unwrap().unwrap();
    let add = |url: &str| assert_eq!(ask(url, "POST", "/api/contacts", r#"{"name": "Ann"}"#), 201);

    let refused = pipeline.submit(manifest("m0", &["contacts"], Some("crm"))).await.unwrap_err();
    assert!(matches!(&refused, SubmitError::Invalid(why) if why.contains("no app called crm")), "{refused}");
    let one = build(manifest("m1", &["contacts"], None)).await;
    assert_eq!(one.stage, BuildStage::Tracked);
    let url = one.url.clone().unwrap();
    add(&url);
    assert_eq!(ask(&url, "GET", "/deals", ""), 404);
    assert!(matches!(pipeline.roll_back("crm", true).await, Err(RollBackError::First)));

    // Amended: the same address, what people entered, and what is new.
    let two = build(manifest("m2", &["contacts", "deals"], Some("crm"))).await;
    assert_eq!(
        (two.stage, two.slug.as_str(), two.url.as_deref()),
        (BuildStage::Tracked, "crm", Some(url.as_str())),
        "{two:?}"
    );
    assert_eq!((app().version, app().build_id), (2, two.id.clone()));
    assert_eq!(ask(&url, "GET", "/deals", ""), 200);
    add(&url);
    assert_eq!(pipeline.meta("crm").await.unwrap().tables["contacts"], 2);

    // Neither a version that does not get well nor one that would change what is there comes on line.
    for (id, description, words) in [("m3", "broken", ""), ("m4", "reshaped", "the contacts that you have already")] {
        let parked = build(BuildManifest {
            description: description.into(),
            ..manifest(id, &["contacts", "deals"], Some("crm"))
        });
        let parked = parked.await;
        assert_eq!(parked.stage, BuildStage::Parked, "{parked:?}");
        assert!(parked.failure.as_ref().unwrap().contains(words), "{parked:?}");
        assert_eq!((app().version, ask(&url, "GET", "/deals", "")), (2, 200));
        assert_eq!(pipeline.meta("crm").await.unwrap().tables["contacts"], 2);
    }

    // Back: only with leave to lose what the version before does not know, and today's data stay as a file.
    let asks = pipeline.roll_back("crm", false).await;
    assert!(matches!(asks, Err(RollBackError::LosesData { version: 1 })), "{asks:?}");
    assert_eq!((app().version, ask(&url, "GET", "/deals", "")), (2, 200));
    let back = pipeline.roll_back("crm", true).await.unwrap();
    assert_eq!((back.version, app().version, app().build_id), (1, 1, one.id.clone()));
    assert_eq!((ask(&url, "GET", "/deals", ""), ask(&url, "GET", "/contacts", "")), (404, 200));
    assert_eq!(pipeline.meta("crm").await.unwrap().tables["contacts"], 1);
    assert!(dir.path().join("apps/crm/copies/v2.rolled-back.db").exists());

    // The next version is the third: a number means one thing for ever.
    let three = build(manifest("m5", &["contacts", "notes"], Some("crm"))).await;
    assert_eq!((three.stage, app().version), (BuildStage::Tracked, 3), "{three:?}");
    assert_eq!(store.apps().versions("crm").unwrap().len(), 3);

    // Back from it leads to what it replaced, with the data of when it did; not to the version that was rolled away.
    add(&url);
    let back = pipeline.roll_back("crm", true).await.unwrap();
    assert_eq!((back.version, app().version, app().build_id), (1, 1, one.id.clone()));
    assert_eq!((ask(&url, "GET", "/notes", ""), ask(&url, "GET", "/contacts", "")), (404, 200));
    assert_eq!(pipeline.meta("crm").await.unwrap().tables["contacts"], 1);
    assert!(matches!(pipeline.roll_back("crm", true).await, Err(RollBackError::First)));

    // A daemon that was killed while it exchanged the data: the next one ends it, whether they were in their place or not.
    let four = build(manifest("m6", &["contacts", "deals"], Some("crm"))).await;
    assert_eq!((four.stage, app().version), (BuildStage::Tracked, 4), "{four:?}");
    add(&url);
    pipeline.shutdown().await;
    let home = dir.path().join("apps/crm");
    let copy = home.join("copies").join(format!("v1.{}.db", &app().revision[..8]));
    std::fs::copy(copy, home.join("data/v1.coming")).unwrap();
    store.apps().begin_exchange("crm", 1).await.unwrap();
    let pipeline = Pipeline::start(config(dir.path()), store.clone()).await.unwrap();
    let url = app().url;
    assert_eq!((app().version, store.apps().exchanges().unwrap().len()), (1, 0));
    well(&url).await;
    assert_eq!((ask(&url, "GET", "/deals", ""), pipeline.meta("crm").await.unwrap().tables["contacts"]), (404, 1));
    add(&url);
    pipeline.shutdown().await;
    store.apps().begin_exchange("crm", 1).await.unwrap();
    let pipeline = Pipeline::start(config(dir.path()), store.clone()).await.unwrap();
    let url = app().url;
    well(&url).await;
    assert_eq!((app().version, pipeline.meta("crm").await.unwrap().tables["contacts"]), (1, 2));

    let build = async |manifest| ends(&store, &pipeline.submit(manifest).await.unwrap()).await;
    // A table that gets another column grows under its rows, once.
    for id in ["m7", "m8"] {
        let grown = BuildManifest { description: "grown".into(), ..manifest(id, &["contacts", "notes"], Some("crm")) };
        let grown = build(grown).await;
        assert_eq!((grown.stage, ask(&url, "GET", "/contacts", "")), (BuildStage::Tracked, 200), "{grown:?}");
        assert_eq!(pipeline.meta("crm").await.unwrap().tables["contacts"], 2);
    }
    let schema = pipeline.meta("crm").await.unwrap().schema_version;
    assert_eq!((pipeline.roll_back("crm", false).await.unwrap().version, app().version), (5, 5));
    assert_eq!(pipeline.meta("crm").await.unwrap().schema_version, schema, "both know the column");
    add(&url);

    assert!(pipeline.delete("crm").await.unwrap());
    assert!(!pipeline.delete("crm").await.unwrap());
    assert_eq!(ask(&url, "GET", "/", ""), 0);
    assert!(store.apps().list().unwrap().is_empty());
    assert_eq!(std::fs::read_dir(dir.path().join("deleted")).unwrap().count(), 1);
    let kinds: Vec<_> = store.events().after(0, 1000).unwrap().into_iter().map(|e| e.kind).collect();
    for (kind, count) in [("app.rolled_back", 4), ("app.deleted", 1)] {
        assert_eq!(kinds.iter().filter(|k| *k == kind).count(), count, "{kind}");
    }
    pipeline.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_build_is_cancelled_and_makes_room() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let pipeline = Pipeline::start(PipelineConfig { threads: 0, ..config(dir.path()) }, store.clone()).await.unwrap();
    let mut waiting = Vec::new();
    for n in 0..4 {
        waiting.push(pipeline.submit(manifest(&format!("m{n}"), &["contacts"], None)).await.unwrap());
    }
    let fifth = manifest("m4", &["contacts"], None);
    assert!(matches!(pipeline.submit(fifth.clone()).await, Err(SubmitError::Slow { waiting: 4 })));
    assert!(matches!(pipeline.cancel(&waiting[1].id).await, Ok(Cancelled::Done(_))));
    pipeline.submit(fifth).await.unwrap();
    pipeline.shutdown().await;
}
