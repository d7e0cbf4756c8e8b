//! What speech hears.

use super::*;
use crate::media::recorder;
use proptest::prelude::*;

#[test]
fn a_packet_in_order_is_readable_in_the_pass_that_brought_it() {
    let mut rig = Rig::new(Role::Speech);
    for n in 0..100u16 {
        let at = ms(u64::from(n) * 20 + 20);
        assert!(rig.packet(at, n, u32::from(n) * 160, &voice(n, 160)));
        let last = rig.heard.last().unwrap();
        assert!(!last.fed && last.received == at);
    }
    rig.check_continuous();
    let expected: Vec<u8> = (0..100).flat_map(|n| voice(n, 160)).collect();
    assert_eq!(rig.received_octets(), expected);
    assert!(rig.heard.iter().all(|f| !f.fed));
}

#[test]
fn silence_is_fed_sixty_milliseconds_after_the_due_time_and_time_never_stops() {
    let mut rig = Rig::new(Role::Speech);
    rig.run(ms(79));
    assert!(rig.heard.is_empty());
    rig.run(ms(80));
    assert_eq!((rig.heard.len(), rig.heard[0].fed), (1, true));
    rig.run(ms(10_000));
    assert_eq!(rig.heard_samples(), (10_000 - 60) * 8);
    rig.check_continuous();
    assert_eq!(rig.marks.silence_frames_fed.get(), 497);
}

#[test]
fn a_pause_without_packets_is_as_long_in_audio_time() {
    let mut rig = Rig::new(Role::Speech);
    for n in 0..10u16 {
        rig.packet(ms(u64::from(n) * 20 + 20), n, u32::from(n) * 160, &voice(n, 160));
    }
    // Silence suppression: 1 s without packets, the next in sequence, its timestamp moved on.
    for n in 10..20u16 {
        rig.packet(ms(u64::from(n) * 20 + 1020), n, u32::from(n) * 160 + 8000, &voice(n, 160));
    }
    rig.check_continuous();
    assert_eq!(rig.heard_samples(), 20 * 160 + 8000);
    assert_eq!(rig.session.stats().silence_samples, 8000);
    assert_eq!(rig.session.stats().late, 0);
}

#[test]
fn a_pause_is_recorded_as_its_sender_says_and_silence_to_speech() {
    let (tap, mut frames, _) = recorder::tap();
    let mut rig = Rig::with(Role::Speech, |plan| plan.recording = Some(tap));
    for n in 0..10u16 {
        rig.packet(ms(u64::from(n) * 20 + 20), n, u32::from(n) * 160, &voice(n, 160));
    }
    // Comfort noise at −30 dBov, then a second of nothing.
    let noise = Header { payload_type: 13, sequence: 10, timestamp: 1600, ssrc: 7, ..Header::default() };
    rig.packet_from(phone(), ms(220), noise, &[30]);
    let sent = rig.sent.len();
    for n in 0..10u16 {
        rig.packet(ms(u64::from(n) * 20 + 1220), n + 11, u32::from(n) * 160 + 9600, &voice(n, 160));
    }
    assert_eq!(rig.sent.len() - sent, 59, "we go on sending a frame every 20 ms");
    rig.run(ms(2500));
    rig.check_continuous();
    let recorded: Vec<_> =
        std::iter::from_fn(|| frames.try_pop()).filter(|f| f.side == recorder::Side::Caller).collect();
    let level = |from: u64, to: u64, pcm: &dyn Fn() -> Vec<(u64, Vec<i16>)>| {
        let within = pcm().into_iter().filter(|(at, _)| (from * 8..to * 8).contains(at));
        let samples: Vec<i16> = within.flat_map(|(_, pcm)| pcm).collect();
        let whole = samples.len() as f32 / ((to - from) * 8) as f32;
        (20.0 * (callwright_dsp::level::rms(&samples).max(1e-3) / 32_768.0).log10(), whole)
    };
    let heard = || rig.heard.iter().map(|f| (f.at.0, f.samples().to_vec())).collect::<Vec<_>>();
    let kept = || recorded.iter().map(|f| (f.at.0, f.samples().to_vec())).collect::<Vec<_>>();
    let (in_pause, whole) = level(240, 1200, &kept);
    assert!((in_pause + 30.0).abs() < 1.0 && (whole - 1.0).abs() < 0.01, "{in_pause} dB in {whole} of the pause");
    assert!(level(260, 1160, &heard).0 < -90.0, "what a phone calls a pause is none of speech's business");
    assert!(level(1240, 1400, &heard).0 > -20.0);
    // It spoke again and then vanished without a word: silence.
    assert!(level(1700, 2400, &heard).0 < -90.0 && level(1700, 2400, &kept).1 == 0.0);
    assert_eq!((rig.session.stats().late, rig.session.stats().concealed_samples), (0, 0));
}

