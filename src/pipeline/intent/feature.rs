//! Which features a turn names, and whether it wants or refuses them.
//!
//! Pure. Purpose: "with contacts but no deals", "leave the invoices out", "only contacts" become a [`FeatureEdit`].
//! Invariant: a feature is in at most one of the two lists, the last mention wins.
//! Deliberately absent: which features can be built (the dialogue is told), what they become (the spec).

use super::Transcript;
use super::transcript::PAUSE;

/// A feature as named: a key for machines and words for the ear.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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
    "aren't",
];

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

/// Reads the features of a turn.
pub(super) fn edit(heard: &Transcript) -> FeatureEdit {
    let words = heard.words();
    let mut edit = FeatureEdit::default();
    let mut refuse = false;
    // "instead of deals, notes": refused is the next feature only.
    let mut refuse_once = false;
    let mut listing = false;
    let mut i = 0;
    while i < words.len() {
        let word = heard.at(i);
        let next = heard.at(i + 1);
        if matches!((word, next), ("instead", "of") | ("rather", "than")) {
            (refuse, refuse_once) = (true, true);
            i += 2;
            continue;
        }
        if REFUSE.contains(&word) || (word == "take" && words[i..].iter().any(|w| w == "out")) {
            // "No, …" answers; "no deals" refuses.
            refuse = !(word == "no" && (next == PAUSE || next == "no"));
            refuse_once = false;
            listing = refuse;
            // "don't want deals" refuses deals, "no need for deals" too; but "no, add notes" wants notes.
            while refuse
                && (matches!(word, "don't" | "not" | "never") && NEGATABLE.contains(&heard.at(i + 1))
                    || word == "no" && heard.at(i + 1) == "need")
            {
                i += 1;
            }
            i += 1;
            continue;
        }
        if WANT.contains(&word) {
            // "no need for deals", "change deals to notes".
            refuse = refuse && word == "for" && heard.at(i.wrapping_sub(1)) == "need";
            listing = true;
            i += 1;
            continue;
        }
        if let Some(feature) = known(heard, i) {
            note(&mut edit, feature, refuse);
            if std::mem::take(&mut refuse_once) {
                refuse = false;
            }
            let alone_before = matches!(heard.at(i.wrapping_sub(1)), "only" | "just");
            let alone_before = alone_before
                || (matches!(heard.at(i.wrapping_sub(2)), "only" | "just") && matches!(heard.at(i - 1), "the" | "a"));
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
    edit.both = heard.says(&["both", "the two"]);
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

    fn keys(list: &[Feature]) -> Vec<&str> {
        list.iter().map(|f| f.key.as_str()).collect()
    }

    #[track_caller]
    fn check(text: &str, add: &[&str], remove: &[&str]) {
        let edit = edit(&Transcript::new(text));
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
    fn only_some_or_all() {
        assert!(edit(&Transcript::new("only contacts")).only);
        assert!(edit(&Transcript::new("just the contacts please")).only);
        assert!(edit(&Transcript::new("contacts only")).only);
        assert!(!edit(&Transcript::new("just add notes")).only);
        assert!(edit(&Transcript::new("both please")).both);
        assert!(edit(&Transcript::new("all of it")).all);
        assert!(edit(&Transcript::new("you choose")).whatever);
    }

    #[test]
    fn words_that_only_look_like_features() {
        check("that is a big deal", &[], &[]);
        check("please contact me tomorrow", &[], &[]);
        check("I have to deal with my friends", &[], &[]);
    }
}
