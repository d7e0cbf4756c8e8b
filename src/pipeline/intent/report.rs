//! Questions about what was built: "how's the CRM", "is it up yet".
//!
//! Pure. Deliberately absent: the answer (the dialogue has the facts).

use super::Transcript;
use super::artefact::{Artefact, Determiner, mentions};
use super::transcript::PAUSE;
use super::way_out::greets;
use super::words::{INTERJECTIONS, NEGATORS};

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
pub(super) fn report(heard: &Transcript) -> Option<Option<String>> {
    let subject = mentions(heard).first().map(|m| match m.what {
        Artefact::Crm => "crm".to_owned(),
        Artefact::Other(name) => name.to_lowercase(),
    });
    let words = heard.words();
    let it = words.iter().any(|w| matches!(w.as_str(), "it" | "it's" | "build" | "project" | "that" | "things"));
    let person = words
        .iter()
        .position(|w| matches!(w.as_str(), "how" | "how's"))
        .is_some_and(|h| (h + 1..h + 3).any(|k| NOT_A_SUBJECT.contains(&heard.at(k))));
    let asks_how = heard.says(ASKS_HOW) && !person && !is_described(heard);
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
    if asks_how && it && heard.len() <= 8 && !greets(heard) {
        return Some(None);
    }
    // "is the CRM ready", "our CRM is down".
    let state = words.iter().enumerate().any(|(k, w)| {
        STATES_OF_A_BUILD.contains(&w.as_str())
            && (k.saturating_sub(6)..k).any(|b| ASKS_WHETHER.contains(&heard.at(b)))
            && !(k.saturating_sub(3)..k).any(|b| NOT_A_SUBJECT.contains(&heard.at(b)))
    });
    // "it is time that somebody built us a CRM".
    let wished =
        mentions(heard).first().is_some_and(|m| matches!(heard.at(m.start.wrapping_sub(1)), "a" | "an" | "one"));
    if subject.is_some() && !wished && state && heard.len() <= 10 {
        return Some(subject);
    }
    // "is it up yet".
    if subject.is_none() && state && heard.len() <= 10 && asks_of_it(heard) {
        return Some(None);
    }
    if asks_of_what_is_there(heard) || asks_how_one_does(heard) {
        return Some(subject);
    }
    if names_what_is_there(heard) {
        return Some(subject);
    }
    None
}

/// Words that ask before anything is named.
const ASKS_FIRST: &[&str] =
    &["any", "check", "how", "how's", "news", "progress", "report", "status", "tell", "update", "what", "what's"];

/// "I want a dashboard that shows how many calls come in": what follows says what it is to be, and asks nothing.
fn is_described(heard: &Transcript) -> bool {
    mentions(heard).first().is_some_and(|m| {
        let before = heard.words().get(..m.start).unwrap_or_default();
        let has = |words: &[&str]| before.iter().any(|word| words.contains(&word.as_str()));
        before.last().is_some_and(|word| matches!(word.as_str(), "a" | "an" | "one")) && has(ORDERS) && !has(ASKS_FIRST)
    })
}

/// A state said or asked of "it": "is it up yet", "the build is stuck". "That dinner is ready" is none.
fn asks_of_it(heard: &Transcript) -> bool {
    let at = |k: usize| heard.at(k);
    let opener = |k: Option<usize>| k.is_some_and(|k| ASKS_WHETHER.contains(&at(k)) || at(k) == "will");
    heard.words().iter().enumerate().any(|(p, w)| {
        let article = p.checked_sub(1).is_some_and(|k| THERE.contains(&at(k)));
        let asked = opener(p.checked_sub(1 + usize::from(article)));
        let it = match w.as_str() {
            "it" | "build" | "project" | "things" | "thing" | "system" | "everything" => asked || opener(Some(p + 1)),
            "that" => asked,
            _ => false,
        };
        it && (p + 1..p + 6).any(|s| STATES_OF_A_BUILD.contains(&at(s)))
    })
}

/// Openings of a question about an app, before "the CRM".
const ASKS_ABOUT: &[&str] = &[
    "where do we stand with",
    "where are we with",
    "where are you with",
    "how far",
    "getting on with",
    "get on with",
    "coming along with",
    "state of",
    "progress on",
    "progress with",
    "progress of",
    "anything new",
    "the latest on",
    "the latest about",
    "what is new with",
    "how long until",
    "how long till",
    "how long before",
    "how soon",
    "how much longer",
    "how is it going with",
    "things are going with",
    "things going with",
    "up and running with",
    "how are things with",
    "is everything okay with",
    "everything fine with",
    "done with",
    "finished with",
    "any trouble with",
    "any problem with",
    "any problems with",
    "go wrong with",
    "gone wrong with",
    "wrong with",
    "what became of",
    "update about",
    "news of",
    "news from",
    "have you done on",
    "have you done with",
    "have you done for",
];
/// Verbs that lead in an indirect question.
const LEAD_IN: &[&str] = &[
    "tell",
    "know",
    "find",
    "out",
    "see",
    "hear",
    "check",
    "wondering",
    "wonder",
    "ask",
    "asking",
    "say",
    "up",
    "me",
    "curious",
    "sure",
    "learn",
];
const BE: &[&str] = &["is", "isn't", "has", "hasn't", "was", "does", "did", "will", "are", "when", "whether", "if"];
/// What may be asked of an app, over and above what may be asked of "it".
const STATES_OF_AN_APP: &[&str] = &[
    "okay",
    "fine",
    "healthy",
    "work",
    "works",
    "run",
    "runs",
    "available",
    "reachable",
    "usable",
    "started",
    "completed",
    "over",
    "accessible",
    "used",
    "any",
    "problems",
    "trouble",
    "errors",
    "finished",
    "ready",
];
/// What is not a state but its use: "how the CRM works".
const OF_USE: &[&str] =
    &["works", "work", "used", "handles", "handle", "sends", "send", "can", "should", "costs", "cost"];

