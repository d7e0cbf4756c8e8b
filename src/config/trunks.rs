//! `[[trunks]]`, `[[extensions]]` and `[registrar]`: who else is on the line, and how either side proves it. Purpose: one
//! entry per carrier, PBX or telephone. Invariants: a password is read when the daemon starts and printed by nothing;
//! what is written here can work, or is refused with what to write instead. Deliberately absent: what becomes of calls
//! (`[[routes]]`).

use super::{Codecs, ConfigError, NumberForm, Secret};
use crate::sip::auth::Algorithm;
use crate::sip::message::{Scheme, Uri};
use crate::sip::peer::Network;
use crate::sip::sdp::Srtp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Octets of a file with a password.
const PASSWORD_FILE_MAX: u64 = 4096;
/// Trunks, and extensions; each is looked through for every new call.
const ENTRIES_MAX: usize = 1000;

/// What carries the messages of a trunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrunkTransport {
    /// Datagrams.
    #[default]
    Udp,
    /// A connection.
    Tcp,
    /// An encrypted connection.
    Tls,
}

/// How a trunk is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrunkKind {
    /// By SIP.
    #[default]
    Sip,
    /// By Twilio's webhooks, media streams and REST API, with the account of `[twilio]`.
    Twilio,
}

/// How a trunk is told who calls (RFC 3325).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallerIdentity {
    /// By From; whoever is withheld besides by P-Asserted-Identity.
    #[default]
    From,
    /// By P-Asserted-Identity as well: it trusts us.
    Asserted,
    /// By P-Preferred-Identity as well: it asserts what it finds right.
    Preferred,
}

/// How a trunk is told that a call from outside is passed on to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Forwarding {
    /// Not at all.
    #[default]
    None,
    /// By Diversion (RFC 5806).
    Diversion,
    /// By History-Info (RFC 7044).
    HistoryInfo,
    /// By either.
    Both,
}

/// One entry of `[[trunks]]`: a carrier, or a PBX that we are a telephone of.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trunk {
    /// Name, for routes, logs and the control API.
    pub name: String,
    /// `sip`, or `twilio`: that one has no host, and `from_user` is the number that it shows.
    #[serde(default)]
    pub kind: TrunkKind,
    /// Its domain or address: the host of numbers called there, and of the registrar.
    #[serde(default)]
    pub host: String,
    /// Port, where it is not the usual one.
    #[serde(default)]
    pub port: Option<u16>,
    /// `HOST` or `HOST:PORT` that requests are sent to instead.
    #[serde(default)]
    pub proxy: Option<String>,
    /// `udp`, `tcp` or `tls`.
    #[serde(default)]
    pub transport: TrunkTransport,
    /// Register there, so that it can call us.
    #[serde(default)]
    pub register: bool,
    /// How long a registration is asked for, seconds.
    #[serde(default = "Trunk::register_s")]
    pub register_s: u64,
    /// Our number or name there.
    #[serde(default)]
    pub username: Option<String>,
    /// User name of the password; by default `username`.
    #[serde(default)]
    pub auth_username: Option<String>,
    /// The password itself; better: a file that only the daemon may read.
    #[serde(default, deserialize_with = "read_secret", skip_serializing)]
    pub password: Option<Secret>,
    /// File with the password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Environment variable with the password.
    #[serde(default)]
    pub password_env: Option<String>,
    /// The only realm in which the password is used; by default whichever the trunk names.
    #[serde(default)]
    pub realm: Option<String>,
    /// User of From in calls that we place; by default who is calling.
    #[serde(default)]
    pub from_user: Option<String>,
    /// Host of From in calls that we place; by default `host`.
    #[serde(default)]
    pub from_domain: Option<String>,
    /// Networks that its calls come from. Where `host` is found is always one of them.
    #[serde(default)]
    pub cidr: Vec<Network>,
    /// Its calls must prove `username` and password to us besides.
    #[serde(default)]
    pub inbound_auth: bool,
    /// Numbers that are ours there.
    #[serde(default)]
    pub dids: Vec<String>,
    /// How numbers are written for it: `e164`, `international`, `national` or `bare`; as they come unless said.
    #[serde(default)]
    pub number_form: Option<NumberForm>,
    /// Calls at once, both directions; by default as many as the daemon takes.
    #[serde(default)]
    pub max_calls: Option<usize>,
    /// Calls per second that we place there.
    #[serde(default)]
    pub calls_per_second: Option<f64>,
    /// Our address as it sees us; by default `sip.public_address`, or what it tells us.
    #[serde(default)]
    pub public_address: Option<IpAddr>,
    /// Encrypted audio; by default as in `[media]`.
    #[serde(default)]
    pub srtp: Option<Srtp>,
    /// Codecs; by default as in `[media]`.
    #[serde(default)]
    pub codecs: Codecs,
    /// Seconds between two questions whether it is there (OPTIONS); 0: it is not asked.
    #[serde(default = "Trunk::options_s")]
    pub options_s: u64,
    /// A call that the trunk says is taken elsewhere (300–302) goes there, as long as that is an address of the trunk itself.
    #[serde(default)]
    pub follow_redirects: bool,
    /// How it is told who calls: `from`, `asserted` or `preferred`.
    #[serde(default)]
    pub identity: CallerIdentity,
    /// Its P-Asserted-Identity is believed.
    #[serde(default)]
    pub trusts_identity: bool,
    /// How it is told that a call from outside is passed on: `none`, `diversion`, `history-info` or `both`.
    #[serde(default)]
    pub forwarded: Forwarding,
}

