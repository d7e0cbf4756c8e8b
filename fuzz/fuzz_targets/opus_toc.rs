//! One payload into the parser of Opus packets.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| callwright_dsp::codec::opus_packet::fuzz(octets));
