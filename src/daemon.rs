//! The composition root: builds the planes, connects them, feeds the watchdog, and takes everything down in order.
//!
//! Start order: memory (store, bus) → pipeline and apps → speech → media → signalling → control API → ready. Stop order:
//! new calls are refused, running calls end politely, then the planes stop in reverse. Owning thread: the control
//! runtime. Invariants: SIP is bound last, so nobody is answered by half a daemon; the service manager's watchdog is fed
//! only while the media workers and the signalling loop move and no speech thread has ended.
//! Deliberately absent: any decision about a call.

pub mod listeners;
mod upkeep;

use self::listeners::{http_certificate_notes, http_identity, sip_listeners};
use crate::api::{
    self, Access, AppState, CallControl, Engine, HealthSnapshot, LiveCalls, Reload, Server, Subsystem, TrunkShown,
};
use crate::bus::Bus;
use crate::call::actor::{self, Admitted, Invitation, Planes};
use crate::call::browser::Browsers;
use crate::call::caller_id;
use crate::call::caps::Caps;
use crate::call::lease::Ports;
use crate::call::lines::Lines;
use crate::call::outgoing::{self, NotPlaced, Wish};
use crate::call::player::Player;
use crate::call::prompts;
use crate::call::record::EndClass;
use crate::call::recording;
use crate::call::registry::{CallState, LiveCall, NotAdmitted, NotPaused, Registry};
use crate::call::return_call;
use crate::call::room::Rooms;
use crate::call::steer::{Order, OrderError, Outcome};
use crate::call::transfer::{self, Transfer};
use crate::call::trunks::{self, Book, Trunks};
use crate::config::{self, Config, Current, Reloaded, TrunkKind};
use crate::conversation;
use crate::id::CallId;
use crate::limits::{LOG_REFUSED_MAX, MEDIA_BUSY_MAX, SIP_EVENTS_MAX, STORE_CLOSING_MAX};
use crate::media::recorder::Recorder;
use crate::media::{MediaCommand, MediaConfig, MediaEvent, MediaEvents, MediaPlane, PortPool};
use crate::os::{clock, descriptors, notify, process, random};
use crate::pipeline::deploy::{AppsConfig, Keeper};
use crate::pipeline::{Pipeline, PipelineConfig};
use crate::sip::agent::{AgentConfig, SipEvent};
use crate::sip::ladder::Ladder;
use crate::sip::transport::{SipTransport, network};
use crate::speech::{SpeechConfig, SpeechPlane};
use crate::store::{Direction, Store};
use crate::telemetry::marks::Marks;
use crate::telemetry::metric;
use crate::telemetry::seldom::Seldom;
use crate::tls::{TlsIdentity, spelled};
use crate::twilio::Door;
use crate::webrtc::{Identity, Links, Relay, SharedPort};
use callwright_models::assets::Assets;
use futures_util::future::BoxFuture;
use metrics_exporter_prometheus::PrometheusHandle;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tracing::{info, warn};

/// Running calls get this long to end politely.
const DRAIN_MAX: Duration = Duration::from_secs(5);
/// RTP and RTCP sockets of both legs of a bridge.
const DESCRIPTORS_PER_CALL: u64 = 4;
/// Database, apps, HTTP connections, engines.
const DESCRIPTORS_ELSE: u64 = 2560;
/// A media worker begins a pass at least twice a second.
const MEDIA_STUCK_AFTER: Duration = Duration::from_secs(3);
/// How long the thread of media reports sleeps at most before it looks whether it should stop.
const REPORTS_WAIT_MS: i32 = 500;

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
    api: JoinHandle<()>,
    stop_api: oneshot::Sender<()>,
    sip_task: JoinHandle<()>,
    reports: MediaReports,
    /// SIGTERM and SIGINT, until somebody waits for them.
    stops: Option<(Signal, Signal)>,
}

