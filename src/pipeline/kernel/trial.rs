//! Scenarios for any entity: every action is asked, every rule of the schema is tried, so that a change to the SQL shows.
//! Pure text out of the spec. Invariant: their names are `spec::promises` of the entity, in any order.

use crate::apphost::field::{MONEY_MAX, NUMBER_MAX};
use crate::apphost::service::SCENARIO_SETUP_CODE;
use crate::pipeline::spec::{ACCESS_TESTS, Entity, Field, FieldKind, SAMPLE_TESTS, Spec};
use serde_json::{Map, Value, json};

/// Writes scenarios as TOML.
fn write(head: &str, scenarios: Vec<Value>) -> String {
    // JSON without null is TOML; none of these holds null.
    let text = toml::Value::try_from(json!({ "scenario": scenarios })).and_then(|v| toml::to_string(&v));
    format!("# {head} Each scenario starts with no data.\n\n{}", text.unwrap_or_default())
}

fn scenario(name: &str, role: &str, steps: Vec<Value>) -> Value {
    json!({ "name": name, "as": role, "step": steps })
}

/// A value of `field`, different for different `n` where values may differ.
fn sample(field: &Field, n: usize) -> Value {
    let letter = char::from(b'a' + u8::try_from(n % 26).unwrap_or(0));
    match field.kind {
        FieldKind::Choice => field.choices.get(n % field.choices.len().max(1)).map_or("", |c| c.value.as_str()).into(),
        FieldKind::Date => format!("2027-0{}-1{}", n % 9 + 1, n % 9).into(),
        FieldKind::Decimal => json!(n as f64 + 1.5),
        FieldKind::Email => format!("{letter}{n}@example.org").into(),
        FieldKind::Money => json!(1250 + n * 100),
        FieldKind::Number => json!(n + 3),
        FieldKind::Phone => format!("+44 20 5550 10{n}").into(),
        FieldKind::Reference => json!("{parent}"),
        FieldKind::Slug => format!("{letter}-word-{n}").into(),
        FieldKind::Text | FieldKind::LongText => format!("{letter}{letter}{} <{n}> & co", field.name).into(),
    }
}

/// Values of a whole record.
fn record(entity: &Entity, n: usize) -> Map<String, Value> {
    let parent = |f: &Field, v: Value| match (&f.references, v) {
        (Some(target), _) => json!(format!("{{{target}}}")),
        (None, v) => v,
    };
    entity.fields.iter().map(|f| (f.name.clone(), parent(f, sample(f, n)))).collect()
}

/// Steps that make the records that `entity` refers to, saved by their table's name.
fn parents(spec: &Spec, entity: &Entity) -> Vec<Value> {
    let mut steps = Vec::new();
    let mut made = std::collections::BTreeSet::new();
    let targets = entity.fields.iter().filter_map(|f| spec.entity(f.references.as_deref()?));
    for target in targets {
        if made.insert(target.name.clone()) {
            steps.extend(parents(spec, target));
            steps.push(json!({ "say": format!("a {} to refer to", target.label_one.to_lowercase()),
                "request": format!("POST /api/{}", target.name), "json": record(target, 7), "status": 201,
                "save": { target.name.clone(): "/id" } }));
        }
    }
    steps
}

/// Pointer → value, for what an answer must hold.
fn pointers(values: &Map<String, Value>) -> Map<String, Value> {
    values.iter().map(|(name, value)| (format!("/{name}"), value.clone())).collect()
}

fn newest_first(entity: &Entity) -> bool {
    entity.board.is_some() || entity.within.is_some()
}

/// All scenarios of one entity.
pub(super) fn of(spec: &Spec, entity: &Entity) -> String {
    let mut scenarios = vec![life(spec, entity), listing(spec, entity), rules(spec, entity)];
    if !entity.search.is_empty() {
        scenarios.push(search(spec, entity));
    }
    if entity.within.is_none() {
        scenarios.push(import(spec, entity));
    }
    if entity.board.is_some() {
        scenarios.push(board(spec, entity));
    }
    write(&format!("What the {} of this app must do.", entity.label.to_lowercase()), scenarios)
}

