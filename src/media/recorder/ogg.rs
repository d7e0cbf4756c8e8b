//! Ogg pages (RFC 3533). Purpose: write them, and find the last whole one of a file that was cut off. Pure. Invariant:
//! no input makes the reader panic; a page counts only if its checksum is right.
//! Deliberately absent: packets that span pages (an Opus packet of ours never does), seeking, several streams.

use std::ops::Range;

/// The page continues a packet; never written by us.
const CONTINUED: u8 = 1;
/// First page of the stream.
pub(super) const FIRST: u8 = 2;
/// Last page of the stream.
pub(super) const LAST: u8 = 4;
/// Octets of a page's head without the segment table.
const FIXED: usize = 27;
/// Segments of one page at most.
pub(super) const SEGMENTS_MAX: usize = 255;
/// Octets of one page at most.
pub(super) const PAGE_MAX: usize = FIXED + SEGMENTS_MAX + SEGMENTS_MAX * 255;
const CHECKSUM: Range<usize> = 22..26;

/// CRC-32 with polynomial 0x04c11db7, unreflected, from zero (RFC 3533 section 6).
const CRC: [u32; 256] = {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        let mut rest = (octet as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            rest = if rest & 0x8000_0000 == 0 { rest << 1 } else { rest << 1 ^ 0x04c1_1db7 };
            bit += 1;
        }
        table[octet] = rest;
        octet += 1;
    }
    table
};

fn checksum(parts: [&[u8]; 3]) -> u32 {
    parts.iter().flat_map(|part| part.iter()).fold(0, |crc: u32, octet| {
        // The index is 8 bits wide.
        crc << 8 ^ CRC[(crc >> 24 ^ u32::from(*octet)) as usize]
    })
}

/// Packets of the page being gathered.
#[derive(Debug, Default)]
pub(super) struct Packets {
    segments: Vec<u8>,
    body: Vec<u8>,
}

impl Packets {
    /// Room for a full page, so that gathering does not grow it.
    pub(super) fn new() -> Self {
        Self { segments: Vec::with_capacity(SEGMENTS_MAX), body: Vec::with_capacity(16_384) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Whether a packet of `len` octets fits in as well.
    pub(super) fn has_room(&self, len: usize) -> bool {
        self.segments.len() + len / 255 < SEGMENTS_MAX
    }

    /// Adds one packet that has room.
    pub(super) fn push(&mut self, packet: &[u8]) {
        debug_assert!(self.has_room(packet.len()));
        self.segments.resize(self.segments.len() + packet.len() / 255, 255);
        // The remainder is below 255.
        self.segments.push((packet.len() % 255) as u8);
        self.body.extend_from_slice(packet);
    }
}

/// One logical stream being written.
#[derive(Debug)]
pub(super) struct PageWriter {
    serial: u32,
    sequence: u32,
}

impl PageWriter {
    pub(super) fn new(serial: u32) -> Self {
        Self { serial, sequence: 0 }
    }

    /// Appends a page with these packets to `out` and empties them.
    pub(super) fn page(&mut self, flags: u8, granule: u64, packets: &mut Packets, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(b"OggS\0");
        out.push(flags);
        out.extend_from_slice(&granule.to_le_bytes());
        out.extend_from_slice(&self.serial.to_le_bytes());
        out.extend_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        // 255 at most.
        out.push(packets.segments.len() as u8);
        out.extend_from_slice(&packets.segments);
        out.extend_from_slice(&packets.body);
        let crc = checksum([&out[start..], &[], &[]]);
        out[start + CHECKSUM.start..start + CHECKSUM.end].copy_from_slice(&crc.to_le_bytes());
        self.sequence = self.sequence.wrapping_add(1);
        packets.segments.clear();
        packets.body.clear();
    }
}

/// One page found in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page<'a> {
    pub(super) flags: u8,
    /// For Opus: 48 kHz samples up to the end of the page, pre-skip included.
    pub(super) granule: u64,
    pub(super) serial: u32,
    pub(super) sequence: u32,
    segments: &'a [u8],
    body: &'a [u8],
}

impl<'a> Page<'a> {
    /// The page that begins at the first octet, and its length. `None`: cut off, damaged, or none at all.
    pub(super) fn parse(octets: &'a [u8]) -> Option<(Self, usize)> {
        let (head, rest) = octets.split_at_checked(FIXED)?;
        if head[..5] != *b"OggS\0" {
            return None;
        }
        let (segments, rest) = rest.split_at_checked(usize::from(head[26]))?;
        let body = rest.get(..segments.iter().map(|s| usize::from(*s)).sum())?;
        let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let mut cleared = [0; FIXED];
        cleared.copy_from_slice(head);
        cleared[CHECKSUM].fill(0);
        if checksum([&cleared, segments, body]) != number(CHECKSUM.start) {
            return None;
        }
        let granule = u64::from(number(6)) | u64::from(number(10)) << 32;
        let page = Self { flags: head[5], granule, serial: number(14), sequence: number(18), segments, body };
        Some((page, FIXED + segments.len() + body.len()))
    }

