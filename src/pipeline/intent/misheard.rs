//! What a telephone makes of the words that matter here, put right in the light of what was asked: "I want to see our room"
//! for "I want a CRM", "without the dinos" for "without the deals", "you know, please" for "no, please".
//!
//! Pure. Purpose: another reading of a turn whose own says nothing. Invariants: only where the question or the words around
//! make the other reading the likelier one; a name is put in by its sound, from words that sound like it; nothing becomes a
//! yes. Deliberately absent: whether the other reading is taken (`command`), spellings that nothing else can mean
//! (`transcript`).

use super::Transcript;
use super::command::Context;
use super::feature::{is_feature, is_refusing};
use super::sound::sounds;
use super::transcript::PAUSE;

/// The letters C, R and M as other words.
const C: &[&str] = &["c", "see", "sea", "si", "cee", "she", "seeing"];
const R: &[&str] = &["r", "are", "our", "ar", "or", "hour", "your", "her", "all"];
/// What M sounds like together with the end of R (`sounds`): "em", "aim", "room", "man", "end".
const M: &[&[u8]] = &[b"an", b"n", b"ran", b"nan", b"ant", b"rant"];
/// C and the rest, in two words: "sea organ", "see marwan".
const RM: &[&[u8]] = &[b"arkan", b"aran", b"aran", b"arn", b"arnan", b"arant", b"naran", b"arans"];
/// Before "to see our room": somebody wants something.
const WANTS: &[&str] = &["want", "need", "like", "love", "get", "us", "me", "have", "build", "make", "create"];

/// Names of features and what is heard for them and is no feature itself, nor likely where features are listed.
const FEATURES: &[(&str, &[&str])] = &[
    (
        "deals",
        &[
            "dealers", "dinos", "demos", "dales", "dills", "dells", "deers", "heels", "meals", "feels", "teals",
            "seals", "yields", "yield", "steals", "wheels", "eels", "oils", "dials", "dolls", "ideal", "ideals",
            "diels", "deal's", "details'", "beals", "heals", "peels", "teal", "dill", "deel", "deels", "oil", "feel",
            "field", "fields", "steel", "heal", "he'll", "dealer", "dealt",
        ],
    ),
    (
        "tasks",
        &["tusks", "tests", "test", "chest", "asks", "tax", "taxes", "desks", "cats", "casks", "masks", "tasked"],
    ),
    ("notes", &["nodes", "nuts", "notice", "notices", "noats", "boats", "votes", "oats", "goats", "knows", "noses"]),
    (
        "contacts",
        &[
            "contest",
            "contests",
            "context",
            "contexts",
            "concepts",
            "concept",
            "concerts",
            "concert",
            "contents",
            "contracted",
            "contact's",
            "contacted",
            "conduct",
            "conducts",
            "compacts",
            "connects",
        ],
    ),
    ("companies", &["company", "company's", "accompanies", "compounds", "campaigns"]),
    ("stages", &["stage's", "stagers", "wages", "cages", "staged", "ages"]),
    ("reminders", &["remainders", "remainder", "reminder's", "reminded", "remind"]),
    ("invoices", &["voices", "invoiced", "invoice's", "envoys"]),
    ("calendar", &["colander", "calender", "callender", "calandar", "kalendar"]),
    ("reports", &["retort", "retorts", "ports", "resorts", "rapports", "report"]),
    ("documents", &["document", "argument", "arguments"]),
    ("payments", &["pavements", "paintings"]),
    ("search", &["surge", "church", "sirch"]),
    ("export", &["expert", "experts", "exporter"]),
];
/// Words behind which a request names features: "a crm to follow my demos".
const NAMES: &[&str] = &[
    "with", "and", "add", "without", "keep", "keeps", "has", "have", "follow", "track", "tracks", "manage", "handles",
];
/// Words behind which a list of features begins or goes on.
const LISTS: &[&str] = &[
    "with",
    "and",
    "add",
    "without",
    "keep",
    "keeps",
    "has",
    "have",
    "put",
    "skip",
    "strike",
    "needs",
    "remove",
    "plus",
    "also",
    "only",
    "of",
    "out",
    "no",
    "drop",
    "take",
    "need",
    "want",
    "for",
    "includes",
    "including",
    "include",
    "or",
    "leave",
    "delete",
    "just",
    "forgot",
];
/// Words that may stand between those and the feature.
const SMALL: &[&str] = &["the", "a", "an", "some", "my", "our", "any", "in", "those", "these", "to"];

