//! Where peers reach us. Purpose: the address in a session description, and the candidates of those who check. Control threads.
//! Invariant: a peer is told addresses of its own family alone. Deliberately absent: ports (`lease`).

use super::actor::Planes;
use super::media_leg::NoMedia;
use crate::config::Config;
use crate::sip::agent::is_loopback_or_private;
use crate::sip::transport::local_address_towards;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Where peers with ICE reach a port of ours, the best first.
pub(super) fn candidates(config: &Config, address: IpAddr, port: u16) -> Vec<SocketAddr> {
    let mut addresses = vec![config.webrtc.address.unwrap_or(address)];
    let everywhere = config.rtp.address.is_none_or(|a| a.is_unspecified());
    // A browser on this machine need not look at its loopback interface.
    if config.webrtc.address.is_none() && address.is_loopback() && everywhere {
        let elsewhere: IpAddr = match address {
            IpAddr::V4(_) => Ipv4Addr::new(192, 0, 2, 1).into(),
            IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
        };
        addresses.extend(local_address_towards(elsewhere).ok());
        addresses.reverse();
    }
    addresses.extend(config.webrtc.public_address);
    addresses.retain(|a| a.is_ipv4() == address.is_ipv4());
    addresses.dedup();
    if addresses.is_empty() {
        addresses.push(address);
    }
    addresses.into_iter().map(|a| SocketAddr::new(a, port)).collect()
}

/// The address that the peer can send media to: what is configured for its trunk or in general, what it has told us that it
/// sees, what the system uses towards it.
pub(super) async fn local_address(planes: &Planes, peer: SocketAddr) -> Result<IpAddr, NoMedia> {
    let ip = peer.ip().to_canonical();
    // What is configured is of one family; peers of the other see what the kernel uses towards them.
    let of_family = |address: &IpAddr| address.is_ipv4() == ip.is_ipv4() && !ip.is_loopback();
    let told = planes.sip.with(move |agent, _| (agent.public_at_trunk(ip), agent.seen_as(ip))).await;
    let (at_trunk, seen) = told.unwrap_or_default();
    let config = planes.config();
    let at_trunk = at_trunk.filter(|address| address.is_ipv4() == ip.is_ipv4());
    if let Some(public) = at_trunk.or(config.sip.public_address.filter(of_family)) {
        return Ok(public);
    }
    let seen = seen.filter(of_family);
    let configured = config.rtp.address.filter(|a| !a.is_unspecified() && a.is_ipv4() == ip.is_ipv4());
    // Behind a NAT the address that we are bound to means nothing outside.
    if let Some(address) = configured.filter(|a| seen.is_none() || !is_loopback_or_private(*a)).or(seen) {
        return Ok(address);
    }
    local_address_towards(ip).map_err(|e| NoMedia::NoCapacity(format!("no route to {peer}: {e}")))
}
