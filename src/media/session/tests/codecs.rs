//! The codecs that were agreed, and changes between them.

use super::*;

fn lengths(format: Format) -> &'static [usize] {
    match format.codec {
        // 60 ms of it do not fit a datagram.
        Codec::L16At16k => &[10, 20, 40],
        _ => &[10, 20, 40, 60],
    }
}

#[test]
fn speech_hears_every_codec_at_every_packet_time() {
    for format in ALL {
        for ptime in lengths(format) {
            let mut rig = Rig::with(Role::Speech, |plan| plan.formats = Formats::of(format));
            let mut talker = Talker::new(format, 700.0);
            for n in 1..=1200 / ptime {
                let (header, payload) = talker.packet(*ptime);
                assert!(rig.packet_from(phone(), ms((n * ptime) as u64), header, &payload));
            }
            rig.check_continuous();
            let stats = rig.session.stats();
            assert_eq!((stats.garbage, stats.silence_samples, stats.concealed_samples, stats.late), (0, 0, 0, 0));
            assert!(stats.jitter < Duration::from_millis(1), "{format:?}: {stats:?}");
            let pcm: Vec<i16> = rig.heard.iter().flat_map(|f| f.samples().to_vec()).collect();
            assert_eq!(pcm.len(), 1200 * 8);
            assert_tone(&pcm, 700.0, 8_000, &format!("{format:?}, {ptime} ms"));
        }
    }
}

#[test]
fn speech_says_every_codec_in_packets_of_twenty_milliseconds() {
    for format in ALL {
        let mut rig = Rig::with(Role::Speech, |plan| {
            plan.formats = Formats::of(format);
            plan.learn_source = true;
        });
        let mut tone = Tone::new(700.0, 8_000, -10.0);
        let (header, payload) = Talker::new(format, 300.0).packet(20);
        rig.packet_from(phone(), ms(1), header, &payload);
        for n in 0..50 {
            let mut pcm = [0; FRAME_SAMPLES];
            tone.fill(&mut pcm);
            let frame = OutFrame {
                generation: Generation(0),
                utterance: UtteranceId(1),
                end: n == 49,
                len: FRAME_SAMPLES as u16,
                pcm,
            };
            rig.outbound.as_mut().unwrap().try_push(frame).expect("room in the ring");
        }
        rig.run(ms(1400));
        assert_eq!(rig.sent.len(), 70);
        let pcm = decoded(&rig.sent, format.codec);
        let rate = format.codec.audio_rate();
        assert_tone(&pcm[..rate as usize], 700.0, rate, &format!("{format:?}"));
        // And then silence.
        let rest = f64::from(callwright_dsp::level::dbfs(&pcm[rate as usize + rate as usize / 5..]));
        assert!(rest < -60.0, "{format:?}: {rest:.1} dBFS of silence");
    }
}

#[test]
fn an_encoder_with_nothing_to_send_leaves_out_packets_and_no_time() {
    let formats = Formats { opus: OpusWishes { dtx: true, ..OpusWishes::default() }, ..Formats::of(OPUS) };
    let mut rig = Rig::with(Role::Speech, |plan| plan.formats = formats);
    let (header, payload) = Talker::new(OPUS, 300.0).packet(20);
    rig.packet_from(phone(), ms(1), header, &payload);
    rig.run(ms(5000));
    assert!((5..200).contains(&rig.sent.len()), "{} packets in five seconds of silence", rig.sent.len());
    for pair in rig.sent.windows(2) {
        assert_eq!(pair[1].1.sequence, pair[0].1.sequence.wrapping_add(1));
        let passed = pair[1].0.since(pair[0].0).as_millis() as u32;
        assert_eq!(pair[1].1.timestamp.wrapping_sub(pair[0].1.timestamp), passed * 48);
        assert_eq!(pair[1].1.marker, passed > 20);
    }
}

#[test]
fn a_peer_may_change_between_agreed_codecs_from_packet_to_packet() {
    let agreed = [Format::PCMU, OPUS, Format::G722, Format::PCMA];
    let receive = std::array::from_fn(|n| agreed.get(n).copied());
    let formats = Formats { receive, ..Formats::of(Format::PCMU) };
    let mut rig = Rig::with(Role::Speech, |plan| plan.formats = formats);
    let mut talkers = agreed.map(|f| Talker::new(f, 700.0));
    let mut sequence = 10u16;
    for n in 0..200u64 {
        let (header, payload) = talkers[(n / 50) as usize].packet(20);
        sequence = sequence.wrapping_add(1);
        assert!(rig.packet_from(phone(), ms((n + 1) * 20), Header { sequence, ..header }, &payload));
    }
    rig.check_continuous();
    assert_eq!(rig.heard_samples(), 200 * 160);
    let stats = rig.session.stats();
    assert_eq!((stats.wrong_payload, stats.garbage, stats.lost, stats.late), (0, 0, 0, 0));
    let pcm: Vec<i16> = rig.heard.iter().flat_map(|f| f.samples().to_vec()).collect();
    for n in 0..4 {
        assert_tone(&pcm[n * 8000..(n + 1) * 8000], 700.0, 8_000, &format!("part {n}"));
    }
}

