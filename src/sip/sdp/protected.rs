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
    // DTLS has its keys elsewhere.
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
