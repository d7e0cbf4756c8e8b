//! Traces in virtual time: 20 ms packets of μ-law, fetched 10 ms at a time.

use super::*;
use crate::codec::comfort_noise::NoiseParameters;
use crate::codec::{Codec, Decoder, Encoder, EncoderSettings, g711};
use crate::level;
use proptest::prelude::*;

const MS: u64 = 1_000_000;

fn decoder() -> Decoder {
    Decoder::new(Codec::Pcmu, 8_000).unwrap()
}

fn buffer() -> PlayoutBuffer {
    PlayoutBuffer::new(Settings::default()).unwrap()
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// A tone with a little vibrato, louder and softer as syllables are.
fn voice(n: usize) -> i16 {
    let t = n as f64 / 8000.0;
    let phase = core::f64::consts::TAU * 120.0 * t + 2.0 * (core::f64::consts::TAU * 2.0 * t).sin();
    let loud = 0.55 + 0.45 * (core::f64::consts::TAU * 3.0 * t).sin();
    let sum: f64 = (1..9).map(|k| (phase * f64::from(k)).sin() / f64::from(k)).sum();
    (5000.0 * loud * sum) as i16
}

/// Packet `n` of `total` comes at `arrival(n)` ms after its due time, or not.
fn trace(total: u32, mut arrival: impl FnMut(u32) -> Option<f64>) -> Vec<(u64, u32)> {
    let mut packets: Vec<(u64, u32)> = (0..total)
        .filter_map(|n| arrival(n).map(|late| ((f64::from(n * 20) * MS as f64 + (late + 3.0) * MS as f64) as u64, n)))
        .collect();
    packets.sort_unstable();
    packets
}

struct Played {
    pcm: Vec<i16>,
    /// Delay over the fastest packet after each fetch, ms.
    delays: Vec<f64>,
    statistics: Statistics,
    waiting: usize,
}

fn run(packets: &[(u64, u32)], signal: impl Fn(usize) -> i16, until_ms: u64) -> Played {
    run_at_clock(packets, signal, until_ms, 10.0)
}

fn run_at_clock(packets: &[(u64, u32)], signal: impl Fn(usize) -> i16, until_ms: u64, step_ms: f64) -> Played {
    let (mut buffer, mut decoder) = (buffer(), decoder());
    let mut coming = packets.iter().peekable();
    let (mut pcm, mut delays) = (Vec::new(), Vec::new());
    for fetch in 0.. {
        let now = (f64::from(fetch) * step_ms * MS as f64) as u64;
        if now >= until_ms * MS {
            break;
        }
        while let Some((at, n)) = coming.next_if(|(at, _)| *at <= now) {
            let audio: Vec<i16> = (0..160).map(|k| signal(*n as usize * 160 + k)).collect();
            let mut payload = [0; 160];
            g711::encode_ulaw(&audio, &mut payload);
            let timestamp = n.wrapping_mul(160).wrapping_add(u32::MAX - 5000);
            let packet = Packet { ssrc: 1, sequence: *n as u16, timestamp, content: Content::Audio(&payload) };
            buffer.insert_packet(*at, &packet, &decoder);
        }
        let mut part = [0; 80];
        buffer.get_audio(now, &mut part, &mut decoder);
        pcm.extend(part);
        delays.push(buffer.statistics().delay as f64 / 8.0);
    }
    Played { pcm, delays, statistics: *buffer.statistics(), waiting: buffer.packets_waiting() }
}

fn check(played: &Played, packets: usize) {
    let s = played.statistics;
    assert_eq!(s.total_samples_received, played.pcm.len() as u64);
    assert_eq!(s.packets_received, packets as u64);
    assert_eq!(s.packets_received, s.packets_played + s.packets_discarded + played.waiting as u64, "{s:?}");
    assert_eq!(
        s.packets_discarded,
        s.packets_late + s.packets_duplicated + s.packets_flushed + s.packets_invalid,
        "{s:?}"
    );
    assert!(played.delays.iter().all(|delay| *delay <= 520.0));
}

/// With a spectrum.
fn noise(level_dbov: u8) -> NoiseParameters {
    NoiseParameters { level_dbov, ..NoiseParameters::default() }.with_reflections(&[0.3, -0.2])
}

fn steepest(pcm: &[i16]) -> i32 {
    pcm.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs()).max().unwrap()
}

