//! Time, signature and body of a webhook.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| callwright::twilio::fuzz::telnyx_webhook(octets));
