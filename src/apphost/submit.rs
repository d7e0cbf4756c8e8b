//! Pages and forms of the app's own. Purpose: a site's pages, a shop's basket and checkout, messages that come signed.
//! Invariants: values of a form are checked by the resource's fields before any SQL sees them; a visitor is known by the
//! cookie that also guards the forms; what a form refuses is shown beside the field, the input kept.

use super::bundle::{Submit, Target, View};
use super::database::{Parameters, Row};
use super::door::{now, sign};
use super::exchange::{Request, Response, percent_encode};
use super::field::{self, Checked};
use super::outbox;
use super::page::{Draft, describe, inputs, objects, signed_form};
use super::route::Place;
use super::service::{Problem, Service};
use super::token::Tokens;
use crate::pipeline::spec::Entity;
use serde_json::Value;
use std::collections::BTreeMap;

/// Characters of a query value that an action gets.
const ASKED_MAX: usize = 200;
/// Days of visits that a page may draw.
const VISIT_DAYS: i64 = 30;

/// What path, visitor and query give to actions.
fn parameters(service: &Service, request: &Request, at: &Place, asked: &[String]) -> Parameters {
    let mut values = Parameters::new();
    for name in asked {
        let text = request.query.get(name).map(|t| t.trim().chars().take(ASKED_MAX).collect::<String>());
        values.insert(name.clone(), text.filter(|t| !t.is_empty()).map_or(Value::Null, Value::from));
    }
    if let Some(id) = at.id {
        values.insert("id".to_owned(), id.into());
    }
    if let Some(slug) = &at.slug {
        values.insert("slug".to_owned(), slug.clone().into());
    }
    let cookie = request.cookie(service.tokens.cookie_name()).filter(|c| Tokens::is_cookie(c));
    if let Some(cookie) = cookie {
        values.insert("visitor".to_owned(), Tokens::visitor(cookie).into());
    }
    values
}

/// A page of the app's own.
pub(super) fn view(service: &Service, request: &Request, at: &Place, view: &View) -> Result<Response, Problem> {
    show(service, request, at, view, 200, &BTreeMap::new(), &BTreeMap::new(), "")
}

#[expect(clippy::too_many_arguments, reason = "a page with a form is its input and what is to be said about it")]
fn show(
    service: &Service,
    request: &Request,
    at: &Place,
    view: &View,
    status: u16,
    input: &BTreeMap<String, String>,
    errors: &BTreeMap<String, String>,
    warning: &str,
) -> Result<Response, Problem> {
    let app = &service.bundle.app;
    let values = parameters(service, request, at, &view.params);
    let mut draft = Draft::new(service, request).with("warning", warning).with("errors", errors.len());
    let is_public = app.routes.iter().any(|r| r.public && matches!(&r.target, Target::View(v) if v == view));
    let common = app.common.iter().filter(|_| is_public);
    for (name, action) in common.chain(&view.data) {
        let rows = service.run(action, &values, None)?;
        if rows.is_empty() && view.needs.as_ref() == Some(name) {
            return Err(Problem::NotFound);
        }
        draft = draft.with(name, objects(rows));
    }
    if app.access.is_some() && !is_public {
        service.settle_tallies();
        let visits = outbox::visits(&service.database, VISIT_DAYS).map_err(|e| Problem::from_database(e, None))?;
        draft = draft.with("visits", objects(visits));
    }
    let asked: BTreeMap<&String, &Value> = view.params.iter().filter_map(|p| values.get_key_value(p)).collect();
    draft = draft.with("asked", serde_json::to_value(asked).unwrap_or_default());
    if let Some((form, entity)) = view.form.as_ref().and_then(|path| find_form(service, path)) {
        let fields = entity.fields.iter().filter(|f| form.fields.contains(&f.name));
        draft = draft.with("inputs", inputs(service, fields, input, errors)?);
    }
    let described: Vec<Value> = app.resources.iter().map(|r| describe(service, r)).collect();
    draft.with("resources", described).render(status, &view.view)
}

fn find_form<'a>(service: &'a Service, path: &str) -> Option<(&'a Submit, &'a Entity)> {
    let app = &service.bundle.app;
    app.routes.iter().find_map(|r| match &r.target {
        Target::Submit(form) if r.path == path => Some((form, app.resource(&form.resource)?)),
        _ => None,
    })
}

