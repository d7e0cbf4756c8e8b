//! What a request says of the thing: its name, features, technology, integrations, budget, time and users.
//!
//! | file | holds |
//! |---|---|
//! | `token` | words with their case and their pauses |
//! | `quantity` | money, durations, counts of users, in figures and in words |
//! | `title` | "called Bluebird" |
//! | `candidates` | whatever may be one of these |
//! | `meant` | which of that its caller wants of the thing, from trained weights |
//! | `finder` | features by what stands around them, from trained weights |
//! | `span` | whether a span that may be a feature is one |
//! | `listed` | features, technology and integrations; tables in `names.rs` |
//!
//! Pure. Invariants: nothing is made up: each value was said; features that are refused ("without invoices") are not in. Of two values
//! for one slot the likelier counts ("two hundred, no, three hundred users"). Deliberately absent: what can be built (the dialogue).

mod candidates;
mod finder;
mod listed;
mod meant;
mod names;
mod quantity;
mod span;
mod title;
mod token;

pub use listed::{canonical_feature, canonical_name};
pub use quantity::{Budget, Constraints, Timeline};

use serde::Serialize;

use token::tokens;

/// The slots of a request. Lists are in the order of speaking, names that were known by their sound last, without doubles.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Entities {
    /// As it is to be written, e.g. "Bluebird"; `None` when no name was given.
    pub title: Option<String>,
    /// As said, lower case, without article: "contacts", "contact form".
    pub features: Vec<String>,
    /// Written as their makers write them: "React", "PostgreSQL".
    pub tech_stack: Vec<String>,
    /// Money, time, users.
    pub constraints: Constraints,
    /// Other systems: "Slack", "Google Calendar".
    pub integrations: Vec<String>,
}

impl Entities {
    /// Whether nothing was named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Takes what was said later: values replace, lists grow.
    pub fn take(&mut self, later: &Self) {
        if later.title.is_some() {
            self.title.clone_from(&later.title);
        }
        let grow = |mine: &mut Vec<String>, theirs: &[String]| {
            for item in theirs {
                if mine.len() < crate::limits::OPEN_POINTS_MAX && !mine.contains(item) {
                    mine.push(item.clone());
                }
            }
        };
        grow(&mut self.features, &later.features);
        grow(&mut self.tech_stack, &later.tech_stack);
        grow(&mut self.integrations, &later.integrations);
        self.constraints.take(&later.constraints);
    }
}

/// Reads the slots of a turn.
#[must_use]
pub fn entities(text: &str) -> Entities {
    let tokens = tokens(text);
    let mut used = vec![false; tokens.len()];
    let mut found = meant::judged(&tokens, by_grammar(&tokens, &mut used), &mut used);
    found.features = listed::features(&tokens, &used);
    found
}

/// What the grammar makes of a turn, but for features; marks their words.
fn by_grammar(tokens: &[token::Token], used: &mut [bool]) -> Entities {
    let title = title::title(tokens, used);
    let constraints = quantity::constraints(tokens, used);
    let (tech_stack, integrations) = listed::named(tokens, used);
    Entities { title, features: Vec::new(), tech_stack, constraints, integrations }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_request_with_everything() {
        let said = "We want a CRM called Bluebird with contacts, deals and notes, connected to Slack and Google Calendar, in \
                    React, for about two hundred users, at most five thousand dollars, in two weeks.";
        assert_eq!(
            serde_json::to_value(entities(said)).unwrap(),
            json!({
                "title": "Bluebird",
                "features": ["contacts", "deals", "notes"],
                "tech_stack": ["React"],
                "constraints": {"budget": {"amount": 5000, "currency": "USD"}, "timeline": "P2W", "scale": 200},
                "integrations": ["Slack", "Google Calendar"],
            })
        );
        let nothing = json!({"title": null, "features": [], "tech_stack": [], "constraints": {}, "integrations": []});
        assert_eq!(serde_json::to_value(entities("")).unwrap(), nothing);
        assert_eq!(serde_json::to_value(entities("what a nice day it is")).unwrap(), nothing);
    }

    #[test]
    fn as_a_recogniser_writes_it() {
        let said = "build me a see our em called blue bird with contacts and deals and slack integration for fifty people \
                    in ten days for two thousand euros";
        assert_eq!(
            serde_json::to_value(entities(said)).unwrap(),
            json!({
                "title": "Blue Bird",
                "features": ["contacts", "deals"],
                "tech_stack": [],
                "constraints": {"budget": {"amount": 2000, "currency": "EUR"}, "timeline": "P10D", "scale": 50},
                "integrations": ["Slack"],
            })
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "\\PC{0,160}") {
            let _ = entities(&text);
        }

        #[test]
        fn words_of_ours_in_any_order_are_read(picks in proptest::collection::vec(0usize..40, 0..16)) {
            const WORDS: [&str; 40] = [
                "called", "a", "half", "and", "with", "without", "$", "5k", "1,000", "two", "hundred", "thousand", "users", "weeks",
                "in", "by", "friday", "dollars", "euros", "budget", "of", "no", "slack", "google", "calendar", "react", "go", "node.js",
                "for", ",", ".", "contacts", "month", "the", "end", "million", "couple", "quarter", "named", "to",
            ];
            let text: Vec<&str> = picks.iter().map(|n| WORDS[*n]).collect();
            let _ = entities(&text.join(" "));
        }
    }
}
