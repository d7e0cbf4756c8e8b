//! Whether words make a whole request by the dialogue's grammar. Purpose: endpointing waits less for what can be answered
//! already. Pure. Deliberately absent: whether a sentence can end there (`turn::endpoint`).

use crate::pipeline::intent::{Act, Context, understand};

/// The words ask for something that the agent can act on: "build me a crm", "how is it going". More may follow all the same.
#[must_use]
pub fn is_whole_request(text: &str) -> bool {
    let understood = understand(text, Context::Free);
    let acts = matches!(understood.act, Act::Report(_) | Act::Repeat | Act::Help | Act::Operator | Act::Goodbye);
    understood.fires() || (acts && understood.confidence > 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_whole_and_their_beginnings_are_not() {
        for whole in ["build me a crm", "could you make us a crm please", "goodbye"] {
            assert!(is_whole_request(whole), "{whole}");
        }
        for part in ["", "build me", "could you", "i would like", "yes", "we have twenty"] {
            assert!(!is_whole_request(part), "{part}");
        }
    }
}
