//! Which tools were run for which turn of the caller. Purpose: a tool runs once, however often its turn is thought of: spoken
//! in two parts, interrupted, asked for again by a brain that has lost its thread. Pure, one a call.
//!
//! The key is turn, tool and arguments. A run that was begun is not begun again within its turn unless it failed or was
//! cancelled. Who interrupts cancels what may be ([`Tool::may_be_cancelled`]): what only looks things up. What has an effect
//! on the world goes on, and its result is told.
//! Invariants: the result of a run counts at most once, and never after it was cancelled; at most
//! `limits::TOOL_RUNS_MAX` runs are remembered, and the oldest that is over goes first. Deliberately absent: running them (the call's actor).

use crate::limits::TOOL_RUNS_MAX;
use std::collections::VecDeque;

/// What a turn may have done besides an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tool {
    /// A build is handed over.
    Build,
    /// The state of an app is looked up.
    LookUp,
    /// A wish to be called back is written down.
    CallBack,
    /// The recording is allowed or refused.
    Record,
    /// The caller is put through to a person.
    PutThrough,
    /// Something that there is is changed or taken away.
    Change,
    /// A call is promised for when a build is over, or the promise taken back.
    ReturnCall,
    /// What a build asks is answered.
    Answer,
    /// An app is asked for the code of its first account.
    SetUpCode,
}

impl Tool {
    /// Nothing in the world is different whether it has run or not.
    #[must_use]
    pub const fn may_be_cancelled(self) -> bool {
        match self {
            Self::LookUp => true,
            Self::Build
            | Self::CallBack
            | Self::Record
            | Self::PutThrough
            | Self::Change
            | Self::ReturnCall
            | Self::Answer
            | Self::SetUpCode => false,
        }
    }
}

/// One run of a tool, numbered from 1 in its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run(pub u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Running,
    Done,
    /// It may be begun again.
    Undone,
}

#[derive(Clone, Debug)]
struct Entry {
    run: Run,
    turn: u32,
    tool: Tool,
    arguments: String,
    standing: Standing,
}

/// One call's runs. See the module.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    turn: u32,
    runs: u32,
    entries: VecDeque<Entry>,
}

impl Ledger {
    /// The caller has said or keyed something new: the same may be wanted again.
    pub fn next_turn(&mut self) {
        self.turn = self.turn.wrapping_add(1);
    }

    /// A tool is wanted for the turn of now; `None`: it runs, or has run, for this turn already.
    pub fn begin(&mut self, tool: Tool, arguments: &str) -> Option<Run> {
        let same = |entry: &&Entry| entry.turn == self.turn && entry.tool == tool && entry.arguments == arguments;
        if self.entries.iter().find(same).is_some_and(|entry| entry.standing != Standing::Undone) {
            return None;
        }
        self.entries.retain(|entry| !same(&entry));
        if self.entries.len() >= TOOL_RUNS_MAX {
            let over = self.entries.iter().position(|entry| entry.standing != Standing::Running).unwrap_or(0);
            self.entries.remove(over);
        }
        self.runs = self.runs.wrapping_add(1);
        let run = Run(self.runs);
        let arguments = arguments.to_owned();
        self.entries.push_back(Entry { run, turn: self.turn, tool, arguments, standing: Standing::Running });
        Some(run)
    }

    /// Its result has come: whether it is still wanted.
    pub fn finish(&mut self, run: Run) -> bool {
        self.settle(run, Standing::Done)
    }

    /// It failed, and may be begun again within its turn: whether it was still wanted.
    pub fn fail(&mut self, run: Run) -> bool {
        self.settle(run, Standing::Undone)
    }

    /// The runs that an interruption cancels, with their arguments; they are cancelled.
    pub fn interrupt(&mut self) -> Vec<(Run, Tool, String)> {
        let running = self.entries.iter_mut().filter(|e| e.standing == Standing::Running && e.tool.may_be_cancelled());
        running
            .map(|entry| {
                entry.standing = Standing::Undone;
                (entry.run, entry.tool, entry.arguments.clone())
            })
            .collect()
    }

    fn settle(&mut self, run: Run, standing: Standing) -> bool {
        let found = self.entries.iter_mut().find(|entry| entry.run == run && entry.standing == Standing::Running);
        found.map(|entry| entry.standing = standing).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_tool_runs_once_for_its_turn_and_again_for_another() {
        let mut ledger = Ledger::default();
        let run = ledger.begin(Tool::Build, "mf_1").expect("the first");
        assert_eq!(ledger.begin(Tool::Build, "mf_1"), None, "it runs");
        assert!(ledger.begin(Tool::Build, "mf_2").is_some(), "other arguments");
        assert!(ledger.finish(run));
        assert!(!ledger.finish(run), "a result counts once");
        assert_eq!(ledger.begin(Tool::Build, "mf_1"), None, "it has run");
        ledger.next_turn();
        assert!(ledger.begin(Tool::Build, "mf_1").is_some());
    }

    #[test]
    fn an_interruption_cancels_what_only_looks_and_nothing_else() {
        let mut ledger = Ledger::default();
        let looks = ledger.begin(Tool::LookUp, "crm").expect("the first");
        let effects = [Tool::Build, Tool::CallBack, Tool::Record, Tool::PutThrough, Tool::Change];
        let runs: Vec<Run> = effects.iter().map(|tool| ledger.begin(*tool, "").expect("the first")).collect();
        assert_eq!(ledger.interrupt(), [(looks, Tool::LookUp, "crm".to_owned())]);
        assert!(!ledger.finish(looks), "its result comes too late");
        assert!(ledger.interrupt().is_empty(), "once");
        for run in runs {
            assert!(ledger.finish(run), "what has an effect is told");
        }
        assert!(ledger.begin(Tool::LookUp, "crm").is_some_and(|again| again != looks), "it may be looked up again");
    }

    #[test]
    fn what_failed_may_be_tried_again_within_its_turn() {
        let mut ledger = Ledger::default();
        let run = ledger.begin(Tool::CallBack, "12345").expect("the first");
        assert!(ledger.fail(run));
        assert!(ledger.begin(Tool::CallBack, "12345").is_some_and(|again| again != run));
    }

    proptest! {
        /// Whatever happens in whatever order, no effect is begun twice for one turn unless it failed in between.
        #[test]
        fn no_effect_twice(steps in proptest::collection::vec((0u8..5, 0u8..3), 0..200)) {
            let mut ledger = Ledger::default();
            let mut running: Vec<(Run, u8)> = Vec::new();
            let mut done: Vec<u8> = Vec::new();
            for (step, what) in steps {
                match step {
                    0 | 1 => if let Some(run) = ledger.begin(Tool::Build, &what.to_string()) {
                        prop_assert!(!running.iter().any(|(_, other)| *other == what) && !done.contains(&what));
                        running.push((run, what));
                    },
                    2 => {
                        prop_assert!(ledger.interrupt().is_empty());
                    }
                    3 => if let Some((run, what)) = running.pop() {
                        prop_assert!(ledger.finish(run));
                        done.push(what);
                    },
                    _ => if let Some((run, _)) = running.pop() {
                        prop_assert!(ledger.fail(run));
                    },
                }
                prop_assert!(ledger.entries.len() <= TOOL_RUNS_MAX);
            }
        }
    }
}
