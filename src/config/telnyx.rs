//! `[telnyx]`: calls by Telnyx's TeXML and media streams. Plain data. Invariant: what is written here can work, or is refused with
//! what to write instead. Deliberately absent: calls that we place there (a trunk of SIP does that), numbers and routes.

use super::ConfigError;
use super::twilio::is_base;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// Section `[telnyx]`. Without `public_key` no call is taken from there.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Telnyx {
    /// The account's public key as the portal shows it: 32 octets in base64. Nothing secret.
    pub public_key: Option<String>,
    /// Where Telnyx reaches this daemon: `https://phone.example.com`.
    pub public_url: Option<String>,
    /// How far the time of a webhook may be from ours, seconds.
    pub tolerance_s: u64,
}

impl Default for Telnyx {
    fn default() -> Self {
        Self { public_key: None, public_url: None, tolerance_s: 300 }
    }
}

impl Telnyx {
    /// The key that webhooks are signed with; `None`: none is written.
    ///
    /// # Errors
    /// It is no key.
    pub fn key(&self) -> Result<Option<[u8; 32]>, ConfigError> {
        let Some(text) = &self.public_key else { return Ok(None) };
        let octets = STANDARD.decode(text.trim()).ok().and_then(|octets| <[u8; 32]>::try_from(octets).ok());
        octets.map(Some).ok_or_else(|| ConfigError::Value {
            key: "telnyx.public_key",
            message: "write the public key as the portal shows it: 32 octets in base64, 44 characters".to_owned(),
        })
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let value = |key, message: &str| Err(ConfigError::Value { key, message: message.to_owned() });
        let url = self.public_url.as_ref();
        match self.key()? {
            None if url.is_some() => {
                value("telnyx.public_key", "nothing tells Telnyx from others: write its public key")
            }
            Some(_) if !url.is_some_and(|url| is_base(url)) => value(
                "telnyx.public_url",
                "write https://phone.example.com as Telnyx reaches it: its streams are sent there",
            ),
            _ if !(1..=3600).contains(&self.tolerance_s) => {
                value("telnyx.tolerance_s", "write seconds from 1 to 3600; Telnyx's own libraries have 300")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_it_is_refused() {
        let check = |text: &str| toml::from_str::<Telnyx>(text).unwrap().check().map_err(|error| error.to_string());
        let key = format!("public_key = \"{}\"\n", STANDARD.encode([7; 32]));
        let url = "public_url = \"https://phone.example.com\"\n";
        assert!(check("").is_ok() && check(&format!("{key}{url}")).is_ok());
        assert!(check(&key).unwrap_err().contains("telnyx.public_url"));
        assert!(check(url).unwrap_err().contains("telnyx.public_key"));
        assert!(check(&format!("public_key = \"AAAA\"\n{url}")).unwrap_err().contains("32 octets"));
        assert!(check("tolerance_s = 0").unwrap_err().contains("telnyx.tolerance_s"));
    }
}
