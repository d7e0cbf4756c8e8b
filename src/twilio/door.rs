//! The door by which Twilio's calls come in and go out. Tokio tasks; one short lock that no media thread sees. Purpose:
//! requests that are signed become TwiML, sockets become legs with the events and orders of SIP's. Invariants: what is not
//! signed changes nothing and learns nothing; a stream belongs to a call whose TwiML named it, by a token that is good once;
//! what is kept is bounded. Deliberately absent: HTTP (`api`), one socket's life (`leg`), what legs are for (`call`).

mod telnyx;

use super::ed25519::{NotProven, Proof};
use super::leg::{self, Order, Socket};
use super::message::Start;
use super::rest::{Rest, is_sid};
use super::tokens::{TokenError, Tokens};
use super::{signature, twiml};
use crate::config::{Secret, Telnyx, Twilio};
use crate::limits::{TWILIO_FIELDS_MAX, TWILIO_ORDERS_MAX, TWILIO_STRANGERS_MAX, TWILIO_TOKEN_LIFE};
use crate::media::{RING_PEER, RingWire, ring_wire};
use crate::os::{clock, random};
use crate::sip::agent::{LegId, SipEvent};
use crate::sip::dialog::HOPS;
use crate::sip::peer::{Network, Peer};
use crate::telemetry::metric;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tracing::{info, warn};

/// Legs of this door have this bit and not the one above it, which is of legs that are elsewhere ([`LegId::elsewhere`]); SIP
/// counts from 1.
const FIRST_LEG: u64 = 1 << 62;
/// Where Twilio's webhooks arrive, and the socket.
const STATUS_PATH: &str = "/incoming/status";
const MEDIA_PATH: &str = "/media";
/// Forged requests are written to the log this often at most; the metric counts all.
const WARN_EVERY_NS: u64 = 10_000_000_000;
/// Beyond the time of ringing, until the stream of a call that was answered is there.
const STREAM_SLACK: Duration = Duration::from_secs(30);

/// Why a request or a socket is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DoorError {
    /// `[twilio]` is not configured.
    #[error("no calls are taken from Twilio: [twilio] account_sid is not set")]
    Off,
    /// `[telnyx]` is not configured.
    #[error("no calls are taken from Telnyx: [telnyx] public_key is not set")]
    TelnyxOff,
    /// Not Telnyx, or not now.
    #[error(transparent)]
    NotProven(#[from] NotProven),
    /// Not Twilio, or it was told another address than ours: compare `[twilio] public_url` with the console.
    #[error("the request is not signed by the account")]
    Unsigned,
    /// Signed, but not as documented.
    #[error("the request is not as Twilio documents it")]
    Malformed,
    /// Too much is under way; retry later.
    #[error("too many calls are on their way in")]
    Full,
    /// The socket said nothing that admits it.
    #[error("the stream bears no token that is good")]
    NoToken(#[from] TokenError),
    /// The stream of another account.
    #[error("the stream is of another account")]
    OtherAccount,
}

impl DoorError {
    const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::TelnyxOff => "telnyx_off",
            Self::NotProven(NotProven::Forged) => "telnyx_forged",
            Self::NotProven(NotProven::Stale) => "telnyx_stale",
            Self::NotProven(NotProven::Replayed) => "telnyx_replayed",
            Self::NotProven(NotProven::Full) => "telnyx_full",
            Self::Unsigned => "unsigned",
            Self::Malformed => "malformed",
            Self::Full => "full",
            Self::NoToken(TokenError::Unknown) => "token_unknown",
            Self::NoToken(TokenError::Expired) => "token_expired",
            Self::NoToken(TokenError::OtherCall) => "token_other_call",
            Self::OtherAccount => "other_account",
        }
    }
}

