//! Reads compound RTCP packets in place. Every length is checked by `Compound::parse`; what it accepts is then walked
//! without further failure. Feedback (RFC 4585), APP, XR and unknown types are passed over by their length.

use crate::rtp::rtcp::block::{BLOCK_LEN, ReportBlock, SENDER_INFO_LEN, SenderInfo, word};
use crate::rtp::rtcp::packet_type;
use thiserror::Error;

const VERSION: u8 = 2;
const HEADER_LEN: usize = 4;
const CNAME: u8 = 1;

/// The peer's fault, per datagram: count it and drop the datagram; nothing to retry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum RtcpError {
    /// Shorter than it says, or empty.
    #[error("RTCP packet is truncated: {0}")]
    Truncated(&'static str),
    /// Version is not 2.
    #[error("RTCP version {0} is not 2: the datagram is probably not RTCP")]
    Version(u8),
    /// First packet type is none of RTCP's.
    #[error("packet type {0} is not one of RTCP's (192 to 223)")]
    PacketType(u8),
    /// Padding in other than the last packet, or of an impossible length.
    #[error("RTCP padding is wrong")]
    Padding,
}

/// RFC 5761 section 4, for RTP and RTCP on one port: payload types 64 to 95 with either marker are RTCP's packet types.
#[must_use]
pub fn is_rtcp(datagram: &[u8]) -> bool {
    matches!(datagram, [first, second, ..] if first >> 6 == VERSION && (192..=223).contains(second))
}

/// A datagram that passed the checks of RFC 3550 appendix A.2 (less "the first is SR or RR": reduced-size packets of RFC
/// 5506 begin with what they like). Iterates over its packets.
#[derive(Clone, Copy, Debug)]
pub struct Compound<'a> {
    rest: &'a [u8],
}

/// One packet of a compound.
#[derive(Clone, Copy, Debug)]
pub enum Item<'a> {
    /// SR.
    SenderReport(SenderReport<'a>),
    /// RR.
    ReceiverReport(ReceiverReport<'a>),
    /// SDES.
    SourceDescription(SourceDescription<'a>),
    /// BYE.
    Goodbye(Goodbye<'a>),
    /// Any other type: APP, RTPFB, PSFB, XR, unknown.
    Other {
        /// Packet type.
        packet_type: u8,
        /// What follows the four octets of the header, padding removed.
        body: &'a [u8],
    },
}

/// SR, section 6.4.1.
#[derive(Clone, Copy, Debug)]
pub struct SenderReport<'a> {
    /// Who reports.
    pub ssrc: u32,
    /// What it sends.
    pub info: SenderInfo,
    blocks: &'a [u8],
}

/// RR, section 6.4.2.
#[derive(Clone, Copy, Debug)]
pub struct ReceiverReport<'a> {
    /// Who reports.
    pub ssrc: u32,
    blocks: &'a [u8],
}

impl<'a> SenderReport<'a> {
    /// What it receives, at most 31.
    pub fn blocks(&self) -> impl Iterator<Item = ReportBlock> + use<'a> {
        blocks(self.blocks)
    }
}

impl<'a> ReceiverReport<'a> {
    /// What it receives, at most 31.
    pub fn blocks(&self) -> impl Iterator<Item = ReportBlock> + use<'a> {
        blocks(self.blocks)
    }
}

fn blocks(octets: &[u8]) -> impl Iterator<Item = ReportBlock> + use<'_> {
    octets.as_chunks::<BLOCK_LEN>().0.iter().map(ReportBlock::read)
}

/// SDES, section 6.5.
#[derive(Clone, Copy, Debug)]
pub struct SourceDescription<'a> {
    chunks: &'a [u8],
    count: u8,
}

impl<'a> SourceDescription<'a> {
    /// SSRC and canonical name of every chunk that has one.
    pub fn cnames(&self) -> impl Iterator<Item = (u32, &'a [u8])> + use<'a> {
        let mut rest = self.chunks;
        (0..self.count)
            .map_while(move |_| {
                let (chunk, after) = next_chunk(rest)?;
                rest = after;
                Some(chunk)
            })
            .filter_map(|(ssrc, cname)| cname.map(|name| (ssrc, name)))
    }
}

/// SSRC and CNAME of the first chunk, and what follows it; `None` when it does not end within `octets`.
#[expect(clippy::type_complexity, reason = "one private function, read twice")]
fn next_chunk(octets: &[u8]) -> Option<((u32, Option<&[u8]>), &[u8])> {
    let (ssrc, mut items) = octets.split_first_chunk::<4>()?;
    let mut cname = None;
    let mut used = 4_usize;
    loop {
        match *items {
            [0, ..] => {
                // The list ends with at least one zero and is filled up to the next word.
                let end = (used + 1).next_multiple_of(4);
                return Some(((u32::from_be_bytes(*ssrc), cname), octets.get(end..)?));
            }
            [kind, len, ref rest @ ..] => {
                let (text, after) = rest.split_at_checked(usize::from(len))?;
                if kind == CNAME && cname.is_none() {
                    cname = Some(text);
                }
                used += 2 + text.len();
                items = after;
            }
            _ => return None,
        }
    }
}

/// BYE, section 6.6.
#[derive(Clone, Copy, Debug)]
pub struct Goodbye<'a> {
    sources: &'a [u8],
    /// Why, if it says so; text of the peer, not checked for UTF-8.
    pub reason: Option<&'a [u8]>,
}

