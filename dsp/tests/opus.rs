//! Opus against libopus itself: what we send its own decoder understands, what its encoder can send we understand, and our
//! packet parser accepts exactly what the library's does.

use callwright_dsp::codec::opus_packet::{self, Bandwidth, Mode, Packet};
use callwright_dsp::codec::{Codec, CodecError, Decoder, Encoder, EncoderSettings};
use opus::{Application, Bitrate, Channels};
use proptest::prelude::*;

/// A gliding voice-like sound: harmonics of 90 to 160 Hz under two formants, in syllables.
fn voice(rate: u32, samples: usize) -> Vec<i16> {
    let mut phase = 0.0f64;
    (0..samples)
        .map(|n| {
            let seconds = n as f64 / f64::from(rate);
            let pitch = 125.0 + 35.0 * (seconds * 4.0).sin();
            phase += std::f64::consts::TAU * pitch / f64::from(rate);
            let formant = 600.0 + 200.0 * (seconds * 7.0).sin();
            let value: f64 = (1..=24)
                .map(|harmonic| {
                    let hz = pitch * f64::from(harmonic);
                    let near = |centre: f64, width: f64| (-((hz - centre) / width).powi(2)).exp();
                    (near(formant, 250.0) + 0.4 * near(1_800.0, 400.0)) * (phase * f64::from(harmonic)).sin()
                })
                .sum();
            let loudness = 0.05 + 0.95 * (std::f64::consts::PI * 3.0 * seconds).sin().powi(2);
            (value * loudness * 5_000.0).clamp(-30_000.0, 30_000.0) as i16
        })
        .collect()
}

