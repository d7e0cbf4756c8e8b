//! People and things that make a sound while the agent speaks: how soon it falls silent, when it is last heard, how soon it is
//! decided who has the floor and what was meant, and which share of coughs, backchannels, side talk and echo leaves the agent its turn.
//!
//! The real path (ears, voice detector, recogniser, `TurnMachine`) in virtual time: a frame of 20 ms is fed, everything that
//! it leads to is waited for, then the next. So times are of the audio (a packet's last sample counts as its arrival) and the
//! same on every machine; what the machine's own slowness adds is measured on the wire (`dial`). The agent is played out as
//! the media worker does: silent from the frame after it ducks, and on from the very sample. Its echo is of what was really
//! played, so it falls silent with it.

use super::audio::{self, Over, PER_MS, Studio};
use super::corpus::{self, Random, Sound};
use super::ears::{Call, Rig};
use super::{Corpus, SEED, held_out, on_lanes};
use callwright::id::UtteranceId;
use callwright::media::SaidLevels;
use callwright::speech::{SpeechEvent, SpeechLane};
use callwright::time::MediaTime;
use callwright::turn::{TurnConfig, TurnEvent, TurnMachine};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Callers at once. Few: the recogniser rations its looks at words by the clock, which stands nearly still here.
const LANES: usize = 2;
/// Samples in a frame.
pub(super) const FRAME: usize = 160;
/// The fade of a duck.
const FADE: usize = 40;
/// From the sending of the fading frame to 20 dB down.
const FADE_MS: f64 = 4.5;
/// What the agent says meanwhile.
pub(super) const AGENT: &str =
    "You want a CRM with contacts, companies and deals, and it will be ready in a moment. Is that right?";

/// What became of one sound.
struct Outcome {
    sound: Sound,
    /// From its onset to the decision to fall silent, ms.
    ducked: Option<f64>,
    /// The same to the decision that whoever makes it has the floor, or that it was meant.
    decided: Option<f64>,
    /// The same to the decision that it was meant.
    stopped: Option<f64>,
    /// The same to the decision to fall silent that the agent has kept to.
    silent_from: Option<f64>,
    /// The agent had taken it for an aside before, and gone on.
    wavered: bool,
    /// Time for which the agent was silent.
    silent_ms: f64,
}

/// The agent's playout.
pub(super) struct Agent<'a> {
    pcm: &'a [i16],
    played: usize,
    pub(super) speaking: bool,
    pub(super) ducked: bool,
    /// The frame that fades is still to be sent.
    fading: bool,
    /// All that was sent, silence included.
    sent: Vec<i16>,
    pub(super) said: SaidLevels,
}

impl<'a> Agent<'a> {
    pub(super) fn new(pcm: &'a [i16]) -> Self {
        let said = SaidLevels::SILENCE;
        Self { pcm, played: 0, speaking: false, ducked: false, fading: false, sent: Vec::new(), said }
    }

    pub(super) fn frame(&mut self) {
        let mut frame = vec![0; FRAME];
        if self.speaking {
            let rest = &self.pcm[self.played..(self.played + FRAME).min(self.pcm.len())];
            if !self.ducked {
                frame[..rest.len()].copy_from_slice(rest);
                self.played += rest.len();
            } else if std::mem::replace(&mut self.fading, false) {
                for (n, (to, from)) in frame.iter_mut().zip(rest).take(FADE).enumerate() {
                    *to = (i32::from(*from) * (FADE - n) as i32 / FADE as i32) as i16;
                }
            }
        }
        self.said.push_frame(&frame);
        self.sent.extend(frame);
    }

    pub(super) fn duck(&mut self, ducked: bool) {
        (self.ducked, self.fading) = (ducked, ducked);
    }
}

/// Plays all sounds to the product and prints what became of them.
pub(crate) fn run(rig: &Rig, count: usize, corpus: Corpus, out: &mut Map<String, Value>) {
    let sounds = match corpus {
        Corpus::HeldOut => held_out::sounds(SEED, count),
        Corpus::Former => corpus::sounds(SEED, count),
        Corpus::Rehearsal => corpus::rehearsal(SEED, count),
    };
    let studio = Mutex::new(Studio::new());
    let agent = studio.lock().expect("alone").say("slt", AGENT).0;
    let outcomes: Vec<Outcome> = on_lanes("sounds", LANES, &sounds, |n, (voice, sound)| {
        let mut random = Random::new(SEED + 77 * n as u64);
        let over = studio.lock().expect("no lane panicked").sound(voice, *sound, agent.len(), &mut random);
        talk_over(rig, *sound, &over, &agent)
    });
    report(&outcomes, out);
}

