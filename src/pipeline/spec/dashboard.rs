//! The dashboard's template: measured values, tiles, charts, filters, time ranges. Pure.

use super::compose::{flow, include, test};
use super::entity::{entity, field, page};
use super::{FieldKind, PageKind, Spec};

pub(super) fn add(spec: &mut Spec) {
    spec.pages.push(page("/", "Dashboard", PageKind::Overview, None));
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
