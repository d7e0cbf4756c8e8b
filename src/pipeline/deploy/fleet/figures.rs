//! The box's own figures, brought to the dashboards that chart them. Purpose: sums of calls, builds and requests by the hour,
//! from the store into the app's own data, over the app's socket: the app cannot reach the store, and gets nothing but sums.
//! Owning thread: any tokio task. Invariants: a dashboard is brought what is newer than it has, and the last hours again, since
//! they go on; one that is down, or of before, keeps nobody else waiting. Deliberately absent: when (`service`), what is
//! counted (`store::hour`).

use super::{Fleet, read_json};
use crate::apphost::figures::{FIGURES_PATH, FIGURES_VERSION};
use crate::limits::{BOX_DAYS_MAX, BOX_PIECE_MAX};
use crate::os::clock;
use crate::pipeline::deploy::upstream::{self, UpstreamError};
use crate::store::{HourFigure, Series};
use crate::time::Wallclock;
use hyper::StatusCode;
use hyper::body::Bytes;
use serde_json::json;
use tokio::task::spawn_blocking;

const HOUR_MS: u64 = 3_600_000;
/// Before its newest hour an app is brought these again: what was late to be written.
const AGAIN_MS: u64 = 2 * HOUR_MS;

#[derive(serde::Deserialize)]
struct Known {
    version: u32,
    until: Option<String>,
}

impl Fleet {
    /// Brings every dashboard that charts this box its newest figures.
    pub async fn bring_figures(&self) {
        for (slug, _) in self.on_line() {
            if let Err(error) = self.bring_figures_to(&slug).await {
                tracing::debug!(app = slug, %error, "the box's figures were not brought");
            }
        }
    }

    /// The same for one app; false: it charts nothing of the box.
    ///
    /// # Errors
    /// It is not on line, does not answer, or refuses them.
    pub async fn bring_figures_to(&self, slug: &str) -> Result<bool, super::DeployError> {
        let socket = self.socket(slug)?;
        let (status, body) = upstream::get(&socket, FIGURES_PATH).await?;
        if status == StatusCode::NOT_FOUND {
            return Ok(false);
        }
        let known: Known = read_json(&body)?;
        if known.version != FIGURES_VERSION {
            return Ok(false);
        }
        let figures = self.figures(since(known.until.as_deref(), clock::wall())).await?;
        for piece in figures.chunks(BOX_PIECE_MAX) {
            let (status, said) = upstream::post(&socket, FIGURES_PATH, message(piece)).await?;
            if !status.is_success() {
                let said = String::from_utf8_lossy(&said);
                return Err(UpstreamError::Meta(format!("it answers figures by {status}: {said}")).into());
            }
        }
        Ok(true)
    }
}

impl Fleet {
    /// The figures of the hours from that of `since` on, with the requests that are not written down yet.
    async fn figures(&self, since: Wallclock) -> Result<Vec<HourFigure>, super::DeployError> {
        let mut counted = self.counted.lock().await;
        let now = clock::wall();
        if let Some(end) = end_of_hour(*counted, now) {
            // What was shown as this hour's must not become the next one's, or it would be counted in both.
            self.write_outcomes_at(&mut counted, end).await;
        }
        *counted = Some(now);
        let store = self.store.clone();
        let figures = spawn_blocking(move || store.hours().since(since));
        let mut figures = figures.await.map_err(|error| super::DeployError::Files(error.into()))??;
        add(&mut figures, self.gateway.pending(), now);
        Ok(figures)
    }
}

/// The last moment of the hour in which requests were counted last, if that is over.
fn end_of_hour(counted: Option<Wallclock>, now: Wallclock) -> Option<Wallclock> {
    let counted = counted?.0 / HOUR_MS;
    (counted < now.0 / HOUR_MS).then(|| Wallclock((counted + 1) * HOUR_MS - 1))
}

/// Adds requests of apps, and those of them that failed, to the hour of `now`.
fn add(figures: &mut Vec<HourFigure>, pending: Vec<(String, u64, u64)>, now: Wallclock) {
    let hour = Wallclock(now.0 - now.0 % HOUR_MS);
    let counts = pending
        .into_iter()
        .flat_map(|(app, requests, errors)| [(Series::Requests, app.clone(), requests), (Series::Errors, app, errors)]);
    for (series, name, value) in counts.filter(|(_, _, value)| *value > 0) {
        match figures.iter_mut().find(|f| (f.hour, f.series, &f.name) == (hour, series, &name)) {
            Some(figure) => figure.value += value,
            None => figures.push(HourFigure { hour, series, name, value }),
        }
    }
}

