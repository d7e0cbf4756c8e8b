//! The sound of a SIPp's call: a socket that its description names. It says frames that differ from each other to where
//! the daemon listens, and counts those that come back whole.

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const FRAME: Duration = Duration::from_millis(20);

/// A phone's sound.
pub(crate) struct Ear {
    socket: UdpSocket,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<(usize, usize)>>,
}

impl Ear {
    pub(crate) fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a loopback port");
        socket.set_read_timeout(Some(Duration::from_millis(5))).expect("a timeout");
        Self { socket, over: Arc::default(), thread: None }
    }

    pub(crate) fn port(&self) -> u16 {
        self.socket.local_addr().expect("bound").port()
    }

    /// Begins: where the daemon listens stands in SIPp's record.
    pub(crate) fn listen(&mut self, record: PathBuf) {
        let (socket, until) = (self.socket.try_clone().expect("the socket twice"), Arc::clone(&self.over));
        self.thread = Some(std::thread::spawn(move || talk(&socket, &until, &record)));
    }

    /// Frames that came back whole, and packets that came at all.
    pub(crate) fn finish(self) -> (usize, usize) {
        self.over.store(true, Ordering::Relaxed);
        self.thread.map_or((0, 0), |thread| thread.join().expect("the phone's thread"))
    }
}

/// Ports of the daemon's RTP; a phone's are ephemeral.
const DAEMONS: std::ops::Range<u16> = 18_000..32_000;

/// Where the daemon's audio is, by the descriptions that SIPp has seen, while the phone's last one names this port.
fn described(record: &Path, own: u16) -> Option<SocketAddr> {
    let octets = std::fs::read(record).ok()?;
    let text = String::from_utf8_lossy(&octets);
    let ports = text.lines().filter_map(|line| line.strip_prefix("m=audio ")?.split(' ').next()?.parse::<u16>().ok());
    let (daemons, phones): (Vec<u16>, Vec<u16>) = ports.partition(|port| DAEMONS.contains(port));
    let port = daemons.last().filter(|_| phones.last() == Some(&own))?;
    Some(SocketAddr::from(([127, 0, 0, 1], *port)))
}

/// What one frame says: an octet of its own, no silence in either law.
fn payload(sequence: u16) -> [u8; 160] {
    [0x90 | (sequence % 16) as u8; 160]
}

fn talk(socket: &UdpSocket, until: &AtomicBool, record: &Path) -> (usize, usize) {
    let own = socket.local_addr().expect("bound").port();
    let (mut echoed, mut received, mut sequence) = (0, 0, 0_u16);
    // Payload type: as the daemon's last packet has it.
    let (mut peer, mut kind) = (None, 0);
    let mut due = Instant::now();
    let mut packet = [0; 2048];
    while !until.load(Ordering::Relaxed) {
        if let Ok((length, _)) = socket.recv_from(&mut packet)
            && length >= 12
            && packet[0] >> 6 == 2
            && matches!(packet[1] & 0x7f, 0 | 8)
        {
            received += 1;
            kind = packet[1] & 0x7f;
            echoed += usize::from(length == 172 && (0..16).any(|n| packet[12..172] == payload(n)));
        }
        if Instant::now() < due {
            continue;
        }
        if sequence.is_multiple_of(8) || peer.is_none() {
            peer = described(record, own);
        }
        due = (due + FRAME).max(Instant::now());
        let Some(to) = peer else { continue };
        let mut frame = vec![0x80, kind];
        frame.extend(sequence.to_be_bytes());
        frame.extend((u32::from(sequence) * 160).to_be_bytes());
        frame.extend(0x5150_u32.to_be_bytes());
        frame.extend(payload(sequence));
        let _ = socket.send_to(&frame, to);
        sequence = sequence.wrapping_add(1);
    }
    (echoed, received)
}
