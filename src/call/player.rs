//! Plays tones and files to callers: the apps `tone` and `play`.
//!
//! Purpose: keeps the rings of these calls filled ahead, as speech does for agents. Owning thread: "player", one for all
//! calls; it sleeps while nobody is played anything and looks every [`REFILL`] otherwise, a tenth of what a ring holds (the
//! media worker clocks the frames, so nothing here need be punctual). Invariants: places are counted and given back
//! whatever ends the call; a call whose session was freed is forgotten within a refill; the last frame says that it is the
//! last, so that the worker's `Played` tells the call's actor when to hang up. Deliberately absent: mixing, seeking,
//! choosing what to play (`config`).

pub mod library;
mod performance;
pub mod wave;

pub use performance::Source;

use crate::id::CallId;
use crate::limits::{OUTBOUND_RING_FRAMES, PLAYER_ORDERS_MAX, PLAYER_SEATS_MAX};
use crate::media::SpeechEnds;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use library::Library;
use performance::Performance;
use ringbuf::traits::{Consumer, Observer, Producer};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{fmt, io, thread};

/// How often rings are filled up.
const REFILL: Duration = Duration::from_millis(200);

const _: () = assert!(OUTBOUND_RING_FRAMES as u128 * 20 >= 5 * REFILL.as_millis(), "a ring outlasts a late refill");

/// Ours: as many callers are played something as there may be. Tell the caller to come back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{PLAYER_SEATS_MAX} callers are played something already; retry later")]
pub struct PlayerFull;

/// The thread and what it plays from.
pub struct Player {
    orders: Sender<Order>,
    seats: Arc<AtomicUsize>,
    library: Arc<Library>,
    thread: Option<thread::JoinHandle<()>>,
}

impl fmt::Debug for Player {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Player").field("seats", &self.seats.load(Ordering::Relaxed)).finish_non_exhaustive()
    }
}

impl Player {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start() -> io::Result<Self> {
        let (orders, received) = bounded(PLAYER_ORDERS_MAX);
        let thread = thread::Builder::new().name("player".to_owned()).spawn(move || run(&received))?;
        Ok(Self {
            orders,
            seats: Arc::new(AtomicUsize::new(0)),
            library: Arc::new(Library::default()),
            thread: Some(thread),
        })
    }

    /// The files that were read.
    #[must_use]
    pub fn library(&self) -> Arc<Library> {
        Arc::clone(&self.library)
    }

