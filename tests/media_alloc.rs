//! The media worker's thread neither allocates nor frees once it runs: counted by a global allocator of our own, through
//! loss, disorder, digits, flush, garbage, forgery, hold, new SDP, hang-up and a second call; every codec, every pair of
//! codecs on a bridge, a renegotiated codec, SRTP in every profile, RTCP, keys in the audio, recording. Nor does it make a
//! system call but for sockets, the clock and the one wake: no lock is ever waited for, no line of a log written. (A lock that
//! is free makes no call; that none is there to be taken is `tests/tidy.rs`'s rule for `media`, `rtp` and `dsp`.)

#[path = "media_alloc/calls.rs"]
mod calls;
mod phone;

use calls::Allowed;
use callwright::id::{CallId, Generation};
use callwright::media::aside::aside;
use callwright::media::coders::path_rate;
use callwright::media::recorder::{self, Recorder, RecorderConfig};
use callwright::media::{
    Coders, MediaCommand, MediaEvent, RING_PEER, RingWire, Role, Secure, SessionPlan, SrtpKeys, ring_wire,
};
use callwright::os::clock::monotonic;
use callwright::os::realtime::thread_id;
use callwright::rtp::dtmf::Event;
use callwright::rtp::srtp::{MasterKey, Profile, SrtpContext};
use callwright::rtp::{Format, Formats, Header, TelephoneEvent};
use phone::{ALL, EVENTS, Phone, Plane, Talker, frame, voice};
use ringbuf::traits::{Consumer, Producer};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::Write;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Counts what the watched thread does with the heap.
struct Counting;

static WATCHED: AtomicI32 = AtomicI32::new(0);
static ALLOCATED: AtomicU64 = AtomicU64::new(0);
static FREED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static THREAD: Cell<i32> = const { Cell::new(0) };
}