#[test]
fn a_clean_stream_is_played_as_it_is_after_one_packet() {
    let packets = trace(1500, |_| Some(0.0));
    let played = run(&packets, voice, 30_000);
    check(&played, packets.len());
    let s = played.statistics;
    assert_eq!((s.concealed_samples, s.packets_discarded, s.underruns), (0, 0, 0), "{s:?}");
    assert_eq!((s.removed_samples_for_acceleration, s.inserted_samples_for_deceleration), (0, 0));
    assert!(s.mean_delay() <= 160, "{}", s.mean_delay());
    // After the fade-in every sample is the sender's.
    let start = s.waiting_samples as usize;
    for n in 100..played.pcm.len() - start {
        let mut octet = [0];
        g711::encode_ulaw(&[voice(n)], &mut octet);
        let mut sample = [0];
        g711::decode_ulaw(&octet, &mut sample);
        assert_eq!(played.pcm[start + n], sample[0], "sample {n}");
    }
}

#[test]
fn what_is_lost_is_concealed_and_no_more() {
    for (every, share) in [(20, 0.05), (10, 0.1)] {
        let mut random = Random(every);
        let packets = trace(3000, |_| (random.below(every) != 0).then_some(0.0));
        let lost = 1.0 - packets.len() as f64 / 3000.0;
        let played = run(&packets, voice, 60_000);
        check(&played, packets.len());
        let s = played.statistics;
        let concealed = s.concealed_samples as f64 / s.total_samples_received as f64;
        assert!((concealed - lost).abs() < 0.01, "{concealed} {lost} {s:?}");
        assert!((lost - share).abs() < 0.02);
        assert!(s.mean_delay() < 25 * 8, "{}", s.mean_delay());
    }
}

#[test]
fn same_trace_same_audio() {
    let make = || {
        let mut random = Random(3);
        trace(1000, |_| (random.below(12) != 0).then(|| random.below(60) as f64))
    };
    let (a, b) = (run(&make(), voice, 20_000), run(&make(), voice, 20_000));
    assert!(a.pcm == b.pcm);
    assert_eq!(a.statistics, b.statistics);
}

#[test]
fn jitter_is_covered_soon_and_the_delay_follows() {
    let mut random = Random(5);
    let packets = trace(3000, |n| Some(if n < 1500 { random.below(60) as f64 } else { 0.0 }));
    let played = run(&packets, voice, 60_000);
    check(&played, packets.len());
    let s = played.statistics;
    assert!((s.concealed_samples as f64) < 0.01 * s.total_samples_received as f64, "{s:?}");
    assert!(played.delays[2900] > 50.0 && played.delays[2900] < 90.0, "{}", played.delays[2900]);
    assert!(s.inserted_samples_for_deceleration > 0 || s.concealed_samples > 0);
}

#[test]
fn after_the_jitter_the_delay_comes_back() {
    let mut random = Random(5);
    let packets = trace(9000, |n| Some(if n < 500 { random.below(100) as f64 } else { 0.0 }));
    let played = run(&packets, voice, 180_000);
    check(&played, packets.len());
    assert!(played.delays[17_900] < 35.0, "{}", played.delays[17_900]);
    assert!(played.statistics.removed_samples_for_acceleration > 0);
}

#[test]
fn drift_is_followed_without_clicks_or_growth() {
    // Ten minutes at ±200 ppm are 120 ms.
    for step in [10.0 * (1.0 + 200e-6), 10.0 * (1.0 - 200e-6)] {
        let packets = trace(30_000, |_| Some(0.0));
        let played = run_at_clock(&packets, voice, 600_000, step);
        check(&played, packets.len());
        let s = played.statistics;
        assert!(played.delays.iter().skip(100).all(|delay| (5.0..50.0).contains(delay)));
        assert!(s.concealed_samples < 8 * 100, "{s:?}");
        let changed = s.removed_samples_for_acceleration + s.inserted_samples_for_deceleration;
        assert!((8 * 60..8 * 240).contains(&changed), "{s:?}");
        let plain: Vec<i16> = (0..80_000).map(voice).collect();
        assert!(steepest(&played.pcm) < steepest(&plain) * 12 / 10);
    }
}

