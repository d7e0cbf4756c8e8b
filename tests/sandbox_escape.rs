//! Hostile acts from within the cage of an app, each in a process of its own, each of which must be denied: in the full
//! cage, as on kernels whose Landlock is at version 2 or 1 (files only), and for a process that never was root. Without a
//! cage each of [`HOSTILE`] must succeed where the machine itself allows it, so that a denial means the cage.
//!
//! The program is its own victim: `sandbox_escape probe NAME …` enters the cage and acts. Hence no libtest here.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a test program of its own reports on its own")]

use callwright::apphost::cage;
use callwright::os::sandbox;
use std::ffi::CString;
use std::io::{self, Error, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};

/// Exit codes of a probe.
const DENIED: u8 = 10;
const ESCAPED: u8 = 11;
const NO_CAGE: u8 = 12;
const KERNEL_LACKS: u8 = 13;

/// What a probe may use.
struct Scene {
    tcp: u16,
    udp: u16,
    home: PathBuf,
    /// The data directory as the probe sees it.
    data: PathBuf,
    parent: i32,
    /// Another app's process, of the user that a settled root is.
    sibling: i32,
}

struct Probe {
    name: &'static str,
    /// Where it works without a cage.
    works_free: Free,
    act: fn(&Scene) -> io::Result<()>,
}

/// Where an act succeeds without a cage.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Free {
    /// Everywhere.
    Always,
    /// For a root with all capabilities of a virtual machine; what a container leaves of them differs.
    Root,
    /// Where the kernel has it and it is not switched off; an answer of ENOSYS or EPERM then is the kernel's own.
    Kernel,
    /// It is not tried: it would harm the machine, or the arguments are made up.
    Untried,
}

/// The programs that people ask about; the others try the same doors by other handles.
const HOSTILE: [(&str, &[&str]); 15] = [
    ("reads secrets", &["read_secrets", "read_beside_the_data"]),
    ("writes outside", &["write_beside_the_data", "write_bundle", "write_tmp"]),
    ("connects by TCP", &["tcp_connect"]),
    ("sends UDP", &["udp_send"]),
    ("opens a raw socket", &["raw_socket", "packet_socket"]),
    ("connects to an abstract socket", &["abstract_socket"]),
    ("signals the daemon", &["signal_parent", "signal_parent_thread"]),
    ("kills a sibling", &["kill_sibling"]),
    ("traces a process", &["trace_sibling", "be_traced"]),
    ("forks without end", &["fork_bomb"]),
    ("fills the disk", &["fill_disk"]),
    ("uses io_uring", &["io_uring"]),
    ("makes a user namespace", &["new_user_namespace"]),
    ("reads another's memory", &["read_parent_memory", "read_sibling_memory"]),
    ("gets out by a link or setuid", &["follow_planted_link", "make_link_out", "make_setuid_file", "be_root_again"]),
];

macro_rules! probes {
    ($($name:ident $works:ident |$scene:pat_param| $act:expr;)*) => {
        const PROBES: &[Probe] = &[$(Probe { name: stringify!($name), works_free: Free::$works, act: |$scene| $act }),*];
    };
}

/// A system call by number; arguments are numbers or pointers to what outlives the call.
fn call(number: libc::c_long, arguments: [i64; 5]) -> io::Result<()> {
    let [a, b, c, d, e] = arguments;
    // SAFETY: the probes below pass valid pointers, null or numbers; a call that misuses them is denied or fails.
    let result = unsafe { libc::syscall(number, a, b, c, d, e) };
    if result < 0 { Err(Error::last_os_error()) } else { Ok(()) }
}

fn text(text: &str) -> CString {
    CString::new(text).expect("probes hold no NUL")
}

/// A pointer as a system call's argument.
fn at(text: &CString) -> i64 {
    text.as_ptr() as i64
}

