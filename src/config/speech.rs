//! What an operator decides about hearing and speaking: engines, voices, vocabulary, and access to engines elsewhere.
//!
//! Invariants: an [`EngineChoice`] is written well, though nothing may answer to it (which names there are is known to
//! `speech`, and `callwright check` asks there); a [`Secret`] is printed by nothing. Deliberately absent: engines.

use super::ConfigError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use zeroize::Zeroize;

/// Words of one agent's vocabulary at most: hotwords cost time in every frame.
const VOCABULARY_MAX: usize = 500;
/// Entries of one agent's lexicon at most.
const LEXICON_MAX: usize = 500;
/// Characters of one word or of how it is said.
const SAID_MAX: usize = 100;
/// Characters of an engine's name and of what stands behind its colon, each.
const NAME_MAX: usize = 100;
/// How long a caller may be made to wait for an engine elsewhere, milliseconds.
const DEADLINE_MS: RangeInclusive<u64> = 100..=5000;
/// Octets of a file with a key.
const KEY_FILE_MAX: u64 = 4096;

/// Phones of the CMU dictionary.
const PHONES: [&str; 39] = [
    "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH", "IY", "JH", "K",
    "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH",
];

/// Section `[speech]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Speech {
    /// Recogniser places of each pack, provider and of `pocketsphinx`: callers that may talk at the same moment; further
    /// ones wait. `moonshine` has places for all, and threads for half of the cores.
    pub decoders: usize,
    /// What recognises speech: `auto` (the active model pack, else `moonshine`, else `pocketsphinx`) or an engine by name.
    pub asr: EngineChoice,
    /// What speaks: `auto` or a voice by name.
    pub voice: EngineChoice,
}

impl Default for Speech {
    fn default() -> Self {
        Self { decoders: 2, asr: EngineChoice::default(), voice: EngineChoice::default() }
    }
}

/// Section `[vad]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Vad {
    /// Probability from which sound counts as the beginning of speech, 0.1 to 0.95. Once somebody speaks, 0.7 times this
    /// is enough.
    pub threshold: f64,
}

impl Default for Vad {
    fn default() -> Self {
        Self { threshold: 0.6 }
    }
}

/// An engine as configured: `auto`, `NAME`, or `NAME:DETAIL` (a speaker of a pack, a voice of a provider).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EngineChoice(String);

impl EngineChoice {
    /// Reads a choice.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, detail) = text.split_once(':').map_or((text, None), |(name, detail)| (name, Some(detail)));
        let in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let name_good = name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.len() <= NAME_MAX
            && name.chars().all(in_name);
        let in_detail = |c: char| c.is_ascii_graphic() && c != '/' && c != '\\';
        let detail_good =
            detail.is_none_or(|detail| (1..=NAME_MAX).contains(&detail.len()) && detail.chars().all(in_detail));
        if name_good && detail_good && !(name == "auto" && detail.is_some()) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!("{text:?} is no engine; write \"auto\", a name, or \"NAME:VOICE\""))
    }

    /// Whether the best that is installed is wanted.
    #[must_use]
    pub fn is_auto(&self) -> bool {
        self.0 == "auto"
    }

    /// The engine's name, `auto` included.
    #[must_use]
    pub fn engine(&self) -> &str {
        self.0.split(':').next().unwrap_or(&self.0)
    }

    /// What stands behind the colon: a speaker or a voice.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.0.split_once(':').map(|(_, detail)| detail)
    }

    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for EngineChoice {
    fn default() -> Self {
        Self("auto".to_owned())
    }
}