impl<'a> Goodbye<'a> {
    /// The sources that leave, at most 31.
    pub fn sources(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.sources.as_chunks::<4>().0.iter().map(|s| u32::from_be_bytes(*s))
    }
}

impl<'a> Compound<'a> {
    /// Checks a whole datagram. Errors: see `RtcpError`.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, RtcpError> {
        if let [first, second, ..] = *datagram
            && first >> 6 == VERSION
            && !(192..=223).contains(&second)
        {
            return Err(RtcpError::PacketType(second));
        }
        if datagram.is_empty() {
            return Err(RtcpError::Truncated("empty datagram"));
        }
        let mut rest = datagram;
        while !rest.is_empty() {
            rest = next(rest)?.1;
        }
        Ok(Self { rest: datagram })
    }
}

impl<'a> Iterator for Compound<'a> {
    type Item = Item<'a>;
    fn next(&mut self) -> Option<Item<'a>> {
        // `parse` has walked the same octets: an error can only mean the end.
        let (item, rest) = next(self.rest).ok()?;
        self.rest = rest;
        Some(item)
    }
}

/// The first packet and what follows it.
fn next(octets: &[u8]) -> Result<(Item<'_>, &[u8]), RtcpError> {
    let Some((head, _)) = octets.split_first_chunk::<HEADER_LEN>() else {
        return Err(RtcpError::Truncated("header"));
    };
    let version = head[0] >> 6;
    if version != VERSION {
        return Err(RtcpError::Version(version));
    }
    let len = HEADER_LEN + usize::from(u16::from_be_bytes([head[2], head[3]])) * 4;
    let Some((packet, rest)) = octets.split_at_checked(len) else {
        return Err(RtcpError::Truncated("packet"));
    };
    let mut body = &packet[HEADER_LEN..];
    if head[0] & 0x20 != 0 {
        // Only the last packet may be padded, by whole words and never by nothing.
        let padding = usize::from(body.last().copied().unwrap_or(0));
        if !rest.is_empty() || padding == 0 || padding % 4 != 0 || padding > body.len() {
            return Err(RtcpError::Padding);
        }
        body = &body[..body.len() - padding];
    }
    Ok((item(head[1], head[0] & 0x1f, body)?, rest))
}

fn item(packet_type: u8, count: u8, body: &[u8]) -> Result<Item<'_>, RtcpError> {
    let blocks_len = usize::from(count) * BLOCK_LEN;
    Ok(match packet_type {
        packet_type::SENDER_REPORT => {
            let Some((head, rest)) = body.split_first_chunk::<{ 4 + SENDER_INFO_LEN }>() else {
                return Err(RtcpError::Truncated("sender report"));
            };
            let (info, blocks) = (head.last_chunk().unwrap_or(&[0; SENDER_INFO_LEN]), rest.get(..blocks_len));
            Item::SenderReport(SenderReport {
                ssrc: word(head, 0),
                info: SenderInfo::read(info),
                blocks: blocks.ok_or(RtcpError::Truncated("report blocks"))?,
            })
        }
        packet_type::RECEIVER_REPORT => {
            let Some((ssrc, rest)) = body.split_first_chunk::<4>() else {
                return Err(RtcpError::Truncated("receiver report"));
            };
            Item::ReceiverReport(ReceiverReport {
                ssrc: u32::from_be_bytes(*ssrc),
                blocks: rest.get(..blocks_len).ok_or(RtcpError::Truncated("report blocks"))?,
            })
        }
        packet_type::SOURCE_DESCRIPTION => {
            let mut rest = body;
            for _ in 0..count {
                rest = next_chunk(rest).ok_or(RtcpError::Truncated("source description"))?.1;
            }
            Item::SourceDescription(SourceDescription { chunks: body, count })
        }
        packet_type::GOODBYE => {
            let Some((sources, rest)) = body.split_at_checked(usize::from(count) * 4) else {
                return Err(RtcpError::Truncated("goodbye"));
            };
            let reason = match *rest {
                [] => None,
                [len, ref text @ ..] => {
                    Some(text.get(..usize::from(len)).ok_or(RtcpError::Truncated("goodbye reason"))?)
                }
            };
            Item::Goodbye(Goodbye { sources, reason })
        }
        packet_type => Item::Other { packet_type, body },
    })
}
