//! SRTP in descriptions: what is taken, what is refused, which key goes with which. Tests.

use super::*;
use crate::rtp::format::Codec;
use crate::rtp::sdes;
use crate::rtp::srtp::{MasterKey, Profile};
use std::sync::atomic::{AtomicU8, Ordering};

const KEY: &str = "inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj";
const OTHER: &str = "inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";

/// Never the same twice.
fn random(octets: &mut [u8]) {
    static DRAWN: AtomicU8 = AtomicU8::new(1);
    for octet in octets {
        *octet = DRAWN.fetch_add(1, Ordering::Relaxed);
    }
}

fn session(srtp: Srtp) -> SdpSession {
    let local = LocalMedia { address: "192.0.2.1".parse().unwrap(), port: 40000, session_id: 7, session_version: 1 };
    SdpSession::preferring(local, Preference::default().protecting(srtp)).drawing(random)
}

fn offer(media: &str) -> Vec<u8> {
    format!("v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n{media}").into_bytes()
}

/// A protected line with these values of `a=crypto`.
fn savp(crypto: &[&str]) -> Vec<u8> {
    let lines: String = crypto.iter().map(|c| format!("a=crypto:{c}\r\n")).collect();
    offer(&format!("m=audio 30000 RTP/SAVP 0\r\n{lines}"))
}

fn lines(description: &[u8], prefix: &str) -> Vec<String> {
    let text = String::from_utf8(description.to_vec()).unwrap();
    text.lines().filter_map(|l| l.strip_prefix(prefix)).map(str::to_owned).collect()
}

#[test]
fn the_first_line_that_we_can_do_is_answered_under_its_number() {
    let base = format!("AES_CM_128_HMAC_SHA1_80 {KEY}");
    let short = format!("AES_CM_128_HMAC_SHA1_32 {KEY}");
    let master = MasterKey::new(Profile::AeadAes256Gcm, &[5; 32], &[6; 12]).unwrap();
    let gcm = sdes::write(9, &master);
    for (offered, tag, profile) in [
        (vec![format!("1 {base}")], 1, Profile::AesCm128HmacSha1With80),
        (vec![format!("7 {short}|2^31"), format!("1 {base}")], 7, Profile::AesCm128HmacSha1With32),
        (vec![format!("1 F8_128_HMAC_SHA1_80 {KEY}"), format!("2 {base}|1048576")], 2, Profile::AesCm128HmacSha1With80),
        (vec![format!("1 AES_256_CM_HMAC_SHA1_80 {KEY}"), gcm.clone()], 9, Profile::AeadAes256Gcm),
        // MKI, session parameters, several keys, nonsense: passed over.
        (vec![format!("1 {base}|2^20|1:4"), format!("2 {short}")], 2, Profile::AesCm128HmacSha1With32),
        (
            vec![
                format!("1 {base} UNENCRYPTED_SRTP"),
                format!("2 {base};{KEY}"),
                "3".to_owned(),
                format!("999999999 {base}"),
            ],
            999_999_999,
            Profile::AesCm128HmacSha1With80,
        ),
    ] {
        let offered: Vec<&str> = offered.iter().map(String::as_str).collect();
        for srtp in [Srtp::Answer, Srtp::Require] {
            let agreed = session(srtp).answer(&savp(&offered)).unwrap();
            assert_eq!(lines(&agreed.answer, "m="), ["audio 40000 RTP/SAVP 0"], "{offered:?}");
            let said = lines(&agreed.answer, "a=crypto:");
            assert_eq!(said.len(), 1, "{said:?}");
            let said = sdes::parse(&said[0]).unwrap();
            let keys = agreed.keys.unwrap();
            assert_eq!((said.tag, said.key.profile(), said.lifetime), (tag, profile, None));
            assert_eq!(said.key, keys.ours);
            assert!(offered.iter().any(|o| sdes::parse(o).is_ok_and(|o| o.tag == tag && o.key == keys.theirs)));
            assert_ne!(keys.ours, keys.theirs);
        }
    }
}

