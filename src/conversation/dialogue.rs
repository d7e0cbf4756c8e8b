//! The deterministic dialogue: greet, learn what to build, ask for what is missing, read back, take an explicit yes, tell
//! how the build goes, report.
//!
//! Pure; owned by the call's actor. State is explicit ([`Dialogue::slots`]): what was asked, what is known, what is missing.
//! Invariants: `Intent::Build` leaves only from [`Question::Approval`], on an explicit yes that was heard after the question
//! or on key 1, and only when what was read back, changes included, was heard; after three prompts without progress the
//! call ends and nothing was started; at most one line a build stage.
//!
//! What is asked, and where the answer leads (a report, a repetition, an operator or a goodbye is possible everywhere):
//!
//! | asked      | heard                                          | next                                     |
//! |------------|------------------------------------------------|------------------------------------------|
//! | `What`     | a request                                      | `Features`, or `Approval` when it has any |
//! | `What`     | a CRM is named, but not clearly wanted, once   | `Offer`, what was heard is kept          |
//! | `What`     | anything else                                  | `What`, in other words                   |
//! | `Offer`    | yes, also with features                        | as a request with all that was heard     |
//! | `Offer`    | no                                             | `What`; nothing is read back             |
//! | `Offer`    | a request, another thing                       | as under `What`                          |
//! | `Instead`  | yes                                            | `Features`                               |
//! | `Features` | features                                       | `Approval`                               |
//! | `Approval` | yes, heard after the question; key 1           | `Nothing`: the build starts              |
//! | `Approval` | the same, but the read-back was cut off        | `Approval`, read back again              |
//! | `Approval` | a yes that is unsure                           | `Approval`; a second one counts          |
//! | `Approval` | no                                             | `Change`                                 |
//! | `Approval`, `Change` | a change                             | `Approval`, with the change read back    |
//! | `Consent`  | yes; key 1                                     | recorded, then as below                  |
//! | `Consent`  | no; key 2; twice neither                       | not recorded, then as below              |
//! | `Pin`      | the right digits; wrong three times            | as below; goodbye                        |
//! | `Sure`     | yes; key 1                             | `Pin`, or done when it has come, or refused |
//! | `Sure`     | anything else                          | left as it is                            |
//! | `GoOn`     | yes; "where were we?"                          | `Features` or `Approval`, asked again    |
//! | `GoOn`     | no, another request                            | `What`; what was kept is forgotten       |
//! | `ReturnCall` | yes, no; keys 1, 2                           | promised or not; anything else: not      |
//! | `OfBuild`  | one of its choices; its key; yes             | what the build asks is answered; anything else: its default holds |
//! | any        | wants a person, and one is there               | put through; where that fails, as below  |
//! | any        | wants a person, and none is                    | `CallBack` (see `call_back`), then back  |
//! | any        | the third prompt without progress              | goodbye; nothing was started             |
//!
//! | file | holds |
//! |---|---|
//! | `prompt` | the questions, and how they are asked again |
//! | `build_question` | what a build asks in the middle of its work |
//! | `call_back` | whom to call back, and where: digits and names, read back |
//! | `hold_on` | a caller who asks for a moment |
//! | `opening` | what comes before the first question: consent, PIN, where a dropped call was |
//! | `change` | what changes or destroys what there is: a question, a yes, the PIN |
//! | `person` | a caller who wants a person, whatever is asked |
//! | `return_call` | who is called when a build is over, and the news then |
//! | `sign_in` | the set-up code for whoever ordered an app |
//! | `report` | how a build goes, how an app is, what is wrong with it, what was before |
//! | `wish` | when a request is acted on: at once, or after a pause |
//!
//! Deliberately absent: knowledge of other calls' builds (facts come in by [`Dialogue::facts`]).

mod build_question;
mod call_back;
mod change;
mod hold_on;
mod opening;
mod person;
mod prompt;
mod report;
mod return_call;
mod sign_in;
mod wish;

use serde::Serialize;
use serde_json::{Value, json};

use self::call_back::CallBack;
use self::prompt::{ASK_APPROVAL, ASK_FEATURES, ASK_OFFER, ASK_WHAT, PROMPTS_MAX};
use super::collect::Collector;
use super::draft::Draft;
use super::{BuildQuestion, BuildStage, Expectation, Heard, Intent, Persona, Reply};
use crate::pipeline::intent::{Act, Context, Fired, Trigger, Understanding, understand_of};
use crate::pipeline::manifest::BuildType;
use crate::time::MediaTime;

