//! `[webrtc.turn]`: a server that carries browsers' audio where UDP does not get through to us (RFC 8656). Purpose: which one, and
//! what browsers show it. Plain data. Invariant: a server without credentials is refused, since browsers refuse it. Deliberately
//! absent: making credentials (`webrtc::relay`), and TURN for ourselves, who have an address.

use super::ConfigError;
use super::speech::{self, Secret};
use serde::{Deserialize, Deserializer, Serialize};
use std::path::{Path, PathBuf};

/// Section `[webrtc.turn]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TurnServer {
    /// Its addresses, as browsers take them: `turn:turn.example.com:3478`, with `?transport=tcp` or as `turns:` too.
    pub urls: Vec<String>,
    /// What it shares with us (coturn: `use-auth-secret`, `static-auth-secret`): each page is given a name of its own for a while.
    #[serde(skip_serializing, deserialize_with = "secret")]
    pub secret: Option<Secret>,
    /// File with it; better.
    pub secret_file: Option<PathBuf>,
    /// Environment variable with it.
    pub secret_env: Option<String>,
    /// A name that all pages are given, where nothing is shared.
    pub username: Option<String>,
    /// Its password; whoever may call learns it.
    #[serde(skip_serializing, deserialize_with = "secret")]
    pub password: Option<Secret>,
    /// File with it.
    pub password_file: Option<PathBuf>,
    /// Environment variable with it.
    pub password_env: Option<String>,
    /// Names that are made of `secret` are good for so long.
    pub ttl_s: u64,
    /// Browsers send by this server alone, and try nothing else.
    pub only: bool,
}

impl Default for TurnServer {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            secret: None,
            secret_file: None,
            secret_env: None,
            username: None,
            password: None,
            password_file: None,
            password_env: None,
            ttl_s: 12 * 3600,
            only: false,
        }
    }
}

/// What is shown to the server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TurnAccess {
    /// A name and its password, made of this for each page.
    Shared(Secret),
    /// The same for all.
    Fixed {
        /// The name.
        username: String,
        /// Its password.
        password: Secret,
    },
}

fn secret<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Secret>, D::Error> {
    Ok(Some(Secret::from(String::deserialize(d)?)))
}

