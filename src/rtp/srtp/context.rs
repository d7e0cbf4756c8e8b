//! One master key at work: its session keys, and the history of each source under it.

use crate::limits::{SRTP_SOURCES_MAX, SRTP_SOURCES_RETIRED_MAX};
use crate::rtp::header::HEADER_LEN;
use crate::rtp::srtp::cipher::{Cipher, PacketId, RTCP_CLEAR_LEN};
use crate::rtp::srtp::master::Purpose;
use crate::rtp::srtp::window::Window;
use crate::rtp::srtp::{MasterKey, Profile, SrtpError};
use std::fmt;

/// Packets that one master key may protect (RFC 3711 section 9.2).
const RTP_LIFETIME: u64 = 1 << 48;
const RTCP_LIFETIME: u64 = 1 << 31;
const VERSION: u8 = 2;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Direction {
    Out,
    In,
}

/// History of one source.
#[derive(Clone, Copy, Debug)]
struct Source {
    ssrc: u32,
    direction: Direction,
    /// Packet count of the context when it was last heard.
    used: u64,
    rtp: Option<Window>,
    rtcp: Option<Window>,
}

/// Protects what we send under our key, or opens what the peer sends under its key. At most
/// [`SRTP_SOURCES_MAX`] sources are followed at once; a further one takes the place of the one that was silent longest,
/// which is then refused for good, because its history is gone. Only authentic packets make a source.
pub struct SrtpContext {
    profile: Profile,
    rtp: Cipher,
    rtcp: Cipher,
    sources: [Option<Source>; SRTP_SOURCES_MAX],
    retired: [u32; SRTP_SOURCES_RETIRED_MAX],
    retired_len: usize,
    packets: u64,
    rtp_sealed: u64,
    rtcp_sealed: u64,
}

impl fmt::Debug for SrtpContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sources = self.sources.iter().flatten().count();
        write!(f, "SrtpContext({}, {sources} sources)", self.profile.suite())
    }
}

impl SrtpContext {
    /// From a master key and salt of the profile's lengths, else `SrtpError::KeyLength`. Derives all session keys: about
    /// 2 µs, no heap.
    pub fn new(profile: Profile, master_key: &[u8], master_salt: &[u8]) -> Result<Self, SrtpError> {
        Ok(Self::with(&MasterKey::new(profile, master_key, master_salt)?))
    }

    /// The same from a key that was checked before.
    #[must_use]
    pub fn with(master: &MasterKey) -> Self {
        Self::of(master.profile(), Cipher::new(master, Purpose::Rtp), Cipher::new(master, Purpose::Rtcp))
    }

    pub(super) fn of(profile: Profile, rtp: Cipher, rtcp: Cipher) -> Self {
        Self {
            profile,
            rtp,
            rtcp,
            sources: [None; SRTP_SOURCES_MAX],
            retired: [0; SRTP_SOURCES_RETIRED_MAX],
            retired_len: 0,
            packets: 0,
            rtp_sealed: 0,
            rtcp_sealed: 0,
        }
    }

