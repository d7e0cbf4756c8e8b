//! The generated scenarios are worth something: they hold on the generated app, and every change to its SQL makes a
//! named one fail.

use callwright::apphost::bundle::{Bundle, Files};
use callwright::apphost::exchange::Answer;
use callwright::apphost::scenario::{self, Failure, Scenario};
use callwright::apphost::service::{Purpose, Service};
use callwright::pipeline::kernel;
use callwright::pipeline::manifest::{BuildManifest, BuildType, CreatedFrom};
use callwright::pipeline::spec::Spec;

fn generated(features: &[&str]) -> Files {
    let manifest = BuildManifest {
        manifest_id: "man_1".to_owned(),
        build_type: BuildType::BuildCrm,
        title: "Harbour CRM".to_owned(),
        description: "Keeps the harbour's customers.".to_owned(),
        features: features.iter().map(|f| (*f).to_owned()).collect(),
        tech_stack: Vec::new(),
        constraints: serde_json::Map::new(),
        integrations: Vec::new(),
        conversation_id: "conv_1".to_owned(),
        created_from: CreatedFrom::Voice,
        confidence: 0.9,
        metadata: serde_json::Map::new(),
    };
    kernel::crm::generate(&Spec::compose(&manifest), &manifest)
}

/// An instance within this process. What does not even start is an error.
fn instance(files: &Files, data: &tempfile::TempDir) -> Result<(Service, Vec<Scenario>), String> {
    let bundle = Bundle::from_files(files).map_err(|e| e.to_string())?;
    let scenarios = scenario::parse(files).map_err(|e| e.to_string())?;
    let service = Service::open(bundle, data.path(), Purpose::Scenario).map_err(|e| e.to_string())?;
    Ok((service, scenarios))
}

fn first_failure(files: &Files) -> Result<Option<Failure>, String> {
    let data = tempfile::tempdir().map_err(|e| e.to_string())?;
    let (mut service, scenarios) = instance(files, &data)?;
    let mut run = |s: &Scenario| {
        let one = std::slice::from_ref(s);
        scenario::run_against(one, &mut |request| Ok(Answer::from(service.respond(request)))).failed.pop()
    };
    Ok(scenarios.iter().find_map(&mut run))
}

#[test]
fn every_mix_of_features_passes_its_own_scenarios() {
    for features in [&[][..], &["deals"], &["notes"], &["companies"], &["deals", "notes", "companies"]] {
        let data = tempfile::tempdir().unwrap();
        let (mut service, scenarios) = instance(&generated(features), &data).unwrap();
        let report = scenario::run_against(&scenarios, &mut |request| Ok(Answer::from(service.respond(request))));
        assert_eq!(report.failed, [], "{features:?}");
        assert!(report.passed >= 9, "{features:?}");
    }
}

