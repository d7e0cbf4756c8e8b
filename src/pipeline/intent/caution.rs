//! What makes a sentence with the words of a request none: it is refused, supposed, over, somebody else's or only quoted.
//!
//! Pure, over normalised words (`vectorise`). Purpose: the classifier counts words; this reads who does what. Invariant: it can
//! only speak against a request. Deliberately absent: courtesy and self-repair in full (`mood` weighs verbs one by one).

use super::vectorise::classes;
use super::words::NOT_US;

/// Why a sentence asks for nothing here and now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caution {
    /// "don't build a website", "we need no CRM".
    Refused,
    /// "if we ever get a shop", "maybe one day".
    Supposed,
    /// "we built one last year".
    Over,
    /// "my brother wants a website".
    SomebodyElse,
    /// "he said build a CRM".
    Quoted,
}

const NOT: &[&str] = &["not", "never", "no", "<no>", "without", "neither", "nor", "hardly", "nobody", "stop"];
const MAKES: &[&str] = &["<make>", "<making>", "<get>", "<want>", "<show>", "have", "like", "<made>"];
const THINGS: &[&str] = &["<crm>", "<site>", "<shop>", "<api>", "<dash>", "<chain>", "<soft>", "<comp>"];
/// Between a negator and its verb.
const BETWEEN: &[&str] = &[
    "you", "to", "me", "us", "please", "really", "just", "ever", "want", "<want>", "going", "would", "should", "have",
    "need", "a", "any", "even", "like", "<third>", "tell", "ask", "<x>", "am", "are", "is", "we", "i", "think", "be",
    "in", "for", "that", "one",
];
/// After which somebody else's deed is what the caller wants: "a site for my friend", "where they can buy".
const SERVES: &[&str] =
    &["for", "of", "to", "where", "so", "that", "which", "with", "when", "let", "by", "from", "and", "how", "as"];

/// The first reason against it, if any.
pub(super) fn caution(words: &[String]) -> Option<Caution> {
    let w: Vec<&str> = words.iter().map(String::as_str).collect();
    let stream = classes(words);
    let s = &stream[1..stream.len() - 1];
    if refused(s) {
        return Some(Caution::Refused);
    }
    if supposed(&w, s) {
        return Some(Caution::Supposed);
    }
    if others(&w) {
        return Some(Caution::SomebodyElse);
    }
    somebody(s).or_else(|| over(&w, s).then_some(Caution::Over))
}

/// "our neighbors want to build a website": those on whose behalf one does not call, unless the caller comes into it.
fn others(w: &[&str]) -> bool {
    w.windows(2).enumerate().any(|(k, pair)| {
        let does = matches!(pair[1], "want" | "wanted" | "need" | "needed" | "plan" | "are" | "were" | "have" | "had");
        NOT_US.contains(&pair[0])
            && does
            && !w[..k].iter().rev().take(2).any(|b| SERVES.contains(b))
            && !w[k..].iter().any(|t| matches!(*t, "we" | "i" | "us" | "me" | "you" | "please" | "so"))
    })
}

fn at<'a>(s: &[&'a str], k: usize) -> &'a str {
    s.get(k).copied().unwrap_or("")
}

