//! The SIP user agent: one sans-IO object for any number of calls. Purpose: hide transactions and dialogs behind
//! "a call came", "answer it", "it ended". Owner: the task that owns the sockets. The contract: after every `handle_*`
//! or verb call `poll_transmit` and `poll_event` until `None`, then sleep until `poll_timeout` or input. By feature:
//! `inbound` and `outbound` (RFC 3261), `fork` (early dialogs), `branch` (several places), `reliable` (RFC 3262), `reinvite` and `renewal` (re-INVITE and
//! UPDATE, the peer's and ours, RFC 3311), `timer` (RFC 4028), `refer` (RFC 3515, 3891, 3892, 4488), `info`, `reason` (RFC
//! 3326), `failover` (RFC 3263), `size` (§18.1.1), `redirect` (§8.1.3.4), `credentials` and `doorman` (§22: who we are, who they are), `lines` (§10.2).
//! Deliberately absent: what is said in a call, and finding out where a name leads.

mod admission;
mod branch;
mod config;
mod credentials;
mod doorman;
mod event;
mod failover;
mod fork;
mod inbound;
mod info;
mod inquiry;
mod leg;
mod lines;
mod out_of_dialog;
mod outbound;
mod reason;
mod redirect;
mod refer;
mod reinvite;
mod reliable;
mod renewal;
mod request;
mod response;
mod size;
mod table;
mod timer;
mod unfit;
mod verbs;

pub use branch::Branch;
pub use config::{AgentConfig, RandomSource, RouteLookup, SourcePolicy, Watcher, is_loopback_or_private};
pub use event::{AgentError, AgentStatus, EndedBy, LegId, SipEvent, Transmit};
pub use failover::Placement;
pub use lines::{LineConfig, LineStatus};
pub use out_of_dialog::{OutOfDialog, RequestId, Response, Series};
pub use reason::{Cause, Protocol, Reason};
pub use refer::replaces_value;
pub use table::Agent;
