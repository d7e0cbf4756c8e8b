//! Where peers reach us. Purpose: the address in a session description, and the candidates of those who check. Control threads.
//! Invariant: a peer is told addresses of one family alone: its own, or that of its audio. Deliberately absent: ports (`lease`).

use super::actor::Planes;
use super::media_leg::NoMedia;
use crate::config::Config;
use crate::sip::agent::is_loopback_or_private;
use crate::sip::sdp::other_family;
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

/// Whom the audio of an offer goes to, as far as our end of it depends on that: whoever sent it, unless all its audio is in the
/// other family of addresses, and this machine has one there.
pub(super) fn audio_peer(source: SocketAddr, offer: Option<&[u8]>) -> SocketAddr {
    let other = offer.and_then(|offer| other_family(offer, source.ip().to_canonical()));
    // What leads to ourselves is no way for those who come from elsewhere.
    let other = other.filter(|ip| ip.is_loopback() == source.ip().to_canonical().is_loopback());
    other.filter(|ip| local_address_towards(*ip).is_ok()).map_or(source, |ip| SocketAddr::new(ip, source.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audio_of_the_other_family_is_served_where_there_is_a_way() {
        let offer = |address: &str| {
            let family = if address.contains(':') { "IP6" } else { "IP4" };
            format!("v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nc=IN {family} {address}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n")
        };
        let of = |source: &str, address: &str| {
            audio_peer(source.parse().unwrap(), Some(offer(address).as_bytes())).to_string()
        };
        assert_eq!(of("[::1]:5060", "127.0.0.1"), "127.0.0.1:5060");
        assert_eq!(of("127.0.0.1:5060", "127.0.0.2"), "127.0.0.1:5060", "the same family: as ever");
        assert_eq!(of("[2001:db8::1]:5060", "127.0.0.1"), "[2001:db8::1]:5060", "loopback is nothing for others");
        assert_eq!(audio_peer("[::1]:5060".parse().unwrap(), None).to_string(), "[::1]:5060");
    }
}
