//! The exchange against what phones really send.

use super::*;
use crate::rtp::format::{Codec, Format, OpusWishes, TelephoneEvent};
use proptest::prelude::*;

/// G.711 alone, as the oldest phones know it.
const LAWS: [Codec; 2] = [Codec::Pcmu, Codec::Pcma];

fn negotiate(offer: &[u8], local: &LocalMedia) -> Result<Negotiated, SdpError> {
    super::negotiate(offer, local, &Preference::default())
}

fn event(n: &Negotiated) -> Option<u8> {
    n.formats.telephone_event.map(|e| e.payload_type)
}

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
    let n = super::negotiate(
        &offer("m=audio 30000 RTP/AVP 9 8 0 101\r\na=rtpmap:9 G722/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:30\r\n"),
        &local(),
        &Preference::of_peer(&LAWS),
    )
    .unwrap();
    assert_eq!(n.formats, Formats::of(Format::PCMA).with_events(101));
    assert_eq!((n.ptime, n.rtcp), (Some(30), Rtcp::Address("198.51.100.1:30001".parse().unwrap())));
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
    for (body, payload_type, codec, events) in [
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
            (n.formats.send.payload_type, n.formats.send.codec, event(&n)),
            (payload_type, codec, events),
            "{body}"
        );
    }
}

