//! Things that people ask to have built, found in a transcript.
//!
//! Pure. Purpose: "a CRM", "customer database", "something to keep track of our clients" are one artefact.
//! Deliberately absent: whether it is wanted (`request`).

use super::Transcript;
use super::transcript::PAUSE;
use super::words::{MAKE, PARTICLES};

/// What is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Artefact {
    /// Customer relationship management, in any words.
    Crm,
    /// Something else that software people build; its spoken name without article.
    Other(&'static str),
}

/// How an artefact is introduced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Determiner {
    /// "a", "one", "some", none.
    Indefinite,
    /// "the", "this", "that".
    Definite,
    /// "our", "my".
    Own,
    /// "your", "their", "his".
    Others,
}

/// One mention of an artefact.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mention {
    pub(super) what: Artefact,
    /// First word of the name.
    pub(super) start: usize,
    /// One past its last word.
    pub(super) end: usize,
    /// Described rather than named.
    pub(super) described: bool,
    /// More than one.
    pub(super) plural: bool,
    pub(super) determiner: Determiner,
}

/// Single words for things other than a CRM.
const OTHERS: &[(&str, &str)] = &[
    ("website", "website"),
    ("websites", "website"),
    ("site", "website"),
    ("blog", "website"),
    ("shop", "online shop"),
    ("store", "online shop"),
    ("marketplace", "online shop"),
    ("blockchain", "blockchain"),
    ("dashboard", "dashboard"),
    ("dashboards", "dashboard"),
    ("api", "API"),
    ("app", "app"),
    ("apps", "app"),
    ("application", "app"),
    ("program", "program"),
    ("software", "program"),
    ("tool", "program"),
    ("database", "database"),
    ("game", "game"),
    ("chatbot", "chat bot"),
];

/// First words of a CRM described by a compound: "customer database".
const WHOSE: &[&str] = &[
    "customer",
    "customers",
    "client",
    "clients",
    "lead",
    "leads",
    "contact",
    "contacts",
    "sales",
    "prospect",
    "deal",
];
/// Words that may stand inside such a compound.
const INSIDE: &[&str] =
    &["relationship", "relations", "management", "managing", "tracking", "contact", "data", "and", "deal"];
/// Its last words.
const HEADS: &[&str] = &[
    "database",
    "software",
    "system",
    "app",
    "application",
    "tool",
    "tracker",
    "program",
    "platform",
    "manager",
    "management",
    "organizer",
    "organiser",
];

/// Heads of a CRM described by what it does: "something to keep track of our clients".
const VESSELS: &[&str] = &[
    "something",
    "software",
    "app",
    "application",
    "program",
    "tool",
    "system",
    "database",
    "way",
    "thing",
    "place",
    "solution",
    "platform",
    "website",
];
/// Words between the head and what it does.
const LINKS: &[&str] = &[
    "to", "for", "that", "which", "where", "lets", "let", "us", "me", "helps", "help", "can", "could", "i", "we",
    "would", "will", "simple", "little", "just", "you", "so", "my", "team", "our", "people",
];
const MANAGES: &[&str] = &[
    "track",
    "tracks",
    "tracking",
    "manage",
    "manages",
    "managing",
    "organise",
    "organize",
    "organises",
    "organizes",
    "organizing",
    "organising",
    "store",
    "stores",
    "storing",
    "handle",
    "handles",
    "handling",
    "record",
    "records",
    "recording",
    "remember",
    "remembers",
    "follow",
    "follows",
    "keep",
    "keeps",
    "keeping",
    "look",
    "looks",
    "looking",
];
const MANAGED: &[&str] =
    &["customer", "customers", "client", "clients", "lead", "leads", "prospects", "deals", "contacts", "sales"];

/// Nouns that make "CRM" the first half of another thing.
const CRM_COMPOUNDS: &[&str] = &[
    "password",
    "login",
    "company",
    "companies",
    "vendor",
    "vendors",
    "account",
    "person",
    "people",
    "guy",
    "expert",
    "consultant",
    "training",
    "support",
    "data",
    "problem",
    "problems",
    "issue",
    "issues",
    "price",
    "prices",
    "contract",
    "invoice",
    "conference",
    "market",
    "industry",
    "user",
    "users",
    "team",
    "license",
    "licence",
    "course",
    "book",
    "report",
    "status",
    "update",
    "admin",
    "salesman",
    "demo",
    "stuff",
    "provider",
    "providers",
    "records",
];

/// Nouns that make another thing's name the first half of something that nobody here builds: "shop assistant", "site visit".
const COMPOUNDS: &[&str] = &[
    "assistant",
    "assistants",
    "window",
    "windows",
    "keeper",
    "owner",
    "floor",
    "visit",
    "foreman",
    "inspector",
    "camera",
    "light",
    "lights",
    "guy",
    "guys",
    "manager",
    "clerk",
    "steward",
    "lifter",
    "detective",
    "vac",
];

/// All mentions, left to right.
pub(super) fn mentions(heard: &Transcript) -> Vec<Mention> {
    let mut found = Vec::new();
    let mut i = 0;
    while i < heard.words().len() {
        let known = found.iter().find(|m: &&Mention| m.what == Artefact::Crm).or(found.last()).map(|m| m.what);
        match mention(heard, i).or_else(|| another(heard, i, known?)) {
            Some(m) => {
                i = m.end.max(i + 1);
                found.push(m);
            }
            None => i += 1,
        }
    }
    found
}

