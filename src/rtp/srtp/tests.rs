//! Published vectors, history, attacks. The comparison with another implementation is `tests/srtp.rs`.

use super::aead::Aead;
use super::cipher::Cipher;
use super::master::{Label, MasterKey, Purpose};
use super::*;
use crate::limits::{SRTP_SOURCES_MAX, SRTP_SOURCES_RETIRED_MAX};
use crate::rtp::{Header, header::HEADER_LEN};
use proptest::prelude::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|d| (d[0] * 16 + d[1]) as u8).collect()
}

const KEY: [u8; 32] = [0x5a; 32];
const SALT: [u8; 14] = [0xa5; 14];

fn context(profile: Profile) -> SrtpContext {
    SrtpContext::new(profile, &KEY[..profile.key_len()], &SALT[..profile.salt_len()]).unwrap()
}

fn packet(ssrc: u32, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut head = [0; HEADER_LEN];
    Header { ssrc, sequence, timestamp: u32::from(sequence) * 160, ..Header::default() }.write(&mut head);
    [&head[..], payload].concat()
}

fn protected(context: &mut SrtpContext, plain: &[u8]) -> Vec<u8> {
    let mut buffer = [plain, &[0; OVERHEAD_MAX]].concat();
    let len = context.protect_rtp(&mut buffer, plain.len()).unwrap();
    assert_eq!(len, plain.len() + context.profile().rtp_overhead());
    buffer.truncate(len);
    buffer
}

fn protected_rtcp(context: &mut SrtpContext, plain: &[u8]) -> Vec<u8> {
    let mut buffer = [plain, &[0; OVERHEAD_MAX]].concat();
    let len = context.protect_rtcp(&mut buffer, plain.len()).unwrap();
    assert_eq!(len, plain.len() + context.profile().rtcp_overhead());
    buffer.truncate(len);
    buffer
}

fn opened(context: &mut SrtpContext, sealed: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut buffer = sealed.to_vec();
    let result = context.unprotect_rtp(&mut buffer);
    if result.is_err() {
        assert_eq!(buffer, sealed, "a refused packet is left as it came");
    }
    result.map(|len| buffer[..len].to_vec())
}

fn opened_rtcp(context: &mut SrtpContext, sealed: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut buffer = sealed.to_vec();
    let result = context.unprotect_rtcp(&mut buffer);
    if result.is_err() {
        assert_eq!(buffer, sealed, "a refused packet is left as it came");
    }
    result.map(|len| buffer[..len].to_vec())
}

// --- published vectors ----------------------------------------------------------------------------------------------

/// The key and salt of RFC 3711 appendix B.3.
fn rfc_3711() -> MasterKey {
    let (key, salt) = (hex("E1F97A0D3E018BE0D64FA32C06DE4139"), hex("0EC675AD498AFEEBB6960B3AABE6"));
    MasterKey::new(Profile::AesCm128HmacSha1With80, &key, &salt).unwrap()
}

#[test]
fn key_derivation_is_that_of_rfc_3711_b3() {
    let master = rfc_3711();
    let key = master.derive::<16>(Purpose::Rtp, Label::Encryption);
    let salt = master.derive::<14>(Purpose::Rtp, Label::Salt);
    let authentication = master.derive::<94>(Purpose::Rtp, Label::Authentication);
    assert_eq!(key[..], hex("C61E7A93744F39EE10734AFE3FF7A087"));
    assert_eq!(salt[..], hex("30CBBC08863D8C85D49DB34A9AE1"));
    assert_eq!(
        authentication[..],
        hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA48F0A0ACF3C34E2359E6CDBCEE049646C43D9327AD175578EF72270986371C10C\
             9A369AC2F94A8C5FBCDDDC256D6E919A48B610EF17C2041E474035766B68642C59BBFC2F34DB60DBDFB2")
    );
}

