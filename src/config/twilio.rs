//! `[twilio]`: the account whose calls come by webhook and WebSocket. Invariants: a token is read at the start and printed by
//! nothing; what is written here can work, or is refused with what to write instead. Deliberately absent: numbers and routes
//! (`[[routes]]`), and the trunk that calls go out by (`[[trunks]]`, `kind = "twilio"`).

use super::{ConfigError, Secret, speech};
use crate::sip::peer::Network;
use serde::{Deserialize, Deserializer, Serialize};
use std::path::PathBuf;

/// Tokens that may be in force at once.
const TOKENS_MAX: usize = 4;

/// Section `[twilio]`. Without `account_sid` no call is taken from there.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Twilio {
    /// `AC…`, as the console shows it.
    pub account_sid: Option<String>,
    /// The account's token itself; better: a file that only the daemon may read.
    #[serde(skip_serializing, deserialize_with = "secret")]
    pub auth_token: Option<Secret>,
    /// File with the token; with two lines both are taken while they are changed, the first one is used for calls that we place.
    pub auth_token_file: Option<PathBuf>,
    /// Environment variable with the token.
    pub auth_token_env: Option<String>,
    /// Where Twilio reaches this daemon: `https://phone.example.com`. Without it the address is what a trusted proxy says, or
    /// the request itself.
    pub public_url: Option<String>,
    /// Networks of proxies whose `X-Forwarded-Proto` and `X-Forwarded-Host` are believed.
    pub trusted_proxies: Vec<Network>,
    /// Twilio's REST API.
    pub api_url: String,
}

impl Default for Twilio {
    fn default() -> Self {
        Self {
            account_sid: None,
            auth_token: None,
            auth_token_file: None,
            auth_token_env: None,
            public_url: None,
            trusted_proxies: Vec::new(),
            api_url: "https://api.twilio.com".to_owned(),
        }
    }
}

fn secret<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Secret>, D::Error> {
    Ok(Some(Secret::from(String::deserialize(d)?)))
}

impl Twilio {
    pub(super) fn check(&self, has_trunk: bool) -> Result<(), ConfigError> {
        let value = |key, message: &str| Err(ConfigError::Value { key, message: message.to_owned() });
        let is_sid = |sid: &String| (4..=64).contains(&sid.len()) && sid.bytes().all(|b| b.is_ascii_alphanumeric());
        let sources = [self.auth_token.is_some(), self.auth_token_file.is_some(), self.auth_token_env.is_some()];
        let sources = sources.into_iter().filter(|given| *given).count();
        let Some(sid) = &self.account_sid else {
            return match () {
                () if has_trunk => {
                    value("twilio.account_sid", "a trunk is of kind \"twilio\": write the account's SID, AC…")
                }
                () if sources > 0 => {
                    value("twilio.account_sid", "there is a token: write the account's SID as well, AC…")
                }
                () => Ok(()),
            };
        };
        match () {
            () if !is_sid(sid) => {
                value("twilio.account_sid", "write the SID as the console shows it, AC and 32 digits")
            }
            () if sources != 1 => value(
                "twilio.auth_token_file",
                "write one of auth_token_file, auth_token_env and auth_token: nothing else tells Twilio from others",
            ),
            () if self.public_url.as_ref().is_some_and(|url| !is_base(url)) => value(
                "twilio.public_url",
                "write https://phone.example.com as Twilio reaches it, a path before ours with it, nothing else",
            ),
            () if has_trunk && self.public_url.is_none() => value(
                "twilio.public_url",
                "calls that we place need it: write https://phone.example.com as Twilio reaches it",
            ),
            () if !is_base(&self.api_url) || !is_safe(&self.api_url) => value(
                "twilio.api_url",
                "write https://api.twilio.com; without encryption the token would be read on the way",
            ),
            () => Ok(()),
        }
    }

