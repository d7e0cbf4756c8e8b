//! CPU time of the playout buffer and of the concealment: `cargo bench -p callwright-dsp --bench jitter`.
//!
//! Medians of nine runs of the thread's CPU clock. Quality and delay beside other buffers: `benches/peers/neteq/run.sh`.

#![allow(clippy::print_stdout, reason = "a bench prints")]

use callwright_dsp::codec::{Codec, Decoder, g711};
use callwright_dsp::jitter::{Content, Packet, PlayoutBuffer, Settings};
use callwright_dsp::plc::Concealment;
use std::hint::black_box;

const RUNS: usize = 9;
/// Packets of 20 ms.
const PACKETS: u32 = 3000;

fn main() {
    println!("{:<52} {:>9}", "20 ms of", "µs");
    print("playout buffer, μ-law, punctual", buffer(|_| Some(0)));
    print("playout buffer, μ-law, 5 % lost", buffer(|n| (n * 7919 % 100 >= 5).then_some(0)));
    print("playout buffer, μ-law, jitter of 0–60 ms", buffer(|n| Some(u64::from(n * 7919 % 61))));
    print("concealment, nothing lost", conceal(8_000, |_| false));
    print("concealment, all of 1 packet in 5, 8 kHz", conceal(8_000, |n| n % 5 == 4));
    print("concealment, all of 1 packet in 5, 16 kHz", conceal(16_000, |n| n % 5 == 4));
}

fn print(what: &str, nanos: u64) {
    println!("{what:<52} {:>9.2}", nanos as f64 / 1000.0 / f64::from(PACKETS));
}

fn voice(n: usize, rate: u32) -> i16 {
    let t = n as f32 / rate as f32 * 120.0 * core::f32::consts::TAU;
    (1..9).map(|k| 4000.0 * (k as f32 * t).sin() / k as f32).sum::<f32>() as i16
}

fn buffer(late: impl Fn(u32) -> Option<u64>) -> u64 {
    let mut packets: Vec<(u64, u32)> =
        (0..PACKETS).filter_map(|n| late(n).map(|ms| ((u64::from(n) * 20 + ms) * 1_000_000, n))).collect();
    packets.sort_unstable();
    let payloads: Vec<[u8; 160]> = (0..50)
        .map(|n| {
            let mut payload = [0; 160];
            g711::encode_ulaw(&core::array::from_fn::<_, 160, _>(|k| voice(n * 160 + k, 8_000)), &mut payload);
            payload
        })
        .collect();
    median(|| {
        let mut decoder = Decoder::new(Codec::Pcmu, 8_000).expect("μ-law is 8 kHz");
        let mut buffer = PlayoutBuffer::new(Settings::default()).expect("the default is sound");
        let mut coming = packets.iter().peekable();
        let mut pcm = [0; 80];
        let started = cpu_nanos();
        for step in 0..u64::from(PACKETS) * 2 {
            let now = step * 10_000_000;
            while let Some((at, n)) = coming.next_if(|(at, _)| *at <= now) {
                let content = Content::Audio(&payloads[*n as usize % 50]);
                let packet = Packet { ssrc: 1, sequence: *n as u16, timestamp: n * 160, content };
                buffer.insert_packet(*at, &packet, &decoder);
            }
            buffer.get_audio(now, &mut pcm, &mut decoder);
            black_box(&pcm);
        }
        cpu_nanos() - started
    })
}

fn conceal(rate: u32, lost: impl Fn(u32) -> bool) -> u64 {
    let frame = rate as usize / 50;
    let pcm: Vec<i16> = (0..frame * 50).map(|n| voice(n, rate)).collect();
    median(|| {
        let mut concealment = Concealment::new(rate);
        let mut part = vec![0; frame];
        let started = cpu_nanos();
        for n in 0..PACKETS {
            if lost(n) {
                concealment.conceal(&mut part);
            } else {
                part.copy_from_slice(&pcm[n as usize % 50 * frame..][..frame]);
                concealment.handle_received(&mut part);
            }
            black_box(&part);
        }
        cpu_nanos() - started
    })
}

fn median(run: impl Fn() -> u64) -> u64 {
    let mut runs: [u64; RUNS] = core::array::from_fn(|_| run());
    runs.sort_unstable();
    runs[RUNS / 2]
}

fn cpu_nanos() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid timespec that outlives the call; the clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
