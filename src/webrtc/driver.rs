//! The task that runs a link. Purpose: datagrams from the worker's ring in, answers out by a handle of the same socket, events
//! to whoever asked; where the port is shared, datagrams from its listener too, and the call's socket is connected to where the
//! link has found the peer. tokio. Invariants: dropping the handle says goodbye to the peer and ends the task; a task that fails
//! tells that the link is over; what an event says of a path holds for the socket before anybody hears of it. Deliberately
//! absent: decisions (`link`).

use super::link::{Link, LinkEnd, LinkEvent};
use super::port::PortSeat;
use crate::limits::LINK_ORDERS_MAX;
use crate::media::aside::AsideConsumer;
use crate::os::clock;
use crate::os::wake::Wake;
use crate::sip::sdp::IceCredentials;
use futures_util::FutureExt;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::panic::AssertUnwindSafe;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, oneshot};

enum Order {
    Restart { ours: IceCredentials, theirs: IceCredentials, done: oneshot::Sender<()> },
}

/// What a link is heard by.
#[derive(Debug)]
pub enum Outlet {
    /// Another handle of the call's socket, which does not block; whatever comes on it comes by the worker.
    Own(UdpSocket),
    /// The call's part of a port that is shared.
    Shared(PortSeat),
}

impl Outlet {
    /// What the network does not take now is lost, as it may be on the way.
    fn send(&self, to: SocketAddr, datagram: &[u8]) {
        let sent = match self {
            Self::Own(socket) => socket.send_to(datagram, to).map(|_| ()),
            Self::Shared(seat) => seat.send(to, datagram),
        };
        if let Err(error) = sent {
            tracing::debug!(%to, %error, "an answer was not sent");
        }
    }

    /// What did not come by the worker.
    async fn receive(&mut self) -> (SocketAddr, Vec<u8>) {
        match self {
            Self::Own(_) => std::future::pending().await,
            Self::Shared(seat) => seat.receive().await,
        }
    }

    /// The peer is there.
    fn turn_to(&self, peer: SocketAddr) -> io::Result<()> {
        match self {
            Self::Own(_) => Ok(()),
            Self::Shared(seat) => seat.connect(peer),
        }
    }
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

/// Runs `link` until its handle is dropped or it is over.
///
/// # Errors
/// The bell cannot be waited for.
pub fn start(
    link: Link,
    outlet: Outlet,
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
        let life = run(link, outlet, aside, &bell, received, &mut report);
        if AssertUnwindSafe(life).catch_unwind().await.is_err() {
            report(LinkEvent::Over(LinkEnd::Broken("a fault of ours, see the log".to_owned())));
        }
    });
    Ok(LinkHandle { orders })
}

async fn run(
    mut link: Link,
    mut outlet: Outlet,
    mut aside: AsideConsumer,
    bell: &AsyncFd<Wake>,
    mut orders: mpsc::Receiver<Order>,
    report: &mut (impl FnMut(LinkEvent) + Send),
) {
    loop {
        let over = tell(&mut link, &outlet, report);
        send(&mut link, &outlet);
        if over {
            return;
        }
        let wait = link.poll_timeout().since(clock::monotonic());
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Restart { ours, theirs, done }) => {
                    if let Outlet::Shared(seat) = &outlet {
                        seat.rename(&ours.ufrag);
                    }
                    link.handle_restart(clock::monotonic(), &ours, &theirs);
                    // Who asked may be gone.
                    let _ = done.send(());
                }
                None => {
                    link.close();
                    return send(&mut link, &outlet);
                }
            },
            ready = bell.readable() => {
                let Ok(mut ready) = ready else { return };
                ready.clear_ready();
                let mut over = false;
                let more = aside.take_turn(|datagram| {
                    link.handle_datagram(clock::monotonic(), datagram.from, datagram.octets());
                    // The worker has the keys before our Finished tells the peer that it may send.
                    over |= tell(&mut link, &outlet, report);
                    send(&mut link, &outlet);
                });
                if over {
                    return;
                }
                if more {
                    tokio::task::yield_now().await;
                }
            }
            (from, datagram) = outlet.receive() => {
                link.handle_datagram(clock::monotonic(), from, &datagram);
                if let Outlet::Shared(seat) = &outlet {
                    seat.keep(link.sources());
                }
            }
            () = tokio::time::sleep(wait) => link.handle_timeout(clock::monotonic()),
        }
    }
}

/// Passes on what has happened. `true`: the link is over.
fn tell(link: &mut Link, outlet: &Outlet, report: &mut (impl FnMut(LinkEvent) + Send)) -> bool {
    while let Some(event) = link.poll_event() {
        let event = match &event {
            LinkEvent::Secured { remote, .. } | LinkEvent::Moved(remote) => match outlet.turn_to(*remote) {
                Ok(()) => event,
                Err(error) => LinkEvent::Over(LinkEnd::Broken(format!("there is no way to {remote}: {error}"))),
            },
            LinkEvent::Over(_) => event,
        };
        let over = matches!(event, LinkEvent::Over(_));
        report(event);
        if over {
            return true;
        }
    }
    false
}

fn send(link: &mut Link, outlet: &Outlet) {
    while let Some((to, datagram)) = link.poll_transmit() {
        outlet.send(to, &datagram);
    }
}
