//! The dashboard's kernel: figures at a glance, charts, filters and time ranges over measured values, and over what the box
//! counts of itself where that is asked for. Pure.

use super::parts::{Parts, closed, view};
use crate::apphost::bundle::{Files, Target, View};
use crate::pipeline::manifest::BuildManifest;
use crate::pipeline::spec::Spec;
use crate::pipeline::spec::dashboard::{BOX, VALUES_PATH};

/// Generates a dashboard.
#[must_use]
pub(super) fn generate(spec: &Spec, manifest: &BuildManifest) -> Files {
    let mut parts = Parts::of(spec);
    parts.questions(include_str!("dashboard/questions.sql"));
    let (page, scenario) = (include_str!("dashboard/dashboard.html"), include_str!("dashboard/dashboard.toml"));
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
    if spec.has(BOX) {
        // What was asked for comes first; the values that are brought by hand have a page of their own.
        let moved = |text: &str| {
            let text = text.replace("action=\"/\"", &format!("action=\"{VALUES_PATH}\""));
            text.replace("\"GET /\"", &format!("\"GET {VALUES_PATH}\""))
                .replace("\"GET /?", &format!("\"GET {VALUES_PATH}?"))
        };
        parts.file("views/dashboard.html", &moved(page));
        parts.scenarios.push(("dashboard".to_owned(), moved(scenario)));
        parts.routes.push(closed(VALUES_PATH, Target::View(board)));
        add_box(&mut parts);
    } else {
        parts.file("views/dashboard.html", page);
        parts.scenarios.push(("dashboard".to_owned(), scenario.to_owned()));
        parts.routes.push(closed("/", Target::View(board)));
        parts.seed = Some(include_str!("dashboard/seed.sql").to_owned());
    }
    parts.trials("/");
    parts.finish(manifest)
}

/// What the box counts of itself, as the daemon brings it (`apphost::figures`).
fn add_box(parts: &mut Parts<'_>) {
    parts.schema.push(("box_hours", include_str!("dashboard/box_schema.sql").to_owned()));
    parts.questions(include_str!("dashboard/box.sql"));
    parts.file("views/box.html", include_str!("dashboard/box.html"));
    parts.scenarios.push(("box".to_owned(), include_str!("dashboard/box.toml").to_owned()));
    let board = View {
        params: vec!["range".to_owned()],
        ..view(
            "box",
            &[
                ("box_tiles", "box_tiles"),
                ("box_hourly", "box_hourly"),
                ("box_daily", "box_daily"),
                ("box_ends", "box_ends"),
                ("box_builds", "box_builds"),
                ("box_apps", "box_apps"),
            ],
        )
    };
    parts.routes.push(closed("/", Target::View(board)));
}
