//! Every type of app from a manifest to an instance that answers: its own scenarios hold, each change to its SQL is noticed,
//! hostile text stays text, roles hold.

use callwright::apphost::bundle::{self, Bundle, Files};
use callwright::apphost::exchange::{Answer, Request, percent_encode};
use callwright::apphost::scenario::{self, Scenario};
use callwright::apphost::service::{Purpose, Service};
use callwright::pipeline::kernel;
use callwright::pipeline::manifest::{BuildManifest, BuildType, CreatedFrom};
use callwright::pipeline::spec::{FieldKind, Spec};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

fn manifest(build_type: BuildType, features: &[&str]) -> BuildManifest {
    BuildManifest {
        manifest_id: "man_1".to_owned(),
        build_type,
        title: "Harbour".to_owned(),
        description: "Everything for the harbour's people.".to_owned(),
        features: features.iter().map(|f| (*f).to_owned()).collect(),
        tech_stack: Vec::new(),
        constraints: serde_json::Map::new(),
        integrations: Vec::new(),
        conversation_id: "conv_1".to_owned(),
        created_from: CreatedFrom::Voice,
        confidence: 0.9,
        metadata: serde_json::Map::new(),
    }
}

fn generated(build_type: BuildType, features: &[&str]) -> (Spec, Files) {
    let manifest = manifest(build_type, features);
    let spec = Spec::compose(&manifest);
    let kernels = kernel::all();
    let kernel =
        kernels.iter().find(|k| k.can(build_type, kernel::Capability::Frontend)).expect("a kernel of the type");
    let files = kernel.generate(&manifest, &spec).unwrap();
    (spec, files)
}

/// Everything that each type can have.
const FULL: [(BuildType, &[&str]); 5] = [
    (BuildType::BuildCrm, &["deals", "notes", "companies", "tasks"]),
    (BuildType::BuildWebsite, &["blog", "contact_form", "booking"]),
    (BuildType::BuildEcommerce, &["products", "payment"]),
    (BuildType::BuildApi, &["customers", "products", "orders", "tasks", "events", "articles", "items"]),
    (BuildType::BuildDashboard, &["charts"]),
];

/// A dashboard of the box that it runs on.
const OF_THE_BOX: (BuildType, &[&str]) = (BuildType::BuildDashboard, &["calls"]);

struct App {
    service: Service,
    scenarios: Vec<Scenario>,
    cookies: BTreeMap<String, String>,
    _data: tempfile::TempDir,
}

impl App {
    fn open(files: &Files) -> Result<Self, String> {
        let bundle = Bundle::from_files(files).map_err(|e| e.to_string())?;
        let scenarios = scenario::parse(files).map_err(|e| e.to_string())?;
        let data = tempfile::tempdir().map_err(|e| e.to_string())?;
        let service = Service::open(bundle, data.path(), Purpose::Scenario).map_err(|e| e.to_string())?;
        Ok(Self { service, scenarios, cookies: BTreeMap::new(), _data: data })
    }