/// The import alone, for entities whose other scenarios are written by hand.
pub(super) fn import_of(spec: &Spec, entity: &Entity) -> String {
    write(&format!("How {} are brought in.", entity.label.to_lowercase()), vec![import(spec, entity)])
}

fn life(spec: &Spec, entity: &Entity) -> Value {
    let (name, one) = (&entity.name, entity.label_one.to_lowercase());
    let (first, other, changed) = (record(entity, 1), record(entity, 2), record(entity, 3));
    let mut steps = parents(spec, entity);
    let at = format!("/api/{name}/{{it}}");
    steps.extend([
        json!({ "say": "one is added over the API", "request": format!("POST /api/{name}"), "json": first, "status": 201,
                "check": pointers(&first), "save": { "it": "/id" } }),
        json!({ "say": "another one", "request": format!("POST /api/{name}"), "json": other, "status": 201,
                "save": { "other": "/id" } }),
        json!({ "say": "the first is read back", "request": format!("GET {at}"), "check": pointers(&first) }),
        json!({ "say": "both are counted", "request": "GET /api/summary", "check": { format!("/{name}"): 2 } }),
        json!({ "say": "its values are replaced", "request": format!("PUT {at}"), "json": changed,
                "check": pointers(&changed) }),
        json!({ "say": "the other one stayed as it was", "request": format!("GET /api/{name}/{{other}}"),
                "check": pointers(&other) }),
    ]);
    for field in entity.fields.iter().filter(|f| f.kind != FieldKind::Reference) {
        let value = sample(field, 4);
        steps.push(
            json!({ "say": format!("only {} is changed", field.label.to_lowercase()), "request": format!("PATCH {at}"),
            "json": { field.name.clone(): value.clone() }, "check": { format!("/{}", field.name): value } }),
        );
    }
    let title = &entity.title_field;
    steps.extend([
        json!({ "say": "its page shows it, made safe for HTML", "request": format!("GET /{name}/{{it}}"),
                "contains": [format!("{0}{0}{title} &lt;4&gt; &amp; co", 'e')], "lacks": ["<4>"] }),
        json!({ "say": "its form shows what is stored", "request": format!("GET /{name}/{{it}}/edit"),
                "contains": ["name=\"csrf\"", &format!("ee{title}")], "lacks": ["<4>"] }),
        json!({ "say": "a change is dated", "sql": format!("UPDATE {name} SET created_at = '2000-01-01T00:00:00.000Z', \
                updated_at = '2000-01-01T00:00:00.000Z'; UPDATE {name} SET {title} = {title}; SELECT count(*) FROM {name} \
                WHERE updated_at > '2001' AND created_at < '2001'"), "rows": [[2]] }),
        json!({ "say": "a form without its token changes nothing", "request": format!("POST /{name}/{{it}}/delete"),
                "form": {}, "forged": true, "status": 403 }),
        json!({ "say": "a form deletes it", "request": format!("POST /{name}/{{it}}/delete"), "form": {}, "status": 303,
                "page": format!("/{name}/{{it}}") }),
        json!({ "say": "it is gone", "request": format!("GET {at}"), "status": 404 }),
        json!({ "say": "and only it", "request": format!("GET /api/{name}"), "count": { "/items": 1 },
                "check": { "/items/0/id": "{other}" } }),
        json!({ "say": "the other goes by the API", "request": format!("DELETE /api/{name}/{{other}}"), "status": 204 }),
        json!({ "say": "none is left", "request": "GET /api/summary", "check": { format!("/{name}"): 0 } }),
    ]);
    scenario(&format!("{} {one} can be added, read, changed and deleted", article(&one)), "admin", steps)
}

