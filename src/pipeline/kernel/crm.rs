//! The CRM kernel. Purpose: contacts, companies, deals, notes and tasks; only what the spec holds. Pure.
//! Invariants: the result passes `Bundle::from_files`; every promised test of the spec is among the scenarios.
//! Deliberately absent: what a feature means (`pipeline::spec`) and how a bundle is served (`apphost`).

mod question;
mod scenario;

use super::parts::{Parts, closed, view};
use super::trial;
use crate::apphost::bundle::{Files, Target};
use crate::pipeline::manifest::BuildManifest;
use crate::pipeline::spec::{PageKind, Spec};

/// Generates a CRM.
#[must_use]
pub fn generate(spec: &Spec, manifest: &BuildManifest) -> Files {
    let mut parts = Parts::of(spec);
    let groups = has_companies(spec);
    question::add(&mut parts.actions, has(spec, "deals"), has(spec, "notes"), has(spec, "tasks"), groups);
    parts.file("views/overview.html", include_str!("crm/views/overview.html"));
    let mut overview = vec![("summary", "summary"), ("recent", "overview_recent")];
    if has(spec, "deals") {
        overview.extend([("columns", "deals_columns"), ("closing", "overview_closing")]);
    }
    parts.routes.push(closed("/", Target::View(view("overview", &overview))));
    if groups {
        parts.file("views/companies.html", include_str!("crm/views/companies.html"));
        parts.routes.push(closed("/companies", Target::View(view("companies", &[("companies", "companies")]))));
    }
    // What a CRM of before could do without an account it can until the first one is made.
    parts.open_at_first = true;
    parts.scenarios.extend(scenario::files(spec).into_iter().map(|(name, text)| (name.to_owned(), text)));
    if let Some(tasks) = spec.entity("tasks") {
        parts.scenarios.push(("tasks".to_owned(), trial::of(spec, tasks)));
    }
    if let Some(contacts) = spec.entity("contacts") {
        parts.scenarios.push(("import".to_owned(), trial::import_of(spec, contacts)));
    }
    parts.finish(manifest)
}

fn has_companies(spec: &Spec) -> bool {
    spec.pages.iter().any(|p| p.kind == PageKind::Groups)
}

fn has(spec: &Spec, entity: &str) -> bool {
    spec.entity(entity).is_some()
}

#[cfg(test)]
mod tests;
