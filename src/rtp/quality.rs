//! How a call sounds, estimated from what the network did to it: the E-model of ITU-T G.107 with all of its parameters at
//! their defaults but delay, loss and codec. Purpose: one mean opinion score per call, for records and comparison. Any
//! thread, plain numbers. Invariant: a result always, between 1 and 4.5, whatever goes in. Deliberately absent: listening
//! to the audio; credit for wide band: the score is on the narrow-band scale, where G.722 and Opus are as good as G.711 at
//! best, so that the scores of two calls can be compared.

use crate::rtp::Codec;
use std::time::Duration;

/// R of a connection without delay and loss, all parameters at their defaults (G.107 table 3).
const BEST: f64 = 93.2;
/// Signal-to-noise rating Ro of the defaults.
const NOISE: f64 = 94.77;
/// Talker echo loudness rating, default, dB.
const ECHO_LOUDNESS: f64 = 65.0;
/// Weighted echo path loss, default, dB.
const ECHO_PATH_LOSS: f64 = 110.0;
/// Half a round trip that nobody measured.
const UNKNOWN_HALF: Duration = Duration::from_millis(50);
/// Audio that a packet collects before it leaves.
const PACKET: Duration = Duration::from_millis(20);

/// What the network did to one direction of a call.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Line {
    /// Codec.
    pub codec: Codec,
    /// Its in-band forward error correction is on (Opus only).
    pub fec: bool,
    /// Mouth to ear, one way; see [`one_way_delay`].
    pub one_way_delay: Duration,
    /// Packets that were not played, late ones among them, 0 to 1.
    pub loss: f64,
    /// 1 for random loss, more for bursts; see [`burst_ratio`].
    pub burst_ratio: f64,
}

/// The rating of a line.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Estimate {
    /// Transmission rating factor, 0 to 93.2.
    pub r: f64,
    /// Mean opinion score (MOS-CQE, narrow-band scale), 1 to 4.5.
    pub mos: f64,
}

/// Rates a line.
#[must_use]
pub fn estimate(line: Line) -> Estimate {
    let r = (BEST - delay_impairment(line.one_way_delay) - equipment_impairment(line)).clamp(0.0, 100.0);
    Estimate { r, mos: mos(r) }
}

/// Mouth to ear from what RTCP and statistics know: half the round trip (50 ms if unknown), the packet, and a playout
/// buffer of four times the jitter, one packet at least.
#[must_use]
pub fn one_way_delay(round_trip: Option<Duration>, jitter: Duration) -> Duration {
    round_trip
        .map_or(UNKNOWN_HALF, |t| t / 2)
        .saturating_add(PACKET)
        .saturating_add(jitter.saturating_mul(4).max(PACKET))
}

/// How much longer losses are than random ones would be (G.107 section 3.5): `lost` packets in `runs` of `expected`.
#[must_use]
pub fn burst_ratio(lost: u64, runs: u64, expected: u64) -> f64 {
    if runs == 0 || expected == 0 {
        return 1.0;
    }
    // Counts of packets are exact in a double.
    let (lost, runs, expected) = (lost as f64, runs as f64, expected as f64);
    (lost / runs * (1.0 - lost / expected)).max(1.0)
}

/// R to mean opinion score (G.107 annex B).
#[must_use]
pub fn mos(r: f64) -> f64 {
    if r.is_nan() || r <= 0.0 {
        1.0
    } else if r >= 100.0 {
        4.5
    } else {
        (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).max(1.0)
    }
}

/// Ie and Bpl: what coding takes from the best, and how well concealment holds against loss (%).
fn codec_impairment(codec: Codec, fec: bool) -> (f64, f64) {
    match codec {
        // G.113 (2007) appendix I table I.4: G.711 with concealment by its appendix I. The others have no value on this
        // scale; they are at least as good without loss, and we conceal them in the same way.
        Codec::Pcmu | Codec::Pcma | Codec::L16At8k | Codec::L16At16k | Codec::G722 => (0.0, 25.1),
        // No ITU-T value exists. 10, and 20 with in-band FEC, are what WebRTC monitoring commonly reckons with (such as the
        // published `rtcscore`): cautious beside the concealment of libopus. Ie 0: transparent within the telephone band
        // at our bit rates.
        Codec::Opus => (0.0, if fec { 20.0 } else { 10.0 }),
    }
}

/// Ie,eff (G.107 equation 7-29).
fn equipment_impairment(line: Line) -> f64 {
    let (impairment, robustness) = codec_impairment(line.codec, line.fec);
    let loss = if line.loss.is_nan() { 0.0 } else { line.loss.clamp(0.0, 1.0) * 100.0 };
    let burst = if line.burst_ratio.is_nan() { 1.0 } else { line.burst_ratio.clamp(1.0, 1e6) };
    impairment + (95.0 - impairment) * loss / (loss / burst + robustness)
}

/// Id less what the defaults have without delay: talker echo, listener echo, and delay itself (G.107 sections 7.4.1 to
/// 7.4.3), with one-way delays T = Ta and the round trip Tr = 2 T.
fn delay_impairment(one_way: Duration) -> f64 {
    let t = one_way.as_secs_f64() * 1000.0;
    talker_echo(t) + listener_echo(2.0 * t) - listener_echo(0.0) + pure_delay(t)
}

