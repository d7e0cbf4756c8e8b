//! The kernels with 256-bit vectors. Invariant: `KERNELS` reaches callers only through `super::avx2`, which has asked the
//! processor; the entries of the table rely on that.

use super::super::packed::{Four, Line, Packed, ROWS, Vector};
use super::super::polyphase::{self, HALF, Polyphase, TAP_BITS, Walk};
use super::super::{Kernels, Level, reals, scalar};
use core::arch::x86_64::*;

pub(super) static KERNELS: Kernels = Kernels {
    level: Level::Avx2,
    // SAFETY: this table is handed out only where the processor has AVX2.
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
    // SAFETY: as above.
    accumulate: |total, pcm| unsafe { accumulate(total, pcm) },
    // SAFETY: as above.
    peak_without: |total, own| unsafe { peak_without(total, own) },
    // SAFETY: as above.
    scale_without: |total, own, out, from, step| unsafe { scale_without(total, own, out, from, step) },
    // SAFETY: as above.
    multiply: |matrix, vectors, out| unsafe { multiply(matrix, vectors, out) },
    reals: &compiled::REALS,
};

reals::compiled!("avx2");

/// Samples in a vector.
const LANES: usize = 16;
type Block = [i16; LANES];

#[inline]
#[target_feature(enable = "avx2")]
fn load(block: &Block) -> __m256i {
    // SAFETY: the array is as long as the vector; the load needs no alignment.
    unsafe { _mm256_loadu_si256(block.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(block: &mut Block, value: __m256i) {
    // SAFETY: the array is as long as the vector; the store needs no alignment.
    unsafe { _mm256_storeu_si256(block.as_mut_ptr().cast(), value) }
}

/// Sum of the four 64-bit lanes.
#[inline]
#[target_feature(enable = "avx2")]
fn sum_u64(v: __m256i) -> u64 {
    let pair = _mm_add_epi64(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
    let sum = _mm_add_epi64(pair, _mm_unpackhi_epi64(pair, pair));
    _mm_cvtsi128_si64(sum).cast_unsigned()
}

/// Adds eight unsigned 32-bit lanes to four 64-bit ones.
#[inline]
#[target_feature(enable = "avx2")]
fn widen_add(sum: __m256i, v: __m256i) -> __m256i {
    let even = _mm256_and_si256(v, _mm256_set1_epi64x(0xffff_ffff));
    _mm256_add_epi64(sum, _mm256_add_epi64(even, _mm256_srli_epi64::<32>(v)))
}

/// A pair of products lies above −2³¹ and reaches 2³¹ when all four factors are −32768. Raised by this it is an unsigned
/// 32-bit number in every case.
const BIAS: i32 = i32::MAX;

/// What `BIAS` has added to a sum after `vectors` vectors.
#[inline]
fn bias(vectors: usize) -> i64 {
    // A slice has fewer than 2³¹ vectors on any machine that could hold the two.
    vectors as i64 * (LANES as i64 / 2) * i64::from(BIAS)
}

#[inline]
#[target_feature(enable = "avx2")]
fn multiply_add(sum: __m256i, x: __m256i, y: __m256i) -> __m256i {
    widen_add(sum, _mm256_add_epi32(_mm256_madd_epi16(x, y), _mm256_set1_epi32(BIAS)))
}

#[target_feature(enable = "avx2")]
fn dot(x: &[i16], y: &[i16]) -> i64 {
    let length = x.len().min(y.len());
    let (x, x_rest) = x[..length].as_chunks::<LANES>();
    let (y, y_rest) = y[..length].as_chunks::<LANES>();
    let mut sum = _mm256_setzero_si256();
    for (x, y) in x.iter().zip(y) {
        sum = multiply_add(sum, load(x), load(y));
    }
    sum_u64(sum).cast_signed() - bias(x.len()) + scalar::dot(x_rest, y_rest)
}

/// Lags that share the loads of `x`.
const LAGS: usize = 4;

#[target_feature(enable = "avx2")]
fn correlate(x: &[i16], y: &[i16], out: &mut [i64]) {
    let (blocks, rest) = x.as_chunks::<LANES>();
    let (groups, single) = out.as_chunks_mut::<LAGS>();
    let done = groups.len() * LAGS;
    for (k, group) in groups.iter_mut().enumerate() {
        let y: [&[i16]; LAGS] = core::array::from_fn(|lag| &y[k * LAGS + lag..]);
        let mut sums = [_mm256_setzero_si256(); LAGS];
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
        for ((out, sum), y) in group.iter_mut().zip(sums).zip(y) {
            *out = sum_u64(sum).cast_signed() - bias(blocks.len()) + scalar::dot(rest, &y[blocks.len() * LANES..]);
        }
    }
    for (k, out) in single.iter_mut().enumerate() {
        *out = dot(x, &y[done + k..]);
    }
}

#[target_feature(enable = "avx2")]
fn energy(x: &[i16]) -> u64 {
    let (blocks, rest) = x.as_chunks::<LANES>();
    let mut sum = _mm256_setzero_si256();
    for block in blocks {
        let x = load(block);
        // Two squares are at most 2³¹: right as an unsigned number.
        sum = widen_add(sum, _mm256_madd_epi16(x, x));
    }
    sum_u64(sum) + scalar::energy(rest)
}

#[target_feature(enable = "avx2")]
fn peak(x: &[i16]) -> u16 {
    let (blocks, rest) = x.as_chunks::<LANES>();
    let mut max = _mm256_setzero_si256();
    for block in blocks {
        // The magnitude of −32768 is 0x8000: right as an unsigned number.
        max = _mm256_max_epu16(max, _mm256_abs_epi16(load(block)));
    }
    // The smallest of the complements is the complement of the largest.
    let half = _mm_max_epu16(_mm256_castsi256_si128(max), _mm256_extracti128_si256::<1>(max));
    let least = _mm_minpos_epu16(_mm_xor_si128(half, _mm_set1_epi16(-1)));
    // The low 16 bits hold the value.
    let largest = !(_mm_cvtsi128_si32(least) as u16);
    largest.max(scalar::peak(rest))
}

#[target_feature(enable = "avx2")]
fn mix(dst: &mut [i16], src: &[i16]) {
    let length = dst.len().min(src.len());
    let (dst, dst_rest) = dst[..length].as_chunks_mut::<LANES>();
    let (src, src_rest) = src[..length].as_chunks::<LANES>();
    for (dst, src) in dst.iter_mut().zip(src) {
        let sum = _mm256_adds_epi16(load(dst), load(src));
        store(dst, sum);
    }
    scalar::mix(dst_rest, src_rest);
}

#[target_feature(enable = "avx2")]
fn gain(pcm: &mut [i16], from: f32, step: f32) {
    let (blocks, rest) = pcm.as_chunks_mut::<LANES>();
    let done = blocks.len() * LANES;
    let (from_all, step_all) = (_mm256_set1_ps(from), _mm256_set1_ps(step));
    let eight = _mm256_set1_epi32(8);
    let mut index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    for block in blocks {
        let x = load(block);
        let (low, high) = (_mm256_castsi256_si128(x), _mm256_extracti128_si256::<1>(x));
        let mut halves = [_mm256_cvtepi16_epi32(low), _mm256_cvtepi16_epi32(high)];
        for half in &mut halves {
            let gain = _mm256_add_ps(from_all, _mm256_mul_ps(step_all, _mm256_cvtepi32_ps(index)));
            *half = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_cvtepi32_ps(*half), gain));
            index = _mm256_add_epi32(index, eight);
        }
        // Packing works within 128-bit halves: the quarters come out as 0 2 1 3.
        store(block, _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(halves[0], halves[1])));
    }
    scalar::gain_at(rest, done, from, step);
}

/// The filters that there are get loops of their own, unrolled.
#[target_feature(enable = "avx2")]
pub(super) fn polyphase(filter: &Polyphase, x: &[i16], first: usize, out: &mut [i16]) {
    match (filter.row, filter.interpolate, filter.decimate) {
        (16, 1, 1) => unrolled::<16, 1, 1>(filter, x, first, out),
        (16, 2, 1) => unrolled::<16, 2, 1>(filter, x, first, out),
        (16, 3, 1) => unrolled::<16, 3, 1>(filter, x, first, out),
        (16, 6, 1) => unrolled::<16, 6, 1>(filter, x, first, out),
        (32, 1, 2) => unrolled::<32, 1, 2>(filter, x, first, out),
        (32, 2, 1) => unrolled::<32, 2, 1>(filter, x, first, out),
        (32, 2, 3) => unrolled::<32, 2, 3>(filter, x, first, out),
        (32, 3, 1) => unrolled::<32, 3, 1>(filter, x, first, out),
        (32, 3, 2) => unrolled::<32, 3, 2>(filter, x, first, out),
        (48, 1, 3) => unrolled::<48, 1, 3>(filter, x, first, out),
        (64, 1, 2) => unrolled::<64, 1, 2>(filter, x, first, out),
        (64, 1, 3) => unrolled::<64, 1, 3>(filter, x, first, out),
        (96, 1, 6) => unrolled::<96, 1, 6>(filter, x, first, out),
        (16, ..) => stepped::<16>(filter, x, first, out),
        (32, ..) => stepped::<32>(filter, x, first, out),
        (48, ..) => stepped::<48>(filter, x, first, out),
        (64, ..) => stepped::<64>(filter, x, first, out),
        (96, ..) => stepped::<96>(filter, x, first, out),
        _ => scalar::polyphase(filter, x, first, out),
    }
}

/// Ratios that are known when this is compiled: from phase 0 on, every place and phase is a constant.
#[inline]
#[target_feature(enable = "avx2")]
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
#[target_feature(enable = "avx2")]
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
#[target_feature(enable = "avx2")]
fn add_up(a: __m256i, b: __m256i, c: __m256i, d: __m256i) -> [i16; 4] {
    // Sums of neighbours, twice: a b c d in each half.
    let quads = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    round(_mm_add_epi32(_mm256_castsi256_si128(quads), _mm256_extracti128_si256::<1>(quads)))
}

/// Sums of four, cut down to samples.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn round(sums: __m128i) -> [i16; 4] {
    let rounded = _mm_srai_epi32::<{ TAP_BITS.cast_signed() }>(_mm_add_epi32(sums, _mm_set1_epi32(HALF)));
    let packed = _mm_packs_epi32(rounded, rounded);
    let mut four = [0; 4];
    // SAFETY: 64 bits are stored, as many as the array has.
    unsafe { _mm_storel_epi64(four.as_mut_ptr().cast(), packed) };
    four
}

