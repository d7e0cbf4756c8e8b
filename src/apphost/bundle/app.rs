//! `app.toml`: what an app answers. Purpose: the typed form of the file, with every name and limit checked.
//! Pure. Invariants: limits never exceed the daemon's; two routes never answer the same method and path; `/_/` and
//! `/static/` are not the app's.

use super::{BUNDLE_FORMAT, BundleError};
use crate::limits::{APP_BODY_MAX, APP_DATABASE_MB_MAX, APP_REQUEST_MS_MAX, APP_ROWS_MAX, APP_SQL_STEPS_MAX};
use crate::pipeline::spec::{Entity, FieldKind};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// `app.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// [`BUNDLE_FORMAT`].
    pub format: u32,
    /// Name for people.
    pub title: String,
    /// Name for paths and hosts.
    pub slug: String,
    /// One sentence.
    pub description: String,
    /// ISO 4217 code of every amount.
    pub currency: String,
    /// Bounds of this app, within the daemon's.
    #[serde(default)]
    pub limits: Limits,
    /// Accounts and keys; without it whoever reaches the app may do everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
    /// Navigation, in order.
    pub menu: Vec<MenuEntry>,
    /// Navigation of the pages that everybody may see.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub public_menu: Vec<MenuEntry>,
    /// Name in templates → file under `actions/`: rows that every public page gets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub common: BTreeMap<String, String>,
    /// What is answered; see [`Target`].
    pub routes: Vec<Route>,
    /// Kinds of record.
    pub resources: Vec<Entity>,
}

/// Bounds of one app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Octets of a request body.
    pub body_bytes: u32,
    /// Milliseconds for one request.
    pub request_ms: u32,
    /// Steps of SQLite's machine for one request.
    pub sql_steps: u64,
    /// Rows on one page of a list.
    pub page_rows: u32,
    /// Rows that any query may return.
    pub rows: u32,
    /// Size of the database, MiB.
    pub database_mb: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 64 << 10,
            request_ms: 5_000,
            sql_steps: 20_000_000,
            page_rows: 50,
            rows: 1_000,
            database_mb: 256,
        }
    }
}

/// Who may do what where nobody is signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// Until the first account is made, everybody may read and change records.
    pub open_at_first: bool,
}

/// One entry of the navigation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MenuEntry {
    /// Where it leads.
    pub path: String,
    /// Its text.
    pub title: String,
}

/// One line of the routing table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RouteText", into = "RouteText")]
pub struct Route {
    /// Path template; `{id}` stands for a record, `{slug}` for a word.
    pub path: String,
    /// Whether people who are not signed in may ask it.
    pub public: bool,
    /// What answers.
    pub target: Target,
}

/// What answers a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `POST` of a form: runs `action` with `id` from the path and `fields` of `resource` from the body, then leads to
    /// `then`.
    Action {
        /// File under `actions/`.
        action: String,
        /// Whose fields the body holds.
        resource: String,
        /// Which of them.
        fields: Vec<String>,
        /// Path to show afterwards.
        then: String,
    },
    /// The JSON API of a resource: the path and `{path}/{id}`.
    Api(String),
    /// `POST`, JSON, signed (`x-signature`): runs `hook` with `fields` of `resource`.
    Hook(Submit),
    /// `GET`, JSON: the first row of an action.
    Query(String),
    /// The pages of a resource: list, `/new`, `/{id}`, `/{id}/edit`, `/{id}/delete`, `/export.csv`, `/import`.
    Resource(String),
    /// `POST` of a form of the app's own pages.
    Submit(Submit),
    /// `GET`, HTML: a template over the rows of actions.
    View(View),
}

/// What a form (or a signed message) does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submit {
    /// File under `actions/`; its last row fills `then`.
    pub action: String,
    /// Whose fields the body holds.
    pub resource: String,
    /// Which of them.
    pub fields: Vec<String>,
    /// Path to show afterwards; `{name}` is taken from the row.
    pub then: String,
    /// Name of the event that is told to webhooks, with the row.
    pub event: Option<String>,
    /// Path of a hook that is sent the row, signed, before `then` is shown.
    pub relay: Option<String>,
}

/// A page of the app's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// File under `views/`.
    pub view: String,
    /// Name in the template → file under `actions/`.
    pub data: BTreeMap<String, String>,
    /// Names of the query that the actions get as parameters.
    pub params: Vec<String>,
    /// Name among `data` without whose rows there is no such page.
    pub needs: Option<String>,
    /// Path of the [`Submit`] whose form the page shows.
    pub form: Option<String>,
}

