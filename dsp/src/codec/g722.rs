//! ITU-T G.722 at 64 kbit/s. Purpose: 7 kHz audio in two sub-bands of ADPCM, in place, any even length. Any thread; inline
//! state, no heap. Invariants: bit-exact to the recommendation's block diagrams (section 6), whose names stand in the
//! comments; arithmetic is theirs, 16 bit and saturating, done in 32 bits where nothing can overflow.
//! Deliberately absent: the 56 and 48 kbit/s modes, the auxiliary data channel, concealment (`plc`).
//!
//! An octet holds the higher band's 2 bits on top, then the lower band's 6 (section 1.4.4: I_H1 I_H2 I_L1 … I_L6, first bit
//! most significant as RFC 3551 section 4.5.2 packs it). At 8 kHz only the lower band is worked on: it lacks nothing but
//! the split filter's slope around 4 kHz, costs half, and needs no resampler.

/// Higher band's bits for "nothing": what its encoder says when its input has always been 0; the decoder's signal stays 0.
const HIGH_IDLE: u8 = 3 << 6;
/// Taps of the band-splitting filter.
const TAPS: usize = 24;
/// What a filter keeps between calls: all taps but the two newest.
const PAST: usize = TAPS - 2;
/// Octets worked on at once: bounds the scratch on the stack.
const CHUNK: usize = 80;

/// The encoder's filter delays by this many samples at 16 kHz, and so does the decoder's (the two together by 22).
pub const FILTER_DELAY_16K: usize = 11;

/// Table 11: impulse response of both filters; symmetric.
const QMF: [i16; TAPS] = [
    3, -11, -11, 53, 12, -156, 32, 362, -210, -805, 951, 3876, 3876, 951, -805, -210, 362, 32, -156, 12, 53, -11, -11,
    3,
];
/// The same with every second sign turned: the higher band mirrored down.
const QMF_HIGH: [i16; TAPS] = {
    let mut taps = QMF;
    let mut n = 0;
    while n < TAPS {
        taps[n] = -taps[n];
        n += 2;
    }
    taps
};
/// Every second tap, oldest sample first: what meets the differences, and (mirrored) the sums, in the decoder.
const QMF_EVEN: [i16; TAPS / 2] = {
    let mut taps = [0; TAPS / 2];
    let mut n = 0;
    while n < TAPS / 2 {
        taps[n] = QMF[TAPS - 2 - 2 * n];
        n += 1;
    }
    taps
};
const QMF_ODD: [i16; TAPS / 2] = {
    let mut taps = [0; TAPS / 2];
    let mut n = 0;
    while n < TAPS / 2 {
        taps[n] = QMF[TAPS - 1 - 2 * n];
        n += 1;
    }
    taps
};

/// Decision levels of the lower band's 6-bit quantizer (table 14, Q6), for mil = 1…29.
const DECISIONS_LOW: [u16; 29] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121, 1219, 1339,
    1458, 1612, 1765, 1980, 2195, 2557, 2919,
];
/// The one decision level of the higher band (Q2).
const DECISION_HIGH: i32 = 564;
/// Output levels of the inverse quantizers by magnitude: 6 bit (OQ6), 4 bit (OQ4), 2 bit (OQ2).
const LEVELS_6: [i16; 31] = [
    0, 17, 54, 91, 130, 170, 211, 254, 300, 347, 396, 447, 501, 558, 618, 682, 750, 822, 899, 982, 1072, 1170, 1279,
    1399, 1535, 1689, 1873, 2088, 2376, 2738, 3101,
];
const LEVELS_4: [i16; 8] = [0, 150, 323, 530, 786, 1121, 1612, 2557];
const LEVELS_2: [i16; 3] = [0, 202, 926];
/// How each magnitude moves the logarithmic scale factor (WL, WH).
const SCALE_MOVES_LOW: [i16; 8] = [-60, -30, 58, 172, 334, 538, 1198, 3042];
const SCALE_MOVES_HIGH: [i16; 3] = [0, -214, 798];
/// Largest logarithmic scale factors.
const LOG_SCALE_MAX_LOW: i32 = 18_432;
const LOG_SCALE_MAX_HIGH: i32 = 22_528;
/// One octave of the antilogarithm (ILB).
const OCTAVE: [u16; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896, 2960, 3025,
    3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];

