//! One session description as offer and as answer.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| callwright::sip::fuzz::sdp(octets));
