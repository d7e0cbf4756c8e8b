//! Inner loops over reals, for models that hear. Purpose: what such a model does between its products of octets, written
//! once in plain Rust and compiled for each set of instructions. Any thread; no state, no heap. Invariants: every sum runs
//! in an order that is written here and no product is fused with a sum, so that all sets give the same bits; a number that
//! is none makes none of all that depend on it. Deliberately absent: what the numbers mean.

use super::Kernels;

/// Numbers that are worked on together; sums of so many run side by side.
const LANES: usize = 16;
/// Rows of a product that share the loads of the other matrix.
const ROWS: usize = 4;

/// A matrix of reals: its rows begin `stride` apart.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pub reals: &'a [f32],
    pub stride: usize,
}

impl<'a> View<'a> {
    fn row(&self, row: usize, columns: usize) -> &'a [f32] {
        &self.reals[row * self.stride..][..columns]
    }

    /// Whether it holds so many rows of so many columns.
    pub(super) fn holds(&self, rows: usize, columns: usize) -> bool {
        rows == 0
            || (rows - 1).checked_mul(self.stride).and_then(|at| at.checked_add(columns)) <= Some(self.reals.len())
    }
}

/// Rows, columns, and what lies between them.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub rows: usize,
    pub depth: usize,
    pub columns: usize,
}

#[inline(always)]
pub(super) fn product(a: View<'_>, b: View<'_>, shape: Shape, out: &mut [f32], stride: usize) {
    for row in (0..shape.rows / ROWS * ROWS).step_by(ROWS) {
        rows::<ROWS>(a, b, shape, row, &mut out[row * stride..], stride);
    }
    for row in shape.rows / ROWS * ROWS..shape.rows {
        rows::<1>(a, b, shape, row, &mut out[row * stride..], stride);
    }
}

#[inline(always)]
fn rows<const N: usize>(a: View<'_>, b: View<'_>, shape: Shape, row: usize, out: &mut [f32], stride: usize) {
    let a: [&[f32]; N] = core::array::from_fn(|n| a.row(row + n, shape.depth));
    let mut column = 0;
    while shape.columns - column >= LANES {
        tile::<N, LANES>(a, b, shape, column, out, stride);
        column += LANES;
    }
    while shape.columns - column >= 4 {
        tile::<N, 4>(a, b, shape, column, out, stride);
        column += 4;
    }
    while column < shape.columns {
        tile::<N, 1>(a, b, shape, column, out, stride);
        column += 1;
    }
}

#[inline(always)]
fn tile<const N: usize, const WIDE: usize>(
    a: [&[f32]; N],
    b: View<'_>,
    shape: Shape,
    column: usize,
    out: &mut [f32],
    stride: usize,
) {
    let mut sums = [[0.0_f32; WIDE]; N];
    for n in 0..shape.depth {
        let from = n * b.stride + column;
        let Some(b) = b.reals.get(from..).and_then(|b| b.first_chunk::<WIDE>()) else { return };
        for (sums, a) in sums.iter_mut().zip(a) {
            for (sum, b) in sums.iter_mut().zip(b) {
                *sum += a[n] * b;
            }
        }
    }
    for (n, sums) in sums.iter().enumerate() {
        out[n * stride + column..][..WIDE].copy_from_slice(sums);
    }
}

/// Sum of what is made of each.
#[inline(always)]
fn sum(x: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let (x, rest) = x.as_chunks::<LANES>();
    let mut sums = [0.0_f32; LANES];
    for x in x {
        for (sum, x) in sums.iter_mut().zip(x) {
            *sum += of(*x);
        }
    }
    for (sum, x) in sums.iter_mut().zip(rest) {
        *sum += of(*x);
    }
    sums.iter().sum()
}

#[inline(always)]
pub(super) fn softmax(x: &mut [f32]) {
    let largest = x.iter().fold(f32::NEG_INFINITY, |a, b| if *b > a { *b } else { a });
    for x in x.iter_mut() {
        *x = exponential(*x - largest);
    }
    let share = 1.0 / sum(x, |x| x);
    for x in x {
        *x *= share;
    }
}

