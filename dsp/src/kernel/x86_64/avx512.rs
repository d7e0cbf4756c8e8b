//! The kernels with 512-bit vectors; the end of a slice is loaded under a mask instead of being looped over. Invariant:
//! `KERNELS` and `WITH_VNNI` reach callers only through `super`, which has asked the processor; the entries rely on that.

use super::super::polyphase::{self, Polyphase, Walk};
use super::super::{Halved, Kernels, Level, one_by_one, scalar};
use super::avx2;
use core::arch::x86_64::*;

/// For processors with F, BW and VL.
pub(super) static KERNELS: Kernels = SET;

/// For those with VNNI, too.
pub(super) static WITH_VNNI: Kernels = Kernels {
    level: Level::Avx512Vnni,
    // SAFETY: this table is handed out only where the processor has AVX-512 F, BW, VL and VNNI.
    project_all: |weights, vectors, out| unsafe { project_all(weights, vectors, out) },
    ..SET
};

const SET: Kernels = Kernels {
    level: Level::Avx512,
    // SAFETY: this table is handed out only where the processor has AVX-512 F, BW and VL.
    dot: |x, y| unsafe { dot(x, y) },
    // SAFETY: as above.
    correlate: |x, y, out| unsafe { correlate(x, y, out) },
    // SAFETY: as above.
    energy: |x| unsafe { energy(x) },
    // SAFETY: as above.
    peak: |x| unsafe { peak(x) },
    // SAFETY: as above.
    mix: |dst, src| unsafe { mix(dst, src) },
    // SAFETY: as above.
    gain: |pcm, from, step| unsafe { gain(pcm, from, step) },
    // SAFETY: as above.
    polyphase: |filter, x, first, out| unsafe { polyphase(filter, x, first, out) },
    // The mixer's loops wait for memory, not for arithmetic: wider vectors gain nothing.
    // SAFETY: as above; AVX-512 includes AVX2.
    accumulate: |total, pcm| unsafe { avx2::accumulate(total, pcm) },
    // SAFETY: as above.
    peak_without: |total, own| unsafe { avx2::peak_without(total, own) },
    // SAFETY: as above.
    scale_without: |total, own, out, from, step| unsafe { avx2::scale_without(total, own, out, from, step) },
    // SAFETY: as above.
    project: |weights, x, out| unsafe { project(weights, x, out) },
    project_all: |weights, vectors, out| {
        // SAFETY: as above.
        one_by_one(|weights, x, out| unsafe { project(weights, x, out) }, weights, vectors, out);
    },
};

