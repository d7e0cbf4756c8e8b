//! Assembly: what every app has, and what its type adds, as the files of a bundle. Pure.
//! Invariants: the result passes `Bundle::from_files`; each entity has pages, an API, SQL and scenarios.

use super::{client, design, document, sql, trial};
use crate::apphost::bundle::{Access, App, BUNDLE_FORMAT, Files, Limits, MenuEntry, Route, Submit, Target, View};
use crate::pipeline::manifest::BuildManifest;
use crate::pipeline::spec::Spec;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A bundle that is being put together.
pub(super) struct Parts<'a> {
    spec: &'a Spec,
    pub(super) actions: sql::Actions,
    pub(super) routes: Vec<Route>,
    pub(super) public_menu: Vec<MenuEntry>,
    pub(super) common: BTreeMap<String, String>,
    /// Migrations after those of the entities: name and SQL.
    pub(super) schema: Vec<(&'static str, String)>,
    pub(super) seed: Option<String>,
    /// Paths of `openapi.json` beside those of the entities.
    pub(super) paths: Map<String, Value>,
    pub(super) open_at_first: bool,
    /// Scenario files by name.
    pub(super) scenarios: Vec<(String, String)>,
    files: Files,
}

impl<'a> Parts<'a> {
    pub(super) fn of(spec: &'a Spec) -> Self {
        let mut routes = Vec::new();
        for entity in &spec.entities {
            let name = &entity.name;
            routes.push(closed(&format!("/{name}"), Target::Resource(name.clone())));
            routes.push(closed(&format!("/api/{name}"), Target::Api(name.clone())));
            if let Some(board) = &entity.board {
                let target = Target::Action {
                    action: format!("{name}_move"),
                    resource: name.clone(),
                    fields: vec![board.clone()],
                    then: format!("/{name}"),
                };
                routes.push(closed(&format!("/{name}/{{id}}/move"), target));
            }
        }
        routes.push(closed("/api/summary", Target::Query("summary".to_owned())));
        Self {
            spec,
            actions: sql::actions(spec),
            routes,
            public_menu: Vec::new(),
            common: BTreeMap::new(),
            schema: Vec::new(),
            seed: None,
            paths: Map::new(),
            open_at_first: false,
            scenarios: vec![("access".to_owned(), trial::access(spec))],
            files: design::files(spec),
        }
    }

    pub(super) fn file(&mut self, path: &str, text: &str) {
        self.files.insert(path.to_owned(), text.as_bytes().to_vec());
    }

    /// SQL of several actions: each begins with a line `-- name: what it does`.
    pub(super) fn questions(&mut self, text: &str) {
        for block in text.split("\n-- ").map(|b| b.strip_prefix("-- ").unwrap_or(b)) {
            if let Some((head, sql)) = block.split_once('\n')
                && let Some((name, says)) = head.split_once(": ")
            {
                sql::put(&mut self.actions, name, says, sql.trim().trim_end_matches(';'));
            }
        }
    }

    /// The scenarios that every app of these entities has.
    pub(super) fn trials(&mut self, start: &str) {
        for entity in &self.spec.entities {
            self.scenarios.push((entity.name.clone(), trial::of(self.spec, entity)));
        }
        self.scenarios.push(("whole".to_owned(), trial::whole(start)));
    }

    /// The files.
    pub(super) fn finish(mut self, manifest: &BuildManifest) -> Files {
        let spec = self.spec;
        let menu = spec.pages.iter().map(|p| MenuEntry { path: p.path.clone(), title: p.title.clone() }).collect();
        let app = App {
            format: BUNDLE_FORMAT,
            title: spec.title.clone(),
            slug: spec.slug.clone(),
            description: spec.description.clone(),
            currency: spec.currency.clone(),
            limits: Limits { body_bytes: 512 << 10, ..Limits::default() },
            access: Some(Access { open_at_first: self.open_at_first }),
            menu,
            public_menu: std::mem::take(&mut self.public_menu),
            common: std::mem::take(&mut self.common),
            routes: std::mem::take(&mut self.routes),
            resources: spec.entities.clone(),
        };
        // Every field of `App` is a table, an array, a string or an integer, so TOML can hold it.
        let text = toml::to_string(&app).unwrap_or_default();
        let head = "# What this app answers. Generated from spec.json; checked before it is served.";
        self.file("app.toml", &format!("{head}\n\n{text}"));
        let own = std::mem::take(&mut self.schema);
        let tables = spec.entities.iter().map(|e| (e.name.as_str(), sql::schema(e)));
        let migrations: Vec<_> = tables.chain(own).collect();
        for (index, (name, text)) in migrations.into_iter().enumerate() {
            self.file(&format!("schema/{:04}_{name}.sql", index + 1), &text);
        }
        for (name, text) in std::mem::take(&mut self.actions) {
            self.file(&format!("actions/{name}.sql"), &text);
        }
        for (name, text) in std::mem::take(&mut self.scenarios) {
            self.file(&format!("tests/{name}.toml"), &text);
        }
        if let Some(seed) = self.seed.take() {
            self.file("seed.sql", &seed);
        }
        let paths = std::mem::take(&mut self.paths);
        self.file("openapi.json", &document::openapi(spec, paths));
        self.file("static/client.js", &client::javascript(spec));
        self.file("static/client.py", &client::python(spec));
        self.file("requirements.md", &document::requirements(spec, manifest));
        self.file("deploy/Dockerfile", &document::dockerfile(spec));
        self.file("deploy/compose.yaml", &document::compose(spec));
        let [service, socket] = document::units(spec);
        self.file(&format!("deploy/{}.service", spec.slug), &service);
        self.file(&format!("deploy/{}.socket", spec.slug), &socket);
        self.file("manifest.json", &document::pretty(manifest));
        self.file("spec.json", &document::pretty(spec));
        self.file("CITATIONS.json", &document::pretty(&spec.citations));
        self.files
    }
}

pub(super) fn closed(path: &str, target: Target) -> Route {
    Route { path: path.to_owned(), public: false, target }
}

pub(super) fn public(path: &str, target: Target) -> Route {
    Route { path: path.to_owned(), public: true, target }
}

/// `name` in the template and the action behind it.
pub(super) fn data(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, action)| ((*name).to_owned(), (*action).to_owned())).collect()
}

pub(super) fn view(name: &str, pairs: &[(&str, &str)]) -> View {
    View::plain(name, data(pairs))
}

/// A page that does not exist without rows of its first entry.
pub(super) fn page_of(name: &str, pairs: &[(&str, &str)]) -> View {
    View { needs: pairs.first().map(|(name, _)| (*name).to_owned()), ..view(name, pairs) }
}

pub(super) fn submit(action: &str, resource: &str, fields: &[&str], then: &str) -> Submit {
    Submit {
        action: action.to_owned(),
        resource: resource.to_owned(),
        fields: fields.iter().map(|f| (*f).to_owned()).collect(),
        then: then.to_owned(),
        event: None,
        relay: None,
    }
}

pub(super) fn menu(entries: &[(&str, &str)]) -> Vec<MenuEntry> {
    entries.iter().map(|(path, title)| MenuEntry { path: (*path).to_owned(), title: (*title).to_owned() }).collect()
}