    /// A place for a caller; nothing is heard until [`Seat::begin`].
    ///
    /// # Errors
    /// [`PlayerFull`].
    pub fn seat(&self, call: CallId, source: Source, ends: SpeechEnds) -> Result<Seat, PlayerFull> {
        let taken = Taken::one(&self.seats).ok_or(PlayerFull)?;
        let show = Box::new(Show { call, performance: Performance::new(source), ends, _taken: taken });
        Ok(Seat { orders: self.orders.clone(), show: Some(show) })
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        // Fails only when the thread is gone already, which catches its panics.
        drop(self.orders.send(Order::Stop));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// One caller's place.
pub struct Seat {
    orders: Sender<Order>,
    show: Option<Box<Show>>,
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat").field("begun", &self.show.is_none()).finish_non_exhaustive()
    }
}

impl Seat {
    /// The caller hears it from now on; a second time does nothing.
    ///
    /// # Errors
    /// [`PlayerFull`]: the thread has thousands of orders before it.
    pub fn begin(&mut self) -> Result<(), PlayerFull> {
        let Some(show) = self.show.take() else { return Ok(()) };
        self.orders.try_send(Order::Play(show)).map_err(|_| PlayerFull)
    }
}

/// What the thread is told.
enum Order {
    Play(Box<Show>),
    Stop,
}

/// A counted place.
struct Taken(Arc<AtomicUsize>);

impl Taken {
    fn one(seats: &Arc<AtomicUsize>) -> Option<Self> {
        let more = |taken: usize| (taken < PLAYER_SEATS_MAX).then_some(taken + 1);
        seats.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_ok().then(|| Self(Arc::clone(seats)))
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// One caller and what is played.
struct Show {
    call: CallId,
    performance: Performance,
    ends: SpeechEnds,
    _taken: Taken,
}

impl Show {
    /// Fills the ring. False when nobody listens any more.
    fn refill(&mut self) -> bool {
        // What the caller says is heard by nobody.
        self.ends.inbound.clear();
        while !self.ends.outbound.is_full() {
            match self.performance.poll_frame() {
                // There is room for it.
                Some(frame) => drop(self.ends.outbound.try_push(frame)),
                None => break,
            }
        }
        self.ends.outbound.read_is_held()
    }
}

fn run(orders: &Receiver<Order>) {
    let mut shows: Vec<Box<Show>> = Vec::new();
    let mut due = Instant::now();
    loop {
        let next = if shows.is_empty() {
            orders.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            orders.recv_deadline(due)
        };
        match next {
            Ok(Order::Play(mut show)) => {
                if shows.is_empty() {
                    due = Instant::now() + REFILL;
                }
                if served(&mut show) {
                    shows.push(show);
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                shows.retain_mut(served);
                due = Instant::now() + REFILL;
            }
            Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// One caller's panic is silence for that caller and nothing to the others.
fn served(show: &mut Box<Show>) -> bool {
    catch_unwind(AssertUnwindSafe(|| show.refill())).unwrap_or_else(|_| {
        tracing::error!(call = %show.call, "playing to this call failed. Please report this with the lines above");
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::INBOUND_RING_FRAMES;
    use crate::media::{InFrame, OutFrame};
    use ringbuf::traits::Split;
    use ringbuf::{HeapCons, HeapProd, HeapRb};

    fn rings() -> (SpeechEnds, HeapProd<InFrame>, HeapCons<OutFrame>) {
        let (caller, inbound) = HeapRb::new(INBOUND_RING_FRAMES).split();
        let (outbound, line) = HeapRb::new(OUTBOUND_RING_FRAMES).split();
        (SpeechEnds { inbound, outbound }, caller, line)
    }

    fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while !holds() {
            assert!(Instant::now() < deadline, "{what}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_seat_is_silent_until_it_begins_and_is_given_back_when_the_call_is_gone() {
        let player = Player::start().unwrap();
        let (ends, caller, mut line) = rings();
        let mut seat = player.seat(CallId(1), Source::Tone(Default::default()), ends).unwrap();
        assert_eq!(player.seats.load(Ordering::Relaxed), 1);
        thread::sleep(Duration::from_millis(20));
        assert!(line.is_empty());
        seat.begin().unwrap();
        seat.begin().unwrap();
        eventually("the ring is filled", || line.is_full());
        line.clear();
        eventually("the ring is filled again", || line.is_full());
        drop((line, caller));
        eventually("the place is free", || player.seats.load(Ordering::Relaxed) == 0);
        // A seat that is still held does not keep the thread.
        let (ends, ..) = rings();
        let late = player.seat(CallId(2), Source::Tone(Default::default()), ends).unwrap();
        drop(player);
        drop(late);
    }

    #[test]
    fn a_file_goes_out_whole_and_in_order_to_many() {
        let player = Player::start().unwrap();
        let pcm: Arc<[i16]> = (0..30_000).map(|n| (n % 1999) as i16).collect();
        let mut lines: Vec<_> = (0..20)
            .map(|n| {
                let (ends, caller, line) = rings();
                let mut seat = player.seat(CallId(n), Source::File(Arc::clone(&pcm)), ends).unwrap();
                seat.begin().unwrap();
                (caller, line, Vec::new())
            })
            .collect();
        eventually("all hear the end", || {
            let mut over = 0;
            for (_, line, heard) in &mut lines {
                heard.extend(line.pop_iter());
                over += usize::from(heard.last().is_some_and(|f: &OutFrame| f.end));
            }
            over == 20
        });
        for (_, _, heard) in &lines {
            let samples: Vec<i16> = heard.iter().flat_map(|f| f.pcm).collect();
            assert_eq!(samples[..30_000], *pcm);
        }
    }

    #[test]
    fn places_are_counted() {
        let player = Player::start().unwrap();
        player.seats.store(PLAYER_SEATS_MAX, Ordering::Relaxed);
        let (ends, ..) = rings();
        assert_eq!(player.seat(CallId(1), Source::Tone(Default::default()), ends).unwrap_err(), PlayerFull);
    }
}
