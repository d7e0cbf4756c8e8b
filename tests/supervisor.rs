//! Apps outlive the daemon: the supervisor keeps them over a kill, the next daemon finds them running, and nobody else may order.

use callwright::apphost::child;
use callwright::apphost::exchange::Request;
use callwright::conversation::BuildStage;
use callwright::os::sandbox;
use callwright::pipeline::deploy::Keeper;
use callwright::pipeline::manifest::{BuildManifest, BuildType, CreatedFrom};
use callwright::pipeline::{Pipeline, PipelineConfig};
use callwright::store::Store;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_callwright");
/// Far beyond what anything here takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn manifest(id: &str, title: &str) -> BuildManifest {
    BuildManifest {
        manifest_id: id.into(),
        build_type: BuildType::BuildCrm,
        title: title.into(),
        description: "A CRM with contacts and deals.".into(),
        features: vec!["contacts".into(), "deals".into()],
        tech_stack: vec![],
        constraints: Map::new(),
        integrations: vec![],
        conversation_id: "conv_1".into(),
        created_from: CreatedFrom::Voice,
        confidence: 0.93,
        metadata: Map::from_iter([("approval".to_owned(), json!({"by": "key"}))]),
    }
}

fn config(data: &Path, keeper: Keeper) -> PipelineConfig {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut config = PipelineConfig::new(data.to_owned(), PROGRAM.into());
    config.apps.ports = free..=free.saturating_add(50);
    config.apps.keeper = keeper;
    config
}

/// Processes whose command line has both words.
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

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "it takes too long until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn kill(pid: u32) {
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
}

/// The one socket of an app.
fn app_socket(data: &Path) -> PathBuf {
    let entries = std::fs::read_dir(data.join("live")).unwrap().flatten().map(|e| e.path());
    let sockets: Vec<_> = entries.filter(|p| p.extension().is_some_and(|e| e == "sock")).collect();
    assert_eq!(sockets.len(), 1, "{sockets:?}");
    sockets[0].clone()
}

fn ask(url: &str, path: &str) -> u16 {
    let host = url.strip_prefix("http://").unwrap().trim_end_matches('/');
    let Ok(mut stream) = std::net::TcpStream::connect(host) else { return 0 };
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    if stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_string(&mut answer)).is_err() {
        return 0;
    }
    answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0)
}

fn add_contact(data: &Path) {
    let mut request = Request::new("POST", "/api/contacts");
    request.headers.insert("content-type".into(), "application/json".into());
    request.body = br#"{"name": "Ann"}"#.to_vec();
    assert_eq!(child::ask(&app_socket(data), &request, PATIENCE).unwrap().status, 201);
}

/// Builds the app in a process of its own, whose daemon can be killed, and returns once it is tracked.
fn daemon(data: &Path, keeper: Keeper) -> (Child, String) {
    daemon_with(data, keeper, &[])
}

fn daemon_with(data: &Path, keeper: Keeper, set: &[&str]) -> (Child, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "daemon_that_is_killed", "--nocapture"]).env("SUPERVISOR_TEST_DIR", data);
    command.envs(set.iter().map(|name| (name, "1")));
    if keeper == Keeper::Unit {
        command.env("SUPERVISOR_TEST_UNIT", "1");
    }
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let url = lines.find_map(|line| line.split_once("serves at ").map(|(_, url)| url.to_owned()));
    (child, url.expect("it is built"))
}

/// The other half of the tests below.
#[test]
fn daemon_that_is_killed() {
    let Some(dir) = std::env::var_os("SUPERVISOR_TEST_DIR").map(PathBuf::from) else { return };
    let keeper = if std::env::var_os("SUPERVISOR_TEST_UNIT").is_some() { Keeper::Unit } else { Keeper::Daemon };
    if std::env::var_os("SUPERVISOR_TEST_NO_FORK").is_some() {
        forbid_forks();
    }
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store = Store::open(&dir).unwrap();
        let pipeline = Pipeline::start(config(&dir, keeper), store.clone()).await.unwrap();
        let build = pipeline.submit(manifest("m1", "CRM")).await.unwrap();
        loop {
            let build = store.builds().get(&build.id).unwrap().unwrap();
            if build.stage == BuildStage::Tracked {
                writeln!(std::io::stdout(), "serves at {}", build.url.unwrap()).unwrap();
                break;
            }
            assert!(build.stage != BuildStage::Parked, "{build:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        std::future::pending::<()>().await;
    });
}