/// A negator governs a verb of making or wanting, or the thing itself.
fn refused(s: &[&str]) -> bool {
    s.iter().enumerate().any(|(k, word)| {
        let negates = NOT.contains(word) || *word == "<neg>";
        if !negates {
            return false;
        }
        // "why not build a website", "can you not build"; "can I not have".
        if *word == "not" && matches!(at(s, k.wrapping_sub(1)), "why" | "if") || at(s, k.wrapping_sub(2)) == "why" {
            return false;
        }
        // "not a website, a shop", "I have no website, build one": what comes behind is the wish.
        let turns = |from: usize| {
            (from..s.len()).any(|m| {
                THINGS.contains(&at(s, m)) && !(m.saturating_sub(3)..m).any(|b| NOT.contains(&at(s, b)))
                    || matches!(at(s, m), "<make>" | "<want>" | "<get>")
            })
        };
        // "no website", "without a CRM"; but "no, a website".
        if matches!(*word, "no" | "<no>" | "without") {
            return THINGS.contains(&at(s, k + 1)) && !turns(k + 2)
                || *word == "without" && THINGS.contains(&at(s, k + 2)) && !turns(k + 3)
                || matches!(at(s, k + 1), "need" | "use" | "more") && !s.iter().skip(k + 4).any(|t| *t == "<make>");
        }
        let verb = (k + 1..s.len().min(k + 9)).find(|m| MAKES.contains(&at(s, *m)) || !BETWEEN.contains(&at(s, *m)));
        let Some(verb) = verb.filter(|m| MAKES.contains(&at(s, *m))) else {
            return THINGS.contains(&at(s, k + 1)) && !turns(k + 2) || THINGS.contains(&at(s, k + 2)) && !turns(k + 3);
        };
        let thing = (verb + 1..s.len().min(verb + 7)).find(|m| THINGS.contains(&at(s, *m)));
        // "I don't have a website, make one": what comes after is the wish.
        let wish = |from: usize| s[from.min(s.len())..].iter().any(|t| matches!(*t, "<make>" | "<want>" | "<get>"));
        match thing {
            Some(thing) => !wish(thing + 1) || (verb + 1..thing).all(|m| at(s, m) != "have") && at(s, verb) == "<make>",
            None => at(s, verb) == "<make>" && !wish(verb + 1),
        }
    })
}

/// Told as a thought, not as a wish.
fn supposed(w: &[&str], s: &[&str]) -> bool {
    let pair = |a: &str, b: &[&str]| w.windows(2).any(|p| p[0] == a && b.contains(&p[1]));
    let courteous =
        ["please", "grateful", "appreciate", "lovely", "great", "nice", "glad", "happy", "kind", "wondering"]
            .iter()
            .any(|c| w.contains(c));
    let supposes = s.iter().enumerate().any(|(k, t)| {
        *t == "<if>"
            && !(at(s, k + 1) == "you" && matches!(at(s, k + 2), "can" | "could" | "would" | "do" | "will" | "<make>"))
            && !matches!(at(s, k + 1), "possible" | "that" | "not" | "it" | "<x>" | "" | "there")
    });
    let thinks = pair("thinking", &["about", "of"])
        || pair("think", &["about"])
        || pair("considering", &["a", "an", "getting", "having", "building"])
        || pair("talking", &["about"])
        || pair("discussing", &["whether", "a", "an", "the", "if"])
        || pair("suppose", &["i", "we", "you", "somebody", "someone"]) && w.first() == Some(&"suppose")
        || pair("not", &["sure", "decided"])
        || pair("one", &["could", "might"])
        || pair("one", &["day"]) && !w.contains(&"by")
        || w.windows(3).any(|p| matches!(p, ["before" | "once" | "until" | "after", "we" | "i", _]))
            && !s.contains(&"<make>")
        || pair("what", &["if"])
        || pair("should", &["we", "i"])
        || pair("shall", &["we", "i"])
        || pair("would", &["we", "i"]);
    (supposes || thinks) && !courteous
}

/// Somebody else is the subject of making, wanting or saying.
fn somebody(s: &[&str]) -> Option<Caution> {
    for (k, word) in s.iter().enumerate() {
        let other = match *word {
            "<third>" => !matches!(at(s, k + 1), "<person>"),
            "<relative>" => true,
            "<person>" => k == 0 || matches!(at(s, k - 1), "a" | "<x>"),
            _ => false,
        };
        let before = (k.saturating_sub(2)..k).map(|b| at(s, b));
        if !other || before.clone().any(|b| SERVES.contains(&b)) || k > 0 && matches!(at(s, k - 1), "can" | "could") {
            continue;
        }
        let verb = (k + 1..s.len().min(k + 6)).find(|m| {
            matches!(
                at(s, *m),
                "<made>" | "<wants>" | "<making>" | "has" | "had" | "have" | "<want>" | "<make>" | "was" | "were"
            )
        })?;
        // "they want one, so build it for them"; but "they want to build one".
        let own = if at(s, verb + 1) == "to" { verb + 3 } else { verb + 1 };
        if s.iter().skip(own).any(|t| *t == "<make>") && at(s, verb) != "<wants>" {
            continue;
        }
        let said = at(s, verb) == "<wants>" && s[verb + 1..].iter().any(|t| matches!(*t, "<make>" | "<get>" | "let's"));
        if s[verb..].iter().any(|t| THINGS.contains(t)) {
            return Some(if said { Caution::Quoted } else { Caution::SomebodyElse });
        }
    }
    None
}