#[test]
fn what_cannot_be_protected_is_refused_and_never_plain() {
    for crypto in [&[][..], &["1 F8_128_HMAC_SHA1_80 inline:AAAA"], &["1 AES_CM_128_HMAC_SHA1_80 inline:short"]] {
        for srtp in [Srtp::Answer, Srtp::Require] {
            assert_eq!(session(srtp).answer(&savp(crypto)).unwrap_err().status(), 488, "{crypto:?}");
        }
    }
    let good = format!("1 AES_CM_128_HMAC_SHA1_80 {KEY}");
    let error = session(Srtp::Off).answer(&savp(&[&good])).unwrap_err();
    assert!(error.to_string().contains("unencrypted"), "{error}");
    // DTLS has its keys elsewhere, and needs a certificate of ours.
    let dtls = offer(&format!("m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=crypto:{good}\r\n"));
    assert_eq!(session(Srtp::Answer).answer(&dtls).unwrap_err().status(), 488);
    // Without a source of keys there are none.
    let local = *session(Srtp::Off).local();
    let mut keyless = SdpSession::preferring(local, Preference::default().protecting(Srtp::Require));
    assert_eq!(keyless.answer(&savp(&[&good])).unwrap_err().status(), 488);
}

#[test]
fn plain_offers_are_plain_or_refused() {
    let plain = offer("m=audio 30000 RTP/AVP 0\r\n");
    let best_effort = offer(&format!("m=audio 30000 RTP/AVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 {KEY}\r\n"));
    for offered in [&plain, &best_effort] {
        for srtp in [Srtp::Off, Srtp::Answer] {
            let agreed = session(srtp).answer(offered).unwrap();
            assert_eq!((agreed.keys.is_none(), lines(&agreed.answer, "a=crypto").len()), (true, 0));
            assert_eq!(lines(&agreed.answer, "m="), ["audio 40000 RTP/AVP 0"]);
        }
        let error = session(Srtp::Require).answer(offered).unwrap_err();
        assert!(error.status() == 488 && error.to_string().contains("RTP/SAVP"), "{error}");
    }
    let local = "192.0.2.1".parse().unwrap();
    let required = Preference::default().protecting(Srtp::Require);
    assert_eq!(offered_codecs(&plain, local, &required).unwrap_err().status(), 488);
}

#[test]
fn of_both_kinds_of_line_the_protected_one_is_taken() {
    let crypto = format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 {KEY}\r\n");
    let both = [
        offer(&format!("m=audio 30000 RTP/AVP 0\r\nm=audio 30002 RTP/SAVP 8\r\n{crypto}")),
        offer(&format!("m=audio 30000 RTP/SAVPF 8\r\n{crypto}m=audio 30002 RTP/AVP 0\r\n")),
        offer("m=audio 30000 RTP/SAVP 8\r\na=crypto:1 F8_128_HMAC_SHA1_80 inline:x\r\nm=audio 30002 RTP/AVP 0\r\n"),
    ];
    for (offered, srtp, answered) in [
        (&both[0], Srtp::Answer, ["audio 0 RTP/AVP 0", "audio 40000 RTP/SAVP 8"]),
        (&both[0], Srtp::Require, ["audio 0 RTP/AVP 0", "audio 40000 RTP/SAVP 8"]),
        (&both[0], Srtp::Off, ["audio 40000 RTP/AVP 0", "audio 0 RTP/SAVP 8"]),
        (&both[1], Srtp::Answer, ["audio 40000 RTP/SAVPF 8", "audio 0 RTP/AVP 0"]),
        // The plain line was offered as well; the protected one stays protected, and refused.
        (&both[2], Srtp::Answer, ["audio 0 RTP/SAVP 8", "audio 40000 RTP/AVP 0"]),
    ] {
        let agreed = session(srtp).answer(offered).unwrap();
        assert_eq!(lines(&agreed.answer, "m="), answered, "{srtp:?}");
        assert_eq!(lines(&agreed.answer, "a=crypto:").len(), usize::from(agreed.keys.is_some()));
        assert_eq!(agreed.keys.is_some(), !answered.iter().any(|l| l.starts_with("audio 40000 RTP/AVP")));
    }
}

