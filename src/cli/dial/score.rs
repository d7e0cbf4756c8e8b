//! Figures from a capture. Purpose: how fast the agent answered, how it yielded, how even its packets came: all from what
//! passed the wire, nothing from what anyone claims. Pure; runs once, after the call.
//!
//! Terms. *Voiced* (ours) and *audible* (the agent's): 5 ms windows above the thresholds of `callwright_dsp::level`.
//! *Response*: last voiced sample that we sent in a turn → first audible sample that came after it. *Lateness*: arrival against the 20 ms grid, whose origin is the soonest packet of
//! the seconds around ([`GRID_PACKETS`] to each side), so that two clocks may drift. *Gap*: a 20 ms slot whose audio came
//! later than 20 (60) ms or never: what a phone with that much buffer would have had to conceal.
//! Deliberately absent: judging (the script expects words; limits on figures are the reader's).

use std::time::Duration;

use super::capture::{Capture, Order, sample_offset, slots};
use super::level;
use super::react::Reaction;
use crate::limits::{FRAME, FRAME_SAMPLES};
use crate::time::Tick;

/// Packets to each side that the grid is taken from: 2.5 s.
pub const GRID_PACKETS: usize = 125;
/// Agent quiet for this long has stopped; shorter pauses are between its words.
pub const STOPPED: Duration = Duration::from_millis(300);
/// An agent audible this shortly before our last sample was talking over us, so its next sample answers nothing.
pub const OVERLAP: Duration = Duration::from_millis(60);
/// Ducked: this far below the level at our onset.
pub const DUCK_DB: f64 = 20.0;

/// What a part of the caller's side was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartKind {
    /// Synthesised speech.
    Say,
    /// A WAV file.
    Play,
    /// A noise.
    Sound,
    /// Digits by telephone-event.
    Press,
}

impl PartKind {
    /// As written in scripts and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Say => "say",
            Self::Play => "play",
            Self::Sound => "sound",
            Self::Press => "press",
        }
    }
}

/// One utterance or digit string of the caller; its number in the capture is its index + 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Label of its step.
    pub label: Option<String>,
    /// What it was.
    pub kind: PartKind,
    /// Words, file name or digits.
    pub content: String,
    /// Meant to break into the agent's speech.
    pub interrupts: bool,
    /// What the agent should do about it.
    pub reaction: Option<Reaction>,
}

/// One turn of the caller, scored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// What the caller did.
    pub part: Part,
    /// First audible sample (first packet of the digits).
    pub onset: Tick,
    /// Last audible sample (last packet of the digits).
    pub last_voiced: Tick,
    /// Last audible sample → first audible sample of the agent; none when it said nothing or was already talking.
    pub response: Option<Duration>,
    /// The agent was talking while the turn ended.
    pub overlapped: bool,
    /// How the agent yielded, when it was audible at the onset.
    pub yielded: Option<Yielded>,
    /// Onset → last audible sample of the agent while we spoke, however often it fell silent and went on before; none
    /// when nothing of it was heard over us.
    pub heard_over: Option<Duration>,
}

/// How the agent yielded to an interruption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Yielded {
    /// Onset → the level falls by [`DUCK_DB`] for the first time (stopping included).
    pub duck: Option<Duration>,
    /// Onset → last audible sample before the agent was quiet for [`STOPPED`]; none when it talked on to the end.
    pub stop: Option<Duration>,
    /// Onset → first audible sample after that.
    pub resume: Option<Duration>,
}

/// Spread of a figure, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Spread {
    /// Values counted.
    pub count: usize,
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p999: f64,
    /// Largest.
    pub max: f64,
}

impl Spread {
    /// Nearest-rank percentiles of these durations.
    pub fn of(values: impl IntoIterator<Item = Duration>) -> Self {
        let mut ms: Vec<f64> = values.into_iter().map(|d| d.as_secs_f64() * 1000.0).collect();
        ms.sort_by(f64::total_cmp);
        let rank = |q: f64| {
            let index = (q * ms.len() as f64).ceil() as usize;
            ms.get(index.max(1) - 1).copied().unwrap_or(0.0)
        };
        Self { count: ms.len(), p50: rank(0.5), p99: rank(0.99), p999: rank(0.999), max: rank(1.0) }
    }
}

