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
    /// Codecs of the description of ours that an answer may come to.
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
        // A refresh of the session offers what was said last, which is this (RFC 4028 §7.4).
        self.offered = vec![agreed.formats.send.codec];
        self.offered_noise = agreed.formats.comfort_noise.is_some();
        self.ring.stand_on(agreed.keys.is_some(), agreed.dtls.is_some());
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

    /// Reads the answer to our last description, be that an offer or an answer that a refresh has offered; see [`parse_answer`](super::parse_answer).
    ///
    /// # Errors
    /// As [`parse_answer`](super::parse_answer).
    pub fn accept_answer(&mut self, answer: &[u8]) -> Result<Negotiated, SdpError> {
        accept(answer, &self.local, &self.offered, &mut self.numbers, &mut self.ring, self.offered_noise)
    }
}

/// What a session said before it stood in for another.
pub struct Standing {
    local: LocalMedia,
    preference: Preference,
    numbers: Numbers,
    offered: (Vec<Codec>, bool),
    ring: KeyRing,
    last: Option<Vec<u8>>,
}

impl fmt::Debug for Standing {
    /// Without what was said, which may hold a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standing").field("local", &self.local).finish_non_exhaustive()
    }
}

impl SdpSession {
    /// From now on it is described to a peer that knows another session of ours, whose id and version are these (RFC 3264 §8);
    /// with keys of its own where `protected`, and in the clear otherwise. Gives what there was, for [`SdpSession::stand_back`].
    pub fn stand_in(&mut self, session_id: u64, session_version: u64, protected: bool) -> Standing {
        let fresh = self.ring.afresh();
        let before = Standing {
            local: self.local,
            preference: self.preference.clone(),
            numbers: std::mem::replace(&mut self.numbers, Numbers::new()),
            offered: (std::mem::take(&mut self.offered), self.offered_noise),
            ring: std::mem::replace(&mut self.ring, fresh),
            last: self.last.take(),
        };
        self.local = LocalMedia { session_id, session_version: session_version + 1, ..self.local };
        self.preference = self
            .preference
            .clone()
            .protecting(if protected { Srtp::Require } else { Srtp::Off })
            .with_comfort_noise(false);
        before
    }

    /// It stands for what it stood for before.
    pub fn stand_back(&mut self, before: Standing) {
        (self.local, self.preference, self.numbers) = (before.local, before.preference, before.numbers);
        ((self.offered, self.offered_noise), self.ring, self.last) = (before.offered, before.ring, before.last);
    }

    /// What is said next is newer than what another session has said in this one's name.
    pub const fn skip_versions(&mut self) {
        self.local.session_version += 8;
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

    /// Our answer is what we offer when the session is refreshed, and the peer may have moved, hold us or have new keys then.
    #[test]
    fn what_was_answered_may_be_answered_again_after_a_refresh() {
        let local =
            LocalMedia { address: "192.0.2.1".parse().unwrap(), port: 40000, session_id: 7, session_version: 3 };
        let theirs = |port: u16, number: u8, dir: &str, more: &str| {
            let profile = if more.is_empty() { "AVP" } else { "SAVP" };
            format!(
                "v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\ns=-\r\nc=IN IP4 1.1.1.1\r\nt=0 0\r\nm=audio {port} RTP/{profile} {number} 101\r\n\
                 a=rtpmap:101 telephone-event/8000\r\n{more}a={dir}\r\n"
            )
        };
        let mut session = SdpSession::new(local);
        session.answer(theirs(4000, 8, "sendrecv", "").as_bytes()).unwrap();
        let moved = session.accept_answer(theirs(4002, 8, "sendonly", "").as_bytes()).unwrap();
        assert_eq!((moved.remote.port(), moved.direction.sends()), (4002, false));
        assert_eq!(moved.formats.send.codec, Codec::Pcma);
        assert!(session.accept_answer(theirs(4002, 0, "sendrecv", "").as_bytes()).is_err(), "that was not offered");
        let key = |fill: char| format!("a=crypto:7 AES_CM_128_HMAC_SHA1_80 inline:{}\r\n", fill.to_string().repeat(40));
        let mut secured = SdpSession::preferring(local, Preference::default().protecting(Srtp::Answer))
            .drawing(|octets| octets.fill(3));
        let first = secured.answer(theirs(4000, 8, "sendrecv", &key('A')).as_bytes()).unwrap().keys.unwrap();
        let after = secured.accept_answer(theirs(4002, 8, "sendrecv", &key('B')).as_bytes()).unwrap().keys.unwrap();
        assert_eq!(after.ours, first.ours);
        assert_ne!(after.theirs, first.theirs);
        assert!(secured.accept_answer(theirs(4002, 8, "sendrecv", "").as_bytes()).is_err(), "never in the clear");
    }

    /// Another call's peer knows another session of ours: what it is offered is that one's next version, with keys that nobody else
    /// has, and what was said before comes back where it does not agree.
    #[test]
    fn a_session_stands_in_for_another_and_back() {
        let local =
            LocalMedia { address: "192.0.2.1".parse().unwrap(), port: 40000, session_id: 7, session_version: 3 };
        let mut session = SdpSession::new(local).drawing(|octets| octets.fill(5));
        let first = session.offer(Direction::SendRecv);
        let before = session.stand_in(99, 20, false);
        let offer = String::from_utf8(session.offer(Direction::SendRecv)).unwrap();
        assert!(offer.contains("o=callwright 99 21 IN IP4 192.0.2.1\r\n") && offer.contains(" RTP/AVP "), "{offer}");
        session.stand_back(before);
        assert_eq!(session.offer(Direction::SendRecv), first, "nothing has changed");
        session.stand_in(99, 20, true);
        let offer = String::from_utf8(session.offer(Direction::SendRecv)).unwrap();
        assert!(offer.contains(" RTP/SAVP ") && offer.contains("a=crypto:"), "{offer}");
        session.skip_versions();
        let later = String::from_utf8(session.offer(Direction::SendOnly)).unwrap();
        assert!(later.contains("o=callwright 99 30 IN"), "{later}");
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
