//! The vector kernels against the plain ones: the same to the last bit, for every length up to several vectors, for every
//! alignment, on random and on extreme samples.

use callwright_dsp::kernel::{HALVED_MAX, Halved, Kernels, Level, Line, Polyphase, TAP_ONE, halve};
use std::io::Write;

/// Every vector set that this processor has; says which it lacks.
fn vector_sets() -> Vec<&'static Kernels> {
    [Level::Avx2, Level::Avx512, Level::Avx512Vnni]
        .into_iter()
        .filter_map(|level| {
            let found = Kernels::of(level);
            if found.is_none() {
                // A test that was not made must be seen in the output.
                let _ = writeln!(std::io::stderr(), "skipped: this processor has no {}", level.name());
            }
            found
        })
        .collect()
}

fn scalar() -> &'static Kernels {
    Kernels::of(Level::Scalar).unwrap()
}

struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Samples of one of five kinds: noise, quiet noise, both extremes, the lower one alone, the upper one alone.
    fn samples(&mut self, kind: usize, length: usize) -> Vec<i16> {
        (0..length)
            .map(|_| {
                let random = (self.next() >> 48) as u16 as i16;
                match kind {
                    0 => random,
                    1 => random / 256,
                    2 => [i16::MIN, i16::MAX][usize::from(random < 0)],
                    3 => i16::MIN,
                    _ => i16::MAX,
                }
            })
            .collect()
    }
}

const KINDS: usize = 5;

#[test]
fn sums_are_the_same() {
    let mut noise = Noise(1);
    for set in vector_sets() {
        for length in (0..200).chain([960, 4001]) {
            for kind in 0..KINDS {
                let x = noise.samples(kind, length + 3);
                let y = noise.samples((kind + length) % KINDS, length + 3);
                for start in 0..3 {
                    let (x, y) = (&x[start..start + length], &y[2 - start..]);
                    let at = (set.level(), length, kind, start);
                    assert_eq!(set.dot(x, y), scalar().dot(x, y), "dot {at:?}");
                    assert_eq!(set.dot(y, x), scalar().dot(x, y), "dot {at:?}");
                    assert_eq!(set.energy(x), scalar().energy(x), "energy {at:?}");
                    assert_eq!(set.peak(x), scalar().peak(x), "peak {at:?}");
                }
            }
        }
    }
}

#[test]
fn extremes_do_not_wrap() {
    let lowest = vec![i16::MIN; 100_000];
    for set in [Some(scalar())].into_iter().flatten().chain(vector_sets()) {
        assert_eq!(set.energy(&lowest), 100_000 << 30);
        assert_eq!(set.dot(&lowest, &lowest), 100_000 << 30);
        assert_eq!(set.dot(&lowest, &vec![i16::MAX; 100_000]), -32_768 * 32_767 * 100_000);
        assert_eq!(set.peak(&lowest), 32_768);
    }
}

#[test]
fn correlation_is_the_same() {
    let mut noise = Noise(2);
    for set in vector_sets() {
        for length in (0..70).chain([159, 160, 240]) {
            for lags in [0, 1, 3, 4, 5, 8, 81] {
                let kind = (length + lags) % KINDS;
                let x = noise.samples(kind, length);
                // Now and then too short.
                let y = noise.samples((kind + lags / 3) % KINDS, (length + lags).saturating_sub(1 + lags % 3));
                let (mut expected, mut made) = (vec![0; lags], vec![1; lags]);
                scalar().correlate(&x, &y, &mut expected);
                set.correlate(&x, &y, &mut made);
                assert_eq!(made, expected, "{:?} {length} × {lags}", set.level());
            }
        }
    }
}

