//! RTP (RFC 3550) and what rides on it, sans-IO. Purpose: header, telephone events, statistics,
//! order, RTCP, SRTP and its keys, quality. Any thread; runs on media workers, so nothing here allocates (but for the text of `sdes`). Invariant: no input can panic. Deliberately absent: sockets, clocks
//! (time is an argument), audio.

pub mod control;
pub mod dtmf;
pub mod format;
pub mod fuzz;
pub mod header;
pub mod quality;
pub mod rtcp;
pub mod sdes;
pub mod sequence;
pub mod srtp;
pub mod stats;

pub use format::{Codec, Format, Formats, TelephoneEvent};
pub use header::{Header, HeaderError, Packet};
