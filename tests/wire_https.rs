//! HTTPS of the running daemon, from an address that is not this machine's: a network namespace with one cable to us. Who may not
//! make one is told so, and talks from this machine's loopback.

mod rig;

use callwright::tls::{Making, TlsIdentity, fingerprint, spelled};
use rig::{Daemon, eventually, free_tcp};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

const TOKEN: &str = "0123456789abcdef";
const LONG: Duration = Duration::from_secs(30);

type Tls = rustls::StreamOwned<rustls::ClientConnection, TcpStream>;

/// A connection that trusts what `roots` holds and wants the server to be called `name`.
fn connect(to: SocketAddr, roots: &Path, name: &str) -> std::io::Result<Tls> {
    let mut trusted = rustls::RootCertStore::empty();
    trusted.add(CertificateDer::from_pem_file(roots).expect("PEM")).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("versions").with_root_certificates(trusted).with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let session = rustls::ClientConnection::new(Arc::new(config), name).expect("a session");
    let socket = TcpStream::connect_timeout(&to, LONG)?;
    socket.set_read_timeout(Some(LONG))?;
    let mut stream = rustls::StreamOwned::new(session, socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

fn shown(stream: &Tls) -> String {
    spelled(&fingerprint(&stream.conn.peer_certificates().expect("it has shown one")[0]))
}

/// One request on a connection that stays; gives the head in small letters and the body.
fn ask(stream: &mut Tls, path: &str, token: Option<&str>) -> (String, String) {
    let bearer = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: box.example\r\n{bearer}\r\n").expect("it is sent");
    let mut all = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).expect("it answers");
        assert!(read > 0, "it closed after {:?}", String::from_utf8_lossy(&all));
        all.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&all).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if length.is_none_or(|n| body.len() >= n.parse::<usize>().expect("a number")) {
            return (head, body.to_owned());
        }
    }
}

/// Runs `ip` and says whether that worked.
fn ip(arguments: &str) -> bool {
    Command::new("ip").args(arguments.split(' ')).output().is_ok_and(|output| output.status.success())
}

/// This thread, in a network of its own from here on; its number.
fn go_elsewhere() -> Option<i32> {
    // SAFETY: both calls take no pointer; the first one concerns this thread alone, which makes its sockets after it.
    unsafe { (libc::unshare(libc::CLONE_NEWNET) == 0).then(|| libc::gettid()) }
}

/// An address of ours that a thread of this process reaches from elsewhere: the thread gets it when the cable is there.
fn cable(to: Option<i32>) -> Option<(IpAddr, String)> {
    let number = std::process::id() % 16_000;
    let (ours, theirs) = (format!("cwa{number}"), format!("cwb{number}"));
    let net = format!("198.18.{}.{}", number / 64, number % 64 * 4);
    let host =
        |n: u32| net.rsplit_once('.').map(|(head, last)| format!("{head}.{}", last.parse::<u32>().unwrap_or(0) + n));
    let (one, two) = (host(1)?, host(2)?);
    let laid = ip(&format!("link add {ours} type veth peer name {theirs} netns {}", to?))
        && ip(&format!("address add {one}/30 dev {ours}"))
        && ip(&format!("link set {ours} up"));
    laid.then(|| (one.parse().expect("an address"), format!("{theirs} {two}")))
}

#[test]
#[expect(clippy::print_stderr, reason = "what could not be done on this machine is said")]
fn https_from_another_network_with_a_certificate_that_changes_under_way() {
    let port = free_tcp().port();
    let listen = format!("0.0.0.0:{port}");
    std::thread::scope(|scope| {
        let (tell_number, number) = mpsc::sync_channel(1);
        let (tell_start, start) = mpsc::sync_channel::<(SocketAddr, Option<String>, Arc<Daemon>)>(1);
        let (tell_done, done) = mpsc::sync_channel::<Vec<TcpStream>>(1);
        let elsewhere = scope.spawn(move || {
            tell_number.send(go_elsewhere()).expect("it is awaited");
            let Ok((at, plug, daemon)) = start.recv() else { return };
            if let Some((device, address)) = plug.as_deref().and_then(|plug| plug.split_once(' ')) {
                assert!(ip(&format!("address add {address}/30 dev {device}")) && ip(&format!("link set {device} up")));
            }
            visit(at, &daemon);
            // Those who say nothing take no place from others.
            let silent = (0..700).map_while(|_| TcpStream::connect_timeout(&at, LONG).ok()).collect();
            tell_done.send(silent).expect("it is awaited");
        });
        let plugged = cable(number.recv().expect("it tells"));
        let set = [("CALLWRIGHT__HTTP__TLS_LISTEN", listen.as_str()), ("CALLWRIGHT__HTTP__TOKEN", TOKEN)];
        let daemon = Arc::new(Daemon::start_set("", &set));
        let at = match &plugged {
            Some((address, _)) => SocketAddr::new(*address, port),
            None => {
                eprintln!("no network namespace can be made here: HTTPS is asked from this machine's loopback");
                SocketAddr::from(([127, 0, 0, 1], port))
            }
        };
        // Without a namespace of its own the thread is where we are; with one but without a cable it reaches nobody.
        let reaches = plugged.is_some() || TcpStream::connect(at).is_ok();
        assert!(reaches, "{}", daemon.log());
        if plugged.is_none() {
            drop(tell_start);
            visit(at, &daemon);
        } else {
            tell_start.send((at, plugged.map(|(_, plug)| plug), Arc::clone(&daemon))).expect("it waits");
            if let Ok(silent) = done.recv() {
                let (status, _) = rig::get(daemon.http, "/health/live").expect("the loopback has places of its own");
                assert_eq!(status, 200);
                let certificate = daemon.data.join("tls/http-certificate.pem");
                let local = SocketAddr::from(([127, 0, 0, 1], port));
                let mut tls = connect(local, &certificate, "localhost").expect("so has its HTTPS");
                assert!(ask(&mut tls, "/health/live", None).0.contains(" 200 "));
                drop(silent);
            }
        }
        assert!(elsewhere.join().is_ok(), "see above");
        let mut daemon = Arc::into_inner(daemon).expect("the thread is over");
        assert!(daemon.alive() && !daemon.log().contains("panicked"), "{}", daemon.log());
    });
}