impl TurnServer {
    /// Addresses, at most: a browser asks each of them.
    const URLS_MAX: usize = 8;

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let value = |key, message: &str| Err(ConfigError::Value { key, message: message.to_owned() });
        let given = |all: [bool; 3]| all.into_iter().filter(|one| *one).count();
        let shared = given([self.secret.is_some(), self.secret_file.is_some(), self.secret_env.is_some()]);
        let fixed = given([self.password.is_some(), self.password_file.is_some(), self.password_env.is_some()]);
        let is_url = |url: &String| {
            let rest = url.strip_prefix("turn:").or(url.strip_prefix("turns:"));
            rest.is_some_and(|rest| {
                !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic()) && !rest.starts_with('/')
            })
        };
        match () {
            () if self.urls.is_empty() && shared + fixed == 0 && self.username.is_none() && !self.only => Ok(()),
            () if self.urls.is_empty() || self.urls.len() > Self::URLS_MAX || !self.urls.iter().all(is_url) => {
                value("webrtc.turn.urls", "write up to 8 like \"turn:turn.example.com:3478\"")
            }
            () if shared + fixed != 1 || self.username.is_some() != (fixed == 1) => value(
                "webrtc.turn.secret_file",
                "write one of secret_file, secret_env and secret, as the server has it (coturn: static-auth-secret), or \
                 username with one of password_file, password_env and password: browsers use no TURN server without",
            ),
            () if !(60..=7 * 24 * 3600).contains(&self.ttl_s) => {
                value("webrtc.turn.ttl_s", "write seconds from 60 to 604800, longer than a call lasts")
            }
            () => Ok(()),
        }
    }

    /// What is shown to the server; `None`: there is none.
    ///
    /// # Errors
    /// The secret cannot be read.
    pub fn access(&self, environment: impl Fn(&str) -> Option<String>) -> Result<Option<TurnAccess>, ConfigError> {
        if self.urls.is_empty() {
            return Ok(None);
        }
        let read = |key, file: Option<&Path>, variable: Option<&str>, written: Option<&Secret>| {
            let fault = |message: String| ConfigError::Value { key, message };
            let text = match (file, variable, written) {
                (Some(path), ..) => Secret::from(speech::read_key(path).map_err(|error| fault(error.to_string()))?),
                (None, Some(name), _) => environment(name)
                    .map(Secret::from)
                    .ok_or_else(|| fault(format!("the environment variable {name} is not set")))?,
                (None, None, Some(written)) => written.clone(),
                (None, None, None) => Secret::from(String::new()),
            };
            let line = Secret::from(text.expose().trim().to_owned());
            match line.expose().is_empty() || line.expose().chars().any(char::is_control) {
                true => Err(fault("what is there is none: it must be one line of text".to_owned())),
                false => Ok(line),
            }
        };
        Ok(Some(match &self.username {
            Some(username) => TurnAccess::Fixed {
                username: username.clone(),
                password: read(
                    "webrtc.turn.password_file",
                    self.password_file.as_deref(),
                    self.password_env.as_deref(),
                    self.password.as_ref(),
                )?,
            },
            None => TurnAccess::Shared(read(
                "webrtc.turn.secret_file",
                self.secret_file.as_deref(),
                self.secret_env.as_deref(),
                self.secret.as_ref(),
            )?),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "urls = [\"turn:t.example:3478?transport=udp\", \"turns:t.example\"]\n";

    fn server(text: &str) -> Result<TurnServer, String> {
        let server: TurnServer = toml::from_str(text).map_err(|e| e.to_string())?;
        server.check().map_err(|e| e.to_string()).map(|()| server)
    }

    #[test]
    fn a_server_needs_an_address_and_one_way_in() {
        assert_eq!(server("").unwrap().access(|_| None).unwrap(), None);
        let by = |text: &str| server(&format!("{URL}{text}"));
        let shared = by("secret = \"north\"").unwrap().access(|_| None).unwrap();
        assert_eq!(shared, Some(TurnAccess::Shared(Secret::from("north".to_owned()))));
        let fixed = by("username = \"us\"\npassword_env = \"PW\"").unwrap();
        let (username, password) = ("us".to_owned(), Secret::from("pass word".to_owned()));
        assert_eq!(
            fixed.access(|_| Some("pass word\n".to_owned())).unwrap(),
            Some(TurnAccess::Fixed { username, password })
        );
        assert!(fixed.access(|_| None).unwrap_err().to_string().contains("PW"));
        assert!(
            by("secret_file = \"/nowhere/x\"")
                .unwrap()
                .access(|_| None)
                .unwrap_err()
                .to_string()
                .contains("/nowhere/x")
        );
        for (bad, key) in [
            ("", "secret_file"),
            ("secret = \"a\"\nsecret_env = \"B\"", "secret_file"),
            ("secret = \"a\"\nusername = \"b\"", "secret_file"),
            ("username = \"b\"", "secret_file"),
            ("password = \"b\"", "secret_file"),
            ("secret = \"a\"\nttl_s = 1", "ttl_s"),
        ] {
            assert!(by(bad).unwrap_err().contains(key), "{bad}");
        }
        for bad in [
            "secret = \"a\"",
            "only = true",
            "urls = [\"stun:x\"]\nsecret = \"a\"",
            "urls = [\"turn:\"]\nsecret = \"a\"",
        ] {
            assert!(server(bad).unwrap_err().contains("urls"), "{bad}");
        }
        let shown = format!(
            "{:?} {}",
            by("secret = \"north\"").unwrap(),
            toml::to_string(&by("secret = \"north\"").unwrap()).unwrap()
        );
        assert!(!shown.contains("north"), "{shown}");
    }
}