/// Samples in a vector.
const LANES: usize = 32;
type Block = [i16; LANES];

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn load(block: &Block) -> __m512i {
    // SAFETY: the array is as long as the vector; the load needs no alignment.
    unsafe { _mm512_loadu_si512(block.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn store(block: &mut Block, value: __m512i) {
    // SAFETY: the array is as long as the vector; the store needs no alignment.
    unsafe { _mm512_storeu_si512(block.as_mut_ptr().cast(), value) }
}

/// One bit per sample of a slice shorter than a vector.
#[inline]
fn mask(samples: usize) -> __mmask32 {
    debug_assert!(samples < LANES);
    (1 << samples) - 1
}

/// A slice shorter than a vector, zeros behind it.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn load_rest(rest: &[i16]) -> __m512i {
    // SAFETY: lanes outside the mask are not read, and the mask is as long as the slice.
    unsafe { _mm512_maskz_loadu_epi16(mask(rest.len()), rest.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn store_rest(rest: &mut [i16], value: __m512i) {
    // SAFETY: lanes outside the mask are not written, and the mask is as long as the slice.
    unsafe { _mm512_mask_storeu_epi16(rest.as_mut_ptr(), mask(rest.len()), value) }
}

/// Adds sixteen unsigned 32-bit lanes to eight 64-bit ones.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn widen_add(sum: __m512i, v: __m512i) -> __m512i {
    let even = _mm512_and_si512(v, _mm512_set1_epi64(0xffff_ffff));
    _mm512_add_epi64(sum, _mm512_add_epi64(even, _mm512_srli_epi64::<32>(v)))
}

/// A pair of products lies above −2³¹ and reaches 2³¹ when all four factors are −32768. Raised by this it is an unsigned
/// 32-bit number in every case.
const BIAS: i32 = i32::MAX;

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn multiply_add(sum: __m512i, x: __m512i, y: __m512i) -> __m512i {
    widen_add(sum, _mm512_add_epi32(_mm512_madd_epi16(x, y), _mm512_set1_epi32(BIAS)))
}

/// The sum less what `BIAS` has added in `vectors` vectors.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn unbiased(sum: __m512i, vectors: usize) -> i64 {
    // A slice has fewer than 2³¹ vectors on any machine that could hold the two.
    _mm512_reduce_add_epi64(sum) - vectors as i64 * (LANES as i64 / 2) * i64::from(BIAS)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn dot(x: &[i16], y: &[i16]) -> i64 {
    let length = x.len().min(y.len());
    let (x, x_rest) = x[..length].as_chunks::<LANES>();
    let (y, y_rest) = y[..length].as_chunks::<LANES>();
    let mut sum = multiply_add(_mm512_setzero_si512(), load_rest(x_rest), load_rest(y_rest));
    for (x, y) in x.iter().zip(y) {
        sum = multiply_add(sum, load(x), load(y));
    }
    unbiased(sum, x.len() + 1)
}

/// Lags that share the loads of `x`.
const LAGS: usize = 4;

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn correlate(x: &[i16], y: &[i16], out: &mut [i64]) {
    let (blocks, rest) = x.as_chunks::<LANES>();
    let (groups, single) = out.as_chunks_mut::<LAGS>();
    let done = groups.len() * LAGS;
    let x_rest = load_rest(rest);
    for (k, group) in groups.iter_mut().enumerate() {
        let y: [&[i16]; LAGS] = core::array::from_fn(|lag| &y[k * LAGS + lag..][..x.len()]);
        let mut sums = [_mm512_setzero_si512(); LAGS];
        for (sum, y) in sums.iter_mut().zip(y) {
            *sum = multiply_add(*sum, x_rest, load_rest(&y[blocks.len() * LANES..]));
        }
        for ((((x, a), b), c), d) in blocks
            .iter()
            .zip(y[0].as_chunks::<LANES>().0)
            .zip(y[1].as_chunks::<LANES>().0)
            .zip(y[2].as_chunks::<LANES>().0)
            .zip(y[3].as_chunks::<LANES>().0)
        {
            let x = load(x);
            sums[0] = multiply_add(sums[0], x, load(a));
            sums[1] = multiply_add(sums[1], x, load(b));
            sums[2] = multiply_add(sums[2], x, load(c));
            sums[3] = multiply_add(sums[3], x, load(d));
        }
        for (out, sum) in group.iter_mut().zip(sums) {
            *out = unbiased(sum, blocks.len() + 1);
        }
    }
    for (k, out) in single.iter_mut().enumerate() {
        *out = dot(x, &y[done + k..]);
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn energy(x: &[i16]) -> u64 {
    let (blocks, rest) = x.as_chunks::<LANES>();
    let rest = load_rest(rest);
    // Two squares are at most 2³¹: right as an unsigned number.
    let mut sum = widen_add(_mm512_setzero_si512(), _mm512_madd_epi16(rest, rest));
    for block in blocks {
        let x = load(block);
        sum = widen_add(sum, _mm512_madd_epi16(x, x));
    }
    _mm512_reduce_add_epi64(sum).cast_unsigned()
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn peak(x: &[i16]) -> u16 {
    let (blocks, rest) = x.as_chunks::<LANES>();
    // The magnitude of −32768 is 0x8000: right as an unsigned number.
    let mut max = _mm512_abs_epi16(load_rest(rest));
    for block in blocks {
        max = _mm512_max_epu16(max, _mm512_abs_epi16(load(block)));
    }
    let half = _mm256_max_epu16(_mm512_castsi512_si256(max), _mm512_extracti64x4_epi64::<1>(max));
    let quarter = _mm_max_epu16(_mm256_castsi256_si128(half), _mm256_extracti128_si256::<1>(half));
    // The smallest of the complements is the complement of the largest.
    let least = _mm_minpos_epu16(_mm_xor_si128(quarter, _mm_set1_epi16(-1)));
    // The low 16 bits hold the value.
    !(_mm_cvtsi128_si32(least) as u16)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn mix(dst: &mut [i16], src: &[i16]) {
    let length = dst.len().min(src.len());
    let (dst, dst_rest) = dst[..length].as_chunks_mut::<LANES>();
    let (src, src_rest) = src[..length].as_chunks::<LANES>();
    for (dst, src) in dst.iter_mut().zip(src) {
        let sum = _mm512_adds_epi16(load(dst), load(src));
        store(dst, sum);
    }
    let sum = _mm512_adds_epi16(load_rest(dst_rest), load_rest(src_rest));
    store_rest(dst_rest, sum);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn gain(pcm: &mut [i16], from: f32, step: f32) {
    let (blocks, rest) = pcm.as_chunks_mut::<LANES>();
    let mut ramp = Ramp {
        from: _mm512_set1_ps(from),
        step: _mm512_set1_ps(step),
        index: _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
    };
    for block in blocks {
        let scaled = ramp.scale(load(block));
        store(block, scaled);
    }
    let scaled = ramp.scale(load_rest(rest));
    store_rest(rest, scaled);
}

/// A gain that changes from sample to sample.
struct Ramp {
    from: __m512,
    step: __m512,
    /// Numbers of the next sixteen samples.
    index: __m512i,
}

impl Ramp {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn scale(&mut self, x: __m512i) -> __m512i {
        let low = self.scale_half(_mm512_castsi512_si256(x));
        let high = self.scale_half(_mm512_extracti64x4_epi64::<1>(x));
        _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn scale_half(&mut self, x: __m256i) -> __m256i {
        let gain = _mm512_add_ps(self.from, _mm512_mul_ps(self.step, _mm512_cvtepi32_ps(self.index)));
        self.index = _mm512_add_epi32(self.index, _mm512_set1_epi32(16));
        let scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(x)), gain);
        _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32(scaled))
    }
}

/// The filters that there are get loops of their own, unrolled; rows of an odd number of AVX2 vectors gain nothing from
/// wider ones.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn polyphase(filter: &Polyphase, x: &[i16], first: usize, out: &mut [i16]) {
    match (filter.row, filter.interpolate, filter.decimate) {
        (32, 1, 2) => unrolled::<32, 1, 2>(filter, x, first, out),
        (32, 2, 1) => unrolled::<32, 2, 1>(filter, x, first, out),
        (32, 2, 3) => unrolled::<32, 2, 3>(filter, x, first, out),
        (32, 3, 1) => unrolled::<32, 3, 1>(filter, x, first, out),
        (32, 3, 2) => unrolled::<32, 3, 2>(filter, x, first, out),
        (64, 1, 2) => unrolled::<64, 1, 2>(filter, x, first, out),
        (64, 1, 3) => unrolled::<64, 1, 3>(filter, x, first, out),
        (96, 1, 6) => unrolled::<96, 1, 6>(filter, x, first, out),
        (32, ..) => stepped::<32>(filter, x, first, out),
        (64, ..) => stepped::<64>(filter, x, first, out),
        (96, ..) => stepped::<96>(filter, x, first, out),
        _ => avx2::polyphase(filter, x, first, out),
    }
}

/// Ratios that are known when this is compiled: from phase 0 on, every place and phase is a constant.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn unrolled<const ROW: usize, const INTERPOLATE: usize, const DECIMATE: usize>(
    filter: &Polyphase,
    x: &[i16],
    first: usize,
    out: &mut [i16],
) {
    let group = const { polyphase::group(INTERPOLATE) };
    let span = const { ROW + (polyphase::group(INTERPOLATE) - 1) * DECIMATE / INTERPOLATE };
    let rows = filter.taps.as_chunks::<ROW>().0.first_chunk::<INTERPOLATE>();
    let skipped = polyphase::before_phase_0(filter, first);
    let (Some(rows), Some(skipped)) = (rows, skipped) else { return stepped::<ROW>(filter, x, first, out) };
    let (head, out) = out.split_at_mut(skipped.min(out.len()));
    stepped::<ROW>(filter, x, first, head);
    let mut at = (first + skipped * DECIMATE) / INTERPOLATE;
    let mut groups = out.chunks_exact_mut(group);
    for out in &mut groups {
        let Some(x) = x.get(at..at + span) else { return };
        for (quad, out) in out.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let place = |n: usize| ((4 * quad + n) * DECIMATE / INTERPOLATE, (4 * quad + n) * DECIMATE % INTERPOLATE);
            let a = products(rows, x, place(0));
            let b = products(rows, x, place(1));
            let c = products(rows, x, place(2));
            let d = products(rows, x, place(3));
            *out = add_up(a, b, c, d);
        }
        at += group * DECIMATE / INTERPOLATE;
    }
    stepped::<ROW>(filter, x, at * INTERPOLATE, groups.into_remainder());
}

/// Any ratio, four outputs at a time.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn stepped<const ROW: usize>(filter: &Polyphase, x: &[i16], first: usize, out: &mut [i16]) {
    let mut walk = Walk::new(filter, first);
    let (rows, _) = filter.taps.as_chunks::<ROW>();
    let (groups, rest) = out.as_chunks_mut::<4>();
    for group in groups {
        let a = products(rows, x, walk.step());
        let b = products(rows, x, walk.step());
        let c = products(rows, x, walk.step());
        let d = products(rows, x, walk.step());
        *group = add_up(a, b, c, d);
    }
    scalar::polyphase_from(filter, x, walk, rest);
}

/// Adds up the sums of pairs of four outputs.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn add_up(a: __m512i, b: __m512i, c: __m512i, d: __m512i) -> [i16; 4] {
    // A transposition that adds as it goes: a b c d in each quarter.
    let ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    let quads = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    let halves = _mm256_add_epi32(_mm512_castsi512_si256(quads), _mm512_extracti64x4_epi64::<1>(quads));
    avx2::round(_mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256::<1>(halves)))
}

/// One output, as sixteen sums of pairs that are still to be added.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn products<const ROW: usize>(rows: &[[i16; ROW]], x: &[i16], (at, phase): (usize, usize)) -> __m512i {
    let mut sum = _mm512_setzero_si512();
    if let (Some(taps), Some(x)) = (rows.get(phase), x.get(at..).and_then(<[i16]>::first_chunk::<ROW>)) {
        for (taps, x) in taps.as_chunks::<LANES>().0.iter().zip(x.as_chunks::<LANES>().0) {
            sum = _mm512_add_epi32(sum, _mm512_madd_epi16(load(x), load(taps)));
        }
    }
    sum
}

