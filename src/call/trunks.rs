//! Trunks and extensions, from the configuration to the agent and back. Purpose: who may speak to us, which lines are kept
//! registered and where trunks are found; telephones' bindings kept over a restart. Control tasks; one task looks names up.
//! Invariants: a password goes from its file into the agent and nowhere else; the daemon does not start without one that it
//! needs; a trunk whose name cannot be looked up keeps the addresses that it had.
//! Deliberately absent: calls (`actor`, `bridge`), numbers and routes.

use super::phones::Phones;
use super::trunk_health::Watch;
use crate::config::{Config, Extension, Numbers, PasswordError, Secret, Trunk, TrunkKind, TrunkTransport};
use crate::os::clock;
use crate::sip::agent::{Agent, Branch, LineConfig, SipEvent};
use crate::sip::auth::{Login, Password};
use crate::sip::hop::{Hop, Transport};
use crate::sip::message::Uri;
use crate::sip::peer::{Directory, ExtensionIdentity, TrunkIdentity};
use crate::sip::registrar::{Binding, Intervals};
use crate::sip::registration::LineState;
use crate::sip::transport::{ResolveError, SipError, SipHandle};
use crate::store::{KeptBinding, Store, StoreError};
use crate::time::{Tick, Wallclock};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;
use tracing::{info, warn};

/// Names of trunks are looked up again after this.
const LOOKUP_EVERY: Duration = Duration::from_secs(60);
/// One that could not be looked up, after this.
const LOOKUP_AGAIN: Duration = Duration::from_secs(10);

/// The configured trunks and extensions with their passwords.
#[derive(Clone, Debug)]
pub struct Book {
    trunks: Vec<(Trunk, Option<Login>)>,
    extensions: Vec<(Extension, Login)>,
    numbers: Numbers,
    realm: String,
    algorithms: Vec<crate::sip::auth::Algorithm>,
    intervals: Intervals,
    open: bool,
}

/// A trunk as the control API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TrunkStatus {
    /// Name.
    pub name: String,
    /// Its domain or address.
    pub host: String,
    /// Where that was found, in order of preference: `UDP 192.0.2.1:5060`.
    pub addresses: Vec<String>,
    /// `up`, `refuses` (it answers, but not us: 403, or 401 and 407 to an account that is not registered there), `down` or
    /// `unknown`: whether it answers our questions (OPTIONS); `None`: it is not asked.
    pub health: Option<&'static str>,
    /// What it holds against us, and what to do; `None`: nothing.
    pub health_note: Option<&'static str>,
    /// How long its last answer to one took, milliseconds.
    pub round_trip_ms: Option<u64>,
    /// Its registration, if it has one.
    pub registration: Option<RegistrationStatus>,
}

/// How a registration stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RegistrationStatus {
    /// `waiting`, `registering`, `registered`, `failed` or `unregistered`.
    pub state: &'static str,
    /// What is registered.
    pub aor: String,
    /// Where we said that we are, the line's token left out.
    pub contact: Option<String>,
    /// Seconds until it ends unless refreshed.
    pub expires_in_s: Option<u64>,
    /// Seconds until the next REGISTER.
    pub next_in_s: Option<u64>,
    /// Code of the last answer; 408: there was none.
    pub last_code: Option<u16>,
    /// Its reason phrase.
    pub last_reason: Option<String>,
}

/// Where calls to a trunk or extension go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// Request-URI.
    pub target: String,
    /// Hops in order of preference.
    pub hops: Vec<Hop>,
    /// Whose credentials answer a challenge.
    pub account: Option<Arc<str>>,
    /// Routes towards it.
    pub routes: Vec<String>,
    /// Where else it rings.
    pub others: Vec<Branch>,
    /// The extension whose pages ring as well; without hops they ring alone.
    pub pages: Option<String>,
}

