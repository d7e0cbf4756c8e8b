//! `/stream`: speech in, words out, over a WebSocket, for recorders and dictation. The client sends audio in binary
//! messages; what it says of its audio stands in the query or in a first text message:
//! `{"format":"pcm"|"opus","sample_rate":16000,"agent":"grace"}`. It is told `{"text","ts_start","ts_end"}`, with
//! `"final":true` at the end of each utterance, and `{"type":"slow"}` and `{"type":"ok"}` as its queue grows and shrinks.
//! `{"type":"end"}` flushes: the last words come, then `{"type":"end"}`, and the socket is closed.
//!
//! Owning thread: one tokio task a client. Invariants: time is what was sent, so words and their times do not depend on how
//! fast it came; a client that sends faster than speech is recognised is read no faster; one that says nothing at all is
//! gone after [`SILENT_MAX`], one without audio after [`AUDIO_AWAY_MAX`]; a turn whose audio hardly comes is ended; whatever ends the task gives its ears back. The plane hears at 8 kHz, calls and streams alike:
//! what is above 4 kHz is lost. Deliberately absent: recognition (`speech`).

mod caption;
mod intake;
mod overdue;

use super::problem::Problem;
use super::seat::Seat;
use super::state::AppState;
use crate::limits::{SPEECH_STREAMS_MAX, STREAM_MESSAGE_MAX, STREAM_UTTERANCE_IDLE};
use crate::speech::{Heard, SpeechError, SpeechStream};
use crate::telemetry::metric;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use caption::{Caption, Captions};
use futures_util::{Stream, StreamExt};
use intake::{Format, Intake, Pace, Wish};
use overdue::Overdue;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// How often a client is asked whether it is there, and its turn looked after.
const TICK: Duration = Duration::from_secs(1);
/// Pings are sent this often.
const PING: Duration = Duration::from_secs(15);
/// A client that sends nothing, not even pongs, is gone.
const SILENT_MAX: Duration = Duration::from_secs(50);
/// A client that does not read is gone.
const SEND_MAX: Duration = Duration::from_secs(10);
/// The end of a stream, and a full queue, move within this.
const STUCK_MAX: Duration = Duration::from_secs(60);
/// Audio that stays away in the middle of an utterance ends it: the sender has stopped, or suppresses silence.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// A client that sends no audio for so long is gone, whatever else it sends.
const AUDIO_AWAY_MAX: Duration = Duration::from_secs(600);
/// Silence that is put behind a stream, so that its last utterance ends as any other: 8 kHz samples.
const TAIL_SAMPLES: usize = (STREAM_UTTERANCE_IDLE.as_millis() as usize + 400) * 8;
/// Octets of a reason (RFC 6455 section 5.5.1 leaves 123).
const REASON_MAX: usize = 120;

/// Upgrades the connection. 503 when too many streams are open, 403 for a web page of somebody else.
pub(super) async fn upgrade(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    socket: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    // Browsers let any page open WebSockets to loopback, and say which page it was.
    if !is_own_page(&headers) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "pages of other origins may not listen in"));
    }
    let wish = match query.as_deref().filter(|query| !query.is_empty()) {
        Some(query) => Some(read_query(query).map_err(|why| Problem::new(StatusCode::BAD_REQUEST, why))?),
        None => None,
    };
    let socket = socket.map_err(|refused| {
        Problem::new(refused.status(), format!("connect with a WebSocket client: {}", refused.body_text()))
    })?;
    let full = |_| {
        let detail = format!("{SPEECH_STREAMS_MAX} streams are open already");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    };
    let seat = Seat::take(&state.listeners, metric::speech_streams).map_err(full)?;
    let socket = socket.max_message_size(STREAM_MESSAGE_MAX).max_frame_size(STREAM_MESSAGE_MAX);
    Ok(socket.on_upgrade(move |socket| async move {
        let mut client = Client { socket, heard: Instant::now() };
        let ended = client.serve(&state, wish).await;
        client.close(ended).await;
        drop(seat);
    }))
}