/// Interval (mil, from 1) of a magnitude by its ratio to the scale factor: one more than the levels up to there.
static INTERVALS: [u8; DECISIONS_LOW[28] as usize + 1] = {
    let mut table = [1; DECISIONS_LOW[28] as usize + 1];
    let (mut ratio, mut reached) = (0, 0);
    while ratio < table.len() {
        while reached < DECISIONS_LOW.len() && DECISIONS_LOW[reached] as usize <= ratio {
            reached += 1;
        }
        table[ratio] = 1 + reached as u8;
        ratio += 1;
    }
    table
};
/// Code → output level and scale move. The 6-bit codes are the decoder's output, the 4-bit ones drive both adaptations.
static LOW_OUTPUT: [i16; 64] = {
    let mut table = [0; 64];
    let mut code = 0;
    while code < 64 {
        let (magnitude, negative) = low_code_6(code);
        table[code] = signed(LEVELS_6[magnitude] << 3, negative);
        code += 1;
    }
    table
};
static LOW_DIFFERENCE: [i16; 16] = {
    let mut table = [0; 16];
    let mut code = 0;
    while code < 16 {
        table[code] = signed(LEVELS_4[low_code_4(code)] << 3, code < 8);
        code += 1;
    }
    table
};
static LOW_SCALE_MOVE: [i16; 16] = {
    let mut table = [0; 16];
    let mut code = 0;
    while code < 16 {
        table[code] = SCALE_MOVES_LOW[low_code_4(code)];
        code += 1;
    }
    table
};
static HIGH_DIFFERENCE: [i16; 4] = [-(LEVELS_2[2] << 3), -(LEVELS_2[1] << 3), LEVELS_2[2] << 3, LEVELS_2[1] << 3];
static HIGH_SCALE_MOVE: [i16; 4] = [SCALE_MOVES_HIGH[2], SCALE_MOVES_HIGH[1], SCALE_MOVES_HIGH[2], SCALE_MOVES_HIGH[1]];
/// Scale factor by the upper bits of its logarithm; the lower band starts 64 steps (two octaves) up.
static SCALE: [i16; LOG_SCALE_MAX_HIGH as usize / 64 + 1] = {
    let mut table = [0; LOG_SCALE_MAX_HIGH as usize / 64 + 1];
    let mut n = 0;
    while n < table.len() {
        let (octave, step) = (n / 32, OCTAVE[n % 32]);
        // Octave 10 stands as it is; 16,384 is the most.
        table[n] = (if octave > 10 { step << (octave - 10) } else { step >> (10 - octave) } << 2) as i16;
        n += 1;
    }
    table
};
const SCALE_START_LOW: usize = 64;

/// Magnitude and sign of a 6-bit code (RIL, SIL of the table for the 64 kbit/s mode). Codes 0–3 are never sent.
const fn low_code_6(code: usize) -> (usize, bool) {
    match code {
        0..4 => (1, true),
        4..32 => (34 - code, true),
        32..62 => (62 - code, false),
        _ => (64 - code, true),
    }
}

/// Magnitude of a 4-bit code; those below 8 are negative.
const fn low_code_4(code: usize) -> usize {
    match code {
        0 | 15 => 0,
        1..8 => 8 - code,
        _ => 15 - code,
    }
}

const fn signed(magnitude: i16, negative: bool) -> i16 {
    if negative { -magnitude } else { magnitude }
}

/// To 16 bits.
const fn saturate(value: i32) -> i32 {
    // `clamp` is not const.
    if value > 32_767 {
        32_767
    } else if value < -32_768 {
        -32_768
    } else {
        value
    }
}

/// LIMIT: to 15 bits, the range of a sub-band's signal.
fn limit(value: i32) -> i32 {
    value.clamp(-16_384, 16_383)
}

/// One sub-band's scale factor and predictor: two poles, six zeros.
#[derive(Clone, Debug)]
struct Band {
    /// Prediction (S) and its part from the zeros (SZ).
    prediction: i32,
    zeros_part: i32,
    /// Coefficients of the poles (A) and the zeros (B).
    a1: i32,
    a2: i32,
    b: [i32; 6],
    /// Past differences (D), newest first, and the last reconstructed signal (R): doubled, the form in which they are used.
    differences: [i32; 6],
    reconstructed: i32,
    /// Past partial reconstructions (P), of which the sign counts.
    p1: i32,
    p2: i32,
    /// Logarithmic scale factor (NB) and scale factor (DET).
    log_scale: i32,
    scale: i32,
}