/// It was made already, or a time that is past is named beside a verb of the past.
fn over(w: &[&str], s: &[&str]) -> bool {
    let past_verb = s.contains(&"<made>") || w.iter().any(|t| matches!(*t, "had" | "was" | "used" | "were" | "took"));
    let dated = s.contains(&"<past>");
    let asks = s.iter().any(|t| *t == "<make>" || *t == "<get>");
    let owns = w.windows(3).any(|p| matches!(p, ["i" | "we", "already", "have"] | ["i" | "we", "have", "already"]));
    (dated && past_verb || owns) && !asks
        || s.windows(2).any(|p| matches!(p, ["i" | "we" | "you", "<made>"]))
            && !asks
            && s.iter().any(|t| THINGS.contains(t))
            && !w.windows(2).any(|p| matches!(p, ["i" | "we", "wanted" | "ordered"]))
}

/// "don't delete it", "never roll back": a negator right before a verb of command.
pub(super) fn commands_not(words: &[String]) -> bool {
    let stream = classes(words);
    let s = &stream[1..stream.len() - 1];
    s.iter().enumerate().any(|(k, word)| {
        matches!(*word, "not" | "never" | "<neg>")
            && !matches!(at(s, k.wrapping_sub(1)), "can" | "could" | "why" | "did")
            && at(s, k.wrapping_sub(2)) != "why"
            && (k + 1..s.len().min(k + 6))
                .take_while(|m| {
                    *m == k + 1 || matches!(at(s, m - 1), "please" | "you" | "to" | "<want>" | "ever" | "just" | "want")
                })
                .any(|m| {
                    matches!(
                        at(s, m),
                        "<delete>" | "<undo>" | "<cancel>" | "<again>" | "<bye>" | "<make>" | "<show>" | "<add>"
                    )
                })
    })
}

#[cfg(test)]
mod tests {
    use super::super::vectorise::normalise;
    use super::*;

    fn why(text: &str) -> Option<Caution> {
        caution(&normalise(text))
    }

    #[test]
    fn what_asks_for_nothing() {
        for (text, reason) in [
            ("don't build a website", Caution::Refused),
            ("we do not need a dashboard", Caution::Refused),
            ("no blockchain for us", Caution::Refused),
            ("I don't want you to make me a shop", Caution::Refused),
            ("if we ever get a shop I will call", Caution::Supposed),
            ("maybe we should get a website", Caution::Supposed),
            ("we built a CRM last year", Caution::Over),
            ("my brother wants a website", Caution::SomebodyElse),
            ("they made an app for a bank", Caution::SomebodyElse),
            ("she told me to build a CRM", Caution::Quoted),
        ] {
            assert_eq!(why(text), Some(reason), "{text}");
        }
    }

    #[test]
    fn what_asks() {
        for text in [
            "build me a website",
            "why don't you build us a CRM",
            "a shop where people can buy my cakes",
            "a website for my brother",
            "if you could build a dashboard that would be great",
            "a CRM, if it's not too much trouble",
            "we need no training, just build a website please",
            "I don't have a website, can you make one",
            "could you make an API so that they can read our orders",
        ] {
            assert_eq!(why(text), None, "{text}");
        }
    }

    #[test]
    fn commands_turned_round() {
        for text in ["don't delete the shop", "please do not cancel it", "never roll back", "I don't want to delete it"]
        {
            assert!(commands_not(&normalise(text)), "{text}");
        }
        for text in ["delete it, I don't need it", "cancel it", "why don't you delete it"] {
            assert!(!commands_not(&normalise(text)), "{text}");
        }
    }
}
