//! The exchange itself: answer an offer, make an offer, read an answer (RFC 3264 §5–§8).

use std::net::SocketAddr;

use sdp_types::{Attribute, Connection, Media, MediaType, Origin, Session, Time, TransportProto};

use super::read::Description;
use super::{Codec, Direction, LocalMedia, Negotiated, Payload, SdpError};

/// Payload type under which we offer telephone events.
const OFFERED_EVENT: u8 = 101;

/// Answers an offer with the first audio line and the first codec in it that we speak.
///
/// # Errors
/// [`SdpError::NotAcceptable`] → 488, [`SdpError::BadOffer`] → 400.
pub fn negotiate(offer: &[u8], local: &LocalMedia) -> Result<Negotiated, SdpError> {
    let description = Description::parse(offer)?;
    let line = description.first_audio(local.address)?;
    // What the peer sends we receive, and the other way round (RFC 3264 §6.1).
    let ours = Direction::from_flags(line.peer.receives(), line.peer.sends());
    let mut answer = frame(local);
    if let Some(time) = description.session.times.first() {
        answer.times = vec![Time::new(time.start_time, time.stop_time)];
    }
    for (index, offered) in description.session.medias.iter().enumerate() {
        answer.medias.push(if index == line.index {
            audio(local.port, &[line.payload], line.telephone_event, ours)
        } else {
            // A refused line keeps its type, protocol and a format (RFC 3264 §6).
            let format = offered.fmt.split_ascii_whitespace().next().unwrap_or("0");
            let mut refused = Media::new(MediaType::Audio, 0, TransportProto::RtpAvp, format);
            refused.media.clone_from(&offered.media);
            refused.proto.clone_from(&offered.proto);
            refused
        });
    }
    Ok(Negotiated {
        answer: write(&answer),
        remote: SocketAddr::new(line.address, line.port),
        payload: line.payload,
        telephone_event: line.telephone_event,
        direction: ours,
    })
}

/// Our offer: PCMU, PCMA and telephone events, 20 ms.
#[must_use]
pub fn build_offer(local: &LocalMedia, direction: Direction) -> Vec<u8> {
    build_offer_of(local, &[Codec::Pcmu, Codec::Pcma], direction)
}

/// As [`build_offer`], of these codecs only, the preferred one first.
#[must_use]
pub fn build_offer_of(local: &LocalMedia, codecs: &[Codec], direction: Direction) -> Vec<u8> {
    let payload = |codec: &Codec| match codec {
        Codec::Pcmu => Payload { payload_type: 0, codec: Codec::Pcmu },
        Codec::Pcma => Payload { payload_type: 8, codec: Codec::Pcma },
    };
    let payloads: Vec<Payload> = codecs.iter().map(payload).collect();
    let mut offer = frame(local);
    offer.medias.push(audio(local.port, &payloads, Some(OFFERED_EVENT), direction));
    write(&offer)
}

