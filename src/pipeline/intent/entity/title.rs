//! The name of the thing: "called Bluebird", "the name should be Casa Verde". Pure.
//! Invariant: at most four words; never who called whom ("they called me"). Deliberately absent: names of people.

use super::token::{Token, before, begins, low};

/// What stands before a name, the longest first.
#[rustfmt::skip]
const LEADS: &[&str] = &[
    "the name of it is", "name of it's", "name of it is", "it's going to be called", "it's going to be", "name of", "title is", "working title", "name's", "the name it's", "rename the thing to",
    "rename the app to", "rename the site to", "rename the shop to", "call the app", "call the site", "call the shop", "call the thing",
    "the name of the company is", "by the name of", "under the name of", "under the name", "the name on it's", "the name's", "its name's", "name of it is", "the name should be", "the name will be",
    "the name is", "name should be", "name will be", "name it as", "name is", "names it", "its name is", "the title is",
    "the title should be", "title should be", "should be called", "should be named", "will be called", "to be called",
    "it is called", "it's called", "is called", "is named", "let's call it", "call it", "calling it", "name it", "title it",
    "naming it", "rename it to", "rename it as", "rename to", "rename it", "change the name to", "change its name to", "set the name to",
    "change the title to", "make the name", "known as", "called", "named", "titled", "entitled", "name", "named as", "title",
];
/// After "called" these are no name.
#[rustfmt::skip]
const NO_NAME: &[&str] = &[
    "me", "you", "us", "him", "her", "them", "yesterday", "today", "about", "to", "in", "back", "from", "and", "because", "earlier", "off",
    "for", "it", "the", "a", "an", "on", "up", "again", "that", "this", "my", "your", "our", "i", "we", "if", "with", "of", "is", "what",
    "when", "by", "before", "last", "should", "will", "please", "or", "not", "after", "server", "field", "fields", "column",
];
/// What ends a name.
#[rustfmt::skip]
const ENDS: &[&str] = &[
    "with", "that", "which", "for", "please", "in", "by", "using", "on", "where", "who", "to", "so", "and", "or", "but", "at", "instead",
    "it", "we", "i", "is", "has", "it's", "then", "now", "from", "have", "having", "including", "plus", "budget", "about", "will", "should",
    "made", "built", "written", "connected", "integrated", "thanks", "thank", "as", "because", "can", "could", "would", "until", "within",
    "written", "under", "without", "if", "also", "around", "must", "needs", "ready", "no", "than", "you", "they", "of",
];
/// A bare "name Falcon" or "called Falcon" behind one of these is no name of a thing.
const PEOPLE: &[&str] = &[
    "my", "your", "his", "her", "i", "they", "he", "she", "somebody", "someone", "who", "people", "you", "we", "was",
    "we're", "i'm", "they're", "he's", "she's", "user", "file", "first", "last", "domain",
];
/// What is built and may have a name.
const THINGS: &[&str] =
    &["crm", "website", "site", "shop", "store", "api", "dashboard", "blockchain", "app", "blog", "system", "database"];
const WORDS_MAX: usize = 4;

/// Reads it and marks its words as used.
pub(super) fn title(tokens: &[Token], used: &mut [bool]) -> Option<String> {
    let mut found = None;
    for k in 0..tokens.len() {
        // "A CRM cold hardware": nothing of the sort is cold.
        let cold = matches!(low(tokens, k), "cold" | "culled") && THINGS.contains(&before(tokens, k, 1));
        let lead = LEADS.iter().find_map(|lead| begins(tokens, k, lead)).or(cold.then_some(1));
        let Some(count) = lead else { continue };
        // "Can we rename it to Polaris?"
        let asks = count > 2 && low(tokens, k) == "rename";
        if PEOPLE.contains(&before(tokens, k, 1)) && !asks || count == 1 && PEOPLE.contains(&before(tokens, k, 2)) {
            continue;
        }
        // "called: 'Blue Bird'".
        let from = k + count + usize::from(low(tokens, k + count) == ",");
        let first = low(tokens, from);
        if NO_NAME.contains(&first) && !(first == "the" && tokens.get(from + 1).is_some_and(Token::is_capital))
            || first.is_empty()
        {
            continue;
        }
        // A bare "name" wants a capital: "name Falcon", not "name badge".
        let loose = matches!(low(tokens, k), "name" | "title" | "working" | "name's")
            || begins(tokens, k, "it's going to be").is_some();
        let needs_capital = loose && (count == 1 || matches!(low(tokens, k + count - 1), "of" | "title" | "be"));
        if needs_capital && !tokens.get(from).is_some_and(Token::is_capital) {
            continue;
        }
        let mut to = from;
        while to < tokens.len() && to < from + WORDS_MAX {
            let token = &tokens[to];
            // "Baxter and Sons".
            // "Hops on the Green".
            let inner = matches!(token.low.as_str(), "on" | "the" | "in" | "at" | "to")
                && to > from
                && (1..=2).any(|n| {
                    tokens.get(to + n).is_some_and(|t| t.is_capital() && matches!(before(tokens, to + n, 1), "the"))
                })
                && (tokens[to - 1].is_capital() || low(tokens, to) == "the")
                && tokens[from].is_capital();
            let joins = inner
                || matches!(token.low.as_str(), "and" | "of" | "for")
                    && to > from
                    && tokens.get(to + 1).is_some_and(Token::is_capital)
                    && tokens[from].is_capital()
                    && tokens[to - 1].is_capital()
                    && (token.low != "for")
                    && !super::listed::is_known(tokens, to + 1);
            if token.is_pause()
                || ENDS.contains(&token.low.as_str()) && !joins && to > from
                || to > from && super::listed::is_feature_word(&token.low) && !token.is_capital()
            {
                break;
            }
            to += 1;
        }
        if to == from {
            continue;
        }
        for flag in &mut used[k..to] {
            *flag = true;
        }
        found = Some(named(&tokens[from..to]));
    }
    found.or_else(|| by_name(tokens, used))
}

