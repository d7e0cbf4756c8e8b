//! The one act of a turn: request, answer, change, question about a build, or a way out.
//!
//! Pure. Purpose: [`understand`] weighs what the other files found, in the light of what the agent asked last.
//! Invariant: [`Act::Approve`] only in [`Context::AskedApproval`], and only when [`Answer::approves`].
//! Deliberately absent: what to do about it (the dialogue).

use super::artefact::{Artefact, mentions};
use super::entity::{Constraints, Entities, entities};
use super::fuse::{Asked, likeliest, read};
use super::label::Label;
use super::report::report;
use super::request::{other_requests, request};
use super::transcript::PAUSE;
use super::way_out::{CANCELS, ends_with_goodbye, greets, way_out};
use super::{Answer, FIRES, FeatureEdit, Transcript, feature, hint, misheard};
use crate::pipeline::manifest::BuildType;

/// What the agent has just asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Context {
    /// Nothing in particular.
    #[default]
    Free,
    /// "What shall I build?"
    AskedWhat,
    /// "Contacts, deals, or both?"
    AskedFeatures,
    /// "Shall I build it?", or what to change about it.
    AskedApproval,
}

/// What the caller does with a turn.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Asks for a CRM.
    BuildCrm,
    /// Asks for something else; its spoken name without article.
    BuildOther(&'static str),
    /// Names features, wanted or not.
    Features,
    /// Says yes to the read-back.
    Approve,
    /// Agrees, but not so that a build may start.
    Unsure,
    /// Says no.
    Reject,
    /// Wants nothing built after all.
    Cancel,
    /// Asks how a build is doing; `None` for "it".
    Report(Option<String>),
    /// Wants the last words again.
    Repeat,
    /// Asks what can be done here.
    Help,
    /// Wants a person.
    Operator,
    /// Ends the call.
    Goodbye,
    /// "Hello?", "how are you?"
    Greeting,
    /// Said something else.
    Other,
    /// Said nothing.
    Nothing,
}

/// A turn, understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Understanding {
    /// What it does.
    pub act: Act,
    /// 0..=1: how sure that is.
    pub confidence: f64,
    /// How far it says yes and no.
    pub answer: Answer,
    /// Features named.
    pub edit: FeatureEdit,
    /// "call it …": the wanted name.
    pub name: Option<String>,
    /// "for my …": whom it is for, without the possessive.
    pub purpose: Option<String>,
    /// Things other than a CRM that are asked for beside it: "a CRM and a website".
    pub also: Vec<&'static str>,
    /// What it says of the thing: technology, integrations, limits.
    pub entities: Entities,
    /// No clear request, but perhaps one: a CRM is named, and nothing says that none is wanted. Worth asking back.
    pub hinted: bool,
}

impl Understanding {
    /// Whether it names technology, other systems or limits.
    #[must_use]
    pub fn specifies(&self) -> bool {
        let named = &self.entities;
        !(named.tech_stack.is_empty() && named.integrations.is_empty() && named.constraints == Constraints::default())
    }

    /// Whether this is a request for a CRM that may open the dialogue about a build.
    #[must_use]
    pub fn fires(&self) -> bool {
        self.act == Act::BuildCrm && self.confidence > FIRES
    }
}

/// Reads one turn.
#[must_use]
pub fn understand(text: &str, context: Context) -> Understanding {
    understand_of(text, context, None)
}

/// Reads one turn of a conversation about this type of app; what the turn itself asks for goes first.
#[must_use]
pub fn understand_of(text: &str, context: Context, kind: Option<BuildType>) -> Understanding {
    let understood = turn(text, context, kind);
    let Some(right) = misheard::put_right(&Transcript::new(text), context) else { return understood };
    let other = turn(&right.text, context, kind);
    if right.surely && other.act != Act::Approve || leads_further(&other, &understood) { other } else { understood }
}

/// Whether another reading of a turn says more than its own: a request, an answer or a change where there was none, and none
/// of what there was is lost. A yes never comes from another reading.
fn leads_further(other: &Understanding, own: &Understanding) -> bool {
    let idle = |u: &Understanding| matches!(u.act, Act::Other | Act::Unsure | Act::Nothing);
    let named = |u: &Understanding| u.edit.add.len() + u.edit.remove.len();
    match other.act {
        Act::BuildCrm => other.fires() && (idle(own) || own.act == Act::BuildCrm && named(other) >= named(own)),
        Act::Features => idle(own) || own.act == Act::Reject || own.act == Act::Features && named(other) >= named(own),
        Act::Reject | Act::Cancel | Act::Goodbye | Act::Report(_) => idle(own),
        // What is heard instead asks for nothing: "make a sight for my band".
        Act::BuildOther(_) => own.act == Act::Other,
        Act::Other => own.act == Act::Other && other.hinted && !own.hinted,
        _ => false,
    }
}

