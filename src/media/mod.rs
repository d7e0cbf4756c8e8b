//! The media plane: RTP sockets on one side, audio rings on the other.
//!
//! Purpose: carry every call's audio between the network and speech with the least possible delay. Each worker is one
//! pinned thread that owns its calls whole; control talks to it through bounded rings only. Table of contents, in
//! data-flow order:
//!
//! | file | holds |
//! |---|---|
//! | `ports` | which UDP ports calls may use, and the quiet time before reuse |
//! | `frame` | the unit of both audio rings, and the rings |
//! | `plan` | what control says about a call; everything is allocated here, before the worker sees the call |
//! | `command`, `event` | the two languages between control and worker |
//! | `plane` | starts the workers, routes commands, hands events out |
//! | `worker` | THE loop |
//! | `socket` | the system calls of the loop |
//! | `wire` | a socket, or rings in its place |
//! | `timed` | a socket with receive stamps, for measuring instruments |
//! | `clock` | kernel receive stamps on the monotonic clock |
//! | `wheel` | who is due next |
//! | `headroom` | how busy the loop is, and what that leaves for encoders |
//! | `session` | one call's chain, sans-IO, in data-flow order |
//! | `coders` | codec state of one call, replaced when the codec changes |
//! | `secure` | SRTP of one call |
//! | `control` | RTCP of one call |
//! | `aside` | STUN and DTLS of a shared port, for the control side |
//! | `latch` | which source we listen to |
//! | `reorder` | packets that wait behind a gap |
//! | `inbound` | packets → continuous audio for speech |
//! | `ears`, `placing` | the recording and the detector of keys: they hear what speech hears |
//! | `playout` | frames from speech → one packet each 20 ms |
//! | `echo` | what comes in goes out |
//! | `bridge` | what one call's phone says goes to the other's |
//! | `transcode` | from a decoder to an encoder, in frames of 20 ms |
//! | `numbering`, `framer`, `pace` | of a stream that follows another: its numbers, its frames, its limit |
//! | `pass` | what a chain may touch outside itself |
//! | `recorder` | both sides of a call → a stereo file, on threads of its own |
//!
//! Invariants: after a call is set up no heap use, lock, log line or system call but socket, clock and the wakes; every
//! queue is bounded; nothing that arrives can panic the worker, and a panic in one call's chain ends that call only.
//! Deliberately absent: tokio, SIP, models, anything that decides what a call is for.

pub mod aside;
mod bridge;
mod clock;
pub mod coders;
pub mod command;
mod control;
mod ears;
mod echo;
pub mod event;
pub mod frame;
mod framer;
mod headroom;
mod inbound;
mod latch;
mod numbering;
mod pace;
mod pass;
mod placing;
pub mod plan;
pub mod plane;
mod playout;
pub mod ports;
pub mod recorder;
mod reorder;
mod secure;
mod session;
pub mod socket;
pub mod timed;
mod transcode;
mod wheel;
pub mod wire;
mod worker;

pub use coders::Coders;
pub use command::MediaCommand;
pub use event::{CloseCause, MediaEvent, Quality, SessionStats};
pub use frame::{
    InFrame, InboundConsumer, InboundProducer, OutFrame, OutboundConsumer, OutboundProducer, SaidLevels, inbound_ring,
};
pub use plan::{PreparedSession, Role, SessionPlan, SpeechEnds, prepare};
pub use plane::{MediaConfig, MediaError, MediaEvents, MediaPlane};
pub use ports::{PortPair, PortPool, PortsExhausted};
pub use secure::{Secure, SrtpKeys};
pub use wire::{RING_PEER, RingEnds, RingShared, RingWire, Wire, ring_wire};
