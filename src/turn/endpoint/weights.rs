//! The scorer's constants. Made by `models/endpoint.py` from the priors that are written there and from speech that it
//! synthesises; `models/endpoint.py` prints this table. Log odds throughout. Deliberately absent: code.

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
    open: 0.3,
    yes_no: 0.8,
    name: 0.0,
    nothing: -0.6,
    answer: 1.6,
    lone: -0.8,
    loose: -0.9,
    wanting: -2.6,
    open_number: -1.0,
    sounded: 0.5,
    fell: 0.3,
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