#[test]
fn a_tone_stays_in_tune_while_the_delay_changes() {
    let tone = |n: usize| (8000.0 * (n as f64 * core::f64::consts::TAU * 400.0 / 8000.0).sin()) as i16;
    let packets = trace(1000, |n| Some(if n % 100 < 10 { f64::from(100 - n % 100 * 10) } else { 0.0 }));
    let played = run(&packets, tone, 20_000);
    check(&played, packets.len());
    assert!(played.statistics.removed_samples_for_acceleration > 0);
    let second = &played.pcm[8000 * 15..8000 * 16];
    let crossings = second.windows(2).filter(|w| (w[0] < 0) != (w[1] < 0)).count();
    assert!((788..=812).contains(&crossings), "{crossings}");
    let plain: Vec<i16> = (0..8000).map(tone).collect();
    assert!(steepest(&played.pcm) < steepest(&plain) * 14 / 10, "{}", steepest(&played.pcm));
}

#[test]
fn reordered_packets_are_played_in_order() {
    // Every tenth packet comes 30 ms late, after its successor.
    let packets = trace(2000, |n| Some(if n % 10 == 5 { 30.0 } else { 0.0 }));
    let played = run(&packets, voice, 40_000);
    check(&played, packets.len());
    let s = played.statistics;
    assert!((s.concealed_samples as f64) < 0.01 * s.total_samples_received as f64, "{s:?}");
    assert!(s.packets_late < 10, "{s:?}");
}

#[test]
fn an_outage_is_silence_and_then_goes_on_at_once() {
    let packets = trace(1000, |n| (!(500..525).contains(&n)).then_some(0.0));
    let played = run(&packets, voice, 20_000);
    check(&played, packets.len());
    let s = played.statistics;
    assert!((480 * 8..540 * 8).contains(&s.concealed_samples), "{s:?}");
    assert!(s.silent_concealed_samples > 380 * 8);
    assert!(played.delays[1999] < 35.0);
    assert!(level::rms(&played.pcm[8 * 10_550..8 * 10_650]) > 500.0);
}

#[test]
fn a_stall_is_made_up_for_and_never_more_than_500_ms_are_held() {
    // Nothing for 900 ms, then all of it at once.
    let packets = trace(1000, |n| Some(if (500..545).contains(&n) { f64::from((545 - n) * 20) } else { 0.0 }));
    let played = run(&packets, voice, 20_000);
    check(&played, packets.len());
    assert!(played.statistics.packets_flushed > 10, "{:?}", played.statistics);
    assert!(played.delays[1150..].iter().all(|delay| *delay < 450.0));
}

#[test]
fn a_slower_path_is_accepted() {
    let packets = trace(1000, |n| Some(if n < 500 { 0.0 } else { 700.0 }));
    let played = run(&packets, voice, 20_700);
    check(&played, packets.len());
    // Silence for 700 ms, and then it goes on.
    assert!(level::rms(&played.pcm[8 * 12_000..8 * 20_000]) > 500.0);
    assert!(played.statistics.packets_flushed < 60, "{:?}", played.statistics);
}

#[test]
fn another_source_and_a_jump_are_resynchronised() {
    let (mut buffer, mut decoder) = (buffer(), decoder());
    let mut loud = [0; 160];
    g711::encode_ulaw(&core::array::from_fn::<_, 160, _>(voice), &mut loud);
    let mut now = 0;
    for (ssrc, start, sequence) in [(1, 1000u32, 0u16), (2, 77, 500), (2, 900_000_000, 3), (2, 5, 60_000)] {
        for n in 0..100u16 {
            let packet = Packet {
                ssrc,
                sequence: sequence.wrapping_add(n),
                timestamp: start.wrapping_add(u32::from(n) * 160),
                content: Content::Audio(&loud),
            };
            buffer.insert_packet(now, &packet, &decoder);
            for _ in 0..2 {
                buffer.get_audio(now, &mut [0; 80], &mut decoder);
                now += 10 * MS;
            }
        }
    }
    let s = buffer.statistics();
    assert_eq!(s.resyncs, 3, "{s:?}");
    assert!(s.packets_played > 390, "{s:?}");
    assert!(s.concealed_samples < 8 * 300, "{s:?}");
}