impl Daemon {
    /// Starts every plane; returns when calls are answered. `file` is where the configuration came from and is read again at a
    /// reload.
    ///
    /// # Errors
    /// What could not be started and how to mend it. What had been started is stopped again.
    pub async fn start(config: Config, file: Option<PathBuf>) -> Result<Self, DaemonError> {
        Self::start_with(config, file, |builds| builds).await
    }

    /// The same, with what `builds` changes about how things are built: kernels of a program that has this one within it.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_with(
        config: Config,
        file: Option<PathBuf>,
        builds: impl FnOnce(PipelineConfig) -> PipelineConfig,
    ) -> Result<Self, DaemonError> {
        let book = Book::open(&config, |name| std::env::var(name).ok()).map_err(|e| DaemonError(e.to_string()))?;
        let player = Player::start().map_err(|e| DaemonError::from("the player", e))?;
        player.library().check(&config).map_err(|e| DaemonError(format!("routes.app: play:{e}")))?;
        std::fs::create_dir_all(&config.data.dir)
            .map_err(|e| DaemonError::from(&format!("data.dir {}", config.data.dir.display()), e))?;
        let wanted = DESCRIPTORS_PER_CALL * config.sip.max_calls as u64 + DESCRIPTORS_ELSE;
        match descriptors::raise_limit(wanted) {
            Ok(granted) if granted >= wanted => {}
            granted => warn!(
                wanted,
                ?granted,
                "fewer files may be open than sip.max_calls needs: calls beyond will hear 503; raise LimitNOFILE= or `ulimit -n`"
            ),
        }
        let rooms = Rooms::start().map_err(|e| DaemonError::from("the mixer", e))?;
        let marks = Arc::new(Marks::new());
        let store = Store::open(&config.data.dir).map_err(|e| DaemonError::from("the store", e))?;
        let bus = Bus::start(store.clone());
        match store.calls().close_abandoned(clock::wall()).await {
            Ok(0) => {}
            Ok(calls) => warn!(calls, "calls of a daemon that was killed are recorded as ended"),
            Err(error) => return Err(DaemonError::from("the store", error)),
        }
        let rendered = metric::install().map_err(|e| DaemonError::from("metrics", e))?;
        // Not its path: a package may put the next version there while this one runs.
        let program = process::own_program().map_err(|e| DaemonError::from("the path of this program", e))?;
        let mut build = PipelineConfig::new(config.data.dir.clone(), program);
        build.apps = AppsConfig {
            address: config.apps.address,
            ports: config.apps.ports.iter(),
            host: None,
            keeper: match config.apps.supervisor {
                config::Supervisor::Daemon => Keeper::Daemon,
                config::Supervisor::Unit => Keeper::Unit,
            },
        };
        build.webhook_networks.clone_from(&config.apps.webhook_networks);
        let pipeline =
            Pipeline::start(builds(build), store.clone()).await.map_err(|e| DaemonError::from("the pipeline", e))?;

        let mut media = MediaPlane::start(
            &MediaConfig {
                workers: config.media.workers,
                cpus: config.media.cpus.clone(),
                realtime: config.media.realtime,
                ..MediaConfig::default()
            },
            Arc::clone(&marks),
        )
        .map_err(|e| DaemonError::from("the media plane", e))?;
        info!(scheduling = %media.realtime(), "media workers run");
        let media_events =
            media.take_events().ok_or_else(|| DaemonError("media reports were taken twice".to_owned()))?;

        match store.recordings().close_abandoned().await {
            Ok(0) => {}
            Ok(recordings) => warn!(recordings, "recordings of a daemon that was killed are recorded as stopped"),
            Err(error) => return Err(DaemonError::from("the store", error)),
        }
        let recorder =
            recording::start(&config, &store, Arc::clone(&marks)).map_err(|e| DaemonError::from("recordings", e))?;

        let bells = (0..media.workers())
            .map(|worker| media.speech_wake(worker))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| DaemonError::from("the media workers' bells", e))?;
        let speech = SpeechPlane::start(
            &SpeechConfig::of(&config),
            &Assets::locate(),
            &conversation::domain(),
            bells,
            Arc::clone(&marks),
        )
        .map_err(|e| DaemonError::from("the speech plane", e))?;
        for engine in speech.engines() {
            let (part, agents) = (engine.part.name(), engine.agents.join(","));
            if engine.ready && !engine.limited {
                info!(part, agents, engine = %engine.name, "engine ready");
            } else {
                warn!(part, agents, engine = %engine.in_words(), "engine limited or missing");
            }
        }

        for agent in &config.agents {
            speech.warm(&agent.name, prompts(&config, &agent.name));
        }

        let listen = config.http.listen;
        let token = config.http.access_token().map_err(|e| DaemonError::from("the control API", e))?;
        let access = Arc::new(
            token
                .map_or_else(Access::open, |token| Access::by_token(token.expose()))
                .with_callers(config.webrtc.allow_anonymous),
        );
        let mut server = Server::bind(listen, &access).await.map_err(|e| DaemonError::from("the control API", e))?;
        let certificate = http_identity(&config).map_err(|e| DaemonError::from("HTTPS", e))?;
        if let Some(identity) = &certificate {
            let secured = server.with_tls(&config.http.tls_listen, Arc::clone(identity), &access);
            server = secured.map_err(|e| DaemonError::from("the control API", e))?;
            for note in http_certificate_notes(&config, identity) {
                warn!("HTTPS: {note}");
            }
        }

        let key = trunks::signalling_key(&config.data.dir).map_err(|e| DaemonError::from("data.dir sip.key", e))?;
        let ladder: Arc<Mutex<Ladder>> = Arc::default();
        let kept = Arc::clone(&ladder);
        let local = config.sip.udp;
        let public = config.sip.public_address;
        let listening = sip_listeners(&config).map_err(|e| DaemonError::from("SIP over TLS", e))?;
        let signalling_plane = SipTransport::start(listening, |bound| AgentConfig {
            secret: Some(key),
            advertised: public.map(|address| SocketAddr::new(address, bound.port())),
            watcher: Some(Box::new(move |sent, ours, hop, message| {
                kept.lock().unwrap_or_else(PoisonError::into_inner).note(clock::wall(), sent, ours, hop, message);
            })),
            ..SipTransport::agent_config(bound)
        })
        .map_err(|e| DaemonError::from("SIP", e))?;
        let (sip, sip_events, sip_task) = signalling_plane.into_parts();
        info!(udp = %sip.local(), "SIP is answered");
        for (transport, address) in sip.listeners() {
            info!(transport = transport.name(), %address, "SIP is answered");
        }
        let (door, door_events) = twilio_door(&config)?;
        let trunks =
            Trunks::start(book, sip.clone(), store.clone()).await.map_err(|e| DaemonError::from("the trunks", e))?;

        let rtp_address = config.rtp.address.unwrap_or(match local.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        });
        let shared = config.webrtc.udp_port.filter(|_| config.webrtc.enabled);
        let shared = shared.map(|port| SharedPort::open(rtp_address, port)).transpose();
        let shared = shared.map_err(|e| DaemonError(e.to_string()))?;
        let ports = Ports::new(PortPool::new(rtp_address, config.rtp.ports.iter(), random::u64())).sharing(shared);
        let turn = &config.webrtc.turn;
        let relay = turn.access(|name| std::env::var(name).ok()).map_err(|e| DaemonError(e.to_string()))?;
        let relay = relay.map(|access| Relay::new(turn, access));
        let registry = Registry::new(config.sip.max_calls);
        let identity = Identity::generate().map_err(|e| DaemonError(e.to_string()))?;
        let planes = Arc::new(Planes {
            registry,
            settings: Current::new(config, file),
            sip: Lines::new(sip, Arc::clone(&door)),
            trunks,
            caps: Caps::default(),
            media,
            ports,
            identity,
            relay,
            links: Links::default(),
            player,
            rooms,
            recorder,
            speech,
            pipeline,
            store: store.clone(),
            marks: Arc::clone(&marks),
        });

        let alive = Arc::new(AtomicBool::new(true));
        let state = state_of(&planes, bus, rendered.clone(), &alive).guarded(Arc::clone(&access)).watching(ladder);
        let reload: Arc<Reload> = {
            let (planes, certificate) = (Arc::clone(&planes), certificate.clone());
            Arc::new(move || reloaded(&planes, &access, certificate.as_deref()))
        };
        let state = state.reloading(Arc::clone(&reload)).answering(door);
        for address in server.tls_addresses() {
            let fingerprint = certificate.as_ref().map(|identity| spelled(&identity.facts().fingerprint));
            info!(%address, fingerprint = fingerprint.unwrap_or_default(), "HTTPS answers");
        }
        // Whoever hears from us may send signals: none of them kills from here on.
        let listen_to = |kind, name| signal(kind).map_err(|e| DaemonError::from(name, e));
        let hang_up = listen_to(SignalKind::hangup(), "SIGHUP")?;
        let stops = (listen_to(SignalKind::terminate(), "SIGTERM")?, listen_to(SignalKind::interrupt(), "SIGINT")?);
        let (stop_api, api_stopped) = oneshot::channel::<()>();
        let api = tokio::spawn(server.serve(state, async move {
            // An error means that the daemon is gone, which also ends the API.
            let _ = api_stopped.await;
        }));
        info!(%listen, "control API answers");

        let reports = MediaReports::start(Arc::clone(&planes), media_events)
            .map_err(|e| DaemonError::from("the thread of media reports", e))?;
        let tasks = vec![
            tokio::spawn(signalling(Arc::clone(&planes), sip_events)),
            tokio::spawn(signalling(Arc::clone(&planes), door_events)),
            tokio::spawn(liveness(Arc::clone(&planes), alive)),
            tokio::spawn(upkeep::metrics(rendered)),
            tokio::spawn(upkeep::signs_of_life(Arc::clone(&planes))),
            tokio::spawn(upkeep::forget(store, planes.config().data.clone())),
            tokio::spawn(return_call::run(Arc::clone(&planes))),
            tokio::spawn(reloads(reload, hang_up)),
        ];
        said(notify::ready());
        Ok(Self { planes, tasks, api, stop_api, sip_task, reports, stops: Some(stops) })
    }

    /// Serves until SIGTERM or SIGINT, then stops in order.
    pub async fn run_until_signal(mut self) {
        let Some((mut terminate, mut interrupt)) = self.stops.take() else { return self.stop().await };
        tokio::select! {
            _ = terminate.recv() => info!("SIGTERM: stopping"),
            _ = interrupt.recv() => info!("SIGINT: stopping"),
        }
        let impatient = async {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        };
        tokio::select! {
            () = self.stop() => {}
            () = impatient => {
                warn!("told to stop again: stopping at once; builds go on at the next start");
                #[expect(clippy::disallowed_methods, reason = "asked twice: what counts is on the disk, as for a kill -9")]
                // Threads may be in the middle of a sentence that nobody will hear.
                std::process::exit(0);
            }
        }
    }

    /// Ends running calls politely and stops every plane.
    pub async fn stop(self) {
        said(notify::stopping());
        // OPTIONS is answered 503 from here on, so that nobody sends us calls. An error means that signalling is gone.
        let _ = self.planes.sip.set_draining(true).await;
        self.planes.registry.drain();
        if tokio::time::timeout(DRAIN_MAX, self.planes.registry.empty()).await.is_err() {
            warn!(calls = self.planes.registry.live().len(), "calls did not end in time and are cut");
        }
        self.planes.trunks.unregister().await;
        if self.planes.sip.close(Duration::from_secs(1)).await.is_ok() {
            // The task ends by itself once every BYE is answered, or after a second.
            let _ = self.sip_task.await;
        }
        // Dropped or received, the API stops.
        let _ = self.stop_api.send(());
        if self.api.await.is_err() {
            warn!("the control API did not end well");
        }
        for task in &self.tasks {
            task.abort();
        }
        self.planes.pipeline.shutdown().await;
        self.reports.stop();
        let planes = Arc::clone(&self.planes);
        let stopped = tokio::task::spawn_blocking(move || planes.recorder.as_ref().is_none_or(Recorder::stop));
        if !stopped.await.unwrap_or(false) {
            warn!("the last recordings were not on the disk in time; the next start mends them");
        }
        let mut waiting = self.planes.store.waiting();
        if tokio::time::timeout(STORE_CLOSING_MAX, waiting.wait_for(|left| *left == 0)).await.is_err() {
            warn!(records = *waiting.borrow(), "the disk does not take the last records of calls");
        }
        info!("stopped");
    }
}

