//! A real app whose messages go to receivers of every temper; and who makes its first account.

mod hooks;

use callwright::apphost;
use callwright::config::Network;
use callwright::conversation::BuildStage;
use callwright::pipeline::manifest::{BuildManifest, BuildType, CreatedFrom};
use callwright::pipeline::{Patience, Pipeline, PipelineConfig, code_in_words};
use callwright::store::{Delivery, DeliveryState, Store};
use hooks::{Came, Does, Person, Receiver};
use serde_json::{Map, Value, json};
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Far beyond what anything here takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

fn config(data: &Path) -> PipelineConfig {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut config = PipelineConfig::new(data.to_owned(), env!("CARGO_BIN_EXE_callwright").into());
    config.apps.ports = free..=free.saturating_add(50);
    config.patience = Patience {
        look: Duration::from_millis(30),
        answer: Duration::from_secs(2),
        first: Duration::from_millis(40),
        longest: Duration::from_millis(100),
        tries: 3,
    };
    config.webhook_networks = vec![Network::parse("127.0.0.0/8").unwrap()];
    config
}

fn manifest() -> BuildManifest {
    BuildManifest {
        manifest_id: "m1".into(),
        build_type: BuildType::BuildCrm,
        title: "CRM".into(),
        description: "A CRM.".into(),
        features: vec!["contacts".into()],
        tech_stack: vec![],
        constraints: Map::new(),
        integrations: vec![],
        conversation_id: "conv_1".into(),
        created_from: CreatedFrom::Api,
        confidence: 1.0,
        metadata: Map::from_iter([("approval".to_owned(), json!({"by": "api"}))]),
    }
}

async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "never happened: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

fn is_signed(came: &Came, secret: &str) -> bool {
    let signature = &came.head["x-signature"];
    let at = signature.strip_prefix("t=").and_then(|s| s.split(',').next()).and_then(|t| t.parse().ok());
    at.is_some_and(|at| apphost::sign(secret, at, came.body.as_bytes()) == *signature)
}

