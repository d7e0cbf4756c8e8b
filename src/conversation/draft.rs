//! The wanted app while it is talked about: what is known of it, its read-back, its changes, its manifest.
//!
//! Pure. Invariants: what every app of the type has is always in (a CRM's contacts, a shop's products); what cannot be built is an open
//! point and is said aloud; each change makes a new revision. Deliberately absent: when to ask what (`dialogue`).

mod read_back;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::numbers;
use crate::limits::OPEN_POINTS_MAX;
use crate::pipeline::intent::{Act, Entities, Feature, FeatureEdit, Fired, Understanding};
use crate::pipeline::manifest::{BuildManifest, BuildType, CreatedFrom, catalogue, manifest_id};

/// Features that the CRM kernel covers, and what each is a part of: a part comes with its whole.
const BUILDABLE: &[(&str, Option<&str>)] = &[
    ("contacts", None),
    ("companies", None),
    ("deals", None),
    ("stages", Some("deals")),
    ("notes", None),
    ("search", Some("contacts")),
    ("export", Some("contacts")),
];
/// What came or went by one change is named up to here; the rest is counted.
const NAMED_MAX: usize = 8;

fn buildable(key: &str) -> bool {
    BUILDABLE.iter().any(|(k, _)| *k == key)
}

fn whole_of(key: &str) -> Option<&'static str> {
    BUILDABLE.iter().find(|(k, _)| *k == key).and_then(|(_, whole)| *whole)
}

/// What the caller wants so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Draft {
    #[serde(default)]
    build_type: BuildType,
    pub(super) revision: u32,
    /// Can be built, in the order named, contacts first.
    features: Vec<Feature>,
    /// Cannot be built yet.
    open: Vec<Feature>,
    name: Option<String>,
    purpose: Option<String>,
    confidence: f64,
    /// Technology that was named, as its makers write it.
    #[serde(default)]
    tech_stack: Vec<String>,
    /// Systems to be connected to, likewise.
    #[serde(default)]
    integrations: Vec<String>,
    /// Budget, timeline, scale, as in the manifest.
    #[serde(default)]
    constraints: Map<String, Value>,
    /// Ids of the words that asked for it, derived from them: of the utterance, and of what it wants.
    #[serde(default)]
    known_by: Option<(String, String)>,
    /// The live app that it changes, by its name for paths.
    #[serde(default)]
    amends: Option<String>,
}

/// What a change did, for the ear.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Delta {
    pub(super) say: Vec<String>,
    pub(super) changed: bool,
}

impl Draft {
    /// From the turn that asked for it.
    pub(super) fn new(asked: &Understanding, revision: u32) -> Self {
        let build_type = match asked.act {
            Act::BuildOther(noun) => BuildType::of_noun(noun).unwrap_or_default(),
            _ => BuildType::BuildCrm,
        };
        let mut draft = Self {
            build_type,
            revision,
            features: Vec::new(),
            open: Vec::new(),
            name: asked.name.clone(),
            purpose: asked.purpose.clone(),
            confidence: asked.confidence,
            tech_stack: Vec::new(),
            integrations: Vec::new(),
            constraints: Map::new(),
            known_by: None,
            amends: None,
        };
        if !draft.is_crm() {
            draft.take_basics();
        }
        draft.take(&asked.edit);
        draft.specify(&asked.entities);
        for name in asked.also.iter().filter(|name| **name != build_type.noun()) {
            draft.leave_open(Feature { key: (*name).to_owned(), spoken: format!("the {name}") });
        }
        draft
    }

    /// What the live app `slug` was made from, to be changed.
    pub(super) fn of(manifest: &BuildManifest, slug: &str) -> Self {
        let build_type = manifest.build_type;
        let named = |key: &str| match catalogue::find(build_type, key).filter(|_| build_type != BuildType::BuildCrm) {
            Some(offer) => Feature { key: offer.pack.to_owned(), spoken: offer.spoken.to_owned() },
            None => Feature::of_key(key),
        };
        let strings = |key: &str| manifest.metadata.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        let title = manifest.title.to_lowercase();
        Self {
            build_type,
            revision: manifest.metadata.get("revision").and_then(Value::as_u64).map_or(1, |r| r.min(9_999) as u32),
            features: manifest.features.iter().map(|key| named(key)).collect(),
            open: strings("open_points").iter().filter_map(Value::as_str).map(named).collect(),
            name: (title != build_type.noun().to_lowercase()).then_some(title),
            purpose: None,
            confidence: manifest.confidence,
            tech_stack: manifest.tech_stack.clone(),
            integrations: manifest.integrations.clone(),
            constraints: manifest.constraints.clone(),
            known_by: None,
            amends: Some(slug.to_owned()),
        }
    }

