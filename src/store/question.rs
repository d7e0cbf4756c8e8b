//! Questions in the middle of a build. Invariants: a build asks each once, however often its generator is run; an answer, and what
//! it sets going, are one transaction, so that no kill comes between: a build that is not live yet goes back to where the answer
//! matters, a live app gets its next version by a build of its own, whose id is derived. Deliberately absent: who is asked, and
//! how (`conversation`, `api`), and what is asked (`pipeline::kernel`).

use super::build::{self, Submitted};
use super::call::{time, time_or_null};
use super::event::{append, derived_id};
use super::{Build, Commit, EventKind, Store, StoreError};
use crate::conversation::BuildStage;
use crate::pipeline::manifest::{BuildManifest, manifest_id};
use crate::time::Wallclock;
use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// How a question stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum QuestionState {
    /// Nobody has answered; meanwhile its default holds.
    Open,
    /// It is answered.
    Answered,
    /// Nobody answered in time: its default holds.
    Defaulted,
}

/// Who answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AnsweredBy {
    /// A caller.
    Voice,
    /// The HTTP API.
    Api,
}

/// What may be answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuestionChoice {
    /// For programs.
    pub value: String,
    /// As people say it.
    pub say: String,
}

/// A question that is to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewQuestion {
    /// Its name within the build.
    pub name: String,
    /// In spoken words.
    pub question: String,
    /// What may be answered.
    pub choices: Vec<QuestionChoice>,
    /// The value that holds without an answer.
    pub default: String,
    /// The build waits so long; `None`: it does not.
    pub due: Option<Wallclock>,
}

/// One question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Question {
    /// `ask_…`, derived from the build's id and the name.
    pub id: String,
    /// Which build asks.
    #[serde(skip)]
    pub build_id: String,
    /// Its name within the build, e.g. `currency`.
    pub name: String,
    /// In spoken words.
    pub question: String,
    /// What may be answered.
    pub choices: Vec<QuestionChoice>,
    /// The value that holds without an answer.
    pub default: String,
    /// The build waits until then; null: it does not.
    #[serde(serialize_with = "time_or_null")]
    pub due: Option<Wallclock>,
    /// How it stands.
    pub state: QuestionState,
    /// The value that holds.
    pub answer: Option<String>,
    /// Who said so.
    pub answered_by: Option<AnsweredBy>,
    /// The build that brings the answer into an app that is live already.
    pub follow_up: Option<String>,
    /// When it was asked.
    #[serde(serialize_with = "time")]
    pub asked: Wallclock,
}

/// What became of an answer.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one at a time")]
pub enum Answered {
    /// It is written down; nothing has to be done for it.
    Noted,
    /// The build goes on with it.
    GoesOn,
    /// A build of its own brings it into the live app.
    FollowUp(Build),
    /// It was answered otherwise, or nobody waits for it any more.
    TooLate,
    /// The app is just going live; again in a moment.
    InAMoment,
    /// That cannot be answered; what can.
    NoChoice(Vec<QuestionChoice>),
    /// There is no such build, or it does not ask that.
    Unknown,
    /// Too many builds wait.
    Slow,
}

/// The questions of a [`Store`].
#[derive(Debug, Clone, Copy)]
pub struct Questions<'a>(pub(super) &'a Store);

