//! The composition root: builds the planes, connects them, feeds the watchdog, and takes everything down in order.
//!
//! Start order: memory (store, bus) → pipeline and apps → speech → media → signalling → control API → ready. Stop order:
//! new calls are refused, running calls end politely, then the planes stop in reverse. Owning thread: the control
//! runtime. Invariants: SIP is bound last, so nobody is answered by half a daemon; the service manager's watchdog is fed
//! only while the media workers and the signalling loop both move.
//! Deliberately absent: any decision about a call.

use crate::api::{self, AppState};
use crate::bus::Bus;
use crate::call::actor::{self, Invitation, Planes};
use crate::call::registry::{LiveCall, Registry};
use crate::config::Config;
use crate::conversation;
use crate::id::CallId;
use crate::media::{MediaConfig, MediaPlane, PortPool};
use crate::os::subnets::AttachedSubnets;
use crate::os::{clock, notify, random, realtime};
use crate::pipeline::{Pipeline, PipelineConfig};
use crate::sip::agent::{AgentConfig, SipEvent};
use crate::sip::transport::udp::{self, SipHandle};
use crate::speech::{SpeechConfig, SpeechPlane};
use crate::store::Store;
use crate::telemetry::marks::Marks;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::{info, warn};

/// Running calls get this long to end politely.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// Why the daemon did not start or stopped. The text says whose fault and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DaemonError(String);

impl DaemonError {
    fn from(doing: &str, error: impl std::fmt::Display) -> Self {
        Self(format!("{doing}: {error}"))
    }
}

/// The running daemon.
#[derive(Debug)]
pub struct Daemon {
    planes: Arc<Planes>,
    tasks: Vec<JoinHandle<()>>,
}

impl Daemon {
    /// Starts every plane; returns when calls are answered.
    ///
    /// # Errors
    /// What could not be started and how to mend it. What had been started is stopped again.
    pub async fn start(config: Config) -> Result<Self, DaemonError> {
        std::fs::create_dir_all(&config.data.dir)
            .map_err(|e| DaemonError::from(&format!("data.dir {}", config.data.dir.display()), e))?;
        let marks = Arc::new(Marks::new());
        let store = Store::open(&config.data.dir).map_err(|e| DaemonError::from("the store", e))?;
        let bus = Bus::start(store.clone());
        match store.calls().close_abandoned(clock::wall()).await {
            Ok(0) => {}
            Ok(calls) => warn!(calls, "calls of a daemon that was killed are recorded as ended"),
            Err(error) => return Err(DaemonError::from("the store", error)),
        }
        let pipeline = Pipeline::start(
            PipelineConfig::new(config.data.dir.clone(), config.apps.address, config.apps.ports.iter()),
            store.clone(),
        )
        .map_err(|e| DaemonError::from("the pipeline", e))?;

        let mut media = MediaPlane::start(
            &MediaConfig {
                workers: config.media.workers,
                cpus: config.media.cpus.clone(),
                realtime: config.media.realtime,
            },
            Arc::clone(&marks),
        )
        .map_err(|e| DaemonError::from("the media plane", e))?;
        info!(scheduling = %media.scheduling(), "media workers run");
        let media_events = media.take_events();

        let speech = SpeechPlane::start(
            &SpeechConfig { decoders: config.speech.decoders, voice: config.speech.voice.clone(), ..Default::default() },
            &conversation::domain(),
            media.speech_wake_fds(),
            Arc::clone(&marks),
        )
        .map_err(|e| DaemonError::from("the speech plane", e))?;
        for engine in speech.engines() {
            if engine.ready && !engine.limited {
                info!(part = engine.part.name(), engine = %engine.name, "engine ready");
            } else {
                warn!(part = engine.part.name(), engine = %engine.name, note = %engine.note, "engine limited or missing");
            }
        }

        let subnets = AttachedSubnets::read();
        let local = config.sip.udp;
        let mut agent = AgentConfig::new(local, Box::new(random::fill));
        agent.accept_from = Box::new(move |address| subnets.is_near(address));
        agent.advertised = config.sip.public_address.map(|address| SocketAddr::new(address, local.port()));
        agent.route_lookup =
            Some(Box::new(|peer| crate::call::media_leg::route_to(SocketAddr::new(peer, 9)).ok()));
        let (sip, sip_events) = udp::start(agent).await.map_err(|e| DaemonError::from("SIP over UDP", e))?;
        info!(udp = %sip.local_address(), "SIP is answered");

        let rtp_address = config.rtp.address.unwrap_or(match local.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
        });
        let ports = PortPool::new(rtp_address, config.rtp.ports.iter(), random::u64());
        let listen = config.http.listen;
        let registry = Registry::new(config.sip.max_calls);
        let planes = Arc::new(Planes {
            registry,
            config,
            sip,
            media,
            ports: Mutex::new(ports),
            speech,
            pipeline,
            store: store.clone(),
            marks: Arc::clone(&marks),
        });

