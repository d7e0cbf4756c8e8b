//! One app, answering. Purpose: request in, answer out, over a checked bundle and its database; no socket in sight, so
//! that tests and scenarios ask it directly.
//! Owner: the app process's only thread. Invariants: answers never show SQL or paths of the machine; what changes data
//! needs either JSON (which a foreign page cannot send unasked) or a form token; `/_/` is the daemon's and refused by
//! the gateway.

use super::bundle::{Bundle, content_type};
use super::database::{Database, DatabaseError, Keeping, Parameters, Row, Rule};
use super::door::{Account, Door, Role, Throttle, is_signed, random};
use super::exchange::{Request, Response, percent_encode};
use super::outbox::{self, Tallies};
use super::render::Pages;
use super::route::{Found, Handler, Place, Routes};
use super::token::{Tokens, hex};
use super::{api, csv, figures, page, settings, submit};
use crate::pipeline::spec::Entity;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Secret of the hooks of an instance that is being tested.
pub(super) const SCENARIO_SECRET: &str = "scenario";
/// The code of the first account in scenarios.
pub const SCENARIO_SETUP_CODE: &str = "123-456-789";

/// Name of the database file in the data directory.
pub const DATABASE_FILE: &str = "app.db";

/// What a process is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To serve people; `/_/probe` and `/_/reset` do not exist.
    Serve,
    /// To be tested on throw-away data.
    Scenario,
}

/// Why an app cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// See [`DatabaseError`].
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A template does not parse; the generator's fault.
    #[error("views/{0}")]
    Template(String),
    /// The system gives no random numbers.
    #[error("no random numbers from the system: {0}")]
    Random(String),
}

/// One app.
#[derive(Debug)]
pub struct Service {
    pub(super) bundle: Bundle,
    pub(super) database: Database,
    pub(super) pages: Pages,
    pub(super) tokens: Tokens,
    pub(super) door: Door,
    pub(super) throttle: RefCell<Throttle>,
    tallies: RefCell<Tallies>,
    pub(super) routes: Routes,
    pub(super) purpose: Purpose,
    database_path: PathBuf,
    started: Instant,
    /// No gateway stands before it.
    alone: bool,
}

/// Why a request was not done.
#[derive(Debug)]
pub(super) enum Problem {
    /// No such page or record.
    NotFound,
    /// The record is in the way of another one; field (or "") and sentence.
    Conflict(String, String),
    /// Values are wrong; field → sentence.
    Invalid(BTreeMap<String, String>),
    /// The request itself is malformed.
    Malformed(String),
    /// The body is neither of the types that this path takes.
    MediaType(&'static str),
    /// The form was not shown by this process, or was sent by another site.
    Forged,
    /// Nobody is signed in, and no key is shown.
    SignIn,
    /// Whoever it is may not do that.
    NotAllowed,
    /// Too many of these; seconds to wait.
    Often(u64),
    /// See [`DatabaseError::Budget`].
    Budget,
    /// See [`DatabaseError::Full`].
    Full,
    /// A defect; the text is for the log.
    Broken(String),
}

impl Problem {
    pub(super) const fn status(&self) -> u16 {
        match self {
            Self::NotFound => 404,
            Self::Conflict(..) => 409,
            Self::Invalid(_) => 422,
            Self::Malformed(_) => 400,
            Self::MediaType(_) => 415,
            Self::Forged | Self::NotAllowed => 403,
            Self::SignIn => 401,
            Self::Often(_) => 429,
            Self::Budget => 503,
            Self::Full => 507,
            Self::Broken(_) => 500,
        }
    }

    pub(super) fn message(&self) -> String {
        match self {
            Self::NotFound => "There is nothing at this address.".to_owned(),
            Self::Conflict(_, sentence) => sentence.clone(),
            Self::Invalid(_) => "Some values need another look.".to_owned(),
            Self::Malformed(what) => what.clone(),
            Self::MediaType(wanted) => format!("This address takes {wanted}."),
            Self::Forged => "This form has expired. Nothing was changed; please send it again.".to_owned(),
            Self::SignIn => "Please sign in, or send a key: Authorization: Bearer key_….".to_owned(),
            Self::NotAllowed => "Your account or key may not do that.".to_owned(),
            Self::Often(wait) => format!("That was too often. Please try again in {wait} seconds."),
            Self::Budget => "That took too long and was stopped. Please ask for less.".to_owned(),
            Self::Full => "The app has no room left. Nothing was saved.".to_owned(),
            Self::Broken(_) => "Something in the app is broken. The fault has been written down.".to_owned(),
        }
    }

