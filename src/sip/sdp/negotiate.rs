//! The exchange itself: answer an offer, make an offer, read an answer (RFC 3264 §5–§8).

use std::net::IpAddr;

use sdp_types::{Attribute, Connection, Media, MediaType, Origin, Session, Time, TransportProto};

use super::dtls::{self, Dtls, DtlsLocal};
use super::encoding::{Encoding, Numbers};
use super::keys::{KeyRing, Line};
use super::read::Description;
use super::{Direction, LocalMedia, Negotiated, Preference, Rtcp, SdpError};
use crate::rtp::format::{Codec, Format, TelephoneEvent};

/// Of the comfort noise that we offer, Hz: that of its static number.
const COMFORT_NOISE_CLOCK: u32 = 8_000;

/// Answers an offer with the first audio line that has a codec of ours, and the best codec in it. Plain RTP alone, whatever
/// the preference says: keys need the memory of a [`SdpSession`](super::SdpSession).
///
/// # Errors
/// [`SdpError::NotAcceptable`] → 488, [`SdpError::BadOffer`] → 400.
pub fn negotiate(offer: &[u8], local: &LocalMedia, preference: &Preference) -> Result<Negotiated, SdpError> {
    answer(offer, local, preference, &mut Numbers::new(), &mut KeyRing::new(None), false)
}

pub(super) fn answer(
    offer: &[u8],
    local: &LocalMedia,
    preference: &Preference,
    numbers: &mut Numbers,
    ring: &mut KeyRing,
    holding: bool,
) -> Result<Negotiated, SdpError> {
    let description = Description::parse(offer)?;
    let policy = ring.policy(preference.srtp());
    let line = description.first_audio(local.address, preference, policy, ring.does_dtls())?;
    let chosen = preference.choose(&line.audio).ok_or(SdpError::NotAcceptable("no codec that is carried here"))?;
    let formats = line.formats(chosen, std::iter::once(chosen));
    // The peer's order counts (RFC 4568 section 5.1.2).
    let crypto = line.crypto.first().map(|theirs| ring.answer(theirs).ok_or(SdpError::NotAcceptable("no keys here")));
    let (crypto, keys) = crypto.transpose()?.unzip();
    let secured = line.dtls.clone().map(|theirs| ring.answer_dtls(theirs)).transpose()?;
    line.teach(numbers);
    // What the peer sends we receive, and the other way round (RFC 3264 §6.1); whoever holds receives nothing (§8.4).
    let ours = Direction::from_flags(line.peer.receives(), line.peer.sends() && !holding);
    let mut answer = frame(local);
    if secured.as_ref().is_some_and(|(_, agreed)| agreed.ice.is_some()) {
        let mut say = |name: &str, value| answer.attributes.push(Attribute { attribute: name.to_owned(), value });
        if let Some(mid) = line.mid().filter(|mid| dtls::is_bundled(&description.session, mid)) {
            say("group", Some(format!("BUNDLE {mid}")));
        }
        say("ice-lite", None);
    }
    if let Some(time) = description.session.times.first() {
        answer.times = vec![Time::new(time.start_time, time.stop_time)];
    }
    for (index, offered) in description.session.medias.iter().enumerate() {
        answer.medias.push(if index == line.index {
            Stream {
                audio: &[chosen],
                comfort_noise: formats.comfort_noise.map(|number| (number, chosen.codec.rtp_clock())),
                events: formats.telephone_event.as_slice(),
                rtcp_mux: line.rtcp_mux,
                direction: ours,
                protocol: &offered.proto,
                crypto: crypto.as_slice(),
                secured: secured.as_ref().map(|(ours, agreed)| Secured::Answer(ours, agreed, line.mid())),
            }
            .line(local.port)
        } else {
            // A refused line keeps its type, protocol and a format (RFC 3264 §6).
            let format = offered.fmt.split_ascii_whitespace().next().unwrap_or("0");
            let mut refused = Media::new(MediaType::Audio, 0, TransportProto::RtpAvp, format);
            refused.media.clone_from(&offered.media);
            refused.proto.clone_from(&offered.proto);
            if let Some(mid) = dtls::mid(offered) {
                refused.attributes.push(Attribute { attribute: "mid".to_owned(), value: Some(mid.to_owned()) });
            }
            refused
        });
    }
    Ok(Negotiated {
        answer: write(&answer),
        remote: line.remote,
        rtcp: if line.rtcp_mux { Rtcp::Mux } else { Rtcp::Address(line.control) },
        formats,
        ptime: line.ptime,
        direction: ours,
        keys,
        dtls: secured.map(|(_, agreed)| agreed),
    })
}

