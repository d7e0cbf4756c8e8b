//! The scorer's constants. Made by `models/endpoint.py` from the priors that are written there and from speech that it
//! synthesises; `models/endpoint.py` prints this table. Log odds throughout. Deliberately absent: code.
//!
//! Synthesised voices alone would have the end-of-turn model count for 0.10 instead of 0.45: its training was people. On a
//! person's prompts over the telephone it earns 0.73.

use super::said::Tail;

/// One table.
pub(super) struct Weights {
    pub(super) open: f32,
    pub(super) yes_no: f32,
    pub(super) name: f32,
    pub(super) nothing: f32,
    pub(super) answer: f32,
    pub(super) lone: f32,
    pub(super) loose: f32,
    pub(super) wanting: f32,
    pub(super) open_number: f32,
    /// Of the end-of-turn model's log odds.
    pub(super) sounded: f32,
    /// Of a melody that fell to its end, -1 to 1.
    pub(super) fell: f32,
}

pub(super) const WEIGHTS: Weights = Weights {
    open: 0.18,
    yes_no: 0.81,
    name: 0.12,
    nothing: -0.60,
    answer: 1.08,
    lone: -0.81,
    loose: -1.34,
    wanting: -2.56,
    open_number: -1.24,
    sounded: 0.45,
    fell: 0.30,
};

impl Weights {
    /// Of how the words end.
    pub(super) const fn of(&self, tail: Tail) -> f32 {
        match tail {
            Tail::Nothing => self.nothing,
            Tail::Answer => self.answer,
            Tail::Lone => self.lone,
            Tail::Whole => 0.0,
            Tail::Loose => self.loose,
            Tail::Wanting => self.wanting,
            Tail::OpenNumber => self.open_number,
        }
    }
}
