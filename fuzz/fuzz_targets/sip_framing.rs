//! One stream into the framing of SIP over TCP.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| callwright::sip::fuzz::framing(octets));
