//! The daemon on TCP, TLS and IPv6: phones that other people wrote call it over streams, what no phone should send comes by
//! every transport, and after each a call works.

mod rig;

use callwright::os::clock;
use callwright::sip::agent::{EndedBy, Placement, SipEvent};
use callwright::sip::hop::{Hop, Transport};
use callwright::sip::transport::tls::{PeerTrust, TlsTrust};
use callwright::sip::transport::{ListenConfig, SipTransport};
use rig::{Daemon, eventually, free_tcp};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A daemon on all transports of the loopback.
fn on_all() -> (Daemon, SocketAddr, SocketAddr) {
    let (tcp, tls) = (free_tcp(), free_tcp());
    let (tcp_text, tls_text) = (tcp.to_string(), tls.to_string());
    let daemon = Daemon::start_set("", &[("CALLWRIGHT__SIP__TCP", &tcp_text), ("CALLWRIGHT__SIP__TLS", &tls_text)]);
    (daemon, tcp, tls)
}

fn certificate(daemon: &Daemon) -> std::path::PathBuf {
    daemon.data.join("tls/sip-certificate.pem")
}

/// A phone of ours that trusts the daemon's own certificate.
fn phone(daemon: &Daemon) -> SipTransport {
    let trust = PeerTrust { roots: Some(certificate(daemon)), ..PeerTrust::default() };
    let trust = Arc::new(TlsTrust::new(&[("localhost".to_owned(), trust)]).expect("the certificate is readable"));
    let config = ListenConfig { trust, ..ListenConfig::new("127.0.0.1:0".parse().expect("any"), clock::monotonic) };
    SipTransport::start(config, SipTransport::agent_config).expect("a phone")
}

fn sdp(address: &str) -> Vec<u8> {
    let family = if address.contains(':') { 6 } else { 4 };
    format!(
        "v=0\r\no=t 1 1 IN IP{family} {address}\r\ns=-\r\nc=IN IP{family} {address}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"
    )
    .into_bytes()
}

async fn next(phone: &mut SipTransport) -> SipEvent {
    tokio::time::timeout(Duration::from_secs(10), phone.next_event()).await.expect("an event in 10 s").expect("it runs")
}

