//! Packets into both directions of SRTP under a known key: forgeries are refused, what is protected comes back once.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| callwright::rtp::fuzz::srtp(octets));
