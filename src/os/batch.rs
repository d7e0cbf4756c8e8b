//! Scheduling of background work. Purpose: builds and other batch work get only what calls leave over, and what
//! must keep up with calls without hurrying (recording) keeps off their cores. Acts on the calling thread and on what it starts
//! later. Deliberately absent: cgroups, I/O classes.

use std::io;

/// SCHED_IDLE for the calling thread. Always allowed; error only on a kernel without it.
pub fn sched_idle() -> io::Result<()> {
    // SAFETY: all-zero is a valid sched_param, and the one that SCHED_IDLE asks for.
    let param: libc::sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: `param` is valid for reading; 0 means the calling thread.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const param) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes the calling thread wait for others of the same class: 0 is ordinary, 19 the least, which is always allowed. Less than 0
/// has others wait, where the limits of the process allow it.
pub fn step_back(nice: i32) -> io::Result<()> {
    // SAFETY: no memory is passed; 0 means the calling thread (nice is per thread on Linux).
    let result = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Keeps the calling thread off these cores. False when it has no other to run on; then nothing is changed.
pub fn keep_off(cpus: &[usize]) -> io::Result<bool> {
    // SAFETY: all-zero is a valid empty cpu_set_t.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is valid for writing `size_of` octets; 0 means the calling thread.
    if unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let most = usize::try_from(libc::CPU_SETSIZE).unwrap_or(0);
    for cpu in cpus.iter().filter(|cpu| **cpu < most) {
        // SAFETY: `cpu` is below CPU_SETSIZE, so the bit lies inside `set`.
        unsafe { libc::CPU_CLR(*cpu, &mut set) };
    }
    // SAFETY: `set` is valid for reading.
    if unsafe { libc::CPU_COUNT(&set) } == 0 {
        return Ok(false);
    }
    // SAFETY: `set` is valid for reading `size_of` octets; 0 means the calling thread.
    let result = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
    if result == 0 { Ok(true) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_steps_back_and_keeps_off_but_not_off_every_core() {
        std::thread::spawn(|| {
            step_back(5).unwrap();
            let all: Vec<usize> = (0..1024).collect();
            assert!(!keep_off(&all).unwrap());
            assert!(keep_off(&[]).unwrap() && keep_off(&[1023, 5000]).unwrap());
        })
        .join()
        .unwrap();
    }

    #[test]
    fn idle_is_granted() {
        std::thread::spawn(|| assert!(sched_idle().is_ok())).join().unwrap();
    }
}
