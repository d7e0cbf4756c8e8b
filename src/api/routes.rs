//! The route table. Purpose: the one list of what the API answers; `openapi::docs` describes each, as a test
//! holds. Adding a resource is one file, its rows here and their descriptions.

use super::access::Access;
use super::problem::Problem;
use super::state::AppState;
use super::{
    access, apps, builds, calls, conversations, deliveries, events, health, intents, ladder, messages, metrics, page,
    phones, recordings, reload, return_calls, steer, stream, trunks, twilio, webrtc,
};
use crate::limits::HTTP_BODY_MAX;
use crate::pipeline::deploy::is_local_host;
use crate::telemetry::metric;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, options, patch, post};
use std::sync::Arc;

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// `GET`, `POST`, `PATCH`, `DELETE` or `OPTIONS`.
    pub method: &'static str,
    /// Path template.
    pub path: &'static str,
    handler: fn() -> MethodRouter<AppState>,
}

const fn row(method: &'static str, path: &'static str, handler: fn() -> MethodRouter<AppState>) -> Route {
    Route { method, path, handler }
}

/// Everything that the API answers.
pub const ROUTES: &[Route] = &[
    row("GET", "/", || get(page::html)),
    row("GET", "/page.css", || get(page::css)),
    row("GET", "/page.js", || get(page::js)),
    row("GET", "/call", || get(page::call_html)),
    row("GET", "/call.css", || get(page::call_css)),
    row("GET", "/call.js", || get(page::call_js)),
    row("GET", "/client.js", || get(page::client_js)),
    row("GET", "/client.d.ts", || get(page::client_types)),
    row("GET", "/health", || get(health::report)),
    row("GET", "/health/live", || get(health::live)),
    row("GET", "/health/ready", || get(health::ready)),
    row("POST", "/incoming", || post(twilio::incoming)),
    row("POST", "/incoming/status", || post(twilio::status)),
    row("GET", "/media", || get(twilio::media)),
    row("GET", "/metrics", || get(metrics::text)),
    row("GET", "/openapi.json", || get(page::description)),
    row("GET", "/stream", || get(stream::upgrade)),
    row("GET", "/v1/apps", || get(apps::list)),
    row("DELETE", "/v1/apps/{name}", || delete(apps::delete)),
    row("GET", "/v1/apps/{name}/facts", || get(apps::facts)),
    row("POST", "/v1/apps/{name}/rollback", || post(apps::roll_back)),
    row("GET", "/v1/builds", || get(builds::list)),
    row("POST", "/v1/builds", || post(builds::create)),
    row("GET", "/v1/builds/{id}", || get(builds::one)),
    row("POST", "/v1/builds/{id}/answers", || post(builds::answer)),
    row("POST", "/v1/builds/{id}/cancel", || post(builds::cancel)),
    row("GET", "/v1/calls", || get(calls::list)),
    row("POST", "/v1/calls", || post(steer::place)),
    row("GET", "/v1/calls/{id}", || get(calls::one)),
    row("POST", "/v1/calls/{id}/answer", || post(steer::answer)),
    row("POST", "/v1/calls/{id}/bridge", || post(steer::bridge)),
    row("POST", "/v1/calls/{id}/digits", || post(steer::digits)),
    row("GET", "/v1/calls/{id}/events", || get(events::of_call)),
    row("POST", "/v1/calls/{id}/hangup", || post(steer::hang_up)),
    row("POST", "/v1/calls/{id}/hold", || post(steer::hold)),
    row("GET", "/v1/calls/{id}/ladder", || get(ladder::text)),
    row("GET", "/v1/calls/{id}/ladder.pcap", || get(ladder::pcap)),
    row("POST", "/v1/calls/{id}/play", || post(steer::play)),
    row("GET", "/v1/calls/{id}/recording", || get(recordings::sound)),
    row("POST", "/v1/calls/{id}/recording/pause", || post(recordings::pause)),
    row("POST", "/v1/calls/{id}/recording/resume", || post(recordings::resume)),
    row("POST", "/v1/calls/{id}/resume", || post(steer::resume)),
    row("POST", "/v1/calls/{id}/say", || post(steer::say)),
    row("POST", "/v1/calls/{id}/transfer", || post(steer::transfer)),
    row("GET", "/v1/conversations/{id}", || get(conversations::one)),
    row("GET", "/v1/deliveries", || get(deliveries::list)),
    row("POST", "/v1/deliveries/{id}/retry", || post(deliveries::retry)),
    row("GET", "/v1/events", || get(events::stream)),
    row("POST", "/v1/intents", || post(intents::recognise)),
    row("GET", "/v1/messages", || get(messages::list)),
    row("POST", "/v1/reload", || post(reload::reload)),
    row("GET", "/v1/return_calls", || get(return_calls::list)),
    row("POST", "/v1/return_calls/{id}/retry", || post(return_calls::retry)),
    row("GET", "/v1/trunks", || get(trunks::list)),
    row("GET", "/v1/webrtc", || get(webrtc::facts)),
    row("OPTIONS", "/v1/webrtc", || options(webrtc::preflight)),
    row("POST", "/v1/webrtc", || post(webrtc::join)),
    row("DELETE", "/v1/webrtc/{id}", || delete(webrtc::leave)),
    row("OPTIONS", "/v1/webrtc/{id}", || options(webrtc::preflight)),
    row("PATCH", "/v1/webrtc/{id}", || patch(webrtc::patch)),
    row("GET", "/v1/webrtc/{id}/events", || get(webrtc::follow)),
    row("OPTIONS", "/v1/webrtc/{id}/events", || options(webrtc::preflight)),
    row("GET", "/v1/webrtc/phones/{number}", || get(phones::wait)),
    row("OPTIONS", "/v1/webrtc/phones/{number}", || options(webrtc::preflight)),
];

