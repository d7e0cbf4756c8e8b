//! G.722 against the recommendation, in two ways. First, digests of what the ITU's own program (G.191 software tools, module
//! g722) makes of signals that are generated here: noise, sweeps, speech-like sound, full scale, silence, and codes that no
//! encoder would send. Second, sample by sample against a second formulation, written block by block from the
//! recommendation's section 6 in saturating 16-bit steps, as slow and plain as it can be.

use callwright_dsp::codec::g722::{Decoder, Encoder};
use callwright_dsp::codec::{Codec, Decoder as AnyDecoder, Encoder as AnyEncoder, EncoderSettings};
use proptest::prelude::*;

const SAMPLES: usize = 16_000;

/// Numerical Recipes' generator, its upper half.
struct Random(u32);

impl Random {
    fn next(&mut self) -> i16 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 16) as i16
    }
}

/// Whole numbers only, so that every machine makes the same.
fn signal(name: &str) -> Vec<i16> {
    let mut random = Random(1);
    let triangle = |phase: u32| ((phase >> 15) as i32 - 65_536).abs() - 32_768;
    let mut phase = 0u32;
    (0..SAMPLES)
        .map(|n| match name {
            "silence" => 0,
            "noise" => random.next(),
            "murmur" => random.next() >> 13,
            // From 0 to 8 kHz at full scale.
            "sweep" => {
                phase = phase.wrapping_add((n as u32) << 17);
                triangle(phase).clamp(-32_768, 32_767) as i16
            }
            // Full-scale squares of every length: where everything saturates.
            "squares" => {
                if n / (1 + n / 500) % 2 == 0 {
                    i16::MAX
                } else {
                    i16::MIN
                }
            }
            // Clicks of full scale in silence.
            "clicks" => match random.next() & 15 {
                0 => i16::MAX,
                1 => i16::MIN,
                _ => 0,
            },
            // Gliding tone in bursts, noise between them.
            "speech" => {
                phase = phase.wrapping_add(((300 + (n as u32 / 16) % 700) * 268_435) >> 1);
                let loudness = (n as i32 / 40 % 100 - 50).abs();
                ((triangle(phase) / 4 * loudness) / 50 + i32::from(random.next() >> 8)) as i16
            }
            _ => unreachable!("{name}"),
        })
        .collect()
}

fn codes(name: &str) -> Vec<u8> {
    let mut random = Random(7);
    match name {
        "random" => (0..SAMPLES).map(|_| random.next() as u8).collect(),
        // Stretches of one or two codes: drives the predictors to their bounds.
        _ => {
            let mut codes = Vec::new();
            while codes.len() < SAMPLES {
                let (one, other) = (random.next() as u8, random.next() as u8);
                let other = if random.next() & 1 == 0 { one } else { other };
                for _ in 0..random.next() & 127 {
                    codes.extend([one, other]);
                }
            }
            codes.truncate(SAMPLES);
            codes
        }
    }
}

fn encode(pcm: &[i16]) -> Vec<u8> {
    let mut octets = vec![0; pcm.len() / 2];
    assert_eq!(Encoder::default().encode(pcm, &mut octets), octets.len());
    octets
}

fn decode(octets: &[u8]) -> Vec<i16> {
    let mut pcm = vec![0; octets.len() * 2];
    assert_eq!(Decoder::default().decode(octets, &mut pcm), pcm.len());
    pcm
}

/// FNV-1a.
fn digest(octets: impl IntoIterator<Item = u8>) -> u64 {
    octets
        .into_iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, octet| (hash ^ u64::from(octet)).wrapping_mul(0x100_0000_01b3))
}

fn digest_of(pcm: &[i16]) -> u64 {
    digest(pcm.iter().flat_map(|s| s.to_le_bytes()))
}

