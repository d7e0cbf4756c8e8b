//! What a text wants, in the light of what was said before it: grammar, classifier and cautions weighed into one probability.
//!
//! Pure; [`extract`] is the entry, well under a millisecond a turn. The classifier says what the words are like; the grammar
//! (`request`) says whether somebody asks for it here and now; a caution takes a request back; what the agent has just asked
//! makes an answer likelier. A window of the last [`WINDOW`] sentences slides over what the caller has said. Invariants: the
//! probabilities of a reading sum to one; [`Extraction::fires`] only strictly above [`FIRES`]; a build that is refused,
//! supposed, over or somebody else's never fires. Deliberately absent: starting anything (read-back and approval guard that),
//! time (`trigger`).

use super::artefact::Artefact;
use super::caution::{Caution, caution, commands_not, narrates, tells};
use super::classifier::{Odds, odds};
use super::entity::{Entities, entities};
use super::label::Label;
use super::report::report;
use super::request::request;
use super::vectorise::{classes, normalise};
use super::way_out::way_out;
use super::{Act, Answer, FIRES, Transcript, sound};
use crate::limits::INTENT_SENTENCES_MAX;

/// Sentences that are read together (ledger N10).
pub const WINDOW: usize = 3;

/// A caution against building says something about a turn that is at least so likely to ask for it.
const CAUTIONED_MIN: f64 = 0.1;

/// What is left of a question or a command by a sentence that tells something.
const TOLD: f64 = 0.6;

/// How much the turn as a whole counts where its sentences were read one by one.
const WHOLE: f64 = 0.3;

/// Between the first and the last of these a probability is lowered; the middle one becomes [`FIRES`].
const DOUBT: (f64, f64, f64) = (0.6, 0.85, 0.95);

/// Who said a line of the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// We did.
    Agent,
    /// The caller did.
    Caller,
}

/// One line of what was said before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// By whom.
    pub side: Side,
    /// What.
    pub text: String,
}

/// What a text wants.
#[derive(Clone, Debug, PartialEq)]
pub struct Extraction {
    /// The likeliest intent.
    pub intent: Label,
    /// Its probability, 0..=1.
    pub confidence: f64,
    /// What it says of the thing.
    pub entities: Entities,
}

impl Extraction {
    /// Whether it is sure enough to be acted on: strictly more than [`FIRES`], and something is wanted.
    #[must_use]
    pub fn fires(&self) -> bool {
        self.intent != Label::Other && self.confidence > FIRES
    }
}

/// What the agent's last words ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Asked {
    #[default]
    Nothing,
    What,
    Features,
    Approval,
}

/// Reads `text`, said after `history` (the oldest first).
#[must_use]
pub fn extract(text: &str, history: &[Said]) -> Extraction {
    let asked = asked(history);
    let mut said: Vec<&str> = Vec::new();
    // The caller's turn may have come in pieces.
    let piece = history.iter().rev().take_while(|line| line.side == Side::Caller).count();
    let before: String =
        history[history.len() - piece..].iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join(". ");
    let earlier = sentences(&before);
    said.extend(&earlier[earlier.len().saturating_sub(WINDOW - 1)..]);
    let known = said.len();
    let own = sentences(text);
    said.extend(&own[own.len().saturating_sub(INTENT_SENTENCES_MAX)..]);

    let mut best: Option<(Label, Odds)> = None;
    let mut last = nothing();
    for k in known..said.len() {
        let alone = read(said[k], asked);
        let together =
            (k > 0).then(|| said[(k + 1).saturating_sub(WINDOW)..=k].join(", ")).map(|window| read(&window, asked));
        last = match together {
            Some(wider) if sure(&alone).is_none() && sure(&wider).is_some_and(Label::builds) => wider,
            _ => alone,
        };
        if let Some(label) = sure(&last)
            && best.is_none_or(|(earlier, _)| supersedes(label, earlier))
        {
            best = Some((label, last));
        }
    }
    let mut odds = best.map_or(last, |(_, odds)| odds);
    let turn = &said[known..];
    if turn.len() > 1 {
        let whole = read(&turn[turn.len().saturating_sub(WINDOW)..].join(". "), asked);
        for (p, of_whole) in odds.iter_mut().zip(whole) {
            *p = WHOLE * of_whole + (1.0 - WHOLE) * *p;
        }
    }
    let (intent, confidence) = doubted(likeliest(&odds));
    let mut found = if intent.builds() && piece > 0 { entities(&before) } else { Entities::default() };
    found.take(&entities(text));
    // Sums of probabilities may go beyond one by their last bit.
    Extraction { intent, confidence: confidence.clamp(0.0, 1.0), entities: found }
}

