//! One stream connection (RFC 3261 §18, RFC 5626 §4.4). Purpose: a task per connection that reads and writes it, so that a
//! slow or stuck peer keeps nobody waiting but itself; it speaks to the driver by bounded channels. Invariants: the task
//! tells the driver once that it is over, with what it could not send; the peer's end of stream is seen before anything
//! more is written; a message that is begun must end, a connection must say something, or it is closed. Deliberately
//! absent: what the messages mean; who answers a message that cannot be read is the agent, as for any other.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::census::Quiet;
use super::flow_table::Flow;
use crate::limits;
use crate::sip::framing::{Frame, Framer, FramingError, PING, PONG};
use crate::sip::hop::FlowId;
use crate::sip::message::Malformed;

/// Octets that are read at once.
const READ_OCTETS: usize = 4096;

/// What connections tell the driver.
#[derive(Debug)]
pub(super) enum FlowEvent {
    /// Somebody has connected (and shaken hands).
    Accepted { flow: FlowId, connection: Flow },
    /// A whole message.
    Message { flow: FlowId, bytes: Vec<u8> },
    /// The head of a message that will not be whole, and the last that is read; `answered` is dropped once an answer waits in
    /// the queue, if there is one.
    Unfit { flow: FlowId, head: Vec<u8>, why: Malformed, answered: oneshot::Sender<()> },
    /// The connection is over. `reached` = it had stood.
    Closed { flow: FlowId, unsent: Vec<Vec<u8>>, reached: bool },
}

/// A stream, encrypted or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Why a connection ended; for the log.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("the peer closed it")]
    Peer,
    #[error("the peer cannot be understood: {0}")]
    Framing(#[from] FramingError),
    #[error("{0}")]
    Broken(#[from] io::Error),
    #[error("a message was not whole after {} s", limits::SIP_FLOW_MESSAGE_MAX.as_secs())]
    Slow,
    #[error("nothing came for too long")]
    Silent,
    #[error("the peer does not read")]
    Stuck,
    #[error("the peer closed it within a message")]
    Cut,
    #[error("it never carried a message, and others wanted the place")]
    GivenUp,
    #[error("it is needed no more")]
    Ours,
}

impl End {
    /// What whoever wrote the message that was not whole is told.
    const fn told(&self) -> Option<Malformed> {
        match self {
            Self::Framing(error) => error.told(),
            Self::Slow | Self::Cut => Some(Malformed { status: 400, what: "The message is not whole" }),
            _ => None,
        }
    }
}

/// How long a connection waits for what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    message: Duration,
    first: Duration,
    idle: Duration,
    unused: Duration,
    write: Duration,
    ping: Duration,
    pong: Duration,
}

impl Patience {
    /// For this flow: pings are 25 to 30 s apart, so that the connections of one start do not ping together.
    pub(super) fn of(flow: FlowId) -> Self {
        Self {
            message: limits::SIP_FLOW_MESSAGE_MAX,
            first: limits::SIP_FLOW_FIRST_MAX,
            idle: limits::SIP_FLOW_IDLE_MAX,
            unused: limits::SIP_FLOW_UNUSED_MAX,
            write: limits::SIP_FLOW_WRITE_MAX,
            ping: limits::SIP_PING_MIN + Duration::from_millis(flow.0 % 6 * 1000),
            pong: limits::SIP_PONG_MAX,
        }
    }
}

/// The task of a connection that stands.
pub(super) struct Connection {
    pub(super) patience: Patience,
    pub(super) flow: FlowId,
    /// We opened it: so we keep it open, and the peer need not say anything first.
    pub(super) dialled: bool,
    /// Until the first message has come by a connection that we did not open.
    pub(super) quiet: Option<Quiet>,
    pub(super) inbox: mpsc::Sender<FlowEvent>,
    pub(super) queue: mpsc::Receiver<Vec<u8>>,
}

struct Times {
    opened: Instant,
    /// Last octet from the peer.
    heard: Instant,
    /// Last message either way.
    used: Instant,
    /// The message under way began.
    begun: Option<Instant>,
    next_ping: Option<Instant>,
    /// A ping waits for its pong; known only of peers that have ponged before.
    ping_sent: Option<Instant>,
    ponged: bool,
    spoke: bool,
}

impl Connection {
    /// Runs until the end of the connection, and reports it.
    pub(super) async fn run(mut self, stream: Box<dyn Stream>) {
        let end = self.exchange(stream).await;
        tracing::debug!(flow = self.flow.0, %end, "SIP connection over");
        self.report(true).await;
    }

