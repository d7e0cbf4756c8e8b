//! Whether words make a whole request by the dialogue's grammar. Purpose: endpointing waits less for what can be answered
//! already. Pure. Deliberately absent: whether a sentence can end there (`turn::endpoint`).

use super::Expectation;
use crate::pipeline::intent::{Act, Context, understand};

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

#[cfg(test)]
mod tests {
    use super::*;

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
