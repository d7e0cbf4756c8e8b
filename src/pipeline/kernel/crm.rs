//! The CRM kernel. Purpose: contacts, companies, deals and notes as SQL, pages, API description, scenarios and deploy
//! files; only what the spec holds.
//! Pure. Invariants: the result passes `Bundle::from_files`; every promised test of the spec is among the scenarios.
//! Deliberately absent: what a feature means (`pipeline::spec`) and how a bundle is served (`apphost`).

mod document;
mod scenario;
mod sql;

use crate::apphost::bundle::{App, BUNDLE_FORMAT, Files, Limits, MenuEntry, Route, Target};
use crate::pipeline::manifest::BuildManifest;
use crate::pipeline::spec::{PageKind, Spec};
use std::collections::BTreeMap;

/// Views, static files and deploy files that every CRM has, word for word.
const FIXED: &[(&str, &str)] = &[
    ("deploy/README.md", include_str!("crm/deploy/README.md")),
    ("static/app.css", include_str!("crm/static/app.css")),
    ("static/app.js", include_str!("crm/static/app.js")),
    ("static/icon.svg", include_str!("crm/static/icon.svg")),
    ("views/_parts.html", include_str!("crm/views/_parts.html")),
    ("views/detail.html", include_str!("crm/views/detail.html")),
    ("views/form.html", include_str!("crm/views/form.html")),
    ("views/layout.html", include_str!("crm/views/layout.html")),
    ("views/list.html", include_str!("crm/views/list.html")),
    ("views/overview.html", include_str!("crm/views/overview.html")),
    ("views/problem.html", include_str!("crm/views/problem.html")),
];

/// Generates a CRM.
#[must_use]
pub fn generate(spec: &Spec, manifest: &BuildManifest) -> Files {
    let mut files: Files = FIXED.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
    let mut add = |path: String, text: String| _ = files.insert(path, text.into_bytes());
    if spec.entities.iter().any(|e| e.board.is_some()) {
        add("views/board.html".to_owned(), include_str!("crm/views/board.html").to_owned());
    }
    if has_companies(spec) {
        add("views/companies.html".to_owned(), include_str!("crm/views/companies.html").to_owned());
    }
    for (index, entity) in spec.entities.iter().enumerate() {
        add(format!("schema/{:04}_{}.sql", index + 1, entity.name), sql::schema(entity));
    }
    for (name, text) in sql::actions(spec) {
        add(format!("actions/{name}.sql"), text);
    }
    for (name, text) in scenario::files(spec) {
        add(format!("tests/{name}.toml"), text);
    }
    add("app.toml".to_owned(), app_toml(spec));
    add("openapi.json".to_owned(), document::openapi(spec));
    add("requirements.md".to_owned(), document::requirements(spec, manifest));
    add("deploy/Dockerfile".to_owned(), document::dockerfile(spec));
    add("deploy/compose.yaml".to_owned(), document::compose(spec));
    let [service, socket] = document::units(spec);
    add(format!("deploy/{}.service", spec.slug), service);
    add(format!("deploy/{}.socket", spec.slug), socket);
    add("manifest.json".to_owned(), document::pretty(manifest));
    add("spec.json".to_owned(), document::pretty(spec));
    files
}

fn has_companies(spec: &Spec) -> bool {
    spec.pages.iter().any(|p| p.kind == PageKind::Groups)
}

fn has(spec: &Spec, entity: &str) -> bool {
    spec.entity(entity).is_some()
}

fn app_toml(spec: &Spec) -> String {
    let mut overview = BTreeMap::from(
        [("summary", "summary"), ("recent", "overview_recent")].map(|(a, b)| (a.to_owned(), b.to_owned())),
    );
    if has(spec, "deals") {
        overview.insert("columns".to_owned(), "deals_columns".to_owned());
        overview.insert("closing".to_owned(), "overview_closing".to_owned());
    }
    let mut routes =
        vec![Route { path: "/".to_owned(), target: Target::View { view: "overview".to_owned(), data: overview } }];
    if has_companies(spec) {
        let data = BTreeMap::from([("companies".to_owned(), "companies".to_owned())]);
        routes
            .push(Route { path: "/companies".to_owned(), target: Target::View { view: "companies".to_owned(), data } });
    }
    for entity in &spec.entities {
        let name = &entity.name;
        routes.push(Route { path: format!("/{name}"), target: Target::Resource(name.clone()) });
        routes.push(Route { path: format!("/api/{name}"), target: Target::Api(name.clone()) });
        if let Some(board) = &entity.board {
            let target = Target::Action {
                action: format!("{name}_move"),
                resource: name.clone(),
                fields: vec![board.clone()],
                then: format!("/{name}"),
            };
            routes.push(Route { path: format!("/{name}/{{id}}/move"), target });
        }
    }
    routes.push(Route { path: "/api/summary".to_owned(), target: Target::Query("summary".to_owned()) });
    let app = App {
        format: BUNDLE_FORMAT,
        title: spec.title.clone(),
        slug: spec.slug.clone(),
        description: spec.description.clone(),
        currency: spec.currency.clone(),
        limits: Limits::default(),
        menu: spec.pages.iter().map(|p| MenuEntry { path: p.path.clone(), title: p.title.clone() }).collect(),
        routes,
        resources: spec.entities.clone(),
    };
    // Every field of `App` is a table, an array, a string or an integer, so TOML can hold it.
    let text = toml::to_string(&app).unwrap_or_default();
    format!("# What this app answers. Generated from spec.json; checked before it is served.\n\n{text}")
}

#[cfg(test)]
mod tests;
