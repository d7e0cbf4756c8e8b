//! The configuration that is in force, and how another one comes into force without a restart. Control threads; one short
//! lock. Invariants: a reload is done whole or not at all; what cannot change while the daemon runs stays as it was, and is
//! named. Deliberately absent: signals (`daemon`).

use super::{Config, ConfigError};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

/// What a reload has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Sections that are in force from the next call on.
    pub applied: Vec<String>,
    /// Sections whose changes wait for a restart.
    pub needs_restart: Vec<String>,
}

/// The configuration in force.
#[derive(Debug)]
pub struct Current {
    config: RwLock<Arc<Config>>,
    /// Where it comes from; `None`: the defaults.
    file: Option<PathBuf>,
}

/// Sections that calls look at anew each time.
const LIVE: [&str; 7] = ["routes", "numbers", "groups", "agents", "trunks", "extensions", "registrar"];
/// Of an agent: what the speech plane was started with.
const SPOKEN: [&str; 5] = ["name", "asr", "voice", "vocabulary", "lexicon"];

impl Current {
    /// `config` is in force; it came from `file`.
    #[must_use]
    pub fn new(config: Config, file: Option<PathBuf>) -> Self {
        Self { config: RwLock::new(Arc::new(config)), file }
    }

    /// What is in force now.
    #[must_use]
    pub fn get(&self) -> Arc<Config> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the file again and puts in force what can change. Waits for the disk.
    ///
    /// # Errors
    /// [`ConfigError`]: nothing has changed.
    pub fn reload(&self, environment: impl Iterator<Item = (String, String)>) -> Result<Reloaded, ConfigError> {
        let new = Config::load(self.file.as_deref(), environment)?;
        let mut config = self.config.write().unwrap_or_else(PoisonError::into_inner);
        let (merged, reloaded) = merge(&config, new)?;
        *config = Arc::new(merged);
        Ok(reloaded)
    }
}

/// `old` with what of `new` can come into force.
fn merge(old: &Config, new: Config) -> Result<(Config, Reloaded), ConfigError> {
    let unwritten = |e: toml::ser::Error| ConfigError::Value { key: "config", message: e.to_string() };
    let (before, after) =
        (toml::Table::try_from(old).map_err(unwritten)?, toml::Table::try_from(&new).map_err(unwritten)?);
    let mut reloaded = Reloaded::default();
    let spoken_to = spoken(&before) == spoken(&after);
    for (section, value) in &after {
        if before.get(section) != Some(value) {
            let live = LIVE.contains(&section.as_str()) && (section != "agents" || spoken_to);
            let list = if live { &mut reloaded.applied } else { &mut reloaded.needs_restart };
            list.push(section.clone());
        }
    }
    let agents = if spoken_to { new.agents } else { old.agents.clone() };
    let merged = Config {
        routes: new.routes,
        numbers: new.numbers,
        groups: new.groups,
        trunks: new.trunks,
        extensions: new.extensions,
        registrar: new.registrar,
        agents,
        ..old.clone()
    };
    // A route may name an agent that waits for the restart.
    merged.routes.iter().try_for_each(|route| route.check(&merged))?;
    Ok((merged, reloaded))
}

/// What of the agents the speech plane knows.
fn spoken(config: &toml::Table) -> Vec<Vec<Option<toml::Value>>> {
    let agents = config.get("agents").and_then(toml::Value::as_array);
    agents.into_iter().flatten().map(|agent| SPOKEN.iter().map(|key| agent.get(key).cloned()).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::App;

    #[test]
    fn routes_and_manners_come_into_force_and_the_rest_waits() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("c.toml");
        let write = |text: &str| std::fs::write(&file, text).unwrap();
        write("[[routes]]\nmatch = \"1\"\napp = \"echo\"\n[[agents]]\nname = \"grace\"\n");
        let load = || Config::load(Some(&file), std::iter::empty()).unwrap();
        let current = Current::new(load(), Some(file.clone()));
        let held = current.get();
        write(
            "[sip]\nmax_calls = 5\n[numbers]\ncountry = \"49\"\n[[routes]]\nmatch = \"1\"\napp = \"tone\"\n[[agents]]\nname = \"grace\"\nidle_s = 20\n",
        );
        let reloaded = current.reload(std::iter::empty()).unwrap();
        assert_eq!(reloaded.needs_restart, ["sip"]);
        let mut applied = reloaded.applied;
        applied.sort();
        assert_eq!(applied, ["agents", "numbers", "routes"]);
        let now = current.get();
        assert!(matches!(now.route("1"), Some(App::Tone(_))) && now.agents[0].idle_s == 20 && now.sip.max_calls == 200);
        assert_eq!(held.route("1"), Some(&App::Echo), "a call goes on with what it began with");
        assert_eq!(current.reload(std::iter::empty()).unwrap().applied, Vec::<String>::new());
        // A voice is loaded at the start.
        write(
            "[[routes]]\nmatch = \"1\"\napp = \"tone\"\n[[agents]]\nname = \"grace\"\nvoice = \"rms\"\nidle_s = 30\n",
        );
        let reloaded = current.reload(std::iter::empty()).unwrap();
        assert!(reloaded.needs_restart.contains(&"agents".to_owned()));
        assert_eq!(current.get().agents[0].idle_s, 20);
        // An agent that is not there yet cannot be called yet, and nonsense changes nothing.
        write("[[routes]]\nmatch = \"2\"\napp = \"agent:max\"\n[[agents]]\nname = \"max\"\n");
        assert!(current.reload(std::iter::empty()).unwrap_err().to_string().contains("agent:max"));
        write("[[routes]]\nmatch = 2\n");
        assert!(current.reload(std::iter::empty()).is_err());
        assert!(matches!(current.get().route("1"), Some(App::Tone(_))));
    }
}