#[test]
fn what_the_itu_program_makes_of_these_signals_we_make_too() {
    for (name, coded, decoded) in [
        ("silence", 0x9bcd_3e24_1114_625b, 0xd6c2_9528_37bf_d906),
        ("noise", 0xdcf6_135b_b285_593e, 0x439e_0099_3906_4071),
        ("murmur", 0xa99d_6a65_6185_86a9, 0x6ebc_d0e5_744b_6d7c),
        ("sweep", 0x3b4a_de9a_b9ec_f32e, 0xe6cb_42d3_3ae6_e993),
        ("squares", 0x8209_3173_e290_986e, 0xdc15_c9a6_ae5f_9ac5),
        ("clicks", 0xba1f_a4c7_670b_6f06, 0x9c60_b626_5662_31fc),
        ("speech", 0x2348_73d9_2b26_8f95, 0xfef1_555c_ef00_eec0),
    ] {
        let octets = encode(&signal(name));
        assert_eq!(digest(octets.iter().copied()), coded, "{name} coded");
        assert_eq!(digest_of(&decode(&octets)), decoded, "{name} decoded");
    }
    assert_eq!(digest_of(&decode(&codes("random"))), 0xeb77_3685_1c37_4d81);
    assert_eq!(digest_of(&decode(&codes("runs"))), 0x2d39_620f_4ae9_8ebd);
}

/// One sub-band as section 6 draws it; every register has 16 bits and every sum saturates.
struct Reference {
    lower: bool,
    s: i16,
    sz: i16,
    det: i16,
    nb: i16,
    /// Index 0 is unused or the present, as in the recommendation.
    a: [i16; 3],
    b: [i16; 7],
    d: [i16; 7],
    p: [i16; 3],
    r: [i16; 3],
}

/// The recommendation's multiplication: the upper 16 bits of twice the product.
fn mult(a: i16, b: i16) -> i16 {
    ((i32::from(a) * i32::from(b)) >> 15).clamp(-32_768, 32_767) as i16
}

/// 2048 · 2^(1/32 of an octave), shifted to its octave: the antilogarithm of the upper 9 bits.
fn antilogarithm(nb: i16, octave: i32) -> i16 {
    let mantissa = (2048.0 * (f64::from((nb >> 6) & 31) / 32.0).exp2()).round() as i32;
    let shift = octave - i32::from(nb >> 11);
    (if shift < 0 { mantissa << -shift } else { mantissa >> shift } << 2) as i16
}

impl Reference {
    fn new(lower: bool) -> Self {
        let det = if lower { 32 } else { 8 };
        Self { lower, s: 0, sz: 0, det, nb: 0, a: [0; 3], b: [0; 7], d: [0; 7], p: [0; 3], r: [0; 3] }
    }

    /// QUANTL: search from the smallest interval up. Table 14's levels.
    fn quantize_lower(&self, e: i16) -> u8 {
        const Q6: [i16; 31] = [
            0, 35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121,
            1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919, 3200,
        ];
        let wd = if e < 0 { 32_767 - (e & 32_767) } else { e };
        let mut mil = 0;
        while mil < 30 && mult(Q6[mil] << 3, self.det) <= wd {
            mil += 1;
        }
        match (e < 0, mil as u8) {
            (true, mil @ 1..=2) => 64 - mil,
            (true, mil) => 34 - mil,
            (false, mil) => 62 - mil,
        }
    }

    fn quantize_higher(&self, e: i16) -> u8 {
        let wd = if e < 0 { 32_767 - (e & 32_767) } else { e };
        let outer = wd >= mult(564 << 3, self.det);
        match (e < 0, outer) {
            (true, true) => 0,
            (true, false) => 1,
            (false, true) => 2,
            (false, false) => 3,
        }
    }

