//! The spec: what will be generated, field by field, derived from a manifest and from what it leaves open to earlier builds.
//! Purpose: the one typed document between "what the caller asked for" and "files"; a base template of the build type
//! plus one pack per asked feature. Pure: no clock, no randomness, no files; the same manifest and
//! the same earlier spec give the same spec.
//! Invariants: every asked feature ends either in `features` (with the pack that covers it) or in `open_points` (with a
//! sentence that can be spoken); every reference names an entity of the same spec.
//! Deliberately absent: SQL, HTML and anything else that a kernel decides.

mod compose;
mod crm;
pub(crate) mod dashboard;
mod entity;
mod rest;
mod reuse;
mod shop;
mod website;

#[cfg(test)]
pub(crate) use compose::THEMES;
pub use compose::{ACCESS_TESTS, SAMPLE_TESTS, promises};
pub(crate) use reuse::{CURRENCIES, currency_words};

use super::manifest::{BuildManifest, BuildType, catalogue};
use serde::{Deserialize, Serialize};

/// Version of this document's shape.
pub const SPEC_FORMAT: u32 = 1;
/// Longest slug, characters.
pub const SLUG_CHARS_MAX: usize = 40;

/// What is to be generated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// [`SPEC_FORMAT`].
    pub format: u32,
    /// The manifest that this was composed from.
    pub manifest_id: String,
    /// Which kernel capability is needed.
    pub build_type: BuildType,
    /// Name as spoken and shown, e.g. "Harbour CRM".
    pub title: String,
    /// Name for paths and hosts: `[a-z0-9-]`, 1..=40 characters, derived from the title.
    pub slug: String,
    /// One sentence.
    pub description: String,
    /// ISO 4217 code for every amount in the app.
    pub currency: String,
    /// Asked (or basic) features and the pack that covers each.
    pub features: Vec<CoveredFeature>,
    /// Kinds of record, in the order in which they appear in menus.
    pub entities: Vec<Entity>,
    /// HTML pages, in menu order.
    pub pages: Vec<Page>,
    /// What people do with it, step by step.
    #[serde(default)]
    pub flows: Vec<Flow>,
    /// How it looks.
    #[serde(default)]
    pub theme: Theme,
    /// Other systems that were named.
    #[serde(default)]
    pub integrations: Vec<String>,
    /// What should be asked before it is relied on.
    #[serde(default)]
    pub questions: Vec<String>,
    /// JSON endpoints. "N APIs" counts these: one API = one path.
    pub api: Vec<ApiEndpoint>,
    /// What must hold before the app counts as tested; each names a generated scenario.
    pub tests: Vec<SpecTest>,
    /// Why each part is there.
    pub citations: Vec<Citation>,
    /// Asked, but covered by no pack: said aloud, never faked.
    pub open_points: Vec<OpenPoint>,
}

/// One way through the app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// Who does what.
    pub name: String,
    /// Paths in order.
    pub steps: Vec<String>,
}

/// How an app looks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Theme {
    /// Name of the colour set.
    pub name: String,
    /// Colour of links and buttons on light ground, `#rrggbb`.
    pub accent: String,
    /// The same on dark ground.
    pub accent_dark: String,
}

/// A feature that will be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoveredFeature {
    /// Key as asked for.
    pub feature: String,
    /// Pack that covers it.
    pub pack: String,
    /// False for what belongs to the type and was not asked for.
    pub asked: bool,
}

/// A feature that will not be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenPoint {
    /// Key as asked for.
    pub feature: String,
    /// One sentence for the caller.
    pub say: String,
    /// Whether the caller has heard of it already, when the manifest was read back.
    #[serde(default, skip_serializing_if = "is_false")]
    pub told: bool,
}

/// One kind of record; becomes a table, a form and endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entity {
    /// Plural identifier: table name and path segment.
    pub name: String,
    /// Singular identifier.
    pub singular: String,
    /// Plural for people.
    pub label: String,
    /// Singular for people.
    pub label_one: String,
    /// Field that stands for the record in lists and headings.
    pub title_field: String,
    /// Fields that full-text search covers; empty when the entity has no search.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<String>,
    /// Choice field whose values are the columns of a board.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub board: Option<String>,
    /// Reference field of the entity that this one is only shown under (no list of its own in the menu).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    /// Fields in form order.
    pub fields: Vec<Field>,
}