#[test]
fn a_key_stays_while_the_peers_does_and_changes_with_it() {
    let mut session = session(Srtp::Answer);
    let one = savp(&[&format!("1 AES_CM_128_HMAC_SHA1_80 {KEY}")]);
    let first = session.answer(&one).unwrap();
    let refreshed = session.answer(&one).unwrap();
    assert_eq!((&refreshed.answer, &refreshed.keys), (&first.answer, &first.keys), "the very same octets");
    // Another number for the same key.
    let renumbered = session.answer(&savp(&[&format!("4 AES_CM_128_HMAC_SHA1_80 {KEY}")])).unwrap();
    assert_eq!(renumbered.keys, first.keys);
    // A refusal in between changes nothing, nor does an attempt to go on in the clear.
    assert_eq!(session.answer(&savp(&["1 X inline:x"])).unwrap_err().status(), 488);
    assert_eq!(session.answer(&offer("m=audio 30000 RTP/AVP 0\r\n")).unwrap_err().status(), 488);
    assert_eq!(session.answer(&one).unwrap().keys, first.keys);
    let rekeyed = session.answer(&savp(&[&format!("1 AES_CM_128_HMAC_SHA1_80 {OTHER}")])).unwrap();
    let (before, after) = (first.keys.unwrap(), rekeyed.keys.unwrap());
    assert!(before.ours != after.ours && before.theirs != after.theirs);
    let back = session.answer(&one).unwrap();
    assert_ne!(back.keys.unwrap().ours, before.ours, "no key of ours comes a second time");
    // Our own offer goes on under the key in use.
    let ours = session.offer(Direction::SendRecv);
    assert_eq!(lines(&ours, "m=audio 40000 ")[0].split(' ').next(), Some("RTP/SAVP"));
    assert_eq!(lines(&ours, "a=crypto:").len(), 1);
    assert_eq!(ours, session.offer(Direction::SendRecv));
}

#[test]
fn a_plain_call_may_become_protected() {
    let mut session = session(Srtp::Answer);
    assert!(session.answer(&offer("m=audio 30000 RTP/AVP 0\r\n")).unwrap().keys.is_none());
    assert!(session.answer(&savp(&[&format!("1 AES_CM_128_HMAC_SHA1_80 {KEY}")])).unwrap().keys.is_some());
}

#[test]
fn our_offer_and_the_peers_choice() {
    for profile in Profile::ALL {
        let (mut caller, mut callee) = (session(Srtp::Require), session(Srtp::Answer));
        let offered = caller.offer(Direction::SendRecv);
        assert!(caller.offers_srtp());
        assert_eq!(lines(&offered, "a=crypto:").len(), 4);
        let text = String::from_utf8(offered).unwrap();
        // A peer that knows one suite alone.
        let only: String = text
            .split_inclusive('\n')
            .filter(|l| !l.starts_with("a=crypto") || l.contains(&format!(" {} ", profile.suite())))
            .collect();
        let theirs = callee.answer(only.as_bytes()).unwrap();
        let ours = caller.accept_answer(&theirs.answer).unwrap();
        let (a, b) = (ours.keys.unwrap(), theirs.keys.unwrap());
        assert_eq!((&a.ours, &a.theirs), (&b.theirs, &b.ours));
        assert_eq!(a.ours.profile(), profile);
        // The next offer of ours names that key alone, and the answer to it brings nothing new.
        let again = caller.offer(Direction::SendRecv);
        let said = callee.answer(&again).unwrap();
        assert_eq!((lines(&again, "a=crypto:").len(), &said.keys), (1, &Some(b)));
        assert_eq!(caller.accept_answer(&said.answer).unwrap().keys, Some(a));
    }
}

