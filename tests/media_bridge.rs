//! Two phones joined over real sockets: what one says is what the other hears.

mod phone;

use callwright::id::CallId;
use callwright::media::coders::path_rate;
use callwright::media::{MediaCommand, MediaConfig, MediaEvent, MediaPlane, Role, SessionPlan, SessionStats};
use callwright::rtp::dtmf::{Event, Receiver};
use callwright::rtp::rtcp::{Compound, Item};
use callwright::rtp::{Format, Formats, Header};
use callwright::telemetry::Marks;
use callwright_dsp::codec::Decoder;
use phone::{OPUS, Phone, Plane, Talker, level_at, voice};
use std::net::UdpSocket;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

const FRAME: Duration = Duration::from_millis(20);

fn stats(event: MediaEvent) -> SessionStats {
    let MediaEvent::Closed { stats, .. } = event else { unreachable!() };
    stats
}

#[test]
fn the_same_codec_is_relayed_both_ways_unchanged() {
    let mut plane = Plane::start();
    let (mut a, mut b) = (Phone::new(7), Phone::new(8));
    let formats = Formats::of(Format::PCMU);
    let leg_a = plane.open_leg(1, 2, &a, formats, 8_000);
    let leg_b = plane.open_leg(2, 1, &b, formats, 8_000);
    let (first, mut offset) = (a.header, None);
    for n in 0..100 {
        a.send(leg_a, &voice(n, 160));
        let (header, payload) = b.receive().expect("relayed to B");
        assert_eq!(payload, voice(n, 160));
        assert_eq!((header.ssrc == 7, header.marker), (false, n == 0));
        let offset = *offset.get_or_insert(header.timestamp.wrapping_sub(first.timestamp));
        assert_eq!(header.timestamp.wrapping_sub(first.timestamp), offset.wrapping_add(n as u32 * 160));
        b.send(leg_b, &voice(n + 3, 160));
        assert_eq!(a.receive().expect("relayed to A").1, voice(n + 3, 160));
    }
    assert_eq!(plane.marks.route_bridge.count(), 200);
    let (one, two) = (stats(plane.close(1)), stats(plane.close(2)));
    assert_eq!((one.packets_received, one.packets_sent, one.unbridged), (100, 100, 0));
    assert_eq!((two.packets_received, two.packets_sent, two.unbridged), (100, 100, 0));
}

#[test]
fn a_tone_survives_every_pair_with_g711() {
    let mut plane = Plane::start();
    for (call, (from, to)) in [
        (Format::PCMU, Format::PCMA),
        (Format::PCMA, Format::PCMU),
        (Format::PCMU, OPUS),
        (OPUS, Format::PCMU),
        (Format::G722, Format::PCMA),
    ]
    .into_iter()
    .enumerate()
    {
        let (one, two) = (call as u64 * 2 + 1, call as u64 * 2 + 2);
        let (mut a, mut b) = (Phone::new(7), Phone::new(8));
        let (formats_a, formats_b) = (Formats::of(from), Formats::of(to));
        let rate = path_rate(&formats_a, &formats_b);
        let leg_a = plane.open_leg(one, two, &a, formats_a, rate);
        let leg_b = plane.open_leg(two, one, &b, formats_b, rate);
        Talker::new(to, 300.0).send(&mut b, leg_b);
        let (mut talker, mut decoder) =
            (Talker::new(from, 1000.0), Decoder::new(to.codec, to.codec.audio_rate()).unwrap());
        let (mut pcm, mut heard) = (vec![0; 5760], Vec::new());
        for _ in 0..50 {
            talker.send(&mut a, leg_a);
            let (header, payload) = b.receive().expect("a frame for each packet");
            assert_eq!(header.payload_type, to.payload_type);
            let samples = decoder.decode(&payload, &mut pcm).unwrap();
            heard.extend_from_slice(&pcm[..samples]);
        }
        let rate = decoder.rate();
        let settled = &heard[rate as usize / 5..];
        let (level, beside) = (level_at(settled, 1000.0, rate), level_at(settled, 1500.0, rate));
        assert!((level + 10.0).abs() < 1.5, "{from:?} → {to:?}: {level:.1} dB");
        assert!(beside < -45.0, "{from:?} → {to:?}: {beside:.1} dB beside the tone");
        plane.close(one);
        plane.close(two);
    }
}