pub use self::opening::Kept;
pub use self::return_call::News;

/// Between this and `Answer::confidence_min` a yes is enough for what starts nothing, and approves when it is said twice in a
/// row: recognisers that do not know how sure they are say 0.45, and some of them hear words in noise.
const YES_TWICE_CONFIDENCE_MIN: f32 = 0.4;
/// Words beside a yes to an offer; with more, the caller is speaking of something else.
const OTHER_WORDS_MAX: usize = 3;
/// Prompts to a caller who says nothing while a build takes its time.
const SILENCES_WHILE_BUILDING_MAX: u8 = 8;

/// What the agent has asked last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// What to build.
    What,
    /// Whether a CRM is wanted: one was named, but perhaps not asked for.
    Offer,
    /// Whether a CRM would do instead of something that cannot be built.
    Instead,
    /// What the CRM shall keep.
    Features,
    /// Whether to build what was read back.
    Approval,
    /// What to change about it.
    Change,
    /// Nothing: a build runs, or is over.
    Nothing,
    /// What a build leaves open.
    OfBuild,
    /// Whether somebody shall call back.
    CallBack,
    /// On which number.
    Number,
    /// Whether the number was heard right.
    NumberRight,
    /// Who is to be called back.
    Name,
    /// Whether the name was heard right.
    NameRight,
    /// Whether the call may be recorded.
    Consent,
    /// The digits that the agent's callers know.
    Pin,
    /// Whether to go on where a dropped call was.
    GoOn,
    /// Whether something that there is shall be changed or taken away.
    Sure,
    /// Whether the caller shall be called when the build is over.
    ReturnCall,
}

/// What still has to be learned before a build may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Slot {
    /// What to build.
    Artefact,
    /// At least one thing that it keeps.
    Features,
    /// The caller's yes.
    Approval,
}

/// The state of the conversation about a build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Slots {
    /// The last question.
    pub asked: Question,
    /// Title of what is wanted; `None` until something is.
    pub title: Option<String>,
    /// Known: features that will be built.
    pub features: Vec<String>,
    /// Known: asked for, cannot be built yet.
    pub open_points: Vec<String>,
    /// Revision of the request, from 1; 0 before there is one.
    pub revision: u32,
    /// Missing, in the order in which it is asked for.
    pub missing: Vec<Slot>,
}

/// The build that this call started.
#[derive(Clone, Debug)]
struct Build {
    /// As the pipeline named it; the first update names it when nobody did.
    id: Option<String>,
    title: String,
    stage: BuildStage,
    over: bool,
}

/// One caller's conversation. See the module.
#[derive(Clone, Debug)]
pub struct Dialogue {
    persona: Persona,
    conversation_id: String,
    question: Question,
    draft: Option<Draft>,
    /// What was heard when a CRM was offered; offered at most once a call.
    offered: Option<Understanding>,
    /// Last revision given in this conversation.
    revision: u32,
    /// Prompts without progress.
    failures: u8,
    build: Option<Build>,
    /// What "it" is in a question about a build.
    subject: Option<String>,
    last_say: Vec<String>,
    last_expect: Expectation,
    /// Whether the caller heard the approval question to its end.
    question_heard: bool,
    /// Whether the caller heard all that a yes would approve.
    read_back_heard: bool,
    /// Whether the last reply reads back, before the question, something that is to be approved.
    reads_back: bool,
    /// Whether the last reply asks again after a yes that the recogniser was not sure of.
    unsure_yes: bool,
    /// Whether the caller has said hello.
    greeted: bool,
    /// What is known of a call back while it is asked for.
    call_back: Option<CallBack>,
    /// Digits on their way, while digits are asked for.
    collector: Option<Collector>,
    /// Prompts to a silent caller since the caller was last heard.
    silences: u8,
    /// Consent was asked for once and the answer was neither yes nor no.
    consent_unclear: bool,
    /// The right PIN has come.
    pin_passed: bool,
    /// Where a dropped call was, until it is clear whether to go on there.
    pending: Option<Kept>,
    /// Goodbye has been said: nothing is left to go on with.
    left: bool,
    /// The caller is about to be put through to a person.
    putting_through: bool,
    /// What is asked about the app that is being looked up.
    asked_about: report::About,
    /// What is to be done to what there is.
    change: Option<change::Wanted>,
    /// When requests in the middle of talk are acted on.
    trigger: Trigger,
    /// What opened the order that is talked about.
    fired: Option<Fired>,
    /// Last voice of the turn that is being answered, where there is a clock.
    heard_until: Option<MediaTime>,
    /// The time of turns without one.
    unclocked: MediaTime,
    /// What this call begins with.
    news: Option<News>,
    /// What a build asks and nobody has answered.
    asked_by_build: Option<BuildQuestion>,
    /// Whether the caller is called when the build is over.
    promise: return_call::Promise,
    /// That is asked of a caller who is about to go.
    leaving: bool,
    /// Enough of the question whether to call was heard for an answer to it.
    offer_heard: bool,
    /// The caller was asked whether to call when news came that left nothing to call for: this says so.
    overtaken: Option<&'static str>,
    /// The build was ordered on another call, by somebody whom this caller may only seem to be.
    inherited: bool,
    /// The app that this call has ordered, or has been told the news of; its name for paths.
    own_app: Option<String>,
    /// Its set-up code has been said.
    code_told: bool,
    /// Whether the last reply holds something secret.
    last_secret: bool,
}