fn fork() -> io::Result<()> {
    // SAFETY: the child only ends itself.
    match unsafe { libc::fork() } {
        -1 => Err(Error::last_os_error()),
        // SAFETY: ends the child at once, without handlers of the parent.
        0 => unsafe { libc::_exit(0) },
        pid => {
            // SAFETY: reaps the child; no status is asked for.
            unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
            Ok(())
        }
    }
}

probes! {
    read_accounts Always |_| std::fs::read("/etc/passwd").map(drop);
    read_secrets Root |_| std::fs::read("/etc/shadow").map(drop);
    read_beside_the_data Always |s| std::fs::read(s.home.join("secret")).map(drop);
    list_root_directory Always |_| std::fs::read_dir("/etc").map(drop);
    write_tmp Always |s| std::fs::write(std::env::temp_dir().join(format!("escape-{}", s.parent)), "x");
    write_beside_the_data Always |s| std::fs::write(s.home.join("planted"), "x");
    write_bundle Always |s| std::fs::write(s.home.join("bundle/planted.sql"), "x");
    follow_planted_link Always |s| std::fs::read(s.data.join("link")).map(drop);
    make_link_out Always |s| std::os::unix::fs::symlink("/etc", s.data.join("out"));
    make_setuid_file Always |s| {
        use std::os::unix::fs::PermissionsExt;
        let file = std::fs::File::create(s.data.join("raised"))?;
        file.set_permissions(std::fs::Permissions::from_mode(0o4755))
    };
    make_hard_link Always |s| std::fs::hard_link(s.data.join("mine"), s.data.join("hard"));
    make_device Untried |s| call(libc::SYS_mknodat, [libc::AT_FDCWD.into(), at(&text(&s.data.join("mem").to_string_lossy())), 0o020_600, 0x101, 0]);
    tcp_connect Always |s| TcpStream::connect(("127.0.0.1", s.tcp)).map(drop);
    tcp_listen Always |_| TcpListener::bind("127.0.0.1:0").map(drop);
    udp_send Always |s| UdpSocket::bind("127.0.0.1:0").and_then(|u| u.send_to(b"x", ("127.0.0.1", s.udp))).map(drop);
    raw_socket Root |_| call(libc::SYS_socket, [libc::AF_INET.into(), libc::SOCK_RAW.into(), libc::IPPROTO_ICMP.into(), 0, 0]);
    packet_socket Root |_| call(libc::SYS_socket, [libc::AF_PACKET.into(), libc::SOCK_RAW.into(), 0x300, 0, 0]);
    netlink_socket Always |_| call(libc::SYS_socket, [libc::AF_NETLINK.into(), libc::SOCK_RAW.into(), 0, 0, 0]);
    vsock_socket Untried |_| call(libc::SYS_socket, [libc::AF_VSOCK.into(), libc::SOCK_STREAM.into(), 0, 0, 0]);
    unix_socket Always |s| UnixStream::connect(s.home.join("other.sock")).map(drop);
    unix_datagram_pair Always |_| std::os::unix::net::UnixDatagram::pair().map(drop);
    abstract_socket Always |s| {
        SocketAddr::from_abstract_name(abstract_name(&s.home)).and_then(|a| UnixStream::connect_addr(&a)).map(drop)
    };
    signal_parent Always |s| call(libc::SYS_kill, [s.parent.into(), 0, 0, 0, 0]);
    signal_parent_thread Always |s| call(libc::SYS_tgkill, [s.parent.into(), s.parent.into(), 0, 0, 0]);
    signal_by_descriptor Untried |s| {
        // SIGIO to the parent when something happens on descriptor 0.
        call(libc::SYS_fcntl, [0, libc::F_SETOWN.into(), s.parent.into(), 0, 0])
    };
    kill_sibling Always |s| call(libc::SYS_kill, [s.sibling.into(), libc::SIGKILL.into(), 0, 0, 0]);
    trace_sibling Root |s| call(libc::SYS_ptrace, [libc::PTRACE_ATTACH.into(), s.sibling.into(), 0, 0, 0]);
    be_traced Always |_| call(libc::SYS_ptrace, [libc::PTRACE_TRACEME.into(), 0, 0, 0, 0]);
    read_sibling_memory Root |s| std::fs::File::open(format!("/proc/{}/mem", s.sibling)).map(drop);
    trace_parent Untried |s| call(libc::SYS_ptrace, [libc::PTRACE_ATTACH.into(), s.parent.into(), 0, 0, 0]);
    read_parent_memory Root |s| std::fs::File::open(format!("/proc/{}/mem", s.parent)).map(drop);
    read_parent_memory_by_call Untried |s| call(libc::SYS_process_vm_readv, [s.parent.into(), 0, 0, 0, 0]);
    read_own_maps Always |_| std::fs::read("/proc/self/maps").map(drop);
    fork_bomb Always |_| (0..10).try_for_each(|_| fork());
    new_thread Always |_| std::thread::Builder::new().spawn(|| ()).map(|t| _ = t.join());
    run_shell Always |_| Command::new("/bin/sh").args(["-c", "exit 0"]).status().map(drop);
    become_shell Always |_| {
        let (path, arguments) = (text("/bin/true"), [std::ptr::null::<libc::c_char>()]);
        // SAFETY: a path and an empty, terminated list of arguments; on success this process is gone.
        unsafe { libc::execve(path.as_ptr(), arguments.as_ptr(), arguments.as_ptr()) };
        Err(Error::last_os_error())
    };
    be_root_again Root |_| call(libc::SYS_setresuid, [0, 0, 0, 0, 0]);
    new_user_namespace Kernel |_| call(libc::SYS_unshare, [libc::CLONE_NEWUSER.into(), 0, 0, 0, 0]);
    new_mount_namespace Root |_| call(libc::SYS_unshare, [libc::CLONE_NEWNS.into(), 0, 0, 0, 0]);
    mount Untried |_| call(libc::SYS_mount, [at(&text("none")), at(&text("/")), at(&text("tmpfs")), 0, 0]);
    change_root Root |_| call(libc::SYS_chroot, [at(&text("/")), 0, 0, 0, 0]);
    io_uring Kernel |_| {
        let parameters = [0_u64; 15];
        call(libc::SYS_io_uring_setup, [4, parameters.as_ptr() as i64, 0, 0, 0])
    };
    bpf Untried |_| {
        let attributes = [2_u32, 4, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        call(libc::SYS_bpf, [0, attributes.as_ptr() as i64, 72, 0, 0])
    };
    keyring Untried |_| call(libc::SYS_keyctl, [0, -3, 1, 0, 0]);
    performance_counters Untried |_| call(libc::SYS_perf_event_open, [0, 0, -1, -1, 0]);
    user_faults Untried |_| call(libc::SYS_userfaultfd, [0, 0, 0, 0, 0]);
    file_in_memory Always |_| call(libc::SYS_memfd_create, [at(&text("x")), 0, 0, 0, 0]);
    executable_memory Always |_| {
        let (size, rights) = (4096, libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC);
        // SAFETY: a fresh anonymous mapping that nothing uses.
        let memory = unsafe { libc::mmap(std::ptr::null_mut(), size, rights, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0) };
        if memory == libc::MAP_FAILED { Err(Error::last_os_error()) } else { Ok(()) }
    };
    lift_limits Untried |_| {
        let limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
        // SAFETY: the pointer is to a live struct for the duration of the call.
        if unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) } == 0 { Ok(()) } else { Err(Error::last_os_error()) }
    };
    fill_disk Always |s| {
        use std::os::unix::fs::FileExt;
        std::fs::File::create(s.data.join("big"))?.write_all_at(b"x", 8 << 30)
    };
    fill_memory Always |_| {
        // SAFETY: a fresh anonymous mapping that nothing uses.
        let memory = unsafe { libc::mmap(std::ptr::null_mut(), 4 << 30, libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0) };
        if memory == libc::MAP_FAILED { Err(Error::last_os_error()) } else { Ok(()) }
    };
    many_descriptors Always |_| {
        let files: io::Result<Vec<_>> = (0..200).map(|_| io::stdin().as_raw_fd()).map(|fd| {
            // SAFETY: duplicates a descriptor; the number is never used again.
            match unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) } { -1 => Err(Error::last_os_error()), n => Ok(n) }
        }).collect();
        files.map(drop)
    };
    forgotten_descriptor Always |_| call(libc::SYS_fcntl, [FORGOTTEN.into(), libc::F_GETFD.into(), 0, 0, 0]);
    environment Always |_| if std::env::vars_os().next().is_some() { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) };
    terminal_input Untried |_| call(libc::SYS_ioctl, [0, 0x5412, at(&text("x")), 0, 0]);
    drop_the_filter Untried |_| call(libc::SYS_seccomp, [0, 0, 0, 0, 0]);
}

