//! Identifiers. Purpose: one newtype per thing that is named across planes, so that a call cannot be mistaken for an
//! utterance. Plain data, any thread. Deliberately absent: generation from clocks or randomness (that is the caller's).

use std::fmt;

/// One call leg for its whole life; random, never reused while the daemon runs. Hot-path key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u64);

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call_{:016x}", self.0)
    }
}

impl std::str::FromStr for CallId {
    type Err = std::num::ParseIntError;

    /// Reads what [`fmt::Display`] writes.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text.strip_prefix("call_").unwrap_or_default(), 16).map(Self)
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One thing that the agent says, counted from 1 within a call.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct UtteranceId(pub u32);

/// Playout generation: frames of an older generation are never sent. Counted from 0 within a call.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Generation(pub u32);
