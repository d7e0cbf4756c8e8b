//! What a media worker reports. Purpose: the whole outward language, one enum. Made on the worker, drained on a control
//! thread. Invariant: `Closed` is never dropped; half of the ring is kept for it and for `Opened`, `Refused`, `Retired` and `Rekeyed`; the others are
//! dropped and counted (`media_events_dropped_total`) when control falls behind by thousands of reports.
//! Deliberately absent: audio.

use crate::id::{CallId, Generation, UtteranceId};
use crate::media::coders::Coders;
use crate::media::plan::PreparedSession;
use crate::media::secure::Secure;
use crate::time::{MediaTime, Tick};
use std::time::Duration;

/// One report from a worker.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "boxing the totals would be a heap allocation on the worker")]
pub enum MediaEvent {
    /// The call's media is being carried.
    Opened {
        /// The call.
        call: CallId,
    },
    /// The worker has no free slot: answer 503 and free the session.
    Refused {
        /// The call.
        call: CallId,
        /// Given back so that control frees it.
        session: Box<PreparedSession>,
    },
    /// First packet from the accepted source.
    FirstPacket {
        /// The call.
        call: CallId,
        /// Kernel receive time.
        at: Tick,
    },
    /// A key was pressed (RFC 4733): reported once, at its first packet.
    Digit {
        /// The call.
        call: CallId,
        /// `0`–`9`, `*`, `#`, `A`–`D`.
        digit: char,
        /// Position in the caller's audio.
        at: MediaTime,
    },
    /// First frame of the utterance that a person can hear has left.
    FirstAudible {
        /// The call.
        call: CallId,
        /// The utterance.
        utterance: UtteranceId,
        /// When its send returned.
        at: Tick,
    },
    /// The agent has fallen silent in the middle of an utterance (`MediaCommand::Duck`): 20 dB down 4.5 ms after `at`.
    Ducked {
        /// The call.
        call: CallId,
        /// What waits to go on.
        utterance: UtteranceId,
        /// When the send of the fading frame returned.
        at: Tick,
    },
    /// Progress of an utterance, about every 100 ms and once at its end.
    Played {
        /// The call.
        call: CallId,
        /// The utterance.
        utterance: UtteranceId,
        /// Samples of it handed to the network so far (8 kHz).
        samples: u64,
        /// All of it has been sent.
        end: bool,
    },
    /// A flush was carried out: no older frame will be sent.
    Flushed {
        /// The call.
        call: CallId,
        /// As asked.
        generation: Generation,
        /// The utterance that was cut off in the middle, if one was.
        utterance: Option<UtteranceId>,
        /// Samples of it that were sent; zero when none was cut off.
        samples: u64,
        /// When the last audible frame of it was sent.
        last_audible: Option<Tick>,
    },
    /// No valid RTP for `limits::MEDIA_TIMEOUT` while not held, or nothing at all for `HELD_UNHEARD_MAX` from a peer that was
    /// on hold from the start. Reported again each time that it has lasted so long
    /// once more (at most a second late).
    MediaTimeout {
        /// The call.
        call: CallId,
    },
    /// The peer reported by RTCP how our audio arrives there; about every 5 s.
    Quality {
        /// The call.
        call: CallId,
        /// How it is both ways.
        quality: Quality,
    },
    /// Codec state that a renegotiation replaced.
    Retired {
        /// The call.
        call: CallId,
        /// Given back so that control frees it.
        coders: Box<Coders>,
    },
    /// SRTP keys that a renegotiation replaced.
    Rekeyed {
        /// The call.
        call: CallId,
        /// Given back so that control wipes and frees it.
        secure: Box<Secure>,
    },
    /// The call's media has ended.
    Closed {
        /// The call.
        call: CallId,
        /// Why.
        cause: CloseCause,
        /// Given back so that control frees it (and closes the socket by that).
        session: Box<PreparedSession>,
        /// Totals of the call.
        stats: SessionStats,
    },
}

impl MediaEvent {
    /// The call that the report is about.
    #[must_use]
    pub const fn call(&self) -> CallId {
        match self {
            Self::Opened { call }
            | Self::Refused { call, .. }
            | Self::FirstPacket { call, .. }
            | Self::Digit { call, .. }
            | Self::FirstAudible { call, .. }
            | Self::Ducked { call, .. }
            | Self::Played { call, .. }
            | Self::Flushed { call, .. }
            | Self::MediaTimeout { call }
            | Self::Quality { call, .. }
            | Self::Retired { call, .. }
            | Self::Rekeyed { call, .. }
            | Self::Closed { call, .. } => *call,
        }
    }
}

/// How the audio of a call arrives, by RTCP and our own counting.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Quality {
    /// Network round trip; `None` while the peer has answered no report of ours.
    pub round_trip: Option<Duration>,
    /// Share of our packets that the peer missed lately, 0 to 1.
    pub remote_loss: f32,
    /// Interarrival jitter at the peer.
    pub remote_jitter: Duration,
    /// Interarrival jitter here.
    pub jitter: Duration,
}

/// Why a session ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CloseCause {
    /// `MediaCommand::Close`.
    Asked,
    /// The plane is shutting down.
    Shutdown,
    /// Our fault: the call's chain panicked. Hang up with a BYE; other calls are not touched.
    Panicked,
}

/// Totals of one call's media. Packets unless said otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct SessionStats {
    /// Accepted from the locked source.
    pub packets_received: u64,
    /// RTP payload octets accepted.
    pub octets_received: u64,
    /// Never arrived (RFC 3550 A.3; negative counts, from duplicates, show as 0).
    pub lost: u64,
    /// Arrived twice.
    pub duplicates: u64,
    /// Arrived too late to be heard, or dropped to bring the audio back to the wall clock.
    pub late: u64,
    /// From another source than the accepted one.
    pub forged: u64,
    /// Not RTP, or longer than 60 ms, or empty.
    pub garbage: u64,
    /// Right source, payload type that was never agreed.
    pub wrong_payload: u64,
    /// Accepted on a bridged leg while the other leg was gone, held or silent.
    pub unbridged: u64,
    /// SRTP that was not authentic, or replayed.
    pub srtp_failed: u64,
    /// SRTP and SRTCP that came before the answer or the handshake had brought the keys: a peer that is done with the handshake
    /// may send at once. Dropped unheard.
    pub srtp_early: u64,
    /// RTCP packets accepted.
    pub rtcp_received: u64,
    /// RTCP packets sent.
    pub rtcp_sent: u64,
    /// How the caller sounded here, 1 to 4.5 (`rtp::quality`: G.107 from loss, jitter, round trip and codec); `None` when
    /// nothing was received.
    pub mos: Option<f32>,
    /// What the last RTCP report said; `None` when none came.
    pub quality: Option<Quality>,
    /// Digits reported.
    pub digits: u32,
    /// Interarrival jitter (RFC 3550 6.4.1) at the end.
    pub jitter: Duration,
    /// Largest jitter seen.
    pub jitter_max: Duration,
    /// Samples of silence fed to speech for want of packets.
    pub silence_samples: u64,
    /// Samples made up to conceal losses.
    pub concealed_samples: u64,
    /// Frames lost because speech did not read its ring.
    pub inbound_overflow: u64,
    /// Sent.
    pub packets_sent: u64,
    /// RTP payload octets sent.
    pub octets_sent: u64,
    /// The socket would not take them.
    pub send_failed: u64,
    /// 20 ms frames skipped because the worker woke more than a frame late.
    pub frames_skipped: u64,
}
