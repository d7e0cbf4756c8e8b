//! Scenarios: what an app must do, as requests and what has to come back. Purpose: run a bundle's `tests/*.toml`
//! against a throw-away instance and name in plain words what failed.
//! Invariants: every scenario starts with no data; one failing step ends its scenario, never the others; nothing of the
//! bundle runs in the caller's process (SQL checks go to the sandboxed instance and are undone).
//!
//! A step asks (`request`, with `json` or `form`), looks into the data (`sql`) or follows all links (`crawl`).
//! `{name}` stands for a value that an earlier step saved. In `check` and `rows`, `false` also stands for null and
//! `true` for anything but null, since TOML has no null.

mod step;

use super::bundle::{BundleError, Files};
use super::child::{ChildError, Plan, spawn};
use super::exchange::{Answer, Request};
use super::service::Purpose;
use crate::limits::SCENARIOS_MAX;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

/// Time that an instance may take to answer its first request.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// One promise.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// In plain words; spoken when it fails.
    pub name: String,
    /// Role of whoever does it: `admin`, `staff`, `viewer`; nobody who is known unless given.
    #[serde(default, rename = "as")]
    pub role: String,
    /// Begin with the bundle's seed data instead of none.
    #[serde(default)]
    pub seed: bool,
    /// What is done, in order.
    pub step: Vec<Step>,
}

/// One thing that is done and what must come of it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Step {
    /// In plain words.
    pub say: String,
    /// Method and target, e.g. `GET /contacts?q=ada`.
    pub request: String,
    /// JSON body.
    pub json: Option<serde_json::Value>,
    /// Form body; the token is added unless `forged`.
    pub form: Option<BTreeMap<String, String>>,
    /// Page from which the form's token is taken; the new record's page of the same resource unless given.
    pub page: String,
    /// Header fields to send.
    pub send: BTreeMap<String, String>,
    /// Sign the body as the app's own hooks want it.
    pub sign: bool,
    /// Ask as somebody who is not signed in.
    pub visitor: bool,
    /// Send the form without a token.
    pub forged: bool,
    /// Expected status; 200 unless given.
    pub status: Option<u16>,
    /// JSON pointer → expected value.
    pub check: BTreeMap<String, serde_json::Value>,
    /// JSON pointer → expected length.
    pub count: BTreeMap<String, usize>,
    /// Text that the body holds.
    pub contains: Vec<String>,
    /// Text that the body does not hold.
    pub lacks: Vec<String>,
    /// Texts that the body holds in this order.
    pub order: Vec<String>,
    /// Header → expected value.
    pub header: BTreeMap<String, String>,
    /// Name → JSON pointer of the value to keep for later steps.
    pub save: BTreeMap<String, String>,
    /// Name → text in the answer, or `header:NAME text` in a header, after which the value to keep stands (letters, digits,
    /// underscores).
    pub take: BTreeMap<String, String>,
    /// Statements to run on the instance's data; undone afterwards.
    pub sql: String,
    /// Keep what the statements did.
    pub keep: bool,
    /// Expected rows of the last statement.
    pub rows: Option<Vec<Vec<serde_json::Value>>>,
    /// Part of the rule's name that must refuse the statements.
    pub refused: String,
    /// Page from which every link must lead to a page.
    pub crawl: String,
}

/// How it went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScenarioReport {
    /// Scenarios that hold.
    pub passed: usize,
    /// Scenarios that do not.
    pub failed: Vec<Failure>,
}

/// A scenario that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The scenario's name.
    pub name: String,
    /// Which step, what was expected and what came, in plain words.
    pub said: String,
}

