//! Scenarios of a CRM: which files go with which packs.

use super::{has, has_companies};
use crate::apphost::currency_sign;
use crate::pipeline::spec::Spec;

/// Files under `tests/` by name without extension.
pub(super) fn files(spec: &Spec) -> Vec<(&'static str, String)> {
    let mut files = vec![("contacts", include_str!("scenarios/contacts.toml"))];
    if has(spec, "deals") {
        files.push(("deals", include_str!("scenarios/deals.toml")));
    }
    if has(spec, "notes") {
        files.push(("notes", include_str!("scenarios/notes.toml")));
    }
    if has_companies(spec) {
        files.push(("companies", include_str!("scenarios/companies.toml")));
    }
    let sign = currency_sign(&spec.currency);
    // The scenarios are written for dollars; the pages show the app's own currency.
    files.into_iter().map(|(name, text)| (name, text.replace("\"$", &format!("\"{sign}")))).collect()
}