/// All figures of one call.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Score {
    /// ACK → first audible sample of the agent.
    pub greeting: Option<Duration>,
    /// In order.
    pub turns: Vec<Turn>,
    /// Of the turns that got one.
    pub response: Spread,
    /// Audio packets received, each counted once.
    pub packets_received: u64,
    /// By sequence number.
    pub packets_lost: u64,
    /// By sequence number.
    pub packets_expected: u64,
    /// Came twice.
    pub packets_duplicated: u64,
    /// Came after a later one.
    pub packets_reordered: u64,
    /// Arrival against the grid.
    pub lateness: Spread,
    /// Slots missing or more than 20 ms late.
    pub gaps_20_ms: u64,
    /// Slots missing or more than 60 ms late.
    pub gaps_60_ms: u64,
    /// Longest time without a packet.
    pub longest_silence: Duration,
    /// Frames that we sent.
    pub packets_sent: u64,
    /// Our own sending against our own schedule: how far the measurement itself may be trusted.
    pub own_lateness: Spread,
}

/// Scores a call. `answered` is when the ACK left, `ended` when we stopped listening.
pub fn score(capture: &Capture, parts: &[Part], answered: Tick, ended: Tick) -> Score {
    let order = capture.order();
    let agent = Agent::new(capture, &order);
    let turns = turns(capture, parts, &agent);
    let mut score = Score {
        greeting: agent.first_audible_after(answered).map(|at| at.since(answered)),
        response: Spread::of(turns.iter().filter_map(|t| t.response)),
        turns,
        packets_received: order.packets.len() as u64,
        packets_lost: order.lost,
        packets_expected: order.expected,
        packets_duplicated: order.duplicates,
        packets_reordered: order.reordered,
        packets_sent: capture.sent.len() as u64,
        own_lateness: Spread::of(capture.sent.iter().map(|s| s.at.since(s.due))),
        ..Score::default()
    };
    evenness(capture, &order, ended, &mut score);
    score
}

/// The agent's side as packets in the order of arrival, for questions about audibility.
struct Agent<'a> {
    packets: Vec<(Tick, &'a [i16])>,
}

impl<'a> Agent<'a> {
    fn new(capture: &'a Capture, order: &Order) -> Self {
        let packets = order.packets.iter().map(|p| &capture.heard[p.packet]);
        Self { packets: packets.map(|r| (r.at, &r.pcm[..])).collect() }
    }

    /// Index of the first packet that may hold samples at or after `t`.
    fn index_from(&self, t: Tick) -> usize {
        self.packets.partition_point(|(at, pcm)| *at + sample_offset(pcm.len()) <= t)
    }

    fn first_audible_after(&self, t: Tick) -> Option<Tick> {
        self.packets[self.index_from(t)..].iter().find_map(|(at, pcm)| {
            let skip = samples_before(*at, t).min(pcm.len());
            level::first_audible(&pcm[skip..]).map(|i| *at + sample_offset(skip + i))
        })
    }

    fn last_audible_before(&self, t: Tick) -> Option<Tick> {
        let upto = self.packets.partition_point(|(at, _)| *at < t);
        self.packets[..upto].iter().rev().find_map(|(at, pcm)| {
            let keep = samples_before(*at, t).min(pcm.len());
            level::last_audible(&pcm[..keep]).map(|i| *at + sample_offset(i))
        })
    }