/// Another reading of a turn.
pub(super) struct Reading {
    pub(super) text: String,
    /// Whatever the words as they stand may mean, these were said.
    pub(super) surely: bool,
}

/// The turn as it was probably said, where that is another one.
pub(super) fn put_right(heard: &Transcript, context: Context) -> Option<Reading> {
    let mut words: Vec<String> = heard.words().to_vec();
    let before = words.clone();
    let mut surely = context == Context::AskedApproval && refusal(&mut words);
    if context == Context::AskedApproval {
        missing(&mut words);
    }
    if context != Context::AskedApproval {
        leaves(&mut words);
    }
    if context == Context::Free {
        asks(&mut words);
    }
    if context == Context::AskedWhat {
        named(&mut words);
        // "I'm ready to order a CRM now": of notes one would say more.
        if let [.., crm, note] = words.as_mut_slice()
            && crm == "crm"
            && note == "note"
        {
            "now".clone_into(note);
            surely = true;
        }
        gathered(&mut words);
        bidden(&mut words);
        sight(&mut words);
    }
    let answers = matches!(context, Context::AskedFeatures | Context::AskedApproval);
    if answers || words.iter().any(|word| word == "crm") {
        listed(&mut words, context);
    }
    let written = |word: String| if word == PAUSE { ",".to_owned() } else { word };
    (words != before).then(|| Reading { text: words.into_iter().map(written).collect::<Vec<_>>().join(" "), surely })
}

/// "That was everything, could buy" takes leave.
fn leaves(words: &mut Vec<String>) {
    let [before @ .., good, bye] = words.as_slice() else { return };
    let sounds = matches!(good.as_str(), "could" | "good" | "get" | "to" | "the" | "couldn't" | "put" | "would")
        && matches!(bye.as_str(), "buy" | "by" | "bye" | "boy");
    // "what could I buy", "something to buy", "the boy" are talk.
    let ends = before.iter().rev().take(3).any(|w| {
        matches!(
            w.as_str(),
            "thanks" | "thank" | "today" | "all" | "everything" | "okay" | "now" | "then" | "day" | "help"
        )
    });
    if sounds && (ends || good == "good") {
        let at = before.len();
        words.splice(at.., ["goodbye".to_owned()]);
    }
}

/// "Any problems with a CRM", "how far along is the bill": of what is being built.
fn asks(words: &mut Vec<String>) {
    stands(words);
    is_it_now(words);
    for at in 2..words.len() {
        let (far, before) = (words[at - 2].clone(), words[at - 1].clone());
        let troubled =
            || words.iter().any(|w| matches!(w.as_str(), "problems" | "problem" | "trouble" | "wrong" | "errors"));
        match words[at].as_str() {
            "crm" if before == "a" && far == "with" && troubled() => "the".clone_into(&mut words[at - 1]),
            "bill" | "built" | "guilt"
                if before == "the" && words[..at].iter().any(|w| matches!(w.as_str(), "far" | "along")) =>
            {
                "build".clone_into(&mut words[at]);
            }
            "spend" if matches!(before.as_str(), "we" | "you") && far == "do" && words[0] == "where" => {
                "stand".clone_into(&mut words[at]);
            }
            _ => {}
        }
    }
}

/// "When I called it was not ready, it was live now": nothing was now.
fn is_it_now(words: &mut [String]) {
    let [.., it, was, state, now] = words else { return };
    let up = matches!(state.as_str(), "ready" | "running" | "online" | "live" | "finished" | "done" | "working" | "up");
    if it == "it" && was == "was" && now == "now" && up {
        "is".clone_into(it);
        "it".clone_into(was);
    }
}

