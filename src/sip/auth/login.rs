//! Who somebody is: user name, password, and the realm in which they hold. Purpose: a password that no log, `Debug` or
//! serialiser can print, and that is wiped when it goes.

use std::fmt;

use zeroize::Zeroize;

/// A shared secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Takes it over; the caller's copy is its own to wipe.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(super) fn octets(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

impl Drop for Password {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// What answers a challenge.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Login {
    /// User name for authentication; need not be the user of any URI.
    pub username: String,
    /// Password.
    pub password: Password,
    /// The only realm that it is used for; `None`: whichever the configured peer names.
    pub realm: Option<String>,
}

impl Login {
    /// Whether it answers challenges of this realm.
    #[must_use]
    pub fn holds_in(&self, realm: &[u8]) -> bool {
        self.realm.as_ref().is_none_or(|only| only.as_bytes() == realm)
    }
}