/// The codecs of an offer's audio line that `preference` knows, in the peer's order. `local` says which address family
/// counts.
///
/// # Errors
/// As [`negotiate()`].
pub fn offered_codecs(offer: &[u8], local: IpAddr, preference: &Preference) -> Result<Vec<Codec>, SdpError> {
    let description = Description::parse(offer)?;
    let line = description.first_audio(local, preference, preference.srtp(), true)?;
    let mut codecs = Vec::with_capacity(line.audio.len());
    for format in &line.audio {
        if !codecs.contains(&format.codec) {
            codecs.push(format.codec);
        }
    }
    Ok(codecs)
}

/// Whether an offer's audio line has comfort noise at 8 kHz (RFC 3389). `local` as in [`offered_codecs`].
#[must_use]
pub fn offers_comfort_noise(offer: &[u8], local: IpAddr, preference: &Preference) -> bool {
    let Ok(description) = Description::parse(offer) else { return false };
    let line = description.first_audio(local, preference, preference.srtp(), true);
    line.is_ok_and(|line| line.comfort_noise.iter().any(|(_, clock)| *clock == COMFORT_NOISE_CLOCK))
}

/// Our offer: these codecs, the preferred one first, and telephone events on each of their clocks; 20 ms.
#[must_use]
pub fn build_offer(local: &LocalMedia, codecs: &[Codec], direction: Direction) -> Vec<u8> {
    offer(local, codecs, direction, &mut Numbers::new(), (&[], None), false)
}

/// With keys it is an offer of RTP/SAVP, with a certificate one of UDP/TLS/RTP/SAVP; `noise`: with comfort noise.
pub(super) fn offer(
    local: &LocalMedia,
    codecs: &[Codec],
    direction: Direction,
    numbers: &mut Numbers,
    (crypto, certified): (&[Line], Option<&DtlsLocal>),
    noise: bool,
) -> Vec<u8> {
    let audio: Vec<Format> = codecs.iter().filter_map(|codec| numbers.format(*codec)).collect();
    let mut events: Vec<TelephoneEvent> = Vec::new();
    // The 8 kHz clock is always there: many a phone knows no other.
    for clock in audio.iter().map(|f| f.codec.rtp_clock()).chain([8_000]) {
        if events.iter().all(|e| e.clock != clock)
            && let Some(payload_type) = numbers.number(Encoding::Event(clock))
        {
            events.push(TelephoneEvent { payload_type, clock });
        }
    }
    let mut offer = frame(local);
    let protocol = match (certified, crypto) {
        (Some(_), _) => "UDP/TLS/RTP/SAVP",
        (None, []) => "RTP/AVP",
        (None, _) => "RTP/SAVP",
    };
    let comfort_noise = noise.then(|| numbers.number(Encoding::ComfortNoise(COMFORT_NOISE_CLOCK))).flatten();
    let comfort_noise = comfort_noise.map(|number| (number, COMFORT_NOISE_CLOCK));
    let stream = Stream {
        audio: &audio,
        comfort_noise,
        events: &events,
        // A handshake of its own for RTCP is saved by having none there.
        rtcp_mux: certified.is_some(),
        direction,
        protocol,
        crypto,
        secured: certified.map(Secured::Offer),
    };
    offer.medias.push(stream.line(local.port));
    write(&offer)
}

/// Reads the answer to an offer made by [`build_offer`] of these codecs: plain RTP.
///
/// # Errors
/// [`SdpError::NotAcceptable`] when the peer refused the line or chose what we did not offer: hang up.
/// [`SdpError::BadOffer`] when the answer is unreadable: hang up.
pub fn parse_answer(answer: &[u8], local: &LocalMedia, offered: &[Codec]) -> Result<Negotiated, SdpError> {
    let mut numbers = Numbers::new();
    offer(local, offered, Direction::SendRecv, &mut numbers, (&[], None), false);
    accept(answer, local, offered, &mut numbers, &mut KeyRing::new(None), false)
}