#[test]
fn a_renegotiated_codec_brings_its_coders_and_the_old_ones_go_back() {
    let mut rig = Rig::new(Role::Speech);
    rig.packet(ms(1), 0, 0, &voice(0, 160));
    rig.run(ms(100));
    let before = rig.sent.len();
    let formats = Formats::of(OPUS);
    // Without coders that serve them, new formats are not taken.
    rig.pass(ms(101), |s, p| s.handle_remote(p, phone(), None, formats, None));
    rig.run(ms(120));
    assert_eq!(rig.sent.last().unwrap().1.payload_type, 0);
    let coders = Coders::new(&formats, 8_000).unwrap();
    rig.pass(ms(121), |s, p| s.handle_remote(p, phone(), None, formats, Some(coders)));
    assert!(rig.events().iter().any(|e| matches!(e, MediaEvent::Retired { .. })));
    let mut talker = Talker::new(OPUS, 700.0);
    for n in 0..50 {
        let (header, payload) = talker.packet(20);
        rig.packet_from(phone(), ms(130 + n * 20), Header { sequence: n as u16 + 1, ..header }, &payload);
    }
    assert!(rig.sent[before + 2..].iter().all(|(_, h, _)| h.payload_type == 111));
    let wrong = Header { sequence: 51, ssrc: 7, ..Header::default() };
    rig.packet_from(phone(), ms(1200), wrong, &voice(0, 160));
    assert_eq!(rig.session.stats().wrong_payload, 1);
    assert!(rig.heard_samples() > 50 * 160);
}

#[test]
fn coders_go_back_as_soon_as_control_reads_its_reports() {
    let mut rig = Rig::new(Role::Speech);
    rig.packet(ms(1), 0, 0, &voice(0, 160));
    // Control reads nothing: its ring is full.
    while rig.reports.deliver(MediaEvent::MediaTimeout { call: CallId(9) }).is_ok() {}
    let formats = Formats::of(Format::PCMA);
    let coders = Coders::new(&formats, 8_000).unwrap();
    rig.pass(ms(10), |s, p| s.handle_remote(p, phone(), None, formats, Some(coders)));
    assert!(rig.events().iter().all(|e| matches!(e, MediaEvent::MediaTimeout { .. } | MediaEvent::FirstPacket { .. })));
    rig.run(ms(1500));
    assert!(rig.events().iter().any(|e| matches!(e, MediaEvent::Retired { .. })));
}

#[test]
fn a_lost_opus_packet_is_recovered_from_the_next_one() {
    let mut rig = Rig::with(Role::Speech, |plan| plan.formats = Formats::of(OPUS));
    let mut talker = Talker::new(OPUS, 500.0);
    for n in 1..=100u64 {
        let (header, payload) = talker.packet(20);
        if n % 10 != 7 {
            rig.packet_from(phone(), ms(n * 20), header, &payload);
        }
    }
    rig.check_continuous();
    let stats = rig.session.stats();
    assert_eq!((stats.lost, stats.concealed_samples, stats.silence_samples), (10, 1600, 0));
    let pcm: Vec<i16> = rig.heard.iter().flat_map(|f| f.samples().to_vec()).collect();
    assert_tone(&pcm, 500.0, 8_000, "with losses");
}

#[test]
fn payloads_that_are_not_of_their_codec_are_counted() {
    for (format, wrong) in [(OPUS, &[0xff; 3][..]), (L16, &[1, 2, 3]), (L16_WIDE, &[0; 7])] {
        let mut rig = Rig::with(Role::Speech, |plan| plan.formats = Formats::of(format));
        let header = Header { payload_type: format.payload_type, ssrc: 7, ..Header::default() };
        rig.packet_from(phone(), ms(20), header, wrong);
        let (good, payload) = Talker::new(format, 500.0).packet(20);
        rig.packet_from(phone(), ms(40), good, &payload);
        rig.packet_from(phone(), ms(60), Header { sequence: good.sequence.wrapping_add(1), ..header }, wrong);
        let stats = rig.session.stats();
        assert_eq!(stats.packets_received, 1, "{format:?}");
        assert_eq!(stats.garbage + stats.forged, 2, "{format:?}: {stats:?}");
    }
}