fn message(figures: &[HourFigure]) -> Bytes {
    Bytes::from(json!({ "version": FIGURES_VERSION, "figures": figures }).to_string())
}

/// From when an app that knows the hours up to `until` is brought figures.
fn since(until: Option<&str>, now: Wallclock) -> Wallclock {
    let longest = now.0.saturating_sub(BOX_DAYS_MAX * 24 * HOUR_MS);
    let known = until.and_then(read_hour).map_or(0, |at| at.saturating_sub(AGAIN_MS));
    // An hour of the future (the clock was set back) must not keep it from the present.
    Wallclock(known.min(now.0.saturating_sub(AGAIN_MS)).max(longest))
}

/// `2026-11-21 14:00` as milliseconds.
fn read_hour(text: &str) -> Option<u64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
    let (year, month, day, hour) = (number(0, 4)?, number(5, 7)?, number(8, 10)?, number(11, 13)?);
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 {
        return None;
    }
    // Years that begin in March end with their leap day.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    Some((days * 24 + hour) * HOUR_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Wallclock = Wallclock(1_795_271_400_000);

    #[test]
    fn requests_that_are_not_written_down_are_the_present_hours() {
        let hour = Wallclock(1_795_269_600_000);
        let figure = |hour: Wallclock, series, name: &str, value| HourFigure { hour, series, name: name.into(), value };
        let before = Wallclock(hour.0 - HOUR_MS);
        let mut figures = vec![figure(before, Series::Requests, "crm", 7), figure(hour, Series::Requests, "crm", 5)];
        add(&mut figures, vec![("crm".into(), 3, 0), ("shop".into(), 4, 1)], NOW);
        assert_eq!(
            figures,
            [
                figure(before, Series::Requests, "crm", 7),
                figure(hour, Series::Requests, "crm", 8),
                figure(hour, Series::Requests, "shop", 4),
                figure(hour, Series::Errors, "shop", 1),
            ]
        );
        // Counted in an hour that is over: written down as its own.
        assert_eq!(end_of_hour(None, NOW), None);
        assert_eq!(end_of_hour(Some(hour), Wallclock(hour.0 + HOUR_MS - 1)), None);
        let end = end_of_hour(Some(NOW), Wallclock(hour.0 + 3 * HOUR_MS));
        assert_eq!(end, Some(Wallclock(hour.0 + HOUR_MS - 1)));
        assert_eq!(end_of_hour(Some(NOW), before), None, "the clock was set back");
    }

    #[test]
    fn hours_are_read_as_they_are_written() {
        for at in [0, 951_782_400_000, 1_709_164_800_000, 1_709_251_200_000, 1_795_269_600_000, 4_102_444_800_000] {
            let figure = HourFigure { hour: Wallclock(at), series: Series::Calls, name: String::new(), value: 1 };
            let written = serde_json::to_value(figure).unwrap();
            assert_eq!(written["hour"].as_str().and_then(read_hour), Some(at), "{written}");
        }
        for text in ["", "soon", "2026-13-01 00:00", "2026-11-21 24:00", "2026-11-äö 14:00"] {
            assert_eq!(read_hour(text), None, "{text}");
        }
    }

    #[test]
    fn an_app_is_brought_what_is_newer_and_the_last_hours_again() {
        let days = |n: u64| n * 24 * HOUR_MS;
        assert_eq!(since(None, NOW).0, NOW.0 - days(31), "a new one");
        assert_eq!(since(Some("2026-11-21 14:00"), NOW).0, 1_795_269_600_000 - AGAIN_MS);
        assert_eq!(since(Some("2026-11-20 14:00"), NOW).0, 1_795_269_600_000 - days(1) - AGAIN_MS, "down for a day");
        assert_eq!(since(Some("2020-01-01 00:00"), NOW).0, NOW.0 - days(31), "down for years");
        assert_eq!(since(Some("2031-01-01 00:00"), NOW).0, NOW.0 - AGAIN_MS, "the clock was set back");
        assert_eq!(since(Some("?"), NOW).0, NOW.0 - days(31));
    }
}
