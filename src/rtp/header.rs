//! RTP fixed header, RFC 3550 section 5.1 and 5.3.1. Purpose: read a datagram in place, write a header in place.
//! Any thread. Invariant: `Packet::parse` bounds-checks everything and copies nothing. Deliberately absent: the meaning
//! of header extensions.

use thiserror::Error;

/// Octets of a header without CSRC list or extension.
pub const HEADER_LEN: usize = 12;
const VERSION: u8 = 2;

/// The peer's fault, per packet: count it and drop the packet; nothing to retry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum HeaderError {
    /// Shorter than the header that it announces.
    #[error("RTP packet is truncated: {0}")]
    Truncated(&'static str),
    /// Version is not 2.
    #[error("RTP version {0} is not 2: the datagram is probably not RTP")]
    Version(u8),
    /// An RTCP packet type on the RTP port (RFC 5761 section 4).
    #[error("RTCP packet type {0}")]
    Rtcp(u8),
    /// Padding count is zero or larger than the payload.
    #[error("RTP padding of {0} octets does not fit the packet")]
    Padding(u8),
}

/// The fields that every packet has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Header {
    /// Start of a talkspurt (RFC 3551 section 4.1), or of a telephone event.
    pub marker: bool,
    /// 0 to 127.
    pub payload_type: u8,
    /// Sequence number, wraps.
    pub sequence: u16,
    /// Media timestamp on the payload's clock ([`Codec::rtp_clock`](crate::rtp::Codec::rtp_clock)), wraps.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
}

impl Header {
    /// Writes version 2 with no CSRC, extension or padding into the first `HEADER_LEN` octets.
    pub fn write(&self, out: &mut [u8; HEADER_LEN]) {
        out[0] = VERSION << 6;
        out[1] = (u8::from(self.marker) << 7) | (self.payload_type & 0x7f);
        out[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        out[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        out[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
    }
}

/// A received packet, borrowed from the datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet<'a> {
    /// Fixed fields.
    pub header: Header,
    /// Contributing sources, four octets each, network order.
    pub csrc: &'a [u8],
    /// Profile-defined 16 bits and body of the header extension, if present.
    pub extension: Option<(u16, &'a [u8])>,
    /// Payload without padding; may be empty.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads one datagram. Errors: see `HeaderError`.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, HeaderError> {
        let Some((fixed, mut rest)) = datagram.split_at_checked(HEADER_LEN) else {
            return Err(HeaderError::Truncated("fixed header"));
        };
        let version = fixed[0] >> 6;
        if version != VERSION {
            return Err(HeaderError::Version(version));
        }
        if (192..=223).contains(&fixed[1]) {
            return Err(HeaderError::Rtcp(fixed[1]));
        }
        let csrc_len = usize::from(fixed[0] & 0x0f) * 4;
        let Some((csrc, after_csrc)) = rest.split_at_checked(csrc_len) else {
            return Err(HeaderError::Truncated("CSRC list"));
        };
        rest = after_csrc;
        let mut extension = None;
        if fixed[0] & 0x10 != 0 {
            let Some((head, body)) = rest.split_at_checked(4) else {
                return Err(HeaderError::Truncated("extension header"));
            };
            let words = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let Some((body, after)) = body.split_at_checked(words * 4) else {
                return Err(HeaderError::Truncated("extension body"));
            };
            extension = Some((u16::from_be_bytes([head[0], head[1]]), body));
            rest = after;
        }
        if fixed[0] & 0x20 != 0 {
            let padding = rest.last().copied().unwrap_or(0);
            if padding == 0 || usize::from(padding) > rest.len() {
                return Err(HeaderError::Padding(padding));
            }
            rest = &rest[..rest.len() - usize::from(padding)];
        }
        Ok(Self {
            header: Header {
                marker: fixed[1] & 0x80 != 0,
                payload_type: fixed[1] & 0x7f,
                sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
                timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
                ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
            },
            csrc,
            extension,
            payload: rest,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: Header =
        Header { marker: true, payload_type: 8, sequence: 0xfffe, timestamp: 0x8000_0001, ssrc: 0xdead_beef };

    fn datagram(first: u8, tail: &[u8]) -> Vec<u8> {
        let mut bytes = [0u8; HEADER_LEN];
        HEADER.write(&mut bytes);
        bytes[0] = first;
        [&bytes[..], tail].concat()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let bytes = datagram(0x80, b"payload");
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!(packet.header, HEADER);
        assert_eq!(packet.payload, b"payload");
        assert_eq!((packet.csrc, packet.extension), (&[][..], None));
    }

    #[test]
    fn csrc_extension_and_padding_are_stepped_over() {
        let tail = [
            &[1, 1, 1, 1, 2, 2, 2, 2][..],       // two CSRC
            &[0xbe, 0xde, 0, 1, 9, 9, 9, 9][..], // extension of one word
            b"abc",                              // payload
            &[0, 0, 3][..],                      // padding of three
        ]
        .concat();
        let bytes = datagram(0x80 | 0x20 | 0x10 | 2, &tail);
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!(packet.csrc, &[1, 1, 1, 1, 2, 2, 2, 2]);
        assert_eq!(packet.extension, Some((0xbede, &[9, 9, 9, 9][..])));
        assert_eq!(packet.payload, b"abc");
    }

    #[test]
    fn each_fault_is_named() {
        assert_eq!(Packet::parse(&[0x80; 11]), Err(HeaderError::Truncated("fixed header")));
        assert_eq!(Packet::parse(&datagram(0x40, b"")), Err(HeaderError::Version(1)));
        assert_eq!(Packet::parse(&datagram(0x83, &[0; 8])), Err(HeaderError::Truncated("CSRC list")));
        assert_eq!(Packet::parse(&datagram(0x90, &[0; 3])), Err(HeaderError::Truncated("extension header")));
        assert_eq!(
            Packet::parse(&datagram(0x90, &[0, 0, 0xff, 0xff, 1])),
            Err(HeaderError::Truncated("extension body"))
        );
        assert_eq!(Packet::parse(&datagram(0xa0, b"")), Err(HeaderError::Padding(0)));
        assert_eq!(Packet::parse(&datagram(0xa0, &[1, 0])), Err(HeaderError::Padding(0)));
        assert_eq!(Packet::parse(&datagram(0xa0, &[1, 3])), Err(HeaderError::Padding(3)));
        assert!(Packet::parse(&datagram(0xa0, &[1, 2])).unwrap().payload.is_empty());
        let mut rtcp = datagram(0x80, &[0; 16]);
        rtcp[1] = 200;
        assert_eq!(Packet::parse(&rtcp), Err(HeaderError::Rtcp(200)));
    }

    proptest! {
        #[test]
        fn any_header_survives(marker: bool, payload_type in 0u8..64, sequence: u16, timestamp: u32, ssrc: u32,
                               payload in proptest::collection::vec(any::<u8>(), 0..300)) {
            let header = Header { marker, payload_type, sequence, timestamp, ssrc };
            let mut bytes = [0u8; HEADER_LEN];
            header.write(&mut bytes);
            let bytes = [&bytes[..], &payload].concat();
            let packet = Packet::parse(&bytes).unwrap();
            prop_assert_eq!(packet.header, header);
            prop_assert_eq!(packet.payload, &payload[..]);
        }

        #[test]
        fn no_datagram_panics_and_parts_never_overlap(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(packet) = Packet::parse(&bytes) {
                let extension = packet.extension.map_or(0, |(_, body)| body.len() + 4);
                prop_assert!(HEADER_LEN + packet.csrc.len() + extension + packet.payload.len() <= bytes.len());
            }
        }
    }
}
