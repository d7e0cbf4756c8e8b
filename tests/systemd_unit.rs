//! The unit is what stands between a bug and the box: `systemd-analyze` must find it valid and hardened, and it must not
//! have lost what the daemon needs (real time, locked memory, the sandbox of apps).

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Exposure times ten, as `--threshold=` takes it.
const EXPOSURE_MAX_TENTHS: u32 = 15;

fn unit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/callwright.service")
}

fn text() -> String {
    std::fs::read_to_string(unit()).expect("the unit is part of the tree")
}

fn analyze(arguments: &[&str], unit: &Path) -> Output {
    Command::new("systemd-analyze")
        .args(arguments)
        .arg(unit)
        .env("SYSTEMD_COLORS", "0")
        .output()
        .expect("systemd-analyze is installed by `make setup-test` (package systemd)")
}

fn shown(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// `verify` wants the binary to exist: a copy of the unit points at one that does.
fn copy_with(directory: &Path, from: &str, to: &str) -> PathBuf {
    let copy = directory.join("callwright.service");
    let text = text();
    assert!(text.contains(from), "the unit has {from}");
    std::fs::write(&copy, text.replace(from, to)).expect("the temporary directory is writable");
    copy
}

#[test]
fn exposure_is_at_most_one_and_a_half() {
    let output =
        analyze(&["security", "--offline=true", &format!("--threshold={EXPOSURE_MAX_TENTHS}"), "--no-pager"], &unit());
    assert!(output.status.success(), "exposure is above {EXPOSURE_MAX_TENTHS} tenths:\n{}", shown(&output));
}

#[test]
fn verify_is_silent() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let copy = copy_with(directory.path(), "/usr/bin/callwright serve", "/bin/true serve");
    let output = analyze(&["verify", "--man=no"], &copy);
    assert!(output.status.success() && shown(&output).trim().is_empty(), "{}", shown(&output));
}

/// The supervisor of apps needs even less.
#[test]
fn the_apps_unit_is_valid_and_has_no_network() {
    let unit = unit().with_file_name("callwright-apps.service");
    let output = analyze(&["security", "--offline=true", "--threshold=10", "--no-pager"], &unit);
    assert!(output.status.success(), "exposure is above 1.0:\n{}", shown(&output));
    let text = std::fs::read_to_string(&unit).expect("the unit is part of the tree");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let copy = directory.path().join("callwright-apps.service");
    let runnable = text.replace("/usr/bin/callwright supervise", "/bin/true supervise");
    assert_ne!(runnable, text);
    std::fs::write(&copy, runnable).expect("the temporary directory is writable");
    let output = analyze(&["verify", "--man=no"], &copy);
    assert!(output.status.success() && shown(&output).trim().is_empty(), "{}", shown(&output));
    for line in ["PrivateNetwork=yes", "RestrictAddressFamilies=AF_UNIX", "User=callwright"] {
        assert!(text.lines().any(|have| have == line), "the unit has lost {line}");
    }
}

/// The check above can fail: without this a broken `systemd-analyze` would pass everything.
#[test]
fn verify_and_exposure_notice_a_broken_unit() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let copy = copy_with(directory.path(), "ProtectSystem=strict", "ProtectSystm=strict");
    assert!(!shown(&analyze(&["verify", "--man=no"], &copy)).trim().is_empty());
    let copy = copy_with(directory.path(), "CapabilityBoundingSet=\n", "CapabilityBoundingSet=~\n");
    let strict = format!("--threshold={EXPOSURE_MAX_TENTHS}");
    assert!(!analyze(&["security", "--offline=true", &strict, "--no-pager"], &copy).status.success());
}

/// Hardening that takes away what the daemon lives on would only show on a customer's box.
#[test]
fn the_unit_keeps_what_the_daemon_needs() {
    let text = text();
    for line in [
        "Type=notify",
        "WatchdogSec=10",
        "LimitRTPRIO=50",
        "LimitMEMLOCK=infinity",
        "StateDirectory=callwright",
        "Environment=CALLWRIGHT__APPS__SUPERVISOR=unit",
        "ExecStart=/usr/bin/callwright serve --config /etc/callwright/callwright.toml",
    ] {
        assert!(text.lines().any(|have| have == line), "the unit has lost {line}");
    }
    for absent in ["CPUQuota=", "CPUWeight=", "RestrictRealtime=yes", "CPUSchedulingPolicy=", "PrivateNetwork=yes"] {
        assert!(!text.lines().any(|have| have.starts_with(absent)), "{absent} takes real time or the network away");
    }
}

/// What the filter lets through, computed with systemd's own groups, holds every call of the sandbox and the schedulers.
#[test]
fn the_filter_lets_sandbox_and_scheduling_through() {
    let group = |name: &str| -> Vec<String> {
        let output =
            Command::new("systemd-analyze").args(["syscall-filter", name]).output().expect("installed, see above");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines()
            .skip(1)
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(str::to_owned)
            .collect()
    };
    fn expand(name: &str, group: &dyn Fn(&str) -> Vec<String>) -> Vec<String> {
        if name.starts_with('@') {
            group(name).iter().flat_map(|inner| expand(inner, group)).collect()
        } else {
            vec![name.to_owned()]
        }
    }
    let mut allowed = std::collections::BTreeSet::new();
    for line in text().lines().filter_map(|line| line.strip_prefix("SystemCallFilter=").map(str::to_owned)) {
        let (list, removes) = line.strip_prefix('~').map_or((line.as_str(), false), |rest| (rest, true));
        for call in list.split_whitespace().flat_map(|name| expand(name, &group)) {
            if removes {
                allowed.remove(&call);
            } else {
                allowed.insert(call);
            }
        }
    }
    let needed = [
        "landlock_create_ruleset",
        "landlock_add_rule",
        "landlock_restrict_self",
        "seccomp",
        "prctl",
        "prlimit64",
        "sched_setscheduler",
        "sched_setaffinity",
        "sched_setattr",
        "setpriority",
        "mlockall",
        "clone3",
        "execve",
        "wait4",
        "recvmmsg",
        "sendmmsg",
        "epoll_pwait",
        "eventfd2",
        "timerfd_create",
        "clock_nanosleep",
        "io_setup",
        "fdatasync",
        "flock",
        "fcntl",
        "pwrite64",
        "memfd_create",
        "getrandom",
        "mremap",
        "futex",
        "kill",
        "tgkill",
        "rt_sigaction",
        "setsockopt",
        "accept4",
        "unlink",
        "rename",
        "ftruncate",
        "statx",
        "getdents64",
        "pidfd_open",
        "waitid",
        "setpgid",
        "setsid",
        "membarrier",
        "rseq",
        "set_robust_list",
        "getcpu",
        "sched_getaffinity",
        "sched_yield",
        "madvise",
    ];
    let missing: Vec<_> = needed.iter().filter(|call| !allowed.contains(**call)).collect();
    assert!(missing.is_empty(), "the unit's SystemCallFilter refuses {missing:?}");
    for refused in
        ["ptrace", "mount", "bpf", "kexec_load", "init_module", "reboot", "setuid", "clock_settime", "settimeofday"]
    {
        assert!(!allowed.contains(refused), "the unit's SystemCallFilter lets {refused} through");
    }
}
