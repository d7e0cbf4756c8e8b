//! The one act of a turn: request, answer, change, question about a build, or a way out.
//!
//! Pure. Purpose: [`understand`] weighs what the other files found, in the light of what the agent asked last.
//! Invariant: [`Act::Approve`] only in [`Context::AskedApproval`], and only when [`Answer::approves`].
//! Deliberately absent: what to do about it (the dialogue).

use super::artefact::{Artefact, mentions};
use super::request::{other_requests, request};
use super::transcript::PAUSE;
use super::{Answer, FIRES, FeatureEdit, Transcript, feature, hint};

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
    /// No clear request, but perhaps one: a CRM is named, and nothing says that none is wanted. Worth asking back.
    pub hinted: bool,
}

impl Understanding {
    /// Whether this is a request for a CRM that may open the dialogue about a build.
    #[must_use]
    pub fn fires(&self) -> bool {
        self.act == Act::BuildCrm && self.confidence > FIRES
    }
}

/// Whole turns that greet.
const GREETINGS: &[&str] = &[
    "hello",
    "hi",
    "hey",
    "good morning",
    "good afternoon",
    "good evening",
    "hello there",
    "hi there",
    "hello grace",
    "hi grace",
    "hello hello",
    "are you there",
    "hello are you there",
    "can you hear me",
    "hello can you hear me",
    "anybody there",
    "is anybody there",
    "how are you",
    "how are you doing",
    "how are you today",
    "who is this",
    "who's this",
    "hello who is this",
    "who am i speaking to",
    "how's it going",
    "good day",
    "is this grace",
    "hi how are you",
    "hello how are you",
];
const GOODBYES: &[&str] = &[
    "goodbye",
    "good bye",
    "bye",
    "bye bye",
    "that's all",
    "that is all",
    "hang up",
    "see you later",
    "talk to you later",
    "have a nice day",
    "have a good day",
    "have a good one",
    "nothing else",
    "i'm done",
    "we're done",
    "i am done",
    "good night",
    "that will be all",
    "that'll be all",
    "wrong number",
    "i have to go",
    "i'll call back",
];
const REPEATS: &[&str] = &[
    "repeat",
    "say that again",
    "say it again",
    "once more",
    "come again",
    "pardon",
    "i beg your pardon",
    "what did you say",
    "didn't catch that",
    "didn't get that",
    "didn't hear that",
    "didn't hear you",
    "what was that",
    "one more time",
    "didn't understand",
    "read it again",
    "tell me again",
    "read that back",
];
const HELPS: &[&str] = &[
    "what can you do",
    "what can i say",
    "what do you do",
    "what can you build",
    "how does this work",
    "my options",
    "the options",
    "who are you",
    "what are you",
    "what can i do",
    "what can you make",
    "what else can you do",
];
const OPERATORS: &[&str] = &[
    "operator",
    "real person",
    "human",
    "human being",
    "representative",
    "talk to someone",
    "speak to someone",
    "talk to somebody",
    "speak to somebody",
    "speak to a person",
    "talk to a person",
    "speak with a person",
    "talk with a person",
    "speak with someone",
    "live person",
    "your manager",
    "your supervisor",
    "customer service",
    "actual person",
];
const CANCELS: &[&str] = &[
    "cancel",
    "never mind",
    "forget it",
    "forget about it",
    "abort",
    "scrap it",
    "scrap that",
    "scrap the whole thing",
    "don't build",
    "do not build",
    "not build",
    "don't make",
    "changed my mind",
    "start over",
    "don't bother",
    "drop it",
    "stop it",
    "stop that",
    "stop building",
    "stop the build",
    "don't start",
    "don't create",
    "don't want it",
    "don't want anything",
    "i don't want that",
];