    /// A database error in the light of the record that was worked on.
    pub(super) fn from_database(error: DatabaseError, entity: Option<&Entity>) -> Self {
        let rule = match error {
            DatabaseError::Budget => return Self::Budget,
            DatabaseError::Full => return Self::Full,
            DatabaseError::Rule(rule) => rule,
            other => return Self::Broken(other.to_string()),
        };
        let one = entity.map_or_else(|| "record".to_owned(), |e| e.label_one.to_lowercase());
        let field = |column: &str| {
            let name = column.rsplit('.').next().unwrap_or_default();
            entity.and_then(|e| e.field(name)).map(|f| (f.name.clone(), f.label.clone()))
        };
        match rule {
            Rule::Unique(column) => {
                let (name, label) = field(&column).unwrap_or_else(|| (String::new(), "value".to_owned()));
                Self::Conflict(name, format!("Another {one} already has this {}.", label.to_lowercase()))
            }
            Rule::NotNull(column) => match field(&column) {
                Some((name, label)) => Self::Invalid(BTreeMap::from([(name, format!("{label} is needed."))])),
                None => Self::Broken(format!("not null: {column}")),
            },
            Rule::ForeignKey => Self::Conflict(String::new(), format!("Other records still belong to this {one}.")),
            Rule::Check(name) => Self::Conflict(String::new(), format!("Refused: {}.", name.replace('_', " "))),
        }
    }
}

impl Service {
    /// Opens the app over `bundle` with its database in `data`.
    ///
    /// # Errors
    /// See [`ServiceError`].
    pub fn open(bundle: Bundle, data: &Path, purpose: Purpose) -> Result<Self, ServiceError> {
        let database_path = data.join(DATABASE_FILE);
        let keeping = if purpose == Purpose::Serve { Keeping::Durable } else { Keeping::ThrowAway };
        Ok(Self {
            database: Database::open(&database_path, &bundle, keeping)?,
            pages: Pages::new(&bundle).map_err(ServiceError::Template)?,
            tokens: Tokens::new(&bundle.app.slug).map_err(|e| ServiceError::Random(e.to_string()))?,
            door: Door::new(&bundle.app.slug, purpose == Purpose::Serve),
            throttle: RefCell::default(),
            tallies: RefCell::default(),
            routes: Routes::new(&bundle.app),
            bundle,
            purpose,
            database_path,
            started: Instant::now(),
            alone: false,
        })
    }

    /// No gateway stands before this app: what is the daemon's alone is not answered. Returns the code of the first account, which
    /// nobody else can tell.
    ///
    /// # Errors
    /// The database's words.
    pub(super) fn stand_alone(&mut self) -> Result<Option<String>, String> {
        self.alone = true;
        self.setup_code().map_err(|problem| format!("{problem:?}"))
    }

    /// Answers one request. Never panics on what it holds.
    pub fn respond(&mut self, request: &Request) -> Response {
        let method = if request.method == "HEAD" { "GET" } else { request.method.as_str() };
        if let Some(inner) = request.path.strip_prefix("/_/")
            && (!self.alone || matches!(inner, "health" | "meta"))
        {
            return self.daemon(method, inner, request).finish("/_/");
        }
        if let Some(name) = request.path.strip_prefix("/static/") {
            return self.asset(method, name, request).finish("/static/{file}");
        }
        if request.path == "/openapi.json" && method == "GET" {
            return Response::file("application/json", self.bundle.openapi.clone()).finish("/openapi.json");
        }
        if self.bundle.app.access.is_some()
            && let Some(result) = self.own_page(method, request)
        {
            return result.unwrap_or_else(|p| self.problem(request, &p)).finish("(account)");
        }
        match self.routes.find(method, &request.path) {
            Found::Nothing => self.problem(request, &Problem::NotFound).finish("(none)"),
            Found::OtherMethods(methods) => {
                let message = format!("This address does not know {}; it knows {methods}.", request.method);
                self.refusal(request, 405, "method_not_allowed", &message).with("allow", methods).finish("(method)")
            }
            Found::Handler { template, handler, public, at } => {
                let changes = !matches!(method, "GET");
                let passes = if changes && !same_origin(request) && !matches!(handler, Handler::Hook(_)) {
                    Err(Problem::Forged)
                } else if public {
                    self.admit_visitor(request, changes)
                } else {
                    self.admit(request, changes)
                };
                let result = passes.and_then(|left| {
                    let response = self.handle(handler, request, &at)?;
                    Ok(match left {
                        Some(left) => response.with("ratelimit-remaining", left.to_string()),
                        None => response,
                    })
                });
                if public && method == "GET" && result.as_ref().is_ok_and(|r| r.status == 200) {
                    self.tallies.borrow_mut().count(&self.database, "visit", template);
                }
                let response = result.unwrap_or_else(|p| self.problem(request, &p));
                response.finish(template)
            }
        }
    }

