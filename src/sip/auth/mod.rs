//! Digest authentication (RFC 3261 §22, RFC 7616, RFC 8760; RFC 2617 and 2069 for older peers), both sides. Purpose: prove
//! who we are with a password that never leaves, and hold others to the same. In the order of a challenge: `grammar` →
//! `challenge` → `client` (we answer) or `server` (we ask), over `algorithm`. Pure; owned by the agent. Invariants: a
//! [`Password`] is printed by nothing; what a peer quoted is written back octet for octet; replay state is bounded.
//! Deliberately absent: `userhash` (no SIP peer is known to want it), schemes other than Digest, Basic above all.

mod algorithm;
mod challenge;
mod client;
mod grammar;
mod login;
mod server;
#[cfg(test)]
mod tests;

pub use algorithm::Algorithm;
pub use challenge::{Asker, Challenge, Protection, challenges};
pub use client::{Authorization, Session};
pub use login::{Login, Password};
pub use server::{Attempt, Verdict, Verifier};
