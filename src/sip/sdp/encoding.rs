//! What a payload type number stands for. Purpose: read `a=rtpmap` and `a=fmtp`, and give numbers to what we offer.
//! Invariant: within one session a number of ours never changes its meaning (RFC 3264 §8.3.2).

use sdp_types::Media;

use crate::rtp::format::{Codec, Format, OpusWishes};

/// First of the dynamic payload types (RFC 3551 §3).
const DYNAMIC: u8 = 96;
/// Payload types are seven bits.
const NUMBERS: usize = 128;
/// Comfort noise at 8 kHz (RFC 3389).
pub(super) const COMFORT_NOISE: u8 = 13;

/// The meaning of one payload type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Encoding {
    /// Audio that we carry.
    Audio(Codec),
    /// RFC 4733 events on a clock in Hz.
    Event(u32),
    /// RFC 3389 comfort noise on a clock in Hz.
    ComfortNoise(u32),
    /// Something that we do not speak.
    Foreign,
}

impl Encoding {
    /// The meaning of a format of an m-line.
    pub(super) fn of(media: &Media, payload_type: u8) -> Self {
        let mapped = values(media, "rtpmap", payload_type).next();
        let Some(mapped) = mapped else {
            return Codec::ALL
                .into_iter()
                .find(|c| c.static_payload_type() == Some(payload_type))
                .map(Self::Audio)
                .or((payload_type == COMFORT_NOISE).then_some(Self::ComfortNoise(8_000)))
                .unwrap_or(Self::Foreign);
        };
        Self::parse(mapped).unwrap_or(Self::Foreign)
    }

    /// `name/clock[/channels]`.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/').map(str::trim);
        let (name, clock) = (parts.next()?, parts.next()?.parse().ok()?);
        let channels = parts.next().map_or(Some(1), |c| c.parse().ok())?;
        if name.eq_ignore_ascii_case("telephone-event") && channels == 1 {
            return matches!(clock, 8_000 | 16_000 | 48_000).then_some(Self::Event(clock));
        }
        if name.eq_ignore_ascii_case("CN") && channels == 1 {
            return Some(Self::ComfortNoise(clock));
        }
        Codec::from_rtpmap(name, clock, channels).map(Self::Audio)
    }

    /// The value of `a=rtpmap` after the number.
    pub(super) fn rtpmap(self) -> String {
        match self {
            Self::Audio(codec) if codec.rtpmap_channels() == 1 => {
                format!("{}/{}", codec.encoding_name(), codec.rtp_clock())
            }
            Self::Audio(codec) => {
                format!("{}/{}/{}", codec.encoding_name(), codec.rtp_clock(), codec.rtpmap_channels())
            }
            Self::Event(clock) => format!("telephone-event/{clock}"),
            Self::ComfortNoise(clock) => format!("CN/{clock}"),
            Self::Foreign => String::new(),
        }
    }

    /// The number fixed by RFC 3551.
    const fn fixed(self) -> Option<u8> {
        match self {
            Self::Audio(codec) => codec.static_payload_type(),
            Self::ComfortNoise(8_000) => Some(COMFORT_NOISE),
            _ => None,
        }
    }

    /// The number that we like; any free one will do.
    const fn usual(self) -> u8 {
        match self {
            Self::Event(8_000) => 101,
            Self::Event(16_000) => 102,
            Self::Event(_) => 110,
            Self::Audio(Codec::Opus) => 111,
            Self::Audio(Codec::L16At16k) => 112,
            Self::Audio(Codec::L16At8k) => 113,
            _ => DYNAMIC,
        }
    }
}

/// Values of an attribute that begin with this payload type, without it.
fn values<'a>(media: &'a Media, attribute: &'a str, payload_type: u8) -> impl Iterator<Item = &'a str> {
    media.get_attribute_values(attribute).flatten().filter_map(move |value| {
        let (number, rest) = value.trim().split_once([' ', '\t'])?;
        (number.parse::<u8>().ok()? == payload_type).then(|| rest.trim())
    })
}

