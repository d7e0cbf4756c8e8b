//! The calls. Purpose: set up so many calls at the daemon by SIP, answer its second legs where there are any, let the load
//! run, and hang up. The command's task. Invariants: a call that cannot be set up ends the measurement with the daemon's
//! own words; the window begins when all calls are up. Deliberately absent: packets (`load`).

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use super::daemon::Pinned;
use super::load::{Content, Load};
use super::tally::Measured;
use super::{Media, Scenario};
use crate::media::socket::{Poller, ReceiveBatch, set_up};
use crate::os::{clock, random, realtime};
use crate::rtp::Codec;
use crate::sip::agent::{LegId, SipEvent};
use crate::sip::sdp::{Direction, LocalMedia, Preference, SdpSession};
use crate::sip::transport::{SipHandle, UdpConfig, UdpTransport};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// All calls are up, streams have settled.
const WARM: Duration = Duration::from_secs(2);
/// A call that is not answered within this is a failure.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// First media port of the daemon under test.
const RTP_FIRST: u16 = 14_000;

/// Measures one scenario.
pub(super) async fn measure(media: &Media, scenario: Scenario, calls: usize) -> Result<Measured, String> {
    let directory = std::env::temp_dir().join(format!("callwright-bench-{}", random::hex(6)));
    std::fs::create_dir_all(&directory).map_err(|e| format!("{}: {e}", directory.display()))?;
    let measured = measure_in(media, scenario, calls, &directory).await;
    if measured.is_ok() {
        // What stays behind is a temporary directory.
        let _ = std::fs::remove_dir_all(&directory);
    }
    measured
}

async fn measure_in(media: &Media, scenario: Scenario, calls: usize, directory: &Path) -> Result<Measured, String> {
    let far = match scenario {
        Scenario::Bridge => Some(FarEnd::start(media, Codec::Pcmu)?),
        Scenario::Transcode => Some(FarEnd::start(media, Codec::Opus)?),
        Scenario::Echo | Scenario::Duplex => None,
    };
    let [sip, http] = free_ports().map_err(|e| format!("no free port: {e}"))?;
    let app = match (&far, scenario) {
        (Some(far), _) => format!("bridge:sip:far@{}", far.address),
        (None, Scenario::Duplex) => "tone".to_owned(),
        (None, _) => "echo".to_owned(),
    };
    let config = directory.join("bench.toml");
    let text = format!(
        "[sip]\nudp = \"{sip}\"\nmax_calls = {}\n[rtp]\naddress = \"127.0.0.1\"\nports = \"{RTP_FIRST}-{}\"\n\
         [http]\nlisten = \"{http}\"\n[data]\ndir = {:?}\n[media]\nworkers = 1\ncpus = [{}]\n\
         [[routes]]\nmatch = \"bench\"\napp = \"{app}\"\n",
        calls + 10,
        u16::MAX / 2,
        directory.join("var"),
        media.daemon_cpu,
    );
    std::fs::write(&config, text).map_err(|e| format!("{}: {e}", config.display()))?;
    let log = directory.join("daemon.log");
    let environment = [("RUST_LOG", "warn".to_owned()), ("CALLWRIGHT_OFFLINE", "1".to_owned())];
    let path = config.display().to_string();
    let mut daemon = Pinned::start(media, &["serve", "--config", &path], &environment, Some(&log))?;
    daemon.ready(http, &log)?;

    let content = if scenario == Scenario::Transcode { Content::Bursts } else { Content::Stamps };
    let load = Load::start(media.load_cpu, content).map_err(|e| format!("the load cannot start: {e}"))?;
    let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config = UdpConfig::new(bind, clock::monotonic);
    let mut transport = UdpTransport::start(config, UdpTransport::agent_config).map_err(|e| e.to_string())?;
    let legs = place(media, &mut transport, &load, sip, calls).await?;
    tokio::time::sleep(WARM).await;
    let window = Duration::from_secs(media.seconds);
    let (measured, daemon) = tokio::task::spawn_blocking(move || {
        let before = daemon.cpu();
        load.measure(window);
        let cpu = daemon.cpu().saturating_sub(before);
        let memory = daemon.memory();
        (Measured { tally: load.finish(), calls, window, cpu, memory }, daemon)
    })
    .await
    .map_err(|e| e.to_string())?;
    hang_up(&mut transport, legs).await;
    drop(far);
    drop(daemon);
    Ok(measured)
}

/// Two free ports: SIP (UDP) and HTTP (TCP).
fn free_ports() -> std::io::Result<[SocketAddr; 2]> {
    let sip = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let http = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    Ok([sip, http])
}

/// Sets the calls up at the chosen rate.
async fn place(
    media: &Media,
    transport: &mut UdpTransport,
    load: &Load,
    daemon: SocketAddr,
    calls: usize,
) -> Result<HashSet<LegId>, String> {
    let sip = transport.handle();
    let mut waiting: HashMap<LegId, SdpSession> = HashMap::new();
    let mut up = HashSet::new();
    let mut pace = tokio::time::interval(Duration::from_secs(1) / media.rate.max(1));
    let mut placed = 0;
    while up.len() < calls {
        tokio::select! {
            _ = pace.tick(), if placed < calls => {
                let (leg, session) = invite(&sip, load.address(placed), daemon).await?;
                waiting.insert(leg, session);
                placed += 1;
            }
            event = transport.next_event() => match event {
                Some(SipEvent::Accepted { leg, answer }) => {
                    let Some(mut session) = waiting.remove(&leg) else { continue };
                    let agreed = session.accept_answer(&answer).map_err(|e| e.to_string())?;
                    load.add(agreed.remote);
                    up.insert(leg);
                }
                Some(SipEvent::Refused { code, reason, .. }) => {
                    return Err(format!("call {placed} of {calls} was refused: {code} {reason}"));
                }
                Some(SipEvent::Ended { reason, .. }) => {
                    return Err(format!("call {placed} of {calls} ended: {}", reason.unwrap_or_default()));
                }
                Some(_) => {}
                None => return Err("SIP is shut down".to_owned()),
            },
            () = tokio::time::sleep(ANSWER_WITHIN) => {
                return Err(format!("{} of {calls} calls are up, the next does not come", up.len()));
            }
        }
    }
    Ok(up)
}

