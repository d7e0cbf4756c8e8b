//! Octets into the G.722 codec, as codes and as samples.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| callwright_dsp::codec::g722::fuzz(octets));
