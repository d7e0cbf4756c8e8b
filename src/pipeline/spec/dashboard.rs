//! The dashboard's template: measured values, tiles, charts, filters, time ranges; the box's own figures. Pure.

use super::compose::{flow, include, test};
use super::entity::{entity, field, page};
use super::{FieldKind, PageKind, Spec};

/// The pack of what the box counts of itself.
pub(crate) const BOX: &str = "box";
/// Where measured values are charted when the box's own figures are on the first page.
pub(crate) const VALUES_PATH: &str = "/values";

pub(super) fn add(spec: &mut Spec) {
    spec.pages.push(page("/", "Dashboard", PageKind::Overview, None));
    if spec.has(BOX) {
        spec.pages.push(page(VALUES_PATH, "Other figures", PageKind::Overview, None));
        spec.tests.push(test("the figures of the box are taken as they are brought"));
        spec.tests.push(test("the charts and tiles say what the box has counted"));
        flow(spec, "Somebody looks at the calls and apps of the box", &["GET /", "GET /?range="]);
    }
    let fields = vec![
        field("series", "Series", FieldKind::Text)
            .needed()
            .listed()
            .long(60)
            .hinted("What is measured, e.g. Visitors."),
        field("day", "Day", FieldKind::Date).needed().listed(),
        field("value", "Value", FieldKind::Decimal).listed(),
        field("note", "Note", FieldKind::Text).listed(),
    ];
    let values = entity("measures", "measure", "Values", "Value", fields).found_by(&["series", "note"]);
    spec.tests.push(test("what the charts and tiles say is what was measured"));
    spec.tests.push(test("a series and a time range are chosen"));
    flow(spec, "Somebody looks at the figures", &["GET /", "GET /?series=&range="]);
    flow(spec, "Values are brought in", &["GET /measures/import", "POST /measures/import", "POST /api/measures"]);
    include(spec, vec![values]);
}