/// Not from a browser, or from a page of this very server.
pub(super) fn is_own_page(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let (Ok(origin), Some(Ok(host))) = (origin.to_str(), headers.get(header::HOST).map(|host| host.to_str())) else {
        return false;
    };
    origin.split_once("://").is_some_and(|(_, origin)| origin.eq_ignore_ascii_case(host))
}

fn read_query(query: &str) -> Result<Wish, String> {
    let mut wish = Wish::default();
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        match (name, value) {
            ("format", "pcm") => wish.format = Format::Pcm,
            ("format", "opus") => wish.format = Format::Opus,
            ("sample_rate", rate) if rate.parse::<u32>().is_ok() => wish.sample_rate = rate.parse().ok(),
            // Names of agents need no escapes in practice; one that does can be given in the first message.
            ("agent", name) if !name.is_empty() && !name.contains('%') => wish.agent = Some(name.replace('+', " ")),
            _ => return Err(format!("{name}={value}: write format=pcm or opus, sample_rate=16000, agent=NAME")),
        }
    }
    Intake::new(&wish).map(|_| wish)
}

/// Why a stream ended.
enum Ended {
    /// The client is gone; there is nobody to tell.
    Gone,
    /// To be said in the closing message.
    Because(u16, String),
}

impl Ended {
    fn garbage(why: impl Into<String>) -> Self {
        Self::Because(close_code::INVALID, why.into())
    }
}

/// What a text message says.
enum Said {
    End,
    Wish(Wish),
}

fn read_text(text: &str) -> Result<Said, Ended> {
    let value: serde_json::Value =
        serde_json::from_str(text).map_err(|_| Ended::garbage("a text message must be JSON"))?;
    if !value.is_object() {
        return Err(Ended::garbage("a text message must be a JSON object"));
    }
    match value.get("type").and_then(serde_json::Value::as_str) {
        Some("end") => Ok(Said::End),
        Some(other) => Err(Ended::garbage(format!("the type {other:?} is unknown; there is \"end\""))),
        None => serde_json::from_value(value).map(Said::Wish).map_err(|error| Ended::garbage(error.to_string())),
    }
}

struct Client {
    socket: WebSocket,
    /// When it last gave a sign of life.
    heard: Instant,
}

/// A stream under way.
struct Listening {
    stream: SpeechStream,
    intake: Intake,
    captions: Captions,
    /// The client has said its last.
    ending: bool,
    /// When audio last came, and when the queue last moved.
    fed: Instant,
    moved: Instant,
    /// An utterance that audio stayed away from has been ended.
    cut: bool,
    /// The turn that was ended so, or for its length.
    ended: Option<u32>,
    /// Ends turns whose audio hardly comes.
    overdue: Overdue,
}

impl Client {
    async fn serve(&mut self, state: &AppState, wish: Option<Wish>) -> Ended {
        match self.listen(state, wish).await {
            Ok(never) => match never {},
            Err(ended) => ended,
        }
    }

    async fn listen(&mut self, state: &AppState, wish: Option<Wish>) -> Result<std::convert::Infallible, Ended> {
        let mut first = None;
        let wish = match wish {
            Some(wish) => wish,
            None => match self.first_word().await? {
                Message::Text(text) => match read_text(&text)? {
                    Said::Wish(wish) => wish,
                    Said::End => return self.finish().await,
                },
                audio => {
                    first = Some(audio);
                    Wish::default()
                }
            },
        };
        let intake = Intake::new(&wish).map_err(Ended::garbage)?;
        let stream = open(state, &wish)?;
        let now = Instant::now();
        let captions = Captions::default();
        let overdue = Overdue::default();
        let mut listening = Listening {
            stream,
            intake,
            captions,
            ending: false,
            fed: now,
            moved: now,
            cut: false,
            ended: None,
            overdue,
        };
        if let Some(message) = first {
            self.handle_message(&mut listening, message).await?;
        }
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pinged = now;
        loop {
            self.pump(&mut listening).await?;
            if listening.ending && listening.intake.is_empty() && listening.stream.is_settled() {
                return self.finish().await;
            }
            tokio::select! {
                heard = listening.stream.next() => match heard {
                    Some(Heard::Event(event)) => {
                        if let Some(caption) = listening.captions.handle(event) {
                            self.tell(&caption).await?;
                        }
                    }
                    Some(Heard::Moved) => {}
                    None => return Err(Ended::Because(close_code::RESTART, "the service is stopping".to_owned())),
                },
                message = self.socket.recv(), if !listening.intake.is_full() && !listening.ending => {
                    let message = message.ok_or(Ended::Gone)?.map_err(broken)?;
                    self.handle_message(&mut listening, message).await?;
                }
                _ = ticks.tick() => {
                    self.look_after(&mut listening)?;
                    if pinged.elapsed() >= PING {
                        pinged = Instant::now();
                        self.send(Message::Ping(Vec::new().into())).await?;
                    }
                }
            }
        }
    }

