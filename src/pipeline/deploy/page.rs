//! What the gateway says itself, for people (HTML) or programs (RFC 9457 problem). Pure.

use super::gateway::AnswerBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::json;

/// Whether the client is a program: it asks under `/api/` or wants no HTML.
pub(super) fn wants_json(path: &str, headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    path.starts_with("/api/") || (accept.contains("json") && !accept.contains("html"))
}

/// One sentence about the app called `title`, with a status.
pub(super) fn answer(status: StatusCode, title: &str, words: &str, json: bool) -> Response<AnswerBody> {
    let (kind, text) = if json {
        let problem = json!({"title": status.canonical_reason(), "status": status.as_u16(), "detail": words});
        ("application/problem+json", problem.to_string())
    } else {
        ("text/html; charset=utf-8", html(status, title, words))
    };
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync();
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
    }
    answer
}

fn html(status: StatusCode, title: &str, words: &str) -> String {
    let title = escaped(title);
    let refresh = if status == StatusCode::BAD_GATEWAY { "<meta http-equiv=refresh content=3>" } else { "" };
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">{refresh}\
         <title>{title}</title><style>body{{font:1.05rem/1.6 system-ui,sans-serif;max-width:34rem;margin:18vh auto;padding:0 \
         1.5rem;color:#1d2733;background:#f6f7f9}}h1{{font-size:1.5rem}}p{{color:#51606f}}@media (prefers-color-scheme:dark)\
         {{body{{color:#e6ebf0;background:#141a20}}p{{color:#9fb0c0}}}}</style><h1>{title}</h1><p>{words}</p>"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
