//! The CRM's base template and its feature packs. Purpose: which entities, pages, endpoints and promised tests a CRM
//! with given features has. Pure. Deliberately absent: how they look in SQL or HTML (`pipeline::kernel::crm`).

use super::{
    ApiEndpoint, Choice, Citation, CoveredFeature, Entity, Field, FieldKind, OnDelete, OpenPoint, Page, PageKind,
    SPEC_FORMAT, Spec, SpecTest, slug,
};
use crate::pipeline::manifest::BuildManifest;

/// Feature words and the pack that covers each. A word that is missing here becomes an open point.
const PACKS: &[(&str, Pack)] = &[
    ("clients", Pack::Contacts),
    ("companies", Pack::Companies),
    ("contact_management", Pack::Contacts),
    ("contacts", Pack::Contacts),
    ("csv", Pack::Contacts),
    ("csv_export", Pack::Contacts),
    ("customers", Pack::Contacts),
    ("dashboard", Pack::Contacts),
    ("deal_stages", Pack::Deals),
    ("deal_tracking", Pack::Deals),
    ("deals", Pack::Deals),
    ("export", Pack::Contacts),
    ("notes", Pack::Notes),
    ("opportunities", Pack::Deals),
    ("organizations", Pack::Companies),
    ("pipeline", Pack::Deals),
    ("sales_pipeline", Pack::Deals),
    ("search", Pack::Contacts),
    ("stages", Pack::Deals),
];

/// A coherent set of entities, pages and tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pack {
    /// People, overview, search, export: every CRM has it.
    Contacts,
    /// People grouped by company.
    Companies,
    /// Deals with stages and a board.
    Deals,
    /// Notes kept on a contact.
    Notes,
}

impl Pack {
    const fn name(self) -> &'static str {
        match self {
            Self::Contacts => "contacts",
            Self::Companies => "companies",
            Self::Deals => "deals",
            Self::Notes => "notes",
        }
    }
}

pub(super) fn compose(manifest: &BuildManifest) -> Spec {
    let mut features = Vec::new();
    let mut open_points = Vec::new();
    for asked in &manifest.features {
        let key = key(asked);
        match pack(&key) {
            Some(pack) => features.push(CoveredFeature { feature: key, pack: pack.name().to_owned(), asked: true }),
            None => open_points.push(open_point(key, false)),
        }
    }
    // What the dialogue knew that it could not have.
    for key in manifest.open_points().into_iter().map(key) {
        if !open_points.iter().any(|p| p.feature == key) {
            open_points.push(open_point(key, true));
        }
    }
    if !features.iter().any(|f| f.pack == Pack::Contacts.name()) {
        let pack = Pack::Contacts.name().to_owned();
        features.insert(0, CoveredFeature { feature: pack.clone(), pack, asked: false });
    }
    let has = |pack: Pack| features.iter().any(|f| f.pack == pack.name());
    let (deals, notes, companies) = (has(Pack::Deals), has(Pack::Notes), has(Pack::Companies));

    let mut entities = vec![contacts()];
    let mut pages = vec![page("/", "Overview", PageKind::Overview, None), list_page("contacts", "Contacts")];
    if companies {
        pages.push(page("/companies", "Companies", PageKind::Groups, Some("contacts")));
    }
    if deals {
        entities.push(deals_entity());
        pages.push(page("/deals", "Deals", PageKind::Board, Some("deals")));
    }
    if notes {
        entities.push(notes_entity());
    }
    let mut api: Vec<ApiEndpoint> = entities.iter().flat_map(endpoints).collect();
    api.push(ApiEndpoint { path: "/api/summary".to_owned(), methods: vec!["GET".to_owned()], entity: None });

    let citations = entities
        .iter()
        .map(|entity| Citation {
            part: format!("entity {}", entity.name),
            source: features
                .iter()
                .find(|f| f.pack == entity.name && f.asked)
                .map_or_else(|| "base build_crm".to_owned(), |f| format!("manifest feature {}", f.feature)),
        })
        .collect();
    Spec {
        format: SPEC_FORMAT,
        manifest_id: manifest.manifest_id.clone(),
        build_type: manifest.build_type,
        title: title(manifest),
        slug: slug(&title(manifest)),
        description: manifest.description.trim().to_owned(),
        currency: currency(manifest),
        tests: test_names(deals, notes, companies).into_iter().map(|name| SpecTest { name: name.to_owned() }).collect(),
        features,
        entities,
        pages,
        api,
        citations,
        open_points,
    }
}