impl Dialogue {
    /// A conversation that has not begun. `conversation_id` goes into the manifest and derives its id.
    #[must_use]
    pub fn new(persona: Persona, conversation_id: impl Into<String>) -> Self {
        let conversation_id = conversation_id.into();
        let trusted = persona.trusted;
        Self {
            persona,
            trigger: Trigger::new(conversation_id.clone()),
            asked_about: report::About::State,
            change: None,
            fired: None,
            heard_until: None,
            unclocked: MediaTime(0),
            conversation_id,
            question: Question::What,
            draft: None,
            offered: None,
            revision: 0,
            failures: 0,
            build: None,
            subject: None,
            last_say: Vec::new(),
            last_expect: Expectation::Open,
            question_heard: false,
            read_back_heard: false,
            reads_back: false,
            unsure_yes: false,
            greeted: false,
            call_back: None,
            collector: None,
            silences: 0,
            consent_unclear: false,
            pin_passed: trusted,
            pending: None,
            left: false,
            putting_through: false,
            news: None,
            asked_by_build: None,
            promise: return_call::Promise::Open,
            leaving: false,
            offer_heard: false,
            overtaken: None,
            inherited: false,
            own_app: None,
            code_told: false,
            last_secret: false,
        }
    }

    /// What was asked, what is known, what is missing.
    #[must_use]
    pub fn slots(&self) -> Slots {
        let draft = self.draft.as_ref();
        let missing = match draft {
            _ if self.building() => Vec::new(),
            None => vec![Slot::Artefact, Slot::Features, Slot::Approval],
            Some(d) if !d.has_features() => vec![Slot::Features, Slot::Approval],
            Some(_) => vec![Slot::Approval],
        };
        Slots {
            asked: self.question,
            title: draft.map(Draft::title),
            features: draft.map(Draft::feature_keys).unwrap_or_default(),
            open_points: draft.map(Draft::open_keys).unwrap_or_default(),
            revision: draft.map_or(0, |d| d.revision),
            missing,
        }
    }

    /// Whether a build that this call started is running.
    #[must_use]
    pub fn building(&self) -> bool {
        self.build.as_ref().is_some_and(|b| !b.over)
    }

    /// The first words.
    pub fn greet(&mut self) -> Reply {
        self.begin_call()
    }

