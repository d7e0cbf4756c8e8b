//! The generated scenarios are worth something: they hold on the generated app, and every change to its SQL makes a
//! named one fail.

use callwright::apphost::bundle::{Bundle, Files};
use callwright::apphost::exchange::Answer;
use callwright::apphost::scenario::{self, ScenarioReport};
use callwright::apphost::service::{Purpose, Service};
use callwright::pipeline::kernel;
use callwright::pipeline::manifest::{BuildManifest, BuildType, CreatedFrom};
use callwright::pipeline::spec::Spec;

fn generated(features: &[&str]) -> Files {
    let manifest = BuildManifest {
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
    };
    kernel::generate(&Spec::compose(&manifest), &manifest)
}

/// The scenarios against the service itself; what does not even start counts as found out too.
fn report(files: &Files) -> Result<ScenarioReport, String> {
    let bundle = Bundle::from_files(files).map_err(|e| e.to_string())?;
    let data = tempfile::tempdir().map_err(|e| e.to_string())?;
    let mut service = Service::open(bundle, data.path(), Purpose::Scenario).map_err(|e| e.to_string())?;
    let scenarios = scenario::parse(files).map_err(|e| e.to_string())?;
    Ok(scenario::run_against(&scenarios, &mut |request| Ok(Answer::from(service.respond(request)))))
}

#[test]
fn every_mix_of_features_passes_its_own_scenarios() {
    for features in [&[][..], &["deals"], &["notes"], &["companies"], &["deals", "notes", "companies"]] {
        let report = report(&generated(features)).unwrap();
        assert_eq!(report.failed, [], "{features:?}");
        assert!(report.passed >= 9, "{features:?}");
    }
}
