//! The thread that talks to providers. Purpose: sockets, TLS and timers of all of them on one small runtime, so that the
//! recogniser and mouth threads only exchange messages with it. Owning thread: "cloud", one. Invariants: the last owner
//! ends it, and every request with it. Deliberately absent: what is said to providers (one file each).

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The running thread.
pub struct Cloud {
    handle: Handle,
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
    pub fn start() -> io::Result<Arc<Self>> {
        // Somebody else may have installed the same one before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name("cloud".into()).spawn(move || {
            // An error means that the owner is gone, which is the same order.
            let _ = runtime.block_on(stopped);
        })?;
        Ok(Arc::new(Self { handle, stop: Some(stop), thread: Some(thread) }))
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
