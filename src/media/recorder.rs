//! Call recording, off the media threads. Purpose: stereo files, caller left and agent right, true to the sample, that play
//! at any moment of their writing.
//!
//! ```text
//! worker ─► Tap ─► ring ─► recorder: align by audio time ─► WAV or Ogg Opus ─► page cache, five times a second
//!                                                                 keeper: to the disk, final name, repair, retention
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `tap` | the worker's end, and the call's hand on it (pause) |
//! | `align` | two sides on one time axis |
//! | `wav`, `ogg`, `ogg_opus` | the formats |
//! | `sink` | one growing file |
//! | `disk` | names, directories, repair, deletion: the only file here that opens files |
//! | `thread` | the recorder: one thread for all calls |
//! | `keeper` | what may wait for the disk |
//!
//! Invariants: what a worker does for it is one copy into a ring; what was recorded a second before a `kill -9` is in the
//! page cache and plays; a full disk ends recordings, never calls; every end is reported with its cause. A recording
//! begins at the call's audio time 0, so two recordings of one instant can be laid side by side.
//! Deliberately absent: who is recorded (`config`, `call`), what is told to people and kept of it (`daemon`, `store`).

mod align;
mod disk;
mod keeper;
mod ogg;
mod ogg_opus;
mod sink;
mod tap;
mod thread;
mod wav;

pub use disk::{Format, locate};
pub(in crate::media) use tap::tap;
pub use tap::{Control, Side, Tap, TapFrame};

use crate::id::CallId;
use crate::limits::{RECORDINGS_MAX, RECORDINGS_OPUS_MAX};
use crate::telemetry::Marks;
use crate::time::Wallclock;
use crossbeam_channel::{Receiver, Sender, bounded};
use disk::Place;
use keeper::Keeper;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use thread::{Order, Recording, Standing};

/// The last files are written and synced within this when the daemon stops.
const STOP_MAX: Duration = Duration::from_secs(10);

/// What the operator decided.
#[derive(Clone, Debug)]
pub struct RecorderConfig {
    /// The data directory; files lie in `recordings` below it.
    pub data: PathBuf,
    /// Of new recordings.
    pub format: Format,
    /// Older files are deleted.
    pub keep: Duration,
    /// With less free space than this nothing is recorded, octets.
    pub floor_octets: u64,
    /// The media workers' cores.
    pub avoid_cpus: Vec<usize>,
}

/// Why a recording ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The call ended.
    Complete,
    /// Before the call did; in words. The file plays up to there.
    Stopped(String),
    /// Nothing was heard; there is no file.
    Empty,
}

/// The end of one recording.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The call.
    pub call: CallId,
    /// Relative to the data directory.
    pub name: String,
    /// How it is kept.
    pub format: Format,
    /// Why it ended.
    pub outcome: Outcome,
    /// Length, 8 kHz.
    pub samples: u64,
    /// Size of the file.
    pub octets: u64,
    /// Frames lost since the recorder was too slow; silence is in their place.
    pub lost_frames: u64,
    /// Frames held back while paused; silence is in their place.
    pub withheld_frames: u64,
    /// Samples that came twice or too late.
    pub trimmed_samples: u64,
}

/// What the recorder has to say. Reports come from its threads and must be taken without waiting.
#[derive(Clone, Debug)]
pub enum Report {
    /// The first audio is in a file.
    Started {
        /// The call.
        call: CallId,
        /// Relative to the data directory.
        name: String,
        /// How it is kept.
        format: Format,
    },
    /// A recording is over, its name final.
    Ended(Ended),
    /// A file that a killed daemon left plays to its end now.
    Recovered {
        /// Relative to the data directory.
        name: String,
        /// Length, 8 kHz.
        samples: u64,
        /// Size of the file.
        octets: u64,
    },
    /// A file was deleted: too old, or left empty by a killed daemon.
    Purged {
        /// Relative to the data directory.
        name: String,
    },
    /// Free space went below the floor, or came back.
    Space {
        /// Recordings ended, and none begins.
        full: bool,
        /// Free, octets.
        free_octets: u64,
        /// Wanted at least, octets.
        floor_octets: u64,
    },
    /// A file could not be dealt with; the operator's to look at.
    Failed {
        /// In words.
        what: String,
    },
}

