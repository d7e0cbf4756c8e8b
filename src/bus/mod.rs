//! Events inside the box: the outbox of the store, delivered.
//!
//! One task reads new events in the order of their commit and hands them to all live subscribers. A [`Subscription`] starts
//! anywhere in the outbox: it replays from the store up to the present, then goes on live; when it is too slow for the live
//! channel it is served from the store again. So delivery is at least once, in order, and resumable by position.
//! Owning thread: a tokio task. Deliberately absent: adapters to other boxes, filtering (subscribers do it).

mod subscription;

pub use crate::store::{Event, EventKind};
pub use subscription::{Bus, BusError, Subscription};
