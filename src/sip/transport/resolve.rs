//! From a SIP URI to the hops that may serve it (RFC 3263 §4, RFC 2782, RFC 5922 §4). Purpose: transport, address and order
//! of preference from NAPTR, SRV, AAAA and A; whatever is not in DNS has its usual default. Control tasks. Invariants: what
//! the URI says counts before what DNS says; at most `limits::SIP_HOPS_MAX` hops come out, however many records go in; the
//! certificate is checked for the URI's host, never for a name that DNS came up with. Deliberately absent: caching (the
//! client beneath keeps records for their time to live) and the rules of the DNS protocol.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ProtocolConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};

use crate::limits;
use crate::sip::hop::{Hop, Transport};
use crate::sip::message::{Scheme, Uri};

/// Why a URI leads nowhere.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ResolveError {
    /// It is no `sip:` or `sips:` URI, or asks for a transport that we do not have. Correct it.
    #[error("{0} is no SIP URI that can be called: write sip:USER@HOST, with transport udp, tcp or tls if any")]
    BadTarget(String),
    /// DNS knows no address, or none of a family that we listen on. Correct the name, or the name server.
    #[error("{0} has no address{1}")]
    NotFound(String, &'static str),
    /// Name servers do not answer. Try again later.
    #[error("{0} was not found within {seconds} s; the name servers do not answer", seconds = limits::SIP_LOOKUP_MAX.as_secs())]
    TimedOut(String),
}

/// Which families of addresses can be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Families {
    /// IPv4.
    pub v4: bool,
    /// IPv6.
    pub v6: bool,
}

impl Families {
    const fn has(self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(_) => self.v4,
            IpAddr::V6(_) => self.v6,
        }
    }

    const fn only(self) -> &'static str {
        match (self.v4, self.v6) {
            (true, false) => " of IPv4, which is all that we listen on",
            (false, true) => " of IPv6, which is all that we listen on",
            _ => "",
        }
    }
}

/// A service of a domain: which transport, and the name whose SRV records serve it (RFC 3263 §4.1).
#[derive(Clone, PartialEq, Eq, Debug)]
struct Service {
    order: u16,
    preference: u16,
    transport: Transport,
    name: String,
}

/// A server of a service (RFC 2782).
#[derive(Clone, PartialEq, Eq, Debug)]
struct Server {
    priority: u16,
    weight: u16,
    port: u16,
    name: String,
}

/// What we ask DNS. An empty answer and a failure are the same: the next rule applies.
trait Dns {
    async fn services(&self, domain: &str) -> Vec<Service>;
    async fn servers(&self, name: &str) -> Vec<Server>;
    async fn addresses(&self, host: &str) -> Vec<IpAddr>;
}

/// Finds hops by DNS.
#[derive(Debug)]
pub struct SipResolver {
    /// `None` when the system has no resolver configuration: then only its own look-up is left.
    client: Option<TokioResolver>,
    /// The system's own look-up may help (mDNS, NSS modules); not with name servers of our own.
    system: bool,
    families: Families,
}

impl SipResolver {
    /// Asks these name servers, or those of `/etc/resolv.conf` when there are none.
    #[must_use]
    pub fn new(name_servers: &[SocketAddr], families: Families) -> Self {
        let builder = if name_servers.is_empty() {
            TokioResolver::builder_tokio()
        } else {
            let servers = name_servers.iter().map(|address| {
                let connections = [ProtocolConfig::Udp, ProtocolConfig::Tcp].map(|protocol| {
                    let mut connection = ConnectionConfig::new(protocol);
                    connection.port = address.port();
                    connection
                });
                NameServerConfig::new(address.ip(), true, connections.to_vec())
            });
            let config = ResolverConfig::from_name_servers(servers.collect());
            Ok(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()))
        };
        let client = builder.and_then(|mut builder| {
            let options = builder.options_mut();
            options.timeout = Duration::from_millis(1500);
            options.attempts = 2;
            options.cache_size = limits::SIP_DNS_RECORDS_MAX;
            options.positive_max_ttl = Some(Duration::from_secs(86_400));
            options.negative_max_ttl = Some(Duration::from_secs(60));
            builder.build()
        });
        if let Err(error) = &client {
            tracing::warn!(%error, "no DNS client; SRV and NAPTR records are not looked up");
        }
        Self { client: client.ok(), system: name_servers.is_empty(), families }
    }

    /// The hops for a URI, best first; at least one.
    ///
    /// # Errors
    /// [`ResolveError`].
    pub async fn resolve(&self, target: &str) -> Result<Vec<Hop>, ResolveError> {
        let random = &mut crate::os::random::u32;
        let found = tokio::time::timeout(limits::SIP_LOOKUP_MAX, hops_of(self, target, self.families, random)).await;
        found.unwrap_or_else(|_| Err(ResolveError::TimedOut(target.to_owned())))
    }
}

