//! Whether a turn that is no clear request may be one: worth the question "Shall I build a CRM for you?".
//!
//! Pure. Purpose: the recogniser drops and changes words, and most often leaves the name of the thing standing. A person who
//! has heard "something, something, CRM" asks back. What is refused, over, somebody else's, a complaint, a supposition or a
//! question about CRMs is not asked back: those who say so have been heard well enough.
//! Deliberately absent: asking (the dialogue), and starting anything.

use super::Transcript;
use super::artefact::{Artefact, Determiner, Mention, mentions};
use super::mood::REFUSED;
use super::words::*;

/// Words just behind a CRM that say something about one that exists.
const SAYS_OF_IT: &[&str] = &[
    "is", "was", "are", "were", "has", "had", "does", "did", "isn't", "wasn't", "won't", "can't", "doesn't", "crashed",
    "crashes", "stopped", "went", "died", "froze", "cost", "costs", "usually", "mean", "means", "same", "broke",
    "lost",
];
/// Those who are not the caller, before the CRM.
const THIRD: &[&str] = &[
    "he",
    "she",
    "they",
    "him",
    "he's",
    "she's",
    "they're",
    "they've",
    "nobody",
    "everybody",
    "salesman",
    "accountant",
];
/// Somebody's words follow, unless it was the caller who said or heard them.
const SAID: &[&str] = &["said", "says", "told", "asked", "asking"];
const BY_US: &[&str] = &["i", "we", "i've", "we've", "i'm", "was", "were", "been"];
const INTO: &[&str] = &["into", "in", "from", "of", "about", "inside", "to", "at"];
/// Anywhere in the turn.
const NOT_HERE_AND_NOW: &[&str] = &[
    "ago",
    "last year",
    "last month",
    "last week",
    "last summer",
    "yesterday",
    "used to",
    "already",
    "if i ever",
    "if we ever",
    "if you ever",
    "we ever",
    "i ever",
    "suppose",
    "imagine",
    "what if",
    "some day",
    "someday",
    "one day",
    "next year",
    "might want",
    "might need",
    "might get",
    "may want",
    "how much",
    "how long",
    "how hard",
    "how difficult",
    "how expensive",
    "what is a",
    "what's a",
    "what is crm",
    "what exactly",
    "what does",
    "what do",
    "stand for",
    "why do",
    "why would",
    "who needs",
    "who made",
    "do i need",
    "do we need",
    "same thing",
    "same as",
    "difference",
    "the price",
    "heard about",
    "read about",
    "talk about",
    "talking about",
    "get rid of",
    "delete",
    "sell you",
    "were you",
    "if we had",
    "if i had",
    "crm once",
    "read that",
    "heard that",
    "too expensive",
    "but we have a crm",
    "but i have a crm",
    "crm that we have",
    "crm that i have",
    "crm we have",
    "will think about",
    "we've got a crm",
    "i've got a crm",
    "sold",
];
/// Anywhere in the turn: somebody asks for something, so that "the CRM" may be "a CRM" misheard.
const CUES: &[&str] = &[
    "please",
    "go ahead",
    "can you",
    "could you",
    "would you",
    "will you",
    "for me",
    "for us",
    "i want",
    "we want",
    "i need",
    "we need",
    "i'd like",
    "we'd like",
    "i'd love",
    "we'd love",
    "you to",
    "let's",
    "build",
    "make",
    "set up",
    "do with",
    "after",
    "looking for",
    "looking to",
    "you could",
    "ready for",
    "hoping",
];

/// Whether the caller may want a CRM. `confidence` is that of the best request found, if any.
pub(super) fn hints(heard: &Transcript, confidence: Option<f64>) -> bool {
    confidence.is_none_or(|c| c > REFUSED)
        && !heard.says(NOT_HERE_AND_NOW)
        && mentions(heard).iter().any(|m| m.what == Artefact::Crm && stands_open(heard, m))
}

