//! Why a provider did not do its part. Purpose: one enum for every provider, which tells whose fault it is, what mends it
//! and what the breaker makes of it. Plain data. Invariant: no message holds a key: answers to refused keys are reduced to
//! their code, others are redacted by whoever reads them. Deliberately absent: retries (the local engine takes over).

use super::breaker::Fault;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::Value;
use std::error::Error;
use std::time::Duration;

/// Longest pause that a provider may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);
/// Characters of a provider's own words that are passed on.
const SAID_MAX: usize = 200;
/// Codes by which providers say that the account is empty: ElevenLabs with 401, OpenAI with 429.
const EXHAUSTED_CODES: [&str; 4] =
    ["quota_exceeded", "insufficient_quota", "credit_balance_exhausted", "payment_required"];

/// Why there is no result. Each is for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The operator's fault; not tried again.
    #[error("the key was refused ({0}): put a valid one where it is configured and restart")]
    BadKey(String),
    /// The operator's fault; tried again after minutes.
    #[error("the account is used up ({0}): its plan or balance is to be raised")]
    Exhausted(String),
    /// The operator's fault or ours: model, voice or parameters.
    #[error("it refused the request ({0}): check model, voice and url")]
    Refused(String),
    /// Nobody's fault; passes.
    #[error("too many requests for the account's plan{}", .0.map_or(String::new(), |wait| format!("; it asks to wait {} s", wait.as_secs())))]
    RateLimited(Option<Duration>),
    /// The provider's fault.
    #[error("a fault at the provider ({0})")]
    Server(String),
    /// The network's fault, or the url is wrong.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// The certificate is not one that this machine trusts, or it is no TLS at all.
    #[error("no trusted TLS connection: {0}; check url, clock and the machine's certificates")]
    Tls(String),
    /// Silent server or slow network.
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
    /// It speaks, or takes audio, slower than people do.
    #[error("slower than real time")]
    Slow,
    /// The provider's fault, or another protocol.
    #[error("its answer is not as documented: {0}")]
    Garbage(String),
    /// As [`Garbage`](Self::Garbage).
    #[error("its message is too large")]
    Oversized,
    /// The connection ended before the answer did.
    #[error("it closed the connection midway ({0})")]
    Closed(String),
    /// The breaker is open.
    #[error("left alone after failures{}", .0.map_or(String::new(), |wait| format!("; asked again in {} s", wait.as_secs())))]
    Paused(Option<Duration>),
}

impl ProviderError {
    /// The label in metrics.
    pub(super) const fn outcome(&self) -> &'static str {
        match self {
            Self::BadKey(_) => "bad_key",
            Self::Exhausted(_) => "exhausted",
            Self::Refused(_) => "refused",
            Self::RateLimited(_) => "rate_limited",
            Self::Server(_) => "server",
            Self::Unreachable(_) => "unreachable",
            Self::Tls(_) => "tls",
            Self::Late(_) => "late",
            Self::Slow => "slow",
            Self::Garbage(_) => "garbage",
            Self::Oversized => "oversized",
            Self::Closed(_) => "closed",
            Self::Paused(_) => "paused",
        }
    }

    pub(super) const fn fault(&self) -> Fault {
        match self {
            Self::BadKey(_) => Fault::BadKey,
            Self::Exhausted(_) => Fault::Exhausted,
            Self::RateLimited(wait) => Fault::AskedToWait(*wait),
            _ => Fault::Passing,
        }
    }

    /// What an answer other than success means. `body` is its beginning, without the key.
    pub(super) fn of_answer(status: StatusCode, headers: &HeaderMap, body: &str) -> Self {
        let said = Said::read(body);
        let exhausted = said.code.as_deref().is_some_and(|code| EXHAUSTED_CODES.contains(&code));
        let short = |code: Option<&str>| {
            code.map_or_else(|| status.as_u16().to_string(), |code| format!("{} {code}", status.as_u16()))
        };
        let wait = retry_after(headers);
        match status.as_u16() {
            402 => Self::Exhausted(short(said.code.as_deref())),
            401 | 403 | 429 if exhausted => Self::Exhausted(short(said.code.as_deref())),
            // Some providers put the key, or parts of it, into what they say to a wrong one.
            401 => Self::BadKey(short(said.code.as_deref())),
            // A gate in between, a region, one model that the plan lacks: it may pass, and the key may be good.
            403 => Self::Refused(short(said.code.as_deref())),
            429 => Self::RateLimited(wait),
            503 if wait.is_some() => Self::RateLimited(wait),
            408 | 500..=599 => Self::Server(format!("{} {}", status.as_u16(), said.words).trim_end().to_owned()),
            _ => Self::Refused(format!("{} {}", status.as_u16(), said.words).trim_end().to_owned()),
        }
    }

    /// What a failed request means.
    pub(super) fn of_request(error: reqwest::Error) -> Self {
        let error = error.without_url();
        if let Some(tls) = tls_cause(&error) {
            return Self::Tls(tls);
        }
        let cause = innermost(&error);
        // The words of the TLS layer for a server that closes instead of answering.
        if cause.starts_with("tls ") {
            return Self::Tls(cause);
        }
        if error.is_timeout() || error.is_connect() {
            Self::Unreachable(cause)
        } else if error.is_builder() {
            Self::Refused(cause)
        } else {
            Self::Closed(cause)
        }
    }
}

