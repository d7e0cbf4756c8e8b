//! What a spec takes over from what was built before. Pure. Invariants: what the order says is never changed; whatever is taken
//! over is cited. Deliberately absent: finding it (`stage::recall`).

use super::{Citation, FieldKind, Spec};
use crate::pipeline::manifest::{BuildManifest, BuildType};

/// What a spec's amounts are in where neither its order nor an earlier build says it.
pub(super) const USUAL_CURRENCY: &str = "USD";
/// Currencies (ISO 4217), as people say them.
pub(crate) const CURRENCIES: [(&str, &str); 4] =
    [("USD", "US dollars"), ("EUR", "euros"), ("GBP", "pounds"), ("CHF", "Swiss francs")];

/// The currency as it is spoken: its letters where no word is known.
pub(crate) fn currency_words(code: &str) -> &str {
    CURRENCIES.iter().find(|(known, _)| *known == code).map_or(code, |(_, words)| words)
}

impl Spec {
    /// Takes over the currency and the colours of `earlier` where the order leaves them open: of the version that it changes, or
    /// of an app of the same type that is live. A new website keeps its own colours: two of one box should not look the same.
    pub fn build_on(&mut self, manifest: &BuildManifest, earlier: &Self, citation: &str) {
        let open = |keys: &[&str]| !keys.iter().any(|key| manifest.constraints.contains_key(*key));
        let amends = manifest.amends().is_some();
        // What nobody has ever chosen is no precedent.
        let chosen = amends || earlier.currency != USUAL_CURRENCY;
        if open(&["currency"]) && chosen && self.currency != earlier.currency {
            self.currency.clone_from(&earlier.currency);
            self.cite("currency", citation);
        }
        let dresses = amends || self.build_type != BuildType::BuildWebsite;
        if open(&["colour", "color", "theme"]) && dresses && self.theme != earlier.theme {
            self.theme = earlier.theme.clone();
            self.cite("theme", citation);
        }
    }

    /// Tells where a part comes from.
    pub fn cite(&mut self, part: &str, source: &str) {
        self.citations.push(Citation { part: part.to_owned(), source: source.to_owned() });
    }

    /// Whether people see amounts in it.
    #[must_use]
    pub fn shows_money(&self) -> bool {
        self.entities.iter().flat_map(|entity| &entity.fields).any(|field| field.kind == FieldKind::Money)
    }
}
