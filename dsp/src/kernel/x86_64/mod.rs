//! The kernels for x86-64. Purpose: hand out a vector set, and only to a processor that has its instructions.

mod avx2;
mod avx512;

use super::Kernels;

/// The AVX2 set, where the processor has it.
pub(super) fn avx2() -> Option<&'static Kernels> {
    is_x86_feature_detected!("avx2").then_some(&avx2::KERNELS)
}

/// The AVX-512 set, where the processor (and the kernel, which must save the wider registers) has it.
pub(super) fn avx512() -> Option<&'static Kernels> {
    let has = is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl");
    has.then_some(&avx512::KERNELS)
}

/// The AVX-512 set with the products of octets, where the processor has both.
pub(super) fn avx512_vnni() -> Option<&'static Kernels> {
    (avx512().is_some() && is_x86_feature_detected!("avx512vnni")).then_some(&avx512::WITH_VNNI)
}
