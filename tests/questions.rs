//! Questions in the middle of builds, with the real program as the app's process: nothing waits that need not, an answer is on disk
//! with what follows from it before anything is done, a restart loses neither question nor answer, and a default holds where
//! nobody answers.

use callwright::apphost::bundle::Files;
use callwright::conversation::{BuildStage, BuildUpdate, Outcome};
use callwright::pipeline::kernel::frame::{Ask, Choice};
use callwright::pipeline::kernel::{self, Capability, Kernel};
use callwright::pipeline::manifest::{BuildManifest, BuildType, CreatedFrom};
use callwright::pipeline::spec::Spec;
use callwright::pipeline::{Pipeline, PipelineConfig};
use callwright::store::{Answered, AnsweredBy, Build, QuestionState, Store};
use serde_json::{Map, json};
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::sync::broadcast::Receiver;
use tokio::time::{sleep, timeout};

/// Far beyond what a build takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn manifest(id: &str, build_type: BuildType, title: &str) -> BuildManifest {
    BuildManifest {
        manifest_id: id.into(),
        build_type,
        title: title.into(),
        description: "For the harbour.".into(),
        features: vec![],
        tech_stack: vec![],
        constraints: Map::new(),
        integrations: vec![],
        conversation_id: "conv_1".into(),
        created_from: CreatedFrom::Voice,
        confidence: 0.93,
        metadata: Map::from_iter([("approval".to_owned(), json!({"by": "key"}))]),
    }
}

/// The usual generator of a CRM, which asks for a colour and waits.
#[derive(Debug)]
struct Asks {
    inner: Box<dyn Kernel>,
    wait_s: u64,
}

impl Kernel for Asks {
    fn name(&self) -> &'static str {
        self.inner.name()
    }
    fn can(&self, build_type: BuildType, capability: Capability) -> bool {
        self.inner.can(build_type, capability)
    }
    fn generate(&self, manifest: &BuildManifest, spec: &Spec) -> Result<Files, String> {
        self.inner.generate(manifest, spec)
    }
    fn questions(&self, manifest: &BuildManifest, _: &Spec) -> Vec<Ask> {
        if manifest.constraints.contains_key("colour") {
            return Vec::new();
        }
        let choices = ["teal", "rose"].map(|colour| Choice { value: colour.into(), say: colour.into() }).to_vec();
        let question = "Which colour shall it have?".to_owned();
        vec![Ask { ask_id: "colour".into(), question, choices, default: "teal".into(), wait_s: self.wait_s }]
    }
}

fn config(data: &Path, wait_s: Option<u64>) -> PipelineConfig {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut config = PipelineConfig::new(data.to_owned(), env!("CARGO_BIN_EXE_callwright").into());
    config.apps.ports = free..=free.saturating_add(50);
    if let Some(wait_s) = wait_s {
        let asks = |inner| Box::new(Asks { inner, wait_s }) as Box<dyn Kernel>;
        config.kernels = kernel::all().into_iter().map(asks).collect();
    }
    config
}

/// The first update of a build that is `what`.
async fn until(updates: &mut Receiver<BuildUpdate>, id: &str, what: fn(&BuildUpdate) -> bool) -> BuildUpdate {
    loop {
        let update = timeout(PATIENCE, updates.recv()).await.expect("it takes too long").unwrap();
        if update.build_id == id && what(&update) {
            return update;
        }
        assert!(!matches!(update.outcome, Some(Outcome::Parked { .. })), "{update:?}");
    }
}

