//! The configuration tree: one TOML file, unknown keys refused, `CALLWRIGHT__SECTION__KEY` overlays from the environment.
//! Purpose: everything that an operator decides, parsed once into types that cannot hold nonsense.
//! Invariant: a `Config` that exists is usable; every refusal names the key and what to write instead.
//! Deliberately absent: bounds that protect the daemon from its input (`limits`), and reading at run time.

mod current;
mod data;
mod fields;
mod groups;
mod hours;
mod http;
mod manners;
mod networks;
mod numbers;
mod return_call;
mod routes;
mod sip;
mod speech;
mod telnyx;
mod trunks;
mod turn_server;
mod twilio;
mod webrtc;

pub use current::{Current, Reloaded};
pub use data::Data;
pub use fields::{FieldNames, with_fields};
pub use groups::{Group, Strategy};
pub use hours::Hours;
pub use http::Http;
pub use manners::{ConsentChoice, PinFor};
pub use networks::Network;
pub use numbers::{NumberForm, Numbers};
pub use return_call::{ReturnCallRule, ReturnWhen};
pub use routes::{Called, Route};
pub use sip::{Sip, TlsPeer};
pub(crate) use speech::is_near;
pub use speech::{EngineChoice, KeyError, Provider, Providers, Secret, Speech, Vad, phones};
pub use telnyx::Telnyx;
pub use trunks::{
    CallerIdentity, DigestAlgorithm, Extension, Forwarding, PasswordError, RegistrarSection, Trunk, TrunkKind,
    TrunkTransport,
};
pub use turn_server::{TurnAccess, TurnServer};
pub use twilio::Twilio;
pub use webrtc::WebRtc;

use crate::rtp::Codec;
use crate::sip::message::{Scheme, Uri};
use crate::sip::sdp::Srtp;
use callwright_dsp::tone::Signal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

/// Why a configuration was refused. The operator's fault; retrying without a change is useless.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read {path}: {source}; give the file with --config or remove the option to use the defaults")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// TOML grammar, unknown key or wrong type.
    #[error("{origin}: {message}")]
    Parse {
        /// File or environment variable.
        origin: String,
        /// What is wrong, with line and column when it is a file.
        message: String,
    },
    /// A value that parses but cannot work.
    #[error("{key}: {message}")]
    Value {
        /// Dotted key.
        key: &'static str,
        /// What is wrong and what to write.
        message: String,
    },
}

/// The whole configuration.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Signalling.
    pub sip: Sip,
    /// Media addresses.
    pub rtp: Rtp,
    /// Control API.
    pub http: Http,
    /// Calls from browsers.
    pub webrtc: WebRtc,
    /// Where state lives.
    pub data: Data,
    /// Media workers.
    pub media: Media,
    /// Speech engines.
    pub speech: Speech,
    /// Where speech begins and ends.
    pub vad: Vad,
    /// Engines elsewhere.
    pub providers: Providers,
    /// Deployed apps.
    pub apps: Apps,
    /// Call recording.
    pub recording: Recording,
    /// How numbers are written here.
    pub numbers: Numbers,
    /// Telephones that ring together.
    pub groups: Vec<Group>,
    /// Which number reaches which app, first match wins; `*` matches everything.
    pub routes: Vec<Route>,
    /// Agents that answer.
    pub agents: Vec<Agent>,
    /// Carriers and PBXs.
    pub trunks: Vec<Trunk>,
    /// Telephones that register here.
    pub extensions: Vec<Extension>,
    /// How they do.
    pub registrar: RegistrarSection,
    /// Calls by Twilio's media streams.
    pub twilio: Twilio,
    /// Calls by Telnyx's.
    pub telnyx: Telnyx,
}

/// Section `[rtp]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rtp {
    /// Local address for media; by default the address that the kernel uses towards the caller.
    pub address: Option<IpAddr>,
    /// UDP ports, inclusive; each call has a pair, RTP on the even port and RTCP on the next (RFC 3550 section 11).
    pub ports: PortRange,
}

impl Default for Rtp {
    fn default() -> Self {
        Self { address: None, ports: PortRange { first: 16384, last: 32767 } }
    }
}

