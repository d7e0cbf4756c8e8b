//! A place at something that only so many clients may have at once, counted in a metric. Owning thread: whichever has the
//! client. Invariants: whoever reads that there is room finds room; the metric ends where the seats do, however many are
//! taken and left at once. Deliberately absent: who waits for a seat; nobody does, a full house is refused.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

pub(super) struct Seat {
    permit: Option<OwnedSemaphorePermit>,
    tell: fn(f64),
}

impl Seat {
    /// `tell` moves the metric by so many. It is a step, not the figure that the semaphore shows: of two that leave at
    /// once the later may carry the older figure, and that would stand until somebody else comes.
    pub(super) fn take(seats: &Arc<Semaphore>, tell: fn(f64)) -> Result<Self, TryAcquireError> {
        let permit = Some(Arc::clone(seats).try_acquire_owned()?);
        tell(1.0);
        Ok(Self { permit, tell })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.permit = None;
        (self.tell)(-1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metric;
    use metrics_exporter_prometheus::PrometheusBuilder;
    use std::thread;

    #[test]
    fn the_metric_ends_where_the_seats_do_when_many_leave_at_once() {
        const CLIENTS: usize = 16;
        let recorder = PrometheusBuilder::new().build_recorder();
        let seats = Arc::new(Semaphore::new(CLIENTS));
        let shown = || {
            let text = recorder.handle().render();
            let line = text.lines().find(|line| line.starts_with("speech_streams "));
            line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        };
        let take = || Seat::take(&seats, metric::speech_streams).unwrap();
        let held = metrics::with_local_recorder(&recorder, || [take(), take()]);
        thread::scope(|scope| {
            for _ in 2..CLIENTS {
                scope.spawn(|| metrics::with_local_recorder(&recorder, || (0..2_000).for_each(|_| drop(take()))));
            }
        });
        assert_eq!(shown(), Some(2.0));
        metrics::with_local_recorder(&recorder, || drop(held));
        assert_eq!((shown(), seats.available_permits()), (Some(0.0), CLIENTS));
    }

    #[test]
    fn a_full_house_is_refused_and_not_counted() {
        let seats = Arc::new(Semaphore::new(0));
        assert!(Seat::take(&seats, |_| panic!("nobody sat down")).is_err());
    }
}