#[test]
fn mixing_and_gain_are_the_same() {
    let mut noise = Noise(3);
    for set in vector_sets() {
        for length in (0..150).chain([960]) {
            for kind in 0..KINDS {
                let dst = noise.samples(kind, length);
                let src = noise.samples((kind + length) % KINDS, length.saturating_sub(length % 7));
                let (mut expected, mut made) = (dst.clone(), dst.clone());
                scalar().mix(&mut expected, &src);
                set.mix(&mut made, &src);
                assert_eq!(made, expected, "mix {:?} {length} {kind}", set.level());
                for (from, to) in [(1.0, 1.0), (0.0, 1.0), (1.0, 0.1), (0.5, 0.5), (3.0, -2.0), (-900.0, 900.0)] {
                    let step = (to - from) / length.max(1) as f32;
                    let (mut expected, mut made) = (dst.clone(), dst.clone());
                    scalar().gain(&mut expected, from, step);
                    set.gain(&mut made, from, step);
                    assert_eq!(made, expected, "gain {:?} {length} {kind} {from}", set.level());
                }
            }
        }
    }
}

#[test]
fn sums_of_many_are_the_same() {
    let mut noise = Noise(5);
    for set in vector_sets() {
        for length in (0..70).chain([160, 960]) {
            for kind in 0..KINDS {
                let (mut expected, mut made) = (vec![0; length], vec![0; length]);
                let parties: Vec<Vec<i16>> = (0..9).map(|_| noise.samples(kind, length)).collect();
                for pcm in &parties {
                    scalar().accumulate(&mut expected, pcm);
                    set.accumulate(&mut made, pcm);
                }
                assert_eq!(made, expected, "{:?} {length} {kind}", set.level());
                let own = &parties[length % 9];
                let peak = scalar().peak_without(&expected, own);
                assert_eq!(set.peak_without(&made, own), peak, "{:?} {length} {kind}", set.level());
                for (from, to) in [(1.0, 1.0), (1.0, 0.11), (0.2, 0.9), (0.0, 0.0)] {
                    let step = (to - from) / length.max(1) as f32;
                    let (mut expected_out, mut made_out) = (vec![7; length], vec![8; length]);
                    scalar().scale_without(&expected, own, &mut expected_out, from, step);
                    set.scale_without(&made, own, &mut made_out, from, step);
                    assert_eq!(made_out, expected_out, "{:?} {length} {kind} {from}", set.level());
                }
            }
        }
    }
}

/// Rows of taps whose magnitudes sum to as much as is allowed, with the signs of noise.
const fn rows<const L: usize, const ROW: usize>() -> [[i16; ROW]; L] {
    let mut rows = [[0; ROW]; L];
    let mut at = 0;
    let mut seed = 1u32;
    while at < L * ROW {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let size = (65_534 / ROW) as i16;
        rows[at / ROW][at % ROW] = if seed >> 31 == 0 { size } else { -size };
        at += 1;
    }
    rows
}

/// Every ratio of the resampler's, which have loops of their own, and others that have none.
static FILTERS: [Polyphase; 20] = [
    Polyphase::new(&const { rows::<1, 16>() }, 1),
    Polyphase::new(&const { rows::<2, 16>() }, 1),
    Polyphase::new(&const { rows::<3, 16>() }, 1),
    Polyphase::new(&const { rows::<6, 16>() }, 1),
    Polyphase::new(&const { rows::<1, 32>() }, 2),
    Polyphase::new(&const { rows::<2, 32>() }, 1),
    Polyphase::new(&const { rows::<2, 32>() }, 3),
    Polyphase::new(&const { rows::<3, 32>() }, 1),
    Polyphase::new(&const { rows::<3, 32>() }, 2),
    Polyphase::new(&const { rows::<1, 48>() }, 3),
    Polyphase::new(&const { rows::<1, 64>() }, 2),
    Polyphase::new(&const { rows::<1, 64>() }, 3),
    Polyphase::new(&const { rows::<1, 96>() }, 6),
    Polyphase::new(&const { rows::<4, 16>() }, 3),
    Polyphase::new(&const { rows::<5, 32>() }, 7),
    Polyphase::new(&const { rows::<2, 48>() }, 1),
    Polyphase::new(&const { rows::<2, 64>() }, 7),
    Polyphase::new(&const { rows::<1, 96>() }, 1),
    Polyphase::new(&const { rows::<5, 80>() }, 2),
    Polyphase::new(&const { rows::<1, 112>() }, 100),
];