    async fn first_word(&mut self) -> Result<Message, Ended> {
        let message = first_word(&mut self.socket, SILENT_MAX).await?;
        self.heard = Instant::now();
        Ok(message)
    }

    async fn handle_message(&mut self, listening: &mut Listening, message: Message) -> Result<(), Ended> {
        self.heard = Instant::now();
        match message {
            Message::Binary(octets) => {
                let pace = listening.intake.handle_chunk(&octets).map_err(Ended::garbage)?;
                if !octets.is_empty() {
                    (listening.fed, listening.cut) = (self.heard, false);
                }
                if let Some(pace) = pace {
                    self.tell_pace(pace).await?;
                }
                Ok(())
            }
            Message::Text(text) => match read_text(&text)? {
                Said::End => {
                    listening.ending = true;
                    listening.intake.pad(TAIL_SAMPLES);
                    listening.moved = Instant::now();
                    Ok(())
                }
                Said::Wish(_) => Err(Ended::garbage("what the audio is has been said already, or audio has come")),
            },
            Message::Close(_) => Err(Ended::Gone),
            // Pings are answered below us.
            Message::Ping(_) | Message::Pong(_) => Ok(()),
        }
    }

    /// Gives the recogniser as much as it takes.
    async fn pump(&mut self, listening: &mut Listening) -> Result<(), Ended> {
        while let Some(samples) = listening.intake.front() {
            let taken = listening.stream.feed(samples);
            if taken == 0 {
                return Ok(());
            }
            listening.moved = Instant::now();
            if let Some(pace) = listening.intake.take(taken) {
                self.tell_pace(pace).await?;
            }
        }
        Ok(())
    }

    fn look_after(&mut self, listening: &mut Listening) -> Result<(), Ended> {
        let late = |what: &str| Err(Ended::Because(close_code::AGAIN, what.to_owned()));
        if listening.intake.is_full() || listening.ending {
            if listening.moved.elapsed() > STUCK_MAX {
                return late("the recogniser does not keep up; try again later");
            }
            // Nothing is read, so nothing can be heard of the client.
            self.heard = Instant::now();
        } else if self.heard.elapsed() > SILENT_MAX {
            return Err(Ended::Gone);
        }
        if listening.fed.elapsed() > AUDIO_AWAY_MAX && listening.intake.is_empty() {
            return Err(Ended::Because(close_code::POLICY, "no audio came for 10 minutes".to_owned()));
        }
        let paused = listening.intake.is_empty() && listening.fed.elapsed() > PAUSE_MAX;
        // One turn is ended once: what is ended and waits for its words would be answered twice.
        let turn = listening.stream.turn().filter(|turn| listening.ended != Some(*turn));
        // What waits here waits for the recogniser: that is not the client's fault.
        let waits = turn.filter(|_| listening.intake.is_empty());
        let overdue = listening.overdue.is_over(Instant::now().into_std(), waits, listening.stream.fed());
        if turn.is_some() && (overdue || paused && !listening.cut) {
            (listening.cut, listening.ended) = (true, turn);
            listening.stream.cut();
        }
        Ok(())
    }

    async fn tell_pace(&mut self, pace: Pace) -> Result<(), Ended> {
        self.tell(&Caption::notice(match pace {
            Pace::Slow => {
                metric::speech_stream_slow();
                "slow"
            }
            Pace::Ok => "ok",
        }))
        .await
    }

    async fn tell(&mut self, caption: &Caption) -> Result<(), Ended> {
        self.send(Message::Text(caption.to_json().into())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), Ended> {
        match timeout(SEND_MAX, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Ended::Gone),
        }
    }

