//! RTCP beside the audio.

use super::*;
use crate::rtp::control::{Control, ControlSettings};
use crate::rtp::rtcp::{Cname, Compound, Item, NtpMap};
use crate::time::Wallclock;

const REPORTS: &str = "192.0.2.7:4001";

fn rtcp_socket(plan: &mut SessionPlan) {
    plan.rtcp_socket = Some(UdpSocket::bind("127.0.0.1:0").unwrap());
    plan.rtcp_remote = Some(REPORTS.parse().unwrap());
}

/// The peer's end.
fn far(ssrc: u32) -> Control {
    let settings = ControlSettings {
        ssrc,
        cname: Cname::from_random([1; 12]),
        ntp: NtpMap::new(START, Wallclock(1_700_000_000_000)),
        clock: 8_000,
        session_bandwidth: 160_000,
        seed: 5,
    };
    Control::new(settings, START)
}

impl Rig {
    fn control_from(&mut self, from: &str, at: Tick, datagram: &[u8]) {
        self.run(at);
        let (mut datagram, from) = (datagram.to_vec(), from.parse().unwrap());
        self.pass(at, |s, p| s.handle_control(p, from, at, &mut datagram));
    }

    /// Talks both ways for so long, every 20 ms.
    fn talk(&mut self, from_ms: u64, to_ms: u64) {
        for n in (from_ms / 20)..(to_ms / 20) {
            self.packet(ms(n * 20 + 1), n as u16, n as u32 * 160, &voice(n as u16, 160));
        }
    }
}

#[test]
fn reports_leave_every_few_seconds_and_say_what_was_sent_and_received() {
    for role in [Role::Speech, Role::Echo] {
        let mut rig = Rig::with(role, rtcp_socket);
        rig.talk(0, 30_000);
        assert!((5..=14).contains(&rig.control.len()), "{role:?}: {} reports in 30 s", rig.control.len());
        assert!(rig.control.iter().all(|(_, to, _)| *to == REPORTS.parse().unwrap()));
        let (at, _, last) = rig.control.last().unwrap();
        let sent_before = rig.sent.iter().filter(|(when, ..)| when <= at).count();
        let mut items = Compound::parse(last).unwrap();
        let Some(Item::SenderReport(report)) = items.next() else { panic!("no sender report first") };
        assert_eq!(report.ssrc, rig.sent[0].1.ssrc);
        assert!((report.info.packets as usize).abs_diff(sent_before) <= 1);
        assert_eq!(report.info.octets, report.info.packets * 160);
        let block = report.blocks().next().unwrap();
        assert_eq!((block.ssrc, block.report.cumulative_lost), (7, 0));
        assert!(matches!(items.next(), Some(Item::SourceDescription(_))));
        assert_eq!(rig.session.stats().rtcp_sent, rig.control.len() as u64);
    }
}

#[test]
fn the_peers_reports_give_round_trip_and_loss() {
    let mut rig = Rig::with(Role::Speech, rtcp_socket);
    let mut far = far(7);
    let (mut reception, mut told) = (None::<Reception>, 0);
    for n in 0..1000u64 {
        let at = ms(n * 20 + 1);
        rig.packet(at, n as u16, n as u32 * 160, &voice(n as u16, 160));
        // Ours arrive 40 ms later; every tenth is lost.
        for (when, header, _) in rig.sent.drain(..) {
            let arrived = when + Duration::from_millis(40);
            if header.sequence % 10 == 3 {
                continue;
            }
            match &mut reception {
                Some(r) => _ = r.handle_packet(header.sequence, header.timestamp, arrived),
                None => reception = Some(Reception::new(header.sequence, header.timestamp, arrived, 8_000)),
            }
        }
        for (when, _, octets) in rig.control.drain(..) {
            far.handle_datagram(when + Duration::from_millis(40), &octets).unwrap();
        }
        far.handle_sent(at, n as u32 * 160, 160);
        let (ours, mut out) = (rig.session_ssrc, [0; 200]);
        let source = reception.as_mut().zip(ours).map(|(r, ssrc)| (ssrc, r));
        if let Some(len) = far.poll_report(at + Duration::from_millis(40), source, &mut out) {
            rig.control_from(REPORTS, at + Duration::from_millis(80), &out[..len]);
            rig.now = at;
        }
    }
    for event in rig.events() {
        if let MediaEvent::Quality { quality, .. } = event {
            told += 1;
            if let Some(round_trip) = quality.round_trip {
                assert!(round_trip.abs_diff(Duration::from_millis(80)) < Duration::from_millis(2), "{round_trip:?}");
            }
        }
    }
    let quality = rig.session.stats().quality.unwrap();
    assert!(told >= 3 && quality.round_trip.is_some(), "{told} reports, {quality:?}");
    assert!((quality.remote_loss - 0.1).abs() < 0.03, "{quality:?}");
}