/// From now on this process and its children make threads and children that share their memory till they are another program, and
/// cannot be copied.
fn forbid_forks() {
    use seccompiler::{SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule};
    let shares = u64::try_from(libc::CLONE_VM).unwrap();
    let copies = SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(shares), 0).unwrap();
    let filter = |rules: Vec<(i64, Vec<SeccompRule>)>, denied: libc::c_int| {
        let arch = std::env::consts::ARCH.try_into().expect("this machine's architecture is known");
        let denied = SeccompAction::Errno(denied.unsigned_abs());
        let filter = SeccompFilter::new(rules.into_iter().collect(), SeccompAction::Allow, denied, arch).unwrap();
        let program: seccompiler::BpfProgram = filter.try_into().unwrap();
        seccompiler::apply_filter(&program).expect("the test machine takes filters");
    };
    // What its flags are cannot be seen; libraries then take the older one.
    filter(vec![(libc::SYS_clone3, vec![])], libc::ENOSYS);
    filter(vec![(libc::SYS_clone, vec![SeccompRule::new(vec![copies]).unwrap()])], libc::EPERM);
    #[cfg(target_arch = "x86_64")]
    filter(vec![(libc::SYS_fork, vec![])], libc::EPERM);
    // SAFETY: the child, if there is one after all, only ends itself.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(0) };
    }
    assert_eq!(pid, -1, "a control: copies are refused");
}

#[test]
fn no_build_copies_the_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let (mut killed, url) = daemon_with(dir.path(), Keeper::Daemon, &["SUPERVISOR_TEST_NO_FORK"]);
    until("it serves", || ask(&url, "/") == 200);
    killed.kill().unwrap();
    killed.wait().unwrap();
    attach(dir.path(), Keeper::Daemon, async |_, _| {});
}

/// A pipeline in this process on what the killed one left.
fn attach(data: &Path, keeper: Keeper, then: impl AsyncFnOnce(&Pipeline, &Store)) {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store = Store::open(data).unwrap();
        let pipeline = Pipeline::start(config(data, keeper), store.clone()).await.unwrap();
        then(&pipeline, &store).await;
        pipeline.shutdown().await;
    });
}

#[test]
fn an_app_outlives_kill_9_of_its_daemon_and_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let (mut killed, url) = daemon(dir.path(), Keeper::Daemon);
    let (before, supervisor) = (processes("apphost", dir.path()), processes("supervise", dir.path()));
    assert_eq!((before.len(), supervisor.len()), (1, 1));
    assert_eq!(ask(&url, "/"), 200);
    killed.kill().unwrap();
    killed.wait().unwrap();
    // Nobody is there to be asked but the app, which goes on with its work.
    assert_eq!(ask(&url, "/"), 0);
    add_contact(dir.path());
    attach(dir.path(), Keeper::Daemon, async |pipeline, store| {
        assert_eq!(processes("apphost", dir.path()), before, "not started anew");
        assert_eq!(processes("supervise", dir.path()), supervisor);
        let url = store.apps().list().unwrap()[0].url.clone();
        until("the gateway serves it", || ask(&url, "/") == 200);
        assert_eq!(pipeline.facts("crm").await.unwrap().records, 1);

        // Its process is killed: a request that comes at this moment waits for the next one on the same listener.
        kill(before[0]);
        let health = child::ask(&app_socket(dir.path()), &Request::new("GET", "/_/health"), PATIENCE);
        assert_eq!(health.unwrap().status, 200);
        until("its end is written down", || {
            store.events().after(0, 1000).unwrap().iter().any(|e| e.kind == "app.down" && e.subject == "crm")
        });

        // The supervisor is killed: its apps end with it, another one takes over and the data is there.
        let between = processes("apphost", dir.path());
        kill(supervisor[0]);
        until("another supervisor runs", || {
            let now = processes("supervise", dir.path());
            now.len() == 1 && now != supervisor
        });
        until("the app serves again", || ask(&url, "/") == 200 && processes("apphost", dir.path()).len() == 1);
        assert_ne!(processes("apphost", dir.path()), between);
        assert_eq!(pipeline.facts("crm").await.unwrap().records, 1);
    });
    assert_eq!(processes("supervise", dir.path()), Vec::<u32>::new(), "a stop in order leaves nothing behind");
    assert_eq!(processes("apphost", dir.path()), Vec::<u32>::new());
}

/// Scheduling policies (proc(5), field 41: 0 ordinary, 5 idle) of the processes with this data directory, by what they do.
fn policies(data: &Path) -> Vec<(&'static str, u32, u32)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse() else { continue };
        // Processes come and go.
        let read = |what: &str| std::fs::read(entry.path().join(what)).unwrap_or_default();
        let (line, stat) = (read("cmdline"), read("stat"));
        let words: Vec<_> = line.split(|b| *b == 0).map(String::from_utf8_lossy).collect();
        if !words.iter().any(|word| word.starts_with(&*data.to_string_lossy())) {
            continue;
        }
        let does = match words.get(1).map(|word| word.as_ref()) {
            Some("kernel") => "kernel",
            Some("apphost") if words.iter().any(|word| word == "--scenario") => "trial",
            Some("apphost") => "live",
            _ => continue,
        };
        let stat = String::from_utf8_lossy(&stat).into_owned();
        // `rest` begins with field 3.
        let policy = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(41 - 3)?.parse().ok());
        found.extend(policy.map(|policy| (does, policy, pid)));
    }
    found
}