/// A question about "the CRM" or "our CRM" in other words: "how far have you got with our CRM", "I wanted to find out how
/// the CRM is getting on", "is the CRM that I ordered already running", "have you finished the CRM".
fn asks_of_what_is_there(heard: &Transcript) -> bool {
    let at = |k: usize| heard.at(k);
    mentions(heard).iter().filter(|m| m.what == Artefact::Crm).any(|mention| {
        if !matches!(mention.determiner, Determiner::Definite | Determiner::Own) {
            return false;
        }
        let negated =
            (mention.start.saturating_sub(6)..mention.start).any(|k| NEGATORS.contains(&at(k)) && at(k) != "isn't");
        if negated {
            return false;
        }
        // The article, across adjectives.
        let the = (mention.start.saturating_sub(4)..mention.start)
            .rev()
            .find(|k| matches!(at(*k), "the" | "our" | "my" | "this" | "that"))
            .unwrap_or(mention.start);
        let before = |count: usize| the.checked_sub(count).map_or("", at);
        let state = |w: &str| STATES_OF_A_BUILD.contains(&w) || STATES_OF_AN_APP.contains(&w);
        let follows =
            |count: usize| (mention.end..mention.end + count).any(|k| state(at(k)) && at(k.wrapping_sub(1)) != "not");
        let opens = |k: usize| {
            k == 0 || at(k - 1) == PAUSE || INTERJECTIONS.contains(&at(k - 1)) || LEAD_IN.contains(&at(k - 1))
        };
        // "is the CRM that I ordered already running", "tell me whether the CRM is up".
        if BE.contains(&before(1)) && opens(the - 1) && follows(9) {
            return true;
        }
        // "when will my CRM be ready".
        if matches!(before(1), "will" | "is" | "can") && before(2) == "when" && follows(5) {
            return true;
        }
        // "find out how the CRM is getting on".
        if before(1) == "how" && opens(the - 1) && the > 1 {
            return !OF_USE.contains(&at(mention.end)) && !at(mention.end).is_empty();
        }
        // "have you finished the CRM", "has anybody used our CRM today".
        let perfect = (1..=4).any(|n| matches!(before(n), "have" | "has" | "did") && the >= n && opens(the - n))
            && matches!(
                before(1),
                "finished" | "built" | "completed" | "used" | "started" | "opened" | "deployed" | "finish"
            );
        let spaced: Vec<&str> = (0..the).map(at).filter(|w| *w != PAUSE).collect();
        let spaced = format!(" {} ", spaced.join(" "));
        // "how far have you got with", right before the CRM or a few words before it.
        let asked = ASKS_ABOUT.iter().any(|p| {
            spaced
                .rfind(&format!(" {p} "))
                .is_some_and(|found| spaced[found + p.len() + 1..].split_whitespace().count() <= 6)
        });
        // "the CRM was not ready, is it live now".
        let taken_up = (mention.end..heard.words().len())
            .any(|k| matches!(at(k), "is" | "has") && at(k + 1) == "it" && (k + 2..k + 5).any(|s| state(at(s))));
        // "is anybody using the CRM", "can I use the CRM yet".
        let ends = (mention.end..heard.words().len())
            .all(|k| AFTER_THE_SUBJECT.contains(&at(k)) || at(k) == "already" || at(k) == "yet");
        let in_use = before(1) == "using" && (2..=4).any(|n| matches!(before(n), "is" | "are") && opens(the - n))
            || matches!(before(1), "use" | "open")
                && matches!(before(2), "i" | "we")
                && before(3) == "can"
                && ends
                && the >= 3
                && opens(the - 3);
        // "are there any errors in the CRM".
        let any = matches!(before(1), "with" | "in" | "on" | "about" | "of")
            && (2..=5).any(|n| matches!(before(n), "any" | "everything" | "anything" | "something"))
            && matches!(at(0), "are" | "is" | "were" | "was" | "have" | "has" | "did" | "does" | "any");
        // "I want to ask about the CRM".
        let about = before(1) == "about"
            && matches!(
                before(2),
                "ask"
                    | "asking"
                    | "calling"
                    | "call"
                    | "question"
                    | "questions"
                    | "inquire"
                    | "enquire"
                    | "hear"
                    | "anything"
            )
            && ends;
        perfect || asked || taken_up || in_use || any || about
    })
}