/// One output, as eight sums of pairs that are still to be added.
#[inline]
#[target_feature(enable = "avx2")]
fn products<const ROW: usize>(rows: &[[i16; ROW]], x: &[i16], (at, phase): (usize, usize)) -> __m256i {
    let mut sum = _mm256_setzero_si256();
    if let (Some(taps), Some(x)) = (rows.get(phase), x.get(at..).and_then(<[i16]>::first_chunk::<ROW>)) {
        for (taps, x) in taps.as_chunks::<LANES>().0.iter().zip(x.as_chunks::<LANES>().0) {
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(load(x), load(taps)));
        }
    }
    sum
}

/// Sums in a vector.
const SUMS: usize = 8;

#[inline]
#[target_feature(enable = "avx2")]
fn load_sums(block: &[i32; SUMS]) -> __m256i {
    // SAFETY: the array is as long as the vector; the load needs no alignment.
    unsafe { _mm256_loadu_si256(block.as_ptr().cast()) }
}

/// Eight samples, widened.
#[inline]
#[target_feature(enable = "avx2")]
fn load_wide(block: &[i16; SUMS]) -> __m256i {
    // SAFETY: the array is as long as the 128-bit vector; the load needs no alignment.
    _mm256_cvtepi16_epi32(unsafe { _mm_loadu_si128(block.as_ptr().cast()) })
}