impl Band {
    const fn new(scale_start: usize) -> Self {
        Self {
            prediction: 0,
            zeros_part: 0,
            a1: 0,
            a2: 0,
            b: [0; 6],
            differences: [0; 6],
            reconstructed: 0,
            p1: 0,
            p2: 0,
            log_scale: 0,
            scale: SCALE[scale_start] as i32,
        }
    }

    /// Block 3: the scale factor follows the code's magnitude.
    #[inline]
    fn rescale(&mut self, step: i16, max: i32, start: usize) {
        self.log_scale = (((self.log_scale * 127) >> 7) + i32::from(step)).clamp(0, max);
        // At most max / 64 + start, the table's last; the mask is for the compiler.
        let place = (self.log_scale >> 6) as usize + start;
        self.scale = i32::from(SCALE[place.min(SCALE.len() - 1)]);
    }

    /// Block 4: the predictor takes in the quantized difference.
    #[inline]
    fn adapt(&mut self, difference: i32) {
        // PARREC, RECONS. Saturation would not change a sign, and doubling saturates anyhow.
        let p0 = self.zeros_part + difference;
        let reconstructed = saturate((self.prediction + difference) << 1);

        // UPZERO: ±128 by the product of the signs, none for a difference of 0. Leakage keeps b within 16 bits.
        let gain = if difference == 0 { 0 } else { 128 };
        for (b, past) in self.b.iter_mut().zip(&self.differences) {
            let opposite = (difference ^ past) >> 31;
            *b = ((*b * 32_640) >> 15) + ((gain ^ opposite) - opposite);
        }
        self.differences.copy_within(..5, 1);
        self.differences[0] = saturate(difference << 1);

        // UPPOL2. The negative of the lowest value saturates.
        let a1_4 = saturate(self.a1 << 2);
        let towards = if (p0 ^ self.p1) < 0 { a1_4 } else { (-a1_4).min(32_767) };
        let drift = if (p0 ^ self.p2) < 0 { -128 } else { 128 };
        self.a2 = ((towards >> 7) + drift + ((self.a2 * 32_512) >> 15)).clamp(-12_288, 12_288);

        // UPPOL1.
        let drift = if (p0 ^ self.p1) < 0 { -192 } else { 192 };
        let bound = 15_360 - self.a2;
        self.a1 = (drift + ((self.a1 * 32_640) >> 15)).clamp(-bound, bound);
        self.p2 = self.p1;
        self.p1 = p0;

        // FILTEP, FILTEZ (from the oldest on: each sum saturates), PREDIC.
        let poles = saturate(((self.a1 * reconstructed) >> 15) + ((self.a2 * self.reconstructed) >> 15));
        self.reconstructed = reconstructed;
        // Each of the sums saturates; where the magnitudes together stay within 16 bits, as they do but for sounds made to
        // leave them, none does and the order is free.
        let products: [i32; 6] = core::array::from_fn(|n| (self.b[n] * self.differences[n]) >> 15);
        let zeros = if products.iter().map(|p| p.abs()).sum::<i32>() <= 32_767 {
            products.iter().sum()
        } else {
            products.iter().rev().fold(0, |sum, p| saturate(sum + p))
        };
        self.zeros_part = zeros;
        self.prediction = saturate(poles + zeros);
    }
}

/// Lower band, one sample: its 6-bit code.
#[inline]
fn encode_low(band: &mut Band, sample: i32) -> u8 {
    // SUBTRA, QUANTL.
    let error = saturate(sample - band.prediction);
    // A level q is reached when (q · scale) >> 12 ≤ magnitude, that is when q ≤ ratio. `scale` is 32 at least.
    let magnitude = (error ^ (error >> 31)).cast_unsigned();
    let ratio = (((magnitude + 1) << 12) - 1) / band.scale.cast_unsigned();
    let interval = INTERVALS[(ratio as usize).min(INTERVALS.len() - 1)];
    let code = if error >= 0 {
        62 - interval
    } else if interval < 3 {
        64 - interval
    } else {
        34 - interval
    };
    // INVQAL, LOGSCL, SCALEL.
    let short = usize::from(code >> 2 & 0x0f);
    let difference = (band.scale * i32::from(LOW_DIFFERENCE[short])) >> 15;
    band.rescale(LOW_SCALE_MOVE[short], LOG_SCALE_MAX_LOW, SCALE_START_LOW);
    band.adapt(difference);
    code
}

