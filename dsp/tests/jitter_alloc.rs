//! The playout buffer and the concealment touch the heap in `new` only: counted by a global allocator of our own, through
//! loss, jitter, disorder, duplicates, a flood, a jump, comfort noise and an empty line.

use callwright_dsp::codec::comfort_noise::NoiseParameters;
use callwright_dsp::codec::{Codec, Decoder};
use callwright_dsp::jitter::{Content, Packet, PlayoutBuffer, Settings};
use callwright_dsp::plc::Concealment;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static TOUCHED: Cell<Option<u64>> = const { Cell::new(None) };
}

fn touch() {
    let _ = TOUCHED.try_with(|t| t.set(t.get().map(|n| n + 1)));
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

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        touch();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn only_new_touches_the_heap() {
    let mut decoder = Decoder::new(Codec::Pcma, 8_000).unwrap();
    let mut buffer = PlayoutBuffer::new(Settings::default()).unwrap();
    let mut concealment = Concealment::default();
    let payload: [u8; 160] = core::array::from_fn(|n| (n * 37) as u8);
    let mut pcm = [0i16; 80];
    TOUCHED.set(Some(0));
    let mut seed = 1u64;
    let mut below = |bound: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % bound
    };
    for n in 0..6000u32 {
        let due = u64::from(n) * 20_000_000;
        let jump = if n > 4000 { 800_000_000 } else { 0 };
        let content = match n {
            2000 => Content::ComfortNoise(NoiseParameters::white(30.0)),
            2001..2100 => Content::Audio(&[]),
            _ => Content::Audio(&payload),
        };
        // Some are lost, some come twice, some late; once a hundred come at a time.
        let copies = if n == 3000 { 100 } else { below(12).min(2) } as u32;
        for copy in 0..copies.max(u32::from(n == 2000)) {
            let late = if n == 2000 { 0 } else { below(3) as u32 * 160 };
            let timestamp = (n + copy / 2).wrapping_mul(160).wrapping_add(jump).wrapping_sub(late);
            buffer.insert_packet(due, &Packet { ssrc: 1, sequence: n as u16, timestamp, content }, &decoder);
        }
        for half in 0..2 {
            buffer.get_audio(due + half * 10_000_000, &mut pcm, &mut decoder);
            if below(5) == 0 {
                concealment.conceal(&mut pcm);
            } else {
                concealment.handle_received(&mut pcm);
            }
        }
    }
    assert_eq!(TOUCHED.replace(None), Some(0));
    let s = buffer.statistics();
    for (what, count) in [
        ("concealed", s.concealed_samples),
        ("noise", s.comfort_noise_samples),
        ("duplicates", s.packets_duplicated),
        ("flushed", s.packets_flushed),
        ("invalid", s.packets_invalid),
        ("restarts", s.resyncs),
    ] {
        assert!(count > 0, "the trace has no {what}: {s:?}");
    }
}