impl fmt::Display for EngineChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for EngineChoice {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for EngineChoice {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

/// Sections `[providers.…]`: engines elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Providers {
    /// `[providers.deepgram]`.
    pub deepgram: Provider,
    /// `[providers.openai]`, or whatever speaks its protocol.
    pub openai: Provider,
    /// `[providers.elevenlabs]`.
    pub elevenlabs: Provider,
}

impl Providers {
    /// The provider with this name, and the environment variable that may hold its key.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<(&Provider, &'static str)> {
        Some(match name {
            "deepgram" => (&self.deepgram, "DEEPGRAM_API_KEY"),
            "openai" => (&self.openai, "OPENAI_API_KEY"),
            "elevenlabs" => (&self.elevenlabs, "ELEVENLABS_API_KEY"),
            _ => return None,
        })
    }

    /// The key for a provider: of its file, else of its variable as `environment` has it.
    ///
    /// # Errors
    /// [`KeyError`]: the operator's to mend. Never holds a part of the key.
    pub fn key(&self, name: &str, environment: impl Fn(&str) -> Option<String>) -> Result<Secret, KeyError> {
        let Some((provider, variable)) = self.get(name) else {
            return Err(KeyError::Unknown { provider: name.to_owned() });
        };
        let (text, origin) = match &provider.api_key_file {
            Some(path) => (read_key(path)?, path.display().to_string()),
            None => match environment(variable).filter(|value| !value.trim().is_empty()) {
                Some(value) => (value, variable.to_owned()),
                None => return Err(KeyError::Missing { provider: name.to_owned(), variable }),
            },
        };
        // Both are wiped.
        let text = Secret(text);
        let key = Secret(text.0.trim().to_owned());
        // It goes into a header field.
        if key.0.is_empty() || !key.0.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(KeyError::Malformed { origin });
        }
        Ok(key)
    }
}

pub(super) fn read_key(path: &Path) -> Result<String, KeyError> {
    let unreadable = |source| KeyError::Unreadable { path: path.to_path_buf(), source };
    if std::fs::metadata(path).map_err(unreadable)?.len() > KEY_FILE_MAX {
        return Err(KeyError::Malformed { origin: path.display().to_string() });
    }
    std::fs::read_to_string(path).map_err(unreadable)
}

/// Why there is no key. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Nobody gave one.
    #[error(
        "no key for {provider}: put it into a file and name that in [providers.{provider}] api_key_file, or set {variable}"
    )]
    Missing {
        /// Whose.
        provider: String,
        /// Where it is looked for.
        variable: &'static str,
    },
    /// The file cannot be read.
    #[error("the key in {path} cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// What is there can be no key.
    #[error("what {origin} holds is no key: it must be one line of visible ASCII")]
    Malformed {
        /// File or variable.
        origin: String,
    },
    /// There is no such provider.
    #[error("there is no provider {provider}")]
    Unknown {
        /// As asked for.
        provider: String,
    },
}

/// Access to one provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Provider {
    /// File with the key and nothing else; without it the provider's environment variable is read.
    pub api_key_file: Option<PathBuf>,
    /// Where to reach it instead of its public address.
    pub url: Option<String>,
    /// Model that hears, instead of the usual one.
    pub asr_model: Option<String>,
    /// Model that speaks, instead of the usual one.
    pub voice_model: Option<String>,
    /// A turn's words come within this after its end, or this machine's engine hears it; 1500 by default.
    pub asr_deadline_ms: Option<u64>,
    /// A clause's first audio comes within this, or this machine's voice says it; 800 by default.
    pub voice_deadline_ms: Option<u64>,
}

/// A key. Nothing prints it; it is wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The key itself, for the one header field that it goes into.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(key: String) -> Self {
        Self(key)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Phones that are written between slashes; `None` when `said` is a respelling in plain words.
pub fn phones(said: &str) -> Option<impl Iterator<Item = &str>> {
    Some(said.trim().strip_prefix('/')?.strip_suffix('/')?.split_whitespace())
}

