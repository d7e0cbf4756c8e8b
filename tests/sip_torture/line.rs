//! What carries the messages. Purpose: a transport is a row of [`WAYS`]; everything else is the same for all.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};

use super::rig::{Daemon, free_tcp};
use super::text::Place;

/// A way to the daemon.
#[allow(dead_code, reason = "a way that the daemon has is in WAYS")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    Udp,
    Tcp,
    /// Each octet is a write, and mostly a segment, of its own.
    TcpByteByByte,
    Tls,
    /// Each octet is a record of its own.
    TlsByteByByte,
}

/// What the daemon speaks.
pub(crate) const WAYS: &[Way] = &[Way::Udp, Way::Tcp, Way::TcpByteByByte, Way::Tls, Way::TlsByteByByte];

/// A daemon whose every number is the echo, with its addresses.
pub(crate) struct Victim {
    pub(crate) daemon: Daemon,
    tcp: SocketAddr,
    tls: SocketAddr,
}

impl Victim {
    pub(crate) fn start() -> Self {
        let more =
            "[[extensions]]\nnumber = \"4475\"\npassword = \"torture\"\n[[routes]]\nmatch = \"*\"\napp = \"echo\"\n";
        let (tcp, tls) = (free_tcp(), free_tcp());
        let listen = [("CALLWRIGHT__SIP__TCP", tcp.to_string()), ("CALLWRIGHT__SIP__TLS", tls.to_string())];
        let has_streams = WAYS.iter().any(|way| way.is_stream());
        let mut listen: Vec<_> =
            listen.iter().filter(|_| has_streams).map(|(key, value)| (*key, value.as_str())).collect();
        // A port rests after its call, and calls follow each other fast.
        listen.push(("CALLWRIGHT__RTP__PORTS", "18000-31999"));
        Self { daemon: Daemon::start_set(more, &listen), tcp, tls }
    }
}

impl Way {
    pub(crate) fn is_stream(self) -> bool {
        self != Self::Udp
    }

    fn name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp | Self::TcpByteByByte => "TCP",
            Self::Tls | Self::TlsByteByByte => "TLS",
        }
    }
}

enum Carrier {
    Udp(UdpSocket),
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// One connection, or socket.
pub(crate) struct Line {
    way: Way,
    carrier: Carrier,
    /// What a stream has brought and nobody has read.
    pending: Vec<u8>,
    pub(crate) at: Place,
    /// Where the phone's audio would come; kept, so that its port is taken.
    _audio: UdpSocket,
}

impl Line {
    pub(crate) fn open(victim: &Victim, way: Way) -> Self {
        let audio = UdpSocket::bind("127.0.0.1:0").expect("a loopback port");
        let connect = |to: SocketAddr| {
            let stream = TcpStream::connect(to).expect("the daemon listens");
            stream.set_nodelay(true).expect("no delay");
            stream
        };
        let (carrier, me) = match way {
            Way::Udp => {
                let socket = UdpSocket::bind("127.0.0.1:0").expect("a loopback port");
                socket.connect(victim.daemon.sip).expect("loopback");
                let me = socket.local_addr();
                (Carrier::Udp(socket), me)
            }
            Way::Tcp | Way::TcpByteByByte => {
                let stream = connect(victim.tcp);
                let me = stream.local_addr();
                (Carrier::Tcp(stream), me)
            }
            Way::Tls | Way::TlsByteByByte => {
                let stream = connect(victim.tls);
                let me = stream.local_addr();
                let name = ServerName::try_from("callwright.test").expect("a name");
                let client = ClientConnection::new(Arc::new(trusting()), name).expect("a TLS client");
                (Carrier::Tls(Box::new(StreamOwned::new(client, stream))), me)
            }
        };
        let at = Place {
            me: me.expect("bound").to_string(),
            transport: way.name(),
            audio: audio.local_addr().expect("bound").port(),
        };
        Self { way, carrier, pending: Vec::new(), at, _audio: audio }
    }

    /// Sends the octets; a connection that the daemon has closed meanwhile takes no more of them.
    pub(crate) fn send(&mut self, octets: &[u8]) {
        let size = if matches!(self.way, Way::TcpByteByByte | Way::TlsByteByByte) { 1 } else { octets.len().max(1) };
        let sent = match &mut self.carrier {
            Carrier::Udp(socket) => socket.send(octets).map(|_| ()),
            Carrier::Tcp(stream) => octets.chunks(size).try_for_each(|part| stream.write_all(part)),
            Carrier::Tls(stream) => {
                octets.chunks(size).try_for_each(|part| stream.write_all(part).and_then(|()| stream.flush()))
            }
        };
        assert!(sent.is_ok() || self.way.is_stream(), "{sent:?}");
    }

    /// The next whole message within this time.
    pub(crate) fn receive(&mut self, within: Duration) -> Option<Vec<u8>> {
        let deadline = Instant::now() + within;
        let mut buffer = vec![0; 65_536];
        loop {
            if let Some(message) = self.whole() {
                return Some(message);
            }
            let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            let read = match &mut self.carrier {
                Carrier::Udp(socket) => socket.set_read_timeout(Some(left)).and_then(|()| socket.recv(&mut buffer)),
                Carrier::Tcp(stream) => stream.set_read_timeout(Some(left)).and_then(|()| stream.read(&mut buffer)),
                Carrier::Tls(stream) => {
                    stream.sock.set_read_timeout(Some(left)).and_then(|()| stream.read(&mut buffer))
                }
            };
            match read {
                Ok(length) if self.way == Way::Udp => return Some(buffer[..length].to_vec()),
                Ok(0) => return None,
                Ok(length) => self.pending.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
            if Instant::now() >= deadline && self.way.is_stream() && self.pending.is_empty() {
                return None;
            }
        }
    }

    /// The first whole message of a stream.
    fn whole(&mut self) -> Option<Vec<u8>> {
        let blank = self.pending.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        self.pending.drain(..blank);
        let head = self.pending.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
        let body = super::field(&self.pending[..head], "Content-Length")?.parse::<usize>().ok()?;
        (self.pending.len() >= head + body).then(|| self.pending.drain(..head + body).collect())
    }
}

/// A client that takes any certificate: who the daemon is does not matter here.
fn trusting() -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth()
}

#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
