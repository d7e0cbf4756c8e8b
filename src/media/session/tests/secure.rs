//! SRTP in the chain.

use super::*;
use crate::media::secure::{Secure, SrtpKeys};
use crate::rtp::srtp::{MasterKey, Profile, SrtpContext};

fn key(profile: Profile, seed: u8) -> MasterKey {
    let octets: Vec<u8> = (0..46).map(|n| n ^ seed).collect();
    MasterKey::new(profile, &octets[..profile.key_len()], &octets[..profile.salt_len()]).unwrap()
}

/// A session with SRTP, and the phone's two contexts: what it sends with, what it receives with.
fn secured(role: Role, profile: Profile) -> (Rig, SrtpContext, SrtpContext) {
    let rig = Rig::with(role, |plan| {
        plan.srtp = Some(SrtpKeys { ours: key(profile, 1), theirs: key(profile, 2) });
        plan.rtcp_mux = true;
    });
    (rig, SrtpContext::with(&key(profile, 2)), SrtpContext::with(&key(profile, 1)))
}

fn sealed(context: &mut SrtpContext, header: Header, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; HEADER_LEN + payload.len() + 40];
    header.write(packet.first_chunk_mut().unwrap());
    packet[HEADER_LEN..HEADER_LEN + payload.len()].copy_from_slice(payload);
    let len = context.protect_rtp(&mut packet, HEADER_LEN + payload.len()).unwrap();
    packet.truncate(len);
    packet
}

#[test]
fn protected_audio_goes_both_ways_in_every_profile() {
    for profile in Profile::ALL {
        let (mut rig, mut out, mut back) = secured(Role::Echo, profile);
        for n in 0..50u16 {
            let header = Header {
                sequence: 65_520u16.wrapping_add(n),
                timestamp: u32::from(n) * 160,
                ssrc: 7,
                ..Header::default()
            };
            let mut packet = sealed(&mut out, header, &voice(n, 160));
            let at = ms(u64::from(n) * 20);
            rig.pass(at, |s, p| _ = s.handle_datagram(p, phone(), at, &mut packet));
            let mut answer = rig.raw.pop().expect("an answer");
            assert_eq!(answer.len(), HEADER_LEN + 160 + profile.rtp_overhead());
            let len = back.unprotect_rtp(&mut answer).unwrap();
            let answer = Packet::parse(&answer[..len]).unwrap();
            assert_eq!(answer.payload, voice(n, 160), "{profile:?}");
        }
        let stats = rig.session.stats();
        assert_eq!((stats.packets_received, stats.srtp_failed, stats.octets_sent), (50, 0, 50 * 160));
    }
}

#[test]
fn what_is_not_authentic_is_counted_and_never_latches() {
    let profile = Profile::ALL[0];
    let (mut rig, mut out, _) = secured(Role::Echo, profile);
    let stranger: SocketAddr = "192.0.2.66:666".parse().unwrap();
    let mut wrong = SrtpContext::with(&key(profile, 9));
    for n in 0..20u16 {
        let at = ms(u64::from(n) * 20);
        let header = Header { sequence: n, timestamp: u32::from(n) * 160, ssrc: 66, ..Header::default() };
        // A key of one's own, and no protection at all; from elsewhere and from the announced address.
        let mut forged = sealed(&mut wrong, header, &voice(n, 160));
        let mut plain = forged[..HEADER_LEN + 160].to_vec();
        rig.pass(at, |s, p| _ = s.handle_datagram(p, stranger, at, &mut forged));
        rig.pass(at, |s, p| _ = s.handle_datagram(p, phone(), at, &mut plain));
    }
    assert_eq!(rig.session.stats().srtp_failed, 40);
    assert_eq!(rig.session.destination(), Some(phone()));
    assert!(rig.raw.is_empty());
    // A replay is not heard a second time.
    let header = Header { sequence: 5, ssrc: 7, ..Header::default() };
    let packet = sealed(&mut out, header, &voice(1, 160));
    for _ in 0..3 {
        let mut again = packet.clone();
        rig.pass(ms(500), |s, p| _ = s.handle_datagram(p, phone(), ms(500), &mut again));
    }
    assert_eq!((rig.raw.len(), rig.session.stats().srtp_failed), (1, 42));
}

#[test]
fn reports_are_protected_too() {
    let (mut rig, mut out, mut back) = secured(Role::Echo, Profile::ALL[0]);
    for n in 0..500u16 {
        let header = Header { sequence: n, timestamp: u32::from(n) * 160, ssrc: 7, ..Header::default() };
        let mut packet = sealed(&mut out, header, &voice(n, 160));
        let at = ms(u64::from(n) * 20);
        rig.run(at);
        rig.pass(at, |s, p| _ = s.handle_datagram(p, phone(), at, &mut packet));
    }
    assert!(!rig.control.is_empty());
    for (_, _, report) in &mut rig.control {
        let len = back.unprotect_rtcp(report).unwrap();
        assert!(rtcp::Compound::parse(&report[..len]).is_ok());
    }
    // A report in the clear is not read.
    let mut plain = [0x80, 201, 0, 1, 0, 0, 0, 7];
    rig.pass(ms(20_000), |s, p| _ = s.handle_datagram(p, phone(), ms(20_000), &mut plain));
    assert_eq!((rig.session.stats().srtp_failed, rig.session.stats().rtcp_received), (1, 0));
}