        let state = AppState::new(store, bus, Arc::clone(&planes));
        let http = api::listen(listen, state).await.map_err(|e| DaemonError::from("the control API", e))?;
        info!(%listen, "control API answers");

        let tasks = vec![
            tokio::spawn(signalling(Arc::clone(&planes), sip_events)),
            tokio::spawn(media_reports(Arc::clone(&planes), media_events)),
            tokio::spawn(liveness(Arc::clone(&planes))),
            http,
        ];
        notify::ready();
        Ok(Self { planes, tasks })
    }

    /// Serves until SIGTERM or SIGINT, then stops in order.
    ///
    /// # Errors
    /// The signals cannot be received.
    pub async fn run_until_signal(self) -> Result<(), DaemonError> {
        let mut terminate = signal(SignalKind::terminate()).map_err(|e| DaemonError::from("SIGTERM", e))?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|e| DaemonError::from("SIGINT", e))?;
        tokio::select! {
            _ = terminate.recv() => info!("SIGTERM: stopping"),
            _ = interrupt.recv() => info!("SIGINT: stopping"),
        }
        self.stop().await;
        Ok(())
    }

    /// Ends running calls politely and stops every plane.
    pub async fn stop(self) {
        notify::stopping();
        self.planes.registry.drain();
        if tokio::time::timeout(DRAIN_MAX, self.planes.registry.empty()).await.is_err() {
            warn!(calls = self.planes.registry.live().len(), "calls did not end in time and are cut");
        }
        self.planes.sip.drained(Duration::from_secs(1)).await;
        for task in &self.tasks {
            task.abort();
        }
        self.planes.pipeline.stop().await;
        self.planes.media.shutdown();
        self.planes.speech.shutdown();
        info!("stopped");
    }
}

/// Takes new calls in and hands everything else to its call.
async fn signalling(planes: Arc<Planes>, mut events: mpsc::Receiver<SipEvent>) {
    while let Some(event) = events.recv().await {
        let Some(event) = planes.registry.signal(event) else { continue };
        let SipEvent::Incoming { leg, from, request_user, call_id, source, offer, .. } = event else { continue };
        let call = CallId(random::u64());
        let live = LiveCall { call, from: from.clone(), number: request_user.clone(), started: clock::wall() };
        match planes.registry.admit(leg, live) {
            Ok(mailbox) => {
                let invitation =
                    Invitation { leg, from, number: request_user, sip_call_id: call_id, source, offer };
                let planes = Arc::clone(&planes);
                tokio::spawn(async move {
                    let seat = Seat { planes: Arc::clone(&planes), call, leg };
                    actor::run(planes, call, invitation, mailbox).await;
                    drop(seat);
                });
            }
            Err(refusal) => {
                warn!(%source, %refusal, "call refused");
                planes.sip.reject(leg, 503, "Service Unavailable", &[("Retry-After", "5")]);
            }
        }
    }
}

/// Gives the call's seat back even when its actor panics, and ends the dialog then: one panic ends one call.
struct Seat {
    planes: Arc<Planes>,
    call: CallId,
    leg: crate::sip::agent::LegId,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.planes.registry.release(self.call);
        if std::thread::panicking() {
            self.planes.sip.hang_up(self.leg, Some("internal error"));
            let _ = self.planes.media.send(crate::media::MediaCommand::Close { call: self.call });
        }
    }
}

/// Hands what the workers report to the calls that it is about.
async fn media_reports(planes: Arc<Planes>, mut events: crate::media::MediaEvents) {
    while let Ok(()) = events.ready().await {
        events.drain(&mut |event| planes.registry.media(event.call(), event));
    }
}

/// Feeds the service manager's watchdog while media and signalling both move.
async fn liveness(planes: Arc<Planes>) {
    let every = notify::watchdog_interval().unwrap_or(Duration::from_secs(10)) / 2;
    let mut last_media = planes.media.heartbeat();
    loop {
        tokio::time::sleep(every).await;
        let media = planes.media.heartbeat();
        let signalling = planes.sip.alive(Duration::from_secs(1)).await;
        if media == last_media || !signalling {
            warn!(media_moves = media != last_media, signalling, "a plane stands still; the watchdog is not fed");
        } else {
            notify::watchdog();
        }
        last_media = media;
    }
}

/// How the media threads are scheduled, for people.
#[must_use]
pub fn scheduling(planes: &Planes) -> realtime::Scheduling {
    planes.media.scheduling()
}
