//! Plays a tone of a plan, or a steady one. Purpose: ringback, busy and test tones as samples, for as long as asked. Any
//! thread; inline state, no heap. Invariants: pieces of any length give the same samples as the whole; tones rise
//! and fall without a click. Deliberately absent: mixing, detection.

use super::plan::{Kind, Plan, Segment};
use super::{Edge, Tone};
use crate::level::DBM0_OF_FULL_SCALE_SINE;
use core::fmt;
use core::str::FromStr;

/// Level of a steady tone, dBm0.
const STEADY_DBM0: f64 = -10.0;
/// What `Signal::default` is: the concert pitch, which every measuring tool and ear knows.
const STEADY_HZ: u16 = 440;
/// A steady tone lies between these, Hz: what a telephone carries.
const LOWEST_HZ: u16 = 100;
const HIGHEST_HZ: u16 = 3600;
/// Plan of a kind that is named without a country.
const HOME: &str = "us";

/// What is to be heard: a steady tone, or a country's call-progress tone.
#[derive(Clone, Copy, Debug)]
pub enum Signal {
    /// One sine at −10 dBm0, 100 to 3600 Hz.
    Steady {
        /// Its frequency.
        hz: u16,
    },
    /// A tone of a plan.
    Progress {
        /// Whose.
        plan: &'static Plan,
        /// Which.
        kind: Kind,
    },
}

impl Default for Signal {
    fn default() -> Self {
        Self::Steady { hz: STEADY_HZ }
    }
}

impl PartialEq for Signal {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Steady { hz }, Self::Steady { hz: other }) => hz == other,
            (Self::Progress { plan, kind }, Self::Progress { plan: other_plan, kind: other_kind }) => {
                plan.name == other_plan.name && kind == other_kind
            }
            _ => false,
        }
    }
}

impl Eq for Signal {}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Steady { hz } => write!(f, "{hz}"),
            Self::Progress { plan, kind } => write!(f, "{}-{}", plan.name, kind.name()),
        }
    }
}

/// The operator's: no such tone. The message says what there is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownTone(String);

impl fmt::Display for UnknownTone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |names: &mut dyn Iterator<Item = &'static str>| names.collect::<Vec<_>>().join(", ");
        write!(
            f,
            "{:?} is no tone; write a frequency from {LOWEST_HZ} to {HIGHEST_HZ} Hz, or one of {}, with a country and a \
             dash before it where it should not be {HOME}: {}",
            self.0,
            list(&mut Kind::ALL.iter().map(|kind| kind.name())),
            list(&mut super::plan::PLANS.iter().map(|plan| plan.name)),
        )
    }
}

impl core::error::Error for UnknownTone {}

impl FromStr for Signal {
    type Err = UnknownTone;

    /// `1000`, `busy`, `gb-ringback`.
    fn from_str(text: &str) -> Result<Self, UnknownTone> {
        let unknown = || UnknownTone(text.to_owned());
        if let Ok(hz) = text.parse::<u16>() {
            return (LOWEST_HZ..=HIGHEST_HZ).contains(&hz).then_some(Self::Steady { hz }).ok_or_else(unknown);
        }
        let (country, name) = text.split_once('-').unwrap_or((HOME, text));
        let plan = Plan::find(country).ok_or_else(unknown)?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(unknown)?;
        Ok(Self::Progress { plan, kind })
    }
}

/// A signal on its way.
#[derive(Clone, Debug)]
pub struct Cadence {
    rate: u32,
    edge: Edge,
    steps: Steps,
    /// Place in the list, and samples of that segment already made.
    segment: usize,
    made: u32,
    tones: [Tone; 2],
}

#[derive(Clone, Copy, Debug)]
enum Steps {
    Steady(Segment),
    Table(&'static [Segment]),
}

impl Cadence {
    /// Begins `signal` at `rate_hz`, 8000 or more.
    #[must_use]
    pub fn new(signal: Signal, rate_hz: u32) -> Self {
        let steps = match signal {
            Signal::Steady { hz } => Steps::Steady(Segment { hz: [f64::from(hz), 0.0], dbm0: STEADY_DBM0, ms: 0 }),
            Signal::Progress { plan, kind } => Steps::Table(plan.segments(kind)),
        };
        let silent = Tone::new(0.0, rate_hz, f64::NEG_INFINITY);
        let mut cadence =
            Self { rate: rate_hz, edge: Edge::new(rate_hz), steps, segment: 0, made: 0, tones: [silent; 2] };
        cadence.begin();
        cadence
    }

    /// Writes the next samples over what is there. It never ends: the cadence starts over.
    pub fn fill(&mut self, pcm: &mut [i16]) {
        for sample in pcm {
            let length = self.length();
            if length.is_some_and(|length| self.made >= length) {
                self.segment = if self.segment + 1 < self.count() { self.segment + 1 } else { 0 };
                self.begin();
            }
            let gain = match self.length() {
                Some(length) => self.edge.gain(self.made, length),
                // A tone without an end has a rise and no fall.
                None => self.edge.gain(self.made.min(self.rate), u32::MAX),
            };
            let [first, second] = &mut self.tones;
            // Peaks of the table's levels add to less than full scale.
            *sample = ((first.next() + second.next()) * gain).round() as i16;
            self.made = self.made.saturating_add(1);
        }
    }