async fn invite(sip: &SipHandle, ours: SocketAddr, daemon: SocketAddr) -> Result<(LegId, SdpSession), String> {
    let local =
        LocalMedia { address: ours.ip(), port: ours.port(), session_id: random::u64() >> 2, session_version: 1 };
    let mut session = SdpSession::preferring(local, Preference::of_peer(&[Codec::Pcmu]));
    let offer = session.offer(Direction::SendRecv);
    let target = format!("sip:bench@{daemon}");
    let leg = sip.invite(&target, daemon, "<sip:bench@127.0.0.1>", offer).await.map_err(|e| e.to_string())?;
    Ok((leg, session))
}

async fn hang_up(transport: &mut UdpTransport, mut legs: HashSet<LegId>) {
    let sip = transport.handle();
    for leg in &legs {
        // One that is over already needs no BYE.
        let _ = sip.hang_up(*leg, None).await;
    }
    let ended = async {
        while !legs.is_empty() {
            match transport.next_event().await {
                Some(event) if event.is_terminal() => legs.remove(&event.leg()),
                Some(_) => false,
                None => return,
            };
        }
    };
    // The daemon is stopped next, whatever it still owes.
    let _ = tokio::time::timeout(Duration::from_secs(3), ended).await;
    let _ = sip.close(Duration::from_millis(200)).await;
}

/// The telephone at the other end of a bridge: answers every call with one codec and sends back what it hears.
struct FarEnd {
    address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
    stop: Arc<AtomicBool>,
    mirror: Option<std::thread::JoinHandle<()>>,
}

/// Sockets of the far end.
const FAR_SOCKETS: usize = 64;

impl FarEnd {
    fn start(media: &Media, codec: Codec) -> Result<Self, String> {
        let sockets: Vec<UdpSocket> = (0..FAR_SOCKETS)
            .map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)))
            .collect::<std::io::Result<_>>()
            .map_err(|e| format!("no socket for the far end: {e}"))?;
        let ports: Vec<u16> = sockets.iter().filter_map(|s| s.local_addr().ok()).map(|a| a.port()).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let mirror = {
            let (stop, cpu) = (Arc::clone(&stop), media.load_cpu);
            std::thread::Builder::new()
                .name("bench-far".to_owned())
                .spawn(move || reflect(&sockets, cpu, &stop))
                .map_err(|e| e.to_string())?
        };
        let config = UdpConfig::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), clock::monotonic);
        // The daemon is one source with hundreds of calls.
        let transport = UdpTransport::start(config, |local| {
            let mut agent = UdpTransport::agent_config(local);
            agent.dialogs_per_second = 10_000.0;
            agent.dialogs_burst = 10_000.0;
            agent
        })
        .map_err(|e| e.to_string())?;
        let (sip, events, _running) = transport.into_parts();
        let address = sip.local();
        let task = tokio::spawn(answer(sip, events, ports, codec));
        Ok(Self { address, task, stop, mirror: Some(mirror) })
    }
}

impl Drop for FarEnd {
    fn drop(&mut self) {
        self.task.abort();
        self.stop.store(true, Relaxed);
        if let Some(mirror) = self.mirror.take() {
            let _ = mirror.join();
        }
    }
}

async fn answer(sip: SipHandle, mut events: tokio::sync::mpsc::Receiver<SipEvent>, ports: Vec<u16>, codec: Codec) {
    let mut answered = 0;
    while let Some(event) = events.recv().await {
        let SipEvent::Incoming { leg, offer: Some(offer), .. } = event else { continue };
        let local = LocalMedia {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: ports[answered % ports.len()],
            session_id: random::u64() >> 2,
            session_version: 1,
        };
        answered += 1;
        let mut session = SdpSession::preferring(local, Preference::of_ours(&[codec]));
        match session.answer(&offer) {
            Ok(agreed) => {
                let _ = sip.accept(leg, agreed.answer).await;
            }
            Err(error) => {
                let _ = sip.reject(leg, error.status(), &error.to_string(), &[]).await;
            }
        }
    }
}

/// Sends everything back under another SSRC (a stream that comes back under its own would be a loop, RFC 3550 section 8.2).
fn reflect(sockets: &[UdpSocket], cpu: usize, stop: &AtomicBool) {
    let _ = realtime::pin(cpu);
    realtime::fifo_or_nice(20);
    let Ok(mut poller) = Poller::new() else { return };
    for (n, socket) in sockets.iter().enumerate() {
        if set_up(socket).is_err() || poller.add(socket.as_raw_fd(), n as u64).is_err() {
            return;
        }
    }
    let mut batch = ReceiveBatch::new();
    let mut packet = [0; 1500];
    while !stop.load(Relaxed) {
        for n in 0..poller.wait(Some(Duration::from_millis(50))) {
            let Some(socket) = sockets.get(usize::try_from(poller.token(n)).unwrap_or(usize::MAX)) else { continue };
            for m in 0..batch.receive(socket) {
                let Some(datagram) = batch.datagram(m).filter(|d| d.octets.len() >= 12) else { continue };
                let out = &mut packet[..datagram.octets.len()];
                out.copy_from_slice(datagram.octets);
                out[8] ^= 0x5a;
                let _ = socket.send_to(out, datagram.from);
            }
        }
    }
}
