//! A call on the speech plane without a network. Purpose: packets in, finals and frames out, as a media worker would do it.
//! Owned by one thread. Invariant: what is lost, the channel has lost;
//! an overflow of the ring is told.
//! Deliberately absent: judging what was heard.

use super::channel::Packet;
use callwright::conversation::{Expectation, domain};
use callwright::id::CallId;
use callwright::limits::{INBOUND_RING_FRAMES, OUTBOUND_RING_FRAMES};
use callwright::media::{InFrame, InboundProducer, OutFrame, OutboundConsumer, SaidLevels, SpeechEnds};
use callwright::os::clock;
use callwright::os::wake::Wake;
use callwright::speech::{Part, SpeechConfig, SpeechEvent, SpeechLane, SpeechPlane};
use callwright::telemetry::Marks;
use callwright::time::MediaTime;
use callwright_models::Assets;
use ringbuf::HeapRb;
use ringbuf::traits::{Observer, Producer, Split};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How long an answer may take before the bench is given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks for an answer.
const LOOK: Duration = Duration::from_micros(200);

/// The speech plane under test, with the bell of the worker that feeds it.
pub struct Rig {
    pub plane: SpeechPlane,
    wake: Wake,
}

/// What was recognised.
#[derive(Clone, Debug)]
pub struct Heard {
    pub text: String,
    pub confidence: f32,
    /// Other readings, the likelier first.
    pub alternatives: Vec<String>,
    /// From the request to the result, wall time.
    pub took: Duration,
}

impl Rig {
    /// Starts the plane as the daemon does. Fails with what is missing and how to install it.
    pub fn start(config: &SpeechConfig) -> Result<Self, String> {
        let wake = Wake::new().map_err(|e| e.to_string())?;
        let other = wake.try_clone().map_err(|e| e.to_string())?;
        let plane = SpeechPlane::start(config, &Assets::locate(), &domain(), vec![other], Arc::new(Marks::new()))
            .map_err(|e| e.to_string())?;
        match plane.engines().into_iter().find(|engine| !engine.ready) {
            Some(missing) => Err(missing.note),
            None => Ok(Self { plane, wake }),
        }
    }

    /// What speaks.
    pub fn voice(&self) -> String {
        let status = self.plane.engines().into_iter().find(|engine| engine.part == Part::Tts);
        status.map(|status| status.name).unwrap_or_default()
    }

    /// What recognises, and what is said about it.
    pub fn recogniser(&self) -> (String, String) {
        let status = self.plane.engines().into_iter().find(|engine| engine.part == Part::Asr);
        status.map_or_else(Default::default, |status| (status.name, status.note))
    }

    pub fn call(&self) -> Result<Call, String> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let (inbound, speech_in) = HeapRb::<InFrame>::new(INBOUND_RING_FRAMES).split();
        let (speech_out, outbound) = HeapRb::<OutFrame>::new(OUTBOUND_RING_FRAMES).split();
        let (sender, events) = mpsc::channel(callwright::limits::CALL_EVENTS_MAX);
        let ends = SpeechEnds { inbound: speech_in, outbound: speech_out };
        let id = CallId(NEXT.fetch_add(1, Ordering::Relaxed));
        let lane = self.plane.attach(id, "", ends, sender).map_err(|e| e.to_string())?;
        let wake = self.wake.try_clone().map_err(|e| e.to_string())?;
        Ok(Call { lane, inbound, outbound, events, at: 0, wake })
    }
}

/// One call.
pub struct Call {
    pub lane: SpeechLane,
    inbound: InboundProducer,
    pub outbound: OutboundConsumer,
    pub events: mpsc::Receiver<SpeechEvent>,
    at: u64,
    wake: Wake,
}

impl Call {
    /// Says a turn as fast as the ears listen, and waits for what was recognised.
    pub fn hear(&mut self, expectation: Expectation, packets: &[Packet]) -> Result<Heard, String> {
        self.expect(expectation)?;
        for packet in packets {
            let deadline = Instant::now() + PATIENCE;
            while self.inbound.vacant_len() < 8 {
                if Instant::now() > deadline {
                    return Err("the ears do not read their ring".into());
                }
                std::thread::sleep(LOOK);
            }
            // There was room above.
            self.feed(packet);
        }
        let deadline = Instant::now() + PATIENCE;
        while !self.inbound.is_empty() && Instant::now() < deadline {
            std::thread::sleep(LOOK);
        }
        self.finish()
    }

    /// Says a turn at the pace of a call; the result is asked for when the last packet has been said.
    pub fn hear_paced(&mut self, expectation: Expectation, packets: &[Packet]) -> Result<Heard, String> {
        self.expect(expectation)?;
        let mut due = clock::monotonic();
        for packet in packets {
            due = due + Duration::from_millis(20);
            clock::sleep_until(due);
            if !self.feed(packet) {
                return Err("the ears are two seconds behind: the machine is too busy to measure".into());
            }
        }
        self.finish()
    }

    /// Says what is expected, and waits until the ears know: in a call the agent's question is played meanwhile. Orders are
    /// taken in turn, so an empty turn that is answered proves it.
    fn expect(&mut self, expectation: Expectation) -> Result<(), String> {
        self.lane.listen(expectation);
        self.lane.finalize();
        self.wait(|event| matches!(event, SpeechEvent::Final { .. }).then_some(()))
    }

    /// One packet, now. False when there is no room for it: the ears are two seconds behind, and it is lost.
    pub fn feed(&mut self, packet: &Packet) -> bool {
        let frame = InFrame {
            at: MediaTime(self.at),
            received: clock::monotonic(),
            fed: packet.lost,
            len: packet.pcm.len() as u16,
            said: SaidLevels::SILENCE,
            pcm: packet.pcm,
        };
        self.at += packet.pcm.len() as u64;
        let taken = self.inbound.try_push(frame).is_ok();
        self.wake.signal();
        taken
    }

    /// The next event that `want` takes; others are dropped.
    pub fn wait<T>(&mut self, want: impl Fn(SpeechEvent) -> Option<T>) -> Result<T, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.events.try_recv() {
                Ok(event) => {
                    if let Some(found) = want(event) {
                        return Ok(found);
                    }
                }
                Err(mpsc::error::TryRecvError::Empty) if Instant::now() < deadline => std::thread::sleep(LOOK),
                Err(_) => return Err("the speech plane does not answer".into()),
            }
        }
    }

    fn finish(&mut self) -> Result<Heard, String> {
        // A turn that outlasted its limit has been answered already; its words belong to this one.
        let mut early: Vec<String> = Vec::new();
        while let Ok(event) = self.events.try_recv() {
            if let SpeechEvent::Final { text, .. } = event {
                early.push(text);
            }
        }
        let asked = Instant::now();
        self.lane.finalize();
        let (text, confidence, alternatives) = self.wait(|event| match event {
            SpeechEvent::Final { text, confidence, alternatives, .. } => Some((text, confidence, alternatives)),
            _ => None,
        })?;
        let took = asked.elapsed();
        early.push(text);
        Ok(Heard { text: early.join(" ").trim().to_owned(), confidence, alternatives, took })
    }
}
