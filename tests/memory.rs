//! The memory of builds: what is found by its words, how much of it, with which sources, and what a new build takes over.

use callwright::conversation::{BuildUpdate, Outcome};
use callwright::knowledge::{Query, Recalled, retrieve_with_citations};
use callwright::pipeline::manifest::{BuildManifest, BuildType, CreatedFrom};
use callwright::pipeline::spec::Spec;
use callwright::pipeline::{Pipeline, PipelineConfig};
use callwright::store::{Memo, Store};
use callwright::time::Wallclock;
use proptest::prelude::*;
use serde_json::{Map, json};
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::time::{sleep, timeout};

/// Far beyond what a build takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn memo(source_type: &str, key: &str, title: &str, tags: &[&str], body: &str) -> Memo {
    Memo {
        source_type: source_type.into(),
        key: key.into(),
        title: title.into(),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        body: body.into(),
        time: Wallclock(1),
    }
}

fn ask<'a>(text: &'a str, source_types: &'a [&'a str], tags: &'a [&'a str]) -> Query<'a> {
    Query { text, source_types, tags, max_tokens: 3000 }
}

fn keys(found: &[Recalled]) -> Vec<&str> {
    found.iter().map(|recalled| recalled.memo.key.as_str()).collect()
}

#[test]
fn documents_are_found_by_their_words_types_and_tags_with_their_source() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    for document in [
        memo("execution_outcome", "b1", "Harbour CRM", &["build_crm", "successful"], "boats, moorings and invoices"),
        memo(
            "execution_outcome",
            "b2",
            "Bakery CRM",
            &["build_crm", "successful"],
            "customers and their standing orders",
        ),
        memo("execution_outcome", "b3", "Marina CRM", &["build_crm", "failed"], "boats and moorings"),
        memo("build_spec", "b1", "Harbour CRM", &["build_crm"], "boats and moorings"),
    ] {
        store.memory().put(document).wait().unwrap();
    }
    let of =
        |text: &str, types: &[&str], tags: &[&str]| retrieve_with_citations(&store, &ask(text, types, tags)).unwrap();
    let found = of("A CRM for the boat and its mooring", &["execution_outcome"], &["build_crm", "successful"]);
    assert_eq!(keys(&found)[0], "b1", "stems are alike: {found:?}");
    assert_eq!(found[0].citation, "execution_outcome b1: Harbour CRM");
    assert_eq!(keys(&of("moorings", &["execution_outcome"], &["build_crm", "failed"])), ["b3"]);
    assert_eq!(keys(&of("moorings", &["build_spec", "code_pattern"], &[])), ["b1"]);
    assert!(of("the of and", &["build_spec"], &[]).is_empty() && of("", &["build_spec"], &[]).is_empty());
    // The newest of a key counts, and its words alone.
    store.memory().put(memo("build_spec", "b1", "Harbour CRM", &["build_crm"], "lighthouses")).wait().unwrap();
    assert!(of("moorings", &["build_spec"], &[]).is_empty());
    assert_eq!(keys(&of("lighthouse", &["build_spec"], &[])), ["b1"]);
}

#[test]
fn never_more_comes_back_than_was_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut last = None;
    for n in 0..200_usize {
        let body = format!("harbour {}", "word ".repeat(n * 7 % 400));
        last = Some(store.memory().put(memo("build_spec", &n.to_string(), "Harbour", &[], &body)));
    }
    last.unwrap().wait().unwrap();
    proptest!(ProptestConfig::with_cases(64), |(most in 0_usize..4000, text in "[a-z\"*():^ -]{0,40}")| {
        let text = format!("harbour {text}");
        let query = Query { text: &text, source_types: &["build_spec"], tags: &[], max_tokens: most };
        let found = retrieve_with_citations(&store, &query).unwrap();
        let characters: usize = found.iter().map(|r| r.memo.title.len() + r.memo.body.len()).sum();
        prop_assert!(characters.div_ceil(4) <= most, "{characters} characters for {most} tokens");
        prop_assert_eq!(&retrieve_with_citations(&store, &query).unwrap(), &found);
    });
}

fn order(kind: BuildType, id: &str, title: &str, constraints: &[(&str, &str)]) -> BuildManifest {
    let (description, features): (&str, &[&str]) = match kind {
        BuildType::BuildEcommerce => ("A shop for bread and cakes.", &["products", "cart"]),
        _ => ("A CRM for those who order bread and cakes.", &["contacts", "deals"]),
    };
    BuildManifest {
        manifest_id: id.into(),
        build_type: kind,
        title: title.into(),
        description: description.into(),
        features: features.iter().map(|feature| (*feature).to_owned()).collect(),
        tech_stack: vec![],
        constraints: constraints.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect(),
        integrations: vec![],
        conversation_id: "conv_1".into(),
        created_from: CreatedFrom::Voice,
        confidence: 0.93,
        metadata: Map::from_iter([("approval".to_owned(), json!({"by": "key"}))]),
    }
}

fn config(data: &Path) -> PipelineConfig {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut config = PipelineConfig::new(data.to_owned(), env!("CARGO_BIN_EXE_callwright").into());
    config.apps.ports = free..=free.saturating_add(50);
    config
}

struct Bench {
    pipeline: Pipeline,
    store: Store,
    updates: Receiver<BuildUpdate>,
    _dir: tempfile::TempDir,
}

/// A build that went live: what was spoken on the way, and its spec.
struct Built {
    id: String,
    said: Vec<String>,
    spec: Spec,
}

