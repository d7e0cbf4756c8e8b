//! `/v1/calls/{id}/…`: what a program has a call do; and placing one. Each verb is one order to the task that owns the call,
//! answered when it has been begun: 204, or 202 with the number of what will be heard. 404: no such call is up; 409: it is in
//! no state for that; 422: the order itself makes no sense.
//!
//! Invariants: a request with the same `Idempotency-Key` places one call, through restarts too; files are played from one
//! directory only. Deliberately absent: how an order is carried out (`call`).

use super::problem::{Problem, read};
use super::state::AppState;
use crate::call::outgoing::{NotPlaced, OnMachine, Wish};
use crate::call::player::Source;
use crate::call::room::RoomId;
use crate::call::steer::{After, Order, OrderError, Outcome, samples};
use crate::call::transfer::{Transfer, Way};
use crate::config::App;
use crate::id::CallId;
use crate::limits::{
    CALL_HEADER_MAX, CALL_HEADERS_MAX, ORDERED_TONE_S_MAX, RINGING_MAX, ROOM_MEMBERS_MAX, SPOKEN_TEXT_MAX,
};
use crate::os::{clock, random};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::path::{Component, PathBuf};
use std::time::Duration;

/// How long a placed call rings unless said, seconds.
const RINGING_S: u64 = 30;
/// Where files for `play` lie, below the data directory.
const AUDIO: &str = "audio";

impl From<OrderError> for Problem {
    fn from(error: OrderError) -> Self {
        let status = match &error {
            OrderError::NoCall => StatusCode::NOT_FOUND,
            OrderError::Conflict(_) => StatusCode::CONFLICT,
            OrderError::Unprocessable(_) => StatusCode::UNPROCESSABLE_ENTITY,
            OrderError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, error.to_string())
    }
}

impl From<NotPlaced> for Problem {
    fn from(error: NotPlaced) -> Self {
        let status = match &error {
            NotPlaced::Wrong(_) => StatusCode::UNPROCESSABLE_ENTITY,
            NotPlaced::Full(_) | NotPlaced::Cap(_) => StatusCode::SERVICE_UNAVAILABLE,
            NotPlaced::Twice => StatusCode::CONFLICT,
        };
        Self::new(status, error.to_string())
    }
}

fn wrong(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
}

/// The body as JSON. One that is not said to be JSON is refused, which also keeps web pages of other origins out: they cannot
/// send this type unasked. An empty body is an empty object.
pub(super) fn body<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Problem> {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if media_type.split(';').next().map(str::trim) != Some("application/json") {
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send it as application/json"));
    }
    let body = if body.trim_ascii().is_empty() { b"{}".as_slice() } else { body };
    serde_json::from_slice(body).map_err(|e| wrong(format!("the request does not parse: {e}")))
}

fn call_id(id: &str) -> Result<CallId, Problem> {
    id.parse().map_err(|_| OrderError::NoCall.into())
}

/// What will be heard after what was asked before.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Queued {
    /// call.played with this number tells when it has been heard
    utterance: u32,
}

/// Where calls hear each other.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Room {
    /// room_…
    room: String,
}

/// A caller on the way to somebody else; call.transfer tells how far.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct HandedOver {
    /// The call that is placed; null where the phone is asked first
    call: Option<String>,
}

async fn give(state: &AppState, id: &str, order: Order) -> Result<Response, Problem> {
    let outcome = state.live_calls.control.order(call_id(id)?, order).await?;
    Ok(match outcome {
        Outcome::Done | Outcome::FarEnd(_) => StatusCode::NO_CONTENT.into_response(),
        Outcome::Queued { utterance } => (StatusCode::ACCEPTED, Json(Queued { utterance })).into_response(),
    })
}

/// An app as routes name it.
fn app(text: &str) -> Result<App, Problem> {
    match App::parse(text) {
        Ok(App::Play(_)) => Err(wrong("files are played by the verb play, on a call for \"manual\"")),
        Ok(app) => Ok(app),
        Err(why) => Err(wrong(why)),
    }
}

