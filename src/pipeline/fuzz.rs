//! Entry points for `fuzz/`. Purpose: the bodies compile, and run over mutated seeds in every test run; the targets are a line
//! each. Not for other use.

use super::intent::{Context, extract, understand};
use super::kernel;
use super::manifest::BuildManifest;
use super::spec::Spec;
use crate::apphost::bundle::Bundle;

/// Any document that is a manifest has a spec; a kernel that knows its type makes a bundle of it that holds together.
pub fn manifest(octets: &[u8]) {
    let Ok(manifest) = serde_json::from_slice::<BuildManifest>(octets) else { return };
    let written = serde_json::to_vec(&manifest).expect("a manifest is written");
    let again: BuildManifest = serde_json::from_slice(&written).expect("and read again");
    assert!((0.0..=1.0).contains(&manifest.confidence), "{} is no probability", manifest.confidence);
    assert!(
        again.confidence.to_bits() == manifest.confidence.to_bits(),
        "{} became {}",
        manifest.confidence,
        again.confidence
    );
    assert_eq!(
        (&again.features, &again.title, again.build_type),
        (&manifest.features, &manifest.title, manifest.build_type)
    );
    let spec = Spec::compose(&manifest);
    // Some milliseconds each, so of some only.
    if written.len() % 64 != 0 {
        return;
    }
    let kernels = kernel::all();
    let Some(kernel) = kernels.iter().find(|kernel| kernel.can(manifest.build_type, kernel::Capability::Frontend))
    else {
        return;
    };
    let files = kernel.generate(&manifest, &spec).expect("a built-in kernel makes what it can");
    if let Err(error) = Bundle::from_files(&files) {
        panic!("the bundle does not hold together: {error}");
    }
}

/// What a caller may say: no text stops the understanding, and every confidence is one.
pub fn cue_grammar(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    let found = extract(&text, &[]);
    assert!((0.0..=1.0 + 1e-9).contains(&found.confidence));
    for context in [Context::Free, Context::AskedWhat, Context::AskedFeatures, Context::AskedApproval] {
        assert!((0.0..=1.0).contains(&understand(&text, context).confidence));
    }
}
