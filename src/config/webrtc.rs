//! `[webrtc]`: calls from browsers. Purpose: who may call, whom they reach, and where our audio is reached. Plain data.
//! Invariant: nobody without a token calls any other number than the one that is written here. Deliberately absent: HTTPS,
//! and checking requests (`api`).

use super::{ConfigError, TurnServer};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// Section `[webrtc]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebRtc {
    /// Browsers may call.
    pub enabled: bool,
    /// The number that a browser calls which asks for none.
    pub number: String,
    /// Address that browsers on our network send audio to; by default the one that the kernel uses towards the caller. Behind
    /// a proxy on this machine it has to be written.
    pub address: Option<IpAddr>,
    /// Address that browsers elsewhere send audio to, when they reach us through a NAT.
    pub public_address: Option<IpAddr>,
    /// The one UDP port that all calls of browsers share; without it each has one of `[rtp] ports`.
    pub udp_port: Option<u16>,
    /// STUN servers that pages tell their browsers, as URLs; none by default, nothing leaves the house.
    pub ice_servers: Vec<String>,
    /// A server that carries browsers' audio where UDP does not get through.
    pub turn: TurnServer,
    /// Origins of pages elsewhere that may call (`https://www.example.com`); our own always may.
    pub origins: Vec<String>,
    /// Numbers that ring at pages alone; those of `[[extensions]]` do so beside telephones.
    pub phones: Vec<String>,
    /// Whoever reaches the API may call `number`, without a token: for a page that visitors call from.
    pub allow_anonymous: bool,
}

impl Default for WebRtc {
    fn default() -> Self {
        Self {
            enabled: true,
            number: "browser".to_owned(),
            address: None,
            public_address: None,
            udp_port: None,
            ice_servers: Vec::new(),
            turn: TurnServer::default(),
            origins: Vec::new(),
            phones: Vec::new(),
            allow_anonymous: false,
        }
    }
}

impl WebRtc {
    /// Characters of a number that a browser calls, at most.
    pub const NUMBER_MAX: usize = 64;
    /// Entries of `phones`.
    const PHONES_MAX: usize = 1000;

    /// Whether a browser can ask for it: a user of a SIP URI that needs no escapes.
    #[must_use]
    pub fn is_number(text: &str) -> bool {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'*' | b'#' | b'-' | b'_' | b'.');
        (1..=Self::NUMBER_MAX).contains(&text.len()) && text.bytes().all(fits)
    }

    /// `rtp`: ports of telephones.
    pub(super) fn check(&self, rtp: RangeInclusive<u16>) -> Result<(), ConfigError> {
        let value = |key, message: String| Err(ConfigError::Value { key, message });
        if !Self::is_number(&self.number) {
            return value(
                "webrtc.number",
                format!(
                    "{:?} is no number; write letters, digits and +*#-_., at most {}",
                    self.number,
                    Self::NUMBER_MAX
                ),
            );
        }
        if self.phones.len() > Self::PHONES_MAX {
            return value("webrtc.phones", format!("write at most {}", Self::PHONES_MAX));
        }
        if let Some(wrong) = self.phones.iter().find(|number| !Self::is_number(number)) {
            return value("webrtc.phones", format!("{wrong:?} is no number; write letters, digits and +*#-_."));
        }
        if let Some(address) = [self.address, self.public_address].into_iter().flatten().find(IpAddr::is_unspecified) {
            return value("webrtc.address", format!("{address} is nobody's; write the address that browsers reach"));
        }
        if let Some(port) = self.udp_port.filter(|port| *port == 0 || rtp.contains(port)) {
            let (first, last) = (rtp.start(), rtp.end());
            let why = format!("{port} cannot be had; write one from 1 to 65535 beside [rtp] ports ({first} to {last})");
            return value("webrtc.udp_port", why);
        }
        for url in &self.ice_servers {
            if ["turn:", "turns:"].iter().any(|scheme| url.starts_with(scheme)) {
                let why = format!("{url:?} needs credentials, or browsers refuse it; write it into [webrtc.turn] urls");
                return value("webrtc.ice_servers", why);
            }
            if !["stun:", "stuns:"].iter().any(|scheme| url.starts_with(scheme)) {
                return value("webrtc.ice_servers", format!("{url:?} is no server; write \"stun:HOST:3478\""));
            }
        }
        self.turn.check()?;
        for origin in &self.origins {
            let rest = origin.strip_prefix("https://").or(origin.strip_prefix("http://")).unwrap_or_default();
            if rest.is_empty() || rest.contains('/') || !rest.is_ascii() || rest.contains('*') {
                return value(
                    "webrtc.origins",
                    format!(
                        "{origin:?} is no origin; write \"https://www.example.com\", without a path and one by one"
                    ),
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_refused() {
        let check =
            |text: &str| toml::from_str::<WebRtc>(text).unwrap().check(16_384..=32_767).map_err(|e| e.to_string());
        assert!(check("").is_ok() && check("udp_port = 3478").is_ok());
        assert!(
            check("origins = [\"https://a.example\", \"http://b.example:81\"]\nice_servers = [\"stun:s:1\"]").is_ok()
        );
        for (bad, key) in [
            ("number = \"\"", "webrtc.number"),
            ("number = \"a b\"", "webrtc.number"),
            ("address = \"0.0.0.0\"", "webrtc.address"),
            ("ice_servers = [\"stan:x\"]", "webrtc.ice_servers"),
            ("ice_servers = [\"turn:x\"]", "[webrtc.turn]"),
            ("[turn]\nurls = [\"turn:x\"]", "webrtc.turn.secret_file"),
            ("phones = [\"a b\"]", "webrtc.phones"),
            ("udp_port = 0", "webrtc.udp_port"),
            ("udp_port = 16384", "webrtc.udp_port"),
            ("origins = [\"*\"]", "webrtc.origins"),
            ("origins = [\"https://a.example/\"]", "webrtc.origins"),
        ] {
            assert!(check(bad).unwrap_err().contains(key), "{bad}");
        }
    }
}
