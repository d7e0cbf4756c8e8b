//! The task of one socket: from its first message to its end. Tokio. Purpose: messages to the stream's core and on to the ring
//! of the media worker, and the worker's packets back. Invariants: until it has named a call by a good token a socket gets
//! nothing and has little time; a peer that does not read, sends nothing, or nothing but nonsense is left; the call side hears
//! of the end once. Deliberately absent: what the messages mean (`media_stream`), who may come (`door`).

use super::door::{Attached, Door};
use super::media_stream::{MediaStream, Told};
use super::message::Start;
use crate::limits::{
    TWILIO_FAULTS_MAX, TWILIO_MESSAGES_PER_SECOND_MAX, TWILIO_SILENT_MAX, TWILIO_START_MAX, TWILIO_WRITE_MAX,
};
use crate::media::RingEnds;
use crate::os::bell::Bell;
use crate::os::clock;
use crate::os::wake::Wake;
use crate::sip::agent::{EndedBy, LegId, SipEvent};
use crate::telemetry::metric;
use crate::time::Tick;
use futures_util::FutureExt;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{debug, info, warn};

/// What came by a socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard {
    /// A text message.
    Text(String),
    /// A message of octets, which no stream sends.
    Octets,
    /// A sign of life.
    Nothing,
    /// A message that breaks the rules of sockets (RFC 6455) or is larger than one may be; the last one.
    Broken(String),
}

/// A WebSocket, whoever serves it.
pub trait Socket: Send {
    /// The next message; `None` when there will be no more. To give up waiting loses nothing.
    fn next(&mut self) -> impl Future<Output = Option<Heard>> + Send;
    /// Sends a text message; false when it cannot.
    fn send(&mut self, text: String) -> impl Future<Output = bool> + Send;
    /// Closes it with a code (RFC 6455 section 7.4) and the reason.
    fn close(&mut self, code: u16, reason: &'static str) -> impl Future<Output = ()> + Send;
}

/// What the call side wants of a leg.
#[derive(Debug)]
pub(super) enum Order {
    /// Audio goes by these from now on; the bell rings when there is some.
    Carry(RingEnds, Wake),
    /// The call has been answered.
    Accept,
    /// The call is over.
    HangUp,
}

/// What lies at Twilio when the call side ends a call is played within this.
const LAST_WORDS_MAX: Duration = Duration::from_secs(1);
/// Close codes.
const NORMAL: u16 = 1000;
const POLICY: u16 = 1008;

/// Why a socket is over, for the call side.
struct End {
    by: EndedBy,
    why: &'static str,
    code: u16,
}

impl End {
    const fn lost(why: &'static str) -> Self {
        Self { by: EndedBy::TransportError, why, code: POLICY }
    }
}

pub(super) async fn serve<S: Socket>(
    door: Arc<Door>,
    mut socket: S,
    (peer, token): (SocketAddr, Option<String>),
    permit: OwnedSemaphorePermit,
) {
    let mut stream = MediaStream::new();
    let Some(mut start) = introduced(&mut socket, &mut stream).await else {
        metric::twilio_refused("no_start");
        socket.close(POLICY, "a stream begins with its start").await;
        return;
    };
    // It is the stream that its address was given out for, and no other.
    if let Some(token) = token {
        start.parameters.insert("token".to_owned(), token);
    }
    let Attached { leg, orders, event } = match door.attach(&start, peer) {
        Ok(attached) => attached,
        Err(error) => {
            warn!(%peer, call = %start.call, %error, "a media stream is refused");
            socket.close(POLICY, "the stream is of no call").await;
            return;
        }
    };
    drop(permit);
    info!(call = %start.call, stream = %start.stream, "a media stream has begun");
    metric::twilio_streams(1.0);
    door.tell(event).await;
    let mut carried =
        Carried { door: &door, leg, socket, stream, orders, audio: None, bell: None, seen: 0, wanted: true };
    let life = async {
        let end = carried.serve().await;
        if !carried.wanted {
            // Who is hung up on hears the last words.
            let _ = timeout(LAST_WORDS_MAX, carried.finish()).await;
        }
        end
    };
    // Whatever happens to it, the leg goes and the call hears of it.
    let life = AssertUnwindSafe(life).catch_unwind().await;
    let end = life.unwrap_or_else(|_| End::lost("a fault of ours, see the log"));
    let counts = carried.stream.counts();
    info!(call = %start.call, why = end.why, pieces = counts.pieces, late = counts.late, refused = counts.refused, sent = counts.sent, clears = counts.clears, "a media stream has ended");
    timeout(TWILIO_WRITE_MAX, carried.socket.close(end.code, end.why)).await.unwrap_or_default();
    let wanted = carried.wanted;
    door.leave(leg);
    metric::twilio_streams(-1.0);
    if wanted {
        door.tell(SipEvent::Ended { leg, by: end.by, reason: Some(end.why.to_owned()), cause: None }).await;
    }
}

/// Waits for the start; `None`: it does not come.
async fn introduced<S: Socket>(socket: &mut S, stream: &mut MediaStream) -> Option<Start> {
    let latest = Instant::now() + TWILIO_START_MAX;
    loop {
        match timeout_at(latest, socket.next()).await.ok()?? {
            Heard::Text(text) => match stream.handle_text(clock::monotonic(), &text) {
                Ok(Told::Started(start)) => return Some(start),
                Ok(_) => {}
                // Nobody speaks nonsense before that by mistake.
                Err(fault) => {
                    metric::twilio_message_refused(fault.name());
                    return None;
                }
            },
            Heard::Nothing => {}
            Heard::Octets | Heard::Broken(_) => return None,
        }
    }
}

/// A stream that is one of a call.
struct Carried<'a, S> {
    door: &'a Door,
    leg: LegId,
    socket: S,
    stream: MediaStream,
    orders: mpsc::Receiver<Order>,
    audio: Option<RingEnds>,
    /// Rings when the worker has sent something.
    bell: Option<Bell>,
    /// How often the worker had dropped its frames when we last looked.
    seen: u32,
    /// The call side has not ended it itself.
    wanted: bool,
}