#[test]
fn filters_are_the_same() {
    let mut noise = Noise(4);
    for set in vector_sets() {
        for (filter, length, first) in
            FILTERS.iter().flat_map(|f| (0..300).step_by(11).flat_map(move |n| (0..9).map(move |first| (f, n, first))))
        {
            let x = noise.samples((length + first) % KINDS, length);
            let room = length * filter.interpolate() / filter.decimate() + 3;
            let (mut expected, mut made) = (vec![77; room], vec![77; room]);
            scalar().polyphase(filter, &x, first, &mut expected);
            set.polyphase(filter, &x, first, &mut made);
            assert_eq!(made, expected, "{:?} {filter:?} {length} {first}", set.level());
        }
    }
}

/// Which taps of the first row are positive, learnt by putting one loud sample in each place.
fn signs(filter: &Polyphase) -> Vec<bool> {
    (0..filter.row())
        .map(|at| {
            let mut x = vec![0; filter.row()];
            x[at] = i16::MAX;
            let mut out = [0; 1];
            scalar().polyphase(filter, &x, 0, &mut out);
            out[0] > 0
        })
        .collect()
}

#[test]
fn the_loudest_that_a_filter_can_make_saturates() {
    for set in [Some(scalar())].into_iter().flatten().chain(vector_sets()) {
        for filter in &FILTERS {
            // Samples with the signs of the first row's taps, then with the opposite ones.
            let row = signs(filter);
            let loud: Vec<i16> = row.iter().map(|s| if *s { i16::MAX } else { i16::MIN }).collect();
            let low: Vec<i16> = row.iter().map(|s| if *s { i16::MIN } else { i16::MAX }).collect();
            let mut out = [0; 1];
            set.polyphase(filter, &loud, 0, &mut out);
            assert_eq!(out, [i16::MAX], "{:?}", set.level());
            set.polyphase(filter, &low, 0, &mut out);
            assert_eq!(out, [i16::MIN], "{:?}", set.level());
        }
    }
}

/// Half of the newest sample.
static HALVING: Polyphase = Polyphase::new(&[[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, (TAP_ONE / 2) as i16]], 1);

#[test]
fn filtered_samples_are_rounded_to_nearest() {
    for set in Level::ALL.into_iter().filter_map(Kernels::of) {
        let mut x = [0; 15 + 8];
        x[15..].copy_from_slice(&[1, 2, 3, -1, -2, -3, i16::MAX, i16::MIN]);
        let mut out = [9; 8];
        set.polyphase(&HALVING, &x, 0, &mut out);
        // Halves go up.
        assert_eq!(out, [1, 1, 2, 0, -1, -1, 16_384, -16_384], "{:?}", set.level());
    }
}

#[test]
fn the_best_set_is_one_of_them() {
    let best = Kernels::best();
    assert_eq!(Kernels::of(best.level()).map(Kernels::level), Some(best.level()));
    assert!(vector_sets().iter().all(|set| set.level() <= best.level()));
}

#[test]
fn a_matrix_of_bytes_times_a_vector_is_the_same() {
    let mut noise = Noise(8);
    for set in vector_sets() {
        for length in (1..70).chain([127, 128, 255, 288, 416, 511, 1664, 2047, 2048, 2049]) {
            for kind in 0..KINDS {
                let x = noise.samples(kind, length);
                let weights: Vec<i8> =
                    noise.samples((kind + length) % KINDS, length * 11).iter().map(|w| (w >> 8) as i8).collect();
                for rows in [0, 1, 4, 7, 11] {
                    let (mut expected, mut made) = ([-1; 12], [-1; 12]);
                    scalar().project(&weights, &x, &mut expected[..rows]);
                    set.project(&weights, &x, &mut made[..rows]);
                    assert_eq!(made, expected, "{:?} {length} {kind} {rows}", set.level());
                    assert_eq!(made[rows], -1);
                }
                // One row more than there are weights.
                let mut made = [-1; 12];
                set.project(&weights, &x, &mut made);
                assert_eq!(made[11], -1);
            }
        }
    }
}

