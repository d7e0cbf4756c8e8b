//! Kernels in processes of their own, good and bad: a program in another language makes an app by the frames alone; garbage, a
//! flood, an end in the middle of the task and what never ends are failures in words, tried again like any fault, and no process
//! is left behind.

use callwright::apphost::bundle::Files;
use callwright::conversation::{BuildStage, BuildUpdate, Outcome};
use callwright::limits::KERNEL_FRAME_MAX;
use callwright::pipeline::kernel::frame::{self, FromKernel, PROTOCOL, Task};
use callwright::pipeline::kernel::session::{Broken, Output, digest};
use callwright::pipeline::kernel::{self, Capability, Kernel, drive};
use callwright::pipeline::manifest::{BuildManifest, BuildType, CreatedFrom};
use callwright::pipeline::spec::Spec;
use callwright::pipeline::{Pipeline, PipelineConfig};
use callwright::store::Store;
use serde_json::{Map, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::time::timeout;

const PROGRAM: &str = env!("CARGO_BIN_EXE_callwright");
/// Far beyond what a build takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
const CAPABILITIES: [Capability; 5] = Capability::ALL;

fn manifest(id: &str) -> BuildManifest {
    BuildManifest {
        manifest_id: id.into(),
        build_type: BuildType::BuildCrm,
        title: "CRM".into(),
        description: "A CRM with contacts.".into(),
        features: vec!["contacts".into()],
        tech_stack: vec![],
        constraints: Map::new(),
        integrations: vec![],
        conversation_id: "conv_1".into(),
        created_from: CreatedFrom::Voice,
        confidence: 0.93,
        metadata: Map::from_iter([("approval".to_owned(), json!({"by": "key"}))]),
    }
}

fn task(id: &str) -> Task {
    let manifest = manifest(id);
    let spec = Spec::compose(&manifest);
    Task {
        id: "build_1".into(),
        capabilities: CAPABILITIES.to_vec(),
        manifest,
        spec,
        answers: BTreeMap::new(),
        seconds: 60,
    }
}

/// A kernel whose process is a shell script.
#[derive(Debug)]
struct Script(String);

impl Kernel for Script {
    fn name(&self) -> &'static str {
        "script"
    }
    fn can(&self, build_type: BuildType, _: Capability) -> bool {
        build_type == BuildType::BuildCrm
    }
    fn generate(&self, _: &BuildManifest, _: &Spec) -> Result<Files, String> {
        Err("it is a process".into())
    }
    fn command(&self, _: &Path, _: &Path) -> Option<Command> {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(&self.0);
        Some(command)
    }
}

fn lines(frames: &[FromKernel]) -> Vec<u8> {
    frames.iter().flat_map(frame::write).collect()
}

fn ready() -> FromKernel {
    let (name, capabilities) = ("script".to_owned(), CAPABILITIES.to_vec());
    FromKernel::Ready { protocol: PROTOCOL, name, capabilities, build_types: vec![BuildType::BuildCrm] }
}

/// Answers `hello` by `ready`, and the task by the content of a file.
fn script(dir: &Path, frames: &[FromKernel]) -> String {
    let (first, then) = (dir.join("ready"), dir.join("then"));
    std::fs::write(&first, lines(&[ready()])).unwrap();
    std::fs::write(&then, lines(frames)).unwrap();
    format!("read -r hello; cat {}; read -r task; cat {}", first.display(), then.display())
}

fn files() -> Files {
    let (manifest, kernels) = (manifest("m"), kernel::all());
    let crm = kernels.iter().find(|kernel| kernel.name() == "crm").unwrap();
    crm.generate(&manifest, &Spec::compose(&manifest)).unwrap()
}

/// Files in a reading order of their own, and all that is to be said beside them.
fn whole(files: &Files) -> Vec<FromKernel> {
    let mut frames = vec![FromKernel::Progress { percent: 1, say: Some("The script has begun.".into()) }];
    frames.extend(files.iter().rev().map(|(path, content)| FromKernel::artefact(path.clone(), content.clone())));
    frames.push(FromKernel::Cite { part: "the whole".into(), source: "a shell script".into() });
    frames.push(FromKernel::Done { files: files.len(), digest: digest(files) });
    frames
}

fn run(text: String, wanted: &dyn Fn() -> bool) -> Result<Output, Broken> {
    let scratch = tempfile::tempdir().unwrap();
    drive::run(&Script(text), Path::new(PROGRAM), scratch.path(), task("m"), wanted)
}