    /// Mean power of the samples in `from..to`, as full scale = 1; none when there are none.
    fn power(&self, from: Tick, to: Tick) -> Option<f64> {
        let (mut sum, mut n) = (0.0, 0usize);
        for (at, pcm) in &self.packets[self.index_from(from)..] {
            if *at >= to {
                break;
            }
            let (skip, keep) = (samples_before(*at, from).min(pcm.len()), samples_before(*at, to).min(pcm.len()));
            sum += pcm[skip..keep].iter().map(|&s| (f64::from(s) / 32_768.0).powi(2)).sum::<f64>();
            n += keep - skip;
        }
        (n > 0).then(|| sum / n as f64)
    }

    /// How it yielded to a caller who became audible at `onset`; none when it was not talking then.
    fn yielded(&self, onset: Tick) -> Option<Yielded> {
        let before = self.last_audible_before(onset)?;
        if onset.since(before) >= STOPPED {
            return None;
        }
        let mut last = before;
        let (mut stop, mut resume) = (None, None);
        let mut from = onset;
        while let Some(next) = self.first_audible_after(from) {
            if next.since(last) >= STOPPED {
                (stop, resume) = (Some(last.since(onset)), Some(next.since(onset)));
                break;
            }
            // The next audible sample after this run of packets: go on packet by packet.
            let Some(&(at, pcm)) = self.packets.get(self.index_from(next)) else { break };
            last = last.max(level::last_audible(pcm).map_or(next, |i| at + sample_offset(i)));
            from = at + sample_offset(pcm.len());
        }
        if stop.is_none() && self.packets.last().is_some_and(|(at, _)| at.since(last) >= STOPPED) {
            stop = Some(last.since(onset));
        }
        Some(Yielded { duck: self.duck(onset), stop, resume })
    }

    fn duck(&self, onset: Tick) -> Option<Duration> {
        let before = Tick(onset.0.saturating_sub(STOPPED.as_nanos() as u64));
        let reference = self.power(before, onset)?;
        let wanted = reference / 10f64.powf(DUCK_DB / 10.0);
        // 100 ms below the level, so that a gap between two words does not count.
        let window = Duration::from_millis(100);
        (0..u64::try_from(Duration::from_secs(10).as_nanos() / FRAME.as_nanos()).unwrap_or(0))
            .map(|n| FRAME * u32::try_from(n).unwrap_or(u32::MAX))
            .find(|&d| {
                let at = onset + d;
                self.packets.last().is_some_and(|(end, _)| at + window <= *end)
                    && self.power(at, at + window).is_none_or(|p| p <= wanted)
            })
    }
}

/// Samples of a packet at `at` that passed the wire before `t`.
fn samples_before(at: Tick, t: Tick) -> usize {
    usize::try_from(t.since(at).as_nanos().div_ceil(125_000)).unwrap_or(usize::MAX)
}

fn turns(capture: &Capture, parts: &[Part], agent: &Agent<'_>) -> Vec<Turn> {
    let mut spans: Vec<(usize, Tick, Tick)> = Vec::with_capacity(parts.len());
    for (index, part) in parts.iter().enumerate() {
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let frames = || capture.sent.iter().filter(move |s| s.part == number);
        let (first, last) = if part.kind == PartKind::Press {
            let digits = || frames().map(|s| s.at);
            (digits().next(), digits().next_back())
        } else {
            let first = frames().find_map(|s| level::first_voiced(&s.pcm).map(|i| s.at + sample_offset(i)));
            let last = capture
                .sent
                .iter()
                .rev()
                .filter(|s| s.part == number)
                .find_map(|s| level::last_voiced(&s.pcm).map(|i| s.at + sample_offset(i)));
            (first, last)
        };
        if let (Some(first), Some(last)) = (first, last) {
            spans.push((index, first, last));
        }
    }
    let next_onset = |i: usize| spans.get(i + 1).map(|s| s.1);
    spans
        .iter()
        .enumerate()
        .map(|(i, &(index, onset, last_voiced))| {
            let overlapped = parts[index].kind != PartKind::Press
                && agent.last_audible_before(last_voiced).is_some_and(|t| last_voiced.since(t) < OVERLAP);
            let response = agent
                .first_audible_after(last_voiced)
                .filter(|&t| !overlapped && next_onset(i).is_none_or(|next| t < next))
                .map(|t| t.since(last_voiced));
            let heard_over =
                agent.last_audible_before(last_voiced).filter(|&last| last > onset).map(|last| last.since(onset));
            Turn {
                part: parts[index].clone(),
                onset,
                last_voiced,
                response,
                overlapped,
                yielded: agent.yielded(onset),
                heard_over,
            }
        })
        .collect()
}