    /// Blocks 2 to 4 for the code that drives them (4 bits, or 2): returns the difference.
    fn follow(&mut self, code: u8) -> i16 {
        const QQ4: [i16; 8] = [0, 150, 323, 530, 786, 1121, 1612, 2557];
        const WL: [i16; 8] = [-60, -30, 58, 172, 334, 538, 1198, 3042];
        const RIL4: [usize; 16] = [0, 7, 6, 5, 4, 3, 2, 1, 7, 6, 5, 4, 3, 2, 1, 0];
        let (level, step, negative, nb_max, octave) = if self.lower {
            let n = RIL4[usize::from(code)];
            (QQ4[n], WL[n], code < 8, 18_432, 8)
        } else {
            let n = [2, 1, 2, 1][usize::from(code)];
            ([0, 202, 926][n], [0, -214, 798][n], code < 2, 22_528, 10)
        };
        let d = mult(self.det, if negative { -(level << 3) } else { level << 3 });
        self.nb = mult(self.nb, 32_512).saturating_add(step).clamp(0, nb_max);
        self.det = antilogarithm(self.nb, octave);

        self.d[0] = d;
        self.p[0] = self.sz.saturating_add(d);
        self.r[0] = self.s.saturating_add(d);
        for i in (1..7).rev() {
            let move_by = if d == 0 { 0i16 } else { 128 };
            let move_by = if self.d[i] < 0 && d < 0 || self.d[i] >= 0 && d >= 0 { move_by } else { -move_by };
            self.b[i] = move_by.saturating_add(mult(self.b[i], 32_640));
            self.d[i] = self.d[i - 1];
        }
        let same = |one: i16, other: i16| (one < 0) == (other < 0);
        let a1_4 = self.a[1].saturating_mul(4);
        let wd = if same(self.p[0], self.p[1]) { 0i16.saturating_sub(a1_4) } else { a1_4 };
        let wd = (wd >> 7).saturating_add(if same(self.p[0], self.p[2]) { 128 } else { -128 });
        self.a[2] = wd.saturating_add(mult(self.a[2], 32_512)).clamp(-12_288, 12_288);
        let wd = if same(self.p[0], self.p[1]) { 192i16 } else { -192 };
        let bound = 15_360i16.saturating_sub(self.a[2]);
        self.a[1] = wd.saturating_add(mult(self.a[1], 32_640)).clamp(-bound, bound);
        self.p = [self.p[0], self.p[0], self.p[1]];
        self.r = [self.r[0], self.r[0], self.r[1]];
        let pole = |i: usize| mult(self.a[i], self.r[i].saturating_add(self.r[i]));
        let poles = pole(1).saturating_add(pole(2));
        self.sz =
            (1..7).rev().fold(0i16, |sum, i| sum.saturating_add(mult(self.d[i].saturating_add(self.d[i]), self.b[i])));
        self.s = poles.saturating_add(self.sz);
        d
    }

    fn encode(&mut self, x: i16) -> u8 {
        let e = x.saturating_sub(self.s);
        let code = if self.lower { self.quantize_lower(e) } else { self.quantize_higher(e) };
        self.follow(if self.lower { code >> 2 } else { code });
        code
    }

    fn decode(&mut self, code: u8) -> i16 {
        const OQ6: [i16; 31] = [
            0, 17, 54, 91, 130, 170, 211, 254, 300, 347, 396, 447, 501, 558, 618, 682, 750, 822, 899, 982, 1072, 1170,
            1279, 1399, 1535, 1689, 1873, 2088, 2376, 2738, 3101,
        ];
        let (s, det) = (self.s, self.det);
        let d = self.follow(if self.lower { code >> 2 } else { code });
        let d = if self.lower {
            let (n, negative) = match code {
                0..=3 => (1, true),
                4..=31 => (34 - code, true),
                32..=61 => (62 - code, false),
                _ => (64 - code, true),
            };
            let level = OQ6[usize::from(n)] << 3;
            mult(det, if negative { -level } else { level })
        } else {
            d
        };
        s.saturating_add(d).clamp(-16_384, 16_383)
    }
}

fn both_formulations_agree(pcm: &[i16], codes: &[u8]) {
    // Bands as wild as they can be: the two halves of each pair, 15 bits.
    let (mut encoder, mut low, mut high) = (Encoder::default(), Reference::new(true), Reference::new(false));
    for (n, pair) in pcm.chunks_exact(2).enumerate() {
        let octet = encoder.encode_bands(pair[0] >> 1, pair[1] >> 1);
        assert_eq!(octet, high.encode(pair[1] >> 1) << 6 | low.encode(pair[0] >> 1), "encoded {n}");
    }
    let (mut decoder, mut low, mut high) = (Decoder::default(), Reference::new(true), Reference::new(false));
    for (n, code) in codes.iter().enumerate() {
        assert_eq!(decoder.decode_bands(*code), (low.decode(code & 0x3f), high.decode(code >> 6)), "decoded {n}");
    }
}

