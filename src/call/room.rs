//! Rooms in which calls hear each other: a bridge of two, a conference of more. Purpose: whoever is in a room hears the sum of
//! the others; one alone hears ringback, as somebody is being fetched.
//!
//! Owning thread: "mixer", one for all rooms; it sleeps while there is nobody, and mixes a frame every 20 ms otherwise. Each
//! member's audio goes through a playout buffer (`dsp::jitter`), as this is where streams of different clocks meet.
//! Invariants: a member's rings come back by [`RoomSeat::leave`], or are freed when the seat is dropped; one member's panic
//! takes that member out and nobody else; what does not fit a ring is dropped, never waited for. Deliberately absent: who
//! joins whom (`steer`), rates above 8 kHz.

use super::machine_detection::{MachineDetection, Verdict};
use crate::id::{CallId, Generation, UtteranceId};
use crate::limits::{FRAME, FRAME_SAMPLES, ROOM_MEMBERS_MAX, ROOM_ORDERS_MAX, ROOMS_MAX};
use crate::media::{OutFrame, SpeechEnds};
use callwright_dsp::jitter::{Content, Decode, Packet, PlayoutBuffer, Settings};
use callwright_dsp::limiter::Limiter;
use callwright_dsp::mix::Mixer;
use callwright_dsp::resample::Rate;
use callwright_dsp::tone::{Cadence, Signal};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use ringbuf::traits::{Consumer, Observer, Producer};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{fmt, io, thread};
use tokio::sync::{mpsc, oneshot, watch};

/// Samples per second of everything here.
const RATE_HZ: u32 = 8_000;
/// Frames that are ahead in a member's ring: the mixer is no real-time thread.
const AHEAD_FRAMES: usize = 3;
/// A mixer that stood still for longer does not make up for it.
const LATE_MAX: Duration = Duration::from_millis(200);
/// Machines that have not beeped by then will not.
const BEEP_MAX: Duration = Duration::from_secs(60);
/// The thread answers within a pass.
const LEAVE_MAX: Duration = Duration::from_secs(2);
/// Utterances of rooms stand apart from an agent's.
const ROOM_UTTERANCE: UtteranceId = UtteranceId(u32::MAX);

/// One room; random.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RoomId(pub u64);

/// Why a call does not come in. Retry later.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoRoom {
    /// As many as a room takes.
    #[error("{ROOM_MEMBERS_MAX} calls are in that room already")]
    Full,
    /// As many as there may be.
    #[error("{ROOMS_MAX} calls are in rooms already")]
    Busy,
}

/// The thread.
pub struct Rooms {
    orders: Sender<Order>,
    members: Arc<AtomicUsize>,
    thread: Option<thread::JoinHandle<()>>,
}

impl fmt::Debug for Rooms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rooms").field("members", &self.members.load(Ordering::Relaxed)).finish_non_exhaustive()
    }
}

impl Rooms {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start() -> io::Result<Self> {
        let (orders, received) = bounded(ROOM_ORDERS_MAX);
        let members = Arc::new(AtomicUsize::new(0));
        let thread = thread::Builder::new().name("mixer".to_owned()).spawn(move || run(&received))?;
        Ok(Self { orders, members, thread: Some(thread) })
    }

    /// Brings a call in. Its frames are of `generation`.
    ///
    /// # Errors
    /// [`NoRoom`], with the rings given back.
    pub fn join(
        &self,
        room: RoomId,
        call: CallId,
        ends: SpeechEnds,
        generation: Generation,
    ) -> Result<RoomSeat, (NoRoom, SpeechEnds)> {
        let more = |members: usize| (members < ROOMS_MAX).then_some(members + 1);
        if self.members.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_err() {
            return Err((NoRoom::Busy, ends));
        }
        let (count, present) = watch::channel(1);
        let counted = Counted(Arc::clone(&self.members));
        let member = Box::new(Member::new(call, ends, generation, count, counted));
        let order = Order::Join { room, member };
        match self.orders.try_send(order) {
            Ok(()) => Ok(RoomSeat { orders: self.orders.clone(), room, call, present, left: false }),
            Err(refused) => match refused.into_inner() {
                Order::Join { member, .. } => Err((NoRoom::Busy, member.ends)),
                Order::Leave { .. } | Order::Listen(_) | Order::Stop => unreachable!("what was sent comes back"),
            },
        }
    }
}