fn is_watched() -> bool {
    let watched = WATCHED.load(SeqCst);
    watched != 0
        && THREAD
            .try_with(|t| {
                if t.get() == 0 {
                    t.set(thread_id());
                }
                t.get() == watched
            })
            .unwrap_or(false)
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches atomics and a const thread-local only.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_watched() {
            ALLOCATED.fetch_add(1, SeqCst);
        }
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if is_watched() {
            FREED.fetch_add(1, SeqCst);
        }
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if is_watched() {
            ALLOCATED.fetch_add(1, SeqCst);
            FREED.fetch_add(1, SeqCst);
        }
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// What a pass of the loop is made of: sockets and the clock; a new call's sockets; the bells of speech and control, whose
/// reads and writes are of eight octets (eventfd(2)): no line of a log is.
const EXPECTED_CALLS: [Allowed; 10] = [
    Allowed::Any(libc::SYS_recvmmsg),
    Allowed::Any(libc::SYS_sendmmsg),
    Allowed::Any(libc::SYS_sendto),
    Allowed::Any(libc::SYS_epoll_wait),
    Allowed::Any(libc::SYS_epoll_pwait2),
    Allowed::Any(libc::SYS_epoll_ctl),
    Allowed::Any(libc::SYS_clock_nanosleep),
    Allowed::Any(libc::SYS_clock_gettime),
    Allowed::OfLength(libc::SYS_write, 8),
    Allowed::OfLength(libc::SYS_read, 8),
];

/// A thread that does what a worker must not: waits for a lock that another one holds, and writes a line. Its id.
fn sinner() -> i32 {
    let lock = Mutex::new(());
    let id = AtomicI32::new(0);
    std::thread::scope(|scope| {
        let held = lock.lock();
        scope.spawn(|| {
            id.store(thread_id(), SeqCst);
            drop(lock.lock());
            let _ = std::io::stderr().write_all(b"a line\n");
        });
        while id.load(SeqCst) == 0 {
            sleep(Duration::from_millis(1));
        }
        sleep(Duration::from_millis(50));
        drop(held);
    });
    id.load(SeqCst)
}

#[test]
fn the_worker_never_touches_the_heap() {
    let watched = calls::watched(&EXPECTED_CALLS, || (sinner(), Plane::start()));
    assert!(watched.is_some(), "the kernel refuses a seccomp filter with a listener (Linux 5.5 and later have it)");
    let Some(((sinner, mut plane), seen)) = watched else { return };
    let sins = seen.of(sinner);
    assert!(sins.contains_key(&libc::SYS_futex) && sins.contains_key(&libc::SYS_write), "the instrument: {sins:?}");
    let ids = plane.plane.thread_ids();
    assert_eq!(ids.len(), 1);
    WATCHED.store(ids[0], SeqCst);
    // The thread has its priority and its buffers when it says its id.
    let before = seen.of(ids[0]);

    a_whole_life(&mut plane, 0);
    // And again with both calls recorded.
    let sounds = tempfile::tempdir().unwrap();
    let config = RecorderConfig {
        data: sounds.path().to_owned(),
        format: recorder::Format::Wav,
        keep: Duration::from_secs(86_400),
        floor_octets: 0,
        avoid_cpus: Vec::new(),
    };
    let recorder = Recorder::start(config, Arc::clone(&plane.marks), Arc::new(|_| {})).unwrap();
    plane.recorder = Some(recorder);
    a_whole_life(&mut plane, 1);
    assert!(plane.recorder.take().unwrap().stop());
    assert!(plane.marks.recording_taken.get() > 100 && plane.marks.recording_overflowed.get() == 0);

    every_codec(&mut plane);
    every_pair_of_codecs(&mut plane);
    every_protection(&mut plane);
    a_handshake_beside_the_audio(&mut plane);
    rings_in_place_of_sockets(&mut plane);

    let (allocated, freed) = (ALLOCATED.load(SeqCst), FREED.load(SeqCst));
    assert_eq!((allocated, freed), (0, 0), "allocations and frees on the media thread");
    assert!(!before.is_empty(), "the listener saw the thread start");
    assert_eq!(seen.of(ids[0]), before, "system calls on the media thread, by number");

    // The instrument works: joining the thread frees its stack of buffers on that very thread.
    plane.plane.shutdown();
    assert!(FREED.load(SeqCst) > 0, "the counter saw nothing at all");
}

fn speech_and_echo(plane: &mut Plane, call: u64, format: Format) {
    let formats = Formats { telephone_event: None, ..Formats::of(format) };
    for role in [Role::Speech, Role::Echo] {
        let (mut phone, reports) = (Phone::new(7), UdpSocket::bind("127.0.0.1:0").unwrap());
        let (socket, rtcp_socket) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let to = rtcp_socket.local_addr().unwrap();
        let plan = SessionPlan {
            remote: Some(phone.address()),
            rtcp_remote: Some(reports.local_addr().unwrap()),
            rtcp_socket: Some(rtcp_socket),
            ..SessionPlan::new(CallId(call), socket, formats, role)
        };
        let (daemon, mut ends) = plane.open_plan(plan);
        let mut talker = Talker::new(format, 697.0);
        for n in 0..20 {
            match n {
                8 | 9 => talker.skip(&mut phone),
                _ => talker.send(&mut phone, daemon),
            }
            if let Some(ends) = &mut ends {
                let _ = ends.outbound.try_push(frame(0, 1, false));
                while ends.inbound.try_pop().is_some() {}
            }
            reports.send_to(&[0x80, 201, 0, 1, 0, 0, 0, 7], to).unwrap();
            if n == 5 {
                plane.order(MediaCommand::SendDigits { call: CallId(call), digits: "1".parse().unwrap() });
            }
            if n == 15 {
                let formats = Formats::of(Format::PCMA);
                let coders = Some(Coders::new(&formats, 8_000).unwrap());
                let (call, remote) = (CallId(call), phone.address());
                plane.order(MediaCommand::SetRemote { call, remote, rtcp_remote: None, formats, coders, secure: None });
            }
            sleep(Duration::from_millis(3));
        }
        plane.expect("Retired", |e| matches!(e, MediaEvent::Retired { .. }));
        let MediaEvent::Closed { stats, .. } = plane.close(call) else { unreachable!() };
        assert!(
            stats.packets_received >= 12 && stats.rtcp_received >= 10 && stats.rtcp_sent >= 1,
            "{format:?}: {stats:?}"
        );
        assert!(stats.packets_sent > 0, "{format:?}: {stats:?}");
    }
}

fn every_codec(plane: &mut Plane) {
    for (n, format) in ALL.into_iter().enumerate() {
        speech_and_echo(plane, 100 + n as u64, format);
    }
}

fn every_pair_of_codecs(plane: &mut Plane) {
    for (n, (from, to)) in ALL.into_iter().flat_map(|from| ALL.map(|to| (from, to))).enumerate() {
        let (one, two) = (1000 + 2 * n as u64, 1001 + 2 * n as u64);
        let (mut a, b) = (Phone::new(7), Phone::new(8));
        let (formats_a, formats_b) = (Formats::of(from).with_events(EVENTS), Formats::of(to));
        let rate = path_rate(&formats_a, &formats_b);
        let leg = plane.open_leg(one, two, &a, formats_a, rate);
        plane.open_leg(two, one, &b, formats_b, rate);
        let mut talker = Talker::new(from, 700.0);
        for n in 0..12 {
            match n {
                4 => talker.skip(&mut a),
                6 => {
                    // A key, for a leg without events.
                    let event = Event { code: 5, end: true, volume: 10, duration: 480 };
                    a.send_as(leg, Header { payload_type: EVENTS, ..a.header }, &event.octets());
                    a.header.sequence = a.header.sequence.wrapping_add(1);
                }
                9 => {
                    // A pause, and what it sounds like; it goes on to a leg that has not agreed on that.
                    a.send_as(leg, Header { payload_type: 13, ..a.header }, &[50, 100, 150]);
                    a.header.sequence = a.header.sequence.wrapping_add(1);
                    sleep(Duration::from_millis(35));
                }
                _ => talker.send(&mut a, leg),
            }
        }
        let packets = b.receive_until(Instant::now() + Duration::from_millis(40));
        assert!(packets.len() >= 9, "{from:?} → {to:?}: {} packets", packets.len());
        plane.close(two);
        talker.send(&mut a, leg);
        plane.close(one);
    }
}

fn every_protection(plane: &mut Plane) {
    let key = |profile: Profile, seed: u8| {
        MasterKey::new(profile, &[seed; 32][..profile.key_len()], &[seed; 14][..profile.salt_len()]).unwrap()
    };
    for (n, profile) in Profile::ALL.into_iter().enumerate() {
        let phone = Phone::new(7);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let plan = SessionPlan {
            remote: Some(phone.address()),
            rtcp_mux: true,
            srtp: Some(SrtpKeys { ours: key(profile, 1), theirs: key(profile, 2) }),
            ..SessionPlan::new(CallId(2000 + n as u64), socket, Formats::of(Format::PCMU), Role::Echo)
        };
        let (daemon, _) = plane.open_plan(plan);
        let mut out = SrtpContext::with(&key(profile, 2));
        for sequence in 0..20u16 {
            let header = Header { sequence, timestamp: u32::from(sequence) * 160, ssrc: 7, ..Header::default() };
            let mut packet = [0; 220];
            header.write(packet.first_chunk_mut().unwrap());
            let len = out.protect_rtp(&mut packet, 172).unwrap();
            phone.socket.send_to(&packet[..len], daemon).unwrap();
            phone.send_as(daemon, header, &[0; 160]);
            assert!(phone.socket.recv(&mut [0; 500]).is_ok(), "{profile:?}: an answer");
        }
        // New keys: the old ones are freed here, not there.
        let call = CallId(2000 + n as u64);
        let before = SrtpKeys { ours: key(profile, 1), theirs: key(profile, 2) };
        let keys = SrtpKeys { ours: key(profile, 3), theirs: key(profile, 4) };
        let (secure, formats) = (Secure::after(Some(&before), &keys), Formats::of(Format::PCMU));
        let remote = phone.address();
        plane.order(MediaCommand::SetRemote { call, remote, rtcp_remote: None, formats, coders: None, secure });
        plane.expect("Rekeyed", |e| matches!(e, MediaEvent::Rekeyed { .. }));
        let MediaEvent::Closed { stats, .. } = plane.close(call.0) else { unreachable!() };
        assert_eq!((stats.packets_received, stats.packets_sent, stats.srtp_failed), (20, 20, 20));
    }
}

/// A browser's leg: closed until its keys are known; STUN and DTLS go aside, also when nobody takes them; then another path.
fn a_handshake_beside_the_audio(plane: &mut Plane) {
    let profile = Profile::AeadAes128Gcm;
    let key = |seed: u8| MasterKey::new(profile, &[seed; 16], &[seed; 12]).unwrap();
    let (phone, moved, attacker) = (Phone::new(7), Phone::new(7), Phone::new(66));
    let (aside, mut control) = aside().unwrap();
    let call = CallId(3000);
    let plan = SessionPlan {
        rtcp_mux: true,
        learn_source: false,
        srtp: Some(SrtpKeys { ours: key(8), theirs: key(9) }),
        aside: Some(aside),
        ..SessionPlan::new(call, UdpSocket::bind("127.0.0.1:0").unwrap(), Formats::of(Format::PCMU), Role::Echo)
    };
    let (daemon, _) = plane.open_plan(plan);
    // Far more than there is room for, and one that is too long for any.
    for n in 0..200u8 {
        for octets in [&[0, 1, 0, 0, n][..], &[22, 254, 253, n], &[n; 40], &[20; 1600]] {
            attacker.socket.send_to(octets, daemon).unwrap();
        }
    }
    let until = Instant::now() + Duration::from_secs(20);
    let mut first = None;
    while first.is_none() && Instant::now() < until {
        sleep(Duration::from_millis(2));
        control.take_turn(|datagram| {
            first.get_or_insert_with(|| (datagram.from, datagram.octets().to_vec()));
        });
    }
    assert_eq!(first.expect("it was handed over"), (attacker.address(), vec![0, 1, 0, 0, 0]));
    while control.take_turn(|_| {}) {}

    let keys = SrtpKeys { ours: key(1), theirs: key(2) };
    plane.order(MediaCommand::Secure { call, remote: phone.address(), secure: Some(Secure::new(&keys)) });
    plane.expect("Rekeyed", |e| matches!(e, MediaEvent::Rekeyed { .. }));
    let mut out = SrtpContext::with(&key(2));
    let mut echoed = 0;
    for sequence in 0..40u16 {
        if sequence == 20 {
            plane.order(MediaCommand::Secure { call, remote: moved.address(), secure: None });
            sleep(Duration::from_millis(100));
        }
        let header = Header { sequence, timestamp: u32::from(sequence) * 160, ssrc: 7, ..Header::default() };
        let mut packet = [0; 220];
        header.write(packet.first_chunk_mut().unwrap());
        let len = out.protect_rtp(&mut packet, 172).unwrap();
        let from = if sequence < 20 { &phone } else { &moved };
        from.socket.send_to(&packet[..len], daemon).unwrap();
        attacker.socket.send_to(&packet[..len], daemon).unwrap();
        attacker.socket.send_to(&[63; 30], daemon).unwrap();
        echoed += usize::from(from.socket.recv(&mut [0; 500]).is_ok());
    }
    assert_eq!(echoed, 40, "each is answered where the call is, and nowhere else");
    let MediaEvent::Closed { stats, .. } = plane.close(call.0) else { unreachable!() };
    assert_eq!((stats.packets_received, stats.packets_sent), (40, 40), "{stats:?}");
}

/// Packets that come and go by rings: an echo, a talk with keys and a flush, a bridge to a telephone; and nobody who fetches.
fn rings_in_place_of_sockets(plane: &mut Plane) {
    let formats = Formats::of(Format::PCMU);
    let keys = Some(TelephoneEvent { payload_type: EVENTS, clock: 8_000 });
    let plan = |call: u64, wire: RingWire, role| SessionPlan {
        remote: Some(RING_PEER),
        learn_source: false,
        told_keys: keys,
        ..SessionPlan::new(CallId(call), wire, formats, role)
    };
    let (mut phone, bridged) = (Phone::new(9), CallId(3011));
    let roles = [Role::Echo, Role::Speech, Role::Bridge { partner: bridged }];
    for (n, role) in roles.into_iter().enumerate() {
        let call = 3000 + 5 * n as u64;
        let (wire, mut ends, _bell) = ring_wire().unwrap();
        let (_, mut speech) = plane.open_plan(plan(call, wire, role));
        let leg = (role == roles[2]).then(|| plane.open_leg(bridged.0, call, &phone, formats, 8_000));
        let mut out = 0;
        for n in 0..60u16 {
            let key = n % 10 == 5;
            let header = Header {
                payload_type: if key { EVENTS } else { 0 },
                sequence: n,
                timestamp: u32::from(n) * 160,
                ssrc: 1,
                ..Header::default()
            };
            let mut packet = [0x20; 172];
            header.write(packet.first_chunk_mut().unwrap());
            let event = Event { code: (n / 10) as u8, end: true, volume: 10, duration: 800 };
            packet[12..16].copy_from_slice(&event.octets());
            // One of them is lost, one comes twice.
            for _ in 0..[1, 1, 2, 1, 0, 1, 1, 1][usize::from(n % 8)] {
                assert!(ends.push(monotonic(), if key { &packet[..16] } else { &packet }));
            }
            ends.wake();
            if let Some(leg) = leg {
                phone.send(leg, &voice(usize::from(n), 160));
            }
            if let Some(speech) = &mut speech {
                let _ = speech.outbound.try_push(frame(0, 1, false));
                while speech.inbound.try_pop().is_some() {}
            }
            if n == 40 {
                plane.order(MediaCommand::FlushPlayout { call: CallId(call), generation: Generation(1) });
                plane.order(MediaCommand::SendDigits { call: CallId(call), digits: "1".parse().unwrap() });
            }
            sleep(Duration::from_millis(3));
            out += std::iter::from_fn(|| ends.pop()).count();
        }
        assert!(out > 5, "{role:?}: {out} packets came out");
        assert_eq!(ends.epoch(), 1);
        if leg.is_some() {
            plane.close(bridged.0);
        }
        let MediaEvent::Closed { stats, .. } = plane.close(call) else { unreachable!() };
        assert!(stats.packets_received > 40 && stats.duplicates > 2, "{role:?}: {stats:?}");
        assert!(role == Role::Echo || role == roles[2] || stats.digits >= 5, "{role:?}: {stats:?}");
    }
    let (wire, mut ends, _bell) = ring_wire().unwrap();
    plane.open_plan(plan(3050, wire, Role::Speech));
    while ends.push(monotonic(), &[0x80; 172]) {}
    ends.wake();
    // Longer than its ring out has room for.
    sleep(Duration::from_millis(2_800));
    let MediaEvent::Closed { stats, .. } = plane.close(3050) else { unreachable!() };
    assert!(stats.packets_sent <= 128 + 100, "what nobody fetched was not taken: {stats:?}");
}

fn a_whole_life(plane: &mut Plane, round: u64) {
    let (talk, echo) = (round * 2 + 1, round * 2 + 2);
    let mut phone = Phone::new(7);
    let (daemon, ends) = plane.open(talk, Some(phone.address()), Role::Speech);
    let mut ends = ends.unwrap();
    let mut echo_phone = Phone::new(8);
    let (echo_daemon, _) = plane.open(echo, Some(echo_phone.address()), Role::Echo);
    let attacker = Phone::new(66);

    for n in 0..40usize {
        match n {
            5 | 6 | 21 => {
                // lost
                phone.header.sequence = phone.header.sequence.wrapping_add(1);
                phone.header.timestamp = phone.header.timestamp.wrapping_add(160);
            }
            15 => {
                // a pause with a sound
                phone.send_as(daemon, Header { payload_type: 13, ..phone.header }, &[50, 100, 150]);
                phone.header.sequence = phone.header.sequence.wrapping_add(1);
                sleep(Duration::from_millis(100));
                phone.header.timestamp = phone.header.timestamp.wrapping_add(800);
            }
            10 => {
                // out of order, and one of them twice
                let first = phone.header;
                let second = Header {
                    sequence: first.sequence.wrapping_add(1),
                    timestamp: first.timestamp.wrapping_add(160),
                    ..first
                };
                phone.send_as(daemon, second, &voice(n, 160));
                phone.send_as(daemon, second, &voice(n, 160));
                phone.send(daemon, &voice(n, 160));
                phone.header = Header {
                    sequence: second.sequence.wrapping_add(1),
                    timestamp: second.timestamp.wrapping_add(160),
                    ..second
                };
            }
            _ => phone.send(daemon, &voice(n, [160, 80, 480, 240][n % 4])),
        }
        echo_phone.send(echo_daemon, &voice(n, [160, 320, 80][n % 3]));
        attacker.send_as(daemon, Header { sequence: n as u16, ssrc: 66, ..Header::default() }, &[0; 160]);
        attacker.socket.send_to(b"\x80garbage", daemon).unwrap();
        phone.socket.send_to(&[0x00; 1600], daemon).unwrap();
        phone.send_as(daemon, Header { payload_type: 18, ..phone.header }, &[1; 20]);
        // A key, its packets repeated.
        let event = Event { code: (n % 10) as u8, end: true, volume: 10, duration: 800 };
        for _ in 0..3 {
            let timestamp = (n as u32 + 1) * 3200;
            phone.send_as(daemon, Header { payload_type: EVENTS, timestamp, ..phone.header }, &event.octets());
            phone.header.sequence = phone.header.sequence.wrapping_add(1);
        }
        let generation = u32::from(n >= 20);
        for last in [false, true] {
            let _ = ends.outbound.try_push(frame(generation, n as u32, last));
        }
        let call = CallId(talk);
        match n {
            20 => plane.order(MediaCommand::FlushPlayout { call, generation: Generation(1) }),
            25 => plane.order(MediaCommand::Hold { call, held: true }),
            28 => plane.order(MediaCommand::Hold { call, held: false }),
            30 => plane.order(MediaCommand::SetRemote {
                call,
                remote: phone.address(),
                rtcp_remote: None,
                formats: Formats::of(Format::PCMU).with_events(EVENTS),
                coders: None,
                secure: None,
            }),
            32 => plane.order(MediaCommand::SendDigits { call, digits: "12#".parse().unwrap() }),
            _ => {}
        }
        while ends.inbound.try_pop().is_some() {}
        sleep(Duration::from_millis(10));
    }
    // The other end answered, with digits among it.
    let packets = phone.receive_until(Instant::now() + Duration::from_millis(300));
    assert!(packets.iter().any(|(h, _)| h.payload_type == EVENTS));
    // The far end goes away: sends run into a closed port.
    drop(phone);
    sleep(Duration::from_millis(100));

    for call in [talk, echo] {
        let MediaEvent::Closed { stats, .. } = plane.close(call) else { unreachable!() };
        assert!(stats.packets_received > 30, "{stats:?}");
        if call == talk {
            assert!(
                stats.forged >= 40 && stats.garbage >= 20 && stats.digits >= 20 && stats.wrong_payload >= 20,
                "{stats:?}"
            );
            assert!(stats.concealed_samples > 0, "{stats:?}");
        }
    }
    // Orders for calls that are gone.
    plane.order(MediaCommand::Close { call: CallId(talk) });
    sleep(Duration::from_millis(20));
}