/// Whether a pack covers `feature`.
pub(super) fn covers(feature: &str) -> bool {
    pack(&key(feature)).is_some()
}

fn pack(key: &str) -> Option<Pack> {
    PACKS.iter().find(|(word, _)| *word == key).map(|(_, pack)| *pack)
}

fn key(feature: &str) -> String {
    feature.trim().to_lowercase().replace([' ', '-'], "_")
}

fn open_point(feature: String, told: bool) -> OpenPoint {
    let say = format!("I have no ready-made part for {} yet, so it is left open.", feature.replace('_', " "));
    OpenPoint { feature, say, told }
}

fn title(manifest: &BuildManifest) -> String {
    let title = manifest.title.split_whitespace().collect::<Vec<_>>().join(" ");
    if title.is_empty() { "CRM".to_owned() } else { title.chars().take(60).collect() }
}

/// The currency that the caller named, else US dollars.
fn currency(manifest: &BuildManifest) -> String {
    manifest
        .constraints
        .get("currency")
        .and_then(|v| v.as_str())
        .map(str::to_ascii_uppercase)
        .filter(|c| c.len() == 3 && c.bytes().all(|b| b.is_ascii_uppercase()))
        .unwrap_or_else(|| "USD".to_owned())
}

/// Names of the scenarios that the CRM kernel writes for these packs; the kernel's tests hold it to this list.
fn test_names(deals: bool, notes: bool, companies: bool) -> Vec<&'static str> {
    let mut names = vec![
        "an empty app answers on every page",
        "a contact can be added, read, changed and deleted",
        "contacts are found by name, company, address and number",
        "contacts are listed by name and paged",
        "a contact without a name or with a bad address is refused",
        "two contacts cannot share an e-mail address",
        "the database itself refuses bad contacts",
        "contacts can be exported",
        "forms refuse a forged request",
    ];
    if deals {
        names.extend([
            "a deal can be added, moved and deleted",
            "deals are found by any word of their title",
            "the board and the overview add up",
            "a contact with deals is not deleted",
            "the database itself refuses bad deals",
        ]);
    }
    if notes {
        names.extend(["notes stay with their contact", "the database itself refuses bad notes"]);
    }
    if companies {
        names.push("companies are counted");
    }
    names
}

fn page(path: &str, title: &str, kind: PageKind, entity: Option<&str>) -> Page {
    Page { path: path.to_owned(), title: title.to_owned(), kind, entity: entity.map(str::to_owned) }
}

fn list_page(entity: &str, title: &str) -> Page {
    page(&format!("/{entity}"), title, PageKind::List, Some(entity))
}

fn endpoints(entity: &Entity) -> [ApiEndpoint; 2] {
    let endpoint = |path: String, methods: &[&str]| ApiEndpoint {
        path,
        methods: methods.iter().map(|m| (*m).to_owned()).collect(),
        entity: Some(entity.name.clone()),
    };
    [
        endpoint(format!("/api/{}", entity.name), &["GET", "POST"]),
        endpoint(format!("/api/{}/{{id}}", entity.name), &["GET", "PUT", "PATCH", "DELETE"]),
    ]
}

