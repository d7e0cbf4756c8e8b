//! `/v1/webrtc`: calls from browsers, as WHIP has it (RFC 9725): an offer is posted, its answer comes back, the call is a
//! resource. Invariants: pages of other origins are served only where the operator names them; a request without a token, where
//! such are let in, reaches nothing but calls of browsers. Deliberately absent: what a call is (`call::browser`).

use super::access::Anonymous;
use super::events::{self, Start, Wanted};
use super::phones::only_with_token;
use super::problem::Problem;
use super::state::AppState;
use crate::call::browser::{Browsers, NotJoined, NotPatched, NotTaken, Offer, Patched};
use crate::id::CallId;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Extension, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};

const SDP: &str = "application/sdp";
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";
/// A browser asks again after this, seconds.
const PREFLIGHT_S: &str = "600";

/// Whom to call, or which call to take.
#[derive(Debug, Deserialize)]
pub(super) struct Wish {
    /// The number; the configured one unless said.
    to: Option<String>,
    /// A call that rings.
    answer: Option<String>,
}

pub(super) async fn facts(
    State(state): State<AppState>,
    anonymous: Option<Extension<Anonymous>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (browsers, origin) = guarded(&state, &headers)?;
    let mut servers: Vec<Value> = browsers.config().ice_servers.iter().map(|url| json!({"urls": [url]})).collect();
    let relay = browsers.relay();
    let policy = if relay.as_ref().is_some_and(|(_, only)| *only) { "relay" } else { "all" };
    servers.extend(
        relay.map(|(relay, _)| json!({"urls": relay.urls, "username": relay.username, "credential": relay.credential})),
    );
    // Where a page may wait is for whoever may wait.
    let phones = if anonymous.is_none() { browsers.config().phones } else { Vec::new() };
    let facts = json!({
        "ice_servers": servers, "ice_transport_policy": policy, "codecs": browsers.codecs(), "phones": phones,
    });
    let mut response = shared(Json(facts).into_response(), origin);
    // Credentials are for whoever asks, and end.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

pub(super) async fn preflight(State(state): State<AppState>, headers: HeaderMap) -> Result<Response, Problem> {
    let (_, origin) = guarded(&state, &headers)?;
    let mut response = shared(StatusCode::NO_CONTENT.into_response(), origin.clone());
    if origin.is_some() {
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PATCH, DELETE"),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type, if-match, last-event-id"),
            (header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_S),
        ] {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
    }
    response.headers_mut().insert("accept-post", HeaderValue::from_static(SDP));
    Ok(response)
}

pub(super) async fn join(
    State(state): State<AppState>,
    Query(wish): Query<Wish>,
    from: Option<Extension<ConnectInfo<SocketAddr>>>,
    anonymous: Option<Extension<Anonymous>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let (browsers, origin) = guarded(&state, &headers)?;
    of_type(&headers, SDP)?;
    if !accepts(&headers, SDP) {
        return Err(Problem::new(StatusCode::NOT_ACCEPTABLE, "the answer is application/sdp, which Accept excludes"));
    }
    let source = from.map_or_else(|| (Ipv4Addr::LOCALHOST, 0).into(), |Extension(ConnectInfo(from))| from);
    let joined = match wish.answer {
        Some(_) if wish.to.is_some() => {
            return Err(Problem::new(StatusCode::BAD_REQUEST, "write to, for a call, or answer, for one that rings"));
        }
        Some(id) => {
            only_with_token(anonymous)?;
            let call = id.parse().map_err(|_| gone())?;
            browsers.take(call, body.to_vec(), source).await
        }
        None => {
            let offer = Offer { to: wish.to, sdp: body.to_vec(), source, anonymous: anonymous.is_some() };
            browsers.join(offer).await
        }
    };
    let joined = joined.map_err(refused)?;
    let mut response = (StatusCode::CREATED, joined.answer).into_response();
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(SDP));
    for (name, value) in
        [(header::LOCATION, format!("/v1/webrtc/{}", joined.call)), (header::ETAG, format!("\"{}\"", joined.tag))]
    {
        if let Ok(value) = HeaderValue::from_str(&value) {
            fields.insert(name, value);
        }
    }
    Ok(shared(response, origin))
}

