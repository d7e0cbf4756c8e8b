//! The kernel's side of the protocol, for generators of this program: `callwright kernel NAME` in a process of its own, which the
//! daemon starts for each task. Owner: that process's only thread. Invariants: the process is confined before it reads its task
//! (`os::sandbox`: an empty directory, no sockets, no other process); the frames are those of any other kernel. Deliberately
//! absent: the daemon's side (`session`, `drive`).

use super::frame::{self, Framer, FromKernel, PROTOCOL, ToKernel};
use super::session::digest;
use super::{Capability, Kernel};
use crate::limits::{APP_FILES_MAX, APP_MEMORY_MAX, BUNDLE_MAX};
use crate::os::process;
use crate::os::sandbox::{self, Plan};
use crate::pipeline::manifest::BuildType;
use std::io::{self, Read, Write};
use std::path::Path;

/// Speaks for `kernel` until its task is done. Blocking.
///
/// # Errors
/// The other side has gone, or does not keep to the protocol.
pub fn serve(kernel: &dyn Kernel, input: &mut dyn Read, output: &mut dyn Write) -> io::Result<()> {
    let mut inbox = Inbox { input, framer: Framer::default() };
    match inbox.next()? {
        Some(ToKernel::Hello { protocol: PROTOCOL }) => {}
        Some(ToKernel::Hello { protocol }) => {
            let say = format!("I speak protocol {PROTOCOL}, not {protocol}.");
            return send(output, &[FromKernel::Fail { say, retry: false }]);
        }
        other => return Err(out_of_order(other)),
    }
    let knows = |capability| BuildType::ALL.into_iter().any(|build_type| kernel.can(build_type, capability));
    let capabilities: Vec<_> = Capability::ALL.into_iter().filter(|capability| knows(*capability)).collect();
    let knows = |build_type| capabilities.iter().any(|capability| kernel.can(build_type, *capability));
    let build_types = BuildType::ALL.into_iter().filter(|build_type| knows(*build_type)).collect();
    let name = kernel.name().to_owned();
    send(output, &[FromKernel::Ready { protocol: PROTOCOL, name, capabilities, build_types }])?;
    let task = match inbox.next()? {
        Some(ToKernel::Task(task)) => task,
        Some(ToKernel::Cancel {}) => return Ok(()),
        other => return Err(out_of_order(other)),
    };
    send(output, &[FromKernel::Progress { percent: 0, say: None }])?;
    let mut frames = Vec::new();
    match kernel.generate(&task.manifest, &task.spec) {
        Err(say) => frames.push(FromKernel::Fail { say, retry: false }),
        Ok(files) => {
            let open = kernel.questions(&task.manifest, &task.spec).into_iter();
            frames.extend(open.filter(|ask| !task.answers.contains_key(&ask.ask_id)).map(FromKernel::Ask));
            let done = FromKernel::Done { files: files.len(), digest: digest(&files) };
            frames.extend(files.into_iter().map(|(path, content)| FromKernel::artefact(path, content)));
            frames.push(done);
        }
    }
    send(output, &frames)
}

/// The process of `callwright kernel`: confines itself to `scratch`, then serves on standard input and output.
///
/// Must be called while the process has one thread.
///
/// # Errors
/// In words for the log of the daemon.
pub fn run(name: &str, scratch: &Path) -> Result<(), String> {
    let kernels = super::all();
    let kernel = kernels.iter().find(|kernel| kernel.name() == name);
    let kernel = kernel.ok_or_else(|| format!("there is no kernel called {name}"))?;
    let plan = Plan {
        readable: scratch.to_owned(),
        writable: scratch.to_owned(),
        keep: Vec::new(),
        memory_max: APP_MEMORY_MAX,
        file_max: BUNDLE_MAX as u64,
        files_max: APP_FILES_MAX,
        is_batch: true,
        landlock_abi_max: None,
    };
    process::die_with_starter().map_err(|error| format!("whoever started it is gone: {error}"))?;
    sandbox::enter(plan).and_then(sandbox::Cage::settle).map_err(|error| error.to_string())?;
    let output = io::stdout();
    serve(kernel.as_ref(), &mut io::stdin().lock(), &mut output.lock()).map_err(|error| error.to_string())
}

struct Inbox<'a> {
    input: &'a mut dyn Read,
    framer: Framer,
}

impl Inbox<'_> {
    fn next(&mut self) -> io::Result<Option<ToKernel>> {
        let mut piece = vec![0; 1 << 16];
        loop {
            if let Some(line) = self.framer.next_line() {
                return line.and_then(|line| ToKernel::read(&line)).map(Some).map_err(io::Error::other);
            }
            match self.input.read(&mut piece)? {
                0 => return Ok(None),
                n => self.framer.push(&piece[..n]),
            }
        }
    }
}

fn out_of_order(frame: Option<ToKernel>) -> io::Error {
    match frame {
        None => io::ErrorKind::UnexpectedEof.into(),
        Some(_) => io::Error::other("a frame at the wrong time"),
    }
}

fn send(output: &mut dyn Write, frames: &[FromKernel]) -> io::Result<()> {
    for frame in frames {
        output.write_all(&frame::write(frame))?;
    }
    output.flush()
}
