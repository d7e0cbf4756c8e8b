//! What can be built: one row per feature pack and type of app. Purpose: the one table that says which words of a caller
//! lead to which pack, what it is called aloud, what it does not go together with and what should be asked about it.
//! Pure data. Invariant: whatever is in here is built and tested (`pipeline::spec` has a fragment for each pack); a word
//! that is missing here becomes an open point that is said aloud.

use super::BuildType;
use BuildType::{BuildApi, BuildCrm, BuildDashboard, BuildEcommerce, BuildWebsite};

/// One feature pack of one type of app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// The type of app; none: every type.
    pub of: Option<BuildType>,
    /// Its key, e.g. `deals`.
    pub pack: &'static str,
    /// As it is read back, e.g. "a contact form".
    pub spoken: &'static str,
    /// Keys that callers' words lead to it by, beside its own.
    pub words: &'static [&'static str],
    /// Whether every app of the type has it.
    pub basic: bool,
    /// Packs that it does not go together with.
    pub conflicts: &'static [&'static str],
    /// What is worth asking when it is wanted; empty: nothing.
    pub question: &'static str,
}

const fn row(of: BuildType, pack: &'static str, spoken: &'static str, words: &'static [&'static str]) -> Offer {
    Offer { of: Some(of), pack, spoken, words, basic: false, conflicts: &[], question: "" }
}

const fn basic(of: BuildType, pack: &'static str, spoken: &'static str, words: &'static [&'static str]) -> Offer {
    Offer { basic: true, ..row(of, pack, spoken, words) }
}

const fn common(pack: &'static str, spoken: &'static str, words: &'static [&'static str]) -> Offer {
    Offer { of: None, ..basic(BuildCrm, pack, spoken, words) }
}

/// Every pack. Within a type the order is that of menus and read-backs.
pub const OFFERS: &[Offer] = &[
    basic(BuildCrm, "contacts", "contacts", &["clients", "contact_management", "customers", "dashboard", "people"]),
    row(BuildCrm, "companies", "companies", &["organizations", "organisations", "firms"]),
    row(
        BuildCrm,
        "deals",
        "deals",
        &["deal_stages", "deal_tracking", "opportunities", "pipeline", "sales_pipeline", "stages"],
    ),
    row(BuildCrm, "notes", "notes", &["comments"]),
    row(BuildCrm, "tasks", "tasks", &["activities", "follow_ups", "reminders", "to_dos", "todos"]),
    basic(
        BuildWebsite,
        "pages",
        "pages",
        &["about", "about_page", "about_us", "home_page", "landing_page", "content", "services", "static_pages"],
    ),
    row(BuildWebsite, "blog", "a blog", &["articles", "blog_posts", "news", "posts"]),
    Offer {
        question: "Who should see the messages?",
        ..row(
            BuildWebsite,
            "contact_form",
            "a contact form",
            &["contact", "contact_page", "contact_us", "enquiries", "forms"],
        )
    },
    Offer {
        question: "At which times can people book?",
        ..row(BuildWebsite, "booking", "bookings", &["appointments", "bookings", "reservations", "table_booking"])
    },
    Offer {
        conflicts: &["contact_form", "booking"],
        ..row(BuildWebsite, "static", "nothing but pages", &["static_site", "static_website"])
    },
    basic(BuildEcommerce, "products", "products", &["catalog", "catalogue", "categories", "items", "product_catalog"]),
    basic(BuildEcommerce, "cart", "a basket", &["basket", "shopping_cart", "shopping_basket"]),
    basic(BuildEcommerce, "checkout", "a checkout", &["check_out"]),
    basic(BuildEcommerce, "orders", "orders", &["order_management", "order_tracking"]),
    basic(BuildEcommerce, "stock", "stock", &["inventory", "stock_control", "warehouse"]),
    Offer {
        question: "Which provider will take the payments?",
        ..basic(
            BuildEcommerce,
            "payment",
            "test payments",
            &["card_payment", "card_payments", "payments", "test_gateway"],
        )
    },
    row(BuildApi, "items", "items", &["records", "resources", "objects"]),
    row(BuildApi, "customers", "customers", &["clients", "contacts", "people", "members"]),
    row(BuildApi, "products", "products", &["catalog", "catalogue", "inventory"]),
    row(BuildApi, "orders", "orders", &["purchases", "sales"]),
    row(BuildApi, "tasks", "tasks", &["tickets", "to_dos", "todos"]),
    row(BuildApi, "events", "events", &["appointments", "bookings", "reservations"]),
    row(BuildApi, "articles", "articles", &["blog", "news", "posts"]),
    basic(BuildApi, "limits", "rate limits", &["quotas", "rate_limit", "rate_limits", "throttling"]),
    basic(BuildApi, "docs", "a page of documentation", &["documentation", "open_api", "openapi", "swagger"]),
    basic(BuildDashboard, "charts", "charts", &["bar_charts", "graphs", "line_charts", "reports", "trends"]),
    basic(BuildDashboard, "tiles", "figures at a glance", &["figures", "kpis", "metrics", "numbers", "statistics"]),
    basic(BuildDashboard, "filters", "filters", &["filter", "series"]),
    basic(BuildDashboard, "ranges", "time ranges", &["date_range", "date_ranges", "time_range", "time_ranges"]),
    row(
        BuildDashboard,
        "box",
        "the calls and apps of this box",
        &["apps", "builds", "call_figures", "call_statistics", "call_volume", "calls", "incoming_calls", "phone_calls"],
    ),
    common(
        "accounts",
        "accounts and sign-in",
        &["log_in", "login", "logins", "permissions", "roles", "sign_in", "user_accounts", "users"],
    ),
    common("search", "search", &["find"]),
    common("exchange", "import and export", &["csv", "csv_export", "csv_import", "export", "import", "data_import"]),
    common("api", "an API", &["json_api", "rest_api", "api_keys", "authentication", "keys"]),
    common("webhooks", "webhooks", &["hooks", "notifications_by_webhook"]),
    common("design", "pages for telephones and computers", &["dark_mode", "mobile", "responsive", "responsive_design"]),
];

