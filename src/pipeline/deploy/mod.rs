//! Where generated apps run: one sandboxed process each, kept alive ([`supervise`]) by a process that outlives the daemon
//! ([`supervisor`], reached through [`attached`] in the words of [`control`]), on a unix socket ([`upstream`]), reached by people
//! only through the [`gateway`]; [`Fleet`] holds them together.
//!
//! Files under the data directory, per app:
//! ```text
//! apps/SLUG/repository.git   every bundle that was generated
//! apps/SLUG/releases/ID      bundles as they run, by commit
//! apps/SLUG/data             its database
//! apps/SLUG/copies           data of the versions before, from right before they were replaced
//! apps/SLUG/app.log          what its process said
//! live/KEY.sock              its socket, live/control the supervisor's
//! run/                       sockets and data of trials; emptied at each start
//! ```
//! Deliberately absent: running them on other machines.

mod attached;
mod control;
mod fleet;
mod gateway;
mod page;
mod supervise;
pub mod supervisor;
mod upstream;

pub use crate::apphost::child::Meta;
pub use attached::{AttachError, Keeper};
pub use fleet::{AppsConfig, DeployError, Fleet, Letter, RollBackError};
pub use gateway::{AnswerBody, Gateway, GatewayError, Upstream, is_local_host};
pub use supervise::{Health, Instance, InstancePlan};
pub use upstream::UpstreamError;