/// A phone whose Opus says that a pause begins, and then nothing but for a sign of life every 400 ms.
#[test]
fn discontinuous_opus_is_a_pause_as_long_as_it_was_and_loses_nothing() {
    let mut rig = Rig::with(Role::Speech, |plan| plan.formats = Formats::of(OPUS));
    let settings = EncoderSettings { dtx: true, ..EncoderSettings::for_rate(8_000) };
    let mut encoder = Encoder::new(Codec::Opus, 8_000, settings).unwrap();
    let mut tone = Tone::new(700.0, 8_000, -10.0);
    let (mut sequence, mut packets, mut shortest, mut quiet) = (0u16, 0, 1000, Quiet::default());
    for n in 0..250u32 {
        let (mut pcm, mut payload) = ([0; 160], [0; 1000]);
        if !(50..200).contains(&n) {
            tone.fill(&mut pcm);
        }
        if let Some(len) = quiet.packet(encoder.encode(&pcm, &mut payload).unwrap(), &mut payload) {
            let header = Header { payload_type: 111, sequence, timestamp: n * 960, ssrc: 7, ..Header::default() };
            rig.packet_from(phone(), ms(u64::from(n) * 20 + 20), header, &payload[..len]);
            (sequence, packets, shortest) = (sequence.wrapping_add(1), packets + 1, shortest.min(len));
        }
    }
    assert!(packets < 160 && shortest <= 2, "the encoder kept silent: {packets} packets, the shortest of {shortest}");
    rig.check_continuous();
    let stats = rig.session.stats();
    assert_eq!((stats.lost, stats.late, stats.garbage, stats.concealed_samples), (0, 0, 0, 0));
    assert_eq!(rig.heard_samples().abs_diff(250 * 160), 0);
    let part = |from: u64, to: u64| {
        let within = rig.heard.iter().filter(|f| (from * 160..to * 160).contains(&f.at.0));
        callwright_dsp::level::dbfs(&within.flat_map(|f| f.samples().to_vec()).collect::<Vec<_>>())
    };
    assert!(part(80, 190) < -60.0 && part(210, 250) > -16.0, "{} dB, {} dB", part(80, 190), part(210, 250));
}

#[test]
fn a_loss_is_concealed_in_place() {
    let mut rig = Rig::new(Role::Speech);
    for n in (0..20u16).filter(|n| *n != 7) {
        rig.packet(ms(u64::from(n) * 20 + 20), n, u32::from(n) * 160, &voice(n, 160));
    }
    rig.check_continuous();
    assert_eq!(rig.heard_samples(), 20 * 160);
    let stats = rig.session.stats();
    assert_eq!((stats.concealed_samples, stats.silence_samples, stats.lost), (160, 0, 1));
    let seventh = &rig.heard[7];
    assert!(seventh.fed && seventh.pcm[0] != 0);
    assert_eq!(rig.marks.jitter_buffer.count(), 2);
    assert!(rig.marks.jitter_buffer.max() <= Duration::from_millis(40));
}

#[test]
fn two_packets_in_the_wrong_order_are_put_right() {
    let mut rig = Rig::new(Role::Speech);
    for (n, at) in [(0u16, 20), (2, 40), (1, 45), (3, 80)] {
        rig.packet(ms(at), n, u32::from(n) * 160, &voice(n, 160));
    }
    let expected: Vec<u8> = (0..4).flat_map(|n| voice(n, 160)).collect();
    assert_eq!(rig.received_octets(), expected);
    assert_eq!(rig.session.stats().lost, 0);
}

#[test]
fn a_stall_followed_by_a_burst_keeps_every_word_and_gives_the_time_back_in_a_pause() {
    let mut rig = Rig::new(Role::Speech);
    for n in 0..10u16 {
        rig.packet(ms(u64::from(n) * 20 + 20), n, u32::from(n) * 160, &voice(n, 160));
    }
    // 300 ms nothing, then all at once.
    for n in 10..25u16 {
        rig.packet(ms(520), n, u32::from(n) * 160, &voice(n, 160));
    }
    let words: Vec<u8> = (0..25).flat_map(|n| voice(n, 160)).collect();
    assert_eq!(rig.received_octets(), words);
    let ahead = rig.heard_samples() - 520 * 8;
    assert!(ahead > 1500, "{ahead}");
    // The caller pauses: quiet packets are left out until audio time is back at the wall clock.
    for n in 25..100u16 {
        rig.packet(ms(u64::from(n) * 20 + 20), n, u32::from(n) * 160, &[0xff; 160]);
    }
    rig.check_continuous();
    let behind = rig.heard_samples().abs_diff(2000 * 8);
    assert!(behind <= 640, "{behind}");
}

