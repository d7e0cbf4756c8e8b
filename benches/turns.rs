//! Turn-taking, by the published yardsticks: `cargo bench --bench turns [-- hesitations sounds calls]`.
//!
//! End of turn: the embedded engines hear callers who hesitate, and the endpointing is given what they make of it when a call
//! would be (`heard`). Interruptions: people and things that make a sound while the agent speaks go through the speech plane
//! in real time; the judge sees what it sees in a call. End of turn: the sweep of eot-bench (which
//! share of hesitations is cut, how long a finished caller waits) at every patience, beside plain silence on the same audio.
//! Interruptions: how soon the agent falls silent, how soon it is decided, and which share of coughs, backchannels, side
//! talk and echo leaves the agent its turn. Response: one daemon and a caller on the wire (`response`). Prints a table and writes `target/bench/turns.json`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints")]
#![allow(clippy::explicit_auto_deref, reason = "the corpus stays as it was fixed, to the letter")]

#[path = "turns/audio.rs"]
mod audio;
#[path = "turns/corpus.rs"]
mod corpus;
#[path = "../tests/ears/mod.rs"]
mod ears;
#[path = "turns/heard.rs"]
mod heard;
#[path = "turns/response.rs"]
mod response;
#[path = "turns/sweep.rs"]
mod sweep;

use audio::{PER_MS, Studio};
use callwright::id::UtteranceId;
use callwright::speech::{SpeechConfig, SpeechEvent, SpeechLane};
use callwright::time::MediaTime;
use callwright::turn::{CUT_COST, TurnConfig, TurnEvent, TurnMachine};
use corpus::{Random, Sound, Turn};
use ears::{Call, Rig};
use heard::Silence;
use serde_json::{Map, Value, json};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use sweep::{cut_at, delay_at};

/// Fixed for the published figures.
const SEED: u64 = 20_261_120;
/// Callers at once: what two shared cores hear in real time.
const LANES: usize = 6;
/// Threads that hear turns.
const HEARERS: usize = 2;
/// Silence after a turn: nothing more is learnt in what comes after.
const TAIL_MS: usize = 1600;
/// From the decision to 20 dB down on the wire: the fade, and half a frame on average until the next one is due.
const FADE_MS: f64 = 4.5;

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|a| a.parse::<usize>().ok());
    let hesitations = numbers.next().unwrap_or(1000);
    let sounds = numbers.next().unwrap_or(500);
    let calls = numbers.next().unwrap_or(20);
    let config = SpeechConfig { recognisers: LANES, recogniser_threads: 2, ..SpeechConfig::default() };
    let mut out = Map::new();
    end_of_turn(hesitations, &mut out);
    if calls > 0 {
        response::run(calls, &mut out);
    }
    if sounds > 0 {
        let rig = ears::start(&config).expect("the engines are installed: make setup");
        interruptions(&rig, sounds, &mut out);
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load average at the end {load}");
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    std::fs::create_dir_all(&target).expect("target/bench");
    let text = format!("{:#}\n", Value::Object(out));
    std::fs::write(target.join("turns.json"), text).expect("turns.json is written");
    println!("written to target/bench/turns.json");
}

/// Runs `work` for each item on so many callers at once, and shows how far it is.
fn on_lanes<T: Sync, R: Send>(what: &str, lanes: usize, items: &[T], work: impl Fn(usize, &T) -> R + Sync) -> Vec<R> {
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..lanes {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::SeqCst);
                    let Some(item) = items.get(n) else { return };
                    let result = work(n, item);
                    results.lock().expect("no lane panicked").push((n, result));
                    if n % 10 == 0 {
                        let left = started.elapsed().as_secs_f64() * (items.len() - n) as f64 / (n + 1) as f64;
                        eprint!("\r{what}: {n} of {}, {left:.0} s left   ", items.len());
                    }
                }
            });
        }
    });
    eprintln!();
    let mut results = results.into_inner().expect("no lane panicked");
    results.sort_by_key(|(n, _)| *n);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Feeds audio at the pace of a call; `hear` gets every event with the audio time fed so far.
fn in_real_time(call: &mut Call, pcm: &[i16], mut hear: impl FnMut(&SpeechEvent, &SpeechLane)) {
    let started = Instant::now();
    for (n, frame) in pcm.chunks(160).enumerate() {
        let due = started + Duration::from_millis(20 * n as u64);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        call.feed_frame(frame);
        while let Ok(event) = call.events.try_recv() {
            hear(&event, &call.lane);
        }
    }
    std::thread::sleep(Duration::from_millis(60));
    while let Ok(event) = call.events.try_recv() {
        hear(&event, &call.lane);
    }
}

