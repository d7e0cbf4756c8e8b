//! The double as a pack. Purpose: the files that `models install --from-file` takes, trained once per machine.
//!
//! Training takes seconds, tests are many: the result lies in the build directory under a digest of what it was made from
//! (this module's source and the voice), and processes that want it at once wait for the first. Any thread.

use super::DoubleError;
use super::corpus::Speaker;
use super::recogniser;
use super::sentences::vocabulary;
use super::train::train;
use crate::assets::Assets;
use crate::pack::shelf::PACK_FILE;
use crate::pack::{Family, Installed, Kind, Pack};
use bzip2::Compression;
use bzip2::write::BzEncoder;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Name of the pack.
pub const NAME: &str = "callwright-double-en";

/// Everything that decides how the model comes out, but the voice.
const SOURCES: &[&str] = &[
    include_str!("corpus.rs"),
    include_str!("front.rs"),
    include_str!("onnx.rs"),
    include_str!("pack.rs"),
    include_str!("random.rs"),
    include_str!("recogniser.rs"),
    include_str!("sentences.rs"),
    include_str!("train.rs"),
];
const MODEL: &str = "model.onnx";
const TOKENS: &str = "tokens.txt";
const FILES: [&str; 3] = [PACK_FILE, MODEL, TOKENS];

/// What a manifest would say of it.
#[must_use]
pub fn pack() -> Pack {
    Pack {
        name: NAME.into(),
        kind: Kind::StreamingAsr,
        family: Family::OnlineToneCtc,
        url: String::new(),
        sha256: None,
        size: 0,
        licence: "Apache-2.0".into(),
        rate: 8000,
        languages: vec!["en".into()],
        about: "test double: a few dozen sentences of one synthetic voice".into(),
        files: BTreeMap::from([("model".into(), MODEL.into()), ("tokens".into(), TOKENS.into())]),
        extra: Vec::new(),
        recommended: false,
    }
}

/// The directory with the pack's files; trains the model when this machine has none of these inputs yet.
///
/// # Errors
/// [`DoubleError`].
pub fn directory(assets: &Assets) -> Result<PathBuf, DoubleError> {
    let root = cache().join("double");
    fs::create_dir_all(&root)?;
    let made = root.join(digest(assets)?);
    let lock = File::create(root.join("lock"))?;
    // Held until the file is closed.
    lock.lock()?;
    if !made.is_dir() {
        let words = vocabulary();
        let network = train(assets, &words)?;
        let stage = root.join("partial");
        let _ = fs::remove_dir_all(&stage);
        fs::create_dir(&stage)?;
        fs::write(stage.join(MODEL), recogniser::encode(&network, words.len() + 1))?;
        fs::write(stage.join(TOKENS), tokens(&words))?;
        // It is in no catalogue, so it brings its own description.
        let description = toml::to_string(&pack()).map_err(io::Error::other)?;
        fs::write(stage.join(PACK_FILE), description)?;
        fs::rename(&stage, &made)?;
    }
    Ok(made)
}

/// The pack where it was made, as if a shelf held it.
///
/// # Errors
/// [`DoubleError`].
pub fn installed(assets: &Assets) -> Result<Installed, DoubleError> {
    Ok(Installed { pack: pack(), directory: directory(assets)? })
}

/// Copies the pack's files into `directory`, which is made.
///
/// # Errors
/// [`DoubleError`].
pub fn write_pack(assets: &Assets, directory: &Path) -> Result<(), DoubleError> {
    let made = self::directory(assets)?;
    fs::create_dir_all(directory)?;
    for file in FILES {
        fs::copy(made.join(file), directory.join(file))?;
    }
    Ok(())
}

/// Writes the pack as publishers do: a `.tar.bz2` that unpacks into one directory of the pack's name.
///
/// # Errors
/// [`DoubleError`].
pub fn write_archive(assets: &Assets, file: &Path) -> Result<(), DoubleError> {
    let made = directory(assets)?;
    let mut archive = tar::Builder::new(BzEncoder::new(File::create(file)?, Compression::fast()));
    archive.mode(tar::HeaderMode::Deterministic);
    for name in FILES {
        archive.append_path_with_name(made.join(name), format!("{NAME}/{name}"))?;
    }
    archive.into_inner()?.finish()?.flush()?;
    Ok(())
}

/// Blank, then the words as tokens that begin with a space.
fn tokens(words: &[&str]) -> String {
    let mut tokens = String::from("<blk> 0\n");
    for (n, word) in words.iter().enumerate() {
        tokens.push_str(&format!("\u{2581}{word} {}\n", n + 1));
    }
    tokens
}

/// The build directory that this executable came from; without one, where temporary files go.
fn cache() -> PathBuf {
    let executable = std::env::current_exe().unwrap_or_default();
    // Cargo marks its directory, unless that was copied.
    let is_target = |directory: &&Path| directory.ends_with("target") || directory.join("CACHEDIR.TAG").is_file();
    let target = executable.ancestors().find(is_target);
    target.map_or_else(|| std::env::temp_dir().join("callwright"), Path::to_path_buf)
}

fn digest(assets: &Assets) -> Result<String, DoubleError> {
    let mut hash = Sha256::new();
    SOURCES.iter().for_each(|source| hash.update(source));
    // The voice's noise differs from time to time, its timing does not.
    for (word, end) in Speaker::load(assets)?.say("please build me a crm with contacts and deals").words {
        hash.update(format!("{word} {end}\n"));
    }
    Ok(hash.finalize().iter().take(8).map(|octet| format!("{octet:02x}")).collect())
}