pub(super) async fn patch(
    State(state): State<AppState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let (browsers, origin) = guarded(&state, &headers)?;
    let call = browser_call(&browsers, &id)?;
    of_type(&headers, FRAGMENT)?;
    let Some(meant) = meant(&headers) else {
        return Err(Problem::new(
            StatusCode::PRECONDITION_REQUIRED,
            "send If-Match: the ETag of the ICE session that the candidates are of, or * to restart it",
        ));
    };
    let patched = browsers.patch(call, meant.as_deref(), &body).await.map_err(|error| {
        let status = match error {
            NotPatched::NoCall => StatusCode::NOT_FOUND,
            NotPatched::Stale => StatusCode::PRECONDITION_FAILED,
            NotPatched::Fragment(_) => StatusCode::BAD_REQUEST,
        };
        Problem::new(status, error.to_string())
    })?;
    Ok(shared(
        match patched {
            Patched::Taken => StatusCode::NO_CONTENT.into_response(),
            Patched::Restarted { answer, tag } => {
                let mut response = answer.into_response();
                response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(FRAGMENT));
                if let Ok(tag) = HeaderValue::from_str(&format!("\"{tag}\"")) {
                    response.headers_mut().insert(header::ETAG, tag);
                }
                response
            }
        },
        origin,
    ))
}

pub(super) async fn leave(
    State(state): State<AppState>,
    Path(id): Path<String>,
    anonymous: Option<Extension<Anonymous>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (browsers, origin) = guarded(&state, &headers)?;
    let call: CallId = id.parse().ok().filter(|call| browsers.is_known(*call)).ok_or_else(gone)?;
    // One that rings is declined.
    if !browsers.is_in(call) {
        only_with_token(anonymous)?;
    }
    match browsers.leave(call) {
        true => Ok(shared(StatusCode::OK.into_response(), origin)),
        false => Err(gone()),
    }
}

/// What has happened on the call and in its conversation since it began, then what happens, as it happens.
pub(super) async fn follow(
    State(state): State<AppState>,
    Path(id): Path<String>,
    Query(start): Query<Start>,
    headers: HeaderMap,
    wanted: Wanted,
) -> Result<Response, Problem> {
    let (browsers, origin) = guarded(&state, &headers)?;
    let call = browser_call(&browsers, &id)?;
    let (whole, started) = browsers.live(call).ok_or_else(gone)?;
    let start = events::since(&state, start, &headers, Some(started)).await?;
    let events = events::of_browser(&state, &browsers, (call, whole), start, &headers, wanted).await?;
    Ok(shared(events, origin))
}

fn gone() -> Problem {
    Problem::not_found("there is no such call from a browser (any more)")
}

fn browser_call(browsers: &Browsers, id: &str) -> Result<CallId, Problem> {
    id.parse().ok().filter(|call| browsers.is_in(*call)).ok_or_else(gone)
}

/// The door, and the origin to name in the answer: that of a page elsewhere which may call. Error: it may not.
pub(super) fn guarded(state: &AppState, headers: &HeaderMap) -> Result<(Browsers, Option<HeaderValue>), Problem> {
    let browsers = state.browsers.clone();
    let browsers = browsers.ok_or_else(|| Problem::not_found("calls from browsers are not served here"))?;
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok((browsers, None)) };
    let text = origin.to_str().unwrap_or_default();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    // The same origin; http and https are both ours, whichever of them a proxy has taken off.
    let ours = text.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host));
    if ours {
        return Ok((browsers, None));
    }
    match browsers.config().origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(text)) {
        true => Ok((browsers, Some(origin.clone()))),
        false => Err(Problem::new(
            StatusCode::FORBIDDEN,
            format!("pages of {text} may not call; write the origin into [webrtc] origins"),
        )),
    }
}

/// Which ICE sessions a fragment is for (RFC 9725 section 4.3.1, RFC 9110 section 13.1.1): `Some(None)`: whichever it is; tags
/// that are weak, or no tags, match none. `None`: it does not say, and would be taken for another session than it is of
/// (RFC 6585 section 3).
fn meant(headers: &HeaderMap) -> Option<Option<Vec<String>>> {
    let mut said = headers.get_all(header::IF_MATCH).iter().map(|v| v.to_str().unwrap_or_default()).peekable();
    said.peek()?;
    let mut tags = Vec::new();
    for tag in said.flat_map(|value| value.split(',')).map(str::trim) {
        if tag == "*" {
            return Some(None);
        }
        let strong = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
        tags.extend(strong.map(str::to_owned));
    }
    Some(Some(tags))
}

/// Lets a page elsewhere read the answer.
pub(super) fn shared(mut response: Response, origin: Option<HeaderValue>) -> Response {
    if let Some(origin) = origin {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::VARY, HeaderValue::from_static("Origin"));
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Location, ETag, Retry-After"));
    }
    response
}