#[test]
fn the_generators_of_this_program_say_by_frames_what_they_make() {
    for kernel in kernel::all() {
        let build_type = BuildType::ALL.into_iter().find(|t| kernel.can(*t, Capability::Frontend)).unwrap();
        let manifest = BuildManifest { build_type, features: vec![], ..manifest("m") };
        let spec = Spec::compose(&manifest);
        let made = kernel.generate(&manifest, &spec).unwrap();
        let task = Task { manifest, spec, ..task("m") };
        let scratch = tempfile::tempdir().unwrap();
        assert!(kernel.command(Path::new(PROGRAM), scratch.path()).is_some(), "in a process of its own");
        let output = drive::run(kernel.as_ref(), Path::new(PROGRAM), scratch.path(), task, &|| true).unwrap();
        assert_eq!(output.files, made, "{}", kernel.name());
    }
}

#[test]
fn what_a_bad_kernel_does_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let good = whole(&files());
    let made = run(script(dir.path(), &good), &|| true).unwrap();
    assert_eq!((made.files, made.cites.len()), (files(), 1));
    assert_eq!(made.say.as_deref(), Some("The script has begun."));
    let first = format!("read -r hello; cat {}; read -r task;", dir.path().join("ready").display());
    type Right = fn(&Broken) -> bool;
    let cases: [(String, Right); 10] = [
        ("exit 0".into(), |e| *e == Broken::Died),
        ("echo Segmentation fault".into(), |e| matches!(e, Broken::Frame(_))),
        ("printf '{\"type\":'".into(), |e| matches!(e, Broken::Frame(_))),
        (format!("{first} exit 3"), |e| *e == Broken::Died),
        (script(dir.path(), &good[..good.len() - 1]), |e| *e == Broken::Died),
        (format!("{first} kill -9 $$"), |e| *e == Broken::Died),
        (format!("{first} head -c {} /dev/zero | tr '\\0' x", KERNEL_FRAME_MAX + 2), |e| matches!(e, Broken::Frame(_))),
        (format!("{first} while :; do echo '{{\"type\":\"progress\",\"percent\":1}}'; done"), |e| {
            matches!(e, Broken::TooMuch(_))
        }),
        (
            format!("{first} echo '{{\"type\":\"fail\",\"say\":\"I have no idea.\"}}'; sleep 600"),
            |e| matches!(e, Broken::Declined { say } if say == "I have no idea."),
        ),
        ("exec /nonexistent/program".into(), |e| *e == Broken::Died),
    ];
    for (text, right) in cases {
        let broken = run(text.clone(), &|| true).unwrap_err();
        assert!(right(&broken), "{text}: {broken}");
    }
}

#[test]
fn a_kernel_that_never_ends_goes_when_its_task_is_called_off_or_done() {
    let dir = tempfile::tempdir().unwrap();
    let text = script(dir.path(), &whole(&files()));
    assert!(run(format!("{text}; exec sleep 600"), &|| true).is_ok(), "done is done");
    let looks = AtomicU32::new(0);
    let pid = dir.path().join("pid");
    let silent = format!("echo $$ > {}; trap '' TERM; while :; do sleep 1; done", pid.display());
    let off = run(silent, &|| looks.fetch_add(1, Ordering::Relaxed) == 0);
    assert_eq!(off, Err(Broken::CalledOff));
    let pid = std::fs::read_to_string(pid).unwrap();
    assert!(!Path::new("/proc").join(pid.trim()).exists(), "nothing is left behind");
    // Nor is what it has started, though it ignores signals that can be ignored and holds the pipe.
    let pid = dir.path().join("left");
    let leaves =
        format!("trap '' TERM; sh -c \"trap '' TERM HUP; echo \\$\\$ > {0}; sleep 600\" & sleep 600", pid.display());
    let off = run(leaves, &|| !std::fs::read_to_string(&pid).is_ok_and(|text| text.ends_with('\n')));
    assert_eq!(off, Err(Broken::CalledOff));
    let stat = Path::new("/proc").join(std::fs::read_to_string(pid).unwrap().trim()).join("stat");
    // Whoever adopts it may not have waited for it yet.
    while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
        std::thread::yield_now();
    }
    // Nor does it help to talk all the time.
    let talks = "while :; do printf ' '; sleep 0.05; done".to_owned();
    assert_eq!(run(talks, &|| false), Err(Broken::CalledOff));
}

