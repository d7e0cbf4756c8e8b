//! What browsers show a TURN server. Purpose: names that are good for a while, made of what the server shares with us
//! (draft-uberti-behave-turn-rest-00, which coturn calls the REST API): the time of their end before a colon, and as password the
//! HMAC-SHA1 over that name. Pure; any thread. Invariant: the secret leaves in no form but that digest. Deliberately absent: TURN
//! for ourselves: a relay's checks come to our address like any.

use crate::config::{TurnAccess, TurnServer};
use crate::time::Wallclock;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use std::time::Duration;

/// Behind the colon: a server's log shows whose it is.
const NAME: &str = "callwright";

/// A TURN server for browsers.
#[derive(Clone, Debug)]
pub struct Relay {
    urls: Vec<String>,
    access: TurnAccess,
    ttl: Duration,
    only: bool,
}

/// As `RTCPeerConnection` takes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RelayServer {
    /// Its addresses.
    pub urls: Vec<String>,
    /// The name to show.
    pub username: String,
    /// Its password.
    pub credential: String,
}

impl Relay {
    /// As configured.
    #[must_use]
    pub fn new(server: &TurnServer, access: TurnAccess) -> Self {
        Self { urls: server.urls.clone(), access, ttl: Duration::from_secs(server.ttl_s), only: server.only }
    }

    /// Browsers try nothing else.
    #[must_use]
    pub const fn is_only(&self) -> bool {
        self.only
    }

    /// For a page that asks now.
    #[must_use]
    pub fn server(&self, now: Wallclock) -> RelayServer {
        let (username, credential) = match &self.access {
            TurnAccess::Fixed { username, password } => (username.clone(), password.expose().to_owned()),
            TurnAccess::Shared(secret) => {
                let username = format!("{}:{NAME}", now.0 / 1000 + self.ttl.as_secs());
                let mut mac = <Hmac<Sha1> as KeyInit>::new_from_slice(secret.expose().as_bytes())
                    .expect("HMAC takes keys of any length");
                mac.update(username.as_bytes());
                let credential = STANDARD.encode(mac.finalize().into_bytes());
                (username, credential)
            }
        };
        RelayServer { urls: self.urls.clone(), username, credential }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    #[test]
    fn a_name_ends_when_it_says_and_its_password_is_the_digest_that_servers_expect() {
        let server = TurnServer { urls: vec!["turn:t:3478".to_owned()], ttl_s: 3600, ..TurnServer::default() };
        let relay = Relay::new(&server, TurnAccess::Shared(Secret::from("north".to_owned())));
        let shown = relay.server(Wallclock(1_700_000_000_999));
        // By another implementation: hmac and hashlib of Python.
        let (username, credential) = ("1700003600:callwright".to_owned(), "9FJ0h4m4dTx321wSmMrMZqz4ago=".to_owned());
        assert_eq!(shown, RelayServer { urls: server.urls.clone(), username, credential });
        assert!(!format!("{relay:?}").contains("north"));
        let access = TurnAccess::Fixed { username: "us".to_owned(), password: Secret::from("them".to_owned()) };
        let shown = Relay::new(&server, access).server(Wallclock(0));
        assert_eq!((shown.username.as_str(), shown.credential.as_str()), ("us", "them"));
    }
}