#[test]
fn what_a_build_starts_gets_what_calls_leave_over_and_a_live_app_its_share() {
    let dir = tempfile::tempdir().unwrap();
    let allowed = |pid: &str| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        status.lines().find(|line| line.starts_with("Cpus_allowed:")).unwrap().to_owned()
    };
    attach(dir.path(), Keeper::Daemon, async |pipeline, store| {
        let mut seen = BTreeSet::new();
        // They are short: one that is not seen in the first build is in the next.
        for n in 0..10 {
            let build = pipeline.submit(manifest(&format!("m{n}"), &format!("CRM {n}"))).await.unwrap();
            let begun = Instant::now();
            loop {
                let stage = store.builds().get(&build.id).unwrap().unwrap().stage;
                assert!(stage != BuildStage::Parked && begun.elapsed() < PATIENCE, "{stage:?}");
                seen.extend(
                    policies(dir.path())
                        .into_iter()
                        .filter(|(does, ..)| *does != "live")
                        .map(|(does, policy, _)| (does, policy)),
                );
                if stage == BuildStage::Tracked {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            if seen.len() > 1 {
                break;
            }
        }
        assert_eq!(seen, BTreeSet::from([("kernel", 5), ("trial", 5)]));
        let live: Vec<_> = policies(dir.path()).into_iter().filter(|(does, ..)| *does == "live").collect();
        assert!(!live.is_empty());
        for (_, policy, pid) in live {
            assert_eq!((policy, allowed(&pid.to_string())), (0, allowed("self")));
        }
    });
}

#[test]
fn an_app_that_fills_the_disk_with_many_files_is_stopped_and_comes_back_when_they_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (mut killed, url) = daemon(dir.path(), Keeper::Daemon);
    killed.kill().unwrap();
    killed.wait().unwrap();
    attach(dir.path(), Keeper::Daemon, async |_, store| {
        until("the gateway serves it", || ask(&url, "/") == 200);
        let data = PathBuf::from(&store.apps().list().unwrap()[0].data);
        let downs = |why: &str| {
            let events = store.events().after(0, 1000).unwrap();
            events.iter().filter(|e| e.kind == "app.down" && e.data.to_string().contains(why)).count()
        };
        // Each of a size that the app may give a file of its own. They take no room.
        let full: Vec<PathBuf> = (0..9).map(|n| data.join(format!("full{n}"))).collect();
        full.iter().for_each(|file| std::fs::File::create(file).unwrap().set_len(1 << 30).unwrap());
        until("it is stopped for what its files weigh", || downs("larger than 8192 MB") > 0);
        full.iter().for_each(|file| std::fs::remove_file(file).unwrap());
        until("it serves again", || ask(&url, "/") == 200);
        let many: Vec<PathBuf> = (0..1001).map(|n| data.join(format!("many{n}"))).collect();
        many.iter().for_each(|file| drop(std::fs::File::create(file).unwrap()));
        until("it is stopped for their number", || downs("more than 1000 files") > 0);
        many.iter().for_each(|file| std::fs::remove_file(file).unwrap());
        until("it serves again", || ask(&url, "/") == 200);
    });
}

#[test]
fn under_the_service_manager_apps_go_on_when_the_daemon_stops() {
    let dir = tempfile::tempdir().unwrap();
    let start = || {
        let mut command = Command::new(PROGRAM);
        command.args(["supervise", "--data"]).arg(dir.path()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    };
    let mut unit = start();
    let (mut killed, _) = daemon(dir.path(), Keeper::Unit);
    let before = processes("apphost", dir.path());
    killed.kill().unwrap();
    killed.wait().unwrap();
    attach(dir.path(), Keeper::Unit, async |pipeline, _| {
        assert!(pipeline.facts("crm").await.unwrap().deployed);
    });
    assert_eq!(processes("apphost", dir.path()), before, "a stop in order leaves the apps");
    assert_eq!(start().wait().unwrap().code(), Some(3), "one supervisor per data directory");

    // Somebody else's orders are refused by the kernel's word on who he is, even where files do not stop him.
    let home = dir.path().join("live");
    for path in [dir.path(), &home, &home.join("control")] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
    }
    let list = |user: Option<u32>| -> Option<Value> {
        let mut command = Command::new(std::env::current_exe().unwrap());
        // Where the plain user can run it.
        if user.is_some() {
            let copy = dir.path().join("asker");
            std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
            command = Command::new(copy);
            command.uid(sandbox::NOBODY).gid(sandbox::NOBODY).current_dir(dir.path());
        }
        command.args(["--exact", "asker", "--nocapture"]).env("SUPERVISOR_TEST_ASK", home.join("control"));
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("asked"), "{said} {}", String::from_utf8_lossy(&output.stderr));
        said.lines().find_map(|line| serde_json::from_str(line.strip_prefix("told ")?).ok())
    };
    assert_eq!(list(None).unwrap()["apps"][0]["order"]["slug"], "crm");
    if std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0) {
        assert_eq!(list(Some(sandbox::NOBODY)), None);
    }
    assert!(Command::new("kill").arg(unit.id().to_string()).status().unwrap().success());
    assert!(unit.wait().unwrap().success());
    assert_eq!(processes("apphost", dir.path()), Vec::<u32>::new());
}

