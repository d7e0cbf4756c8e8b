//! Every type of app from a manifest to an instance that answers: its own scenarios hold, each change to its SQL is noticed,
//! hostile text stays text, roles hold.

use callwright::apphost::bundle::{Bundle, Files};
use callwright::apphost::exchange::{Answer, Request, percent_encode};
use callwright::apphost::scenario::{self, Scenario};
use callwright::apphost::service::{Purpose, Service};
use callwright::pipeline::kernel;
use callwright::pipeline::manifest::{BuildManifest, BuildType, CreatedFrom};
use callwright::pipeline::spec::{FieldKind, Spec};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn manifest(build_type: BuildType, features: &[&str]) -> BuildManifest {
    BuildManifest {
        manifest_id: "man_1".to_owned(),
        build_type,
        title: "Harbour".to_owned(),
        description: "Everything for the harbour's people.".to_owned(),
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

fn generated(build_type: BuildType, features: &[&str]) -> (Spec, Files) {
    let manifest = manifest(build_type, features);
    let spec = Spec::compose(&manifest);
    let kernels = kernel::all();
    let kernel = kernels.iter().find(|k| k.can(build_type, kernel::Capability::Frontend)).expect("a kernel of the type");
    let files = kernel.generate(&manifest, &spec).unwrap();
    (spec, files)
}

/// Everything that each type can have.
const FULL: [(BuildType, &[&str]); 5] = [
    (BuildType::BuildCrm, &["deals", "notes", "companies", "tasks"]),
    (BuildType::BuildWebsite, &["blog", "contact_form", "booking"]),
    (BuildType::BuildEcommerce, &["products", "payment"]),
    (BuildType::BuildApi, &["customers", "products", "orders", "tasks", "events", "articles", "items"]),
    (BuildType::BuildDashboard, &["charts"]),
];

struct App {
    service: Service,
    scenarios: Vec<Scenario>,
    cookies: BTreeMap<String, String>,
    _data: tempfile::TempDir,
}

impl App {
    fn open(files: &Files) -> Result<Self, String> {
        let bundle = Bundle::from_files(files).map_err(|e| e.to_string())?;
        let scenarios = scenario::parse(files).map_err(|e| e.to_string())?;
        let data = tempfile::tempdir().map_err(|e| e.to_string())?;
        let service = Service::open(bundle, data.path(), Purpose::Scenario).map_err(|e| e.to_string())?;
        Ok(Self { service, scenarios, cookies: BTreeMap::new(), _data: data })
    }

    fn ask(&mut self, method: &str, target: &str, kind: &str, body: &str) -> Answer {
        let mut request = Request::new(method, target);
        let cookies: Vec<_> = self.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
        request.headers.insert("cookie".to_owned(), cookies.join("; "));
        request.headers.insert("content-type".to_owned(), kind.to_owned());
        request.body = body.as_bytes().to_vec();
        let answer = Answer::from(self.service.respond(&request));
        if let Some((name, value)) =
            answer.headers.get("set-cookie").and_then(|c| c.split(';').next()).and_then(|c| c.split_once('='))
        {
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        answer
    }

    fn get(&mut self, target: &str) -> Answer {
        self.ask("GET", target, "", "")
    }

    fn sign_in(&mut self, role: &str) {
        let answer = self.ask("POST", &format!("/_/session?role={role}"), "", "");
        let cookie: Value = serde_json::from_slice(&answer.body).unwrap();
        let (name, value) = cookie["cookie"].as_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
        self.cookies.insert(name.to_owned(), value.to_owned());
    }
}

/// The names of scenarios that fail, each with what it said.
fn failures(files: &Files, only_first: bool) -> Result<Vec<String>, String> {
    let mut app = App::open(files)?;
    let scenarios = std::mem::take(&mut app.scenarios);
    let mut failed = Vec::new();
    for scenario in &scenarios {
        let mut ask = |request: &Request| Ok(Answer::from(app.service.respond(request)));
        let report = scenario::run_against(std::slice::from_ref(scenario), &mut ask);
        failed.extend(report.failed.into_iter().map(|f| format!("{}: {}", f.name, f.said)));
        if only_first && !failed.is_empty() {
            break;
        }
    }
    Ok(failed)
}

#[test]
fn every_type_with_every_mix_keeps_its_promises() {
    let website: [&[&str]; 4] = [&[], &["blog"], &["contact_form"], &["booking", "static"]];
    let mixes = FULL.into_iter().chain(website.map(|features| (BuildType::BuildWebsite, features))).chain([
        (BuildType::BuildCrm, &["tasks"][..]),
        (BuildType::BuildApi, &[]),
        (BuildType::BuildApi, &["orders"]),
    ]);
    for (build_type, features) in mixes {
        let (spec, files) = generated(build_type, features);
        let failed = failures(&files, false).unwrap_or_else(|e| panic!("{build_type:?} {features:?}: {e}"));
        assert!(failed.is_empty(), "{build_type:?} {features:?}:\n{}", failed.join("\n"));
        let mut promised: Vec<_> = spec.tests.iter().map(|t| t.name.clone()).collect();
        let mut written: Vec<_> = scenario::parse(&files).unwrap().into_iter().map(|s| s.name).collect();
        promised.sort();
        written.sort();
        assert_eq!(promised, written, "{build_type:?} {features:?}");
        let bundle = Bundle::from_files(&files).unwrap();
        assert_eq!(bundle.endpoints.len(), spec.api.len(), "{build_type:?} {features:?}");
        assert_eq!(generated(build_type, features).1, files, "the same spec gives the same bytes");
    }
}
