//! The system calls of the media loop. Purpose: batched receive with kernel stamps, batched send, epoll with a timeout in
//! nanoseconds. The only `unsafe` of the media plane. Media workers, but for `set_up`. Invariants: all buffers are made
//! once, before the loop; no call blocks but `Poller::wait`. Public for whoever measures: they need the same stamps. Deliberately absent: io_uring (batching won 6 % on loopback;
//! it comes behind these same functions once a benchmark shows more).

use crate::limits::{DATAGRAM_BATCH, RTP_DATAGRAM_MAX};
use crate::media::pass::OutPacket;
use std::io;
use std::mem::{self, MaybeUninit};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// DSCP EF (RFC 3246) in the upper six bits of the traffic class.
const TOS_EF: libc::c_int = 0xb8;
/// 0.25 s of one call at 64 kbit/s is 16 packets; this holds hundreds, for a worker that was kept from running.
const RECEIVE_BUFFER: libc::c_int = 256 * 1024;
/// Room for one `SCM_TIMESTAMPNS` control message, and another that we do not ask for.
const CONTROL_LEN: usize = 64;
/// `BPF_RET | BPF_K` (linux/filter.h).
const BPF_RETURN_CONSTANT: u16 = 0x06;
/// Descriptors that one wait reports.
const READY_MAX: usize = 256;

/// Makes a bound socket fit for media: non-blocking, kernel receive stamps, DSCP EF, a receive buffer for late wake-ups.
pub fn set_up(socket: &UdpSocket) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    let fd = socket.as_raw_fd();
    set_option(fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
    set_option(fd, libc::SOL_SOCKET, libc::SO_RCVBUF, RECEIVE_BUFFER)?;
    match socket.local_addr()?.ip() {
        IpAddr::V4(_) => set_option(fd, libc::IPPROTO_IP, libc::IP_TOS, TOS_EF),
        IpAddr::V6(_) => set_option(fd, libc::IPPROTO_IPV6, libc::IPV6_TCLASS, TOS_EF),
    }
}

/// Lets sockets of this process share its port; before `bind` for those that join, after it for the first one.
pub fn share_port(socket: &UdpSocket) -> io::Result<()> {
    set_option(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)
}

/// Of sockets that share a port, the first one gets whatever none of them is connected for. Error: nobody shares it yet.
pub fn prefer_first(socket: &UdpSocket) -> io::Result<()> {
    // A program of one instruction: number 0.
    let choose = [libc::sock_filter { code: BPF_RETURN_CONSTANT, jt: 0, jf: 0, k: 0 }];
    let program = libc::sock_fprog { len: 1, filter: choose.as_ptr().cast_mut() };
    let len = size_of::<libc::sock_fprog>() as libc::socklen_t;
    let (level, name) = (libc::SOL_SOCKET, libc::SO_ATTACH_REUSEPORT_CBPF);
    // SAFETY: `program` is valid for reading `len` octets and points to one instruction, which the kernel copies.
    checked(unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const program).cast(), len) }).map(|_| ())
}

/// Takes a connected socket back to what it was bound to: its own address is chosen anew when it is connected again.
pub fn disconnect(socket: &UdpSocket) -> io::Result<()> {
    // SAFETY: all-zero is a valid sockaddr.
    let mut nobody: libc::sockaddr = unsafe { mem::zeroed() };
    nobody.sa_family = libc::AF_UNSPEC as libc::sa_family_t;
    let len = size_of::<libc::sockaddr>() as libc::socklen_t;
    // SAFETY: `nobody` is valid for reading `len` octets.
    checked(unsafe { libc::connect(socket.as_raw_fd(), &raw const nobody, len) }).map(|_| ())
}

fn set_option(fd: RawFd, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `value` is valid for reading `len` octets.
    checked(unsafe { libc::setsockopt(fd, level, name, (&raw const value).cast(), len) }).map(|_| ())
}

/// One received datagram.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Source address.
    pub from: SocketAddr,
    /// Kernel receive time, nanoseconds since the epoch; 0 when the kernel gave none.
    pub stamp: u64,
    /// Empty when it was longer than `RTP_DATAGRAM_MAX` (no RTP of ours is).
    pub octets: &'a [u8],
}