fn ringing(seconds: Option<u64>) -> Result<Duration, Problem> {
    let seconds = seconds.unwrap_or(RINGING_S);
    if (1..=RINGING_MAX.as_secs()).contains(&seconds) {
        return Ok(Duration::from_secs(seconds));
    }
    Err(wrong(format!("timeout_s: write seconds from 1 to {}", RINGING_MAX.as_secs())))
}

fn text(text: String) -> Result<String, Problem> {
    if text.trim().is_empty() || text.chars().count() > SPOKEN_TEXT_MAX {
        return Err(wrong(format!("text: write 1 to {SPOKEN_TEXT_MAX} characters")));
    }
    Ok(text)
}

/// `POST /v1/calls`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Placing {
    /// `sip:USER@HOST[:PORT]`, `extension:NUMBER`, or with `trunk` a number
    to: String,
    /// The trunk by which a number is called
    trunk: Option<String>,
    /// Whom the other side sees calling: a SIP URI or `"Name" <URI>`
    from: Option<String>,
    /// What is on our end: agent:NAME, echo, tone, tone:NAME, or manual (steered by orders); manual unless said
    app: Option<String>,
    /// The same as app: agent:NAME
    agent: Option<String>,
    /// How long it may ring: 1 to 180 s, 30 unless said
    timeout_s: Option<u64>,
    /// Find out first whether a machine has answered, and what to do then; call.detected tells
    on_machine: Option<MachineChoice>,
    /// The other side is not to see who calls; the carrier is (P-Asserted-Identity, Privacy: id)
    #[serde(default)]
    withheld: bool,
    /// Record the call, where `[recording]` is enabled
    #[serde(default)]
    record: bool,
    /// Fields for the INVITE: X-…, P-…, User-to-User, Subject, Alert-Info; at most 16, each a string
    #[serde(default)]
    headers: Map<String, Value>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum MachineChoice {
    GoOn,
    HangUp,
    WaitForBeep,
}

impl Placing {
    fn wish(self) -> Result<Wish, Problem> {
        let app = match (self.app, self.agent) {
            (Some(_), Some(_)) => return Err(wrong("write either app or agent")),
            (Some(name), None) => app(&name)?,
            (None, Some(agent)) => App::Agent(agent),
            (None, None) => App::Manual,
        };
        let headers = self.headers.into_iter().map(header_field).collect::<Result<Vec<_>, _>>()?;
        if headers.len() > CALL_HEADERS_MAX {
            return Err(wrong(format!("headers: at most {CALL_HEADERS_MAX}")));
        }
        if self.from.as_ref().is_some_and(|from| from.bytes().any(|b| b < b' ')) {
            return Err(wrong("from: write a SIP URI, or \"Name\" <URI>"));
        }
        let details = (!headers.is_empty())
            .then(|| json!({"headers": headers.iter().cloned().collect::<std::collections::BTreeMap<_, _>>()}));
        let on_machine = self.on_machine.map(|choice| match choice {
            MachineChoice::GoOn => OnMachine::GoOn,
            MachineChoice::HangUp => OnMachine::HangUp,
            MachineChoice::WaitForBeep => OnMachine::WaitForBeep,
        });
        let ringing = ringing(self.timeout_s)?;
        let to = match self.trunk {
            Some(trunk) => format!("trunk:{trunk}:{}", self.to),
            None => self.to,
        };
        Ok(Wish {
            to,
            from: self.from,
            app,
            ringing,
            on_machine,
            record: self.record,
            withheld: self.withheld,
            headers,
            details,
            ..Wish::default()
        })
    }
}

/// A field of the INVITE that a program may set: none that the protocol itself needs.
fn header_field((name, value): (String, Value)) -> Result<(String, String), Problem> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b);
    let lower = name.to_ascii_lowercase();
    let free = lower.starts_with("x-")
        || lower.starts_with("p-")
        || ["user-to-user", "subject", "alert-info"].contains(&lower.as_str());
    let Value::String(value) = value else { return Err(wrong(format!("headers: {name}: write a string"))) };
    if !free || name.len() > 64 || !name.bytes().all(token) {
        return Err(wrong(format!(
            "headers: {name:?}: names begin with X- or P-, or are User-to-User, Subject, Alert-Info"
        )));
    }
    if value.len() > CALL_HEADER_MAX || value.chars().any(char::is_control) {
        return Err(wrong(format!("headers: {name}: at most {CALL_HEADER_MAX} octets on one line")));
    }
    Ok((name, value))
}

