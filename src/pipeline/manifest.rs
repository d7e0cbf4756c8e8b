//! The build manifest: what a caller asked for, in the twelve fields of ledger row S0-40.
//! Purpose: the one document that a caller approves and every later stage reads. Pure data.
//! Invariant: serialises to exactly these twelve names, in this order (golden test).
//! Deliberately absent: anything that the caller did not say or hear (that is the spec).

pub mod catalogue;

use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};

/// JSON Schema of a [`BuildManifest`], for other people's tools.
pub const SCHEMA: &str = include_str!("manifest.schema.json");

/// What kind of software is to be built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildType {
    /// Customer relationship management.
    #[default]
    BuildCrm,
    /// A website with pages, and what visitors can do there.
    BuildWebsite,
    /// An online shop.
    BuildEcommerce,
    /// A REST API with keys and documentation.
    BuildApi,
    /// Charts over figures.
    BuildDashboard,
    /// Understood, so that it can be declined; nothing here builds one.
    BuildBlockchain,
}

impl BuildType {
    /// Every type that can be asked for.
    pub const ALL: [Self; 6] = [
        Self::BuildCrm,
        Self::BuildWebsite,
        Self::BuildEcommerce,
        Self::BuildApi,
        Self::BuildDashboard,
        Self::BuildBlockchain,
    ];

    /// Spoken name without article.
    #[must_use]
    pub const fn noun(self) -> &'static str {
        match self {
            Self::BuildCrm => "CRM",
            Self::BuildWebsite => "website",
            Self::BuildEcommerce => "online shop",
            Self::BuildApi => "API",
            Self::BuildDashboard => "dashboard",
            Self::BuildBlockchain => "blockchain",
        }
    }

    /// The type of this spoken name; `None` also for what nothing builds.
    #[must_use]
    pub fn of_noun(noun: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.is_buildable() && t.noun().eq_ignore_ascii_case(noun))
    }

    /// The article that goes before [`Self::noun`].
    #[must_use]
    pub const fn article(self) -> &'static str {
        match self {
            Self::BuildEcommerce | Self::BuildApi => "an",
            _ => "a",
        }
    }

    /// Whether something here builds it.
    #[must_use]
    pub const fn is_buildable(self) -> bool {
        !matches!(self, Self::BuildBlockchain)
    }
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
    /// 0..=1, of the intent, to the millionth.
    #[serde(deserialize_with = "read_confidence")]
    pub confidence: f64,
    /// Revision, open points, approval, caller.
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

/// A probability and nothing else. To the millionth: so many digits are read back as they were written, on any machine.
fn read_confidence<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
    let read = f64::deserialize(d)?;
    // What was written by an earlier version may be beyond one by its last bit.
    if !(0.0..=1.0 + 1e-9).contains(&read) {
        return Err(serde::de::Error::custom(format!("confidence is {read}; write a number from 0 to 1")));
    }
    // -0 is 0.
    Ok((read * 1e6).round().abs().min(1e6) / 1e6)
}

