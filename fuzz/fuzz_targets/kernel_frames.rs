//! What a kernel sends to the daemon, and what it is sent.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| callwright::pipeline::fuzz::kernel_frames(octets));
