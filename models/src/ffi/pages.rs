//! Large pages for tables. Purpose: a processor finds its way to some megabytes of small pages at a time; a table of 40 MB
//! that is read from one end to the other for every token is read five times as fast from large ones. Any thread.
//! Invariants: advice only: where the system has no such pages, or has none left, nothing changes but the time.
//! Deliberately absent: how the memory is had.

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;

/// `MADV_HUGEPAGE`, `madvise(2)`.
const HUGE: c_int = 14;
/// Of x86-64 and aarch64; of another size, the advice is refused or covers less.
const PAGE: usize = 4096;

unsafe extern "C" {
    fn madvise(address: *mut c_void, length: usize, advice: c_int) -> c_int;
}

/// Asks that this memory, into which nothing has been written yet, be had in large pages.
pub(crate) fn advise<T>(memory: &mut [MaybeUninit<T>]) {
    let (start, length) = (memory.as_mut_ptr().cast::<MaybeUninit<i8>>(), size_of_val(memory));
    // SAFETY: the same memory, octet by octet; whatever is in it need not be anything.
    let memory = unsafe { std::slice::from_raw_parts_mut(start, length) };
    let skip = memory.as_ptr().align_offset(PAGE).min(memory.len());
    let length = (memory.len() - skip) / PAGE * PAGE;
    if length > 0 {
        let whole_pages = &mut memory[skip..skip + length];
        // SAFETY: the pages lie within memory that is borrowed alone, and the advice changes nothing that can be read there.
        // Whether it is taken is of no consequence.
        let _ = unsafe { madvise(whole_pages.as_mut_ptr().cast(), length, HUGE) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_piece_of_memory_may_be_asked_for_and_stays_as_it_is() {
        for size in [0, 1, PAGE - 1, PAGE, 3 * PAGE + 7, 5 << 20] {
            let mut memory: Vec<i8> = Vec::with_capacity(size);
            advise(memory.spare_capacity_mut());
            memory.resize(size, 3);
            advise(&mut memory.spare_capacity_mut()[..0]);
            assert!(memory.iter().all(|octet| *octet == 3));
        }
    }
}
