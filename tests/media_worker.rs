//! The media worker over real sockets on loopback: what a phone sees and what speech hears.

mod phone;

use callwright::id::{CallId, Generation};
use callwright::media::{CloseCause, MediaCommand, MediaEvent, Role};
use callwright::rtp::dtmf::Event;
use callwright::rtp::{Format, Formats, Header};
use callwright_dsp::codec::g711;
use phone::{EVENTS, Phone, Plane, frame, is_audible, voice};
use ringbuf::traits::{Consumer, Producer};
use std::net::UdpSocket;
use std::thread::sleep;
use std::time::{Duration, Instant};

const FRAME: Duration = Duration::from_millis(20);

#[test]
fn an_echo_is_sample_exact() {
    let mut plane = Plane::start();
    let mut phone = Phone::new(7);
    let (daemon, _) = plane.open(1, Some(phone.address()), Role::Echo);
    let first = phone.header;
    let mut ours = None;
    for (n, len) in [160, 160, 80, 240, 480, 160, 320].into_iter().cycle().take(50).enumerate() {
        let sent = (phone.header, voice(n, len));
        phone.send(daemon, &sent.1);
        let (header, payload) = phone.receive().expect("an answer");
        assert_eq!(payload, sent.1);
        let anchor = *ours.get_or_insert(header);
        assert_ne!(header.ssrc, 7);
        assert_eq!(header.ssrc, anchor.ssrc);
        assert_eq!(header.sequence, anchor.sequence.wrapping_add(n as u16));
        assert_eq!(header.timestamp.wrapping_sub(anchor.timestamp), sent.0.timestamp.wrapping_sub(first.timestamp));
    }
    let MediaEvent::Closed { cause, stats, .. } = plane.close(1) else { unreachable!() };
    assert_eq!(cause, CloseCause::Asked);
    assert_eq!((stats.packets_received, stats.packets_sent, stats.lost, stats.forged), (50, 50, 0, 0));
    assert_eq!(plane.marks.route_bridge.count(), 50);
    assert_eq!(plane.plane.calls(), 0);
}

#[test]
fn a_burst_is_echoed_whole() {
    let mut plane = Plane::start();
    let mut phone = Phone::new(7);
    let (daemon, _) = plane.open(1, Some(phone.address()), Role::Echo);
    for n in 0..100 {
        phone.send(daemon, &voice(n, 160));
    }
    for n in 0..100 {
        assert_eq!(phone.receive().expect("an answer").1, voice(n, 160));
    }
}

#[test]
fn speech_hears_packets_at_once_and_silence_when_there_are_none() {
    let mut plane = Plane::start();
    let mut phone = Phone::new(7);
    let (daemon, ends) = plane.open(1, Some(phone.address()), Role::Speech);
    let mut inbound = ends.unwrap().inbound;
    let wake = plane.plane.speech_wake(plane.plane.worker_of(CallId(1))).unwrap();
    let mut heard = Vec::new();
    for n in 0..10 {
        phone.send(daemon, &voice(n, 160));
        let until = Instant::now() + Duration::from_secs(2);
        loop {
            let _ = wake.wait(100);
            wake.clear();
            let before = heard.len();
            heard.extend(std::iter::from_fn(|| inbound.try_pop()));
            if heard[before..].iter().any(|f| !f.fed) {
                break;
            }
            assert!(Instant::now() < until, "packet {n} is not heard");
        }
        sleep(FRAME);
    }
    let received: Vec<i16> = heard.iter().filter(|f| !f.fed).flat_map(|f| f.samples().to_vec()).collect();
    let mut expected = vec![0; 1600];
    let octets: Vec<u8> = (0..10).flat_map(|n| voice(n, 160)).collect();
    g711::decode_ulaw(&octets, &mut expected);
    assert_eq!(received, expected);
    // The phone falls silent: time goes on.
    sleep(Duration::from_millis(300));
    let silence: Vec<_> = std::iter::from_fn(|| inbound.try_pop()).collect();
    assert!((8..=15).contains(&silence.len()), "{} frames", silence.len());
    assert!(silence.iter().all(|f| f.fed && f.samples().iter().all(|s| *s == 0)));
    let mut at = heard.last().unwrap().at;
    at.0 += u64::from(heard.last().unwrap().len);
    for frame in silence {
        assert_eq!(frame.at, at);
        at.0 += u64::from(frame.len);
    }
    plane.expect("FirstPacket", |e| matches!(e, MediaEvent::FirstPacket { .. }));
    assert_eq!(plane.marks.route_ingress.count(), 10);
}