fn listing(spec: &Spec, entity: &Entity) -> Value {
    let (name, many) = (&entity.name, entity.label.to_lowercase());
    let title = &entity.title_field;
    let mut steps = parents(spec, entity);
    for n in [5, 4, 6] {
        steps.push(
            json!({ "say": format!("number {n}"), "request": format!("POST /api/{name}"), "json": record(entity, n),
            "status": 201, "save": { format!("n{n}"): "/id" } }),
        );
    }
    let order: Vec<String> =
        if newest_first(entity) { ["n6", "n4", "n5"] } else { ["n4", "n5", "n6"] }.map(|n| format!("{{{n}}}")).to_vec();
    let check: Map<String, Value> =
        order.iter().enumerate().map(|(i, id)| (format!("/items/{i}/id"), json!(id))).collect();
    let text = |n: usize| {
        let letter = char::from(b'a' + u8::try_from(n).unwrap_or(0));
        format!("{letter}{letter}{title}")
    };
    steps.extend([
        json!({ "say": "all in order", "request": format!("GET /api/{name}"), "count": { "/items": 3 }, "check": check }),
        json!({ "say": "the first page", "request": format!("GET /api/{name}?limit=1"), "count": { "/items": 1 },
                "check": { "/items/0/id": order[0] }, "save": { "next": "/next" } }),
        json!({ "say": "the second", "request": format!("GET /api/{name}?limit=1&cursor={{next}}"),
                "check": { "/items/0/id": order[1] }, "save": { "last": "/next" } }),
        json!({ "say": "and the last", "request": format!("GET /api/{name}?limit=1&cursor={{last}}"),
                "check": { "/items/0/id": order[2], "/next": false } }),
        json!({ "say": "a file of all", "request": format!("GET /{name}/export.csv"),
                "contains": [text(4), text(5), text(6), format!("id,{}", entity.fields[0].name)] }),
        json!({ "say": "the list says how many", "request": format!("GET /{name}?view=list"),
                "contains": ["<span class=\"count\">3</span>"] }),
        json!({ "say": "every page answers", "crawl": format!("/{name}?view=list") }),
    ]);
    let firsts: Vec<_> = entity.fields.iter().filter(|f| f.kind == FieldKind::Reference).collect();
    for field in firsts {
        let target = field.references.clone().unwrap_or_default();
        steps.push(json!({ "say": format!("the page of the {} shows them", field.label.to_lowercase()),
            "request": format!("GET /{target}/{{{target}}}"),
            "contains": [text(4), text(6)], "order": [text(6), text(4), text(5)] }));
        if entity.within.is_none() {
            let title = spec.entity(&target).map_or("", |t| t.title_field.as_str());
            steps.push(json!({ "say": "the form offers it", "request": format!("GET /{name}/new"),
                "contains": [format!("hh{title} &lt;7&gt;")] }));
        }
    }
    scenario(&format!("{many} are listed in order, paged and exported"), "admin", steps)
}