/// Lateness, gaps and silences of the agent's packets.
fn evenness(capture: &Capture, order: &Order, ended: Tick, score: &mut Score) {
    let arrival = |i: usize| capture.heard[order.packets[i].packet].at;
    let mut late: Vec<(usize, i64)> = Vec::with_capacity(order.packets.len());
    let offset = |i: usize| i64::try_from(arrival(i).0).unwrap_or(i64::MAX) - order.packets[i].timestamp * 125_000;
    for i in 0..order.packets.len() {
        let around = i.saturating_sub(GRID_PACKETS)..(i + GRID_PACKETS + 1).min(order.packets.len());
        let grid = around.filter(|&j| order.packets[j].stretch == order.packets[i].stretch).map(offset).min();
        late.push((i, offset(i) - grid.unwrap_or(0)));
    }
    score.lateness = Spread::of(late.iter().map(|&(_, ns)| Duration::from_nanos(u64::try_from(ns).unwrap_or(0))));
    let mut missing = 0u64;
    let (mut over_20, mut over_60) = (0u64, 0u64);
    for &(i, ns) in &late {
        let n = slots(capture.heard[order.packets[i].packet].pcm.len());
        over_20 += if ns > 20_000_000 { n } else { 0 };
        over_60 += if ns > 60_000_000 { n } else { 0 };
    }
    // Slots without any packet, stretch by stretch in timestamp order.
    let mut by_time: Vec<usize> = (0..order.packets.len()).collect();
    by_time.sort_by_key(|&i| (order.packets[i].stretch, order.packets[i].timestamp));
    for pair in by_time.windows(2) {
        let (a, b) = (&order.packets[pair[0]], &order.packets[pair[1]]);
        if a.stretch == b.stretch {
            let len = i64::try_from(capture.heard[a.packet].pcm.len()).unwrap_or(0);
            let hole = usize::try_from(b.timestamp - a.timestamp - len).unwrap_or(0);
            missing += (hole / FRAME_SAMPLES) as u64;
        } else {
            missing += silent_slots(arrival(pair[1]).since(arrival(pair[0])));
        }
    }
    let trailing = order.packets.len().checked_sub(1).map_or(Duration::ZERO, |last| ended.since(arrival(last)));
    if trailing > Duration::from_millis(60) {
        missing += silent_slots(trailing);
    }
    score.gaps_20_ms = over_20 + missing;
    score.gaps_60_ms = over_60 + missing;
    score.longest_silence =
        (1..order.packets.len()).map(|i| arrival(i).since(arrival(i - 1))).chain([trailing]).max().unwrap_or_default();
}

