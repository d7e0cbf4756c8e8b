//! The service manager's notification protocol, sd_notify(3). Purpose: ready, status, watchdog, stopping. Any thread; a
//! few octets to a datagram socket. Without a manager (`NOTIFY_SOCKET` unset) every call does nothing.
//! Deliberately absent: file-descriptor passing.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The manager's fault or the unit's: worth a warning, never worth stopping.
pub type Result = io::Result<()>;

/// Start-up is complete.
pub fn ready() -> Result {
    send("READY=1")
}

/// The daemon is shutting down.
pub fn stopping() -> Result {
    send("STOPPING=1")
}

/// Still alive; to be sent at least twice per `watchdog_interval`.
pub fn watchdog() -> Result {
    send("WATCHDOG=1")
}

/// One line for `systemctl status`.
pub fn status(text: &str) -> Result {
    send(&format!("STATUS={}", text.replace('\n', " ")))
}

/// The time after which the manager restarts a silent daemon (`WatchdogSec=`), if it watches this process.
#[must_use]
pub fn watchdog_interval() -> Option<Duration> {
    if let Ok(pid) = env::var("WATCHDOG_PID")
        && pid != std::process::id().to_string()
    {
        return None;
    }
    let micros: u64 = env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    (micros > 0).then(|| Duration::from_micros(micros))
}

fn send(message: &str) -> Result {
    match env::var_os("NOTIFY_SOCKET") {
        Some(name) => send_to(&name, message),
        None => Ok(()),
    }
}

fn send_to(name: &OsStr, message: &str) -> Result {
    let bytes = name.as_bytes();
    let address = match bytes.strip_prefix(b"@") {
        Some(abstract_name) => SocketAddr::from_abstract_name(abstract_name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.send_to_addr(message.as_bytes(), &address).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(manager: &UnixDatagram) -> String {
        let mut buffer = [0; 100];
        let n = manager.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..n].to_vec()).unwrap()
    }

    #[test]
    fn a_manager_on_a_path_hears_us() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        send_to(path.as_os_str(), "READY=1").unwrap();
        assert_eq!(received(&manager), "READY=1");
    }

    #[test]
    fn a_manager_with_an_abstract_name_hears_us() {
        let name = format!("callwright-test-{}", crate::os::random::hex(8));
        let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        send_to(OsStr::new(&format!("@{name}")), "STATUS=ok").unwrap();
        assert_eq!(received(&manager), "STATUS=ok");
    }

    #[test]
    fn a_missing_manager_is_an_error_value() {
        assert!(send_to(OsStr::new("/nonexistent/notify"), "READY=1").is_err());
    }
}
