//! Scheduling of background work. Purpose: builds and other batch work get only what calls leave over. Acts on the
//! calling thread and on what it starts later. Deliberately absent: cgroups, I/O classes.

use std::io;

/// SCHED_IDLE for the calling thread. Always allowed; error only on a kernel without it.
pub fn sched_idle() -> io::Result<()> {
    // SAFETY: all-zero is a valid sched_param, and the one that SCHED_IDLE asks for.
    let param: libc::sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: `param` is valid for reading; 0 means the calling thread.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const param) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn idle_is_granted() {
        std::thread::spawn(|| assert!(super::sched_idle().is_ok())).join().unwrap();
    }
}
