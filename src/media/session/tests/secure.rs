//! SRTP in the chain.

use super::*;
use crate::media::secure::SrtpKeys;
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
