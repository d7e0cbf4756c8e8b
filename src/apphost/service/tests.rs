//! Answers as values: headers, forms, methods, limits, and that nothing asked makes it panic.

use super::*;
use crate::pipeline::kernel;
use crate::pipeline::manifest::{BuildManifest, BuildType, CreatedFrom};
use crate::pipeline::spec::Spec;
use proptest::prelude::*;
use std::sync::atomic::Ordering;

struct App {
    service: Service,
    _data: tempfile::TempDir,
}

fn manifest() -> BuildManifest {
    BuildManifest {
        manifest_id: "man_1".to_owned(),
        build_type: BuildType::BuildCrm,
        title: "CRM <&>".to_owned(),
        description: "\"><script>".to_owned(),
        features: ["deals", "notes", "companies"].map(str::to_owned).to_vec(),
        tech_stack: Vec::new(),
        constraints: serde_json::Map::new(),
        integrations: Vec::new(),
        conversation_id: "conv_1".to_owned(),
        created_from: CreatedFrom::Voice,
        confidence: 0.9,
        metadata: serde_json::Map::new(),
    }
}

fn app() -> App {
    let manifest = manifest();
    let files = kernel::crm::generate(&Spec::compose(&manifest), &manifest);
    let data = tempfile::tempdir().unwrap();
    let bundle = Bundle::from_files(&files).unwrap();
    App { service: Service::open(bundle, data.path(), Purpose::Scenario).unwrap(), _data: data }
}

impl App {
    fn get(&mut self, target: &str) -> Response {
        self.service.respond(&Request::new("GET", target))
    }