    /// Says that the connection is over, and what was not sent.
    pub(super) async fn report(mut self, reached: bool) {
        self.queue.close();
        let mut unsent = Vec::new();
        while let Ok(bytes) = self.queue.try_recv() {
            unsent.push(bytes);
        }
        // Without a driver nobody minds.
        let _gone = self.inbox.send(FlowEvent::Closed { flow: self.flow, unsent, reached }).await.is_err();
    }

    async fn exchange(&mut self, stream: Box<dyn Stream>) -> End {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let (mut framer, mut chunk) = (Framer::default(), vec![0; READ_OCTETS]);
        let mut times = Times::new(self.dialled, self.patience.ping);
        loop {
            let due = times.due(self.dialled, &self.patience);
            let step = tokio::select! {
                // Reading first: what is written into a connection that the peer has closed is lost.
                biased;
                read = reader.read(&mut chunk) => self.take(read, &chunk, &mut framer, &mut writer, &mut times).await,
                bytes = self.queue.recv() => match bytes {
                    Some(bytes) => {
                        times.used = Instant::now();
                        write(&mut writer, &bytes, self.patience.write).await
                    }
                    None => Err(close(&mut writer).await),
                },
                () = given_up(self.quiet.as_mut()) => Err(End::GivenUp),
                () = sleep_until(due) => self.pass_time(&mut writer, &mut times).await,
            };
            if let Err(end) = step {
                let unfit = end.told();
                if let Some(why) = unfit {
                    self.answer_unfit(framer.into_unfinished(), why, &mut writer).await;
                }
                if !matches!(end, End::Peer | End::Ours | End::Broken(_)) {
                    // Whoever is cut off should know it at once rather than by a timer of his.
                    close(&mut writer).await;
                }
                if unfit.is_some() {
                    // What is on its way and is not read makes the system reset the connection, and the answer is lost.
                    let _late = timeout(limits::SIP_UNFIT_MAX, drain(&mut reader)).await.is_err();
                }
                drop::<(ReadHalf<_>, WriteHalf<_>)>((reader, writer));
                return end;
            }
        }
    }

    async fn take(
        &mut self,
        read: io::Result<usize>,
        chunk: &[u8],
        framer: &mut Framer,
        writer: &mut WriteHalf<Box<dyn Stream>>,
        times: &mut Times,
    ) -> Result<(), End> {
        let length = read?;
        if length == 0 {
            return Err(if framer.is_within() { End::Cut } else { End::Peer });
        }
        let now = Instant::now();
        times.heard = now;
        let mut frames = Vec::new();
        let result = framer.handle(&chunk[..length], &mut |frame| frames.push(frame));
        for frame in frames {
            match frame {
                Frame::Message(bytes) => {
                    (times.spoke, times.used, times.begun) = (true, now, None);
                    self.quiet = None;
                    let event = FlowEvent::Message { flow: self.flow, bytes };
                    self.inbox.send(event).await.map_err(|_| End::Ours)?;
                }
                Frame::Ping => write(writer, PONG, self.patience.write).await?,
                Frame::Pong if times.ping_sent.take().is_some() => times.ponged = true,
                Frame::Pong => {}
            }
        }
        result?;
        times.begun = if framer.is_within() { times.begun.or(Some(now)) } else { None };
        // Whoever talks without end must listen between two breaths.
        if let Ok(bytes) = self.queue.try_recv() {
            write(writer, &bytes, self.patience.write).await?;
        }
        Ok(())
    }

    /// Has a message answered of which no more is read, as far as that can be done soon.
    async fn answer_unfit(&mut self, head: Vec<u8>, why: Malformed, writer: &mut WriteHalf<Box<dyn Stream>>) {
        let (answered, done) = oneshot::channel();
        let event = FlowEvent::Unfit { flow: self.flow, head, why, answered };
        let asked = async {
            let sent = self.inbox.send(event).await.is_ok();
            // Dropped or sent is the same.
            let _dropped = done.await.is_err();
            sent
        };
        if timeout(limits::SIP_UNFIT_MAX, asked).await != Ok(true) {
            return;
        }
        while let Ok(bytes) = self.queue.try_recv() {
            if write(writer, &bytes, limits::SIP_UNFIT_MAX).await.is_err() {
                return;
            }
        }
    }

