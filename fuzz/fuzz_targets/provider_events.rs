//! The answer of a speech provider into every parser of events.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| callwright::speech::provider::fuzz::events(octets));