fn to<'a>(all: &'a [Delivery], receiver: &Receiver) -> &'a Delivery {
    let address = receiver.address.to_string();
    all.iter().find(|delivery| delivery.url.contains(&address)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_reach_their_webhooks_or_are_given_up_and_only_who_knows_the_code_owns_the_app() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let pipeline = Pipeline::start(config(dir.path()), store.clone()).await.unwrap();
    let build = pipeline.submit(manifest()).await.unwrap();
    let build = until("the build ends", || {
        let build = store.builds().get(&build.id).unwrap().unwrap();
        assert!(!matches!(build.stage, BuildStage::Parked | BuildStage::Failed), "{build:?}");
        (build.stage == BuildStage::Tracked).then_some(build)
    });
    let url = build.await.url.unwrap();

    // The code outlives a restart; a stranger does not find it, and is slowed down.
    let code = pipeline.setup_code("crm").await.unwrap().unwrap();
    assert!(code.len() == 11 && code_in_words(&code).split_whitespace().count() == 9, "{code}");
    pipeline.shutdown().await;
    let pipeline = Pipeline::start(config(dir.path()), store.clone()).await.unwrap();
    let begun = Instant::now();
    while pipeline.setup_code("crm").await.ok().flatten().as_ref() != Some(&code) {
        assert!(begun.elapsed() < PATIENCE, "the code is another one, or the app does not come back");
        sleep(Duration::from_millis(50)).await;
    }
    let mut stranger = Person::before(&url);
    let guess = code.replace(|c: char| c.is_ascii_digit(), if code.starts_with('1') { "2" } else { "1" });
    assert_eq!(stranger.set_up(&guess).status, 403);
    assert_eq!(stranger.set_up("").status, 403);
    assert_eq!(stranger.ask("GET", "/_/setup", "text/plain", "").status, 404, "the code is the daemon's to tell");
    let mut ada = Person::before(&url);
    // As it was heard.
    assert_eq!(ada.set_up(&code.replace('-', " ")).status, 303);
    assert_eq!(pipeline.setup_code("crm").await.unwrap(), None);
    let answer = stranger.set_up(&code);
    assert!(answer.status == 303 && answer.text.contains("/sign-in"), "it serves once: {}", answer.text);

    let well = Receiver::start(&[Does::Answers(204)]);
    let failing = Receiver::start(&[Does::Answers(500), Does::Cuts, Does::Answers(200)]);
    let slow = Receiver::start(&[Does::Holds]);
    let gone = Receiver::start(&[Does::Answers(410)]);
    let leading = Receiver::start(&[Does::Leads(well.address.port())]);
    let refusing = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let secret = ada.hook(&well.url());
    let other = ada.hook(&failing.url());
    for url in
        [slow.url(), gone.url(), leading.url(), format!("http://{refusing}/"), "http://[::1]:1/inside".to_owned()]
    {
        ada.hook(&url);
    }
    assert_eq!(ada.ask("POST", "/api/contacts", "application/json", r#"{"name": "Grace"}"#).status, 201);

    let ended = until("every message arrives or is given up", || {
        let all = store.deliveries().list(None, Some("crm"), None, 100).unwrap().items;
        (all.len() == 7 && all.iter().all(|d| d.state != DeliveryState::Waiting)).then_some(all)
    });
    let ended = ended.await;
    let came = well.came();
    assert_eq!(to(&ended, &well).state, DeliveryState::Delivered, "{ended:?}");
    assert!(
        came.iter().all(|came| came.head["webhook-id"] == to(&ended, &well).id),
        "redirects bring nothing: {came:?}"
    );
    assert!(is_signed(&came[0], &secret) && !is_signed(&came[0], &other));
    let body: Value = serde_json::from_str(&came[0].body).unwrap();
    assert_eq!(
        (body["event"].as_str(), body["data"]["name"].as_str(), came[0].head["webhook-event"].as_str()),
        (Some("contact.created"), Some("Grace"), "contact.created")
    );
    // The same message each time, signed anew.
    let tries = failing.came();
    assert_eq!((to(&ended, &failing).state, tries.len()), (DeliveryState::Delivered, 3), "{ended:?}");
    assert!(tries.iter().all(|came| came.head["webhook-id"] == tries[0].head["webhook-id"] && is_signed(came, &other)));
    for (receiver, tries, words) in
        [(&slow, 3, "no answer"), (&gone, 1, "410"), (&leading, 3, "redirects are not followed")]
    {
        let delivery = to(&ended, receiver);
        assert_eq!((delivery.state, delivery.tries), (DeliveryState::Dead, tries), "{delivery:?}");
        assert!(delivery.failure.as_ref().unwrap().contains(words), "{delivery:?}");
    }
    let find = |part: &str| ended.iter().find(|delivery| delivery.url.contains(part)).unwrap();
    let refused = find(&refusing.to_string());
    assert!(refused.tries == 3 && refused.failure.as_ref().unwrap().contains("cannot be reached"), "{refused:?}");
    let inside = find("inside");
    assert!(inside.tries == 1 && inside.failure.as_ref().unwrap().contains("webhook_networks"), "{inside:?}");
    assert!(ended.iter().all(|delivery| !delivery.url.contains("key=")), "{ended:?}");

    // Given up is not lost.
    slow.turn_to(Does::Answers(202));
    let id = to(&ended, &slow).id.clone();
    assert_eq!(store.deliveries().retry(&id, callwright::os::clock::wall()).await.unwrap(), Some(true));
    until("the dead message arrives", || {
        let done = store.deliveries().list(Some(DeliveryState::Delivered), None, None, 100).unwrap().items;
        done.iter().any(|delivery| delivery.id == id).then_some(())
    })
    .await;
    assert!(pipeline.delete("crm").await.unwrap());
    assert!(store.deliveries().list(None, None, None, 10).unwrap().items.is_empty());
    pipeline.shutdown().await;
}