/// Section `[media]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Media {
    /// Media worker threads.
    pub workers: usize,
    /// CPUs that they are pinned to, in order; empty means the last CPUs.
    pub cpus: Vec<usize>,
    /// Ask for SCHED_FIFO; where it is refused the daemon starts, says so once and exports it.
    pub realtime: bool,
    /// Which codecs are spoken, the preferred one first: `PCMU`, `PCMA`, `G722`, `opus`, `L16`. Empty: all of them, in the
    /// order of whoever calls.
    pub codecs: Codecs,
    /// Encrypted audio: `off`, `answer` (where the caller offers it) or `require`
    /// (callers without it are refused, and calls that we place offer it alone). Keys come from the description or by DTLS, as
    /// the caller has it; `dtls`: by DTLS alone, both ways.
    pub srtp: Srtp,
}

impl Default for Media {
    fn default() -> Self {
        Self { workers: 1, cpus: Vec::new(), realtime: true, codecs: Codecs::default(), srtp: Srtp::Answer }
    }
}

/// Section `[apps]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Apps {
    /// Address that apps are served on.
    pub address: IpAddr,
    /// One TCP port per app, inclusive.
    pub ports: PortRange,
    /// Who starts the process that apps run under.
    pub supervisor: Supervisor,
    /// Networks of this site that apps may send webhooks to, beside public addresses: whoever manages an app chooses where they
    /// go, so nothing inside is reached unless it is named here.
    pub webhook_networks: Vec<Network>,
}

/// Who starts the supervisor of apps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Supervisor {
    /// The daemon; it ends them when it stops, and finds them again after a kill.
    Daemon,
    /// The service callwright-apps; apps go on while the daemon is stopped.
    Unit,
}

impl Default for Apps {
    fn default() -> Self {
        Self {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            ports: PortRange { first: 8100, last: 8199 },
            supervisor: Supervisor::Daemon,
            webhook_networks: Vec::new(),
        }
    }
}

/// Section `[recording]`. Nobody is recorded unless it is enabled here and asked for at the route: in most countries the
/// caller has to be told, or asked, first.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recording {
    /// Record the calls of routes with `record = true`.
    pub enabled: bool,
    /// How audio is kept.
    pub format: RecordingFormat,
    /// Older files are deleted, whether recording is enabled or not.
    pub keep_days: u32,
    /// With less free space nothing is recorded.
    pub min_free_mb: u64,
}

impl Default for Recording {
    fn default() -> Self {
        Self { enabled: false, format: RecordingFormat::Wav, keep_days: 7, min_free_mb: 1024 }
    }
}

/// How recorded audio is kept: stereo, caller left, agent right, 8 kHz.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordingFormat {
    /// PCM 16 bit, 115 MB an hour.
    Wav,
    /// Ogg Opus, at most 27 MB an hour.
    Opus,
}

/// An inclusive port range, written `"16384-32767"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// First port.
    pub first: u16,
    /// Last port, included.
    pub last: u16,
}

impl PortRange {
    /// The ports, in order.
    #[must_use]
    pub fn iter(self) -> RangeInclusive<u16> {
        self.first..=self.last
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl Serialize for PortRange {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PortRange {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let parsed = text
            .split_once('-')
            .and_then(|(a, b)| Some(Self { first: a.trim().parse().ok()?, last: b.trim().parse().ok()? }));
        match parsed {
            Some(range) if range.first > 0 && range.first <= range.last => Ok(range),
            _ => Err(serde::de::Error::custom(format!("{text:?} is no port range; write it as \"16384-32767\""))),
        }
    }
}

/// Codecs by the names that session descriptions give them; `L16` stands for both its rates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Codecs(Vec<Codec>);

impl Codecs {
    /// In the order written; empty when nothing was.
    #[must_use]
    pub fn as_slice(&self) -> &[Codec] {
        &self.0
    }
}

impl Serialize for Codecs {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut names: Vec<&str> = self.0.iter().map(|c| c.encoding_name()).collect();
        names.dedup();
        s.collect_seq(names)
    }
}

impl<'de> Deserialize<'de> for Codecs {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let mut codecs = Vec::new();
        for name in Vec::<String>::deserialize(d)? {
            let mut named = Codec::ALL.into_iter().filter(|c| c.encoding_name().eq_ignore_ascii_case(&name)).peekable();
            if named.peek().is_none() {
                let text = format!("{name:?} is no codec that is spoken here; write PCMU, PCMA, G722, opus or L16");
                return Err(serde::de::Error::custom(text));
            }
            codecs.extend(named.filter(|c| !codecs.contains(c)).collect::<Vec<_>>());
        }
        Ok(Self(codecs))
    }
}

