//! The example configuration is the documentation of the keys: it must load, mean the defaults, and be what README says.

use std::collections::BTreeSet;
use std::path::Path;

use callwright::config::Config;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("part of the tree")
}

fn load(path: Option<&str>) -> toml::Table {
    let path = path.map(|path| Path::new(env!("CARGO_MANIFEST_DIR")).join(path));
    let config = Config::load(path.as_deref(), std::iter::empty()).expect("the example and the defaults are valid");
    toml::Table::try_from(config).expect("a configuration can be written as TOML")
}

#[test]
fn the_example_shows_the_defaults() {
    let mut example = load(Some("systemd/callwright.toml"));
    let defaults = load(None);
    let data = example.insert("data".to_owned(), defaults["data"].clone()).expect("the example has [data]");
    assert_eq!(data["dir"].as_str(), Some("/var/lib/callwright"), "the state directory of the unit");
    assert_eq!(example, defaults);
}

/// `[sip] udp` as "sip.udp", from README's table.
fn told() -> BTreeSet<String> {
    let readme = read("README.md");
    let rows = readme.lines().filter(|line| line.starts_with("| `["));
    rows.flat_map(|row| {
        let mut cells = row.split('|').skip(1);
        let section = cells.next().unwrap_or_default().trim().trim_matches(|c| "`[]".contains(c)).to_owned();
        let keys = cells.next().unwrap_or_default().to_owned();
        keys.split('`').skip(1).step_by(2).map(|key| format!("{section}.{key}")).collect::<Vec<_>>()
    })
    .collect()
}

#[test]
fn readme_lists_the_keys_of_the_example() {
    let mut section = String::new();
    let mut keys = BTreeSet::new();
    for line in read("systemd/callwright.toml").lines() {
        let line = line.trim_start_matches("# ").trim();
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_matches(|c| "[]".contains(c)).to_owned();
        } else if let Some((key, _)) = line
            .split_once(" = ")
            .filter(|(key, _)| key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'))
        {
            keys.insert(format!("{section}.{key}"));
        }
    }
    assert_eq!(told(), keys, "README (left) and systemd/callwright.toml (right) differ");
    for (section, value) in load(None) {
        let table =
            value.as_array().and_then(|rows| rows.first()).unwrap_or(&value).as_table().cloned().unwrap_or_default();
        for (key, inner) in &table {
            // A table of its own has keys of its own.
            let below = |inner: &toml::Table| inner.keys().all(|k| keys.contains(&format!("{section}.{key}.{k}")));
            let listed = keys.contains(&format!("{section}.{key}")) || inner.as_table().is_some_and(below);
            assert!(listed, "[{section}] {key} is in neither");
        }
    }
}
