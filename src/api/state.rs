//! What the handlers share. Plain handles; the daemon constructs it.

use super::access::Access;
use super::health::HealthSnapshot;
use crate::bus::Bus;
use crate::call::browser::Browsers;
use crate::call::outgoing::{NotPlaced, Wish};
use crate::call::registry::NotPaused;
use crate::call::steer::{Order, OrderError, Outcome};
use crate::call::transfer::Transfer;
use crate::call::trunks::TrunkStatus;
use crate::config::Reloaded;
use crate::id::CallId;
use crate::limits::{EVENT_STREAMS_MAX, SPEECH_STREAMS_MAX};
use crate::pipeline::Pipeline;
use crate::sip::ladder::Ladder;
use crate::speech::{SpeechError, SpeechStream};
use crate::store::{Direction, Store};
use crate::tls::TlsIdentity;
use crate::twilio::Door;
use futures_util::future::BoxFuture;
use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;

/// One call that is up now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LiveCall {
    /// `call_…`.
    pub id: String,
    /// Who calls.
    pub caller: String,
    /// What was dialled.
    pub callee: String,
    /// Who called whom.
    pub direction: Direction,
    /// What took it: `echo`, `agent:grace`.
    pub app: String,
    /// `calling`, `ringing`, `answered`, `held`, `bridged`.
    pub state: String,
    /// Its conversation, if there is one.
    pub conversation_id: Option<String>,
}

/// A call's id and whether to pause → done, or why not.
pub type PauseRecording = dyn Fn(&str, bool) -> BoxFuture<'static, Result<(), NotPaused>> + Send + Sync;

/// What the API knows of calls that are up, and can do to them.
#[derive(Clone)]
pub struct LiveCalls {
    /// All of them; must not block.
    pub list: Arc<dyn Fn() -> Vec<LiveCall> + Send + Sync>,
    /// Pauses (`true`) or resumes the recording of the call with this id.
    pub pause_recording: Arc<PauseRecording>,
    /// Places and steers them.
    pub control: Arc<dyn CallControl>,
}

/// What can be done to calls. Methods must not block.
pub trait CallControl: Send + Sync {
    /// Places a call under this id.
    ///
    /// # Errors
    /// [`NotPlaced`]: nothing was begun.
    fn place(&self, call: CallId, wish: Wish) -> Result<LiveCall, NotPlaced>;
    /// Has a call do something.
    fn order(&self, call: CallId, order: Order) -> BoxFuture<'static, Result<Outcome, OrderError>>;
    /// Begins to hand a call to somebody else: the call that is placed for it, unless the phone does it.
    fn transfer(&self, call: CallId, transfer: Transfer) -> BoxFuture<'static, Result<Option<CallId>, OrderError>>;
    /// The samples of a file, 8 kHz; waits for the disk.
    ///
    /// # Errors
    /// What is wrong with the file.
    fn audio(&self, file: &Path) -> Result<Arc<[i16]>, String>;
}

/// Opens ears for audio that a client sends; with an agent's name, or for the first agent.
pub type OpenStream = dyn Fn(Option<&str>) -> Result<SpeechStream, SpeechError> + Send + Sync;

/// Puts the configuration file in force as far as that goes; waits for the disk. Error: nothing has changed, and why.
pub type Reload = dyn Fn() -> Result<Reloaded, String> + Send + Sync;

/// One trunk, as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TrunkShown {
    /// Where it is, and whether we are registered there.
    #[serde(flatten)]
    pub status: TrunkStatus,
    /// Calls by it now, both ways.
    pub calls: usize,
    /// How many it carries; `None`: as many as the daemon takes.
    pub max_calls: Option<usize>,
}

/// All trunks. Error: signalling is shut down.
pub type TrunkStates = dyn Fn() -> BoxFuture<'static, Result<Vec<TrunkShown>, String>> + Send + Sync;

/// Shared by all handlers; cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// Calls, conversations, builds, apps.
    pub store: Store,
    /// Events.
    pub bus: Arc<Bus>,
    /// Builds and apps.
    pub pipeline: Pipeline,
    /// How the daemon does, now; must not block.
    pub health: Arc<dyn Fn() -> HealthSnapshot + Send + Sync>,
    /// All metrics in the Prometheus text format; must not block.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Calls that are up now.
    pub live_calls: LiveCalls,
    /// The data directory, for recordings.
    pub data: PathBuf,
    /// Ears; `None` where nothing hears.
    pub speech: Option<Arc<OpenStream>>,
    /// SIP messages of the last calls.
    pub ladder: Arc<Mutex<Ladder>>,
    /// How the trunks stand; `None` where there are none.
    pub trunks: Option<Arc<TrunkStates>>,
    /// Reads the configuration again; `None` where there is none.
    pub reload: Option<Arc<Reload>>,
    /// Twilio's calls; `None` where none are taken.
    pub twilio: Option<Arc<Door>>,
    /// Calls from browsers; `None` where none are taken.
    pub browsers: Option<Browsers>,
    /// Who may ask.
    pub access: Arc<Access>,
    /// What HTTPS shows; set by the server that serves it.
    pub(super) certificate: Option<Arc<TlsIdentity>>,
    /// Room for event streams.
    pub(super) streams: Arc<Semaphore>,
    /// Room for streams of speech.
    pub(super) listeners: Arc<Semaphore>,
}

impl AppState {
    /// The state over these handles.
    #[must_use]
    pub fn new(
        store: Store,
        bus: Arc<Bus>,
        pipeline: Pipeline,
        health: Arc<dyn Fn() -> HealthSnapshot + Send + Sync>,
        metrics: Arc<dyn Fn() -> String + Send + Sync>,
        live_calls: LiveCalls,
        data: PathBuf,
    ) -> Self {
        let streams = Arc::new(Semaphore::new(EVENT_STREAMS_MAX));
        let listeners = Arc::new(Semaphore::new(SPEECH_STREAMS_MAX));
        Self {
            store,
            bus,
            pipeline,
            health,
            metrics,
            live_calls,
            data,
            speech: None,
            ladder: Arc::default(),
            trunks: None,
            reload: None,
            twilio: None,
            browsers: None,
            access: Arc::default(),
            certificate: None,
            streams,
            listeners,
        }
    }

    /// The same for those whom `access` lets in; for everybody who reaches it without this.
    #[must_use]
    pub fn guarded(mut self, access: Arc<Access>) -> Self {
        self.access = access;
        self
    }

    /// The same with the SIP messages that are kept there.
    #[must_use]
    pub fn watching(mut self, ladder: Arc<Mutex<Ladder>>) -> Self {
        self.ladder = ladder;
        self
    }

    /// The same with trunks.
    #[must_use]
    pub fn trunking(mut self, trunks: Arc<TrunkStates>) -> Self {
        self.trunks = Some(trunks);
        self
    }

    /// The same with a configuration that can be read again.
    #[must_use]
    pub fn reloading(mut self, reload: Arc<Reload>) -> Self {
        self.reload = Some(reload);
        self
    }

    /// The same with a door for Twilio's calls.
    #[must_use]
    pub fn answering(mut self, door: Arc<Door>) -> Self {
        self.twilio = Some(door);
        self
    }

    /// The same with a door for browsers.
    #[must_use]
    pub fn calling(mut self, browsers: Browsers) -> Self {
        self.browsers = Some(browsers);
        self
    }

    /// The same with ears.
    #[must_use]
    pub fn hearing(mut self, open: Arc<OpenStream>) -> Self {
        self.speech = Some(open);
        self
    }
}

impl fmt::Debug for AppState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppState")
    }
}

impl fmt::Debug for LiveCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LiveCalls")
    }
}