/// The whole key stream of appendix B.2, 0xff02 blocks long: the same function as the derivation's, with the vector's
/// initial block as the key's salt.
#[test]
fn the_key_stream_is_that_of_rfc_3711_b2() {
    use aes::cipher::{KeyIvInit, StreamCipher};
    let key: [u8; 16] = hex("2B7E151628AED2A6ABF7158809CF4F3C").try_into().unwrap();
    let iv: [u8; 16] = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000").try_into().unwrap();
    let mut stream = vec![0; 0xff02 * 16];
    ctr::Ctr32BE::<aes::Aes128Enc>::new(&key.into(), &iv.into()).apply_keystream(&mut stream);
    for (block, expected) in [
        (0, "E03EAD0935C95E80E166B16DD92B4EB4"),
        (1, "D23513162B02D0F72A43A2FE4A5F97AB"),
        (2, "41E95B3BB0A2E8DD477901E4FCA894C0"),
        (0xfeff, "EC8CDF7398607CB0F2D21675EA9EA1E4"),
        (0xff00, "362B7C3C6773516318A077D7FC5073AE"),
        (0xff01, "6A2CC3787889374FBEB4C81B17BA6C44"),
    ] {
        assert_eq!(stream[block * 16..][..16], hex(expected), "block {block:x}");
    }
}

/// RFC 3711 prints no whole packet; these are the ones that libsrtp checks itself with.
#[test]
fn whole_packets_are_those_of_the_reference_implementation() {
    let rtp = hex("800f1234decafbadcafebabe abababababababababababababababab");
    let sealed = hex("800f1234decafbadcafebabe 4e55dc4ce79978d88ca4d215949d2402 b78d6acc99ea179b8dbb");
    assert_eq!(protected(&mut SrtpContext::with(&rfc_3711()), &rtp), sealed);
    assert_eq!(opened(&mut SrtpContext::with(&rfc_3711()), &sealed).unwrap(), rtp);
    let rtcp = hex("81c8000bcafebabe abababababababababababababababab");
    let sealed = hex("81c8000bcafebabe 7128035be487b9bdbef89041f977a5a8 80000001 993e08cd54d6c1230798");
    let mut context = SrtpContext::with(&rfc_3711());
    context.set_windows(0xcafe_babe, true, None, Some(0));
    assert_eq!(protected_rtcp(&mut context, &rtcp), sealed);
    assert_eq!(opened_rtcp(&mut SrtpContext::with(&rfc_3711()), &sealed).unwrap(), rtcp);
}

const RFC_7714_RTP: &str = "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 \
     69736120 696e2070 61727465 73207472 6573";
const RFC_7714_RTCP: &str = "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 \
     deadbeef deadbeef deadbeef deadbeef deadbeef";

/// RFC 7714 gives session keys, 00 01 02 …, and the salt "Quid pro quo".
fn rfc_7714(profile: Profile) -> SrtpContext {
    let key: [u8; 32] = std::array::from_fn(|n| n as u8);
    let salt = zeroize::Zeroizing::new(*b"Quid pro quo");
    let cipher = || {
        Cipher::Aead(match profile {
            Profile::AeadAes256Gcm => Aead::with_256(&key, salt.clone()),
            _ => Aead::with_128(key.first_chunk().unwrap(), salt.clone()),
        })
    };
    SrtpContext::of(profile, cipher(), cipher())
}

#[test]
fn rtp_is_that_of_rfc_7714_section_16() {
    for (profile, sealed) in [
        (
            Profile::AeadAes128Gcm,
            "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b 36de3adf \
             8833899d 7f27beb1 6a9152cf 765ee439 0cce",
        ),
        (
            Profile::AeadAes256Gcm,
            "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f 1ba63799 \
             b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13",
        ),
    ] {
        assert_eq!(protected(&mut rfc_7714(profile), &hex(RFC_7714_RTP)), hex(sealed), "{profile:?}");
        assert_eq!(opened(&mut rfc_7714(profile), &hex(sealed)).unwrap(), hex(RFC_7714_RTP), "{profile:?}");
    }
}

