//! `callwright demo`: the whole line, shown. Purpose: start the daemon, let a simulated caller order a CRM by phone, put a
//! random number of records into it over HTTP, let the caller ask how it is, and believe nothing that was not heard or
//! answered. Main thread, one tokio runtime of its own; the daemon and the caller are child processes of the same binary.
//! Invariants: exit code 0 only when the app answered and the right number was heard; nothing that it started outlives it.
//! Deliberately absent: any way into the daemon that a stranger does not have: it sees SIP, RTP and HTTP.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this subcommand's product is its output")]

mod client;
mod place;

use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use client::RequestError;
use place::Place;

/// The caller's first script: orders a CRM.
const ORDER: &str = include_str!("demo/order.toml");
/// The caller's second script: asks how it is.
const REPORT: &str = include_str!("demo/report.toml");
/// Engines are loaded and warmed before the daemon is ready.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// A scripted call that takes longer hangs.
const CALL_WITHIN: Duration = Duration::from_secs(180);
/// A daemon without calls stops well within this.
const STOP_WITHIN: Duration = Duration::from_secs(15);

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// End after the spoken report instead of keeping the app and the daemon running.
    #[arg(long)]
    once: bool,
    /// Keep data, recordings and logs here [default: ./var, with --once a directory that is removed on success].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// What went wrong, in the order of the demonstration.
#[derive(Debug, thiserror::Error)]
enum DemoError {
    #[error("{what}: {source}")]
    Machine { what: String, source: std::io::Error },
    #[error("the daemon ended before it was ready ({status}); its last lines:\n{log}")]
    DaemonEnded { status: ExitStatus, log: String },
    #[error("the daemon is not ready after {} s: {why}; its last lines:\n{log}", READY_WITHIN.as_secs())]
    NotReady { why: String, log: String },
    #[error(
        "the {call} call failed: the caller's script was not followed to its end ({status}); recording {recording}"
    )]
    Call { call: &'static str, status: String, recording: String },
    #[error("the caller heard that the app is live, but the newest build has no URL: {seen}")]
    NoApp { seen: String },
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("the app's page at {url} is not a page: {content_type}")]
    NoPage { url: String, content_type: String },
    #[error("{created} records were made, the app has {found}")]
    Count { created: u64, found: u64 },
    #[error("interrupted")]
    Interrupted,
}

/// Runs the demonstration.
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("callwright: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(async {
        let mut interrupted = match Interrupted::listen() {
            Ok(interrupted) => interrupted,
            Err(error) => return failed(&DemoError::Machine { what: "signals".to_owned(), source: error }),
        };
        let mut daemon = None;
        let shown = tokio::select! {
            shown = show(arguments, &mut daemon) => shown,
            () = interrupted.wait() => Err(DemoError::Interrupted),
        };
        let ending = match (&shown, daemon.as_mut(), arguments.once) {
            (Ok(()), Some(daemon), false) => {
                tokio::select! {
                    status = daemon.child.wait() => Err(format!("the daemon ended by itself: {status:?}")),
                    () = interrupted.wait() => Ok(()),
                }
            }
            _ => Ok(()),
        };
        if let Some(daemon) = daemon {
            daemon.stop(shown.is_ok() && arguments.once).await;
        }
        match (shown, ending) {
            (Ok(()), Ok(())) => ExitCode::SUCCESS,
            (Err(error), _) => failed(&error),
            (Ok(()), Err(why)) => {
                eprintln!("\ncallwright demo: {why}");
                ExitCode::FAILURE
            }
        }
    })
}

fn failed(error: &DemoError) -> ExitCode {
    eprintln!("\ncallwright demo: FAILED: {error}");
    ExitCode::FAILURE
}

/// SIGINT and SIGTERM.
struct Interrupted(tokio::signal::unix::Signal, tokio::signal::unix::Signal);