/// Where a bridged call goes. In each, `{number}` stands for the number that was called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BridgeTarget {
    /// A SIP URI.
    Uri(String),
    /// A number at a trunk.
    Trunk {
        /// The trunk.
        name: String,
        /// The number.
        number: String,
    },
    /// Where an extension is registered.
    Extension(String),
}

impl BridgeTarget {
    /// Checks a URI as the operator has written it.
    ///
    /// # Errors
    /// What to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(rest) = text.strip_prefix("trunk:") {
            let (name, number) = rest.split_once(':').unwrap_or((rest, "{number}"));
            if name.is_empty() || number.is_empty() {
                return Err(format!(
                    "{text:?} is no trunk; write \"bridge:trunk:NAME\" or \"bridge:trunk:NAME:NUMBER\""
                ));
            }
            return Ok(Self::Trunk { name: name.to_owned(), number: number.to_owned() });
        }
        if let Some(number) = text.strip_prefix("extension:").filter(|n| !n.is_empty()) {
            return Ok(Self::Extension(number.to_owned()));
        }
        let wrong = || {
            format!(
                "{text:?} is no address to bridge to; write \"bridge:sip:USER@HOST:PORT\", {{number}} in USER for the number called"
            )
        };
        let target = Self::Uri(text.to_owned());
        // A caller chooses the number and must not choose the host with it.
        let elsewhere = text.split_once('@').map_or(text, |(_, host)| host);
        let uri = Uri::parse(target.uri("1").as_bytes()).map_err(|_| wrong())?;
        if uri.param("transport").is_some() && uri.transport().is_none() {
            return Err(format!("{text:?} asks for a transport that is not spoken here; udp, tcp and tls are"));
        }
        if !matches!(uri.scheme, Scheme::Sip | Scheme::Sips) || elsewhere.contains('{') {
            return Err(wrong());
        }
        Ok(target)
    }

    /// The URI for a call to `number`; at a trunk or extension, the number that is called there.
    #[must_use]
    pub fn uri(&self, number: &str) -> String {
        let (Self::Uri(text) | Self::Trunk { number: text, .. } | Self::Extension(text)) = self;
        text.replace("{number}", number)
    }
}

impl fmt::Display for BridgeTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uri(uri) => f.write_str(uri),
            Self::Trunk { name, number } if number == "{number}" => write!(f, "trunk:{name}"),
            Self::Trunk { name, number } => write!(f, "trunk:{name}:{number}"),
            Self::Extension(number) => write!(f, "extension:{number}"),
        }
    }
}

/// What answers a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum App {
    /// Full-path echo.
    Echo,
    /// A talking agent, by name.
    Agent(String),
    /// Somebody else, by SIP.
    Bridge(BridgeTarget),
    /// A test or call-progress tone, until the caller hangs up.
    Tone(Signal),
    /// A WAV file, then we hang up.
    Play(PathBuf),
    /// It rings until the control API answers it, and does what that orders.
    Manual,
    /// The telephones of a group, by its name.
    Group(String),
    /// The caller leaves a message; with this greeting, or the usual one.
    Message(Option<String>),
}

impl fmt::Display for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Echo => f.write_str("echo"),
            Self::Agent(name) => write!(f, "agent:{name}"),
            Self::Bridge(target) => write!(f, "bridge:{target}"),
            Self::Tone(signal) if *signal == Signal::default() => f.write_str("tone"),
            Self::Tone(signal) => write!(f, "tone:{signal}"),
            Self::Play(file) => write!(f, "play:{}", file.display()),
            Self::Manual => f.write_str("manual"),
            Self::Group(name) => write!(f, "group:{name}"),
            Self::Message(None) => f.write_str("message"),
            Self::Message(Some(greeting)) => write!(f, "message:{greeting}"),
        }
    }
}

