//! The dashboard's kernel: figures at a glance, charts, filters and time ranges over measured values. Pure.

use super::parts::{Parts, closed, view};
use crate::apphost::bundle::{Files, Target, View};
use crate::pipeline::manifest::BuildManifest;
use crate::pipeline::spec::Spec;

/// Generates a dashboard.
#[must_use]
pub(super) fn generate(spec: &Spec, manifest: &BuildManifest) -> Files {
    let mut parts = Parts::of(spec);
    parts.questions(include_str!("dashboard/questions.sql"));
    parts.file("views/dashboard.html", include_str!("dashboard/dashboard.html"));
    parts.scenarios.push(("dashboard".to_owned(), include_str!("dashboard/dashboard.toml").to_owned()));
    let board = View {
        params: vec!["series".to_owned(), "range".to_owned()],
        ..view(
            "dashboard",
            &[
                ("tiles", "tiles"),
                ("all_series", "all_series"),
                ("daily", "daily"),
                ("by_series", "by_series"),
                ("weekdays", "weekdays"),
                ("latest", "latest"),
            ],
        )
    };
    parts.routes.push(closed("/", Target::View(board)));
    parts.seed = Some(include_str!("dashboard/seed.sql").to_owned());
    parts.trials("/");
    parts.finish(manifest)
}