/// Nothing is wanted.
fn nothing() -> Odds {
    let mut odds = [0.0; Label::ALL.len()];
    odds[Label::Other.index()] = 1.0;
    odds
}

/// What is surely wanted, if anything.
fn sure(odds: &Odds) -> Option<Label> {
    let (label, p) = doubted(likeliest(odds));
    (label != Label::Other && p > FIRES).then_some(label)
}

/// What is wanted, less surely where the words are neither clear nor unclear: what fires in vain costs more than what is asked
/// back. Clear and unclear ones keep their probability, and none overtakes another.
fn doubted((label, p): (Label, f64)) -> (Label, f64) {
    let (from, at, to) = DOUBT;
    let lowered = match p {
        _ if label == Label::Other || p <= from || p >= to => p,
        _ if p < at => from + (p - from) * (FIRES - from) / (at - from),
        _ => FIRES + (p - at) * (to - FIRES) / (to - at),
    };
    (label, lowered)
}

/// Whether a later sentence changes what the earlier one wanted: a courtesy or a question behind an order does not.
fn supersedes(later: Label, earlier: Label) -> bool {
    match earlier {
        _ if earlier.builds() => {
            later.builds() || matches!(later, Label::Cancel | Label::Reject | Label::Delete | Label::Rollback)
        }
        _ => !matches!(later, Label::Hangup | Label::Approve) || matches!(earlier, Label::Repeat),
    }
}

/// The most probable intent.
pub(super) fn likeliest(odds: &Odds) -> (Label, f64) {
    Label::ALL
        .into_iter()
        .map(|label| (label, odds[label.index()]))
        .fold((Label::Other, odds[Label::Other.index()]), |best, next| if next.1 > best.1 { next } else { best })
}

/// Sentences by their full stops and question marks; "C.R.M." and "2.5" have none.
fn sentences(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut from = 0;
    let mut word = 0;
    let mut letters = text.char_indices().peekable();
    while let Some((at, c)) = letters.next() {
        let ends = letters.peek().is_none_or(|(_, next)| next.is_whitespace() || *next == '"');
        let title = matches!(
            text[from..at].rsplit(' ').next().unwrap_or_default(),
            "Mr" | "Mrs" | "Ms" | "Dr" | "St" | "e.g" | "i.e"
        );
        if matches!(c, '!' | '?' | ';' | '\n') || c == '.' && ends && word != 1 && !title {
            let to = at + c.len_utf8();
            if text[from..to].chars().any(char::is_alphanumeric) {
                out.push(text[from..to].trim());
            }
            from = to;
        }
        word = if c.is_alphanumeric() { word + 1 } else { 0 };
    }
    if text[from..].chars().any(char::is_alphanumeric) {
        out.push(text[from..].trim());
    }
    out
}