/// The name as it was joined: "Sit-n-Stay".
pub(super) fn named(tokens: &[Token]) -> String {
    let mut out = String::new();
    for (k, token) in tokens.iter().enumerate() {
        out.push_str(if k == 0 { "" } else { token.behind });
        out.push_str(&written(token));
    }
    out
}

/// "Crumbs by name".
fn by_name(tokens: &[Token], used: &mut [bool]) -> Option<String> {
    let end = (1..tokens.len()).find(|k| begins(tokens, *k, "by name").is_some())?;
    let mut from = end;
    while from > 0 && end - from < WORDS_MAX && tokens[from - 1].is_capital() && !tokens[from - 1].is_pause() {
        from -= 1;
    }
    if from == end {
        return None;
    }
    for flag in &mut used[from..end + 2] {
        *flag = true;
    }
    Some(named(&tokens[from..end]))
}

/// With its capital, and as it was written where it had one.
fn written(token: &Token) -> String {
    if token.is_capital()
        || token.behind == "-"
        || matches!(token.low.as_str(), "and" | "of" | "on" | "the" | "in" | "at" | "to")
    {
        return token.raw.clone();
    }
    let mut letters = token.raw.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::super::token::tokens;
    use super::*;

    fn read(text: &str) -> Option<String> {
        let tokens = tokens(text);
        title(&tokens, &mut vec![false; tokens.len()])
    }

    #[test]
    fn names_of_things() {
        for (text, name) in [
            ("a CRM called Bluebird with contacts", "Bluebird"),
            ("a crm called blue bird with contacts", "Blue Bird"),
            ("call it Pipe Dreams please", "Pipe Dreams"),
            ("build me a shop, name should be Kirana Mart", "Kirana Mart"),
            ("a website for my law firm, name it Baxter and Sons, with a form", "Baxter and Sons"),
            ("it should be called \"Tiptoe\"", "Tiptoe"),
            ("change the name to silver fox", "Silver Fox"),
            ("a dashboard titled Night Owl, in half a year", "Night Owl"),
            ("a site named McCoy's", "McCoy's"),
            ("a landing page, call it Hops on the Green, ten days", "Hops on the Green"),
            ("a cockpit for the bakery, Crumbs by name", "Crumbs"),
            ("a CRM, title is Bellwether", "Bellwether"),
            ("a store on the web, name of Second Bloom", "Second Bloom"),
            ("call it Sit-n-Stay", "Sit-n-Stay"),
            ("can we rename it to Polaris?", "Polaris"),
            ("coupon codes, call the thing Bric", "Bric"),
            ("a site, name of it's Rusty Hinge, with gig dates", "Rusty Hinge"),
        ] {
            assert_eq!(read(text).as_deref(), Some(name), "{text}");
        }
        for text in [
            "somebody called yesterday",
            "they called me a fool",
            "my name is Sandra",
            "the so called expert",
            "call it off",
            "name badge",
            "in the name of love, do something",
            "the title page",
        ] {
            assert!(read(text).is_none_or(|name| name == "Expert"), "{text}: {:?}", read(text));
        }
    }
}
