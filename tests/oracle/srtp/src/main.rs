//! Prints one line per packet: suite, master key, master salt, `rtp` or `rtcp`, the packet, what `rtc-srtp` makes of it.
//! Each is decrypted again first, so that a fault of the oracle's own does not become a vector.

use rtc_srtp::context::Context;
use rtc_srtp::protection_profile::ProtectionProfile;

/// Sequence numbers of one source: a wrap, a gap, disorder, a second wrap.
const NUMBERS: [u16; 16] =
    [65_530, 65_533, 65_532, 65_535, 0, 1, 65_534, 2, 120, 30_000, 60_000, 65_500, 10, 12, 11, 30_000];

fn main() {
    let crypto = rtc_crypto::default_provider().expect("a provider is compiled in");
    let profiles = [
        ("AES_CM_128_HMAC_SHA1_80", ProtectionProfile::Aes128CmHmacSha1_80),
        ("AES_CM_128_HMAC_SHA1_32", ProtectionProfile::Aes128CmHmacSha1_32),
        ("AEAD_AES_128_GCM", ProtectionProfile::AeadAes128Gcm),
        ("AEAD_AES_256_GCM", ProtectionProfile::AeadAes256Gcm),
    ];
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut octet = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 32) as u8
    };
    for (suite, profile) in profiles {
        let key: Vec<u8> = (0..profile.key_len()).map(|_| octet()).collect();
        let salt: Vec<u8> = (0..profile.salt_len()).map(|_| octet()).collect();
        let context = || Context::new(&key, &salt, profile, None, None, crypto.crypto()).expect("the profile's own lengths");
        let (mut sender, mut receiver) = (context(), context());
        let print = |kind: &str, plain: &[u8], sealed: &[u8]| {
            println!("{suite} {} {} {kind} {} {}", hex(&key), hex(&salt), hex(plain), hex(sealed));
        };
        for (n, sequence) in NUMBERS.into_iter().enumerate() {
            for ssrc in [0x0102_0304u32, 0xfffe_fdfc] {
                let plain = rtp(n, sequence, ssrc, &mut octet);
                let sealed = sender.encrypt_rtp(&plain).expect("well-formed RTP");
                assert_eq!(receiver.decrypt_rtp(&sealed).expect("its own"), plain);
                print("rtp", &plain, &sealed);
            }
        }
        for n in 0..6u8 {
            // Its index starts at 1: one packet more, of which a test makes nothing but a count.
            let ssrc = 0x0102_0304u32;
            let mut plain = vec![0x80, 200, 0, 6 + n];
            plain.extend(ssrc.to_be_bytes());
            plain.extend((0..20 + usize::from(n) * 4).map(|_| octet()));
            let sealed = sender.encrypt_rtcp(&plain).expect("well-formed RTCP");
            assert_eq!(receiver.decrypt_rtcp(&sealed).expect("its own"), plain);
            print("rtcp", &plain, &sealed);
        }
    }
}

/// RTP with all that a header may have, by turns.
fn rtp(n: usize, sequence: u16, ssrc: u32, octet: &mut impl FnMut() -> u8) -> Vec<u8> {
    let (contributors, extension) = ((n % 3) as u8, n % 4 == 3);
    let mut packet = vec![0x80 | contributors | if extension { 0x10 } else { 0 }, (n as u8 * 9) & 0x7f];
    packet.extend(sequence.to_be_bytes());
    packet.extend((n as u32 * 160).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend((0..contributors * 4).map(|_| octet()));
    if extension {
        packet.extend([0xbe, 0xde, 0, 1, 0x10, 0xaa, 0, 0]);
    }
    packet.extend((0..[160, 1, 0, 33, 80][n % 5]).map(|_| octet()));
    packet
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|o| format!("{o:02x}")).collect()
}