#[test]
fn answers_that_do_not_go_with_our_offer_are_refused() {
    let mut caller = session(Srtp::Require);
    let offered = lines(&caller.offer(Direction::SendRecv), "a=crypto:");
    let reflected = offered[2].as_str();
    let (tag, rest) = reflected.split_once(' ').unwrap();
    assert!(rest.starts_with("AES_CM_128_HMAC_SHA1_80"), "{rest}");
    for (crypto, why) in [
        (vec![format!("8 AES_CM_128_HMAC_SHA1_80 {KEY}")], "a number that was not offered"),
        (vec![format!("{tag} AES_CM_128_HMAC_SHA1_32 {KEY}")], "another suite under the number"),
        (vec![reflected.to_owned()], "our own key"),
        (vec![], "no key"),
    ] {
        let crypto: Vec<&str> = crypto.iter().map(String::as_str).collect();
        assert_eq!(caller.accept_answer(&savp(&crypto)).unwrap_err().status(), 488, "{why}");
    }
    let plain = offer("m=audio 30000 RTP/AVP 0\r\n");
    assert_eq!(caller.accept_answer(&plain).unwrap_err().status(), 488, "downgraded");
    assert!(caller.accept_answer(&savp(&[&format!("{tag} AES_CM_128_HMAC_SHA1_80 {KEY}")])).is_ok());
    let mut plain_caller = session(Srtp::Answer);
    plain_caller.offer_of(&[Codec::Pcmu], Direction::SendRecv);
    assert!(!plain_caller.offers_srtp());
    let answer = savp(&[&format!("1 AES_CM_128_HMAC_SHA1_80 {KEY}")]);
    assert_eq!(plain_caller.accept_answer(&answer).unwrap_err().status(), 488);
}

#[test]
fn no_debug_output_holds_a_key() {
    let mut session = session(Srtp::Answer);
    let agreed = session.answer(&savp(&[&format!("1 AES_CM_128_HMAC_SHA1_80 {KEY}")])).unwrap();
    let ours = lines(&agreed.answer, "a=crypto:")[0].split(':').next_back().unwrap().to_owned();
    let shown = format!("{agreed:?} {session:?}");
    for secret in [&ours, &KEY[7..].to_owned(), &format!("{:?}", ours.as_bytes())[1..40].to_owned()] {
        assert!(!shown.contains(secret.as_str()), "{shown}");
    }
    assert!(shown.contains("AES_CM_128_HMAC_SHA1_80"), "which suite is no secret: {shown}");
}

/// With a certificate of ours.
fn certified(srtp: Srtp) -> SdpSession {
    let mut session = session(srtp);
    let ice = IceCredentials::new("ours", "0123456789abcdefghijklmn").unwrap();
    let candidates = vec!["192.0.2.1:40000".parse().unwrap(), "203.0.113.1:40000".parse().unwrap()];
    session.identify(DtlsLocal { fingerprint: [0xab; 32], ice, candidates });
    session
}

const DIGEST: &str = "19:E2:1C:3B:4B:9F:81:E6:B8:5C:F4:A5:A8:D8:73:04:BB:05:2F:70:9F:04:A9:0E:05:E9:26:33:E8:70:88:A2";

