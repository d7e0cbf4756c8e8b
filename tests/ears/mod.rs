//! A speech plane for tests: its rings without sockets, and a synthetic caller over a G.711 line.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of the rig")]
#![expect(clippy::print_stderr, reason = "a skipped test says so")]

use callwright::conversation::{Expectation, domain};
use callwright::id::{CallId, UtteranceId};
use callwright::media::{InFrame, InboundProducer, OutFrame, OutboundConsumer, SaidLevels, SpeechEnds};
use callwright::os::clock;
use callwright::os::wake::Wake;
use callwright::speech::{Followed, SpeechConfig, SpeechError, SpeechEvent, SpeechLane, SpeechPlane};
use callwright::telemetry::Marks;
use callwright::time::MediaTime;
use callwright_dsp::codec::g711;
use callwright_dsp::level;
use callwright_dsp::resample::{Rate, Resampler};
use callwright_models::Assets;
use callwright_models::tts::Flite;
use ringbuf::HeapRb;
use ringbuf::traits::{Consumer, Observer, Producer, Split};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How long anything may take on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct Rig {
    pub plane: SpeechPlane,
    pub wake: Wake,
}

pub struct Call {
    pub lane: SpeechLane,
    pub inbound: InboundProducer,
    pub outbound: OutboundConsumer,
    pub events: mpsc::Receiver<SpeechEvent>,
    pub seen: Vec<SpeechEvent>,
    pub at: u64,
    pub wake: Wake,
    /// Of one that is fed in virtual time.
    pub followed: Option<Followed>,
}

/// One recogniser and one mouth are enough for most tests and start sooner.
pub fn config() -> SpeechConfig {
    SpeechConfig { recognisers: 1, mouths: 1, ..SpeechConfig::default() }
}

pub fn start(config: &SpeechConfig) -> Option<Rig> {
    let wake = Wake::new().unwrap();
    let other = wake.try_clone().unwrap();
    let assets = Assets::locate();
    let plane = SpeechPlane::start(config, &assets, &domain(), vec![other], Arc::new(Marks::new())).unwrap();
    if let Some(missing) = plane.engines().iter().find(|engine| !engine.ready) {
        eprintln!("skipped: run make setup ({})", missing.note);
        assert!(!assets.root().is_some_and(|root| root.join("silero_vad.onnx").exists()), "{}", missing.note);
        return None;
    }
    Some(Rig { plane, wake })
}