/// Reads one turn.
#[must_use]
pub fn understand(text: &str, context: Context) -> Understanding {
    let heard = Transcript::new(text);
    let answer = Answer::of(&heard);
    let edit = feature::edit(&heard);
    let (act, confidence) = act(&heard, context, &answer, &edit);
    let also = other_requests(&heard);
    let hinted = act == Act::Other && {
        let request = request(&heard, false).filter(|r| r.what == Artefact::Crm);
        hint::hints(&heard, request.map(|r| r.confidence))
    };
    Understanding { act, confidence, answer, edit, name: name(&heard), purpose: purpose(&heard), also, hinted }
}

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
    if let Some(act) = way_out(heard) {
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
    if heard.is_any(GREETINGS) {
        return (Act::Greeting, 0.9);
    }
    if heard.says(CANCELS) {
        return (Act::Cancel, 0.85);
    }
    if answer.rejects() && heard.len() <= 4 {
        return (Act::Reject, 0.9);
    }
    match request {
        Some(r) if r.what == Artefact::Crm => (Act::Other, 1.0 - r.confidence),
        _ => (Act::Other, 0.5),
    }
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

fn way_out(heard: &Transcript) -> Option<Act> {
    let short = heard.len() <= 8;
    if heard.says(REPEATS)
        || heard.is_any(&["again", "again please", "what", "sorry", "sorry what", "excuse me", "huh"])
    {
        return Some(Act::Repeat);
    }
    if heard.says(OPERATORS) && !heard.says(&["not human", "the human"]) {
        return Some(Act::Operator);
    }
    if short && heard.says(GOODBYES) {
        return Some(Act::Goodbye);
    }
    let asks = ["help", "help me", "help please", "please help", "i need help", "some help please"];
    if (short && heard.says(HELPS)) || heard.is_any(&asks) {
        return Some(Act::Help);
    }
    None
}

/// Openings of a question about a build, and the words that must follow some of them.
const ASKS_HOW: &[&str] = &[
    "how is",
    "how's",
    "how are",
    "how does",
    "how do",
    "status",
    "what about",
    "what's happening with",
    "what is happening with",
    "what's going on with",
    "what is going on with",
    "what's up with",
    "any news",
    "update on",
    "report on",
    "tell me about",
    "how far",
    "how busy",
    "what's new with",
    "news about",
    "news on",
    "an update",
    "check on",
    "how did",
    "what happened to",
    "how many",
    "a report",
    "progress",
    "how well",
];
const ASKS_WHETHER: &[&str] = &["is", "are", "isn't", "has", "did", "does", "was", "what's", "it"];
const STATES_OF_A_BUILD: &[&str] = &[
    "up", "ready", "live", "running", "done", "finished", "online", "deployed", "working", "built", "complete", "down",
    "broken", "slow", "offline", "out", "dead", "crashed", "failing", "stuck", "alive", "there",
];
const COUNTED: &[&str] =
    &["records", "record", "calls", "requests", "api", "entries", "rows", "users", "contacts", "deals"];
/// "how do you", "how are you": not about a build.
const NOT_A_SUBJECT: &[&str] = &["you", "i", "we", "they", "he", "she", "one"];

/// Articles of what is there already; "who" is what recognisers leave of "the" behind "how's".
const THERE: &[&str] = &["the", "my", "our", "his", "this", "that", "your", "who"];
const AFTER_THE_SUBJECT: &[&str] = &["doing", "going", "today", "now", "please", "along", "coming"];
/// Words that order, refuse or complain.
const ORDERS: &[&str] = &[
    "build", "make", "need", "want", "create", "set", "give", "get", "start", "do", "don't", "not", "delete", "stop",
    "cancel", "lost", "hate", "like", "love", "use", "used", "have", "had",
];

/// Whether a turn asks about a build, and which: `Some(None)` is "it".
fn report(heard: &Transcript) -> Option<Option<String>> {
    let subject = mentions(heard).first().map(|m| match m.what {
        Artefact::Crm => "crm".to_owned(),
        Artefact::Other(name) => name.to_lowercase(),
    });
    let words = heard.words();
    let it = words.iter().any(|w| matches!(w.as_str(), "it" | "it's" | "build" | "project" | "that" | "things"));
    let about = subject.is_some() || it;
    let person = words
        .iter()
        .position(|w| matches!(w.as_str(), "how" | "how's"))
        .is_some_and(|h| (h + 1..h + 3).any(|k| NOT_A_SUBJECT.contains(&heard.at(k))));
    let asks_how = heard.says(ASKS_HOW) && !person;
    if asks_how && subject.is_some() {
        return Some(subject);
    }
    if heard.is_any(&[
        "status",
        "status please",
        "the status",
        "status report",
        "progress",
        "report",
        "any news",
        "the status please",
    ]) {
        return Some(None);
    }
    if asks_how && heard.says(&["how many"]) && words.iter().any(|w| COUNTED.contains(&w.as_str())) {
        return Some(subject);
    }
    if asks_how && it && heard.len() <= 8 && !heard.is_any(GREETINGS) {
        return Some(None);
    }
    // "is it up yet", "is the CRM ready", "our CRM is down".
    let state = words.iter().enumerate().any(|(k, w)| {
        STATES_OF_A_BUILD.contains(&w.as_str())
            && (k.saturating_sub(6)..k).any(|b| ASKS_WHETHER.contains(&heard.at(b)))
            && !(k.saturating_sub(3)..k).any(|b| NOT_A_SUBJECT.contains(&heard.at(b)))
    });
    if state && about && heard.len() <= 10 {
        return Some(subject);
    }
    if names_what_is_there(heard) {
        return Some(subject);
    }
    None
}

/// "… the CRM", "… my CRM doing": a few words that end in an app as something that is there already. The telephone eats the
/// breath of "how", so a recogniser hears "hello is the crm"; what is left still asks about that CRM and orders none.
fn names_what_is_there(heard: &Transcript) -> bool {
    let words = heard.words();
    let end = words.iter().rposition(|w| !AFTER_THE_SUBJECT.contains(&w.as_str())).map_or(0, |last| last + 1);
    let doing = end < words.len();
    match &words[..end] {
        [before @ .., article, noun] => {
            noun == "crm"
                && THERE.contains(&article.as_str())
                && (1..=3).contains(&before.len())
                && (doing || before.len() <= 2)
                && !before.iter().any(|w| ORDERS.contains(&w.as_str()))
        }
        _ => false,
    }
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
    fn questions_about_a_build() {
        for text in [
            "how's the CRM",
            "how is my see are em doing",
            "what's the status of the CRM",
            "how is our CRM coming along",
            "our CRM is down",
            "is the crm up yet",
            "give me an update on the CRM",
            "how many records does the CRM have",
            // What is left of "how's the CRM" on the telephone.
            "hello is the crm",
            "notes the crm doing",
            "no is my crm doing",
            "hello does the crm",
            "notes his crm",
            "knows who crm",
            "knows who crm doing",
        ] {
            assert_eq!(free(text), Act::Report(Some("crm".to_owned())), "{text}");
        }
        for text in ["is it up yet", "is it ready", "status please", "how is it doing", "how far is it"] {
            assert_eq!(free(text), Act::Report(None), "{text}");
        }
        assert_eq!(free("how is the website doing"), Act::Report(Some("website".to_owned())));
    }

    #[test]
    fn no_questions_about_a_build() {
        for text in [
            "how is the weather",
            "how is your mother doing",
            "is it raining",
            "how do you do",
            "there is a dog",
            "is he ready",
            "i need the crm",
            "i lost the crm",
            "build the crm",
            "customers did to the crm and and add lost a lot",
        ] {
            assert!(!matches!(free(text), Act::Report(_)), "{text}");
        }
    }

    #[test]
    fn ways_out() {
        assert_eq!(free("could you say that again please"), Act::Repeat);
        assert_eq!(free("I want to talk to a real person"), Act::Operator);
        assert_eq!(free("okay bye bye"), Act::Goodbye);
        assert_eq!(free("what can you do"), Act::Help);
        assert_eq!(free("hello, can you hear me?"), Act::Greeting);
        assert_eq!(free("never mind"), Act::Cancel);
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
