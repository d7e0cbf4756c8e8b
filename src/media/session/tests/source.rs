//! Whom we listen to and whom we send to.

use super::*;
use proptest::prelude::*;

#[test]
fn another_ssrc_is_followed_from_its_second_packet() {
    let mut rig = Rig::new(Role::Speech);
    for n in 0..5u16 {
        rig.packet(ms(u64::from(n) * 20 + 20), n, u32::from(n) * 160, &voice(n, 160));
    }
    let other =
        |sequence: u16| Header { sequence, timestamp: u32::from(sequence) * 160, ssrc: 99, ..Header::default() };
    for n in 0..5u16 {
        rig.packet_from(phone(), ms(u64::from(n) * 20 + 120), other(9000 + n), &voice(n, 160));
    }
    rig.check_continuous();
    assert_eq!(rig.received_octets().len(), 9 * 160);
    // A single stray packet is not.
    rig.packet_from(phone(), ms(230), Header { ssrc: 123, ..other(1) }, &voice(1, 160));
    assert_eq!(rig.received_octets().len(), 9 * 160);
}

#[test]
fn what_does_not_belong_is_counted_and_changes_nothing() {
    let mut rig = Rig::new(Role::Speech);
    rig.packet(ms(20), 0, 0, &voice(0, 160));
    let stranger: SocketAddr = "192.0.2.66:666".parse().unwrap();
    let header = Header { sequence: 1, timestamp: 160, ssrc: 7, ..Header::default() };
    for n in 0..50u16 {
        rig.packet_from(stranger, ms(21), Header { sequence: n, ..header }, &voice(n, 160));
    }
    rig.pass(ms(22), |s, p| _ = s.handle_datagram(p, phone(), ms(22), &mut b"\x00\x01stun?".to_owned()));
    rig.pass(ms(22), |s, p| _ = s.handle_datagram(p, phone(), ms(22), &mut []));
    rig.packet_from(phone(), ms(23), Header { payload_type: 18, ..header }, &voice(1, 20));
    rig.packet_from(phone(), ms(24), header, &voice(1, 481));
    rig.packet_from(phone(), ms(25), header, &[]);
    rig.packet(ms(40), 1, 160, &voice(1, 160));
    let stats = rig.session.stats();
    assert_eq!((stats.forged, stats.garbage, stats.wrong_payload), (50, 4, 1));
    assert_eq!(stats.packets_received, 2);
    assert_eq!(rig.received_octets().len(), 320);
    assert_eq!(rig.session.destination(), Some(phone()));
}

#[test]
fn an_address_that_never_answers_gets_two_seconds_of_media() {
    let mut rig = Rig::new(Role::Speech);
    rig.say(0, 1, 100);
    rig.run(ms(5000));
    assert_eq!(rig.sent.len(), 100);
    // It answers: media goes on. Another address gets its own two seconds.
    rig.packet(ms(5001), 0, 0, &voice(0, 160));
    rig.run(ms(5101));
    assert_eq!(rig.sent.len(), 105);
    assert!(rig.sent[100].1.marker);
    let moved = "198.51.100.1:4000".parse().unwrap();
    rig.pass(ms(5101), |s, p| s.handle_remote(p, moved, None, Formats::of(Format::PCMU), None));
    rig.run(ms(12_000));
    assert_eq!(rig.sent.len(), 205);
}

#[test]
fn without_an_address_nothing_is_sent() {
    let mut rig = Rig::with(Role::Speech, |plan| plan.remote = None);
    rig.run(ms(500));
    assert!(rig.sent.is_empty());
    // Learnt from five packets.
    for n in 0..5u16 {
        rig.packet(ms(500 + u64::from(n) * 20), n, u32::from(n) * 160, &voice(n, 160));
    }
    rig.run(ms(700));
    assert!(!rig.sent.is_empty());
    assert_eq!(rig.received_octets().len(), 160);
}

