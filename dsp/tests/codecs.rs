//! What holds for every codec behind `Decoder` and `Encoder`: rates, lengths, resets, garbage.

use callwright_dsp::codec::{Codec, CodecError, Decoder, Encoder, EncoderSettings, comfort_noise, g722, opus_packet};
use proptest::prelude::*;

/// Every pair that works: codec, rate, octets of 20 ms where that is fixed.
const PAIRS: [(Codec, u32, Option<usize>); 10] = [
    (Codec::Pcmu, 8_000, Some(160)),
    (Codec::Pcma, 8_000, Some(160)),
    (Codec::G722, 8_000, Some(160)),
    (Codec::G722, 16_000, Some(160)),
    (Codec::L16At8k, 8_000, Some(320)),
    (Codec::L16At16k, 8_000, Some(640)),
    (Codec::L16At16k, 16_000, Some(640)),
    (Codec::Opus, 8_000, None),
    (Codec::Opus, 16_000, None),
    (Codec::Opus, 48_000, None),
];

fn pair(codec: Codec, rate: u32) -> (Encoder, Decoder) {
    (Encoder::new(codec, rate, EncoderSettings::for_rate(rate)).unwrap(), Decoder::new(codec, rate).unwrap())
}

fn tone(rate: u32, samples: usize) -> Vec<i16> {
    let step = std::f64::consts::TAU * 700.0 / f64::from(rate);
    (0..samples).map(|n| (9_000.0 * (n as f64 * step).sin() * (1.0 + (n as f64 * step / 90.0).sin())) as i16).collect()
}

/// Codec state is made on a control thread and handed to the media worker.
#[test]
fn codecs_move_between_threads() {
    fn moves<T: Send + 'static>() {}
    moves::<Encoder>();
    moves::<Decoder>();
}

#[test]
fn rates_are_those_of_the_table_and_no_others() {
    for codec in Codec::ALL {
        for rate in [0, 8_000, 11_025, 12_000, 16_000, 24_000, 44_100, 48_000, u32::MAX] {
            let works = PAIRS.iter().any(|(c, r, _)| (*c, *r) == (codec, rate));
            assert!(!works || rate <= codec.audio_rate());
            let refused = CodecError::Rate { codec, rate };
            match Decoder::new(codec, rate) {
                Ok(decoder) => assert_eq!((works, decoder.codec(), decoder.rate()), (true, codec, rate)),
                Err(error) => assert_eq!((works, error), (false, refused)),
            }
            match Encoder::new(codec, rate, EncoderSettings::default()) {
                Ok(encoder) => assert_eq!((works, encoder.codec(), encoder.rate()), (true, codec, rate)),
                Err(error) => assert_eq!((works, error), (false, refused)),
            }
        }
    }
}

#[test]
fn what_is_encoded_is_decoded_at_the_same_length_and_loudness() {
    for (codec, rate, octets) in PAIRS {
        for frame_ms in [10, 20, 40, 60] {
            let (mut encoder, mut decoder) = pair(codec, rate);
            let frame = (rate / 1_000 * frame_ms) as usize;
            let pcm = tone(rate, frame * (1_200 / frame_ms as usize));
            let (mut payload, mut out) = (vec![0; 4_000], vec![0; pcm.len()]);
            for (samples, out) in pcm.chunks_exact(frame).zip(out.chunks_exact_mut(frame)) {
                let written = encoder.encode(samples, &mut payload).unwrap();
                if let Some(octets) = octets {
                    assert_eq!(written, octets * frame_ms as usize / 20, "{codec:?} {rate}");
                }
                assert_eq!(decoder.samples(&payload[..written]), Some(frame), "{codec:?} {rate}");
                assert_eq!(decoder.decode(&payload[..written], out), Ok(frame), "{codec:?} {rate}");
            }
            let power = |pcm: &[i16]| pcm.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>();
            let loudness = 10.0 * (power(&out) / power(&pcm)).log10();
            assert!(loudness.abs() < 1.0, "{codec:?} {rate} {frame_ms} ms: {loudness} dB");
        }
    }
}

#[test]
fn lengths_that_do_not_fit_are_refused_and_write_nothing() {
    for (codec, rate, _) in PAIRS {
        let (mut encoder, mut decoder) = pair(codec, rate);
        let frame = rate as usize / 50;
        let pcm = tone(rate, frame);
        let mut payload = vec![0; 4_000];
        let written = encoder.encode(&pcm, &mut payload).unwrap();
        let mut out = vec![77; frame];
        assert_eq!(decoder.decode(&payload[..written], &mut out[1..]), Err(CodecError::Length), "{codec:?} {rate}");
        assert!(out.iter().all(|s| *s == 77));
        assert_eq!(decoder.decode(&[], &mut out), Err(CodecError::Payload), "{codec:?} {rate}");
        assert_eq!(decoder.samples(&[]), None);
        if codec != Codec::Opus {
            assert!(!decoder.conceals() && !decoder.conceal(&mut out) && !decoder.recover(&payload, &mut out));
            assert_eq!(encoder.settings(), None);
            assert_eq!(encoder.encode(&pcm, &mut payload[..written - 1]), Err(CodecError::Length), "{codec:?} {rate}");
            // Nothing in, nothing out.
            assert_eq!(encoder.encode(&[], &mut payload), Ok(0), "{codec:?} {rate}");
        }
    }
    let (mut encoder, _) = pair(Codec::G722, 16_000);
    assert_eq!(encoder.encode(&[0; 3], &mut [0; 9]), Err(CodecError::Length), "half an octet");
    for (codec, rate, odd) in [(Codec::L16At8k, 8_000, 3), (Codec::L16At16k, 16_000, 5), (Codec::L16At16k, 8_000, 6)] {
        let (_, mut decoder) = pair(codec, rate);
        assert_eq!(decoder.samples(&vec![0; odd]), None);
        assert_eq!(decoder.decode(&vec![0; odd], &mut [0; 9]), Err(CodecError::Payload));
    }
}