fn end_of_turn(hesitations: usize, out: &mut Map<String, Value>) {
    let turns = corpus::turns(SEED, hesitations);
    let file = heard::file(SEED, hesitations);
    let silences = heard::load(&file).unwrap_or_else(|| {
        let studio = Mutex::new(Studio::new());
        let engines = Mutex::new(Vec::new());
        let silences: Vec<Silence> = on_lanes("turns", HEARERS, &turns, |n, turn: &Turn| {
            let mut random = Random::new(SEED + n as u64);
            let take = studio.lock().expect("no lane panicked").take(turn, TAIL_MS, &mut random);
            let mut hears = engines.lock().expect("no lane panicked").pop().unwrap_or_else(heard::Engines::load);
            let silences = hears.hear(turn, &take, &mut random);
            engines.lock().expect("no lane panicked").push(hears);
            silences
        })
        .into_iter()
        .flatten()
        .collect();
        heard::keep(&file, &silences);
        silences
    });
    let holds = silences.iter().filter(|s| s.resumes_ms.is_some()).count();
    let ends = silences.len() - holds;
    println!("\nend of turn: {holds} hesitations, {ends} ends");
    println!("{:<38} {:>12} {:>14}", "", "endpointing", "plain silence");
    let (ours, silence) = (sweep::curve(&silences), sweep::plain_curve(&silences));
    for (share, key) in [(0.05, "5pct"), (0.10, "10pct")] {
        let (a, b) = (delay_at(share, &ours), delay_at(share, &silence));
        println!("{:<38} {a:>9.0} ms {b:>11.0} ms", format!("mean delay with {:.0} % cut off", share * 100.0));
        out.insert(format!("eot_delay_ms_at_{key}"), json!(a.round()));
        out.insert(format!("silence_delay_ms_at_{key}"), json!(b.round()));
    }
    for ms in [300.0, 600.0] {
        let (a, b) = (cut_at(ms, &ours), cut_at(ms, &silence));
        println!(
            "{:<38} {:>10.1} % {:>12.1} %",
            format!("cut off at a mean delay of {ms:.0} ms"),
            a * 100.0,
            b * 100.0
        );
        out.insert(format!("eot_cut_percent_at_{ms:.0}ms"), json!((a * 1000.0).round() / 10.0));
        out.insert(format!("silence_cut_percent_at_{ms:.0}ms"), json!((b * 1000.0).round() / 10.0));
    }
    let now = sweep::point(&silences, CUT_COST);
    println!("{:<38} {:>9.0} ms, {:.1} % cut", "as it is set", now.delay_ms, now.cut_share * 100.0);
    out.insert("eot_delay_ms".into(), json!(now.delay_ms.round()));
    out.insert("eot_cut_percent".into(), json!((now.cut_share * 1000.0).round() / 10.0));
    out.insert("hesitations".into(), json!(holds));
}

/// What became of one sound.
struct Outcome {
    sound: Sound,
    /// Wall time from the onset's frame to the decision to fall silent, ms.
    ducked: Option<f64>,
    /// The same to the decision that it was meant.
    stopped: Option<f64>,
    /// Audio time that the agent was silent for nothing.
    silent_ms: f64,
}

