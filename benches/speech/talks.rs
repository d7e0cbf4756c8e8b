//! Conversations at once on one core, in real time. Purpose: whether finals stay quick and the agent's audio never breaks off
//! while callers and agents speak, also over each other. The speech plane runs on one core (its threads inherit the affinity
//! of the thread that starts it); this side plays a media worker on another. Invariant: nothing here waits for the plane but
//! at the pace of a call. Deliberately absent: what was understood (`product`).

use super::channel::{Noises, Packet};
use super::line::{Call, Rig};
use super::machine::{cpu_s, quantile};
use super::mouth::new_words;
use super::turns::Job;
use callwright::id::{Generation, UtteranceId};
use callwright::os::{clock, realtime};
use callwright::speech::{SpeechConfig, SpeechEvent};
use ringbuf::traits::{Consumer, Observer};
use std::time::Duration;

/// How callers and agents take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// A caller speaks, the agent answers; every third turn the caller interrupts and the agent stops, every third the caller
    /// speaks over the agent, who goes on.
    Talk,
    /// Caller and agent speak all the time, both at once, with the pauses between sentences only.
    Duplex,
}

/// What one measurement found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub lanes: usize,
    pub finals_ms: Vec<f64>,
    pub first_ms: Vec<f64>,
    /// Frames that were due in the middle of an utterance and were not there.
    pub underruns: usize,
    /// Packets of callers for which the ears had no room.
    pub overflows: usize,
    /// Frames that the agent said.
    pub played: usize,
    /// Share of time in which somebody speaks, and in which both of a call do, percent.
    pub caller_percent: f64,
    pub agent_percent: f64,
    pub both_percent: f64,
    /// Of the core, by the plane's threads, percent.
    pub core_percent: f64,
    /// Worst delay of this side against its own clock, ms.
    pub late_ms: f64,
}

impl Found {
    /// Finals quick and no break.
    pub fn holds(&self) -> bool {
        !self.finals_ms.is_empty()
            && quantile(&self.finals_ms, 0.95) <= FINAL_MAX_MS
            && self.underruns + self.overflows == 0
    }
}

const FINAL_MAX_MS: f64 = 500.0;
/// A caller's pause before the next sentence.
const CALLER_PAUSE: u32 = 25;
/// The agent's, in `Manner::Duplex`.
const AGENT_PAUSE: u32 = 15;
/// An interruption begins when the agent has spoken for this many frames, and stops the agent so many later.
const INTERRUPT_AFTER: u32 = 50;
const STOP_AFTER: u32 = 15;
/// What a line hears when nobody speaks.
const QUIET: [i16; 160] = [8; 160];
/// Words of a reply, at least and below.
const REPLY_WORDS: (usize, usize) = (7, 15);
/// Groups of calls whose packets come at the same moment.
const SLOTS: usize = 4;

struct Lane {
    call: Call,
    turns: Vec<(Vec<Packet>, usize)>,
    /// Next turn, reply, packet of the running turn.
    turn: usize,
    reply: u32,
    packet: Option<usize>,
    /// Frames of silence before the next sentence.
    pause: u32,
    waiting_final: bool,
    generation: Generation,
    /// Frames of the running utterance, none while the agent is silent.
    playing: Option<u32>,
    ordered: usize,
    agent_pause: u32,
    stop_in: Option<u32>,
}

/// So many conversations for so long.
pub fn run(
    manner: Manner,
    lanes: usize,
    seconds: u64,
    jobs: &[Job<'_>],
    noises: &Noises,
    config: &SpeechConfig,
) -> Result<Found, String> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let config = SpeechConfig { recognisers: lanes, recogniser_threads: 1, lanes, ..config.clone() };
    let rig = std::thread::scope(|scope| {
        let start = scope.spawn(|| {
            if cores > 1 {
                realtime::pin(cores - 1).map_err(|e| e.to_string())?;
            }
            Rig::start(&config)
        });
        start.join().map_err(|_| "the speech plane panicked".to_owned())?
    })?;
    std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            if cores > 1 {
                realtime::pin(0).map_err(|e| e.to_string())?;
            }
            converse(manner, lanes, seconds, jobs, noises, &rig)
        });
        load.join().map_err(|_| "the load of the bench panicked".to_owned())?
    })
}