impl Trunk {
    const fn register_s() -> u64 {
        600
    }

    const fn options_s() -> u64 {
        60
    }

    /// User name of the password.
    #[must_use]
    pub fn login_name(&self) -> Option<&str> {
        self.auth_username.as_deref().or(self.username.as_deref())
    }

    /// Whether it makes no sense without a password.
    #[must_use]
    pub fn needs_password(&self) -> bool {
        self.register || self.inbound_auth || self.auth_username.is_some()
    }

    /// The password; `None`: it has none and needs none.
    ///
    /// # Errors
    /// [`PasswordError`]: the operator's to mend.
    pub fn password(&self, environment: impl Fn(&str) -> Option<String>) -> Result<Option<Secret>, PasswordError> {
        let owner = Owner { kind: "trunk", name: &self.name };
        let found =
            owner.find(&self.password, self.password_file.as_deref(), self.password_env.as_deref(), environment)?;
        if found.is_none() && self.needs_password() {
            return Err(owner.missing());
        }
        Ok(found)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let value = |key, message: &str| Err(ConfigError::Value { key, message: format!("{}: {message}", self.name) });
        let is_user = |user: &String| is_user(user);
        match self {
            _ if !is_name(&self.name) => {
                value("trunks.name", "write letters, digits, dots, hyphens and underscores, at most 64")
            }
            _ if self.kind == TrunkKind::Twilio => match self {
                _ if !self.host.is_empty() || self.register || self.proxy.is_some() || self.inbound_auth => value(
                    "trunks.kind",
                    "a trunk of kind \"twilio\" is not spoken to by SIP: leave host, proxy, register and inbound_auth out",
                ),
                _ if self.max_calls == Some(0) => value("trunks.max_calls", "write a number from 1, or leave it out"),
                _ if !self.from_user.iter().all(is_user) => {
                    value("trunks.from_user", "write the number that is shown, one of the account's: +15551234567")
                }
                _ => Ok(()),
            },
            _ if !is_host(&self.host) => value("trunks.host", "write a host name or an address, the port into `port`"),
            _ if self.port == Some(0) => value("trunks.port", "write a port from 1 to 65535"),
            _ if self.proxy.as_ref().is_some_and(|p| Uri::parse(format!("sip:{p}").as_bytes()).is_err()) => {
                value("trunks.proxy", "write HOST or HOST:PORT")
            }
            _ if (self.register || self.inbound_auth) && self.login_name().is_none() => value(
                "trunks.username",
                "it is needed to register or authenticate; write the number or name given to you",
            ),
            _ if self.register && self.username.is_none() => {
                value("trunks.username", "write the number or name that is registered; auth_username is the password's")
            }
            _ if !self.username.iter().chain(&self.from_user).all(is_user) => {
                value("trunks.username", "write the user part only, as in sip:USER@HOST")
            }
            _ if self.from_domain.as_ref().is_some_and(|d| !is_host(d)) => {
                value("trunks.from_domain", "write a host name or an address")
            }
            _ if !(60..=86_400).contains(&self.register_s) => {
                value("trunks.register_s", "write seconds from 60 to 86400")
            }
            _ if self.options_s != 0 && !(5..=3600).contains(&self.options_s) => {
                value("trunks.options_s", "write seconds from 5 to 3600, or 0")
            }
            _ if self.max_calls == Some(0) => value("trunks.max_calls", "write a number from 1, or leave it out"),
            _ if self.calls_per_second.is_some_and(|n| !(0.01..=1000.0).contains(&n)) => {
                value("trunks.calls_per_second", "write a number from 0.01 to 1000")
            }
            _ => Ok(()),
        }
    }
}