    fn ask(&mut self, method: &str, target: &str, kind: &str, body: &str) -> Answer {
        let mut request = Request::new(method, target);
        let cookies: Vec<_> = self.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
        request.headers.insert("cookie".to_owned(), cookies.join("; "));
        request.headers.insert("content-type".to_owned(), kind.to_owned());
        request.body = body.as_bytes().to_vec();
        let answer = Answer::from(self.service.respond(&request));
        if let Some((name, value)) =
            answer.headers.get("set-cookie").and_then(|c| c.split(';').next()).and_then(|c| c.split_once('='))
        {
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        answer
    }

    fn get(&mut self, target: &str) -> Answer {
        self.ask("GET", target, "", "")
    }

    fn sign_in(&mut self, role: &str) {
        let answer = self.ask("POST", &format!("/_/session?role={role}"), "", "");
        let cookie: Value = serde_json::from_slice(&answer.body).unwrap();
        let (name, value) = cookie["cookie"].as_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
        self.cookies.insert(name.to_owned(), value.to_owned());
    }
}

/// The names of scenarios that fail, each with what it said.
fn failures(files: &Files, only_first: bool) -> Result<Vec<String>, String> {
    let mut app = App::open(files)?;
    let scenarios = std::mem::take(&mut app.scenarios);
    let mut failed = Vec::new();
    for scenario in &scenarios {
        let mut ask = |request: &Request| Ok(Answer::from(app.service.respond(request)));
        let report = scenario::run_against(std::slice::from_ref(scenario), &mut ask);
        failed.extend(report.failed.into_iter().map(|f| format!("{}: {}", f.name, f.said)));
        if only_first && !failed.is_empty() {
            break;
        }
    }
    Ok(failed)
}

#[test]
fn every_type_with_every_mix_keeps_its_promises() {
    let website: [&[&str]; 4] = [&[], &["blog"], &["contact_form"], &["booking", "static"]];
    let mixes = FULL.into_iter().chain(website.map(|features| (BuildType::BuildWebsite, features))).chain([
        (BuildType::BuildCrm, &["tasks"][..]),
        (BuildType::BuildApi, &[]),
        (BuildType::BuildApi, &["orders"]),
        OF_THE_BOX,
    ]);
    for (build_type, features) in mixes {
        let (spec, files) = generated(build_type, features);
        let failed = failures(&files, false).unwrap_or_else(|e| panic!("{build_type:?} {features:?}: {e}"));
        assert!(failed.is_empty(), "{build_type:?} {features:?}:\n{}", failed.join("\n"));
        let mut promised: Vec<_> = spec.tests.iter().map(|t| t.name.clone()).collect();
        let mut written: Vec<_> = scenario::parse(&files).unwrap().into_iter().map(|s| s.name).collect();
        promised.sort();
        written.sort();
        assert_eq!(promised, written, "{build_type:?} {features:?}");
        let bundle = Bundle::from_files(&files).unwrap();
        assert_eq!(bundle.endpoints.len(), spec.api.len(), "{build_type:?} {features:?}");
        assert_eq!(generated(build_type, features).1, files, "the same spec gives the same bytes");
    }
}

/// Text that does harm where it is not text.
const HOSTILE: &str = "\"><script>alert(1)</script><img src=x onerror=alert(2)>'; DROP TABLE pages; --{{7*7}}";

/// Values for every field of an entity, hostile where text is allowed.
fn hostile(spec: &Spec, entity: &str, ids: &BTreeMap<String, i64>) -> Value {
    let mut values = serde_json::Map::new();
    for f in &spec.entity(entity).unwrap().fields {
        let value = match f.kind {
            FieldKind::Text | FieldKind::LongText => {
                json!(HOSTILE.chars().take(f.chars_max as usize).collect::<String>())
            }
            FieldKind::Reference => json!(ids[f.references.as_ref().unwrap()]),
            FieldKind::Choice => {
                // What is published or open is shown to most people.
                let shown = f.choices.iter().find(|c| c.value == "published").or(f.choices.first()).unwrap();
                json!(shown.value)
            }
            // A booking is for later, a post from before.
            FieldKind::Date => json!(if entity == "bookings" { "2190-01-01" } else { "2020-01-01" }),
            FieldKind::Slug => json!("here"),
            FieldKind::Email => json!("a'b<i>@example.org".replace("<i>", "")),
            FieldKind::Phone => json!("+44 20 5550"),
            FieldKind::Money | FieldKind::Number => json!(5),
            FieldKind::Decimal => json!(1.5),
        };
        values.insert(f.name.clone(), value);
    }
    Value::Object(values)
}

#[test]
fn hostile_text_stays_text_on_every_page_of_every_type() {
    for (build_type, features) in FULL {
        let (spec, files) = generated(build_type, features);
        let mut app = App::open(&files).unwrap();
        app.sign_in("admin");
        let mut ids = BTreeMap::new();
        for entity in &spec.entities {
            let body = hostile(&spec, &entity.name, &ids).to_string();
            let answer = app.ask("POST", &format!("/api/{}", entity.name), "application/json", &body);
            assert_eq!(answer.status, 201, "{build_type:?} {}: {}", entity.name, answer.text());
            let record: Value = serde_json::from_slice(&answer.body).unwrap();
            ids.insert(entity.name.clone(), record["id"].as_i64().unwrap());
        }
        let mut pages = vec!["/".to_owned(), "/settings".to_owned(), "/here".to_owned(), "/manage".to_owned()];
        pages.extend(["/blog", "/blog/here", "/goods", "/product/here", "/basket", "/companies"].map(str::to_owned));
        let q = percent_encode(HOSTILE);
        pages.extend([format!("/find?q={q}"), format!("/goods?q={q}&category={q}"), format!("/?series={q}&range={q}")]);
        pages.push(format!("/sign-in?next={q}"));
        for (name, id) in &ids {
            pages.extend([format!("/{name}"), format!("/{name}?view=list&q={q}"), format!("/{name}/{id}")]);
            pages.extend([
                format!("/{name}/{id}/edit"),
                format!("/{name}/new?title={q}&name={q}"),
                format!("/{name}/import"),
            ]);
        }
        let mut looked_at = 0;
        for page in pages {
            let answer = app.get(&page);
            assert!(answer.status < 500, "{build_type:?} {page}: {}", answer.text());
            let text = answer.text();
            looked_at += usize::from(answer.status == 200 && text.contains("&lt;script&gt;"));
            for bad in ["<script>alert", "<img src=x", "49--", "DROP TABLE pages; --49"] {
                assert!(!text.contains(bad), "{build_type:?} {page} holds {bad}");
            }
            if answer.headers.get("content-type").is_some_and(|t| t.starts_with("text/html")) {
                let policy = &answer.headers["content-security-policy"];
                assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{page}");
                assert!(!text.contains(" style=") && !text.contains(" onclick="), "{build_type:?} {page}");
                let outside =
                    text.split("src=\"").skip(1).chain(text.split("<link ").skip(1)).any(|s| s.starts_with("http"));
                assert!(!outside, "{build_type:?} {page} asks another host");
            }
        }
        assert!(looked_at >= 4, "{build_type:?}: only {looked_at} pages showed the text");
        let counts: Value = serde_json::from_slice(&app.get("/api/summary").body).unwrap();
        for entity in &spec.entities {
            assert!(counts[&entity.name].as_i64() >= Some(1), "{build_type:?} {}: {counts}", entity.name);
        }
    }
}

#[test]
fn roles_and_keys_hold_on_every_route_of_every_type() {
    for (build_type, features) in FULL {
        let (spec, files) = generated(build_type, features);
        for entity in &spec.entities {
            let (page, api) = (format!("/{}", entity.name), format!("/api/{}", entity.name));
            let mut app = App::open(&files).unwrap();
            app.sign_in("viewer");
            assert_eq!(app.get(&page).status, 200, "{build_type:?} {page}");
            for path in [page.clone(), format!("{page}/1/delete"), format!("{page}/1"), format!("{page}/import")] {
                let answer = app.ask("POST", &path, "application/x-www-form-urlencoded", "csrf=0");
                assert_eq!(answer.status, 403, "{build_type:?} {path}");
            }
            for (method, path) in [("POST", api.clone()), ("PUT", format!("{api}/1")), ("DELETE", format!("{api}/1"))] {
                assert_eq!(app.ask(method, &path, "application/json", "{}").status, 403, "{build_type:?} {path}");
            }
            // Nobody, where somebody is known.
            app.cookies.clear();
            assert_eq!(app.get(&page).status, 303, "{build_type:?} {page}");
            assert_eq!(app.get(&api).status, 401, "{build_type:?} {api}");
            assert_eq!(app.get("/settings").status, 303);
        }
    }
}

/// One change to the SQL of an app: type (index into [`FULL`], and behind it [`OF_THE_BOX`]), file, text that is there, text that takes its place.
const MUTANTS: &[(usize, &str, &str, &str)] = &[
    (1, "actions/public_page.sql", "status = 'published'", "1"),
    (1, "actions/public_pages.sql", "status = 'published'", "1"),
    (1, "actions/public_post.sql", "<= date('now')", "<> ''"),
    (1, "actions/enquire.sql", "'new')", "'answered')"),
    (1, "actions/new_enquiries.sql", "status = 'new'", "1"),
    (1, "actions/book.sql", ":people", "0"),
    (1, "schema/0005_one_at_a_time.sql", "b.at = NEW.at AND ", ""),
    (2, "actions/goods.sql", "status = 'published'", "1"),
    (2, "actions/goods.sql", "category = :category", "1"),
    (2, "actions/basket_add.sql", "AND status = 'published'", ""),
    (2, "actions/basket_change.sql", "AND product_id = :product_id AND :quantity = 0", "AND :quantity = 0"),
    (2, "actions/basket_sum.sql", "b.quantity * p.price_cents", "p.price_cents"),
    (2, "actions/checkout.sql", "stock - (", "stock - 0 * ("),
    (2, "actions/checkout.sql", "DELETE FROM basket WHERE visitor = :visitor", "DELETE FROM basket WHERE 0"),
    (2, "actions/checkout.sql", "HAVING count(*) > 0", "HAVING 1"),
    (2, "actions/payment_apply.sql", "AND total_cents = :total_cents ", ""),
    (2, "actions/payment_apply.sql", "AND payment <> 'paid' ", ""),
    (2, "actions/report.sql", "closed_at IS NULL", "1"),
    (2, "schema/0004_shop.sql", "WHEN NEW.stock < 0", "WHEN 0"),
    (2, "schema/0004_shop.sql", "AND OLD.status <> 'cancelled'", ""),
    (
        4,
        "actions/tiles.sql",
        "coalesce(sum(value), 0) FROM chosen WHERE here",
        "coalesce(sum(value), 0) FROM chosen WHERE 1",
    ),
    (4, "actions/daily.sql", "m.series = :series", "1"),
    (4, "actions/by_series.sql", "sum(m.value) AS", "max(m.value) AS"),
    (4, "actions/latest.sql", "day DESC", "day"),
    (5, "actions/box_put.sql", "excluded.value", "value"),
    (5, "actions/box_until.sql", "max(hour)", "min(hour)"),
    (5, "actions/box_tiles.sql", "series = 'calls'", "1"),
    (5, "actions/box_tiles.sql", "AND name = 'live'", ""),
    (5, "actions/box_tiles.sql", "seconds / 60", "seconds"),
    (5, "actions/box_hourly.sql", "AND b.series = 'calls'", ""),
    (5, "actions/box_daily.sql", "series = 'errors'", "1"),
    (5, "actions/box_daily.sql", "series = 'calls'", "1"),
    (5, "actions/box_ends.sql", "b.series = 'calls'", "1"),
    (5, "actions/box_builds.sql", "b.series = 'builds'", "1"),
    (5, "actions/box_apps.sql", "b.series = 'errors'", "1"),
    (5, "actions/report.sql", "AND hour >= date('now')", ""),
    (5, "schema/0002_box_hours.sql", "'-731 days'", "'-73100 days'"),
    (5, "schema/0002_box_hours.sql", "hour IS strftime", "1 OR hour IS strftime"),
];

#[test]
fn changes_to_the_sql_of_the_newer_types_are_noticed() {
    let all = FULL.into_iter().chain([OF_THE_BOX]);
    let originals: Vec<Files> = all.map(|(build_type, features)| generated(build_type, features).1).collect();
    let check = |(of, path, from, to): &(usize, &str, &str, &str)| -> Option<String> {
        let mut files = originals[*of].clone();
        let text = String::from_utf8(files.get(*path)?.clone()).ok()?;
        if !text.contains(from) {
            return Some(format!("{path} holds no {from:?} to change"));
        }
        files.insert((*path).to_owned(), text.replacen(from, to, 1).into_bytes());
        // The apps' own scenarios; those of entities are the same for every type and tried with the CRM's.
        files.retain(|path, _| {
            !path.starts_with("tests/") || ["shop", "site_", "dashboard", "box"].iter().any(|own| path.contains(own))
        });
        match failures(&files, true) {
            Err(said) => Some(format!("{path}: {from:?} → {to:?} does not start, so it shows nothing: {said}")),
            Ok(failed) if failed.is_empty() => Some(format!("{path}: {from:?} → {to:?} went unnoticed")),
            Ok(_) => None,
        }
    };
    assert!(MUTANTS.iter().all(|(of, path, _, _)| originals[*of].contains_key(*path)));
    let survivors: Vec<_> = MUTANTS.iter().filter_map(check).collect();
    assert!(survivors.is_empty(), "{} of {}:\n{}", survivors.len(), MUTANTS.len(), survivors.join("\n"));
}

/// Not a test of its own: leaves a bundle of each type where `make browser` wants them.
#[test]
fn bundles_for_the_browser_are_written_where_asked() {
    let Some(target) = std::env::var_os("CALLWRIGHT_BUNDLES") else { return };
    for ((build_type, features), name) in FULL.into_iter().zip(["crm", "website", "shop", "api", "dashboard"]) {
        bundle::write_dir(&generated(build_type, features).1, &Path::new(&target).join(name)).unwrap();
    }
}
