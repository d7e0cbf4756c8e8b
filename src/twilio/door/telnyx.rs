//! The same door for Telnyx, where it differs: webhooks are signed by Ed25519, TeXML says which way a stream goes, and a socket
//! bears its token in its address, since nothing signs it. Invariants: as the door's. Deliberately absent: calls that we place
//! and hand over there (its trunk of SIP does both).

use super::{Caller, Door, DoorError, MEDIA_PATH, Purpose, Webhook, address, as_socket, number, value};
use crate::config::Telnyx;
use crate::limits::{TWILIO_FIELDS_MAX, TWILIO_TOKEN_LIFE};
use crate::os::{clock, random};
use crate::twilio::ed25519::{Proof, Verifier};
use crate::twilio::{message, signature, twiml};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tracing::{info, warn};

/// The parameter of the socket's address.
const TOKEN: &str = "token=";
/// Its calls come by this trunk.
const TRUNK: &str = "telnyx";

/// One account's side of the door.
#[derive(Debug)]
pub(super) struct Side {
    verifier: Mutex<Verifier>,
    public_url: String,
}

impl Side {
    /// `None`: none is configured. Error: what is wrong with it.
    pub(super) fn new(config: &Telnyx) -> Result<Option<Self>, String> {
        let key = config.key().map_err(|error| error.to_string())?;
        let tolerance = Duration::from_secs(config.tolerance_s);
        Ok(key.zip(config.public_url.clone()).map(|(key, public_url)| Self {
            verifier: Mutex::new(Verifier::new(key, tolerance)),
            public_url: public_url.trim_end_matches('/').to_owned(),
        }))
    }
}

impl Door {
    /// Whether calls are taken from Telnyx.
    #[must_use]
    pub const fn takes_telnyx(&self) -> bool {
        self.telnyx.is_some()
    }

    /// A webhook that says it is Telnyx's: its fields.
    fn proven(&self, request: &Webhook<'_>, proof: Proof<'_>) -> Result<Vec<(String, String)>, DoorError> {
        let side = self.telnyx.as_ref().ok_or(DoorError::TelnyxOff)?;
        let taken =
            side.verifier.lock().unwrap_or_else(PoisonError::into_inner).take(clock::wall(), proof, request.body);
        if let Err(error) = taken {
            if self.may_warn() {
                warn!(peer = %request.peer, %error, "a webhook that names Telnyx is refused");
            }
            return Err(error.into());
        }
        let fields = request.is_form.then(|| signature::fields(request.body, TWILIO_FIELDS_MAX)).flatten();
        fields.ok_or(DoorError::Malformed)
    }

    /// A call comes in: the TeXML that connects it to our socket
    /// (<https://developers.telnyx.com/docs/voice/programmable-voice/texml-verbs/stream>).
    pub(super) fn texml(&self, request: &Webhook<'_>, proof: Proof<'_>) -> Result<String, DoorError> {
        let fields = self.proven(request, proof)?;
        let side = self.telnyx.as_ref().ok_or(DoorError::TelnyxOff)?;
        let field = |name: &str| value(&fields, name);
        let (Some(call), Some(to)) = (field("CallSid").filter(|call| message::is_name(call)), field("To")) else {
            return Err(DoorError::Malformed);
        };
        let from = address(field("From").unwrap_or_default(), field("CallerId").or(field("CallerName")));
        let caller = Caller {
            trunk: Some(Arc::from(TRUNK)),
            from: from.replace("@twilio.invalid>", "@telnyx.invalid>"),
            to: number(to).to_owned(),
            headers: vec![("X-Telnyx-CallSid".to_owned(), call.to_owned())],
        };
        let token = random::hex(32);
        // The stream names the call by another id of it (`call_control_id`), so that the token stands for it alone.
        let purpose = Purpose::Incoming(Box::new(caller));
        if !self.table().tokens.issue(clock::monotonic(), TWILIO_TOKEN_LIFE, &token, None, purpose) {
            return Err(DoorError::Full);
        }
        info!(call, "Telnyx offers a call");
        Ok(twiml::connect_both_ways(&format!("{}{MEDIA_PATH}?{TOKEN}{token}", as_socket(&side.public_url))))
    }

    /// What became of a call: calls that come in are ended by their sockets.
    pub(super) fn telnyx_status(&self, request: &Webhook<'_>, proof: Proof<'_>) -> Result<(), DoorError> {
        let fields = self.proven(request, proof)?;
        value(&fields, "CallSid").filter(|call| message::is_name(call)).map(|_| ()).ok_or(DoorError::Malformed)
    }

    /// The token in the address of a socket, where one was given out for it and has not been used.
    #[must_use]
    pub fn token_of_socket(&self, path_and_query: &str) -> Option<String> {
        self.telnyx.as_ref()?;
        let (_, query) = path_and_query.split_once('?')?;
        let token = query.split('&').find_map(|pair| pair.strip_prefix(TOKEN))?;
        self.table().tokens.is_good(clock::monotonic(), token).then(|| token.to_owned())
    }
}