fn field(name: &str, label: &str, kind: FieldKind) -> Field {
    Field {
        name: name.to_owned(),
        label: label.to_owned(),
        kind,
        required: false,
        unique: false,
        list: false,
        chars_max: match kind {
            FieldKind::Text | FieldKind::Email => 120,
            FieldKind::Phone => 40,
            FieldKind::LongText => 4000,
            FieldKind::Choice | FieldKind::Date | FieldKind::Money | FieldKind::Reference => 0,
        },
        hint: String::new(),
        autocomplete: String::new(),
        references: None,
        on_delete: None,
        choices: Vec::new(),
    }
}

fn contacts() -> Entity {
    Entity {
        name: "contacts".to_owned(),
        singular: "contact".to_owned(),
        label: "Contacts".to_owned(),
        label_one: "Contact".to_owned(),
        title_field: "name".to_owned(),
        search: ["name", "company", "email", "phone"].map(str::to_owned).to_vec(),
        board: None,
        within: None,
        fields: vec![
            Field {
                required: true,
                list: true,
                autocomplete: "name".to_owned(),
                ..field("name", "Name", FieldKind::Text)
            },
            Field {
                list: true,
                autocomplete: "organization".to_owned(),
                ..field("company", "Company", FieldKind::Text)
            },
            Field {
                unique: true,
                list: true,
                autocomplete: "email".to_owned(),
                ..field("email", "E-mail", FieldKind::Email)
            },
            Field { list: true, autocomplete: "tel".to_owned(), ..field("phone", "Phone", FieldKind::Phone) },
        ],
    }
}

fn deals_entity() -> Entity {
    let stage = |value: &str, label: &str, closed| Choice { value: value.to_owned(), label: label.to_owned(), closed };
    Entity {
        name: "deals".to_owned(),
        singular: "deal".to_owned(),
        label: "Deals".to_owned(),
        label_one: "Deal".to_owned(),
        title_field: "title".to_owned(),
        search: vec!["title".to_owned()],
        board: Some("stage".to_owned()),
        within: None,
        fields: vec![
            Field { required: true, list: true, ..field("title", "Title", FieldKind::Text) },
            Field {
                required: true,
                list: true,
                references: Some("contacts".to_owned()),
                on_delete: Some(OnDelete::Restrict),
                ..field("contact_id", "Contact", FieldKind::Reference)
            },
            Field { list: true, ..field("value_cents", "Value", FieldKind::Money) },
            Field {
                required: true,
                list: true,
                choices: vec![
                    stage("lead", "Lead", false),
                    stage("qualified", "Qualified", false),
                    stage("proposal", "Proposal", false),
                    stage("won", "Won", true),
                    stage("lost", "Lost", true),
                ],
                ..field("stage", "Stage", FieldKind::Choice)
            },
            Field { list: true, ..field("expected_close", "Expected close", FieldKind::Date) },
        ],
    }
}

