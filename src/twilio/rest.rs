//! Twilio's REST API, as far as calls need it (<https://www.twilio.com/docs/voice/api/call-resource>). Tokio tasks. Purpose:
//! place a call, end one, give one other TwiML. Invariants: the token goes into one header field and nowhere else; a call is
//! placed once: the request is repeated only where it cannot have arrived, or was refused for the rate; redirects are not
//! followed; of an answer a bounded part is read. Deliberately absent: what comes of a call (webhooks, streams).

use super::breaker::Breaker;
use crate::config::Secret;
use crate::limits::{TWILIO_ANSWER_MAX, TWILIO_REST_MAX};
use crate::os::clock;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Requests for one thing, at most.
const TRIES: u32 = 3;
/// Before the second one; twice as long before the third.
const AGAIN_AFTER: Duration = Duration::from_millis(300);
/// A server that asks for more patience is not waited for.
const WAIT_MAX: Duration = Duration::from_secs(3);

/// Why Twilio did not do it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum RestError {
    /// It cannot be asked at all: the operator's to mend.
    #[error("[twilio] api_url is no address such as https://api.twilio.com")]
    Address,
    /// It has failed of late; retry in so many seconds.
    #[error("Twilio's API has failed several times and is left alone for {0} s")]
    Left(u64),
    /// No answer; retry later.
    #[error("Twilio's API cannot be reached: {0}")]
    Unreachable(String),
    /// It answered with an error: the number or the account is at fault (4xx), or Twilio (5xx).
    #[error("Twilio refused: {status} {message}")]
    Refused {
        /// HTTP.
        status: u16,
        /// Twilio's words, and its number for them.
        message: String,
    },
    /// Not what is documented.
    #[error("Twilio's API answered with something else than its documentation says")]
    Garbage,
}

impl RestError {
    /// What a caller is told.
    pub(super) const fn sip_code(&self) -> u16 {
        match self {
            Self::Refused { status: 400..=499, .. } => 403,
            _ => 503,
        }
    }
}

/// The API of one account.
#[derive(Debug)]
pub(super) struct Rest {
    client: Client,
    calls: Url,
    account: String,
    token: Secret,
    breaker: Mutex<Breaker>,
}

impl Rest {
    /// `base`: `https://api.twilio.com`.
    pub(super) fn new(base: &str, account: &str, token: Secret) -> Result<Self, RestError> {
        // The client asks for it when it is built. Somebody else may have installed the same one before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let base = base.trim_end_matches('/');
        let calls = Url::parse(&format!("{base}/2010-04-01/Accounts/{account}/")).map_err(|_| RestError::Address)?;
        let builder = Client::builder()
            .redirect(Policy::none())
            .timeout(TWILIO_REST_MAX)
            .connect_timeout(Duration::from_secs(3))
            .user_agent(concat!("callwright/", env!("CARGO_PKG_VERSION")));
        // Without encryption the configuration allows hosts of our own network only; no proxy is to read the token.
        let builder = if calls.scheme() == "http" { builder.no_proxy() } else { builder };
        let client = builder.build().map_err(|error| RestError::Unreachable(error.without_url().to_string()))?;
        Ok(Self { client, calls, account: account.to_owned(), token, breaker: Mutex::default() })
    }

    /// Places a call: the SID of the new call.
    pub(super) async fn place(&self, fields: &[(&str, &str)]) -> Result<String, RestError> {
        let answer = self.ask("Calls.json", fields, false).await?;
        let value: serde_json::Value = serde_json::from_slice(&answer).map_err(|_| RestError::Garbage)?;
        let sid = value["sid"].as_str().filter(|sid| is_sid(sid)).ok_or(RestError::Garbage)?;
        Ok(sid.to_owned())
    }

    /// Ends a call, or gives it other TwiML. That one which is to be ended is over already is no error. What came of other TwiML
    /// whose answer was lost nobody knows: it is not given again, or whoever rings by then would be cut off and called anew.
    pub(super) async fn update(&self, call: &str, fields: &[(&str, &str)]) -> Result<(), RestError> {
        if !is_sid(call) {
            return Err(RestError::Garbage);
        }
        let ends = fields.contains(&("Status", "completed"));
        match self.ask(&format!("Calls/{call}.json"), fields, ends).await {
            Err(RestError::Refused { status: 404, message }) if ends => {
                tracing::info!(call, message, "a call that was to be ended is unknown to Twilio, so it is over");
                Ok(())
            }
            outcome => outcome.map(drop),
        }
    }

