//! One datagram into the SIP parser.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| callwright::sip::fuzz::message(octets));