#[test]
fn rtcp_is_that_of_rfc_7714_section_17() {
    for (profile, sealed, tagged_only) in [
        (
            Profile::AeadAes128Gcm,
            "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46 86303ded \
             0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
            "841dd968 3dd78ec9 2ae58790 125f62b3 000005d4",
        ),
        (
            Profile::AeadAes256Gcm,
            "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1 110555be 8415f658 c61de047 \
             6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4",
            "91db4afb feee5a97 8fab4393 ed2615fe 000005d4",
        ),
    ] {
        let plain = hex(RFC_7714_RTCP);
        let mut context = rfc_7714(profile);
        context.set_windows(0x4d61_7273, true, None, Some(0x5d3));
        assert_eq!(protected_rtcp(&mut context, &plain), hex(sealed), "{profile:?}");
        assert_eq!(opened_rtcp(&mut rfc_7714(profile), &hex(sealed)).unwrap(), plain, "{profile:?}");
        // Sections 17.3 and 17.4: authenticated, not encrypted.
        let tagged = [&plain[..], &hex(tagged_only)].concat();
        assert_eq!(opened_rtcp(&mut rfc_7714(profile), &tagged).unwrap(), plain, "{profile:?}");
        let mut forged = tagged;
        forged[20] ^= 1;
        assert_eq!(opened_rtcp(&mut rfc_7714(profile), &forged), Err(SrtpError::NotAuthentic));
    }
}

#[test]
fn profiles_have_their_registered_names_numbers_and_lengths() {
    for profile in Profile::ALL {
        assert_eq!(Profile::from_suite(&profile.suite().to_lowercase()), Some(profile));
        assert_eq!(Profile::from_dtls_id(profile.dtls_id()), Some(profile));
        assert!(profile.rtp_overhead() <= OVERHEAD_MAX && profile.rtcp_overhead() <= OVERHEAD_MAX);
    }
    assert_eq!(Profile::from_suite("F8_128_HMAC_SHA1_80"), None);
    let short = Profile::AesCm128HmacSha1With32;
    assert_eq!((short.rtp_overhead(), short.rtcp_overhead()), (4, 14), "RTCP keeps 80 bits");
}

// --- history --------------------------------------------------------------------------------------------------------

#[test]
fn numbers_and_rollovers_wrap_through_loss_and_disorder() {
    for profile in Profile::ALL {
        let (mut ours, mut theirs) = (context(profile), context(profile));
        // 160,000 numbers in steps, two wraps and more; every five packets arrive in another order, the very first never.
        let mut sequence = 65_000u16;
        for round in 0..2500u16 {
            let mut sealed = Vec::new();
            for n in 0..5 {
                let plain = packet(7, sequence, &[n; 40]);
                sealed.push((protected(&mut ours, &plain), plain));
                sequence = sequence.wrapping_add(1 + round % 25);
            }
            sealed.rotate_left(usize::from(round % 5));
            for (sealed, plain) in sealed.iter().skip(usize::from(round == 0)) {
                assert_eq!(opened(&mut theirs, sealed).as_ref(), Ok(plain), "{profile:?} {round}");
            }
        }
    }
}

#[test]
fn a_stream_whose_first_packets_before_the_wrap_are_lost_is_still_opened() {
    let (mut ours, mut theirs) = (context(Profile::AeadAes128Gcm), context(Profile::AeadAes128Gcm));
    let sealed: Vec<Vec<u8>> = [65_534u16, 65_535, 0, 1].map(|s| protected(&mut ours, &packet(7, s, b"x"))).to_vec();
    assert!(opened(&mut theirs, &sealed[2]).is_ok());
    assert!(opened(&mut theirs, &sealed[3]).is_ok());
    assert!(opened(&mut theirs, &sealed[1]).is_ok(), "late, and of the round before");
}

#[test]
fn a_long_gap_is_survived_up_to_half_the_numbers() {
    let (mut ours, mut theirs) = (context(Profile::AesCm128HmacSha1With80), context(Profile::AesCm128HmacSha1With80));
    for n in 0..20u32 {
        let sequence = (n * 30_000) as u16;
        assert!(opened(&mut theirs, &protected(&mut ours, &packet(7, sequence, b"far"))).is_ok(), "{n}");
    }
}