impl Dns for SipResolver {
    async fn services(&self, domain: &str) -> Vec<Service> {
        let Some(client) = &self.client else { return Vec::new() };
        let Ok(found) = client.lookup(absolute(domain), RecordType::NAPTR).await else { return Vec::new() };
        let records = found.answers().iter().filter_map(|record| match &record.data {
            RData::NAPTR(naptr) if naptr.flags.eq_ignore_ascii_case(b"s") => Some(Service {
                order: naptr.order,
                preference: naptr.preference,
                transport: transport_of(&naptr.services)?,
                name: naptr.replacement.to_ascii(),
            }),
            _ => None,
        });
        records.take(limits::SIP_DNS_ANSWERS_MAX).collect()
    }

    async fn servers(&self, name: &str) -> Vec<Server> {
        let Some(client) = &self.client else { return Vec::new() };
        let Ok(found) = client.lookup(absolute(name), RecordType::SRV).await else { return Vec::new() };
        let records = found.answers().iter().filter_map(|record| match &record.data {
            RData::SRV(srv) => {
                Some(Server { priority: srv.priority, weight: srv.weight, port: srv.port, name: srv.target.to_ascii() })
            }
            _ => None,
        });
        records.take(limits::SIP_DNS_ANSWERS_MAX).collect()
    }

    async fn addresses(&self, host: &str) -> Vec<IpAddr> {
        if let Some(client) = &self.client
            && let Ok(found) = client.lookup_ip(host).await
        {
            return found.iter().take(limits::SIP_DNS_ANSWERS_MAX).collect();
        }
        if !self.system {
            return Vec::new();
        }
        let found = tokio::net::lookup_host((host, 0)).await;
        found.map(|all| all.map(|a| a.ip()).take(limits::SIP_DNS_ANSWERS_MAX).collect()).unwrap_or_default()
    }
}

/// With its final dot: the search list of the machine has no business here.
fn absolute(name: &str) -> String {
    if name.ends_with('.') { name.to_owned() } else { format!("{name}.") }
}

/// NAPTR services of SIP (RFC 3263 §4.1, RFC 3861); others are of no use to us.
fn transport_of(services: &[u8]) -> Option<Transport> {
    match services.to_ascii_uppercase().as_slice() {
        b"SIP+D2U" => Some(Transport::Udp),
        b"SIP+D2T" => Some(Transport::Tcp),
        b"SIPS+D2T" => Some(Transport::Tls),
        _ => None,
    }
}

fn service_name(transport: Transport, domain: &str) -> String {
    let prefix = match transport {
        Transport::Udp => "_sip._udp",
        Transport::Tcp => "_sip._tcp",
        Transport::Tls => "_sips._tcp",
    };
    format!("{prefix}.{domain}")
}

async fn hops_of(
    dns: &impl Dns,
    target: &str,
    families: Families,
    random: &mut impl FnMut() -> u32,
) -> Result<Vec<Hop>, ResolveError> {
    let bad = || ResolveError::BadTarget(target.to_owned());
    let uri = Uri::parse(target.as_bytes()).map_err(|_| bad())?;
    let said = uri.transport();
    let unknown = said.is_none() && uri.param("transport").is_some();
    if !matches!(uri.scheme, Scheme::Sip | Scheme::Sips) || uri.host.is_empty() || unknown {
        return Err(bad());
    }
    let usual = said.unwrap_or(Transport::Udp);
    let name: Arc<str> = uri.host.trim_end_matches('.').into();
    let hop = |transport: Transport, address: IpAddr, port: u16| Hop {
        transport,
        address: SocketAddr::new(address, port),
        flow: None,
        host: (transport == Transport::Tls).then(|| Arc::clone(&name)),
    };
    let port = uri.port.unwrap_or(usual.default_port());
    let not_found = || ResolveError::NotFound(uri.host.clone(), families.only());
    if let Ok(literal) = uri.host.parse::<IpAddr>() {
        return if families.has(literal) { Ok(vec![hop(usual, literal, port)]) } else { Err(not_found()) };
    }
    let mut hops = Vec::new();
    if uri.port.is_none() {
        for (transport, service) in services(dns, &name, said).await {
            for server in by_weight(service, random) {
                for address in dns.addresses(&server.name).await.into_iter().filter(|a| families.has(*a)) {
                    hops.push(hop(transport, address, server.port));
                }
                if hops.len() >= limits::SIP_HOPS_MAX {
                    break;
                }
            }
        }
    }
    if hops.is_empty() {
        let addresses = dns.addresses(&uri.host).await.into_iter().filter(|a| families.has(*a));
        hops.extend(addresses.map(|address| hop(usual, address, port)));
    }
    hops.dedup();
    hops.truncate(limits::SIP_HOPS_MAX);
    if hops.is_empty() { Err(not_found()) } else { Ok(hops) }
}