/// Rows that share the loads of `x`.
const ROWS: usize = 4;

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn project(weights: &[i8], x: &[i16], out: &mut [i32]) {
    let (blocks, x_rest) = x.as_chunks::<LANES>();
    let (groups, single) = out.as_chunks_mut::<ROWS>();
    let (weights, weights_single) = weights.split_at(groups.len() * ROWS * x.len());
    let rest = load_rest(x_rest);
    for (group, weights) in groups.iter_mut().zip(weights.chunks_exact(ROWS * x.len())) {
        avx2::fetch(weights);
        let rows = rows_of(weights, x.len());
        let mut sums = [_mm512_setzero_si512(); ROWS];
        if !x_rest.is_empty() {
            for (sum, row) in sums.iter_mut().zip(rows) {
                let row = &row[blocks.len() * LANES..];
                // SAFETY: lanes outside the mask are not read, and the mask is as long as the rest of the row.
                let w = unsafe { _mm256_maskz_loadu_epi8(mask(row.len()), row.as_ptr()) };
                *sum = _mm512_madd_epi16(_mm512_cvtepi8_epi16(w), rest);
            }
        }
        let [a, b, c, d] = rows;
        let (a, b, c, d) = (lanes_of(a), lanes_of(b), lanes_of(c), lanes_of(d));
        for ((((x, a), b), c), d) in blocks.iter().zip(a).zip(b).zip(c).zip(d) {
            let x = load(x);
            for (sum, w) in sums.iter_mut().zip([a, b, c, d]) {
                // SAFETY: the array is as long as the 256-bit vector; the load needs no alignment.
                let w = _mm512_cvtepi8_epi16(unsafe { _mm256_loadu_si256(w.as_ptr().cast()) });
                *sum = _mm512_add_epi32(*sum, _mm512_madd_epi16(w, x));
            }
        }
        store_sums(group, sums, 0);
    }
    scalar::project(weights_single, x, single);
}