#[target_feature(enable = "avx2")]
pub(super) fn accumulate(total: &mut [i32], pcm: &[i16]) {
    let length = total.len().min(pcm.len());
    let (total, total_rest) = total[..length].as_chunks_mut::<SUMS>();
    let (pcm, pcm_rest) = pcm[..length].as_chunks::<SUMS>();
    for (total, pcm) in total.iter_mut().zip(pcm) {
        let sum = _mm256_add_epi32(load_sums(total), load_wide(pcm));
        // SAFETY: the array is as long as the vector; the store needs no alignment.
        unsafe { _mm256_storeu_si256(total.as_mut_ptr().cast(), sum) };
    }
    scalar::accumulate(total_rest, pcm_rest);
}

#[target_feature(enable = "avx2")]
pub(super) fn peak_without(total: &[i32], own: &[i16]) -> u32 {
    let length = total.len().min(own.len());
    let (total, total_rest) = total[..length].as_chunks::<SUMS>();
    let (own, own_rest) = own[..length].as_chunks::<SUMS>();
    let mut max = _mm256_setzero_si256();
    for (total, own) in total.iter().zip(own) {
        let others = _mm256_sub_epi32(load_sums(total), load_wide(own));
        max = _mm256_max_epu32(max, _mm256_abs_epi32(others));
    }
    let half = _mm_max_epu32(_mm256_castsi256_si128(max), _mm256_extracti128_si256::<1>(max));
    let quarter = _mm_max_epu32(half, _mm_shuffle_epi32::<0b01_00_11_10>(half));
    let largest = _mm_max_epu32(quarter, _mm_shuffle_epi32::<0b10_11_00_01>(quarter));
    _mm_cvtsi128_si32(largest).cast_unsigned().max(scalar::peak_without(total_rest, own_rest))
}