    /// Whether it changes a live app, and is no new one.
    pub(super) const fn amends(&self) -> bool {
        self.amends.is_some()
    }

    /// The same, opened by what the trigger found.
    pub(super) fn known_by(mut self, fired: Option<Fired>) -> Self {
        self.known_by = fired.map(|fired| (fired.utterance_id, fired.spec_id));
        self
    }

    /// What type of app it is.
    pub(super) const fn kind(&self) -> BuildType {
        self.build_type
    }

    fn is_crm(&self) -> bool {
        self.build_type == BuildType::BuildCrm
    }

    /// What every app of the type has and is worth saying.
    fn take_basics(&mut self) {
        for offer in catalogue::offers(self.build_type).filter(|o| o.basic && o.of.is_some()) {
            self.features.push(Feature { key: offer.pack.to_owned(), spoken: offer.spoken.to_owned() });
        }
    }

    fn buildable(&self, key: &str) -> bool {
        if self.is_crm() { buildable(key) } else { catalogue::find(self.build_type, key).is_some() }
    }

    /// Whether the caller has named anything that it shall keep.
    pub(super) fn has_features(&self) -> bool {
        !self.features.is_empty()
    }

    /// Contacts and deals: what most mean when they do not say.
    pub(super) fn take_usual(&mut self) {
        self.add(Feature::of_key("contacts"));
        self.add(Feature::of_key("deals"));
    }

    /// Keys of the features that can be built, for the state that is shown.
    pub(super) fn feature_keys(&self) -> Vec<String> {
        self.features.iter().map(|f| f.key.clone()).collect()
    }

    /// Keys of the open points.
    pub(super) fn open_keys(&self) -> Vec<String> {
        self.open.iter().map(|f| f.key.clone()).collect()
    }

    /// Takes technology, systems and limits. A system that is asked for is an open point: none can be connected to yet.
    pub(super) fn specify(&mut self, named: &Entities) {
        for name in &named.tech_stack {
            if self.tech_stack.len() < OPEN_POINTS_MAX && !self.tech_stack.contains(name) {
                self.tech_stack.push(name.clone());
            }
        }
        for name in &named.integrations {
            if self.integrations.len() < OPEN_POINTS_MAX && !self.integrations.contains(name) {
                self.integrations.push(name.clone());
                self.leave_open(Feature { key: name.to_lowercase(), spoken: format!("a connection to {name}") });
            }
        }
        if let Ok(Value::Object(limits)) = serde_json::to_value(&named.constraints) {
            self.constraints.extend(limits);
        }
    }

    /// Takes what an edit names, without words about it (before the first read-back).
    pub(super) fn take(&mut self, edit: &FeatureEdit) {
        if edit.only {
            self.features.clear();
            self.open.clear();
            if !self.is_crm() {
                self.take_basics();
            }
        }
        if edit.both && self.is_crm() {
            self.take_usual();
        }
        if edit.all && !self.is_crm() {
            // Nothing but pages is no part of everything.
            for offer in catalogue::offers(self.build_type).filter(|o| o.of.is_some() && o.conflicts.is_empty()) {
                self.add(Feature::of_key(offer.pack));
            }
        } else if edit.all {
            for (key, _) in BUILDABLE {
                self.add(Feature::of_key(key));
            }
        }
        for feature in &edit.add {
            self.add(feature.clone());
        }
        for feature in &edit.remove {
            self.open.retain(|f| f.key != feature.key);
            let key = self.key_of(&feature.key);
            if !self.is_basic(&key) {
                self.features.retain(|f| f.key != key);
            }
        }
    }

    /// The key under which a feature is kept: its pack's, where the type has packs of more than one word.
    fn key_of(&self, key: &str) -> String {
        let pack = catalogue::find(self.build_type, key).filter(|_| !self.is_crm());
        pack.map_or_else(|| key.to_owned(), |o| o.pack.to_owned())
    }

    fn is_basic(&self, key: &str) -> bool {
        if self.is_crm() {
            return key == "contacts";
        }
        catalogue::find(self.build_type, key).is_some_and(|o| o.basic)
    }