#[inline(always)]
pub(super) fn layer_norm(x: &[f32], weights: &[f32], out: &mut [f32]) {
    let each = 1.0 / x.len() as f32;
    let mean = sum(x, |x| x) * each;
    let variance = sum(x, |x| (x - mean) * (x - mean)) * each;
    let scale = 1.0 / (variance + EPSILON).sqrt();
    for ((x, weight), out) in x.iter().zip(weights).zip(out) {
        *out = (x - mean) * scale * weight;
    }
}

/// Added to a variance.
const EPSILON: f32 = 1e-5;

#[inline(always)]
pub(super) fn gelu(x: &mut [f32]) {
    for x in x {
        *x *= 0.5 + 0.5 * error(*x * core::f32::consts::FRAC_1_SQRT_2);
    }
}

#[inline(always)]
pub(super) fn tanh(x: &mut [f32]) {
    for x in x {
        // Beyond, it is 1 to the last bit.
        let twice = 2.0 * within(*x, -10.0, 10.0);
        *x = 1.0 - 2.0 / (exponential(twice) + 1.0);
    }
}

#[inline(always)]
pub(super) fn gate(x: &[f32], gates: &[f32], out: &mut [f32]) {
    for ((x, gate), out) in x.iter().zip(gates).zip(out) {
        *out = x * gate / (1.0 + exponential(-*gate));
    }
}

#[inline(always)]
pub(super) fn round(x: &[f32], each: f32, out: &mut [i16]) {
    for (x, out) in x.iter().zip(out) {
        // The compiler has no such instruction for every processor. `as` keeps the lower 16 bits.
        *out = (x * each + NO_FRACTION).to_bits() as i16;
    }
}

#[inline(always)]
pub(super) fn largest(x: &[f32]) -> f32 {
    // All bits but the sign's, in the order of magnitudes; what is no number is above all that are.
    let most = x.iter().fold(0, |most: u32, x| most.max(x.to_bits() & 0x7fff_ffff));
    let most = f32::from_bits(most);
    if most.is_finite() { most } else { f32::NAN }
}

/// 1.5 · 2²³: what is added to it keeps no fraction, and stands in its lowest bits.
const NO_FRACTION: f32 = 12_582_912.0;

/// Keeps what is no number.
#[inline(always)]
fn within(x: f32, least: f32, most: f32) -> f32 {
    let x = if x < least { least } else { x };
    if x > most { most } else { x }
}

/// eˣ, to 3 units in the last place: 2 to a whole power times the first terms of the series, for what is left of ±½ ln 2.
#[inline(always)]
fn exponential(x: f32) -> f32 {
    /// ln 2 in two parts; products of the first with whole powers have no fraction to lose.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    // Powers that reals of 32 bits have.
    let x = within(x, -87.0, 88.0);
    let biased = x * core::f32::consts::LOG2_E + NO_FRACTION;
    let power = biased - NO_FRACTION;
    let r = (x - power * LN_2[0]) - power * LN_2[1];
    let series = 1.0 / 5040.0;
    let series = series * r + 1.0 / 720.0;
    let series = series * r + 1.0 / 120.0;
    let series = series * r + 1.0 / 24.0;
    let series = series * r + 1.0 / 6.0;
    let series = series * r + 0.5;
    let series = (series * r + 1.0) * r + 1.0;
    series * f32::from_bits((biased.to_bits() << 23).wrapping_add(1.0_f32.to_bits()))
}

/// The error function, to 2·10⁻⁷ (Abramowitz and Stegun, 7.1.26).
#[inline(always)]
fn error(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x.abs());
    let series = 1.061_405_4 * t - 1.453_152;
    let series = series * t + 1.421_413_7;
    let series = series * t - 0.284_496_74;
    let series = (series * t + 0.254_829_6) * t;
    (1.0 - series * exponential(-x * x)).copysign(x)
}

