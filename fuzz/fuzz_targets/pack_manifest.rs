//! A manifest of model packs, and the label of one: what is accepted stays below its directory.
#![no_main]

use callwright_models::pack::manifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let packs = manifest::parse(text).unwrap_or_default().into_iter().chain(manifest::parse_one(text).ok());
    for pack in packs {
        assert!(manifest::is_name(&pack.name) && pack.all_files().all(manifest::is_below));
    }
});
