//! The floor: a bare UDP reflector on the daemon's core, measured by the same load. Purpose: what the kernel and the
//! machine cost before any telephony, in the same minute.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use super::Media;
use super::daemon::Pinned;
use super::load::{Content, Load};
use super::tally::Measured;
use crate::media::socket::{Poller, ReceiveBatch, set_up};
use crate::os::{process, realtime};
use std::os::fd::AsRawFd;

/// First port of the reflector.
const PORT: u16 = 12_000;
const WARM: Duration = Duration::from_secs(1);
const PRIORITY: i32 = 49;

/// Sends back what comes, for ever. The daemon's system calls without the daemon: epoll,
/// recvmmsg of one, sendto.
pub(super) fn reflect(port: u16, ports: u16) -> io::Result<()> {
    process::end_on_broken_pipe();
    realtime::fifo_or_nice(PRIORITY);
    let sockets: Vec<UdpSocket> =
        (0..ports).map(|n| UdpSocket::bind((Ipv4Addr::LOCALHOST, port + 2 * n))).collect::<io::Result<_>>()?;
    let mut poller = Poller::new()?;
    for (n, socket) in sockets.iter().enumerate() {
        set_up(socket)?;
        poller.add(socket.as_raw_fd(), n as u64)?;
    }
    let mut batch = ReceiveBatch::new();
    loop {
        let ready = poller.wait(None);
        for n in 0..ready {
            let Some(socket) = sockets.get(usize::try_from(poller.token(n)).unwrap_or(usize::MAX)) else { continue };
            for m in 0..batch.receive_up_to(socket, 1) {
                if let Some(datagram) = batch.datagram(m) {
                    // What the network does not take is lost, as in the daemon.
                    let _ = socket.send_to(datagram.octets, datagram.from);
                }
            }
        }
    }
}

/// Measures it with as many packets as `calls` calls make, a socket each.
pub(super) fn measure(media: &Media, calls: usize) -> Result<Measured, String> {
    let ports = u16::try_from(calls).ok().filter(|n| *n <= 8000).ok_or("at most 8000 calls can be measured")?;
    let reflector = Pinned::start(media, &["bench", "reflect", &PORT.to_string(), &ports.to_string()], &[], None)?;
    std::thread::sleep(Duration::from_millis(500));
    let load = Load::start(media.load_cpu, Content::Stamps).map_err(|e| format!("the load cannot start: {e}"))?;
    for n in 0..ports {
        load.add(SocketAddr::from((Ipv4Addr::LOCALHOST, PORT + 2 * n)));
    }
    std::thread::sleep(WARM);
    let window = Duration::from_secs(media.seconds.clamp(1, 5));
    let before = reflector.cpu();
    load.measure(window);
    let cpu = reflector.cpu().saturating_sub(before);
    let memory = reflector.memory();
    Ok(Measured { tally: load.finish(), calls, window, cpu, memory })
}
