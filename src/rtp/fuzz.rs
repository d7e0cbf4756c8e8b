//! Entry points for `fuzz/`. Purpose: the bodies compile, and run over seeds, in every test run; the targets are a line
//! each. Not for other use.

use crate::rtp::control::{Control, ControlSettings};
use crate::rtp::dtmf::{Event, Receiver};
use crate::rtp::rtcp::{Cname, Compound, Item, NtpMap, REPORT_LEN_MAX};
use crate::rtp::sdes;
use crate::rtp::srtp::{OVERHEAD_MAX, Profile, SrtpContext};
use crate::rtp::stats::Reception;
use crate::time::{Tick, Wallclock};
use std::time::Duration;

/// One datagram into the RTCP reader; whatever it accepts is walked to its end.
pub fn rtcp(datagram: &[u8]) {
    let Ok(compound) = Compound::parse(datagram) else { return };
    let mut octets = 0;
    for item in compound {
        octets += 4;
        match item {
            Item::SenderReport(report) => assert!(report.blocks().count() <= 31),
            Item::ReceiverReport(report) => assert!(report.blocks().count() <= 31),
            Item::SourceDescription(sdes) => {
                assert!(sdes.cnames().all(|(_, name)| name.len() <= 255));
            }
            Item::Goodbye(bye) => assert!(bye.sources().count() <= 31),
            Item::Other { body, .. } => octets += body.len(),
        }
    }
    assert!(octets <= datagram.len());
}

/// Steps of a time (8 octets), a length (1) and a datagram into an RTCP session that also receives RTP; it must go on
/// reporting, and in bounds.
pub fn control(octets: &[u8]) {
    let settings = ControlSettings {
        ssrc: 1,
        cname: Cname::from_random([9; 12]),
        ntp: NtpMap::new(Tick(0), Wallclock(1)),
        clock: 48_000,
        session_bandwidth: 64_000,
        seed: 5,
    };
    let mut control = Control::new(settings, Tick(0));
    let mut reception = Reception::new(0, 0, Tick(0), 48_000);
    let mut now = Tick(0);
    let mut out = [0; REPORT_LEN_MAX];
    let mut rest = octets;
    while let Some((head, after)) = rest.split_first_chunk::<9>() {
        let [time @ .., len] = *head;
        let time = u64::from_be_bytes(time);
        let (datagram, after) = after.split_at(usize::from(len).min(after.len()));
        rest = after;
        now = now + Duration::from_nanos(time % 20_000_000_000);
        let _ = control.handle_datagram(Tick(time), datagram);
        let _ = control.handle_datagram(now, datagram);
        // The cuts only spread the numbers.
        reception.handle_packet(time as u16, time as u32, now);
        control.handle_sent(now, time as u32, usize::from(len));
        if let Some(len) = control.poll_report(now, Some((time as u32, &mut reception)), &mut out) {
            assert!(Compound::parse(&out[..len]).is_ok(), "we must not write what we would refuse");
        }
        assert!(control.poll_timeout() > now, "timers lie ahead");
        assert!(control.poll_timeout() < now + Duration::from_secs(60));
        while control.poll_event().is_some() {}
        assert!(control.round_trip().is_none_or(|t| t <= Duration::from_secs(10)));
    }
    assert!(control.poll_goodbye(now, None, &mut out).is_some() || octets.len() < 9);
}

/// A clock (4 octets), then packets of a timestamp (4) and a payload (4) into a receiver; a timestamp is reported once in a
/// row at most.
pub fn dtmf(octets: &[u8]) {
    let Some((clock, rest)) = octets.split_first_chunk::<4>() else { return };
    let mut receiver = Receiver::new(u32::from_be_bytes(*clock));
    let mut last = None;
    for [t0, t1, t2, t3, payload @ ..] in rest.as_chunks::<8>().0 {
        let timestamp = u32::from_be_bytes([*t0, *t1, *t2, *t3]);
        let Some(event) = Event::parse(payload) else { continue };
        assert_eq!(Event::parse(&event.octets()).map(|e| e.octets()), Some(event.octets()));
        if receiver.handle_event(timestamp, event).is_some() {
            assert_ne!(last.replace(timestamp), Some(timestamp), "one key, told twice");
            assert_eq!(receiver.handle_event(timestamp, event), None, "a repeat is no key");
        }
    }
}

/// A profile (1 octet), then parts of a length (1) and octets, into both directions: nothing that was not protected with
/// the key is accepted, and what is protected comes back as it was, once.
pub fn srtp(octets: &[u8]) {
    let Some((which, mut rest)) = octets.split_first() else { return };
    let profile = Profile::ALL[usize::from(*which) % Profile::ALL.len()];
    let context = || SrtpContext::new(profile, &[7; 32][..profile.key_len()], &[9; 14][..profile.salt_len()]);
    let (Ok(mut ours), Ok(mut theirs)) = (context(), context()) else { unreachable!("the profile's own lengths") };
    while let Some((len, after)) = rest.split_first() {
        let (part, after) = after.split_at(usize::from(*len).min(after.len()));
        rest = after;
        let mut forged = part.to_vec();
        assert!(theirs.unprotect_rtp(&mut forged).is_err() && theirs.unprotect_rtcp(&mut forged).is_err());
        assert_eq!(forged, part, "a refused packet is left as it came");
        for rtcp in [false, true] {
            let mut buffer = [part, &[0; OVERHEAD_MAX]].concat();
            let sealed = if rtcp {
                ours.protect_rtcp(&mut buffer, part.len())
            } else {
                ours.protect_rtp(&mut buffer, part.len())
            };
            let Ok(sealed) = sealed else { continue };
            let again = buffer.clone();
            let opened = if rtcp {
                theirs.unprotect_rtcp(&mut buffer[..sealed])
            } else {
                theirs.unprotect_rtp(&mut buffer[..sealed])
            };
            assert_eq!(opened, Ok(part.len()));
            assert_eq!(&buffer[..part.len()], part);
            buffer = again;
            let replayed = if rtcp {
                theirs.unprotect_rtcp(&mut buffer[..sealed])
            } else {
                theirs.unprotect_rtp(&mut buffer[..sealed])
            };
            assert!(replayed.is_err());
        }
    }
}

/// One value of `a=crypto`; what is accepted reads the same after we wrote it.
pub fn sdes(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    let Ok(crypto) = sdes::parse(text) else { return };
    let written = sdes::write(crypto.tag, &crypto.key);
    let again = sdes::parse(&written).expect("we must not write what we would refuse");
    assert_eq!((again.tag, again.key.profile()), (crypto.tag, crypto.key.profile()));
    assert_eq!((again.key.key(), again.key.salt()), (crypto.key.key(), crypto.key.salt()));
}
