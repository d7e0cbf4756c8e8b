//! Inner loops over samples. Purpose: the few loops in which a media or recogniser thread spends its time, each written in plain
//! Rust, for AVX2 and, where they gain by it, for AVX-512 and VNNI; behind a table of functions, chosen once. Any thread; no heap.
//!
//! Invariants: all sets give the same result to the last bit, whatever the input (integer arithmetic throughout, and
//! where there is a gain, one rounding per step in a fixed order); the plain one is the oracle of the others. A call
//! costs one indirect jump per block of samples, never per sample. This is the only module of the crate with `unsafe`.
//! Deliberately absent: meaning (levels are in `level`, filters in `resample`), and sets of their own for other
//! architectures: they run the plain one, which the compiler turns into what vectors it may assume (NEON on aarch64).

mod halved;
mod polyphase;
mod scalar;
#[cfg(target_arch = "x86_64")]
mod x86_64;

pub use halved::{HALVED_MAX, Halved, Line, halve};
pub use polyphase::{Polyphase, TAP_ONE};

use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

/// Instruction set that a table of kernels needs, the plainest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Level {
    /// Plain Rust, any machine.
    Scalar,
    /// x86-64 with AVX2 (2013 and later).
    Avx2,
    /// x86-64 with AVX-512 F, BW and VL (servers of 2017 and later).
    Avx512,
    /// The same with VNNI (servers of 2019 and later).
    Avx512Vnni,
}

impl Level {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Scalar, Self::Avx2, Self::Avx512, Self::Avx512Vnni];

    /// For people: `scalar`, `AVX2`, `AVX-512`, `AVX-512 VNNI`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "AVX2",
            Self::Avx512 => "AVX-512",
            Self::Avx512Vnni => "AVX-512 VNNI",
        }
    }
}

/// One set of inner loops. The fields are private so that only this module, which has looked at the processor, can make
/// one; slices of different lengths are cut to the shorter.
#[derive(Debug)]
pub struct Kernels {
    level: Level,
    dot: fn(&[i16], &[i16]) -> i64,
    correlate: fn(&[i16], &[i16], &mut [i64]),
    energy: fn(&[i16]) -> u64,
    peak: fn(&[i16]) -> u16,
    mix: fn(&mut [i16], &[i16]),
    gain: fn(&mut [i16], f32, f32),
    polyphase: fn(&Polyphase, &[i16], usize, &mut [i16]),
    accumulate: fn(&mut [i32], &[i16]),
    peak_without: fn(&[i32], &[i16]) -> u32,
    scale_without: fn(&[i32], &[i16], &mut [i16], f32, f32),
    project: fn(&[i8], &[i16], &mut [i32]),
    project_all: fn(&[i8], &[Halved<'_>], &mut [i32]),
}

impl Kernels {
    /// The fastest set that this processor runs. Looked up once per process; later calls read one pointer. Never waits: two
    /// threads that come first together both look, and find the same.
    #[must_use]
    pub fn best() -> &'static Self {
        static BEST: AtomicPtr<Kernels> = AtomicPtr::new(ptr::null_mut());
        let known = BEST.load(Ordering::Relaxed).cast_const();
        // SAFETY: nothing but null and the addresses of statics, which nobody changes, is ever stored.
        if let Some(known) = unsafe { known.as_ref() } {
            return known;
        }
        let best = Level::ALL.into_iter().rev().find_map(Self::of).unwrap_or(&scalar::KERNELS);
        BEST.store(ptr::from_ref(best).cast_mut(), Ordering::Relaxed);
        best
    }

    /// The set of one level; `None` when this processor lacks it. For tests, benchmarks and comparison.
    #[must_use]
    pub fn of(level: Level) -> Option<&'static Self> {
        match level {
            Level::Scalar => Some(&scalar::KERNELS),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => x86_64::avx2(),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => x86_64::avx512(),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512Vnni => x86_64::avx512_vnni(),
            #[cfg(not(target_arch = "x86_64"))]
            _ => None,
        }
    }

    /// Which set this is.
    #[must_use]
    pub const fn level(&self) -> Level {
        self.level
    }

    /// Sum of products.
    #[must_use]
    pub fn dot(&self, x: &[i16], y: &[i16]) -> i64 {
        (self.dot)(x, y)
    }