/// Places a call.
pub(super) async fn place(
    State(state): State<AppState>,
    headers: HeaderMap,
    octets: Bytes,
) -> Result<Response, Problem> {
    let asked: Value = body(&headers, &octets)?;
    let wish = body::<Placing>(&headers, &octets)?.wish()?;
    let key = match headers.get("idempotency-key").map(|key| key.to_str()) {
        None => None,
        Some(Ok(key)) if (1..=200).contains(&key.len()) => Some(key.to_owned()),
        Some(_) => {
            return Err(Problem::new(StatusCode::BAD_REQUEST, "Idempotency-Key must have 1 to 200 ASCII characters"));
        }
    };
    let Some(key) = key else { return placed(&state, CallId(random::u64()), wish) };
    // The call's id follows from the key: whoever asks twice at the same moment gets one call, too.
    let digest = Sha256::digest([b"call ", key.as_bytes()].concat());
    let call = CallId(digest.iter().take(8).fold(0, |id, octet| id << 8 | u64::from(*octet)));
    let (store, id) = (state.store.clone(), call.to_string());
    if let Some(before) = read(move || store.world().get("call_request", &id)).await? {
        if before.document != asked {
            return Err(wrong("this Idempotency-Key was used for another call"));
        }
        return again(&state, call).await;
    }
    state.store.world().put("call_request", &call.to_string(), asked, clock::wall()).await?;
    match placed(&state, call, wish) {
        Err(problem) if problem.status() == StatusCode::CONFLICT => again(&state, call).await,
        outcome => outcome,
    }
}

fn placed(state: &AppState, call: CallId, wish: Wish) -> Result<Response, Problem> {
    let live = state.live_calls.control.place(call, wish)?;
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, format!("/v1/calls/{call}"))], Json(live)).into_response())
}

/// The call that was placed by an earlier request.
async fn again(state: &AppState, call: CallId) -> Result<Response, Problem> {
    let id = call.to_string();
    let location = [(header::LOCATION, format!("/v1/calls/{call}"))];
    if let Some(live) = (state.live_calls.list)().into_iter().find(|live| live.id == id) {
        return Ok((StatusCode::OK, location, Json(live)).into_response());
    }
    let store = state.store.clone();
    match read(move || store.calls().get(&id)).await? {
        Some(record) => Ok((StatusCode::OK, location, Json(record)).into_response()),
        // It was refused for want of room: the same request may be tried again under another key.
        None => Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the call of this Idempotency-Key was not placed; use another key",
        )),
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Answering {
    /// What takes the call; manual (steered by orders) unless said
    app: Option<String>,
}

