//! Which system calls a thread makes beyond those that it may: the kernel asks us before each other one (seccomp user
//! notification), we write the number down and let it go on. A lock that somebody else holds is the call `futex`.

use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// `struct seccomp_notif`, seccomp_unotify(2).
#[repr(C)]
#[derive(Default)]
struct Notification {
    id: u64,
    pid: u32,
    flags: u32,
    nr: i32,
    arch: u32,
    instruction_pointer: u64,
    args: [u64; 6],
}

/// `struct seccomp_notif_resp`.
#[repr(C)]
#[derive(Default)]
struct Response {
    id: u64,
    val: i64,
    error: i32,
    flags: u32,
}

// _IOWR('!', 0, struct seccomp_notif) and _IOWR('!', 1, struct seccomp_notif_resp).
const RECEIVE: libc::c_ulong = 0xc050_2100;
const SEND: libc::c_ulong = 0xc018_2101;
const GO_ON: u32 = 1;
const FILTER: libc::c_ulong = 1;
const NEW_LISTENER: libc::c_ulong = 1 << 3;
const ALLOW: u32 = 0x7fff_0000;
const ASK: u32 = 0x7fc0_0000;

// Places in `struct seccomp_data`: the number, and the low word of the third argument.
const NUMBER: u32 = 0;
const THIRD: u32 = 32;

const WAITING: i32 = -1;
const REFUSED: i32 = -2;

/// Calls by thread and number.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<BTreeMap<(i32, i64), u64>>>);

impl Seen {
    /// What `thread` has called so far, by number.
    pub(crate) fn of(&self, thread: i32) -> BTreeMap<i64, u64> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().filter(|((t, _), _)| *t == thread).map(|((_, nr), count)| (*nr, *count)).collect()
    }
}

/// A call that a thread may make.
#[derive(Clone, Copy)]
pub(crate) enum Allowed {
    Any(i64),
    /// With this as its third argument: a read or write of so many octets.
    OfLength(i64, u32),
}

/// Runs `start` on a thread of its own under a filter that the threads started there inherit. `None` where the kernel has
/// no such filters for us.
pub(crate) fn watched<T: Send>(allowed: &[Allowed], start: impl FnOnce() -> T + Send) -> Option<(T, Seen)> {
    let seen = Seen::default();
    // Handed over without a lock: once the filter stands, waking somebody is a call that waits for an answer.
    let listener = Arc::new(AtomicI32::new(WAITING));
    let (book, listening) = (seen.clone(), Arc::clone(&listener));
    thread::spawn(move || answer(&listening, &book));
    let started = thread::scope(|scope| {
        scope
            .spawn(|| match install(allowed) {
                Some(fd) => {
                    listener.store(fd, SeqCst);
                    Some(start())
                }
                None => {
                    listener.store(REFUSED, SeqCst);
                    None
                }
            })
            .join()
            .unwrap()
    });
    Some((started?, seen))
}

fn answer(listener: &AtomicI32, seen: &Seen) {
    let fd = loop {
        match listener.load(SeqCst) {
            WAITING => thread::sleep(Duration::from_millis(1)),
            REFUSED => return,
            // SAFETY: the kernel has made it for us, and it is handed over once.
            fd => break unsafe { OwnedFd::from_raw_fd(fd) },
        }
    };
    loop {
        let mut notification = Notification::default();
        // SAFETY: the descriptor is a seccomp listener and the structure is as the kernel's.
        if unsafe { libc::ioctl(fd.as_raw_fd(), RECEIVE, &raw mut notification) } != 0 {
            // The caller has died while it waited, or all watched threads are gone.
            match std::io::Error::last_os_error().raw_os_error() {
                Some(libc::EINTR | libc::ENOENT) => continue,
                _ => return,
            }
        }
        let key = (notification.pid as i32, i64::from(notification.nr));
        *seen.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default() += 1;
        let mut response = Response { id: notification.id, flags: GO_ON, ..Response::default() };
        // SAFETY: as above.
        unsafe { libc::ioctl(fd.as_raw_fd(), SEND, &raw mut response) };
    }
}

fn install(allowed: &[Allowed]) -> Option<i32> {
    let statement = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let load = |at: u32| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at);
    let unless = |k: u32, skip: u8| {
        let code = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
        libc::sock_filter { code, jt: 0, jf: skip, k }
    };
    let [allow, ask] = [ALLOW, ASK].map(|what| statement(libc::BPF_RET | libc::BPF_K, what));
    let mut program = vec![load(NUMBER)];
    for call in allowed {
        match *call {
            Allowed::Any(nr) => program.extend([unless(u32::try_from(nr).ok()?, 1), allow]),
            Allowed::OfLength(nr, octets) => {
                program.extend([unless(u32::try_from(nr).ok()?, 4), load(THIRD), unless(octets, 1), allow, ask]);
            }
        }
    }
    program.push(ask);
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: no pointers; the promise not to gain privileges holds for this thread and its children.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return None;
    }
    // SAFETY: the program outlives the call, which copies it.
    let fd = unsafe { libc::syscall(libc::SYS_seccomp, FILTER, NEW_LISTENER, &raw const program) };
    i32::try_from(fd).ok().filter(|fd| *fd >= 0)
}