    /// The caller's turn is over and was recognised as `heard`.
    pub fn hear(&mut self, heard: &Heard) -> Reply {
        if !heard.text.is_empty() {
            (self.silences, self.left) = (0, false);
        }
        if self.putting_through {
            return self.hear_before_person(heard);
        }
        if let Some(reply) = self.hear_wait(heard) {
            return reply;
        }
        let context = match self.question {
            Question::What | Question::Offer | Question::Instead => Context::AskedWhat,
            Question::Features => Context::AskedFeatures,
            Question::Approval | Question::Change => Context::AskedApproval,
            Question::CallBack | Question::Number | Question::NumberRight | Question::Name | Question::NameRight => {
                return self.hear_call_back(heard);
            }
            Question::Consent | Question::Pin | Question::GoOn => return self.hear_opening(heard),
            Question::Sure => return self.hear_sure(heard),
            Question::Nothing | Question::ReturnCall | Question::OfBuild => Context::Free,
        };
        if let Some(reply) = self.hear_build_question(heard) {
            return reply;
        }
        if let Some(reply) = self.hear_return_call(heard).or_else(|| self.hear_sign_in(heard)) {
            return reply;
        }
        if let Some(reply) = self.hear_change(heard) {
            return reply;
        }
        self.note_wish(heard);
        if let Some(reply) = self.hear_question(heard) {
            return reply;
        }
        let understood = self.read(heard, context);
        if let Some(reply) = self.common(&understood) {
            return reply;
        }
        match self.question {
            _ if self.building() => self.hear_while_building(&understood),
            Question::What | Question::Nothing | Question::OfBuild => {
                self.hear_wish(&understood).unwrap_or_else(|| self.hear_request(&understood))
            }
            Question::Offer => self.hear_offer_answered(&understood, heard),
            Question::Instead if understood.answer.approves() => self.begin(&understood),
            Question::Instead => {
                if understood.act == Act::Reject {
                    self.question = Question::What;
                }
                self.hear_request(&understood)
            }
            Question::Features => self.hear_features(&understood),
            // The questions about a call back have been answered above.
            _ => self.hear_answer(&understood, heard),
        }
    }

    /// What a turn means. Where the best reading means nothing, another may; but an approval or an agreement is only ever
    /// taken from the best, and a request that only another reading holds is asked back, not begun.
    fn read(&self, heard: &Heard, context: Context) -> Understanding {
        let kind = self.draft.as_ref().map(Draft::kind);
        let best = understand_of(&heard.text, context, kind);
        if best.act != Act::Other || best.hinted || best.answer.yes > 0.0 || best.answer.no > 0.0 {
            return best;
        }
        let useful = |other: &Understanding| match other.act {
            Act::Features => matches!(context, Context::AskedFeatures | Context::AskedApproval),
            // Not for a person: that would lead away from the order.
            Act::Report(_) | Act::Repeat | Act::Help => true,
            Act::BuildCrm => other.fires() && context == Context::AskedWhat,
            _ => false,
        };
        let other = heard.alternatives.iter().map(|text| understand_of(text, context, kind)).find(useful);
        match other {
            Some(mut other) if other.act == Act::BuildCrm => {
                (other.act, other.hinted, other.confidence) = (Act::Other, true, best.confidence);
                other.answer = best.answer;
                other
            }
            Some(other) => other,
            None => best,
        }
    }

    /// A key: `0`–`9`, `*`, `#`. 1 yes, 2 change, 3 repeat, 0 operator, * stop.
    pub fn key(&mut self, key: char) -> Reply {
        (self.silences, self.left) = (0, false);
        if self.putting_through {
            return self.key_before_person(key);
        }
        if let Some(reply) = self.opening_key(key) {
            return reply;
        }
        if let Some(reply) = self.call_back_key(key) {
            return reply;
        }
        if let Some(reply) =
            self.sure_key(key).or_else(|| self.return_call_key(key)).or_else(|| self.build_question_key(key))
        {
            return reply;
        }
        match key {
            '1' if self.question == Question::Offer => self.take_offer(1.0, None),
            '2' if self.question == Question::Offer => self.stop(),
            '1' if self.question == Question::Approval && !self.read_back_heard => self.ask_approval(Vec::new()),
            '1' if self.question == Question::Approval => self.approve(json!({ "by": "key", "key": "1" })),
            // After "What shall I change?" the question has to be asked again.
            '1' if self.question == Question::Change => self.ask_approval(Vec::new()),
            '2' if matches!(self.question, Question::Approval | Question::Change) => {
                self.failures = 0;
                self.ask_change()
            }
            '3' => self.again(),
            '0' => self.operator(),
            '*' => self.stop(),
            '1' | '2' if self.building() => self.say(&["I am on it already."]),
            '1' | '2' => self.fail(&["There is nothing to approve yet."]),
            _ => self.fail(&["That key does nothing here."]),
        }
    }