    async fn pass_time(&mut self, writer: &mut WriteHalf<Box<dyn Stream>>, times: &mut Times) -> Result<(), End> {
        let now = Instant::now();
        if times.begun.is_some_and(|begun| now >= begun + self.patience.message) {
            return Err(End::Slow);
        }
        if !self.dialled && !times.spoke && now >= times.opened + self.patience.first {
            return Err(End::Silent);
        }
        if now >= times.heard.max(times.used) + self.patience.idle {
            return Err(End::Silent);
        }
        if self.dialled && now >= times.used + self.patience.unused {
            return Err(End::Ours);
        }
        if times.is_dead(now, self.patience.pong) {
            return Err(End::Silent);
        }
        if times.next_ping.is_some_and(|due| now >= due) {
            write(writer, PING, self.patience.write).await?;
            // Patience counts from the first ping that nothing was heard after, however often pings are sent.
            if times.ping_sent.is_none_or(|sent| times.heard > sent) {
                times.ping_sent = Some(now);
            }
            times.next_ping = Some(now + self.patience.ping);
        }
        Ok(())
    }
}

impl Times {
    fn new(dialled: bool, ping: Duration) -> Self {
        let now = Instant::now();
        Self {
            opened: now,
            heard: now,
            used: now,
            begun: None,
            next_ping: dialled.then(|| now + ping),
            ping_sent: None,
            ponged: false,
            spoke: false,
        }
    }

    /// A peer that has answered pings before and does not answer this one is gone (RFC 5626 §4.4.1).
    fn is_dead(&self, now: Instant, pong: Duration) -> bool {
        self.ponged && self.ping_sent.is_some_and(|sent| now >= sent + pong && self.heard <= sent)
    }

    fn due(&self, dialled: bool, patience: &Patience) -> Instant {
        let first = (!dialled && !self.spoke).then(|| self.opened + patience.first);
        let unused = dialled.then(|| self.used + patience.unused);
        let waits = self.ping_sent.filter(|sent| self.ponged && self.heard <= *sent);
        let pong = waits.map(|sent| sent + patience.pong);
        let begun = self.begun.map(|begun| begun + patience.message);
        let idle = self.heard.max(self.used) + patience.idle;
        [first, unused, pong, begun, self.next_ping].into_iter().flatten().fold(idle, Instant::min)
    }
}

/// Somebody else wants the place of a connection that has said nothing.
async fn given_up(quiet: Option<&mut Quiet>) {
    match quiet {
        Some(quiet) => quiet.given_up().await,
        None => std::future::pending().await,
    }
}

async fn write(writer: &mut WriteHalf<Box<dyn Stream>>, bytes: &[u8], most: Duration) -> Result<(), End> {
    let all = async {
        writer.write_all(bytes).await?;
        writer.flush().await
    };
    timeout(most, all).await.map_err(|_| End::Stuck)?.map_err(End::Broken)
}

/// Reads what comes until the peer closes, as much as a message may have.
async fn drain(reader: &mut ReadHalf<Box<dyn Stream>>) {
    let mut rest = reader.take(limits::SIP_MESSAGE_MAX as u64);
    // Nobody wants it, nor to know how it ended.
    let _broken = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await.is_err();
}

