//! What is asked of the pipeline as a document.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| callwright::pipeline::fuzz::manifest(octets));