/// Number of a descriptor that the test leaves open for the probe.
const FORGOTTEN: i32 = 77;

fn abstract_name(home: &Path) -> String {
    format!("escape-{}", home.display())
}

/// How a probe is run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    Free,
    Full,
    /// Landlock masked to version 2, as on Debian 12's own kernel: seccomp alone closes the network.
    Abi2,
    FilesOnly,
}

const TESTS: &[(&str, fn())] = &[
    ("acts_work_without_a_cage", || all(Mode::Free, None)),
    ("the_hostile_programs_are_all_there", hostile),
    ("every_act_is_denied", || all(Mode::Full, None)),
    ("every_act_is_denied_where_landlock_is_at_version_2", || all(Mode::Abi2, None)),
    ("every_act_is_denied_where_landlock_only_knows_files", || all(Mode::FilesOnly, None)),
    ("every_act_is_denied_to_a_plain_user", || {
        if is_root() {
            all(Mode::Full, Some(sandbox::NOBODY));
        }
    }),
    ("what_an_app_needs_is_allowed", allowed),
    ("without_landlock_it_refuses_and_says_why", || refuses("landlock", "does not enforce Landlock")),
    ("without_seccomp_it_refuses_and_says_why", || refuses("seccomp", "does not take seccomp filters")),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["probe", name, mode, rest @ ..] => ExitCode::from(probe(name, mode, rest)),
        ["without", what, command @ ..] => without(what, command),
        _ if words.contains(&"--list") => {
            if !words.contains(&"--ignored") {
                TESTS.iter().for_each(|(name, _)| println!("{name}: test"));
            }
            ExitCode::SUCCESS
        }
        _ => {
            let wanted: Vec<_> = words.iter().filter(|w| !w.starts_with('-')).collect();
            let exact = words.contains(&"--exact");
            let is_wanted = |name: &str| {
                wanted.is_empty() || wanted.iter().any(|w| if exact { name == **w } else { name.contains(**w) })
            };
            for (name, test) in TESTS.iter().filter(|(name, _)| is_wanted(name)) {
                test();
                println!("test {name} ... ok");
            }
            ExitCode::SUCCESS
        }
    }
}