/// The sum of each vector's lanes, less the same number.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn store_sums(out: &mut [i32; ROWS], sums: [__m512i; ROWS], less: i32) {
    let [a, b, c, d] = sums;
    let pairs = [_mm256_hadd_epi32(half(a), half(b)), _mm256_hadd_epi32(half(c), half(d))];
    let fours = _mm256_hadd_epi32(pairs[0], pairs[1]);
    let total = _mm_add_epi32(_mm256_castsi256_si128(fours), _mm256_extracti128_si256::<1>(fours));
    // SAFETY: the array is as long as the 128-bit vector; the store needs no alignment.
    unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), _mm_sub_epi32(total, _mm_set1_epi32(less))) };
}

/// The upper lanes added to the lower ones.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn half(v: __m512i) -> __m256i {
    _mm256_add_epi32(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64::<1>(v))
}

/// So many rows of one length. (Written out: a closure inherits the instructions, but what it would be given to has them not, and
/// may not take it in.)
#[inline]
fn rows_of(weights: &[i8], length: usize) -> [&[i8]; ROWS] {
    let (ab, cd) = weights.split_at(2 * length);
    let ((a, b), (c, d)) = (ab.split_at(length), cd.split_at(length));
    [a, b, c, d]
}

/// Octets in a vector.
const OCTETS: usize = 64;

