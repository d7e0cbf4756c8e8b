//! Hash functions of Digest (RFC 7616 §3.2, RFC 8760 §2). Purpose: `H` and the two ways to `A1`. MD5 is here because most
//! telephones know nothing else; the strongest that both sides speak is used.

use md5::Md5;
use sha2::{Digest, Sha256, Sha512_256};

/// An `algorithm` token.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Algorithm {
    /// `MD5`, also what a missing token means.
    Md5,
    /// `MD5-sess`.
    Md5Sess,
    /// `SHA-256`.
    Sha256,
    /// `SHA-256-sess`.
    Sha256Sess,
    /// `SHA-512-256`.
    Sha512T256,
    /// `SHA-512-256-sess`.
    Sha512T256Sess,
}

impl Algorithm {
    /// All, weakest first.
    pub const ALL: [Self; 6] =
        [Self::Md5, Self::Md5Sess, Self::Sha256, Self::Sha256Sess, Self::Sha512T256, Self::Sha512T256Sess];

    /// Reads a token, in any case.
    #[must_use]
    pub fn parse(token: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.token().as_bytes().eq_ignore_ascii_case(token))
    }

    /// The token.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Md5Sess => "MD5-sess",
            Self::Sha256 => "SHA-256",
            Self::Sha256Sess => "SHA-256-sess",
            Self::Sha512T256 => "SHA-512-256",
            Self::Sha512T256Sess => "SHA-512-256-sess",
        }
    }

    /// Whether `A1` has both nonces in it.
    #[must_use]
    pub const fn is_session(self) -> bool {
        matches!(self, Self::Md5Sess | Self::Sha256Sess | Self::Sha512T256Sess)
    }

    /// `H(part:part:…)` in lower-case hexadecimal.
    pub(super) fn hash(self, parts: &[&[u8]]) -> String {
        match self {
            Self::Md5 | Self::Md5Sess => joined::<Md5>(parts),
            Self::Sha256 | Self::Sha256Sess => joined::<Sha256>(parts),
            Self::Sha512T256 | Self::Sha512T256Sess => joined::<Sha512_256>(parts),
        }
    }

    /// `H(A1)`.
    pub(super) fn secret(self, username: &[u8], realm: &[u8], password: &[u8], nonce: &[u8], cnonce: &[u8]) -> String {
        let plain = self.hash(&[username, realm, password]);
        if self.is_session() { self.hash(&[plain.as_bytes(), nonce, cnonce]) } else { plain }
    }
}

fn joined<D: Digest>(parts: &[&[u8]]) -> String {
    let mut hash = D::new();
    for (n, part) in parts.iter().enumerate() {
        if n > 0 {
            hash.update(b":");
        }
        hash.update(part);
    }
    hexadecimal(&hash.finalize())
}

/// Lower-case hexadecimal.
pub(super) fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().flat_map(|b| [b >> 4, b & 15]).map(|n| char::from(b"0123456789abcdef"[usize::from(n)])).collect()
}