/// One entry of `[[extensions]]`: a telephone that registers here.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extension {
    /// Its number.
    pub number: String,
    /// User name of the password; by default the number.
    #[serde(default)]
    pub username: Option<String>,
    /// The password itself; better: a file that only the daemon may read.
    #[serde(default, deserialize_with = "read_secret", skip_serializing)]
    pub password: Option<Secret>,
    /// File with the password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Environment variable with the password.
    #[serde(default)]
    pub password_env: Option<String>,
    /// Networks that it may be in; by default this machine and attached private networks.
    #[serde(default)]
    pub cidr: Vec<Network>,
    /// The agent that answers while no telephone is registered; by default nobody does.
    #[serde(default)]
    pub agent: Option<String>,
}

impl Extension {
    /// User name of the password.
    #[must_use]
    pub fn login_name(&self) -> &str {
        self.username.as_deref().unwrap_or(&self.number)
    }

    /// The password.
    ///
    /// # Errors
    /// [`PasswordError`]: the operator's to mend.
    pub fn password(&self, environment: impl Fn(&str) -> Option<String>) -> Result<Secret, PasswordError> {
        let owner = Owner { kind: "extension", name: &self.number };
        owner
            .find(&self.password, self.password_file.as_deref(), self.password_env.as_deref(), environment)?
            .ok_or_else(|| owner.missing())
    }
}

/// Section `[registrar]`: how telephones register here.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegistrarSection {
    /// Realm that telephones are asked for.
    pub realm: String,
    /// Digest algorithms, the preferred one first: `SHA-512-256`, `SHA-256`, `MD5`. Most telephones know MD5 only.
    pub algorithms: Vec<DigestAlgorithm>,
    /// Shortest registration, seconds.
    pub min_s: u64,
    /// Longest registration, seconds.
    pub max_s: u64,
    /// Neighbours (attached private networks) are heard without proof although trunks or extensions are configured.
    pub open: bool,
}

impl Default for RegistrarSection {
    fn default() -> Self {
        let algorithms = vec![DigestAlgorithm(Algorithm::Sha256), DigestAlgorithm(Algorithm::Md5)];
        Self { realm: "callwright".to_owned(), algorithms, min_s: 60, max_s: 600, open: false }
    }
}

/// A digest algorithm by its name in RFC 8760.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DigestAlgorithm(pub Algorithm);

impl Serialize for DigestAlgorithm {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.0.token())
    }
}

impl<'de> Deserialize<'de> for DigestAlgorithm {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let known = Algorithm::parse(text.as_bytes()).filter(|a| !a.is_session());
        let wrong = || serde::de::Error::custom(format!("{text:?} is no algorithm; write SHA-512-256, SHA-256 or MD5"));
        known.map(Self).ok_or_else(wrong)
    }
}

/// Why there is no password. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Nobody gave one.
    #[error("no password for {kind} {name}: write password_file, password_env or password into its entry")]
    Missing {
        /// `trunk` or `extension`.
        kind: &'static str,
        /// Which.
        name: String,
    },
    /// The variable is not set.
    #[error("no password for {kind} {name}: the environment variable {variable} is not set")]
    Unset {
        /// `trunk` or `extension`.
        kind: &'static str,
        /// Which.
        name: String,
        /// Its `password_env`.
        variable: String,
    },
    /// The file cannot be read.
    #[error("the password of {kind} {name} cannot be read from {path}: {source}")]
    Unreadable {
        /// `trunk` or `extension`.
        kind: &'static str,
        /// Which.
        name: String,
        /// Its `password_file`.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// What is there can be no password.
    #[error("what {kind} {name} has for a password is none: it must be one line of text")]
    Malformed {
        /// `trunk` or `extension`.
        kind: &'static str,
        /// Which.
        name: String,
    },
}

struct Owner<'a> {
    kind: &'static str,
    name: &'a str,
}

impl Owner<'_> {
    fn find(
        &self,
        written: &Option<Secret>,
        file: Option<&Path>,
        variable: Option<&str>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Secret>, PasswordError> {
        let (kind, name) = (self.kind, self.name.to_owned());
        let text = match (file, variable, written) {
            (Some(path), ..) => {
                let unreadable =
                    |source| PasswordError::Unreadable { kind, name: name.clone(), path: path.to_path_buf(), source };
                if std::fs::metadata(path).map_err(unreadable)?.len() > PASSWORD_FILE_MAX {
                    return Err(PasswordError::Malformed { kind, name });
                }
                Secret::from(std::fs::read_to_string(path).map_err(unreadable)?)
            }
            (None, Some(variable), _) => match environment(variable).filter(|v| !v.is_empty()) {
                Some(value) => Secret::from(value),
                None => return Err(PasswordError::Unset { kind, name, variable: variable.to_owned() }),
            },
            (None, None, Some(secret)) => secret.clone(),
            (None, None, None) => return Ok(None),
        };
        // The file's last line end is not part of it; blanks may be.
        let secret = Secret::from(text.expose().trim_end_matches(['\r', '\n']).to_owned());
        if secret.expose().is_empty() || secret.expose().chars().any(char::is_control) {
            return Err(PasswordError::Malformed { kind, name });
        }
        Ok(Some(secret))
    }

    fn missing(&self) -> PasswordError {
        PasswordError::Missing { kind: self.kind, name: self.name.to_owned() }
    }
}

