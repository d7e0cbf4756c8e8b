//! Ends of processes that we started ourselves. Any thread.
//! Deliberately absent: signals to anything else: the id must come from a child that has not been waited for yet.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The child is asked to end (SIGTERM) when the thread that starts it is gone, however that came: even by SIGKILL.
pub fn end_with_parent(command: &mut Command) -> &mut Command {
    let parent = libc::pid_t::try_from(std::process::id()).unwrap_or(-1);
    // SAFETY: between fork and exec the closure makes two system calls with integer arguments, which POSIX allows there;
    // it neither allocates nor takes a lock.
    unsafe {
        command.pre_exec(move || match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) {
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
    fn a_child_ends_by_the_signal() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        terminate(child.id()).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGTERM));
    }

    #[test]
    fn groups_and_init_are_refused() {
        for id in [0, 1, u32::MAX] {
            assert_eq!(terminate(id).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
    }
}
