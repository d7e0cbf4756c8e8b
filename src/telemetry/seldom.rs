//! Log lines that strangers can cause as often as they like. Purpose: each source has so many a minute, and what was withheld is
//! said with the next line of anybody; whoever wants to know how often it happened has the metrics. Pure: time is an argument.
//! Invariants: so many sources are told apart, and beyond them nothing more is told; nothing that was withheld is forgotten.
//! Deliberately absent: writing lines.

use crate::limits::{LOG_SOURCES_MAX, LOG_WINDOW};
use crate::time::Tick;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Which lines of one kind are written.
#[derive(Debug)]
pub struct Seldom {
    most: u32,
    windows: BTreeMap<IpAddr, Window>,
    /// Lines that were withheld in windows that are over.
    unsaid: u64,
}

#[derive(Debug)]
struct Window {
    begun: Tick,
    told: u32,
    withheld: u64,
}

impl Seldom {
    /// So many lines a minute and source.
    #[must_use]
    pub const fn new(most: u32) -> Self {
        Self { most, windows: BTreeMap::new(), unsaid: 0 }
    }

    /// Whether a line about `source` is to be written, and how many of this kind were not written before it (`Some(None)`: none).
    pub fn admit(&mut self, now: Tick, source: IpAddr) -> Option<Option<u64>> {
        let unsaid = &mut self.unsaid;
        self.windows.retain(|_, window| {
            let over = now.since(window.begun) >= LOG_WINDOW;
            *unsaid += if over { window.withheld } else { 0 };
            !over
        });
        if self.windows.len() >= LOG_SOURCES_MAX && !self.windows.contains_key(&source) {
            self.unsaid += 1;
            return None;
        }
        let window = self.windows.entry(source).or_insert(Window { begun: now, told: 0, withheld: 0 });
        if window.told >= self.most {
            window.withheld += 1;
            return None;
        }
        window.told += 1;
        let unsaid = std::mem::take(&mut self.unsaid);
        Some((unsaid > 0).then_some(unsaid))
    }
}

/// The beginning of what a stranger wrote, as much of it as a log line has room for.
#[must_use]
pub fn brief(text: &str) -> &str {
    &text[..text.floor_char_boundary(crate::limits::LOG_VALUE_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(n: usize) -> IpAddr {
        IpAddr::from((u32::try_from(n).unwrap() + 0x0a00_0000).to_be_bytes())
    }

    #[test]
    fn a_source_has_so_many_lines_and_the_rest_is_counted() {
        let (mut seldom, now) = (Seldom::new(2), Tick(7));
        assert_eq!([(); 5].map(|()| seldom.admit(now, source(1))), [Some(None), Some(None), None, None, None]);
        assert_eq!(seldom.admit(now, source(2)), Some(None), "another has its own");
        assert_eq!(seldom.admit(now + LOG_WINDOW, source(3)), Some(Some(3)), "it is said once the minute is over");
        assert_eq!(seldom.admit(now + LOG_WINDOW, source(1)), Some(None));
    }

    #[test]
    fn many_sources_fill_neither_memory_nor_the_log() {
        let (mut seldom, now) = (Seldom::new(2), Tick(7));
        let told = (0..LOG_SOURCES_MAX + 10).filter(|n| seldom.admit(now, source(*n)).is_some()).count();
        assert_eq!((told, seldom.windows.len()), (LOG_SOURCES_MAX, LOG_SOURCES_MAX));
        assert_eq!(seldom.admit(now + LOG_WINDOW, source(0)), Some(Some(10)));
        assert_eq!(seldom.windows.len(), 1);
    }

    #[test]
    fn what_is_long_is_cut_between_characters() {
        assert_eq!(brief("short"), "short");
        let long = "\u{e4}".repeat(8192);
        assert!(brief(&long).len() <= crate::limits::LOG_VALUE_MAX && brief(&long).len() > 100);
    }
}
