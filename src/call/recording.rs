//! Which calls are recorded, and what becomes of what the recorder says. Purpose: the one joint between configuration,
//! recorder, log, metrics and store. Control threads; reports come on the recorder's threads and are passed on without
//! waiting. Invariants: a call that cannot be recorded goes on, and that is logged and counted; what is recorded is said
//! at start; a pause, a secret and a caller who did not agree each keep both sides out by themselves. Deliberately absent: asking the caller (that is the agent's greeting), files (`media::recorder`).

use super::actor::Planes;
use crate::config::{Config, RecordingFormat};
use crate::id::CallId;
use crate::media::recorder::{Control, Ended, Format, Outcome, Recorder, RecorderConfig, Report, Reports, Tap};
use crate::os::clock;
use crate::store::{CallRecording, RecordingState, Store};
use crate::telemetry::Marks;
use crate::telemetry::metric;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tracing::{error, info, warn};

/// Starts the recorder when there is something to record, or something recorded earlier to delete in time. Says what is
/// recorded.
///
/// # Errors
/// The directory cannot be made, or there is no thread left.
pub fn start(config: &Config, store: &Store, marks: Arc<Marks>) -> io::Result<Option<Recorder>> {
    let routes: Vec<&str> = config.routes.iter().filter(|r| r.record).map(|r| r.number.as_str()).collect();
    let chosen = &config.recording;
    match (chosen.enabled, routes.is_empty()) {
        (true, false) => {
            info!(?routes, format = ?chosen.format, keep_days = chosen.keep_days, "calls of these routes are recorded; make sure that callers know");
        }
        (true, true) => warn!("[recording] is enabled, but no route says record = true: nothing is recorded"),
        (false, false) => {
            warn!(?routes, "these routes say record = true, but [recording] is not enabled: nothing is recorded");
        }
        (false, true) => info!("no calls are recorded"),
    }
    if !chosen.enabled && !config.data.dir.join("recordings").is_dir() {
        return Ok(None);
    }
    let settings = RecorderConfig {
        data: config.data.dir.clone(),
        format: match chosen.format {
            RecordingFormat::Wav => Format::Wav,
            RecordingFormat::Opus => Format::Opus,
        },
        keep: Duration::from_secs(u64::from(chosen.keep_days) * 86_400),
        floor_octets: chosen.min_free_mb.saturating_mul(1 << 20),
        avoid_cpus: config.media.cpus.clone(),
    };
    Recorder::start(settings, marks, reports(store.clone())).map(Some)
}

/// The tap for a call, if it is to be recorded (`wanted`, and recording is enabled), and the call's hand on it.
pub(super) fn begin(planes: &Planes, call: CallId, wanted: bool) -> Option<(Tap, Control)> {
    let recorder = planes.recorder.as_ref().filter(|_| wanted && planes.config().recording.enabled)?;
    match recorder.open(call, clock::wall()) {
        Ok(taken) => Some(taken),
        Err(why) => {
            warn!(%call, %why, "the call is not recorded");
            metric::recording_ended("refused");
            None
        }
    }
}

/// A call's hand on its recording. Nothing is recorded before the call is answered, nor while somebody wants a pause.
#[derive(Debug)]
pub(super) struct Hand {
    control: Control,
    answered: bool,
    pausing: bool,
    /// Something secret is keyed or said.
    withheld: bool,
    /// The caller has not agreed, or has refused.
    refused: bool,
}

impl Hand {
    /// Nothing is recorded yet.
    pub(super) fn new(control: Control) -> Self {
        control.pause();
        Self { control, answered: false, pausing: false, withheld: false, refused: false }
    }

    /// The caller has heard 200.
    pub(super) fn handle_answer(&mut self) {
        self.answered = true;
        self.settle();
    }

    /// Both sides are kept out from now on, or let in again.
    pub(super) fn pause(&mut self, pausing: bool) {
        self.pausing = pausing;
        self.settle();
    }

    /// Nothing secret is heard in it.
    pub(super) fn withhold(&mut self, withheld: bool) {
        self.withheld = withheld;
        self.settle();
    }

    /// Whether the caller agrees; until asked, they do.
    pub(super) fn consent(&mut self, allowed: bool) {
        self.refused = !allowed;
        self.settle();
    }