#[test]
fn comfort_noise_fills_a_pause_at_its_level() {
    let (mut buffer, mut decoder) = (buffer(), decoder());
    let mut pcm = Vec::new();
    for n in 0..300u32 {
        let audio: Vec<i16> = (0..160).map(|k| voice(n as usize * 160 + k)).collect();
        let mut payload = [0; 160];
        g711::encode_ulaw(&audio, &mut payload);
        let content = match n {
            0..100 | 200.. => Some(Content::Audio(&payload)),
            100 => Some(Content::ComfortNoise(noise(50))),
            _ => None,
        };
        let now = u64::from(n) * 20 * MS;
        if let Some(content) = content {
            buffer.insert_packet(now, &Packet { ssrc: 9, sequence: 0, timestamp: n * 160, content }, &decoder);
        }
        for half in 0..2 {
            let mut part = [0; 80];
            buffer.get_audio(now + half * 10 * MS, &mut part, &mut decoder);
            pcm.extend(part);
        }
    }
    let level = level::dbfs(&pcm[8 * 2200..8 * 3900]);
    assert!((level + 50.0).abs() < 1.0, "{level}");
    let s = buffer.statistics();
    assert!(s.concealed_samples < 8 * 5, "{s:?}");
    assert!((8 * 1950..8 * 2030).contains(&s.comfort_noise_samples), "{s:?}");
    assert!(s.mean_delay() < 25 * 8);
}

#[test]
fn a_sender_that_suppresses_silence_without_a_word_is_met_at_the_aim() {
    let packets = trace(1000, |n| (n % 200 < 100).then_some(0.0));
    let played = run(&packets, voice, 20_000);
    check(&played, packets.len());
    assert!(played.statistics.packets_late == 0);
    assert!(played.statistics.mean_delay() < 25 * 8, "{:?}", played.statistics);
}