/// A form was sent.
pub(super) fn form(
    service: &Service,
    entity: &Entity,
    request: &Request,
    at: &Place,
    form: &Submit,
) -> Result<Response, Problem> {
    let submitted = signed_form(service, request)?;
    // A field that people do not see and programs fill in: what is in it is no person's message.
    if submitted.get("website_url").is_some_and(|t| !t.is_empty()) {
        return Ok(Response::see_other("/?did=sent".to_owned()));
    }
    let wanted = entity.fields.iter().filter(|f| form.fields.contains(&f.name));
    let Checked { values: checked, mut errors } = field::from_form(wanted, &submitted);
    errors.extend(service.dangling(entity, &checked)?);
    let again = |status: u16, errors: &BTreeMap<String, String>, said: &str| -> Option<Result<Response, Problem>> {
        let route = service.bundle.app.routes.iter().find_map(|r| match &r.target {
            Target::View(v) if v.form.as_deref() == service.form_path(form) => Some(v),
            _ => None,
        })?;
        Some(show(service, request, at, route, status, &submitted, errors, said))
    };
    if !errors.is_empty() {
        return again(422, &errors, "").unwrap_or(Err(Problem::Invalid(errors)));
    }
    let mut values = parameters(service, request, at, &[]);
    values.extend(checked);
    let row = match service.run(&form.action, &values, Some(entity)) {
        Ok(rows) => rows.into_iter().next(),
        Err(Problem::Conflict(_, said)) => {
            let said = said.strip_prefix("Refused: ").unwrap_or(&said).to_owned();
            return again(409, &BTreeMap::new(), &said).unwrap_or(Err(Problem::Conflict(String::new(), said)));
        }
        Err(other) => return Err(other),
    };
    let Some(mut row) = row else { return Err(Problem::NotFound) };
    // An action may find that it was done before; that is no event.
    let made = row.shift_remove("_made").is_none_or(|made| made.as_i64() != Some(0));
    if made && let Some(event) = &form.event {
        service.tell(event, &row)?;
    }
    if let Some(path) = &form.relay {
        relay(service, path, &row)?;
    }
    Ok(Response::see_other(fill(&form.then, &row)))
}

/// Sends `row` to a hook of this app as an outside party would: as JSON, signed, through the same check.
fn relay(service: &Service, path: &str, row: &Row) -> Result<(), Problem> {
    let found = service.bundle.app.routes.iter().find_map(|r| match &r.target {
        Target::Hook(hook) if r.path == path => Some(hook),
        _ => None,
    });
    let broken = || Problem::Broken(format!("no hook {path}"));
    let target = found.ok_or_else(broken)?;
    let entity = service.bundle.app.resource(&target.resource).ok_or_else(broken)?;
    let mut message = Request::new("POST", path);
    message.body = Value::Object(row.clone()).to_string().into_bytes();
    message.headers.insert("content-type".to_owned(), "application/json".to_owned());
    message.headers.insert("x-signature".to_owned(), sign(&service.hook_secret()?, now(), &message.body));
    hook(service, entity, &message, target).map(|_| ())
}

/// A signed message came.
pub(super) fn hook(service: &Service, entity: &Entity, request: &Request, hook: &Submit) -> Result<Response, Problem> {
    if !service.is_signed(request)? {
        return Err(Problem::SignIn);
    }
    let Ok(Value::Object(object)) = serde_json::from_slice::<Value>(&request.body) else {
        return Err(Problem::Malformed("The body must be a JSON object.".to_owned()));
    };
    // Of the message only what the hook is about; amounts are whole hundredths, as in the API.
    let is_wanted = |name: &String| hook.fields.contains(name);
    let object = object.into_iter().filter(|(name, _)| is_wanted(name)).collect();
    let fields = entity.fields.iter().filter(|f| is_wanted(&f.name)).cloned().collect();
    let Checked { values, errors } = field::from_json(&Entity { fields, ..entity.clone() }, &object, None);
    if !errors.is_empty() {
        return Err(Problem::Invalid(errors));
    }
    let row = service.run(&hook.action, &values, Some(entity))?.into_iter().next();
    // A message that comes twice changes nothing the second time, and is fine.
    if let (Some(event), Some(row)) = (&hook.event, &row) {
        service.tell(event, row)?;
    }
    Ok(Response::json(200, &serde_json::json!({ "changed": row.is_some() })))
}

/// `{name}` → the row's value, made safe for an address.
fn fill(template: &str, row: &Row) -> String {
    let mut out = template.to_owned();
    for (name, value) in row {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        out = out.replace(&format!("{{{name}}}"), &percent_encode(&text));
    }
    out
}

impl Service {
    /// The address of a form.
    fn form_path(&self, form: &Submit) -> Option<&str> {
        let is_it = |r: &&super::bundle::Route| matches!(&r.target, Target::Submit(s) if s == form);
        self.bundle.app.routes.iter().find(is_it).map(|r| r.path.as_str())
    }
}