    /// Takes a change to what was read back, and says only what it changed.
    pub(super) fn amend(&mut self, understood: &Understanding) -> Delta {
        let before = self.clone();
        let mut delta = Delta::default();
        self.take(&understood.edit);
        self.specify(&understood.entities);
        if (&self.constraints, &self.tech_stack) != (&before.constraints, &before.tech_stack) {
            delta.say.extend(self.limits());
        }
        for name in &understood.also {
            self.leave_open(Feature { key: (*name).to_owned(), spoken: format!("the {name}") });
        }
        for feature in &understood.edit.remove {
            if feature.key == "deals" {
                self.features.retain(|f| f.key != "stages");
            }
            if feature.key == "contacts" && self.is_crm() {
                delta.say.push("Every CRM has contacts, so they stay.".to_owned());
            } else if self.is_basic(&self.key_of(&feature.key)) {
                let (noun, spoken) = (self.build_type.noun(), &feature.spoken);
                delta.say.push(format!("Every {noun} has {spoken}, so that stays."));
            }
        }
        if let Some(name) = &understood.name {
            self.name = Some(name.clone());
        }
        let gone: Vec<Feature> =
            before.features.iter().chain(&before.open).filter(|f| !self.holds(&f.key)).cloned().collect();
        let (come, left): (Vec<Feature>, Vec<Feature>) = self
            .features
            .iter()
            .chain(&self.open)
            .filter(|f| !before.holds(&f.key))
            .cloned()
            .partition(|f| self.buildable(&f.key));
        for (list, tail) in [(&gone, "out"), (&come, "in")] {
            if !list.is_empty() {
                let named = capitalised(&numbers::first(&names(list), NAMED_MAX));
                delta.say.push(format!("{named} {} {tail}.", is_or_are(list)));
            }
        }
        if !left.is_empty() {
            delta.say.push(format!("I can't build {} yet.", numbers::first(&names(&left), NAMED_MAX)));
            delta.say.push(if left.len() == 1 { "It stays open." } else { "They stay open." }.to_owned());
        }
        if self.name != before.name {
            delta.say.push(format!("It is called {}.", self.title()));
        }
        delta.changed = *self != before;
        if delta.changed {
            self.revision += 1;
            delta.say.push(format!("This is revision {}.", numbers::word(self.revision)));
        }
        delta
    }

    /// Spoken name, e.g. "CRM" or "Acme CRM".
    pub(super) fn title(&self) -> String {
        if !self.is_crm() {
            return self.name.as_deref().map_or_else(|| capitalised(self.build_type.noun()), title_case);
        }
        match &self.name {
            Some(name) if name.contains("crm") => title_case(name),
            Some(name) => format!("{} CRM", title_case(name)),
            None => "CRM".to_owned(),
        }
    }

    /// The manifest of this revision. `approval`: how the caller approved.
    pub(super) fn manifest(&self, conversation_id: &str, approval: Value) -> BuildManifest {
        let parts = |f: &&Feature| !self.is_crm() || whole_of(&f.key).is_none_or(|whole| whole == "contacts");
        let features: Vec<String> = self.features.iter().filter(parts).map(|f| f.key.clone()).collect();
        let for_whom =
            self.purpose.as_ref().map(|p| format!(" for {}", p.replacen("your ", "a ", 1))).unwrap_or_default();
        let mut metadata = Map::new();
        metadata.insert("revision".into(), json!(self.revision));
        metadata.insert("open_points".into(), json!(self.open_keys()));
        metadata.insert("approval".into(), approval);
        if let Some(slug) = &self.amends {
            metadata.insert("amends".into(), json!(slug));
        }
        if let Some((utterance, spec)) = &self.known_by {
            metadata.insert("utterance_id".into(), json!(utterance));
            metadata.insert("spec_id".into(), json!(spec));
        }
        BuildManifest {
            manifest_id: manifest_id(conversation_id, &self.title(), self.revision),
            build_type: self.build_type,
            title: self.title(),
            description: format!(
                "{} {}{for_whom} with {}.",
                capitalised(self.build_type.article()),
                self.build_type.noun(),
                spoken(&self.features)
            ),
            features,
            tech_stack: self.tech_stack.clone(),
            constraints: self.constraints.clone(),
            integrations: self.integrations.clone(),
            conversation_id: conversation_id.to_owned(),
            created_from: CreatedFrom::Voice,
            confidence: self.confidence,
            metadata,
        }
    }

    fn holds(&self, key: &str) -> bool {
        self.features.iter().chain(&self.open).any(|f| f.key == key)
    }

    fn add(&mut self, feature: Feature) {
        if self.holds(&feature.key) {
            return;
        }
        if !self.buildable(&feature.key) {
            self.leave_open(feature);
            return;
        }
        if let Some(offer) = catalogue::find(self.build_type, &feature.key).filter(|_| !self.is_crm()) {
            if !self.holds(offer.pack) {
                self.features.push(Feature { key: offer.pack.to_owned(), spoken: offer.spoken.to_owned() });
            }
            return;
        }
        if feature.key != "contacts" {
            self.add(Feature::of_key(whole_of(&feature.key).unwrap_or("contacts")));
            self.features.push(feature);
            if !self.features.iter().any(|f| f.key == "contacts") {
                self.features.insert(0, Feature::of_key("contacts"));
            }
        } else {
            self.features.insert(0, feature);
        }
    }

