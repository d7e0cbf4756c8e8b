//! SRTP of one call. Purpose: our key and the peer's beside each other. Owner: the call's media worker; made by control.
//! Invariants: packets are opened and sealed in the buffer that they are in; what is not authentic is never looked at, not
//! even for where it came from; a key that goes on keeps its context, since a fresh one would count packets from the start
//! and use an index twice. Deliberately absent: agreeing on keys (`sip::sdp`), opening what is late under a replaced key.

use crate::rtp::srtp::{MasterKey, SrtpContext};
use std::fmt;

/// Keys that were agreed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SrtpKeys {
    /// Protects what we send.
    pub ours: MasterKey,
    /// Protects what the peer sends.
    pub theirs: MasterKey,
}

/// Both directions at work.
pub struct Secure {
    pub(super) ours: SrtpContext,
    pub(super) theirs: SrtpContext,
    /// The contexts above are for keys that are in use already: the running ones go on instead.
    keeps_ours: bool,
    keeps_theirs: bool,
    /// Nobody has these keys.
    shut: bool,
}

impl fmt::Debug for Secure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secure").field("ours", &self.ours).field("theirs", &self.theirs).finish_non_exhaustive()
    }
}

impl Secure {
    /// Allocates (the box); control threads.
    #[must_use]
    pub fn new(keys: &SrtpKeys) -> Box<Self> {
        Box::new(Self {
            ours: SrtpContext::with(&keys.ours),
            theirs: SrtpContext::with(&keys.theirs),
            keeps_ours: false,
            keeps_theirs: false,
            shut: false,
        })
    }

    /// Keys that nobody has, until there are some: nothing is heard or said before. Allocates; control threads.
    #[must_use]
    pub fn shut(keys: &SrtpKeys) -> Box<Self> {
        let mut secure = Self::new(keys);
        secure.shut = true;
        secure
    }

    /// Whether what comes cannot be opened by anybody, and says nothing about its sender.
    pub(super) const fn is_shut(&self) -> bool {
        self.shut
    }

    /// For keys that come after `before` (for `MediaCommand::SetRemote`); `None` when they are the same. Allocates.
    #[must_use]
    pub fn after(before: Option<&SrtpKeys>, keys: &SrtpKeys) -> Option<Box<Self>> {
        let Some(before) = before else { return Some(Self::new(keys)) };
        (before != keys).then(|| {
            let mut new = Self::new(keys);
            new.keeps_ours = before.ours == keys.ours;
            new.keeps_theirs = before.theirs == keys.theirs;
            new
        })
    }

    /// Takes over from `old` what goes on.
    pub(super) fn handle_predecessor(&mut self, old: &mut Self) {
        if std::mem::take(&mut self.keeps_ours) {
            std::mem::swap(&mut self.ours, &mut old.ours);
        }
        if std::mem::take(&mut self.keeps_theirs) {
            std::mem::swap(&mut self.theirs, &mut old.theirs);
        }
    }
}