#[repr(C, align(8))]
struct Control([u8; CONTROL_LEN]);

/// What `recvmmsg` writes to.
#[expect(missing_debug_implementations, reason = "nothing but buffers")]
pub struct ReceiveBatch {
    octets: Box<[[u8; RTP_DATAGRAM_MAX]; DATAGRAM_BATCH]>,
    names: Box<[libc::sockaddr_storage; DATAGRAM_BATCH]>,
    controls: Box<[Control; DATAGRAM_BATCH]>,
    vectors: Box<[libc::iovec; DATAGRAM_BATCH]>,
    headers: Box<[libc::mmsghdr; DATAGRAM_BATCH]>,
    len: usize,
}

impl Default for ReceiveBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl ReceiveBatch {
    /// Allocates all buffers.
    pub fn new() -> Self {
        // SAFETY: all-zero is a valid value of these C structs (null pointers, zero lengths).
        let (names, vectors, headers) = unsafe { (mem::zeroed(), mem::zeroed(), mem::zeroed()) };
        let mut batch = Self {
            octets: Box::new([[0; RTP_DATAGRAM_MAX]; DATAGRAM_BATCH]),
            names: Box::new(names),
            controls: Box::new([const { Control([0; CONTROL_LEN]) }; DATAGRAM_BATCH]),
            vectors: Box::new(vectors),
            headers: Box::new(headers),
            len: 0,
        };
        for n in 0..DATAGRAM_BATCH {
            batch.vectors[n] =
                libc::iovec { iov_base: batch.octets[n].as_mut_ptr().cast(), iov_len: batch.octets[n].len() };
            let header = &mut batch.headers[n].msg_hdr;
            header.msg_name = (&raw mut batch.names[n]).cast();
            header.msg_iov = &raw mut batch.vectors[n];
            header.msg_iovlen = 1;
            header.msg_control = batch.controls[n].0.as_mut_ptr().cast();
            batch.offer(n);
        }
        batch
    }

    /// Sets the lengths of the `n`th header, which the kernel overwrites when it fills it.
    fn offer(&mut self, n: usize) {
        let header = &mut self.headers[n].msg_hdr;
        header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        header.msg_controllen = CONTROL_LEN;
        header.msg_flags = 0;
    }

    /// Reads what waits on the socket, at most `DATAGRAM_BATCH`; returns how many. Errors of the socket (an ICMP message
    /// for an earlier send) count as nothing read.
    pub fn receive(&mut self, socket: &UdpSocket) -> usize {
        self.receive_up_to(socket, DATAGRAM_BATCH)
    }

    /// The same, at most so many.
    pub fn receive_up_to(&mut self, socket: &UdpSocket, most: usize) -> usize {
        // Only what the last call filled has to be offered anew: one datagram as a rule, not a whole batch.
        for n in 0..self.len {
            self.offer(n);
        }
        // SAFETY: the headers point to buffers of this struct, which live and stay in place (they are boxed) for the
        // call; the count is at most the array's length; no timeout is passed.
        let read = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                most.min(DATAGRAM_BATCH) as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        self.len = usize::try_from(read).unwrap_or(0).min(DATAGRAM_BATCH);
        self.len
    }

    /// The `n`th datagram of the last `receive`; `None` beyond it or when its source is no internet address.
    pub fn datagram(&self, n: usize) -> Option<Datagram<'_>> {
        let header = self.headers[..self.len].get(n)?;
        let octets = &self.octets[n][..length(header)];
        Some(Datagram { from: address(&self.names[n])?, stamp: stamp(&header.msg_hdr), octets })
    }

    /// The same, with the octets to be changed in place: source, stamp, octets.
    pub(super) fn datagram_mut(&mut self, n: usize) -> Option<(SocketAddr, u64, &mut [u8])> {
        let header = self.headers[..self.len].get(n)?;
        let octets = &mut self.octets[n][..length(header)];
        Some((address(&self.names[n])?, stamp(&header.msg_hdr), octets))
    }
}

