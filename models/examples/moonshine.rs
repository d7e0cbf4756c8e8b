//! What the embedded recogniser hears: `cargo run --release -p callwright-models --example moonshine -- LIST.tsv [WIDTH]
//! [tiny|base]`. `LIST.tsv`: a line per turn, first column a file of raw 8 kHz 16-bit samples, last column what was said.
//! Prints file, confidence, CPU milliseconds, whether it was written as a whole sentence, text and alternatives; at the end
//! word errors and speed.

use callwright_models::asr::{Moonshine, Unguided};
use callwright_models::{Assets, MoonshineSize};
use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let list = arguments.next().ok_or("which list? LIST.tsv is missing")?;
    let width = arguments.next().map_or(Ok(1), |width| width.parse())?;
    let size = if arguments.next().as_deref() == Some("base") { MoonshineSize::Base } else { MoonshineSize::Tiny };
    let (mut out, mut said_of_it) = (io::stdout().lock(), io::stderr());
    let started = Instant::now();
    let mut engine = Moonshine::load(&Assets::locate(), size)?;
    writeln!(said_of_it, "loaded in {} ms, {} MB", started.elapsed().as_millis(), resident_mb())?;
    let (mut errors, mut words, mut cpu_ms, mut audio_ms) = (0, 0, 0.0, 0.0);
    for line in fs::read_to_string(&list)?.lines() {
        let mut columns = line.split('\t');
        let file = columns.next().unwrap_or_default();
        let said = columns.next_back().map(spelled);
        let octets = fs::read(file).map_err(|error| format!("{file}: {error}"))?;
        let samples: Vec<i16> = octets.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
        let before = thread_cpu_ms();
        let heard = engine.recognise(&samples, &Unguided, width)?;
        let took = thread_cpu_ms() - before;
        cpu_ms += took;
        audio_ms += samples.len() as f64 / 8.0;
        let complete = if heard.complete == Some(true) { '.' } else { '-' };
        writeln!(
            out,
            "{file}\t{:.3}\t{took:.0}\t{complete}\t{}\t{}",
            heard.confidence,
            heard.text,
            heard.alternatives.join(" / ")
        )?;
        if let Some(said) = said {
            errors += distance(&said, &spelled(&heard.text));
            words += said.len();
        }
    }
    writeln!(
        said_of_it,
        "width {width}: {:.1} % of {words} words wrong, {:.0} ms CPU a second of audio, {} MB",
        100.0 * errors as f64 / words.max(1) as f64,
        1000.0 * cpu_ms / audio_ms.max(1.0),
        resident_mb()
    )?;
    Ok(())
}

/// Words as both sides are compared.
fn spelled(text: &str) -> Vec<String> {
    let text = text.to_lowercase().replace("all right", "alright").replace("okay", "ok");
    text.split_whitespace().map(str::to_owned).collect()
}

/// Words to change, add or leave out.
fn distance(said: &[String], heard: &[String]) -> usize {
    let mut row: Vec<usize> = (0..=heard.len()).collect();
    for (n, word) in said.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], n + 1);
        for (m, other) in heard.iter().enumerate() {
            let cost = (diagonal + usize::from(word != other)).min(row[m] + 1).min(row[m + 1] + 1);
            diagonal = std::mem::replace(&mut row[m + 1], cost);
        }
    }
    row[heard.len()]
}

/// CPU time of this thread so far.
fn thread_cpu_ms() -> f64 {
    let shown = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    shown.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(0.0) / 1e6
}

fn resident_mb() -> u64 {
    let shown = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = shown.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}
