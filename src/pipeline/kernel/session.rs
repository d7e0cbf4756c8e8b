//! The daemon's side of a talk with a kernel. Purpose: which frame may come when, how long, how much; what came of it. Pure: frames
//! and the time in, frames to send out. Owner: the build thread that gave the task. Invariants: nothing of a kernel that did not
//! say `done`, with as many files and the digest that came, is taken; files, questions and frames are bounded; silence, and a task
//! that takes too long, end it. Deliberately absent: pipes and processes (`drive`), whether the files are any good.

use super::frame::{self, Ask, FrameError, FromKernel, PROTOCOL, Task, ToKernel};
use crate::apphost::bundle::Files;
use crate::limits::{
    BUNDLE_FILE_MAX, BUNDLE_FILES_MAX, BUNDLE_MAX, KERNEL_ASKS_MAX, KERNEL_CITES_MAX, KERNEL_FRAMES_MAX,
    KERNEL_READY_MAX, KERNEL_SILENCE_MAX, KERNEL_TASK_MAX,
};
use crate::pipeline::spec::Citation;
use crate::time::Tick;
use sha2::{Digest, Sha256};

/// What a kernel made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output {
    /// The files of the bundle.
    pub files: Files,
    /// What it asked.
    pub asks: Vec<Ask>,
    /// Why parts are there, beside the spec's reasons.
    pub cites: Vec<Citation>,
    /// The last line for the caller.
    pub say: Option<String>,
}