    fn send(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Response {
        let mut request = Request::new(method, target);
        request.headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        request.body = body.as_bytes().to_vec();
        self.service.respond(&request)
    }
}

const JSON: (&str, &str) = ("content-type", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn text(response: &Response) -> String {
    String::from_utf8_lossy(&response.body).into_owned()
}

#[test]
fn every_answer_carries_the_security_headers_and_its_route() {
    let mut app = app();
    for (target, status, route) in [
        ("/", 200, "/"),
        ("/contacts", 200, "/contacts"),
        ("/contacts/7", 404, "/contacts/{id}"),
        ("/api/contacts/7", 404, "/api/contacts/{id}"),
        ("/nothing", 404, "(none)"),
        ("/static/app.css", 200, "/static/{file}"),
        ("/openapi.json", 200, "/openapi.json"),
    ] {
        let response = app.get(target);
        assert_eq!(response.status, status, "{target}");
        assert_eq!(response.header(super::super::exchange::ROUTE_HEADER), route, "{target}");
        assert_eq!(response.header("x-content-type-options"), "nosniff", "{target}");
        if response.header("content-type").starts_with("text/html") {
            assert!(response.header("content-security-policy").contains("default-src 'none'"), "{target}");
            assert!(!response.header("content-security-policy").contains("unsafe"), "{target}");
        }
    }
}

#[test]
fn title_and_description_are_escaped_too() {
    let page = text(&app().get("/"));
    assert!(page.contains("CRM &lt;&amp;&gt;") && !page.contains("\"><script>"), "{page}");
}

#[test]
fn pages_of_other_sites_change_nothing() {
    let mut app = app();
    for site in ["cross-site", "same-site"] {
        let from = ("sec-fetch-site", site);
        assert_eq!(app.send("POST", "/api/contacts", &[JSON, from], "{\"name\": \"M\"}").status, 403, "{site}");
        assert_eq!(app.send("POST", "/contacts", &[FORM, from], "name=M").status, 403, "{site}");
        assert_eq!(app.send("DELETE", "/api/contacts/1", &[from], "").status, 403, "{site}");
    }
    // What a foreign form can send without asking is no JSON to us.
    assert_eq!(app.send("POST", "/api/contacts", &[("content-type", "text/plain")], "{\"name\": \"M\"}").status, 415);
    assert_eq!(app.send("POST", "/contacts", &[JSON], "{\"name\": \"M\"}").status, 415);
    let counts = app.service.database.counts().unwrap();
    assert_eq!(counts.iter().map(|c| c.1).sum::<u64>(), 0);
}

#[test]
fn a_form_needs_the_token_that_goes_with_its_cookie() {
    let mut app = app();
    let page = app.get("/contacts/new");
    let cookie = page.header("set-cookie").split(';').next().unwrap().to_owned();
    assert!(page.header("set-cookie").ends_with("; Path=/; HttpOnly; SameSite=Strict"));
    let token = text(&page).split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let body = format!("name=Ada&csrf={token}");
    let wrong = format!("name=Ada&csrf={}", "0".repeat(token.len()));
    assert_eq!(app.send("POST", "/contacts", &[FORM], &body).status, 403);
    assert_eq!(app.send("POST", "/contacts", &[FORM, ("cookie", "form_crm=abc")], &body).status, 403);
    let refused = app.send("POST", "/contacts", &[FORM, ("cookie", &cookie)], &wrong);
    assert_eq!(refused.status, 403);
    // What was typed is kept, with a token that will do.
    assert!(text(&refused).contains("value=\"Ada\"") && text(&refused).contains(&token));
    assert_eq!(app.send("POST", "/contacts", &[FORM, ("cookie", &cookie)], &body).status, 303);
    assert_eq!(app.send("POST", "/contacts/1/delete", &[FORM, ("cookie", &cookie)], "").status, 403);
}

#[test]
fn a_form_that_showed_something_else_overwrites_nothing_unasked() {
    let mut app = app();
    assert_eq!(app.send("POST", "/api/contacts", &[JSON], "{\"name\": \"Ada\"}").status, 201);
    let hidden = |page: &Response, name: &str| {
        let page = text(page);
        let rest = page.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap_or_default().to_owned();
        rest.split('"').next().unwrap_or_default().to_owned()
    };
    assert_eq!(hidden(&app.get("/contacts/new"), "_seen"), "");
    let page = app.get("/contacts/1/edit");
    let cookie = page.header("set-cookie").split(';').next().unwrap().to_owned();
    let (token, seen) = (hidden(&page, "csrf"), hidden(&page, "_seen"));
    let mut send = |seen: &str, name: &str| {
        app.send("POST", "/contacts/1", &[FORM, ("cookie", &cookie)], &format!("name={name}&csrf={token}&_seen={seen}"))
    };
    assert_eq!(send(&seen, "Ann").status, 303);
    let stale = send(&seen, "Bob");
    assert_eq!(stale.status, 409);
    assert!(text(&stale).contains("changed while you had it open") && text(&stale).contains("value=\"Bob\""));
    // Whoever has been told may.
    assert_eq!(send(&hidden(&stale, "_seen"), "Bob").status, 303);
    assert_eq!(send("", "Cid").status, 303);
}

#[test]
fn methods_that_do_not_exist_are_answered_with_those_that_do() {
    let mut app = app();
    let response = app.send("DELETE", "/api/contacts", &[], "");
    assert_eq!((response.status, response.header("allow")), (405, "GET, HEAD, POST"));
    let response = app.send("OPTIONS", "/api/contacts/1", &[], "");
    assert_eq!((response.status, response.header("allow")), (405, "GET, HEAD, PUT, PATCH, DELETE"));
    assert!(!response.headers.iter().any(|(n, _)| n.starts_with("access-control")));
    assert_eq!(app.send("PUT", "/contacts", &[], "").status, 405);
    assert_eq!(app.send("POST", "/static/app.css", &[], "").status, 405);
    assert_eq!(app.send("HEAD", "/contacts", &[], "").status, 200);
}

/// A request with a JSON body.
fn json_request(method: &str, target: &str, body: &str) -> Request {
    let mut request = Request::new(method, target);
    request.headers.insert(JSON.0.to_owned(), JSON.1.to_owned());
    request.body = body.as_bytes().to_vec();
    request
}

fn statuses(answers: &[Response]) -> Vec<u16> {
    answers.iter().map(|answer| answer.status).collect()
}

#[test]
fn requests_that_come_together_see_each_other_and_share_one_write() {
    let mut app = app();
    let contact = |name: &str| {
        json_request("POST", "/api/contacts", &format!("{{\"name\": \"{name}\", \"email\": \"{name}@x.de\"}}"))
    };
    let commits = app.service.database.commits();
    let asked = [contact("Ada"), contact("Ann"), contact("ada"), Request::new("GET", "/api/contacts"), contact("Bob")];
    let answers = app.service.respond_together(&asked, Duration::MAX);
    assert_eq!(statuses(&answers), [201, 201, 409, 200, 201], "in their order");
    assert!(text(&answers[3]).contains("Ann") && !text(&answers[3]).contains("Bob"), "{}", text(&answers[3]));
    assert_eq!(commits.load(Ordering::Relaxed), 1);
    // Without time each goes by itself, and what is not begun is left to the next.
    let answers = app.service.respond_together(&[contact("Cid"), contact("Dan")], Duration::ZERO);
    assert_eq!((statuses(&answers), commits.load(Ordering::Relaxed)), (vec![201], 2));
    // What the daemon alone may ask, and accounts, join nobody.
    let alone = [Request::new("GET", "/_/meta"), contact("Eve")];
    assert_eq!(app.service.respond_together(&alone, Duration::MAX).len(), 1);
    let alone = [contact("Fay"), Request::new("GET", "/sign-in"), contact("Gus")];
    assert_eq!(app.service.respond_together(&alone, Duration::MAX).len(), 1);
    let reads = [Request::new("GET", "/api/contacts/1"), Request::new("GET", "/contacts"), Request::new("GET", "/no")];
    let before = commits.load(Ordering::Relaxed);
    assert_eq!(statuses(&app.service.respond_together(&reads, Duration::MAX)), [200, 200, 404]);
    assert_eq!(commits.load(Ordering::Relaxed), before, "reading writes nothing");
    assert_eq!(app.service.database.counts().unwrap()[0].1, 5);
}

#[test]
fn a_request_that_is_too_much_costs_those_beside_it_nothing() {
    let manifest = BuildManifest { features: vec!["contacts".to_owned()], ..manifest() };
    let mut files = kernel::crm::generate(&Spec::compose(&manifest), &manifest);
    let endless = "DELETE FROM contacts WHERE id = :id AND (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
                   SELECT max(i) FROM n) > 0";
    files.insert("actions/contacts_delete.sql".to_owned(), endless.as_bytes().to_vec());
    let mut bundle = Bundle::from_files(&files).unwrap();
    bundle.app.limits.sql_steps = 100_000;
    let data = tempfile::tempdir().unwrap();
    let mut service = Service::open(bundle, data.path(), Purpose::Scenario).unwrap();
    let contact = |name: &str| json_request("POST", "/api/contacts", &format!("{{\"name\": \"{name}\"}}"));
    assert_eq!(service.respond(&contact("Ada")).status, 201);
    // SQLite takes back all of the transaction in which it is stopped: the one before it is done again.
    let asked = [contact("Ann"), Request::new("DELETE", "/api/contacts/1"), contact("Bob")];
    let answers = service.respond_together(&asked, Duration::MAX);
    assert_eq!(statuses(&answers), [201, 503]);
    assert_eq!(statuses(&service.respond_together(&asked[2..], Duration::MAX)), [201]);
    let listed = service.respond(&Request::new("GET", "/api/contacts"));
    for name in ["Ada", "Ann", "Bob"] {
        assert_eq!(text(&listed).matches(name).count(), 1, "{}", text(&listed));
    }
}

#[test]
fn counts_of_visits_are_written_in_the_midst_of_requests_that_came_together() {
    let manifest = BuildManifest { build_type: BuildType::BuildWebsite, features: Vec::new(), ..manifest() };
    let spec = Spec::compose(&manifest);
    let kernels = kernel::all();
    let kernel = kernels.iter().find(|k| k.can(manifest.build_type, kernel::Capability::Frontend)).unwrap();
    let files = kernel.generate(&manifest, &spec).unwrap();
    let data = tempfile::tempdir().unwrap();
    let mut service = Service::open(Bundle::from_files(&files).unwrap(), data.path(), Purpose::Scenario).unwrap();
    let asked: Vec<Request> = (0..120).map(|_| Request::new("GET", "/")).collect();
    assert_eq!(service.respond_together(&asked, Duration::MAX).len(), 120);
    let figures = outbox::figures(&service.database).unwrap();
    assert_eq!(figures["visits_today"], 100, "two times fifty, the rest waits in memory");
}

#[test]
fn numbers_that_are_no_record_are_not_found() {
    let mut app = app();
    for id in ["0", "-1", "1e3", "x", "9223372036854775807", "99999999999999999999", "", "1/", "1/edit/"] {
        assert_eq!(app.get(&format!("/contacts/{id}")).status, 404, "{id}");
        assert_eq!(app.get(&format!("/api/contacts/{id}")).status, 404, "{id}");
    }
}

#[test]
fn limits_of_lists_are_checked() {
    let mut app = app();
    for limit in ["0", "1000", "-1", "x", "99999999999"] {
        assert_eq!(app.get(&format!("/api/contacts?limit={limit}")).status, 400, "{limit}");
    }
    assert_eq!(app.get("/api/contacts?limit=999").status, 200);
    let response = app.get("/contacts?cursor=zz");
    assert_eq!(response.status, 400);
    assert!(response.header("content-type").starts_with("text/html"));
}

#[test]
fn an_export_goes_through_all_pages() {
    let mut app = app();
    let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2500) \
                INSERT INTO contacts (name) SELECT 'Contact ' || (i % 10) FROM n";
    app.service.database.probe(fill, true).unwrap();
    let csv = text(&app.get("/contacts/export.csv"));
    let ids: std::collections::BTreeSet<_> = csv.lines().skip(1).filter_map(|l| l.split(',').next()).collect();
    assert_eq!((csv.lines().count(), ids.len()), (2501, 2500));
    // And the pages of the list lead from one to the next.
    let (mut target, mut pages) = ("/api/contacts?limit=300".to_owned(), 0);
    loop {
        let page: Value = serde_json::from_slice(&app.get(&target).body).unwrap();
        pages += 1;
        match page["next"].as_str() {
            Some(next) => target = format!("/api/contacts?limit=300&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(pages, 9);
}

#[test]
fn a_template_without_end_is_an_error_not_a_hang() {
    let mut app = app();
    let mut bundle = app.service.bundle.clone();
    let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}";
    bundle.views.insert("overview".to_owned(), endless.to_owned());
    app.service.pages = Pages::new(&bundle).unwrap();
    assert_eq!(app.get("/").status, 500);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn no_request_panics_or_shows_sql(
        method in "(GET|POST|PUT|PATCH|DELETE|HEAD|X)",
        target in "/(contacts|deals|api/contacts|api/deals|static|_|)(/[0-9a-z]{0,3})?(/(edit|move|delete))?(\\?(q|cursor|view|limit)=[ -~]{0,20})?",
        body in ".{0,60}",
        kind in "(application/json|application/x-www-form-urlencoded|text/plain)",
    ) {
        thread_local!(static APP: RefCell<App> = RefCell::new(app()));
        APP.with_borrow_mut(|app| {
            let response = app.send(&method, &target, &[("content-type", &kind)], &body);
            assert!(response.status < 500, "{method} {target}: {}", text(&response));
            assert!(!text(&response).contains("SELECT "), "{method} {target}");
        });
    }
}
