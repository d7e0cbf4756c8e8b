//! What SRTP costs per packet: `cargo bench --bench srtp`.
//!
//! Every profile protects and opens RTP packets of 160 octets (G.711, 20 ms) and of 60 octets (Opus at 24 kbit/s), each
//! with a number of its own, and refuses forgeries of the same size. CPU time of this thread, median of 15 rounds of 20,000
//! packets. Prints a table and writes `target/bench/srtp.json` (flat: metric → number).

#![allow(clippy::print_stdout, reason = "a bench prints")]

use callwright::rtp::srtp::{OVERHEAD_MAX, Profile, SrtpContext};
use callwright::rtp::{Header, header::HEADER_LEN};
use serde_json::{Map, Value, json};
use std::hint::black_box;
use std::io;
use std::path::Path;

const ROUNDS: usize = 15;
const PACKETS: u32 = 20_000;

fn main() -> io::Result<()> {
    let mut figures = Map::new();
    println!("{:<26} {:>6} {:>10} {:>8} {:>9}", "ns of CPU per packet", "octets", "protect", "open", "refuse");
    for profile in Profile::ALL {
        for payload in [160, 60] {
            let [protect, open, refuse] = measure(profile, payload)?;
            println!("{:<26} {payload:>6} {protect:>10.0} {open:>8.0} {refuse:>9.0}", profile.suite());
            let name = profile.suite().to_lowercase();
            for (what, value) in [("protect", protect), ("open", open), ("refuse", refuse)] {
                figures.insert(format!("{name}_{payload}_{what}_ns"), json!(value));
            }
        }
    }
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    std::fs::create_dir_all(&directory)?;
    std::fs::write(directory.join("srtp.json"), format!("{:#}\n", Value::Object(figures)))
}

/// Medians: protect, open, refuse.
fn measure(profile: Profile, payload: usize) -> io::Result<[f64; 3]> {
    let context = || {
        let (key, salt) = (&[7; 32][..profile.key_len()], &[9; 14][..profile.salt_len()]);
        SrtpContext::new(profile, key, salt).map_err(io::Error::other)
    };
    let (mut ours, mut theirs) = (context()?, context()?);
    let len = HEADER_LEN + payload;
    let mut packets = vec![[0; HEADER_LEN + 160 + OVERHEAD_MAX]; PACKETS as usize];
    let mut number = 0u32;
    let mut rounds: [Vec<f64>; 3] = Default::default();
    for _ in 0..ROUNDS {
        for packet in &mut packets {
            // The cut is the wrap of sequence numbers.
            let header = Header { ssrc: 7, sequence: number as u16, timestamp: number, ..Header::default() };
            header.write(packet.first_chunk_mut().ok_or(io::ErrorKind::InvalidData)?);
            number += 1;
        }
        rounds[0].push(timed(|| {
            for packet in &mut packets {
                black_box(ours.protect_rtp(packet, len).is_ok());
            }
        })?);
        let sealed = len + profile.rtp_overhead();
        let mut forged = packets.clone();
        rounds[2].push(timed(|| {
            for packet in &mut forged {
                packet[HEADER_LEN] ^= 1;
                assert!(black_box(theirs.unprotect_rtp(&mut packet[..sealed])).is_err());
            }
        })?);
        rounds[1].push(timed(|| {
            for packet in &mut packets {
                assert!(black_box(theirs.unprotect_rtp(&mut packet[..sealed])).is_ok());
            }
        })?);
    }
    Ok(rounds.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[ROUNDS / 2]
    }))
}

/// CPU nanoseconds per packet.
fn timed(work: impl FnOnce()) -> io::Result<f64> {
    let before = cpu()?;
    work();
    Ok((cpu()? - before) as f64 / f64::from(PACKETS))
}

/// CPU time of this thread so far, ns.
fn cpu() -> io::Result<i64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a whole timespec of ours, and the kernel writes nothing else.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) } != 0;
    if failed { Err(io::Error::last_os_error()) } else { Ok(time.tv_sec * 1_000_000_000 + time.tv_nsec) }
}