#[test]
fn settings_that_do_not_fit_are_refused() {
    let with = |rate, rtp_clock, minimum_delay_ms, maximum_delay_ms| {
        PlayoutBuffer::new(Settings { rate, rtp_clock, minimum_delay_ms, maximum_delay_ms }).map(|_| ())
    };
    assert_eq!(with(48_000, 48_000, 0, 100), Err(SettingsError::Rate));
    assert_eq!(with(8_000, 0, 0, 100), Err(SettingsError::Rate));
    assert_eq!(with(8_000, 44_100, 0, 100), Err(SettingsError::Rate));
    assert_eq!(with(8_000, 8_000, 0, 501), Err(SettingsError::Delay));
    assert_eq!(with(8_000, 8_000, 101, 100), Err(SettingsError::Delay));
    assert_eq!(with(16_000, 8_000, 20, 500), Ok(()));
    assert_eq!(with(8_000, 48_000, 20, 500), Ok(()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn anything_may_arrive(
        wide in any::<bool>(),
        events in prop::collection::vec(
            (0u8..5, 0u64..80, any::<u16>(), prop_oneof![0u32..20_000, any::<u32>()], 0usize..700),
            0..300,
        ),
    ) {
        let rate = if wide { 16_000 } else { 8_000 };
        let mut buffer = PlayoutBuffer::new(Settings { rate, ..Settings::default() }).unwrap();
        let mut decoder = decoder();
        let (mut now, mut asked, mut sent) = (0, 0, 0);
        let octets = [0x35u8; 2000];
        for (kind, wait, sequence, timestamp, length) in events {
            now += wait * MS;
            let content = match kind {
                0..3 => Content::Audio(&octets[..length]),
                3 => Content::ComfortNoise(noise(sequence as u8)),
                _ => {
                    let mut pcm = vec![0; length];
                    buffer.get_audio(now, &mut pcm, &mut decoder);
                    asked += length as u64;
                    continue;
                }
            };
            sent += 1;
            let packet = Packet { ssrc: u32::from(sequence) % 2, sequence, timestamp, content };
            buffer.insert_packet(now, &packet, &decoder);
        }
        let s = *buffer.statistics();
        prop_assert_eq!(s.total_samples_received, asked);
        prop_assert_eq!(s.packets_received, sent);
        prop_assert_eq!(sent, s.packets_played + s.packets_discarded + buffer.packets_waiting() as u64);
        prop_assert!(buffer.packets_waiting() <= queue::PACKETS_MAX);
    }
}

#[test]
fn opus_restores_single_losses_from_the_next_packet() {
    let settings = EncoderSettings { fec: true, expected_loss: 20, ..EncoderSettings::default() };
    let mut encoder = Encoder::new(Codec::Opus, 16_000, settings).unwrap();
    let mut decoder = Decoder::new(Codec::Opus, 16_000).unwrap();
    let mut buffer = PlayoutBuffer::new(Settings { rate: 16_000, rtp_clock: 48_000, ..Settings::default() }).unwrap();
    let mut out = Vec::new();
    for n in 0..500u32 {
        let now = u64::from(n) * 20 * MS;
        let audio: Vec<i16> = (0..320).map(|k| voice((n as usize * 320 + k) / 2)).collect();
        let mut payload = [0; 1275];
        let length = encoder.encode(&audio, &mut payload).unwrap();
        let content = Content::Audio(&payload[..length]);
        if n % 10 != 7 {
            let packet = Packet { ssrc: 1, sequence: n as u16, timestamp: n * 960, content };
            buffer.insert_packet(now, &packet, &decoder);
        }
        for half in 0..2 {
            let mut pcm = [0; 160];
            buffer.get_audio(now + half * 10 * MS, &mut pcm, &mut decoder);
            out.extend(pcm);
        }
    }
    let s = buffer.statistics();
    assert_eq!(s.packets_played + s.packets_discarded + buffer.packets_waiting() as u64, 450);
    // The encoder leaves the copy of soft packets away.
    assert!(s.packets_recovered >= 25, "{s:?}");
    assert_eq!(s.concealed_samples, 320 * (50 - s.packets_recovered), "{s:?}");
    assert!(level::rms(&out[16_000..]) > 800.0);
}

#[test]
fn opus_conceals_by_its_own_state() {
    let mut encoder = Encoder::new(Codec::Opus, 16_000, EncoderSettings::default()).unwrap();
    let mut decoder = Decoder::new(Codec::Opus, 16_000).unwrap();
    let mut buffer = PlayoutBuffer::new(Settings { rate: 16_000, rtp_clock: 48_000, ..Settings::default() }).unwrap();
    let mut out = Vec::new();
    for n in 0..300u32 {
        let now = u64::from(n) * 20 * MS;
        let audio: Vec<i16> = (0..320).map(|k| voice((n as usize * 320 + k) / 2)).collect();
        let mut payload = [0; 1275];
        let length = encoder.encode(&audio, &mut payload).unwrap();
        if n % 10 > 1 {
            let content = Content::Audio(&payload[..length]);
            let packet = Packet { ssrc: 1, sequence: n as u16, timestamp: n * 960, content };
            buffer.insert_packet(now, &packet, &decoder);
        }
        for half in 0..2 {
            let mut pcm = [0; 160];
            buffer.get_audio(now + half * 10 * MS, &mut pcm, &mut decoder);
            out.extend(pcm);
        }
    }
    let s = buffer.statistics();
    let share = s.concealed_samples as f64 / s.total_samples_received as f64;
    assert!((0.17..0.22).contains(&share), "{s:?}");
    assert_eq!(s.packets_recovered, 0);
    let quietest = out.chunks(320).skip(20).map(level::rms).fold(f32::INFINITY, f32::min);
    // libopus makes soft passages softer, but leaves no hole.
    assert!(quietest > 30.0, "a hole: {quietest}");
}
