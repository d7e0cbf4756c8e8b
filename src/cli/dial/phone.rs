//! The signalling side of a dialled call: one SIP user agent with one leg, and the line that belongs to it.
//! Purpose: URI → answered call → events → hang-up. Owner: the command's task. Invariant: the RTP socket is open and takes
//! times before the INVITE leaves, so early packets are not lost. Deliberately absent: what is said (`act`).

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;

use super::ear::Frame;
use super::line::{Line, Recorded};
use crate::os::{clock, random};
use crate::rtp::{Codec, Formats};
use crate::sip::agent::{EndedBy, LegId, Placement, SipEvent};
use crate::sip::hop::{Hop, Transport};
use crate::sip::sdp::{Direction, LocalMedia, Preference, SdpError, SdpSession};
use crate::sip::transport::tls::{PeerTrust, TlsTrust};
use crate::sip::transport::{ListenConfig, ListenError, SipError, SipHandle, SipTransport, local_address_towards};
use crate::time::Tick;

/// How long we wait for the answer to a BYE.
const BYE_PATIENCE: Duration = Duration::from_secs(2);
/// Tries to get an even RTP port.
const PORT_TRIES: usize = 32;

/// Why there was no call, and whose fault it is.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The caller's: correct the URI.
    #[error("{0}")]
    Target(String),
    /// This machine's.
    #[error("cannot make calls from here: {0}")]
    Socket(#[from] io::Error),
    /// This machine's.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The URI, or a fault of ours.
    #[error(transparent)]
    Agent(#[from] SipError),
    /// The far end's answer.
    #[error("the call was refused: {code} {reason}{}", .retry_after.map(|s| format!(" (try again after {s} s)")).unwrap_or_default())]
    Refused {
        /// 300–699; 408 also when nothing answered.
        code: u16,
        /// Reason phrase.
        reason: String,
        /// Seconds.
        retry_after: Option<u32>,
    },
    /// The far end's answer makes no sense.
    #[error("the call was answered, but {0}")]
    Answer(#[from] SdpError),
    /// Ours: a codec did not open.
    #[error("the call was answered, but there is no audio: {0}")]
    Line(String),
    /// Nobody answered in time, or the operator gave up.
    #[error("{0}")]
    GaveUp(&'static str),
}

/// Whom to call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `sip:user@host[:port]`.
    pub uri: String,
    /// Where the INVITE goes.
    pub destination: SocketAddr,
    /// By what.
    pub transport: Transport,
    /// The name that its certificate must carry.
    pub host: String,
}

impl Target {
    /// Reads `sip:user@host[:port]` (the scheme may be left out) and looks the host up. `by`: what carries the messages,
    /// whatever the URI says; else as it says, else UDP.
    ///
    /// # Errors
    /// [`CallError::Target`] says what is wrong.
    pub fn resolve(text: &str, by: Option<Transport>) -> Result<Self, CallError> {
        let (host, port) = host_and_port(text).map_err(CallError::Target)?;
        let transport = match by.or(named(text)) {
            Some(Transport::Udp | Transport::Tcp) if text.starts_with("sips:") => {
                return Err(CallError::Target(format!("{text}: sips: is spoken by TLS only")));
            }
            Some(transport) => transport,
            None if text.starts_with("sips:") => Transport::Tls,
            None => Transport::Udp,
        };
        let port = port.unwrap_or(transport.default_port());
        let uri =
            if text.starts_with("sip:") || text.starts_with("sips:") { text.to_owned() } else { format!("sip:{text}") };
        let found: Vec<SocketAddr> = (host.as_str(), port)
            .to_socket_addrs()
            .map_err(|e| CallError::Target(format!("{text}: {host} cannot be looked up: {e}")))?
            .collect();
        // Agents listen on IPv4 before anything else.
        let first = found.iter().find(|address| address.is_ipv4()).or(found.first()).copied();
        let destination = first.ok_or_else(|| CallError::Target(format!("{text}: {host} has no address")))?;
        Ok(Self { uri, destination, transport, host })
    }
}

/// The transport that a URI names.
fn named(text: &str) -> Option<Transport> {
    let mut parameters = text.split(['?']).next()?.split(';').skip(1).filter_map(|p| p.split_once('='));
    let (_, name) = parameters.find(|(name, _)| name.eq_ignore_ascii_case("transport"))?;
    Transport::of_name(name.as_bytes())
}

fn host_and_port(text: &str) -> Result<(String, Option<u16>), String> {
    let wrong = || format!("{text}: give sip:user@host[:port], e.g. sip:300@127.0.0.1:5060");
    let rest = text.strip_prefix("sip:").or_else(|| text.strip_prefix("sips:")).unwrap_or(text);
    let rest = rest.split([';', '?']).next().unwrap_or(rest);
    let (user, host) = rest.rsplit_once('@').ok_or_else(wrong)?;
    if user.is_empty() {
        return Err(wrong());
    }
    let (host, port) = match host.strip_prefix('[') {
        Some(v6) => {
            let (host, port) = v6.split_once(']').ok_or_else(wrong)?;
            (host, port.strip_prefix(':'))
        }
        None => host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map(str::parse).transpose().map_err(|_| wrong())?;
    if host.is_empty() || port == Some(0) {
        return Err(wrong());
    }
    Ok((host.to_owned(), port))
}

/// What the far end did in an answered call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PhoneEvent {
    /// The call is over: the far end hung up or went away.
    HungUp(String),
}

/// A call that was answered.
#[derive(Debug)]
pub struct Phone {
    transport: SipTransport,
    sip: SipHandle,
    leg: LegId,
    session: SdpSession,
    agreed: Formats,
    line: Line,
    /// When the ACK had left.
    pub answered: Tick,
    /// INVITE → first provisional answer other than 100.
    pub ringing_after: Option<Duration>,
    /// INVITE → 200.
    pub answered_after: Duration,
}

/// How to call.
#[derive(Debug, Clone)]
pub struct CallPlan {
    /// Whom.
    pub target: Target,
    /// Roots of its certificate, PEM; by default the system's.
    pub roots: Option<PathBuf>,
    /// What is offered, the first one first.
    pub codecs: Vec<Codec>,
    /// Our From, e.g. `<sip:dial@192.0.2.1>`; none = made from our address.
    pub from: Option<String>,
    /// How long the call may get, for the room that the recording takes.
    pub length: Duration,
    /// Gives up when nobody answers within this.
    pub patience: Duration,
}

impl Phone {
    /// Calls and waits for the answer. Must run within a tokio runtime with its timers on.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call(plan: &CallPlan) -> Result<(Self, Receiver<Frame>), CallError> {
        let ip = local_address_towards(plan.target.destination.ip())?;
        let (socket, port) = even_port(ip)?;
        let (line, frames) = Line::open(socket, plan.length)?;
        let mut config = ListenConfig::new(SocketAddr::new(ip, 0), clock::monotonic);
        let target = &plan.target;
        if let Some(roots) = &plan.roots {
            let trust = PeerTrust { roots: Some(roots.clone()), ..PeerTrust::default() };
            config.trust = Arc::new(TlsTrust::new(&[(target.host.clone(), trust)]).map_err(ListenError::from)?);
        }
        let mut transport = SipTransport::start(config, SipTransport::agent_config)?;
        let sip = transport.handle();
        let local = LocalMedia { address: ip, port, session_id: random::u64() >> 1, session_version: 1 };
        let mut session = SdpSession::preferring(local, Preference::of_peer(&plan.codecs));
        let offer = session.offer(Direction::SendRecv);
        let from = plan.from.clone().unwrap_or_else(|| match ip {
            IpAddr::V4(v4) => format!("<sip:dial@{v4}>"),
            IpAddr::V6(v6) => format!("<sip:dial@[{v6}]>"),
        });
        let invited = clock::monotonic();
        let host = (target.transport == Transport::Tls).then(|| target.host.as_str().into());
        let hop = Hop { transport: target.transport, address: target.destination, flow: None, host };
        let leg = sip.place(Placement::new(&target.uri, hop, &from, offer), |_| ()).await?;
        let mut ringing_after = None;
        let answer = loop {
            let patience = plan.patience.saturating_sub(clock::monotonic().since(invited));
            let event = tokio::select! {
                event = transport.next_event() => event,
                () = tokio::time::sleep(patience) => {
                    give_up(&mut transport, &sip, leg).await;
                    return Err(CallError::GaveUp("nobody answered; raise --ring to wait longer"));
                }
                _ = tokio::signal::ctrl_c() => {
                    give_up(&mut transport, &sip, leg).await;
                    return Err(CallError::GaveUp("interrupted before the call was answered"));
                }
            };
            match event {
                Some(SipEvent::Progress { .. }) => {
                    ringing_after.get_or_insert_with(|| clock::monotonic().since(invited));
                }
                Some(SipEvent::Accepted { answer, .. }) => break answer,
                Some(SipEvent::Refused { code, reason, retry_after, .. }) => {
                    return Err(CallError::Refused { code, reason, retry_after });
                }
                Some(SipEvent::Ended { reason, .. }) => {
                    let reason = reason.unwrap_or_else(|| "the call ended before it was answered".into());
                    return Err(CallError::Refused { code: 408, reason, retry_after: None });
                }
                Some(_) => {}
                None => return Err(SipError::Closed.into()),
            }
        };
        let answered = clock::monotonic();
        let agreed = match session.accept_answer(&answer) {
            Ok(negotiated) => {
                if let Err(why) = line.connect(negotiated.remote, negotiated.formats) {
                    give_up(&mut transport, &sip, leg).await;
                    return Err(CallError::Line(why));
                }
                negotiated.formats
            }
            Err(error) => {
                give_up(&mut transport, &sip, leg).await;
                return Err(error.into());
            }
        };
        let answered_after = answered.since(invited);
        Ok((Self { transport, sip, leg, session, agreed, line, answered, ringing_after, answered_after }, frames))
    }

    /// The line of the call.
    pub fn line(&self) -> &Line {
        &self.line
    }

    /// What was agreed on.
    pub fn agreed(&self) -> Formats {
        self.agreed
    }

    /// Waits for what the far end does; answers re-INVITEs on the way. Cancel safe.
    pub async fn next_event(&mut self) -> PhoneEvent {
        loop {
            match self.transport.next_event().await {
                Some(SipEvent::Reinvite { leg, offer, unchanged }) => self.answer_reinvite(leg, offer, unchanged).await,
                Some(SipEvent::Ended { by, reason, .. }) => {
                    let who = match by {
                        EndedBy::Local => "we hung up",
                        EndedBy::Remote => "the agent hung up",
                        EndedBy::Timeout => "the agent no longer answers",
                        EndedBy::TransportError => "the agent cannot be reached",
                    };
                    return PhoneEvent::HungUp(reason.map_or_else(|| who.to_owned(), |r| format!("{who} ({r})")));
                }
                Some(_) => {}
                None => return PhoneEvent::HungUp("SIP is shut down".into()),
            }
        }
    }

    async fn answer_reinvite(&mut self, leg: LegId, offer: Option<Vec<u8>>, unchanged: bool) {
        // A re-INVITE that cannot be answered runs into the far end's timers: its call to make.
        let Some(offer) = offer.filter(|_| !unchanged) else {
            let _ = self.sip.refresh(leg).await;
            return;
        };
        match self.session.answer(&offer) {
            Ok(negotiated) => {
                // A line that is down has ended the call already, and the codecs were ours to offer: they open.
                drop(self.line.connect(negotiated.remote, negotiated.formats));
                self.agreed = negotiated.formats;
                let _ = self.sip.answer_reinvite(leg, negotiated.answer).await;
            }
            Err(error) => {
                let reason = error.to_string();
                let _ = self.sip.reject(leg, error.status(), &reason, &[]).await;
            }
        }
    }

    /// Ends the call (a no-op when it is over) and gives what came over the line.
    ///
    /// # Errors
    /// A sentence when the line thread failed.
    pub async fn hang_up(mut self) -> Result<Recorded, String> {
        let recorded = self.line.close();
        give_up(&mut self.transport, &self.sip, self.leg).await;
        recorded
    }
}

/// BYE or CANCEL, and a little time for the answer.
async fn give_up(transport: &mut SipTransport, sip: &SipHandle, leg: LegId) {
    if sip.hang_up(leg, None).await.is_ok() {
        let ended = async { while transport.next_event().await.is_some_and(|event| !event.is_terminal()) {} };
        // Without an answer the far end's own timers end its side.
        drop(tokio::time::timeout(BYE_PATIENCE, ended).await);
    }
    let _ = sip.close(Duration::from_millis(500)).await;
}

fn even_port(ip: IpAddr) -> io::Result<(UdpSocket, u16)> {
    let mut last = None;
    for _ in 0..PORT_TRIES {
        let socket = UdpSocket::bind((ip, 0))?;
        let port = socket.local_addr()?.port();
        if port.is_multiple_of(2) {
            return Ok((socket, port));
        }
        // Held until the next one is bound, or the kernel might give the same again.
        last = Some(socket);
    }
    drop(last);
    Err(io::Error::new(io::ErrorKind::AddrNotAvailable, "no even UDP port is free for RTP"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read() {
        let at = |text: &str| host_and_port(text).unwrap();
        assert_eq!(at("sip:300@127.0.0.1:5070"), ("127.0.0.1".into(), Some(5070)));
        assert_eq!(at("echo@example.com"), ("example.com".into(), None));
        assert_eq!(at("sip:a@b@[::1]:5062;transport=udp"), ("::1".into(), Some(5062)));
        let target = |text: &str, by| Target::resolve(text, by).map(|t| (t.transport, t.destination.port()));
        assert_eq!(Target::resolve("300@127.0.0.1", None).unwrap().uri, "sip:300@127.0.0.1");
        assert_eq!(target("300@127.0.0.1", None).unwrap(), (Transport::Udp, 5060));
        assert_eq!(target("sip:300@127.0.0.1;lr;Transport=TCP", None).unwrap(), (Transport::Tcp, 5060));
        assert_eq!(target("sips:300@127.0.0.1", None).unwrap(), (Transport::Tls, 5061));
        assert_eq!(
            target("sip:300@127.0.0.1:5070;transport=tcp", Some(Transport::Tls)).unwrap(),
            (Transport::Tls, 5070)
        );
        assert!(target("sips:300@127.0.0.1", Some(Transport::Tcp)).unwrap_err().to_string().contains("TLS only"));
    }

    #[test]
    fn what_is_no_target_says_what_to_give() {
        for text in ["", "sip:127.0.0.1", "sip:@host", "sip:a@", "sip:a@h:x", "sip:a@h:0", "sip:a@[::1"] {
            assert!(host_and_port(text).unwrap_err().contains("sip:user@host"), "{text}");
        }
    }

    #[test]
    fn rtp_ports_are_even() {
        let (_socket, port) = even_port("127.0.0.1".parse().unwrap()).unwrap();
        assert!(port.is_multiple_of(2));
    }
}
