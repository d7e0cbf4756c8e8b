//! One payload into the parser of comfort noise.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| callwright_dsp::codec::comfort_noise::fuzz(octets));
