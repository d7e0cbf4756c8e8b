//! From octets to the few facts that negotiation needs. Purpose: check bounds before the grammar crate sees the input, and
//! forget lines that do not matter here (a Latin-1 session name must not cost a call).

use std::net::{IpAddr, SocketAddr};

use sdp_types::{AddrType, Attribute, Media, NetType, Session};

use super::Srtp;
use super::dtls::{DtlsLine, is_dtls, mid};
use super::encoding::{self, Encoding, Numbers};
use super::{Direction, Preference, SdpError};
use crate::limits;
use crate::rtp::format::{FORMATS_MAX, Format, Formats, TelephoneEvent};
use crate::rtp::sdes::{self, Crypto};

/// A description within the limits.
#[derive(Debug)]
pub(super) struct Description {
    pub(super) session: Session,
}

/// One audio line that we could use.
#[derive(Debug)]
pub(super) struct AudioLine<'a> {
    pub(super) index: usize,
    pub(super) remote: SocketAddr,
    /// The peer is ready for RTCP on the port of the audio (RFC 5761).
    pub(super) rtcp_mux: bool,
    /// Where RTCP goes without that.
    pub(super) control: SocketAddr,
    /// Audio that we carry, in the peer's order; not empty.
    pub(super) audio: Vec<Format>,
    events: Vec<TelephoneEvent>,
    /// Payload types and clocks.
    pub(super) comfort_noise: Vec<(u8, u32)>,
    pub(super) ptime: Option<u8>,
    /// What the peer does, `c=0.0.0.0` counted as "does not want to receive".
    pub(super) peer: Direction,
    /// `a=crypto` that we can do, in the peer's order. Empty for a plain line, and never for a protected one.
    pub(super) crypto: Vec<Crypto>,
    /// Of a line whose keys come by DTLS.
    pub(super) dtls: Option<DtlsLine>,
    media: &'a Media,
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

    /// The first audio line that we can serve with one of our codecs, towards a local address of the given family; a
    /// protected line before a plain one. `srtp`: the preference's own, unless the call is bound already.
    pub(super) fn first_audio(
        &self,
        local: IpAddr,
        preference: &Preference,
        srtp: Srtp,
        dtls: bool,
    ) -> Result<AudioLine<'_>, SdpError> {
        let (mut why, mut plain) = ("no audio", None);
        for (index, media) in self.session.medias.iter().enumerate() {
            match self.audio_line(index, media, local, preference, (srtp, dtls)) {
                Ok(line) if line.is_protected() => return Ok(line),
                Ok(line) => plain = plain.or(Some(line)),
                // The reason of an audio line says more than "not audio".
                Err(reason) if media.media.eq_ignore_ascii_case("audio") => why = reason,
                Err(_) => {}
            }
        }
        plain.ok_or(SdpError::NotAcceptable(why))
    }

    fn audio_line<'a>(
        &'a self,
        index: usize,
        media: &'a Media,
        local: IpAddr,
        preference: &Preference,
        (srtp, does_dtls): (Srtp, bool),
    ) -> Result<AudioLine<'a>, &'static str> {
        if !media.media.eq_ignore_ascii_case("audio") {
            return Err("no audio");
        }
        if media.port == 0 {
            return Err("audio is switched off");
        }
        if media.num_ports == Some(0) {
            return Err("m= has no ports");
        }
        let dtls = match is_dtls(&media.proto) {
            true if srtp == Srtp::Off || !does_dtls => return Err("keys by DTLS are not taken here"),
            true => Some(DtlsLine::parse(&self.session, media)?),
            false => None,
        };
        let crypto = if dtls.is_some() { Vec::new() } else { crypto(media, srtp)? };
        // With ICE the candidates count, and this is a placeholder.
        let placeholder = dtls.as_ref().is_some_and(|dtls| dtls.ice.is_some());
        let connection = media.connections.first().or(self.session.connection.as_ref()).ok_or("no c= line")?;
        let address = connection.try_address().map_err(|_| "c= is no address literal")?.ip;
        let family = if address.is_ipv4() { AddrType::Ip4 } else { AddrType::Ip6 };
        if connection.nettype != NetType::In || connection.addrtype != family {
            return Err("c= is of another network");
        }
        if address.is_ipv4() != local.is_ipv4() && !placeholder {
            return Err("the other address family");
        }
        if is_group(address) {
            return Err("media to a group address");
        }
        let remote = SocketAddr::new(address, media.port);
        let (mut audio, mut events, mut comfort_noise) = (Vec::new(), Vec::new(), Vec::new());
        for payload_type in payload_types(media) {
            match Encoding::of(media, payload_type) {
                Encoding::Audio(codec) if preference.has(codec) => audio.push(Format { payload_type, codec }),
                Encoding::Event(clock) => events.push(TelephoneEvent { payload_type, clock }),
                Encoding::ComfortNoise(clock) => comfort_noise.push((payload_type, clock)),
                Encoding::Audio(_) | Encoding::Foreign => {}
            }
        }
        if audio.is_empty() {
            return Err("no codec that is carried here is offered");
        }
        let declared = direction(&media.attributes).or(direction(&self.session.attributes));
        let declared = declared.unwrap_or(Direction::SendRecv);
        let receives = declared.receives() && (placeholder || !address.is_unspecified());
        let peer = Direction::from_flags(declared.sends(), receives);
        let rtcp_mux = media.attributes.iter().any(|a| a.attribute.eq_ignore_ascii_case("rtcp-mux"));
        let control = control_address(media, remote);
        let ptime = ptime(media);
        Ok(AudioLine {
            index,
            remote,
            rtcp_mux,
            control,
            audio,
            events,
            comfort_noise,
            ptime,
            peer,
            crypto,
            dtls,
            media,
        })
    }
}

