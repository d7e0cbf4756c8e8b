//! One call's descriptions over its life. Purpose: the `o=` version goes up exactly when what we say changes (RFC 3264 §8),
//! so that a session refresh is answered with the very same octets.

use super::{Codec, Direction, LocalMedia, Negotiated, SdpError, build_offer_of, negotiate, parse_answer};

/// Our side of the offer/answer exchanges of one call.
#[derive(Debug)]
pub struct SdpSession {
    local: LocalMedia,
    last: Option<Vec<u8>>,
}

impl SdpSession {
    /// Starts with nothing said yet; `local.session_version` is the first version.
    #[must_use]
    pub const fn new(local: LocalMedia) -> Self {
        Self { local, last: None }
    }

    /// Our end.
    #[must_use]
    pub const fn local(&self) -> &LocalMedia {
        &self.local
    }

    /// Answers an offer; see [`negotiate()`].
    ///
    /// # Errors
    /// As [`negotiate()`]; what was agreed before stays valid (RFC 3264 §8).
    pub fn answer(&mut self, offer: &[u8]) -> Result<Negotiated, SdpError> {
        let mut negotiated = negotiate(offer, &self.local)?;
        if self.last.as_ref().is_some_and(|last| *last != negotiated.answer) {
            self.local.session_version += 1;
            negotiated = negotiate(offer, &self.local)?;
        }
        self.last = Some(negotiated.answer.clone());
        Ok(negotiated)
    }

    /// Makes an offer of both laws; see [`build_offer_of`].
    pub fn offer(&mut self, direction: Direction) -> Vec<u8> {
        self.offer_of(&[Codec::Pcmu, Codec::Pcma], direction)
    }

    /// Makes an offer of these codecs, the preferred one first; see [`build_offer_of`].
    pub fn offer_of(&mut self, codecs: &[Codec], direction: Direction) -> Vec<u8> {
        let mut offer = build_offer_of(&self.local, codecs, direction);
        if self.last.as_ref().is_some_and(|last| *last != offer) {
            self.local.session_version += 1;
            offer = build_offer_of(&self.local, codecs, direction);
        }
        self.last = Some(offer.clone());
        offer
    }

    /// Reads the answer to our offer; see [`parse_answer`].
    ///
    /// # Errors
    /// As [`parse_answer`].
    pub fn accept_answer(&self, answer: &[u8]) -> Result<Negotiated, SdpError> {
        parse_answer(answer, &self.local)
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
}