/// What the schema refuses, whatever the forms let through.
fn rules(spec: &Spec, entity: &Entity) -> Value {
    let (name, many) = (&entity.name, entity.label.to_lowercase());
    let mut steps = parents(spec, entity);
    let good = record(entity, 1);
    let quoted = |value: &Value| match value {
        Value::String(text) if text.starts_with('{') => text.clone(),
        Value::String(text) => format!("'{}'", text.replace('\'', "''")),
        other => other.to_string(),
    };
    let insert = |field: &str, bad: &str| {
        let names: Vec<_> = good.keys().cloned().collect();
        let values: Vec<_> = good.iter().map(|(n, v)| if n == field { bad.to_owned() } else { quoted(v) }).collect();
        format!("INSERT INTO {name} ({}) VALUES ({})", names.join(", "), values.join(", "))
    };
    let count = format!("{}; SELECT count(*) FROM {name}", insert("", ""));
    steps.push(json!({ "say": "a good one is taken", "sql": count, "rows": [[1]] }));
    for f in &entity.fields {
        let label = f.label.to_lowercase();
        let mut tries: Vec<(String, &str)> = Vec::new();
        let is_text = matches!(f.kind, FieldKind::Email | FieldKind::LongText | FieldKind::Phone | FieldKind::Text);
        if is_text && f.required {
            tries.push(("'  '".to_owned(), "is_needed"));
            tries.push(("NULL".to_owned(), "not null"));
        }
        if is_text && f.chars_max > 0 {
            tries.push((format!("printf('a@b.c%.{}c', '1')", f.chars_max), "is_too_long"));
        }
        match f.kind {
            FieldKind::Choice => tries.push(("'no such thing'".to_owned(), "is_unknown")),
            FieldKind::Date => tries.push(("'2027-02-30'".to_owned(), "is_no_day")),
            FieldKind::Email => tries.push(("'nobody'".to_owned(), "is_no_address")),
            FieldKind::Phone => tries.push(("'call me'".to_owned(), "is_no_number")),
            FieldKind::Money => {
                tries.push(("-1".to_owned(), "is_out_of_range"));
                tries.push(((MONEY_MAX + 1).to_string(), "is_out_of_range"));
            }
            FieldKind::Number => tries.push(((NUMBER_MAX + 1).to_string(), "is_out_of_range")),
            FieldKind::Decimal => tries.push(("2e12".to_owned(), "is_out_of_range")),
            FieldKind::Slug => tries.push(("'No Address'".to_owned(), "is_no_address")),
            FieldKind::Reference => tries.push(("4711".to_owned(), "foreign key")),
            FieldKind::LongText | FieldKind::Text => {}
        }
        if f.required && matches!(f.kind, FieldKind::Date | FieldKind::Reference) {
            tries.push(("NULL".to_owned(), "not null"));
        }
        for (bad, rule) in tries {
            let refused = if rule.starts_with("is_") { format!("{}_{rule}", f.name) } else { rule.to_owned() };
            steps.push(json!({ "say": format!("{label}: {bad}"), "sql": insert(&f.name, &bad), "refused": refused }));
        }
        if f.unique {
            let twice = format!("{}; {}", insert("", ""), insert("", ""));
            steps.push(json!({ "say": format!("{label}: twice the same"), "sql": twice, "refused": "unique" }));
        }
    }
    if let Some(needed) = entity.fields.iter().find(|f| f.required && f.kind == FieldKind::Text) {
        let mut empty = good.clone();
        empty.insert(needed.name.clone(), "".into());
        steps.push(json!({ "say": "the API says what is missing", "request": format!("POST /api/{name}"), "json": empty,
            "status": 422, "check": { format!("/error/fields/{}", needed.name): format!("{} is needed.", needed.label) } }));
    }
    scenario(&format!("the database itself refuses bad {many}"), "admin", steps)
}

