//! The task that runs a link on a call's socket. Purpose: datagrams from the worker's ring in, answers out by a handle of the
//! same socket, events to whoever asked. tokio. Invariants: dropping the handle says goodbye to the peer and ends the task; a
//! task that fails tells that the link is over. Deliberately absent: decisions (`link`).

use super::link::{Link, LinkEnd, LinkEvent};
use crate::limits::LINK_ORDERS_MAX;
use crate::media::aside::AsideConsumer;
use crate::os::clock;
use crate::os::wake::Wake;
use crate::sip::sdp::IceCredentials;
use futures_util::FutureExt;
use std::io;
use std::net::UdpSocket;
use std::panic::AssertUnwindSafe;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, oneshot};

enum Order {
    Restart { ours: IceCredentials, theirs: IceCredentials, done: oneshot::Sender<()> },
}

/// A link at work. Dropping it ends it.
#[derive(Clone, Debug)]
pub struct LinkHandle {
    orders: mpsc::Sender<Order>,
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Order")
    }
}

/// A link that ends without regard to whoever has this.
#[derive(Clone, Debug)]
pub(super) struct WeakLink(mpsc::WeakSender<Order>);

impl WeakLink {
    pub(super) fn upgrade(&self) -> Option<LinkHandle> {
        self.0.upgrade().map(|orders| LinkHandle { orders })
    }
}

impl LinkHandle {
    pub(super) fn downgrade(&self) -> WeakLink {
        WeakLink(self.orders.downgrade())
    }

    /// Both sides have new names and passwords as soon as this tells so; an error: the link is over. `None`: it is, or has no
    /// time for orders.
    pub(super) fn restart(&self, ours: IceCredentials, theirs: IceCredentials) -> Option<oneshot::Receiver<()>> {
        let (done, told) = oneshot::channel();
        self.orders.try_send(Order::Restart { ours, theirs, done }).ok().map(|()| told)
    }
}

/// Runs `link` until its handle is dropped or it is over. `socket`: another handle of the call's socket, which does not block.
///
/// # Errors
/// The bell cannot be waited for.
pub fn start(
    link: Link,
    socket: UdpSocket,
    aside: AsideConsumer,
    report: impl FnMut(LinkEvent) + Send + 'static,
) -> io::Result<LinkHandle> {
    let (orders, received) = mpsc::channel(LINK_ORDERS_MAX);
    #[expect(
        deprecated,
        reason = "unsound for what does not own its descriptor; a `Wake` does, and the other way is unsafe"
    )]
    let bell = AsyncFd::with_interest(aside.wake.try_clone()?, Interest::READABLE)?;
    tokio::spawn(async move {
        let mut report = report;
        let life = run(link, socket, aside, &bell, received, &mut report);
        if AssertUnwindSafe(life).catch_unwind().await.is_err() {
            report(LinkEvent::Over(LinkEnd::Broken("a fault of ours, see the log".to_owned())));
        }
    });
    Ok(LinkHandle { orders })
}

async fn run(
    mut link: Link,
    socket: UdpSocket,
    mut aside: AsideConsumer,
    bell: &AsyncFd<Wake>,
    mut orders: mpsc::Receiver<Order>,
    report: &mut (impl FnMut(LinkEvent) + Send),
) {
    loop {
        let over = tell(&mut link, report);
        send(&mut link, &socket);
        if over {
            return;
        }
        let wait = link.poll_timeout().since(clock::monotonic());
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Restart { ours, theirs, done }) => {
                    link.handle_restart(clock::monotonic(), &ours, &theirs);
                    // Who asked may be gone.
                    let _ = done.send(());
                }
                None => {
                    link.close();
                    return send(&mut link, &socket);
                }
            },
            ready = bell.readable() => {
                let Ok(mut ready) = ready else { return };
                ready.clear_ready();
                let mut over = false;
                let more = aside.take_turn(|datagram| {
                    link.handle_datagram(clock::monotonic(), datagram.from, datagram.octets());
                    // The worker has the keys before our Finished tells the peer that it may send.
                    over |= tell(&mut link, report);
                    send(&mut link, &socket);
                });
                if over {
                    return;
                }
                if more {
                    tokio::task::yield_now().await;
                }
            }
            () = tokio::time::sleep(wait) => link.handle_timeout(clock::monotonic()),
        }
    }
}

/// Passes on what has happened. `true`: the link is over.
fn tell(link: &mut Link, report: &mut (impl FnMut(LinkEvent) + Send)) -> bool {
    let mut over = false;
    while let Some(event) = link.poll_event() {
        over |= matches!(event, LinkEvent::Over(_));
        report(event);
    }
    over
}

/// What the network does not take now is lost, as it may be on the way.
fn send(link: &mut Link, socket: &UdpSocket) {
    while let Some((to, datagram)) = link.poll_transmit() {
        if let Err(error) = socket.send_to(&datagram, to) {
            tracing::debug!(%to, %error, "an answer was not sent");
        }
    }
}