#[test]
fn replays_are_refused_and_late_packets_are_not() {
    for profile in Profile::ALL {
        let (mut ours, mut theirs) = (context(profile), context(profile));
        let sealed: Vec<Vec<u8>> = (0..200u16).map(|s| protected(&mut ours, &packet(7, s, b"once"))).collect();
        for n in [5, 3, 130, 4] {
            assert!(opened(&mut theirs, &sealed[n]).is_ok(), "{n}");
            assert_eq!(opened(&mut theirs, &sealed[n]), Err(SrtpError::Replayed), "{n}");
        }
        assert_eq!(opened(&mut theirs, &sealed[2]), Err(SrtpError::Replayed), "128 behind");
        assert!(opened(&mut theirs, &sealed[6]).is_ok(), "124 behind");
        let rtcp = [&[0x80, 201, 0, 1][..], &7u32.to_be_bytes()].concat();
        let sealed: Vec<Vec<u8>> = (0..4).map(|_| protected_rtcp(&mut ours, &rtcp)).collect();
        for n in [0, 2, 1, 3] {
            assert_eq!(opened_rtcp(&mut theirs, &sealed[n]).as_ref(), Ok(&rtcp));
            assert_eq!(opened_rtcp(&mut theirs, &sealed[n]), Err(SrtpError::Replayed));
        }
    }
}

#[test]
fn an_index_is_never_used_twice_for_sending() {
    let mut ours = context(Profile::AeadAes128Gcm);
    for sequence in [100, 102, 101, 300] {
        protected(&mut ours, &packet(7, sequence, b"one"));
    }
    for sequence in [102, 100, 172, 300] {
        let mut buffer = packet(7, sequence, &[0; 60]);
        assert_eq!(ours.protect_rtp(&mut buffer, 20), Err(SrtpError::IndexReused), "{sequence}");
        assert_eq!(buffer, packet(7, sequence, &[0; 60]));
    }
    protected(&mut ours, &packet(7, 173, b"late, but new"));
}

#[test]
fn sources_have_histories_of_their_own_and_their_number_is_bounded() {
    let (mut ours, mut theirs) = (context(Profile::AeadAes256Gcm), context(Profile::AeadAes256Gcm));
    let first = protected(&mut ours, &packet(0, 9, b"first"));
    assert!(opened(&mut theirs, &first).is_ok());
    for ssrc in 1..=SRTP_SOURCES_MAX as u32 {
        assert!(opened(&mut theirs, &protected(&mut ours, &packet(ssrc, 9, b"same number"))).is_ok());
    }
    // The first was silent longest and has given way: nothing of it is taken any more, replay or not.
    assert_eq!(opened(&mut theirs, &first), Err(SrtpError::Retired(0)));
    let mut buffer = packet(0, 10, &[0; 60]);
    assert_eq!(ours.protect_rtp(&mut buffer, 20), Err(SrtpError::Retired(0)));
    // Forged sources change nothing.
    for ssrc in 1000..2000u32 {
        assert_eq!(opened(&mut theirs, &packet(ssrc, 1, &[0; 60])), Err(SrtpError::NotAuthentic));
    }
    assert!(opened(&mut theirs, &protected(&mut ours, &packet(1, 10, b"still there"))).is_ok());
    for ssrc in 100..100 + SRTP_SOURCES_RETIRED_MAX as u32 - 1 {
        assert!(opened(&mut theirs, &protected(&mut ours, &packet(ssrc, 9, b"and more"))).is_ok());
    }
    let mut buffer = packet(99, 1, &[0; 60]);
    assert_eq!(ours.protect_rtp(&mut buffer, 20), Err(SrtpError::KeyExpired));
    assert_eq!(opened(&mut theirs, &packet(99, 1, &[0; 60])), Err(SrtpError::KeyExpired));
}

#[test]
fn one_key_in_both_directions_must_not_share_a_source() {
    let mut both = context(Profile::AeadAes128Gcm);
    let sealed = protected(&mut both, &packet(7, 1, b"ours"));
    assert_eq!(opened(&mut both, &sealed), Err(SrtpError::Collision(7)), "our own packet coming back");
    let mut peer = context(Profile::AeadAes128Gcm);
    assert!(opened(&mut both, &protected(&mut peer, &packet(8, 1, b"theirs"))).is_ok());
    assert_eq!(both.protect_rtp(&mut packet(8, 2, &[0; 60]), 20), Err(SrtpError::Collision(8)));
}

