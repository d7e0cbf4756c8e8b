//! The bundle: a generated app as a directory of small files.
//! Purpose: read a bundle from disk within bounds and turn it into something that can be served or say in one sentence
//! what is wrong with it. `read_dir` touches files, everything else is pure.
//!
//! ```text
//! manifest.json spec.json requirements.md openapi.json app.toml
//! seed.sql            what a new app starts with
//! schema/0001_*.sql   migrations in order: tables, constraints, triggers, indexes, FTS5
//! actions/*.sql       one transaction each, named parameters
//! views/*.html        minijinja, autoescape on
//! static/*            css, js, svg
//! tests/*.toml        scenarios (`apphost::scenario`)
//! deploy/*            container and service files for other hosts
//! ```
//!
//! Invariants: no symbolic link is followed; unknown files and keys are refused; every name that `app.toml` uses
//! exists; `openapi.json` describes exactly the paths under `/api/` that the routes answer.
//! Deliberately absent: whether the SQL is any good (`database` prepares it, scenarios prove it).

mod app;

pub use app::{Access, App, Limits, MenuEntry, Route, Submit, Target, View};

use crate::limits::{BUNDLE_FILE_MAX, BUNDLE_FILES_MAX, BUNDLE_MAX};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read};
use std::path::Path;

/// Files of a bundle by path relative to its root, `/`-separated.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Version of the format described here.
pub const BUNDLE_FORMAT: u32 = 1;

/// A bundle that may be served.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// `app.toml`.
    pub app: App,
    /// Migrations in order; the index plus one is SQLite's `user_version` after it.
    pub schema: Vec<SqlFile>,
    /// `actions/*.sql` by name without extension.
    pub actions: BTreeMap<String, SqlFile>,
    /// `views/*.html` by name without extension.
    pub views: BTreeMap<String, String>,
    /// `static/*` by file name.
    pub assets: BTreeMap<String, Vec<u8>>,
    /// Path templates under `/api/` with their methods, from `openapi.json`.
    pub endpoints: Vec<Endpoint>,
    /// `openapi.json` as it is served.
    pub openapi: Vec<u8>,
    /// `seed.sql`.
    pub seed: Option<SqlFile>,
}

/// One SQL file.
#[derive(Debug, Clone)]
pub struct SqlFile {
    /// Path in the bundle, for messages.
    pub path: String,
    /// Its text.
    pub sql: String,
}

/// One path that `openapi.json` describes. "N APIs live" counts these: one API = one path under `/api/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Path template.
    pub path: String,
    /// Methods in upper case, sorted.
    pub methods: Vec<String>,
}

/// Why a bundle cannot be served. All of it is the bundle's fault but [`BundleError::Unreadable`]; none is worth a
/// retry without a change.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The file system said no.
    #[error("cannot read {path}: {source}; check that the bundle directory exists and is readable")]
    Unreadable {
        /// What was read.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file that has no place in a bundle.
    #[error("{path} has no place in a bundle: {why}")]
    NotAllowed {
        /// The file.
        path: String,
        /// The rule.
        why: &'static str,
    },
    /// Over a bound.
    #[error("{what} is over the limit of {limit}")]
    TooLarge {
        /// The file or sum.
        what: String,
        /// The bound.
        limit: usize,
    },
    /// A file does not parse.
    #[error("{path}: {what}")]
    Malformed {
        /// The file.
        path: String,
        /// The parser's words.
        what: String,
    },
    /// Files contradict each other.
    #[error("{path}: {what}")]
    Inconsistent {
        /// The file that makes the claim.
        path: String,
        /// The contradiction.
        what: String,
    },
}

/// Reads the files under `dir` within the bounds; `.git` is passed over.
///
/// # Errors
/// [`BundleError::Unreadable`], [`BundleError::NotAllowed`] (links, sockets, strange names), [`BundleError::TooLarge`].
pub fn read_dir(dir: &Path) -> Result<Files, BundleError> {
    let mut files = Files::new();
    let mut total = 0;
    let mut pending = vec![String::new()];
    while let Some(prefix) = pending.pop() {
        let here = dir.join(&prefix);
        let unreadable = |source| BundleError::Unreadable { path: here.display().to_string(), source };
        for entry in std::fs::read_dir(&here).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|n| is_file_name(n) || *n == ".git") else {
                return Err(BundleError::NotAllowed {
                    path: format!("{prefix}{}", name.to_string_lossy()),
                    why: "names are letters, digits, dot, dash and underscore",
                });
            };
            let path = format!("{prefix}{name}");
            let kind = entry.file_type().map_err(unreadable)?;
            if kind.is_dir() {
                if name == ".git" {
                    continue;
                }
                if !prefix.is_empty() {
                    return Err(BundleError::NotAllowed { path, why: "directories are one level deep" });
                }
                pending.push(format!("{path}/"));
                continue;
            }
            if name == ".git" {
                continue;
            }
            if !kind.is_file() {
                return Err(BundleError::NotAllowed { path, why: "only plain files, no links" });
            }
            let bytes = read_bounded(&entry.path(), &path)?;
            total += bytes.len();
            if total > BUNDLE_MAX {
                return Err(BundleError::TooLarge { what: "the whole bundle".to_owned(), limit: BUNDLE_MAX });
            }
            files.insert(path, bytes);
            if files.len() > BUNDLE_FILES_MAX {
                return Err(BundleError::TooLarge { what: "the number of files".to_owned(), limit: BUNDLE_FILES_MAX });
            }
        }
    }
    Ok(files)
}

