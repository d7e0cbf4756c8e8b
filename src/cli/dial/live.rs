//! What the operator sees while the call runs. Purpose: one line per utterance with its time, printed as it is known, and
//! kept for the report. Owner: the command's task. Deliberately absent: figures (`report`).

use std::io::Write;
use std::time::Duration;

use crate::time::Tick;

/// One line of the transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// From the ACK.
    pub at: Duration,
    /// `agent`, `caller` or `call`.
    pub who: &'static str,
    /// Words.
    pub text: String,
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tenths = self.at.as_millis() / 100;
        write!(f, "{:02}:{:02}.{} {}: {}", tenths / 600, tenths / 10 % 60, tenths % 10, self.who, self.text)
    }
}

/// Prints and keeps the transcript.
#[derive(Debug)]
pub struct Live {
    quiet: bool,
    answered: Tick,
    said: Vec<Said>,
}

impl Live {
    /// `quiet` prints nothing; times count from `answered`.
    pub fn new(quiet: bool, answered: Tick) -> Self {
        Self { quiet, answered, said: Vec::new() }
    }

    /// Something was said or happened at `at`.
    pub fn say(&mut self, at: Tick, who: &'static str, text: impl Into<String>) {
        let said = Said { at: at.since(self.answered), who, text: text.into() };
        print(self.quiet, &said.to_string());
        self.said.push(said);
    }

    /// The transcript in order of time.
    pub fn into_transcript(mut self) -> Vec<Said> {
        self.said.sort_by_key(|s| s.at);
        self.said
    }
}

/// Prints one line unless `quiet`. A closed pipe is the reader's wish, not an error of the call.
pub fn print(quiet: bool, line: &str) {
    if !quiet {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_carry_their_time() {
        let mut live = Live::new(true, Tick(1_000_000_000));
        live.say(Tick(66_290_000_000), "caller", "yes");
        live.say(Tick(4_299_000_000), "agent", "hello");
        let lines: Vec<String> = live.into_transcript().iter().map(ToString::to_string).collect();
        assert_eq!(lines, ["00:03.2 agent: hello", "01:05.2 caller: yes"]);
    }
}
