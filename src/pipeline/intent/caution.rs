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
    "in", "for", "that", "one", "go", "<wants>",
];
/// After which somebody else's deed is what the caller wants: "a site for my friend", "where they can buy".
const SERVES: &[&str] =
    &["for", "of", "to", "where", "so", "that", "which", "with", "when", "let", "by", "from", "and", "how", "as"];

/// The first reason against it, if any.
pub(super) fn caution(words: &[String]) -> Option<Caution> {
    let w: Vec<&str> = words.iter().map(String::as_str).collect();
    let stream = classes(words);
    let s = &stream[1..stream.len() - 1];
    if refused(s) && !nothing_but(words) || nobodys(&w) || rather_not(words) {
        return Some(Caution::Refused);
    }
    if supposed(&w, s) {
        return Some(Caution::Supposed);
    }
    if recited(&w) {
        return Some(Caution::Quoted);
    }
    if orders_at_last(words) {
        return None;
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

/// "I don't want anything fancy, just a plain CRM": refused is what it need not be.
fn nothing_but(words: &[String]) -> bool {
    words.iter().enumerate().any(|(k, word)| {
        matches!(word.as_str(), "just" | "only" | "simply")
            && words[k.saturating_sub(5)..k].iter().any(|t| matches!(t.as_str(), "anything" | "nothing"))
            && classes(&words[k..words.len().min(k + 6)]).iter().any(|class| THINGS.contains(class))
    })
}

/// "No one here has asked for a dashboard": whose wish it is, is said.
fn nobodys(w: &[&str]) -> bool {
    w.iter().enumerate().any(|(k, word)| {
        let nobody = matches!(*word, "nobody" | "noone") || *word == "no" && w.get(k + 1) == Some(&"one");
        let none = *word == "none" && w.get(k + 1) == Some(&"of");
        let behind = &w[(k + 1).min(w.len())..];
        (nobody || none)
            && behind.iter().take(8).any(|t| {
                matches!(
                    *t,
                    "ask" | "asked" | "want" | "wants" | "wanted" | "need" | "needs" | "needed" | "order" | "ordered"
                )
            })
            && !behind.iter().any(|t| matches!(*t, "you" | "please" | "so" | "but"))
    })
}

/// "I'd sooner walk than order another CRM", "stop selling me a shop".
fn rather_not(words: &[String]) -> bool {
    let names = |from: usize, to: usize| {
        let to = to.min(words.len());
        from < to && classes(&words[from..to]).iter().any(|class| THINGS.contains(class))
    };
    words.iter().enumerate().any(|(k, word)| match word.as_str() {
        "sooner" | "rather" => (k + 1..words.len())
            .find(|m| words[*m] == "than")
            .is_some_and(|than| names(than, than + 8) && !names(k, than)),
        "stop" | "quit" => {
            words.get(k + 1).is_some_and(|next| next.ends_with("ing"))
                && names(k + 2, k + 7)
                && !classes(&words[k + 2..]).contains(&"<make>")
        }
        _ => false,
    })
}

/// Read out, or what somebody keeps saying: "it says here, order your shop", "he always says, let's build an app".
fn recited(w: &[&str]) -> bool {
    let orders = |k: usize| {
        w.get(k).is_some_and(|t| {
            matches!(*t, "build" | "make" | "create" | "order" | "get" | "let's" | "we" | "you" | "your" | "set")
        })
    };
    let quoted = w.windows(3).any(|p| matches!(p, ["end", "of", "quote"]))
        || w.windows(2).any(|p| matches!(p, ["i", "quote"]))
        || w.contains(&"unquote");
    let shown = |k: usize| {
        matches!(
            w[k],
            "advert" | "ad" | "advertisement" | "poster" | "leaflet" | "headline" | "banner" | "slogan" | "commercial"
        ) || w[k] == "it"
            && w.get(k + 1).is_some_and(|t| matches!(*t, "says" | "said" | "reads"))
            && w.get(k + 2).is_some_and(|t| matches!(*t, "here" | "there" | "on") || orders(k + 2))
    };
    let read = (0..w.len()).any(|k| {
        shown(k)
            && w[k + 1..].iter().take(3).any(|t| {
                matches!(*t, "says" | "said" | "reads" | "read" | "is" | "was" | "goes" | "claims" | "promises")
            })
    });
    let habit = |k: usize| {
        matches!(w[k], "always" | "keeps" | "kept" | "constantly")
            && w.get(k + 1).is_some_and(|t| {
                matches!(*t, "says" | "said" | "saying" | "shouting" | "yelling" | "singing" | "repeating" | "goes")
            })
            && orders(k + 2)
    };
    let acts = |k: usize| {
        k > 0 && matches!(w[k], "goes" | "went") && matches!(w[k - 1], "he" | "she" | "they") && orders(k + 1)
    };
    let courteous = w.iter().any(|t| matches!(*t, "please" | "so"));
    quoted || !courteous && (read || (0..w.len()).any(|k| habit(k) || acts(k)))
}

/// "My brother wants a shop, so please build one": whatever was told before, it is ordered now.
fn orders_at_last(words: &[String]) -> bool {
    let asks = |k: usize| match words[k].as_str() {
        "so" => words.get(k + 1).is_some_and(|t| matches!(t.as_str(), "please" | "can" | "could" | "build" | "make")),
        "please" => true,
        "can" | "could" | "would" => words.get(k + 1).is_some_and(|t| t == "you"),
        _ => false,
    };
    (1..words.len()).any(|k| {
        asks(k)
            && classes(&words[k..words.len().min(k + 5)]).contains(&"<make>")
            && classes(&words[..k]).iter().any(|class| THINGS.contains(class))
    })
}

/// Openings of a turn that say nothing.
const OPENINGS: &[&str] = &[
    "so", "well", "and", "but", "yes", "hello", "hi", "oh", "okay", "right", "now", "you", "know", "listen", "look",
    "sorry", "also", "the", "because", "then", "well", "honestly", "anyway",
];
/// With these, even a statement asks.
const ASKING: &[&str] = &[
    "tell",
    "know",
    "hear",
    "wonder",
    "wondering",
    "check",
    "checking",
    "curious",
    "ask",
    "please",
    "give",
    "show",
    "read",
    "remind",
    "want",
    "need",
    "like",
    "love",
    "sure",
    "what",
    "how",
    "when",
    "which",
    "why",
    "whether",
    "who",
    "where",
    "can",
    "could",
    "would",
    "will",
    "if",
    "news",
    "report",
    "see",
];
/// Who or what a statement is about.
const SUBJECTS: &[&str] = &[
    "our",
    "my",
    "the",
    "their",
    "your",
    "his",
    "her",
    "that",
    "this",
    "it",
    "i",
    "we",
    "he",
    "she",
    "they",
    "people",
    "there",
    "somebody",
    "someone",
    "everybody",
    "customers",
    "some",
    "most",
    "half",
];
const FINITE: &[&str] = &[
    "is", "are", "was", "were", "has", "have", "had", "does", "did", "keeps", "kept", "got", "took", "gave", "went",
    "looks", "looked", "seems", "seemed", "works", "worked", "sells", "costs", "lost", "made", "came", "said", "says",
    "feels", "told", "goes", "runs", "gets",
];

/// "The shop took no orders yesterday": told, and neither asked nor ordered.
pub(super) fn tells(words: &[String]) -> bool {
    let w: Vec<&str> = words.iter().map(String::as_str).collect();
    let begins = w.iter().position(|t| SUBJECTS.contains(t) || !OPENINGS.contains(t));
    let Some(from) = begins.filter(|k| SUBJECTS.contains(&w[*k])) else { return false };
    let verb = (from + 1..w.len()).find(|k| FINITE.contains(&w[*k]));
    // "our shop, is it up": a question behind its subject.
    let turned = |k: usize| w.get(k + 1).is_some_and(|t| matches!(*t, "it" | "they" | "that" | "there" | "he"));
    verb.is_some_and(|k| !turned(k)) && !w.iter().any(|t| ASKING.contains(t))
}

/// "I deleted all the photos", "he wants it changed": somebody's deeds or wishes, and no command.
pub(super) fn narrates(words: &[String]) -> bool {
    let w: Vec<&str> = words.iter().map(String::as_str).collect();
    let stream = classes(words);
    let commands = stream.iter().any(|c| {
        matches!(*c, "<cancel>" | "<delete>" | "<undo>" | "<drop>" | "<add>" | "<change>" | "<go>" | "<yes>" | "<no>")
    });
    let Some(from) = w.iter().position(|t| !OPENINGS.contains(t) || *t == "the") else { return false };
    let next = w.get(from + 1).copied().unwrap_or("");
    let past = next.ends_with("ed")
        && !matches!(next, "need" | "wanted" | "needed" | "decided" | "agreed" | "missed" | "finished" | "liked")
        || matches!(next, "took" | "made" | "did" | "put" | "gave" | "saw" | "found" | "sent" | "wrote" | "threw");
    let who = match w[from] {
        "i" | "we" => past,
        "he" | "she" | "they" | "somebody" | "someone" => true,
        _ => {
            stream.get(1).is_some_and(|c| *c == "<relative>" || *c == "<person>")
                || matches!(w[from], "my" | "our") && stream.iter().skip(1).take(3).any(|c| *c == "<relative>")
        }
    };
    who && !commands && !w.iter().any(|t| matches!(*t, "please" | "you" | "so" | "it's"))
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
        let thing = (verb + 1..s.len().min(verb + 10)).find(|m| THINGS.contains(&at(s, *m)));
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
    let courteous = [
        "please",
        "grateful",
        "appreciate",
        "lovely",
        "great",
        "nice",
        "glad",
        "happy",
        "kind",
        "wondering",
        "obliged",
        "thankful",
        "delighted",
    ]
    .iter()
    .any(|c| w.contains(c));
    let supposes = s.iter().enumerate().any(|(k, t)| {
        *t == "<if>"
            && !(at(s, k + 1) == "you"
                && matches!(at(s, k + 2), "can" | "could" | "would" | "do" | "will" | "were" | "<make>"))
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
            && !s.contains(&"<show>")
        || pair("what", &["if"])
        || pair("should", &["we", "i"])
        || pair("shall", &["we", "i"])
        || pair("would", &["we", "i"]);
    (supposes || thinks || dreams(w)) && !courteous
}

/// "In a perfect world", "one of these days", "should it ever".
fn dreams(w: &[&str]) -> bool {
    let says = |phrase: &[&str]| w.windows(phrase.len()).any(|p| p == phrase);
    w.iter().any(|t| matches!(*t, "hypothetically" | "theoretically"))
        || says(&["one", "of", "these", "days"])
        || says(&["one", "fine", "day"])
        || says(&["in", "theory"])
        || w.windows(4).any(|p| matches!(p, ["in", _, "perfect" | "ideal", "world"]))
        || says(&["in", "another", "life"])
        || w.windows(4).any(|p| matches!(p, ["it", "could" | "may" | "might", "be", "that"]))
        || w.windows(3).any(|p| matches!(p, ["should", _, "ever"]))
        || w.windows(3).any(|p| matches!(p, ["sooner", "or", "later"]))
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
    let dated = s.contains(&"<past>")
        || w.windows(2).any(|p| {
            let named =
                matches!(p[1], "spring" | "summer" | "autumn" | "fall" | "winter" | "christmas" | "easter" | "night");
            p[0] == "last" && (named || p[1].ends_with("day"))
        });
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
            ("not one shop, nobody at our place has asked for a shop", Caution::Refused),
            ("no one over there wanted an API", Caution::Refused),
            ("I'd rather sweep the street than pay for another website", Caution::Refused),
            ("will you quit showing me your dashboard", Caution::Refused),
            ("in an ideal world we would have an API", Caution::Supposed),
            ("one of these days I'll want a shop", Caution::Supposed),
            ("should we ever want a CRM we know you", Caution::Supposed),
            ("the poster says build your website today", Caution::Quoted),
            ("my uncle always says let's build an app", Caution::Quoted),
            ("I quote, please make a shop, end of quote", Caution::Quoted),
            ("we ordered a shop last autumn", Caution::Over),
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
            "I don't want anything special, just a simple shop",
            "I'd be obliged if you were to build a shop",
            "my sister sells hats and wants a shop, so please build one",
            "I'd rather have a shop than a website",
            "the advert says you build websites, so please build me one",
        ] {
            assert_eq!(why(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_told_is_neither_asked_nor_ordered() {
        for text in
            ["the shop took no orders yesterday", "my clients say the page is slow", "well, our app keeps crashing"]
        {
            assert!(tells(&normalise(text)), "{text}");
        }
        for text in [
            "is the shop up",
            "our dashboard, is it online",
            "I want to know how the shop is",
            "the latest on my website",
            "how many orders has the shop had",
            "my question is whether the API is up",
        ] {
            assert!(!tells(&normalise(text)), "{text}");
        }
        for text in ["I deleted my photos by mistake", "he wants it in writing", "my brother added something"] {
            assert!(narrates(&normalise(text)), "{text}");
        }
        for text in
            ["I changed my mind, cancel it", "we need a calendar too", "delete it", "I wanted a calendar as well"]
        {
            assert!(!narrates(&normalise(text)), "{text}");
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
