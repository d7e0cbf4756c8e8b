//! A provider's key on its way into a request. Purpose: the one place that shows a key, and the one that hides it again.
//! Deliberately absent: where keys come from (`config`).
//!
//! The HTTP client copies the key into the headers of each request; those copies are marked sensitive, and live as long
//! as the request, but are not wiped.

use crate::config::Secret;
use reqwest::header::HeaderValue;
use zeroize::Zeroizing;

/// The value of a header: `prefix` and the key; `Debug` shows nothing of it.
pub(super) fn header(key: &Secret, prefix: &str) -> HeaderValue {
    let text = Zeroizing::new(format!("{prefix}{}", key.expose()));
    // A key is visible ASCII (`config::Providers::key`); what is none is refused by the provider, which is then said.
    let mut value = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

/// `text` without the key, should a server have sent it back.
pub(super) fn redact(key: &Secret, text: &str) -> String {
    if key.expose().is_empty() { text.to_owned() } else { text.replace(key.expose(), "…") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_prints_the_key() {
        let key = Secret::from("sk-abc".to_owned());
        assert_eq!(format!("{:?}", header(&key, "Bearer ")), "Sensitive");
        assert_eq!(header(&key, "Bearer ").to_str().unwrap(), "Bearer sk-abc");
        assert_eq!(redact(&key, "Incorrect API key provided: sk-abc."), "Incorrect API key provided: ….");
        let broken = Secret::from("two\nlines".to_owned());
        assert_eq!(header(&broken, "").to_str().unwrap(), "");
    }
}
