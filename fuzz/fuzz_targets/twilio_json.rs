//! Messages of a media stream, one a line.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| callwright::twilio::fuzz::twilio_json(octets));
