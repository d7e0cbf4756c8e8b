//! What is known of recorded calls. Invariants: one row a call, written when the first sound is in a file and again at
//! the end; the events `recording.started` and `recording.ended` come out once each; a row whose file was deleted stays
//! and says so. Deliberately absent: the sound (files below the data directory).

use super::backlog::Worth;
use super::event::append;
use super::{Commit, EventKind, Store, StoreError};
use crate::time::Wallclock;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::json;

/// Where a recording stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordingState {
    /// It grows.
    Recording,
    /// From the first to the last sound of the call.
    Complete,
    /// It ended before the call did; the reason says why.
    Stopped,
    /// The daemon was killed while it grew; it plays up to there.
    Recovered,
    /// The file is gone, after the retention time.
    Deleted,
}

impl RecordingState {
    const ALL: [Self; 5] = [Self::Recording, Self::Complete, Self::Stopped, Self::Recovered, Self::Deleted];

    /// As stored and shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Recording => "recording",
            Self::Complete => "complete",
            Self::Stopped => "stopped",
            Self::Recovered => "recovered",
            Self::Deleted => "deleted",
        }
    }
}

/// One call's recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRecording {
    /// `call_…`.
    pub call_id: String,
    /// Relative to the data directory.
    pub file: String,
    /// `wav` or `opus`.
    pub format: String,
    /// Where it stands.
    pub state: RecordingState,
    /// Why it stopped.
    pub reason: Option<String>,
    /// Length at 8 kHz; 0 while it grows.
    pub samples: u64,
    /// Size of the file; 0 while it grows.
    pub octets: u64,
    /// 20 ms frames lost, both sides counted; silence is in their place.
    pub lost_frames: u64,
    /// 20 ms frames held back while paused, both sides counted.
    pub withheld_frames: u64,
}

/// In the units of people: seconds and milliseconds.
impl Serialize for CallRecording {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_struct("CallRecording", 8)?;
        map.serialize_field("file", &self.file)?;
        map.serialize_field("format", &self.format)?;
        map.serialize_field("state", self.state.name())?;
        map.serialize_field("reason", &self.reason)?;
        map.serialize_field("seconds", &seconds(self.samples))?;
        map.serialize_field("octets", &self.octets)?;
        map.serialize_field("lost_ms", &(self.lost_frames * 20))?;
        map.serialize_field("paused_ms", &(self.withheld_frames * 20))?;
        map.end()
    }
}

#[expect(clippy::cast_precision_loss, reason = "a call lasts hours, not centuries")]
fn seconds(samples: u64) -> f64 {
    samples as f64 / 8000.0
}

/// The recordings of a [`Store`].
#[derive(Debug, Clone, Copy)]
pub struct Recordings<'a>(pub(super) &'a Store);

impl Recordings<'_> {
    /// Writes all that is known of a recording, new or known before.
    #[must_use = "a record that is not awaited may not be on disk"]
    pub fn record(&self, recording: CallRecording, now: Wallclock) -> Commit<()> {
        self.0.write(move |db| record(db, &recording, now))
    }

    /// The same, as soon as the disk takes it.
    pub fn keep(&self, recording: CallRecording, now: Wallclock) {
        self.0.insist("a recording's row", Worth::Record, move |db| record(db, &recording, now));
    }

    /// A file that a killed daemon left plays again: its row says so, as soon as the disk takes it. One without a row has none
    /// to mend.
    pub fn keep_recovered(&self, call_id: &str, samples: u64, octets: u64, now: Wallclock) {
        self.keep_changed(call_id, now, move |found| {
            found.state = RecordingState::Recovered;
            (found.samples, found.octets) = (samples, octets);
        });
    }

    /// The file is gone: its row says so, as soon as the disk takes it.
    pub fn keep_deleted(&self, call_id: &str, now: Wallclock) {
        self.keep_changed(call_id, now, |found| found.state = RecordingState::Deleted);
    }

    /// Ends the rows that a daemon left open when it died; returns how many.
    #[must_use = "await it to know that it is done"]
    pub fn close_abandoned(&self) -> Commit<usize> {
        self.0.write(|db| {
            let sql = "UPDATE recordings SET state = 'stopped', reason = 'the daemon ended while the call was up'
                       WHERE state = 'recording'";
            Ok(db.execute(sql, [])?)
        })
    }

    /// The recording of one call.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn get(&self, call_id: &str) -> Result<Option<CallRecording>, StoreError> {
        self.0.read(|db| get(db, call_id))
    }

    fn keep_changed(&self, call_id: &str, now: Wallclock, change: impl Fn(&mut CallRecording) + Send + 'static) {
        let call_id = call_id.to_owned();
        self.0.insist("a recording's row", Worth::Record, move |db| {
            let Some(mut found) = get(db, &call_id)? else { return Ok(()) };
            change(&mut found);
            record(db, &found, now)
        });
    }
}