/// Reads one turn word for word: nothing that was misheard is put right.
#[must_use]
pub fn understand_words(text: &str, context: Context) -> Understanding {
    turn(text, context, None)
}

fn turn(text: &str, context: Context, kind: Option<BuildType>) -> Understanding {
    let heard = Transcript::new(text);
    let answer = Answer::of(&heard);
    let named = request(&heard, true).filter(|r| r.confidence > FIRES).and_then(|r| match r.what {
        Artefact::Crm => Some(BuildType::BuildCrm),
        Artefact::Other(noun) => BuildType::of_noun(noun),
    });
    let kind = named.or(kind).unwrap_or_default();
    let mut edit = feature::edit(&heard, kind);
    let (mut act, mut confidence) = act(&heard, context, &answer, &edit);
    let also = other_requests(&heard);
    let mut hinted = act == Act::Other && {
        let request = request(&heard, false).filter(|r| r.what == Artefact::Crm);
        hint::hints(&heard, request.map(|r| r.confidence))
    };
    if act == Act::Other && !hinted && answer.yes == 0.0 && answer.no == 0.0 {
        let (label, p) = second_opinion(text, context);
        hinted = label == Label::BuildCrm && p > FIRES && context == Context::AskedWhat;
        if let Some(other) = acts(label, p) {
            if let Act::BuildOther(noun) = other {
                edit = feature::edit(&heard, BuildType::of_noun(noun).unwrap_or(kind));
            }
            (act, confidence) = (other, p);
        }
    }
    let (name, entities) = (name(&heard), entities(text));
    Understanding { act, confidence, answer, edit, name, purpose: purpose(&heard), also, entities, hinted }
}

/// What a turn calls the app that it speaks of, lower case and without article; `None`: nothing, or "it".
#[must_use]
pub fn subject(text: &str) -> Option<String> {
    let heard = Transcript::new(text);
    mentions(&heard).first().map(|mention| match mention.what {
        Artefact::Crm => "crm".to_owned(),
        Artefact::Other(name) => name.to_lowercase(),
    })
}

/// What the classifier makes of a turn of which the grammar makes nothing.
fn second_opinion(text: &str, context: Context) -> (Label, f64) {
    let asked = match context {
        Context::Free => Asked::Nothing,
        Context::AskedWhat => Asked::What,
        Context::AskedFeatures => Asked::Features,
        Context::AskedApproval => Asked::Approval,
    };
    likeliest(&read(text, asked))
}

/// What may be done on the classifier's word alone: what starts, changes and approves nothing. The surer, the harder it is to
/// come back from.
fn acts(label: Label, p: f64) -> Option<Act> {
    let (act, least) = match label {
        Label::BuildWebsite => (Act::BuildOther("website"), ALONE),
        Label::BuildEcommerce => (Act::BuildOther("online shop"), ALONE),
        Label::BuildApi => (Act::BuildOther("API"), ALONE),
        Label::BuildDashboard => (Act::BuildOther("dashboard"), ALONE),
        Label::BuildBlockchain => (Act::BuildOther("blockchain"), ALONE),
        Label::Status | Label::Progress | Label::Metrics => (Act::Report(None), ALONE),
        Label::Repeat => (Act::Repeat, ALONE),
        Label::Transfer => (Act::Operator, ALONE_AND_AWAY),
        Label::Hangup => (Act::Goodbye, ALONE_AND_AWAY),
        _ => return None,
    };
    (p > least).then_some(act)
}

/// How sure the classifier must be where the grammar says nothing; and where the turn would lead away from the order.
const ALONE: f64 = 0.9;
const ALONE_AND_AWAY: f64 = 0.96;

