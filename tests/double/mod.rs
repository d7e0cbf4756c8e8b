//! An agent for tests: a real SIP user agent with real RTP that says fixed things at known times. It answers every call,
//! speaks its first line after the ACK and the next one whenever the caller has been quiet for a fixed time.

use std::net::{SocketAddr, UdpSocket};
use std::thread::JoinHandle;
use std::time::Duration;

use callwright::cli::dial::line::Line;
use callwright::cli::dial::stream::Job;
use callwright::limits::FRAME;
use callwright::os::clock;
use callwright::sip::agent::SipEvent;
use callwright::sip::sdp::{LocalMedia, Preference, negotiate};
use callwright::sip::transport::{UdpConfig, UdpTransport};
use callwright::time::Tick;

/// What the agent does in its one call.
#[derive(Clone)]
pub(crate) struct Lines {
    /// Said in this order.
    pub(crate) lines: Vec<Vec<i16>>,
    /// Caller quiet for this long → next line.
    pub(crate) after: Duration,
    /// The agent hangs up this long after its last line.
    pub(crate) hang_up_after: Option<Duration>,
    /// Refuse with this code instead.
    pub(crate) refuse: Option<u16>,
}

/// Starts the agent on its own thread; it serves one call and ends with it. The address is where to call.
pub(crate) fn start(lines: Lines) -> (SocketAddr, JoinHandle<()>) {
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let config = UdpConfig::new("127.0.0.1:0".parse().unwrap(), clock::monotonic);
            let transport = UdpTransport::start(config, UdpTransport::agent_config).unwrap();
            tell.send(transport.handle().local()).unwrap();
            tokio::time::timeout(Duration::from_secs(60), serve(transport, lines)).await.expect("the call ends");
        });
    });
    (told.recv().unwrap(), thread)
}

async fn serve(mut transport: UdpTransport, lines: Lines) {
    let sip = transport.handle();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let local = LocalMedia { address: "127.0.0.1".parse().unwrap(), port, session_id: 1, session_version: 1 };
    let (line, frames) = Line::open(socket, Duration::from_secs(60)).unwrap();
    let mut said = 0u32;
    let mut confirmed = false;
    let mut answered_to = Tick(0);
    let mut busy_until = Tick(0);
    let mut leg = None;
    loop {
        frames.try_iter().for_each(drop);
        let event = tokio::select! {
            event = transport.next_event() => event,
            () = tokio::time::sleep(Duration::from_millis(2)) => None,
        };
        match event {
            Some(SipEvent::Incoming { leg: new, offer, .. }) => {
                leg = Some(new);
                if let Some(code) = lines.refuse {
                    sip.reject(new, code, "Busy Here", &[]).await.unwrap();
                    continue;
                }
                let negotiated = negotiate(&offer.unwrap(), &local, &Preference::default()).unwrap();
                sip.ring(new).await.unwrap();
                sip.accept(new, negotiated.answer).await.unwrap();
                line.connect(negotiated.remote, negotiated.formats).unwrap();
            }
            Some(SipEvent::Confirmed { .. }) => confirmed = true,
            Some(event) if event.is_terminal() => break,
            _ => {}
        }
        let now = clock::monotonic();
        let next = usize::try_from(said).unwrap();
        let heard = line.view().last_audible;
        let spoken_to = heard.is_some_and(|t| t > answered_to && now.since(t) >= lines.after && now >= busy_until);
        if confirmed && next < lines.lines.len() && (said == 0 || spoken_to) {
            busy_until = now + FRAME * u32::try_from(lines.lines[next].len().div_ceil(160)).unwrap();
            answered_to = now;
            said += 1;
            line.send(said, Job::Audio(lines.lines[next].clone())).unwrap();
        }
        let finished = usize::try_from(said).unwrap() == lines.lines.len();
        if let (Some(after), Some(leg), true) = (lines.hang_up_after, leg, finished)
            && now >= busy_until + after
        {
            // It may be over already; then its terminal event is on its way.
            let _ = sip.hang_up(leg, None).await;
        }
    }
    line.close().unwrap();
    // Time for the answer to the BYE and its repeats.
    tokio::time::sleep(Duration::from_millis(200)).await;
}