    /// Answers requests that came at the same time, the first and as many of those behind it as are begun `within` this time: with
    /// one lock and one write to the disk for all of them, which is done when this returns.
    pub(super) fn respond_together(&mut self, requests: &[Request], within: Duration) -> Vec<Response> {
        let Some((first, rest)) = requests.split_first() else { return Vec::new() };
        if !self.may_join(first) {
            return vec![self.respond(first)];
        }
        let joined = 1 + rest.iter().take_while(|request| self.may_join(request)).count();
        let joined = requests.get(..joined).unwrap_or(requests);
        let changes = joined.iter().any(|request| !matches!(request.method.as_str(), "GET" | "HEAD"));
        let begun = Instant::now();
        if !self.database.begin(changes) {
            return vec![self.respond(first)];
        }
        let mut answers = Vec::with_capacity(joined.len());
        for request in joined {
            answers.push(self.respond(request));
            if begun.elapsed() > within || !self.database.is_within() {
                break;
            }
        }
        let asked = answers.len();
        if self.database.commit() {
            return answers;
        }
        // One of them was too much, or the disk is full: none was told anything yet, and each goes by itself.
        joined.iter().take(asked).map(|request| self.respond(request)).collect()
    }

    /// Whether the request may be answered in one transaction with others: what is the daemon's alone may replace the database, and
    /// what is about accounts takes its time on purpose.
    fn may_join(&self, request: &Request) -> bool {
        let path = request.path.as_str();
        !path.starts_with("/_/") && !settings::is_own(path)
    }

    /// After a panic in the middle of requests: what they had changed is taken back.
    pub(super) fn recover(&self) {
        self.database.abandon();
    }

    /// The answer where a request has made us panic.
    pub(super) fn broken(&self, request: &Request) -> Response {
        self.problem(request, &Problem::Broken("a panic".to_owned())).finish("(broken)")
    }

    fn own_page(&self, method: &str, request: &Request) -> Option<Result<Response, Problem>> {
        if method != "GET" && !same_origin(request) {
            return Some(Err(Problem::Forged));
        }
        settings::respond(self, request, method)
    }

    /// Whoever is signed in.
    pub(super) fn account(&self, request: &Request) -> Result<Option<Account>, Problem> {
        if self.bundle.app.access.is_none() {
            return Ok(None);
        }
        self.door.account(&self.database, request).map_err(|e| Problem::from_database(e, None))
    }

    /// Everybody may look; changes are counted by address, so that no program fills the app.
    fn admit_visitor(&self, request: &Request, changes: bool) -> Result<Option<u32>, Problem> {
        if changes && self.purpose == Purpose::Serve {
            let mut throttle = self.throttle.borrow_mut();
            throttle.take("visitor", request.client(), 60, Duration::from_secs(60)).map_err(Problem::Often)?;
        }
        Ok(None)
    }

