//! The port over real sockets of this machine: who hears what, before and after a call's socket is connected.

use super::*;
use crate::webrtc::seats::check;
use std::time::Duration;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

fn browser(ip: &str) -> UdpSocket {
    UdpSocket::bind((ip, 0)).unwrap()
}

/// What waits on a socket, after so many have come.
fn come(socket: &UdpSocket, least: usize) -> Vec<Vec<u8>> {
    let mut buffer = [0; 2000];
    socket.set_nonblocking(false).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut all: Vec<_> =
        (0..least).map(|_| socket.recv(&mut buffer).map(|len| buffer[..len].to_vec()).unwrap()).collect();
    socket.set_nonblocking(true).unwrap();
    all.extend(std::iter::from_fn(|| socket.recv(&mut buffer).ok().map(|len| buffer[..len].to_vec())));
    all
}

async fn next(seat: &mut PortSeat) -> (SocketAddr, Vec<u8>) {
    tokio::time::timeout(Duration::from_secs(20), seat.receive()).await.expect("it comes")
}

async fn silent(seat: &mut PortSeat) -> bool {
    tokio::time::timeout(Duration::from_millis(50), seat.receive()).await.is_err()
}

#[tokio::test]
async fn nobody_shares_the_port_with_us() {
    let port = SharedPort::open(LOOPBACK, 0).unwrap();
    assert!(UdpSocket::bind((LOOPBACK, port.number())).is_err());
    let error = SharedPort::open(LOOPBACK, port.number()).unwrap_err().to_string();
    assert!(error.contains("[webrtc] udp_port") && error.contains(&port.number().to_string()), "{error}");
    let number = port.number();
    drop(port);
    // The task that read has to be gone first.
    for _ in 0..1000 {
        if SharedPort::open(LOOPBACK, number).is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the port is not given back");
}

#[tokio::test]
async fn a_calls_socket_hears_its_browser_alone_wherever_that_goes() {
    for address in [LOOPBACK, ANY] {
        let port = SharedPort::open(address, 0).unwrap();
        let to = SocketAddr::new(LOOPBACK, port.number());
        let calls = 100;
        let mut seats: Vec<_> = (0..calls).map(|n| port.take(LOOPBACK, &format!("name{n}")).unwrap()).collect();
        let browsers: Vec<_> = (0..calls).map(|_| browser("127.0.0.1")).collect();
        // Bound and not connected: all of it is the listener's.
        for (n, browser) in browsers.iter().enumerate() {
            browser.send_to(&check(&format!("name{n}:x")), to).unwrap();
            browser.send_to(&[0x80; 40], to).unwrap();
        }
        for (n, (own, seat)) in seats.iter_mut().enumerate() {
            let (from, octets) = next(seat).await;
            assert_eq!((from, octets), (browsers[n].local_addr().unwrap(), check(&format!("name{n}:x"))));
            assert!(come(own, 0).is_empty(), "call {n}");
            seat.keep(&[from]);
            seat.connect(from).unwrap();
        }
        let stranger = browser("127.0.0.1");
        for _ in 0..50 {
            stranger.send_to(&[0x80; 40], to).unwrap();
        }
        for (n, browser) in browsers.iter().enumerate() {
            browser.send_to(&[n as u8; 60], to).unwrap();
        }
        for (n, (own, seat)) in seats.iter_mut().enumerate() {
            assert_eq!(come(own, 1), [vec![n as u8; 60]], "call {n}");
            own.send_to(&[7; 30], browsers[n].local_addr().unwrap()).unwrap();
            assert_eq!(browsers[n].recv_from(&mut [0; 99]).unwrap(), (30, to), "from the port that it knows");
            assert!(n > 3 || silent(seat).await);
        }
        // From another network: first by the listener, then by the call's own; what comes from before is nobody's.
        let elsewhere = browser(if address == ANY { "127.0.0.2" } else { "127.0.0.1" });
        let (own, seat) = &mut seats[0];
        elsewhere.send_to(&check("name0:x"), to).unwrap();
        let (from, _) = next(seat).await;
        assert_eq!(from, elsewhere.local_addr().unwrap());
        seat.keep(&[from]);
        seat.connect(from).unwrap();
        browsers[0].send_to(&[1; 20], to).unwrap();
        elsewhere.send_to(&[2; 20], to).unwrap();
        assert_eq!(come(own, 1), [vec![2; 20]]);
        // Nobody gets in by another's address.
        browsers[1].send_to(&check("name2:x"), to).unwrap();
        assert_eq!(come(&seats[1].0, 1).len(), 1, "it is connected to it");
        let seat = &mut seats[2].1;
        assert!(!seat.place.claim(clock::monotonic(), browsers[1].local_addr().unwrap()) && silent(seat).await);
        drop(seats);
        assert_eq!(port.seats.len(), (0, 0));
    }
}

#[tokio::test]
async fn a_socket_that_waits_gets_nothing_although_others_have_been_connected_before_it_was_bound() {
    for address in [LOOPBACK, ANY] {
        let port = SharedPort::open(address, 0).unwrap();
        let to = SocketAddr::new(LOOPBACK, port.number());
        // The browsers stay, too: a port that one has left is another's soon, and then it is heard by the old one's call.
        let (mut up, mut there) = (Vec::new(), Vec::new());
        for round in 0..20 {
            let name = |n: usize| format!("name{round}-{n}");
            let mut waiting: Vec<_> = (0..3).map(|n| port.take(LOOPBACK, &name(n)).unwrap()).collect();
            let browsers: Vec<_> = (0..3).map(|_| browser("127.0.0.1")).collect();
            for (n, browser) in browsers.iter().enumerate() {
                browser.send_to(&check(&format!("{}:x", name(n))), to).unwrap();
            }
            for (n, (own, seat)) in waiting.iter_mut().enumerate() {
                let (from, _) = next(seat).await;
                assert_eq!(from, browsers[n].local_addr().unwrap());
                assert!(come(own, 0).is_empty(), "round {round}, call {n}");
                seat.keep(&[from]);
                seat.connect(from).unwrap();
            }
            up.extend(waiting);
            there.extend(browsers);
            // Some go.
            up.swap_remove(round);
        }
    }
}

#[tokio::test]
async fn each_family_has_its_listener() {
    if UdpSocket::bind("[::1]:0").is_err() {
        return;
    }
    let port = SharedPort::open(LOOPBACK, 0).unwrap();
    let six: IpAddr = Ipv6Addr::LOCALHOST.into();
    let (own, mut seat) = port.take(six, "six").unwrap();
    let browser = UdpSocket::bind("[::1]:0").unwrap();
    let to = SocketAddr::new(six, port.number());
    browser.send_to(&check("six:x"), to).unwrap();
    let (from, _) = next(&mut seat).await;
    seat.send(from, b"answer").unwrap();
    assert_eq!(browser.recv_from(&mut [0; 99]).unwrap(), (6, to));
    seat.connect(from).unwrap();
    browser.send_to(&[5; 50], to).unwrap();
    assert_eq!(come(&own, 1), [vec![5; 50]]);
    // In four's form of six it is four's.
    let mapped = "::ffff:127.0.0.1".parse().unwrap();
    assert!(port.take(mapped, "four").unwrap().0.local_addr().unwrap().is_ipv4());
}
