//! seccomp: the system calls that a single-threaded server over one database file needs, and no others.
//! Invariant: a list of what is allowed, so that calls which kernels will learn later are denied too; everything else
//! returns EPERM.

use super::SandboxError;
use libc::c_long;
use seccompiler::{
    SeccompAction, SeccompCmpArgLen as Length, SeccompCmpOp as Op, SeccompCondition as Condition, SeccompFilter,
    SeccompRule,
};
use std::collections::BTreeMap;

/// Which filter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Everything of `Final`, and what root needs to stop being root and to add the final filter.
    MayChangeUser,
    /// What a settled process may do.
    Final,
}

/// Calls that take no harmful argument.
const PLAIN: &[c_long] = &[
    // memory
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_munmap,
    // files (which ones, Landlock decides)
    libc::SYS_close,
    libc::SYS_faccessat,
    libc::SYS_fallocate,
    libc::SYS_fdatasync,
    libc::SYS_fstat,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_lseek,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_statx,
    libc::SYS_unlinkat,
    libc::SYS_write,
    libc::SYS_writev,
    // connections that came in on the inherited listener
    libc::SYS_accept4,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_recvfrom,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    // waiting
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_futex,
    libc::SYS_nanosleep,
    libc::SYS_ppoll,
    libc::SYS_restart_syscall,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    // oneself
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
];

/// Older names that C libraries still use on x86-64.
#[cfg(target_arch = "x86_64")]
const PLAIN_OLD: &[c_long] = &[
    libc::SYS_access,
    libc::SYS_epoll_wait,
    libc::SYS_gettimeofday,
    libc::SYS_lstat,
    libc::SYS_open,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_stat,
    libc::SYS_time,
    libc::SYS_unlink,
];
#[cfg(not(target_arch = "x86_64"))]
const PLAIN_OLD: &[c_long] = &[];

/// What [`Stage::MayChangeUser`] adds.
const CHANGE_USER: &[c_long] = &[
    libc::SYS_capset,
    libc::SYS_chdir,
    libc::SYS_chroot,
    libc::SYS_prctl,
    libc::SYS_seccomp,
    libc::SYS_setgroups,
    libc::SYS_setresgid,
    libc::SYS_setresuid,
];

/// Commands of `fcntl` that only concern the descriptor: none that sends signals.
const FCNTL: &[i32] = &[
    libc::F_DUPFD_CLOEXEC,
    libc::F_GETFD,
    libc::F_GETFL,
    libc::F_GETLK,
    libc::F_OFD_GETLK,
    libc::F_OFD_SETLK,
    libc::F_OFD_SETLKW,
    libc::F_SETFD,
    libc::F_SETFL,
    libc::F_SETLK,
    libc::F_SETLKW,
];

pub(super) fn apply(stage: Stage) -> Result<(), SandboxError> {
    let refuse = |e: &dyn std::fmt::Display| SandboxError::NoSeccomp(e.to_string());
    let rules = rules(stage).map_err(|e| refuse(&e))?;
    let arch = std::env::consts::ARCH.try_into().map_err(|e: seccompiler::BackendError| refuse(&e))?;
    let deny = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter = SeccompFilter::new(rules, deny, SeccompAction::Allow, arch).map_err(|e| refuse(&e))?;
    let program: seccompiler::BpfProgram = filter.try_into().map_err(|e: seccompiler::BackendError| refuse(&e))?;
    seccompiler::apply_filter(&program).map_err(|e| refuse(&e))
}

type Rules = BTreeMap<c_long, Vec<SeccompRule>>;

fn rules(stage: Stage) -> Result<Rules, seccompiler::BackendError> {
    let mut rules = Rules::new();
    let extra = if stage == Stage::MayChangeUser { CHANGE_USER } else { &[] };
    for call in PLAIN.iter().chain(PLAIN_OLD).chain(extra) {
        rules.insert(*call, Vec::new());
    }
    let rule = |argument, length, op, value: u64| -> Result<SeccompRule, seccompiler::BackendError> {
        SeccompRule::new(vec![Condition::new(argument, length, op, value)?])
    };
    // Memory is never both data and code: no mapping may be executable.
    let no_code = Op::MaskedEq(libc::PROT_EXEC.unsigned_abs().into());
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        rules.insert(call, vec![rule(2, Length::Dword, no_code.clone(), 0)?]);
    }
    // Permissions, but no set-user, set-group or sticky bit.
    rules.insert(libc::SYS_fchmod, vec![rule(1, Length::Dword, Op::MaskedEq(0o7000), 0)?]);
    let mut fcntl = Vec::new();
    for command in FCNTL {
        fcntl.push(rule(1, Length::Dword, Op::Eq, command.unsigned_abs().into())?);
    }
    rules.insert(libc::SYS_fcntl, fcntl);
    rules.insert(libc::SYS_ioctl, vec![rule(1, Length::Dword, Op::Eq, libc::FIONBIO)?]);
    // A byte pipe to oneself, which the event loop makes; a datagram pair could be used to reach others.
    let own_pipe = SeccompRule::new(vec![
        Condition::new(0, Length::Dword, Op::Eq, libc::AF_UNIX.unsigned_abs().into())?,
        Condition::new(1, Length::Dword, Op::MaskedEq(0xf), libc::SOCK_STREAM.unsigned_abs().into())?,
    ])?;
    rules.insert(libc::SYS_socketpair, vec![own_pipe]);
    // To the peer of a connection, never to an address.
    rules.insert(libc::SYS_sendto, vec![rule(4, Length::Qword, Op::Eq, 0)?]);
    // Limits may be read, one's own only.
    let own_limits = SeccompRule::new(vec![
        Condition::new(0, Length::Dword, Op::Eq, 0)?,
        Condition::new(2, Length::Qword, Op::Eq, 0)?,
    ])?;
    rules.insert(libc::SYS_prlimit64, vec![own_limits]);
    // `abort` signals itself.
    rules.insert(libc::SYS_tgkill, vec![rule(0, Length::Dword, Op::Eq, std::process::id().into())?]);
    Ok(rules)
}