/// RFC 3389 on real sockets: goes on where both phones agreed on it, and is heard as noise, in time, where they did not.
#[test]
fn a_pause_is_passed_on_or_heard() {
    let mut plane = Plane::start();
    let agreed = |format| Formats { comfort_noise: Some(13), ..Formats::of(format) };
    for (n, (to, relayed)) in
        [(agreed(Format::PCMU), true), (Formats::of(Format::PCMU), false), (agreed(Format::PCMA), false)]
            .into_iter()
            .enumerate()
    {
        let (one, two) = (n as u64 * 2 + 1, n as u64 * 2 + 2);
        let (mut a, mut b) = (Phone::new(7), Phone::new(8));
        let leg_a = plane.open_leg(one, two, &a, agreed(Format::PCMU), 8_000);
        let leg_b = plane.open_leg(two, one, &b, to, 8_000);
        b.header.payload_type = to.send.payload_type;
        b.send(leg_b, &voice(0, 160));
        for n in 0..5 {
            a.send(leg_a, &voice(n, 160));
            assert!(b.receive().is_some());
        }
        a.send_as(leg_a, Header { payload_type: 13, ..a.header }, &[40]);
        let pause = b.receive_until(Instant::now() + Duration::from_millis(400));
        a.header.sequence = a.header.sequence.wrapping_add(1);
        a.header.timestamp = a.header.timestamp.wrapping_add(400 * 8);
        a.send(leg_a, &voice(9, 160));
        let (resumed, _) = b.receive().expect("the voice comes back");
        assert_eq!(resumed.payload_type, to.send.payload_type);
        if relayed {
            assert_eq!(pause.iter().map(|(h, p)| (h.payload_type, &p[..])).collect::<Vec<_>>(), [(13, &[40u8][..])]);
            continue;
        }
        assert!((17..=21).contains(&pause.len()), "{} frames in 400 ms", pause.len());
        assert!(pause.windows(2).all(|p| p[1].0.timestamp.wrapping_sub(p[0].0.timestamp) == 160));
        let mut decoder = Decoder::new(to.send.codec, 8_000).unwrap();
        let mut heard = vec![0; pause.len() * 160];
        for ((_, payload), part) in pause.iter().zip(heard.chunks_mut(160)) {
            decoder.decode(payload, part).unwrap();
        }
        let level = callwright_dsp::level::dbfs(&heard);
        assert!((level + 40.0).abs() < 1.5, "{level} dB");
        plane.close(one);
        plane.close(two);
    }
}

#[test]
fn a_leg_whose_partner_is_gone_drops_and_counts_and_nobody_else_hears_it() {
    let mut plane = Plane::start();
    let (mut a, mut b, stranger) = (Phone::new(7), Phone::new(8), Phone::new(9));
    let formats = Formats::of(Format::PCMU);
    let leg_a = plane.open_leg(1, 2, &a, formats, 8_000);
    // Before the partner is there.
    a.send(leg_a, &voice(0, 160));
    sleep(FRAME);
    let leg_b = plane.open_leg(2, 1, &b, formats, 8_000);
    a.send(leg_a, &voice(1, 160));
    assert_eq!(b.receive().expect("relayed").1, voice(1, 160));
    b.send(leg_b, &voice(2, 160));
    assert_eq!(a.receive().expect("relayed").1, voice(2, 160));
    plane.close(2);
    // Another call takes the slot.
    let (_, _) = plane.open(3, Some(stranger.address()), Role::Echo);
    for n in 0..10 {
        a.send(leg_a, &voice(n, 160));
    }
    sleep(Duration::from_millis(100));
    assert!(stranger.receive_until(Instant::now() + Duration::from_millis(50)).is_empty());
    // A call that names this leg without being named by it gets nothing either.
    let liar = Phone::new(10);
    plane.open_leg(4, 1, &liar, formats, 8_000);
    a.send(leg_a, &voice(1, 160));
    assert!(liar.receive_until(Instant::now() + Duration::from_millis(100)).is_empty());
    // The partner comes back under its id.
    let again = Phone::new(11);
    plane.open_leg(2, 1, &again, formats, 8_000);
    a.send(leg_a, &voice(5, 160));
    assert_eq!(again.receive().expect("relayed again").1, voice(5, 160));
    let closed = stats(plane.close(1));
    assert_eq!((closed.unbridged, closed.packets_received), (12, 14));
    assert_eq!(plane.marks.rtp_unbridged.get(), 12);
}