/// Packs of this type of app, in the order of read-backs.
pub fn offers(build_type: BuildType) -> impl Iterator<Item = &'static Offer> {
    let is_buildable = build_type.is_buildable();
    OFFERS.iter().filter(move |o| is_buildable && o.of.is_none_or(|of| of == build_type))
}

/// The pack that a word leads to; blanks and dashes count as underscores.
#[must_use]
pub fn find(build_type: BuildType, word: &str) -> Option<&'static Offer> {
    let key = key(word);
    // The type's own words first: "contacts" of an API is a resource.
    offers(build_type).find(|o| o.pack == key || o.words.contains(&key.as_str()))
}

/// A word as keys are written.
#[must_use]
pub fn key(word: &str) -> String {
    word.trim().to_lowercase().replace([' ', '-'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_leads_to_two_packs_of_a_type() {
        for build_type in BuildType::ALL {
            let mut seen = std::collections::BTreeSet::new();
            for offer in offers(build_type).filter(|o| o.of.is_some()) {
                for word in offer.words.iter().chain([&offer.pack]) {
                    assert!(seen.insert(*word), "{build_type:?}: {word}");
                    assert_eq!(key(word), **word);
                }
            }
        }
    }

    #[test]
    fn words_lead_to_packs_and_unknown_ones_to_none() {
        assert_eq!(find(BuildEcommerce, "Shopping cart").map(|o| o.pack), Some("cart"));
        assert_eq!(find(BuildWebsite, "contact-form").map(|o| o.pack), Some("contact_form"));
        assert_eq!(find(BuildDashboard, "phone calls").map(|o| o.pack), Some("box"));
        assert_eq!(find(BuildWebsite, "telepathy"), None);
        assert_eq!(find(BuildType::BuildBlockchain, "search"), None);
    }
}
