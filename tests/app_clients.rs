//! What a generated app tells programs, tried against the app itself: every address of its OpenAPI document answers as it says there,
//! and both clients that come with it list, create, read, change, search and delete with a key of the app's own, in every type.

#[path = "hooks/mod.rs"]
mod hooks;

use callwright::apphost::bundle::{self, Files};
use callwright::pipeline::kernel;
use callwright::pipeline::manifest::{BuildManifest, BuildType, CreatedFrom};
use callwright::pipeline::spec::{Entity, FieldKind, Spec};
use hooks::Person;
use serde_json::{Map, Value, json};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const PYTHON: &str = "import sys, json
sys.path.insert(0, sys.argv[1])
from client import ApiError, Client
app = Client(sys.argv[2], sys.argv[3])
things, values, title = getattr(app, sys.argv[4]), json.loads(sys.argv[5]), sys.argv[6]
made = things.create(**values)
number = made['id']
assert things.read(number)[title] == values[title], made
assert number in [one['id'] for one in things.list(limit=200)['items']]
changed = things.change(number, **{title: 'Changed'})
assert changed[title] == 'Changed' and things.read(number)[title] == 'Changed', changed
if sys.argv[7] == 'searched':
    assert [one['id'] for one in things.list(q='chang')['items']] == [number]
try:
    things.create()
    raise SystemExit('nothing at all was taken')
except ApiError as refused:
    assert refused.status == 422 and refused.fields, (refused.status, refused.fields)
assert isinstance(app.summary(), dict)
things.delete(number)
try:
    things.read(number)
    raise SystemExit('it is still there')
except ApiError as gone:
    assert gone.status == 404
try:
    getattr(Client(sys.argv[2], 'key_' + '0' * 64), sys.argv[4]).list()
    raise SystemExit('any key will do')
except ApiError as refused:
    assert refused.status == 401
";

const JAVASCRIPT: &str = "import assert from 'node:assert';
const [, , clients, base, key, name, given, title, searched] = process.argv;
const { Client } = await import(`${clients}/client.mjs`);
const app = new Client(base, key), things = app[name], values = JSON.parse(given);
const { id } = await things.create(values);
assert.equal((await things.read(id))[title], values[title]);
assert((await things.list({ limit: 200 })).items.some((one) => one.id === id));
assert.equal((await things.change(id, { [title]: 'Changed' }))[title], 'Changed');
if (searched === 'searched') assert.deepEqual((await things.list({ q: 'chang' })).items.map((one) => one.id), [id]);
await assert.rejects(things.create({}), (e) => e.status === 422 && Object.keys(e.fields).length > 0);
assert.equal(typeof (await app.summary()), 'object');
await things.delete(id);
await assert.rejects(things.read(id), (e) => e.status === 404);
await assert.rejects(new Client(base, 'key_' + '0'.repeat(64))[name].list(), (e) => e.status === 401);
";

fn generated(build_type: BuildType) -> (Spec, Files) {
    let manifest = BuildManifest {
        manifest_id: "m1".into(),
        build_type,
        title: "Harbour".into(),
        description: "Everything for the harbour's people.".into(),
        features: vec![],
        tech_stack: vec![],
        constraints: Map::new(),
        integrations: vec![],
        conversation_id: "c".into(),
        created_from: CreatedFrom::Api,
        confidence: 1.0,
        metadata: Map::new(),
    };
    let spec = Spec::compose(&manifest);
    let kernels = kernel::all();
    let kernel = kernels.iter().find(|k| k.can(build_type, kernel::Capability::Frontend)).expect("a kernel");
    let files = kernel.generate(&manifest, &spec).expect("a bundle");
    (spec, files)
}

/// An app of its own, as one runs it without the daemon; ended on drop.
struct App {
    child: Child,
    url: String,
    code: String,
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl App {
    fn start(home: &Path, files: &Files) -> Self {
        bundle::write_dir(files, &home.join("bundle")).expect("a bundle on the disk");
        let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
        let mut child = Command::new(env!("CARGO_BIN_EXE_callwright"))
            .arg("apphost")
            .args(["--bundle".as_ref(), home.join("bundle").as_os_str()])
            .args(["--data".as_ref(), home.join("data").as_os_str()])
            .args(["--listen", &free.to_string()])
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let said = BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok);
        let code = said.filter_map(|line| Some(line.split_once("set-up code ")?.1.to_owned())).next();
        Self { child, url: format!("http://{free}/"), code: code.expect("it says its set-up code") }
    }

    /// A key that may write.
    fn key(&self) -> String {
        let mut ada = Person::before(&self.url);
        let answer = ada.set_up(&self.code);
        assert_eq!(answer.status, 303, "{}", answer.text);
        let fields = [("name", "programs"), ("role", "staff"), ("per_minute", "6000")];
        let answer = ada.fill("/settings", "/settings/keys", &fields);
        assert_eq!(answer.status, 201, "{}", answer.text);
        let key = answer.text.split("shown only now: ").nth(1).expect("the key is shown");
        key.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
    }

    /// What a program with `key` gets, as JSON.
    fn get(&self, path: &str, key: &str) -> (u16, Value) {
        let output = std::net::TcpStream::connect(self.url.trim_start_matches("http://").trim_end_matches('/'));
        let mut stream = output.expect("it listens");
        let host = self.url.trim_start_matches("http://").trim_end_matches('/');
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAuthorization: Bearer {key}\r\n\r\n");
        std::io::Write::write_all(&mut stream, request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut stream, &mut answer).expect("it answers");
        let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }
}

