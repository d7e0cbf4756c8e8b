//! A program and whatever it starts, ended as one. Purpose: what makes itself a session of its own, forks twice and lets its parents go
//! is in no group that could be killed; it is handed to this process, which is the reaper of all its descendants
//! (`PR_SET_CHILD_SUBREAPER`). Owning thread: the process's only one. Invariants: the program gains no rights (setuid files), and
//! where the kernel knows how (Landlock 6) signals nobody outside, this process neither; when it ends, or this process is told to
//! (SIGTERM), all its descendants are killed and waited for before this process ends. Deliberately absent: what the program may
//! read, write or connect to.

use super::process;
use landlock::{ABI, Access, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreated, Scope};
use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};
use std::time::Duration;

/// Between two looks at processes that are being ended.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Runs it to its end, or until SIGTERM, and ends all that it has started.
///
/// Must be called while the process has one thread.
///
/// # Errors
/// It cannot be started, or the system refuses to make this process its reaper.
pub fn run(mut command: Command) -> io::Result<ExitStatus> {
    // SAFETY: takes numbers only.
    call(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) })?;
    // SAFETY: sets a default disposition, so that children wait to be waited for.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    let waited_for = signals(&[libc::SIGCHLD, libc::SIGTERM])?;
    // SAFETY: the set is live for the duration of the call.
    call(unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const waited_for, std::ptr::null_mut()) })?;
    process::lead_group(&mut command);
    // SAFETY: this process has one thread, so the closure may do between fork and exec what any code may.
    unsafe { command.pre_exec(move || give_up_rights(&waited_for)) };
    let main = command.spawn()?.id();
    let mut ended = None;
    while ended.is_none() {
        let mut came: libc::c_int = 0;
        // SAFETY: both pointers are to live values for the duration of the call.
        let waited = unsafe { libc::sigwait(&raw const waited_for, &raw mut came) };
        reap(main, &mut ended);
        if waited != 0 || came == libc::SIGTERM {
            break;
        }
    }
    end_all(main, &mut ended);
    Ok(ended.unwrap_or(ExitStatus::from_raw(libc::SIGKILL)))
}

/// What the program does before it is one.
fn give_up_rights(blocked: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: the set is live for the duration of the call.
    call(unsafe { libc::sigprocmask(libc::SIG_UNBLOCK, blocked, std::ptr::null_mut()) })?;
    // SAFETY: takes numbers only.
    call(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
    // An older kernel has no such rule; the program can then end its own guard, and is ended with the daemon's service.
    let scoped = Ruleset::default().set_compatibility(CompatLevel::BestEffort).scope(Scope::from_all(ABI::V6));
    _ = scoped.and_then(Ruleset::create).and_then(RulesetCreated::restrict_self);
    Ok(())
}

fn signals(numbers: &[libc::c_int]) -> io::Result<libc::sigset_t> {
    // SAFETY: plain data, all zeros is a value of it; sigemptyset makes it a set.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live set for the duration of each call.
    call(unsafe { libc::sigemptyset(&raw mut set) })?;
    for number in numbers {
        // SAFETY: as above.
        call(unsafe { libc::sigaddset(&raw mut set, *number) })?;
    }
    Ok(set)
}

/// Waits for whoever has ended; false: there is no child any more.
fn reap(main: u32, ended: &mut Option<ExitStatus>) -> bool {
    loop {
        let mut status = 0;
        // SAFETY: the pointer is to a live number for the duration of the call.
        match unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) } {
            0 => return true,
            -1 => return io::Error::last_os_error().raw_os_error() != Some(libc::ECHILD),
            pid if u32::try_from(pid) == Ok(main) => *ended = Some(ExitStatus::from_raw(status)),
            _ => {}
        }
    }
}

/// Stops every descendant, so that none forks while it is looked for, then kills them all. Orphans come here, and are found again.
fn end_all(main: u32, ended: &mut Option<ExitStatus>) {
    while reap(main, ended) {
        let mut stopped: Vec<libc::pid_t> = Vec::new();
        loop {
            let new: Vec<libc::pid_t> = descendants().into_iter().filter(|pid| !stopped.contains(pid)).collect();
            if new.is_empty() {
                break;
            }
            new.iter().for_each(|pid| signal(*pid, libc::SIGSTOP));
            stopped.extend(new);
        }
        stopped.iter().for_each(|pid| signal(*pid, libc::SIGKILL));
        std::thread::sleep(LOOK_EVERY);
    }
}

fn signal(pid: libc::pid_t, number: libc::c_int) {
    // SAFETY: takes two integers. The id was a descendant's a moment ago; for it to be another's, every id of the system would have
    // to have been used in between.
    unsafe { libc::kill(pid, number) };
}

/// Everybody below this process, by the parents that `/proc` names.
fn descendants() -> Vec<libc::pid_t> {
    let mut children: BTreeMap<libc::pid_t, Vec<libc::pid_t>> = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // The name in parentheses may hold anything.
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
        children.entry(parent.unwrap_or(0)).or_default().push(pid);
    }
    let own = libc::pid_t::try_from(std::process::id()).unwrap_or(0);
    let (mut found, mut at) = (children.remove(&own).unwrap_or_default(), 0);
    while let Some(pid) = found.get(at) {
        found.extend(children.remove(pid).unwrap_or_default());
        at += 1;
    }
    found
}

fn call(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
