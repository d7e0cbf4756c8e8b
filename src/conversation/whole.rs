//! What words are to the dialogue's grammar. Purpose: endpointing waits less for what can be answered already; recognition
//! prefers, among readings of the same sound, the one that can be answered. Pure. Deliberately absent: whether a sentence can end there (`turn::endpoint`).

use super::Expectation;
use crate::pipeline::intent::{Act, Context, understand, understand_words};

/// The words are something that the agent can act on: "build me a crm", "how is it going", to a question "yes build it". More
/// may follow all the same.
#[must_use]
pub fn is_whole_request(expect: Expectation, text: &str) -> bool {
    let (context, answers) = match expect {
        Expectation::Open => (Context::Free, false),
        Expectation::YesNo => (Context::AskedApproval, true),
        Expectation::Digits { .. } | Expectation::Name => return false,
    };
    let understood = understand(text, context);
    let acts = match understood.act {
        Act::Report(_) | Act::Repeat | Act::Help | Act::Operator | Act::Goodbye => understood.confidence > 0.5,
        Act::Approve | Act::Reject => answers,
        _ => false,
    };
    understood.fires() || acts
}

/// How much of a sense the dialogue makes of the words, 0 (none) to 1. What was asked is only known as far as `expect` says.
#[must_use]
pub fn sense(expect: Expectation, text: &str) -> f32 {
    let (context, answers) = match expect {
        Expectation::Open => (Context::AskedWhat, false),
        Expectation::YesNo => (Context::AskedApproval, true),
        Expectation::Digits { .. } | Expectation::Name => return 0.0,
    };
    // The reading that needs no putting right is preferred.
    let understood = understand_words(text, context);
    match understood.act {
        _ if understood.fires() => 1.0,
        Act::Report(_) | Act::BuildOther(_) => 1.0,
        Act::Approve | Act::Reject | Act::Cancel if answers => 1.0,
        Act::Repeat | Act::Help | Act::Operator | Act::Goodbye => 0.7,
        // It may be they that were asked for.
        _ if !understood.edit.is_empty() => 0.7,
        Act::BuildCrm | Act::Greeting => 0.5,
        Act::Unsure if answers => 0.5,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_acted_on_makes_sense() {
        for (expect, more, less) in [
            (Expectation::Open, "make us a crm with contacts", "make us as we are"),
            (Expectation::Open, "how busy was our crm today", "how did he lose our car today"),
            (Expectation::YesNo, "no", "note"),
        ] {
            assert!(sense(expect, more) > sense(expect, less), "{more}, {less}");
        }
        for nothing in ["", "we want to see our house", "it rained all day"] {
            assert!(sense(Expectation::Open, nothing) < f32::EPSILON, "{nothing}");
        }
        assert!(sense(Expectation::Name, "build a crm") < f32::EPSILON);
    }

    #[test]
    fn requests_are_whole_and_their_beginnings_are_not() {
        for whole in ["build me a crm", "could you make us a crm please", "goodbye"] {
            assert!(is_whole_request(Expectation::Open, whole), "{whole}");
        }
        for part in ["", "build me", "could you", "i would like", "yes", "we have twenty"] {
            assert!(!is_whole_request(Expectation::Open, part), "{part}");
        }
        assert!(is_whole_request(Expectation::YesNo, "yes build it"));
        assert!(!is_whole_request(Expectation::Name, "build me a crm"));
    }
}