fn report(outcomes: &[Outcome], out: &mut Map<String, Value>) {
    let round = |share: f64| (share * 1000.0).round() / 1000.0;
    // Where in the playout's own 20 ms the decision falls.
    let phase = |n: usize| (n as f64 * 0.618_033_988_75).fract() * 20.0 + FADE_MS;
    for (name, key, of) in [
        ("interruptions", "", (|s| matches!(s, Sound::Interruption(_))) as fn(&Sound) -> bool),
        ("interruptions over the agent's echo", "over_echo_", |s| matches!(s, Sound::OverEcho(_))),
    ] {
        let these: Vec<&Outcome> = outcomes.iter().filter(|o| of(&o.sound)).collect();
        let mut duck: Vec<f64> =
            these.iter().enumerate().filter_map(|(n, o)| o.ducked.map(|ms| ms + phase(n))).collect();
        // To the last sample of the agent's, from the true onset, also where it had gone on before.
        let last = |(n, o): (usize, &&Outcome)| o.stopped.and(o.silent_from).map(|ms| ms + phase(n));
        let mut stop: Vec<f64> = these.iter().enumerate().filter_map(last).collect();
        let mut decided: Vec<f64> = these.iter().filter_map(|o| o.stopped.and(o.decided)).collect();
        let mut meant: Vec<f64> = these.iter().filter_map(|o| o.stopped).collect();
        let wavered = these.iter().filter(|o| o.wavered).count();
        let share = stop.len() as f64 / these.len().max(1) as f64;
        println!(
            "\n{} {name}: {} ducked, {} stopped, {wavered} after it had gone on",
            these.len(),
            duck.len(),
            stop.len()
        );
        println!("fell silent, 20 dB down: p50 {:.0}, p95 {:.0} ms", at(&mut duck, 0.5), at(&mut duck, 0.95));
        let (p50, p95, p99) = (at(&mut stop, 0.5), at(&mut stop, 0.95), at(&mut stop, 0.99));
        println!("last heard: p50 {p50:.0}, p95 {p95:.0}, p99 {p99:.0} ms");
        println!("decided to let them speak: p50 {:.0}, p95 {:.0} ms", at(&mut decided, 0.5), at(&mut decided, 0.95));
        println!("known to be meant: p50 {:.0}, p95 {:.0} ms", at(&mut meant, 0.5), at(&mut meant, 0.95));
        out.insert(format!("{key}interruptions"), json!(these.len()));
        out.insert(format!("{key}yield_share"), json!(round(share)));
        out.insert(format!("{key}wavered_share"), json!(round(wavered as f64 / these.len().max(1) as f64)));
        out.insert(format!("{key}duck_ms_p95"), json!(at(&mut duck, 0.95).round()));
        out.insert(format!("{key}stop_ms_p95"), json!(p95.round()));
        out.insert(format!("{key}stop_ms_p99"), json!(p99.round()));
        out.insert(format!("{key}decided_ms_p50"), json!(at(&mut decided, 0.5).round()));
        out.insert(format!("{key}decided_ms_p95"), json!(at(&mut decided, 0.95).round()));
        out.insert(format!("{key}meant_ms_p50"), json!(at(&mut meant, 0.5).round()));
        out.insert(format!("{key}meant_ms_p95"), json!(at(&mut meant, 0.95).round()));
    }
    let meant = |o: &&Outcome| matches!(o.sound, Sound::Interruption(_) | Sound::OverEcho(_));
    let asides: Vec<&Outcome> = outcomes.iter().filter(|o| !meant(o)).collect();
    println!();
    for (name, of) in [
        ("backchannel", (|s| matches!(s, Sound::Backchannel(_))) as fn(&Sound) -> bool),
        ("noise", |s| matches!(s, Sound::Noise(_))),
        ("side_talk", |s| matches!(s, Sound::SideTalk(_))),
        ("echo", |s| matches!(s, Sound::Echo)),
    ] {
        let these: Vec<&&Outcome> = asides.iter().filter(|o| of(&o.sound)).collect();
        let kept = these.iter().filter(|o| o.stopped.is_none()).count() as f64 / these.len().max(1) as f64;
        let unmoved = these.iter().filter(|o| o.ducked.is_none()).count() as f64 / these.len().max(1) as f64;
        println!(
            "{name:<12} {:>4}: the agent kept its turn in {:.0} %, never fell silent in {:.0} %",
            these.len(),
            kept * 100.0,
            unmoved * 100.0
        );
        out.insert(format!("selectivity_{name}"), json!(round(kept)));
    }
    let mut stopping: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for outcome in &asides {
        if let Sound::Noise(noise) = outcome.sound {
            let of = stopping.entry(format!("{noise:?}")).or_default();
            *of = (of.0 + usize::from(outcome.stopped.is_none()), of.1 + 1);
        }
    }
    let kinds: Vec<String> = stopping.iter().map(|(noise, (kept, all))| format!("{noise} {kept} of {all}")).collect();
    println!("noises that left the agent its turn: {}", kinds.join(", "));
    let kept = asides.iter().filter(|o| o.stopped.is_none()).count() as f64 / asides.len().max(1) as f64;
    let mut silent: Vec<f64> = asides.iter().filter(|o| o.stopped.is_none()).map(|o| o.silent_ms).collect();
    let (p50, p95) = (at(&mut silent, 0.5), at(&mut silent, 0.95));
    println!("selectivity {kept:.3}; silent for an aside: p50 {p50:.0}, p95 {p95:.0} ms");
    out.insert("asides".into(), json!(asides.len()));
    out.insert("selectivity".into(), json!(round(kept)));
    out.insert("aside_silent_ms_p50".into(), json!(p50.round()));
    out.insert("aside_silent_ms_p95".into(), json!(p95.round()));
}

