//! What is said otherwise than it is written, as tables: abbreviations, names of products, signs. Pure.

use super::token::Token;
use super::{Reading, Said};

/// Words with a spoken form of their own; compared in lower case.
const WORDS: [(&str, &str); 50] = [
    ("aka", "also known as"),
    ("api", "A P I"),
    ("asap", "A S A P"),
    ("cli", "C L I"),
    ("crm", "C R M"),
    ("css", "C S S"),
    ("csv", "C S V"),
    ("devops", "dev ops"),
    ("dns", "D N S"),
    ("faq", "F A Q"),
    ("github", "git hub"),
    ("gitlab", "git lab"),
    ("graphql", "graph Q L"),
    ("html", "H T M L"),
    ("http", "H T T P"),
    ("https", "H T T P S"),
    ("ios", "I O S"),
    ("iot", "I O T"),
    ("iphone", "I phone"),
    ("ipad", "I pad"),
    ("json", "jason"),
    ("jwt", "J W T"),
    ("linkedin", "linked in"),
    ("linux", "linnux"),
    ("localhost", "local host"),
    ("macos", "mac O S"),
    ("mysql", "my S Q L"),
    ("nosql", "no S Q L"),
    ("npm", "N P M"),
    ("oauth", "oh auth"),
    ("ok", "okay"),
    ("openapi", "open A P I"),
    ("pdf", "P D F"),
    ("postgresql", "post gres Q L"),
    ("saas", "sass"),
    ("sdk", "S D K"),
    ("sms", "S M S"),
    ("sql", "S Q L"),
    ("sqlite", "S Q lite"),
    ("ssh", "S S H"),
    ("ssl", "S S L"),
    ("tls", "T L S"),
    ("todo", "to do"),
    ("ui", "U I"),
    ("url", "U R L"),
    ("usb", "U S B"),
    ("voip", "voyp"),
    ("vpn", "V P N"),
    ("webrtc", "web R T C"),
    ("wifi", "why fi"),
];
/// Abbreviations whose full stop ends no sentence; compared in lower case with it.
const DOTTED: [(&str, &str); 46] = [
    ("a.k.a.", "also known as"),
    ("a.m.", "A M"),
    ("approx.", "approximately"),
    ("apt.", "apartment"),
    ("ave.", "avenue"),
    ("blvd.", "boulevard"),
    ("bros.", "brothers"),
    ("cf.", "compare"),
    ("co.", "company"),
    ("corp.", "corporation"),
    ("dept.", "department"),
    ("e.g.", "for example"),
    ("est.", "established"),
    ("et.", "et"),
    ("etc.", "et cetera"),
    ("ext.", "extension"),
    ("fig.", "figure"),
    ("gen.", "general"),
    ("gov.", "governor"),
    ("i.e.", "that is"),
    ("inc.", "incorporated"),
    ("incl.", "including"),
    ("jr.", "junior"),
    ("ltd.", "limited"),
    ("max.", "maximum"),
    ("min.", "minimum"),
    ("mr.", "mister"),
    ("mrs.", "missus"),
    ("ms.", "miz"),
    ("mt.", "mount"),
    ("mtg.", "meeting"),
    ("p.m.", "P M"),
    ("p.s.", "P S"),
    ("ph.d.", "P H D"),
    ("pp.", "pages"),
    ("prof.", "professor"),
    ("qty.", "quantity"),
    ("rd.", "road"),
    ("resp.", "respectively"),
    ("rev.", "reverend"),
    ("sgt.", "sergeant"),
    ("sr.", "senior"),
    ("tel.", "telephone"),
    ("vol.", "volume"),
    ("vs.", "versus"),
    ("capt.", "captain"),
];
/// Without their full stop too.
const TITLES: [(&str, &str); 6] =
    [("Mr", "mister"), ("Mrs", "missus"), ("Ms", "miz"), ("Dr", "doctor"), ("Prof", "professor"), ("vs", "versus")];