/// A request, as far as it tells who it is from.
#[derive(Clone, Copy, Debug)]
pub struct Webhook<'a> {
    /// Whose connection it came by.
    pub peer: SocketAddr,
    /// It came by TLS of ours.
    pub secure: bool,
    /// Host.
    pub host: Option<&'a str>,
    /// X-Forwarded-Proto.
    pub forwarded_proto: Option<&'a str>,
    /// X-Forwarded-Host.
    pub forwarded_host: Option<&'a str>,
    /// X-Twilio-Signature.
    pub signature: Option<&'a str>,
    /// Telnyx's signature and its time, where it has them.
    pub telnyx: Option<Proof<'a>>,
    /// As in the request line.
    pub path_and_query: &'a str,
    /// Empty for a socket.
    pub body: &'a [u8],
    /// `application/x-www-form-urlencoded`.
    pub is_form: bool,
}

/// A call that is to be placed: its leg and its audio.
#[derive(Debug)]
pub struct Placed {
    /// The leg.
    pub leg: LegId,
    /// Number, E.164.
    pub to: String,
    /// The number that is shown there; one of the account's.
    pub from: String,
    /// How long it may ring.
    pub ringing: Duration,
}

/// What a token admits.
#[derive(Debug)]
enum Purpose {
    /// A call that came in.
    Incoming(Box<Caller>),
    /// One that we have placed.
    Placed(LegId),
}

/// Who calls whom.
#[derive(Clone, Debug)]
struct Caller {
    /// The trunk that it comes by; the door's own unless said.
    trunk: Option<Arc<str>>,
    from: String,
    to: String,
    headers: Vec<(String, String)>,
}

#[derive(Debug)]
struct Leg {
    orders: mpsc::Sender<Order>,
    /// Until its socket is there.
    waiting: Option<mpsc::Receiver<Order>>,
    /// `CA…`, once it is known.
    call: Option<String>,
    /// Of a call that we placed: names it in webhooks.
    key: Option<String>,
    placed: bool,
}

#[derive(Debug, Default)]
struct Table {
    tokens: Tokens<Purpose>,
    legs: HashMap<LegId, Leg>,
    /// Webhook keys of calls that we placed.
    keys: HashMap<String, LegId>,
    count: u64,
}

/// A socket that is one of a call.
#[derive(Debug)]
pub(super) struct Attached {
    pub(super) leg: LegId,
    pub(super) orders: mpsc::Receiver<Order>,
    /// What the call side is told first.
    pub(super) event: SipEvent,
}

/// The door.
#[derive(Debug)]
pub struct Door {
    account: Option<String>,
    tokens: Mutex<Vec<Secret>>,
    public_url: Option<String>,
    trusted: Vec<Network>,
    /// The trunk that calls are said to come by.
    trunk: Arc<str>,
    rest: Option<Rest>,
    telnyx: Option<telnyx::Side>,
    table: Mutex<Table>,
    events: mpsc::Sender<SipEvent>,
    strangers: Arc<Semaphore>,
    /// When a forged request was last written to the log.
    warned: AtomicU64,
}

impl Door {
    /// `events` hears of legs as of those of SIP. Error: what is wrong with the configuration.
    ///
    /// # Errors
    /// `[twilio] api_url` cannot be asked, or `[telnyx] public_key` is none.
    pub fn new(
        (config, telnyx): (&Twilio, &Telnyx),
        tokens: Vec<Secret>,
        trunk: &str,
        events: mpsc::Sender<SipEvent>,
    ) -> Result<Arc<Self>, String> {
        let account = config.account_sid.clone().filter(|_| !tokens.is_empty());
        let rest = match (&account, tokens.first()) {
            (Some(account), Some(token)) => {
                Some(Rest::new(&config.api_url, account, token.clone()).map_err(|error| error.to_string())?)
            }
            _ => None,
        };
        Ok(Arc::new(Self {
            account,
            tokens: Mutex::new(tokens),
            public_url: config.public_url.clone(),
            trusted: config.trusted_proxies.clone(),
            trunk: trunk.into(),
            rest,
            telnyx: telnyx::Side::new(telnyx)?,
            table: Mutex::default(),
            events,
            strangers: Arc::new(Semaphore::new(TWILIO_STRANGERS_MAX)),
            warned: AtomicU64::new(0),
        }))
    }

