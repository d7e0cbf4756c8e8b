//! Where the demonstration runs. Purpose: a data directory and ports that nobody else holds, as overlays for `serve`.
//! Main thread. Deliberately absent: keeping a port held: between choosing and binding another may take it; `serve` then
//! says so.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

/// Ports and directory of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Database, bundles, recordings, the daemon's log.
    pub(super) directory: PathBuf,
    /// SIP, UDP.
    pub(super) sip: SocketAddr,
    /// Control API.
    pub(super) http: SocketAddr,
    /// First and last media port.
    pub(super) rtp: (u16, u16),
    /// First and last port for apps.
    pub(super) apps: (u16, u16),
    /// Whether these are the ports of the documentation.
    pub(super) usual: bool,
}

const RTP_PORTS: u16 = 200;
const APP_PORTS: u16 = 10;

impl Place {
    /// The documented ports when they are free, else free ones.
    pub(super) fn usual(directory: &Path) -> std::io::Result<Self> {
        let sip = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 5060));
        let http = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080));
        if UdpSocket::bind(sip).is_ok() && TcpListener::bind(http).is_ok() && block_is_free(8100, APP_PORTS) {
            let directory = directory.to_path_buf();
            return Ok(Self { directory, sip, http, rtp: (16384, 32767), apps: (8100, 8199), usual: true });
        }
        Self::free(directory)
    }

    /// Free ports on loopback.
    pub(super) fn free(directory: &Path) -> std::io::Result<Self> {
        let sip = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let http = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        // Below the ports that the kernel hands out, apart for processes that run at the same time.
        let slot = u16::try_from(std::process::id() % 60).unwrap_or_default();
        let rtp = 17_000 + slot * RTP_PORTS;
        let apps = (0..100)
            .map(|step| 29_100 + ((slot + step) % 100) * APP_PORTS)
            .find(|first| block_is_free(*first, APP_PORTS));
        let apps =
            apps.ok_or_else(|| std::io::Error::other("no ten TCP ports in a row are free between 29100 and 30100"))?;
        Ok(Self {
            directory: directory.to_path_buf(),
            sip,
            http,
            rtp: (rtp, rtp + RTP_PORTS - 1),
            apps: (apps, apps + APP_PORTS - 1),
            usual: false,
        })
    }

    /// Overlays that put `serve` here.
    pub(super) fn environment(&self) -> [(&'static str, String); 6] {
        [
            ("CALLWRIGHT__SIP__UDP", self.sip.to_string()),
            ("CALLWRIGHT__HTTP__LISTEN", self.http.to_string()),
            ("CALLWRIGHT__DATA__DIR", self.directory.display().to_string()),
            ("CALLWRIGHT__RTP__PORTS", format!("{}-{}", self.rtp.0, self.rtp.1)),
            ("CALLWRIGHT__APPS__PORTS", format!("{}-{}", self.apps.0, self.apps.1)),
            ("CALLWRIGHT__APPS__ADDRESS", Ipv4Addr::LOCALHOST.to_string()),
        ]
    }

    /// The agent's address for a caller on this machine.
    pub(super) fn agent(&self) -> String {
        format!("sip:300@127.0.0.1:{}", self.sip.port())
    }

    /// A path of the control API.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }

    /// A file of this run.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

fn block_is_free(first: u16, count: u16) -> bool {
    (first..first + count).all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_are_free_and_apart() {
        let place = Place::free(Path::new("x")).unwrap();
        UdpSocket::bind(place.sip).unwrap();
        TcpListener::bind(place.http).unwrap();
        assert!(place.rtp.0.is_multiple_of(2) && place.rtp.1 < 29_100 && place.apps.0 >= 29_100);
        assert_eq!(place.agent(), format!("sip:300@127.0.0.1:{}", place.sip.port()));
        assert!(!place.usual);
    }

    #[test]
    fn taken_ports_are_passed_over() {
        let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert!(!block_is_free(held.local_addr().unwrap().port(), 1));
    }
}