impl Serialize for App {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for App {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

impl App {
    /// Reads an app as routes name it.
    ///
    /// # Errors
    /// What to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "echo" => Ok(Self::Echo),
            None if text == "manual" => Ok(Self::Manual),
            Some(("group", name)) if !name.is_empty() => Ok(Self::Group(name.to_owned())),
            None if text == "message" => Ok(Self::Message(None)),
            Some(("message", greeting)) if (1..=500).contains(&greeting.trim().len()) => {
                Ok(Self::Message(Some(greeting.trim().to_owned())))
            }
            Some(("agent", name)) if !name.is_empty() => Ok(Self::Agent(name.to_owned())),
            Some(("bridge", uri)) => BridgeTarget::parse(uri).map(Self::Bridge),
            None if text == "tone" => Ok(Self::Tone(Signal::default())),
            Some(("tone", name)) => {
                name.parse().map(Self::Tone).map_err(|e: callwright_dsp::tone::UnknownTone| e.to_string())
            }
            Some(("play", file)) if !file.is_empty() => Ok(Self::Play(PathBuf::from(file))),
            _ => Err(format!(
                "{text:?} is no app; write \"echo\", \"agent:NAME\", \"bridge:URI\", \"tone\", \"tone:NAME\", \"play:FILE\", \"group:NAME\", \"message\" or \"manual\""
            )),
        }
    }
}

/// One entry of `[[agents]]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// Name, as routes refer to it and as it introduces itself.
    pub name: String,
    /// Spoken when a call is answered; by default the agent introduces itself.
    #[serde(default)]
    pub greeting: Option<String>,
    /// What recognises its callers; by default `speech.asr`.
    #[serde(default)]
    pub asr: Option<EngineChoice>,
    /// What it speaks with; by default `speech.voice`.
    #[serde(default)]
    pub voice: Option<EngineChoice>,
    /// Names and terms that its callers use: hotwords of a model pack, likely or further words of the embedded recognisers.
    #[serde(default)]
    pub vocabulary: Vec<String>,
    /// How words are said: a respelling in plain words, or phones of the CMU dictionary between slashes ([`phones`]).
    #[serde(default)]
    pub lexicon: BTreeMap<String, String>,
    /// Silence after which the caller is prompted, seconds.
    #[serde(default = "Agent::idle_s")]
    pub idle_s: u64,
    /// Prompts to a silent caller before the agent hangs up.
    #[serde(default = "Agent::idle_prompts")]
    pub idle_prompts: u8,
    /// Nothing heard for so long after the end of a turn: "One moment." Milliseconds.
    #[serde(default = "Agent::filler_after_ms")]
    pub filler_after_ms: u64,
    /// Longest call; the caller is warned a minute before.
    #[serde(default = "Agent::max_minutes")]
    pub max_minutes: u32,
    /// How long a call that was cut off can be gone on with by calling again; 0: not at all.
    #[serde(default = "Agent::resume_minutes")]
    pub resume_minutes: u32,
    /// What callers of recorded routes are told or asked.
    #[serde(default)]
    pub consent: ConsentChoice,
    /// In these words.
    #[serde(default)]
    pub consent_text: Option<String>,
    /// A file with digits that callers must key or say.
    #[serde(default)]
    pub pin_file: Option<PathBuf>,
    /// Before what they must.
    #[serde(default)]
    pub pin_for: PinFor,
    /// Whether a telephone that has proved which extension it is needs no PIN.
    #[serde(default)]
    pub trust_extensions: bool,
    /// Who is rung for callers that want a person: `sip:USER@HOST`, `extension:NUMBER`, `trunk:NAME:NUMBER` or `group:NAME`.
    #[serde(default)]
    pub operator: Option<String>,
    /// What such a caller is told first, in these words.
    #[serde(default)]
    pub operator_text: Option<String>,
    /// What is said to whoever answers, before the two hear each other.
    #[serde(default)]
    pub operator_announce: Option<String>,
    /// How long it rings there, seconds.
    #[serde(default = "Agent::operator_ringing_s")]
    pub operator_ringing_s: u64,
    /// Whether callers are called when what they have ordered is live, or needs them.
    #[serde(default)]
    pub return_call: ReturnCallRule,
}

