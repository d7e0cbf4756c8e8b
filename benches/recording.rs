//! What recording costs: `cargo bench --bench recording [-- seconds]`.
//!
//! So many taps at once get 20 ms of both sides in real time, as from a media worker: something like speech, with pauses, each
//! call at another place of it. Taken are the recorder thread's time on its core (the kernel's own count) and the time that
//! one frame costs the worker that pushes it. Every recording has to be whole. Prints a table and writes
//! `target/bench/recording.json` (flat: metric → number).

#![allow(clippy::print_stdout, reason = "a bench prints")]

use callwright::id::CallId;
use callwright::media::recorder::{Format, Outcome, Recorder, RecorderConfig, Report, Side};
use callwright::os::clock::{monotonic, sleep_until, wall};
use callwright::telemetry::Marks;
use callwright::time::MediaTime;
use serde_json::{Map, Value, json};
use std::f64::consts::TAU;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

fn main() {
    let seconds = std::env::args().skip(1).find_map(|a| a.parse().ok()).unwrap_or(10_u64).clamp(1, 600);
    let mut out = Map::new();
    println!("{seconds} s each; load average {}", fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
    println!(
        "{:<8} {:>6} {:>16} {:>14} {:>10} {:>8}",
        "format", "calls", "% of a core", "ns per push", "MB/h/call", "lost ms"
    );
    for (format, calls) in [(Format::Wav, 100), (Format::Wav, 500), (Format::Opus, 50), (Format::Opus, 200)] {
        run(format, calls, seconds, &mut out);
    }
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    fs::create_dir_all(&target).expect("target/bench");
    let file = target.join("recording.json");
    fs::write(&file, format!("{:#}\n", Value::Object(out))).expect("recording.json is written");
    println!("written: {}", file.display());
}

fn run(format: Format, calls: u64, seconds: u64, out: &mut Map<String, Value>) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let marks = Arc::new(Marks::new());
    let (octets, whole) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (sum, count) = (Arc::clone(&octets), Arc::clone(&whole));
    let config = RecorderConfig {
        data: dir.path().to_owned(),
        format,
        keep: Duration::from_secs(86_400),
        floor_octets: 0,
        avoid_cpus: Vec::new(),
    };
    let reports = Arc::new(move |report| {
        if let Report::Ended(ended) = report {
            sum.fetch_add(usize::try_from(ended.octets).unwrap_or(0), Relaxed);
            count.fetch_add(usize::from(ended.outcome == Outcome::Complete), Relaxed);
        }
    });
    let recorder = Recorder::start(config, Arc::clone(&marks), reports).expect("the recorder starts");
    let mut taps: Vec<_> =
        (0..calls).map(|call| recorder.open(CallId(call), wall()).expect("room for the call").0).collect();
    let voice = voice();
    let (start, began, before) = (monotonic(), Instant::now(), on_core());
    let mut pushing = Duration::ZERO;
    for frame in 0..seconds * 50 {
        let at = Instant::now();
        for (call, tap) in (0..).zip(&mut taps) {
            for (side, apart) in [(Side::Caller, 0), (Side::Agent, 17)] {
                let place = (frame + call * 7 + apart) as usize * 160 % (voice.len() - 160);
                tap.push_samples(side, MediaTime(frame * 160), &voice[place..place + 160]);
            }
        }
        pushing += at.elapsed();
        sleep_until(start + Duration::from_millis(20) * (frame as u32 + 1));
    }
    let share = (on_core() - before) / began.elapsed().as_secs_f64() * 100.0;
    drop(taps);
    assert!(recorder.stop(), "the recordings are on the disk");
    assert_eq!(whole.load(Relaxed) as u64, calls, "recordings that are whole");
    let push = pushing.as_nanos() as f64 / (calls * seconds * 100) as f64;
    let megabytes = octets.load(Relaxed) as f64 / calls as f64 / seconds as f64 * 3600.0 / 1e6;
    let lost = marks.recording_overflowed.get() * 20;
    let name = format.name();
    println!("{name:<8} {calls:>6} {share:>16.2} {push:>14.0} {megabytes:>10.1} {lost:>8}");
    for (figure, value) in [
        ("core_percent", json!(share)),
        ("push_ns", json!(push)),
        ("mb_per_hour", json!(megabytes)),
        ("lost_ms", json!(lost)),
    ] {
        out.insert(format!("{name}_{calls}_{figure}"), value);
    }
}

/// Seconds that the recorder's thread has been on a core.
fn on_core() -> f64 {
    let threads = fs::read_dir("/proc/self/task").expect("Linux").flatten().map(|entry| entry.path());
    let nanos = |path: &Path| -> Option<f64> {
        let name = fs::read_to_string(path.join("comm")).ok()?;
        let times = fs::read_to_string(path.join("schedstat")).ok()?;
        (name.trim() == "recorder").then(|| times.split(' ').next()?.parse().ok())?
    };
    threads.filter_map(|path| nanos(&path)).sum::<f64>() / 1e9
}

/// 20 s of something like speech: harmonics of a wandering pitch in syllables, a pause every few seconds.
fn voice() -> Vec<i16> {
    (0..160_000)
        .map(|n| {
            let t = f64::from(n) / 8000.0;
            let pitch = 120.0 + 30.0 * (t * 0.7 * TAU).sin();
            let syllable = (t * 4.0 * TAU).sin().max(0.0) * f64::from(u8::from(t % 5.0 < 3.5));
            let tone: f64 = (1..12).map(|h| (t * pitch * f64::from(h) * TAU).sin() / f64::from(h)).sum();
            (tone * syllable * 6000.0) as i16
        })
        .collect()
}
