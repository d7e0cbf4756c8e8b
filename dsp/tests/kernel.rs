//! The vector kernels against the plain ones: the same to the last bit, for every length up to several vectors, for every
//! alignment, on random and on extreme samples.

use callwright_dsp::kernel::{
    Four, HALVED_MAX, Kernels, Level, Line, Packed, Polyphase, ROWS, Shape, TAP_ONE, Vector, View, halve, lines, pack,
};
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

/// A vector as products take it.
#[derive(Default)]
struct Numbers {
    x: Vec<Four<i16>>,
    upper: Vec<Four<i8>>,
    lower: Vec<Four<i8>>,
}

impl Numbers {
    fn new(x: &[i16]) -> Self {
        let mut groups = vec![[0; 4]; x.len().div_ceil(4)];
        groups.as_flattened_mut()[..x.len()].copy_from_slice(x);
        let (mut upper, mut lower) = (vec![[7; 4]; groups.len()], vec![[7; 4]; groups.len()]);
        if x.iter().all(|x| i8::try_from(*x).is_ok()) {
            let lower = groups.iter().map(|group| group.map(|x| x as i8)).collect();
            return Self { x: groups, upper: Vec::new(), lower };
        }
        match halve(&groups, &mut upper, &mut lower) {
            Some(_) => Self { x: groups, upper, lower },
            None => Self { x: groups, ..Self::default() },
        }
    }

    fn vector(&self) -> Vector<'_> {
        Vector { x: &self.x, upper: &self.upper, lower: &self.lower }
    }
}

#[test]
fn a_matrix_of_octets_times_vectors_is_the_same() {
    let mut noise = Noise(9);
    let every: Vec<&Kernels> = [scalar()].into_iter().chain(vector_sets()).collect();
    for (columns, rows) in [(1, 1), (4, 16), (5, 17), (63, 33), (127, 32), (288, 48), (416, 16), (1664, 7)] {
        for (kind, count, most) in (0..KINDS)
            .flat_map(|kind| (0..12).flat_map(move |count| [127, HALVED_MAX, i16::MAX].map(|most| (kind, count, most))))
        {
            let least = if most == 127 { -128 } else { i16::MIN };
            let x: Vec<Vec<i16>> = (0..count)
                .map(|n| noise.samples((kind + n) % KINDS, columns).into_iter().map(|x| x.clamp(least, most)).collect())
                .collect();
            let octets: Vec<u8> =
                noise.samples((kind + count) % KINDS, columns * rows).iter().map(|w| (w >> 8) as u8).collect();
            let mut packed = vec![Line([7; 64]); lines(rows, columns)];
            pack(rows, columns, |row, column| octets[row * columns + column], &mut packed);
            let matrix = Packed::new(&packed, columns);
            let numbers: Vec<Numbers> = x.iter().map(|x| Numbers::new(x)).collect();
            let vectors: Vec<Vector<'_>> = numbers.iter().map(Numbers::vector).collect();
            let expected: Vec<i32> = x
                .iter()
                .flat_map(|x| {
                    let product = |row: &[u8]| {
                        let products = row.iter().zip(x).map(|(octet, x)| i32::from(*octet) * i32::from(*x));
                        products.fold(0, i32::wrapping_add)
                    };
                    let padding = rows.next_multiple_of(ROWS) - rows;
                    octets.chunks(columns).map(product).chain(vec![0; padding]).collect::<Vec<_>>()
                })
                .collect();
            for set in &every {
                let mut made = vec![[-1; ROWS]; count * matrix.blocks() + 1];
                set.multiply(matrix, &vectors, &mut made);
                let (made, beyond) = made.split_at(count * matrix.blocks());
                assert_eq!(
                    made.as_flattened(),
                    expected,
                    "{:?} {rows} × {columns}, {kind} {count} {most}",
                    set.level()
                );
                assert_eq!(beyond, [[-1; ROWS]]);
            }
        }
    }
}

