//! The SIP user agent: one sans-IO object for any number of calls. Purpose: hide transactions and dialogs behind
//! "a call came", "answer it", "it ended". Owner: the task that owns the socket. The contract: after every `handle_*`
//! or verb call `poll_transmit` and `poll_event` until `None`, then sleep until `poll_timeout` or input.
//! Deliberately absent: registration, digest authentication, session timers, reliable provisional responses, transfer.

mod admission;
mod config;
mod event;
mod failover;
mod inbound;
mod inquiry;
mod leg;
mod outbound;
mod response;
mod table;
mod verbs;

pub use config::{AgentConfig, RandomSource, RouteLookup, SourcePolicy, Watcher, is_loopback_or_private};
pub use event::{AgentError, AgentStatus, EndedBy, LegId, SipEvent, Transmit};
pub use failover::Placement;
pub use table::Agent;
