//! Which features a turn names, and whether it wants or refuses them.
//!
//! Pure. Purpose: "with contacts but no deals", "leave the invoices out", "only contacts" become a [`FeatureEdit`].
//! Invariant: a feature is in at most one of the two lists, the last mention wins.
//! Deliberately absent: which features can be built (the dialogue is told), what they become (the spec).

use serde::{Deserialize, Serialize};

use super::Transcript;
use super::artefact::{Artefact, Mention, mentions};
use super::offered;
use super::transcript::PAUSE;
use crate::pipeline::manifest::BuildType;

/// A feature as named: a key for machines and words for the ear.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Feature {
    /// Lower case, e.g. `contacts`; for a feature that no table knows the word itself.
    pub key: String,
    /// As spoken, e.g. "deal stages".
    pub spoken: String,
}

impl Feature {
    /// The feature of this key; unknown keys are spoken as written.
    #[must_use]
    pub fn of_key(key: &str) -> Self {
        let spoken = FEATURES.iter().find(|f| f.key == key).map_or(key, |f| f.spoken);
        Self { key: key.to_owned(), spoken: spoken.to_owned() }
    }
}

/// What a turn changes about the wanted features.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeatureEdit {
    /// Wanted, in the order named.
    pub add: Vec<Feature>,
    /// Refused, in the order named.
    pub remove: Vec<Feature>,
    /// "only contacts": what is not in `add` goes.
    pub only: bool,
    /// "everything", "all of it".
    pub all: bool,
    /// "both".
    pub both: bool,
    /// "you choose", "I don't mind".
    pub whatever: bool,
}

impl FeatureEdit {
    /// Whether the turn says nothing about features.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty() && !self.all && !self.both
    }
}

struct Row {
    key: &'static str,
    spoken: &'static str,
    words: &'static [&'static str],
}

/// Everything that people ask a CRM for, whether or not it can be built. First word of a longer name decides.
#[rustfmt::skip]
const FEATURES: &[Row] = &[
    Row { key: "contacts", spoken: "contacts", words: &["contact", "contacts", "customer", "customers", "client", "clients", "leads", "lead", "prospects", "prospect", "addresses"] },
    Row { key: "deals", spoken: "deals", words: &["deal", "deals", "opportunity", "opportunities", "pipeline", "pipelines"] },
    Row { key: "stages", spoken: "deal stages", words: &["stage", "stages", "phases", "kanban"] },
    Row { key: "notes", spoken: "notes", words: &["note", "notes", "comments", "remarks", "memos"] },
    Row { key: "search", spoken: "search", words: &["search", "searching", "searchable", "searches", "lookup"] },
    Row { key: "companies", spoken: "companies", words: &["companies", "organisations", "organizations", "accounts"] },
    Row { key: "tasks", spoken: "tasks", words: &["task", "tasks", "todos", "activities"] },
    Row { key: "reminders", spoken: "reminders", words: &["reminder", "reminders"] },
    Row { key: "calendar", spoken: "a calendar", words: &["calendar", "calendars", "appointment", "appointments", "meetings", "scheduling"] },
    Row { key: "invoices", spoken: "invoices", words: &["invoice", "invoices", "invoicing", "billing", "bills"] },
    Row { key: "payments", spoken: "payments", words: &["payment", "payments"] },
    Row { key: "quotes", spoken: "quotes", words: &["quote", "quotes", "quotations", "estimates"] },
    Row { key: "email", spoken: "e-mail", words: &["email", "emails", "mailing", "newsletter", "newsletters"] },
    Row { key: "messages", spoken: "text messages", words: &["sms", "whatsapp", "texting"] },
    Row { key: "reports", spoken: "reports", words: &["reports", "reporting", "charts", "graphs", "statistics", "analytics", "dashboards"] },
    Row { key: "documents", spoken: "documents", words: &["documents", "files", "attachments", "uploads", "contracts"] },
    Row { key: "import", spoken: "import", words: &["import", "importing", "imports"] },
    Row { key: "export", spoken: "export", words: &["export", "exporting", "exports"] },
    Row { key: "logins", spoken: "logins", words: &["login", "logins", "passwords", "permissions", "roles"] },
    Row { key: "products", spoken: "products", words: &["products", "inventory", "stock", "catalogue", "catalog"] },
    Row { key: "tickets", spoken: "tickets", words: &["tickets", "complaints"] },
    Row { key: "call_log", spoken: "a call log", words: &["calls", "phonebook"] },
];

