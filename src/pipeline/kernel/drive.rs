//! Gives a task to a kernel and takes what it makes. Purpose: pipes and processes around `session`. Owner: the build thread,
//! which waits; a thread each reads and writes, since a kernel may neither read nor end. Invariants: a process is ended with all that
//! it has started, and is waited for, whatever comes of its task, and goes with the daemon: one of this program starts none, others
//! have a guard (`os::guard`); what waits in memory is bounded. Deliberately absent: what the frames mean.

use super::Kernel;
use super::frame::{self, Framer, FromKernel, Task, ToKernel};
use super::host;
use super::session::{Broken, Output, Session};
use crate::limits::{KERNEL_FRAME_MAX, KERNEL_PIECES_MAX};
use crate::os::{clock, process};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

/// Whether the task is still wanted is asked this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A kernel that was told to end has this long.
const GRACE: Duration = Duration::from_secs(2);
/// A guard that was told to end has this long for all that it guards.
const GUARD_GRACE: Duration = Duration::from_secs(10);
const GRACE_LOOK: Duration = Duration::from_millis(5);
/// Octets of what it printed that are quoted.
const LOG_TAIL: u64 = 600;

/// Has `kernel` do `task`. `program` is this program, `scratch` an empty directory of the task's own; `wanted` is asked from time to
/// time. Blocking.
///
/// # Errors
/// [`Broken`]; nothing came of it.
pub fn run(
    kernel: &dyn Kernel,
    program: &Path,
    scratch: &Path,
    task: Task,
    wanted: &dyn Fn() -> bool,
) -> Result<Output, Broken> {
    match kernel.command(program, scratch) {
        Some(command) => in_process(kernel.name(), program, command, scratch, task, wanted),
        None => in_place(kernel, task),
    }
}

/// A generator within this process: the same frames, without a pipe.
fn in_place(kernel: &dyn Kernel, task: Task) -> Result<Output, Broken> {
    let now = clock::monotonic();
    let (mut session, hello) = Session::new(kernel.name(), task.clone(), now);
    let input = [frame::write(&hello), frame::write(&ToKernel::Task(Box::new(task)))].concat();
    let mut output = Vec::new();
    host::serve(kernel, &mut &input[..], &mut output).map_err(|error| Broken::Start(error.to_string()))?;
    let mut framer = Framer::default();
    for piece in output.chunks(KERNEL_FRAME_MAX) {
        framer.push(piece);
        while let Some(line) = framer.next_line() {
            session.hear(FromKernel::read(&line?)?, now)?;
        }
    }
    session.output().ok_or(Broken::Died)
}

fn in_process(
    name: &str,
    program: &Path,
    command: Command,
    scratch: &Path,
    task: Task,
    wanted: &dyn Fn() -> bool,
) -> Result<Output, Broken> {
    let start = |error: std::io::Error| Broken::Start(error.to_string());
    let path = scratch.join("kernel.log");
    let mut log = File::options().create(true).truncate(true).read(true).write(true).open(&path).map_err(start)?;
    let printed = log.try_clone().map_err(start)?;
    let is_guarded = command.get_program() != program.as_os_str();
    let mut command = if is_guarded { guarded(program, &command) } else { command };
    command.env_clear().current_dir(scratch);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::from(printed));
    // Either ends with this thread by its own doing (`os::process`).
    command.process_group(0);
    let mut line = Line::to(command.spawn().map_err(start)?, is_guarded)?;
    let outcome = converse(name, &mut line, task, wanted);
    line.end(matches!(outcome, Err(Broken::CalledOff)));
    if let Err(error) = &outcome {
        let mut said = Vec::new();
        let end = log.metadata().map_or(0, |file| file.len());
        // Words to go by, where there are any.
        _ = log.seek(SeekFrom::Start(end.saturating_sub(LOG_TAIL)));
        _ = log.take(LOG_TAIL).read_to_end(&mut said);
        let said = String::from_utf8_lossy(&said);
        tracing::warn!(kernel = name, %error, said = said.trim(), "a kernel made nothing of its task");
    }
    outcome
}

/// The same beneath a guard, as it may start processes that leave its group.
fn guarded(program: &Path, command: &Command) -> Command {
    let mut guard = Command::new(program);
    guard.arg0(env!("CARGO_PKG_NAME")).arg("guard").arg(command.get_program()).args(command.get_args());
    guard
}