/// Checks the sections against each other and against bounds.
pub(super) fn check(vad: &Vad, providers: &Providers, agents: &[super::Agent]) -> Result<(), ConfigError> {
    let value = |key, message: String| Err(ConfigError::Value { key, message });
    if !(0.1..=0.95).contains(&vad.threshold) {
        return value("vad.threshold", "write a probability from 0.1 to 0.95".to_owned());
    }
    for name in ["deepgram", "openai", "elevenlabs"] {
        if let Some(url) = providers.get(name).and_then(|(provider, _)| provider.url.as_deref())
            && let Err(why) = check_url(url)
        {
            return value("providers.url", format!("[providers.{name}]: {why}"));
        }
    }
    for name in ["deepgram", "openai", "elevenlabs"] {
        let Some((provider, _)) = providers.get(name) else { continue };
        let deadlines = [provider.asr_deadline_ms, provider.voice_deadline_ms];
        if deadlines.into_iter().flatten().any(|ms| !DEADLINE_MS.contains(&ms)) {
            let (from, to) = (DEADLINE_MS.start(), DEADLINE_MS.end());
            return value("providers.deadline", format!("[providers.{name}]: write milliseconds from {from} to {to}"));
        }
        let named =
            |model: &String| (1..=NAME_MAX).contains(&model.len()) && model.bytes().all(|b| b.is_ascii_graphic());
        if ![&provider.asr_model, &provider.voice_model].into_iter().flatten().all(named) {
            return value("providers.model", format!("[providers.{name}]: write the model's name as its documents do"));
        }
    }
    for agent in agents {
        if agent.vocabulary.len() > VOCABULARY_MAX {
            return value("agents.vocabulary", format!("{}: at most {VOCABULARY_MAX} words", agent.name));
        }
        if let Some(word) = agent.vocabulary.iter().find(|word| !is_sayable(word)) {
            return value("agents.vocabulary", format!("{}: {word:?} is no word or phrase of letters", agent.name));
        }
        check_lexicon(&agent.name, &agent.lexicon)?;
    }
    Ok(())
}

fn is_sayable(text: &str) -> bool {
    let in_word = |c: char| c.is_alphanumeric() || matches!(c, '\'' | '-' | '.' | '&' | '+' | ' ');
    text.chars().any(char::is_alphanumeric) && text.chars().count() <= SAID_MAX && text.chars().all(in_word)
}

fn check_lexicon(agent: &str, lexicon: &BTreeMap<String, String>) -> Result<(), ConfigError> {
    let value =
        |message: String| Err(ConfigError::Value { key: "agents.lexicon", message: format!("{agent}: {message}") });
    if lexicon.len() > LEXICON_MAX {
        return value(format!("at most {LEXICON_MAX} words"));
    }
    for (word, said) in lexicon {
        if !is_sayable(word) || word.contains(' ') {
            return value(format!("{word:?} is no word"));
        }
        match phones(said) {
            None if is_sayable(said) => {}
            None => return value(format!("{word} = {said:?}: write it in plain words, or as \"/S IY AA R EH M/\"")),
            Some(phones) => {
                let phones: Vec<&str> = phones.collect();
                let plain = |phone: &str| PHONES.contains(&phone.trim_end_matches(['0', '1', '2']));
                if phones.is_empty() || phones.len() > SAID_MAX {
                    return value(format!("{word} = {said:?} has no phones, or too many"));
                }
                if let Some(unknown) = phones.iter().find(|phone| !plain(phone)) {
                    return value(format!("{word} = {said:?}: {unknown} is no phone; there are: {}", PHONES.join(" ")));
                }
            }
        }
    }
    Ok(())
}

/// A key must not cross a foreign network in the clear.
fn check_url(url: &str) -> Result<(), String> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(format!("{url:?} is no URL; write \"https://example.com/…\""));
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        // Not quoted: there may be a password in it.
        return Err("url has a user name in it; keys go into api_key_file".to_owned());
    }
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    if host.is_empty() || !url.chars().all(|c| c.is_ascii_graphic()) {
        return Err(format!("{url:?} is no URL; write \"https://example.com/…\""));
    }
    match scheme {
        "https" | "wss" => Ok(()),
        "http" | "ws" if is_near(host) => Ok(()),
        "http" | "ws" => {
            Err(format!("{url:?} would send the key in the clear to a public host; write https:// or wss://"))
        }
        _ => Err(format!("{url:?}: write https://, wss://, or http:// and ws:// for a host of your own network")),
    }
}

