//! Composition: base template of the type, a fragment per pack, open points. Pure: the same manifest gives the same spec.

use super::entity::{endpoint, endpoints};
use super::reuse::USUAL_CURRENCY;
use super::{
    Citation, CoveredFeature, Entity, FieldKind, OpenPoint, SPEC_FORMAT, Spec, SpecTest, Theme, crm, dashboard, rest,
    shop, slug, website,
};
use crate::pipeline::manifest::catalogue::{self, key};
use crate::pipeline::manifest::{BuildManifest, BuildType};

/// Scenarios about accounts that every app has.
pub const ACCESS_TESTS: [&str; 3] = [
    "the first account is made, and people sign in and out",
    "who may not do something is refused",
    "a key opens the API within its minute",
];

/// Colour sets by name: on light and on dark ground. Each accent has a contrast of 4.5 or more with its grounds (WCAG 2.2, 1.4.3).
pub(crate) const THEMES: [(&str, &str, &str); 6] = [
    ("teal", "#0f766e", "#2dd4bf"),
    ("blue", "#1d4ed8", "#8ab4ff"),
    ("violet", "#6d28d9", "#c4a7ff"),
    ("green", "#147538", "#6ee7a0"),
    ("rose", "#be123c", "#fda4b4"),
    ("amber", "#92400e", "#fbbf24"),
];

pub(super) fn compose(manifest: &BuildManifest) -> Spec {
    let kind = manifest.build_type;
    let mut features: Vec<CoveredFeature> = Vec::new();
    let mut open_points = Vec::new();
    let mut questions = Vec::new();
    for asked in &manifest.features {
        let key = key(asked);
        let Some(offer) = catalogue::find(kind, &key) else {
            open_points.push(open_point(key, false));
            continue;
        };
        let against = |f: &&CoveredFeature| {
            let other = catalogue::find(kind, &f.pack);
            offer.conflicts.contains(&f.pack.as_str()) || other.is_some_and(|o| o.conflicts.contains(&offer.pack))
        };
        if let Some(other) = features.iter().find(against) {
            let other = catalogue::find(kind, &other.pack).map_or("", |o| o.spoken);
            let say = format!("{} does not go together with {other}, so it is left open.", capital(offer.spoken));
            open_points.push(OpenPoint { feature: key, say, told: false });
            continue;
        }
        if !offer.question.is_empty() && !questions.contains(&offer.question.to_owned()) {
            questions.push(offer.question.to_owned());
        }
        features.push(CoveredFeature { feature: key, pack: offer.pack.to_owned(), asked: true });
    }
    // What the dialogue knew that it could not have.
    for key in manifest.open_points().into_iter().map(key) {
        if !open_points.iter().any(|p| p.feature == key) {
            open_points.push(open_point(key, true));
        }
    }
    let missing = catalogue::offers(kind).filter(|o| o.basic && !features.iter().any(|f| f.pack == o.pack));
    let basics: Vec<_> =
        missing.map(|o| CoveredFeature { feature: o.pack.to_owned(), pack: o.pack.to_owned(), asked: false }).collect();
    features.splice(0..0, basics);
    let title = title(manifest);
    let mut spec = Spec {
        format: SPEC_FORMAT,
        manifest_id: manifest.manifest_id.clone(),
        build_type: kind,
        slug: slug(&title),
        description: manifest.description.trim().to_owned(),
        currency: currency(manifest),
        theme: theme(manifest, &title),
        title,
        features,
        entities: Vec::new(),
        pages: Vec::new(),
        flows: Vec::new(),
        integrations: manifest.integrations.clone(),
        questions,
        api: Vec::new(),
        tests: Vec::new(),
        citations: Vec::new(),
        open_points,
    };
    match kind {
        BuildType::BuildCrm => crm::add(&mut spec),
        BuildType::BuildWebsite => website::add(&mut spec),
        BuildType::BuildEcommerce => shop::add(&mut spec),
        BuildType::BuildApi => rest::add(&mut spec),
        BuildType::BuildDashboard => dashboard::add(&mut spec),
        // Nothing is made of it; the stage that reads this says so.
        BuildType::BuildBlockchain => return spec,
    }
    let mut api: Vec<_> = spec.entities.iter().flat_map(endpoints).collect();
    api.append(&mut spec.api);
    api.push(endpoint("/api/summary", &["GET"], None));
    spec.api = api;
    spec.tests.extend(ACCESS_TESTS.map(test));
    let base = serde_json::to_value(kind).unwrap_or_default();
    let source = |pack: &str| {
        let asked = spec.features.iter().find(|f| f.pack == pack && f.asked);
        let base = || format!("base {}", base.as_str().unwrap_or_default());
        asked.map_or_else(base, |f| format!("manifest feature {}", f.feature))
    };
    let of_entities = spec.entities.iter().map(|e| (format!("entity {}", e.name), source(&e.name)));
    let of_packs = spec.features.iter().map(|f| (format!("pack {}", f.pack), source(&f.pack)));
    spec.citations = of_entities.chain(of_packs).map(|(part, source)| Citation { part, source }).collect();
    spec
}

