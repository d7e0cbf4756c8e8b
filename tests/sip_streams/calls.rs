//! Two of ours on streams.

use std::time::{Duration, Instant};

use callwright::sip::agent::{EndedBy, LegId, Placement, SipEvent};
use callwright::sip::hop::{Hop, Transport};
use callwright::sip::transport::{ListenConfig, SipTransport};
use tokio::time::timeout;

use super::{ANSWER, OFFER, any, clock, next, start, stream_of, udp_only, with_tcp};

/// Calls by this hop; both legs once the call is up.
pub(crate) async fn connect(caller: &mut SipTransport, callee: &mut SipTransport, hop: Hop) -> (LegId, LegId) {
    let placement = Placement::new("sip:b@127.0.0.1", hop, "<sip:a@127.0.0.1>", OFFER.to_vec());
    let out = caller.handle().place(placement, |_| ()).await.unwrap();
    let SipEvent::Incoming { leg, offer, .. } = next(callee).await else { panic!("an INVITE") };
    assert_eq!(offer.as_deref(), Some(OFFER));
    callee.handle().accept(leg, ANSWER.to_vec()).await.unwrap();
    assert_eq!(next(caller).await, SipEvent::Accepted { leg: out, answer: ANSWER.to_vec() });
    assert_eq!(next(callee).await, SipEvent::Confirmed { leg, answer: None });
    (out, leg)
}

#[tokio::test]
async fn a_call_over_tcp_is_ended_by_the_side_that_was_dialled() {
    // The caller listens on no stream: what the callee wants to say can only come by the caller's own connection.
    let (mut caller, mut callee) = (start(udp_only()), start(with_tcp()));
    let hop = Hop::tcp(stream_of(&callee));
    let (out, inn) = connect(&mut caller, &mut callee, hop).await;
    callee.handle().hang_up(inn, None).await.unwrap();
    assert!(matches!(next(&mut caller).await, SipEvent::Ended { leg, by: EndedBy::Remote, .. } if leg == out));
    assert!(matches!(next(&mut callee).await, SipEvent::Ended { leg, by: EndedBy::Local, .. } if leg == inn));
    let status = caller.handle().status().await.unwrap();
    assert_eq!((status.retransmissions, status.strays), (0, 0), "nothing is repeated on a stream");
}

#[tokio::test]
async fn one_connection_carries_many_calls() {
    let (mut caller, mut callee) = (start(udp_only()), start(with_tcp()));
    let hop = Hop::tcp(stream_of(&callee));
    let mut sources = Vec::new();
    for _ in 0..5 {
        let placement = Placement::new("sip:b@127.0.0.1", hop.clone(), "<sip:a@127.0.0.1>", OFFER.to_vec());
        caller.handle().place(placement, |_| ()).await.unwrap();
        let SipEvent::Incoming { leg, source, .. } = next(&mut callee).await else { panic!("an INVITE") };
        sources.push(source);
        callee.handle().reject(leg, 486, "", &[]).await.unwrap();
        assert!(matches!(next(&mut callee).await, SipEvent::Ended { .. }));
        assert!(matches!(next(&mut caller).await, SipEvent::Refused { code: 486, .. }));
    }
    sources.dedup();
    assert_eq!(sources.len(), 1, "{sources:?}");
}

#[tokio::test]
async fn a_peer_that_restarts_is_dialled_again() {
    let mut caller = start(udp_only());
    let mut callee = start(with_tcp());
    let address = stream_of(&callee);
    connect(&mut caller, &mut callee, Hop::tcp(address)).await;
    let (handle, events, task) = callee.into_parts();
    drop((handle, events));
    timeout(Duration::from_secs(5), task).await.expect("it ends without events' receiver").unwrap();
    let mut again = start(ListenConfig { tcp: vec![address], ..udp_only() });
    let began = Instant::now();
    connect(&mut caller, &mut again, Hop::tcp(address)).await;
    assert!(began.elapsed() < Duration::from_secs(3), "without waiting for a timer: {:?}", began.elapsed());
}

#[tokio::test]
async fn nobody_there_is_known_at_once() {
    let mut caller = start(udp_only());
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let began = Instant::now();
    let placement = Placement::new("sip:b@127.0.0.1", Hop::tcp(nobody), "<sip:a@127.0.0.1>", OFFER.to_vec());
    caller.handle().place(placement, |_| ()).await.unwrap();
    assert!(matches!(next(&mut caller).await, SipEvent::Refused { code: 503, .. }));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_invite_too_large_for_a_datagram_goes_by_tcp_where_there_is_tcp() {
    let large = || {
        let mut placement = Placement::new("sip:b@127.0.0.1", Hop::udp(any()), "<sip:a@127.0.0.1>", OFFER.to_vec());
        placement.headers = vec![("X-Large".to_owned(), "x".repeat(1200))];
        placement
    };
    let caller = start(udp_only());
    // UDP and TCP on one port, as everybody has it.
    let mut both = (0..50)
        .find_map(|_| {
            let tcp = std::net::TcpListener::bind(any()).unwrap().local_addr().unwrap();
            let config = ListenConfig { tcp: vec![tcp], ..ListenConfig::new(tcp, clock) };
            SipTransport::start(config, SipTransport::agent_config).ok()
        })
        .expect("a port that is free for both");
    let hop = Hop::udp(both.handle().local());
    caller.handle().place(Placement { hops: vec![hop], ..large() }, |_| ()).await.unwrap();
    assert!(matches!(next(&mut both).await, SipEvent::Incoming { source, .. } if source != caller.handle().local()));
    // Who has no TCP says so at once, and gets the datagram.
    let mut udp = start(udp_only());
    let hop = Hop::udp(udp.handle().local());
    let began = Instant::now();
    caller.handle().place(Placement { hops: vec![hop], ..large() }, |_| ()).await.unwrap();
    assert!(matches!(next(&mut udp).await, SipEvent::Incoming { source, .. } if source == caller.handle().local()));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test]
async fn ipv6_beside_ipv4_on_all_transports() {
    let Ok(six) = std::net::UdpSocket::bind("[::1]:0").and_then(|s| s.local_addr()) else { return };
    let config = || ListenConfig {
        udp_v6: Some("[::1]:0".parse().unwrap()),
        tcp: vec![any(), "[::1]:0".parse().unwrap()],
        ..udp_only()
    };
    let (mut caller, mut callee) = (start(config()), start(config()));
    let listeners = callee.handle().listeners().to_vec();
    assert_eq!(listeners.len(), 3);
    assert!(six.is_ipv6());
    for (transport, address) in listeners.into_iter().chain([(Transport::Udp, callee.handle().local())]) {
        let hop = Hop { transport, ..Hop::udp(address) };
        let (out, _) = connect(&mut caller, &mut callee, hop).await;
        caller.handle().hang_up(out, None).await.unwrap();
        assert!(matches!(next(&mut callee).await, SipEvent::Ended { by: EndedBy::Remote, .. }), "{address}");
        assert!(matches!(next(&mut caller).await, SipEvent::Ended { by: EndedBy::Local, .. }));
    }
}
