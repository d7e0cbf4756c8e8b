//! Calls that come by Twilio, or by Telnyx in much the same words: a webhook that answers with TwiML, and a WebSocket that carries the audio of one call.
//!
//! Owning thread: tokio tasks, one a socket; the cores are sans-IO. The door makes of each stream a leg like one of SIP (the
//! same events, the same orders) and hands its audio by a lock-free ring to the media worker of the call, so that routing,
//! codecs, turn-taking, recording and keys are those of any other call. Table of contents:
//!
//! | file | holds |
//! |---|---|
//! | `signature` | who signed a request, and for which address |
//! | `ed25519` | the same for Telnyx's webhooks |
//! | `twiml` | what Twilio is told to do |
//! | `tokens` | one-time leave to open a stream |
//! | `message` | the messages of the socket, Twilio's and Telnyx's |
//! | `media_stream` | one stream: numbers, marks, pace |
//! | `door` | webhooks and sockets → legs |
//! | `leg` | the task of one socket |
//! | `rest` | Twilio's REST API: calls that we place, hang up and hand over |
//! | `breaker` | when that is asked, and how often again |
//! | `fuzz` | bodies of fuzz targets |
//!
//! Deliberately absent: HTTP and the WebSocket itself (`api`), what is talked (`call`).

mod breaker;
mod door;
pub mod ed25519;
pub mod fuzz;
mod leg;
pub mod media_stream;
pub mod message;
mod rest;
pub mod signature;
pub mod tokens;
pub mod twiml;

pub use door::{Door, DoorError, Placed, Webhook};
pub use leg::{Heard, Socket};
