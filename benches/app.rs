//! A generated app beside the same CRUD by hand: `cargo bench --bench app [-- seconds]` (`make bench-app`: 3 s a point).
//!
//! Contacts over JSON: a list of twenty, one by id, and a new one that is on the disk when it is answered (SQLite, WAL,
//! `synchronous = FULL` everywhere). The candidates: the CRM that a daemon of the release binary builds, through its gateway
//! (`app`) and asked directly (`app_direct`: the same process without the gateway), an axum program of some fifty lines (`axum`,
//! below) and one on Python's standard library (`python`, `peers/crud.py`). The same generator asks all, eight connections, a
//! request at a time each, three rounds, the candidates in turn; medians of the rounds are told. Where `wrk` is installed it asks
//! for the list too. The generated app alone is confined (Landlock, seccomp), checks roles, limits and its SQL, and counts.
//! Prints a table and writes `target/bench/app.json` (flat: metric → number). Fails when a request fails or Python is missing.

#![allow(clippy::print_stdout, reason = "a bench prints")]

mod apps;

use apps::{Client, Daemon, Process, binary, free_tcp, median, percentile, wait_for, write_json};
use axum::extract::{Path as At, Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{self, Error};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const CONNECTIONS: usize = 8;
const ROUNDS: usize = 3;
/// Contacts before the measurement.
const CONTACTS: usize = 200;
/// The next new one: no two have the same address.
static NEXT: AtomicUsize = AtomicUsize::new(CONTACTS);
const WORK: [(&str, &str, &str); 3] =
    [("list", "GET", "/api/contacts?limit=20"), ("read", "GET", "/api/contacts/"), ("create", "POST", "/api/contacts")];

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|a| a == "--serve") {
        return serve(arguments[at + 1].parse().map_err(Error::other)?, &arguments[at + 2]);
    }
    let seconds: u64 = arguments.iter().skip(1).find_map(|a| a.parse().ok()).unwrap_or(3).clamp(1, 60);
    let dir = tempfile::tempdir()?;
    let daemon = Daemon::start()?;
    let built = built(&daemon)?;
    let direct = free_tcp()?;
    let release = std::fs::read_dir(daemon.data.join("apps/bench/releases"))?
        .next()
        .ok_or_else(|| Error::other("no bundle"))??;
    let run = |program: &Path, arguments: &[&str], address: SocketAddr| -> io::Result<Process> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().map_err(|e| Error::other(format!("{} cannot be run: {e}", program.display())))?;
        let process = Process(child);
        wait_for(address, "/api/contacts")?;
        Ok(process)
    };
    let (axum, python) = (free_tcp()?, free_tcp()?);
    let text = |path: &Path| path.display().to_string();
    let _direct = run(
        &binary(),
        &[
            "apphost",
            "--bundle",
            &text(&release.path()),
            "--data",
            &text(&dir.path().join("data")),
            "--listen",
            &direct.to_string(),
        ],
        direct,
    )?;
    let _axum = run(
        &std::env::current_exe()?,
        &["--serve", &axum.port().to_string(), &text(&dir.path().join("axum.db"))],
        axum,
    )?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/crud.py");
    let _python = run(
        Path::new("python3"),
        &[&text(&script), &python.port().to_string(), &text(&dir.path().join("python.db"))],
        python,
    )?;
    let candidates = [("app", built), ("app_direct", direct), ("axum", axum), ("python", python)];
    for (name, address) in candidates {
        let mut client = Client::new(address);
        for n in 0..CONTACTS {
            let made = client.ask("POST", "/api/contacts", &contact(n))?;
            if made.status != 201 {
                return Err(Error::other(format!("{name} makes no contact: {} {}", made.status, made.body)));
            }
        }
    }
    let wrk = Command::new("wrk").arg("-v").output().is_ok();
    println!(
        "{CONTACTS} contacts, {CONNECTIONS} connections, {seconds} s a point, medians of {ROUNDS}{}",
        if wrk { "" } else { "; wrk is not installed" }
    );
    let mut found: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for _ in 0..ROUNDS {
        for (what, method, path) in WORK {
            for (name, address) in candidates {
                let (rate, p99) = load(address, method, path, Duration::from_secs(seconds))
                    .map_err(|e| Error::other(format!("{name}, {what}: {e}")))?;
                found.entry(format!("{name}_{what}_per_s")).or_default().push(rate);
                found.entry(format!("{name}_{what}_p99_ms")).or_default().push(p99);
            }
        }
        for (name, address) in candidates.iter().filter(|_| wrk) {
            let (rate, p99) = by_wrk(*address, seconds)?;
            found.entry(format!("{name}_list_wrk_per_s")).or_default().push(rate);
            found.entry(format!("{name}_list_wrk_p99_ms")).or_default().push(p99);
        }
    }
    let json: BTreeMap<String, f64> = found.into_iter().map(|(key, mut values)| (key, median(&mut values))).collect();
    println!("{:<12} {:>18} {:>18} {:>18}   requests/s, p99 ms", "", "list", "read", "create");
    let kinds: Vec<&str> = WORK.iter().map(|(what, ..)| *what).chain(wrk.then_some("list_wrk")).collect();
    for (name, _) in candidates {
        let cells: Vec<String> = kinds
            .iter()
            .map(|what| {
                format!(
                    "{:>9.0} {:>8.2}",
                    json[&format!("{name}_{what}_per_s")],
                    json[&format!("{name}_{what}_p99_ms")]
                )
            })
            .collect();
        println!("{name:<12} {}", cells.join(" "));
    }
    write_json("app", &json)
}