/// Without a service manager there is nobody to tell; with one, a lost notification is worth a line.
fn said(outcome: std::io::Result<()>) {
    if let Err(error) = outcome {
        warn!(%error, "the service manager was not told");
    }
}

/// What the control API shows of this daemon.
fn state_of(planes: &Arc<Planes>, bus: Bus, rendered: PrometheusHandle, alive: &Arc<AtomicBool>) -> AppState {
    let health = {
        let (planes, alive) = (Arc::clone(planes), Arc::clone(alive));
        move || snapshot(&planes, alive.load(Ordering::Relaxed))
    };
    let metrics = {
        let marks = Arc::clone(&planes.marks);
        move || {
            let mut text = rendered.render();
            marks.render(&mut text);
            text
        }
    };
    let live = {
        let planes = Arc::clone(planes);
        Arc::new(move || planes.registry.live().into_iter().map(shown).collect())
    };
    let pause_recording = {
        let planes = Arc::clone(planes);
        Arc::new(move |id: &str, pausing| -> BoxFuture<'static, Result<(), NotPaused>> {
            let (planes, call) = (Arc::clone(&planes), id.parse::<CallId>());
            Box::pin(async move {
                let call = call.map_err(|_| NotPaused::NoCall)?;
                planes.registry.pause_recording(call, pausing).await
            })
        })
    };
    let hear = {
        let planes = Arc::clone(planes);
        Arc::new(move |agent: Option<&str>| planes.speech.stream(CallId(random::u64()), agent))
    };
    let trunks = {
        let planes = Arc::clone(planes);
        Arc::new(move || -> BoxFuture<'static, Result<Vec<TrunkShown>, String>> {
            let planes = Arc::clone(&planes);
            Box::pin(async move {
                let status = planes.trunks.status().await.map_err(|e| e.to_string())?;
                let shown = status.into_iter().map(|status| TrunkShown {
                    calls: planes.caps.in_use(&status.name),
                    max_calls: planes.trunks.trunk(&status.name).and_then(|trunk| trunk.max_calls),
                    status,
                });
                Ok(shown.collect())
            })
        })
    };
    AppState::new(
        planes.store.clone(),
        Arc::new(bus),
        planes.pipeline.clone(),
        Arc::new(health),
        Arc::new(metrics),
        LiveCalls { list: live, pause_recording, control: Arc::new(Control(Arc::clone(planes))) },
        planes.config().data.dir.clone(),
    )
    .hearing(hear)
    .trunking(trunks)
    .calling(Browsers::new(Arc::clone(planes)))
}