#[test]
fn several_vectors_at_once_are_each_as_alone() {
    let mut noise = Noise(9);
    for set in [Some(scalar())].into_iter().flatten().chain(vector_sets()) {
        for length in [1, 4, 63, 64, 65, 288, 416, 1664] {
            for (kind, count, most) in (0..KINDS)
                .flat_map(|kind| (0..6).flat_map(move |count| [HALVED_MAX, i16::MAX].map(|most| (kind, count, most))))
            {
                let samples = |n| noise.samples((kind + n) % KINDS, length).into_iter().map(|x| x.min(most)).collect();
                let x: Vec<Vec<i16>> = (0..count).map(samples).collect();
                let weights: Vec<i8> =
                    noise.samples((kind + count) % KINDS, length * 11).iter().map(|w| (w >> 8) as i8).collect();
                let lines = length.div_ceil(64);
                let mut halves = vec![(vec![Line([7; 64]); lines], vec![Line([7; 64]); lines]); count];
                let vectors: Vec<Halved<'_>> = x
                    .iter()
                    .zip(&mut halves)
                    .map(|(x, (upper, lower))| match halve(x, upper, lower) {
                        Some(sum) => Halved { x, upper, lower, sum },
                        None => Halved { x, upper: &[], lower: &[], sum: 0 },
                    })
                    .collect();
                for rows in [0, 3, 4, 11] {
                    let (mut expected, mut made) = (vec![-1; count * rows + 1], vec![-1; count * rows + 1]);
                    for (x, expected) in x.iter().zip(expected.chunks_mut(rows.max(1))) {
                        scalar().project(&weights[..rows * length], x, &mut expected[..rows]);
                    }
                    set.project_all(&weights[..rows * length], &vectors, &mut made);
                    assert_eq!(made, expected, "{:?} {length} {kind} {count} {rows}", set.level());
                }
            }
        }
        // What does not fit together has no product.
        let mut out = [7; 2];
        let vector = |x| Halved { x, upper: &[], lower: &[], sum: 0 };
        set.project_all(&[1, 2, 3, 4], &[vector(&[1, 2]), vector(&[1])], &mut out);
        assert_eq!(out, [0, 0]);
        set.project_all(&[1], &[vector(&[])], &mut out);
        set.project_all(&[1], &[], &mut out);
    }
}

#[test]
fn halves_are_the_numbers_or_none() {
    let x: Vec<i16> = (i16::MIN..=HALVED_MAX).collect();
    let lines = x.len().div_ceil(64);
    let (mut upper, mut lower) = (vec![Line([7; 64]); lines], vec![Line([7; 64]); lines]);
    let sum: i32 = x.iter().map(|x| i32::from(*x)).sum();
    assert_eq!(halve(&x, &mut upper, &mut lower), Some(sum));
    let octets = |of: &[Line]| of.iter().flat_map(|line| line.0).map(i32::from).collect::<Vec<_>>();
    let joined: Vec<i32> =
        octets(&upper).iter().zip(octets(&lower)).map(|(upper, lower)| 256 * upper + lower).collect();
    assert!(joined.iter().zip(x.iter().map(|x| i32::from(*x)).chain([0; 64])).all(|(is, was)| *is == was));
    assert_eq!(halve(&[0, HALVED_MAX + 1], &mut upper, &mut lower), None);
    assert_eq!(halve(&x, &mut upper[1..], &mut lower), None);
}

#[test]
fn a_product_is_what_it_says_and_nothing_times_nothing_is_nothing() {
    for set in [Some(scalar())].into_iter().flatten().chain(vector_sets()) {
        let mut out = [7; 2];
        set.project(&[1, -2, 3, 127, -128, 0], &[10, 100, i16::MIN], &mut out);
        assert_eq!(out, [10 - 200 - 3 * 32_768, 1270 - 12_800]);
        set.project(&[], &[], &mut out);
        assert_eq!(out, [0, 0]);
        // The largest sum that a vector of 511 makes.
        set.project(&[i8::MIN; 1022], &[i16::MIN; 511], &mut out);
        assert_eq!(out, [511 << 22; 2]);
    }
}
