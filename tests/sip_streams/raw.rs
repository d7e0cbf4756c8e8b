//! A peer that writes octets as the test says.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use callwright::sip::agent::{EndedBy, Placement, SipEvent};
use callwright::sip::hop::Hop;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::{ANSWER, OFFER, any, next, start, stream_of, udp_only, with_tcp};

fn options(number: u32) -> String {
    format!(
        "OPTIONS sip:x@h SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK{number}\r\nMax-Forwards: 70\r\nFrom: <sip:a@h>;tag=1\r\n\
         To: <sip:x@h>\r\nCall-ID: {number}\r\nCSeq: {number} OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
}

/// The next message; its head only, as ours have no bodies here but those that the tests know.
async fn message(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let read = async {
        while !all.ends_with(b"\r\n\r\n") || all == b"\r\n\r\n" {
            all.push(stream.read_u8().await.expect("an octet"));
        }
        let head = String::from_utf8_lossy(&all).into_owned();
        let length = header(&head, "Content-Length").parse().unwrap_or(0);
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.expect("the body");
        head
    };
    timeout(Duration::from_secs(10), read).await.expect("a message within 10 s")
}

fn header<'a>(message: &'a str, name: &str) -> &'a str {
    message.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default()
}

async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await.is_ok()
}

#[tokio::test]
async fn octet_by_octet_and_two_in_one_segment() {
    let ours = start(with_tcp());
    let mut peer = TcpStream::connect(stream_of(&ours)).await.unwrap();
    peer.set_nodelay(true).unwrap();
    for octet in options(1).bytes() {
        peer.write_all(&[octet]).await.unwrap();
    }
    let answer = message(&mut peer).await;
    assert!(answer.starts_with("SIP/2.0 200 ") && header(&answer, "CSeq") == "1 OPTIONS", "{answer}");
    let both = [&b"\r\n"[..], options(2).as_bytes(), b"\r\n\r\n", options(3).as_bytes(), &options(4).as_bytes()[..40]]
        .concat();
    peer.write_all(&both).await.unwrap();
    peer.write_all(&options(4).as_bytes()[40..]).await.unwrap();
    let mut pongs = 0;
    for number in 2..=4 {
        let answer = message(&mut peer).await;
        assert_eq!(header(&answer, "CSeq"), format!("{number} OPTIONS"));
        pongs += answer.len() - answer.trim_start().len();
    }
    assert_eq!(pongs, 2, "the ping between two messages is answered with one CRLF");
}

#[tokio::test]
async fn one_bad_message_costs_nobody_the_connection_and_an_uncertain_one_only_that() {
    let ours = start(with_tcp());
    let address = stream_of(&ours);
    let mut peer = TcpStream::connect(address).await.unwrap();
    for bad in [
        options(1).replace("CSeq: 1 OPTIONS", "CSeq: x"),
        options(2).replace("To: <sip:x@h>", "To: \"open <sip:x@h>"),
        options(3).replace("Max-Forwards: 70", "nonsense"),
        options(4).replace("Content-Length", "From: <sip:b@h>;tag=2\r\nContent-Length"),
    ] {
        peer.write_all(bad.as_bytes()).await.unwrap();
        let answer = message(&mut peer).await;
        assert!(answer.starts_with("SIP/2.0 400 "), "{bad}{answer}");
    }
    peer.write_all(options(5).as_bytes()).await.unwrap();
    assert!(message(&mut peer).await.starts_with("SIP/2.0 200 "));
    for hopeless in [
        options(6).replace("Content-Length: 0", "Content-Length: 18446744073709551616"),
        options(6).replace("Content-Length: 0", "Content-Length: 5\r\nl: 6"),
        options(6).replace("Content-Length: 0", "Content-Type: application/sdp"),
        "GET / HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "\u{16}\u{3}\u{1}".repeat(10_000),
    ] {
        let mut other = TcpStream::connect(address).await.unwrap();
        other.write_all(hopeless.as_bytes()).await.unwrap();
        assert!(is_closed(&mut other).await, "{hopeless}");
    }
    peer.write_all(options(7).as_bytes()).await.unwrap();
    assert!(message(&mut peer).await.starts_with("SIP/2.0 200 "), "others have heard nothing of it");
}

/// All that comes until the connection is closed.
async fn rest(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    timeout(Duration::from_secs(20), stream.read_to_end(&mut all)).await.expect("closed").unwrap();
    String::from_utf8(all).unwrap()
}

#[tokio::test]
async fn whoever_sends_a_message_that_will_not_be_whole_is_told_before_the_end() {
    let ours = start(with_tcp());
    let address = stream_of(&ours);
    let long = format!("Content-Length: 0\r\n{}", "X: y\r\n".repeat(callwright::limits::SIP_HEAD_MAX / 6));
    let body = format!("Content-Length: 40000\r\n\r\n{}", "v=0\r\n".repeat(8_000));
    for (length, code) in [
        ("Content-Length: five", 400),
        ("Content-Length: -1", 400),
        ("Content-Length: 5\r\nl: 6", 400),
        ("Content-Type: application/sdp", 400),
        ("Content-Length: 40000", 413),
        (body.trim_end(), 413),
        (long.trim_end(), 513),
    ] {
        let mut peer = TcpStream::connect(address).await.unwrap();
        peer.write_all(options(6).replace("Content-Length: 0", length).as_bytes()).await.unwrap();
        let said = rest(&mut peer).await;
        assert!(said.starts_with(&format!("SIP/2.0 {code} ")) && header(&said, "CSeq") == "6 OPTIONS", "{said}");
        assert_eq!(said.matches("SIP/2.0 ").count(), 1, "once: {said}");
    }
    // Less came than was announced, and no more will.
    let mut cut = TcpStream::connect(address).await.unwrap();
    cut.write_all(options(7).replace("Content-Length: 0", "Content-Length: 9").as_bytes()).await.unwrap();
    cut.shutdown().await.unwrap();
    assert!(rest(&mut cut).await.starts_with("SIP/2.0 400 "));
    // An ACK is not answered, whatever is wrong with it; nor what has no Via.
    for mute in [options(8).replace("OPTIONS", "ACK"), options(8).replace("Via: SIP/2.0/TCP h;branch=z9hG4bK8\r\n", "")]
    {
        let mut peer = TcpStream::connect(address).await.unwrap();
        peer.write_all(mute.replace("Content-Length: 0", "Content-Length: x").as_bytes()).await.unwrap();
        assert_eq!(rest(&mut peer).await, "");
    }
}

