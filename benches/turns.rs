//! Turn-taking, by the published yardsticks: `cargo bench --bench turns [-- hesitations sounds [rehearsal]]`
//! (0 leaves a part out; its keys then keep the values that the file has).
//!
//! Callers who hesitate go through the speech plane in real time; the endpointing sees what it sees in a call. End of turn: the sweep of eot-bench (which
//! share of hesitations is cut, how long a finished caller waits) at every patience, beside plain silence on the same audio.
//! Interruptions: see `turns/interruptions.rs`. Prints a table and writes `target/bench/turns.json`.

#![allow(clippy::print_stdout, reason = "a bench prints")]

#[path = "turns/audio.rs"]
mod audio;
#[path = "turns/corpus.rs"]
mod corpus;
#[path = "../tests/ears/mod.rs"]
mod ears;
#[path = "turns/interruptions.rs"]
mod interruptions;
#[path = "turns/sweep.rs"]
mod sweep;

use audio::{PER_MS, Studio};
use callwright::speech::{SpeechConfig, SpeechEvent, SpeechLane};
use callwright::time::MediaTime;
use callwright::turn::wait;
use corpus::{Random, Turn};
use ears::{Call, Rig};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use sweep::{Known, Silence, cut_at, delay_at, plain, point};

/// Fixed for the published figures.
const SEED: u64 = 20_261_120;
/// Callers at once: what two shared cores hear in real time.
const LANES: usize = 6;
/// Silence after a turn, for whoever waits long.
const TAIL_MS: usize = 3200;

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|a| a.parse::<usize>().ok());
    let hesitations = numbers.next().unwrap_or(1000);
    let sounds = numbers.next().unwrap_or(500);
    // Other voices and sentences than the published figures are of: for development.
    let rehearsal = std::env::args().any(|a| a == "rehearsal");
    let config = SpeechConfig { recognisers: LANES, recogniser_threads: 2, ..SpeechConfig::default() };
    let rig = ears::start(&config).expect("the engines are installed: make setup");
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    let before = std::fs::read(target.join("turns.json")).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let mut out = before.unwrap_or_default();
    if hesitations > 0 {
        end_of_turn(&rig, hesitations, &mut out);
    }
    if sounds > 0 {
        interruptions::run(&rig, sounds, rehearsal, &mut out);
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load average at the end {load}");
    if rehearsal {
        return;
    }
    std::fs::create_dir_all(&target).expect("target/bench");
    let text = format!("{:#}\n", Value::Object(out));
    std::fs::write(target.join("turns.json"), text).expect("turns.json is written");
    println!("written to target/bench/turns.json");
}

/// Runs `work` for each item on so many callers at once, and shows how far it is.
fn on_lanes<T: Sync, R: Send>(what: &str, items: &[T], work: impl Fn(usize, &T) -> R + Sync) -> Vec<R> {
    on_so_many_lanes(LANES, what, items, work)
}

fn on_so_many_lanes<T: Sync, R: Send>(
    lanes: usize,
    what: &str,
    items: &[T],
    work: impl Fn(usize, &T) -> R + Sync,
) -> Vec<R> {
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

fn end_of_turn(rig: &Rig, hesitations: usize, out: &mut Map<String, Value>) {
    let turns = corpus::turns(SEED, hesitations);
    let studio = Mutex::new(Studio::new());
    let silences: Vec<Silence> = on_lanes("turns", &turns, |n, turn: &Turn| {
        let mut random = Random::new(SEED + n as u64);
        let take = studio.lock().expect("no lane panicked").take(turn, TAIL_MS, &mut random);
        listen(rig, turn, &take)
    })
    .into_iter()
    .flatten()
    .collect();
    let holds = silences.iter().filter(|s| s.resumes_ms.is_some()).count();
    let ends = silences.len() - holds;
    println!("\nend of turn: {holds} hesitations, {ends} ends");
    println!("{:<38} {:>12} {:>14}", "", "endpointing", "plain silence");
    let ours = |scale: f64| point(&silences, scale);
    let silence = |ms: f64| plain(&silences, ms);
    for (share, key) in [(0.05, "5pct"), (0.10, "10pct")] {
        let (a, b) = (delay_at(share, ours, 6.0), delay_at(share, silence, 3000.0));
        println!("{:<38} {a:>9.0} ms {b:>11.0} ms", format!("mean delay with {:.0} % cut off", share * 100.0));
        out.insert(format!("eot_delay_ms_at_{key}"), json!(a.round()));
        out.insert(format!("silence_delay_ms_at_{key}"), json!(b.round()));
    }
    for ms in [300.0, 600.0] {
        let (a, b) = (cut_at(ms, ours, 6.0), cut_at(ms, silence, 3000.0));
        println!(
            "{:<38} {:>10.1} % {:>12.1} %",
            format!("cut off at a mean delay of {ms:.0} ms"),
            a * 100.0,
            b * 100.0
        );
        out.insert(format!("eot_cut_percent_at_{ms:.0}ms"), json!((a * 1000.0).round() / 10.0));
        out.insert(format!("silence_cut_percent_at_{ms:.0}ms"), json!((b * 1000.0).round() / 10.0));
    }
    let now = point(&silences, 1.0);
    println!("{:<38} {:>9.0} ms, {:.1} % cut", "as it is set", now.delay_ms, now.cut_share * 100.0);
    out.insert("eot_delay_ms".into(), json!(now.delay_ms.round()));
    out.insert("eot_cut_percent".into(), json!((now.cut_share * 1000.0).round() / 10.0));
    out.insert("hesitations".into(), json!(holds));
}

/// What the endpointing knew in each silence of a turn.
fn listen(rig: &Rig, turn: &Turn, take: &audio::Take) -> Vec<Silence> {
    let mut call = rig.call();
    call.lane.listen(turn.expect);
    let mut silences: Vec<Silence> = (0..take.ends.len())
        .map(|n| {
            let resumes = take.resumes.get(n).map(|at| (at - take.ends[n]) as f64 / PER_MS as f64);
            Silence { resumes_ms: resumes, known: Vec::new() }
        })
        .collect();
    let mut partial = String::new();
    let mut last = (MediaTime(0), MediaTime(0));
    let mut note = |at: MediaTime, last_voiced: MediaTime, partial: &str| {
        let Some(n) = take.ends.iter().rposition(|end| *end as u64 <= at.0) else { return };
        if take.resumes.get(n).is_some_and(|resumes| at.0 >= *resumes as u64) {
            return;
        }
        let since = |time: MediaTime| (time.0 as f64 - take.ends[n] as f64) / PER_MS as f64;
        let wait = wait(turn.expect, partial).as_secs_f64() * 1000.0;
        silences[n].known.push(Known { at: since(at), last_voiced: since(last_voiced).max(0.0), wait });
    };
    in_real_time(&mut call, &take.pcm, |event, _| match event {
        SpeechEvent::Voice { at, last_voiced, .. } => {
            last = (*at, *last_voiced);
            note(*at, *last_voiced, &partial);
        }
        SpeechEvent::Partial { text, .. } => {
            partial.clone_from(text);
            note(last.0, last.1, &partial);
        }
        _ => {}
    });
    silences
}