fn asked(history: &[Said]) -> Asked {
    let Some(line) = history.iter().rev().find(|line| line.side == Side::Agent) else { return Asked::Nothing };
    let words = normalise(&line.text).join(" ");
    let has = |phrases: &[&str]| phrases.iter().any(|p| format!(" {words} ").contains(&format!(" {p} ")));
    if has(&[
        "shall i build it",
        "shall i build",
        "shall i start",
        "shall i go ahead",
        "is that right",
        "is that correct",
        "do you approve",
        "should i build",
        "should i go ahead",
        "say yes",
        "ready to build",
        "shall i proceed",
        "to confirm",
        "do you confirm",
        "want me to build",
        "want me to go ahead",
        "sound good",
        "sound right",
        "should i proceed",
        "should i start",
    ]) && !has(&["what shall i build"])
    {
        Asked::Approval
    } else if has(&[
        "shall it keep",
        "which features",
        "what features",
        "what should it",
        "what shall it",
        "what do you need in it",
    ]) {
        Asked::Features
    } else if has(&[
        "what shall i build",
        "what can i build",
        "what can i do",
        "how can i help",
        "what would you like",
        "what do you want",
        "what should i build",
        "what are we building",
    ]) {
        Asked::What
    } else {
        Asked::Nothing
    }
}

/// The probabilities of one reading.
pub(super) fn read(text: &str, asked: Asked) -> Odds {
    let mut words = normalise(text);
    let mut p = [0.0; Label::ALL.len()];
    if words.is_empty() {
        p[Label::Other.index()] = 1.0;
        return p;
    }
    let names = |words: &[String]| classes(words).iter().any(|c| artefact(c).is_some());
    // By its sound only where nothing is named; a guess never makes a request certain.
    let mut guessed = false;
    if !names(&words)
        && let Some(right) = sound::put_right(&words)
    {
        (words, guessed) = (right, true);
    }
    p = odds(&words);
    expected(&mut p, asked);
    corrected(&mut p, &words);
    let text = if guessed { words.join(" ") } else { text.to_owned() };
    let heard = Transcript::new(&text);
    builds(&mut p, &heard, &words, asked, guessed);
    answers(&mut p, &heard, &words, asked);
    p
}

/// What the agent has asked makes its answers likelier.
fn expected(p: &mut Odds, asked: Asked) {
    let weight = |label: Label| match (asked, label) {
        (Asked::Approval, Label::Approve | Label::Reject) => 4.0,
        (Asked::Approval, Label::Amend) => 3.0,
        (Asked::Approval, Label::Cancel) => 1.5,
        (Asked::Approval | Asked::Features, Label::Other) => 0.6,
        (Asked::Features, Label::Amend) => 4.0,
        (Asked::What, label) if label.builds() => 2.0,
        _ => 1.0,
    };
    for label in Label::ALL {
        p[label.index()] *= weight(label);
    }
    settle(p);
}

/// The thing that a class names.
fn artefact(class: &str) -> Option<Label> {
    Some(match class {
        "<crm>" => Label::BuildCrm,
        "<site>" => Label::BuildWebsite,
        "<shop>" => Label::BuildEcommerce,
        "<api>" => Label::BuildApi,
        "<dash>" => Label::BuildDashboard,
        "<chain>" => Label::BuildBlockchain,
        _ => return None,
    })
}

/// "a website, no, a shop": the thing behind the correction is meant.
fn corrected(p: &mut Odds, words: &[String]) {
    let stream = classes(words);
    let things: Vec<(usize, Label)> = stream.iter().enumerate().filter_map(|(k, c)| Some((k, artefact(c)?))).collect();
    let [.., (first, was), (then, is)] = things[..] else { return };
    let corrects = stream[first + 1..then]
        .iter()
        .any(|c| matches!(*c, "no" | "<no>" | "sorry" | "mean" | "rather" | "actually" | "<know>" | "but" | "not"))
        || words.iter().any(|w| matches!(w.as_str(), "sorry" | "mean" | "rather" | "actually"));
    // "a CRM and not a website" keeps the first.
    let kept = then >= 2 && (stream[then - 1] == "not" || stream[then - 1] == "no" || stream[then - 2] == "not");
    if corrects && was != is {
        let (from, to) = if kept { (is, was) } else { (was, is) };
        let moved = p[from.index()] * 0.9;
        p[from.index()] -= moved;
        p[to.index()] += moved;
    }
}