/// What `a=fmtp` says about Opus (RFC 7587 §6.1). What is not understood keeps the default.
pub(super) fn opus_wishes(media: &Media, payload_type: u8) -> OpusWishes {
    let mut wishes = OpusWishes::default();
    let parameters = values(media, "fmtp", payload_type).flat_map(|v| v.split(';'));
    for (name, value) in parameters.filter_map(|p| p.split_once('=')) {
        let (name, value) = (name.trim(), value.trim());
        let number = value.parse::<u32>().ok();
        if name.eq_ignore_ascii_case("useinbandfec") {
            wishes.fec = number == Some(1);
        } else if name.eq_ignore_ascii_case("usedtx") {
            wishes.dtx = number == Some(1);
        } else if name.eq_ignore_ascii_case("maxaveragebitrate") {
            wishes.bitrate_max = number.filter(|n| (6_000..=510_000).contains(n));
        } else if name.eq_ignore_ascii_case("maxplaybackrate") {
            wishes.playback_rate_max = number.filter(|n| (8_000..=48_000).contains(n));
        }
    }
    wishes
}

/// Which number stands for what in one session, whoever said so first.
#[derive(Clone, Debug)]
pub(super) struct Numbers([Option<Encoding>; NUMBERS]);

impl Numbers {
    pub(super) const fn new() -> Self {
        Self([None; NUMBERS])
    }

    /// The peer has given this number a meaning.
    pub(super) fn learn(&mut self, payload_type: u8, encoding: Encoding) {
        if let Some(slot) = self.0.get_mut(usize::from(payload_type)).filter(|_| payload_type >= DYNAMIC) {
            *slot = Some(encoding);
        }
    }

    /// The number under which we offer it; `None` when all are in use.
    pub(super) fn number(&mut self, encoding: Encoding) -> Option<u8> {
        if let Some(fixed) = encoding.fixed() {
            return Some(fixed);
        }
        let free = |n: &u8| self.0[usize::from(*n)].is_none();
        let known = (DYNAMIC..128).find(|n| self.0[usize::from(*n)] == Some(encoding));
        let number = known.or(Some(encoding.usual()).filter(free)).or_else(|| (DYNAMIC..128).find(free))?;
        self.0[usize::from(number)] = Some(encoding);
        Some(number)
    }

    /// The number as a format.
    pub(super) fn format(&mut self, codec: Codec) -> Option<Format> {
        self.number(Encoding::Audio(codec)).map(|payload_type| Format { payload_type, codec })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_keeps_its_meaning() {
        let mut numbers = Numbers::new();
        assert_eq!(numbers.number(Encoding::Audio(Codec::Pcma)), Some(8));
        assert_eq!(numbers.number(Encoding::Audio(Codec::Opus)), Some(111));
        numbers.learn(101, Encoding::Foreign);
        numbers.learn(96, Encoding::Foreign);
        numbers.learn(98, Encoding::Event(48_000));
        numbers.learn(8, Encoding::Foreign);
        assert_eq!(numbers.number(Encoding::Event(8_000)), Some(97));
        assert_eq!(numbers.number(Encoding::Event(48_000)), Some(98));
        assert_eq!(numbers.number(Encoding::Audio(Codec::Opus)), Some(111));
        assert_eq!(numbers.number(Encoding::Audio(Codec::Pcma)), Some(8));
        for n in DYNAMIC..128 {
            numbers.learn(n, Encoding::Foreign);
        }
        assert_eq!(numbers.number(Encoding::Audio(Codec::Opus)), None);
    }

    #[test]
    fn every_rtpmap_of_ours_is_read_back() {
        for codec in Codec::ALL {
            assert_eq!(Encoding::parse(&Encoding::Audio(codec).rtpmap()), Some(Encoding::Audio(codec)));
        }
        for encoding in [Encoding::Event(8_000), Encoding::Event(48_000), Encoding::ComfortNoise(8_000)] {
            assert_eq!(Encoding::parse(&encoding.rtpmap()), Some(encoding));
        }
        for not_ours in ["opus/48000", "opus/16000/2", "PCMU/8000/2", "G722/16000", "L16/44100", "PCMU", "PCMU/x", ""] {
            assert_eq!(Encoding::parse(not_ours), None, "{not_ours}");
        }
    }
}