/// `numbers` and `ring` are those of the offer; `noise`: it had comfort noise.
pub(super) fn accept(
    answer: &[u8],
    local: &LocalMedia,
    offered: &[Codec],
    numbers: &mut Numbers,
    ring: &mut KeyRing,
    noise: bool,
) -> Result<Negotiated, SdpError> {
    let description = Description::parse(answer)?;
    let preference = Preference::of_peer(offered);
    let line = description.first_audio(local.address, &preference, ring.policy_of_offer(), ring.does_dtls())?;
    if line.index != 0 {
        return Err(SdpError::NotAcceptable("the answer has other media lines than the offer"));
    }
    let Some(send) = line.audio.first().copied() else {
        return Err(SdpError::NotAcceptable("no codec that is carried here"));
    };
    let keys = ring.accept(&line.crypto)?;
    let agreed = ring.accept_dtls(line.dtls.clone())?;
    // We send under the peer's numbers, it sends under ours; they are the same but for peers that got it wrong.
    let mut receive: Vec<Format> = line.audio.iter().filter_map(|f| numbers.format(f.codec)).collect();
    for theirs in &line.audio {
        if receive.iter().all(|f| f.payload_type != theirs.payload_type) {
            receive.push(*theirs);
        }
    }
    let mut formats = line.formats(send, receive.into_iter());
    // What was not offered does not hold, whatever the answer says: this, and `a=rtcp-mux` always.
    formats.comfort_noise = formats.comfort_noise.filter(|_| noise && send.codec.rtp_clock() == COMFORT_NOISE_CLOCK);
    Ok(Negotiated {
        answer: answer.to_vec(),
        remote: line.remote,
        rtcp: if agreed.is_some() && line.rtcp_mux { Rtcp::Mux } else { Rtcp::Address(line.control) },
        formats,
        ptime: line.ptime,
        direction: Direction::from_flags(line.peer.receives(), line.peer.sends()),
        keys,
        dtls: agreed,
    })
}

fn frame(local: &LocalMedia) -> Session {
    let mut origin = Origin::with_ip_addr(local.session_id, local.session_version, local.address);
    origin.username = Some("callwright".to_owned());
    let mut session = Session::new(origin, "-");
    session.connection = Some(Connection::from_ip_addr(local.address));
    session.times = vec![Time::new(0, 0)];
    session
}

/// Our audio line before it is text.
struct Stream<'a> {
    audio: &'a [Format],
    /// Payload type and clock.
    comfort_noise: Option<(u8, u32)>,
    events: &'a [TelephoneEvent],
    rtcp_mux: bool,
    direction: Direction,
    /// The profile, as the peer wrote it in its offer.
    protocol: &'a str,
    crypto: &'a [Line],
    secured: Option<Secured<'a>>,
}

/// What a line of DTLS says besides.
enum Secured<'a> {
    Answer(&'a DtlsLocal, &'a Dtls, Option<&'a str>),
    Offer(&'a DtlsLocal),
}

impl Stream<'_> {
    fn line(&self, port: u16) -> Media {
        let audio = self.audio.iter().map(|f| (f.payload_type, Encoding::Audio(f.codec)));
        let noise = self.comfort_noise.map(|(number, clock)| (number, Encoding::ComfortNoise(clock)));
        let events = self.events.iter().map(|e| (e.payload_type, Encoding::Event(e.clock)));
        let all: Vec<(u8, Encoding)> = audio.chain(noise).chain(events).collect();
        let numbers = all.iter().map(|(number, _)| number.to_string()).collect::<Vec<_>>().join(" ");
        let mut media = Media::new(MediaType::Audio, port, TransportProto::RtpAvp, numbers);
        self.protocol.clone_into(&mut media.proto);
        let mut add = |name: &str, value: Option<String>| {
            media.attributes.push(Attribute { attribute: name.to_owned(), value });
        };
        for (number, encoding) in &all {
            add("rtpmap", Some(format!("{number} {}", encoding.rtpmap())));
        }
        for (number, encoding) in &all {
            match encoding {
                Encoding::Audio(Codec::Opus) => add("fmtp", Some(format!("{number} useinbandfec=1"))),
                Encoding::Event(_) => add("fmtp", Some(format!("{number} 0-15"))),
                _ => {}
            }
        }
        match &self.secured {
            Some(Secured::Answer(ours, agreed, mid)) => dtls::answer_attributes(ours, agreed, *mid, &mut add),
            Some(Secured::Offer(ours)) => dtls::offer_attributes(ours, &mut add),
            None => {}
        }
        for line in self.crypto {
            add("crypto", Some(line.value()));
        }
        if self.rtcp_mux {
            add("rtcp-mux", None);
        }
        add("ptime", Some("20".to_owned()));
        add(self.direction.attribute(), None);
        media
    }
}

fn write(session: &Session) -> Vec<u8> {
    let mut octets = Vec::with_capacity(400);
    // Writing into a Vec cannot fail; were it to, an empty body is refused by the peer, not a crash.
    if session.write(&mut octets).is_err() {
        octets.clear();
    }
    octets
}