#[test]
fn a_flush_stops_within_a_frame_and_the_account_is_exact() {
    let mut plane = Plane::start();
    let mut phone = Phone::new(7);
    let (daemon, ends) = plane.open(1, Some(phone.address()), Role::Speech);
    let mut outbound = ends.unwrap().outbound;
    phone.send(daemon, &voice(0, 160));
    for n in 0..100 {
        outbound.try_push(frame(0, 1, n == 99)).expect("room");
    }
    let MediaEvent::FirstAudible { utterance, .. } =
        plane.expect("FirstAudible", |e| matches!(e, MediaEvent::FirstAudible { .. }))
    else {
        unreachable!()
    };
    assert_eq!(utterance.0, 1);
    sleep(Duration::from_millis(200));
    let ordered = Instant::now();
    plane.order(MediaCommand::FlushPlayout { call: CallId(1), generation: Generation(1) });
    let MediaEvent::Flushed { utterance, samples, last_audible, .. } =
        plane.expect("Flushed", |e| matches!(e, MediaEvent::Flushed { .. }))
    else {
        unreachable!()
    };
    let took = ordered.elapsed();
    assert!(took < FRAME, "the flush took {took:?}");
    assert_eq!(utterance.unwrap().0, 1);
    assert!(last_audible.is_some());
    // What the phone got is what was credited, to the frame; after that silence only, every 20 ms.
    let packets = phone.receive_until(Instant::now() + Duration::from_millis(400));
    let audible = packets.iter().filter(|(_, payload)| is_audible(payload)).count();
    assert_eq!(audible as u64 * 160, samples);
    let last = packets.iter().rposition(|(_, payload)| is_audible(payload)).unwrap();
    assert!(packets.len() - last > 15, "{} packets after the last audible one", packets.len() - last);
    // The next generation plays.
    outbound.try_push(frame(0, 1, false)).expect("room");
    outbound.try_push(frame(1, 2, true)).expect("room");
    plane.expect(
        "end of utterance 2",
        |e| matches!(e, MediaEvent::Played { utterance, end: true, samples: 160, .. } if utterance.0 == 2),
    );
}

#[test]
fn frames_leave_every_twenty_milliseconds() {
    let mut plane = Plane::start();
    let mut phone = Phone::new(7);
    let (daemon, _ends) = plane.open(1, Some(phone.address()), Role::Speech);
    phone.send(daemon, &voice(0, 160));
    phone.receive().expect("a first frame");
    let packets = phone.receive_until(Instant::now() + Duration::from_millis(1000));
    assert!((45..=51).contains(&packets.len()), "{} packets in a second", packets.len());
    // A machine that stood still may skip, and says so in the timestamp; sequence numbers never skip.
    for pair in packets.windows(2) {
        assert_eq!(pair[1].0.sequence, pair[0].0.sequence.wrapping_add(1));
        let step = pair[1].0.timestamp.wrapping_sub(pair[0].0.timestamp);
        assert!(step % 160 == 0 && (step == 160) != pair[1].0.marker, "step {step}, marker {}", pair[1].0.marker);
    }
    assert!(plane.marks.route_egress.count() >= packets.len() as u64);
}

#[test]
fn keys_are_reported_once() {
    let mut plane = Plane::start();
    let mut phone = Phone::new(7);
    let (daemon, _ends) = plane.open(1, Some(phone.address()), Role::Speech);
    phone.send(daemon, &voice(0, 160));
    for code in [1u8, 1, 11] {
        let timestamp = phone.header.timestamp;
        for duration in [160u16, 320, 480, 800, 800, 800] {
            let event = Event { code, end: duration == 800, volume: 10, duration };
            let header = Header { payload_type: EVENTS, timestamp, marker: duration == 160, ..phone.header };
            phone.send_as(daemon, header, &event.octets());
            phone.header.sequence = phone.header.sequence.wrapping_add(1);
        }
        phone.header.timestamp = phone.header.timestamp.wrapping_add(1600);
    }
    plane.expect("#", |e| matches!(e, MediaEvent::Digit { digit: '#', .. }));
    let MediaEvent::Closed { stats, .. } = plane.close(1) else { unreachable!() };
    assert_eq!(stats.digits, 3);
    let ones = plane.take_all().iter().filter(|e| matches!(e, MediaEvent::Digit { digit: '1', .. })).count();
    assert_eq!(ones, 2);
}