impl Book {
    /// Reads the passwords.
    ///
    /// # Errors
    /// The first that is missing or unreadable.
    pub fn open(config: &Config, environment: impl Fn(&str) -> Option<String>) -> Result<Self, PasswordError> {
        let login = |username: &str, secret: &Secret, realm: Option<&String>| Login {
            username: username.to_owned(),
            password: Password::new(secret.expose()),
            realm: realm.cloned(),
        };
        let trunks = config.trunks.iter().map(|trunk| {
            let secret = trunk.password(&environment)?;
            let login = secret.zip(trunk.login_name()).map(|(secret, name)| login(name, &secret, trunk.realm.as_ref()));
            Ok((trunk.clone(), login))
        });
        let extensions = config.extensions.iter().map(|extension| {
            let secret = extension.password(&environment)?;
            Ok((extension.clone(), login(extension.login_name(), &secret, None)))
        });
        let registrar = &config.registrar;
        Ok(Self {
            trunks: trunks.collect::<Result<_, _>>()?,
            extensions: extensions.collect::<Result<_, _>>()?,
            numbers: config.numbers.clone(),
            realm: registrar.realm.clone(),
            algorithms: registrar.algorithms.iter().map(|a| a.0).collect(),
            intervals: Intervals {
                least: Duration::from_secs(registrar.min_s),
                most: Duration::from_secs(registrar.max_s),
            },
            open: registrar.open,
        })
    }

    /// Everything that is wrong with the passwords, for `check`.
    #[must_use]
    pub fn faults(config: &Config, environment: impl Fn(&str) -> Option<String>) -> Vec<PasswordError> {
        let trunks = config.trunks.iter().filter_map(|t| t.password(&environment).err());
        trunks.chain(config.extensions.iter().filter_map(|e| e.password(&environment).err())).collect()
    }

    fn directory(&self) -> Directory {
        let spoken_to = self.trunks.iter().filter(|(trunk, _)| trunk.kind == TrunkKind::Sip);
        let trunks = spoken_to.map(|(trunk, login)| TrunkIdentity {
            name: trunk.name.as_str().into(),
            networks: trunk.cidr.clone(),
            proves: login.clone().filter(|_| trunk.inbound_auth),
            numbers: trunk.dids.clone(),
            ..TrunkIdentity::default()
        });
        let extensions = self.extensions.iter().map(|(extension, login)| ExtensionIdentity {
            number: extension.number.as_str().into(),
            login: login.clone(),
            networks: extension.cidr.clone(),
        });
        Directory::new(trunks.collect(), extensions.collect(), self.open)
    }

    fn lines(&self) -> Vec<LineConfig> {
        let registering = self.trunks.iter().filter(|(trunk, _)| trunk.register);
        registering
            .map(|(trunk, _)| {
                let user = trunk.username.clone().unwrap_or_default();
                LineConfig {
                    account: trunk.name.as_str().into(),
                    registrar: format!("sip:{}", place(trunk)),
                    aor: aor(trunk, &user),
                    contact_user: user,
                    expires: Duration::from_secs(trunk.register_s),
                    public: trunk.public_address,
                }
            })
            .collect()
    }

    fn apply(&self, agent: &mut Agent, now: Tick) {
        agent.set_registrar(&self.realm, &self.algorithms, self.intervals);
        agent.set_directory(self.directory());
        for (trunk, login) in &self.trunks {
            agent.set_account(&trunk.name, login.clone(), trunk.cidr.clone());
            agent.set_public_address(&trunk.name, trunk.public_address);
        }
        agent.set_lines(now, self.lines());
    }
}

/// `host`, `host:port`, with the transport where it is not UDP.
fn place(trunk: &Trunk) -> String {
    let mut place = bracketed(&trunk.host);
    if let Some(port) = trunk.port {
        let _ = write!(place, ":{port}"); // writing into a String cannot fail
    }
    match transport(trunk) {
        Transport::Udp => place,
        other => format!("{place};transport={}", other.parameter()),
    }
}

/// Who we are at a trunk.
fn aor(trunk: &Trunk, user: &str) -> String {
    format!("sip:{user}@{}", bracketed(trunk.from_domain.as_ref().unwrap_or(&trunk.host)))
}

fn bracketed(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() }
}

const fn transport(trunk: &Trunk) -> Transport {
    match trunk.transport {
        TrunkTransport::Udp => Transport::Udp,
        TrunkTransport::Tcp => Transport::Tcp,
        TrunkTransport::Tls => Transport::Tls,
    }
}

/// The trunks and extensions of this daemon.
#[derive(Debug)]
pub struct Trunks {
    book: Mutex<Arc<Book>>,
    sip: SipHandle,
    store: Store,
    lookups: Mutex<Vec<JoinHandle<()>>>,
    watch: Arc<Watch>,
    phones: Phones,
}