impl Agent {
    /// An agent with everything else as in the other sections.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            greeting: None,
            asr: None,
            voice: None,
            vocabulary: Vec::new(),
            lexicon: BTreeMap::new(),
            idle_s: Self::idle_s(),
            idle_prompts: Self::idle_prompts(),
            filler_after_ms: Self::filler_after_ms(),
            max_minutes: Self::max_minutes(),
            resume_minutes: Self::resume_minutes(),
            consent: ConsentChoice::None,
            consent_text: None,
            pin_file: None,
            pin_for: PinFor::Calls,
            trust_extensions: false,
            operator: None,
            operator_text: None,
            operator_announce: None,
            operator_ringing_s: Self::operator_ringing_s(),
            return_call: ReturnCallRule::default(),
        }
    }

    const fn idle_s() -> u64 {
        15
    }

    const fn idle_prompts() -> u8 {
        2
    }

    const fn filler_after_ms() -> u64 {
        1500
    }

    const fn max_minutes() -> u32 {
        60
    }

    const fn resume_minutes() -> u32 {
        10
    }

    const fn operator_ringing_s() -> u64 {
        30
    }

    /// Refuses what would leave callers in silence, or talk at them.
    fn check(&self) -> Result<(), ConfigError> {
        let value = |key, message: &str| Err(ConfigError::Value { key, message: format!("{}: {message}", self.name) });
        match self {
            _ if !(3..=300).contains(&self.idle_s) => value("agents.idle_s", "write seconds from 3 to 300"),
            _ if self.idle_prompts > 10 => value("agents.idle_prompts", "write a number from 0 to 10"),
            _ if !(500..=10_000).contains(&self.filler_after_ms) => {
                value("agents.filler_after_ms", "write milliseconds from 500 to 10000")
            }
            _ if !(1..=240).contains(&self.max_minutes) => value("agents.max_minutes", "write minutes from 1 to 240"),
            _ if self.resume_minutes > 1440 => value("agents.resume_minutes", "write minutes from 0 to 1440"),
            _ if self.consent_text.as_ref().is_some_and(|text| text.trim().is_empty() || text.len() > 500) => {
                value("agents.consent_text", "write what callers are told, in at most 500 characters")
            }
            _ if !(1..=crate::limits::RINGING_MAX.as_secs()).contains(&self.operator_ringing_s) => {
                value("agents.operator_ringing_s", "write seconds from 1 to 180")
            }
            _ if [&self.operator_text, &self.operator_announce]
                .into_iter()
                .flatten()
                .any(|text| text.trim().is_empty() || text.len() > 500) =>
            {
                value("agents.operator_text, operator_announce", "write what is said, in at most 500 characters")
            }
            _ if self.consent_text.is_some() && self.consent == ConsentChoice::None => {
                value("agents.consent_text", "it is never said: write consent = \"announce\" or \"ask\" as well")
            }
            _ => fields::check_places(&[&self.greeting, &self.operator_text, &self.operator_announce])
                .or_else(|why| value("agents.greeting, operator_text, operator_announce", &why)),
        }
    }
}

