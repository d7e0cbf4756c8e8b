//! The control API: HTTP, one file per resource, the route table in [`routes`]; who may use it is [`access`]'s matter.
//!
//! Owning thread: tokio tasks; whatever reads the disk does so on blocking threads. Errors are RFC 9457 problems. The page at
//! `/` shows calls, the talk as it happens, builds and apps.
//! Deliberately absent: users, the console proper.

mod access;
mod apps;
mod builds;
mod calls;
mod connection;
mod conversations;
mod deliveries;
mod events;
mod health;
mod intents;
mod ladder;
mod messages;
mod metrics;
mod openapi;
mod page;
mod phones;
mod problem;
mod recordings;
mod reload;
mod return_calls;
mod routes;
mod seat;
mod server;
mod state;
mod steer;
mod stream;
mod trunks;
mod twilio;
mod webrtc;

pub use access::Access;
pub use health::{Engine, HealthSnapshot, Subsystem};
pub use routes::{ROUTES, Route, router};
pub use server::{ApiError, Server};
pub use state::{
    AppState, CallControl, LiveCall, LiveCalls, OpenStream, PauseRecording, Reload, TrunkShown, TrunkStates,
};
