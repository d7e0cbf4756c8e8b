//! How many files and sockets this process may have open. Purpose: a call takes two sockets, a bridge four; the soft limit of
//! 1024 that a shell gives ends at a few hundred calls. Acts on the process. Deliberately absent: raising the hard limit.

use std::io;

/// Raises the soft limit towards `wanted`, as far as the hard limit goes; returns what is granted now.
///
/// # Errors
/// What the kernel says; the limit is as before.
pub fn raise_limit(wanted: u64) -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is valid for writing.
    checked(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    if limit.rlim_cur < wanted {
        limit.rlim_cur = wanted.min(limit.rlim_max);
        // SAFETY: `limit` is valid for reading.
        checked(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })?;
    }
    Ok(limit.rlim_cur)
}

fn checked(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_goes_up_and_never_down() {
        let before = raise_limit(0).unwrap();
        assert!(raise_limit(before + 1).unwrap() >= before);
        assert!(raise_limit(u64::MAX).unwrap() >= before, "a wish beyond the hard limit is cut to it");
        assert!(raise_limit(10).unwrap() >= before);
    }
}