/// Words after which the next features are refused.
const REFUSE: &[&str] = &[
    "without", "no", "not", "remove", "drop", "skip", "delete", "except", "minus", "lose", "scrap", "leave", "omit",
    "replace", "swap", "change", "exclude", "forget", "don't", "never", "ditch", "cut", "neither", "nor", "isn't",
    "aren't", "won't", "nobody", "strike", "erase",
];

/// Particles that make "take", "throw", "cross" verbs of removing: "take the deals away", "cross out the notes".
const TAKEN: &[&str] = &["out", "away", "off", "rid"];

/// Verbs of refusing that a negator turns round: "don't forget the invoices".
const REMOVES: &[&str] = &[
    "remove", "drop", "skip", "delete", "lose", "scrap", "leave", "omit", "exclude", "forget", "ditch", "cut", "take",
    "throw", "kick", "cross", "strike",
];

/// Negated, with the caller as subject, these refuse: "I didn't ask for notes". With "you" they complain of a gap.
const NEGATED_PAST: &[&str] = &["didn't", "haven't", "hadn't", "wouldn't", "couldn't"];

/// Before "for" they do not begin a new wish: "I never asked for deals", "no use for notes".
const OF_FOR: &[&str] = &["need", "use", "ask", "asked", "asking", "care", "call", "called", "look", "looking", "wish"];

/// Nouns of "no need for", "no use for".
const NO_USE: &[&str] = &["need", "use", "interest", "reason", "point"];

/// Judgements that refuse what was named before them when they are negated: "deals are not needed".
const NEEDED: &[&str] = &["needed", "necessary", "required", "wanted", "important", "useful", "essential", "relevant"];
const NOT_NEEDED: &[&str] = &["unnecessary", "superfluous", "useless", "pointless", "redundant"];

/// Words after which the next features are wanted again.
const WANT: &[&str] = &[
    "with",
    "add",
    "adding",
    "plus",
    "also",
    "include",
    "includes",
    "including",
    "want",
    "need",
    "keep",
    "have",
    "having",
    "but",
    "yes",
    "yeah",
    "has",
    "for",
    "to",
    "give",
    "like",
    "put",
    "use",
    "need",
    "wants",
    "needs",
    "track",
    "store",
];

/// Verbs that a preceding "don't" refuses instead of being wanted.
const NEGATABLE: &[&str] = &["want", "need", "add", "include", "have", "keep", "like", "put", "use", "care", "really"];

/// Nouns that make a CRM word part of another name: "contact me", "deal with", "note that".
const NOT_A_FEATURE_BEFORE: &[(&str, &[&str])] = &[
    ("contact", &["me", "us", "you", "him", "her", "them", "the", "support"]),
    ("deal", &["with"]),
    ("note", &["that"]),
    ("lead", &["to", "me", "us"]),
    ("search", &["for"]),
    ("import", &["a"]),
    ("customer", &["service", "support"]),
    ("files", &["a"]),
    ("change", &["of"]),
];

/// Words before a feature word that turn it into something else: "a big deal", "phone calls", "in search".
const NOT_A_FEATURE_AFTER: &[(&str, &[&str])] =
    &[("deal", &["big", "good", "great", "real"]), ("stage", &["on", "early"]), ("quote", &["i"])];