async fn tracked(store: &Store, id: &str) -> Build {
    let begun = Instant::now();
    loop {
        let build = store.builds().get(id).unwrap().unwrap();
        if build.stage == BuildStage::Tracked {
            return build;
        }
        assert!(build.stage != BuildStage::Parked && begun.elapsed() < PATIENCE, "{build:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

fn theme(store: &Store, build: &str) -> String {
    let spec = store.world().get("build_spec", build).unwrap().unwrap().document;
    spec["theme"]["name"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_is_live_with_its_default_and_the_answer_is_its_next_version() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let pipeline = Pipeline::start(config(dir.path(), None), store.clone()).await.unwrap();
    let mut updates = pipeline.updates();
    let order = manifest("m1", BuildType::BuildEcommerce, "Shop");
    let build = pipeline.submit(order.clone()).await.unwrap();
    let live = until(&mut updates, &build.id, |update| update.outcome.is_some()).await;
    let ask = live.ask.expect("the order names no currency");
    assert_eq!((ask.name.as_str(), ask.default.as_str()), ("currency", "USD"));
    assert!(ask.question.contains("currency") && ask.choices.iter().any(|(value, _)| value == "EUR"));
    tracked(&store, &build.id).await;
    assert_eq!(pipeline.meta("shop").await.unwrap().currency, "USD");
    let answer = async |value: &str| pipeline.answer(&build.id, "currency", value, AnsweredBy::Voice).await.unwrap();
    assert!(matches!(answer("XYZ").await, Answered::NoChoice(choices) if choices.len() == ask.choices.len()));
    assert_eq!(pipeline.answer(&build.id, "colour", "EUR", AnsweredBy::Api).await.unwrap(), Answered::Unknown);
    let Answered::FollowUp(next) = answer("EUR").await else { panic!("no build") };
    assert!(matches!(answer("EUR").await, Answered::FollowUp(same) if same.id == next.id));
    assert_eq!(answer("GBP").await, Answered::TooLate);
    tracked(&store, &next.id).await;
    assert_eq!(pipeline.meta("shop").await.unwrap().currency, "EUR");
    let app = store.apps().get("shop").unwrap().unwrap();
    assert_eq!((app.version, app.build_id.as_str()), (2, next.id.as_str()));
    assert!(store.questions().of_build(&next.id).unwrap().is_empty(), "it is not asked again");
    let question = &store.questions().of_build(&build.id).unwrap()[0];
    assert_eq!((question.state, question.answered_by), (QuestionState::Answered, Some(AnsweredBy::Voice)));
    // Whoever says it in the order is not asked.
    let mut named = manifest("m2", BuildType::BuildEcommerce, "Kiosk");
    named.constraints.insert("currency".into(), json!("GBP"));
    let build = pipeline.submit(named).await.unwrap();
    assert_eq!(until(&mut updates, &build.id, |update| update.outcome.is_some()).await.ask, None);
    let kinds: Vec<String> = store.events().after(0, 1_000).unwrap().into_iter().map(|event| event.kind).collect();
    let told = |kind: &str| kinds.iter().filter(|told| *told == kind).count();
    assert_eq!((told("build.question.asked"), told("build.question.answered")), (1, 1));
    pipeline.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_waits_goes_on_with_the_answer_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let pipeline = Pipeline::start(config(dir.path(), Some(3_600)), store.clone()).await.unwrap();
    let mut updates = pipeline.updates();
    let build = pipeline.submit(manifest("m1", BuildType::BuildCrm, "CRM")).await.unwrap();
    let waits = until(&mut updates, &build.id, |update| update.ask.is_some()).await;
    assert_eq!((waits.stage, waits.outcome), (BuildStage::Planned, None));
    // Other builds are not held up by it, and it is the same question after a restart.
    pipeline.shutdown().await;
    let asked = store.questions().of_build(&build.id).unwrap();
    assert_eq!((asked.len(), asked[0].state), (1, QuestionState::Open));
    // Answered while nobody builds, as by a daemon that is killed right after the answer is on disk.
    let answered =
        store.questions().answer(&build.id, "colour", "rose", AnsweredBy::Api, asked[0].asked).wait().unwrap();
    assert_eq!(answered, Answered::GoesOn);
    let pipeline = Pipeline::start(config(dir.path(), Some(3_600)), store.clone()).await.unwrap();
    let done = tracked(&store, &build.id).await;
    assert_eq!((theme(&store, &build.id).as_str(), done.attempt), ("rose", 0));
    let manifest = store.manifests().get("m1").unwrap().unwrap();
    assert!(manifest.constraints.is_empty(), "what was approved stays as it is");
    pipeline.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_nobody_answers_goes_on_with_its_default() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let pipeline = Pipeline::start(config(dir.path(), Some(1)), store.clone()).await.unwrap();
    let build = pipeline.submit(manifest("m1", BuildType::BuildCrm, "CRM")).await.unwrap();
    tracked(&store, &build.id).await;
    let question = &store.questions().of_build(&build.id).unwrap()[0];
    assert_eq!((question.state, question.answer.as_deref()), (QuestionState::Defaulted, Some("teal")));
    assert_eq!(theme(&store, &build.id), "teal");
    // Better late than never.
    let late = pipeline.answer(&build.id, "colour", "rose", AnsweredBy::Api).await.unwrap();
    let Answered::FollowUp(next) = late else { panic!("{late:?}") };
    tracked(&store, &next.id).await;
    assert_eq!(theme(&store, &next.id), "rose");
    pipeline.shutdown().await;
}
