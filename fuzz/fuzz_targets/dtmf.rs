//! A sequence of telephone-event packets into a receiver.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| callwright::rtp::fuzz::dtmf(octets));