/// Likeness (normalised correlation, 1 = the same but for level) at the best lag up to `lag_max`, and that lag.
fn likeness(one: &[i16], other: &[i16], lag_max: usize) -> (f64, usize) {
    (0..=lag_max)
        .map(|lag| {
            let (mut both, mut a2, mut b2) = (0.0, 1.0, 1.0);
            for (a, b) in one.iter().zip(&other[lag..]) {
                let (a, b) = (f64::from(*a), f64::from(*b));
                both += a * b;
                a2 += a * a;
                b2 += b * b;
            }
            (both / (a2 * b2).sqrt(), lag)
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .unwrap()
}

fn ours(rate: u32, settings: EncoderSettings) -> (Encoder, Decoder) {
    (Encoder::new(Codec::Opus, rate, settings).unwrap(), Decoder::new(Codec::Opus, rate).unwrap())
}

fn packets(rate: u32, settings: EncoderSettings, pcm: &[i16], frame: usize) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(Codec::Opus, rate, settings).unwrap();
    let mut payload = [0; 1_275];
    pcm.chunks_exact(frame)
        .map(|samples| {
            let octets = encoder.encode(samples, &mut payload).unwrap();
            payload[..octets].to_vec()
        })
        .collect()
}

#[test]
fn the_librarys_own_decoder_hears_what_we_encode() {
    for rate in [8_000, 16_000, 48_000] {
        for milliseconds in [10, 20, 40, 60] {
            let frame = (rate / 1_000 * milliseconds) as usize;
            let pcm = voice(rate, frame * (1_200 / milliseconds as usize));
            let mut decoder = opus::Decoder::new(48_000, Channels::Mono).unwrap();
            let mut heard = Vec::new();
            for packet in packets(rate, EncoderSettings::for_rate(rate), &pcm, frame) {
                let parsed = Packet::parse(&packet).unwrap();
                assert_eq!(parsed.samples_48k(), milliseconds * 48);
                let mut out = vec![0; (milliseconds * 48) as usize];
                assert_eq!(decoder.decode(&packet, &mut out, false).ok(), Some(out.len()));
                heard.extend(out);
            }
            // Compared at the encoder's rate: all that it was given lies below half of that.
            let heard: Vec<i16> = heard.into_iter().step_by((48_000 / rate) as usize).collect();
            let (like, lag) = likeness(&pcm[..pcm.len() - frame], &heard, frame.min(rate as usize / 80));
            assert!(like > 0.95, "{rate} Hz, {milliseconds} ms: {like} at {lag}");
        }
    }
}

#[test]
fn delay_is_what_the_encoder_says() {
    for rate in [8_000, 16_000, 48_000] {
        let (mut encoder, mut decoder) = ours(rate, EncoderSettings::for_rate(rate));
        let frame = rate as usize / 50;
        let pcm = voice(rate, frame * 50);
        let (mut payload, mut heard) = ([0; 1_275], vec![0; pcm.len()]);
        for (samples, out) in pcm.chunks_exact(frame).zip(heard.chunks_exact_mut(frame)) {
            let octets = encoder.encode(samples, &mut payload).unwrap();
            assert_eq!(decoder.decode(&payload[..octets], out), Ok(frame));
        }
        let (like, lag) = likeness(&pcm[..pcm.len() - frame], &heard, frame);
        // 6.5 ms for the encoder, nothing more for the decoder.
        assert!(like > 0.95 && lag.abs_diff(encoder.delay()) <= rate as usize / 8_000, "{rate} Hz: {like} at {lag}");
        assert_eq!(encoder.delay(), rate as usize * 13 / 2_000);
    }
}

/// Every mode, bandwidth and frame size that a peer may send, mono and stereo.
#[test]
fn we_decode_all_that_the_library_can_encode() {
    let narrow_to_full = [
        (opus::Bandwidth::Narrowband, Bandwidth::Narrow),
        (opus::Bandwidth::Mediumband, Bandwidth::Medium),
        (opus::Bandwidth::Wideband, Bandwidth::Wide),
        (opus::Bandwidth::Superwideband, Bandwidth::SuperWide),
        (opus::Bandwidth::Fullband, Bandwidth::Full),
    ];
    let pcm = voice(48_000, 48_000 / 2);
    let mut seen = std::collections::BTreeSet::new();
    for (application, channels) in [
        (Application::Voip, Channels::Mono),
        (Application::LowDelay, Channels::Mono),
        (Application::Voip, Channels::Stereo),
        (Application::Audio, Channels::Stereo),
    ] {
        for (wanted, _) in narrow_to_full {
            // In 2.5 ms: 2.5 to 120 ms.
            for quarters in [1, 2, 4, 8, 16, 24, 32, 40, 48] {
                let mut encoder = opus::Encoder::new(48_000, channels, application).unwrap();
                encoder.set_bitrate(Bitrate::Bits(if quarters < 4 { 200_000 } else { 28_000 })).unwrap();
                encoder.set_complexity(1).unwrap();
                encoder.set_bandwidth(wanted).unwrap();
                encoder.set_force_channels(Some(channels)).unwrap();
                let frame = 120 * quarters;
                let mut decoders = [8_000, 16_000, 48_000].map(|rate| Decoder::new(Codec::Opus, rate).unwrap());
                let mut heard = Vec::new();
                for samples in pcm.chunks_exact(frame) {
                    let samples: Vec<i16> =
                        samples.iter().flat_map(|s| std::iter::repeat_n(*s, channels as usize)).collect();
                    let packet = encoder.encode_vec(&samples, 4_000).unwrap();
                    let parsed = Packet::parse(&packet).unwrap();
                    assert_eq!(parsed.samples_48k() as usize, frame);
                    assert_eq!(parsed.is_stereo(), channels == Channels::Stereo);
                    seen.insert(format!(
                        "{:?} {:?} {:?}",
                        parsed.mode(),
                        parsed.bandwidth(),
                        parsed.frame_samples_48k()
                    ));
                    for decoder in &mut decoders {
                        let expected = frame / (48_000 / decoder.rate() as usize);
                        let mut out = vec![0; expected];
                        assert_eq!(decoder.samples(&packet), Some(expected));
                        assert_eq!(decoder.decode(&packet, &mut out), Ok(expected));
                        assert_eq!(decoder.decode(&packet, &mut out[1..]), Err(CodecError::Length));
                        if decoder.rate() == 8_000 {
                            heard.extend(out);
                        }
                    }
                }
                let narrow: Vec<i16> = pcm[..pcm.len() - 4_800].iter().copied().step_by(6).collect();
                let (like, lag) = likeness(&narrow, &heard, 100);
                assert!(like > 0.85, "{application:?} {channels:?} {wanted:?} {frame}: {like} at {lag}");
            }
        }
    }
    // 12 of SILK, 4 hybrid, 16 CELT: the configurations of RFC 6716 table 2.
    assert_eq!(seen.len(), 32, "{seen:#?}");
}

fn power(pcm: &[i16]) -> f64 {
    pcm.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / pcm.len() as f64
}

#[test]
fn redundancy_brings_back_what_was_lost() {
    let settings = EncoderSettings { fec: true, expected_loss: 20, ..EncoderSettings::default() };
    let pcm = voice(8_000, 160 * 100);
    let sent = packets(8_000, settings, &pcm, 160);
    let carries = |n: usize| sent.get(n).is_some_and(|p| Packet::parse(p).unwrap().has_redundancy());
    // Quiet packets are not worth a copy.
    let carried = (0..sent.len()).filter(|n| carries(*n)).count();
    assert!(carried > 50, "{carried}");
    // No loss, no copies.
    let plain = packets(8_000, EncoderSettings { expected_loss: 0, ..settings }, &pcm, 160);
    assert!(plain.iter().all(|p| !Packet::parse(p).unwrap().has_redundancy()));

    let (mut whole, mut recovered, mut concealed) = (Vec::new(), Vec::new(), Vec::new());
    let mut decoders = [0; 3].map(|_| Decoder::new(Codec::Opus, 8_000).unwrap());
    let mut out = [0; 160];
    for (n, packet) in sent.iter().enumerate() {
        decoders[0].decode(packet, &mut out).unwrap();
        whole.extend(out);
        let lost = n % 3 == 1 && carries(n + 1);
        if lost {
            assert!(decoders[1].recover(&sent[n + 1], &mut out), "{n}");
        } else {
            decoders[1].decode(packet, &mut out).unwrap();
        }
        recovered.extend(out);
        if lost {
            assert!(decoders[2].conceals() && decoders[2].conceal(&mut out));
        } else {
            decoders[2].decode(packet, &mut out).unwrap();
        }
        concealed.extend(out);
    }
    let error = |other: &[i16]| power(&whole.iter().zip(other).map(|(a, b)| a.saturating_sub(*b)).collect::<Vec<_>>());
    let (with, without) = (error(&recovered), error(&concealed));
    assert!(with < without / 2.0, "with redundancy {with}, without {without}");
    // Nothing to take from a packet without; the caller fills the gap in another way.
    let mut decoder = Decoder::new(Codec::Opus, 8_000).unwrap();
    assert!(!decoder.recover(&plain[3], &mut out));
    assert!(!decoder.recover(&[], &mut out));
    let carrier = &sent[(0..sent.len()).find(|n| carries(*n)).unwrap()];
    assert!(!decoder.recover(carrier, &mut out[..80]), "shorter than the copy");
    // Two packets lost, the second of which comes back: 40 ms at once.
    let mut longer = [0; 320];
    assert!(decoder.recover(carrier, &mut longer));
}

#[test]
fn concealment_takes_lengths_of_whole_quarters() {
    let mut decoder = Decoder::new(Codec::Opus, 16_000).unwrap();
    let pcm = voice(16_000, 320 * 20);
    let mut out = [0; 16_000];
    for packet in packets(16_000, EncoderSettings::for_rate(16_000), &pcm, 320) {
        decoder.decode(&packet, &mut out).unwrap();
    }
    let before = power(&out[..320]);
    assert!(decoder.conceal(&mut out[..320]));
    assert!(power(&out[..320]) > before / 4.0, "the voice goes on");
    for quarters in 1..=24 {
        assert!(decoder.conceal(&mut out[..40 * quarters]), "{quarters}");
    }
    assert!(decoder.conceal(&mut out[..960]) && power(&out[..960]) < before / 100.0, "it fades");
    assert!(![0, 1, 39, 41, 1_000, 16_000].iter().any(|n| decoder.conceal(&mut out[..*n])));
}

#[test]
fn pauses_are_not_sent_when_the_peer_would_rather_not_have_them() {
    let settings = EncoderSettings { dtx: true, ..EncoderSettings::default() };
    let mut pcm = voice(8_000, 160 * 50);
    pcm.extend([0; 160 * 100]);
    pcm.extend(voice(8_000, 160 * 20));
    let sent = packets(8_000, settings, &pcm, 160);
    let silent = |range: std::ops::Range<usize>| sent[range].iter().filter(|p| p.is_empty()).count();
    assert_eq!((silent(0..50), silent(151..170)), (0, 0));
    assert!(silent(60..150) > 75, "{}", silent(60..150));
    let mut decoder = Decoder::new(Codec::Opus, 8_000).unwrap();
    let (mut out, mut loudest) = ([0; 160], 0);
    for (n, packet) in sent.iter().enumerate() {
        if packet.is_empty() {
            assert!(decoder.conceal(&mut out));
        } else {
            decoder.decode(packet, &mut out).unwrap();
        }
        if (80..150).contains(&n) {
            loudest = loudest.max(out.iter().map(|s| s.unsigned_abs()).max().unwrap());
        }
    }
    assert!(loudest < 100, "{loudest}");
}

#[test]
fn settings_out_of_range_are_brought_into_it_and_changes_are_heard_at_once() {
    let wild = EncoderSettings { bitrate: u32::MAX, complexity: 255, fec: true, expected_loss: 255, dtx: false };
    let (mut encoder, _) = ours(16_000, wild);
    let (pcm, mut payload) = (voice(16_000, 320), [0; 1_275]);
    let large = encoder.encode(&pcm, &mut payload).unwrap();
    let small = EncoderSettings { bitrate: 0, complexity: 0, ..EncoderSettings::default() };
    encoder.apply(small);
    assert_eq!(encoder.settings(), Some(small));
    for _ in 0..5 {
        encoder.encode(&pcm, &mut payload).unwrap();
    }
    assert!(encoder.encode(&pcm, &mut payload).unwrap() < large / 3);
    assert_eq!(encoder.encode(&pcm[..319], &mut payload), Err(CodecError::Length));
    assert_eq!(encoder.encode(&[], &mut payload), Err(CodecError::Length));
    assert_eq!(encoder.encode(&pcm, &mut []), Err(CodecError::Library(-1)));
}

#[test]
fn rules_of_the_packet_format() {
    let parse = |octets: &[u8]| Packet::parse(octets).map(|p| (p.frames(), p.samples_48k()));
    use opus_packet::Malformed::{Duration, Empty, Length, Uneven};
    // R1.
    assert_eq!(parse(&[]), Err(Empty));
    // A table of contents alone is an empty frame: 20 ms of SILK, narrowband.
    assert_eq!(parse(&[0x08]), Ok((1, 960)));
    assert!(Packet::parse(&[0x08]).unwrap().is_empty());
    // R2: at most 1275 octets a frame.
    assert_eq!(parse(&[0x08; 1_276]), Ok((1, 960)));
    assert_eq!(parse(&[0x08; 1_277]), Err(Length));
    // R3: two equal frames.
    assert_eq!(parse(&[0x09, 1, 2]), Ok((2, 1_920)));
    assert_eq!(parse(&[0x09, 1]), Err(Uneven));
    // R4: two frames, the first with its length.
    assert_eq!(parse(&[0x0a, 1, 9, 9]), Ok((2, 1_920)));
    assert_eq!(parse(&[0x0a, 4, 9, 9]), Err(Length));
    assert_eq!(parse(&[0x0a]), Err(Length));
    assert_eq!(parse(&[0x0a, 252]), Err(Length));
    // R5: from one frame up to 120 ms.
    assert_eq!(parse(&[0x0b, 0]), Err(Duration));
    assert_eq!(parse(&[0x0b, 6]), Ok((6, 5_760)));
    assert_eq!(parse(&[0x0b, 7]), Err(Duration));
    // 48 frames of 2.5 ms.
    assert_eq!(parse(&[0x83, 48]), Ok((48, 5_760)));
    assert_eq!(parse(&[0x83, 49]), Err(Duration));
    // R6: constant rate, perhaps padded (254 octets and 1 more for 255, 1).
    assert_eq!(parse(&[0x0b, 2, 1, 2]), Ok((2, 1_920)));
    assert_eq!(parse(&[0x0b, 2, 1]), Err(Uneven));
    assert_eq!(parse(&[0x0b, 0x42, 2, 1, 2, 0, 0]), Ok((2, 1_920)));
    assert_eq!(parse(&[0x0b, 0x42, 3, 1, 2]), Err(Length));
    assert_eq!(parse(&[0x0b, 0x42]), Err(Length));
    let mut padded = vec![0x0b, 0x41, 255, 1, 7];
    padded.extend([0; 255]);
    assert_eq!(parse(&padded), Ok((1, 960)));
    // R7: variable rate.
    assert_eq!(parse(&[0x0b, 0x83, 1, 0, 9, 9, 9]), Ok((3, 2_880)));
    assert_eq!(parse(&[0x0b, 0x83, 1, 9, 9]), Err(Length));
    assert_eq!(parse(&[0x0b]), Err(Length));
    // Modes and bandwidths of table 2.
    let kind = |toc: u8| Packet::parse(&[toc]).map(|p| (p.mode(), p.bandwidth(), p.frame_samples_48k())).unwrap();
    assert_eq!(kind(0), (Mode::Silk, Bandwidth::Narrow, 480));
    assert_eq!(kind(7 << 3), (Mode::Silk, Bandwidth::Medium, 2_880));
    assert_eq!(kind(11 << 3), (Mode::Silk, Bandwidth::Wide, 2_880));
    assert_eq!(kind(12 << 3), (Mode::Hybrid, Bandwidth::SuperWide, 480));
    assert_eq!(kind(15 << 3), (Mode::Hybrid, Bandwidth::Full, 960));
    assert_eq!(kind(16 << 3), (Mode::Celt, Bandwidth::Narrow, 120));
    assert_eq!(kind(20 << 3), (Mode::Celt, Bandwidth::Wide, 120));
    assert_eq!(kind(31 << 3), (Mode::Celt, Bandwidth::Full, 960));
}

/// Garbage that gets beyond the first octet often enough.
fn octets() -> impl Strategy<Value = Vec<u8>> {
    let few = prop_oneof![3 => 0u8..8, 1 => any::<u8>(), 1 => Just(255), 1 => 60u8..72];
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..300),
        (any::<u8>(), proptest::collection::vec(few, 0..40)).prop_map(|(toc, rest)| {
            let mut octets = vec![toc];
            octets.extend(rest);
            octets
        }),
        (any::<u8>(), 1_200usize..2_600).prop_map(|(toc, length)| vec![toc; length]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn our_parser_accepts_what_the_library_accepts(octets in octets()) {
        opus_packet::fuzz(&octets);
        let theirs = opus::packet::parse(&octets);
        match Packet::parse(&octets) {
            Ok(packet) => {
                let theirs = theirs.unwrap();
                prop_assert_eq!(packet.frames(), theirs.frames.len());
                prop_assert_eq!(packet.is_empty(), theirs.frames.len() == 1 && theirs.frames[0].is_empty());
                let samples = opus::packet::get_nb_samples(&octets, 48_000);
                prop_assert_eq!(samples.ok(), Some(packet.samples_48k() as usize));
            }
            Err(_) => prop_assert!(theirs.is_err(), "{:?}", theirs),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_stream_of_garbage_losses_and_recoveries_keeps_the_decoder_alive(
        stream in proptest::collection::vec((octets(), 0u8..4, 0usize..30), 1..20),
    ) {
        let mut decoder = Decoder::new(Codec::Opus, 8_000).unwrap();
        let mut out = [0; 960];
        for (octets, what, quarters) in stream {
            match what {
                0 => { decoder.conceal(&mut out[..20 * quarters]); }
                1 => { decoder.recover(&octets, &mut out[..20 * quarters]); }
                2 if quarters == 0 => decoder.reset(),
                _ => {
                    let expected = decoder.samples(&octets);
                    match decoder.decode(&octets, &mut out) {
                        Ok(samples) => prop_assert_eq!(Some(samples), expected),
                        Err(error) => prop_assert!(matches!(error, CodecError::Payload | CodecError::Library(_)), "{}", error),
                    }
                }
            }
        }
    }
}
