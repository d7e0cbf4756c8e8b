//! From `[sip]` and `[http]` to sockets and certificates. Purpose: what the daemon, `check` and `doctor` must see alike. Control threads.
//! Invariant: a first start with TLS and without a certificate makes one, once.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::Config;
use crate::os::clock;
use crate::sip::hop::Transport;
use crate::sip::transport::ListenConfig;
use crate::sip::transport::tls::{PeerTrust, TlsTrust};
use crate::tls::{Making, TlsError, TlsIdentity, machine_names, parse_fingerprint};
use rustls::pki_types::UnixTime;
use std::net::SocketAddr;

/// Everything that SIP listens on, certificates read (and made, when TLS is asked for and none is configured).
///
/// # Errors
/// [`TlsError`], which says what to do.
pub fn sip_listeners(config: &Config) -> Result<ListenConfig, TlsError> {
    let sip = &config.sip;
    let identity = match (&sip.certificate, &sip.key) {
        _ if sip.tls.is_empty() => None,
        (Some(certificate), Some(key)) => Some(TlsIdentity::read(certificate, key)?),
        _ => Some(TlsIdentity::own(&tls_directory(config), "sip", Making::for_good(sip_names(config)))?),
    };
    Ok(ListenConfig {
        udp_v6: sip.udp_v6,
        tcp: sip.tcp.clone(),
        tls: sip.tls.clone(),
        identity,
        client_roots: sip.client_ca.clone(),
        trust: Arc::new(trust(config)?),
        name_servers: sip.name_servers.clone(),
        ..ListenConfig::new(sip.udp, clock::monotonic)
    })
}

/// The certificate of HTTPS, read, or made at the first start; `None` where HTTPS is not asked for.
///
/// # Errors
/// [`TlsError`], which says what to do.
pub fn http_identity(config: &Config) -> Result<Option<Arc<TlsIdentity>>, TlsError> {
    let http = &config.http;
    if http.tls_listen.is_empty() {
        return Ok(None);
    }
    match (&http.certificate, &http.key) {
        (Some(certificate), Some(key)) => TlsIdentity::read(certificate, key).map(Some),
        _ => TlsIdentity::own(&tls_directory(config), "http", Making::for_browsers(http_names(config))).map(Some),
    }
}

/// The certificate of HTTPS as it lies there; makes nothing. `None` = it will be made at the first start.
///
/// # Errors
/// [`TlsError`], which says what to do.
pub fn present_certificate(config: &Config) -> Result<Option<Arc<TlsIdentity>>, TlsError> {
    if let (Some(certificate), Some(key)) = (&config.http.certificate, &config.http.key) {
        return TlsIdentity::read(certificate, key).map(Some);
    }
    let at = |what: &str| tls_directory(config).join(format!("http-{what}.pem"));
    let (certificate, key) = (at("certificate"), at("key"));
    if certificate.exists() && key.exists() { TlsIdentity::read(&certificate, &key).map(Some) } else { Ok(None) }
}

/// What an operator should know of the certificate of HTTPS: faults first.
#[must_use]
pub fn http_certificate_notes(config: &Config, identity: &TlsIdentity) -> Vec<String> {
    let (facts, shown) = (identity.facts(), identity.certificate_path().display());
    let mut notes = Vec::new();
    if let Some(fault) = facts.fault(UnixTime::now()) {
        notes.push(format!("{shown} {fault}; until then browsers refuse to call"));
    }
    if let Some(key) = identity.exposed_key() {
        let key = key.display();
        notes.push(format!("{key} can be read by every user of this machine: `chmod 600 {key}`"));
    }
    let own: Vec<_> = own_addresses(config).filter(|address| !facts.covers(address)).collect();
    if config.http.certificate.is_none() && !own.is_empty() {
        let (names, directory) = (own.join(", "), tls_directory(config));
        let files = directory.join("http-*.pem");
        notes.push(format!(
            "the certificate was made before this machine was {names}; to have it name that too, remove {} and restart",
            files.display()
        ));
    }
    notes
}

/// Reads every certificate and key that the configuration names; makes and changes nothing.
///
/// # Errors
/// [`TlsError`], which says what to do.
pub fn check_tls(config: &Config) -> Result<(), TlsError> {
    if let (Some(certificate), Some(key)) = (&config.sip.certificate, &config.sip.key) {
        TlsIdentity::read(certificate, key)?.server_config(config.sip.client_ca.as_deref())?;
    }
    trust(config).map(drop)
}

/// The same for HTTPS; also refuses what every browser refuses.
///
/// # Errors
/// [`TlsError`], which says what to do.
pub fn check_https(config: &Config) -> Result<(), TlsError> {
    let (Some(certificate), Some(key)) = (&config.http.certificate, &config.http.key) else { return Ok(()) };
    let why = TlsIdentity::read(certificate, key)?.facts().fault(UnixTime::now());
    why.map_or(Ok(()), |why| Err(TlsError::Worthless { path: certificate.clone(), why }))
}

/// Certificates of our own making.
fn tls_directory(config: &Config) -> PathBuf {
    config.data.dir.join("tls")
}

fn trust(config: &Config) -> Result<TlsTrust, TlsError> {
    let peers = config.sip.tls_peers.iter().map(|peer| {
        let trust = PeerTrust {
            roots: peer.ca.clone(),
            // Checked when the configuration was read.
            fingerprint: peer.fingerprint.as_deref().and_then(parse_fingerprint),
            client: peer.certificate.clone().zip(peer.key.clone()),
        };
        (peer.host.clone(), trust)
    });
    TlsTrust::new(&peers.collect::<Vec<_>>())
}

/// Every address of `[sip]` with its transport.
pub fn sip_addresses(config: &Config) -> impl Iterator<Item = (Transport, SocketAddr)> {
    let sip = &config.sip;
    let udp = [Some(sip.udp), sip.udp_v6].into_iter().flatten().map(|address| (Transport::Udp, address));
    let tcp = sip.tcp.iter().map(|address| (Transport::Tcp, *address));
    udp.chain(tcp).chain(sip.tls.iter().map(|address| (Transport::Tls, *address)))
}

/// What the certificate of our own making is for: whatever SIP peers may call us.
fn sip_names(config: &Config) -> Vec<String> {
    let addresses = config.sip.tls.iter().map(SocketAddr::ip).filter(|ip| !ip.is_unspecified());
    let addresses = addresses.chain(config.sip.public_address).map(|ip| ip.to_string());
    let host = machine_names().into_iter().filter(|name| name.parse::<std::net::IpAddr>().is_err());
    let mut names = vec!["localhost".to_owned()];
    for name in host.chain(addresses) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The same for browsers: whatever may stand in their address line.
fn http_names(config: &Config) -> Vec<String> {
    let mut names = machine_names();
    for address in own_addresses(config) {
        if !names.contains(&address) {
            names.push(address);
        }
    }
    names
}

/// Addresses at which browsers reach HTTPS by configuration.
fn own_addresses(config: &Config) -> impl Iterator<Item = String> {
    let listen = config.http.tls_listen.iter().map(SocketAddr::ip);
    let any = listen.clone().any(|ip| ip.is_unspecified());
    let machine = machine_names().into_iter().filter(move |name| any && name.parse::<std::net::IpAddr>().is_ok());
    listen.filter(|ip| !ip.is_unspecified()).chain(config.sip.public_address).map(|ip| ip.to_string()).chain(machine)
}