/// Weighs what is to be built by what the grammar makes of the sentence and by the cautions.
fn builds(p: &mut Odds, heard: &Transcript, words: &[String], asked: Asked, guessed: bool) {
    let mass: f64 = Label::ALL.iter().filter(|l| l.builds()).map(|l| p[l.index()]).sum();
    let wanted = request(heard, asked == Asked::What);
    let label = wanted.and_then(|r| match r.what {
        Artefact::Crm => Some(Label::BuildCrm),
        Artefact::Other(name) => match name {
            "website" => Some(Label::BuildWebsite),
            "online shop" => Some(Label::BuildEcommerce),
            "blockchain" => Some(Label::BuildBlockchain),
            "dashboard" => Some(Label::BuildDashboard),
            "API" => Some(Label::BuildApi),
            _ => None,
        },
    });
    let grammar = wanted.filter(|_| label.is_some()).map(|r| r.confidence);
    let evidence = match grammar {
        Some(g) if g >= 0.9 => 2.0,
        Some(g) if g > FIRES => 1.6,
        Some(g) if g > 0.4 => 0.3,
        Some(g) if g > 0.2 => -0.5,
        Some(_) => -0.5,
        None => 0.0,
    };
    let sure = grammar.is_some_and(|g| g > FIRES);
    let caution = caution(words);
    // Whose words they are decides, whatever they ask for.
    let quoted = caution == Some(Caution::Quoted);
    let against: f64 = match caution {
        Some(_) if !sure || quoted => -4.0,
        Some(_) => -1.0,
        None => 0.0,
    };
    let bounded = mass.clamp(0.001, 0.999);
    let mut weighed = 1.0 / (1.0 + ((1.0 - bounded) / bounded * (-evidence - against).exp()));
    if caution.is_some() && !sure || quoted {
        weighed = weighed.min(0.5);
    }
    if guessed {
        weighed = weighed.min(0.9);
    }
    for l in Label::ALL {
        let part = if l.builds() { weighed / mass.max(1e-9) } else { (1.0 - weighed) / (1.0 - mass).max(1e-9) };
        p[l.index()] *= part;
    }
    // What is taken from a request that is none belongs to nothing else that is wanted; where hardly anything is taken
    // ("remind me what was changed in the shop last week"), the caution speaks of something else.
    if caution.is_some() && !sure && weighed < mass && mass > CAUTIONED_MIN {
        let rest: f64 = Label::ALL.iter().filter(|l| !l.builds()).map(|l| p[l.index()]).sum();
        for l in Label::ALL.iter().filter(|l| !l.builds() && **l != Label::Other) {
            p[l.index()] *= 0.3;
        }
        let left: f64 = Label::ALL.iter().filter(|l| !l.builds()).map(|l| p[l.index()]).sum();
        p[Label::Other.index()] += rest - left;
    }
    settle(p);
}