#[test]
fn keys_change_in_mid_call_and_those_that_stay_go_on() {
    let profile = Profile::AesCm128HmacSha1With80;
    let keys = |ours, theirs| SrtpKeys { ours: key(profile, ours), theirs: key(profile, theirs) };
    let (mut rig, mut out, mut back) = secured(Role::Echo, profile);
    let mut n = 0u16;
    let mut heard = |rig: &mut Rig, out: &mut SrtpContext, back: &mut SrtpContext| {
        let header = Header { sequence: n, timestamp: u32::from(n) * 160, ssrc: 7, ..Header::default() };
        n += 1;
        let at = ms(u64::from(n) * 20);
        let mut packet = sealed(out, header, &voice(n, 160));
        rig.pass(at, |s, p| _ = s.handle_datagram(p, phone(), at, &mut packet));
        rig.raw.pop().is_some_and(|mut answer| back.unprotect_rtp(&mut answer).is_ok())
    };
    assert!((0..10).all(|_| heard(&mut rig, &mut out, &mut back)));
    assert!(Secure::after(Some(&keys(1, 2)), &keys(1, 2)).is_none());
    // The peer's key alone, then both.
    for (before, after) in [(keys(1, 2), keys(1, 3)), (keys(1, 3), keys(4, 5))] {
        let new = Secure::after(Some(&before), &after);
        rig.pass(ms(300), |s, p| s.handle_keys(p, new));
        // A context that goes on knows its stream; a fresh one would count from the start.
        let ours = rig.session.secure.as_ref().map(|s| format!("{:?}", s.ours)).unwrap();
        assert_eq!(ours.contains("1 sources"), before.ours == after.ours, "{ours}");
        assert!(rig.events().iter().any(|e| matches!(e, MediaEvent::Rekeyed { .. })), "the old ones come back");
        assert!(!heard(&mut rig, &mut out, &mut back), "the old key is worth nothing");
        out = SrtpContext::with(&after.theirs);
        if before.ours != after.ours {
            back = SrtpContext::with(&after.ours);
        }
        assert!((0..10).all(|_| heard(&mut rig, &mut out, &mut back)), "{before:?} {after:?}");
    }
}

/// Whoever is done with a handshake may send at once, a moment before the keys are here: that is no attack, and not counted as one.
#[test]
fn what_comes_before_the_keys_is_told_from_what_is_not_authentic() {
    let profile = Profile::AeadAes128Gcm;
    let nobodys = SrtpKeys { ours: key(profile, 8), theirs: key(profile, 9) };
    let mut rig = Rig::with(Role::Echo, |plan| (plan.srtp, plan.keyed) = (Some(nobodys), false));
    let keys = SrtpKeys { ours: key(profile, 1), theirs: key(profile, 2) };
    let mut out = SrtpContext::with(&keys.theirs);
    let mut packet = |n: u16| sealed(&mut out, Header { sequence: n, ssrc: 7, ..Header::default() }, &voice(n, 160));
    let (mut early, mut first) = (packet(1), packet(2));
    let counts = |rig: &Rig| {
        let stats = rig.session.stats();
        (stats.srtp_early, stats.srtp_failed, stats.packets_received)
    };
    rig.pass(ms(0), |s, p| _ = s.handle_datagram(p, phone(), ms(0), &mut early));
    assert_eq!((counts(&rig), rig.raw.len()), ((1, 0, 0), 0));
    rig.pass(ms(20), |s, p| s.handle_keys(p, Some(Secure::new(&keys))));
    rig.pass(ms(20), |s, p| _ = s.handle_datagram(p, phone(), ms(20), &mut first));
    assert_eq!((counts(&rig), rig.raw.len()), ((1, 0, 1), 1));
    let mut plain = vec![0x80; HEADER_LEN + 160];
    rig.pass(ms(40), |s, p| _ = s.handle_datagram(p, phone(), ms(40), &mut plain));
    assert_eq!(counts(&rig), (1, 1, 1));
}

#[test]
fn a_call_becomes_protected() {
    let profile = Profile::AeadAes128Gcm;
    let mut rig = Rig::new(Role::Echo);
    let keys = SrtpKeys { ours: key(profile, 1), theirs: key(profile, 2) };
    rig.pass(ms(0), |s, p| s.handle_keys(p, Secure::after(None, &keys)));
    let header = Header { sequence: 1, ssrc: 7, ..Header::default() };
    let mut packet = sealed(&mut SrtpContext::with(&keys.theirs), header, &voice(1, 160));
    let mut plain = packet[..HEADER_LEN + 160].to_vec();
    rig.pass(ms(20), |s, p| _ = s.handle_datagram(p, phone(), ms(20), &mut plain));
    assert!(rig.raw.is_empty());
    rig.pass(ms(20), |s, p| _ = s.handle_datagram(p, phone(), ms(20), &mut packet));
    assert!(SrtpContext::with(&keys.ours).unprotect_rtp(&mut rig.raw[0]).is_ok());
}
