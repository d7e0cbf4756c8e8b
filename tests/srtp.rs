//! Our SRTP against another's: `fixtures/srtp.txt` holds packets protected by `rtc-srtp` (written by `oracle/srtp`).
//! Protection is a function of key and packet, so octets that are equal prove both directions: what we seal the other
//! opens, and what it seals we open.

use callwright::rtp::srtp::{OVERHEAD_MAX, Profile, SrtpContext};
use std::collections::BTreeMap;

const PACKETS: &str = include_str!("fixtures/srtp.txt");

struct Vector {
    profile: Profile,
    key: Vec<u8>,
    salt: Vec<u8>,
    rtcp: bool,
    plain: Vec<u8>,
    sealed: Vec<u8>,
}

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks(2).map(|d| u8::from_str_radix(std::str::from_utf8(d).unwrap(), 16).unwrap()).collect()
}

fn vectors() -> BTreeMap<&'static str, Vec<Vector>> {
    let mut all: BTreeMap<&str, Vec<Vector>> = BTreeMap::new();
    for line in PACKETS.lines() {
        let [suite, key, salt, kind, plain, sealed] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("six fields: {line}")
        };
        let profile = Profile::from_suite(suite).expect("a profile of ours");
        let vector = Vector {
            profile,
            key: hex(key),
            salt: hex(salt),
            rtcp: kind == "rtcp",
            plain: hex(plain),
            sealed: hex(sealed),
        };
        all.entry(suite).or_default().push(vector);
    }
    all
}

fn context(vector: &Vector) -> SrtpContext {
    SrtpContext::new(vector.profile, &vector.key, &vector.salt).unwrap()
}

#[test]
fn what_we_seal_is_what_the_other_seals() {
    let all = vectors();
    assert_eq!(all.len(), Profile::ALL.len());
    for (suite, vectors) in all {
        assert!(vectors.len() >= 38, "{suite}: {}", vectors.len());
        let mut context = context(&vectors[0]);
        let mut first_report = true;
        for (n, vector) in vectors.iter().enumerate() {
            let mut buffer = [&vector.plain[..], &[0; OVERHEAD_MAX]].concat();
            let len = if vector.rtcp {
                if std::mem::take(&mut first_report) {
                    // The other counts its reports from 1, we from 0 as the RFC says.
                    let mut unused = buffer.clone();
                    context.protect_rtcp(&mut unused, vector.plain.len()).unwrap();
                }
                context.protect_rtcp(&mut buffer, vector.plain.len())
            } else {
                context.protect_rtp(&mut buffer, vector.plain.len())
            };
            assert_eq!(buffer[..len.unwrap()], vector.sealed, "{suite}, packet {n}");
        }
    }
}

#[test]
fn what_the_other_seals_we_open_once() {
    for (suite, vectors) in vectors() {
        let mut context = context(&vectors[0]);
        for (n, vector) in vectors.iter().enumerate() {
            for again in [false, true] {
                let mut buffer = vector.sealed.clone();
                let opened =
                    if vector.rtcp { context.unprotect_rtcp(&mut buffer) } else { context.unprotect_rtp(&mut buffer) };
                assert_eq!(opened.is_ok(), !again, "{suite}, packet {n}: {opened:?}");
                if let Ok(len) = opened {
                    assert_eq!(buffer[..len], vector.plain, "{suite}, packet {n}");
                }
            }
        }
    }
}
