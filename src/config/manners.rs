//! How an agent treats its callers. Plain data. Deliberately absent: what follows from it (`call::manners`).

use serde::{Deserialize, Serialize};

/// Before what callers must key or say the PIN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PinFor {
    /// Before anything else; it then holds for changes as well.
    #[default]
    Calls,
    /// Before what changes or takes away what there is.
    Changes,
}

/// What callers are told about the recording of their call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConsentChoice {
    /// Nothing.
    #[default]
    None,
    /// That it is recorded.
    Announce,
    /// Asked; nothing is recorded before a yes.
    Ask,
}
