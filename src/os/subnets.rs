//! Which addresses are near. Purpose: until a trunk or extension is configured, SIP is accepted from loopback and from
//! directly attached private subnets only. Control thread; reads `/proc/net` once at start.
//! Deliberately absent: following address changes (a restart learns them).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The subnets that this machine is attached to.
#[derive(Clone, Debug, Default)]
pub struct AttachedSubnets {
    v4: Vec<(Ipv4Addr, Ipv4Addr)>,
    v6: Vec<(Ipv6Addr, u8)>,
}

impl AttachedSubnets {
    /// Reads the kernel's tables; what cannot be read counts as not attached.
    #[must_use]
    pub fn read() -> Self {
        let route = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
        let inet6 = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
        Self { v4: parse_route(&route), v6: parse_if_inet6(&inet6) }
    }

    /// Whether `address` is loopback, or private and on an attached subnet.
    #[must_use]
    pub fn is_near(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => {
                v6.to_ipv4_mapped().is_some_and(|v4| self.is_near(IpAddr::V4(v4)))
            }
            _ if address.is_loopback() => true,
            IpAddr::V4(v4) => {
                (v4.is_private() || v4.is_link_local())
                    && self.v4.iter().any(|(net, mask)| v4.to_bits() & mask.to_bits() == net.to_bits())
            }
            IpAddr::V6(v6) => {
                (v6.is_unique_local() || v6.is_unicast_link_local())
                    && self.v6.iter().any(|(net, length)| {
                        let mask = u128::MAX.checked_shl(128 - u32::from(*length)).unwrap_or(0);
                        v6.to_bits() & mask == net.to_bits() & mask
                    })
            }
        }
    }
}

/// `/proc/net/route`: interface, destination, gateway, flags, …, mask; addresses as little-endian hex.
fn parse_route(text: &str) -> Vec<(Ipv4Addr, Ipv4Addr)> {
    let address = |hex: &str| u32::from_str_radix(hex, 16).ok().map(|v| Ipv4Addr::from(v.swap_bytes()));
    text.lines()
        .skip(1)
        .filter_map(|line| {
            let field: Vec<&str> = line.split_whitespace().collect();
            let (net, gateway, mask) = (address(field.get(1)?)?, address(field.get(2)?)?, address(field.get(7)?)?);
            (gateway.is_unspecified() && !mask.is_unspecified()).then_some((net, mask))
        })
        .collect()
}

/// `/proc/net/if_inet6`: address, interface index, prefix length (hex), …
fn parse_if_inet6(text: &str) -> Vec<(Ipv6Addr, u8)> {
    text.lines()
        .filter_map(|line| {
            let mut field = line.split_whitespace();
            let address = u128::from_str_radix(field.next()?, 16).ok()?;
            let length = u8::from_str_radix(field.nth(1)?, 16).ok()?;
            (length <= 128).then_some((Ipv6Addr::from(address), length))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_is_loopback_and_attached_private_subnets() {
        let subnets = AttachedSubnets {
            v4: parse_route(
                "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n\
                 eth0 00000000 0102A8C0 0003 0 0 0 00000000 0 0 0\n\
                 eth0 0002A8C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\n\
                 eth1 0008080A 00000000 0001 0 0 0 00FFFFFF 0 0 0\n",
            ),
            v6: parse_if_inet6("fd000000000000000000000000000001 02 40 00 80 eth0\nzz\n"),
        };
        let near = |a: &str| subnets.is_near(a.parse().unwrap());
        assert!(near("127.0.0.1") && near("::1") && near("::ffff:127.0.0.1"));
        assert!(near("192.168.2.77") && near("fd00::9"));
        assert!(!near("192.168.3.77"), "private, but not attached");
        assert!(!near("8.8.8.8") && !near("2001:db8::1") && !near("fd01::9"));
    }
}