impl Spec {
    /// Whether the pack called `pack` is in.
    #[must_use]
    pub fn has(&self, pack: &str) -> bool {
        self.features.iter().any(|f| f.pack == pack)
    }
}

pub(super) fn test(name: impl Into<String>) -> SpecTest {
    SpecTest { name: name.into() }
}

/// Names of the scenarios that are written for any entity; the kernels' tests hold them to this list.
#[must_use]
pub fn promises(entity: &Entity) -> Vec<String> {
    let (one, many) = (entity.label_one.to_lowercase(), entity.label.to_lowercase());
    let mut names = vec![
        format!("{} {one} can be added, read, changed and deleted", article(&one)),
        format!("{many} are listed in order, paged and exported"),
        format!("the database itself refuses bad {many}"),
    ];
    if !entity.search.is_empty() {
        names.push(format!("{many} are found by their words"));
    }
    if entity.within.is_none() {
        names.push(format!("{many} can be imported"));
    }
    if entity.fields.iter().any(|f| f.kind == FieldKind::Choice) && entity.board.is_some() {
        names.push(format!("{many} move over their board"));
    }
    names
}

/// Names of the scenarios of whole apps but the CRM, whose own go further.
pub const SAMPLE_TESTS: [&str; 2] =
    ["every page answers while there is nothing", "every page answers with the first data"];

/// Adds entities with their pages and promised tests.
pub(super) fn include(spec: &mut Spec, entities: Vec<Entity>) {
    for entity in entities {
        if entity.within.is_none() {
            spec.pages.push(super::entity::page_of(&entity));
        }
        spec.tests.extend(promises(&entity).into_iter().map(test));
        spec.entities.push(entity);
    }
    spec.tests.extend(SAMPLE_TESTS.map(test));
}

pub(super) fn flow(spec: &mut Spec, name: &str, steps: &[&str]) {
    let steps = steps.iter().map(|s| (*s).to_owned()).collect();
    spec.flows.push(super::Flow { name: name.to_owned(), steps });
}

/// "an order", "a note".
fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

fn open_point(feature: String, told: bool) -> OpenPoint {
    let say = format!("I have no ready-made part for {} yet, so it is left open.", feature.replace('_', " "));
    OpenPoint { feature, say, told }
}

fn title(manifest: &BuildManifest) -> String {
    let title = manifest.title.split_whitespace().collect::<Vec<_>>().join(" ");
    if title.is_empty() { capital(manifest.build_type.noun()) } else { title.chars().take(60).collect() }
}

/// The currency that the caller named, else US dollars.
fn currency(manifest: &BuildManifest) -> String {
    manifest
        .constraints
        .get("currency")
        .and_then(|v| v.as_str())
        .map(str::to_ascii_uppercase)
        .filter(|c| c.len() == 3 && c.bytes().all(|b| b.is_ascii_uppercase()))
        .unwrap_or_else(|| USUAL_CURRENCY.to_owned())
}

/// The colour that the caller named, else one that goes with the type.
fn theme(manifest: &BuildManifest, title: &str) -> Theme {
    let named = ["colour", "color", "theme"].iter().find_map(|k| manifest.constraints.get(*k)?.as_str());
    let by_name = named.and_then(|n| THEMES.iter().find(|t| n.to_lowercase().contains(t.0)));
    let usual = match manifest.build_type {
        BuildType::BuildCrm | BuildType::BuildBlockchain => 0,
        // Two websites of one box should not look the same.
        BuildType::BuildWebsite => [1, 3, 4, 0][title.bytes().map(usize::from).sum::<usize>() % 4],
        BuildType::BuildEcommerce => 2,
        BuildType::BuildApi => 1,
        BuildType::BuildDashboard => 3,
    };
    let (name, accent, dark) = by_name.unwrap_or(&THEMES[usual]);
    Theme { name: (*name).to_owned(), accent: (*accent).to_owned(), accent_dark: (*dark).to_owned() }
}