impl Rooms {
    /// Listens who has answered a call: gives each verdict, and the rings with the last one. `wait_for_beep`: a machine's beep
    /// is waited for, a minute at most.
    #[must_use]
    pub fn detect(&self, ends: SpeechEnds, wait_for_beep: bool) -> mpsc::Receiver<(Verdict, Option<SpeechEnds>)> {
        let (tell, verdicts) = mpsc::channel(4);
        let listener = Listener {
            ends: Some(ends),
            detection: MachineDetection::default(),
            until: None,
            wait_for_beep,
            tell,
            pcm: Vec::with_capacity(2 * FRAME_SAMPLES),
        };
        // Where the thread is gone the channel closes, and the call hears that.
        let _ = self.orders.try_send(Order::Listen(Box::new(listener)));
        verdicts
    }
}

/// One call that is listened to.
struct Listener {
    ends: Option<SpeechEnds>,
    detection: MachineDetection,
    /// When the beep is given up.
    until: Option<Instant>,
    wait_for_beep: bool,
    tell: mpsc::Sender<(Verdict, Option<SpeechEnds>)>,
    pcm: Vec<i16>,
}

impl Listener {
    /// False when it is done.
    fn listen(&mut self, now: Instant) -> bool {
        let Some(ends) = &mut self.ends else { return false };
        if self.tell.is_closed() || !ends.outbound.read_is_held() {
            return false;
        }
        let mut heard = None;
        while let Some(frame) = ends.inbound.try_pop() {
            self.pcm.extend_from_slice(frame.samples());
            while heard.is_none() && self.pcm.len() >= FRAME_SAMPLES {
                heard = self.detection.handle_frame(&self.pcm[..FRAME_SAMPLES]);
                self.pcm.drain(..FRAME_SAMPLES);
            }
        }
        let verdict = match (heard, self.until) {
            (Some(verdict), _) => verdict,
            (None, Some(until)) if now >= until => Verdict::Silence,
            (None, _) => return true,
        };
        let goes_on = verdict == Verdict::Machine && self.wait_for_beep;
        if goes_on {
            self.until = Some(now + BEEP_MAX);
        }
        let ends = if goes_on { None } else { self.ends.take() };
        // Who asked may be gone.
        let _ = self.tell.try_send((verdict, ends));
        goes_on
    }
}

impl Drop for Rooms {
    fn drop(&mut self) {
        // Fails only when the thread is gone already, which catches its panics.
        drop(self.orders.send(Order::Stop));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// A call's place in a room; dropping it takes the call out.
pub struct RoomSeat {
    orders: Sender<Order>,
    room: RoomId,
    call: CallId,
    present: watch::Receiver<usize>,
    left: bool,
}

impl fmt::Debug for RoomSeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoomSeat").field("room", &self.room).field("call", &self.call).finish_non_exhaustive()
    }
}

impl RoomSeat {
    /// Which room.
    #[must_use]
    pub const fn room(&self) -> RoomId {
        self.room
    }

    /// Waits until the number of those present has changed, and gives it; 0: the mixer has let the call go.
    pub async fn changed(&mut self) -> usize {
        match self.present.changed().await {
            Ok(()) => *self.present.borrow_and_update(),
            Err(_) => 0,
        }
    }

    /// Goes out with the rings. `None` when the mixer does not answer.
    pub async fn leave(mut self) -> Option<SpeechEnds> {
        self.left = true;
        let (give, ends) = oneshot::channel();
        self.orders.try_send(Order::Leave { room: self.room, call: self.call, give: Some(give) }).ok()?;
        tokio::time::timeout(LEAVE_MAX, ends).await.ok()?.ok()
    }
}

impl Drop for RoomSeat {
    fn drop(&mut self) {
        // Where this is lost, the member goes when nobody reads its rings any more.
        if !self.left {
            let _ = self.orders.try_send(Order::Leave { room: self.room, call: self.call, give: None });
        }
    }
}

/// What the thread is told.
enum Order {
    Join { room: RoomId, member: Box<Member> },
    Leave { room: RoomId, call: CallId, give: Option<oneshot::Sender<SpeechEnds>> },
    Listen(Box<Listener>),
    Stop,
}

/// A counted place.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Samples as they are: the rings carry no codec.
struct Linear;

