//! What the box counts of itself (calls, builds, requests by the hour), taken into an app that charts it. Purpose: the one way by
//! which such figures come in: the daemon brings them over the app's own socket, the app asks for nothing and reaches nothing.
//! Invariants: only an app whose bundle has the action `box_put` takes them; sums alone, by closed words and short names, so that
//! nothing of a caller fits in; a message is taken whole or not at all, and the same one again changes nothing.
//! Deliberately absent: counting (`store::hour`), when it is brought (`pipeline::deploy`).

use super::database::{Database, DatabaseError, Parameters};
use crate::limits::BOX_PIECE_MAX;
use serde::Deserialize;
use serde_json::{Value, json};

/// Version of these messages; an app takes no other.
pub const FIGURES_VERSION: u32 = 1;
/// Path by which the daemon asks for the newest hour, and brings more.
pub const FIGURES_PATH: &str = "/_/figures";
/// Characters of a name: a class, a stage, an app.
const NAME_CHARS_MAX: usize = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    version: u32,
    figures: Vec<Figure>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Figure {
    hour: String,
    series: String,
    name: String,
    value: u64,
}

/// Names that `box_put` and `box_until` may use beside those of forms.
pub(super) const PARAMETERS: [&str; 4] = ["hour", "series", "name", "value"];

/// Version and newest hour that is known; `None`: this app charts nothing of the box.
pub(super) fn newest(database: &Database, takes: bool) -> Result<Option<Value>, DatabaseError> {
    if !takes {
        return Ok(None);
    }
    let row = database.run("box_until", &Parameters::new())?.into_iter().next().unwrap_or_default();
    Ok(Some(json!({ "version": FIGURES_VERSION, "until": row.get("until") })))
}

/// Takes a message; the error is in words for the daemon's log.
pub(super) fn take(database: &Database, body: &[u8]) -> Result<Result<(), String>, DatabaseError> {
    let message: Message = match serde_json::from_slice(body) {
        Ok(message) => message,
        Err(error) => return Ok(Err(error.to_string())),
    };
    if message.version != FIGURES_VERSION {
        return Ok(Err(format!("these figures are of version {}, this app takes {FIGURES_VERSION}", message.version)));
    }
    if message.figures.len() > BOX_PIECE_MAX {
        return Ok(Err(format!("{BOX_PIECE_MAX} figures at once at most")));
    }
    if let Some(strange) = message.figures.iter().find(|figure| !figure.is_sound()) {
        return Ok(Err(format!("no figure of a box: {} {:?} at {:?}", strange.series, strange.name, strange.hour)));
    }
    let taken = database.together(|| {
        for figure in message.figures {
            let values = Parameters::from([
                ("hour".to_owned(), figure.hour.into()),
                ("series".to_owned(), figure.series.into()),
                ("name".to_owned(), figure.name.into()),
                // Beyond what SQLite counts to, nothing is a figure of a box.
                ("value".to_owned(), i64::try_from(figure.value).unwrap_or(i64::MAX).into()),
            ]);
            if let Err(error) = database.run("box_put", &values) {
                return (Err(error), false);
            }
        }
        (Ok(()), true)
    })?;
    taken.map(Ok)
}

impl Figure {
    fn is_sound(&self) -> bool {
        let word =
            |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b));
        let hour = self.hour.bytes().zip("0000-00-00 00:00".bytes());
        let is_hour = self.hour.len() == 16
            && hour.clone().all(|(b, form)| if form == b'0' { b.is_ascii_digit() } else { b == form })
            && self.hour.ends_with(":00");
        is_hour
            && ["answered", "builds", "calls", "errors", "requests", "talk_seconds"].contains(&self.series.as_str())
            && self.name.len() <= NAME_CHARS_MAX
            && word(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{HourFigure, Series};
    use crate::time::Wallclock;

    fn figure(hour: &str, series: &str, name: &str) -> Figure {
        Figure { hour: hour.into(), series: series.into(), name: name.into(), value: 1 }
    }

    #[test]
    fn only_sums_fit_through() {
        assert!(figure("2026-11-21 14:00", "calls", "caller_hung_up").is_sound());
        assert!(figure("2026-11-21 14:00", "requests", "harbour-crm-2").is_sound());
        assert!(figure("2026-11-21 14:00", "answered", "").is_sound());
        for (hour, series, name) in [
            ("2026-11-21 14:07", "calls", "x"),
            ("2026-11-21T14:00", "calls", "x"),
            ("today", "calls", "x"),
            ("2026-11-21 14:00", "callers", "x"),
            ("2026-11-21 14:00", "calls", "+441632960123"),
            ("2026-11-21 14:00", "calls", "sip:ada@example.org"),
            ("2026-11-21 14:00", "calls", "hello this is ada"),
            ("2026-11-21 14:00", "calls", "<b>"),
        ] {
            assert!(!figure(hour, series, name).is_sound(), "{hour} {series} {name}");
        }
        assert!(!figure("2026-11-21 14:00", "calls", &"x".repeat(65)).is_sound());
    }

    #[test]
    fn what_the_store_counts_is_what_an_app_takes() {
        for series in
            [Series::Calls, Series::Answered, Series::TalkSeconds, Series::Builds, Series::Requests, Series::Errors]
        {
            let counted = HourFigure { hour: Wallclock(1_795_269_600_000), series, name: "a_b-c".into(), value: 7 };
            let read: Figure = serde_json::from_str(&serde_json::to_string(&counted).unwrap()).unwrap();
            assert!(read.is_sound() && read.value == 7 && read.hour == "2026-11-21 14:00", "{series:?}");
        }
    }
}
