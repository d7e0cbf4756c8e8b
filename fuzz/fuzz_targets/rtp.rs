//! One datagram into the RTP header parser.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let _ = callwright::rtp::Packet::parse(octets);
});
