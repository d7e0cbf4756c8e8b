//! A wake that a tokio task waits for. Purpose: what a media worker signals is heard without a thread of its own. Control
//! tasks. Invariant: a signal that comes between two looks is not missed. Deliberately absent: data (rings carry it).

use super::wake::Wake;
use std::io;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A wake within a runtime.
#[derive(Debug)]
pub struct Bell(AsyncFd<Wake>);

impl Bell {
    /// Listens to `wake` from now on. Within a tokio runtime. Error: the runtime's poll takes no more.
    pub fn new(wake: Wake) -> io::Result<Self> {
        // SAFETY: a `Wake` owns its descriptor, which stays open and the same until it is dropped, and is dropped by nobody else
        // but the `AsyncFd` that owns it from here on.
        let watched = unsafe { AsyncFd::register_with_interest(wake, Interest::READABLE) };
        watched.map(Self).map_err(|error| io::Error::other(error.to_string()))
    }

    /// Returns when it was signalled since the last time. Look at the rings afterwards. To give up waiting loses nothing.
    pub async fn rung(&self) {
        match self.0.readable().await {
            Ok(mut ready) => {
                ready.get_inner().clear();
                ready.clear_ready();
            }
            // The runtime is going, and the task with it.
            Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test]
    async fn it_is_heard_once_for_all_signals_before() {
        let wake = Wake::new().unwrap();
        let bell = Bell::new(wake.try_clone().unwrap()).unwrap();
        assert!(timeout(Duration::from_millis(10), bell.rung()).await.is_err());
        wake.signal();
        wake.signal();
        bell.rung().await;
        assert!(timeout(Duration::from_millis(10), bell.rung()).await.is_err());
        std::thread::spawn(move || wake.signal());
        timeout(Duration::from_secs(20), bell.rung()).await.unwrap();
    }
}
