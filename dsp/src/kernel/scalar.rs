//! The kernels in plain Rust. Purpose: the oracle that the vector sets are compared with, and the set of every machine
//! that has none. Any thread. Invariant: written for clearness first; no wrap on any input.

use super::packed::{Packed, ROWS, Vector};
use super::polyphase::{HALF, Polyphase, TAP_BITS, Walk};
use super::{Kernels, Level, reals};

pub(super) static KERNELS: Kernels = Kernels {
    level: Level::Scalar,
    dot,
    correlate,
    energy,
    peak,
    mix,
    gain,
    polyphase,
    accumulate,
    peak_without,
    scale_without,
    multiply,
    reals: &reals::SCALAR,
};

pub(super) fn dot(x: &[i16], y: &[i16]) -> i64 {
    x.iter().zip(y).map(|(x, y)| i64::from(i32::from(*x) * i32::from(*y))).sum()
}

fn correlate(x: &[i16], y: &[i16], out: &mut [i64]) {
    for (k, sum) in out.iter_mut().enumerate() {
        *sum = dot(x, &y[k..]);
    }
}

pub(super) fn energy(x: &[i16]) -> u64 {
    x.iter().map(|s| u64::from(u32::from(s.unsigned_abs()) * u32::from(s.unsigned_abs()))).sum()
}

pub(super) fn peak(x: &[i16]) -> u16 {
    x.iter().map(|s| s.unsigned_abs()).max().unwrap_or(0)
}

pub(super) fn mix(dst: &mut [i16], src: &[i16]) {
    for (d, s) in dst.iter_mut().zip(src) {
        *d = d.saturating_add(*s);
    }
}

fn gain(pcm: &mut [i16], from: f32, step: f32) {
    gain_at(pcm, 0, from, step);
}

/// As `gain`, for the part of a block that begins at its sample `first`.
pub(super) fn gain_at(pcm: &mut [i16], first: usize, from: f32, step: f32) {
    for (n, sample) in pcm.iter_mut().enumerate() {
        // Multiplied and added apart, as the vector sets do it.
        let gain = from + step * (first + n) as f32;
        // `as` saturates.
        *sample = (f32::from(*sample) * gain).round_ties_even() as i16;
    }
}

pub(super) fn polyphase(filter: &Polyphase, x: &[i16], first: usize, out: &mut [i16]) {
    polyphase_from(filter, x, Walk::new(filter, first), out);
}

/// As `polyphase`, for the part of a block that begins where `walk` has come to.
pub(super) fn polyphase_from(filter: &Polyphase, x: &[i16], mut walk: Walk, out: &mut [i16]) {
    for out in out {
        let (at, phase) = walk.step();
        let taps = &filter.taps[phase * filter.row..][..filter.row];
        let sum: i32 = x[at..].iter().zip(taps).map(|(x, tap)| i32::from(*x) * i32::from(*tap)).sum();
        let rounded = (sum + HALF) >> TAP_BITS;
        // In the range of 16 bits after clamping.
        *out = rounded.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16;
    }
}

pub(super) fn accumulate(total: &mut [i32], pcm: &[i16]) {
    for (total, sample) in total.iter_mut().zip(pcm) {
        *total = total.wrapping_add(i32::from(*sample));
    }
}

pub(super) fn peak_without(total: &[i32], own: &[i16]) -> u32 {
    total.iter().zip(own).map(|(t, o)| t.wrapping_sub(i32::from(*o)).unsigned_abs()).max().unwrap_or(0)
}

fn scale_without(total: &[i32], own: &[i16], out: &mut [i16], from: f32, step: f32) {
    scale_without_at(total, own, out, 0, from, step);
}

/// As `scale_without`, for the part of a block that begins at its sample `first`.
pub(super) fn scale_without_at(total: &[i32], own: &[i16], out: &mut [i16], first: usize, from: f32, step: f32) {
    for (n, ((out, total), own)) in out.iter_mut().zip(total).zip(own).enumerate() {
        let gain = from + step * (first + n) as f32;
        let others = total.wrapping_sub(i32::from(*own)) as f32;
        // `as` saturates.
        *out = (others * gain).round_ties_even() as i16;
    }
}

/// Vectors are as long as a block has lines.
fn multiply(matrix: Packed<'_>, vectors: &[Vector<'_>], out: &mut [[i32; ROWS]]) {
    for (vector, out) in vectors.iter().zip(out.chunks_mut(matrix.blocks())) {
        for (lines, out) in matrix.lines.chunks(matrix.length).zip(out) {
            *out = [0; ROWS];
            for (line, x) in lines.iter().zip(vector.x) {
                for (sum, octets) in out.iter_mut().zip(line.0.as_chunks().0) {
                    let octets: &[u8; 4] = octets;
                    for (octet, x) in octets.iter().zip(x) {
                        *sum = sum.wrapping_add(i32::from(*octet) * i32::from(*x));
                    }
                }
            }
        }
    }
}