impl Kernels {
    /// The product of two matrices of reals; row `r` of it begins at `r · stride` of `out`. What is not there has none: then
    /// `out` stays as it is.
    pub fn product(&self, a: View<'_>, b: View<'_>, shape: Shape, out: &mut [f32], stride: usize) {
        let into = View { reals: out, stride };
        if a.holds(shape.rows, shape.depth)
            && b.holds(shape.depth, shape.columns)
            && into.holds(shape.rows, shape.columns)
        {
            (self.reals.product)(a, b, shape, out, stride);
        }
    }

    /// Each as a share of all: exponentials over their sum.
    pub fn softmax(&self, x: &mut [f32]) {
        (self.reals.softmax)(x);
    }

    /// With a mean of 0 and a variance of 1 (10⁻⁵ is added to that which it has), times the weights.
    pub fn layer_norm(&self, x: &[f32], weights: &[f32], out: &mut [f32]) {
        (self.reals.layer_norm)(x, weights, out);
    }

    /// Gaussian error linear units (Hendrycks and Gimpel 2016), to 2·10⁻⁷ of the number.
    pub fn gelu(&self, x: &mut [f32]) {
        (self.reals.gelu)(x);
    }

    /// Hyperbolic tangents, to 3·10⁻⁷.
    pub fn tanh(&self, x: &mut [f32]) {
        (self.reals.tanh)(x);
    }

    /// Each times the sigmoid linear unit of its gate.
    pub fn gate(&self, x: &[f32], gates: &[f32], out: &mut [f32]) {
        (self.reals.gate)(x, gates, out);
    }

    /// Each times `each`, to the nearest integer, ties to even; products stay within what 16 bits hold.
    pub fn round(&self, x: &[f32], each: f32, out: &mut [i16]) {
        (self.reals.round)(x, each, out);
    }

    /// The largest magnitude; no number where one is none or without bounds.
    #[must_use]
    pub fn largest(&self, x: &[f32]) -> f32 {
        (self.reals.largest)(x)
    }
}

/// These loops, compiled for one set of instructions.
#[derive(Debug)]
pub(super) struct Reals {
    pub(super) product: fn(View<'_>, View<'_>, Shape, &mut [f32], usize),
    pub(super) softmax: fn(&mut [f32]),
    pub(super) layer_norm: fn(&[f32], &[f32], &mut [f32]),
    pub(super) gelu: fn(&mut [f32]),
    pub(super) tanh: fn(&mut [f32]),
    pub(super) gate: fn(&[f32], &[f32], &mut [f32]),
    pub(super) round: fn(&[f32], f32, &mut [i16]),
    pub(super) largest: fn(&[f32]) -> f32,
}

pub(super) static SCALAR: Reals = Reals { product, softmax, layer_norm, gelu, tanh, gate, round, largest };

/// A module `compiled` with a table `REALS` of them for these instructions.
#[cfg(target_arch = "x86_64")]
macro_rules! compiled {
    ($features:literal: $($name:ident($($value:ident: $kind:ty),*) -> $made:ty;)*) => {
        mod compiled {
            use $crate::kernel::reals::{self, Reals, Shape, View};

            $(
                #[target_feature(enable = $features)]
                fn $name($($value: $kind),*) -> $made {
                    reals::$name($($value),*)
                }
            )*
            pub(super) static REALS: Reals = Reals {
                // SAFETY: this table is part of one that is handed out only where the processor has these instructions.
                $($name: |$($value),*| unsafe { $name($($value),*) },)*
            };
        }
    };
    ($features:literal) => {
        $crate::kernel::reals::compiled! { $features:
            product(a: View<'_>, b: View<'_>, shape: Shape, out: &mut [f32], stride: usize) -> ();
            softmax(x: &mut [f32]) -> ();
            layer_norm(x: &[f32], weights: &[f32], out: &mut [f32]) -> ();
            gelu(x: &mut [f32]) -> ();
            tanh(x: &mut [f32]) -> ();
            gate(x: &[f32], gates: &[f32], out: &mut [f32]) -> ();
            round(x: &[f32], each: f32, out: &mut [i16]) -> ();
            largest(x: &[f32]) -> f32;
        }
    };
}
#[cfg(target_arch = "x86_64")]
pub(super) use compiled;