/// Reads the features of a turn that speaks of this type of app.
pub(super) fn edit(heard: &Transcript, kind: BuildType) -> FeatureEdit {
    let words = heard.words();
    let mut edit = FeatureEdit::default();
    let mut named = Named::default();
    let mut refuse = false;
    // "instead of deals, notes": refused is the next feature only.
    let mut refuse_once = false;
    let mut negated_at = None;
    let mut listing = false;
    let described: Vec<Mention> =
        mentions(heard).into_iter().filter(|m| m.described && m.what == Artefact::Crm).collect();
    let mut i = 0;
    while i < words.len() {
        let word = heard.at(i);
        let next = heard.at(i + 1);
        // "a customer database", "something to keep track of my clients": that is the thing, and no feature of it.
        if matches!(word, "customer" | "customers" | "client" | "clients")
            && described.iter().any(|m| (m.start..m.end).contains(&i))
        {
            i += 1;
            continue;
        }
        if matches!((word, next), ("instead", "of") | ("rather", "than")) {
            (refuse, refuse_once) = (true, true);
            i += 2;
            continue;
        }
        let alone = matches!(word, "only" | "just") && (heard.at(i.wrapping_sub(1)) == PAUSE || i == named.end);
        if refuse && alone {
            // "no deals, just contacts".
            (refuse, refuse_once) = (false, false);
        }
        if complains_of_a_gap(heard, i) {
            (refuse, refuse_once, listing) = (false, false, true);
            i += 1;
            continue;
        }
        let negated = |count: usize| negated_at.is_some_and(|at: usize| at + count >= i);
        // "don't forget the notes", "I can not do without notes".
        let turned_round = REMOVES.contains(&word) && negated(3)
            || word == "without" && heard.at(i.wrapping_sub(1)) == "do" && negated(2);
        if turned_round || (matches!(word, "not" | "nothing") && matches!(next, "only" | "just" | "but")) {
            (refuse, refuse_once, listing, negated_at) = (false, false, true, None);
            i += if turned_round { 1 } else { 2 };
            continue;
        }
        if refuses(heard, i) {
            // "No, …" answers; "no deals" refuses.
            refuse = !(word == "no" && (next == PAUSE || next == "no"));
            refuse_once = false;
            listing = refuse;
            negated_at = matches!(word, "don't" | "not" | "never" | "won't").then_some(i);
            // "don't want deals" refuses deals, "no need for deals" too; but "no, add notes" wants notes.
            while refuse
                && (negated_at.is_some() && NEGATABLE.contains(&heard.at(i + 1))
                    || word == "no" && NO_USE.contains(&heard.at(i + 1)))
            {
                i += 1;
            }
            i += 1;
            continue;
        }
        if WANT.contains(&word) {
            let before = heard.at(i.wrapping_sub(1));
            // "I don't need to have deals", "I don't want you to add notes": still refused.
            let still = word == "to"
                && negated_at.is_some_and(|at| at + 4 >= i)
                && (NEGATABLE.contains(&before) || matches!(before, "you" | "it" | "us"));
            // "everything but deals".
            let all_but = word == "but" && matches!(before, "everything" | "all" | "anything");
            // "no need for deals", "change deals to notes".
            // "nobody needs deals".
            let nobodys = refuse && (i.saturating_sub(3)..i).any(|k| heard.at(k) == "nobody");
            refuse = all_but || nobodys || refuse && (still || word == "for" && OF_FOR.contains(&before));
            listing = true;
            i += 1 + usize::from(still && WANT.contains(&next));
            continue;
        }
        if let Some(wanted) = named.again(heard, i, refuse) {
            for feature in wanted.features {
                note(&mut edit, feature, wanted.refused);
            }
            refuse = false;
        } else if let Some((feature, words)) = feature_at(heard, i, kind, listing || refuse) {
            named.name(heard, i, &feature);
            i += words - 1;
            named.end = i + 1;
            let next = heard.at(i + 1);
            note(&mut edit, feature, refuse);
            if std::mem::take(&mut refuse_once) {
                refuse = false;
            }
            let only = |k: usize| matches!(heard.at(k), "only" | "just") && heard.at(k.wrapping_sub(1)) != "not";
            let first = i + 1 - words;
            let alone_before = only(first.wrapping_sub(1))
                || (only(first.wrapping_sub(2)) && matches!(heard.at(first.wrapping_sub(1)), "the" | "a"));
            if !refuse && (alone_before || next == "only" || (next == "and" && heard.at(i + 2) == "nothing")) {
                edit.only = true;
            }
            listing = true;
        } else if listing && is_item(heard, i) {
            note(&mut edit, Feature { key: word.to_owned(), spoken: word.to_owned() }, refuse);
        } else if !matches!(word, "and" | "or" | "a" | "an" | "the" | "some" | "any" | PAUSE) {
            listing = false;
        }
        i += 1;
    }
    edit.all =
        heard.says(&["everything", "all of it", "all of them", "the lot", "all of that", "all of those", "all three"])
            && !heard.says(&["not everything"]);
    // "Both would be good" is heard as "those would be good", and means the same.
    let welcome = ["those would be good", "those would be fine", "those would be great", "those would be nice"];
    edit.both = heard.says(&["both", "the two"]) || heard.says(&welcome);
    edit.whatever = heard.says(&[
        "you choose",
        "you decide",
        "whatever",
        "don't mind",
        "don't care",
        "don't know",
        "not sure",
        "no idea",
        "up to you",
        "the usual",
        "the default",
        "the standard",
        "either",
        "anything",
    ]);
    edit
}