fn read_bounded(path: &Path, name: &str) -> Result<Vec<u8>, BundleError> {
    let unreadable = |source| BundleError::Unreadable { path: path.display().to_string(), source };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(BUNDLE_FILE_MAX as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > BUNDLE_FILE_MAX {
        return Err(BundleError::TooLarge { what: name.to_owned(), limit: BUNDLE_FILE_MAX });
    }
    Ok(bytes)
}

/// Writes `files` under `dir`, which is created; nothing that is already there is removed.
///
/// # Errors
/// What the file system says; nothing is written at a path that [`read_dir`] would not take.
pub fn write_dir(files: &Files, dir: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    for (path, bytes) in files {
        if !stays_below(path) {
            return Err(std::io::Error::new(ErrorKind::InvalidInput, format!("{path} is no path of a bundle")));
        }
        let target = dir.join(path);
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(target, bytes)?;
    }
    Ok(())
}

impl Bundle {
    /// Reads and checks the bundle under `dir`.
    ///
    /// # Errors
    /// See [`BundleError`].
    pub fn load(dir: &Path) -> Result<Self, BundleError> {
        Self::from_files(&read_dir(dir)?)
    }

    /// Checks `files` and sorts them by their part. Pure.
    ///
    /// # Errors
    /// See [`BundleError`].
    pub fn from_files(files: &Files) -> Result<Self, BundleError> {
        let mut schema = Vec::new();
        let mut actions = BTreeMap::new();
        let mut views = BTreeMap::new();
        let mut assets = BTreeMap::new();
        let mut seed = None;
        for (path, bytes) in files {
            let not_allowed = |why| BundleError::NotAllowed { path: path.clone(), why };
            if !stays_below(path) {
                return Err(not_allowed(
                    "paths are a name, or a directory and a name, of letters, digits, dot, dash and underscore",
                ));
            }
            match path.split_once('/') {
                None => match path.as_str() {
                    "seed.sql" => seed = Some(SqlFile { path: path.clone(), sql: text(path, bytes)?.to_owned() }),
                    "app.toml" | "openapi.json" | "requirements.md" | "README.md" => _ = text(path, bytes)?,
                    "manifest.json" | "spec.json" | "CITATIONS.json" => _ = json(path, bytes)?,
                    _ => return Err(not_allowed("it is none of the known files")),
                },
                Some(("schema", name)) => {
                    let stem = name.strip_suffix(".sql").ok_or_else(|| not_allowed("migrations end in .sql"))?;
                    let expected = format!("{:04}_", schema.len() + 1);
                    if !stem.starts_with(&expected) {
                        return Err(not_allowed("migrations are numbered 0001_, 0002_, … without a gap"));
                    }
                    schema.push(SqlFile { path: path.clone(), sql: text(path, bytes)?.to_owned() });
                }
                Some(("actions", name)) => {
                    let stem = name.strip_suffix(".sql").ok_or_else(|| not_allowed("actions end in .sql"))?;
                    let file = SqlFile { path: path.clone(), sql: text(path, bytes)?.to_owned() };
                    actions.insert(stem.to_owned(), file);
                }
                Some(("views", name)) => {
                    let stem = name.strip_suffix(".html").ok_or_else(|| not_allowed("views end in .html"))?;
                    views.insert(stem.to_owned(), text(path, bytes)?.to_owned());
                }
                Some(("static", name)) => {
                    if content_type(name).is_none() {
                        return Err(not_allowed("static files are css, js, py, svg, png, ico or txt"));
                    }
                    assets.insert(name.to_owned(), bytes.clone());
                }
                Some(("tests", name)) if name.ends_with(".toml") => _ = text(path, bytes)?,
                Some(("deploy", _)) => {}
                Some(_) => return Err(not_allowed("it is none of the known directories")),
            }
        }
        let app = files.get("app.toml").ok_or_else(|| missing("app.toml"))?;
        let app = App::parse(text("app.toml", app)?)?;
        let openapi = files.get("openapi.json").ok_or_else(|| missing("openapi.json"))?.clone();
        let endpoints = endpoints(&json("openapi.json", &openapi)?)?;
        super::scenario::parse(files)?;
        let bundle = Self { app, schema, actions, views, assets, endpoints, openapi, seed };
        bundle.check()?;
        Ok(bundle)
    }

    /// Every name that is used exists, and the description of the API is neither more nor less than the API.
    fn check(&self) -> Result<(), BundleError> {
        let inconsistent = |what: String| Err(BundleError::Inconsistent { path: "app.toml".to_owned(), what });
        if self.schema.is_empty() {
            return Err(missing("schema/0001_*.sql"));
        }
        for name in ["problem", "list", "detail", "form"] {
            if !self.views.contains_key(name) {
                return Err(missing(&format!("views/{name}.html")));
            }
        }
        let (actions, views) = self.app.names_used();
        if let Some(name) = actions.into_iter().find(|a| !self.actions.contains_key(a)) {
            return inconsistent(format!("needs actions/{name}.sql, which is not there"));
        }
        if let Some(name) = views.into_iter().find(|v| !self.views.contains_key(v)) {
            return inconsistent(format!("needs views/{name}.html, which is not there"));
        }
        let described: BTreeSet<_> =
            self.endpoints.iter().flat_map(|e| e.methods.iter().map(move |m| (e.path.clone(), m.clone()))).collect();
        let answered = self.app.api_operations();
        if let Some((path, method)) = described.symmetric_difference(&answered).next() {
            let what = if answered.contains(&(path.clone(), method.clone())) {
                format!("does not describe {method} {path}, which the routes answer")
            } else {
                format!("describes {method} {path}, which no route answers")
            };
            return Err(BundleError::Inconsistent { path: "openapi.json".to_owned(), what });
        }
        Ok(())
    }
}

/// Media type of a static file by its extension; none when such files are not served.
#[must_use]
pub fn content_type(name: &str) -> Option<&'static str> {
    Some(match name.rsplit_once('.')?.1 {
        "css" => "text/css; charset=utf-8",
        "ico" => "image/x-icon",
        "js" => "text/javascript; charset=utf-8",
        "png" => "image/png",
        "py" => "text/x-python; charset=utf-8",
        "svg" => "image/svg+xml",
        "txt" => "text/plain; charset=utf-8",
        _ => return None,
    })
}

