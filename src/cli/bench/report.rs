//! What the operator sees: progress on a terminal, one table, one JSON object. Purpose: figures with the conditions under
//! which they hold.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this subcommand's product is its output")]

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::tally::Measured;
use super::{Media, Scenario};

/// Says what went wrong.
pub(super) fn fault(why: &str) {
    eprintln!("callwright bench: {why}");
}

/// One measurement's figures by name.
type Figures = BTreeMap<&'static str, f64>;

/// Collects the figures.
#[derive(Debug)]
pub(super) struct Table {
    rows: BTreeMap<(&'static str, usize), Vec<Figures>>,
    live: bool,
}

impl Table {
    pub(super) fn begin(media: &Media) -> Self {
        println!(
            "One daemon on core {}, load on core {}; {} s each, medians of {}. Machine load now: {}",
            media.daemon_cpu,
            media.load_cpu,
            media.seconds,
            media.rounds,
            load_average(),
        );
        Self { rows: BTreeMap::new(), live: std::io::stderr().is_terminal() }
    }

    /// Progress.
    pub(super) fn say(&self, what: &str) {
        if self.live {
            eprint!("\r\x1b[K{what}");
            let _ = std::io::stderr().flush();
        } else {
            eprintln!("{what}");
        }
    }

    pub(super) fn add(&mut self, scenario: Scenario, calls: usize, floor: &Measured, ours: &Measured) {
        let mut figures = Figures::new();
        let mut put = |name, value: f64| {
            if value.is_finite() {
                figures.insert(name, value);
            }
        };
        put("cpu_percent_per_100_calls", ours.cpu_per_100());
        put("cpu_percent", ours.cpu_share());
        put("floor_cpu_percent_per_100_calls", floor.cpu_per_100());
        put("memory_mib", ours.memory);
        put("cpu_ratio_to_floor", ours.cpu_per_100() / floor.cpu_per_100());
        put("floor_delay_p50_ms", floor.tally.delay.quantile(0.5));
        put("floor_delay_p999_ms", floor.tally.delay.quantile(0.999));
        match scenario {
            Scenario::Echo | Scenario::Bridge => {
                put("delay_p50_ms", ours.tally.delay.quantile(0.5));
                put("delay_p99_ms", ours.tally.delay.quantile(0.99));
                put("delay_p999_ms", ours.tally.delay.quantile(0.999));
                put("lost_or_late_percent", ours.lost_or_late());
            }
            Scenario::Transcode => {
                put("delay_p50_ms", ours.tally.burst.quantile(0.5));
                put("delay_p99_ms", ours.tally.burst.quantile(0.99));
                put("bursts", ours.tally.burst.count() as f64);
            }
            Scenario::Duplex => {}
        }
        let due = ours.calls as f64 * ours.window.as_secs_f64() * 50.0;
        put("received_of_due_percent", 100.0 * ours.tally.received as f64 / due);
        let gaps = ours.tally.gap.count().max(1) as f64;
        let over = |ms| ours.tally.gap.longer_than(std::time::Duration::from_millis(ms)) as f64;
        put("gaps_over_30ms_percent", 100.0 * over(30) / gaps);
        put("gaps_over_60ms_percent", 100.0 * over(60) / gaps);
        let floor_gaps = floor.tally.gap.longer_than(std::time::Duration::from_millis(60)) as f64;
        put("floor_gaps_over_60ms_percent", 100.0 * floor_gaps / floor.tally.gap.count().max(1) as f64);
        self.rows.entry((scenario.name(), calls)).or_default().push(figures);
    }

    /// Prints the table and writes the file.
    pub(super) fn finish(self, file: Option<&Path>) -> Result<(), String> {
        if self.live {
            eprint!("\r\x1b[K");
        }
        println!(
            "\n{:<10} {:>6} {:>14} {:>12} {:>7} {:>9} {:>9} {:>9} {:>10} {:>11} {:>11}",
            "scenario",
            "calls",
            "CPU %/100",
            "floor",
            "ratio",
            "p50 ms",
            "p99 ms",
            "p99.9 ms",
            "floor p50",
            "lost+late %",
            "of due %"
        );
        let mut flat = Map::new();
        for ((scenario, calls), rounds) in &self.rows {
            let names: std::collections::BTreeSet<&str> = rounds.iter().flat_map(|f| f.keys().copied()).collect();
            let medians: BTreeMap<&str, f64> = names
                .into_iter()
                .map(|name| (name, median(rounds.iter().filter_map(|f| f.get(name).copied()))))
                .collect();
            let cell = |name: &str, digits: usize| {
                medians.get(name).map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
            };
            println!(
                "{scenario:<10} {calls:>6} {:>14} {:>12} {:>7} {:>9} {:>9} {:>9} {:>10} {:>11} {:>11}",
                cell("cpu_percent_per_100_calls", 2),
                cell("floor_cpu_percent_per_100_calls", 2),
                cell("cpu_ratio_to_floor", 2),
                cell("delay_p50_ms", 3),
                cell("delay_p99_ms", 3),
                cell("delay_p999_ms", 3),
                cell("floor_delay_p50_ms", 3),
                cell("lost_or_late_percent", 3),
                cell("received_of_due_percent", 2),
            );
            for (name, value) in medians {
                flat.insert(format!("{scenario}_{calls}_{name}"), json!((value * 10_000.0).round() / 10_000.0));
            }
        }
        if let Some(file) = file {
            flat.insert("machine_load".to_owned(), json!(load_average()));
            let text = serde_json::to_string_pretty(&Value::Object(flat)).map_err(|e| e.to_string())?;
            if let Some(directory) = file.parent() {
                std::fs::create_dir_all(directory).map_err(|e| format!("{}: {e}", directory.display()))?;
            }
            std::fs::write(file, text + "\n").map_err(|e| format!("{}: {e}", file.display()))?;
            println!("\nwritten to {}", file.display());
        }
        Ok(())
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_ascii_whitespace().take(3).collect::<Vec<_>>().join(" ")
}