/// The id of a manifest: the same conversation, artefact and revision always give the same id, so that a repeated request
/// builds nothing twice. `artefact` is compared without regard to case.
#[must_use]
pub fn manifest_id(conversation_id: &str, artefact: &str, revision: u32) -> String {
    let mut hash = Sha256::new();
    // Length first: no two different triples may run together.
    for part in [conversation_id, &artefact.to_lowercase(), &revision.to_string()] {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let mut id = String::from("man_");
    for byte in &hash.finalize()[..16] {
        id.push_str(&format!("{byte:02x}"));
    }
    id
}

impl BuildManifest {
    /// The app (its name for paths) that this request changes, `metadata.amends`; None: it asks for a new one.
    #[must_use]
    pub fn amends(&self) -> Option<&str> {
        self.metadata.get("amends").and_then(serde_json::Value::as_str).filter(|slug| !slug.is_empty())
    }

    /// Which revision of the request this is; 1 when nothing says.
    #[must_use]
    pub fn revision(&self) -> u32 {
        self.metadata
            .get("revision")
            .and_then(serde_json::Value::as_u64)
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(1)
    }

    /// What the caller asked for and was told that it cannot be built yet.
    #[must_use]
    pub fn open_points(&self) -> Vec<&str> {
        let points = self.metadata.get("open_points").and_then(serde_json::Value::as_array);
        points.map(|list| list.iter().filter_map(serde_json::Value::as_str).collect()).unwrap_or_default()
    }

    /// The same request with other features, as the next revision: new id, no approval.
    #[must_use]
    pub fn amended(&self, features: Vec<String>) -> Self {
        let revision = self.revision().saturating_add(1);
        let mut next = Self { features, ..self.clone() };
        next.manifest_id = manifest_id(&self.conversation_id, &self.title, revision);
        next.metadata.insert("revision".into(), revision.into());
        next.metadata.shift_remove("approval");
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, Value, json};

    fn manifest() -> BuildManifest {
        let mut metadata = Map::new();
        metadata.insert("revision".into(), json!(2));
        metadata.insert("open_points".into(), json!(["invoices"]));
        metadata.insert("approval".into(), json!({"by": "key"}));
        BuildManifest {
            manifest_id: manifest_id("conv_1", "CRM", 2),
            build_type: BuildType::BuildCrm,
            title: "CRM".into(),
            description: "A CRM with contacts and deals.".into(),
            features: vec!["contacts".into(), "deals".into()],
            tech_stack: Vec::new(),
            constraints: Map::new(),
            integrations: Vec::new(),
            conversation_id: "conv_1".into(),
            created_from: CreatedFrom::Voice,
            confidence: 0.96,
            metadata,
        }
    }

    #[test]
    fn golden_json_of_twelve_fields() {
        let json = serde_json::to_string_pretty(&manifest()).expect("plain data");
        assert_eq!(format!("{json}\n"), include_str!("../../tests/fixtures/manifest.json"));
        let back: BuildManifest = serde_json::from_str(&json).expect("what we wrote");
        assert_eq!(back, manifest());
    }

    #[test]
    fn the_schema_names_the_same_fields() {
        let schema: Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
        let value = serde_json::to_value(manifest()).expect("plain data");
        let keys = |v: &Value| v.as_object().map(|o| o.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
        assert_eq!(keys(&value), keys(&schema["properties"]));
        assert_eq!(schema["required"], json!(keys(&value)));
        assert_eq!(schema["additionalProperties"], json!(false));
    }

    #[test]
    fn a_confidence_is_a_probability_and_reads_back_as_it_was_written() {
        let read = |confidence: &str| {
            let text = serde_json::to_string(&manifest()).expect("plain data").replace("0.96", confidence);
            serde_json::from_str::<BuildManifest>(&text).map(|manifest| manifest.confidence)
        };
        for no_probability in ["1.5", "-0.01", "1e300", "2", "-1", "1.00001", "\"0.9\"", "null"] {
            assert!(read(no_probability).is_err(), "{no_probability}");
        }
        for long in ["0", "1", "0.5", "0.30000000000000004", "0.8413447460685429", "1e-320", "-0.0", "0.999999999"] {
            let once = read(long).expect(long);
            let again = read(&serde_json::to_string(&once).expect("a number")).expect(long);
            assert!(once.to_bits() == again.to_bits() && (0.0..=1.0).contains(&once), "{long}: {once}, {again}");
        }
    }

    #[test]
    fn ids_are_derived() {
        let id = manifest_id("conv_1", "CRM", 1);
        assert_eq!(id, manifest_id("conv_1", "crm", 1));
        assert_eq!(id.len(), 4 + 32);
        for other in [manifest_id("conv_1", "CRM", 2), manifest_id("conv_2", "CRM", 1), manifest_id("conv_1C", "RM", 1)]
        {
            assert_ne!(id, other);
        }
    }

    #[test]
    fn an_amendment_is_a_new_revision_without_approval() {
        let next = manifest().amended(vec!["contacts".into()]);
        assert_eq!((next.revision(), next.features.len()), (3, 1));
        assert_ne!(next.manifest_id, manifest().manifest_id);
        assert!(next.metadata.get("approval").is_none());
        assert_eq!(next.open_points(), ["invoices"]);
    }
}