/// Signs that stand alone.
const SIGNS: [(&str, &str); 29] = [
    ("&", "and"),
    ("+", "plus"),
    ("=", "equals"),
    ("==", "equals"),
    ("!=", "is not"),
    ("≠", "is not"),
    ("%", "percent"),
    ("@", "at"),
    ("#", "number"),
    ("/", "slash"),
    ("->", "to"),
    ("=>", "to"),
    ("→", "to"),
    ("<", "less than"),
    (">", "more than"),
    ("<=", "at most"),
    ("≤", "at most"),
    (">=", "at least"),
    ("≥", "at least"),
    ("≈", "about"),
    ("~", "about"),
    ("×", "times"),
    ("÷", "divided by"),
    ("±", "plus or minus"),
    ("°", "degrees"),
    ("∞", "infinity"),
    ("§", "section"),
    ("§§", "sections"),
    ("\\", "backslash"),
];
/// Names in which signs are said.
const NAMES: [(&str, &str); 12] = [
    ("c++", "C plus plus"),
    ("c#", "C sharp"),
    ("f#", "F sharp"),
    (".net", "dot net"),
    ("asp.net", "A S P dot net"),
    ("node.js", "node J S"),
    ("at&t", "A T and T"),
    ("w/", "with"),
    ("w/o", "without"),
    ("c/o", "care of"),
    ("n/a", "not applicable"),
    ("and/or", "and or"),
];

/// How a word of letters alone is said, where it is not as written.
pub(super) fn of_word(word: &str) -> Option<&'static str> {
    WORDS.iter().find(|(form, _)| form.eq_ignore_ascii_case(word)).map(|(_, said)| *said)
}

/// Whether a word is known as an acronym that is spelled.
pub(super) fn is_spelled(word: &str) -> bool {
    of_word(word).is_some_and(|said| said.split(' ').all(|letter| letter.len() == 1))
}

/// A word by the tables, with what stands around it.
pub(super) fn word(before: Option<&Token>, rest: &[Token], _reading: &Reading) -> Option<Vec<Said>> {
    let token = rest.first()?;
    let one = |said: Said| Some(vec![said]);
    let lower = token.plain.to_ascii_lowercase();
    let known = |table: &[(&str, &'static str)], form: &str| {
        table.iter().find(|(written, _)| *written == form).map(|(_, said)| *said)
    };
    if let Some(said) = known(&SIGNS, &token.plain).or_else(|| known(&SIGNS, &token.body)) {
        return one(Said::from(said));
    }
    if let Some(said) = known(&NAMES, &token.body.to_ascii_lowercase()) {
        return one(Said::from(said));
    }
    let named = rest
        .get(1)
        .filter(|_| !token.plain.contains(','))
        .is_some_and(|next| next.body.starts_with(|c: char| c.is_ascii_uppercase()));
    let after_name = before.is_some_and(|before| {
        before.mark.is_none() && before.body.starts_with(|c: char| c.is_ascii_uppercase() || c.is_ascii_digit())
    });
    let number_next = rest.get(1).is_some_and(|next| next.body.starts_with(|c: char| c.is_ascii_digit()));
    let bare = lower.trim_start_matches(['(', '[']).trim_end_matches([',', ';', ':', ')', ']', '!', '?']);
    match bare {
        // A street has its name before it; a saint and a doctor have it behind.
        "st." | "st" if token.body == "St" && named && !after_name => return one(Said::quiet("saint")),
        "st." | "st" if token.body == "St" && after_name => return one(Said::quiet("street")),
        "dr." | "dr" if token.body == "Dr" && after_name && !named => return one(Said::quiet("drive")),
        "dr." => return one(Said::quiet("doctor")),
        "no." | "nr." if number_next => return one(Said::quiet("number")),
        "p." if number_next => return one(Said::quiet("page")),
        _ => {}
    }
    if let Some(said) = known(&DOTTED, bare) {
        return one(Said::quiet(said));
    }
    if let Some((_, said)) = TITLES.iter().find(|(form, _)| token.body == *form && token.plain == *form) {
        return one(Said::from(*said));
    }
    of_word(&token.body).map(|said| vec![Said::from(said)])
}
