//! One call's descriptions over its life. Purpose: the `o=` version goes up exactly when what we say changes (RFC 3264 §8),
//! so that a session refresh is answered with the very same octets.

use super::dtls::DtlsLocal;
use super::encoding::Numbers;
use super::keys::{KeyRing, Random};
use super::negotiate::{accept, answer, offer};
use super::{Direction, LocalMedia, Negotiated, Preference, SdpError, Srtp};
use crate::rtp::format::{Codec, FORMATS_MAX, Formats, TelephoneEvent};
use std::fmt;

/// Our side of the offer/answer exchanges of one call.
#[derive(Clone)]
pub struct SdpSession {
    local: LocalMedia,
    preference: Preference,
    numbers: Numbers,
    /// Codecs of the offer of ours that an answer may come to.
    offered: Vec<Codec>,
    /// That offer had comfort noise.
    offered_noise: bool,
    ring: KeyRing,
    last: Option<Vec<u8>>,
    /// We hold the peer.
    holding: bool,
}

impl fmt::Debug for SdpSession {
    /// Without what was said, which may hold a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdpSession")
            .field("local", &self.local)
            .field("preference", &self.preference)
            .field("ring", &self.ring)
            .finish_non_exhaustive()
    }
}

impl SdpSession {
    /// Starts with nothing said yet; `local.session_version` is the first version. All codecs, in the peer's order.
    #[must_use]
    pub fn new(local: LocalMedia) -> Self {
        Self::preferring(local, Preference::default())
    }

    /// As [`SdpSession::new`] with our own idea of codecs.
    #[must_use]
    pub const fn preferring(local: LocalMedia, preference: Preference) -> Self {
        let numbers = Numbers::new();
        let ring = KeyRing::new(None);
        Self { local, preference, numbers, offered: Vec::new(), offered_noise: false, ring, last: None, holding: false }
    }

    /// As [`SdpSession::preferring`] with keys drawn from `random` where the preference wants SRTP; without, there is none.
    #[must_use]
    pub fn drawing(mut self, random: Random) -> Self {
        self.ring = KeyRing::new(Some(random));
        self
    }

    /// With a certificate: lines of DTLS are taken, and offered where the preference says so. From `drawing` on.
    pub fn identify(&mut self, local: DtlsLocal) {
        self.ring.identify(local);
    }

    /// Our side of DTLS.
    #[must_use]
    pub const fn certified(&self) -> Option<&DtlsLocal> {
        self.ring.local()
    }

    /// Whether our last offer was one of SRTP.
    #[must_use]
    pub fn offers_srtp(&self) -> bool {
        self.ring.policy_of_offer() != Srtp::Off
    }

    /// Whether our last offer was one of DTLS.
    #[must_use]
    pub fn offers_dtls(&self) -> bool {
        self.ring.policy_of_offer() == Srtp::Dtls
    }

    /// Our end.
    #[must_use]
    pub const fn local(&self) -> &LocalMedia {
        &self.local
    }

    /// What we would like to speak.
    #[must_use]
    pub const fn preference(&self) -> &Preference {
        &self.preference
    }

    /// From now on we would like this.
    pub fn prefer(&mut self, preference: Preference) {
        self.preference = preference;
    }

    /// We hold the peer from now on, or have it back: as long as we do, its offers are answered so that it stays held
    /// (RFC 3264 §8.4).
    pub const fn hold(&mut self, holding: bool) {
        self.holding = holding;
    }

    /// Answers an offer; see [`negotiate()`](super::negotiate()).
    ///
    /// # Errors
    /// As [`negotiate()`](super::negotiate()); what was agreed before stays valid (RFC 3264 §8).
    pub fn answer(&mut self, offer: &[u8]) -> Result<Negotiated, SdpError> {
        let mut agreed = answer(offer, &self.local, &self.preference, &mut self.numbers, &mut self.ring, self.holding)?;
        if self.last.as_ref().is_some_and(|last| *last != agreed.answer) {
            self.local.session_version += 1;
            agreed = answer(offer, &self.local, &self.preference, &mut self.numbers, &mut self.ring, self.holding)?;
        }
        self.last = Some(agreed.answer.clone());
        Ok(agreed)
    }

    /// Makes an offer of all that we carry, in our order.
    pub fn offer(&mut self, direction: Direction) -> Vec<u8> {
        let codecs = self.preference.codecs().to_vec();
        self.offer_of(&codecs, direction)
    }

