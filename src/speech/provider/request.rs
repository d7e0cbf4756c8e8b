//! Requests to providers: addresses, clients, and answers that are errors. Owning thread: the cloud. Invariants: an
//! endpoint on this machine, or without encryption in its network, is never asked through a proxy; redirects are not followed; of an error's answer only the
//! beginning is read. Deliberately absent: what is asked (one file a provider).
//!
//! Certificates are checked against the machine's own store; `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` are followed.

use super::failure::ProviderError;
use crate::config::is_near;
use crate::limits::PROVIDER_CONNECT_MAX;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, Url};
use std::net::IpAddr;

/// `{base}/v1/{path}`; the schemes of WebSockets are those of their handshakes.
pub(super) fn endpoint(base: &str, path: &str) -> Result<Url, ProviderError> {
    let base = base.trim().trim_end_matches('/');
    let base = base.strip_suffix("/v1").unwrap_or(base);
    let base = match base.split_once("://") {
        Some(("wss", rest)) => format!("https://{rest}"),
        Some(("ws", rest)) => format!("http://{rest}"),
        _ => base.to_owned(),
    };
    let refused = || ProviderError::Refused("url is no address such as https://api.example.com".into());
    let base = Url::parse(&base).map_err(|_| refused())?;
    let plain = base.query().is_none() && base.fragment().is_none();
    let usable = matches!(base.scheme(), "http" | "https") && base.has_host() && base.password().is_none() && plain;
    if !usable {
        return Err(refused());
    }
    let base = base.as_str().trim_end_matches('/');
    Url::parse(&format!("{base}/v1/{path}")).map_err(|_| refused())
}

/// What an answer other than success says; of its body only the beginning is read.
pub(super) async fn answer_error(mut response: Response, redact: impl Fn(&str) -> String) -> ProviderError {
    const READ_MAX: usize = 4096;
    let (status, headers) = (response.status(), response.headers().clone());
    let mut body = Vec::new();
    while body.len() < READ_MAX {
        match response.chunk().await {
            Ok(Some(more)) => body.extend_from_slice(&more[..more.len().min(READ_MAX - body.len())]),
            Ok(None) | Err(_) => break,
        }
    }
    ProviderError::of_answer(status, &headers, &redact(&String::from_utf8_lossy(&body)))
}

/// A client for one endpoint; keeps connections to it warm between requests.
pub(super) fn client(endpoint: &Url) -> Result<Client, ProviderError> {
    // The client asks for it when it is built. Somebody else may have installed the same one before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let host = endpoint.host_str().unwrap_or_default().trim_matches(['[', ']']);
    // Without encryption the configuration allows hosts of our own network only; no proxy is to read the key.
    let here = host == "localhost"
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        || (endpoint.scheme() == "http" && is_near(host));
    // A redirect would carry audio, and perhaps a key, to where nobody has configured it to go.
    let builder = Client::builder()
        .redirect(Policy::none())
        .connect_timeout(PROVIDER_CONNECT_MAX)
        .tcp_nodelay(true)
        .user_agent(concat!("callwright/", env!("CARGO_PKG_VERSION")));
    let builder = if here { builder.no_proxy() } else { builder };
    builder.build().map_err(|error| ProviderError::Unreachable(error.without_url().to_string()))
}

/// Sends a request; an answer other than success is an error.
pub(super) async fn ask(request: RequestBuilder, redact: impl Fn(&str) -> String) -> Result<Response, ProviderError> {
    let response = request.send().await.map_err(ProviderError::of_request)?;
    if response.status().is_success() { Ok(response) } else { Err(answer_error(response, redact).await) }
}