fn stands_open(heard: &Transcript, mention: &Mention) -> bool {
    let places = |count: usize| (1..=count).filter_map(move |k| mention.start.checked_sub(k));
    let before = |count: usize| places(count).map(|k| heard.at(k));
    let after = |count: usize| (0..count).map(|k| heard.at(mention.end + k));
    let refused = places(7).any(|k| negates(heard, k))
        || before(3).any(|w| w == "no")
        || after(3).any(|w| (NEGATORS.contains(&w) && w != "without") || w == "no");
    let reported = places(7).any(|k| SAID.contains(&heard.at(k)) && !(k > 0 && BY_US.contains(&heard.at(k - 1))));
    // "her company made a CRM": over and done, unless somebody is asked.
    let done = before(3).any(|w| matches!(w, "made" | "built" | "bought" | "sold" | "installed"))
        && !before(7).any(|w| matches!(w, "you" | "can" | "could" | "would" | "will" | "time"));
    let third = before(7).any(|w| THIRD.contains(&w) || NOT_US.contains(&w));
    // "is a CRM a lot of work": a question about them.
    let asked_about = mention.start <= 3 && SAYS_OF_IT.contains(&heard.at(0));
    // "did your people build that CRM".
    let done = done || heard.at(0) == "did";
    if refused || done || reported || third || asked_about || SAYS_OF_IT.contains(&heard.at(mention.end)) {
        return false;
    }
    match mention.determiner {
        // "his" is what "is a" and "us a" sound like.
        Determiner::Others if before(1).any(|w| w == "his") => heard.says(CUES),
        Determiner::Indefinite => true,
        Determiner::Own | Determiner::Others => false,
        Determiner::Definite => heard.says(CUES) && !before(2).any(|w| INTO.contains(&w)),
    }
}

/// Whether the word at `k` refuses. "don't you build" and "don't about building" are "why don't you", "how about" misheard.
fn negates(heard: &Transcript, k: usize) -> bool {
    let misheard = heard.at(k) == "don't"
        && matches!(heard.at(k + 1), "you" | "about")
        && !(k > 0 && matches!(heard.at(k - 1), "i" | "we" | "they" | "please"));
    NEGATORS.contains(&heard.at(k)) && !misheard
}

#[cfg(test)]
mod tests {
    use crate::pipeline::intent::{Context, understand};

    fn hinted(text: &str) -> bool {
        let understood = understand(text, Context::AskedWhat);
        assert!(!understood.fires(), "{text} is a request: {}", understood.confidence);
        understood.hinted
    }

    #[test]
    fn what_may_be_a_request_is_asked_back() {
        for text in [
            "go ahead and search that has crm for my plumbing business",
            "good luck should on the crm for the would you",
            "right what i am at your is a basic crm with search",
            "we good really do it crm here add the garage",
            "can you would like a crm so my gym starts sure",
            "let's go to a crm build for the studio",
            "it is about time that somebody built us a crm",
            "where don't you show don't about making us a crm for my gym",
            "and ready for his crm so go ahead",
            "basically would we want is a crm",
            "we are thinking of a crm",
            "do you build crms",
            "i've heard you do a crm",
            "we were told you could search with the crm",
        ] {
            assert!(hinted(text), "{text}");
        }
    }

    #[test]
    fn what_was_heard_well_enough_is_not() {
        for text in [
            "we don't need a crm thanks",
            "please don't build me a crm",
            "no crm please",
            "i never asked for a crm",
            "our crm keeps crashing",
            "the crm was terrible",
            "my cousin built a crm for his garage last year",
            "they made us a crm and nobody uses it",
            "she said build a crm and laughed",
            "i told him a crm is nothing for us",
            "what exactly is a crm",
            "how much does a crm usually cost",
            "if we ever wanted a crm we would call",
            "suppose somebody asked you to create a crm",
            "i typed the customers into the crm",
            "we already have a crm",
            "thanks but we have a crm",
            "if i were you i would build a crm",
            "if we had the money we would buy a crm",
            "her company made a crm and it was terrible",
            "we saw a crm once and it was slow",
            "did your firm build that crm for the school",
            "i read that a crm saves money",
            "somebody made a crm",
            "is a crm the same thing as an address book",
            "my boss might want a crm next year",
            "get rid of the crm",
            "is a crm a lot of work",
            "please don't you make me a crm",
            "i don't about making a crm",
            "his crm is fine",
            "no new crm for us",
            "please stop sending mails about your crm",
            "crm no thank you",
            "hello",
            "what time do you close",
        ] {
            assert!(!hinted(text), "{text}");
        }
    }
}