/// The API over `state`.
pub fn router(state: AppState) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        let path = route.path;
        let counted = middleware::map_response(move |response: Response| async move {
            metric::api_answer(path, response.status().as_u16());
            response
        });
        router = router.route(path, (route.handler)().layer(counted));
    }
    router
        .fallback(async || Problem::not_found("there is no such resource; GET /openapi.json lists all"))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this resource does not take that method")
        })
        .layer(DefaultBodyLimit::max(HTTP_BODY_MAX))
        .layer(middleware::from_fn_with_state(Arc::clone(&state.access), only_own_pages))
        .layer(middleware::from_fn_with_state(Arc::clone(&state.access), access::guard))
        .layer(middleware::from_fn_with_state(Arc::clone(&state.access), only_local_names))
        .with_state(state)
}

/// A foreign web page can point a name of its own at loopback; such names are not served, unless a token is asked for, which
/// such a page has not.
async fn only_local_names(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    if access.is_guarded() || access::is_signed(request.uri().path()) || is_local_host(request.headers()) {
        return next.run(request).await;
    }
    let detail = "the Host field must be localhost or an address";
    Problem::new(StatusCode::MISDIRECTED_REQUEST, detail).into_response()
}

/// A foreign web page, also one of an app on another port, can send a POST to loopback unasked; browsers say that they do so.
/// Where a token is asked for, such a page has none; calls from browsers and Twilio have rules of their own.
async fn only_own_pages(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method(), request.uri().path());
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
        || access.is_guarded()
        || access::is_signed(path)
        || webrtc::is_of(method, path) != webrtc::Resource::Other
        || is_own_page(request.headers())
    {
        return next.run(request).await;
    }
    tracing::warn!(path, "a page of another origin asked for a change and was refused");
    Problem::new(StatusCode::FORBIDDEN, "pages of other origins may not change anything here").into_response()
}

/// By Fetch Metadata where the browser sends them, else by the origin (RFC 6454); programs send neither.
fn is_own_page(headers: &HeaderMap) -> bool {
    match headers.get("sec-fetch-site") {
        Some(site) => site == "same-origin" || site == "none",
        None => stream::is_own_page(headers),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    #[test]
    fn what_a_foreign_page_sends_is_told_from_our_page_and_from_programs() {
        for (fields, own) in [
            (&[][..], true),
            (&[("sec-fetch-site", "same-origin"), ("origin", "https://proxy.example")], true),
            (&[("sec-fetch-site", "none")], true),
            (&[("sec-fetch-site", "same-site"), ("origin", "http://127.0.0.1:8100")], false),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "")], false),
            (&[("origin", "http://127.0.0.1:8080")], true),
            (&[("origin", "http://127.0.0.1:8100")], false),
            (&[("origin", "null")], false),
            (&[("origin", "http://evil.example")], false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("host", HeaderValue::from_static("127.0.0.1:8080"));
            for (name, value) in fields {
                headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            assert_eq!(is_own_page(&headers), own, "{fields:?}");
        }
    }
}