async fn close(writer: &mut WriteHalf<Box<dyn Stream>>) -> End {
    // A peer that is gone need not hear of it.
    let _late = timeout(Duration::from_secs(1), writer.shutdown()).await.is_err();
    End::Ours
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::DuplexStream;

    const MS: Duration = Duration::from_millis(1);
    const OPTIONS: &[u8] = b"OPTIONS sip:a@h SIP/2.0\r\nContent-Length: 0\r\n\r\n";

    struct Line {
        peer: DuplexStream,
        inbox: mpsc::Receiver<FlowEvent>,
        queue: mpsc::Sender<Vec<u8>>,
    }

    /// A connection that waits `long` for everything but what the test is about.
    fn line(dialled: bool, set: impl FnOnce(&mut Patience), buffer: usize) -> Line {
        let long = Duration::from_secs(60);
        let mut patience =
            Patience { message: long, first: long, idle: long, unused: long, write: long, ping: long, pong: long };
        set(&mut patience);
        let (ours, peer) = tokio::io::duplex(buffer);
        let (sender, inbox) = mpsc::channel(16);
        let (queue, messages) = mpsc::channel(16);
        let connection = Connection { patience, flow: FlowId(7), dialled, quiet: None, inbox: sender, queue: messages };
        tokio::spawn(connection.run(Box::new(ours)));
        Line { peer, inbox, queue }
    }

    impl Line {
        async fn event(&mut self) -> FlowEvent {
            timeout(Duration::from_secs(10), self.inbox.recv()).await.expect("an event").expect("a connection")
        }

        async fn is_closed(&mut self) -> Vec<Vec<u8>> {
            match self.event().await {
                FlowEvent::Closed { unsent, reached: true, .. } => unsent,
                other => panic!("{other:?}"),
            }
        }

        async fn read(&mut self, octets: usize) -> Vec<u8> {
            let mut buffer = vec![0; octets];
            timeout(Duration::from_secs(10), self.peer.read_exact(&mut buffer)).await.expect("octets").unwrap();
            buffer
        }
    }

    #[tokio::test]
    async fn a_message_that_does_not_end_ends_the_connection() {
        let mut line = line(false, |p| p.message = 50 * MS, 1000);
        line.peer.write_all(OPTIONS).await.unwrap();
        assert!(matches!(line.event().await, FlowEvent::Message { bytes, .. } if bytes == OPTIONS));
        line.peer.write_all(b"INVITE sip:").await.unwrap();
        match line.event().await {
            FlowEvent::Unfit { head, why: Malformed { status: 400, .. }, answered, .. } => {
                assert_eq!(head, b"INVITE sip:");
                // What waits when it is answered is written, and no more is waited for.
                line.queue.send(b"400".to_vec()).await.unwrap();
                drop(answered);
            }
            other => panic!("{other:?}"),
        }
        assert!(line.is_closed().await.is_empty());
        assert_eq!(line.read(3).await, b"400");
    }

    #[tokio::test]
    async fn nobody_who_answers_an_unfit_message_is_waited_for_long() {
        let mut line = line(false, |_| (), 1000);
        line.peer.write_all(b"OPTIONS sip:a@h SIP/2.0\r\nContent-Length: x\r\n\r\n").await.unwrap();
        let FlowEvent::Unfit { answered: _kept, .. } = line.event().await else { panic!("unfit") };
        assert!(line.is_closed().await.is_empty());
    }

    #[tokio::test]
    async fn whoever_says_nothing_is_not_waited_for() {
        let mut silent = line(false, |p| p.first = 50 * MS, 1000);
        // Keep-alives are no message.
        silent.peer.write_all(PING).await.unwrap();
        assert_eq!(silent.read(2).await, PONG);
        silent.is_closed().await;
        let mut idle = line(false, |p| p.idle = 50 * MS, 1000);
        idle.is_closed().await;
        let mut unused = line(true, |p| (p.unused, p.ping) = (80 * MS, 20 * MS), 1000);
        unused.is_closed().await;
    }

    #[tokio::test]
    async fn a_connection_of_ours_is_kept_open_and_a_dead_one_is_noticed() {
        let mut line = line(true, |p| (p.ping, p.pong) = (30 * MS, 50 * MS), 1000);
        // A peer that never pongs is not held to it.
        assert_eq!(line.read(12).await, PING.repeat(3));
        line.peer.write_all(PONG).await.unwrap();
        assert_eq!(line.read(4).await, PING);
        line.is_closed().await;
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_is_given_up_and_the_rest_comes_back() {
        let mut line = line(true, |p| p.write = 50 * MS, 10);
        for octet in 0..4u8 {
            line.queue.send(vec![octet; 100]).await.unwrap();
        }
        assert_eq!(line.is_closed().await.len(), 3);
    }

    #[tokio::test]
    async fn the_end_of_the_stream_is_seen_before_anything_is_written() {
        let mut line = line(true, |_| (), 1000);
        line.peer.shutdown().await.unwrap();
        line.queue.send(vec![1]).await.unwrap();
        assert_eq!(line.is_closed().await, [[1]]);
    }

    #[tokio::test]
    async fn what_waits_is_sent_before_we_close() {
        let Line { mut peer, inbox: _inbox, queue } = line(true, |_| (), 1000);
        queue.send(b"BYE".to_vec()).await.unwrap();
        drop(queue);
        let mut all = Vec::new();
        timeout(Duration::from_secs(10), peer.read_to_end(&mut all)).await.expect("closed").unwrap();
        assert_eq!(all, b"BYE");
    }
}