#[test]
fn after_a_reset_all_is_as_new() {
    for (codec, rate, _) in PAIRS {
        let frame = rate as usize / 50;
        let pcm = tone(rate, frame * 10);
        let run = |encoder: &mut Encoder, decoder: &mut Decoder| {
            let (mut payloads, mut out) = (Vec::new(), Vec::new());
            for samples in pcm.chunks_exact(frame) {
                let (mut payload, mut heard) = (vec![0; 4_000], vec![0; frame]);
                let written = encoder.encode(samples, &mut payload).unwrap();
                decoder.decode(&payload[..written], &mut heard).unwrap();
                payload.truncate(written);
                payloads.push(payload);
                out.extend(heard);
            }
            (payloads, out)
        };
        let (mut encoder, mut decoder) = pair(codec, rate);
        let first = run(&mut encoder, &mut decoder);
        encoder.reset();
        decoder.reset();
        assert_eq!(run(&mut encoder, &mut decoder), first, "{codec:?} {rate}");
    }
}

#[test]
fn delay_is_what_the_far_end_hears() {
    for (codec, rate, _) in PAIRS {
        let (mut encoder, mut decoder) = pair(codec, rate);
        let frame = rate as usize / 50;
        // A hum with a swell: correlates sharply enough, and is what every codec is good at.
        let pcm: Vec<i16> = (0..frame * 20)
            .map(|n| {
                let seconds = n as f64 / f64::from(rate);
                let swell = (-((seconds - 0.2) / 0.05).powi(2)).exp();
                (12_000.0 * swell * (std::f64::consts::TAU * (300.0 + 1_500.0 * seconds) * seconds).sin()) as i16
            })
            .collect();
        let (mut payload, mut out) = (vec![0; 4_000], vec![0; pcm.len()]);
        for (samples, out) in pcm.chunks_exact(frame).zip(out.chunks_exact_mut(frame)) {
            let written = encoder.encode(samples, &mut payload).unwrap();
            decoder.decode(&payload[..written], out).unwrap();
        }
        let likeness =
            |lag: usize| pcm.iter().zip(&out[lag..]).map(|(a, b)| i64::from(*a) * i64::from(*b)).sum::<i64>();
        let heard = (0..frame).max_by_key(|lag| likeness(*lag)).unwrap();
        // What filters the decoder has on top: G.722 as much again, the decimation of L16 likewise.
        let expected = match (codec, rate) {
            (Codec::Opus, _) => encoder.delay(),
            _ => 2 * encoder.delay(),
        };
        assert!(heard.abs_diff(expected) <= 1 + rate as usize / 16_000, "{codec:?} {rate}: {heard}, not {expected}");
    }
}

proptest! {
    #[test]
    fn any_payload_is_decoded_or_refused(
        payload in proptest::collection::vec(any::<u8>(), 0..700),
        which in 0..PAIRS.len(),
        room in 0usize..2_000,
    ) {
        let (codec, rate, _) = PAIRS[which];
        let mut decoder = Decoder::new(codec, rate).unwrap();
        let mut out = vec![0; room];
        let expected = decoder.samples(&payload);
        match decoder.decode(&payload, &mut out) {
            Ok(samples) => prop_assert_eq!(Some(samples), expected),
            Err(CodecError::Payload) => prop_assert!(expected.is_none() || codec == Codec::Opus),
            Err(CodecError::Length) => prop_assert!(expected.is_some_and(|samples| samples > room)),
            Err(error) => prop_assert!(codec == Codec::Opus, "{}", error),
        }
        comfort_noise::fuzz(&payload);
        opus_packet::fuzz(&payload);
        g722::fuzz(&payload);
    }

    #[test]
    fn any_samples_are_encoded_or_refused(
        pcm in proptest::collection::vec(prop_oneof![any::<i16>(), Just(i16::MIN), Just(i16::MAX)], 0..1_000),
        which in 0..PAIRS.len(),
        room in 0usize..2_000,
        whole in any::<bool>(),
    ) {
        let (codec, rate, _) = PAIRS[which];
        let mut encoder = Encoder::new(codec, rate, EncoderSettings::for_rate(rate)).unwrap();
        let mut payload = vec![0; room];
        let frame = rate as usize / 100;
        let pcm = if whole && pcm.len() >= frame { &pcm[..frame] } else { &pcm[..] };
        if let Ok(octets) = encoder.encode(pcm, &mut payload) {
            let decoder = Decoder::new(codec, rate).unwrap();
            prop_assert!(octets <= room);
            prop_assert_eq!(decoder.samples(&payload[..octets]).unwrap_or(0), pcm.len());
        }
    }
}