#[test]
fn audio_never_runs_half_a_second_ahead() {
    let mut rig = Rig::new(Role::Speech);
    for n in 0..200u16 {
        rig.packet(ms(20 + u64::from(n)), n, u32::from(n) * 160, &voice(n, 160));
        assert!(rig.heard_samples() <= (20 + u64::from(n)) * 8 + 4000);
    }
    assert!(rig.session.stats().late > 100);
    rig.check_continuous();
}

#[test]
fn timestamp_jumps_do_not_move_audio_time() {
    let mut rig = Rig::new(Role::Speech);
    let mut timestamp = 0u32;
    for n in 0..100u16 {
        if n % 10 == 5 {
            timestamp = timestamp.wrapping_add(0x7fff_0000);
        }
        rig.packet(ms(u64::from(n) * 20 + 20), n, timestamp, &voice(n, 160));
        timestamp = timestamp.wrapping_add(160);
    }
    rig.check_continuous();
    assert_eq!(rig.heard_samples(), 100 * 160);
}

#[test]
fn keys_are_reported_once_each_and_leave_audio_time_going() {
    let mut rig = Rig::new(Role::Speech);
    let mut sequence = 0u16;
    let mut at = 20;
    for (n, code) in [4u8, 2, 2].into_iter().enumerate() {
        let timestamp = n as u32 * 4000;
        for duration in [160u16, 320, 480, 640, 800, 800, 800] {
            let event = Event { code, end: duration == 800, volume: 10, duration };
            let header = Header { payload_type: EVENTS, sequence, timestamp, ssrc: 7, marker: duration == 160 };
            rig.packet_from(phone(), ms(at), header, &event.octets());
            sequence += 1;
            at += 20;
        }
    }
    rig.run(ms(2000));
    let digits: String = rig
        .events()
        .into_iter()
        .filter_map(|e| match e {
            MediaEvent::Digit { digit, .. } => Some(digit),
            _ => None,
        })
        .collect();
    assert_eq!(digits, "422");
    rig.check_continuous();
    assert_eq!(rig.heard_samples(), (2000 - 60) * 8);
}

proptest! {
    /// Packets of any allowed length are re-framed without losing, repeating or reordering a sample.
    #[test]
    fn re_framing_keeps_every_sample(lens in proptest::collection::vec(1usize..=480, 1..60), start: u16, stamp: u32) {
        let mut rig = Rig::new(Role::Speech);
        let (mut samples, mut expected) = (0u64, Vec::new());
        for (n, len) in lens.iter().enumerate() {
            let payload = voice(n as u16, *len);
            // A packet arrives when its last sample was spoken.
            samples += *len as u64;
            let at = START + Duration::from_micros(samples * 125);
            let timestamp = stamp.wrapping_add((samples - *len as u64) as u32);
            rig.packet(at, start.wrapping_add(n as u16), timestamp, &payload);
            expected.extend(payload);
        }
        rig.check_continuous();
        prop_assert_eq!(rig.received_octets(), expected);
        prop_assert!(rig.heard.iter().all(|f| !f.fed));
    }

    /// Whatever the network does, audio time has no hole, follows the wall clock, and nothing panics.
    #[test]
    fn audio_time_survives_any_network(packets in proptest::collection::vec(
        (0u64..120, any::<i8>(), -2000i32..2000, 0usize..500, 0u8..20), 1..200)) {
        let mut rig = Rig::new(Role::Speech);
        let (mut now, mut sequence, mut timestamp) = (20u64, 0u16, 0u32);
        for (wait, jump, skew, len, odd) in packets {
            now += wait;
            sequence = sequence.wrapping_add(1);
            timestamp = timestamp.wrapping_add(160);
            let header = Header {
                marker: odd == 1,
                payload_type: if odd == 2 { EVENTS } else if odd == 3 { 13 } else { 0 },
                sequence: if odd < 10 { sequence } else { sequence.wrapping_add_signed(i16::from(jump)) },
                timestamp: if odd < 15 { timestamp } else { timestamp.wrapping_add_signed(skew) },
                ssrc: if odd == 4 { 8 } else { 7 },
            };
            rig.packet_from(phone(), ms(now), header, &voice(sequence, len));
            rig.check_continuous();
            let wall = now * 8;
            prop_assert!(rig.heard_samples() <= wall + 4000 + 160);
            prop_assert!(rig.heard_samples() + 640 >= wall.min(wall - wall % 160), "{} {}", rig.heard_samples(), wall);
        }
    }
}