    /// The caller has been silent for as long as the agent waits.
    pub fn no_input(&mut self) -> Reply {
        if self.putting_through {
            return self.put_through();
        }
        self.silences = self.silences.saturating_add(1);
        if self.question == Question::Sure {
            return self.silent_at_sure();
        }
        if self.building() {
            if self.silences > SILENCES_WHILE_BUILDING_MAX {
                return self.hang_up(&["Your build goes on.", "Goodbye."]);
            }
            return self.say(&["I am still on it."]);
        }
        let prompts = self.persona.idle_prompts;
        if self.silences > prompts || (prompts < PROMPTS_MAX && self.failures + 1 >= PROMPTS_MAX) {
            // Nobody has said goodbye: the line may have been cut, and the order waits for another call.
            let draft = self.draft.clone();
            let reply = self.give_up();
            (self.draft, self.left) = (draft, false);
            return reply;
        }
        self.failures = self.failures.min(PROMPTS_MAX - 2);
        self.fail(&["Are you still there?"])
    }

    /// The agent was interrupted while it said `said` ([`Reply::text`] of that reply), after this many whole words of it had
    /// been heard ([`super::heard_words`]); with all of them it was not. A spoken yes to a question that was not heard is no
    /// approval, nor is any yes to a read-back that was not. News of an older reply, e.g. one that a key has already answered,
    /// changes nothing; newer news of the same reply replace older.
    pub fn cut_off(&mut self, said: &str, words_heard: usize) {
        if said != self.last_say.join(" ") {
            return;
        }
        let mut words = 0;
        for clause in &self.last_say {
            if clause == ASK_APPROVAL && self.reads_back {
                self.read_back_heard = words_heard >= words;
            }
            if return_call::is_offer(clause) {
                self.offer_heard = words_heard >= words + return_call::OFFER_WORDS_MIN;
            }
            words += clause.split_whitespace().count();
            if clause == ASK_APPROVAL {
                self.question_heard = words_heard >= words;
            }
        }
    }

    /// The pipeline has taken the build of [`Intent::Build`] under this id; updates of other builds are ignored from now on.
    pub fn build_accepted(&mut self, build_id: &str) {
        if let Some(build) = &mut self.build {
            build.id = Some(build_id.to_owned());
        }
    }

    /// The pipeline has not taken the build; `why` in spoken words. The caller may approve again.
    pub fn build_refused(&mut self, why: &str) -> Reply {
        self.build = None;
        self.ask_approval(vec!["I could not start it.".to_owned(), why.to_owned()])
    }

    // What a caller may say at any time.

    fn common(&mut self, understood: &Understanding) -> Option<Reply> {
        Some(match &understood.act {
            Act::Report(subject) => self.report(subject.clone()),
            Act::Repeat => self.again(),
            Act::Operator => self.operator(),
            Act::Help => {
                let mut say = vec![
                    "I build CRMs by phone.".to_owned(),
                    "Say, for example: build a CRM with contacts and deals.".to_owned(),
                    "Or ask how your CRM is doing.".to_owned(),
                ];
                let expect = self.ask_again(&mut say);
                self.reply(say, expect)
            }
            Act::Goodbye if self.building() => self.leave_a_build(),
            Act::Goodbye => self.hang_up(&["Thank you for calling.", "Goodbye."]),
            _ => return None,
        })
    }

    fn hear_request(&mut self, understood: &Understanding) -> Reply {
        match &understood.act {
            Act::BuildCrm if understood.fires() => self.begin(understood),
            Act::BuildOther(name) if BuildType::of_noun(name).is_some() => self.begin(understood),
            Act::BuildOther(name) => {
                self.failures = 0;
                self.question = Question::Instead;
                let first = format!("I can't build {} {name} yet.", article(name));
                self.reply(
                    vec![
                        first,
                        "I build CRMs, websites, online shops, APIs and dashboards.".into(),
                        "Shall it be a CRM?".into(),
                    ],
                    Expectation::YesNo,
                )
            }
            Act::Cancel if self.build.is_some() => self.say(&["I can't undo a build from here yet."]),
            Act::Cancel => self.stop(),
            Act::Reject if self.build.is_some() => self.hang_up(&["All right.", "Goodbye."]),
            Act::Reject => self.fail(&["All right."]),
            // People answer a greeting; only a second one is no progress.
            Act::Greeting if !std::mem::replace(&mut self.greeted, true) => {
                let mut say = vec!["Hello. I can hear you.".to_owned()];
                let expect = self.ask_again(&mut say);
                self.reply(say, expect)
            }
            Act::Greeting => self.fail(&["I can hear you."]),
            Act::Nothing => self.fail(&["I did not hear you."]),
            _ if self.build.is_some() && understood.answer.no == 0.0 && understood.answer.other_words == 0 => {
                // "Thank you", "great" after a build is live.
                self.say(&["You are welcome."])
            }
            // Named, but perhaps misheard: a person would ask back.
            _ if understood.hinted && self.question == Question::What && self.offered.is_none() => {
                self.offered = Some(understood.clone());
                self.question = Question::Offer;
                self.reply(vec![ASK_OFFER.to_owned()], Expectation::YesNo)
            }
            _ => self.fail(&["Sorry, I did not get that."]),
        }
    }

