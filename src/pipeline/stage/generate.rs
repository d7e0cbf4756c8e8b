//! Tasks to files: every kernel of the plan in order, each by the frames of `kernel::frame`; their files are committed to the app's
//! branch `staging`.

use super::plan::{self, Task};
use super::{Done, StageError, Works, carry, check, fault};
use crate::apphost::bundle::{self, Bundle, Files};
use crate::limits::KERNEL_TASK_MAX;
use crate::os::{clock, random};
use crate::pipeline::kernel::frame::{Ask, Task as KernelTask};
use crate::pipeline::kernel::session::{Broken, Output};
use crate::pipeline::kernel::{Capability, drive};
use crate::pipeline::manifest::BuildManifest;
use crate::pipeline::spec::{Citation, Spec};
use crate::store::{Advance, Build, NewQuestion, QuestionChoice, QuestionState};
use crate::time::Wallclock;
use std::path::Path;

/// Where a bundle says why its parts are there.
const CITATIONS: &str = "CITATIONS.json";

pub(super) fn run(works: &Works, build: &Build) -> Result<Done, StageError> {
    let (manifest, spec) = (works.manifest(build)?, works.spec(build)?);
    let plan = build.plan.clone().ok_or_else(|| fault(format!("{} has no plan", build.id)))?;
    let tasks: Vec<Task> = serde_json::from_value(plan).map_err(|e| fault(e.to_string()))?;
    let mut files = Files::new();
    let (mut say, mut cites, mut asks) = (None, Vec::new(), Vec::new());
    let goes = plan::goes(&tasks);
    if goes.is_empty() {
        return Err(fault("the tasks of its plan wait for each other"));
    }
    for (kernel, wanted) in goes {
        let made = ask(works, build, kernel, wanted, &manifest, &spec)?;
        say = made.say.or(say);
        cites.extend(made.cites);
        asks.extend(made.asks);
        for (path, content) in made.files {
            if files.insert(path.clone(), content).is_some() {
                return Err(check(format!("two generators wrote the same file, {path}")));
            }
        }
    }
    put(works, build, asks)?;
    add_citations(&mut files, cites)?;
    let live = works.store.apps().get(&build.slug)?;
    if manifest.amends().is_some() && live.is_none() {
        return Err(check("the app that it was to change was taken away meanwhile"));
    }
    if let Some(live) = live {
        let before = works.fleet.bundle_dir(&build.slug, &live.revision)?;
        let before = bundle::read_dir(&before).map_err(|e| fault(e.to_string()))?;
        files = carry::forward(&before, files).map_err(check)?;
    }
    // Looked at before anything is written: paths that climb, sizes, files that contradict each other.
    Bundle::from_files(&files).map_err(|e| check(format!("the generated files do not fit together: {e}")))?;
    let repository = works.fleet.repository(&build.slug)?;
    let message = format!("{}\n\nBuild {} of manifest {}.", spec.title, build.number, build.manifest_id);
    let commit = repository.commit(&files, &message, build.requested)?;
    Ok(Done { advance: Advance { bundle_commit: Some(commit), ..Advance::default() }, say })
}

/// Writes down what the kernels ask. A build whose question shall be answered first waits.
fn put(works: &Works, build: &Build, asks: Vec<Ask>) -> Result<(), StageError> {
    if asks.is_empty() {
        return Ok(());
    }
    let now = clock::wall();
    let of = |ask: Ask| NewQuestion {
        name: ask.ask_id,
        question: ask.question,
        choices: ask.choices.into_iter().map(|c| QuestionChoice { value: c.value, say: c.say }).collect(),
        default: ask.default,
        due: (ask.wait_s > 0).then(|| Wallclock(now.0.saturating_add(ask.wait_s * 1000))),
    };
    let questions = works.store.questions();
    if !questions.ask(build, asks.into_iter().map(of).collect(), now).wait()? {
        return Err(fault(format!("{} is not this thread's any more", build.id)));
    }
    let open = questions.of_build(&build.id)?;
    let open = open.iter().filter(|question| question.state == QuestionState::Open);
    match open.filter_map(|question| question.due).max().filter(|due| *due > now) {
        Some(until) => Err(StageError::Waits { until }),
        None => Ok(()),
    }
}

/// Has one kernel do its part.
fn ask(
    works: &Works,
    build: &Build,
    name: &str,
    capabilities: Vec<Capability>,
    manifest: &BuildManifest,
    spec: &Spec,
) -> Result<Output, StageError> {
    let kernel = works.kernels.iter().find(|kernel| kernel.name() == name);
    let kernel = kernel.ok_or_else(|| fault(format!("the kernel {name} is gone")))?;
    if let (Err(why), Some(_)) = (&works.confines, kernel.command(works.fleet.program(), Path::new("/"))) {
        tracing::error!(build = build.id, why, "nothing is built: its maker cannot be confined");
        return Err(check(
            "this system cannot confine what I build, so I build nothing on it. The people who look after it must help.",
        ));
    }
    let run_dir = works.fleet.run_dir().map_err(|e| fault(e.to_string()))?;
    // Of this try alone: one that stood still may come back.
    let scratch = run_dir.join(format!("kernel-{:016x}", random::u64()));
    std::fs::create_dir(&scratch).map_err(|e| fault(format!("cannot make {}: {e}", scratch.display())))?;
    let settled = works.store.questions().settle(&build.id, clock::wall()).wait()?;
    let answers = settled.into_iter().filter_map(|question| Some((question.name, question.answer?))).collect();
    let task = KernelTask {
        id: build.id.clone(),
        capabilities,
        manifest: manifest.clone(),
        spec: spec.clone(),
        answers,
        seconds: KERNEL_TASK_MAX.as_secs(),
    };
    // A store that cannot be read now says nothing of the build.
    let is_ours =
        || works.store.builds().get(&build.id).map_or(true, |found| found.is_some_and(|b| b.fence == build.fence));
    // Telephones wait for the end of a stage when the daemon stops.
    let wanted = || !works.queue.is_closed() && is_ours();
    let made = drive::run(kernel.as_ref(), works.fleet.program(), &scratch, task, &wanted);
    // What is left of it goes with the next start of the daemon.
    _ = std::fs::remove_dir_all(&scratch);
    made.map_err(|error| match error {
        Broken::Declined { say } => check(say),
        Broken::CalledOff if works.queue.is_closed() => StageError::Stopped,
        other => fault(format!("{name}: {other}")),
    })
}

fn add_citations(files: &mut Files, cites: Vec<Citation>) -> Result<(), StageError> {
    if cites.is_empty() {
        return Ok(());
    }
    let known = files.get(CITATIONS).map_or(b"[]".as_slice(), Vec::as_slice);
    let mut all: Vec<Citation> =
        serde_json::from_slice(known).map_err(|e| check(format!("the generated {CITATIONS} cannot be read: {e}")))?;
    all.extend(cites);
    let text = serde_json::to_vec_pretty(&all).map_err(|e| fault(e.to_string()))?;
    files.insert(CITATIONS.to_owned(), text);
    Ok(())
}
