//! From `[sip]` to sockets and certificates. Purpose: what the daemon, `check` and `doctor` must see alike. Control threads.
//! Invariant: a first start with TLS and without a certificate makes one, once.

use std::path::Path;
use std::sync::Arc;

use crate::config::Config;
use crate::os::clock;
use crate::sip::hop::Transport;
use crate::sip::transport::ListenConfig;
use crate::sip::transport::tls::{PeerTrust, TlsError, TlsIdentity, TlsTrust, parse_fingerprint};
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
        _ => Some(TlsIdentity::own(&config.data.dir.join("tls"), own_names(config))?),
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

/// What a certificate of our own making is for: whatever peers may call us.
fn own_names(config: &Config) -> Vec<String> {
    let mut names = vec!["localhost".to_owned()];
    let host = std::fs::read_to_string(Path::new("/proc/sys/kernel/hostname")).unwrap_or_default();
    let host = host.trim().to_ascii_lowercase();
    if !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.')) {
        names.push(host);
    }
    let addresses = config.sip.tls.iter().map(SocketAddr::ip).filter(|ip| !ip.is_unspecified());
    names.extend(addresses.chain(config.sip.public_address).map(|ip| ip.to_string()));
    names.dedup();
    names
}
