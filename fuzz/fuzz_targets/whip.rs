//! What a page posts: offers and fragments.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| callwright::webrtc::fuzz::whip(octets));