#[test]
fn a_phone_behind_nat_is_followed_and_nobody_else() {
    let mut plane = Plane::start();
    let announced = Phone::new(1); // what the SDP says; nothing comes from there
    let mut phone = Phone::new(7);
    let attacker = Phone::new(66);
    let (daemon, ends) = plane.open(1, Some(announced.address()), Role::Speech);
    let mut inbound = ends.unwrap().inbound;
    // The attacker sprays before, during and after, with ever another number.
    let spray = |seed: u16| {
        for n in 0..20u16 {
            let sequence = seed.wrapping_mul(7919).wrapping_add(n.wrapping_mul(4099));
            attacker.send_as(daemon, Header { sequence, ssrc: 66, ..Header::default() }, &[0x00; 160]);
        }
    };
    spray(1);
    for n in 0..20 {
        phone.send(daemon, &voice(n, 160));
        spray(n as u16);
        sleep(Duration::from_millis(5));
    }
    let packets = phone.receive_until(Instant::now() + Duration::from_millis(200));
    assert!(!packets.is_empty(), "media goes where the phone really is");
    assert!(attacker.receive_until(Instant::now() + Duration::from_millis(100)).is_empty(), "media leaked");
    let mut forged = vec![0; 1];
    g711::decode_ulaw(&[0x00], &mut forged);
    let heard: Vec<_> = std::iter::from_fn(|| inbound.try_pop()).collect();
    assert!(heard.iter().any(|f| !f.fed));
    assert!(heard.iter().all(|f| !f.samples().contains(&forged[0])), "injected audio was heard");
    let MediaEvent::Closed { stats, .. } = plane.close(1) else { unreachable!() };
    assert_eq!(stats.packets_received, 16, "all from the fifth packet on");
    assert!(stats.forged > 300, "{}", stats.forged);
    assert!(plane.marks.rtp_forged.get() >= stats.forged);
}

#[test]
fn a_port_that_is_used_again_does_not_let_the_old_call_in() {
    let mut plane = Plane::start();
    let (mut old, mut new) = (Phone::new(1), Phone::new(2));
    let (daemon, ends) = plane.open(1, Some(old.address()), Role::Speech);
    old.send(daemon, &voice(1, 160));
    drop(ends);
    drop(plane.close(1));
    // Port quarantine is the pool's work; here the worst case without it.
    let socket = UdpSocket::bind(daemon).unwrap();
    let (_, ends) = plane.open_on(socket, 2, Some(new.address()), Role::Speech);
    let mut inbound = ends.unwrap().inbound;
    old.send(daemon, &[0x00; 160]);
    new.send(daemon, &voice(2, 160));
    for _ in 0..20 {
        old.send(daemon, &[0x00; 160]);
    }
    new.send(daemon, &voice(3, 160));
    sleep(Duration::from_millis(100));
    let heard: Vec<u8> = std::iter::from_fn(|| inbound.try_pop())
        .filter(|f| !f.fed)
        .flat_map(|f| {
            let mut octets = vec![0; f.samples().len()];
            g711::encode_ulaw(f.samples(), &mut octets);
            octets
        })
        .collect();
    assert_eq!(heard, [voice(2, 160), voice(3, 160)].concat());
    let MediaEvent::Closed { stats, .. } = plane.close(2) else { unreachable!() };
    // The very first one came before any of the new phone: on probation, not heard either.
    assert_eq!(stats.forged, 20);
}

#[test]
fn a_full_worker_refuses_and_shutdown_gives_every_call_back() {
    let mut plane = Plane::start();
    let phone = Phone::new(7);
    let mut kept = Vec::new();
    for call in 1..=8 {
        kept.push(plane.open(call, Some(phone.address()), Role::Speech));
    }
    assert_eq!(plane.plane.calls(), 8);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let plan = callwright::media::SessionPlan::new(CallId(9), socket, Formats::of(Format::PCMA), Role::Echo);
    let (session, _) = callwright::media::prepare(plan).unwrap();
    plane.order(MediaCommand::Open(session));
    plane.expect("Refused", |e| matches!(e, MediaEvent::Refused { call: CallId(9), .. }));
    // A slot becomes free and is used again.
    plane.close(3);
    plane.open(10, Some(phone.address()), Role::Speech);

    let Plane { plane, mut events, .. } = plane;
    plane.shutdown();
    let mut closed = 0;
    events.drain(&mut |e| closed += usize::from(matches!(e, MediaEvent::Closed { cause: CloseCause::Shutdown, .. })));
    assert_eq!(closed, 8);
}

#[test]
fn an_order_for_a_call_that_is_gone_is_ignored() {
    let mut plane = Plane::start();
    plane.order(MediaCommand::FlushPlayout { call: CallId(404), generation: Generation(1) });
    plane.order(MediaCommand::Close { call: CallId(404) });
    let phone = Phone::new(7);
    plane.open(1, Some(phone.address()), Role::Echo);
    assert!(plane.take_all().is_empty());
}
