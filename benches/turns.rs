//! Turn-taking, by the published yardsticks: `cargo bench --bench turns [-- hesitations sounds calls [rehearsal|former]]`.
//!
//! 0 leaves a part out; its keys then keep the values that the file has. Measured are callers on whom nothing was tuned
//! (`held_out`). `rehearsal`: other voices and sentences, for development and training; its figures go nowhere. `former`: the
//! callers of earlier figures, at whom constants were looked at; theirs go beside the others, as `former_…`. `rehearsal trace`
//! writes down what is heard of sounds over the agent's voice, and `replay` gives that to the turn machine again. End of turn: the embedded engines hear callers who hesitate, and the endpointing is given
//! what they make of it when a call would be (`heard`); the sweep of eot-bench (which share of hesitations is cut, how long a
//! finished caller waits) at every patience, beside plain silence on the same audio. Interruptions: see
//! `turns/interruptions.rs`. Response: one daemon and a caller on the wire (`response`). Prints a table and writes
//! `target/bench/turns.json`.

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
#[path = "turns/held_out.rs"]
mod held_out;
#[path = "turns/interruptions.rs"]
mod interruptions;
#[path = "turns/noises.rs"]
mod noises;
#[path = "turns/rehearsal.rs"]
mod rehearsal;
#[path = "turns/rehearsed_sounds.rs"]
mod rehearsed_sounds;
#[path = "turns/replay.rs"]
mod replay;
#[path = "turns/response.rs"]
mod response;
#[path = "turns/sweep.rs"]
mod sweep;

use audio::Studio;
use callwright::speech::SpeechConfig;
use callwright::turn::CUT_COST;
use corpus::{Random, Turn};
use heard::Silence;
use serde_json::{Map, Value, json};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use sweep::{cut_at, delay_at};

/// Whose turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Corpus {
    /// The published figures'.
    HeldOut,
    /// Those of figures before; constants were chosen with them in sight.
    Former,
    /// The trainers'.
    Rehearsal,
}

/// Fixed for the published figures.
const SEED: u64 = 20_261_120;
/// Callers at once: what two shared cores hear in real time.
const LANES: usize = 6;
/// Threads that hear turns.
const HEARERS: usize = 2;
/// Silence after a turn: nothing more is learnt in what comes after.
const TAIL_MS: usize = 1600;

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|a| a.parse::<usize>().ok());
    let hesitations = numbers.next().unwrap_or(1000);
    let sounds = numbers.next().unwrap_or(500);
    let calls = numbers.next().unwrap_or(20);
    let corpus = match std::env::args().next_back().as_deref() {
        Some("rehearsal" | "trace") => Corpus::Rehearsal,
        Some("former") => Corpus::Former,
        _ => Corpus::HeldOut,
    };
    let mut of_corpus = Map::new();
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    let traced = target.join("sounds-rehearsed.jsonl");
    if std::env::args().any(|a| a == "replay") {
        return replay::run(&traced);
    }
    let before = std::fs::read(target.join("turns.json")).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let mut out: Map<String, Value> = before.unwrap_or_default();
    if hesitations > 0 {
        end_of_turn(hesitations, corpus, &mut of_corpus);
    }
    if calls > 0 {
        response::run(calls, &mut out);
    }
    if sounds > 0 {
        let config = SpeechConfig { recognisers: LANES, recogniser_threads: 2, ..SpeechConfig::default() };
        let rig = ears::start(&config).expect("the engines are installed: make setup");
        if std::env::args().any(|a| a == "trace") {
            rehearsed_sounds::write(&rig, sounds, &traced);
            println!("written to {}", traced.display());
            return;
        }
        interruptions::run(&rig, sounds, corpus, &mut of_corpus);
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load average at the end {load}");
    let prefix = match corpus {
        Corpus::HeldOut => "",
        Corpus::Former => "former_",
        Corpus::Rehearsal => return,
    };
    out.extend(of_corpus.into_iter().map(|(key, value)| (format!("{prefix}{key}"), value)));
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

fn end_of_turn(hesitations: usize, corpus: Corpus, out: &mut Map<String, Value>) {
    let turns = match corpus {
        Corpus::HeldOut => held_out::turns(SEED, hesitations),
        Corpus::Former => corpus::turns(SEED, hesitations),
        Corpus::Rehearsal => rehearsal::turns(SEED, hesitations),
    };
    let file = heard::file(corpus, SEED, hesitations);
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
    calibration(&silences, out);
    parts(&silences);
}

/// Whether what the scorer gives is a probability: of pauses in which nothing has been said for so long.
fn calibration(silences: &[Silence], out: &mut Map<String, Value>) {
    const LASTS: Duration = Duration::from_millis(320);
    let tenths = sweep::reliability(silences, LASTS);
    let all: usize = tenths.iter().map(|(count, ..)| count).sum();
    println!("\nof {all} silences of {} ms: how likely the end, which share ended", LASTS.as_millis());
    for (count, given, ended) in tenths.iter().filter(|(count, ..)| *count > 0) {
        println!("{count:<38} {given:>12.2} {ended:>14.2}  {}", "#".repeat((ended * 30.0).round() as usize));
    }
    let error: f64 = tenths.iter().map(|(count, given, ended)| *count as f64 * (given - ended).abs()).sum();
    let error = error / all.max(1) as f64;
    println!("{:<38} {error:>12.3}", "expected calibration error");
    out.insert("eot_calibration_error".into(), json!((error * 1000.0).round() / 1000.0));
}

/// What each part gives by itself, and what becomes of each kind of answer.
fn parts(silences: &[Silence]) {
    println!("\n{:<38} {:>12} {:>14}", "mean delay with so many cut off", "5 %", "10 %");
    let strip = |change: &dyn Fn(&mut Silence)| {
        let mut stripped = silences.to_vec();
        stripped.iter_mut().for_each(change);
        sweep::curve(&stripped)
    };
    let no_tone = |silence: &mut Silence| silence.known.iter_mut().for_each(|known| known.sounded = None);
    let no_melody = |silence: &mut Silence| silence.known.iter_mut().for_each(|known| known.melody = None);
    let no_words = |silence: &mut Silence| {
        silence.ask = heard::Ask::Open;
        silence.known.iter_mut().for_each(|known| known.text.clear());
    };
    for (name, curve) in [
        ("words alone", strip(&|s| (no_tone(s), no_melody(s)).0)),
        ("words and melody", strip(&no_tone)),
        ("words and the end-of-turn model", strip(&no_melody)),
        ("the end-of-turn model alone", strip(&|s| (no_words(s), no_melody(s)).0)),
    ] {
        println!("{name:<38} {:>9.0} ms {:>11.0} ms", delay_at(0.05, &curve), delay_at(0.10, &curve));
    }
    for share in [0.05, 0.10] {
        let Some(cost) = sweep::cut_cost_at(share, silences) else { continue };
        for (name, of) in [
            ("open", (|ask| matches!(ask, heard::Ask::Open)) as fn(&heard::Ask) -> bool),
            ("yes or no", |ask| matches!(ask, heard::Ask::YesNo)),
            ("names", |ask| matches!(ask, heard::Ask::Name)),
            ("digits", |ask| matches!(ask, heard::Ask::Digits(_))),
        ] {
            let these: Vec<Silence> = silences.iter().filter(|s| of(&s.ask)).cloned().collect();
            let at = sweep::point(&these, cost);
            let name = format!("{name}, where {:.0} % of all are cut", share * 100.0);
            println!("{name:<38} {:>9.0} ms {:>9.1} % cut", at.delay_ms, at.cut_share * 100.0);
        }
    }
}