/// A whole call to the echo by this hop; gives the daemon's description.
async fn call(phone: &mut SipTransport, hop: Hop) -> String {
    let offer = sdp(&hop.address.ip().to_string());
    let target = format!("sip:echo@{};transport={}", hop.address, hop.transport.parameter());
    let placement = Placement::new(&target, hop, "<sip:t@127.0.0.1>", offer);
    let placed = phone.handle().place(placement, |_| ()).await.expect("it calls");
    loop {
        match next(phone).await {
            SipEvent::Accepted { leg, answer, .. } if leg == placed => {
                phone.handle().hang_up(leg, None).await.expect("it hangs up");
                assert!(matches!(next(phone).await, SipEvent::Ended { by: EndedBy::Local, .. }));
                return String::from_utf8_lossy(&answer).into_owned();
            }
            SipEvent::Progress { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}

/// What no phone should send.
fn malformed(transport: &str) -> Vec<Vec<u8>> {
    let good = format!(
        "OPTIONS sip:echo@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/{transport} 127.0.0.1:5999;branch=z9hG4bKbad;rport\r\nMax-Forwards: 70\r\n\
         From: <sip:t@h>;tag=1\r\nTo: <sip:echo@h>\r\nCall-ID: bad\r\nCSeq: 1 OPTIONS\r\nContact: <sip:t@127.0.0.1:5999>\r\n\
         Content-Length: 0\r\n\r\n"
    );
    let with = |from: &str, to: &str| good.replacen(from, to, 1).into_bytes();
    let mut latin = with("<sip:t@h>", "\"Jos?\" <sip:t@h>");
    latin.iter_mut().filter(|b| **b == b'?').for_each(|b| *b = 0xe9);
    vec![
        with("Content-Length: 0", "Content-Length: 18446744073709551616"),
        with("Content-Length: 0", "Content-Length: 4294967296"),
        with("Content-Length: 0", "Content-Length: -1"),
        with("Content-Length: 0", "Content-Length: 5\r\nContent-Length: 7"),
        with("Content-Length: 0", "Content-Length: 60000"),
        with("Content-Length: 0", "Content-Type: application/sdp"),
        with("Content-Length: 0", "Content-Length : 0"),
        with("CSeq: 1 OPTIONS", "CSeq: 4294967296 OPTIONS"),
        with("CSeq: 1 OPTIONS", "CSeq: 1 INVITE"),
        with("OPTIONS sip:echo@127.0.0.1 SIP/2.0", "OPTIONS sip:echo@127.0.0.1 SIP/7.0"),
        with("OPTIONS sip:echo@127.0.0.1 SIP/2.0", "OPTIONS  sip:echo@127.0.0.1  SIP/2.0"),
        with("To: <sip:echo@h>", "To: \"open <sip:echo@h>"),
        with("Max-Forwards: 70", "Max-Forwards: 70\0"),
        with("Max-Forwards: 70", "X\u{1}: y"),
        with("Max-Forwards: 70", &"X: y\r\n".repeat(6000)),
        with("Max-Forwards: 70", &format!("X: {}", "y".repeat(50_000))),
        with("Via: ", "Via: nonsense, "),
        with("\r\nVia", "\r\n\r\nVia"),
        latin,
        b"GET / HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(),
        [&b"\x16\x03\x01\x02\x00"[..], &[0; 512]].concat(),
        vec![0xff; 1400],
        vec![b'a'; 60_000],
        b"\r\n\r\n\r\n\r\n\0\0\0".to_vec(),
        good.as_bytes()[..good.len() / 2].to_vec(),
    ]
}

#[test]
fn what_no_phone_should_send_by_udp_and_by_tcp_octet_by_octet_and_a_call_after_each() {
    let (mut daemon, tcp, _) = on_all();
    run(async {
        let mut phone = phone(&daemon);
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        for bad in malformed("UDP") {
            udp.send_to(&bad, daemon.sip).expect("loopback takes it");
            call(&mut phone, Hop::udp(daemon.sip)).await;
        }
        for bad in malformed("TCP") {
            let mut stream = TcpStream::connect(tcp).expect("it accepts");
            stream.set_nodelay(true).expect("octet by octet");
            // The long ones in pieces: what matters is that they are not whole.
            let step = if bad.len() > 3000 { 997 } else { 1 };
            for piece in bad.chunks(step) {
                if stream.write_all(piece).is_err() {
                    break; // it has closed, rightly
                }
            }
            call(&mut phone, Hop::tcp(tcp)).await;
        }
    });
    assert!(daemon.alive() && !daemon.log().contains("panicked"), "{}", daemon.log());
}

#[test]
fn what_no_phone_should_send_by_tls_and_a_call_after_each() {
    let (mut daemon, _, tls) = on_all();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate(&daemon)).expect("PEM")).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let config = Arc::new(config);
    run(async {
        let mut phone = phone(&daemon);
        for bad in malformed("TLS") {
            let name = ServerName::try_from("localhost").expect("a name");
            let mut session = rustls::ClientConnection::new(Arc::clone(&config), name).expect("a session");
            let mut socket = TcpStream::connect(tls).expect("it accepts");
            let mut stream = rustls::Stream::new(&mut session, &mut socket);
            let step = if bad.len() > 3000 { 997 } else { 50 };
            for piece in bad.chunks(step) {
                if stream.write_all(piece).is_err() {
                    break;
                }
            }
            call(&mut phone, Hop::tls(tls, "localhost")).await;
        }
        // Not even TLS.
        let mut plain = TcpStream::connect(tls).expect("it accepts");
        plain.write_all(b"OPTIONS sip:echo@h SIP/2.0\r\n\r\n").expect("sent");
        let mut rest = Vec::new();
        plain.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        let _ = plain.read_to_end(&mut rest);
        call(&mut phone, Hop::tls(tls, "localhost")).await;
    });
    assert!(daemon.alive() && !daemon.log().contains("panicked"), "{}", daemon.log());
}

#[test]
fn dial_speaks_by_every_transport() {
    let (daemon, tcp, tls) = on_all();
    let ca = certificate(&daemon);
    for (address, transport) in [(daemon.sip, "udp"), (tcp, "tcp"), (tls, "tls")] {
        let output = Command::new(env!("CARGO_BIN_EXE_callwright"))
            .args(["dial", &format!("sip:echo@{address}"), "--transport", transport])
            .args(["--duration", "1", "--quiet", "--ca"])
            .arg(&ca)
            .output()
            .expect("dial starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{transport}: {:?} {said}", output.status);
    }
    let without = Command::new(env!("CARGO_BIN_EXE_callwright"))
        .args(["dial", &format!("sips:echo@{tls}"), "--duration", "1", "--ring", "10", "--quiet"])
        .output()
        .expect("dial starts");
    assert_eq!(without.status.code(), Some(3), "a certificate that nobody vouches for: {without:?}");
}

#[test]
fn a_certificate_is_renewed_by_sighup_while_the_daemon_runs() {
    let (mut daemon, _, tls) = on_all();
    run(async {
        let mut before = phone(&daemon);
        call(&mut before, Hop::tls(tls, "localhost")).await;
        for file in ["tls/sip-certificate.pem", "tls/sip-key.pem"] {
            std::fs::remove_file(daemon.data.join(file)).expect("it is there");
        }
        let dir = daemon.data.join("tls");
        let making = callwright::tls::Making::for_good(vec!["localhost".to_owned()]);
        callwright::tls::TlsIdentity::own(&dir, "sip", making).expect("another");
        rig::signal(daemon.pid(), "HUP");
        assert!(eventually(Duration::from_secs(5), || daemon.log().contains("read again")), "{}", daemon.log());
        // Who trusts the new one gets through; who had a connection keeps it.
        call(&mut phone(&daemon), Hop::tls(tls, "localhost")).await;
        call(&mut before, Hop::tls(tls, "localhost")).await;
    });
    assert!(daemon.alive());
}

#[test]
fn a_call_over_ipv6_has_ipv6_in_its_description() {
    let Ok(socket) = UdpSocket::bind("[::1]:0") else { return };
    let address = socket.local_addr().expect("bound");
    drop(socket);
    let text = address.to_string();
    let _daemon = Daemon::start_set("", &[("CALLWRIGHT__SIP__UDP_V6", &text), ("CALLWRIGHT__SIP__TCP", &text)]);
    run(async {
        let config = ListenConfig::new("[::1]:0".parse().expect("any"), clock::monotonic);
        let mut phone = SipTransport::start(config, SipTransport::agent_config).expect("a phone");
        for transport in [Transport::Udp, Transport::Tcp] {
            let answer = call(&mut phone, Hop { transport, ..Hop::udp(address) }).await;
            assert!(answer.contains("c=IN IP6 ::1\r\n"), "{answer}");
        }
    });
}

#[test]
fn sipp_calls_over_tcp() {
    let (daemon, tcp, _) = on_all();
    let dir = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(dir.path().join("audio.ulaw"), vec![0x55; 8000]).expect("the audio file");
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sipp/echo.xml");
    // One connection for all calls, then one for each.
    for mode in ["t1", "tn"] {
        let mut sipp = Command::new("sipp");
        sipp.current_dir(dir.path()).arg(tcp.to_string()).arg("-sf").arg(&scenario).args(["-t", mode, "-s", "echo"]);
        sipp.args([
            "-i",
            "127.0.0.1",
            "-mi",
            "127.0.0.1",
            "-mp",
            "23500",
            "-max_socket",
            "500",
            "-m",
            "5",
            "-l",
            "5",
            "-r",
            "5",
            "-d",
            "500",
        ]);
        sipp.args(["-timeout", "15s", "-timeout_error", "-nostdin", "-trace_err", "-error_file", "errors.log"]);
        let output = sipp.output().expect("sipp runs");
        let errors = std::fs::read_to_string(dir.path().join("errors.log")).unwrap_or_default();
        assert!(output.status.success(), "{mode}: {errors}\n{}", daemon.log());
    }
    let began = Instant::now();
    assert!(
        eventually(Duration::from_secs(5), || daemon.log().matches("call ended").count() == 10),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn a_trunk_that_answers_is_up_and_one_that_nobody_is_at_is_down() {
    let (nobody, there) = (free_tcp(), free_tcp());
    run(async {
        let any = "127.0.0.1:0".parse().expect("any");
        let config = ListenConfig { tcp: vec![there], ..ListenConfig::new(any, clock::monotonic) };
        let peer = SipTransport::start(config, SipTransport::agent_config).expect("a peer");
        let trunk = |name: &str, at: SocketAddr| {
            format!("[[trunks]]\nname = \"{name}\"\nhost = \"127.0.0.1\"\nport = {}\ntransport = \"tcp\"\n", at.port())
        };
        let daemon = Daemon::start_set(&format!("{}{}", trunk("there", there), trunk("gone", nobody)), &[]);
        let health = |name: &str| {
            let (_, body) = rig::get(daemon.http, "/v1/trunks").expect("it answers");
            let shown: serde_json::Value = serde_json::from_str(&body).expect("JSON");
            let all = shown["items"].as_array().expect("trunks").clone();
            let its = all.into_iter().find(|trunk| trunk["name"] == name).expect("the trunk");
            its["health"].as_str().unwrap_or_default().to_owned()
        };
        let known = || health("there") == "up" && health("gone") == "down";
        assert!(eventually(Duration::from_secs(10), known), "{} {}\n{}", health("there"), health("gone"), daemon.log());
        assert!(daemon.log().contains("the trunk does not answer"), "{}", daemon.log());
        drop(peer);
    });
}
