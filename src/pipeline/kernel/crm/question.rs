//! Questions that only a CRM asks. Pure text.

use crate::pipeline::kernel::sql::{Actions, put};

/// Sums, what closes next, who is new, and the companies.
pub(super) fn add(actions: &mut Actions, deals: bool, notes: bool, tasks: bool, groups: bool) {
    let mut sums = vec!["(SELECT count(*) FROM contacts) AS contacts".to_owned()];
    if deals {
        let open = "closed_at IS NULL";
        sums.push("(SELECT count(*) FROM deals) AS deals".to_owned());
        sums.push(format!("(SELECT count(*) FROM deals WHERE {open}) AS open_deals"));
        sums.push(format!("(SELECT coalesce(sum(value_cents), 0) FROM deals WHERE {open}) AS open_value_cents"));
        let won = "(SELECT coalesce(sum(value_cents), 0) FROM deals WHERE stage = 'won') AS won_value_cents";
        sums.push(won.to_owned());
        put(
            actions,
            "overview_closing",
            "Open deals with the nearest dates.",
            "SELECT id, title, value_cents, expected_close, expected_close < date('now') AS overdue\nFROM deals\nWHERE \
             closed_at IS NULL AND expected_close IS NOT NULL\nORDER BY expected_close, id\nLIMIT 5",
        );
    }
    if notes {
        sums.push("(SELECT count(*) FROM notes) AS notes".to_owned());
    }
    if tasks {
        sums.push("(SELECT count(*) FROM tasks) AS tasks".to_owned());
        sums.push("(SELECT count(*) FROM tasks WHERE closed_at IS NULL) AS open_tasks".to_owned());
    }
    let sums = format!("SELECT\n    {}", sums.join(",\n    "));
    put(actions, "summary", "Counts and sums over everything.", &sums);
    put(actions, "report", "What is said on the telephone.", &sums);
    put(
        actions,
        "overview_recent",
        "The newest contacts.",
        "SELECT id, name, company FROM contacts ORDER BY id DESC LIMIT 5",
    );
    if groups {
        put(actions, "companies", "Companies that contacts name.", &companies(deals));
    }
}

fn companies(deals: bool) -> String {
    let sums = if deals {
        ",\n    count(d.id) AS open_deals, coalesce(sum(d.value_cents), 0) AS open_value_cents"
    } else {
        ""
    };
    let join = if deals { "\nLEFT JOIN deals d ON d.contact_id = c.id AND d.closed_at IS NULL" } else { "" };
    format!(
        "SELECT c.company, count(DISTINCT c.id) AS contacts{sums}\nFROM contacts c{join}\nWHERE c.company <> ''\nGROUP BY \
         c.company COLLATE NOCASE\nORDER BY c.company COLLATE NOCASE\nLIMIT 1000"
    )
}