impl Built {
    fn cited(&self, part: &str) -> Vec<&str> {
        let of = self.spec.citations.iter().filter(|citation| citation.part == part);
        of.map(|citation| citation.source.as_str()).collect()
    }
}

impl Bench {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let pipeline = Pipeline::start(config(dir.path()), store.clone()).await.unwrap();
        Self { updates: pipeline.updates(), pipeline, store, _dir: dir }
    }

    async fn build(&mut self, manifest: BuildManifest) -> Built {
        let build = self.pipeline.submit(manifest).await.unwrap();
        let mut said = Vec::new();
        loop {
            let update = timeout(PATIENCE, self.updates.recv()).await.expect("the build takes too long").unwrap();
            if update.build_id != build.id {
                continue;
            }
            said.extend(update.say);
            match update.outcome {
                Some(Outcome::Live { .. }) => break,
                Some(Outcome::Parked { say }) => panic!("parked: {say}"),
                None => {}
            }
        }
        // It is remembered in the stage after.
        let known = || self.store.memory().find(&["bread"], &["execution_outcome"], &[], 99).unwrap();
        for _ in 0..600 {
            if known().iter().any(|memo| memo.key == build.id) {
                break;
            }
            sleep(Duration::from_millis(100)).await;
        }
        let document = self.store.world().get("build_spec", &build.id).unwrap().unwrap().document;
        Built { id: build.id, said, spec: serde_json::from_value(document).unwrap() }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_shop_builds_on_the_first_and_its_versions_stay_what_they_are() {
    let mut bench = Bench::start().await;
    let shop = |id, title, constraints: &[_]| order(BuildType::BuildEcommerce, id, title, constraints);
    let first = bench.build(shop("m1", "Old Mill Bakery", &[("currency", "EUR"), ("colour", "rose")])).await;
    // Nothing was there for the first to build on but the patterns.
    assert!(first.cited("currency").is_empty() && first.cited("theme").is_empty());
    let pattern = |built: &Built| built.cited("pack cart").contains(&"code_pattern build_ecommerce/cart: a basket");
    assert!(pattern(&first), "{:?}", first.spec.citations);

    let second = bench.build(shop("m2", "New Mill Bakery", &[])).await;
    assert_eq!((second.spec.currency.as_str(), second.spec.theme.name.as_str()), ("EUR", "rose"));
    let source = format!("execution_outcome {}: Old Mill Bakery", first.id);
    assert_eq!((second.cited("currency"), second.cited("theme")), (vec![source.as_str()], vec![source.as_str()]));
    assert!(
        second.said.iter().any(|say| say.contains("Amounts are in euros, as in Old Mill Bakery.")),
        "{:?}",
        second.said
    );
    // What it asks has the precedent for its usual answer.
    let asked = bench.store.questions().of_build(&second.id).unwrap().remove(0);
    assert_eq!((asked.name.as_str(), asked.default.as_str()), ("currency", "EUR"));
    assert_eq!(
        asked.choices.iter().map(|choice| choice.value.as_str()).collect::<Vec<_>>(),
        ["EUR", "USD", "GBP", "CHF"]
    );

    // What an order says stands.
    let third = bench.build(shop("m3", "Far Mill Bakery", &[("currency", "CHF")])).await;
    assert_eq!(third.spec.currency, "CHF");
    assert!(third.cited("currency").is_empty() && third.said.iter().all(|say| !say.contains("Amounts")));

    // What is gone is forgotten.
    let known = || {
        let query = ask("mill bakery", &["execution_outcome"], &["build_ecommerce", "successful"]);
        retrieve_with_citations(&bench.store, &query).unwrap().len()
    };
    assert_eq!(known(), 3);
    assert!(bench.store.apps().delete(&first.spec.slug, Wallclock(9)).await.unwrap());
    assert_eq!(known(), 2);

    // The precedent is gone, and the nearest now has francs: the next version has what the one before had.
    let mut next = shop("m4", "New Mill Bakery", &[]);
    next.metadata.insert("amends".to_owned(), json!(second.spec.slug));
    let next = bench.build(next).await;
    assert_eq!((next.spec.currency.as_str(), next.spec.theme.name.as_str()), ("EUR", "rose"));
    assert_eq!(next.cited("currency"), [format!("build_spec {}: New Mill Bakery", second.id)]);
    assert!(next.said.iter().all(|say| !say.contains("Amounts")), "{:?}", next.said);
}

#[tokio::test(flavor = "multi_thread")]
async fn apps_of_another_type_are_no_precedent_and_dollars_are_none() {
    let mut bench = Bench::start().await;
    let crm = |id, title, constraints: &[_]| order(BuildType::BuildCrm, id, title, constraints);
    let shop = order(BuildType::BuildEcommerce, "m1", "Mill Bakery", &[("currency", "GBP"), ("colour", "amber")]);
    bench.build(shop).await;
    let plain = bench.build(crm("m2", "Baker CRM", &[])).await;
    assert_eq!((plain.spec.currency.as_str(), plain.spec.theme.name.as_str()), ("USD", "teal"));
    let francs = bench.build(crm("m3", "Bread CRM", &[("currency", "CHF")])).await;
    let third = bench.build(crm("m4", "Bread CRM of the North", &[])).await;
    assert_eq!(third.spec.currency, "CHF");
    assert_eq!(third.cited("currency"), [format!("execution_outcome {}: Bread CRM", francs.id)]);
}
