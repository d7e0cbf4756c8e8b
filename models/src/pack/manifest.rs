//! The packs that are known by name: `models/manifest.toml`, compiled in. Purpose: one reader and one set of rules for the
//! catalogue and for the `pack.toml` of a pack that is not in it. Pure. Invariant: every pack that leaves this module has
//! a name that is a file name, parts that its family needs, and files that lie below its directory.
//! Deliberately absent: a catalogue fetched at run time: what is installed by name is what this binary was built with.

use super::{Family, Kind, Pack};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Component, Path};
use std::sync::LazyLock;

/// Octets of a manifest or a `pack.toml`.
pub const MANIFEST_OCTETS_MAX: usize = 256 << 10;
/// Packs in one manifest.
pub const PACKS_MAX: usize = 500;
/// Characters of a pack's name.
pub const NAME_MAX: usize = 100;
/// Parts of one pack, and files fetched beside its archive.
pub const PARTS_MAX: usize = 32;

/// Why a manifest is refused. Its author's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Longer than [`MANIFEST_OCTETS_MAX`] or more than [`PACKS_MAX`].
    #[error("the manifest is too long")]
    TooLong,
    /// TOML grammar, an unknown key or a wrong type.
    #[error("{0}")]
    Syntax(String),
    /// A pack breaks a rule.
    #[error("pack {name}: {rule}")]
    Pack {
        /// Its name, as written.
        name: String,
        /// What to write instead.
        rule: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    pack: Vec<Pack>,
}

/// The packs that this binary knows, in the order of the manifest. A test holds
/// the file to its rules, so it parses.
#[must_use]
pub fn catalogue() -> &'static [Pack] {
    static CATALOGUE: LazyLock<Vec<Pack>> =
        LazyLock::new(|| parse(include_str!("../../manifest.toml")).unwrap_or_default());
    &CATALOGUE
}

/// A pack of the catalogue by its name.
#[must_use]
pub fn known(name: &str) -> Option<&'static Pack> {
    catalogue().iter().find(|pack| pack.name == name)
}

/// Reads a manifest.
///
/// # Errors
/// [`ManifestError`].
pub fn parse(text: &str) -> Result<Vec<Pack>, ManifestError> {
    if text.len() > MANIFEST_OCTETS_MAX {
        return Err(ManifestError::TooLong);
    }
    let manifest: Manifest = toml::from_str(text).map_err(|error| ManifestError::Syntax(error.to_string()))?;
    if manifest.pack.len() > PACKS_MAX {
        return Err(ManifestError::TooLong);
    }
    let mut names = BTreeSet::new();
    for pack in &manifest.pack {
        check(pack)?;
        if !names.insert(pack.name.as_str()) {
            return Err(broken(pack, "is there twice; names are unique"));
        }
    }
    Ok(manifest.pack)
}

/// Reads a `pack.toml`: one pack.
///
/// # Errors
/// [`ManifestError`].
pub fn parse_one(text: &str) -> Result<Pack, ManifestError> {
    if text.len() > MANIFEST_OCTETS_MAX {
        return Err(ManifestError::TooLong);
    }
    let pack: Pack = toml::from_str(text).map_err(|error| ManifestError::Syntax(error.to_string()))?;
    check(&pack)?;
    Ok(pack)
}

/// Whether a name may become a directory: letters, digits, `.`, `_` and `-`, not beginning with a dot or a dash.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'_' | b'-');
    name.len() <= NAME_MAX && name.bytes().all(plain) && name.bytes().next().is_some_and(|o| o.is_ascii_alphanumeric())
}

/// Whether this names a file or directory below the one that it is joined to.
#[must_use]
pub fn is_below(file: &str) -> bool {
    !file.is_empty()
        && !file.contains('\0')
        && Path::new(file).components().all(|component| matches!(component, Component::Normal(_)))
}

fn broken(pack: &Pack, rule: impl Into<String>) -> ManifestError {
    ManifestError::Pack { name: pack.name.chars().take(NAME_MAX).collect(), rule: rule.into() }
}