/// Whether the features after word `i` are refused.
fn refuses(heard: &Transcript, i: usize) -> bool {
    let word = heard.at(i);
    let before = heard.at(i.wrapping_sub(1));
    match word {
        "apart" => heard.at(i + 1) == "from",
        "take" | "throw" | "kick" | "cross" | "pull" | "toss" | "chuck" | "get" => {
            (i + 1..i + 9)
                .map(|k| heard.at(k))
                .take_while(|w| *w != PAUSE && !WANT.contains(w))
                .any(|w| TAKEN.contains(&w))
                && (word != "get" || heard.at(i + 1) == "rid")
        }
        _ if NEGATED_PAST.contains(&word) => matches!(before, "i" | "we"),
        "doesn't" => heard.at(i + 1) == "need",
        "nothing" => heard.at(i + 1) == "about",
        "nobody" => (i + 1..i + 4).any(|k| {
            matches!(heard.at(k), "needs" | "wants" | "uses" | "needed" | "wanted" | "asked" | "use" | "need")
        }),
        // "I cannot do without contacts".
        "without" if before == "do" => {
            !(i.saturating_sub(3)..i).any(|k| matches!(heard.at(k), "can't" | "cannot" | "not" | "couldn't"))
        }
        _ => REFUSE.contains(&word),
    }
}

/// "You didn't mention notes", "there is no search", "I don't see the deals": what is missing is wanted.
fn complains_of_a_gap(heard: &Transcript, i: usize) -> bool {
    let back = |count: usize| i.checked_sub(count).map_or("", |k| heard.at(k));
    let next = heard.at(i + 1);
    let auxiliary = matches!(back(1), "did" | "have" | "had" | "do" | "could" | "can" | "does" | "is" | "are");
    let subject = if auxiliary { back(2) } else { back(1) };
    match heard.at(i) {
        "didn't" | "haven't" | "hadn't" => subject == "you" && next != "need",
        "not" | "never" if subject == "you" => matches!(back(1), "did" | "have" | "had") && next != "need",
        "doesn't" | "not" if subject == "it" => matches!(next, "have" | "include" | "contain" | "show" | "mention"),
        "no" | "isn't" | "aren't" if subject == "there" || back(1) == "there's" => !NO_USE.contains(&next),
        "don't" | "can't" | "couldn't" | "not" if matches!(subject, "i" | "we") => {
            matches!(next, "see" | "hear" | "find")
        }
        _ => false,
    }
}

/// The features named last, one after the other: what "them" stands for.
#[derive(Default)]
struct Named {
    features: Vec<Feature>,
    /// One past the last of them.
    end: usize,
}