/// Frames that should have come between two that came this far apart.
fn silent_slots(apart: Duration) -> u64 {
    u64::try_from(apart.as_nanos() / FRAME.as_nanos()).unwrap_or(0).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::super::capture::{Received, Sent};
    use super::*;

    const MS: u64 = 1_000_000;

    /// A call with the agent's packets on an exact grid at 0, 20, … ms and ours 5 ms after.
    struct Scene {
        capture: Capture,
        parts: Vec<Part>,
    }

    impl Scene {
        fn new(frames: u64) -> Self {
            let mut capture = Capture::default();
            for n in 0..frames {
                capture.heard.push(Received {
                    at: Tick((1000 + 20 * n) * MS),
                    ssrc: 1,
                    sequence: n as u16,
                    timestamp: n as u32 * 160,
                    pcm: vec![0; 160],
                });
                let due = Tick((1005 + 20 * n) * MS);
                capture.sent.push(Sent { due, at: due, part: 0, pcm: vec![0; 160] });
            }
            Self { capture, parts: Vec::new() }
        }

        /// The agent is audible for samples `from..to` of the call.
        fn agent(mut self, from: usize, to: usize, value: i16) -> Self {
            for s in from..to {
                self.capture.heard[s / 160].pcm[s % 160] = value;
            }
            self
        }

        fn caller(mut self, from: usize, to: usize, interrupts: bool) -> Self {
            self.parts.push(Part {
                label: None,
                kind: PartKind::Say,
                content: String::new(),
                interrupts,
                reaction: None,
            });
            for s in from..to {
                let frame = &mut self.capture.sent[s / 160];
                frame.pcm[s % 160] = 3000;
                frame.part = self.parts.len() as u32;
            }
            self
        }

        fn score(&self) -> Score {
            let ended = self.capture.heard.last().map_or(Tick(0), |r| r.at);
            score(&self.capture, &self.parts, Tick(1000 * MS), ended)
        }
    }

    #[test]
    fn response_is_exact_to_the_window() {
        // Our sample 7999 left at 1005 ms + 999.875 ms; the agent's sample 12,360 came at 1000 ms + 1545 ms.
        let score = Scene::new(200).caller(4000, 8000, false).agent(12_360, 20_000, 2000).score();
        assert_eq!(score.turns.len(), 1);
        assert_eq!(score.turns[0].response, Some(Duration::from_micros(1_545_000 - 5_000 - 999_875)));
        assert!(!score.turns[0].overlapped);
        assert_eq!(score.turns[0].yielded, None);
        assert_eq!(score.greeting, Some(Duration::from_micros(1_545_000)));
        assert_eq!(score.response.count, 1);
    }

    #[test]
    fn a_late_packet_makes_the_response_late() {
        let mut scene = Scene::new(200).caller(4000, 8000, false).agent(16_000, 20_000, 2000);
        let before = scene.score().turns[0].response.unwrap();
        scene.capture.heard[100].at = scene.capture.heard[100].at + Duration::from_millis(13);
        assert_eq!(scene.score().turns[0].response, Some(before + Duration::from_millis(13)));
    }

    #[test]
    fn an_agent_that_talks_over_the_end_has_not_answered() {
        let score = Scene::new(200).caller(4000, 8000, false).agent(7000, 9000, 2000).score();
        assert!(score.turns[0].overlapped);
        assert_eq!(score.turns[0].response, None);
    }

    #[test]
    fn what_comes_after_the_next_turn_does_not_answer_this_one() {
        let score =
            Scene::new(300).caller(4000, 8000, false).caller(16_000, 20_000, false).agent(24_000, 30_000, 2000).score();
        assert_eq!(score.turns[0].response, None);
        assert!(score.turns[1].response.is_some());
    }

    #[test]
    fn an_interrupted_agent_stops() {
        // The agent talks from sample 0, with a pause of 200 ms; we come in at sample 8000 = 1005 + 1000 ms; it is quiet
        // from sample 11,200 = 1000 + 1400 ms on and answers later.
        let score = Scene::new(400)
            .agent(0, 8800, 4000)
            .agent(10_400, 11_200, 4000)
            .caller(8000, 12_000, true)
            .agent(24_000, 32_000, 4000)
            .score();
        let yielded = score.turns[0].yielded.unwrap();
        assert_eq!(yielded.stop, Some(Duration::from_micros(1_400_000 - 125 - 1_005_000)));
        assert!(score.turns[0].response.is_some());
    }

    #[test]
    fn an_agent_that_went_on_before_it_stopped_was_heard_until_then() {
        // We come in during a gap between its words; it is quiet for 0.4 s, goes on, and stops at 1000 + 1700 ms.
        let score = Scene::new(400)
            .agent(0, 7900, 4000)
            .agent(11_200, 13_600, 4000)
            .caller(8000, 16_000, true)
            .agent(24_000, 32_000, 4000)
            .score();
        assert_eq!(score.turns[0].yielded.unwrap().stop, Some(Duration::ZERO));
        assert_eq!(score.turns[0].heard_over, Some(Duration::from_micros(1_700_000 - 125 - 1_005_000)));
        assert_eq!(Scene::new(300).caller(8000, 16_000, false).score().turns[0].heard_over, None);
    }

    #[test]
    fn an_agent_that_ducks_and_talks_on_has_not_stopped() {
        let score = Scene::new(300).agent(0, 9600, 8000).agent(9600, 47_900, 600).caller(8000, 12_000, true).score();
        let yielded = score.turns[0].yielded.unwrap();
        assert_eq!(yielded.stop, None);
        assert_eq!(yielded.duck, Some(Duration::from_millis(200)));
    }

    #[test]
    fn an_even_stream_has_no_gaps() {
        let score = Scene::new(500).score();
        assert_eq!((score.packets_received, score.packets_lost, score.packets_expected), (500, 0, 500));
        assert_eq!((score.gaps_20_ms, score.gaps_60_ms), (0, 0));
        assert_eq!(score.lateness.max, 0.0);
        assert_eq!(score.longest_silence, FRAME);
        assert_eq!(score.greeting, None);
    }

    #[test]
    fn late_and_missing_packets_are_gaps() {
        let mut scene = Scene::new(500);
        scene.capture.heard[100].at = scene.capture.heard[100].at + Duration::from_millis(30);
        scene.capture.heard[200].at = scene.capture.heard[200].at + Duration::from_millis(70);
        scene.capture.heard.sort_by_key(|r| r.at);
        scene.capture.heard.retain(|r| r.sequence != 300 && r.sequence != 301);
        let score = scene.score();
        assert_eq!((score.gaps_20_ms, score.gaps_60_ms), (4, 3));
        assert_eq!((score.packets_lost, score.packets_expected), (2, 500));
        assert_eq!(score.packets_reordered, 2);
        assert_eq!(score.lateness.max, 70.0);
        assert_eq!(score.lateness.p50, 0.0);
        assert_eq!(score.longest_silence, Duration::from_millis(60));
    }

    #[test]
    fn a_stream_that_dries_up_is_a_gap() {
        let scene = Scene::new(100);
        let ended = scene.capture.heard[99].at + Duration::from_secs(1);
        let score = score(&scene.capture, &[], Tick(0), ended);
        assert_eq!(score.gaps_60_ms, 49);
        assert_eq!(score.longest_silence, Duration::from_secs(1));
    }

    #[test]
    fn drift_between_two_clocks_is_not_lateness() {
        // 100 ppm over 200 s is 20 ms, over the 5 s window 0.5 ms.
        let mut scene = Scene::new(10_000);
        for (n, r) in scene.capture.heard.iter_mut().enumerate() {
            r.at = Tick(r.at.0 + n as u64 * 2_000);
        }
        let score = scene.score();
        assert!(score.lateness.max < 0.6, "{:?}", score.lateness);
        assert_eq!(score.gaps_20_ms, 0);
    }

    #[test]
    fn our_own_lateness_is_said() {
        let mut scene = Scene::new(100);
        scene.capture.sent[50].at = scene.capture.sent[50].due + Duration::from_millis(9);
        assert_eq!(scene.score().own_lateness.max, 9.0);
    }

    #[test]
    fn digits_are_answered_from_their_last_packet() {
        let mut scene = Scene::new(200).agent(16_000, 20_000, 2000);
        scene.parts.push(Part {
            label: None,
            kind: PartKind::Press,
            content: "1".into(),
            interrupts: false,
            reaction: None,
        });
        for frame in &mut scene.capture.sent[40..50] {
            frame.part = 1;
            frame.pcm.clear();
        }
        let score = scene.score();
        assert_eq!(score.turns[0].response, Some(Duration::from_millis(3000 - (1005 + 49 * 20))));
    }
}