impl Decode for Linear {
    fn samples(&self, payload: &[u8]) -> Option<usize> {
        (!payload.is_empty() && payload.len().is_multiple_of(2)).then_some(payload.len() / 2)
    }

    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Option<usize> {
        let samples = payload.len() / 2;
        for (to, from) in pcm.get_mut(..samples)?.iter_mut().zip(payload.chunks_exact(2)) {
            *to = i16::from_le_bytes([from[0], from[1]]);
        }
        Some(samples)
    }

    fn conceal(&mut self, _: &mut [i16]) -> bool {
        false
    }

    fn recover(&mut self, _: &[u8], _: &mut [i16]) -> bool {
        false
    }

    fn reset(&mut self) {}
}

/// One call in a room.
struct Member {
    call: CallId,
    ends: SpeechEnds,
    generation: Generation,
    buffer: Option<PlayoutBuffer>,
    sequence: u16,
    limiter: Limiter,
    /// What it says in this frame.
    said: [i16; FRAME_SAMPLES],
    count: watch::Sender<usize>,
    _counted: Counted,
}

impl Member {
    fn new(
        call: CallId,
        ends: SpeechEnds,
        generation: Generation,
        count: watch::Sender<usize>,
        counted: Counted,
    ) -> Self {
        // These settings are within bounds; a buffer that could not be made would be a silent member.
        let settings = Settings { rate: RATE_HZ, rtp_clock: RATE_HZ, ..Settings::default() };
        Self {
            call,
            ends,
            generation,
            buffer: PlayoutBuffer::new(settings).ok(),
            sequence: 0,
            limiter: Limiter::new(Rate::Hz8000),
            said: [0; FRAME_SAMPLES],
            count,
            _counted: counted,
        }
    }

    /// What it says in the frame that is played at `now`.
    fn hear(&mut self, now: Instant, epoch: Instant) {
        let nanoseconds = u64::try_from(now.duration_since(epoch).as_nanos()).unwrap_or(u64::MAX);
        self.said = [0; FRAME_SAMPLES];
        let Some(buffer) = &mut self.buffer else {
            self.ends.inbound.clear();
            return;
        };
        while let Some(frame) = self.ends.inbound.try_pop() {
            let mut payload = [0; 2 * FRAME_SAMPLES];
            let samples = frame.samples();
            for (to, from) in payload.chunks_exact_mut(2).zip(samples) {
                to.copy_from_slice(&from.to_le_bytes());
            }
            let packet = Packet {
                ssrc: 1,
                sequence: self.sequence,
                // The clock of RTP wraps at 32 bits.
                timestamp: frame.at.0 as u32,
                content: Content::Audio(&payload[..2 * samples.len()]),
            };
            self.sequence = self.sequence.wrapping_add(1);
            buffer.insert_packet(nanoseconds, &packet, &Linear);
        }
        buffer.get_audio(nanoseconds, &mut self.said, &mut Linear);
    }

    /// Sends it a frame; false when nobody reads its ring any more.
    fn tell(&mut self, pcm: [i16; FRAME_SAMPLES]) -> bool {
        let outbound = &mut self.ends.outbound;
        if !outbound.read_is_held() {
            return false;
        }
        let frame = |pcm| OutFrame {
            generation: self.generation,
            utterance: ROOM_UTTERANCE,
            end: false,
            // A constant below 65,536.
            len: FRAME_SAMPLES as u16,
            pcm,
        };
        if outbound.is_empty() {
            // It has just come, or we were late: some silence, so that the next lateness is not heard.
            for _ in 1..AHEAD_FRAMES {
                let _ = outbound.try_push(frame([0; FRAME_SAMPLES]));
            }
        }
        // Behind a ring that is fuller than this something stands still (a hold): what it misses is past.
        if outbound.occupied_len() < 2 * AHEAD_FRAMES {
            let _ = outbound.try_push(frame(pcm));
        }
        true
    }
}

/// Who hears whom.
struct Room {
    members: Vec<Box<Member>>,
    /// For one alone who waits for somebody; nobody is waited for once there were two.
    ringback: Option<Box<Cadence>>,
}

impl Room {
    fn new() -> Self {
        let signal = "ringback".parse::<Signal>().unwrap_or_default();
        Self { members: Vec::new(), ringback: Some(Box::new(Cadence::new(signal, RATE_HZ))) }
    }

