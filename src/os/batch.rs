//! Puts a thread behind everything else on the machine. Purpose: builds never take a cycle that a call could use.

/// Moves the calling thread to SCHED_IDLE (Linux sched(7)); true when the kernel agreed.
#[must_use]
pub fn sched_idle() -> bool {
    let parameter = libc::sched_param { sched_priority: 0 };
    // SAFETY: `parameter` outlives the call and is a valid sched_param; 0 names the calling thread.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const parameter) == 0 }
}
