//! One value of `a=crypto` into the SDES key parser.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| callwright::rtp::fuzz::sdes(octets));