#[test]
fn what_a_kernel_makes_a_session_of_its_own_is_ended_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let whole = script(dir.path(), &whole(&files()));
    let gone = |pid: &Path| {
        let pid = std::fs::read_to_string(pid).unwrap();
        assert!(!Path::new("/proc").join(pid.trim()).exists(), "process {} is left behind", pid.trim());
    };
    // Sessions of their own, whose parents have gone: in no group of the kernel's.
    let leaves = |pid: &Path| {
        let made = format!("trap '' TERM HUP; echo $$ > {0}.new; mv {0}.new {0}; exec /bin/sleep 600", pid.display());
        std::fs::write(pid.with_extension("sh"), made).unwrap();
        let begins = format!("/usr/bin/setsid /bin/sh -c '/usr/bin/setsid /bin/sh {}.sh &' &", pid.display());
        format!("{begins} while ! test -e {}; do :; done;", pid.display())
    };
    let pid = dir.path().join("done");
    assert!(run(format!("{} {whole}", leaves(&pid)), &|| true).is_ok());
    gone(&pid);
    let pid = dir.path().join("off");
    assert_eq!(run(format!("{} sleep 600", leaves(&pid)), &|| !pid.exists()), Err(Broken::CalledOff));
    gone(&pid);
    let pid = dir.path().join("died");
    assert_eq!(run(format!("{} kill -9 $$", leaves(&pid)), &|| true), Err(Broken::Died));
    gone(&pid);
    // One that keeps on forking, each child of it a session of its own.
    let pid = dir.path().join("forks");
    let forks = dir.path().join("forks.sh");
    let text = format!(
        "echo $$ > {0}.new; mv {0}.new {0}; /bin/sleep 0.01; exec /usr/bin/setsid /bin/sh {1} &",
        pid.display(),
        forks.display()
    );
    std::fs::write(&forks, text).unwrap();
    let chain = format!("/bin/sh {}; sleep 600", forks.display());
    assert_eq!(run(chain, &|| !pid.exists()), Err(Broken::CalledOff));
    let last = std::fs::read_to_string(&pid).unwrap();
    assert!(!Path::new("/proc").join(last.trim()).exists(), "{last}");
    let before = std::fs::read_to_string(&pid).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(std::fs::read_to_string(&pid).unwrap(), before, "nobody goes on");
}

#[test]
fn a_kernel_of_this_program_ends_with_the_thread_that_started_it_though_its_pipe_is_open() {
    let scratch = tempfile::tempdir().unwrap();
    let mut child = std::thread::scope(|scope| {
        let starts = || {
            let kernels = kernel::all();
            let mut command = kernels[0].command(Path::new(PROGRAM), scratch.path()).unwrap();
            let mut child = command.env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            child.stdin.as_mut().unwrap().write_all(b"{\"type\":\"hello\",\"protocol\":1}\n").unwrap();
            // It has settled.
            let mut ready = String::new();
            BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
            assert!(ready.contains("ready"), "{ready}");
            child
        };
        scope.spawn(starts).join().unwrap()
    });
    let input = child.stdin.take();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    drop(input);
}

#[test]
fn a_kernel_whose_starter_has_gone_before_does_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let made = scratch.path().join("made");
    let guarded = format!("touch {}", made.display());
    let kernel: &[&str] = &["kernel", "crm", "--scratch", scratch.path().to_str().unwrap()];
    for arguments in [kernel, &["guard", "/bin/sh", "-c", &guarded]] {
        let (input, starter) = std::io::pipe().unwrap();
        drop(starter);
        let output = Command::new(PROGRAM).args(arguments).stdin(input).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("whoever started it is gone"), "{said}");
    }
    assert!(!made.exists());
}

/// Whether Landlock of this system's kernel keeps signals in (Linux 6.12).
fn keeps_signals_in() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.trim().parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(6), Some(12))
}

#[test]
fn a_kernel_cannot_end_its_guard_where_the_system_knows_how() {
    if !keeps_signals_in() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (pid, tried) = (dir.path().join("pid"), dir.path().join("tried"));
    let hits = format!(
        "echo $PPID > {0}.new; mv {0}.new {0}; kill -9 $PPID 2> /dev/null; echo $? > {1}.new; mv {1}.new {1}; sleep 600",
        pid.display(),
        tried.display()
    );
    assert_eq!(run(hits, &|| !tried.exists()), Err(Broken::CalledOff));
    assert_ne!(std::fs::read_to_string(tried).unwrap().trim(), "0");
}