    /// Accounts and keys by their role; returns what a key has left of its minute.
    fn admit(&self, request: &Request, changes: bool) -> Result<Option<u32>, Problem> {
        let Some(access) = &self.bundle.app.access else { return Ok(None) };
        let broken = |e| Problem::from_database(e, None);
        let needed = if changes { Role::Staff } else { Role::Viewer };
        let is_api = request.path.starts_with("/api/");
        if let Some(account) = self.account(request)? {
            return if account.role >= needed { Ok(None) } else { Err(Problem::NotAllowed) };
        }
        if is_api && !request.header("authorization").is_empty() {
            let Some(key) = self.door.key(&self.database, request).map_err(broken)? else {
                let mut throttle = self.throttle.borrow_mut();
                throttle.take("key", request.client(), 60, Duration::from_secs(60)).map_err(Problem::Often)?;
                return Err(Problem::SignIn);
            };
            let (name, minute) = (key.id.to_string(), Duration::from_secs(60));
            let left = self.throttle.borrow_mut().take("call", &name, key.per_minute, minute);
            let kind = if left.is_ok() { "call" } else { "refused" };
            self.tallies.borrow_mut().count(&self.database, kind, &name);
            let left = left.map_err(Problem::Often)?;
            return if key.role >= needed { Ok(Some(left)) } else { Err(Problem::NotAllowed) };
        }
        if access.open_at_first && !self.door.any(&self.database).map_err(broken)? {
            return Ok(None);
        }
        Err(Problem::SignIn)
    }

    fn handle(&self, handler: &Handler, request: &Request, at: &Place) -> Result<Response, Problem> {
        let id = at.id.unwrap_or(0);
        let entity = |name: &str| {
            self.bundle.app.resource(name).ok_or_else(|| Problem::Broken(format!("route to no resource {name}")))
        };
        match handler {
            Handler::ApiCreate(name) => api::create(self, entity(name)?, request),
            Handler::ApiDelete(name) => api::delete(self, entity(name)?, id),
            Handler::ApiList(name) => api::list(self, entity(name)?, request),
            Handler::ApiRead(name) => api::read(self, entity(name)?, id),
            Handler::ApiUpdate(name, replace) => api::update(self, entity(name)?, request, id, *replace),
            Handler::FormAction { action, resource, fields, then } => {
                page::act(self, entity(resource)?, request, id, action, fields, then)
            }
            Handler::Hook(hook) => submit::hook(self, entity(&hook.resource)?, request, hook),
            Handler::PageCreate(name) => page::create(self, entity(name)?, request),
            Handler::PageDelete(name) => page::delete(self, entity(name)?, request, id),
            Handler::PageDetail(name) => page::detail(self, entity(name)?, request, id),
            Handler::PageEdit(name) => page::edit(self, entity(name)?, request, id),
            Handler::PageExport(name) => csv::export(self, entity(name)?, request),
            Handler::PageImport(name) => csv::form(self, entity(name)?, request),
            Handler::PageImported(name) => csv::import(self, entity(name)?, request),
            Handler::PageList(name) => page::list(self, entity(name)?, request),
            Handler::PageNew(name) => page::new(self, entity(name)?, request),
            Handler::PageUpdate(name) => page::update(self, entity(name)?, request, id),
            Handler::Query(action) => api::query(self, action),
            Handler::Submit(form) => submit::form(self, entity(&form.resource)?, request, at, form),
            Handler::View(view) => submit::view(self, request, at, view),
        }
    }

    /// Tells webhooks.
    pub(super) fn tell(&self, event: &str, row: &Row) -> Result<(), Problem> {
        outbox::tell(&self.database, event, row).map_err(|e| Problem::from_database(e, None))
    }

    /// Writes down what was counted.
    pub(super) fn settle_tallies(&self) {
        self.tallies.borrow_mut().settle(&self.database);
    }

    /// The secret with which messages to the app's own hooks are signed; made when it is first asked for.
    pub(super) fn hook_secret(&self) -> Result<String, Problem> {
        if self.purpose == Purpose::Scenario {
            return Ok(SCENARIO_SECRET.to_owned());
        }
        let broken = |e| Problem::from_database(e, None);
        let fresh = hex(&random().map_err(broken)?);
        let secret = self.database.own(|c| {
            c.execute("INSERT INTO _secrets (name, value) VALUES ('hook', ?1) ON CONFLICT DO NOTHING", [&fresh])?;
            c.query_row("SELECT value FROM _secrets WHERE name = 'hook'", [], |r| r.get(0))
        });
        secret.map_err(broken)
    }