    /// The tokens, the one for our own requests first.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn tokens(&self, environment: impl Fn(&str) -> Option<String>) -> Result<Vec<Secret>, ConfigError> {
        let fault = |key, message: String| ConfigError::Value { key, message };
        let text = match (&self.auth_token_file, &self.auth_token_env, &self.auth_token) {
            (Some(path), ..) => speech::read_key(path)
                .map(Secret::from)
                .map_err(|error| fault("twilio.auth_token_file", error.to_string()))?,
            (None, Some(name), _) => environment(name)
                .filter(|value| !value.is_empty())
                .map(Secret::from)
                .ok_or_else(|| fault("twilio.auth_token_env", format!("the environment variable {name} is not set")))?,
            (None, None, Some(token)) => token.clone(),
            (None, None, None) => return Ok(Vec::new()),
        };
        let lines = text.expose().lines().map(str::trim).filter(|line| !line.is_empty());
        let tokens: Vec<Secret> = lines.map(|line| Secret::from(line.to_owned())).collect();
        let fits = |token: &Secret| token.expose().len() >= 8 && token.expose().bytes().all(|b| b.is_ascii_graphic());
        if tokens.is_empty() || tokens.len() > TOKENS_MAX || !tokens.iter().all(fits) {
            let message = "what is there is no token: write one a line, as the console shows it".to_owned();
            return Err(fault("twilio.auth_token_file", message));
        }
        Ok(tokens)
    }
}

/// `http(s)://host[:port][/path]`.
pub(super) fn is_base(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    matches!(scheme, "https" | "http")
        && !rest.is_empty()
        && !rest.starts_with(['/', ':'])
        && rest.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b'#' | b'@' | b'"' | b'<' | b'>' | b'\\'))
}

/// Encrypted, or within this network.
fn is_safe(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return true };
    let authority = rest.split('/').next().unwrap_or_default();
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    super::is_near(host.trim_matches(['[', ']']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(text: &str) -> Result<Twilio, String> {
        let twilio: Twilio = toml::from_str(text).map_err(|e| e.to_string())?;
        twilio.check(false).map_err(|e| e.to_string())?;
        Ok(twilio)
    }

    #[test]
    fn nothing_is_needed_and_half_of_it_is_refused() {
        assert!(section("").is_ok());
        assert!(section("account_sid = \"AC0123\"").unwrap_err().contains("auth_token_file"));
        assert!(section("auth_token = \"0123456789\"").unwrap_err().contains("account_sid"));
        assert!(section("account_sid = \"AC../x\"\nauth_token = \"0123456789\"").unwrap_err().contains("AC and 32"));
        let user = format!("https://{}@example.com", "me");
        for url in ["phone.example.com", "ftp://example.com", "https://", "https://example.com?b", &user] {
            let text = format!("account_sid = \"AC0123\"\nauth_token = \"0123456789\"\npublic_url = \"{url}\"");
            assert!(section(&text).unwrap_err().contains("public_url"), "{url}");
        }
        let plain = "account_sid = \"AC0123\"\nauth_token = \"0123456789\"\napi_url = \"http://api.example.com\"";
        assert!(section(plain).unwrap_err().contains("encryption"));
        assert!(section(&plain.replace("api.example.com", "127.0.0.1:99")).is_ok());
        let kind = Twilio::default().check(true).unwrap_err().to_string();
        assert!(kind.contains("kind"), "{kind}");
    }

    #[test]
    fn tokens_come_from_where_they_are_kept_and_are_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        std::fs::write(&file, "first-token\nsecond-token\n").unwrap();
        let twilio = Twilio { auth_token_file: Some(file.clone()), ..Twilio::default() };
        let tokens = twilio.tokens(|_| None).unwrap();
        assert_eq!(tokens.iter().map(Secret::expose).collect::<Vec<_>>(), ["first-token", "second-token"]);
        std::fs::write(&file, "a b\n").unwrap();
        assert!(twilio.tokens(|_| None).is_err());
        let by_name = Twilio { auth_token_env: Some("X".to_owned()), ..Twilio::default() };
        assert!(by_name.tokens(|_| None).unwrap_err().to_string().contains('X'));
        assert_eq!(by_name.tokens(|_| Some("0123456789".to_owned())).unwrap().len(), 1);
        let written = section("account_sid = \"AC0123\"\nauth_token = \"canary-token\"").unwrap();
        assert!(!format!("{written:?}").contains("canary") && !toml::to_string(&written).unwrap().contains("canary"));
    }
}