#[tokio::test]
async fn silent_connections_give_way_to_whoever_has_something_to_say() {
    let ours = start(with_tcp());
    let address = stream_of(&ours);
    let mut speaks = TcpStream::connect(address).await.unwrap();
    speaks.write_all(options(1).as_bytes()).await.unwrap();
    assert!(message(&mut speaks).await.starts_with("SIP/2.0 200 "));
    let mut silent = Vec::new();
    for _ in 0..callwright::limits::SIP_FLOWS_PER_SOURCE_MAX + 20 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let mut newcomer = TcpStream::connect(address).await.unwrap();
    newcomer.write_all(options(2).as_bytes()).await.unwrap();
    assert!(message(&mut newcomer).await.starts_with("SIP/2.0 200 "), "there is room");
    for gone in &mut silent[..20] {
        assert!(is_closed(gone).await, "the longest silent");
    }
    speaks.write_all(options(3).as_bytes()).await.unwrap();
    assert!(message(&mut speaks).await.starts_with("SIP/2.0 200 "), "who has spoken stays");
}

#[tokio::test]
async fn a_peer_that_does_not_read_keeps_nobody_waiting() {
    let ours = start(with_tcp());
    let address = stream_of(&ours);
    let mut deaf = TcpStream::connect(address).await.unwrap();
    let mut listening = TcpStream::connect(address).await.unwrap();
    // Asks for far more answers than all buffers hold, and takes none.
    let flood = tokio::spawn(async move {
        let asked = options(1).repeat(20);
        while timeout(Duration::from_secs(2), deaf.write_all(asked.as_bytes())).await.is_ok_and(|sent| sent.is_ok()) {}
        deaf
    });
    for number in 2..40 {
        let began = Instant::now();
        listening.write_all(options(number).as_bytes()).await.unwrap();
        assert_eq!(header(&message(&mut listening).await, "CSeq"), format!("{number} OPTIONS"));
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    flood.await.unwrap();
}

/// A peer at which we have called, and its connection.
async fn called() -> (callwright::sip::transport::SipTransport, callwright::sip::agent::LegId, TcpListener, TcpStream) {
    let mut ours = start(udp_only());
    let peer = TcpListener::bind(any()).await.unwrap();
    let address: SocketAddr = peer.local_addr().unwrap();
    let placement = Placement::new("sip:b@h", Hop::tcp(address), "<sip:a@h>", OFFER.to_vec());
    let leg = ours.handle().place(placement, |_| ()).await.unwrap();
    let (mut stream, _) = peer.accept().await.unwrap();
    let invite = message(&mut stream).await;
    let answer = format!(
        "SIP/2.0 200 OK\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=t\r\nCall-ID: {}\r\nCSeq: 1 INVITE\r\nContact: <sip:b@{address};transport=tcp>\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{}",
        header(&invite, "Via"),
        header(&invite, "From"),
        header(&invite, "To"),
        header(&invite, "Call-ID"),
        ANSWER.len(),
        String::from_utf8_lossy(ANSWER)
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
    assert!(message(&mut stream).await.starts_with("ACK "));
    assert!(matches!(next(&mut ours).await, SipEvent::Accepted { .. }));
    (ours, leg, peer, stream)
}

#[tokio::test]
async fn a_bye_into_a_connection_that_was_closed_is_sent_by_a_new_one() {
    let (mut ours, leg, peer, stream) = called().await;
    drop(stream);
    let began = Instant::now();
    ours.handle().hang_up(leg, None).await.unwrap();
    let (mut stream, _) = timeout(Duration::from_secs(5), peer.accept()).await.expect("dialled again").unwrap();
    let bye = message(&mut stream).await;
    assert!(bye.starts_with("BYE "), "{bye}");
    assert!(began.elapsed() < Duration::from_secs(2), "no 32 s of dead air: {:?}", began.elapsed());
    let answer = format!(
        "SIP/2.0 200 OK\r\nVia: {}\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {}\r\nContent-Length: 0\r\n\r\n",
        header(&bye, "Via"),
        header(&bye, "From"),
        header(&bye, "To"),
        header(&bye, "Call-ID"),
        header(&bye, "CSeq")
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
    assert!(matches!(next(&mut ours).await, SipEvent::Ended { by: EndedBy::Local, .. }));
}

#[tokio::test]
async fn a_bye_to_a_peer_that_closes_on_reading_it_ends_the_call_at_once() {
    let (mut ours, leg, peer, mut stream) = called().await;
    ours.handle().hang_up(leg, None).await.unwrap();
    assert!(message(&mut stream).await.starts_with("BYE "));
    drop((stream, peer));
    let began = Instant::now();
    assert!(matches!(next(&mut ours).await, SipEvent::Ended { by: EndedBy::Local, .. }));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}
