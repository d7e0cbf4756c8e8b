//! The turn-taking machine's transitions: one table, and the diagram made from it.
//! Pure data. Invariant: every state has a successor for every input; the diagram in the module's docs is the table's.
//! Deliberately absent: when an input happens (`machine`), how long a pause may be (`endpoint`).

use std::fmt::Write as _;

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Nobody speaks; the caller may begin.
    Idle,
    /// The caller speaks, or pauses within a turn.
    Listening,
    /// The caller's turn is over; the answer is being made.
    Processing,
    /// The agent speaks.
    Speaking,
}

/// What can happen to the turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Input {
    /// Voice has lasted long enough to count as speech (longer while the agent speaks).
    VoiceSustained,
    /// The caller has paused for as long as the endpointing waits, or has talked for the longest turn.
    PauseOver,
    /// The agent's first utterance begins.
    AgentStarted,
    /// The agent's last utterance has ended or was flushed, or there is nothing to say.
    AgentEnded,
    /// A key was pressed.
    Key,
    /// Nothing has happened for as long as the agent waits.
    IdleOver,
}

/// All states, in table order.
pub const STATES: [State; 4] = [State::Idle, State::Listening, State::Processing, State::Speaking];
/// All inputs, in table order.
pub const INPUTS: [Input; 6] =
    [Input::VoiceSustained, Input::PauseOver, Input::AgentStarted, Input::AgentEnded, Input::Key, Input::IdleOver];

use State::{Idle as I, Listening as L, Processing as P, Speaking as S};

/// Rows: [`STATES`]; columns: [`INPUTS`]. The same state means: stay.
#[rustfmt::skip]
const TABLE: [[State; 6]; 4] = [
    //               voice  pause  agent  agent  key    idle
    //               sust.  over   starts ended         over
    /* idle       */ [L,    I,     S,     I,     I,     I],
    /* listening  */ [L,    P,     S,     L,     I,     L],
    /* processing */ [L,    P,     S,     I,     P,     I],
    /* speaking   */ [L,    S,     S,     I,     I,     S],
];

impl State {
    /// The state after `input`.
    #[must_use]
    pub const fn after(self, input: Input) -> Self {
        TABLE[self as usize][input as usize]
    }

    /// Upper-case name as in the design.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            I => "IDLE",
            L => "LISTENING",
            P => "PROCESSING",
            S => "SPEAKING",
        }
    }
}

impl Input {
    /// Lower-case name for the diagram.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::VoiceSustained => "voice sustained",
            Self::PauseOver => "pause over",
            Self::AgentStarted => "agent started",
            Self::AgentEnded => "agent ended",
            Self::Key => "key",
            Self::IdleOver => "idle over",
        }
    }
}

/// The table as Markdown: every cell, then the moves as a Mermaid state diagram. `transitions.md` is this text.
#[must_use]
pub fn diagram() -> String {
    let mut text = String::from("| state |");
    for input in INPUTS {
        let _ = write!(text, " {} |", input.name());
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(INPUTS.len()));
    for state in STATES {
        let _ = write!(text, "\n| {} |", state.name());
        for input in INPUTS {
            let _ = write!(text, " {} |", state.after(input).name());
        }
    }
    text.push_str("\n\n```mermaid\nstateDiagram-v2\n    [*] --> IDLE\n");
    for state in STATES {
        for input in INPUTS {
            let next = state.after(input);
            if next != state {
                let _ = writeln!(text, "    {} --> {}: {}", state.name(), next.name(), input.name());
            }
        }
    }
    text.push_str("```\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_table_is_the_table() {
        assert_eq!(
            diagram(),
            include_str!("transitions.md"),
            "write the left side to src/turn/transitions.md if meant"
        );
    }

    #[test]
    fn every_transition() {
        let snapshot: Vec<String> = STATES
            .iter()
            .map(|s| INPUTS.iter().map(|i| s.after(*i).name().chars().next().unwrap_or('?')).collect())
            .collect();
        assert_eq!(snapshot, ["LISIII", "LPSLIL", "LPSIPI", "LSSIIS"]);
    }

    #[test]
    fn table_order_is_the_order_of_the_enums() {
        assert!(STATES.iter().enumerate().all(|(n, s)| *s as usize == n));
        assert!(INPUTS.iter().enumerate().all(|(n, i)| *i as usize == n));
    }
}