pub(super) fn check(pack: &Pack) -> Result<(), ManifestError> {
    if !is_name(&pack.name) {
        return Err(broken(pack, "the name must be letters, digits, '.', '_' and '-', at most 100, as in a file name"));
    }
    if pack.family.kind() != pack.kind {
        return Err(broken(pack, format!("family {:?} is of kind {:?}", pack.family, pack.family.kind())));
    }
    if !(4_000..=192_000).contains(&pack.rate) {
        return Err(broken(pack, "rate is in samples per second: 8000, 16000, 22050, 24000"));
    }
    if pack.files.len() > PARTS_MAX || pack.extra.len() > PARTS_MAX {
        return Err(broken(pack, "has too many parts"));
    }
    for part in pack.family.parts() {
        if !pack.files.contains_key(*part) {
            return Err(broken(pack, format!("files.{part} is missing, which its family needs")));
        }
    }
    let digests = std::iter::once(&pack.sha256).chain(pack.extra.iter().map(|extra| &extra.sha256)).flatten();
    for digest in digests {
        if !super::digest::is_digest(digest) {
            return Err(broken(pack, "sha256 is 64 hexadecimal digits"));
        }
    }
    for file in pack.all_files().chain(pack.extra.iter().map(|extra| extra.file.as_str())) {
        if !is_below(file) {
            return Err(broken(pack, format!("{file:?} must lie below the pack's directory")));
        }
    }
    let urls = std::iter::once(&pack.url).filter(|url| !url.is_empty()).chain(pack.extra.iter().map(|e| &e.url));
    for url in urls {
        if !is_fetchable(url) {
            return Err(broken(pack, format!("{url:?} must begin with https://")));
        }
    }
    Ok(())
}

/// Whether an address holds a user name or password, which would be shown, logged and written down with it.
#[must_use]
pub fn has_credentials(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#', '\\']).next().is_some_and(|authority| authority.contains('@'))
}

/// `https`, or plain `http` to this machine itself; without credentials.
#[must_use]
pub fn is_fetchable(url: &str) -> bool {
    let host_of = |rest: &str| rest.split(['/', '?', '#']).next().unwrap_or_default().to_owned();
    if has_credentials(url) {
        return false;
    }
    if let Some(rest) = url.strip_prefix("https://") {
        return !host_of(rest).is_empty();
    }
    let Some(rest) = url.strip_prefix("http://") else { return false };
    let host = host_of(rest);
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|octet| octet.is_ascii_digit()) => name,
        _ => host.as_str(),
    };
    matches!(host, "127.0.0.1" | "localhost" | "[::1]")
}

/// One part may be several files, parted by commas: lexicons of two languages.
pub fn files_of(files: &str) -> impl Iterator<Item = &str> {
    files.split(',').map(str::trim)
}

impl Kind {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 4] = [Self::StreamingAsr, Self::OfflineAsr, Self::Tts, Self::EndOfTurn];

    /// As in the manifest.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::StreamingAsr => "streaming-asr",
            Self::OfflineAsr => "offline-asr",
            Self::Tts => "tts",
            Self::EndOfTurn => "end-of-turn",
        }
    }
}

impl Family {
    /// What a pack of this family does.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::OnlineTransducer | Self::OnlineNemoCtc | Self::OnlineZipformerCtc | Self::OnlineToneCtc => {
                Kind::StreamingAsr
            }
            Self::Moonshine
            | Self::MoonshineMerged
            | Self::OfflineNemoTransducer
            | Self::Whisper
            | Self::SenseVoice => Kind::OfflineAsr,
            Self::Vits | Self::Matcha | Self::Kokoro | Self::KokoroGraph | Self::Kitten => Kind::Tts,
            Self::SmartTurn => Kind::EndOfTurn,
        }
    }

    /// Parts that a pack of this family cannot do without.
    #[must_use]
    pub const fn parts(self) -> &'static [&'static str] {
        match self {
            Self::OnlineTransducer | Self::OfflineNemoTransducer => &["encoder", "decoder", "joiner", "tokens"],
            Self::OnlineNemoCtc | Self::OnlineZipformerCtc | Self::OnlineToneCtc | Self::SenseVoice => {
                &["model", "tokens"]
            }
            Self::Moonshine => &["preprocessor", "encoder", "uncached-decoder", "cached-decoder", "tokens"],
            Self::MoonshineMerged => &["encoder", "merged-decoder", "tokens"],
            Self::Whisper => &["encoder", "decoder", "tokens"],
            // A lexicon makes English better and other languages possible; without one, English is said from the
            // embedded recogniser's dictionary.
            Self::Vits => &["model", "tokens"],
            Self::Matcha => &["model", "vocoder", "tokens"],
            Self::Kokoro | Self::KokoroGraph | Self::Kitten => &["model", "voices", "tokens"],
            Self::SmartTurn => &["model"],
        }
    }
}

