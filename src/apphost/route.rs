//! The routing table of one app. Purpose: method and path → handler and record id; 404 and 405 told apart.
//! Pure. Invariant: a fixed segment beats `{id}`; `{id}` is a positive number of at most 18 digits,
//! `{slug}` at most 80 lower-case letters, digits and dashes.

use super::bundle::{App, Submit, Target, View};

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
    Hook(Submit),
    PageCreate(String),
    PageDelete(String),
    PageDetail(String),
    PageEdit(String),
    PageExport(String),
    PageImport(String),
    PageImported(String),
    PageList(String),
    PageNew(String),
    PageUpdate(String),
    Query(String),
    Submit(Submit),
    View(View),
}

/// Where a request leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// Nothing there.
    Nothing,
    /// Something there, but not for this method: the methods it knows.
    OtherMethods(String),
    /// A handler, with its template, whether everybody may ask it, and what the path holds.
    Handler { template: &'a str, handler: &'a Handler, public: bool, at: Place },
}

/// What a path holds for its template.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The number in the place of `{id}`.
    pub(super) id: Option<i64>,
    /// The word in the place of `{slug}`.
    pub(super) slug: Option<String>,
}

/// All routes of an app.
#[derive(Debug)]
pub(super) struct Routes {
    entries: Vec<(String, &'static str, Handler, bool)>,
}

impl Routes {
    pub(super) fn new(app: &App) -> Self {
        let mut all = Vec::new();
        for route in &app.routes {
            let at = |tail: &str| format!("{}{tail}", route.path.trim_end_matches('/'));
            let base = route.path.clone();
            let mut entries = Vec::new();
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
                    entries.push((at("/import"), "GET", Handler::PageImport(name.clone())));
                    entries.push((at("/import"), "POST", Handler::PageImported(name.clone())));
                    entries.push((at("/{id}"), "GET", Handler::PageDetail(name.clone())));
                    entries.push((at("/{id}"), "POST", Handler::PageUpdate(name.clone())));
                    entries.push((at("/{id}/edit"), "GET", Handler::PageEdit(name.clone())));
                    entries.push((at("/{id}/delete"), "POST", Handler::PageDelete(name.clone())));
                }
                Target::Query(action) => entries.push((base, "GET", Handler::Query(action.clone()))),
                Target::View(view) => entries.push((base, "GET", Handler::View(view.clone()))),
                Target::Submit(submit) => entries.push((base, "POST", Handler::Submit(submit.clone()))),
                Target::Hook(hook) => entries.push((base, "POST", Handler::Hook(hook.clone()))),
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
            let public = route.public;
            all.extend(entries.into_iter().map(|(path, method, handler)| (path, method, handler, public)));
        }
        // Fixed segments first, so that the first match is the best.
        all.sort_by_key(|(template, _, _, _)| template.matches('{').count());
        Self { entries: all }
    }

    pub(super) fn find(&self, method: &str, path: &str) -> Found<'_> {
        let mut methods: Vec<&str> = Vec::new();
        for (template, its_method, handler, public) in &self.entries {
            let Some(at) = matches(template, path) else { continue };
            if *its_method == method {
                return Found::Handler { template, handler, public: *public, at };
            }
            methods.push(its_method);
            if *its_method == "GET" {
                methods.push("HEAD");
            }
        }
        if methods.is_empty() { Found::Nothing } else { Found::OtherMethods(methods.join(", ")) }
    }
}

/// What `path` holds when it is of the form of `template`.
fn matches(template: &str, path: &str) -> Option<Place> {
    let mut at = Place::default();
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(at),
            (Some("{id}"), Some(text))
                if (1..=18).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) =>
            {
                at.id = text.parse().ok();
            }
            (Some("{slug}"), Some(text))
                if (1..=80).contains(&text.len())
                    && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') =>
            {
                at.slug = Some(text.to_owned());
            }
            (Some(a), Some(b)) if a == b && !a.starts_with('{') => {}
            _ => return None,
        }
    }
}