    fn leave_open(&mut self, feature: Feature) {
        if self.open.len() < OPEN_POINTS_MAX && !self.holds(&feature.key) {
            self.open.push(feature);
        }
    }
}

fn spoken(features: &[Feature]) -> String {
    numbers::list(&names(features))
}

fn names(features: &[Feature]) -> Vec<String> {
    features.iter().map(|f| f.spoken.clone()).collect()
}

fn is_or_are(features: &[Feature]) -> &'static str {
    match features {
        [one] if !one.spoken.ends_with('s') => "is",
        _ => "are",
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

fn title_case(name: &str) -> String {
    let words: Vec<String> =
        name.split(' ').map(|w| if w == "crm" { "CRM".to_owned() } else { capitalised(w) }).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::intent::{Context, understand};
    use crate::pipeline::spec;

    #[test]
    fn limits_technology_and_systems_are_read_back_and_written_down() {
        let said = "build a CRM with contacts and deals in React, connected to Slack, for about two hundred users, at most five \
                    thousand dollars, in two weeks";
        let mut draft = Draft::new(&understand(said, Context::AskedWhat), 1);
        let read_back = draft.read_back().join(" ");
        for part in [
            "I noted a budget of 5000 dollars, two weeks and 200 users.",
            "I build without React.",
            "I can't build a connection to Slack yet.",
        ] {
            assert!(read_back.contains(part), "{part}: {read_back}");
        }
        let manifest = draft.manifest("conv_1", json!({}));
        assert_eq!(manifest.constraints["budget"], json!({"amount": 5000, "currency": "USD"}));
        assert_eq!((&manifest.constraints["timeline"], &manifest.constraints["scale"]), (&json!("P2W"), &json!(200)));
        assert_eq!((manifest.tech_stack, manifest.integrations), (vec!["React".to_owned()], vec!["Slack".to_owned()]));
        let delta = draft.amend(&understand("make it three weeks, in three weeks", Context::AskedApproval));
        assert!(delta.changed && delta.say.join(" ").contains("three weeks"), "{delta:?}");
        let plain = Draft::new(&understand("build a CRM with contacts", Context::AskedWhat), 1);
        assert!(plain.limits().is_empty() && plain.manifest("conv_1", json!({})).constraints.is_empty());
    }

    #[test]
    fn what_is_promised_can_be_built() {
        for (key, _) in BUILDABLE {
            assert!(spec::covers(BuildType::BuildCrm, key), "{key}");
        }
    }

    /// A draft after "build a …" and these features.
    fn draft(noun: &'static str, features: &[&str]) -> Draft {
        let mut asked = understand(&format!("build me a {noun}"), Context::Free);
        asked.act = Act::BuildOther(noun);
        asked.also.clear();
        asked.edit =
            FeatureEdit { add: features.iter().map(|f| Feature::of_key(f)).collect(), ..FeatureEdit::default() };
        Draft::new(&asked, 1)
    }

    #[test]
    fn every_type_is_read_back_and_becomes_its_manifest() {
        for (noun, features, said) in [
            ("website", &["blog", "contact_form"][..], "A website with pages, a blog and a contact form."),
            (
                "online shop",
                &[],
                "An online shop with products, a basket, a checkout, orders, stock and test payments.",
            ),
            ("API", &["customers"], "An API with rate limits, a page of documentation and customers."),
            ("dashboard", &[], "A dashboard with charts, figures at a glance, filters and time ranges."),
        ] {
            let draft = draft(noun, features);
            assert_eq!(draft.read_back()[1], said);
            assert!(draft.has_features());
            let manifest = draft.manifest("conv_1", Value::Bool(true));
            assert_eq!(Some(manifest.build_type), BuildType::of_noun(noun));
            let spec = spec::Spec::compose(&manifest);
            assert_eq!(spec.open_points, [], "{noun}");
            assert!(!spec.entities.is_empty(), "{noun}");
        }
    }

    #[test]
    fn what_no_pack_covers_stays_open_and_what_belongs_to_the_type_stays_in() {
        let mut shop = draft("online shop", &["telepathy"]);
        assert_eq!(shop.open_keys(), ["telepathy"]);
        let mut asked = understand("no", Context::AskedApproval);
        asked.edit = FeatureEdit { remove: vec![Feature::of_key("stock")], ..FeatureEdit::default() };
        let delta = shop.amend(&asked);
        assert_eq!(delta.say, ["Every online shop has stock, so that stays."]);
        assert!(!delta.changed);
        assert_eq!(shop.title(), "Online shop");
    }
}
