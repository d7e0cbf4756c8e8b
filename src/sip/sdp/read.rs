//! From octets to the few facts that negotiation needs. Purpose: check bounds before the grammar crate sees the input, and
//! forget lines that do not matter here (a Latin-1 session name must not cost a call).

use std::net::IpAddr;

use sdp_types::{Attribute, Media, Session};

use super::{Codec, Direction, Payload, SdpError};
use crate::limits;

/// A description within the limits.
#[derive(Debug)]
pub(super) struct Description {
    pub(super) session: Session,
}

/// One audio line that we could use.
#[derive(Debug)]
pub(super) struct AudioLine {
    pub(super) index: usize,
    pub(super) address: IpAddr,
    pub(super) port: u16,
    pub(super) payload: Payload,
    pub(super) telephone_event: Option<u8>,
    /// What the peer does, `c=0.0.0.0` counted as "does not want to receive".
    pub(super) peer: Direction,
}

impl Description {
    pub(super) fn parse(octets: &[u8]) -> Result<Self, SdpError> {
        if octets.len() > limits::SIP_BODY_MAX {
            return Err(SdpError::BadOffer("too long"));
        }
        let mut kept = Vec::with_capacity(octets.len());
        let (mut medias, mut attributes) = (0, 0);
        for line in octets.split(|&b| b == b'\n') {
            let line = line.trim_ascii();
            match line.first() {
                Some(b'v' | b't' | b'c') => {}
                Some(b'm') => {
                    medias += 1;
                    attributes = 0;
                }
                Some(b'a') => attributes += 1,
                _ => continue,
            }
            if medias > limits::SDP_MEDIA_MAX {
                return Err(SdpError::BadOffer("too many media lines"));
            }
            if attributes > limits::SDP_ATTRIBUTES_MAX {
                return Err(SdpError::BadOffer("too many attributes"));
            }
            // Nothing that matters to us is outside ASCII; a stray octet must not make the grammar refuse the rest.
            kept.extend(line.iter().map(|&b| if (b' '..0x7f).contains(&b) || b == b'\t' { b } else { b'?' }));
            kept.extend_from_slice(b"\r\n");
        }
        let session = Session::parse(&kept).map_err(|_| SdpError::BadOffer("not SDP"))?;
        if session.medias.iter().any(|m| m.fmt.split_ascii_whitespace().count() > limits::SDP_FORMATS_MAX) {
            return Err(SdpError::BadOffer("too many formats"));
        }
        if session.medias.is_empty() {
            return Err(SdpError::BadOffer("no media line"));
        }
        Ok(Self { session })
    }

    /// The first audio line that plain RTP can serve, towards a local address of the given family.
    pub(super) fn first_audio(&self, local: IpAddr) -> Result<AudioLine, SdpError> {
        let mut why = "no audio";
        for (index, media) in self.session.medias.iter().enumerate() {
            match self.audio_line(index, media, local) {
                Ok(line) => return Ok(line),
                // The reason of an audio line says more than "not audio".
                Err(reason) if media.media.eq_ignore_ascii_case("audio") => why = reason,
                Err(_) => {}
            }
        }
        Err(SdpError::NotAcceptable(why))
    }

    fn audio_line(&self, index: usize, media: &Media, local: IpAddr) -> Result<AudioLine, &'static str> {
        if !media.media.eq_ignore_ascii_case("audio") {
            return Err("no audio");
        }
        if media.port == 0 {
            return Err("audio is switched off");
        }
        if !media.proto.eq_ignore_ascii_case("RTP/AVP") {
            return Err("only unencrypted RTP/AVP is spoken here");
        }
        let connection = media.connections.first().or(self.session.connection.as_ref()).ok_or("no c= line")?;
        let address = connection.try_address().map_err(|_| "c= is no address literal")?.ip;
        if address.is_ipv4() != local.is_ipv4() {
            return Err("the other address family");
        }
        let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
        if address.is_multicast() || broadcast {
            return Err("media to a group address");
        }
        let (payload, telephone_event) = formats(media).ok_or("neither PCMU nor PCMA is offered")?;
        let declared = direction(&media.attributes).or(direction(&self.session.attributes));
        let declared = declared.unwrap_or(Direction::SendRecv);
        let receives = declared.receives() && !address.is_unspecified();
        let peer = Direction::from_flags(declared.sends(), receives);
        Ok(AudioLine { index, address, port: media.port, payload, telephone_event, peer })
    }
}

fn direction(attributes: &[Attribute]) -> Option<Direction> {
    [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive]
        .into_iter()
        .find(|d| attributes.iter().any(|a| a.attribute.eq_ignore_ascii_case(d.attribute())))
}

/// First acceptable codec in the peer's order, and its telephone-event at 8 kHz.
fn formats(media: &Media) -> Option<(Payload, Option<u8>)> {
    let offered = media.fmt.split_ascii_whitespace().filter_map(|f| f.parse::<u8>().ok()).filter(|pt| *pt < 128);
    let (mut payload, mut event) = (None, None);
    for payload_type in offered {
        match mapping(media, payload_type) {
            Some(Format::Audio(codec)) if payload.is_none() => payload = Some(Payload { payload_type, codec }),
            Some(Format::Event) if event.is_none() => event = Some(payload_type),
            _ => {}
        }
    }
    payload.map(|p| (p, event))
}

enum Format {
    Audio(Codec),
    Event,
}

fn mapping(media: &Media, payload_type: u8) -> Option<Format> {
    let mapped = media.get_attribute_values("rtpmap").flatten().find_map(|value| {
        let (pt, encoding) = value.trim_start().split_once(' ')?;
        (pt.parse::<u8>().ok()? == payload_type).then(|| encoding.trim())
    });
    let Some(encoding) = mapped else {
        return match payload_type {
            0 => Some(Format::Audio(Codec::Pcmu)),
            8 => Some(Format::Audio(Codec::Pcma)),
            _ => None,
        };
    };
    let mut parts = encoding.split('/');
    let (name, rate, channels) = (parts.next()?, parts.next()?.trim(), parts.next().unwrap_or("1").trim());
    if rate != "8000" || channels != "1" {
        return None;
    }
    if name.eq_ignore_ascii_case("telephone-event") {
        return Some(Format::Event);
    }
    [Codec::Pcmu, Codec::Pcma]
        .into_iter()
        .find(|codec| name.eq_ignore_ascii_case(codec.encoding_name()))
        .map(Format::Audio)
}
