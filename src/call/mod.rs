//! Calls: [`machine`] decides (sans-IO), [`actor`] performs, one task per call, `talk` is what it needs for a talking agent, [`exchange`] is what the two tell each
//! other; [`steer`] is what may be asked of a call from outside, `operator` the voice of one that is steered, [`outgoing`] calls that we place, `consultation` joins the far ends of two calls of one telephone, `pickup` lets another telephone take one that rings, `message` takes messages, [`transfer`] hands a caller to somebody else, [`room`] has calls hear each other, [`machine_detection`] tells people from machines; [`bridge`] joins two legs in one call; [`browser`] is the door of browsers, `guests` knows who is behind it, [`phones`] are pages that wait for calls; [`player`] plays tones and files; [`lines`] is the signalling of legs whichever door they came by, [`media_leg`] is a call's audio on a port by [`lease`] or in rings, `reach` where peers send it to, [`registry`] knows all calls, `told` is what the log has of them, [`record`] names their ends, [`recording`] has them recorded; `manners` is how an agent treats its callers; [`return_call`] calls those whose build is over; `caller_id` is whom others see calling, `caller_fields` what else a caller's INVITE may tell; [`caps`] is what trunks carry at most, [`trunks`] keeps lines registered and knows where trunks and extensions are.

pub mod actor;
pub mod bridge;
pub mod browser;
mod caller_fields;
pub mod caller_id;
pub mod caps;
mod consultation;
pub mod exchange;
mod guests;
pub mod lease;
pub mod lines;
pub mod machine;
pub mod machine_detection;
mod manners;
pub mod media_leg;
mod message;
mod operator;
pub mod outgoing;
pub mod phones;
mod pickup;
pub mod player;
mod reach;
pub mod record;
pub mod recording;
pub mod registry;
pub mod return_call;
pub mod room;
pub mod steer;
mod talk;
mod told;
pub mod transfer;
mod trunk_health;
pub mod trunks;

pub use talk::prompts;
