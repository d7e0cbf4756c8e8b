//! Whose datagram it is on a port that calls share. Purpose: the name in a check (STUN USERNAME, RFC 8445 section 7.2.2) leads
//! to its call; DTLS and answers to checks, which have no name in them, are of the call that holds the address they come from.
//! Control threads; one short lock that no media thread ever sees. Invariants: a call holds the addresses alone whose authentic
//! checks it has heard, so many and no more, and an address is held by one call: whoever forges somebody else's address into his
//! own call gets neither his packets nor his place. One from which a call was not heard lately, and where its browser no longer
//! is, is for the next: NATs and systems give ports again. What is nobody's costs a look at its header, and no memory; a call's
//! names and addresses go with it.
//! Deliberately absent: sockets (`port`), proof (`link`).

use crate::limits::{ASIDE_DATAGRAMS_MAX, LINK_SOURCES_MAX, SHARED_PORT_SEATS_MAX};
use crate::media::aside::Protocol;
use crate::time::Tick;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// STUN: length of the header, its magic cookie (RFC 8489 section 5), a binding request, the attribute USERNAME.
const STUN_HEADER: usize = 20;
const STUN_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const BINDING_REQUEST: [u8; 2] = [0, 1];
const USERNAME: u16 = 6;
/// Browsers check what they may want to use more often.
const LATELY: Duration = Duration::from_secs(10);

/// A datagram that has come for a call on the port that it shares.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) from: SocketAddr,
    pub(super) octets: Vec<u8>,
}

/// Why a datagram is no call's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Dropped {
    /// A name that no call has, or a handshake or an answer from an address that none holds.
    Stranger,
    /// Audio from an address to which no call's socket is connected: a stranger's, or that of a browser whose NAT has given it
    /// another port, until its next check.
    Media,
    /// A check without a name, or nothing that has a place on such a port.
    Malformed,
    /// Its call has not read what came before it.
    Full,
    /// From an address that another call holds, or its call holds as many as it may.
    Taken,
}

impl Dropped {
    /// As counted.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Stranger => "stranger",
            Self::Media => "media",
            Self::Malformed => "malformed",
            Self::Full => "full",
            Self::Taken => "taken",
        }
    }
}

#[derive(Debug)]
struct Seated {
    ufrag: String,
    sources: Vec<SocketAddr>,
    /// Where the browser is.
    path: Option<SocketAddr>,
    to: mpsc::Sender<Arrived>,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    seated: HashMap<u64, Seated>,
    names: HashMap<String, u64>,
    /// By whom an address is held, and when it was claimed last.
    sources: HashMap<SocketAddr, (u64, Tick)>,
}

/// All calls on one port; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Seats(Arc<Mutex<Table>>);

/// One call's place. Dropping it takes its name and its addresses out.
#[derive(Debug)]
pub(super) struct Place {
    seats: Seats,
    id: u64,
}

impl Seats {
    /// A place under this name, and what comes for it. `None`: there are as many as there may be, or the name is taken.
    pub(super) fn take(&self, ufrag: &str) -> Option<(Place, mpsc::Receiver<Arrived>)> {
        let mut table = self.lock();
        if table.seated.len() >= SHARED_PORT_SEATS_MAX || table.names.contains_key(ufrag) {
            return None;
        }
        let (to, come) = mpsc::channel(ASIDE_DATAGRAMS_MAX);
        let id = table.next;
        table.next += 1;
        table.names.insert(ufrag.to_owned(), id);
        table.seated.insert(id, Seated { ufrag: ufrag.to_owned(), sources: Vec::new(), path: None, to });
        Some((Place { seats: self.clone(), id }, come))
    }

    /// Hands a datagram to its call.
    pub(super) fn route(&self, from: SocketAddr, datagram: &[u8]) -> Result<(), Dropped> {
        let table = self.lock();
        let id = match Protocol::of(datagram) {
            Protocol::Stun if datagram.starts_with(&BINDING_REQUEST) => {
                table.names.get(name_of(datagram).ok_or(Dropped::Malformed)?)
            }
            // Answers have no name in them either.
            Protocol::Stun | Protocol::Dtls => table.sources.get(&from).map(|(id, _)| id),
            // Audio comes by the socket of its call.
            Protocol::Media => return Err(Dropped::Media),
            Protocol::Other => return Err(Dropped::Malformed),
        };
        let seated = id.and_then(|id| table.seated.get(id)).ok_or(Dropped::Stranger)?;
        let room = seated.to.try_reserve().map_err(|_| Dropped::Full)?;
        room.send(Arrived { from, octets: datagram.to_vec() });
        Ok(())
    }