impl<S: Socket> Carried<'_, S> {
    async fn serve(&mut self) -> End {
        let mut heard = Instant::now();
        let (mut second, mut messages) = (heard, 0u32);
        loop {
            let due = match self.pump().await {
                Ok(due) => due,
                Err(end) => return end,
            };
            tokio::select! {
                biased;
                order = self.orders.recv() => match order {
                    Some(Order::Carry(ends, bell)) => match Bell::new(bell) {
                        Ok(bell) => {
                            self.seen = ends.epoch();
                            (self.audio, self.bell) = (Some(ends), Some(bell));
                        }
                        Err(error) => {
                            warn!(%error, "no audio can be carried");
                            return End::lost("no audio can be carried");
                        }
                    },
                    Some(Order::Accept) => self.door.tell(SipEvent::Confirmed { leg: self.leg, answer: None }).await,
                    Some(Order::HangUp) | None => {
                        self.wanted = false;
                        return End { by: EndedBy::Local, why: "the call is over", code: NORMAL };
                    }
                },
                () = rung(&self.bell) => {}
                message = timeout_at(heard + TWILIO_SILENT_MAX, self.socket.next()) => {
                    let Ok(message) = message else { return End::lost("nothing has come by the media socket for 30 s") };
                    heard = Instant::now();
                    if heard.duration_since(second) >= Duration::from_secs(1) {
                        (second, messages) = (heard, 0);
                    }
                    messages += 1;
                    if messages > TWILIO_MESSAGES_PER_SECOND_MAX {
                        metric::twilio_message_refused("flood");
                        return End::lost("the media socket was flooded");
                    }
                    if let Some(end) = self.handle(message) {
                        return end;
                    }
                }
                () = pause(due) => {}
            }
        }
    }

    /// Waits until what was sent has been played.
    async fn finish(&mut self) {
        self.stream.handle_ending(clock::monotonic());
        while self.flush().await.is_ok() && !self.stream.is_heard_out() {
            match self.socket.next().await {
                Some(Heard::Text(text)) => drop(self.stream.handle_text(clock::monotonic(), &text)),
                Some(Heard::Octets | Heard::Nothing) => {}
                Some(Heard::Broken(_)) | None => return,
            }
            while self.stream.poll_packet().is_some() {}
        }
    }

    fn handle(&mut self, message: Option<Heard>) -> Option<End> {
        let now = clock::monotonic();
        match message {
            None => return Some(End::lost("the media socket was cut")),
            Some(Heard::Broken(why)) => {
                debug!(why, "a media socket breaks the rules");
                metric::twilio_message_refused("broken");
                return Some(End::lost("the media socket was broken off"));
            }
            Some(Heard::Nothing) => return None,
            Some(Heard::Octets) => {
                self.stream.handle_garbage();
                metric::twilio_message_refused("octets");
            }
            Some(Heard::Text(text)) => match self.stream.handle_text(now, &text) {
                Ok(Told::Stopped) => return Some(End { by: EndedBy::Remote, why: "the caller hung up", code: NORMAL }),
                Ok(_) => {}
                Err(fault) => metric::twilio_message_refused(fault.name()),
            },
        }
        self.hand_on(now);
        let faults = self.stream.counts().refused;
        (faults > TWILIO_FAULTS_MAX).then(|| End::lost("too much of what came by the media socket was nonsense"))
    }

    /// What the message made, to the worker.
    fn hand_on(&mut self, now: Tick) {
        let mut any = false;
        while let Some(made) = self.stream.poll_packet() {
            // Before the call is answered nobody listens.
            let Some(audio) = &mut self.audio else { continue };
            if audio.push(now, made.octets()) {
                any = true;
            } else {
                metric::twilio_message_refused("overflow");
            }
        }
        if let Some(audio) = &self.audio {
            audio.set_delay(self.stream.delay(now));
            if any {
                audio.wake();
            }
        }
    }

    /// What the worker has sent, to the socket; when more of it may leave.
    async fn pump(&mut self) -> Result<Option<Duration>, End> {
        let mut due = None;
        loop {
            let now = clock::monotonic();
            if let Some(audio) = &mut self.audio {
                let epoch = audio.epoch();
                if epoch != self.seen {
                    self.seen = epoch;
                    self.stream.handle_cleared(now);
                }
                match self.stream.may_send(now) {
                    Ok(()) => {
                        if let Some(packet) = audio.pop() {
                            // It was dropped between the two looks at the ring.
                            if packet.epoch().wrapping_sub(self.seen) as i32 > 0 {
                                self.seen = packet.epoch();
                                self.stream.handle_cleared(now);
                            }
                            if packet.epoch() == self.seen {
                                self.stream.handle_packet(now, packet.octets());
                            }
                            audio.set_delay(self.stream.delay(now));
                            self.flush().await?;
                            continue;
                        }
                    }
                    Err(at) => due = Some(at.since(now)),
                }
            }
            self.flush().await?;
            return Ok(due);
        }
    }

    async fn flush(&mut self) -> Result<(), End> {
        while let Some(message) = self.stream.poll_message() {
            match timeout(TWILIO_WRITE_MAX, self.socket.send(message)).await {
                Ok(true) => {}
                Ok(false) => return Err(End::lost("the media socket was cut")),
                Err(_) => return Err(End::lost("the other side does not read its media socket")),
            }
        }
        Ok(())
    }
}

/// The worker has sent something.
async fn rung(bell: &Option<Bell>) {
    match bell {
        Some(bell) => bell.rung().await,
        None => std::future::pending().await,
    }
}

async fn pause(due: Option<Duration>) {
    match due {
        Some(due) => sleep(due).await,
        None => std::future::pending().await,
    }
}
