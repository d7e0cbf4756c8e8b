//! National call-progress tones as a table. Purpose: what callers of a country know as dialling, ringing, engaged and out of
//! service. Read only. Sources: ITU-T E.180/Q.35 (levels, special information tone) and its Supplement 2, "Various tones
//! used in national networks"; for `us`, the precise tone plan with its own levels. Deliberately absent: howlers, call
//! waiting, recorded announcements.

/// What a tone tells.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// Dial now.
    Dial,
    /// The other side rings.
    Ringback,
    /// The other side is engaged.
    Busy,
    /// The network is: reorder.
    Congestion,
    /// Three rising tones before an announcement: the number cannot be reached.
    Special,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Dial, Self::Ringback, Self::Busy, Self::Congestion, Self::Special];

    /// In lower case, as configurations write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dial => "dial",
            Self::Ringback => "ringback",
            Self::Busy => "busy",
            Self::Congestion => "congestion",
            Self::Special => "special",
        }
    }
}

/// One or two sines for a while, or silence.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Segment {
    /// Frequencies, Hz; 0 for none.
    pub hz: [f64; 2],
    /// Level of each sine, dBm0.
    pub dbm0: f64,
    /// Length, ms; 0 for a tone that does not end.
    pub ms: u32,
}

/// A country's tones, each a list of segments that starts over at its end.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// ISO 3166 code in lower case, or `eu` for what most of Europe has (ETSI TR 101 041-2).
    pub name: &'static str,
    dial: &'static [Segment],
    ringback: &'static [Segment],
    busy: &'static [Segment],
    congestion: &'static [Segment],
}

impl Plan {
    /// The plan of a country.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        PLANS.iter().find(|plan| plan.name == name)
    }

    /// The segments of a tone.
    #[must_use]
    pub const fn segments(&self, kind: Kind) -> &'static [Segment] {
        match kind {
            Kind::Dial => self.dial,
            Kind::Ringback => self.ringback,
            Kind::Busy => self.busy,
            Kind::Congestion => self.congestion,
            Kind::Special => SPECIAL,
        }
    }
}

/// Level of a single tone that E.180 section 12 takes for nominal, dBm0.
const NOMINAL: f64 = -10.0;
/// Each of two that add to that.
const PAIR: f64 = -13.0;

const fn one(hz: f64, ms: u32) -> Segment {
    Segment { hz: [hz, 0.0], dbm0: NOMINAL, ms }
}

const fn two(low: f64, high: f64, dbm0: f64, ms: u32) -> Segment {
    Segment { hz: [low, high], dbm0, ms }
}

const fn off(ms: u32) -> Segment {
    Segment { hz: [0.0, 0.0], dbm0: NOMINAL, ms }
}

/// E.180 section 8: 330 ms each without a gap, then a second of silence.
const SPECIAL: &[Segment] = &[one(950.0, 330), one(1400.0, 330), one(1800.0, 330), off(1000)];
const DIAL_425: &[Segment] = &[one(425.0, 0)];
const RINGBACK_425: &[Segment] = &[one(425.0, 1000), off(4000)];

