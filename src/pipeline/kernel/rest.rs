//! The REST API's kernel: resources, keys, limits, and a page of documentation. Pure.

use super::parts::{Parts, closed, menu, public, view};
use super::trial;
use crate::apphost::bundle::{Files, Target};
use crate::pipeline::manifest::BuildManifest;
use crate::pipeline::spec::Spec;

/// Generates an API.
#[must_use]
pub(super) fn generate(spec: &Spec, manifest: &BuildManifest) -> Files {
    let mut parts = Parts::of(spec);
    parts.file("views/docs.html", include_str!("rest/docs.html"));
    parts.file("views/manage.html", include_str!("rest/manage.html"));
    let counts: Vec<String> = spec
        .entities
        .iter()
        .map(|e| format!("SELECT '{0}' AS label, '/{1}' AS path, count(*) AS value FROM {1}", e.label, e.name))
        .collect();
    let sums: Vec<String> =
        spec.entities.iter().map(|e| format!("(SELECT count(*) FROM {0}) AS {0}", e.name)).collect();
    parts.questions(&format!(
        "-- counts: How many of each.\n{}\n-- report: What is said on the telephone.\nSELECT {}\n",
        counts.join("\nUNION ALL\n"),
        sums.join(", ")
    ));
    parts.routes.push(public("/", Target::View(view("docs", &[]))));
    parts.routes.push(closed("/manage", Target::View(view("manage", &[("counts", "counts")]))));
    parts.public_menu = menu(&[("/", "Documentation")]);
    parts.scenarios.push(("program".to_owned(), trial::program(spec)));
    parts.trials("/manage");
    parts.finish(manifest)
}