/// Weighs answers and commands: an approval takes a clean yes, and no command survives its "don't".
fn answers(p: &mut Odds, heard: &Transcript, words: &[String], asked: Asked) {
    let answer = Answer::of(heard);
    let cut = |p: &mut Odds, label: Label, to: f64| {
        let gone = p[label.index()] * (1.0 - to);
        p[label.index()] -= gone;
        p[Label::Other.index()] += gone;
    };
    // Where a yes starts a build, any no weighs more.
    let (clear, faint) = if asked == Asked::Approval { (0.1, 0.5) } else { (0.6, 0.8) };
    if answer.no >= 0.9 {
        cut(p, Label::Approve, clear);
    } else if answer.no > 0.0 {
        cut(p, Label::Approve, faint);
    } else if answer.approves() {
        p[Label::Approve.index()] *= if asked == Asked::Approval { 20.0 } else { 2.0 };
    }
    if answer.says_no() && asked == Asked::Approval && heard.len() <= 4 {
        p[Label::Reject.index()] *= 4.0;
    }
    // What the grammar of the dialogue reads counts beside the words.
    match way_out(heard) {
        Some(Act::Repeat) => p[Label::Repeat.index()] *= 2.0,
        Some(Act::Operator) => p[Label::Transfer.index()] *= 3.0,
        Some(Act::Goodbye) => p[Label::Hangup.index()] *= 4.0,
        _ => {}
    }
    // "Our website is down" tells; "is our website down" asks.
    let subject_first = words.first().is_some_and(|w| {
        matches!(w.as_str(), "our" | "my" | "the" | "their" | "your" | "his" | "that" | "this" | "it" | "i" | "we")
    });
    let reports = [Label::Status, Label::Metrics, Label::Progress, Label::Problems, Label::History];
    if report(heard).is_some() && !subject_first {
        for label in reports {
            p[label.index()] *= 3.0;
        }
    }
    // What the agent has asked for is an answer, however it is said.
    if asked == Asked::Nothing && tells(words) {
        reports.into_iter().for_each(|label| cut(p, label, TOLD));
    }
    if asked == Asked::Nothing && narrates(words) {
        for label in
            [Label::Amend, Label::Cancel, Label::Delete, Label::Rollback, Label::Approve, Label::Reject, Label::History]
        {
            cut(p, label, TOLD);
        }
    }
    if commands_not(words) {
        for label in
            [Label::Delete, Label::Rollback, Label::Cancel, Label::Transfer, Label::Hangup, Label::ComponentMockup]
        {
            cut(p, label, 0.15);
        }
    }
    settle(p);
}