fn act(heard: &Transcript, context: Context, answer: &Answer, edit: &FeatureEdit) -> (Act, f64) {
    if heard.is_empty() {
        return (Act::Nothing, 1.0);
    }
    if context == Context::AskedApproval
        && let Some(found) = reply_to_read_back(heard, answer, edit)
    {
        return found;
    }
    let request = request(heard, matches!(context, Context::AskedWhat | Context::AskedFeatures));
    let wanted = request.filter(|r| r.confidence > FIRES);
    if let Some(r) = wanted.filter(|r| r.what == Artefact::Crm) {
        return (Act::BuildCrm, r.confidence);
    }
    // "only the deals, nothing else" and "I don't know what to say" answer.
    let answers = |act: &Act| match act {
        Act::Goodbye => !edit.is_empty(),
        Act::Help => edit.whatever,
        _ => false,
    };
    if let Some(act) = way_out(heard).filter(|act| context != Context::AskedFeatures || !answers(act)) {
        return (act, 0.9);
    }
    if let Some(subject) = report(heard) {
        return (Act::Report(subject), 0.9);
    }
    if let Some(r) = wanted
        && let Artefact::Other(name) = r.what
    {
        return (Act::BuildOther(name), r.confidence);
    }
    if context == Context::AskedFeatures && (!edit.is_empty() || edit.whatever) {
        return (Act::Features, 0.9);
    }
    if greets(heard) {
        return (Act::Greeting, 0.9);
    }
    if context == Context::Free && asks_of_ours(heard) {
        return (Act::Report(Some("crm".to_owned())), 0.8);
    }
    if heard.says(CANCELS) {
        return (Act::Cancel, 0.85);
    }
    if ends_with_goodbye(heard) {
        return (Act::Goodbye, 0.85);
    }
    if answer.says_no() && heard.len() <= 4 {
        return (Act::Reject, 0.9);
    }
    match request {
        Some(r) if r.what == Artefact::Crm => (Act::Other, 1.0 - r.confidence),
        _ => (Act::Other, 0.5),
    }
}

/// A question that names the caller's own CRM asks how it does, whatever else was heard; not what one costs or takes.
fn asks_of_ours(heard: &Transcript) -> bool {
    let begins = matches!(heard.at(0), "how" | "is" | "are" | "did" | "does" | "has" | "was" | "were" | "any" | "what");
    let ours = heard.words().windows(2).any(|w| {
        matches!(w[0].as_str(), "our" | "my") && w[1] == "crm" || w[0] == "the" && w[1] == "build" && heard.len() <= 8
    });
    let wonders = heard.says(&[
        "know if",
        "know how",
        "know whether",
        "know what",
        "ask if",
        "ask how",
        "ask whether",
        "ask about",
        "check",
        "find out",
        "tell me",
        "latest",
        "news",
        "see if",
        "see whether",
        "look whether",
        "hear how",
        "curious",
    ]);
    (begins || wonders)
        && ours
        && !heard.says(&["how much", "how long", "cost", "costs", "price", "can you do", "could you"])
}

/// What an answer to "Shall I build it?" does; `None` when it is no answer.
fn reply_to_read_back(heard: &Transcript, answer: &Answer, edit: &FeatureEdit) -> Option<(Act, f64)> {
    if answer.approves() {
        return Some((Act::Approve, answer.yes));
    }
    if let Some(act @ (Act::Repeat | Act::Operator | Act::Goodbye | Act::Help)) = way_out(heard) {
        return Some((act, 0.9));
    }
    // "no, without deals" changes; "don't build it" cancels, though it names nothing to change.
    if !edit.is_empty() {
        return Some((Act::Features, 0.9));
    }
    if heard.says(CANCELS) || heard.is_any(&["stop", "stop stop", "no stop", "please stop"]) {
        return Some((Act::Cancel, 0.9));
    }
    if answer.rejects() {
        return Some((Act::Reject, answer.no));
    }
    // "yes but", "yeah no", "okay", "yes, whatever that means": somewhere near a yes, and not one.
    if answer.yes > 0.0 && (report(heard).is_none()) {
        return Some((Act::Unsure, answer.yes));
    }
    None
}

/// "call it Acme", "named Acme": up to three words.
fn name(heard: &Transcript) -> Option<String> {
    let words = heard.words();
    let at = words.windows(2).position(|w| {
        matches!(
            (w[0].as_str(), w[1].as_str()),
            ("call" | "name" | "title", "it")
                | ("crm", "called" | "named")
                | ("system" | "database" | "app" | "one", "called" | "named")
        )
    })?;
    let taken =
        take_phrase(heard, at + 2, 3, &["with", "and", "that", "please", "which", "for", "where", "so", "to", "when"]);
    (!taken.is_empty()).then(|| taken.join(" "))
}

