//! Scheduling of media threads. Purpose: a core of its own, SCHED_FIFO where the kernel grants it, and memory that is not
//! paged out. Acts on the calling thread (`lock_memory` on the process). Invariant: a refusal is a value that the caller
//! can say aloud, never an error that stops the daemon. Deliberately absent: deciding which cores.

use std::fmt;
use std::io;

/// Nice value asked for where SCHED_FIFO is refused.
const NICE: i32 = -20;
/// EEVDF slice asked for where SCHED_FIFO is refused: shorter slices get their turn sooner (0.1 ms, the kernel's least).
const SLICE_NANOS: u64 = 100_000;

/// How a thread is scheduled after `fifo_or_nice`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scheduling {
    /// SCHED_FIFO at this priority: wake-ups are late by tens of microseconds.
    Fifo {
        /// 1 to 99.
        priority: i32,
    },
    /// SCHED_OTHER, nice −20; wake-ups may be late by milliseconds under load.
    Nice {
        /// The kernel also took the short slice (6.12 and newer).
        short_slice: bool,
        /// `errno` of the refused SCHED_FIFO.
        refused: i32,
    },
    /// Nothing was granted.
    Normal {
        /// `errno` of the refused SCHED_FIFO.
        refused: i32,
    },
    /// Nothing was asked for.
    Unasked,
}

impl fmt::Display for Scheduling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = |errno: i32| io::Error::from_raw_os_error(errno);
        match self {
            Self::Fifo { priority } => write!(f, "SCHED_FIFO {priority}"),
            Self::Nice { short_slice, refused } => write!(
                f,
                "nice {NICE}{} (SCHED_FIFO was refused: {}; audio may be late under load; grant CAP_SYS_NICE or LimitRTPRIO=50)",
                if *short_slice { " with 0.1 ms slice" } else { "" },
                why(*refused)
            ),
            Self::Normal { refused } => write!(
                f,
                "normal priority (SCHED_FIFO and nice {NICE} were refused: {}; audio will be late under load; grant \
                 CAP_SYS_NICE or LimitRTPRIO= and LimitNICE=)",
                why(*refused)
            ),
            Self::Unasked => write!(f, "normal priority, as configured"),
        }
    }
}

/// Binds the calling thread to one core. Error: no such core, or not in our cpuset.
pub fn pin(cpu: usize) -> io::Result<()> {
    // SAFETY: all-zero is a valid empty cpu_set_t.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    if cpu >= usize::try_from(libc::CPU_SETSIZE).unwrap_or(0) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("there is no CPU {cpu}")));
    }
    // SAFETY: `cpu` is below CPU_SETSIZE, so the bit lies inside `set`.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: `set` is valid for reading `size_of` octets; 0 means the calling thread.
    checked(unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) })
}

/// Asks for SCHED_FIFO at `priority` (1–99) for the calling thread, else for nice −20 with a short slice. Threads that it
/// starts later are ordinary ones.
pub fn fifo_or_nice(priority: i32) -> Scheduling {
    // SAFETY: all-zero is a valid sched_param.
    let mut param: libc::sched_param = unsafe { std::mem::zeroed() };
    param.sched_priority = priority;
    // SAFETY: `param` is valid for reading; 0 means the calling thread.
    let fifo =
        checked(unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, &raw const param) });
    let Err(refused) = fifo else { return Scheduling::Fifo { priority } };
    let refused = refused.raw_os_error().unwrap_or(libc::EPERM);
    // Timers of ordinary threads are rounded by 50 µs unless told otherwise; those of FIFO threads are not.
    // SAFETY: PR_SET_TIMERSLACK takes one number and touches no memory of ours.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong, 0, 0, 0) };
    // SAFETY: no memory is passed; 0 means the calling thread (nice is per thread on Linux).
    if checked(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) }).is_err() {
        return Scheduling::Normal { refused };
    }
    Scheduling::Nice { short_slice: set_slice().is_ok(), refused }
}

/// Keeps the process's memory in RAM, pages as they are touched. Error: RLIMIT_MEMLOCK too small and no CAP_IPC_LOCK.
pub fn lock_memory() -> io::Result<()> {
    // SAFETY: flags only; no memory is passed.
    checked(unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT) })
}

/// Kernel id of the calling thread, as under `/proc/self/task`.
#[must_use]
pub fn thread_id() -> i32 {
    // SAFETY: no arguments, cannot fail.
    unsafe { libc::gettid() }
}

/// `struct sched_attr` of the kernel, first version.
#[repr(C)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

fn set_slice() -> io::Result<()> {
    let attr = SchedAttr {
        size: 48,
        policy: 0, // SCHED_OTHER
        flags: 1,  // SCHED_FLAG_RESET_ON_FORK
        nice: NICE,
        priority: 0,
        runtime: SLICE_NANOS,
        deadline: 0,
        period: 0,
    };
    // SAFETY: `attr` is the kernel's layout and says its own size; 0 means the calling thread.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) };
    checked(i32::try_from(result).unwrap_or(-1))
}

fn checked(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

const _: () = assert!(size_of::<SchedAttr>() == 48);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scheduling_is_granted_or_the_refusal_is_said() {
        std::thread::spawn(|| {
            let scheduling = fifo_or_nice(10);
            let text = scheduling.to_string();
            match scheduling {
                Scheduling::Fifo { priority } => assert_eq!(priority, 10),
                Scheduling::Nice { .. } | Scheduling::Normal { .. } => assert!(text.contains("refused"), "{text}"),
                Scheduling::Unasked => unreachable!("it was asked for"),
            }
        })
        .join()
        .unwrap();
    }

    #[test]
    fn pinning_to_a_core_that_is_not_there_fails() {
        assert!(pin(100_000).is_err());
        std::thread::spawn(|| assert!(pin(0).is_ok())).join().unwrap();
    }
}