/// Why nothing came of a task.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// It said so, and would say so again.
    #[error("{say}")]
    Declined {
        /// In its words, for the caller.
        say: String,
    },
    /// It said so; another try may do better.
    #[error("the kernel failed: {say}")]
    Failed {
        /// In its words.
        say: String,
    },
    /// It cannot be started.
    #[error("the kernel cannot be started: {0}")]
    Start(String),
    /// What it says is no frame.
    #[error("the kernel does not keep to the protocol: {0}")]
    Frame(#[from] FrameError),
    /// A frame at the wrong time.
    #[error("the kernel does not keep to the protocol: {0}")]
    Order(&'static str),
    /// It cannot do what the plan gave it, or speaks another version.
    #[error("the kernel cannot do this: {0}")]
    Cannot(String),
    /// More than it may send.
    #[error("the kernel sent too much: {0}")]
    TooMuch(&'static str),
    /// Nothing came for too long.
    #[error("the kernel was silent for {0} s")]
    Silent(u64),
    /// It did not come to an end.
    #[error("the kernel took longer than {0} s")]
    Late(u64),
    /// It ended in the middle of the task.
    #[error("the kernel ended in the middle of its task")]
    Died,
    /// The build is not wanted any more, or another's.
    #[error("the task was called off")]
    CalledOff,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// `hello` went out.
    Greeted,
    /// The task went out.
    Working,
    /// `done` came.
    Over,
}

/// A talk about one task.
#[derive(Debug)]
pub struct Session {
    task: Option<Task>,
    name: String,
    phase: Phase,
    begun: Tick,
    heard: Tick,
    frames: usize,
    octets: usize,
    output: Output,
}

impl Session {
    /// A talk with the kernel called `name` that begins now; with its first frame.
    #[must_use]
    pub fn new(name: impl Into<String>, task: Task, now: Tick) -> (Self, ToKernel) {
        let session = Self {
            task: Some(task),
            name: name.into(),
            phase: Phase::Greeted,
            begun: now,
            heard: now,
            frames: 0,
            octets: 0,
            output: Output::default(),
        };
        (session, ToKernel::Hello { protocol: PROTOCOL })
    }

    /// Whether everything has come.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// What came, once it is over.
    #[must_use]
    pub fn output(self) -> Option<Output> {
        (self.phase == Phase::Over).then_some(self.output)
    }

    /// When [`Self::tick`] has something to say at the latest.
    #[must_use]
    pub fn deadline(&self) -> Tick {
        let silence = if self.phase == Phase::Greeted { KERNEL_READY_MAX } else { KERNEL_SILENCE_MAX };
        (self.heard + silence).min(self.begun + KERNEL_TASK_MAX)
    }

    /// The time goes on.
    ///
    /// # Errors
    /// The kernel was silent, or is late.
    pub fn tick(&self, now: Tick) -> Result<(), Broken> {
        if self.phase == Phase::Over || now < self.deadline() {
            return Ok(());
        }
        if now >= self.begun + KERNEL_TASK_MAX {
            return Err(Broken::Late(KERNEL_TASK_MAX.as_secs()));
        }
        Err(Broken::Silent(now.since(self.heard).as_secs()))
    }

    /// A frame came; returns what is to be sent.
    ///
    /// # Errors
    /// The task is over, and nothing came of it.
    pub fn hear(&mut self, frame: FromKernel, now: Tick) -> Result<Option<ToKernel>, Broken> {
        self.heard = now;
        self.frames += 1;
        if self.frames > KERNEL_FRAMES_MAX {
            return Err(Broken::TooMuch("frames"));
        }
        match (self.phase, frame) {
            (Phase::Over, _) => Err(Broken::Order("a frame after the last")),
            (Phase::Greeted, FromKernel::Ready { protocol, name, capabilities, build_types }) => {
                let Some(task) = self.task.take() else { return Err(Broken::Order("ready twice")) };
                if protocol != PROTOCOL {
                    return Err(Broken::Cannot(format!("it speaks protocol {protocol}, not {PROTOCOL}")));
                }
                if name != self.name {
                    return Err(Broken::Cannot(format!("{} was started, and {name} answers", self.name)));
                }
                let lacks = task.capabilities.iter().find(|wanted| !capabilities.contains(wanted));
                if lacks.is_some() || !build_types.contains(&task.spec.build_type) {
                    return Err(Broken::Cannot(format!("{name} does not know {:?}", task.spec.build_type)));
                }
                self.phase = Phase::Working;
                Ok(Some(ToKernel::Task(Box::new(task))))
            }
            (_, FromKernel::Fail { say, retry: false }) => Err(Broken::Declined { say }),
            (_, FromKernel::Fail { say, retry: true }) => Err(Broken::Failed { say }),
            (Phase::Greeted, _) => Err(Broken::Order("a frame before ready")),
            (Phase::Working, frame) => self.take(frame).map(|()| None),
        }
    }

    /// Its output ended.
    ///
    /// # Errors
    /// Before everything had come.
    pub fn ended(&self) -> Result<(), Broken> {
        if self.phase == Phase::Over { Ok(()) } else { Err(Broken::Died) }
    }

    fn take(&mut self, frame: FromKernel) -> Result<(), Broken> {
        match frame {
            FromKernel::Progress { say, .. } => self.output.say = say.or(self.output.say.take()),
            FromKernel::Ask(ask) => {
                if self.output.asks.iter().any(|other| other.ask_id == ask.ask_id) {
                    return Err(Broken::Order("a question is asked twice"));
                }
                if self.output.asks.len() >= KERNEL_ASKS_MAX {
                    return Err(Broken::TooMuch("questions"));
                }
                self.output.asks.push(ask);
            }
            FromKernel::Artefact { path, text, base64 } => {
                let content = frame::content(text, base64)?;
                self.octets = self.octets.saturating_add(content.len());
                if content.len() > BUNDLE_FILE_MAX || self.octets > BUNDLE_MAX {
                    return Err(Broken::TooMuch("octets of files"));
                }
                if self.output.files.len() >= BUNDLE_FILES_MAX {
                    return Err(Broken::TooMuch("files"));
                }
                if self.output.files.insert(path, content).is_some() {
                    return Err(Broken::Order("a file comes twice"));
                }
            }
            FromKernel::Cite { part, source } => {
                if self.output.cites.len() >= KERNEL_CITES_MAX {
                    return Err(Broken::TooMuch("reasons"));
                }
                self.output.cites.push(Citation { part, source });
            }
            FromKernel::Done { files, digest: told } => {
                if files != self.output.files.len() || told != digest(&self.output.files) {
                    return Err(Broken::Order("the files are not those that came"));
                }
                self.phase = Phase::Over;
            }
            FromKernel::Ready { .. } => return Err(Broken::Order("ready twice")),
            FromKernel::Fail { .. } => {}
        }
        Ok(())
    }
}

/// SHA-256, in hexadecimal digits, over each file in the order of paths: length and octets of its path, then of its content; lengths
/// are 8 octets, the highest first.
#[must_use]
pub fn digest(files: &Files) -> String {
    let mut hash = Sha256::new();
    for (path, content) in files {
        for part in [path.as_bytes(), content] {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
    }
    hash.finalize().iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::kernel::Capability;
    use crate::pipeline::kernel::frame::Choice;
    use crate::pipeline::manifest::{BuildManifest, BuildType, CreatedFrom};
    use crate::pipeline::spec::Spec;
    use std::collections::BTreeMap;
    use std::time::Duration;

    fn task() -> Task {
        let manifest = BuildManifest {
            manifest_id: "m".into(),
            build_type: BuildType::BuildCrm,
            title: "CRM".into(),
            description: "A CRM.".into(),
            features: vec![],
            tech_stack: vec![],
            constraints: serde_json::Map::new(),
            integrations: vec![],
            conversation_id: "c".into(),
            created_from: CreatedFrom::Api,
            confidence: 1.0,
            metadata: serde_json::Map::new(),
        };
        let spec = Spec::compose(&manifest);
        Task {
            id: "b".into(),
            capabilities: vec![Capability::Api],
            manifest,
            spec,
            answers: BTreeMap::new(),
            seconds: 1,
        }
    }

    fn ready(protocol: u32, name: &str, build_type: BuildType) -> FromKernel {
        let capabilities = vec![Capability::Api, Capability::Database];
        FromKernel::Ready { protocol, name: name.into(), capabilities, build_types: vec![build_type] }
    }

    fn working() -> Session {
        let (mut session, hello) = Session::new("k", task(), Tick(0));
        assert_eq!(hello, ToKernel::Hello { protocol: PROTOCOL });
        let told = session.hear(ready(PROTOCOL, "k", BuildType::BuildCrm), Tick(1)).unwrap();
        assert!(matches!(told, Some(ToKernel::Task(_))));
        session
    }

    fn hear(session: &mut Session, frames: Vec<FromKernel>) -> Result<(), Broken> {
        frames.into_iter().try_for_each(|frame| session.hear(frame, Tick(2)).map(|told| assert_eq!(told, None)))
    }

    fn file(path: &str, content: &str) -> FromKernel {
        FromKernel::artefact(path.into(), content.into())
    }

    fn done(files: &[(&str, &str)]) -> FromKernel {
        let files: Files = files.iter().map(|(path, text)| ((*path).into(), text.as_bytes().to_vec())).collect();
        FromKernel::Done { files: files.len(), digest: digest(&files) }
    }

    #[test]
    fn what_a_kernel_made_is_taken_when_it_says_that_it_is_all() {
        let mut session = working();
        let say = |say: &str| FromKernel::Progress { percent: 5, say: Some(say.into()) };
        let frames = vec![
            say("Tables."),
            FromKernel::Progress { percent: 9, say: None },
            file("b", "2"),
            file("a", "1"),
            FromKernel::Cite { part: "a".into(), source: "b".into() },
        ];
        hear(&mut session, frames).unwrap();
        assert!(!session.is_over() && session.ended() == Err(Broken::Died));
        hear(&mut session, vec![done(&[("a", "1"), ("b", "2")])]).unwrap();
        assert!(session.is_over() && session.ended().is_ok() && session.tick(Tick(u64::MAX)).is_ok());
        assert!(matches!(session.hear(say("more"), Tick(3)), Err(Broken::Order(_))));
        let output = session.output().unwrap();
        assert_eq!((output.files.len(), output.say.as_deref(), output.cites.len()), (2, Some("Tables."), 1));
    }

    #[test]
    fn what_comes_at_the_wrong_time_or_too_often_ends_it() {
        let ask = |id: &str| {
            let choices = ["a", "b"].map(|value| Choice { value: value.into(), say: value.into() }).to_vec();
            let question = "Which?".to_owned();
            FromKernel::Ask(Ask { ask_id: id.into(), question, choices, default: "a".into(), wait_s: 0 })
        };
        let wrong: [Vec<FromKernel>; 6] = [
            vec![ready(PROTOCOL, "k", BuildType::BuildCrm)],
            vec![file("a", "1"), file("a", "1")],
            vec![file("a", "1"), done(&[("a", "2")])],
            vec![done(&[("a", "1")])],
            vec![ask("x"), ask("x")],
            (0..=KERNEL_ASKS_MAX).map(|n| ask(&format!("x{n}"))).collect(),
        ];
        for frames in wrong {
            let told = format!("{frames:?}");
            let found = hear(&mut working(), frames);
            assert!(matches!(found, Err(Broken::Order(_) | Broken::TooMuch(_))), "{told}: {found:?}");
        }
        let too_much: [Vec<FromKernel>; 4] = [
            vec![file("a", &"x".repeat(BUNDLE_FILE_MAX + 1))],
            (0..=BUNDLE_MAX / BUNDLE_FILE_MAX).map(|n| file(&n.to_string(), &"x".repeat(BUNDLE_FILE_MAX))).collect(),
            (0..=BUNDLE_FILES_MAX).map(|n| file(&n.to_string(), "")).collect(),
            vec![FromKernel::Progress { percent: 0, say: None }; KERNEL_FRAMES_MAX + 1],
        ];
        for frames in too_much {
            assert!(matches!(hear(&mut working(), frames), Err(Broken::TooMuch(_))));
        }
        let (mut early, _) = Session::new("k", task(), Tick(0));
        assert!(matches!(early.hear(file("a", "1"), Tick(1)), Err(Broken::Order(_))));
        for other in [
            ready(PROTOCOL + 1, "k", BuildType::BuildCrm),
            ready(PROTOCOL, "other", BuildType::BuildCrm),
            ready(PROTOCOL, "k", BuildType::BuildApi),
        ] {
            let (mut session, _) = Session::new("k", task(), Tick(0));
            assert!(matches!(session.hear(other, Tick(1)), Err(Broken::Cannot(_))));
        }
        let fail = |retry| FromKernel::Fail { say: "no".into(), retry };
        assert_eq!(working().hear(fail(false), Tick(2)), Err(Broken::Declined { say: "no".into() }));
        assert_eq!(working().hear(fail(true), Tick(2)), Err(Broken::Failed { say: "no".into() }));
    }

    #[test]
    fn silence_and_a_task_without_end_are_over_to_the_nanosecond() {
        let (session, _) = Session::new("k", task(), Tick(7));
        let end = Tick(7) + KERNEL_READY_MAX;
        assert_eq!((session.deadline(), session.tick(Tick(end.0 - 1))), (end, Ok(())));
        assert_eq!(session.tick(end), Err(Broken::Silent(KERNEL_READY_MAX.as_secs())));
        let mut session = working();
        let alive = FromKernel::Progress { percent: 0, say: None };
        let mut now = Tick(1);
        while session.tick(now).is_ok() {
            now = (now + (KERNEL_SILENCE_MAX - Duration::from_nanos(1))).min(Tick(0) + KERNEL_TASK_MAX);
            if session.tick(now).is_ok() {
                session.hear(alive.clone(), now).unwrap();
            }
        }
        assert_eq!((session.tick(now), now), (Err(Broken::Late(KERNEL_TASK_MAX.as_secs())), Tick(0) + KERNEL_TASK_MAX));
        let mut session = working();
        session.hear(alive, Tick(9)).unwrap();
        let silent = session.tick(Tick(9) + KERNEL_SILENCE_MAX);
        assert_eq!(silent, Err(Broken::Silent(KERNEL_SILENCE_MAX.as_secs())));
    }
}
