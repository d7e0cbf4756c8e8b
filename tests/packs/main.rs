//! Model packs from a server or a file to the shelf: whatever the network, the archive or the disk does, nothing half-done
//! serves, and the sentence says what to do.

#[path = "../../models/tests/fixture/mod.rs"]
mod fixture;
#[path = "../rig/mod.rs"]
mod rig;
mod server;

mod command;
mod disk;
mod network;

use bzip2::Compression;
use bzip2::write::BzEncoder;
use callwright::packs::fetch::Patience;
use callwright::packs::offer::block_on;
use callwright::packs::{Installer, Outcome, PackError};
use callwright_models::pack::{Extra, Family, Pack, Shelf, digest};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// Short enough for a test, long enough for a busy machine.
const PATIENCE: Patience =
    Patience { connect: Duration::from_secs(5), stall: Duration::from_secs(5), pause: Duration::from_millis(1) };

/// A pack of the end-of-turn family: one file.
fn pack(server: &server::Server, content: &[u8]) -> Pack {
    let mut running = digest::Running::new();
    running.update(content);
    Pack {
        name: "demo".to_owned(),
        kind: Family::SmartTurn.kind(),
        family: Family::SmartTurn,
        url: server.url("demo.tar.bz2"),
        sha256: Some(running.finish()),
        size: content.len() as u64,
        licence: "MIT".to_owned(),
        rate: 16_000,
        languages: vec!["en".to_owned()],
        about: "a test".to_owned(),
        files: [("model".to_owned(), "model.onnx".to_owned())].into(),
        extra: Vec::new(),
        recommended: false,
    }
}

fn extra(server: &server::Server, file: &str) -> Extra {
    Extra { file: file.to_owned(), url: server.url(file), sha256: None, size: 1000 }
}

/// A `.tar.bz2` of these files.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(BzEncoder::new(Vec::new(), Compression::fast()));
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *content).expect("it is appended");
    }
    let mut encoder = builder.into_inner().expect("it is finished");
    encoder.flush().expect("it is written");
    encoder.finish().expect("it is compressed")
}

/// A `.tgz` of these files, as npm makes them: below `package`.
fn npm_archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut builder = tar::Builder::new(encoder);
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, format!("package/{name}"), *content).expect("it is appended");
    }
    builder.into_inner().expect("it is finished").finish().expect("it is compressed")
}

/// A `.bz2` of these octets.
fn compressed(octets: &[u8]) -> Vec<u8> {
    let mut encoder = BzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(octets).expect("it is written");
    encoder.finish().expect("it is compressed")
}

/// Weights that do not compress, so that an archive is long enough to be cut.
fn weights() -> Vec<u8> {
    let mut state = 1_u64;
    (0..400_000)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .collect()
}

fn whole() -> Vec<u8> {
    archive(&[("demo/model.onnx", &weights()), ("demo/test_wavs/0.wav", b"not kept"), ("demo/LICENSE", b"MIT")])
}

/// Packs are not loaded: what the engines do is tested with them.
fn installer(directory: &Path) -> Installer {
    let judge = |_: &Pack, directory: &Path| {
        assert!(directory.join("pack.toml").is_file(), "the child is told what it is");
        Ok("loaded".to_owned())
    };
    Installer::with_judge(Shelf::open(directory.join("models")), Box::new(judge), PATIENCE)
}

fn install(installer: &Installer, pack: &Pack) -> Result<Outcome, PackError> {
    block_on(installer.install(pack, &mut |_| {}))
}

fn install_from(installer: &Installer, path: &Path, name: Option<&str>) -> Result<Outcome, PackError> {
    block_on(installer.install_from(path, name, &mut |_| {}))
}

/// Nothing is on the shelf, and nothing half-done lies about.
fn nothing_there(installer: &Installer) {
    let directory = installer.shelf().directory();
    assert!(installer.shelf().installed().is_empty());
    let left: Vec<_> = std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().into_string().expect("a plain name"))
        .filter(|name| ![".lock", ".fetch"].contains(&name.as_str()))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

fn downloads(installer: &Installer) -> Vec<String> {
    std::fs::read_dir(installer.shelf().downloads())
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().into_string().expect("a plain name"))
        .collect()
}