impl Pack {
    /// What is fetched in all, octets.
    #[must_use]
    pub fn download_octets(&self) -> u64 {
        self.extra.iter().map(|extra| extra.size).fold(self.size, u64::saturating_add)
    }

    /// Whether the family can do without this part.
    #[must_use]
    pub fn is_optional(&self, part: &str) -> bool {
        !self.family.parts().contains(&part)
    }

    /// The speakers of a voice whose model has them by name, in the manifest's order; the first is the one that speaks where
    /// nobody chose. Empty: they are numbered, or there is one.
    #[must_use]
    pub fn speakers(&self) -> Vec<&str> {
        let files = self.files.get("voices").filter(|_| self.family == Family::KokoroGraph);
        files
            .into_iter()
            .flat_map(|files| files_of(files))
            .filter_map(|file| Path::new(file).file_stem()?.to_str())
            .collect()
    }

    /// The files of every part, below the pack's directory.
    pub fn all_files(&self) -> impl Iterator<Item = &str> {
        self.files.values().flat_map(|files| files_of(files))
    }

    /// Whether the pack can do without a file: all parts that name it can be left out.
    #[must_use]
    pub fn can_spare(&self, file: &str) -> bool {
        self.files
            .iter()
            .filter(|(_, files)| files_of(files).any(|f| f == file))
            .all(|(part, _)| self.is_optional(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::Extra;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_catalogue_keeps_its_own_rules() {
        let packs = parse(include_str!("../../manifest.toml")).expect("the manifest is sound");
        assert_eq!(packs.as_slice(), catalogue());
        assert!(packs.len() > 30, "{}", packs.len());
        for pack in &packs {
            let name = &pack.name;
            assert!(pack.url.starts_with("https://"), "{name}: {}", pack.url);
            assert!(pack.extra.iter().all(|extra| extra.url.starts_with("https://")), "{name}");
            let ends = [".tar.bz2", ".tgz", ".onnx"];
            assert!(ends.iter().any(|end| pack.url.ends_with(end)), "{name}: {}", pack.url);
            // npm's archives are called after whoever packed them.
            let called = pack.url.rsplit('/').next().is_some_and(|file| file.starts_with(name.as_str()));
            assert!(called || pack.url.starts_with("https://registry.npmjs.org/"), "{name}");
            assert!((1 << 20..2 << 30).contains(&pack.size), "{name}: {} octets", pack.size);
            assert!(!pack.licence.is_empty() && !pack.languages.is_empty(), "{name}");
            assert!((10..=100).contains(&pack.about.len()), "{name}: {:?} is not one line", pack.about);
            // A size that ends in six zeros was guessed; where the digest is known, so is the size.
            assert!(pack.sha256.is_none() || pack.size % 1_000_000 != 0, "{name}");
            assert!(pack.extra.iter().all(|extra| pack.all_files().any(|file| file == extra.file)), "{name}");
        }
    }

    #[test]
    fn every_kind_and_family_that_is_spoken_of_can_be_had() {
        for kind in Kind::ALL {
            assert!(catalogue().iter().any(|pack| pack.kind == kind), "{kind:?}");
        }
        let recommended: Vec<_> = catalogue().iter().filter(|pack| pack.recommended).collect();
        assert_eq!(recommended.iter().map(|pack| pack.kind).collect::<Vec<_>>(), [Kind::StreamingAsr, Kind::Tts]);
        assert!(recommended.iter().all(|pack| pack.sha256.is_some()));
        assert!(recommended.iter().map(|pack| pack.size).sum::<u64>() < 150_000_000, "set-up fetches under 150 MB");
        assert!(recommended.iter().all(|pack| !pack.licence.contains("research")));
    }

    fn pack() -> Pack {
        Pack {
            name: "a".to_owned(),
            kind: Kind::EndOfTurn,
            family: Family::SmartTurn,
            url: "https://example.com/a.onnx".to_owned(),
            sha256: Some("0".repeat(64)),
            size: 1,
            licence: String::new(),
            rate: 16_000,
            languages: Vec::new(),
            about: String::new(),
            files: BTreeMap::from([("model".to_owned(), "a.onnx".to_owned())]),
            extra: Vec::new(),
            recommended: false,
        }
    }

    #[test]
    fn each_rule_is_said_when_it_is_broken() {
        let extra =
            |file: &str, url: &str| vec![Extra { file: file.to_owned(), url: url.to_owned(), sha256: None, size: 1 }];
        assert_eq!(check(&pack()), Ok(()));
        let said = |change: &dyn Fn(&mut Pack)| {
            let mut pack = pack();
            change(&mut pack);
            check(&pack).unwrap_err().to_string()
        };
        assert!(said(&|p| p.name = "../a".to_owned()).contains("letters"));
        assert!(said(&|p| p.name = ".hidden".to_owned()).contains("letters"));
        assert!(said(&|p| p.name = String::new()).contains("letters"));
        assert!(said(&|p| p.kind = Kind::Tts).contains("EndOfTurn"));
        assert!(said(&|p| p.rate = 16).contains("8000"));
        assert!(said(&|p| p.files.clear()).contains("files.model"));
        assert!(said(&|p| p.sha256 = Some("12".to_owned())).contains("64"));
        assert!(said(&|p| p.files.insert("x".to_owned(), "../x".to_owned()).map_or((), drop)).contains("below"));
        assert!(said(&|p| p.files.insert("x".to_owned(), "/x".to_owned()).map_or((), drop)).contains("below"));
        assert!(said(&|p| p.url = "http://example.com/a".to_owned()).contains("https"));
        assert!(said(&|p| p.extra = extra("x", "ftp://example.com/a")).contains("https"));
        assert!(said(&|p| p.extra = extra("x/../../y", "https://example.com/a")).contains("below"));
    }

    #[test]
    fn plain_http_is_for_this_machine_alone() {
        for good in ["https://example.com/a", "http://127.0.0.1:8000/a", "http://localhost/a", "http://[::1]:9/a"] {
            assert!(is_fetchable(good), "{good}");
        }
        for credentials in ["me", "me:hunter2"] {
            let url = format!("https://{credentials}@example.com/a");
            assert!(has_credentials(&url) && !is_fetchable(&url), "{url}");
        }
        for bad in [
            "http://example.com/a",
            "http://127.0.0.1.example.com/a",
            "http://localhost@example.com/a",
            "http://127.0.0.1:80@example.com/",
            "file:///etc/passwd",
            "https:///a",
            "",
        ] {
            assert!(!is_fetchable(bad), "{bad}");
        }
    }

    #[test]
    fn two_of_one_name_and_unknown_keys_are_refused() {
        let text = toml::to_string(&pack()).unwrap();
        assert_eq!(parse_one(&text), Ok(pack()));
        assert!(matches!(parse_one(&format!("colour = 1\n{text}")), Err(ManifestError::Syntax(_))));
        let two = BTreeMap::from([("pack".to_owned(), vec![pack(), pack()])]);
        assert!(parse(&toml::to_string(&two).unwrap()).unwrap_err().to_string().contains("twice"));
        assert_eq!(parse(&" ".repeat(MANIFEST_OCTETS_MAX + 1)), Err(ManifestError::TooLong));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,400}") {
            let _ = parse(&text);
            let _ = parse_one(&text);
        }

        #[test]
        fn a_name_never_leads_out(name in "[./\\\\a-z0-9_-]{0,12}") {
            if is_name(&name) {
                prop_assert!(is_below(&name) && !name.contains('/'));
            }
        }

        #[test]
        fn what_is_below_stays_below(file in "[./a]{0,12}") {
            if is_below(&file) {
                let joined = Path::new("/x").join(&file);
                prop_assert!(joined.starts_with("/x") && joined.components().all(|c| c != Component::ParentDir));
            }
        }
    }
}