    fn tell_count(&self) {
        for member in &self.members {
            let present = self.members.len();
            member.count.send_if_modified(|count| std::mem::replace(count, present) != present);
        }
    }

    fn take(&mut self, call: CallId) -> Option<Box<Member>> {
        let at = self.members.iter().position(|member| member.call == call)?;
        let member = self.members.swap_remove(at);
        self.tell_count();
        Some(member)
    }

    /// One frame of everybody.
    fn mix(&mut self, mixer: &mut Mixer, now: Instant, epoch: Instant) {
        let before = self.members.len();
        if before >= 2 {
            self.ringback = None;
        }
        self.members.retain_mut(|member| survives(member, |member| member.hear(now, epoch)).is_some());
        mixer.begin(FRAME_SAMPLES);
        for member in &self.members {
            mixer.add(&member.said);
        }
        let mut tone = [0; FRAME_SAMPLES];
        if let Some(ringback) = &mut self.ringback {
            ringback.fill(&mut tone);
        }
        let alone = self.ringback.is_some();
        self.members.retain_mut(|member| {
            survives(member, |member| {
                let mut pcm = tone;
                if !alone {
                    mixer.hear(&member.said, &mut member.limiter, &mut pcm);
                }
                member.tell(pcm)
            })
            .unwrap_or(false)
        });
        if self.members.len() != before {
            self.tell_count();
        }
    }
}

/// One member's panic is the end of its stay.
fn survives<T>(member: &mut Box<Member>, work: impl FnOnce(&mut Member) -> T) -> Option<T> {
    let call = member.call;
    catch_unwind(AssertUnwindSafe(|| work(member)))
        .map_err(|_| tracing::error!(%call, "mixing this call failed. Please report this with the lines above"))
        .ok()
}