    fn count(&self) -> usize {
        match self.steps {
            Steps::Steady(_) => 1,
            Steps::Table(segments) => segments.len(),
        }
    }

    fn current(&self) -> Segment {
        match self.steps {
            Steps::Steady(segment) => segment,
            // The table has no empty list, and `segment` stays below its length.
            Steps::Table(segments) => segments[self.segment],
        }
    }

    /// Samples of the segment; `None` for one without an end.
    fn length(&self) -> Option<u32> {
        let ms = self.current().ms;
        (ms > 0).then(|| self.rate / 1000 * ms)
    }

    fn begin(&mut self) {
        self.made = 0;
        let segment = self.current();
        for (tone, hz) in self.tones.iter_mut().zip(segment.hz) {
            let peak_dbfs =
                if hz > 0.0 { segment.dbm0 - f64::from(DBM0_OF_FULL_SCALE_SINE) } else { f64::NEG_INFINITY };
            *tone = Tone::new(hz, self.rate, peak_dbfs);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::dbfs;
    use crate::tone::plan::PLANS;

    fn made(signal: &str, ms: usize) -> Vec<i16> {
        let mut pcm = vec![0; ms * 8];
        Cadence::new(signal.parse().unwrap(), 8000).fill(&mut pcm);
        pcm
    }

    /// dBm0 of one frequency in a stretch.
    fn level_at(pcm: &[i16], hz: f64) -> f64 {
        let (mut re, mut im) = (0.0, 0.0);
        for (n, s) in pcm.iter().enumerate() {
            let angle = std::f64::consts::TAU * hz * n as f64 / 8000.0;
            re += f64::from(*s) * angle.cos();
            im += f64::from(*s) * angle.sin();
        }
        20.0 * (2.0 * re.hypot(im) / pcm.len() as f64 / 32_768.0).log10() + f64::from(DBM0_OF_FULL_SCALE_SINE)
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for text in ["440", "1004", "us-busy", "gb-ringback", "de-congestion", "fr-dial", "eu-special"] {
            assert_eq!(text.parse::<Signal>().unwrap().to_string(), text);
        }
        assert_eq!("busy".parse::<Signal>().unwrap().to_string(), "us-busy");
        assert_eq!(Signal::default().to_string(), "440");
        for text in ["", "99", "3601", "xx-busy", "us-howler", "us", "-", "65536", "4e2"] {
            let said = text.parse::<Signal>().unwrap_err().to_string();
            assert!(said.contains("ringback") && said.contains("gb"), "{said}");
        }
    }

    #[test]
    fn every_tone_has_its_frequencies_levels_and_times() {
        for plan in &PLANS {
            for kind in Kind::ALL {
                let segments = plan.segments(kind);
                let mut cadence = Cadence::new(Signal::Progress { plan, kind }, 8000);
                // Twice around: it starts over.
                for segment in segments.iter().chain(segments) {
                    let mut pcm = vec![0; if segment.ms == 0 { 8000 } else { segment.ms as usize * 8 }];
                    cadence.fill(&mut pcm);
                    let middle = &pcm[80..pcm.len() - 80];
                    if segment.hz[0] == 0.0 {
                        assert!(pcm.iter().all(|s| *s == 0), "{} {kind:?}", plan.name);
                        continue;
                    }
                    for hz in segment.hz.into_iter().filter(|hz| *hz > 0.0) {
                        let level = level_at(middle, hz);
                        assert!((level - segment.dbm0).abs() < 1.0, "{} {kind:?} {hz}: {level}", plan.name);
                    }
                }
            }
        }
    }

    #[test]
    fn busy_goes_on_and_off_and_a_steady_tone_never_stops() {
        let busy = made("gb-busy", 3000);
        for (n, part) in busy.chunks(375 * 8).enumerate() {
            assert_eq!(dbfs(part) > -30.0, n % 2 == 0, "{n}");
        }
        let steady = made("1000", 4000);
        assert!(steady[400..].chunks(80).all(|part| (dbfs(part) + 16.2).abs() < 0.2));
        assert!((level_at(&steady[400..], 1000.0) + 10.0).abs() < 0.1);
    }

    #[test]
    fn switching_does_not_click() {
        for signal in ["us-busy", "de-congestion", "gb-ringback", "fr-ringback", "eu-special"] {
            let pcm = made(signal, 3000);
            // At −10 dBm0 and 1800 Hz a sine takes steps of 9600 at most; a hard edge at 425 Hz would show one of thousands.
            let limit = if signal == "eu-special" { 10_200 } else { 3_600 };
            let step = pcm.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs()).max().unwrap();
            assert!(step < limit, "{signal}: {step}");
        }
    }

    #[test]
    fn pieces_make_the_same_signal_as_the_whole() {
        for signal in ["us-congestion", "eu-special", "700"] {
            let whole = made(signal, 2500);
            let mut pieces = vec![0; whole.len()];
            let mut cadence = Cadence::new(signal.parse().unwrap(), 8000);
            for part in pieces.chunks_mut(157) {
                cadence.fill(part);
            }
            assert_eq!(whole, pieces, "{signal}");
        }
    }
}