fn endpoints(openapi: &serde_json::Value) -> Result<Vec<Endpoint>, BundleError> {
    let malformed = |what: &str| BundleError::Malformed { path: "openapi.json".to_owned(), what: what.to_owned() };
    let paths = openapi.get("paths").and_then(|p| p.as_object()).ok_or_else(|| malformed("has no object `paths`"))?;
    let mut endpoints = Vec::new();
    for (path, item) in paths.iter().filter(|(path, _)| path.starts_with("/api/")) {
        let item = item.as_object().ok_or_else(|| malformed("a path item is not an object"))?;
        let is_method = |k: &&String| ["get", "put", "post", "delete", "patch"].contains(&k.as_str());
        let mut methods: Vec<_> = item.keys().filter(is_method).map(|k| k.to_ascii_uppercase()).collect();
        methods.sort();
        if methods.is_empty() {
            return Err(malformed("a path has no operation"));
        }
        endpoints.push(Endpoint { path: path.clone(), methods });
    }
    Ok(endpoints)
}

fn missing(path: &str) -> BundleError {
    BundleError::Inconsistent { path: path.to_owned(), what: "is missing from the bundle".to_owned() }
}

fn text<'a>(path: &str, bytes: &'a [u8]) -> Result<&'a str, BundleError> {
    std::str::from_utf8(bytes)
        .map_err(|_| BundleError::Malformed { path: path.to_owned(), what: "is not UTF-8 text".to_owned() })
}

fn json(path: &str, bytes: &[u8]) -> Result<serde_json::Value, BundleError> {
    serde_json::from_slice(bytes).map_err(|e| BundleError::Malformed { path: path.to_owned(), what: e.to_string() })
}

/// Whether a path that somebody else chose leads to a file of the bundle and nowhere else.
fn stays_below(path: &str) -> bool {
    let (directory, name) = path.split_once('/').map_or((None, path), |(directory, name)| (Some(directory), name));
    is_file_name(name) && directory.is_none_or(is_file_name)
}

fn is_file_name(name: &str) -> bool {
    name.len() <= 80
        && name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

#[cfg(test)]
mod tests;