    /// What follows "Shall I build a CRM for you?". A yes leads to the read-back, which takes its own yes.
    fn hear_offer_answered(&mut self, understood: &Understanding, heard: &Heard) -> Reply {
        let answer = &understood.answer;
        match &understood.act {
            // "no, I said build a CRM with deals".
            Act::BuildCrm if understood.fires() => self.take_offer(understood.confidence, Some(understood)),
            Act::BuildOther(_) | Act::Cancel | Act::Nothing => self.hear_request(understood),
            _ if answer.rejects() => self.stop(),
            _ if answer.no >= 0.9 => self.fail(&["I need a clear yes or no."]),
            _ if agrees(understood) && heard.confidence < YES_TWICE_CONFIDENCE_MIN => {
                self.fail(&["I am not sure that I heard a yes."])
            }
            _ if agrees(understood) => self.take_offer(answer.yes, Some(understood)),
            _ => self.fail(&["Sorry, I did not get that."]),
        }
    }

    fn hear_features(&mut self, understood: &Understanding) -> Reply {
        match &understood.act {
            Act::Features => {
                let Some(draft) = &mut self.draft else { return self.ask_what() };
                draft.take(&understood.edit);
                draft.specify(&understood.entities);
                if !draft.has_features() && understood.edit.whatever {
                    draft.take_usual();
                }
                self.failures = 0;
                self.proceed()
            }
            Act::BuildCrm if understood.fires() && !understood.edit.is_empty() => self.begin(understood),
            Act::Cancel => self.stop(),
            Act::BuildCrm if understood.fires() => self.fail(&[]),
            Act::BuildOther(_) => self.hear_request(understood),
            _ => self.fail(&["Sorry, I did not get that."]),
        }
    }

    fn hear_answer(&mut self, understood: &Understanding, heard: &Heard) -> Reply {
        let asked = self.question == Question::Approval && self.question_heard && self.read_back_heard;
        match &understood.act {
            // A yes to something else than "Shall I build it?", or to what was not heard.
            Act::Approve if !asked => self.ask_approval(Vec::new()),
            Act::Approve if heard.confidence < YES_TWICE_CONFIDENCE_MIN.min(understood.answer.confidence_min()) => {
                self.fail(&["I am not sure that I heard a yes."])
            }
            Act::Approve if heard.confidence < understood.answer.confidence_min() && !self.unsure_yes => {
                let reply = self.fail(&["I am not sure that I heard a yes."]);
                self.unsure_yes = true;
                reply
            }
            Act::Approve => self.approve(json!({
                "by": "voice",
                "heard": heard.text,
                "confidence": f64::from(heard.confidence),
            })),
            Act::Cancel => self.stop(),
            _ if understood.act == Act::Features
                || understood.name.is_some()
                || !understood.also.is_empty()
                || understood.specifies() =>
            {
                self.amend(understood)
            }
            Act::Reject if self.question == Question::Approval => {
                let read_back_heard = self.read_back_heard;
                let reply = self.fail(&["All right, not like that."]);
                if reply.hang_up {
                    return reply;
                }
                // Not said after all.
                self.read_back_heard = read_back_heard;
                self.ask_change()
            }
            Act::Reject | Act::Unsure => self.fail(&["I need a clear yes or no."]),
            Act::Nothing => self.fail(&["I did not hear you."]),
            _ => self.fail(&["Sorry, I did not get that."]),
        }
    }

    fn hear_while_building(&mut self, understood: &Understanding) -> Reply {
        match understood.act {
            Act::Cancel => self.say(&["It is being built already.", "I can't stop it from here."]),
            Act::BuildCrm | Act::BuildOther(_) | Act::Features => {
                self.say(&["One build at a time.", "Ask me again when this one is up."])
            }
            Act::Nothing => Reply { expect: self.last_expect, ..Reply::default() },
            _ => self.say(&["One moment, I am still on it."]),
        }
    }