/// Why the scenarios could not be run at all.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The bundle cannot be read; its maker's fault or the operator's.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The instance does not start: bad SQL, bad templates (the generator's fault), or no sandbox (the operator's).
    #[error(transparent)]
    Child(#[from] ChildError),
    /// The scratch directory cannot be used.
    #[error("cannot use the scratch directory {path}: {source}")]
    Scratch {
        /// The directory.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    scenario: Vec<Scenario>,
}

/// The scenarios among `files`, in order of their paths.
///
/// # Errors
/// [`BundleError::Malformed`] for unknown keys, doubled names and steps that do nothing or too much.
pub fn parse(files: &Files) -> Result<Vec<Scenario>, BundleError> {
    let mut scenarios = Vec::new();
    let mut names = BTreeSet::new();
    for (path, bytes) in files.iter().filter(|(path, _)| path.starts_with("tests/")) {
        let malformed = |what: String| BundleError::Malformed { path: path.clone(), what };
        let text = std::str::from_utf8(bytes).map_err(|e| malformed(e.to_string()))?;
        let file: File = toml::from_str(text).map_err(|e| malformed(e.to_string()))?;
        for scenario in file.scenario {
            if !names.insert(scenario.name.clone()) {
                return Err(malformed(format!("there are two scenarios called {:?}", scenario.name)));
            }
            for step in &scenario.step {
                let kinds = [&step.request, &step.sql, &step.crawl].into_iter().filter(|k| !k.is_empty()).count();
                if kinds != 1 || step.say.is_empty() {
                    let what = "has a step without `say`, or without exactly one of `request`, `sql`, `crawl`";
                    return Err(malformed(format!("{:?} {what}", scenario.name)));
                }
            }
            scenarios.push(scenario);
        }
    }
    if scenarios.len() > SCENARIOS_MAX {
        return Err(BundleError::TooLarge { what: "the number of scenarios".to_owned(), limit: SCENARIOS_MAX });
    }
    Ok(scenarios)
}

/// Runs `scenarios` against whatever `ask` reaches: an instance that was started for [`Purpose::Scenario`].
pub fn run_against(scenarios: &[Scenario], ask: &mut dyn FnMut(&Request) -> std::io::Result<Answer>) -> ScenarioReport {
    let mut report = ScenarioReport::default();
    for scenario in scenarios {
        match step::run(scenario, ask) {
            Ok(()) => report.passed += 1,
            Err(said) => report.failed.push(Failure { name: scenario.name.clone(), said }),
        }
    }
    report
}

/// Runs the scenarios of the bundle under `bundle` against a sandboxed instance of `exe apphost` with throw-away data
/// under `scratch`, a directory of the caller's that is emptied of this run's files afterwards.
///
/// # Errors
/// See [`ScenarioError`].
pub fn run_bundle(exe: &Path, bundle: &Path, scratch: &Path) -> Result<ScenarioReport, ScenarioError> {
    let scenarios = parse(&super::bundle::read_dir(bundle)?)?;
    let home = scratch.join(format!("scenario-{}", unique()));
    let scratch_error = |source| ScenarioError::Scratch { path: home.display().to_string(), source };
    std::fs::create_dir_all(&home).map_err(scratch_error)?;
    let result = run_in(exe, bundle, &home, &scenarios);
    let cleaned = std::fs::remove_dir_all(&home).map_err(scratch_error);
    let report = result?;
    cleaned?;
    Ok(report)
}

fn run_in(exe: &Path, bundle: &Path, home: &Path, scenarios: &[Scenario]) -> Result<ScenarioReport, ScenarioError> {
    let mut child = spawn(&Plan {
        exe: exe.to_owned(),
        bundle: bundle.to_owned(),
        data: home.join("data"),
        socket: home.join("app.sock"),
        log: home.join("app.log"),
        purpose: Purpose::Scenario,
    })?;
    child.wait_ready(READY_WITHIN)?;
    let report = run_against(scenarios, &mut |request| child.ask(request));
    child.stop(Duration::from_secs(1));
    Ok(report)
}

/// A name that no other run of this machine uses now.
fn unique() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static RUNS: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", std::process::id(), RUNS.fetch_add(1, Ordering::Relaxed))
}
