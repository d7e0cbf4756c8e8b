//! What was agreed for one audio stream. Purpose: the plain facts that travel from `sip::sdp` (or a browser's offer) to the
//! media worker. Plain data, `Copy`. Deliberately absent: SDP text, codec state.

pub use callwright_dsp::codec::Codec;

/// Audio formats that a peer may send on one stream: whatever we offer may be answered with all of it.
pub const FORMATS_MAX: usize = Codec::ALL.len();

/// A codec under a payload type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Format {
    /// RTP payload type, 0–127.
    pub payload_type: u8,
    /// Codec.
    pub codec: Codec,
}

impl Format {
    /// PCMU under its static payload type.
    pub const PCMU: Self = Self { payload_type: 0, codec: Codec::Pcmu };
    /// PCMA under its static payload type.
    pub const PCMA: Self = Self { payload_type: 8, codec: Codec::Pcma };
    /// G.722 under its static payload type.
    pub const G722: Self = Self { payload_type: 9, codec: Codec::G722 };
}

/// RFC 4733 events as agreed: they run on the clock of the audio that they replace.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TelephoneEvent {
    /// RTP payload type, 0–127.
    pub payload_type: u8,
    /// Hz: 8000, 16000 or 48000.
    pub clock: u32,
}

/// What the peer's `a=fmtp` says about Opus (RFC 7587 section 6.1); the defaults are the RFC's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct OpusWishes {
    /// `useinbandfec=1`: the peer makes use of FEC.
    pub fec: bool,
    /// `usedtx=1`: the peer would rather have discontinuous transmission.
    pub dtx: bool,
    /// `maxaveragebitrate`, bit/s.
    pub bitrate_max: Option<u32>,
    /// `maxplaybackrate`, Hz.
    pub playback_rate_max: Option<u32>,
}

/// One audio stream as agreed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Formats {
    /// What we send.
    pub send: Format,
    /// What the peer may send: what was agreed, `send` among it; the peer may change between them from packet to packet.
    pub receive: [Option<Format>; FORMATS_MAX],
    /// Telephone events, if both sides have them.
    pub telephone_event: Option<TelephoneEvent>,
    /// Payload type of comfort noise (RFC 3389), if agreed; 13 at 8 kHz is understood without.
    pub comfort_noise: Option<u8>,
    /// What the peer wants of Opus, where it is sent.
    pub opus: OpusWishes,
}

impl Formats {
    /// One codec both ways, no events.
    #[must_use]
    pub const fn of(format: Format) -> Self {
        Self {
            send: format,
            receive: [Some(format), None, None, None, None, None],
            telephone_event: None,
            comfort_noise: None,
            opus: OpusWishes { fec: false, dtx: false, bitrate_max: None, playback_rate_max: None },
        }
    }

    /// The same with telephone events on the 8 kHz clock.
    #[must_use]
    pub const fn with_events(mut self, payload_type: u8) -> Self {
        self.telephone_event = Some(TelephoneEvent { payload_type, clock: 8_000 });
        self
    }

    /// The format of a received payload type.
    #[must_use]
    pub fn received_as(&self, payload_type: u8) -> Option<Format> {
        self.receive.iter().flatten().find(|f| f.payload_type == payload_type).copied()
    }
}
