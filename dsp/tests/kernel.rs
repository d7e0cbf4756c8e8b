//! The vector kernels against the plain ones: the same to the last bit, for every length up to several vectors, for every
//! alignment, on random and on extreme samples.

use callwright_dsp::kernel::{Kernels, Level};
use std::io::Write;

/// Every vector set that this processor has; says which it lacks.
fn vector_sets() -> Vec<&'static Kernels> {
    [Level::Avx2, Level::Avx512]
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
fn the_best_set_is_one_of_them() {
    let best = Kernels::best();
    assert_eq!(Kernels::of(best.level()).map(Kernels::level), Some(best.level()));
    assert!(vector_sets().iter().all(|set| set.level() <= best.level()));
}
