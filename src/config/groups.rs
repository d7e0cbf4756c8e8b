//! `[[groups]]`: telephones that ring for one number (`app = "group:NAME"`).

use super::{BridgeTarget, ConfigError};
use crate::limits::{GROUP_MEMBERS_MAX, RINGING_MAX};
use serde::{Deserialize, Serialize};

/// In which order they ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// All at once.
    #[default]
    All,
    /// One after the other.
    OneByOne,
}

/// One entry.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Name, for routes.
    pub name: String,
    /// Whom it rings at: `sip:user@host[:port]`.
    pub members: Vec<String>,
    /// In which order.
    #[serde(default)]
    pub strategy: Strategy,
    /// How long each rings, seconds.
    #[serde(default = "Group::ringing_s")]
    pub ringing_s: u64,
}

impl Group {
    const fn ringing_s() -> u64 {
        30
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let value =
            |key, message: String| Err(ConfigError::Value { key, message: format!("{}: {message}", self.name) });
        if !(1..=GROUP_MEMBERS_MAX).contains(&self.members.len()) {
            return value("groups.members", format!("write 1 to {GROUP_MEMBERS_MAX} addresses"));
        }
        if let Some(wrong) =
            self.members.iter().find(|member| member.contains('{') || BridgeTarget::parse(member).is_err())
        {
            return value("groups.members", format!("{wrong:?} is no address; write \"sip:USER@HOST:PORT\""));
        }
        if !(1..=RINGING_MAX.as_secs()).contains(&self.ringing_s) {
            return value("groups.ringing_s", format!("write seconds from 1 to {}", RINGING_MAX.as_secs()));
        }
        Ok(())
    }
}
