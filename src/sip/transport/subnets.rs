//! Which networks are attached to this machine, from the kernel's routing tables. Purpose: until a trunk or extension is
//! configured, SIP is heard from loopback and attached private subnets only. Deliberately absent: firewalling.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use crate::sip::agent::is_loopback_or_private;

/// The tables are read again at most this often, when an address is not found (an interface may come up later).
const READ_AGAIN_AFTER: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Subnet {
    address: IpAddr,
    prefix: u32,
}

/// Loopback, and the private subnets that are attached (routes without gateway).
#[derive(Debug, Default)]
pub struct AttachedSubnets {
    subnets: Vec<Subnet>,
    read: Option<Instant>,
}

impl AttachedSubnets {
    /// Whether the address is on this machine or one private hop away.
    pub fn contains(&mut self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        if address.is_loopback() {
            return true;
        }
        if !is_loopback_or_private(address) {
            return false;
        }
        if self.matches(address) {
            return true;
        }
        if self.read.is_none_or(|at| at.elapsed() >= READ_AGAIN_AFTER) {
            self.read = Some(Instant::now());
            self.subnets = read_tables();
        }
        self.matches(address)
    }

    fn matches(&self, address: IpAddr) -> bool {
        self.subnets.iter().any(|s| s.contains(address))
    }
}

impl Subnet {
    fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(net), IpAddr::V4(a)) => {
                u32::from(net).checked_shr(32 - self.prefix).unwrap_or(0)
                    == u32::from(a).checked_shr(32 - self.prefix).unwrap_or(0)
            }
            (IpAddr::V6(net), IpAddr::V6(a)) => {
                u128::from(net).checked_shr(128 - self.prefix).unwrap_or(0)
                    == u128::from(a).checked_shr(128 - self.prefix).unwrap_or(0)
            }
            _ => false,
        }
    }
}

fn read_tables() -> Vec<Subnet> {
    // A table that cannot be read attaches nothing: the safe side.
    let v4 = fs::read_to_string("/proc/net/route").unwrap_or_default();
    let v6 = fs::read_to_string("/proc/net/ipv6_route").unwrap_or_default();
    v4.lines().filter_map(parse_v4).chain(v6.lines().filter_map(parse_v6)).collect()
}

/// `eth0 0002A8C0 00000000 0001 0 0 0 00FFFFFF …`: interface, destination, gateway, flags, …, mask; numbers in memory order.
fn parse_v4(line: &str) -> Option<Subnet> {
    let fields: Vec<_> = line.split_ascii_whitespace().collect();
    let number = |i: usize| u32::from_str_radix(fields.get(i)?, 16).ok().map(u32::to_le_bytes).map(u32::from_be_bytes);
    let (destination, gateway, mask) = (number(1)?, number(2)?, number(7)?);
    (gateway == 0 && mask != 0)
        .then(|| Subnet { address: Ipv4Addr::from(destination).into(), prefix: mask.leading_ones() })
}

/// `fd00… 40 0000… 00 0000… …`: destination, prefix length, source, its prefix length, next hop, …
fn parse_v6(line: &str) -> Option<Subnet> {
    let fields: Vec<_> = line.split_ascii_whitespace().collect();
    let destination = u128::from_str_radix(fields.first()?, 16).ok()?;
    let prefix = u32::from_str_radix(fields.get(1)?, 16).ok().filter(|p| (1..=128).contains(p))?;
    let next_hop = u128::from_str_radix(fields.get(4)?, 16).ok()?;
    (next_hop == 0).then(|| Subnet { address: Ipv6Addr::from(destination).into(), prefix })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_tables_are_read() {
        assert_eq!(parse_v4("Iface Destination Gateway Flags RefCnt Use Metric Mask"), None);
        let lan = parse_v4("eth0\t0002A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0").unwrap();
        assert_eq!(lan, Subnet { address: "192.168.2.0".parse().unwrap(), prefix: 24 });
        assert!(lan.contains("192.168.2.77".parse().unwrap()) && !lan.contains("192.168.3.1".parse().unwrap()));
        assert_eq!(parse_v4("eth0\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0"), None, "the default route");
        let six = parse_v6("fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001 eth0").unwrap();
        assert!(six.contains("fd00::1:2".parse().unwrap()) && !six.contains("fd01::1".parse().unwrap()));
        let mut attached = AttachedSubnets::default();
        assert!(attached.contains("127.0.0.1".parse().unwrap()) && attached.contains("::1".parse().unwrap()));
        assert!(!attached.contains("8.8.8.8".parse().unwrap()));
    }
}