fn mention(heard: &Transcript, i: usize) -> Option<Mention> {
    let word = heard.at(i);
    let make = |what, end, described, plural| Mention {
        what,
        start: i,
        end,
        described,
        plural,
        determiner: determiner(heard, i),
    };
    if matches!(word, "crm" | "crms") {
        if CRM_COMPOUNDS.contains(&heard.at(i + 1)) {
            return None;
        }
        return Some(make(Artefact::Crm, i + 1, false, word == "crms"));
    }
    if let Some(end) = compound(heard, i).or_else(|| purpose(heard, i)) {
        return Some(make(Artefact::Crm, end, true, false));
    }
    let (_, name) = OTHERS.iter().find(|(w, _)| *w == word)?;
    // "a CRM app", "crm software": the CRM was found one word before.
    if i > 0 && heard.at(i - 1) == "crm" {
        return None;
    }
    // "store people", "to store": a verb.
    if word == "store" && !matches!(heard.at(i.wrapping_sub(1)), "online" | "web" | "a" | "the" | "our" | "my") {
        return None;
    }
    if COMPOUNDS.contains(&heard.at(i + 1)) {
        return None;
    }
    Some(make(Artefact::Other(name), i + 1, false, word.ends_with('s')))
}

/// What may follow a "one" that stands for what was named: an end, a clause, a courtesy, and no noun.
#[rustfmt::skip]
const AFTER_ONE: &[&str] = &[
    "", PAUSE, "that", "which", "where", "with", "without", "for", "to", "please", "today", "now", "too", "and", "from",
    "as", "soon", "quickly", "this", "by", "because", "so", "then", "like", "if", "or", "but", "in", "on", "of", "right",
    "before", "can", "could", "would", "will", "instead", "at", "next", "tomorrow", "set", "made", "built", "up",
    "together", "thanks", "thank", "also", "again", "myself", "ourselves", "who", "since", "we", "i", "it", "you",
];

/// "… so build us a new one", "please make one that has contacts": what was named before.
fn another(heard: &Transcript, i: usize, what: Artefact) -> Option<Mention> {
    let before = heard.at(i.checked_sub(1)?);
    let next = heard.at(i + 1);
    let new =
        matches!(before, "new" | "better" | "proper" | "another" | "good" | "me" | "us" | "want" | "need" | "build");
    let made = MAKE.contains(&before) || matches!(before, "have" | "get" | "order" | "like" | "buy");
    let set_up = matches!(before, "set" | "put") && PARTICLES.contains(&next);
    // "make me one more offer" names something else.
    (heard.at(i) == "one" && (set_up || (new || made) && AFTER_ONE.contains(&next))).then(|| Mention {
        what,
        start: i,
        end: i + 1,
        described: true,
        plural: false,
        determiner: determiner(heard, i),
    })
}

/// "customer database", "client management software", "contact and deal tracker".
fn compound(heard: &Transcript, i: usize) -> Option<usize> {
    if !WHOSE.contains(&heard.at(i)) {
        return None;
    }
    let mut end = i + 1;
    while end < i + 4 && INSIDE.contains(&heard.at(end)) && !HEADS.contains(&heard.at(end)) {
        end += 1;
    }
    if !HEADS.contains(&heard.at(end)) {
        return None;
    }
    if heard.at(end) == "management" && HEADS.contains(&heard.at(end + 1)) {
        end += 1;
    }
    // A "client manager" is a person, a "contact manager" a program.
    (heard.at(end) != "manager" || end > i + 1 || heard.at(i) == "contact").then_some(end + 1)
}

/// "something to keep track of our customers".
fn purpose(heard: &Transcript, i: usize) -> Option<usize> {
    if !VESSELS.contains(&heard.at(i)) {
        return None;
    }
    let mut j = i + 1;
    while j < i + 7 && LINKS.contains(&heard.at(j)) {
        j += 1;
    }
    if j == i + 1 || !MANAGES.contains(&heard.at(j)) {
        return None;
    }
    (j + 1..j + 7).take_while(|k| heard.at(*k) != PAUSE).find(|k| MANAGED.contains(&heard.at(*k))).map(|k| k + 1)
}

/// The article or possessive before a name, looked for across up to four adjectives.
fn determiner(heard: &Transcript, start: usize) -> Determiner {
    for back in 1..=5 {
        let Some(at) = start.checked_sub(back) else { break };
        match heard.at(at) {
            "a" | "an" | "one" | "some" | "another" | "any" => return Determiner::Indefinite,
            "the" | "this" | "that" => return Determiner::Definite,
            // "our own CRM" is one that is wished for.
            "our" | "my" if heard.at(at + 1) == "own" => return Determiner::Indefinite,
            "our" | "my" => return Determiner::Own,
            "your" | "their" | "his" | "her" | "its" | "whose" => return Determiner::Others,
            PAUSE | "" | "me" | "us" | "of" | "to" | "with" | "is" | "need" | "needs" | "want" | "wants"
            | "requires" | "get" | "have" | "build" | "make" => break,
            _ => {}
        }
    }
    Determiner::Indefinite
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crm(text: &str) -> bool {
        mentions(&Transcript::new(text)).iter().any(|m| m.what == Artefact::Crm)
    }

    #[test]
    fn a_crm_in_other_words() {
        for text in [
            "a CRM",
            "two crms",
            "a customer database",
            "client management software",
            "a contact and deal tracker",
            "something to keep track of our customers",
            "an app that helps us manage leads",
            "a place to store my contacts",
            "software where we can follow up on our deals",
            "a contact manager",
        ] {
            assert!(crm(text), "{text}");
        }
    }

    #[test]
    fn not_a_crm() {
        for text in [
            "a CRM vendor",
            "customer service",
            "the customer is king",
            "a website",
            "a contact list",
            "my account manager",
            "something to eat",
            "a way to go",
            "software for weddings",
            "deal with it",
            "a shop assistant",
        ] {
            assert!(!crm(text), "{text}");
        }
    }
}
