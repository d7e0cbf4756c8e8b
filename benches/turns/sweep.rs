//! How good an endpointing is, by the published sweep: at each patience, which share of hesitations was cut, and how long a
//! finished caller waited. Pure.

/// One silence as the endpointing saw it.
#[derive(Clone, Debug)]
pub(crate) struct Silence {
    /// The caller went on after so long; `None`: the turn was over.
    pub(crate) resumes_ms: Option<f64>,
    /// What the endpointing knew when; rising in time.
    pub(crate) known: Vec<Known>,
}

/// One look at a silence, ms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    /// Since the true end of the speech.
    pub(crate) at: f64,
    /// When the voice detector took the speech for ended, since its true end.
    pub(crate) last_voiced: f64,
    /// How long it would wait from then.
    pub(crate) wait: f64,
}

/// One patience's outcome.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) cut_share: f64,
    pub(crate) delay_ms: f64,
}

/// The longest that anything waits.
const MOST_MS: f64 = 3000.0;

impl Silence {
    /// When the turn is taken for finished, with waits stretched by `scale`.
    fn fires(&self, scale: f64) -> f64 {
        for (n, known) in self.known.iter().enumerate() {
            let due = (known.last_voiced + known.wait * scale).min(MOST_MS).max(known.at);
            // What was known then holds until more is known.
            let until = self.known.get(n + 1).map_or(f64::INFINITY, |next| next.at);
            if due < until {
                return due;
            }
        }
        MOST_MS
    }
}

/// Outcome with waits stretched by `scale`.
pub(crate) fn point(silences: &[Silence], scale: f64) -> Point {
    outcome(silences, |silence| silence.fires(scale))
}

/// Outcome of waiting `ms`, whatever was said.
pub(crate) fn plain(silences: &[Silence], ms: f64) -> Point {
    outcome(silences, |_| ms)
}

fn outcome(silences: &[Silence], fires: impl Fn(&Silence) -> f64) -> Point {
    let (mut holds, mut cut, mut ends, mut delay) = (0.0, 0.0, 0.0, 0.0);
    for silence in silences {
        let at = fires(silence);
        match silence.resumes_ms {
            Some(resumes) => {
                holds += 1.0;
                cut += f64::from(u8::from(at < resumes));
            }
            None => {
                ends += 1.0;
                delay += at;
            }
        }
    }
    Point { cut_share: cut / f64::max(holds, 1.0), delay_ms: delay / f64::max(ends, 1.0) }
}

/// The mean delay at which no more than `share` of the hesitations are cut.
pub(crate) fn delay_at(share: f64, outcome: impl Fn(f64) -> Point, most: f64) -> f64 {
    let mut best = f64::INFINITY;
    for step in 0..=600 {
        let point = outcome(most * f64::from(step) / 600.0);
        if point.cut_share <= share {
            best = best.min(point.delay_ms);
        }
    }
    best
}

/// The share of hesitations that are cut by the patience at which the mean delay is `delay_ms`.
pub(crate) fn cut_at(delay_ms: f64, outcome: impl Fn(f64) -> Point, most: f64) -> f64 {
    let mut best = f64::INFINITY;
    for step in 0..=600 {
        let point = outcome(most * f64::from(step) / 600.0);
        if point.delay_ms <= delay_ms {
            best = best.min(point.cut_share);
        }
    }
    best
}