impl Interrupted {
    fn listen() -> std::io::Result<Self> {
        Ok(Self(signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.0.recv() => {}
            _ = self.1.recv() => {}
        }
    }
}

/// The demonstration itself. The daemon is left in `daemon` whatever happens, for the caller to stop.
async fn show(arguments: &Arguments, daemon: &mut Option<Daemon>) -> Result<(), DemoError> {
    let began = Instant::now();
    let place = choose(arguments)?;
    say(began, &format!("starting the daemon (log: {})", place.file("demo-daemon.log").display()));
    if !place.usual && !arguments.once {
        say(began, "ports 5060, 8080 or 8100 are taken, so this one runs on others");
    }
    let daemon = daemon.insert(Daemon::start(&place)?);
    daemon.ready(&place).await?;
    say(began, &format!("ready: phone {}, control API {}", place.agent(), place.url("/")));
    engines(began, &place).await;

    heading("A caller orders a CRM");
    let live = {
        let call = call(&place, "order", ORDER, &[]);
        let progress = follow_builds(began, &place);
        tokio::select! {
            done = call => done?,
            never = progress => match never {},
        }
    };
    say(began, &format!("the caller has hung up ({:.1} s call)", live.as_secs_f64()));

    heading("The app, over HTTP");
    let app = ordered_app(&place).await?;
    let page = client::get(&app.url).await?;
    if !page.content_type.starts_with("text/html") || !page.body.contains("<html") {
        return Err(DemoError::NoPage { url: app.url, content_type: page.content_type });
    }
    say(began, &format!("{} answers with a page ({} bytes)", app.url, page.body.len()));
    let mut records = fill(&app).await?;
    say(began, &format!("{records} records made through {}api/contacts", app.url));
    agrees(&place, &app, records).await?;

    heading("The caller asks how it is");
    if let Err(error) = call(&place, "report", REPORT, &[("RECORDS", records.to_string())]).await {
        // The caller's ear is as limited as the agent's and takes some numbers for others each time, so there are more
        // records when it asks again. Only the right number counts.
        say(began, &format!("not heard ({error})"));
        records = fill(&app).await?;
        say(began, &format!("now there are {records} records; the caller asks once more"));
        agrees(&place, &app, records).await?;
        call(&place, "report", REPORT, &[("RECORDS", records.to_string())]).await?;
    }
    say(began, &format!("the caller heard \"{records} records\", which is what was put in"));

    let code = setup_code(&place, &app).await;
    banner(&app.url, code.as_deref(), arguments.once);
    Ok(())
}

fn choose(arguments: &Arguments) -> Result<Place, DemoError> {
    let machine = |what: &str| {
        let what = what.to_owned();
        |source| DemoError::Machine { what, source }
    };
    let directory = match (&arguments.data, arguments.once) {
        (Some(directory), _) => directory.clone(),
        (None, false) => PathBuf::from("var"),
        (None, true) => std::env::temp_dir().join(format!("callwright-demo-{}", std::process::id())),
    };
    std::fs::create_dir_all(&directory).map_err(machine("the data directory cannot be made"))?;
    let place = if arguments.once { Place::free(&directory) } else { Place::usual(&directory) };
    place.map_err(machine("no free ports"))
}

/// The daemon as a child process.
struct Daemon {
    child: Child,
    place: Place,
    /// Whether the directory was made for this run only.
    fleeting: bool,
}

impl Daemon {
    fn start(place: &Place) -> Result<Self, DemoError> {
        let machine = |source| DemoError::Machine { what: "the daemon cannot be started".to_owned(), source };
        let log = std::fs::File::create(place.file("demo-daemon.log")).map_err(machine)?;
        let errors = log.try_clone().map_err(machine)?;
        let mut command = Command::new(program().map_err(machine)?);
        crate::os::process::end_with_parent(command.as_std_mut());
        let child = command
            .arg("serve")
            .envs(place.environment())
            // The demonstration shows what is on the machine; the daemon proper offers to fetch more.
            .env("CALLWRIGHT_OFFLINE", "1")
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            // Its own group: Ctrl-C comes to us, and we end it in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(machine)?;
        let fleeting = place.directory.starts_with(std::env::temp_dir());
        Ok(Self { child, place: place.clone(), fleeting })
    }

