//! Who answers the phone, and how. Purpose: name, greeting and manners of an agent, set by the operator. Plain data.
//! Deliberately absent: voice and route (config of speech and of calls).

use std::fmt;

/// Prompts to a silent caller before the agent hangs up, where nobody has said otherwise.
pub const IDLE_PROMPTS: u8 = 2;

/// Said before a person is rung, where nobody has said otherwise.
pub const PUTTING_THROUGH: &str = "One moment, I put you through.";

/// What is said about the recording of a call that is to be recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Consent {
    /// Nothing: callers know, or nothing is recorded.
    #[default]
    Silent,
    /// That it is recorded, in these words.
    Announce(String),
    /// Asked in these words; nothing is recorded before a yes.
    Ask(String),
}

impl Consent {
    /// Whether it takes an answer.
    #[must_use]
    pub const fn is_asked(&self) -> bool {
        matches!(self, Self::Ask(_))
    }
}

/// Whether callers are called when what they have ordered is live, or needs them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReturnCalls {
    /// They are not, or it is not known where.
    #[default]
    Never,
    /// Those who agree.
    Ask,
    /// All who do not refuse; they are told.
    Always,
}

/// Digits that callers must key or say before anything else; printed by nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Pin(String);

impl Pin {
    /// Digits at least and at most.
    pub const LENGTH: std::ops::RangeInclusive<usize> = 4..=12;

    /// Takes a PIN of 4 to 12 digits; `None` for anything else.
    #[must_use]
    pub fn new(digits: &str) -> Option<Self> {
        let fits = Self::LENGTH.contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| Self(digits.to_owned()))
    }

    /// Whether these are its digits; takes the same time for every wrong guess of the right length.
    #[must_use]
    pub fn is(&self, digits: &str) -> bool {
        let differing = self.0.bytes().zip(digits.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
        differing == 0 && self.0.len() == digits.len()
    }

    pub(super) fn digits(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin")
    }
}

/// An agent as callers know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Persona {
    /// Spoken name.
    pub name: String,
    /// First words, clause by clause, without the first question. Empty: nothing but the question.
    pub greeting: Vec<String>,
    /// Prompts to a silent caller before the agent hangs up.
    pub idle_prompts: u8,
    /// What is said about a recording.
    pub consent: Consent,
    /// What callers must know; `None`: nothing.
    pub pin: Option<Pin>,
    /// Whether they must key or say it before anything else, and not only before what changes or destroys.
    pub pin_at_start: bool,
    /// Too many wrong PINs have come: none is taken.
    pub locked: bool,
    /// Said to a caller who wants a person, before ringing one; `None`: nobody is there to take such calls.
    pub putting_through: Option<String>,
    /// Whether this caller may be called when a build is over.
    pub return_call: ReturnCalls,
    /// The caller has proved who it is, by a password: more than a number that anybody can show.
    pub proved: bool,
    /// That takes the place of the PIN, also where none is set up.
    pub trusted: bool,
}

impl Persona {
    /// An agent of this name with the usual greeting.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            greeting: vec![format!("Hello, this is {name}.")],
            idle_prompts: IDLE_PROMPTS,
            consent: Consent::Silent,
            pin: None,
            pin_at_start: true,
            locked: false,
            putting_through: None,
            return_call: ReturnCalls::Never,
            proved: false,
            trusted: false,
        }
    }
}

impl Default for Persona {
    fn default() -> Self {
        Self::named("Grace")
    }
}