impl AudioLine<'_> {
    /// By SRTP.
    pub(super) fn is_protected(&self) -> bool {
        !self.crypto.is_empty() || self.dtls.is_some()
    }

    /// `a=mid`.
    pub(super) fn mid(&self) -> Option<&str> {
        mid(self.media)
    }

    /// The telephone events that go with a codec: those on its clock (RFC 4733 section 2.1), else on the 8 kHz clock that
    /// most phones offer alone.
    pub(super) fn events_for(&self, chosen: Format) -> Option<TelephoneEvent> {
        let on = |clock| self.events.iter().find(|e| e.clock == clock).copied();
        on(chosen.codec.rtp_clock()).or_else(|| on(8_000))
    }

    /// The comfort noise that goes with a codec. Opus brings its own.
    pub(super) fn comfort_noise_for(&self, chosen: Format) -> Option<u8> {
        let clock = chosen.codec.rtp_clock();
        self.comfort_noise.iter().find(|(_, c)| *c == clock).map(|(number, _)| *number)
    }

    /// What is agreed when `send` is sent and these may come.
    pub(super) fn formats(&self, send: Format, receive: impl Iterator<Item = Format>) -> Formats {
        let mut receive = receive.take(FORMATS_MAX);
        Formats {
            send,
            receive: std::array::from_fn(|_| receive.next()),
            telephone_event: self.events_for(send),
            comfort_noise: self.comfort_noise_for(send),
            opus: encoding::opus_wishes(self.media, send.payload_type),
        }
    }

    /// Remembers what the peer's numbers stand for.
    pub(super) fn teach(&self, numbers: &mut Numbers) {
        for payload_type in payload_types(self.media) {
            numbers.learn(payload_type, Encoding::of(self.media, payload_type));
        }
    }
}

/// The keys of a line whose profile we do; what cannot be used among them is passed over (RFC 4568 section 5.1.2).
fn crypto(media: &Media, srtp: Srtp) -> Result<Vec<Crypto>, &'static str> {
    let is = |profile: &str| media.proto.eq_ignore_ascii_case(profile);
    if is("RTP/AVP") {
        return match srtp {
            Srtp::Require => Err("only encrypted audio (RTP/SAVP) is spoken here"),
            Srtp::Dtls => Err("only audio with keys by DTLS (UDP/TLS/RTP/SAVP) is spoken here"),
            Srtp::Off | Srtp::Answer => Ok(Vec::new()),
        };
    }
    // The feedback that RTP/SAVPF may bring is an offer: nobody has to send any (RFC 4585 section 4.2).
    if !is("RTP/SAVP") && !is("RTP/SAVPF") {
        return Err("only RTP/AVP and RTP/SAVP are spoken here");
    }
    match srtp {
        Srtp::Off => return Err("only unencrypted RTP/AVP is spoken here"),
        Srtp::Dtls => return Err("only audio with keys by DTLS (UDP/TLS/RTP/SAVP) is spoken here"),
        Srtp::Answer | Srtp::Require => {}
    }
    let lines = media.get_attribute_values("crypto").flatten();
    let crypto: Vec<Crypto> = lines.filter_map(|value| sdes::parse(value.trim()).ok()).collect();
    if crypto.is_empty() { Err("RTP/SAVP without an a=crypto that is supported") } else { Ok(crypto) }
}

fn payload_types(media: &Media) -> impl Iterator<Item = u8> {
    media.fmt.split_ascii_whitespace().filter_map(|f| f.parse::<u8>().ok()).filter(|pt| *pt < 128)
}

fn is_group(address: IpAddr) -> bool {
    address.is_multicast() || matches!(address, IpAddr::V4(v4) if v4.is_broadcast())
}

/// `a=rtcp` (RFC 3605), else the next port (RFC 3550 section 11).
fn control_address(media: &Media, remote: SocketAddr) -> SocketAddr {
    let named = media.get_first_attribute_value("rtcp").flatten().and_then(|value| {
        let mut words = value.split_ascii_whitespace();
        let port = words.next()?.parse::<u16>().ok().filter(|p| *p != 0)?;
        // `IN IP4 192.0.2.1`; left out, it is the address of the audio.
        let address = words.nth(2).map_or(Some(remote.ip()), |a| a.parse().ok())?;
        (address.is_ipv4() == remote.is_ipv4() && !is_group(address)).then(|| SocketAddr::new(address, port))
    });
    named.unwrap_or_else(|| {
        // Port 65535 has no next one; reports that cannot be sent are not missed.
        SocketAddr::new(remote.ip(), remote.port().checked_add(1).unwrap_or(remote.port()))
    })
}

/// Milliseconds that the peer would like in one packet.
fn ptime(media: &Media) -> Option<u8> {
    let value = media.get_first_attribute_value("ptime").flatten()?;
    let whole = value.trim().split('.').next()?;
    whole.parse::<u8>().ok().filter(|ms| *ms != 0)
}

fn direction(attributes: &[Attribute]) -> Option<Direction> {
    [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive]
        .into_iter()
        .find(|d| attributes.iter().any(|a| a.attribute.eq_ignore_ascii_case(d.attribute())))
}