/// "Had the CRM been finished", "it is the CRM that I ordered running": whether it is.
fn stands(words: &mut Vec<String>) {
    let named = |at: usize| words.get(at).is_some_and(|word| matches!(word.as_str(), "the" | "our" | "my"));
    let built =
        |at: usize| words.get(at).is_some_and(|word| matches!(word.as_str(), "crm" | "website" | "shop" | "app"));
    let up = |word: &String| {
        matches!(word.as_str(), "ready" | "running" | "online" | "live" | "finished" | "done" | "built" | "working")
    };
    let asks = words.iter().any(up);
    if words.first().is_some_and(|word| word == "had") && named(1) && built(2) && asks {
        "has".clone_into(&mut words[0]);
    } else if words.starts_with(&["it".to_owned(), "is".to_owned()])
        && named(2)
        && built(3)
        && words.last().is_some_and(up)
    {
        words.remove(0);
    } else if words.first().is_some_and(|word| word == "it's")
        && words.get(1).is_some_and(|word| word == "a")
        && built(2)
        && words.get(3).is_some_and(|word| word == "that")
        && words.last().is_some_and(up)
    {
        // "Is the CRM that I ordered running".
        words.splice(..2, ["is", "the"].map(str::to_owned));
    }
}

/// "you know, please stop": a no is heard so with the breath before it; "note" alone, "nope, stock that". Whether it surely
/// refuses.
fn refusal(words: &mut Vec<String>) -> bool {
    if let [word] = words.as_mut_slice()
        && matches!(word.as_str(), "note" | "hope" | "knope" | "nub")
    {
        "nope".clone_into(word);
        return true;
    }
    let mut surely = false;
    for at in 0..words.len() {
        let before = at.checked_sub(1).map_or("", |k| words[k].as_str());
        let next = words.get(at + 1).map_or("", String::as_str);
        if matches!(words[at].as_str(), "stock" | "stuck" | "stopped" | "stub")
            && matches!(before, "" | "no" | "nope" | "please" | PAUSE)
            && matches!(next, "" | "that" | "it" | "please" | PAUSE)
        {
            "stop".clone_into(&mut words[at]);
            surely = true;
        }
    }
    let turns =
        matches!(words.get(2).map_or("", String::as_str), "please" | "no" | "i" | "not" | "that" | "don't" | PAUSE);
    if words.starts_with(&["you".to_owned(), "know".to_owned()]) && turns {
        words.splice(..2, ["no".to_owned()]);
    }
    surely
}

/// "no companies are missing": a no, and what is missing; nobody says that nothing is. "it needs not to" needs notes, too.
fn missing(words: &mut Vec<String>) {
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    let named = if word(1) == "the" { 2 } else { 1 };
    if matches!(word(0), "no" | "nope")
        && is_feature(word(named))
        && matches!(word(named + 1), "is" | "are")
        && word(named + 2) == "missing"
    {
        words.insert(1, PAUSE.to_owned());
    } else if let [.., needs, not, to] = words.as_mut_slice()
        && matches!(needs.as_str(), "needs" | "need" | "add" | "with" | "wants" | "want")
        && not == "not"
        && matches!(to.as_str(), "to" | "too" | "two")
    {
        "notes".clone_into(not);
        "too".clone_into(to);
    }
}

/// "The contacts and notes into a CRM for me": what goes in front of it is put there.
fn gathered(words: &mut [String]) {
    let Some(into) = words.windows(3).position(|w| w[0] == "into" && w[1] == "a" && w[2] == "crm") else { return };
    let doing = |word: &String| {
        matches!(
            word.as_str(),
            "put"
                | "turn"
                | "make"
                | "bring"
                | "gather"
                | "collect"
                | "get"
                | "i"
                | "we"
                | "they"
                | "he"
                | "she"
                | "you"
        )
    };
    if into >= 2
        && matches!(words[0].as_str(), "with" | "the" | "but" | "could" | "foot" | "but's")
        && !words[..into].iter().any(doing)
        && words[..into].iter().any(|word| is_feature(word))
    {
        "put".clone_into(&mut words[0]);
    }
}

/// "Could somebody created a CRM": nobody asks for what is done.
fn bidden(words: &mut [String]) {
    for at in 2..words.len() {
        let base = match words[at].as_str() {
            "created" => "create",
            "made" => "make",
            "built" => "build",
            "designed" => "design",
            _ => continue,
        };
        let before = &words[at.saturating_sub(5)..at];
        let asked = before.windows(2).any(|w| {
            matches!(w[0].as_str(), "can" | "could" | "would" | "will")
                && matches!(w[1].as_str(), "you" | "somebody" | "someone" | "anyone" | "anybody")
        });
        let done = before.iter().any(|w| {
            matches!(
                w.as_str(),
                "have"
                    | "has"
                    | "had"
                    | "be"
                    | "been"
                    | "get"
                    | "was"
                    | "were"
                    | "is"
                    | "see"
                    | "that's"
                    | "like"
                    | "who"
            )
        });
        if asked && !done {
            base.clone_into(&mut words[at]);
        }
    }
}

