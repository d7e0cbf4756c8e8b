//! The build manifest: what a caller asked for, in the twelve fields of ledger row S0-40.
//! Purpose: the one document that a caller approves and every later stage reads. Pure data.
//! Invariant: serialises to exactly these twelve names, in this order (golden test).
//! Deliberately absent: anything that the caller did not say or hear (that is the spec).

use serde::{Deserialize, Serialize};

/// What kind of software is to be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildType {
    /// Customer relationship management.
    BuildCrm,
}

/// Where the request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CreatedFrom {
    /// A phone call.
    Voice,
    /// A text chat.
    Chat,
    /// The HTTP API.
    Api,
}

/// What a caller asked for, as read back and approved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BuildManifest {
    /// Derived from conversation, artefact and revision; repeating a request changes nothing.
    pub manifest_id: String,
    /// Which kind of software.
    pub build_type: BuildType,
    /// Spoken name, e.g. "CRM".
    pub title: String,
    /// One sentence.
    pub description: String,
    /// Feature keys known to the kernels, e.g. `contacts`, `deals`.
    pub features: Vec<String>,
    /// Technology the caller named; empty when none.
    pub tech_stack: Vec<String>,
    /// Budget, timeline, scale, as said.
    pub constraints: serde_json::Map<String, serde_json::Value>,
    /// Other systems to connect to.
    pub integrations: Vec<String>,
    /// The conversation that it came from.
    pub conversation_id: String,
    /// Voice, chat or API.
    pub created_from: CreatedFrom,
    /// 0..=1, of the intent.
    pub confidence: f64,
    /// Revision, open points, approval, caller.
    pub metadata: serde_json::Map<String, serde_json::Value>,
}