/// One change to the SQL of the full app: file, text that is there, text that takes its place.
const MUTANTS: &[(&str, &str, &str)] = &[
    // Queries that lose their condition, order, bound or sum.
    ("actions/contacts_list.sql", "(t.name, t.id) > (:after_key, :after_id)", "1"),
    ("actions/contacts_list.sql", "(t.name, t.id) > (:after_key, :after_id)", "t.name > :after_key"),
    ("actions/contacts_list.sql", "(t.name, t.id) > (", "(t.name, t.id) >= ("),
    ("actions/contacts_list.sql", "ORDER BY t.name, t.id", "ORDER BY t.id"),
    ("actions/contacts_list.sql", "t.company, ", "t.email AS company, "),
    ("actions/contacts_search.sql", "contacts_fts MATCH :match AND", "(:match IS NOT NULL) AND"),
    ("actions/contacts_search.sql", "(t.name, t.id) > (:after_key, :after_id)", "1"),
    ("actions/contacts_search.sql", "contacts_fts.rowid = t.id", "contacts_fts.rowid >= t.id"),
    ("actions/contacts_get.sql", "WHERE t.id = :id", "WHERE :id = :id"),
    ("actions/contacts_get.sql", "t.phone", "t.email AS phone"),
    ("actions/contacts_count.sql", "count(*)", "count(*) + 1"),
    ("actions/contacts_create.sql", ":company", ":name"),
    ("actions/contacts_create.sql", "email, phone)", "phone, email)"),
    ("actions/contacts_update.sql", "WHERE id = :id", "WHERE :id = :id"),
    ("actions/contacts_update.sql", "email = :email, ", ""),
    ("actions/contacts_delete.sql", "WHERE id = :id", "WHERE :id = :id"),
    ("actions/contacts_options.sql", "' · ' || company", "''"),
    ("actions/overview_recent.sql", "ORDER BY id DESC", "ORDER BY id"),
    ("actions/overview_closing.sql", "closed_at IS NULL AND ", ""),
    ("actions/overview_closing.sql", "ORDER BY expected_close, id", "ORDER BY id"),
    ("actions/summary.sql", "(SELECT count(*) FROM deals WHERE closed_at IS NULL)", "(SELECT count(*) FROM deals)"),
    (
        "actions/summary.sql",
        "FROM deals WHERE closed_at IS NULL) AS open_value_cents",
        "FROM deals) AS open_value_cents",
    ),
    ("actions/summary.sql", "stage = 'won'", "closed_at IS NOT NULL"),
    ("actions/summary.sql", "(SELECT count(*) FROM notes)", "(SELECT count(*) FROM contacts)"),
    ("actions/companies.sql", "WHERE c.company <> ''", ""),
    ("actions/companies.sql", "GROUP BY c.company COLLATE NOCASE", "GROUP BY c.company"),
    ("actions/companies.sql", "count(DISTINCT c.id)", "1"),
    ("actions/deals_list.sql", "t.id < :after_id", "1"),
    ("actions/deals_list.sql", "ORDER BY t.id DESC", "ORDER BY t.id"),
    ("actions/deals_list.sql", "contact.name AS contact_title", "contact.company AS contact_title"),
    ("actions/deals_search.sql", "deals_fts MATCH :match AND", "(:match IS NOT NULL) AND"),
    ("actions/deals_get.sql", "WHERE t.id = :id", "WHERE :id = :id"),
    ("actions/deals_create.sql", ":value_cents", "0"),
    ("actions/deals_update.sql", "expected_close = :expected_close", "expected_close = NULL"),
    ("actions/deals_delete.sql", "WHERE id = :id", "WHERE :id = :id"),
    ("actions/deals_move.sql", "WHERE id = :id", "WHERE :id = :id"),
    ("actions/deals_move.sql", "SET stage = :stage", "SET stage = 'lost'"),
    ("actions/deals_board.sql", "t.closed_at IS NULL OR ", ""),
    ("actions/deals_board.sql", "t.closed_at > strftime", "t.closed_at < strftime"),
    ("actions/deals_columns.sql", "coalesce(sum(t.value_cents), 0)", "0"),
    ("actions/deals_columns.sql", "LEFT JOIN", "JOIN"),
    ("actions/deals_by_contact_id.sql", "t.contact_id = :parent", ":parent = :parent"),
    ("actions/notes_by_contact_id.sql", "t.contact_id = :parent", ":parent = :parent"),
    ("actions/notes_by_contact_id.sql", "ORDER BY t.id DESC", "ORDER BY t.id"),
    ("actions/notes_update.sql", "WHERE id = :id", "WHERE :id = :id"),
    ("actions/notes_delete.sql", "WHERE id = :id", "WHERE :id = :id"),
    ("actions/notes_list.sql", "t.id < :after_id", "1"),
    // Rules of the schema that are dropped or loosened.
    ("schema/0001_contacts.sql", "AUTOINCREMENT", ""),
    ("schema/0001_contacts.sql", "CREATE UNIQUE INDEX", "CREATE INDEX"),
    ("schema/0001_contacts.sql", "email TEXT NOT NULL DEFAULT '' COLLATE NOCASE", "email TEXT NOT NULL DEFAULT ''"),
    ("schema/0001_contacts.sql", "name TEXT NOT NULL COLLATE NOCASE", "name TEXT NOT NULL"),
    ("schema/0001_contacts.sql", "name TEXT NOT NULL COLLATE NOCASE", "name TEXT COLLATE NOCASE"),
    ("schema/0001_contacts.sql", "CHECK (trim(name) <> '')", "CHECK (1)"),
    ("schema/0001_contacts.sql", "CHECK (length(name) <= 120)", "CHECK (1)"),
    ("schema/0001_contacts.sql", "CHECK (length(company) <= 120)", "CHECK (1)"),
    ("schema/0001_contacts.sql", "CHECK (length(email) <= 120)", "CHECK (1)"),
    ("schema/0001_contacts.sql", "CHECK (length(phone) <= 40)", "CHECK (1)"),
    ("schema/0001_contacts.sql", "email LIKE '%_@_%._%'", "1"),
    ("schema/0001_contacts.sql", "phone GLOB '*[0-9]*[0-9]*[0-9]*'", "1"),
    ("schema/0002_deals.sql", "CHECK (trim(title) <> '')", "CHECK (1)"),
    ("schema/0002_deals.sql", "CHECK (length(title) <= 120)", "CHECK (1)"),
    ("schema/0002_deals.sql", "BETWEEN 0 AND", "BETWEEN -9 AND"),
    ("schema/0002_deals.sql", "DEFAULT 'lead'", "DEFAULT 'won'"),
    ("schema/0002_deals.sql", ", 'lost'))", ", 'lost', 'stolen'))"),
    ("schema/0002_deals.sql", "IS date(expected_close)", "IS NOT 0"),
    ("schema/0002_deals.sql", "REFERENCES contacts (id) ON DELETE RESTRICT", ""),
    ("schema/0002_deals.sql", "ON DELETE RESTRICT", "ON DELETE CASCADE"),
    ("schema/0002_deals.sql", "contact_id INTEGER NOT NULL", "contact_id INTEGER"),
    ("schema/0003_notes.sql", "ON DELETE CASCADE", "ON DELETE RESTRICT"),
    ("schema/0003_notes.sql", "CHECK (trim(body) <> '')", "CHECK (1)"),
    ("schema/0003_notes.sql", "CHECK (length(body) <= 4000)", "CHECK (1)"),
    // Triggers that are broken.
    ("schema/0001_contacts.sql", "WHERE id = NEW.id;\nEND;", "WHERE id = -NEW.id;\nEND;"),
    ("schema/0001_contacts.sql", "VALUES (NEW.id, NEW.name, NEW.company", "VALUES (NEW.id, NEW.name, NEW.name"),
    (
        "schema/0001_contacts.sql",
        "AFTER UPDATE OF name, company, email, phone ON contacts\nBEGIN\n    INSERT",
        "AFTER UPDATE OF id ON contacts\nBEGIN\n    INSERT",
    ),
    ("schema/0001_contacts.sql", "AFTER DELETE ON contacts\nBEGIN", "AFTER DELETE ON contacts WHEN 0\nBEGIN"),
    ("schema/0001_contacts.sql", " remove_diacritics 2", " remove_diacritics 0"),
    ("schema/0002_deals.sql", "deals_begun AFTER INSERT ON deals\n", "deals_begun AFTER INSERT ON deals WHEN 0\n"),
    ("schema/0002_deals.sql", "NEW.stage IN ('won', 'lost')", "NEW.stage IN ('lost')"),
    (
        "schema/0002_deals.sql",
        "deals_moved AFTER UPDATE OF stage ON deals",
        "deals_moved AFTER UPDATE OF title ON deals",
    ),
    ("schema/0002_deals.sql", "deals_found AFTER INSERT ON deals\n", "deals_found AFTER INSERT ON deals WHEN 0\n"),
    ("schema/0002_deals.sql", "deals_lost AFTER DELETE ON deals\n", "deals_lost AFTER DELETE ON deals WHEN 0\n"),
    (
        "schema/0002_deals.sql",
        "deals_touched AFTER UPDATE OF title, contact_id, value_cents,",
        "deals_touched AFTER UPDATE OF title, contact_id,",
    ),
    ("schema/0003_notes.sql", "SET updated_at = strftime", "SET created_at = strftime"),
];