    /// Calls that have a place, and the addresses that they hold.
    #[cfg(test)]
    pub(super) fn len(&self) -> (usize, usize) {
        let table = self.lock();
        assert_eq!(table.seated.len(), table.names.len());
        (table.seated.len(), table.sources.len())
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing in here panics half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Wants this address. `false`: another call has it, or this one has as many as it may.
    pub(super) fn claim(&self, now: Tick, source: SocketAddr) -> bool {
        let table = &mut *self.seats.lock();
        match table.sources.get_mut(&source) {
            Some((holder, claimed)) if *holder == self.id => {
                *claimed = now;
                return true;
            }
            Some((holder, claimed)) => {
                let Some(other) = table.seated.get_mut(holder).filter(|_| now.since(*claimed) >= LATELY) else {
                    return false;
                };
                if other.path == Some(source) {
                    return false;
                }
                other.sources.retain(|held| *held != source);
                table.sources.remove(&source);
            }
            None => {}
        }
        let Some(seated) = table.seated.get_mut(&self.id) else { return false };
        // One more than are remembered: it is there before it is known whether its check is authentic.
        if seated.sources.len() > LINK_SOURCES_MAX {
            return false;
        }
        seated.sources.push(source);
        table.sources.insert(source, (self.id, now));
        true
    }

    /// The browser is there: nobody else gets this address as long as it is.
    pub(super) fn settle(&self, path: SocketAddr) {
        if let Some(seated) = self.seats.lock().seated.get_mut(&self.id) {
            seated.path = Some(path);
        }
    }

    /// Gives back what is not among these.
    pub(super) fn keep(&self, kept: &[SocketAddr]) {
        let table = &mut *self.seats.lock();
        let Some(seated) = table.seated.get_mut(&self.id) else { return };
        let sources = &mut table.sources;
        seated.sources.retain(|source| {
            let stays = kept.contains(source);
            if !stays {
                sources.remove(source);
            }
            stays
        });
    }

    /// Goes by another name from now on.
    pub(super) fn rename(&self, ufrag: &str) {
        let table = &mut *self.seats.lock();
        let Some(seated) = table.seated.get_mut(&self.id) else { return };
        if !table.names.contains_key(ufrag) {
            table.names.remove(&seated.ufrag);
            table.names.insert(ufrag.to_owned(), self.id);
            ufrag.clone_into(&mut seated.ufrag);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let table = &mut *self.seats.lock();
        if let Some(seated) = table.seated.remove(&self.id) {
            table.names.remove(&seated.ufrag);
            for source in &seated.sources {
                table.sources.remove(source);
            }
        }
    }
}

/// Our half of the name in a binding request; `None`: it is none, or has no name in it. Looked at before anything is known of
/// the sender: no memory, no digest.
pub(super) fn name_of(datagram: &[u8]) -> Option<&str> {
    let header = datagram.first_chunk::<STUN_HEADER>()?;
    let len = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header[..2] != BINDING_REQUEST || header[4..8] != STUN_COOKIE || datagram.len() != STUN_HEADER + len {
        return None;
    }
    let mut rest = &datagram[STUN_HEADER..];
    while let Some((head, body)) = rest.split_first_chunk::<4>() {
        let (kind, len) = (u16::from_be_bytes([head[0], head[1]]), usize::from(u16::from_be_bytes([head[2], head[3]])));
        if kind == USERNAME {
            return std::str::from_utf8(body.get(..len)?).ok()?.split_once(':').map(|(ours, _)| ours);
        }
        rest = body.get(len.next_multiple_of(4)..)?;
    }
    None
}

/// A check that is not authentic, under this name.
#[cfg(test)]
pub(super) fn check(name: &str) -> Vec<u8> {
    let mut body = vec![0x80, 0x22, 0, 3, b'a', b'b', b'c', 0];
    body.extend(USERNAME.to_be_bytes());
    body.extend((name.len() as u16).to_be_bytes());
    body.extend(name.as_bytes());
    body.resize(body.len().next_multiple_of(4), 0);
    let mut message = vec![0, 1];
    message.extend((body.len() as u16).to_be_bytes());
    message.extend(STUN_COOKIE);
    message.extend([9; 12]);
    message.extend(body);
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn host(last: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], port))
    }

    const HELLO: [u8; 20] = [22; 20];

    #[test]
    fn checks_go_by_their_name_and_handshakes_by_their_address() {
        let seats = Seats::default();
        let (one, mut to_one) = seats.take("one").unwrap();
        let (two, mut to_two) = seats.take("two").unwrap();
        assert!(seats.take("one").is_none(), "a name is one call's");
        let route = |from, datagram: &[u8]| seats.route(from, datagram).is_ok();
        assert!(route(host(1, 1), &check("one:her")) && route(host(1, 1), &check("two:his")));
        let came = to_one.try_recv().unwrap();
        assert_eq!((came.from, came.octets), (host(1, 1), check("one:her")));
        assert_eq!(to_two.try_recv().unwrap().octets, check("two:his"));
        for (nobody, why) in [
            (check("three:x"), Dropped::Stranger),
            (HELLO.to_vec(), Dropped::Stranger),
            (vec![0; 20], Dropped::Stranger),
            (vec![1; 20], Dropped::Stranger),
            (check("one"), Dropped::Malformed),
            (vec![0, 1], Dropped::Malformed),
            (vec![70; 20], Dropped::Malformed),
            (vec![], Dropped::Malformed),
            (vec![0x80; 20], Dropped::Media),
        ] {
            assert_eq!(seats.route(host(1, 1), &nobody), Err(why), "{nobody:?}");
        }
        let (now, later) = (Tick(1), Tick(1) + LATELY);
        assert!(one.claim(now, host(1, 1)) && one.claim(now, host(1, 1)), "again");
        assert!(!two.claim(now, host(1, 1)), "it is held by one call");
        assert!(route(host(1, 1), &HELLO) && !route(host(1, 2), &HELLO));
        assert_eq!(to_one.try_recv().unwrap().octets, HELLO);
        one.keep(&[]);
        assert!(!route(host(1, 1), &HELLO) && two.claim(now, host(1, 1)), "who leaves it leaves it to others");
        // Where a call is nobody gets in its way, and where it was the next one may be.
        two.settle(host(1, 1));
        assert!(!one.claim(later, host(1, 1)));
        assert!(two.claim(later, host(2, 2)));
        two.settle(host(2, 2));
        assert!(one.claim(later, host(1, 1)) && !one.claim(later, host(2, 2)));
        assert!(route(host(1, 1), &HELLO) && to_one.try_recv().is_ok());
        two.keep(&[host(1, 1), host(2, 2)]);
        assert!(!two.claim(later, host(1, 1)), "what it remembers is not its any more");
        one.rename("uno");
        assert!(!route(host(1, 1), &check("one:her")) && route(host(1, 1), &check("uno:her")));
        drop(one);
        assert!(!route(host(1, 1), &check("uno:her")));
        drop(two);
        assert_eq!(seats.len(), (0, 0));
    }

    #[test]
    fn a_call_that_does_not_read_and_one_that_wants_everything_are_bounded() {
        let seats = Seats::default();
        let (greedy, _unread) = seats.take("greedy").unwrap();
        let taken = (0..1000).filter(|_| seats.route(host(1, 1), &check("greedy:x")).is_ok()).count();
        assert_eq!(taken, ASIDE_DATAGRAMS_MAX);
        assert_eq!(seats.route(host(1, 1), &check("greedy:x")), Err(Dropped::Full));
        let held = (0..1000).filter(|port| greedy.claim(Tick(1), host(1, *port))).count();
        assert_eq!((held, seats.len()), (LINK_SOURCES_MAX + 1, (1, LINK_SOURCES_MAX + 1)));
        greedy.keep(&[host(1, 3)]);
        assert_eq!(seats.len(), (1, 1));
    }

    proptest! {
        /// Whatever comes: no panic, and a name is within the datagram.
        #[test]
        fn names_are_read_from_anything(mut octets in proptest::collection::vec(any::<u8>(), 0..200), honest in any::<bool>()) {
            if honest && octets.len() >= STUN_HEADER {
                let len = (octets.len() - STUN_HEADER) as u16;
                octets[..2].copy_from_slice(&BINDING_REQUEST);
                octets[2..4].copy_from_slice(&len.to_be_bytes());
                octets[4..8].copy_from_slice(&STUN_COOKIE);
            }
            if let Some(name) = name_of(&octets) {
                prop_assert!(octets.windows(name.len().max(1)).any(|w| w.starts_with(name.as_bytes())));
            }
        }

        /// What the engine reads as a check has the same name for us.
        #[test]
        fn the_name_is_the_one_that_the_engine_reads(ours in "[a-zA-Z0-9+/]{1,40}", theirs in "[a-z0-9]{1,9}") {
            let username = format!("{ours}:{theirs}");
            let message = check(&username);
            prop_assert_eq!(name_of(&message), Some(&*ours));
        }
    }
}
