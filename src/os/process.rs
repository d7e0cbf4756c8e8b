//! Processes that we start ourselves: which program, and how they end. Any thread.
//! The daemon starts its children without `fork`: a copy of its page tables takes milliseconds, and after it every page that a
//! thread writes, recognition and media too, has to be copied. So nothing on the daemon's side may run between fork and exec
//! (`pre_exec`, a program that is looked for in another PATH): a child of ours does that itself ([`end_with_starter`]).
//! Deliberately absent: signals to anything else: the id must come from a child that has not been waited for yet.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// This very program for those who start it again: the file that runs, also when a package has put another one in its place.
///
/// # Errors
/// The system does not say which.
pub fn own_program() -> io::Result<PathBuf> {
    // A link that leads whoever follows it to the program that it runs; a child still runs ours when it does.
    let itself = Path::new("/proc/self/exe");
    if itself.exists() { Ok(itself.to_owned()) } else { std::env::current_exe() }
}

/// The program at `path` as it is now; this very one where nothing lies there any more.
#[must_use]
pub fn at_or_own(path: &Path) -> PathBuf {
    if path.exists() { path.to_owned() } else { own_program().unwrap_or_else(|_| path.to_owned()) }
}

/// What [`own_program`] started is called by its name in `ps` and `top`, and not by the link's.
pub fn take_name() {
    // Without it everything works as well.
    _ = std::fs::write("/proc/self/comm", env!("CARGO_PKG_NAME"));
}

/// The child is asked to end (SIGTERM) when the thread that starts it is gone, however that came: even by SIGKILL.
pub fn end_with_parent(command: &mut Command) -> &mut Command {
    signal_with_parent(command, libc::SIGTERM)
}

/// In a child of ours, as its first act: it is asked to end (SIGTERM) when the thread that started it is gone, even by SIGKILL. Its
/// standard input is a pipe from there, which tells that it went before.
///
/// # Errors
/// It is gone.
pub fn end_with_starter() -> io::Result<()> {
    signal_with_starter(libc::SIGTERM)
}

/// The same by SIGKILL.
///
/// # Errors
/// It is gone.
pub fn die_with_starter() -> io::Result<()> {
    signal_with_starter(libc::SIGKILL)
}