/// Higher band, one sample: its 2-bit code.
#[inline]
fn encode_high(band: &mut Band, sample: i32) -> u8 {
    // SUBTRA, QUANTH.
    let error = saturate(sample - band.prediction);
    let magnitude = error ^ (error >> 31);
    let outer = magnitude >= (DECISION_HIGH * band.scale) >> 12;
    let code = match (error >= 0, outer) {
        (false, false) => 1,
        (false, true) => 0,
        (true, false) => 3,
        (true, true) => 2,
    };
    follow_high(band, code);
    code
}

/// Lower band, one code: its sample.
#[inline]
fn decode_low(band: &mut Band, code: u8) -> i32 {
    // INVQBL, RECONS, LIMIT: the output has all six bits, the predictor four.
    let code = usize::from(code & 0x3f);
    let sample = limit(band.prediction + ((band.scale * i32::from(LOW_OUTPUT[code])) >> 15));
    let short = code >> 2;
    let difference = (band.scale * i32::from(LOW_DIFFERENCE[short])) >> 15;
    band.rescale(LOW_SCALE_MOVE[short], LOG_SCALE_MAX_LOW, SCALE_START_LOW);
    band.adapt(difference);
    sample
}

/// Higher band, one code: its sample.
#[inline]
fn decode_high(band: &mut Band, code: u8) -> i32 {
    let prediction = band.prediction;
    limit(prediction + follow_high(band, code))
}

/// INVQAH, LOGSCH, SCALEH and the predictor; returns the quantized difference.
#[inline]
fn follow_high(band: &mut Band, code: u8) -> i32 {
    let code = usize::from(code & 3);
    let difference = (band.scale * i32::from(HIGH_DIFFERENCE[code])) >> 15;
    band.rescale(HIGH_SCALE_MOVE[code], LOG_SCALE_MAX_HIGH, 0);
    band.adapt(difference);
    difference
}

fn dot<const N: usize>(taps: &[i16; N], samples: &[i16; N]) -> i32 {
    taps.iter().zip(samples).map(|(t, s)| i32::from(*t) * i32::from(*s)).sum()
}

/// Samples → octets.
#[derive(Clone, Debug)]
pub struct Encoder {
    low: Band,
    high: Band,
    past: [i16; PAST],
}

impl Default for Encoder {
    fn default() -> Self {
        Self { low: Band::new(SCALE_START_LOW), high: Band::new(0), past: [0; PAST] }
    }
}

impl Encoder {
    /// 16 kHz samples, two an octet; stops at the shorter slice, an odd last sample is not read. Returns the octets written.
    pub fn encode(&mut self, pcm: &[i16], octets: &mut [u8]) -> usize {
        let mut written = 0;
        let mut line = [0i16; PAST + 2 * CHUNK];
        for (pairs, out) in pcm.chunks(2 * CHUNK).zip(octets.chunks_mut(CHUNK)) {
            let count = (pairs.len() / 2).min(out.len());
            line[..PAST].copy_from_slice(&self.past);
            line[PAST..PAST + 2 * count].copy_from_slice(&pairs[..2 * count]);
            for (n, octet) in out[..count].iter_mut().enumerate() {
                // 24 samples from 2n on: the line is PAST + 2 · count long.
                let Some(window) = line[2 * n..].first_chunk::<TAPS>() else { break };
                let low = limit(dot(&QMF, window) >> 14);
                let high = limit(dot(&QMF_HIGH, window) >> 14);
                *octet = encode_high(&mut self.high, high) << 6 | encode_low(&mut self.low, low);
            }
            self.past.copy_from_slice(&line[2 * count..2 * count + PAST]);
            written += count;
        }
        written
    }

    /// 8 kHz samples, one an octet, into the lower band; the higher one idles. Stops at the shorter slice. Returns the octets
    /// written.
    pub fn encode_lower_band(&mut self, pcm: &[i16], octets: &mut [u8]) -> usize {
        for (octet, sample) in octets.iter_mut().zip(pcm) {
            *octet = HIGH_IDLE | encode_low(&mut self.low, i32::from(*sample >> 1));
        }
        pcm.len().min(octets.len())
    }

    /// One sample of each band (15 bits, as after the split filter): the octet. For the recommendation's test sequences,
    /// which leave the filters out.
    pub fn encode_bands(&mut self, low: i16, high: i16) -> u8 {
        encode_high(&mut self.high, i32::from(high)) << 6 | encode_low(&mut self.low, i32::from(low))
    }
}

