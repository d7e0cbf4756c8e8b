//! Errors of the API as RFC 9457 problems.

use crate::call::registry::NotPaused;
use crate::pipeline::SubmitError;
use crate::store::StoreError;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use tokio::task::spawn_blocking;

/// One problem.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    /// `about:blank` or a short name that programs can tell apart.
    kind: &'static str,
    detail: String,
    extra: Map<String, Value>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, kind: "about:blank", detail: detail.into(), extra: Map::new() }
    }

    pub(super) fn not_found(what: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, what)
    }

    pub(super) const fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) fn of_kind(mut self, kind: &'static str) -> Self {
        self.kind = kind;
        self
    }

    pub(super) fn with(mut self, name: &str, value: Value) -> Self {
        self.extra.insert(name.to_owned(), value);
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({
            "type": self.kind,
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        if let Some(object) = body.as_object_mut() {
            object.extend(self.extra);
        }
        let mut response = (self.status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(e: StoreError) -> Self {
        let status = if e.retry() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::INTERNAL_SERVER_ERROR };
        Self::new(status, e.to_string())
    }
}

impl From<NotPaused> for Problem {
    fn from(e: NotPaused) -> Self {
        let status = match e {
            NotPaused::NoCall => StatusCode::NOT_FOUND,
            NotPaused::NotRecorded => StatusCode::CONFLICT,
        };
        Self::new(status, e.to_string())
    }
}

impl From<SubmitError> for Problem {
    fn from(e: SubmitError) -> Self {
        match e {
            SubmitError::Slow { waiting } => Self::new(StatusCode::SERVICE_UNAVAILABLE, e.to_string())
                .of_kind("slow")
                .with("waiting", waiting.into()),
            SubmitError::Invalid(_) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, e.to_string()),
            SubmitError::Store(e) => e.into(),
        }
    }
}

/// Reads the store away from tokio's threads.
pub(super) async fn read<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Problem> {
    match spawn_blocking(work).await {
        Ok(outcome) => Ok(outcome?),
        Err(_) => Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the request was not finished")),
    }
}