#[target_feature(enable = "avx2")]
pub(super) fn scale_without(total: &[i32], own: &[i16], out: &mut [i16], from: f32, step: f32) {
    let length = total.len().min(own.len()).min(out.len());
    let (total, total_rest) = total[..length].as_chunks::<SUMS>();
    let (own, own_rest) = own[..length].as_chunks::<SUMS>();
    let (out, out_rest) = out[..length].as_chunks_mut::<SUMS>();
    let done = out.len() * SUMS;
    let (from_all, step_all) = (_mm256_set1_ps(from), _mm256_set1_ps(step));
    let mut index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    for ((out, total), own) in out.iter_mut().zip(total).zip(own) {
        let others = _mm256_cvtepi32_ps(_mm256_sub_epi32(load_sums(total), load_wide(own)));
        let gain = _mm256_add_ps(from_all, _mm256_mul_ps(step_all, _mm256_cvtepi32_ps(index)));
        let scaled = _mm256_cvtps_epi32(_mm256_mul_ps(others, gain));
        index = _mm256_add_epi32(index, _mm256_set1_epi32(8));
        let packed = _mm_packs_epi32(_mm256_castsi256_si128(scaled), _mm256_extracti128_si256::<1>(scaled));
        // SAFETY: the array is as long as the 128-bit vector; the store needs no alignment.
        unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), packed) };
    }
    scalar::scale_without_at(total_rest, own_rest, out_rest, done, from, step);
}

/// Octets from what is multiplied to what is wanted of memory meanwhile: a matrix is larger than any cache, and the processor
/// does not see far enough by itself.
const AHEAD: usize = 12 * 1024;

/// Has the line brought near that lies [`AHEAD`] of this one.
#[inline]
pub(super) fn fetch(line: &Line) {
    // SAFETY: a prefetch reads nothing, and fails nowhere.
    unsafe { _mm_prefetch::<_MM_HINT_T1>(core::ptr::from_ref(line).cast::<i8>().wrapping_add(AHEAD)) }
}

/// Parts of a line whose octets fill a vector as numbers of 16 bits.
const PARTS: usize = 4;

#[target_feature(enable = "avx2")]
pub(super) fn multiply(matrix: Packed<'_>, vectors: &[Vector<'_>], out: &mut [[i32; ROWS]]) {
    let blocks = matrix.blocks();
    for (n, lines) in matrix.lines.chunks_exact(matrix.length).enumerate() {
        for (pair, out) in vectors.chunks(2).zip(out.chunks_mut(2 * blocks)) {
            match *pair {
                [one, other] => {
                    let [first, second] = block([one.x, other.x], lines);
                    (out[n], out[blocks + n]) = (first, second);
                }
                [one] => [out[n]] = block([one.x], lines),
                _ => {}
            }
        }
    }
}

/// A block of rows times so many vectors at once: they share the loads of the rows.
#[inline]
#[target_feature(enable = "avx2")]
fn block<const VECTORS: usize>(vectors: [&[Four<i16>]; VECTORS], lines: &[Line]) -> [[i32; ROWS]; VECTORS] {
    let vectors = vectors.map(|x| &x[..lines.len()]);
    let mut sums = [[_mm256_setzero_si256(); PARTS]; VECTORS];
    for (n, line) in lines.iter().enumerate() {
        fetch(line);
        let mut x = [_mm256_setzero_si256(); VECTORS];
        for (x, vector) in x.iter_mut().zip(vectors) {
            let [a, b, c, d] = vector[n].map(|x| u64::from(x.cast_unsigned()));
            *x = _mm256_set1_epi64x((a | b << 16 | c << 32 | d << 48).cast_signed());
        }
        for (part, octets) in line.0.as_chunks::<16>().0.iter().enumerate() {
            // SAFETY: the array is as long as the 128-bit vector; the load needs no alignment.
            let w = _mm256_cvtepu8_epi16(unsafe { _mm_loadu_si128(octets.as_ptr().cast()) });
            for (sums, x) in sums.iter_mut().zip(x) {
                sums[part] = _mm256_add_epi32(sums[part], _mm256_madd_epi16(w, x));
            }
        }
    }
    let mut out = [[0; ROWS]; VECTORS];
    for (out, sums) in out.iter_mut().zip(sums) {
        for (out, pair) in out.as_chunks_mut::<8>().0.iter_mut().zip([[sums[0], sums[1]], [sums[2], sums[3]]]) {
            // Pairs of columns as rows, and the halves in order.
            let rows = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_hadd_epi32(pair[0], pair[1]));
            // SAFETY: the array is as long as the vector; the store needs no alignment.
            unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), rows) };
        }
    }
    out
}