/// As `project` for each vector, in a third of the instructions: four octets without a sign times four with one are multiplied
/// and added up in one. 128 is added to the weights, and what that adds is taken off.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn project_all(weights: &[i8], vectors: &[Halved<'_>], out: &mut [i32]) {
    let Some(width) = vectors.first().map(|vector| vector.x.len()) else { return };
    let lines = width.div_ceil(OCTETS);
    if vectors.iter().any(|vector| vector.upper.len() < lines || vector.lower.len() < lines) {
        return one_by_one(|weights, x, out| project(weights, x, out), weights, vectors, out);
    }
    let rows = weights.len() / width;
    for (n, (pair, out)) in vectors.chunks(2).zip(out.chunks_mut(2 * rows)).enumerate() {
        match *pair {
            [one, other] => {
                let (first, second) = out.split_at_mut(rows);
                tile(weights, [one, other], [first, second], n == 0);
            }
            [one] => tile(weights, [one], [out], n == 0),
            _ => {}
        }
    }
}

/// All rows times so many vectors at once: they share the loads of the weights.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn tile<const VECTORS: usize>(
    weights: &[i8],
    vectors: [Halved<'_>; VECTORS],
    mut out: [&mut [i32]; VECTORS],
    ahead: bool,
) {
    let width = vectors[0].x.len();
    let (whole, rest) = (width / OCTETS, width % OCTETS);
    let sign = _mm512_set1_epi8(i8::MIN);
    let rows = weights.len() / width;
    for (n, weights) in weights.chunks_exact(ROWS * width).enumerate() {
        if ahead {
            avx2::fetch(weights);
        }
        let rows = rows_of(weights, width);
        let mut sums = [[[_mm512_setzero_si512(); 2]; ROWS]; VECTORS];
        let [a, b, c, d] = rows;
        let octets = octets_of(a).iter().zip(octets_of(b)).zip(octets_of(c)).zip(octets_of(d));
        for (line, (((a, b), c), d)) in octets.enumerate() {
            let w = [load_octets(a), load_octets(b), load_octets(c), load_octets(d)];
            for (sums, vector) in sums.iter_mut().zip(&vectors) {
                add_line(sums, w, sign, vector, line);
            }
        }
        if rest > 0 {
            let mut w = [_mm512_setzero_si512(); ROWS];
            for (w, row) in w.iter_mut().zip(rows) {
                // SAFETY: lanes outside the mask are not read, and the mask is as long as the rest of the row.
                *w = unsafe { _mm512_maskz_loadu_epi8((1 << rest) - 1, row[whole * OCTETS..].as_ptr()) };
            }
            for (sums, vector) in sums.iter_mut().zip(&vectors) {
                add_line(sums, w, sign, vector, whole);
            }
        }
        for ((sums, vector), out) in sums.into_iter().zip(&vectors).zip(&mut out) {
            let [a, b, c, d] = sums;
            if let Some(group) = out.as_chunks_mut::<ROWS>().0.get_mut(n) {
                store_sums(group, [joined(a), joined(b), joined(c), joined(d)], vector.sum.wrapping_mul(128));
            }
        }
    }
    let single = rows / ROWS * ROWS;
    for (vector, out) in vectors.iter().zip(&mut out) {
        scalar::project(&weights[single * width..], vector.x, &mut out[single..]);
    }
}

/// Adds the products of one line of four rows with one of a vector.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn add_line(sums: &mut [[__m512i; 2]; ROWS], w: [__m512i; ROWS], sign: __m512i, vector: &Halved<'_>, line: usize) {
    let (Some(upper), Some(lower)) = (vector.upper.get(line), vector.lower.get(line)) else { return };
    let (upper, lower) = (load_octets(&upper.0), load_octets(&lower.0));
    for (sums, w) in sums.iter_mut().zip(w) {
        let w = _mm512_xor_si512(w, sign);
        *sums = [_mm512_dpbusd_epi32(sums[0], w, upper), _mm512_dpbusd_epi32(sums[1], w, lower)];
    }
}

#[inline]
fn octets_of(row: &[i8]) -> &[[i8; OCTETS]] {
    row.as_chunks().0
}

#[inline]
fn lanes_of(row: &[i8]) -> &[[i8; LANES]] {
    row.as_chunks().0
}

/// Sums of upper octets and of lower ones as one.
#[inline]
#[target_feature(enable = "avx512f")]
fn joined([upper, lower]: [__m512i; 2]) -> __m512i {
    _mm512_add_epi32(_mm512_slli_epi32::<8>(upper), lower)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_octets(octets: &[i8; OCTETS]) -> __m512i {
    // SAFETY: the array is as long as the vector; the load needs no alignment.
    unsafe { _mm512_loadu_si512(octets.as_ptr().cast()) }
}
