//! Engines in the cloud: hearing and speaking through providers, with the local engines behind them.
//!
//! | file | holds |
//! |---|---|
//! | `deepgram_listen` | Deepgram, streaming recognition |
//! | `openai_transcribe` | OpenAI, recognition turn by turn |
//! | `elevenlabs` | ElevenLabs, speech with word times |
//! | `openai_speech` | OpenAI, speech |
//! | `deepgram_speak` | Deepgram, speech |
//! | `turns` | a recogniser whose turns are heard elsewhere |
//! | `with_local` | the same with the local recogniser behind it |
//! | `voice` | a voice that speaks elsewhere |
//! | `cloud` | `Cloud`: the thread that talks to providers |
//! | `engine` | [`Provider`], [`ProviderConfig`], and how engines are made of them |
//! | `request` | addresses, clients, answers that are errors |
//! | `gate`, `breaker` | `Gate`: when a provider is asked, and what it costs |
//! | `failure` | why a provider did not do its part |
//! | `socket`, `lines` | WebSockets, lines out of streams |
//! | `key` | a key on its way into a request |
//!
//! Owning threads: engines belong to a recogniser thread or a mouth; their tasks to "cloud". Invariants: no recogniser
//! thread waits for the network, a mouth only up to its deadlines; a key is in no log, error or `Debug`; everything that
//! comes is bounded. Adding a provider is one file, and a row in each table of `engine`.
//! Deliberately absent: which engine an agent has (`engines`).
//!
//! No account of any provider has been at hand. What is known of them is what their public documents say; each file names
//! its own, the doubles in `tests/provider_doubles` hold to them and cite them, and nothing here has met the real services.

mod breaker;
mod cloud;
mod deepgram_listen;
mod deepgram_speak;
mod elevenlabs;
mod engine;
mod failure;
pub mod fuzz;
mod gate;
mod key;
mod lines;
mod openai_speech;
mod openai_transcribe;
mod request;
mod socket;
mod turns;
mod voice;
mod with_local;

#[cfg(test)]
mod tests;

pub(in crate::speech) use cloud::Clouds;
pub use engine::{Provider, ProviderConfig};
pub(in crate::speech) use engine::{hearing, voice};
pub use failure::ProviderError;
pub(in crate::speech) use with_local::WithLocal;