fn interruptions(rig: &Rig, count: usize, out: &mut Map<String, Value>) {
    let sounds = corpus::sounds(SEED, count);
    let studio = Mutex::new(Studio::new());
    let agent = studio
        .lock()
        .expect("alone")
        .say(
            "slt",
            "You want a CRM with contacts, companies and deals, and it will be ready in a moment. Is that right?",
        )
        .0;
    let outcomes: Vec<Outcome> = on_lanes("sounds", LANES, &sounds, |n, (voice, sound)| {
        let mut random = Random::new(SEED + 77 * n as u64);
        let over = studio.lock().expect("no lane panicked").sound(voice, *sound, &agent, &mut random);
        talk_over(rig, *sound, &over)
    });
    let phase = |n: usize| (n as f64 * 0.618_033_988_75).fract() * 20.0 + FADE_MS;
    let meant = |o: &&Outcome| matches!(o.sound, Sound::Interruption(_));
    let mut duck: Vec<f64> =
        outcomes.iter().filter(meant).enumerate().filter_map(|(n, o)| o.ducked.map(|ms| ms + phase(n))).collect();
    let mut stop: Vec<f64> = outcomes.iter().filter(meant).filter_map(|o| o.stopped).collect();
    let interruptions = outcomes.iter().filter(meant).count();
    println!("\n{interruptions} interruptions: {} ducked, {} stopped", duck.len(), stop.len());
    println!("fell silent, 20 dB down: p50 {:.0}, p95 {:.0} ms", at(&mut duck, 0.5), at(&mut duck, 0.95));
    println!("decided to stop: p50 {:.0}, p95 {:.0} ms", at(&mut stop, 0.5), at(&mut stop, 0.95));
    out.insert("interruptions".into(), json!(interruptions));
    out.insert("yield_share".into(), json!(stop.len() as f64 / interruptions.max(1) as f64));
    out.insert("duck_ms_p95".into(), json!(at(&mut duck, 0.95).round()));
    out.insert("stop_ms_p95".into(), json!(at(&mut stop, 0.95).round()));
    let asides: Vec<&Outcome> = outcomes.iter().filter(|o| !meant(o)).collect();
    for (name, of) in [
        ("backchannel", (|s| matches!(s, Sound::Backchannel(_))) as fn(&Sound) -> bool),
        ("noise", |s| matches!(s, Sound::Noise(_))),
        ("side_talk", |s| matches!(s, Sound::SideTalk(_))),
        ("echo", |s| matches!(s, Sound::Echo)),
    ] {
        let these: Vec<&&Outcome> = asides.iter().filter(|o| of(&o.sound)).collect();
        let kept = these.iter().filter(|o| o.stopped.is_none()).count() as f64 / these.len().max(1) as f64;
        println!("{name:<12} {:>4}: the agent kept its turn in {:.0} %", these.len(), kept * 100.0);
        out.insert(format!("selectivity_{name}"), json!((kept * 1000.0).round() / 1000.0));
    }
    let kept = asides.iter().filter(|o| o.stopped.is_none()).count() as f64 / asides.len().max(1) as f64;
    let mut silent: Vec<f64> = asides.iter().filter(|o| o.stopped.is_none()).map(|o| o.silent_ms).collect();
    println!(
        "selectivity {kept:.2}; silent for an aside: p50 {:.0}, p95 {:.0} ms",
        at(&mut silent, 0.5),
        at(&mut silent, 0.95)
    );
    out.insert("selectivity".into(), json!((kept * 1000.0).round() / 1000.0));
    out.insert("aside_silent_ms_p95".into(), json!(at(&mut silent, 0.95).round()));
}

fn talk_over(rig: &Rig, sound: Sound, over: &audio::Over) -> Outcome {
    let mut call = rig.call();
    let mut machine = TurnMachine::new(TurnConfig::default());
    let onset = over.onset;
    let mut agent_speaks = false;
    let mut outcome = Outcome { sound, ducked: None, stopped: None, silent_ms: 0.0 };
    // The frame that holds the onset is fed when its last sample would have been spoken.
    let began = Instant::now() + Duration::from_millis((onset / PER_MS) as u64 + 20 - (onset / PER_MS % 20) as u64);
    let mut fell = MediaTime(0);
    let mut words = String::new();
    let verbose = std::env::var_os("TURNS_VERBOSE").is_some();
    in_real_time(&mut call, &over.pcm, |event, lane| {
        if let SpeechEvent::Voice { at, .. } | SpeechEvent::Onset { at, .. } = event
            && !agent_speaks
            && at.0 >= over.begins as u64
        {
            agent_speaks = true;
            machine.agent_speaking(UtteranceId(1));
        }
        match event {
            SpeechEvent::Onset { at, .. } => machine.handle_onset(*at),
            SpeechEvent::Voice { at, voiced, last_voiced, sound, .. } => {
                machine.handle_sound(*at, *sound);
                machine.handle_voice(*at, *voiced, *last_voiced);
            }
            SpeechEvent::Partial { text, .. } => {
                words.clone_from(text);
                machine.handle_partial(text);
            }
            _ => {}
        }
        let since =
            Instant::now().saturating_duration_since(began).as_secs_f64() * 1000.0 + (20 - onset / PER_MS % 20) as f64;
        while let Some(event) = machine.poll_event() {
            match event {
                TurnEvent::Duck { at } => {
                    outcome.ducked.get_or_insert(since);
                    fell = at;
                }
                TurnEvent::Resume { at, .. } => {
                    if verbose {
                        eprintln!("goes on after {since:.0} ms of {sound:?}, heard {words:?}");
                    }
                    outcome.silent_ms += at.since(fell).as_secs_f64() * 1000.0;
                    // The next answer is that of a recogniser that begins anew.
                    lane.finalize();
                }
                TurnEvent::BargeIn { .. } => {
                    if verbose {
                        eprintln!("stops after {since:.0} ms of {sound:?}, heard {words:?}");
                    }
                    outcome.stopped.get_or_insert(since);
                }
                // What the caller said before the agent spoke.
                TurnEvent::EndOfTurn { .. } => lane.finalize(),
                _ => {}
            }
        }
    });
    outcome
}

fn at(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = (values.len() as f64 * share).ceil() as usize;
    values.get(n.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}