    /// The code that makes the first account, as three groups of three digits; `None` once there is an account. It is kept until
    /// then, so that it can be told again.
    pub(super) fn setup_code(&self) -> Result<Option<String>, Problem> {
        let broken = |e| Problem::from_database(e, None);
        if self.bundle.app.access.is_none() || self.door.any(&self.database).map_err(broken)? {
            return Ok(None);
        }
        if self.purpose == Purpose::Scenario {
            return Ok(Some(SCENARIO_SETUP_CODE.to_owned()));
        }
        let octets = random().map_err(broken)?;
        // 2^64 is no multiple of 10^9; what that favours is beyond the tenth digit of the probability.
        let number = octets.iter().take(8).fold(0u64, |sum, octet| sum << 8 | u64::from(*octet)) % 1_000_000_000;
        let fresh = format!("{:03}-{:03}-{:03}", number / 1_000_000, number / 1_000 % 1_000, number % 1_000);
        let code = self.database.own(|c| {
            c.execute("INSERT INTO _secrets (name, value) VALUES ('setup', ?1) ON CONFLICT DO NOTHING", [&fresh])?;
            c.query_row("SELECT value FROM _secrets WHERE name = 'setup'", [], |r| r.get(0))
        });
        code.map(Some).map_err(broken)
    }

    /// The first account is there: the code has served.
    pub(super) fn forget_setup_code(&self) -> Result<(), Problem> {
        let gone = self.database.own(|c| c.execute("DELETE FROM _secrets WHERE name = 'setup'", []).map(drop));
        gone.map_err(|e| Problem::from_database(e, None))
    }

    /// Whether the request's body was signed for this app's hooks.
    pub(super) fn is_signed(&self, request: &Request) -> Result<bool, Problem> {
        Ok(is_signed(&self.hook_secret()?, request.header("x-signature"), &request.body))
    }

    /// Runs an action on behalf of `entity`.
    pub(super) fn run(&self, action: &str, values: &Parameters, entity: Option<&Entity>) -> Result<Vec<Row>, Problem> {
        self.database.run(action, values).map_err(|e| Problem::from_database(e, entity))
    }

    /// The record of `entity` with this id.
    pub(super) fn record(&self, entity: &Entity, id: i64) -> Result<Row, Problem> {
        let rows = self.run(&format!("{}_get", entity.name), &id_parameter(id), Some(entity))?;
        rows.into_iter().next().ok_or(Problem::NotFound)
    }

    /// Checks that every reference among `values` names a record; returns field → sentence.
    pub(super) fn dangling(&self, entity: &Entity, values: &Parameters) -> Result<BTreeMap<String, String>, Problem> {
        let mut errors = BTreeMap::new();
        for field in &entity.fields {
            let target = field.references.as_deref().and_then(|t| self.bundle.app.resource(t));
            if let (Some(target), Some(id)) = (target, values.get(&field.name).and_then(Value::as_i64)) {
                match self.record(target, id) {
                    Ok(_) => {}
                    Err(Problem::NotFound) => {
                        let sentence = format!("There is no {} with the number {id}.", target.label_one.to_lowercase());
                        errors.insert(field.name.clone(), sentence);
                    }
                    Err(other) => return Err(other),
                }
            }
        }
        Ok(errors)
    }

    /// Path of the pages of the resource called `name`.
    pub(super) fn page_path(&self, name: &str) -> String {
        let is_its = |r: &&super::bundle::Route| r.target == super::bundle::Target::Resource(name.to_owned());
        self.bundle.app.routes.iter().find(is_its).map_or_else(|| format!("/{name}"), |r| r.path.clone())
    }

    /// A problem in the form that the asker understands.
    fn problem(&self, request: &Request, problem: &Problem) -> Response {
        if let (Problem::SignIn, false) = (problem, request.path.starts_with("/api/")) {
            // A page leads to the sign-in and back; a form that was sent leads to the page that it was on, at best.
            let to = if matches!(request.method.as_str(), "GET" | "HEAD") { request.target.as_str() } else { "/" };
            return Response::see_other(format!("/sign-in?next={}", percent_encode(to)));
        }
        if let Problem::Broken(what) = problem {
            super::log(&format!("{} {}: {what}", request.method, request.path));
        }
        let code = match problem {
            Problem::NotFound => "not_found",
            Problem::Conflict(..) => "conflict",
            Problem::Invalid(_) => "invalid",
            Problem::Malformed(_) => "malformed",
            Problem::MediaType(_) => "unsupported_media_type",
            Problem::Forged | Problem::NotAllowed => "forbidden",
            Problem::SignIn => "sign_in",
            Problem::Often(_) => "too_many",
            Problem::Budget => "too_expensive",
            Problem::Full => "full",
            Problem::Broken(_) => "broken",
        };
        let fields = match problem {
            Problem::Invalid(fields) => fields.clone(),
            Problem::Conflict(field, sentence) if !field.is_empty() => {
                BTreeMap::from([(field.clone(), sentence.clone())])
            }
            _ => BTreeMap::new(),
        };
        if request.path.starts_with("/api/") {
            return wait(problem, Response::error(problem.status(), code, &problem.message(), &fields));
        }
        wait(problem, self.refusal(request, problem.status(), code, &problem.message()))
    }