fn signal_with_starter(signal: libc::c_int) -> io::Result<()> {
    // SAFETY: takes numbers only.
    if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut input = libc::pollfd { fd: libc::STDIN_FILENO, events: libc::POLLIN, revents: 0 };
    // SAFETY: the pointer is to one live struct for the duration of the call.
    let told = unsafe { libc::poll(&raw mut input, 1, 0) };
    if told > 0 && input.revents & libc::POLLHUP != 0 { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
}

/// Where `name` is in PATH, as a shell finds it; the name itself where it is in none of it.
#[must_use]
pub fn in_path(name: &str) -> PathBuf {
    let paths = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    let is_program = |path: &PathBuf| {
        std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    let found =
        std::env::split_paths(&paths).map(|dir| dir.join(name)).filter(|path| path.is_absolute()).find(is_program);
    found.unwrap_or_else(|| name.into())
}

/// The child leads a group of processes of its own, which [`kill_group`] ends; it is killed itself when the thread that starts it is
/// gone, even by SIGKILL.
pub fn lead_group(command: &mut Command) -> &mut Command {
    signal_with_parent(command.process_group(0), libc::SIGKILL)
}

/// Kills a child of ours that leads a group, and whatever it has started and left in it. `id` is that of a child that was not waited
/// for, so neither it nor its group can be another's.
///
/// # Errors
/// What `kill(2)` says; `InvalidInput` for an id that is no process id.
pub fn kill_group(id: u32) -> io::Result<()> {
    let id = libc::pid_t::try_from(id).ok().filter(|id| *id > 1).ok_or(io::ErrorKind::InvalidInput)?;
    // SAFETY: kill takes two integers and touches no memory of ours.
    match unsafe { libc::kill(-id, libc::SIGKILL) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether a child of ours has ended; it can still be waited for, and its id stays its own till then.
#[must_use]
pub fn has_ended(id: u32) -> bool {
    // SAFETY: plain data, all zeros is a value of it.
    let mut about: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live struct for the duration of the call.
    let asked = unsafe { libc::waitid(libc::P_PID, id, &raw mut about, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT) };
    // SAFETY: waitid has filled the fields of a child's state, or left all zeros.
    asked != 0 || unsafe { about.si_pid() } != 0
}

fn signal_with_parent(command: &mut Command, signal: libc::c_int) -> &mut Command {
    let parent = libc::pid_t::try_from(std::process::id()).unwrap_or(-1);
    // SAFETY: between fork and exec the closure makes two system calls with integer arguments, which POSIX allows there;
    // it neither allocates nor takes a lock.
    unsafe {
        command.pre_exec(move || match libc::prctl(libc::PR_SET_PDEATHSIG, signal) {
            // Gone before the wish was known: nobody would send the signal.
            0 if libc::getppid() != parent => Err(io::ErrorKind::BrokenPipe.into()),
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        })
    }
}

/// Asks a child of ours to end (SIGTERM). `id` is that of a child that was not waited for, so it cannot be another's.
///
/// # Errors
/// What `kill(2)` says; `InvalidInput` for an id that is no process id.
pub fn terminate(id: u32) -> io::Result<()> {
    let id = libc::pid_t::try_from(id).ok().filter(|id| *id > 1).ok_or(io::ErrorKind::InvalidInput)?;
    // SAFETY: kill takes two integers and touches no memory of ours.
    match unsafe { libc::kill(id, libc::SIGTERM) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Ends quietly, as commands do, when the reader of our output has gone (`callwright check F | head`). Not for the daemon.
pub fn end_on_broken_pipe() {
    // SAFETY: sets a default disposition; no handler of ours is involved.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::os::unix::process::ExitStatusExt;
    use std::process::Stdio;

    #[test]
    fn a_child_ends_with_the_thread_that_started_it() {
        let start = || {
            let mut command = Command::new("sleep");
            end_with_parent(command.arg("60").stdout(Stdio::null())).spawn().unwrap()
        };
        let mut child = std::thread::spawn(start).join().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGTERM));
    }

    #[test]
    fn a_group_ends_whole_and_with_the_thread_that_started_its_leader() {
        let start = || {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", "trap '' TERM; sleep 600 & echo $!; wait"]).stdout(Stdio::piped());
            lead_group(&mut command).spawn().unwrap()
        };
        let mut child = start();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(!has_ended(child.id()));
        kill_group(child.id()).unwrap();
        while !has_ended(child.id()) {
            std::thread::yield_now();
        }
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
        // Its own parent has gone, so whoever adopts it may not have waited for it yet.
        let left = Path::new("/proc").join(line.trim()).join("stat");
        let lives = || std::fs::read_to_string(&left).is_ok_and(|stat| !stat.contains(") Z "));
        while lives() {
            std::thread::yield_now();
        }
        // Alone: what a leader has started by then would outlive it.
        let alone = || lead_group(Command::new("sleep").arg("600")).spawn().unwrap();
        let mut child = std::thread::spawn(alone).join().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
    }

    #[test]
    fn the_program_that_runs_is_started_whatever_lies_at_its_path() {
        let (program, arguments) = (own_program().unwrap(), ["--list", "--format", "terse"]);
        let list = Command::new(program).args(arguments).output().unwrap();
        assert!(String::from_utf8_lossy(&list.stdout).contains("the_program_that_runs"), "it is this very one");
        // A program that is replaced while it runs starts itself.
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shell");
        std::fs::copy("/bin/sh", &path).unwrap();
        let script = "mv \"$0\" \"$0.old\"; printf '#!/bin/sh\\necho other\\n' > \"$0\"; chmod +x \"$0\"; rm \"$0.old\"; \
                      \"$0\"; exec /proc/self/exe -c 'echo same'";
        // Bash as sh or dash: both take a name for $0 after the script.
        let out = Command::new(&path).args(["-c", script]).arg(&path).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&out.stdout), "other\nsame\n", "{out:?}");
    }

    #[test]
    fn a_program_that_was_taken_away_is_replaced_by_ourselves() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("program");
        assert_eq!(at_or_own(&path), own_program().unwrap());
        std::fs::write(&path, "").unwrap();
        assert_eq!(at_or_own(&path), path);
    }

    #[test]
    fn a_child_ends_by_the_signal() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        terminate(child.id()).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGTERM));
    }

    #[test]
    fn groups_and_init_are_refused() {
        for id in [0, 1, u32::MAX] {
            assert_eq!(terminate(id).unwrap_err().kind(), io::ErrorKind::InvalidInput);
            assert_eq!(kill_group(id).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
    }
}