    async fn finish(&mut self) -> Result<std::convert::Infallible, Ended> {
        self.tell(&Caption::notice("end")).await?;
        Err(Ended::Because(close_code::NORMAL, "end of stream".to_owned()))
    }

    async fn close(&mut self, ended: Ended) {
        let Ended::Because(code, why) = ended else { return };
        let end = (0..=REASON_MAX.min(why.len())).rev().find(|at| why.is_char_boundary(*at)).unwrap_or(0);
        let frame = CloseFrame { code, reason: why[..end].into() };
        if self.send(Message::Close(Some(frame))).await.is_ok() {
            // The client's own closing message, so that the connection ends without a reset.
            let farewell = async { while let Some(Ok(_)) = self.socket.recv().await {} };
            let _ = timeout(Duration::from_secs(2), farewell).await;
        }
    }
}

/// The first message that says something. Pings say nothing, so they gain no time.
async fn first_word(
    socket: &mut (impl Stream<Item = Result<Message, axum::Error>> + Unpin),
    patience: Duration,
) -> Result<Message, Ended> {
    let said = async {
        loop {
            match socket.next().await.ok_or(Ended::Gone)?.map_err(broken)? {
                Message::Close(_) => return Err(Ended::Gone),
                Message::Ping(_) | Message::Pong(_) => {}
                message => return Ok(message),
            }
        }
    };
    let silent = |_| Ended::Because(close_code::POLICY, "nothing came".to_owned());
    timeout(patience, said).await.map_err(silent)?
}

/// What could not be read: too long, or no WebSocket any more.
fn broken(error: axum::Error) -> Ended {
    let text = error.to_string();
    if text.to_ascii_lowercase().contains("too") {
        let why = format!("a message may have {STREAM_MESSAGE_MAX} octets; send shorter chunks");
        return Ended::Because(close_code::SIZE, why);
    }
    tracing::debug!(error = %text, "a stream broke");
    Ended::Gone
}

fn open(state: &AppState, wish: &Wish) -> Result<SpeechStream, Ended> {
    let refused = |error: SpeechError| match error {
        SpeechError::NoAgent { .. } => Ended::garbage(error.to_string()),
        SpeechError::NoStream | SpeechError::NoCapacity { .. } => Ended::Because(close_code::AGAIN, error.to_string()),
        SpeechError::NoEngine { .. } | SpeechError::System(_) => Ended::Because(close_code::ERROR, error.to_string()),
    };
    match &state.speech {
        Some(speech) => speech(wish.agent.as_deref()).map_err(refused),
        None => Err(Ended::Because(close_code::ERROR, "nothing hears here".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_others_are_told_from_our_own() {
        let headers = |origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "127.0.0.1:8080".parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            headers
        };
        for own in [None, Some("http://127.0.0.1:8080"), Some("https://127.0.0.1:8080")] {
            assert!(is_own_page(&headers(own)), "{own:?}");
        }
        for other in ["https://example.com", "http://127.0.0.1:9", "null", "", "http://127.0.0.1:8080.evil.example"] {
            assert!(!is_own_page(&headers(Some(other))), "{other}");
        }
    }

    #[tokio::test]
    async fn who_only_pings_is_gone_as_soon_as_who_says_nothing() {
        let patience = Duration::from_millis(60);
        let pings = futures_util::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Some((Ok(Message::Ping(Vec::new().into())), ()))
        });
        let ended = timeout(Duration::from_secs(30), first_word(&mut Box::pin(pings), patience)).await;
        assert!(matches!(ended, Ok(Err(Ended::Because(close_code::POLICY, _)))), "it is still there");
    }

    #[test]
    fn queries_are_read() {
        let wish = read_query("format=opus&sample_rate=48000&agent=grace").unwrap();
        assert_eq!((wish.format, wish.sample_rate, wish.agent.as_deref()), (Format::Opus, Some(48_000), Some("grace")));
        for bad in ["format=mp3", "sample_rate=x", "sample_rate=44100", "x=1", "agent="] {
            assert!(read_query(bad).is_err(), "{bad}");
        }
    }
}