    /// Makes an offer of these codecs, the preferred one first; see [`build_offer`](super::build_offer). Payload types that
    /// either side has used keep their meaning (RFC 3264 §8.3.2).
    pub fn offer_of(&mut self, codecs: &[Codec], direction: Direction) -> Vec<u8> {
        let certified = self.ring.offer_dtls(self.preference.srtp());
        let certified = certified.as_ref();
        let crypto = self.ring.offer(self.preference.srtp());
        let noise = self.preference.comfort_noise();
        let mut description = offer(&self.local, codecs, direction, &mut self.numbers, (crypto, certified), noise);
        if self.last.as_ref().is_some_and(|last| *last != description) {
            self.local.session_version += 1;
            description = offer(&self.local, codecs, direction, &mut self.numbers, (crypto, certified), noise);
        }
        (self.offered, self.offered_noise) = (codecs.to_vec(), noise);
        self.last = Some(description.clone());
        description
    }

    /// What may come before the answer to our last offer does (RFC 3264 §5.1). `None` when nothing was offered.
    pub fn offered_formats(&mut self) -> Option<Formats> {
        let mut formats = self.offered.iter().filter_map(|codec| self.numbers.format(*codec)).collect::<Vec<_>>();
        formats.truncate(FORMATS_MAX);
        let send = *formats.first()?;
        let mut all = formats.into_iter();
        let mut offered = Formats::of(send);
        offered.receive = std::array::from_fn(|_| all.next());
        let clock = send.codec.rtp_clock();
        let number = self.numbers.number(super::encoding::Encoding::Event(clock));
        offered.telephone_event = number.map(|payload_type| TelephoneEvent { payload_type, clock });
        Some(offered)
    }

    /// Reads the answer to our last offer; see [`parse_answer`](super::parse_answer).
    ///
    /// # Errors
    /// As [`parse_answer`](super::parse_answer).
    pub fn accept_answer(&mut self, answer: &[u8]) -> Result<Negotiated, SdpError> {
        accept(answer, &self.local, &self.offered, &mut self.numbers, &mut self.ring, self.offered_noise)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_moves_only_with_change() {
        let local =
            LocalMedia { address: "192.0.2.1".parse().unwrap(), port: 40000, session_id: 7, session_version: 3 };
        let mut session = SdpSession::new(local);
        let offer = |dir: &str| {
            format!(
                "v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\ns=-\r\nc=IN IP4 1.1.1.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na={dir}\r\n"
            )
        };
        let version = |n: &Negotiated| String::from_utf8(n.answer.clone()).unwrap().lines().nth(1).unwrap().to_owned();
        let first = session.answer(offer("sendrecv").as_bytes()).unwrap();
        assert_eq!(version(&first), "o=callwright 7 3 IN IP4 192.0.2.1");
        let same = session.answer(offer("sendrecv").as_bytes()).unwrap();
        assert_eq!(first.answer, same.answer);
        let hold = session.answer(offer("sendonly").as_bytes()).unwrap();
        assert_eq!(version(&hold), "o=callwright 7 4 IN IP4 192.0.2.1");
        assert!(session.answer(b"rubbish").is_err());
        let resumed = session.answer(offer("sendrecv").as_bytes()).unwrap();
        assert_eq!(version(&resumed), "o=callwright 7 5 IN IP4 192.0.2.1");
    }

    #[test]
    fn everything_that_is_offered_may_be_answered_and_then_sent() {
        let at = |port| LocalMedia { address: "192.0.2.1".parse().unwrap(), port, session_id: 7, session_version: 3 };
        let mut session = SdpSession::new(at(40000));
        let offer = String::from_utf8(session.offer(Direction::SendRecv)).unwrap();
        // A peer that takes it all says what we said.
        let agreed = session.accept_answer(offer.replace("40000", "41000").as_bytes()).unwrap();
        let offered = session.offered_formats().unwrap();
        for codec in Codec::ALL {
            let format = agreed.formats.receive.iter().flatten().find(|f| f.codec == codec);
            assert!(format.is_some(), "{codec:?} was offered and would not be heard");
            assert!(offered.receive.iter().flatten().any(|f| Some(f) == format), "{codec:?} before the answer");
        }
    }
}