/// In the victim: enters the cage, acts, tells by the exit code.
fn probe(name: &str, mode: &str, rest: &[&str]) -> u8 {
    let [home, tcp, udp, parent, sibling] = rest else { return NO_CAGE };
    let home = PathBuf::from(home);
    let mut data = home.join("data");
    if mode != "Free" {
        let mut plan = cage(&home.join("bundle"), &data, Vec::new());
        plan.landlock_abi_max = match mode {
            "FilesOnly" => Some(1),
            "Abi2" => Some(2),
            _ => None,
        };
        match sandbox::enter(plan).and_then(sandbox::Cage::settle) {
            Ok(settled) => data = settled.writable,
            Err(e) => {
                eprintln!("{e}");
                return NO_CAGE;
            }
        }
    }
    let number = |t: &str| t.parse().unwrap_or(0);
    let scene = Scene {
        tcp: number(tcp),
        udp: number(udp),
        home,
        data,
        parent: parent.parse().unwrap_or(1),
        sibling: sibling.parse().unwrap_or(1),
    };
    if name == "allowed" {
        return if works(&scene).is_ok() { ESCAPED } else { DENIED };
    }
    let Some(probe) = PROBES.iter().find(|p| p.name == name) else { return NO_CAGE };
    match (probe.act)(&scene) {
        Ok(()) => ESCAPED,
        Err(e) => {
            _ = writeln!(io::stderr(), "{e}");
            // Without a cage this is the kernel's own word.
            let off = matches!(e.raw_os_error(), Some(libc::ENOSYS | libc::EPERM | libc::ENOSPC));
            if off && mode == "Free" { KERNEL_LACKS } else { DENIED }
        }
    }
}