impl View {
    /// A page of `view` over `data` and nothing else.
    #[must_use]
    pub fn plain(view: &str, data: BTreeMap<String, String>) -> Self {
        Self { view: view.to_owned(), data, params: Vec::new(), needs: None, form: None }
    }
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RouteText {
    path: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    public: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    view: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    submit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hook: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    then: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    needs: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    form: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    relay: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<BTreeMap<String, String>>,
}

impl TryFrom<RouteText> for Route {
    type Error = String;

    fn try_from(mut t: RouteText) -> Result<Self, String> {
        let path = std::mem::take(&mut t.path);
        let what = [
            "give `resource`, or `api`, or `query`, or `view` (with `data`, `params`, `needs`, `form`), or `action` with",
            " `resource`, `fields` and `then`, or `submit` or `hook` with `resource`, `fields`, `then`, `event`, `relay`",
        ];
        let wrong = || format!("route {path}: {}", what.concat());
        let (public, fields, then) = (t.public, t.fields.take(), t.then.take());
        let target = if let Some(view) = t.view.take() {
            let (data, params) = (t.data.take().unwrap_or_default(), t.params.take().unwrap_or_default());
            Target::View(View { view, data, params, needs: t.needs.take(), form: t.form.take() })
        } else if let Some(api) = t.api.take() {
            Target::Api(api)
        } else if let Some(query) = t.query.take() {
            Target::Query(query)
        } else if let Some(resource) = t.resource.take() {
            let heads = (t.action.take(), t.submit.take(), t.hook.take());
            let submit = |action| {
                let (fields, then) = (fields.clone().unwrap_or_default(), then.clone().unwrap_or_default());
                Submit { action, resource: resource.clone(), fields, then, event: None, relay: None }
            };
            match heads {
                (None, None, None) if fields.is_none() && then.is_none() => Target::Resource(resource),
                (Some(action), None, None) => match (fields, then) {
                    (Some(fields), Some(then)) => Target::Action { action, resource, fields, then },
                    _ => return Err(wrong()),
                },
                (None, Some(action), None) => {
                    Target::Submit(Submit { event: t.event.take(), relay: t.relay.take(), ..submit(action) })
                }
                (None, None, Some(action)) => Target::Hook(Submit { event: t.event.take(), ..submit(action) }),
                _ => return Err(wrong()),
            }
        } else {
            return Err(wrong());
        };
        let left = [t.resource, t.api, t.query, t.view, t.action, t.submit, t.hook, t.needs, t.form, t.event, t.relay];
        if left.iter().any(Option::is_some) || t.params.is_some() || t.data.is_some() {
            return Err(wrong());
        }
        Ok(Self { path, public, target })
    }
}

impl From<Route> for RouteText {
    fn from(route: Route) -> Self {
        let mut text = Self { path: route.path, public: route.public, ..Self::default() };
        let some = |list: Vec<String>| (!list.is_empty()).then_some(list);
        match route.target {
            Target::Resource(name) => text.resource = Some(name),
            Target::Api(name) => text.api = Some(name),
            Target::Query(name) => text.query = Some(name),
            Target::View(v) => {
                text.view = Some(v.view);
                text.data = Some(v.data);
                text.params = some(v.params);
                text.needs = v.needs;
                text.form = v.form;
            }
            Target::Action { action, resource, fields, then } => {
                text.action = Some(action);
                text.resource = Some(resource);
                text.fields = Some(fields);
                text.then = Some(then);
            }
            Target::Submit(ref s) | Target::Hook(ref s) => {
                let head = if matches!(route.target, Target::Hook(_)) { &mut text.hook } else { &mut text.submit };
                *head = Some(s.action.clone());
                text.resource = Some(s.resource.clone());
                text.fields = some(s.fields.clone());
                text.then = Some(s.then.clone());
                text.event.clone_from(&s.event);
                text.relay.clone_from(&s.relay);
            }
        }
        text
    }
}

impl App {
    /// Parses and checks `app.toml`.
    ///
    /// # Errors
    /// [`BundleError::Malformed`] with the parser's or the rule's words.
    pub fn parse(text: &str) -> Result<Self, BundleError> {
        let malformed = |what: String| BundleError::Malformed { path: "app.toml".to_owned(), what };
        let app: Self = toml::from_str(text).map_err(|e| malformed(e.to_string()))?;
        app.check().map_err(malformed)?;
        Ok(app)
    }

    /// The resource called `name`.
    #[must_use]
    pub fn resource(&self, name: &str) -> Option<&Entity> {
        self.resources.iter().find(|r| r.name == name)
    }