#[test]
fn a_matrix_is_where_it_was_put_and_what_does_not_fit_has_no_product() {
    let mut packed = vec![Line([7; 64]); lines(17, 6)];
    pack(17, 6, |row, column| (10 * row + column) as u8, &mut packed);
    let matrix = Packed::new(&packed, 6);
    assert_eq!((matrix.blocks(), packed.len()), (2, 4));
    for (row, column, octet) in
        [(0, 0, Some(0)), (3, 5, Some(35)), (16, 2, Some(162)), (16, 7, Some(0)), (17, 0, Some(0))]
    {
        assert_eq!(matrix.octet(row, column), octet);
    }
    assert_eq!((matrix.octet(0, 8), matrix.octet(32, 0), Packed::new(&[], 0).blocks()), (None, None, 0));
    for set in [scalar()].into_iter().chain(vector_sets()) {
        let (fits, other) = (Numbers::new(&[1, 0, 0, 0, 0, 300]), Numbers::new(&[1]));
        let mut out = [[7; ROWS]; 4];
        set.multiply(matrix, &[fits.vector(), other.vector()], &mut out);
        assert_eq!(out, [[0; ROWS]; 4]);
        // One more than there is room for.
        let mut out = [[7; ROWS]; 3];
        set.multiply(matrix, &[fits.vector(), fits.vector()], &mut out);
        assert_eq!((out[0][3], out[1][0], out[2]), (30 + 300 * 35, 160 + 300 * 165, [7; ROWS]));
        set.multiply(Packed::new(&[], 6), &[fits.vector()], &mut out);
        set.multiply(matrix, &[], &mut out);
        assert_eq!(out[2], [7; ROWS]);
    }
}

#[test]
fn halves_are_the_numbers_or_none() {
    let all: Vec<i16> = (i16::MIN..=HALVED_MAX).chain([0]).collect();
    let x = all.as_chunks::<4>().0;
    let (mut upper, mut lower) = (vec![[7; 4]; x.len()], vec![[7; 4]; x.len()]);
    let sum = x.as_flattened().iter().map(|x| i32::from(*x)).fold(0, i32::wrapping_add);
    assert_eq!(halve(x, &mut upper, &mut lower), Some(sum));
    let octets = upper.as_flattened().iter().zip(lower.as_flattened());
    for ((upper, lower), x) in octets.zip(x.as_flattened()) {
        assert_eq!(256 * i32::from(*upper) + i32::from(*lower), i32::from(*x));
    }
    assert_eq!(halve(&[[0, 0, 0, HALVED_MAX + 1]], &mut upper, &mut lower), None);
    assert_eq!(halve(x, &mut upper[1..], &mut lower), None);
}

impl Noise {
    /// Numbers between −most and most.
    fn reals(&mut self, most: f32, count: usize) -> Vec<f32> {
        (0..count).map(|_| (self.next() >> 40) as f32 / (1 << 23) as f32 * most - most).collect()
    }
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// One of them with the weights, what it is to make of each place, and how nearly.
type Loop<'a> = (fn(&Kernels, &mut [f32], &[f32]), &'a dyn Fn(usize) -> f64, f64);

#[test]
fn loops_over_reals_are_the_same_and_what_they_say() {
    let mut noise = Noise(11);
    for set in [scalar()].into_iter().chain(vector_sets()) {
        for length in (1..40).chain([64, 208, 416]) {
            for most in [0.01, 3.0, 60.0] {
                let (x, weights) = (noise.reals(most, length), noise.reals(2.0, length));
                let near = |made: &[f32], expected: &dyn Fn(usize) -> f64, within: f64| {
                    for (n, made) in made.iter().enumerate() {
                        let expected = expected(n);
                        let apart = (f64::from(*made) - expected).abs();
                        assert!(apart <= within * expected.abs().max(1.0), "{length} {n}: {made} {expected}");
                    }
                };
                let exact: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
                let loops: [Loop<'_>; 4] = [
                    (|set, x, _| set.tanh(x), &|n| exact[n].tanh(), 4e-7),
                    (|set, x, _| set.gelu(x), &|n| exact[n] * 0.5 * (1.0 + erf(exact[n] / 2_f64.sqrt())), 6e-7),
                    (
                        |set, x, _| set.softmax(x),
                        &|n| exact[n].exp() / exact.iter().map(|x| x.exp()).sum::<f64>(),
                        2e-6,
                    ),
                    (
                        |set, x, weights| {
                            let from = x.to_vec();
                            set.gate(&from, weights, x);
                        },
                        &|n| exact[n] * f64::from(weights[n]) / (1.0 + (-f64::from(weights[n])).exp()),
                        1e-6,
                    ),
                ];
                for (of, expected, within) in loops {
                    let (mut made, mut plain) = (x.clone(), x.clone());
                    of(set, &mut made, &weights);
                    of(scalar(), &mut plain, &weights);
                    assert_eq!(bits(&made), bits(&plain), "{:?}", set.level());
                    near(&made, expected, within);
                }
                let (mut made, mut plain) = (vec![0.0; length], vec![0.0; length]);
                set.layer_norm(&x, &weights, &mut made);
                scalar().layer_norm(&x, &weights, &mut plain);
                assert_eq!(bits(&made), bits(&plain), "{:?}", set.level());
                let mean = exact.iter().sum::<f64>() / length as f64;
                let variance = exact.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / length as f64;
                near(&made, &|n| (exact[n] - mean) / (variance + 1e-5).sqrt() * f64::from(weights[n]), 1e-4);
                assert_eq!(set.largest(&x), x.iter().fold(0.0, |most: f32, x| most.max(x.abs())));
                let mut rounded = vec![7; length];
                set.round(&x, 500.0, &mut rounded);
                for (x, rounded) in x.iter().zip(rounded) {
                    assert_eq!(rounded, (x * 500.0).round_ties_even() as i16);
                }
            }
        }
    }
}

