//! What a caller may say.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| callwright::pipeline::fuzz::cue_grammar(octets));
