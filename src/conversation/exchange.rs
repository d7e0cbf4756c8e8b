//! What goes into a dialogue and what comes out. Purpose: the types that the call's actor, the build pipeline and the
//! dialogue share. Plain data, any thread. Deliberately absent: behaviour.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Expectation;
use crate::pipeline::manifest::BuildManifest;

/// One finished turn of the caller, as recognised.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    /// Words in any case, with or without punctuation; empty when nothing was recognised.
    pub text: String,
    /// The recogniser's own confidence, 0..=1; 1.0 where it has none to give.
    pub confidence: f32,
    /// Other readings of the same sound, the likelier first; may be empty.
    pub alternatives: Vec<String>,
}

impl Heard {
    /// Text that is certain, e.g. typed.
    #[must_use]
    pub fn certain(text: impl Into<String>) -> Self {
        Self::once(text, 1.0)
    }

    /// One reading, with the recogniser's confidence in it.
    #[must_use]
    pub fn once(text: impl Into<String>, confidence: f32) -> Self {
        Self { text: text.into(), confidence, alternatives: Vec::new() }
    }
}

/// What the agent does next.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// Clauses in speaking order, each short enough to be synthesised at once; empty means: say nothing.
    pub say: Vec<String>,
    /// What the caller is expected to answer when all is said.
    pub expect: Expectation,
    /// What the daemon shall do besides speaking.
    pub intent: Option<Intent>,
    /// Hang up when all is said.
    pub hang_up: bool,
    /// A whole PIN has just come, and was right (true) or wrong: for the lock-out across calls.
    pub pin: Option<bool>,
    /// It is for the caller's ear alone: no transcript, no recording.
    pub secret: bool,
}

impl Reply {
    /// All that is said, as one text.
    #[must_use]
    pub fn text(&self) -> String {
        self.say.join(" ")
    }
}

/// What the daemon shall do.
#[derive(Clone, Debug, PartialEq)]
pub enum Intent {
    /// Build what was read back and approved. Submit it; progress comes back by `Dialogue::build_update`.
    Build(BuildManifest),
    /// Look the app up and answer by `Dialogue::facts`. `subject` is lower case, e.g. `crm`.
    Report {
        /// What the caller called it, without article: `crm`, `website`.
        subject: String,
    },
    /// The caller asked for a person. Nobody is configured, and the caller was told so.
    Operator,
    /// Put the caller through to the person who is configured, when all is said. Nobody there: `Dialogue::not_put_through`.
    PutThrough,
    /// Change or take away what there is; asked, confirmed and authorised. The outcome: `Dialogue::changed`.
    Change(Change),
    /// The caller allows the recording (true) or refuses it.
    Record(bool),
    /// The caller is to be called when the build is over (true), or not.
    ReturnCall(bool),
    /// A build's question is answered so.
    Answer {
        /// Which.
        question: BuildQuestion,
        /// The value of a choice of it.
        value: String,
        /// The app is live: a build of its own brings it in. That one's id comes by `Dialogue::build_accepted`.
        follow_up: bool,
    },
    /// How this build ended is told with these words, when they are heard.
    Told {
        /// The build.
        build_id: String,
        /// The sentence that says it.
        line: String,
    },
    /// Ask the app for the code of its first account, and answer by `Dialogue::set_up_code`.
    SetUpCode {
        /// The app's name for paths.
        slug: String,
    },
    /// The caller wants to be called back; both were read back and confirmed.
    CallBack {
        /// Digits only, 3–15.
        number: String,
        /// As it is written; `None` when it was not given.
        name: Option<String>,
    },
}

/// What is done to what there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The version before the live one comes back.
    RollBack {
        /// The app.
        slug: String,
        /// Also where its data of then come back with it.
        lose_data: bool,
    },
    /// The app goes off line, with its data.
    Delete {
        /// The app.
        slug: String,
    },
    /// A build is ended before it is live.
    Cancel {
        /// The build.
        build_id: String,
    },
}