#[test]
fn every_change_to_the_sql_makes_a_named_scenario_fail() {
    let original = generated(&["deals", "notes", "companies"]);
    let check = |(path, from, to): &(&str, &str, &str)| -> Option<String> {
        let text = String::from_utf8(original[*path].clone()).unwrap();
        if !text.contains(from) {
            return Some(format!("{path} holds no {from:?} to change"));
        }
        let mut files = original.clone();
        files.insert((*path).to_owned(), text.replacen(from, to, 1).into_bytes());
        match first_failure(&files) {
            Err(said) => Some(format!("{path}: {from:?} → {to:?} does not start, so it shows nothing: {said}")),
            Ok(None) => Some(format!("{path}: {from:?} → {to:?} went unnoticed")),
            Ok(Some(failure)) if failure.name.is_empty() || failure.said.is_empty() => {
                Some(format!("{path}: a failure without a name"))
            }
            Ok(Some(_)) => None,
        }
    };
    // Two halves at once: each mutant is an app of its own.
    let (left, right) = MUTANTS.split_at(MUTANTS.len() / 2);
    let survivors = std::thread::scope(|scope| {
        let other = scope.spawn(|| left.iter().filter_map(check).collect::<Vec<_>>());
        let mut survivors: Vec<_> = right.iter().filter_map(check).collect();
        survivors.extend(other.join().unwrap());
        survivors
    });
    assert!(survivors.is_empty(), "{} of {} mutants:\n{}", survivors.len(), MUTANTS.len(), survivors.join("\n"));
}