/// What an app does all day.
fn works(scene: &Scene) -> io::Result<()> {
    let file = scene.data.join("app.db");
    std::fs::write(&file, "x")?;
    std::fs::File::options().append(true).open(&file)?.write_all(b"y")?;
    assert_eq!(std::fs::read(&file)?, b"xy");
    std::fs::File::options().write(true).open(&file)?.set_len(1)?;
    std::fs::remove_file(&file)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { tokio::time::sleep(std::time::Duration::from_millis(1)).await });
    Ok(())
}

/// In a wrapper: makes a system call look missing, then becomes `command`.
fn without(what: &str, command: &[&str]) -> ExitCode {
    use seccompiler::{SeccompAction, SeccompFilter};
    let number = if what == "landlock" { libc::SYS_landlock_create_ruleset } else { libc::SYS_seccomp };
    let missing = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let arch = std::env::consts::ARCH.try_into().expect("this machine's architecture is known");
    let filter =
        SeccompFilter::new([(number, Vec::new())].into(), SeccompAction::Allow, missing, arch).expect("one rule");
    let program: seccompiler::BpfProgram = filter.try_into().expect("one rule");
    seccompiler::apply_filter(&program).expect("the test machine takes filters");
    let failed = Command::new(command[0]).args(&command[1..]).exec();
    eprintln!("{failed}");
    ExitCode::FAILURE
}

/// Root with every capability that an act of [`Free::Root`] takes.
fn is_full_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0);
    // SETUID, NET_RAW, SYS_CHROOT, SYS_PTRACE, SYS_ADMIN (capability.h).
    is_root() && [7, 13, 18, 19, 21].iter().all(|bit| effective & (1 << bit) != 0)
}

fn is_root() -> bool {
    // SAFETY: reads a number.
    unsafe { libc::geteuid() == 0 }
}

/// Everything that a probe could reach, and one run of it.
struct Stage {
    home: tempfile::TempDir,
    exe: PathBuf,
    tcp: TcpListener,
    udp: UdpSocket,
    _sockets: [UnixListener; 2],
}

/// A process that stands for another app; ended with this.
struct Sibling(std::process::Child);

