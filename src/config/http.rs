//! What an operator decides about the control API: where it listens, and who may use it.
//!
//! Invariant: a token is long enough that guessing is hopeless, and printed by nothing. Deliberately absent: checking requests
//! (`api`).

use super::{ConfigError, Secret, sip, speech};
use serde::{Deserialize, Deserializer, Serialize};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Characters of a token at least: guessing at ten a minute is hopeless from a quarter of this on.
const TOKEN_MIN: usize = 16;
/// Characters of a token at most.
const TOKEN_MAX: usize = 512;

/// Section `[http]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Control API. An address that others reach needs a token.
    pub listen: SocketAddr,
    /// The same by TLS: browsers give a page the microphone on `localhost` and by HTTPS only.
    #[serde(deserialize_with = "sip::one_or_many")]
    pub tls_listen: Vec<SocketAddr>,
    /// Its certificate with the chain, PEM; by default one that we make and sign at the first start.
    pub certificate: Option<PathBuf>,
    /// The certificate's private key, PEM.
    pub key: Option<PathBuf>,
    /// Every request must bear it (`Authorization: Bearer …`); without one the API answers on loopback only.
    #[serde(skip_serializing, deserialize_with = "token")]
    pub token: Option<Secret>,
    /// A file with the token and nothing else.
    pub token_file: Option<PathBuf>,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            tls_listen: Vec::new(),
            certificate: None,
            key: None,
            token: None,
            token_file: None,
        }
    }
}

fn token<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Secret>, D::Error> {
    Ok(Some(Secret::from(String::deserialize(d)?)))
}

impl Http {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let value = |key, message: String| Err(ConfigError::Value { key, message });
        if self.token.is_some() && self.token_file.is_some() {
            return value("http.token", "there is a token_file as well: write one of them".to_owned());
        }
        if let Some(token) = &self.token {
            check_token(token.expose(), "http.token")?;
        }
        if self.certificate.is_some() != self.key.is_some() {
            return value("http.certificate", "certificate and key belong together: write both or neither".to_owned());
        }
        if self.certificate.is_some() && self.tls_listen.is_empty() {
            return value("http.certificate", "nothing shows it: write tls_listen = \"0.0.0.0:8443\" too".to_owned());
        }
        let guarded = self.token.is_some() || self.token_file.is_some();
        let first = [("http.listen", self.listen)];
        let all = first.into_iter().chain(self.tls_listen.iter().map(|address| ("http.tls_listen", *address)));
        match all.into_iter().find(|(_, address)| !guarded && !address.ip().is_loopback()) {
            None => Ok(()),
            Some((key, address)) => value(
                key,
                format!(
                    "{address} is reachable by others, and nothing tells friend from foe: write token_file = \"/etc/callwright/http.token\" \
                     (with at least {TOKEN_MIN} random characters in it, as of `openssl rand -hex 32`), or listen on loopback, 127.0.0.1:{}",
                    address.port()
                ),
            ),
        }
    }

    /// The token that requests must bear, read from its file if need be; `None`: anybody on this machine may use the API.
    ///
    /// # Errors
    /// The file cannot be read, or holds no token.
    pub fn access_token(&self) -> Result<Option<Secret>, ConfigError> {
        let Some(path) = &self.token_file else { return Ok(self.token.clone()) };
        let text = speech::read_key(path)
            .map(Secret::from)
            .map_err(|error| ConfigError::Value { key: "http.token_file", message: error.to_string() })?;
        let token = text.expose().trim();
        check_token(token, "http.token_file")?;
        Ok(Some(Secret::from(token.to_owned())))
    }
}

/// RFC 6750 section 2.1: what a field value can carry behind "Bearer".
fn check_token(token: &str, key: &'static str) -> Result<(), ConfigError> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=');
    if (TOKEN_MIN..=TOKEN_MAX).contains(&token.len()) && token.bytes().all(fits) {
        return Ok(());
    }
    let message = format!(
        "a token is {TOKEN_MIN} to {TOKEN_MAX} letters, digits and -._~+/= without spaces; make one with `openssl rand -hex 32`"
    );
    Err(ConfigError::Value { key, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Http, String> {
        let http: Http = toml::from_str(text).map_err(|e| e.to_string())?;
        http.check().map(|()| http).map_err(|e| e.to_string())
    }

    #[test]
    fn others_are_let_in_by_token_only() {
        for listen in ["0.0.0.0:8080", "[::]:8080", "192.0.2.1:80"] {
            let error = of(&format!("listen = \"{listen}\"")).unwrap_err();
            assert!(error.contains("token_file") && error.contains("loopback"), "{error}");
            assert!(of(&format!("listen = \"{listen}\"\ntoken = \"0123456789abcdef\"")).is_ok());
        }
        assert!(of("listen = \"127.0.0.1:1\"").is_ok() && of("listen = \"[::1]:1\"").is_ok());
        for weak in ["short", "with spaces in the middle", "naïve-naïve-naïve-naïve"] {
            assert!(of(&format!("token = \"{weak}\"")).unwrap_err().contains("openssl"), "{weak}");
        }
        assert!(of("token = \"0123456789abcdef\"\ntoken_file = \"x\"").is_err());
    }

    #[test]
    fn https_is_for_others_by_token_only_and_has_a_whole_certificate() {
        let error = of("tls_listen = \"0.0.0.0:8443\"").unwrap_err();
        assert!(
            error.contains("tls_listen") && error.contains("0.0.0.0:8443") && error.contains("token_file"),
            "{error}"
        );
        let http = of("tls_listen = [\"127.0.0.1:1\", \"[::1]:1\"]").unwrap();
        assert_eq!(http.tls_listen.len(), 2);
        assert!(of("tls_listen = \"[::]:8443\"\ntoken = \"0123456789abcdef\"").is_ok());
        assert!(of("tls_listen = \"[::1]:1\"\ncertificate = \"c.pem\"").unwrap_err().contains("belong together"));
        assert!(of("certificate = \"c.pem\"\nkey = \"k.pem\"").unwrap_err().contains("tls_listen"));
    }

    #[test]
    fn a_token_is_never_written_out() {
        let http = of("token = \"0123456789abcdef\"").unwrap();
        assert!(!toml::to_string(&http).unwrap().contains("0123456789abcdef"));
        assert!(!format!("{http:?}").contains("0123456789abcdef"));
        assert_eq!(http.access_token().unwrap().unwrap().expose(), "0123456789abcdef");
    }

    #[test]
    fn a_token_comes_from_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        let http = Http { token_file: Some(file.clone()), ..Http::default() };
        assert!(http.access_token().unwrap_err().to_string().contains("token"));
        std::fs::write(&file, "short\n").unwrap();
        assert!(http.access_token().is_err());
        std::fs::write(&file, "0123456789abcdef\n").unwrap();
        assert_eq!(http.access_token().unwrap().unwrap().expose(), "0123456789abcdef");
    }
}