#[test]
fn refused_offers() {
    for (body, status) in [
        ("m=audio 3000 RTP/SAVP 0\r\n", 488),
        ("m=audio 3000 RTP/AVP 3 18\r\n", 488),
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
    let many = format!("m=audio 3000 RTP/AVP 0\r\n{}", "a=x\r\n".repeat(513));
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
    let answer = negotiate(&build_offer(&caller, &LAWS, Direction::SendRecv), &callee).unwrap();
    let read = parse_answer(&answer.answer, &caller, &LAWS).unwrap();
    assert_eq!(read.remote.to_string(), "192.0.2.9:50000");
    assert_eq!(read.rtcp, Rtcp::Address("192.0.2.9:50001".parse().unwrap()));
    assert_eq!(read.formats, Formats::of(Format::PCMU).with_events(101));
    assert_eq!(read.direction, Direction::SendRecv);
    let refused = offer("m=audio 0 RTP/AVP 0\r\n");
    assert_eq!(parse_answer(&refused, &caller, &LAWS).unwrap_err().status(), 488);
    let not_offered = offer("m=audio 3000 RTP/AVP 9\r\n");
    assert_eq!(parse_answer(&not_offered, &caller, &LAWS).unwrap_err().status(), 488);
}

/// An offer as a product sends it, and what must come of it.
struct Product {
    name: &'static str,
    body: &'static str,
    send: (u8, Codec),
    /// Payload type and clock.
    events: Option<(u8, u32)>,
    comfort_noise: Option<u8>,
    rtcp: &'static str,
    ptime: Option<u8>,
}

const PRODUCTS: &[Product] = &[
    Product {
        name: "Linphone on a desk",
        body: "m=audio 7078 RTP/AVP 96 97 98 0 8 18 101 99 100\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\n\
               a=rtpmap:97 speex/16000\r\na=fmtp:97 vbr=on\r\na=rtpmap:98 speex/8000\r\na=fmtp:98 vbr=on\r\n\
               a=fmtp:18 annexb=yes\r\na=rtpmap:101 telephone-event/48000\r\na=rtpmap:99 telephone-event/16000\r\n\
               a=rtpmap:100 telephone-event/8000\r\na=rtcp:7079\r\n",
        send: (96, Codec::Opus),
        events: Some((101, 48_000)),
        comfort_noise: None,
        rtcp: "198.51.100.1:7079",
        ptime: None,
    },
    Product {
        name: "baresip",
        body: "b=AS:512\r\nm=audio 21370 RTP/AVP 96 9 0 8 101\r\na=rtpmap:96 opus/48000/2\r\n\
               a=fmtp:96 stereo=1;sprop-stereo=1;useinbandfec=1;maxaveragebitrate=28000\r\na=rtpmap:9 G722/8000\r\n\
               a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n\
               a=rtcp:21371\r\na=sendrecv\r\na=label:1\r\na=rtcp-rsize\r\na=ssrc:1 cname:x\r\na=ptime:20\r\n",
        send: (96, Codec::Opus),
        events: Some((101, 8_000)),
        comfort_noise: None,
        rtcp: "198.51.100.1:21371",
        ptime: Some(20),
    },
    Product {
        name: "the audio line of Chromium without encryption",
        body: "m=audio 9000 RTP/AVP 111 63 9 0 8 13 110 126\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\n\
               a=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n\
               a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\na=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\n\
               a=rtpmap:8 PCMA/8000\r\na=rtpmap:13 CN/8000\r\na=rtpmap:110 telephone-event/48000\r\n\
               a=rtpmap:126 telephone-event/8000\r\n",
        send: (111, Codec::Opus),
        events: Some((110, 48_000)),
        comfort_noise: None,
        rtcp: "mux",
        ptime: None,
    },
    Product {
        name: "Asterisk",
        body: "m=audio 18484 RTP/AVP 0 8 9 107 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:9 G722/8000\r\n\
               a=rtpmap:107 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=maxptime:140\r\n\
               a=sendrecv\r\n",
        send: (0, Codec::Pcmu),
        events: Some((101, 8_000)),
        comfort_noise: None,
        rtcp: "198.51.100.1:18485",
        ptime: Some(20),
    },
    Product {
        name: "a Cisco desk phone",
        body: "m=audio 16668 RTP/AVP 9 0 8 116 18 101\r\na=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
               a=rtpmap:116 iLBC/8000\r\na=fmtp:116 mode=20\r\na=rtpmap:18 G729/8000\r\na=fmtp:18 annexb=yes\r\n\
               a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n",
        send: (9, Codec::G722),
        events: Some((101, 8_000)),
        comfort_noise: None,
        rtcp: "198.51.100.1:16669",
        ptime: None,
    },
    Product {
        name: "a Polycom desk phone",
        body: "a=sendrecv\r\nm=audio 2226 RTP/AVP 115 9 8 0 18 127\r\na=rtpmap:115 G7221/32000\r\na=fmtp:115 bitrate=48000\r\n\
               a=rtpmap:9 G722/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:18 G729/8000\r\n\
               a=fmtp:18 annexb=no\r\na=rtpmap:127 telephone-event/8000\r\n",
        send: (9, Codec::G722),
        events: Some((127, 8_000)),
        comfort_noise: None,
        rtcp: "198.51.100.1:2227",
        ptime: None,
    },
    Product {
        name: "a carrier's border controller that puts A-law under a number of its own",
        body: "m=audio 40518 RTP/AVP 18 118 13 100\r\nc=IN IP4 203.0.113.77\r\na=rtpmap:118 PCMA/8000\r\na=rtpmap:18 G729/8000\r\n\
               a=fmtp:18 annexb=no\r\na=rtpmap:100 telephone-event/8000\r\na=fmtp:100 0-15\r\na=ptime:30\r\na=maxptime:60\r\n\
               a=rtcp:40600 IN IP4 203.0.113.78\r\na=sendrecv\r\n",
        send: (118, Codec::Pcma),
        events: Some((100, 8_000)),
        comfort_noise: Some(13),
        rtcp: "203.0.113.78:40600",
        ptime: Some(30),
    },
    Product {
        name: "a trunk with nothing but numbers",
        body: "m=audio 25000 RTP/AVP 8 0 18\r\n",
        send: (8, Codec::Pcma),
        events: None,
        comfort_noise: None,
        rtcp: "198.51.100.1:25001",
        ptime: None,
    },
    Product {
        name: "a studio box",
        body: "m=audio 5004 RTP/AVP 98 99 105\r\na=rtpmap:98 L16/44100/2\r\na=rtpmap:99 L16/16000\r\n\
               a=rtpmap:105 telephone-event/16000\r\na=rtcp-mux\r\na=ptime:10\r\n",
        send: (99, Codec::L16At16k),
        events: Some((105, 16_000)),
        comfort_noise: None,
        rtcp: "mux",
        ptime: Some(10),
    },
];

#[test]
fn comfort_noise_is_offered_when_asked_and_holds_when_answered() {
    let preference = Preference::of_peer(&LAWS);
    for (ours, theirs, agreed) in [(true, true, Some(13)), (true, false, None), (false, true, None)] {
        let mut session = SdpSession::preferring(local(), preference.clone().with_comfort_noise(ours));
        let said = String::from_utf8(session.offer(Direction::SendRecv)).unwrap();
        assert_eq!(said.contains("a=rtpmap:13 CN/8000\r\n"), ours, "{said}");
        assert_eq!(offers_comfort_noise(said.as_bytes(), local().address, &preference), ours);
        let numbers = if theirs { "0 13" } else { "0" };
        let answer = offer(&format!("m=audio 30000 RTP/AVP {numbers}\r\n"));
        assert_eq!(session.accept_answer(&answer).unwrap().formats.comfort_noise, agreed);
    }
    assert!(!offers_comfort_noise(b"rubbish", local().address, &preference));
    // Noise on another clock than the codec's is none.
    let wide = offer("m=audio 30000 RTP/AVP 97 98 0\r\na=rtpmap:97 L16/16000\r\na=rtpmap:98 CN/16000\r\n");
    let of = |codec| negotiate_with(&wide, &[codec]).formats.comfort_noise;
    assert_eq!((of(Codec::L16At16k), of(Codec::Pcmu)), (Some(98), None));
}

fn negotiate_with(offer: &[u8], codecs: &[Codec]) -> Negotiated {
    super::negotiate(offer, &local(), &Preference::of_ours(codecs)).unwrap()
}

#[test]
fn offers_of_real_products() {
    for p in PRODUCTS {
        let n = negotiate(&offer(p.body), &local()).unwrap_or_else(|e| panic!("{}: {e}", p.name));
        let f = n.formats;
        assert_eq!((f.send.payload_type, f.send.codec), p.send, "{}", p.name);
        assert_eq!(f.telephone_event.map(|e| (e.payload_type, e.clock)), p.events, "{}", p.name);
        assert_eq!((f.comfort_noise, n.ptime), (p.comfort_noise, p.ptime), "{}", p.name);
        let rtcp = match n.rtcp {
            Rtcp::Mux => "mux".to_owned(),
            Rtcp::Address(address) => address.to_string(),
        };
        assert_eq!(rtcp, p.rtcp, "{}", p.name);
        assert_eq!(text(&n).contains("a=rtcp-mux\r\n"), p.rtcp == "mux", "{}", p.name);
        // What we answered, read by such a phone, is what we think was agreed.
        let read = negotiate(&n.answer, &local()).unwrap();
        assert_eq!((read.formats.send, read.formats.telephone_event), (f.send, f.telephone_event), "{}", p.name);
    }
}

#[test]
fn the_answer_to_opus() {
    let chromium = PRODUCTS.iter().find(|p| p.name.contains("Chromium")).unwrap();
    let n = negotiate(&offer(chromium.body), &local()).unwrap();
    assert_eq!(
        text(&n).split_once("m=").unwrap().1,
        "audio 40000 RTP/AVP 111 110\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:110 telephone-event/48000\r\n\
         a=fmtp:111 useinbandfec=1\r\na=fmtp:110 0-15\r\na=rtcp-mux\r\na=ptime:20\r\na=sendrecv\r\n"
    );
    assert_eq!(n.formats.opus, OpusWishes { fec: true, ..OpusWishes::default() });
}

#[test]
fn what_opus_wishes_are_understood() {
    let wishes = |fmtp: &str| {
        let body = format!("m=audio 9 RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\n{fmtp}");
        negotiate(&offer(&body), &local()).unwrap().formats.opus
    };
    let none = OpusWishes::default();
    assert_eq!(wishes(""), none);
    assert_eq!(wishes("a=fmtp:97 useinbandfec=1\r\n"), none);
    assert_eq!(
        wishes(
            "a=fmtp:96 maxplaybackrate=16000; sprop-maxcapturerate=16000;MaxAverageBitrate=20000 ; usedtx=1;cbr=1;stereo=0;useinbandfec=1\r\n"
        ),
        OpusWishes { fec: true, dtx: true, bitrate_max: Some(20_000), playback_rate_max: Some(16_000) }
    );
    for odd in
        ["useinbandfec", "useinbandfec=", "useinbandfec=yes;maxaveragebitrate=1", "maxplaybackrate=99999999999", ";;=;"]
    {
        assert_eq!(wishes(&format!("a=fmtp:96 {odd}\r\n")), none, "{odd}");
    }
}

#[test]
fn whose_order_counts() {
    let body = "m=audio 9 RTP/AVP 9 96 8 0\r\na=rtpmap:96 opus/48000/2\r\n";
    let chosen = |p: &Preference| super::negotiate(&offer(body), &local(), p).unwrap().formats.send.codec;
    assert_eq!(chosen(&Preference::default()), Codec::G722);
    assert_eq!(chosen(&Preference::of_ours(&[Codec::Pcmu, Codec::Opus])), Codec::Pcmu);
    assert_eq!(chosen(&Preference::of_peer(&[Codec::Pcmu, Codec::Opus])), Codec::Opus);
    assert_eq!(chosen(&Preference::default().favouring(Codec::Pcma)), Codec::Pcma);
    assert_eq!(chosen(&Preference::default().favouring(Codec::L16At8k)), Codec::G722);
    let nothing = Preference::of_ours(&[Codec::L16At8k]);
    assert_eq!(super::negotiate(&offer(body), &local(), &nothing).unwrap_err().status(), 488);
    assert_eq!(
        offered_codecs(&offer(body), local().address, &Preference::of_ours(&[Codec::Pcmu, Codec::Opus])).unwrap(),
        [Codec::Opus, Codec::Pcmu]
    );
}

#[test]
fn an_answer_of_several_formats() {
    let mut session = SdpSession::new(local());
    let said =
        String::from_utf8(session.offer_of(&[Codec::Opus, Codec::G722, Codec::Pcmu], Direction::SendRecv)).unwrap();
    assert!(said.contains("m=audio 40000 RTP/AVP 111 9 0 110 101\r\n"), "{said}");
    let early = session.offered_formats().unwrap();
    assert_eq!(early.receive.iter().flatten().count(), 3);
    assert_eq!(early.telephone_event, Some(TelephoneEvent { payload_type: 110, clock: 48_000 }));
    let n = session
        .accept_answer(&offer("m=audio 30000 RTP/AVP 0 111 101\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\na=rtcp-mux\r\n"))
        .unwrap();
    assert_eq!(n.formats.send, Format::PCMU);
    assert_eq!(n.formats.received_as(111).map(|f| f.codec), Some(Codec::Opus));
    assert_eq!(event(&n), Some(101));
    assert_eq!(n.rtcp, Rtcp::Address("198.51.100.1:30001".parse().unwrap()), "mux was not offered");
    // A peer that gives Opus another number in its answer wants that, and sends under ours (RFC 3264 section 6.1).
    let n = session.accept_answer(&offer("m=audio 30000 RTP/AVP 100\r\na=rtpmap:100 opus/48000/2\r\n")).unwrap();
    assert_eq!(n.formats.send.payload_type, 100);
    assert_eq!(n.formats.received_as(111).map(|f| f.codec), Some(Codec::Opus));
}

#[test]
fn numbers_outlive_an_offer() {
    let mut session = SdpSession::new(local());
    // 111 is somebody else's codec, 101 is Opus, events are 96.
    let theirs = "m=audio 30000 RTP/AVP 111 101 96\r\na=rtpmap:111 AMR-WB/16000\r\na=rtpmap:101 opus/48000/2\r\na=rtpmap:96 telephone-event/8000\r\n";
    session.answer(&offer(theirs)).unwrap();
    let ours = String::from_utf8(session.offer_of(&[Codec::Opus, Codec::L16At16k], Direction::SendRecv)).unwrap();
    assert!(ours.contains("a=rtpmap:101 opus/48000/2\r\n"), "{ours}");
    assert!(ours.contains("a=rtpmap:96 telephone-event/8000\r\n"), "{ours}");
    assert!(!ours.contains("rtpmap:111"), "{ours}");
    let again = String::from_utf8(session.offer_of(&[Codec::Opus, Codec::L16At16k], Direction::SendRecv)).unwrap();
    assert_eq!(ours, again);
}

#[test]
fn control_goes_where_it_can() {
    for (line, expected) in [
        ("", "198.51.100.1:30001"),
        ("a=rtcp:50\r\n", "198.51.100.1:50"),
        ("a=rtcp:50 IN IP4 198.51.100.9\r\n", "198.51.100.9:50"),
        ("a=rtcp:50 IN IP4 host.example\r\n", "198.51.100.1:30001"),
        ("a=rtcp:50 IN IP4 224.0.0.1\r\n", "198.51.100.1:30001"),
        ("a=rtcp:50 IN IP6 ::1\r\n", "198.51.100.1:30001"),
        ("a=rtcp:0\r\n", "198.51.100.1:30001"),
        ("a=rtcp:\r\n", "198.51.100.1:30001"),
        ("a=rtcp\r\n", "198.51.100.1:30001"),
    ] {
        let n = negotiate(&offer(&format!("m=audio 30000 RTP/AVP 0\r\n{line}")), &local()).unwrap();
        assert_eq!(n.rtcp, Rtcp::Address(expected.parse().unwrap()), "{line}");
    }
    let last = negotiate(&offer("m=audio 65535 RTP/AVP 0\r\n"), &local()).unwrap();
    assert_eq!(last.rtcp, Rtcp::Address("198.51.100.1:65535".parse().unwrap()));
    for (ptime, ms) in [("10", Some(10)), ("60", Some(60)), ("20.0", Some(20)), ("0", None), ("999", None), ("x", None)]
    {
        let n = negotiate(&offer(&format!("m=audio 30000 RTP/AVP 0\r\na=ptime:{ptime}\r\n")), &local()).unwrap();
        assert_eq!(n.ptime, ms, "{ptime}");
    }
}

fn subset() -> impl Strategy<Value = Vec<Codec>> {
    proptest::sample::subsequence(Codec::ALL.to_vec(), 1..=Codec::ALL.len()).prop_shuffle()
}

proptest! {
    /// Whatever two ends carry, in whatever order: they agree on the same codec and events, or both know that there is none.
    #[test]
    fn two_ends_agree(offered in subset(), carried in subset(), ours: bool) {
        let mut caller = SdpSession::new(local());
        let preference = if ours { Preference::of_ours(&carried) } else { Preference::of_peer(&carried) };
        let mut callee = SdpSession::preferring(local(), preference);
        let offer = caller.offer_of(&offered, Direction::SendRecv);
        match callee.answer(&offer) {
            Ok(agreed) => {
                let first = if ours { &carried } else { &offered };
                let best = first.iter().find(|c| carried.contains(c) && offered.contains(c));
                prop_assert_eq!(Some(&agreed.formats.send.codec), best);
                let read = caller.accept_answer(&agreed.answer).unwrap();
                prop_assert_eq!(read.formats.send, agreed.formats.send);
                prop_assert_eq!(read.formats.received_as(agreed.formats.send.payload_type), Some(agreed.formats.send));
                prop_assert_eq!(read.formats.telephone_event, agreed.formats.telephone_event);
                prop_assert_eq!(read.formats.telephone_event.unwrap().clock, agreed.formats.send.codec.rtp_clock());
                // A re-offer from the other side keeps the number.
                let again = callee.offer_of(&[agreed.formats.send.codec], Direction::SendRecv);
                prop_assert_eq!(caller.answer(&again).unwrap().formats.send, agreed.formats.send);
            }
            Err(error) => {
                prop_assert_eq!(error.status(), 488);
                prop_assert!(offered.iter().all(|c| !carried.contains(c)));
            }
        }
    }

    #[test]
    fn numbers_in_an_offer_are_distinct(codecs in subset(), taken in proptest::collection::btree_set(96u8..128, 0..24)) {
        let mut session = SdpSession::new(local());
        let numbers: String = taken.iter().map(|n| format!(" {n}")).collect();
        let maps: String = taken.iter().map(|n| format!("a=rtpmap:{n} x-unknown/8000\r\n")).collect();
        session.answer(&offer(&format!("m=audio 3000 RTP/AVP 0{numbers}\r\n{maps}"))).unwrap();
        let ours = String::from_utf8(session.offer_of(&codecs, Direction::SendRecv)).unwrap();
        let used: Vec<u8> = ours.lines().filter_map(|l| l.strip_prefix("a=rtpmap:")?.split(' ').next()?.parse().ok()).collect();
        let distinct: std::collections::BTreeSet<u8> = used.iter().copied().collect();
        prop_assert_eq!(distinct.len(), used.len());
        prop_assert!(distinct.is_disjoint(&taken), "{:?} {:?}", used, taken);
    }
}

/// RFC 3264 §8.4: whoever holds is not taken back by the other's offer.
#[test]
fn while_we_hold_every_offer_is_answered_so_that_the_peer_stays_held() {
    let mut session = SdpSession::new(local());
    session.offer(Direction::SendOnly);
    session.hold(true);
    for (theirs, ours) in [
        ("sendrecv", Direction::SendOnly),
        ("recvonly", Direction::SendOnly),
        ("sendonly", Direction::Inactive),
        ("inactive", Direction::Inactive),
    ] {
        let agreed = session.answer(&offer(&format!("m=audio 30000 RTP/AVP 0\r\na={theirs}\r\n"))).unwrap();
        assert_eq!(agreed.direction, ours, "{theirs}");
        assert!(text(&agreed).contains(&format!("a={}\r\n", ours.attribute())), "{theirs}");
    }
    session.hold(false);
    let agreed = session.answer(&offer("m=audio 30000 RTP/AVP 0\r\na=sendrecv\r\n")).unwrap();
    assert_eq!(agreed.direction, Direction::SendRecv);
}