#[test]
fn keys_of_signalling_leave_on_the_legs_own_clock() {
    let mut plane = Plane::start();
    let (a, mut b) = (Phone::new(7), Phone::new(8));
    let formats = Formats::of(Format::PCMU).with_events(101);
    plane.open_leg(1, 2, &a, formats, 8_000);
    let leg_b = plane.open_leg(2, 1, &b, formats, 8_000);
    b.send(leg_b, &voice(0, 160));
    assert!(a.receive().is_some());
    // Nobody speaks: the worker wakes up for the keys alone.
    let order = MediaCommand::SendDigits { call: CallId(2), digits: "42".parse().unwrap() };
    plane.plane.send(order).unwrap();
    let (mut keys, mut heard) = (Receiver::new(8_000), String::new());
    for n in 0..14u16 {
        let (header, payload) = b.receive().expect("a packet of a key");
        assert_eq!(header.payload_type, 101);
        assert_eq!(header.marker, n % 7 == 0);
        heard.extend(keys.handle_event(header.timestamp, Event::parse(&payload).unwrap()));
    }
    assert_eq!(heard, "42");
    assert!(b.receive_until(Instant::now() + Duration::from_millis(50)).is_empty());
    assert_eq!(stats(plane.close(2)).packets_sent, 14);
}

#[test]
fn both_legs_are_with_one_worker_whatever_their_ids() {
    let config = MediaConfig { workers: 2, lock_memory: false, realtime: false, ..MediaConfig::default() };
    let mut media = MediaPlane::start(&config, Arc::new(Marks::new())).unwrap();
    let events = media.take_events().unwrap();
    let mut plane = Plane::over(media, events);
    // Odd and even: different workers by their own ids; the larger one is opened first.
    let (mut a, mut b) = (Phone::new(7), Phone::new(8));
    let formats = Formats::of(Format::PCMU);
    let leg_b = plane.open_leg(12, 7, &b, formats, 8_000);
    let leg_a = plane.open_leg(7, 12, &a, formats, 8_000);
    assert_eq!(plane.plane.worker_of(CallId(7)), plane.plane.worker_of(CallId(12)));
    a.send(leg_a, &voice(1, 160));
    assert_eq!(b.receive().expect("relayed").1, voice(1, 160));
    b.send(leg_b, &voice(2, 160));
    assert_eq!(a.receive().expect("relayed").1, voice(2, 160));
    // Orders find them there, and an id that ended is at home again.
    plane.close(12);
    plane.close(7);
    assert_ne!(plane.plane.worker_of(CallId(7)), plane.plane.worker_of(CallId(12)));
}

#[test]
fn reports_come_on_the_second_socket_and_end_with_a_goodbye() {
    let mut plane = Plane::start();
    let mut phone = Phone::new(7);
    let (socket, rtcp_socket) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let reports = UdpSocket::bind("127.0.0.1:0").unwrap();
    reports.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let plan = SessionPlan {
        remote: Some(phone.address()),
        rtcp_remote: Some(reports.local_addr().unwrap()),
        rtcp_socket: Some(rtcp_socket.try_clone().unwrap()),
        ..SessionPlan::new(CallId(1), socket, Formats::of(Format::PCMU), Role::Echo)
    };
    let (daemon, _) = plane.open_plan(plan);
    for n in 0..5 {
        phone.send(daemon, &voice(n, 160));
        phone.receive().expect("an answer");
    }
    // A receiver report without blocks, from the announced address.
    reports.send_to(&[0x80, 201, 0, 1, 0, 0, 0, 7], rtcp_socket.local_addr().unwrap()).unwrap();
    sleep(Duration::from_millis(50));
    let closed = stats(plane.close(1));
    assert_eq!((closed.rtcp_received, closed.rtcp_sent), (1, 1));
    let mut datagram = [0; 500];
    let (len, from) = reports.recv_from(&mut datagram).expect("a report");
    assert_eq!(from, rtcp_socket.local_addr().unwrap());
    let items: Vec<_> = Compound::parse(&datagram[..len]).unwrap().collect();
    assert!(matches!(items[0], Item::SenderReport(r) if r.info.packets == 5));
    assert!(matches!(items.last(), Some(Item::Goodbye(_))));
}

#[test]
fn an_echo_answers_only_whom_it_hears_and_never_faster_than_real_time() {
    let mut plane = Plane::start();
    let (victim, mut attacker) = (Phone::new(1), Phone::new(66));
    // The session description names the victim; the attacker sends from elsewhere, and far too fast.
    let (daemon, _) = plane.open(1, Some(victim.address()), Role::Echo);
    for n in 0..1000 {
        attacker.send(daemon, &voice(n, 480));
        if n % 50 == 49 {
            sleep(Duration::from_millis(2));
        }
    }
    assert!(victim.receive_until(Instant::now() + Duration::from_millis(100)).is_empty(), "media to a victim");
    let closed = stats(plane.close(1));
    // 60 ms each: two seconds ahead and what real time has passed meanwhile.
    assert!((30..100).contains(&closed.packets_sent), "{} packets", closed.packets_sent);
}
