//! Every mix of features gives a valid bundle with the promised scenarios.

use super::*;
use crate::apphost::bundle::Bundle;
use crate::apphost::scenario;
use crate::pipeline::manifest::{BuildType, CreatedFrom};

fn manifest(features: &[&str]) -> BuildManifest {
    BuildManifest {
        manifest_id: "man_1".to_owned(),
        build_type: BuildType::BuildCrm,
        title: "Harbour CRM".to_owned(),
        description: "Keeps the harbour's customers.".to_owned(),
        features: features.iter().map(|f| (*f).to_owned()).collect(),
        tech_stack: Vec::new(),
        constraints: serde_json::Map::new(),
        integrations: Vec::new(),
        conversation_id: "conv_1".to_owned(),
        created_from: CreatedFrom::Voice,
        confidence: 0.9,
        metadata: serde_json::Map::new(),
    }
}

const MIXES: [&[&str]; 8] = [
    &[],
    &["deals"],
    &["notes"],
    &["companies"],
    &["deals", "notes"],
    &["deals", "companies"],
    &["notes", "companies"],
    &["contacts", "deals", "notes", "companies", "tasks", "search"],
];

#[test]
fn every_mix_of_features_is_a_valid_bundle_with_the_promised_tests() {
    for features in MIXES {
        let manifest = manifest(features);
        let spec = Spec::compose(&manifest);
        let files = generate(&spec, &manifest);
        let bundle = Bundle::from_files(&files).unwrap_or_else(|e| panic!("{features:?}: {e}"));
        assert_eq!(bundle.endpoints.len(), spec.api.len(), "{features:?}");
        let mut promised: Vec<_> = spec.tests.iter().map(|t| t.name.clone()).collect();
        let mut written: Vec<_> = scenario::parse(&files).unwrap().into_iter().map(|s| s.name).collect();
        promised.sort();
        written.sort();
        assert_eq!(promised, written, "{features:?}");
    }
}

#[test]
fn the_same_spec_gives_the_same_bytes() {
    let manifest = manifest(&["deals"]);
    let spec = Spec::compose(&manifest);
    assert_eq!(generate(&spec, &manifest), generate(&spec, &manifest));
}

#[test]
fn the_style_sheet_is_small() {
    assert!(include_str!("../design/static/app.css").len() <= 32 << 10);
}
