//! How far a fetch is: a bar on a terminal, a line every tenth in a log. On stderr, so that results stay alone on stdout.
#![expect(clippy::print_stderr, reason = "progress and faults are this file's product")]

use crate::packs::Step;
use callwright_models::pack::archive::octets_in_words;
use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Cells of the bar.
const CELLS: usize = 30;
/// A terminal is written to this often at most.
const REFRESH: Duration = Duration::from_millis(100);

/// Says what went wrong.
pub(super) fn fault(error: &dyn Display) {
    eprintln!("callwright: {error}");
}

/// Shows one installation.
pub(super) struct Bar {
    name: String,
    live: bool,
    /// Which file, when its fetch began here, and with how much.
    began: Option<(String, Instant, u64)>,
    shown: Option<Instant>,
    tenth: u64,
    dirty: bool,
}

impl Bar {
    pub(super) fn new(name: &str) -> Self {
        let live = std::io::stderr().is_terminal();
        Self { name: name.to_owned(), live, began: None, shown: None, tenth: 0, dirty: false }
    }

    /// The next steps are of this pack.
    pub(super) fn about(&mut self, name: &str) {
        if self.name != name {
            name.clone_into(&mut self.name);
        }
    }

    pub(super) fn show(&mut self, step: Step<'_>) {
        match step {
            Step::Fetching { url, got, total } => self.fetching(url, got, total),
            Step::Waiting { why, pause } => {
                self.line(&format!("{why}; again in {} s", pause.as_secs_f32()));
                self.began = None;
            }
            Step::Unpacking => self.passing("unpacking"),
            Step::Verifying => self.passing("trying it in a process of its own"),
        }
    }

    fn fetching(&mut self, url: &str, got: u64, total: u64) {
        let now = Instant::now();
        let file = url.rsplit('/').next().unwrap_or(url);
        if self.began.as_ref().is_none_or(|(name, _, _)| name != file) {
            let more = if got > 0 { format!(", going on after {}", octets_in_words(got)) } else { String::new() };
            self.line(&format!("fetching {url} ({}{more})", octets_in_words(total)));
            self.began = Some((file.to_owned(), now, got));
            self.tenth = got.saturating_mul(10) / total.max(1);
        }
        let Some((_, since, from)) = &self.began else { return };
        if !self.live {
            let tenth = (got.saturating_mul(10) / total.max(1)).min(10);
            if tenth > self.tenth {
                self.tenth = tenth;
                eprintln!("  {}0 % of {file}", tenth);
            }
            return;
        }
        let whole = got >= total;
        if !whole && self.shown.is_some_and(|shown| now.duration_since(shown) < REFRESH) {
            return;
        }
        self.shown = Some(now);
        let line = picture(got, total, got.saturating_sub(*from), now.duration_since(*since));
        eprint!("\r\x1b[K  {line}");
        let _ = std::io::stderr().flush();
        self.dirty = true;
    }

    fn passing(&mut self, what: &str) {
        if self.live {
            eprint!("\r\x1b[K  {}: {what}", self.name);
            let _ = std::io::stderr().flush();
            self.dirty = true;
        } else {
            eprintln!("  {}: {what}", self.name);
        }
    }

    fn line(&mut self, text: &str) {
        self.end();
        eprintln!("{text}");
    }

    /// Leaves the terminal as it was found.
    pub(super) fn end(&mut self) {
        if self.dirty {
            eprint!("\r\x1b[K");
            let _ = std::io::stderr().flush();
            self.dirty = false;
        }
    }
}

/// `━━━━━━╌╌╌╌  45 %  57 of 128 MB  3.2 MB/s  22 s left`
fn picture(got: u64, total: u64, here: u64, took: Duration) -> String {
    let share = (got as f64 / total.max(1) as f64).min(1.0);
    let full = (share * CELLS as f64) as usize;
    let bar = "━".repeat(full) + &"╌".repeat(CELLS - full);
    let mut line = format!("{bar} {:>3.0} %  {} of {}", share * 100.0, octets_in_words(got), octets_in_words(total));
    let pace = here as f64 / took.as_secs_f64();
    if took > Duration::from_secs(1) && pace > 0.0 {
        let left = total.saturating_sub(got) as f64 / pace;
        line += &format!("  {}/s", octets_in_words(pace as u64));
        if left >= 1.0 {
            line +=
                &if left < 120.0 { format!("  {left:.0} s left") } else { format!("  {:.0} min left", left / 60.0) };
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::picture;
    use std::time::Duration;

    #[test]
    fn the_bar_tells_how_far_how_fast_and_how_long() {
        let half = picture(64_000_000, 128_000_000, 32_000_000, Duration::from_secs(10));
        assert_eq!(half, format!("{}{}  50 %  64 MB of 128 MB  3 MB/s  20 s left", "━".repeat(15), "╌".repeat(15)));
        assert!(picture(5, 4, 5, Duration::ZERO).contains("100 %"), "more than was announced is no panic");
        assert!(picture(0, 0, 0, Duration::ZERO).contains("0 %"));
    }
}
