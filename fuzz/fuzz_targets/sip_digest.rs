//! A header field value as challenge and as answer of digest authentication.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| callwright::sip::fuzz::digest(octets));