/// What a word says again of features named before it.
struct Again {
    features: Vec<Feature>,
    refused: bool,
}

impl Named {
    fn name(&mut self, heard: &Transcript, i: usize, feature: &Feature) {
        let joined = (self.end..i).all(|k| {
            matches!(heard.at(k), "and" | "or" | "a" | "an" | "the" | "some" | "any" | "my" | "our" | "no" | PAUSE)
        });
        if !joined {
            self.features.clear();
        }
        self.features.truncate(crate::limits::OPEN_POINTS_MAX - 1);
        self.features.push(feature.clone());
        self.end = i + 1;
    }

    /// "remove them", "I don't want those", "add them", "deals are not needed", "the deals can go".
    fn again(&self, heard: &Transcript, i: usize, refuse: bool) -> Option<Again> {
        let last = self.features.last()?;
        let before = heard.at(i.wrapping_sub(1));
        let next = heard.at(i + 1);
        let near = |count: usize| i <= self.end + count;
        let whole = |refused| Some(Again { features: self.features.clone(), refused });
        match heard.at(i) {
            // "those deals".
            "those" | "these" if known(heard, i + 1).is_some() => None,
            "them" | "those" | "these" if refuse => whole(true),
            "them" | "those" | "these" if matches!(before, "add" | "include" | "put" | "keep" | "want" | "need") => {
                whole(false)
            }
            "it" | "that" if refuse && REMOVES.contains(&before) => {
                Some(Again { features: vec![last.clone()], refused: true })
            }
            word if NEEDED.contains(&word) && near(4) => (i.saturating_sub(3)..i)
                .filter(|k| *k >= self.end)
                .any(|k| matches!(heard.at(k), "not" | "isn't" | "aren't" | "never" | "hardly"))
                .then(|| Again { features: self.features.clone(), refused: true }),
            word if NOT_NEEDED.contains(&word) && near(3) => (self.end..i)
                .any(|k| matches!(heard.at(k), "is" | "are" | "seem" | "seems"))
                .then(|| Again { features: self.features.clone(), refused: true }),
            "go" if near(2) && matches!(before, "can" | "must" | "should" | "may") => {
                (!matches!(next, "in" | "into" | "to" | "on" | "with" | "there"))
                    .then(|| Again { features: self.features.clone(), refused: true })
            }
            _ => None,
        }
    }
}

/// The feature named at word `i`, and how many words name it.
fn feature_at(heard: &Transcript, i: usize, kind: BuildType, listed: bool) -> Option<(Feature, usize)> {
    let pack = (kind != BuildType::BuildCrm).then(|| offered::pack(heard, i, kind, listed)).flatten();
    pack.or_else(|| known(heard, i).map(|feature| (feature, 1)))
}

/// Whether a word names a feature of the table.
pub(super) fn is_feature(word: &str) -> bool {
    FEATURES.iter().any(|feature| feature.words.contains(&word))
}

/// Whether the features behind a word are refused.
pub(super) fn is_refusing(word: &str) -> bool {
    REFUSE.contains(&word)
}

/// The table's feature at word `i`, unless its neighbours make it another thing.
fn known(heard: &Transcript, i: usize) -> Option<Feature> {
    let word = heard.at(i);
    let row = FEATURES.iter().find(|f| f.words.contains(&word))?;
    let next = heard.at(i + 1);
    let before = heard.at(i.wrapping_sub(1));
    if NOT_A_FEATURE_BEFORE.iter().any(|(w, after)| *w == word && after.contains(&next))
        || NOT_A_FEATURE_AFTER.iter().any(|(w, b)| *w == word && b.contains(&before))
    {
        return None;
    }
    // "deal stages" are stages; "contact notes" notes; "customer invoices" invoices.
    if FEATURES.iter().any(|f| f.words.contains(&next))
        && matches!(word, "contact" | "deal" | "customer" | "client" | "lead")
    {
        return None;
    }
    Some(Feature { key: row.key.to_owned(), spoken: row.spoken.to_owned() })
}