    /// A refusal that needs no handler: what `serve` says of oversized bodies, timeouts and the like.
    pub(super) fn refusal(&self, request: &Request, status: u16, code: &str, message: &str) -> Response {
        if request.path.starts_with("/api/") || request.path.starts_with("/_/") {
            return Response::error(status, code, message, &BTreeMap::new());
        }
        page::problem(self, request, status, message)
    }

    /// Octets that a request's body may have.
    pub(super) fn body_max(&self) -> usize {
        self.bundle.app.limits.body_bytes as usize
    }

    /// The answer to a body over [`Self::body_max`].
    pub(super) fn too_large(&self, request: &Request) -> Response {
        let message = format!("That is too much at once: {} octets at most.", self.body_max());
        self.refusal(request, 413, "too_large", &message).with("connection", "close").finish("(body)")
    }

    /// The answer to a body that does not come.
    pub(super) fn too_slow(&self, request: &Request) -> Response {
        self.refusal(request, 408, "too_slow", "The request did not arrive in time.")
            .with("connection", "close")
            .finish("(body)")
    }

    fn asset(&self, method: &str, name: &str, request: &Request) -> Response {
        match (method, self.bundle.assets.get(name), content_type(name)) {
            // The page names the build in the query, so a new build is a new address.
            ("GET", Some(bytes), Some(kind)) => {
                let keep =
                    if request.query.contains_key("v") { "public, max-age=31536000, immutable" } else { "no-cache" };
                Response::file(kind, bytes.clone()).with("cache-control", keep)
            }
            ("GET", _, _) => self.problem(request, &Problem::NotFound),
            _ => self.refusal(request, 405, "method_not_allowed", "Files can only be read.").with("allow", "GET, HEAD"),
        }
    }

