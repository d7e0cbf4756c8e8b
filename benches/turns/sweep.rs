//! How good an endpointing is, by the published sweep: at each patience, which share of hesitations was cut, and how long a
//! finished caller waited. Pure.

use super::heard::Silence;
use callwright::turn::Evidence;
use std::time::Duration;

/// One patience's outcome.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) cut_share: f64,
    pub(crate) delay_ms: f64,
}

/// The longest that anything waits.
const MOST_MS: f64 = 3000.0;

/// When the endpointing takes the turn for finished, if being cut off is worth so much waiting.
fn fires(silence: &Silence, evidence: &[Evidence<'_>], cut_cost: Duration) -> f64 {
    for (n, (known, evidence)) in silence.known.iter().zip(evidence).enumerate() {
        let wait = evidence.wait_at(cut_cost).as_secs_f64() * 1000.0;
        let due = (known.last_voiced + wait).min(MOST_MS).max(known.at);
        // What was known then holds until more is known.
        let until = silence.known.get(n + 1).map_or(f64::INFINITY, |next| next.at);
        if due < until {
            return due;
        }
    }
    MOST_MS
}

/// Of the silences that last so long: how many there are, what the scorer gives them to be ends on average, and which share is;
/// for each tenth of probability.
pub(crate) fn reliability(silences: &[Silence], lasts: Duration) -> Vec<(usize, f64, f64)> {
    let ms = lasts.as_secs_f64() * 1000.0;
    let mut tenths = vec![(0_usize, 0.0, 0.0); 10];
    for silence in silences.iter().filter(|silence| silence.resumes_ms.is_none_or(|resumes| resumes > ms)) {
        let Some(known) = silence.known.iter().take_while(|known| known.at <= ms).last() else { continue };
        let sure = f64::from(silence.evidence(known).probability_after(lasts));
        let (count, given, ended) = &mut tenths[((sure * 10.0) as usize).min(9)];
        *count += 1;
        *given += sure;
        *ended += f64::from(u8::from(silence.resumes_ms.is_none()));
    }
    let mean = |sum: f64, count: usize| sum / count.max(1) as f64;
    tenths.into_iter().map(|(count, given, ended)| (count, mean(given, count), mean(ended, count))).collect()
}

/// Outcome where being cut off is worth so much waiting.
pub(crate) fn point(silences: &[Silence], cut_cost: Duration) -> Point {
    points(silences, std::iter::once(cut_cost)).remove(0)
}

/// Outcome of waiting `ms`, whatever was said.
pub(crate) fn plain(silences: &[Silence], ms: f64) -> Point {
    outcome(silences, |_, _| ms)
}

fn points(silences: &[Silence], costs: impl Iterator<Item = Duration>) -> Vec<Point> {
    let evidence: Vec<Vec<Evidence<'_>>> =
        silences.iter().map(|silence| silence.known.iter().map(|known| silence.evidence(known)).collect()).collect();
    costs.map(|cost| outcome(silences, |n, silence| fires(silence, &evidence[n], cost))).collect()
}

fn outcome(silences: &[Silence], fires: impl Fn(usize, &Silence) -> f64) -> Point {
    let (mut holds, mut cut, mut ends, mut delay) = (0.0, 0.0, 0.0, 0.0);
    for (n, silence) in silences.iter().enumerate() {
        let at = fires(n, silence);
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

/// Outcomes at every patience: ours over three decades of what a cut costs.
pub(crate) fn curve(silences: &[Silence]) -> Vec<Point> {
    points(silences, costs())
}

fn costs() -> impl Iterator<Item = Duration> {
    (0..=130).map(|n| Duration::from_secs_f64(0.3 * 10_f64.powf(f64::from(n) / 40.0)))
}

/// What a cut must cost so that no more than `share` of the hesitations are cut.
pub(crate) fn cut_cost_at(share: f64, silences: &[Silence]) -> Option<Duration> {
    costs().zip(points(silences, costs())).find(|(_, point)| point.cut_share <= share).map(|(cost, _)| cost)
}

/// The same of plain silence.
pub(crate) fn plain_curve(silences: &[Silence]) -> Vec<Point> {
    (0..=600).map(|n| plain(silences, MOST_MS * f64::from(n) / 600.0)).collect()
}

/// The mean delay at which no more than `share` of the hesitations are cut.
pub(crate) fn delay_at(share: f64, curve: &[Point]) -> f64 {
    curve.iter().filter(|p| p.cut_share <= share).map(|p| p.delay_ms).fold(f64::INFINITY, f64::min)
}

/// The share of hesitations that are cut by the patience at which the mean delay is `delay_ms`.
pub(crate) fn cut_at(delay_ms: f64, curve: &[Point]) -> f64 {
    curve.iter().filter(|p| p.delay_ms <= delay_ms).map(|p| p.cut_share).fold(f64::INFINITY, f64::min)
}