fn converse(name: &str, line: &mut Line, task: Task, wanted: &dyn Fn() -> bool) -> Result<Output, Broken> {
    let (mut session, hello) = Session::new(name, task, clock::monotonic());
    let mut framer = Framer::default();
    line.send(&hello)?;
    let mut next_look = clock::monotonic() + LOOK_EVERY;
    loop {
        let now = clock::monotonic();
        // Also of a kernel that never pauses.
        if now >= next_look {
            if !wanted() {
                return Err(Broken::CalledOff);
            }
            next_look = now + LOOK_EVERY;
        }
        match line.heard.recv_timeout(session.deadline().min(next_look).since(now)) {
            Ok(piece) => framer.push(&piece),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                framer.end()?;
                session.ended()?;
            }
        }
        while !session.is_over()
            && let Some(frame) = framer.next_line()
        {
            if let Some(told) = session.hear(FromKernel::read(&frame?)?, clock::monotonic())? {
                line.send(&told)?;
            }
        }
        if session.is_over() {
            return session.output().ok_or(Broken::Died);
        }
        // Last: what it said while this thread had no processor counts.
        session.tick(clock::monotonic())?;
    }
}

/// The pipes of a kernel's process.
struct Line {
    child: Child,
    /// It is a guard, and ends by itself when it is told to.
    is_guarded: bool,
    /// It was killed and waited for.
    is_over: bool,
    told: SyncSender<Vec<u8>>,
    heard: Receiver<Vec<u8>>,
}

impl Line {
    fn to(mut child: Child, is_guarded: bool) -> Result<Self, Broken> {
        let (Some(mut input), Some(mut output)) = (child.stdin.take(), child.stdout.take()) else {
            // Neither is missing of a child that was started with both.
            _ = process::kill_group(child.id());
            _ = child.wait();
            return Err(Broken::Start("it has no pipes".to_owned()));
        };
        let (told, to_tell) = sync_channel::<Vec<u8>>(KERNEL_PIECES_MAX);
        let (hear, heard) = sync_channel(KERNEL_PIECES_MAX);
        // Both end when the process does, or when nobody is there to hear them.
        let writes = move || {
            while let Ok(frame) = to_tell.recv() {
                if input.write_all(&frame).and_then(|()| input.flush()).is_err() {
                    return;
                }
            }
        };
        let reads = move || {
            let mut piece = vec![0; 1 << 16];
            while let Ok(n @ 1..) = output.read(&mut piece) {
                if hear.send(piece[..n].to_vec()).is_err() {
                    return;
                }
            }
        };
        let line = Self { child, is_guarded, is_over: false, told, heard };
        let start = |error: std::io::Error| Broken::Start(error.to_string());
        let threads = [
            thread::Builder::new().name("kernel-writes".into()).spawn(writes),
            thread::Builder::new().name("kernel-reads".into()).spawn(reads),
        ];
        threads.into_iter().try_for_each(|thread| thread.map(drop).map_err(start))?;
        Ok(line)
    }

    fn send(&self, frame: &ToKernel) -> Result<(), Broken> {
        match self.told.try_send(frame::write(frame)) {
            Ok(()) => Ok(()),
            // It has gone; what it said before is heard first.
            Err(TrySendError::Disconnected(_)) => Ok(()),
            Err(TrySendError::Full(_)) => Err(Broken::Order("it reads nothing")),
        }
    }

    /// Ends the process; one that was `called_off` is told so, and has a moment.
    fn end(&mut self, called_off: bool) {
        if called_off && self.send(&ToKernel::Cancel {}).is_ok() {
            self.wait(GRACE);
        }
        self.kill();
    }

    /// Until it has ended, but no longer.
    fn wait(&self, most: Duration) {
        let begun = clock::monotonic();
        while clock::monotonic().since(begun) < most && !process::has_ended(self.child.id()) {
            thread::sleep(GRACE_LOOK);
        }
    }

    /// With whatever it has started. Before it is waited for: until then its id is nobody else's.
    fn kill(&mut self) {
        if !std::mem::replace(&mut self.is_over, true) {
            if self.is_guarded && process::terminate(self.child.id()).is_ok() {
                self.wait(GUARD_GRACE);
                if !process::has_ended(self.child.id()) {
                    tracing::error!(
                        guard = self.child.id(),
                        "a guard does not end; what its kernel has started may be left"
                    );
                }
            }
            // Gone already is as good.
            _ = process::kill_group(self.child.id());
            _ = self.child.wait();
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.kill();
    }
}