    fn settle(&self) {
        if self.answered && !self.pausing && !self.withheld && !self.refused {
            self.control.resume()
        } else {
            self.control.pause()
        }
    }
}

/// Takes the recorder's reports to the log, the metrics and the store.
fn reports(store: Store) -> Reports {
    // Two threads report. The figure is told under the lock, or the later of two may tell the older one.
    let active = Mutex::new(0usize);
    Arc::new(move |report| {
        let recordings = store.recordings();
        let now = clock::wall();
        match report {
            Report::Started { call, name, format } => {
                let mut active = active.lock().unwrap_or_else(PoisonError::into_inner);
                *active += 1;
                metric::recordings_active(*active);
                drop(active);
                info!(%call, file = %name, "recording");
                recordings.keep(started(call, name, format), now);
            }
            Report::Ended(ended) => {
                if ended.outcome != Outcome::Empty {
                    let mut active = active.lock().unwrap_or_else(PoisonError::into_inner);
                    *active = active.saturating_sub(1);
                    metric::recordings_active(*active);
                }
                if let Some(row) = over(ended) {
                    recordings.keep(row, now);
                }
            }
            Report::Recovered { name, samples, octets } => {
                warn!(file = %name, seconds = samples / 8000, "a recording that was cut off by the end of the daemon plays again");
                metric::recording_ended("recovered");
                recordings.keep_recovered(call_of(&name), samples, octets, now);
            }
            Report::Purged { name } => {
                info!(file = %name, "a recording was deleted: older than [recording] keep_days, or empty");
                recordings.keep_deleted(call_of(&name), now);
            }
            Report::Space { full, free_octets, floor_octets } => {
                let (free_mb, wanted_mb) = (free_octets >> 20, floor_octets >> 20);
                if full {
                    error!(
                        free_mb,
                        wanted_mb,
                        "too little free space: recordings end and none begins; calls go on. Free some or lower keep_days"
                    );
                } else {
                    info!(free_mb, "there is free space again: new calls are recorded");
                }
            }
            Report::Failed { what } => error!(what, "recordings"),
        }
    })
}

fn started(call: CallId, file: String, format: Format) -> CallRecording {
    CallRecording {
        call_id: call.to_string(),
        file,
        format: format.name().to_owned(),
        state: RecordingState::Recording,
        reason: None,
        samples: 0,
        octets: 0,
        lost_frames: 0,
        withheld_frames: 0,
    }
}

/// The row of an ended recording; `None` when nothing was heard.
fn over(ended: Ended) -> Option<CallRecording> {
    let (state, reason) = match ended.outcome {
        Outcome::Complete => (RecordingState::Complete, None),
        Outcome::Stopped(why) => (RecordingState::Stopped, Some(why)),
        Outcome::Empty => return None,
    };
    metric::recording_ended(state.name());
    let (call, seconds) = (ended.call, ended.samples / 8000);
    match &reason {
        Some(why) => error!(%call, seconds, why, "the recording ended before its call; the call goes on"),
        None => info!(%call, seconds, octets = ended.octets, "recorded"),
    }
    if ended.lost_frames > 0 || ended.trimmed_samples > 0 {
        let lost_ms = ended.lost_frames * 20;
        warn!(%call, lost_ms, trimmed_samples = ended.trimmed_samples, "the recording has holes: this machine was too slow for it");
    }
    Some(CallRecording {
        state,
        reason,
        samples: ended.samples,
        octets: ended.octets,
        lost_frames: ended.lost_frames,
        withheld_frames: ended.withheld_frames,
        ..started(call, ended.name, ended.format)
    })
}

/// `recordings/2026/11/20/call_1.wav` → `call_1`.
fn call_of(name: &str) -> &str {
    let file = name.rsplit('/').next().unwrap_or(name);
    file.split('.').next().unwrap_or(file)
}

#[cfg(test)]
mod tests {
    use super::call_of;

    #[test]
    fn a_file_names_its_call() {
        assert_eq!(call_of("recordings/2026/11/20/call_00ab.wav"), "call_00ab");
        assert_eq!(call_of("call_1"), "call_1");
    }
}