/// A plural that no table knows, standing where a list has its items: "with contacts and dragons".
fn is_item(heard: &Transcript, i: usize) -> bool {
    const NOT_ITEMS: &[&str] = &[
        "thanks",
        "yes",
        "this",
        "is",
        "was",
        "has",
        "does",
        "its",
        "his",
        "ours",
        "yours",
        "always",
        "perhaps",
        "us",
        "these",
        "those",
        "as",
        "lots",
        "plus",
        "sometimes",
        "things",
        "features",
        "business",
        "across",
        "process",
        "less",
        "access",
        "bells",
        "whistles",
        "days",
        "weeks",
        "months",
        "people",
        "boss",
        "employees",
        "users",
        "minus",
        "guys",
        "crms",
        "apis",
        "sales",
        "tools",
        "options",
        "stuff",
        "names",
        "details",
    ];
    let word = heard.at(i);
    let before = heard.at(i.wrapping_sub(1));
    let after = heard.at(i + 1);
    word.len() >= 5
        && word.ends_with('s')
        && !word.ends_with("ss")
        && !word.contains('\'')
        && !NOT_ITEMS.contains(&word)
        && (matches!(before, "with" | "and" | "plus" | "also" | "include" | "including" | "add" | "without" | PAUSE))
        && (matches!(after, "" | "and" | "please" | "too" | "or" | PAUSE))
}