/// Seconds of a Retry-After (RFC 9110 section 10.2.3). Dates are not used by these providers.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

fn innermost(error: &dyn Error) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string()
}

fn tls_cause(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls.to_string());
        }
        // The source of such an error is the source of what it holds, not what it holds.
        let held = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(found) = held.and_then(|held| tls_cause(held)) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// What a provider says of an error, in any of their documented forms.
struct Said {
    code: Option<String>,
    words: String,
}

impl Said {
    fn read(body: &str) -> Self {
        let value: Value = serde_json::from_str(body).unwrap_or(Value::Null);
        // OpenAI nests under `error`, ElevenLabs under `detail`, Deepgram does not nest.
        let inner = ["error", "detail"].iter().find_map(|name| value.get(name)).unwrap_or(&value);
        let field = |names: &[&str]| {
            names.iter().find_map(|name| inner.get(name)).and_then(Value::as_str).map(ToOwned::to_owned)
        };
        let code = field(&["code", "status", "err_code", "category", "type"]);
        let code =
            code.filter(|code| code.len() <= 64 && code.bytes().all(|octet| octet.is_ascii_graphic() || octet == b' '));
        let words = field(&["message", "err_msg", "details", "description"]);
        let words = words.or_else(|| inner.as_str().map(ToOwned::to_owned)).unwrap_or_default();
        Self { words: quoted(&words, code.as_deref()), code }
    }
}

fn quoted(words: &str, code: Option<&str>) -> String {
    let words: String = words.chars().filter(|c| !c.is_control()).take(SAID_MAX).collect();
    match (code, words.is_empty()) {
        (Some(code), false) => format!("{code}: {words}"),
        (Some(code), true) => code.to_owned(),
        (None, _) => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    fn of(status: u16, body: &str) -> ProviderError {
        ProviderError::of_answer(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body)
    }

    #[test]
    fn answers_in_the_forms_of_every_provider() {
        // developers.deepgram.com/docs/errors, "Invalid credentials", "Insufficient permissions", "Insufficient credits"
        let deepgram = r#"{"err_code":"INVALID_AUTH","err_msg":"Invalid credentials.","request_id":"uuid"}"#;
        assert_eq!(of(401, deepgram), ProviderError::BadKey("401 INVALID_AUTH".into()));
        let payment =
            r#"{"err_code":"ASR_PAYMENT_REQUIRED","err_msg":"Project does not have enough credits.","request_id":"u"}"#;
        assert_eq!(of(402, payment), ProviderError::Exhausted("402 ASR_PAYMENT_REQUIRED".into()));
        // help.elevenlabs.io, "API - Error Code 400 or 401"
        let elevenlabs = r#"{"detail":{"status":"invalid_api_key","message":"Invalid API key"}}"#;
        assert_eq!(of(401, elevenlabs), ProviderError::BadKey("401 invalid_api_key".into()));
        let quota = r#"{"detail":{"status":"quota_exceeded","message":"This request exceeds your quota."}}"#;
        assert_eq!(of(401, quota), ProviderError::Exhausted("401 quota_exceeded".into()));
        let voice = r#"{"detail":{"status":"voice_not_found","message":"A voice with voice_id 'x' was not found."}}"#;
        assert!(matches!(of(404, voice), ProviderError::Refused(said) if said.contains("voice_not_found: A voice")));
        // developers.openai.com/api/docs/guides/error-codes
        let openai = r#"{"error":{"message":"Incorrect API key provided: sk-ab***yz.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#;
        assert_eq!(of(401, openai), ProviderError::BadKey("401 invalid_api_key".into()));
        let empty = r#"{"error":{"message":"You exceeded your current quota.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#;
        assert_eq!(of(429, empty), ProviderError::Exhausted("429 insufficient_quota".into()));
        assert_eq!(of(429, ""), ProviderError::RateLimited(None));
        assert_eq!(of(500, "<html>"), ProviderError::Server("500".into()));
        assert_eq!(of(403, "\u{0}\u{1}"), ProviderError::Refused("403".into()));
    }

    #[test]
    fn a_wait_is_read_and_bounded() {
        let mut headers = HeaderMap::new();
        for (value, expected) in
            [("7", Some(7)), (" 7 ", Some(7)), ("99999999", Some(3600)), ("-1", None), ("soon", None)]
        {
            headers.insert(RETRY_AFTER, HeaderValue::from_str(value).unwrap());
            let found = ProviderError::of_answer(StatusCode::TOO_MANY_REQUESTS, &headers, "");
            assert_eq!(found, ProviderError::RateLimited(expected.map(Duration::from_secs)), "{value}");
        }
        headers.insert(RETRY_AFTER, HeaderValue::from_static("3"));
        let found = ProviderError::of_answer(StatusCode::SERVICE_UNAVAILABLE, &headers, "");
        assert_eq!(found, ProviderError::RateLimited(Some(Duration::from_secs(3))));
    }

    #[test]
    fn what_is_said_is_short_and_plain() {
        let long = format!(r#"{{"detail":"{}\n"}}"#, "x".repeat(5000));
        let ProviderError::Refused(said) = of(422, &long) else { panic!() };
        assert!(said.len() < 300 && !said.contains('\n'), "{said}");
    }
}
