//! Section `[data]`: where everything lies, and for how long what is known of callers. Invariant: nothing outlives the call that
//! it is found by. Deliberately absent: sound (`[recording] keep_days`), deleting (`store`).

use super::ConfigError;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// As many as a period may have.
const DAYS_MAX: u32 = 3650;

/// Section `[data]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Data {
    /// Database, bundles and app data.
    pub dir: PathBuf,
    /// What was said and keyed in calls (turns of conversations, and the events that tell them) is deleted after so many days; 0:
    /// never.
    pub transcript_days: u32,
    /// Calls that ended so many days ago are deleted, with their conversations, messages, recordings' rows and events; 0:
    /// never.
    pub keep_days: u32,
}

impl Default for Data {
    fn default() -> Self {
        Self { dir: PathBuf::from("./var"), transcript_days: 7, keep_days: 0 }
    }
}

impl Data {
    /// `sound`: days for which recordings are kept.
    pub(super) fn check(&self, sound: u32) -> Result<(), ConfigError> {
        let value = |key, message: String| Err(ConfigError::Value { key, message });
        if self.transcript_days > DAYS_MAX {
            return value("data.transcript_days", format!("write a number of days up to {DAYS_MAX}, or 0 for ever"));
        }
        if self.keep_days > DAYS_MAX {
            return value("data.keep_days", format!("write a number of days up to {DAYS_MAX}, or 0 for ever"));
        }
        if (1..sound).contains(&self.keep_days) {
            let why = "a recording is found by its call, which must not be deleted before it";
            return value(
                "data.keep_days",
                format!("write at least recording.keep_days ({sound}), or lower that: {why}"),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_call_goes_before_its_recording() {
        let data = |transcript_days, keep_days| Data { transcript_days, keep_days, ..Data::default() };
        for good in [Data::default(), data(0, 0), data(0, 7), data(3650, 3650), data(30, 8)] {
            assert!(good.check(7).is_ok(), "{good:?}");
        }
        for (bad, key) in [
            (data(3651, 0), "data.transcript_days"),
            (data(0, 3651), "data.keep_days"),
            (data(0, 6), "recording.keep_days"),
        ] {
            assert!(bad.check(7).unwrap_err().to_string().contains(key), "{bad:?}");
        }
    }
}