fn of_type(headers: &HeaderMap, wanted: &str) -> Result<(), Problem> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let bare = given.split(';').next().unwrap_or_default().trim();
    match bare.eq_ignore_ascii_case(wanted) {
        true => Ok(()),
        false => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("send Content-Type: {wanted} (it was {bare:?})"),
        )),
    }
}

fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    let mut given = headers.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok()).peekable();
    if given.peek().is_none() {
        return true;
    }
    let fits = |range: &str| {
        let bare = range.split(';').next().unwrap_or_default().trim();
        bare == "*/*" || bare.eq_ignore_ascii_case("application/*") || bare.eq_ignore_ascii_case(kind)
    };
    given.flat_map(|value| value.split(',')).any(fits)
}

pub(super) fn refused(error: NotJoined) -> Problem {
    let status = match &error {
        NotJoined::Disabled => StatusCode::NOT_FOUND,
        NotJoined::BadNumber(_) => StatusCode::BAD_REQUEST,
        NotJoined::NotAllowed => StatusCode::FORBIDDEN,
        NotJoined::TooMany => StatusCode::TOO_MANY_REQUESTS,
        NotJoined::NotTaken(NotTaken::Taken) => StatusCode::CONFLICT,
        NotJoined::NotTaken(NotTaken::Silent) => StatusCode::NOT_FOUND,
        NotJoined::NotAdmitted(_) | NotJoined::NoAnswer => StatusCode::SERVICE_UNAVAILABLE,
        NotJoined::Refused { code, .. } => match code {
            400 => StatusCode::BAD_REQUEST,
            403 => StatusCode::FORBIDDEN,
            404 | 410 | 484 | 604 => StatusCode::NOT_FOUND,
            488 | 606 => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        },
    };
    let sip = match &error {
        NotJoined::Refused { code, .. } => Some(*code),
        _ => None,
    };
    let problem = Problem::new(status, error.to_string());
    match sip {
        Some(code) => problem.with("sip_code", code.into()),
        None => problem,
    }
}

/// Whether the path is of these resources, which have rules of their own about who may use them.
pub(super) fn is_of(method: &Method, path: &str) -> Resource {
    let ours = path == "/v1/webrtc" || path.starts_with("/v1/webrtc/");
    match (ours, *method == Method::OPTIONS) {
        (false, _) => Resource::Other,
        (true, true) => Resource::Preflight,
        (true, false) => Resource::Call,
    }
}

/// What a request is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Resource {
    /// Anything else.
    Other,
    /// A browser asks whether a page may ask.
    Preflight,
    /// A browser's call.
    Call,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_told_with_parameters_and_lists() {
        let with =
            |name, value: &'static str| [(name, HeaderValue::from_static(value))].into_iter().collect::<HeaderMap>();
        assert!(of_type(&with(header::CONTENT_TYPE, "Application/SDP; charset=utf-8"), SDP).is_ok());
        assert!(of_type(&with(header::CONTENT_TYPE, "application/json"), SDP).is_err());
        assert!(of_type(&HeaderMap::new(), SDP).is_err());
        for (accept, fits) in
            [("*/*", true), ("text/html, application/sdp;q=0.5", true), ("application/*", true), ("text/html", false)]
        {
            assert_eq!(accepts(&with(header::ACCEPT, accept), SDP), fits, "{accept}");
        }
        assert!(accepts(&HeaderMap::new(), SDP));
    }

    #[test]
    fn the_session_that_is_meant_is_read_as_rfc_9110_has_it() {
        let read = |values: &[&'static str]| {
            let fields = values.iter().map(|value| (header::IF_MATCH, HeaderValue::from_static(value)));
            meant(&fields.collect::<HeaderMap>())
        };
        let tags = |tags: &[&str]| Some(Some(tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>()));
        assert_eq!(read(&[]), None);
        assert_eq!(read(&["*"]), Some(None));
        assert_eq!(read(&["\"a/+\""]), tags(&["a/+"]));
        assert_eq!(read(&["\"a\" , \"b\""]), tags(&["a", "b"]));
        for none in ["W/\"a\"", "a", "", "\"", "\"a"] {
            assert_eq!(read(&[none]), tags(&[]), "{none}");
        }
    }

    #[test]
    fn only_these_resources_have_rules_of_their_own() {
        assert_eq!(is_of(&Method::POST, "/v1/webrtc"), Resource::Call);
        assert_eq!(is_of(&Method::OPTIONS, "/v1/webrtc/call_1"), Resource::Preflight);
        assert_eq!(is_of(&Method::OPTIONS, "/v1/calls"), Resource::Other);
        assert_eq!(is_of(&Method::GET, "/v1/webrtcx"), Resource::Other);
    }
}