    /// Whether calls are taken.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.account.is_some()
    }

    /// Other tokens are in force for what comes in from now on. What we ask ourselves goes by the token of the start.
    pub fn replace_tokens(&self, tokens: Vec<Secret>) {
        if self.account.is_some() && !tokens.is_empty() {
            *self.tokens.lock().unwrap_or_else(PoisonError::into_inner) = tokens;
        }
    }

    // --- webhooks -----------------------------------------------------------------------------------------------------

    /// A call comes in: the TwiML that connects it to our socket.
    ///
    /// # Errors
    /// [`DoorError`].
    pub fn incoming(&self, request: &Webhook<'_>) -> Result<String, DoorError> {
        if let Some(proof) = request.telnyx {
            return self.note(self.texml(request, proof));
        }
        self.told(request, |fields| {
            let field = |name: &str| value(fields, name);
            let (Some(call), Some(to)) = (field("CallSid").filter(|sid| is_sid(sid)), field("To")) else {
                return Err(DoorError::Malformed);
            };
            if field("AccountSid").is_some_and(|account| Some(account) != self.account.as_deref()) {
                return Err(DoorError::OtherAccount);
            }
            let from = field("From").unwrap_or_default();
            let caller = Caller {
                trunk: None,
                from: address(from, field("CallerName")),
                to: number(to).to_owned(),
                headers: vec![("X-Twilio-CallSid".to_owned(), call.to_owned())],
            };
            let token = random::hex(32);
            let purpose = Purpose::Incoming(Box::new(caller));
            let now = clock::monotonic();
            if !self.table().tokens.issue(now, TWILIO_TOKEN_LIFE, &token, Some(call), purpose) {
                return Err(DoorError::Full);
            }
            info!(call, "Twilio offers a call");
            Ok(twiml::connect(&self.socket_url(request), &[("token", &token)]))
        })
    }

    /// What became of a call.
    ///
    /// # Errors
    /// [`DoorError`].
    pub fn status(&self, request: &Webhook<'_>) -> Result<(), DoorError> {
        if let Some(proof) = request.telnyx {
            return self.note(self.telnyx_status(request, proof));
        }
        let event = self.told(request, |fields| {
            let (call, status) = (value(fields, "CallSid"), value(fields, "CallStatus"));
            let (Some(call), Some(status)) = (call.filter(|sid| is_sid(sid)), status) else {
                return Err(DoorError::Malformed);
            };
            Ok(self.handle_status(request.path_and_query, call, status, value(fields, "SipResponseCode")))
        })?;
        if let Some(event) = event {
            // More than can wait: the call ends by its own time then.
            let _ = self.events.try_send(event);
        }
        Ok(())
    }

    fn handle_status(&self, path: &str, call: &str, status: &str, code: Option<&str>) -> Option<SipEvent> {
        let mut table = self.table();
        let key = path.split_once("leg=").map(|(_, rest)| rest.split('&').next().unwrap_or_default())?;
        let leg = *table.keys.get(key)?;
        let known = table.legs.get_mut(&leg)?;
        known.call.get_or_insert_with(|| call.to_owned());
        // With its socket there, that tells what becomes of it.
        known.waiting.as_ref()?;
        let refused = |code: u16, reason: &str| SipEvent::Refused {
            leg,
            code,
            reason: reason.to_owned(),
            retry_after: None,
            cause: None,
        };
        let code = code.and_then(|code| code.parse().ok()).filter(|code| (400..700).contains(code));
        let event = match status {
            "ringing" => return Some(SipEvent::Progress { leg, code: 180, answer: None, dialog: 0 }),
            "busy" => refused(code.unwrap_or(486), "Busy Here"),
            "no-answer" => refused(code.unwrap_or(480), "nobody answered"),
            "failed" => refused(code.unwrap_or(503), "Twilio could not reach the number"),
            "canceled" => refused(487, "Request Terminated"),
            "completed" => refused(500, "it was answered, but its media stream did not come"),
            _ => return None,
        };
        remove(&mut table, leg);
        Some(event)
    }

    /// Whether a socket may be opened.
    ///
    /// # Errors
    /// [`DoorError`].
    pub fn admit_socket(&self, request: &Webhook<'_>) -> Result<(), DoorError> {
        let outcome = if self.is_signed(request, true, &[]) { Ok(()) } else { Err(self.unsigned()) };
        self.note(outcome)
    }

    /// Checks the signature and reads the form.
    fn told<T>(
        &self,
        request: &Webhook<'_>,
        then: impl FnOnce(&signature::Fields) -> Result<T, DoorError>,
    ) -> Result<T, DoorError> {
        let outcome = if request.is_form {
            match signature::fields(request.body, TWILIO_FIELDS_MAX) {
                Some(fields) if self.is_signed(request, false, &fields) => then(&fields),
                Some(_) => Err(self.unsigned()),
                None => Err(DoorError::Malformed),
            }
        } else {
            let query = request.path_and_query.split_once('?').map_or("", |(_, query)| query);
            let signed = signature::is_body_named(query, request.body) && self.is_signed(request, false, &[]);
            Err(if signed { DoorError::Malformed } else { self.unsigned() })
        };
        self.note(outcome)
    }

    fn note<T>(&self, outcome: Result<T, DoorError>) -> Result<T, DoorError> {
        if let Err(error) = &outcome {
            metric::twilio_refused(error.name());
        }
        outcome
    }

    const fn unsigned(&self) -> DoorError {
        if self.account.is_some() { DoorError::Unsigned } else { DoorError::Off }
    }

    fn is_signed(&self, request: &Webhook<'_>, is_socket: bool, fields: &signature::Fields) -> bool {
        let (Some(given), true) = (request.signature, self.is_open()) else { return false };
        let Some(base) = self.base(request) else { return false };
        let urls = signature::addresses(&base, request.path_and_query, is_socket);
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let signed = signature::is_signed(&tokens, given, &urls, fields);
        if !signed && self.may_warn() {
            warn!(peer = %request.peer, tried = urls.first(), "a request is not signed by the account; if it was Twilio's, correct [twilio] public_url or the token");
        }
        signed
    }

    /// Whoever forges a thousand requests gets one line.
    fn may_warn(&self) -> bool {
        let (now, last) = (clock::monotonic().0, self.warned.load(Relaxed));
        let due = last == 0 || now.saturating_sub(last) >= WARN_EVERY_NS;
        due && self.warned.compare_exchange(last, now, Relaxed, Relaxed).is_ok()
    }

    /// The public address of this daemon, as Twilio knows it.
    fn base(&self, request: &Webhook<'_>) -> Option<String> {
        if let Some(url) = &self.public_url {
            return Some(url.trim_end_matches('/').to_owned());
        }
        let first = |value: Option<&str>| value.and_then(|v| v.split(',').next()).map(|v| v.trim().to_owned());
        let trusted = self.trusts(request.peer.ip());
        let own = if request.secure { "https" } else { "http" };
        let proto = first(request.forwarded_proto.filter(|_| trusted)).unwrap_or_else(|| own.to_owned());
        let host = first(request.forwarded_host.filter(|_| trusted)).or_else(|| first(request.host))?;
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']' | b'_');
        let scheme = if proto == "https" || proto == "wss" { "https" } else { "http" };
        (!host.is_empty() && host.bytes().all(fits)).then(|| format!("{scheme}://{host}"))
    }

    fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(peer))
    }

    fn socket_url(&self, request: &Webhook<'_>) -> String {
        let base = self.base(request).unwrap_or_default();
        format!("{}{MEDIA_PATH}", as_socket(&base))
    }

    // --- sockets ------------------------------------------------------------------------------------------------------

    /// Serves one socket to its end. `token`: that it was let in by ([`Door::token_of_socket`]); `None`: it was signed.
    pub async fn serve<S: Socket>(self: Arc<Self>, socket: S, peer: SocketAddr, token: Option<String>) {
        let Ok(permit) = Arc::clone(&self.strangers).try_acquire_owned() else {
            metric::twilio_refused(DoorError::Full.name());
            return;
        };
        leg::serve(self, socket, (peer, token), permit).await;
    }

    /// The stream says whose it is.
    pub(super) fn attach(&self, start: &Start, peer: SocketAddr) -> Result<Attached, DoorError> {
        let outcome = self.try_attach(start, peer);
        self.note(outcome)
    }

    fn try_attach(&self, start: &Start, peer: SocketAddr) -> Result<Attached, DoorError> {
        if start.account.is_some() && start.account != self.account && start.dialect == super::message::Dialect::Twilio
        {
            return Err(DoorError::OtherAccount);
        }
        let now = clock::monotonic();
        let mut table = self.table();
        let token = start.parameters.get("token").ok_or(TokenError::Unknown)?;
        match table.tokens.redeem(now, token, &start.call)? {
            Purpose::Incoming(caller) => {
                let (leg, orders) = self.enter(&mut table, Some(start.call.clone()), None);
                let event = SipEvent::Incoming {
                    leg,
                    from: caller.from.clone(),
                    to: caller.to.clone(),
                    request_user: caller.to.clone(),
                    call_id: start.call.clone(),
                    source: peer,
                    identity: Peer::Trunk(Arc::clone(caller.trunk.as_ref().unwrap_or(&self.trunk))),
                    hops: HOPS,
                    offer: Some(description()),
                    headers: caller.headers.clone(),
                    replaces: None,
                };
                Ok(Attached { leg, orders, event })
            }
            Purpose::Placed(leg) => {
                let known = table.legs.get_mut(&leg).ok_or(TokenError::Unknown)?;
                known.call.get_or_insert_with(|| start.call.clone());
                let orders = known.waiting.take().ok_or(TokenError::Unknown)?;
                Ok(Attached { leg, orders, event: SipEvent::Accepted { leg, answer: description() } })
            }
        }
    }

    fn enter(&self, table: &mut Table, call: Option<String>, key: Option<String>) -> (LegId, mpsc::Receiver<Order>) {
        table.count += 1;
        let leg = LegId(FIRST_LEG | table.count);
        let (orders, waiting) = mpsc::channel(TWILIO_ORDERS_MAX);
        if let Some(key) = &key {
            table.keys.insert(key.clone(), leg);
        }
        let placed = key.is_some();
        table.legs.insert(leg, Leg { orders, waiting: None, call, key, placed });
        (leg, waiting)
    }

    /// The socket is gone.
    pub(super) fn leave(&self, leg: LegId) {
        remove(&mut self.table(), leg);
    }

    pub(super) async fn tell(&self, event: SipEvent) {
        // The daemon is stopping.
        let _ = self.events.send(event).await;
    }

    // --- orders -------------------------------------------------------------------------------------------------------

    /// Whether a leg is one of this door.
    #[must_use]
    pub const fn has(leg: LegId) -> bool {
        !leg.is_elsewhere() && leg.0 & FIRST_LEG != 0
    }

    /// Audio for the leg: rings for its media session. `None`: it is gone, or no descriptor is left.
    #[must_use]
    pub fn wire(&self, leg: LegId) -> Option<RingWire> {
        let (wire, ends, bell) = ring_wire().ok()?;
        self.order(leg, Order::Carry(ends, bell)).then_some(wire)
    }

    /// The call has been answered here.
    #[must_use]
    pub fn accept(&self, leg: LegId) -> bool {
        self.order(leg, Order::Accept)
    }

    /// Ends the leg: the socket is closed, upon which Twilio ends the call; one that still rings is given up.
    #[must_use]
    pub fn hang_up(self: &Arc<Self>, leg: LegId) -> bool {
        let rings = {
            let mut table = self.table();
            let rings = table.legs.get(&leg).is_some_and(|leg| leg.placed && leg.waiting.is_some());
            if rings { remove(&mut table, leg) } else { None }
        };
        let Some(gone) = rings else { return self.order(leg, Order::HangUp) };
        if let Some(call) = gone.call {
            self.complete(call);
        }
        true
    }

    /// Pretends that the other side has agreed to a change of the session: there is nothing that it could agree to.
    pub async fn reinvite(&self, leg: LegId) -> bool {
        let known = self.table().legs.contains_key(&leg);
        if known {
            self.tell(SipEvent::Reinvited { leg, answer: Vec::new() }).await;
        }
        known
    }

    /// Has Twilio call somebody in our place: `tel:+1…`, or an address of SIP. An event tells what became of that.
    #[must_use]
    pub fn refer(self: &Arc<Self>, leg: LegId, to: &str, timeout: Duration) -> bool {
        let Some(call) = self.table().legs.get(&leg).and_then(|leg| leg.call.clone()) else { return false };
        let (door, to) = (Arc::clone(self), to.strip_prefix("tel:").unwrap_or(to).to_owned());
        tokio::spawn(async move {
            let document = twiml::dial(&to, None, timeout.as_secs().clamp(5, 600));
            let code = match &door.rest {
                // A call of Telnyx's is none of this account's.
                Some(rest) if is_sid(&call) => match rest.update(&call, &[("Twiml", &document)]).await {
                    Ok(()) => 200,
                    Err(error) => {
                        warn!(call, %error, "Twilio did not hand the call over");
                        error.sip_code()
                    }
                },
                _ => 503,
            };
            door.tell(SipEvent::ReferProgress { leg, code, over: true }).await;
        });
        true
    }

    fn order(&self, leg: LegId, order: Order) -> bool {
        self.table().legs.get(&leg).is_some_and(|leg| leg.orders.try_send(order).is_ok())
    }

    /// A leg for a call that is to be placed.
    #[must_use]
    pub fn reserve(&self) -> LegId {
        let mut table = self.table();
        let (leg, waiting) = self.enter(&mut table, None, Some(random::hex(16)));
        if let Some(entry) = table.legs.get_mut(&leg) {
            entry.waiting = Some(waiting);
        }
        leg
    }

    /// Places a call; events tell what becomes of it. Error: why there can be no such call.
    ///
    /// # Errors
    /// What is missing in the configuration, or wrong with the numbers.
    pub fn place(self: &Arc<Self>, placed: Placed) -> Result<(), String> {
        let outcome = self.try_place(&placed);
        if outcome.is_err() {
            self.leave(placed.leg);
        }
        outcome
    }

    fn try_place(self: &Arc<Self>, placed: &Placed) -> Result<(), String> {
        let base = self.public_url.clone().ok_or("[twilio] public_url is not set: Twilio would not find us")?;
        let base = base.trim_end_matches('/').to_owned();
        if self.rest.is_none() {
            return Err(DoorError::Off.to_string());
        }
        for number in [&placed.to, &placed.from] {
            let is_number = number.strip_prefix('+').unwrap_or(number).bytes().all(|b| b.is_ascii_digit());
            if number.is_empty() || number.len() > 32 || !is_number {
                return Err(format!("{number:?} is no number that Twilio can be asked for: write +15551234567"));
            }
        }
        let (token, life) = (random::hex(32), placed.ringing + STREAM_SLACK);
        let (leg, now) = (placed.leg, clock::monotonic());
        let key = {
            let mut table = self.table();
            if !table.tokens.issue(now, life, &token, None, Purpose::Placed(leg)) {
                return Err(DoorError::Full.to_string());
            }
            table.legs.get(&leg).and_then(|leg| leg.key.clone()).ok_or("the leg is gone")?
        };
        let document = twiml::connect(&format!("{}{MEDIA_PATH}", as_socket(&base)), &[("token", &token)]);
        let status = format!("{base}{STATUS_PATH}?leg={key}");
        let (door, to, from) = (Arc::clone(self), placed.to.clone(), placed.from.clone());
        let timeout = placed.ringing.as_secs().clamp(5, 600).to_string();
        tokio::spawn(async move {
            let mut fields = vec![
                ("To", &*to),
                ("From", &*from),
                ("Twiml", &*document),
                ("Timeout", &*timeout),
                ("StatusCallback", &*status),
            ];
            fields
                .extend(["initiated", "ringing", "answered", "completed"].map(|event| ("StatusCallbackEvent", event)));
            let Some(rest) = &door.rest else { return };
            match rest.place(&fields).await {
                Ok(call) => door.handle_placed(leg, call),
                Err(error) => {
                    warn!(%error, "Twilio does not place the call");
                    let (code, reason) = (error.sip_code(), error.to_string());
                    door.leave(leg);
                    door.tell(SipEvent::Refused { leg, code, reason, retry_after: None, cause: None }).await;
                }
            }
        });
        Ok(())
    }

    fn handle_placed(self: &Arc<Self>, leg: LegId, call: String) {
        info!(call, "Twilio places a call");
        let gone = match self.table().legs.get_mut(&leg) {
            Some(known) => {
                known.call = Some(call.clone());
                false
            }
            None => true,
        };
        // Given up while it was being asked for.
        if gone {
            self.complete(call);
        }
    }

    fn complete(self: &Arc<Self>, call: String) {
        let door = Arc::clone(self);
        tokio::spawn(async move {
            let Some(rest) = &door.rest else { return };
            if let Err(error) = rest.update(&call, &[("Status", "completed")]).await {
                warn!(call, %error, "Twilio did not end the call; it ends when nobody answers");
            }
        });
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Whole after every statement of its methods.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remove(table: &mut Table, leg: LegId) -> Option<Leg> {
    let gone = table.legs.remove(&leg)?;
    if let Some(key) = &gone.key {
        table.keys.remove(key);
    }
    Some(gone)
}

/// The same host, by the scheme of sockets.
fn as_socket(base: &str) -> String {
    match base.split_once("://") {
        Some(("https", rest)) => format!("wss://{rest}"),
        Some((_, rest)) => format!("ws://{rest}"),
        None => format!("wss://{base}"),
    }
}

fn value<'a>(fields: &'a signature::Fields, name: &str) -> Option<&'a str> {
    fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
}

/// The number, or the user of an address.
fn number(of: &str) -> &str {
    let of = of.strip_prefix("sip:").or_else(|| of.strip_prefix("client:")).unwrap_or(of);
    of.split(['@', ';']).next().unwrap_or_default()
}

/// From as SIP would write it. What cannot stand there is left out.
fn address(from: &str, name: Option<&str>) -> String {
    let is_of_user = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_' | '*' | '#');
    let user: String = number(from).chars().filter(is_of_user).take(64).collect();
    let user = if user.is_empty() { "anonymous" } else { &user };
    let is_of_name = |c: &char| !c.is_control() && !matches!(c, '"' | '\\' | '<' | '>');
    let name: String = name.unwrap_or_default().chars().filter(is_of_name).take(64).collect();
    if name.is_empty() {
        format!("<sip:{user}@twilio.invalid>")
    } else {
        format!("\"{name}\" <sip:{user}@twilio.invalid>")
    }
}

/// What the other side would say of its audio in SIP: µ-law, nothing else. Keys come and go apart.
fn description() -> Vec<u8> {
    let (address, port) = (RING_PEER.ip(), RING_PEER.port());
    format!(
        "v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\n"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests;