    /// `out[k]` = sum over n of `x[n] · y[n + k]`. `y` holds `x.len() + out.len() - 1` samples; what is missing counts as
    /// zero.
    pub fn correlate(&self, x: &[i16], y: &[i16], out: &mut [i64]) {
        // Lags at which all of `x` meets samples.
        let whole = out.len().min((y.len() + 1).saturating_sub(x.len()));
        let (inside, beyond) = out.split_at_mut(whole);
        (self.correlate)(x, y, inside);
        for (k, sum) in beyond.iter_mut().enumerate() {
            *sum = self.dot(x, y.get(whole + k..).unwrap_or_default());
        }
    }

    /// Sum of squares.
    #[must_use]
    pub fn energy(&self, x: &[i16]) -> u64 {
        (self.energy)(x)
    }

    /// Largest magnitude, 0 to 32768.
    #[must_use]
    pub fn peak(&self, x: &[i16]) -> u16 {
        (self.peak)(x)
    }

    /// `dst[n] += src[n]`, saturating.
    pub fn mix(&self, dst: &mut [i16], src: &[i16]) {
        (self.mix)(dst, src);
    }

    /// `pcm[n] *= from + n · step`, rounded to nearest (ties to even), saturating. Gains are finite and within ±1000.
    pub fn gain(&self, pcm: &mut [i16], from: f32, step: f32) {
        (self.gain)(pcm, from, step);
    }

    /// Filters `x` into `out`, whose first sample stands at `first` of the common rate: see [`Polyphase`]. Rounded to
    /// nearest, saturating. Outputs that need samples beyond the end of `x` are left alone.
    pub fn polyphase(&self, filter: &Polyphase, x: &[i16], first: usize, out: &mut [i16]) {
        let count = out.len().min(filter.reach(x.len(), first));
        (self.polyphase)(filter, x, first, &mut out[..count]);
    }

    /// `total[n] += pcm[n]`; 65,535 additions fit.
    pub fn accumulate(&self, total: &mut [i32], pcm: &[i16]) {
        (self.accumulate)(total, pcm);
    }

    /// Largest magnitude of `total[n] - own[n]`.
    #[must_use]
    pub fn peak_without(&self, total: &[i32], own: &[i16]) -> u32 {
        (self.peak_without)(total, own)
    }

    /// `out[n] = (total[n] - own[n]) · (from + n · step)`, rounded to nearest (ties to even), saturating. Gains lie between
    /// 0 and 1.
    pub fn scale_without(&self, total: &[i32], own: &[i16], out: &mut [i16], from: f32, step: f32) {
        (self.scale_without)(total, own, out, from, step);
    }

    /// `out[r]` = sum over n of `weights[r · x.len() + n] · x[n]`: a matrix of bytes, row by row, times a vector. A sum that
    /// leaves 32 bits wraps, which no vector of up to 511 numbers can do; rows that `weights` does not hold are left alone.
    pub fn project(&self, weights: &[i8], x: &[i16], out: &mut [i32]) {
        if x.is_empty() {
            return out.fill(0);
        }
        let rows = out.len().min(weights.len() / x.len());
        (self.project)(&weights[..rows * x.len()], x, &mut out[..rows]);
    }

    /// The same of several vectors of one length, the products of one behind those of the other. With VNNI the matrix is read
    /// once for every two of them, without it once for each.
    pub fn project_all(&self, weights: &[i8], vectors: &[Halved<'_>], out: &mut [i32]) {
        let Some(width) = vectors.first().map(|vector| vector.x.len()) else { return };
        let (Some(rows), true) = (weights.len().checked_div(width), vectors.iter().all(|v| v.x.len() == width)) else {
            return out.fill(0);
        };
        let count = vectors.len().min(out.len().checked_div(rows).unwrap_or(0));
        (self.project_all)(&weights[..rows * width], &vectors[..count], &mut out[..count * rows]);
    }
}

/// [`Kernels::project_all`] by products of one vector.
fn one_by_one(project: impl Fn(&[i8], &[i16], &mut [i32]), weights: &[i8], vectors: &[Halved<'_>], out: &mut [i32]) {
    let rows = vectors.first().map_or(0, |vector| weights.len() / vector.x.len());
    for (vector, out) in vectors.iter().zip(out.chunks_exact_mut(rows.max(1))) {
        project(weights, vector.x, out);
    }
}