impl Trunks {
    /// Tells the agent who is who, takes up the bindings of the last run, and begins to look trunks up and to register.
    ///
    /// # Errors
    /// The store cannot be read, or signalling is shut down.
    pub async fn start(book: Book, sip: SipHandle, store: Store) -> Result<Arc<Self>, TrunksError> {
        let kept = store.bindings().live(clock::wall())?;
        let trunks = Arc::new(Self {
            book: Mutex::new(Arc::new(book)),
            sip,
            store,
            lookups: Mutex::default(),
            watch: Arc::default(),
            phones: Phones::default(),
        });
        trunks.begin().await?;
        let mut bindings: BTreeMap<String, Vec<Binding>> = BTreeMap::new();
        let (now, wall) = (clock::monotonic(), clock::wall());
        for binding in kept {
            bindings.entry(binding.extension.clone()).or_default().extend(taken_up(binding, now, wall));
        }
        trunks
            .sip
            .with(move |agent, now| {
                for (extension, bindings) in bindings {
                    agent.restore_bindings(now, &extension, bindings);
                }
            })
            .await?;
        Ok(trunks)
    }

    /// Goes by another configuration from now on; lines that stay are not touched.
    ///
    /// # Errors
    /// Signalling is shut down.
    pub async fn reload(&self, book: Book) -> Result<(), TrunksError> {
        *self.book.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(book);
        self.begin().await
    }

    async fn begin(&self) -> Result<(), TrunksError> {
        let book = self.book();
        let applied = Arc::clone(&book);
        self.sip.with(move |agent, now| applied.apply(agent, now)).await?;
        let mut lookups = self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
        for task in lookups.drain(..) {
            task.abort();
        }
        self.watch.clear();
        for (trunk, login) in book.trunks.iter().filter(|(trunk, _)| trunk.kind == TrunkKind::Sip) {
            lookups.push(tokio::spawn(keep_found(self.sip.clone(), trunk.clone())));
            if trunk.options_s != 0 {
                let user = trunk.username.as_deref().unwrap_or("callwright");
                let places = (format!("sip:{}", place(trunk)), format!("<{}>", aor(trunk, user)));
                let watch = Arc::clone(&self.watch);
                let asking = watch.keep_asking(self.sip.clone(), trunk.clone(), places, login.is_some());
                lookups.push(tokio::spawn(asking));
            }
        }
        Ok(())
    }