/// Refuses what cannot work together.
pub(super) fn check(
    trunks: &[Trunk],
    extensions: &[Extension],
    registrar: &RegistrarSection,
    is_agent: impl Fn(&str) -> bool,
) -> Result<(), ConfigError> {
    let value = |key, message: String| Err(ConfigError::Value { key, message });
    if trunks.len() > ENTRIES_MAX || extensions.len() > ENTRIES_MAX {
        return value("trunks", format!("at most {ENTRIES_MAX} trunks and as many extensions"));
    }
    trunks.iter().try_for_each(Trunk::check)?;
    let mut names = BTreeSet::new();
    if let Some(twice) = trunks.iter().find(|t| !names.insert(&t.name)) {
        return value("trunks.name", format!("{} is there twice", twice.name));
    }
    let (mut numbers, mut users) = (BTreeSet::new(), BTreeSet::new());
    for extension in extensions {
        let number = &extension.number;
        if !is_user(number) || number.len() > 64 {
            return value(
                "extensions.number",
                format!("{number:?} is no number; write digits or a name, such as \"200\""),
            );
        }
        if !numbers.insert(number) || !users.insert(extension.login_name()) {
            return value("extensions.number", format!("{number} or its username is there twice"));
        }
        if let Some(agent) = extension.agent.as_deref().filter(|a| !is_agent(a)) {
            return value("extensions.agent", format!("{agent} is not among [[agents]]; add it or correct the name"));
        }
    }
    if registrar.realm.is_empty() || registrar.realm.chars().any(|c| c.is_control() || matches!(c, '"' | '\\')) {
        return value("registrar.realm", "write a name without quotes, such as \"callwright\"".to_owned());
    }
    if registrar.algorithms.is_empty() {
        return value("registrar.algorithms", "write at least one of SHA-512-256, SHA-256, MD5".to_owned());
    }
    if !(10..=86_400).contains(&registrar.min_s) || !(registrar.min_s..=86_400).contains(&registrar.max_s) {
        return value("registrar.min_s", "write seconds from 10, and max_s from there to 86400".to_owned());
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b))
}

/// A host without port; IPv6 in brackets or without.
fn is_host(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if bare.parse::<std::net::Ipv6Addr>().is_ok() {
        return true;
    }
    Uri::parse(format!("sip:{host}").as_bytes())
        .is_ok_and(|u| u.scheme == Scheme::Sip && u.host == host && u.port.is_none())
}

/// The user part of a URI, whole.
fn is_user(user: &str) -> bool {
    let uri = format!("sip:{user}@host");
    Uri::parse(uri.as_bytes())
        .is_ok_and(|u| u.user.as_deref() == Some(user.as_bytes()) && u.host == "host" && u.tail.is_empty())
}