/// "for my plumbing business": up to four words after the possessive or article.
fn purpose(heard: &Transcript) -> Option<String> {
    let words = heard.words();
    let ends = &[
        "with", "and", "that", "please", "which", "where", "so", "to", "today", "now", "by", "from", "on", "in", "at",
        "this", "because", "but", "is", "was", "we", "i", "it", "who", "for", "would", "can", "could", "of", "about",
    ];
    words.windows(2).enumerate().find_map(|(i, w)| {
        if w[0] != "for" || !matches!(w[1].as_str(), "my" | "our" | "a" | "an" | "the") {
            return None;
        }
        let taken = take_phrase(heard, i + 2, 4, ends);
        let plain =
            ["moment", "minute", "second", "while", "crm", "long", "day", "start", "time", "website", "sake", "record"];
        let good = taken.iter().any(|t| t.len() > 2) && !taken.iter().any(|t| plain.contains(&t.as_str()));
        let article = match w[1].as_str() {
            "my" | "our" => "your",
            other => other,
        };
        good.then(|| format!("{article} {}", taken.join(" ")))
    })
}

fn take_phrase(heard: &Transcript, from: usize, most: usize, ends: &[&str]) -> Vec<String> {
    (from..from + most)
        .map(|k| heard.at(k))
        .take_while(|w| !w.is_empty() && *w != PAUSE && !ends.contains(w))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn free(text: &str) -> Act {
        understand(text, Context::Free).act
    }

    fn approval(text: &str) -> Act {
        understand(text, Context::AskedApproval).act
    }

    #[test]
    fn ways_out() {
        assert_eq!(free("could you say that again please"), Act::Repeat);
        assert_eq!(free("I want to talk to a real person"), Act::Operator);
        assert_eq!(free("okay bye bye"), Act::Goodbye);
        assert_eq!(free("what can you do"), Act::Help);
        assert_eq!(free("hello, can you hear me?"), Act::Greeting);
        assert_eq!(free("never mind"), Act::Cancel);
        assert_eq!(free("is there a colleague of yours that I could talk to"), Act::Operator);
        assert_eq!(free("I missed the last part"), Act::Repeat);
        assert_eq!(free("okay then, have a good evening"), Act::Goodbye);
        assert_eq!(free("what is it that you offer"), Act::Help);
        assert_eq!(free("good morning to you"), Act::Greeting);
    }

    #[test]
    fn whose_names_are_kept_is_no_feature() {
        let named = |text: &str| understand(text, Context::AskedWhat).edit.add;
        assert!(named("I need something to keep track of my customers").is_empty());
        assert!(named("please do us a client database").is_empty());
        assert_eq!(named("a customer database with deals").len(), 1);
        assert_eq!(named("something to keep track of our contacts").len(), 1);
    }

    #[test]
    fn answers_that_sound_like_ways_out() {
        let named = |text: &str| understand(text, Context::AskedFeatures).act;
        assert_eq!(named("only the deals, nothing else"), Act::Features);
        assert_eq!(named("I don't know what to say"), Act::Features);
        assert_eq!(named("nothing else, bye"), Act::Goodbye);
        assert_eq!(free("only the deals, nothing else"), Act::Goodbye);
    }

    #[test]
    fn answers_to_the_read_back() {
        assert_eq!(approval("yes"), Act::Approve);
        assert_eq!(approval("no"), Act::Reject);
        assert_eq!(approval("no, without deals"), Act::Features);
        assert_eq!(approval("yes and add notes"), Act::Features);
        assert_eq!(approval("yes but"), Act::Unsure);
        assert_eq!(approval("yeah no"), Act::Unsure);
        assert_eq!(approval("okay"), Act::Unsure);
        assert_eq!(approval("don't build it"), Act::Cancel);
        assert_eq!(approval("stop"), Act::Cancel);
        assert_eq!(approval("hmm"), Act::Other);
        assert_eq!(approval(""), Act::Nothing);
    }

    #[test]
    fn a_yes_outside_the_read_back_approves_nothing() {
        for context in [Context::Free, Context::AskedWhat, Context::AskedFeatures] {
            assert_ne!(understand("yes", context).act, Act::Approve);
        }
    }

    #[test]
    fn name_and_purpose() {
        let u =
            understand("build a CRM for my plumbing business with contacts, call it Pipe Dreams please", Context::Free);
        assert_eq!(u.purpose.as_deref(), Some("your plumbing business"));
        assert_eq!(u.name.as_deref(), Some("pipe dreams"));
        assert!(u.fires());
    }

    proptest! {
        #[test]
        fn any_text_is_understood(text in "\\PC{0,120}") {
            for context in [Context::Free, Context::AskedWhat, Context::AskedFeatures, Context::AskedApproval] {
                let u = understand(&text, context);
                prop_assert!((0.0..=1.0).contains(&u.confidence));
            }
        }
    }
}
