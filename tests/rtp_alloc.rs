//! What the media worker calls of `rtp` per packet neither allocates nor frees: counted on this thread by a global
//! allocator of our own, through every SRTP profile, replays and forgeries, reports, events and statistics.

use callwright::rtp::control::{Control, ControlSettings};
use callwright::rtp::dtmf::{Receiver, Sender};
use callwright::rtp::quality::{Line, estimate};
use callwright::rtp::rtcp::{Cname, NtpMap, REPORT_LEN_MAX};
use callwright::rtp::srtp::{OVERHEAD_MAX, Profile, SrtpContext};
use callwright::rtp::stats::Reception;
use callwright::rtp::{Codec, Header, header::HEADER_LEN};
use callwright::time::{Tick, Wallclock};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

struct Counting;

thread_local! {
    static TOUCHED: Cell<u64> = const { Cell::new(0) };
}

fn touch() {
    let _ = TOUCHED.try_with(|t| t.set(t.get() + 1));
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches a const thread-local only.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        touch();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        touch();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn heap_use(work: impl FnOnce()) -> u64 {
    let before = TOUCHED.get();
    work();
    TOUCHED.get() - before
}

#[test]
fn the_counter_counts() {
    assert!(heap_use(|| drop(std::hint::black_box(vec![1u8; 100]))) >= 2);
}

#[test]
fn srtp_never_touches_the_heap() {
    for profile in Profile::ALL {
        let (key, salt) = (&[1; 32][..profile.key_len()], &[2; 14][..profile.salt_len()]);
        let used = heap_use(|| {
            let (mut ours, mut theirs) =
                (SrtpContext::new(profile, key, salt).unwrap(), SrtpContext::new(profile, key, salt).unwrap());
            for n in 0..2000u32 {
                // Ten sources: more than are followed at once.
                let header = Header { ssrc: n / 200, sequence: n as u16, timestamp: n * 160, ..Header::default() };
                let mut buffer = [0; HEADER_LEN + 160 + OVERHEAD_MAX];
                header.write(buffer.first_chunk_mut().unwrap());
                let len = ours.protect_rtp(&mut buffer, HEADER_LEN + 160).unwrap();
                let mut forged = buffer;
                forged[20] ^= 1;
                assert!(theirs.unprotect_rtp(&mut forged[..len]).is_err());
                let mut copy = buffer;
                assert_eq!(theirs.unprotect_rtp(&mut buffer[..len]), Ok(HEADER_LEN + 160));
                assert!(theirs.unprotect_rtp(&mut copy[..len]).is_err());

                let mut report = [0; 40];
                report[..4].copy_from_slice(&[0x80, 201, 0, 1]);
                report[4..8].copy_from_slice(&header.ssrc.to_be_bytes());
                let len = ours.protect_rtcp(&mut report, 8).unwrap();
                assert_eq!(theirs.unprotect_rtcp(&mut report[..len]), Ok(8));
            }
        });
        assert_eq!(used, 0, "{profile:?}");
    }
}

#[test]
fn reports_events_and_statistics_never_touch_the_heap() {
    let used = heap_use(|| {
        let control = |ssrc: u32| {
            let settings = ControlSettings {
                ssrc,
                cname: Cname::from_random([7; 12]),
                ntp: NtpMap::new(Tick(0), Wallclock(0)),
                clock: 48_000,
                session_bandwidth: 100_000,
                seed: u64::from(ssrc),
            };
            Control::new(settings, Tick(0))
        };
        let (mut a, mut b) = (control(1), control(2));
        let mut reception = Reception::new(0, 0, Tick(0), 48_000);
        let (mut keys, mut ear) = (Sender::new(48_000), Receiver::new(48_000));
        keys.handle_digits("0123456789".parse().unwrap());
        let (mut heard, mut reported) = (0, 0);
        for n in 1..6000u32 {
            let now = Tick(u64::from(n) * 20_000_000);
            let timestamp = n * 960;
            a.handle_sent(now, timestamp, 80);
            b.handle_sent(now, timestamp, 80);
            reception.handle_packet(n as u16, timestamp, now);
            if let Some(packet) = keys.poll_packet(timestamp) {
                heard += usize::from(ear.handle_event(packet.timestamp, packet.event).is_some());
            }
            let mut out = [0; REPORT_LEN_MAX];
            if let Some(len) = a.poll_report(now, Some((2, &mut reception)), &mut out) {
                b.handle_datagram(now, &out[..len]).unwrap();
            }
            if let Some(len) = b.poll_report(now, None, &mut out) {
                a.handle_datagram(now, &out[..len]).unwrap();
            }
            while b.poll_event().is_some() {
                reported += 1;
            }
            let line = Line {
                codec: Codec::Opus,
                fec: true,
                one_way_delay: Duration::from_millis(100),
                loss: f64::from(n % 100) / 100.0,
                burst_ratio: 1.0,
            };
            assert!(estimate(line).mos >= 1.0);
        }
        assert_eq!(heard, 10);
        assert!(reported > 15, "{reported}");
    });
    assert_eq!(used, 0);
}