    /// The packets that end on this page. One that the page before began is left out.
    #[cfg_attr(not(test), expect(dead_code, reason = "the tests read what the recorder writes"))]
    pub(super) fn packets(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (segments, body) = (self.segments, self.body);
        let (mut next, mut at) = (0, 0);
        let mut skip = self.flags & CONTINUED != 0;
        std::iter::from_fn(move || {
            loop {
                let start = at;
                loop {
                    let segment = usize::from(*segments.get(next)?);
                    next += 1;
                    at += segment;
                    if segment < 255 {
                        break;
                    }
                }
                if !std::mem::take(&mut skip) {
                    return Some(&body[start..at]);
                }
            }
        })
    }
}

/// The same page with the mark of the last one. `None`: `page` is no page.
pub(super) fn marked_last(page: &[u8]) -> Option<Vec<u8>> {
    let (_, len) = Page::parse(page)?;
    let mut last = page[..len].to_vec();
    last[5] |= LAST;
    last[CHECKSUM].fill(0);
    let crc = checksum([&last, &[], &[]]);
    last[CHECKSUM].copy_from_slice(&crc.to_le_bytes());
    Some(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn page(flags: u8, granule: u64, packets: &[&[u8]]) -> Vec<u8> {
        let (mut gathered, mut out) = (Packets::new(), Vec::new());
        packets.iter().for_each(|packet| gathered.push(packet));
        PageWriter::new(7).page(flags, granule, &mut gathered, &mut out);
        out
    }

    #[test]
    fn the_checksum_is_that_of_the_recommendation() {
        // The catalogue's check value of this CRC for "123456789" with these parameters.
        assert_eq!(checksum([b"123", b"456", b"789"]), 0x89a1_897f);
    }

    #[test]
    fn packets_come_back_whatever_their_length() {
        for len in [0, 1, 254, 255, 256, 510, 1275] {
            let packet = vec![5; len];
            let octets = page(FIRST, 960, &[&packet, b"after"]);
            let (found, end) = Page::parse(&octets).unwrap();
            assert_eq!((end, found.flags, found.granule, found.serial), (octets.len(), FIRST, 960, 7));
            assert_eq!(found.packets().collect::<Vec<_>>(), [packet.as_slice(), b"after"]);
        }
        let mut full = Packets::new();
        while full.has_room(1275) {
            full.push(&[0; 1275]);
        }
        assert_eq!(full.segments.len(), 252);
        assert!(full.has_room(700) && !full.has_room(765));
    }

    #[test]
    fn the_mark_of_the_last_page_can_be_set_afterwards() {
        let last = marked_last(&page(0, 960, &[b"packet"])).unwrap();
        assert_eq!(Page::parse(&last).unwrap().0.flags, LAST);
        assert_eq!(last, page(LAST, 960, &[b"packet"]));
        assert_eq!(marked_last(b"OggS"), None);
    }

    proptest! {
        #[test]
        fn no_octets_make_the_reader_panic(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Page::parse(&octets);
            let mut like = page(0, 1, &[b"x"]);
            let at = octets.len() % like.len();
            like.splice(at.., octets);
            if let Some((found, len)) = Page::parse(&like) {
                prop_assert!(len <= like.len() && found.packets().count() <= 255);
            }
        }

        #[test]
        fn one_wrong_bit_is_seen(place: usize, bit in 0..8_u8) {
            let mut octets = page(0, 48_000, &[b"some packet", b"and another"]);
            let place = place % octets.len();
            octets[place] ^= 1 << bit;
            prop_assert!(Page::parse(&octets).is_none());
        }
    }
}