/// Octets of a received datagram; 0 when it was longer than the buffer.
fn length(header: &libc::mmsghdr) -> usize {
    match header.msg_hdr.msg_flags & libc::MSG_TRUNC {
        0 => (header.msg_len as usize).min(RTP_DATAGRAM_MAX),
        _ => 0,
    }
}

/// The receive stamp among a message's control data.
fn stamp(header: &libc::msghdr) -> u64 {
    // SAFETY: `header` was filled in by recvmmsg and its control buffer still belongs to the batch; the CMSG macros stay
    // within `msg_controllen`.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !message.is_null() {
        // SAFETY: not null, hence a whole cmsghdr inside the control buffer, which is aligned to 8.
        let found = unsafe { &*message };
        if found.cmsg_level == libc::SOL_SOCKET && found.cmsg_type == libc::SCM_TIMESTAMPNS {
            // SAFETY: the kernel wrote a timespec behind this header; it may be unaligned for us.
            let at: libc::timespec = unsafe { std::ptr::read_unaligned(libc::CMSG_DATA(message).cast()) };
            let seconds = u64::try_from(at.tv_sec).unwrap_or(0);
            return seconds.saturating_mul(1_000_000_000) + u64::try_from(at.tv_nsec).unwrap_or(0);
        }
        // SAFETY: as for CMSG_FIRSTHDR; `message` is one of its headers.
        message = unsafe { libc::CMSG_NXTHDR(header, message) };
    }
    0
}

/// Sends a call's packets; returns how many of them, counted from the first, the network took.
pub(super) fn send(socket: &UdpSocket, to: SocketAddr, packets: &[OutPacket]) -> usize {
    let (mut name, name_len) = storage(to);
    if let [packet] = packets {
        let octets = packet.octets();
        // SAFETY: both buffers are valid for reading their stated lengths for the call.
        let sent = unsafe {
            libc::sendto(
                socket.as_raw_fd(),
                octets.as_ptr().cast(),
                octets.len(),
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
                (&raw const name).cast(),
                name_len,
            )
        };
        return usize::from(sent >= 0);
    }
    let mut vectors = [const { MaybeUninit::<libc::iovec>::zeroed() }; DATAGRAM_BATCH];
    let mut headers = [const { MaybeUninit::<libc::mmsghdr>::zeroed() }; DATAGRAM_BATCH];
    let count = packets.len().min(DATAGRAM_BATCH);
    for ((packet, vector), header) in packets.iter().zip(&mut vectors).zip(&mut headers) {
        let octets = packet.octets();
        let vector = vector.write(libc::iovec { iov_base: octets.as_ptr().cast_mut().cast(), iov_len: octets.len() });
        // SAFETY: zeroed above, and all-zero is a valid mmsghdr.
        let header = unsafe { header.assume_init_mut() };
        header.msg_hdr.msg_name = (&raw mut name).cast();
        header.msg_hdr.msg_namelen = name_len;
        header.msg_hdr.msg_iov = vector;
        header.msg_hdr.msg_iovlen = 1;
    }
    // SAFETY: the first `count` headers are initialised and point to names, vectors and octets that outlive the call; the
    // kernel only reads the octets, so the cast from const is sound.
    let sent = unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr().cast(),
            count as libc::c_uint,
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
        )
    };
    usize::try_from(sent).unwrap_or(0)
}

fn address(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match libc::c_int::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that the storage holds a sockaddr_in; storage is larger and more aligned.
            let name = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr));
            Some(SocketAddr::new(ip.into(), u16::from_be(name.sin_port)))
        }
        libc::AF_INET6 => {
            // SAFETY: as above, for sockaddr_in6.
            let name = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(name.sin6_addr.s6_addr);
            let port = u16::from_be(name.sin6_port);
            // A dual-stack socket sees IPv4 peers in mapped form; SDP names them in plain form.
            Some(match ip.to_ipv4_mapped() {
                Some(v4) => SocketAddr::new(v4.into(), port),
                None => SocketAddrV6::new(ip, port, name.sin6_flowinfo, name.sin6_scope_id).into(),
            })
        }
        _ => None,
    }
}

