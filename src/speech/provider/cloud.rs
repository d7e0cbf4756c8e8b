//! The thread that talks to providers. Purpose: sockets, TLS and timers of all of them on one small runtime, so that the
//! recogniser and mouth threads only exchange messages with it. Owning thread: "cloud", one. Invariants: the last owner
//! ends it, and every request with it; a provider has one gate for each part, whoever asks through it. Deliberately absent: what is said to providers (one file each).

use super::Provider;
use super::gate::Gate;
use crate::speech::event::Part;
use std::fmt;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The thread, once somebody needs it.
#[derive(Debug, Default)]
pub(in crate::speech) struct Clouds(Mutex<Option<Arc<Cloud>>>);

impl Clouds {
    /// Starts it unless it runs.
    ///
    /// # Errors
    /// The kernel refuses threads or descriptors.
    pub(in crate::speech) fn get(&self) -> io::Result<Arc<Cloud>> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cloud) = &*running {
            return Ok(Arc::clone(cloud));
        }
        let cloud = Cloud::start()?;
        *running = Some(Arc::clone(&cloud));
        Ok(cloud)
    }

    /// What is to be said of providers now: which, for which part, and what.
    pub(in crate::speech) fn notes(&self) -> Vec<(Provider, Part, String)> {
        let running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let gates = running.iter().flat_map(|cloud| cloud.gates());
        gates.filter_map(|gate| Some((gate.provider(), gate.part(), gate.note()?))).collect()
    }
}

/// The running thread.
pub(in crate::speech) struct Cloud {
    handle: Handle,
    gates: Mutex<Vec<Arc<Gate>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cloud")
    }
}

impl Cloud {
    /// Starts it.
    ///
    /// # Errors
    /// The kernel refuses threads or descriptors.
    pub(in crate::speech) fn start() -> io::Result<Arc<Self>> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name("cloud".into()).spawn(move || {
            // An error means that the owner is gone, which is the same order.
            let _ = runtime.block_on(stopped);
        })?;
        let (gates, stop, thread) = (Mutex::default(), Some(stop), Some(thread));
        Ok(Arc::new(Self { handle, gates, stop, thread }))
    }

    /// The one gate to a provider for a part.
    pub(super) fn gate(&self, provider: Provider, part: Part) -> Arc<Gate> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = gates.iter().find(|gate| (gate.provider(), gate.part()) == (provider, part)) {
            return Arc::clone(gate);
        }
        let gate = Gate::new(provider, part);
        gates.push(Arc::clone(&gate));
        gate
    }

    fn gates(&self) -> Vec<Arc<Gate>> {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where tasks are spawned.
    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Waits for `future` on the calling thread, which must not be the cloud's own.
    pub(super) fn wait<F: Future>(&self, future: F) -> F::Output {
        self.handle.block_on(future)
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}