pub(super) async fn answer(
    State(state): State<AppState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    octets: Bytes,
) -> Result<Response, Problem> {
    let asked: Answering = body(&headers, &octets)?;
    give(&state, &id, Order::Answer { app: asked.app.as_deref().map(app).transpose()? }).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Saying {
    /// At most 2,000 characters
    text: String,
}

pub(super) async fn say(
    State(state): State<AppState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    octets: Bytes,
) -> Result<Response, Problem> {
    let asked: Saying = body(&headers, &octets)?;
    give(&state, &id, Order::Say { text: text(asked.text)? }).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Playing {
    /// A WAV file in audio/ of the data directory
    file: Option<String>,
    /// A frequency, or a tone such as gb-busy
    tone: Option<String>,
    /// Of the tone: 1 to 60, 2 unless said
    seconds: Option<u32>,
    /// Instead: what is said and played on a steered call ends
    #[serde(default)]
    stop: bool,
}

pub(super) async fn play(
    State(state): State<AppState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    octets: Bytes,
) -> Result<Response, Problem> {
    let asked: Playing = body(&headers, &octets)?;
    // Nothing is read for a call that is not there.
    call_id(&id)?;
    let order = match (asked.file, asked.tone, asked.stop) {
        (Some(file), None, false) => {
            let path = sound(&state, &file)?;
            let control = state.live_calls.control.clone();
            let read = tokio::task::spawn_blocking(move || control.audio(&path)).await;
            let pcm = read.unwrap_or_else(|e| Err(e.to_string())).map_err(|_| {
                wrong(format!(
                    "file: {file:?} is no WAV file that can be played; put one into {AUDIO}/ of the data directory"
                ))
            })?;
            Order::Play { pcm }
        }
        (None, Some(tone), false) => {
            let seconds = asked.seconds.unwrap_or(2);
            if !(1..=ORDERED_TONE_S_MAX).contains(&seconds) {
                return Err(wrong(format!("seconds: write 1 to {ORDERED_TONE_S_MAX}")));
            }
            let signal = tone.parse().map_err(|e: callwright_dsp::tone::UnknownTone| wrong(e.to_string()))?;
            Order::Play { pcm: samples(&Source::Tone(signal), seconds) }
        }
        (None, None, true) => Order::Hush,
        _ => return Err(wrong("write file, tone (with seconds), or stop: true")),
    };
    give(&state, &id, order).await
}

/// A file of the one directory that programs may have played.
fn sound(state: &AppState, file: &str) -> Result<PathBuf, Problem> {
    let relative = PathBuf::from(file);
    let plain = !file.is_empty() && relative.components().all(|part| matches!(part, Component::Normal(_)));
    if !plain {
        return Err(wrong(format!("file: {file:?}: write the name of a file in {AUDIO}/ of the data directory")));
    }
    Ok(state.data.join(AUDIO).join(relative))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    /// 1 to 32 of 0-9, *, #, A-D; as telephone events, or in the audio where none were agreed
    digits: String,
    /// By SIP INFO instead, for those who hear nothing else
    #[serde(default)]
    info: bool,
}

pub(super) async fn digits(
    State(state): State<AppState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    octets: Bytes,
) -> Result<Response, Problem> {
    let asked: Keys = body(&headers, &octets)?;
    let digits: crate::rtp::dtmf::Digits = asked.digits.parse().map_err(|e| wrong(format!("digits: {e}")))?;
    if digits.is_empty() {
        return Err(wrong("digits: write 1 to 32 of 0-9, *, #, A-D"));
    }
    let order = if asked.info { Order::SendInfo(asked.digits.to_ascii_uppercase()) } else { Order::SendDigits(digits) };
    give(&state, &id, order).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

pub(super) async fn hold(
    State(state): State<AppState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    octets: Bytes,
) -> Result<Response, Problem> {
    let Nothing {} = body(&headers, &octets)?;
    give(&state, &id, Order::Hold).await
}

pub(super) async fn resume(
    State(state): State<AppState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    octets: Bytes,
) -> Result<Response, Problem> {
    let Nothing {} = body(&headers, &octets)?;
    give(&state, &id, Order::Resume).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Transferring {
    /// `sip:USER@HOST[:PORT]`
    #[serde(default)]
    to: String,
    /// Instead: another call that is up, `call_…`. The caller's phone is asked to take our place in it (attended transfer)
    with: Option<String>,
    /// refer: the caller's phone is asked to call; room: we call, and both meet in a room; either, unless said: the phone is
    /// asked first, except where there is something to announce
    #[serde(default)]
    by: WayChoice,
    /// Whom the other side sees calling; the caller unless said
    from: Option<String>,
    /// How long it may ring: 1 to 180 s, 30 unless said
    timeout_s: Option<u64>,
    /// Said to the other side before it is put through
    announce: Option<String>,
    /// Said to the caller when nobody takes the call
    sorry: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum WayChoice {
    #[default]
    Either,
    Refer,
    Room,
}

pub(super) async fn transfer(
    State(state): State<AppState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    octets: Bytes,
) -> Result<Response, Problem> {
    let asked: Transferring = body(&headers, &octets)?;
    let with = asked.with.as_deref().map(call_id).transpose()?;
    match with {
        Some(_) if !asked.to.is_empty() || asked.announce.is_some() => {
            return Err(wrong("with: the call says whom; leave out to and announce"));
        }
        None if asked.to.is_empty() => return Err(wrong("write to: sip:USER@HOST, or with: a call")),
        _ => {}
    }
    let transfer = Transfer {
        to: asked.to,
        with,
        from: asked.from,
        way: match asked.by {
            WayChoice::Either => Way::Either,
            WayChoice::Refer if asked.announce.is_some() => {
                return Err(wrong("announce: a phone that is asked to do it announces nothing; leave out by"));
            }
            WayChoice::Refer => Way::Refer,
            WayChoice::Room => Way::Room,
        },
        ringing: ringing(asked.timeout_s)?,
        announce: asked.announce.map(text).transpose()?,
        sorry: asked.sorry.map(text).transpose()?,
    };
    let other = state.live_calls.control.transfer(call_id(&id)?, transfer).await?;
    Ok((StatusCode::ACCEPTED, Json(HandedOver { call: other.map(|other| other.to_string()) })).into_response())
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum With {
    One(String),
    Many(Vec<String>),
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Then {
    #[default]
    HangUp,
    Return,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Bridging {
    /// One other call, or several for a conference
    with: Option<With>,
    /// What becomes of a call that the others leave: it ends, or goes back to its agent or whoever steers
    #[serde(default)]
    then: Then,
    /// Instead: this call leaves the room and goes back
    #[serde(default)]
    end: bool,
}

/// Has calls hear each other, or takes this one out again.
pub(super) async fn bridge(
    State(state): State<AppState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    octets: Bytes,
) -> Result<Response, Problem> {
    let asked: Bridging = body(&headers, &octets)?;
    let with = match (asked.with, asked.end) {
        (None, true) => return give(&state, &id, Order::Leave { line: None }).await,
        (Some(With::One(one)), false) => vec![one],
        (Some(With::Many(many)), false) if !many.is_empty() => many,
        _ => return Err(wrong("write with: a call or a list of calls, or end: true")),
    };
    let mut calls = vec![call_id(&id)?];
    for other in &with {
        let other = call_id(other)?;
        if calls.contains(&other) {
            return Err(wrong(format!("with: {other} stands there twice")));
        }
        calls.push(other);
    }
    if calls.len() > ROOM_MEMBERS_MAX {
        return Err(wrong(format!("with: a room takes {ROOM_MEMBERS_MAX} calls")));
    }
    let room = RoomId(random::u64());
    let after = match asked.then {
        Then::HangUp => After::HangUp,
        Then::Return => After::Return,
    };
    for (n, call) in calls.iter().enumerate() {
        if let Err(error) = state.live_calls.control.order(*call, Order::Join { room, after }).await {
            // Those who are in come back, or are over.
            for call in &calls[..n] {
                let _ = state.live_calls.control.order(*call, Order::Leave { line: None }).await;
            }
            return Err(Problem::from(error).with("call", call.to_string().into()));
        }
    }
    Ok((StatusCode::OK, Json(Room { room: format!("room_{:016x}", room.0) })).into_response())
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HangingUp {
    /// Final response to a call that rings for us: 400 to 699, 603 unless said
    code: Option<u16>,
    /// For the record and the other side
    reason: Option<String>,
}

pub(super) async fn hang_up(
    State(state): State<AppState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    octets: Bytes,
) -> Result<Response, Problem> {
    let asked: HangingUp = body(&headers, &octets)?;
    if asked.code.is_some_and(|code| !(400..700).contains(&code)) {
        return Err(wrong("code: a final SIP response, 400 to 699"));
    }
    if asked.reason.as_ref().is_some_and(|reason| reason.len() > 200 || reason.chars().any(char::is_control)) {
        return Err(wrong("reason: at most 200 characters on one line"));
    }
    give(&state, &id, Order::HangUp { code: asked.code, reason: asked.reason }).await
}