const COLUMNS: &str = "call_id, file, format, state, reason, samples, octets, lost_frames, withheld_frames";

fn get(db: &Connection, call_id: &str) -> Result<Option<CallRecording>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM recordings WHERE call_id = ?1");
    Ok(db.query_row(&sql, [call_id], from_row).optional()?)
}

fn record(db: &Connection, recording: &CallRecording, now: Wallclock) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO recordings(call_id, file, format, state, reason, samples, octets, lost_frames, withheld_frames)
         VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT(call_id) DO UPDATE SET state = excluded.state, reason = excluded.reason, samples = excluded.samples,
           octets = excluded.octets, lost_frames = excluded.lost_frames, withheld_frames = excluded.withheld_frames",
    )?
    .execute(params![
        recording.call_id,
        recording.file,
        recording.format,
        recording.state.name(),
        recording.reason,
        recording.samples.cast_signed(),
        recording.octets.cast_signed(),
        recording.lost_frames.cast_signed(),
        recording.withheld_frames.cast_signed(),
    ])?;
    let call = &recording.call_id;
    append(db, EventKind::RecordingStarted, call, "", now, &json!({"format": recording.format}))?;
    if matches!(recording.state, RecordingState::Complete | RecordingState::Stopped | RecordingState::Recovered) {
        let data = json!({
            "state": recording.state.name(),
            "reason": recording.reason,
            "seconds": seconds(recording.samples),
        });
        append(db, EventKind::RecordingEnded, call, "", now, &data)?;
    }
    Ok(())
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<CallRecording> {
    let number = |column| Ok::<_, rusqlite::Error>(row.get::<_, i64>(column)?.cast_unsigned());
    let named = row.get::<_, String>(3)?;
    let state = RecordingState::ALL.into_iter().find(|state| state.name() == named);
    Ok(CallRecording {
        call_id: row.get(0)?,
        file: row.get(1)?,
        format: row.get(2)?,
        // The column's CHECK knows no other.
        state: state.unwrap_or(RecordingState::Deleted),
        reason: row.get(4)?,
        samples: number(5)?,
        octets: number(6)?,
        lost_frames: number(7)?,
        withheld_frames: number(8)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(state: RecordingState) -> CallRecording {
        CallRecording {
            call_id: "call_1".to_owned(),
            file: "recordings/2026/11/20/call_1.wav".to_owned(),
            format: "wav".to_owned(),
            state,
            reason: None,
            samples: 12_000,
            octets: 48_080,
            lost_frames: 3,
            withheld_frames: 50,
        }
    }

    fn written(store: &Store) {
        let mut waiting = store.waiting();
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            waiting.wait_for(|left| *left == 0).await.unwrap();
        });
    }

    #[test]
    fn a_recording_goes_through_its_states_and_its_events_come_once() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let recordings = store.recordings();
        assert_eq!(recordings.get("call_1").unwrap(), None);
        recordings.record(row(RecordingState::Recording), Wallclock(1)).wait().unwrap();
        assert_eq!(recordings.close_abandoned().wait().unwrap(), 1);
        assert_eq!(recordings.get("call_1").unwrap().unwrap().state, RecordingState::Stopped);
        recordings.keep_recovered("call_1", 8000, 32_080, Wallclock(2));
        written(&store);
        let recovered = recordings.get("call_1").unwrap().unwrap();
        assert_eq!((recovered.samples, recovered.octets), (8000, 32_080));
        recordings.keep(row(RecordingState::Complete), Wallclock(3));
        written(&store);
        assert_eq!(recordings.get("call_1").unwrap(), Some(row(RecordingState::Complete)));
        recordings.keep_deleted("call_1", Wallclock(4));
        recordings.keep_deleted("call_2", Wallclock(4));
        written(&store);
        assert_eq!(recordings.get("call_1").unwrap().unwrap().state, RecordingState::Deleted);
        let kinds: Vec<String> = store.events().after(0, 10).unwrap().into_iter().map(|e| e.kind).collect();
        assert_eq!(kinds, ["recording.started", "recording.ended"]);
    }

    #[test]
    fn people_read_seconds() {
        let shown = serde_json::to_value(row(RecordingState::Stopped)).unwrap();
        assert_eq!(
            (&shown["seconds"], &shown["lost_ms"], &shown["paused_ms"]),
            (&json!(1.5), &json!(60), &json!(1000))
        );
        assert_eq!(shown["state"], "stopped");
    }
}