/// Makes them sum to one.
fn settle(p: &mut Odds) {
    let total: f64 = p.iter().sum();
    if total > 0.0 {
        p.iter_mut().for_each(|x| *x /= total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> (Label, bool) {
        let found = extract(text, &[]);
        (found.intent, found.fires())
    }

    fn line(side: Side, text: &str) -> Said {
        Said { side, text: text.into() }
    }

    #[test]
    fn sentences_end_where_they_end() {
        assert_eq!(
            sentences("A C.R.M. please. For 2.5 people! Mr. Jones asks"),
            ["A C.R.M. please.", "For 2.5 people!", "Mr. Jones asks"]
        );
        assert!(sentences(" ... ").is_empty());
    }

    #[test]
    fn what_is_wanted() {
        for (text, label) in [
            ("Build me a CRM with contacts and deals", Label::BuildCrm),
            ("We need a website for our bakery", Label::BuildWebsite),
            ("I want a website, no, an online shop", Label::BuildEcommerce),
            ("could you make an API for our stock", Label::BuildApi),
            ("build a dash board for the sales team", Label::BuildDashboard),
            ("please set up a block chain for land records", Label::BuildBlockchain),
            ("mock up a login form with rounded corners", Label::ComponentMockup),
            ("How's the CRM?", Label::Status),
            ("how many requests per minute", Label::Metrics),
            ("how far are you with the build", Label::Progress),
            ("roll back to the previous version", Label::Rollback),
            ("delete the website", Label::Delete),
            ("put me through to a person", Label::Transfer),
            ("Hello. I run a bakery. I need a website. Thank you.", Label::BuildWebsite),
        ] {
            assert_eq!(of(text), (label, true), "{text}: {:?}", extract(text, &[]));
        }
    }

    #[test]
    fn what_asks_for_nothing_does_not_fire() {
        for text in [
            "",
            "don't build a website",
            "my brother wants a website",
            "if we ever need a shop I'll call",
            "we built a CRM last year",
            "our website is down",
            "what a lovely day",
            "he said build me a dashboard",
            "please do not delete the shop",
        ] {
            assert!(!of(text).1, "{text}: {:?}", extract(text, &[]));
        }
    }

    #[test]
    fn what_is_told_is_not_asked() {
        for text in ["our website is down", "the CRM is broken", "my shop is slow today"] {
            assert_eq!(of(text), (Label::Other, false), "{text}: {:?}", extract(text, &[]));
        }
    }

    /// "yesterday", "last", "no longer" speak against a wish to build, not against other wishes.
    #[test]
    fn a_caution_against_building_spares_what_builds_nothing() {
        for (text, label) in [
            ("put the site back the way it was yesterday", Label::Rollback),
            ("what was changed in the shop last week", Label::History),
        ] {
            assert_eq!(of(text), (label, true), "{text}: {:?}", extract(text, &[]));
        }
    }

    #[test]
    fn the_last_sentences_count_together() {
        let history = [
            line(Side::Agent, "What shall I build for you?"),
            line(Side::Caller, "We sell candles. I need an online shop"),
        ];
        let found = extract("with a cart and reviews", &history);
        assert_eq!((found.intent, found.fires()), (Label::BuildEcommerce, true), "{found:?}");
        assert_eq!(found.entities.features, ["cart", "reviews"]);
        assert_eq!(of("Build a CRM. No, forget it, cancel that."), (Label::Cancel, true));
    }

    #[test]
    fn what_was_asked_weighs() {
        let asked = [line(Side::Agent, "A CRM with contacts. Shall I build it?")];
        assert_eq!(extract("yes", &asked).intent, Label::Approve);
        assert!(extract("yes", &asked).confidence > extract("yes", &[]).confidence);
        assert!(!extract("yes but", &asked).fires() || extract("yes but", &asked).intent != Label::Approve);
    }

    #[test]
    fn doubt_lowers_what_is_neither_clear_nor_unclear() {
        let of = |p| doubted((Label::BuildCrm, p)).1;
        for k in 0..1000 {
            let p = f64::from(k) / 1000.0;
            assert!(of(p) <= p && of(p) < of(p + 0.001), "{p}");
        }
        assert!(of(DOUBT.1) <= FIRES && of(DOUBT.1 + 0.01) > FIRES);
        assert!((of(0.5) - 0.5).abs() < 1e-12 && (of(0.97) - 0.97).abs() < 1e-12);
        assert!((doubted((Label::Other, 0.8)).1 - 0.8).abs() < 1e-12);
    }

    #[test]
    fn exactly_the_threshold_does_not_fire() {
        let at = |confidence| Extraction { intent: Label::BuildCrm, confidence, entities: Entities::default() }.fires();
        assert!(!at(0.75) && at(0.75 + f64::EPSILON));
        assert!(!Extraction { intent: Label::Other, confidence: 0.99, entities: Entities::default() }.fires());
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "\\PC{0,200}", before in "\\PC{0,60}") {
            let found = extract(&text, &[line(Side::Agent, &before), line(Side::Caller, &before)]);
            prop_assert!((0.0..=1.0 + 1e-9).contains(&found.confidence));
            prop_assert!((read(&text, Asked::Nothing).iter().sum::<f64>() - 1.0).abs() < 1e-6);
        }

        /// Whatever fires as an order fires as nothing that builds once it is turned round.
        #[test]
        fn no_negated_order_fires(
            verb in prop::sample::select(vec!["build", "make", "create", "set up", "design"]),
            whom in prop::sample::select(vec!["", "me ", "us "]),
            thing in prop::sample::select(vec!["a CRM", "a website", "an online shop", "an API", "a dashboard", "a blockchain", "a new site"]),
            rest in prop::sample::select(vec!["", " for my bakery", " with contacts and deals", " please", " for 200 users", " in two weeks"]),
            not in prop::sample::select(vec!["don't ", "do not ", "please don't ", "never ", "I don't want you to ", "you must not ",
                "there is no need to ", "let's not ", "I never asked you to "]),
        ) {
            let order = format!("{verb} {whom}{thing}{rest}");
            prop_assert!(of(&order).1 && of(&order).0.builds(), "{}: {:?}", order, extract(&order, &[]));
            let refused = format!("{not}{order}");
            prop_assert!(!of(&refused).1, "{}: {:?}", refused, extract(&refused, &[]));
        }
    }
}
