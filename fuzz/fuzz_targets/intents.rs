//! What a caller may say: no text stops the understanding, and every confidence is one.
#![no_main]

use callwright::pipeline::intent::{Context, extract, understand};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let found = extract(text, &[]);
    assert!((0.0..=1.0 + 1e-9).contains(&found.confidence));
    for context in [Context::Free, Context::AskedWhat, Context::AskedFeatures, Context::AskedApproval] {
        assert!((0.0..=1.0).contains(&understand(text, context).confidence));
    }
});