fn search(spec: &Spec, entity: &Entity) -> Value {
    let (name, many) = (&entity.name, entity.label.to_lowercase());
    let mut steps = parents(spec, entity);
    let word = |field: &str, n: usize| {
        let f = entity.field(field);
        match f.map(|f| f.kind) {
            Some(FieldKind::Email) => format!("{}{n}", char::from(b'a' + u8::try_from(n).unwrap_or(0))),
            _ => format!("{0}{0}{field}", char::from(b'a' + u8::try_from(n).unwrap_or(0))),
        }
    };
    for n in [1, 2] {
        steps.push(
            json!({ "say": format!("number {n}"), "request": format!("POST /api/{name}"), "json": record(entity, n),
            "status": 201, "save": { format!("n{n}"): "/id" } }),
        );
    }
    for field in &entity.search {
        let f = entity.field(field);
        if !f.is_some_and(|f| matches!(f.kind, FieldKind::Text | FieldKind::LongText | FieldKind::Email)) {
            continue;
        }
        steps.push(
            json!({ "say": format!("found by {field}"), "request": format!("GET /api/{name}?q={}", word(field, 1)),
            "count": { "/items": 1 }, "check": { "/items/0/id": "{n1}" } }),
        );
        let changed = record(entity, 3);
        steps.push(json!({ "say": format!("another {field}"), "request": format!("PATCH /api/{name}/{{n1}}"),
            "json": { field.clone(): changed[field] } }));
        steps.push(json!({ "say": "no longer found by the old one",
            "request": format!("GET /api/{name}?q={}", word(field, 1)), "count": { "/items": 0 } }));
        steps.push(json!({ "say": "but by the new one", "request": format!("GET /api/{name}?q={}", word(field, 3)),
            "count": { "/items": 1 } }));
    }
    let title = word(&entity.title_field, 2);
    steps.extend([
        json!({ "say": "the page finds, too", "request": format!("GET /{name}?view=list&q={title}"), "contains": [title],
                "lacks": ["Nothing found"] }),
        json!({ "say": "what looks like code is only looked for", "request":
                format!("GET /{name}?view=list&q=%22%20OR%201%3D1%20--%20%3Cscript%3E"), "contains": ["Nothing found"],
                "lacks": ["<script>"] }),
        json!({ "say": "one is deleted", "request": format!("DELETE /api/{name}/{{n2}}"), "status": 204 }),
        json!({ "say": "and no longer found", "request": format!("GET /api/{name}?q={title}"), "count": { "/items": 0 } }),
    ]);
    scenario(&format!("{many} are found by their words"), "admin", steps)
}

fn import(spec: &Spec, entity: &Entity) -> Value {
    let (name, many) = (&entity.name, entity.label.to_lowercase());
    let mut steps = parents(spec, entity);
    let columns: Vec<&Field> = entity.fields.iter().collect();
    let head: Vec<_> = columns.iter().map(|f| f.name.clone()).collect();
    let row = |n: usize| {
        let cells = columns.iter().map(|f| match (f.kind, sample(f, n)) {
            (FieldKind::Reference, _) => format!("{{{}}}", f.references.as_deref().unwrap_or_default()),
            (FieldKind::Money, v) => format!("{}.00", v.as_i64().unwrap_or(0) / 100),
            (_, Value::String(text)) => format!("\"{text}\""),
            (_, v) => v.to_string(),
        });
        cells.collect::<Vec<_>>().join(",")
    };
    let good = format!("{}\r\n{}\r\n{}\r\n", head.join(","), row(1), row(2));
    let blank = |n: usize| columns.iter().map(|_| "").collect::<Vec<_>>().join(",") + &" ".repeat(n) + "\"x";
    let bad = format!("{}\r\n{}\r\n{}\r\n", head.join(","), row(1), blank(0));
    let page = format!("/{name}/import");
    steps.extend([
        json!({ "say": "one bad row, and nothing is stored", "request": format!("POST {page}"), "form": { "csv": bad },
                "page": page, "status": 422, "contains": ["Nothing was stored.", "Row 3"] }),
        json!({ "say": "none is there", "request": "GET /api/summary", "check": { format!("/{name}"): 0 } }),
        json!({ "say": "two good rows", "request": format!("POST {page}"), "form": { "csv": good },
                "contains": ["2 rows were stored."] }),
        json!({ "say": "both are there", "request": "GET /api/summary", "check": { format!("/{name}"): 2 } }),
    ]);
    scenario(&format!("{many} can be imported"), "admin", steps)
}