    // Steps of a request.

    fn begin(&mut self, understood: &Understanding) -> Reply {
        self.failures = 0;
        self.revision += 1;
        self.draft = Some(Draft::new(understood, self.revision).known_by(self.fired.take()));
        self.proceed()
    }

    /// The caller wants the CRM that was offered: with what was heard before, and what the answer adds. `confidence`: in the
    /// answer.
    fn take_offer(&mut self, confidence: f64, answer: Option<&Understanding>) -> Reply {
        let Some(mut wanted) = self.offered.clone() else { return self.ask_what() };
        wanted.confidence = confidence;
        if let Some(answer) = answer {
            wanted.name = answer.name.clone().or(wanted.name);
            wanted.purpose = answer.purpose.clone().or(wanted.purpose);
        }
        self.failures = 0;
        self.revision += 1;
        let mut draft = Draft::new(&wanted, self.revision);
        if let Some(answer) = answer {
            draft.take(&answer.edit);
            draft.specify(&answer.entities);
        }
        self.draft = Some(draft);
        self.proceed()
    }

    /// Asks for what is missing next.
    fn proceed(&mut self) -> Reply {
        match &self.draft {
            None => self.ask_what(),
            Some(draft) if !draft.has_features() => {
                self.question = Question::Features;
                let say = vec![draft.what() + ".", ASK_FEATURES.to_owned()];
                self.reply(say, Expectation::Open)
            }
            Some(_) => self.read_back(Vec::new()),
        }
    }

    fn amend(&mut self, understood: &Understanding) -> Reply {
        let Some(draft) = &mut self.draft else { return self.ask_what() };
        self.failures = 0;
        let delta = draft.amend(understood);
        self.revision = self.revision.max(draft.revision);
        let mut say = delta.say;
        if !delta.changed {
            say.push("Nothing changes.".to_owned());
        }
        let changed = delta.changed;
        let reply = self.ask_approval(say);
        // A change counts as read back when it was heard.
        self.reads_back |= changed;
        reply
    }

    fn approve(&mut self, approval: Value) -> Reply {
        if let Some(reply) = self.hold_for_pin(&approval) {
            return reply;
        }
        let Some(draft) = &self.draft else { return self.ask_what() };
        let manifest = draft.manifest(&self.conversation_id, approval);
        self.build = Some(Build { id: None, title: draft.title(), stage: BuildStage::Approved, over: false });
        self.subject = Some(draft.title().to_lowercase());
        self.failures = 0;
        self.inherited = false;
        self.question = Question::Nothing;
        let mut say = vec!["I'm on it.".into(), "It takes a few seconds.".into(), "Please stay on the line.".into()];
        let expect = self.offer_return_call(&mut say);
        let mut reply = self.reply(say, expect);
        reply.intent = Some(Intent::Build(manifest));
        reply
    }

    fn stop(&mut self) -> Reply {
        if self.building() {
            return self.say(&["It is being built already.", "I can't stop it from here."]);
        }
        self.draft = None;
        self.question = Question::What;
        // Stopping is a clear wish; only doing it over and over is no progress.
        self.failures += 1;
        if self.failures >= PROMPTS_MAX {
            return self.give_up();
        }
        self.say(&["All right. Nothing is being built.", "What else can I do for you?"])
    }

    fn again(&mut self) -> Reply {
        if self.question == Question::Approval {
            return self.read_back(Vec::new());
        }
        let mut say = self.last_say.clone();
        if say.is_empty() {
            say.push(ASK_WHAT.to_owned());
        }
        let secret = self.last_secret;
        let reply = self.reply(say, self.last_expect);
        if secret { self.secret(reply) } else { reply }
    }
}

/// Whether a turn says yes to a question that starts nothing: "sure", "yes that would be lovely", "yes but with notes".
fn agrees(understood: &Understanding) -> bool {
    let answer = &understood.answer;
    let strong = answer.yes >= 0.9;
    match (strong, answer.no == 0.0) {
        (true, true) => answer.other_words <= OTHER_WORDS_MAX || !understood.edit.is_empty(),
        (true, false) => !understood.edit.is_empty(),
        (false, true) => answer.yes > 0.0 && answer.other_words == 0,
        (false, false) => false,
    }
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O']) { "an" } else { "a" }
}