/// Lines as browsers and libraries write them, each after its own habits.
fn browsers() -> [(&'static str, String); 3] {
    let chromium = format!(
        "a=group:BUNDLE 0\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS x\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\r\n\
         c=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:0ybl\r\na=ice-pwd:9M3vu4bRyMNMwb8dTqeAbT8F\r\na=ice-options:trickle\r\n\
         a=fingerprint:sha-256 {DIGEST}\r\na=setup:actpass\r\na=mid:0\r\na=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n\
         a=sendrecv\r\na=msid:x y\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n\
         a=rtpmap:63 red/48000/2\r\na=rtpmap:9 G722/8000\r\na=rtpmap:110 telephone-event/48000\r\na=rtpmap:126 telephone-event/8000\r\n"
    );
    // The fingerprint stands in the session part, names in braces, candidates by multicast DNS.
    let firefox = format!(
        "a=sendrecv\r\na=fingerprint:sha-256 {DIGEST}\r\na=group:BUNDLE {{6ca1}}\r\na=ice-options:trickle\r\na=msid-semantic:WMS *\r\n\
         m=audio 49562 UDP/TLS/RTP/SAVPF 109 9 0 8 101\r\nc=IN IP4 0.0.0.0\r\na=candidate:0 1 UDP 2122252543 f3a5.local 49562 typ host\r\n\
         a=sendrecv\r\na=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\na=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1\r\n\
         a=fmtp:101 0-15\r\na=ice-pwd:ce1d02f7bb1d2c96ef13ea5efb62cb1e\r\na=ice-ufrag:bb4e8a4b\r\na=mid:{{6ca1}}\r\na=rtcp-mux\r\n\
         a=rtpmap:109 opus/48000/2\r\na=rtpmap:9 G722/8000/1\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=setup:actpass\r\na=ssrc:2566107569 cname:{{x}}\r\n"
    );
    let aiortc = format!(
        "a=group:BUNDLE 0\r\na=msid-semantic:WMS *\r\nm=audio 53507 UDP/TLS/RTP/SAVPF 96 0 8\r\nc=IN IP4 192.0.2.44\r\na=sendrecv\r\n\
         a=mid:0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=rtcp-mux\r\na=ssrc:1 cname:x\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:0 PCMU/8000\r\n\
         a=rtpmap:8 PCMA/8000\r\na=candidate:0 1 udp 2130706431 192.0.2.44 53507 typ host\r\na=end-of-candidates\r\n\
         a=ice-ufrag:ETjx\r\na=ice-pwd:NeVXHGXkXjgrk8PXUBzYjy\r\na=fingerprint:sha-512 AA:BB\r\na=fingerprint:sha-256 {DIGEST}\r\na=setup:actpass\r\n"
    );
    [("Chromium", chromium), ("Firefox", firefox), ("aiortc", aiortc)]
}

#[test]
fn browsers_are_answered_as_they_need_it() {
    for (name, lines_of) in browsers() {
        let offered = format!("v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n{lines_of}").into_bytes();
        let agreed = certified(Srtp::Dtls).answer(&offered).unwrap_or_else(|e| panic!("{name}: {e}"));
        let text = String::from_utf8(agreed.answer.clone()).unwrap();
        let dtls = agreed.dtls.unwrap();
        assert_eq!(
            (dtls.fingerprints.len(), dtls.fingerprints[0][..3].to_vec()),
            (1, vec![0x19, 0xe2, 0x1c]),
            "{name}"
        );
        assert!(!dtls.active && dtls.ice.is_some() && agreed.keys.is_none(), "{name}");
        assert_eq!(
            (agreed.formats.send.codec, agreed.direction, agreed.rtcp),
            (Codec::Opus, Direction::SendRecv, Rtcp::Mux)
        );
        let mid = lines(&offered, "a=mid:").remove(0);
        for said in [
            &format!("a=mid:{mid}"),
            &format!("a=group:BUNDLE {mid}"),
            "a=ice-lite",
            "a=ice-ufrag:ours",
            "a=setup:passive",
            "a=rtcp-mux",
            "a=candidate:1 1 udp 2130706431 192.0.2.1 40000 typ host",
            "a=candidate:2 1 udp 2130706175 203.0.113.1 40000 typ host",
        ] {
            assert!(text.lines().any(|l| l == said), "{name}: {said} is missing from {text}");
        }
        assert!(!text.contains("extmap") && !text.contains("a=crypto"), "{name}: {text}");
        // Nobody without a certificate takes it, nor whoever wants no SRTP.
        assert_eq!(session(Srtp::Answer).answer(&offered).unwrap_err().status(), 488);
        assert_eq!(certified(Srtp::Off).answer(&offered).unwrap_err().status(), 488);
        assert!(certified(Srtp::Answer).answer(&offered).is_ok());
    }
}

/// A session border controller that waits for checks as we do would wait for ever.
#[test]
fn a_peer_that_is_ice_lite_too_is_where_it_says() {
    let line = |session: &str| {
        format!(
            "v=0\r\no=- 1 2 IN IP4 192.0.2.44\r\ns=-\r\nt=0 0\r\n{session}m=audio 53507 UDP/TLS/RTP/SAVPF 0 8\r\nc=IN IP4 192.0.2.44\r\n\
             a=rtcp-mux\r\na=candidate:0 1 udp 2130706431 192.0.2.44 53507 typ host\r\na=ice-ufrag:ETjx\r\n\
             a=ice-pwd:NeVXHGXkXjgrk8PXUBzYjy\r\na=fingerprint:sha-256 {DIGEST}\r\na=setup:actpass\r\n"
        )
        .into_bytes()
    };
    let full = certified(Srtp::Answer).answer(&line("")).unwrap();
    assert!(full.dtls.unwrap().ice.is_some());
    let lite = certified(Srtp::Answer).answer(&line("a=ice-lite\r\n")).unwrap();
    assert_eq!((lite.dtls.unwrap().ice, lite.remote), (None, "192.0.2.44:53507".parse().unwrap()));
    let text = String::from_utf8(lite.answer).unwrap();
    assert!(!text.contains("a=ice") && !text.contains("a=candidate"), "{text}");
}

#[test]
fn dtls_is_offered_where_it_is_wished_and_never_left() {
    let (mut ours, mut peer) = (certified(Srtp::Dtls), certified(Srtp::Answer));
    let offered = ours.offer(Direction::SendRecv);
    assert!(lines(&offered, "m=")[0].contains(" UDP/TLS/RTP/SAVP "));
    assert_eq!(lines(&offered, "a=setup:"), ["actpass"]);
    assert!(lines(&offered, "a=crypto").is_empty() && lines(&offered, "a=ice-ufrag").is_empty());
    let answered = peer.answer(&offered).unwrap();
    assert_eq!(answered.dtls.as_ref().map(|d| d.active), Some(false));
    let settled = ours.accept_answer(&answered.answer).unwrap();
    assert_eq!(settled.dtls.as_ref().map(|d| (d.active, d.ice.is_some())), Some((true, false)));
    // In the clear, with keys of the description's, with another certificate: not in this call any more.
    let plain = offer("m=audio 30000 RTP/AVP 0\r\n");
    let sdes = savp(&[&format!("1 AES_CM_128_HMAC_SHA1_80 {KEY}")]);
    let line = |digest: &str, setup: &str| {
        offer(&format!("m=audio 30000 UDP/TLS/RTP/SAVP 0\r\na=fingerprint:sha-256 {digest}\r\na=setup:{setup}\r\n"))
    };
    for refused in [plain.clone(), sdes.clone(), line(DIGEST, "actpass")] {
        for session in [&mut ours, &mut peer] {
            assert_eq!(session.answer(&refused).unwrap_err().status(), 488);
        }
    }
    // Who wants DTLS takes nothing else from the first.
    for refused in [plain, sdes.clone()] {
        assert_eq!(certified(Srtp::Dtls).answer(&refused).unwrap_err().status(), 488);
    }
    // A stream with keys of the description's does not change to DTLS either.
    let mut other = certified(Srtp::Answer);
    other.answer(&sdes).unwrap();
    assert_eq!(other.answer(&line(DIGEST, "active")).unwrap_err().status(), 488);
    for bad in [line("AA:BB", "actpass"), line(DIGEST, "holdconn")] {
        assert_eq!(certified(Srtp::Answer).answer(&bad).unwrap_err().status(), 488);
    }
}