/// "I want to see our room" names a CRM.
fn named(words: &mut Vec<String>) {
    let mut at = 0;
    while at < words.len() {
        let word = |k: usize| words.get(k).map_or("", String::as_str);
        let wanted = (at.saturating_sub(4)..at).any(|k| WANTS.contains(&word(k)));
        let starts = C.contains(&word(at));
        // C and R in one word: "build me a sealer and".
        let joined =
            matches!(word(at), "sealer" | "cellar" | "seller" | "sailor" | "cedar" | "sear" | "seer" | "seeler")
                && matches!(word(at + 1), "and" | "am" | "em" | "man" | "m" | "aim" | "ham")
                && matches!(
                    word(at + 2),
                    "" | PAUSE | "with" | "for" | "please" | "that" | "to" | "which" | "today" | "now" | "by" | "in"
                );
        let (count, more) = if wanted && joined {
            (2, false)
        } else if !wanted || !starts {
            (0, false)
        } else if R.contains(&word(at + 1)) && matches!(word(at + 2), "endless" | "empty") {
            // "C R M with", "C R M to".
            (3, true)
        } else if R.contains(&word(at + 1)) && M.contains(&sounds(word(at + 2)).as_slice()) {
            (3, false)
        } else if RM.contains(&sounds(word(at + 1)).as_slice()) {
            (2, false)
        } else {
            (0, false)
        };
        if count == 0 {
            at += 1;
            continue;
        }
        let article = match at.checked_sub(1).map(word) {
            Some("to") => {
                at -= 1;
                1
            }
            Some("a" | "the" | "one" | "as") => {
                at -= 1;
                1
            }
            _ => 0,
        };
        let put: &[&str] = match more {
            true if word(at + article + 2) == "empty" => &["a", "crm", "to"],
            true => &["a", "crm", "with"],
            false => &["a", "crm"],
        };
        words.splice(at..at + article + count, put.iter().map(|word| (*word).to_owned()));
        at += put.len();
    }
}

/// "Make a sight for my band", where something is wanted.
fn sight(words: &mut [String]) {
    for at in 1..words.len() {
        let wanted = || words[at.saturating_sub(5)..at].iter().any(|word| WANTS.contains(&word.as_str()));
        let article = matches!(words[at - 1].as_str(), "a" | "new" | "web" | "simple" | "own" | "internet");
        if matches!(words[at].as_str(), "sight" | "cite") && article && wanted() {
            "site".clone_into(&mut words[at]);
        }
    }
}

/// Features by what is heard for them, where features are listed.
fn listed(words: &mut [String], context: Context) {
    let answers = matches!(context, Context::AskedFeatures | Context::AskedApproval);
    for at in 0..words.len() {
        let word = words[at].as_str();
        let Some((name, _)) = FEATURES.iter().find(|(_, heard)| heard.contains(&word)) else { continue };
        let back = |count: usize| at.checked_sub(count).map_or("", |k| words[k].as_str());
        let next = words.get(at + 1).map_or("", String::as_str);
        let behind = (1..=3).find(|k| !SMALL.contains(&back(*k))).map_or("", back);
        let beside = next == "and" && words.get(at + 2).is_some_and(|w| is_feature(w))
            || back(1) == "and" && is_feature(back(2))
            || is_feature(back(1)) && is_feature(next)
            || next == "instead"
            || back(1) == "of" && back(2) == "instead";
        let alone = answers && (words.len() <= 3 || behind.is_empty() || behind == PAUSE);
        if beside || alone || answers && LISTS.contains(&behind) || NAMES.contains(&behind) && ends_item(next) {
            words[at] = (*name).to_owned();
        }
    }
}

