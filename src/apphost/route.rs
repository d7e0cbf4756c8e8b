//! The routing table of one app. Purpose: method and path → handler and record id; 404 and 405 told apart.
//! Pure. Invariant: a fixed segment beats `{id}`; `{id}` is a positive number of at most 18 digits.

use super::bundle::{App, Target};
use std::collections::BTreeMap;

/// What answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Handler {
    ApiCreate(String),
    ApiDelete(String),
    ApiList(String),
    ApiRead(String),
    /// `true`: replace (PUT), `false`: change what is given (PATCH).
    ApiUpdate(String, bool),
    FormAction {
        action: String,
        resource: String,
        fields: Vec<String>,
        then: String,
    },
    PageCreate(String),
    PageDelete(String),
    PageDetail(String),
    PageEdit(String),
    PageExport(String),
    PageList(String),
    PageNew(String),
    PageUpdate(String),
    Query(String),
    View {
        view: String,
        data: BTreeMap<String, String>,
    },
}

/// Where a request leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// Nothing there.
    Nothing,
    /// Something there, but not for this method: the methods it knows.
    OtherMethods(String),
    /// A handler, with its template and the id in the path.
    Handler { template: &'a str, handler: &'a Handler, id: Option<i64> },
}

/// All routes of an app.
#[derive(Debug)]
pub(super) struct Routes {
    entries: Vec<(String, &'static str, Handler)>,
}

impl Routes {
    pub(super) fn new(app: &App) -> Self {
        let mut entries = Vec::new();
        for route in &app.routes {
            let at = |tail: &str| format!("{}{tail}", route.path.trim_end_matches('/'));
            let base = route.path.clone();
            match &route.target {
                Target::Api(name) => {
                    entries.push((base.clone(), "GET", Handler::ApiList(name.clone())));
                    entries.push((base, "POST", Handler::ApiCreate(name.clone())));
                    entries.push((at("/{id}"), "GET", Handler::ApiRead(name.clone())));
                    entries.push((at("/{id}"), "PUT", Handler::ApiUpdate(name.clone(), true)));
                    entries.push((at("/{id}"), "PATCH", Handler::ApiUpdate(name.clone(), false)));
                    entries.push((at("/{id}"), "DELETE", Handler::ApiDelete(name.clone())));
                }
                Target::Resource(name) => {
                    entries.push((base.clone(), "GET", Handler::PageList(name.clone())));
                    entries.push((base, "POST", Handler::PageCreate(name.clone())));
                    entries.push((at("/new"), "GET", Handler::PageNew(name.clone())));
                    entries.push((at("/export.csv"), "GET", Handler::PageExport(name.clone())));
                    entries.push((at("/{id}"), "GET", Handler::PageDetail(name.clone())));
                    entries.push((at("/{id}"), "POST", Handler::PageUpdate(name.clone())));
                    entries.push((at("/{id}/edit"), "GET", Handler::PageEdit(name.clone())));
                    entries.push((at("/{id}/delete"), "POST", Handler::PageDelete(name.clone())));
                }
                Target::Query(action) => entries.push((base, "GET", Handler::Query(action.clone()))),
                Target::View { view, data } => {
                    entries.push((base, "GET", Handler::View { view: view.clone(), data: data.clone() }));
                }
                Target::Action { action, resource, fields, then } => {
                    let handler = Handler::FormAction {
                        action: action.clone(),
                        resource: resource.clone(),
                        fields: fields.clone(),
                        then: then.clone(),
                    };
                    entries.push((base, "POST", handler));
                }
            }
        }
        // Fixed segments first, so that the first match is the best.
        entries.sort_by_key(|(template, _, _)| template.matches("{id}").count());
        Self { entries }
    }

    pub(super) fn find(&self, method: &str, path: &str) -> Found<'_> {
        let mut methods: Vec<&str> = Vec::new();
        for (template, its_method, handler) in &self.entries {
            let Some(id) = matches(template, path) else { continue };
            if *its_method == method {
                return Found::Handler { template, handler, id };
            }
            methods.push(its_method);
            if *its_method == "GET" {
                methods.push("HEAD");
            }
        }
        if methods.is_empty() { Found::Nothing } else { Found::OtherMethods(methods.join(", ")) }
    }
}

/// `Some(id)` when `path` is of the form of `template`.
fn matches(template: &str, path: &str) -> Option<Option<i64>> {
    let mut id = None;
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(id),
            (Some("{id}"), Some(text))
                if (1..=18).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) =>
            {
                id = text.parse().ok();
            }
            (Some(a), Some(b)) if a == b && a != "{id}" => {}
            _ => return None,
        }
    }
}