    /// Resources that refer to `name`, each with the referring field, in order.
    pub fn children(&self, name: &str) -> impl Iterator<Item = (&Entity, &str)> {
        self.resources.iter().flat_map(move |r| {
            r.fields.iter().filter(move |f| f.references.as_deref() == Some(name)).map(move |f| (r, f.name.as_str()))
        })
    }

    /// Names of the files under `actions/` and `views/` that this file relies on.
    #[must_use]
    pub fn names_used(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let (mut actions, mut views) = (BTreeSet::new(), BTreeSet::new());
        for r in &self.resources {
            for verb in ["list", "get", "create", "update", "delete", "count"] {
                actions.insert(format!("{}_{verb}", r.name));
            }
            if !r.search.is_empty() {
                actions.insert(format!("{}_search", r.name));
            }
            if r.board.is_some() {
                actions.extend(["board", "columns"].map(|verb| format!("{}_{verb}", r.name)));
                views.insert("board".to_owned());
            }
            for field in r.fields.iter().filter(|f| f.kind == FieldKind::Reference) {
                actions.insert(format!("{}_by_{}", r.name, field.name));
                actions.extend(field.references.iter().map(|target| format!("{target}_options")));
            }
        }
        for route in &self.routes {
            match &route.target {
                Target::Action { action, .. } => _ = actions.insert(action.clone()),
                Target::Submit(submit) | Target::Hook(submit) => _ = actions.insert(submit.action.clone()),
                Target::Query(query) => _ = actions.insert(query.clone()),
                Target::View(v) => {
                    views.insert(v.view.clone());
                    actions.extend(v.data.values().cloned());
                }
                Target::Api(_) | Target::Resource(_) => {}
            }
        }
        actions.extend(self.common.values().cloned());
        if self.access.is_some() {
            views.extend(["settings", "setup", "sign_in"].map(str::to_owned));
        }
        (actions, views)
    }

    /// Path template and method of everything under `/api/` that the routes answer.
    #[must_use]
    pub fn api_operations(&self) -> BTreeSet<(String, String)> {
        let mut operations = BTreeSet::new();
        for Route { path, target, .. } in &self.routes {
            match target {
                Target::Api(_) => {
                    operations.extend(["GET", "POST"].map(|m| (path.clone(), m.to_owned())));
                    operations
                        .extend(["GET", "PUT", "PATCH", "DELETE"].map(|m| (format!("{path}/{{id}}"), m.to_owned())));
                }
                Target::Query(_) => _ = operations.insert((path.clone(), "GET".to_owned())),
                Target::Hook(_) => _ = operations.insert((path.clone(), "POST".to_owned())),
                Target::Action { .. } | Target::Resource(_) | Target::Submit(_) | Target::View(_) => {}
            }
        }
        operations
    }

    fn check(&self) -> Result<(), String> {
        if self.format != BUNDLE_FORMAT {
            return Err(format!("format is {}, this program reads {BUNDLE_FORMAT}", self.format));
        }
        self.limits.check()?;
        let mut names = BTreeSet::new();
        for r in &self.resources {
            if !is_identifier(&r.name) || !is_identifier(&r.singular) || !names.insert(&r.name) {
                return Err(format!("resource {:?}: names are lower-case identifiers and unique", r.name));
            }
            self.check_fields(r)?;
        }
        let mut paths = BTreeSet::new();
        for route in &self.routes {
            self.check_route(route)?;
            // A page and the form on it may share an address.
            if !paths.insert((&route.path, matches!(route.target, Target::Submit(_)))) {
                return Err(format!("two routes answer {}", route.path));
            }
        }
        Ok(())
    }

    fn check_fields(&self, r: &Entity) -> Result<(), String> {
        let mut names = BTreeSet::new();
        for f in &r.fields {
            let at = format!("resource {}, field {:?}", r.name, f.name);
            let reserved = ["id", "created_at", "updated_at", "limit", "match", "parent", "q", "csrf", "visitor"];
            if !is_identifier(&f.name) || reserved.contains(&f.name.as_str()) || !names.insert(&f.name) {
                return Err(format!("{at}: names are lower-case identifiers, unique, and not reserved"));
            }
            match f.kind {
                FieldKind::Choice if f.choices.is_empty() => return Err(format!("{at}: a choice needs `choices`")),
                FieldKind::Reference if f.references.as_deref().and_then(|t| self.resource(t)).is_none() => {
                    return Err(format!("{at}: `references` must name a resource"));
                }
                FieldKind::Text | FieldKind::LongText | FieldKind::Email | FieldKind::Phone if f.chars_max == 0 => {
                    return Err(format!("{at}: text needs `chars_max`"));
                }
                _ => {}
            }
        }
        let is_field = |name: &String| names.contains(name);
        if !is_field(&r.title_field) || !r.search.iter().all(is_field) || !r.within.iter().all(is_field) {
            return Err(format!("resource {}: title_field, search and within name fields", r.name));
        }
        match r.board.as_ref().map(|b| r.field(b).map(|f| f.kind)) {
            None | Some(Some(FieldKind::Choice)) => Ok(()),
            _ => Err(format!("resource {}: board names a choice field", r.name)),
        }
    }