/// Steers calls for the API.
struct Control(Arc<Planes>);

impl CallControl for Control {
    fn place(&self, call: CallId, wish: Wish) -> Result<api::LiveCall, NotPlaced> {
        outgoing::start(&self.0, call, wish, None).map(shown)
    }

    fn order(&self, call: CallId, order: Order) -> BoxFuture<'static, Result<Outcome, OrderError>> {
        let planes = Arc::clone(&self.0);
        Box::pin(async move { planes.registry.order(call, order).await })
    }

    fn transfer(&self, call: CallId, transfer: Transfer) -> BoxFuture<'static, Result<Option<CallId>, OrderError>> {
        let planes = Arc::clone(&self.0);
        Box::pin(async move { transfer::begin(&planes, call, transfer).await })
    }

    fn audio(&self, file: &Path) -> Result<Arc<[i16]>, String> {
        self.0.player.library().get(file).map_err(|e| e.to_string())
    }
}

fn shown(live: LiveCall) -> api::LiveCall {
    api::LiveCall {
        id: live.call.to_string(),
        caller: live.from,
        callee: live.number,
        app: live.app,
        direction: live.direction,
        state: live.state.name().to_owned(),
        conversation_id: live.conversation_id,
    }
}

fn snapshot(planes: &Planes, signalling: bool) -> HealthSnapshot {
    let media = clock::monotonic().since(planes.media.oldest_pass()) < MEDIA_STUCK_AFTER;
    let part = |name: &str, healthy, note: &str| Subsystem { name: name.to_owned(), healthy, note: note.to_owned() };
    let engines: Vec<Engine> = planes
        .speech
        .engines()
        .iter()
        .map(|e| Engine {
            part: e.part.name().to_owned(),
            name: e.name.clone(),
            limited: e.limited || !e.ready,
            note: e.note.clone(),
            wanted: e.wanted.clone(),
            agents: e.agents.clone(),
            mend: e.mend.clone(),
        })
        .collect();
    // Without speech the daemon still answers `echo`, so it is no reason to take it out of service.
    let (sip, why) = match (signalling, planes.registry.draining()) {
        (false, _) => (false, "the signalling loop does not answer"),
        (true, true) => (false, "the daemon is stopping"),
        (true, false) => (true, ""),
    };
    let speech_runs = planes.speech.is_running();
    let speech = if !speech_runs {
        "a speech thread has ended"
    } else if planes.speech.engines().iter().all(|e| e.ready) {
        ""
    } else {
        "an engine is missing, see engines"
    };
    let store = planes.store.trouble().map(|e| e.to_string());
    let (builds, pipeline) = planes.pipeline.health();
    HealthSnapshot {
        engines,
        scheduling: planes.media.realtime().to_string(),
        subsystems: vec![
            part("sip", sip, why),
            part("media", media, if media { "" } else { "a media worker stands still" }),
            part("speech", speech_runs, speech),
            part("store", store.is_none(), store.as_deref().unwrap_or_default()),
            part("pipeline", builds, &pipeline),
        ],
    }
}

