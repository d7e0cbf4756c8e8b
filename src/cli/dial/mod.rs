//! `callwright dial`: a telephone of our own. Purpose: call an agent as a person would, with real audio over SIP and RTP,
//! and measure on the wire how it behaves. In data-flow order:
//!
//! | file | holds |
//! |---|---|
//! | `script` | what the caller is to do: TOML → checked steps |
//! | `scenario` | scripts that come with it, each about one thing that callers do |
//! | `voice`, `wave`, `noise` | the caller's audio: synthesised, from WAV files, or made |
//! | `phone` | signalling: the SIP user agent with one leg |
//! | `line` | the RTP thread on a real clock |
//! | `stream` | one call's packets, sans-IO |
//! | `coding` | their codecs |
//! | `ear`, `words` | the agent's audio → words |
//! | `act` | the script in action, sans-IO |
//! | `conduct` | the loop that joins them |
//! | `live` | the transcript while it runs |
//! | `capture` | both directions on one clock |
//! | `level`, `score`, `react` | figures from the capture, and what the agent did about a sound |
//! | `report` | the figures as JSON and as a table |
//! | `command` | arguments, preparation, exit codes |
//!
//! Invariants: every figure comes from what passed the wire; nothing here knows the daemon but by SIP and RTP.
//! Deliberately absent: load (that is `bench`), registration, TLS, calls that come in.

pub mod act;
pub mod band;
pub mod capture;
pub mod coding;
mod command;
pub mod conduct;
pub mod ear;
pub mod level;
pub mod line;
pub mod live;
pub mod noise;
pub mod phone;
pub mod react;
pub mod report;
pub mod scenario;
pub mod score;
pub mod script;
pub mod stream;
pub mod voice;
pub mod wave;
pub mod words;

pub use command::{Args, run};
