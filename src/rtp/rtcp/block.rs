//! The fixed parts of reports (RFC 3550 section 6.4): sender information and report blocks, to and from octets.

use crate::rtp::rtcp::NtpTime;
use crate::rtp::stats::Report;

/// Octets of one report block.
pub const BLOCK_LEN: usize = 24;
/// Octets of the sender information in an SR, the sender's SSRC apart.
pub const SENDER_INFO_LEN: usize = 20;

/// What an SR says of its sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SenderInfo {
    /// When the report was sent, sender's clock.
    pub ntp: NtpTime,
    /// The same instant in RTP timestamp units.
    pub rtp_timestamp: u32,
    /// RTP packets sent so far, wraps.
    pub packets: u32,
    /// Payload octets sent so far, wraps.
    pub octets: u32,
}

impl SenderInfo {
    pub(super) fn read(octets: &[u8; SENDER_INFO_LEN]) -> Self {
        Self {
            ntp: NtpTime((u64::from(word(octets, 0)) << 32) | u64::from(word(octets, 4))),
            rtp_timestamp: word(octets, 8),
            packets: word(octets, 12),
            octets: word(octets, 16),
        }
    }

    pub(super) fn octets(&self) -> [u8; SENDER_INFO_LEN] {
        let mut out = [0; SENDER_INFO_LEN];
        out[..8].copy_from_slice(&self.ntp.0.to_be_bytes());
        out[8..12].copy_from_slice(&self.rtp_timestamp.to_be_bytes());
        out[12..16].copy_from_slice(&self.packets.to_be_bytes());
        out[16..].copy_from_slice(&self.octets.to_be_bytes());
        out
    }
}

/// What a receiver says of one source.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReportBlock {
    /// The source that is reported on.
    pub ssrc: u32,
    /// Loss and jitter; `cumulative_lost` within 24 bits signed.
    pub report: Report,
    /// Middle 32 bits of the NTP time of the last SR from that source; 0 when none came.
    pub last_sr: u32,
    /// Time since that SR came, in 1/65536 s; 0 when none came.
    pub delay_since_last_sr: u32,
}

impl ReportBlock {
    pub(super) fn read(octets: &[u8; BLOCK_LEN]) -> Self {
        let lost = word(octets, 4);
        Self {
            ssrc: word(octets, 0),
            report: Report {
                // The high octet of the word.
                fraction_lost: (lost >> 24) as u8,
                // Sign of 24 bits carried into 32.
                cumulative_lost: ((lost << 8) as i32) >> 8,
                highest: word(octets, 8),
                jitter: word(octets, 12),
            },
            last_sr: word(octets, 16),
            delay_since_last_sr: word(octets, 20),
        }
    }

    pub(super) fn octets(&self) -> [u8; BLOCK_LEN] {
        let mut out = [0; BLOCK_LEN];
        out[..4].copy_from_slice(&self.ssrc.to_be_bytes());
        // Two's complement; the high octet is replaced.
        let lost = self.report.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff;
        let lost = lost | (u32::from(self.report.fraction_lost) << 24);
        out[4..8].copy_from_slice(&lost.to_be_bytes());
        out[8..12].copy_from_slice(&self.report.highest.to_be_bytes());
        out[12..16].copy_from_slice(&self.report.jitter.to_be_bytes());
        out[16..20].copy_from_slice(&self.last_sr.to_be_bytes());
        out[20..].copy_from_slice(&self.delay_since_last_sr.to_be_bytes());
        out
    }
}

/// The big-endian word at `at`, 0 beyond the end.
pub(super) fn word(octets: &[u8], at: usize) -> u32 {
    octets.get(at..).and_then(|o| o.first_chunk()).map_or(0, |o| u32::from_be_bytes(*o))
}