fn storage(address: SocketAddr) -> (libc::sockaddr_storage, libc::socklen_t) {
    // SAFETY: all-zero is a valid sockaddr_storage.
    let mut storage: libc::sockaddr_storage = unsafe { mem::zeroed() };
    match address {
        SocketAddr::V4(v4) => {
            // SAFETY: storage is larger than sockaddr_in and at least as aligned; any bit pattern is valid.
            let name = unsafe { &mut *(&raw mut storage).cast::<libc::sockaddr_in>() };
            name.sin_family = libc::AF_INET as libc::sa_family_t;
            name.sin_port = v4.port().to_be();
            name.sin_addr.s_addr = u32::from(*v4.ip()).to_be();
            (storage, size_of::<libc::sockaddr_in>() as libc::socklen_t)
        }
        SocketAddr::V6(v6) => {
            // SAFETY: as above, for sockaddr_in6.
            let name = unsafe { &mut *(&raw mut storage).cast::<libc::sockaddr_in6>() };
            name.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            name.sin6_port = v6.port().to_be();
            name.sin6_addr.s6_addr = v6.ip().octets();
            name.sin6_flowinfo = v6.flowinfo();
            name.sin6_scope_id = v6.scope_id();
            (storage, size_of::<libc::sockaddr_in6>() as libc::socklen_t)
        }
    }
}

/// Waits for readable descriptors.
#[expect(missing_debug_implementations, reason = "nothing but a descriptor and a buffer")]
pub struct Poller {
    epoll: OwnedFd,
    ready: Box<[libc::epoll_event; READY_MAX]>,
    /// `epoll_pwait2` is missing (kernel before 5.11, some sandboxes): wait in whole milliseconds.
    coarse: bool,
}

impl Poller {
    /// Allocates its list of ready descriptors. Error: no descriptor left.
    pub fn new() -> io::Result<Self> {
        // SAFETY: flags only.
        let fd = checked(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: `fd` was just opened and belongs to nobody else.
        let epoll = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { epoll, ready: Box::new([libc::epoll_event { events: 0, u64: 0 }; READY_MAX]), coarse: false })
    }

    /// Reports `token` whenever `fd` is readable (level-triggered).
    pub fn add(&self, fd: RawFd, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: token };
        // SAFETY: `event` is valid for reading.
        checked(unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &raw mut event) }).map(|_| ())
    }

    /// Stops reporting `fd`. A descriptor that is not there is no fault.
    pub fn remove(&self, fd: RawFd) {
        // SAFETY: a null event is allowed for EPOLL_CTL_DEL.
        unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_DEL, fd, std::ptr::null_mut()) };
    }

    /// Waits until something is readable or the timeout has passed (`None`: for ever); returns how many are ready.
    pub fn wait(&mut self, timeout: Option<Duration>) -> usize {
        if !self.coarse {
            let spec = timeout.map(|t| libc::timespec {
                tv_sec: libc::time_t::try_from(t.as_secs()).unwrap_or(libc::time_t::MAX),
                tv_nsec: libc::c_long::from(t.subsec_nanos() as i32),
            });
            let spec = spec.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
            // SAFETY: `ready` is valid for writing READY_MAX events; `spec` is null or lives for the call; no signal mask.
            let ready = unsafe {
                libc::syscall(
                    libc::SYS_epoll_pwait2,
                    self.epoll.as_raw_fd(),
                    self.ready.as_mut_ptr(),
                    READY_MAX as libc::c_int,
                    spec,
                    std::ptr::null::<libc::sigset_t>(),
                    0usize,
                )
            };
            if let Ok(ready) = usize::try_from(ready) {
                return ready;
            }
            if io::Error::last_os_error().raw_os_error() == Some(libc::EINTR) {
                return 0;
            }
            self.coarse = true;
        }
        let millis = timeout.map_or(-1, |t| i32::try_from(t.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX));
        // SAFETY: `ready` is valid for writing READY_MAX events.
        let ready = unsafe {
            libc::epoll_wait(self.epoll.as_raw_fd(), self.ready.as_mut_ptr(), READY_MAX as libc::c_int, millis)
        };
        usize::try_from(ready).unwrap_or(0)
    }

    /// The token of the `n`th ready descriptor of the last wait.
    pub fn token(&self, n: usize) -> u64 {
        self.ready[n].u64
    }
}

fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::pass::Outbox;
    use crate::os::clock;
    use crate::rtp::Header;
    use crate::time::Tick;

    fn pair() -> (UdpSocket, UdpSocket) {
        let bind = || UdpSocket::bind("127.0.0.1:0").unwrap();
        let (a, b) = (bind(), bind());
        set_up(&a).unwrap();
        set_up(&b).unwrap();
        (a, b)
    }

    fn outbox(packets: u16) -> Outbox {
        let mut outbox = Outbox::new();
        for n in 0..packets {
            assert!(outbox.push(&Header { sequence: n, ..Header::default() }, Tick(0), |body| {
                body[0] = n as u8;
                usize::from(n) + 1
            }));
        }
        outbox
    }

    #[test]
    fn batches_arrive_whole_with_source_and_stamp() {
        let (a, b) = pair();
        for count in [1, 5, DATAGRAM_BATCH as u16] {
            let outbox = outbox(count);
            assert_eq!(send(&a, b.local_addr().unwrap(), outbox.packets()), usize::from(count));
            let mut batch = ReceiveBatch::new();
            assert_eq!(batch.receive(&b), usize::from(count));
            for n in 0..usize::from(count) {
                let datagram = batch.datagram(n).unwrap();
                assert_eq!(datagram.octets, outbox.packets()[n].octets());
                assert_eq!(datagram.from, a.local_addr().unwrap());
                assert!(clock::realtime_nanos().abs_diff(datagram.stamp) < 5_000_000_000);
            }
            assert!(batch.datagram(usize::from(count)).is_none());
            assert_eq!(batch.receive(&b), 0);
        }
    }

    #[test]
    fn a_full_outbox_refuses() {
        let mut full = outbox(DATAGRAM_BATCH as u16);
        assert!(!full.push(&Header::default(), Tick(0), |_| 0));
    }

    #[test]
    fn oversized_datagrams_come_out_empty() {
        let (a, b) = pair();
        a.send_to(&[0x80; 3000], b.local_addr().unwrap()).unwrap();
        let mut batch = ReceiveBatch::new();
        assert_eq!(batch.receive(&b), 1);
        assert!(batch.datagram(0).unwrap().octets.is_empty());
    }

    #[test]
    fn six_is_like_four() {
        let Ok(a) = UdpSocket::bind("[::1]:0") else { return };
        let b = UdpSocket::bind("[::1]:0").unwrap();
        set_up(&a).unwrap();
        set_up(&b).unwrap();
        assert_eq!(send(&a, b.local_addr().unwrap(), outbox(2).packets()), 2);
        let mut batch = ReceiveBatch::new();
        assert_eq!(batch.receive(&b), 2);
        assert_eq!(batch.datagram(0).unwrap().from, a.local_addr().unwrap());
    }

    #[test]
    fn the_poller_reports_readable_sockets_and_times_out() {
        let (a, b) = pair();
        let mut poller = Poller::new().unwrap();
        poller.add(b.as_raw_fd(), 42).unwrap();
        let before = clock::monotonic();
        assert_eq!(poller.wait(Some(Duration::from_millis(3))), 0);
        assert!(clock::monotonic().since(before) >= Duration::from_millis(3));
        send(&a, b.local_addr().unwrap(), outbox(1).packets());
        assert_eq!(poller.wait(Some(Duration::from_secs(5))), 1);
        assert_eq!(poller.token(0), 42);
        poller.coarse = true;
        assert_eq!(poller.wait(Some(Duration::from_secs(5))), 1);
        poller.remove(b.as_raw_fd());
        assert_eq!(poller.wait(Some(Duration::ZERO)), 0);
    }
}