/// The door of Twilio's calls, closed where none is configured, and what it tells.
fn twilio_door(config: &Config) -> Result<(Arc<Door>, mpsc::Receiver<SipEvent>), DaemonError> {
    let tokens = config.twilio.tokens(|name| std::env::var(name).ok()).map_err(|e| DaemonError(e.to_string()))?;
    let trunk = config.trunks.iter().find(|trunk| trunk.kind == TrunkKind::Twilio);
    let trunk = trunk.map_or("twilio", |trunk| &trunk.name);
    let (events, told) = mpsc::channel(SIP_EVENTS_MAX);
    let door = Door::new((&config.twilio, &config.telnyx), tokens, trunk, events).map_err(DaemonError)?;
    if door.is_open() {
        info!(trunk, "calls are taken from Twilio");
    }
    if door.takes_telnyx() {
        info!("calls are taken from Telnyx");
    }
    Ok((door, told))
}

/// Takes new calls in and hands everything else to its call.
async fn signalling(planes: Arc<Planes>, mut events: mpsc::Receiver<SipEvent>) {
    let mut told = Seldom::new(LOG_REFUSED_MAX);
    while let Some(event) = events.recv().await {
        let Some(event) = planes.registry.signal(event).and_then(|event| planes.trunks.handle(event)) else { continue };
        let SipEvent::Incoming { leg, from, request_user, call_id, source, identity, hops, offer, headers, .. } = event
        else {
            continue;
        };
        let call = CallId(random::u64());
        let live = LiveCall {
            call,
            from: from.clone(),
            withheld: caller_id::withheld(&from, &headers),
            number: request_user.clone(),
            started: clock::wall(),
            direction: Direction::Inbound,
            state: CallState::Ringing,
            app: String::new(),
            conversation_id: None,
        };
        let trunk = identity.trunk().and_then(|name| planes.trunks.trunk(name));
        let channel = match trunk.map(|trunk| planes.caps.incoming(&trunk)).transpose() {
            Ok(channel) => channel,
            Err(full) => {
                if let Some(withheld) = told.admit(clock::monotonic(), network(source.ip())) {
                    warn!(%source, %full, withheld, "call refused");
                }
                metric::call_ended(EndClass::Refused.name());
                let sip = planes.sip.clone();
                tokio::spawn(async move {
                    // The caller may have given up meanwhile.
                    let _ = sip.reject(leg, 480, "Temporarily Unavailable", &[]).await;
                });
                continue;
            }
        };
        let admitted = match planes.media.least_busy() {
            busy if busy > MEDIA_BUSY_MAX => Err(NotAdmitted::Busy),
            _ => {
                if let Some(stale) = planes.registry.make_room(live.started, Some(source.ip())) {
                    if let Some(withheld) = told.admit(clock::monotonic(), network(source.ip())) {
                        warn!(%source, withheld, "calls wait for an ACK and take the room of others; the oldest is ended");
                    }
                    let sip = planes.sip.clone();
                    tokio::spawn(async move {
                        // It may be over.
                        let _ = sip.hang_up(stale, Some("no ACK came")).await;
                    });
                }
                planes.registry.admit_from(source.ip(), leg, live)
            }
        };
        match admitted {
            Ok(mailbox) => {
                let invitation = Invitation {
                    leg,
                    from,
                    number: request_user,
                    sip_call_id: call_id,
                    source,
                    hops,
                    identity,
                    headers,
                    fields: Vec::new(),
                    offer,
                };
                if let Some(channel) = channel {
                    planes.registry.hold(leg, channel);
                }
                let planes = Arc::clone(&planes);
                tokio::spawn(async move {
                    let _admitted = Admitted { planes: Arc::clone(&planes), call };
                    actor::run(planes, call, invitation, mailbox).await;
                });
            }
            Err(refusal) => {
                if let Some(withheld) = told.admit(clock::monotonic(), network(source.ip())) {
                    warn!(%source, %refusal, withheld, "call refused");
                }
                metric::call_ended(EndClass::Refused.name());
                let (sip, extra) = (planes.sip.clone(), [("Retry-After", "5")]);
                tokio::spawn(async move {
                    // The caller may have given up meanwhile.
                    let _ = sip.reject(leg, 503, "Service Unavailable", &extra).await;
                });
            }
        }
    }
}