impl Config {
    /// Reads `path` (or the defaults) and lays `CALLWRIGHT__SECTION__KEY` variables over it.
    ///
    /// # Errors
    /// [`ConfigError`]: the operator's to mend.
    pub fn load(path: Option<&Path>, environment: impl Iterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let (origin, text) = match path {
            None => ("defaults".to_owned(), String::new()),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|source| ConfigError::Read { path: path.to_path_buf(), source })?;
                (path.display().to_string(), text)
            }
        };
        Self::parse(&origin, &text, environment)
    }

    fn parse(
        origin: &str,
        text: &str,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let fault = |message: String| ConfigError::Parse { origin: origin.to_owned(), message };
        // Parsed typed first: its messages carry line and column.
        toml::from_str::<Self>(text).map_err(|e| fault(placed(text, &e)))?;
        let mut table: toml::Table = text.parse().map_err(|e: toml::de::Error| fault(placed(text, &e)))?;
        let overlays: BTreeMap<String, String> =
            environment.filter(|(name, _)| name.starts_with("CALLWRIGHT__")).collect();
        for (name, value) in &overlays {
            overlay(&mut table, name, value)?;
        }
        let origin_of_overlay = || format!("{origin} with {}", overlays.keys().cloned().collect::<Vec<_>>().join(", "));
        let config: Self = table
            .try_into()
            .map_err(|e: toml::de::Error| ConfigError::Parse { origin: origin_of_overlay(), message: e.to_string() })?;
        config.checked()
    }

    fn checked(mut self) -> Result<Self, ConfigError> {
        let value = |key, message: String| Err(ConfigError::Value { key, message });
        self.http.check()?;
        self.webrtc.check(self.rtp.ports.iter())?;
        if self.media.workers == 0 || self.media.workers > 64 {
            return value("media.workers", "write a number from 1 to 64".to_owned());
        }
        self.sip.check()?;
        if self.sip.max_calls > self.media.workers * crate::limits::CALLS_PER_WORKER_MAX {
            return value("sip.max_calls", format!("at most {} per media worker", crate::limits::CALLS_PER_WORKER_MAX));
        }
        if self.speech.decoders > 64 {
            return value(
                "speech.decoders",
                "each recogniser takes up to 91 MB; write a number from 0 to 64".to_owned(),
            );
        }
        speech::check(&self.vad, &self.providers, &self.agents)?;
        self.agents.iter().try_for_each(Agent::check)?;
        if !(1..=3650).contains(&self.recording.keep_days) {
            return value("recording.keep_days", "write a number of days from 1 to 3650".to_owned());
        }
        self.data.check(self.recording.keep_days)?;
        if self.agents.is_empty() {
            self.agents.push(Agent::named("grace"));
        }
        let is_agent = |name: &str| self.agents.iter().any(|a| a.name == name);
        trunks::check(&self.trunks, &self.extensions, &self.registrar, is_agent)?;
        self.telnyx.check()?;
        self.twilio.check(self.trunks.iter().any(|trunk| trunk.kind == TrunkKind::Twilio))?;
        if self.routes.is_empty() {
            self.routes.push(Route::to("echo", App::Echo));
            self.routes.push(Route::to("*", App::Agent(self.agents[0].name.clone())));
        }
        // An extension is called by its number, unless a route says otherwise.
        for extension in &self.extensions {
            if !self.routes.iter().any(|r| r.number == extension.number) {
                let place = self.routes.iter().position(|r| r.number == "*").unwrap_or(self.routes.len());
                let app = App::Bridge(BridgeTarget::Extension(extension.number.clone()));
                let fallback = extension.agent.clone().map(App::Agent);
                self.routes.insert(place, Route { fallback, ..Route::to(extension.number.clone(), app) });
            }
        }
        // So is a page.
        for number in &self.webrtc.phones {
            if !self.routes.iter().any(|r| r.number == *number) {
                let place = self.routes.iter().position(|r| r.number == "*").unwrap_or(self.routes.len());
                let app = App::Bridge(BridgeTarget::Extension(number.clone()));
                self.routes.insert(place, Route::to(number.clone(), app));
            }
        }
        self.numbers.check()?;
        self.groups.iter().try_for_each(Group::check)?;
        for to in self.agents.iter().filter_map(|agent| agent.operator.as_ref()) {
            routes::check_operator(to, &self)
                .map_err(|why| ConfigError::Value { key: "agents.operator", message: why })?;
        }
        self.agents.iter().try_for_each(|agent| agent.return_call.check(&agent.name, &self))?;
        self.routes.iter().try_for_each(|route| route.check(&self))?;
        Ok(self)
    }

    /// Whether a call by `route` is recorded.
    #[must_use]
    pub fn records(&self, route: &Route) -> bool {
        self.recording.enabled && route.record
    }

    /// Whether callers of that agent are asked before they are recorded.
    #[must_use]
    pub fn asks_consent(&self, agent: &str) -> bool {
        self.agents.iter().any(|a| a.name == agent && a.consent == ConsentChoice::Ask)
    }
}

/// Where a fault is and what it is. The line itself is not shown: it may hold a password.
fn placed(text: &str, error: &toml::de::Error) -> String {
    let Some(span) = error.span() else { return error.message().to_owned() };
    let before = text.get(..span.start).unwrap_or(text);
    let (line, column) =
        (before.matches('\n').count() + 1, before.rsplit('\n').next().unwrap_or_default().chars().count() + 1);
    let written = text.lines().nth(line - 1).unwrap_or_default();
    let key = written.split_once('=').map_or("", |(key, _)| key.trim());
    // The message itself may repeat a value of the wrong type, such as a number for a password.
    if ["password", "token", "secret"].iter().any(|name| key.contains(name))
        && !error.message().contains("unknown field")
    {
        return format!("line {line}: what {key} holds is no text; write it in quotes on one line");
    }
    format!("line {line}, column {column}: {}", error.message())
}