#[test]
fn what_is_no_number_makes_none() {
    for set in [scalar()].into_iter().chain(vector_sets()) {
        for bad in [f32::NAN, f32::INFINITY, f32::from_bits(0x7fc0_8000)] {
            let mut x = vec![1.0; 40];
            x[33] = bad;
            assert!(set.largest(&x).is_nan());
            let mut out = vec![0.0; 40];
            set.layer_norm(&x, &x, &mut out);
            assert!(out.iter().all(|out| out.is_nan()));
            set.gate(&[1.0], &[f32::NAN], &mut out);
            assert!(out[0].is_nan());
        }
        for of in [Kernels::softmax, Kernels::tanh, Kernels::gelu] {
            let mut x = [f32::NAN; 3];
            of(set, &mut x);
            assert!(x.iter().all(|x| x.is_nan()));
        }
        let mut x = [f32::INFINITY, f32::NEG_INFINITY, 0.0];
        set.tanh(&mut x);
        assert_eq!(x, [1.0, -1.0, 0.0]);
    }
}

/// By its series.
fn erf(x: f64) -> f64 {
    if x.abs() >= 4.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

#[test]
fn a_product_of_reals_is_the_same_and_what_is_not_there_has_none() {
    let mut noise = Noise(12);
    for set in [scalar()].into_iter().chain(vector_sets()) {
        for (rows, depth, columns) in
            [(1, 1, 1), (3, 52, 5), (4, 36, 16), (5, 7, 52), (9, 208, 37), (2, 0, 3), (0, 4, 4)]
        {
            let (a, b) = (noise.reals(1.0, rows * (depth + 3)), noise.reals(1.0, depth * (columns + 2)));
            let a = View { reals: &a, stride: depth + 3 };
            let b = View { reals: &b, stride: columns + 2 };
            let shape = Shape { rows, depth, columns };
            let size = rows * (columns + 1);
            let (mut made, mut plain) = (vec![7.0; size], vec![7.0; size]);
            set.product(a, b, shape, &mut made, columns + 1);
            scalar().product(a, b, shape, &mut plain, columns + 1);
            assert_eq!(bits(&made), bits(&plain), "{:?} {shape:?}", set.level());
            for (row, made) in made.chunks(columns + 1).enumerate() {
                assert_eq!(bits(&made[columns..]), bits(&[7.0]));
                for (column, made) in made[..columns].iter().enumerate() {
                    let of = |n: usize| a.reals[row * a.stride + n] * b.reals[n * b.stride + column];
                    assert!((made - (0..depth).map(of).sum::<f32>()).abs() < 1e-4);
                }
            }
            let mut out = vec![7.0; size];
            for shape in [Shape { rows: rows + 2, ..shape }, Shape { depth: depth + 9, ..shape }] {
                if rows > 0 && depth > 0 {
                    set.product(a, b, shape, &mut out, columns + 1);
                }
            }
            assert!(out.iter().all(|out| (out - 7.0).abs() < 1e-9));
        }
    }
}