impl Questions<'_> {
    /// Writes down what the holder of this build asks; what was asked before stays as it is. False: the build is another's now.
    #[must_use = "a question that is not awaited may not be on disk"]
    pub fn ask(&self, build: &Build, asks: Vec<NewQuestion>, now: Wallclock) -> Commit<bool> {
        let (id, fence) = (build.id.clone(), build.fence);
        self.0.write(move |db| {
            if build::find(db, "id", &id)?.is_none_or(|build| build.fence != fence) {
                return Ok(false);
            }
            for ask in asks {
                insert(db, &id, &ask, now)?;
            }
            Ok(true)
        })
    }

    /// The build waits for its open questions no longer: those that are due are settled by their defaults. Returns all of the
    /// build's questions.
    #[must_use = "what is settled and not awaited may not be on disk"]
    pub fn settle(&self, build: &str, now: Wallclock) -> Commit<Vec<Question>> {
        let build = build.to_owned();
        self.0.write(move |db| {
            db.execute(
                "UPDATE questions SET state = 'defaulted', answer = fallback, updated = ?2
                 WHERE build_id = ?1 AND state = 'open' AND due <= ?2",
                params![build, now.0.cast_signed()],
            )?;
            of_build(db, &build)
        })
    }

    /// The questions of a build, in the order in which they were asked.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn of_build(&self, build: &str) -> Result<Vec<Question>, StoreError> {
        self.0.read(|db| of_build(db, build))
    }

    /// Answers the question called `name` (or of that id) of a build; the same answer again changes nothing.
    #[must_use = "an answer that is not awaited may not be on disk"]
    pub fn answer(&self, build: &str, name: &str, value: &str, by: AnsweredBy, now: Wallclock) -> Commit<Answered> {
        let (build, name, value) = (build.to_owned(), name.to_owned(), value.to_owned());
        self.0.write(move |db| answer(db, &build, &name, &value, by, now))
    }
}

const COLUMNS: &str =
    "id, build_id, name, question, choices, fallback, due, state, answer, answered_by, follow_up, asked";

fn insert(db: &Connection, build: &str, ask: &NewQuestion, now: Wallclock) -> Result<(), StoreError> {
    let id = derived_id("ask", &[build, &ask.name]);
    let new = db.execute(
        "INSERT INTO questions(id, build_id, name, question, choices, fallback, due, state, asked, updated)
         VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, 'open', ?8, ?8) ON CONFLICT DO NOTHING",
        params![
            id,
            build,
            ask.name,
            ask.question,
            serde_json::to_string(&ask.choices)?,
            ask.default,
            ask.due.map(|at| at.0.cast_signed()),
            now.0.cast_signed(),
        ],
    )?;
    if new > 0 {
        let data = json!({"question_id": id, "name": ask.name, "question": ask.question, "choices": ask.choices,
            "default": ask.default, "due": ask.due.map(|at| at.to_string())});
        append(db, EventKind::BuildQuestionAsked, build, &ask.name, now, &data)?;
    }
    Ok(())
}

fn of_build(db: &Connection, build: &str) -> Result<Vec<Question>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM questions WHERE build_id = ?1 ORDER BY row");
    let mut rows = db.prepare_cached(&sql)?;
    Ok(rows.query_map([build], from_row)?.collect::<Result<_, _>>()?)
}

fn answer(
    db: &Connection,
    build: &str,
    name: &str,
    value: &str,
    by: AnsweredBy,
    now: Wallclock,
) -> Result<Answered, StoreError> {
    let found = of_build(db, build)?.into_iter().find(|q| q.name == name || q.id == name);
    let (Some(question), Some(build)) = (found, build::find(db, "id", build)?) else { return Ok(Answered::Unknown) };
    if !question.choices.iter().any(|choice| choice.value == value) {
        return Ok(Answered::NoChoice(question.choices));
    }
    if question.state == QuestionState::Answered {
        if question.answer.as_deref() != Some(value) {
            return Ok(Answered::TooLate);
        }
        let follow_up = question.follow_up.map(|id| build::find(db, "id", &id)).transpose()?.flatten();
        return Ok(follow_up.map_or(Answered::Noted, Answered::FollowUp));
    }
    let holds = question.answer.as_ref().unwrap_or(&question.default) == value;
    let outcome = match build.stage {
        BuildStage::Parked | BuildStage::Failed => Answered::TooLate,
        BuildStage::Requested | BuildStage::Drafted | BuildStage::Approved => Answered::GoesOn,
        BuildStage::Specified | BuildStage::Planned | BuildStage::Generated | BuildStage::Tested => {
            if !holds || question.due.is_some() {
                again(db, &build, now)?;
            }
            Answered::GoesOn
        }
        BuildStage::Staged | BuildStage::Live | BuildStage::Tracked if holds => Answered::Noted,
        BuildStage::Staged => Answered::InAMoment,
        BuildStage::Live | BuildStage::Tracked => follow_up(db, &build, &question, value, by, now)?,
    };
    if !matches!(outcome, Answered::Noted | Answered::GoesOn | Answered::FollowUp(_)) {
        return Ok(outcome);
    }
    let next = if let Answered::FollowUp(next) = &outcome { Some(next.id.clone()) } else { None };
    db.execute(
        "UPDATE questions SET state = 'answered', answer = ?2, answered_by = ?3, follow_up = ?4, updated = ?5 WHERE id = ?1",
        params![question.id, value, word(by), next, now.0.cast_signed()],
    )?;
    let data = json!({"question_id": question.id, "name": question.name, "answer": value, "by": by, "follow_up": next});
    append(db, EventKind::BuildQuestionAnswered, &build.id, &question.name, now, &data)?;
    Ok(outcome)
}

