//! Writes our compound packets in place: SR or RR, then SDES with the CNAME, then BYE when we leave (RFC 3550 section 6.1:
//! every compound begins with a report and names its source).

use crate::rtp::rtcp::block::{BLOCK_LEN, ReportBlock, SENDER_INFO_LEN, SenderInfo};
use crate::rtp::rtcp::packet_type;
use std::fmt;

const VERSION: u8 = 2 << 6;
const CNAME_ITEM: u8 = 1;
/// Octets of our canonical names.
pub const CNAME_LEN: usize = 16;
/// SDES packet with one CNAME: header, SSRC, item, end, filled up to a word.
const SDES_LEN: usize = (8 + 2 + CNAME_LEN + 1).next_multiple_of(4);
const BYE_LEN: usize = 8;
/// The longest compound that we write, octets, before SRTCP adds to it.
pub const REPORT_LEN_MAX: usize = 8 + SENDER_INFO_LEN + BLOCK_LEN + SDES_LEN + BYE_LEN;

/// Canonical name of our end, chosen per call at random (RFC 7022 section 4.2: 96 bits in base64), so that it tells nobody
/// who or where we are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Cname([u8; CNAME_LEN]);

impl fmt::Debug for Cname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Cname {
    /// From 96 random bits.
    #[must_use]
    pub fn from_random(random: [u8; 12]) -> Self {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut name = [0; CNAME_LEN];
        for (out, three) in name.as_chunks_mut::<4>().0.iter_mut().zip(random.as_chunks::<3>().0) {
            let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
            for (n, out) in out.iter_mut().enumerate() {
                // Six bits.
                *out = ALPHABET[(bits >> (18 - 6 * n)) as usize & 63];
            }
        }
        Self(name)
    }

    /// As it stands in SDES and in `a=ssrc:… cname:`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// One compound of ours.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing {
    /// Our source.
    pub ssrc: u32,
    /// What we sent: makes it an SR. `None`: an RR.
    pub info: Option<SenderInfo>,
    /// What we receive, if we do.
    pub block: Option<ReportBlock>,
    /// Our name.
    pub cname: Cname,
    /// We leave.
    pub goodbye: bool,
}

impl Outgoing {
    /// Writes the compound to the front of `out`; its length, at most `REPORT_LEN_MAX`, or `None` when `out` is too short.
    #[must_use]
    pub fn write(&self, out: &mut [u8]) -> Option<usize> {
        let mut cursor = Cursor { out, at: 0 };
        let info = self.info.map(|i| i.octets());
        let block = self.block.map(|b| b.octets());
        let (info, block) = (info.as_ref().map_or(&[][..], |i| i), block.as_ref().map_or(&[][..], |b| b));
        let kind = if info.is_empty() { packet_type::RECEIVER_REPORT } else { packet_type::SENDER_REPORT };
        cursor.header(u8::from(self.block.is_some()), kind, 4 + info.len() + block.len())?;
        cursor.put(&self.ssrc.to_be_bytes())?;
        cursor.put(info)?;
        cursor.put(block)?;

        cursor.header(1, packet_type::SOURCE_DESCRIPTION, SDES_LEN - 4)?;
        cursor.put(&self.ssrc.to_be_bytes())?;
        // Sixteen.
        cursor.put(&[CNAME_ITEM, CNAME_LEN as u8])?;
        cursor.put(&self.cname.0)?;
        cursor.put(&[0; SDES_LEN - 8 - 2 - CNAME_LEN])?;

        if self.goodbye {
            cursor.header(1, packet_type::GOODBYE, 4)?;
            cursor.put(&self.ssrc.to_be_bytes())?;
        }
        Some(cursor.at)
    }
}

