//! The pages at `/` and `/call`, the client that other pages call with, and the API's description; files next to this one,
//! embedded.

use super::openapi;
use axum::http::{HeaderName, header};
use axum::response::IntoResponse;
use std::sync::LazyLock;

/// `/openapi.json`, made once.
static OPENAPI: LazyLock<String> = LazyLock::new(|| openapi::document().to_string());

/// The microphone is for us, not for what may be framed here.
const FEATURES: &str = "microphone=(self), camera=(), geolocation=()";
/// Everything from here, nothing inline, no frames: transcripts are callers' words.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

fn file(kind: &'static str, content: &'static str) -> ([(HeaderName, &'static str); 4], &'static str) {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, content)
}

pub(super) async fn html() -> impl IntoResponse {
    file("text/html; charset=utf-8", include_str!("page/page.html"))
}

pub(super) async fn css() -> impl IntoResponse {
    file("text/css; charset=utf-8", include_str!("page/page.css"))
}

pub(super) async fn js() -> impl IntoResponse {
    file("text/javascript; charset=utf-8", include_str!("page/page.js"))
}

pub(super) async fn call_html() -> impl IntoResponse {
    let features = [(HeaderName::from_static("permissions-policy"), FEATURES)];
    (features, file("text/html; charset=utf-8", include_str!("page/call.html")))
}

pub(super) async fn call_css() -> impl IntoResponse {
    file("text/css; charset=utf-8", include_str!("page/call.css"))
}

pub(super) async fn call_js() -> impl IntoResponse {
    file("text/javascript; charset=utf-8", include_str!("page/call.js"))
}

/// Pages elsewhere may load it, also with a digest to check it by (Subresource Integrity); it holds no secret.
fn client(kind: &'static str, content: &'static str) -> impl IntoResponse {
    ([(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")], file(kind, content))
}

pub(super) async fn client_js() -> impl IntoResponse {
    client("text/javascript; charset=utf-8", include_str!("page/client.js"))
}

pub(super) async fn client_types() -> impl IntoResponse {
    client("application/typescript; charset=utf-8", include_str!("page/client.d.ts"))
}

pub(super) async fn description() -> impl IntoResponse {
    file("application/json", OPENAPI.as_str())
}