/// Takes reports; must not wait.
pub type Reports = Arc<dyn Fn(Report) + Send + Sync>;

/// Why a call is not recorded. The call goes on; a later one may be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRecorded {
    /// The bound on recordings at once.
    #[error("{0} calls are being recorded already")]
    TooMany(usize),
    /// The operator's to mend.
    #[error("free space is below [recording] min_free_mb; delete something or lower keep_days")]
    NoSpace,
    /// The daemon is stopping, or the recorder has failed.
    #[error("the recorder does not run")]
    Stopped,
}

/// The recorder's handle. Dropping it stops the threads without waiting for them; [`Recorder::stop`] waits.
pub struct Recorder {
    orders: Sender<Order>,
    /// Closed by the end of the keeper.
    over: Receiver<()>,
    standing: Arc<Standing>,
    format: Format,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("format", &self.format).field("standing", &self.standing).finish()
    }
}

impl Recorder {
    /// Makes the directory and starts both threads. Files that an earlier process left are mended meanwhile.
    ///
    /// # Errors
    /// The directory cannot be made, or there is no thread left.
    pub fn start(config: RecorderConfig, marks: Arc<Marks>, reports: Reports) -> io::Result<Self> {
        let place = Place::open(&config.data)?;
        let (orders, ordered) = bounded(RECORDINGS_MAX);
        let (finished, to_keep) = bounded(RECORDINGS_MAX);
        let (ending, over) = bounded(0);
        let standing = Arc::new(Standing::default());
        let keeper = Keeper {
            // Taken before anything is recorded: what is found is an earlier process's.
            leftovers: place.leftovers(),
            place: place.clone(),
            keep: config.keep,
            finished: to_keep,
            reports: Arc::clone(&reports),
        };
        std::thread::Builder::new().name("recordings".to_owned()).spawn(move || {
            let _ending: Sender<()> = ending;
            keeper.run();
        })?;
        let recorder = thread::Recorder {
            place,
            floor_octets: config.floor_octets,
            avoid_cpus: config.avoid_cpus,
            orders: ordered,
            finished,
            standing: Arc::clone(&standing),
            marks,
            reports,
            open: Vec::new(),
        };
        std::thread::Builder::new().name("recorder".to_owned()).spawn(move || recorder.run())?;
        Ok(Self { orders, over, standing, format: config.format })
    }

    /// Begins a recording: the tap for the call's session, and the call's hand on it. Control threads; about 0.05 ms.
    ///
    /// # Errors
    /// Why the call goes on unrecorded.
    pub fn open(&self, call: CallId, started: Wallclock) -> Result<(Tap, Control), NotRecorded> {
        let most = match self.format {
            Format::Wav => RECORDINGS_MAX,
            Format::Opus => RECORDINGS_OPUS_MAX,
        };
        if self.standing.full.load(Relaxed) {
            return Err(NotRecorded::NoSpace);
        }
        if self.standing.open.fetch_add(1, Relaxed) >= most {
            self.standing.open.fetch_sub(1, Relaxed);
            return Err(NotRecorded::TooMany(most));
        }
        let (tap, ring, shared) = tap();
        let name = thread::name(call, started, self.format);
        let recording = Recording::new(call, name, self.format, ring, Arc::clone(&shared));
        if self.orders.try_send(Order::Open(Box::new(recording))).is_err() {
            self.standing.open.fetch_sub(1, Relaxed);
            return Err(NotRecorded::Stopped);
        }
        Ok((tap, Control(shared)))
    }

    /// Recordings under way.
    #[must_use]
    pub fn open_now(&self) -> usize {
        self.standing.open.load(Relaxed)
    }

    /// Ends all recordings and waits until they are on the disk, 10 s at most. False when that was not enough.
    pub fn stop(&self) -> bool {
        // An error means that the recorder has ended already.
        let _ = self.orders.send_timeout(Order::Stop, STOP_MAX);
        matches!(self.over.recv_timeout(STOP_MAX), Err(crossbeam_channel::RecvTimeoutError::Disconnected))
    }
}

#[cfg(test)]
mod tests;
