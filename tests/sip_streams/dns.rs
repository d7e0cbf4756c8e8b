//! Finding the peer by DNS, with a name server of our own on the loopback.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use callwright::sip::agent::{Placement, SipEvent};
use callwright::sip::transport::ListenConfig;
use hickory_resolver::proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, NAPTR, SOA, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::net::UdpSocket;

use super::{ANSWER, OFFER, any, next, start, stream_of, udp_only, with_tcp};

type Zone = HashMap<(String, RecordType), Vec<RData>>;

/// A name server that knows this zone; its address, and how often it was asked.
async fn serve(zone: Zone, ttl: u32) -> (SocketAddr, Arc<AtomicUsize>) {
    let socket = UdpSocket::bind(any()).await.unwrap();
    let address = socket.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        let mut buffer = [0; 2000];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            let Ok(query) = Message::from_vec(&buffer[..length]) else { continue };
            count.fetch_add(1, Ordering::Relaxed);
            let question = query.queries[0].clone();
            let key = (question.name().to_ascii().to_lowercase(), question.query_type());
            let known = zone.keys().any(|(name, _)| *name == key.0);
            let mut response = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
            response.metadata.recursion_desired = true;
            response.metadata.recursion_available = true;
            response.metadata.response_code = if known { ResponseCode::NoError } else { ResponseCode::NXDomain };
            for data in zone.get(&key).into_iter().flatten() {
                response.add_answer(Record::from_rdata(question.name().clone(), ttl, data.clone()));
            }
            if response.answers.is_empty() {
                // How long it may be remembered that there is nothing (RFC 2308).
                let soa = SOA::new(name("ns.test."), name("h.test."), 1, 300, 300, 300, ttl);
                response.add_authority(Record::from_rdata(name("test."), ttl, RData::SOA(soa)));
            }
            response.add_query(question);
            socket.send_to(&response.to_vec().unwrap(), from).await.unwrap();
        }
    });
    (address, asked)
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn srv(priority: u16, port: u16, target: &str) -> RData {
    RData::SRV(SRV::new(priority, 0, port, name(target)))
}

fn a() -> Vec<RData> {
    vec![RData::A(A(Ipv4Addr::LOCALHOST))]
}

fn asking(server: SocketAddr) -> ListenConfig {
    ListenConfig { name_servers: vec![server], ..udp_only() }
}

#[tokio::test]
async fn srv_leads_past_a_busy_server_and_a_dead_one_to_the_one_that_answers() {
    let (mut busy, mut good) = (start(udp_only()), start(with_tcp()));
    let dead = std::net::TcpListener::bind(any()).unwrap().local_addr().unwrap();
    let (busy_at, good_at) = (busy.handle().local(), stream_of(&good));
    let mut zone = Zone::new();
    zone.insert(("_sip._udp.trunk.test.".to_owned(), RecordType::SRV), vec![srv(10, busy_at.port(), "a.trunk.test.")]);
    let tcp = vec![srv(20, good_at.port(), "c.trunk.test."), srv(10, dead.port(), "b.trunk.test.")];
    zone.insert(("_sip._tcp.trunk.test.".to_owned(), RecordType::SRV), tcp);
    for host in ["a.trunk.test.", "b.trunk.test.", "c.trunk.test."] {
        zone.insert((host.to_owned(), RecordType::A), a());
    }
    zone.insert(("trunk.test.".to_owned(), RecordType::TXT), vec![]);
    let (server, asked) = serve(zone, 300).await;
    let mut caller = start(asking(server));
    let target = "sip:+4930@trunk.test";
    let hops = caller.handle().resolve(target).await.unwrap();
    let told: Vec<_> = hops.iter().map(ToString::to_string).collect();
    assert_eq!(told, [format!("UDP {busy_at}"), format!("TCP {dead}"), format!("TCP {good_at}")]);

    let began = Instant::now();
    let placement =
        Placement { hops: hops.clone(), ..Placement::new(target, hops[0].clone(), "<sip:a@h>", OFFER.to_vec()) };
    caller.handle().place(placement, |_| ()).await.unwrap();
    let SipEvent::Incoming { leg, .. } = next(&mut busy).await else { panic!("the busy one is asked first") };
    busy.handle().reject(leg, 503, "", &[("Retry-After", "30")]).await.unwrap();
    let SipEvent::Incoming { leg, .. } = next(&mut good).await else { panic!("the good one is asked last") };
    good.handle().accept(leg, ANSWER.to_vec()).await.unwrap();
    assert!(matches!(next(&mut caller).await, SipEvent::Accepted { .. }));
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());

    // The next call does not begin with those that have failed, and DNS is not asked again for what is known.
    let before = asked.load(Ordering::Relaxed);
    let again = caller.handle().resolve(target).await.unwrap();
    assert_eq!(again[0], hops[2], "{again:?}");
    assert_eq!(asked.load(Ordering::Relaxed), before, "records are kept for their time to live");
}

#[tokio::test]
async fn naptr_says_which_transport_and_a_short_time_to_live_is_kept_short() {
    let mut zone = Zone::new();
    let naptr = |order, service: &str, to: &str| {
        RData::NAPTR(NAPTR::new(order, 1, (*b"s").into(), service.as_bytes().into(), (*b"").into(), name(to)))
    };
    zone.insert(
        ("n.test.".to_owned(), RecordType::NAPTR),
        vec![naptr(20, "SIP+D2U", "_sip._udp.n.test."), naptr(10, "SIPS+D2T", "_sips._tcp.n.test.")],
    );
    zone.insert(("_sip._udp.n.test.".to_owned(), RecordType::SRV), vec![srv(1, 5070, "h.n.test.")]);
    zone.insert(("_sips._tcp.n.test.".to_owned(), RecordType::SRV), vec![srv(1, 5081, "h.n.test.")]);
    zone.insert(("h.n.test.".to_owned(), RecordType::A), a());
    let (server, asked) = serve(zone, 0).await;
    let caller = start(asking(server));
    let hops = caller.handle().resolve("sip:1@n.test").await.unwrap();
    let told: Vec<_> = hops.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["TLS 127.0.0.1:5081", "UDP 127.0.0.1:5070"]);
    assert_eq!(hops[0].host.as_deref(), Some("n.test"), "the certificate is for the domain that was called");
    let before = asked.load(Ordering::Relaxed);
    caller.handle().resolve("sip:1@n.test").await.unwrap();
    assert!(asked.load(Ordering::Relaxed) > before, "what lives 0 s is asked again");
    let error = caller.handle().resolve("sip:1@unknown.test").await.unwrap_err().to_string();
    assert!(error.contains("unknown.test has no address"), "{error}");
}
