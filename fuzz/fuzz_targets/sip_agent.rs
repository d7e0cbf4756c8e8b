//! A sequence of SIP datagrams into one agent; nothing may be left of them.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| callwright::sip::fuzz::agent(octets));