fn next_call() -> CallId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    CallId(NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Rig {
    pub fn try_call(&self) -> Result<Call, SpeechError> {
        self.try_call_to("")
    }

    /// A call to an agent by name.
    pub fn try_call_to(&self, agent: &str) -> Result<Call, SpeechError> {
        let (inbound, speech_in) = HeapRb::<InFrame>::new(100).split();
        let (speech_out, outbound) = HeapRb::<OutFrame>::new(100).split();
        let (sender, events) = mpsc::channel(256);
        let ends = SpeechEnds { inbound: speech_in, outbound: speech_out };
        let lane = self.plane.attach(next_call(), agent, ends, sender)?;
        let wake = self.wake.try_clone().unwrap();
        Ok(Call { lane, inbound, outbound, events, seen: Vec::new(), at: 0, wake, followed: None })
    }

    /// A call whose audio may come faster than a call's: feed a frame, then settle.
    pub fn followed_call(&self) -> Call {
        let (inbound, speech_in) = HeapRb::<InFrame>::new(100).split();
        let (speech_out, outbound) = HeapRb::<OutFrame>::new(100).split();
        let (sender, events) = mpsc::channel(256);
        let ends = SpeechEnds { inbound: speech_in, outbound: speech_out };
        let (lane, followed) = self.plane.attach_followed(next_call(), "", ends, sender).unwrap();
        let wake = self.wake.try_clone().unwrap();
        Call { lane, inbound, outbound, events, seen: Vec::new(), at: 0, wake, followed: Some(followed) }
    }

    pub fn call(&self) -> Call {
        self.try_call().unwrap()
    }
}

impl Call {
    /// Feeds 8 kHz audio frame by frame, as fast as the ears read it; in a followed call each frame waits until all before it
    /// has been judged, so that the machine's speed decides nothing. Returns the time of its first sample.
    pub fn feed(&mut self, samples: &[i16]) -> u64 {
        let began = self.at;
        if self.followed.is_some() {
            for part in samples.chunks(160) {
                self.feed_frame(part);
                self.settle();
                self.drain();
            }
            return began;
        }
        for part in samples.chunks(160) {
            let deadline = Instant::now() + PATIENCE;
            while self.inbound.vacant_len() < 50 {
                assert!(Instant::now() < deadline, "the ears do not read");
                self.drain();
                std::thread::yield_now();
            }
            self.feed_frame(part);
        }
        let deadline = Instant::now() + PATIENCE;
        while !self.inbound.is_empty() {
            assert!(Instant::now() < deadline, "the ears do not read");
            self.drain();
            std::thread::yield_now();
        }
        began
    }

    /// Waits until everything that was fed has been judged and recognised.
    pub fn settle(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.followed.as_ref().unwrap().is_settled(MediaTime(self.at)) {
            assert!(Instant::now() < deadline, "the ears do not read");
            std::thread::sleep(Duration::from_micros(50));
        }
    }

    pub fn feed_frame(&mut self, part: &[i16]) {
        self.feed_said(part, SaidLevels::SILENCE);
    }

    /// A frame, and what had been sent to the caller when it came.
    pub fn feed_said(&mut self, part: &[i16], said: SaidLevels) {
        let mut pcm = [0; 160];
        pcm[..part.len()].copy_from_slice(part);
        let frame = InFrame {
            at: MediaTime(self.at),
            received: clock::monotonic(),
            fed: false,
            len: part.len() as u16,
            said,
            pcm,
        };
        self.at += part.len() as u64;
        assert!(self.inbound.try_push(frame).is_ok());
        self.wake.signal();
    }

    pub fn drain(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            self.seen.push(event);
        }
    }

    /// Waits for the next event that `want` takes; events before it are kept in `seen`.
    pub fn wait<T>(&mut self, what: &str, want: impl Fn(&SpeechEvent) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut next = 0;
        loop {
            self.drain();
            while let Some(event) = self.seen.get(next) {
                if let Some(found) = want(event) {
                    self.seen.remove(next);
                    return found;
                }
                next += 1;
            }
            assert!(Instant::now() < deadline, "no {what}; seen: {:?}", self.seen);
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub fn hear(&mut self, expectation: Expectation, samples: &[i16]) -> (String, f32) {
        self.lane.listen(expectation);
        self.feed(samples);
        self.lane.finalize();
        self.wait("final", |event| match event {
            SpeechEvent::Final { text, confidence, .. } => Some((text.clone(), *confidence)),
            _ => None,
        })
    }

    /// Takes frames until one ends `utterance`.
    pub fn play(&mut self, utterance: UtteranceId) -> Vec<OutFrame> {
        let deadline = Instant::now() + PATIENCE;
        let mut frames = Vec::new();
        loop {
            match self.outbound.try_pop() {
                Some(frame) => {
                    let end = frame.end && frame.utterance == utterance;
                    frames.push(frame);
                    if end {
                        return frames;
                    }
                }
                None => {
                    assert!(Instant::now() < deadline, "the utterance does not end");
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        }
    }
}

pub struct Noise(pub u32);

impl Noise {
    pub fn next(&mut self, amplitude: f32) -> i16 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (((self.0 >> 16) as f32 / 32_768.0 - 1.0) * amplitude) as i16
    }

    pub fn samples(&mut self, count: usize, amplitude: f32) -> Vec<i16> {
        (0..count).map(|_| self.next(amplitude)).collect()
    }
}

/// What a G.711 line makes of samples, with a little noise.
pub fn line(samples: &[i16]) -> Vec<i16> {
    let mut noise = Noise(1);
    let mut pcm: Vec<i16> = samples.iter().map(|s| s.saturating_add(noise.next(60.0))).collect();
    let mut octets = vec![0; pcm.len()];
    g711::encode_ulaw(&pcm, &mut octets);
    g711::decode_ulaw(&octets, &mut pcm);
    pcm
}

/// A voice at 8 kHz, without silence around it, at about −20 dBFS.
pub fn said(voice: &str, text: &str) -> Vec<i16> {
    let mut wide = Vec::new();
    Flite::load(&Assets::locate(), voice).unwrap().speak(text, &mut |chunk| {
        wide.extend_from_slice(chunk);
        ControlFlow::Continue(())
    });
    let mut pcm = vec![0; wide.len() / 2 + 1];
    let made = Resampler::new(Rate::Hz16000, Rate::Hz8000).process(&wide, &mut pcm).written;
    pcm.truncate(made);
    let first = level::first_voiced(&pcm, 8000, -45.0).unwrap_or(0);
    let last = level::last_voiced(&pcm, 8000, -45.0).unwrap_or(pcm.len() - 1);
    pcm[first..=last].to_vec()
}

/// Half a second of line, the speech, and a second of line.
pub fn turn(voice: &str, text: &str) -> Vec<i16> {
    let mut samples = vec![0; 4000];
    samples.extend(said(voice, text));
    samples.extend([0; 8000]);
    line(&samples)
}
