//! Short ways to write entities and fields. Pure. Deliberately absent: which app has which.

use super::{ApiEndpoint, Choice, Entity, Field, FieldKind, OnDelete, Page, PageKind};

pub(super) fn entity(name: &str, singular: &str, label: &str, label_one: &str, fields: Vec<Field>) -> Entity {
    Entity {
        name: name.to_owned(),
        singular: singular.to_owned(),
        label: label.to_owned(),
        label_one: label_one.to_owned(),
        title_field: fields.first().map(|f| f.name.clone()).unwrap_or_default(),
        search: Vec::new(),
        board: None,
        within: None,
        fields,
    }
}

impl Entity {
    pub(super) fn found_by(mut self, fields: &[&str]) -> Self {
        self.search = fields.iter().map(|f| (*f).to_owned()).collect();
        self
    }

    pub(super) fn on_board(mut self, field: &str) -> Self {
        self.board = Some(field.to_owned());
        self
    }

    pub(super) fn within(mut self, field: &str) -> Self {
        self.within = Some(field.to_owned());
        self
    }

    pub(super) fn titled(mut self, field: &str) -> Self {
        field.clone_into(&mut self.title_field);
        self
    }
}

pub(super) fn field(name: &str, label: &str, kind: FieldKind) -> Field {
    Field {
        name: name.to_owned(),
        label: label.to_owned(),
        kind,
        required: false,
        unique: kind == FieldKind::Slug,
        list: false,
        chars_max: match kind {
            FieldKind::Text | FieldKind::Email => 120,
            FieldKind::Phone => 40,
            FieldKind::LongText => 4000,
            FieldKind::Slug => 80,
            _ => 0,
        },
        hint: String::new(),
        autocomplete: String::new(),
        references: None,
        on_delete: None,
        choices: Vec::new(),
    }
}

pub(super) fn choice(name: &str, label: &str, choices: &[(&str, &str, bool)]) -> Field {
    let of = |(value, label, closed): &(&str, &str, bool)| Choice {
        value: (*value).to_owned(),
        label: (*label).to_owned(),
        closed: *closed,
    };
    let choices = choices.iter().map(of).collect();
    Field { choices, ..field(name, label, FieldKind::Choice) }.needed().listed()
}

pub(super) fn reference(name: &str, label: &str, to: &str, on_delete: OnDelete) -> Field {
    Field { references: Some(to.to_owned()), on_delete: Some(on_delete), ..field(name, label, FieldKind::Reference) }
        .needed()
}

impl Field {
    pub(super) fn needed(mut self) -> Self {
        self.required = true;
        self
    }

    pub(super) fn optional(mut self) -> Self {
        self.required = false;
        self
    }

    pub(super) fn listed(mut self) -> Self {
        self.list = true;
        self
    }

    pub(super) fn single(mut self) -> Self {
        self.unique = true;
        self
    }

    pub(super) fn filled_by(mut self, token: &str) -> Self {
        token.clone_into(&mut self.autocomplete);
        self
    }

    pub(super) fn hinted(mut self, hint: &str) -> Self {
        hint.clone_into(&mut self.hint);
        self
    }

    pub(super) fn long(mut self, chars: u32) -> Self {
        self.chars_max = chars;
        self
    }
}

/// Name, mail address, telephone number of a person who writes to us.
pub(super) fn person() -> Vec<Field> {
    vec![
        field("name", "Name", FieldKind::Text).needed().listed().filled_by("name"),
        field("email", "E-mail", FieldKind::Email).needed().listed().filled_by("email"),
        field("phone", "Phone", FieldKind::Phone).filled_by("tel"),
    ]
}

pub(super) fn page(path: &str, title: &str, kind: PageKind, entity: Option<&str>) -> Page {
    Page { path: path.to_owned(), title: title.to_owned(), kind, entity: entity.map(str::to_owned) }
}

/// The page of an entity, a board when it has one.
pub(super) fn page_of(entity: &Entity) -> Page {
    let kind = if entity.board.is_some() { PageKind::Board } else { PageKind::List };
    page(&format!("/{}", entity.name), &entity.label, kind, Some(&entity.name))
}

pub(super) fn endpoints(entity: &Entity) -> [ApiEndpoint; 2] {
    let name = Some(entity.name.as_str());
    [
        endpoint(&format!("/api/{}", entity.name), &["GET", "POST"], name),
        endpoint(&format!("/api/{}/{{id}}", entity.name), &["GET", "PUT", "PATCH", "DELETE"], name),
    ]
}

pub(super) fn endpoint(path: &str, methods: &[&str], entity: Option<&str>) -> ApiEndpoint {
    ApiEndpoint {
        path: path.to_owned(),
        methods: methods.iter().map(|m| (*m).to_owned()).collect(),
        entity: entity.map(str::to_owned),
    }
}
