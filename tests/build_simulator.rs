//! A thousand builds in virtual time over the real store and the real stage machine, while workers fail, stand still beyond their
//! lease, and the daemon is killed at every point between two writes: each app ends with exactly one live version, the newest;
//! no build is lost, none is announced twice.

use callwright::conversation::BuildStage;
use callwright::pipeline::manifest::{BuildManifest, BuildType, CreatedFrom};
use callwright::pipeline::scheduler::{self, AfterFailure, Job, StageError};
use callwright::store::{Advance, App, Build, RunState, Store, StoreError, Submitted, version_for};
use callwright::time::Wallclock;
use serde_json::{Map, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

const BUILDS: usize = 1_000;
const WORKERS: usize = 8;
const LEASE: Duration = Duration::from_secs(180);

/// xorshift64*: the same run every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % below
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.roll(n) == 0
    }
}

fn manifest(n: usize, amends: Option<&str>) -> BuildManifest {
    let mut metadata = Map::from_iter([("approval".to_owned(), json!("yes"))]);
    if let Some(slug) = amends {
        metadata.insert("amends".into(), json!(slug));
    }
    BuildManifest {
        manifest_id: format!("m{n}"),
        build_type: BuildType::BuildCrm,
        title: format!("App {n}"),
        description: String::new(),
        features: vec![],
        tech_stack: vec![],
        constraints: Map::new(),
        integrations: vec![],
        conversation_id: "c".into(),
        created_from: CreatedFrom::Api,
        confidence: 1.0,
        metadata,
    }
}

/// What a worker does next with the build that it has.
#[derive(Clone)]
enum Doing {
    /// Look whether it is still its own, then act.
    Begin(Build),
    /// What the stage does in the world is done; write that it is.
    Acted(Build),
}

#[derive(Default)]
struct Worker {
    doing: Option<Doing>,
    /// Stands still until then.
    stalled: u64,
}

/// The box beyond the store: which revision of each app the gateway sends people to, and how it came there.
#[derive(Default)]
struct World {
    serves: BTreeMap<String, String>,
    announced: BTreeMap<String, u32>,
    kills: u32,
    stalls: u32,
    fenced: u32,
    faults: u32,
}

struct Simulation {
    store: Store,
    dice: Dice,
    now: u64,
    workers: Vec<Worker>,
    world: World,
}

impl Simulation {
    fn now(&self) -> Wallclock {
        Wallclock(self.now)
    }

    /// One step of one worker: at most one write.
    fn step(&mut self, worker: usize) {
        if self.workers[worker].stalled > self.now {
            return;
        }
        match self.workers[worker].doing.take() {
            None => {
                if let (Some(id), _) = self.store.builds().due(self.now()).unwrap() {
                    let taken = self.store.builds().claim(&id, self.now(), LEASE).wait().unwrap();
                    self.workers[worker].doing = taken.map(Doing::Begin);
                }
            }
            Some(Doing::Begin(build)) => self.begin(worker, build),
            Some(Doing::Acted(build)) => {
                let (_, to) = scheduler::next(build.stage).unwrap();
                let advance = Advance { bundle_commit: commit(&build, to), ..Advance::default() };
                match self.store.builds().advance(&build, to, advance, self.now(), LEASE).wait() {
                    Ok(build) => {
                        // The announcement, a daemon's only act that cannot be taken back, follows the write.
                        if to == BuildStage::Live {
                            *self.world.announced.entry(build.id.clone()).or_default() += 1;
                        }
                        self.workers[worker].doing = scheduler::next(to).map(|_| Doing::Begin(build));
                    }
                    Err(StoreError::Conflict(_)) => self.world.fenced += 1,
                    Err(e) => panic!("{e}"),
                }
            }
        }
        if self.workers[worker].doing.is_some() && self.dice.one_in(200) {
            self.world.stalls += 1;
            // Some come back within their lease, most find that another has the build.
            self.workers[worker].stalled = self.now + 60_000 + self.dice.roll(400_000);
        }
    }

    fn begin(&mut self, worker: usize, build: Build) {
        if !self.store.builds().renew(&build, self.now(), LEASE).wait().unwrap() {
            self.world.fenced += 1;
            return;
        }
        let (job, _) = scheduler::next(build.stage).unwrap();
        if build.attempt < 2 && self.dice.one_in(40) {
            self.world.faults += 1;
            let fault = StageError::Fault { what: "the disk".into() };
            let AfterFailure::Retry { after } = scheduler::after_failure(job, build.attempt + 1, &fault) else {
                panic!("parked")
            };
            let again = Wallclock(self.now + u64::try_from(after.as_millis()).unwrap());
            self.store.builds().retry_later(&build, again, self.now()).wait().unwrap();
            return;
        }
        if job == Job::Release {
            let revision = build.bundle_commit.clone().unwrap();
            self.world.serves.insert(build.slug.clone(), revision.clone());
            let version = version_for(&revision, &self.store.apps().versions(&build.slug).unwrap());
            let app = App {
                slug: build.slug.clone(),
                title: build.title.clone(),
                build_type: "build_crm".into(),
                build_id: build.id.clone(),
                version,
                revision,
                bundle: String::new(),
                data: String::new(),
                port: self
                    .store
                    .apps()
                    .get(&build.slug)
                    .unwrap()
                    .map_or(u16::try_from(build.number).unwrap(), |a| a.port),
                url: "http://127.0.0.1/".into(),
                state: RunState::Live,
                deployed: self.now(),
            };
            // The kill of `run` may fall between these two writes, too.
            self.store.apps().record(app).wait().unwrap();
        }
        self.workers[worker].doing = Some(Doing::Acted(build));
    }