    fn book(&self) -> Arc<Book> {
        Arc::clone(&self.book.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes events that are about lines and bindings; gives others back.
    pub fn handle(&self, event: SipEvent) -> Option<SipEvent> {
        match event {
            SipEvent::Line(line) => {
                let (trunk, aor) = (&line.account, &line.aor);
                let (code, reason) = line.last_answer.unwrap_or_default();
                match line.state {
                    LineState::Registered => info!(%trunk, %aor, "registered: calls reach us"),
                    LineState::Failed => warn!(%trunk, %aor, code, %reason, advice = advice(code), "not registered"),
                    LineState::Unregistered => info!(%trunk, %aor, "unregistered"),
                    LineState::Waiting | LineState::Registering => {}
                }
                None
            }
            SipEvent::Bindings { extension, bindings } => {
                let (now, wall) = (clock::monotonic(), clock::wall());
                let kept = bindings.into_iter().map(|b| kept(&extension, b, now, wall)).collect();
                let commit = self.store.bindings().replace(extension.to_string(), kept, wall);
                tokio::spawn(async move {
                    if let Err(error) = commit.await {
                        warn!(%extension, %error, "where the telephone is reached will be forgotten by a restart");
                    }
                });
                None
            }
            SipEvent::Response { request, response } if self.watch.handle(request, &response) => None,
            other => Some(other),
        }
    }

    /// Takes registrations back; the answers are waited for as those to BYE are.
    pub async fn unregister(&self) {
        for task in self.lookups.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
        // An error means that signalling is gone already.
        let _ = self.sip.with(|agent, now| agent.unregister(now)).await;
    }

    /// How the trunks stand, in the order of the configuration.
    ///
    /// # Errors
    /// Signalling is shut down.
    pub async fn status(&self) -> Result<Vec<TrunkStatus>, SipError> {
        let (book, watch) = (self.book(), Arc::clone(&self.watch));
        self.sip
            .with(move |agent, now| {
                let mut lines = agent.lines();
                let status = |(trunk, _): &(Trunk, Option<Login>)| {
                    let place = lines.iter().position(|l| *l.account == *trunk.name);
                    let known = watch.of(&trunk.name);
                    TrunkStatus {
                        name: trunk.name.clone(),
                        host: trunk.host.clone(),
                        addresses: agent.trunk_hops(&trunk.name).iter().map(ToString::to_string).collect(),
                        health: known.map(|known| known.health.name()),
                        health_note: known.and_then(|known| Some(known.doubt?.advice())),
                        round_trip_ms: known.and_then(|known| u64::try_from(known.round_trip?.as_millis()).ok()),
                        registration: place.map(|n| lines.remove(n)).map(|line| RegistrationStatus {
                            state: line.state.name(),
                            aor: line.aor,
                            contact: line.contact.map(|c| c.split(";line=").next().unwrap_or_default().to_owned()),
                            expires_in_s: line.bound_until.map(|until| until.since(now).as_secs()),
                            next_in_s: line.next.map(|next| next.since(now).as_secs()),
                            last_code: line.last_answer.as_ref().map(|(code, _)| *code),
                            last_reason: line.last_answer.map(|(_, reason)| reason),
                        }),
                    }
                };
                book.trunks.iter().map(status).collect()
            })
            .await
    }

    /// The configured trunk of this name.
    #[must_use]
    pub fn trunk(&self, name: &str) -> Option<Trunk> {
        self.book().trunks.iter().find(|(t, _)| t.name == name).map(|(t, _)| t.clone())
    }

    /// Where a call to `number` by a trunk goes. Error: for the log.
    ///
    /// # Errors
    /// What is missing.
    pub async fn by_trunk(&self, name: &str, number: &str) -> Result<Way, String> {
        let trunk = self.trunk(name).ok_or_else(|| format!("there is no trunk {name}"))?;
        let number = match trunk.number_form {
            Some(form) => self.book().numbers.written(number, form),
            None => number.to_owned(),
        };
        let number = number.as_str();
        if trunk.kind == TrunkKind::Twilio {
            let target = format!("sip:{number}@twilio.invalid");
            return Ok(Way {
                target,
                hops: Vec::new(),
                account: Some(name.into()),
                routes: Vec::new(),
                others: Vec::new(),
                pages: None,
            });
        }
        let target = format!("sip:{number}@{}", place(&trunk));
        let is_number = Uri::parse(target.as_bytes()).is_ok_and(|u| u.user.as_deref() == Some(number.as_bytes()));
        if !is_number {
            return Err(format!("{number:?} is no number that trunk {name} can be asked for"));
        }
        let asked = trunk.name.clone();
        let hops = self.sip.with(move |agent, _| agent.trunk_hops(&asked).to_vec()).await.map_err(|e| e.to_string())?;
        // Before its first look-up is done it is looked up here.
        let hops = if hops.is_empty() { self.find(&place_of(&trunk)?).await.map_err(|e| e.to_string())? } else { hops };
        Ok(Way { target, hops, account: Some(name.into()), routes: Vec::new(), others: Vec::new(), pages: None })
    }

    /// Where a URI leads, best first (RFC 3263).
    ///
    /// # Errors
    /// [`ResolveError`].
    pub async fn find(&self, uri: &str) -> Result<Vec<Hop>, ResolveError> {
        self.sip.resolve(uri).await
    }

    /// Where an extension is reached: all its telephones, the preferred ones first (RFC 3261 section 16.6), and the pages that
    /// wait for its calls; `None`: there are neither.
    ///
    /// # Errors
    /// Signalling is shut down.
    pub async fn to_extension(&self, number: &str) -> Result<Option<Way>, SipError> {
        let asked = number.to_owned();
        let bindings = self.sip.with(move |agent, now| agent.bindings(now, &asked)).await?;
        let pages = self.phones.is_waited(number).then(|| number.to_owned());
        let alone = pages.is_some().then(|| Way {
            target: format!("sip:{number}@browser.invalid"),
            hops: Vec::new(),
            account: None,
            routes: Vec::new(),
            others: Vec::new(),
            pages: None,
        });
        Ok(all_of(bindings).or(alone).map(|way| Way { pages, ..way }))
    }

    /// Pages that wait for calls.
    #[must_use]
    pub const fn phones(&self) -> &Phones {
        &self.phones
    }
}

/// Telephones of one preference ring together, those of a lower one later.
fn all_of(bindings: Vec<Binding>) -> Option<Way> {
    let mut bindings = bindings.into_iter();
    let first = bindings.next()?;
    let (mut q, mut turn) = (first.q, 0);
    let others = bindings.map(|binding| {
        turn += u16::from(binding.q < q);
        q = binding.q;
        Branch { target: binding.contact, hops: vec![binding.hop], routes: binding.path, turn }
    });
    let others = others.collect();
    Some(Way { target: first.contact, hops: vec![first.hop], account: None, routes: first.path, others, pages: None })
}

/// Why trunks could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TrunksError {
    /// The bindings of the last run cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Signalling is shut down.
    #[error(transparent)]
    Sip(#[from] SipError),
}

/// What to do about a registration that failed.
const fn advice(code: u16) -> &'static str {
    match code {
        401 | 403 | 407 => "correct username, auth_username or password of the trunk",
        404 => "the registrar does not know this username",
        408 => "nobody answers at host or proxy: check name, port, transport and firewall",
        423 => "the registrar contradicts itself about the interval; set register_s",
        _ => "it is tried again",
    }
}

/// Keeps the agent told where a trunk is.
async fn keep_found(sip: SipHandle, trunk: Trunk) {
    let mut failing = false;
    loop {
        let found = match place_of(&trunk) {
            Ok(place) => sip.resolve(&place).await.map_err(|error| error.to_string()),
            Err(error) => Err(error),
        };
        let wait = match found {
            Ok(hops) => {
                failing = false;
                let name = trunk.name.clone();
                if sip.with(move |agent, now| agent.set_trunk_hops(now, &name, hops)).await.is_err() {
                    return; // signalling is shut down
                }
                LOOKUP_EVERY
            }
            Err(error) => {
                if !failing {
                    warn!(trunk = %trunk.name, %error, "the trunk's host cannot be found; it is looked for again");
                }
                failing = true;
                LOOKUP_AGAIN
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// What to look up for a trunk: its host, or the proxy before it, by its transport (RFC 3263).
fn place_of(trunk: &Trunk) -> Result<String, String> {
    let (host, port) = match &trunk.proxy {
        Some(proxy) => {
            let uri = Uri::parse(format!("sip:{proxy}").as_bytes()).map_err(|_| format!("{proxy} is no proxy"))?;
            (uri.host, uri.port)
        }
        None => (trunk.host.trim_matches(['[', ']']).to_owned(), trunk.port),
    };
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    Ok(format!("sip:{host}{port};transport={}", transport(trunk).parameter()))
}

fn kept(extension: &str, binding: Binding, now: Tick, wall: Wallclock) -> KeptBinding {
    let left = u64::try_from(binding.until.since(now).as_millis()).unwrap_or(u64::MAX);
    KeptBinding {
        extension: extension.to_owned(),
        contact: binding.contact,
        transport: binding.hop.transport.parameter().to_owned(),
        address: binding.hop.address,
        path: binding.path,
        instance: binding.instance,
        call_id: binding.call_id,
        sequence: binding.sequence,
        q: binding.q,
        user_agent: binding.user_agent,
        until: Wallclock(wall.0.saturating_add(left)),
    }
}

fn taken_up(kept: KeptBinding, now: Tick, wall: Wallclock) -> Option<Binding> {
    let transport = Transport::of_name(kept.transport.as_bytes())?;
    Some(Binding {
        contact: kept.contact,
        hop: Hop { transport, address: kept.address, flow: None, host: None },
        path: kept.path,
        instance: kept.instance,
        call_id: kept.call_id,
        sequence: kept.sequence,
        q: kept.q,
        user_agent: kept.user_agent,
        until: now + Duration::from_millis(kept.until.0.saturating_sub(wall.0)),
    })
}

/// The key of nonces and line tokens, made at the first start and readable by the daemon alone.
///
/// # Errors
/// It can be neither read nor written.
pub fn signalling_key(data: &Path) -> io::Result<[u8; 32]> {
    use std::os::unix::fs::OpenOptionsExt;
    let path = data.join("sip.key");
    match std::fs::read(&path) {
        Ok(octets) => {
            if let Ok(key) = <[u8; 32]>::try_from(octets) {
                return Ok(key);
            }
            // Half a key is of no use to anybody.
            std::fs::remove_file(&path)?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut key = [0; 32];
    crate::os::random::fill(&mut key);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    io::Write::write_all(&mut file, &key)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("c.toml");
        std::fs::write(&file, text).unwrap();
        Config::load(Some(&file), std::iter::empty()).unwrap()
    }

    #[test]
    fn all_missing_passwords_are_named() {
        let config = config(
            "[[trunks]]\nname = \"a\"\nhost = \"h\"\nregister = true\nusername = \"1\"\n[[trunks]]\nname = \"b\"\nhost = \"h\"\n\
             [[extensions]]\nnumber = \"200\"\npassword_env = \"X\"",
        );
        let faults: Vec<_> = Book::faults(&config, |_| None).iter().map(ToString::to_string).collect();
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].contains("trunk a") && faults[1].contains("extension 200"));
        assert!(Book::open(&config, |_| None).is_err());
    }

    #[test]
    fn a_line_is_what_the_trunk_says() {
        let config = config(
            "[[trunks]]\nname = \"pbx\"\nhost = \"2001:db8::1\"\nport = 5070\ntransport = \"tcp\"\nregister = true\nusername = \"100\"\n\
             auth_username = \"auth\"\npassword = \"pw\"\nfrom_domain = \"pbx.example\"\npublic_address = \"198.51.100.1\"\nrealm = \"r\"",
        );
        let book = Book::open(&config, |_| None).unwrap();
        let line = book.lines().remove(0);
        assert_eq!(line.registrar, "sip:[2001:db8::1]:5070;transport=tcp");
        assert_eq!((line.aor.as_str(), line.contact_user.as_str()), ("sip:100@pbx.example", "100"));
        assert_eq!(line.public, Some("198.51.100.1".parse().unwrap()));
        let login = book.trunks[0].1.as_ref().unwrap();
        assert_eq!((login.username.as_str(), login.realm.as_deref()), ("auth", Some("r")));
        assert!(!format!("{book:?}").contains("pw\""), "{book:?}");
    }

    #[test]
    fn the_key_stays_and_is_nobody_elses() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let key = signalling_key(dir.path()).unwrap();
        assert_eq!(signalling_key(dir.path()).unwrap(), key);
        let file = dir.path().join("sip.key");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&file, b"half").unwrap();
        assert_ne!(signalling_key(dir.path()).unwrap(), key);
    }

    #[test]
    fn bindings_come_back_with_what_is_left_of_their_time() {
        let binding = Binding {
            contact: "sip:200@10.0.0.9".to_owned(),
            hop: Hop::udp("10.0.0.9:40000".parse().unwrap()),
            path: vec!["<sip:edge;lr>".to_owned()],
            instance: None,
            call_id: "c".to_owned(),
            sequence: 3,
            q: 1000,
            user_agent: "Desk".to_owned(),
            until: Tick(60_000_000_000),
        };
        let kept = kept("200", binding.clone(), Tick(0), Wallclock(1000));
        assert_eq!(kept.until, Wallclock(61_000));
        let back = taken_up(kept, Tick(5), Wallclock(31_000)).unwrap();
        assert_eq!(back, Binding { until: Tick(30_000_000_005), ..binding });
    }

    #[test]
    fn a_trunk_may_have_its_own_codecs_and_protection() {
        use crate::call::media_leg::{preference, preference_by};
        use crate::rtp::Codec;
        let config = config(
            "[media]\ncodecs = [\"PCMU\"]\n[[trunks]]\nname = \"a\"\nhost = \"h\"\ncodecs = [\"PCMA\"]\nsrtp = \"require\"\n\
             [[trunks]]\nname = \"b\"\nhost = \"h\"",
        );
        assert_eq!(preference_by(&config, Some(&config.trunks[0])).codecs(), [Codec::Pcma]);
        assert_ne!(preference_by(&config, Some(&config.trunks[0])), preference(&config));
        assert_eq!(preference_by(&config, Some(&config.trunks[1])), preference(&config));
    }

    #[test]
    fn a_trunk_is_looked_up_by_its_proxy_and_transport() {
        let config = config(
            "[[trunks]]\nname = \"a\"\nhost = \"127.0.0.1\"\n[[trunks]]\nname = \"b\"\nhost = \"pbx.invalid\"\nproxy = \"127.0.0.1:5099\"\ntransport = \"tls\"",
        );
        assert_eq!(place_of(&config.trunks[0]).unwrap(), "sip:127.0.0.1;transport=udp");
        assert_eq!(place_of(&config.trunks[1]).unwrap(), "sip:127.0.0.1:5099;transport=tls");
        assert!(Uri::parse(place_of(&config.trunks[1]).unwrap().as_bytes()).is_ok());
    }
}
