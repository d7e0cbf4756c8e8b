//! What the bench says at the end. Purpose: figures under flat names for machines, the same as a table for people, and every
//! turn with what was heard for whoever mends errors. Main thread. Deliberately absent: gates (a person reads the table).
#![allow(clippy::print_stdout, reason = "a bench prints")]

use super::machine;
use super::meaning::{Measure, judge};
use super::score::errors;
use super::turns::Run;
use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Figures by name, and the table.
pub struct Report {
    figures: Map<String, Value>,
    heard: String,
    directory: PathBuf,
}

impl Report {
    pub fn new(quick: bool) -> Self {
        let mut figures = Map::new();
        figures.insert("processor".into(), json!(machine::processor()));
        figures.insert("load_at_start".into(), json!(machine::load()));
        figures.insert("quick".into(), json!(quick));
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
        let heard =
            "engine\tvoice\tsnr_db\tloss_percent\thalf\tasked\tmeant\ttaken\terrors\twords\tconfidence\tsaid\theard\n"
                .to_owned();
        Self { figures, heard, directory }
    }

    /// Where downloads and samples are kept.
    pub fn cache(&self) -> PathBuf {
        self.directory.join("cache")
    }

    /// Keeps a figure; what could not be measured is null.
    pub fn put(&mut self, name: impl Into<String>, value: f64) {
        let value = if value.is_finite() { json!((value * 1000.0).round() / 1000.0) } else { Value::Null };
        self.figures.insert(name.into(), value);
    }

    /// A heading.
    pub fn part(&self, title: &str, columns: &[&str]) {
        print!("\n{title:<46}");
        columns.iter().for_each(|column| print!(" {column:>11}"));
        println!();
    }

    /// A row; not-a-number is a dash.
    pub fn row(&self, name: &str, digits: usize, values: &[f64]) {
        print!("  {name:<44}");
        for value in values {
            if value.is_finite() { print!(" {value:>11.digits$}") } else { print!(" {:>11}", "–") }
        }
        println!();
    }

    /// A remark under a table.
    pub fn say(&self, text: &str) {
        println!("  {text}");
    }

    /// Keeps every turn of a run for `speech-heard.tsv`.
    pub fn keep(&mut self, engine: &str, run: &Run<'_>) {
        for outcome in &run.outcomes {
            let job = &outcome.job;
            let found = errors(&job.line.text, &outcome.text);
            let _ = writeln!(
                self.heard,
                "{engine}\t{}\t{}\t{}\t{}\t{:?}\t{}\t{:?}\t{}\t{}\t{:.2}\t{}\t{}",
                job.voice,
                job.channel.snr_db.unwrap_or_default(),
                job.channel.loss_percent,
                if job.line.held { "held" } else { "dev" },
                job.line.asked,
                job.line.meant,
                judge(Measure::Frame, job.line, &outcome.text, outcome.confidence),
                found.substituted + found.deleted + found.inserted,
                found.words,
                outcome.confidence,
                job.line.text,
                outcome.text,
            );
        }
    }

    /// Writes where errors come from to `speech-errors.md`.
    pub fn blame(&self, page: &str) -> Result<(), String> {
        self.write("speech-errors.md", page)
    }

    /// Writes a page of its own beside the others.
    pub fn page(&self, name: &str, text: &str) -> Result<(), String> {
        self.write(name, text)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), String> {
        let file = self.directory.join(name);
        std::fs::create_dir_all(&self.directory)
            .and_then(|()| std::fs::write(&file, text))
            .map_err(|e| format!("{}: {e}", file.display()))
    }

    /// Writes what there is so far to `speech.json` and `speech-heard.tsv`: a part that fails costs nothing of the others.
    pub fn save(&mut self) -> Result<(), String> {
        self.figures.insert("load_at_end".into(), json!(machine::load()));
        self.write("speech-heard.tsv", &self.heard)?;
        self.write("speech.json", &format!("{:#}\n", Value::Object(self.figures.clone())))
    }
}
