//! Speech: the threads between audio rings and models.
//!
//! | file | holds |
//! |---|---|
//! | `plane` | [`SpeechPlane`]: loads the engines, starts the threads, admits calls |
//! | `engines` | the table of engines: names, and how each is opened |
//! | `lane` | [`SpeechLane`]: one call's handle on the plane |
//! | `stream` | [`SpeechStream`]: ears for audio that somebody feeds |
//! | `progress` | how far fed audio has come |
//! | `event` | [`SpeechEvent`]: everything that a call hears from the plane |
//! | `ears` | the thread that drains every call's inbound ring and finds speech in it |
//! | `end_of_turn` | whether a pause sounds like the end, where a model can tell |
//! | `stirring` | whether a sound has just begun, before it is known for a voice (sans-IO) |
//! | `vad` | where speech starts and ends in one call's audio (sans-IO) |
//! | `asr` | the recogniser threads; `asr/room` how turns share the places of an engine |
//! | `recogniser/` | what they ask of an engine, and one file an engine |
//! | `search` | what the embedded recogniser listens for under each expectation |
//! | `guide/` | what the domain knows of language, for an engine that hears everything (pure) |
//! | `language_model` | 3-gram models from the domain's sentences and word classes (pure) |
//! | `plain` | what engines write, as words without figures (pure) |
//! | `network` | what it listens for where the answer has a known shape (pure) |
//! | `tts/` | the threads that speak: clauses, prompt cache, backlog, flush |
//! | `synthesiser/` | what it asks of a voice, and one file an engine |
//! | `clause` | where a text is cut for synthesis (pure) |
//! | `normalise/` | how written text is said (pure) |
//! | `provider/` | engines in the cloud, with the local ones behind them |
//!
//! Owning threads: "ears" (one), "end-of-turn" (one, with its model), "asr…" (each engine and vocabulary that agents want),
//! "mouth" (one), "voice-N" (those that synthesise), "cloud" (one, where providers are used); control talks to them through
//! bounded channels and never waits. Invariants: a slow or broken call delays no other; every [`SpeechLane::finalize`] is
//! answered by one [`SpeechEvent::Final`]; every [`SpeechLane::speak`] by one [`SpeechEvent::Spoken`]; without engines the
//! plane starts, says what is missing and admits no call. Deliberately absent: turn-taking (`turn`), what is said
//! (`conversation`).

mod asr;
mod clause;
mod ears;
mod end_of_turn;
mod engines;
pub mod event;
pub mod guide;
mod lane;
pub mod language_model;
mod network;
mod normalise;
mod plain;
mod plane;
mod progress;
pub mod provider;
mod recogniser;
mod search;
mod stirring;
mod stream;
mod synthesiser;
mod tts;
mod vad;

pub use engines::{check_engines, rehearse};
pub use event::{EngineStatus, Part, SpeechEvent};
pub use lane::SpeechLane;
pub use normalise::{DateOrder, Lexicon, LexiconError, Phones, Reading, SpokenWord, normalise, normalise_as};
pub use plane::{AgentSpeech, SpeechConfig, SpeechError, SpeechPlane};
pub use stream::{Followed, Heard, SpeechStream};
pub use tts::Rehearsal;
