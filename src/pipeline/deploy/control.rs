//! What daemon and supervisor say to each other: one JSON object per line over a unix socket. Purpose: the types, and where the
//! socket is. Pure but for the paths. Invariants: a supervisor runs nothing but its own program, on bundles and data beneath its
//! own data directory; names are plain. Deliberately absent: the two ends (`supervisor`, `attached`).

use super::supervise::Health;
use serde::{Deserialize, Serialize};
use std::path::{Component, Path, PathBuf};

/// Changed whenever a line changes its meaning; daemon and supervisor of different numbers do not talk.
pub(super) const PROTOCOL: u32 = 1;
/// Octets of a line at most.
pub(super) const LINE_MAX: usize = 256 << 10;

/// Directory of the supervisor: its sockets, its lock, its log.
pub(super) fn home(data: &Path) -> PathBuf {
    data.join("live")
}

/// The socket that it is asked on.
pub(super) fn control_socket(data: &Path) -> PathBuf {
    home(data).join("control")
}

/// The socket of the app called `key`.
pub(super) fn app_socket(data: &Path, key: &str) -> PathBuf {
    home(data).join(format!("{key}.sock"))
}

/// What the daemon asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Ask {
    /// Run an app, if it does not run already.
    Start(Order),
    /// End an app; an unknown one is no fault.
    Stop {
        /// Which.
        key: String,
    },
    /// What runs, now.
    List,
    /// What runs, now and after every change, until the connection ends.
    Watch,
    /// End all apps and yourself.
    End,
}

/// One version of an app that shall run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Order {
    /// Name of this version of the app, and of its socket.
    pub(super) key: String,
    /// Name of the app.
    pub(super) slug: String,
    /// Directory of the bundle, beneath the data directory.
    pub(super) bundle: PathBuf,
    /// Directory of the app's data, beneath the data directory.
    pub(super) data: PathBuf,
    /// File for its log, beneath the data directory.
    pub(super) log: PathBuf,
}

/// What the supervisor answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub(super) enum Told {
    /// It is done; this is what runs.
    Running {
        /// [`PROTOCOL`] of the supervisor.
        protocol: u32,
        /// All apps.
        apps: Vec<Seen>,
    },
    /// It is not done.
    Refused {
        /// Why, for the log.
        why: String,
    },
}

/// One app that the supervisor keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    /// What was ordered.
    pub(super) order: Order,
    /// How it does.
    pub(super) health: Health,
    /// How often its process ended unasked.
    pub(super) ends: u64,
    /// Why, the last time.
    pub(super) why: String,
}

impl Order {
    /// Refuses names and paths that lead elsewhere.
    pub(super) fn check(&self, data: &Path) -> Result<(), String> {
        let plain = |name: &str| {
            (1..=80).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b))
                && !name.starts_with('.')
        };
        if !plain(&self.key) || !plain(&self.slug) {
            return Err(format!("{:?} is no name of an app", self.key));
        }
        let beneath = |path: &Path| {
            path.starts_with(data) && !path.components().any(|part| part == Component::ParentDir) && path != data
        };
        match [&self.bundle, &self.data, &self.log].into_iter().find(|path| !beneath(path)) {
            Some(path) => Err(format!("{} is not beneath {}", path.display(), data.display())),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(key: &str, bundle: &str) -> Order {
        Order {
            key: key.into(),
            slug: "crm".into(),
            bundle: bundle.into(),
            data: "/d/apps/crm/data".into(),
            log: "/d/apps/crm/app.log".into(),
        }
    }

    #[test]
    fn orders_that_lead_elsewhere_are_refused() {
        let data = Path::new("/d");
        assert_eq!(order("crm.0123abcd", "/d/apps/crm/releases/1").check(data), Ok(()));
        for (key, bundle) in [
            ("../x", "/d/b"),
            ("", "/d/b"),
            (".x", "/d/b"),
            ("a/b", "/d/b"),
            ("CRM", "/d/b"),
            ("crm", "/etc"),
            ("crm", "/d/../etc"),
            ("crm", "/d"),
            ("crm", "d/b"),
        ] {
            assert!(order(key, bundle).check(data).is_err(), "{key} {bundle}");
        }
        assert!(order(&"x".repeat(81), "/d/b").check(data).is_err());
    }

    #[test]
    fn lines_are_as_agreed() {
        let line = serde_json::to_string(&Ask::Stop { key: "crm".into() }).unwrap();
        assert_eq!(line, r#"{"op":"stop","key":"crm"}"#);
        assert!(serde_json::from_str::<Ask>(r#"{"op":"run","program":"/bin/sh"}"#).is_err());
        let told = Told::Running {
            protocol: PROTOCOL,
            apps: vec![Seen {
                order: order("crm", "/d/b"),
                health: Health::Down("it ended".into()),
                ends: 2,
                why: "it ended".into(),
            }],
        };
        assert_eq!(serde_json::from_str::<Told>(&serde_json::to_string(&told).unwrap()).unwrap(), told);
    }
}