fn board(spec: &Spec, entity: &Entity) -> Value {
    let (name, many) = (&entity.name, entity.label.to_lowercase());
    let board = entity.board.clone().unwrap_or_default();
    let choices = entity.field(&board).map(|f| f.choices.clone()).unwrap_or_default();
    let closed: Vec<_> = choices.iter().filter(|c| c.closed).map(|c| c.value.clone()).collect();
    let money = entity.fields.iter().any(|f| f.kind == FieldKind::Money);
    let mut steps = parents(spec, entity);
    for n in [1, 2] {
        let mut values = record(entity, n);
        values.insert(board.clone(), choices[0].value.clone().into());
        steps.push(json!({ "say": format!("number {n}"), "request": format!("POST /api/{name}"), "json": values,
            "status": 201, "save": { format!("n{n}"): "/id" }, "check": { "/closed_at": false } }));
    }
    if money {
        steps.push(
            json!({ "say": "the first column is summed", "request": format!("GET /{name}"), "contains": ["28.00"] }),
        );
    }
    for choice in &choices {
        steps.push(
            json!({ "say": format!("one is moved to {}", choice.label), "request": format!("POST /{name}/{{n1}}/move"),
            "form": { board.clone(): choice.value.clone() }, "status": 303 }),
        );
        steps.push(json!({ "say": "there it is", "request": format!("GET /api/{name}/{{n1}}"),
            "check": { format!("/{board}"): choice.value.clone(), "/closed_at": closed.contains(&choice.value) } }));
    }
    let last = choices.last().map(|c| c.value.clone()).unwrap_or_default();
    steps.extend([
        json!({ "say": "the other one stayed", "request": format!("GET /api/{name}/{{n2}}"),
                "check": { format!("/{board}"): choices[0].value.clone() } }),
        json!({ "say": "the board shows both, closed only just now", "request": format!("GET /{name}"),
                "contains": [format!("/{name}/{{n1}}\""), format!("/{name}/{{n2}}\"")] }),
        json!({ "say": "no such column", "request": format!("POST /{name}/{{n1}}/move"),
                "form": { board.clone(): "nowhere" }, "status": 422 }),
        json!({ "say": "it was closed long ago", "keep": true,
                "sql": format!("UPDATE {name} SET closed_at = '2000-01-01T00:00:00.000Z' WHERE id = {{n1}}") }),
        json!({ "say": "and is off the board", "request": format!("GET /{name}"),
                "lacks": [format!("href=\"/{name}/{{n1}}\"")], "contains": [format!("href=\"/{name}/{{n2}}\"")] }),
        json!({ "say": "but kept", "request": format!("GET /api/{name}/{{n1}}"), "check": { format!("/{board}"): last } }),
    ]);
    scenario(&format!("{many} move over their board"), "admin", steps)
}

/// Every page from `start` on answers, without data and with the first data.
pub(super) fn whole(start: &str) -> String {
    let mut steps: Vec<_> = [start, "/settings", "/"]
        .iter()
        .map(|s| json!({ "say": format!("every page from {s} on answers"), "crawl": s }))
        .collect();
    steps.push(json!({ "say": "an address that does not exist is answered with a page",
        "request": "GET /no-such-page-at-all", "status": 404, "contains": ["There is nothing at this address"] }));
    let names = SAMPLE_TESTS.map(|name| (name, name.ends_with("first data")));
    let scenarios =
        names.map(|(name, seed)| json!({ "name": name, "as": "admin", "seed": seed, "step": steps.clone() })).to_vec();
    write("What the whole app must do.", scenarios)
}

