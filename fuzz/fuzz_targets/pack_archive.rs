//! A tar archive from a stranger, past the decompressor: nothing is written outside the directory that is given.
#![no_main]

use callwright_models::pack::archive::{self, Bounds};
use libfuzzer_sys::fuzz_target;
use std::fs;

fuzz_target!(|octets: &[u8]| {
    let outside = std::env::temp_dir().join(format!("callwright-fuzz-{}", std::process::id()));
    let inside = outside.join("inside");
    let _ = fs::remove_dir_all(&outside);
    fs::create_dir_all(&inside).expect("a temporary directory");
    let bounds = Bounds { entries: 50, octets: 1 << 20, expansion: 1 };
    let _ = archive::unpack_tar(octets, &inside, bounds, &|_| true);
    let around = fs::read_dir(&outside).expect("it is there").count();
    assert_eq!(around, 1, "something was written outside");
    let _ = fs::remove_dir_all(&outside);
});
