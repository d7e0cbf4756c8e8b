//! After `new`, no codec takes memory, gives any back or takes a lock, whichever of the two languages it is written in. The C
//! functions themselves are counted: this program's `malloc` and its like stand before the C library's, and Rust's own
//! allocator calls them as well.

#![cfg(all(target_os = "linux", target_env = "gnu"))]

use std::cell::Cell;
use std::ffi::{c_int, c_void};

use callwright_dsp::codec::comfort_noise::NoiseParameters;
use callwright_dsp::codec::opus_packet::Packet;
use callwright_dsp::codec::{Codec, ComplexityPolicy, Decoder, Encoder, EncoderSettings};
use callwright_dsp::tone::{Cadence, Signal};
use callwright_dsp::{beep, dtmf};

thread_local! {
    /// Calls of this thread; no destructor and no lazy start, so that it may be touched within `malloc`.
    static MEMORY_CALLS: Cell<u64> = const { Cell::new(0) };
    static LOCK_CALLS: Cell<u64> = const { Cell::new(0) };
}

fn count(calls: &'static std::thread::LocalKey<Cell<u64>>) {
    let _ = calls.try_with(|n| n.set(n.get() + 1));
}

unsafe extern "C" {
    fn __libc_malloc(size: usize) -> *mut c_void;
    fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
    fn __libc_realloc(old: *mut c_void, size: usize) -> *mut c_void;
    fn __libc_memalign(alignment: usize, size: usize) -> *mut c_void;
    fn __libc_free(old: *mut c_void);
}

/// # Safety
/// The C library's contract, to which everything is handed on; so for all of these.
#[unsafe(no_mangle)]
unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
    count(&MEMORY_CALLS);
    // SAFETY: as above.
    unsafe { __libc_malloc(size) }
}

/// # Safety
/// As `malloc`.
#[unsafe(no_mangle)]
unsafe extern "C" fn calloc(count_of: usize, size: usize) -> *mut c_void {
    count(&MEMORY_CALLS);
    // SAFETY: as above.
    unsafe { __libc_calloc(count_of, size) }
}

/// # Safety
/// As `malloc`.
#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(old: *mut c_void, size: usize) -> *mut c_void {
    count(&MEMORY_CALLS);
    // SAFETY: as above.
    unsafe { __libc_realloc(old, size) }
}

/// # Safety
/// As `malloc`.
#[unsafe(no_mangle)]
unsafe extern "C" fn aligned_alloc(alignment: usize, size: usize) -> *mut c_void {
    count(&MEMORY_CALLS);
    // SAFETY: as above.
    unsafe { __libc_memalign(alignment, size) }
}

/// # Safety
/// As `malloc`; `place` is valid for a pointer.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_memalign(place: *mut *mut c_void, alignment: usize, size: usize) -> c_int {
    count(&MEMORY_CALLS);
    // SAFETY: as above.
    unsafe { *place = __libc_memalign(alignment, size) };
    0
}

/// # Safety
/// As `malloc`.
#[unsafe(no_mangle)]
unsafe extern "C" fn free(old: *mut c_void) {
    count(&MEMORY_CALLS);
    // SAFETY: as above.
    unsafe { __libc_free(old) }
}

/// # Safety
/// As `malloc`.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutex_lock(mutex: *mut c_void) -> c_int {
    count(&LOCK_CALLS);
    // SAFETY: the name is a C string, and what stands behind it in the C library has this type (a null pointer would be a
    // C library without locks, which `Option` makes a panic).
    let real: Option<unsafe extern "C" fn(*mut c_void) -> c_int> =
        unsafe { std::mem::transmute(libc::dlsym(libc::RTLD_NEXT, c"pthread_mutex_lock".as_ptr())) };
    // SAFETY: as above.
    unsafe { real.expect("the C library has it")(mutex) }
}

/// Calls of memory and locks within `work`.
fn calls(work: impl FnOnce()) -> (u64, u64) {
    let now = || (MEMORY_CALLS.with(Cell::get), LOCK_CALLS.with(Cell::get));
    let (memory, locks) = now();
    work();
    (now().0 - memory, now().1 - locks)
}