fn config(data: &Path, kernel: Script) -> PipelineConfig {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut config = PipelineConfig::new(data.to_owned(), PROGRAM.into());
    config.apps.ports = free..=free.saturating_add(50);
    config.kernels = vec![Box::new(kernel)];
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_stops_waits_for_no_kernel_and_its_build_goes_on_with_all_its_tries() {
    let (dir, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let good = script(dir.path(), &whole(&files()));
    let begun = dir.path().join("begun");
    let endless = format!(
        "read -r hello; cat {}; read -r task; touch {}; while :; do echo '{{\"type\":\"progress\",\"percent\":1}}'; sleep 0.1; done",
        dir.path().join("ready").display(),
        begun.display()
    );
    let store = Store::open(data.path()).unwrap();
    let mut id = String::new();
    // As often as a stage is tried, and once more.
    for _ in 0..4 {
        let pipeline = Pipeline::start(config(data.path(), Script(endless.clone())), store.clone()).await.unwrap();
        id = pipeline.submit(manifest("m")).await.unwrap().id;
        let works = async {
            while !begun.exists() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, works).await.expect("the kernel is not asked");
        std::fs::remove_file(&begun).unwrap();
        // Longer than this it would talk.
        timeout(PATIENCE, pipeline.shutdown()).await.expect("the daemon does not stop");
        let build = store.builds().get(&id).unwrap().unwrap();
        assert_eq!((build.stage, build.attempt, build.failure), (BuildStage::Planned, 0, None));
    }
    let pipeline = Pipeline::start(config(data.path(), Script(good)), store.clone()).await.unwrap();
    let lives = async {
        while !matches!(store.builds().get(&id).unwrap().unwrap().stage, BuildStage::Live | BuildStage::Tracked) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, lives).await.expect("the build does not go on");
    pipeline.shutdown().await;
}

/// How the build ends whose updates these are.
async fn outcome(updates: &mut broadcast::Receiver<BuildUpdate>) -> Outcome {
    loop {
        let update = timeout(PATIENCE, updates.recv()).await.expect("the build takes too long").unwrap();
        if let Some(outcome) = update.outcome {
            return outcome;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_can_be_confined_nothing_is_built_and_everybody_is_told_why() {
    let data = tempfile::tempdir().unwrap();
    let store = Store::open(data.path()).unwrap();
    let ran = data.path().join("ran");
    let mut config = config(data.path(), Script(format!("touch {}", ran.display())));
    config.confines = Err("this kernel has no Landlock; boot with lsm=landlock".into());
    let pipeline = Pipeline::start(config, store.clone()).await.unwrap();
    let (builds, note) = pipeline.health();
    assert!(builds && note.contains("nothing can be built here") && note.contains("lsm=landlock"), "{note}");
    let mut updates = pipeline.updates();
    let build = pipeline.submit(manifest("m")).await.unwrap();
    let outcome = outcome(&mut updates).await;
    assert!(matches!(&outcome, Outcome::Parked { say } if say.contains("cannot confine")), "{outcome:?}");
    assert_eq!(store.builds().get(&build.id).unwrap().unwrap().attempt, 0, "once is enough");
    assert!(!ran.exists());
    pipeline.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_of_a_script_goes_live_after_its_kernel_died_once_and_one_that_always_dies_is_parked() {
    let dir = tempfile::tempdir().unwrap();
    let died = dir.path().join("died");
    let text = script(dir.path(), &whole(&files()));
    let once = format!("test -e {0} || {{ touch {0}; exit 1; }}; {text}", died.display());
    for (kernel, lives) in [(once, true), ("exit 1".to_owned(), false)] {
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(data.path()).unwrap();
        let pipeline = Pipeline::start(config(data.path(), Script(kernel)), store.clone()).await.unwrap();
        let mut updates = pipeline.updates();
        let build = pipeline.submit(manifest("m")).await.unwrap();
        let outcome = outcome(&mut updates).await;
        match outcome {
            Outcome::Live { .. } => assert!(lives && died.exists()),
            Outcome::Parked { say } => assert!(!lives && say.contains("could not write the files"), "{say}"),
        }
        let build = store.builds().get(&build.id).unwrap().unwrap();
        assert!(!lives || matches!(build.stage, BuildStage::Live | BuildStage::Tracked));
        pipeline.shutdown().await;
        let left = std::fs::read_dir(data.path().join("run")).unwrap().flatten();
        let left: Vec<_> = left.filter(|e| e.file_name().to_string_lossy().starts_with("kernel-")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// Makes a part of an app: what its process says to a task depends on what the task asks for.
#[derive(Debug)]
struct Part {
    name: &'static str,
    can: fn(Capability) -> bool,
    text: String,
}

impl Kernel for Part {
    fn name(&self) -> &'static str {
        self.name
    }
    fn can(&self, build_type: BuildType, capability: Capability) -> bool {
        build_type == BuildType::BuildCrm && (self.can)(capability)
    }
    fn generate(&self, _: &BuildManifest, _: &Spec) -> Result<Files, String> {
        Err("it is a process".into())
    }
    fn command(&self, _: &Path, _: &Path) -> Option<Command> {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(&self.text);
        Some(command)
    }
}

/// A kernel whose goes are noted in the file `goes`; it says of all files those that `of` names, the scenarios in a go of their own.
fn part(dir: &Path, name: &'static str, can: fn(Capability) -> bool, of: fn(&str) -> bool) -> Part {
    let path = |what: &str| dir.join(format!("{name}.{what}"));
    let capabilities: Vec<_> = Capability::ALL.into_iter().filter(|capability| can(*capability)).collect();
    let build_types = vec![BuildType::BuildCrm];
    let ready = FromKernel::Ready { protocol: PROTOCOL, name: name.into(), capabilities, build_types };
    std::fs::write(path("ready"), lines(&[ready])).unwrap();
    for (what, tests) in [("tests", true), ("rest", false)] {
        let mut files = files();
        files.retain(|path, _| of(path) && path.starts_with("tests/") == tests);
        assert!(!tests || files.is_empty() != can(Capability::Testing), "the scenarios are a part of their own");
        std::fs::write(path(what), lines(&whole(&files))).unwrap();
    }
    let goes = dir.join("goes");
    let text = format!(
        "read -r hello; cat {ready}; read -r task; wanted=${{task#*capabilities???}}; echo \"{name} ${{wanted%%]*}}\" >>{goes}
         case \"$wanted\" in '\"testing\"]'*) cat {tests};; *) cat {rest};; esac",
        ready = path("ready").display(),
        goes = goes.display(),
        tests = path("tests").display(),
        rest = path("rest").display(),
    );
    Part { name, can, text }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_kernels_make_one_app_each_what_it_can_and_what_nobody_can_is_said() {
    let (dir, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let is_page = |path: &str| path.starts_with("views/");
    let pages = || part(dir.path(), "pages", |capability| capability == Capability::Frontend, is_page);
    let rest = || {
        part(dir.path(), "rest", |capability| capability != Capability::Frontend, |path| !path.starts_with("views/"))
    };
    let store = Store::open(data.path()).unwrap();
    let mut config = config(data.path(), Script(String::new()));
    config.kernels = vec![Box::new(pages()), Box::new(rest())];
    let pipeline = Pipeline::start(config, store.clone()).await.unwrap();
    let mut updates = pipeline.updates();
    pipeline.submit(manifest("m")).await.unwrap();
    let ended = outcome(&mut updates).await;
    assert!(matches!(ended, Outcome::Live { .. }), "{ended:?}");
    let goes = std::fs::read_to_string(dir.path().join("goes")).unwrap();
    assert_eq!(goes.replace('"', ""), "rest database,coding,api\npages frontend\nrest testing\n");
    pipeline.shutdown().await;

    let (data, mut config) = (tempfile::tempdir().unwrap(), self::config(data.path(), Script(String::new())));
    let store = Store::open(data.path()).unwrap();
    config.data = data.path().to_owned();
    config.kernels = vec![Box::new(rest())];
    let pipeline = Pipeline::start(config, store).await.unwrap();
    let mut updates = pipeline.updates();
    pipeline.submit(manifest("m")).await.unwrap();
    let ended = outcome(&mut updates).await;
    assert!(
        matches!(&ended, Outcome::Parked { say } if say.contains("nothing on this system can make the pages")),
        "{ended:?}"
    );
    pipeline.shutdown().await;
}
