//! The playout buffer, of NetEQ class: packets of one stream that come too early, too late, twice, out of order or never →
//! audio that never stops, with as little delay as the network allows. For legs without a source packet of their own
//! (mixers); speech and bridges do not wait here. Owner: the thread that owns the call.
//!
//! | file | part |
//! |---|---|
//! | [`input`] | settings, packets, the decoder's interface |
//! | [`buffer`] | [`PlayoutBuffer`]: takes packets, gives audio |
//! | `play` | which packet is played when, and how the delay is corrected |
//! | `fill` | what stands in for packets that are not there, and how it is joined to those that are |
//! | [`timeline`] | RTP timestamps → positions; jumps and restarts |
//! | [`queue`] | encoded packets in order |
//! | [`arrival`] | how late each packet is beside the fastest of the last two seconds |
//! | [`target`] | how long to wait for the late ones |
//! | [`audio`] | decoded audio, played and to be played; shortening, lengthening, joining it |
//! | [`statistics`] | counters named after W3C webrtc-stats |
//!
//! Invariants: deterministic (time is an argument); no heap after [`PlayoutBuffer::new`]; never holds more than 500 ms; every
//! packet handed in ends up played, discarded or still waiting, once; each call gives exactly the samples asked for.
//!
//! Unlike NetEQ it does not steer by the filtered fill level, which swings with every late packet, but by the delay itself:
//! when a sample is played minus when the fastest packet of the last 2 s would have brought it. That is the same number
//! however the packets were late, so nothing has to be averaged, and silence suppression does not disturb it.
//!
//! Deliberately absent: sockets, RTP parsing, source probation (`rtp`), RED, NACK.

pub mod arrival;
pub mod audio;
pub mod buffer;
mod fill;
pub mod input;
mod play;
pub mod queue;
pub mod statistics;
pub mod target;
pub mod timeline;

pub use buffer::{Operation, PlayoutBuffer};
pub use input::{Content, Decode, Packet, Settings, SettingsError};
pub use statistics::Statistics;

#[cfg(test)]
mod tests;