struct Cursor<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl Cursor<'_> {
    fn put(&mut self, octets: &[u8]) -> Option<()> {
        self.out.get_mut(self.at..self.at + octets.len())?.copy_from_slice(octets);
        self.at += octets.len();
        Some(())
    }

    /// `body` octets follow; a whole number of words, far below 2^18.
    fn header(&mut self, count: u8, kind: u8, body: usize) -> Option<()> {
        let [high, low] = ((body / 4) as u16).to_be_bytes();
        self.put(&[VERSION | count, kind, high, low])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::rtcp::{Compound, Item, NtpTime, RtcpError, is_rtcp};
    use crate::rtp::stats::Report;
    use proptest::prelude::*;

    const CNAME: [u8; 12] = [0xff; 12];

    fn outgoing() -> Outgoing {
        Outgoing {
            ssrc: 0x1122_3344,
            info: Some(SenderInfo { ntp: NtpTime(0x0102_0304_0506_0708), rtp_timestamp: 9, packets: 10, octets: 11 }),
            block: Some(ReportBlock {
                ssrc: 0x5566_7788,
                report: Report { fraction_lost: 64, cumulative_lost: -3, highest: 0x1_0002, jitter: 80 },
                last_sr: 0x0304_0506,
                delay_since_last_sr: 0x1_8000,
            }),
            cname: Cname::from_random(CNAME),
            goodbye: true,
        }
    }

    fn written(outgoing: &Outgoing) -> Vec<u8> {
        let mut out = [0xaa; REPORT_LEN_MAX];
        let len = outgoing.write(&mut out).unwrap();
        out[..len].to_vec()
    }

    #[test]
    fn the_longest_compound_has_the_rfcs_octets() {
        let octets = written(&outgoing());
        assert_eq!(octets.len(), REPORT_LEN_MAX);
        let expected: Vec<u8> =
            [
                &[
                    0x81, 200, 0, 12, 0x11, 0x22, 0x33, 0x44, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 9, 0, 0, 0, 10, 0, 0, 0,
                    11,
                ][..],
                &[0x55, 0x66, 0x77, 0x88, 64, 0xff, 0xff, 0xfd, 0, 1, 0, 2, 0, 0, 0, 80, 3, 4, 5, 6, 0, 1, 0x80, 0],
                &[0x81, 202, 0, 6, 0x11, 0x22, 0x33, 0x44, 1, 16],
                b"////////////////",
                &[0, 0],
                &[0x81, 203, 0, 1, 0x11, 0x22, 0x33, 0x44],
            ]
            .concat();
        assert_eq!(octets, expected);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let out = outgoing();
        let octets = written(&out);
        assert!(is_rtcp(&octets) && !is_rtcp(&[0x80, 0, 0, 0]) && !is_rtcp(&[0x80]) && !is_rtcp(&[0x80, 0x80 | 96]));
        let items: Vec<Item<'_>> = Compound::parse(&octets).unwrap().collect();
        let [Item::SenderReport(sr), Item::SourceDescription(sdes), Item::Goodbye(bye)] = items[..] else {
            panic!("{items:?}")
        };
        assert_eq!((sr.ssrc, Some(sr.info)), (out.ssrc, out.info));
        assert_eq!(sr.blocks().collect::<Vec<_>>(), [out.block.unwrap()]);
        assert_eq!(sdes.cnames().collect::<Vec<_>>(), [(out.ssrc, &b"////////////////"[..])]);
        assert_eq!(bye.sources().collect::<Vec<_>>(), [out.ssrc]);
        assert_eq!(bye.reason, None);
        let receiver = written(&Outgoing { info: None, block: None, goodbye: false, ..out });
        assert!(
            matches!(Compound::parse(&receiver).unwrap().next(), Some(Item::ReceiverReport(rr)) if rr.blocks().count() == 0)
        );
    }

    #[test]
    fn a_short_buffer_is_refused_at_every_length() {
        let mut out = [0; REPORT_LEN_MAX];
        for len in 0..REPORT_LEN_MAX {
            assert_eq!(outgoing().write(&mut out[..len]), None, "{len}");
        }
    }

    #[test]
    fn other_types_are_passed_over_and_reduced_size_is_read() {
        // PSFB with an FCI word, XR, APP, then RR without blocks.
        let octets = [
            &[0x81, 206, 0, 3][..],
            &[7; 12],
            &[0x80, 207, 0, 1, 1, 2, 3, 4],
            &[0x80, 204, 0, 2],
            &[0; 8],
            &[0x80, 201, 0, 1, 0, 0, 0, 5],
        ]
        .concat();
        let items: Vec<Item<'_>> = Compound::parse(&octets).unwrap().collect();
        assert!(matches!(items[0], Item::Other { packet_type: 206, body } if body.len() == 12));
        assert!(matches!(items[3], Item::ReceiverReport(rr) if rr.ssrc == 5));
        assert_eq!(items.len(), 4);
    }

    #[test]
    fn goodbye_with_reason_and_two_chunks_with_other_items() {
        let bye = [0x82, 203, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 3, b'b', b'y', b'e'];
        let Some(Item::Goodbye(bye)) = Compound::parse(&bye).unwrap().next() else { panic!() };
        assert_eq!((bye.sources().collect::<Vec<_>>(), bye.reason), (vec![1, 2], Some(&b"bye"[..])));
        let sdes = [
            &[0x82, 202, 0, 6, 0, 0, 0, 1, 6, 2, b't', b'l', 1, 1, b'a', 0][..],
            &[0, 0, 0, 2, 1, 3, b'b', b'c', b'd', 0, 0, 0],
        ]
        .concat();
        let Some(Item::SourceDescription(sdes)) = Compound::parse(&sdes).unwrap().next() else { panic!() };
        assert_eq!(sdes.cnames().collect::<Vec<_>>(), [(1, &b"a"[..]), (2, &b"bcd"[..])]);
    }

    #[test]
    fn what_a2_forbids_is_refused() {
        let good = written(&outgoing());
        assert_eq!(Compound::parse(&[]).unwrap_err(), RtcpError::Truncated("empty datagram"));
        assert_eq!(Compound::parse(&[0x80, 0, 0, 0]).unwrap_err(), RtcpError::PacketType(0));
        assert_eq!(Compound::parse(&[0x40, 200, 0, 0]).unwrap_err(), RtcpError::Version(1));
        for len in 1..good.len() {
            // Cut anywhere but between two packets, it is refused.
            assert_eq!(Compound::parse(&good[..len]).is_ok(), [52, 80].contains(&len), "{len}");
        }
        let mut padded_first = good.clone();
        padded_first[0] |= 0x20;
        assert_eq!(Compound::parse(&padded_first).unwrap_err(), RtcpError::Padding);
        // Eight octets of padding on the last.
        let mut padded_last = good.clone();
        padded_last[80] |= 0x20;
        padded_last[83] += 2;
        padded_last.extend([0, 0, 0, 0, 0, 0, 0, 8]);
        assert_eq!(Compound::parse(&padded_last).unwrap().count(), 3);
        *padded_last.last_mut().unwrap() = 16;
        assert_eq!(Compound::parse(&padded_last).unwrap_err(), RtcpError::Padding);
        // More blocks than there is room for.
        let mut greedy = good;
        greedy[0] = 0x82;
        assert_eq!(Compound::parse(&greedy).unwrap_err(), RtcpError::Truncated("report blocks"));
    }

    fn mutated() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec((0usize..100, any::<u8>()), 0..8).prop_map(|edits| {
            let mut octets = written(&outgoing());
            for (at, value) in edits {
                if let Some(o) = octets.get_mut(at) {
                    *o = value;
                } else {
                    octets.truncate(at);
                    octets.push(value);
                }
            }
            octets
        })
    }

    proptest! {
        #[test]
        fn no_datagram_panics_and_each_is_walked_whole(near in mutated(), noise in proptest::collection::vec(any::<u8>(), 0..200)) {
            for octets in [near, noise] {
                crate::rtp::fuzz::rtcp(&octets);
            }
        }
    }
}