#[test]
fn a_key_has_its_lifetime() {
    let mut ours = context(Profile::AesCm128HmacSha1With80);
    protected(&mut ours, &packet(7, 1, b"x"));
    ours.set_sealed((1 << 48) - 1, (1 << 31) - 1);
    protected(&mut ours, &packet(7, 2, b"last"));
    assert_eq!(ours.protect_rtp(&mut packet(7, 3, &[0; 60]), 20), Err(SrtpError::KeyExpired));
    let rtcp = [&[0x80, 201, 0, 1][..], &7u32.to_be_bytes()].concat();
    protected_rtcp(&mut ours, &rtcp);
    assert_eq!(ours.protect_rtcp(&mut [&rtcp[..], &[0; 20]].concat(), 8), Err(SrtpError::KeyExpired));
    // The same at the end of one source's numbers.
    let mut ours = context(Profile::AesCm128HmacSha1With80);
    ours.set_windows(7, true, Some((1 << 48) - 2), Some((1 << 31) - 2));
    protected(&mut ours, &packet(7, 0xffff, b"last"));
    assert_eq!(ours.protect_rtp(&mut packet(7, 0, &[0; 60]), 20), Err(SrtpError::KeyExpired));
    protected_rtcp(&mut ours, &rtcp);
    assert_eq!(ours.protect_rtcp(&mut [&rtcp[..], &[0; 20]].concat(), 8), Err(SrtpError::KeyExpired));
}

// --- shapes and attacks ---------------------------------------------------------------------------------------------

#[test]
fn header_extension_and_contributors_stay_in_clear_and_padding_does_not() {
    for profile in Profile::ALL {
        let mut plain = packet(7, 1, &[]);
        plain[0] = 0xb2; // padding, extension, two contributors
        plain.extend([1, 1, 1, 1, 2, 2, 2, 2, 0xbe, 0xde, 0, 1, 9, 9, 9, 9]);
        let clear = plain.len();
        plain.extend([0x55; 30]);
        plain.extend([0, 0, 0, 4]);
        let sealed = protected(&mut context(profile), &plain);
        assert_eq!(sealed[..clear], plain[..clear]);
        assert!(sealed[clear..clear + 30].iter().filter(|o| **o == 0x55).count() < 8);
        assert_ne!(sealed[clear + 30..plain.len()], [0, 0, 0, 4]);
        assert_eq!(opened(&mut context(profile), &sealed).unwrap(), plain);
        // An extension that does not fit is no RTP.
        plain[clear - 5] = 200;
        assert_eq!(context(profile).protect_rtp(&mut plain.clone(), plain.len()), Err(SrtpError::Malformed("RTP")));
    }
}

#[test]
fn what_is_too_short_or_has_no_room_is_refused() {
    for profile in Profile::ALL {
        let mut ours = context(profile);
        let plain = packet(7, 1, b"payload");
        for room in 0..profile.rtp_overhead() {
            let mut buffer = [&plain[..], &vec![0; room]].concat();
            assert_eq!(ours.protect_rtp(&mut buffer, plain.len()), Err(SrtpError::NoRoom(profile.rtp_overhead())));
        }
        assert!(ours.protect_rtp(&mut plain.clone(), 1000).is_err(), "longer than the buffer");
        // Nothing was counted as sent: the number is still free, and an empty payload will do.
        let sealed = protected(&mut ours, &plain[..HEADER_LEN]);
        assert_eq!(opened(&mut context(profile), &sealed).unwrap(), plain[..HEADER_LEN]);
        for len in 0..sealed.len() {
            assert!(opened(&mut context(profile), &sealed[..len]).is_err(), "{len}");
        }
        let rtcp = protected_rtcp(&mut ours, &[0x80, 201, 0, 1, 0, 0, 0, 7]);
        for len in 0..rtcp.len() {
            assert!(opened_rtcp(&mut context(profile), &rtcp[..len]).is_err(), "{len}");
        }
    }
}