/// Asks the supervisor what runs, as whoever this process is.
#[test]
fn asker() {
    let Some(socket) = std::env::var_os("SUPERVISOR_TEST_ASK") else { return };
    let mut stream = UnixStream::connect(socket).unwrap();
    let mut answer = String::new();
    // Being hung up on is an answer, too.
    let _ = stream.write_all(b"{\"op\":\"list\"}\n").and_then(|()| BufReader::new(&stream).read_line(&mut answer));
    writeln!(std::io::stdout(), "\nasked\ntold {answer}").unwrap();
}

#[test]
fn bad_orders_are_refused_and_a_supervisor_without_a_directory_ends() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(["supervise", "--data"]).arg(dir.path()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut supervisor = command.spawn().unwrap();
    let socket = dir.path().join("live/control");
    until("it listens", || UnixStream::connect(&socket).is_ok());
    let told = |line: &[u8]| -> Option<Value> {
        let mut stream = UnixStream::connect(&socket).unwrap();
        let mut answer = String::new();
        // It may hang up before it has read all of a line that is too long.
        let _ = stream.write_all(line).and_then(|()| BufReader::new(&stream).read_line(&mut answer));
        serde_json::from_str(&answer).ok()
    };
    let order = |bundle: &str, data: &str| {
        let bundle = if bundle.starts_with('/') { bundle.into() } else { dir.path().join(bundle) };
        let order = json!({"op": "start", "key": "crm.1", "slug": "crm", "bundle": bundle,
            "data": dir.path().join(data), "log": dir.path().join("app.log")});
        format!("{order}\n")
    };
    for bad in ["nonsense\n".to_owned(), "{\"op\":\"run\"}\n".into(), order("/etc", "data"), order("b", "../data")] {
        assert_eq!(told(bad.as_bytes()).unwrap()["is"], "refused", "{bad}");
    }
    assert_eq!(told(&vec![b'x'; 1 << 20]), None);
    assert_eq!(told(b"{\"op\":\"list\"}\n").unwrap()["apps"], json!([]));
    drop(dir);
    assert!(supervisor.wait().unwrap().success());
}

#[test]
fn apps_are_started_again_whatever_became_of_the_file_of_their_supervisor() {
    let (dir, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let program = place.path().join("callwright");
    std::fs::copy(PROGRAM, &program).unwrap();
    let mut command = Command::new(&program);
    command.args(["supervise", "--data"]).arg(dir.path()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut unit = command.spawn().unwrap();
    let (mut killed, url) = daemon(dir.path(), Keeper::Unit);
    let again = |what: &str| {
        let before = processes("apphost", dir.path());
        kill(before[0]);
        until(what, || {
            let now = processes("apphost", dir.path());
            now.len() == 1 && now != before && ask(&url, "/") == 200
        });
    };
    // Replaced: the newest is run, as a package leaves the supervisor alone.
    let other = place.path().join("other");
    std::fs::copy(PROGRAM, &other).unwrap();
    std::fs::rename(&other, &program).unwrap();
    again("the app runs by the file that was put there");
    let of_app = Path::new("/proc").join(processes("apphost", dir.path())[0].to_string()).join("exe");
    // Root reads the link of any process; a process that is locked in hides its own from others.
    if let Ok(exe) = std::fs::read_link(of_app) {
        assert_eq!(exe, program);
    }
    // Taken away: the supervisor itself knows how.
    std::fs::remove_file(&program).unwrap();
    again("the app runs by the supervisor's own program");
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(Command::new("kill").arg(unit.id().to_string()).status().unwrap().success());
    assert!(unit.wait().unwrap().success());
    assert_eq!(processes("apphost", dir.path()), Vec::<u32>::new());
}