fn contact(n: usize) -> String {
    json!({"name": format!("Person {n}"), "company": "Harbour", "email": format!("p{n}@example.org"), "phone": "+44 20 5550 100"})
        .to_string()
}

/// The CRM that the daemon builds: where its gateway serves it.
fn built(daemon: &Daemon) -> io::Result<SocketAddr> {
    let id = daemon.build("build_crm", "Bench", &["contacts"])?;
    let (mut client, begun) = (Client::new(daemon.http), Instant::now());
    loop {
        let (stage, url) = daemon.stage(&mut client, &id)?;
        if stage == "tracked" {
            let url = url.unwrap_or_default();
            return url.trim_start_matches("http://").trim_end_matches('/').parse().map_err(Error::other);
        }
        if begun.elapsed() > Duration::from_secs(120) {
            return Err(Error::other(format!("the app is {stage} after two minutes")));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Requests a second, and the time that 99 of 100 took at most, milliseconds.
fn load(address: SocketAddr, method: &str, path: &str, time: Duration) -> io::Result<(f64, f64)> {
    let begun = Instant::now();
    let ask = |worker: usize| -> io::Result<Vec<f64>> {
        let (mut client, mut took) = (Client::new(address), Vec::with_capacity(200_000));
        let mut n = worker;
        while begun.elapsed() < time {
            n += CONNECTIONS;
            let target = if path.ends_with('/') { format!("{path}{}", n % CONTACTS + 1) } else { path.to_owned() };
            let body = if method == "POST" { contact(NEXT.fetch_add(1, Ordering::Relaxed)) } else { String::new() };
            let asked = Instant::now();
            let answer = client.ask(method, &target, &body)?;
            took.push(asked.elapsed().as_secs_f64() * 1000.0);
            if !matches!(answer.status, 200 | 201) {
                return Err(Error::other(format!("{method} {target} is answered {}: {}", answer.status, answer.body)));
            }
        }
        Ok(took)
    };
    let mut all = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..CONNECTIONS).map(|worker| scope.spawn(move || ask(worker))).collect();
        let joined = workers.into_iter().map(|w| w.join().unwrap_or_else(|_| Err(Error::other("a worker panicked"))));
        joined.collect::<io::Result<Vec<_>>>()
    })?
    .concat();
    let whole = begun.elapsed().as_secs_f64();
    all.sort_by(f64::total_cmp);
    Ok((all.len() as f64 / whole, percentile(&all, 0.99)))
}

