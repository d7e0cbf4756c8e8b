//! The CRM's base template and its feature packs. Purpose: which entities, pages, endpoints and promised tests a CRM
//! with given features has. Pure. Deliberately absent: how they look in SQL or HTML (`pipeline::kernel::crm`).

use super::compose::{flow, promises, test};
use super::entity::{choice, entity, field, page, page_of, reference};
use super::{Choice, Entity, Field, FieldKind, OnDelete, PageKind, Spec};

pub(super) fn add(spec: &mut Spec) {
    let (deals, notes, companies) = (spec.has("deals"), spec.has("notes"), spec.has("companies"));
    spec.pages.push(page("/", "Overview", PageKind::Overview, None));
    spec.pages.push(page("/contacts", "Contacts", PageKind::List, Some("contacts")));
    spec.entities.push(contacts());
    if companies {
        spec.pages.push(page("/companies", "Companies", PageKind::Groups, Some("contacts")));
    }
    if deals {
        spec.entities.push(deals_entity());
        spec.pages.push(page("/deals", "Deals", PageKind::Board, Some("deals")));
    }
    if notes {
        spec.entities.push(notes_entity());
    }
    spec.tests.extend(test_names(deals, notes, companies).into_iter().map(test));
    if spec.has("tasks") {
        let tasks = tasks_entity();
        spec.pages.push(page_of(&tasks));
        spec.tests.extend(promises(&tasks).into_iter().map(test));
        spec.entities.push(tasks);
    }
    spec.tests.push(test("contacts can be imported"));
    flow(spec, "Somebody adds a contact", &["GET /contacts/new", "POST /contacts", "GET /contacts/{id}"]);
    if deals {
        flow(spec, "A deal is won", &["GET /deals", "POST /deals/{id}/move"]);
    }
}

fn tasks_entity() -> Entity {
    let fields = vec![
        field("title", "Title", FieldKind::Text).needed().listed(),
        reference("contact_id", "Contact", "contacts", OnDelete::Cascade).optional().listed(),
        field("due", "Due", FieldKind::Date).listed(),
        choice("status", "Status", &[("open", "Open", false), ("waiting", "Waiting", false), ("done", "Done", true)]),
    ];
    entity("tasks", "task", "Tasks", "Task", fields).found_by(&["title"]).on_board("status")
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
    use crate::pipeline::manifest::{BuildManifest, BuildType, CreatedFrom};
    use crate::pipeline::spec::slug;

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
    fn what_does_not_go_together_is_left_open_and_said() {
        let website = BuildManifest {
            build_type: BuildType::BuildWebsite,
            ..manifest("Bakery", &["contact_form", "static", "booking"])
        };
        let spec = Spec::compose(&website);
        let packs: Vec<&str> = spec.features.iter().filter(|f| f.asked).map(|f| f.pack.as_str()).collect();
        assert_eq!(packs, ["contact_form", "booking"]);
        assert_eq!(
            spec.say_open_points(),
            "Nothing but pages does not go together with a contact form, so it is left open."
        );
        assert_eq!(spec.questions, ["Who should see the messages?", "At which times can people book?"]);
        // Whichever comes first stays.
        let website = BuildManifest { features: vec!["static".into(), "booking".into()], ..website };
        let spec = Spec::compose(&website);
        assert_eq!(spec.say_open_points(), "Bookings does not go together with nothing but pages, so it is left open.");
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
