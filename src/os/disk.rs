//! Room on a file system. Purpose: stop writing before a full disk stops everybody else. Any thread; one system call.
//! Deliberately absent: quotas, which show as a failed write.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Octets that an ordinary process may still write where `path` lies.
///
/// # Errors
/// There is no such path, or it may not be looked at.
pub fn free_octets(path: &Path) -> io::Result<u64> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: all-zero is a valid statvfs, which the call overwrites.
    let mut found: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: `path` ends with a zero octet and `found` is valid for writing; both outlive the call.
    if unsafe { libc::statvfs(path.as_ptr(), &raw mut found) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // Both are 64 bits wide where this is built for.
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::free_octets;
    use std::path::Path;

    #[test]
    fn there_is_some_room_here_and_none_nowhere() {
        assert!(free_octets(Path::new(".")).unwrap() > 0);
        assert!(free_octets(Path::new("/nowhere/at/all")).is_err());
    }
}