/// Reads the answer to an offer made by [`build_offer`].
///
/// # Errors
/// [`SdpError::NotAcceptable`] when the peer refused the line or chose what we did not offer: hang up.
/// [`SdpError::BadOffer`] when the answer is unreadable: hang up.
pub fn parse_answer(answer: &[u8], local: &LocalMedia) -> Result<Negotiated, SdpError> {
    let description = Description::parse(answer)?;
    let line = description.first_audio(local.address)?;
    if line.index != 0 {
        return Err(SdpError::NotAcceptable("the answer has other media lines than the offer"));
    }
    Ok(Negotiated {
        answer: answer.to_vec(),
        remote: SocketAddr::new(line.address, line.port),
        payload: line.payload,
        telephone_event: line.telephone_event,
        direction: Direction::from_flags(line.peer.receives(), line.peer.sends()),
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

fn audio(port: u16, payloads: &[Payload], telephone_event: Option<u8>, direction: Direction) -> Media {
    let numbers = payloads.iter().map(|p| p.payload_type).chain(telephone_event);
    let formats = numbers.map(|pt| pt.to_string()).collect::<Vec<_>>().join(" ");
    let mut media = Media::new(MediaType::Audio, port, TransportProto::RtpAvp, formats);
    let mut add = |name: &str, value: Option<String>| {
        media.attributes.push(Attribute { attribute: name.to_owned(), value });
    };
    for p in payloads {
        add("rtpmap", Some(format!("{} {}/8000", p.payload_type, p.codec.encoding_name())));
    }
    if let Some(pt) = telephone_event {
        add("rtpmap", Some(format!("{pt} telephone-event/8000")));
        add("fmtp", Some(format!("{pt} 0-15")));
    }
    add("ptime", Some("20".to_owned()));
    add(direction.attribute(), None);
    media
}

fn write(session: &Session) -> Vec<u8> {
    let mut octets = Vec::with_capacity(400);
    // Writing into a Vec cannot fail; were it to, an empty body is refused by the peer, not a crash.
    if session.write(&mut octets).is_err() {
        octets.clear();
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local() -> LocalMedia {
        LocalMedia { address: "192.0.2.1".parse().unwrap(), port: 40000, session_id: 7, session_version: 1 }
    }

    fn offer(body: &str) -> Vec<u8> {
        format!("v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n{body}").into_bytes()
    }

    fn text(n: &Negotiated) -> String {
        String::from_utf8(n.answer.clone()).unwrap()
    }

    #[test]
    fn plain_phone_offer() {
        let n = negotiate(
            &offer("m=audio 30000 RTP/AVP 9 8 0 101\r\na=rtpmap:9 G722/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:30\r\n"),
            &local(),
        )
        .unwrap();
        assert_eq!(n.payload, Payload { payload_type: 8, codec: Codec::Pcma });
        assert_eq!(n.telephone_event, Some(101));
        assert_eq!(n.direction, Direction::SendRecv);
        assert_eq!(n.remote.to_string(), "198.51.100.1:30000");
        assert_eq!(
            text(&n),
            "v=0\r\no=callwright 7 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
             m=audio 40000 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
             a=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
        );
    }

    #[test]
    fn chosen_formats() {
        for (body, payload_type, codec, event) in [
            ("m=audio 3000 RTP/AVP 0\r\n", 0, Codec::Pcmu, None),
            ("m=audio 3000 RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000/1\r\n", 0, Codec::Pcmu, None),
            (
                "m=audio 3000 RTP/AVP 97 98\r\na=rtpmap:97 pcma/8000\r\na=rtpmap:98 telephone-event/8000\r\n",
                97,
                Codec::Pcma,
                Some(98),
            ),
            ("m=audio 3000 RTP/AVP 0 8\r\na=rtpmap:0 XX/8000\r\n", 8, Codec::Pcma, None),
            (
                "m=audio 3000 RTP/AVP 96 0 97\r\na=rtpmap:96 telephone-event/48000\r\na=rtpmap:97 telephone-event/8000\r\n",
                0,
                Codec::Pcmu,
                Some(97),
            ),
            ("m=audio 3000 RTP/AVP 999 0 300\r\n", 0, Codec::Pcmu, None),
            ("m=audio 3000/2 RTP/AVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n", 0, Codec::Pcmu, None),
        ] {
            let n = negotiate(&offer(body), &local()).unwrap_or_else(|e| panic!("{body}: {e}"));
            assert_eq!(
                (n.payload.payload_type, n.payload.codec, n.telephone_event),
                (payload_type, codec, event),
                "{body}"
            );
        }
    }

    #[test]
    fn refused_offers() {
        for (body, status) in [
            ("m=audio 3000 RTP/SAVP 0\r\n", 488),
            ("m=audio 3000 RTP/AVP 9 18\r\n", 488),
            ("m=audio 0 RTP/AVP 0\r\n", 488),
            ("m=video 3000 RTP/AVP 0\r\n", 488),
            ("m=audio 3000 RTP/AVP 0\r\nc=IN IP4 host.example\r\n", 488),
            ("m=audio 3000 RTP/AVP 0\r\nc=IN IP4 224.2.1.1/127\r\n", 488),
            ("m=audio 3000 RTP/AVP 0\r\nc=IN IP4 255.255.255.255\r\n", 488),
            ("m=audio 3000 RTP/AVP 0\r\nc=IN IP6 2001:db8::5\r\n", 488),
            ("m=audio 3000 RTP/AVP 0\r\na=rtpmap:0 PCMU/16000\r\n", 488),
            ("m=audio 99999 RTP/AVP 0\r\n", 400),
            ("m=audio\r\n", 400),
            ("", 400),
        ] {
            assert_eq!(negotiate(&offer(body), &local()).unwrap_err().status(), status, "{body}");
        }
        for garbage in [&b""[..], b"\0\0\0", b"v=1\r\n", b"m=audio 1 RTP/AVP 0\r\n", b"{\"sdp\": 1}"] {
            assert_eq!(negotiate(garbage, &local()).unwrap_err().status(), 400);
        }
        let no_connection = b"v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\ns=-\r\nt=0 0\r\nm=audio 3000 RTP/AVP 0\r\n";
        assert_eq!(negotiate(no_connection, &local()).unwrap_err().status(), 488);
    }

    #[test]
    fn bombs_hit_limits() {
        assert_eq!(negotiate(&offer(&"m=audio 3000 RTP/AVP 0\r\n".repeat(17)), &local()).unwrap_err().status(), 400);
        assert_eq!(negotiate(&offer(&"m=audio 3000 RTP/AVP 0\r\n".repeat(1500)), &local()).unwrap_err().status(), 400);
        let many = format!("m=audio 3000 RTP/AVP{}\r\n", " 0".repeat(65));
        assert_eq!(negotiate(&offer(&many), &local()).unwrap_err().status(), 400);
        let many = format!("m=audio 3000 RTP/AVP 0\r\n{}", "a=x\r\n".repeat(129));
        assert_eq!(negotiate(&offer(&many), &local()).unwrap_err().status(), 400);
        assert_eq!(negotiate(&vec![b'a'; 40_000], &local()).unwrap_err().status(), 400);
    }

    #[test]
    fn answer_mirrors_the_lines() {
        let n = negotiate(
            &offer("m=video 5000 RTP/AVP 96 97\r\na=rtpmap:96 H264/90000\r\nm=audio 30000 RTP/SAVP 0\r\nm=audio 30000 RTP/AVP 0\r\nm=image 9 udptl t38\r\nm=audio 30002 RTP/AVP 8\r\n"),
            &local(),
        )
        .unwrap();
        let lines: Vec<_> = text(&n).lines().filter(|l| l.starts_with("m=")).map(str::to_owned).collect();
        assert_eq!(
            lines,
            [
                "m=video 0 RTP/AVP 96",
                "m=audio 0 RTP/SAVP 0",
                "m=audio 40000 RTP/AVP 0",
                "m=image 0 udptl t38",
                "m=audio 0 RTP/AVP 8"
            ]
        );
    }

    #[test]
    fn directions_are_mirrored() {
        for (line, ours) in [
            ("", Direction::SendRecv),
            ("a=sendrecv\r\n", Direction::SendRecv),
            ("a=sendonly\r\n", Direction::RecvOnly),
            ("a=recvonly\r\n", Direction::SendOnly),
            ("a=inactive\r\n", Direction::Inactive),
            ("c=IN IP4 0.0.0.0\r\n", Direction::RecvOnly),
            ("c=IN IP4 0.0.0.0\r\na=inactive\r\n", Direction::Inactive),
            ("c=IN IP4 0.0.0.0\r\na=recvonly\r\n", Direction::Inactive),
        ] {
            let n = negotiate(&offer(&format!("m=audio 30000 RTP/AVP 0\r\n{line}")), &local()).unwrap();
            assert_eq!(n.direction, ours, "{line}");
            assert!(text(&n).ends_with(&format!("a={}\r\n", ours.attribute())));
        }
        let session_level = "v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\na=sendonly\r\nm=audio 30000 RTP/AVP 0\r\n";
        assert_eq!(negotiate(session_level.as_bytes(), &local()).unwrap().direction, Direction::RecvOnly);
    }

    #[test]
    fn ipv6_and_odd_octets() {
        let mut six = local();
        six.address = "2001:db8::1".parse().unwrap();
        let n = negotiate(b"v=0\no=caf\xe9 99999999999999999999999 x IN IP6 2001:db8::2\ns=Jos\xe9\nc=IN IP6 2001:db8::2\nt=0 0\nm=audio 30000 RTP/AVP 8\na=x:\xe9\n", &six).unwrap();
        assert_eq!(n.remote.to_string(), "[2001:db8::2]:30000");
        assert!(text(&n).contains("c=IN IP6 2001:db8::1\r\n"));
    }

    #[test]
    fn offer_and_answer_meet() {
        let (caller, mut callee) = (local(), local());
        callee.address = "192.0.2.9".parse().unwrap();
        callee.port = 50000;
        let answer = negotiate(&build_offer(&caller, Direction::SendRecv), &callee).unwrap();
        let read = parse_answer(&answer.answer, &caller).unwrap();
        assert_eq!(read.remote.to_string(), "192.0.2.9:50000");
        assert_eq!(read.payload, Payload { payload_type: 0, codec: Codec::Pcmu });
        assert_eq!((read.telephone_event, read.direction), (Some(101), Direction::SendRecv));
        let refused = offer("m=audio 0 RTP/AVP 0\r\n");
        assert_eq!(parse_answer(&refused, &caller).unwrap_err().status(), 488);
    }
}
