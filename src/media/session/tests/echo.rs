//! What comes back.

use super::*;

#[test]
fn an_echo_call_answers_each_packet_in_kind() {
    let mut rig = Rig::new(Role::Echo);
    let mut timestamp = 4_294_960_000u32;
    for (n, len) in [160usize, 80, 240, 480, 160, 320].into_iter().enumerate() {
        let n = n as u16;
        rig.packet(ms(u64::from(n) * 20 + 5), 65_533u16.wrapping_add(n), timestamp, &voice(n, len));
        let (at, header, payload) = rig.sent.last().unwrap();
        assert_eq!((*at, payload), (rig.now, &voice(n, len)));
        assert_ne!(header.ssrc, 7);
        let (_, first, _) = &rig.sent[0];
        assert_eq!(header.sequence, first.sequence.wrapping_add(n));
        assert_eq!(header.timestamp.wrapping_sub(first.timestamp), timestamp.wrapping_sub(4_294_960_000));
        timestamp = timestamp.wrapping_add(len as u32);
    }
    // Twice the same: answered once. A key: reported, not echoed.
    rig.packet(ms(200), 65_533u16.wrapping_add(5), timestamp, &voice(1, 160));
    let event = Event { code: 1, end: false, volume: 10, duration: 160 };
    let header = Header { payload_type: EVENTS, sequence: 65_533u16.wrapping_add(6), timestamp, ssrc: 7, marker: true };
    rig.packet_from(phone(), ms(210), header, &event.octets());
    assert_eq!(rig.sent.len(), 6);
    assert!(rig.events().iter().any(|e| matches!(e, MediaEvent::Digit { digit: '1', .. })));
    assert_eq!(rig.marks.route_bridge.count(), 6);
}

#[test]
fn an_echo_call_goes_on_in_its_own_numbers_when_the_sender_changes() {
    let mut rig = Rig::new(Role::Echo);
    for n in 0..5u16 {
        rig.packet(ms(u64::from(n) * 20 + 20), n, u32::from(n) * 160, &voice(n, 160));
    }
    let other =
        |n: u16| Header { sequence: 30_000 + n, timestamp: 77 + u32::from(n) * 160, ssrc: 99, ..Header::default() };
    for n in 0..4 {
        rig.packet_from(phone(), ms(u64::from(n) * 20 + 120), other(n), &voice(n, 160));
    }
    assert_eq!(rig.sent.len(), 8);
    for pair in rig.sent.windows(2) {
        assert_eq!(pair[1].1.sequence, pair[0].1.sequence.wrapping_add(1));
        assert_eq!(pair[1].1.timestamp, pair[0].1.timestamp.wrapping_add(160));
    }
}

#[test]
fn an_echo_call_answers_every_codec_in_kind() {
    for format in ALL {
        let mut rig = Rig::with(Role::Echo, |plan| plan.formats = Formats::of(format));
        let mut talker = Talker::new(format, 700.0);
        for n in 0..60u64 {
            let (header, payload) = talker.packet(20);
            rig.packet_from(phone(), ms(n * 20), header, &payload);
            assert_eq!(rig.sent.len() as u64, n + 1, "{format:?}: answered in the same pass");
        }
        let pcm = decoded(&rig.sent, format.codec);
        assert_tone(&pcm, 700.0, format.codec.audio_rate(), &format!("{format:?}"));
    }
}

#[test]
fn what_is_lost_on_the_way_here_is_missing_in_the_answer() {
    for format in [Format::PCMU, Format::G722, L16_WIDE] {
        let mut rig = Rig::with(Role::Echo, |plan| plan.formats = Formats::of(format));
        let mut talker = Talker::new(format, 700.0);
        for n in 0..10u64 {
            let (header, payload) = talker.packet(20);
            if n != 4 {
                rig.packet_from(phone(), ms(n * 20), header, &payload);
            }
        }
        let first = rig.sent[0].1;
        let places: Vec<u16> = rig.sent.iter().map(|(_, h, _)| h.sequence.wrapping_sub(first.sequence)).collect();
        assert_eq!(places, [0, 1, 2, 3, 5, 6, 7, 8, 9], "{format:?}");
        let last = rig.sent[8].1.timestamp.wrapping_sub(first.timestamp);
        assert_eq!(last, 9 * format.codec.rtp_clock() / 50, "{format:?}");
    }
    // Opus brings the lost packet back from the next one.
    let mut rig = Rig::with(Role::Echo, |plan| plan.formats = Formats::of(OPUS));
    let mut talker = Talker::new(OPUS, 500.0);
    for n in 0..30u64 {
        let (header, payload) = talker.packet(20);
        if n != 20 {
            rig.packet_from(phone(), ms(n * 20), header, &payload);
        }
    }
    assert_eq!(rig.sent.len(), 30);
    let _ = decoded(&rig.sent, Codec::Opus);
}

#[test]
fn an_echo_never_answers_faster_than_real_time_and_two_seconds() {
    let mut rig = Rig::with(Role::Echo, |plan| {
        plan.formats =
            Formats { receive: [Some(OPUS), Some(Format::PCMU), None, None, None, None], ..Formats::of(Format::PCMU) };
    });
    // Tiny packets in, large ones out: the shape of an amplifier.
    let mut talker = Talker::new(OPUS, 500.0);
    for n in 0..2000u64 {
        let (header, payload) = talker.packet(60);
        rig.packet_from(phone(), ms(n), header, &payload);
    }
    let audio: usize = rig.sent.iter().map(|(_, _, payload)| payload.len()).sum();
    // Two seconds at once and two that passed, at 64 kbit/s.
    assert!(audio <= 4 * 8_000 + 1_500, "{audio} octets");
    assert!(rig.session.stats().late > 1900);
}

#[test]
fn a_recorded_echo_keeps_to_the_senders_time() {
    let (tap, mut frames, _) = crate::media::recorder::tap();
    let mut rig = Rig::with(Role::Echo, |plan| plan.recording = Some(tap));
    let mut placed = |rig: &mut Rig, at: u64, sequence: u16, timestamp: u32| {
        rig.packet(ms(at), sequence, timestamp, &voice(1, 160));
        std::iter::from_fn(|| frames.try_pop()).map(|f| f.at.0).collect::<Vec<_>>()
    };
    for (n, expected) in [(1u16, 0), (3, 2), (2, 1), (4, 3), (5, 4)] {
        let at = u64::from(n) * 20;
        assert_eq!(placed(&mut rig, at, n, u32::from(n) * 160), [expected * 160; 2]);
    }
    // Silence suppression for ten seconds takes ten seconds.
    let late = placed(&mut rig, 10_100, 6, 80_000);
    assert_eq!(late, [(10_100 - 20) * 8; 2]);
}
