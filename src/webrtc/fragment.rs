//! Fragments of descriptions, as browsers send them after their offer (RFC 8840, RFC 9725 section 4.3). Purpose: tell a mere
//! candidate from a restart, and answer the latter. Pure. Invariant: bounded by `limits`, no panic on input. Deliberately
//! absent: the candidates themselves: as ICE-lite we wait for the peer's checks, and learn by them where it is.

use crate::limits::{SDP_ATTRIBUTES_MAX, SIP_BODY_MAX};
use crate::sip::sdp::IceCredentials;
use crate::sip::sdp::dtls::candidate_values;
use std::net::SocketAddr;

/// Why a fragment is not taken; the client's fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FragmentError {
    /// Not lines of attributes.
    #[error("unreadable fragment: {0}")]
    Malformed(&'static str),
    /// More than anybody needs.
    #[error("the fragment has more lines than {SDP_ATTRIBUTES_MAX}, or is longer than {SIP_BODY_MAX} octets")]
    TooLong,
}

/// What a fragment says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fragment {
    /// The peer's, which tell the session that it is about.
    pub credentials: Option<IceCredentials>,
    /// Candidates in it.
    pub candidates: usize,
    /// The line that it is about.
    pub mid: Option<String>,
}

impl Fragment {
    /// Reads one.
    ///
    /// # Errors
    /// [`FragmentError`].
    pub fn parse(octets: &[u8]) -> Result<Self, FragmentError> {
        if octets.len() > SIP_BODY_MAX {
            return Err(FragmentError::TooLong);
        }
        let text = std::str::from_utf8(octets).map_err(|_| FragmentError::Malformed("not UTF-8"))?;
        let (mut ufrag, mut password, mut mid, mut candidates) = (None, None, None, 0);
        for (n, line) in text.lines().map(str::trim).filter(|line| !line.is_empty()).enumerate() {
            if n >= SDP_ATTRIBUTES_MAX {
                return Err(FragmentError::TooLong);
            }
            let Some(("a" | "m", value)) = line.split_once('=') else {
                return Err(FragmentError::Malformed("a line that is neither a= nor m="));
            };
            if line.starts_with('m') {
                continue;
            }
            match value.split_once(':') {
                Some(("ice-ufrag", value)) => ufrag = ufrag.or(Some(value.trim())),
                Some(("ice-pwd", value)) => password = password.or(Some(value.trim())),
                Some(("mid", value)) => mid = mid.or(Some(value.trim().to_owned())),
                Some(("candidate", value)) => {
                    if value.split_ascii_whitespace().count() < 8 {
                        return Err(FragmentError::Malformed("a candidate without its eight parts"));
                    }
                    candidates += 1;
                }
                _ => {}
            }
        }
        let credentials = match (ufrag, password) {
            (Some(ufrag), Some(password)) => Some(
                IceCredentials::new(ufrag, password)
                    .ok_or(FragmentError::Malformed("ICE credentials that cannot be read"))?,
            ),
            _ => None,
        };
        Ok(Self { credentials, candidates, mid })
    }

    /// Our answer to a restart.
    #[must_use]
    pub fn answer(ours: &IceCredentials, candidates: &[SocketAddr], mid: Option<&str>) -> String {
        let mut text = format!("a=ice-lite\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", ours.ufrag, ours.password);
        text.push_str("m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n");
        if let Some(mid) = mid.filter(|mid| mid.bytes().all(|b| b.is_ascii_graphic())) {
            text.push_str(&format!("a=mid:{mid}\r\n"));
        }
        for candidate in candidate_values(candidates) {
            text.push_str(&format!("a=candidate:{candidate}\r\n"));
        }
        text.push_str("a=end-of-candidates\r\n");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PASSWORD: &str = "x0123456789abcdefghijklmn";

    #[test]
    fn a_trickle_and_a_restart_are_told_apart() {
        let trickle = "a=ice-ufrag:EsAw\r\na=mid:0\r\na=candidate:1 1 udp 2130706431 198.51.100.7 50001 typ host\r\na=end-of-candidates\r\n";
        let read = Fragment::parse(trickle.as_bytes()).unwrap();
        assert_eq!((read.credentials, read.candidates, read.mid.as_deref()), (None, 1, Some("0")));
        let restart = format!("a=ice-ufrag:EsAw\r\na=ice-pwd:{PASSWORD}\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n");
        let read = Fragment::parse(restart.as_bytes()).unwrap();
        assert_eq!(read.credentials, IceCredentials::new("EsAw", PASSWORD));
        for bad in ["v=0\r\n", "rubbish", "a=candidate:1 1 udp\r\n", "a=ice-ufrag:x\r\na=ice-pwd:y\r\n"] {
            assert!(matches!(Fragment::parse(bad.as_bytes()), Err(FragmentError::Malformed(_))), "{bad}");
        }
        assert_eq!(Fragment::parse("a=x\r\n".repeat(SDP_ATTRIBUTES_MAX + 1).as_bytes()), Err(FragmentError::TooLong));
        let ours = IceCredentials::new("abcd", PASSWORD).unwrap();
        let answer = Fragment::answer(&ours, &["192.0.2.1:4000".parse().unwrap()], Some("0"));
        let back = Fragment::parse(answer.as_bytes()).unwrap();
        assert_eq!((back.credentials, back.candidates, back.mid.as_deref()), (Some(ours), 1, Some("0")));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Fragment::parse(&octets);
        }
    }
}