/// The build goes back to its spec, which now holds the answer; whoever works on it is refused.
fn again(db: &Connection, build: &Build, now: Wallclock) -> Result<(), StoreError> {
    db.execute(
        "UPDATE builds SET stage = 'approved', attempt = 0, fence = fence + 1, lease_until = NULL, not_before = 0, updated = ?2
         WHERE id = ?1",
        params![build.id, now.0.cast_signed()],
    )?;
    Ok(())
}

/// Asks for the app's next version: what is live, with the answer.
fn follow_up(
    db: &Connection,
    build: &Build,
    question: &Question,
    value: &str,
    by: AnsweredBy,
    now: Wallclock,
) -> Result<Answered, StoreError> {
    let sql = "SELECT document FROM manifests WHERE id = coalesce(
                 (SELECT manifest_id FROM builds WHERE id = (SELECT build_id FROM apps WHERE slug = ?1 AND state = 'live')), ?2)";
    let text: String = db.query_row(sql, params![build.slug, build.manifest_id], |row| row.get(0))?;
    let mut next: BuildManifest = serde_json::from_str(&text)?;
    next.manifest_id = manifest_id(&next.conversation_id, &question.id, next.revision().saturating_add(1));
    next.constraints.insert(question.name.clone(), value.into());
    let revision = next.revision().saturating_add(1);
    next.metadata.insert("revision".to_owned(), revision.into());
    next.metadata.insert("amends".to_owned(), build.slug.clone().into());
    let approval = json!({"by": word(by), "answer": question.id, "at": now.to_string()});
    next.metadata.insert("approval".to_owned(), approval);
    Ok(match build::submit(db, &next, now)? {
        Submitted::New(build) | Submitted::Known(build) => Answered::FollowUp(build),
        Submitted::NoApp { .. } => Answered::TooLate,
        Submitted::Slow { .. } => Answered::Slow,
    })
}

const fn word(by: AnsweredBy) -> &'static str {
    match by {
        AnsweredBy::Voice => "voice",
        AnsweredBy::Api => "api",
    }
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Question> {
    let at = |column| {
        Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(|at: i64| Wallclock(at.cast_unsigned())))
    };
    Ok(Question {
        id: row.get(0)?,
        build_id: row.get(1)?,
        name: row.get(2)?,
        question: row.get(3)?,
        // Written by this file alone.
        choices: serde_json::from_str(row.get_ref(4)?.as_str()?).unwrap_or_default(),
        default: row.get(5)?,
        due: at(6)?,
        state: match row.get_ref(7)?.as_str()? {
            "answered" => QuestionState::Answered,
            "defaulted" => QuestionState::Defaulted,
            _ => QuestionState::Open,
        },
        answer: row.get(8)?,
        answered_by: row.get::<_, Option<String>>(9)?.map(|by| match by.as_str() {
            "voice" => AnsweredBy::Voice,
            _ => AnsweredBy::Api,
        }),
        follow_up: row.get(10)?,
        asked: at(11)?.unwrap_or_default(),
    })
}