fn run(orders: &Receiver<Order>) {
    let epoch = Instant::now();
    let mut mixer = Mixer::new();
    let mut rooms: HashMap<RoomId, Room> = HashMap::new();
    let mut listeners: Vec<Box<Listener>> = Vec::new();
    let mut due = epoch;
    loop {
        let next = if rooms.is_empty() && listeners.is_empty() {
            orders.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            orders.recv_deadline(due)
        };
        match next {
            Ok(Order::Join { room, member }) => {
                if rooms.is_empty() && listeners.is_empty() {
                    due = Instant::now();
                }
                let room = rooms.entry(room).or_insert_with(Room::new);
                // One too many is let go at once, which its call hears by its watch.
                if room.members.len() < ROOM_MEMBERS_MAX {
                    room.members.push(member);
                    room.tell_count();
                }
            }
            Ok(Order::Leave { room, call, give }) => {
                let member = rooms.get_mut(&room).and_then(|room| room.take(call));
                if let (Some(member), Some(give)) = (member, give) {
                    // Who asked may be gone, and the rings with it.
                    let _ = give.send(member.ends);
                }
            }
            Ok(Order::Listen(listener)) => {
                if rooms.is_empty() && listeners.is_empty() {
                    due = Instant::now();
                }
                listeners.push(listener);
            }
            Err(RecvTimeoutError::Timeout) => {
                let now = Instant::now();
                listeners.retain_mut(|listener| {
                    // One call's panic is an end to listening to it, which it hears by its channel.
                    catch_unwind(AssertUnwindSafe(|| listener.listen(now))).unwrap_or(false)
                });
                if now > due + LATE_MAX {
                    due = now;
                }
                while due <= now {
                    for room in rooms.values_mut() {
                        room.mix(&mut mixer, due, epoch);
                    }
                    due += FRAME;
                }
            }
            Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => return,
        }
        rooms.retain(|_, room| !room.members.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{INBOUND_RING_FRAMES, OUTBOUND_RING_FRAMES};
    use crate::media::{InFrame, SaidLevels};
    use crate::time::{MediaTime, Tick};
    use ringbuf::traits::Split;
    use ringbuf::{HeapCons, HeapProd, HeapRb};

    struct Line {
        said: HeapProd<InFrame>,
        heard: HeapCons<OutFrame>,
        at: u64,
    }

    fn line() -> (SpeechEnds, Line) {
        let (said, inbound) = HeapRb::new(INBOUND_RING_FRAMES).split();
        let (outbound, heard) = HeapRb::new(OUTBOUND_RING_FRAMES).split();
        (SpeechEnds { inbound, outbound }, Line { said, heard, at: 0 })
    }

    impl Line {
        fn say(&mut self, level: i16) {
            let pcm = [level; FRAME_SAMPLES];
            let frame = InFrame {
                at: MediaTime(self.at),
                received: Tick(0),
                fed: false,
                len: FRAME_SAMPLES as u16,
                said: SaidLevels::SILENCE,
                pcm,
            };
            self.at += FRAME_SAMPLES as u64;
            let _ = self.said.try_push(frame);
        }

        fn last(&mut self) -> Option<i16> {
            let mut last = None;
            while let Some(frame) = self.heard.try_pop() {
                last = Some(frame.pcm[80]);
            }
            last
        }
    }

    fn member(call: u64) -> (Box<Member>, Line, watch::Receiver<usize>) {
        let (ends, line) = line();
        let (count, present) = watch::channel(1);
        let counted = Counted(Arc::new(AtomicUsize::new(1)));
        (Box::new(Member::new(CallId(call), ends, Generation(3), count, counted)), line, present)
    }

    /// In virtual time: everybody hears the sum of the others, and one alone hears ringback and then silence.
    #[test]
    fn three_in_a_room_hear_the_two_others() {
        let epoch = Instant::now();
        let (mut mixer, mut room) = (Mixer::new(), Room::new());
        let (one, mut a, _) = member(1);
        room.members.push(one);
        let mut frame = 0u32;
        let mut tick = |room: &mut Room, lines: &mut [(&mut Line, i16)]| {
            frame += 1;
            for (line, level) in lines.iter_mut() {
                line.say(*level);
            }
            room.mix(&mut mixer, epoch + FRAME * frame, epoch);
        };
        let mut rung = false;
        for _ in 0..20 {
            tick(&mut room, &mut [(&mut a, 100)]);
            rung |= std::iter::from_fn(|| a.heard.try_pop()).any(|frame| frame.pcm.iter().any(|s| s.abs() > 500));
        }
        assert!(rung, "ringback while somebody is fetched");
        let ((two, mut b, _), (three, mut c, _)) = (member(2), member(3));
        room.members.extend([two, three]);
        let mut heard = (0, 0, 0);
        for _ in 0..100 {
            tick(&mut room, &mut [(&mut a, 100), (&mut b, 20), (&mut c, -3)]);
            heard = (a.last().unwrap(), b.last().unwrap(), c.last().unwrap());
        }
        assert_eq!(heard, (17, 97, 120));
        assert!(room.take(CallId(3)).is_some() && room.take(CallId(3)).is_none());
        room.take(CallId(2)).unwrap();
        for _ in 0..20 {
            tick(&mut room, &mut [(&mut a, 100)]);
        }
        assert_eq!(a.last(), Some(0), "who is left hears nothing, and no ringback");
    }

    #[test]
    fn a_ring_that_is_not_read_holds_up_nobody() {
        let epoch = Instant::now();
        let (mut mixer, mut room) = (Mixer::new(), Room::new());
        let ((one, mut a, _), (two, mut b, _)) = (member(1), member(2));
        room.members.extend([one, two]);
        for frame in 0..300 {
            a.say(7);
            b.say(9);
            room.mix(&mut mixer, epoch + FRAME * frame, epoch);
            a.last();
        }
        assert!(b.heard.occupied_len() <= 2 * AHEAD_FRAMES);
        drop(b);
        room.mix(&mut mixer, epoch + FRAME * 301, epoch);
        assert_eq!(room.members.len(), 1, "its rings were freed: it is gone");
    }

    #[tokio::test]
    async fn a_seat_counts_and_gives_the_rings_back() {
        let rooms = Rooms::start().unwrap();
        let ((ends_a, _a), (ends_b, b)) = (line(), line());
        let mut one = rooms.join(RoomId(1), CallId(1), ends_a, Generation(0)).map_err(|(why, _)| why).unwrap();
        let two = rooms.join(RoomId(1), CallId(2), ends_b, Generation(0)).map_err(|(why, _)| why).unwrap();
        assert_eq!(one.changed().await, 2);
        let ends = two.leave().await.expect("the rings");
        assert!(ends.outbound.read_is_held());
        assert_eq!(one.changed().await, 1);
        drop((ends, b, one));
        for _ in 0..200 {
            if rooms.members.load(Ordering::Relaxed) == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("a place was not given back");
    }
}