#[test]
fn the_counters_see_both_languages() {
    let (memory, _) = calls(|| drop(std::hint::black_box(Box::new([0u8; 100]))));
    assert_eq!(memory, 2, "Rust's box: taken and given back");
    let (memory, _) = calls(|| drop(Decoder::new(Codec::Opus, 8_000)));
    assert_eq!(memory, 2, "libopus' state");
    let mut mutex = libc::PTHREAD_MUTEX_INITIALIZER;
    // SAFETY: the mutex lives to the end of this function.
    let (_, locks) = calls(|| unsafe {
        libc::pthread_mutex_lock(&raw mut mutex);
        libc::pthread_mutex_unlock(&raw mut mutex);
    });
    assert_eq!(locks, 1);
}

#[test]
fn no_codec_takes_memory_or_a_lock_once_it_is_made() {
    let rates = [8_000, 16_000, 48_000];
    for (codec, rate) in Codec::ALL.into_iter().flat_map(|codec| rates.map(|rate| (codec, rate))) {
        let settings = EncoderSettings { fec: true, expected_loss: 10, ..EncoderSettings::for_rate(rate) };
        let (Ok(mut encoder), Ok(mut decoder)) = (Encoder::new(codec, rate, settings), Decoder::new(codec, rate))
        else {
            continue;
        };
        let frame = rate as usize / 50;
        let pcm: Vec<i16> = (0..frame as i32).map(|n| ((n * n * 37) % 16_000 - 8_000) as i16).collect();
        let (mut payload, mut out) = ([0; 2_000], vec![0; frame]);
        let used = calls(|| {
            for n in 0..200u32 {
                // Loud, quiet and silent, so that every mode is entered; each complexity, with and without DTX.
                let quiet = (n / 20) % 3 == 2;
                let complexity = (n % 11) as u8;
                encoder.apply(EncoderSettings { complexity, dtx: n >= 100, ..settings });
                let silence = [0; 960];
                let octets = encoder.encode(if quiet { &silence[..frame] } else { &pcm }, &mut payload).unwrap();
                let octets = &payload[..octets];
                assert_eq!(decoder.samples(octets).is_some(), !octets.is_empty());
                match n % 10 {
                    3 => {
                        decoder.conceal(&mut out);
                    }
                    4 => {
                        decoder.recover(octets, &mut out);
                    }
                    _ if octets.is_empty() => {}
                    _ => assert_eq!(decoder.decode(octets, &mut out), Ok(frame)),
                }
                // And what is none.
                let garbage = [n as u8, 255, n as u8, 3, 0, 99];
                let _ = decoder.decode(&garbage, &mut out);
            }
            encoder.reset();
            decoder.reset();
        });
        assert_eq!(used, (0, 0), "{codec:?} at {rate} Hz");
    }
}

#[test]
fn neither_do_the_parsers_and_the_policy() {
    let mut policy = ComplexityPolicy::default();
    let used = calls(|| {
        for n in 0..=255u8 {
            let octets = [n, 0x83, 1, 0, 9, 9, n];
            let _ = Packet::parse(&octets).map(|packet| packet.has_redundancy());
            let mut written = [0; 13];
            NoiseParameters::parse(&octets).and_then(|noise| noise.write(&mut written));
            policy.complexity_for(f32::from(n) / 255.0, u32::from(n));
        }
    });
    assert_eq!(used, (0, 0));
}

/// Keys are made and read, beeps are heard, and tones played.
#[test]
fn neither_do_tones_and_their_detectors() {
    for rate in [8_000, 16_000, 24_000, 48_000] {
        let mut generator = dtmf::Generator::new(rate).unwrap();
        let mut keys = dtmf::Detector::new(rate).unwrap();
        let mut beeps = beep::Detector::new(rate).unwrap();
        let tone: Signal = "1000".parse().unwrap();
        let (mut read, mut heard) = (0, 0);
        let mut pcm = [0i16; 960];
        let pcm = &mut pcm[..rate as usize / 50];
        let used = calls(|| {
            let mut cadence = Cadence::new(tone, rate);
            generator.queue("0123456789*#ABCD").unwrap();
            for frame in 0..400 {
                match frame {
                    0..200 => drop(generator.fill(pcm)),
                    250..300 => cadence.fill(pcm),
                    _ => pcm.fill(0),
                }
                keys.handle_audio(pcm, &mut |key| read += u32::from(!key.ended));
                beeps.handle_audio(pcm, &mut |_| heard += 1);
            }
            keys.handle_lost(160, &mut |_| {});
            keys.reset(&mut |_| {});
        });
        assert_eq!((used, read, heard), ((0, 0), 16, 1), "{rate} Hz");
    }
}