/// Whether a list may go on or end before this word.
fn ends_item(next: &str) -> bool {
    matches!(next, "" | "and" | "or" | "for" | "please" | "too" | "in" | "so" | PAUSE) || is_refusing(next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn right(text: &str, context: Context) -> String {
        put_right(&Transcript::new(text), context).map_or_else(|| "-".into(), |reading| reading.text)
    }

    #[test]
    fn a_crm_by_its_sound() {
        for (heard, said) in [
            ("we want to see our room for the clinic", "we want a crm for the clinic"),
            ("yes i would like to see our man please", "yes i would like a crm please"),
            ("make us a sea organ", "make us a crm"),
            ("please build me a cellar man", "please build me a crm"),
            ("order a crm note", "order a crm now"),
            ("the contacts and notes into a crm for us", "put contacts and notes into a crm for us"),
            ("could you maybe created a crm for us", "could you maybe create a crm for us"),
            ("i want to see our endless contacts", "i want a crm with contacts"),
            ("i want to see our empty follow my deals", "i want a crm to follow my deals"),
        ] {
            assert_eq!(right(heard, Context::AskedWhat), said);
            assert_eq!(right(heard, Context::Free), "-");
        }
        for other in [
            "come and see our room",
            "could you have made a crm",
            "i have a cellar and a loft",
            "we made a crm",
            "i want to see your house",
            "we want to see the sea",
            "is there any more room",
        ] {
            assert_eq!(right(other, Context::AskedWhat), "-", "{other}");
        }
    }

    #[test]
    fn features_by_their_sound() {
        assert_eq!(right("yes but without the dinos", Context::AskedApproval), "yes but without the deals");
        assert_eq!(right("contacts and concept", Context::AskedFeatures), "contacts and contacts");
        assert_eq!(
            right("build a crm with contacts and demos", Context::AskedWhat),
            "build a crm with contacts and deals"
        );
        for other in ["we sell boats and wheels", "my company is large", "i have a test tomorrow", "no thanks"] {
            assert_eq!(right(other, Context::AskedWhat), "-", "{other}");
        }
    }

    #[test]
    fn features_by_what_is_said_of_them() {
        for (heard, said) in [
            ("no companies are missing", "no , companies are missing"),
            ("it needs not to", "it needs notes too"),
            ("almost put tax in as well", "almost put tasks in as well"),
        ] {
            assert_eq!(right(heard, Context::AskedApproval), said);
            assert_eq!(right(heard, Context::Free), "-");
        }
        for (heard, said) in [
            ("i want a crm to follow my demos", "i want a crm to follow my deals"),
            ("contacts feel notes that's the crm i want", "contacts deals notes that's the crm i want"),
            ("build me a crm which can do contacts and heal", "build me a crm which can do contacts and deals"),
            ("make a sight for my band", "make a site for my band"),
        ] {
            assert_eq!(right(heard, Context::AskedWhat), said);
        }
        for other in ["he needs not to worry", "no time is missing", "no"] {
            assert_eq!(right(other, Context::AskedApproval), "-", "{other}");
        }
        for other in ["what a sight", "we lost sight of it", "i want to handle my demos"] {
            assert_eq!(right(other, Context::AskedWhat), "-", "{other}");
        }
    }

    #[test]
    fn a_no_with_breath() {
        assert_eq!(right("you know please stop", Context::AskedApproval), "no please stop");
        assert_eq!(right("you know what yes", Context::AskedApproval), "-");
        assert_eq!(right("you know please stop", Context::AskedWhat), "-");
    }

    #[test]
    fn other_words_by_their_sound() {
        for (heard, said, context) in [
            ("note", "nope", Context::AskedApproval),
            ("nope stock that", "nope stop that", Context::AskedApproval),
            ("that was everything for today could buy", "that was everything for today goodbye", Context::Free),
            ("are there any problems with a crm", "are there any problems with the crm", Context::Free),
            ("how far along is the bill", "how far along is the build", Context::Free),
            ("had the crm been finished in time", "has the crm been finished in time", Context::Free),
            ("it is the crm i ordered already running", "is the crm i ordered already running", Context::Free),
            ("where do we spend with the crm", "where do we stand with the crm", Context::Free),
        ] {
            assert_eq!(right(heard, context), said);
        }
        for other in [
            "what could i buy",
            "we keep stock",
            "who pays the bill",
            "it is the crm",
            "had the crm",
            "i want to sell and to buy",
        ] {
            assert_eq!(right(other, Context::Free), "-", "{other}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "\\PC{0,120}") {
            for context in [Context::Free, Context::AskedWhat, Context::AskedFeatures, Context::AskedApproval] {
                let _ = put_right(&Transcript::new(&text), context);
            }
        }
    }
}
