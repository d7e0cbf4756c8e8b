//! SIP over streams and by DNS, on real sockets of the loopback: `raw` holds the transport against a peer that writes what
//! the test says, `calls` lets two of ours talk, `certificates` is about TLS, `dns` about finding the peer.

mod calls;
mod certificates;
mod dns;
mod raw;

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use callwright::sip::agent::SipEvent;
use callwright::sip::transport::{ListenConfig, SipTransport};
use callwright::time::Tick;
use tokio::time::timeout;

const OFFER: &[u8] =
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
const ANSWER: &[u8] =
    b"v=0\r\no=- 2 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\n";

fn clock() -> Tick {
    static START: OnceLock<Instant> = OnceLock::new();
    Tick(u64::try_from(START.get_or_init(Instant::now).elapsed().as_nanos()).expect("584 years"))
}

fn any() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn udp_only() -> ListenConfig {
    ListenConfig::new(any(), clock)
}

fn with_tcp() -> ListenConfig {
    ListenConfig { tcp: vec![any()], ..udp_only() }
}

fn start(config: ListenConfig) -> SipTransport {
    SipTransport::start(config, SipTransport::agent_config).unwrap()
}

/// Where it listens on streams.
fn stream_of(transport: &SipTransport) -> SocketAddr {
    transport.handle().listeners().last().expect("a listener").1
}

async fn next(transport: &mut SipTransport) -> SipEvent {
    timeout(Duration::from_secs(10), transport.next_event()).await.expect("an event within 10 s").expect("SIP runs")
}
