//! A provider's key. Purpose: nothing prints it, and it is wiped when it is no longer needed. Any thread. Invariant: one
//! line of visible ASCII, so it always fits into a header. Deliberately absent: keys in the configuration file itself.
//!
//! The HTTP client copies the key into the headers of each request; those copies live as long as the request and are
//! marked sensitive, but are not wiped.

use reqwest::header::HeaderValue;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// No key is longer.
const KEY_OCTETS_MAX: u64 = 4096;

/// Why there is no key. The operator's to mend; retrying is useless.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Neither file nor variable.
    #[error("no key: set {section}.api_key_file to a file that holds it, or the variable {variable}")]
    Missing {
        /// Section of the configuration, e.g. `providers.deepgram`.
        section: String,
        /// Variable of the environment.
        variable: &'static str,
    },
    /// The file cannot be read.
    #[error("cannot read the key file {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Empty, several lines, or not text.
    #[error("what {from} holds is no key: it must be one line of visible ASCII")]
    Malformed {
        /// File or variable.
        from: String,
    },
}

/// A key. Its `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// Takes a key; blanks around it are dropped, the given string is wiped. `from` is for the message.
    ///
    /// # Errors
    /// [`SecretError::Malformed`].
    pub fn new(text: String, from: &str) -> Result<Self, SecretError> {
        let text = Zeroizing::new(text);
        let key = text.trim();
        if key.is_empty() || key.len() as u64 > KEY_OCTETS_MAX || !key.bytes().all(|octet| octet.is_ascii_graphic()) {
            return Err(SecretError::Malformed { from: from.to_owned() });
        }
        Ok(Self(Zeroizing::new(key.to_owned())))
    }

    /// The key from `file`, else from the environment.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn read(file: Option<&Path>, section: &str, variable: &'static str) -> Result<Self, SecretError> {
        let Some(path) = file else {
            return match std::env::var(variable) {
                Ok(text) if !text.trim().is_empty() => Self::new(text, &format!("the variable {variable}")),
                _ => Err(SecretError::Missing { section: section.to_owned(), variable }),
            };
        };
        let failed = |source| SecretError::File { path: path.to_owned(), source };
        let file = std::fs::File::open(path).map_err(failed)?;
        // Room at once, so that growing leaves no copies behind.
        let mut octets = Zeroizing::new(Vec::with_capacity(KEY_OCTETS_MAX as usize + 2));
        file.take(KEY_OCTETS_MAX + 1).read_to_end(&mut octets).map_err(failed)?;
        let text = str::from_utf8(&octets).unwrap_or_default().to_owned();
        Self::new(text, &path.display().to_string())
    }

    /// The value of a header: `prefix` and the key, marked sensitive.
    pub(super) fn header(&self, prefix: &str) -> HeaderValue {
        let text = Zeroizing::new(format!("{prefix}{}", self.0.as_str()));
        let mut value = HeaderValue::from_str(&text).expect("a key is visible ASCII");
        value.set_sensitive(true);
        value
    }

    /// `text` without the key, should a server have sent it back.
    pub(super) fn redact(&self, text: &str) -> String {
        text.replace(self.0.as_str(), "…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_prints_the_key() {
        let secret = Secret::new("  sk-abc \n".into(), "a test").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_eq!(format!("{:?}", secret.header("Bearer ")), "Sensitive");
        assert_eq!(secret.header("Bearer ").to_str().unwrap(), "Bearer sk-abc");
        assert_eq!(secret.redact("Incorrect API key provided: sk-abc."), "Incorrect API key provided: ….");
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_shown() {
        for text in ["", " \n", "two words", "line\nline", "schlüssel", &"x".repeat(5000)] {
            let error = Secret::new(text.into(), "/etc/key").unwrap_err().to_string();
            assert_eq!(error, "what /etc/key holds is no key: it must be one line of visible ASCII");
        }
    }

    #[test]
    fn keys_are_read_from_files_and_a_missing_one_is_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        std::fs::write(&path, "abc123\n").unwrap();
        let secret = Secret::read(Some(&path), "providers.deepgram", "CALLWRIGHT_TEST_NO_KEY").unwrap();
        assert_eq!(secret.header("").to_str().unwrap(), "abc123");
        std::fs::write(&path, vec![b'a'; 100_000]).unwrap();
        assert!(matches!(
            Secret::read(Some(&path), "providers.deepgram", "CALLWRIGHT_TEST_NO_KEY"),
            Err(SecretError::Malformed { .. })
        ));
        let error = Secret::read(None, "providers.deepgram", "CALLWRIGHT_TEST_NO_KEY").unwrap_err().to_string();
        assert!(error.contains("providers.deepgram.api_key_file"), "{error}");
        assert!(error.contains("CALLWRIGHT_TEST_NO_KEY"), "{error}");
        let error = Secret::read(Some(&directory.path().join("none")), "x", "Y").unwrap_err().to_string();
        assert!(error.starts_with("cannot read the key file"), "{error}");
    }
}
