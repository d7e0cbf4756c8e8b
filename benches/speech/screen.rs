//! What a person sees while the bench runs. Purpose: a line of progress on a terminal, a line a step in a log. Main thread
//! and those that count for it. Deliberately absent: results (`report`).
#![allow(clippy::print_stderr, reason = "progress is for people")]

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::Instant;

/// How far one step has come.
pub struct Progress {
    what: String,
    of: usize,
    state: Mutex<State>,
    live: bool,
}

struct State {
    done: usize,
    began: Instant,
    said: Instant,
}

impl Progress {
    pub fn new(what: &str, of: usize) -> Self {
        let now = Instant::now();
        let progress = Self {
            what: what.to_owned(),
            of,
            state: Mutex::new(State { done: 0, began: now, said: now }),
            live: std::io::stderr().is_terminal(),
        };
        if !progress.live {
            eprintln!("{what} …");
        }
        progress
    }

    /// One more is done.
    pub fn step(&self) {
        let Ok(mut state) = self.state.lock() else { return };
        state.done += 1;
        let last = state.done == self.of;
        if self.live && (last || state.said.elapsed().as_millis() >= 200) {
            state.said = Instant::now();
            let left =
                state.began.elapsed().as_secs_f64() / state.done as f64 * (self.of - state.done.min(self.of)) as f64;
            eprint!("\r\x1b[K{}: {} of {}, {left:.0} s left", self.what, state.done, self.of);
            let _ = std::io::stderr().flush();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.live {
            eprint!("\r\x1b[K");
        }
    }
}

/// A remark that stays.
pub fn note(text: &str) {
    eprintln!("{text}");
}