fn converse(
    manner: Manner,
    count: usize,
    seconds: u64,
    jobs: &[Job<'_>],
    noises: &Noises,
    rig: &Rig,
) -> Result<Found, String> {
    let mut lanes = Vec::with_capacity(count);
    for n in 0..count {
        // Each lane begins elsewhere in the list, so that no two say the same at the same time.
        let picked = jobs.iter().cycle().skip(n * jobs.len() / count).take(4 + seconds as usize / 3);
        let turns = picked.map(|job| {
            let turn = job.turn(noises, job.tail());
            (turn.packets, turn.speech_end / 160)
        });
        lanes.push(Lane {
            call: rig.call()?,
            turns: turns.collect(),
            turn: 0,
            reply: 0,
            packet: None,
            pause: (n * 13 % 100) as u32,
            waiting_final: false,
            generation: Generation(0),
            playing: None,
            ordered: 0,
            agent_pause: (n * 29 % 60) as u32,
            stop_in: None,
        });
    }
    let quiet = Packet { lost: false, pcm: QUIET };
    let mut found = Found { lanes: count, ..Found::default() };
    let plane = || ["asr", "ears", "mouth", "voice"].map(cpu_s).iter().sum::<f64>();
    let before = plane();
    let start = clock::monotonic();
    let ticks = seconds * 50;
    let (mut caller, mut agent, mut both) = (0_usize, 0_usize, 0_usize);
    for tick in 0..ticks {
        for slot in 0..SLOTS {
            let due = start + Duration::from_millis(20) * tick as u32 + Duration::from_millis(5) * slot as u32;
            clock::sleep_until(due);
            found.late_ms = found.late_ms.max(clock::monotonic().since(due).as_secs_f64() * 1e3);
            for lane in lanes.iter_mut().skip(slot).step_by(SLOTS) {
                let (speaks, plays) = lane.frame(manner, &quiet, &mut found);
                caller += usize::from(speaks);
                agent += usize::from(plays);
                both += usize::from(speaks && plays);
            }
        }
    }
    let wall = (clock::monotonic().since(start)).as_secs_f64();
    let percent = |frames: usize| 100.0 * frames as f64 / (ticks as usize * count) as f64;
    found.core_percent = 100.0 * (plane() - before) / wall;
    (found.caller_percent, found.agent_percent, found.both_percent) = (percent(caller), percent(agent), percent(both));
    Ok(found)
}

impl Lane {
    /// 20 ms of this call: whether the caller speaks in it, and whether the agent does.
    fn frame(&mut self, manner: Manner, quiet: &Packet, found: &mut Found) -> (bool, bool) {
        while let Ok(event) = self.call.events.try_recv() {
            match event {
                SpeechEvent::Final { took, .. } if self.waiting_final => {
                    self.waiting_final = false;
                    found.finals_ms.push(took.as_secs_f64() * 1e3);
                    if manner == Manner::Talk {
                        self.answer();
                    }
                }
                SpeechEvent::SpeakStarted { took, .. } => found.first_ms.push(took.as_secs_f64() * 1e3),
                _ => {}
            }
        }
        let plays = self.play(manner, found);
        let speaks = self.say(manner, quiet, found);
        (speaks, plays)
    }

    fn answer(&mut self) {
        self.ordered += 1;
        self.reply += 1;
        let words = REPLY_WORDS.0 + self.reply as usize % (REPLY_WORDS.1 - REPLY_WORDS.0);
        let text = new_words(&format!("reply {} of {}", self.reply, self.call.lane.call()), words);
        self.call.lane.speak(UtteranceId(self.reply), self.generation, text);
    }

    /// Takes the agent's frame that is due.
    fn play(&mut self, manner: Manner, found: &mut Found) -> bool {
        if let Some(left) = self.stop_in {
            self.stop_in = left.checked_sub(1);
            if left == 0 {
                self.generation = Generation(self.generation.0 + 1);
                self.call.lane.flush(self.generation);
                (self.playing, self.ordered) = (None, 0);
            }
        }
        if manner == Manner::Duplex && self.ordered == 0 {
            self.agent_pause = self.agent_pause.saturating_sub(1);
            if self.agent_pause == 0 {
                self.agent_pause = AGENT_PAUSE;
                self.answer();
            }
        }
        // What was flushed is dropped, as a media worker does.
        let frame = loop {
            match self.call.outbound.try_pop() {
                Some(frame) if frame.generation.0 < self.generation.0 => {}
                other => break other,
            }
        };
        match frame {
            Some(frame) => {
                found.played += 1;
                self.playing = Some(self.playing.unwrap_or(0) + 1);
                if frame.end {
                    self.playing = None;
                    self.ordered = self.ordered.saturating_sub(1);
                    if manner == Manner::Talk && self.ordered == 0 && self.packet.is_none() && !self.waiting_final {
                        self.pause = CALLER_PAUSE;
                    }
                }
                true
            }
            None => {
                found.underruns += usize::from(self.playing.is_some());
                false
            }
        }
    }

    /// Sends the caller's packet that is due.
    fn say(&mut self, manner: Manner, quiet: &Packet, found: &mut Found) -> bool {
        if self.packet.is_none() && self.may_begin(manner) {
            self.packet = Some(0);
        }
        let Some(at) = self.packet else {
            found.overflows += usize::from(!self.call.feed(quiet));
            return false;
        };
        let (packets, speech_end) = &self.turns[self.turn % self.turns.len()];
        found.overflows += usize::from(!self.call.feed(&packets[at]));
        let speaks = at < *speech_end;
        if at + 1 < packets.len() {
            self.packet = Some(at + 1);
        } else {
            // The pause that ends a turn is part of it.
            self.packet = None;
            self.turn += 1;
            self.pause = if manner == Manner::Duplex { CALLER_PAUSE } else { u32::MAX };
            self.waiting_final = true;
            self.call.lane.finalize();
        }
        speaks
    }

    fn may_begin(&mut self, manner: Manner) -> bool {
        if self.waiting_final {
            return false;
        }
        let over = manner == Manner::Talk && self.playing == Some(INTERRUPT_AFTER) && !self.turn.is_multiple_of(3);
        if over {
            if self.turn % 3 == 1 {
                self.stop_in = Some(STOP_AFTER);
            }
            return true;
        }
        if self.pause != u32::MAX {
            self.pause = self.pause.saturating_sub(1);
        }
        self.pause == 0
    }
}
