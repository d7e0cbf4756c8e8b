//! Whether a pack works, found out where it can do no harm. sherpa-onnx ends its process when a model's metadata are not
//! those that it expects, so a pack is loaded by a child of our own program first.
//!
//! Owning thread: the installing one, which waits. Invariants: the child ends with the thread that started it, or after
//! [`VERIFICATION_MAX`]; what it prints is bounded; whatever becomes of it is a sentence. Deliberately absent: the loading
//! itself (`models::pack::probe`, which the child's hidden subcommand calls).

use super::error::PackError;
use crate::limits::{VERIFICATION_MAX, VERIFICATION_OUTPUT_MAX};
use crate::os::process::end_with_parent;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Exit code of a child that refuses in good order and says on stderr why.
pub const REFUSED: u8 = 3;

/// What the child found: on stdout with exit code 0, else the last line of stderr with [`REFUSED`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It loaded, and this is what it did.
    Works(String),
    /// It was refused in good order, for this reason.
    Refused(String),
}

/// Lets `program` (our own) load the pack in `directory`. Returns what it did.
///
/// # Errors
/// [`PackError::Verification`].
pub fn in_child(program: &Path, name: &str, directory: &Path, bench: bool) -> Result<String, PackError> {
    let mut command = Command::new(program);
    command.args(["models", "probe"]).arg(directory);
    if bench {
        command.arg("--bench");
    }
    let verdict = run(&mut command, VERIFICATION_MAX);
    match verdict {
        Verdict::Works(what) => Ok(what),
        Verdict::Refused(why) => Err(PackError::Verification { name: name.to_owned(), why }),
    }
}

fn run(command: &mut Command, limit: Duration) -> Verdict {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match end_with_parent(command).spawn() {
        Ok(child) => child,
        Err(error) => return Verdict::Refused(format!("the process that tries it cannot be started ({error})")),
    };
    let out = listen(child.stdout.take());
    let err = listen(child.stderr.take());
    let status = wait(&mut child, limit);
    // A grandchild could hold the pipes open; the engines start none.
    let (out, err) = (heard(out), heard(err));
    match status {
        None => Verdict::Refused(format!("it did not load within {} s", limit.as_secs())),
        Some(status) if status.success() && !out.trim().is_empty() => Verdict::Works(out.trim().to_owned()),
        Some(status) if status.code() == Some(REFUSED.into()) => Verdict::Refused(last_words(&err)),
        Some(status) => Verdict::Refused(died(status, &err)),
    }
}

fn last_words(complaint: &str) -> String {
    let last = complaint.lines().rev().map(str::trim).find(|line| !line.is_empty());
    last.unwrap_or_default().chars().filter(|c| !c.is_control()).take(600).collect()
}

fn died(status: ExitStatus, complaint: &str) -> String {
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "without a reason".to_owned(),
    };
    let last = last_words(complaint);
    let last = if last.is_empty() { String::new() } else { format!(", its last words: {last}") };
    format!(
        "the engine ended the process that tried it ({how}{last}); the files are damaged, or not of the family that the pack says"
    )
}

type Ear = Option<JoinHandle<Vec<u8>>>;

fn listen(pipe: Option<impl Read + Send + 'static>) -> Ear {
    let mut pipe = pipe?;
    let ear = std::thread::Builder::new().name("probe-output".to_owned()).spawn(move || {
        let mut heard = Vec::new();
        // What is beyond the bound is read and dropped, so that the child does not wait for us.
        let _ = pipe.by_ref().take(VERIFICATION_OUTPUT_MAX).read_to_end(&mut heard);
        let _ = std::io::copy(&mut pipe, &mut std::io::sink());
        heard
    });
    ear.ok()
}

fn heard(ear: Ear) -> String {
    let octets = ear.and_then(|ear| ear.join().ok()).unwrap_or_default();
    String::from_utf8_lossy(&octets).into_owned()
}

/// `None`: it was still running at the end and was killed.
fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let end = Instant::now() + limit;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(20)),
            _ => {
                // It may have ended by itself in this moment.
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Verdict {
        run(Command::new("sh").args(["-c", script]), Duration::from_secs(20))
    }

    #[test]
    fn what_the_child_says_is_the_verdict() {
        assert_eq!(shell("echo noise >&2; echo silence"), Verdict::Works("silence".to_owned()));
        let refusal = shell("echo maybe; echo noise >&2; echo 'no tokens' >&2; exit 3");
        assert_eq!(refusal, Verdict::Refused("no tokens".to_owned()));
    }

    #[test]
    fn a_child_that_dies_becomes_a_sentence() {
        let said = |script| match shell(script) {
            Verdict::Refused(why) => why,
            Verdict::Works(what) => panic!("{what}"),
        };
        let why = said("echo 'encoder.cc:41 model_type does not exist in the metadata' >&2; exit 255");
        assert!(why.contains("exit code 255") && why.contains("model_type does not exist"), "{why}");
        assert!(said("kill -SEGV $$").contains("signal 11"));
        assert!(said("exit 0").contains("exit code 0"), "silence is no yes");
    }

    #[test]
    fn a_child_that_hangs_or_babbles_is_ended() {
        let started = Instant::now();
        let verdict = run(Command::new("sleep").arg("60"), Duration::from_millis(100));
        assert!(matches!(verdict, Verdict::Refused(why) if why.contains("did not load")));
        assert!(started.elapsed() < Duration::from_secs(20));
        // Beyond the bound it is read and forgotten, so that the child comes to its end.
        let Verdict::Works(heard) = shell("head -c 3000000 /dev/zero | tr '\\0' a") else { panic!("it works") };
        assert_eq!(heard.len() as u64, VERIFICATION_OUTPUT_MAX);
    }

    #[test]
    fn a_program_that_is_not_there_is_said() {
        let error = in_child(Path::new("/nonexistent"), "p", Path::new("/"), false).unwrap_err();
        assert!(error.to_string().contains("cannot be started"), "{error}");
    }
}
