//! The whole line: SIP in, speech heard, read back, approved, built, served, counted, reported, all as a stranger sees it.

use std::process::Command;

#[test]
fn the_demonstration_ends_with_the_right_number_heard() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let output = Command::new(env!("CARGO_BIN_EXE_callwright"))
        .args(["demo", "--once", "--data"])
        .arg(directory.path())
        .output()
        .expect("the binary was built with this test");
    let shown = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let log = std::fs::read_to_string(directory.path().join("demo-daemon.log")).unwrap_or_default();
    assert!(output.status.success(), "{shown}\n── the daemon's log ──\n{log}");
    assert!(shown.contains("which is what was put in"), "{shown}");
    assert!(!log.contains("panicked"), "{log}");
}