/// The same of `wrk`.
fn by_wrk(address: SocketAddr, seconds: u64) -> io::Result<(f64, f64)> {
    let url = format!("http://{address}/api/contacts?limit=20");
    let output = Command::new("wrk")
        .args(["-t", "2", "-c", "8", "--latency", "-d"])
        .arg(format!("{seconds}s"))
        .arg(url)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let after = |name: &str| text.split(name).nth(1).and_then(|rest| rest.split_whitespace().next()).map(str::to_owned);
    let rate = after("Requests/sec:").and_then(|v| v.parse().ok());
    let p99 = after("99%").and_then(|v| {
        let (scale, digits) = [("us", 0.001), ("ms", 1.0), ("s", 1000.0)]
            .iter()
            .find_map(|(unit, scale)| Some((*scale, v.strip_suffix(unit)?.to_owned())))?;
        Some(digits.parse::<f64>().ok()? * scale)
    });
    if text.contains("Non-2xx") {
        return Err(Error::other(format!("wrk: {text}")));
    }
    rate.zip(p99).ok_or_else(|| Error::other(format!("wrk said {text}")))
}

type Database = Arc<Mutex<Connection>>;

/// The same CRUD on axum and SQLite, by hand.
fn serve(port: u16, file: &str) -> io::Result<()> {
    let db = Connection::open(file).map_err(Error::other)?;
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE IF NOT EXISTS contacts (id INTEGER PRIMARY KEY, name TEXT NOT NULL, company TEXT, email TEXT, phone TEXT,
           created_at TEXT DEFAULT (datetime('now')));
         CREATE INDEX IF NOT EXISTS by_name ON contacts (name, id);",
    )
    .map_err(Error::other)?;
    let router = Router::new()
        .route("/api/contacts", get(list).post(create))
        .route("/api/contacts/{id}", get(read))
        .with_state(Arc::new(Mutex::new(db)));
    tokio::runtime::Runtime::new()?.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
        axum::serve(listener, router).await
    })
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Value> {
    let text = |at: usize| row.get::<_, Option<String>>(at);
    Ok(json!({"id": row.get::<_, i64>(0)?, "name": text(1)?, "company": text(2)?, "email": text(3)?, "phone": text(4)?,
        "created_at": text(5)?}))
}

type Refusal = (StatusCode, String);

fn broken(error: rusqlite::Error) -> Refusal {
    match error {
        rusqlite::Error::QueryReturnedNoRows => (StatusCode::NOT_FOUND, "not found".to_owned()),
        other => (StatusCode::INTERNAL_SERVER_ERROR, other.to_string()),
    }
}

async fn list(
    State(db): State<Database>,
    Query(query): Query<BTreeMap<String, usize>>,
) -> Result<Json<Value>, Refusal> {
    let db = db.lock().unwrap_or_else(PoisonError::into_inner);
    let limit = query.get("limit").copied().unwrap_or(50).min(200) as i64;
    let mut statement = db.prepare_cached("SELECT * FROM contacts ORDER BY name, id LIMIT ?1").map_err(broken)?;
    let items = statement.query_map([limit], row).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(broken)?;
    Ok(Json(json!({"items": items})))
}

async fn read(State(db): State<Database>, At(id): At<i64>) -> Result<Json<Value>, Refusal> {
    let db = db.lock().unwrap_or_else(PoisonError::into_inner);
    let mut statement = db.prepare_cached("SELECT * FROM contacts WHERE id = ?1").map_err(broken)?;
    statement.query_row([id], row).map(Json).map_err(broken)
}

async fn create(State(db): State<Database>, Json(value): Json<Value>) -> Result<(StatusCode, Json<Value>), Refusal> {
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    if text("name").is_empty() {
        return Err((StatusCode::UNPROCESSABLE_ENTITY, "a contact has a name".to_owned()));
    }
    let db = db.lock().unwrap_or_else(PoisonError::into_inner);
    let sql = "INSERT INTO contacts (name, company, email, phone) VALUES (?1, ?2, ?3, ?4) RETURNING *";
    let mut statement = db.prepare_cached(sql).map_err(broken)?;
    let made = statement.query_row(params![text("name"), text("company"), text("email"), text("phone")], row);
    made.map(|made| (StatusCode::CREATED, Json(made))).map_err(broken)
}