    /// `again`: to do it twice is to do it once.
    async fn ask(&self, path: &str, fields: &[(&str, &str)], again: bool) -> Result<Vec<u8>, RestError> {
        if let Some(wait) = self.breaker().wait(clock::monotonic()) {
            return Err(RestError::Left(wait.as_secs().max(1)));
        }
        let url = self.calls.join(path).map_err(|_| RestError::Address)?;
        let body = form(fields);
        let mut pause = AGAIN_AFTER;
        let mut tries = 1;
        loop {
            let (outcome, may_repeat) = self.once(url.clone(), body.clone(), again).await;
            // That something is refused shows that it works.
            let well = matches!(&outcome, Ok(_) | Err(RestError::Refused { status: 400..=499, .. }));
            self.breaker().handle_outcome(clock::monotonic(), well);
            let Some(asked) = may_repeat.filter(|asked| tries < TRIES && *asked <= WAIT_MAX) else { return outcome };
            tokio::time::sleep(pause.max(asked)).await;
            (pause, tries) = (pause * 2, tries + 1);
        }
    }

    /// The outcome, and whether, and after how long, it may be asked for again.
    async fn once(&self, url: Url, body: String, again: bool) -> (Result<Vec<u8>, RestError>, Option<Duration>) {
        let request = self.client.post(url).basic_auth(&self.account, Some(self.token.expose()));
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        match request.send().await {
            Ok(response) => {
                let status = response.status();
                let asked = response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()?.parse().ok());
                let asked = Duration::from_secs(asked.unwrap_or(0));
                let outcome = answer(response).await;
                let passing = status == StatusCode::TOO_MANY_REQUESTS || again && status.is_server_error();
                (outcome, passing.then_some(asked))
            }
            Err(error) => {
                let may_repeat = (again || error.is_connect()).then_some(Duration::ZERO);
                (Err(RestError::Unreachable(error.without_url().to_string())), may_repeat)
            }
        }
    }

    fn breaker(&self) -> std::sync::MutexGuard<'_, Breaker> {
        // Two words that are whole after every statement.
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(mut response: Response) -> Result<Vec<u8>, RestError> {
    let status = response.status();
    let mut body = Vec::new();
    while body.len() < TWILIO_ANSWER_MAX {
        match response.chunk().await {
            Ok(Some(more)) => body.extend_from_slice(&more[..more.len().min(TWILIO_ANSWER_MAX - body.len())]),
            Ok(None) => break,
            Err(error) => return Err(RestError::Unreachable(error.without_url().to_string())),
        }
    }
    if status.is_success() {
        return Ok(body);
    }
    let said: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let words: String = said["message"].as_str().unwrap_or("without a reason").chars().take(300).collect();
    let words: String = words.chars().filter(|c| !c.is_control()).collect();
    let message = match said["code"].as_u64() {
        Some(code) => format!("{words} ({code})"),
        None => words,
    };
    Err(RestError::Refused { status: status.as_u16(), message })
}

/// What may stand in an address.
pub(super) fn is_sid(sid: &str) -> bool {
    (2..=64).contains(&sid.len()) && sid.bytes().all(|octet| octet.is_ascii_alphanumeric())
}

fn form(fields: &[(&str, &str)]) -> String {
    let mut body = String::new();
    for (name, value) in fields {
        if !body.is_empty() {
            body.push('&');
        }
        encode(&mut body, name);
        body.push('=');
        encode(&mut body, value);
    }
    body
}

