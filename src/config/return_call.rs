//! `[agents.return_call]`: callers who have hung up are called when what they ordered is live, or needs them. Pure.
//! Invariants: nobody is called unless it is written here, and asked or told on the line; never a withheld number, an emergency
//! number, or an address that only a stranger's From names. Deliberately absent: ringing (`call::return_call`).

use super::{BridgeTarget, Config, ConfigError, Hours, Numbers};
use crate::sip::peer::Peer;
use crate::time::Wallclock;
use serde::{Deserialize, Serialize};

/// Digits of a number that can be called: E.164 allows 15, short numbers have 3.
const DIGITS: std::ops::RangeInclusive<usize> = 3..=15;

/// Whether callers are called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReturnWhen {
    /// Nobody is.
    #[default]
    Never,
    /// Those who said yes when they were asked, or asked for it.
    Ask,
    /// All; they are told so when they order, and may say no.
    Always,
}

/// An agent's `return_call`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReturnCallRule {
    /// Whom.
    pub when: ReturnWhen,
    /// By what way: `trunk:NAME`, `extension:{number}` or `sip:{number}@HOST`; unless said, by the trunk that the caller came by or
    /// the extension that called. Neighbours without a password are called by this alone.
    pub by: Option<String>,
    /// When a telephone may ring; empty: always.
    pub hours: Vec<Hours>,
    /// Tries until somebody answers.
    pub tries: u32,
    /// Between two tries.
    pub pause_minutes: u32,
    /// How long each rings, seconds.
    pub ringing_s: u64,
}

impl Default for ReturnCallRule {
    fn default() -> Self {
        Self { when: ReturnWhen::Never, by: None, hours: Vec::new(), tries: 3, pause_minutes: 10, ringing_s: 30 }
    }
}

impl ReturnCallRule {
    /// Whether a telephone may ring at this moment.
    #[must_use]
    pub fn is_open(&self, at: Wallclock) -> bool {
        self.hours.is_empty() || self.hours.iter().any(|hours| hours.contain(at))
    }

    /// Where a caller is called: `user` is who From names, `peer` whose call it is. `None`: there is no way that is surely the
    /// caller's.
    #[must_use]
    pub fn target(&self, user: &str, peer: &Peer, numbers: &Numbers) -> Option<String> {
        let user = match peer {
            Peer::Extension(number) => &**number,
            Peer::Trunk(_) | Peer::Attached => user,
        };
        let digits = user.strip_prefix('+').unwrap_or(user);
        let is_number = DIGITS.contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        if !is_number || numbers.is_emergency(user) {
            return None;
        }
        match (&self.by, peer) {
            // A desk rings by itself, whatever way leads to strangers.
            (Some(by), Peer::Extension(number)) if !by.starts_with("extension:") => Some(format!("extension:{number}")),
            (Some(by), _) => {
                let target = BridgeTarget::parse(by).ok()?;
                let number = target.uri(user);
                Some(match target {
                    BridgeTarget::Uri(_) => number,
                    BridgeTarget::Trunk { name, .. } => format!("trunk:{name}:{number}"),
                    BridgeTarget::Extension(_) => format!("extension:{number}"),
                })
            }
            (None, Peer::Trunk(name)) => Some(format!("trunk:{name}:{user}")),
            (None, Peer::Extension(number)) => Some(format!("extension:{number}")),
            (None, Peer::Attached) => None,
        }
    }

    pub(super) fn check(&self, agent: &str, config: &Config) -> Result<(), ConfigError> {
        let value = |key, message: &str| Err(ConfigError::Value { key, message: format!("{agent}: {message}") });
        if let Some(by) = &self.by {
            let key = "agents.return_call.by";
            match BridgeTarget::parse(by) {
                Ok(BridgeTarget::Trunk { name, .. }) if !config.trunks.iter().any(|trunk| trunk.name == name) => {
                    return value(key, &format!("{name} is not among [[trunks]]; add it or correct the name"));
                }
                Ok(_) => {}
                Err(_) => {
                    let wrong = format!("{by:?} is no way to a number; write trunk:NAME or sip:{{number}}@HOST");
                    return value(key, &wrong);
                }
            }
        }
        match self {
            _ if !(1..=10).contains(&self.tries) => value("agents.return_call.tries", "write a number from 1 to 10"),
            _ if !(1..=1440).contains(&self.pause_minutes) => {
                value("agents.return_call.pause_minutes", "write minutes from 1 to 1440")
            }
            _ if !(1..=crate::limits::RINGING_MAX.as_secs()).contains(&self.ringing_s) => {
                value("agents.return_call.ringing_s", "write seconds from 1 to 180")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(by: Option<&str>) -> ReturnCallRule {
        ReturnCallRule { by: by.map(str::to_owned), ..ReturnCallRule::default() }
    }

    #[test]
    fn callers_are_called_by_the_way_they_came_and_strangers_by_what_is_written() {
        let numbers = Numbers::default();
        let target = |by: Option<&str>, user: &str, peer: &Peer| rule(by).target(user, peer, &numbers);
        let (trunk, desk) = (Peer::Trunk("carrier".into()), Peer::Extension("200".into()));
        assert_eq!(target(None, "+493012345", &trunk).as_deref(), Some("trunk:carrier:+493012345"));
        assert_eq!(target(None, "anything", &desk).as_deref(), Some("extension:200"), "what was proved, not From");
        assert_eq!(target(None, "493012345", &Peer::Attached), None);
        let by = Some("trunk:other");
        assert_eq!(target(by, "anything", &desk).as_deref(), Some("extension:200"), "a desk rings by itself");
        assert_eq!(target(by, "493012345", &Peer::Attached).as_deref(), Some("trunk:other:493012345"));
        let by = Some("sip:{number}@192.0.2.7:5070");
        assert_eq!(target(by, "493012345", &Peer::Attached).as_deref(), Some("sip:493012345@192.0.2.7:5070"));
        for nobody in ["", "ann", "112", "911", "12", "+", "4930;phone-context=evil", "1234567890123456", "30@evil"] {
            assert_eq!(target(Some("trunk:other"), nobody, &trunk), None, "{nobody}");
        }
    }

    #[test]
    fn hours_are_kept() {
        // 2026-11-21 is a Saturday; 12:00 UTC.
        let noon = Wallclock(1_795_262_400_000);
        let open = |hours: &str| {
            let hours = if hours.is_empty() { vec![] } else { vec![Hours::parse(hours).unwrap()] };
            ReturnCallRule { hours, ..rule(None) }.is_open(noon)
        };
        assert!(open("") && open("sat 09:00-18:00 UTC") && open("daily 00:00-24:00 Europe/Berlin"));
        assert!(!open("mon-fri 09:00-18:00 UTC") && !open("sat 14:00-18:00 UTC"));
    }
}