/// The services to try in order, with their servers; those without servers left out.
async fn services(dns: &impl Dns, domain: &str, said: Option<Transport>) -> Vec<(Transport, Vec<Server>)> {
    let mut found = Vec::new();
    if let Some(transport) = said {
        found.push((transport, dns.servers(&service_name(transport, domain)).await));
    } else {
        // Asked together: a name server that does not know NAPTR must not cost its time-out on top.
        let [udp, tcp, tls] = [Transport::Udp, Transport::Tcp, Transport::Tls].map(|t| service_name(t, domain));
        let (mut naptr, udp, tcp, tls) =
            tokio::join!(dns.services(domain), dns.servers(&udp), dns.servers(&tcp), dns.servers(&tls));
        naptr.sort_by_key(|service| (service.order, service.preference));
        for service in naptr {
            found.push((service.transport, dns.servers(&service.name).await));
        }
        if found.iter().all(|(_, servers)| servers.is_empty()) {
            found = vec![(Transport::Udp, udp), (Transport::Tcp, tcp), (Transport::Tls, tls)];
        }
    }
    found.retain(|(_, servers)| !servers.is_empty());
    found
}

/// Servers in the order in which to try them: by priority, within one by lot as their weights say (RFC 2782).
fn by_weight(mut servers: Vec<Server>, random: &mut impl FnMut() -> u32) -> Vec<Server> {
    // A lone dot says that the service is decidedly not there.
    servers.retain(|server| server.name != "." && server.port != 0);
    // Those of weight 0 first, so that they have a small chance too.
    servers.sort_by_key(|server| (server.priority, server.weight != 0));
    let mut ordered = Vec::with_capacity(servers.len());
    while let Some(first) = servers.first() {
        let priority = first.priority;
        let group = servers.iter().take_while(|s| s.priority == priority).count();
        let sum: u64 = servers[..group].iter().map(|s| u64::from(s.weight)).sum();
        let lot = (u64::from(random()) * (sum + 1)) >> 32;
        let mut passed = 0;
        let chosen = servers[..group].iter().position(|s| {
            passed += u64::from(s.weight);
            passed >= lot
        });
        ordered.push(servers.remove(chosen.unwrap_or(0)));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const BOTH: Families = Families { v4: true, v6: true };
    const V4: Families = Families { v4: true, v6: false };

    #[derive(Default)]
    struct Zone {
        services: HashMap<&'static str, Vec<Service>>,
        servers: HashMap<&'static str, Vec<Server>>,
        addresses: HashMap<&'static str, Vec<IpAddr>>,
    }

    impl Dns for Zone {
        async fn services(&self, domain: &str) -> Vec<Service> {
            self.services.get(domain).cloned().unwrap_or_default()
        }
        async fn servers(&self, name: &str) -> Vec<Server> {
            self.servers.get(name).cloned().unwrap_or_default()
        }
        async fn addresses(&self, host: &str) -> Vec<IpAddr> {
            self.addresses.get(host).cloned().unwrap_or_default()
        }
    }

    fn server(priority: u16, weight: u16, port: u16, name: &str) -> Server {
        Server { priority, weight, port, name: name.to_owned() }
    }

    fn zone() -> Zone {
        let mut zone = Zone::default();
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        zone.addresses.insert("a.example", vec![ip("192.0.2.1"), ip("2001:db8::1")]);
        zone.addresses.insert("b.example", vec![ip("192.0.2.2")]);
        zone.addresses.insert("plain.example", vec![ip("192.0.2.9")]);
        zone.servers
            .insert("_sip._udp.srv.example", vec![server(20, 0, 5070, "b.example"), server(10, 0, 5060, "a.example")]);
        zone.servers.insert("_sip._tcp.srv.example", vec![server(10, 0, 5080, "b.example")]);
        zone.servers.insert("_sips._tcp.naptr.example", vec![server(1, 1, 5061, "b.example")]);
        zone.servers.insert("_sip._udp.naptr.example", vec![server(1, 1, 5060, "a.example")]);
        zone.services.insert(
            "naptr.example",
            vec![
                Service {
                    order: 20,
                    preference: 1,
                    transport: Transport::Udp,
                    name: "_sip._udp.naptr.example".to_owned(),
                },
                Service {
                    order: 10,
                    preference: 1,
                    transport: Transport::Tls,
                    name: "_sips._tcp.naptr.example".to_owned(),
                },
            ],
        );
        zone.servers.insert("_sip._udp.none.example", vec![server(0, 0, 5060, ".")]);
        zone
    }

    fn hops(target: &str, families: Families) -> Result<Vec<String>, ResolveError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let found = runtime.block_on(hops_of(&zone(), target, families, &mut || 0));
        let told = |hop: Hop| format!("{hop}{}", hop.host.as_ref().map(|h| format!(" {h}")).unwrap_or_default());
        found.map(|hops| hops.into_iter().map(told).collect())
    }

    #[test]
    fn what_the_uri_says_comes_first() {
        for (target, expected) in [
            ("sip:1@192.0.2.7", vec!["UDP 192.0.2.7:5060"]),
            ("sip:1@192.0.2.7:5099;transport=tcp", vec!["TCP 192.0.2.7:5099"]),
            ("sips:1@192.0.2.7", vec!["TLS 192.0.2.7:5061 192.0.2.7"]),
            ("sip:1@[2001:db8::7]", vec!["UDP [2001:db8::7]:5060"]),
            ("sip:1@plain.example", vec!["UDP 192.0.2.9:5060"]),
            ("sip:1@plain.example:5099", vec!["UDP 192.0.2.9:5099"]),
            ("sip:1@plain.example;transport=tls", vec!["TLS 192.0.2.9:5061 plain.example"]),
            // A port means that SRV is not asked.
            ("sip:1@a.example:5060", vec!["UDP 192.0.2.1:5060", "UDP [2001:db8::1]:5060"]),
        ] {
            assert_eq!(hops(target, BOTH).unwrap(), expected, "{target}");
        }
    }

    #[test]
    fn servers_come_by_priority_and_transports_by_preference() {
        let all = hops("sip:1@srv.example", BOTH).unwrap();
        let expected = ["UDP 192.0.2.1:5060", "UDP [2001:db8::1]:5060", "UDP 192.0.2.2:5070", "TCP 192.0.2.2:5080"];
        assert_eq!(all, expected);
        assert_eq!(hops("sip:1@srv.example;transport=tcp", BOTH).unwrap(), ["TCP 192.0.2.2:5080"]);
        assert_eq!(
            hops("sip:1@srv.example", V4).unwrap(),
            ["UDP 192.0.2.1:5060", "UDP 192.0.2.2:5070", "TCP 192.0.2.2:5080"]
        );
        // The domain's own name is what the certificate must carry, not the server's (RFC 5922).
        assert_eq!(
            hops("sip:1@naptr.example", V4).unwrap(),
            ["TLS 192.0.2.2:5061 naptr.example", "UDP 192.0.2.1:5060"]
        );
    }

    #[test]
    fn what_leads_nowhere_is_said() {
        for bad in ["tel:+49", "sip:1@h;transport=sctp", "sips:1@h;transport=udp", "nonsense"] {
            assert!(matches!(hops(bad, BOTH), Err(ResolveError::BadTarget(_))), "{bad}");
        }
        assert!(matches!(hops("sip:1@none.example", BOTH), Err(ResolveError::NotFound(..))), "a lone dot");
        let error = hops("sip:1@[2001:db8::7]", V4).unwrap_err().to_string();
        assert!(error.contains("IPv4"), "{error}");
    }

    #[test]
    fn weights_are_shares() {
        let servers = || {
            vec![server(1, 3, 1, "three"), server(1, 1, 2, "one"), server(1, 0, 3, "zero"), server(0, 0, 4, "first")]
        };
        let mut seed = 1u32;
        let mut random = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed
        };
        let mut seconds: HashMap<String, u32> = HashMap::new();
        for _ in 0..2_000 {
            let order = by_weight(servers(), &mut random);
            assert_eq!((order.len(), order[0].name.as_str()), (4, "first"));
            *seconds.entry(order[1].name.clone()).or_default() += 1;
        }
        assert!((1_000..1_600).contains(&seconds["three"]), "{seconds:?}");
        assert!((250..600).contains(&seconds["one"]) && seconds.contains_key("zero"), "{seconds:?}");
    }

    #[tokio::test]
    async fn names_of_this_machine_are_found() {
        let resolver = SipResolver::new(&[], V4);
        assert_eq!(resolver.resolve("sip:a@127.0.0.1:5090").await.unwrap()[0].to_string(), "UDP 127.0.0.1:5090");
        assert_eq!(resolver.resolve("sip:a@localhost:5090").await.unwrap()[0].to_string(), "UDP 127.0.0.1:5090");
    }
}