/// Every plan that is known.
pub static PLANS: [Plan; 11] = [
    Plan {
        name: "us",
        dial: &[two(350.0, 440.0, -13.0, 0)],
        ringback: &[two(440.0, 480.0, -19.0, 2000), off(4000)],
        busy: &[two(480.0, 620.0, -24.0, 500), off(500)],
        congestion: &[two(480.0, 620.0, -24.0, 250), off(250)],
    },
    Plan {
        name: "gb",
        dial: &[two(350.0, 440.0, PAIR, 0)],
        ringback: &[two(400.0, 450.0, PAIR, 400), off(200), two(400.0, 450.0, PAIR, 400), off(2000)],
        busy: &[one(400.0, 375), off(375)],
        congestion: &[one(400.0, 400), off(350), one(400.0, 225), off(525)],
    },
    Plan {
        name: "eu",
        dial: DIAL_425,
        ringback: RINGBACK_425,
        busy: &[one(425.0, 500), off(500)],
        congestion: &[one(425.0, 200), off(200)],
    },
    Plan {
        name: "de",
        dial: DIAL_425,
        ringback: RINGBACK_425,
        busy: &[one(425.0, 480), off(480)],
        congestion: &[one(425.0, 240), off(240)],
    },
    Plan {
        name: "fr",
        dial: &[one(440.0, 0)],
        ringback: &[one(440.0, 1500), off(3500)],
        busy: &[one(440.0, 500), off(500)],
        congestion: &[one(440.0, 250), off(250)],
    },
    Plan {
        name: "it",
        dial: &[one(425.0, 200), off(200), one(425.0, 600), off(1000)],
        ringback: RINGBACK_425,
        busy: &[one(425.0, 500), off(500)],
        congestion: &[one(425.0, 200), off(200)],
    },
    Plan {
        name: "es",
        dial: DIAL_425,
        ringback: &[one(425.0, 1500), off(3000)],
        busy: &[one(425.0, 200), off(200)],
        congestion: &[one(425.0, 200), off(200), one(425.0, 200), off(200), one(425.0, 200), off(600)],
    },
    Plan {
        name: "ch",
        dial: DIAL_425,
        ringback: RINGBACK_425,
        busy: &[one(425.0, 500), off(500)],
        congestion: &[one(425.0, 200), off(200)],
    },
    Plan {
        name: "nl",
        dial: DIAL_425,
        ringback: RINGBACK_425,
        busy: &[one(425.0, 500), off(500)],
        congestion: &[one(425.0, 250), off(250)],
    },
    Plan {
        name: "au",
        dial: &[two(413.0, 438.0, PAIR, 0)],
        ringback: &[two(413.0, 438.0, PAIR, 400), off(200), two(413.0, 438.0, PAIR, 400), off(2000)],
        busy: &[one(425.0, 375), off(375)],
        // Every second one 10 dB softer.
        congestion: &[one(425.0, 375), off(375), Segment { hz: [425.0, 0.0], dbm0: NOMINAL - 10.0, ms: 375 }, off(375)],
    },
    Plan {
        name: "jp",
        dial: &[one(400.0, 0)],
        // 400 Hz modulated by 16 Hz.
        ringback: &[two(384.0, 416.0, PAIR, 1000), off(2000)],
        busy: &[one(400.0, 500), off(500)],
        congestion: &[one(400.0, 500), off(500)],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tone_of_every_plan_is_within_e180() {
        for plan in &PLANS {
            assert!(std::ptr::eq(Plan::find(plan.name).unwrap(), plan), "{} is there twice", plan.name);
            for kind in Kind::ALL {
                let segments = plan.segments(kind);
                let sounding: Vec<_> = segments.iter().filter(|s| s.hz[0] > 0.0).collect();
                assert!(!sounding.is_empty());
                for segment in &sounding {
                    for hz in segment.hz.into_iter().filter(|hz| *hz > 0.0) {
                        assert!((300.0..=3400.0).contains(&hz), "{} {kind:?}", plan.name);
                    }
                    // Section 12 names −15 to −5 dBm0; the precise tone plan goes lower.
                    let sum = segment.dbm0 + if segment.hz[1] > 0.0 { 3.0 } else { 0.0 };
                    assert!((-21.0..=-5.0).contains(&sum), "{} {kind:?}: {sum}", plan.name);
                }
                // Only a tone of one segment may have no end.
                assert!(segments.len() == 1 || segments.iter().all(|s| s.ms > 0), "{} {kind:?}", plan.name);
            }
            // Section 5: ringing has short tones and long pauses; section 6: busy about the same.
            let ringback = plan.segments(Kind::Ringback);
            assert!(ringback.last().unwrap().ms >= 2 * ringback[0].ms);
            let busy = plan.segments(Kind::Busy);
            assert_eq!(busy[0].ms, busy[1].ms);
        }
        assert!(Plan::find("xx").is_none());
    }
}
