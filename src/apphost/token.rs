//! Proof that a form was shown by this app. Purpose: a page of another origin cannot submit our forms (OWASP CSRF
//! prevention, signed double submit). Pure but for the secret's making. Invariant: a token is valid only beside the
//! cookie that it was made for, and only until the process ends.

use sha2::{Digest, Sha256};

/// Octets of the random part of a cookie.
const COOKIE_OCTETS: usize = 16;

/// The process's secret.
pub(super) struct Tokens {
    secret: [u8; 32],
    cookie_name: String,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").field("cookie_name", &self.cookie_name).finish_non_exhaustive()
    }
}

impl Tokens {
    /// A fresh secret. Cookies do not know ports, so the app's slug is in the cookie's name.
    pub(super) fn new(slug: &str) -> Result<Self, getrandom::Error> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        Ok(Self { secret, cookie_name: format!("form_{slug}") })
    }

    pub(super) fn cookie_name(&self) -> &str {
        &self.cookie_name
    }

    /// A new cookie value.
    pub(super) fn fresh(&self) -> String {
        let mut octets = [0; COOKIE_OCTETS];
        // Only fails where the system call is missing, which `new` would have met.
        if getrandom::fill(&mut octets).is_err() {
            return String::new();
        }
        hex(&octets)
    }

    /// Whether `cookie` could be one of ours.
    pub(super) fn is_cookie(cookie: &str) -> bool {
        cookie.len() == COOKIE_OCTETS * 2 && cookie.bytes().all(|b| b.is_ascii_hexdigit())
    }

    /// The token that goes with `cookie`.
    pub(super) fn token(&self, cookie: &str) -> String {
        // Both parts have a fixed length, so nothing can be appended.
        hex(&Sha256::new().chain_update(self.secret).chain_update(cookie).finalize())
    }

    /// Whether `token` goes with `cookie`; takes the same time for every wrong one.
    pub(super) fn accepts(&self, cookie: Option<&str>, token: Option<&str>) -> bool {
        let (Some(cookie), Some(token)) = (cookie, token) else { return false };
        Self::is_cookie(cookie) && same(&self.token(cookie), token)
    }

    /// A name for the browser that holds `cookie`, the same for as long as it keeps it.
    pub(super) fn visitor(cookie: &str) -> String {
        hex(&Sha256::new().chain_update("visitor").chain_update(cookie).finalize())
    }
}

/// Whether two texts are the same; takes the same time for every wrong one of the right length.
pub(super) fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

pub(super) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_belongs_to_one_cookie_of_one_process() {
        let (ours, other) = (Tokens::new("crm").unwrap(), Tokens::new("crm").unwrap());
        let (a, b) = (ours.fresh(), ours.fresh());
        assert!(ours.accepts(Some(&a), Some(&ours.token(&a))));
        assert!(!ours.accepts(Some(&b), Some(&ours.token(&a))));
        assert!(!ours.accepts(Some(&a), Some(&other.token(&a))));
        assert!(!ours.accepts(Some(&a), Some("")));
        assert!(!ours.accepts(None, Some(&ours.token(&a))));
        assert!(!ours.accepts(Some(""), Some(&ours.token(""))));
    }
}