/// What came of a [`Change`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It is done.
    Done,
    /// There is no version before this one.
    First,
    /// The version before does not know the data of today.
    LosesData,
    /// The build is over, or goes live.
    TooLate,
    /// There is no such thing any more.
    NotThere,
    /// Nothing has changed; the log says why.
    Failed,
}

/// How far a build has come: the stages of a manifest's life (`research`: one row a stage, in this order).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildStage {
    /// Accepted and written down.
    Requested,
    /// Manifest drafted.
    Drafted,
    /// Approved by the caller.
    Approved,
    /// Typed spec made.
    Specified,
    /// Task graph made.
    Planned,
    /// Files generated.
    Generated,
    /// Its own tests passed.
    Tested,
    /// Runs beside, not yet visible.
    Staged,
    /// Serves.
    Live,
    /// Its traffic is measured.
    Tracked,
    /// Stopped on a failed check; waits for a person.
    Parked,
    /// Given up.
    Failed,
}

/// One step of a build, for the ear.
#[derive(Clone, Debug, PartialEq)]
pub struct BuildUpdate {
    /// The build, as `Pipeline::submit` named it.
    pub build_id: String,
    /// The stage that was reached.
    pub stage: BuildStage,
    /// A line for the caller from whoever did the work; `None` leaves the words to the dialogue.
    pub say: Option<String>,
    /// Set when the build is over.
    pub outcome: Option<Outcome>,
    /// What its order leaves open.
    pub ask: Option<BuildQuestion>,
}

/// What a build asks whoever ordered it; without an answer the default holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildQuestion {
    /// The build.
    pub build_id: String,
    /// Its name within the build.
    pub name: String,
    /// In spoken words.
    pub question: String,
    /// What may be answered: for programs, and as people say it.
    pub choices: Vec<(String, String)>,
    /// The value that holds without an answer.
    pub default: String,
}

/// How a build ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It serves.
    Live {
        /// Where, e.g. `http://127.0.0.1:8301/`.
        url: String,
        /// Its name, e.g. `crm`.
        app: String,
    },
    /// It stopped. Also for a build that the queue refused.
    Parked {
        /// Which check failed and what is needed, in plain spoken words.
        say: String,
    },
}

/// What an app says of its first account; the code is printed by nothing.
#[derive(Clone, PartialEq, Eq)]
pub enum SetUpCode {
    /// It is made with this code.
    Code(String),
    /// There is one.
    Used,
}

impl fmt::Debug for SetUpCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Code(_) => "Code",
            Self::Used => "Used",
        })
    }
}

/// What is known of a deployed app, measured, for a spoken report.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AppFacts {
    /// Its spoken name, e.g. "CRM".
    pub name: String,
    /// It bears another name than the asked one, and is the only one of the asked kind.
    pub by_kind: bool,
    /// Whether it serves now.
    pub deployed: bool,
    /// It should serve, but does not answer.
    pub silent: bool,
    /// API routes that answer.
    pub apis_live: u32,
    /// Rows in its tables.
    pub records: u64,
    /// Requests per minute over the last minute.
    pub requests_per_minute: f64,
    /// What the app counts itself, by name, e.g. `orders_today`; amounts end in `_cents`.
    pub figures: BTreeMap<String, i64>,
    /// ISO 4217 code of its amounts; empty when it has none.
    pub currency: String,
    /// Its version, counted from 1; 0: none is live.
    pub version: u32,
    /// Requests answered with 5xx since it was put on line.
    pub server_errors: u64,
    /// Most of its answers (95 of 100) took at most so many milliseconds; `None`: nothing was asked.
    pub latency_ms: Option<f64>,
    /// Why the newest build of it had to stop, in spoken words; `None`: it did not.
    pub stopped: Option<String>,
    /// Its name for paths; empty when it is not known.
    pub slug: String,
    /// What it was made from.
    pub manifest: Option<Box<BuildManifest>>,
    /// Set when there is no app of the asked name: the names that there are.
    pub unknown: Option<Vec<String>>,
}