    /// kill -9, then another daemon on the same directory.
    fn kill(&mut self) {
        self.world.kills += 1;
        self.workers.iter_mut().for_each(|worker| *worker = Worker::default());
        self.now += 500;
        self.store.builds().take_over().wait().unwrap();
        // What the store calls live is what the new daemon puts on line.
        self.world.serves = self.store.apps().list().unwrap().into_iter().map(|app| (app.slug, app.revision)).collect();
    }
}

/// What generation adds; the same for every repeat.
fn commit(build: &Build, to: BuildStage) -> Option<String> {
    (to == BuildStage::Generated).then(|| format!("commit-{}", build.id))
}

#[test]
fn a_thousand_builds_end_with_exactly_one_live_version_each() {
    // In memory where the machine has such a directory: what is tried here is order, not disks.
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let store = Store::open(dir.path()).unwrap();
    let workers = (0..WORKERS).map(|_| Worker::default()).collect();
    let mut s = Simulation { store, dice: Dice(0x5eed), now: 1_700_000_000_000, workers, world: World::default() };
    let (mut asked, mut slow, mut amended) = (0, 0_u32, 0_usize);
    loop {
        s.now += 1_000 + s.dice.roll(6_000);
        if asked < BUILDS && s.dice.one_in(2) {
            let live = &s.world.serves;
            let old = if !live.is_empty() && s.dice.one_in(5) {
                let pick = usize::try_from(s.dice.roll(live.len() as u64)).unwrap();
                live.keys().nth(pick).cloned()
            } else {
                None
            };
            match s.store.builds().submit(manifest(asked, old.as_deref()), s.now()).wait().unwrap() {
                Submitted::New(_) => {
                    asked += 1;
                    amended += usize::from(old.is_some());
                }
                Submitted::Slow { .. } => slow += 1,
                other => panic!("{other:?}"),
            }
        }
        for worker in 0..WORKERS {
            s.step(worker);
            if s.dice.one_in(700) {
                s.kill();
                break;
            }
        }
        if asked == BUILDS && s.workers.iter().all(|w| w.doing.is_none()) {
            let open = s.store.builds().open().unwrap();
            if open.is_empty() {
                break;
            }
            // Whoever stood still is waited for: the next lease that ends.
            if let (None, Some(next)) = s.store.builds().due(s.now()).unwrap() {
                s.now = s.now.max(next.0);
            }
        } else if s.workers.iter().all(|w| w.doing.is_none() || w.stalled > s.now) {
            s.now += 1_000;
        }
    }

    let mut builds: BTreeMap<String, Vec<Build>> = BTreeMap::new();
    let mut before = None;
    loop {
        let page = s.store.builds().list(before, 100).unwrap();
        for build in page.items {
            assert_eq!(build.stage, BuildStage::Tracked, "{build:?}");
            builds.entry(build.slug.clone()).or_default().push(build);
        }
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(builds.values().map(Vec::len).sum::<usize>(), BUILDS, "none is lost");
    let apps = s.store.apps().list().unwrap();
    assert_eq!(apps.len(), builds.len());
    for app in &apps {
        // Newest first.
        let of = &builds[&app.slug];
        assert_eq!(app.build_id, of[0].id, "{}: the newest request is what runs", app.slug);
        assert_eq!(app.version as usize, of.len(), "{}: one version for each build", app.slug);
        assert_eq!(s.store.apps().versions(&app.slug).unwrap().len(), of.len());
        assert_eq!(s.world.serves[&app.slug], app.revision, "{}: people get what the store says", app.slug);
    }
    assert!(s.world.announced.values().all(|times| *times == 1), "none is announced twice");
    let mut stages = BTreeMap::<String, u32>::new();
    let mut seq = 0;
    loop {
        let events = s.store.events().after(seq, 1_000).unwrap();
        let Some(last) = events.last() else { break };
        seq = last.seq;
        for event in events.iter().filter(|e| e.kind == "build.stage.changed") {
            *stages.entry(event.subject.clone()).or_default() += 1;
        }
    }
    assert!(stages.len() == BUILDS && stages.values().all(|n| *n == 8), "every stage is told once");
    let w = &s.world;
    writeln!(
        std::io::stdout(),
        "{BUILDS} builds of {} apps, {amended} amendments, {slow} told that it is slow; {} kills, {} stalls, {} faults, \
         {} late writes refused; virtual {} s",
        apps.len(),
        w.kills,
        w.stalls,
        w.faults,
        w.fenced,
        (s.now - 1_700_000_000_000) / 1000
    )
    .unwrap();
    assert!(w.kills > 20 && w.stalls > 20 && w.faults > 50 && w.fenced > 10, "the simulation does not try hard");
}
