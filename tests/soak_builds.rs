//! Real builds whose daemon is killed again and again, at every stage: `make soak-builds`. Without `CALLWRIGHT_SOAK_BUILDS` (how
//! many) nothing is done here: `build_simulator` tries the same order of events for everybody.

use callwright::conversation::BuildStage;
use callwright::pipeline::manifest::{BuildManifest, BuildType, CreatedFrom};
use callwright::pipeline::{Pipeline, PipelineConfig, SubmitError};
use callwright::store::Store;
use serde_json::{Map, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tokio::time::sleep;

fn manifest(n: usize) -> BuildManifest {
    BuildManifest {
        manifest_id: format!("m{n}"),
        build_type: BuildType::BuildCrm,
        title: format!("App {n}"),
        description: "A CRM.".into(),
        features: vec!["contacts".into(), "deals".into()],
        tech_stack: vec![],
        constraints: Map::new(),
        integrations: vec![],
        conversation_id: "conv_1".into(),
        created_from: CreatedFrom::Api,
        confidence: 1.0,
        metadata: Map::from_iter([("approval".to_owned(), json!({"by": "api"}))]),
    }
}

fn config(data: &Path, builds: usize) -> PipelineConfig {
    let mut config = PipelineConfig::new(data.to_owned(), env!("CARGO_BIN_EXE_callwright").into());
    // The same ports for every daemon, so that apps keep their addresses.
    let kept = data.join("ports");
    let first: u16 = std::fs::read_to_string(&kept).ok().and_then(|p| p.parse().ok()).unwrap_or_else(|| {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().min(60_000);
        std::fs::write(&kept, free.to_string()).unwrap();
        free
    });
    config.apps.ports = first..=first + u16::try_from(builds).unwrap() * 2;
    config
}

/// Processes under `data` whose first argument is `what`.
fn processes(what: &str, data: &Path) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse() else { continue };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words: Vec<_> = line.split(|b| *b == 0).map(String::from_utf8_lossy).collect();
        let data = data.to_string_lossy();
        if words.get(1).is_some_and(|w| w == what) && words.iter().any(|w| w.starts_with(&*data)) {
            found.push(pid);
        }
    }
    found
}

/// The daemon that is killed: asks for what is not asked for yet, tells every stage, ends when all builds are tracked.
#[test]
fn daemon_that_is_killed() {
    let Some(dir) = std::env::var_os("SOAK_BUILDS_DIR").map(PathBuf::from) else { return };
    let builds: usize = std::env::var("SOAK_BUILDS").unwrap().parse().unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store = Store::open(&dir).unwrap();
        let pipeline = Pipeline::start(config(&dir, builds), store.clone()).await.unwrap();
        let mut updates = pipeline.updates();
        let tell = tokio::spawn(async move {
            while let Ok(update) = updates.recv().await {
                writeln!(std::io::stdout(), "stage {:?}", update.stage).unwrap();
            }
        });
        for n in 0..builds {
            // Submitting again what was submitted changes nothing.
            while let Err(SubmitError::Slow { .. }) = pipeline.submit(manifest(n)).await {
                sleep(Duration::from_millis(20)).await;
            }
        }
        while !store.builds().open().unwrap().is_empty() {
            sleep(Duration::from_millis(20)).await;
        }
        tell.abort();
        writeln!(std::io::stdout(), "all").unwrap();
        std::future::pending::<()>().await;
    });
}

#[test]
fn every_build_ends_with_one_live_version_however_often_its_daemon_is_killed() {
    let Ok(builds) = std::env::var("CALLWRIGHT_SOAK_BUILDS") else { return };
    let builds: usize = builds.parse().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let (mut kills, mut supervisors) = (0_u32, 0_u32);
    let mut killed_after = BTreeMap::<String, u32>::new();
    loop {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "daemon_that_is_killed", "--nocapture"]);
        command.env("SOAK_BUILDS_DIR", dir.path()).env("SOAK_BUILDS", builds.to_string());
        let mut daemon = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(daemon.stdout.take().unwrap()).lines().map_while(Result::ok);
        // From the first stage to two builds further on: a kill comes in every stage.
        let after = 1 + (kills as usize * 7) % 23;
        let mut last = String::new();
        // When all is done it says so and nothing more.
        // The harness may have begun its own line before ours.
        for line in lines.by_ref().filter(|l| l.contains("stage ") || l.ends_with("all")).take(after) {
            last = if line.ends_with("all") { "all".to_owned() } else { line };
            if last == "all" {
                break;
            }
        }
        daemon.kill().unwrap();
        daemon.wait().unwrap();
        if last == "all" {
            break;
        }
        kills += 1;
        *killed_after.entry(last.split_once("stage ").map_or(last.clone(), |(_, s)| s.to_owned())).or_default() += 1;
        if kills.is_multiple_of(10) {
            for pid in processes("supervise", dir.path()) {
                supervisors += 1;
                assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
            }
        }
    }
    let took = begun.elapsed();
    // Of a hundred builds each stage is the last that was told before some kill.
    assert!(builds < 100 || killed_after.len() == 9, "not in every stage: {killed_after:?}");
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store = Store::open(dir.path()).unwrap();
        let pipeline = Pipeline::start(config(dir.path(), builds), store.clone()).await.unwrap();
        let apps = store.apps().list().unwrap();
        assert_eq!(apps.len(), builds);
        for app in &apps {
            assert_eq!(app.version, 1, "{app:?}");
            assert_eq!(store.builds().get(&app.build_id).unwrap().unwrap().stage, BuildStage::Tracked);
            let host = app.url.strip_prefix("http://").unwrap().trim_end_matches('/');
            let asked = Instant::now();
            loop {
                let mut stream = TcpStream::connect(host).unwrap();
                let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
                stream.write_all(request.as_bytes()).unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).unwrap();
                if answer.starts_with("HTTP/1.1 200") && answer.contains(&app.title) {
                    break;
                }
                assert!(asked.elapsed() < Duration::from_secs(60), "{}: {answer}", app.slug);
                sleep(Duration::from_millis(50)).await;
            }
        }
        assert_eq!(processes("apphost", dir.path()).len(), builds, "one process for each app");
        let (mut told, mut ids, mut seq) = (0, BTreeSet::new(), 0);
        loop {
            let events = store.events().after(seq, 1_000).unwrap();
            let Some(last) = events.last() else { break };
            seq = last.seq;
            for event in events {
                told += usize::from(event.kind == "build.stage.changed");
                assert!(ids.insert(event.id));
            }
        }
        assert_eq!(told, builds * 8, "each stage of each build is told once");
        pipeline.shutdown().await;
    });
    assert_eq!(processes("apphost", dir.path()), Vec::<u32>::new());
    writeln!(
        std::io::stdout(),
        "{builds} builds, {kills} daemons and {supervisors} supervisors killed, {} s; killed after {killed_after:?}",
        took.as_secs()
    )
    .unwrap();
}
