//! RTCP, RFC 3550 section 6, sans-IO. Purpose: read compound packets in place, write ours in place, tell RTCP from RTP on
//! one port (RFC 5761), map our clock to NTP time. Any thread; no heap. Invariants: a packet is judged whole before
//! anything of it is used; no input panics. Deliberately absent: when to send and what reports mean (`control`), feedback
//! messages and extended reports (skipped by their length), encryption (`srtp`).

mod block;
mod ntp;
mod read;
mod write;

pub use block::{BLOCK_LEN, ReportBlock, SENDER_INFO_LEN, SenderInfo};
pub use ntp::{NtpMap, NtpTime};
pub(crate) use ntp::{from_units, to_units};
pub use read::{Compound, Goodbye, Item, ReceiverReport, RtcpError, SenderReport, SourceDescription, is_rtcp};
pub use write::{CNAME_LEN, Cname, Outgoing, REPORT_LEN_MAX};

/// Packet types (RFC 3550 section 12.1).
pub(crate) mod packet_type {
    pub(crate) const SENDER_REPORT: u8 = 200;
    pub(crate) const RECEIVER_REPORT: u8 = 201;
    pub(crate) const SOURCE_DESCRIPTION: u8 = 202;
    pub(crate) const GOODBYE: u8 = 203;
}