#[test]
fn hold_is_silent_both_ways_and_is_no_missing_media() {
    let mut rig = Rig::new(Role::Speech);
    rig.packet(ms(1), 0, 0, &voice(0, 160));
    rig.say(0, 1, 20);
    rig.run(ms(100));
    rig.pass(ms(101), |s, p| s.handle_hold(p.now, true));
    let sent = rig.sent.len();
    rig.packet(ms(150), 1, 160, &voice(1, 160));
    rig.run(ms(70_000));
    assert_eq!(rig.sent.len(), sent);
    assert_eq!(rig.received_octets().len(), 160);
    assert!(!rig.events().iter().any(|e| matches!(e, MediaEvent::MediaTimeout { .. })));
    rig.pass(ms(70_001), |s, p| s.handle_hold(p.now, false));
    rig.run(ms(72_000));
    // The rest of the utterance is played, marked as a new talkspurt.
    assert_eq!(rig.audible(), 20);
    assert!(rig.sent[sent].1.marker);
    rig.check_continuous();
}

#[test]
fn a_call_that_was_held_from_the_start_and_never_sent_anything_is_reported() {
    let timeouts = |rig: &mut Rig| rig.events().iter().filter(|e| matches!(e, MediaEvent::MediaTimeout { .. })).count();
    let mut rig = Rig::with(Role::Speech, |plan| plan.held = true);
    rig.run(ms(299_000));
    assert_eq!(timeouts(&mut rig), 0, "a second party may be rung meanwhile");
    rig.run(ms(302_000));
    assert_eq!(timeouts(&mut rig), 1);
    let mut rig = Rig::with(Role::Speech, |plan| plan.held = true);
    rig.packet(ms(1), 0, 0, &voice(0, 160));
    rig.run(ms(400_000));
    assert_eq!(timeouts(&mut rig), 0, "it has sent something");
}

#[test]
fn missing_media_is_reported_each_minute_until_it_comes_back() {
    let mut rig = Rig::new(Role::Speech);
    rig.packet(ms(1), 0, 0, &voice(0, 160));
    rig.run(ms(60_000));
    let timeouts = |rig: &mut Rig| rig.events().iter().filter(|e| matches!(e, MediaEvent::MediaTimeout { .. })).count();
    assert_eq!(timeouts(&mut rig), 0);
    rig.run(ms(61_500));
    assert_eq!(timeouts(&mut rig), 1);
    rig.run(ms(119_000));
    assert_eq!(timeouts(&mut rig), 0, "twice in a minute");
    rig.run(ms(200_000));
    assert_eq!(timeouts(&mut rig), 2);
    rig.packet(ms(200_001), 1, 160, &voice(0, 160));
    rig.run(ms(260_000));
    assert_eq!(timeouts(&mut rig), 0);
    rig.run(ms(270_000));
    assert_eq!(timeouts(&mut rig), 1);
}

#[test]
fn a_call_is_rated_by_what_was_lost() {
    let rated = |lost: u16| {
        let mut rig = Rig::new(Role::Speech);
        assert_eq!(rig.session.stats().mos, None);
        for n in (0..500u16).filter(|n| lost == 0 || n % lost != 5) {
            rig.packet(ms(u64::from(n) * 20 + 20), n, u32::from(n) * 160, &voice(n, 160));
        }
        rig.session.stats().mos.unwrap()
    };
    let (clean, bad) = (rated(0), rated(10));
    assert!(clean > 4.2 && bad < clean - 0.5, "{clean} without loss, {bad} with 10 %");
}

proptest! {
    /// No datagram can panic a chain.
    #[test]
    fn no_datagram_panics(datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..600), 1..50), echo: bool) {
        let mut rig = Rig::new(if echo { Role::Echo } else { Role::Speech });
        for (n, mut datagram) in datagrams.into_iter().enumerate() {
            if n % 2 == 0 && datagram.len() > 12 {
                datagram[0] = 0x80 | (datagram[0] & 0x3f);
                datagram[1] &= 0x80;
                datagram[8..12].copy_from_slice(&[0, 0, 0, 1]);
            }
            let at = ms(20 + n as u64 * 7);
            rig.run(at);
            rig.pass(at, |s, p| _ = s.handle_datagram(p, phone(), at, &mut datagram));
        }
    }
}
