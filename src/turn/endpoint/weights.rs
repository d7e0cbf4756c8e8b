//! The scorer's constants beside those of the words (`said`, `table`): priors from what people do, set by hand. Log odds
//! throughout. Deliberately absent: code.
//!
//! Synthesised voices alone would have the end-of-turn model count for 0.10: its training was people. On a person's prompts
//! over the telephone it earns 0.73, and so much it has where the words say nothing, of a caller about whom it has been right
//! (`pauses`). `words`, `faded` and what a short reply is worth (`said`) lie between their priors and what turns that the
//! engines heard make of them (`models/endpoint_heard.py`): fading is the best sign beside the words, of people as of machines; of voices that neither was set by it holds
//! less, so that it has three quarters of what the trainers' voices alone would give it. `length` is what voices and sentences of
//! both kinds agree on: 1.8 of the one, 2.2 of the other.

/// One table.
pub(super) struct Weights {
    pub(super) open: f32,
    pub(super) yes_no: f32,
    pub(super) name: f32,
    /// Of the end-of-turn model's log odds where the words say nothing.
    pub(super) sounded: f32,
    /// Words of this strength halve that.
    pub(super) words_win: f32,
    /// So do words of this strength where both speak for an end.
    pub(super) words_agree: f32,
    /// Of a melody that fell to its end, -1 to 1.
    pub(super) fell: f32,
    /// Of words that speak for an end: sentences that the table has not seen show them to be worth less than it says.
    pub(super) words: f32,
    /// Of a level that fell by 6 dB to its end, -1.5 to 1.5: voices fade to their end (Gravano and Hirschberg, "Turn-taking cues
    /// in task-oriented dialogue", 2011).
    pub(super) faded: f32,
    /// Of the logarithm of the voice in the turn against what is usual, -1 to 1.
    pub(super) length: f32,
}

pub(super) const WEIGHTS: Weights = Weights {
    open: 0.18,
    yes_no: 0.81,
    name: 0.40,
    sounded: 0.73,
    words_win: 1.0,
    words_agree: 2.0,
    fell: 0.30,
    words: 0.80,
    faded: 0.75,
    length: 1.80,
};