/// The thread that hands what the workers report to the calls that it is about.
#[derive(Debug)]
struct MediaReports {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

impl MediaReports {
    fn start(planes: Arc<Planes>, mut events: MediaEvents) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("media-reports".to_owned()).spawn(move || {
            while !told.load(Ordering::Relaxed) {
                if events.wait(REPORTS_WAIT_MS) {
                    events.drain(&mut |event| report(&planes, event));
                }
            }
        })?;
        Ok(Self { stop, thread })
    }

    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        if self.thread.join().is_err() {
            warn!("the thread of media reports had panicked");
        }
    }
}

/// Hands a report to its call. A session that comes back for a call that is gone is freed here, and one that is still
/// there although its call is gone (its `Close` found no room) is closed.
fn report(planes: &Planes, event: MediaEvent) {
    if let Some(MediaEvent::MediaTimeout { call }) = planes.registry.media(event)
        && planes.media.send(MediaCommand::Close { call }).is_err()
    {
        warn!(%call, "the media worker takes no commands");
    }
}

/// Reads the configuration again.
fn reloaded(planes: &Planes, access: &Access, https: Option<&TlsIdentity>) -> Result<Reloaded, String> {
    let mut reloaded = planes.settings.reload(std::env::vars()).map_err(|error| {
        warn!(%error, "the configuration is not reloaded: nothing has changed");
        error.to_string()
    })?;
    // A token in a file changes without the configuration.
    match planes.config().http.access_token() {
        Ok(Some(token)) if access.replace(token.expose()) => {}
        Ok(None) => {}
        Ok(Some(_)) => reloaded.needs_restart.push("http.token".to_owned()),
        Err(error) => warn!(%error, "the token stays as it was"),
    }
    // So does a certificate in a file.
    match planes.sip.reload_certificates() {
        Ok(true) => info!("the TLS certificate was read again"),
        Ok(false) => {}
        Err(error) => warn!(%error, "the TLS certificate was not read again; the old one stays in use"),
    }
    match https.map(|identity| identity.reload_certificates().map(|()| identity.facts())) {
        Some(Ok(facts)) => info!(fingerprint = spelled(&facts.fingerprint), "the certificate of HTTPS was read again"),
        Some(Err(error)) => warn!(%error, "the certificate of HTTPS was not read again; the old one stays in use"),
        None => {}
    }
    // And Twilio's token.
    match planes.config().twilio.tokens(|name| std::env::var(name).ok()) {
        Ok(tokens) => planes.sip.twilio().replace_tokens(tokens),
        Err(error) => warn!(%error, "Twilio's token stays as it was"),
    }
    // So do the passwords of trunks and extensions. Lines that stay as they are go on.
    let renewed = Book::open(&planes.config(), |name| std::env::var(name).ok()).map_err(|e| e.to_string());
    let renewed = renewed.and_then(|book| {
        let runtime = tokio::runtime::Handle::current();
        runtime.block_on(planes.trunks.reload(book)).map_err(|e| e.to_string())
    });
    if let Err(error) = renewed {
        warn!(%error, "trunks and extensions stay as they were");
        reloaded.needs_restart.push("trunks".to_owned());
    }
    // What is played is found missing now rather than by a caller.
    if let Err(error) = planes.player.library().check(&planes.config()) {
        warn!(%error, "a route plays a file that cannot be played");
    }
    info!(applied = ?reloaded.applied, needs_restart = ?reloaded.needs_restart, "the configuration was read again");
    Ok(reloaded)
}