/// Octets → samples.
#[derive(Clone, Debug)]
pub struct Decoder {
    low: Band,
    high: Band,
    /// Past differences and sums of the bands.
    past_differences: [i16; PAST / 2],
    past_sums: [i16; PAST / 2],
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            low: Band::new(SCALE_START_LOW),
            high: Band::new(0),
            past_differences: [0; PAST / 2],
            past_sums: [0; PAST / 2],
        }
    }
}

impl Decoder {
    /// Two 16 kHz samples an octet; stops at the shorter slice. Returns the samples written.
    pub fn decode(&mut self, octets: &[u8], pcm: &mut [i16]) -> usize {
        const HALF: usize = PAST / 2;
        let mut written = 0;
        let (mut differences, mut sums) = ([0i16; HALF + CHUNK], [0i16; HALF + CHUNK]);
        for (codes, out) in octets.chunks(CHUNK).zip(pcm.chunks_mut(2 * CHUNK)) {
            let count = codes.len().min(out.len() / 2);
            differences[..HALF].copy_from_slice(&self.past_differences);
            sums[..HALF].copy_from_slice(&self.past_sums);
            for (n, code) in codes[..count].iter().enumerate() {
                let low = decode_low(&mut self.low, *code);
                let high = decode_high(&mut self.high, *code >> 6);
                // Two 15-bit signals: neither leaves 16 bits.
                differences[HALF + n] = (low - high) as i16;
                sums[HALF + n] = (low + high) as i16;
            }
            for (n, pair) in out[..2 * count].chunks_exact_mut(2).enumerate() {
                let (Some(difference), Some(sum)) = (differences[n..].first_chunk(), sums[n..].first_chunk()) else {
                    break;
                };
                pair[0] = saturate(dot(&QMF_EVEN, difference) >> 11) as i16;
                pair[1] = saturate(dot(&QMF_ODD, sum) >> 11) as i16;
            }
            self.past_differences.copy_from_slice(&differences[count..count + HALF]);
            self.past_sums.copy_from_slice(&sums[count..count + HALF]);
            written += 2 * count;
        }
        written
    }

    /// One 8 kHz sample an octet, of the lower band alone; stops at the shorter slice. Returns the samples written.
    pub fn decode_lower_band(&mut self, octets: &[u8], pcm: &mut [i16]) -> usize {
        for (sample, code) in pcm.iter_mut().zip(octets) {
            // 15 bits.
            *sample = (decode_low(&mut self.low, *code) << 1) as i16;
        }
        octets.len().min(pcm.len())
    }

    /// One sample of each band, lower first (15 bits, as before the joining filter), for the recommendation's test sequences.
    pub fn decode_bands(&mut self, octet: u8) -> (i16, i16) {
        // Limited to 15 bits.
        (decode_low(&mut self.low, octet) as i16, decode_high(&mut self.high, octet >> 6) as i16)
    }
}

/// Body of the fuzz target and of a property test: octets as codes and as samples, whole and cut by their first octet.
pub fn fuzz(octets: &[u8]) {
    let Some((cut, codes)) = octets.split_first() else { return };
    let (head, tail) = codes.split_at(usize::from(*cut).min(codes.len()));
    let mut pcm = [0i16; 512];
    let (mut whole, mut pieces) = (Decoder::default(), Decoder::default());
    let mut again = [0i16; 512];
    let count = whole.decode(codes, &mut pcm);
    let first = pieces.decode(head, &mut again);
    let second = pieces.decode(tail, &mut again[first..]);
    assert_eq!((count, &pcm), (first + second, &again));
    let mut lower = Decoder::default();
    let mut bands = Decoder::default();
    let mut narrow = [0i16; 256];
    lower.decode_lower_band(codes, &mut again);
    for (sample, code) in narrow.iter_mut().zip(codes) {
        let (low, high) = bands.decode_bands(*code);
        assert!((-16_384..16_384).contains(&low) && (-16_384..16_384).contains(&high));
        *sample = low << 1;
    }
    let narrow_count = codes.len().min(narrow.len());
    assert_eq!(narrow[..narrow_count], again[..narrow_count]);

    for (sample, pair) in pcm.iter_mut().zip(octets.as_chunks::<2>().0) {
        *sample = i16::from_le_bytes(*pair);
    }
    let mut coded = [0; 256];
    assert_eq!(Encoder::default().encode(&pcm, &mut coded), coded.len());
    let mut narrow_coded = [0; 512];
    assert_eq!(Encoder::default().encode_lower_band(&pcm, &mut narrow_coded), narrow_coded.len());
    assert!(narrow_coded.iter().all(|octet| octet & HIGH_IDLE == HIGH_IDLE));
}
