//! Octets into the RTCP reader as one datagram, and into an RTCP session as a sequence of times and datagrams.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    callwright::rtp::fuzz::rtcp(octets);
    callwright::rtp::fuzz::control(octets);
});
