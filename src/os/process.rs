//! Signals to processes that we started ourselves. Any thread.
//! Deliberately absent: signals to anything else: the id must come from a child that has not been waited for yet.

use std::io;

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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

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