#[test]
fn keys_of_a_wrong_length_are_refused_and_none_is_ever_shown() {
    let error = SrtpContext::new(Profile::AeadAes256Gcm, &KEY[..16], &SALT[..12]).unwrap_err();
    assert_eq!(error.to_string(), "AEAD_AES_256_GCM takes a key of 32 and a salt of 12 octets");
    let master = MasterKey::new(Profile::AeadAes128Gcm, b"SECRETSECRETSECR", b"SALTSALTSALT").unwrap();
    assert_eq!(format!("{master:?}"), "MasterKey(AEAD_AES_128_GCM)");
    assert_eq!(format!("{:?}", SrtpContext::with(&master)), "SrtpContext(AEAD_AES_128_GCM, 0 sources)");
    assert_eq!((master.key(), master.salt()), (&b"SECRETSECRETSECR"[..], &b"SALTSALTSALT"[..]));
}

/// Compiles only as long as the ciphers wipe themselves: each does so behind a feature of its crate.
#[test]
fn ciphers_are_wiped_when_dropped() {
    fn wiped<T: zeroize::ZeroizeOnDrop>() {}
    wiped::<aes::Aes128Enc>();
    wiped::<aes::Aes256Enc>();
    wiped::<aes_gcm::AesGcm<aes::Aes128Enc, aes_gcm::aead::consts::U12>>();
    wiped::<aes_gcm::AesGcm<aes::Aes256Enc, aes_gcm::aead::consts::U12>>();
    // HMAC holds two of these and nothing else.
    wiped::<sha1::Sha1>();
    wiped::<zeroize::Zeroizing<[u8; 14]>>();
    assert!(std::mem::needs_drop::<MasterKey>());
}

#[test]
fn another_key_another_salt_and_another_rollover_are_not_authentic() {
    for profile in Profile::ALL {
        let sealed = protected(&mut context(profile), &packet(7, 40_000, b"secret"));
        let (mut key, mut salt) = (KEY, SALT);
        key[0] ^= 1;
        let mut other = SrtpContext::new(profile, &key[..profile.key_len()], &SALT[..profile.salt_len()]).unwrap();
        assert_eq!(opened(&mut other, &sealed), Err(SrtpError::NotAuthentic));
        salt[11] ^= 1;
        let mut other = SrtpContext::new(profile, &KEY[..profile.key_len()], &salt[..profile.salt_len()]).unwrap();
        assert_eq!(opened(&mut other, &sealed), Err(SrtpError::NotAuthentic));
        let mut later = context(profile);
        later.set_windows(7, false, Some(0x1_9000), None);
        assert_eq!(opened(&mut later, &sealed), Err(SrtpError::NotAuthentic));
    }
}

proptest! {
    #[test]
    fn any_flipped_bit_is_refused_and_changes_nothing(
        which in 0usize..4,
        payload in proptest::collection::vec(any::<u8>(), 0..200),
        sequence: u16,
        bit: usize,
    ) {
        let profile = Profile::ALL[which];
        let (mut ours, mut theirs) = (context(profile), context(profile));
        let plain = packet(7, sequence, &payload);
        let sealed = protected(&mut ours, &plain);
        let mut forged = sealed.clone();
        let bit = bit % (forged.len() * 8);
        forged[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(opened(&mut theirs, &forged).is_err());
        prop_assert_eq!(opened(&mut theirs, &sealed), Ok(plain));

        let compound = [&[0x80, 201, 0, 1][..], &7u32.to_be_bytes(), &payload].concat();
        let sealed = protected_rtcp(&mut ours, &compound);
        let mut forged = sealed.clone();
        let bit = bit % (forged.len() * 8);
        forged[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(opened_rtcp(&mut theirs, &forged).is_err());
        prop_assert_eq!(opened_rtcp(&mut theirs, &sealed), Ok(compound));
    }

    #[test]
    fn no_octets_panic(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
        crate::rtp::fuzz::srtp(&octets);
    }
}