    /// What the daemon asks over the app's own socket.
    fn daemon(&mut self, method: &str, inner: &str, request: &Request) -> Response {
        let broken = |e: &DatabaseError| Response::error(500, "broken", &e.to_string(), &BTreeMap::new());
        match (method, inner, self.purpose) {
            ("GET", "health", _) => match self.database.counts() {
                Ok(_) => Response::json(200, &json!({ "status": "ok" })),
                Err(e) => broken(&e),
            },
            ("GET", "meta", _) => match self.database.counts().and_then(|counts| self.meta(&counts)) {
                Ok(meta) => Response::json(200, &meta),
                Err(e) => broken(&e),
            },
            ("GET", "figures", _) => match figures::newest(&self.database, self.bundle.actions.contains_key("box_put"))
            {
                Ok(Some(known)) => Response::json(200, &known),
                Ok(None) => Response::error(404, "not_found", "This app charts nothing of the box.", &BTreeMap::new()),
                Err(e) => broken(&e),
            },
            ("POST", "figures", _) => match figures::take(&self.database, &request.body) {
                Ok(Ok(())) => Response::json(200, &json!({ "status": "ok" })),
                Ok(Err(what)) => Response::error(400, "malformed", &what, &BTreeMap::new()),
                Err(e) => broken(&e),
            },
            ("GET", "outbox", _) => match outbox::waiting(&self.database) {
                Ok(messages) => Response::json(200, &messages),
                Err(e) => broken(&e),
            },
            ("GET", "secret", _) => {
                let url = request.query.get("url").map_or("", String::as_str);
                match outbox::secret(&self.database, url) {
                    Ok(Some(secret)) => Response::json(200, &json!({ "secret": secret })),
                    Ok(None) => Response::error(404, "not_found", "There is no such webhook.", &BTreeMap::new()),
                    Err(e) => broken(&e),
                }
            }
            ("GET", "setup", _) => match self.setup_code() {
                Ok(code) => Response::json(200, &json!({ "code": code })),
                Err(problem) => self.problem(request, &problem),
            },
            ("POST", "outbox", _) => {
                let id = request.query.get("taken").and_then(|id| id.parse().ok()).unwrap_or(0);
                match outbox::taken(&self.database, id) {
                    Ok(()) => Response::json(200, &json!({ "status": "ok" })),
                    Err(e) => broken(&e),
                }
            }
            ("POST", "session", Purpose::Scenario) => {
                let role = request.query.get("role").and_then(|r| Role::of(r)).unwrap_or(Role::Viewer);
                let name = format!("a tester who is {}", role.word());
                let session = || {
                    self.door.add(&self.database, &name, "correct horse battery", role)?;
                    self.door.sign_in(&self.database, &name, "correct horse battery")
                };
                match session() {
                    Ok(Some(token)) => Response::json(200, &json!({ "cookie": self.door.cookie(&token) })),
                    Ok(None) => Response::error(500, "broken", "no session", &BTreeMap::new()),
                    Err(e) => broken(&e),
                }
            }
            ("POST", "probe", Purpose::Scenario) => {
                match self.database.probe(&String::from_utf8_lossy(&request.body), request.query.contains_key("keep")) {
                    Ok(rows) => {
                        let rows: Vec<Vec<&Value>> = rows.iter().map(|r| r.values().collect()).collect();
                        Response::json(200, &json!({ "rows": rows }))
                    }
                    Err(e) => Response::json(200, &json!({ "refused": e.to_string() })),
                }
            }
            ("POST", "reset", Purpose::Scenario) => match self.reset(request.query.contains_key("seed")) {
                Ok(()) => Response::json(200, &json!({ "status": "ok" })),
                Err(e) => broken(&e),
            },
            _ => Response::error(404, "not_found", "There is nothing at this address.", &BTreeMap::new()),
        }
    }

    fn meta(&self, counts: &[(String, u64)]) -> Result<Value, DatabaseError> {
        let app = &self.bundle.app;
        self.settle_tallies();
        let mut figures = if app.access.is_some() { outbox::figures(&self.database)? } else { BTreeMap::new() };
        if self.bundle.actions.contains_key("report") {
            let row = self.database.run("report", &Parameters::new())?.into_iter().next().unwrap_or_default();
            figures.extend(row.into_iter().filter_map(|(name, value)| Some((name, value.as_i64()?))));
        }
        Ok(json!({
            "title": app.title,
            "slug": app.slug,
            "build": self.pages.build(),
            "schema_version": self.database.version(),
            "apis": self.bundle.endpoints.len(),
            "operations": self.bundle.endpoints.iter().map(|e| e.methods.len()).sum::<usize>(),
            "records": counts.iter().map(|(_, n)| n).sum::<u64>(),
            "tables": counts.iter().cloned().collect::<BTreeMap<_, _>>(),
            "uptime_ms": u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "figures": figures,
            "currency": app.currency,
        }))
    }

    /// Throws the data away and starts over.
    fn reset(&mut self, seed: bool) -> Result<(), DatabaseError> {
        self.throttle = RefCell::default();
        self.tallies = RefCell::default();
        self.database.forget(&self.database_path, &self.bundle)?;
        match &self.bundle.seed {
            Some(file) if seed => self.database.sow(file),
            _ => Ok(()),
        }
    }
}

/// How long to wait, for programs.
fn wait(problem: &Problem, response: Response) -> Response {
    match problem {
        Problem::Often(seconds) => response.with("retry-after", seconds.to_string()),
        Problem::SignIn => response.with("www-authenticate", "Bearer"),
        _ => response,
    }
}

pub(super) fn id_parameter(id: i64) -> Parameters {
    Parameters::from([("id".to_owned(), id.into())])
}

/// Browsers say where a request comes from (Fetch Metadata); programs say nothing. Another port is "same-site".
fn same_origin(request: &Request) -> bool {
    matches!(request.header("sec-fetch-site"), "" | "same-origin" | "none")
}

#[cfg(test)]
mod tests;