fn notes_entity() -> Entity {
    Entity {
        name: "notes".to_owned(),
        singular: "note".to_owned(),
        label: "Notes".to_owned(),
        label_one: "Note".to_owned(),
        title_field: "body".to_owned(),
        search: Vec::new(),
        board: None,
        within: Some("contact_id".to_owned()),
        fields: vec![
            Field {
                required: true,
                references: Some("contacts".to_owned()),
                on_delete: Some(OnDelete::Cascade),
                ..field("contact_id", "Contact", FieldKind::Reference)
            },
            Field { required: true, list: true, ..field("body", "Note", FieldKind::LongText) },
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::manifest::{BuildType, CreatedFrom};

    fn manifest(title: &str, features: &[&str]) -> BuildManifest {
        BuildManifest {
            manifest_id: "man_1".to_owned(),
            build_type: BuildType::BuildCrm,
            title: title.to_owned(),
            description: "A CRM.".to_owned(),
            features: features.iter().map(|f| (*f).to_owned()).collect(),
            tech_stack: Vec::new(),
            constraints: serde_json::Map::new(),
            integrations: Vec::new(),
            conversation_id: "conv_1".to_owned(),
            created_from: CreatedFrom::Voice,
            confidence: 0.9,
            metadata: serde_json::Map::new(),
        }
    }

    fn names(spec: &Spec) -> Vec<&str> {
        spec.entities.iter().map(|e| e.name.as_str()).collect()
    }

    #[test]
    fn only_asked_features_are_there_and_contacts_always() {
        assert_eq!(names(&Spec::compose(&manifest("CRM", &[]))), ["contacts"]);
        assert_eq!(names(&Spec::compose(&manifest("CRM", &["deals"]))), ["contacts", "deals"]);
        assert_eq!(
            names(&Spec::compose(&manifest("CRM", &["contacts", "sales pipeline", "Notes"]))),
            ["contacts", "deals", "notes"]
        );
    }

    #[test]
    fn a_feature_without_a_pack_is_an_open_point_that_can_be_spoken() {
        let spec = Spec::compose(&manifest("CRM", &["contacts", "invoice-scanning"]));
        assert_eq!(spec.open_points[0].feature, "invoice_scanning");
        assert_eq!(spec.say_open_points(), "I have no ready-made part for invoice scanning yet, so it is left open.");
    }

    #[test]
    fn open_points_that_were_read_back_are_kept_and_not_said_again() {
        let mut m = manifest("CRM", &["contacts", "telepathy"]);
        m.metadata.insert("open_points".to_owned(), serde_json::json!(["invoices", "telepathy"]));
        let spec = Spec::compose(&m);
        let points: Vec<_> = spec.open_points.iter().map(|p| (p.feature.as_str(), p.told)).collect();
        assert_eq!(points, [("telepathy", false), ("invoices", true)]);
        assert!(!spec.say_open_points().contains("invoices"));
    }

    #[test]
    fn contacts_and_deals_have_five_endpoints() {
        let spec = Spec::compose(&manifest("CRM", &["contacts", "deals"]));
        let paths: Vec<_> = spec.api.iter().map(|a| a.path.as_str()).collect();
        assert_eq!(paths, ["/api/contacts", "/api/contacts/{id}", "/api/deals", "/api/deals/{id}", "/api/summary"]);
    }

    #[test]
    fn references_name_entities_of_the_spec() {
        let spec = Spec::compose(&manifest("CRM", &["deals", "notes", "companies"]));
        for field in spec.entities.iter().flat_map(|e| &e.fields) {
            assert_eq!(field.references.is_some(), field.kind == FieldKind::Reference, "{}", field.name);
            if let Some(target) = &field.references {
                assert!(spec.entity(target).is_some(), "{target}");
            }
        }
    }

    #[test]
    fn slugs_are_short_and_safe() {
        assert_eq!(slug("Harbour CRM!"), "harbour-crm");
        assert_eq!(slug("  ../../etc "), "etc");
        assert_eq!(slug("日本"), "app");
        assert_eq!(slug(&"x".repeat(99)).len(), super::super::SLUG_CHARS_MAX);
    }

    #[test]
    fn currency_comes_from_the_constraints() {
        let mut m = manifest("CRM", &[]);
        assert_eq!(Spec::compose(&m).currency, "USD");
        m.constraints.insert("currency".to_owned(), "eur".into());
        assert_eq!(Spec::compose(&m).currency, "EUR");
        m.constraints.insert("currency".to_owned(), "\"><script>".into());
        assert_eq!(Spec::compose(&m).currency, "USD");
    }

    #[test]
    fn a_spec_survives_its_own_json_and_refuses_unknown_keys() {
        let spec = Spec::compose(&manifest("CRM", &["deals", "notes", "telepathy"]));
        let json = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<Spec>(&json).unwrap(), spec);
        assert!(serde_json::from_str::<Spec>(&json.replacen("\"format\"", "\"extra\":1,\"format\"", 1)).is_err());
    }
}