fn read_secret<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(d)?.map(Secret::from))
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse("test.toml", text, std::iter::empty())
    }

    fn trunk(more: &str) -> Result<Trunk, ConfigError> {
        parse(&format!("[[trunks]]\nname = \"carrier\"\nhost = \"sip.example.net\"\n{more}"))
            .map(|c| c.trunks[0].clone())
    }

    const NOBODY: fn(&str) -> Option<String> = |_| None;

    #[test]
    fn a_trunk_needs_a_name_and_a_host() {
        let t = trunk("").unwrap();
        assert_eq!((t.transport, t.register, t.register_s, t.options_s), (TrunkTransport::Udp, false, 600, 60));
        assert!(t.password(NOBODY).unwrap().is_none(), "known by its address");
        assert!(parse("[[trunks]]\nname = \"x\"").unwrap_err().to_string().contains("host"));
    }

    #[test]
    fn nonsense_is_refused_with_the_key() {
        for (more, key) in [
            ("port = 0", "trunks.port"),
            ("proxy = \"a b\"", "trunks.proxy"),
            ("register = true", "trunks.username"),
            ("register = true\nauth_username = \"x\"", "trunks.username"),
            ("username = \"a@b\"", "trunks.username"),
            ("register_s = 5", "trunks.register_s"),
            ("options_s = 1", "trunks.options_s"),
            ("max_calls = 0", "trunks.max_calls"),
            ("calls_per_second = 0.0", "trunks.calls_per_second"),
            ("cidr = [\"10.0.0.0/40\"]", "192.0.2.0/24"),
            ("transport = \"sctp\"", "tls"),
            ("from_domain = \"a:5\"", "trunks.from_domain"),
        ] {
            let error = trunk(more).unwrap_err().to_string();
            assert!(error.contains(key), "{more}: {error}");
        }
        let twice = "[[trunks]]\nname = \"a\"\nhost = \"h\"\n".repeat(2);
        assert!(parse(&twice).unwrap_err().to_string().contains("twice"));
        for host in ["a b", "h:5060", "sip:h", ""] {
            assert!(parse(&format!("[[trunks]]\nname = \"a\"\nhost = \"{host}\"")).is_err(), "{host}");
        }
        assert!(parse("[[trunks]]\nname = \"a\"\nhost = \"2001:db8::1\"").is_ok());
    }

    #[test]
    fn a_missing_password_is_named() {
        let registering = "register = true\nusername = \"100\"\n";
        let error = trunk(registering).unwrap().password(NOBODY).unwrap_err().to_string();
        assert!(error.contains("trunk carrier") && error.contains("password_file"), "{error}");
        let by_variable = trunk(&format!("{registering}password_env = \"PBX_PASSWORD\"")).unwrap();
        assert!(by_variable.password(NOBODY).unwrap_err().to_string().contains("PBX_PASSWORD"));
        let found = by_variable.password(|name| (name == "PBX_PASSWORD").then(|| "s3cret".to_owned()));
        assert_eq!(found.unwrap().unwrap().expose(), "s3cret");
        let by_file = trunk(&format!("{registering}password_file = \"/nowhere/pw\"")).unwrap();
        assert!(by_file.password(NOBODY).unwrap_err().to_string().contains("/nowhere/pw"));
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pw");
        std::fs::write(&file, "two words \n").unwrap();
        let by_file = trunk(&format!("{registering}password_file = {file:?}")).unwrap();
        assert_eq!(by_file.password(NOBODY).unwrap().unwrap().expose(), "two words ");
        std::fs::write(&file, "a\nb\n").unwrap();
        assert!(matches!(by_file.password(NOBODY), Err(PasswordError::Malformed { .. })));
        let extension = &parse("[[extensions]]\nnumber = \"200\"").unwrap().extensions[0];
        assert!(extension.password(NOBODY).unwrap_err().to_string().contains("extension 200"));
    }

    #[test]
    fn nothing_prints_a_password() {
        let config =
            parse("[[trunks]]\nname = \"a\"\nhost = \"h\"\npassword = \"hunter2\"\n[[extensions]]\nnumber = \"200\"\npassword = \"hunter2\"")
                .unwrap();
        assert_eq!(config.trunks[0].password(NOBODY).unwrap().unwrap().expose(), "hunter2");
        for text in [format!("{config:?}"), toml::to_string(&config).unwrap()] {
            assert!(!text.contains("hunter2"), "{text}");
        }
        for broken in
            ["password = hunter2", "password = \"hunter2", "pasword = \"hunter2\"", "password = [\"hunter2\"]"]
        {
            let error = trunk(broken).unwrap_err().to_string();
            assert!(!error.contains("hunter2") && error.contains("line 4"), "{error}");
        }
        assert!(!trunk("password = 271828").unwrap_err().to_string().contains("271828"));
    }

    #[test]
    fn extensions_are_told_apart() {
        let text = "[[extensions]]\nnumber = \"200\"\npassword = \"x\"\nagent = \"grace\"\n";
        assert_eq!(parse(text).unwrap().extensions[0].login_name(), "200");
        assert!(parse(&text.repeat(2)).unwrap_err().to_string().contains("twice"));
        assert!(parse(&text.replace("grace", "max")).unwrap_err().to_string().contains("max"));
        assert!(parse(&text.replace("200", "a b")).unwrap_err().to_string().contains("extensions.number"));
        for (bad, said) in [
            ("realm = \"\"", "registrar.realm"),
            ("algorithms = []", "registrar.algorithms"),
            ("algorithms = [\"MD4\"]", "SHA-256"),
            ("min_s = 700", "registrar.min_s"),
        ] {
            let error = parse(&format!("[registrar]\n{bad}")).unwrap_err().to_string();
            assert!(error.contains(said), "{bad}: {error}");
        }
    }
}
