//! The house rules, held as data (`tidy/rules.rs`) and checked on every tracked file. A failure prints `file:line`, the
//! rule and the remedy. `CALLWRIGHT_TIDY_ROOT` checks another tree than this one.

#[path = "tidy/check.rs"]
mod check;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/self_test.rs"]
mod self_test;
#[path = "tidy/source.rs"]
mod source;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use check::{File, Tree, Violation};

static TREE: LazyLock<Tree> = LazyLock::new(|| Tree::new(read(&root())));

fn root() -> PathBuf {
    std::env::var_os("CALLWRIGHT_TIDY_ROOT").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from)
}

/// Tracked files and those about to be; the tree as it lies there when git does not know it (a source package).
fn read(root: &Path) -> Vec<File> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .ok()
        .filter(|output| output.status.success() && !output.stdout.is_empty())
        .map(|output| {
            String::from_utf8_lossy(&output.stdout).split_terminator('\0').map(str::to_owned).collect::<Vec<_>>()
        });
    let paths = listed.unwrap_or_else(|| {
        let mut paths = Vec::new();
        walk(root, root, &mut paths);
        paths
    });
    let mut files: Vec<File> = paths
        .into_iter()
        .filter_map(|path| {
            let bytes = std::fs::read(root.join(&path)).ok()?;
            Some(File { path, bytes: bytes.len() as u64, text: String::from_utf8(bytes).ok() })
        })
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn walk(root: &Path, directory: &Path, paths: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && !["target", "native", "var", ".git"].iter().any(|skipped| name == *skipped) {
            walk(root, &path, paths);
        } else if path.is_file() {
            let inside = path.strip_prefix(root).expect("walk started at root");
            paths.push(inside.to_string_lossy().into_owned());
        }
    }
}

fn expect_none(found: Vec<Violation>) {
    let text: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{} violation(s)\n\n{}\n", found.len(), text.join("\n"));
}

#[test]
fn imports_follow_the_layers() {
    expect_none(check::imports(&TREE));
}

#[test]
fn names_stay_in_their_home() {
    expect_none(check::names(&TREE));
}

#[test]
fn unsafe_and_printing_stand_where_they_may() {
    expect_none(check::words(&TREE));
}

#[test]
fn no_banned_word_or_private_address() {
    expect_none(check::texts(&TREE));
}

#[test]
fn files_have_the_house_shape() {
    expect_none(check::shape(&TREE));
}

#[test]
fn top_level_is_as_listed() {
    expect_none(check::top_level(&TREE));
}

#[test]
fn every_limit_is_read() {
    expect_none(check::limits(&TREE));
}

#[test]
fn documents_promise_what_exists() {
    expect_none(check::promises(&TREE));
}
