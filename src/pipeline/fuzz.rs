//! Entry points for `fuzz/`. Purpose: the bodies compile, and run over mutated seeds in every test run; the targets are a line
//! each. Not for other use.

use super::intent::{Context, extract, understand};
use super::kernel;
use super::kernel::frame::{self, Framer, FromKernel, Task, ToKernel};
use super::kernel::session::Session;
use super::manifest::BuildManifest;
use super::spec::Spec;
use crate::apphost::bundle::Bundle;
use crate::limits::{BUNDLE_FILES_MAX, BUNDLE_MAX, KERNEL_ASKS_MAX, KERNEL_CITES_MAX};
use crate::time::Tick;
use std::collections::BTreeMap;

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

/// What a kernel may send, in pieces of as many octets as the first says: what is read is written and read as the same, whatever
/// the pieces; a talk that hears it stays within its bounds, and gives files only after `done`.
pub fn kernel_frames(octets: &[u8]) {
    let Some((&piece, wire)) = octets.split_first() else { return };
    let lines = |piece: usize| {
        let (mut framer, mut lines) = (Framer::default(), Vec::new());
        for piece in wire.chunks(piece) {
            framer.push(piece);
            while let Some(line) = framer.next_line() {
                lines.push(line);
            }
        }
        (lines, framer.end())
    };
    let (lines, whole) = (lines(usize::from(piece).max(1)), lines(wire.len().max(1)));
    assert_eq!(lines, whole, "whatever the pieces");
    let (mut session, _) = Session::new("crm", fuzzed_task(), Tick(0));
    let (mut now, mut heard) = (Tick(0), Ok(None));
    for line in lines.0.iter().flatten() {
        if let Ok(told) = ToKernel::read(line) {
            let again = frame::write(&told);
            assert_eq!(ToKernel::read(&again), Ok(told));
        }
        let Ok(said) = FromKernel::read(line) else { continue };
        let again = frame::write(&said);
        assert_eq!(FromKernel::read(&again).as_ref(), Ok(&said));
        now = Tick(now.0 + u64::from(piece) * 100_000_000);
        if heard.is_ok() && session.tick(now).is_ok() {
            heard = session.hear(said, now);
        }
    }
    let over = session.is_over();
    let output = session.output();
    assert_eq!(output.is_some(), over);
    if let Some(output) = output {
        assert!(
            output.files.len() <= BUNDLE_FILES_MAX && output.files.values().map(Vec::len).sum::<usize>() <= BUNDLE_MAX
        );
        assert!(output.asks.len() <= KERNEL_ASKS_MAX && output.cites.len() <= KERNEL_CITES_MAX);
    }
}

fn fuzzed_task() -> Task {
    let manifest: BuildManifest = serde_json::from_str(include_str!("../../tests/fixtures/manifest.json"))
        .expect("a manifest that the tests hold to its golden text");
    let spec = Spec::compose(&manifest);
    let capabilities = vec![kernel::Capability::Frontend];
    Task { id: "build_1".into(), capabilities, manifest, spec, answers: BTreeMap::new(), seconds: 1 }
}
