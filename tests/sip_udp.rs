//! The UDP transport on real sockets of the loopback interface: two of them call each other.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use callwright::sip::agent::{AgentError, EndedBy, LegId, SipEvent};
use callwright::sip::sdp::{Direction, LocalMedia, SdpSession};
use callwright::sip::transport::{SipError, UdpConfig, UdpError, UdpTransport, local_address_towards};
use callwright::time::Tick;
use tokio::time::timeout;

fn clock() -> Tick {
    static START: OnceLock<Instant> = OnceLock::new();
    Tick(u64::try_from(START.get_or_init(Instant::now).elapsed().as_nanos()).unwrap())
}

fn start() -> UdpTransport {
    let config = UdpConfig::new("127.0.0.1:0".parse().unwrap(), clock);
    UdpTransport::start(config, UdpTransport::agent_config).unwrap()
}

async fn next(transport: &mut UdpTransport) -> SipEvent {
    timeout(Duration::from_secs(5), transport.next_event()).await.expect("an event within 5 s").expect("alive")
}

fn media(port: u16) -> SdpSession {
    let address = "127.0.0.1".parse().unwrap();
    SdpSession::new(LocalMedia { address, port, session_id: 1, session_version: 1 })
}

#[tokio::test]
async fn a_call_over_real_sockets() {
    let (mut caller, mut callee) = (start(), start());
    let (out, inn) = (caller.handle(), callee.handle());
    let (mut ours, mut theirs) = (media(4000), media(5000));
    let target = format!("sip:grace@{}", inn.local());
    let leg = out.invite(&target, inn.local(), "sip:ann@127.0.0.1", ours.offer(Direction::SendRecv)).await.unwrap();
    let SipEvent::Incoming { leg: incoming, offer: Some(offer), source, .. } = next(&mut callee).await else {
        panic!("an INVITE with offer")
    };
    assert_eq!(source, out.local());
    inn.ring(incoming).await.unwrap();
    assert!(matches!(next(&mut caller).await, SipEvent::Progress { code: 180, .. }));
    let agreed = theirs.answer(&offer).unwrap();
    assert_eq!(agreed.remote.port(), 4000);
    inn.accept(incoming, agreed.answer).await.unwrap();
    let SipEvent::Accepted { answer, .. } = next(&mut caller).await else { panic!("accepted") };
    assert_eq!(ours.accept_answer(&answer).unwrap().remote.port(), 5000);
    assert_eq!(next(&mut callee).await, SipEvent::Confirmed { leg: incoming, answer: None });
    out.hang_up(leg, Some("done")).await.unwrap();
    assert!(matches!(next(&mut caller).await, SipEvent::Ended { by: EndedBy::Local, .. }));
    assert!(matches!(next(&mut callee).await, SipEvent::Ended { by: EndedBy::Remote, .. }));
    assert_eq!(inn.hang_up(LegId(99), None).await, Err(SipError::Agent(AgentError::UnknownLeg(LegId(99)))));
    let status = inn.status().await.unwrap();
    assert_eq!((status.legs, status.calls_in), (0, 1));
    inn.close(Duration::from_secs(5)).await.unwrap();
    assert_eq!(timeout(Duration::from_secs(5), callee.next_event()).await.unwrap(), None);
    assert_eq!(inn.status().await, Err(SipError::Closed));
}

#[tokio::test]
async fn options_keep_alives_and_noise() {
    let transport = start();
    let server: SocketAddr = transport.handle().local();
    let phone = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for noise in [&b"\r\n\r\n"[..], b"", b"\xff\xfe", &[b'a'; 2000]] {
        phone.send_to(noise, server).await.unwrap();
    }
    let port = phone.local_addr().unwrap().port();
    let options = format!(
        "OPTIONS sip:x@{server} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK1;rport\r\nFrom: <sip:a@h>;tag=1\r\n\
         To: <sip:x@h>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n"
    );
    phone.send_to(options.as_bytes(), server).await.unwrap();
    let mut buffer = [0; 2000];
    let (length, from) = timeout(Duration::from_secs(5), phone.recv_from(&mut buffer)).await.unwrap().unwrap();
    assert!(from == server && buffer[..length].starts_with(b"SIP/2.0 200 OK\r\n"));
}

#[tokio::test]
async fn a_taken_port_is_explained() {
    let first = start();
    let config = UdpConfig::new(first.handle().local(), clock);
    let error = UdpTransport::start(config, UdpTransport::agent_config).unwrap_err();
    assert!(matches!(error, UdpError::Bind { .. }));
    assert!(error.to_string().contains("Is another telephone server running there?"), "{error}");
}

#[test]
fn loopback_is_reached_from_loopback() {
    assert!(local_address_towards("127.0.0.1".parse().unwrap()).unwrap().is_loopback());
}
