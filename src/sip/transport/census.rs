//! How many connections have come from whom. Purpose: those who open too many are refused before anything is read of theirs, and
//! take no place from others; where one that has said something counts for more, the longest silent one gives way to a newcomer.
//! SIP and HTTP count by it. Shared by the tasks that accept. Invariant: nothing is remembered of those who left. Deliberately
//! absent: sockets.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// How many connections have come from whom.
#[derive(Debug)]
pub struct Census {
    most: usize,
    most_per_source: usize,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    counts: HashMap<IpAddr, usize>,
    /// By age.
    places: BTreeMap<u64, Place>,
}

#[derive(Debug)]
struct Place {
    source: IpAddr,
    /// Of one that has said nothing yet.
    quiet: Option<oneshot::Sender<()>>,
}

/// A place for one connection, given back on drop.
#[derive(Debug)]
pub struct Seat {
    census: Arc<Census>,
    number: u64,
}

/// Held by a connection as long as it has said nothing: it may have to give its place to another.
#[derive(Debug)]
pub(super) struct Quiet {
    census: Arc<Census>,
    number: u64,
    told: oneshot::Receiver<()>,
}

impl Census {
    /// Room for `most` connections, of which one source has `most_per_source`.
    #[must_use]
    pub fn new(most: usize, most_per_source: usize) -> Arc<Self> {
        Arc::new(Self { most, most_per_source, table: Mutex::default() })
    }

    /// A place for a connection. `None` = this source, or all together, have as many as they may.
    #[must_use]
    pub fn admit(self: &Arc<Self>, source: IpAddr) -> Option<Seat> {
        let mut table = self.lock();
        self.is_free(&table, source.to_canonical()).then(|| self.seat(&mut table, source.to_canonical(), None))
    }

    /// As [`Census::admit`] for a connection that is to say something: where there is no place, it gets that of the one, of its
    /// source or of all, that has been silent for longest. `None` = all have said something.
    pub(super) fn admit_quiet(self: &Arc<Self>, source: IpAddr) -> Option<(Seat, Quiet)> {
        let source = source.to_canonical();
        let mut table = self.lock();
        if !self.is_free(&table, source) {
            let its_own = table.counts.get(&source).is_some_and(|its| *its >= self.most_per_source);
            let gives_way = |place: &Place| place.quiet.is_some() && (!its_own || place.source == source);
            let number = table.places.iter().find(|(_, place)| gives_way(place)).map(|(number, _)| *number)?;
            if let Some(gone) = table.leave(number).and_then(|place| place.quiet) {
                // It may be over already.
                let _over = gone.send(()).is_err();
            }
        }
        let (tell, told) = oneshot::channel();
        let seat = self.seat(&mut table, source, Some(tell));
        let number = seat.number;
        Some((seat, Quiet { census: Arc::clone(self), number, told }))
    }

    fn is_free(&self, table: &Table, source: IpAddr) -> bool {
        let its = table.counts.get(&source).copied().unwrap_or_default();
        table.places.len() < self.most && its < self.most_per_source
    }

    fn seat(self: &Arc<Self>, table: &mut Table, source: IpAddr, quiet: Option<oneshot::Sender<()>>) -> Seat {
        table.next += 1;
        table.places.insert(table.next, Place { source, quiet });
        *table.counts.entry(source).or_default() += 1;
        Seat { census: Arc::clone(self), number: table.next }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// `None`: its place was given to another.
    fn leave(&mut self, number: u64) -> Option<Place> {
        let place = self.places.remove(&number)?;
        if let Some(count) = self.counts.get_mut(&place.source) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&place.source);
            }
        }
        Some(place)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.census.lock().leave(self.number);
    }
}

impl Quiet {
    /// Waits until another needs the place. Not to be called again afterwards.
    pub(super) async fn given_up(&mut self) {
        if (&mut self.told).await.is_err() {
            // The seat was left before this was: nobody will ask for it.
            std::future::pending().await
        }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some(place) = self.census.lock().places.get_mut(&self.number) {
            place.quiet = None;
        }
    }
}

/// Who has one address of an IPv6 network has 2⁶⁴ of them.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_may_have_so_many_and_gets_its_places_back() {
        let census = Census::new(12, 10);
        let of = |text: &str| census.admit(text.parse().unwrap());
        let seats: Vec<_> = std::iter::from_fn(|| of("192.0.2.1")).collect();
        assert_eq!(seats.len(), 10);
        let (other, third) = (of("192.0.2.2"), of("2001:db8::1"));
        assert!(other.is_some() && third.is_some(), "others are not concerned");
        assert!(of("192.0.2.3").is_none(), "all together have as many as they may");
        assert_eq!(census.lock().counts.len(), 3, "who is refused is not remembered");
        drop((seats, other, third));
        assert!(of("192.0.2.1").is_some());
        assert!(census.lock().counts.is_empty(), "nothing is remembered of those who left");
        assert!(census.lock().places.is_empty());
    }

    #[test]
    fn the_longest_silent_one_gives_way_and_who_has_spoken_does_not() {
        let census = Census::new(5, 3);
        let of = |text: &str| census.admit_quiet(text.parse().unwrap());
        let told = |quiet: &mut Quiet| quiet.told.try_recv().is_ok();
        let (one, spoken) = of("192.0.2.1").unwrap();
        drop(spoken); // it has said something
        let (two, mut quiet_two) = of("192.0.2.1").unwrap();
        let (_three, mut quiet_three) = of("192.0.2.1").unwrap();
        let (_other, mut quiet_other) = of("192.0.2.2").unwrap();
        let (_four, mut quiet_four) = of("192.0.2.1").unwrap();
        assert!(told(&mut quiet_two) && !told(&mut quiet_three), "the oldest of its source");
        drop((two, quiet_two));
        assert_eq!(census.lock().counts[&"192.0.2.1".parse::<IpAddr>().unwrap()], 3, "its place was given away once");
        let (_fifth, _quiet_fifth) = of("192.0.2.3").unwrap();
        assert!(!told(&mut quiet_three));
        let (_sixth, quiet_sixth) = of("192.0.2.4").unwrap();
        assert!(told(&mut quiet_three) && !told(&mut quiet_other), "the oldest of all, where all are too many");
        for quiet in [&mut quiet_other, &mut quiet_four] {
            assert!(!told(quiet));
        }
        drop((quiet_other, quiet_four, quiet_sixth, _quiet_fifth));
        assert!(of("192.0.2.5").is_none(), "all have said something");
        drop(one);
        assert!(of("192.0.2.5").is_some());
    }

    #[test]
    fn an_ipv6_network_is_one_source() {
        let of = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!((of("::1"), of("::ffff:192.0.2.1")), ("::1".to_owned(), "192.0.2.1".to_owned()));
    }
}