#[test]
fn a_muted_phone_is_there_as_long_as_its_reports_come() {
    let told = |rig: &mut Rig| rig.events().iter().filter(|e| matches!(e, MediaEvent::MediaTimeout { .. })).count();
    let mut rig = Rig::with(Role::Speech, rtcp_socket);
    let mut far = far(7);
    rig.packet(ms(1), 0, 0, &voice(0, 160));
    rig.say(0, 1, 20);
    rig.run(ms(600));
    let (ours, first) = (rig.session_ssrc.unwrap(), rig.sent[0].1);
    let mut heard = Reception::new(first.sequence, first.timestamp, ms(100), 8_000);
    let (mut at, mut out) = (ms(600), [0; 200]);
    let mut reports = |rig: &mut Rig, until: Tick, at: &mut Tick| {
        while *at < until {
            *at = *at + Duration::from_secs(5);
            if let Some(len) = far.poll_report(*at, Some((ours, &mut heard)), &mut out) {
                rig.control_from(REPORTS, *at, &out[..len]);
            }
        }
    };
    reports(&mut rig, ms(300_000), &mut at);
    assert_eq!(told(&mut rig), 0, "it only says nothing");
    rig.run(ms(375_000));
    assert!(told(&mut rig) > 0, "it says nothing of itself either");
    at = ms(375_000);
    reports(&mut rig, ms(590_000), &mut at);
    told(&mut rig);
    reports(&mut rig, ms(670_000), &mut at);
    assert!(told(&mut rig) > 0, "nobody is muted for ever");
}

#[test]
fn strangers_reports_are_dropped_and_a_nated_peer_is_answered_where_it_sends_from() {
    let mut rig = Rig::with(Role::Speech, rtcp_socket);
    rig.talk(0, 1000);
    let mut report = [0; 200];
    let mut far = far(7);
    let at = ms(10_000);
    far.handle_sent(at, 0, 160);
    let len = far.poll_report(at, None, &mut report).unwrap();
    rig.control_from("203.0.113.5:9999", ms(1100), &report[..len]);
    rig.control_from(REPORTS, ms(1110), b"\x80\xc8nonsense");
    assert_eq!((rig.marks.rtcp_dropped.get(), rig.session.stats().rtcp_received), (2, 0));
    // The host of the audio, another port than announced.
    rig.control_from("192.0.2.7:61000", ms(1120), &report[..len]);
    assert_eq!(rig.session.stats().rtcp_received, 1);
    rig.control.clear();
    rig.talk(1200, 12_000);
    assert!(!rig.control.is_empty());
    assert!(rig.control.iter().all(|(_, to, _)| *to == "192.0.2.7:61000".parse().unwrap()));
}

#[test]
fn with_mux_reports_come_and_go_with_the_audio() {
    let mut rig = Rig::with(Role::Echo, |plan| plan.rtcp_mux = true);
    rig.talk(0, 10_000);
    assert!(!rig.control.is_empty());
    assert!(rig.control.iter().all(|(_, to, _)| *to == phone()));
    let mut report = [0; 200];
    let mut far = far(7);
    far.handle_sent(ms(1), 0, 160);
    let len = far.poll_report(ms(20_000), None, &mut report).unwrap();
    let garbage = rig.session.stats().garbage;
    let at = ms(10_001);
    rig.pass(at, |s, p| _ = s.handle_datagram(p, phone(), at, &mut report[..len]));
    assert_eq!((rig.session.stats().rtcp_received, rig.session.stats().garbage), (1, garbage));
}

#[test]
fn a_call_that_ends_says_goodbye_and_one_that_nobody_answered_says_nothing() {
    let mut rig = Rig::with(Role::Speech, rtcp_socket);
    rig.talk(0, 500);
    rig.pass(ms(501), |s, p| s.handle_closing(p));
    let (_, _, last) = rig.control.last().expect("a last report");
    assert!(Compound::parse(last).unwrap().any(|item| matches!(item, Item::Goodbye(_))));

    let mut silent = Rig::with(Role::Speech, rtcp_socket);
    silent.run(ms(30_000));
    silent.pass(ms(30_001), |s, p| s.handle_closing(p));
    assert!(silent.control.is_empty(), "nothing goes to an address that never answered");
}