impl Sibling {
    fn start() -> Self {
        let mut command = Command::new("sleep");
        command.arg("600");
        if is_root() {
            command.uid(sandbox::NOBODY).gid(sandbox::NOBODY);
        }
        Self(command.spawn().unwrap())
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Sibling {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

impl Stage {
    fn new() -> Self {
        let home = tempfile::Builder::new().prefix("cage").tempdir().unwrap();
        let open = |path: &Path| {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
        };
        // Permissions deny nothing here, so that the cage must.
        open(home.path());
        for dir in ["bundle", "data"] {
            std::fs::create_dir(home.path().join(dir)).unwrap();
            open(&home.path().join(dir));
        }
        std::fs::write(home.path().join("secret"), "x").unwrap();
        std::fs::write(home.path().join("data/mine"), "x").unwrap();
        open(&home.path().join("data/mine"));
        std::os::unix::fs::symlink("/etc/passwd", home.path().join("data/link")).unwrap();
        // Beside the data, so that a plain user can run it wherever the build directory is.
        let exe = home.path().join("probe");
        std::fs::copy(std::env::current_exe().unwrap(), &exe).unwrap();
        let name = SocketAddr::from_abstract_name(abstract_name(home.path())).unwrap();
        let sockets =
            [UnixListener::bind(home.path().join("other.sock")).unwrap(), UnixListener::bind_addr(&name).unwrap()];
        open(&home.path().join("other.sock"));
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        Self { home, exe, tcp, udp, _sockets: sockets }
    }

    fn run(&self, name: &str, mode: Mode, user: Option<u32>, sibling: u32) -> Output {
        let mut command = Command::new(&self.exe);
        command.args(["probe", name, &format!("{mode:?}")]).arg(self.home.path());
        command.arg(self.tcp.local_addr().unwrap().port().to_string());
        command.arg(self.udp.local_addr().unwrap().port().to_string());
        command.arg(std::process::id().to_string()).arg(sibling.to_string()).env("SECRET", "x");
        if let Some(user) = user {
            command.uid(user).gid(user);
        }
        // SAFETY: between fork and exec only one system call that is safe there: it leaves a descriptor open.
        unsafe {
            command.pre_exec(|| if libc::dup2(0, FORGOTTEN) < 0 { Err(Error::last_os_error()) } else { Ok(()) });
        }
        command.output().unwrap()
    }
}

fn all(mode: Mode, user: Option<u32>) {
    let stage = Stage::new();
    let mut sibling = Sibling::start();
    let mut wrong = Vec::new();
    for probe in PROBES {
        let tried = match probe.works_free {
            Free::Always | Free::Kernel => true,
            Free::Root => is_full_root(),
            Free::Untried => false,
        };
        if mode == Mode::Free && !tried {
            continue;
        }
        let output = stage.run(probe.name, mode, user, sibling.0.id());
        let code = output.status.code().map(|c| u8::try_from(c).unwrap_or(0));
        let said = String::from_utf8_lossy(&output.stderr);
        let as_wanted = match (mode, code) {
            // Becoming another program ends this one with that program's code.
            (Mode::Free, Some(0)) => probe.name == "become_shell",
            (Mode::Free, Some(KERNEL_LACKS)) if probe.works_free == Free::Kernel => {
                println!("{}: no control here, this kernel refuses it to everybody: {}", probe.name, said.trim());
                true
            }
            (Mode::Free, code) => code == Some(ESCAPED),
            (_, code) => code == Some(DENIED),
        };
        if !as_wanted {
            wrong.push(format!("{}: {code:?} {}", probe.name, said.trim()));
        }
        if mode == Mode::Free && probe.name == "kill_sibling" {
            // The control is its end, which `wait` returns from.
            _ = sibling.0.wait();
            sibling = Sibling::start();
        }
    }
    assert!(wrong.is_empty(), "{mode:?}, user {user:?}:\n{}", wrong.join("\n"));
    assert!(sibling.lives(), "{mode:?}: a caged process has killed another app");
    assert!(!stage.home.path().join("planted").exists() || mode == Mode::Free);
    _ = std::fs::remove_file(std::env::temp_dir().join(format!("escape-{}", std::process::id())));
}

/// Each of the fifteen is tried, and each has an act that can succeed without a cage.
fn hostile() {
    for (what, acts) in HOSTILE {
        let kinds: Vec<Free> = acts
            .iter()
            .map(|name| PROBES.iter().find(|p| p.name == *name).unwrap_or_else(|| panic!("no probe {name}")).works_free)
            .collect();
        assert!(kinds.iter().any(|kind| *kind != Free::Untried), "{what} has no control");
    }
}

fn allowed() {
    let stage = Stage::new();
    for mode in [Mode::Full, Mode::Abi2, Mode::FilesOnly] {
        let output = stage.run("allowed", mode, None, 1);
        assert_eq!(output.status.code(), Some(ESCAPED.into()), "{mode:?} {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The real program on a kernel that lacks a layer.
fn refuses(what: &str, sentence: &str) {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("bundle")).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["without", what, env!("CARGO_BIN_EXE_callwright"), "apphost", "--listen", "127.0.0.1:0", "--bundle"])
        .arg(home.path().join("bundle"))
        .arg("--data")
        .arg(home.path().join("data"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(sentence), "{said}");
}
