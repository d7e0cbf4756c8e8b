//! What a process changes about itself: descriptors, environment, limits, user.

use super::{Plan, SandboxError};
use std::io;
use std::os::fd::RawFd;
use std::os::unix::fs::{PermissionsExt, chown, chroot, lchown};
use std::path::Path;

/// User and group that a root process becomes.
pub const NOBODY: u32 = 65_534;

/// Closes every descriptor but 0, 1, 2 and `keep`, whatever the parent forgot.
pub(super) fn close_others(keep: &[RawFd]) {
    let mut kept: Vec<u32> = keep.iter().filter_map(|fd| u32::try_from(*fd).ok()).filter(|fd| *fd > 2).collect();
    kept.sort_unstable();
    kept.push(u32::MAX);
    let mut first = 3;
    for fd in kept {
        if fd > first {
            // SAFETY: closes descriptors; at the start of a process nothing owns them yet but the ones that are kept.
            // A kernel without the call (before 5.9) has no Landlock either and is refused later.
            unsafe { libc::syscall(libc::SYS_close_range, first, fd - 1, 0) };
        }
        first = fd.saturating_add(1);
    }
}

/// Empties the environment.
pub(super) fn forget_environment() {
    // SAFETY: the process has one thread (contract of `enter`), so nobody reads the environment meanwhile.
    unsafe { libc::clearenv() };
}

/// Leaves whatever scheduling class and processors the parent's thread had. Failure costs speed, not safety.
pub(super) fn plain_scheduling() {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the pointer is to a live struct for the duration of the call.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_OTHER, &raw const parameters) };
    // A parent may be pinned beside or away from the media threads; the kernel cuts this to what the service may use.
    let everywhere = [usize::MAX; 16];
    // SAFETY: the pointer is to a live array of the size that is passed along.
    unsafe { libc::sched_setaffinity(0, size_of_val(&everywhere), everywhere.as_ptr().cast()) };
}

/// Goes before its parent when memory is short. Failure costs the parent's place in that order, not safety.
pub(super) fn give_up_early() {
    _ = std::fs::write("/proc/self/oom_score_adj", "500");
}

pub(super) fn is_root() -> bool {
    // SAFETY: reads a number.
    unsafe { libc::geteuid() == 0 }
}

/// Closes `dir` to others; as root, makes it and the files in it belong to nobody. Links are passed over.
pub(super) fn take_private(dir: &Path, root: bool) -> io::Result<()> {
    let closed = std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700));
    if !root {
        // A directory that is lent to us (a container's volume) keeps its owner's permissions.
        return Ok(());
    }
    closed?;
    chown(dir, Some(NOBODY), Some(NOBODY))?;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            lchown(entry.path(), Some(NOBODY), Some(NOBODY))?;
        }
    }
    Ok(())
}

/// Resource limits, no core files, no new privileges, private new files.
pub(super) fn limit(plan: &Plan) -> Result<(), SandboxError> {
    let limits = [
        ("RLIMIT_AS", libc::RLIMIT_AS, plan.memory_max),
        ("RLIMIT_CORE", libc::RLIMIT_CORE, 0),
        ("RLIMIT_FSIZE", libc::RLIMIT_FSIZE, plan.file_max),
        ("RLIMIT_MEMLOCK", libc::RLIMIT_MEMLOCK, 0),
        ("RLIMIT_MSGQUEUE", libc::RLIMIT_MSGQUEUE, 0),
        ("RLIMIT_NOFILE", libc::RLIMIT_NOFILE, plan.files_max),
        ("RLIMIT_NPROC", libc::RLIMIT_NPROC, 0),
    ];
    for (call, resource, max) in limits {
        // A lower limit that is already there stays.
        let mut now = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the pointer is to a live struct for the duration of the call.
        check(call, unsafe { libc::getrlimit(resource, &raw mut now) })?;
        let max = max.min(now.rlim_max);
        let wanted = libc::rlimit { rlim_cur: max, rlim_max: max };
        // SAFETY: as above.
        check(call, unsafe { libc::setrlimit(resource, &raw const wanted) })?;
    }
    // SAFETY: an ignored signal runs no handler. A write beyond the limit then fails instead of ending the process.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    // SAFETY: takes numbers only.
    check("PR_SET_NO_NEW_PRIVS", unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
    // SAFETY: takes numbers only.
    check("PR_SET_DUMPABLE", unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) })?;
    // SAFETY: takes a number only.
    unsafe { libc::umask(0o077) };
    Ok(())
}

/// Makes `dir` the root directory; false where the kernel does not let us (no CAP_SYS_CHROOT).
pub(super) fn change_root(dir: &Path) -> bool {
    chroot(dir).is_ok() && std::env::set_current_dir("/").is_ok()
}

/// Root becomes nobody, or root without any capability where only root exists (user namespaces of one user); returns
/// which, in words.
pub(super) fn become_nobody() -> Result<&'static str, SandboxError> {
    let mut with_starter: libc::c_int = 0;
    // SAFETY: the pointer is to a live number for the duration of the call.
    unsafe { libc::prctl(libc::PR_GET_PDEATHSIG, &raw mut with_starter) };
    for capability in 0..64 {
        // SAFETY: takes numbers only. Fails for numbers beyond the kernel's last, which is fine.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    }
    // SAFETY: takes numbers only; the null pointer goes with a count of 0.
    let groups = unsafe { libc::setgroups(0, std::ptr::null()) };
    // SAFETY: takes numbers only.
    let changed = groups == 0 && unsafe { libc::setresgid(NOBODY, NOBODY, NOBODY) } == 0;
    // SAFETY: takes numbers only.
    if changed && unsafe { libc::setresuid(NOBODY, NOBODY, NOBODY) } == 0 {
        // The kernel forgets at this what is to happen when whoever started this process is gone.
        // SAFETY: takes numbers only.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, with_starter) };
        return Ok("user nobody");
    }
    // Version 3 of the interface: pid 0 is oneself; two blocks of no capability.
    let header: [u32; 2] = [0x2008_0522, 0];
    let none = [[0_u32; 3]; 2];
    // SAFETY: both pointers are to live arrays of the size that version 3 asks for.
    check("capset", unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) })?;
    Ok("user root without capabilities")
}

fn check(call: &'static str, result: impl Into<i64>) -> Result<(), SandboxError> {
    if result.into() == 0 { Ok(()) } else { Err(SandboxError::Call { call, source: io::Error::last_os_error() }) }
}