#[test]
fn a_plain_formulation_of_the_block_diagrams_agrees() {
    for name in ["silence", "noise", "murmur", "sweep", "squares", "clicks", "speech"] {
        both_formulations_agree(&signal(name), &codes("random"));
    }
    both_formulations_agree(&[], &codes("runs"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_formulations_agree_on_anything(
        pcm in proptest::collection::vec(prop_oneof![any::<i16>(), Just(i16::MIN), Just(i16::MAX), Just(0)], 0..600),
        codes in proptest::collection::vec(any::<u8>(), 0..600),
        repeated in 1usize..40,
    ) {
        let codes: Vec<u8> = codes.iter().flat_map(|c| std::iter::repeat_n(*c, repeated)).collect();
        both_formulations_agree(&pcm, &codes);
    }

    #[test]
    fn pieces_give_the_same_as_the_whole(
        cuts in proptest::collection::vec(0usize..400, 1..20),
        seed in any::<u32>(),
    ) {
        let mut random = Random(seed);
        let pcm: Vec<i16> = (0..1_200).map(|_| random.next() / 4).collect();
        let whole = encode(&pcm);
        let (mut encoder, mut decoder) = (Encoder::default(), Decoder::default());
        let (mut octets, mut sound) = (vec![0; 600], vec![0; 1_200]);
        let (mut coded, mut decoded) = (0, 0);
        for cut in cuts.into_iter().chain([600]) {
            let pairs = cut.min(600 - coded);
            coded += encoder.encode(&pcm[2 * coded..2 * (coded + pairs)], &mut octets[coded..]);
            decoded += decoder.decode(&octets[decoded / 2..coded], &mut sound[decoded..]);
        }
        prop_assert_eq!(&octets, &whole);
        prop_assert_eq!(sound, decode(&whole));
    }
}

/// The first octets of a call in silence, as the recommendation's own state makes them.
#[test]
fn silence_from_reset_begins_with_the_idle_code_and_stays_silent() {
    assert_eq!(encode(&[0; 20]), [0xfa; 10]);
    let loudest = decode(&encode(&[0; 4_000])).into_iter().map(i16::unsigned_abs).max();
    assert!(loudest <= Some(8), "{loudest:?}");
}

fn power(pcm: &[i16]) -> f64 {
    pcm.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / pcm.len() as f64
}

fn tone(hz: f64, rate: f64, samples: usize) -> Vec<i16> {
    (0..samples).map(|n| (10_000.0 * (std::f64::consts::TAU * hz * n as f64 / rate).sin()) as i16).collect()
}

/// A narrowband leg: one band both ways, the other idle, nothing lost.
#[test]
fn at_8_khz_the_lower_band_alone_is_carried() {
    let mut encoder = AnyEncoder::new(Codec::G722, 8_000, EncoderSettings::default()).unwrap();
    let mut decoder = AnyDecoder::new(Codec::G722, 8_000).unwrap();
    let pcm = tone(1_000.0, 8_000.0, 1_600);
    let (mut octets, mut narrow) = (vec![0; 1_600], vec![0; 1_600]);
    assert_eq!(encoder.encode(&pcm, &mut octets), Ok(1_600));
    assert!(octets.iter().all(|octet| octet >> 6 == 3), "the higher band idles");
    assert_eq!(decoder.samples(&octets), Some(1_600));
    assert_eq!(decoder.decode(&octets, &mut narrow), Ok(1_600));
    let noise: Vec<i16> = pcm.iter().zip(&narrow).map(|(a, b)| a - b).collect();
    let ratio = 10.0 * (power(&pcm[200..]) / power(&noise[200..])).log10();
    assert!(ratio > 30.0, "signal to noise {ratio} dB");

    // A wideband phone hears the same tone as loud, and silence above 4 kHz.
    let wide = decode(&octets);
    let loudness = 10.0 * (power(&wide[400..]) / power(&pcm)).log10();
    assert!(loudness.abs() < 0.2, "{loudness} dB");
    let mut both = Decoder::default();
    assert!(octets.iter().all(|octet| both.decode_bands(*octet).1 == 0), "the higher band decodes to nothing");

    // And we hear the lower band of what a wideband phone says.
    let mut decoder = AnyDecoder::new(Codec::G722, 8_000).unwrap();
    let from_wide = encode(&tone(1_000.0, 16_000.0, 3_200));
    assert_eq!(decoder.decode(&from_wide, &mut narrow), Ok(1_600));
    let loudness = 10.0 * (power(&narrow[200..]) / power(&pcm)).log10();
    assert!(loudness.abs() < 0.2, "{loudness} dB");
}

#[test]
fn filters_delay_by_22_samples() {
    // A burst with a clear middle: correlate.
    let mut pcm = vec![0i16; 800];
    pcm[300..340].copy_from_slice(&tone(1_500.0, 16_000.0, 40));
    let out = decode(&encode(&pcm));
    let likeness = |lag: usize| pcm.iter().zip(&out[lag..]).map(|(a, b)| i64::from(*a) * i64::from(*b)).sum::<i64>();
    let lag = (0..60).max_by_key(|lag| likeness(*lag)).unwrap();
    assert_eq!(lag, 22);
}