/// What is asked of anything that runs, behind "is".
const DOES: &[&str] = &["doing", "going", "getting", "coming", "running", "performing", "behaving", "holding"];

/// "Tell me how a dashboard is doing", "how our shop is coming along": of whatever there is of that kind.
fn asks_how_one_does(heard: &Transcript) -> bool {
    let at = |k: usize| heard.at(k);
    mentions(heard).iter().filter(|m| m.determiner != Determiner::Others).any(|mention| {
        // Across the article and adjectives.
        let how = (mention.start.saturating_sub(3)..mention.start).rev().find(|k| at(*k) == "how");
        how.is_some_and(|how| {
            let opens = how == 0 || at(how - 1) == PAUSE || LEAD_IN.contains(&at(how - 1));
            let negated = (how.saturating_sub(6)..how).any(|k| NEGATORS.contains(&at(k)));
            opens && !negated && matches!(at(mention.end), "is" | "are") && DOES.contains(&at(mention.end + 1))
        })
    })
}

/// "… the CRM", "… my CRM doing": a few words that end in an app as something that is there already. The telephone eats the
/// breath of "how", so a recogniser hears "hello is the crm"; what is left still asks about that CRM and orders none.
fn names_what_is_there(heard: &Transcript) -> bool {
    let words = heard.words();
    let end = words.iter().rposition(|w| !AFTER_THE_SUBJECT.contains(&w.as_str())).map_or(0, |last| last + 1);
    let doing = end < words.len();
    match &words[..end] {
        [before @ .., article, noun] => {
            // "no search" is another thing that is left of "how's the".
            let no_search = article == "search" && matches!(before, [no] if no == "no");
            noun == "crm"
                && (no_search || THERE.contains(&article.as_str()))
                && (1..=3).contains(&before.len())
                && (doing || before.len() <= 2)
                && !before.iter().any(|w| ORDERS.contains(&w.as_str()))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::pipeline::intent::{Act, Context, understand};

    fn asked(text: &str) -> Act {
        understand(text, Context::Free).act
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
            "no this crm",
            "no search crm",
            "tell me how far you have got with our CRM",
            "I wanted to find out how the CRM is getting on",
            "is the CRM that I ordered already running",
            "when I called yesterday the CRM was not ready, is it live now",
            "where do we stand with the CRM",
            "when will my CRM be ready",
            "can you tell me whether the CRM is up",
            "is everything okay with the CRM",
            "have you finished the CRM",
            "let me know how our CRM is doing",
            "give me the latest on the CRM",
            "is anybody using the CRM",
            "can I use the CRM already",
            "are there any errors in the CRM",
            "I want to ask about the CRM",
            "can you tell me anything about the CRM",
            "does everything work in the CRM",
            "could you tell me how things are going with our CRM",
            "what have you done on the CRM so far",
        ] {
            assert_eq!(asked(text), Act::Report(Some("crm".to_owned())), "{text}");
        }
        for text in [
            "is it up yet",
            "is it ready",
            "status please",
            "how is it doing",
            "how far is it",
            "tell me when it will be ready",
            "was the build still running",
            "is the system live",
        ] {
            assert_eq!(asked(text), Act::Report(None), "{text}");
        }
        assert_eq!(asked("how is the website doing"), Act::Report(Some("website".to_owned())));
        for (text, subject) in [
            ("Tell me how a dashboard is doing", "dashboard"),
            ("tell me how the dashboard is doing", "dashboard"),
            ("could you tell me how our website is coming along", "website"),
            ("I wanted to hear how my online shop is doing", "online shop"),
            ("how the shop is getting on please", "online shop"),
        ] {
            assert_eq!(asked(text), Act::Report(Some(subject.to_owned())), "{text}");
        }
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
            "could you tell my brother that dinner is ready",
            "is the dinner ready",
            "it is about time that somebody built us a CRM",
            "can I use the CRM of my neighbor",
            "I don't want to ask about the CRM",
            "does everything work in the house",
            "I didn't hear about the CRM",
            "could you tell me how things are going",
            "he is using the CRM",
            "any CRM will do",
            "there's a problem with the crm and it lost everything",
            "my car is broken and it is raining",
            "that dog is out again",
            "is it okay if I call you back",
            "tell me how the CRM works",
            "tell me how to use the CRM",
            "is a CRM that we order ready to use",
            "I am not ready for the CRM",
            "I don't know how the CRM is getting on",
            "we worked with the CRM and it is late",
            "have you ever used a CRM",
            "I don't care how a dashboard is doing",
            "tell me how a dashboard is made",
            "build a dashboard that shows how our shop is doing",
            "she asked how their website is doing",
        ] {
            assert!(!matches!(asked(text), Act::Report(_)), "{text}");
        }
    }
}
