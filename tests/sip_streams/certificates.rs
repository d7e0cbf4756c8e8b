//! TLS: whom we believe, whom we let in, and certificates that change under way.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use callwright::sip::agent::{EndedBy, Placement, SipEvent};
use callwright::sip::hop::Hop;
use callwright::sip::transport::tls::{PeerTrust, TlsTrust};
use callwright::sip::transport::{ListenConfig, ListenError, SipTransport};
use callwright::tls::{Making, TlsIdentity};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::calls::connect;
use super::{OFFER, any, next, start, stream_of, udp_only};

/// A certificate authority of our own, with its certificates in a directory.
struct Authority {
    dir: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

impl Authority {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(dir.path().join("ca.pem"), pem("CERTIFICATE", issuer.der())).unwrap();
        Self { dir, issuer }
    }

    fn roots(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Certificate and key for these names.
    fn issue(&self, file: &str, names: &[&str]) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap();
        let paths = (self.dir.path().join(format!("{file}.pem")), self.dir.path().join(format!("{file}.key")));
        fs::write(&paths.0, pem("CERTIFICATE", certificate.der())).unwrap();
        fs::write(&paths.1, pem("PRIVATE KEY", &key.serialize_der())).unwrap();
        paths
    }
}

fn listening((certificate, key): &(PathBuf, PathBuf)) -> ListenConfig {
    ListenConfig { tls: vec![any()], identity: Some(TlsIdentity::read(certificate, key).unwrap()), ..udp_only() }
}

fn trusting(host: &str, trust: PeerTrust) -> ListenConfig {
    ListenConfig { trust: Arc::new(TlsTrust::new(&[(host.to_owned(), trust)]).unwrap()), ..udp_only() }
}

fn roots(path: &Path) -> PeerTrust {
    PeerTrust { roots: Some(path.to_owned()), ..PeerTrust::default() }
}

async fn is_refused(caller: &mut SipTransport, address: SocketAddr, host: &str) {
    let began = Instant::now();
    let placement = Placement::new("sip:b@h", Hop::tls(address, host), "<sip:a@h>", OFFER.to_vec());
    caller.handle().place(placement, |_| ()).await.unwrap();
    let event = next(caller).await;
    assert!(matches!(event, SipEvent::Refused { code: 503, .. }), "{host}: {event:?}");
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[tokio::test]
async fn the_name_in_the_certificate_is_checked_against_the_peers() {
    let ca = Authority::new();
    let mut callee = start(listening(&ca.issue("callee", &["trunk.example"])));
    let address = stream_of(&callee);
    let mut caller = start(trusting("trunk.example", roots(&ca.roots())));
    let (out, inn) = connect(&mut caller, &mut callee, Hop::tls(address, "trunk.example")).await;
    // The callee hangs up by the connection that it was called by.
    callee.handle().hang_up(inn, None).await.unwrap();
    assert!(matches!(next(&mut caller).await, SipEvent::Ended { leg, by: EndedBy::Remote, .. } if leg == out));
    // The same certificate does not make it another peer, whoever signed it.
    let mut other = start(trusting("other.example", roots(&ca.roots())));
    is_refused(&mut other, address, "other.example").await;
    // A peer without a rule is checked by the system's roots, which do not know this authority.
    let mut stranger = start(udp_only());
    is_refused(&mut stranger, address, "trunk.example").await;
    let elsewhere = Authority::new();
    let mut misled = start(trusting("trunk.example", roots(&elsewhere.roots())));
    is_refused(&mut misled, address, "trunk.example").await;
}

#[tokio::test]
async fn a_pinned_certificate_is_good_whatever_it_says_and_no_other_is() {
    let dir = tempfile::tempdir().unwrap();
    let identity = TlsIdentity::own(dir.path(), "sip", Making::for_good(vec!["box".to_owned()])).unwrap();
    let fingerprint = identity.fingerprint();
    let mut callee = start(ListenConfig { tls: vec![any()], identity: Some(Arc::clone(&identity)), ..udp_only() });
    let address = stream_of(&callee);
    let pinned = |fingerprint| PeerTrust { fingerprint, ..PeerTrust::default() };
    let mut caller = start(trusting("pbx.example", pinned(fingerprint)));
    connect(&mut caller, &mut callee, Hop::tls(address, "pbx.example")).await;
    let mut wrong = start(trusting("pbx.example", pinned(Some([7; 32]))));
    is_refused(&mut wrong, address, "pbx.example").await;
}

#[tokio::test]
async fn only_peers_with_our_certificate_are_let_in_when_we_ask_for_it() {
    let ca = Authority::new();
    let config = listening(&ca.issue("callee", &["trunk.example"]));
    let mut callee = start(ListenConfig { client_roots: Some(ca.roots()), ..config });
    let address = stream_of(&callee);
    let mut nobody = start(trusting("trunk.example", roots(&ca.roots())));
    is_refused(&mut nobody, address, "trunk.example").await;
    let client = Some(ca.issue("caller", &["caller.example"]));
    let mut caller = start(trusting("trunk.example", PeerTrust { client, ..roots(&ca.roots()) }));
    connect(&mut caller, &mut callee, Hop::tls(address, "trunk.example")).await;
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_new_connections_and_calls_go_on() {
    let ca = Authority::new();
    let files = ca.issue("callee", &["trunk.example"]);
    let mut callee = start(listening(&files));
    let address = stream_of(&callee);
    let mut caller = start(trusting("trunk.example", roots(&ca.roots())));
    let (out, inn) = connect(&mut caller, &mut callee, Hop::tls(address, "trunk.example")).await;
    // The authority has changed with it.
    let later = Authority::new();
    let (certificate, key) = later.issue("callee", &["trunk.example"]);
    fs::copy(certificate, &files.0).unwrap();
    fs::copy(key, &files.1).unwrap();
    assert!(callee.handle().reload_certificates().unwrap());
    let mut newcomer = start(trusting("trunk.example", roots(&later.roots())));
    connect(&mut newcomer, &mut callee, Hop::tls(address, "trunk.example")).await;
    let mut late = start(trusting("trunk.example", roots(&ca.roots())));
    is_refused(&mut late, address, "trunk.example").await;
    // The first call has noticed nothing of it.
    caller.handle().hang_up(out, None).await.unwrap();
    let event = next(&mut callee).await;
    assert!(matches!(event, SipEvent::Ended { leg, by: EndedBy::Remote, .. } if leg == inn), "{event:?}");
    fs::write(&files.1, "nonsense").unwrap();
    assert!(callee.handle().reload_certificates().is_err());
}

#[tokio::test]
async fn tls_without_a_certificate_says_what_is_missing() {
    let error = SipTransport::start(ListenConfig { tls: vec![any()], ..udp_only() }, SipTransport::agent_config);
    let error = error.unwrap_err();
    assert!(matches!(error, ListenError::NoIdentity) && error.to_string().contains("certificate"), "{error}");
    let nowhere = TlsIdentity::read(Path::new("/nowhere/c.pem"), Path::new("/nowhere/k.pem")).unwrap_err();
    assert!(nowhere.to_string().contains("/nowhere/c.pem"), "{nowhere}");
}