    fn check_route(&self, route: &Route) -> Result<(), String> {
        let path = route.path.as_str();
        let at = |what: &str| Err(format!("route {path:?}: {what}"));
        let segments_ok = path.strip_prefix('/').is_some_and(|rest| {
            rest.is_empty()
                || rest.split('/').all(|s| s == "{id}" || s == "{slug}" || is_identifier(&s.replace('-', "_")))
        });
        if !segments_ok || path.starts_with("/_") || path == "/static" || path.starts_with("/static/") {
            return at("paths are lower-case segments or {id}, and not under /_/ or /static/");
        }
        let own = ["/settings", "/setup", "/sign-in", "/sign-out"];
        if own.iter().any(|o| path == *o || path.strip_prefix(o).is_some_and(|rest| rest.starts_with('/'))) {
            return at("this address is the runtime's");
        }
        let is_api = path.starts_with("/api/");
        let resource = match &route.target {
            Target::Api(name) | Target::Resource(name) | Target::Action { resource: name, .. } => Some(name),
            Target::Submit(s) | Target::Hook(s) => Some(&s.resource),
            Target::Query(_) | Target::View(_) => None,
        };
        let resource = match resource {
            Some(name) => match self.resource(name) {
                None => return at("names no resource"),
                found => found,
            },
            None => None,
        };
        let known = |fields: &[String]| fields.iter().all(|f| resource.is_some_and(|r| r.field(f).is_some()));
        let is_hook = |p: &String| self.routes.iter().any(|r| r.path == *p && matches!(r.target, Target::Hook(_)));
        let is_form = |p: &String| self.routes.iter().any(|r| r.path == *p && matches!(r.target, Target::Submit(_)));
        match &route.target {
            Target::Api(_) | Target::Query(_) | Target::Hook(_) if !is_api => {
                at("`api`, `query` and `hook` live under /api/")
            }
            Target::Action { .. } | Target::Resource(_) | Target::Submit(_) | Target::View(_) if is_api => {
                at("/api/ is for JSON")
            }
            Target::Action { fields, .. } if !known(fields) => at("`fields` names fields of the resource"),
            Target::Submit(s) | Target::Hook(s) if !known(&s.fields) => at("`fields` names fields of the resource"),
            Target::Submit(s) if !s.relay.iter().all(is_hook) => at("`relay` names a hook"),
            Target::Submit(s) if !s.then.starts_with('/') => at("`then` is a path of this app"),
            Target::View(v) if !v.form.iter().all(is_form) => at("`form` names a form"),
            Target::View(v) if !v.needs.iter().all(|n| v.data.contains_key(n)) => at("`needs` names one of `data`"),
            _ => Ok(()),
        }
    }

    /// Names of parameters that actions may have beside those of [`super::super::database`].
    pub(crate) fn parameters(&self) -> BTreeSet<&str> {
        let fields = self.resources.iter().flat_map(|r| r.fields.iter().map(|f| f.name.as_str()));
        let asked = self.routes.iter().filter_map(|r| match &r.target {
            Target::View(v) => Some(v.params.iter().map(String::as_str)),
            _ => None,
        });
        fields.chain(asked.flatten()).collect()
    }
}

impl Limits {
    fn check(&self) -> Result<(), String> {
        let within = |name: &str, value: u64, max: u64| {
            if (1..=max).contains(&value) { Ok(()) } else { Err(format!("limits.{name} is not within 1..={max}")) }
        };
        within("body_bytes", self.body_bytes.into(), APP_BODY_MAX.into())?;
        within("request_ms", self.request_ms.into(), APP_REQUEST_MS_MAX.into())?;
        within("sql_steps", self.sql_steps, APP_SQL_STEPS_MAX)?;
        within("rows", self.rows.into(), APP_ROWS_MAX.into())?;
        within("page_rows", self.page_rows.into(), self.rows.into())?;
        within("database_mb", self.database_mb.into(), APP_DATABASE_MB_MAX.into())
    }
}

fn is_identifier(name: &str) -> bool {
    name.len() <= 40
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}
