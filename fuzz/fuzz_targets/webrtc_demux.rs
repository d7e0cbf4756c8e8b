//! STUN and DTLS on a shared port.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| callwright::webrtc::fuzz::demux(octets));