/// Reads the configuration again at every SIGHUP.
async fn reloads(reload: Arc<Reload>, mut hang_ups: Signal) {
    while hang_ups.recv().await.is_some() {
        let reload = Arc::clone(&reload);
        // What went wrong has been logged.
        let _ = tokio::task::spawn_blocking(move || reload()).await;
    }
}

/// Feeds the service manager's watchdog while media and signalling move and speech is whole.
async fn liveness(planes: Arc<Planes>, alive: Arc<AtomicBool>) {
    let every = notify::watchdog_interval().unwrap_or(Duration::from_secs(10)) / 2;
    loop {
        tokio::time::sleep(every.min(Duration::from_secs(2))).await;
        for (worker, (busy, complexity)) in planes.media.headroom().into_iter().enumerate() {
            metric::media_headroom(worker, busy, complexity);
        }
        let media = clock::monotonic().since(planes.media.oldest_pass()) < MEDIA_STUCK_AFTER;
        let signalling =
            tokio::time::timeout(Duration::from_secs(1), planes.sip.status()).await.is_ok_and(|s| s.is_ok());
        alive.store(signalling, Ordering::Relaxed);
        let speech = planes.speech.is_running();
        if media && signalling && speech {
            said(notify::watchdog());
        } else {
            warn!(media, signalling, speech, "a plane stands still; the watchdog is not fed");
        }
    }
}
