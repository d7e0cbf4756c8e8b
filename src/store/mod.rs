//! The daemon's memory on disk: SQLite in WAL mode, one writer thread, a few readers.
//!
//! - Writes go through a bounded queue to the one thread `store-writer`; several share a transaction. A [`Commit`]
//!   resolves only after the transaction is on disk, so what was acknowledged survives `kill -9` and power loss.
//! - What must not get lost (how a call ended, what was said and left, wrong PINs) is kept by the [`backlog`] and tried again until
//!   the disk takes it.
//! - Reads run on the caller's thread with a connection of their own and never wait for the writer.
//! - Everything that others want to know of is an [`Event`] written in the same transaction as its cause (outbox);
//!   `bus` delivers it.
//! - One file per aggregate; the only place of the daemon that names `rusqlite`.
//!
//! Deliberately absent: audio (files), the data of generated apps (their own databases), secrets.

mod app;
mod backlog;
mod binding;
mod build;
mod call;
mod conversation;
mod delivery;
mod error;
mod event;
mod hour;
mod kept;
mod lockout;
mod manifest;
mod memory;
mod message;
mod migration;
mod question;
mod reader;
mod recording;
mod retention;
mod return_call;
mod world;
mod writer;

pub use app::{App, AppVersion, Apps, RunState, version_for};
pub use binding::{KeptBinding, KeptBindings};
pub use build::{Advance, Build, Builds, Cancelled, Submitted, build_id};
pub use call::{CallRecord, Calls, Direction};
pub use conversation::{CallBackRequest, Conversation, Conversations, Speaker, Turn};
pub use delivery::{
    Deliveries, Delivery, DeliveryCounts, DeliveryState, Due, Failed, Message as WebhookMessage, after,
};
pub use error::StoreError;
pub use event::{Event, EventKind, Events};
pub use hour::{HourFigure, Hours, OUTCOMES, Series};
pub use kept::{KeptConversations, KeptFor};
pub use lockout::Lockouts;
pub use manifest::Manifests;
pub use memory::{Memo, Memory};
pub use message::{Message, Messages};
pub use question::{Answered, AnsweredBy, NewQuestion, Question, QuestionChoice, QuestionState, Questions};
pub use reader::{OpenOptions, Page, Store};
pub use recording::{CallRecording, RecordingState, Recordings};
pub use retention::{Purged, Retention, TooOld};
pub use return_call::{NotReached, ReturnCall, ReturnCalls, ReturnConsent, ReturnState, ReturnWish};
pub use world::{Document, World};
pub use writer::Commit;
