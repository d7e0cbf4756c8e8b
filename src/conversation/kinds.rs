//! How people order websites, shops, APIs and dashboards, and what they say of apps that there are: training text beside the
//! built-in agent's CRM. Pure; made at start. Invariant: the features are the words of the catalogue, so that whatever can be
//! built can be heard. Deliberately absent: the CRM's own words (`classes`), values (`values`).

use super::classes::{ASK, BUILD, BUSINESS, HELLO, MY, PLEASE, WHEN, WISH, WITH, WOULD_YOU, Words};
use super::domain::{Class, Pattern};
use super::values::even;
use crate::pipeline::manifest::{BuildType, catalogue};

/// What is ordered.
#[rustfmt::skip]
const KINDS: Words = &[
    "a website", "a website", "a website", "a new website", "a simple website", "a small website", "our own website", "a web page",
    "an online shop", "an online shop", "an online shop", "an online store", "a web shop", "a small shop", "a simple shop", "a shop",
    "an api", "a rest api", "a rest api", "a rest api", "a simple api", "a small api", "an api with documentation", "a json api",
    "a dashboard", "a dashboard", "a dashboard", "a simple dashboard", "a new dashboard", "a sales dashboard", "a small dashboard",
];
/// The same as something that there is.
#[rustfmt::skip]
const THE_APP: Words = &[
    "the website", "our website", "my website", "the site", "the online shop", "our online shop", "the shop", "my shop", "our shop",
    "the store", "the api", "our api", "my api", "the rest api", "the dashboard", "our dashboard", "my dashboard", "the crm",
    "our crm", "my crm", "the app", "it",
];
#[rustfmt::skip]
const HOW_IS: Words = &[
    "how is", "how's", "how is", "how's", "what about", "how are things with", "what is the status of", "tell me about", "what's new with",
    "is there anything wrong with", "are there any problems with", "how far are you with", "what was the last change to",
    "what happened to", "how many people use", "how many requests has", "is everything okay with",
];
const DOING: Words = &["", "", "doing", "doing", "today", "now", "please", "doing today"];
/// What may be sold or shown.
#[rustfmt::skip]
const GOODS: Words = &[
    "our products", "my books", "our wine", "hand made soap", "our furniture", "my paintings", "bicycle parts", "our coffee",
    "garden tools", "our cheese", "used cars", "our customers", "our sales", "our numbers", "our figures", "the team", "the office",
    "the sales of the week", "our orders", "my photos", "toys", "shoes", "flowers", "our bread", "honey", "tea", "candles", "jewelry",
];
/// Orders about what is there or is being made.
#[rustfmt::skip]
const CHANGES: Words = &[
    "roll back", "please roll back", "go back to the version before of", "bring back the old version of", "undo the last change to",
    "delete", "please delete", "get rid of", "take down", "remove", "shut down", "switch off", "change", "i want to change",
    "i'd like to change", "cancel", "cancel the build of", "stop building", "stop",
];
#[rustfmt::skip]
const ORDERS: Words = &[
    "roll it back", "please roll it back", "can you roll back the last change", "go back to the version before", "undo the last change",
    "bring back the old version", "put the old one back", "delete it", "please delete it", "take it down", "cancel the build", "please cancel the build",
    "stop the build", "stop building it", "how far are you", "how far is it", "how far along are you", "how long will it take",
    "how much longer", "call me when it is ready", "call me back when it is done", "please call me when it's live",
    "ring me when it is up", "can you call me when it is finished", "give me a call when it is done", "what went wrong",
    "were there any problems", "are there any problems", "what happened before", "what have you built so far", "what changed",
    "what did you build last", "what were the last changes", "is anything broken", "what can i do about it", "how is it doing",
];
const ADD: Words = &[
    "add",
    "please add",
    "also add",
    "no add",
    "with",
    "and",
    "plus",
    "without",
    "no without",
    "leave out",
    "remove",
    "please remove",
    "i also want",
    "we also need",
    "yes but with",
    "yes but without",
    "i don't need",
    "put in",
    "take out",
];
const TO_IT: Words =
    &["", "", "to it", "to the website", "to the shop", "to the crm", "to the dashboard", "to the api", "please"];

/// What can be asked for, with an article where it is one thing.
fn features() -> Class {
    let others = [BuildType::BuildWebsite, BuildType::BuildEcommerce, BuildType::BuildApi, BuildType::BuildDashboard];
    let mut class = Class::new();
    for offer in others.into_iter().flat_map(catalogue::offers) {
        class.push((offer.spoken.to_lowercase().replace('-', " "), 3.0));
        for word in offer.words.iter().chain([&offer.pack]) {
            let word = word.replace('_', " ");
            if !word.ends_with('s') {
                class.push((format!("a {word}"), 1.0));
            }
            class.push((word, 1.0));
        }
    }
    class
}

/// Changes to what was read back, sentence by sentence: what is asked about then is heard by sentences alone.
pub(super) fn changes() -> impl Iterator<Item = String> {
    let said = features().into_iter().map(|(name, _)| name);
    said.flat_map(|name| ["add", "with", "without", "no without"].map(|first| format!("{first} {name}")))
}

/// All of it.
pub(super) fn patterns() -> Vec<Pattern> {
    let class = even;
    let and_features: Class = features().into_iter().map(|(name, weight)| (format!("and {name}"), weight)).collect();
    let maybe = |mut class: Class| {
        let all = class.iter().map(|(_, weight)| weight).sum();
        class.push((String::new(), all));
        class
    };
    let pattern = |parts: Vec<Class>, weight| Pattern { parts, weight };
    vec![
        pattern(vec![class(HELLO), class(WOULD_YOU), class(BUILD), class(KINDS), class(PLEASE)], 200.0),
        pattern(vec![class(HELLO), class(WISH), class(KINDS), class(PLEASE)], 140.0),
        pattern(vec![class(ASK), class(KINDS), class(MY), class(BUSINESS), class(PLEASE)], 120.0),
        pattern(
            vec![class(ASK), class(KINDS), class(&["for", "for", "that shows", "to sell", "with"]), class(GOODS)],
            80.0,
        ),
        pattern(vec![class(ASK), class(KINDS), class(&["", "for us", "for me"]), class(WHEN)], 30.0),
        pattern(
            vec![class(ASK), class(KINDS), class(WITH), features(), maybe(and_features.clone()), class(PLEASE)],
            260.0,
        ),
        pattern(
            vec![class(KINDS), class(&["with", "with", "for", "that has"]), features(), maybe(and_features)],
            120.0,
        ),
        pattern(vec![class(ADD), features(), class(TO_IT)], 120.0),
        pattern(vec![class(HOW_IS), class(THE_APP), class(DOING)], 150.0),
        pattern(vec![class(CHANGES), class(THE_APP), class(PLEASE)], 60.0),
        pattern(vec![class(&["", "", "okay", "grace", "so", "and"]), class(ORDERS), class(PLEASE)], 90.0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::intent::{Act, Context, understand};

    #[test]
    fn every_word_can_be_spoken() {
        for (phrase, weight) in patterns().iter().flat_map(|p| p.parts.iter().flatten()) {
            let plain = phrase.bytes().all(|b| b.is_ascii_lowercase() || b == b' ' || b == b'\'');
            assert!(plain && *weight > 0.0, "{phrase:?}");
        }
    }

    #[test]
    fn what_is_ordered_is_understood() {
        for kind in KINDS {
            let understood = understand(&format!("please build us {kind}"), Context::AskedWhat);
            assert!(matches!(understood.act, Act::BuildOther(noun) if BuildType::of_noun(noun).is_some()), "{kind}");
        }
    }
}