    /// How it protects.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Protects the RTP packet of `len` octets at the front of `buffer`, which has room for
    /// [`Profile::rtp_overhead`] more. Returns the new length. A source should start with a sequence number below 2^15
    /// (RFC 3711 section 3.3.1), or a peer that misses its first packets may guess its roll-over counter wrong.
    pub fn protect_rtp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let (header, ssrc, sequence) = buffer.get(..len).and_then(rtp_header).ok_or(SrtpError::Malformed("RTP"))?;
        let place = self.find(ssrc, Direction::Out)?;
        let window = place.and_then(|p| self.sources[p]).and_then(|s| s.rtp);
        let index = index(window, sequence).ok_or(SrtpError::KeyExpired)?;
        if window.is_some_and(|w| !w.is_fresh(index)) {
            return Err(SrtpError::IndexReused);
        }
        if self.rtp_sealed >= RTP_LIFETIME {
            return Err(SrtpError::KeyExpired);
        }
        self.check_place(place)?;
        let len = self.rtp.seal_rtp(PacketId { ssrc, index }, header, buffer, len)?;
        self.rtp_sealed += 1;
        self.note(place, ssrc, Direction::Out, |s| &mut s.rtp, index);
        Ok(len)
    }

    /// Checks and opens an SRTP packet in place. Returns the length of the RTP packet at its front. On an error neither the
    /// packet nor the context has changed.
    pub fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let (header, ssrc, sequence) = rtp_header(packet).ok_or(SrtpError::Malformed("SRTP"))?;
        let place = self.find(ssrc, Direction::In)?;
        let window = place.and_then(|p| self.sources[p]).and_then(|s| s.rtp);
        let mut index = index(window, sequence).ok_or(SrtpError::Replayed)?;
        if window.is_some_and(|w| !w.is_fresh(index)) {
            return Err(SrtpError::Replayed);
        }
        self.check_place(place)?;
        let mut opened = self.rtp.open_rtp(PacketId { ssrc, index }, header, packet);
        if opened == Err(SrtpError::NotAuthentic) && window.is_none() && sequence < 1 << 15 {
            // The first packets of a source that began just below 2^16 may have been lost.
            index += 1 << 16;
            opened = self.rtp.open_rtp(PacketId { ssrc, index }, header, packet);
        }
        let len = opened?;
        self.note(place, ssrc, Direction::In, |s| &mut s.rtp, index);
        Ok(len)
    }

    /// Protects the RTCP compound of `len` octets at the front of `buffer`, which has room for
    /// [`Profile::rtcp_overhead`] more. Returns the new length.
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let ssrc = buffer.get(..len).and_then(rtcp_header).ok_or(SrtpError::Malformed("RTCP"))?;
        let place = self.find(ssrc, Direction::Out)?;
        let index = place.and_then(|p| self.sources[p]).and_then(|s| s.rtcp).map_or(0, |w| w.highest() + 1);
        if index >= RTCP_LIFETIME || self.rtcp_sealed >= RTCP_LIFETIME {
            return Err(SrtpError::KeyExpired);
        }
        self.check_place(place)?;
        let len = self.rtcp.seal_rtcp(PacketId { ssrc, index }, buffer, len)?;
        self.rtcp_sealed += 1;
        self.note(place, ssrc, Direction::Out, |s| &mut s.rtcp, index);
        Ok(len)
    }

    /// Checks and opens an SRTCP packet in place; one that its sender chose not to encrypt is checked only. Returns the
    /// length of the compound at its front. On an error neither the packet nor the context has changed.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let ssrc = rtcp_header(packet).ok_or(SrtpError::Malformed("SRTCP"))?;
        let place = self.find(ssrc, Direction::In)?;
        let window = place.and_then(|p| self.sources[p]).and_then(|s| s.rtcp);
        let (index, encrypted) = self.rtcp.rtcp_index(packet).ok_or(SrtpError::Malformed("SRTCP"))?;
        let index = u64::from(index);
        if window.is_some_and(|w| !w.is_fresh(index)) {
            return Err(SrtpError::Replayed);
        }
        self.check_place(place)?;
        let len = self.rtcp.open_rtcp(PacketId { ssrc, index }, encrypted, packet)?;
        self.note(place, ssrc, Direction::In, |s| &mut s.rtcp, index);
        Ok(len)
    }

    // --- sources ----------------------------------------------------------------------------------------------------

    /// Where a source is followed; `None` for a new one.
    fn find(&self, ssrc: u32, direction: Direction) -> Result<Option<usize>, SrtpError> {
        let place = self.sources.iter().position(|s| s.is_some_and(|s| s.ssrc == ssrc));
        match place.and_then(|p| self.sources[p]) {
            Some(source) if source.direction != direction => Err(SrtpError::Collision(ssrc)),
            Some(_) => Ok(place),
            None if self.retired[..self.retired_len].contains(&ssrc) => Err(SrtpError::Retired(ssrc)),
            None => Ok(None),
        }
    }

    /// A packet that is accepted can be remembered: its source is followed, or there is room for it or for the one whose
    /// place it takes.
    fn check_place(&self, found: Option<usize>) -> Result<(), SrtpError> {
        let room = found.is_some() || self.sources.iter().any(Option::is_none) || self.retired_len < self.retired.len();
        if room { Ok(()) } else { Err(SrtpError::KeyExpired) }
    }

    /// Remembers an accepted packet, after `check_place`.
    fn note(
        &mut self,
        found: Option<usize>,
        ssrc: u32,
        direction: Direction,
        of: impl Fn(&mut Source) -> &mut Option<Window>,
        index: u64,
    ) {
        self.packets += 1;
        let oldest = || self.sources.iter().enumerate().min_by_key(|(_, s)| s.map_or(0, |s| s.used));
        // There is at least one place: asserted in `limits`.
        let place = found.or_else(|| oldest().map(|(place, _)| place)).unwrap_or(0);
        if let (None, Some(old), Some(slot)) = (found, self.sources[place], self.retired.get_mut(self.retired_len)) {
            *slot = old.ssrc;
            self.retired_len += 1;
        }
        let fresh = Source { ssrc, direction, used: 0, rtp: None, rtcp: None };
        let source = &mut self.sources[place];
        if found.is_none() {
            *source = None;
        }
        let source = source.get_or_insert(fresh);
        source.used = self.packets;
        match of(source) {
            Some(window) => window.note(index),
            window => *window = Some(Window::new(index)),
        }
    }

    #[cfg(test)]
    pub(super) fn set_sealed(&mut self, rtp: u64, rtcp: u64) {
        (self.rtp_sealed, self.rtcp_sealed) = (rtp, rtcp);
    }

    #[cfg(test)]
    pub(super) fn set_windows(&mut self, ssrc: u32, out: bool, rtp: Option<u64>, rtcp: Option<u64>) {
        let direction = if out { Direction::Out } else { Direction::In };
        let (rtp, rtcp) = (rtp.map(Window::new), rtcp.map(Window::new));
        self.sources[0] = Some(Source { ssrc, direction, used: 1, rtp, rtcp });
    }
}

/// Index of a sequence number: by the history of its source, or in the first round for a new one.
fn index(window: Option<Window>, sequence: u16) -> Option<u64> {
    window.map_or(Some(u64::from(sequence)), |w| w.estimate(sequence))
}

/// Length of the header with contributing sources and extension, SSRC, sequence number. Padding is not looked at: it is
/// encrypted with the payload.
fn rtp_header(packet: &[u8]) -> Option<(usize, u32, u16)> {
    let fixed = packet.first_chunk::<HEADER_LEN>()?;
    if fixed[0] >> 6 != VERSION {
        return None;
    }
    let mut len = HEADER_LEN + usize::from(fixed[0] & 0x0f) * 4;
    if fixed[0] & 0x10 != 0 {
        let words = packet.get(len + 2..)?.first_chunk()?;
        len += 4 + usize::from(u16::from_be_bytes(*words)) * 4;
    }
    let ssrc = u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]);
    (len <= packet.len()).then_some((len, ssrc, u16::from_be_bytes([fixed[2], fixed[3]])))
}

/// SSRC of a compound's first packet.
fn rtcp_header(packet: &[u8]) -> Option<u32> {
    let head = packet.first_chunk::<RTCP_CLEAR_LEN>()?;
    (head[0] >> 6 == VERSION).then(|| u32::from_be_bytes([head[4], head[5], head[6], head[7]]))
}
