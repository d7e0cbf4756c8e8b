//! SIP messages as octets (RFC 3261 §7, §25). Purpose: read what a phone sent and write what it will understand.
//! Invariants: values are octets and survive verbatim (Latin-1 names, `%` escapes); every bound of `limits` holds for
//! a parsed message; nothing here panics on input. Deliberately absent: interpreting bodies (`sdp` does) and any state.

mod address;
mod core_fields;
mod header;
mod multipart;
mod parse;
mod text;
mod uri;
mod via;
mod write;

pub use address::{Address, Param};
pub use core_fields::{CSeq, CoreFields};
pub use header::{Header, Name};
pub use multipart::{Unusable, is_multipart, session_part};
pub use parse::{BodyLength, Broken, Malformed, Message, StartLine, body_length, is_keep_alive, parse_datagram};
pub use text::{Method, is_token, split_list, to_text, user_of};
pub use uri::{Scheme, Uri};
pub use via::{MAGIC_COOKIE, Via};
pub use write::{Writer, reason_phrase};