/// Scenarios about accounts, roles and keys.
pub(super) fn access(spec: &Spec) -> String {
    let first = spec.entities.first().map_or("x", |e| e.name.as_str());
    let page = |path: &str| format!("/{path}");
    let (password, code) = ("a long enough pass phrase", SCENARIO_SETUP_CODE);
    let [accounts, refused, keys] = ACCESS_TESTS;
    let sign_in = vec![
        json!({ "say": "a stranger makes no first account", "request": "POST /setup", "page": "/setup", "status": 403,
                "form": { "name": "Eve", "password": password, "code": "123-456-780" }, "contains": ["not the set-up code"] }),
        json!({ "say": "a short password will not do", "request": "POST /setup", "page": "/setup", "status": 422,
                "form": { "name": "Ada", "password": "short", "code": code }, "contains": ["10 characters"] }),
        json!({ "say": "the first account", "request": "POST /setup", "page": "/setup", "status": 303,
                "form": { "name": "Ada", "password": password, "code": "123 456 789" } }),
        json!({ "say": "she is in", "request": "GET /settings", "contains": ["Ada"] }),
        json!({ "say": "there is no second first account", "request": "GET /setup", "status": 303 }),
        json!({ "say": "somebody else is added", "request": "POST /settings/accounts", "page": "/settings", "status": 303,
                "form": { "name": "Vera", "password": password, "role": "viewer" } }),
        json!({ "say": "she signs out", "request": "POST /sign-out", "page": "/settings", "form": {}, "status": 303 }),
        json!({ "say": "and is out", "request": "GET /settings", "status": 303,
                "header": { "location": "/sign-in?next=%2Fsettings" } }),
        json!({ "say": "nobody reads records", "request": format!("GET /{first}"), "status": 303 }),
        json!({ "say": "nor by the API", "request": format!("GET /api/{first}"), "status": 401 }),
        json!({ "say": "a wrong password", "request": "POST /sign-in", "page": "/sign-in", "status": 403,
                "form": { "name": "ada", "password": "another pass phrase" }, "contains": ["do not go together"] }),
        json!({ "say": "the right one leads to where she wanted to go", "request": "POST /sign-in", "page": "/sign-in",
                "status": 303, "form": { "name": "ada", "password": password, "next": format!("/{first}") },
                "header": { "location": format!("/{first}") } }),
        json!({ "say": "she is in again", "request": format!("GET /{first}"), "contains": ["Ada"] }),
        json!({ "say": "nobody is led to another site", "request": "POST /sign-in", "status": 303,
                "page": "/sign-in", "form": { "name": "ada", "password": password, "next": "//evil.example" },
                "header": { "location": "/" } }),
    ];
    let viewer = vec![
        json!({ "say": "a viewer reads", "request": format!("GET /api/{first}"), "count": { "/items": 0 } }),
        json!({ "say": "but does not change", "request": format!("POST /api/{first}"), "json": {}, "status": 403 }),
        json!({ "say": "nor by a form", "request": format!("POST /{first}"), "form": {}, "forged": true, "status": 403 }),
        json!({ "say": "nor looks at the accounts", "request": "GET /settings", "status": 403 }),
        json!({ "say": "a stranger is led to the sign-in", "request": format!("GET /{first}"), "visitor": true, "status": 303 }),
        json!({ "say": "a made-up key opens nothing", "request": format!("GET /api/{first}"), "visitor": true,
                "send": { "authorization": "Bearer key_0" }, "status": 401 }),
        json!({ "say": "nothing was stored", "request": "GET /api/summary", "check": { page(first): 0 } }),
    ];
    let key = vec![
        json!({ "say": "a key for two requests a minute", "request": "POST /settings/keys", "page": "/settings",
                "form": { "name": "Till", "role": "viewer", "per_minute": "2" }, "status": 201, "take": { "key": "only now: " } }),
        json!({ "say": "it reads", "request": format!("GET /api/{first}"), "visitor": true,
                "send": { "authorization": "Bearer {key}" }, "header": { "ratelimit-remaining": "1" } }),
        json!({ "say": "it does not write", "request": format!("POST /api/{first}"), "visitor": true, "json": {},
                "send": { "authorization": "Bearer {key}" }, "status": 403 }),
        json!({ "say": "its minute is over", "request": format!("GET /api/{first}"), "visitor": true,
                "send": { "authorization": "Bearer {key}" }, "status": 429 }),
        json!({ "say": "its calls are counted", "request": "GET /_/meta",
                "check": { "/figures/calls_today": 2, "/figures/refused_today": 1, "/figures/keys": 1 } }),
        json!({ "say": "it is shown without its text", "request": "GET /settings", "contains": ["Till"], "lacks": ["{key}"] }),
    ];
    write(
        "Who may do what.",
        vec![scenario(accounts, "", sign_in), scenario(refused, "viewer", viewer), scenario(keys, "admin", key)],
    )
}

fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" }
}

/// Scenarios of an app that is its API: a program's way through, and the documentation.
pub(super) fn program(spec: &Spec) -> String {
    let Some(entity) = spec.entities.first() else { return String::new() };
    let name = &entity.name;
    let at = format!("/api/{name}");
    let bearer = json!({ "authorization": "Bearer {key}" });
    let good = record(entity, 1);
    let mut steps = parents(spec, entity);
    steps.extend([
        json!({ "say": "a key that writes", "request": "POST /settings/keys", "page": "/settings", "status": 201,
                "form": { "name": "Robot", "role": "staff", "per_minute": "100" }, "take": { "key": "only now: " } }),
        json!({ "say": "it adds", "request": format!("POST {at}"), "visitor": true, "send": bearer, "json": good,
                "status": 201, "save": { "it": "/id" } }),
        json!({ "say": "it reads", "request": format!("GET {at}/{{it}}"), "visitor": true, "send": bearer,
                "check": pointers(&good) }),
        json!({ "say": "an unknown field is named", "request": format!("POST {at}"), "visitor": true, "send": bearer,
                "json": { "no_such_field": "x" }, "status": 422,
                "check": { "/error/fields/no_such_field": "There is no field called no_such_field." } }),
        json!({ "say": "what is no object is refused", "request": format!("POST {at}"), "visitor": true, "send": bearer,
                "json": [1], "status": 400 }),
        json!({ "say": "what is no JSON is refused", "request": format!("POST {at}"), "visitor": true,
                "send": { "authorization": "Bearer {key}", "content-type": "text/plain" }, "json": {}, "status": 415 }),
        json!({ "say": "what is not there is not there", "request": format!("GET {at}/4711"), "visitor": true, "send": bearer,
                "status": 404, "check": { "/error/code": "not_found" } }),
        json!({ "say": "a method that is not known is answered with those that are", "request": format!("PATCH {at}"),
                "visitor": true, "send": bearer, "json": {}, "status": 405 }),
        json!({ "say": "a cursor that is made up", "request": format!("GET {at}?cursor=zz"), "visitor": true, "send": bearer,
                "status": 400 }),
        json!({ "say": "it is counted", "request": "GET /manage", "contains": [format!("href=\"/{name}\"")] }),
        json!({ "say": "the figures for the telephone", "request": "GET /_/meta", "check": { format!("/figures/{name}"): 1 } }),
        json!({ "say": "it deletes", "request": format!("DELETE {at}/{{it}}"), "visitor": true, "send": bearer, "status": 204 }),
    ]);
    let mut docs = Vec::new();
    for e in &spec.entities {
        let mut names: Vec<String> = e.fields.iter().map(|f| format!("<code>{}</code>", f.name)).collect();
        names.push(format!("<code>/api/{}/{{id}}</code>", e.name));
        docs.push(
            json!({ "say": format!("{} are described", e.label.to_lowercase()), "request": "GET /", "visitor": true,
            "contains": names }),
        );
        docs.push(json!({ "say": "for programs, too", "request": "GET /openapi.json", "visitor": true,
            "check": { format!("/paths/~1api~1{}/get/operationId", e.name): format!("list{}", e.label.replace(' ', "")) } }));
    }
    docs.push(json!({ "say": "a client for browsers", "request": "GET /static/client.js", "visitor": true,
        "contains": [format!("of(\"{name}\")")] }));
    docs.push(json!({ "say": "and one for Python", "request": "GET /static/client.py", "visitor": true,
        "contains": [format!("Resource(self, \"{name}\")")] }));
    write(
        "What programs can rely on.",
        vec![
            scenario("a program reads, writes and is told what was wrong", "admin", steps),
            scenario("the documentation names every path and every field", "", docs),
        ],
    )
}