fn encode(body: &mut String, text: &str) {
    for octet in text.bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => body.push(char::from(octet)),
            // Writing into a String cannot fail.
            other => drop(write!(body, "%{other:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twilio::signature::fields;
    use std::io::{Read, Write as _};
    use std::net::TcpListener;

    /// An API that answers these, one request each; gives what it was asked.
    fn double(answers: Vec<(u16, &'static str)>) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let serve = |(status, body): (u16, &str)| {
                let (mut stream, _) = listener.accept().unwrap();
                let (mut asked, mut piece) = (Vec::new(), [0; 4096]);
                loop {
                    let n = stream.read(&mut piece).unwrap();
                    asked.extend_from_slice(&piece[..n]);
                    let text = String::from_utf8_lossy(&asked).into_owned();
                    let length = text
                        .to_lowercase()
                        .split("content-length: ")
                        .nth(1)
                        .map(|t| t.lines().next().unwrap().parse::<usize>().unwrap());
                    let done = text.split_once("\r\n\r\n").is_some_and(|(_, body)| body.len() == length.unwrap_or(0));
                    if n == 0 || done {
                        break;
                    }
                }
                write!(
                    stream,
                    "HTTP/1.1 {status} x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                )
                .unwrap();
                String::from_utf8(asked).unwrap()
            };
            answers.into_iter().map(serve).collect()
        });
        (base, thread)
    }

    fn rest(base: &str) -> Rest {
        Rest::new(base, "AC1", Secret::from("pass".to_owned())).unwrap()
    }

    #[tokio::test]
    async fn a_call_is_placed_and_ended_by_form() {
        let (base, asked) =
            double(vec![(201, r#"{"sid":"CA7","status":"queued"}"#), (200, "{}"), (404, r#"{"code":20404}"#)]);
        let rest = rest(&base);
        assert_eq!(rest.place(&[("To", "+1 5"), ("Twiml", "<a b=\"c\"/>")]).await.unwrap(), "CA7");
        rest.update("CA7", &[("Status", "completed")]).await.unwrap();
        rest.update("CA7", &[("Status", "completed")]).await.unwrap();
        assert_eq!(rest.update("../x", &[]).await, Err(RestError::Garbage));
        let asked = asked.join().unwrap();
        assert!(asked[0].starts_with("POST /2010-04-01/Accounts/AC1/Calls.json HTTP/1.1\r\n"), "{}", asked[0]);
        // AC1:pass
        assert!(asked[0].to_lowercase().contains("authorization: basic qumxonbhc3m="), "{}", asked[0]);
        let body = asked[0].split_once("\r\n\r\n").unwrap().1;
        let read = fields(body.as_bytes(), 8).unwrap();
        assert_eq!(read[0], ("To".to_owned(), "+1 5".to_owned()));
        assert_eq!(read[1].1, "<a b=\"c\"/>");
        assert!(asked[1].starts_with("POST /2010-04-01/Accounts/AC1/Calls/CA7.json "), "{}", asked[1]);
    }

    #[tokio::test]
    async fn a_call_is_not_placed_twice_by_a_server_that_fails() {
        let (base, asked) = double(vec![(503, "oops"), (429, ""), (201, r#"{"sid":"CA8"}"#), (500, ""), (200, "{}")]);
        let rest = rest(&base);
        let refused = rest.place(&[]).await.unwrap_err();
        assert!(matches!(refused, RestError::Refused { status: 503, .. }) && refused.sip_code() == 503, "{refused}");
        // Too many at once: none was placed.
        assert_eq!(rest.place(&[]).await.unwrap(), "CA8");
        // Ending it twice does no harm.
        rest.update("CA8", &[("Status", "completed")]).await.unwrap();
        assert_eq!(asked.join().unwrap().len(), 5);
    }

    /// It may have been done although no answer came.
    #[tokio::test]
    async fn a_transfer_is_asked_for_once_and_a_refused_one_is_not_done() {
        let (base, asked) = double(vec![(500, "oops"), (404, r#"{"code":20404,"message":"gone"}"#)]);
        let rest = rest(&base);
        let lost = rest.update("CA9", &[("Twiml", "<a/>")]).await.unwrap_err();
        assert!(matches!(lost, RestError::Refused { status: 500, .. }), "{lost}");
        let gone = rest.update("CA9", &[("Twiml", "<a/>")]).await.unwrap_err();
        assert!(matches!(gone, RestError::Refused { status: 404, .. }), "{gone}");
        assert_eq!(asked.join().unwrap().len(), 2);
    }

    #[tokio::test]
    async fn what_is_refused_says_why_and_who_is_down_is_left_alone() {
        let wrong = r#"{"code":21211,"message":"The 'To' number is not a valid phone number."}"#;
        let (base, asked) = double(vec![(400, wrong), (201, "{}"), (201, "{\"sid\":\"../../x\"}")]);
        let api = rest(&base);
        let refused = api.place(&[]).await.unwrap_err();
        assert!(refused.to_string().contains("not a valid phone number. (21211)") && refused.sip_code() == 403);
        assert_eq!(api.place(&[]).await, Err(RestError::Garbage));
        assert_eq!(api.place(&[]).await, Err(RestError::Garbage));
        asked.join().unwrap();
        // Nobody listens there any more.
        assert!(matches!(api.place(&[]).await, Err(RestError::Unreachable(_))));
        assert!(matches!(api.place(&[]).await, Err(RestError::Left(_))), "three tries have failed");
        let canary = Rest::new(&base, "AC1", Secret::from("canary-7f".to_owned())).unwrap();
        assert!(!format!("{canary:?}").contains("canary"));
    }
}