/// Lays one variable over the tree; values are TOML where they parse as such, else strings.
fn overlay(table: &mut toml::Table, name: &str, value: &str) -> Result<(), ConfigError> {
    let path: Vec<String> = name["CALLWRIGHT__".len()..].split("__").map(str::to_lowercase).collect();
    let (key, sections) = match path.as_slice() {
        [sections @ .., key] if (1..=2).contains(&sections.len()) => (key, sections),
        _ => {
            return Err(ConfigError::Parse {
                origin: name.to_owned(),
                message: "write it as CALLWRIGHT__SECTION__KEY, for instance CALLWRIGHT__HTTP__LISTEN".to_owned(),
            });
        }
    };
    let parsed = format!("v = {value}")
        .parse::<toml::Table>()
        .ok()
        .and_then(|mut t| t.remove("v"))
        .unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let mut inner = table;
    for section in sections {
        let entry = inner.entry(section.clone()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        let toml::Value::Table(deeper) = entry else {
            return Err(ConfigError::Parse { origin: name.to_owned(), message: format!("[{section}] is no section") });
        };
        inner = deeper;
    }
    inner.insert(key.clone(), parsed);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, env: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::parse("test.toml", text, env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
    }

    #[test]
    fn defaults_route_echo_and_everything_else_to_grace() {
        let config = parse("", &[]).unwrap();
        assert_eq!(config.route("echo"), Some(&App::Echo));
        assert_eq!(config.route("300"), Some(&App::Agent("grace".into())));
        assert_eq!(config.sip.udp.port(), 5060);
        assert_eq!((config.rtp.ports.first, config.rtp.ports.last), (16384, 32767));
        assert_eq!(config.http.listen.to_string(), "127.0.0.1:8080");
    }

    #[test]
    fn unknown_keys_are_refused_with_their_place() {
        let error = parse("[sip]\nupd = \"127.0.0.1:5060\"\n", &[]).unwrap_err().to_string();
        assert!(error.contains("upd") && error.contains("line 2"), "{error}");
    }

    #[test]
    fn environment_lies_over_the_file() {
        let config = parse(
            "[http]\nlisten = \"127.0.0.1:1\"",
            &[("CALLWRIGHT__HTTP__LISTEN", "127.0.0.1:9"), ("CALLWRIGHT__MEDIA__WORKERS", "2"), ("PATH", "x")],
        )
        .unwrap();
        assert_eq!((config.http.listen.port(), config.media.workers), (9, 2));
        let error = parse("", &[("CALLWRIGHT__HTTP__LISTNE", "x")]).unwrap_err().to_string();
        assert!(error.contains("CALLWRIGHT__HTTP__LISTNE"), "{error}");
    }

    #[test]
    fn a_route_to_nobody_is_refused() {
        let error = parse("[[routes]]\nmatch = \"*\"\napp = \"agent:max\"", &[]).unwrap_err().to_string();
        assert!(error.contains("agent:max"), "{error}");
        assert!(parse("[[routes]]\nmatch = \"*\"\napp = \"fax\"", &[]).is_err());
    }

    #[test]
    fn a_bridge_goes_where_a_uri_says() {
        let route = |app: &str| parse(&format!("[[routes]]\nmatch = \"*\"\napp = \"{app}\""), &[]);
        let config = route("bridge:sip:{number}@sbc.example:5090;user=phone").unwrap();
        let Some(App::Bridge(target)) = config.route("300") else { panic!("it bridges") };
        assert_eq!(target.uri("300"), "sip:300@sbc.example:5090;user=phone");
        assert_eq!(config.route("300").unwrap().to_string(), "bridge:sip:{number}@sbc.example:5090;user=phone");
        assert!(route("bridge:sip:uas@[::1]:5090").is_ok() && route("bridge:sip:10.0.0.1").is_ok());
        for (bad, said) in [
            ("bridge:", "sip:USER@HOST"),
            ("bridge:tel:+123", "sip:USER@HOST"),
            ("bridge:sip:a@{number}", "sip:USER@HOST"),
            ("bridge:sip:a@h;x={number", "sip:USER@HOST"),
            ("bridge:sips:a@h;transport=udp", "tls"),
            ("bridge:sip:a@h;transport=SCTP", "tls"),
        ] {
            let error = route(bad).unwrap_err().to_string();
            assert!(error.contains(said), "{bad}: {error}");
        }
    }

    #[test]
    fn nobody_is_recorded_unless_both_places_say_so() {
        let routes =
            "[[routes]]\nmatch = \"1\"\napp = \"echo\"\nrecord = true\n[[routes]]\nmatch = \"*\"\napp = \"echo\"";
        let records = |text: &str| {
            let config = parse(text, &[]).unwrap();
            let records = |number| config.records(config.find_route(&Called::number(number)).unwrap());
            (records("1"), records("2"))
        };
        assert_eq!(records(""), (false, false));
        assert_eq!(records("[recording]\nenabled = true"), (false, false));
        assert_eq!(records(routes), (false, false));
        assert_eq!(records(&format!("[recording]\nenabled = true\nformat = \"opus\"\n{routes}")), (true, false));
        let config = parse("", &[("CALLWRIGHT__RECORDING__ENABLED", "true")]).unwrap();
        assert!(config.recording.enabled);
        for bad in ["keep_days = 0", "keep_days = 9999", "format = \"mp3\"", "min_free_mb = -1"] {
            assert!(parse(&format!("[recording]\n{bad}"), &[]).is_err(), "{bad}");
        }
    }

    #[test]
    fn tones_and_files_are_played() {
        let route = |app: &str| parse(&format!("[[routes]]\nmatch = \"*\"\napp = \"{app}\""), &[]);
        for app in ["tone", "tone:1004", "tone:gb-busy", "play:/srv/closed.wav", "play:a:b.wav"] {
            assert_eq!(route(app).unwrap().route("1").unwrap().to_string(), app);
        }
        assert_eq!(route("tone:440").unwrap().route("1"), Some(&App::Tone(Signal::default())));
        for (bad, said) in [("play:", "play:FILE"), ("tone:", "ringback"), ("tone:5000", "3600"), ("tune", "tone:NAME")]
        {
            let error = route(bad).unwrap_err().to_string();
            assert!(error.contains(said), "{bad}: {error}");
        }
    }

    #[test]
    fn codecs_are_chosen_by_name() {
        let config = parse("[media]\ncodecs = [\"PCMA\", \"Opus\", \"L16\", \"pcma\"]", &[]).unwrap();
        assert_eq!(config.media.codecs.as_slice(), [Codec::Pcma, Codec::Opus, Codec::L16At16k, Codec::L16At8k]);
        assert_eq!(parse("", &[]).unwrap().media.codecs.as_slice(), []);
        let error = parse("[media]\ncodecs = [\"G729\"]", &[]).unwrap_err().to_string();
        assert!(error.contains("G729") && error.contains("opus"), "{error}");
        let written = toml::to_string(&config).unwrap();
        assert!(written.contains("codecs = [\"PCMA\", \"opus\", \"L16\"]"), "{written}");
    }

    #[test]
    fn an_agents_manners_are_checked() {
        let agent = |keys: &str| parse(&format!("[[agents]]\nname = \"grace\"\n{keys}"), &[]);
        for bad in [
            "idle_s = 1",
            "idle_prompts = 11",
            "filler_after_ms = 100",
            "max_minutes = 0",
            "max_minutes = 300",
            "resume_minutes = 2000",
            "consent = \"maybe\"",
            "consent_text = \"May I?\"",
            "consent = \"ask\"\nconsent_text = \" \"",
        ] {
            let error = agent(bad).unwrap_err().to_string();
            assert!(error.contains(bad.split(' ').next().unwrap()) || error.contains("maybe"), "{bad}: {error}");
        }
        let config = agent("consent = \"ask\"\nconsent_text = \"May I record this?\"\nidle_s = 20").unwrap();
        assert_eq!((config.agents[0].consent, config.agents[0].idle_s), (ConsentChoice::Ask, 20));
        assert_eq!(config.agents[0].max_minutes, 60);
    }

    #[test]
    fn ranges_are_checked() {
        for bad in ["\"9-1\"", "\"0-5\"", "\"x\"", "7"] {
            assert!(parse(&format!("[rtp]\nports = {bad}"), &[]).is_err(), "{bad}");
        }
    }
}