/// Plain values for every field that must be there.
fn values(entity: &Entity) -> Value {
    let fields = entity.fields.iter().filter(|f| f.required || f.name == entity.title_field).map(|f| {
        let value = match f.kind {
            FieldKind::Text | FieldKind::LongText => json!("Plain"),
            FieldKind::Choice => json!(f.choices.first().expect("a choice").value),
            FieldKind::Date => json!("2190-01-01"),
            FieldKind::Slug => json!("plain"),
            FieldKind::Email => json!("ada@example.org"),
            FieldKind::Phone => json!("+44 20 5550"),
            FieldKind::Money | FieldKind::Number => json!(5),
            FieldKind::Decimal => json!(1.5),
            FieldKind::Reference => panic!("{}.{} needs another record", entity.name, f.name),
        };
        (f.name.clone(), value)
    });
    Value::Object(fields.collect())
}

/// What of `value` is not as `schema` says.
fn unlike(document: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    if let Some(name) = schema["$ref"].as_str() {
        let found = document.pointer(name.trim_start_matches('#'));
        return unlike(document, found.unwrap_or_else(|| panic!("no {name}")), value, at);
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    };
    let is = |name: &&str| match *name {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{at}: no type {other}"),
    };
    let mut wrong = Vec::new();
    if !types.is_empty() && !types.iter().any(is) {
        wrong.push(format!("{at}: {value} is none of {types:?}"));
    }
    if let Some(all) = schema["enum"].as_array().filter(|all| !all.contains(value)) {
        wrong.push(format!("{at}: {value} is none of {all:?}"));
    }
    if let Some(object) = value.as_object() {
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let missing = required.iter().filter_map(Value::as_str).filter(|name| !object.contains_key(*name));
        wrong.extend(missing.map(|name| format!("{at}: no {name}")));
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            if let Some(value) = object.get(name) {
                wrong.extend(unlike(document, property, value, &format!("{at}.{name}")));
            }
        }
    }
    for (n, item) in value.as_array().into_iter().flatten().enumerate() {
        wrong.extend(unlike(document, &schema["items"], item, &format!("{at}[{n}]")));
    }
    wrong
}

fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

#[test]
#[expect(clippy::print_stderr, reason = "a client that could not be tried is told")]
fn every_app_does_what_its_document_says_and_its_clients_do_it() {
    for build_type in BuildType::ALL.into_iter().filter(|build_type| build_type.is_buildable()) {
        let (spec, files) = generated(build_type);
        let home = tempfile::tempdir().expect("a directory");
        let app = App::start(home.path(), &files);
        let key = app.key();
        let document: Value = serde_json::from_slice(&files["openapi.json"]).expect("a document");
        assert_eq!(app.get("/openapi.json", "").1, document, "{build_type:?}: the app shows the same");

        // Both clients, with the first resource that stands by itself.
        let is_alone = |e: &&Entity| !e.fields.iter().any(|f| f.required && f.kind == FieldKind::Reference);
        let has_title = |e: &&Entity| {
            e.fields.iter().any(|f| f.name == e.title_field && matches!(f.kind, FieldKind::Text | FieldKind::LongText))
        };
        let is_served = |e: &&Entity| document["paths"][format!("/api/{}", e.name)]["post"].is_object();
        let entity = spec.entities.iter().find(|e| is_alone(e) && has_title(e) && is_served(e));
        let entity = entity.unwrap_or_else(|| panic!("{build_type:?} has no resource that stands by itself"));
        std::fs::write(home.path().join("client.py"), &files["static/client.py"]).expect("a client");
        std::fs::write(home.path().join("client.mjs"), &files["static/client.js"]).expect("a client");
        let searched = if entity.search.contains(&entity.title_field) { "searched" } else { "" };
        for (program, name, driver) in [("python3", "try.py", PYTHON), ("node", "try.mjs", JAVASCRIPT)] {
            if !has(program) {
                eprintln!("{program} is not here: its client is not tried");
                continue;
            }
            let script = home.path().join(name);
            std::fs::write(&script, driver).expect("a script");
            let output = Command::new(program)
                .arg(&script)
                .args([home.path().to_str().expect("a path"), &app.url, &key, &entity.name])
                .args([&values(entity).to_string(), &entity.title_field, searched])
                .output()
                .expect("it starts");
            let said =
                format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success(), "{build_type:?} by {program}, {}: {said}", entity.name);
        }

        // Every address that is read answers as the document says, also with a record.
        let mut ada = Person::before(&app.url);
        let sent = ada.ask("POST", "/api/nothing", "application/json", "{}");
        assert!(matches!(sent.status, 401 | 404), "{}", sent.text);
        let paths = document["paths"].as_object().expect("paths");
        let read: Vec<&String> =
            paths.iter().filter(|(p, m)| !p.contains('{') && m["get"].is_object()).map(|(p, _)| p).collect();
        assert!(!read.is_empty(), "{build_type:?}");
        for path in read {
            let (status, value) = app.get(path, &key);
            assert_eq!(status, 200, "{build_type:?} {path}: {value}");
            let schema = &paths[path]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
            let wrong = unlike(&document, schema, &value, path);
            assert!(wrong.is_empty(), "{build_type:?}: {wrong:?}");
            assert_eq!(app.get(path, "").0, 401, "{build_type:?} {path} is nobody's without a key");
        }
    }
}
