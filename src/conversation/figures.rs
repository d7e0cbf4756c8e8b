//! What an app counts itself, for the ear: "How is the shop doing?" Pure.
//! Invariants: at most three sentences; only figures that were counted; nothing is said of a kind of app that has none.

use std::collections::BTreeMap;

use super::numbers::{counted, list};

/// Sentences about `figures`; `currency` is the ISO 4217 code of the amounts.
pub(super) fn say(figures: &BTreeMap<String, i64>, currency: &str) -> Vec<String> {
    let of = |name: &str| figures.get(name).map(|n| u64::try_from(*n).unwrap_or(0));
    let some = |name: &str, one: &str, many: &str| of(name).filter(|n| *n > 0).map(|n| counted(n, one, many));
    let mut say = Vec::new();
    // An online shop.
    if let (Some(today), Some(open)) = (of("orders_today"), of("orders_open")) {
        say.push(format!("{} today, {} open.", counted(today, "order", "orders"), counted(open, "order", "orders")));
        if let Some(all) = of("sales_cents").filter(|c| *c > 0) {
            let today = of("sales_today_cents").unwrap_or(0);
            say.push(format!("Sales of {} today, {} in all.", amount(today, currency), amount(all, currency)));
        }
        if let Some(low) = some("stock_low", "product is", "products are") {
            say.push(format!("{low} running out."));
        }
    }
    // A website.
    if let (Some(visits), Some(_), None) = (of("visits_today"), of("pages"), of("orders_today")) {
        let mut parts = vec![counted(visits, "visit", "visits") + " today"];
        parts.extend(some("enquiries_new", "new enquiry", "new enquiries"));
        parts.extend(some("bookings_requested", "booking to confirm", "bookings to confirm"));
        say.push(list(&parts) + ".");
    }
    // A dashboard, of this box or of what is measured.
    if let Some(calls) = of("box_calls_today") {
        let minutes =
            some("box_minutes_today", "minute", "minutes").map(|m| format!(", {m} in all")).unwrap_or_default();
        say.push(format!("{} on this line today{minutes}.", counted(calls, "call", "calls")));
    }
    let is_used = of("box_calls_today").is_none() || of("measured").is_some_and(|n| n > 0);
    if let (Some(series), Some(today), true) = (of("series"), of("measured_today"), is_used) {
        say.push(format!("{} today in {}.", counted(today, "value", "values"), counted(series, "series", "series")));
    }
    // Programs that ask.
    if let (Some(calls), keys) = (some("calls_today", "API call", "API calls"), of("keys").unwrap_or(0)) {
        let refused =
            some("refused_today", "was refused", "were refused").map(|r| format!(", {r}")).unwrap_or_default();
        say.push(format!("{calls} today with {}{refused}.", counted(keys, "key", "keys")));
    }
    say.truncate(3);
    say
}

/// Whole units as people say them.
fn amount(cents: u64, currency: &str) -> String {
    let units = cents.saturating_add(50) / 100;
    match currency {
        "USD" => counted(units, "dollar", "dollars"),
        "EUR" => counted(units, "euro", "euros"),
        "GBP" => counted(units, "pound", "pounds"),
        other => format!("{} {other}", counted(units, "", "").trim()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(figures: &[(&str, i64)]) -> String {
        say(&figures.iter().map(|(n, v)| ((*n).to_owned(), *v)).collect(), "USD").join(" ")
    }

    #[test]
    fn each_kind_of_app_says_what_matters_to_it() {
        assert_eq!(
            said(&[
                ("orders_today", 3),
                ("orders_open", 5),
                ("sales_cents", 125_000),
                ("sales_today_cents", 4_990),
                ("stock_low", 1),
                ("visits_today", 9),
                ("keys", 0),
                ("calls_today", 0),
            ]),
            "3 orders today, 5 orders open. Sales of 50 dollars today, 1250 dollars in all. 1 product is running out."
        );
        assert_eq!(
            said(&[("visits_today", 40), ("pages", 2), ("enquiries_new", 2), ("bookings_requested", 0)]),
            "40 visits today and 2 new enquiries."
        );
        assert_eq!(
            said(&[("calls_today", 7), ("keys", 1), ("refused_today", 2)]),
            "7 API calls today with 1 key, 2 were refused."
        );
        assert_eq!(said(&[("series", 2), ("measured_today", 0)]), "0 values today in 2 series.");
        let boxed =
            [("box_calls_today", 14), ("box_minutes_today", 15), ("series", 0), ("measured_today", 0), ("measured", 0)];
        assert_eq!(said(&boxed), "14 calls on this line today, 15 minutes in all.");
        assert_eq!(
            said(&[("box_calls_today", 0), ("box_minutes_today", 0), ("measured", 0)]),
            "0 calls on this line today."
        );
        assert_eq!(said(&[("contacts", 7), ("calls_today", 0), ("keys", 0), ("visits_today", 0)]), "");
    }
}