/// This machine or the network that it stands in.
pub(crate) fn is_near(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => address.is_loopback() || address.is_private() || address.is_link_local(),
        Ok(IpAddr::V6(address)) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
        Err(_) => {
            let named =
                host.bytes().any(|octet| octet.is_ascii_alphabetic()) && !host.to_ascii_lowercase().starts_with("0x");
            // A number is an address in disguise (WHATWG URL, section 3.5), and perhaps a public one.
            named && !host.contains('.')
                || [".local", ".lan", ".internal", ".home.arpa"].iter().any(|end| host.ends_with(end))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse("test.toml", text, std::iter::empty()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_best_that_is_installed_is_the_default() {
        let config = parse("").unwrap();
        assert!(config.speech.asr.is_auto() && config.speech.voice.is_auto());
        assert_eq!(config.speech.decoders, 2);
        assert!((config.vad.threshold - 0.6).abs() < f64::EPSILON, "N08");
    }

    #[test]
    fn engines_are_written_as_names_with_details() {
        let config = parse(
            "[speech]\nasr = \"deepgram\"\nvoice = \"elevenlabs:Rachel\"\n[[agents]]\nname = \"max\"\nasr = \"pocketsphinx\"\n\
             voice = \"kokoro-en-v0_19:af_bella\"\nvocabulary = [\"Callwright\", \"AT&T\"]\n\
             [agents.lexicon]\ncrm = \"/S IY AA R EH M/\"\nnginx = \"engine x\"",
        )
        .unwrap();
        assert_eq!((config.speech.voice.engine(), config.speech.voice.detail()), ("elevenlabs", Some("Rachel")));
        let max = &config.agents[0];
        assert_eq!(max.asr.as_ref().map(EngineChoice::as_str), Some("pocketsphinx"));
        assert_eq!(max.voice.as_ref().and_then(EngineChoice::detail), Some("af_bella"));
        assert_eq!(phones(&max.lexicon["crm"]).unwrap().count(), 6);
        assert!(phones(&max.lexicon["nginx"]).is_none());
        for bad in ["", "../x", "a b", "auto:x", "x:", ":x", "x:a/b", "-x", "x:\u{e9}"] {
            assert!(EngineChoice::parse(bad).is_err(), "{bad}");
            assert!(parse(&format!("[speech]\nasr = \"{bad}\"")).is_err(), "{bad}");
        }
    }

    #[test]
    fn words_and_how_they_are_said_are_checked() {
        let agent = |rest: &str| parse(&format!("[[agents]]\nname = \"a\"\n{rest}"));
        for (bad, said) in [
            ("vocabulary = [\"<b>\"]", "<b>"),
            ("vocabulary = [\"\"]", "vocabulary"),
            ("lexicon = { crm = \"/S IY QQ/\" }", "QQ"),
            ("lexicon = { crm = \"//\" }", "phones"),
            ("lexicon = { \"two words\" = \"x\" }", "two words"),
            ("lexicon = { crm = \"?\" }", "plain words"),
        ] {
            let error = agent(bad).unwrap_err();
            assert!(error.contains(said), "{bad}: {error}");
        }
        assert!(agent("lexicon = { crm = \"/S IY1 AA R EH1 M/\" }").is_ok());
        for bad in ["0", "1.5", "nan"] {
            assert!(parse(&format!("[vad]\nthreshold = {bad}")).unwrap_err().contains("vad.threshold"), "{bad}");
        }
    }

    #[test]
    fn keys_come_from_files_or_the_environment_and_are_never_shown() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key");
        std::fs::write(&file, "sk-file-secret\n").unwrap();
        let text = format!("[providers.openai]\napi_key_file = {:?}\nurl = \"http://127.0.0.1:9/v1\"", file);
        let config = parse(&text).unwrap();
        let variables = |name: &str| (name == "DEEPGRAM_API_KEY").then(|| " sk-env-secret ".to_owned());
        let (of_file, of_variable) =
            (config.providers.key("openai", variables).unwrap(), config.providers.key("deepgram", variables).unwrap());
        assert_eq!((of_file.expose(), of_variable.expose()), ("sk-file-secret", "sk-env-secret"));
        assert_eq!(format!("{of_file:?}"), "Secret");
        let missing = config.providers.key("elevenlabs", variables).unwrap_err().to_string();
        assert!(missing.contains("ELEVENLABS_API_KEY") && missing.contains("api_key_file"), "{missing}");
        std::fs::write(&file, "two lines\nsk-file-secret").unwrap();
        let malformed = config.providers.key("openai", variables).unwrap_err().to_string();
        assert!(malformed.contains("one line") && !malformed.contains("secret"), "{malformed}");
        // The whole configuration as `check` and the log would print it.
        for printed in [format!("{config:?}"), toml::to_string(&config).unwrap()] {
            assert!(!printed.contains("-secret"), "{printed}");
        }
    }

    #[test]
    fn a_key_is_not_sent_in_the_clear_to_strangers() {
        let url = |url: &str| parse(&format!("[providers.openai]\nurl = \"{url}\""));
        for good in [
            "https://api.example.com/v1",
            "wss://x.example",
            "http://localhost:1",
            "ws://[::1]:1",
            "http://10.1.2.3",
            "http://192.168.1.9:8000",
        ] {
            assert!(url(good).is_ok(), "{good}: {:?}", url(good).err());
        }
        assert!(!is_near("0X8080808") && is_near("gpu-box"));
        let named = format!("https://{}@x.example", "me:hunter2");
        for (bad, said) in [
            ("http://api.example.com", "in the clear"),
            ("ws://8.8.8.8/", "in the clear"),
            ("http://134744072", "in the clear"),
            (named.as_str(), "user name"),
            ("api.example.com", "no URL"),
            ("ftp://localhost", "https"),
            ("https://", "no URL"),
        ] {
            let error = url(bad).unwrap_err();
            assert!(error.contains(said) && !error.contains("hunter2"), "{bad}: {error}");
        }
    }

    #[test]
    fn models_and_deadlines_of_providers_are_checked() {
        let provider = |rest: &str| parse(&format!("[providers.openai]\n{rest}"));
        let config = provider("asr_model = \"whisper-1\"\nvoice_model = \"tts-1\"\nasr_deadline_ms = 900").unwrap();
        assert_eq!(config.providers.openai.asr_model.as_deref(), Some("whisper-1"));
        assert_eq!(config.providers.openai.asr_deadline_ms, Some(900));
        for (bad, said) in [
            ("asr_deadline_ms = 50", "100 to 5000"),
            ("voice_deadline_ms = 60000", "100 to 5000"),
            ("asr_model = \"\"", "model's name"),
            ("voice_model = \"a b\"", "model's name"),
        ] {
            let error = provider(bad).unwrap_err();
            assert!(error.contains(said), "{bad}: {error}");
        }
    }

    #[test]
    fn sections_of_sections_are_reached_from_the_environment() {
        let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let config = Config::parse(
            "defaults",
            "",
            [
                variable("CALLWRIGHT__PROVIDERS__OPENAI__URL", "http://127.0.0.1:9"),
                variable("CALLWRIGHT__SPEECH__ASR", "openai"),
            ]
            .into_iter(),
        )
        .unwrap();
        assert_eq!(config.providers.openai.url.as_deref(), Some("http://127.0.0.1:9"));
        assert_eq!(config.speech.asr.as_str(), "openai");
    }
}
