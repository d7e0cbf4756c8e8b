//! Which codecs we take, and whose order counts. Purpose: policy as data, so that the exchange itself has none.

use crate::rtp::format::{Codec, Format};
use serde::{Deserialize, Serialize};

/// Whether streams are protected by SRTP: with keys from the description (RFC 4568), or of a DTLS handshake (RFC 5763).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Srtp {
    /// Never: plain lines alone are taken and offered.
    Off,
    /// Where the peer offers it, which is then preferred to a plain line. We offer plain lines.
    Answer,
    /// Always: plain lines are refused, and we offer protected ones.
    Require,
    /// Always, and by keys of a DTLS handshake alone (RFC 5763), which nobody on the way of the signalling can read: we offer
    /// UDP/TLS/RTP/SAVP.
    Dtls,
}

/// What we would like to speak.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Preference {
    codecs: Vec<Codec>,
    /// Our order, not the peer's.
    ours: bool,
    /// Before all others, if the peer has it.
    favourite: Option<Codec>,
    srtp: Srtp,
    comfort_noise: bool,
}

impl Preference {
    /// Any of these; of what the peer offers, what it likes best. Our own offers have them in this order.
    #[must_use]
    pub fn of_peer(codecs: &[Codec]) -> Self {
        Self { codecs: codecs.to_vec(), ours: false, favourite: None, srtp: Srtp::Off, comfort_noise: false }
    }

    /// Any of these, the first one that the peer offers.
    #[must_use]
    pub fn of_ours(codecs: &[Codec]) -> Self {
        Self { codecs: codecs.to_vec(), ours: true, favourite: None, srtp: Srtp::Off, comfort_noise: false }
    }

    /// The same, but `codec` first where it can be had.
    #[must_use]
    pub fn favouring(mut self, codec: Codec) -> Self {
        self.favourite = Some(codec);
        self
    }

    /// The same with SRTP; unless this is said there is none.
    #[must_use]
    pub const fn protecting(mut self, srtp: Srtp) -> Self {
        self.srtp = srtp;
        self
    }

    /// The same; offers of ours have comfort noise (RFC 3389), which invites the peer to suppress its silence. That of an
    /// offer to us is taken in any case.
    #[must_use]
    pub const fn with_comfort_noise(mut self, comfort_noise: bool) -> Self {
        self.comfort_noise = comfort_noise;
        self
    }

    /// Whether our offers have comfort noise.
    #[must_use]
    pub const fn comfort_noise(&self) -> bool {
        self.comfort_noise
    }

    /// Whether streams are protected.
    #[must_use]
    pub const fn srtp(&self) -> Srtp {
        self.srtp
    }

    /// What we carry, in our order.
    #[must_use]
    pub fn codecs(&self) -> &[Codec] {
        &self.codecs
    }

    pub(super) fn has(&self, codec: Codec) -> bool {
        self.codecs.contains(&codec)
    }

    /// The best of what the peer offers in its order.
    pub(super) fn choose(&self, offered: &[Format]) -> Option<Format> {
        let find = |codec: Codec| offered.iter().find(|f| f.codec == codec).copied();
        let favourite = self.favourite.and_then(find);
        favourite.or_else(|| match self.ours {
            true => self.codecs.iter().find_map(|c| find(*c)),
            false => offered.first().copied(),
        })
    }
}

impl Default for Preference {
    /// All that there is, in the peer's order.
    fn default() -> Self {
        Self::of_peer(&Codec::ALL)
    }
}
