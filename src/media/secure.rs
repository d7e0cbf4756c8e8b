//! SRTP of one call. Purpose: our key and the peer's beside each other. Owner: the call's media worker; made by control.
//! Invariants: packets are opened and sealed in the buffer that they are in; what is not authentic is never looked at, not
//! even for where it came from. Deliberately absent: agreeing on keys (SDES, DTLS).

use crate::rtp::srtp::{MasterKey, SrtpContext};

/// Keys that were agreed.
#[derive(Debug)]
pub struct SrtpKeys {
    /// Protects what we send.
    pub ours: MasterKey,
    /// Protects what the peer sends.
    pub theirs: MasterKey,
}

/// Both directions at work.
pub(super) struct Secure {
    pub(super) ours: SrtpContext,
    pub(super) theirs: SrtpContext,
}

impl Secure {
    /// Allocates (the box); control threads.
    pub(super) fn new(keys: &SrtpKeys) -> Box<Self> {
        Box::new(Self { ours: SrtpContext::with(&keys.ours), theirs: SrtpContext::with(&keys.theirs) })
    }
}