/// One field of an entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Column and JSON name.
    pub name: String,
    /// For people.
    pub label: String,
    /// What it holds.
    pub kind: FieldKind,
    /// Whether it must be filled in.
    #[serde(default, skip_serializing_if = "is_false")]
    pub required: bool,
    /// Whether no two records may share a non-empty value.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unique: bool,
    /// Whether lists show it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub list: bool,
    /// Longest text, characters; 0 for kinds that are not text.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub chars_max: u32,
    /// Help shown under the input.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// HTML `autocomplete` token.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub autocomplete: String,
    /// Entity that a reference points to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub references: Option<String>,
    /// What happens to this record when the referenced one is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_delete: Option<OnDelete>,
    /// Allowed values of a choice; the first is the default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// One of `choices`.
    Choice,
    /// Calendar day, `YYYY-MM-DD`.
    Date,
    /// Number with a fraction, of either sign.
    Decimal,
    /// Mail address.
    Email,
    /// Several lines.
    LongText,
    /// Amount in hundredths of the currency, integer, 0 or more.
    Money,
    /// Whole number, 0 or more.
    Number,
    /// Telephone number as written by people.
    Phone,
    /// Id of a record of `references`.
    Reference,
    /// Lower-case word for an address; made of the title when left empty.
    Slug,
    /// One line.
    Text,
}

/// What becomes of a record whose referenced record is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDelete {
    /// It is deleted too.
    Cascade,
    /// The deletion is refused.
    Restrict,
}

/// One value of a choice field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// Stored value.
    pub value: String,
    /// For people.
    pub label: String,
    /// Whether a record with this value counts as closed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub closed: bool,
}

/// One page of the app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// Path from the app's root.
    pub path: String,
    /// Menu text.
    pub title: String,
    /// What it shows.
    pub kind: PageKind,
    /// Entity that it shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<String>,
}

/// What a page shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageKind {
    /// Records in columns by state.
    Board,
    /// Records grouped by the value of one field.
    Groups,
    /// Records in a table, with search, detail and form.
    List,
    /// Counts and sums over everything.
    Overview,
}

/// One path of the JSON API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiEndpoint {
    /// Path template, e.g. `/api/contacts/{id}`.
    pub path: String,
    /// Methods in upper case.
    pub methods: Vec<String>,
    /// Entity behind it; none for the summary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<String>,
}

/// One promise that a generated scenario keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpecTest {
    /// Name of the scenario, in plain words.
    pub name: String,
}

/// Why a part is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Citation {
    /// Part of the spec, e.g. `entity deals`.
    pub part: String,
    /// Where it comes from, e.g. `manifest feature deals` or `base build_crm`.
    pub source: String,
}

impl Spec {
    /// Composes the spec of `manifest`: the base template of its build type plus a pack per asked feature.
    #[must_use]
    pub fn compose(manifest: &BuildManifest) -> Self {
        compose::compose(manifest)
    }

    /// The entity called `name`.
    #[must_use]
    pub fn entity(&self, name: &str) -> Option<&Entity> {
        self.entities.iter().find(|e| e.name == name)
    }

    /// What the caller should still hear about features that will not be there; empty when there is nothing new.
    #[must_use]
    pub fn say_open_points(&self) -> String {
        self.open_points.iter().filter(|p| !p.told).map(|p| p.say.as_str()).collect::<Vec<_>>().join(" ")
    }
}

impl Entity {
    /// The field called `name`.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|f| f.name == name)
    }
}

/// Whether a pack covers the feature called `feature` in apps of this type; what a dialogue promises must be among them.
#[must_use]
pub fn covers(build_type: BuildType, feature: &str) -> bool {
    catalogue::find(build_type, feature).is_some()
}

/// Name for paths and hosts out of a spoken title: ASCII letters and digits kept in lower case, everything else one
/// dash, at most [`SLUG_CHARS_MAX`] characters; "app" when nothing is left.
#[must_use]
pub fn slug(title: &str) -> String {
    let mut out = String::new();
    for c in title.chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
        if out.len() == SLUG_CHARS_MAX {
            break;
        }
    }
    let trimmed = out.trim_end_matches('-');
    if trimmed.is_empty() { "app".to_owned() } else { trimmed.to_owned() }
}

fn is_false(value: &bool) -> bool {
    !*value
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}
