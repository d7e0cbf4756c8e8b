//! The few HTTP requests that the demonstration makes, to the control API and to the built app. Purpose: what a browser
//! or curl would do, so that the demonstration proves what a person would see. Any task.
//! Deliberately absent: TLS, redirects, pooling: one request, one connection, loopback.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use serde_json::Value;

use crate::limits::HTTP_BODY_MAX;

/// One answer takes no longer than this on one machine; a slower one counts as none.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why there was no usable answer. The other side's fault; asking again later may help.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    #[error("{url} is no http URL with an address and a port")]
    Url { url: String },
    #[error("{url} does not answer: {why}")]
    Silent { url: String, why: String },
    #[error("{url} answers {status}: {body}")]
    Refused { url: String, status: u16, body: String },
    #[error("{url} does not answer with JSON: {why}")]
    NoJson { url: String, why: String },
}

/// A 2xx answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) content_type: String,
    pub(super) body: String,
}

/// Any answer counts, whatever its status.
pub(super) async fn status(url: &str) -> Result<(u16, String), RequestError> {
    send(Method::GET, url, None).await.map(|(status, answer)| (status, answer.body))
}

/// GET of anything; 2xx or an error.
pub(super) async fn get(url: &str) -> Result<Answer, RequestError> {
    accepted(url, send(Method::GET, url, None).await?)
}

/// GET of JSON.
pub(super) async fn get_json(url: &str) -> Result<Value, RequestError> {
    json(url, &get(url).await?)
}

/// POST of JSON, answered by JSON.
pub(super) async fn post_json(url: &str, body: &Value) -> Result<Value, RequestError> {
    let answer = accepted(url, send(Method::POST, url, Some(body.to_string())).await?)?;
    json(url, &answer)
}

fn json(url: &str, answer: &Answer) -> Result<Value, RequestError> {
    serde_json::from_str(&answer.body).map_err(|e| RequestError::NoJson { url: url.to_owned(), why: e.to_string() })
}

fn accepted(url: &str, (status, answer): (u16, Answer)) -> Result<Answer, RequestError> {
    if (200..300).contains(&status) {
        return Ok(answer);
    }
    let body = answer.body.chars().take(300).collect();
    Err(RequestError::Refused { url: url.to_owned(), status, body })
}

async fn send(method: Method, url: &str, body: Option<String>) -> Result<(u16, Answer), RequestError> {
    let silent = |why: String| RequestError::Silent { url: url.to_owned(), why };
    tokio::time::timeout(PATIENCE, exchange(method, url, body))
        .await
        .unwrap_or_else(|_| Err(silent(format!("no answer within {} s", PATIENCE.as_secs()))))
}

async fn exchange(method: Method, url: &str, body: Option<String>) -> Result<(u16, Answer), RequestError> {
    let silent = |why: String| RequestError::Silent { url: url.to_owned(), why };
    let no_url = || RequestError::Url { url: url.to_owned() };
    let uri: Uri = url.parse().map_err(|_| no_url())?;
    let authority = uri.authority().ok_or_else(no_url)?.as_str();
    let address: SocketAddr = authority.replace("localhost", "127.0.0.1").parse().map_err(|_| no_url())?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());

    let stream = tokio::net::TcpStream::connect(address).await.map_err(|e| silent(e.to_string()))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| silent(e.to_string()))?;
    let driver = tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header(HOST, authority);
    if body.is_some() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    let request = request.body(Full::new(Bytes::from(body.unwrap_or_default()))).map_err(|_| no_url())?;
    let response = sender.send_request(request).await.map_err(|e| silent(e.to_string()))?;
    let status = response.status().as_u16();
    let content_type =
        response.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let bytes = Limited::new(response.into_body(), HTTP_BODY_MAX)
        .collect()
        .await
        .map_err(|e| silent(e.to_string()))?
        .to_bytes();
    driver.abort();
    Ok((status, Answer { content_type, body: String::from_utf8_lossy(&bytes).into_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    /// Answers one connection with these bytes and gives back what it was sent.
    fn server(reply: &'static [u8]) -> (String, std::thread::JoinHandle<String>) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/a?b=c", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; 4096];
            let mut seen = String::new();
            while !seen.contains("\r\n\r\n") || (seen.starts_with("POST") && !seen.ends_with('}')) {
                let read = stream.read(&mut buffer).unwrap();
                seen.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
            }
            stream.write_all(reply).unwrap();
            seen
        });
        (url, thread)
    }

    #[tokio::test]
    async fn a_post_carries_json_and_brings_json() {
        let (url, thread) = server(b"HTTP/1.1 201 Created\r\ncontent-length: 8\r\n\r\n{\"id\":1}");
        let answer = post_json(&url, &serde_json::json!({"name": "Ann"})).await.unwrap();
        assert_eq!(answer["id"], 1);
        let seen = thread.join().unwrap();
        assert!(seen.starts_with("POST /a?b=c HTTP/1.1\r\n") && seen.ends_with("{\"name\":\"Ann\"}"), "{seen}");
    }

    #[tokio::test]
    async fn refusals_and_silence_are_told_apart() {
        let (url, thread) = server(b"HTTP/1.1 422 Unprocessable\r\ncontent-length: 7\r\n\r\nno name");
        let error = get_json(&url).await.unwrap_err().to_string();
        assert!(error.contains("answers 422: no name"), "{error}");
        thread.join().unwrap();

        let (url, thread) = server(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n<p/>");
        assert!(get_json(&url).await.unwrap_err().to_string().contains("not answer with JSON"));
        thread.join().unwrap();

        assert!(matches!(get("http://127.0.0.1:1/").await, Err(RequestError::Silent { .. })));
        assert!(matches!(get("ftp:nothing").await, Err(RequestError::Url { .. })));
    }
}