fn talk_over(rig: &Rig, sound: Sound, over: &Over, agent: &[i16]) -> Outcome {
    let mut call = rig.followed_call();
    let mut machine = TurnMachine::new(TurnConfig::default());
    let mut outcome = Outcome {
        sound,
        ducked: None,
        decided: None,
        stopped: None,
        silent_from: None,
        wavered: false,
        silent_ms: 0.0,
    };
    let mut playout = Agent::new(agent);
    let mut words = String::new();
    for (n, frame) in over.pcm.chunks(FRAME).enumerate() {
        let from = n * FRAME;
        if !playout.speaking && from >= over.begins && playout.played == 0 {
            playout.speaking = true;
            machine.agent_speaking(UtteranceId(1));
        } else if playout.speaking && playout.played == agent.len() {
            playout.speaking = false;
            machine.agent_silent(UtteranceId(1));
        }
        playout.frame();
        let mut pcm = frame.to_vec();
        if let Some((delay, gain)) = over.echo {
            for (k, sample) in pcm.iter_mut().enumerate() {
                let back = (from + k).checked_sub(delay).and_then(|at| playout.sent.get(at)).copied().unwrap_or(0);
                *sample = sample.saturating_add((f32::from(back) * gain) as i16);
            }
        }
        audio::through_g711(&mut pcm);
        call.feed_said(&pcm, playout.said);
        call.settle();
        outcome.silent_ms += if playout.ducked { 20.0 } else { 0.0 };
        let since = (call.at as f64 - over.onset as f64) / PER_MS as f64;
        hear(&mut call, &mut machine, &mut words);
        while let Some(event) = machine.poll_event() {
            follow(event, since, &mut outcome, &mut playout, &call.lane, &mut words);
        }
        if outcome.stopped.is_some() {
            break;
        }
    }
    if playout.speaking && playout.ducked && !matches!(sound, Sound::Interruption(_) | Sound::OverEcho(_)) {
        // The sound has been over for a second and a half, and the agent has not gone on.
        outcome.stopped.get_or_insert(f64::INFINITY);
    }
    outcome
}

fn hear(call: &mut Call, machine: &mut TurnMachine, words: &mut String) {
    call.drain();
    for event in call.seen.drain(..) {
        match event {
            SpeechEvent::Onset { at, .. } => machine.handle_onset(at),
            SpeechEvent::Stirring { at, now, .. } => machine.handle_stirring(at, now),
            SpeechEvent::Voice { at, voiced, last_voiced, sound, .. } => {
                machine.handle_sound(at, sound);
                machine.handle_voice(at, voiced, last_voiced);
                if std::env::var_os("TURNS_VERBOSE").is_some_and(|v| v == "2") && machine.is_judging() {
                    println!("  {:?} {voiced} {sound:?}", at.0 / 8);
                }
            }
            SpeechEvent::Heard { to } => machine.handle_heard(to),
            SpeechEvent::Partial { text, until, .. } => {
                words.clone_from(&text);
                machine.agent_has_said(&AGENT.to_lowercase(), false);
                machine.handle_partial_to(&text, until);
            }
            _ => {}
        }
    }
}

fn follow(
    event: TurnEvent,
    since: f64,
    outcome: &mut Outcome,
    playout: &mut Agent<'_>,
    lane: &SpeechLane,
    words: &mut String,
) {
    let verbose = std::env::var_os("TURNS_VERBOSE").is_some();
    let sound = outcome.sound;
    match event {
        TurnEvent::Duck { .. } => {
            outcome.ducked.get_or_insert(since);
            outcome.silent_from = Some(since);
            words.clear();
            playout.duck(true);
        }
        TurnEvent::Resume { .. } => {
            if verbose {
                println!("goes on {since:>5.0} ms {sound:?}, heard {words:?}");
            }
            outcome.wavered = true;
            (outcome.silent_from, outcome.decided) = (None, None);
            playout.duck(false);
        }
        TurnEvent::Floor { .. } => {
            outcome.decided.get_or_insert(since);
        }
        TurnEvent::AsideOver { .. } => lane.forget(),
        TurnEvent::BargeIn { at } => {
            if verbose {
                println!("stops   {since:>5.0} ms {sound:?}, heard {words:?} {:?}", MediaTime(at.0));
            }
            outcome.decided.get_or_insert(since);
            outcome.stopped.get_or_insert(since);
            outcome.silent_from.get_or_insert(since);
        }
        // What the caller said before the agent spoke.
        TurnEvent::EndOfTurn { .. } => lane.finalize(),
        TurnEvent::UserStarted { .. } | TurnEvent::NoInput { .. } | TurnEvent::LikelyEnd { .. } => {}
    }
}

pub(super) fn at(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = (values.len() as f64 * share).ceil() as usize;
    values.get(n.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}