    async fn ready(&mut self, place: &Place) -> Result<(), DemoError> {
        let url = place.url("/health/ready");
        let until = Instant::now() + READY_WITHIN;
        loop {
            let why = match client::status(&url).await {
                Ok((200, _)) => return Ok(()),
                Ok((status, body)) => format!("{url} answers {status}: {body}"),
                Err(error) => error.to_string(),
            };
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(DemoError::DaemonEnded { status, log: self.last_lines() });
            }
            if Instant::now() > until {
                return Err(DemoError::NotReady { why, log: self.last_lines() });
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn last_lines(&self) -> String {
        let log = std::fs::read_to_string(self.place.file("demo-daemon.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }

    /// Ends it in order, by force when that takes too long; removes a directory that was made for this run.
    async fn stop(mut self, tidy: bool) {
        if let Some(id) = self.child.id() {
            let asked = crate::os::process::terminate(id);
            let ended = tokio::time::timeout(STOP_WITHIN, self.child.wait()).await;
            if asked.is_err() || ended.is_err() {
                eprintln!("the daemon did not stop within {} s and was killed", STOP_WITHIN.as_secs());
                let _ = self.child.kill().await;
            }
        }
        if self.fleeting && tidy {
            let _ = std::fs::remove_dir_all(&self.place.directory);
        } else {
            println!("\nrecordings, reports and the daemon's log: {}", self.place.directory.display());
        }
    }
}

fn program() -> std::io::Result<PathBuf> {
    std::env::current_exe()
}

/// One scripted call; the caller prints what is said as it is said.
async fn call(
    place: &Place,
    name: &'static str,
    script: &str,
    values: &[(&str, String)],
) -> Result<Duration, DemoError> {
    let machine = |source| DemoError::Machine { what: "the caller cannot be started".to_owned(), source };
    let file = |ending: &str| place.file(&format!("demo-{name}.{ending}"));
    std::fs::write(file("toml"), script).map_err(machine)?;
    let began = Instant::now();
    let mut command = Command::new(program().map_err(machine)?);
    command.arg("dial").arg(place.agent()).arg("--script").arg(file("toml"));
    command.arg("--record").arg(file("wav")).arg("--report").arg(file("json"));
    for (key, value) in values {
        command.arg("--set").arg(format!("{key}={value}"));
    }
    crate::os::process::end_with_parent(command.as_std_mut());
    let mut child = command.stdin(Stdio::null()).kill_on_drop(true).spawn().map_err(machine)?;
    let status = tokio::time::timeout(CALL_WITHIN, child.wait()).await;
    let failed = |status: String| DemoError::Call { call: name, status, recording: file("wav").display().to_string() };
    match status {
        Ok(Ok(status)) if status.success() => Ok(began.elapsed()),
        Ok(Ok(status)) => Err(failed(status.to_string())),
        Ok(Err(error)) => Err(machine(error)),
        Err(_) => Err(failed(format!("not over after {} s", CALL_WITHIN.as_secs()))),
    }
}

/// Prints each new stage of each build until it is dropped.
async fn follow_builds(began: Instant, place: &Place) -> std::convert::Infallible {
    let url = place.url("/v1/builds");
    let mut seen = Vec::new();
    loop {
        if let Ok(builds) = client::get_json(&url).await {
            for build in items(&builds) {
                let text = |key: &str| build.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
                let now = (text("id"), text("stage"));
                if !now.1.is_empty() && !seen.contains(&now) {
                    say(began, &format!("    {}: {}", text("slug"), now.1));
                    seen.push(now);
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What hears and speaks, and how well, as the daemon itself says.
async fn engines(began: Instant, place: &Place) {
    let Ok((_, body)) = client::status(&place.url("/health")).await else { return };
    let Ok(health) = serde_json::from_str::<Value>(&body) else { return };
    let engines = health.get("engines").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for engine in engines {
        let text = |key: &str| engine.get(key).and_then(Value::as_str).unwrap_or_default();
        let limited = engine.get("limited").and_then(Value::as_bool).unwrap_or_default();
        let note = if limited { format!(" (limited: {})", text("note")) } else { String::new() };
        say(began, &format!("{}: {}{note}", text("part"), text("name")));
    }
}

/// The deployed app.
struct App {
    /// Ends with a slash.
    url: String,
    /// Its name in the control API.
    slug: String,
    /// The build that made it.
    build: String,
}

/// A page of a list, whatever else it carries.
fn items(page: &Value) -> &[Value] {
    page.get("items").unwrap_or(page).as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The app of the newest build, which is the one that this caller ordered.
async fn ordered_app(place: &Place) -> Result<App, DemoError> {
    let builds = client::get_json(&place.url("/v1/builds")).await?;
    let newest = items(&builds).first().and_then(|build| {
        let text = |name: &str| build.get(name)?.as_str();
        Some((text("url")?, text("slug")?, text("id")?))
    });
    let (url, slug, id) = newest.ok_or_else(|| DemoError::NoApp { seen: builds.to_string() })?;
    Ok(App { url: format!("{}/", url.trim_end_matches('/')), slug: slug.to_owned(), build: id.to_owned() })
}

/// The code with which the app's first account is made.
async fn setup_code(place: &Place, app: &App) -> Option<String> {
    let build = client::get_json(&place.url(&format!("/v1/builds/{}", app.build))).await.ok()?;
    Some(build.get("setup")?.get("code")?.as_str()?.to_owned())
}

/// Makes a random number of contacts and counts them; the number is what the second call must hear.
async fn fill(app: &App) -> Result<u64, DemoError> {
    const NAMES: [&str; 6] =
        ["Ada Lovelace", "Alan Turing", "Grace Hopper", "Edsger Dijkstra", "Barbara Liskov", "Donald Knuth"];
    let list = format!("{}api/contacts", app.url);
    let before = count(&list).await?;
    let created = 3 + u64::from(getrandom::u32().unwrap_or(std::process::id()) % 17);
    for number in before..before + created {
        let index = usize::try_from(number).unwrap_or_default();
        let name = format!("{} {}", NAMES[index % NAMES.len()], number + 1);
        let contact = json!({
            "name": name,
            "company": format!("Company {}", number % 4 + 1),
            "email": format!("person{}-{}@example.com", number + 1, std::process::id()),
        });
        client::post_json(&list, &contact).await?;
    }
    let found = count(&list).await?;
    if found == before + created { Ok(found) } else { Err(DemoError::Count { created: before + created, found }) }
}

/// Records of a list, page by page.
async fn count(list: &str) -> Result<u64, DemoError> {
    let mut found = 0;
    let mut url = list.to_owned();
    loop {
        let page = client::get_json(&url).await?;
        found += items(&page).len() as u64;
        let Some(cursor) = page.get("next").and_then(Value::as_str) else { return Ok(found) };
        url = format!("{list}?cursor={cursor}");
    }
}

/// The control API must know the same number before the agent is asked for it.
async fn agrees(place: &Place, app: &App, records: u64) -> Result<(), DemoError> {
    let facts = client::get_json(&place.url(&format!("/v1/apps/{}/facts", app.slug))).await?;
    match facts.get("records").and_then(Value::as_u64) {
        Some(known) if known == records => Ok(()),
        known => Err(DemoError::Count { created: records, found: known.unwrap_or_default() }),
    }
}

fn say(began: Instant, text: &str) {
    println!("[{:6.1} s] {text}", began.elapsed().as_secs_f64());
}

fn heading(text: &str) {
    println!("\n── {text} {}", "─".repeat(72_usize.saturating_sub(text.chars().count())));
}

fn banner(url: &str, code: Option<&str>, once: bool) {
    let line = format!("   The CRM that the caller ordered is at   {url}   ");
    let width = line.chars().count();
    println!("\n╔{0}╗\n║{1}║\n║{line}║\n║{1}║\n╚{0}╝", "═".repeat(width), " ".repeat(width));
    if let Some(code) = code {
        println!("Its first account is made at {url}setup with the set-up code {code}.");
    }
    if once {
        println!("It was heard, checked and counted; --once ends it here.");
    } else {
        println!("Open it. Call sip:300@127.0.0.1 with a phone of yours. Ctrl-C ends it.");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_in_either_form() {
        assert_eq!(items(&json!({"items": [1, 2], "next": null})).len(), 2);
        assert_eq!(items(&json!([1])).len(), 1);
        assert_eq!(items(&json!("no")).len(), 0);
    }

    #[test]
    fn a_fleeting_run_has_a_directory_of_its_own() {
        let place = choose(&Arguments { once: true, data: None }).unwrap();
        assert!(place.directory.starts_with(std::env::temp_dir()));
        std::fs::remove_dir_all(place.directory).unwrap();
        let kept = tempfile::tempdir().unwrap();
        let place = choose(&Arguments { once: true, data: Some(kept.path().to_path_buf()) }).unwrap();
        assert_eq!(place.directory, kept.path());
    }
}
