//! What the daemon does every now and then: metrics, signs of life of the calls that are up, deleting what is too old. Owning
//! thread: the control runtime. Invariants: nothing here is waited for; what fails is said and tried again the next time.
//! Deliberately absent: sound, which the recorder deletes.

use crate::call::actor::Planes;
use crate::config::Data;
use crate::os::clock;
use crate::store::{Purged, Store, StoreError, TooOld};
use crate::telemetry::metric;
use crate::time::Wallclock;
use std::sync::Arc;
use std::time::Duration;
use tracing::{info, warn};

/// Histograms are emptied into their buckets.
const METRICS_EVERY: Duration = Duration::from_secs(5);
/// What a call's record is wrong by at most when the daemon is killed.
const SIGN_EVERY: Duration = Duration::from_secs(30);
/// What is too old is looked for.
const PURGE_EVERY: Duration = Duration::from_secs(3600);
/// Between two batches, so that others may write.
const BETWEEN_BATCHES: Duration = Duration::from_millis(50);
const DAY_MS: u64 = 86_400_000;

/// Moves what histograms have gathered into their buckets, so that they do not grow between two looks at `/metrics`.
pub(super) async fn metrics(rendered: metric::Handle) {
    loop {
        tokio::time::sleep(METRICS_EVERY).await;
        rendered.run_upkeep();
    }
}

/// Writes down which calls are up, so that those of a killed daemon end when it did.
pub(super) async fn signs_of_life(planes: Arc<Planes>) {
    loop {
        tokio::time::sleep(SIGN_EVERY).await;
        let calls: Vec<String> = planes.registry.live().iter().map(|live| live.call.to_string()).collect();
        if !calls.is_empty()
            && let Err(error) = planes.store.calls().seen(calls, clock::wall()).await
        {
            warn!(%error, "that calls are up was not written");
        }
    }
}

/// Deletes what is too old, at the start and every hour.
pub(super) async fn forget(store: Store, data: Data) {
    match (data.transcript_days, data.keep_days) {
        (0, 0) => warn!("what callers say and who called is kept for ever; see [data] transcript_days and keep_days"),
        (words, 0) => info!(transcript_days = words, "who called whom is kept for ever; see [data] keep_days"),
        (words, calls) => info!(transcript_days = words, keep_days = calls, "what is older is deleted; 0: never"),
    }
    loop {
        match purge(&store, too_old(&data, clock::wall())).await {
            Ok(Purged { turns: 0, calls: 0, events: 0 }) => {}
            Ok(Purged { turns, calls, events }) => info!(turns, calls, events, "what was too old is deleted"),
            Err(error) => warn!(%error, "what is too old was not deleted; in an hour it is tried again"),
        }
        tokio::time::sleep(PURGE_EVERY).await;
    }
}

fn too_old(data: &Data, now: Wallclock) -> TooOld {
    let before = |days: u32| (days > 0).then(|| Wallclock(now.0.saturating_sub(u64::from(days) * DAY_MS)));
    TooOld { words: before(data.transcript_days), calls: before(data.keep_days) }
}

async fn purge(store: &Store, old: TooOld) -> Result<Purged, StoreError> {
    let mut all = Purged::default();
    loop {
        let one = store.retention().purge(old).await?;
        if one.is_nothing() {
            break;
        }
        all.turns += one.turns;
        all.calls += one.calls;
        all.events += one.events;
        tokio::time::sleep(BETWEEN_BATCHES).await;
    }
    if !all.is_nothing() {
        let store = store.clone();
        // Readers may be in the way, and then the next time makes up for it.
        let _ = tokio::task::spawn_blocking(move || store.retention().settle()).await;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_back_from_now_and_none_is_for_ever() {
        let now = Wallclock(1_700_000_000_000);
        let data = |transcript_days, keep_days| Data { transcript_days, keep_days, ..Data::default() };
        assert_eq!(too_old(&data(0, 0), now), TooOld::default());
        let week = Some(Wallclock(now.0 - 7 * DAY_MS));
        assert_eq!(too_old(&data(7, 0), now), TooOld { words: week, calls: None });
        assert_eq!(too_old(&data(0, 7), now), TooOld { words: None, calls: week });
    }
}