fn visit(at: SocketAddr, daemon: &Daemon) {
    let (certificate, key) = (daemon.data.join("tls/http-certificate.pem"), daemon.data.join("tls/http-key.pem"));
    assert_eq!(std::fs::metadata(&key).expect("the key").permissions().mode() & 0o777, 0o600);

    // The certificate names the address that this machine has towards us; its fingerprint is shown where operators look.
    let mut held = connect(at, &certificate, &at.ip().to_string()).expect("TLS");
    let first = shown(&held);
    assert!(daemon.log().contains(&first), "{first}\n{}", daemon.log());
    let (head, health) = ask(&mut held, "/health", Some(TOKEN));
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(health.contains(&format!("\"fingerprint\":\"{first}\",\"self_signed\":true")), "{health}");
    assert!(!head.contains("strict-transport-security"), "{head}");

    // The token's rules are those of HTTP.
    assert!(ask(&mut held, "/v1/calls", None).0.starts_with("http/1.1 401"));
    assert!(ask(&mut held, "/v1/calls", Some("0123456789abcdeg")).0.starts_with("http/1.1 401"));
    assert!(ask(&mut held, "/v1/calls", Some(TOKEN)).0.starts_with("http/1.1 200"));
    assert!(ask(&mut held, "/", None).0.starts_with("http/1.1 200"), "the page asks for the token");

    // WebSockets are opened under the same certificate and token (WSS).
    let open = |token: Option<&str>| {
        let tls = connect(at, &certificate, "localhost").expect("TLS");
        let mut request = "wss://localhost/stream".into_client_request().expect("an address");
        if let Some(token) = token {
            let bearer = format!("Bearer {token}").parse().expect("a field");
            request.headers_mut().insert("authorization", bearer);
        }
        match tungstenite::client(request, tls) {
            Ok((mut socket, upgraded)) => {
                socket.close(None).expect("it is closed");
                upgraded.status().as_u16()
            }
            Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(refused))) => refused.status().as_u16(),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!((open(Some(TOKEN)), open(None)), (101, 401));

    // Who does not trust it is let go, and the operator told why.
    let dir = tempfile::tempdir().expect("a directory");
    let other =
        TlsIdentity::own(dir.path(), "http", Making::for_browsers(vec!["localhost".to_owned()])).expect("another");
    assert!(connect(at, other.certificate_path(), "localhost").is_err());
    assert!(connect(at, &certificate, "callwright.example").is_err(), "nor is it called that");
    assert!(eventually(LONG, || daemon.log().contains("does not trust our certificate")), "{}", daemon.log());

    // Another certificate: for who comes from now on.
    for (file, from) in [(&certificate, "http-certificate.pem"), (&key, "http-key.pem")] {
        std::fs::copy(dir.path().join(from), file).expect("it is replaced");
    }
    rig::signal(daemon.pid(), "HUP");
    let second = spelled(&other.fingerprint().expect("it has one"));
    assert!(eventually(LONG, || daemon.log().contains(&second)), "{}", daemon.log());
    assert!(ask(&mut held, "/health/live", None).0.starts_with("http/1.1 200"), "the connection stands");
    assert_eq!(shown(&held), first);
    let mut new = connect(at, &certificate, "localhost").expect("TLS");
    assert_eq!(shown(&new), second);
    assert!(ask(&mut new, "/health", Some(TOKEN)).1.contains(&second));

    // A certificate that is none, or a key of another one, changes nothing.
    std::fs::write(&key, "nonsense").expect("it is replaced");
    rig::signal(daemon.pid(), "HUP");
    assert!(eventually(LONG, || daemon.log().contains("was not read again")), "{}", daemon.log());
    assert_eq!(shown(&connect(at, &certificate, "localhost").expect("TLS")), second);
}