fn talker_echo(t: f64) -> f64 {
    let loudness = ECHO_LOUDNESS - 40.0 * ((1.0 + t / 10.0) / (1.0 + t / 150.0)).log10() + 6.0 * (-0.3 * t * t).exp();
    let echo = 80.0 + 2.5 * (loudness - 14.0);
    (soft_excess(NOISE, echo) - 1.0) * (1.0 - (-t).exp())
}

fn listener_echo(round_trip: f64) -> f64 {
    let echo = 10.5 * (ECHO_PATH_LOSS + 7.0) * (round_trip + 1.0).powf(-0.25);
    soft_excess(NOISE, echo)
}

/// By how much `a` exceeds `b`, never below 0, as G.107 smooths it.
fn soft_excess(a: f64, b: f64) -> f64 {
    let half = (a - b) / 2.0;
    half + (half * half + 100.0).sqrt()
}

fn pure_delay(t: f64) -> f64 {
    if t <= 100.0 {
        return 0.0;
    }
    let x = (t / 100.0).log2();
    25.0 * ((1.0 + x.powi(6)).powf(1.0 / 6.0) - 3.0 * (1.0 + (x / 3.0).powi(6)).powf(1.0 / 6.0) + 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(codec: Codec, ms: u64, loss: f64) -> Line {
        Line { codec, fec: false, one_way_delay: Duration::from_millis(ms), loss, burst_ratio: 1.0 }
    }

    #[test]
    fn opinion_scores_are_those_of_g107_table_b1() {
        for (r, published) in [(93.2, 4.41), (90.0, 4.34), (80.0, 4.03), (70.0, 3.60), (60.0, 3.10), (50.0, 2.58)] {
            assert!((mos(r) - published).abs() < 0.0065, "{r}: {}", mos(r));
        }
        assert_eq!((mos(-5.0), mos(3.0), mos(101.0), mos(f64::NAN)), (1.0, 1.0, 4.5, 1.0));
    }

    #[test]
    fn without_delay_and_loss_it_is_the_default_rating() {
        let best = estimate(line(Codec::Pcma, 0, 0.0));
        assert!((best.r - 93.2).abs() < 1e-9 && (best.mos - 4.41).abs() < 0.006, "{best:?}");
    }

    /// G.113 (2001) table I.2, G.711 with concealment, random loss.
    #[test]
    fn loss_takes_what_g113_measured() {
        for (percent, published) in
            [(0.0, 0.0), (1.0, 5.0), (2.0, 7.0), (3.0, 10.0), (5.0, 15.0), (7.0, 20.0), (10.0, 25.0)]
        {
            let taken = equipment_impairment(line(Codec::Pcmu, 0, percent / 100.0));
            assert!((taken - published).abs() < 2.5, "{percent} %: {taken}");
        }
    }

    /// The line fitted to the E-model by Cole and Rosenbluth (2001), within what they call its range.
    #[test]
    fn delay_takes_what_the_published_fit_says() {
        for ms in [0_u32, 50, 100, 150, 200, 250, 300] {
            let d = f64::from(ms);
            let fit = 0.024 * d + 0.11 * (d - 177.3).max(0.0);
            let taken = delay_impairment(Duration::from_millis(u64::from(ms)));
            assert!((taken - fit).abs() < 1.7, "{ms} ms: {taken:.2} beside {fit:.2}");
        }
        // G.114: most users are content below 150 ms, hardly any at a second.
        assert!(estimate(line(Codec::Pcmu, 150, 0.0)).mos > 4.2);
        assert!(estimate(line(Codec::Pcmu, 1000, 0.0)).mos < 3.0);
    }

    #[test]
    fn bursts_are_worse_than_the_same_loss_at_random() {
        let random = line(Codec::Pcmu, 50, 0.05);
        let bursts = Line { burst_ratio: burst_ratio(500, 100, 10_000), ..random };
        assert!((bursts.burst_ratio - 4.75).abs() < 1e-9);
        assert!(estimate(bursts).r < estimate(random).r - 1.0);
        assert_eq!((burst_ratio(0, 0, 100), burst_ratio(3, 3, 0), burst_ratio(10, 10, 100)), (1.0, 1.0, 1.0));
    }

    #[test]
    fn forward_error_correction_helps() {
        let plain = line(Codec::Opus, 80, 0.1);
        assert!(estimate(Line { fec: true, ..plain }).mos > estimate(plain).mos + 0.4);
    }

    #[test]
    fn delay_is_put_together_from_what_is_known() {
        let ms = Duration::from_millis;
        assert_eq!(one_way_delay(Some(ms(60)), ms(10)), ms(30 + 20 + 40));
        assert_eq!(one_way_delay(None, ms(0)), ms(50 + 20 + 20));
        assert_eq!(one_way_delay(Some(Duration::MAX), Duration::MAX), Duration::MAX);
    }

    proptest! {
        #[test]
        fn more_of_anything_bad_is_never_better(ms in 0u64..2000, more in 0u64..500, loss in 0.0..1.0f64, worse in 0.0..0.3f64) {
            let before = estimate(line(Codec::Opus, ms, loss));
            for after in [line(Codec::Opus, ms + more, loss), line(Codec::Opus, ms, (loss + worse).min(1.0))] {
                prop_assert!(estimate(after).r <= before.r + 1e-9);
            }
        }

        #[test]
        fn nonsense_still_gives_a_score(loss: f64, burst_ratio: f64, nanos: u64) {
            let of = Line { codec: Codec::G722, fec: true, one_way_delay: Duration::from_nanos(nanos), loss, burst_ratio };
            prop_assert!((1.0..=4.5).contains(&estimate(of).mos));
        }
    }
}