fn note(edit: &mut FeatureEdit, feature: Feature, refuse: bool) {
    edit.add.retain(|f| f.key != feature.key);
    edit.remove.retain(|f| f.key != feature.key);
    let list = if refuse { &mut edit.remove } else { &mut edit.add };
    if list.len() < crate::limits::OPEN_POINTS_MAX {
        list.push(feature);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit_crm(heard: &Transcript) -> FeatureEdit {
        edit(heard, BuildType::BuildCrm)
    }

    fn keys(list: &[Feature]) -> Vec<&str> {
        list.iter().map(|f| f.key.as_str()).collect()
    }

    #[track_caller]
    fn check(text: &str, add: &[&str], remove: &[&str]) {
        let edit = edit_crm(&Transcript::new(text));
        assert_eq!((keys(&edit.add), keys(&edit.remove)), (add.to_vec(), remove.to_vec()), "{text}");
    }

    #[test]
    fn wanted() {
        check("build a CRM with contacts and deals", &["contacts", "deals"], &[]);
        check("a crm for our customers with a sales pipeline and deal stages", &["contacts", "deals", "stages"], &[]);
        check("add notes and a way to search", &["notes", "search"], &[]);
        check("with contacts, invoices and reminders", &["contacts", "invoices", "reminders"], &[]);
        check("with contacts and dragons please", &["contacts", "dragons"], &[]);
    }

    #[test]
    fn refused() {
        check("no, without deals", &[], &["deals"]);
        check("no without deals", &[], &["deals"]);
        check("leave the deals out", &[], &["deals"]);
        check("I don't need deals", &[], &["deals"]);
        check("I don't really want the deals or stages", &[], &["deals", "stages"]);
        check("no need for deals", &[], &["deals"]);
        check("with contacts but no invoices", &["contacts"], &["invoices"]);
        check("no add notes", &["notes"], &[]);
        check("no, contacts and notes", &["contacts", "notes"], &[]);
        check("not deals but notes", &["notes"], &["deals"]);
        check("instead of deals notes", &["notes"], &["deals"]);
        check("change deals to notes", &["notes"], &["deals"]);
        check("swap deals for notes", &["notes"], &["deals"]);
        check("replace the deals with a search", &["search"], &["deals"]);
        check("take deals out and put notes in", &["notes"], &["deals"]);
        check("keep contacts and remove deals", &["contacts"], &["deals"]);
    }

    #[test]
    fn taken_out_with_a_particle() {
        check("please take the deals away", &[], &["deals"]);
        check("cross out the notes", &[], &["notes"]);
        check("kick the reminders out", &[], &["reminders"]);
        check("get rid of the deals and the stages", &[], &["deals", "stages"]);
        check("take the deals", &["deals"], &[]);
        check("take deals instead of notes", &["deals"], &["notes"]);
        check("get the notes in there", &["notes"], &[]);
        check("take contacts, and leave the notes out", &["contacts"], &["notes"]);
    }

    #[test]
    fn what_was_named_before() {
        check("I never asked for notes, remove them", &[], &["notes"]);
        check("notes, no, I don't want those", &[], &["notes"]);
        check("deals and stages, we don't need them", &[], &["deals", "stages"]);
        check("contacts are fine, but the search, drop it", &["contacts"], &["search"]);
        check("you forgot the companies, please add them", &["companies"], &[]);
        check("I don't want to lose the deals, keep them", &["deals"], &[]);
        check("the notes are for them", &["notes"], &[]);
        check("I don't want those deals", &[], &["deals"]);
        check("them", &[], &[]);
    }

    #[test]
    fn judged_after_they_were_named() {
        check("deals are not necessary", &[], &["deals"]);
        check("the search isn't needed, notes are enough", &["notes"], &["search"]);
        check("the stages are superfluous", &[], &["stages"]);
        check("the deals can go", &[], &["deals"]);
        check("deals are necessary", &["deals"], &[]);
        check("the search is needed, not the notes", &["search"], &["notes"]);
        check("the notes can go in there too", &["notes"], &[]);
        check("the deals must stay", &["deals"], &[]);
    }

    #[test]
    fn a_negated_wish_and_a_complaint_of_a_gap() {
        check("I didn't ask for deals", &[], &["deals"]);
        check("I don't need to have deals", &[], &["deals"]);
        check("I don't want you to add notes", &[], &["notes"]);
        check("we have no use for companies", &[], &["companies"]);
        check("nobody here needs deals", &[], &["deals"]);
        check("I said nothing about deals", &[], &["deals"]);
        check("I can do without the stages", &[], &["stages"]);
        check("no deals, just contacts", &["contacts"], &["deals"]);
        check("without deals, only contacts", &["contacts"], &["deals"]);
        check("strike the reports", &[], &["reports"]);
        check("I can't do without contacts", &["contacts"], &[]);
        check("I cannot do without contacts", &["contacts"], &[]);
        check("I can not do without contacts", &["contacts"], &[]);
        check("nobody can read my notes", &["notes"], &[]);
        check("everybody here needs deals", &["deals"], &[]);
        check("everything but the deals", &[], &["deals"]);
        check("all of it apart from the deals", &[], &["deals"]);
        check("you didn't mention notes", &["notes"], &[]);
        check("there is no search in it", &["search"], &[]);
        check("it doesn't have reminders", &["reminders"], &[]);
        check("don't forget the invoices", &["invoices"], &[]);
        check("please don't leave out the notes", &["notes"], &[]);
        check("there is no need for deals", &[], &["deals"]);
        check("no, I want to add notes", &["notes"], &[]);
        check("I want deals, not only contacts", &["deals", "contacts"], &[]);
        assert!(!edit_crm(&Transcript::new("not only contacts")).only);
    }

    #[test]
    fn only_some_or_all() {
        assert!(edit_crm(&Transcript::new("only contacts")).only);
        assert!(edit_crm(&Transcript::new("just the contacts please")).only);
        assert!(edit_crm(&Transcript::new("contacts only")).only);
        assert!(!edit_crm(&Transcript::new("just add notes")).only);
        assert!(edit_crm(&Transcript::new("both please")).both);
        assert!(edit_crm(&Transcript::new("all of it")).all);
        assert!(edit_crm(&Transcript::new("you choose")).whatever);
    }

    #[test]
    fn words_that_only_look_like_features() {
        check("that is a big deal", &[], &[]);
        check("please contact me tomorrow", &[], &[]);
        check("I have to deal with my friends", &[], &[]);
    }
}
